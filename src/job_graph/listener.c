/*
 * The listener of a job graph store: the poller looks through the directory, the executor tells of
 * the differences. A look may hang; then the store is closed without it, and the poller frees what
 * it was using when it comes back.
 */
#include <errno.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/job_graph/job_graph.h"
#include "src/result/error.h"

#define LISTENER_POLL_NS (200 * FSU_NS_PER_MS)
#define LIST_TRIES 100

void listener_wake(fsha_job_graph_store *s)
{
	services_lock(s->services);
	if (s->listening)
		executor_post(s->services, &s->task);
	services_unlock(s->services);
}

void listener_done(fsha_job_graph_store *s)
{
	const struct fsu *fs = services_fs(s->services);

	if (s->dir_fd < 0)
		return;
	fsu_watch_done(&s->watch);
	(void)fsu_close(fs, s->dir_fd); /* a directory */
	s->dir_fd = -1;
}

static fsha_job_graph_store *store_of(struct polled *polled)
{
	return (fsha_job_graph_store *)((char *)polled - offsetof(fsha_job_graph_store, polled));
}

/* The ids that are there now, as of a time without a removal of our own. */
static fsha_result list_ids(fsha_job_graph_store *s, struct id_set *ret_ids, size_t *ret_skipped,
			    fsha_error *reterr)
{
	const struct fsu *fs = services_fs(s->services);
	fsha_result result = FSHA_E_TIMEOUT;
	bool current = false;
	uint64_t removals;

	/*
	 * A listing from before it would make a graph that we removed look like another's new one.
	 */
	for (int i = 0; i < LIST_TRIES && !current; i++) {
		struct id_set now = { .ids = NULL };

		(void)pthread_mutex_lock(&s->mutex);
		removals = s->removals;
		(void)pthread_mutex_unlock(&s->mutex);
		result = fsha_job_graph_store_job_ids(s, &now.ids, &now.count, ret_skipped, reterr);
		if (result != FSHA_OK)
			return result;
		now.size = now.count;
		(void)pthread_mutex_lock(&s->mutex);
		current = removals == s->removals;
		if (current) {
			ids_done(fs, ret_ids);
			*ret_ids = now;
		}
		(void)pthread_mutex_unlock(&s->mutex);
		if (!current)
			ids_done(fs, &now);
	}
	return result;
}

/* In the poller's thread: what is there now. */
static void look(struct polled *polled)
{
	fsha_job_graph_store *s = store_of(polled);
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result;
	size_t skipped = 0;

	result = list_ids(s, &s->seen, &skipped, &error);
	if (result == FSHA_OK && skipped > 0)
		result = error_set(&error, FSHA_E_CORRUPT, 0, "list",
				   "%zu names in '" LAYOUT_JOB_GRAPHS
				   "' are no job ids: they are left as they are",
				   skipped);
	services_lock(s->services);
	if (result != FSHA_OK && (!s->has_error || s->error.result != error.result)) {
		s->has_error = strcmp(s->error.message, error.message) != 0;
		s->error = error;
	}
	if (s->listening)
		executor_post(s->services, &s->task);
	services_unlock(s->services);
}

/* In the poller's thread, when it comes back from a look that stop did not wait for. */
static void abandoned(struct polled *polled)
{
	fsha_job_graph_store *s = store_of(polled);
	struct fsha_services *services = s->services;
	bool closed;

	services_lock(services);
	s->polling = false;
	closed = s->abandoned;
	(void)pthread_cond_broadcast(&services->changed);
	services_unlock(services);
	if (closed) {
		listener_done(s);
		services_store_return(services, s->store);
	}
	services_lock(services);
	job_graph_drop(s);
	services_unlock(services);
}

/* Under the mutex. */
static bool is_removing(const fsha_job_graph_store *s, const fsha_job_id *id)
{
	return s->removing && ids_compare(s->removing, id) == 0;
}

/*
 * The first difference between what is there and what the listener knows. 1 added, -1 removed, 0
 * none; own changes only change `told`.
 */
