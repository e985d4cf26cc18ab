/*
 * The check that surrounds every test can fail: each test here runs a group of one bad test in a
 * child process, and reads what is said of it.
 */
#include "tests/lib/leftovers.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int foreign_fd = -1;
static char said[8192];

/* The number of tests that failed, as the program would have told; what was said is in `said`. */
static int outcome(const struct CMUnitTest *test, CMFixtureFunction setup)
{
	const struct CMUnitTest inner[] = { *test };
	size_t used = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)dup2(fds[1], STDOUT_FILENO);
		(void)dup2(fds[1], STDERR_FILENO);
		(void)close(fds[0]);
		(void)close(fds[1]);
		status = cmocka_run_group_tests(inner, setup, NULL);
		(void)fflush(NULL);
		_exit(status);
	}
	(void)close(fds[1]);
	while (used < sizeof(said) - 1 &&
	       (n = read(fds[0], said + used, sizeof(said) - 1 - used)) > 0)
		used += (size_t)n;
	said[used] = '\0';
	(void)close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int failures(CMUnitTestFunction bad)
{
	return outcome(&(struct CMUnitTest){ "bad", bad, NULL, NULL, NULL }, NULL);
}

static void assert_said(const char *part)
{
	if (!strstr(said, part))
		fail_msg("'%s' is not in: %s", part, said);
}

static void open_null(void)
{
	assert_true(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
}

static void leave_descriptor(void **state)
{
	(void)state;
	open_null();
}

static void close_foreign_descriptor(void **state)
{
	(void)state;
	(void)close(foreign_fd);
}

static void exchange_foreign_descriptor(void **state)
{
	close_foreign_descriptor(state);
	assert_int_equal(open("/dev/zero", O_RDONLY | O_CLOEXEC), foreign_fd);
}

static void *sleep_run(void *arg)
{
	(void)pthread_setname_np(pthread_self(), "straggler");
	for (;;)
		(void)pause();
	return arg;
}

static void *end_run(void *arg)
{
	(void)usleep(50000);
	return arg;
}

static void start_detached(void *(*run)(void *))
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
	assert_int_equal(pthread_detach(thread), 0);
}

static void leave_thread(void **state)
{
	(void)state;
	leftovers_wait_at_most(100);
	start_detached(sleep_run);
}

static void leave_allowed_thread(void **state)
{
	leftovers_allow_threads("it is what this is about");
	leave_thread(state);
}

static void leave_thread_that_ends(void **state)
{
	(void)state;
	start_detached(end_run);
}

static void leave_child(void **state)
{
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(0);
}

static void fail_and_leave_descriptor(void **state)
{
	(void)state;
	open_null();
	fail_msg("on purpose");
}

static int set_up_fd(void **state)
{
	*state = &foreign_fd;
	foreign_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return 0;
}

static int tear_down_fd(void **state)
{
	assert_ptr_equal(*state, &foreign_fd);
	return close(foreign_fd);
}

static void use_state(void **state)
{
	assert_ptr_equal(*state, &foreign_fd);
}

static void a_test_that_leaves_a_descriptor_fails_and_names_it(void **state)
{
	(void)state;
	assert_int_equal(failures(leave_descriptor), 1);
	assert_said("bad left a descriptor: ");
	assert_said("'/dev/null'");
}

static void a_test_that_closes_what_was_open_before_fails_and_names_it(void **state)
{
	(void)state;
	(void)set_up_fd(state);
	assert_int_equal(failures(close_foreign_descriptor), 1);
	assert_said("bad closed a descriptor that was not its own: ");
	assert_said("'/dev/null'");
	assert_int_equal(failures(exchange_foreign_descriptor), 1);
	assert_said("'/dev/zero'");
	(void)close(foreign_fd);
}

static void a_test_that_leaves_a_thread_fails_and_names_it(void **state)
{
	(void)state;
	assert_int_equal(failures(leave_thread), 1);
	assert_said("bad left a thread: ");
	assert_said("'straggler'");
}

static void a_thread_on_its_way_out_is_waited_for(void **state)
{
	(void)state;
	assert_int_equal(failures(leave_thread_that_ends), 0);
}

static void a_thread_left_on_purpose_is_allowed(void **state)
{
	(void)state;
	assert_int_equal(failures(leave_allowed_thread), 0);
}

static void a_test_that_leaves_a_child_process_fails(void **state)
{
	(void)state;
	assert_int_equal(failures(leave_child), 1);
	assert_said("bad left a child process");
}

static void a_test_that_failed_itself_is_not_blamed_twice(void **state)
{
	(void)state;
	assert_int_equal(failures(fail_and_leave_descriptor), 1);
	assert_said("on purpose");
	assert_null(strstr(said, "left a descriptor"));
}

static void what_a_teardown_closes_is_not_left(void **state)
{
	struct CMUnitTest test = { "good", use_state, set_up_fd, tear_down_fd, NULL };

	(void)state;
	assert_int_equal(outcome(&test, NULL), 0);
	test.teardown_func = NULL;
	assert_int_equal(outcome(&test, NULL), 1);
}

static void a_test_gets_its_state_or_that_of_the_group(void **state)
{
	struct CMUnitTest test = { "good", use_state, NULL, NULL, &foreign_fd };

	(void)state;
	assert_int_equal(outcome(&test, NULL), 0);
	test.initial_state = NULL;
	assert_int_equal(outcome(&test, set_up_fd), 0);
	assert_int_equal(outcome(&test, NULL), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_test_that_leaves_a_descriptor_fails_and_names_it),
		cmocka_unit_test(a_test_that_closes_what_was_open_before_fails_and_names_it),
		cmocka_unit_test(a_test_that_leaves_a_thread_fails_and_names_it),
		cmocka_unit_test(a_thread_on_its_way_out_is_waited_for),
		cmocka_unit_test(a_thread_left_on_purpose_is_allowed),
		cmocka_unit_test(a_test_that_leaves_a_child_process_fails),
		cmocka_unit_test(a_test_that_failed_itself_is_not_blamed_twice),
		cmocka_unit_test(what_a_teardown_closes_is_not_left),
		cmocka_unit_test(a_test_gets_its_state_or_that_of_the_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
