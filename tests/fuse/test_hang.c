/*
 * A filesystem that does not answer one host, under a real kernel: a leader in this process, whose
 * calls hang, and a standby on another host. FSHA_TEST_LONG: each kind of call alone too.
 */
#include "tests/fuse/fault.h"

/* For what comes a lease later on a machine that has much else to do. */
#define SLACK_MS 4000
#define NAMESPACE "storm" /* the contender's */

struct writer {
	pthread_t thread;
	fsha_state_store *store;
	struct post post;
	bool done;
	fsha_result result;
};

/* A leader on the first host, with a value that it wrote, and a standby on the second. */
struct scene {
	struct player leader;
	fsha_services *services;
	fsha_state_store *store;
	struct process standby;
	struct writer writer;
	int64_t hung_ns;
	int64_t last_yes_ns; /* when has_leadership was last asked and then said yes */
};

static void begin(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	s->services = open_services();
	player_lead(&s->leader, s->services, ELECTION);
	assert_ok(fsha_election_confirm_leadership(s->leader.election, &s->leader.session, ADDRESS,
						   &t.error));
	assert_ok(fsha_state_store_open(s->services, NAMESPACE, ELECTION, &s->store, &t.error));
	assert_ok(fsha_state_store_add(s->store, "k", "before", 6, NULL, &t.error));
	process_start_in(&s->standby, "contender", f.dirs[1], LEASE, NULL);
	/* An answer: it contends by now. */
	assert_string_equal(process_ask(&s->standby, "get k"), "OK before");
	assert_int_equal(s->leader.revokes, 0);
}

static void end(struct scene *s)
{
	player_close(&s->leader);
	fsha_state_store_close(s->store);
	close_services(s->services);
	process_quit(&s->standby);
}

static void *writer_run(void *arg)
{
	struct writer *w = arg;
	fsha_version version;
	fsha_result result;

	result = fsha_state_store_exists(w->store, "k", &version, NULL);
	if (result == FSHA_OK)
		result = fsha_state_store_replace(w->store, "k", &version, "late", 4, NULL, NULL);
	post_lock(&w->post);
	w->result = result;
	w->done = true;
	post_unlock(&w->post);
	return NULL;
}

static void hang(struct scene *s, const char *kinds)
{
	if (kinds)
		(void)fault("rule hang client=0 kind=%s", kinds);
	else
		(void)fault("rule hang client=0");
	s->hung_ns = boottime_ns();
	post_init(&s->writer.post);
	s->writer.store = s->store;
	assert_int_equal(pthread_create(&s->writer.thread, NULL, writer_run, &s->writer), 0);
}

/* Asks until it says no. */
static void ask_until_it_leads_no_more(struct scene *s)
{
	int64_t asked_ns;

	for (;;) {
		asked_ns = boottime_ns();
		if (!fsha_election_has_leadership(s->leader.election, &s->leader.session))
			return;
		s->last_yes_ns = asked_ns;
		/* By the clock: not a moment longer than a lease after the last heartbeat, and no
		 * heartbeat began after the hang. */
		if (asked_ns - s->hung_ns > LEASE_MS * INT64_C(1000000))
			fail_msg("it leads %lld ms after everything hung",
				 (long long)((asked_ns - s->hung_ns) / 1000000));
		(void)usleep(1000);
	}
}

static fsha_result heal_and_join(struct scene *s)
{
	(void)fault("heal");
	WAIT_FOR(&s->writer.post, s->writer.done);
	(void)pthread_join(s->writer.thread, NULL);
	return s->writer.result;
}

