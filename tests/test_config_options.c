/* src/config/keys.c, values.c, check.c: the table of options, typed values, what is said of them.
 */
#include "tests/test_config.h"

#include <stdbool.h>

#include "fsha/fsha.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- The table. ---- */

static void every_option_says_what_it_is_and_what_to_write(void **state)
{
	size_t count = 0;
	const fsha_config_option *options = fsha_config_options(&count);

	(void)state;
	assert_ptr_equal(fsha_config_options(NULL), options);
	assert_true(count > 40);
	for (size_t i = 0; i < count; i++) {
		assert_non_null(options[i].key);
		if (!options[i].description || !options[i].description[0])
			fail_msg("%s has no description", options[i].key);
		if (!options[i].form == !options[i].instead)
			fail_msg("%s: either it applies or it does not", options[i].key);
		assert_string_not_equal(fsha_config_kind_text(options[i].kind), "unknown");
		assert_true(options[i].min <= options[i].max);
	}
	assert_string_equal(fsha_config_kind_text(-1), "unknown");
	assert_string_equal(fsha_config_kind_text(99), "unknown");
}

static bool is_name_of(const fsha_config_option *option, const char *key)
{
	bool found = !strcmp(option->key, key);

	for (size_t i = 0; i < FSHA_CONFIG_OLD_KEYS && option->old_keys[i]; i++)
		found = found || !strcmp(option->old_keys[i], key);
	return found;
}

static void no_key_old_key_or_variable_is_given_twice(void **state)
{
	char one[FSHA_CONFIG_VARIABLE_SIZE], other[FSHA_CONFIG_VARIABLE_SIZE];
	size_t count;
	const fsha_config_option *o = fsha_config_options(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++) {
			if (i == j)
				continue;
			if (is_name_of(&o[j], o[i].key))
				fail_msg("%s names two options", o[i].key);
			for (size_t k = 0; k < FSHA_CONFIG_OLD_KEYS && o[i].old_keys[k]; k++)
				if (is_name_of(&o[j], o[i].old_keys[k]))
					fail_msg("%s names two options", o[i].old_keys[k]);
			assert_string_not_equal(fsha_config_option_variable(&o[i], one),
						fsha_config_option_variable(&o[j], other));
		}
	}
}

static void every_default_is_a_value_of_its_kind_within_its_bounds(void **state)
{
	size_t count;
	const fsha_config_option *options = fsha_config_options(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		uint64_t amount;
		int64_t number;
		int boolean;
		fsha_result result = FSHA_OK;

		if (!options[i].fallback)
			continue;
		assert_value(options[i].key, options[i].fallback, "default");
		if (options[i].kind == FSHA_CONFIG_DURATION)
			result = fsha_config_get_duration_ms(t.config, options[i].key, &amount,
							     &t.error);
		else if (options[i].kind == FSHA_CONFIG_SIZE)
			result = fsha_config_get_size(t.config, options[i].key, &amount, &t.error);
		else if (options[i].kind == FSHA_CONFIG_NUMBER)
			result =
				fsha_config_get_number(t.config, options[i].key, &number, &t.error);
		else if (options[i].kind == FSHA_CONFIG_BOOLEAN)
			result = fsha_config_get_boolean(t.config, options[i].key, &boolean,
							 &t.error);
		if (result != FSHA_OK)
			fail_msg("%s", t.error.message);
	}
}

static void every_key_is_overridden_by_its_variable(void **state)
{
	size_t count;
	const fsha_config_option *options = fsha_config_options(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		char name[FSHA_CONFIG_VARIABLE_SIZE], origin[FSHA_CONFIG_VARIABLE_SIZE + 16];

		assert_ptr_equal(fsha_config_option_variable(&options[i], name), name);
		assert_int_equal(strncmp(name, "FSHA_", 5), 0);
		assert_int_equal(setenv(name, "of the environment", 1), 0);
		assert_int_equal(fsha_config_load_environment(t.config, &t.error), FSHA_OK);
		(void)unsetenv(name);
		(void)snprintf(origin, sizeof(origin), "environment %s", name);
		assert_value(options[i].key, "of the environment", origin);
	}
	assert_null(fsha_config_option_variable(NULL, NULL));
	assert_null(fsha_config_option_variable(options, NULL));
}

