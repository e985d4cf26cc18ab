/*
 * The floor: it rises and never falls, whoever raises it and whenever the power fails.
 */
#include "tests/lib/fixture.h"

#define CRASH_SEEDS 20

static struct fixture *f;

static const struct fixture_options network = { .fs = { .cache_ns = FIXTURE_CACHE_NS } };

static int setup(void **state)
{
	(void)state;
	f = fixture_open(NULL);
	return 0;
}

static int setup_network(void **state)
{
	(void)state;
	f = fixture_open(&network);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_close(f);
	return 0;
}

static uint64_t floor_of(unsigned client)
{
	fsha_error error = FSHA_ERROR_INIT;
	uint64_t floor = 0;

	assert_result(f, cluster_floor_read(&f->cluster[client], &floor, &error), FSHA_OK, &error);
	return floor;
}

static void raise_floor(unsigned client, uint64_t floor)
{
	fsha_error error = FSHA_ERROR_INIT;

	assert_result(f, cluster_floor_raise(&f->cluster[client], floor, &error), FSHA_OK, &error);
}

static void floor_is_raised_and_never_lowered(void **state)
{
	(void)state;
	raise_floor(0, 7);
	assert_int_equal(floor_of(1), 7);
	raise_floor(1, 3);
	assert_int_equal(floor_of(0), 7);
	raise_floor(1, 7);
	raise_floor(1, UINT64_C(0x123456789ab));
	assert_int_equal(floor_of(0), UINT64_C(0x123456789ab));
	assert_false(crashfs_exists(f->fs, fixture_path(f, "floor-%016x", 7u)));
}

static void floor_raised_by_one_client_is_seen_by_another_that_remembers(void **state)
{
	(void)state;
	assert_int_equal(floor_of(1), 0);
	raise_floor(0, 7);
	assert_int_equal(floor_of(1), 7);
	raise_floor(1, 9);
	assert_int_equal(floor_of(0), 9);
}

static void floor_so_high_that_no_epoch_is_left_is_refused(void **state)
{
	(void)state;
	assert_int_equal(cluster_floor_raise(&f->cluster[0], UINT64_MAX, NULL), FSHA_E_INVALID);
	assert_int_equal(cluster_floor_raise(&f->cluster[0], UINT64_MAX / 2 + 1, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(floor_of(0), 0);
	raise_floor(0, UINT64_MAX / 2);
}

static void lost_floor_is_corrupt_and_not_zero(void **state)
{
	fsha_error error = FSHA_ERROR_INIT;
	uint64_t floor = 77;

	(void)state;
	crashfs_rm(f->fs, fixture_path(f, "floor-%016x", 0u));
	/* Names that are none of ours do not count. */
	crashfs_put(f->fs, fixture_path(f, "floor-9"), NULL, 0);
	crashfs_put(f->fs, fixture_path(f, "floor-%s", "000000000000000A"), NULL, 0);
	crashfs_put(f->fs, fixture_path(f, "floor-%s", "ffffffffffffffff"), NULL, 0);
	assert_result(f, cluster_floor_read(&f->cluster[0], &floor, &error), FSHA_E_CORRUPT,
		      &error);
	assert_int_equal(floor, 77);
	assert_int_equal(cluster_floor_raise(&f->cluster[0], 9, NULL), FSHA_E_CORRUPT);
}

/* Two files: by hand, or by a filesystem that keeps half a rename in a crash. */
static void highest_of_several_floors_counts(void **state)
{
	(void)state;
	for (unsigned floor = 2; floor <= 5; floor++)
		crashfs_put(f->fs, fixture_path(f, "floor-%016x", floor), NULL, 0);
	assert_int_equal(floor_of(0), 5);
	raise_floor(0, 6);
	assert_int_equal(floor_of(1), 6);
}

struct race {
	uint64_t at, calls;
	bool done;
};

static void race_hook(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct race *race = ctx;

	(void)call;
	(void)path;
	if (client != 0 || race->calls++ != race->at)
		return;
	raise_floor(1, 9);
	race->done = true;
}

static void two_that_raise_the_floor_at_once_end_with_the_higher(void **state)
{
	struct race race = { .done = true };

	(void)state;
	for (uint64_t at = 0; race.done; at++) {
		for (uint64_t floor = 7; floor <= 11; floor += 2) {
			f = fixture_open(&network);
			race = (struct race){ .at = at };
			crashfs_hook_set(f->fs, race_hook, &race);
			raise_floor(0, floor);
			crashfs_hook_set(f->fs, NULL, NULL);
			assert_int_equal(floor_of(0), race.done && floor < 9 ? 9 : floor);
			assert_int_equal(floor_of(1), floor_of(0));
			fixture_close(f);
		}
	}
}

static void raised_floor_survives_a_crash_and_no_crash_lowers_it(void **state)
{
	bool fired = true;

	(void)state;
	for (uint64_t at = 0; fired; at++) {
		for (uint64_t way = 0; fired && way < 2 + CRASH_SEEDS; way++) {
			struct crashfs_fault crash = { .at = at, .mode = CRASHFS_CRASH };
			fsha_result result;

			f = fixture_open(NULL);
			raise_floor(0, 7);
			crashfs_count_reset(f->fs);
			crashfs_fault_arm(f->fs, &crash);
			result = cluster_floor_raise(&f->cluster[0], 9, NULL);
			fired = crashfs_faults_fired(f->fs) > 0;
			fixture_lose(f, way);
			fixture_recover(f);
			assert_int_equal(fixture_open_cluster(f, 0, false, NULL), FSHA_OK);
			if (result == FSHA_OK)
				assert_int_equal(floor_of(0), 9);
			else
				assert_true(floor_of(0) == 7 || floor_of(0) == 9);
			fixture_close(f);
		}
	}
}

/* Also with a fault before the crash: what was acknowledged in spite of it must be durable. */
static void floor_raised_in_spite_of_a_fault_survives_a_crash(void **state)
{
	unsigned raised = 0;
	bool fired = true;

	(void)state;
	for (uint64_t at = 0; fired; at++) {
		for (size_t way = 0; fired && way < FIXTURE_SWEEPS; way++) {
			struct crashfs_fault fault = fixture_fault(at, way);
			fsha_result result;

			f = fixture_open(NULL);
			crashfs_fault_arm(f->fs, &fault);
			result = cluster_floor_raise(&f->cluster[0], 9, NULL);
			fired = crashfs_faults_fired(f->fs) > 0;
			crashfs_crash_losing_all(f->fs);
			fixture_recover(f);
			assert_int_equal(fixture_open_cluster(f, 0, false, NULL), FSHA_OK);
			raised += fired && result == FSHA_OK;
			assert_true(floor_of(0) == 9 || (result != FSHA_OK && floor_of(0) == 0));
			fixture_close(f);
		}
	}
	assert_true(raised > 0);
}

#define cluster_test(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
#define network_test(t) cmocka_unit_test_setup_teardown(t, setup_network, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cluster_test(floor_is_raised_and_never_lowered),
		network_test(floor_raised_by_one_client_is_seen_by_another_that_remembers),
		cluster_test(floor_so_high_that_no_epoch_is_left_is_refused),
		cluster_test(lost_floor_is_corrupt_and_not_zero),
		cluster_test(highest_of_several_floors_counts),
		cmocka_unit_test(two_that_raise_the_floor_at_once_end_with_the_higher),
		cmocka_unit_test(raised_floor_survives_a_crash_and_no_crash_lowers_it),
		cmocka_unit_test(floor_raised_in_spite_of_a_fault_survives_a_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
