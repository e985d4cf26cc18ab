#include "src/election/election.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_path.h"
#include "src/election/claim.h"
#include "src/result/error.h"
#include "src/retrieval/poller.h"
#include "src/services/standalone.h"

bool election_leads(const struct fsha_election *e)
{
	return e->term && !e->closing && !e->resigning && term_is_live(e->term);
}

const struct fsu_uuid *election_session(const struct fsha_election *e)
{
	static const struct fsu_uuid null;

	return e->services->standalone ? &null : &e->term->epoch.session;
}

/* Does it lead under this session? Under the mutex. */
static bool leads_under(const struct fsha_election *e, const fsha_uuid *session)
{
	return election_leads(e) && memcmp(election_session(e), session, sizeof(*session)) == 0;
}

void election_poke_at(struct fsha_election *e, int64_t due_ns)
{
	if (due_ns < e->due_ns)
		e->due_ns = due_ns;
	worker_wake(&e->services->claimer);
}

void election_poke(struct fsha_election *e)
{
	election_poke_at(e, 0);
}

void election_error(struct fsha_election *e, const fsha_error *error)
{
	e->error = *error;
	e->has_error = true;
	executor_post(e->services, &e->task);
	(void)pthread_cond_broadcast(&e->services->changed); /* fsha_election_acquire */
}

void election_unref(struct fsha_election *e)
{
	struct fsha_services *s = e->services;

	if (atomic_fetch_sub(&e->refs, 1) != 1)
		return;
	term_unref(e->term);
	if (e->dir_fd >= 0)
		(void)fsu_close(services_fs(s), e->dir_fd); /* a directory */
	fsu_release(services_fs(s), e->component);
	(void)pthread_mutex_destroy(&e->publishing);
	fsu_release(services_fs(s), e);
	services_unref(s);
}

static struct fsha_election *election_of(struct task *task)
{
	return (struct fsha_election *)((char *)task - offsetof(struct fsha_election, task));
}

/*
 * Where there is no claimer to see to it: an election that its owner closed in vain. Under the
 * mutex, which is dropped; the executor holds a reference on the services.
 */
static bool drop_abandoned(struct fsha_election *e)
{
	struct fsha_services *s = e->services;

	if (!s->standalone || !e->abandoned)
		return false;
	election_unlist(e);
	services_unlock(s);
	election_unref(e);
	services_lock(s);
	return true;
}

/*
 * What the contender must hear next. Called by the executor with the mutex held, which is dropped
 * around the callback.
 */
static bool tell(struct task *task)
{
	struct fsha_election *e = election_of(task);
	struct fsha_services *s = e->services;
	const fsha_contender c = e->contender;
	bool leads = election_leads(e);
	fsha_uuid session;
	fsha_error error;
	uint64_t epoch;

	if (e->closed) {
		e->told = false; /* its owner gave up waiting and must hear no more */
		drop_abandoned(e);
		return false;
	}
	if (e->told && (!leads || !fsu_uuid_equal(&e->told_session, election_session(e)))) {
		e->calling = true;
		services_unlock(s);
		c.revoke_leadership(c.ctx);
		services_lock(s);
		e->told = false;
		if (s->standalone)
			e->resigning = false; /* there is nobody else to lead */
	} else if (!e->told && leads) {
		e->told = true;
		e->told_session = *election_session(e);
		memcpy(&session, &e->told_session, sizeof(session));
		epoch = e->term->epoch.number;
		e->calling = true;
		services_unlock(s);
		c.grant_leadership(c.ctx, &session, epoch);
		services_lock(s);
	} else if (e->has_error && !e->closing) {
		error = e->error;
		e->has_error = false;
		e->calling = true;
		services_unlock(s);
		if (c.handle_error)
			c.handle_error(c.ctx, &error);
		services_lock(s);
	} else {
		return false;
	}
	e->calling = false;
	if (drop_abandoned(e))
		return false;
	/* A resignation may have waited for the contender. Else what failed is not due yet. */
	if (e->closing || e->resigning)
		election_poke(e);
	return true;
}

static struct fsha_election *find(const struct fsha_services *s, const char *component)
{
	for (struct fsha_election *e = s->elections; e; e = e->next)
		if (strcmp(e->component, component) == 0)
			return e;
	return NULL;
}

static bool is_attached(const struct fsha_services *s, const char *component)
{
	for (struct attached_term *a = s->attached; a; a = a->next)
		if (strcmp(a->term->election, component) == 0)
			return true;
	return false;
}

