/*
 * The real table: that it says what the kernel says, without errno, and waits as long as it was
 * told to.
 */
#include "test_fsu.h"

#include <sys/inotify.h>

static void descriptors_are_closed_on_exec(void **state)
{
	struct fixture *x = *state;
	int fds[3];

	fds[0] = fsu_openat(&fsu_posix, x->fd, "f", O_RDWR | O_CREAT, 0600);
	fds[1] = fsu_openat(&fsu_posix, x->fd, ".", O_RDONLY | O_DIRECTORY, 0);
	fds[2] = fsu_notify_open(&fsu_posix);
	for (size_t i = 0; i < 3; i++) {
		assert_true(fds[i] >= 0);
		assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
		assert_int_equal(fsu_close(&fsu_posix, fds[i]), 0);
	}
}

static void errors_are_negative_errnos(void **state)
{
	struct fixture *x = *state;
	struct statx st;

	assert_int_equal(fsu_openat(&fsu_posix, x->fd, "none", O_RDONLY, 0), -ENOENT);
	assert_int_equal(fsu_close(&fsu_posix, -1), -EBADF);
	assert_int_equal(fsu_fsync(&fsu_posix, -1), -EBADF);
	assert_int_equal(fsu_renameat(&fsu_posix, x->fd, "none", x->fd, "b"), -ENOENT);
	assert_int_equal(fsu_unlinkat(&fsu_posix, x->fd, "none", 0), -ENOENT);
	assert_int_equal(fsu_mkdirat(&fsu_posix, x->fd, ".", 0700), -EEXIST);
	assert_int_equal(fsu_statx(&fsu_posix, x->fd, "none", 0, STATX_TYPE, &st), -ENOENT);
	assert_int_equal(fsu_rewind(&fsu_posix, -1), -EBADF);
}

static void a_directory_can_be_listed_twice(void **state)
{
	struct fixture *x = *state;
	char buf[1024];
	ssize_t first, second;
	int fd = fsu_openat(&fsu_posix, x->fd, ".", O_RDONLY | O_DIRECTORY, 0);

	first = fsu_getdents(&fsu_posix, fd, buf, sizeof(buf));
	assert_true(first > 0);
	assert_int_equal(fsu_getdents(&fsu_posix, fd, buf, sizeof(buf)), 0);
	assert_int_equal(fsu_rewind(&fsu_posix, fd), 0);
	second = fsu_getdents(&fsu_posix, fd, buf, sizeof(buf));
	assert_int_equal(first, second);
	assert_int_equal(fsu_close(&fsu_posix, fd), 0);
}

/* Before a name is made the directory around it is asked for: the slash at the end is not in it. */
static void a_name_may_end_with_a_slash(void **state)
{
	struct fixture *x = *state;
	struct statx st;

	assert_int_equal(fsu_mkdirat(&fsu_posix, x->fd, "d//", 0700), 0);
	assert_int_equal(fsu_mkdirat(&fsu_posix, x->fd, "d/e/", 0700), 0);
	assert_int_equal(fsu_statx(&fsu_posix, x->fd, "d/e//", 0, STATX_TYPE, &st), 0);
	assert_int_equal(fsu_openat(&fsu_posix, x->fd, "d//f/", O_RDWR | O_CREAT, 0600), -EISDIR);
	assert_int_equal(fsu_openat(&fsu_posix, x->fd, "n/f/", O_RDWR | O_CREAT, 0600), -ENOENT);
}