static int next_change(fsha_job_graph_store *s, fsha_job_id *ret_id)
{
	const struct fsu *fs = services_fs(s->services);
	int change = 0;

	(void)pthread_mutex_lock(&s->mutex);
	for (size_t i = 0; i < s->seen.count && !change; i++) {
		*ret_id = s->seen.ids[i];
		if (is_removing(s, ret_id) || ids_has(&s->told, ret_id) ||
		    ids_add(fs, &s->told, ret_id) < 0)
			continue;
		change = ids_has(&s->own, ret_id) ? 0 : 1;
	}
	for (size_t i = 0; i < s->told.count && !change; i++) {
		*ret_id = s->told.ids[i];
		if (is_removing(s, ret_id) || ids_has(&s->seen, ret_id))
			continue;
		/* As in Flink, only what this object put or recovered is missed. */
		change = ids_has(&s->own, ret_id) ? -1 : 0;
		ids_remove(&s->own, ret_id);
		ids_remove(&s->told, ret_id);
		i--;
	}
	(void)pthread_mutex_unlock(&s->mutex);
	return change;
}

static bool tell(struct task *task)
{
	fsha_job_graph_store *s =
		(fsha_job_graph_store *)((char *)task - offsetof(fsha_job_graph_store, task));
	struct fsha_services *services = s->services;
	const fsha_job_graph_listener l = s->listener;
	fsha_error error;
	fsha_job_id id;
	bool again;
	int change;

	if (!s->listening)
		return false;
	s->calling = true;
	s->users++;
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
	services_lock(services);
	s->calling = false;
	again = s->listening && (change != 0 || again);
	job_graph_drop(s);
	return again;
}

static fsha_result start_listening(fsha_job_graph_store *s, const fsha_job_graph_listener *listener,
				   fsha_error *reterr)
{
	struct fsha_services *services = s->services;
	const struct fsu *fs = services_fs(services);
	int64_t poll_ns = services->poll_ns ? services->poll_ns : LISTENER_POLL_NS;
	int r;

	s->dir_fd = fsu_dir_open(fs, services->cluster.fd, LAYOUT_JOB_GRAPHS);
	if (s->dir_fd == -ENOENT)
		return layout_lost(&services->cluster, LAYOUT_JOB_GRAPHS, reterr);
	if (s->dir_fd < 0)
		return error_os(reterr, s->dir_fd, "open", "cannot watch '" LAYOUT_JOB_GRAPHS "'");
	r = fsu_watch_init(&s->watch, fs, s->dir_fd, services->cluster.local, poll_ns, poll_ns);
	if (r == 0) {
		s->listener = *listener;
		s->error = (fsha_error)FSHA_ERROR_INIT; /* told to the one before, if any */
		s->polled = (struct polled){
			.watch = &s->watch,
			.dir_fd = s->dir_fd,
			.look = look,
			.abandoned = abandoned,
		};
		s->task.run = tell;
		services_lock(services);
		r = worker_start(services, &services->executor, executor_run);
		if (r == 0)
			r = poller_start(services);
		if (r == 0) {
			s->listening = s->polling = true;
			s->users++;
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
	deadline_ns = services_close_deadline_ns(services);
	s->listening = false;
	executor_cancel(services, &s->task);
	while (s->calling && result == FSHA_OK)
		if (!services_wait(services, deadline_ns))
			result = FSHA_E_TIMEOUT;
	if (s->polling && !s->polled.removed && poller_remove(services, &s->polled, deadline_ns)) {
		s->polling = false;
		s->users--; /* never the last: the owner calls */
	}
	/* It was still in a look when an earlier stop gave up. */
	while (s->polling && result == FSHA_OK)
		if (!services_wait(services, deadline_ns))
			result = FSHA_E_TIMEOUT;
	services_unlock(services);
	if (result != FSHA_OK)
		return error_set(
			reterr, result, 0, "stop",
			"the listener of the job graphs still runs, or the filesystem hangs");
	listener_done(s);
	(void)pthread_mutex_lock(&s->mutex);
	s->started = false;
	s->own.count = s->seen.count = s->told.count = 0;
	(void)pthread_mutex_unlock(&s->mutex);
	return result;
}
