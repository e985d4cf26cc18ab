/*
 * The worker store at every fault: each system call fails in every way, each is the last before a
 * power cut, each allocation fails. What was acknowledged is there for the next leader, what was
 * refused is not, and no task id is ever given twice.
 */
#include "tests/test_workers_sweep.h"

/* ---- what is done ---- */

static int put_new(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return put(((struct scene *)ctx)->store, "n", FSHA_WORKER_NEW, NULL);
}

static int put_again(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return put(((struct scene *)ctx)->store, "k", FSHA_WORKER_RELEASED, NULL);
}

static int removal(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return fsha_worker_store_remove(((struct scene *)ctx)->store, "k", NULL, NULL);
}

static int set_framework_id(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return fsha_worker_store_set_framework_id(((struct scene *)ctx)->store, "new", NULL);
}

static int clear_framework_id(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return fsha_worker_store_set_framework_id(((struct scene *)ctx)->store, NULL, NULL);
}

static int new_task_id(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;

	(void)fs;
	s->id[0] = '\0';
	return fsha_worker_store_new_task_id(s->store, s->id, NULL);
}

static int clean_up(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return fsha_worker_store_stop(((struct scene *)ctx)->store, 1, NULL);
}

static int visit(void *ctx, const fsha_worker_entry *entry)
{
	bool *right = ctx;

	/* It is told that the worker is there and cannot be read, or who it is. */
	*right = *right && (entry->result != FSHA_OK || entry->worker != NULL);
	return entry->result;
}

static fsha_result read_one_by_one(struct scene *s, const struct fsu *fs, bool *right)
{
	fsha_worker *one;
	fsha_result result;

	result = fsha_worker_store_get(s->store, "k", &one, NULL);
	if (result != FSHA_OK)
		return result;
	*right = *right && strcmp(one->task_id, "k") == 0 && one->state == FSHA_WORKER_NEW;
	fsu_release(fs, one);
	return fsha_worker_store_visit(s->store, visit, right, NULL);
}

static int read_all(void *ctx, const struct fsu *fs)
{
	char id[FSHA_FRAMEWORK_ID_SIZE] = "";
	struct scene *s = ctx;
	fsha_worker *workers;
	fsha_result result;
	int present = 0;
	size_t count;
	bool right;

	result = fsha_worker_store_recover(s->store, &workers, &count, NULL);
	if (result != FSHA_OK)
		return result;
	right = count == 2 && strcmp(workers[0].task_id, "k") == 0 &&
		workers[1].state == FSHA_WORKER_LAUNCHED;
	fsu_release(fs, workers);
	result = read_one_by_one(s, fs, &right);
	if (result != FSHA_OK)
		return result;
	result = fsha_worker_store_get_framework_id(s->store, id, &present, NULL);
	if (result == FSHA_OK)
		right = right && present && strcmp(id, "old") == 0;
	return right ? result : WRONG_VALUE;
}

static const char *check_put_new(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	return check_with(after, run, "k:New n:New taskmanager-00001:Launched ", "old");
}

static const char *check_put_again(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	return check_with(after, run, "k:Released taskmanager-00001:Launched ", "old");
}

static const char *check_removal(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	return check_with(after, run, "taskmanager-00001:Launched ", "old");
}

static const char *check_set(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	return check_with(after, run, OLD_WORKERS, "new");
}

static const char *check_clear(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	return check_with(after, run, OLD_WORKERS, "");
}

static const char *check_unchanged(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	CHECK(run->outcome != WRONG_VALUE);
	if (run->when != SWEEP_RETURNED)
		return NULL; /* it only reads: no power cut can do anything to that */
	return check_with(after, run, OLD_WORKERS, "old");
}

