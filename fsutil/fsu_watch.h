/*
 * A directory poller: tells when a directory has changed. One statx(FORCE_SYNC) a poll; inotify
 * makes it immediate on local filesystems, polling is what correctness rests on. Since times have
 * coarse steps, a change seen less than a step after the last one is looked at again. The rate
 * adapts: fast for a while after a change, slower when nothing happens, never slower than
 * `poll_max_ns`.
 */
#ifndef FSU_WATCH_H
#define FSU_WATCH_H

#include <stdbool.h>

#include "fsutil/fsu_list.h"

struct fsu_watch {
	const struct fsu *fs;
	int dirfd;     /* the directory itself; borrowed */
	int notify_fd; /* -1: none */
	bool local;
	int64_t poll_min_ns, poll_max_ns;
	int64_t poll_ns; /* the present interval */
	struct fsu_stamp stamp;
	int64_t stamp_since_ns; /* when this stamp was first seen */
	bool seen;              /* stamp is valid */
	bool settled;    /* and was seen again a clock step later: no change can hide behind it */
	int64_t next_ns; /* when to look again */
};

int fsu_watch_init(struct fsu_watch *w, const struct fsu *fs, int dirfd, bool local,
		   int64_t poll_min_ns, int64_t poll_max_ns);
void fsu_watch_done(struct fsu_watch *w);
/*
 * Look once. 1: changed since the last look (or the first look, or too fresh to tell); 0: not; or
 * an error of statx, after which the next successful look says changed. Sets next_ns. A caller that
 * lists after a 1 and polls by next_ns misses nothing.
 */
int fsu_watch_look(struct fsu_watch *w);

#endif
