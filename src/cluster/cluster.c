#include "src/cluster/cluster.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_path.h"
#include "src/cluster/layout.h"
#include "src/record/name.h"
#include "src/result/error.h"

/* A floor above this leaves no epochs: somebody wrote it by hand. */
#define FLOOR_MAX (UINT64_MAX >> 1)

static fsha_result open_storage(const struct fsu *fs, const char *storage_dir, int *ret_fd,
				fsha_error *reterr)
{
	/* Symbolic links in the path to the storage directory are the administrator's business. */
	int fd = fsu_openat(fs, AT_FDCWD, storage_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	if (fd == -ENOENT)
		return error_set(reterr, FSHA_E_CONFIG, ENOENT, "open",
				 "storage directory '%s' is missing: make it, or mount its "
				 "filesystem",
				 storage_dir);
	if (fd == -ENOTDIR)
		return error_set(reterr, FSHA_E_CONFIG, ENOTDIR, "open",
				 "storage directory '%s' is no directory", storage_dir);
	if (fd == -EACCES)
		return error_set(reterr, FSHA_E_CONFIG, EACCES, "open",
				 "storage directory '%s' may not be read by this user",
				 storage_dir);
	if (fd < 0)
		return error_os(reterr, fd, "open", "cannot open storage directory '%s'",
				storage_dir);
	*ret_fd = fd;
	return FSHA_OK;
}

/*
 * Whoever made a name may not have made it durable yet; but what is written below it from now on is
 * promised to last, so the name must too. Who does not create may be a reader of storage that
 * fails, and goes on.
 */
static int sync_name(const struct fsu *fs, int dir_fd, bool create)
{
	int r = fsu_fsync(fs, dir_fd);

	/* Nothing is pending where nothing can be written; that it is so is said elsewhere. */
	return create && r != -EROFS ? r : 0;
}

/* Walk to the parent of the last component of an encoded id, making the directories before it. */
static fsha_result open_parent(const struct fsu *fs, int storage_fd, const char *id, bool create,
			       const char *path, int *ret_fd, const char **ret_last,
			       fsha_error *reterr)
{
	char part[FSU_COMPONENT_MAX + 1];
	int fd = storage_fd;
	const char *slash;

	while ((slash = strchr(id, '/')) != NULL) {
		int next, r;

		(void)snprintf(part, sizeof(part), "%.*s", (int)(slash - id), id);
		next = fsu_dir_open(fs, fd, part);
		if (next == -ENOENT && create) {
			r = fsu_mkdirat(fs, fd, part, FSU_DIR_MODE);
			next = r < 0 && r != -EEXIST ? r : fsu_dir_open(fs, fd, part);
		}
		r = next >= 0 ? sync_name(fs, fd, create) : 0;
		(void)fsu_close(fs, fd); /* a directory */
		if (r < 0) {
			(void)fsu_close(fs, next);
			next = r;
		}
		if (next == -ENOENT)
			return error_set(reterr, FSHA_E_NOT_FOUND, ENOENT, "open",
					 "there is no cluster at '%s'", path);
		if (next < 0)
			return error_os(reterr, next, "open", "cannot open cluster directory '%s'",
					path);
		fd = next;
		id = slash + 1;
	}
	*ret_fd = fd;
	*ret_last = id;
	return FSHA_OK;
}

/* The newest SETTINGS of the directory. NOT_FOUND: there is none. */
static fsha_result read_settings(struct cluster *c, fsha_error *reterr)
{
	struct record_place place = { c->fs, NULL, c->fd, "" };
	struct settings settings;
	struct fsu_list list;
	struct record record;
	const char *file;
	fsha_result result;
	int r;

	fsu_list_init(&list, c->fs);
	r = fsu_list_read(&list, c->fd, "", c->local, FSU_NS_PER_S);
	if (r < 0) {
		result = error_os(reterr, r, "list", "cannot read cluster directory '%s'", c->path);
		goto out;
	}
	file = name_newest(&list, LAYOUT_SETTINGS);
	if (!file) {
		result = error_set(reterr, FSHA_E_NOT_FOUND, 0, "list",
				   "there is no SETTINGS in '%s'", c->path);
		goto out;
	}
	result = record_read(&place, file, FSU_KIND_SETTINGS, 4096, &record, reterr);
	if (result != FSHA_OK)
		goto out;
	r = settings_decode(record.data, record.size, &settings);
	if (r == 0 && settings.format > CLUSTER_FORMAT)
		result =
			error_set(reterr, FSHA_E_UNSUPPORTED, 0, "decode",
				  "cluster '%s' has format %u, this version (%s) knows %u: upgrade "
				  "fsha on this host",
				  c->path, settings.format, fsha_library_version(), CLUSTER_FORMAT);
	else if (r < 0 || !fsu_uuid_equal(&settings.cluster, &record.head.cluster))
		result = error_set(
			reterr, FSHA_E_CORRUPT, 0, "decode",
			"the settings '%s/%s' are damaged: restore the file from a backup", c->path,
			file);
	if (result == FSHA_OK) {
		c->id = settings.cluster;
		c->format = settings.format;
		c->lease_ms = settings.lease_ms;
	}
	record_done(c->fs, &record);
out:
	fsu_list_done(&list);
	return result;
}

static fsha_result open_fixed(struct cluster *c, const char *name, int *ret_fd, fsha_error *reterr)
{
	int fd = fsu_dir_open(c->fs, c->fd, name);

	if (fd < 0)
		return error_os(reterr, fd, "open", "cannot open '%s/%s'", c->path, name);
	*ret_fd = fd;
	return FSHA_OK;
}

/* The same, of those that are there: what is missing is looked for twice. */
static fsha_result open_present(struct cluster *c, fsha_error *reterr)
{
	const char *const names[] = { LAYOUT_LEADERS, LAYOUT_ELECTIONS, LAYOUT_MEMBERS };
	int *const fds[] = { &c->leaders_fd, &c->elections_fd, &c->members_fd };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct fsu_stamp stamp;
		int fd = -ENOENT;

		for (int look = 0; look < 2 && (fd == -ENOENT || fd == -ESTALE); look++) {
			(void)fsu_stamp_read(c->fs, c->fd, "", &stamp);
			fd = fsu_dir_open(c->fs, c->fd, names[i]);
		}
		if (fd >= 0)
			*fds[i] = fd;
		else if (fd != -ENOENT && fd != -ENOTDIR && fd != -ELOOP)
			return error_os(reterr, fd, "open", "cannot open '%s/%s'", c->path,
					names[i]);
	}
	return FSHA_OK;
}

