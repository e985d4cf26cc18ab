/* The fixed names of a cluster directory (doc/FORMAT.md), and how one is made. */
#ifndef SRC_CLUSTER_LAYOUT_H
#define SRC_CLUSTER_LAYOUT_H

#include "src/cluster/cluster.h"

#define LAYOUT_SETTINGS "SETTINGS"
#define LAYOUT_FLOOR "floor-"
#define LAYOUT_LEADERS "leaders"
#define LAYOUT_ELECTIONS "elections"
#define LAYOUT_MEMBERS "members"
#define LAYOUT_JOB_GRAPHS "job_graphs"
#define LAYOUT_JOB_RESULTS "job_results"
#define LAYOUT_RUNNING_JOBS "running_jobs"
#define LAYOUT_CHECKPOINTS "checkpoints" /* a directory for each job */
#define LAYOUT_BLOBS "blobs"             /* a directory for each job */
#define LAYOUT_WORKERS "workers"
#define LAYOUT_STATE "state" /* a directory for each namespace */
#define LAYOUT_QUARANTINE "quarantine"
#define LAYOUT_TRASH "trash"

/* Those that every cluster directory has since it was made, and that nobody ever removes. */
extern const char *const layout_directories[];
extern const size_t layout_directories_count;
bool layout_is_fixed(const char *directory);
/*
 * CORRUPT: such a directory is not there. What was in it is lost, which must never pass for "there
 * is nothing": a backup without a word of it, a dispatcher without its jobs.
 */
fsha_result layout_lost(const struct cluster *c, const char *directory, fsha_error *reterr);
/*
 * Look at the directory that is to hold `path`, before it is believed that there is no `path`: a
 * negative lookup may be cached. CORRUPT when that one is lost itself.
 */
fsha_result layout_look_at_parent(const struct cluster *c, const char *path, fsha_error *reterr);
/* What a listing of such a directory that failed with `r` is told as. */
fsha_result layout_list_failed(const struct cluster *c, const char *directory, int r,
			       fsha_error *reterr);

/* The directory that holds `directory`, "" for the cluster's own; `ret_parent` is as long. */
void layout_parent(const char *directory, char *ret_parent);

/*
 * Names in quarantine/: "<32 hex>~<where it was, encoded>". On its way there a record is in a
 * tenure under that name, and whoever takes the tenure apart sends it on instead of into the trash.
 */
bool layout_is_quarantine_name(const char *name);

/*
 * Make `component` in `parent_fd` a new cluster directory. FSHA_OK also when another process made
 * one at the same time: the caller opens what is there.
 */
fsha_result layout_create(const struct fsu *fs, int parent_fd, const char *component,
			  uint32_t lease_ms, const char *path, fsha_error *reterr);

/* The payload of a SETTINGS record. */
struct settings {
	uint32_t format;
	struct fsu_uuid cluster;
	uint32_t lease_ms;
};
#define SETTINGS_SIZE 24
size_t settings_encode(const struct settings *settings, uint8_t *buf);
int settings_decode(const uint8_t *buf, size_t len, struct settings *ret_settings);

/*
 * Remove a directory tree that we built ourselves and that nobody else knows; best effort, bounded
 * depth.
 */
void layout_remove_tree(const struct fsu *fs, int dir_fd, const char *path);
/*
 * The same for one whose rename into place has failed. That may still come, and must then find
 * nothing rather than half of it: so the directory is first renamed itself. Best effort: what stays
 * is for gc, or goes with the tenure.
 */
void layout_abandon(const struct fsu *fs, int dir_fd, const char *path);

#endif
