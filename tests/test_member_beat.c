/*
 * Heartbeats: what renews the lease and what does not, and being expelled.
 */
#include "tests/lib/fixture.h"

#include <errno.h>
#include <stdio.h>

#include "src/member/watch.h"

static struct fixture *f;
static struct member *m;

static const struct fixture_options network = { .fs = { .cache_ns = FIXTURE_CACHE_NS } };

static int setup(void **state)
{
	(void)state;
	f = fixture_open(NULL);
	m = fixture_member(f, 0);
	return 0;
}

static int setup_network(void **state)
{
	(void)state;
	f = fixture_open(&network);
	m = fixture_member(f, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	crashfs_hook_set(f->fs, NULL, NULL); /* its context was the test's */
	member_destroy(m);
	m = NULL;
	fixture_close(f);
	return 0;
}

static int64_t now(void)
{
	return fsu_now_ns(f->client[0]);
}

static bool beat_is(uint64_t n)
{
	return crashfs_exists(
		f->fs, fixture_path(f, "members/%s/beat-%016llx", m->name, (unsigned long long)n));
}

static void fail_renames(int error, enum crashfs_mode mode, bool repeat)
{
	struct crashfs_fault fault = {
		.calls_mask = 1u << CRASHFS_RENAMEAT,
		.error = error,
		.mode = mode,
		.repeat = repeat,
	};

	crashfs_count_reset(f->fs);
	crashfs_fault_arm(f->fs, &fault);
}

static void beat_renames_the_file_and_extends_the_lease_from_its_start(void **state)
{
	int64_t start_ns;

	(void)state;
	for (uint64_t n = 1; n < 40; n++) {
		crashfs_advance(f->fs, FIXTURE_LEASE_NS / 5);
		start_ns = now();
		assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
		assert_true(beat_is(n));
		assert_false(beat_is(n - 1));
		assert_int_equal(lease_deadline_ns(&m->lease), start_ns + FIXTURE_LEASE_NS);
	}
}

static void beat_is_one_operation_on_the_storage(void **state)
{
	(void)state;
	crashfs_count_reset(f->fs);
	assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
	assert_int_equal(crashfs_count(f->fs, 0), 1);
}

static void slow_beat_extends_the_lease_from_its_start(void **state)
{
	struct fixture_slow slow = { .f = f, .call = CRASHFS_RENAMEAT, .ns = FIXTURE_LEASE_NS / 2 };
	int64_t start_ns;

	(void)state;
	crashfs_advance(f->fs, FIXTURE_LEASE_NS / 5);
	fixture_slow_set(&slow);
	start_ns = now();
	assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
	assert_int_equal(lease_deadline_ns(&m->lease), start_ns + FIXTURE_LEASE_NS);
}

static void beat_that_returns_after_the_deadline_extends_nothing(void **state)
{
	struct fixture_slow slow = { .f = f, .call = CRASHFS_RENAMEAT, .ns = FIXTURE_LEASE_NS };

	(void)state;
	fixture_slow_set(&slow);
	assert_int_equal(member_beat(m), MEMBER_BEAT_EXPIRED);
	assert_true(beat_is(1)); /* although others saw it */
	assert_false(lease_is_alive(&m->lease));
	assert_int_equal(member_beat(m), MEMBER_BEAT_EXPIRED);
	assert_false(lease_is_alive(&m->lease));
}

static void expired_member_beats_no_more(void **state)
{
	(void)state;
	crashfs_advance(f->fs, FIXTURE_LEASE_NS);
	crashfs_count_reset(f->fs);
	assert_int_equal(member_beat(m), MEMBER_BEAT_EXPIRED);
	assert_int_equal(crashfs_count(f->fs, 0), 0);
	assert_true(beat_is(0));
}

static void beat_whose_reply_is_lost_counts(void **state)
{
	static const int errors[] = { EIO, ENOENT, ESTALE, EINTR, ETIMEDOUT };

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		int64_t start_ns;

		crashfs_advance(f->fs, FIXTURE_LEASE_NS / 5);
		fail_renames(errors[i], CRASHFS_DONE, false);
		start_ns = now();
		assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
		assert_int_equal(crashfs_faults_fired(f->fs), 1);
		crashfs_fault_clear(f->fs);
		assert_int_equal(lease_deadline_ns(&m->lease), start_ns + FIXTURE_LEASE_NS);
		assert_true(beat_is(i + 1));
	}
	assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
}

static void beat_whose_reply_is_lost_extends_nothing_when_that_is_found_out_too_late(void **state)
{
	struct fixture_slow slow = { .f = f, .call = CRASHFS_GETDENTS, .ns = FIXTURE_LEASE_NS };

	(void)state;
	fail_renames(EIO, CRASHFS_DONE, false);
	fixture_slow_set(&slow);
	assert_int_equal(member_beat(m), MEMBER_BEAT_EXPIRED);
	assert_int_equal(slow.ns, 0);
	assert_false(lease_is_alive(&m->lease));
}

