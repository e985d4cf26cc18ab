/* The contract of fsha/services.h and fsha/election.h, claim by claim, on a real directory. */
#include "tests/test_services.h"

static fsha_leader_information read_leader(fsha_services *s)
{
	fsha_leader_information info = { 0 };

	assert_ok(fsha_leader_read(s, ELECTION, &info, &t.error));
	return info;
}

/* ---- terms ---- */

static void grant_confirm_and_revoke_alternate(void **state)
{
	fsha_services *s = open_services();
	struct player p;

	(void)state;
	player_init(&p);
	p.confirm = ADDRESS;
	player_start(&p, s, ELECTION);
	for (unsigned term = 1; term <= 4; term++) {
		WAIT_FOR(&p.post, p.leads && p.grants == term);
		assert_ok(fsha_election_resign(p.election, &p.session, &t.error));
		WAIT_FOR(&p.post, p.revokes == term);
	}
	WAIT_FOR(&p.post, p.grants == 5);
	player_close(&p);
	assert_int_equal(p.revokes, 5);
	close_services(s);
}

static void every_term_has_a_fresh_session(void **state)
{
	fsha_services *s = open_services();
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	for (unsigned term = 1; term < 4; term++) {
		WAIT_FOR(&p.post, p.grants == term);
		assert_ok(fsha_election_resign(p.election, &p.session, &t.error));
	}
	WAIT_FOR(&p.post, p.grants == 4);
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < i; j++)
			assert_false(fsha_uuid_equal(&p.sessions[i], &p.sessions[j]));
	player_close(&p);
	close_services(s);
}

static void term_tells_what_the_grant_told(void **state)
{
	fsha_services *s = open_services();
	fsha_uuid session;
	struct player p;
	uint64_t epoch;

	(void)state;
	player_lead(&p, s, ELECTION);
	assert_int_equal(fsha_election_term(p.election, &session, &epoch), 1);
	assert_true(fsha_uuid_equal(&session, &p.session));
	assert_int_equal(epoch, p.epoch);
	player_close(&p);
	close_services(s);
}

static bool shows(fsha_services *s, const char *name, fsha_leader_information *ret_info)
{
	return fsha_leader_read(s, name, ret_info, NULL) == FSHA_OK && ret_info->confirmed;
}

static void confirm_from_the_grant_is_published(void **state)
{
	fsha_services *s = open_services();
	fsha_leader_information info = { .epoch = 0 };
	struct player p;

	(void)state;
	player_init(&p);
	p.confirm = ADDRESS;
	player_start(&p, s, ELECTION);
	WAIT_FOR(&p.post, p.acted == 1);
	assert_int_equal(p.in_grant_result, FSHA_OK);
	POLL_FOR(shows(s, ELECTION, &info));
	assert_string_equal(info.address, ADDRESS);
	assert_true(fsha_uuid_equal(&info.session, &p.session));
	assert_int_equal(info.epoch, p.epoch);
	player_close(&p);
	close_services(s);
}

/* The library publishes the grant at the same time; what it says must not come out on top. */
static void a_confirmation_is_not_lost_to_the_record_of_the_grant(void **state)
{
	enum {
		COUNT = 60
	};
	static struct player players[COUNT];
	fsha_services *s = open_services();
	fsha_leader_information info;
	char name[16];

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(name, sizeof(name), "election-%d", i);
		player_init(&players[i]);
		players[i].confirm = ADDRESS;
		player_start(&players[i], s, name);
	}
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(name, sizeof(name), "election-%d", i);
		WAIT_FOR(&players[i].post, players[i].acted == 1);
		assert_int_equal(players[i].in_grant_result, FSHA_OK);
		POLL_FOR(shows(s, name, &info));
	}
	for (int i = 0; i < COUNT; i++)
		player_close(&players[i]);
	close_services(s);
}

