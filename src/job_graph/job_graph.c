/* Job graphs: thin over the store, plus which graphs are own, plus a listener for others' changes.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fsha/job_graph.h"
#include "fsutil/fsu_watch.h"
#include "src/cluster/layout.h"
#include "src/result/error.h"
#include "src/retrieval/poller.h"

#define LISTENER_POLL_NS (200 * FSU_NS_PER_MS)

struct id_set {
	fsha_job_id *ids; /* sorted */
	size_t count, size;
};

struct fsha_job_graph_store {
	struct fsha_services *services;
	struct store *store;
	pthread_mutex_t mutex; /* of everything below; taken before a store's mutex, never around a
				  callback */
	bool started;
	struct id_set own; /* put or recovered by this object */

	/* The listener. `polled` runs in the poller's thread, the deliveries on the executor. */
	fsha_job_graph_listener listener;
	bool listening;
	struct polled polled;
	struct fsu_watch watch;
	int dir_fd;
	struct task task;
	struct id_set seen; /* as the poller saw it last; under the mutex */
	struct id_set told; /* what the listener knows; the executor's own */
	bool calling;       /* under the services' mutex */
	fsha_error error;
	bool has_error;
};

/* ---- sets of ids ---- */

static int compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(fsha_job_id));
}

static bool set_has(const struct id_set *set, const fsha_job_id *id)
{
	return set->count && bsearch(id, set->ids, set->count, sizeof(*id), compare_ids);
}

static int set_add(const struct fsu *fs, struct id_set *set, const fsha_job_id *id)
{
	size_t at = 0;

	if (set_has(set, id))
		return 0;
	if (set->count == set->size) {
		size_t size = set->size ? 2 * set->size : 16;
		fsha_job_id *ids = fsu_resize(fs, set->ids, size * sizeof(*ids));

		if (!ids)
			return -ENOMEM;
		set->ids = ids;
		set->size = size;
	}
	while (at < set->count && compare_ids(&set->ids[at], id) < 0)
		at++;
	memmove(&set->ids[at + 1], &set->ids[at], (set->count - at) * sizeof(*id));
	set->ids[at] = *id;
	set->count++;
	return 0;
}

static void set_remove(struct id_set *set, const fsha_job_id *id)
{
	for (size_t i = 0; i < set->count; i++) {
		if (compare_ids(&set->ids[i], id) != 0)
			continue;
		memmove(&set->ids[i], &set->ids[i + 1], (set->count - i - 1) * sizeof(*id));
		set->count--;
		return;
	}
}

static void set_done(const struct fsu *fs, struct id_set *set)
{
	fsu_release(fs, set->ids);
	*set = (struct id_set){ .ids = NULL };
}

/* ---- open and close ---- */

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
	s = fsu_alloc(services_fs(services), sizeof(*s));
	if (!s || pthread_mutex_init(&s->mutex, NULL) != 0) {
		fsu_release(services_fs(services), s);
		return error_os(reterr, -ENOMEM, "alloc", "cannot open the job graph store");
	}
	s->services = services;
	s->dir_fd = -1;
	s->error = (fsha_error)FSHA_ERROR_INIT;
	result = services_store_open(services, &options, &s->store, reterr);
	if (result != FSHA_OK) {
		(void)pthread_mutex_destroy(&s->mutex);
		fsu_release(services_fs(services), s);
		return result;
	}
	*ret_store = s;
	return FSHA_OK;
}

void fsha_job_graph_store_close(fsha_job_graph_store *s)
{
	struct fsha_services *services;

	if (!s)
		return;
	services = s->services;
	if (fsha_job_graph_store_stop(s, NULL) != FSHA_OK)
		return; /* a callback hangs: its memory must stay */
	services_store_close(services, s->store);
	set_done(services_fs(services), &s->own);
	set_done(services_fs(services), &s->seen);
	set_done(services_fs(services), &s->told);
	(void)pthread_mutex_destroy(&s->mutex);
	fsu_release(services_fs(services), s);
}

