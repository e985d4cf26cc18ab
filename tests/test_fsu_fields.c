/* Payload fields. */
#include "test_fsu.h"

#include "fsutil/fsu_record.h"

static void fields_come_back_as_they_were_put(void **state)
{
	const struct fsu_uuid uuid = { { 1, 2, 3, [15] = 16 } };
	struct fsu_uuid uuid_back;
	uint8_t buf[256];
	struct fsu_writer w = { .buf = buf, .size = sizeof(buf) };
	struct fsu_reader r;
	const void *bytes;
	char text[8];
	size_t len;

	(void)state;
	fsu_put_u8(&w, 0xfe);
	fsu_put_u16(&w, 0xfedc);
	fsu_put_u32(&w, 0xfedcba98);
	fsu_put_u64(&w, UINT64_C(0xfedcba9876543210));
	fsu_put_uuid(&w, &uuid);
	fsu_put_bytes(&w, "a\0b", 3);
	fsu_put_bytes(&w, NULL, 0);
	fsu_put_bytes(&w, "text", 4);
	assert_int_equal(w.error, 0);

	r = (struct fsu_reader){ .buf = buf, .size = w.len };
	assert_int_equal(fsu_get_u8(&r), 0xfe);
	assert_int_equal(fsu_get_u16(&r), 0xfedc);
	assert_int_equal(fsu_get_u32(&r), 0xfedcba98);
	assert_true(fsu_get_u64(&r) == UINT64_C(0xfedcba9876543210));
	fsu_get_uuid(&r, &uuid_back);
	assert_true(fsu_uuid_equal(&uuid, &uuid_back));
	bytes = fsu_get_bytes(&r, 3, &len);
	assert_int_equal(len, 3);
	assert_memory_equal(bytes, "a\0b", 3);
	assert_non_null(fsu_get_bytes(&r, 0, &len));
	assert_int_equal(len, 0);
	fsu_get_text(&r, text, sizeof(text));
	assert_string_equal(text, "text");
	assert_int_equal(fsu_reader_end(&r), 0);
}

static void integers_are_little_endian(void **state)
{
	uint8_t buf[15];
	struct fsu_writer w = { .buf = buf, .size = sizeof(buf) };
	static const uint8_t expected[15] = { 1, 3, 2, 7, 6, 5, 4, 15, 14, 13, 12, 11, 10, 9, 8 };

	(void)state;
	fsu_put_u8(&w, 1);
	fsu_put_u16(&w, 0x0203);
	fsu_put_u32(&w, 0x04050607);
	fsu_put_u64(&w, UINT64_C(0x08090a0b0c0d0e0f));
	assert_int_equal(w.error, 0);
	assert_memory_equal(buf, expected, sizeof(buf));
}

static void a_full_buffer_is_an_error_that_stays(void **state)
{
	uint8_t buf[8] = { [6] = 0xaa, [7] = 0xaa };
	struct fsu_writer w = { .buf = buf, .size = 6 };

	(void)state;
	fsu_put_u32(&w, 1);
	fsu_put_u32(&w, 2);
	assert_int_equal(w.error, -EMSGSIZE);
	fsu_put_u8(&w, 3); /* would fit, but the layout is broken already */
	assert_int_equal(w.error, -EMSGSIZE);
	assert_int_equal(w.len, 4);
	assert_int_equal(buf[6], 0xaa);
}

static void reading_past_the_end_is_an_error_that_stays(void **state)
{
	static const uint8_t buf[3] = { 1, 2, 3 };
	struct fsu_reader r = { .buf = buf, .size = sizeof(buf) };
	struct fsu_uuid uuid = { { 9 } };
	char text[4] = "old";
	size_t len = 5;

	(void)state;
	assert_int_equal(fsu_get_u16(&r), 0x0201);
	assert_int_equal(fsu_get_u16(&r), 0);
	assert_int_equal(fsu_get_u8(&r), 0);
	fsu_get_uuid(&r, &uuid);
	assert_true(fsu_uuid_is_null(&uuid));
	assert_null(fsu_get_bytes(&r, 10, &len));
	assert_int_equal(len, 0);
	fsu_get_text(&r, text, sizeof(text));
	assert_string_equal(text, "");
	assert_int_equal(fsu_reader_end(&r), -EBADMSG);
}

static void bytes_above_their_limit_are_refused(void **state)
{
	uint8_t buf[16];
	struct fsu_writer w = { .buf = buf, .size = sizeof(buf) };
	struct fsu_reader r;
	size_t len;

	(void)state;
	fsu_put_bytes(&w, "12345", 5);
	r = (struct fsu_reader){ .buf = buf, .size = w.len };
	assert_null(fsu_get_bytes(&r, 4, &len));
	assert_int_equal(fsu_reader_end(&r), -EBADMSG);
}

static void a_length_that_lies_is_refused(void **state)
{
	static const uint8_t buf[6] = { 0xff, 0xff, 0xff, 0xff, 1, 2 };
	struct fsu_reader r = { .buf = buf, .size = sizeof(buf) };
	size_t len;

	(void)state;
	assert_null(fsu_get_bytes(&r, SIZE_MAX, &len));
	assert_int_equal(r.error, -EBADMSG);
}

static void a_text_with_a_nul_byte_or_without_room_is_refused(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		size_t room;
		int error;
	} cases[] = { { "a\0b", 3, 8, -EBADMSG }, { "abcd", 4, 4, -EBADMSG }, { "abc", 3, 4, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t buf[16];
		struct fsu_writer w = { .buf = buf, .size = sizeof(buf) };
		struct fsu_reader r;
		char text[8];

		fsu_put_bytes(&w, cases[i].data, cases[i].len);
		r = (struct fsu_reader){ .buf = buf, .size = w.len };
		fsu_get_text(&r, text, cases[i].room);
		assert_int_equal(fsu_reader_end(&r), cases[i].error);
		assert_string_equal(text, cases[i].error ? "" : "abc");
	}
}

static void bytes_left_over_are_an_error(void **state)
{
	static const uint8_t buf[2] = { 1, 2 };
	struct fsu_reader r = { .buf = buf, .size = sizeof(buf) };

	(void)state;
	assert_int_equal(fsu_get_u8(&r), 1);
	assert_int_equal(fsu_reader_end(&r), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_come_back_as_they_were_put),
		cmocka_unit_test(integers_are_little_endian),
		cmocka_unit_test(a_full_buffer_is_an_error_that_stays),
		cmocka_unit_test(reading_past_the_end_is_an_error_that_stays),
		cmocka_unit_test(bytes_above_their_limit_are_refused),
		cmocka_unit_test(a_length_that_lies_is_refused),
		cmocka_unit_test(a_text_with_a_nul_byte_or_without_room_is_refused),
		cmocka_unit_test(bytes_left_over_are_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