static void every_old_name_works_and_a_newer_one_beats_it(void **state)
{
	size_t count;
	const fsha_config_option *options = fsha_config_options(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		/* From the oldest to the present one, so each must win over those before it. */
		for (size_t k = FSHA_CONFIG_OLD_KEYS; k-- > 0;) {
			if (!options[i].old_keys[k])
				continue;
			set(options[i].old_keys[k], options[i].old_keys[k]);
			assert_value(options[i].key, options[i].old_keys[k], "set by the program");
		}
		set(options[i].key, "present");
		assert_value(options[i].key, "present", "set by the program");
	}
}

/* ---- Sizes, numbers, booleans. ---- */

static void a_size_is_read_in_every_unit_of_flink(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0 },
		{ "1024", 1024 },
		{ " 7 b ", 7 },
		{ "7bytes", 7 },
		{ "2k", 2048 },
		{ "2 KB", 2048 },
		{ "2 kibibytes", 2048 },
		{ "3m", 3 << 20 },
		{ "3 mb", 3 << 20 },
		{ "3 MebiBytes", 3 << 20 },
		{ "1g", 1 << 30 },
		{ "1 gb", 1 << 30 },
		{ "1 gibibytes", 1 << 30 },
		{ "1t", UINT64_C(1) << 40 },
		{ "1 tb", UINT64_C(1) << 40 },
		{ "1 tebibytes", UINT64_C(1) << 40 },
		{ "18446744073709551615", UINT64_MAX },
		{ "16777215 tb", UINT64_C(16777215) << 40 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t bytes = 42;

		set("s", cases[i].text);
		if (fsha_config_get_size(t.config, "s", &bytes, &t.error) != FSHA_OK)
			fail_msg("%s", t.error.message);
		assert_int_equal(bytes, cases[i].bytes);
	}
}

static void a_text_that_is_no_size_or_overflows_is_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "not a size" },
		{ "k", "not a size" },
		{ "-1", "not a size" },
		{ "1.5 mb", "not a size" },
		{ "1 pb", "not a size" },
		{ "1 mb mb", "not a size" },
		{ "1 kibibytesandmore", "not a size" },
		{ "18446744073709551616", "too large" },
		{ "16777216 tb", "too large" },
		{ "18014398509481984 k", "too large" },
	};
	uint64_t bytes;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		bytes = 42;
		set("s", cases[i].text);
		assert_refused(fsha_config_get_size(t.config, "s", &bytes, &t.error), FSHA_E_CONFIG,
			       cases[i].why);
		assert_non_null(strstr(t.error.message, "'64 kb'"));
		assert_int_equal(bytes, 42);
	}
	assert_int_equal(fsha_config_get_size(t.config, "none", &bytes, NULL), FSHA_E_NOT_FOUND);
	assert_int_equal(fsha_config_get_size(NULL, "s", &bytes, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_config_get_size(t.config, "s", NULL, NULL), FSHA_E_INVALID);
}

