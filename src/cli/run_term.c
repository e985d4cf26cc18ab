#include "src/cli/run_term.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/cli_error.h"

#define NS_PER_S INT64_C(1000000000)

static void wake(struct run_term *t)
{
	uint64_t one = 1;

	if (write(t->event_fd, &one, sizeof(one)) < 0)
		return; /* only when it is full, and then it is readable */
}

static void close_fds(struct run_term *t)
{
	if (t->hold_fd >= 0)
		(void)close(t->hold_fd);
	if (t->lease_fd >= 0)
		(void)close(t->lease_fd);
	t->hold_fd = t->lease_fd = -1;
}

/* ---- In the executor ---- */

/*
 * What cannot be published now, the library goes on trying to publish: that is no reason not to
 * lead. What can never be published, is.
 */
static fsha_result publish(const struct run_term *t, fsha_election *election,
			   const fsha_uuid *session, fsha_error *reterr)
{
	fsha_result result;

	result = fsha_election_confirm_leadership(election, session, t->address, reterr);
	if (result == FSHA_OK || result == FSHA_E_INVALID)
		return result;
	(void)cli_error_print(reterr, false);
	return FSHA_OK;
}

static void on_grant(void *ctx, const fsha_uuid *session, uint64_t epoch)
{
	struct run_term *t = ctx;
	fsha_error error = FSHA_ERROR_INIT;
	fsha_shared_term term = { .epoch = epoch };
	int hold_fd = -1, lease_fd = -1;
	fsha_election *election;
	fsha_result result;

	(void)pthread_mutex_lock(&t->mutex);
	while (!t->election) /* the grant may be faster than the return of fsha_election_start */
		(void)pthread_cond_wait(&t->changed, &t->mutex);
	election = t->election;
	(void)pthread_mutex_unlock(&t->mutex);

	result = fsha_services_guard_fds(t->services, &hold_fd, &lease_fd, &error);
	if (result == FSHA_OK)
		result = fsha_election_share(election, &term, &error);
	if (result == FSHA_OK)
		result = publish(t, election, session, &error);

	(void)pthread_mutex_lock(&t->mutex);
	t->leading = true;
	t->grants++;
	t->term = term;
	t->hold_fd = hold_fd;
	t->lease_fd = lease_fd;
	/* A term that ended already is not ours to share; its revocation is on the way. */
	t->failed = result != FSHA_OK && fsha_election_has_leadership(election, session);
	t->error = error;
	if (result != FSHA_OK)
		t->leading = false;
	wake(t);
	(void)pthread_mutex_unlock(&t->mutex);
}

static void on_revoke(void *ctx)
{
	struct run_term *t = ctx;
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until); /* cannot fail */
	until.tv_nsec += (long)(t->patience_ns % NS_PER_S);
	until.tv_sec += t->patience_ns / NS_PER_S + until.tv_nsec / NS_PER_S;
	until.tv_nsec %= NS_PER_S;
	(void)pthread_mutex_lock(&t->mutex);
	t->leading = false;
	close_fds(t);
	wake(t);
	while (t->busy && pthread_cond_timedwait(&t->changed, &t->mutex, &until) == 0)
		continue;
	(void)pthread_mutex_unlock(&t->mutex);
}

/* What goes on for long is told once. */
static void on_error(void *ctx, const fsha_error *error)
{
	struct run_term *t = ctx;

	if (strcmp(error->message, t->last_error) == 0)
		return;
	memcpy(t->last_error, error->message, sizeof(t->last_error));
	(void)cli_error_print(error, false);
}

/* ---- In the main thread ---- */

int run_term_init(struct run_term *t, const char *address)
{
	pthread_condattr_t attr;
	int r;

	*t = (struct run_term){ .address = address, .hold_fd = -1, .lease_fd = -1 };
	t->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->event_fd < 0)
		return -errno;
	r = pthread_condattr_init(&attr);
	if (r == 0)
		r = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (r == 0)
		r = pthread_cond_init(&t->changed, &attr);
	if (r == 0)
		r = pthread_mutex_init(&t->mutex, NULL);
	return -r;
}

fsha_result run_term_contend(struct run_term *t, fsha_services *services, const char *election,
			     int64_t patience_ns, fsha_error *reterr)
{
	const fsha_contender contender = {
		.struct_size = sizeof(contender),
		.ctx = t,
		.grant_leadership = on_grant,
		.revoke_leadership = on_revoke,
		.handle_error = on_error,
	};
	fsha_election *started;
	fsha_result result;

	t->services = services;
	t->patience_ns = patience_ns;
	result = fsha_election_start(services, election, &contender, &started, reterr);
	if (result != FSHA_OK)
		return result;
	(void)pthread_mutex_lock(&t->mutex);
	t->election = started;
	(void)pthread_cond_broadcast(&t->changed);
	(void)pthread_mutex_unlock(&t->mutex);
	return FSHA_OK;
}

enum run_term_news run_term_look(struct run_term *t, fsha_shared_term *ret_term, int *ret_hold_fd,
				 int *ret_lease_fd, fsha_error *reterr)
{
	enum run_term_news news = RUN_TERM_NOTHING;
	uint64_t posted;

	if (read(t->event_fd, &posted, sizeof(posted)) < 0)
		posted = 0; /* looked at for another reason */
	(void)pthread_mutex_lock(&t->mutex);
	if (t->failed) {
		news = RUN_TERM_FAILED;
		*reterr = t->error;
	} else if (t->leading && !t->busy && t->started != t->grants) {
		news = RUN_TERM_START;
		t->busy = true;
		t->started = t->grants;
		*ret_term = t->term;
		*ret_hold_fd = t->hold_fd;
		*ret_lease_fd = t->lease_fd;
		t->hold_fd = t->lease_fd = -1;
	} else if (t->busy && (!t->leading || t->started != t->grants)) {
		news = RUN_TERM_STOP;
	}
	(void)pthread_mutex_unlock(&t->mutex);
	return news;
}

void run_term_idle(struct run_term *t)
{
	(void)pthread_mutex_lock(&t->mutex);
	t->busy = false;
	(void)pthread_cond_broadcast(&t->changed);
	(void)pthread_mutex_unlock(&t->mutex);
}
