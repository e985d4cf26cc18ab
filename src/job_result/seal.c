/* The member "fsha" of a job result on disk: where it belongs, and that it is whole. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "src/job_result/json.h"

#define MEMBER "fsha"
#define CHECKSUM_SIZE 33

/*
 * Over the value as jansson writes it with sorted names, no spaces and ASCII alone, without the
 * checksum itself.
 */
static int checksum(const struct fsu *fs, const json_t *document, char *ret_text)
{
	XXH128_canonical_t bytes;
	char *text;
	size_t len;
	int r;

	r = json_text_dump(fs, document, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII, &text,
			   &len);
	if (r < 0)
		return r;
	XXH128_canonicalFromHash(&bytes, XXH3_128bits(text, len));
	fsu_release(fs, text);
	for (size_t i = 0; i < sizeof(bytes.digest); i++)
		fsu_hex_format(bytes.digest[i], 2, ret_text + 2 * i);
	return 0;
}

static json_t *seal_json(const struct job_result_seal *seal)
{
	char version[FSHA_VERSION_TEXT], session[FSU_UUID_HEX + 1], cluster[FSU_UUID_HEX + 1];
	char write_id[FSU_UUID_HEX + 1];

	fsu_uuid_format(&seal->session, session);
	fsu_uuid_format(&seal->cluster, cluster);
	fsu_uuid_format(&seal->write_id, write_id);
	return json_pack("{s:s, s:s, s:I, s:s, s:s, s:s}", "key", seal->key, "version",
			 fsha_version_format(&seal->version, version), "epoch",
			 (json_int_t)seal->version.epoch, "session", session, "cluster", cluster,
			 "write-id", write_id);
}

int job_result_seal(const struct fsu *fs, const char *text, size_t len,
		    const struct job_result_seal *seal, char **ret_text, size_t *ret_len,
		    char *ret_why)
{
	_cleanup_json_ json_t *document = NULL;
	char sum[CHECKSUM_SIZE];
	json_t *inner, *member;
	int r;

	r = json_text_load(text, len, &document, ret_why);
	if (r < 0)
		return r;
	inner = json_object_get(document, "result");
	if (!json_is_object(inner)) {
		(void)snprintf(ret_why, JSON_TEXT_WHY_SIZE, "it has no object \"result\"");
		return -EBADMSG;
	}
	member = seal_json(seal);
	if (json_object_set_new(inner, MEMBER, member) < 0)
		return -ENOMEM;
	r = checksum(fs, document, sum);
	if (r < 0)
		return r;
	if (json_object_set_new(member, "checksum", json_string(sum)) < 0)
		return -ENOMEM;
	return json_text_dump(fs, document, JSON_COMPACT, ret_text, ret_len);
}

static bool is_text(const json_t *object, const char *name, const char *text)
{
	const char *value = json_string_value(json_object_get(object, name));

	return value && strcmp(value, text) == 0;
}

/* NULL, or what does not fit. */
static const char *mismatch(const json_t *member, const struct job_result_seal *expected)
{
	char version[FSHA_VERSION_TEXT], cluster[FSU_UUID_HEX + 1];

	fsu_uuid_format(&expected->cluster, cluster);
	if (!is_text(member, "key", expected->key))
		return "it belongs under another name";
	if (!fsu_uuid_is_null(&expected->cluster) && !is_text(member, "cluster", cluster))
		return "it belongs to another cluster";
	if (!is_text(member, "version", fsha_version_format(&expected->version, version)))
		return "it has another version than its name";
	return NULL;
}

int job_result_check_seal(const struct fsu *fs, const char *text, size_t len,
			  const struct job_result_seal *expected, char *ret_why)
{
	_cleanup_json_ json_t *document = NULL;
	char sum[CHECKSUM_SIZE], said[CHECKSUM_SIZE];
	const char *value, *why = NULL;
	json_t *member;
	int r;

	r = json_text_load(text, len, &document, ret_why);
	if (r < 0)
		return r;
	member = json_object_get(json_object_get(document, "result"), MEMBER);
	value = json_string_value(json_object_get(member, "checksum"));
	if (!value || strlen(value) != CHECKSUM_SIZE - 1) {
		why = "it has no checksum: fsha did not write it";
	} else {
		memcpy(said, value, CHECKSUM_SIZE);
		(void)json_object_del(member, "checksum"); /* it is there */
		r = checksum(fs, document, sum);
		if (r < 0)
			return r;
		why = strcmp(sum, said) != 0 ? "its checksum does not fit" :
					       mismatch(member, expected);
	}
	if (!why)
		return 0;
	(void)snprintf(ret_why, JSON_TEXT_WHY_SIZE, "%s", why);
	return -EBADMSG;
}
