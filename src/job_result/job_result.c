#include "src/job_result/job_result.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/job_result/json.h"
#include "src/result/error.h"

/* ---- open and close ---- */

/* Of the directory that is this cluster's alone. Other errors are for whoever uses it to see. */
static fsha_result check_owner(fsha_job_result_store *s, fsha_error *reterr)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result = store_check_owner(s->store, &error);

	if (result != FSHA_E_CORRUPT && result != FSHA_E_CONFIG)
		return FSHA_OK;
	return error_set(reterr, FSHA_E_CONFIG, 0, "open",
			 "cannot use " FSHA_KEY_JOB_RESULT_PATH
			 " '%.160s': it is neither empty nor this cluster's (%.160s); name another "
			 "directory",
			 s->store->path, error.message);
}

fsha_result fsha_job_result_store_open(fsha_services *services, fsha_job_result_store **ret_store,
				       fsha_error *reterr)
{
	struct store_options options = {
		.directory = LAYOUT_JOB_RESULTS,
		.election = FSHA_ELECTION_DISPATCHER,
		.kind = FSU_KIND_JOB_RESULT,
		.format = &job_result_format,
	};
	fsha_job_result_store *s;
	fsha_result result;

	if (!services || !ret_store)
		return error_set(reterr, FSHA_E_INVALID, 0, "open", "an argument is NULL");
	if (services->job_result_path) {
		options.path = services->job_result_path;
		options.owned = true;
		result = job_result_check_place(services, reterr);
		if (result != FSHA_OK)
			return result;
	}
	s = fsu_alloc(services_fs(services), sizeof(*s));
	if (!s || pthread_mutex_init(&s->writing, NULL) != 0) {
		fsu_release(services_fs(services), s);
		return error_os(reterr, -ENOMEM, "alloc", "cannot open the job result store");
	}
	s->services = services;
	s->delete_on_commit = services->job_result_delete;
	result = services_store_open(services, &options, &s->store, reterr);
	if (result != FSHA_OK) {
		(void)pthread_mutex_destroy(&s->writing);
		fsu_release(services_fs(services), s);
		return result;
	}
	result = services->job_result_path ? check_owner(s, reterr) : FSHA_OK;
	if (result != FSHA_OK) {
		fsha_job_result_store_close(s);
		return result;
	}
	*ret_store = s;
	return FSHA_OK;
}

void fsha_job_result_store_close(fsha_job_result_store *s)
{
	if (!s)
		return;
	services_store_close(s->services, s->store);
	(void)pthread_mutex_destroy(&s->writing);
	fsu_release(services_fs(s->services), s);
}

char *job_result_key(const fsha_job_id *id, bool dirty, char *text)
{
	fsha_job_id_format(id, text);
	if (dirty)
		strcpy(text + FSHA_HEX_ID_TEXT - 1, JOB_RESULT_DIRTY);
	return text;
}

static fsha_result check_arguments(const fsha_job_result_store *s, const void *argument,
				   const char *op, fsha_error *reterr)
{
	return s && argument ? FSHA_OK :
			       error_set(reterr, FSHA_E_INVALID, 0, op, "an argument is NULL");
}

/* ---- doubts ---- */

/* Of the last write of this kind for this job, if it said INDOUBT; or NULL. */
static struct job_result_doubt *find_doubt(fsha_job_result_store *s, const fsha_job_id *id,
					   bool creating)
{
	for (size_t i = 0; i < JOB_RESULT_DOUBTS; i++)
		if (fsha_version_is_existing(&s->doubts[i].version) &&
		    s->doubts[i].creating == creating &&
		    memcmp(&s->doubts[i].id, id, sizeof(*id)) == 0)
			return &s->doubts[i];
	return NULL;
}

/* What came out of a write that made `version`. With too many doubts the oldest is forgotten. */
static void keep_doubt(fsha_job_result_store *s, const fsha_job_id *id, bool creating,
		       fsha_result result, const fsha_version *version)
{
	struct job_result_doubt *doubt = find_doubt(s, id, creating);

	if (result == FSHA_E_INDOUBT) {
		if (!doubt)
			doubt = &s->doubts[s->next_doubt++ % JOB_RESULT_DOUBTS];
		*doubt = (struct job_result_doubt){ *id, creating, *version };
	} else if (result == FSHA_OK && doubt) {
		*doubt = (struct job_result_doubt){ .creating = false };
	}
}

/* ---- what is there ---- */

