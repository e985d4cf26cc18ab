/* Failover between real processes: killed, stopped, continued, in the middle of a write. */
#include "tests/process/process.h"

#define NS_PER_MS 1000000
#define THREE 3

/* A leader and its standbys, which have all been heard of. */
static void start_all(struct process *all, size_t count, const char *lease)
{
	assert_ok(fsha_config_set(t.config, FSHA_KEY_LEASE, lease, &t.error));
	process_start(&all[0], "contender", lease, NULL);
	LISTEN_FOR(all, 1, all[0].leads);
	for (size_t i = 1; i < count; i++) {
		process_start(&all[i], "contender", lease, NULL);
		/* An answer: it contends by now. */
		(void)process_ask(&all[i], "get nothing");
	}
}

static void quit_all(struct process *all, size_t count)
{
	for (size_t i = 0; i < count; i++)
		process_quit(&all[i]);
}

/* As the test's process sees it, which takes no part. */
static fsha_services *open_reader(void)
{
	return open_services();
}

static void assert_stored(const char *key, const char *text)
{
	fsha_services *s = open_reader();
	fsha_state_store *store;
	fsha_result result;
	size_t size;
	void *data;

	assert_ok(fsha_state_store_open(s, "storm", "dispatcher", &store, &t.error));
	result = fsha_state_store_get(store, key, &data, &size, NULL, &t.error);
	assert_int_equal(result, text ? FSHA_OK : FSHA_E_NOT_FOUND);
	if (text) {
		assert_string_equal(data, text);
		fsha_free(data);
	}
	fsha_state_store_close(store);
	close_services(s);
}

/* The member that the process with this number is now; null: none. */
static fsha_uuid member_of(pid_t pid)
{
	fsha_uuid member = { { 0 } };
	fsha_services *s = open_reader();
	fsha_cluster_status *status;

	assert_ok(fsha_status_read(s, 0, &status, &t.error));
	for (size_t i = 0; i < status->member_count; i++)
		if (status->members[i].pid == pid &&
		    fsha_liveness_is_alive(status->members[i].liveness) == 1)
			member = status->members[i].member;
	fsha_status_destroy(status);
	close_services(s);
	return member;
}

/* ---- killed ---- */

/* A lease so long that a busy machine cannot make a failover look like one that waited for it. */
#define LONG_LEASE "8 s"
#define LONG_LEASE_NS (8000 * (int64_t)NS_PER_MS)

static void a_killed_leader_is_followed_at_once_by_the_next_epoch(void **state)
{
	struct process all[2];
	int64_t killed_ns;

	(void)state;
	start_all(all, 2, LONG_LEASE);
	killed_ns = boottime_ns();
	process_kill(&all[0]);
	LISTEN_FOR(&all[1], 1, all[1].leads);
	assert_int_equal(all[1].epoch, all[0].epoch + 1);
	print_message("failover after kill -9: %.1f ms\n",
		      (double)(all[1].granted_ns - killed_ns) / NS_PER_MS);
	/* Less than a lease: it did not wait for the heartbeat to stop. */
	assert_true(all[1].granted_ns - killed_ns < LONG_LEASE_NS);
	process_quit(&all[1]);
}

static void the_next_leader_has_every_acknowledged_record(void **state)
{
	struct process all[2];
	char line[64], expected[64];

	(void)state;
	start_all(all, 2, LONG_LEASE);
	for (int i = 0; i < 50; i++) {
		(void)snprintf(line, sizeof(line), "put key-%d value-%d", i, i);
		assert_string_equal(process_ask(&all[0], line), "OK 0");
	}
	process_kill(&all[0]);
	LISTEN_FOR(&all[1], 1, all[1].leads);
	for (int i = 0; i < 50; i++) {
		(void)snprintf(line, sizeof(line), "get key-%d", i);
		(void)snprintf(expected, sizeof(expected), "OK value-%d", i);
		assert_string_equal(process_ask(&all[1], line), expected);
	}
	process_quit(&all[1]);
}