/* ---- operations ---- */

static fsha_result check_started(fsha_job_graph_store *s, const fsha_job_id *id, fsha_error *reterr)
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

fsha_result fsha_job_graph_store_put(fsha_job_graph_store *s, const fsha_job_id *id,
				     const void *graph, size_t size, fsha_error *reterr)
{
	char key[FSHA_HEX_ID_TEXT];
	fsha_result result;

	result = check_started(s, id, reterr);
	if (result == FSHA_OK && !graph && size > 0)
		result = error_set(reterr, FSHA_E_INVALID, 0, "put", "the graph is NULL");
	if (result != FSHA_OK)
		return result;
	fsha_job_id_format(id, key);
	(void)pthread_mutex_lock(&s->mutex);
	if (set_has(&s->own, id)) {
		result = store_write(s->store, STORE_REPLACE, key, NULL, graph, size, NULL, reterr);
		if (result == FSHA_E_NOT_FOUND) /* removed meanwhile */
			result = store_write(s->store, STORE_ADD, key, NULL, graph, size, NULL,
					     reterr);
	} else if (set_add(services_fs(s->services), &s->own, id) < 0) {
		result = error_os(reterr, -ENOMEM, "alloc", "cannot put job graph '%s'", key);
	} else {
		/* Own before it is visible: the listener must not take it for another's. */
		result = store_write(s->store, STORE_ADD, key, NULL, graph, size, NULL, reterr);
		if (result != FSHA_OK && result != FSHA_E_INDOUBT)
			set_remove(&s->own, id);
	}
	(void)pthread_mutex_unlock(&s->mutex);
	if (result == FSHA_E_EXISTS)
		return error_set(
			reterr, FSHA_E_STATE, 0, "put",
			"job graph '%s' is there, and was neither put nor recovered by this "
			"store: recover it first",
			key);
	return result;
}

fsha_result fsha_job_graph_store_recover(fsha_job_graph_store *s, const fsha_job_id *id,
					 void **ret_graph, size_t *ret_size, fsha_error *reterr)
{
	char key[FSHA_HEX_ID_TEXT];
	struct record record;
	fsha_result result;

	result = check_started(s, id, reterr);
	if (result == FSHA_OK && (!ret_graph || !ret_size))
		result = error_set(reterr, FSHA_E_INVALID, 0, "recover", "an argument is NULL");
	if (result != FSHA_OK)
		return result;
	fsha_job_id_format(id, key);
	result = store_get(s->store, key, &record, NULL, reterr);
	if (result != FSHA_OK)
		return result;
	(void)pthread_mutex_lock(&s->mutex);
	if (set_add(services_fs(s->services), &s->own, id) < 0)
		result = error_os(reterr, -ENOMEM, "alloc", "cannot recover job graph '%s'", key);
	(void)pthread_mutex_unlock(&s->mutex);
	if (result == FSHA_OK) {
		*ret_graph = record.data;
		*ret_size = record.size;
		record.data = NULL;
	}
	record_done(services_fs(s->services), &record);
	return result;
}

fsha_result fsha_job_graph_store_remove(fsha_job_graph_store *s, const fsha_job_id *id,
					fsha_error *reterr)
{
	char key[FSHA_HEX_ID_TEXT];
	fsha_result result;

	result = check_started(s, id, reterr);
	if (result != FSHA_OK)
		return result;
	fsha_job_id_format(id, key);
	(void)pthread_mutex_lock(&s->mutex);
	result = store_write(s->store, STORE_REMOVE, key, NULL, NULL, 0, NULL, reterr);
	if (result == FSHA_OK) {
		/* Our own doing is no news to the listener. */
		set_remove(&s->own, id);
		set_remove(&s->seen, id);
		set_remove(&s->told, id);
	}
	(void)pthread_mutex_unlock(&s->mutex);
	return result;
}

