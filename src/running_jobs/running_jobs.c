/*
 * The registry of running jobs: thin over the store. A record is the word for the status, as in
 * Flink's registry in ZooKeeper; PENDING is no record.
 *
 * A job that is done stays done, so whoever sets it to running depends on what is there: the write
 * names the version that was read, and starts over when that was replaced.
 */
#include <errno.h>
#include <string.h>

#include "fsha/running_jobs.h"
#include "src/cluster/layout.h"
#include "src/result/error.h"
#include "src/result/word.h"
#include "src/services/services.h"

/* How often setting starts over because somebody else set it meanwhile. */
#define SET_TRIES 50

struct fsha_running_jobs {
	struct fsha_services *services;
	struct store *store;
};

static const char *const names[] = {
	[FSHA_JOB_PENDING] = "PENDING",
	[FSHA_JOB_RUNNING] = "RUNNING",
	[FSHA_JOB_DONE] = "DONE",
};
#define NAMES ((int32_t)(sizeof(names) / sizeof(names[0])))

const char *fsha_job_status_name(int status)
{
	return status >= 0 && status < NAMES ? names[status] : "UNKNOWN";
}

fsha_result fsha_job_status_parse(const char *text, int32_t *ret_status)
{
	for (int32_t i = 0; text && ret_status && i < NAMES; i++)
		if (word_equal(text, names[i])) {
			*ret_status = i;
			return FSHA_OK;
		}
	return FSHA_E_INVALID;
}

fsha_result fsha_running_jobs_open(fsha_services *services, fsha_running_jobs **ret_registry,
				   fsha_error *reterr)
{
	const struct store_options options = {
		.directory = LAYOUT_RUNNING_JOBS,
		.election = FSHA_ELECTION_DISPATCHER,
		.kind = FSU_KIND_RUNNING_JOB,
	};
	fsha_running_jobs *r;
	fsha_result result;

	if (!services || !ret_registry)
		return error_set(reterr, FSHA_E_INVALID, 0, "open", "an argument is NULL");
	r = fsu_alloc(services_fs(services), sizeof(*r));
	if (!r)
		return error_os(reterr, -ENOMEM, "alloc", "cannot open the running jobs");
	r->services = services;
	result = services_store_open(services, &options, &r->store, reterr);
	if (result != FSHA_OK) {
		fsu_release(services_fs(services), r);
		return result;
	}
	*ret_registry = r;
	return FSHA_OK;
}

void fsha_running_jobs_close(fsha_running_jobs *r)
{
	if (!r)
		return;
	services_store_close(r->services, r->store);
	fsu_release(services_fs(r->services), r);
}

static fsha_result check_arguments(const fsha_running_jobs *r, const void *argument, const char *op,
				   fsha_error *reterr)
{
	return r && argument ? FSHA_OK :
			       error_set(reterr, FSHA_E_INVALID, 0, op, "an argument is NULL");
}

/* ---- reading ---- */

static fsha_result unknown_status(const struct record *record, const char *key,
				  const fsha_version *version, fsha_error *reterr)
{
	char text[FSHA_VERSION_TEXT];

	return error_set(reterr, FSHA_E_CORRUPT, 0, "decode",
			 "'" LAYOUT_RUNNING_JOBS
			 "/%s~%s' says '%.40s', which is no status: RUNNING or DONE",
			 key, fsha_version_format(version, text), (const char *)record->data);
}

/* PENDING and a version that is all zero when there is no record. */
static fsha_result read_status(fsha_running_jobs *r, const char *key, int32_t *ret_status,
			       fsha_version *ret_version, fsha_error *reterr)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct record record;
	fsha_result result;
	int32_t status;

	result = store_get(r->store, key, &record, ret_version, &error);
	if (result == FSHA_E_NOT_FOUND) {
		*ret_status = FSHA_JOB_PENDING;
		*ret_version = (fsha_version){ 0 };
		return FSHA_OK;
	}
	if (result != FSHA_OK)
		return error_copy(reterr, &error);
	status = FSHA_JOB_DONE;
	while (status > FSHA_JOB_PENDING && (strlen(names[status]) != record.size ||
					     memcmp(names[status], record.data, record.size) != 0))
		status--;
	if (status == FSHA_JOB_PENDING)
		result = unknown_status(&record, key, ret_version, reterr);
	else
		*ret_status = status;
	record_done(services_fs(r->services), &record);
	return result;
}

fsha_result fsha_running_jobs_get_status(fsha_running_jobs *r, const fsha_job_id *id,
					 int32_t *ret_status, fsha_error *reterr)
{
	char key[FSHA_HEX_ID_TEXT];
	fsha_version version;
	fsha_result result;

	result = check_arguments(r, id && ret_status ? id : NULL, "get", reterr);
	if (result != FSHA_OK)
		return result;
	return read_status(r, fsha_job_id_format(id, key), ret_status, &version, reterr);
}

/* ---- writing ---- */

