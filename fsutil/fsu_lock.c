/*
 * Lock order: the mutex of the table is the innermost lock of the library; no system call is made
 * under it but the closes of a forked child.
 */
#include "fsutil/fsu_lock.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>

#include "fsutil/fsu_file.h"

#define HELD_MAX 256
#define FORK_TRIES 100
#define PAUSE_MIN_NS FSU_NS_PER_MS
#define PAUSE_MAX_NS (100 * FSU_NS_PER_MS)

/* The descriptors that a forked child must close, and how many forks there were. */
static struct {
	const struct fsu *fs;
	int fd;
} held[HELD_MAX];
static uint64_t forks;
static pthread_mutex_t held_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t held_once = PTHREAD_ONCE_INIT;
static int held_error;

static void before_fork(void)
{
	(void)pthread_mutex_lock(&held_mutex);
	forks++;
}

static void after_fork_parent(void)
{
	(void)pthread_mutex_unlock(&held_mutex);
}

/* Our copies of the parent's locks would keep them held after it died. */
static void after_fork_child(void)
{
	for (size_t i = 0; i < HELD_MAX; i++) {
		if (!held[i].fs)
			continue;
		(void)fsu_close(held[i].fs, held[i].fd); /* nothing was written to it */
		held[i].fs = NULL;
	}
	(void)pthread_mutex_unlock(&held_mutex);
}

static void watch_forks(void)
{
	held_error = pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static uint64_t forks_so_far(void)
{
	uint64_t n;

	(void)pthread_mutex_lock(&held_mutex);
	n = forks;
	(void)pthread_mutex_unlock(&held_mutex);
	return n;
}

/* Into the table, unless there was a fork since `forks_then`: -EAGAIN. */
static int held_add(const struct fsu *fs, int fd, uint64_t forks_then)
{
	int r = -ENOLCK;

	(void)pthread_mutex_lock(&held_mutex);
	if (forks != forks_then)
		r = -EAGAIN;
	for (size_t i = 0; r == -ENOLCK && i < HELD_MAX; i++) {
		if (held[i].fs)
			continue;
		held[i].fs = fs;
		held[i].fd = fd;
		r = 0;
	}
	(void)pthread_mutex_unlock(&held_mutex);
	return r;
}

/* False when it was not in there: the lock belongs to the parent of this process. */
static bool held_remove(const struct fsu *fs, int fd)
{
	bool found = false;

	(void)pthread_mutex_lock(&held_mutex);
	for (size_t i = 0; !found && i < HELD_MAX; i++) {
		if (held[i].fs != fs || held[i].fd != fd)
			continue;
		held[i].fs = NULL;
		found = true;
	}
	(void)pthread_mutex_unlock(&held_mutex);
	return found;
}

/*
 * Open and put into the table. A child that was forked between the two has a copy that nobody
 * closes: then it is opened anew, before anything was locked through it.
 */
static int open_held(const struct fsu *fs, int dirfd, const char *path, bool create)
{
	int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (create ? O_CREAT : 0);
	int r = -EAGAIN;

	for (int i = 0; r == -EAGAIN && i < FORK_TRIES; i++) {
		uint64_t forks_then = forks_so_far();
		int fd = fsu_openat(fs, dirfd, path, flags, FSU_FILE_MODE);

		if (fd < 0)
			return fd;
		r = held_add(fs, fd, forks_then);
		if (r == 0)
			return fd;
		(void)fsu_close(fs, fd); /* nothing was written to it */
	}
	return r == -EAGAIN ? -ENOLCK : r;
}

static struct flock whole_file(void)
{
	/* l_pid must be 0 for locks of the open file description (fcntl(2)). */
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
}

int fsu_lock_take(const struct fsu *fs, int dirfd, const char *path, bool create,
		  struct fsu_lock *ret_lock)
{
	struct flock lock = whole_file();
	struct fsu_lock taken = FSU_LOCK_INIT;
	int r;

	(void)pthread_once(&held_once, watch_forks);
	if (held_error)
		return -held_error;

	taken.fd = open_held(fs, dirfd, path, create);
	if (taken.fd < 0)
		return taken.fd;
	r = fsu_lock(fs, taken.fd, F_OFD_SETLK, &lock);
	if (r < 0) {
		fsu_lock_release(fs, &taken);
		return r == -EACCES ? -EAGAIN : r; /* fcntl(2): either may mean that it is held */
	}
	*ret_lock = taken;
	return 0;
}

int fsu_lock_take_until(const struct fsu *fs, int dirfd, const char *path, int64_t deadline_ns,
			struct fsu_lock *ret_lock)
{
	int64_t pause_ns = PAUSE_MIN_NS;

	for (;;) {
		int r = fsu_lock_take(fs, dirfd, path, true, ret_lock);
		int64_t left_ns;

		if (r != -EAGAIN)
			return r;
		left_ns = deadline_ns - fsu_now_ns(fs);
		if (left_ns <= 0)
			return -ETIMEDOUT;
		fsu_sleep(fs, pause_ns < left_ns ? pause_ns : left_ns);
		pause_ns = pause_ns * 2 < PAUSE_MAX_NS ? pause_ns * 2 : PAUSE_MAX_NS;
	}
}

void fsu_lock_release(const struct fsu *fs, struct fsu_lock *lock)
{
	if (lock->fd < 0)
		return;
	/*
	 * In a forked child the number may be another file's by now. Out of the table first: while
	 * a close hangs, the number may go to another file, which a child must not close. A child
	 * forked in between keeps the lock until it ends or executes something; the close is not
	 * under the mutex, since a fork must not hang with it.
	 */
	if (held_remove(fs, lock->fd))
		(void)fsu_close(fs, lock->fd); /* nothing was written to it */
	lock->fd = -1;
}

int fsu_lock_is_held(const struct fsu *fs, int fd)
{
	struct flock lock = whole_file();
	int r;

	r = fsu_lock(fs, fd, F_OFD_GETLK, &lock);
	if (r < 0)
		return r;
	return lock.l_type != F_UNLCK;
}