static void assert_value(struct scene *s, const char *text)
{
	fsha_services *reader = open_services();
	fsha_state_store *store;
	char expected[32];
	size_t size;
	void *data;

	(void)snprintf(expected, sizeof(expected), "OK %s", text);
	assert_string_equal(process_ask(&s->standby, "get k"), expected);
	/* As the host sees it that hung. */
	assert_ok(fsha_state_store_open(reader, NAMESPACE, ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_get(store, "k", &data, &size, NULL, &t.error));
	assert_string_equal(data, text);
	fsha_free(data);
	fsha_state_store_close(store);
	close_services(reader);
}

/* `kinds` are calls without which there is no heartbeat; NULL: all. */
static void lose_to_a_successor(const char *kinds)
{
	struct scene s;
	fsha_result late;

	begin(&s);
	hang(&s, kinds);
	ask_until_it_leads_no_more(&s);
	WAIT_FOR(&s.leader.post, s.leader.revokes == 1);
	print_message("%s hangs: revoked after %lld ms\n", kinds ? kinds : "everything",
		      (long long)((boottime_ns() - s.hung_ns) / 1000000));
	assert_true(boottime_ns() - s.hung_ns < (LEASE_MS + SLACK_MS) * INT64_C(1000000));
	LISTEN_FOR(&s.standby, 1, s.standby.leads);
	assert_true(s.standby.granted_ns > s.last_yes_ns);
	assert_int_equal(s.standby.epoch, s.leader.epoch + 1);
	assert_true(fault("held") > 0);
	assert_string_equal(process_ask(&s.standby, "put k after"), "OK 0");
	late = heal_and_join(&s);
	if (late == FSHA_OK)
		fail_msg("a write that hung past the lease was acknowledged");
	assert_value(&s, "after");
	assert_int_equal(s.standby.revokes, 0);
	end(&s);
}

static void a_hung_leader_stops_in_time_and_its_late_calls_publish_nothing(void **state)
{
	(void)state;
	lose_to_a_successor(NULL);
}

static void a_leader_whose_renames_hang_stops_in_time(void **state)
{
	(void)state;
	lose_to_a_successor("renameat");
}

static void a_leader_whose_lookups_hang_stops_in_time(void **state)
{
	(void)state;
	lose_to_a_successor("lookup");
}

/*
 * Calls that no heartbeat needs: it leads on, however long they hang, nobody takes over beside it,
 * and what waited is done when they come back.
 */
static void lead_on(const char *kinds)
{
	struct scene s;
	int64_t end_ms;

	begin(&s);
	hang(&s, kinds);
	for (end_ms = now_ms() + LEASE_MS * 5 / 2; now_ms() < end_ms; (void)usleep(5000))
		if (!fsha_election_has_leadership(s.leader.election, &s.leader.session))
			fail_msg("%s hangs, and it leads no more", kinds);
	assert_int_equal(s.leader.revokes, 0);
	(void)process_ask(&s.standby, "get k");
	assert_int_equal(s.standby.grants, 0);
	if (heal_and_join(&s) == FSHA_E_TIMEOUT) {
		/* A listing that took so long is believed by nobody: nothing was done. */
		assert_value(&s, "before");
		(void)writer_run(&s.writer);
	}
	if (s.writer.result != FSHA_OK)
		fail_msg("%s: %s", kinds, fsha_result_name(s.writer.result));
	assert_value(&s, "late");
	assert_int_equal(s.leader.grants, 1);
	end(&s);
}

static void a_leader_whose_other_calls_hang_leads_on(void **state)
{
	static const char *const kinds[] = { "fsync",    "getdents", "lock",  "statx", "openat",
					     "unlinkat", "mkdirat",  "write", "close", "pread" };

	(void)state;
	for (unsigned i = 0; i < test_size(2, 4, 10); i++) {
		print_message("%s\n", kinds[i]);
		lead_on(kinds[i]);
		if (i + 1 < test_size(2, 4, 10)) {
			assert_int_equal(fault_teardown(NULL), 0);
			assert_int_equal(fault_setup(NULL), 0);
		}
	}
}

/* The program of a leader that hangs is killed: its last requests are done when the server answers.
 */
static void requests_of_a_killed_leader_come_late_and_publish_nothing(void **state)
{
	struct process all[2];

	(void)state;
	process_start_in(&all[0], "contender", f.dirs[0], LEASE, NULL);
	LISTEN_FOR(all, 1, all[0].leads);
	process_start_in(&all[1], "contender", f.dirs[1], LEASE, NULL);
	assert_string_equal(process_ask(&all[0], "put k before"), "OK 0");
	assert_string_equal(process_ask(&all[1], "get k"), "OK before");
	(void)fault("rule hang client=0 kind=renameat");
	process_tell(&all[0], "put k late");
	POLL_FOR(fault("held") >= 2); /* that of the value, and a heartbeat */
	process_kill(&all[0]);
	LISTEN_FOR(&all[1], 1, all[1].leads);
	assert_string_equal(process_ask(&all[1], "get k"), "OK before");
	assert_true(fault("held") >= 2);
	(void)fault("heal");
	POLL_FOR(fault("held") == 0);
	assert_string_equal(process_ask(&all[1], "get k"), "OK before");
	assert_string_equal(process_ask(&all[1], "put k after"), "OK 0");
	assert_string_equal(process_ask(&all[1], "get k"), "OK after");
	process_quit(&all[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT_TEST(a_hung_leader_stops_in_time_and_its_late_calls_publish_nothing),
		FAULT_TEST(a_leader_whose_renames_hang_stops_in_time),
		FAULT_TEST(a_leader_whose_lookups_hang_stops_in_time),
		FAULT_TEST(a_leader_whose_other_calls_hang_leads_on),
		FAULT_TEST(requests_of_a_killed_leader_come_late_and_publish_nothing),
	};

	return fault_enter_namespace() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
