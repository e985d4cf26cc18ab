#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "src/archive/archive_file.h"
#include "src/cli/cli_error.h"
#include "src/cli/value_file.h"

#define CHUNK 65536

struct archive_reader {
	const struct fsu *fs;
	struct archive *archive; /* NULL before the first rewind */
	const char *path;
	int fd;
	off_t offset;
	int error; /* negative; of the last read */
	uint8_t chunk[CHUNK];
};

static la_ssize_t on_read(struct archive *a, void *ctx, const void **ret_data)
{
	struct archive_reader *r = ctx;
	ssize_t n = fsu_pread(r->fs, r->fd, r->chunk, sizeof(r->chunk), r->offset);

	*ret_data = r->chunk;
	if (n < 0) {
		r->error = (int)n;
		archive_set_error(a, (int)-n, "read failed");
		return -1;
	}
	r->offset += n;
	return n;
}

static fsha_result cannot_read(const char *path, int r, fsha_error *reterr)
{
	const fsha_result result = r == -ENOENT ? FSHA_E_NOT_FOUND :
				   r == -ENOMEM ? FSHA_E_NOMEM :
						  FSHA_E_IO;

	return cli_error_set(reterr, result, -r, "cannot read '%.150s': %s", path, strerror(-r));
}

/* What is no tar.gz, or was cut off or damaged, is damage; what cannot be read is not. */
static fsha_result failed(const struct archive_reader *r, fsha_error *reterr)
{
	const char *why = r->archive ? archive_error_string(r->archive) : NULL;

	if (r->error)
		return cannot_read(r->path, r->error, reterr);
	return cli_error_set(reterr, FSHA_E_CORRUPT, 0, "'%s' is no sound tar.gz: %s", r->path,
			     why ? why : "it cannot be read");
}

/* It is read more than once: a pipe on standard input is taken in first. */
static fsha_result open_file(const struct fsu *fs, const char *path, int *ret_fd,
			     fsha_error *reterr)
{
	if (value_file_is_standard(path))
		return value_file_open(path, ret_fd, reterr);
	*ret_fd = fsu_openat(fs, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0);
	return *ret_fd < 0 ? cannot_read(path, *ret_fd, reterr) : FSHA_OK;
}

fsha_result archive_reader_open(const struct fsu *fs, const char *path,
				struct archive_reader **ret_reader, fsha_error *reterr)
{
	struct archive_reader *r;
	fsha_result result;
	int fd;

	result = open_file(fs, path, &fd, reterr);
	if (result != FSHA_OK)
		return result;
	r = fsu_alloc(fs, sizeof(*r));
	if (!r) {
		(void)fsu_close(fs, fd); /* not read yet */
		return cannot_read(path, -ENOMEM, reterr);
	}
	r->fs = fs;
	r->path = value_file_is_standard(path) ? "standard input" : path;
	r->fd = fd;
	*ret_reader = r;
	return FSHA_OK;
}

static fsha_result rewind_archive(void *ctx, fsha_error *reterr)
{
	struct archive_reader *r = ctx;

	(void)archive_read_free(r->archive); /* only read */
	r->offset = 0;
	r->error = 0;
	r->archive = archive_read_new();
	if (!r->archive || archive_read_support_format_tar(r->archive) != ARCHIVE_OK ||
	    archive_read_support_filter_gzip(r->archive) != ARCHIVE_OK ||
	    archive_read_open2(r->archive, r, NULL, on_read, NULL, NULL) != ARCHIVE_OK)
		return failed(r, reterr);
	return FSHA_OK;
}

static fsha_result next(void *ctx, const char **ret_path, uint64_t *ret_size, fsha_error *reterr)
{
	struct archive_reader *r = ctx;
	struct archive_entry *entry;
	int e = archive_read_next_header(r->archive, &entry);

	if (e == ARCHIVE_EOF)
		return FSHA_E_NOT_FOUND;
	if (e != ARCHIVE_OK || !archive_entry_pathname(entry))
		return failed(r, reterr);
	if (archive_entry_filetype(entry) != AE_IFREG || !archive_entry_size_is_set(entry) ||
	    archive_entry_hardlink(entry))
		return cli_error_set(reterr, FSHA_E_CORRUPT, 0,
				     "'%s' in '%s' is no regular file: this is no backup of fsha",
				     archive_entry_pathname(entry), r->path);
	*ret_path = archive_entry_pathname(entry);
	*ret_size = (uint64_t)archive_entry_size(entry);
	return FSHA_OK;
}

static fsha_result get(void *ctx, void *buf, size_t size, size_t *ret_len, fsha_error *reterr)
{
	struct archive_reader *r = ctx;
	la_ssize_t n = archive_read_data(r->archive, buf, size);

	if (n < 0)
		return failed(r, reterr);
	*ret_len = (size_t)n;
	return FSHA_OK;
}

fsha_backup_source archive_reader_source(struct archive_reader *r)
{
	return (fsha_backup_source){ sizeof(fsha_backup_source), r, rewind_archive, next, get };
}

void archive_reader_close(struct archive_reader *r)
{
	if (!r)
		return;
	(void)archive_read_free(r->archive); /* only read */
	(void)fsu_close(r->fs, r->fd);       /* only read */
	fsu_release(r->fs, r);
}
