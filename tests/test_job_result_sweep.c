/*
 * Job results at every fault and every lack of memory: old or new, and whole; acknowledged is
 * durable; and a result that is kept is never without an entry.
 */
#include <errno.h>

#include "tests/lib/oom.h"
#include "tests/lib/sweep.h"
#include "tests/test_job_result.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return sweep_say("line %d: not so: %s (outcome %d)", __LINE__, #condition, \
					 run->outcome);                                            \
	} while (0)

struct scene {
	struct results r;
	bool keep;
};

/* ---- what is there before ---- */

static void start(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	lead_results(&s->r, disk, A, s->keep);
	/* The index is loaded, as in the middle of a term. */
	assert_int_equal(create_dirty(&s->r, 9), FSHA_OK);
}

static void start_dirty(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	start(s, disk);
	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
}

static void start_clean(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	start_dirty(s, disk);
	assert_int_equal(mark_clean(&s->r, 1), FSHA_OK);
}

/* The clean entry is visible and not durable. */
static void start_half_marked(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	start_dirty(s, disk);
	fail_next_sync(disk);
	assert_int_equal(mark_clean(&s->r, 1), FSHA_E_INDOUBT);
	crashfs_fault_clear(disk);
}

static void finish(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	(void)disk;
	close_results(&s->r);
}

/* ---- what is done ---- */

static int create(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return create_dirty(&((struct scene *)ctx)->r, 1);
}

static int mark(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return mark_clean(&((struct scene *)ctx)->r, 1);
}

static int removal(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return remove_result(&((struct scene *)ctx)->r, 1);
}

#define WRONG_LIST 100

static int list_dirty(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;
	struct told told = { .count = 0 };
	fsha_result result;

	(void)fs;
	result = fsha_job_result_store_get_dirty_results(s->r.store, tell, &told, &s->r.h.error);
	if (result != FSHA_OK)
		return result;
	/* An entry that could not be read is handed over as such, and is not the damage of a file.
	 */
	return strstr(told.ids, "!CORRUPT") || strstr(told.ids, "01") ? WRONG_LIST : FSHA_OK;
}

static int get(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;
	fsha_job_result *got;
	fsha_job_id id = job(1);
	fsha_result result;
	int dirty = -1;

	(void)fs;
	result = fsha_job_result_store_get(s->r.store, &id, &got, &dirty, &s->r.h.error);
	if (result != FSHA_OK)
		return result;
	result = got->net_runtime_ms == 1 && dirty == 1 ? FSHA_OK : (fsha_result)WRONG_LIST;
	fsu_release(s->r.h.fs, got);
	return result;
}

/* ---- what must hold after it ---- */

/* The state as a fresh reader sees it, and as the next leader does, who can go on. */
static const char *look(struct scene *s, struct crashfs *after, const struct sweep_run *run,
			char *ret_state)
{
	struct results next;

	read_results(&next, after, B);
	(void)strcpy(ret_state, state_of(&next, 1));
	CHECK(strcmp(state_of(&next, 9), "dirty") == 0);
	close_results(&next);
	lead_results(&next, after, B, s->keep);
	CHECK(strcmp(state_of(&next, 1), ret_state) == 0);
	CHECK(create_dirty(&next, 2) == FSHA_OK);
	CHECK(mark_clean(&next, 9) == FSHA_OK);
	/* The old one, if it lives and its clock has stood still, writes nothing any more. */
	if (after == s->r.h.disk && run->when == SWEEP_RETURNED) {
		lease_begin(&s->r.h.services->member->lease, fsu_now_ns(s->r.h.fs),
			    60 * FSU_NS_PER_S);
		CHECK(create_dirty(&s->r, 3) != FSHA_OK);
		CHECK(mark_clean(&s->r, 2) != FSHA_OK);
		CHECK(strcmp(state_of(&next, 2), "dirty") == 0);
		CHECK(strcmp(state_of(&next, 3), "none") == 0);
	}
	close_results(&next);
	return NULL;
}