static void a_killed_standby_harms_nobody(void **state)
{
	struct process all[THREE];

	(void)state;
	start_all(all, THREE, LONG_LEASE);
	process_kill(&all[1]);
	assert_string_equal(process_ask(&all[0], "put a b"), "OK 0");
	assert_int_equal(all[0].revokes, 0);
	process_kill(&all[0]);
	LISTEN_FOR(&all[2], 1, all[2].leads);
	assert_int_equal(all[2].epoch, all[0].epoch + 1);
	assert_string_equal(process_ask(&all[2], "get a"), "OK b");
	process_quit(&all[2]);
}

static void a_leader_that_ends_hands_over_without_a_timeout(void **state)
{
	struct process all[2];
	int64_t start_ns;

	(void)state;
	start_all(all, 2, LONG_LEASE);
	start_ns = boottime_ns();
	process_tell(&all[0], "resign");
	LISTEN_FOR(all, 2, all[1].leads);
	assert_true(all[1].granted_ns - start_ns < LONG_LEASE_NS);
	assert_int_equal(all[1].epoch, all[0].epoch + 1);
	LISTEN_FOR(all, 1, all[0].revokes == 1);
	/* The contender had heard of it before anybody else led. */
	assert_true(all[0].revoked_ns <= all[1].granted_ns);
	quit_all(all, 2);
}

/* ---- stopped ---- */

static void a_leader_stopped_past_its_lease_is_replaced_and_can_write_no_more(void **state)
{
	struct process all[2];
	fsha_uuid before, now;
	const char *answer;

	(void)state;
	start_all(all, 2, "1 s");
	assert_string_equal(process_ask(&all[0], "put k before"), "OK 0");
	before = member_of(all[0].pid);
	assert_false(fsha_uuid_is_null(&before));
	assert_int_equal(kill(all[0].pid, SIGSTOP), 0);
	LISTEN_FOR(&all[1], 1, all[1].leads);
	assert_int_equal(all[1].epoch, all[0].epoch + 1);
	/* The write waits for it when it wakes up. */
	process_tell(&all[0], "put k late");
	assert_int_equal(kill(all[0].pid, SIGCONT), 0);
	LISTEN_FOR(&all[0], 1, all[0].done[0] && all[0].revokes == 1);
	answer = strchr(all[0].done, ' ') + 1;
	assert_true(strncmp(answer, "FENCED", 6) == 0 || strncmp(answer, "NOT_LEADER", 10) == 0);
	assert_stored("k", "before");
	assert_string_equal(process_ask(&all[1], "get k"), "OK before");
	/*
	 * It contends again, as a member that nobody has seen before; the lock of the former one
	 * is held until it is let go of.
	 */
	POLL_FOR((now = member_of(all[0].pid),
		  !fsha_uuid_is_null(&now) && !fsha_uuid_equal(&now, &before)));
	process_kill(&all[1]);
	LISTEN_FOR(&all[0], 1, all[0].leads);
	assert_int_equal(all[0].grants, 2);
	assert_int_equal(all[0].revokes, 1);
	assert_int_equal(all[0].epoch, all[1].epoch + 1);
	process_quit(&all[0]);
}

static void a_leader_stopped_for_less_than_its_lease_goes_on_leading(void **state)
{
	struct process all[2];
	uint64_t epoch;

	(void)state;
	start_all(all, 2, "3 s");
	epoch = all[0].epoch;
	assert_int_equal(kill(all[0].pid, SIGSTOP), 0);
	/* Of three seconds at least 2.4 are left, for a beat comes every 0.6. */
	assert_false(processes_listen(&all[1], 1, now_ms() + 500));
	assert_int_equal(kill(all[0].pid, SIGCONT), 0);
	assert_string_equal(process_ask(&all[0], "put k v"), "OK 0");
	assert_int_equal(all[0].epoch, epoch);
	assert_int_equal(all[0].revokes, 0);
	assert_int_equal(all[1].grants, 0);
	quit_all(all, 2);
}

