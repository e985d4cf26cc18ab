#include "src/maintenance/retire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "src/cluster/layout.h"
#include "src/election/tenure.h"
#include "src/maintenance/area.h"
#include "src/maintenance/jobs.h"
#include "src/result/error.h"

#define FENCE_NS (5 * FSU_NS_PER_S)

struct retired {
	const struct cluster *cluster;
	char election[FSHA_ELECTION_JOB_TEXT];
	char path[sizeof(LAYOUT_ELECTIONS) + FSHA_ELECTION_JOB_TEXT];
	int fd;
	struct epoch epoch;
};

/* Of all jobs' elections: which are vacant and belong to no job that is known? */
static bool is_candidate(const struct cluster *c, const struct jobs *jobs, const char *name,
			 struct retired *ret)
{
	char checkpoints[sizeof(LAYOUT_CHECKPOINTS) + FSHA_HEX_ID_TEXT], id[FSHA_HEX_ID_TEXT];
	struct fsu_stamp stamp;
	struct fsu_list list;
	fsha_job_id job;
	int r;

	if (!area_job_of_election(name, &job) || jobs_has(jobs, &job))
		return false;
	(void)snprintf(checkpoints, sizeof(checkpoints), LAYOUT_CHECKPOINTS "/%s",
		       fsha_job_id_format(&job, id));
	if (fsu_stamp_read(c->fs, c->fd, LAYOUT_CHECKPOINTS, &stamp) < 0 ||
	    fsu_stamp_read(c->fs, c->fd, checkpoints, &stamp) != -ENOENT)
		return false;
	*ret = (struct retired){ .cluster = c };
	(void)fsha_job_election_name(&job, ret->election);
	(void)snprintf(ret->path, sizeof(ret->path), LAYOUT_ELECTIONS "/%s", ret->election);
	ret->fd = fsu_dir_open(c->fs, c->fd, ret->path);
	if (ret->fd < 0)
		return false;
	fsu_list_init(&list, c->fs);
	r = epoch_read(c, ret->fd, &list, &ret->epoch);
	fsu_list_done(&list);
	if (r == 0 && epoch_is_vacant(&ret->epoch))
		return true;
	(void)fsu_close(c->fs, ret->fd); /* a directory */
	return false;
}

/* Nobody can claim it any more, or an error: somebody did, or nothing is known. */
static int take_epoch_file(const struct retired *q)
{
	const struct fsu *fs = q->cluster->fs;
	char from[EPOCH_NAME_SIZE], to[sizeof(EPOCH_RETIRED) + 16];
	struct fsu_list list;
	int r;

	epoch_format(&q->epoch, from);
	(void)snprintf(to, sizeof(to), EPOCH_RETIRED "%016llx",
		       (unsigned long long)q->epoch.number);
	r = fsu_renameat(fs, q->fd, from, q->fd, to);
	if (r < 0) {
		/* Whatever it said, what counts is what is there. */
		fsu_list_init(&list, fs);
		if (fsu_list_pass(&list, q->fd, "", q->cluster->local) == 0 &&
		    fsu_list_has(&list, to) && !fsu_list_has(&list, from))
			r = 0;
		fsu_list_done(&list);
	}
	return r < 0 ? r : fsu_fsync(fs, q->fd);
}

/* No tenure, so nothing can be published from there any more. */
static int take_tenures(const struct retired *q)
{
	return tenure_fence(q->cluster, q->fd, EPOCH_MAX, "",
			    fsu_now_ns(q->cluster->fs) + FENCE_NS);
}

/* Records of its leaders, by their names: those of a later election of that name are others. */
static int take_leader_records(const struct retired *q)
{
	const struct cluster *c = q->cluster;
	struct fsu_list list;
	struct name name;
	int r;

	fsu_list_init(&list, c->fs);
	r = fsu_list_pass(&list, c->leaders_fd, "", c->local);
	for (size_t i = 0; r == 0 && i < list.count; i++) {
		if (!name_is_of(fsu_list_name(&list, i), q->election, &name) ||
		    name.version.epoch > q->epoch.number)
			continue;
		r = fsu_unlinkat(c->fs, c->leaders_fd, fsu_list_name(&list, i), 0);
		r = r == -ENOENT ? 0 : r;
	}
	fsu_list_done(&list);
	return r == 0 ? fsu_fsync(c->fs, c->leaders_fd) : r;
}