static bool has_elections(const struct cluster *c)
{
	int fd = fsu_dir_open(c->fs, c->fd, LAYOUT_ELECTIONS);

	if (fd >= 0)
		(void)fsu_close(c->fs, fd); /* a directory */
	return fd >= 0;
}

/* Everything behind the descriptor of the cluster directory. */
static fsha_result open_inside(struct cluster *c, const struct cluster_options *options,
			       fsha_error *reterr)
{
	fsha_result result;
	int r;

	r = fsu_mount_identify(c->fs, c->fd, &c->mount);
	if (r < 0)
		return error_os(reterr, r, "statfs", "cannot identify the filesystem of '%s'",
				c->path);
	c->local = c->mount.kind == FSU_MOUNT_LOCAL;
	if (c->mount.read_only && options->create)
		return error_set(reterr, FSHA_E_CONFIG, EROFS, "open",
				 "storage directory '%s' is mounted read-only",
				 options->storage_dir);

	result = read_settings(c, reterr);
	if (options->inspect &&
	    (result == FSHA_E_CORRUPT || (result == FSHA_E_NOT_FOUND && has_elections(c)))) {
		c->lease_ms = CLUSTER_LEASE_MS_DEFAULT;
		result = FSHA_OK;
	}
	if (result == FSHA_E_NOT_FOUND)
		return error_set(
			reterr, FSHA_E_CONFIG, 0, "open",
			"'%s' is not empty and no cluster directory (it has no SETTINGS): choose "
			"another cluster-id or empty it",
			c->path);
	if (result != FSHA_OK)
		return result;
	if (options->lease_ms && options->lease_ms != c->lease_ms)
		return error_set(
			reterr, FSHA_E_CONFIG, 0, "open",
			"the lease is configured as %u ms, but cluster '%s' has %u ms: all "
			"members must agree, set high-availability.filesystem.lease to %u ms",
			options->lease_ms, c->path, c->lease_ms, c->lease_ms);

	if (options->inspect)
		return open_present(c, reterr);
	result = open_fixed(c, LAYOUT_LEADERS, &c->leaders_fd, reterr);
	if (result == FSHA_OK)
		result = open_fixed(c, LAYOUT_ELECTIONS, &c->elections_fd, reterr);
	if (result == FSHA_OK)
		result = open_fixed(c, LAYOUT_MEMBERS, &c->members_fd, reterr);
	return result;
}

