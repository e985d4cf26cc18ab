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
	starved_ops = *fsu_posix.ops;
	starved_ops.alloc = starved_alloc;
	starved_ops.resize = starved_resize;
	starved_ops.release = starved_release;
	m->fs = (struct fsu){ &starved_ops, m };
	atomic_init(&m->fail_at, fail_at);
	atomic_init(&m->allocations, 0);
	atomic_init(&m->for_good, for_good);
	atomic_init(&m->blocks, 0);
}

static void feed(struct starved *m)
{
	atomic_store(&m->fail_at, 0);
}

#define assert_done_or_starved(result)                                             \
	do {                                                                       \
		fsha_result result_ = (result);                                    \
		if (result_ != FSHA_OK && result_ != FSHA_E_NOMEM)                 \
			fail_msg("%s: %s: %s", #result, fsha_result_name(result_), \
				 t.error.message);                                 \
	} while (0)

/* ---- every so many of them ---- */

/*
 * `run` returns how many allocations there were. In the long run each of them fails; else a part of
 * them, another for each process.
 */
static void starve(int (*run)(int fail_at, bool for_good), int step, bool for_good)
{
	int n, last = 0, runs = 0;

	step = (int)test_size((unsigned long)step, (unsigned long)step, 1);
	n = 1 + (int)getpid() % step;
	print_message("every %d. allocation from the %d. on\n", step, n);
	for (; n < 2000; n += step) {
		last = n;
		runs++;
		if (run(n, for_good) < n)
			break;
	}
	print_message("%d runs, the last for the %d.\n", runs, last);
	assert_in_range(last, 20, 1999);
}

/* ---- a life ---- */

static fsha_result open_starved(struct starved *m, fsha_services **ret_services)
{
	fsha_result result = services_open_with(&m->fs, t.config, NULL, ret_services, &t.error);

	assert_done_or_starved(result);
	if (result == FSHA_OK)
		return result;
	assert_int_equal(atomic_load(&m->blocks), 0);
	feed(m);
	return services_open_with(&m->fs, t.config, NULL, ret_services, &t.error);
}

static void start_starved(struct starved *m, fsha_services *s, struct player *p)
{
	fsha_contender c = contender_of(p);
	fsha_election *e = NULL;
	fsha_result result;

	player_init(p);
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
	fsha_result result;
	char *text = NULL;
	size_t size;

	/* With NOMEM the library goes on trying. */
	result = fsha_election_confirm_leadership(p->election, &p->session, ADDRESS, &t.error);
	assert_done_or_starved(result);
	result = fsha_metrics_text(s, &text, &size, &t.error);
	assert_done_or_starved(result);
	if (result == FSHA_OK)
		fsu_release(&m->fs, text);
	feed(m);
}

static int live(int fail_at, bool for_good)
{
	struct listener *l = calloc(1, sizeof(*l));
	struct player *p = calloc(1, sizeof(*p));
	fsha_services *s = NULL;
	struct starved m;
	fsha_uuid session;

	assert_non_null(l);
	assert_non_null(p);
	starved_init(&m, fail_at, for_good);
	assert_ok(open_starved(&m, &s));
	listen_starved(&m, s, l);
	start_starved(&m, s, p);
	/* With one that failed it leads soon; else as soon as there is memory. */
	if (for_good)
		(void)WITHIN(&p->post, 50, p->leads || p->errors > 0);
	if (for_good && !WITHIN(&p->post, 0, p->leads))
		feed(&m);
	WAIT_FOR(&p->post, p->leads);
	work_starved(&m, s, p);
	session = p->session;
	WAIT_FOR(&l->post, l->count > 0 && l->heard[(l->count - 1) % HEARD_MAX].leader);
	assert_ok(fsha_election_resign(p->election, &session, &t.error));
	player_close(p);
	listener_stop(l);
	close_services(s);
	assert_int_equal(atomic_load(&m.blocks), 0);
	free(l);
	free(p);
	return atomic_load(&m.allocations);
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

static int use_tools(int fail_at, bool for_good)
{
	fsha_services *s = NULL;
	fsha_result result;
	struct starved m;

	starved_init(&m, 0, for_good);
	assert_ok(open_starved(&m, &s));
	atomic_store(&m.fail_at, fail_at);
	result = put_for_a_moment(s);
	assert_done_or_starved(result);
	if (result != FSHA_OK) {
		feed(&m);
		assert_ok(put_for_a_moment(s));
	}
	result = fsha_services_cleanup_all_data(s, &t.error);
	assert_done_or_starved(result);
	feed(&m);
	assert_true(result != FSHA_OK || !has_value(s));
	assert_ok(fsha_services_cleanup_all_data(s, &t.error));
	assert_false(has_value(s));
	close_services(s);
	assert_int_equal(atomic_load(&m.blocks), 0);
	return atomic_load(&m.allocations);
}

static void tools_out_of_memory_say_so_and_complete_when_they_are_run_again(void **state)
{
	(void)state;
	starve(use_tools, 101, false);
	starve(use_tools, 211, true);
}

/* ---- a child ---- */

static int attach(int fail_at, bool for_good)
{
	fsha_services_options options = FSHA_SERVICES_OPTIONS_INIT;
	fsha_services *leader = NULL, *s = NULL;
	struct player *p = calloc(1, sizeof(*p));
	fsha_shared_term term;
	fsha_result result;
	struct starved m;

	assert_non_null(p);
	options.flags = FSHA_SERVICES_SHARED_TERM;
	assert_ok(fsha_services_open(t.config, &options, &leader, &t.error));
	player_lead(p, leader, ELECTION);
	assert_ok(fsha_election_share(p->election, &term, &t.error));
	starved_init(&m, 0, for_good);
	assert_ok(open_starved(&m, &s));
	atomic_store(&m.fail_at, fail_at);
	result = fsha_services_attach(s, ELECTION, &term, &t.error);
	assert_done_or_starved(result);
	feed(&m);
	assert_result(put_value(s), result == FSHA_OK ? FSHA_OK : FSHA_E_NOT_LEADER);
	if (result != FSHA_OK)
		assert_ok(fsha_services_attach(s, ELECTION, &term, &t.error));
	assert_ok(put_value(s));
	close_services(s);
	assert_int_equal(atomic_load(&m.blocks), 0);
	player_close(p);
	close_services(leader);
	free(p);
	return atomic_load(&m.allocations);
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
		TEST(attaching_out_of_memory_takes_part_in_nothing),
		TEST(tools_out_of_memory_say_so_and_complete_when_they_are_run_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
