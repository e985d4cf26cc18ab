/*
 * Whole services out of memory. Which thread makes the nth allocation varies from run to run; what
 * holds does not: a call is done or says NOMEM, nothing is left over, and when there is memory
 * again everything goes on.
 */
#include "fsha/term.h"
#include "tests/lib/run.h"
#include "tests/test_hook.h"

/* ---- a table whose nth allocation fails, alone or with all after it ---- */

struct starved {
	struct fsu fs;
	_Atomic int fail_at; /* 0: never */
	_Atomic int allocations;
	_Atomic bool for_good;
	_Atomic long blocks; /* in use */
	_Atomic int expired; /* leases of these services that ran out */
	int expected;        /* those that the test has taken into account */
};

static struct fsu_ops starved_ops;

static bool fails(struct starved *m)
{
	int at = atomic_load(&m->fail_at), n;

	if (!at)
		return false;
	n = atomic_fetch_add(&m->allocations, 1) + 1;
	return n == at || (n > at && atomic_load(&m->for_good));
}

static void *starved_alloc(void *ctx, size_t size)
{
	struct starved *m = ctx;
	void *block = fails(m) ? NULL : fsu_alloc(&fsu_posix, size);

	atomic_fetch_add(&m->blocks, block ? 1 : 0);
	return block;
}

static void *starved_resize(void *ctx, void *ptr, size_t size)
{
	struct starved *m = ctx;
	void *block = fails(m) ? NULL : fsu_resize(&fsu_posix, ptr, size);

	atomic_fetch_add(&m->blocks, block && !ptr ? 1 : 0);
	return block;
}

static void starved_release(void *ctx, void *ptr)
{
	struct starved *m = ctx;

	atomic_fetch_add(&m->blocks, ptr ? -1 : 0);
	fsu_release(&fsu_posix, ptr);
}

static void starved_init(struct starved *m, int fail_at, bool for_good)
{
	if (!starved_ops.alloc) { /* threads of a test that failed may still be at it */
		starved_ops = *fsu_posix.ops;
		starved_ops.alloc = starved_alloc;
		starved_ops.resize = starved_resize;
		starved_ops.release = starved_release;
	}
	m->fs = (struct fsu){ &starved_ops, m };
	atomic_init(&m->fail_at, fail_at);
	atomic_init(&m->allocations, 0);
	atomic_init(&m->for_good, for_good);
	atomic_init(&m->blocks, 0);
	atomic_init(&m->expired, 0);
	m->expected = 0;
}

/*
 * On the heap, and left there by a test that fails: threads of the library go on with it while the
 * test says what is wrong.
 */
static struct starved *starved_create(int fail_at, bool for_good)
{
	struct starved *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	starved_init(m, fail_at, for_good);
	return m;
}

/* All memory was given back; the number of allocations there were. */
static int starved_destroy(struct starved *m)
{
	const int allocations = atomic_load(&m->allocations);

	assert_int_equal(atomic_load(&m->blocks), 0);
	free(m);
	return allocations;
}

static void feed(struct starved *m)
{
	atomic_store(&m->fail_at, 0);
}

static void on_log(void *ctx, int level, const char *event, const char *fields)
{
	struct starved *m = ctx;

	(void)level;
	(void)fields;
	if (strcmp(event, "expired") == 0)
		atomic_fetch_add(&m->expired, 1);
}

/*
 * On a busy machine a lease of a second may run out, and a term with it. Then the library says so
 * in its log, and what was told that nobody leads here may be done again.
 */
static bool lost_its_lease(struct starved *m, fsha_result result)
{
	if (result != FSHA_E_NOT_LEADER && result != FSHA_E_FENCED)
		return false;
	POLL_FOR(atomic_load(&m->expired) > m->expected);
	m->expected++;
	return true;
}

#define assert_done_or_starved(result)                                                            \
	do {                                                                                      \
		fsha_result result_ = (result);                                                   \
		if (result_ != FSHA_OK && result_ != FSHA_E_NOMEM && !lost_its_lease(m, result_)) \
			fail_msg("%s: %s: %s", #result, fsha_result_name(result_),                \
				 t.error.message);                                                \
	} while (0)