/*
 * Is it ours? In a storage directory that is like /tmp, where everybody may make directories,
 * somebody else may have made this one first; and where everybody may write, nobody's state is
 * safe.
 */
static fsha_result check_access(const struct cluster *c, int parent_fd, fsha_error *reterr)
{
	const unsigned mask = STATX_UID | STATX_MODE;
	const uint16_t anybodys = S_ISVTX | S_IWOTH;
	struct statx dir, parent;
	int r = fsu_statx(c->fs, c->fd, "", AT_EMPTY_PATH, mask, &dir);

	if (r == 0 && dir.stx_uid != 0 && dir.stx_uid != geteuid())
		r = fsu_statx(c->fs, parent_fd, "", AT_EMPTY_PATH, mask, &parent);
	else
		parent = dir;
	if (r < 0)
		return error_os(reterr, r, "stat", "cannot open cluster directory '%s'", c->path);
	if (dir.stx_mode & S_IWOTH)
		return error_set(reterr, FSHA_E_CONFIG, 0, "open",
				 "everybody may write in cluster directory '%s': take that right "
				 "away (chmod o-w), and look at what is in it",
				 c->path);
	if (dir.stx_uid != parent.stx_uid && (parent.stx_mode & anybodys) == anybodys &&
	    !(dir.stx_mode & S_ISGID && dir.stx_mode & S_IWGRP))
		return error_set(reterr, FSHA_E_CONFIG, 0, "open",
				 "cluster directory '%s' was made by another user (%u), in a "
				 "directory where everybody may do so: choose another one",
				 c->path, dir.stx_uid);
	return FSHA_OK;
}

static fsha_result open_or_create(struct cluster *c, int parent_fd, const char *component,
				  const struct cluster_options *options, fsha_error *reterr)
{
	struct fsu_list list;
	fsha_result result = FSHA_OK;
	bool empty;
	int fd, r;

	fd = fsu_dir_open(c->fs, parent_fd, component);
	if (fd >= 0 && options->create) {
		/* An empty directory that somebody made in advance is taken over. */
		fsu_list_init(&list, c->fs);
		empty = fsu_list_pass(&list, fd, "", c->local) == 0 && list.count == 0;
		fsu_list_done(&list);
		if (empty) {
			(void)fsu_close(c->fs, fd);
			fd = -ENOENT;
		}
	}
	if (fd == -ENOENT && options->create) {
		result = layout_create(c->fs, parent_fd, component,
				       options->lease_ms ? options->lease_ms :
							   CLUSTER_LEASE_MS_DEFAULT,
				       c->path, reterr);
		/* Whatever it said, what counts is what is there now. */
		fd = fsu_dir_open(c->fs, parent_fd, component);
		if (fd == -ENOENT && result != FSHA_OK)
			return result;
	}
	if (fd == -ENOENT)
		return error_set(reterr, FSHA_E_NOT_FOUND, ENOENT, "open",
				 "there is no cluster at '%s'", c->path);
	if (fd == -ENOTDIR || fd == -ELOOP)
		return error_set(reterr, FSHA_E_CONFIG, -fd, "open",
				 "'%s' is in the way of the cluster directory", c->path);
	if (fd < 0)
		return error_os(reterr, fd, "open", "cannot open cluster directory '%s'", c->path);
	c->fd = fd;
	/* Who only looks is told by verify. */
	result = options->inspect ? FSHA_OK : check_access(c, parent_fd, reterr);
	if (result == FSHA_OK)
		result = open_inside(c, options, reterr);
	if (result != FSHA_OK)
		return result;
	r = sync_name(c->fs, parent_fd, options->create);
	if (r < 0)
		return error_os(reterr, r, "fsync", "cannot open cluster directory '%s'", c->path);
	return FSHA_OK;
}

fsha_result cluster_open(const struct fsu *fs, const struct cluster_options *options,
			 struct cluster *ret_cluster, fsha_error *reterr)
{
	struct cluster c = {
		.fs = fs, .fd = -1, .leaders_fd = -1, .elections_fd = -1, .members_fd = -1
	};
	int storage_fd = -1, parent_fd = -1;
	char id[1024], path[PATH_MAX];
	const char *component = NULL;
	fsha_result result;
	int n, r;

