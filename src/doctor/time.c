/* What a host sees of changes, and when: directory times, revalidation, inotify, clocks. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "fsutil/fsu_list.h"
#include "src/doctor/visit.h"

#define STEPS 3                           /* times that differ, to tell how far apart they are */
#define STEPS_NS (FSU_NS_PER_S * 12 / 10) /* whole seconds show within that */
#define LOOKS_MAX 2000
#define COARSE_NS (FSU_NS_PER_S / 2)
#define NOTIFY_NS (FSU_NS_PER_S / 2)
#define SKEW_NS (60 * FSU_NS_PER_S)

static double ms(int64_t ns)
{
	return (double)ns / (double)FSU_NS_PER_MS;
}

static int rename_to(struct doctor *d, unsigned from, unsigned to)
{
	char a[32], b[32];

	(void)snprintf(a, sizeof(a), "time/%u", from);
	(void)snprintf(b, sizeof(b), "time/%u", to);
	return fsu_renameat(d->fs, d->work_fd, a, d->work_fd, b);
}

/* The smallest step between two times of a directory that changes all the time; 0: none was seen.
 */
static int measure_step(struct doctor *d, int64_t *ret_step_ns)
{
	const int64_t end_ns = fsu_now_ns(d->fs) + STEPS_NS;
	struct fsu_stamp before, after;
	unsigned steps = 0;
	int r = fsu_stamp_read(d->fs, d->work_fd, "time", &before);

	*ret_step_ns = 0;
	for (unsigned i = 0; r == 0 && i < LOOKS_MAX && steps < STEPS; i++) {
		r = rename_to(d, i, i + 1);
		if (r == 0)
			r = fsu_stamp_read(d->fs, d->work_fd, "time", &after);
		if (r == 0 && after.mtime_ns != before.mtime_ns) {
			int64_t step_ns = after.mtime_ns - before.mtime_ns;

			steps++;
			if (*ret_step_ns == 0 || step_ns < *ret_step_ns)
				*ret_step_ns = step_ns;
			before = after;
		}
		if (fsu_now_ns(d->fs) >= end_ns)
			break;
		fsu_sleep(d->fs, FSU_NS_PER_MS);
	}
	return r;
}

static void directory_times(struct doctor *d)
{
	int64_t step_ns = 0;
	int r = doctor_room_make(d, "time");

	if (r == 0)
		r = doctor_file_make(d, "time/0");
	if (r == 0)
		r = measure_step(d, &step_ns);
	if (r < 0)
		doctor_failed(d, "rename in a directory and look at its times", r);
	else if (step_ns == 0)
		doctor_say(d, DOCTOR_FAIL,
			   "use another filesystem: fsha would see no change of leader",
			   "the times of a directory do not change when its names do");
	else if (step_ns < 0)
		doctor_say(d, DOCTOR_WARN, "see that the server's clock is not set while it runs",
			   "the times of a directory went back by %.0f ms", ms(-step_ns));
	else if (step_ns >= COARSE_NS)
		doctor_say(d, DOCTOR_WARN,
			   "use larger inodes (ext4: 256 bytes) or another export; or live with it",
			   "directory times have steps of %.0f ms: fsha looks longer after each "
			   "change",
			   ms(step_ns));
	else
		doctor_ok(d, "directory times have steps of %.3g ms or less", ms(step_ns));
	doctor_room_remove(d, "time");
}

/* A name that was looked up in vain is remembered as absent, and must be found all the same. */
static void revalidation(struct doctor *d)
{
	int absent = doctor_exists(d, "fresh"), there = 0, gone = 0;
	int r = absent < 0 ? absent : doctor_file_make(d, "fresh");

	if (r == 0)
		r = there = doctor_exists(d, "fresh");
	if (r >= 0)
		r = fsu_unlinkat(d->fs, d->work_fd, "fresh", 0);
	if (r >= 0)
		r = gone = doctor_exists(d, "fresh");
	if (r < 0)
		doctor_failed(d, "ask the server for a name", r);
	else if (absent || !there || gone)
		doctor_say(
			d, DOCTOR_FAIL, "use another filesystem, or mount it without caches",
			"a look that asks the server (AT_STATX_FORCE_SYNC) was answered wrongly: "
			"%s",
			absent ? "a name that was never made is there" :
			!there ? "a new name is not there" :
				 "a removed name is there");
	else
		doctor_ok(d, "new and removed names are seen by asking");
}

/* 1: an event came; 0: none did; or an error. */
static int notify(struct doctor *d)
{
	const int64_t end_ns = fsu_now_ns(d->fs) + NOTIFY_NS;
	int fd = fsu_notify_open(d->fs);
	int r;

	if (fd < 0)
		return fd;
	r = fsu_notify_add(d->fs, fd, d->work_fd, "", IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
	if (r >= 0)
		r = doctor_file_make(d, "notify");
	if (r >= 0)
		r = fsu_wait(d->fs, &fd, 1, end_ns);
	(void)fsu_close(d->fs, fd);                         /* no file */
	(void)fsu_unlinkat(d->fs, d->work_fd, "notify", 0); /* it goes with the rest otherwise */
	return r < 0 ? r : r != 0;
}

static void inotify(struct doctor *d)
{
	int r;

	if (d->mount.kind != FSU_MOUNT_LOCAL) {
		doctor_ok(d, "not used: it does not see what other hosts do, so fsha polls");
		return;
	}
	r = notify(d);
	if (r == 1)
		doctor_ok(d, "changes are told at once");
	else
		doctor_say(d, DOCTOR_WARN,
			   "raise fs.inotify.max_user_watches and max_user_instances; or live with "
			   "polling",
			   "inotify does not work (%s): changes are seen by polling",
			   r == 0 ? "no event came" : strerrordesc_np(-r));
}

/* The server gives a file its times. Nothing rests on them; people compare them. */
static void clock_skew(struct doctor *d)
{
	struct statx st = { 0 };
	int64_t wall_ns = fsu_wall_ns(d->fs);
	int r = doctor_file_make(d, "clock");

	if (r == 0)
		r = fsu_statx(d->fs, d->work_fd, "clock", AT_STATX_FORCE_SYNC | AT_SYMLINK_NOFOLLOW,
			      STATX_MTIME, &st);
	if (r < 0) {
		doctor_failed(d, "make a file and look at its time", r);
	} else {
		d->skew_ns = st.stx_mtime.tv_sec * FSU_NS_PER_S + st.stx_mtime.tv_nsec - wall_ns;
		if (d->skew_ns > SKEW_NS || d->skew_ns < -SKEW_NS)
			doctor_say(d, DOCTOR_WARN,
				   "set the clocks (NTP), so that people can compare logs; fsha "
				   "compares no clocks of two hosts",
				   "file times are %.0f s %s this host's clock",
				   ms(d->skew_ns < 0 ? -d->skew_ns : d->skew_ns) / 1000,
				   d->skew_ns < 0 ? "behind" : "ahead of");
		else
			doctor_ok(d, "file times are within %.3g s of this host's clock",
				  ms(d->skew_ns < 0 ? -d->skew_ns : d->skew_ns) / 1000);
	}
	(void)fsu_unlinkat(d->fs, d->work_fd, "clock", 0); /* it goes with the rest otherwise */
}

static const struct doctor_check checks[] = {
	{ "directory-times", directory_times, true },
	{ "revalidation", revalidation, true },
	{ "inotify", inotify, true },
	{ "clock", clock_skew, true },
};
DOCTOR_ROOM(doctor_time, checks);
