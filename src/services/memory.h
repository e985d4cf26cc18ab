/*
 * Filesystems in memory for services that keep nothing on a disk. Those of "embedded" services are
 * shared by all services objects of the process that name the same storage directory and cluster,
 * and are gone with the last of them; so there is one table of them in the process.
 */
#ifndef SRC_SERVICES_MEMORY_H
#define SRC_SERVICES_MEMORY_H

#include "fsutil/fsu_ops.h"

/* The storage directory in each of them. */
#define MEMORY_STORAGE "memory:"

/* One of its own. -errno. memory_leave and memory_put it. */
int memory_get_private(const struct fsu *base, const struct fsu **ret_fs);
/* The one that is known by these names, or a new one. -errno. */
int memory_get_shared(const struct fsu *base, const char *storage_dir, const char *cluster_id,
		      const struct fsu **ret_fs);
/*
 * One user less: it was closed. What the last one leaves is found by nobody any more, even while
 * threads are still on their way out of it. NULL is allowed.
 */
void memory_leave(const struct fsu *fs);
/* And now nothing of that user is in it. NULL is allowed. */
void memory_put(const struct fsu *fs);
/* How many are there, for tests. */
size_t memory_count(void);

#endif
