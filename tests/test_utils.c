/* src/config/address.c, cleanup.c, storage.c: what a cluster reads out of its configuration. */
#include "tests/test_config.h"

#include "fsha/fsha.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Addresses. ---- */

static fsha_result job_manager(char *host, uint16_t *port)
{
	return fsha_config_get_job_manager_address(t.config, host, FSHA_HOST_SIZE, port, &t.error);
}

static void job_manager_address_that_was_set_is_read_back(void **state)
{
	char host[FSHA_HOST_SIZE];
	uint16_t port = 0;

	(void)state;
	assert_int_equal(fsha_config_set_job_manager_address(t.config, "jm.example", 1234, NULL),
			 FSHA_OK);
	assert_int_equal(job_manager(host, &port), FSHA_OK);
	assert_string_equal(host, "jm.example");
	assert_int_equal(port, 1234);
	assert_int_equal(fsha_config_set_job_manager_address(t.config, "[::1]", 65535, NULL),
			 FSHA_OK);
	assert_int_equal(job_manager(host, &port), FSHA_OK);
	assert_string_equal(host, "::1");
	assert_int_equal(port, 65535);
}

static void job_manager_port_has_a_default_and_its_host_has_none(void **state)
{
	char host[FSHA_HOST_SIZE];
	uint16_t port = 0;

	(void)state;
	assert_refused(job_manager(host, &port), FSHA_E_CONFIG,
		       "jobmanager.rpc.address is not set: write 'jobmanager.rpc.address: ");
	set(FSHA_KEY_JOB_MANAGER_ADDRESS, "localhost");
	assert_int_equal(job_manager(host, &port), FSHA_OK);
	assert_int_equal(port, 6123);
}

static void a_host_or_port_that_is_none_is_refused_by_its_key(void **state)
{
	static const char *const hosts[] = { "",    " ",    "a b",      "a/b", "a\nb",
					     "a@b", "[::1", "http://a", "[]",  "[a]" };
	static const char *const ports[] = { "0", "-1", "65536", "http", "99999999999999999999" };
	char host[FSHA_HOST_SIZE] = "as it was", long_host[FSHA_HOST_SIZE + 3];
	uint16_t port = 7;

	(void)state;
	memset(long_host, 'a', sizeof(long_host) - 1);
	long_host[sizeof(long_host) - 1] = '\0';
	for (size_t i = 0; i <= COUNT(hosts) + 1; i++) {
		const char *bad = i < COUNT(hosts) ? hosts[i] : long_host;

		if (i > COUNT(hosts)) /* the shortest that is too long */
			long_host[FSHA_HOST_SIZE] = '\0';

		set(FSHA_KEY_JOB_MANAGER_ADDRESS, bad);
		assert_refused(job_manager(host, &port), FSHA_E_CONFIG,
			       "cannot use jobmanager.rpc.address");
		assert_int_equal(fsha_config_set_job_manager_address(t.config, bad, 1, &t.error),
				 FSHA_E_INVALID);
	}
	set(FSHA_KEY_JOB_MANAGER_ADDRESS, "a");
	for (size_t i = 0; i < COUNT(ports); i++) {
		set(FSHA_KEY_JOB_MANAGER_PORT, ports[i]);
		assert_refused(job_manager(host, &port), FSHA_E_CONFIG,
			       "write a port from 1 to 65535");
	}
	assert_int_equal(fsha_config_set_job_manager_address(t.config, "b", 0, &t.error),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_config_set_job_manager_address(t.config, "b", 65536, &t.error),
			 FSHA_E_INVALID);
	assert_value(FSHA_KEY_JOB_MANAGER_ADDRESS, "a", "set by the program");
	assert_string_equal(host, "as it was");
	assert_int_equal(port, 7);
}

static void an_address_that_would_be_a_setting_too_many_is_refused(void **state)
{
	char key[32];

	(void)state;
	for (int i = 0; i < FSHA_CONFIG_ENTRIES_MAX - 1; i++) {
		(void)snprintf(key, sizeof(key), "key-%d", i);
		set(key, "v");
	}
	assert_refused(fsha_config_set_job_manager_address(t.config, "a", 1, &t.error),
		       FSHA_E_INVALID, "more than 4096 settings");
	assert_null(fsha_config_get(t.config, FSHA_KEY_JOB_MANAGER_ADDRESS, NULL));
}

static void assert_web_monitor(const char *expected)
{
	char url[FSHA_URL_SIZE];

	if (fsha_config_get_web_monitor_address(t.config, url, sizeof(url), &t.error) != FSHA_OK)
		fail_msg("%s", t.error.message);
	assert_string_equal(url, expected);
}

