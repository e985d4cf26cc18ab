/*
 * What changes several workers at once, and a backup on its way to a file and back, at every fault:
 * all or nothing, whole or as it was.
 */
#include <stdlib.h>

#include "src/worker/backup.h"
#include "tests/lib/disk.h"
#include "tests/lib/swept.h"
#include "tests/test_workers_sweep.h"

#define FILE_PATH "/b/backup.json"

/* ---- what is done ---- */

static int update_states(void *ctx, const struct fsu *fs)
{
	static const fsha_worker_state_update updates[] = {
		{ "taskmanager-00001", FSHA_WORKER_RELEASED, 0 },
		{ "nobody", FSHA_WORKER_RELEASED, 0 },
		{ "k", FSHA_WORKER_LAUNCHED, 0 },
	};
	size_t updated = 0;
	fsha_result result;

	(void)fs;
	result = fsha_worker_store_update_states(((struct scene *)ctx)->store, updates, 3, &updated,
						 NULL);
	return result == FSHA_OK && updated != 2 ? WRONG_VALUE : (int)result;
}

static fsha_framework_backup backup_of(const fsha_worker *workers, size_t count)
{
	return (fsha_framework_backup){
		.struct_size = sizeof(fsha_framework_backup),
		.framework_id = "restored",
		.workers = workers,
		.worker_count = count,
		.timestamp_ms = 1,
		.last_task_number = 7,
		.version = FSHA_FRAMEWORK_BACKUP_VERSION,
	};
}

static int restore(void *ctx, const struct fsu *fs)
{
	const fsha_worker workers[] = { make("k", FSHA_WORKER_RELEASED),
					make("n", FSHA_WORKER_NEW) };
	fsha_framework_backup b = backup_of(workers, 2);

	(void)fs;
	return fsha_framework_backup_restore(((struct scene *)ctx)->store, &b, NULL);
}

static int take(void *ctx, const struct fsu *fs)
{
	fsha_framework_backup *b;
	fsha_result result;
	bool right;

	result = fsha_framework_backup_take(((struct scene *)ctx)->store, &b, NULL);
	if (result != FSHA_OK)
		return result;
	right = b->framework_id && strcmp(b->framework_id, "old") == 0 && b->worker_count == 2 &&
		strcmp(b->workers[0].task_id, "k") == 0 &&
		b->workers[1].state == FSHA_WORKER_LAUNCHED && b->last_task_number == 1;
	fsu_release(fs, b);
	return right ? FSHA_OK : WRONG_VALUE;
}

/* ---- what must hold after it ---- */

static const char *check_update(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	CHECK(run->outcome != WRONG_VALUE);
	return check_with(after, run, "k:Launched taskmanager-00001:Released ", "old");
}

/* Workers, framework id and counter go together. */
static const char *check_restore(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct found f;
	const char *wrong = take_over(after, run, &f);
	bool done;

	(void)ctx;
	if (!wrong)
		wrong = expect(run, f.workers, OLD_WORKERS,
			       "k:Released n:New taskmanager-00001:Launched ");
	if (wrong)
		return wrong;
	done = strcmp(f.workers, OLD_WORKERS) != 0;
	CHECK(strcmp(f.framework_id, done ? "restored" : "old") == 0);
	CHECK(strcmp(f.next_id, done ? "taskmanager-00008" : "taskmanager-00002") == 0);
	return NULL;
}

static const char *check_take(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	CHECK(run->outcome != WRONG_VALUE);
	if (run->when != SWEEP_RETURNED)
		return NULL; /* it only reads: no power cut can do anything to that */
	return check_with(after, run, OLD_WORKERS, "old");
}

/* ---- a file ---- */

static fsha_result write_backup(const struct fsu *fs, const char *task_id, size_t count)
{
	const fsha_worker workers[] = { make(task_id, FSHA_WORKER_LAUNCHED),
					make("other", FSHA_WORKER_NEW) };
	fsha_framework_backup b = backup_of(workers, count);

	return SWEPT(backup_write_with)(fs, &b, FILE_PATH, NULL);
}

static void make_file(void *ctx, struct crashfs *disk)
{
	const struct fsu *fs = crashfs_client(disk, A);

	(void)ctx;
	disk_mkdir(fs, "/b");
	disk_sync_dir(fs, "/");
	assert_int_equal(write_backup(fs, "old", 1), FSHA_OK);
}

static int overwrite(void *ctx, const struct fsu *fs)
{
	(void)ctx;
	return write_backup(fs, "new", 2);
}

/* The id of its first worker; "" when it cannot be read. */
static fsha_result read_first(const struct fsu *fs, char *text)
{
	fsha_framework_backup *b;
	fsha_result result;

	text[0] = '\0';
	swept_note("backup_read_with");
	result = backup_read_with(fs, FILE_PATH, &b, NULL);
	if (result != FSHA_OK)
		return result;
	(void)snprintf(text, 16, "%s%zu", b->workers[0].task_id, b->worker_count);
	fsu_release(fs, b);
	return FSHA_OK;
}

static const char *check_file(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	char text[16];

	(void)ctx;
	CHECK(run->n_faults > 0 || run->outcome == FSHA_OK);
	CHECK(read_first(crashfs_client(after, B), text) == FSHA_OK);
	/* Nothing is left behind, unless the unlink itself failed or the power went. */
	if (run->when == SWEEP_RETURNED && run->outcome == FSHA_OK)
		CHECK(strcmp(crashfs_ls(after, "/b"), "backup.json") == 0);
	return expect(run, text, "old1", "new2");
}

