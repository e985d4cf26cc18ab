/*
 * Configuration: each limit is reached, and one more is refused.
 */
#include "tests/test_config.h"

static void value_of_4095_bytes_is_read_and_one_of_4096_is_refused(void **state)
{
	static const char *const forms[] = { "flink-conf.yaml", "config.yaml" };
	char text[FSHA_CONFIG_VALUE_MAX + 32], message[128];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		for (size_t over = 0; over < 2; over++) {
			int n = snprintf(text, sizeof(text), "\nk%zu: ", over);

			memset(text + n, 'x', FSHA_CONFIG_VALUE_MAX + over);
			text[(size_t)n + FSHA_CONFIG_VALUE_MAX + over] = '\0';
			if (!over) {
				assert_int_equal(load(forms[i], text), FSHA_OK);
				assert_string_equal(fsha_config_get(t.config, "k0", NULL),
						    text + n);
				continue;
			}
			(void)snprintf(message, sizeof(message),
				       "%s:2: the value of 'k1' is longer than 4095 bytes",
				       forms[i]);
			assert_message(load(forms[i], text), FSHA_E_CONFIG, message);
		}
	}
}

static void key_of_1023_bytes_is_read_and_one_of_1024_is_refused(void **state)
{
	/* In three parts for the nested form: "a.<n>.b". */
	char flat[CONFIG_KEY_MAX + 64], nested[CONFIG_KEY_MAX + 64], part[CONFIG_KEY_MAX + 2];

	(void)state;
	for (size_t over = 0; over < 2; over++) {
		fsha_result expected = over ? FSHA_E_CONFIG : FSHA_OK;

		memset(part, 'n', sizeof(part));
		part[CONFIG_KEY_MAX + over] = '\0';
		(void)snprintf(flat, sizeof(flat), "%s: 1", part);
		assert_int_equal(load("flink-conf.yaml", flat), expected);
		assert_int_equal(load("config.yaml", flat), expected);
		part[CONFIG_KEY_MAX + over - 4] = '\0';
		(void)snprintf(nested, sizeof(nested), "a:\n ? %s\n : b: 1\n", part);
		assert_int_equal(load("config.yaml", nested), expected);
	}
	assert_refused(load("flink-conf.yaml", flat), FSHA_E_CONFIG, "is longer than 1023 bytes");
	assert_int_equal(t.config->entries.count, 2);
}

static void file_of_one_megabyte_is_read_and_a_larger_one_is_refused(void **state)
{
	static const char *const forms[] = { "flink-conf.yaml", "config.yaml" };
	static const char last[] = { '\n', 'a', ':', ' ', '1' };
	char *text = test_malloc(FSHA_CONFIG_FILE_MAX + 1);

	(void)state;
	for (size_t i = 0; i < FSHA_CONFIG_FILE_MAX + 1; i++)
		text[i] = i % 64 ? '#' : '\n';
	memcpy(text + FSHA_CONFIG_FILE_MAX - sizeof(last), last, sizeof(last));
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(load_bytes(forms[i], text, FSHA_CONFIG_FILE_MAX), FSHA_OK);
		assert_string_equal(fsha_config_get(t.config, "a", NULL), "1");
		assert_refused(load_bytes(forms[i], text, FSHA_CONFIG_FILE_MAX + 1), FSHA_E_CONFIG,
			       "larger than 1048576 bytes");
	}
	test_free(text);
}

static void settings_4096_are_read_and_one_more_is_refused(void **state)
{
	static const char *const forms[] = { "flink-conf.yaml", "config.yaml" };
	static char text[FSHA_CONFIG_ENTRIES_MAX * 16];
	char message[64];
	size_t used;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		used = 0;
		for (int n = 0; n < FSHA_CONFIG_ENTRIES_MAX; n++)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "k%d: x\n", n);
		assert_int_equal(load(forms[i], text), FSHA_OK);
		assert_int_equal(t.config->entries.count, FSHA_CONFIG_ENTRIES_MAX);

		(void)snprintf(text + used, sizeof(text) - used, "more: x\n");
		(void)snprintf(message, sizeof(message), "%s:4097: more than 4096 settings",
			       forms[i]);
		assert_message(load(forms[i], text), FSHA_E_CONFIG, message);
	}
	/* The sum counts too, but a key that is there already needs no room. */
	assert_refused(load("config.yaml", "more: x"), FSHA_E_CONFIG, "more than 4096 settings in");
	assert_int_equal(load("config.yaml", "k0: y"), FSHA_OK);
	assert_refused(fsha_config_set(t.config, "k0", "z", &t.error), FSHA_E_INVALID, "4096");
	assert_int_equal(t.config->entries.count, FSHA_CONFIG_ENTRIES_MAX);
	assert_string_equal(fsha_config_get(t.config, "k0", NULL), "y");
	/* Only memory may fail there. */
	(void)setenv("FSHA_LEASE", "3 s", 1);
	assert_int_equal(fsha_config_load_environment(t.config, &t.error), FSHA_OK);
	assert_value(FSHA_KEY_LEASE, "3 s", "environment FSHA_LEASE");
}

/* `depth` mappings or lists, a line each for mappings. */
static fsha_result load_nested(int depth, bool lists)
{
	char text[4096];
	size_t used = 0;

	for (int i = 0; i < depth - lists; i++) {
		if (lists)
			used += (size_t)snprintf(text + used, sizeof(text) - used,
						 i ? "[" : "k: [");
		else
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%*sk:\n", i,
						 "");
	}
	if (lists)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "x");
	else
		text[--used] = '\0';
	for (int i = 0; lists && i < depth - 1; i++)
		text[used++] = ']';
	(void)snprintf(text + used, sizeof(text) - used, lists ? "\n" : " x\n");
	return load("config.yaml", text);
}

static void depth_of_32_is_read_and_33_is_refused(void **state)
{
	(void)state;
	for (int lists = 0; lists < 2; lists++) {
		assert_int_equal(load_nested(CONFIG_DEPTH_MAX, lists), FSHA_OK);
		assert_refused(load_nested(CONFIG_DEPTH_MAX + 1, lists), FSHA_E_CONFIG,
			       lists ? "config.yaml:1: nested deeper than 32" :
				       "config.yaml:33: nested deeper than 32");
	}
	assert_int_equal(strlen(fsha_config_get(t.config, "k", NULL)), 2 * 31 + 1);
}

static void message_about_a_file_far_down_still_names_the_line(void **state)
{
	char dir[512], path[640];

	(void)state;
	(void)file_of("config.yaml", "a: 1\nb\n", 7);
	/* The same file by a longer name. */
	memset(dir, '/', sizeof(dir));
	(void)snprintf(path, sizeof(path), "%s%.*s/config.yaml", t.dir, 400, dir);
	memcpy(path + strlen(t.dir), dir, 400);
	assert_refused(fsha_config_load_file(t.config, path, &t.error), FSHA_E_CONFIG,
		       "/config.yaml:3: this is no YAML");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(value_of_4095_bytes_is_read_and_one_of_4096_is_refused),
		TEST(key_of_1023_bytes_is_read_and_one_of_1024_is_refused),
		TEST(file_of_one_megabyte_is_read_and_a_larger_one_is_refused),
		TEST(settings_4096_are_read_and_one_more_is_refused),
		TEST(depth_of_32_is_read_and_33_is_refused),
		TEST(message_about_a_file_far_down_still_names_the_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
