/*
 * The sweep of the checkpoint store: wherever one call fails, memory runs out or the power is cut,
 * what was acknowledged is there, what is there has its data, what is gone has not left its data
 * behind, and the next master goes on.
 */
#include "tests/lib/oom.h"
#include "tests/test_checkpoint_fixture.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return sweep_say("line %d: not so: %s (outcome %d, '%s', discarded %s)",   \
					 __LINE__, #condition, run->outcome, found, discarded(m)); \
	} while (0)

#define WRONG_CONTENT 100 /* an outcome of recover that no result has */

/* ---- before, and what is done ---- */

/* One checkpoint, the former one removed to the end. */
static void lead_with_one(void *ctx, struct crashfs *disk)
{
	struct master *m = ctx;

	master_start(m, disk, 0, 1);
	add(m, 1, FSHA_CHECKPOINT);
	drain(m);
}

static void lead_with_two(void *ctx, struct crashfs *disk)
{
	struct master *m = ctx;

	master_start(m, disk, 0, 2);
	add(m, 1, FSHA_CHECKPOINT);
	add(m, 2, FSHA_SAVEPOINT);
	drain(m);
}

static void leave(void *ctx, struct crashfs *disk)
{
	(void)disk;
	master_stop(ctx);
}

static int add_second(void *ctx, const struct fsu *fs)
{
	struct master *m = ctx;
	fsha_result result = try_add(m, 2, FSHA_CHECKPOINT, NULL);

	(void)fs;
	drain(m);
	return result;
}

static int finish(void *ctx, const struct fsu *fs)
{
	struct master *m = ctx;
	fsha_result result = fsha_checkpoint_store_shutdown(m->store, FSHA_JOB_FINISHED, NULL);

	(void)fs;
	drain(m);
	return result;
}

static int remove_first(void *ctx, const struct fsu *fs)
{
	struct master *m = ctx;
	fsha_result result = fsha_checkpoint_store_remove(m->store, 1, NULL);

	(void)fs;
	drain(m);
	return result;
}

static fsha_result read_both(struct master *m)
{
	fsha_completed_checkpoint *first, *latest;
	fsha_result result;
	bool right;

	result = fsha_checkpoint_store_get(m->store, 1, &first, NULL);
	if (result != FSHA_OK)
		return result;
	result = fsha_checkpoint_store_get_latest(m->store, &latest, NULL);
	right = first->id == 1 && fsha_checkpoint_store_count(m->store) == 2 &&
		fsha_checkpoint_store_latest_id(m->store) == 2;
	fsu_release(m->h.fs, first);
	if (result != FSHA_OK)
		return result;
	right = right && latest->id == 2;
	fsu_release(m->h.fs, latest);
	return right ? FSHA_OK : (fsha_result)WRONG_CONTENT;
}

/* A second object, as a process that comes up. */
static int recover(void *ctx, const struct fsu *fs)
{
	struct master *m = ctx, second = { .h = m->h, .error = FSHA_ERROR_INIT };
	fsha_result result;

	(void)fs;
	second.options = m->options;
	second.options.ctx = &second;
	store_forget(m->store->store);
	result = try_open(&second);
	if (result == FSHA_OK) {
		result = read_both(&second);
		(void)fsha_checkpoint_store_close(second.store, NULL);
	}
	return result;
}

/* ---- what must hold ---- */

static bool was_discarded(const struct master *m, int64_t id)
{
	for (unsigned i = 0; i < m->n_discarded; i++)
		if (m->discarded[i] == id)
			return true;
	return false;
}

static const char *discarded(const struct master *m)
{
	static char text[64];

	(void)snprintf(text, sizeof(text), "%s%s", was_discarded(m, 1) ? "1" : "",
		       was_discarded(m, 2) ? "2" : "");
	return text;
}

/* 'v' there, 'm' marked, ' ' gone. */
static char form(const char *found, int64_t id)
{
	char marked[8], live[8];

	(void)snprintf(marked, sizeof(marked), "m%" PRId64, id);
	(void)snprintf(live, sizeof(live), "%" PRId64, id);
	if (strstr(found, marked))
		return 'm';
	return strstr(found, live) ? 'v' : ' ';
}

/* The next master takes over; `end` or one more checkpoint. Returns whether 1 was discarded. */
static const char *succeeds(struct master *m, struct crashfs *after, const struct sweep_run *run,
			    const char *found, bool second_goes, bool end)
{
	bool second_was = form(found, 2) != ' ', discarded_1, discarded_2;
	char left[64];
	struct master next;

	master_start(&next, after, 1, 1);
	if (end)
		must(&next,
		     fsha_checkpoint_store_shutdown(next.store, FSHA_JOB_FINISHED, &next.error),
		     "shutdown");
	else
		add(&next, 9, FSHA_CHECKPOINT);
	drain(&next);
	(void)snprintf(left, sizeof(left), "%s", on_disk(after));
	discarded_1 = was_discarded(&next, 1) || was_discarded(m, 1);
	discarded_2 = was_discarded(&next, 2) || was_discarded(m, 2);
	master_stop(&next);
	CHECK(strcmp(left, end ? "" : "9") == 0);
	CHECK(discarded_1);
	CHECK(discarded_2 == (second_goes && second_was));
	return NULL;
}

