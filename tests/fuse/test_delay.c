/* A filesystem that answers late: what is short enough costs nobody the leadership. */
#include "tests/fuse/fault.h"

/* Long enough that a busy machine adds little to it. A heartbeat is due every fifth of it. */
#define LONG_LEASE "5 s"
#define LONG_LEASE_MS 5000
#define BEAT_MS (LONG_LEASE_MS / 5)
#define NS_PER_MS 1000000

struct scene {
	struct player leader;
	fsha_services *services;
	struct process standby;
};

static void begin(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	s->services = open_services();
	player_lead(&s->leader, s->services, ELECTION);
	process_start_in(&s->standby, "contender", f.dirs[1], LONG_LEASE, NULL);
	(void)process_ask(&s->standby, "get k");
	assert_int_equal(s->leader.revokes, 0);
}

static void end(struct scene *s)
{
	player_close(&s->leader);
	close_services(s->services);
	process_quit(&s->standby);
}

static bool leads(struct scene *s)
{
	return fsha_election_has_leadership(s->leader.election, &s->leader.session);
}

static void assert_leads_for(struct scene *s, int64_t ms)
{
	for (int64_t end_ms = now_ms() + ms; now_ms() < end_ms; (void)usleep(5000))
		if (!leads(s))
			fail_msg("it leads no more, %lld ms before the end of the test",
				 (long long)(end_ms - now_ms()));
	assert_int_equal(s->leader.revokes, 0);
	(void)process_ask(&s->standby, "get k");
	assert_int_equal(s->standby.grants, 0);
}

static void delays_shorter_than_a_heartbeat_end_no_term(void **state)
{
	struct scene s;

	(void)state;
	begin(&s);
	/* Each call, and a heartbeat is more than one for the kernel. */
	(void)fault("rule delay client=0 ms=%d", BEAT_MS / 8);
	assert_leads_for(&s, LONG_LEASE_MS + BEAT_MS);
	(void)fault("heal");
	end(&s);
}

static void heartbeats_that_take_longer_than_their_interval_end_no_term(void **state)
{
	unsigned long rule;
	struct scene s;

	(void)state;
	begin(&s);
	rule = fault("rule delay client=0 kind=renameat ms=%d", BEAT_MS * 3 / 2);
	assert_leads_for(&s, LONG_LEASE_MS + 2 * BEAT_MS);
	assert_true(fault("hits %lu", rule) >= 3);
	(void)fault("heal");
	end(&s);
}

static void one_heartbeat_late_by_less_than_the_lease_ends_no_term(void **state)
{
	unsigned long rule;
	struct scene s;

	(void)state;
	begin(&s);
	/* It begins a fifth of the lease after the last one, and is back after four. */
	rule = fault("rule delay client=0 kind=renameat times=1 ms=%d", BEAT_MS * 3);
	assert_leads_for(&s, LONG_LEASE_MS);
	assert_int_equal(fault("hits %lu", rule), 1);
	(void)fault("heal");
	end(&s);
}

static void a_heartbeat_later_than_the_lease_extends_nothing(void **state)
{
	int64_t last_yes_ns = 0, asked_ns;
	unsigned long rule;
	struct scene s;
	fsha_uuid first;

	(void)state;
	begin(&s);
	first = s.leader.session;
	rule = fault("rule delay client=0 kind=renameat times=1 ms=%d", LONG_LEASE_MS + BEAT_MS);
	do {
		last_yes_ns = boottime_ns();
	} while (leads(&s) && usleep(2000) == 0);
	WAIT_FOR(&s.leader.post, s.leader.revokes == 1);
	LISTEN_FOR(&s.standby, 1, s.standby.leads);
	assert_int_equal(fault("hits %lu", rule), 1);
	assert_true(s.standby.granted_ns > last_yes_ns);
	/* The late heartbeat is through long since; the old term does not come back. */
	for (asked_ns = boottime_ns(); boottime_ns() - asked_ns < BEAT_MS * INT64_C(2) * NS_PER_MS;
	     (void)usleep(5000))
		assert_false(fsha_election_has_leadership(s.leader.election, &first));
	assert_int_equal(s.standby.revokes, 0);
	(void)fault("heal");
	/* It is a new member by now, which can follow. */
	process_kill(&s.standby);
	WAIT_FOR(&s.leader.post, s.leader.grants == 2);
	player_close(&s.leader);
	close_services(s.services);
}

static int setup_long(void **state)
{
	(void)state;
	return fault_setup_lease(LONG_LEASE);
}

#define LONG_TEST(name) cmocka_unit_test_setup_teardown(name, setup_long, fault_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LONG_TEST(delays_shorter_than_a_heartbeat_end_no_term),
		LONG_TEST(heartbeats_that_take_longer_than_their_interval_end_no_term),
		LONG_TEST(one_heartbeat_late_by_less_than_the_lease_ends_no_term),
		LONG_TEST(a_heartbeat_later_than_the_lease_extends_nothing),
	};

	return fault_enter_namespace() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
