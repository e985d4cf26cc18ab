/*
 * The contract of fsha/retrieval.h, and that the leader's record is put right when somebody meddles
 * with it.
 */
#include "tests/test_services.h"

static void confirm(struct player *p, const char *address)
{
	assert_ok(fsha_election_confirm_leadership(p->election, &p->session, address, &t.error));
}

static void resign(struct player *p)
{
	unsigned grants = p->grants;

	assert_ok(fsha_election_resign(p->election, &p->session, &t.error));
	WAIT_FOR(&p->post, p->grants == grants + 1);
}

static void assert_heard(const struct listener *l, unsigned i, const char *address)
{
	assert_true(l->count > i);
	assert_int_equal(l->heard[i].leader, address != NULL);
	if (address)
		assert_string_equal(l->heard[i].address, address);
}

/* ---- what is delivered ---- */

static void a_leader_is_told_with_address_and_session(void **state)
{
	fsha_services *s = open_services();
	struct listener l = { .gate = NULL };
	struct player p;

	(void)state;
	listen_to(&l, s, ELECTION);
	player_lead(&p, s, ELECTION);
	confirm(&p, "here");
	WAIT_FOR(&l.post, l.count == 1);
	assert_heard(&l, 0, "here");
	assert_true(fsha_uuid_equal(&l.heard[0].session, &p.session));
	player_close(&p);
	listener_stop(&l);
	close_services(s);
}

static void a_late_listener_is_told_who_leads(void **state)
{
	fsha_services *s = open_services(), *client = open_services();
	struct listener l = { .gate = NULL };
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	confirm(&p, "here");
	listen_to(&l, client, ELECTION);
	WAIT_FOR(&l.post, l.count == 1);
	assert_heard(&l, 0, "here");
	listener_stop(&l);
	player_close(&p);
	close_services(client);
	close_services(s);
}

static void a_first_no_leader_is_not_told(void **state)
{
	fsha_services *s = open_services();
	struct listener before = { .gate = NULL }, after = { .gate = NULL };
	struct player p;

	(void)state;
	listen_to(&before, s, ELECTION);
	player_lead(&p, s, ELECTION);
	player_close(&p);
	/* Now there is a record that says so. */
	listen_to(&after, s, ELECTION);
	player_lead(&p, s, ELECTION);
	confirm(&p, "here");
	WAIT_FOR(&before.post, before.count == 1);
	WAIT_FOR(&after.post, after.count == 1);
	assert_heard(&before, 0, "here");
	assert_heard(&after, 0, "here");
	player_close(&p);
	listener_stop(&after);
	listener_stop(&before);
	close_services(s);
}

static void no_leader_is_told_between_two_leaders(void **state)
{
	fsha_services *s = open_services();
	struct listener l = { .gate = NULL };
	struct player p;

	(void)state;
	listen_to(&l, s, ELECTION);
	player_lead(&p, s, ELECTION);
	confirm(&p, "one");
	WAIT_FOR(&l.post, l.count == 1);
	resign(&p);
	confirm(&p, "two");
	WAIT_FOR(&l.post, l.count == 3);
	assert_heard(&l, 0, "one");
	assert_heard(&l, 1, NULL);
	assert_heard(&l, 2, "two");
	player_close(&p);
	WAIT_FOR(&l.post, l.count == 4);
	assert_heard(&l, 3, NULL);
	listener_stop(&l);
	close_services(s);
}

static void no_leader_is_told_also_to_a_listener_that_was_busy(void **state)
{
	fsha_services *s = open_services(), *client = open_services();
	struct listener l;
	struct gate gate;
	struct player p;

	(void)state;
	gate_init(&gate);
	gate_set(&gate, true);
	l.gate = &gate;
	player_lead(&p, s, ELECTION);
	confirm(&p, "one");
	listen_to(&l, client, ELECTION);
	WAIT_FOR(&gate.post, gate.waiting == 1);
	resign(&p);
	confirm(&p, "two");
	resign(&p);
	confirm(&p, "three");
	gate_set(&gate, false);
	WAIT_FOR(&l.post, l.count >= 3 && strcmp(l.heard[l.count - 1].address, "three") == 0);
	assert_heard(&l, 0, "one");
	assert_heard(&l, 1, NULL);
	listener_stop(&l);
	player_close(&p);
	close_services(client);
	close_services(s);
}

static void a_pair_is_told_once_however_often_it_is_looked_at(void **state)
{
	fsha_services *s = open_services();
	struct listener l = { .gate = NULL };
	struct player p;

	(void)state;
	listen_to(&l, s, ELECTION);
	player_lead(&p, s, ELECTION);
	confirm(&p, "here");
	WAIT_FOR(&l.post, l.count == 1);
	for (int i = 0; i < 20; i++)
		fsha_retriever_refresh(l.retriever);
	player_close(&p);
	WAIT_FOR(&l.post, l.count == 2);
	assert_heard(&l, 0, "here");
	assert_heard(&l, 1, NULL);
	listener_stop(&l);
	close_services(s);
}