fsha_result job_result_has(fsha_job_result_store *s, const fsha_job_id *id, bool dirty,
			   bool *ret_has, fsha_error *reterr)
{
	char key[JOB_RESULT_KEY_SIZE];
	fsha_version version;
	fsha_result result;

	result = store_exists(s->store, job_result_key(id, dirty, key), &version, reterr);
	if (result == FSHA_OK)
		*ret_has = fsha_version_is_existing(&version);
	return result;
}

/* The dirty entry first: whoever marks it as clean publishes the clean one before it goes. */
static fsha_result has_both(fsha_job_result_store *s, const fsha_job_id *id, bool *ret_dirty,
			    bool *ret_clean, fsha_error *reterr)
{
	fsha_result result = job_result_has(s, id, true, ret_dirty, reterr);

	return result == FSHA_OK ? job_result_has(s, id, false, ret_clean, reterr) : result;
}

static fsha_result has(fsha_job_result_store *s, const fsha_job_id *id, int *ret_has,
		       int (*judge)(bool dirty, bool clean), fsha_error *reterr)
{
	bool dirty, clean;
	fsha_result result;

	result = check_arguments(s, id && ret_has ? id : NULL, "has", reterr);
	if (result == FSHA_OK)
		result = has_both(s, id, &dirty, &clean, reterr);
	if (result == FSHA_OK)
		*ret_has = judge(dirty, clean);
	return result;
}

static int is_any(bool dirty, bool clean)
{
	return dirty || clean;
}

static int is_dirty(bool dirty, bool clean)
{
	return dirty && !clean;
}

static int is_clean(bool dirty, bool clean)
{
	(void)dirty;
	return clean;
}

fsha_result fsha_job_result_store_has_entry(fsha_job_result_store *s, const fsha_job_id *id,
					    int *ret_has, fsha_error *reterr)
{
	return has(s, id, ret_has, is_any, reterr);
}

fsha_result fsha_job_result_store_has_dirty(fsha_job_result_store *s, const fsha_job_id *id,
					    int *ret_has, fsha_error *reterr)
{
	return has(s, id, ret_has, is_dirty, reterr);
}

fsha_result fsha_job_result_store_has_clean(fsha_job_result_store *s, const fsha_job_id *id,
					    int *ret_has, fsha_error *reterr)
{
	return has(s, id, ret_has, is_clean, reterr);
}

/* ---- create ---- */

static fsha_result exists_already(const fsha_job_id *id, const char *how, fsha_error *reterr)
{
	char text[FSHA_HEX_ID_TEXT];

	return error_set(reterr, FSHA_E_EXISTS, 0, "create", "job '%s' has a %s result already",
			 fsha_job_id_format(id, text), how);
}

/* Under `writing`. The text is whole JSON. */
static fsha_result create(fsha_job_result_store *s, const fsha_job_id *id, const char *text,
			  size_t len, fsha_error *reterr)
{
	const struct job_result_doubt *doubt = find_doubt(s, id, true);
	fsha_version present = { 0 }, version = { 0 };
	char key[JOB_RESULT_KEY_SIZE];
	bool clean = false;
	fsha_result result;

	job_result_key(id, true, key);
	result = job_result_has(s, id, false, &clean, reterr);
	if (result == FSHA_OK && clean)
		return exists_already(id, "clean", reterr);
	if (result == FSHA_OK && doubt)
		result = store_exists(s->store, key, &present, reterr);
	if (result != FSHA_OK)
		return result;
	/* Our own from the last try, perhaps not durable: once more, which settles it. */
	if (doubt && fsha_version_compare(&present, &doubt->version) == 0)
		result = store_write(s->store, STORE_REPLACE, key, &present, text, len, &version,
				     reterr);
	else
		result = store_write(s->store, STORE_ADD, key, NULL, text, len, &version, reterr);
	keep_doubt(s, id, true, result, &version);
	if (result == FSHA_E_EXISTS || result == FSHA_E_VERSION)
		return exists_already(id, "dirty", reterr);
	/*
	 * Another process of this term may have marked an earlier one as clean in between: then
	 * that was the result, and ours, which nobody sees beside it, goes again.
	 */
	if (result == FSHA_OK && job_result_has(s, id, false, &clean, NULL) == FSHA_OK && clean) {
		(void)store_write(s->store, STORE_REMOVE, key, NULL, NULL, 0, NULL, NULL);
		return exists_already(id, "clean", reterr);
	}
	return result;
}

fsha_result fsha_job_result_store_create_dirty(fsha_job_result_store *s,
					       const fsha_job_result *job_result,
					       fsha_error *reterr)
{
	fsha_result result;
	char *text;
	size_t len;

	result = check_arguments(s, job_result, "create", reterr);
	if (result == FSHA_OK)
		result = job_result_format_with(services_fs(s->services), job_result, &text, &len,
						reterr);
	if (result != FSHA_OK)
		return result;
	(void)pthread_mutex_lock(&s->writing);
	result = create(s, &job_result->id, text, len, reterr);
	(void)pthread_mutex_unlock(&s->writing);
	fsu_release(services_fs(s->services), text);
	return result;
}

