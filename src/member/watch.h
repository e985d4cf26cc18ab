/*
 * Watching another member: is its process alive? A state machine of looks; who calls them and when
 * is the caller's affair (a thread of its own for each watched member, because a look may hang).
 *
 *   lock seen free, and locks can be believed     -> DEAD_LOCK at once
 *   directory gone (it left, or was cleared away) -> GONE
 *   beat unchanged for 5/4 lease                  -> DEAD_BEAT
 *   otherwise                                     -> ALIVE
 *
 * The span of an unchanged beat starts when the look that saw the last change *ended*, and the look
 * that condemns must *begin* after it; a look that fails says nothing. A lock is believed only
 * after this process has seen it held, or where this mount and the member's own info both say that
 * locks are cluster-wide.
 *
 * On a network filesystem a freed lock may belong to a member that was cut off and still leads by
 * its own clock, unless the lease is shorter than the server's lock lease: member_watch_may_live
 * tells. Then fence at once, but be granted only after the old lease has run out.
 */
#ifndef SRC_MEMBER_WATCH_H
#define SRC_MEMBER_WATCH_H

#include "src/cluster/cluster.h"

enum member_verdict {
	MEMBER_ALIVE,
	MEMBER_UNKNOWN, /* no look has succeeded yet */
	MEMBER_DEAD_LOCK,
	MEMBER_DEAD_BEAT,
	MEMBER_GONE,
};

struct member_watch {
	const struct cluster *cluster;
	struct fsu_uuid id;
	char name[FSU_UUID_HEX + 1];
	int lock_fd;   /* its lock file, open for asking; -1: not yet */
	int notify_fd; /* inotify of the lock file on a local filesystem; -1: none */
	bool seen_held;
	bool lock_believed; /* by both sides' mount options */
	bool info_read;
	uint64_t beat;
	bool beat_seen;
	bool beat_changed;          /* since the first look: it is alive beyond doubt */
	int64_t unchanged_since_ns; /* end of the look that saw the last change */
	enum member_verdict verdict;
	bool lock_held; /* as of the last look; meaningful with seen_held */
};

void member_watch_init(struct member_watch *w, const struct cluster *c, const struct fsu_uuid *id);
void member_watch_done(struct member_watch *w);

/* Look once. A verdict of death is final. */
enum member_verdict member_watch_look(struct member_watch *w);
/* The lock alone, which is cheap: for the moment after its file was closed. */
enum member_verdict member_watch_look_at_lock(struct member_watch *w);

/*
 * With a verdict of death: may the member still lead by its own clock? Also when its directory is
 * gone: who left cleanly has resigned before. Then see struct claim.
 */
bool member_watch_may_live(const struct member_watch *w);

static inline bool member_verdict_is_dead(enum member_verdict verdict)
{
	return verdict == MEMBER_DEAD_LOCK || verdict == MEMBER_DEAD_BEAT || verdict == MEMBER_GONE;
}

/*
 * Take the next heartbeat away from a member whose lock was freed although it may still live:
 * renames its beat file, so that its next beat finds nothing and its lease ends. 0, or an error
 * (-EAGAIN: it has just beaten; look again).
 */
int member_expel(const struct cluster *c, const struct fsu_uuid *id);

#endif
