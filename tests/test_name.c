/*
 * Versioned names: what is written is read back, and nothing else is read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "src/record/name.h"

#define VERSION "0123456789abcdef.00000000000000ff.00a1"

static const fsha_version versions[] = {
	{ .epoch = 0, .sequence = 0, .seat = 0 },
	{ .epoch = 0, .sequence = 1, .seat = 0 },
	{ .epoch = 1, .sequence = 0x0a, .seat = 9 },
	{ .epoch = 0x0123456789abcdef, .sequence = 0xff, .seat = 0xa1 },
	{ .epoch = UINT64_MAX, .sequence = UINT64_MAX, .seat = UINT16_MAX },
};
#define N_VERSIONS (sizeof(versions) / sizeof(versions[0]))

static void name_comes_back_as_it_was_formatted(void **state)
{
	static const char *const keys[] = { "a", "dispatcher", "@history", "a%2Fb%7E",
					    "-", "x.gone",     "SETTINGS" };

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		for (size_t j = 0; j < NAME_FORMS * N_VERSIONS; j++) {
			const fsha_version *version = &versions[j / NAME_FORMS];
			enum name_form form = (enum name_form)(j % NAME_FORMS);
			char text[NAME_SIZE];
			struct name name;

			name_format(keys[i], version, form, text);
			assert_true(name_parse(text, &name));
			assert_int_equal(name.key_len, strlen(keys[i]));
			assert_memory_equal(text, keys[i], name.key_len);
			assert_int_equal(fsha_version_compare(&name.version, version), 0);
			assert_int_equal(name.form, form);
		}
	}
}

static void longest_key_fits_into_a_file_name(void **state)
{
	char key[FSHA_NAME_MAX + 1], text[NAME_SIZE];
	struct name name;

	(void)state;
	memset(key, 'k', FSHA_NAME_MAX);
	key[FSHA_NAME_MAX] = '\0';
	name_format(key, &versions[N_VERSIONS - 1], true, text);
	assert_in_range(strlen(text), FSHA_NAME_MAX + 1, 255);
	assert_true(name_parse(text, &name));
	assert_int_equal(name.key_len, FSHA_NAME_MAX);
	assert_true(name.form == NAME_TOMBSTONE);
}

static void longer_key_than_that_is_rejected(void **state)
{
	char text[NAME_SIZE + 64];
	struct name name;

	(void)state;
	memset(text, 'k', FSHA_NAME_MAX + 1);
	(void)strcpy(text + FSHA_NAME_MAX + 1, "~" VERSION);
	assert_false(name_parse(text, &name));
	assert_true(name_parse(text + 1, &name));
}

static void foreign_names_are_rejected(void **state)
{
	static const char *const foreign[] = {
		"",
		"~",
		"~~",
		"key",
		"key~",
		".nfs000000000001",
		"README",
		"~new-0123456789abcdef0123456789abcdef",
		"~" VERSION,
		"key" VERSION,
		"key~~" VERSION,
		"~key~" VERSION,
		"a~b~" VERSION,
		"key~" VERSION "~",
		"key~" VERSION " ",
		"key~" VERSION "\n",
		"key~" VERSION ".",
		"key~" VERSION ".gon",
		"key~" VERSION ".Gone",
		"key~" VERSION ".gone.",
		"key~" VERSION ".gone.gone",
		"key~" VERSION ".swp",
		"key~" VERSION "0",
		"key~0" VERSION,
		"key~ " VERSION,
		"key~0x23456789abcdef.00000000000000ff.00a1",
		"key~+123456789abcdef.00000000000000ff.00a1",
		"key~0123456789ABCDEF.00000000000000FF.00A1",
		"key~0123456789abcdef-00000000000000ff-00a1",
		"key~0123456789abcdef.00000000000000ff",
		"key~0123456789abcdef.00000000000000ff.a1",
		"key~0123456789abcdef.ff.00a1",
		"key~123456789abcdef.000000000000000ff.00a1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		struct name name = { .key_len = 77 };

		if (name_parse(foreign[i], &name))
			fail_msg("'%s' was taken for a versioned name", foreign[i]);
		assert_int_equal(name.key_len, 77);
	}
}

static void name_cut_off_anywhere_is_rejected(void **state)
{
	char text[NAME_SIZE];
	struct name name;
	size_t gone_at;

	(void)state;
	name_format("key", &versions[3], true, text);
	gone_at = strlen(text) - strlen(".gone");
	for (size_t len = strlen(text) - 1; len > 0; len--) {
		text[len] = '\0';
		/* Without the suffix it is the name of a value. */
		if (len == gone_at)
			continue;
		if (name_parse(text, &name))
			fail_msg("'%s' was taken for a versioned name", text);
	}
}

/* Two file names never mean the same key and version. */
static void what_is_parsed_formats_back_to_the_same_bytes(void **state)
{
	char text[NAME_SIZE], again[NAME_SIZE], key[NAME_SIZE];
	unsigned parsed = 0;

	(void)state;
	name_format("key", &versions[3], true, text);
	for (size_t at = 0; text[at]; at++) {
		char was = text[at];

		for (int byte = 1; byte < 256; byte++) {
			struct name name;

			text[at] = (char)byte;
			if (!name_parse(text, &name))
				continue;
			parsed++;
			(void)snprintf(key, sizeof(key), "%.*s", (int)name.key_len, text);
			name_format(key, &name.version, name.form, again);
			assert_string_equal(again, text);
		}
		text[at] = was;
	}
	/*
	 * 36 digits of 16 values, three bytes of the key but for a tilde, all others as they were.
	 */
	assert_int_equal(parsed, 36 * 16 + 3 * 254 + sizeof("~..") - 1 + sizeof(".gone") - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_comes_back_as_it_was_formatted),
		cmocka_unit_test(longest_key_fits_into_a_file_name),
		cmocka_unit_test(longer_key_than_that_is_rejected),
		cmocka_unit_test(foreign_names_are_rejected),
		cmocka_unit_test(name_cut_off_anywhere_is_rejected),
		cmocka_unit_test(what_is_parsed_formats_back_to_the_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