static void web_monitor_address_is_a_url_of_the_rest_endpoint(void **state)
{
	char url[FSHA_URL_SIZE];

	(void)state;
	assert_refused(fsha_config_get_web_monitor_address(t.config, url, sizeof(url), &t.error),
		       FSHA_E_CONFIG, "neither rest.address nor jobmanager.rpc.address is set");
	set(FSHA_KEY_JOB_MANAGER_ADDRESS, "jm");
	assert_web_monitor("http://jm:8081");
	/* In Flink this is what the server binds to, and no old name of where it is found. */
	set("web.address", "0.0.0.0");
	set("web.port", "8082");
	assert_web_monitor("http://jm:8082");
	set(FSHA_KEY_REST_ADDRESS, "fe80::1");
	set(FSHA_KEY_REST_PORT, "0");
	assert_web_monitor("http://[fe80::1]:0");
	set("security.ssl.enabled", "true");
	assert_web_monitor("https://[fe80::1]:0");
	set(FSHA_KEY_REST_SSL, "false");
	assert_web_monitor("http://[fe80::1]:0");
	set(FSHA_KEY_REST_SSL, "perhaps");
	assert_refused(fsha_config_get_web_monitor_address(t.config, url, sizeof(url), &t.error),
		       FSHA_E_CONFIG, FSHA_KEY_REST_SSL);
}

static void too_little_room_is_invalid_and_nothing_is_written(void **state)
{
	char text[16] = "as it was";
	fsha_port_range range;
	uint16_t port;
	size_t count;

	(void)state;
	assert_int_equal(fsha_config_set_job_manager_address(t.config, "abcd", 1, NULL), FSHA_OK);
	assert_int_equal(fsha_config_get_job_manager_address(t.config, text, 4, &port, &t.error),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_config_get_job_manager_address(t.config, text, 5, &port, NULL),
			 FSHA_OK);
	assert_string_equal(text, "abcd");
	assert_int_equal(fsha_config_get_web_monitor_address(t.config, text, 16, &t.error),
			 FSHA_E_INVALID);
	assert_string_equal(text, "abcd");
	set(FSHA_KEY_STORAGE_DIR, "/x");
	assert_int_equal(fsha_config_get_cluster_path(t.config, text, 10, &t.error),
			 FSHA_E_INVALID);
	assert_string_equal(text, "abcd");
	assert_int_equal(fsha_config_get_cluster_path(t.config, text, 11, NULL), FSHA_OK);
	assert_string_equal(text, "/x/default");
	set(FSHA_KEY_JOB_MANAGER_PORTS, "1,2");
	assert_int_equal(fsha_config_get_job_manager_ports(t.config, &range, 1, &count, &t.error),
			 FSHA_E_INVALID);
}

