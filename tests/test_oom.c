/*
 * The out-of-memory sweep finds what it is for; and a store that leads stays as it was when memory
 * runs out in any of its calls.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/disk.h"
#include "tests/lib/holder.h"
#include "tests/lib/oom.h"

/* ---- what it is for ---- */

enum mistake {
	NONE,
	KEPT,      /* the first block, when there is no second */
	UNCHECKED, /* done without a word */
	HALF_DONE, /* the file is there all the same */
	WRONG_WORD
};

struct work {
	enum mistake mistake;
};

/* Not lost for the leak sanitizer. */
static void *kept[8];
static unsigned n_kept;

/* Needs two blocks before it makes a file, and one after it that it can do without. */
static int operation(void *ctx, const struct fsu *fs)
{
	const struct work *w = ctx;
	void *first = fsu_alloc(fs, 10), *second = first ? fsu_alloc(fs, 20) : NULL;

	if (first && !second && w->mistake == KEPT) {
		kept[n_kept++ % 8] = first;
		return FSHA_E_NOMEM;
	}
	if (second || w->mistake == HALF_DONE)
		disk_mkdir(fs, "made");
	fsu_release(fs, first);
	fsu_release(fs, second);
	if (!second)
		return w->mistake == UNCHECKED  ? FSHA_OK :
		       w->mistake == WRONG_WORD ? FSHA_E_CORRUPT :
						  FSHA_E_NOMEM;
	fsu_release(fs, fsu_alloc(fs, 30));
	return FSHA_OK;
}

static const char *check(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	if (run->when != SWEEP_RETURNED)
		return NULL;
	if (crashfs_exists(after, "made") != (run->outcome == FSHA_OK))
		return run->outcome == FSHA_OK ? "done, and not there" : "not done, and there";
	return NULL;
}

static struct sweep_scenario scenario_with(struct work *w)
{
	return (struct sweep_scenario){
		.name = "work",
		.options = { .seed = 1 },
		.ctx = w,
		.operation = operation,
		.check = check,
	};
}

static void expect_caught(enum mistake mistake, const char *text)
{
	struct work w = { .mistake = mistake };
	struct sweep_scenario scenario = scenario_with(&w);
	struct sweep_report report;

	assert_false(oom_run(&scenario, NULL, &report));
	if (!strstr(report.text, text))
		fail_msg("'%s' is not in:\n%s", text, report.text);
}

static void every_allocation_fails_alone_and_with_all_after_it(void **state)
{
	struct work w = { .mistake = NONE };
	struct sweep_scenario scenario = scenario_with(&w);
	struct sweep_report report;

	(void)state;
	assert_true(oom_run(&scenario, NULL, &report));
	assert_int_equal(report.calls, 3);
	assert_int_equal(report.runs, 1 + 2 * 3);
}

static void memory_kept_after_a_failure_is_caught(void **state)
{
	(void)state;
	expect_caught(KEPT, "1 (alloc) ENOMEM not done: 10 bytes are not released");
}

static void unchecked_allocation_is_caught(void **state)
{
	(void)state;
	expect_caught(UNCHECKED, "done, and not there");
}

static void change_in_spite_of_failure_is_caught(void **state)
{
	(void)state;
	expect_caught(HALF_DONE, "from then on: not done, and there");
}

static void other_outcome_is_caught(void **state)
{
	(void)state;
	expect_caught(WRONG_WORD, "out of memory, and the outcome is CORRUPT");
}

static bool corrupt_is_fine(int outcome)
{
	return outcome == FSHA_E_CORRUPT;
}

static void other_outcome_passes_when_it_is_expected(void **state)
{
	struct work w = { .mistake = WRONG_WORD };
	struct sweep_scenario scenario = scenario_with(&w);

	(void)state;
	oom_assert_but(&scenario, corrupt_is_fine);
}

/* ---- the general store ---- */

struct scene {
	struct holder h;
	fsha_state_store *store;
	fsha_version version; /* of "k" */
};

