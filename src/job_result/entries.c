/* Reading job results: one, and all. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/job_result/job_result.h"
#include "src/job_result/json.h"
#include "src/result/error.h"

/* An entry, decoded, with the memory of the services. */
static fsha_result read_entry(fsha_job_result_store *s, const fsha_job_id *id, bool dirty,
			      fsha_job_result **ret_result, fsha_version *ret_version,
			      fsha_error *reterr)
{
	const struct fsu *fs = services_fs(s->services);
	char key[JOB_RESULT_KEY_SIZE], why[JSON_TEXT_WHY_SIZE];
	struct record record;
	fsha_result result;
	int r;

	job_result_key(id, dirty, key);
	result = store_get(s->store, key, &record, ret_version, reterr);
	if (result != FSHA_OK)
		return result;
	r = job_result_decode(fs, (const char *)record.data, record.size, ret_result, why);
	record_done(fs, &record);
	if (r == 0 && memcmp(&(*ret_result)->id, id, sizeof(*id)) != 0) {
		fsu_release(fs, *ret_result);
		(void)snprintf(why, sizeof(why), "it is the result of another job");
		r = -EBADMSG;
	}
	if (r == -EBADMSG)
		return error_set(reterr, FSHA_E_CORRUPT, 0, "decode",
				 "'" LAYOUT_JOB_RESULTS "/%s' is damaged: %s", key, why);
	if (r < 0)
		return error_os(reterr, r, "decode", "cannot read '" LAYOUT_JOB_RESULTS "/%s'",
				key);
	return FSHA_OK;
}

fsha_result fsha_job_result_store_get(fsha_job_result_store *s, const fsha_job_id *id,
				      fsha_job_result **ret_result, int *ret_is_dirty,
				      fsha_error *reterr)
{
	fsha_error dirty_error = FSHA_ERROR_INIT, clean_error = FSHA_ERROR_INIT;
	fsha_job_result *dirty = NULL, *clean = NULL;
	fsha_result of_dirty, of_clean;

	if (!s || !id || !ret_result)
		return error_set(reterr, FSHA_E_INVALID, 0, "get", "an argument is NULL");
	/* The dirty one first, and the clean one counts: see job_result.h. */
	of_dirty = read_entry(s, id, true, &dirty, NULL, &dirty_error);
	of_clean = read_entry(s, id, false, &clean, NULL, &clean_error);
	if (of_clean == FSHA_E_NOT_FOUND && of_dirty == FSHA_E_NOT_FOUND)
		return job_result_no_entry(id, reterr);
	if (of_clean == FSHA_E_NOT_FOUND && of_dirty != FSHA_OK)
		return error_copy(reterr, &dirty_error);
	if (of_clean != FSHA_E_NOT_FOUND && of_dirty == FSHA_OK)
		fsu_release(services_fs(s->services), dirty);
	if (of_clean != FSHA_E_NOT_FOUND && of_clean != FSHA_OK)
		return error_copy(reterr, &clean_error);
	*ret_result = clean ? clean : dirty;
	if (ret_is_dirty)
		*ret_is_dirty = !clean;
	return FSHA_OK;
}

/* ---- all ---- */

struct walk {
	fsha_job_result_store *store;
	bool dirty; /* what is asked for */
	char **keys;
	size_t count;
	int (*visit)(void *ctx, const fsha_job_result_entry *entry);
	void *ctx;
};