static void a_leader_that_has_not_confirmed_is_no_leader(void **state)
{
	fsha_services *s = open_services();
	struct listener l = { .gate = NULL };
	fsha_leader_information info;
	struct player p;

	(void)state;
	listen_to(&l, s, ELECTION);
	player_lead(&p, s, ELECTION);
	POLL_FOR(fsha_leader_read(s, ELECTION, &info, NULL) == FSHA_OK);
	assert_int_equal(info.confirmed, 0);
	assert_true(fsha_uuid_equal(&info.session, &p.session));
	resign(&p);
	confirm(&p, "second term");
	WAIT_FOR(&l.post, l.count == 1);
	assert_heard(&l, 0, "second term");
	player_close(&p);
	listener_stop(&l);
	close_services(s);
}

static void listeners_hear_of_their_own_election_only(void **state)
{
	fsha_services *s = open_services();
	struct listener one = { .gate = NULL }, two = { .gate = NULL };
	struct player a, b;

	(void)state;
	listen_to(&one, s, "one");
	listen_to(&two, s, "two");
	player_lead(&a, s, "one");
	player_lead(&b, s, "two");
	confirm(&a, "a");
	confirm(&b, "b");
	WAIT_FOR(&one.post, one.count == 1);
	WAIT_FOR(&two.post, two.count == 1);
	assert_heard(&one, 0, "a");
	assert_heard(&two, 0, "b");
	player_close(&a);
	player_close(&b);
	listener_stop(&one);
	listener_stop(&two);
	close_services(s);
}

static void listening_makes_nobody_a_member(void **state)
{
	fsha_services *s = open_services();
	struct listener l = { .gate = NULL };

	(void)state;
	listen_to(&l, s, ELECTION);
	fsha_retriever_refresh(l.retriever);
	listener_stop(&l);
	assert_int_equal(count_names("members", "", NULL), 0);
	assert_int_equal(count_names("elections", "", NULL), 0);
	close_services(s);
}

static void reading_an_election_that_is_not_there_is_not_found(void **state)
{
	fsha_services *s = open_services();
	fsha_leader_information info;

	(void)state;
	assert_refused(fsha_leader_read(s, "nobody", &info, &t.error), FSHA_E_NOT_FOUND, "nobody");
	close_services(s);
}

/* ---- stopping ---- */

static void nothing_is_told_after_stop(void **state)
{
	fsha_services *s = open_services();
	struct listener l = { .gate = NULL }, witness = { .gate = NULL };
	struct player p;

	(void)state;
	listen_to(&l, s, ELECTION);
	listen_to(&witness, s, ELECTION);
	player_lead(&p, s, ELECTION);
	confirm(&p, "here");
	WAIT_FOR(&l.post, l.count == 1);
	listener_stop(&l);
	player_close(&p);
	WAIT_FOR(&witness.post, witness.count == 2);
	assert_int_equal(l.count, 1);
	listener_stop(&witness);
	close_services(s);
}

static void stop_of_a_listener_that_runs_times_out_and_it_was_the_last_call(void **state)
{
	fsha_services *s = open_services(), *client = open_services();
	struct listener l;
	struct gate gate;
	struct player p;

	(void)state;
	gate_init(&gate);
	gate_set(&gate, true);
	l.gate = &gate;
	player_lead(&p, s, ELECTION);
	confirm(&p, "here");
	listen_to(&l, client, ELECTION);
	WAIT_FOR(&gate.post, gate.waiting == 1);
	assert_result(fsha_retriever_stop(l.retriever, &t.error), FSHA_E_TIMEOUT);
	gate_set(&gate, false);
	player_close(&p);
	close_services(client);
	assert_int_equal(l.count, 1);
	close_services(s);
}

struct stopper {
	struct listener l;
	struct gate ready;
	fsha_result result;
	bool stopped;
};

static void stop_oneself(void *ctx, const char *address, const fsha_uuid *session)
{
	struct stopper *stopper = ctx;
	fsha_result result;

	(void)address;
	(void)session;
	gate_pass(&stopper->ready);
	result = fsha_retriever_stop(stopper->l.retriever, NULL);
	post_lock(&stopper->l.post);
	stopper->result = result;
	stopper->stopped = true;
	post_unlock(&stopper->l.post);
}

static void stop_from_a_callback_is_a_state_error(void **state)
{
	fsha_services *s = open_services();
	struct stopper stopper = { .stopped = false };
	fsha_leader_listener listener = { sizeof(listener), &stopper, stop_oneself, NULL };
	struct player p;

	(void)state;
	post_init(&stopper.l.post);
	gate_init(&stopper.ready);
	gate_set(&stopper.ready, true);
	assert_ok(fsha_retriever_start(s, ELECTION, &listener, &stopper.l.retriever, &t.error));
	gate_set(&stopper.ready, false);
	player_lead(&p, s, ELECTION);
	confirm(&p, "here");
	WAIT_FOR(&stopper.l.post, stopper.stopped);
	assert_int_equal(stopper.result, FSHA_E_STATE);
	listener_stop(&stopper.l);
	player_close(&p);
	close_services(s);
}

