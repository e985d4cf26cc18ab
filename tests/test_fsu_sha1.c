/* SHA-1 gives what the standard and others give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fsutil/fsu_sha1.h"

static void expect_hash(struct fsu_sha1 *s, const char *expected)
{
	uint8_t hash[FSU_SHA1_SIZE];
	char text[2 * FSU_SHA1_SIZE + 1];

	fsu_sha1_end(s, hash);
	for (size_t i = 0; i < FSU_SHA1_SIZE; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", hash[i]);
	assert_string_equal(text, expected);
}

static void the_examples_of_the_standard_come_out(void **state)
{
	static const struct {
		const char *text, *hash;
	} cases[] = {
		{ "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
		{ "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
	};
	struct fsu_sha1 s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fsu_sha1_init(&s);
		fsu_sha1_add(&s, cases[i].text, strlen(cases[i].text));
		expect_hash(&s, cases[i].hash);
	}
	fsu_sha1_init(&s);
	for (int i = 0; i < 1000000; i++)
		fsu_sha1_add(&s, "a", 1);
	expect_hash(&s, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

static void pieces_of_every_length_give_the_hash_of_the_whole(void **state)
{
	uint8_t data[300], whole[FSU_SHA1_SIZE], pieces[FSU_SHA1_SIZE];
	struct fsu_sha1 s;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	for (size_t len = 0; len <= sizeof(data); len++) {
		fsu_sha1_init(&s);
		fsu_sha1_add(&s, data, len);
		fsu_sha1_end(&s, whole);
		for (size_t step = 1; step < 130; step += 13) {
			fsu_sha1_init(&s);
			for (size_t at = 0; at < len; at += step)
				fsu_sha1_add(&s, data + at, len - at < step ? len - at : step);
			fsu_sha1_end(&s, pieces);
			assert_memory_equal(whole, pieces, sizeof(whole));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_standard_come_out),
		cmocka_unit_test(pieces_of_every_length_give_the_hash_of_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
