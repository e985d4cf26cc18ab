#include "src/worker/base64.h"

#include <errno.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
#define PADDING 64

void base64_encode(const uint8_t *data, size_t size, char *text)
{
	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t bits = (uint32_t)data[i] << 16 |
				(left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
				(left > 2 ? data[i + 2] : 0);

		*text++ = digits[bits >> 18];
		*text++ = digits[bits >> 12 & 63];
		*text++ = digits[left > 1 ? bits >> 6 & 63 : PADDING];
		*text++ = digits[left > 2 ? bits & 63 : PADDING];
	}
}

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(const char *text, size_t len, uint8_t *data, size_t *ret_size)
{
	size_t padding = 0, size = 0;

	if (len % 4 != 0)
		return -EINVAL;
	while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < len; i += 4) {
		size_t bytes = i + 4 < len ? 3 : 3 - padding;
		uint32_t bits = 0;

		for (size_t j = 0; j < 4; j++) {
			int value = j <= bytes ? value_of(text[i + j]) : 0;

			if (value < 0)
				return -EINVAL;
			bits = bits << 6 | (uint32_t)value;
		}
		for (size_t j = 0; j < bytes; j++)
			data[size++] = (uint8_t)(bits >> (16 - 8 * j));
		/* What the padding stands for is zero, or two texts would mean the same. */
		if (bytes < 3 && (bits & ((1u << 8 * (3 - bytes)) - 1)) != 0)
			return -EINVAL;
	}
	*ret_size = size;
	return 0;
}
