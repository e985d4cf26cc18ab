/*
 * One process of a storm: contends for the elections of all stores, writes them while it leads,
 * reads while it does not, and writes down in a file elsewhere what it did, as tests/lib/
 * ops_history.h says.
 *
 *   storm_member STORAGE_DIR LOG_DIR SLOT INCARNATION contend|read LEASE SEED
 *
 * Ends with SIGTERM: then nothing of it may be left, not even a descriptor. Exit codes: 0; 2, it
 * could not begin; 3, something was left over.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/ops_history.h"
#include "tests/storm/beats.h"
#include "tests/storm/stores.h"

#define REPEATS 5
#define KEYS_MAX 8
#define JUMP_NS INT64_C(1800000000000)
#define LEADS_NS 20000000 /* between two questions to has_leadership */

static struct {
	struct stores stores;
	struct page *page;
	struct slot *slot;
	uint64_t incarnation;
	char process[32];
	int log_fd;
	uint64_t op;
	uint64_t sequence[ELECTIONS];
	/* A write in doubt of a kind that must be repeated first: not touched in this term. */
	uint64_t doubt_epoch[KINDS][KEYS_MAX];
	fsha_services *services;
	fsha_election *elections[ELECTIONS];
	pthread_mutex_t mutex;
	/* Under the mutex: the last grant; the epoch is 0 after it was revoked. */
	uint64_t epoch[ELECTIONS];
	fsha_uuid session[ELECTIONS];
} m = { .mutex = PTHREAD_MUTEX_INITIALIZER };

/* Set by a signal, seen by all threads: atomic without a lock. */
static atomic_bool ending;

static void on_term(int signal_number)
{
	(void)signal_number;
	atomic_store(&ending, true);
}

static void log_event(struct ops_event event)
{
	event.process = m.process;
	if (!ops_event_log(m.log_fd, &event))
		_exit(5);
}

static void log_term(int64_t time_ns, enum ops_kind kind, enum election e, uint64_t epoch)
{
	log_event((struct ops_event){
		.time_ns = time_ns, .kind = kind, .election = election_names[e], .epoch = epoch });
}

/* ---- the contender ---- */

static const enum election election_ids[ELECTIONS] = { DISPATCHER, RESOURCE_MANAGER, JOB_MASTER };

static void on_grant(void *ctx, const fsha_uuid *session, uint64_t epoch)
{
	const enum election e = *(const enum election *)ctx;

	log_term(page_now_ns(), OPS_GRANT, e, epoch);
	atomic_fetch_add(&m.page->grants[e], 1);
	(void)pthread_mutex_lock(&m.mutex);
	m.epoch[e] = epoch;
	m.session[e] = *session;
	(void)pthread_mutex_unlock(&m.mutex);
	atomic_store(&m.slot->leads[e], epoch);
	(void)fsha_election_confirm_leadership(m.elections[e], session, m.process, NULL);
}

static void on_revoke(void *ctx)
{
	const enum election e = *(const enum election *)ctx;
	uint64_t epoch;

	(void)pthread_mutex_lock(&m.mutex);
	epoch = m.epoch[e];
	m.epoch[e] = 0;
	(void)pthread_mutex_unlock(&m.mutex);
	log_term(page_now_ns(), OPS_REVOKE, e, epoch);
	atomic_store(&m.slot->leads[e], 0);
	atomic_fetch_add(&m.page->revokes[e], 1);
}