static void lead(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	holder_start(&s->h, disk, 0, "dispatcher");
	assert_int_equal(fsha_state_store_open(s->h.services, "ns", "dispatcher", &s->store, NULL),
			 FSHA_OK);
	assert_int_equal(fsha_state_store_add(s->store, "k", "old", 3, &s->version, NULL), FSHA_OK);
}

static void leave(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	(void)disk;
	fsha_state_store_close(s->store);
	holder_stop(&s->h);
}

static int add(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return fsha_state_store_add(((struct scene *)ctx)->store, "n", "new", 3, NULL, NULL);
}

static int replace(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;

	(void)fs;
	return fsha_state_store_replace(s->store, "k", &s->version, "new", 3, NULL, NULL);
}

static int removal(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return fsha_state_store_remove(((struct scene *)ctx)->store, "k", NULL, NULL);
}

/* As a fresh reader sees it, which finds what its own memory does not hide. */
static const char *value_of(struct crashfs *after, const char *name, char *text)
{
	fsha_state_store *store;
	struct holder reader;
	fsha_result result;
	void *data = NULL;
	size_t size = 0;

	holder_start_reader(&reader, after, 1);
	result = fsha_state_store_open(reader.services, "ns", "dispatcher", &store, &reader.error);
	if (result == FSHA_OK) {
		result = fsha_state_store_get(store, name, &data, &size, NULL, &reader.error);
		fsha_state_store_close(store);
	}
	(void)snprintf(text, 16, "%.*s", (int)size, size ? (const char *)data : "");
	fsu_release(reader.fs, data);
	holder_stop(&reader);
	return result == FSHA_OK || result == FSHA_E_NOT_FOUND ?
		       NULL :
		       sweep_say("cannot read '%s': %s", name, fsha_result_name(result));
}

static const char *expect(struct crashfs *after, const struct sweep_run *run, const char *name,
			  const char *old, const char *new)
{
	const char *wrong, *expected = run->outcome == FSHA_OK ? new : old;
	char text[16];

	if (run->when != SWEEP_RETURNED)
		return NULL;
	wrong = value_of(after, name, text);
	if (!wrong && strcmp(text, expected) != 0)
		return sweep_say("'%s' is '%s', not '%s'", name, text, expected);
	return wrong;
}

static const char *check_add(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	return expect(after, run, "n", "", "new");
}

static const char *check_replace(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	return expect(after, run, "k", "old", "new");
}

static const char *check_removal(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	return expect(after, run, "k", "old", "");
}

static void sweep(const char *name, int (*op)(void *ctx, const struct fsu *fs),
		  const char *(*look)(void *ctx, struct crashfs *after,
				      const struct sweep_run *run))
{
	struct scene scene;
	const struct sweep_scenario scenario = {
		.name = name,
		.options = { .seed = 1 },
		.ctx = &scene,
		.setup = lead,
		.operation = op,
		.check = look,
		.teardown = leave,
	};

	oom_assert(&scenario);
}

static void add_without_memory_changes_nothing(void **state)
{
	(void)state;
	sweep("add", add, check_add);
}

static void replace_without_memory_changes_nothing(void **state)
{
	(void)state;
	sweep("replace", replace, check_replace);
}

static void remove_without_memory_changes_nothing(void **state)
{
	(void)state;
	sweep("remove", removal, check_removal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_fails_alone_and_with_all_after_it),
		cmocka_unit_test(memory_kept_after_a_failure_is_caught),
		cmocka_unit_test(unchecked_allocation_is_caught),
		cmocka_unit_test(change_in_spite_of_failure_is_caught),
		cmocka_unit_test(other_outcome_is_caught),
		cmocka_unit_test(other_outcome_passes_when_it_is_expected),
		cmocka_unit_test(add_without_memory_changes_nothing),
		cmocka_unit_test(replace_without_memory_changes_nothing),
		cmocka_unit_test(remove_without_memory_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
