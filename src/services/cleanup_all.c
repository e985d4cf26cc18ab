/*
 * All data of a cluster goes. First every election is claimed, so nobody leads, nobody can, and a
 * leader that was stopped publishes nothing when it wakes up. Then the pointers, then, if those are
 * gone, the blobs. The election directories stay, vacant: versions only grow.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_path.h"
#include "src/backup/offices.h"
#include "src/cluster/layout.h"
#include "src/election/election.h"
#include "src/maintenance/area.h"
#include "src/result/error.h"
#include "src/services/cleanup.h"
#include "src/state/owner.h"
#include "src/worker/worker.h"

/* Goes on after an error; the first one counts. */
struct cleaning {
	struct fsha_services *services;
	fsha_result result;
	fsha_error *reterr;
};

static fsha_error *where(const struct cleaning *c)
{
	return c->result == FSHA_OK ? c->reterr : NULL;
}

static void note(struct cleaning *c, fsha_result result)
{
	if (c->result == FSHA_OK)
		c->result = result;
}

/* ---- directories within a directory ---- */

/* One of them: its name, and whose it is into FSU_COMPONENT_MAX + 1 bytes. */
typedef fsha_result owner_function(struct fsha_services *s, const char *directory, const char *name,
				   char *ret_election, fsha_error *reterr);

static fsha_result owner_by_job(struct fsha_services *s, const char *directory, const char *name,
				char *ret_election, fsha_error *reterr)
{
	fsha_job_id job;

	(void)s;
	if (fsha_job_id_parse(name, &job) != FSHA_OK)
		return error_set(reterr, FSHA_E_NOT_FOUND, 0, "cleanup", "'%s' is no job's",
				 directory);
	fsha_job_election_name(&job, ret_election);
	return FSHA_OK;
}

static fsha_result owner_by_record(struct fsha_services *s, const char *directory, const char *name,
				   char *ret_election, fsha_error *reterr)
{
	char decoded[FSU_NAME_MAX + 1];
	size_t len;

	if (fsu_path_decode(name, strlen(name), decoded, &len) < 0)
		return error_set(reterr, FSHA_E_NOT_FOUND, 0, "cleanup", "'%s' is no namespace's",
				 directory);
	return owner_of(&s->cluster, directory, ret_election, reterr);
}

typedef fsha_result place_function(struct cleaning *c, const struct cleanup_place *place,
				   fsha_error *reterr);

/* Whatever in `parent` is ours; what is not (a person's files) is left alone. */
static void for_each(struct cleaning *c, const char *parent, const struct cleanup_place *like,
		     owner_function *owner, place_function *work)
{
	const struct cluster *cluster = &c->services->cluster;
	char directory[sizeof(LAYOUT_CHECKPOINTS) + NAME_MAX + 1];
	char election[FSU_COMPONENT_MAX + 1];
	struct cleanup_place place = *like;
	fsha_error error = FSHA_ERROR_INIT;
	struct fsu_list list;
	fsha_result result;
	int r;

	place.directory = directory;
	place.election = election;
	fsu_list_init(&list, cluster->fs);
	r = fsu_list_read(&list, cluster->fd, parent, cluster->local,
			  cluster_lease_ns(cluster) / 5);
	if (r < 0)
		note(c, layout_list_failed(cluster, parent, r, where(c)));
	for (size_t i = 0; r == 0 && i < list.count; i++) {
		(void)snprintf(directory, sizeof(directory), "%s/%s", parent,
			       fsu_list_name(&list, i));
		if (area_is_foreign(cluster, directory))
			continue;
		result = owner(c->services, directory, fsu_list_name(&list, i), election, &error);
		if (result == FSHA_OK)
			result = work(c, &place, &error);
		if (result != FSHA_OK && result != FSHA_E_NOT_FOUND)
			note(c, error_copy(where(c), &error));
	}
	fsu_list_done(&list);
}

static const struct cleanup_place checkpoints = { .kind = FSU_KIND_CHECKPOINT,
						  .owned = true,
						  .removable = true };
static const struct cleanup_place namespaces = { .kind = FSU_KIND_STATE, .owned = true };
static const struct cleanup_place blobs = { .kind = FSU_KIND_BLOB,
					    .owned = true,
					    .removable = true };

/* ---- claiming ---- */

/* The offices in hand, for take_owner. */
struct claiming {
	struct cleaning cleaning; /* first */
	struct offices offices;
};

static fsha_result take_owner(struct cleaning *c, const struct cleanup_place *place,
			      fsha_error *reterr)
{
	struct claiming *claiming = (struct claiming *)c;

	/* Nothing was changed yet: after the first failure the others are not asked. */
	return c->result == FSHA_OK ? offices_take(&claiming->offices, place->election, reterr) :
				      FSHA_OK;
}

