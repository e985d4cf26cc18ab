#include "fsutil/fsu_uuid.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const char digits_of_hex[] = "0123456789abcdef";

/* The value of a lower-case hex digit, or -1. */
static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int fsu_uuid_make(const struct fsu *fs, struct fsu_uuid *ret_uuid)
{
	struct fsu_uuid uuid;
	int r;

	r = fsu_random(fs, uuid.bytes, sizeof(uuid.bytes));
	if (r < 0)
		return r;
	/* RFC 9562, section 5.4: version 4, variant 10. So it is never null either. */
	uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40);
	uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
	*ret_uuid = uuid;
	return 0;
}

void fsu_uuid_format(const struct fsu_uuid *uuid, char *text)
{
	for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
		text[2 * i] = digits_of_hex[uuid->bytes[i] >> 4];
		text[2 * i + 1] = digits_of_hex[uuid->bytes[i] & 15];
	}
	text[FSU_UUID_HEX] = '\0';
}

int fsu_uuid_parse(const char *text, size_t len, struct fsu_uuid *ret_uuid)
{
	struct fsu_uuid uuid;

	if (len != FSU_UUID_HEX)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(uuid.bytes); i++) {
		int high = hex_value(text[2 * i]);
		int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);

		if (low < 0)
			return -EINVAL;
		uuid.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*ret_uuid = uuid;
	return 0;
}

bool fsu_uuid_equal(const struct fsu_uuid *a, const struct fsu_uuid *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool fsu_uuid_is_null(const struct fsu_uuid *uuid)
{
	static const struct fsu_uuid null;

	return fsu_uuid_equal(uuid, &null);
}

void fsu_hex_format(uint64_t value, unsigned digits, char *text)
{
	assert(digits >= 1 && digits <= 16);
	assert(digits == 16 || value >> (4 * digits) == 0);
	for (unsigned i = digits; i-- > 0; value >>= 4)
		text[i] = digits_of_hex[value & 15];
	text[digits] = '\0';
}

int fsu_hex_parse(const char *text, unsigned digits, uint64_t *ret_value)
{
	uint64_t value = 0;

	assert(digits >= 1 && digits <= 16);
	for (unsigned i = 0; i < digits; i++) {
		int digit = hex_value(text[i]);

		/* A terminator is no digit, so a text that is too short ends here. */
		if (digit < 0)
			return -EINVAL;
		value = value << 4 | (unsigned)digit;
	}
	*ret_value = value;
	return 0;
}
