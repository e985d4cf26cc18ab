#include "src/member/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_lock.h"
#include "src/member/member.h"

#define PATH_SIZE (FSU_UUID_HEX + 64)
/*
 * How long to look for a beat that a listing did not show: longer than the coarsest clock step, for
 * else a member without a beat could never be told from one whose beat was missed.
 */
#define BEAT_LOOK_NS (2 * FSU_CLOCK_STEP_COARSE_NS)

void member_watch_init(struct member_watch *w, const struct cluster *c, const struct fsu_uuid *id)
{
	*w = (struct member_watch){
		.cluster = c,
		.id = *id,
		.lock_fd = -1,
		.notify_fd = -1,
		.verdict = MEMBER_UNKNOWN,
	};
	fsu_uuid_format(id, w->name);
}

void member_watch_done(struct member_watch *w)
{
	const struct fsu *fs = w->cluster->fs;

	if (w->lock_fd >= 0)
		(void)fsu_close(fs, w->lock_fd); /* opened for reading */
	if (w->notify_fd >= 0)
		(void)fsu_close(fs, w->notify_fd);
	w->lock_fd = w->notify_fd = -1;
}

/* Let a close of the lock file wake us: the owner's close is the one for writing. */
static void notify_lock(struct member_watch *w, const char *path)
{
	const struct fsu *fs = w->cluster->fs;

	if (!w->cluster->local)
		return; /* inotify does not see other hosts */
	w->notify_fd = fsu_notify_open(fs);
	if (w->notify_fd < 0) {
		w->notify_fd = -1;
		return;
	}
	if (fsu_notify_add(fs, w->notify_fd, w->cluster->members_fd, path, IN_CLOSE_WRITE) < 0) {
		(void)fsu_close(fs, w->notify_fd);
		w->notify_fd = -1;
	}
}