/* "link" leads to "there", which has "a" in it. The user's own paths are the user's business. */
static void below_a_directory_no_part_of_a_path_may_be_a_link(void **state)
{
	struct fixture *x = *state;
	const struct fsu *fs = &fsu_posix;
	struct statx st;

	assert_int_equal(mkdirat(x->fd, "there", 0700), 0);
	assert_int_equal(mkdirat(x->fd, "there/a", 0700), 0);
	assert_int_equal(mkdirat(x->fd, "here", 0700), 0);
	assert_int_equal(symlinkat("there", x->fd, "link"), 0);
	assert_int_equal(fsu_openat(fs, x->fd, "link", O_RDONLY | O_DIRECTORY, 0), -ENOTDIR);
	assert_int_equal(fsu_openat(fs, x->fd, "link/a", O_RDONLY | O_DIRECTORY, 0), -ENOTDIR);
	assert_int_equal(fsu_openat(fs, x->fd, "link/b", O_WRONLY | O_CREAT, 0600), -ELOOP);
	assert_int_equal(fsu_mkdirat(fs, x->fd, "link/b", 0700), -ENOTDIR);
	assert_int_equal(fsu_renameat(fs, x->fd, "here", x->fd, "link/b"), -ENOTDIR);
	assert_int_equal(fsu_renameat(fs, x->fd, "link/a", x->fd, "b"), -ENOTDIR);
	assert_int_equal(fsu_unlinkat(fs, x->fd, "link/a", AT_REMOVEDIR), -ENOTDIR);
	assert_int_equal(fsu_statx(fs, x->fd, "link/a", 0, STATX_TYPE, &st), -ENOTDIR);
	assert_int_equal(faccessat(x->fd, "there/a", F_OK, 0), 0);
	assert_int_equal(faccessat(x->fd, "there/b", F_OK, 0), -1);
	assert_int_equal(fsu_statx(fs, x->fd, "there/a", 0, STATX_TYPE, &st), 0);
	/* The link itself may be taken away. */
	assert_int_equal(fsu_unlinkat(fs, x->fd, "link", 0), 0);
}