fsha_result fsha_job_graph_store_release(fsha_job_graph_store *s, const fsha_job_id *id,
					 fsha_error *reterr)
{
	fsha_result result = check_started(s, id, reterr);

	if (result != FSHA_OK)
		return result;
	(void)pthread_mutex_lock(&s->mutex);
	set_remove(&s->own, id);
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
		if (fsha_job_id_parse(keys[i], &ids[n]) == FSHA_OK)
			n++;
	fsu_release(services_fs(s->services), keys);
	if (!ids)
		return error_os(reterr, -ENOMEM, "alloc", "cannot list the job graphs");
	qsort(ids, n, sizeof(*ids), compare_ids);
	*ret_ids = ids;
	*ret_count = n;
	if (ret_skipped)
		*ret_skipped = count - n;
	return FSHA_OK;
}

/* ---- the listener ---- */

/* In the poller's thread: what is there now. */
static void look(struct polled *polled)
{
	fsha_job_graph_store *s =
		(fsha_job_graph_store *)((char *)polled - offsetof(fsha_job_graph_store, polled));
	const struct fsu *fs = services_fs(s->services);
	fsha_error error = FSHA_ERROR_INIT;
	size_t skipped = 0, count = 0;
	struct id_set now = { .ids = NULL };
	fsha_result result;

	result = fsha_job_graph_store_job_ids(s, &now.ids, &count, &skipped, &error);
	if (result == FSHA_OK) {
		now.count = now.size = count;
		(void)pthread_mutex_lock(&s->mutex);
		set_done(fs, &s->seen);
		s->seen = now;
		(void)pthread_mutex_unlock(&s->mutex);
		if (skipped > 0)
			result = error_set(&error, FSHA_E_CORRUPT, 0, "list",
					   "%zu names in '" LAYOUT_JOB_GRAPHS
					   "' are no job ids: they "
					   "are left as they are",
					   skipped);
	}
	services_lock(s->services);
	if (result != FSHA_OK && (!s->has_error || s->error.result != error.result)) {
		s->has_error = strcmp(s->error.message, error.message) != 0;
		s->error = error;
	}
	executor_post(s->services, &s->task);
	services_unlock(s->services);
}

/* The first difference between what is there and what the listener knows. 1 added, -1 removed, 0
 * none; own changes only change `told`. */
static int next_change(fsha_job_graph_store *s, fsha_job_id *ret_id)
{
	const struct fsu *fs = services_fs(s->services);
	int change = 0;

	(void)pthread_mutex_lock(&s->mutex);
	for (size_t i = 0; i < s->seen.count && !change; i++) {
		*ret_id = s->seen.ids[i];
		if (set_has(&s->told, ret_id) || set_add(fs, &s->told, ret_id) < 0)
			continue;
		change = set_has(&s->own, ret_id) ? 0 : 1;
	}
	for (size_t i = 0; i < s->told.count && !change; i++) {
		*ret_id = s->told.ids[i];
		if (set_has(&s->seen, ret_id))
			continue;
		/* As in Flink, only what this object put or recovered is missed. */
		change = set_has(&s->own, ret_id) ? -1 : 0;
		set_remove(&s->own, ret_id);
		set_remove(&s->told, ret_id);
		i--;
	}
	(void)pthread_mutex_unlock(&s->mutex);
	return change;
}

static bool tell(struct task *task)
{
	fsha_job_graph_store *s =
		(fsha_job_graph_store *)((char *)task - offsetof(fsha_job_graph_store, task));
	const fsha_job_graph_listener l = s->listener;
	fsha_error error;
	fsha_job_id id;
	bool again;
	int change;

	if (!s->listening)
		return false;
	s->calling = true;
	again = s->has_error;
	error = s->error;
	s->has_error = false;
	services_unlock(s->services);
	change = next_change(s, &id);
	if (change > 0 && l.on_added_job_graph)
		l.on_added_job_graph(l.ctx, &id);
	else if (change < 0 && l.on_removed_job_graph)
		l.on_removed_job_graph(l.ctx, &id);
	if (again && l.handle_error)
		l.handle_error(l.ctx, &error);
	services_lock(s->services);
	s->calling = false;
	return change != 0 || again;
}

