/*
 * A publication is settled by asking three things in this order, each of which a later answer
 * cannot undo:
 *
 *   is the new name there?           yes: done (nobody else ever makes that name)
 *   can the staged file be unlinked? yes: not done, and a rename that is still under way finds
 * nothing is the new name there now?       yes: done, between the first two
 *
 * The staged file is gone and the name is not there: it was published and then removed by somebody,
 * or moved away by a successor, or our own unlink took effect and its reply was lost. That cannot
 * be told from here. An unlink that reports an error may have been done, and after that no ENOENT
 * of a second one proves anything. Hence in doubt.
 */
#include "fsutil/fsu_file.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "fsutil/fsu_list.h"

/* How long to wait for a listing that may be believed. */
#define LOOK_NS (200 * FSU_NS_PER_MS)

static int write_part(const struct fsu *fs, int fd, const struct fsu_part *part)
{
	const uint8_t *at = part->data;
	size_t left = part->len;

	assert(at || left == 0);
	while (left > 0) {
		ssize_t n = fsu_write(fs, fd, at, left);

		if (n < 0)
			return (int)n;
		if (n == 0 || (size_t)n > left)
			return -EIO;
		at += n;
		left -= (size_t)n;
	}
	return 0;
}

static int write_all(const struct fsu *fs, int fd, const struct fsu_part *parts, size_t count)
{
	struct statx st;
	uint64_t len = 0;
	int r;

	for (size_t i = 0; i < count; i++) {
		r = write_part(fs, fd, &parts[i]);
		if (r < 0)
			return r;
		len += parts[i].len;
	}
	/*
	 * A write that was done although it said EINTR, and was repeated, stands in the file twice.
	 * Not synced: our own writes are known to our own kernel.
	 */
	r = fsu_statx(fs, fd, "", AT_EMPTY_PATH, STATX_SIZE, &st);
	if (r < 0)
		return r;
	return st.stx_size == len ? 0 : -EIO;
}

int fsu_file_stage_parts(const struct fsu *fs, int dirfd, const char *path,
			 const struct fsu_part *parts, size_t count, const char **ret_op)
{
	const char *op = "open";
	int fd, r, closed;

	fd = fsu_openat(fs, dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			FSU_FILE_MODE);
	r = fd;
	if (fd >= 0) {
		op = "write";
		r = write_all(fs, fd, parts, count);
		if (r == 0) {
			op = "fsync";
			r = fsu_fsync(fs, fd);
		}
		closed = fsu_close(fs, fd);
		if (r == 0 && closed < 0) {
			op = "close";
			r = closed;
		}
	}
	if (r < 0) {
		/*
		 * An open that failed may have created. With EEXIST, though, the file is another's.
		 */
		if (r != -EEXIST || fd >= 0)
			(void)fsu_unlinkat(fs, dirfd, path,
					   0); /* what stays, a successor clears away */
		if (ret_op)
			*ret_op = op;
		return r;
	}
	return 0;
}

int fsu_file_stage(const struct fsu *fs, int dirfd, const char *path, const void *data, size_t len,
		   const char **ret_op)
{
	const struct fsu_part part = { data, len };

	return fsu_file_stage_parts(fs, dirfd, path, &part, 1, ret_op);
}

/* 1 or 0, or why it cannot be told: that the directory does not answer is no fault of the file. */
static int is_foreign(const struct fsu *fs, int dirfd, const struct statx *file)
{
	const unsigned mask = STATX_UID | STATX_GID | STATX_MODE;
	struct statx dir;
	int r;

	if (dirfd == AT_FDCWD || file->stx_uid == 0 || file->stx_uid == geteuid())
		return 0;
	r = fsu_statx(fs, dirfd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, mask, &dir);
	if (r < 0)
		return r;
	return file->stx_uid != dir.stx_uid &&
	       !(dir.stx_mode & S_ISGID && dir.stx_mode & S_IWGRP && file->stx_gid == dir.stx_gid);
}

/* Without waiting for the other end of a FIFO, and without following a link. */
int fsu_file_open(const struct fsu *fs, int dirfd, const char *path, size_t *ret_size)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
	struct statx st;
	int fd, r;

	fd = fsu_openat(fs, dirfd, path, flags, 0);
	if (fd == -EAGAIN) {
		/*
		 * O_NONBLOCK does not wait for the holder of a lease either (open(2)); a regular
		 * file may be.
		 */
		r = fsu_statx(fs, dirfd, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st);
		if (r < 0)
			return r;
		if (!S_ISREG(st.stx_mode))
			return -EINVAL;
		fd = fsu_openat(fs, dirfd, path, flags & ~O_NONBLOCK, 0);
	}
	if (fd == -ELOOP || fd == -ENXIO) /* a symbolic link; a socket */
		return -EINVAL;
	if (fd < 0)
		return fd;
	r = fsu_statx(fs, fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE | STATX_UID | STATX_GID,
		      &st);
	if (r == 0 && !S_ISREG(st.stx_mode))
		r = -EINVAL;
	if (r == 0)
		r = is_foreign(fs, dirfd, &st);
	if (r > 0)
		r = -FSU_EFOREIGN;
	if (r < 0) {
		(void)fsu_close(fs, fd); /* opened for reading */
		return r;
	}
	*ret_size = st.stx_size < SIZE_MAX ? (size_t)st.stx_size : SIZE_MAX;
	return fd;
}

/*
 * Read to the end into memory that grows: the size is a hint, the end is what a read of 0 bytes
 * says.
 */