static void open_lock(struct member_watch *w)
{
	const struct cluster *c = w->cluster;
	char path[PATH_SIZE];
	int fd;

	if (w->lock_fd >= 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/" MEMBER_LOCK, w->name);
	fd = fsu_openat(c->fs, c->members_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
			0);
	if (fd < 0)
		return; /* the heartbeat alone counts then */
	w->lock_fd = fd;
	notify_lock(w, path);
}

static void read_info(struct member_watch *w)
{
	struct member_info info;

	if (w->info_read)
		return;
	if (member_info_read(w->cluster, &w->id, &info, NULL) != FSHA_OK)
		return;
	w->info_read = true;
	w->lock_believed =
		info.locks_cluster_wide && fsu_mount_locks_cluster_wide(&w->cluster->mount);
}

enum member_verdict member_watch_look_at_lock(struct member_watch *w)
{
	int held;

	if (member_verdict_is_dead(w->verdict) || w->lock_fd < 0)
		return w->verdict;
	held = fsu_lock_is_held(w->cluster->fs, w->lock_fd);
	w->lock_held = held == 1;
	if (held == 1)
		w->seen_held = true;
	else if (held == 0 && (w->seen_held || w->lock_believed))
		w->verdict = MEMBER_DEAD_LOCK;
	return w->verdict;
}

static bool find_beat(const struct fsu_list *list, uint64_t *ret_beat)
{
	const size_t prefix = sizeof(MEMBER_BEAT) - 1;
	bool found = false;

	for (size_t i = 0; i < list->count; i++) {
		const char *name = fsu_list_name(list, i);
		uint64_t beat;

		if (strncmp(name, MEMBER_BEAT, prefix) != 0 || strlen(name) != prefix + 16 ||
		    fsu_hex_parse(name + prefix, 16, &beat) < 0)
			continue;
		if (!found || beat > *ret_beat)
			*ret_beat = beat;
		found = true;
	}
	return found;
}

/* That name stays, and no beat comes after it: a beat is renamed from the one before. */
static bool was_expelled(const struct fsu_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (strncmp(fsu_list_name(list, i), MEMBER_EXPELLED, strlen(MEMBER_EXPELLED)) == 0)
			return true;
	return false;
}

/*
 * The beat in a member's directory. 1: found; 0: there is none; -EAGAIN: it cannot be told, for a
 * scan during the rename may show neither name; or an error of looking.
 */
static int read_beat(const struct cluster *c, const char *member, uint64_t *ret_beat)
{
	const int64_t deadline_ns = fsu_now_ns(c->fs) + BEAT_LOOK_NS;
	int64_t pause_ns = FSU_CLOCK_STEP_NS;
	struct fsu_list list;
	bool found;
	int r;

	fsu_list_init(&list, c->fs);
	for (;;) {
		r = fsu_list_pass(&list, c->members_fd, member, c->local);
		found = r == 0 && find_beat(&list, ret_beat);
		if (r < 0 || found || list.stable || was_expelled(&list))
			break;
		if (fsu_now_ns(c->fs) >= deadline_ns) {
			r = -EAGAIN;
			break;
		}
		fsu_sleep(c->fs, pause_ns);
		pause_ns *= 2;
	}
	fsu_list_done(&list);
	return r < 0 ? r : found;
}

static void look_at_beat(struct member_watch *w)
{
	const struct cluster *c = w->cluster;
	int64_t span_ns = cluster_lease_ns(c) + cluster_lease_ns(c) / 4;
	int64_t begun_ns = fsu_now_ns(c->fs);
	struct fsu_stamp stamp;
	uint64_t beat = 0;
	int r;

	/* Revalidate from the top: the name itself may be cached. */
	r = fsu_stamp_read(c->fs, c->members_fd, "", &stamp);
	if (r < 0)
		return;
	r = read_beat(c, w->name, &beat);
	if (r == -ENOENT) {
		w->verdict = MEMBER_GONE;
		return;
	}
	/* Something else in its place is no sign of life: time runs as for a beat that stands
	 * still. */
	if (r < 0 && r != -ENOTDIR)
		return;
	if (r >= 0 && w->verdict == MEMBER_UNKNOWN)
		w->verdict = MEMBER_ALIVE;
	if (r == 1 && (!w->beat_seen || beat != w->beat)) {
		w->beat_changed = w->beat_seen;
		w->beat = beat;
		w->beat_seen = true;
		w->unchanged_since_ns = fsu_now_ns(c->fs);
		return;
	}
	if (!w->beat_seen) {
		/*
		 * No beat file at all: it was expelled, or damaged by hand. Time runs as for a
		 * still one.
		 */
		w->beat_seen = true;
		w->beat = UINT64_MAX;
		w->unchanged_since_ns = fsu_now_ns(c->fs);
		return;
	}
	if (begun_ns > w->unchanged_since_ns + span_ns)
		w->verdict = MEMBER_DEAD_BEAT;
}

enum member_verdict member_watch_look(struct member_watch *w)
{
	if (member_verdict_is_dead(w->verdict))
		return w->verdict;
	open_lock(w);
	if (!w->seen_held)
		read_info(w);
	if (member_verdict_is_dead(member_watch_look_at_lock(w)))
		return w->verdict;
	look_at_beat(w);
	return w->verdict;
}

bool member_watch_may_live(const struct member_watch *w)
{
	const struct cluster *c = w->cluster;

	/* Somebody took its directory away: a clean leave would have resigned before. */
	if (w->verdict == MEMBER_GONE)
		return true;
	if (w->verdict != MEMBER_DEAD_LOCK || c->local)
		return false;
	return !c->mount.lock_lease_ms || c->lease_ms >= c->mount.lock_lease_ms;
}

int member_expel(const struct cluster *c, const struct fsu_uuid *id)
{
	char name[FSU_UUID_HEX + 1], from[PATH_SIZE], to[PATH_SIZE];
	uint64_t beat = 0;
	int r;

	fsu_uuid_format(id, name);
	r = read_beat(c, name, &beat);
	if (r <= 0) /* none, or no directory: it was expelled before, or is gone */
		return r == -ENOENT ? 0 : r;
	(void)snprintf(from, sizeof(from), "%s/" MEMBER_BEAT "%016llx", name,
		       (unsigned long long)beat);
	(void)snprintf(to, sizeof(to), "%s/" MEMBER_EXPELLED "%016llx", name,
		       (unsigned long long)beat);
	r = fsu_renameat(c->fs, c->members_fd, from, c->members_fd, to);
	return r == -ENOENT ? -EAGAIN : r;
}
