/* RFC 4648, with padding. */
#ifndef SRC_WORKER_BASE64_H
#define SRC_WORKER_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Characters of `size` bytes, without a terminator. */
static inline size_t base64_len(size_t size)
{
	return (size + 2) / 3 * 4;
}
/* Into `text`, which has room for base64_len(size); not terminated. */
void base64_encode(const uint8_t *data, size_t size, char *text);
/*
 * Into `data`, which has room for len / 4 * 3 bytes. -EINVAL for anything that encode would not
 * have written.
 */
int base64_decode(const char *text, size_t len, uint8_t *data, size_t *ret_size);

#endif
