/*
 * Making a cluster directory: it is there whole or not at all, whoever makes it and whenever the
 * power fails.
 */
#include "tests/lib/fixture.h"

#include <string.h>

#include "fsutil/fsu_file.h"

#define CRASH_SEEDS 20

static struct fixture *f;

static const struct fixture_options bare = { .bare = true };

/* The directories above it are made on the way, and must last as long as it does. */
static const struct fixture_options deep = { .bare = true, .id = "a/b/" FIXTURE_ID };

struct rival {
	uint64_t at, calls;
	bool opened;
};

/* Before call number `at` of client 0, client 1 opens the cluster from beginning to end. */
static void rival_hook(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct rival *rival = ctx;
	fsha_error error = FSHA_ERROR_INIT;

	(void)call;
	(void)path;
	if (client != 0 || rival->calls++ != rival->at)
		return;
	assert_result(f, fixture_open_cluster(f, 1, true, &error), FSHA_OK, &error);
	rival->opened = true;
}

static void two_that_create_at_once_end_with_one_cluster(void **state)
{
	struct rival rival = { .opened = true };

	(void)state;
	for (uint64_t at = 0; rival.opened; at++) {
		fsha_error error = FSHA_ERROR_INIT;

		f = fixture_open(&bare);
		rival = (struct rival){ .at = at };
		crashfs_hook_set(f->fs, rival_hook, &rival);
		assert_result(f, fixture_open_cluster(f, 0, true, &error), FSHA_OK, &error);
		crashfs_hook_set(f->fs, NULL, NULL);
		if (rival.opened)
			assert_true(fsu_uuid_equal(&f->cluster[0].id, &f->cluster[1].id));
		/* Nothing of the one that came too late is left. */
		assert_string_equal(crashfs_ls(f->fs, FIXTURE_STORAGE), FIXTURE_ID);
		fixture_close(f);
	}
}

/* What client 1 did in a cluster that it found open: acknowledged, so it must survive. */
static void rival_writes_hook(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct rival *rival = ctx;
	bool before = rival->opened;

	rival_hook(ctx, call, path, client);
	if (rival->opened && !before)
		assert_int_equal(cluster_floor_raise(&f->cluster[1], 5, NULL), FSHA_OK);
}

/* Another process has made the directory, and has not yet made it durable. */
static void crash_after_opening_what_another_makes(const struct fixture_options *options)
{
	struct rival rival = { .opened = true };

	for (uint64_t at = 0; rival.opened; at++) {
		uint64_t floor = 0;
		fsha_error error = FSHA_ERROR_INIT;
		struct crashfs_fault crash = { .at = at, .mode = CRASHFS_CRASH };

		f = fixture_open(options);
		rival = (struct rival){ .at = at };
		crashfs_hook_set(f->fs, rival_writes_hook, &rival);
		crashfs_fault_arm(f->fs, &crash);
		(void)fixture_open_cluster(f, 0, true, NULL);
		if (rival.opened) {
			crashfs_crash_losing_all(f->fs);
			fixture_recover(f);
			assert_result(f, fixture_open_cluster(f, 0, false, &error), FSHA_OK,
				      &error);
			assert_int_equal(cluster_floor_read(&f->cluster[0], &floor, NULL), FSHA_OK);
			assert_int_equal(floor, 5);
		}
		fixture_close(f);
	}
}

static void cluster_that_was_opened_survives_a_crash(void **state)
{
	(void)state;
	crash_after_opening_what_another_makes(&bare);
}

static void directories_above_an_opened_cluster_survive_a_crash(void **state)
{
	(void)state;
	crash_after_opening_what_another_makes(&deep);
}

/* ---- Crashes and faults while it is made ---- */

