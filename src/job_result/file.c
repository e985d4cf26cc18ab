/* Job results as files of the store, and the public face of the codec. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/job_result/job_result.h"
#include "src/job_result/json.h"
#include "src/result/error.h"

#define KEY_SIZE (FSU_RECORD_KEY_MAX + 1)

/* With the seal, which is small. */
#define FILE_MAX (FSHA_JOB_RESULT_MAX + 4096)

static struct job_result_seal seal_of(const struct record_place *place, const char *key,
				      const fsha_version *version, char *full_key)
{
	(void)snprintf(full_key, KEY_SIZE, "%s/%s", place->directory, key);
	return (struct job_result_seal){
		.key = full_key,
		.version = *version,
		.cluster = place->cluster ? *place->cluster : (struct fsu_uuid){ { 0 } },
	};
}

/* As the `stage` of a term_write; the payload is the result as JSON, with a seal or without. */
static fsha_result stage(void *ctx, const struct record_place *place,
			 const struct record_content *content, int dirfd, const char *path,
			 int *ret_errno, const char **ret_op, fsha_error *reterr)
{
	char key[KEY_SIZE], why[JSON_TEXT_WHY_SIZE], *text;
	struct job_result_seal seal = seal_of(place, content->key, &content->version, key);
	size_t len;
	int r;

	(void)ctx;
	seal.session = content->session;
	r = fsu_uuid_make(place->fs, &seal.write_id);
	if (r < 0)
		return error_os(reterr, r, "random", "cannot make a write id");
	r = job_result_seal(place->fs, content->payload, content->size, &seal, &text, &len, why);
	if (r == -EBADMSG)
		return error_set(reterr, FSHA_E_INVALID, 0, "encode", "cannot write '%s': %s", key,
				 why);
	if (r < 0)
		return error_os(reterr, r, "encode", "cannot write '%s'", key);
	text[len] = '\n'; /* instead of the zero byte */
	*ret_errno = fsu_file_stage(place->fs, dirfd, path, text, len + 1, ret_op);
	fsu_release(place->fs, text);
	return *ret_errno < 0 ? FSHA_E_IO : FSHA_OK;
}

static fsha_result read_sealed(const struct record_place *place, const char *file_name,
			       struct record *ret_record, fsha_error *reterr)
{
	char key[KEY_SIZE], why[JSON_TEXT_WHY_SIZE], name_key[FSHA_NAME_MAX + 1];
	struct record record = { .file = NULL };
	struct job_result_seal seal;
	struct name name;
	fsha_result result;
	int r;

	if (!name_parse(file_name, &name))
		return record_corrupt(place, file_name, "its name has no version", reterr);
	memcpy(name_key, file_name, name.key_len);
	name_key[name.key_len] = '\0';
	result = record_load(place, file_name, FILE_MAX, &record.data, &record.size, reterr);
	if (result != FSHA_OK)
		return result;
	seal = seal_of(place, name_key, &name.version, key);
	r = job_result_check_seal(place->fs, (const char *)record.data, record.size, &seal, why);
	if (r == 0) {
		*ret_record = record;
		return FSHA_OK;
	}
	record_done(place->fs, &record);
	return r == -EBADMSG ? record_corrupt(place, file_name, why, reterr) :
			       error_os(reterr, r, "decode", "cannot read '%s/%s'",
					place->directory, file_name);
}

const struct store_format job_result_format = { NAME_JSON, stage, read_sealed };

fsha_result fsha_job_result_parse(const char *text, size_t size, fsha_job_result **ret_result,
				  fsha_error *reterr)
{
	char why[JSON_TEXT_WHY_SIZE];
	int r;

	if (!text || !ret_result)
		return error_set(reterr, FSHA_E_INVALID, 0, "parse", "an argument is NULL");
	if (size > FSHA_JOB_RESULT_MAX)
		return error_set(reterr, FSHA_E_INVALID, 0, "parse",
				 "the job result has %zu bytes, at most %llu are allowed", size,
				 (unsigned long long)FSHA_JOB_RESULT_MAX);
	r = job_result_decode(&fsu_posix, text, size, ret_result, why);
	if (r == -EBADMSG)
		return error_set(reterr, FSHA_E_INVALID, 0, "parse", "no job result: %s", why);
	return r < 0 ? error_os(reterr, r, "parse", "cannot read a job result") : FSHA_OK;
}

fsha_result job_result_format_with(const struct fsu *fs, const fsha_job_result *result,
				   char **ret_text, size_t *ret_size, fsha_error *reterr)
{
	char why[JSON_TEXT_WHY_SIZE];
	int r;

	r = job_result_encode(fs, result, ret_text, ret_size, why);
	if (r == -EINVAL)
		return error_set(reterr, FSHA_E_INVALID, 0, "format", "no job result: %s", why);
	return r < 0 ? error_os(reterr, r, "format", "cannot write a job result") : FSHA_OK;
}

fsha_result fsha_job_result_format(const fsha_job_result *result, char **ret_text, size_t *ret_size,
				   fsha_error *reterr)
{
	if (!result || !ret_text || !ret_size)
		return error_set(reterr, FSHA_E_INVALID, 0, "format", "an argument is NULL");
	return job_result_format_with(&fsu_posix, result, ret_text, ret_size, reterr);
}
