/*
 * Everything of one job goes. Its election is claimed first, so a master of it that was stopped in
 * the middle of a write publishes nothing when it wakes up; then what could start the job again,
 * then what it would be started from, and the blobs only when all of that is gone: there is never a
 * pointer without its data. Each step may be repeated, so a call that was cut short is called
 * again.
 */
#include "src/services/cleanup.h"

#include <stdio.h>
#include <string.h>

#include "src/backup/offices.h"
#include "src/cluster/layout.h"
#include "src/election/election.h"
#include "src/result/error.h"
#include "src/services/standalone.h"

#define DIRECTORY_SIZE 64 /* of a job: "checkpoints/<32 hex>", "blobs/job_<32 hex>" */

static fsha_result open_place(struct fsha_services *s, const struct cleanup_place *place,
			      struct store **ret_store, fsha_error *reterr)
{
	const struct store_options options = {
		.directory = place->directory,
		.election = place->election,
		.kind = place->kind,
		.owned = place->owned,
		.removable = place->removable,
	};

	return services_store_open(s, &options, ret_store, reterr);
}

fsha_result cleanup_directory(struct fsha_services *s, const struct cleanup_place *place,
			      fsha_error *reterr)
{
	struct store *store;
	fsha_result result;

	result = open_place(s, place, &store, reterr);
	if (result != FSHA_OK)
		return result;
	/* Record by record too, for whoever still reads in the directory. */
	result = store_clear(store, reterr);
	if (result == FSHA_OK && place->removable)
		result = store_remove_directory(store, reterr);
	services_store_close(s, store);
	return result;
}

fsha_result cleanup_key(struct fsha_services *s, const struct cleanup_place *place, const char *key,
			fsha_error *reterr)
{
	struct store *store;
	fsha_result result;

	result = open_place(s, place, &store, reterr);
	if (result != FSHA_OK)
		return result;
	result = store_write(store, STORE_REMOVE, key, NULL, NULL, 0, NULL, reterr);
	services_store_close(s, store);
	return result;
}

fsha_result cleanup_job_pointers(struct fsha_services *s, const fsha_job_id *job,
				 fsha_error *reterr)
{
	char key[FSHA_HEX_ID_TEXT], election[FSHA_ELECTION_JOB_TEXT], directory[DIRECTORY_SIZE];
	const struct cleanup_place graphs = { .directory = LAYOUT_JOB_GRAPHS,
					      .election = FSHA_ELECTION_DISPATCHER,
					      .kind = FSU_KIND_JOB_GRAPH };
	const struct cleanup_place running = { .directory = LAYOUT_RUNNING_JOBS,
					       .election = FSHA_ELECTION_DISPATCHER,
					       .kind = FSU_KIND_RUNNING_JOB };
	const struct cleanup_place checkpoints = { .directory = directory,
						   .election =
							   fsha_job_election_name(job, election),
						   .kind = FSU_KIND_CHECKPOINT,
						   .owned = true,
						   .removable = true };
	fsha_result result;

	fsha_job_id_format(job, key);
	(void)snprintf(directory, sizeof(directory), LAYOUT_CHECKPOINTS "/%s", key);
	/* A graph without its checkpoints would be started from nothing: so it goes before them. */
	result = cleanup_key(s, &graphs, key, reterr);
	if (result == FSHA_OK)
		result = cleanup_key(s, &running, key, reterr);
	if (result == FSHA_OK)
		result = cleanup_directory(s, &checkpoints, reterr);
	return result;
}

fsha_result cleanup_job_blobs(struct fsha_services *s, const fsha_job_id *job, fsha_error *reterr)
{
	char key[FSHA_HEX_ID_TEXT], directory[DIRECTORY_SIZE];
	const struct cleanup_place blobs = { .directory = directory,
					     .election = FSHA_ELECTION_DISPATCHER,
					     .kind = FSU_KIND_BLOB,
					     .owned = true,
					     .removable = true };

	(void)snprintf(directory, sizeof(directory), LAYOUT_BLOBS "/job_%s",
		       fsha_job_id_format(job, key));
	return cleanup_directory(s, &blobs, reterr);
}

