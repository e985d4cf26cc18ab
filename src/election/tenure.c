#include "src/election/tenure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "src/cluster/layout.h"

#define PREFIX "tenure-"
#define SESSION_AT (sizeof(PREFIX) - 1 + 16 + 1)
#define PATH_SIZE (TENURE_NAME_SIZE + 256 + 2)
#define TRASH_BATCH 256

void tenure_format(uint64_t epoch, const struct fsu_uuid *session, char *ret_name)
{
	char text[FSU_UUID_HEX + 1];

	fsu_uuid_format(session, text);
	(void)snprintf(ret_name, TENURE_NAME_SIZE, PREFIX "%016llx-%s", (unsigned long long)epoch,
		       text);
}

bool tenure_parse(const char *name, uint64_t *ret_epoch, struct fsu_uuid *ret_session)
{
	return strncmp(name, PREFIX, sizeof(PREFIX) - 1) == 0 &&
	       strlen(name) == SESSION_AT + FSU_UUID_HEX && name[SESSION_AT - 1] == '-' &&
	       fsu_hex_parse(name + sizeof(PREFIX) - 1, 16, ret_epoch) == 0 &&
	       fsu_uuid_parse(name + SESSION_AT, FSU_UUID_HEX, ret_session) == 0;
}

/* What a repair was taking to quarantine comes there. Anything else, and failure: not 0. */
static int send_on(const struct cluster *c, int election_fd, const char *from, const char *entry)
{
	char to[sizeof(LAYOUT_QUARANTINE) + 256];

	if (!layout_is_quarantine_name(entry))
		return -EINVAL;
	(void)snprintf(to, sizeof(to), LAYOUT_QUARANTINE "/%s", entry);
	return fsu_renameat(c->fs, election_fd, from, c->fd, to);
}

/*
 * Move one entry of a tenure out of it. -ENOENT: it was published, or another candidate moved it.
 */
static int discard(const struct cluster *c, int election_fd, const char *tenure, const char *entry)
{
	char from[PATH_SIZE], to[sizeof(LAYOUT_TRASH) + FSU_UUID_HEX + 1] = LAYOUT_TRASH "/";
	struct fsu_uuid unique;
	int r;

	r = fsu_uuid_make(c->fs, &unique);
	if (r < 0)
		return r;
	fsu_uuid_format(&unique, to + sizeof(LAYOUT_TRASH));
	(void)snprintf(from, sizeof(from), "%s/%s", tenure, entry);
	if (send_on(c, election_fd, from, entry) == 0)
		return 0;
	r = fsu_renameat(c->fs, election_fd, from, election_fd, to);
	if (r != -ENOENT)
		return r;
	/* Perhaps it is trash/ that is missing: somebody cleaned up by hand. */
	r = fsu_mkdirat(c->fs, election_fd, LAYOUT_TRASH, FSU_DIR_MODE);
	if (r < 0)
		return r == -EEXIST ? -ENOENT : r;
	return fsu_renameat(c->fs, election_fd, from, election_fd, to);
}

/* One pass over a tenure directory. 0: it is gone; -EAGAIN: something is still in it. */
static int remove_pass(const struct cluster *c, int election_fd, const char *name,
		       struct fsu_list *list)
{
	int r, failed = 0;

	/* Empty is the usual case, and then this is all. */
	r = fsu_unlinkat(c->fs, election_fd, name, AT_REMOVEDIR);
	if (r == 0 || r == -ENOENT)
		return 0;
	if (r == -ENOTDIR)
		return fsu_unlinkat(c->fs, election_fd, name,
				    0); /* a person's file in our namespace */
	if (r != -ENOTEMPTY && r != -EEXIST)
		return r;
	r = fsu_list_pass(list, election_fd, name, c->local);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (size_t i = 0; i < list->count; i++) {
		r = discard(c, election_fd, name, fsu_list_name(list, i));
		if (r < 0 && r != -ENOENT)
			failed = r;
	}
	return failed ? failed : -EAGAIN;
}

