#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/storm/payload.h"

/* The bytes behind the first line; they go through all values, and do not repeat soon. */
static void fill(const char *value, char *buf, size_t size)
{
	uint64_t x = UINT64_C(0x9e3779b97f4a7c15);

	for (; *value; value++)
		x = (x ^ (unsigned char)*value) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		buf[i] = (char)(x >> 32);
	}
}

void payload_make(const char *value, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%s %zu\n", value, size);

	assert(n > 0);
	assert((size_t)n < size);
	fill(value, buf + n, size - (size_t)n);
}

bool payload_read(const char *buf, size_t size, char *ret_value)
{
	static char expected[PAYLOAD_MAX];
	const char *end = memchr(buf, ' ', size < VALUE_SIZE ? size : VALUE_SIZE);

	if (!end || size > sizeof(expected) || size < 2 * (size_t)VALUE_SIZE)
		return false;
	memcpy(ret_value, buf, (size_t)(end - buf));
	ret_value[end - buf] = '\0';
	payload_make(ret_value, expected, size);
	return memcmp(buf, expected, size) == 0;
}
