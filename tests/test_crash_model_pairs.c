/*
 * The crash model with two processes: one is stopped between two calls of an operation, killed
 * there or only slow, and another one takes over; the power is cut at each change that both make
 * from then on. On a network filesystem the server restarts as well, alone or with the host of the
 * one that was killed; the locks of the others are reclaimed or lost, and they go on with what
 * their caches hold.
 *
 * How often one is stopped depends on FSHA_TEST_LONG; SEED draws other states.
 */
#include "tests/test_crash_model.h"

#include <errno.h>

#include "src/election/claim.h"
#include "src/member/member.h"
#include "tests/lib/puppet.h"

#define A 0
#define B 1
#define CACHE_NS (30 * FSU_NS_PER_S)

enum fate {
	KILLED,    /* kill -9: what it has changed stays */
	PAUSED,    /* it goes on when the other one leads */
	LOST,      /* the power of its host and of the server is cut; the others lose their locks */
	LOST_ONLY, /* the same, and the others have their locks again */
	FORGOTTEN, /* the server restarts and forgets all locks, and it goes on as when paused */
	RECLAIMED, /* the same, but it has its locks again */
	FATES
};

struct course {
	const char *name;
	bool dies, restarts, locks_lost;
};

static const struct course courses[FATES] = {
	[KILLED] = { "killed", true, false, false },
	[PAUSED] = { "paused", false, false, false },
	[LOST] = { "lost with the server and all locks", true, true, true },
	[LOST_ONLY] = { "lost with the server", true, true, false },
	[FORGOTTEN] = { "forgotten by the server", false, true, true },
	[RECLAIMED] = { "has its locks again", false, true, false },
};

struct act {
	const char *name;
	const char *prefix; /* what it changes; "": nothing that can be read */
	fsha_result (*act)(struct shelf *f);
	const char *own; /* the key that is there afterwards, with `value`, if it says OK; NULL */
};

struct pair {
	struct shelf a;
	struct holder b;
	const struct act *act;
	fsha_result result;
	bool ended;
	struct theatre *theatre;
};

/* ---- what the one does ---- */

static fsha_result put_new(struct shelf *f)
{
	return add(f, "new", "value");
}

static fsha_result put_old(struct shelf *f)
{
	return replace(f, "k1", "value");
}

static fsha_result remove_old(struct shelf *f)
{
	return fsha_state_store_remove(f->store, "k1", NULL, &f->s.error);
}

static fsha_result put_many(struct shelf *f)
{
	return change_many(f, "value");
}

static fsha_result clean(struct shelf *f)
{
	(void)look_after(f);
	return look_after(f);
}

static fsha_result pack(struct shelf *f)
{
	store_compact(f->raw);
	return FSHA_OK;
}

static struct term *dispatcher_term(struct holder *h)
{
	struct term *term = services_term(h->services, DISPATCHER);

	term_unref(term); /* it is attached: that keeps it */
	return term;
}

static fsha_result leave(struct shelf *f)
{
	struct term *term = dispatcher_term(&f->s.h);
	fsha_result result = claim_vacate(term, &f->s.error);

	if (result == FSHA_OK)
		result = leader_publish(term, LEADER_NONE, "", NULL, NULL, &f->s.error);
	claim_clean_up(term);
	return result;
}

static fsha_result drop_all(struct shelf *f)
{
	fsha_result result = store_clear(f->raw, &f->s.error);

	return result == FSHA_OK ? store_remove_directory(f->raw, &f->s.error) : result;
}

static const struct act acts[] = {
	{ "add", "state/ns/", put_new, "state/ns/new" },
	{ "replace", "state/ns/", put_old, "state/ns/k1" },
	{ "remove", "state/ns/", remove_old, NULL },
	{ "batch", "state/ns/", put_many, "state/ns/k4" },
	{ "clean", "", clean, NULL },
	{ "compact", "", pack, NULL },
	{ "resign", "leaders/", leave, NULL },
	{ "remove the store", "state/ns/", drop_all, NULL },
};
#define ACTS (sizeof(acts) / sizeof(acts[0]))

static void play_a(struct puppet *self, void *arg)
{
	struct pair *p = arg;
	fsha_result result = p->act->act(&p->a);

	if (puppet_is_killed(self))
		return;
	p->result = result;
	p->ended = true;
}

/* ---- what the other one does ---- */

static void must_b(struct pair *p, fsha_result result, const char *what)
{
	if (result != FSHA_OK)
		fail_msg("%s, then the other cannot %s: %s\n%s", p->act->name, what,
			 p->b.error.message, crashfs_log(p->a.s.disk));
}