/* There is memory now, so it is done: at once, or when somebody leads again. */
static void assert_done(struct starved *m, fsha_services *s, fsha_result (*run)(fsha_services *s))
{
	fsha_result result = run(s);

	for (int i = 0; i < 20 && lost_its_lease(m, result); i++)
		result = run(s);
	assert_ok(result);
}

/* ---- every so many of them ---- */

#define RUNS_MAX 100

/*
 * `run` returns how many allocations there were. A part of them fails, another in each process:
 * each costs a lease or two.
 */
static void starve(int (*run)(int fail_at, bool for_good), int step, bool for_good)
{
	int n, last = 0, runs = 0;

	step = (int)test_size((unsigned long)step, (unsigned long)step,
			      (unsigned long)(step + 3) / 4);
	n = 1 + (int)getpid() % step;
	print_message("every %d. allocation from the %d. on\n", step, n);
	/* A busy machine tries again, and allocates for that, too. */
	for (; n < 2000 && runs < RUNS_MAX; n += step) {
		(void)alarm(60 * (unsigned)test_slowness()); /* for each of them */
		last = n;
		runs++;
		if (run(n, for_good) < n)
			break;
	}
	print_message("%d runs, the last for the %d.\n", runs, last);
	assert_in_range(last, 20, 1999);
}

/* ---- a life ---- */

static fsha_services *open_starved(struct starved *m)
{
	fsha_services_options options = FSHA_SERVICES_OPTIONS_INIT;
	fsha_services *s = NULL;
	fsha_result result;

	options.log = on_log;
	options.log_ctx = m;
	result = services_open_with(&m->fs, t.config, &options, &s, &t.error);
	assert_done_or_starved(result);
	if (result == FSHA_OK)
		return s;
	assert_int_equal(atomic_load(&m->blocks), 0);
	feed(m);
	assert_ok(services_open_with(&m->fs, t.config, &options, &s, &t.error));
	return s;
}

/* The first term is confirmed from outside; it may be lost to a busy machine. */
static fsha_result confirm_later_terms(struct player *p)
{
	return p->grants < 2 ?
		       FSHA_OK :
		       fsha_election_confirm_leadership(p->election, &p->session, ADDRESS, NULL);
}

static void start_starved(struct starved *m, fsha_services *s, struct player *p)
{
	fsha_contender c = contender_of(p);
	fsha_election *e = NULL;
	fsha_result result;

	player_init(p);
	p->in_grant = confirm_later_terms;
	result = fsha_election_start(s, ELECTION, &c, &e, &t.error);
	assert_done_or_starved(result);
	if (result != FSHA_OK) {
		feed(m);
		assert_ok(fsha_election_start(s, ELECTION, &c, &e, &t.error));
	}
	post_lock(&p->post);
	p->election = e;
	post_unlock(&p->post);
}

static void listen_starved(struct starved *m, fsha_services *s, struct listener *l)
{
	fsha_leader_listener listener = { sizeof(listener), l, on_leader, on_retrieval_error };
	fsha_result result;

	post_init(&l->post);
	l->count = l->errors = 0;
	l->gate = NULL;
	result = fsha_retriever_start(s, ELECTION, &listener, &l->retriever, &t.error);
	assert_done_or_starved(result);
	if (result != FSHA_OK) {
		feed(m);
		assert_ok(fsha_retriever_start(s, ELECTION, &listener, &l->retriever, &t.error));
	}
}

static void work_starved(struct starved *m, fsha_services *s, struct player *p)
{
	const fsha_uuid session = p->sessions[0];
	fsha_result result;
	char *text = NULL;
	size_t size;

	/* With NOMEM the library goes on trying. */
	result = fsha_election_confirm_leadership(p->election, &session, ADDRESS, &t.error);
	assert_done_or_starved(result);
	result = fsha_metrics_text(s, &text, &size, &t.error);
	assert_done_or_starved(result);
	if (result == FSHA_OK)
		fsu_release(&m->fs, text);
	feed(m);
}