static void a_number_is_read_within_the_bounds_of_its_option(void **state)
{
	int64_t number;
	static const struct {
		const char *text;
		int64_t number;
		const char *why; /* NULL: it is one */
	} cases[] = {
		{ "0", 0, NULL },
		{ " -5 ", -5, NULL },
		{ "+7", 7, NULL },
		{ "9223372036854775807", INT64_MAX, NULL },
		{ "-9223372036854775807", -INT64_MAX, NULL },
		{ "9223372036854775808", 0, "too large" },
		{ "99999999999999999999", 0, "too large" },
		{ "", 0, "not a number" },
		{ "-", 0, "not a number" },
		{ "1.0", 0, "not a number" },
		{ "0x10", 0, "not a number" },
		{ "1 2", 0, "not a number" },
		{ "infinite", 0, "not a number" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		fsha_result result;

		number = 42;
		set("n", cases[i].text);
		result = fsha_config_get_number(t.config, "n", &number, &t.error);
		if (cases[i].why)
			assert_refused(result, FSHA_E_CONFIG, cases[i].why);
		else
			assert_int_equal(result, FSHA_OK);
		assert_int_equal(number, cases[i].why ? 42 : cases[i].number);
	}
	set(FSHA_KEY_JOB_MANAGER_PORT, "65536");
	assert_refused(
		fsha_config_get_number(t.config, FSHA_KEY_JOB_MANAGER_PORT, &number, &t.error),
		FSHA_E_CONFIG,
		"cannot use jobmanager.rpc.port '65536' (set by the program): out of "
		"bounds; write a port from 1 to 65535");
}

static void a_boolean_is_true_or_false_in_any_case(void **state)
{
	static const char *const bad[] = { "",      "yes",        "1",
					   "truee", "true false", "a text longer than any unit" };
	int value = 42;

	(void)state;
	set("b", " TRUE ");
	assert_int_equal(fsha_config_get_boolean(t.config, "b", &value, NULL), FSHA_OK);
	assert_int_equal(value, 1);
	set("b", "False");
	assert_int_equal(fsha_config_get_boolean(t.config, "b", &value, NULL), FSHA_OK);
	assert_int_equal(value, 0);
	for (size_t i = 0; i < COUNT(bad); i++) {
		set("b", bad[i]);
		assert_refused(fsha_config_get_boolean(t.config, "b", &value, &t.error),
			       FSHA_E_CONFIG, "write 'true' or 'false'");
	}
}

/* ---- The check. ---- */

struct findings {
	size_t count, errors;
	int kinds[16];
	char keys[16][128];
	char messages[16][FSHA_MESSAGE_SIZE];
	size_t stop_at; /* 0: never */
};

static int note_finding(void *ctx, const fsha_config_finding *finding)
{
	struct findings *f = ctx;

	assert_true(f->count < COUNT(f->kinds));
	f->kinds[f->count] = finding->kind;
	(void)snprintf(f->keys[f->count], sizeof(f->keys[0]), "%s", finding->key);
	(void)snprintf(f->messages[f->count], sizeof(f->messages[0]), "%s", finding->message);
	f->errors += finding->is_error ? 1 : 0;
	f->count++;
	return f->count == f->stop_at;
}

static void assert_finding(const struct findings *f, size_t i, int kind, const char *key,
			   const char *part)
{
	assert_true(i < f->count);
	assert_int_equal(f->kinds[i], kind);
	assert_string_equal(f->keys[i], key);
	if (!strstr(f->messages[i], part))
		fail_msg("'%s' is not in '%s'", part, f->messages[i]);
}

static void usable(void)
{
	set(FSHA_KEY_STORAGE_DIR, "/x");
	set(FSHA_KEY_TYPE, "filesystem");
}

static void nothing_is_said_of_a_good_configuration_and_of_keys_of_others(void **state)
{
	struct findings f = { 0 };

	(void)state;
	usable();
	set(FSHA_KEY_LEASE, "5 s");
	set("taskmanager.numberOfTaskSlots", "4");
	set("state.backend.type", "rocksdb");
	set("parallelism.default", "1");
	assert_int_equal(fsha_config_check(t.config, note_finding, &f, &t.error), FSHA_OK);
	if (f.count)
		fail_msg("%s", f.messages[0]);
	assert_int_equal(fsha_config_check(NULL, note_finding, &f, &t.error), FSHA_E_INVALID);
	assert_int_equal(fsha_config_check(t.config, NULL, NULL, NULL), FSHA_OK);
}

static void an_unknown_key_is_told_with_the_one_that_was_meant(void **state)
{
	struct findings f = { 0 };

	(void)state;
	usable();
	set("high-availability.storage-dir", "/y");
	set("high-availability.filesystem.whatever.it.may.be", "1");
	set("high-availabilty.cluster-id", "c");
	assert_int_equal(fsha_config_check(t.config, note_finding, &f, &t.error), FSHA_OK);
	assert_int_equal(f.count, 3);
	assert_finding(&f, 0, FSHA_CONFIG_UNKNOWN,
		       "high-availability.filesystem.whatever.it.may.be", "has no effect");
	assert_null(strstr(f.messages[0], "did you mean"));
	assert_finding(&f, 1, FSHA_CONFIG_UNKNOWN, "high-availability.storage-dir",
		       "did you mean 'high-availability.storageDir'?");
	assert_finding(&f, 2, FSHA_CONFIG_UNKNOWN, "high-availabilty.cluster-id",
		       "did you mean 'high-availability.cluster-id'?");
}

static void keys_of_zookeeper_and_kubernetes_are_told_with_what_to_use_instead(void **state)
{
	struct findings f = { 0 };

	(void)state;
	usable();
	set("high-availability.zookeeper.quorum", "a:2181");
	set("recovery.zookeeper.client.session-timeout", "60000");
	set("high-availability.kubernetes.leader-election.retry-period", "nonsense");
	assert_int_equal(fsha_config_check(t.config, note_finding, &f, &t.error), FSHA_OK);
	assert_int_equal(f.count, 3);
	assert_int_equal(f.errors, 0);
	assert_finding(&f, 0, FSHA_CONFIG_NOT_APPLYING,
		       "high-availability.kubernetes.leader-election.retry-period",
		       "write 'high-availability.filesystem.poll-interval'");
	assert_finding(&f, 1, FSHA_CONFIG_NOT_APPLYING, "high-availability.zookeeper.quorum",
		       "'high-availability.storageDir'");
	assert_finding(&f, 2, FSHA_CONFIG_NOT_APPLYING, "recovery.zookeeper.client.session-timeout",
		       "does not apply here: write 'high-availability.filesystem.lease'");
}

/* All that Flink's HighAvailabilityOptions say of ZooKeeper, and the first name of its quorum. */
static void every_key_of_zookeepers_client_is_told_with_what_to_use_instead(void **state)
{
	static const struct {
		const char *key, *value, *instead;
	} keys[] = {
		{ "zookeeper.quorum", "a:2181", "'high-availability.storageDir'" },
		{ "high-availability.zookeeper.quorum", "a:2181",
		  "'high-availability.storageDir'" },
		{ "high-availability.zookeeper.path.root", "/flink",
		  "'high-availability.cluster-id'" },
		{ "high-availability.zookeeper.client.session-timeout", "60000",
		  "'high-availability.filesystem.lease'" },
		{ "high-availability.zookeeper.client.connection-timeout", "15000",
		  "'high-availability.filesystem.lease'" },
		{ "high-availability.zookeeper.client.retry-wait", "5000",
		  "the library repeats what failed" },
		{ "high-availability.zookeeper.client.max-retry-attempts", "3",
		  "the library repeats what failed" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		struct findings f = { 0 };

		fsha_config_destroy(t.config);
		t.config = fsha_config_create();
		assert_non_null(t.config);
		usable();
		set(keys[i].key, keys[i].value);
		assert_int_equal(fsha_config_check(t.config, note_finding, &f, &t.error), FSHA_OK);
		assert_int_equal(f.count, 1);
		assert_int_equal(f.errors, 0);
		assert_finding(&f, 0, FSHA_CONFIG_NOT_APPLYING, keys[i].key, keys[i].instead);
	}
}

static void old_names_and_those_that_lost_are_told(void **state)
{
	struct findings f = { 0 };

	(void)state;
	usable();
	set("recovery.mode", "zookeeper");
	set("state.checkpoints.num-retained", "3");
	assert_int_equal(fsha_config_check(t.config, note_finding, &f, &t.error), FSHA_OK);
	assert_int_equal(f.count, 2);
	assert_finding(&f, 0, FSHA_CONFIG_SHADOWED, "recovery.mode",
		       "high-availability.type (set by the program) is set, its newer name");
	assert_finding(&f, 1, FSHA_CONFIG_OLD_NAME, "state.checkpoints.num-retained",
		       "write 'execution.checkpointing.num-retained'");
}

static void each_bad_value_is_told_once_and_the_first_is_the_result(void **state)
{
	struct findings f = { 0 };

	(void)state;
	usable();
	set(FSHA_KEY_LEASE, "soon");
	set(FSHA_KEY_REST_PORT, "70000");
	set(FSHA_KEY_CLEANUP_STRATEGY, "sometimes");
	set(FSHA_KEY_CHECKPOINTS_RETAINED, "0");
	assert_refused(fsha_config_check(t.config, note_finding, &f, &t.error), FSHA_E_CONFIG,
		       "cannot use high-availability.filesystem.lease 'soon'");
	assert_int_equal(f.count, 4);
	assert_int_equal(f.errors, 3);
	assert_finding(&f, 0, FSHA_CONFIG_BAD_VALUE, FSHA_KEY_LEASE, "not a duration");
	assert_finding(&f, 1, FSHA_CONFIG_BAD_VALUE, FSHA_KEY_REST_PORT, "out of bounds");
	assert_finding(&f, 2, FSHA_CONFIG_BAD_VALUE, FSHA_KEY_CLEANUP_STRATEGY, "no such strategy");
	assert_finding(&f, 3, FSHA_CONFIG_CORRECTED, FSHA_KEY_CHECKPOINTS_RETAINED, "1 is used");
}

static void what_services_would_refuse_is_an_error_without_a_key_of_its_own(void **state)
{
	struct findings f = { 0 };

	(void)state;
	assert_int_equal(fsha_config_load_file(t.config, "tests/data/config/untyped", &t.error),
			 FSHA_OK);
	assert_refused(fsha_config_check(t.config, note_finding, &f, &t.error), FSHA_E_CONFIG,
		       "high-availability.type is not set");
	assert_int_equal(f.count, 1);
	assert_finding(&f, 0, FSHA_CONFIG_BAD_VALUE, "", "high-availability.type is not set");
}

static void a_visit_that_ends_the_walk_is_called_no_more(void **state)
{
	struct findings f = { .stop_at = 1 };

	(void)state;
	set("high-availability.x", "1");
	set("high-availability.y", "1");
	set(FSHA_KEY_LEASE, "soon");
	assert_int_equal(fsha_config_check(t.config, note_finding, &f, &t.error), FSHA_OK);
	assert_int_equal(f.count, 1);
}

static void long_and_odd_keys_are_told_in_one_line(void **state)
{
	struct findings f = { 0 };
	char key[1000] = "high-availability.";

	(void)state;
	usable();
	memset(key + 18, 'x', sizeof(key) - 19);
	key[500] = '\n';
	set(key, "1");
	assert_int_equal(fsha_config_check(t.config, note_finding, &f, &t.error), FSHA_OK);
	assert_int_equal(f.count, 1);
	assert_null(strchr(f.messages[0], '\n'));
	assert_non_null(strstr(f.messages[0], "has no effect"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_option_says_what_it_is_and_what_to_write),
		TEST(no_key_old_key_or_variable_is_given_twice),
		TEST(every_default_is_a_value_of_its_kind_within_its_bounds),
		TEST(every_key_is_overridden_by_its_variable),
		TEST(every_old_name_works_and_a_newer_one_beats_it),
		TEST(a_size_is_read_in_every_unit_of_flink),
		TEST(a_text_that_is_no_size_or_overflows_is_refused),
		TEST(a_number_is_read_within_the_bounds_of_its_option),
		TEST(a_boolean_is_true_or_false_in_any_case),
		TEST(nothing_is_said_of_a_good_configuration_and_of_keys_of_others),
		TEST(an_unknown_key_is_told_with_the_one_that_was_meant),
		TEST(keys_of_zookeeper_and_kubernetes_are_told_with_what_to_use_instead),
		TEST(every_key_of_zookeepers_client_is_told_with_what_to_use_instead),
		TEST(old_names_and_those_that_lost_are_told),
		TEST(each_bad_value_is_told_once_and_the_first_is_the_result),
		TEST(what_services_would_refuse_is_an_error_without_a_key_of_its_own),
		TEST(a_visit_that_ends_the_walk_is_called_no_more),
		TEST(long_and_odd_keys_are_told_in_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
