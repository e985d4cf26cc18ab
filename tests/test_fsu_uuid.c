/* UUIDs and hex of fixed width. */
#include "test_fsu.h"

#include "fsutil/fsu_uuid.h"

static int failing_random(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 0, len);
	return -EIO;
}

static void fresh_uuids_are_version_4_and_differ(void **state)
{
	struct fsu_uuid a, b;

	(void)state;
	assert_int_equal(fsu_uuid_make(&fsu_posix, &a), 0);
	assert_int_equal(fsu_uuid_make(&fsu_posix, &b), 0);
	assert_int_equal(a.bytes[6] >> 4, 4);
	assert_int_equal(a.bytes[8] >> 6, 2);
	assert_false(fsu_uuid_equal(&a, &b));
	assert_false(fsu_uuid_is_null(&a));
}

static void without_randomness_there_is_no_uuid(void **state)
{
	struct faulty f;
	struct fsu_uuid uuid = { { 1 } };
	const struct fsu_uuid before = uuid;

	(void)state;
	faulty_init(&f);
	f.ops.random = failing_random;
	assert_int_equal(fsu_uuid_make(&f.fs, &uuid), -EIO);
	assert_true(fsu_uuid_equal(&uuid, &before));
}

static void text_comes_back_as_the_same_uuid(void **state)
{
	struct fsu_uuid a, b;
	char text[FSU_UUID_HEX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(a.bytes); i++)
		a.bytes[i] = (uint8_t)(0xf7 * (i + 1));
	fsu_uuid_format(&a, text);
	assert_int_equal(strlen(text), FSU_UUID_HEX);
	assert_int_equal(fsu_uuid_parse(text, FSU_UUID_HEX, &b), 0);
	assert_true(fsu_uuid_equal(&a, &b));
}

static void only_32_lower_case_digits_are_a_uuid(void **state)
{
	static const char *const bad[] = {
		"",
		"0123456789abcdef0123456789abcde",
		"0123456789abcdef0123456789abcdef0",
		"0123456789ABCDEF0123456789abcdef",
		"0123456789abcdeg0123456789abcdef",
		"01234567-89ab-cdef-0123-456789abc",
		" 123456789abcdef0123456789abcdef",
	};
	struct fsu_uuid uuid;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(fsu_uuid_parse(bad[i], strlen(bad[i]), &uuid), -EINVAL);
	assert_int_equal(fsu_uuid_parse("0123456789abcdef0123456789abcdef", 32, &uuid), 0);
}

static void only_all_zero_is_null(void **state)
{
	struct fsu_uuid uuid = { { 0 } };

	(void)state;
	assert_true(fsu_uuid_is_null(&uuid));
	uuid.bytes[15] = 1;
	assert_false(fsu_uuid_is_null(&uuid));
}

static void hex_of_any_width_comes_back(void **state)
{
	(void)state;
	for (unsigned digits = 1; digits <= 16; digits++) {
		uint64_t top = digits == 16 ? UINT64_MAX : (UINT64_C(1) << (4 * digits)) - 1;
		const uint64_t values[] = { 0, 1, 10, top / 3, top };

		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			uint64_t value = values[i] > top ? top : values[i], back;
			char text[17];

			fsu_hex_format(value, digits, text);
			assert_int_equal(strlen(text), digits);
			assert_int_equal(fsu_hex_parse(text, digits, &back), 0);
			assert_true(back == value);
		}
	}
}

static void hex_that_is_short_or_upper_case_is_refused(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_equal(fsu_hex_parse("12", 3, &value), -EINVAL);
	assert_int_equal(fsu_hex_parse("1F", 2, &value), -EINVAL);
	assert_int_equal(fsu_hex_parse("+1", 2, &value), -EINVAL);
	assert_int_equal(fsu_hex_parse("1f~", 2, &value), 0); /* the rest is the caller's */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fresh_uuids_are_version_4_and_differ),
		cmocka_unit_test(without_randomness_there_is_no_uuid),
		cmocka_unit_test(text_comes_back_as_the_same_uuid),
		cmocka_unit_test(only_32_lower_case_digits_are_a_uuid),
		cmocka_unit_test(only_all_zero_is_null),
		cmocka_unit_test(hex_of_any_width_comes_back),
		cmocka_unit_test(hex_that_is_short_or_upper_case_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
