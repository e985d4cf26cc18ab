/*
 * What the tests of fsutil share: a directory of their own, and a table that is the real one but
 * for one call that goes wrong, with a clock that moves only when somebody waits.
 */
#ifndef TEST_FSU_H
#define TEST_FSU_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil/fsu_ops.h"

enum {
	OPENAT,
	CLOSE,
	PREAD,
	WRITE,
	FSYNC,
	RENAMEAT,
	UNLINKAT,
	STATX,
	GETDENTS,
	LOCK,
	ALLOC,
	CALLS
};

/* How a call goes wrong: not at all done, or done and an error all the same. */
enum {
	NOT_DONE,
	DONE
};

struct faulty {
	struct fsu fs;
	struct fsu_ops ops;
	int call;       /* -1: none goes wrong */
	unsigned at;    /* which one of its kind, from 0 */
	unsigned times; /* how many from there on */
	int error;      /* positive */
	int mode;
	unsigned count[CALLS];
	unsigned fired;
	unsigned live_allocations;
	unsigned open_fds;
	int64_t now_ns, wall_ns;
	void (*while_waiting)(struct faulty *f); /* what the world does meanwhile */
	void (*after_getdents)(struct faulty *f);
	void *user;
};

/* Does this call fail, and is it done before it does? */
static inline int faulty_hit(struct faulty *f, int call, bool *ret_done)
{
	unsigned n = f->count[call]++;

	*ret_done = true;
	if (f->call != call || n < f->at || n - f->at >= f->times)
		return 0;
	f->fired++;
	*ret_done = f->mode == DONE;
	return -f->error;
}

#define FAULTY(call, real)                                  \
	struct faulty *f = ctx;                             \
	bool done_;                                         \
	int error_ = faulty_hit(f, call, &done_);           \
	int r_ = done_ ? (int)fsu_posix.ops->real : error_; \
                                                            \
	r_ = error_ < 0 ? error_ : r_

static inline int faulty_openat(void *ctx, int dirfd, const char *path, int flags, mode_t mode)
{
	struct faulty *f = ctx;
	bool done;
	int error = faulty_hit(f, OPENAT, &done);
	int fd = done ? fsu_posix.ops->openat(NULL, dirfd, path, flags, mode) : error;

	if (fd >= 0 && error < 0) {
		(void)close(fd);
		return error;
	}
	f->open_fds += fd >= 0;
	return fd;
}

static inline int faulty_close(void *ctx, int fd)
{
	struct faulty *f = ctx;
	bool done;
	int error = faulty_hit(f, CLOSE, &done);

	/* A descriptor is always gone afterwards. */
	f->open_fds--;
	assert_int_equal(close(fd), 0);
	return error;
}

static inline ssize_t faulty_pread(void *ctx, int fd, void *buf, size_t len, off_t offset)
{
	FAULTY(PREAD, pread(NULL, fd, buf, len, offset));
	return r_;
}

static inline ssize_t faulty_write(void *ctx, int fd, const void *buf, size_t len)
{
	FAULTY(WRITE, write(NULL, fd, buf, len));
	return r_;
}

static inline int faulty_fsync(void *ctx, int fd)
{
	FAULTY(FSYNC, fsync(NULL, fd));
	return r_;
}

static inline int faulty_renameat(void *ctx, int from_dirfd, const char *from, int to_dirfd,
				  const char *to)
{
	FAULTY(RENAMEAT, renameat(NULL, from_dirfd, from, to_dirfd, to));
	return r_;
}

static inline int faulty_unlinkat(void *ctx, int dirfd, const char *path, int flags)
{
	FAULTY(UNLINKAT, unlinkat(NULL, dirfd, path, flags));
	return r_;
}

static inline int faulty_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
			       struct statx *ret_stat)
{
	FAULTY(STATX, statx(NULL, dirfd, path, flags, mask, ret_stat));
	return r_;
}

static inline ssize_t faulty_getdents(void *ctx, int fd, void *buf, size_t len)
{
	FAULTY(GETDENTS, getdents(NULL, fd, buf, len));
	if (f->after_getdents)
		f->after_getdents(f);
	return r_;
}

static inline int faulty_lock(void *ctx, int fd, int command, struct flock *lock)
{
	FAULTY(LOCK, lock(NULL, fd, command, lock));
	return r_;
}