static void null_arguments_are_invalid(void **state)
{
	char text[8];
	uint16_t port;
	size_t count;
	fsha_port_range range;
	uint64_t delay_ms;

	(void)state;
	assert_int_equal(fsha_config_get_job_manager_address(NULL, text, 8, &port, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_config_get_job_manager_address(t.config, NULL, 8, &port, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_config_get_job_manager_address(t.config, text, 8, NULL, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_config_set_job_manager_address(NULL, "a", 1, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_config_set_job_manager_address(t.config, NULL, 1, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_config_get_web_monitor_address(NULL, text, 8, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_config_get_web_monitor_address(t.config, NULL, 8, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_config_get_cluster_path(NULL, text, 8, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_config_get_cluster_path(t.config, NULL, 8, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_config_get_job_manager_ports(NULL, &range, 1, &count, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_config_get_job_manager_ports(t.config, NULL, 1, &count, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_config_get_job_manager_ports(t.config, &range, 1, NULL, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_config_get_ha_storage(NULL, NULL, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_config_get_ha_storage(t.config, NULL, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_config_get_checkpoints_retained(t.config, NULL, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_config_get_cleanup_strategy(t.config, NULL, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_cleanup_strategy_next(NULL, 1, &delay_ms), 0);
}

/* ---- Ports. ---- */

static void ports_are_one_a_range_or_a_list_in_their_order(void **state)
{
	static const struct {
		const char *text;
		size_t count;
		fsha_port_range ranges[3];
	} cases[] = {
		{ "0", 1, { { 0, 0 } } },
		{ " 80 ", 1, { { 80, 80 } } },
		{ "50000-50025", 1, { { 50000, 50025 } } },
		{ "9, 7 - 8 ,65535", 3, { { 9, 9 }, { 7, 8 }, { 65535, 65535 } } },
		{ "1-1", 1, { { 1, 1 } } },
	};
	fsha_port_range found[FSHA_PORT_RANGES_MAX];
	size_t count;

	(void)state;
	assert_int_equal(
		fsha_config_get_job_manager_ports(t.config, found, COUNT(found), &count, NULL),
		FSHA_OK);
	assert_int_equal(count, 1);
	assert_int_equal(found[0].last, 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		set("recovery.jobmanager.port", cases[i].text);
		assert_int_equal(fsha_config_get_job_manager_ports(t.config, found, COUNT(found),
								   &count, &t.error),
				 FSHA_OK);
		assert_int_equal(count, cases[i].count);
		for (size_t j = 0; j < count; j++) {
			assert_int_equal(found[j].first, cases[i].ranges[j].first);
			assert_int_equal(found[j].last, cases[i].ranges[j].last);
		}
	}
}

static void ports_that_are_none_are_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "not ports" },
		{ ",", "not ports" },
		{ "1,", "not ports" },
		{ "1,,2", "not ports" },
		{ "-5", "not ports" },
		{ "5-", "not ports" },
		{ "1-2-3", "not ports" },
		{ "1 2", "not ports" },
		{ "http", "not ports" },
		{ "65536", "out of bounds" },
		{ "99999999999999999999", "out of bounds" },
		{ "2-1", "wrong way round" },
	};
	fsha_port_range found[FSHA_PORT_RANGES_MAX];
	char many[4 * FSHA_PORT_RANGES_MAX + 4] = "";
	size_t count = 42;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		set(FSHA_KEY_JOB_MANAGER_PORTS, cases[i].text);
		assert_refused(fsha_config_get_job_manager_ports(t.config, found, COUNT(found),
								 &count, &t.error),
			       FSHA_E_CONFIG, cases[i].why);
		assert_non_null(strstr(t.error.message, "'50000-50025,50100'"));
	}
	for (size_t i = 0; i < FSHA_PORT_RANGES_MAX; i++)
		strcat(many, i ? ",80" : "80");
	set(FSHA_KEY_JOB_MANAGER_PORTS, many);
	assert_int_equal(
		fsha_config_get_job_manager_ports(t.config, found, COUNT(found), &count, NULL),
		FSHA_OK);
	assert_int_equal(count, FSHA_PORT_RANGES_MAX);
	set(FSHA_KEY_JOB_MANAGER_PORTS, strcat(many, ",80"));
	assert_refused(
		fsha_config_get_job_manager_ports(t.config, found, COUNT(found), &count, &t.error),
		FSHA_E_CONFIG, "too many ranges");
}

/* ---- The storage. ---- */

static void cluster_path_is_the_encoded_id_below_the_directory(void **state)
{
	char path[FSHA_CONFIG_VALUE_MAX + 1];

	(void)state;
	assert_refused(fsha_config_get_cluster_path(t.config, path, sizeof(path), &t.error),
		       FSHA_E_CONFIG, "high-availability.storageDir is not set");
	set(FSHA_KEY_STORAGE_DIR, "file:///mnt/ha/");
	set(FSHA_KEY_CLUSTER_ID, "/team a/one");
	assert_int_equal(fsha_config_get_cluster_path(t.config, path, sizeof(path), NULL), FSHA_OK);
	assert_string_equal(path, "/mnt/ha/team%20a/one");
	set(FSHA_KEY_STORAGE_DIR, "/");
	assert_int_equal(fsha_config_get_cluster_path(t.config, path, sizeof(path), NULL), FSHA_OK);
	assert_string_equal(path, "/team%20a/one");
	set(FSHA_KEY_STORAGE_DIR, "hdfs://a/b");
	assert_refused(fsha_config_get_cluster_path(t.config, path, sizeof(path), &t.error),
		       FSHA_E_CONFIG, "high-availability.storageDir");
	set(FSHA_KEY_STORAGE_DIR, "/x");
	set(FSHA_KEY_CLUSTER_ID, "//");
	assert_refused(fsha_config_get_cluster_path(t.config, path, sizeof(path), &t.error),
		       FSHA_E_CONFIG, "high-availability.cluster-id");
}

static void ha_storage_tells_what_stands_for_zookeepers_timeouts(void **state)
{
	fsha_ha_storage_configuration storage;

	(void)state;
	set(FSHA_KEY_STORAGE_DIR, "/mnt/ha/");
	set("high-availability.zookeeper.quorum", "a:2181");
	assert_int_equal(fsha_config_get_ha_storage(t.config, &storage, &t.error), FSHA_OK);
	assert_string_equal(storage.storage_type, "filesystem");
	assert_string_equal(storage.storage_path, "/mnt/ha");
	assert_string_equal(storage.zookeeper_quorum, "");
	assert_int_equal(storage.session_timeout_ms, 10000);
	assert_int_equal(storage.connection_timeout_ms, 10000);
	set(FSHA_KEY_LEASE, "2 s");
	assert_int_equal(fsha_config_get_ha_storage(t.config, &storage, &t.error), FSHA_OK);
	assert_int_equal(storage.session_timeout_ms, 2000);
	assert_int_equal(storage.connection_timeout_ms, 3000);
	set(FSHA_KEY_TYPE, "zookeeper");
	assert_refused(fsha_config_get_ha_storage(t.config, &storage, &t.error), FSHA_E_CONFIG,
		       "high-availability.type 'zookeeper'");
	set(FSHA_KEY_TYPE, "standalone");
	assert_int_equal(fsha_config_get_ha_storage(t.config, &storage, &t.error), FSHA_OK);
	assert_string_equal(storage.storage_type, "standalone");
	assert_string_equal(storage.storage_path, "");
	assert_int_equal(storage.session_timeout_ms, 0);
}

/* ---- Checkpoints and cleanups. ---- */

static void checkpoints_retained_are_at_least_one(void **state)
{
	static const struct {
		const char *text;
		uint32_t count;
	} cases[] = { { "5", 5 }, { "0", 1 }, { "-3", 1 }, { "2147483647", 2147483647 } };
	uint32_t count = 0;

	(void)state;
	assert_int_equal(fsha_config_get_checkpoints_retained(t.config, &count, NULL), FSHA_OK);
	assert_int_equal(count, 1);
	for (size_t i = 0; i < COUNT(cases); i++) {
		set("state.checkpoints.num-retained", cases[i].text);
		assert_int_equal(fsha_config_get_checkpoints_retained(t.config, &count, NULL),
				 FSHA_OK);
		assert_int_equal(count, cases[i].count);
	}
	set(FSHA_KEY_CHECKPOINTS_RETAINED, "2147483648");
	assert_refused(fsha_config_get_checkpoints_retained(t.config, &count, &t.error),
		       FSHA_E_CONFIG, "out of bounds");
}

static fsha_cleanup_strategy strategy(void)
{
	fsha_cleanup_strategy s = { .kind = -1 };

	if (fsha_config_get_cleanup_strategy(t.config, &s, &t.error) != FSHA_OK)
		fail_msg("%s", t.error.message);
	return s;
}

/* The delay before the attempt after `failures` failures; -1: give up. */
static int64_t next(const fsha_cleanup_strategy *s, uint64_t failures)
{
	uint64_t delay_ms = 42;

	return fsha_cleanup_strategy_next(s, failures, &delay_ms) ? (int64_t)delay_ms : -1;
}

static void cleanup_backs_off_exponentially_without_end_by_default(void **state)
{
	const fsha_cleanup_strategy s = strategy();

	(void)state;
	assert_int_equal(s.kind, FSHA_CLEANUP_EXPONENTIAL_DELAY);
	assert_int_equal(next(&s, 0), -1);
	assert_int_equal(next(&s, 1), 1000);
	assert_int_equal(next(&s, 2), 2000);
	assert_int_equal(next(&s, 12), 2048000);
	assert_int_equal(next(&s, 13), 3600000);
	assert_int_equal(next(&s, 14), 3600000);
	assert_int_equal(next(&s, UINT64_MAX), 3600000);
}

static void exponential_cleanup_ends_after_its_attempts_and_never_overflows(void **state)
{
	fsha_cleanup_strategy s;

	(void)state;
	set(FSHA_KEY_CLEANUP_STRATEGY, "ExponentialDelay");
	set(FSHA_KEY_CLEANUP_INITIAL_BACKOFF, "3 ms");
	set(FSHA_KEY_CLEANUP_MAX_BACKOFF, "10 ms");
	set(FSHA_KEY_CLEANUP_EXPONENTIAL_ATTEMPTS, "4");
	s = strategy();
	assert_int_equal(next(&s, 1), 3);
	assert_int_equal(next(&s, 2), 6);
	assert_int_equal(next(&s, 3), 10);
	assert_int_equal(next(&s, 4), 10);
	assert_int_equal(next(&s, 5), -1);
	s = (fsha_cleanup_strategy){ .kind = FSHA_CLEANUP_EXPONENTIAL_DELAY,
				     .attempts = FSHA_CLEANUP_NO_LIMIT,
				     .delay_ms = INT64_MAX / 2 + 1,
				     .delay_max_ms = INT64_MAX };
	assert_int_equal(next(&s, 1), INT64_MAX / 2 + 1);
	assert_int_equal(next(&s, 2), INT64_MAX);
	assert_int_equal(next(&s, UINT64_MAX), INT64_MAX);
	s.delay_ms = 0;
	assert_int_equal(next(&s, UINT64_MAX), 0);
}

static void fixed_cleanup_waits_the_same_each_time(void **state)
{
	fsha_cleanup_strategy s;

	(void)state;
	set("cleanup-strategy", " fixed-delay ");
	s = strategy();
	assert_int_equal(s.kind, FSHA_CLEANUP_FIXED_DELAY);
	assert_int_equal(next(&s, 1), 60000);
	assert_int_equal(next(&s, UINT64_MAX), 60000);
	set(FSHA_KEY_CLEANUP_FIXED_ATTEMPTS, "2");
	set(FSHA_KEY_CLEANUP_FIXED_DELAY, "0");
	s = strategy();
	assert_int_equal(next(&s, 2), 0);
	assert_int_equal(next(&s, 3), -1);
	set(FSHA_KEY_CLEANUP_FIXED_ATTEMPTS, "0");
	s = strategy();
	assert_int_equal(next(&s, 1), -1);
}

static void cleanup_once_has_three_names(void **state)
{
	static const char *const cases[] = { "none", "Disable", "OFF" };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		fsha_cleanup_strategy s;

		set(FSHA_KEY_CLEANUP_STRATEGY, cases[i]);
		s = strategy();
		assert_int_equal(s.kind, FSHA_CLEANUP_ONCE);
		assert_int_equal(next(&s, 1), -1);
	}
}

static void a_cleanup_strategy_that_is_none_is_refused(void **state)
{
	static const char *const names[] = { "", "exponential", "fixed-delayed", "none none",
					     "a name that is longer than any that there could be" };
	fsha_cleanup_strategy s = { .kind = 42 };

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		set(FSHA_KEY_CLEANUP_STRATEGY, names[i]);
		assert_refused(fsha_config_get_cleanup_strategy(t.config, &s, &t.error),
			       FSHA_E_CONFIG, "'exponential-delay', 'fixed-delay' or 'none'");
	}
	set(FSHA_KEY_CLEANUP_STRATEGY, "fixed-delay");
	set(FSHA_KEY_CLEANUP_FIXED_ATTEMPTS, "-1");
	assert_refused(fsha_config_get_cleanup_strategy(t.config, &s, &t.error), FSHA_E_CONFIG,
		       "cleanup-strategy.fixed-delay.attempts '-1'");
	set(FSHA_KEY_CLEANUP_STRATEGY, "exponential-delay");
	set(FSHA_KEY_CLEANUP_INITIAL_BACKOFF, "2 h");
	assert_refused(fsha_config_get_cleanup_strategy(t.config, &s, &t.error), FSHA_E_CONFIG,
		       "above cleanup-strategy.exponential-delay.max-backoff");
	set(FSHA_KEY_CLEANUP_INITIAL_BACKOFF, "0");
	assert_refused(fsha_config_get_cleanup_strategy(t.config, &s, &t.error), FSHA_E_CONFIG,
		       "out of bounds");
	assert_int_equal(s.kind, 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(job_manager_address_that_was_set_is_read_back),
		TEST(job_manager_port_has_a_default_and_its_host_has_none),
		TEST(a_host_or_port_that_is_none_is_refused_by_its_key),
		TEST(an_address_that_would_be_a_setting_too_many_is_refused),
		TEST(web_monitor_address_is_a_url_of_the_rest_endpoint),
		TEST(too_little_room_is_invalid_and_nothing_is_written),
		TEST(null_arguments_are_invalid),
		TEST(ports_are_one_a_range_or_a_list_in_their_order),
		TEST(ports_that_are_none_are_refused),
		TEST(cluster_path_is_the_encoded_id_below_the_directory),
		TEST(ha_storage_tells_what_stands_for_zookeepers_timeouts),
		TEST(checkpoints_retained_are_at_least_one),
		TEST(cleanup_backs_off_exponentially_without_end_by_default),
		TEST(exponential_cleanup_ends_after_its_attempts_and_never_overflows),
		TEST(fixed_cleanup_waits_the_same_each_time),
		TEST(cleanup_once_has_three_names),
		TEST(a_cleanup_strategy_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
