/*
 * Watching a member by its heartbeat. The rules of the span were checked by a model; without any
 * one of them there are two leaders.
 */
#include "tests/lib/fixture.h"

#include <errno.h>
#include <stdio.h>

#include "src/member/member.h"
#include "src/member/watch.h"

#define SPAN_NS (FIXTURE_LEASE_NS + FIXTURE_LEASE_NS / 4)
/* Time that the calls of a look take by themselves. */
#define LOOK_NS FSU_NS_PER_MS

/* Client 0 is the member, client 1 watches it. */
static struct fixture *f;
static struct member *m;
static struct member_watch w;

static const struct fixture_options network = { .fs = { .cache_ns = FIXTURE_CACHE_NS } };

static void start(const struct fixture_options *options)
{
	f = fixture_open(options);
	m = fixture_member(f, 0);
	member_watch_init(&w, &f->cluster[1], &m->id);
}

static int setup(void **state)
{
	(void)state;
	start(NULL);
	return 0;
}

static int setup_network(void **state)
{
	(void)state;
	start(&network);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	crashfs_hook_set(f->fs, NULL, NULL); /* its context was the test's */
	crashfs_fault_clear(f->fs);
	member_watch_done(&w);
	member_destroy(m);
	m = NULL;
	fixture_close(f);
	return 0;
}

static int64_t now(void)
{
	return fsu_now_ns(f->client[1]);
}

static void pass_until(int64_t when_ns)
{
	assert_true(when_ns >= now());
	crashfs_advance(f->fs, when_ns - now());
}

static void expect(enum member_verdict expected)
{
	enum member_verdict verdict = member_watch_look(&w);

	if (verdict != expected)
		fixture_print_log(f);
	assert_int_equal(verdict, expected);
	assert_int_equal(w.verdict, expected);
}

static void beat(void)
{
	assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
}

/* ---- The heartbeat ---- */

static void beating_member_stays_alive(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		expect(MEMBER_ALIVE);
		crashfs_advance(f->fs, FIXTURE_LEASE_NS / 5);
		beat();
	}
}

/* Stopped, or hanging: its lock is held all the same. */
static void beat_that_stands_still_for_the_span_is_death_in_spite_of_the_lock(void **state)
{
	int64_t seen_ns;

	(void)state;
	expect(MEMBER_ALIVE);
	seen_ns = w.unchanged_since_ns;
	assert_true(seen_ns <= now());
	pass_until(seen_ns + SPAN_NS - FSU_NS_PER_MS);
	expect(MEMBER_ALIVE);
	assert_true(w.lock_held);
	pass_until(seen_ns + SPAN_NS);
	crashfs_advance(f->fs, 1);
	expect(MEMBER_DEAD_BEAT);
}

static void beat_that_comes_at_the_last_moment_begins_a_new_span(void **state)
{
	int64_t seen_ns;

	(void)state;
	expect(MEMBER_ALIVE);
	crashfs_advance(f->fs, FIXTURE_LEASE_NS - FSU_NS_PER_S);
	expect(MEMBER_ALIVE);
	beat();
	pass_until(w.unchanged_since_ns + SPAN_NS + 1);
	expect(MEMBER_ALIVE);
	seen_ns = w.unchanged_since_ns;
	pass_until(seen_ns + SPAN_NS - FSU_NS_PER_MS);
	expect(MEMBER_ALIVE);
	pass_until(seen_ns + SPAN_NS + 1);
	expect(MEMBER_DEAD_BEAT);
}

/* A look that takes `ns` in each kind of call that it makes, one kind at a time. */
static const enum crashfs_call looking[] = { CRASHFS_STATX, CRASHFS_OPENAT, CRASHFS_GETDENTS,
					     CRASHFS_CLOSE, CRASHFS_LOCK };
#define LOOKING (sizeof(looking) / sizeof(looking[0]))

static void span_starts_when_the_look_that_saw_the_last_change_ended(void **state)
{
	(void)state;
	for (size_t i = 0; i < LOOKING; i++) {
		struct fixture_slow slow = { .client = 1,
					     .call = looking[i],
					     .ns = FIXTURE_LEASE_NS };
		int64_t begun_ns;

		start(NULL);
		slow.f = f;
		expect(MEMBER_ALIVE);
		crashfs_advance(f->fs, FSU_NS_PER_S);
		beat();
		fixture_slow_set(&slow);
		begun_ns = now();
		expect(MEMBER_ALIVE);
		assert_int_equal(slow.ns, 0);
		crashfs_hook_set(f->fs, NULL, NULL);
		assert_in_range(now(), begun_ns + FIXTURE_LEASE_NS,
				begun_ns + FIXTURE_LEASE_NS + FSU_NS_PER_MS);
		/* Counted from the start of that look the span would be over here. */
		pass_until(begun_ns + SPAN_NS + FSU_NS_PER_MS);
		expect(MEMBER_ALIVE);
		pass_until(begun_ns + FIXTURE_LEASE_NS + SPAN_NS - FSU_NS_PER_MS);
		expect(MEMBER_ALIVE);
		pass_until(begun_ns + FIXTURE_LEASE_NS + SPAN_NS + FSU_NS_PER_MS);
		expect(MEMBER_DEAD_BEAT);
		(void)teardown(state);
	}
}

