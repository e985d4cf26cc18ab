/*
 * The system-call table. Everything that touches the shared directory, the clock or memory goes
 * through it, so that a test can fail, delay, reorder or crash at any one call. fsu_posix.c is the
 * only file of the project that makes these calls directly; `make lint` proves it.
 *
 * Convention: a function returns >= 0, or a negative errno. It never sets errno.
 */
#ifndef FSU_OPS_H
#define FSU_OPS_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>

#define FSU_NS_PER_MS INT64_C(1000000)
#define FSU_NS_PER_S INT64_C(1000000000)
#define FSU_FOREVER INT64_MAX

struct fsu_ops {
	/*
	 * Files. `path` is relative to `dirfd`; AT_FDCWD is allowed for the storage directory and
	 * for files of the user's own.
	 */
	int (*openat)(void *ctx, int dirfd, const char *path, int flags, mode_t mode);
	int (*close)(void *ctx, int fd);
	ssize_t (*pread)(void *ctx, int fd, void *buf, size_t len, off_t offset);
	ssize_t (*write)(void *ctx, int fd, const void *buf, size_t len);
	int (*fsync)(void *ctx, int fd);
	/*
	 * Let `fd` share the blocks of `len` bytes of `src_fd` (0: up to its end), from
	 * `src_offset` on, at `offset`. An error, such as -EOPNOTSUPP and -EXDEV: it cannot, every
	 * user copies then. A table may have NULL here.
	 */
	int (*clone)(void *ctx, int fd, int src_fd, off_t src_offset, uint64_t len, off_t offset);
	int (*renameat)(void *ctx, int from_dirfd, const char *from, int to_dirfd, const char *to);
	int (*unlinkat)(void *ctx, int dirfd, const char *path, int flags);
	int (*mkdirat)(void *ctx, int dirfd, const char *path, mode_t mode);
	/* `flags` may hold AT_STATX_FORCE_SYNC, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. */
	int (*statx)(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
		     struct statx *ret_stat);
	/* Fills `buf` with struct linux_dirent64; 0 at the end. rewind starts over. */
	ssize_t (*getdents)(void *ctx, int fd, void *buf, size_t len);
	int (*rewind)(void *ctx, int fd);
	/*
	 * `command` is F_OFD_SETLK or F_OFD_GETLK. F_SETLK is for the doctor, which tries POSIX
	 * locks too; only the real table knows it.
	 */
	int (*lock)(void *ctx, int fd, int command, struct flock *lock);
	int (*fstatfs)(void *ctx, int fd, struct statfs *ret_statfs);
	/* The text of /proc/self/mountinfo and /proc/self/mountstats, at most `len` bytes. */
	ssize_t (*mountinfo)(void *ctx, char *buf, size_t len);
	ssize_t (*mountstats)(void *ctx, char *buf, size_t len);

	/* inotify. -ENOSYS where there is none; every user falls back on polling. */
	int (*notify_open)(void *ctx);
	int (*notify_add)(void *ctx, int notify_fd, int dirfd, const char *path, uint32_t mask);
	int (*notify_drain)(void *ctx, int notify_fd);

	/*
	 * Clocks. now_ns is CLOCK_BOOTTIME, the only one that decisions rest on; wall_ns is for
	 * people.
	 */
	int64_t (*now_ns)(void *ctx);
	int64_t (*wall_ns)(void *ctx);
	/*
	 * Wait until one of the descriptors (-1 is passed over) is readable or now_ns() >=
	 * deadline_ns. Returns a bit mask of the readable ones, 0 on timeout.
	 */
	int (*wait)(void *ctx, const int *fds, size_t n_fds, int64_t deadline_ns);

	/*
	 * Memory. alloc returns zeroed memory; resize keeps the content, new bytes are not zeroed.
	 */
	void *(*alloc)(void *ctx, size_t size);
	void *(*resize)(void *ctx, void *ptr, size_t size);
	void (*release)(void *ctx, void *ptr);

	int (*random)(void *ctx, void *buf, size_t len);
};

/* A table and its context; passed by pointer to everything, lives as long as its users. */
struct fsu {
	const struct fsu_ops *ops;
	void *ctx;
};

/* The real thing. */
extern const struct fsu fsu_posix;

/*
 * The calls, in the order of the table. Those that may be repeated without harm (open without
 * O_CREAT, pread, write of nothing so far, fsync, statx, getdents, lock) are repeated on EINTR, at
 * most FSU_EINTR_MAX times; the others return -EINTR, which their callers treat as "may have
 * happened".
 */
#define FSU_EINTR_MAX 100

int fsu_openat(const struct fsu *fs, int dirfd, const char *path, int flags, mode_t mode);
int fsu_close(const struct fsu *fs, int fd);
ssize_t fsu_pread(const struct fsu *fs, int fd, void *buf, size_t len, off_t offset);
ssize_t fsu_write(const struct fsu *fs, int fd, const void *buf, size_t len);
int fsu_fsync(const struct fsu *fs, int fd);
int fsu_clone(const struct fsu *fs, int fd, int src_fd, off_t src_offset, uint64_t len,
	      off_t offset);
int fsu_renameat(const struct fsu *fs, int from_dirfd, const char *from, int to_dirfd,
		 const char *to);
int fsu_unlinkat(const struct fsu *fs, int dirfd, const char *path, int flags);
int fsu_mkdirat(const struct fsu *fs, int dirfd, const char *path, mode_t mode);
int fsu_statx(const struct fsu *fs, int dirfd, const char *path, int flags, unsigned mask,
	      struct statx *ret_stat);
ssize_t fsu_getdents(const struct fsu *fs, int fd, void *buf, size_t len);
int fsu_rewind(const struct fsu *fs, int fd);
int fsu_lock(const struct fsu *fs, int fd, int command, struct flock *lock);
int fsu_fstatfs(const struct fsu *fs, int fd, struct statfs *ret_statfs);
ssize_t fsu_mountinfo(const struct fsu *fs, char *buf, size_t len);
ssize_t fsu_mountstats(const struct fsu *fs, char *buf, size_t len);
int fsu_notify_open(const struct fsu *fs);
int fsu_notify_add(const struct fsu *fs, int notify_fd, int dirfd, const char *path, uint32_t mask);
int fsu_notify_drain(const struct fsu *fs, int notify_fd);
int64_t fsu_now_ns(const struct fsu *fs);
int64_t fsu_wall_ns(const struct fsu *fs);
int fsu_wait(const struct fsu *fs, const int *fds, size_t n_fds, int64_t deadline_ns);
/* Sleep for `ns` nanoseconds of the table's time. */
void fsu_sleep(const struct fsu *fs, int64_t ns);
void *fsu_alloc(const struct fsu *fs, size_t size);
void *fsu_resize(const struct fsu *fs, void *ptr, size_t size);
void fsu_release(const struct fsu *fs, void *ptr);
char *fsu_strdup(const struct fsu *fs, const char *text);
int fsu_random(const struct fsu *fs, void *buf, size_t len);

#endif