static fsha_result write_status(fsha_running_jobs *r, const char *key, const fsha_version *present,
				int32_t status, fsha_error *reterr)
{
	bool is_there = fsha_version_is_existing(present);

	return store_write(r->store, is_there ? STORE_REPLACE : STORE_ADD, key,
			   is_there ? present : NULL, names[status], strlen(names[status]), NULL,
			   reterr);
}

/* Was it set by somebody else between the look and the write? */
static bool was_overtaken(fsha_result result)
{
	return result == FSHA_E_EXISTS || result == FSHA_E_NOT_FOUND || result == FSHA_E_VERSION;
}

fsha_result fsha_running_jobs_set_running(fsha_running_jobs *r, const fsha_job_id *id,
					  fsha_error *reterr)
{
	fsha_result result = check_arguments(r, id, "set", reterr);
	char key[FSHA_HEX_ID_TEXT];
	fsha_version present;
	int32_t status;

	if (result != FSHA_OK)
		return result;
	fsha_job_id_format(id, key);
	for (int i = 0; i < SET_TRIES; i++) {
		result = read_status(r, key, &status, &present, reterr);
		if (result != FSHA_OK)
			return result;
		/* What is done is written once more: so it is durable, and this process leads. */
		if (status == FSHA_JOB_PENDING)
			status = FSHA_JOB_RUNNING;
		result = write_status(r, key, &present, status, reterr);
		if (!was_overtaken(result))
			return result;
	}
	return error_set(reterr, FSHA_E_TIMEOUT, 0, "set",
			 "'" LAYOUT_RUNNING_JOBS "/%s' changes faster than it can be set", key);
}

fsha_result fsha_running_jobs_set_finished(fsha_running_jobs *r, const fsha_job_id *id,
					   fsha_error *reterr)
{
	fsha_result result = check_arguments(r, id, "set", reterr);
	char key[FSHA_HEX_ID_TEXT];
	fsha_version present;

	if (result != FSHA_OK)
		return result;
	fsha_job_id_format(id, key);
	for (int i = 0; i < SET_TRIES; i++) {
		/* Not what it says: a damaged record is mended by this. */
		result = store_exists(r->store, key, &present, reterr);
		if (result == FSHA_OK)
			result = write_status(r, key, &present, FSHA_JOB_DONE, reterr);
		if (!was_overtaken(result))
			return result;
	}
	return error_set(reterr, FSHA_E_TIMEOUT, 0, "set",
			 "'" LAYOUT_RUNNING_JOBS "/%s' changes faster than it can be set", key);
}

fsha_result fsha_running_jobs_clear(fsha_running_jobs *r, const fsha_job_id *id, fsha_error *reterr)
{
	fsha_result result = check_arguments(r, id, "clear", reterr);
	char key[FSHA_HEX_ID_TEXT];

	if (result != FSHA_OK)
		return result;
	return store_write(r->store, STORE_REMOVE, fsha_job_id_format(id, key), NULL, NULL, 0, NULL,
			   reterr);
}

/* ---- all of them ---- */

struct walk {
	fsha_running_jobs *registry;
	int (*visit)(void *ctx, const fsha_running_job *job);
	void *ctx;
};

static int visit_stray(const struct walk *w, const char *name, const char *why)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_running_job job = { .result = FSHA_E_CORRUPT, .error = &error };

	(void)error_set(&error, FSHA_E_CORRUPT, 0, "list",
			"'" LAYOUT_RUNNING_JOBS
			"/%s' is no record of a job: %s; move it away by hand",
			name, why);
	return w->visit(w->ctx, &job);
}

static int visit_key(const struct walk *w, const char *key)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_running_job job = { .result = FSHA_OK };

	if (!name_is_job(key, &job.id))
		return visit_stray(w, key, "its name is no job id");
	job.result = read_status(w->registry, key, &job.status, &job.version, &error);
	if (job.result == FSHA_OK && job.status == FSHA_JOB_PENDING)
		return 0; /* cleared by now */
	if (job.result != FSHA_OK)
		job.error = &error;
	return w->visit(w->ctx, &job);
}

fsha_result fsha_running_jobs_list(fsha_running_jobs *r,
				   int (*visit)(void *ctx, const fsha_running_job *job), void *ctx,
				   fsha_error *reterr)
{
	const struct walk w = { r, visit, ctx };
	fsha_result result;
	char **names_there;
	size_t count;
	int enough = 0;

	if (!r || !visit)
		return error_set(reterr, FSHA_E_INVALID, 0, "list", "an argument is NULL");
	result = store_keys(r->store, &names_there, &count, reterr);
	if (result != FSHA_OK)
		return result;
	for (size_t i = 0; i < count && !enough; i++)
		enough = visit_key(&w, names_there[i]);
	fsu_release(services_fs(r->services), names_there);
	if (enough)
		return FSHA_OK;
	result = store_strays(r->store, &names_there, &count, reterr);
	if (result != FSHA_OK)
		return result;
	for (size_t i = 0; i < count && !enough; i++)
		enough = visit_stray(&w, names_there[i], "its name has no version");
	fsu_release(services_fs(r->services), names_there);
	return FSHA_OK;
}