static void a_stopped_standby_harms_nobody(void **state)
{
	struct process all[2];

	(void)state;
	start_all(all, 2, "1 s");
	assert_int_equal(kill(all[1].pid, SIGSTOP), 0);
	assert_false(processes_listen(&all[0], 1, now_ms() + LEASE_MS * 3 / 2));
	assert_string_equal(process_ask(&all[0], "put k v"), "OK 0");
	assert_int_equal(kill(all[1].pid, SIGCONT), 0);
	process_kill(&all[0]);
	LISTEN_FOR(&all[1], 1, all[1].leads);
	process_quit(&all[1]);
}

static void a_write_stopped_before_its_rename_is_fenced_and_never_seen(void **state)
{
	struct process all[2];
	int status;

	(void)state;
	start_all(all, 2, "1 s");
	assert_string_equal(process_ask(&all[0], "put k before"), "OK 0");
	process_tell(&all[0], "arm");
	process_tell(&all[0], "put k late");
	assert_int_equal(waitpid(all[0].pid, &status, WUNTRACED), all[0].pid);
	assert_true(WIFSTOPPED(status));
	LISTEN_FOR(&all[1], 1, all[1].leads);
	assert_string_equal(process_ask(&all[1], "get k"), "OK before");
	assert_int_equal(kill(all[0].pid, SIGCONT), 0);
	LISTEN_FOR(&all[0], 1, all[0].done[0] && all[0].revokes == 1);
	assert_non_null(strstr(all[0].done, "FENCED"));
	assert_stored("k", "before");
	assert_string_equal(process_ask(&all[1], "put k after"), "OK 0");
	assert_stored("k", "after");
	quit_all(all, 2);
}

static void a_first_write_stopped_before_its_rename_is_fenced_and_never_seen(void **state)
{
	struct process all[2];
	int status;

	(void)state;
	start_all(all, 2, "1 s");
	/* The namespace is there, the key is not. */
	assert_string_equal(process_ask(&all[0], "put other x"), "OK 0");
	process_tell(&all[0], "arm");
	process_tell(&all[0], "put k late");
	assert_int_equal(waitpid(all[0].pid, &status, WUNTRACED), all[0].pid);
	LISTEN_FOR(&all[1], 1, all[1].leads);
	assert_int_equal(kill(all[0].pid, SIGCONT), 0);
	LISTEN_FOR(&all[0], 1, all[0].done[0]);
	assert_non_null(strstr(all[0].done, "FENCED"));
	assert_stored("k", NULL);
	quit_all(all, 2);
}

static void a_leader_killed_in_the_middle_of_a_write_leaves_nothing(void **state)
{
	struct process all[2];
	int status;

	(void)state;
	start_all(all, 2, "1 s");
	assert_string_equal(process_ask(&all[0], "put k before"), "OK 0");
	process_tell(&all[0], "arm");
	process_tell(&all[0], "put k late");
	assert_int_equal(waitpid(all[0].pid, &status, WUNTRACED), all[0].pid);
	process_kill(&all[0]);
	LISTEN_FOR(&all[1], 1, all[1].leads);
	assert_stored("k", "before");
	assert_int_equal(count_names("elections/dispatcher", "tenure-", NULL), 1);
	process_quit(&all[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_killed_leader_is_followed_at_once_by_the_next_epoch),
		TEST(the_next_leader_has_every_acknowledged_record),
		TEST(a_killed_standby_harms_nobody),
		TEST(a_leader_that_ends_hands_over_without_a_timeout),
		TEST(a_leader_stopped_past_its_lease_is_replaced_and_can_write_no_more),
		TEST(a_leader_stopped_for_less_than_its_lease_goes_on_leading),
		TEST(a_stopped_standby_harms_nobody),
		TEST(a_write_stopped_before_its_rename_is_fenced_and_never_seen),
		TEST(a_first_write_stopped_before_its_rename_is_fenced_and_never_seen),
		TEST(a_leader_killed_in_the_middle_of_a_write_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
