/*
 * The real table: the only file of the project with system calls on the shared directory, clock and
 * memory. It adds nothing but O_CLOEXEC and the translation of errno.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "fsutil/fsu_ops.h"

/* One bit each in the result of wait, and the sign stays free. */
#define WAIT_FDS_MAX 30

/* ---- Paths ----
 *
 * Below a directory of the shared storage no symbolic link is followed, in no part of a path: fsha
 * makes none there, so one that is there was put there, to lead somewhere else. Kernels before 5.6
 * and sandboxes that know no openat2(2) look at the last part only.
 */

static bool is_below(int dirfd, const char *path)
{
	return dirfd != AT_FDCWD && path[0] != '/';
}

/* As openat2(2) says it: -ELOOP is a link. */
static int open_strictly(int dirfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC,
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_NO_SYMLINKS,
	};
	long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(dirfd, path, flags | O_CLOEXEC, mode);
	return fd < 0 ? -errno : (int)fd;
}

static int open_below(int dirfd, const char *path, int flags, mode_t mode)
{
	int fd = open_strictly(dirfd, path, flags, mode);

	/* What openat(2) says of a link with O_NOFOLLOW. */
	return fd == -ELOOP && flags & O_DIRECTORY ? -ENOTDIR : fd;
}

/* The path of the directory that `path` is in, for a call below `dirfd`; "": dirfd itself. */
static int parent_of(const char *path, char *ret_parent)
{
	size_t len = strlen(path);

	while (len > 0 && path[len - 1] == '/') /* "a/b/" is in "a/" too */
		len--;
	while (len > 0 && path[len - 1] != '/')
		len--;
	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(ret_parent, path, len);
	ret_parent[len] = '\0';
	return 0;
}

/*
 * For calls that cannot be told to follow no links: is there one on the way? By path and not
 * through a descriptor, since those of a removed directory hang on ceph-fuse.
 */
static int check_parent(int dirfd, const char *path)
{
	char parent[PATH_MAX];
	int r;

	if (!is_below(dirfd, path) || !strchr(path, '/'))
		return 0;
	r = parent_of(path, parent);
	if (r < 0)
		return r;
	r = open_strictly(dirfd, parent, O_PATH | O_DIRECTORY, 0);
	if (r >= 0)
		(void)close(r); /* nothing was done to it */
	/* Whatever else there is to say, the call itself says. */
	return r == -ELOOP ? -ENOTDIR : 0;
}

/*
 * A directory with the set-group-ID bit in which the group may write belongs to the group (fsha(7),
 * Security): so does what is made there, whatever the umask. 1 or 0, or the error with which it
 * cannot be told; asked before anything is made, so that nothing has to be taken back.
 */
static int is_shared(int dirfd, const char *path)
{
	char parent[PATH_MAX];
	struct statx st;
	int r;

	if (!is_below(dirfd, path))
		return 0;
	r = parent_of(path, parent);
	if (r < 0)
		return r;
	if (statx(dirfd, parent, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC,
		  STATX_MODE, &st) < 0)
		return -errno;
	return (st.stx_mode & (S_ISGID | S_IWGRP)) == (S_ISGID | S_IWGRP);
}

static mode_t mode_for_group(mode_t mode)
{
	return mode | (mode & S_IRWXU) >> 3;
}

/* A new file of the group's. */
static int create_shared(int dirfd, const char *path, int flags, mode_t mode)
{
	int error, fd = open_below(dirfd, path, flags | O_CREAT | O_EXCL, mode);

	if (fd < 0 || fchmod(fd, mode_for_group(mode)) == 0)
		return fd;
	error = errno;
	(void)close(fd); /* nothing was written */
	return -error;
}

#define SHARED_TRIES 8

