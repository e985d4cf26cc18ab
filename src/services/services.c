#include "src/services/services.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "fsutil/fsu_page.h"
#include "fsutil/fsu_path.h"
#include "src/cluster/layout.h"
#include "src/config/config.h"
#include "src/election/election.h"
#include "src/result/error.h"
#include "src/retrieval/poller.h"
#include "src/services/memory.h"
#include "src/services/standalone.h"
#include "src/services/upkeep.h"

#define CLOSE_MIN_NS (3 * FSU_NS_PER_S)

/* ---- workers ---- */

static void destroy(struct fsha_services *s);

/*
 * Whether that was the last reference. Under the mutex, always: then nobody takes the services
 * apart while another, who let go of his just now, has yet to leave the mutex.
 */
static bool let_go(struct fsha_services *s)
{
	return atomic_fetch_sub(&s->refs, 1) == 1;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct fsha_services *s = w->services;
	bool last;

	w->run(w);
	/*
	 * In one with having ended: whoever closes and sees that all have ended has the last
	 * reference, and nothing of ours is used any more once he returns.
	 */
	services_lock(s);
	w->ended = true;
	(void)pthread_cond_broadcast(&s->changed);
	last = let_go(s);
	services_unlock(s);
	if (last)
		destroy(s);
	return NULL;
}

int worker_start(struct fsha_services *s, struct worker *w, void (*run)(struct worker *))
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	if (w->started)
		return 0;
	w->services = s;
	w->run = run;
	w->event_fd = fsu_event_open();
	if (w->event_fd < 0)
		return w->event_fd;
	r = pthread_attr_init(&attr);
	if (r == 0) {
		(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		services_ref(s);
		r = pthread_create(&thread, &attr, worker_main, w);
		(void)pthread_attr_destroy(&attr);
		if (r != 0)
			atomic_fetch_sub(&s->refs, 1); /* the caller still holds one */
	}
	if (r != 0) {
		fsu_fd_close(w->event_fd);
		w->event_fd = -1;
		return -r;
	}
	w->started = true;
	return 0;
}

void worker_wake(struct worker *w)
{
	fsu_event_post(w->event_fd);
}

bool worker_wait(struct worker *w, int fd, int64_t deadline_ns)
{
	int fds[2] = { w->event_fd, fd };
	int ready = fsu_wait(w->services->cluster.fs, fds, 2, deadline_ns);

	if (ready > 0 && (ready & 1))
		fsu_event_drain(w->event_fd);
	return ready > 0 && (ready & 2);
}

static bool ended(const struct worker *w)
{
	return !w->started || w->ended;
}

bool services_all_ended(const struct fsha_services *s)
{
	return ended(&s->executor) && ended(&s->watchdog) && ended(&s->heartbeat) &&
	       ended(&s->claimer) && ended(&s->poller) && ended(&s->janitor) &&
	       ended(&s->chores.worker) && watcher_all_ended(s);
}

void services_wake_all(struct fsha_services *s)
{
	struct worker *workers[] = { &s->executor, &s->watchdog, &s->heartbeat,    &s->claimer,
				     &s->poller,   &s->janitor,  &s->chores.worker };

	for (size_t i = 0; i < sizeof(workers) / sizeof(workers[0]); i++)
		if (workers[i]->started)
			worker_wake(workers[i]);
	watcher_wake_all(s);
}

int64_t services_close_deadline_ns(const struct fsha_services *s)
{
	int64_t lease_ns = cluster_lease_ns(&s->cluster);

	return fsu_now_ns(services_fs(s)) + (lease_ns > CLOSE_MIN_NS ? lease_ns : CLOSE_MIN_NS);
}

bool services_wait(struct fsha_services *s, int64_t deadline_ns)
{
	int64_t left_ns = deadline_ns - fsu_now_ns(services_fs(s));
	struct timespec until;

	if (left_ns <= 0)
		return false;
	/*
	 * The condition waits on CLOCK_MONOTONIC, deadlines are of CLOCK_BOOTTIME: after a suspend
	 * it would sleep too long, so it looks up every second.
	 */
	if (left_ns > FSU_NS_PER_S)
		left_ns = FSU_NS_PER_S;
	(void)clock_gettime(CLOCK_MONOTONIC,
			    &until); /* lint: the time base of pthread_cond_timedwait */
	until.tv_sec += (until.tv_nsec + left_ns) / FSU_NS_PER_S;
	until.tv_nsec = (until.tv_nsec + left_ns) % FSU_NS_PER_S;
	(void)pthread_cond_timedwait(&s->changed, &s->mutex, &until);
	return true;
}