/* ---- meddling ---- */

/* A file name for a version of the leader record that is not there yet. */
static void record_name(uint64_t epoch, uint64_t sequence, const char *end, char *ret_name)
{
	(void)snprintf(ret_name, 128, "leaders/" ELECTION "~%016llx.%016llx.0000%s",
		       (unsigned long long)epoch, (unsigned long long)sequence, end);
}

static bool is_read_as(fsha_services *s, const struct player *p, const char *address)
{
	fsha_leader_information info;

	return fsha_leader_read(s, ELECTION, &info, NULL) == FSHA_OK &&
	       strcmp(info.address, address) == 0 && fsha_uuid_equal(&info.session, &p->session);
}

static void wipe_leaders(void)
{
	char last[256], path[300];

	while (count_names("leaders", ELECTION, last) > 0) {
		(void)snprintf(path, sizeof(path), "leaders/%s", last);
		assert_int_equal(unlink(in_cluster(path)), 0);
	}
}

static void a_wiped_record_is_put_back_and_told_again(void **state)
{
	fsha_services *s = open_services(), *client = open_services();
	struct listener l = { .gate = NULL };
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	confirm(&p, "here");
	listen_to(&l, client, ELECTION);
	WAIT_FOR(&l.post, l.count == 1);
	wipe_leaders();
	POLL_FOR(is_read_as(s, &p, "here"));
	/* Whoever saw it gone is told of the same leader again; nobody is told twice in a row. */
	listener_stop(&l);
	for (unsigned i = 0; i < l.count; i++)
		assert_heard(&l, i, i % 2 ? NULL : "here");
	player_close(&p);
	close_services(client);
	close_services(s);
}

static void assert_put_right_after(uint64_t epoch_more, const char *end)
{
	fsha_services *s = open_services();
	char name[128];
	struct player p;

	player_lead(&p, s, ELECTION);
	confirm(&p, "here");
	record_name(p.epoch + epoch_more, 1000, end, name);
	write_file(in_cluster(name), "rubbish", 7);
	POLL_FOR(is_read_as(s, &p, "here"));
	assert_int_equal(fsha_election_has_leadership(p.election, &p.session), 1);
	player_close(&p);
	close_services(s);
}

static void a_record_put_above_the_leaders_is_outdone(void **state)
{
	(void)state;
	assert_put_right_after(0, "");
}

static void a_record_of_a_later_epoch_is_taken_away(void **state)
{
	(void)state;
	assert_put_right_after(7, "");
}

static void a_removal_put_above_the_leaders_is_outdone(void **state)
{
	(void)state;
	assert_put_right_after(0, ".gone");
}

static void a_damaged_record_is_an_error_to_listeners_and_they_recover(void **state)
{
	fsha_services *s = open_services(), *client = open_services();
	struct listener l = { .gate = NULL };
	char name[128];
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	player_close(&p);
	record_name(p.epoch, 1000, "", name);
	write_file(in_cluster(name), "rubbish", 7);
	listen_to(&l, client, ELECTION);
	WAIT_FOR(&l.post, l.errors > 0);
	player_lead(&p, s, ELECTION);
	confirm(&p, "here");
	WAIT_FOR(&l.post, l.count == 1);
	assert_heard(&l, 0, "here");
	listener_stop(&l);
	player_close(&p);
	close_services(client);
	close_services(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_leader_is_told_with_address_and_session),
		TEST(a_late_listener_is_told_who_leads),
		TEST(a_first_no_leader_is_not_told),
		TEST(no_leader_is_told_between_two_leaders),
		TEST(no_leader_is_told_also_to_a_listener_that_was_busy),
		TEST(a_pair_is_told_once_however_often_it_is_looked_at),
		TEST(a_leader_that_has_not_confirmed_is_no_leader),
		TEST(listeners_hear_of_their_own_election_only),
		TEST(listening_makes_nobody_a_member),
		TEST(reading_an_election_that_is_not_there_is_not_found),
		TEST(nothing_is_told_after_stop),
		TEST(stop_of_a_listener_that_runs_times_out_and_it_was_the_last_call),
		TEST(stop_from_a_callback_is_a_state_error),
		TEST(a_wiped_record_is_put_back_and_told_again),
		TEST(a_record_put_above_the_leaders_is_outdone),
		TEST(a_record_of_a_later_epoch_is_taken_away),
		TEST(a_removal_put_above_the_leaders_is_outdone),
		TEST(a_damaged_record_is_an_error_to_listeners_and_they_recover),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
