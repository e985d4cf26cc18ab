/*
 * A directory of one's own for job results. What is published there is renamed out of the tenure,
 * which works within one mounted filesystem only, and is what fences it.
 */
#include <errno.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/job_result/job_result.h"
#include "src/result/error.h"

static fsha_result refuse(const struct fsha_services *s, const char *why, int os_errno,
			  fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_CONFIG, os_errno, "open",
			 "cannot use " FSHA_KEY_JOB_RESULT_PATH " '%.200s': %s", s->job_result_path,
			 why);
}

/* The directory, or the one that it will be made in. */
static int open_nearest(const struct fsha_services *s, bool *ret_is_parent)
{
	const struct fsu *fs = services_fs(s);
	char parent[STORE_PATH_SIZE];
	struct fsu_stamp stamp;
	int fd;

	layout_parent(s->job_result_path, parent);
	/* Look before an absence is believed: a negative lookup may be cached. */
	(void)fsu_stamp_read(fs, s->cluster.fd, parent, &stamp);
	fd = fsu_dir_open(fs, s->cluster.fd, s->job_result_path);
	*ret_is_parent = fd == -ENOENT;
	return fd == -ENOENT ? fsu_dir_open(fs, s->cluster.fd, parent) : fd;
}

static fsha_result compare(const struct fsha_services *s, int fd, fsha_error *reterr)
{
	const struct cluster *c = &s->cluster;
	struct fsu_stamp here = { 0 }, there = { 0 };
	struct fsu_mount mount;
	int r;

	r = fsu_stamp_read(c->fs, fd, "", &there);
	if (r == 0)
		r = fsu_stamp_read(c->fs, c->fd, "", &here);
	if (r == 0)
		r = fsu_mount_identify(c->fs, fd, &mount);
	if (r < 0)
		return error_os(reterr, r, "statx", "cannot look at '%s'", s->job_result_path);
	/* One filesystem that is mounted at two places counts as two: rename says EXDEV. */
	if (here.device == there.device && strcmp(mount.target, c->mount.target) == 0)
		return FSHA_OK;
	return error_set(
		reterr, FSHA_E_CONFIG, EXDEV, "open",
		"cannot use " FSHA_KEY_JOB_RESULT_PATH
		" '%.160s': it is not on the filesystem of the cluster directory '%.160s'; "
		"name a directory there",
		s->job_result_path, c->path);
}

fsha_result job_result_check_place(const struct fsha_services *s, fsha_error *reterr)
{
	fsha_result result;
	bool is_parent;
	int fd;

	if (strlen(s->job_result_path) >= STORE_PATH_SIZE)
		return refuse(s, "too long", 0, reterr);
	fd = open_nearest(s, &is_parent);
	if (fd < 0 && is_parent)
		return refuse(s, "the directory that it is to be made in cannot be opened", -fd,
			      reterr);
	if (fd < 0)
		return refuse(s, "it cannot be opened as a directory", -fd, reterr);
	result = compare(s, fd, reterr);
	(void)fsu_close(services_fs(s), fd); /* a directory */
	return result;
}
