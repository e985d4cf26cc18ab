#include "fsutil/fsu_watch.h"

#include <assert.h>
#include <sys/inotify.h>

/*
 * Whatever makes, moves or removes a name in the directory.
 */
#define NOTIFY_MASK \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR)
/* Part by which the interval grows with every look that finds nothing. */
#define SLOWER 8

int fsu_watch_init(struct fsu_watch *w, const struct fsu *fs, int dirfd, bool local,
		   int64_t poll_min_ns, int64_t poll_max_ns)
{
	assert(poll_min_ns > 0);
	assert(poll_max_ns >= poll_min_ns);
	*w = (struct fsu_watch){
		.fs = fs,
		.dirfd = dirfd,
		.notify_fd = -1,
		.local = local,
		.poll_min_ns = poll_min_ns,
		.poll_max_ns = poll_max_ns,
		.poll_ns = poll_min_ns,
		.next_ns = fsu_now_ns(fs),
	};
	if (!local)
		return 0; /* inotify does not see what other hosts do */

	/* Without it (no /proc, too many watches) polling does it all. */
	w->notify_fd = fsu_notify_open(fs);
	if (w->notify_fd < 0) {
		w->notify_fd = -1;
		return 0;
	}
	if (fsu_notify_add(fs, w->notify_fd, dirfd, "", NOTIFY_MASK) < 0) {
		(void)fsu_close(fs, w->notify_fd);
		w->notify_fd = -1;
	}
	return 0;
}

void fsu_watch_done(struct fsu_watch *w)
{
	if (w->notify_fd >= 0)
		(void)fsu_close(w->fs, w->notify_fd); /* no file */
	w->notify_fd = -1;
}

/* The interval after a look. */
static void adapt(struct fsu_watch *w, bool changed)
{
	if (changed)
		w->poll_ns = w->poll_min_ns;
	else if (w->poll_ns - w->poll_ns / SLOWER < w->poll_max_ns)
		w->poll_ns += w->poll_ns / SLOWER + 1;
	if (w->poll_ns > w->poll_max_ns)
		w->poll_ns = w->poll_max_ns;
}

int fsu_watch_look(struct fsu_watch *w)
{
	int64_t begun_ns = fsu_now_ns(w->fs);
	struct fsu_stamp stamp;
	bool changed, fresh;
	int64_t step_ns;
	int events = 0;
	int r;

	/* Before the stamp: an event that comes after this makes the descriptor readable again. */
	if (w->notify_fd >= 0)
		events = fsu_notify_drain(w->fs, w->notify_fd);
	r = fsu_stamp_read(w->fs, w->dirfd, "", &stamp);
	if (r < 0) {
		w->seen = false;
		w->settled = false;
		adapt(w, false);
		w->next_ns = fsu_now_ns(w->fs) + w->poll_ns;
		return r;
	}
	changed = !w->seen || !fsu_stamp_equal(&stamp, &w->stamp);
	if (changed) {
		w->stamp = stamp;
		w->stamp_since_ns = fsu_now_ns(w->fs);
		w->seen = true;
		w->settled = false;
	}
	/*
	 * Until the stamp was seen a clock step after it was first seen, a second change may hide
	 * behind it; so this look says changed once more, and is the last to do so if it began late
	 * enough.
	 */
	fresh = !w->settled;
	step_ns = fsu_stamp_step_ns(&w->stamp);
	if (begun_ns - w->stamp_since_ns >= step_ns)
		w->settled = true;
	adapt(w, changed || events > 0);
	w->next_ns = fsu_now_ns(w->fs) + (w->notify_fd >= 0 ? w->poll_max_ns : w->poll_ns);
	if (!w->settled && w->next_ns > w->stamp_since_ns + step_ns)
		w->next_ns = w->stamp_since_ns + step_ns;
	return changed || fresh || events > 0;
}
