#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fsutil/fsu_uuid.h"
#include "src/archive/archive_file.h"
#include "src/cli/cli_error.h"
#include "src/cli/unfinished.h"

#define FILE_MODE 0600 /* values may be secrets */
#define TEMPORARY_SUFFIX ".tmp"

struct archive_writer {
	const struct fsu *fs;
	struct archive *archive;
	char path[FSHA_ARCHIVE_PATH], temporary[FSHA_ARCHIVE_PATH];
	int fd;       /* -1: none, or standard output */
	bool to_pipe; /* standard output */
	int error;    /* negative; of the last call that failed */
	int64_t wall_s;
};

static la_ssize_t on_write(struct archive *a, void *ctx, const void *data, size_t size)
{
	struct archive_writer *w = ctx;
	ssize_t n = fsu_write(w->fs, w->to_pipe ? STDOUT_FILENO : w->fd, data, size);

	if (n < 0) {
		w->error = (int)n;
		archive_set_error(a, (int)-n, "write failed");
		return -1;
	}
	return n;
}

/* By the name that the user gave, whatever it is called meanwhile. */
static fsha_result cannot_write(const char *path, int r, fsha_error *reterr)
{
	return cli_error_set(reterr, r == -ENOMEM ? FSHA_E_NOMEM : FSHA_E_IO, -r,
			     "cannot write '%.150s': %s", path, strerror(-r));
}

static fsha_result failed(const struct archive_writer *w, fsha_error *reterr)
{
	if (w->error)
		return cannot_write(w->path, w->error, reterr);
	return cli_error_set(reterr, FSHA_E_IO, 0, "cannot write '%s': %s", w->path,
			     archive_error_string(w->archive) ? archive_error_string(w->archive) :
								"out of memory");
}

static fsha_result open_archive(struct archive_writer *w, fsha_error *reterr)
{
	struct archive *a = w->archive = archive_write_new();

	if (!a)
		return cannot_write(w->path, -ENOMEM, reterr);
	/* The headers that every tar reads; longer paths in its extension. */
	if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
	    archive_write_add_filter_gzip(a) != ARCHIVE_OK ||
	    archive_write_open2(a, w, NULL, on_write, NULL, NULL) != ARCHIVE_OK)
		return failed(w, reterr);
	return FSHA_OK;
}

/* `to`: the temporary name, which no other process has had: pids come again. */
static int make_temporary(struct archive_writer *w, char *to)
{
	struct fsu_uuid unique;
	size_t len = strlen(w->path);
	int r;

	r = fsu_uuid_make(w->fs, &unique);
	if (r < 0)
		return r;
	memcpy(to, w->path, len);
	to[len++] = '.';
	fsu_uuid_format(&unique, to + len);
	strcpy(to + len + FSU_UUID_HEX, TEMPORARY_SUFFIX);
	unfinished_begin(to);
	w->fd = fsu_openat(w->fs, AT_FDCWD, to,
			   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
	return w->fd < 0 ? w->fd : 0;
}

fsha_result archive_writer_open(const struct fsu *fs, const char *path,
				struct archive_writer **ret_writer, fsha_error *reterr)
{
	struct archive_writer *w;
	fsha_result result = FSHA_OK;
	int r;

	if (strlen(path) + FSU_UUID_HEX + sizeof("." TEMPORARY_SUFFIX) > FSHA_ARCHIVE_PATH)
		return cli_error_set(reterr, FSHA_E_INVALID, 0, "'%.60s...' is too long", path);
	w = fsu_alloc(fs, sizeof(*w));
	if (!w)
		return cannot_write(path, -ENOMEM, reterr);
	w->fs = fs;
	w->wall_s = fsu_wall_ns(fs) / FSU_NS_PER_S;
	w->to_pipe = strcmp(path, "-") == 0;
	w->fd = -1;
	strcpy(w->path, w->to_pipe ? "standard output" : path);
	if (!w->to_pipe) {
		r = make_temporary(w, w->temporary);
		if (r < 0) {
			result = cannot_write(path, r, reterr);
			w->temporary[0] = '\0'; /* there is none to be removed */
		}
	}
	if (result == FSHA_OK)
		result = open_archive(w, reterr);
	if (result != FSHA_OK) {
		archive_writer_close(w);
		return result;
	}
	*ret_writer = w;
	return FSHA_OK;
}

static fsha_result begin(void *ctx, const char *path, uint64_t size, fsha_error *reterr)
{
	struct archive_writer *w = ctx;
	struct archive_entry *e = archive_entry_new();
	int r = ARCHIVE_FATAL;

	if (e) {
		archive_entry_set_pathname(e, path);
		archive_entry_set_size(e, (la_int64_t)size);
		archive_entry_set_filetype(e, AE_IFREG);
		archive_entry_set_perm(e, FILE_MODE);
		archive_entry_set_mtime(e, (time_t)w->wall_s, 0);
		r = archive_write_header(w->archive, e);
		archive_entry_free(e);
	}
	return r == ARCHIVE_OK ? FSHA_OK : failed(w, reterr);
}

static fsha_result put(void *ctx, const void *data, size_t size, fsha_error *reterr)
{
	struct archive_writer *w = ctx;
	const char *at = data;

	while (size > 0) {
		la_ssize_t n = archive_write_data(w->archive, at, size);

		if (n <= 0 || (size_t)n > size)
			return failed(w, reterr);
		at += n;
		size -= (size_t)n;
	}
	return FSHA_OK;
}

fsha_backup_sink archive_writer_sink(struct archive_writer *w)
{
	return (fsha_backup_sink){ sizeof(fsha_backup_sink), w, begin, put };
}

/* The name is durable too. */
static int sync_parent(const struct archive_writer *w)
{
	char parent[FSHA_ARCHIVE_PATH];
	const char *slash = strrchr(w->path, '/');
	int fd, r;

	(void)snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - w->path) + 1 : 1,
		       slash ? w->path : ".");
	fd = fsu_openat(w->fs, AT_FDCWD, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	r = fsu_fsync(w->fs, fd);
	(void)fsu_close(w->fs, fd); /* a directory */
	return r;
}

fsha_result archive_writer_finish(struct archive_writer *w, fsha_error *reterr)
{
	int r, closed;

	if (archive_write_close(w->archive) != ARCHIVE_OK)
		return failed(w, reterr);
	if (w->to_pipe)
		return FSHA_OK;
	r = fsu_fsync(w->fs, w->fd);
	closed = fsu_close(w->fs, w->fd);
	w->fd = -1;
	if (r == 0)
		r = closed;
	if (r == 0)
		r = fsu_renameat(w->fs, AT_FDCWD, w->temporary, AT_FDCWD, w->path);
	if (r == 0) {
		unfinished_end();
		w->temporary[0] = '\0';
		r = sync_parent(w);
	}
	return r < 0 ? cannot_write(w->path, r, reterr) : FSHA_OK;
}

void archive_writer_close(struct archive_writer *w)
{
	if (!w)
		return;
	(void)archive_write_free(w->archive); /* finished before, or given up */
	if (w->fd >= 0)
		(void)fsu_close(w->fs, w->fd); /* given up */
	if (w->temporary[0])
		(void)fsu_unlinkat(w->fs, AT_FDCWD, w->temporary, 0); /* nothing to be done then */
	unfinished_end();
	fsu_release(w->fs, w);
}
