/*
 * A job result as Flink's JSON, and the seal that binds such a text to its place on disk: the
 * member "fsha" of its "result", which Flink passes over. No I/O.
 *
 *   {"result": {"id", "application-status", "accumulator-results", "net-runtime",
 *               "failure-cause"?, "fsha"?}, "version": 1}
 *
 * The checksum of the seal is over the whole value, not over the bytes: whoever writes it anew with
 * other spaces or another order has not damaged it.
 */
#ifndef SRC_JOB_RESULT_JSON_H
#define SRC_JOB_RESULT_JSON_H

#include "fsha/job_result.h"
#include "fsutil/fsu_uuid.h"
#include "src/json/text.h"

/*
 * 0, -EINVAL with the reason in `ret_why` (JSON_TEXT_WHY_SIZE bytes), -ENOMEM. The text has a zero
 * byte behind it; fsu_release it.
 */
int job_result_encode(const struct fsu *fs, const fsha_job_result *result, char **ret_text,
		      size_t *ret_len, char *ret_why);
/* 0, -EBADMSG with the reason, -ENOMEM. One piece of memory; fsu_release it. */
int job_result_decode(const struct fsu *fs, const char *text, size_t len,
		      fsha_job_result **ret_result, char *ret_why);

struct job_result_seal {
	const char *key; /* "<directory>/<key>", as an envelope has it */
	fsha_version version;
	struct fsu_uuid cluster;           /* when reading: null is any */
	struct fsu_uuid session, write_id; /* for people */
};
/* The text with this seal instead of the one that it has. Results as job_result_decode. */
int job_result_seal(const struct fsu *fs, const char *text, size_t len,
		    const struct job_result_seal *seal, char **ret_text, size_t *ret_len,
		    char *ret_why);
/* Is it whole, and does it belong here? By key, version and cluster. Results as above. */
int job_result_check_seal(const struct fsu *fs, const char *text, size_t len,
			  const struct job_result_seal *expected, char *ret_why);

#endif
