/*
 * What is made of a configuration: durations, and the checked settings of the services.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/config/config.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ZOOKEEPER_CONF "tests/data/config/zookeeper/flink-conf.yaml"

static struct fixture {
	fsha_config *config;
	fsha_error error;
	struct config_services settings;
} t;

static int setup(void **state)
{
	(void)state;
	t = (struct fixture){ .config = fsha_config_create(), .error = FSHA_ERROR_INIT };
	return t.config ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	fsha_config_destroy(t.config);
	return 0;
}

static void set(const char *key, const char *value)
{
	assert_int_equal(fsha_config_set(t.config, key, value, &t.error), FSHA_OK);
}

static fsha_result read_settings(void)
{
	return config_services_read(t.config, &t.settings, &t.error);
}

/* All of `parts` (ended by NULL) are in the message. */
static void assert_refused(fsha_result result, fsha_result expected, const char *const *parts)
{
	assert_int_equal(result, expected);
	assert_int_equal(t.error.result, expected);
	for (; *parts; parts++)
		if (!strstr(t.error.message, *parts))
			fail_msg("'%s' is not in the message '%s'", *parts, t.error.message);
}
#define ASSERT_REFUSED(result, expected, ...) \
	assert_refused(result, expected, (const char *const[]){ __VA_ARGS__, NULL })

/* ---- Durations. ---- */

static void a_duration_is_read_in_every_unit_of_flink(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} cases[] = {
		{ "7", 7 },
		{ "0", 0 },
		{ "7ms", 7 },
		{ "7 milli", 7 },
		{ "7 millis", 7 },
		{ "7 millisecond", 7 },
		{ "7 milliseconds", 7 },
		{ "7 s", 7000 },
		{ "7sec", 7000 },
		{ "7 secs", 7000 },
		{ "7 second", 7000 },
		{ "7 seconds", 7000 },
		{ "7 m", 420000 },
		{ "7 min", 420000 },
		{ "7 minute", 420000 },
		{ "7 minutes", 420000 },
		{ "7 h", 25200000 },
		{ "7 hour", 25200000 },
		{ "7 hours", 25200000 },
		{ "7 d", 604800000 },
		{ "7 day", 604800000 },
		{ "7 days", 604800000 },
		{ "7999 us", 7 },
		{ "7999 \xc2\xb5s", 7 },
		{ "7999 \xce\xbcs", 7 },
		{ "7999 micro", 7 },
		{ "7999 micros", 7 },
		{ "7999 microsecond", 7 },
		{ "7999 microseconds", 7 },
		{ "7999999 ns", 7 },
		{ "7999999 nano", 7 },
		{ "7999999 nanos", 7 },
		{ "7999999 nanosecond", 7 },
		{ "7999999 nanoseconds", 7 },
		{ " \t10  MIN \n", 600000 },
		{ "18446744073709551615", UINT64_MAX },
		{ "PT10S", 10000 },
		{ "pt1m30.5s", 90500 },
		{ "P1DT2H3M4S", 93784000 },
		{ "P2D", 172800000 },
		{ "PT0.0019S", 1 },
		{ " PT1,25S ", 1250 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t ms = 0;

		set("d", cases[i].text);
		if (fsha_config_get_duration_ms(t.config, "d", &ms, &t.error) != FSHA_OK)
			fail_msg("'%s': %s", cases[i].text, t.error.message);
		assert_int_equal(ms, cases[i].ms);
	}
}

static void a_text_that_is_no_duration_is_refused_with_what_to_write(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"s",
		"-1 s",
		"+1 s",
		"1.5 s",
		"10 parsecs",
		"10 s s",
		"1_000",
		"0x10",
		"P",
		"PT",
		"P1DT",
		"PT1",
		"P1S",
		"PT1D",
		"PT1S1M",
		"PT1HX",
		"PT.5S",
		"PT1.5M",
		"P-1D",
		"PT1S PT1S",
		"1 \xc2\xb5",
		"10 secondsandsomemore",
		"PT1.0123456789S",
		"P1D1D",
		"PTT1S",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		uint64_t ms = 42;

		set("d", texts[i]);
		if (fsha_config_get_duration_ms(t.config, "d", &ms, &t.error) == FSHA_OK)
			fail_msg("'%s' was read as %ju ms", texts[i], (uintmax_t)ms);
		ASSERT_REFUSED((fsha_result)t.error.result, FSHA_E_CONFIG, texts[i], "cannot use d",
			       "set by the program", "not a duration", "'10 s'");
		assert_int_equal(ms, 42);
	}
}

