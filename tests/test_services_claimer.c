/* The claimer does nothing in vain: how often it tries what fails, and what it does while it waits.
 */
#include "src/election/election.h"
#include "tests/test_hook.h"

#define ELECTION "dispatcher"
/* What a thread that never rests would do by far more often. */
#define SELDOM 100

static int refuse_listings(struct hook *h, const char *op, const char *path, const char *to)
{
	(void)to;
	if (!atomic_load(&h->mode) || strcmp(op, "getdents") != 0 ||
	    !strstr(path, "elections/" ELECTION))
		return 0;
	atomic_fetch_add(&h->count, 1);
	return -EIO;
}

static void what_fails_is_tried_again_after_a_pause_though_the_contender_is_told(void **state)
{
	static struct player leader, standby; /* threads have them also when this fails */
	fsha_services *services[2];
	static struct hook hook;

	(void)state;
	services[0] = open_services();
	player_lead(&leader, services[0], ELECTION);
	hook_init(&hook);
	hook.decide = refuse_listings;
	services[1] = open_hooked(&hook);
	player_init(&standby);
	player_start(&standby, services[1], ELECTION);
	atomic_store(&hook.mode, 1);
	/* It is looked at once a lease, and after a failure five times. */
	WAIT_FOR(&standby.post, standby.errors > 0);
	(void)usleep(LEASE_MS * 1000 / 2);
	assert_true(atomic_load(&hook.count) < SELDOM);
	atomic_store(&hook.mode, 0);
	player_close(&standby);
	player_close(&leader);
	close_services(services[1]);
	close_services(services[0]);
}

/*
 * The executor, which tells contenders of errors, has nobody to tell it here, and may be faster. Of
 * a long lease there is only one error in a while.
 */
static void who_acquires_is_told_what_stands_in_the_way(void **state)
{
	fsha_election *e = NULL;
	fsha_services *s;
	fsha_uuid session;
	static struct hook hook;
	static struct player p;

	(void)state;
	assert_ok(fsha_config_set(t.config, FSHA_KEY_LEASE, "100 s", &t.error));
	s = open_services(); /* makes the election */
	player_lead(&p, s, ELECTION);
	player_close(&p);
	close_services(s);
	hook_init(&hook);
	hook.decide = refuse_listings;
	for (int i = 0; i < 20; i++) {
		s = open_hooked(&hook);
		atomic_store(&hook.mode, 1);
		assert_refused(fsha_election_acquire(s, ELECTION, 10000, &e, &session, &t.error),
			       FSHA_E_IO, "cannot");
		atomic_store(&hook.mode, 0);
		close_services(s);
	}
}

/* ---- The clock is asked by whoever waits, each time anew ---- */

static struct hook clock_hook;
static struct fsu_ops clock_ops;

static int64_t count_now(void *ctx)
{
	(void)ctx;
	atomic_fetch_add(&clock_hook.count, 1);
	return fsu_posix.ops->now_ns(NULL);
}

static struct gate revoke_gate;

static void slow_revoke(void *ctx)
{
	on_revoke(ctx);
	gate_pass(&revoke_gate);
}

static void *close_run(void *arg)
{
	player_close(arg);
	return NULL;
}

static void the_claimer_rests_while_a_contender_is_slow_to_hear_of_the_end(void **state)
{
	static struct player p;
	fsha_contender contender;
	fsha_services *s;
	pthread_t thread;
	int before;

	(void)state;
	gate_init(&revoke_gate);
	hook_init(&clock_hook);
	clock_ops = *clock_hook.fs.ops;
	clock_ops.now_ns = count_now;
	clock_hook.fs.ops = &clock_ops;
	s = open_hooked(&clock_hook);
	player_init(&p);
	contender = contender_of(&p);
	contender.revoke_leadership = slow_revoke;
	assert_ok(fsha_election_start(s, ELECTION, &contender, &p.election, &t.error));
	post_lock(&p.post);
	post_unlock(&p.post); /* a grant may wait for the election */
	WAIT_FOR(&p.post, p.acted == 1);
	gate_set(&revoke_gate, true);
	assert_int_equal(pthread_create(&thread, NULL, close_run, &p), 0);
	WAIT_FOR(&revoke_gate.post, revoke_gate.waiting == 1);
	services_lock(s);
	term_over(p.election->term, TERM_EXPIRED);
	services_unlock(s);
	worker_wake(&s->claimer);
	before = atomic_load(&clock_hook.count);
	(void)usleep(LEASE_MS * 1000 / 5);
	assert_true(atomic_load(&clock_hook.count) - before < SELDOM);
	gate_set(&revoke_gate, false);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close_services(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_fails_is_tried_again_after_a_pause_though_the_contender_is_told),
		TEST(who_acquires_is_told_what_stands_in_the_way),
		TEST(the_claimer_rests_while_a_contender_is_slow_to_hear_of_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
