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
#include "src/services/upkeep.h"

#define STACK_SIZE (256 * 1024)
#define CLOSE_MIN_NS (3 * FSU_NS_PER_S)
#define FLAGS_KNOWN (FSHA_SERVICES_SHARED_TERM | FSHA_SERVICES_NO_CREATE)

/* ---- workers ---- */

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct fsha_services *s = w->services;

	w->run(w);
	services_lock(s);
	w->ended = true;
	(void)pthread_cond_broadcast(&s->changed);
	services_unlock(s);
	services_unref(s);
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
		(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
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

static bool all_ended(const struct fsha_services *s)
{
	return ended(&s->executor) && ended(&s->watchdog) && ended(&s->heartbeat) &&
	       ended(&s->claimer) && ended(&s->poller) && ended(&s->janitor) &&
	       watcher_all_ended(s);
}

static void wake_all(struct fsha_services *s)
{
	struct worker *workers[] = { &s->executor, &s->watchdog, &s->heartbeat,
				     &s->claimer,  &s->poller,   &s->janitor };

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

static int init_locks(struct fsha_services *s)
{
	pthread_condattr_t attr;
	int r;

	r = pthread_mutex_init(&s->mutex, NULL);
	if (r != 0)
		return -r;
	r = pthread_condattr_init(&attr);
	if (r == 0) {
		(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
		r = pthread_cond_init(&s->changed, &attr);
		(void)pthread_condattr_destroy(&attr);
	}
	if (r != 0)
		(void)pthread_mutex_destroy(&s->mutex);
	return -r;
}

static void close_event(struct worker *w)
{
	fsu_fd_close(w->event_fd);
}

static void destroy(struct fsha_services *s)
{
	const struct fsu *fs = services_fs(s);

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
	(void)pthread_cond_destroy(&s->changed);
	(void)pthread_mutex_destroy(&s->mutex);
	cluster_close(&s->cluster);
	fsu_release(fs, s);
}

void services_ref(struct fsha_services *s)
{
	atomic_fetch_add(&s->refs, 1);
}

void services_unref(struct fsha_services *s)
{
	if (atomic_fetch_sub(&s->refs, 1) == 1)
		destroy(s);
}

static fsha_result check_options(const fsha_services_options *options, fsha_error *reterr)
{
	if (!options)
		return FSHA_OK;
	if (options->struct_size != sizeof(*options) || (options->flags & ~FLAGS_KNOWN) ||
	    options->reserved0)
		return error_set(reterr, FSHA_E_INVALID, 0, "open",
				 "the services options have an unknown size or flag: start from "
				 "FSHA_SERVICES_OPTIONS_INIT");
	return FSHA_OK;
}

static int log_setting(void *ctx, const fsha_config_finding *finding)
{
	services_log(ctx, FSHA_LOG_WARNING, "setting", "key=%s message=\"%s\"", finding->key,
		     finding->message);
	return 0;
}

fsha_result services_open_with(const struct fsu *fs, const fsha_config *config,
			       const fsha_services_options *options, fsha_services **ret_services,
			       fsha_error *reterr)
{
	struct cluster_options cluster_options = { .create = true };
	struct config_services settings;
	struct fsha_services *s;
	fsha_result result;
	int r;

	if (!config || !ret_services)
		return error_set(reterr, FSHA_E_INVALID, 0, "open", "an argument is NULL");
	result = check_options(options, reterr);
	if (result == FSHA_OK)
		result = config_services_read(config, &settings, reterr);
	if (result != FSHA_OK)
		return result;
	s = fsu_alloc(fs, sizeof(*s));
	r = s ? init_locks(s) : -ENOMEM;
	if (r < 0) {
		fsu_release(fs, s);
		return error_os(reterr, r, "alloc", "cannot open the services");
	}
	if (options)
		s->options = *options;
	s->poll_ns = (int64_t)settings.poll_ms * FSU_NS_PER_MS;
	s->tasks_end = &s->tasks;
	s->executor.event_fd = s->watchdog.event_fd = s->heartbeat.event_fd = -1;
	s->claimer.event_fd = s->poller.event_fd = s->janitor.event_fd = -1;
	atomic_init(&s->refs, 1);

	cluster_options.storage_dir = settings.storage_dir;
	cluster_options.cluster_id = settings.cluster_id;
	cluster_options.lease_ms = settings.lease_given ? settings.lease_ms : 0;
	cluster_options.create = !(s->options.flags & FSHA_SERVICES_NO_CREATE);
	result = cluster_open(fs, &cluster_options, &s->cluster, reterr);
	if (result != FSHA_OK) {
		(void)pthread_cond_destroy(&s->changed);
		(void)pthread_mutex_destroy(&s->mutex);
		fsu_release(fs, s);
		return result;
	}
	s->cluster.counters = &s->counters;
	/* What is wrong with the others of them does not keep a cluster from starting. */
	if (s->options.log)
		(void)fsha_config_check(config, log_setting, s, NULL);
	*ret_services = s;
	return FSHA_OK;
}

fsha_result fsha_services_open(const fsha_config *config, const fsha_services_options *options,
			       fsha_services **ret_services, fsha_error *reterr)
{
	return services_open_with(&fsu_posix, config, options, ret_services, reterr);
}

/* What a clean end leaves to do: the member's directory. */
static void take_down_member(struct fsha_services *s)
{
	if (!s->member)
		return;
	member_retire(s->member);
	member_remove(&s->cluster, &s->member->id);
}

fsha_result fsha_services_close(fsha_services *s, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;
	int64_t deadline_ns;

	if (!s)
		return FSHA_OK;
	services_lock(s);
	if (executor_is_me(s))
		result = error_set(reterr, FSHA_E_STATE, 0, "close",
				   "the services cannot be closed from a callback");
	for (const struct fsha_election *e = s->elections; e && result == FSHA_OK; e = e->next)
		if (!e->closed)
			result = error_set(reterr, FSHA_E_STATE, 0, "close",
					   "election '%s' is still open", e->component);
	for (const struct open_store *o = s->stores; o && result == FSHA_OK; o = o->next)
		if (o->owners)
			result = error_set(reterr, FSHA_E_STATE, 0, "close",
					   "store '%s' is still open", o->store->directory);
	if (result == FSHA_OK && s->retrievers)
		result = error_set(reterr, FSHA_E_STATE, 0, "close", "a retriever is still open");
	if (result != FSHA_OK) {
		services_unlock(s);
		return result;
	}
	s->closing = true;
	wake_all(s);
	deadline_ns = services_close_deadline_ns(s);
	while (!all_ended(s))
		if (!services_wait(s, deadline_ns)) {
			result = error_set(
				reterr, FSHA_E_TIMEOUT, 0, "close",
				"the services are closed, but the filesystem of '%s' does "
				"not answer",
				s->cluster.path);
			break;
		}
	services_unlock(s);
	if (result == FSHA_OK)
		take_down_member(s);
	services_unref(s);
	return result;
}

uint32_t fsha_services_lease_ms(const fsha_services *s)
{
	return s ? s->cluster.lease_ms : 0;
}

const char *fsha_services_path(const fsha_services *s)
{
	return s ? s->cluster.path : "";
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

	o = fsu_alloc(services_fs(s), sizeof(*o));
	if (!o)
		return error_os(reterr, -ENOMEM, "alloc", "cannot open store '%s'",
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
	bool unused = !o->owners && !o->hanging && !o->cleaning;

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