static void beat_that_was_not_done_may_be_tried_again_while_the_lease_lasts(void **state)
{
	int64_t deadline_ns = lease_deadline_ns(&m->lease);

	(void)state;
	fail_renames(EIO, CRASHFS_NOT_DONE, true);
	for (int i = 0; i < 4; i++) {
		crashfs_advance(f->fs, FIXTURE_LEASE_NS / 5);
		assert_int_equal(member_beat(m), MEMBER_BEAT_FAILED);
		assert_int_equal(lease_deadline_ns(&m->lease), deadline_ns);
	}
	crashfs_fault_clear(f->fs);
	assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
	assert_true(beat_is(1));
	assert_true(lease_deadline_ns(&m->lease) > deadline_ns);
}

/*
 * The rename of the first try was done, its reply and the look after it were lost. Others saw this
 * beat then, and count from there: so must we, however late we find out.
 */
static void beat_found_done_later_counts_from_the_try_that_did_it(void **state)
{
	struct crashfs_fault rest = {
		.at = 1, .error = EIO, .mode = CRASHFS_NOT_DONE, .repeat = true
	};
	int64_t first_ns;

	(void)state;
	crashfs_advance(f->fs, FIXTURE_LEASE_NS / 5);
	fail_renames(EIO, CRASHFS_DONE, false);
	crashfs_fault_arm(f->fs, &rest);
	first_ns = now();
	assert_int_equal(member_beat(m), MEMBER_BEAT_FAILED);
	assert_true(beat_is(1));
	crashfs_fault_clear(f->fs);
	crashfs_advance(f->fs, FIXTURE_LEASE_NS / 5);
	assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
	assert_int_equal(lease_deadline_ns(&m->lease), first_ns + FIXTURE_LEASE_NS);
	/* The next one is a try of its own. */
	crashfs_advance(f->fs, FIXTURE_LEASE_NS / 5);
	first_ns = now();
	assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
	assert_true(beat_is(2));
	assert_int_equal(lease_deadline_ns(&m->lease), first_ns + FIXTURE_LEASE_NS);
}

static void beat_whose_directory_is_gone_expires(void **state)
{
	(void)state;
	crashfs_rm(f->fs, fixture_path(f, "members/%s", m->name));
	assert_int_equal(member_beat(m), MEMBER_BEAT_EXPIRED);
	assert_false(lease_is_alive(&m->lease));
	assert_int_equal(member_beat(m), MEMBER_BEAT_EXPIRED);
}

static void beat_whose_file_is_gone_expires(void **state)
{
	(void)state;
	crashfs_rm(f->fs, fixture_path(f, "members/%s/beat-%016x", m->name, 0u));
	assert_int_equal(member_beat(m), MEMBER_BEAT_EXPIRED);
	assert_false(lease_is_alive(&m->lease));
}

/*
 * One beat whose rename fails in one way, and the look after it in another; returns whether the
 * look's fault came up.
 */
static bool beat_with_two_faults(const struct crashfs_fault *rename,
				 const struct crashfs_fault *look)
{
	enum member_beat_result result;
	int64_t deadline_ns;
	bool fired;

	f = fixture_open(NULL);
	m = fixture_member(f, 0);
	deadline_ns = lease_deadline_ns(&m->lease);
	crashfs_advance(f->fs, FIXTURE_LEASE_NS / 5);
	crashfs_count_reset(f->fs);
	crashfs_fault_arm(f->fs, rename);
	crashfs_fault_arm(f->fs, look);
	result = member_beat(m);
	fired = crashfs_faults_fired(f->fs) == 2;
	crashfs_fault_clear(f->fs);
	if (result == MEMBER_BEAT_EXPIRED) {
		/* What answers so is gone. */
		assert_int_equal(look->error, ESTALE);
		assert_false(lease_is_alive(&m->lease));
	} else {
		assert_int_equal(lease_deadline_ns(&m->lease) > deadline_ns,
				 result == MEMBER_BEAT_OK);
		assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
	}
	member_destroy(m);
	fixture_close(f);
	return fired;
}

static void faults_of_a_beat_and_of_the_look_after_it_harm_no_later_beat(void **state)
{
	bool fired = true;

	(void)state;
	for (uint64_t at = 1; fired; at++) {
		for (size_t way = 0; fired && way < 2 * FIXTURE_SWEEPS; way++) {
			struct crashfs_fault look = fixture_fault(at, way / 2);
			struct crashfs_fault rename = {
				.error = EIO,
				.mode = way % 2 ? CRASHFS_DONE : CRASHFS_NOT_DONE,
			};

			fired = beat_with_two_faults(&rename, &look);
		}
	}
	m = NULL;
}

/* ---- Being expelled ---- */

static void expelled_member_expires_with_its_next_beat(void **state)
{
	(void)state;
	assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
	assert_int_equal(member_expel(&f->cluster[1], &m->id), 0);
	assert_true(lease_is_alive(&m->lease)); /* it does not know yet */
	assert_int_equal(member_beat(m), MEMBER_BEAT_EXPIRED);
	assert_false(lease_is_alive(&m->lease));
}