/* All are gone, or those that could not be removed are left; never anything else. */
static const char *check_clean_up(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct found f;
	const char *wrong = take_over(after, run, &f);

	(void)ctx;
	if (wrong)
		return wrong;
	if (run->when != SWEEP_CUT_DURING && run->outcome == FSHA_OK)
		CHECK(strcmp(f.workers, "") == 0);
	CHECK(strcmp(f.framework_id, "old") == 0);
	CHECK(strcmp(f.next_id, "taskmanager-00002") == 0);
	return NULL;
}

/* Skipped perhaps, repeated never: neither by the same leader nor by the next. */
static const char *check_task_id(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct scene *s = ctx;
	char again[FSHA_TASK_ID_SIZE] = "";
	struct found f;
	const char *wrong;

	CHECK(run->when == SWEEP_CUT_DURING || (run->outcome == FSHA_OK) == (s->id[0] != '\0'));
	if (run->when == SWEEP_RETURNED && after == s->a.disk &&
	    fsha_worker_store_new_task_id(s->store, again, NULL) == FSHA_OK) {
		CHECK(strcmp(again, s->id) > 0);
		CHECK(strcmp(again, "taskmanager-00001") > 0);
	}
	wrong = take_over(after, run, &f);
	if (wrong)
		return wrong;
	CHECK(strcmp(f.workers, OLD_WORKERS) == 0);
	CHECK(strcmp(f.next_id, "taskmanager-00001") > 0);
	CHECK(strcmp(f.next_id, again) > 0);
	if (run->when != SWEEP_CUT_DURING)
		CHECK(strcmp(f.next_id, s->id) > 0);
	return NULL;
}

static const struct operation operations[] = {
	{ "put", start_leader, put_new, check_put_new },
	{ "put again", start_leader, put_again, check_put_again },
	{ "remove", start_leader, removal, check_removal },
	{ "set framework id", start_leader, set_framework_id, check_set },
	{ "clear framework id", start_leader, clear_framework_id, check_clear },
	{ "new task id", start_leader, new_task_id, check_task_id },
	{ "stop with cleanup", start_leader, clean_up, check_clean_up },
	{ "recover", start_reader, read_all, check_unchanged },
};

static void put_of_a_new_worker_is_done_or_not_at_every_fault(void **state)
{
	(void)state;
	sweep(&operations[0], sweep_assert);
}

static void put_of_a_known_worker_is_old_or_new_at_every_fault(void **state)
{
	(void)state;
	sweep(&operations[1], sweep_assert);
}

static void remove_is_old_or_new_at_every_fault(void **state)
{
	(void)state;
	sweep(&operations[2], sweep_assert);
}

static void framework_id_is_old_or_new_at_every_fault(void **state)
{
	(void)state;
	sweep(&operations[3], sweep_assert);
}

static void clearing_the_framework_id_is_old_or_new_at_every_fault(void **state)
{
	(void)state;
	sweep(&operations[4], sweep_assert);
}

static void no_task_id_is_given_twice_at_any_fault(void **state)
{
	(void)state;
	sweep(&operations[5], sweep_assert);
}

static void cleanup_removes_all_or_says_so_at_every_fault(void **state)
{
	(void)state;
	sweep(&operations[6], sweep_assert);
}

static void recovery_reads_right_or_fails_at_every_fault(void **state)
{
	(void)state;
	sweep(&operations[7], sweep_assert);
}

static void nothing_changes_when_memory_runs_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		sweep(&operations[i], oom_assert);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_of_a_new_worker_is_done_or_not_at_every_fault),
		cmocka_unit_test(put_of_a_known_worker_is_old_or_new_at_every_fault),
		cmocka_unit_test(remove_is_old_or_new_at_every_fault),
		cmocka_unit_test(framework_id_is_old_or_new_at_every_fault),
		cmocka_unit_test(clearing_the_framework_id_is_old_or_new_at_every_fault),
		cmocka_unit_test(no_task_id_is_given_twice_at_any_fault),
		cmocka_unit_test(cleanup_removes_all_or_says_so_at_every_fault),
		cmocka_unit_test(recovery_reads_right_or_fails_at_every_fault),
		cmocka_unit_test(nothing_changes_when_memory_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
