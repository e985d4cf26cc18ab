/* Room for what is to come. */
#include <errno.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "src/doctor/visit.h"

#define MIB (UINT64_C(1) << 20)
#define FREE_FAIL (16 * MIB)
#define FREE_WARN (256 * MIB)
#define INODES_FAIL 1000
#define INODES_WARN 10000
#define QUOTA_BYTES (1u << 20)
#define ADVICE "make room: fsha writes a new file for every change, and old ones go later"

static bool look(struct doctor *d, struct statfs *ret_fs)
{
	int r = fsu_fstatfs(d->fs, d->dir_fd, ret_fs);

	if (r < 0)
		doctor_failed(d, "ask how much room there is", r);
	return r == 0;
}

static void space(struct doctor *d)
{
	struct statfs fs;
	uint64_t free_bytes;

	if (!look(d, &fs))
		return;
	free_bytes = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	if (fs.f_blocks == 0) /* CephFS without a manager daemon says 0 of 0 */
		doctor_say(d, DOCTOR_WARN, "ask the storage itself, and watch it",
			   "how much room there is is not told");
	else if (free_bytes < FREE_FAIL)
		doctor_say(d, DOCTOR_FAIL, ADVICE, "%llu MiB are free",
			   (unsigned long long)(free_bytes / MIB));
	else if (free_bytes < FREE_WARN)
		doctor_say(d, DOCTOR_WARN, ADVICE, "%llu MiB are free",
			   (unsigned long long)(free_bytes / MIB));
	else
		doctor_ok(d, "%llu MiB are free", (unsigned long long)(free_bytes / MIB));
}

static void inodes(struct doctor *d)
{
	struct statfs fs;

	if (!look(d, &fs))
		return;
	if (fs.f_files == 0)
		doctor_ok(d, "files are not counted here");
	else if (fs.f_ffree < INODES_FAIL)
		doctor_say(d, DOCTOR_FAIL, ADVICE, "%llu more files can be made",
			   (unsigned long long)fs.f_ffree);
	else if (fs.f_ffree < INODES_WARN)
		doctor_say(d, DOCTOR_WARN, ADVICE, "%llu more files can be made",
			   (unsigned long long)fs.f_ffree);
	else
		doctor_ok(d, "%llu more files can be made", (unsigned long long)fs.f_ffree);
}

/* Only a write shows a quota of any kind: of a user, a group, a project, a directory, a server. */
static void quota(struct doctor *d)
{
	void *data = fsu_alloc(d->fs, QUOTA_BYTES);
	const char *op = "write";
	int r = data ? fsu_file_stage(d->fs, d->work_fd, "quota", data, QUOTA_BYTES, &op) : -ENOMEM;

	if (r == -EDQUOT)
		doctor_say(d, DOCTOR_FAIL, "raise the quota of this user, group or directory",
			   "a quota leaves less than 1 MiB");
	else if (r < 0)
		doctor_failed(d, "write 1 MiB", r);
	else if (strstr(d->mount.options, "quota"))
		doctor_ok(d, "quotas are in force, and leave 1 MiB at least: see quota(1)");
	else
		doctor_ok(d, "no quota is in the way of 1 MiB");
	fsu_release(d->fs, data);
	(void)fsu_unlinkat(d->fs, d->work_fd, "quota", 0); /* it goes with the rest otherwise */
}

static const struct doctor_check checks[] = {
	{ "space", space, false },
	{ "inodes", inodes, false },
	{ "quota", quota, true },
};
DOCTOR_ROOM(doctor_space, checks);