/* A while without memory, however long it takes until it lacks; or until the next grant. */
static void go_hungry(struct starved *m, struct player *p, unsigned grants)
{
	const int64_t deadline_ms = now_ms() + LIMIT_MS;

	while (atomic_load(&m->allocations) < atomic_load(&m->fail_at) &&
	       !WITHIN(&p->post, 2, p->grants > grants))
		if (now_ms() > deadline_ms)
			fail_msg("in vain: memory that lacks, or a grant");
	(void)WITHIN(&p->post, 50, p->grants > grants);
}

/* The number of grants before it. */
static unsigned resign_once(struct starved *m, struct player *p)
{
	fsha_result result;
	unsigned grants;

	do {
		fsha_uuid session;

		WAIT_FOR(&p->post, p->leads);
		post_lock(&p->post);
		session = p->session;
		grants = p->grants;
		post_unlock(&p->post);
		result = fsha_election_resign(p->election, &session, &t.error);
	} while (lost_its_lease(m, result));
	assert_ok(result);
	return grants;
}

static int live(int fail_at, bool for_good)
{
	struct listener *l = calloc(1, sizeof(*l));
	struct player *p = calloc(1, sizeof(*p));
	struct starved *m = starved_create(fail_at, for_good);
	fsha_services *s;

	assert_non_null(l);
	assert_non_null(p);
	s = open_starved(m);
	listen_starved(m, s, l);
	start_starved(m, s, p);
	/* With one that failed it leads soon; else as soon as there is memory. */
	if (for_good)
		go_hungry(m, p, 0);
	if (for_good && !WITHIN(&p->post, 0, p->leads))
		feed(m);
	WAIT_FOR(&p->post, p->leads);
	work_starved(m, s, p);
	WAIT_FOR(&l->post, l->count > 0 && l->heard[(l->count - 1) % HEARD_MAX].leader);
	(void)resign_once(m, p);
	player_close(p);
	listener_stop(l);
	close_services(s);
	free(l);
	free(p);
	return starved_destroy(m);
}

static void one_allocation_that_fails_keeps_nobody_from_leading(void **state)
{
	(void)state;
	starve(live, 9, false);
}

static void when_there_is_memory_again_it_leads(void **state)
{
	(void)state;
	starve(live, 9, true);
}

/* ---- a resignation ---- */

/* The threads do it after the call. Nobody else is there, so this one leads the next term too. */
static int resign_starved(int fail_at, bool for_good)
{
	struct starved *m = starved_create(0, for_good);
	struct player *p = calloc(1, sizeof(*p));
	fsha_services *s;
	unsigned grants;

	assert_non_null(p);
	s = open_starved(m);
	start_starved(m, s, p);
	WAIT_FOR(&p->post, p->leads);
	atomic_store(&m->fail_at, fail_at);
	grants = resign_once(m, p);
	WAIT_FOR(&p->post, p->revokes >= grants);
	if (for_good) {
		go_hungry(m, p, grants);
		feed(m);
	}
	WAIT_FOR(&p->post, p->grants > grants && p->leads);
	feed(m);
	player_close(p);
	close_services(s);
	free(p);
	return starved_destroy(m);
}

static void a_resignation_without_memory_lets_the_next_one_lead(void **state)
{
	(void)state;
	starve(resign_starved, 13, false);
	starve(resign_starved, 17, true);
}

/* ---- tools ---- */

static const fsha_job_id job = { { 0xaa } };

static fsha_result put_value(fsha_services *s)
{
	fsha_state_store *store;
	fsha_result result;

	result = fsha_state_store_open(s, "ns", ELECTION, &store, &t.error);
	if (result != FSHA_OK)
		return result;
	result = fsha_state_store_add(store, "k", "v", 1, NULL, &t.error);
	fsha_state_store_close(store);
	return result == FSHA_E_EXISTS ? FSHA_OK : result;
}