	r = fsu_path_encode_id(options->cluster_id, id, sizeof(id));
	if (r < 0)
		return error_set(reterr, FSHA_E_CONFIG, -r, "encode",
				 "cluster-id '%.100s' is empty or too long", options->cluster_id);
	n = snprintf(path, sizeof(path), "%s/%s", options->storage_dir, id);
	if (n < 0 || (size_t)n >= sizeof(path))
		return error_set(reterr, FSHA_E_CONFIG, ENAMETOOLONG, "open",
				 "storage directory '%.100s...' is too long", options->storage_dir);
	c.path = fsu_strdup(fs, path);
	if (!c.path)
		return error_os(reterr, -ENOMEM, "alloc", "cannot open cluster '%s'", path);

	result = open_storage(fs, options->storage_dir, &storage_fd, reterr);
	if (result == FSHA_OK)
		result = open_parent(fs, storage_fd, id, options->create, path, &parent_fd,
				     &component, reterr);
	if (result == FSHA_OK) {
		result = open_or_create(&c, parent_fd, component, options, reterr);
		(void)fsu_close(fs, parent_fd);
	}
	if (result != FSHA_OK) {
		cluster_close(&c);
		return result;
	}
	*ret_cluster = c;
	return FSHA_OK;
}

static void close_fd(const struct fsu *fs, int fd)
{
	if (fd >= 0)
		(void)fsu_close(fs, fd); /* Directories, open for reading. */
}

void cluster_close(struct cluster *c)
{
	close_fd(c->fs, c->leaders_fd);
	close_fd(c->fs, c->elections_fd);
	close_fd(c->fs, c->members_fd);
	close_fd(c->fs, c->fd);
	c->leaders_fd = c->elections_fd = c->members_fd = c->fd = -1;
	fsu_release(c->fs, c->path);
	c->path = NULL;
}

fsha_result cluster_floor_read(const struct cluster *c, uint64_t *ret_floor, fsha_error *reterr)
{
	const size_t prefix = strlen(LAYOUT_FLOOR);
	struct fsu_list list;
	uint64_t floor = 0;
	bool found = false;
	int r;

	fsu_list_init(&list, c->fs);
	/* A scan during a rename may miss both names; the floor changes hardly ever. */
	for (int i = 0; i < 5 && !found; i++) {
		r = fsu_list_pass(&list, c->fd, "", c->local);
		if (r < 0)
			break;
		for (size_t j = 0; j < list.count; j++) {
			const char *name = fsu_list_name(&list, j);
			uint64_t value;

			if (strncmp(name, LAYOUT_FLOOR, prefix) != 0 ||
			    strlen(name) != prefix + 16 ||
			    fsu_hex_parse(name + prefix, 16, &value) < 0 || value > FLOOR_MAX)
				continue;
			found = true;
			if (value > floor)
				floor = value;
		}
	}
	fsu_list_done(&list);
	if (r < 0)
		return error_os(reterr, r, "list", "cannot read the floor of '%s'", c->path);
	if (!found)
		return error_set(
			reterr, FSHA_E_CORRUPT, 0, "list",
			"cluster directory '%s' has lost its floor file: make an empty file "
			"floor-<16 hex digits> whose number is at least the highest epoch",
			c->path);
	*ret_floor = floor;
	return FSHA_OK;
}

fsha_result cluster_floor_raise(const struct cluster *c, uint64_t floor, fsha_error *reterr)
{
	char from[32], to[32];
	uint64_t now;

	if (floor > FLOOR_MAX)
		return error_set(reterr, FSHA_E_INVALID, 0, "rename", "a floor of %llu is too high",
				 (unsigned long long)floor);
	for (int i = 0; i < 10; i++) {
		fsha_result result = cluster_floor_read(c, &now, reterr);
		int r;

		if (result != FSHA_OK)
			return result;
		if (now >= floor) {
			/*
			 * Perhaps by a rename of ours whose reply was lost: make it durable in any
			 * case.
			 */
			r = fsu_fsync(c->fs, c->fd);
			if (r < 0)
				return error_os(reterr, r, "fsync",
						"cannot raise the floor of '%s'", c->path);
			return FSHA_OK;
		}
		(void)snprintf(from, sizeof(from), LAYOUT_FLOOR "%016llx", (unsigned long long)now);
		(void)snprintf(to, sizeof(to), LAYOUT_FLOOR "%016llx", (unsigned long long)floor);
		r = fsu_renameat(c->fs, c->fd, from, c->fd, to);
		if (r < 0 && r != -ENOENT)
			return error_os(reterr, r, "rename", "cannot raise the floor of '%s'",
					c->path);
	}
	return error_set(reterr, FSHA_E_TIMEOUT, 0, "rename",
			 "cannot raise the floor of '%s': others keep changing it", c->path);
}
