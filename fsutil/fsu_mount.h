/* What filesystem a directory lies on, and what its mount options mean for locks. */
#ifndef FSU_MOUNT_H
#define FSU_MOUNT_H

#include <stdbool.h>

#include "fsutil/fsu_ops.h"

enum fsu_mount_kind {
	FSU_MOUNT_LOCAL, /* ext4, tmpfs, ...: one kernel, locks are true, inotify sees all */
	FSU_MOUNT_NFS,
	FSU_MOUNT_CEPH, /* kernel client */
	FSU_MOUNT_CEPH_FUSE,
	FSU_MOUNT_OVERLAY,
	FSU_MOUNT_OTHER, /* unknown: treated as shared, locks not trusted */
};

struct fsu_mount {
	enum fsu_mount_kind kind;
	char type[32]; /* as in mountinfo: "ext4", "nfs4", "fuse.ceph-fuse" */
	char source[256];
	char target[256];
	char options[512];    /* super options of mountinfo */
	unsigned nfs_version; /* 3 or 4; 0 when not NFS */
	unsigned nfs_minor;
	bool locks_local; /* nolock, local_lock=posix|all: locks do not reach other hosts */
	bool soft;        /* soft or softerr */
	bool read_only;
	/* The server's lock lease in ms as mountstats tells for NFSv4; 0 when not known. */
	uint32_t lock_lease_ms;
};

/* Identify the filesystem of an open directory. Unknown is no error: kind OTHER. */
int fsu_mount_identify(const struct fsu *fs, int dirfd, struct fsu_mount *ret_mount);
/* "local", "nfs", "ceph", "ceph-fuse", "overlay", "other". */
const char *fsu_mount_kind_name(enum fsu_mount_kind kind);
/* May this process believe that a lock which it sees as free is free everywhere? */
bool fsu_mount_locks_cluster_wide(const struct fsu_mount *mount);

#endif
