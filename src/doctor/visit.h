/*
 * What the checks share: the directory, the work directory in it, and how a check tells its
 * finding. One thread.
 */
#ifndef SRC_DOCTOR_VISIT_H
#define SRC_DOCTOR_VISIT_H

#include "fsutil/fsu_lock.h"
#include "fsutil/fsu_mount.h"
#include "fsutil/fsu_uuid.h"
#include "src/cluster/cluster.h"
#include "src/doctor/doctor.h"

#define DOCTOR_PREFIX ".fsha-doctor-"
#define DOCTOR_WORK_SIZE (sizeof(DOCTOR_PREFIX) + FSU_UUID_HEX)
#define DOCTOR_ALIVE "alive" /* in the work directory: locked as long as its doctor lives */

struct doctor {
	const struct fsu *fs;
	const struct doctor_options *options;
	int dir_fd, work_fd; /* -1: could not be made */
	char work[DOCTOR_WORK_SIZE];
	struct fsu_lock alive;
	struct fsu_mount mount;
	struct cluster cluster; /* open when `found` is FSHA_OK */
	fsha_result found;
	fsha_error error; /* why it is not open */
	char boot_id[40];
	uint32_t lease_ms;     /* of the cluster found here, or as configured, or the default */
	int64_t commit_ns;     /* what a commit took; 0: not measured */
	int64_t skew_ns;       /* server's file times ahead of this host's clock */
	const char *check;     /* the one that runs */
	unsigned told;         /* findings of this check */
	unsigned left_removed; /* work directories of killed doctors */
	unsigned left;         /* those that could not be removed */
	struct doctor_summary summary;
};

struct doctor_check {
	const char *name;
	/* Tells one finding, or none where the question makes no sense. */
	void (*run)(struct doctor *d);
	bool works; /* in the work directory */
};

struct doctor_room {
	const struct doctor_check *checks;
	size_t count;
};

/* mount.c, owner.c, names.c, fence.c, locks.c, data.c, time.c, space.c, identity.c, cluster.c */
extern const struct doctor_room doctor_mount, doctor_owner, doctor_names, doctor_fence,
	doctor_locks, doctor_data, doctor_time, doctor_space, doctor_identity, doctor_cluster;

#define DOCTOR_ROOM(name, checks) \
	const struct doctor_room name = { checks, sizeof(checks) / sizeof((checks)[0]) }

/* ---- The run (doctor.c) ---- */

/* A check begins, or has made a step. */
void doctor_begin(struct doctor *d, const char *check);
bool doctor_is_stopped(const struct doctor *d);

/* ---- Telling ---- */

/* `advice` is a static string. */
void doctor_say(struct doctor *d, enum doctor_grade grade, const char *advice, const char *format,
		...) __attribute__((format(printf, 4, 5)));
#define doctor_ok(d, ...) doctor_say(d, DOCTOR_OK, "", __VA_ARGS__)
/* A call failed that has no reason to: FAIL, "cannot <what>: <errno>". */
void doctor_failed(struct doctor *d, const char *what, int negative_errno);

/* ---- Working ---- */

/* Its own directory in the work directory: made, and gone with all that is in it afterwards. */
int doctor_room_make(struct doctor *d, const char *name);
void doctor_room_remove(struct doctor *d, const char *name);
/* A small file of 0600, or the error. `path` is relative to the work directory. */
int doctor_file_make(struct doctor *d, const char *path);
/* 1: it is there, 0: it is not, or an error. Asks the server. */
int doctor_exists(struct doctor *d, const char *path);
/* The text of a small file such as one of /proc and /sys, its last newline cut off; "" for none. */
void doctor_read_text(const struct fsu *fs, const char *path, char *ret_text, size_t size);

/* The name of this host; `ret_host` has INFO_HOST_SIZE bytes. */
void doctor_host(const struct doctor *d, char *ret_host);

/* The cluster in the directory, if there is one (cluster.c). */
void doctor_cluster_open(struct doctor *d);
void doctor_cluster_close(struct doctor *d);

/* ---- The work directory (work.c) ---- */

/* Make and lock it. An error leaves nothing. */
int doctor_work_make(struct doctor *d);
void doctor_work_remove(struct doctor *d);
/* Those of doctors that were killed. */
void doctor_work_sweep(struct doctor *d);

#endif