static void confirm_with_an_old_session_is_ignored(void **state)
{
	fsha_services *s = open_services();
	fsha_leader_information info;
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	assert_ok(fsha_election_resign(p.election, &p.session, &t.error));
	WAIT_FOR(&p.post, p.grants == 2);
	assert_ok(fsha_election_confirm_leadership(p.election, &p.sessions[0], "old", &t.error));
	POLL_FOR(fsha_leader_read(s, ELECTION, &info, NULL) == FSHA_OK && info.epoch == p.epoch);
	assert_int_equal(info.confirmed, 0);
	assert_string_equal(info.address, "");
	/* And it used up nothing: the present session may still confirm. */
	assert_ok(fsha_election_confirm_leadership(p.election, &p.session, "new", &t.error));
	info = read_leader(s);
	assert_string_equal(info.address, "new");
	player_close(&p);
	close_services(s);
}

static void a_second_confirm_is_a_state_error(void **state)
{
	fsha_services *s = open_services();
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	assert_ok(fsha_election_confirm_leadership(p.election, &p.session, "first", &t.error));
	assert_refused(fsha_election_confirm_leadership(p.election, &p.session, "second", &t.error),
		       FSHA_E_STATE, ELECTION);
	assert_string_equal(read_leader(s).address, "first");
	player_close(&p);
	close_services(s);
}

static void an_address_has_1_to_1023_bytes(void **state)
{
	fsha_services *s = open_services();
	char address[FSHA_ADDRESS_MAX + 2];
	struct player p;

	(void)state;
	memset(address, 'a', sizeof(address) - 1);
	address[sizeof(address) - 1] = '\0';
	player_lead(&p, s, ELECTION);
	assert_result(fsha_election_confirm_leadership(p.election, &p.session, address, &t.error),
		      FSHA_E_INVALID);
	assert_result(fsha_election_confirm_leadership(p.election, &p.session, "", &t.error),
		      FSHA_E_INVALID);
	address[FSHA_ADDRESS_MAX] = '\0';
	assert_ok(fsha_election_confirm_leadership(p.election, &p.session, address, &t.error));
	assert_string_equal(read_leader(s).address, address);
	player_close(&p);
	close_services(s);
}

static void has_leadership_only_for_the_present_session(void **state)
{
	fsha_services *s = open_services();
	fsha_uuid other = { { 1 } };
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	assert_int_equal(fsha_election_has_leadership(p.election, &p.session), 1);
	assert_int_equal(fsha_election_has_leadership(p.election, &other), 0);
	assert_ok(fsha_election_resign(p.election, &p.session, &t.error));
	assert_int_equal(fsha_election_has_leadership(p.election, &p.sessions[0]), 0);
	WAIT_FOR(&p.post, p.grants == 2);
	assert_int_equal(fsha_election_has_leadership(p.election, &p.sessions[0]), 0);
	assert_int_equal(fsha_election_has_leadership(p.election, &p.sessions[1]), 1);
	player_close(&p);
	close_services(s);
}

static void resign_needs_the_present_session(void **state)
{
	fsha_services *s = open_services();
	fsha_uuid other = { { 1 } };
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	assert_result(fsha_election_resign(p.election, &other, &t.error), FSHA_E_NOT_LEADER);
	assert_int_equal(fsha_election_has_leadership(p.election, &p.session), 1);
	player_close(&p);
	close_services(s);
}

static void close_while_leading_revokes_once_and_publishes_no_leader(void **state)
{
	fsha_services *s = open_services();
	fsha_leader_information info;
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	assert_ok(fsha_election_confirm_leadership(p.election, &p.session, ADDRESS, &t.error));
	player_close(&p);
	assert_int_equal(p.revokes, 1);
	info = read_leader(s);
	assert_true(fsha_uuid_is_null(&info.session));
	assert_int_equal(info.epoch, p.epoch);
	close_services(s);
}

static void close_of_a_standby_calls_nothing(void **state)
{
	fsha_services *s = open_services(), *other = open_services();
	struct player leader, standby;

	(void)state;
	player_lead(&leader, s, ELECTION);
	player_init(&standby);
	player_start(&standby, other, ELECTION);
	player_close(&standby);
	assert_int_equal(standby.grants + standby.revokes + standby.errors, 0);
	player_close(&leader);
	close_services(other);
	close_services(s);
}