/* What is there keeps its mode: it may be a link to a file of somewhere else. */
static int open_shared(int dirfd, const char *path, int flags, mode_t mode)
{
	int r = -EEXIST;

	if (flags & O_EXCL)
		return create_shared(dirfd, path, flags, mode);
	for (int i = 0; r == -EEXIST && i < SHARED_TRIES; i++) {
		r = open_below(dirfd, path, flags & ~O_CREAT, 0);
		if (r == -ENOENT)
			r = create_shared(dirfd, path, flags, mode);
	}
	return r;
}

static int posix_openat(void *ctx, int dirfd, const char *path, int flags, mode_t mode)
{
	int fd, shared;

	(void)ctx;
	if (!is_below(dirfd, path)) {
		fd = openat(dirfd, path, flags | O_CLOEXEC, mode);
		return fd < 0 ? -errno : fd;
	}
	shared = flags & O_CREAT ? is_shared(dirfd, path) : 0;
	if (shared < 0)
		return shared;
	return shared ? open_shared(dirfd, path, flags, mode) :
			open_below(dirfd, path, flags, mode);
}

static int posix_close(void *ctx, int fd)
{
	(void)ctx;
	return close(fd) < 0 ? -errno : 0;
}

static ssize_t posix_pread(void *ctx, int fd, void *buf, size_t len, off_t offset)
{
	ssize_t n;

	(void)ctx;
	n = pread(fd, buf, len, offset);
	return n < 0 ? -errno : n;
}

static ssize_t posix_write(void *ctx, int fd, const void *buf, size_t len)
{
	ssize_t n;

	(void)ctx;
	n = write(fd, buf, len);
	return n < 0 ? -errno : n;
}

static int posix_fsync(void *ctx, int fd)
{
	struct statx st;

	(void)ctx;
	if (fsync(fd) < 0)
		return -errno;
	/*
	 * XFS that was shut down (a broken disk) says 0 for a directory whose changes never came to
	 * the disk; but it knows. This asks no server.
	 */
	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0 ? -errno : 0;
}

static int posix_clone(void *ctx, int fd, int src_fd, off_t src_offset, uint64_t len, off_t offset)
{
	struct file_clone_range range = {
		.src_fd = src_fd,
		.src_offset = (uint64_t)src_offset,
		.src_length = len,
		.dest_offset = (uint64_t)offset,
	};

	(void)ctx;
	return ioctl(fd, FICLONERANGE, &range) < 0 ? -errno : 0;
}

static int posix_renameat(void *ctx, int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	int r = check_parent(from_dirfd, from);

	(void)ctx;
	if (r == 0)
		r = check_parent(to_dirfd, to);
	if (r < 0)
		return r;
	return renameat(from_dirfd, from, to_dirfd, to) < 0 ? -errno : 0;
}

static int posix_unlinkat(void *ctx, int dirfd, const char *path, int flags)
{
	int r = check_parent(dirfd, path);

	(void)ctx;
	if (r < 0)
		return r;
	return unlinkat(dirfd, path, flags) < 0 ? -errno : 0;
}

static int posix_mkdirat(void *ctx, int dirfd, const char *path, mode_t mode)
{
	int r = check_parent(dirfd, path), shared, fd;

	(void)ctx;
	if (r < 0)
		return r;
	shared = is_shared(dirfd, path);
	if (shared < 0)
		return shared;
	if (mkdirat(dirfd, path, mode) < 0)
		return -errno;
	if (!shared)
		return 0;
	fd = open_below(dirfd, path, O_RDONLY | O_DIRECTORY, 0);
	r = fd < 0 ? fd : fchmod(fd, S_ISGID | mode_for_group(mode)) < 0 ? -errno : 0;
	if (fd >= 0)
		(void)close(fd); /* a directory */
	if (r < 0)
		(void)unlinkat(dirfd, path, AT_REMOVEDIR); /* it is of no use to the others */
	return r;
}

static int posix_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
		       struct statx *ret_stat)
{
	int r = path[0] ? check_parent(dirfd, path) : 0;

