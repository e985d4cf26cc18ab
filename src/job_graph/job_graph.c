#include "src/job_graph/job_graph.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/job_graph/requirements.h"
#include "src/result/error.h"

/* ---- open and close ---- */

/* Memory, without the locks. */
static void destroy(fsha_job_graph_store *s)
{
	const struct fsu *fs = services_fs(s->services);

	ids_done(fs, &s->own);
	ids_done(fs, &s->seen);
	ids_done(fs, &s->told);
	(void)pthread_mutex_destroy(&s->mutex);
	(void)pthread_mutex_destroy(&s->writing);
	fsu_release(fs, s);
}

void job_graph_drop(fsha_job_graph_store *s)
{
	assert(s->users > 0);
	if (--s->users == 0)
		destroy(s);
}

static fsha_job_graph_store *create(fsha_services *services)
{
	const struct fsu *fs = services_fs(services);
	fsha_job_graph_store *s = fsu_alloc(fs, sizeof(*s));

	if (!s)
		return NULL;
	if (pthread_mutex_init(&s->mutex, NULL) != 0) {
		fsu_release(fs, s);
		return NULL;
	}
	if (pthread_mutex_init(&s->writing, NULL) != 0) {
		(void)pthread_mutex_destroy(&s->mutex);
		fsu_release(fs, s);
		return NULL;
	}
	s->services = services;
	s->dir_fd = -1;
	s->users = 1;
	s->error = (fsha_error)FSHA_ERROR_INIT;
	return s;
}

fsha_result fsha_job_graph_store_open(fsha_services *services, fsha_job_graph_store **ret_store,
				      fsha_error *reterr)
{
	const struct store_options options = {
		.directory = LAYOUT_JOB_GRAPHS,
		.election = FSHA_ELECTION_DISPATCHER,
		.kind = FSU_KIND_JOB_GRAPH,
	};
	fsha_job_graph_store *s;
	fsha_result result;

	if (!services || !ret_store)
		return error_set(reterr, FSHA_E_INVALID, 0, "open", "an argument is NULL");
	s = create(services);
	if (!s)
		return error_os(reterr, -ENOMEM, "alloc", "cannot open the job graph store");
	result = services_store_open(services, &options, &s->store, reterr);
	if (result != FSHA_OK) {
		destroy(s);
		return result;
	}
	*ret_store = s;
	return FSHA_OK;
}

void fsha_job_graph_store_close(fsha_job_graph_store *s)
{
	struct fsha_services *services;
	fsha_result result;
	bool mine;

	if (!s)
		return;
	services = s->services;
	result = fsha_job_graph_store_stop(s, NULL);
	if (result == FSHA_E_STATE)
		return; /* from a callback, which is not allowed */
	services_lock(services);
	/* What the poller still looks through is for the poller to close. */
	mine = !s->polling;
	if (!mine) {
		s->abandoned = true;
		services_store_abandon(services, s->store);
	}
	services_unlock(services);
	if (mine) {
		listener_done(s);
		services_store_close(services, s->store);
	}
	services_lock(services);
	job_graph_drop(s);
	services_unlock(services);
}

/* ---- operations ---- */

fsha_result job_graph_check_started(fsha_job_graph_store *s, const fsha_job_id *id,
				    fsha_error *reterr)
{
	bool started;

	if (!s || !id)
		return error_set(reterr, FSHA_E_INVALID, 0, "job_graph", "an argument is NULL");
	(void)pthread_mutex_lock(&s->mutex);
	started = s->started;
	(void)pthread_mutex_unlock(&s->mutex);
	return started ? FSHA_OK :
			 error_set(reterr, FSHA_E_STATE, 0, "job_graph",
				   "the job graph store is not started: call "
				   "fsha_job_graph_store_start");
}

fsha_result job_graph_cannot_join(int r, fsha_error *reterr)
{
	if (r == -EMSGSIZE)
		return error_set(reterr, FSHA_E_INVALID, 0, "put",
				 "the job graph and what is stored with it have more than %llu "
				 "bytes",
				 (unsigned long long)FSHA_STATE_VALUE_MAX);
	return error_os(reterr, r, "alloc", "cannot put a job graph");
}