void services_log(const struct fsha_services *s, int level, const char *event, const char *format,
		  ...)
{
	char fields[1024];
	va_list args;

	if (!s->options.log)
		return;
	va_start(args, format);
	(void)vsnprintf(fields, sizeof(fields), format, args);
	va_end(args);
	s->options.log(s->options.log_ctx, level, event, fields);
}

/* ---- life ---- */

static void close_event(struct worker *w)
{
	fsu_fd_close(w->event_fd);
}

static void destroy(struct fsha_services *s)
{
	const struct fsu *fs = services_fs(s), *memory = s->memory;

	watcher_destroy_all(s);
	poller_destroy(s);
	upkeep_destroy(s);
	while (s->attached) {
		struct attached_term *a = s->attached;

		s->attached = a->next;
		term_unref(a->term);
		fsu_release(fs, a);
	}
	while (s->member) {
		struct member *m = s->member;

		s->member = m->former;
		member_destroy(m);
	}
	close_event(&s->executor);
	close_event(&s->watchdog);
	close_event(&s->heartbeat);
	close_event(&s->claimer);
	close_event(&s->poller);
	close_event(&s->janitor);
	close_event(&s->chores.worker);
	(void)pthread_cond_destroy(&s->changed);
	(void)pthread_mutex_destroy(&s->mutex);
	standalone_destroy(s);
	cluster_close(&s->cluster);
	fsu_release(fs, s->job_result_path);
	fsu_release(fs, s);
	memory_put(memory);
}

void services_ref(struct fsha_services *s)
{
	atomic_fetch_add(&s->refs, 1);
}

void services_unref(struct fsha_services *s)
{
	bool last;

	services_lock(s);
	last = let_go(s);
	services_unlock(s);
	if (last)
		destroy(s);
}

uint32_t fsha_services_lease_ms(const fsha_services *s)
{
	return s ? s->cluster.lease_ms : 0;
}

const char *fsha_services_path(const fsha_services *s)
{
	return s ? s->cluster.path : "";
}

void fsha_services_cluster_uuid(const fsha_services *s, fsha_uuid *ret_uuid)
{
	_Static_assert(sizeof(*ret_uuid) == sizeof(s->cluster.id), "one and the same");
	if (ret_uuid)
		*ret_uuid = (fsha_uuid){ { 0 } };
	if (s && ret_uuid)
		memcpy(ret_uuid, &s->cluster.id, sizeof(*ret_uuid));
}

/* ---- stores and terms ---- */

fsha_result services_encode_election(const char *name, char *ret_component, fsha_error *reterr)
{
	int r = name ? fsu_path_encode(name, strlen(name), ret_component) : -EINVAL;

	if (r == -ENAMETOOLONG)
		return error_set(reterr, FSHA_E_INVALID, 0, "encode",
				 "election '%.60s...' is too long: at most %d bytes once encoded",
				 name, FSU_COMPONENT_MAX);
	if (r < 0)
		return error_set(reterr, FSHA_E_INVALID, 0, "encode",
				 "the name of an election is empty");
	return FSHA_OK;
}

struct term *services_term(void *services, const char *election)
{
	struct fsha_services *s = services;
	struct term *term = NULL;

	services_lock(s);
	for (struct fsha_election *e = s->elections; e && !term; e = e->next)
		if (e->term && strcmp(e->component, election) == 0)
			term = e->term;
	for (struct attached_term *a = s->attached; a && !term; a = a->next)
		if (strcmp(a->term->election, election) == 0)
			term = a->term;
	/* Over, it still says why: NOT_LEADER or FENCED. */
	term = term_ref(term);
	services_unlock(s);
	return term;
}

