/*
 * A fuzzer never guesses 128 bits of a checksum. So a change of a record is sealed: the lengths are
 * made to fit its size and the checksum its bytes. doc/FORMAT.md has the offsets; they are written
 * down here again because a test that took them from the code could not see them change.
 */
#include <string.h>
#include <xxhash.h>

#include "fsutil/fsu_stream.h"
#include "tests/fuzz/fuzz.h"

enum {
	AT_FORMAT = 8,
	AT_FLAGS = 12,
	AT_KEY_LEN = 50,
	AT_RESERVED = 52,
	AT_RAW_LEN = 96,
	AT_STORED_LEN = 104,
	HEAD = 112,
	TAIL = 16,
};

static void put(uint8_t *at, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static void put_checksum(uint8_t *buf, size_t len)
{
	XXH128_hash_t hash = XXH3_128bits(buf, len - TAIL);

	put(buf + len - TAIL, hash.low64, 8);
	put(buf + len - TAIL + 8, hash.high64, 8);
}

void fuzz_seal(uint8_t *buf, size_t len, bool all)
{
	size_t key_len;

	if (len < HEAD + 1 + TAIL)
		return;
	if (all) {
		memcpy(buf, "FSHAREC\n\1", 10);
		put(buf + AT_RESERVED, 0, 4);
	}
	if (buf[AT_FLAGS] & FSU_RECORD_STREAMED) {
		if (len < FSU_STREAM_HEAD + FSU_STREAM_TAIL)
			return;
		put(buf + len - FSU_STREAM_TAIL, len - FSU_STREAM_HEAD - FSU_STREAM_TAIL, 8);
	} else {
		key_len = buf[AT_KEY_LEN] | (size_t)buf[AT_KEY_LEN + 1] << 8;
		if (key_len == 0 || key_len > len - HEAD - TAIL) {
			key_len = 1;
			put(buf + AT_KEY_LEN, key_len, 2);
		}
		put(buf + AT_STORED_LEN, len - HEAD - TAIL - key_len, 8);
		if (!(buf[AT_FLAGS] & FSU_RECORD_DEFLATED))
			put(buf + AT_RAW_LEN, len - HEAD - TAIL - key_len, 8);
	}
	put_checksum(buf, len);
}

size_t fuzz_mutate_record(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, size_max);
	if (seed % 8 != 0)
		fuzz_seal(data, size, seed % 8 != 1);
	return size;
}