static void resigned_leadership_goes_to_a_standby_without_a_timeout(void **state)
{
	struct player leader, standby;
	fsha_services *s, *other;
	int64_t start_ms;

	(void)state;
	/* So long that a busy machine cannot make it look like one. */
	assert_ok(fsha_config_set(t.config, FSHA_KEY_LEASE, "8 s", &t.error));
	s = open_services();
	other = open_services();
	player_lead(&leader, s, ELECTION);
	player_init(&standby);
	player_start(&standby, other, ELECTION);
	start_ms = now_ms();
	player_close(&leader);
	WAIT_FOR(&standby.post, standby.leads);
	assert_true(now_ms() - start_ms < 8000);
	assert_int_equal(standby.epoch, leader.epoch + 1);
	player_close(&standby);
	close_services(other);
	close_services(s);
}

/* ---- elections side by side ---- */

static void a_blocked_contender_does_not_keep_another_from_leading(void **state)
{
	fsha_services *s = open_services();
	struct player slow, other;
	struct gate gate;
	fsha_uuid session;

	(void)state;
	gate_init(&gate);
	gate_set(&gate, true);
	player_init(&slow);
	slow.grant_gate = &gate;
	player_start(&slow, s, "slow");
	WAIT_FOR(&gate.post, gate.waiting == 1);
	player_init(&other);
	player_start(&other, s, "other");
	POLL_FOR(fsha_election_term(other.election, &session, NULL));
	assert_int_equal(fsha_election_has_leadership(other.election, &session), 1);
	/* One callback at a time: the grant waits for the other to return. */
	assert_true(WITHIN(&other.post, 50, other.grants == 0));
	gate_set(&gate, false);
	WAIT_FOR(&other.post, other.leads);
	player_close(&slow);
	player_close(&other);
	close_services(s);
}

static void a_late_registration_gets_its_grant(void **state)
{
	fsha_services *s = open_services();
	struct player first, late;

	(void)state;
	player_lead(&first, s, ELECTION);
	player_close(&first);
	player_lead(&late, s, ELECTION);
	assert_true(late.epoch > first.epoch);
	player_close(&late);
	close_services(s);
}

static void elections_of_one_object_do_not_touch_each_other(void **state)
{
	fsha_services *s = open_services();
	struct player a, b;

	(void)state;
	player_lead(&a, s, FSHA_ELECTION_DISPATCHER);
	player_lead(&b, s, FSHA_ELECTION_RESOURCE_MANAGER);
	assert_int_equal(count_names("members", "", NULL), 1);
	player_close(&a);
	assert_int_equal(fsha_election_has_leadership(b.election, &b.session), 1);
	assert_int_equal(b.revokes, 0);
	player_close(&b);
	close_services(s);
}

/* ---- state errors ---- */

static void a_second_start_is_a_state_error(void **state)
{
	fsha_services *s = open_services();
	struct player p, second;
	fsha_contender c;

	(void)state;
	player_lead(&p, s, ELECTION);
	player_init(&second);
	c = contender_of(&second);
	assert_refused(fsha_election_start(s, ELECTION, &c, &second.election, &t.error),
		       FSHA_E_STATE, ELECTION);
	assert_null(second.election);
	assert_int_equal(fsha_election_has_leadership(p.election, &p.session), 1);
	player_close(&p);
	close_services(s);
}

static fsha_result close_both(struct player *p)
{
	fsha_result first = fsha_election_close(p->election, NULL);
	fsha_result second = fsha_services_close(p->ctx, NULL);

	return first == second ? first : FSHA_E_INVALID;
}

static void close_from_a_callback_is_a_state_error(void **state)
{
	fsha_services *s = open_services();
	struct player p;

	(void)state;
	player_init(&p);
	p.ctx = s;
	p.in_grant = close_both;
	player_start(&p, s, ELECTION);
	WAIT_FOR(&p.post, p.acted == 1);
	assert_int_equal(p.in_grant_result, FSHA_E_STATE);
	/* And it is still open. */
	assert_int_equal(fsha_election_has_leadership(p.election, &p.session), 1);
	player_close(&p);
	close_services(s);
}

static fsha_result resign_in_grant(struct player *p)
{
	return fsha_election_resign(p->election, &p->session, NULL);
}

