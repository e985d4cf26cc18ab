#include "src/member/member.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_page.h"
#include "src/cluster/layout.h"
#include "src/member/info.h"
#include "src/record/name.h"
#include "src/result/error.h"

#define BEAT_NAME_SIZE (sizeof(MEMBER_BEAT) + 16)
#define PATH_SIZE (FSU_UUID_HEX + 300)

static const fsha_version info_version = { .sequence = 1 };

static void beat_name(uint64_t beat, char *ret_name)
{
	memcpy(ret_name, MEMBER_BEAT, sizeof(MEMBER_BEAT) - 1);
	fsu_hex_format(beat, 16, ret_name + sizeof(MEMBER_BEAT) - 1);
}

static fsha_result join_error(const struct cluster *c, int r, const char *op, fsha_error *reterr)
{
	if (r == -EROFS || r == -EACCES || r == -EPERM)
		return error_set(reterr, FSHA_E_CONFIG, -r, op,
				 "cannot become a member of '%s': the storage directory must be "
				 "writable for this user",
				 c->path);
	return error_os(reterr, r, op, "cannot become a member of '%s'", c->path);
}

static fsha_result write_info(struct member *m, fsha_error *reterr)
{
	char name[NAME_SIZE], directory[sizeof(LAYOUT_MEMBERS) + FSU_UUID_HEX + 1];
	struct record_place place = cluster_place(m->cluster, m->fd, directory);
	struct record_content content = {
		.kind = FSU_KIND_MEMBER,
		.version = info_version,
		.key = MEMBER_INFO,
	};
	uint8_t payload[INFO_SIZE_MAX];
	struct member_info info;
	fsha_result result;
	const char *op;
	uint8_t *buf;
	ssize_t n;
	size_t len;
	int r;

	info_collect(m->cluster, &info);
	n = info_encode(&info, payload, sizeof(payload));
	assert(n > 0);
	content.payload = payload;
	content.size = (size_t)n;
	(void)snprintf(directory, sizeof(directory), LAYOUT_MEMBERS "/%s", m->name);
	result = record_encode(&place, &content, &buf, &len, reterr);
	if (result != FSHA_OK)
		return result;
	name_format(MEMBER_INFO, &info_version, NAME_VALUE, name);
	r = fsu_file_stage(m->cluster->fs, m->fd, name, buf, len, &op);
	fsu_release(m->cluster->fs, buf);
	return r < 0 ? join_error(m->cluster, r, op, reterr) : FSHA_OK;
}

/* Everything that the directory holds from the first moment that others see it. */
static fsha_result fill(struct member *m, fsha_error *reterr)
{
	const struct fsu *fs = m->cluster->fs;
	char beat[BEAT_NAME_SIZE];
	const char *op;
	int r;

	r = fsu_lock_take(fs, m->fd, MEMBER_LOCK, true, &m->lock);
	if (r < 0)
		return join_error(m->cluster, r, "lock", reterr);
	beat_name(m->beat, beat);
	r = fsu_file_stage(fs, m->fd, beat, NULL, 0, &op);
	if (r < 0)
		return join_error(m->cluster, r, op, reterr);
	r = fsu_file_stage(fs, m->fd, MEMBER_WRITE_LOCK, NULL, 0, &op);
	if (r < 0)
		return join_error(m->cluster, r, op, reterr);
	r = fsu_mkdirat(fs, m->fd, MEMBER_STANDS, FSU_DIR_MODE);
	if (r < 0)
		return join_error(m->cluster, r, "mkdir", reterr);
	return write_info(m, reterr);
}

/*
 * Could the others read what this member writes? Files are their writer's alone, so those of root
 * in another user's cluster would stop its leaders: `m->fd` tells whose they are, also where a
 * server makes somebody else of root.
 */