static int read_file(void *ctx, const struct fsu *fs)
{
	char text[16];
	fsha_result result = read_first(fs, text);

	(void)ctx;
	return result == FSHA_OK && strcmp(text, "old1") != 0 ? WRONG_VALUE : (int)result;
}

static const char *check_read(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	(void)after;
	CHECK(run->outcome != WRONG_VALUE);
	CHECK(run->when == SWEEP_CUT_DURING || run->outcome != FSHA_E_CORRUPT);
	CHECK(run->n_faults > 0 || run->outcome == FSHA_OK);
	return NULL;
}

static void sweep_file(const char *name, int (*operation)(void *ctx, const struct fsu *fs),
		       const char *(*check)(void *ctx, struct crashfs *after,
					    const struct sweep_run *run))
{
	const struct sweep_scenario scenario = {
		.name = name,
		.options = { .seed = 1 },
		.client = A,
		.setup = make_file,
		.operation = operation,
		.check = check,
	};

	sweep_assert(&scenario);
	oom_assert(&scenario);
}

/* ---- the sweeps ---- */

static const struct operation update_operation = { "update states", start_leader, update_states,
						   check_update };
static const struct operation restore_operation = { "restore", start_leader, restore,
						    check_restore };
static const struct operation take_operation = { "take", start_leader, take, check_take };
static const struct operation read_take_operation = { "take as a reader", start_reader, take,
						      check_take };

static void state_updates_are_all_or_none_at_every_fault(void **state)
{
	(void)state;
	sweep(&update_operation, sweep_assert);
}

static void a_restore_is_all_or_nothing_at_every_fault(void **state)
{
	(void)state;
	sweep(&restore_operation, sweep_assert);
}

static void a_backup_is_right_or_fails_at_every_fault(void **state)
{
	(void)state;
	sweep(&take_operation, sweep_assert);
	sweep(&read_take_operation, sweep_assert);
}

static void nothing_changes_when_memory_runs_out(void **state)
{
	(void)state;
	sweep(&update_operation, oom_assert);
	sweep(&restore_operation, oom_assert);
	sweep(&take_operation, oom_assert);
	sweep(&read_take_operation, oom_assert);
}

static void a_backup_file_is_old_or_new_at_every_fault(void **state)
{
	(void)state;
	sweep_file("write", overwrite, check_file);
}

static void a_backup_file_is_read_right_or_not_at_every_fault(void **state)
{
	(void)state;
	sweep_file("read", read_file, check_read);
}

/* ---- many ---- */

#define MANY 1000

/* Calls of A on files since the last reset. */
static uint64_t count_file_calls(struct crashfs *disk)
{
	enum crashfs_call call;
	bool changes;
	uint64_t n = 0;

	for (uint64_t i = 0; crashfs_call_at(disk, A, i, &call, &changes); i++)
		n += call != CRASHFS_ALLOC && call != CRASHFS_RANDOM;
	return n;
}

static void a_thousand_workers_are_restored_and_recovered_with_few_calls(void **state)
{
	const struct crashfs_options options = { .seed = 1, .cache_ns = DISK_CACHE_NS };
	struct crashfs *disk = crashfs_create(&options);
	fsha_worker *workers = calloc(MANY, sizeof(*workers)), *got = NULL;
	char(*ids)[FSHA_TASK_ID_SIZE] = calloc(MANY, sizeof(*ids));
	fsha_worker_store *store;
	fsha_framework_backup b;
	struct holder h;
	size_t count;

	(void)state;
	assert_non_null(workers);
	assert_non_null(ids);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "taskmanager-%05d", i + 1);
		workers[i] = make(ids[i], FSHA_WORKER_LAUNCHED);
	}
	b = backup_of(workers, MANY);
	holder_start(&h, disk, A, RM);
	store = open_workers(&h);
	crashfs_count_reset(disk);
	assert_int_equal(fsha_framework_backup_restore(store, &b, &h.error), FSHA_OK);
	assert_in_range(count_file_calls(disk), 1, 40);
	fsha_worker_store_close(store);
	holder_stop(&h);

	holder_start(&h, disk, A, RM); /* the next leader, from a file server */
	store = open_workers(&h);
	crashfs_count_reset(disk);
	assert_int_equal(fsha_worker_store_recover(store, &got, &count, &h.error), FSHA_OK);
	assert_in_range(count_file_calls(disk), 1, 40);
	assert_int_equal(count, MANY);
	assert_true(fsha_worker_equal(&got[MANY - 1], &workers[MANY - 1]));
	fsu_release(h.fs, got);
	fsha_worker_store_close(store);
	holder_stop(&h);
	free(workers);
	free(ids);
	crashfs_destroy(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_updates_are_all_or_none_at_every_fault),
		cmocka_unit_test(a_restore_is_all_or_nothing_at_every_fault),
		cmocka_unit_test(a_backup_is_right_or_fails_at_every_fault),
		cmocka_unit_test(nothing_changes_when_memory_runs_out),
		cmocka_unit_test(a_backup_file_is_old_or_new_at_every_fault),
		cmocka_unit_test(a_backup_file_is_read_right_or_not_at_every_fault),
		cmocka_unit_test(a_thousand_workers_are_restored_and_recovered_with_few_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
