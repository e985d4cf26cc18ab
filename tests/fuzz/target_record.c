/* The envelope: fsu_record_decode, _inflate, _encode, and record_verify, which binds it to a place.
 */
#include <errno.h>
#include <string.h>

#include "fsutil/fsu_stream.h"
#include "src/record/record.h"
#include "tests/fuzz/fuzz.h"

#define VALUE_MAX ((size_t)1 << 20)
#define ZLIB_MEMORY ((size_t)512 << 10)

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	return fuzz_mutate_record(data, size, size_max, seed);
}

/* One that is not deflated may be deflated by the encoder: that is left to the zlib. */
static void encode_again(const struct fsu_record *record, const uint8_t *data, size_t size)
{
	size_t bound = fsu_record_bound(record->key_len, record->raw_len);
	uint8_t *again;
	ssize_t n;

	if (record->flags & FSU_RECORD_DEFLATED)
		bound = fsu_record_bound(record->key_len, record->stored_len);
	again = malloc(bound);
	FUZZ_CHECK(again);
	n = fsu_record_encode(fuzz_table(), record, again, bound);
	FUZZ_CHECK(n > 0);
	if (!(record->flags & FSU_RECORD_DEFLATED) && record->raw_len >= FSU_RECORD_DEFLATE_MIN &&
	    (size_t)n < size) {
		struct fsu_record other;
		uint8_t *raw = malloc(record->raw_len);

		FUZZ_CHECK(raw);
		FUZZ_CHECK(fsu_record_decode(again, (size_t)n, &other, NULL) == 0);
		FUZZ_CHECK(other.raw_len == record->raw_len);
		FUZZ_CHECK(fsu_record_inflate(fuzz_table(), &other, raw) == 0);
		FUZZ_CHECK(memcmp(raw, record->payload, record->raw_len) == 0);
		free(raw);
	} else {
		FUZZ_CHECK((size_t)n == size);
		FUZZ_CHECK(memcmp(again, data, size) == 0);
	}
	free(again);
}

static void inflate(const struct fsu_record *record)
{
	uint8_t *raw;
	int r;

	if (record->raw_len > VALUE_MAX)
		return;
	raw = malloc(record->raw_len + 1);
	FUZZ_CHECK(raw);
	r = fsu_record_inflate(fuzz_table(), record, raw);
	FUZZ_CHECK(r == 0 || r == -EBADMSG);
	free(raw);
}

/* Under the name that its head gives, in the directory that its key gives, and under another. */
static void verify(const uint8_t *data, size_t size, const struct fsu_record *head, bool right)
{
	char directory[FSU_RECORD_KEY_MAX + 1] = "leaders", key[FSU_RECORD_KEY_MAX + 1] = "k";
	const fsha_version version = { .epoch = head->epoch,
				       .sequence = head->sequence,
				       .seat = head->seat };
	struct record_place place = { fuzz_table(), NULL, -1, directory };
	fsha_error error = FSHA_ERROR_INIT;
	char file_name[NAME_SIZE], text[FSU_RECORD_KEY_MAX + 1];
	struct record record;
	fsha_result result;
	uint8_t *bytes;
	char *slash;

	memcpy(text, head->key, head->key_len);
	text[head->key_len] = '\0';
	slash = strrchr(text, '/');
	if (right && slash && strlen(slash + 1) > 0 && strlen(slash + 1) <= FSHA_NAME_MAX) {
		*slash = '\0';
		strcpy(directory, text);
		strcpy(key, slash + 1);
	}
	name_format(key, &version, head->flags & FSU_RECORD_TOMBSTONE ? NAME_TOMBSTONE : NAME_VALUE,
		    file_name);
	bytes = fsu_alloc(fuzz_table(), size);
	memcpy(bytes, data, size);
	result = record_verify(&place, file_name, NULL, head->kind, VALUE_MAX, bytes, size, &record,
			       &error);
	FUZZ_CHECK(result == FSHA_OK || result == FSHA_E_CORRUPT || result == FSHA_E_INVALID ||
		   result == FSHA_E_UNSUPPORTED);
	if (result == FSHA_OK) {
		FUZZ_CHECK(record.size <= VALUE_MAX);
		FUZZ_CHECK(record.data[record.size] == '\0');
		record_done(fuzz_table(), &record);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fsu_record record;
	const char *why = NULL;
	int r;

	fuzz_begin(2 * size + VALUE_MAX + ZLIB_MEMORY);
	r = fsu_record_decode(data, size, &record, &why);
	FUZZ_CHECK(r == 0 || (why && (r == -EBADMSG || r == -EPROTONOSUPPORT)));
	FUZZ_CHECK(fsu_record_measure(data, size) <=
		   fsu_record_bound(FSU_RECORD_KEY_MAX, FSU_RECORD_RAW_MAX));
	if (r == 0) {
		FUZZ_CHECK(record.raw_len <= FSU_RECORD_RAW_MAX);
		if (!(record.flags & FSU_RECORD_STREAMED)) {
			encode_again(&record, data, size);
			inflate(&record);
		}
		verify(data, size, &record, true);
		verify(data, size, &record, false);
	}
	fuzz_end();
	return 0;
}