/* Started, and the payload as it is stored. */
static fsha_result put_payload(fsha_job_graph_store *s, const fsha_job_id *id, const void *graph,
			       size_t size, fsha_error *reterr)
{
	char key[FSHA_HEX_ID_TEXT];
	fsha_result result;
	bool known;
	int r;

	fsha_job_id_format(id, key);
	(void)pthread_mutex_lock(&s->writing);
	/* Own before it is visible: the listener must not take it for another's. */
	(void)pthread_mutex_lock(&s->mutex);
	known = ids_has(&s->own, id);
	r = ids_add(services_fs(s->services), &s->own, id);
	(void)pthread_mutex_unlock(&s->mutex);
	if (r < 0)
		result = error_os(reterr, r, "alloc", "cannot put job graph '%s'", key);
	else
		result = known ? store_write(s->store, STORE_REPLACE, key, NULL, graph, size, NULL,
					     reterr) :
				 FSHA_E_NOT_FOUND;
	if (result == FSHA_E_NOT_FOUND) /* new, or removed meanwhile */
		result = store_write(s->store, STORE_ADD, key, NULL, graph, size, NULL, reterr);
	if (result != FSHA_OK && result != FSHA_E_INDOUBT && !known) {
		(void)pthread_mutex_lock(&s->mutex);
		ids_remove(&s->own, id);
		(void)pthread_mutex_unlock(&s->mutex);
	}
	(void)pthread_mutex_unlock(&s->writing);
	if (result == FSHA_E_EXISTS)
		return error_set(
			reterr, FSHA_E_STATE, 0, "put",
			"job graph '%s' is there, and was neither put nor recovered by this "
			"store: recover it first",
			key);
	return result;
}

fsha_result fsha_job_graph_store_put(fsha_job_graph_store *s, const fsha_job_id *id,
				     const void *graph, size_t size, fsha_error *reterr)
{
	const struct requirements_parts parts = { .graph = graph, .graph_size = size };
	uint8_t *payload = NULL;
	fsha_result result;
	int r = 0;

	result = job_graph_check_started(s, id, reterr);
	if (result == FSHA_OK && !graph && size > 0)
		result = error_set(reterr, FSHA_E_INVALID, 0, "put", "the graph is NULL");
	if (result != FSHA_OK)
		return result;
	/* What is too large is refused by the store, and not copied before. */
	if (size <= FSHA_STATE_VALUE_MAX && requirements_are_mistakable(graph, size))
		r = requirements_join(services_fs(s->services), &parts, &payload, &size);
	if (r < 0)
		return job_graph_cannot_join(r, reterr);
	result = put_payload(s, id, payload ? payload : graph, size, reterr);
	fsu_release(services_fs(s->services), payload);
	return result;
}

fsha_result fsha_job_graph_store_remove(fsha_job_graph_store *s, const fsha_job_id *id,
					fsha_error *reterr)
{
	char key[FSHA_HEX_ID_TEXT];
	fsha_result result;

	result = job_graph_check_started(s, id, reterr);
	if (result != FSHA_OK)
		return result;
	fsha_job_id_format(id, key);
	(void)pthread_mutex_lock(&s->writing);
	(void)pthread_mutex_lock(&s->mutex);
	s->removing = id;
	(void)pthread_mutex_unlock(&s->mutex);
	result = store_write(s->store, STORE_REMOVE, key, NULL, NULL, 0, NULL, reterr);
	(void)pthread_mutex_lock(&s->mutex);
	s->removing = NULL;
	if (result == FSHA_OK) {
		/* Our own doing is no news to the listener. */
		ids_remove(&s->own, id);
		ids_remove(&s->seen, id);
		ids_remove(&s->told, id);
		s->removals++;
	}
	(void)pthread_mutex_unlock(&s->mutex);
	(void)pthread_mutex_unlock(&s->writing);
	if (result != FSHA_OK)
		listener_wake(s); /* it passed this graph over meanwhile */
	return result;
}

fsha_result fsha_job_graph_store_release(fsha_job_graph_store *s, const fsha_job_id *id,
					 fsha_error *reterr)
{
	fsha_result result = job_graph_check_started(s, id, reterr);

	if (result != FSHA_OK)
		return result;
	(void)pthread_mutex_lock(&s->mutex);
	ids_remove(&s->own, id);
	(void)pthread_mutex_unlock(&s->mutex);
	return FSHA_OK;
}

fsha_result fsha_job_graph_store_job_ids(fsha_job_graph_store *s, fsha_job_id **ret_ids,
					 size_t *ret_count, size_t *ret_skipped, fsha_error *reterr)
{
	fsha_job_id *ids;
	size_t count, n = 0;
	fsha_result result;
	char **keys;

	if (!s || !ret_ids || !ret_count)
		return error_set(reterr, FSHA_E_INVALID, 0, "job_ids", "an argument is NULL");
	result = store_keys(s->store, &keys, &count, reterr);
	if (result != FSHA_OK)
		return result;
	ids = fsu_alloc(services_fs(s->services), (count + 1) * sizeof(*ids));
	for (size_t i = 0; ids && i < count; i++)
		if (name_is_job(keys[i], &ids[n]))
			n++;
	fsu_release(services_fs(s->services), keys);
	if (!ids)
		return error_os(reterr, -ENOMEM, "alloc", "cannot list the job graphs");
	qsort(ids, n, sizeof(*ids), ids_compare);
	if (ret_skipped) {
		char **strays;
		size_t stray_count;

		result = store_strays(s->store, &strays, &stray_count, reterr);
		if (result != FSHA_OK) {
			fsu_release(services_fs(s->services), ids);
			return result;
		}
		fsu_release(services_fs(s->services), strays);
		*ret_skipped = count - n + stray_count;
	}
	*ret_ids = ids;
	*ret_count = n;
	return FSHA_OK;
}