static void look_that_condemns_must_begin_after_the_span(void **state)
{
	(void)state;
	/* But for the lock, which is looked at before and tells nothing of the beat. */
	for (size_t i = 0; i < LOOKING && looking[i] != CRASHFS_LOCK; i++) {
		struct fixture_slow slow = { .client = 1, .call = looking[i], .ns = 3 * SPAN_NS };

		start(NULL);
		slow.f = f;
		expect(MEMBER_ALIVE);
		crashfs_advance(f->fs, FIXTURE_LEASE_NS);
		/* Begins in time, ends long after: what it saw may be older than its end. */
		fixture_slow_set(&slow);
		expect(MEMBER_ALIVE);
		assert_int_equal(slow.ns, 0);
		crashfs_hook_set(f->fs, NULL, NULL);
		expect(MEMBER_DEAD_BEAT);
		(void)teardown(state);
	}
}

/* Neither does a slow look in between shorten the span of a member that beats while it hangs. */
static void slow_look_at_a_living_member_harms_nobody(void **state)
{
	(void)state;
	for (size_t i = 0; i < LOOKING; i++) {
		start(NULL);
		for (int round = 0; round < 6; round++) {
			struct fixture_slow slow = {
				.f = f,
				.client = 1,
				.call = looking[i],
				.ns = FIXTURE_LEASE_NS - FSU_NS_PER_S,
			};

			fixture_slow_set(&slow);
			expect(MEMBER_ALIVE);
			assert_int_equal(slow.ns, 0);
			crashfs_hook_set(f->fs, NULL, NULL);
			beat();
		}
		(void)teardown(state);
	}
}

/*
 * By the member's own clock: whatever the looks and beats take, it was expired before it is
 * condemned.
 */
static void condemned_member_has_expired_before(void **state)
{
	uint64_t random = 1;

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct fixture_slow slow = { .client = 1, .call = CRASHFS_GETDENTS };

		start(round % 2 ? &network : NULL);
		slow.f = f;
		while (!member_verdict_is_dead(w.verdict)) {
			/* Pauses, looks and beats of any length, up to almost two leases. */
			random = random * UINT64_C(6364136223846793005) + 1;
			crashfs_advance(f->fs, (int64_t)(random >> 33) % (FIXTURE_LEASE_NS / 2));
			if (random >> 60 < 6) {
				slow.client = 0;
				slow.call = CRASHFS_RENAMEAT;
				slow.ns = (int64_t)(random >> 35) % (FIXTURE_LEASE_NS);
				fixture_slow_set(&slow);
				(void)member_beat(m);
			} else {
				slow.client = 1;
				slow.call = looking[(random >> 50) % 3];
				slow.ns = (int64_t)(random >> 34) % (2 * FIXTURE_LEASE_NS);
				fixture_slow_set(&slow);
				(void)member_watch_look(&w);
			}
			crashfs_hook_set(f->fs, NULL, NULL);
		}
		assert_int_equal(w.verdict, MEMBER_DEAD_BEAT);
		assert_false(lease_is_alive(&m->lease));
		(void)teardown(state);
	}
}

static void directory_without_a_beat_dies_as_one_that_stands_still(void **state)
{
	int64_t seen_ns;

	(void)state;
	crashfs_rm(f->fs, fixture_path(f, "members/%s/beat-%016x", m->name, 0u));
	expect(MEMBER_ALIVE);
	seen_ns = now();
	pass_until(seen_ns + SPAN_NS - FSU_NS_PER_S);
	expect(MEMBER_ALIVE);
	pass_until(seen_ns + SPAN_NS + FSU_NS_PER_S);
	expect(MEMBER_DEAD_BEAT);
}

static void expelled_member_is_dead_after_the_span(void **state)
{
	int64_t seen_ns;

	(void)state;
	expect(MEMBER_ALIVE);
	seen_ns = w.unchanged_since_ns;
	assert_int_equal(member_expel(&f->cluster[1], &m->id), 0);
	pass_until(seen_ns + SPAN_NS - FSU_NS_PER_S);
	expect(MEMBER_ALIVE);
	pass_until(seen_ns + SPAN_NS + 1);
	expect(MEMBER_DEAD_BEAT);
}

/* ---- Looks that fail ---- */

static void look_that_fails_says_nothing(void **state)
{
	bool fired = true;

	(void)state;
	for (uint64_t at = 0; fired; at++) {
		for (size_t way = 0; fired && way < 2 * FIXTURE_SWEEPS; way++) {
			struct crashfs_fault fault = fixture_fault(at, way / 2);
			bool seen_before = way % 2;

			start(&network);
			if (seen_before)
				expect(MEMBER_ALIVE);
			fault.client = 1;
			crashfs_count_reset(f->fs);
			crashfs_fault_arm(f->fs, &fault);
			assert_false(member_verdict_is_dead(member_watch_look(&w)));
			fired = crashfs_faults_fired(f->fs) > 0;
			crashfs_fault_clear(f->fs);
			expect(MEMBER_ALIVE);
			(void)teardown(state);
		}
	}
}