static fsha_result put_for_a_moment(fsha_services *s)
{
	fsha_election *e = NULL;
	fsha_result result, closed;
	fsha_uuid session;

	result = fsha_election_acquire(s, ELECTION, LIMIT_MS, &e, &session, &t.error);
	if (result != FSHA_OK)
		return result;
	result = put_value(s);
	if (result == FSHA_OK)
		result = fsha_services_global_cleanup(s, &job, &t.error);
	closed = fsha_election_close(e, result == FSHA_OK ? &t.error : NULL);
	return result == FSHA_OK ? closed : result;
}

static bool has_value(fsha_services *s)
{
	fsha_state_store *store;
	fsha_version version;

	assert_ok(fsha_state_store_open(s, "ns", ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_exists(store, "k", &version, &t.error));
	fsha_state_store_close(store);
	return fsha_version_is_existing(&version);
}

static fsha_result clean_up(fsha_services *s)
{
	return fsha_services_cleanup_all_data(s, &t.error);
}

/*
 * Which thread goes without memory varies. Not all have somebody to tell, and when there is none
 * for good, whoever waits for them is told that time is up.
 */
static fsha_result why(fsha_result result, bool for_good)
{
	return for_good && result == FSHA_E_TIMEOUT ? FSHA_E_NOMEM : result;
}

static int use_tools(int fail_at, bool for_good)
{
	struct starved *m = starved_create(0, for_good);
	fsha_services *s = open_starved(m);
	fsha_result result;

	atomic_store(&m->fail_at, fail_at);
	result = why(put_for_a_moment(s), for_good);
	assert_done_or_starved(result);
	if (result != FSHA_OK) {
		feed(m);
		assert_done(m, s, put_for_a_moment);
	}
	result = why(clean_up(s), for_good);
	assert_done_or_starved(result);
	feed(m);
	assert_true(result != FSHA_OK || !has_value(s));
	assert_done(m, s, clean_up);
	assert_false(has_value(s));
	close_services(s);
	return starved_destroy(m);
}

static void tools_out_of_memory_say_so_and_complete_when_they_are_run_again(void **state)
{
	(void)state;
	starve(use_tools, 101, false);
	starve(use_tools, 211, true);
}

/* ---- a child ---- */

/* The leader has all the memory it wants, and no machine is too busy for its lease. */
static int set_up_long_lease(void **state)
{
	return setup(state) || fsha_config_set(t.config, FSHA_KEY_LEASE, "30 s", NULL);
}

static int attach(int fail_at, bool for_good)
{
	fsha_services_options options = FSHA_SERVICES_OPTIONS_INIT;
	fsha_services *leader = NULL, *s;
	struct player *p = calloc(1, sizeof(*p));
	fsha_shared_term term;
	struct starved *m = starved_create(0, for_good);
	fsha_result result;

	assert_non_null(p);
	options.flags = FSHA_SERVICES_SHARED_TERM;
	assert_ok(fsha_services_open(t.config, &options, &leader, &t.error));
	player_lead(p, leader, ELECTION);
	assert_ok(fsha_election_share(p->election, &term, &t.error));
	s = open_starved(m);
	atomic_store(&m->fail_at, fail_at);
	result = fsha_services_attach(s, ELECTION, &term, &t.error);
	assert_done_or_starved(result);
	feed(m);
	assert_result(put_value(s), result == FSHA_OK ? FSHA_OK : FSHA_E_NOT_LEADER);
	if (result != FSHA_OK)
		assert_ok(fsha_services_attach(s, ELECTION, &term, &t.error));
	assert_ok(put_value(s));
	close_services(s);
	player_close(p);
	close_services(leader);
	free(p);
	return starved_destroy(m);
}

static void attaching_out_of_memory_takes_part_in_nothing(void **state)
{
	(void)state;
	for (int for_good = 0; for_good < 2; for_good++) {
		int n = 1;

		while (attach(n, for_good) >= n)
			n++;
		assert_in_range(n, 4, 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_allocation_that_fails_keeps_nobody_from_leading),
		TEST(when_there_is_memory_again_it_leads),
		TEST(a_resignation_without_memory_lets_the_next_one_lead),
		TEST(tools_out_of_memory_say_so_and_complete_when_they_are_run_again),
		cmocka_unit_test_setup_teardown(attaching_out_of_memory_takes_part_in_nothing,
						set_up_long_lease, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