static void a_duration_that_overflows_is_refused(void **state)
{
	static const char *const texts[] = {
		"18446744073709551616",
		"18446744073709551615 s",
		"213503982335 d",
		"P213503982335D",
		"PT18446744073709551.616S",
		"PT18446744073709551S",
		"99999999999999999999999999 ns",
	};
	uint64_t ms = 42;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		bool fits = !strcmp(texts[i], "PT18446744073709551S");

		set("d", texts[i]);
		if (fits) {
			assert_int_equal(fsha_config_get_duration_ms(t.config, "d", &ms, &t.error),
					 FSHA_OK);
			continue;
		}
		ASSERT_REFUSED(fsha_config_get_duration_ms(t.config, "d", &ms, &t.error),
			       FSHA_E_CONFIG, "too large");
	}
	assert_int_equal(ms, UINT64_C(18446744073709551000));
}

static void a_duration_that_is_not_set_is_not_found_and_a_default_is_read(void **state)
{
	uint64_t ms = 42;

	(void)state;
	ASSERT_REFUSED(fsha_config_get_duration_ms(t.config, "d", &ms, &t.error), FSHA_E_NOT_FOUND,
		       "'d' is not set");
	assert_int_equal(ms, 42);
	assert_int_equal(fsha_config_get_duration_ms(t.config, FSHA_KEY_LEASE, &ms, NULL), FSHA_OK);
	assert_int_equal(ms, 10000);
	assert_int_equal(fsha_config_get_duration_ms(t.config, FSHA_KEY_LEASE, NULL, NULL),
			 FSHA_E_INVALID);
}

/* ---- The type. ---- */

static void filesystem_is_accepted_in_any_case_and_by_its_old_names(void **state)
{
	static const char *const keys[] = { FSHA_KEY_TYPE, "high-availability", "recovery.mode" };

	(void)state;
	for (size_t i = COUNT(keys); i-- > 0;) {
		set(FSHA_KEY_STORAGE_DIR, "/x");
		set(keys[i], " FileSystem ");
		assert_int_equal(read_settings(), FSHA_OK);
	}
}

static void defaults_are_filled_in_and_marked_as_such(void **state)
{
	(void)state;
	set(FSHA_KEY_STORAGE_DIR, "/x");
	assert_int_equal(read_settings(), FSHA_OK);
	assert_string_equal(t.settings.storage_dir, "/x");
	assert_string_equal(t.settings.cluster_id, "/default");
	assert_false(t.settings.lease_given);
	assert_int_equal(t.settings.lease_ms, 10000);
	assert_int_equal(t.settings.poll_ms, 0);
}

static void a_directory_of_the_environment_needs_no_type(void **state)
{
	(void)state;
	assert_int_equal(setenv("FSHA_STORAGE_DIR", "/env", 1), 0);
	assert_int_equal(fsha_config_load_environment(t.config, &t.error), FSHA_OK);
	(void)unsetenv("FSHA_STORAGE_DIR");
	assert_int_equal(read_settings(), FSHA_OK);
	assert_string_equal(t.settings.storage_dir, "/env");
}

static void a_directory_of_a_file_needs_a_type(void **state)
{
	(void)state;
	assert_int_equal(fsha_config_load_file(t.config, "tests/data/config/untyped", &t.error),
			 FSHA_OK);
	ASSERT_REFUSED(read_settings(), FSHA_E_CONFIG, "high-availability.type is not set",
		       "write 'high-availability.type: filesystem'");
	set(FSHA_KEY_TYPE, "filesystem");
	assert_int_equal(read_settings(), FSHA_OK);
	assert_string_equal(t.settings.storage_dir, "/of/a/file");
}

static void nothing_set_is_standalone(void **state)
{
	(void)state;
	assert_int_equal(read_settings(), FSHA_OK);
	assert_int_equal(t.settings.mode, CONFIG_STANDALONE);
	set(FSHA_KEY_TYPE, "filesystem");
	ASSERT_REFUSED(read_settings(), FSHA_E_CONFIG, "high-availability.storageDir is not set",
		       "write 'high-availability.storageDir: /");
}

