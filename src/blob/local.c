#include "src/blob/local.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "src/result/error.h"

#define TEMPORARY ".fsha-"
#define TARGET_MODE 0666

/* ---- source ---- */

/*
 * To its end, whatever its size is said to be: files in /proc are said to be empty. Of others that
 * are longer or shorter than when they were opened somebody is changing the content.
 */
static ssize_t read_source(void *ctx, void *buf, size_t size)
{
	struct local_source *l = ctx;
	ssize_t n = fsu_pread(l->fs, l->fd, buf, size, (off_t)l->done);

	if (n > 0)
		l->done += (uint64_t)n;
	if (n >= 0 && (l->size == 0 || (n > 0 ? l->done <= l->size : l->done == l->size)))
		return n;
	l->source.error = &l->error;
	if (n < 0) {
		l->source.result =
			error_os(&l->error, (int)n, "read", "cannot read '%.200s'", l->path);
		return n;
	}
	l->source.result = error_set(&l->error, FSHA_E_INVALID, 0, "read",
				     "'%.200s' grew %s while it was read", l->path,
				     n > 0 ? "longer" : "shorter");
	return -ENODATA;
}

fsha_result local_source_open(struct local_source *l, const struct fsu *fs, const char *path,
			      fsha_error *reterr)
{
	struct statx st;
	int fd, r;

	/* Not waiting for the other end of a FIFO. Links are followed: the file is the user's. */
	fd = fsu_openat(fs, AT_FDCWD, path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return error_set(reterr, FSHA_E_NOT_FOUND, -fd, "open",
				 "there is no local file '%.200s'", path);
	if (fd < 0)
		return error_os(reterr, fd, "open", "cannot read '%.200s'", path);
	r = fsu_statx(fs, fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE, &st);
	if (r < 0 || !S_ISREG(st.stx_mode)) {
		(void)fsu_close(fs, fd); /* opened for reading */
		return r < 0 ? error_os(reterr, r, "statx", "cannot read '%.200s'", path) :
			       error_set(reterr, FSHA_E_INVALID, 0, "open",
					 "'%.200s' is no regular file", path);
	}
	*l = (struct local_source){
		.source = { .source = { read_source, l }, .original = &l->original },
		.original = { .fd = fd, .size = st.stx_size },
		.fs = fs,
		.path = path,
		.fd = fd,
		.size = st.stx_size,
		.error = FSHA_ERROR_INIT,
	};
	return FSHA_OK;
}

void local_source_rewind(struct local_source *l)
{
	l->done = 0;
	l->source.result = FSHA_OK;
}

void local_source_close(struct local_source *l)
{
	(void)fsu_close(l->fs, l->fd); /* opened for reading */
}

/* ---- target ---- */

static fsha_result write_target(void *ctx, const void *data, size_t size, fsha_error *reterr)
{
	struct local_target *l = ctx;
	const char *at = data;

	l->size += size;
	while (size > 0) {
		ssize_t n = fsu_write(l->fs, l->fd, at, size);

		if (n <= 0 || (size_t)n > size)
			return error_os(reterr, n < 0 ? (int)n : -EIO, "write",
					"cannot write '%.200s'", l->path);
		at += n;
		size -= (size_t)n;
	}
	return FSHA_OK;
}

/* Whole blocks only; `write` appends the rest. */
static uint64_t clone_target(void *ctx, int fd, uint64_t offset, uint64_t size)
{
	struct local_target *l = ctx;
	uint64_t whole = size - size % FSU_STREAM_HEAD;

	int end;

	if (whole == 0 || fsu_clone(l->fs, l->fd, fd, (off_t)offset, whole, 0) < 0)
		return 0;
	/* Our descriptor still stands at the beginning: without another, all is written over it. */
	end = fsu_openat(l->fs, AT_FDCWD, l->temporary,
			 O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0);
	if (end < 0)
		return 0;
	(void)fsu_close(l->fs, l->fd); /* nothing was written through it */
	l->fd = end;
	l->size = whole;
	return whole;
}

/* A name of our own in the directory of `path`. */
static fsha_result name_temporary(struct local_target *l, fsha_error *reterr)
{
	const char *slash = strrchr(l->path, '/');
	size_t dir = slash ? (size_t)(slash - l->path) + 1 : 0;
	struct fsu_uuid unique;
	int r;

	r = fsu_uuid_make(l->fs, &unique);
	if (r < 0)
		return error_os(reterr, r, "random", "cannot write '%.200s'", l->path);
	l->temporary = fsu_alloc(l->fs, dir + sizeof(TEMPORARY) + FSU_UUID_HEX);
	if (!l->temporary)
		return error_os(reterr, -ENOMEM, "alloc", "cannot write '%.200s'", l->path);
	memcpy(l->temporary, l->path, dir);
	memcpy(l->temporary + dir, TEMPORARY, sizeof(TEMPORARY) - 1);
	fsu_uuid_format(&unique, l->temporary + dir + sizeof(TEMPORARY) - 1);
	return FSHA_OK;
}

fsha_result local_target_open(struct local_target *l, const struct fsu *fs, const char *path,
			      fsha_error *reterr)
{
	fsha_result result;
	struct statx st;
	size_t len = strlen(path);
	int fd;

	*l = (struct local_target){
		.sink = { .write = write_target, .ctx = l, .clone = clone_target },
		.fs = fs,
		.path = path,
		.fd = -1
	};
	if (len == 0 || path[len - 1] == '/' ||
	    (fsu_statx(fs, AT_FDCWD, path, 0, STATX_TYPE, &st) == 0 && S_ISDIR(st.stx_mode)))
		return error_set(reterr, FSHA_E_INVALID, 0, "open",
				 "cannot write '%.200s': it is a directory", path);
	result = name_temporary(l, reterr);
	if (result != FSHA_OK)
		return result;
	fd = fsu_openat(fs, AT_FDCWD, l->temporary,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, TARGET_MODE);
	if (fd >= 0) {
		l->fd = fd;
		return FSHA_OK;
	}
	local_target_abandon(l); /* an open that failed may have created */
	return error_os(reterr, fd, "open", "cannot write '%.200s'", path);
}

fsha_result local_target_commit(struct local_target *l, fsha_error *reterr)
{
	const char *op = "write";
	struct statx st;
	int r, closed;

	/* Was a write repeated that had been done? See write_all() in fsu_file.c. */
	r = fsu_statx(l->fs, l->fd, "", AT_EMPTY_PATH, STATX_SIZE, &st);
	if (r == 0 && st.stx_size != l->size)
		r = -EIO;
	if (r == 0) {
		op = "fsync";
		r = fsu_fsync(l->fs, l->fd);
	}
	closed = fsu_close(l->fs, l->fd);
	l->fd = -1;
	if (r == 0 && closed < 0) {
		op = "close";
		r = closed;
	}
	if (r == 0) {
		op = "rename";
		r = fsu_renameat(l->fs, AT_FDCWD, l->temporary, AT_FDCWD, l->path);
	}
	if (r < 0) {
		/* Was it renamed all the same, then it is whole, and the error is on the safe side.
		 */
		local_target_abandon(l);
		return error_os(reterr, r, op, "cannot write '%.200s'", l->path);
	}
	fsu_release(l->fs, l->temporary);
	return FSHA_OK;
}

void local_target_abandon(struct local_target *l)
{
	if (l->fd >= 0)
		(void)fsu_close(l->fs, l->fd); /* to be removed */
	l->fd = -1;
	(void)fsu_unlinkat(l->fs, AT_FDCWD, l->temporary, 0); /* as far as that works */
	fsu_release(l->fs, l->temporary);
	l->temporary = NULL;
}
