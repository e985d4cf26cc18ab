/*
 * Directories that stand still: how long has nothing in them changed? What makes a directory, or
 * lives in one, changes it (a member by each heartbeat); what has not done so for many leases, by
 * the watcher's own clock, is taken for dead. Times of files say nothing, they are another host's;
 * they are only compared for being the same.
 *
 * One thread at a time.
 */
#ifndef SRC_MAINTENANCE_STILL_H
#define SRC_MAINTENANCE_STILL_H

#include "src/cluster/cluster.h"

/* A stop that is as long as this many leases is no stop any more. */
#define STILL_LEASES 10
#define STILL_MAX 65536 /* what is watched at a time; the others wait */

struct still_entry;
struct still {
	const struct cluster *cluster;
	struct still_entry *entries;
};

void still_init(struct still *still, const struct cluster *c);
void still_done(struct still *still);

/* What is not asked for between these two is forgotten. */
void still_begin(struct still *still);
void still_end(struct still *still);

/*
 * Has the directory (below the cluster directory) stood still for STILL_LEASES, as far as it was
 * asked for? Looks at it.
 */
bool still_is_dead(struct still *still, const char *directory);

#endif
