/*
 * Configuration: where a value comes from, both file forms, and what is refused and how it is said.
 * The limits are in test_config_limits.c, what fails below it in test_config_faults.c, what is made
 * of it in test_config_services.c.
 */
#include "tests/test_config.h"

#define DUMP_SIZE 65536

static char dump[DUMP_SIZE];

/* The entries in the form of the golden files. */
static const char *dump_of(const fsha_config *config)
{
	size_t used = 0;

	dump[0] = '\0';
	for (size_t i = 0; i < config->entries.count; i++) {
		const struct config_entry *entry = config->entries.items[i];

		used += (size_t)snprintf(dump + used, DUMP_SIZE - used, "%s = ", entry->key);
		for (const char *p = entry->value; *p && used < DUMP_SIZE - 2; p++) {
			if (*p == '\n')
				dump[used++] = '\\';
			dump[used] = *p;
			if (*p == '\n')
				dump[used] = 'n';
			used++;
		}
		used += (size_t)snprintf(dump + used, DUMP_SIZE - used, " (%s)\n", entry->origin);
		assert_true(used < DUMP_SIZE - 2);
	}
	return dump;
}

static void assert_golden(const char *path)
{
	char golden[8192];
	FILE *file = fopen(path, "re");
	size_t len;

	assert_non_null(file);
	len = fread(golden, 1, sizeof(golden) - 1, file);
	(void)fclose(file);
	golden[len] = '\0';
	assert_string_equal(dump_of(t.config), golden);
}

/* ---- Sources. ---- */

static void a_key_that_nobody_set_has_its_default(void **state)
{
	const char *origin = NULL;

	(void)state;
	assert_value(FSHA_KEY_CLUSTER_ID, "/default", "default");
	assert_value(FSHA_KEY_LEASE, "10 s", "default");
	assert_value(FSHA_KEY_POLL_INTERVAL, "200 ms", "default");
	assert_null(fsha_config_get(t.config, FSHA_KEY_TYPE, &origin));
	assert_string_equal(origin, "default");
	assert_null(fsha_config_get(t.config, FSHA_KEY_STORAGE_DIR, NULL));
	assert_null(fsha_config_get(t.config, "no.such.key", NULL));
}

