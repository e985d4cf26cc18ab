/* Keys of blobs: one text for one key, and Flink's order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fsha/blob.h"

#define HASH "0123456789abcdef0123456789abcdef01234567"
#define RANDOM "fedcba9876543210fedcba9876543210"

static fsha_blob_key parsed(const char *text)
{
	fsha_blob_key key;

	if (fsha_blob_key_parse(text, &key) != FSHA_OK)
		fail_msg("'%s'", text);
	return key;
}

static void a_key_is_its_text(void **state)
{
	fsha_blob_key key = parsed("p-" HASH "-" RANDOM);
	char text[FSHA_BLOB_KEY_TEXT];

	(void)state;
	assert_int_equal(key.type, FSHA_BLOB_PERMANENT);
	assert_int_equal(key.hash[0], 0x01);
	assert_int_equal(key.hash[19], 0x67);
	assert_int_equal(key.random[0], 0xfe);
	assert_int_equal(key.random[15], 0x10);
	assert_string_equal(fsha_blob_key_format(&key, text), "p-" HASH "-" RANDOM);
	assert_int_equal(strlen(text), FSHA_BLOB_KEY_TEXT - 1);
	key = parsed("t-0123456789ABCDEF0123456789ABCDEF01234567-" RANDOM);
	assert_int_equal(key.type, FSHA_BLOB_TRANSIENT);
	assert_string_equal(fsha_blob_key_format(&key, text), "t-" HASH "-" RANDOM);
}

static void what_is_no_key_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"p",
		"p-",
		"x-" HASH "-" RANDOM,
		"P-" HASH "-" RANDOM,
		"pp" HASH "-" RANDOM,
		"p-" HASH,
		"p-" HASH "-",
		"p-" HASH RANDOM,
		"p-" HASH "-" RANDOM "0",
		"p-" HASH "-" RANDOM "-x",
		"p-" HASH "-fedcba9876543210fedcba987654321",
		"p-" HASH "-gedcba9876543210fedcba9876543210",
		"p-g123456789abcdef0123456789abcdef01234567-" RANDOM,
		" p-" HASH "-" RANDOM,
	};
	fsha_blob_key key = { .type = 77 };
	char text[FSHA_BLOB_KEY_TEXT] = "x";

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (fsha_blob_key_parse(texts[i], &key) != FSHA_E_INVALID)
			fail_msg("'%s'", texts[i]);
	assert_int_equal(fsha_blob_key_parse(NULL, &key), FSHA_E_INVALID);
	assert_int_equal(fsha_blob_key_parse("p-" HASH "-" RANDOM, NULL), FSHA_E_INVALID);
	assert_int_equal(key.type, 77);
	assert_string_equal(fsha_blob_key_format(&key, text), "");
}

static void keys_are_ordered_by_hash_then_type_then_random(void **state)
{
	static const char *const texts[] = {
		"p-0000000000000000000000000000000000000000-ffffffffffffffffffffffffffffffff",
		"t-0000000000000000000000000000000000000000-00000000000000000000000000000000",
		"t-0000000000000000000000000000000000000000-80000000000000000000000000000000",
		"p-7f00000000000000000000000000000000000000-00000000000000000000000000000000",
		"p-8000000000000000000000000000000000000000-00000000000000000000000000000000",
	};
	const int n = sizeof(texts) / sizeof(texts[0]);

	(void)state;
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) {
			fsha_blob_key a = parsed(texts[i]), b = parsed(texts[j]);
			int order = fsha_blob_key_compare(&a, &b);

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
}

static void two_keys_of_one_content_differ_in_their_random_part(void **state)
{
	uint8_t hash[FSHA_BLOB_HASH_SIZE] = { 1, 2, 3 };
	fsha_error error = FSHA_ERROR_INIT;
	fsha_blob_key a, b;

	(void)state;
	assert_int_equal(fsha_blob_key_make(FSHA_BLOB_TRANSIENT, hash, &a, &error), FSHA_OK);
	assert_int_equal(fsha_blob_key_make(FSHA_BLOB_TRANSIENT, hash, &b, &error), FSHA_OK);
	assert_memory_equal(a.hash, hash, sizeof(hash));
	assert_int_equal(a.type, FSHA_BLOB_TRANSIENT);
	assert_memory_equal(a.hash, b.hash, sizeof(hash));
	assert_memory_not_equal(a.random, b.random, sizeof(a.random));
	assert_int_equal(fsha_blob_key_make((fsha_blob_type)2, hash, &a, &error), FSHA_E_INVALID);
	assert_int_equal(fsha_blob_key_make(FSHA_BLOB_PERMANENT, NULL, &a, &error), FSHA_E_INVALID);
	assert_int_equal(fsha_blob_key_make(FSHA_BLOB_PERMANENT, hash, NULL, NULL), FSHA_E_INVALID);
}

static void the_key_of_a_file_has_the_hash_of_its_content(void **state)
{
	char path[] = "/tmp/fsha-test-blob-key-XXXXXX", text[FSHA_BLOB_KEY_TEXT];
	fsha_error error = FSHA_ERROR_INIT;
	int fd = mkstemp(path);
	fsha_blob_key key;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "abc", 3), 3);
	(void)close(fd);
	assert_int_equal(fsha_blob_key_of_file(FSHA_BLOB_PERMANENT, path, &key, &error), FSHA_OK);
	fsha_blob_key_format(&key, text);
	assert_memory_equal(text, "p-a9993e364706816aba3e25717850c26c9cd0d89d-", 43);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fsha_blob_key_of_file(FSHA_BLOB_PERMANENT, path, &key, &error),
			 FSHA_E_NOT_FOUND);
	assert_non_null(strstr(error.message, path));
	assert_int_equal(fsha_blob_key_of_file(FSHA_BLOB_PERMANENT, "/tmp", &key, &error),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_blob_key_of_file(FSHA_BLOB_PERMANENT, NULL, &key, &error),
			 FSHA_E_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_its_text),
		cmocka_unit_test(what_is_no_key_is_refused),
		cmocka_unit_test(keys_are_ordered_by_hash_then_type_then_random),
		cmocka_unit_test(two_keys_of_one_content_differ_in_their_random_part),
		cmocka_unit_test(the_key_of_a_file_has_the_hash_of_its_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