static void expelling_twice_or_one_who_is_gone_is_done_already(void **state)
{
	(void)state;
	assert_int_equal(member_expel(&f->cluster[1], &m->id), 0);
	assert_int_equal(member_expel(&f->cluster[1], &m->id), 0);
	member_remove(&f->cluster[1], &m->id);
	assert_int_equal(member_expel(&f->cluster[1], &m->id), 0);
}

static void beat_hook(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	unsigned *beats = ctx;

	(void)path;
	if (client != 1 || call != CRASHFS_RENAMEAT || *beats == 0)
		return;
	(*beats)--;
	assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
}

static void member_that_beats_meanwhile_is_not_expelled_yet(void **state)
{
	unsigned beats = 1;

	(void)state;
	crashfs_hook_set(f->fs, beat_hook, &beats);
	assert_int_equal(member_expel(&f->cluster[1], &m->id), -EAGAIN);
	assert_int_equal(beats, 0);
	assert_true(lease_is_alive(&m->lease));
	assert_int_equal(member_expel(&f->cluster[1], &m->id), 0);
	assert_int_equal(member_beat(m), MEMBER_BEAT_EXPIRED);
}

/* Between two parts of a listing. */
static void beat_in_listing_hook(void *ctx, enum crashfs_call call, const char *path,
				 unsigned client)
{
	unsigned *getdents = ctx;

	(void)path;
	if (client == 1 && call == CRASHFS_GETDENTS && (*getdents)++ == 1)
		assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
}

/* A scan during the rename of a beat may show neither name: that is no proof that there is none. */
static void member_whose_beat_a_listing_missed_is_not_taken_for_expelled(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct fixture_options options = network;
		unsigned getdents = 0;
		int r;

		options.fs.seed = seed;
		f = fixture_open(&options);
		m = fixture_member(f, 0);
		/* So many that a listing comes in parts. */
		for (unsigned i = 0; i < 200; i++)
			crashfs_put(f->fs, fixture_path(f, "members/%s/more-%u", m->name, i), NULL,
				    0);
		crashfs_hook_set(f->fs, beat_in_listing_hook, &getdents);
		r = member_expel(&f->cluster[1], &m->id);
		crashfs_hook_set(f->fs, NULL, NULL);
		assert_true(getdents >= 2);
		assert_true(r == 0 || r == -EAGAIN);
		assert_int_equal(member_beat(m), r == 0 ? MEMBER_BEAT_EXPIRED : MEMBER_BEAT_OK);
		member_destroy(m);
		fixture_close(f);
	}
	m = NULL;
}

/* What says that it is done was done: the member cannot renew its lease any more. */
static void fault_never_makes_a_failed_expulsion_look_done(void **state)
{
	bool fired = true;

	(void)state;
	for (uint64_t at = 0; fired; at++) {
		for (size_t way = 0; fired && way < FIXTURE_SWEEPS; way++) {
			struct crashfs_fault fault = fixture_fault(at, way);
			int r;

			f = fixture_open(&network);
			m = fixture_member(f, 0);
			crashfs_count_reset(f->fs);
			fault.client = 1;
			crashfs_fault_arm(f->fs, &fault);
			r = member_expel(&f->cluster[1], &m->id);
			fired = crashfs_faults_fired(f->fs) > 0;
			crashfs_fault_clear(f->fs);
			if (r == 0)
				assert_int_equal(member_beat(m), MEMBER_BEAT_EXPIRED);
			member_destroy(m);
			fixture_close(f);
		}
	}
	m = NULL;
}

#define member_test(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
#define network_test(t) cmocka_unit_test_setup_teardown(t, setup_network, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		member_test(beat_renames_the_file_and_extends_the_lease_from_its_start),
		member_test(beat_is_one_operation_on_the_storage),
		member_test(slow_beat_extends_the_lease_from_its_start),
		member_test(beat_that_returns_after_the_deadline_extends_nothing),
		member_test(expired_member_beats_no_more),
		member_test(beat_whose_reply_is_lost_counts),
		member_test(
			beat_whose_reply_is_lost_extends_nothing_when_that_is_found_out_too_late),
		member_test(beat_that_was_not_done_may_be_tried_again_while_the_lease_lasts),
		member_test(beat_found_done_later_counts_from_the_try_that_did_it),
		member_test(beat_whose_directory_is_gone_expires),
		network_test(beat_whose_directory_is_gone_expires),
		member_test(beat_whose_file_is_gone_expires),
		cmocka_unit_test(faults_of_a_beat_and_of_the_look_after_it_harm_no_later_beat),
		member_test(expelled_member_expires_with_its_next_beat),
		network_test(expelled_member_expires_with_its_next_beat),
		member_test(expelling_twice_or_one_who_is_gone_is_done_already),
		network_test(expelling_twice_or_one_who_is_gone_is_done_already),
		member_test(member_that_beats_meanwhile_is_not_expelled_yet),
		cmocka_unit_test(member_whose_beat_a_listing_missed_is_not_taken_for_expelled),
		cmocka_unit_test(fault_never_makes_a_failed_expulsion_look_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
