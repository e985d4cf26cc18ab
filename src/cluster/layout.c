#include "src/cluster/layout.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "src/record/name.h"
#include "src/result/error.h"

#define PATH_SIZE 4096

const char *const layout_directories[] = {
	LAYOUT_LEADERS,     LAYOUT_ELECTIONS,    LAYOUT_MEMBERS,     LAYOUT_JOB_GRAPHS,
	LAYOUT_JOB_RESULTS, LAYOUT_RUNNING_JOBS, LAYOUT_CHECKPOINTS, LAYOUT_BLOBS,
	LAYOUT_WORKERS,     LAYOUT_STATE,        LAYOUT_QUARANTINE,
};
const size_t layout_directories_count = sizeof(layout_directories) / sizeof(layout_directories[0]);

bool layout_is_fixed(const char *directory)
{
	for (size_t i = 0; i < layout_directories_count; i++)
		if (strcmp(directory, layout_directories[i]) == 0)
			return true;
	return false;
}

fsha_result layout_lost(const struct cluster *c, const char *directory, fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_CORRUPT, 0, "open",
			 "cluster directory '%s' has lost '%s' and all that was in it: put it "
			 "back, or restore a backup; see 'fsha verify'",
			 c->path, directory);
}

fsha_result layout_look_at_parent(const struct cluster *c, const char *path, fsha_error *reterr)
{
	char parent[PATH_SIZE];
	struct fsu_stamp stamp;
	int r;

	assert(strlen(path) < sizeof(parent));
	layout_parent(path, parent);
	r = fsu_stamp_read(c->fs, c->fd, parent, &stamp);
	if (r == -ENOENT && layout_is_fixed(parent)) {
		/* That, too, may be what a cache says. */
		r = fsu_stamp_read(c->fs, c->fd, "", &stamp);
		if (r == 0)
			r = fsu_stamp_read(c->fs, c->fd, parent, &stamp);
		if (r == -ENOENT)
			return layout_lost(c, parent, reterr);
	}
	return r < 0 ? error_os(reterr, r, "statx", "cannot look at '%s'",
				parent[0] ? parent : c->path) :
		       FSHA_OK;
}

fsha_result layout_list_failed(const struct cluster *c, const char *directory, int r,
			       fsha_error *reterr)
{
	return r == -ENOENT ? layout_lost(c, directory, reterr) :
			      error_os(reterr, r, "list", "cannot list '%s'", directory);
}

void layout_parent(const char *directory, char *ret_parent)
{
	const char *slash = strrchr(directory, '/');
	size_t len = slash ? (size_t)(slash - directory) : 0;

	if (slash == directory)
		len = 1; /* in the root of an absolute path */
	memcpy(ret_parent, directory, len);
	ret_parent[len] = '\0';
}

bool layout_is_quarantine_name(const char *name)
{
	struct fsu_uuid ignored;

	return strlen(name) > FSU_UUID_HEX && name[FSU_UUID_HEX] == '~' &&
	       fsu_uuid_parse(name, FSU_UUID_HEX, &ignored) == 0;
}

size_t settings_encode(const struct settings *settings, uint8_t *buf)
{
	struct fsu_writer w = { .buf = buf, .size = SETTINGS_SIZE };

	fsu_put_u32(&w, settings->format);
	fsu_put_uuid(&w, &settings->cluster);
	fsu_put_u32(&w, settings->lease_ms);
	return w.len;
}

int settings_decode(const uint8_t *buf, size_t len, struct settings *ret_settings)
{
	struct fsu_reader r = { .buf = buf, .size = len };
	struct settings settings;

	settings.format = fsu_get_u32(&r);
	/*
	 * A newer format may say more behind its number; that it is newer is all we need to know.
	 */
	if (!r.error && settings.format > CLUSTER_FORMAT) {
		*ret_settings = (struct settings){ .format = settings.format };
		return 0;
	}
	fsu_get_uuid(&r, &settings.cluster);
	settings.lease_ms = fsu_get_u32(&r);
	if (fsu_reader_end(&r) < 0 || settings.format == 0 ||
	    settings.lease_ms < CLUSTER_LEASE_MS_MIN || settings.lease_ms > CLUSTER_LEASE_MS_MAX)
		return -EBADMSG;
	*ret_settings = settings;
	return 0;
}

static fsha_result write_settings(const struct fsu *fs, int fd, uint32_t lease_ms,
				  fsha_error *reterr)
{
	struct settings settings = { .format = CLUSTER_FORMAT, .lease_ms = lease_ms };
	struct record_content content = {
		.kind = FSU_KIND_SETTINGS,
		.version = { .sequence = 1 },
		.key = LAYOUT_SETTINGS,
	};
	uint8_t payload[SETTINGS_SIZE];
	char name[NAME_SIZE];
	struct record_place place = { fs, &settings.cluster, fd, "" };
	fsha_result result;
	const char *op;
	uint8_t *buf;
	size_t len;
	int r;

	r = fsu_uuid_make(fs, &settings.cluster);
	if (r < 0)
		return error_os(reterr, r, "random", "cannot make a cluster's identity");
	content.size = settings_encode(&settings, payload);
	content.payload = payload;
	result = record_encode(&place, &content, &buf, &len, reterr);
	if (result != FSHA_OK)
		return result;
	name_format(LAYOUT_SETTINGS, &content.version, NAME_VALUE, name);
	r = fsu_file_stage(fs, fd, name, buf, len, &op);
	fsu_release(fs, buf);
	if (r < 0)
		return error_os(reterr, r, op, "cannot write '%s'", name);
	return FSHA_OK;
}

