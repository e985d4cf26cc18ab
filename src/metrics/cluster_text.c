/* How the cluster stands, read from its directory. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsha/metrics.h"
#include "fsha/status.h"
#include "src/cluster/layout.h"
#include "src/metrics/exposition.h"
#include "src/record/name.h"
#include "src/result/error.h"
#include "src/services/services.h"

/* What of the stores is told: `nested` ones have a directory for each job or namespace. */
static const struct place {
	const char *directory;
	bool nested;
} places[] = {
	{ LAYOUT_JOB_GRAPHS, false }, { LAYOUT_JOB_RESULTS, false }, { LAYOUT_RUNNING_JOBS, false },
	{ LAYOUT_WORKERS, false },    { LAYOUT_CHECKPOINTS, true },  { LAYOUT_BLOBS, true },
	{ LAYOUT_STATE, true },       { LAYOUT_QUARANTINE, false },
};
#define N_PLACES (sizeof(places) / sizeof(places[0]))

struct size {
	uint64_t directories, files, bytes;
};

static int add_file(const struct cluster *c, const char *path, struct size *size)
{
	struct statx st;
	int r = fsu_statx(c->fs, c->fd, path, AT_SYMLINK_NOFOLLOW, STATX_SIZE | STATX_TYPE, &st);

	if (r == -ENOENT || r == -ESTALE)
		return 0; /* cleaned away meanwhile */
	if (r < 0)
		return r;
	if (S_ISREG(st.stx_mode)) {
		size->files++;
		size->bytes += st.stx_size;
	}
	return 0;
}

/* Everything in a directory, and one level below it. */
static int measure(const struct cluster *c, const char *directory, bool nested, struct size *size)
{
	struct fsu_list list;
	int r;

	fsu_list_init(&list, c->fs);
	r = fsu_list_pass(&list, c->fd, directory, c->local);
	if (r == 0)
		size->directories++;
	for (size_t i = 0; r == 0 && i < list.count; i++) {
		char path[STORE_PATH_SIZE + NAME_SIZE];

		(void)snprintf(path, sizeof(path), "%s/%s", directory, fsu_list_name(&list, i));
		r = nested ? measure(c, path, false, size) : add_file(c, path, size);
	}
	fsu_list_done(&list);
	return r == -ENOENT || r == -ENOTDIR || r == -ESTALE ? 0 : r;
}

/* Where a place lies: job results may have been given another. */
static const char *path_of(const struct fsha_services *s, const struct place *place)
{
	return s->job_result_path && strcmp(place->directory, LAYOUT_JOB_RESULTS) == 0 ?
		       s->job_result_path :
		       place->directory;
}

static int put_places(struct exposition *x, const struct fsha_services *s)
{
	struct size sizes[N_PLACES] = { 0 };

	for (size_t i = 0; i < N_PLACES; i++) {
		int r = measure(&s->cluster, path_of(s, &places[i]), places[i].nested, &sizes[i]);

		if (r < 0)
			return r;
	}
	exposition_head(x, "fsha_cluster_store_files", "gauge",
			"Files of a store, with old versions that are not cleaned yet.");
	for (size_t i = 0; i < N_PLACES; i++)
		exposition_count(x, "fsha_cluster_store_files", "store", places[i].directory,
				 sizes[i].files);
	exposition_head(x, "fsha_cluster_store_bytes", "gauge", "Bytes of these files.");
	for (size_t i = 0; i < N_PLACES; i++)
		exposition_count(x, "fsha_cluster_store_bytes", "store", places[i].directory,
				 sizes[i].bytes);
	return 0;
}

static int put_space(struct exposition *x, const struct cluster *c)
{
	struct statfs st;
	int r = fsu_fstatfs(c->fs, c->fd, &st);

	if (r < 0)
		return r;
	exposition_head(x, "fsha_cluster_storage_bytes", "gauge",
			"Size of the filesystem that holds the cluster.");
	exposition_count(x, "fsha_cluster_storage_bytes", NULL, NULL,
			 (uint64_t)st.f_blocks * (uint64_t)st.f_bsize);
	exposition_head(x, "fsha_cluster_storage_free_bytes", "gauge", "Free bytes on it.");
	exposition_count(x, "fsha_cluster_storage_free_bytes", NULL, NULL,
			 (uint64_t)st.f_bavail * (uint64_t)st.f_bsize);
	exposition_head(x, "fsha_cluster_storage_free_inodes", "gauge",
			"Free inodes on it; 0 also where the filesystem does not count them.");
	exposition_count(x, "fsha_cluster_storage_free_inodes", NULL, NULL, (uint64_t)st.f_ffree);
	return 0;
}

