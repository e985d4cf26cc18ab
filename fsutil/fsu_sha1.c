#include "fsutil/fsu_sha1.h"

#include <string.h>

static uint32_t rotate(uint32_t x, int bits)
{
	return x << bits | x >> (32 - bits);
}

/* Section 6.1.2 of the standard, with the schedule in a ring of 16 words (6.1.3). */
static void digest_block(uint32_t h[5], const uint8_t *block)
{
	uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], w[16];

	for (int t = 0; t < 80; t++) {
		uint32_t f, k, next;

		if (t < 16)
			w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
			       (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
		else
			w[t & 15] = rotate(w[(t + 13) & 15] ^ w[(t + 8) & 15] ^ w[(t + 2) & 15] ^
						   w[t & 15],
					   1);
		if (t < 20) {
			f = (b & c) | (~b & d);
			k = 0x5a827999;
		} else if (t < 40) {
			f = b ^ c ^ d;
			k = 0x6ed9eba1;
		} else if (t < 60) {
			f = (b & c) | (b & d) | (c & d);
			k = 0x8f1bbcdc;
		} else {
			f = b ^ c ^ d;
			k = 0xca62c1d6;
		}
		next = rotate(a, 5) + f + e + k + w[t & 15];
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

void fsu_sha1_init(struct fsu_sha1 *s)
{
	*s = (struct fsu_sha1){
		.h = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 },
	};
}

void fsu_sha1_add(struct fsu_sha1 *s, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len > 0) {
		size_t used = (size_t)(s->len % sizeof(s->block));
		size_t n = sizeof(s->block) - used;

		if (n > len)
			n = len;
		memcpy(s->block + used, at, n);
		s->len += n;
		at += n;
		len -= n;
		if (used + n == sizeof(s->block))
			digest_block(s->h, s->block);
	}
}

void fsu_sha1_end(struct fsu_sha1 *s, uint8_t ret_hash[FSU_SHA1_SIZE])
{
	static const uint8_t padding[64] = { 0x80 };
	uint64_t bits = s->len * 8;
	size_t used = (size_t)(s->len % sizeof(s->block));
	uint8_t length[8];

	fsu_sha1_add(s, padding, used < 56 ? 56 - used : 120 - used);
	for (int i = 0; i < 8; i++)
		length[i] = (uint8_t)(bits >> (56 - 8 * i));
	fsu_sha1_add(s, length, sizeof(length));
	for (int i = 0; i < FSU_SHA1_SIZE; i++)
		ret_hash[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}