static void zookeeper_is_refused_with_what_to_write_instead(void **state)
{
	(void)state;
	assert_int_equal(fsha_config_load_file(t.config, ZOOKEEPER_CONF, &t.error), FSHA_OK);
	ASSERT_REFUSED(read_settings(), FSHA_E_CONFIG, "cannot use recovery.mode 'ZooKeeper'",
		       "flink-conf.yaml:2)", "fsha replaces it",
		       "'high-availability.type: filesystem'", "'high-availability.storageDir: /",
		       "high-availability.zookeeper.* then means nothing, save storageDir",
		       "path.namespace in it");
	/* Only the type has to be changed in such a file. */
	set(FSHA_KEY_TYPE, "filesystem");
	assert_int_equal(read_settings(), FSHA_OK);
	assert_string_equal(t.settings.storage_dir, "/of/zookeeper");
	assert_string_equal(t.settings.cluster_id, "/of-zookeeper");
}

static void kubernetes_is_refused_with_what_to_write_instead(void **state)
{
	static const char *const texts[] = {
		"kubernetes", "KUBERNETES",
		"org.apache.flink.kubernetes.highavailability.KubernetesHaServicesFactory"
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		set(FSHA_KEY_TYPE, texts[i]);
		ASSERT_REFUSED(read_settings(), FSHA_E_CONFIG, texts[i], "set by the program",
			       "fsha replaces it", "'high-availability.type: filesystem'",
			       "high-availability.kubernetes.* then means nothing");
	}
}