/* Under the mutex. A new owner of a store that is open already, or NULL. */
static struct open_store *share_store(struct fsha_services *s, const struct store_options *options)
{
	struct open_store *o;

	for (o = s->stores; o; o = o->next)
		if (o->store->kind == options->kind &&
		    strcmp(o->store->directory, options->directory) == 0 &&
		    strcmp(o->store->path, options->path ? options->path : options->directory) ==
			    0 &&
		    strcmp(o->store->election, options->election) == 0)
			break;
	if (o)
		o->owners++;
	return o;
}

/* A store object relies on being the only one in its process that writes: so there is one. */
fsha_result services_store_open(struct fsha_services *s, const struct store_options *options,
				struct store **ret_store, fsha_error *reterr)
{
	struct term_source terms = { services_term, s };
	struct open_store *o, *shared;
	fsha_result result;
	int r = 0;

	if (s->standalone) {
		result = standalone_begin(s, options->election, reterr);
		if (result != FSHA_OK)
			return result;
		services_lock(s);
		r = worker_start(s, &s->janitor, janitor_run);
		services_unlock(s);
	}
	o = r == 0 ? fsu_alloc(services_fs(s), sizeof(*o)) : NULL;
	if (!o)
		return error_os(reterr, r < 0 ? r : -ENOMEM, "alloc", "cannot open store '%s'",
				options->directory);
	result = store_open(&s->cluster, &terms, options, &o->store, reterr);
	if (result != FSHA_OK) {
		fsu_release(services_fs(s), o);
		return result;
	}
	services_lock(s);
	shared = share_store(s, options);
	if (!shared) {
		o->owners = 1;
		o->next = s->stores;
		s->stores = o;
	}
	services_unlock(s);
	*ret_store = shared ? shared->store : o->store;
	if (shared)
		services_store_free(s, o);
	return FSHA_OK;
}

void services_store_unlist(struct fsha_services *s, struct open_store *o)
{
	for (struct open_store **p = &s->stores; *p; p = &(*p)->next)
		if (*p == o) {
			*p = o->next;
			break;
		}
}

void services_store_free(struct fsha_services *s, struct open_store *o)
{
	store_close(o->store);
	fsu_release(services_fs(s), o);
}

/* Under the mutex. */
static struct open_store *find_store(const struct fsha_services *s, const struct store *store)
{
	struct open_store *o = s->stores;

	while (o && o->store != store)
		o = o->next;
	assert(o);
	return o;
}

/*
 * What nobody uses any more is closed, but not under the mutex. The janitor may hang in it, and
 * then closes it; nobody waits for the janitor.
 */
static void close_unused(struct fsha_services *s, struct open_store *o)
{
	bool unused = !o->owners && !o->kept && !o->hanging && !o->cleaning;

	if (unused)
		services_store_unlist(s, o);
	services_unlock(s);
	if (unused)
		services_store_free(s, o);
}

void services_store_close(struct fsha_services *s, const struct store *store)
{
	struct open_store *o;

	services_lock(s);
	o = find_store(s, store);
	assert(o->owners > 0);
	o->owners--;
	close_unused(s, o);
}

fsha_result services_store_keep(struct fsha_services *s, const struct store_options *options,
				struct store **ret_store, fsha_error *reterr)
{
	fsha_result result = services_store_open(s, options, ret_store, reterr);
	struct open_store *o;

	if (result != FSHA_OK)
		return result;
	services_lock(s);
	o = find_store(s, *ret_store);
	o->kept++;
	o->owners--;
	services_unlock(s);
	return FSHA_OK;
}

void services_store_drop(struct fsha_services *s, const struct store *store)
{
	struct open_store *o;

	services_lock(s);
	o = find_store(s, store);
	assert(o->kept > 0);
	o->kept--;
	close_unused(s, o);
}

void services_store_abandon(struct fsha_services *s, const struct store *store)
{
	struct open_store *o = find_store(s, store);

	assert(o->owners > 0);
	o->owners--;
	o->hanging++;
}

void services_store_return(struct fsha_services *s, const struct store *store)
{
	struct open_store *o;

	services_lock(s);
	o = find_store(s, store);
	assert(o->hanging > 0);
	o->hanging--;
	close_unused(s, o);
}