/* The watcher is the one that is cut off. */
static void looks_that_fail_condemn_nobody_however_long(void **state)
{
	struct crashfs_fault fault = {
		.client = 1, .error = EIO, .mode = CRASHFS_NOT_DONE, .repeat = true
	};

	(void)state;
	expect(MEMBER_ALIVE);
	crashfs_count_reset(f->fs);
	crashfs_fault_arm(f->fs, &fault);
	for (int i = 0; i < 100; i++) {
		crashfs_advance(f->fs, FIXTURE_LEASE_NS / 5);
		expect(MEMBER_ALIVE);
		beat();
	}
	crashfs_fault_clear(f->fs);
	expect(MEMBER_ALIVE);
}

static void member_is_unknown_until_a_look_succeeds(void **state)
{
	struct crashfs_fault fault = {
		.client = 1, .error = EIO, .mode = CRASHFS_NOT_DONE, .repeat = true
	};

	(void)state;
	crashfs_count_reset(f->fs);
	crashfs_fault_arm(f->fs, &fault);
	for (int i = 0; i < 20; i++) {
		expect(MEMBER_UNKNOWN);
		crashfs_advance(f->fs, FIXTURE_LEASE_NS);
	}
	crashfs_fault_clear(f->fs);
	expect(MEMBER_ALIVE);
}

static void look_hook(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	unsigned *getdents = ctx;

	(void)path;
	if (client == 1 && call == CRASHFS_GETDENTS && (*getdents)++ == 1)
		beat();
}

/* A beat during the listing may show neither name, and the looks before it all failed. */
static void listing_that_missed_the_beat_is_no_beat_that_stands_still(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct fixture_options options = network;
		unsigned getdents = 0;

		options.fs.seed = seed;
		start(&options);
		/* So many that a listing comes in parts. */
		for (unsigned i = 0; i < 200; i++)
			crashfs_put(f->fs, fixture_path(f, "members/%s/more-%u", m->name, i), NULL,
				    0);
		expect(MEMBER_ALIVE);
		for (int i = 0; i < 7; i++) {
			crashfs_advance(f->fs, FIXTURE_LEASE_NS / 5);
			beat();
		}
		crashfs_hook_set(f->fs, look_hook, &getdents);
		expect(MEMBER_ALIVE);
		assert_true(getdents >= 2);
		(void)teardown(state);
	}
}

/* The name is away while the directory is read, and back before its times are looked at. */
struct hidden {
	char path[512];
	bool away;
};

static void hide_hook(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct hidden *h = ctx;

	(void)path;
	if (client != 1)
		return;
	if (h->away && call == CRASHFS_STATX)
		crashfs_put(f->fs, h->path, "", 0);
	else if (!h->away && call == CRASHFS_GETDENTS)
		crashfs_rm(f->fs, h->path);
	else
		return;
	h->away = !h->away;
}

/* For as long as it looks: such listings tell nothing. */
static void listings_that_never_show_the_beat_condemn_nobody(void **state)
{
	struct hidden h = { .away = false };

	(void)state;
	expect(MEMBER_ALIVE);
	(void)snprintf(h.path, sizeof(h.path), "%s",
		       fixture_path(f, "members/%s/" MEMBER_BEAT "%016llx", m->name,
				    (unsigned long long)m->beat));
	assert_true(crashfs_exists(f->fs, h.path));
	pass_until(w.unchanged_since_ns + SPAN_NS + FSU_NS_PER_S);
	crashfs_hook_set(f->fs, hide_hook, &h);
	expect(MEMBER_ALIVE);
	crashfs_hook_set(f->fs, NULL, NULL);
}

#define watch_test(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
#define network_test(t) cmocka_unit_test_setup_teardown(t, setup_network, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		watch_test(beating_member_stays_alive),
		watch_test(beat_that_stands_still_for_the_span_is_death_in_spite_of_the_lock),
		watch_test(beat_that_comes_at_the_last_moment_begins_a_new_span),
		cmocka_unit_test(span_starts_when_the_look_that_saw_the_last_change_ended),
		cmocka_unit_test(look_that_condemns_must_begin_after_the_span),
		cmocka_unit_test(slow_look_at_a_living_member_harms_nobody),
		cmocka_unit_test(condemned_member_has_expired_before),
		watch_test(directory_without_a_beat_dies_as_one_that_stands_still),
		network_test(directory_without_a_beat_dies_as_one_that_stands_still),
		watch_test(expelled_member_is_dead_after_the_span),
		network_test(expelled_member_is_dead_after_the_span),
		cmocka_unit_test(look_that_fails_says_nothing),
		watch_test(looks_that_fail_condemn_nobody_however_long),
		watch_test(member_is_unknown_until_a_look_succeeds),
		cmocka_unit_test(listing_that_missed_the_beat_is_no_beat_that_stands_still),
		watch_test(listings_that_never_show_the_beat_condemn_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
