/* Names as path components. */
#include "test_fsu.h"

#include "fsutil/fsu_path.h"

static void check(const char *name, const char *component)
{
	char encoded[FSU_COMPONENT_MAX + 1], decoded[FSU_NAME_MAX + 1];
	size_t len;

	assert_int_equal(fsu_path_encode(name, strlen(name), encoded), 0);
	assert_string_equal(encoded, component);
	assert_int_equal(fsu_path_decode(encoded, strlen(encoded), decoded, &len), 0);
	assert_int_equal(len, strlen(name));
	assert_string_equal(decoded, name);
}

static void names_are_encoded_as_the_format_says(void **state)
{
	(void)state;
	check("resource_manager", "resource_manager");
	check("A-Z.0_9", "A-Z.0_9");
	check("a/b", "a%2Fb");
	check(".", "%2E");
	check("..", "%2E.");
	check(".hidden", "%2Ehidden");
	check("a b\n", "a%20b%0A");
	check("100%", "100%25");
	check("@pack~1", "%40pack%7E1");
	check("\xc3\xa9", "%C3%A9");
}

static void every_byte_comes_back(void **state)
{
	(void)state;
	for (int byte = 1; byte < 256; byte++) {
		char name[3] = { (char)byte, (char)byte, '\0' }, out[FSU_COMPONENT_MAX + 1];
		char back[FSU_NAME_MAX + 1];
		size_t len;

		assert_int_equal(fsu_path_encode(name, 2, out), 0);
		assert_null(strpbrk(out, "@~/"));
		assert_int_not_equal(out[0], '.');
		assert_int_equal(fsu_path_decode(out, strlen(out), back, &len), 0);
		assert_int_equal(len, 2);
		assert_memory_equal(back, name, 3);
	}
}

static void empty_names_and_nul_bytes_are_refused(void **state)
{
	char out[FSU_COMPONENT_MAX + 1];

	(void)state;
	assert_int_equal(fsu_path_encode("", 0, out), -EINVAL);
	assert_int_equal(fsu_path_encode("a\0b", 3, out), -EINVAL);
}

static void the_limit_is_on_the_encoded_form(void **state)
{
	char name[10240], out[FSU_COMPONENT_MAX + 1];

	(void)state;
	memset(name, 'a', sizeof(name));
	assert_int_equal(fsu_path_encode(name, FSU_COMPONENT_MAX, out), 0);
	assert_int_equal(fsu_path_encode(name, FSU_COMPONENT_MAX + 1, out), -ENAMETOOLONG);
	assert_int_equal(fsu_path_encode(name, sizeof(name), out), -ENAMETOOLONG);
	memset(name, '/', sizeof(name));
	assert_int_equal(fsu_path_encode(name, FSU_COMPONENT_MAX / 3, out), 0);
	assert_int_equal(fsu_path_encode(name, FSU_COMPONENT_MAX / 3 + 1, out), -ENAMETOOLONG);
}

static void a_second_spelling_of_a_name_is_refused(void **state)
{
	static const char *const bad[] = {
		"",      "a%2fb",       "%41", "a%2E", ".a",   "a/b",   "a b", "%",
		"a%",    "a%2",         "%2",  "%0",   "%00",  "%GG",   "a%4", "~",
		"@pack", "caf\xc3\xa9", "%2e", "..",   "%7e1", "a%%25",
	};
	char name[FSU_NAME_MAX + 1], long_one[FSU_COMPONENT_MAX + 2];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(fsu_path_decode(bad[i], strlen(bad[i]), name, &len), -EINVAL);
	memset(long_one, 'a', sizeof(long_one));
	assert_int_equal(fsu_path_decode(long_one, FSU_COMPONENT_MAX, name, &len), 0);
	assert_int_equal(fsu_path_decode(long_one, FSU_COMPONENT_MAX + 1, name, &len), -EINVAL);
}

static void a_cluster_id_keeps_its_parts(void **state)
{
	char path[64];

	(void)state;
	assert_int_equal(fsu_path_encode_id("/default", path, sizeof(path)), 0);
	assert_string_equal(path, "default");
	assert_int_equal(fsu_path_encode_id("//prod///a b/", path, sizeof(path)), 0);
	assert_string_equal(path, "prod/a%20b");
	assert_int_equal(fsu_path_encode_id("../../etc", path, sizeof(path)), 0);
	assert_string_equal(path, "%2E./%2E./etc");
}

static void a_cluster_id_without_a_name_is_refused(void **state)
{
	char path[64];

	(void)state;
	assert_int_equal(fsu_path_encode_id("", path, sizeof(path)), -EINVAL);
	assert_int_equal(fsu_path_encode_id("///", path, sizeof(path)), -EINVAL);
}

static void a_cluster_id_that_does_not_fit_is_refused(void **state)
{
	char path[8];

	(void)state;
	assert_int_equal(fsu_path_encode_id("abc/def", path, 8), 0);
	assert_int_equal(fsu_path_encode_id("abc/def", path, 7), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_encoded_as_the_format_says),
		cmocka_unit_test(every_byte_comes_back),
		cmocka_unit_test(empty_names_and_nul_bytes_are_refused),
		cmocka_unit_test(the_limit_is_on_the_encoded_form),
		cmocka_unit_test(a_second_spelling_of_a_name_is_refused),
		cmocka_unit_test(a_cluster_id_keeps_its_parts),
		cmocka_unit_test(a_cluster_id_without_a_name_is_refused),
		cmocka_unit_test(a_cluster_id_that_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