/*
 * Was it that directory, and nobody's still? This process may have been stopped before the rename,
 * while another took the same election away and somebody made it anew; or a person made it an epoch
 * file. Then it goes back. Its leader could not write meanwhile, and that is all.
 */
static int check_moved(const struct retired *q, const char *gone)
{
	const struct cluster *c = q->cluster;
	struct fsu_stamp moved, own;
	struct fsu_list list;
	struct epoch epoch;
	int r;

	fsu_list_init(&list, c->fs);
	r = fsu_stamp_read(c->fs, c->fd, gone, &moved);
	if (r == 0)
		r = fsu_stamp_read(c->fs, q->fd, "", &own);
	if (r == 0)
		r = moved.inode == own.inode ? epoch_read_surely(c, q->fd, &list, &epoch) : 0;
	fsu_list_done(&list);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = -EAGAIN;
	/* In vain if it was made once more; then this one is nobody's. */
	(void)fsu_renameat(c->fs, c->fd, gone, c->fd, q->path);
	(void)fsu_fsync(c->fs, c->elections_fd);
	return r;
}

static int take_directory(struct actions *a, const struct retired *q)
{
	const struct cluster *c = q->cluster;
	char gone[sizeof(LAYOUT_ELECTIONS) + FSU_UUID_HEX + 2] = LAYOUT_ELECTIONS "/~";
	struct fsu_uuid unique;
	struct fsu_stamp stamp;
	int r;

	r = take_tenures(q);
	/* For good, while the directory is there to tell of it: nobody looks for them later. */
	if (r == 0)
		r = take_leader_records(q);
	if (r < 0)
		return r;
	r = fsu_uuid_make(c->fs, &unique);
	if (r < 0)
		return r;
	fsu_uuid_format(&unique, gone + strlen(gone));
	r = fsu_renameat(c->fs, c->fd, q->path, c->fd, gone);
	if (r < 0)
		return r;
	r = check_moved(q, gone);
	if (r == 0)
		r = fsu_fsync(c->fs, c->elections_fd);
	if (r < 0)
		return r;
	/* Not before that: a power cut must not bring back an emptied one. Gc takes what is left.
	 */
	layout_remove_tree(c->fs, c->fd, gone);
	if (fsu_stamp_read(c->fs, c->fd, gone, &stamp) != -ENOENT)
		actions_tell(a, FSHA_ACTION_LEFT, FINDING_LEFTOVER, gone,
			     "something of it could not be removed: run gc again");
	return 0;
}

static void tell(struct actions *a, const char *path, int r, const char *done)
{
	fsha_error error = FSHA_ERROR_INIT;

	if (r == 0) {
		actions_tell(a, FSHA_ACTION_DONE, FINDING_ELECTION_RETIRED, path, "%s", done);
		return;
	}
	if (r == -EAGAIN) {
		actions_tell(a, FSHA_ACTION_LEFT, FINDING_ELECTION_RETIRED, path,
			     "somebody is at work in it: run gc again");
		return;
	}
	(void)error_os(&error, r, "rename", "cannot retire '%s'", path);
	actions_fail(a, FINDING_ELECTION_RETIRED, path, &error);
}

static bool is_retired_name(const char *name)
{
	return strncmp(name, EPOCH_RETIRED, sizeof(EPOCH_RETIRED) - 1) == 0;
}

/* The epoch that the directory says it was retired with. */
static int read_number(const struct fsu_list *list, uint64_t *ret_number)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *name = fsu_list_name(list, i);

		if (is_retired_name(name) &&
		    fsu_hex_parse(name + sizeof(EPOCH_RETIRED) - 1, 16, ret_number) < 0)
			return -EINVAL;
	}
	return 0;
}

/*
 * A person made it an epoch file, so it is an election again, perhaps with a leader: what counts is
 * that file alone, and its next epoch is above the floor, which was raised before. The other name
 * tells nobody anything any more.
 */
static int take_retired_names(const struct retired *q, const struct fsu_list *list)
{
	const struct fsu *fs = q->cluster->fs;
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->count; i++) {
		if (!is_retired_name(fsu_list_name(list, i)))
			continue;
		r = fsu_unlinkat(fs, q->fd, fsu_list_name(list, i), 0);
		r = r == -ENOENT ? 0 : r;
	}
	return r == 0 ? fsu_fsync(fs, q->fd) : r;
}