static fsha_result write_b(struct pair *p)
{
	const struct store_options options = { .directory = LAYOUT_RUNNING_JOBS,
					       .election = DISPATCHER,
					       .kind = FSU_KIND_RUNNING_JOB };
	struct store *store;
	fsha_result result = services_store_open(p->b.services, &options, &store, &p->b.error);

	if (result != FSHA_OK)
		return result;
	result = store_write(store, STORE_PUT, JOB_HEX, NULL, "b", 1, NULL, &p->b.error);
	services_store_close(p->b.services, store);
	return result;
}

/*
 * Leads, cleans before it has read anything or after, reads everything, after which nothing of it
 * changes any more, and writes.
 */
static void take_over(struct pair *p, bool clean_first, struct ledger *ret_seen)
{
	struct film *film = p->a.s.film;

	film_loose(film, p->act->prefix);
	film_step(film, "claim", false);
	must_b(p, holder_try_lead(&p->b, DISPATCHER), "lead");
	lease_begin(&p->b.services->member->lease, fsu_now_ns(p->b.fs), 36000 * FSU_NS_PER_S);
	film_granted(film, DISPATCHER, dispatcher_term(&p->b));
	film_ack(film);
	film_step(film, "clean before reading", false);
	if (clean_first)
		must_b(p, ledger_clean(&p->b), "clean");
	film_ack(film);
	film_step(film, "read", false);
	must_b(p, ledger_read(ret_seen, &p->b, true), "read");
	film_loose(film, NULL);
	film_ack(film);
	film_step(film, "clean after reading", false);
	if (!clean_first)
		must_b(p, ledger_clean(&p->b), "clean");
	film_ack(film);
	film_step(film, "write", false);
	must_b(p, write_b(p), "write");
	film_ack(film);
}

/* ---- the play ---- */

static void begin(struct pair *p, const struct act *act, enum fate fate, int64_t cache_ns)
{
	static char name[100];

	(void)snprintf(name, sizeof(name), "%s, %s, caches %d s", act->name, courses[fate].name,
		       (int)(cache_ns / FSU_NS_PER_S));
	*p = (struct pair){ .act = act };
	shelf_open(&p->a, name, (struct stage_options){ cache_ns, test_size(12, 24, 100), 0, 0 });
	must(&p->a.s, add(&p->a, "k1", "one"));
	must(&p->a.s, add(&p->a, "k2", "one"));
	must(&p->a.s, add(&p->a, "k3", "one"));
	must(&p->a.s, change_many(&p->a, "two"));
	must(&p->a.s, replace(&p->a, "k1", "three"));
	holder_start_reader(&p->b, p->a.s.disk, B);
	must_b(p, holder_try_join(&p->b), "join");
	lease_begin(&p->b.services->member->lease, fsu_now_ns(p->b.fs), 36000 * FSU_NS_PER_S);
	film_begin(p->a.s.film, p->a.s.disk);
	film_pause(p->a.s.film, true);
}

/*
 * Stops before call number `at`, or before the next one that makes something durable, when every
 * call is too much: there is most to lose. False: the operation has no such call.
 */
static bool stop_a(struct pair *p, unsigned at, bool at_sync, unsigned *ret_at)
{
	struct puppet *a = puppet_start(p->theatre, A, play_a, p);
	unsigned i;

	for (i = 0; puppet_can_step(a); i++) {
		if (i >= at && (!at_sync || puppet_next(a)->kind == CRASHFS_FSYNC))
			break;
		puppet_step(a);
	}
	*ret_at = i;
	return !p->ended;
}

/* What it is told is true, and what the other one has read stays as it was. */
static void check_end(struct pair *p, const struct ledger *seen)
{
	struct ledger now = { 0 };
	const struct ledger_entry *own;
	struct holder h;

	holder_start_reader(&h, p->a.s.disk, FILM_CLIENT - 1);
	if (ledger_read(&now, &h, true) != FSHA_OK)
		fail_msg("%s: %s", p->act->name, h.error.message);
	for (size_t i = 0; i < seen->count; i++) {
		const struct ledger_entry *before = &seen->at[i];
		const struct ledger_entry *after = ledger_find(&now, before->name);

		if (before->area && strncmp(before->name, LAYOUT_RUNNING_JOBS, 4) != 0 &&
		    (!after || !ledger_entry_same(before, after)))
			fail_msg("%s: '%s' has changed after the next leader read it", p->act->name,
				 before->name);
	}
	own = p->act->own ? ledger_find(&now, p->act->own) : NULL;
	if (p->ended && p->result == FSHA_OK && p->act->own && !own)
		fail_msg("%s: acknowledged, and '%s' is not there", p->act->name, p->act->own);
	for (size_t i = 0; i < now.count; i++)
		if (now.at[i].area && strncmp(now.at[i].name, LAYOUT_RUNNING_JOBS, 4) != 0 &&
		    !ledger_find(seen, now.at[i].name))
			fail_msg("%s: '%s' has come after the next leader read", p->act->name,
				 now.at[i].name);
	holder_stop(&h);
	ledger_done(&now);
}

