/*
 * Records as files: a payload in its envelope, bound to the cluster, the key and the version that
 * its name gives. What is read is verified before a byte of it is used: a record of another cluster
 * or key, put in place by hand, is refused.
 */
#ifndef SRC_RECORD_RECORD_H
#define SRC_RECORD_RECORD_H

#include <stdbool.h>

#include "fsha/types.h"
#include "fsutil/fsu_record.h"
#include "src/record/name.h"

/* What binds a record to its place. `directory` is relative to the cluster directory. */
struct record_place {
	const struct fsu *fs;
	const struct fsu_uuid *cluster; /* NULL when reading: any (SETTINGS, which tells it) */
	int dir_fd;
	const char *directory;
};

struct record_content {
	uint16_t kind;
	enum name_form form;
	fsha_version version;
	struct fsu_uuid session;
	const char *key;
	const void *payload;
	size_t size;
};

/* The bytes of a record; release them with fsu_release. */
fsha_result record_encode(const struct record_place *place, const struct record_content *content,
			  uint8_t **ret_buf, size_t *ret_len, fsha_error *reterr);

/*
 * The envelope head for `content`, of which the payload is left alone; `key` is its memory, of
 * FSU_RECORD_KEY_MAX + 1 bytes.
 */
fsha_result record_make_head(const struct record_place *place, const struct record_content *content,
			     char *key, struct fsu_record *ret_head, fsha_error *reterr);

/* A record read and verified. */
struct record {
	struct fsu_record head; /* key and payload point into `file` */
	uint8_t *file;
	uint8_t *data; /* the payload, inflated, with a zero byte behind it */
	size_t size;
};
/*
 * Read `file_name`, which parses as a versioned name. FSHA_E_NOT_FOUND when it is gone (look
 * again); FSHA_E_CORRUPT with the file's path and the reason; FSHA_E_UNSUPPORTED for a newer
 * envelope; FSHA_E_INVALID: it is a stream of more than `size_max` bytes, not to be read whole;
 * FSHA_E_IO, _NOMEM.
 */
fsha_result record_read(const struct record_place *place, const char *file_name, uint16_t kind,
			size_t size_max, struct record *ret_record, fsha_error *reterr);
/*
 * For values that are no envelopes: the bytes of such a file (fsu_release them), and the error for
 * a damaged one. Results as those of record_read.
 */
fsha_result record_load(const struct record_place *place, const char *file_name, size_t size_max,
			uint8_t **ret_data, size_t *ret_size, fsha_error *reterr);
fsha_result record_corrupt(const struct record_place *place, const char *file_name, const char *why,
			   fsha_error *reterr);
/* The same for one that is whole and belongs somewhere else, which its `op` tells. */
#define RECORD_OP_FOREIGN "match"
fsha_result record_foreign(const struct record_place *place, const char *file_name, const char *why,
			   fsha_error *reterr);
void record_done(const struct fsu *fs, struct record *record);
/*
 * Verify the bytes of a record that were read from elsewhere, and take them over, on failure too.
 * `file_name` is what it would be called, `within` (may be NULL) the file that it was in.
 */
fsha_result record_verify(const struct record_place *place, const char *file_name,
			  const char *within, uint16_t kind, size_t size_max, uint8_t *bytes,
			  size_t len, struct record *ret_record, fsha_error *reterr);

/* What name and head of a record must agree on. NULL, or what they do not. */
const char *record_mismatch(const struct record_place *place, const char *file_name, uint16_t kind,
			    const struct fsu_record *head);
/* The error of a damaged record, and of one that could not be opened or read with -errno `r`. */
fsha_result record_corrupt(const struct record_place *place, const char *file_name, const char *why,
			   fsha_error *reterr);
fsha_result record_read_error(const struct record_place *place, const char *file_name, int r,
			      fsha_error *reterr);

#endif