/* Is the election held by a member that is not known to be dead? */
static bool has_leader(const fsha_election_status *e)
{
	return !fsha_uuid_is_null(&e->holder) && e->holder_status &&
	       fsha_liveness_is_alive(e->holder_status->liveness) != 0;
}

static void put_elections(struct exposition *x, const fsha_cluster_status *status)
{
	exposition_head(x, "fsha_cluster_has_leader", "gauge",
			"1 when a member that is not known to be dead holds the election.");
	for (size_t i = 0; i < status->election_count; i++)
		exposition_count(x, "fsha_cluster_has_leader", "election",
				 status->elections[i].name, has_leader(&status->elections[i]));
	exposition_head(
		x, "fsha_cluster_contenders", "gauge",
		"Members that contend for the election, with the one that holds it, dead or "
		"not.");
	for (size_t i = 0; i < status->election_count; i++)
		exposition_count(x, "fsha_cluster_contenders", "election",
				 status->elections[i].name,
				 status->elections[i].standby_count +
					 !fsha_uuid_is_null(&status->elections[i].holder));
	exposition_head(x, "fsha_cluster_leader_epoch", "gauge",
			"Epoch of the leader whose address is published; no sample without one, "
			"so that it changes with leaders, and not with commands that write.");
	for (size_t i = 0; i < status->election_count; i++)
		if (status->elections[i].leader.confirmed)
			exposition_count(x, "fsha_cluster_leader_epoch", "election",
					 status->elections[i].name, status->elections[i].epoch);
	exposition_head(x, "fsha_cluster_epoch", "gauge",
			"Epoch of the last term begun; every command that writes is a term.");
	for (size_t i = 0; i < status->election_count; i++)
		exposition_count(x, "fsha_cluster_epoch", "election", status->elections[i].name,
				 status->elections[i].epoch);
}

static void put_status(struct exposition *x, const fsha_cluster_status *status, const char *path)
{
	static const char *const states[] = { "unknown", "dead", "alive" };
	uint64_t members[3] = { 0 };

	exposition_head(x, "fsha_cluster_info", "gauge", "Where this host has the cluster.");
	exposition_count(x, "fsha_cluster_info", "path", path, 1);
	put_elections(x, status);
	for (size_t i = 0; i < status->member_count; i++)
		members[fsha_liveness_is_alive(status->members[i].liveness) + 1]++;
	exposition_head(x, "fsha_cluster_members", "gauge", "Members by whether they live.");
	for (size_t i = 0; i < 3; i++)
		exposition_count(x, "fsha_cluster_members", "state", states[i], members[i]);
	exposition_head(x, "fsha_cluster_skipped", "gauge",
			"Names and records of elections and members that were not understood.");
	exposition_count(x, "fsha_cluster_skipped", NULL, NULL, status->skipped);
}

fsha_result fsha_metrics_cluster_text(fsha_services *s, uint32_t observe_ms, char **ret_text,
				      size_t *ret_size, fsha_error *reterr)
{
	fsha_cluster_status *status;
	struct exposition x;
	fsha_result result;
	int r;

	if (!s || !ret_text || !ret_size)
		return error_set(reterr, FSHA_E_INVALID, 0, "metrics", "an argument is NULL");
	result = fsha_status_read(s, observe_ms, &status, reterr);
	if (result != FSHA_OK)
		return result;
	exposition_init(&x, services_fs(s), &s->cluster.id);
	put_status(&x, status, s->cluster.path);
	fsha_status_destroy(status);
	r = put_places(&x, s);
	if (r == 0)
		r = put_space(&x, &s->cluster);
	if (r < 0) {
		fsu_release(services_fs(s), x.text);
		return error_os(reterr, r, "statx", "cannot measure '%s'", s->cluster.path);
	}
	if (exposition_end(&x, ret_text, ret_size) < 0)
		return error_os(reterr, -ENOMEM, "alloc", "cannot write the metrics");
	return FSHA_OK;
}