static int read_all(const struct fsu *fs, int fd, size_t size, size_t max, uint8_t **ret_data,
		    size_t *ret_len)
{
	uint8_t *data;
	size_t len = 0;
	ssize_t n;

	/* One more than expected, so that the end shows without growing. */
	size = size < max ? size + 1 : max + 1;
	data = fsu_alloc(fs, size);
	if (!data)
		return -ENOMEM;
	while ((n = fsu_pread(fs, fd, data + len, size - len, (off_t)len)) > 0) {
		uint8_t *bigger;

		assert((size_t)n <= size - len);
		len += (size_t)n;
		if (len < size)
			continue;
		if (len > max) {
			n = -EFBIG;
			break;
		}
		size = size < max / 2 ? size * 2 : max + 1;
		bigger = fsu_resize(fs, data, size);
		if (!bigger) {
			n = -ENOMEM;
			break;
		}
		data = bigger;
	}
	if (n < 0) {
		fsu_release(fs, data);
		return (int)n;
	}
	*ret_data = data;
	*ret_len = len;
	return 0;
}

int fsu_file_read(const struct fsu *fs, int dirfd, const char *path, size_t max, uint8_t **ret_data,
		  size_t *ret_len)
{
	size_t size = 0;
	int fd, r;

	assert(max < SIZE_MAX);
	fd = fsu_file_open(fs, dirfd, path, &size);
	if (fd < 0)
		return fd;
	r = size > max ? -EFBIG : read_all(fs, fd, size, max, ret_data, ret_len);
	(void)fsu_close(fs, fd); /* opened for reading */
	return r;
}

int fsu_dir_open(const struct fsu *fs, int dirfd, const char *path)
{
	return fsu_openat(fs, dirfd, path[0] ? path : ".",
			  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
}

int fsu_dir_sync(const struct fsu *fs, int dirfd, const char *path)
{
	int fd, r;

	if (!path[0])
		return fsu_fsync(fs, dirfd);
	fd = fsu_dir_open(fs, dirfd, path);
	if (fd < 0)
		return fd;
	r = fsu_fsync(fs, fd);
	(void)fsu_close(fs, fd); /* opened for reading */
	return r;
}

static bool is_gone(int r)
{
	return r == -ENOENT || r == -ESTALE || r == -ENOTDIR;
}

/* Is the new name there? False also when it cannot be told. */
static bool is_published(const struct fsu *fs, const struct fsu_publication *p, int64_t limit_ns)
{
	struct fsu_list list;
	struct statx st;
	bool there;
	int r;

	fsu_list_init(&list, fs);
	r = fsu_list_read(&list, p->to_dirfd, "", false, limit_ns);
	there = r == 0 && fsu_list_has(&list, p->to);
	fsu_list_done(&list);
	/*
	 * Without a listing, a name that is found is there all the same; one that is not proves
	 * nothing.
	 */
	if (r < 0)
		there = fsu_statx(fs, p->to_dirfd, p->to, AT_STATX_FORCE_SYNC | AT_SYMLINK_NOFOLLOW,
				  STATX_TYPE, &st) == 0;
	return there;
}

/* Is the tenure directory gone for certain? */
static bool is_fenced(const struct fsu *fs, const struct fsu_publication *p)
{
	struct fsu_list list;
	struct statx st;
	bool absent, stable;

	fsu_list_init(&list, fs);
	absent = fsu_list_read(&list, p->from_dirfd, "", false, LOOK_NS) == 0 &&
		 !fsu_list_has(&list, p->from_dir);
	stable = list.stable;
	fsu_list_done(&list);
	if (!absent || stable)
		return absent;
	/* An election that others are busy in: ask for the name itself too. */
	return is_gone(fsu_statx(fs, p->from_dirfd, p->from_dir,
				 AT_STATX_FORCE_SYNC | AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st));
}

/* The new name is there: make that durable. */
static void sync_published(const struct fsu *fs, const struct fsu_publication *p,
			   struct fsu_published *ret_published)
{
	int r = fsu_fsync(fs, p->to_dirfd);

	*ret_published = (struct fsu_published){ .outcome = FSU_DONE, .sent = true };
	if (r < 0) {
		ret_published->outcome = FSU_IN_DOUBT;
		ret_published->os_errno = -r;
		ret_published->op = "fsync";
	}
}

/* Find out, as the head of this file says. `error` is of the rename; 0 when none was sent now. */
static void settle(const struct fsu *fs, const struct fsu_publication *p, int error,
		   struct fsu_published *ret_published)
{
	int r;

	assert(error <= 0);
	if (is_published(fs, p, 0)) {
		sync_published(fs, p, ret_published);
		return;
	}
	r = fsu_unlinkat(fs, p->from_dirfd, p->from, 0);
	if (r == -EINTR) /* if the second one works, the first did not */
		r = fsu_unlinkat(fs, p->from_dirfd, p->from, 0);
	*ret_published = (struct fsu_published){ .outcome = FSU_IN_DOUBT, .sent = true };
	if (error < 0) {
		ret_published->os_errno = -error;
		ret_published->op = "rename";
	} else {
		ret_published->os_errno = r < 0 ? -r : ECANCELED;
		ret_published->op = "unlink";
	}
	if (r == 0) {
		ret_published->outcome = FSU_NOT_DONE;
		return;
	}
	if (is_published(fs, p, LOOK_NS))
		sync_published(fs, p, ret_published);
	else if (is_gone(r))
		ret_published->fenced = is_fenced(fs, p);
}

void fsu_publish(const struct fsu *fs, const struct fsu_publication *p,
		 struct fsu_published *ret_published)
{
	int r = fsu_renameat(fs, p->from_dirfd, p->from, p->to_dirfd, p->to);

	if (r == 0)
		sync_published(fs, p, ret_published);
	else
		settle(fs, p, r, ret_published);
}

void fsu_publish_settle(const struct fsu *fs, const struct fsu_publication *p,
			struct fsu_published *ret_published)
{
	settle(fs, p, 0, ret_published);
}
