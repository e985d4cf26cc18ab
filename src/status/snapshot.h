/* A status and what it points to, as one object. */
#ifndef SRC_STATUS_SNAPSHOT_H
#define SRC_STATUS_SNAPSHOT_H

#include "fsha/status.h"
#include "fsutil/fsu_ops.h"

struct snapshot {
	fsha_cluster_status status; /* what the caller has: first */
	const struct fsu *fs;
	fsha_member_status *members;
	fsha_election_status *elections;
};

#endif
