/* Whose files these are, and who else may touch them. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "fsutil/fsu_file.h"
#include "src/doctor/visit.h"

#define FILE_NAME "owner"

static void directory_mode(struct doctor *d)
{
	struct statx st;
	int r = fsu_statx(d->fs, d->dir_fd, "", AT_EMPTY_PATH, STATX_MODE | STATX_UID, &st);

	if (r < 0)
		doctor_failed(d, "look at the directory itself", r);
	else if (st.stx_mode & S_IWOTH && !(st.stx_mode & S_ISVTX))
		doctor_say(d, DOCTOR_FAIL, "take that right away: chmod o-w",
			   "everybody may make, rename and remove what is here (mode %04o)",
			   st.stx_mode & 07777);
	else if (st.stx_mode & S_IWOTH)
		doctor_say(d, DOCTOR_WARN, "use a directory that belongs to fsha's user",
			   "everybody may make directories here, as in /tmp (mode %04o): somebody "
			   "else may make the cluster's first",
			   st.stx_mode & 07777);
	else if (st.stx_mode & S_IWGRP && !(st.stx_mode & S_ISGID))
		doctor_say(
			d, DOCTOR_WARN,
			"take that right away (chmod g-w), or share it with the group on "
			"purpose (chmod 2770)",
			"the group may rename and remove what is here (mode %04o), but not read it",
			st.stx_mode & 07777);
	else
		doctor_ok(d, "mode %04o, of user %u%s", st.stx_mode & 07777, st.stx_uid,
			  st.stx_mode & S_IWGRP ? "; the users of its group share what is here" :
						  "");
}

/* By the rule that every reader goes by. */
static int readable(struct doctor *d)
{
	size_t size;
	int fd = fsu_file_open(d->fs, d->work_fd, FILE_NAME, &size);

	return fd < 0 ? fd : fsu_close(d->fs, fd);
}

static void judge_owner(struct doctor *d)
{
	struct statx st;
	int r = fsu_statx(d->fs, d->work_fd, FILE_NAME, AT_SYMLINK_NOFOLLOW, STATX_UID, &st);

	if (r < 0) {
		doctor_failed(d, "look at a file of one's own", r);
		return;
	}
	r = readable(d);
	if (r == -FSU_EFOREIGN)
		doctor_say(d, DOCTOR_FAIL,
			   "map users the same way at the server and on this host (idmapd, "
			   "anonuid)",
			   "a file that this user (%u) makes belongs to user %u, and the directory "
			   "that it is in to a third one: fsha refuses to read it",
			   geteuid(), st.stx_uid);
	else if (r < 0)
		doctor_failed(d, "open a file of one's own", r);
	else if (st.stx_uid == geteuid())
		doctor_ok(d, "what this user (%u) makes is this user's", geteuid());
	else if (geteuid() == 0)
		doctor_say(
			d, DOCTOR_WARN,
			"run fsha as an ordinary user, or export with no_root_squash",
			"the server takes root for user %u (root_squash): all hosts must run fsha "
			"as root, or none",
			st.stx_uid);
	else
		doctor_say(d, DOCTOR_WARN, "map users the same way on all hosts",
			   "the server takes this user (%u) for user %u (all_squash)", geteuid(),
			   st.stx_uid);
}

static void owner(struct doctor *d)
{
	int r = doctor_file_make(d, FILE_NAME);

	if (r < 0)
		doctor_failed(d, "make a file", r);
	else
		judge_owner(d);
	(void)fsu_unlinkat(d->fs, d->work_fd, FILE_NAME, 0); /* it goes with the rest otherwise */
}

/* Owner: all that is asked for. Others: nothing, and the group only where it shares. */
static void judge_modes(struct doctor *d, unsigned file, unsigned dir)
{
	const bool shared = (dir & (S_ISGID | S_IWGRP)) == (S_ISGID | S_IWGRP);
	const unsigned others = S_IRWXO | (shared ? 0 : S_IRWXG);

	if ((file & S_IRWXU) < FSU_FILE_MODE || (dir & S_IRWXU) < FSU_DIR_MODE)
		doctor_say(
			d, DOCTOR_FAIL,
			"set the umask of fsha's user to 0077 or 0022, and look for default ACLs",
			"what this user makes it may not use: files have mode %04o, directories "
			"%04o",
			file, dir);
	else if ((file | dir) & others)
		doctor_say(
			d, DOCTOR_WARN,
			"look at the mount options (umask, file_mode, dir_mode) and for default "
			"ACLs",
			"others may use what is made here: files have mode %04o instead of 0600, "
			"directories %04o instead of 0700",
			file, dir);
	else
		doctor_ok(d, "files have mode %04o, directories %04o, whatever the umask", file,
			  dir);
}

static void modes(struct doctor *d)
{
	struct statx file = { 0 }, dir = { 0 };
	int r = doctor_file_make(d, "modes");

	if (r == 0)
		r = fsu_statx(d->fs, d->work_fd, "modes", AT_SYMLINK_NOFOLLOW, STATX_MODE, &file);
	if (r == 0)
		r = fsu_statx(d->fs, d->work_fd, "", AT_EMPTY_PATH, STATX_MODE, &dir);
	if (r < 0)
		doctor_failed(d, "make a file and look at it", r);
	else
		judge_modes(d, file.stx_mode & 07777, dir.stx_mode & 07777);
	(void)fsu_unlinkat(d->fs, d->work_fd, "modes", 0); /* it goes with the rest otherwise */
}

static const struct doctor_check checks[] = {
	{ "directory-mode", directory_mode, false },
	{ "owner", owner, true },
	{ "modes", modes, true },
};
DOCTOR_ROOM(doctor_owner, checks);
