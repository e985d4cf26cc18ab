/*
 * Leader retrieval: what the poller sees becomes calls to listeners on the executor. A pair that
 * was delivered last is not delivered again, nor is a first "no leader"; a "no leader" between two
 * pairs is always delivered, even when the executor was busy meanwhile.
 */
#include <errno.h>
#include <string.h>

#include "fsutil/fsu_path.h"
#include "src/election/election.h"
#include "src/result/error.h"
#include "src/retrieval/poller.h"
#include "src/services/standalone.h"

struct pair {
	bool leads;
	struct fsu_uuid session;
	struct fsu_uuid member; /* whose life the leadership hangs on */
	char address[FSHA_ADDRESS_MAX + 1];
};

struct fsha_retriever {
	struct fsha_retriever *next;
	struct fsha_services *services;
	fsha_leader_listener listener;
	char *component;
	struct task task;
	struct pair current; /* as the poller saw it last */
	struct pair delivered;
	bool none_between; /* there was no leader between `delivered` and `current` */
	bool calling, stopped;
	bool abandoned; /* stopped while its listener ran: freed when that returns */
	fsha_error error;
	bool has_error;
};

const struct fsha_retriever *retriever_next(const struct fsha_retriever *r)
{
	return r->next;
}

const char *retriever_component(const struct fsha_retriever *r)
{
	return r->component;
}

static bool pair_equal(const struct pair *a, const struct pair *b)
{
	if (a->leads != b->leads)
		return false;
	return !a->leads ||
	       (fsu_uuid_equal(&a->session, &b->session) && strcmp(a->address, b->address) == 0);
}

static struct pair pair_of(const struct leader *leader)
{
	struct pair pair = { .leads = leader && leader->state == LEADER_CONFIRMED };

	if (pair.leads) {
		pair.session = leader->session;
		pair.member = leader->member;
		memcpy(pair.address, leader->address, sizeof(pair.address));
	}
	return pair;
}

static void see(struct fsha_retriever *r, const struct leader *leader)
{
	struct pair pair = pair_of(leader);

	if (!pair.leads && r->delivered.leads)
		r->none_between = true;
	r->current = pair;
	executor_post(r->services, &r->task);
}

void retriever_notify(struct fsha_services *s, const char *component, const struct leader *leader)
{
	for (struct fsha_retriever *r = s->retrievers; r; r = r->next)
		if (strcmp(r->component, component) == 0)
			see(r, leader);
}

bool retriever_wants(const struct fsha_services *s, const struct fsu_uuid *member)
{
	for (const struct fsha_retriever *r = s->retrievers; r; r = r->next)
		if (!r->stopped && r->current.leads && !fsu_uuid_is_null(&r->current.member) &&
		    fsu_uuid_equal(&r->current.member, member))
			return true;
	return false;
}

void retriever_bury(struct fsha_services *s)
{
	if (s->standalone)
		return; /* a fixed address dies with nobody */
	for (struct fsha_retriever *r = s->retrievers; r; r = r->next)
		if (!r->stopped && r->current.leads &&
		    member_verdict_is_dead(watcher_ask(s, &r->current.member).verdict))
			see(r, NULL);
}

void retriever_error(struct fsha_services *s, const char *component, const fsha_error *error)
{
	for (struct fsha_retriever *r = s->retrievers; r; r = r->next) {
		if (component && strcmp(r->component, component) != 0)
			continue;
		r->error = *error;
		r->has_error = true;
		executor_post(s, &r->task);
	}
}

/* One delivery. The mutex is held, and dropped around the callback. */
static void deliver(struct fsha_retriever *r, const struct pair *pair)
{
	const fsha_leader_listener l = r->listener;
	struct pair copy = *pair;
	fsha_uuid session;

	r->delivered = copy;
	r->calling = true;
	services_unlock(r->services);
	memcpy(&session, &copy.session, sizeof(session));
	l.notify_leader_address(l.ctx, copy.leads ? copy.address : NULL,
				copy.leads ? &session : NULL);
	services_lock(r->services);
	r->calling = false;
}

static void destroy(struct fsha_retriever *r)
{
	struct fsha_services *s = r->services;

	fsu_release(services_fs(s), r->component);
	fsu_release(services_fs(s), r);
	services_unref(s);
}

static bool tell(struct task *task)
{
	struct fsha_retriever *r =
		(struct fsha_retriever *)((char *)task - offsetof(struct fsha_retriever, task));
	const struct pair none = { .leads = false };
	fsha_error error;

	if (r->stopped)
		return false;
	if (r->none_between) {
		r->none_between = false;
		deliver(r, &none);
	} else if (!pair_equal(&r->current, &r->delivered)) {
		deliver(r, &r->current);
	} else if (r->has_error) {
		error = r->error;
		r->has_error = false;
		r->calling = true;
		services_unlock(r->services);
		if (r->listener.handle_error)
			r->listener.handle_error(r->listener.ctx, &error);
		services_lock(r->services);
		r->calling = false;
	} else {
		return false;
	}
	if (r->abandoned) {
		struct fsha_services *s = r->services;

		/* The executor holds a reference on the services: they stay. */
		services_unlock(s);
		destroy(r);
		services_lock(s);
		return false;
	}
	return true;
}

/* The one pair that standalone services deliver. */
static fsha_result take_fixed(struct fsha_services *s, const char *component, const char *fallback,
			      struct pair *ret_pair, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;

	if (fallback)
		strcpy(ret_pair->address, fallback);
	else
		result = standalone_address(s, component, ret_pair->address, reterr);
	ret_pair->leads = result == FSHA_OK;
	return result;
}