static const char *check_add(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct master *m = ctx;
	bool told = run->when != SWEEP_CUT_DURING;
	char found[64];

	(void)snprintf(found, sizeof(found), "%s", on_disk(after));
	CHECK(!m->wrong);
	CHECK(!was_discarded(m, 2));
	CHECK(form(found, 1) != 'v' || !was_discarded(m, 1));
	CHECK(form(found, 1) != ' ' || was_discarded(m, 1));
	CHECK(form(found, 1) == 'v' || form(found, 2) == 'v'); /* there is always one */
	CHECK(form(found, 2) != 'm');
	if (told && run->outcome == FSHA_OK)
		CHECK(form(found, 2) == 'v');
	if (told && run->outcome != FSHA_OK && run->outcome != FSHA_E_INDOUBT)
		CHECK(form(found, 2) == ' ');
	if (told && run->outcome != FSHA_OK)
		CHECK(form(found, 1) == 'v');
	if (run->when == SWEEP_RETURNED)
		CHECK(strcmp(held(m), run->outcome == FSHA_OK ? "2" : "1") == 0);
	return succeeds(m, after, run, found, true, false);
}

static const char *check_end(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct master *m = ctx;
	char found[64];

	(void)snprintf(found, sizeof(found), "%s", on_disk(after));
	CHECK(!m->wrong);
	CHECK(!was_discarded(m, 2)); /* a savepoint */
	CHECK(form(found, 1) != 'v' || !was_discarded(m, 1));
	CHECK(form(found, 1) != ' ' || was_discarded(m, 1));
	CHECK(form(found, 2) != 'm');
	if (run->when != SWEEP_CUT_DURING && run->outcome == FSHA_OK) {
		CHECK(form(found, 1) != 'v');
		CHECK(form(found, 2) == ' ');
	}
	return succeeds(m, after, run, found, false, true);
}

static const char *check_removal(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct master *m = ctx;
	char found[64];

	(void)snprintf(found, sizeof(found), "%s", on_disk(after));
	CHECK(form(found, 1) != 'v' || !was_discarded(m, 1));
	CHECK(form(found, 1) != ' ' || was_discarded(m, 1));
	CHECK(form(found, 2) == 'v');
	if (run->when != SWEEP_CUT_DURING && run->outcome == FSHA_OK)
		CHECK(form(found, 1) != 'v');
	if (run->when == SWEEP_RETURNED)
		CHECK(strcmp(held(m), run->outcome == FSHA_OK ? "s2" : "1 s2") == 0);
	return succeeds(m, after, run, found, false, true);
}

static const char *check_recovery(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct master *m = ctx;
	char found[64];

	(void)snprintf(found, sizeof(found), "%s", on_disk(after));
	CHECK(strcmp(found, "1 2") == 0);
	CHECK(run->outcome != WRONG_CONTENT);
	CHECK(run->outcome != FSHA_E_CORRUPT);
	CHECK(m->n_discarded == 0);
	return NULL;
}

/* ---- the sweeps ---- */

typedef const char *check_function(void *ctx, struct crashfs *after, const struct sweep_run *run);

static void sweep(const char *name, void (*setup_scene)(void *ctx, struct crashfs *disk),
		  int (*operation)(void *ctx, const struct fsu *fs), check_function *check)
{
	struct master master;
	const struct sweep_scenario scenario = {
		.name = name,
		.options = { .seed = 1 },
		.ctx = &master,
		.setup = setup_scene,
		.operation = operation,
		.check = check,
		.teardown = leave,
	};

	sweep_assert(&scenario);
	oom_assert(&scenario);
}

static void an_add_loses_nothing_and_leaks_nothing_at_every_fault(void **state)
{
	(void)state;
	sweep("checkpoint add", lead_with_one, add_second, check_add);
}

static void the_end_of_a_job_leaks_nothing_at_every_fault(void **state)
{
	(void)state;
	sweep("checkpoint shutdown", lead_with_two, finish, check_end);
}

static void a_removal_by_hand_leaks_nothing_at_every_fault(void **state)
{
	(void)state;
	sweep("checkpoint remove", lead_with_two, remove_first, check_removal);
}

static void recovery_is_whole_or_fails_at_every_fault(void **state)
{
	(void)state;
	sweep("checkpoint open", lead_with_two, recover, check_recovery);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_add_loses_nothing_and_leaks_nothing_at_every_fault),
		cmocka_unit_test(the_end_of_a_job_leaks_nothing_at_every_fault),
		cmocka_unit_test(a_removal_by_hand_leaks_nothing_at_every_fault),
		cmocka_unit_test(recovery_is_whole_or_fails_at_every_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
