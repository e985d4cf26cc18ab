/*
 * Two hundred terms between three processes that are resigned, killed and closed as fast as they
 * go, with a reader that looks all the time. SEED repeats a run, FSHA_TEST_LONG makes it
 * ten times as long.
 */
#include "tests/lib/run.h"
#include "tests/process/process.h"
#include "tests/process/storm.h"

#define CONTENDERS 3
#define OBSERVER CONTENDERS /* its place among the processes */

static struct {
	struct process all[CONTENDERS + 1];
	char file[128];
	struct storm *storm;
	uint64_t random;
	unsigned terms, kills, resigned, closed;
	uint64_t epochs[STORM_TERMS_MAX];
	char sessions[STORM_TERMS_MAX][64];
} w;

static unsigned pick(unsigned below)
{
	w.random ^= w.random << 13;
	w.random ^= w.random >> 7;
	w.random ^= w.random << 17;
	return (unsigned)(w.random >> 33) % below;
}

static void start_contender(struct process *p)
{
	process_start(p, "contender", LEASE, w.file);
	process_tell(p, "storm");
}

/* One line; grants are written down as they come. */
static bool listen_once(int64_t deadline_ms)
{
	unsigned before[CONTENDERS];

	for (int i = 0; i < CONTENDERS; i++)
		before[i] = w.all[i].grants;
	if (!processes_listen(w.all, CONTENDERS + 1, deadline_ms))
		return false;
	for (int i = 0; i < CONTENDERS; i++) {
		struct process *p = &w.all[i];

		if (p->grants == before[i])
			continue;
		assert_true(w.terms < STORM_TERMS_MAX);
		w.epochs[w.terms] = p->epoch;
		memcpy(w.sessions[w.terms++], p->session, sizeof(p->session));
	}
	return true;
}

/* The one that was granted last, if it still leads. */
static struct process *await_leader(void)
{
	int64_t deadline_ms = now_ms() + LIMIT_MS;

	for (;;) {
		for (int i = 0; i < CONTENDERS; i++)
			if (w.all[i].leads && w.all[i].epoch == w.epochs[w.terms - 1])
				return &w.all[i];
		if (!listen_once(deadline_ms))
			fail_msg("nobody leads after term %u", w.terms);
	}
}

static void end_term(struct process *p)
{
	unsigned revokes = p->revokes;
	int64_t deadline_ms;

	switch (pick(3)) {
	case 0:
		process_kill(p);
		w.kills++;
		start_contender(p);
		return;
	case 1:
		process_tell(p, "resign");
		w.resigned++;
		break;
	default:
		process_tell(p, "close");
		process_tell(p, "start");
		w.closed++;
		break;
	}
	deadline_ms = now_ms() + LIMIT_MS;
	while (p->revokes == revokes)
		if (!listen_once(deadline_ms))
			fail_msg("a leader that was told to go is not revoked");
}

static void run_terms(unsigned count)
{
	unsigned terms;

	while (w.terms < count) {
		terms = w.terms;
		end_term(await_leader());
		while (w.terms == terms)
			if (!listen_once(now_ms() + LIMIT_MS))
				fail_msg("nobody follows term %u", terms);
		/* Some terms last long enough to write much, most do not. */
		if (pick(4) == 0)
			(void)listen_once(now_ms() + pick(20));
	}
}

static void assert_every_epoch_was_taken_once(void)
{
	uint64_t highest = 0;

	for (unsigned i = 0; i < w.terms; i++) {
		highest = w.epochs[i] > highest ? w.epochs[i] : highest;
		for (unsigned j = 0; j < i; j++) {
			assert_int_not_equal(w.epochs[i], w.epochs[j]);
			assert_string_not_equal(w.sessions[i], w.sessions[j]);
		}
	}
	/* One that nobody was told of was claimed by a process that was killed just then, or was
	 * given back. */
	assert_true(highest >= w.terms);
	print_message("%u terms, %u epochs nobody was told of; %u killed, %u resigned, %u closed\n",
		      w.terms, (unsigned)highest - w.terms, w.kills, w.resigned, w.closed);
	assert_true(highest - w.terms <= w.kills);
}

static void assert_every_acknowledged_term_is_stored(void)
{
	uint32_t count = atomic_load(&w.storm->acknowledged);
	fsha_services *s = open_services();
	fsha_state_store *store;
	fsha_version version;
	char key[64];

	assert_ok(fsha_state_store_open(s, STORM_NAMESPACE, STORM_ELECTION, &store, &t.error));
	for (uint32_t i = 0; i < count; i++) {
		(void)snprintf(key, sizeof(key), STORM_TERM "%llu",
			       (unsigned long long)atomic_load(&w.storm->epochs[i]));
		assert_ok(fsha_state_store_exists(store, key, &version, &t.error));
		assert_true(fsha_version_is_existing(&version));
		assert_int_equal(version.epoch, atomic_load(&w.storm->epochs[i]));
	}
	assert_int_equal(atomic_load(&w.storm->lost), 0);
	print_message("%u terms and %llu values acknowledged\n", count,
		      (unsigned long long)atomic_load(&w.storm->written));
	assert_true(count > 0);
	fsha_state_store_close(store);
	close_services(s);
}

static void two_hundred_forced_terms(void **state)
{
	struct process *observer = &w.all[OBSERVER];

	(void)state;
	w.random = (uint64_t)boottime_ns() | 1;
	(void)test_seed(&w.random);
	print_message("SEED=%llu\n", (unsigned long long)w.random);
	(void)snprintf(w.file, sizeof(w.file), "%s/storm", t.dir);
	w.storm = storm_map(w.file);
	assert_non_null(w.storm);
	(void)alarm(600);
	/* Until it is started it is listened to as well. */
	observer->in = observer->out = -1;
	for (int i = 0; i < CONTENDERS; i++)
		start_contender(&w.all[i]);
	while (w.terms == 0)
		if (!listen_once(now_ms() + LIMIT_MS))
			fail_msg("nobody leads");
	process_start(observer, "observer", LEASE, NULL);
	run_terms((unsigned)test_size(200, 200, 2000));
	for (int i = 0; i < CONTENDERS; i++)
		process_quit(&w.all[i]);
	for (int i = 0; i < CONTENDERS; i++)
		if (w.all[i].timeouts)
			print_message("%u closes timed out: the disk is slow\n", w.all[i].timeouts);
	/* It ends with 0 if it never saw an older value after a newer one. */
	process_quit(observer);
	print_message("the observer %s\n", observer->error);
	assert_int_equal(observer->errors, 1);
	assert_every_epoch_was_taken_once();
	assert_every_acknowledged_term_is_stored();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_hundred_forced_terms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