static const char *check(struct scene *s, struct crashfs *after, const struct sweep_run *run,
			 const char *old, const char *new)
{
	char state[16];
	const char *wrong = look(s, after, run, state);

	if (wrong)
		return wrong;
	CHECK(run->outcome != FSHA_E_CORRUPT);
	CHECK(run->outcome != FSHA_E_FENCED);
	if (run->when != SWEEP_CUT_DURING && run->outcome == FSHA_OK)
		CHECK(strcmp(state, new) == 0);
	else if (run->when == SWEEP_CUT_DURING || run->outcome == FSHA_E_INDOUBT)
		CHECK(strcmp(state, old) == 0 || strcmp(state, new) == 0);
	else
		CHECK(strcmp(state, old) == 0);
	return NULL;
}

static const char *check_create(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	return check(ctx, after, run, "none", "dirty");
}

static const char *check_delete(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	return check(ctx, after, run, "dirty", "none");
}

static const char *check_remove_clean(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	return check(ctx, after, run, "clean", "none");
}

static const char *check_keep(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	return check(ctx, after, run, "dirty", "clean");
}

/* Whatever comes of it, it changes nothing. */
static const char *check_get(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	CHECK(run->outcome != WRONG_LIST);
	return check(ctx, after, run, "dirty", "dirty");
}

static const char *check_half_marked(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	char state[16];
	const char *wrong = look(ctx, after, run, state);

	if (wrong)
		return wrong;
	CHECK(run->outcome != WRONG_LIST);
	/* Lost, the clean entry was never told of; but it is never lost with the dirty one. */
	if (run->when == SWEEP_RETURNED || run->outcome == FSHA_OK)
		CHECK(strcmp(state, "clean") == 0 ||
		      (strcmp(state, "dirty") == 0 && run->when != SWEEP_RETURNED &&
		       run->outcome != FSHA_OK));
	else
		CHECK(strcmp(state, "none") != 0);
	return NULL;
}

/* ---- the sweeps ---- */

typedef const char *check_function(void *ctx, struct crashfs *after, const struct sweep_run *run);

static void sweep(const char *name, bool keep, void (*setup)(void *ctx, struct crashfs *disk),
		  int (*operation)(void *ctx, const struct fsu *fs), check_function *after)
{
	struct scene scene = { .keep = keep };
	const struct sweep_scenario scenario = {
		.name = name,
		.options = { .seed = 1 },
		.client = A,
		.ctx = &scene,
		.setup = setup,
		.operation = operation,
		.check = after,
		.teardown = finish,
	};

	sweep_assert(&scenario);
	oom_assert(&scenario);
}

static void creating_is_done_or_not_at_every_fault(void **state)
{
	(void)state;
	sweep("create", false, start, create, check_create);
}

static void marking_deletes_or_not_at_every_fault(void **state)
{
	(void)state;
	sweep("mark", false, start_dirty, mark, check_delete);
}

static void marking_keeps_the_result_at_every_fault(void **state)
{
	(void)state;
	sweep("mark and keep", true, start_dirty, mark, check_keep);
}

static void removing_is_done_or_not_at_every_fault(void **state)
{
	(void)state;
	sweep("remove", true, start_dirty, removal, check_delete);
	sweep("remove clean", true, start_clean, removal, check_remove_clean);
}

static void getting_reads_right_or_fails_at_every_fault(void **state)
{
	(void)state;
	sweep("get", false, start_dirty, get, check_get);
}

static void listing_loses_no_result_that_is_half_marked_at_every_fault(void **state)
{
	(void)state;
	sweep("list", true, start_half_marked, list_dirty, check_half_marked);
}

static void marking_loses_no_result_that_is_half_marked_at_every_fault(void **state)
{
	(void)state;
	sweep("mark half marked", true, start_half_marked, mark, check_half_marked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(creating_is_done_or_not_at_every_fault),
		cmocka_unit_test(marking_deletes_or_not_at_every_fault),
		cmocka_unit_test(marking_keeps_the_result_at_every_fault),
		cmocka_unit_test(removing_is_done_or_not_at_every_fault),
		cmocka_unit_test(getting_reads_right_or_fails_at_every_fault),
		cmocka_unit_test(listing_loses_no_result_that_is_half_marked_at_every_fault),
		cmocka_unit_test(marking_loses_no_result_that_is_half_marked_at_every_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
