/*
 * The sweep of removal in two steps: wherever one call fails, memory runs out or the power is cut,
 * a value that exists has not been discarded, a value that is gone has been, and what is marked is
 * finished by the next leader.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/holder.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

#define ELECTION "dispatcher"
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return sweep_say("line %d: not so: %s (outcome %d)", __LINE__, #condition, \
					 run->outcome);                                            \
	} while (0)

struct scene {
	struct holder h;
	fsha_state_store *store;
	bool discarded; /* what "k" points to is outside: it does not come back with the power */
	bool wrong_value;
	bool marked; /* at the beginning */
};

static fsha_result discard(void *ctx, const char *name, const void *data, size_t size,
			   fsha_error *reterr)
{
	struct scene *s = ctx;

	(void)reterr;
	s->wrong_value |= strcmp(name, "k") != 0 || size != 4 || memcmp(data, "file", 4) != 0;
	s->discarded = true;
	return FSHA_OK;
}

static fsha_result refuse(void *ctx, const char *name, const void *data, size_t size,
			  fsha_error *reterr)
{
	(void)ctx;
	(void)name;
	(void)data;
	(void)size;
	(void)reterr;
	return FSHA_E_IO;
}

static void lead(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	s->discarded = s->wrong_value = false;
	holder_start(&s->h, disk, 0, ELECTION);
	assert_int_equal(fsha_state_store_open(s->h.services, "ns", ELECTION, &s->store, NULL),
			 FSHA_OK);
	assert_int_equal(fsha_state_store_add(s->store, "k", "file", 4, NULL, NULL), FSHA_OK);
	if (s->marked) {
		(void)fsha_state_store_set_discard(s->store, refuse, s, NULL);
		assert_int_equal(fsha_state_store_release_and_try_remove(s->store, "k", NULL, NULL),
				 FSHA_E_IO);
	}
	(void)fsha_state_store_set_discard(s->store, discard, s, NULL);
}

static void leave(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	(void)disk;
	fsha_state_store_close(s->store);
	holder_stop(&s->h);
}

static int release(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;

	(void)fs;
	return fsha_state_store_release_and_try_remove(s->store, "k", NULL, NULL);
}

static int add_again(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;

	(void)fs;
	return fsha_state_store_add(s->store, "k", "new", 3, NULL, NULL);
}

static int list(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;
	fsha_state_handle *handles;
	fsha_result result;
	size_t count;

	result = fsha_state_store_get_all_handles(s->store, &handles, &count, NULL);
	if (result == FSHA_OK)
		fsu_release(fs, handles);
	return result;
}

/* 'v' a value, 'n' the new value, 'm' marked, ' ' gone. */
static char form(fsha_state_store *store, const struct fsu *fs)
{
	fsha_state_handle *handles;
	size_t count, size;
	char c = ' ';
	void *data;

	if (fsha_state_store_get_all_handles(store, &handles, &count, NULL) != FSHA_OK)
		return '?';
	if (count == 1)
		c = handles[0].marked ? 'm' : 'v';
	fsu_release(fs, handles);
	if (c == 'v' && fsha_state_store_get(store, "k", &data, &size, NULL, NULL) == FSHA_OK) {
		c = size == 3 ? 'n' : 'v';
		fsu_release(fs, data);
	}
	return c;
}

/* As the next leader finds it, who then goes on. */
static const char *check_removal(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct scene *s = ctx, next = { .discarded = s->discarded };
	fsha_result result;
	char found, left;

	holder_start(&next.h, after, 1, ELECTION);
	assert_int_equal(fsha_state_store_open(next.h.services, "ns", ELECTION, &next.store, NULL),
			 FSHA_OK);
	(void)fsha_state_store_set_discard(next.store, discard, &next, NULL);
	found = form(next.store, next.h.fs);
	result = found == 'n' ? FSHA_OK : release(&next, NULL);
	left = form(next.store, next.h.fs);
	leave(&next, after);

	CHECK(!s->wrong_value);
	CHECK(!next.wrong_value);
	CHECK(found != '?');
	CHECK(found != 'v' || !s->discarded);
	CHECK((found != ' ' && found != 'n') || s->discarded);
	CHECK(!s->marked || found != 'v');
	CHECK(result == FSHA_OK);
	CHECK(next.discarded);
	CHECK(left == (found == 'n' ? 'n' : ' '));
	if (run->when != SWEEP_CUT_DURING && run->outcome == FSHA_OK)
		CHECK(found == ' ' || found == 'n');
	if (run->when == SWEEP_RETURNED && run->outcome != FSHA_OK && run->n_faults == 1)
		CHECK(run->outcome != FSHA_E_FENCED);
	return NULL;
}

static const char *check_nothing_changed(void *ctx, struct crashfs *after,
					 const struct sweep_run *run)
{
	struct scene *s = ctx;
	struct scene reader = { .discarded = false };
	char found;

	if (run->when == SWEEP_CUT_DURING)
		return NULL;
	holder_start_reader(&reader.h, after, 1);
	assert_int_equal(
		fsha_state_store_open(reader.h.services, "ns", ELECTION, &reader.store, NULL),
		FSHA_OK);
	found = form(reader.store, reader.h.fs);
	leave(&reader, after);
	CHECK(!s->discarded);
	CHECK(found == 'm');
	return NULL;
}

typedef int operation_function(void *ctx, const struct fsu *fs);
typedef const char *check_function(void *ctx, struct crashfs *after, const struct sweep_run *run);

static void sweep(const char *name, bool marked, operation_function *operation,
		  check_function *check)
{
	struct scene scene = { .marked = marked };
	struct sweep_scenario scenario = {
		.name = name,
		.options = { .seed = 1 },
		.ctx = &scene,
		.setup = lead,
		.operation = operation,
		.check = check,
		.teardown = leave,
	};

	sweep_assert(&scenario);
	oom_assert(&scenario);
}

static void a_removal_loses_sight_of_nothing_at_every_fault(void **state)
{
	(void)state;
	sweep("release_and_try_remove", false, release, check_removal);
}

static void a_removal_that_goes_on_loses_sight_of_nothing_at_every_fault(void **state)
{
	(void)state;
	sweep("release_and_try_remove, marked", true, release, check_removal);
}

static void an_add_over_a_mark_discards_before_it_adds_at_every_fault(void **state)
{
	(void)state;
	sweep("add, marked", true, add_again, check_removal);
}

static void listing_handles_changes_nothing_at_every_fault(void **state)
{
	(void)state;
	sweep("get_all_handles", true, list, check_nothing_changed);
}

static void a_removal_survives_pairs_of_faults(void **state)
{
	struct scene scene = { .marked = false };
	const struct sweep_scenario scenario = {
		.name = "release_and_try_remove, pairs",
		.options = { .seed = 1 },
		.ctx = &scene,
		.setup = lead,
		.operation = release,
		.check = check_removal,
		.teardown = leave,
	};

	(void)state;
	sweep_assert_pairs(&scenario, (unsigned)test_size(4, 8, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_removal_loses_sight_of_nothing_at_every_fault),
		cmocka_unit_test(a_removal_that_goes_on_loses_sight_of_nothing_at_every_fault),
		cmocka_unit_test(an_add_over_a_mark_discards_before_it_adds_at_every_fault),
		cmocka_unit_test(listing_handles_changes_nothing_at_every_fault),
		cmocka_unit_test(a_removal_survives_pairs_of_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