/* ---- the terms ---- */

/* The election of that name that this object contends for, with a reference; or NULL. */
static struct fsha_election *find_own(struct fsha_services *s, const char *component)
{
	struct fsha_election *e;

	services_lock(s);
	for (e = s->elections; e; e = e->next)
		if (!e->closed && strcmp(e->component, component) == 0)
			break;
	if (e)
		atomic_fetch_add(&e->refs, 1);
	services_unlock(s);
	return e;
}

/* End the term that was ours already, and wait for that: "no leader" is published then. */
static fsha_result end_own_term(struct fsha_election *e, const fsha_uuid *session,
				fsha_error *reterr)
{
	struct fsha_services *s = e->services;
	int64_t deadline_ns = services_close_deadline_ns(s);
	fsha_result result;

	result = fsha_election_resign(e, session, reterr);
	if (result == FSHA_E_NOT_LEADER)
		return FSHA_OK; /* it ended by itself */
	services_lock(s);
	while (result == FSHA_OK && e->term &&
	       memcmp(&e->term->epoch.session, session, sizeof(*session)) == 0)
		if (!services_wait(s, deadline_ns))
			result = error_set(reterr, FSHA_E_TIMEOUT, 0, "resign",
					   "the data of the job is gone, but '%s' could not be "
					   "resigned yet",
					   e->component);
	services_unlock(s);
	return result;
}

static fsha_result clean_as_leader(struct fsha_services *s, struct fsha_election *own,
				   const fsha_job_id *job, const char *component,
				   fsha_error *reterr)
{
	struct offices offices = { .services = s };
	fsha_result result = FSHA_OK, left;
	fsha_uuid session;
	bool mine = own && fsha_election_term(own, &session, NULL);

	if (!mine)
		result = offices_take(&offices, component, reterr);
	if (result == FSHA_OK)
		result = cleanup_job_pointers(s, job, reterr);
	if (result == FSHA_OK && mine)
		result = end_own_term(own, &session, reterr);
	left = offices_leave(&offices, result == FSHA_OK ? reterr : NULL);
	return result == FSHA_OK ? left : result;
}

/* It is the dispatcher's to do, whose the graphs and blobs are. */
static fsha_result check_dispatcher(struct fsha_services *s, fsha_error *reterr)
{
	struct term *t = services_term(s, FSHA_ELECTION_DISPATCHER);
	bool live = t && term_is_live(t);

	term_unref(t);
	return live ? FSHA_OK :
		      error_set(reterr, FSHA_E_NOT_LEADER, 0, "cleanup",
				"cannot clean up: this process does not lead '%s'",
				FSHA_ELECTION_DISPATCHER);
}

fsha_result fsha_services_global_cleanup(fsha_services *s, const fsha_job_id *job,
					 fsha_error *reterr)
{
	char component[FSHA_ELECTION_JOB_TEXT];
	struct fsha_election *own;
	fsha_result result;
	bool callback;

	if (!s || !job)
		return error_set(reterr, FSHA_E_INVALID, 0, "cleanup", "an argument is NULL");
	services_lock(s);
	callback = executor_is_me(s);
	services_unlock(s);
	if (callback)
		return error_set(reterr, FSHA_E_STATE, 0, "cleanup",
				 "a callback cannot wait for an election");
	fsha_job_election_name(job, component);
	if (s->standalone) {
		/* The stores bring their terms, and nobody else has one. */
		result = cleanup_job_pointers(s, job, reterr);
	} else {
		result = check_dispatcher(s, reterr);
		if (result != FSHA_OK)
			return result;
		own = find_own(s, component);
		result = clean_as_leader(s, own, job, component, reterr);
		if (own)
			election_unref(own);
	}
	return result == FSHA_OK ? cleanup_job_blobs(s, job, reterr) : result;
}