static void a_contender_may_resign_in_its_grant(void **state)
{
	fsha_services *s = open_services();
	struct player p;

	(void)state;
	player_init(&p);
	p.in_grant = resign_in_grant;
	player_start(&p, s, ELECTION);
	WAIT_FOR(&p.post, p.revokes == 2);
	player_close(&p);
	assert_int_equal(p.in_grant_result, FSHA_OK);
	assert_int_equal(p.grants, p.revokes);
	close_services(s);
}

static void services_close_with_something_open_is_a_state_error(void **state)
{
	fsha_services *s = open_services();
	fsha_job_graph_store *graphs;
	fsha_state_store *store;
	struct listener l = { .gate = NULL };
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	assert_result(fsha_services_close(s, &t.error), FSHA_E_STATE);
	player_close(&p);
	listen_to(&l, s, ELECTION);
	assert_result(fsha_services_close(s, &t.error), FSHA_E_STATE);
	listener_stop(&l);
	assert_ok(fsha_state_store_open(s, "ns", ELECTION, &store, &t.error));
	assert_result(fsha_services_close(s, &t.error), FSHA_E_STATE);
	fsha_state_store_close(store);
	assert_ok(fsha_job_graph_store_open(s, &graphs, &t.error));
	assert_result(fsha_services_close(s, &t.error), FSHA_E_STATE);
	fsha_job_graph_store_close(graphs);
	close_services(s);
}

static void close_of_null_is_fine(void **state)
{
	(void)state;
	assert_ok(fsha_services_close(NULL, &t.error));
	assert_ok(fsha_election_close(NULL, &t.error));
	assert_ok(fsha_retriever_stop(NULL, &t.error));
	fsha_state_store_close(NULL);
	fsha_job_graph_store_close(NULL);
}

static void a_clean_close_leaves_no_member(void **state)
{
	fsha_services *s = open_services();
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	player_close(&p);
	close_services(s);
	assert_int_equal(count_names("members", "", NULL), 0);
}

static void no_create_makes_nothing(void **state)
{
	fsha_services_options options = FSHA_SERVICES_OPTIONS_INIT;
	fsha_services *s = NULL;

	(void)state;
	options.flags = FSHA_SERVICES_NO_CREATE;
	assert_result(fsha_services_open(t.config, &options, &s, &t.error), FSHA_E_NOT_FOUND);
	assert_null(s);
	assert_int_equal(access(in_cluster(""), F_OK), -1);
}

static void unknown_flags_and_sizes_are_invalid(void **state)
{
	fsha_services_options options = FSHA_SERVICES_OPTIONS_INIT;
	fsha_services *s = NULL;

	(void)state;
	options.flags = 1u << 31;
	assert_result(fsha_services_open(t.config, &options, &s, &t.error), FSHA_E_INVALID);
	options.flags = 0;
	options.struct_size = 8;
	assert_result(fsha_services_open(t.config, &options, &s, &t.error), FSHA_E_INVALID);
	assert_int_equal(access(in_cluster(""), F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(grant_confirm_and_revoke_alternate),
		TEST(every_term_has_a_fresh_session),
		TEST(term_tells_what_the_grant_told),
		TEST(confirm_from_the_grant_is_published),
		TEST(a_confirmation_is_not_lost_to_the_record_of_the_grant),
		TEST(confirm_with_an_old_session_is_ignored),
		TEST(a_second_confirm_is_a_state_error),
		TEST(an_address_has_1_to_1023_bytes),
		TEST(has_leadership_only_for_the_present_session),
		TEST(resign_needs_the_present_session),
		TEST(close_while_leading_revokes_once_and_publishes_no_leader),
		TEST(close_of_a_standby_calls_nothing),
		TEST(resigned_leadership_goes_to_a_standby_without_a_timeout),
		TEST(a_blocked_contender_does_not_keep_another_from_leading),
		TEST(a_late_registration_gets_its_grant),
		TEST(elections_of_one_object_do_not_touch_each_other),
		TEST(a_second_start_is_a_state_error),
		TEST(close_from_a_callback_is_a_state_error),
		TEST(a_contender_may_resign_in_its_grant),
		TEST(services_close_with_something_open_is_a_state_error),
		TEST(close_of_null_is_fine),
		TEST(a_clean_close_leaves_no_member),
		TEST(no_create_makes_nothing),
		TEST(unknown_flags_and_sizes_are_invalid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