static fsha_result fill(const struct fsu *fs, int fd, uint32_t lease_ms, fsha_error *reterr)
{
	char floor[sizeof(LAYOUT_FLOOR) + 16];
	const char *op;
	int r;

	for (size_t i = 0; i < layout_directories_count; i++) {
		r = fsu_mkdirat(fs, fd, layout_directories[i], FSU_DIR_MODE);
		if (r < 0)
			return error_os(reterr, r, "mkdir", "cannot make '%s'",
					layout_directories[i]);
	}
	(void)snprintf(floor, sizeof(floor), LAYOUT_FLOOR "%016x", 0u);
	r = fsu_file_stage(fs, fd, floor, NULL, 0, &op);
	if (r < 0)
		return error_os(reterr, r, op, "cannot write '%s'", floor);
	return write_settings(fs, fd, lease_ms, reterr);
}

fsha_result layout_create(const struct fsu *fs, int parent_fd, const char *component,
			  uint32_t lease_ms, const char *path, fsha_error *reterr)
{
	struct fsu_uuid unique;
	char building[FSU_UUID_HEX + 8] = "~new-";
	fsha_result result;
	int fd, r;

	r = fsu_uuid_make(fs, &unique);
	if (r < 0)
		return error_os(reterr, r, "random", "cannot make cluster directory '%s'", path);
	fsu_uuid_format(&unique, building + strlen(building));

	r = fsu_mkdirat(fs, parent_fd, building, FSU_DIR_MODE);
	if (r < 0)
		return error_set(
			reterr, r == -EROFS || r == -EACCES ? FSHA_E_CONFIG : FSHA_E_IO, -r,
			"mkdir",
			"cannot make cluster directory '%s': the storage directory must be "
			"writable",
			path);
	fd = fsu_dir_open(fs, parent_fd, building);
	if (fd < 0) {
		result = error_os(reterr, fd, "open", "cannot make cluster directory '%s'", path);
		goto fail;
	}
	result = fill(fs, fd, lease_ms, reterr);
	r = result == FSHA_OK ? fsu_fsync(fs, fd) : 0;
	(void)fsu_close(fs, fd); /* A directory: nothing of it is lost by a failed close. */
	if (result != FSHA_OK)
		goto fail;
	if (r < 0) {
		result = error_os(reterr, r, "fsync", "cannot make cluster directory '%s'", path);
		goto fail;
	}

	/*
	 * Onto a directory that is not empty this fails: then somebody else made the cluster first.
	 */
	r = fsu_renameat(fs, parent_fd, building, parent_fd, component);
	if (r < 0) {
		layout_abandon(fs, parent_fd, building);
		if (r == -ENOTEMPTY || r == -EEXIST)
			return FSHA_OK;
		/* It may have happened all the same (a lost reply): the caller looks. */
		return error_os(reterr, r, "rename", "cannot make cluster directory '%s'", path);
	}
	r = fsu_fsync(fs, parent_fd);
	if (r < 0)
		return error_os(reterr, r, "fsync", "cannot make cluster directory '%s'", path);
	return FSHA_OK;
fail:
	layout_remove_tree(fs, parent_fd, building);
	return result;
}

static void remove_entries(const struct fsu *fs, int dir_fd, const char *path, int depth)
{
	struct fsu_list list;
	char child[PATH_SIZE];

	fsu_list_init(&list, fs);
	if (depth > 0 && fsu_list_pass(&list, dir_fd, path, true) == 0) {
		for (size_t i = 0; i < list.count; i++) {
			int n = snprintf(child, sizeof(child), "%s/%s", path,
					 fsu_list_name(&list, i));

			if (n < 0 || (size_t)n >= sizeof(child))
				continue;
			if (fsu_unlinkat(fs, dir_fd, child, 0) < 0)
				remove_entries(fs, dir_fd, child, depth - 1);
		}
	}
	fsu_list_done(&list);
	(void)fsu_unlinkat(fs, dir_fd, path, AT_REMOVEDIR); /* best effort by contract */
}

void layout_remove_tree(const struct fsu *fs, int dir_fd, const char *path)
{
	remove_entries(fs, dir_fd, path, 4);
}

void layout_abandon(const struct fsu *fs, int dir_fd, const char *path)
{
	char aside[PATH_SIZE];
	int n = snprintf(aside, sizeof(aside), "%s-gone", path);

	if (n >= 0 && (size_t)n < sizeof(aside) &&
	    fsu_renameat(fs, dir_fd, path, dir_fd, aside) == 0)
		layout_remove_tree(fs, dir_fd, aside);
}
