/*
 * Lock files: whole-file write locks of the open file description (F_OFD_SETLK), so that no other
 * close in the process drops them. Taken without waiting. A child made by fork() would keep such a
 * lock alive: a pthread_atfork handler closes every held lock in the child (the one piece of global
 * state of the library).
 */
#ifndef FSU_LOCK_H
#define FSU_LOCK_H

#include <stdbool.h>

#include "fsutil/fsu_ops.h"

struct fsu_lock {
	int fd; /* -1: not held */
};
/* clang-format off */
#define FSU_LOCK_INIT { .fd = -1 }
/* clang-format on */

/* Opens (O_RDWR, creates when `create`) and locks `path`. -EAGAIN: somebody else holds it. */
int fsu_lock_take(const struct fsu *fs, int dirfd, const char *path, bool create,
		  struct fsu_lock *ret_lock);
/* As fsu_lock_take, trying again with growing pauses until `deadline_ns`; -ETIMEDOUT then. */
int fsu_lock_take_until(const struct fsu *fs, int dirfd, const char *path, int64_t deadline_ns,
			struct fsu_lock *ret_lock);
/* Closing releases. Harmless when not held. */
void fsu_lock_release(const struct fsu *fs, struct fsu_lock *lock);
/*
 * 1: a write lock by `fd` (any open mode) would be refused; 0: it is free; or an error. Takes
 * nothing.
 */
int fsu_lock_is_held(const struct fsu *fs, int fd);

#endif
