/*
 * What surrounds each group of cmocka's tests. The linker puts it in the place of cmocka's own
 * function (--wrap, in the Makefile), so no test program has to do anything for it:
 *
 *   each test must leave nothing behind (tests/lib/leftovers.h);
 *   FSHA_TEST_ONLY=<pattern> in the environment runs only the tests whose names match (* and ?).
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/leftovers.h"

#define TESTS_MAX 256

/* The name that the linker gives to cmocka's. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
int __real__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
				   CMFixtureFunction setup, CMFixtureFunction teardown);
int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
				   CMFixtureFunction setup, CMFixtureFunction teardown);
/* NOLINTEND(bugprone-reserved-identifier) */

static CMFixtureFunction group_setup, group_teardown;
static void *group_state;
/* The test that runs: as it was written, and whether it came to its end. */
static const struct CMUnitTest *current;
static bool ended;

/* cmocka does not get to see the group's state, which it would give in the place of a test's. */
static int set_up_group(void **state)
{
	(void)state;
	return group_setup ? group_setup(&group_state) : 0;
}

static int tear_down_group(void **state)
{
	(void)state;
	return group_teardown ? group_teardown(&group_state) : 0;
}

/* The initial state of a test is the test itself, as it was written. */
static int set_up(void **state)
{
	current = *state;
	ended = false;
	*state = current->initial_state ? current->initial_state : group_state;
	leftovers_note();
	return current->setup_func ? current->setup_func(state) : 0;
}

static void run(void **state)
{
	current->test_func(state);
	ended = true;
}

/* A test that failed was left in the middle, and has said what is wrong. */
static int tear_down(void **state)
{
	int r = current->teardown_func ? current->teardown_func(state) : 0;

	if (!ended)
		return r;
	return leftovers_none(current->name) ? r : -1;
}

static void *nothing(void *arg)
{
	return arg;
}

/* With the first thread of all a sanitizer may start one of its own, which is nobody's leftover. */
static void start_a_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
		abort();
}

int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
				   CMFixtureFunction setup, CMFixtureFunction teardown)
{
	static struct CMUnitTest wrapped[TESTS_MAX];
	const char *only = getenv("FSHA_TEST_ONLY");

	if (count > TESTS_MAX)
		abort();
	for (size_t i = 0; i < count; i++)
		wrapped[i] = (struct CMUnitTest){
			.name = tests[i].name,
			.test_func = run,
			.setup_func = set_up,
			.teardown_func = tear_down,
			.initial_state = (void *)(uintptr_t)&tests[i],
		};
	if (only)
		cmocka_set_test_filter(only);
	group_setup = setup;
	group_teardown = teardown;
	start_a_thread();
	return __real__cmocka_run_group_tests(name, wrapped, count, set_up_group, tear_down_group);
}