/* After everything: there is none, or one that opens; and one can be made. */
static void expect_nothing_or_a_whole_cluster(bool acknowledged)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result = fixture_open_cluster(f, 0, false, &error);
	uint64_t floor;

	if (acknowledged || result != FSHA_E_NOT_FOUND)
		assert_result(f, result, FSHA_OK, &error);
	assert_result(f, fixture_open_cluster(f, 1, true, &error), FSHA_OK, &error);
	assert_result(f, cluster_floor_read(&f->cluster[1], &floor, &error), FSHA_OK, &error);
	if (f->open[0])
		assert_true(fsu_uuid_equal(&f->cluster[0].id, &f->cluster[1].id));
}

static void crash_while_creating(const struct fixture_options *options)
{
	bool fired = true;

	for (uint64_t at = 0; fired; at++) {
		for (uint64_t way = 0; fired && way < 2 + CRASH_SEEDS; way++) {
			struct crashfs_fault crash = { .at = at, .mode = CRASHFS_CRASH };
			fsha_result result;

			f = fixture_open(options);
			crashfs_fault_arm(f->fs, &crash);
			result = fixture_open_cluster(f, 0, true, NULL);
			fired = crashfs_faults_fired(f->fs) > 0;
			fixture_lose(f, way);
			fixture_recover(f);
			expect_nothing_or_a_whole_cluster(result == FSHA_OK);
			fixture_close(f);
		}
	}
}

static void crash_at_any_call_of_creation_leaves_nothing_or_a_whole_cluster(void **state)
{
	(void)state;
	crash_while_creating(&bare);
}

static void crash_at_any_call_leaves_nothing_or_a_whole_cluster_in_directories(void **state)
{
	(void)state;
	crash_while_creating(&deep);
}

static void crash_in_a_taken_over_directory_leaves_it_or_a_whole_cluster(void **state)
{
	bool fired = true;

	(void)state;
	for (uint64_t at = 0; fired; at++) {
		for (uint64_t way = 0; fired && way < 6; way++) {
			struct crashfs_fault crash = { .at = at, .mode = CRASHFS_CRASH };
			fsha_error error = FSHA_ERROR_INIT;

			f = fixture_open(&bare);
			assert_int_equal(
				fsu_mkdirat(f->client[1], AT_FDCWD, FIXTURE_CLUSTER, FSU_DIR_MODE),
				0);
			crashfs_fault_arm(f->fs, &crash);
			(void)fixture_open_cluster(f, 0, true, NULL);
			fired = crashfs_faults_fired(f->fs) > 0;
			fixture_lose(f, way);
			fixture_recover(f);
			assert_result(f, fixture_open_cluster(f, 1, true, &error), FSHA_OK, &error);
			fixture_close(f);
		}
	}
}

static void any_single_fault_of_creation_leaves_nothing_or_a_whole_cluster(void **state)
{
	bool fired = true;

	(void)state;
	for (uint64_t at = 0; fired; at++) {
		for (size_t way = 0; fired && way < FIXTURE_SWEEPS; way++) {
			struct crashfs_fault fault = fixture_fault(at, way);
			fsha_result result;

			f = fixture_open(&bare);
			crashfs_fault_arm(f->fs, &fault);
			result = fixture_open_cluster(f, 0, true, NULL);
			fired = crashfs_faults_fired(f->fs) > 0;
			crashfs_fault_clear(f->fs);
			fixture_close_cluster(f, 0);
			expect_nothing_or_a_whole_cluster(result == FSHA_OK);
			fixture_close(f);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_that_create_at_once_end_with_one_cluster),
		cmocka_unit_test(cluster_that_was_opened_survives_a_crash),
		cmocka_unit_test(directories_above_an_opened_cluster_survive_a_crash),
		cmocka_unit_test(crash_at_any_call_of_creation_leaves_nothing_or_a_whole_cluster),
		cmocka_unit_test(
			crash_at_any_call_leaves_nothing_or_a_whole_cluster_in_directories),
		cmocka_unit_test(crash_in_a_taken_over_directory_leaves_it_or_a_whole_cluster),
		cmocka_unit_test(any_single_fault_of_creation_leaves_nothing_or_a_whole_cluster),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