	(void)ctx;
	if (r < 0)
		return r;
	return statx(dirfd, path, flags, mask, ret_stat) < 0 ? -errno : 0;
}

static ssize_t posix_getdents(void *ctx, int fd, void *buf, size_t len)
{
	ssize_t n;

	(void)ctx;
	n = syscall(SYS_getdents64, fd, buf, len);
	return n < 0 ? -errno : n;
}

static int posix_rewind(void *ctx, int fd)
{
	(void)ctx;
	return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

static int posix_lock(void *ctx, int fd, int command, struct flock *lock)
{
	(void)ctx;
	assert(command == F_OFD_SETLK || command == F_OFD_GETLK || command == F_SETLK);
	return fcntl(fd, command, lock) < 0 ? -errno : 0;
}

static int posix_fstatfs(void *ctx, int fd, struct statfs *ret_statfs)
{
	(void)ctx;
	return fstatfs(fd, ret_statfs) < 0 ? -errno : 0;
}

/* The text of a file in /proc, whose size is not known before it was read. */
static ssize_t read_proc(const char *path, char *buf, size_t len)
{
	size_t used = 0;
	ssize_t n = 0;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (used < len) {
		n = read(fd, buf + used, len - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	n = n < 0 ? -errno : (ssize_t)used;
	(void)close(fd); /* opened for reading */
	return n;
}

static ssize_t posix_mountinfo(void *ctx, char *buf, size_t len)
{
	(void)ctx;
	return read_proc("/proc/self/mountinfo", buf, len);
}

static ssize_t posix_mountstats(void *ctx, char *buf, size_t len)
{
	(void)ctx;
	return read_proc("/proc/self/mountstats", buf, len);
}

static int posix_notify_open(void *ctx)
{
	int fd;

	(void)ctx;
	fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int posix_notify_add(void *ctx, int notify_fd, int dirfd, const char *path, uint32_t mask)
{
	char full[PATH_MAX];
	int n;

	(void)ctx;
	/* There is no inotify_add_watchat: a descriptor is named through /proc. */
	if (dirfd == AT_FDCWD || path[0] == '/')
		n = snprintf(full, sizeof(full), "%s", path);
	else
		n = snprintf(full, sizeof(full), "/proc/self/fd/%d%s%s", dirfd, path[0] ? "/" : "",
			     path);
	if (n < 0 || (size_t)n >= sizeof(full))
		return -ENAMETOOLONG;
	n = inotify_add_watch(notify_fd, full, mask);
	return n < 0 ? -errno : n;
}

/* Returns how many reads were full of events: 0 when nothing had happened. */
static int posix_notify_drain(void *ctx, int notify_fd)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	int reads = 0;

	(void)ctx;
	/*
	 * With a limit, in case they come as fast as we read; what is left makes the descriptor
	 * readable again.
	 */
	while (reads < 64) {
		ssize_t n = read(notify_fd, buf, sizeof(buf));

		if (n > 0)
			reads++;
		else if (n == 0 || errno == EAGAIN)
			break;
		else if (errno != EINTR)
			return -errno;
	}
	return reads;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;
	int r;

	r = clock_gettime(clock, &ts);
	assert(r == 0);
	(void)r;
	return (int64_t)ts.tv_sec * FSU_NS_PER_S + ts.tv_nsec;
}

static int64_t posix_now_ns(void *ctx)
{
	(void)ctx;
	return clock_ns(CLOCK_BOOTTIME);
}

static int64_t posix_wall_ns(void *ctx)
{
	(void)ctx;
	return clock_ns(CLOCK_REALTIME);
}

static struct timespec to_timespec(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / FSU_NS_PER_S, .tv_nsec = ns % FSU_NS_PER_S };
}

/*
 * A timer that ends the poll at the deadline, also when the host slept through it; -1 when there is
 * none to be had.
 */
static int deadline_timer(int64_t deadline_ns)
{
	struct itimerspec when = { .it_value = to_timespec(deadline_ns) };
	int fd;

	fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd < 0)
		return -1;
	if (timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/*
 * Poll once. The timeout of ppoll(2) runs on a clock that stands still while the host is suspended,
 * so it only bounds a single poll; the timer is what keeps the deadline, and without one the caller
 * looks again each second.
 */
static int poll_once(struct pollfd *poll_fds, size_t n, int timer_fd, int64_t deadline_ns)
{
	struct timespec timeout = { 0 };
	bool forever = deadline_ns == FSU_FOREVER;
	int64_t left_ns = 0;

	if (!forever) {
		left_ns = deadline_ns - posix_now_ns(NULL);
		if (left_ns < 0)
			left_ns = 0;
		if (timer_fd < 0 && left_ns > FSU_NS_PER_S)
			left_ns = FSU_NS_PER_S;
		timeout = to_timespec(left_ns);
	}
	return ppoll(poll_fds, n, forever ? NULL : &timeout, NULL) < 0 ? -errno : 0;
}

static int posix_wait(void *ctx, const int *fds, size_t n_fds, int64_t deadline_ns)
{
	struct pollfd poll_fds[WAIT_FDS_MAX + 1];
	bool timed = deadline_ns != FSU_FOREVER && deadline_ns > posix_now_ns(ctx);
	int timer_fd = timed ? deadline_timer(deadline_ns) : -1;
	int ready = 0;
	int r;

	assert(n_fds <= WAIT_FDS_MAX);
	for (size_t i = 0; i < n_fds; i++)
		poll_fds[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	poll_fds[n_fds] = (struct pollfd){ .fd = timer_fd, .events = POLLIN };

	do {
		r = poll_once(poll_fds, n_fds + 1, timer_fd, deadline_ns);
		/* A descriptor in error counts as readable: whoever reads it gets the error. */
		for (size_t i = 0; r == 0 && i < n_fds; i++)
			if (poll_fds[i].revents)
				ready |= 1 << i;
	} while ((r == 0 || r == -EINTR) && ready == 0 &&
		 (deadline_ns == FSU_FOREVER || posix_now_ns(ctx) < deadline_ns));

	if (timer_fd >= 0)
		(void)close(timer_fd);
	return r < 0 && r != -EINTR ? r : ready;
}

static void *posix_alloc(void *ctx, size_t size)
{
	(void)ctx;
	return calloc(1, size > 0 ? size : 1);
}

static void *posix_resize(void *ctx, void *ptr, size_t size)
{
	(void)ctx;
	return realloc(ptr, size > 0 ? size : 1);
}

static void posix_release(void *ctx, void *ptr)
{
	(void)ctx;
	free(ptr);
}

static int posix_random(void *ctx, void *buf, size_t len)
{
	uint8_t *at = buf;

	(void)ctx;
	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static const struct fsu_ops posix_ops = {
	.openat = posix_openat,
	.close = posix_close,
	.pread = posix_pread,
	.write = posix_write,
	.fsync = posix_fsync,
	.clone = posix_clone,
	.renameat = posix_renameat,
	.unlinkat = posix_unlinkat,
	.mkdirat = posix_mkdirat,
	.statx = posix_statx,
	.getdents = posix_getdents,
	.rewind = posix_rewind,
	.lock = posix_lock,
	.fstatfs = posix_fstatfs,
	.mountinfo = posix_mountinfo,
	.mountstats = posix_mountstats,
	.notify_open = posix_notify_open,
	.notify_add = posix_notify_add,
	.notify_drain = posix_notify_drain,
	.now_ns = posix_now_ns,
	.wall_ns = posix_wall_ns,
	.wait = posix_wait,
	.alloc = posix_alloc,
	.resize = posix_resize,
	.release = posix_release,
	.random = posix_random,
};

const struct fsu fsu_posix = { .ops = &posix_ops, .ctx = NULL };