static struct fsha_election *create(struct fsha_services *s, const char *component,
				    const fsha_contender *contender)
{
	struct fsha_election *e = fsu_alloc(services_fs(s), sizeof(*e));

	if (!e)
		return NULL;
	if (pthread_mutex_init(&e->publishing, NULL) != 0) {
		fsu_release(services_fs(s), e);
		return NULL;
	}
	e->services = s;
	e->dir_fd = -1;
	e->task.run = tell;
	e->contender = *contender;
	e->error = (fsha_error)FSHA_ERROR_INIT;
	atomic_init(&e->refs, 1);
	services_ref(s);
	e->component = fsu_strdup(services_fs(s), component);
	if (!e->component) {
		election_unref(e);
		return NULL;
	}
	return e;
}

/* Under the mutex. -errno. */
static int start_workers(struct fsha_services *s)
{
	int r = worker_start(s, &s->executor, executor_run);

	if (s->standalone)
		return r; /* nothing runs out, nobody else leads */
	if (r == 0)
		r = worker_start(s, &s->watchdog, watchdog_run);
	if (r == 0)
		r = worker_start(s, &s->heartbeat, heartbeat_run);
	if (r == 0)
		r = worker_start(s, &s->claimer, claimer_run);
	if (r == 0)
		r = worker_start(s, &s->janitor, janitor_run);
	if (r == 0)
		r = poller_start(s);
	return r;
}

/*
 * Into the list, with the threads that it needs. *ret_election is set before the first callback can
 * come, so that the contender may use it in there.
 */
static fsha_result enlist(struct fsha_services *s, struct fsha_election *e,
			  fsha_election **ret_election, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;
	int r;

	services_lock(s);
	if (s->closing || find(s, e->component) ||
	    (!s->standalone && is_attached(s, e->component))) {
		result = error_set(reterr, FSHA_E_STATE, 0, "start",
				   "this services object already takes part in '%s'", e->component);
	} else {
		r = start_workers(s);
		if (r < 0) {
			result = error_os(reterr, r, "pthread_create", "cannot contend for '%s'",
					  e->component);
		} else {
			e->next = s->elections;
			s->elections = e;
			*ret_election = e;
			if (s->standalone)
				executor_post(s, &e->task);
			else
				election_poke(e);
		}
	}
	services_unlock(s);
	return result;
}

fsha_result fsha_election_start(fsha_services *s, const char *name, const fsha_contender *contender,
				fsha_election **ret_election, fsha_error *reterr)
{
	char component[FSU_COMPONENT_MAX + 1];
	struct fsha_election *e;
	fsha_result result;

	if (!s || !contender || !ret_election || contender->struct_size != sizeof(*contender) ||
	    !contender->grant_leadership || !contender->revoke_leadership)
		return error_set(reterr, FSHA_E_INVALID, 0, "start",
				 "an argument or a callback is NULL, or struct_size is not set");
	result = services_encode_election(name, component, reterr);
	if (result == FSHA_OK)
		result = s->standalone ? standalone_begin(s, component, reterr) :
					 heartbeat_join(s, reterr);
	if (result != FSHA_OK)
		return result;
	e = create(s, component, contender);
	if (!e)
		return error_os(reterr, -ENOMEM, "alloc", "cannot contend for '%s'", name);
	if (s->standalone)
		e->term = services_term(s, component);
	else
		result = claim_open_election(&s->cluster, component, true, &e->dir_fd, reterr);
	if (result == FSHA_OK)
		result = enlist(s, e, ret_election, reterr);
	if (result != FSHA_OK)
		election_unref(e);
	return result;
}

fsha_result fsha_election_start_job(fsha_services *s, const fsha_job_id *job,
				    const fsha_contender *contender, fsha_election **ret_election,
				    fsha_error *reterr)
{
	char name[FSHA_ELECTION_JOB_TEXT];

	if (!job)
		return error_set(reterr, FSHA_E_INVALID, 0, "start", "the job is NULL");
	return fsha_election_start(s, fsha_job_election_name(job, name), contender, ret_election,
				   reterr);
}

int fsha_election_has_leadership(const fsha_election *election, const fsha_uuid *session)
{
	/*
	 * Not changed by us: the mutex and the sticky end of a lease that has run out are not its
	 * state.
	 */
	struct fsha_election *e = (struct fsha_election *)(uintptr_t)election;
	int leads;

	if (!e || !session)
		return 0;
	services_lock(e->services);
	leads = leads_under(e, session);
	services_unlock(e->services);
	return leads;
}

int fsha_election_term(const fsha_election *election, fsha_uuid *ret_session, uint64_t *ret_epoch)
{
	struct fsha_election *e = (struct fsha_election *)(uintptr_t)election;
	int leads;

	if (!e)
		return 0;
	services_lock(e->services);
	leads = election_leads(e);
	if (leads && ret_session)
		memcpy(ret_session, election_session(e), sizeof(*ret_session));
	if (leads && ret_epoch)
		*ret_epoch = e->term->epoch.number;
	services_unlock(e->services);
	return leads;
}

