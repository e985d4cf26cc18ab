/*
 * What processes leave behind that no election fences: directories of members that died, and
 * directories that somebody built and did not finish. Taken away by whoever sees that nobody is at
 * work there any more: at once where a lock tells, else when it has stood still for STILL_LEASES.
 *
 * A process that was stopped for so long and comes back finds its directory gone as a whole: a
 * member is expired then and joins again, a creation fails and is tried again. A half-built
 * directory is renamed before it is emptied, so that its builder cannot rename a half-emptied one
 * into place.
 */
#ifndef SRC_MAINTENANCE_REMAINS_H
#define SRC_MAINTENANCE_REMAINS_H

#include "src/maintenance/still.h"

enum remains_kind {
	REMAINS_MEMBER,   /* its process is gone, or has stood still */
	REMAINS_LEFTOVER, /* "~..." that has stood still */
};

struct remains_policy {
	const struct fsu_uuid *own; /* a member of this process; NULL: none */
	/* Asked of each; true: take it away. NULL: take all. */
	bool (*take)(void *ctx, enum remains_kind kind, const char *directory);
	/* Told of what is taken away, with `gone` when nothing of it is left. NULL: nobody. */
	void (*taken)(void *ctx, enum remains_kind kind, const char *directory, bool gone);
	/* Told of what may be dead and is not known to be. NULL: nobody. */
	void (*wait)(void *ctx, enum remains_kind kind, const char *directory);
	void *ctx;
};

/* One look at members/ and elections/. Returns how many are gone. */
size_t remains_look(struct still *still, const struct remains_policy *policy);

#endif