static fsha_result check_user(const struct member *m, fsha_error *reterr)
{
	const struct cluster *c = m->cluster;
	struct statx dir, own;
	int r;

	r = fsu_statx(c->fs, c->fd, "", AT_EMPTY_PATH, STATX_UID | STATX_MODE, &dir);
	if (r == 0 && (dir.stx_uid == 0 || (dir.stx_mode & S_ISGID && dir.stx_mode & S_IWGRP)))
		return FSHA_OK;
	if (r == 0)
		r = fsu_statx(c->fs, m->fd, "", AT_EMPTY_PATH, STATX_UID, &own);
	if (r != 0)
		return join_error(c, r, "stat", reterr);
	if (own.stx_uid != 0)
		return FSHA_OK;
	return error_set(reterr, FSHA_E_CONFIG, 0, "join",
			 "cluster '%s' is user %u's, who could not read what root writes there: do "
			 "this as that user",
			 c->path, dir.stx_uid);
}

fsha_result member_join(const struct cluster *c, bool shared, struct member **ret_member,
			fsha_error *reterr)
{
	char building[FSU_UUID_HEX + 2] = "~";
	struct member *m;
	fsha_result result;
	int64_t start_ns;
	int r;

	m = fsu_alloc(c->fs, sizeof(*m));
	if (!m)
		return error_os(reterr, -ENOMEM, "alloc", "cannot become a member of '%s'",
				c->path);
	*m = (struct member){ .cluster = c, .fd = -1, .lock = FSU_LOCK_INIT };
	r = fsu_uuid_make(c->fs, &m->id);
	if (r == 0)
		r = lease_init(&m->lease, c->fs, &m->id, shared);
	if (r < 0) {
		fsu_release(c->fs, m);
		return error_os(reterr, r, "random", "cannot become a member of '%s'", c->path);
	}
	fsu_uuid_format(&m->id, m->name);
	(void)snprintf(building + 1, sizeof(building) - 1, "%s", m->name);

	r = fsu_mkdirat(c->fs, c->members_fd, building, FSU_DIR_MODE);
	if (r < 0) {
		result = join_error(c, r, "mkdir", reterr);
		goto fail;
	}
	m->fd = fsu_dir_open(c->fs, c->members_fd, building);
	if (m->fd < 0) {
		result = join_error(c, m->fd, "open", reterr);
		goto fail;
	}
	result = check_user(m, reterr);
	if (result == FSHA_OK)
		result = fill(m, reterr);
	if (result != FSHA_OK)
		goto fail;

	/* Nothing here has to survive a crash: a member is gone with its process. So no fsync. */
	start_ns = fsu_now_ns(c->fs);
	r = fsu_renameat(c->fs, c->members_fd, building, c->members_fd, m->name);
	if (r < 0) {
		result = join_error(c, r, "rename", reterr);
		/* If it happened all the same, the lock goes now and tells the others. */
		layout_remove_tree(c->fs, c->members_fd, m->name);
		goto fail;
	}
	lease_begin(&m->lease, start_ns, cluster_lease_ns(c));
	*ret_member = m;
	return FSHA_OK;
fail:
	layout_remove_tree(c->fs, c->members_fd, building);
	member_destroy(m);
	return result;
}

void member_retire(struct member *m)
{
	const struct fsu *fs = m->cluster->fs;

	lease_expire(&m->lease);
	fsu_lock_release(fs, &m->lock);
	if (m->fd >= 0)
		(void)fsu_close(fs, m->fd); /* a directory */
	m->fd = -1;
}

void member_destroy(struct member *m)
{
	if (!m)
		return;
	member_retire(m);
	lease_done(&m->lease);
	fsu_release(m->cluster->fs, m);
}

void member_remove(const struct cluster *c, const struct fsu_uuid *id)
{
	char name[FSU_UUID_HEX + 1];

	fsu_uuid_format(id, name);
	layout_remove_tree(c->fs, c->members_fd, name);
}

/*
 * After a failed rename: 1 the new name is there, 0 the old one, -ESTALE neither, or an error of
 * looking.
 */
static int which_beat(const struct member *m, const char *from, const char *to)
{
	struct fsu_list list;
	int r;

	fsu_list_init(&list, m->cluster->fs);
	r = fsu_list_pass(&list, m->cluster->members_fd, m->name, m->cluster->local);
	if (r == 0)
		r = fsu_list_has(&list, to) ? 1 : fsu_list_has(&list, from) ? 0 : -ESTALE;
	else if (r == -ENOENT)
		r = -ESTALE;
	fsu_list_done(&list);
	return r;
}