static fsha_result start(fsha_services *s, const char *name, const char *fallback,
			 const fsha_leader_listener *listener, fsha_retriever **ret_retriever,
			 fsha_error *reterr)
{
	char component[FSU_COMPONENT_MAX + 1];
	struct pair fixed = { .leads = false };
	struct fsha_retriever *r;
	fsha_result result;
	int error;

	if (!s || !listener || !ret_retriever || listener->struct_size != sizeof(*listener) ||
	    !listener->notify_leader_address)
		return error_set(reterr, FSHA_E_INVALID, 0, "start",
				 "an argument or a callback is NULL, or struct_size is not set");
	result = services_encode_election(name, component, reterr);
	if (result == FSHA_OK && s->standalone)
		result = take_fixed(s, component, fallback, &fixed, reterr);
	if (result != FSHA_OK)
		return result;
	r = fsu_alloc(services_fs(s), sizeof(*r));
	if (!r)
		return error_os(reterr, -ENOMEM, "alloc", "cannot watch '%s'", name);
	r->services = s;
	services_ref(s);
	r->listener = *listener;
	r->task.run = tell;
	r->current = fixed;
	r->error = (fsha_error)FSHA_ERROR_INIT;
	r->component = fsu_strdup(services_fs(s), component);
	services_lock(s);
	error = !r->component ? -ENOMEM : s->closing ? -ESHUTDOWN : 0;
	if (error == 0)
		error = worker_start(s, &s->executor, executor_run);
	if (error == 0 && !s->standalone)
		error = poller_start(s);
	if (error == 0) {
		r->next = s->retrievers;
		s->retrievers = r;
		if (s->standalone)
			executor_post(s, &r->task);
		else
			see(r, poller_leader(s, component));
	}
	services_unlock(s);
	if (error < 0) {
		destroy(r);
		return error_os(reterr, error, "start", "cannot watch '%s'", name);
	}
	*ret_retriever = r;
	return FSHA_OK;
}

fsha_result fsha_retriever_start(fsha_services *s, const char *name,
				 const fsha_leader_listener *listener,
				 fsha_retriever **ret_retriever, fsha_error *reterr)
{
	return start(s, name, NULL, listener, ret_retriever, reterr);
}

fsha_result fsha_retriever_start_job(fsha_services *s, const fsha_job_id *job,
				     const char *default_address,
				     const fsha_leader_listener *listener,
				     fsha_retriever **ret_retriever, fsha_error *reterr)
{
	char name[FSHA_ELECTION_JOB_TEXT];

	if (!job || (default_address &&
		     (!default_address[0] || strlen(default_address) > FSHA_ADDRESS_MAX)))
		return error_set(reterr, FSHA_E_INVALID, 0, "start",
				 "a job is needed; a default address has 1 to %d bytes",
				 FSHA_ADDRESS_MAX);
	return start(s, fsha_job_election_name(job, name), default_address, listener, ret_retriever,
		     reterr);
}

void fsha_retriever_refresh(fsha_retriever *r)
{
	if (!r || r->services->standalone)
		return; /* a fixed address is all there is */
	services_lock(r->services);
	poller_refresh(r->services);
	services_unlock(r->services);
}

fsha_result fsha_retriever_stop(fsha_retriever *r, fsha_error *reterr)
{
	struct fsha_services *s;
	fsha_result result = FSHA_OK;
	int64_t deadline_ns;

	if (!r)
		return FSHA_OK;
	s = r->services;
	services_lock(s);
	if (executor_is_me(s)) {
		services_unlock(s);
		return error_set(reterr, FSHA_E_STATE, 0, "stop",
				 "a retriever cannot be stopped from a callback");
	}
	r->stopped = true;
	deadline_ns = services_close_deadline_ns(s);
	while (r->calling && result == FSHA_OK)
		if (!services_wait(s, deadline_ns))
			result = error_set(reterr, FSHA_E_TIMEOUT, 0, "stop",
					   "the listener of '%s' still runs", r->component);
	for (struct fsha_retriever **p = &s->retrievers; *p; p = &(*p)->next)
		if (*p == r) {
			*p = r->next;
			break;
		}
	executor_cancel(s, &r->task);
	r->abandoned = result != FSHA_OK;
	services_unlock(s);
	if (result == FSHA_OK)
		destroy(r);
	return result;
}

static fsha_result read_fixed(fsha_services *s, const char *component,
			      fsha_leader_information *ret_information, fsha_error *reterr)
{
	struct pair fixed = { .leads = false };
	fsha_result result = take_fixed(s, component, NULL, &fixed, reterr);

	if (result != FSHA_OK)
		return result;
	*ret_information = (fsha_leader_information){ .confirmed = 1 };
	strcpy(ret_information->address, fixed.address);
	return FSHA_OK;
}

fsha_result fsha_leader_read(fsha_services *s, const char *name,
			     fsha_leader_information *ret_information, fsha_error *reterr)
{
	char component[FSU_COMPONENT_MAX + 1];
	struct leader leader;
	fsha_result result;

	if (!s || !ret_information)
		return error_set(reterr, FSHA_E_INVALID, 0, "read", "an argument is NULL");
	result = services_encode_election(name, component, reterr);
	if (result == FSHA_OK && s->standalone)
		return read_fixed(s, component, ret_information, reterr);
	if (result == FSHA_OK)
		result = leader_read(&s->cluster, component, &leader, reterr);
	if (result == FSHA_OK)
		leader_to_information(&leader, ret_information);
	return result;
}