/* The term that was granted last, if it is not over: its epoch, or 0. */
static uint64_t term_of(enum election e, fsha_uuid *ret_session)
{
	uint64_t epoch;

	(void)pthread_mutex_lock(&m.mutex);
	epoch = m.epoch[e];
	*ret_session = m.session[e];
	(void)pthread_mutex_unlock(&m.mutex);
	return epoch;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* That clocks are what the storm has made of them is seen from here. */
static void look_at_clocks(int64_t *wall_ns)
{
	const int64_t now_ns = page_now_ns(), ahead_ns = clock_ns(CLOCK_REALTIME) - now_ns;

	if (*wall_ns && llabs(ahead_ns - *wall_ns) > JUMP_NS)
		atomic_fetch_add(&m.slot->jumps, 1);
	*wall_ns = ahead_ns;
	atomic_store(&m.slot->boottime_ns, clock_ns(CLOCK_BOOTTIME) - now_ns);
}

/* Asked after who leads: a heartbeat that came in between counts. */
static void log_leads(int64_t time_ns, enum election e, uint64_t epoch)
{
	const int64_t lease_ns = (int64_t)fsha_services_lease_ms(m.services) * 1000000;

	log_event((struct ops_event){ .time_ns = time_ns,
				      .kind = OPS_LEADS,
				      .election = election_names[e],
				      .epoch = epoch,
				      .deadline_ns = beats_last_ns() + lease_ns });
}

/* Asks all the time who leads, also while the main thread waits for the storage. */
static void *ask(void *arg)
{
	const struct timespec pause = { 0, LEADS_NS };
	int64_t wall_ns = 0;

	while (!atomic_load(&ending)) {
		look_at_clocks(&wall_ns);
		for (int e = 0; e < ELECTIONS; e++) {
			fsha_uuid session;
			uint64_t epoch = term_of((enum election)e, &session);
			int64_t time_ns = page_now_ns();

			if (epoch && fsha_election_has_leadership(m.elections[e], &session))
				log_leads(time_ns, (enum election)e, epoch);
		}
		(void)nanosleep(&pause, NULL);
	}
	return arg;
}

/* ---- operations ---- */

static struct ops_event begin_event(enum ops_kind kind, enum election e, const char *key)
{
	return (struct ops_event){ .time_ns = page_now_ns(),
				   .kind = kind,
				   .op = ++m.op,
				   .election = election_names[e],
				   .key = key };
}

static void log_end(enum ops_outcome outcome, const struct ops_value *value)
{
	struct ops_event event = { .kind = OPS_END, .op = m.op, .outcome = outcome };

	event.time_ns = page_now_ns();
	if (value)
		event.value = *value;
	log_event(event);
}

static void count_write(enum kind kind, bool removal, enum ops_outcome outcome, fsha_result result,
			const fsha_error *error)
{
	struct counts *c = &m.page->counts[kind];

	if (outcome == OPS_OK)
		atomic_fetch_add(removal ? &c->removed : &c->acknowledged, 1);
	else if (outcome == OPS_UNKNOWN)
		atomic_fetch_add(&c->doubt, 1);
	else
		atomic_fetch_add(&c->failed, 1);
	if (result == FSHA_E_FENCED || result == FSHA_E_NOT_LEADER)
		atomic_fetch_add(&c->fenced, 1);
	if (result != FSHA_OK && (error->os_errno == ENOSPC || error->os_errno == EDQUOT))
		atomic_fetch_add(&c->no_space, 1);
	/* Nothing that is asked for here is wrong, and nobody damages anything. */
	if (result == FSHA_E_INVALID || result == FSHA_E_CONFIG || result == FSHA_E_UNSUPPORTED ||
	    result == FSHA_E_CORRUPT)
		stores_violation(&m.stores, fsha_result_name(result), error->message);
}

static fsha_result change(enum kind kind, unsigned key, bool removal, const char *value,
			  fsha_error *reterr)
{
	const struct store_kind *k = &store_kinds[kind];
	const struct timespec pause = { 0, 20000000 };
	fsha_result result = FSHA_E_INDOUBT;
	bool doubt = false;

	for (int i = 0; result == FSHA_E_INDOUBT && i < (k->repeat ? REPEATS : 1); i++) {
		if (i > 0)
			(void)nanosleep(&pause, NULL);
		result = removal ? k->remove(&m.stores, key, reterr) :
				   k->write(&m.stores, key, value, reterr);
		doubt |= result == FSHA_E_INDOUBT;
	}
	/* That it could not be done again says nothing of the first time. */
	return doubt && result != FSHA_OK ? FSHA_E_INDOUBT : result;
}

static void write_one(enum kind kind, unsigned key, bool removal, uint64_t epoch)
{
	const enum election e = store_kinds[kind].election;
	fsha_error error = FSHA_ERROR_INIT;
	char text[KEY_SIZE], value[OPS_VALUE_SIZE];
	const struct ops_value own = { epoch, ++m.sequence[e],
				       stores_random(&m.stores, UINT64_C(1) << 32) };
	struct ops_event begin;
	enum ops_outcome outcome;
	fsha_result result;
	fsha_uuid session;

	ops_value_format(&own, value);
	if (!stores_key(&m.stores, kind, key, removal ? NULL : value, text)) {
		removal = true;
		(void)stores_key(&m.stores, kind, key, NULL, text);
	}
	begin = begin_event(removal ? OPS_REMOVE : OPS_WRITE, e, text);
	begin.epoch = epoch;
	begin.value = own;
	log_event(begin);
	atomic_store(&m.slot->writing, 1);
	result = change(kind, key, removal, value, &error);
	atomic_store(&m.slot->writing, 0);
	outcome = ops_outcome_of_write(result, &error);
	/* Lost and won again meanwhile: should the write have come under the newer term, the
	 * history would call it one of the older. Told, so that nobody looks for another cause. */
	if (outcome == OPS_OK && term_of(e, &session) > epoch)
		atomic_fetch_add(&m.page->regranted, 1);
	log_end(outcome, NULL);
	count_write(kind, removal, outcome, result, &error);
	if (outcome == OPS_UNKNOWN && store_kinds[kind].repeat)
		m.doubt_epoch[kind][key] = epoch;
}

static void read_one(enum kind kind, unsigned key)
{
	struct counts *c = &m.page->counts[kind];
	fsha_error error = FSHA_ERROR_INIT;
	char text[KEY_SIZE], value[OPS_VALUE_SIZE];
	struct ops_value seen;
	enum ops_outcome outcome;
	fsha_result result;

	(void)stores_key(&m.stores, kind, key, NULL, text);
	log_event(begin_event(OPS_READ, store_kinds[kind].election, text));
	result = store_kinds[kind].read(&m.stores, key, value, &error);
	if (result == FSHA_OK && !ops_value_parse(value, strlen(value), &seen))
		result = FSHA_E_CORRUPT;
	outcome = ops_outcome_of_read(result);
	log_end(outcome, outcome == OPS_OK ? &seen : NULL);
	if (outcome == OPS_OK)
		atomic_fetch_add(&c->reads, 1);
	if (outcome == OPS_ABSENT)
		atomic_fetch_add(&c->absent, 1);
	if (outcome == OPS_DAMAGED)
		stores_violation(&m.stores, text, error.message);
}

static enum kind any_kind(enum election e)
{
	enum kind kind;

	do
		kind = (enum kind)stores_random(&m.stores, KINDS);
	while (e != ELECTIONS && store_kinds[kind].election != e);
	return kind;
}

static void read_any(enum election e)
{
	enum kind kind = any_kind(e);

	read_one(kind, (unsigned)stores_random(&m.stores, store_kinds[kind].keys));
}

/* Something that the leader of this election does. */
static void act(enum election e, uint64_t epoch)
{
	const enum kind kind = any_kind(e);
	const unsigned key = (unsigned)stores_random(&m.stores, store_kinds[kind].keys);
	const uint64_t what = stores_random(&m.stores, 100);

	if (e == JOB_MASTER && stores_new_term(&m.stores, epoch, NULL) != FSHA_OK)
		return;
	if (what < 20 || m.doubt_epoch[kind][key] == epoch)
		read_one(kind, key);
	else
		write_one(kind, key, what < 40 && store_kinds[kind].remove, epoch);
}

static void take_part(bool contends)
{
	const struct timespec idle = { 0, 20000000 };

	while (!atomic_load(&ending)) {
		const uint32_t pause_us = atomic_load(&m.page->pause_us);
		const struct timespec pause = { 0, (long)pause_us * 1000 };
		bool busy = false;

		for (int e = 0; contends && e < ELECTIONS; e++) {
			fsha_uuid session;
			uint64_t epoch = term_of((enum election)e, &session);

			if (!epoch || !fsha_election_has_leadership(m.elections[e], &session))
				continue;
			act((enum election)e, epoch);
			busy = true;
		}
		if (!busy)
			read_any(ELECTIONS);
		(void)nanosleep(busy || !contends ? &pause : &idle, NULL);
	}
}

/* ---- beginning and end ---- */

static unsigned count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		(void)closedir(dir);
	return n;
}