enum member_beat_result member_beat(struct member *m)
{
	const struct cluster *c = m->cluster;
	char from[PATH_SIZE], to[PATH_SIZE];
	int64_t start_ns = fsu_now_ns(c->fs);
	size_t prefix = FSU_UUID_HEX + 1;
	int r;

	if (!lease_is_alive(&m->lease))
		return MEMBER_BEAT_EXPIRED;
	if (!m->tried_ns)
		m->tried_ns = start_ns;

	/* By path, not by descriptor: a descriptor of a removed directory may hang (ceph-fuse). */
	(void)snprintf(from, sizeof(from), "%s/", m->name);
	(void)snprintf(to, sizeof(to), "%s/", m->name);
	beat_name(m->beat, from + prefix);
	beat_name(m->beat + 1, to + prefix);
	r = fsu_renameat(c->fs, c->members_fd, from, c->members_fd, to);
	if (r < 0) {
		r = which_beat(m, from + prefix, to + prefix);
		if (r == -ESTALE) {
			lease_expire(&m->lease);
			return MEMBER_BEAT_EXPIRED;
		}
		if (r <= 0)
			return MEMBER_BEAT_FAILED;
		/*
		 * Done, but perhaps by an earlier try whose reply was lost, or late: others may
		 * have seen it since, and count from there (test_member.c).
		 */
		start_ns = m->tried_ns;
	}
	m->beat++;
	m->tried_ns = 0;
	return lease_renew(&m->lease, start_ns, cluster_lease_ns(c)) ? MEMBER_BEAT_OK :
								       MEMBER_BEAT_EXPIRED;
}

static bool stand_path(const struct member *m, const char *component, uint64_t number, char *path,
		       size_t size)
{
	int n = snprintf(path, size, "%s/" MEMBER_STANDS "/%s~%llx", m->name, component,
			 (unsigned long long)number);

	return n > 0 && (size_t)n < size;
}

void member_stand(struct member *m, const char *component, uint64_t *ret_number)
{
	char path[PATH_SIZE];

	*ret_number = m->stands++;
	if (stand_path(m, component, *ret_number, path, sizeof(path)))
		(void)fsu_file_stage(m->cluster->fs, m->cluster->members_fd, path, NULL, 0, NULL);
}

void member_stand_down(struct member *m, const char *component, uint64_t number)
{
	char path[PATH_SIZE];

	/* Nobody ever opens this file, so removing it calls no delegation back. */
	if (stand_path(m, component, number, path, sizeof(path)))
		(void)fsu_unlinkat(m->cluster->fs, m->cluster->members_fd, path, 0);
}

fsha_result member_info_read(const struct cluster *c, const struct fsu_uuid *id,
			     struct member_info *ret_info, fsha_error *reterr)
{
	char directory[sizeof(LAYOUT_MEMBERS) + FSU_UUID_HEX + 1], file[NAME_SIZE];
	char path[PATH_SIZE], name[FSU_UUID_HEX + 1];
	struct record_place place;
	struct record record;
	fsha_result result;
	int fd;

	fsu_uuid_format(id, name);
	(void)snprintf(directory, sizeof(directory), LAYOUT_MEMBERS "/%s", name);
	name_format(MEMBER_INFO, &info_version, NAME_VALUE, file);
	(void)snprintf(path, sizeof(path), "%s", name);
	fd = fsu_dir_open(c->fs, c->members_fd, path);
	if (fd == -ENOENT || fd == -ESTALE)
		return error_set(reterr, FSHA_E_NOT_FOUND, -fd, "open", "there is no '%s'",
				 directory);
	if (fd < 0)
		return error_os(reterr, fd, "open", "cannot open '%s'", directory);
	place = cluster_place(c, fd, directory);
	result = record_read(&place, file, FSU_KIND_MEMBER, INFO_SIZE_MAX, &record, reterr);
	(void)fsu_close(c->fs, fd); /* a directory */
	if (result != FSHA_OK)
		return result;
	if (info_decode(record.data, record.size, ret_info) < 0)
		result = error_set(reterr, FSHA_E_CORRUPT, 0, "decode", "'%s/%s' is damaged",
				   directory, file);
	record_done(c->fs, &record);
	return result;
}
