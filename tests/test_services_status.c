/* What tools use: a short term of office, fsha/status.h, the history. */
#include "tests/test_services.h"

static bool nobody_leads(fsha_services *s)
{
	fsha_leader_information info;

	return fsha_leader_read(s, ELECTION, &info, NULL) == FSHA_OK &&
	       fsha_uuid_is_null(&info.session);
}

/* ---- a short term of office ---- */

static void acquire_gets_an_election_that_nobody_holds(void **state)
{
	fsha_services *s = open_services();
	fsha_election *e = NULL;
	fsha_uuid session;

	(void)state;
	assert_ok(fsha_election_acquire(s, ELECTION, LIMIT_MS, &e, &session, &t.error));
	assert_int_equal(fsha_election_has_leadership(e, &session), 1);
	assert_ok(fsha_election_close(e, &t.error));
	assert_true(nobody_leads(s));
	close_services(s);
}

static void acquire_is_refused_while_somebody_leads_naming_the_address(void **state)
{
	fsha_services *s = open_services(), *tool = open_services();
	fsha_election *e = NULL;
	fsha_uuid session;
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	assert_ok(fsha_election_confirm_leadership(p.election, &p.session, ADDRESS, &t.error));
	assert_refused(fsha_election_acquire(tool, ELECTION, LIMIT_MS, &e, &session, &t.error),
		       FSHA_E_NOT_LEADER, ADDRESS);
	assert_null(e);
	assert_int_equal(fsha_election_has_leadership(p.election, &p.session), 1);
	/* It did not even become a member. */
	assert_int_equal(count_names("members", "", NULL), 1);
	player_close(&p);
	close_services(tool);
	close_services(s);
}

/* ---- status and history ---- */

static void status_names_leader_standbys_and_members(void **state)
{
	fsha_services *s = open_services(), *other = open_services();
	const fsha_election_status *e;
	fsha_cluster_status *status;
	struct player leader, standby;

	(void)state;
	player_lead(&leader, s, ELECTION);
	assert_ok(fsha_election_confirm_leadership(leader.election, &leader.session, ADDRESS,
						   &t.error));
	player_init(&standby);
	player_start(&standby, other, ELECTION);
	for (int64_t end_ms = now_ms() + LIMIT_MS;; fsha_status_destroy(status)) {
		assert_ok(fsha_status_read(s, 0, &status, &t.error));
		if (status->election_count == 1 && status->elections[0].standby_count == 1)
			break;
		assert_true(now_ms() < end_ms); /* the standby shows itself a moment later */
	}
	e = &status->elections[0];
	assert_int_equal(status->lease_ms, LEASE_MS);
	assert_int_equal(status->member_count, 2);
	assert_int_equal(status->skipped, 0);
	assert_string_equal(e->name, ELECTION);
	assert_int_equal(e->epoch, leader.epoch);
	assert_string_equal(e->leader.address, ADDRESS);
	assert_true(fsha_uuid_equal(&e->leader.session, &leader.session));
	assert_non_null(e->holder_status);
	assert_int_equal(e->holder_status->pid, getpid());
	assert_int_equal(e->holder_status->liveness, FSHA_ALIVE_LOCK);
	assert_false(fsha_uuid_equal(&e->standbys[0]->member, &e->holder));
	fsha_status_destroy(status);
	player_close(&standby);
	player_close(&leader);
	close_services(other);
	close_services(s);
}

static void status_of_a_resigned_election_names_no_leader(void **state)
{
	fsha_services *s = open_services();
	fsha_cluster_status *status;
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	player_close(&p);
	assert_ok(fsha_status_read(s, 0, &status, &t.error));
	assert_int_equal(status->election_count, 1);
	assert_true(fsha_uuid_is_null(&status->elections[0].holder));
	assert_true(fsha_uuid_is_null(&status->elections[0].leader.session));
	assert_null(status->elections[0].holder_status);
	assert_int_equal(status->elections[0].epoch, p.epoch);
	fsha_status_destroy(status);
	close_services(s);
}

/* How many terms the history has; they are freed again, the last is copied. */
static size_t read_history(fsha_services *s, fsha_term_history *ret_first,
			   fsha_term_history *ret_last)
{
	fsha_term_history *terms = NULL;
	size_t count = 0;

	assert_ok(fsha_history_read(s, ELECTION, &terms, &count, &t.error));
	if (count > 0) {
		*ret_first = terms[0];
		*ret_last = terms[count - 1];
	}
	fsha_free(terms);
	return count;
}

static void history_tells_who_led_and_how_it_ended(void **state)
{
	fsha_services *s = open_services();
	fsha_term_history first = { .epoch = 0 }, last = first;
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	/* Its record tells the process; the term itself is known before. */
	POLL_FOR(read_history(s, &first, &last) == 1 && last.pid != 0);
	assert_string_equal(first.end, "");
	assert_ok(fsha_election_resign(p.election, &p.session, &t.error));
	WAIT_FOR(&p.post, p.grants == 2);
	POLL_FOR(read_history(s, &first, &last) == 2 && last.pid != 0);
	assert_string_equal(first.end, "resigned");
	assert_true(first.ended_wall_ns >= first.granted_wall_ns);
	assert_true(fsha_uuid_equal(&first.session, &p.sessions[0]));
	assert_string_equal(last.end, "");
	assert_int_equal(last.epoch, p.epoch);
	assert_int_equal(last.pid, getpid());
	player_close(&p);
	close_services(s);
}

static void history_of_no_election_is_not_found(void **state)
{
	fsha_services *s = open_services();
	fsha_term_history *terms;
	size_t count;

	(void)state;
	assert_result(fsha_history_read(s, "nobody", &terms, &count, &t.error), FSHA_E_NOT_FOUND);
	close_services(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(acquire_gets_an_election_that_nobody_holds),
		TEST(acquire_is_refused_while_somebody_leads_naming_the_address),
		TEST(status_names_leader_standbys_and_members),
		TEST(status_of_a_resigned_election_names_no_leader),
		TEST(history_tells_who_led_and_how_it_ended),
		TEST(history_of_no_election_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
