/*
 * The lease. Its rules were checked by a model of two leaders with bounded clock drift; without any
 * one of them there are two leaders at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fsha/term.h"
#include "fsutil/fsu_page.h"
#include "src/member/lease.h"

#define LENGTH_NS (10 * FSU_NS_PER_S)
#define HOUR_NS (3600 * FSU_NS_PER_S)

/* A clock that stands still, and what another thread does just after it was read. */
static struct {
	int64_t now_ns;
	void (*after_reading)(void);
} clock_of_test;

static int64_t test_now_ns(void *ctx)
{
	int64_t now_ns = clock_of_test.now_ns;
	void (*after)(void) = clock_of_test.after_reading;

	(void)ctx;
	clock_of_test.after_reading = NULL;
	if (after)
		after();
	return now_ns;
}

static const struct fsu_ops clock_ops = { .now_ns = test_now_ns };
static const struct fsu clock_fs = { .ops = &clock_ops };
static const struct fsu_uuid some_member = { { 1, 2, 3 } };

static struct lease lease;

static int setup(void **state)
{
	(void)state;
	clock_of_test.now_ns = 1000 * FSU_NS_PER_S;
	clock_of_test.after_reading = NULL;
	return lease_init(&lease, &clock_fs, &some_member, false);
}

static int teardown(void **state)
{
	(void)state;
	lease_done(&lease);
	return 0;
}

static int64_t now(void)
{
	return clock_of_test.now_ns;
}

static void pass(int64_t ns)
{
	clock_of_test.now_ns += ns;
}

static void lease_begins_expired(void **state)
{
	(void)state;
	assert_false(lease_is_alive(&lease));
	assert_true(lease_deadline_ns(&lease) < now());
}

static void lease_lives_until_its_deadline_and_not_at_it(void **state)
{
	(void)state;
	lease_begin(&lease, now(), LENGTH_NS);
	assert_int_equal(lease_deadline_ns(&lease), now() + LENGTH_NS);
	assert_true(lease_is_alive(&lease));
	pass(LENGTH_NS - 1);
	assert_true(lease_is_alive(&lease));
	pass(1);
	assert_false(lease_is_alive(&lease));
}

static void beginning_counts_from_the_start_that_it_is_given(void **state)
{
	(void)state;
	lease_begin(&lease, now() - LENGTH_NS + 1, LENGTH_NS);
	assert_true(lease_is_alive(&lease));
	pass(1);
	assert_false(lease_is_alive(&lease));
}

static void renewal_counts_from_the_start_of_the_beat(void **state)
{
	int64_t start_ns;

	(void)state;
	lease_begin(&lease, now(), LENGTH_NS);
	pass(LENGTH_NS / 5);
	start_ns = now();
	pass(LENGTH_NS / 2); /* a slow beat */
	assert_true(lease_renew(&lease, start_ns, LENGTH_NS));
	assert_int_equal(lease_deadline_ns(&lease), start_ns + LENGTH_NS);
}

static void beat_that_returns_after_the_deadline_extends_nothing(void **state)
{
	int64_t start_ns;

	(void)state;
	lease_begin(&lease, now(), LENGTH_NS);
	pass(LENGTH_NS - 1);
	start_ns = now();
	pass(1); /* begun in time, back at the very deadline */
	assert_false(lease_renew(&lease, start_ns, LENGTH_NS));
	assert_false(lease_is_alive(&lease));
}

static void beat_begun_after_the_deadline_extends_nothing(void **state)
{
	(void)state;
	/* Nobody looked while it ran out. */
	lease_begin(&lease, now(), LENGTH_NS);
	pass(LENGTH_NS);
	assert_false(lease_renew(&lease, now(), LENGTH_NS));
	assert_false(lease_is_alive(&lease));
}

static void expired_stays_expired(void **state)
{
	(void)state;
	lease_begin(&lease, now(), LENGTH_NS);
	pass(LENGTH_NS + 1);
	assert_false(lease_is_alive(&lease));
	for (int i = 0; i < 10; i++) {
		pass(LENGTH_NS / 5);
		assert_false(lease_renew(&lease, now(), LENGTH_NS));
		assert_false(lease_is_alive(&lease));
		assert_true(lease_deadline_ns(&lease) < now());
	}
	/* Not even with a clock that went back. */
	pass(-3 * LENGTH_NS);
	assert_false(lease_is_alive(&lease));
}

static void ask_when_it_is_over(void)
{
	pass(LENGTH_NS);
	assert_false(lease_is_alive(&lease));
}

/*
 * The watchdog saw it run out while the heartbeat was about to renew it: what was told stays true.
 */