int tenure_remove(const struct cluster *c, int election_fd, const char *name, int64_t deadline_ns)
{
	int64_t pause_ns = FSU_NS_PER_MS / 10;
	struct fsu_list list;
	int r;

	fsu_list_init(&list, c->fs);
	for (int pass = 0;; pass++) {
		r = remove_pass(c, election_fd, name, &list);
		if (r == 0 || fsu_now_ns(c->fs) >= deadline_ns)
			break;
		/*
		 * An old leader that does not know yet may keep staging; it is quiet for moments.
		 */
		if (r != -EAGAIN || pass > 2) {
			fsu_sleep(c->fs, pause_ns);
			pause_ns =
				pause_ns * 2 < FSU_CLOCK_STEP_NS ? pause_ns * 2 : FSU_CLOCK_STEP_NS;
		}
	}
	fsu_list_done(&list);
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

int tenure_fence(const struct cluster *c, int election_fd, uint64_t epoch, const char *own,
		 int64_t deadline_ns)
{
	struct fsu_list list;
	int r, last;
	bool found;

	/*
	 * One listing shows them all: every tenure that can still publish was made before the epoch
	 * name that we replaced came to be, so none of them comes or goes during the scan.
	 */
	fsu_list_init(&list, c->fs);
	do {
		found = false;
		r = fsu_list_pass(&list, election_fd, "", c->local);
		for (size_t i = 0; r == 0 && i < list.count; i++) {
			const char *name = fsu_list_name(&list, i);
			struct fsu_uuid session;
			uint64_t number;

			if (!tenure_parse(name, &number, &session) || number > epoch ||
			    strcmp(name, own) == 0)
				continue;
			found = true;
			r = tenure_remove(c, election_fd, name, deadline_ns);
		}
		/*
		 * An error is not final before the deadline: filesystems have their moments. Then
		 * it is told as it was.
		 */
		last = r < 0 ? r : -ETIMEDOUT;
		if (r < 0 && fsu_now_ns(c->fs) < deadline_ns) {
			fsu_sleep(c->fs, FSU_CLOCK_STEP_NS / 10);
			found = true;
			r = 0;
		}
		/* What cannot be removed although it is listed is no filesystem's moment any more.
		 */
		if (r == 0 && found && fsu_now_ns(c->fs) >= deadline_ns)
			r = last;
	} while (r == 0 && found);
	fsu_list_done(&list);
	return r;
}

/* Is it gone? */
static bool unlink_trash(const struct cluster *c, int election_fd, const char *path)
{
	int r = fsu_unlinkat(c->fs, election_fd, path, 0);

	if (r == 0 || r == -ENOENT)
		return true;
	layout_remove_tree(c->fs, election_fd, path);
	return fsu_unlinkat(c->fs, election_fd, path, AT_REMOVEDIR) == -ENOENT;
}

int tenure_empty_trash(const struct cluster *c, int election_fd, size_t max)
{
	char path[PATH_SIZE];
	struct fsu_list list;
	size_t gone = 0;
	bool more = false;
	int r;

	fsu_list_init(&list, c->fs);
	r = fsu_list_some(&list, election_fd, LAYOUT_TRASH, max, &more);
	for (size_t i = 0; r == 0 && i < list.count && i < max; i++) {
		(void)snprintf(path, sizeof(path), LAYOUT_TRASH "/%s", fsu_list_name(&list, i));
		gone += unlink_trash(c, election_fd, path);
	}
	if (r == 0)
		r = (int)(list.count - gone) + more;
	if (r > 0 && gone == 0)
		r = -EBUSY;
	fsu_list_done(&list);
	return r == -ENOENT ? 0 : r;
}

void tenure_empty_trash_until(const struct cluster *c, int election_fd, int64_t deadline_ns)
{
	/* In batches: an election may fill it as fast as it is emptied. */
	while (tenure_empty_trash(c, election_fd, TRASH_BATCH) > 0 &&
	       fsu_now_ns(c->fs) < deadline_ns)
		;
}