void election_published(struct fsha_election *e, const struct term *term, fsha_result result,
			const fsha_version *version)
{
	const struct cluster *c = &e->services->cluster;

	services_lock(e->services);
	if (e->term == term) {
		if (result == FSHA_OK && fsha_version_compare(version, &e->published) > 0) {
			e->published = *version;
			e->published_ns = fsu_now_ns(services_fs(e->services));
		}
		if (result != FSHA_OK) {
			e->publish_due = true;
			election_poke_at(e, fsu_now_ns(c->fs) + cluster_lease_ns(c) / 50);
		}
	}
	services_unlock(e->services);
}

fsha_result fsha_election_confirm_leadership(fsha_election *e, const fsha_uuid *session,
					     const char *address, fsha_error *reterr)
{
	fsha_version version = { 0 };
	struct term *term = NULL;
	fsha_result result = FSHA_OK;

	if (!e || !session || !address || !address[0] || strlen(address) > FSHA_ADDRESS_MAX)
		return error_set(reterr, FSHA_E_INVALID, 0, "confirm",
				 "session and address are needed; an address has 1 to %d bytes",
				 FSHA_ADDRESS_MAX);
	services_lock(e->services);
	/* Where addresses are fixed there is nothing to publish. */
	if (!e->services->standalone && leads_under(e, session)) {
		if (e->confirmed) {
			result = error_set(reterr, FSHA_E_STATE, 0, "confirm",
					   "this term of '%s' is confirmed already", e->component);
		} else {
			e->confirmed = true;
			strcpy(e->address, address);
			/* A callback that waits for the storage would keep revocations waiting. */
			if (executor_is_me(e->services)) {
				e->publish_due = true;
				election_poke(e);
			} else {
				term = term_ref(e->term);
			}
		}
	}
	services_unlock(e->services);
	if (!term)
		return result; /* an old session is ignored, as in Flink */
	(void)pthread_mutex_lock(&e->publishing);
	result = leader_publish(term, LEADER_CONFIRMED, address, NULL, &version, reterr);
	(void)pthread_mutex_unlock(&e->publishing);
	election_published(e, term, result, &version);
	term_unref(term);
	return result;
}

fsha_result fsha_election_resign(fsha_election *e, const fsha_uuid *session, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;

	if (!e || !session)
		return error_set(reterr, FSHA_E_INVALID, 0, "resign", "an argument is NULL");
	services_lock(e->services);
	if (!leads_under(e, session)) {
		result = error_set(reterr, FSHA_E_NOT_LEADER, 0, "resign",
				   "this process does not lead '%s' under that session",
				   e->component);
	} else {
		e->resigning = true;
		executor_post(e->services, &e->task);
		election_poke(e);
	}
	services_unlock(e->services);
	return result;
}

void election_unlist(struct fsha_election *e)
{
	struct fsha_services *s = e->services;

	for (struct fsha_election **p = &s->elections; *p; p = &(*p)->next) {
		if (*p != e)
			continue;
		*p = e->next;
		break;
	}
	executor_cancel(s, &e->task);
	e->closed = true;
	/* An abandoned one outlives the close of the services; the threads have waited for it. */
	if (s->closing && !s->elections)
		services_wake_all(s);
}

fsha_result fsha_election_close(fsha_election *e, fsha_error *reterr)
{
	struct fsha_services *s;
	fsha_result result = FSHA_OK;
	int64_t deadline_ns;

	if (!e)
		return FSHA_OK;
	s = e->services;
	services_lock(s);
	if (executor_is_me(s)) {
		services_unlock(s);
		return error_set(reterr, FSHA_E_STATE, 0, "close",
				 "an election cannot be closed from a callback");
	}
	deadline_ns = services_close_deadline_ns(s);
	e->closing = true;
	executor_post(s, &e->task);
	election_poke(e);
	/* First the contender hears of it, then the claimer resigns. */
	while (e->told || e->calling ||
	       (!s->standalone && (e->stepping || e->term || e->stands_as)))
		if (!services_wait(s, deadline_ns)) {
			result = error_set(reterr, FSHA_E_TIMEOUT, 0, "close",
					   "'%s' is closed, but %s", e->component,
					   e->calling || e->told ?
						   "a callback of its contender still runs" :
						   "the filesystem does not answer");
			break;
		}
	if (result == FSHA_OK)
		election_unlist(e);
	else
		e->closed = e->abandoned = true; /* the claimer sees to the rest when it can */
	services_unlock(s);
	if (result == FSHA_OK)
		election_unref(e);
	return result;
}