/* The last thread of the services may still be on its way out of them. */
static unsigned await_descriptors(unsigned expected)
{
	const struct timespec pause = { 0, 1000000 };
	unsigned count = count_descriptors();

	for (int i = 0; count != expected && i < 5000; i++) {
		(void)nanosleep(&pause, NULL);
		count = count_descriptors();
	}
	return count;
}

static void list_descriptors(void)
{
	char path[64], target[512];

	for (int fd = 0; fd < 256; fd++) {
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		if (n > 0)
			(void)fprintf(stderr, "%d: %.*s\n", fd, (int)n, target);
	}
}

static fsha_result start(bool contends, fsha_error *reterr)
{
	for (int e = 0; contends && e < ELECTIONS; e++) {
		const fsha_contender contender = { sizeof(contender),
						   (void *)(uintptr_t)&election_ids[e], on_grant,
						   on_revoke, NULL };
		fsha_result result;

		result = fsha_election_start(m.services, election_names[e], &contender,
					     &m.elections[e], reterr);
		if (result != FSHA_OK)
			return result;
	}
	return FSHA_OK;
}

static fsha_result open_all(const char *dir, const char *logs, const char *lease, uint64_t seed,
			    fsha_error *reterr)
{
	fsha_config *config = fsha_config_create();
	char path[512];
	fsha_result result = FSHA_E_NOMEM;

	(void)snprintf(path, sizeof(path), "%s/ids", logs);
	if (config)
		result = fsha_config_set(config, FSHA_KEY_STORAGE_DIR, dir, reterr);
	if (result == FSHA_OK)
		result = fsha_config_set(config, FSHA_KEY_LEASE, lease, reterr);
	if (result == FSHA_OK)
		result = fsha_services_open(config, NULL, &m.services, reterr);
	fsha_config_destroy(config);
	if (result == FSHA_OK)
		result = stores_open(&m.stores, m.services, m.page, path, seed, reterr);
	return result;
}