/* Is it the key of an entry? Then of which job, and is it a dirty one? */
static bool parse_key(const char *key, fsha_job_id *ret_id, bool *ret_dirty)
{
	char id[FSHA_HEX_ID_TEXT];

	if (strlen(key) < sizeof(id) - 1)
		return false;
	memcpy(id, key, sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	*ret_dirty = strcmp(key + sizeof(id) - 1, JOB_RESULT_DIRTY) == 0;
	return (*ret_dirty || !key[sizeof(id) - 1]) && name_is_job(id, ret_id);
}

static bool has_key(const struct walk *w, const char *key)
{
	size_t low = 0, high = w->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(w->keys[middle], key);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* What is no entry belongs to the dirty ones if its name says so. */
static bool belongs_here(const struct walk *w, const char *name)
{
	return (strstr(name, JOB_RESULT_DIRTY) != NULL) == w->dirty;
}

static int visit_stray(const struct walk *w, const char *name, const char *why)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_job_result_entry entry = { .result = FSHA_E_CORRUPT, .error = &error };

	if (!belongs_here(w, name))
		return 0;
	(void)error_set(&error, FSHA_E_CORRUPT, 0, "list",
			"'" LAYOUT_JOB_RESULTS
			"/%s' counts as no entry: %s; store it with `fsha result put` and move it "
			"away by hand",
			name, why);
	return w->visit(w->ctx, &entry);
}

static int visit_entry(const struct walk *w, const fsha_job_id *id)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_job_result_entry entry = { .id = *id };
	fsha_job_result *job_result = NULL;
	int r;

	entry.result = read_entry(w->store, id, w->dirty, &job_result, &entry.version, &error);
	if (entry.result == FSHA_E_NOT_FOUND)
		return 0; /* marked as clean by now */
	if (entry.result == FSHA_OK)
		entry.job_result = job_result;
	else
		entry.error = &error;
	r = w->visit(w->ctx, &entry);
	if (entry.result == FSHA_OK)
		fsu_release(services_fs(w->store->services), job_result);
	return r;
}

/* Everything that has a version, in order. Non-zero: the visitor has enough. */
static int visit_keys(const struct walk *w)
{
	char clean[JOB_RESULT_KEY_SIZE];
	fsha_job_id id;
	bool dirty;
	int r = 0;

	for (size_t i = 0; i < w->count && r == 0; i++) {
		if (!parse_key(w->keys[i], &id, &dirty))
			r = visit_stray(w, w->keys[i], "its name tells no job id");
		else if (dirty == w->dirty &&
			 !(dirty && has_key(w, job_result_key(&id, false, clean))))
			r = visit_entry(w, &id);
	}
	return r;
}

static fsha_result visit_strays(const struct walk *w, fsha_error *reterr)
{
	fsha_result result;
	char **names;
	size_t count;
	int r = 0;

	result = store_strays(w->store->store, &names, &count, reterr);
	if (result != FSHA_OK)
		return result;
	for (size_t i = 0; i < count && r == 0; i++)
		r = visit_stray(w, names[i], "its name has no version");
	fsu_release(services_fs(w->store->services), names);
	return FSHA_OK;
}

/*
 * What a leader is told of, it acts on: so that is durable. And what an earlier one left between
 * its two steps goes.
 */
static fsha_result tidy(const struct walk *w, fsha_error *reterr)
{
	struct term *t = services_term(w->store->services, FSHA_ELECTION_DISPATCHER);
	bool leads = t && term_is_live(t);
	char clean[JOB_RESULT_KEY_SIZE];
	fsha_job_id id;
	fsha_result result;
	bool dirty;

	term_unref(t);
	if (!leads)
		return FSHA_OK;
	result = store_sync(w->store->store, reterr);
	for (size_t i = 0; i < w->count && result == FSHA_OK; i++)
		if (parse_key(w->keys[i], &id, &dirty) && dirty &&
		    has_key(w, job_result_key(&id, false, clean)))
			job_result_drop_dirty(w->store, &id);
	return result;
}

static fsha_result walk(fsha_job_result_store *s, bool dirty,
			int (*visit)(void *ctx, const fsha_job_result_entry *entry), void *ctx,
			fsha_error *reterr)
{
	struct walk w = { .store = s, .dirty = dirty, .visit = visit, .ctx = ctx };
	fsha_result result;

	if (!s || !visit)
		return error_set(reterr, FSHA_E_INVALID, 0, "list", "an argument is NULL");
	result = store_keys(s->store, &w.keys, &w.count, reterr);
	if (result != FSHA_OK)
		return result;
	result = dirty ? tidy(&w, reterr) : FSHA_OK;
	if (result == FSHA_OK && visit_keys(&w) == 0)
		result = visit_strays(&w, reterr);
	fsu_release(services_fs(s->services), w.keys);
	return result;
}

fsha_result fsha_job_result_store_get_dirty_results(
	fsha_job_result_store *s, int (*visit)(void *ctx, const fsha_job_result_entry *entry),
	void *ctx, fsha_error *reterr)
{
	return walk(s, true, visit, ctx, reterr);
}

fsha_result fsha_job_result_store_get_clean_results(
	fsha_job_result_store *s, int (*visit)(void *ctx, const fsha_job_result_entry *entry),
	void *ctx, fsha_error *reterr)
{
	return walk(s, false, visit, ctx, reterr);
}