static fsha_result start_listening(fsha_job_graph_store *s, const fsha_job_graph_listener *listener,
				   fsha_error *reterr)
{
	struct fsha_services *services = s->services;
	const struct fsu *fs = services_fs(services);
	int64_t poll_ns = services->poll_ns ? services->poll_ns : LISTENER_POLL_NS;
	int r;

	s->dir_fd = fsu_dir_open(fs, services->cluster.fd, LAYOUT_JOB_GRAPHS);
	if (s->dir_fd < 0)
		return error_os(reterr, s->dir_fd, "open", "cannot watch '" LAYOUT_JOB_GRAPHS "'");
	r = fsu_watch_init(&s->watch, fs, s->dir_fd, services->cluster.local, poll_ns, poll_ns);
	if (r == 0) {
		s->listener = *listener;
		s->polled =
			(struct polled){ .watch = &s->watch, .dir_fd = s->dir_fd, .look = look };
		s->task.run = tell;
		services_lock(services);
		r = worker_start(services, &services->executor, executor_run);
		if (r == 0)
			r = poller_start(services);
		if (r == 0) {
			s->listening = true;
			poller_add(services, &s->polled);
		}
		services_unlock(services);
		if (r < 0)
			fsu_watch_done(&s->watch);
	}
	if (r < 0) {
		(void)fsu_close(fs, s->dir_fd); /* a directory */
		s->dir_fd = -1;
		return error_os(reterr, r, "watch", "cannot watch '" LAYOUT_JOB_GRAPHS "'");
	}
	return FSHA_OK;
}

fsha_result fsha_job_graph_store_start(fsha_job_graph_store *s,
				       const fsha_job_graph_listener *listener, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;
	bool first;

	if (!s || (listener && listener->struct_size != sizeof(*listener)))
		return error_set(reterr, FSHA_E_INVALID, 0, "start",
				 "the store is NULL, or the listener's struct_size is not set");
	(void)pthread_mutex_lock(&s->mutex);
	first = !s->started;
	s->started = true;
	(void)pthread_mutex_unlock(&s->mutex);
	if (first && listener)
		result = start_listening(s, listener, reterr);
	if (result != FSHA_OK) {
		(void)pthread_mutex_lock(&s->mutex);
		s->started = false;
		(void)pthread_mutex_unlock(&s->mutex);
	}
	return result;
}

fsha_result fsha_job_graph_store_stop(fsha_job_graph_store *s, fsha_error *reterr)
{
	struct fsha_services *services;
	fsha_result result = FSHA_OK;
	int64_t deadline_ns;

	if (!s)
		return FSHA_OK;
	services = s->services;
	services_lock(services);
	if (executor_is_me(services)) {
		services_unlock(services);
		return error_set(reterr, FSHA_E_STATE, 0, "stop",
				 "a job graph store cannot be stopped from a callback");
	}
	deadline_ns = fsu_now_ns(services_fs(services)) + cluster_lease_ns(&services->cluster);
	if (s->listening) {
		s->listening = false;
		while (s->calling && result == FSHA_OK)
			if (!services_wait(services, deadline_ns))
				result = FSHA_E_TIMEOUT;
		if (!poller_remove(services, &s->polled, deadline_ns))
			result = FSHA_E_TIMEOUT;
		executor_cancel(services, &s->task);
	}
	services_unlock(services);
	if (result != FSHA_OK)
		return error_set(
			reterr, result, 0, "stop",
			"the listener of the job graphs still runs, or the filesystem hangs");
	if (s->dir_fd >= 0) {
		fsu_watch_done(&s->watch);
		(void)fsu_close(services_fs(services), s->dir_fd); /* a directory */
		s->dir_fd = -1;
	}
	(void)pthread_mutex_lock(&s->mutex);
	s->started = false;
	s->own.count = s->seen.count = s->told.count = 0;
	(void)pthread_mutex_unlock(&s->mutex);
	return result;
}
