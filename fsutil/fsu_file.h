/*
 * Whole files: staged under a private name, read with suspicion, published by one rename. Every
 * outcome is one of three: done, not done, in doubt.
 */
#ifndef FSU_FILE_H
#define FSU_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fsutil/fsu_ops.h"

#define FSU_FILE_MODE 0600
#define FSU_DIR_MODE 0700

/*
 * Create `path` (O_EXCL, O_NOFOLLOW), write all, fsync, close. On failure it is unlinked again as
 * far as that works, and the errno of the failed call comes back, in *ret_op (may be NULL) its
 * name.
 */
int fsu_file_stage(const struct fsu *fs, int dirfd, const char *path, const void *data, size_t len,
		   const char **ret_op);
/* The same with what stands one behind the other in the file. */
struct fsu_part {
	const void *data;
	size_t len;
};
int fsu_file_stage_parts(const struct fsu *fs, int dirfd, const char *path,
			 const struct fsu_part *parts, size_t count, const char **ret_op);
/*
 * Read a regular file whole into fresh memory (fsu_release it). Anything but a regular file is
 * -EINVAL (a FIFO or a device is never waited for); larger than `max` is -EFBIG.
 */
int fsu_file_read(const struct fsu *fs, int dirfd, const char *path, size_t max, uint8_t **ret_data,
		  size_t *ret_len);
/* It belongs to a user who has no business there: see fsu_file_open. */
#define FSU_EFOREIGN EKEYREJECTED
/*
 * Open a regular file for reading, as fsu_file_read does. *ret_size is its size. -FSU_EFOREIGN
 * unless it belongs to root, to this user, to the owner of the directory `dirfd`, or to the group
 * of a directory that is shared (set-group-ID, and the group may write). With AT_FDCWD anybody's
 * will do. The owner of the directory counts since a file server may show all users as another one.
 */
int fsu_file_open(const struct fsu *fs, int dirfd, const char *path, size_t *ret_size);
/* fsync of a directory by path ("" for dirfd itself). */
int fsu_dir_sync(const struct fsu *fs, int dirfd, const char *path);
/* Open a directory for reading and as a base of paths. O_NOFOLLOW. */
int fsu_dir_open(const struct fsu *fs, int dirfd, const char *path);

enum fsu_outcome {
	FSU_DONE,     /* visible under the new name, and durable */
	FSU_NOT_DONE, /* not visible, and never will be */
	FSU_IN_DOUBT, /* cannot be told now */
};

struct fsu_publication {
	int from_dirfd;       /* the election directory */
	const char *from;     /* "tenure-.../<staged>" */
	const char *from_dir; /* "tenure-...": its absence says that the writer is fenced */
	int to_dirfd;         /* the store directory */
	const char *to;       /* a name that never existed before */
};
struct fsu_published {
	enum fsu_outcome outcome;
	bool fenced;    /* the tenure directory is gone */
	bool sent;      /* a rename was sent: with fenced, it may have been done all the same */
	int os_errno;   /* positive; 0 when done */
	const char *op; /* the call that failed */
};
/*
 * Rename a staged file into place and make that durable. After a failed rename it finds out what
 * happened: own name in a fresh listing = done; else the staged file could be unlinked = not done;
 * else in doubt. A directory fsync that fails after the rename leaves it in doubt (visible, perhaps
 * not durable).
 */
void fsu_publish(const struct fsu *fs, const struct fsu_publication *p,
		 struct fsu_published *ret_published);
/*
 * The second half alone, for an outcome that was in doubt: ask again. Never sends the rename, but
 * removes the staged file if it is still there, so that not done is final.
 */
void fsu_publish_settle(const struct fsu *fs, const struct fsu_publication *p,
			struct fsu_published *ret_published);

#endif
