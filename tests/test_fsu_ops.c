/* The EINTR rule, and the small things on top of the table. */
#include "test_fsu.h"

/* A table of which every call says EINTR a number of times, and counts. */
struct interrupted {
	int calls;
	int eintr; /* how many of them */
	int64_t now_ns, waited_until_ns;
};

static int answer(void *ctx)
{
	struct interrupted *t = ctx;

	return t->calls++ < t->eintr ? -EINTR : 7;
}

static int int_openat(void *ctx, int dirfd, const char *path, int flags, mode_t mode)
{
	(void)dirfd, (void)path, (void)flags, (void)mode;
	return answer(ctx);
}

static int int_fd(void *ctx, int fd)
{
	(void)fd;
	return answer(ctx);
}

static ssize_t int_pread(void *ctx, int fd, void *buf, size_t len, off_t offset)
{
	(void)fd, (void)buf, (void)len, (void)offset;
	return answer(ctx);
}

static ssize_t int_write(void *ctx, int fd, const void *buf, size_t len)
{
	(void)fd, (void)buf, (void)len;
	return answer(ctx);
}

static ssize_t int_getdents(void *ctx, int fd, void *buf, size_t len)
{
	(void)fd, (void)buf, (void)len;
	return answer(ctx);
}

static int int_renameat(void *ctx, int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	(void)from_dirfd, (void)from, (void)to_dirfd, (void)to;
	return answer(ctx);
}

static int int_unlinkat(void *ctx, int dirfd, const char *path, int flags)
{
	(void)dirfd, (void)path, (void)flags;
	return answer(ctx);
}

static int int_mkdirat(void *ctx, int dirfd, const char *path, mode_t mode)
{
	(void)dirfd, (void)path, (void)mode;
	return answer(ctx);
}

static int int_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
		     struct statx *ret_stat)
{
	(void)dirfd, (void)path, (void)flags, (void)mask, (void)ret_stat;
	return answer(ctx);
}

static int int_lock(void *ctx, int fd, int command, struct flock *lock)
{
	(void)fd, (void)command, (void)lock;
	return answer(ctx);
}

static int64_t int_now_ns(void *ctx)
{
	struct interrupted *t = ctx;

	return t->now_ns;
}

static int int_wait(void *ctx, const int *fds, size_t n_fds, int64_t deadline_ns)
{
	struct interrupted *t = ctx;

	(void)fds, (void)n_fds;
	t->waited_until_ns = deadline_ns;
	return answer(ctx);
}

static const struct fsu_ops int_ops = {
	.openat = int_openat,
	.close = int_fd,
	.pread = int_pread,
	.write = int_write,
	.fsync = int_fd,
	.renameat = int_renameat,
	.unlinkat = int_unlinkat,
	.mkdirat = int_mkdirat,
	.statx = int_statx,
	.getdents = int_getdents,
	.rewind = int_fd,
	.lock = int_lock,
	.now_ns = int_now_ns,
	.wait = int_wait,
};

enum {
	N_REPEATED = 7,
	N_ONCE = 5
};

static int repeated(const struct fsu *fs, int which)
{
	struct flock lock = { 0 };
	struct statx st;
	char buf[4] = "";

	switch (which) {
	case 0:
		return fsu_openat(fs, AT_FDCWD, "x", O_RDONLY, 0);
	case 1:
		return (int)fsu_pread(fs, 0, buf, sizeof(buf), 0);
	case 2:
		return (int)fsu_write(fs, 0, buf, sizeof(buf));
	case 3:
		return fsu_fsync(fs, 0);
	case 4:
		return fsu_statx(fs, AT_FDCWD, "x", 0, 0, &st);
	case 5:
		return (int)fsu_getdents(fs, 0, buf, sizeof(buf));
	default:
		return fsu_lock(fs, 0, F_OFD_SETLK, &lock);
	}
}

static int once(const struct fsu *fs, int which)
{
	switch (which) {
	case 0:
		return fsu_openat(fs, AT_FDCWD, "x", O_RDWR | O_CREAT, 0600);
	case 1:
		return fsu_close(fs, 0);
	case 2:
		return fsu_renameat(fs, AT_FDCWD, "x", AT_FDCWD, "y");
	case 3:
		return fsu_unlinkat(fs, AT_FDCWD, "x", 0);
	default:
		return fsu_mkdirat(fs, AT_FDCWD, "x", 0700);
	}
}

static void harmless_calls_are_repeated_when_interrupted(void **state)
{
	(void)state;
	for (int i = 0; i < N_REPEATED; i++) {
		struct interrupted t = { .eintr = 3 };
		const struct fsu fs = { .ops = &int_ops, .ctx = &t };

		assert_int_equal(repeated(&fs, i), 7);
		assert_int_equal(t.calls, 4);
	}
}

static void repeating_ends(void **state)
{
	(void)state;
	for (int i = 0; i < N_REPEATED; i++) {
		struct interrupted t = { .eintr = INT_MAX };
		const struct fsu fs = { .ops = &int_ops, .ctx = &t };

		assert_int_equal(repeated(&fs, i), -EINTR);
		assert_int_equal(t.calls, FSU_EINTR_MAX + 1);
	}
}

static void calls_that_change_something_are_made_once(void **state)
{
	(void)state;
	for (int i = 0; i < N_ONCE; i++) {
		struct interrupted t = { .eintr = 1 };
		const struct fsu fs = { .ops = &int_ops, .ctx = &t };

		assert_int_equal(once(&fs, i), -EINTR);
		assert_int_equal(t.calls, 1);
	}
}

static void sleeping_goes_by_the_clock_of_the_table(void **state)
{
	struct interrupted t = { .now_ns = 1000 };
	const struct fsu fs = { .ops = &int_ops, .ctx = &t };

	(void)state;
	fsu_sleep(&fs, 500);
	assert_int_equal(t.waited_until_ns, 1500);
	assert_int_equal(t.calls, 1);
	fsu_sleep(&fs, FSU_FOREVER);
	assert_true(t.waited_until_ns == FSU_FOREVER);
}

static void a_sleep_of_nothing_does_not_wait(void **state)
{
	struct interrupted t = { .now_ns = 1000 };
	const struct fsu fs = { .ops = &int_ops, .ctx = &t };

	(void)state;
	fsu_sleep(&fs, 0);
	fsu_sleep(&fs, -5);
	assert_int_equal(t.calls, 0);
}

static void a_copied_text_is_the_same_or_null(void **state)
{
	struct faulty f;
	char *copy;

	(void)state;
	faulty_init(&f);
	copy = fsu_strdup(&f.fs, "tenure");
	assert_string_equal(copy, "tenure");
	fsu_release(&f.fs, copy);
	fsu_release(&f.fs, NULL);
	assert_int_equal(f.live_allocations, 0);
	faulty_arm(&f, ALLOC, 0, ENOMEM, NOT_DONE);
	assert_null(fsu_strdup(&f.fs, "tenure"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(harmless_calls_are_repeated_when_interrupted),
		cmocka_unit_test(repeating_ends),
		cmocka_unit_test(calls_that_change_something_are_made_once),
		cmocka_unit_test(sleeping_goes_by_the_clock_of_the_table),
		cmocka_unit_test(a_sleep_of_nothing_does_not_wait),
		cmocka_unit_test(a_copied_text_is_the_same_or_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
