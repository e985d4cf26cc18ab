/*
 * The worker store at every fault: each system call fails in every way, each is the last before a
 * power cut, each allocation fails. What was acknowledged is there for the next leader, what was
 * refused is not, and no task id is ever given twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "fsha/fsha.h"
#include "tests/lib/holder.h"
#include "tests/lib/oom.h"
#include "tests/lib/sweep.h"

#define A 0
#define B 1
#define RM FSHA_ELECTION_RESOURCE_MANAGER

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return sweep_say("line %d: not so: %s (outcome %d)", __LINE__, #condition, \
					 run->outcome);                                            \
	} while (0)

#define WRONG_VALUE 100 /* an outcome of reading that no result has */

struct scene {
	struct holder a;
	fsha_worker_store *store;
	char id[FSHA_TASK_ID_SIZE]; /* what new_task_id gave */
};

/* What a leader finds. */
struct found {
	char workers[128]; /* "id:State " of each */
	char framework_id[FSHA_FRAMEWORK_ID_SIZE];
	char next_id[FSHA_TASK_ID_SIZE]; /* as it is given */
};
#define OLD_WORKERS "k:New taskmanager-00001:Launched "

static fsha_worker make(const char *task_id, fsha_worker_state state)
{
	fsha_worker w;

	(void)fsha_worker_init(&w, task_id, "spec", 4);
	(void)fsha_worker_with_state(&w, state, &w);
	return w;
}

static fsha_result put(fsha_worker_store *store, const char *task_id, fsha_worker_state state,
		       fsha_error *reterr)
{
	fsha_worker w = make(task_id, state);

	return fsha_worker_store_put(store, &w, reterr);
}

static fsha_worker_store *open_workers(struct holder *h)
{
	fsha_worker_store *store = NULL;

	if (fsha_worker_store_open(h->services, &store, &h->error) != FSHA_OK ||
	    fsha_worker_store_start(store, &h->error) != FSHA_OK)
		fail_msg("%s", h->error.message);
	return store;
}

/* ---- what is there before ---- */

static void start_leader(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	s->id[0] = '\0';
	holder_start(&s->a, disk, A, RM);
	s->store = open_workers(&s->a);
	if (fsha_worker_store_new_task_id(s->store, s->id, &s->a.error) != FSHA_OK ||
	    put(s->store, s->id, FSHA_WORKER_LAUNCHED, &s->a.error) != FSHA_OK ||
	    put(s->store, "k", FSHA_WORKER_NEW, &s->a.error) != FSHA_OK ||
	    fsha_worker_store_set_framework_id(s->store, "old", &s->a.error) != FSHA_OK)
		fail_msg("%s", s->a.error.message);
	s->id[0] = '\0';
}

/* One that has looked at nothing yet. */
static void start_reader(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	start_leader(ctx, disk);
	fsha_worker_store_close(s->store);
	holder_stop(&s->a);
	holder_start_reader(&s->a, disk, A);
	s->store = open_workers(&s->a);
}

static void finish(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	(void)disk;
	fsha_worker_store_close(s->store);
	holder_stop(&s->a);
}

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
	result = fsha_worker_store_get_framework_id(s->store, id, &present, NULL);
	if (result == FSHA_OK)
		right = right && present && strcmp(id, "old") == 0;
	return right ? result : WRONG_VALUE;
}

/* ---- what must hold after it ---- */

static const char *look(struct holder *b, fsha_worker_store *store, struct found *f,
			const struct sweep_run *run)
{
	fsha_worker *workers;
	size_t count, used = 0;
	int present;

	CHECK(fsha_worker_store_recover(store, &workers, &count, NULL) == FSHA_OK);
	f->workers[0] = '\0';
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(f->workers + used, sizeof(f->workers) - used, "%s:%s ",
					 workers[i].task_id,
					 fsha_worker_state_name(workers[i].state));
	fsu_release(b->fs, workers);
	CHECK(fsha_worker_store_get_framework_id(store, f->framework_id, &present, NULL) ==
	      FSHA_OK);
	CHECK(fsha_worker_store_new_task_id(store, f->next_id, NULL) == FSHA_OK);
	return NULL;
}

/* The next leader takes over from whatever is left. */
static const char *take_over(struct crashfs *after, const struct sweep_run *run, struct found *f)
{
	fsha_worker_store *store;
	struct holder b;
	const char *wrong;

	CHECK(run->outcome != FSHA_E_FENCED);
	CHECK(run->outcome != FSHA_E_CORRUPT);
	CHECK(run->n_faults > 0 || run->outcome == FSHA_OK);
	holder_start(&b, after, B, RM);
	store = open_workers(&b);
	wrong = look(&b, store, f, run);
	fsha_worker_store_close(store);
	holder_stop(&b);
	return wrong;
}

static const char *expect(const struct sweep_run *run, const char *got, const char *old,
			  const char *new)
{
	if (run->when == SWEEP_CUT_DURING || run->outcome == FSHA_E_INDOUBT)
		CHECK(strcmp(got, old) == 0 || strcmp(got, new) == 0);
	else if (strcmp(got, run->outcome == FSHA_OK ? new : old) != 0)
		return sweep_say("outcome %d, and found '%s'", run->outcome, got);
	return NULL;
}

static const char *check_with(struct crashfs *after, const struct sweep_run *run,
			      const char *workers, const char *framework_id)
{
	struct found f;
	const char *wrong = take_over(after, run, &f);

	if (!wrong)
		wrong = expect(run, f.workers, OLD_WORKERS, workers);
	if (!wrong)
		wrong = expect(run, f.framework_id, "old", framework_id);
	if (!wrong)
		CHECK(strcmp(f.next_id, "taskmanager-00002") == 0);
	return wrong;
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

/* ---- the sweeps ---- */

struct operation {
	const char *name;
	void (*setup)(void *ctx, struct crashfs *disk);
	int (*run)(void *ctx, const struct fsu *fs);
	const char *(*check)(void *ctx, struct crashfs *after, const struct sweep_run *run);
};

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

static void sweep(size_t i, void (*assert_all)(const struct sweep_scenario *scenario))
{
	struct scene scene;
	const struct sweep_scenario scenario = {
		.name = operations[i].name,
		.options = { .seed = 1 },
		.client = A,
		.ctx = &scene,
		.setup = operations[i].setup,
		.operation = operations[i].run,
		.check = operations[i].check,
		.teardown = finish,
	};

	assert_all(&scenario);
}

#define SWEEP(name, i)                  \
	static void name(void **state)  \
	{                               \
		(void)state;            \
		sweep(i, sweep_assert); \
	}

SWEEP(put_of_a_new_worker_is_done_or_not_at_every_fault, 0)
SWEEP(put_of_a_known_worker_is_old_or_new_at_every_fault, 1)
SWEEP(remove_is_old_or_new_at_every_fault, 2)
SWEEP(framework_id_is_old_or_new_at_every_fault, 3)
SWEEP(clearing_the_framework_id_is_old_or_new_at_every_fault, 4)
SWEEP(no_task_id_is_given_twice_at_any_fault, 5)
SWEEP(cleanup_removes_all_or_says_so_at_every_fault, 6)
SWEEP(recovery_reads_right_or_fails_at_every_fault, 7)

static void nothing_changes_when_memory_runs_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		sweep(i, oom_assert);
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
