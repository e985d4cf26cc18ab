/*
 * The cluster directory: its settings, its fixed subdirectories, and the floor.
 *
 * It appears whole: built under a '~' name beside its place, with SETTINGS in it, and renamed
 * there. It is never renamed or removed while anybody uses it, so descriptors of it and of its
 * fixed subdirectories stay good.
 */
#ifndef SRC_CLUSTER_CLUSTER_H
#define SRC_CLUSTER_CLUSTER_H

#include <stdbool.h>

#include "fsha/result.h"
#include "fsutil/fsu_list.h"
#include "fsutil/fsu_mount.h"
#include "fsutil/fsu_uuid.h"
#include "src/metrics/counters.h"
#include "src/record/record.h"

#define CLUSTER_FORMAT 1
#define CLUSTER_LEASE_MS_DEFAULT 10000
#define CLUSTER_LEASE_MS_MIN 1000
#define CLUSTER_LEASE_MS_MAX 600000

struct cluster {
	const struct fsu *fs;
	int fd; /* <storageDir>/<cluster-id> */
	int leaders_fd, elections_fd, members_fd;
	char *path;         /* for messages */
	struct fsu_uuid id; /* of this cluster directory: every record in it carries it */
	uint32_t format;
	uint32_t lease_ms;
	struct fsu_mount mount;
	bool local;                /* one kernel: no caches of other hosts, clocks comparable */
	struct counters *counters; /* of whoever opened it; NULL: nobody counts */
};

struct cluster_options {
	const char *storage_dir;
	const char *cluster_id;
	uint32_t lease_ms; /* 0: what the cluster has, or the default when it is made */
	bool create;
	/*
	 * To look at it whatever state it is in: damaged settings leave id null and the default
	 * lease, a missing directory its descriptor at -1. With no trace of a cluster CONFIG all
	 * the same.
	 */
	bool inspect;
};

fsha_result cluster_open(const struct fsu *fs, const struct cluster_options *options,
			 struct cluster *ret_cluster, fsha_error *reterr);
void cluster_close(struct cluster *cluster);

/* Where a record of `directory` ("leaders") lies. */
static inline struct record_place cluster_place(const struct cluster *c, int dir_fd,
						const char *directory)
{
	return (struct record_place){ c->fs, &c->id, dir_fd, directory };
}

static inline int64_t cluster_lease_ns(const struct cluster *c)
{
	return (int64_t)c->lease_ms * FSU_NS_PER_MS;
}

/* An operation that began at `begun_ns` has ended. */
static inline void cluster_count(const struct cluster *c, fsha_operation operation,
				 int64_t begun_ns, fsha_result result)
{
	if (c->counters)
		counters_add(c->counters, operation, fsu_now_ns(c->fs) - begun_ns, result);
}

/* No epoch up to the floor is ever used again in this cluster. */
fsha_result cluster_floor_read(const struct cluster *c, uint64_t *ret_floor, fsha_error *reterr);
/* Raise it to at least `floor`. */
fsha_result cluster_floor_raise(const struct cluster *c, uint64_t floor, fsha_error *reterr);

#endif