static void expired_stays_expired_for_a_renewal_that_is_under_way(void **state)
{
	int64_t start_ns;

	(void)state;
	lease_begin(&lease, now(), LENGTH_NS);
	pass(LENGTH_NS - 1);
	start_ns = now();
	clock_of_test.after_reading = ask_when_it_is_over;
	(void)lease_renew(&lease, start_ns, LENGTH_NS);
	assert_null(clock_of_test.after_reading);
	assert_false(lease_is_alive(&lease));
	assert_int_equal(lease_deadline_ns(&lease), INT64_MIN);
}

static void renewal_never_brings_the_deadline_forward(void **state)
{
	int64_t first_ns = now();

	(void)state;
	lease_begin(&lease, first_ns, LENGTH_NS);
	pass(LENGTH_NS / 2);
	assert_true(lease_renew(&lease, first_ns - 1, LENGTH_NS));
	assert_int_equal(lease_deadline_ns(&lease), first_ns + LENGTH_NS);
}

static void lease_that_is_ended_ends_at_once(void **state)
{
	(void)state;
	lease_begin(&lease, now(), LENGTH_NS);
	lease_expire(&lease);
	assert_false(lease_is_alive(&lease));
	assert_false(lease_renew(&lease, now(), LENGTH_NS));
	assert_false(lease_is_alive(&lease));
}

/* ---- The page shared with other processes ---- */

static void path_of(int fd, char *path, size_t size)
{
	(void)snprintf(path, size, "/proc/%d/fd/%d", (int)getpid(), fd);
}

struct child {
	pid_t pid;
	int ask, answer; /* our ends of two pipes */
};

/* In the child: for each byte that comes, tell whether the lease of the parent lives. */
static void answer_questions(const char *path, const struct fsu *fs, int ask, int answer)
{
	struct lease theirs;
	char byte;

	if (lease_attach(&theirs, fs, path) < 0)
		_exit(2);
	while (read(ask, &byte, 1) == 1) {
		byte = lease_is_alive(&theirs) ? 'y' : 'n';
		if (write(answer, &byte, 1) != 1)
			_exit(3);
	}
	lease_done(&theirs);
	_exit(0);
}

static void child_start(struct child *child, const struct fsu *fs)
{
	int ask[2], answer[2];
	char path[64];

	path_of(lease.fd, path, sizeof(path));
	assert_int_equal(pipe2(ask, O_CLOEXEC), 0);
	assert_int_equal(pipe2(answer, O_CLOEXEC), 0);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (child->pid == 0) {
		(void)close(ask[1]);
		(void)close(answer[0]);
		answer_questions(path, fs, ask[0], answer[1]);
	}
	(void)close(ask[0]);
	(void)close(answer[1]);
	child->ask = ask[1];
	child->answer = answer[0];
}

static bool child_sees_life(const struct child *child)
{
	char byte = '?';

	assert_int_equal(write(child->ask, &byte, 1), 1);
	assert_int_equal(read(child->answer, &byte, 1), 1);
	assert_true(byte == 'y' || byte == 'n');
	return byte == 'y';
}

static void child_end(struct child *child)
{
	int status;

	(void)close(child->ask);
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	assert_int_equal(status, 0);
	(void)close(child->answer);
}

/* By the real clock, and lengths of an hour: nothing runs out while the test does. */
static int setup_shared(void **state)
{
	(void)state;
	return lease_init(&lease, &fsu_posix, &some_member, true);
}

static void other_process_sees_the_lease_begin_and_end(void **state)
{
	struct child child;

	(void)state;
	child_start(&child, &fsu_posix);
	assert_false(child_sees_life(&child));
	lease_begin(&lease, fsu_now_ns(&fsu_posix), HOUR_NS);
	assert_true(child_sees_life(&child));
	lease_expire(&lease);
	assert_false(child_sees_life(&child));
	child_end(&child);
}

static void other_process_sees_the_lease_run_out_and_be_renewed(void **state)
{
	struct child child;
	int64_t start_ns = fsu_now_ns(&fsu_posix);

	(void)state;
	child_start(&child, &fsu_posix);
	lease_begin(&lease, start_ns, HOUR_NS);
	assert_true(lease_renew(&lease, start_ns, 2 * HOUR_NS));
	assert_true(child_sees_life(&child));
	/* As after an hour: the deadline has passed, and nobody here has looked yet. */
	lease_begin(&lease, start_ns - 3 * HOUR_NS, HOUR_NS);
	assert_false(child_sees_life(&child));
	child_end(&child);
}

