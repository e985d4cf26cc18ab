/*
 * A component that gets over errors: contender and listener in one, which opens its services anew,
 * later and later, as long as that fails or the storage is in trouble.
 *
 * The library tries again by itself whatever can be tried again (a heartbeat, a look, a claim); a
 * component needs this for what it cannot: a cluster that is not there yet, a directory that was
 * mounted anew, a configuration that somebody mends.
 *
 *     FSHA_STORAGE_DIR=/a/shared/directory ./robust_component ADDRESS [SECONDS]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <fsha/fsha.h>

#define ELECTION FSHA_ELECTION_DISPATCHER

struct component {
	const char *address;
	fsha_services *services;
	fsha_election *election;
	fsha_retriever *retriever;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	int failed; /* since the last start */
	int leads;
};

static void on_grant(void *ctx, const fsha_uuid *session, uint64_t epoch)
{
	struct component *c = ctx;

	printf("leading term %llu\n", (unsigned long long)epoch);
	(void)fsha_election_confirm_leadership(c->election, session, c->address, NULL);
	pthread_mutex_lock(&c->mutex);
	c->leads = 1;
	pthread_mutex_unlock(&c->mutex);
}

static void on_revoke(void *ctx)
{
	struct component *c = ctx;

	printf("leading no more\n");
	pthread_mutex_lock(&c->mutex);
	c->leads = 0;
	pthread_mutex_unlock(&c->mutex);
}

static void on_leader(void *ctx, const char *address, const fsha_uuid *session)
{
	(void)ctx;
	(void)session;
	printf("the leader is %s\n", address ? address : "nobody");
}

/* In a thread of the library: nothing is closed here, only noted. */
static void on_error(void *ctx, const fsha_error *error)
{
	struct component *c = ctx;

	fprintf(stderr, "%s: %s\n", fsha_result_name(error->result), error->message);
	pthread_mutex_lock(&c->mutex);
	c->failed = 1;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->mutex);
}

static void stop(struct component *c)
{
	fsha_retriever_stop(c->retriever, NULL);
	fsha_election_close(c->election, NULL);
	fsha_services_close(c->services, NULL);
	c->retriever = NULL;
	c->election = NULL;
	c->services = NULL;
}

/* FSHA_OK: it runs. */
static fsha_result start(struct component *c, fsha_error *reterr)
{
	const fsha_contender contender = { sizeof(contender), c, on_grant, on_revoke, on_error };
	const fsha_leader_listener listener = { sizeof(listener), c, on_leader, on_error };
	fsha_config *config = fsha_config_create();
	fsha_result result = FSHA_E_NOMEM;

	c->failed = 0;
	/* Read anew each time: somebody may have mended it. */
	if (config)
		result = fsha_config_load_environment(config, reterr);
	if (result == FSHA_OK)
		result = fsha_services_open(config, NULL, &c->services, reterr);
	if (result == FSHA_OK)
		result = fsha_retriever_start(c->services, ELECTION, &listener, &c->retriever,
					      reterr);
	if (result == FSHA_OK)
		result = fsha_election_start(c->services, ELECTION, &contender, &c->election,
					     reterr);
	fsha_config_destroy(config);
	if (result != FSHA_OK)
		stop(c);
	return result;
}

/* Until an error was told, or the time is over: 0 then. */
static int run(struct component *c, const struct timespec *until)
{
	int r = 0, failed;

	pthread_mutex_lock(&c->mutex);
	while (!c->failed && r == 0)
		r = pthread_cond_timedwait(&c->changed, &c->mutex, until);
	failed = c->failed;
	pthread_mutex_unlock(&c->mutex);
	return failed;
}

static int is_over(const struct timespec *until)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec > until->tv_sec ||
	       (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec);
}

static void wait_ms(uint64_t ms)
{
	const struct timespec pause = { .tv_sec = (time_t)(ms / 1000),
					.tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&pause, NULL);
}

int main(int argc, char **argv)
{
	struct component c = { .address = argc > 1 ? argv[1] : "nowhere:0",
			       .mutex = PTHREAD_MUTEX_INITIALIZER,
			       .changed = PTHREAD_COND_INITIALIZER };
	/* 0.1 s, 0.2 s, 0.4 s, ... 30 s; as long as it takes. */
	const fsha_cleanup_strategy backoff = { .kind = FSHA_CLEANUP_EXPONENTIAL_DELAY,
						.attempts = FSHA_CLEANUP_NO_LIMIT,
						.delay_ms = 100,
						.delay_max_ms = 30000 };
	fsha_error error = FSHA_ERROR_INIT;
	struct timespec until;
	uint64_t failures = 0, delay_ms;
	int leads = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += argc > 2 ? atoi(argv[2]) : 3600;
	while (!is_over(&until)) {
		int failed = 1;

		if (start(&c, &error) == FSHA_OK) {
			failed = run(&c, &until);
			pthread_mutex_lock(&c.mutex);
			leads = c.leads;
			pthread_mutex_unlock(&c.mutex);
			/* Whoever led was well for a while: the next error is a first one. */
			failures = leads ? 0 : failures;
			stop(&c);
		} else {
			fprintf(stderr, "cannot start: %s\n", error.message);
		}
		if (failed && fsha_cleanup_strategy_next(&backoff, ++failures, &delay_ms)) {
			printf("again in %llu ms\n", (unsigned long long)delay_ms);
			wait_ms(delay_ms);
		}
	}
	return leads ? 0 : 1;
}