static inline void *faulty_alloc(void *ctx, size_t size)
{
	struct faulty *f = ctx;
	bool done;

	if (faulty_hit(f, ALLOC, &done) < 0)
		return NULL;
	f->live_allocations++;
	return fsu_posix.ops->alloc(NULL, size);
}

static inline void *faulty_resize(void *ctx, void *ptr, size_t size)
{
	struct faulty *f = ctx;
	bool done;

	if (faulty_hit(f, ALLOC, &done) < 0)
		return NULL;
	f->live_allocations += !ptr;
	return fsu_posix.ops->resize(NULL, ptr, size);
}

static inline void faulty_release(void *ctx, void *ptr)
{
	struct faulty *f = ctx;

	f->live_allocations--;
	fsu_posix.ops->release(NULL, ptr);
}

static inline int64_t faulty_now_ns(void *ctx)
{
	struct faulty *f = ctx;

	return f->now_ns;
}

static inline int64_t faulty_wall_ns(void *ctx)
{
	struct faulty *f = ctx;

	return f->wall_ns;
}

static inline int faulty_wait(void *ctx, const int *fds, size_t n_fds, int64_t deadline_ns)
{
	struct faulty *f = ctx;

	(void)fds;
	assert_int_equal(n_fds, 0);
	assert_true(deadline_ns < FSU_FOREVER);
	if (f->while_waiting)
		f->while_waiting(f);
	if (deadline_ns > f->now_ns) {
		f->wall_ns += deadline_ns - f->now_ns;
		f->now_ns = deadline_ns;
	}
	return 0;
}

/* The real table, with nothing going wrong yet. */
static inline void faulty_init(struct faulty *f)
{
	*f = (struct faulty){ .ops = *fsu_posix.ops, .call = -1, .now_ns = FSU_NS_PER_S };
	f->wall_ns = fsu_posix.ops->wall_ns(NULL);
	f->ops.openat = faulty_openat;
	f->ops.close = faulty_close;
	f->ops.pread = faulty_pread;
	f->ops.write = faulty_write;
	f->ops.fsync = faulty_fsync;
	f->ops.renameat = faulty_renameat;
	f->ops.unlinkat = faulty_unlinkat;
	f->ops.statx = faulty_statx;
	f->ops.getdents = faulty_getdents;
	f->ops.lock = faulty_lock;
	f->ops.alloc = faulty_alloc;
	f->ops.resize = faulty_resize;
	f->ops.release = faulty_release;
	f->ops.now_ns = faulty_now_ns;
	f->ops.wall_ns = faulty_wall_ns;
	f->ops.wait = faulty_wait;
	f->fs = (struct fsu){ .ops = &f->ops, .ctx = f };
}

/* Let call number `at` of a kind, from now on, go wrong. */
static inline void faulty_arm(struct faulty *f, int call, unsigned at, int error, int mode)
{
	f->call = call;
	f->at = f->count[call] + at;
	f->times = 1;
	f->error = error;
	f->mode = mode;
	f->fired = 0;
}

/* ---- A directory of its own for each test, and its descriptor as the state. ---- */

struct fixture {
	char path[256];
	int fd;
	struct faulty f;
};

static inline void remove_tree(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;

	if (fd < 0) {
		(void)unlinkat(dirfd, name, 0);
		return;
	}
	dir = fdopendir(fd);
	assert_non_null(dir);
	/*
	 * cppcheck-suppress readdirCalled; readdir_r is deprecated, and each stream has one reader
	 */
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			remove_tree(fd, entry->d_name);
	(void)closedir(dir);
	(void)unlinkat(dirfd, name, AT_REMOVEDIR);
}

static inline int fixture_setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	struct fixture *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	(void)snprintf(x->path, sizeof(x->path), "%s/fsha-test.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(x->path));
	x->fd = open(x->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(x->fd >= 0);
	faulty_init(&x->f);
	*state = x;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *x = *state;

	(void)close(x->fd);
	remove_tree(AT_FDCWD, x->path);
	free(x);
	return 0;
}

#define test_in_directory(test) \
	cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

static inline bool exists(const struct fixture *x, const char *name)
{
	struct stat st;

	return fstatat(x->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline void put(const struct fixture *x, const char *name, const void *data, size_t len)
{
	int fd = openat(x->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(close(fd), 0);
}

#endif
