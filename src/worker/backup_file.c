/*
 * The file of a backup, anywhere on the user's disks: written under a name of its own, then renamed
 * into place, so that it is there whole or as it was before.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_uuid.h"
#include "src/result/error.h"
#include "src/worker/backup_json.h"

#define PATH_BYTES 4096

/* "/a/b/c" is "/a/b/" and "c". Into `ret_dir` of PATH_BYTES. */
static fsha_result split(const char *path, char *ret_dir, const char **ret_name, fsha_error *reterr)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	const char *name = slash ? slash + 1 : path;
	size_t len = slash ? (size_t)(name - path) : 0;

	if (!path || !*name)
		return error_set(reterr, FSHA_E_INVALID, 0, "write", "the path names no file");
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strlen(path) >= PATH_BYTES)
		return error_set(reterr, FSHA_E_INVALID, 0, "write",
				 "'%.200s' is no path of a file", path);
	memcpy(ret_dir, path, len);
	ret_dir[len] = '\0';
	if (len == 0)
		strcpy(ret_dir, ".");
	*ret_name = name;
	return FSHA_OK;
}

static fsha_result in_doubt(const char *path, int r, const char *op, fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_INDOUBT, -r, op,
			 "'%.200s' may be written, but may not survive a power cut: write it again",
			 path);
}

/*
 * The staged file is nobody else's: when it can be unlinked, it was not renamed; when it is gone,
 * it was, and only the reply is lost.
 */
static fsha_result judge_rename(const struct fsu *fs, int dir_fd, const char *staged,
				const char *path, int r, fsha_error *reterr)
{
	int unlinked = fsu_unlinkat(fs, dir_fd, staged, 0);

	if (unlinked == -ENOENT)
		return FSHA_OK;
	if (unlinked < 0)
		return in_doubt(path, r, "rename", reterr);
	return error_os(reterr, r, "rename", "cannot write '%.200s'", path);
}

static fsha_result write_in(const struct fsu *fs, int dir_fd, const char *name, const char *path,
			    const char *text, size_t len, fsha_error *reterr)
{
	char staged[FSU_UUID_HEX + 16] = "~fsha-";
	fsha_result result = FSHA_OK;
	struct fsu_uuid unique;
	const char *op = "random";
	int r;

	r = fsu_uuid_make(fs, &unique);
	if (r == 0) {
		fsu_uuid_format(&unique, staged + strlen(staged));
		r = fsu_file_stage(fs, dir_fd, staged, text, len, &op);
	}
	if (r < 0)
		return error_os(reterr, r, op, "cannot write '%.200s'", path);
	r = fsu_renameat(fs, dir_fd, staged, dir_fd, name);
	if (r < 0)
		result = judge_rename(fs, dir_fd, staged, path, r, reterr);
	if (result != FSHA_OK)
		return result;
	r = fsu_fsync(fs, dir_fd);
	return r < 0 ? in_doubt(path, r, "fsync", reterr) : FSHA_OK;
}

fsha_result backup_write_with(const struct fsu *fs, const fsha_framework_backup *backup,
			      const char *path, fsha_error *reterr)
{
	char dir[PATH_BYTES], *text = NULL;
	const char *name = NULL;
	fsha_result result;
	size_t len = 0;
	json_t *json;
	int fd;

	result = backup_check(backup, reterr);
	if (result == FSHA_OK)
		result = split(path, dir, &name, reterr);
	if (result != FSHA_OK)
		return result;
	json = backup_to_json(fs, backup);
	if (json)
		text = backup_print(fs, json, JSON_INDENT(2), &len);
	json_decref(json);
	if (!text)
		return error_os(reterr, -ENOMEM, "alloc", "cannot write '%.200s'", path);
	text[len++] = '\n'; /* in place of the terminator */
	if (len > BACKUP_FILE_MAX) {
		fsu_release(fs, text);
		return error_set(reterr, FSHA_E_INVALID, 0, "write",
				 "cannot write '%.200s': larger than %zu bytes", path,
				 BACKUP_FILE_MAX);
	}
	fd = fsu_openat(fs, AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		result = error_os(reterr, fd, "open", "cannot write '%.200s'", path);
	else
		result = write_in(fs, fd, name, path, text, len, reterr);
	if (fd >= 0)
		(void)fsu_close(fs, fd); /* a directory */
	fsu_release(fs, text);
	return result;
}

fsha_result backup_read_with(const struct fsu *fs, const char *path,
			     fsha_framework_backup **ret_backup, fsha_error *reterr)
{
	fsha_framework_backup *backup;
	fsha_error error = FSHA_ERROR_INIT;
	json_error_t where;
	uint8_t *text;
	json_t *json;
	size_t len;
	int r;

	if (!path || !ret_backup)
		return error_set(reterr, FSHA_E_INVALID, 0, "read", "an argument is NULL");
	r = fsu_file_read(fs, AT_FDCWD, path, BACKUP_FILE_MAX, &text, &len);
	if (r == -ENOENT)
		return error_set(reterr, FSHA_E_NOT_FOUND, ENOENT, "open", "cannot read '%.200s'",
				 path);
	if (r < 0)
		return error_os(reterr, r, "read", "cannot read '%.200s'", path);
	json = json_loadb((const char *)text, len, JSON_REJECT_DUPLICATES, &where);
	fsu_release(fs, text);
	if (!json && json_error_code(&where) == json_error_out_of_memory)
		return error_os(reterr, -ENOMEM, "alloc", "cannot read '%.200s'", path);
	if (!json)
		return error_set(reterr, FSHA_E_CORRUPT, 0, "decode",
				 "'%.200s' cannot be restored: it is no JSON: line %d: %.100s",
				 path, where.line, where.text);
	backup = backup_from_json(fs, json, path, &error);
	json_decref(json);
	if (!backup)
		return error_copy(reterr, &error);
	*ret_backup = backup;
	return FSHA_OK;
}

fsha_result fsha_framework_backup_write(const fsha_framework_backup *backup, const char *path,
					fsha_error *reterr)
{
	return backup_write_with(&fsu_posix, backup, path, reterr);
}

fsha_result fsha_framework_backup_read(const char *path, fsha_framework_backup **ret_backup,
				       fsha_error *reterr)
{
	return backup_read_with(&fsu_posix, path, ret_backup, reterr);
}