/* Every election that there is, and every one that data belongs to. */
static fsha_result claim_all(struct claiming *claiming)
{
	static const char *const fixed[] = { FSHA_ELECTION_DISPATCHER,
					     FSHA_ELECTION_RESOURCE_MANAGER };
	struct cleaning *c = &claiming->cleaning;

	note(c, offices_take_all(&claiming->offices, where(c)));
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (c->result == FSHA_OK)
			note(c, offices_take(&claiming->offices, fixed[i], where(c)));
	for_each(c, LAYOUT_CHECKPOINTS, &checkpoints, owner_by_job, take_owner);
	for_each(c, LAYOUT_STATE, &namespaces, owner_by_record, take_owner);
	return c->result;
}

/* ---- cleaning ---- */

static fsha_result clean_place(struct cleaning *c, const struct cleanup_place *place,
			       fsha_error *reterr)
{
	return cleanup_directory(c->services, place, reterr);
}

static void clean_pointers(struct cleaning *c)
{
	static const struct cleanup_place flat[] = {
		{ .directory = LAYOUT_JOB_GRAPHS,
		  .election = FSHA_ELECTION_DISPATCHER,
		  .kind = FSU_KIND_JOB_GRAPH },
		{ .directory = LAYOUT_RUNNING_JOBS,
		  .election = FSHA_ELECTION_DISPATCHER,
		  .kind = FSU_KIND_RUNNING_JOB },
		{ .directory = LAYOUT_WORKERS,
		  .election = FSHA_ELECTION_RESOURCE_MANAGER,
		  .kind = FSU_KIND_WORKER },
	};
	static const char *const of_workers[] = { FRAMEWORK_ID_KEY, COUNTER_KEY };

	for (size_t i = 0; i < sizeof(flat) / sizeof(flat[0]); i++)
		note(c, clean_place(c, &flat[i], where(c)));
	for (size_t i = 0; i < sizeof(of_workers) / sizeof(of_workers[0]); i++)
		note(c, cleanup_key(c->services, &flat[2], of_workers[i], where(c)));
	for_each(c, LAYOUT_CHECKPOINTS, &checkpoints, owner_by_job, clean_place);
	for_each(c, LAYOUT_STATE, &namespaces, owner_by_record, clean_place);
}

static fsha_result check_may_wait(struct fsha_services *s, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;

	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "cleanup", "the services are NULL");
	services_lock(s);
	if (executor_is_me(s))
		result = error_set(reterr, FSHA_E_STATE, 0, "cleanup",
				   "a callback cannot wait for an election");
	for (const struct fsha_election *e = s->elections; e && result == FSHA_OK; e = e->next)
		if (!e->closed)
			result = error_set(reterr, FSHA_E_STATE, 0, "cleanup",
					   "cannot clean up: this process contends for '%s', close "
					   "that first",
					   e->component);
	services_unlock(s);
	return result;
}

fsha_result fsha_services_cleanup_all_data(fsha_services *s, fsha_error *reterr)
{
	fsha_result result = check_may_wait(s, reterr);

	return result == FSHA_OK ? cleanup_all(s, false, reterr) : result;
}

fsha_result cleanup_all(struct fsha_services *s, bool in_hand, fsha_error *reterr)
{
	struct claiming claiming = {
		.cleaning = { .services = s, .result = FSHA_OK, .reterr = reterr },
		.offices = { .services = s, .in_hand = in_hand },
	};
	struct cleaning *c = &claiming.cleaning;

	/* Standalone services have a term of everything, and nobody else has one. */
	if (s->standalone || claim_all(&claiming) == FSHA_OK)
		clean_pointers(c);
	if (c->result == FSHA_OK)
		for_each(c, LAYOUT_BLOBS, &blobs, owner_by_record, clean_place);
	note(c, offices_leave(&claiming.offices, where(c)));
	return c->result;
}

fsha_result fsha_services_close_with_optional_clean(fsha_services *s, int clean, fsha_error *reterr)
{
	fsha_result result = FSHA_OK, closed;

	if (!s)
		return FSHA_OK;
	/* What is still open keeps it open, and keeps its data. */
	services_lock(s);
	closed = services_check_all_closed(s, reterr);
	services_unlock(s);
	if (closed != FSHA_OK)
		return closed;
	if (clean)
		result = fsha_services_cleanup_all_data(s, reterr);
	closed = fsha_services_close(s, result == FSHA_OK ? reterr : NULL);
	return result == FSHA_OK ? closed : result;
}

fsha_result fsha_services_close_and_cleanup_all_data(fsha_services *s, fsha_error *reterr)
{
	return fsha_services_close_with_optional_clean(s, 1, reterr);
}
