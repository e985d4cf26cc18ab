/* The key of a blob as bytes, as text, and in order. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "fsha/blob.h"
#include "fsutil/fsu_sha1.h"
#include "fsutil/fsu_stream.h"
#include "src/blob/local.h"
#include "src/result/error.h"

static const char digits[] = "0123456789abcdef";

static bool is_type(int32_t type)
{
	return type == FSHA_BLOB_PERMANENT || type == FSHA_BLOB_TRANSIENT;
}

static char *put_hex(char *text, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		*text++ = digits[bytes[i] >> 4];
		*text++ = digits[bytes[i] & 15];
	}
	return text;
}

/* Behind the digits; NULL when they are none. */
static const char *get_hex(const char *text, uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < 2 * size; i++) {
		bool upper = text[i] >= 'A' && text[i] <= 'F';
		int c = upper ? text[i] - 'A' + 'a' : text[i];
		const char *digit = c ? strchr(digits, c) : NULL;

		if (!digit)
			return NULL;
		bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | (digit - digits));
	}
	return text + 2 * size;
}

char *fsha_blob_key_format(const fsha_blob_key *key, char *text)
{
	char *at = text;

	if (!key || !is_type(key->type)) {
		*text = '\0';
		return text;
	}
	*at++ = key->type == FSHA_BLOB_PERMANENT ? 'p' : 't';
	*at++ = '-';
	at = put_hex(at, key->hash, sizeof(key->hash));
	*at++ = '-';
	at = put_hex(at, key->random, sizeof(key->random));
	*at = '\0';
	return text;
}

fsha_result fsha_blob_key_parse(const char *text, fsha_blob_key *ret_key)
{
	fsha_blob_key key = { .type = FSHA_BLOB_PERMANENT };

	if (!text || !ret_key || (text[0] != 'p' && text[0] != 't') || text[1] != '-')
		return FSHA_E_INVALID;
	if (text[0] == 't')
		key.type = FSHA_BLOB_TRANSIENT;
	text = get_hex(text + 2, key.hash, sizeof(key.hash));
	if (!text || *text != '-')
		return FSHA_E_INVALID;
	text = get_hex(text + 1, key.random, sizeof(key.random));
	if (!text || *text)
		return FSHA_E_INVALID;
	*ret_key = key;
	return FSHA_OK;
}

int fsha_blob_key_compare(const fsha_blob_key *a, const fsha_blob_key *b)
{
	int order = memcmp(a->hash, b->hash, sizeof(a->hash));

	if (order == 0)
		order = (a->type > b->type) - (a->type < b->type);
	return order ? order : memcmp(a->random, b->random, sizeof(a->random));
}

fsha_result fsha_blob_key_make(fsha_blob_type type, const uint8_t *hash, fsha_blob_key *ret_key,
			       fsha_error *reterr)
{
	fsha_blob_key key = { .type = (int32_t)type };
	int r;

	if (!hash || !ret_key)
		return error_set(reterr, FSHA_E_INVALID, 0, "key", "an argument is NULL");
	if (!is_type(key.type))
		return error_set(reterr, FSHA_E_INVALID, 0, "key", "%d is no type of a blob",
				 (int)type);
	memcpy(key.hash, hash, sizeof(key.hash));
	r = fsu_random(&fsu_posix, key.random, sizeof(key.random));
	if (r < 0)
		return error_os(reterr, r, "random", "cannot make the key of a blob");
	*ret_key = key;
	return FSHA_OK;
}

static fsha_result hash_file(const char *path, uint8_t *ret_hash, fsha_error *reterr)
{
	uint8_t *chunk = fsu_alloc(&fsu_posix, FSU_STREAM_CHUNK);
	struct local_source source;
	struct fsu_sha1 sha1;
	fsha_result result;
	ssize_t n;

	if (!chunk)
		return error_os(reterr, -ENOMEM, "alloc", "cannot read '%.200s'", path);
	result = local_source_open(&source, &fsu_posix, path, reterr);
	if (result == FSHA_OK) {
		fsu_sha1_init(&sha1);
		while ((n = source.source.source.read(&source, chunk, FSU_STREAM_CHUNK)) > 0)
			fsu_sha1_add(&sha1, chunk, (size_t)n);
		fsu_sha1_end(&sha1, ret_hash);
		if (n < 0)
			result = error_copy(reterr, &source.error);
		local_source_close(&source);
	}
	fsu_release(&fsu_posix, chunk);
	return result;
}

fsha_result fsha_blob_key_of_file(fsha_blob_type type, const char *local_file,
				  fsha_blob_key *ret_key, fsha_error *reterr)
{
	uint8_t hash[FSHA_BLOB_HASH_SIZE];
	fsha_result result;

	if (!local_file || !ret_key)
		return error_set(reterr, FSHA_E_INVALID, 0, "key", "an argument is NULL");
	result = hash_file(local_file, hash, reterr);
	return result == FSHA_OK ? fsha_blob_key_make(type, hash, ret_key, reterr) : result;
}
