#include "fsutil/fsu_ops.h"

#include <errno.h>
#include <string.h>

/*
 * Repeat a call that a signal interrupted. Only for calls that leave nothing behind when they say
 * EINTR, or that come to the same when done twice. The limit is for a filesystem that says EINTR
 * for ever.
 */
#define REPEAT(result, call)                                \
	do {                                                \
		int tries_ = FSU_EINTR_MAX;                 \
                                                            \
		do                                          \
			(result) = (call);                  \
		while ((result) == -EINTR && tries_-- > 0); \
	} while (0)

int fsu_openat(const struct fsu *fs, int dirfd, const char *path, int flags, mode_t mode)
{
	int r;

	/*
	 * An interrupted creation may have created: the repeat would then say EEXIST of our own
	 * file.
	 */
	if (flags & O_CREAT)
		return fs->ops->openat(fs->ctx, dirfd, path, flags, mode);
	REPEAT(r, fs->ops->openat(fs->ctx, dirfd, path, flags, mode));
	return r;
}

int fsu_close(const struct fsu *fs, int fd)
{
	/*
	 * Linux has closed the descriptor also when it says EINTR (close(2), NOTES): never twice.
	 */
	return fs->ops->close(fs->ctx, fd);
}

ssize_t fsu_pread(const struct fsu *fs, int fd, void *buf, size_t len, off_t offset)
{
	ssize_t n;

	REPEAT(n, fs->ops->pread(fs->ctx, fd, buf, len, offset));
	return n;
}

ssize_t fsu_write(const struct fsu *fs, int fd, const void *buf, size_t len)
{
	ssize_t n;

	REPEAT(n, fs->ops->write(fs->ctx, fd, buf, len));
	return n;
}

int fsu_fsync(const struct fsu *fs, int fd)
{
	int r;

	REPEAT(r, fs->ops->fsync(fs->ctx, fd));
	return r;
}

int fsu_clone(const struct fsu *fs, int fd, int src_fd, off_t src_offset, uint64_t len,
	      off_t offset)
{
	if (!fs->ops->clone)
		return -EOPNOTSUPP;
	return fs->ops->clone(fs->ctx, fd, src_fd, src_offset, len, offset);
}

int fsu_renameat(const struct fsu *fs, int from_dirfd, const char *from, int to_dirfd,
		 const char *to)
{
	return fs->ops->renameat(fs->ctx, from_dirfd, from, to_dirfd, to);
}

int fsu_unlinkat(const struct fsu *fs, int dirfd, const char *path, int flags)
{
	return fs->ops->unlinkat(fs->ctx, dirfd, path, flags);
}

int fsu_mkdirat(const struct fsu *fs, int dirfd, const char *path, mode_t mode)
{
	return fs->ops->mkdirat(fs->ctx, dirfd, path, mode);
}

int fsu_statx(const struct fsu *fs, int dirfd, const char *path, int flags, unsigned mask,
	      struct statx *ret_stat)
{
	int r;

	REPEAT(r, fs->ops->statx(fs->ctx, dirfd, path, flags, mask, ret_stat));
	return r;
}

ssize_t fsu_getdents(const struct fsu *fs, int fd, void *buf, size_t len)
{
	ssize_t n;

	REPEAT(n, fs->ops->getdents(fs->ctx, fd, buf, len));
	return n;
}

int fsu_rewind(const struct fsu *fs, int fd)
{
	return fs->ops->rewind(fs->ctx, fd);
}

int fsu_lock(const struct fsu *fs, int fd, int command, struct flock *lock)
{
	int r;

	REPEAT(r, fs->ops->lock(fs->ctx, fd, command, lock));
	return r;
}

int fsu_fstatfs(const struct fsu *fs, int fd, struct statfs *ret_statfs)
{
	int r;

	REPEAT(r, fs->ops->fstatfs(fs->ctx, fd, ret_statfs));
	return r;
}

ssize_t fsu_mountinfo(const struct fsu *fs, char *buf, size_t len)
{
	return fs->ops->mountinfo(fs->ctx, buf, len);
}

ssize_t fsu_mountstats(const struct fsu *fs, char *buf, size_t len)
{
	return fs->ops->mountstats(fs->ctx, buf, len);
}

int fsu_notify_open(const struct fsu *fs)
{
	return fs->ops->notify_open(fs->ctx);
}

int fsu_notify_add(const struct fsu *fs, int notify_fd, int dirfd, const char *path, uint32_t mask)
{
	return fs->ops->notify_add(fs->ctx, notify_fd, dirfd, path, mask);
}

int fsu_notify_drain(const struct fsu *fs, int notify_fd)
{
	return fs->ops->notify_drain(fs->ctx, notify_fd);
}

int64_t fsu_now_ns(const struct fsu *fs)
{
	return fs->ops->now_ns(fs->ctx);
}

int64_t fsu_wall_ns(const struct fsu *fs)
{
	return fs->ops->wall_ns(fs->ctx);
}

int fsu_wait(const struct fsu *fs, const int *fds, size_t n_fds, int64_t deadline_ns)
{
	int r;

	REPEAT(r, fs->ops->wait(fs->ctx, fds, n_fds, deadline_ns));
	return r;
}

void fsu_sleep(const struct fsu *fs, int64_t ns)
{
	int64_t now_ns;

	if (ns <= 0)
		return;
	now_ns = fsu_now_ns(fs);
	/*
	 * It cannot fail in a way that would help anybody: a wait that ends early is a retry that
	 * comes early.
	 */
	(void)fsu_wait(fs, NULL, 0, ns < FSU_FOREVER - now_ns ? now_ns + ns : FSU_FOREVER);
}

void *fsu_alloc(const struct fsu *fs, size_t size)
{
	return fs->ops->alloc(fs->ctx, size);
}

void *fsu_resize(const struct fsu *fs, void *ptr, size_t size)
{
	return fs->ops->resize(fs->ctx, ptr, size);
}

void fsu_release(const struct fsu *fs, void *ptr)
{
	if (ptr)
		fs->ops->release(fs->ctx, ptr);
}

char *fsu_strdup(const struct fsu *fs, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = fsu_alloc(fs, size);

	if (copy)
		memcpy(copy, text, size);
	return copy;
}

int fsu_random(const struct fsu *fs, void *buf, size_t len)
{
	int r;

	REPEAT(r, fs->ops->random(fs->ctx, buf, len));
	return r;
}
