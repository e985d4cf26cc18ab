/*
 * A contender for tests with real processes: it does what it is told by lines on its standard
 * input and tells what happens by lines on its standard output.
 *
 *   contender STORAGE_DIR LEASE [STORM_FILE]
 *
 *   put KEY TEXT   add or replace                    -> done put RESULT maybe_done
 *   get KEY                                          -> done get RESULT TEXT
 *   resign                                           -> done resign RESULT
 *   close, start   the election                      -> done close RESULT
 *   arm            stop in the middle of the next put, just before its rename
 *   storm          from now on write all the time while leading
 *   quit
 *
 * Events: "grant EPOCH SESSION NS", "revoke NS", "error RESULT MESSAGE", with CLOCK_BOOTTIME.
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "fsha/fsha.h"
#include "src/services/services.h"
#include "tests/process/storm.h"

#define START_NS UINT64_C(20000000000)

static struct {
	struct fsu_ops ops;
	struct fsu fs;
	_Atomic int armed;
	fsha_services *services;
	fsha_state_store *store;
	fsha_election *election;
	struct storm *storm;
	pthread_mutex_t mutex;
	/* Under the mutex: */
	bool leads;
	uint64_t epoch;
	fsha_uuid session;
	/* The main thread's own: */
	bool storming;
	uint64_t storm_epoch, storm_sequence;
} c = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* One write, so that lines of several threads do not mix. */
static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	char line[1024];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (n < 0)
		return;
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		_exit(3); /* nobody listens any more */
}

/* ---- the contender ---- */

static void on_grant(void *ctx, const fsha_uuid *session, uint64_t epoch)
{
	char text[FSHA_UUID_TEXT];

	(void)ctx;
	(void)pthread_mutex_lock(&c.mutex);
	c.leads = true;
	c.epoch = epoch;
	c.session = *session;
	(void)pthread_mutex_unlock(&c.mutex);
	say("grant %" PRIu64 " %s %" PRIu64, epoch, fsha_uuid_format(session, text), now_ns());
}

static void on_revoke(void *ctx)
{
	(void)ctx;
	(void)pthread_mutex_lock(&c.mutex);
	c.leads = false;
	(void)pthread_mutex_unlock(&c.mutex);
	say("revoke %" PRIu64, now_ns());
}

static void on_error(void *ctx, const fsha_error *error)
{
	(void)ctx;
	say("error %s %s", fsha_result_name(error->result), error->message);
}

static bool leads(uint64_t *ret_epoch, fsha_uuid *ret_session)
{
	bool result;

	(void)pthread_mutex_lock(&c.mutex);
	result = c.leads;
	*ret_epoch = c.epoch;
	*ret_session = c.session;
	(void)pthread_mutex_unlock(&c.mutex);
	return result;
}

static void start(void)
{
	const fsha_contender contender = { sizeof(contender), NULL, on_grant, on_revoke, on_error };
	fsha_error error = FSHA_ERROR_INIT;
	uint64_t end_ns = now_ns() + START_NS;
	fsha_result result;

	/* A close that timed out on a slow disk keeps the election until it is through. */
	do
		result = fsha_election_start(c.services, STORM_ELECTION, &contender, &c.election,
					     &error);
	while (result == FSHA_E_STATE && now_ns() < end_ns && usleep(1000) == 0);
	if (result != FSHA_OK) {
		say("error %s %s", fsha_result_name(error.result), error.message);
		exit(2);
	}
}

/* ---- commands ---- */

static fsha_result put(const char *key, const char *text, fsha_error *reterr)
{
	fsha_version version;
	fsha_result result;

	result = fsha_state_store_exists(c.store, key, &version, reterr);
	if (result != FSHA_OK)
		return result;
	if (fsha_version_is_existing(&version))
		return fsha_state_store_replace(c.store, key, &version, text, strlen(text), NULL,
						reterr);
	return fsha_state_store_add(c.store, key, text, strlen(text), NULL, reterr);
}

static void do_put(char *args)
{
	fsha_error error = FSHA_ERROR_INIT;
	char *save, *key = strtok_r(args, " ", &save), *text = strtok_r(NULL, " ", &save);
	fsha_result result;

	result = put(key ? key : "", text ? text : "", &error);
	say("done put %s %u", fsha_result_name(result), error.maybe_done);
}

static void do_get(const char *key)
{
	fsha_result result;
	void *data = NULL;
	size_t size;

	result = fsha_state_store_get(c.store, key, &data, &size, NULL, NULL);
	say("done get %s %s", fsha_result_name(result),
	    result == FSHA_OK ? (const char *)data : "-");
	if (result == FSHA_OK)
		fsha_free(data);
}

static void do_resign(void)
{
	fsha_uuid session;
	uint64_t epoch;

	(void)leads(&epoch, &session);
	say("done resign %s", fsha_result_name(fsha_election_resign(c.election, &session, NULL)));
}

static void do_close(void)
{
	say("done close %s", fsha_result_name(fsha_election_close(c.election, NULL)));
	c.election = NULL;
}

