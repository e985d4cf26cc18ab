/*
 * A table of system calls between the library and the real one: every call on files can be held
 * up, refused, or done and then said to have failed. Clocks, waiting and memory go through as they
 * are.
 */
#ifndef TESTS_TEST_HOOK_H
#define TESTS_TEST_HOOK_H

#include <errno.h>
#include <stdatomic.h>

#include "fsutil/fsu_ops.h"
#include "tests/test_services.h"

struct hook {
	struct fsu fs;
	struct gate gate; /* while it is shut every call on files hangs */
	_Atomic int mode; /* for `decide`, which any thread calls */
	_Atomic int count;
	/*
	 * 0: go on. Negative: not done, and this is the result. Positive: done, then its negative.
	 */
	int (*decide)(struct hook *h, const char *op, const char *path, const char *to);
};

static inline int hook_before(void *ctx, const char *op, const char *path, const char *to)
{
	struct hook *h = ctx;

	gate_pass(&h->gate);
	return h->decide ? h->decide(h, op, path, to) : 0;
}

#define HOOK(op, path, to, call)                        \
	int decision_ = hook_before(ctx, op, path, to); \
	if (decision_ < 0)                              \
		return decision_;                       \
	if (decision_ == 0)                             \
		return (call);                          \
	(void)(call);                                   \
	return -decision_

static inline int hook_openat(void *ctx, int dirfd, const char *path, int flags, mode_t mode)
{
	int r = hook_before(ctx, flags & O_CREAT ? "create" : "open", path, "");

	return r < 0 ? r : fsu_posix.ops->openat(NULL, dirfd, path, flags, mode);
}
static inline int hook_close(void *ctx, int fd)
{
	HOOK("close", "", "", fsu_posix.ops->close(NULL, fd));
}
static inline ssize_t hook_pread(void *ctx, int fd, void *buf, size_t len, off_t offset)
{
	HOOK("pread", "", "", fsu_posix.ops->pread(NULL, fd, buf, len, offset));
}
static inline ssize_t hook_write(void *ctx, int fd, const void *buf, size_t len)
{
	HOOK("write", "", "", fsu_posix.ops->write(NULL, fd, buf, len));
}
static inline int hook_fsync(void *ctx, int fd)
{
	HOOK("fsync", "", "", fsu_posix.ops->fsync(NULL, fd));
}
static inline int hook_renameat(void *ctx, int from_dirfd, const char *from, int to_dirfd,
				const char *to)
{
	HOOK("rename", from, to, fsu_posix.ops->renameat(NULL, from_dirfd, from, to_dirfd, to));
}
static inline int hook_unlinkat(void *ctx, int dirfd, const char *path, int flags)
{
	HOOK("unlink", path, "", fsu_posix.ops->unlinkat(NULL, dirfd, path, flags));
}
static inline int hook_mkdirat(void *ctx, int dirfd, const char *path, mode_t mode)
{
	HOOK("mkdir", path, "", fsu_posix.ops->mkdirat(NULL, dirfd, path, mode));
}
static inline int hook_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
			     struct statx *ret_stat)
{
	HOOK("statx", path, "", fsu_posix.ops->statx(NULL, dirfd, path, flags, mask, ret_stat));
}
static inline ssize_t hook_getdents(void *ctx, int fd, void *buf, size_t len)
{
	char link[32], path[512];
	ssize_t n;

	/* Which directory it is, for `decide`. */
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	HOOK("getdents", path, "", fsu_posix.ops->getdents(NULL, fd, buf, len));
}
static inline int hook_rewind(void *ctx, int fd)
{
	HOOK("rewind", "", "", fsu_posix.ops->rewind(NULL, fd));
}
static inline int hook_lock(void *ctx, int fd, int command, struct flock *lock)
{
	HOOK("lock", "", "", fsu_posix.ops->lock(NULL, fd, command, lock));
}
static inline int hook_fstatfs(void *ctx, int fd, struct statfs *ret_statfs)
{
	HOOK("fstatfs", "", "", fsu_posix.ops->fstatfs(NULL, fd, ret_statfs));
}

static struct fsu_ops hook_ops; /* filled once */

static inline void hook_init(struct hook *h)
{
	h->fs = (struct fsu){ &hook_ops, h };
	h->decide = NULL;
	atomic_init(&h->mode, 0);
	atomic_init(&h->count, 0);
	gate_init(&h->gate);
	if (hook_ops.openat)
		return; /* threads of a former test may still be at it */
	hook_ops = *fsu_posix.ops;
	hook_ops.openat = hook_openat;
	hook_ops.close = hook_close;
	hook_ops.pread = hook_pread;
	hook_ops.write = hook_write;
	hook_ops.fsync = hook_fsync;
	hook_ops.renameat = hook_renameat;
	hook_ops.unlinkat = hook_unlinkat;
	hook_ops.mkdirat = hook_mkdirat;
	hook_ops.statx = hook_statx;
	hook_ops.getdents = hook_getdents;
	hook_ops.rewind = hook_rewind;
	hook_ops.lock = hook_lock;
	hook_ops.fstatfs = hook_fstatfs;
}

static inline fsha_services *open_hooked(struct hook *h)
{
	fsha_services *s = NULL;

	assert_ok(services_open_with(&h->fs, t.config, NULL, &s, &t.error));
	return s;
}

#endif