static void reader_changes_nothing_in_the_page(void **state)
{
	struct lease theirs;
	char path[64];

	(void)state;
	path_of(lease.fd, path, sizeof(path));
	lease_begin(&lease, fsu_now_ns(&fsu_posix) - HOUR_NS, HOUR_NS);
	assert_int_equal(lease_attach(&theirs, &fsu_posix, path), 0);
	assert_false(lease_is_alive(&theirs));
	assert_int_equal(atomic_load(&lease.page->expired), 0);
	assert_true(fsu_uuid_equal(&theirs.page->member, &some_member));
	lease_done(&theirs);
}

/* The mapping outlives the process that made it: a guard still sees the deadline. */
static void page_stays_readable_when_its_owner_is_gone(void **state)
{
	struct lease theirs;
	char path[64];

	(void)state;
	lease_begin(&lease, fsu_now_ns(&fsu_posix), HOUR_NS);
	path_of(lease.fd, path, sizeof(path));
	assert_int_equal(lease_attach(&theirs, &fsu_posix, path), 0);
	lease_done(&lease);
	assert_true(lease_is_alive(&theirs));
	lease_done(&theirs);
}

static void expect_no_page(const char *path)
{
	struct lease theirs;

	assert_int_equal(lease_attach(&theirs, &fsu_posix, path), -ESTALE);
}

static void what_is_no_lease_page_is_not_attached_to(void **state)
{
	char path[64], name[] = "/tmp/fsha-test-lease-XXXXXX";
	struct lease_page page = { .magic = LEASE_MAGIC };
	int fd, memory_fd;
	void *memory;

	(void)state;
	expect_no_page("/proc/self/fd/9999");
	expect_no_page("/dev/null");
	/* A file with the right bytes: it could be cut off under the reader. */
	fd = mkstemp(name);
	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(write(fd, &page, sizeof(page)), sizeof(page));
	path_of(fd, path, sizeof(path));
	expect_no_page(path);
	(void)close(fd);
	/* Shared memory of another use, and one that is too small. */
	assert_int_equal(fsu_page_create(sizeof(struct lease_page), &memory_fd, &memory), 0);
	path_of(memory_fd, path, sizeof(path));
	expect_no_page(path);
	fsu_page_unmap(memory, sizeof(struct lease_page));
	fsu_fd_close(memory_fd);
	assert_int_equal(fsu_page_create(sizeof(struct lease_page) / 2, &memory_fd, &memory), 0);
	path_of(memory_fd, path, sizeof(path));
	expect_no_page(path);
	fsu_page_unmap(memory, sizeof(struct lease_page) / 2);
	fsu_fd_close(memory_fd);
}

static void guard_sees_how_much_of_the_lease_remains(void **state)
{
	const fsha_lease *page = fsha_lease_map(lease.fd);

	(void)state;
	assert_non_null(page);
	assert_true(fsha_lease_remaining_ns(page) <= 0);
	lease_begin(&lease, fsu_now_ns(&fsu_posix), HOUR_NS);
	assert_in_range(fsha_lease_remaining_ns(page), HOUR_NS / 2, HOUR_NS);
	lease_expire(&lease);
	assert_true(fsha_lease_remaining_ns(page) <= 0);
	fsha_lease_unmap(page);
}

static void guard_is_given_no_page_that_is_no_lease(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_null(fsha_lease_map(fd));
	assert_null(fsha_lease_map(-1));
	(void)close(fd);
	fsha_lease_unmap(NULL);
}

#define lease_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define shared_test(f) cmocka_unit_test_setup_teardown(f, setup_shared, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		lease_test(lease_begins_expired),
		lease_test(lease_lives_until_its_deadline_and_not_at_it),
		lease_test(beginning_counts_from_the_start_that_it_is_given),
		lease_test(renewal_counts_from_the_start_of_the_beat),
		lease_test(beat_that_returns_after_the_deadline_extends_nothing),
		lease_test(beat_begun_after_the_deadline_extends_nothing),
		lease_test(expired_stays_expired),
		lease_test(expired_stays_expired_for_a_renewal_that_is_under_way),
		lease_test(renewal_never_brings_the_deadline_forward),
		lease_test(lease_that_is_ended_ends_at_once),
		shared_test(other_process_sees_the_lease_begin_and_end),
		shared_test(other_process_sees_the_lease_run_out_and_be_renewed),
		shared_test(reader_changes_nothing_in_the_page),
		shared_test(page_stays_readable_when_its_owner_is_gone),
		shared_test(what_is_no_lease_page_is_not_attached_to),
		shared_test(guard_sees_how_much_of_the_lease_remains),
		shared_test(guard_is_given_no_page_that_is_no_lease),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
