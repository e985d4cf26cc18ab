/* The doctor's own directory, and those that killed doctors left behind. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_list.h"
#include "src/cluster/layout.h"
#include "src/doctor/visit.h"

/* Locked before it gets its name: whoever finds the name can tell whether its doctor lives. */
#define ALIVE_NEW "~" DOCTOR_ALIVE
/* A directory without a lock file, or where locks may lie, is a leftover when it is this old. */
#define LEFT_AGE_NS (300 * FSU_NS_PER_S)
/* A bound on the work for what somebody else may have put there. */
#define SWEEP_MAX 100
#define REMOVE_TRIES 3

static int lock_alive(struct doctor *d)
{
	int r = fsu_lock_take(d->fs, d->work_fd, ALIVE_NEW, true, &d->alive);

	/* Where there are no locks the age alone decides; that there are none, a check tells. */
	if (r == -ENOLCK || r == -ENOSYS || r == -EOPNOTSUPP || r == -EINVAL)
		return 0;
	if (r < 0)
		return r;
	return fsu_renameat(d->fs, d->work_fd, ALIVE_NEW, d->work_fd, DOCTOR_ALIVE);
}

int doctor_work_make(struct doctor *d)
{
	char hex[FSU_UUID_HEX + 1];
	struct fsu_uuid id;
	int r;

	r = fsu_uuid_make(d->fs, &id);
	if (r < 0)
		return r;
	fsu_uuid_format(&id, hex);
	(void)snprintf(d->work, sizeof(d->work), DOCTOR_PREFIX "%s", hex);
	r = fsu_mkdirat(d->fs, d->dir_fd, d->work, FSU_DIR_MODE);
	if (r == 0) {
		r = d->work_fd = fsu_dir_open(d->fs, d->dir_fd, d->work);
		if (r >= 0)
			r = lock_alive(d);
	}
	if (r < 0)
		doctor_work_remove(d); /* also what was made, and the reply was lost */
	return r;
}

void doctor_work_remove(struct doctor *d)
{
	/* Before the file goes: NFS keeps one that is open under another name in its directory. */
	fsu_lock_release(d->fs, &d->alive);
	if (d->work_fd >= 0)
		(void)fsu_close(d->fs, d->work_fd); /* a directory */
	d->work_fd = -1;
	/* A call that failed once may work the next time; what stays is for the next doctor. */
	for (int i = 0; i < REMOVE_TRIES; i++) {
		int fd;

		layout_remove_tree(d->fs, d->dir_fd, d->work);
		fd = fsu_dir_open(d->fs, d->dir_fd, d->work);
		if (fd == -ENOENT)
			return;
		if (fd >= 0)
			(void)fsu_close(d->fs, fd); /* a directory */
	}
}

static bool is_work_name(const char *name)
{
	const size_t prefix = sizeof(DOCTOR_PREFIX) - 1;
	struct fsu_uuid id;

	return strncmp(name, DOCTOR_PREFIX, prefix) == 0 &&
	       fsu_uuid_parse(name + prefix, strlen(name + prefix), &id) == 0;
}

/* 1: its doctor lives, 0: it is dead, -ENOENT: there is no lock to ask. */
static int is_alive(struct doctor *d, int fd)
{
	int lock_fd = fsu_openat(d->fs, fd, DOCTOR_ALIVE,
				 O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	int r;

	if (lock_fd < 0)
		return lock_fd;
	r = fsu_lock_is_held(d->fs, lock_fd);
	(void)fsu_close(d->fs, lock_fd); /* nothing was written to it */
	return r;
}

/*
 * Of this user, and of a doctor that is no more. Ages are told by the server's clock alone, against
 * the directory that was made a moment ago.
 */
static bool is_left(struct doctor *d, int fd)
{
	const unsigned mask = STATX_UID | STATX_MTIME | STATX_TYPE;
	struct statx st, own;
	int alive;

	if (fsu_statx(d->fs, fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, mask, &st) < 0 ||
	    fsu_statx(d->fs, d->work_fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, mask, &own) < 0 ||
	    st.stx_uid != own.stx_uid)
		return false;
	alive = is_alive(d, fd);
	if (alive == 1)
		return false;
	if (alive == 0 && fsu_mount_locks_cluster_wide(&d->mount))
		return true;
	return (own.stx_mtime.tv_sec - st.stx_mtime.tv_sec) * FSU_NS_PER_S > LEFT_AGE_NS;
}

static void sweep(struct doctor *d, const char *name)
{
	int fd = fsu_dir_open(d->fs, d->dir_fd, name); /* follows no link */
	bool left;

	if (fd < 0)
		return;
	left = is_left(d, fd);
	(void)fsu_close(d->fs, fd); /* a directory */
	if (!left)
		return;
	layout_remove_tree(d->fs, d->dir_fd, name);
	fd = fsu_dir_open(d->fs, d->dir_fd, name);
	if (fd >= 0)
		(void)fsu_close(d->fs, fd); /* a directory */
	if (fd == -ENOENT)
		d->left_removed++;
	else
		d->left++;
}

void doctor_work_sweep(struct doctor *d)
{
	struct fsu_list list;
	unsigned seen = 0;

	fsu_list_init(&list, d->fs);
	if (fsu_list_pass(&list, d->dir_fd, "", true) == 0)
		for (size_t i = 0; i < list.count && seen < SWEEP_MAX; i++) {
			const char *name = fsu_list_name(&list, i);

			if (!is_work_name(name) || strcmp(name, d->work) == 0)
				continue;
			seen++;
			sweep(d, name);
		}
	fsu_list_done(&list);
}
