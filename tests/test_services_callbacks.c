/* What a contender and a listener may rely on, beyond the plain turns of test_services*.c. */
#include "tests/test_hook.h"

#include "src/retrieval/poller.h"

/* ---- locks of the user's own ---- */

/* A contender as they are written: one lock around all of its state. */
struct locked {
	struct post post; /* its mutex is the contender's */
	fsha_election *election;
	unsigned grants, revokes;
	fsha_uuid session;
};

static void on_locked_grant(void *ctx, const fsha_uuid *session, uint64_t epoch)
{
	struct locked *c = ctx;

	(void)epoch;
	post_lock(&c->post);
	c->session = *session;
	c->grants++;
	post_unlock(&c->post);
}

static void on_locked_revoke(void *ctx)
{
	struct locked *c = ctx;

	post_lock(&c->post);
	c->revokes++;
	post_unlock(&c->post);
}

static void a_contender_may_hold_its_own_lock_while_confirming(void **state)
{
	fsha_services *s = open_services();
	struct locked c = { .grants = 0 };
	const fsha_contender contender = { sizeof(contender), &c, on_locked_grant, on_locked_revoke,
					   NULL };
	fsha_result result;

	(void)state;
	post_init(&c.post);
	assert_ok(fsha_election_start(s, ELECTION, &contender, &c.election, &t.error));
	for (unsigned i = 1; i <= 10; i++) {
		WAIT_FOR(&c.post, c.grants == i);
		/* The revocation waits for this lock in the executor while we confirm under it. */
		post_lock(&c.post);
		result = fsha_election_confirm_leadership(c.election, &c.session, "here", &t.error);
		assert_ok(fsha_election_resign(c.election, &c.session, &t.error));
		assert_false(fsha_election_has_leadership(c.election, &c.session));
		assert_ok(
			fsha_election_confirm_leadership(c.election, &c.session, "late", &t.error));
		post_unlock(&c.post);
		assert_ok(result);
		WAIT_FOR(&c.post, c.revokes == i);
	}
	assert_ok(fsha_election_close(c.election, &t.error));
	assert_int_equal(c.revokes, c.grants);
	close_services(s);
}

struct eager {
	struct post post;
	fsha_election *election; /* as fsha_election_start sets it, with no lock of ours */
	bool granted, found;
};

static void on_eager_grant(void *ctx, const fsha_uuid *session, uint64_t epoch)
{
	struct eager *c = ctx;

	(void)epoch;
	post_lock(&c->post);
	c->found = fsha_election_has_leadership(c->election, session);
	c->granted = true;
	post_unlock(&c->post);
}

static void on_eager_revoke(void *ctx)
{
	(void)ctx;
}

static void the_election_is_there_when_the_grant_comes(void **state)
{
	fsha_services *s = open_services();

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct eager c = { .granted = false };
		const fsha_contender contender = { sizeof(contender), &c, on_eager_grant,
						   on_eager_revoke, NULL };

		post_init(&c.post);
		assert_ok(fsha_election_start(s, ELECTION, &contender, &c.election, &t.error));
		WAIT_FOR(&c.post, c.granted);
		assert_true(c.found);
		assert_ok(fsha_election_close(c.election, &t.error));
	}
	close_services(s);
}

/* The C library takes it out of the stack of each thread. */
static _Thread_local volatile char much[512 * 1024];

static void on_deep_grant(void *ctx, const fsha_uuid *session, uint64_t epoch)
{
	volatile char deep[1024 * 1024];

	for (size_t i = 0; i < sizeof(deep); i += 512)
		deep[i] = much[i / 2];
	on_eager_grant(ctx, session, epoch);
}

static void callbacks_have_the_stack_of_any_thread(void **state)
{
	fsha_services *s = open_services();
	static struct eager c;
	const fsha_contender contender = { sizeof(contender), &c, on_deep_grant, on_eager_revoke,
					   NULL };

	(void)state;
	post_init(&c.post);
	assert_ok(fsha_election_start(s, ELECTION, &contender, &c.election, &t.error));
	WAIT_FOR(&c.post, c.granted);
	assert_ok(fsha_election_close(c.election, &t.error));
	close_services(s);
}

/* ---- what is not ours ---- */

static void records_of_elections_that_nobody_takes_part_in_are_left_alone(void **state)
{
	static const char *const names[] = { "stranger~0000000000000007.0000000000000001.0000",
					     "no record at all" };
	fsha_services *s = open_services();
	struct player p;
	char path[300];

	(void)state;
	player_lead(&p, s, ELECTION);
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "leaders/%s", names[i]);
		write_file(in_cluster(path), "theirs", 6);
	}
	/* Several looks later, with a change of our own in between. */
	assert_ok(fsha_election_confirm_leadership(p.election, &p.session, "here", &t.error));
	for (unsigned i = 2; i < 5; i++) {
		assert_ok(fsha_election_resign(p.election, &p.session, &t.error));
		WAIT_FOR(&p.post, p.grants == i);
	}
	player_close(&p);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(count_names("leaders", names[i], NULL), 1);
	close_services(s);
}

/* ---- retrieval ---- */