static void program_beats_environment_beats_file_beats_default(void **state)
{
	static const char *const keys[][2] = {
		{ FSHA_KEY_TYPE, "FSHA_HIGH_AVAILABILITY_TYPE" },
		{ FSHA_KEY_STORAGE_DIR, "FSHA_HIGH_AVAILABILITY_STORAGEDIR" },
		{ FSHA_KEY_CLUSTER_ID, "FSHA_HIGH_AVAILABILITY_CLUSTER_ID" },
		{ FSHA_KEY_LEASE, "FSHA_HIGH_AVAILABILITY_FILESYSTEM_LEASE" },
		{ FSHA_KEY_POLL_INTERVAL, "FSHA_HIGH_AVAILABILITY_FILESYSTEM_POLL_INTERVAL" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char text[256], origin[256];

		(void)snprintf(text, sizeof(text), "\n%s: of the file\n", keys[i][0]);
		assert_int_equal(load("flink-conf.yaml", text), FSHA_OK);
		(void)snprintf(origin, sizeof(origin), "%s:2", in_dir("flink-conf.yaml"));
		assert_value(keys[i][0], "of the file", origin);

		assert_int_equal(setenv(keys[i][1], "of the environment", 1), 0);
		assert_int_equal(fsha_config_load_environment(t.config, &t.error), FSHA_OK);
		(void)snprintf(origin, sizeof(origin), "environment %s", keys[i][1]);
		assert_value(keys[i][0], "of the environment", origin);

		set(keys[i][0], "of the program");
		assert_value(keys[i][0], "of the program", "set by the program");
		/* Whatever is loaded later. */
		assert_int_equal(fsha_config_load_environment(t.config, &t.error), FSHA_OK);
		assert_int_equal(load("flink-conf.yaml", text), FSHA_OK);
		assert_value(keys[i][0], "of the program", "set by the program");
	}
}

static void short_variables_beat_long_ones_and_empty_ones_do_not_count(void **state)
{
	(void)state;
	(void)setenv("FSHA_STORAGE_DIR", "/short", 1);
	(void)setenv("FSHA_HIGH_AVAILABILITY_STORAGEDIR", "/long", 1);
	(void)setenv("FSHA_CLUSTER_ID", "", 1);
	(void)setenv("FSHA_HIGH_AVAILABILITY_CLUSTER_ID", "long", 1);
	(void)setenv("FSHA_LEASE", "3 s", 1);
	(void)setenv("FSHA_HIGH_AVAILABILITY_TYPE", "", 1);
	assert_int_equal(fsha_config_load_environment(t.config, &t.error), FSHA_OK);
	assert_value(FSHA_KEY_STORAGE_DIR, "/short", "environment FSHA_STORAGE_DIR");
	assert_value(FSHA_KEY_CLUSTER_ID, "long", "environment FSHA_HIGH_AVAILABILITY_CLUSTER_ID");
	assert_value(FSHA_KEY_LEASE, "3 s", "environment FSHA_LEASE");
	assert_null(fsha_config_get(t.config, FSHA_KEY_TYPE, NULL));
}

static void a_present_key_in_a_file_beats_old_names_set_by_the_program(void **state)
{
	static const char *const names[][3] = {
		{ FSHA_KEY_TYPE, "high-availability", "recovery.mode" },
		{ FSHA_KEY_STORAGE_DIR, "high-availability.zookeeper.storageDir",
		  "recovery.zookeeper.storageDir" },
		{ FSHA_KEY_CLUSTER_ID, "high-availability.zookeeper.path.namespace",
		  "recovery.zookeeper.path.namespace" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char text[128], origin[256];

		set(names[i][2], "oldest");
		assert_value(names[i][0], "oldest", "set by the program");
		set(names[i][1], "old");
		assert_value(names[i][0], "old", "set by the program");
		(void)snprintf(text, sizeof(text), "%s: present", names[i][0]);
		assert_int_equal(load("flink-conf.yaml", text), FSHA_OK);
		(void)snprintf(origin, sizeof(origin), "%s:1", in_dir("flink-conf.yaml"));
		assert_value(names[i][0], "present", origin);
	}
}

static void a_later_file_overrides_key_by_key(void **state)
{
	(void)state;
	assert_int_equal(load("flink-conf.yaml", "a: 1\nb: 1\n"), FSHA_OK);
	assert_int_equal(load("config.yaml", "b: 2\nc: 2\n"), FSHA_OK);
	assert_string_equal(fsha_config_get(t.config, "a", NULL), "1");
	assert_string_equal(fsha_config_get(t.config, "b", NULL), "2");
	assert_string_equal(fsha_config_get(t.config, "c", NULL), "2");
	assert_int_equal(t.config->entries.count, 3);
}

static void set_refuses_what_is_empty_or_too_long(void **state)
{
	char text[FSHA_CONFIG_VALUE_MAX + 2];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_refused(fsha_config_set(t.config, "", "x", &t.error), FSHA_E_INVALID, "empty");
	assert_refused(fsha_config_set(t.config, "k", text, &t.error), FSHA_E_INVALID,
		       "4095 bytes");
	assert_refused(fsha_config_set(t.config, text, "x", &t.error), FSHA_E_INVALID,
		       "1023 bytes");
	assert_refused(fsha_config_set(t.config, "k", NULL, &t.error), FSHA_E_INVALID, "NULL");
	assert_int_equal(fsha_config_set(NULL, "k", "x", NULL), FSHA_E_INVALID);
	assert_string_equal(dump_of(t.config), "");
	text[FSHA_CONFIG_VALUE_MAX] = '\0';
	set("k", text);
	assert_string_equal(fsha_config_get(t.config, "k", NULL), text);
	set("k", "");
	assert_value("k", "", "set by the program");
}

static void a_program_may_say_where_a_setting_is_from(void **state)
{
	char origin[257];

	(void)state;
	memset(origin, 'o', sizeof(origin) - 1);
	origin[256] = '\0';
	assert_int_equal(fsha_config_set_from(t.config, "k", "v", "command line", NULL), FSHA_OK);
	assert_value("k", "v", "command line");
	set("k", "w");
	assert_value("k", "w", "set by the program");
	assert_refused(fsha_config_set_from(t.config, "k", "x", origin, &t.error), FSHA_E_INVALID,
		       "its origin");
	assert_refused(fsha_config_set_from(t.config, "k", "x", "", &t.error), FSHA_E_INVALID,
		       "its origin");
	assert_int_equal(fsha_config_set_from(t.config, "k", "x", NULL, NULL), FSHA_E_INVALID);
	assert_value("k", "w", "set by the program");
	assert_int_equal(fsha_config_set_from(t.config, "k", "x", origin + 1, NULL), FSHA_OK);
	assert_value("k", "x", origin + 1);
}

static void a_copy_is_equal_and_its_own(void **state)
{
	char before[1024];
	fsha_config *copy;

	(void)state;
	set("a", "1");
	(void)setenv("FSHA_LEASE", "3 s", 1);
	assert_int_equal(fsha_config_load_environment(t.config, &t.error), FSHA_OK);
	assert_int_equal(load("config.yaml", "a: 2\nb: 2\n"), FSHA_OK);
	(void)snprintf(before, sizeof(before), "%s", dump_of(t.config));
	copy = config_copy(&fsu_posix, t.config);
	assert_non_null(copy);
	set("a", "changed");
	assert_string_equal(dump_of(copy), before);
	fsha_config_destroy(copy);
}

/* ---- Files. ---- */

static void flat_file_reads_as_flink_reads_it(void **state)
{
	(void)state;
	assert_int_equal(fsha_config_load_file(t.config, DATA "/flat/flink-conf.yaml", &t.error),
			 FSHA_OK);
	assert_golden(DATA "/flat/golden.txt");
}

static void nested_file_is_flattened_by_dots(void **state)
{
	(void)state;
	assert_int_equal(fsha_config_load_file(t.config, DATA "/nested/config.yaml", &t.error),
			 FSHA_OK);
	assert_golden(DATA "/nested/golden.txt");
}

static void directory_means_config_yaml_or_else_flink_conf_yaml(void **state)
{
	(void)state;
	assert_int_equal(fsha_config_load_file(t.config, DATA "/both", &t.error), FSHA_OK);
	assert_value(FSHA_KEY_TYPE, "from-config", DATA "/both/config.yaml:1");
	assert_int_equal(fsha_config_load_file(t.config, DATA "/flat//", &t.error), FSHA_OK);
	assert_value(FSHA_KEY_LEASE, "5 s", DATA "/flat/flink-conf.yaml:18");
	assert_refused(fsha_config_load_file(t.config, t.dir, &t.error), FSHA_E_NOT_FOUND,
		       "neither config.yaml nor flink-conf.yaml is there");
	/* One that is there but cannot be read is not passed over. */
	assert_int_equal(mkdir(in_dir("config.yaml"), 0700), 0);
	(void)file_of("flink-conf.yaml", "a: 1", 4);
	assert_refused(fsha_config_load_file(t.config, t.dir, &t.error), FSHA_E_IO,
		       "config.yaml': not a regular file");
}

static void symbolic_link_to_a_file_is_followed(void **state)
{
	(void)state;
	(void)file_of("real.yaml", "a: 1", 4);
	assert_int_equal(symlink("real.yaml", in_dir("config.yaml")), 0);
	assert_int_equal(fsha_config_load_file(t.config, t.dir, &t.error), FSHA_OK);
	assert_string_equal(fsha_config_get(t.config, "a", NULL), "1");
}

static void fifo_is_refused_without_waiting(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(in_dir("config.yaml"), 0600), 0);
	assert_refused(fsha_config_load_file(t.config, t.path, &t.error), FSHA_E_IO,
		       "not a regular file");
}

static void missing_file_is_not_found(void **state)
{
	char path[5000];

	(void)state;
	assert_refused(fsha_config_load_file(t.config, in_dir("config.yaml"), &t.error),
		       FSHA_E_NOT_FOUND, "config.yaml': No such file or directory");
	assert_int_equal(t.error.os_errno, ENOENT);
	assert_refused(fsha_config_load_file(t.config, "", &t.error), FSHA_E_NOT_FOUND, "''");
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_refused(fsha_config_load_file(t.config, path, &t.error), FSHA_E_IO,
		       "File name too long");
}

static void line_ends_and_marks_of_other_systems_are_read(void **state)
{
	static const char *const forms[] = { "flink-conf.yaml", "config.yaml" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct config_entry *entry;

		assert_int_equal(load(forms[i], "\xef\xbb\xbf# mark\r\na: 1 \r\n\r\nb: 2\rc: 3"),
				 FSHA_OK);
		assert_string_equal(fsha_config_get(t.config, "a", NULL), "1");
		assert_string_equal(fsha_config_get(t.config, "b", NULL), "2");
		entry = config_find(t.config, "c");
		assert_non_null(entry);
		assert_string_equal(entry->value, "3");
		assert_int_equal(entry->line, 5);
		assert_int_equal(t.config->entries.count, 3);
	}
}

static void file_without_settings_is_empty(void **state)
{
	static const char *const texts[] = { "", "\n\n", "# comment", "---\n", "---\n# c\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(load("flink-conf.yaml", texts[i]), FSHA_OK);
		assert_int_equal(load("config.yaml", texts[i]), FSHA_OK);
	}
	assert_int_equal(t.config->entries.count, 0);
}

static void bad_text_is_refused_by_file_and_line(void **state)
{
	static const char *const cases[][3] = {
		{ "flink-conf.yaml", "a: 1\nb 2\n",
		  "flink-conf.yaml:2: not a setting: write 'key: value', with a space behind the "
		  "colon" },
		{ "flink-conf.yaml", "a:\t1\n",
		  "flink-conf.yaml:1: not a setting: write 'key: value', with a space behind the "
		  "colon" },
		{ "flink-conf.yaml", "a: 1\n\n# c\na: 1\n",
		  "flink-conf.yaml:4: 'a' was given in line 1 already" },
		{ "flink-conf.yaml", "\n: 1\n", "flink-conf.yaml:2: a key is empty" },
		{ "flink-conf.yaml", "high-availability:\n  # c\n  type: filesystem\n",
		  "flink-conf.yaml:3: nested below line 1, but flink-conf.yaml is flat: write the "
		  "whole key in one line, or use a config.yaml" },
		{ "config.yaml", "a: 1\nb\n",
		  "config.yaml:3: this is no YAML: while scanning a simple key, could not find "
		  "expected ':'" },
		{ "config.yaml", "a:\n\tb: 1\n",
		  "config.yaml:2: this is no YAML: while scanning for the next token, found "
		  "character that cannot start any token" },
		{ "config.yaml", "a.b: 1\na:\n  b: 2\n",
		  "config.yaml:3: 'a.b' was given in line 1 already" },
		{ "config.yaml", "a: &x 1\n",
		  "config.yaml:1: anchors and aliases (& and *) are not supported: write the value "
		  "where it is meant, in quotes if it starts so" },
		{ "config.yaml", "a: 1\nb: [ 1, *x ]\n",
		  "config.yaml:2: anchors and aliases (& and *) are not supported: write the value "
		  "where it is meant, in quotes if it starts so" },
		{ "config.yaml", "a: 1\n--- \nb: 2\n",
		  "config.yaml:2: a second document: only one is read" },
		{ "config.yaml", "- a\n",
		  "config.yaml:1: not a setting: write 'key: value', with a space behind the "
		  "colon" },
		{ "config.yaml", "\ntext\n",
		  "config.yaml:2: not a setting: write 'key: value', with a space behind the "
		  "colon" },
		{ "config.yaml", "? [ a ]\n: 1\n", "config.yaml:1: a key must be plain text" },
		{ "config.yaml", "a: 1\n\"\": 1\n", "config.yaml:2: a key is empty" },
		{ "config.yaml", "a: 1\nb: \"x\\0y\"\n",
		  "config.yaml:2: a NUL character in a text" },
		{ "config.yaml", "a: 1\nb: \xff\n",
		  "config.yaml:2: this is no YAML: invalid leading UTF-8 octet" },
		{ "config.yaml", "a: 1\nb: [ 1, 2\n",
		  "config.yaml:3: this is no YAML: while parsing a flow sequence, did not find "
		  "expected ',' or ']'" },
	};

	(void)state;
	set("kept", "1");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_message(load(cases[i][0], cases[i][1]), FSHA_E_CONFIG, cases[i][2]);
		assert_string_equal(dump_of(t.config), "kept = 1 (set by the program)\n");
		assert_int_equal(unlink(t.path), 0);
	}
}

