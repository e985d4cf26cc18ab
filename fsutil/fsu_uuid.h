/* UUIDs as 16 bytes; in names they are 32 lower-case hex digits. */
#ifndef FSU_UUID_H
#define FSU_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fsutil/fsu_ops.h"

#define FSU_UUID_HEX 32

struct fsu_uuid {
	uint8_t bytes[16];
};

/* A fresh random (version 4) UUID. Returns 0 or the error of the random source. */
int fsu_uuid_make(const struct fsu *fs, struct fsu_uuid *ret_uuid);
/* `text` has room for FSU_UUID_HEX + 1 bytes. */
void fsu_uuid_format(const struct fsu_uuid *uuid, char *text);
/* Exactly 32 lower-case hex digits, then `len` is used up; else -EINVAL. */
int fsu_uuid_parse(const char *text, size_t len, struct fsu_uuid *ret_uuid);
bool fsu_uuid_equal(const struct fsu_uuid *a, const struct fsu_uuid *b);
bool fsu_uuid_is_null(const struct fsu_uuid *uuid);

/* Fixed-width lower-case hex. `digits` is 1 to 16; format writes digits + 1 bytes. */
void fsu_hex_format(uint64_t value, unsigned digits, char *text);
int fsu_hex_parse(const char *text, unsigned digits, uint64_t *ret_value);

#endif