static void obey(char *line)
{
	line[strcspn(line, "\n")] = '\0';
	if (strncmp(line, "put ", 4) == 0)
		do_put(line + 4);
	else if (strncmp(line, "get ", 4) == 0)
		do_get(line + 4);
	else if (strcmp(line, "resign") == 0)
		do_resign();
	else if (strcmp(line, "close") == 0)
		do_close();
	else if (strcmp(line, "start") == 0)
		start();
	else if (strcmp(line, "arm") == 0)
		atomic_store(&c.armed, 1);
	else if (strcmp(line, "storm") == 0)
		c.storming = true;
	else
		say("error what is '%s'?", line);
}

/* ---- the storm ---- */

/* What was acknowledged before this term must be there: looked at once, in its beginning. */
static void recover(void)
{
	uint32_t count = atomic_load(&c.storm->acknowledged);
	fsha_version version;
	char key[64];

	for (uint32_t i = count > 5 ? count - 5 : 0; i < count; i++) {
		(void)snprintf(key, sizeof(key), STORM_TERM "%" PRIu64,
			       atomic_load(&c.storm->epochs[i]));
		if (fsha_state_store_exists(c.store, key, &version, NULL) == FSHA_OK &&
		    !fsha_version_is_existing(&version)) {
			atomic_fetch_add(&c.storm->lost, 1);
			say("error LOST %s", key);
		}
	}
}

static void begin_term(uint64_t epoch)
{
	char key[64];

	recover();
	(void)snprintf(key, sizeof(key), STORM_TERM "%" PRIu64, epoch);
	if (put(key, "served", NULL) == FSHA_OK) {
		uint32_t i = atomic_fetch_add(&c.storm->acknowledged, 1);

		if (i < STORM_TERMS_MAX)
			atomic_store(&c.storm->epochs[i], epoch);
	}
	c.storm_epoch = epoch;
	c.storm_sequence = 0;
}

/* One write of the value, if we lead. False: nothing to do. */
static bool storm_once(void)
{
	char text[64];
	fsha_uuid session;
	uint64_t epoch;

	if (!c.storming || !c.election || !leads(&epoch, &session))
		return false;
	if (epoch != c.storm_epoch)
		begin_term(epoch);
	(void)snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, epoch, ++c.storm_sequence);
	if (put(STORM_VALUE, text, NULL) == FSHA_OK)
		atomic_fetch_add(&c.storm->written, 1);
	return true;
}

/* ---- a stop in the middle ---- */

static int stopping_rename(void *ctx, int from_dirfd, const char *from, int to_dirfd,
			   const char *to)
{
	(void)ctx;
	/* A commit of ours to the store: out of the tenure, to a name that is no trash. */
	if (strncmp(from, "tenure-", 7) == 0 && strncmp(to, "k~", 2) == 0 &&
	    atomic_exchange(&c.armed, 0))
		(void)raise(SIGSTOP);
	return fsu_posix.ops->renameat(NULL, from_dirfd, from, to_dirfd, to);
}

static bool open_all(char **argv)
{
	fsha_config *config = fsha_config_create();
	fsha_error error = FSHA_ERROR_INIT;

	c.ops = *fsu_posix.ops;
	c.ops.renameat = stopping_rename;
	c.fs = (struct fsu){ &c.ops, NULL };
	if (argv[3])
		c.storm = storm_map(argv[3]);
	if (!config || (argv[3] && !c.storm) ||
	    fsha_config_set(config, FSHA_KEY_STORAGE_DIR, argv[1], NULL) != FSHA_OK ||
	    fsha_config_set(config, FSHA_KEY_LEASE, argv[2], NULL) != FSHA_OK ||
	    services_open_with(&c.fs, config, NULL, &c.services, &error) != FSHA_OK ||
	    fsha_state_store_open(c.services, STORM_NAMESPACE, STORM_ELECTION, &c.store, &error) !=
		    FSHA_OK) {
		say("error %s %s", fsha_result_name(error.result), error.message);
		return false;
	}
	fsha_config_destroy(config);
	return true;
}

/* Lines are short and come one at a time, so what a read brings are whole lines. */
static bool obey_input(void)
{
	char text[1024], *save, *line;
	ssize_t n = read(STDIN_FILENO, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strcmp(line, "quit") == 0)
			return false;
		obey(line);
	}
	return true;
}

int main(int argc, char **argv)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	bool busy = false;
	fsha_result result;

	/* Whatever becomes of the test, nothing of it stays behind. */
	if (argc < 3 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || !open_all(argv))
		return 2;
	start();
	for (;;) {
		if (poll(&input, 1, busy ? 0 : c.storming ? 1 : -1) > 0 && !obey_input())
			break;
		busy = storm_once();
	}
	if (c.election)
		(void)fsha_election_close(c.election, NULL);
	fsha_state_store_close(c.store);
	/* A lease of 1 s may be too short for a busy disk to let go of all threads. */
	result = fsha_services_close(c.services, NULL);
	return result == FSHA_OK || result == FSHA_E_TIMEOUT ? 0 : 4;
}