static void nul_byte_is_refused_by_file_and_line(void **state)
{
	static const char text[] = "a: 1\nb: x\0y\n";

	(void)state;
	assert_message(load_bytes("flink-conf.yaml", text, sizeof(text) - 1), FSHA_E_CONFIG,
		       "flink-conf.yaml:2: a NUL byte: this is no text in UTF-8");
	assert_message(load_bytes("config.yaml", text, sizeof(text) - 1), FSHA_E_CONFIG,
		       "config.yaml:2: a NUL byte: this is no text in UTF-8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_key_that_nobody_set_has_its_default),
		TEST(program_beats_environment_beats_file_beats_default),
		TEST(short_variables_beat_long_ones_and_empty_ones_do_not_count),
		TEST(a_present_key_in_a_file_beats_old_names_set_by_the_program),
		TEST(a_later_file_overrides_key_by_key),
		TEST(set_refuses_what_is_empty_or_too_long),
		TEST(a_program_may_say_where_a_setting_is_from),
		TEST(a_copy_is_equal_and_its_own),
		TEST(flat_file_reads_as_flink_reads_it),
		TEST(nested_file_is_flattened_by_dots),
		TEST(directory_means_config_yaml_or_else_flink_conf_yaml),
		TEST(symbolic_link_to_a_file_is_followed),
		TEST(fifo_is_refused_without_waiting),
		TEST(missing_file_is_not_found),
		TEST(line_ends_and_marks_of_other_systems_are_read),
		TEST(file_without_settings_is_empty),
		TEST(bad_text_is_refused_by_file_and_line),
		TEST(nul_byte_is_refused_by_file_and_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