static void the_same_address_with_a_new_session_is_told(void **state)
{
	fsha_services *s = open_services();
	struct listener l = { .gate = NULL };
	struct player p;

	(void)state;
	player_init(&p);
	p.confirm = "here";
	player_start(&p, s, ELECTION);
	WAIT_FOR(&p.post, p.leads);
	listen_to(&l, s, ELECTION);
	WAIT_FOR(&l.post, l.count == 1);
	assert_ok(fsha_election_resign(p.election, &p.session, &t.error));
	WAIT_FOR(&p.post, p.grants == 2);
	WAIT_FOR(&l.post, l.count >= 2 && l.heard[l.count - 1].leader);
	assert_string_equal(l.heard[l.count - 1].address, "here");
	assert_true(fsha_uuid_equal(&l.heard[0].session, &p.sessions[0]));
	assert_true(fsha_uuid_equal(&l.heard[l.count - 1].session, &p.sessions[1]));
	player_close(&p);
	listener_stop(&l);
	close_services(s);
}

static void see(fsha_services *s, const struct leader *leader)
{
	services_lock(s);
	retriever_notify(s, "nobody", leader);
	services_unlock(s);
}

static void the_same_leader_is_told_again_after_there_was_none(void **state)
{
	struct leader leader = {
		.state = LEADER_CONFIRMED, .epoch = 1, .session = { { 1 } }, .address = "here"
	};
	fsha_services *s = open_services();
	struct listener l = { .gate = NULL };
	struct player p;

	(void)state;
	/* A leader whose process is alive: that of another election. */
	player_lead(&p, s, ELECTION);
	leader.member = s->member->id;
	listen_to(&l, s, "nobody");
	see(s, &leader);
	see(s, &leader);
	WAIT_FOR(&l.post, l.count == 1);
	see(s, NULL);
	see(s, NULL);
	see(s, &leader);
	WAIT_FOR(&l.post, l.count == 3);
	listener_stop(&l);
	assert_int_equal(l.count, 3);
	assert_true(l.heard[0].leader);
	assert_false(l.heard[1].leader);
	assert_string_equal(l.heard[2].address, "here");
	assert_true(fsha_uuid_equal(&l.heard[2].session, &l.heard[0].session));
	player_close(&p);
	close_services(s);
}

static int no_notification(void *ctx)
{
	(void)ctx;
	return -ENOSYS;
}

static void refresh_looks_at_once(void **state)
{
	static struct fsu_ops ops; /* threads may outlive the test */
	static const struct fsu fs = { &ops, NULL };
	fsha_services *s, *client = NULL;
	struct listener l = { .gate = NULL };
	struct player p;

	(void)state;
	ops = *fsu_posix.ops;
	ops.notify_open = no_notification;
	/* Without inotify it looks once a minute. */
	assert_ok(fsha_config_set(t.config, FSHA_KEY_LEASE, "10 min", &t.error));
	assert_ok(fsha_config_set(t.config, FSHA_KEY_POLL_INTERVAL, "60 s", &t.error));
	s = open_services();
	player_lead(&p, s, ELECTION);
	assert_ok(services_open_with(&fs, t.config, NULL, &client, &t.error));
	listen_to(&l, client, ELECTION);
	/* Not before its first looks are over. */
	(void)usleep(100000);
	assert_ok(fsha_election_confirm_leadership(p.election, &p.session, "here", &t.error));
	fsha_retriever_refresh(l.retriever);
	WAIT_FOR(&l.post, l.count == 1);
	assert_string_equal(l.heard[0].address, "here");
	listener_stop(&l);
	player_close(&p);
	close_services(client);
	close_services(s);
	fsha_retriever_refresh(NULL);
}

static void a_job_master_is_found_by_its_job(void **state)
{
	struct listener l = { .gate = NULL };
	const fsha_leader_listener listener = { sizeof(listener), &l, on_leader, NULL };
	const fsha_job_id job = { { 0x5 } };
	fsha_services *s = open_services();
	fsha_leader_information info;
	char name[FSHA_ELECTION_JOB_TEXT];
	struct player p;
	fsha_contender c;
	fsha_election *e;

	(void)state;
	post_init(&l.post);
	/* A default address is for those who elect nobody. */
	assert_ok(fsha_retriever_start_job(s, &job, "default", &listener, &l.retriever, &t.error));
	player_init(&p);
	p.confirm = "master";
	c = contender_of(&p);
	assert_ok(fsha_election_start_job(s, &job, &c, &e, &t.error));
	post_lock(&p.post);
	p.election = e;
	post_unlock(&p.post);
	WAIT_FOR(&l.post, l.count == 1);
	assert_string_equal(l.heard[0].address, "master");
	assert_ok(fsha_leader_read(s, fsha_job_election_name(&job, name), &info, &t.error));
	assert_string_equal(info.address, "master");
	assert_result(fsha_election_start_job(s, NULL, &c, &e, &t.error), FSHA_E_INVALID);
	player_close(&p);
	listener_stop(&l);
	close_services(s);
}

static void stopping_nothing_is_fine(void **state)
{
	(void)state;
	assert_ok(fsha_retriever_stop(NULL, &t.error));
	assert_ok(fsha_election_close(NULL, &t.error));
	assert_ok(fsha_services_close(NULL, &t.error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_contender_may_hold_its_own_lock_while_confirming),
		TEST(the_election_is_there_when_the_grant_comes),
		TEST(callbacks_have_the_stack_of_any_thread),
		TEST(records_of_elections_that_nobody_takes_part_in_are_left_alone),
		TEST(the_same_address_with_a_new_session_is_told),
		TEST(the_same_leader_is_told_again_after_there_was_none),
		TEST(refresh_looks_at_once),
		TEST(a_job_master_is_found_by_its_job),
		TEST(stopping_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