/*
 * Both names may show while another gc renames the one to the other: that is over in a listing that
 * begins when the new one was seen. And that nobody leads it must be beyond doubt.
 */
static int list_settled(const struct retired *q, struct fsu_list *list, bool *ret_led)
{
	struct epoch epoch;
	int r = epoch_read_surely(q->cluster, q->fd, list, &epoch);

	if (r == 0)
		r = epoch_read_surely(q->cluster, q->fd, list, &epoch);
	*ret_led = r == 0;
	return r == -ENOENT ? 0 : r;
}

void retire_finish(struct actions *a, const struct finding *f)
{
	const struct cluster *c = &a->services->cluster;
	struct retired q = { .cluster = c, .epoch = { .number = EPOCH_MAX } };
	struct fsu_list list;
	fsha_job_id job;
	bool led;
	int r;

	if (a->dry_run) {
		actions_tell(a, FSHA_ACTION_PLANNED, f->code, f->path, "it would be removed");
		return;
	}
	if (!area_job_of_election(f->election, &job))
		return; /* not our work */
	(void)fsha_job_election_name(&job, q.election);
	(void)snprintf(q.path, sizeof(q.path), "%s", f->path);
	q.fd = fsu_dir_open(c->fs, c->fd, q.path);
	if (q.fd < 0)
		return; /* another was faster */
	fsu_list_init(&list, c->fs);
	r = list_settled(&q, &list, &led);
	if (r == 0 && led)
		r = take_retired_names(&q, &list);
	else if (r == 0)
		r = read_number(&list, &q.epoch.number);
	fsu_list_done(&list);
	if (r == 0 && !led)
		r = take_directory(a, &q);
	(void)fsu_close(c->fs, q.fd); /* a directory */
	tell(a, f->path, r,
	     led ? "it has an epoch file again, so it stays: what said otherwise is removed" :
		   "removed");
}

/* Is anybody a member, or about to become one, for all that is known? */
static bool is_deserted(const struct cluster *c)
{
	struct fsu_list list;
	bool deserted;

	fsu_list_init(&list, c->fs);
	deserted = fsu_list_read(&list, c->members_fd, "", c->local, FSU_NS_PER_S) == 0 &&
		   list.stable && list.count == 0;
	fsu_list_done(&list);
	return deserted;
}

static void retire(struct actions *a, const struct retired *q)
{
	fsha_error error = FSHA_ERROR_INIT;
	int r;

	if (a->dry_run) {
		actions_tell(a, FSHA_ACTION_PLANNED, FINDING_ELECTION_RETIRED, q->path,
			     "it would be removed, and the floor raised to %llu",
			     (unsigned long long)q->epoch.number);
		return;
	}
	if (cluster_floor_raise(q->cluster, q->epoch.number, &error) != FSHA_OK) {
		actions_fail(a, FINDING_ELECTION_RETIRED, q->path, &error);
		return;
	}
	r = take_epoch_file(q);
	if (r == 0)
		r = take_directory(a, q);
	tell(a, q->path, r, "removed, and the floor raised to its epoch");
}

void retire_elections(struct actions *a)
{
	const struct cluster *c = &a->services->cluster;
	fsha_error error = FSHA_ERROR_INIT;
	struct retired q;
	struct fsu_list list;
	struct jobs jobs;

	if (!is_deserted(c)) {
		actions_tell(a, FSHA_ACTION_LEFT, FINDING_ELECTION_RETIRED, LAYOUT_ELECTIONS,
			     "elections are retired only while the cluster has no member: stop all "
			     "its processes, and run gc with a watch if dead ones are left");
		return;
	}
	if (jobs_read(c, a->services->job_result_path, &jobs, &error) != FSHA_OK) {
		actions_fail(a, FINDING_ELECTION_RETIRED, LAYOUT_ELECTIONS, &error);
		return;
	}
	fsu_list_init(&list, c->fs);
	if (fsu_list_pass(&list, c->elections_fd, "", c->local) == 0)
		for (size_t i = 0; i < list.count && is_deserted(c); i++) {
			if (!is_candidate(c, &jobs, fsu_list_name(&list, i), &q))
				continue;
			retire(a, &q);
			(void)fsu_close(c->fs, q.fd); /* a directory */
		}
	fsu_list_done(&list);
	jobs_done(&jobs);
}
