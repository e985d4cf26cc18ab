/*
 * SHA-1 (FIPS 180-4), for the keys of blobs, which are Flink's. Not for anything that must resist
 * an attacker, and not for our own checksums.
 */
#ifndef FSU_SHA1_H
#define FSU_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define FSU_SHA1_SIZE 20

struct fsu_sha1 {
	uint32_t h[5];
	uint64_t len; /* bytes so far */
	uint8_t block[64];
};
void fsu_sha1_init(struct fsu_sha1 *s);
void fsu_sha1_add(struct fsu_sha1 *s, const void *data, size_t len);
void fsu_sha1_end(struct fsu_sha1 *s, uint8_t ret_hash[FSU_SHA1_SIZE]);

#endif