static void types_in_memory_need_no_directory(void **state)
{
	static const struct {
		const char *text;
		enum config_mode mode;
	} types[] = {
		{ "NONE", CONFIG_STANDALONE },
		{ "none", CONFIG_STANDALONE },
		{ " standalone ", CONFIG_STANDALONE },
		{ "Embedded", CONFIG_EMBEDDED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		set(FSHA_KEY_TYPE, types[i].text);
		assert_int_equal(read_settings(), FSHA_OK);
		assert_int_equal(t.settings.mode, types[i].mode);
		assert_string_equal(t.settings.storage_dir, "");
		assert_string_equal(t.settings.cluster_id, "/default");
	}
	/* What would be no directory is a name like any other. */
	set(FSHA_KEY_STORAGE_DIR, "hdfs://of/others");
	assert_int_equal(read_settings(), FSHA_OK);
	assert_string_equal(t.settings.storage_dir, "hdfs://of/others");
}

static void class_names_and_anything_else_are_refused(void **state)
{
	static const char *const texts[] = { "com.example.MyFactory", "file system", "x\ny" };

	(void)state;
	set(FSHA_KEY_STORAGE_DIR, "/x");
	for (size_t i = 0; i < COUNT(texts); i++) {
		set(FSHA_KEY_TYPE, texts[i]);
		ASSERT_REFUSED(read_settings(), FSHA_E_CONFIG, "no such type",
			       "'high-availability.type: filesystem'");
		assert_null(strchr(t.error.message, '\n'));
	}
}

/* ---- The directory and the cluster. ---- */

static void a_directory_is_read_as_a_path_or_a_file_uri(void **state)
{
	static const char *const cases[][2] = {
		{ "/a/b", "/a/b" },
		{ "/a/b///", "/a/b" },
		{ "/", "/" },
		{ "/a b/100%/#x", "/a b/100%/#x" },
		{ "/a:b", "/a:b" },
		{ "file:///a/b/", "/a/b" },
		{ "file:/a/b", "/a/b" },
		{ "FILE://LocalHost/a", "/a" },
		{ "file:///a%20b%2f%C3%bc%25", "/a b/\xc3\xbc%" },
		{ "file:///", "/" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		set(FSHA_KEY_STORAGE_DIR, cases[i][0]);
		assert_int_equal(read_settings(), FSHA_OK);
		assert_string_equal(t.settings.storage_dir, cases[i][1]);
	}
}

static void a_directory_that_is_no_mounted_path_is_refused_with_what_to_write(void **state)
{
	static const char *const cases[][2] = {
		{ "", "it is empty" },
		{ "a/b", "not an absolute path" },
		{ " /a", "not an absolute path" },
		{ "\"/a\"", "not an absolute path" },
		{ "[/a, /b]", "not an absolute path" },
		{ "file:a/b", "not an absolute path" },
		{ "file:", "it is empty" },
		{ "file://", "it is empty" },
		{ "file://nas/a", "another host" },
		{ "file:///a%2", "a '%' must be written %25" },
		{ "file:///a%zz", "a '%' must be written %25" },
		{ "file:///a%00b", "a '%' must be written %25" },
		{ "hdfs:///a", "a directory that this host has mounted" },
		{ "hdfs://namenode:8020/a", "a directory that this host has mounted" },
		{ "s3://bucket/a", "a directory that this host has mounted" },
		{ "s3a:a", "a directory that this host has mounted" },
		{ "nas:/export", "a directory that this host has mounted" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		set(FSHA_KEY_STORAGE_DIR, cases[i][0]);
		ASSERT_REFUSED(read_settings(), FSHA_E_CONFIG, cases[i][0], cases[i][1],
			       "set by the program", "write 'high-availability.storageDir: /");
	}
}

static void a_cluster_id_that_names_nothing_or_is_too_long_is_refused(void **state)
{
	char text[CONFIG_CLUSTER_ID_MAX + 2];

	(void)state;
	set(FSHA_KEY_STORAGE_DIR, "/x");
	set(FSHA_KEY_CLUSTER_ID, "//");
	ASSERT_REFUSED(read_settings(), FSHA_E_CONFIG, "'//'", "it names nothing",
		       "such as '/default'");
	/* Parts of 200 bytes are the longest, and 1023 bytes in all. */
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 200 ? 'x' : '/';
	text[CONFIG_CLUSTER_ID_MAX] = '\0';
	set(FSHA_KEY_CLUSTER_ID, text);
	assert_int_equal(read_settings(), FSHA_OK);
	assert_string_equal(t.settings.cluster_id, text);
	text[CONFIG_CLUSTER_ID_MAX] = 'x';
	text[CONFIG_CLUSTER_ID_MAX + 1] = '\0';
	set(FSHA_KEY_CLUSTER_ID, text);
	ASSERT_REFUSED(read_settings(), FSHA_E_CONFIG, "too long");
	memset(text, 'x', 201);
	text[201] = '\0';
	set(FSHA_KEY_CLUSTER_ID, text);
	ASSERT_REFUSED(read_settings(), FSHA_E_CONFIG, "too long");
}

static void values_of_the_environment_that_are_too_long_are_refused_when_used(void **state)
{
	static const char *const names[] = { "FSHA_STORAGE_DIR", "FSHA_CLUSTER_ID", "FSHA_LEASE" };
	static char text[70000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[0] = '/';
	for (size_t i = 0; i < COUNT(names); i++) {
		fsha_config *config = fsha_config_create();

		assert_non_null(config);
		(void)setenv("FSHA_STORAGE_DIR", "/x", 1);
		(void)setenv(names[i], text, 1);
		assert_int_equal(fsha_config_load_environment(config, &t.error), FSHA_OK);
		ASSERT_REFUSED(config_services_read(config, &t.settings, &t.error), FSHA_E_CONFIG,
			       "/xxx", names[i]);
		(void)unsetenv(names[i]);
		(void)unsetenv("FSHA_STORAGE_DIR");
		fsha_config_destroy(config);
	}
}

/* ---- Timers. ---- */

static void a_lease_counts_from_one_second_to_ten_minutes(void **state)
{
	static const char *const bad[] = { "999 ms", "600001", "0",         "999999 us",
					   "11 min", "49 d 1", "4294968296" };

	(void)state;
	set(FSHA_KEY_STORAGE_DIR, "/x");
	set(FSHA_KEY_LEASE, "1 s");
	assert_int_equal(read_settings(), FSHA_OK);
	assert_int_equal(t.settings.lease_ms, 1000);
	assert_true(t.settings.lease_given);
	set(FSHA_KEY_LEASE, "10 min");
	assert_int_equal(read_settings(), FSHA_OK);
	assert_int_equal(t.settings.lease_ms, 600000);
	for (size_t i = 0; i < COUNT(bad); i++) {
		bool is_duration = strcmp(bad[i], "49 d 1") != 0;

		set(FSHA_KEY_LEASE, bad[i]);
		ASSERT_REFUSED(read_settings(), FSHA_E_CONFIG, FSHA_KEY_LEASE, bad[i],
			       "set by the program",
			       is_duration ? "write '1 s' to '10 min'" : "not a duration");
	}
}

static void a_poll_interval_counts_from_10_ms_to_60_s(void **state)
{
	static const char *const bad[] = { "9", "60001 ms", "never" };

	(void)state;
	set(FSHA_KEY_STORAGE_DIR, "/x");
	set(FSHA_KEY_POLL_INTERVAL, "10 ms");
	assert_int_equal(read_settings(), FSHA_OK);
	assert_int_equal(t.settings.poll_ms, 10);
	set(FSHA_KEY_POLL_INTERVAL, "1 min");
	assert_int_equal(read_settings(), FSHA_OK);
	assert_int_equal(t.settings.poll_ms, 60000);
	for (size_t i = 0; i < COUNT(bad); i++) {
		set(FSHA_KEY_POLL_INTERVAL, bad[i]);
		ASSERT_REFUSED(read_settings(), FSHA_E_CONFIG, FSHA_KEY_POLL_INTERVAL, bad[i],
			       i < 2 ? "write '10 ms' to '60 s'" : "not a duration");
	}
}

static void settings_are_written_only_on_success(void **state)
{
	struct config_services before;

	(void)state;
	memset(&t.settings, 0x5a, sizeof(t.settings));
	before = t.settings;
	set(FSHA_KEY_STORAGE_DIR, "/x");
	set(FSHA_KEY_POLL_INTERVAL, "never");
	assert_int_equal(read_settings(), FSHA_E_CONFIG);
	assert_memory_equal(&t.settings, &before, sizeof(before));
}

static void messages_with_long_texts_still_say_what_to_write(void **state)
{
	char slashes[400], path[640], value[512];

	(void)state;
	memset(slashes, '/', sizeof(slashes));
	(void)snprintf(path, sizeof(path), "tests%.*sdata/config/zookeeper/flink-conf.yaml",
		       (int)sizeof(slashes), slashes);
	assert_int_equal(fsha_config_load_file(t.config, path, &t.error), FSHA_OK);
	ASSERT_REFUSED(read_settings(), FSHA_E_CONFIG, "flink-conf.yaml:2)",
		       "path.namespace in it");
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	set(FSHA_KEY_TYPE, value);
	ASSERT_REFUSED(read_settings(), FSHA_E_CONFIG, "xxx...'",
		       "'high-availability.storageDir: /a/directory/on/the/shared/filesystem'");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_duration_is_read_in_every_unit_of_flink),
		TEST(a_text_that_is_no_duration_is_refused_with_what_to_write),
		TEST(a_duration_that_overflows_is_refused),
		TEST(a_duration_that_is_not_set_is_not_found_and_a_default_is_read),
		TEST(filesystem_is_accepted_in_any_case_and_by_its_old_names),
		TEST(defaults_are_filled_in_and_marked_as_such),
		TEST(a_directory_of_the_environment_needs_no_type),
		TEST(a_directory_of_a_file_needs_a_type),
		TEST(nothing_set_is_standalone),
		TEST(zookeeper_is_refused_with_what_to_write_instead),
		TEST(kubernetes_is_refused_with_what_to_write_instead),
		TEST(types_in_memory_need_no_directory),
		TEST(class_names_and_anything_else_are_refused),
		TEST(a_directory_is_read_as_a_path_or_a_file_uri),
		TEST(a_directory_that_is_no_mounted_path_is_refused_with_what_to_write),
		TEST(a_cluster_id_that_names_nothing_or_is_too_long_is_refused),
		TEST(values_of_the_environment_that_are_too_long_are_refused_when_used),
		TEST(a_lease_counts_from_one_second_to_ten_minutes),
		TEST(a_poll_interval_counts_from_10_ms_to_60_s),
		TEST(settings_are_written_only_on_success),
		TEST(messages_with_long_texts_still_say_what_to_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