/* ---- mark as clean, remove ---- */

fsha_result job_result_no_entry(const fsha_job_id *id, fsha_error *reterr)
{
	char text[FSHA_HEX_ID_TEXT];

	return error_set(reterr, FSHA_E_NOT_FOUND, 0, "get", "job '%s' has no result",
			 fsha_job_id_format(id, text));
}

void job_result_drop_dirty(fsha_job_result_store *s, const fsha_job_id *id)
{
	char key[JOB_RESULT_KEY_SIZE];
	bool dirty;

	if (job_result_has(s, id, true, &dirty, NULL) == FSHA_OK && dirty)
		(void)store_write(s->store, STORE_REMOVE, job_result_key(id, true, key), NULL, NULL,
				  0, NULL, NULL);
}

static fsha_result is_clean_already(fsha_job_result_store *s, const fsha_job_id *id,
				    fsha_error *reterr)
{
	fsha_result result = store_sync(s->store, reterr);

	if (result == FSHA_OK)
		job_result_drop_dirty(s, id);
	return result;
}

static fsha_result mark_and_keep(fsha_job_result_store *s, const fsha_job_id *id,
				 fsha_error *reterr)
{
	char key[JOB_RESULT_KEY_SIZE];
	struct record record;
	fsha_result result;

	result = store_get(s->store, job_result_key(id, true, key), &record, NULL, reterr);
	if (result == FSHA_E_NOT_FOUND)
		return job_result_no_entry(id, reterr);
	if (result != FSHA_OK)
		return result;
	result = store_write(s->store, STORE_ADD, job_result_key(id, false, key), NULL, record.data,
			     record.size, NULL, reterr);
	record_done(services_fs(s->services), &record);
	if (result == FSHA_E_EXISTS) /* by another process of this term */
		return is_clean_already(s, id, reterr);
	if (result == FSHA_OK)
		job_result_drop_dirty(s, id);
	return result;
}

static fsha_result mark_and_delete(fsha_job_result_store *s, const fsha_job_id *id,
				   fsha_error *reterr)
{
	fsha_version version = { 0 };
	char key[JOB_RESULT_KEY_SIZE];
	fsha_result result;
	bool dirty;

	result = job_result_has(s, id, true, &dirty, reterr);
	if (result == FSHA_OK && !dirty && !find_doubt(s, id, false))
		result = job_result_no_entry(id, reterr);
	if (result != FSHA_OK)
		return result;
	result = store_write(s->store, STORE_REMOVE, job_result_key(id, true, key), NULL, NULL, 0,
			     &version, reterr);
	keep_doubt(s, id, false, result, &version);
	return result;
}

fsha_result fsha_job_result_store_mark_clean(fsha_job_result_store *s, const fsha_job_id *id,
					     fsha_error *reterr)
{
	fsha_result result;
	bool clean = false;

	result = check_arguments(s, id, "mark", reterr);
	if (result != FSHA_OK)
		return result;
	(void)pthread_mutex_lock(&s->writing);
	result = job_result_has(s, id, false, &clean, reterr);
	if (result == FSHA_OK && clean)
		result = is_clean_already(s, id, reterr);
	else if (result == FSHA_OK)
		result = (s->delete_on_commit ? mark_and_delete : mark_and_keep)(s, id, reterr);
	(void)pthread_mutex_unlock(&s->writing);
	return result;
}

fsha_result fsha_job_result_store_remove(fsha_job_result_store *s, const fsha_job_id *id,
					 fsha_error *reterr)
{
	char key[JOB_RESULT_KEY_SIZE];
	fsha_result result;
	bool clean = false;

	result = check_arguments(s, id, "remove", reterr);
	if (result != FSHA_OK)
		return result;
	(void)pthread_mutex_lock(&s->writing);
	result = job_result_has(s, id, false, &clean, reterr);
	/* The dirty one first, or else it would count again for a moment. */
	if (result == FSHA_OK)
		result = store_write(s->store, STORE_REMOVE, job_result_key(id, true, key), NULL,
				     NULL, 0, NULL, reterr);
	/* Beside it the dirty one counted for nothing: what fails here has changed nothing. */
	if (result == FSHA_OK && clean)
		result = store_write(s->store, STORE_REMOVE, job_result_key(id, false, key), NULL,
				     NULL, 0, NULL, reterr);
	(void)pthread_mutex_unlock(&s->writing);
	return result;
}