/* What is in LOG_DIR: the page, and this place's history. */
static bool open_log(const char *logs, const char *slot)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/page", logs);
	m.page = page_map(path);
	(void)snprintf(path, sizeof(path), "%s/history.%s", logs, slot);
	m.log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return m.page && m.log_fd >= 0;
}

static int close_all(void)
{
	fsha_result result = FSHA_OK, last;

	stores_close(&m.stores);
	for (int e = 0; e < ELECTIONS; e++) {
		last = fsha_election_close(m.elections[e], NULL);
		result = last == FSHA_OK ? result : last;
	}
	last = fsha_services_close(m.services, NULL);
	result = last == FSHA_OK ? result : last;
	/* Threads that still hang in the storage have something open. */
	return result == FSHA_OK ? 0 : result == FSHA_E_TIMEOUT ? -1 : 3;
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = on_term };
	fsha_error error = FSHA_ERROR_INIT;
	pthread_t asking;
	unsigned before, after;
	fsha_result result;
	bool contends;
	int code;

	/* Whatever becomes of the storm, nothing of it stays behind. */
	if (argc != 8 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    sigaction(SIGTERM, &action, NULL) || !open_log(argv[2], argv[3]))
		return 2;
	m.slot = &m.page->slots[atoi(argv[3]) % PAGE_SLOTS];
	m.incarnation = strtoull(argv[4], NULL, 10);
	(void)snprintf(m.process, sizeof(m.process), "p%s.%s", argv[3], argv[4]);
	contends = strcmp(argv[5], "contend") == 0;
	before = count_descriptors();
	result = open_all(argv[1], argv[2], argv[6], strtoull(argv[7], NULL, 10), &error);
	if (result == FSHA_OK)
		result = start(contends, &error);
	if (result != FSHA_OK) {
		(void)fprintf(stderr, "cannot begin: %s: %s\n", fsha_result_name(result),
			      error.message);
		_exit(2);
	}
	atomic_store(&m.slot->ready, m.incarnation);
	if (pthread_create(&asking, NULL, ask, NULL) != 0)
		return 2;
	take_part(contends);
	(void)pthread_join(asking, NULL);
	code = close_all();
	after = await_descriptors(before);
	if (code == 0 && after != before) {
		list_descriptors();
		(void)fprintf(stderr, "%u descriptors open, %u in the beginning\n", after, before);
		return 3;
	}
	return code < 0 ? 0 : code;
}
