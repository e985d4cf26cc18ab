#include "src/maintenance/remains.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_lock.h"
#include "src/cluster/layout.h"
#include "src/member/member.h"
#include "src/member/watch.h"

#define PATH_SIZE 320

/* Does a process hold the lock file of a member, finished or not? Only where a lock is the truth.
 */
static bool is_locked(const struct cluster *c, const char *directory)
{
	char path[PATH_SIZE + sizeof(MEMBER_LOCK)];
	bool held;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/" MEMBER_LOCK, directory);
	fd = fsu_openat(c->fs, c->fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	held = fsu_lock_is_held(c->fs, fd) != 0;
	(void)fsu_close(c->fs, fd); /* opened for reading */
	return held && c->local;
}

/* A member without a lock file is half taken apart. */
static bool has_lock(const struct cluster *c, const char *directory)
{
	struct fsu_list list;
	bool has;

	fsu_list_init(&list, c->fs);
	has = fsu_list_pass(&list, c->fd, directory, c->local) < 0 ||
	      fsu_list_has(&list, MEMBER_LOCK);
	fsu_list_done(&list);
	return has;
}

/* By its lock, where that can be believed and it cannot live on by its own clock. */
static bool is_dead_by_lock(const struct cluster *c, const struct fsu_uuid *id)
{
	struct member_watch watch;
	bool dead;

	member_watch_init(&watch, c, id);
	/* MEMBER_GONE: half taken apart by another. */
	dead = member_watch_look(&watch) == MEMBER_DEAD_LOCK && !member_watch_may_live(&watch);
	member_watch_done(&watch);
	return dead;
}

/* What came of it. `now`: how it is called by then. */
static size_t taken(const struct cluster *c, const struct remains_policy *p, enum remains_kind kind,
		    const char *directory, const char *now)
{
	struct fsu_stamp stamp;
	bool gone = fsu_stamp_read(c->fs, c->fd, now, &stamp) == -ENOENT;

	if (p->taken)
		p->taken(p->ctx, kind, gone ? directory : now, gone);
	return gone;
}

static size_t member(struct still *still, const struct remains_policy *p, const char *directory,
		     const struct fsu_uuid *id)
{
	const struct cluster *c = still->cluster;
	bool still_dead;

	if (p->own && fsu_uuid_equal(p->own, id))
		return 0;
	still_dead = still_is_dead(still, directory);
	if (!is_dead_by_lock(c, id) && (!still_dead || is_locked(c, directory))) {
		if (p->wait && !has_lock(c, directory))
			p->wait(p->ctx, REMAINS_MEMBER, directory);
		return 0;
	}
	if (p->take && !p->take(p->ctx, REMAINS_MEMBER, directory))
		return 0;
	member_remove(c, id);
	return taken(c, p, REMAINS_MEMBER, directory, directory);
}

static size_t leftover(struct still *still, const struct remains_policy *p, const char *parent,
		       const char *directory)
{
	const struct cluster *c = still->cluster;
	char gone[PATH_SIZE + FSU_UUID_HEX];
	struct fsu_uuid unique;
	int n;

	if (!still_is_dead(still, directory) || is_locked(c, directory)) {
		if (p->wait)
			p->wait(p->ctx, REMAINS_LEFTOVER, directory);
		return 0;
	}
	if (p->take && !p->take(p->ctx, REMAINS_LEFTOVER, directory))
		return 0;
	if (fsu_uuid_make(c->fs, &unique) < 0)
		return taken(c, p, REMAINS_LEFTOVER, directory, directory);
	n = snprintf(gone, sizeof(gone), "%s/~", parent);
	fsu_uuid_format(&unique, gone + n);
	if (fsu_renameat(c->fs, c->fd, directory, c->fd, gone) < 0)
		/* Its builder came back, or another takes it away. */
		return taken(c, p, REMAINS_LEFTOVER, directory, directory);
	if (fsu_unlinkat(c->fs, c->fd, gone, 0) < 0)
		layout_remove_tree(c->fs, c->fd, gone);
	return taken(c, p, REMAINS_LEFTOVER, directory, gone);
}

static size_t look_in(struct still *still, const struct remains_policy *p, const char *parent)
{
	const struct cluster *c = still->cluster;
	char directory[PATH_SIZE];
	struct fsu_list list;
	struct fsu_uuid id;
	size_t taken = 0;

	fsu_list_init(&list, c->fs);
	if (fsu_list_pass(&list, c->fd, parent, c->local) == 0)
		for (size_t i = 0; i < list.count; i++) {
			const char *name = fsu_list_name(&list, i);

			(void)snprintf(directory, sizeof(directory), "%s/%s", parent, name);
			if (name[0] == '~')
				taken += leftover(still, p, parent, directory);
			else if (strcmp(parent, LAYOUT_MEMBERS) == 0 &&
				 fsu_uuid_parse(name, strlen(name), &id) == 0)
				taken += member(still, p, directory, &id);
		}
	fsu_list_done(&list);
	return taken;
}

size_t remains_look(struct still *still, const struct remains_policy *p)
{
	size_t taken;

	still_begin(still);
	taken = look_in(still, p, LAYOUT_MEMBERS);
	taken += look_in(still, p, LAYOUT_ELECTIONS);
	still_end(still);
	return taken;
}