static void end(struct pair *p)
{
	film_end(p->a.s.film);
	theatre_destroy(p->theatre);
	holder_stop(&p->b);
	if (!p->ended)
		crashfs_kill_client(p->a.s.disk, A);
	shelf_close(&p->a);
}

/* As others see it. What a host had not synced may be lost with it: its lock file too. */
static bool is_locked(struct pair *p, const struct member *m)
{
	const struct fsu *fs = crashfs_client(p->a.s.disk, FILM_CLIENT - 1);
	char path[100];
	int fd, held;

	(void)snprintf(path, sizeof(path), "/c/" LAYOUT_MEMBERS "/%s/" MEMBER_LOCK, m->name);
	fd = fsu_openat(fs, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	if (fd == -ENOENT)
		return false;
	assert_true(fd >= 0);
	held = fsu_lock_is_held(fs, fd);
	assert_true(held >= 0);
	(void)fsu_close(fs, fd);
	return held > 0;
}

/* Who lives has its lock again afterwards, or has lost it and is not told. */
static void restart(struct pair *p, const struct course *course, uint64_t seed)
{
	const struct member *a = p->a.s.h.services->member, *b = p->b.services->member;

	assert_true(is_locked(p, b));
	assert_int_equal(is_locked(p, a), !course->dies);
	crashfs_restart(p->a.s.disk, course->dies ? 1u << A : 0, seed, course->locks_lost);
	assert_int_equal(is_locked(p, b), !course->locks_lost);
	assert_int_equal(is_locked(p, a), !course->locks_lost && !course->dies);
}

static bool play(const struct act *act, enum fate fate, int64_t cache_ns, bool at_sync,
		 bool clean_first, unsigned *at)
{
	const struct course *course = &courses[fate];
	struct ledger seen = { 0 };
	struct pair p;
	bool stopped;

	begin(&p, act, fate, cache_ns);
	p.theatre = theatre_create(p.a.s.disk, *at);
	stopped = stop_a(&p, *at, at_sync, at);
	if (stopped) {
		if (course->dies)
			theatre_kill(p.theatre, A);
		if (course->restarts)
			restart(&p, course, *at);
		film_pause(p.a.s.film, false);
		take_over(&p, clean_first, &seen);
		film_step(p.a.s.film, "go on", false);
		if (!course->dies)
			theatre_finish(p.theatre);
		film_ack(p.a.s.film);
		check_end(&p, &seen);
	}
	end(&p);
	ledger_done(&seen);
	return stopped;
}

/* Before every call, or here and there, and where there is most to lose. */
static void play_all(enum fate fate, int64_t cache_ns)
{
	const unsigned stride = (unsigned)test_size(40, 7, 1);
	const bool syncs = test_size(fate == KILLED && cache_ns == 0, 1, 0);
	uint64_t seed = 1;

	(void)test_seed(&seed);
	for (size_t i = 0; i < ACTS; i++) {
		for (unsigned at = (unsigned)(seed + 5 * i) % stride;
		     play(&acts[i], fate, cache_ns, false, at % 2 == 0, &at);)
			at += stride;
		for (unsigned at = 0; syncs && play(&acts[i], fate, cache_ns, true, true, &at);)
			at++;
	}
}

static void who_takes_over_from_a_killed_one_loses_nothing_in_a_cut(void **state)
{
	(void)state;
	play_all(KILLED, 0);
	play_all(KILLED, CACHE_NS);
}

static void who_comes_back_changes_nothing_and_a_cut_brings_nothing_back(void **state)
{
	(void)state;
	play_all(PAUSED, 0);
	play_all(PAUSED, CACHE_NS);
}

static void a_server_that_restarts_without_one_host_keeps_what_was_acknowledged(void **state)
{
	(void)state;
	play_all(LOST, CACHE_NS);
	play_all(LOST_ONLY, CACHE_NS);
}

static void a_server_that_forgets_locks_lets_nobody_write_who_was_fenced(void **state)
{
	(void)state;
	play_all(FORGOTTEN, CACHE_NS);
}

static void nor_does_one_whose_locks_are_reclaimed(void **state)
{
	(void)state;
	play_all(RECLAIMED, CACHE_NS);
}

static void as_many_states_were_checked_as_it_takes(void **state)
{
	(void)state;
	film_assert_checked(test_size(3600, 18000, 100000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_takes_over_from_a_killed_one_loses_nothing_in_a_cut),
		cmocka_unit_test(who_comes_back_changes_nothing_and_a_cut_brings_nothing_back),
		cmocka_unit_test(
			a_server_that_restarts_without_one_host_keeps_what_was_acknowledged),
		cmocka_unit_test(a_server_that_forgets_locks_lets_nobody_write_who_was_fenced),
		cmocka_unit_test(nor_does_one_whose_locks_are_reclaimed),
		cmocka_unit_test(as_many_states_were_checked_as_it_takes),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	film_print_totals();
	return failed;
}