/* Where the group may write, somebody of it may put a link to a file of somewhere else. */
static void in_a_directory_of_the_group_only_what_is_made_there_is_given_to_it(void **state)
{
	struct fixture *x = *state;
	struct statx st;
	int fd;

	assert_int_equal(fsu_mkdirat(&fsu_posix, x->fd, "shared", 0700), 0);
	assert_int_equal(fchmodat(x->fd, "shared", 02770, 0), 0);
	fd = fsu_openat(&fsu_posix, x->fd, "outside", O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_int_equal(fsu_close(&fsu_posix, fd), 0);
	assert_int_equal(linkat(x->fd, "outside", x->fd, "shared/lock", 0), 0);
	fd = fsu_openat(&fsu_posix, x->fd, "shared/lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	assert_int_equal(fsu_close(&fsu_posix, fd), 0);
	assert_int_equal(fsu_statx(&fsu_posix, x->fd, "outside", 0, STATX_MODE, &st), 0);
	assert_int_equal(st.stx_mode & 07777, 0600);

	fd = fsu_openat(&fsu_posix, x->fd, "shared/own", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	assert_int_equal(fsu_close(&fsu_posix, fd), 0);
	assert_int_equal(fsu_statx(&fsu_posix, x->fd, "shared/own", 0, STATX_MODE, &st), 0);
	assert_int_equal(st.stx_mode & 07777, 0660);
	assert_int_equal(
		fsu_openat(&fsu_posix, x->fd, "shared/own", O_RDWR | O_CREAT | O_EXCL, 0600),
		-EEXIST);
}

static void a_wait_ends_at_its_deadline(void **state)
{
	int64_t start_ns = fsu_now_ns(&fsu_posix);

	(void)state;
	assert_int_equal(fsu_wait(&fsu_posix, NULL, 0, start_ns + 2 * FSU_NS_PER_MS), 0);
	assert_true(fsu_now_ns(&fsu_posix) - start_ns >= 2 * FSU_NS_PER_MS);
}

static void a_deadline_in_the_past_is_only_a_look(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(fsu_wait(&fsu_posix, fds, 1, 0), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(fsu_wait(&fsu_posix, fds, 1, 0), 1);
	close(fds[0]);
	close(fds[1]);
}

static void a_wait_tells_which_descriptors_are_readable(void **state)
{
	int a[2], b[2];
	int watched[3];

	(void)state;
	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b, O_CLOEXEC), 0);
	watched[0] = a[0];
	watched[1] = -1;
	watched[2] = b[0];
	assert_int_equal(write(b[1], "x", 1), 1);
	assert_int_equal(fsu_wait(&fsu_posix, watched, 3, FSU_FOREVER), 1 << 2);
	assert_int_equal(write(a[1], "x", 1), 1);
	assert_int_equal(fsu_wait(&fsu_posix, watched, 3, FSU_FOREVER), 1 | 1 << 2);
	close(a[0]);
	close(a[1]);
	close(b[0]);
	close(b[1]);
}

static void a_change_of_a_directory_makes_its_notification_readable(void **state)
{
	struct fixture *x = *state;
	int fd = fsu_notify_open(&fsu_posix);

	assert_int_equal(mkdirat(x->fd, "sub", 0700), 0);
	assert_true(fsu_notify_add(&fsu_posix, fd, x->fd, "sub", IN_CREATE) >= 0);
	assert_int_equal(fsu_notify_drain(&fsu_posix, fd), 0);
	put(x, "sub/f", "", 0);
	assert_int_equal(fsu_wait(&fsu_posix, &fd, 1, FSU_FOREVER), 1);
	assert_true(fsu_notify_drain(&fsu_posix, fd) > 0);
	assert_int_equal(fsu_notify_drain(&fsu_posix, fd), 0);
	assert_int_equal(fsu_close(&fsu_posix, fd), 0);
}

static void a_name_that_is_not_there_cannot_be_watched(void **state)
{
	struct fixture *x = *state;
	char name[5000];
	int fd = fsu_notify_open(&fsu_posix);

	assert_int_equal(fsu_notify_add(&fsu_posix, fd, x->fd, "none", IN_CREATE), -ENOENT);
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(fsu_notify_add(&fsu_posix, fd, x->fd, name, IN_CREATE), -ENAMETOOLONG);
	assert_int_equal(fsu_close(&fsu_posix, fd), 0);
}

static void memory_is_zeroed_and_none_is_never_null(void **state)
{
	unsigned char *p = fsu_alloc(&fsu_posix, 100);
	void *none = fsu_alloc(&fsu_posix, 0);

	(void)state;
	assert_non_null(p);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(p[i], 0);
	assert_non_null(none);
	p[99] = 9;
	p = fsu_resize(&fsu_posix, p, 200);
	assert_int_equal(p[99], 9);
	fsu_release(&fsu_posix, p);
	fsu_release(&fsu_posix, none);
}

static void mountinfo_is_cut_off_at_the_size_of_the_buffer(void **state)
{
	char buf[65536];

	(void)state;
	assert_true(fsu_mountinfo(&fsu_posix, buf, sizeof(buf)) > 20);
	assert_int_equal(fsu_mountinfo(&fsu_posix, buf, 10), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_in_directory(descriptors_are_closed_on_exec),
		test_in_directory(errors_are_negative_errnos),
		test_in_directory(a_directory_can_be_listed_twice),
		test_in_directory(a_name_may_end_with_a_slash),
		test_in_directory(below_a_directory_no_part_of_a_path_may_be_a_link),
		test_in_directory(
			in_a_directory_of_the_group_only_what_is_made_there_is_given_to_it),
		cmocka_unit_test(a_wait_ends_at_its_deadline),
		cmocka_unit_test(a_deadline_in_the_past_is_only_a_look),
		cmocka_unit_test(a_wait_tells_which_descriptors_are_readable),
		test_in_directory(a_change_of_a_directory_makes_its_notification_readable),
		test_in_directory(a_name_that_is_not_there_cannot_be_watched),
		cmocka_unit_test(memory_is_zeroed_and_none_is_never_null),
		cmocka_unit_test(mountinfo_is_cut_off_at_the_size_of_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
