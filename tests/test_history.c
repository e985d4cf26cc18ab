/*
 * The history of an election: who led when, and how each term ended.
 */
#include "tests/lib/fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/election/history.h"
#include "src/record/name.h"

#define ELECTION "dispatcher"

static struct fixture *f;
static struct member *m;
static struct term *t;
static struct history history;
static char file_name[NAME_SIZE];

static int setup(void **state)
{
	(void)state;
	f = fixture_open(NULL);
	m = fixture_member(f, 0);
	t = fixture_term(f, m, ELECTION);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	term_unref(t);
	member_destroy(m);
	t = NULL;
	m = NULL;
	fixture_close(f);
	return 0;
}

/* The next term, of the same member; the one before it is fenced. */
static void next_term(void)
{
	term_unref(t);
	t = NULL;
	crashfs_advance(f->fs, FSU_NS_PER_MS);
	assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
	t = fixture_term(f, m, ELECTION);
}

static void publish(const char *former_end)
{
	fsha_error error = FSHA_ERROR_INIT;

	assert_result(f, history_publish(t, former_end, &error), FSHA_OK, &error);
}

static fsha_result read_history(void)
{
	return history_read(&f->cluster[0], t->election_fd, ELECTION, &history, file_name, NULL);
}

/* How many versions of the history there are. */
static unsigned versions(void)
{
	const char *names = crashfs_ls(f->fs, FIXTURE_CLUSTER "/elections/" ELECTION);
	unsigned count = 0;

	assert_non_null(names);
	for (const char *p = names; (p = strstr(p, HISTORY_KEY "~")) != NULL; p++)
		count++;
	return count;
}

static void election_without_a_term_has_no_history(void **state)
{
	(void)state;
	assert_int_equal(read_history(), FSHA_E_NOT_FOUND);
	assert_string_equal(file_name, "");
}

static void first_term_begins_the_history(void **state)
{
	const fsha_term_history *term = &history.terms[0];

	(void)state;
	publish("");
	assert_int_equal(read_history(), FSHA_OK);
	assert_int_equal(history.count, 1);
	assert_int_equal(term->epoch, t->epoch.number);
	assert_memory_equal(&term->session, &t->epoch.session, sizeof(term->session));
	assert_memory_equal(&term->member, &m->id, sizeof(term->member));
	assert_int_equal(term->granted_wall_ns, t->granted_wall_ns);
	assert_int_equal(term->ended_wall_ns, 0);
	assert_string_equal(term->end, "");
	assert_int_equal(term->pid, getpid());
	assert_true(term->host[0]);
}

static void end_of_the_former_term_is_recorded_with_the_next(void **state)
{
	(void)state;
	publish("");
	next_term();
	publish("lock released");
	next_term();
	publish("resigned");
	assert_int_equal(read_history(), FSHA_OK);
	assert_int_equal(history.count, 3);
	assert_string_equal(history.terms[0].end, "lock released");
	assert_int_equal(history.terms[0].ended_wall_ns, history.terms[1].granted_wall_ns);
	assert_string_equal(history.terms[1].end, "resigned");
	assert_int_equal(history.terms[1].ended_wall_ns, t->granted_wall_ns);
	assert_string_equal(history.terms[2].end, "");
	assert_int_equal(history.terms[2].ended_wall_ns, 0);
	assert_true(history.terms[0].epoch < history.terms[1].epoch);
	assert_true(history.terms[1].epoch < history.terms[2].epoch);
}

static void reason_that_is_too_long_is_cut_off(void **state)
{
	(void)state;
	publish("");
	next_term();
	publish("a reason that goes on for longer than there is room");
	assert_int_equal(read_history(), FSHA_OK);
	assert_string_equal(history.terms[0].end, "a reason that goes on f");
}

static void history_keeps_the_last_terms_and_forgets_the_oldest(void **state)
{
	uint64_t first = t->epoch.number;

	(void)state;
	publish("");
	for (unsigned i = 1; i < HISTORY_MAX + 6; i++) {
		next_term();
		publish("resigned");
	}
	assert_int_equal(read_history(), FSHA_OK);
	assert_int_equal(history.count, HISTORY_MAX);
	for (size_t i = 0; i < HISTORY_MAX; i++) {
		assert_int_equal(history.terms[i].epoch, first + 6 + i);
		assert_string_equal(history.terms[i].end, i + 1 < HISTORY_MAX ? "resigned" : "");
	}
}

static void old_version_goes_when_the_new_one_is_there(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		publish("resigned");
		assert_int_equal(versions(), 1);
		next_term();
	}
	assert_int_equal(read_history(), FSHA_OK);
	assert_int_equal(history.count, 5);
}

static void damaged_history_is_begun_anew(void **state)
{
	(void)state;
	publish("");
	assert_int_equal(read_history(), FSHA_OK);
	crashfs_put(f->fs, fixture_path(f, "elections/" ELECTION "/%s", file_name), "x", 1);
	assert_int_equal(read_history(), FSHA_E_CORRUPT);
	next_term();
	publish("heartbeat stopped");
	assert_int_equal(read_history(), FSHA_OK);
	assert_int_equal(history.count, 1);
	assert_int_equal(history.terms[0].epoch, t->epoch.number);
	next_term();
	publish("resigned");
	assert_int_equal(read_history(), FSHA_OK);
	assert_int_equal(history.count, 2);
}

/* A payload in a good envelope. */
static void history_that_makes_no_sense_is_corrupt(void **state)
{
	struct term_write write = {
		.dir_fd = t->election_fd,
		.directory = "elections/" ELECTION,
		.key = HISTORY_KEY,
		.kind = FSU_KIND_HISTORY,
		.data = "nonsense",
		.size = 8,
	};
	fsha_error error = FSHA_ERROR_INIT;

	(void)state;
	assert_result(f, term_commit(t, &write, NULL, NULL, &error), FSHA_OK, &error);
	assert_int_equal(read_history(), FSHA_E_CORRUPT);
	publish("");
	assert_int_equal(read_history(), FSHA_OK);
	assert_int_equal(history.count, 1);
}

static void fenced_leader_leaves_the_history_as_it_is(void **state)
{
	struct member *rival = fixture_member(f, 1);
	fsha_error error = FSHA_ERROR_INIT;
	struct term *second;

	(void)state;
	publish("");
	second = fixture_term(f, rival, ELECTION);
	assert_result(f, history_publish(t, "resigned", &error), FSHA_E_FENCED, &error);
	assert_int_equal(
		history_read(&f->cluster[1], second->election_fd, ELECTION, &history, NULL, NULL),
		FSHA_OK);
	assert_int_equal(history.count, 1);
	assert_string_equal(history.terms[0].end, "");
	term_unref(second);
	member_destroy(rival);
}

/* A fault while it is written costs a version at most, never the terms that were recorded. */
static void fault_of_publishing_loses_no_recorded_term(void **state)
{
	bool fired = true;

	for (uint64_t at = 0; fired; at++) {
		for (size_t way = 0; fired && way < FIXTURE_SWEEPS; way++) {
			struct crashfs_fault fault = fixture_fault(at, way);
			uint64_t first;

			(void)setup(state);
			first = t->epoch.number;
			publish("");
			next_term();
			crashfs_count_reset(f->fs);
			crashfs_fault_arm(f->fs, &fault);
			(void)history_publish(t, "resigned", NULL);
			fired = crashfs_faults_fired(f->fs) > 0;
			crashfs_fault_clear(f->fs);
			assert_int_equal(read_history(), FSHA_OK);
			assert_in_range(history.count, 1, 2);
			assert_int_equal(history.terms[0].epoch, first);
			(void)teardown(state);
		}
	}
}

static void longest_history_fits_and_comes_back(void **state)
{
	struct history *longest = calloc(2, sizeof(*longest));
	uint8_t *buf = malloc(HISTORY_SIZE_MAX);
	ssize_t n;

	(void)state;
	assert_non_null(longest);
	assert_non_null(buf);
	longest->count = HISTORY_MAX;
	for (size_t i = 0; i < HISTORY_MAX; i++) {
		fsha_term_history *term = &longest->terms[i];

		term->epoch = UINT64_MAX - i;
		term->pid = INT32_MAX;
		term->granted_wall_ns = INT64_MAX;
		term->ended_wall_ns = INT64_MIN;
		memset(&term->session, 0x5a, sizeof(term->session));
		memset(&term->member, 0xa5, sizeof(term->member));
		memset(term->host, 'h', sizeof(term->host) - 1);
		memset(term->end, 'e', sizeof(term->end) - 1);
	}
	n = history_encode(longest, buf, HISTORY_SIZE_MAX);
	assert_true(n > 0);
	assert_int_equal(history_decode(buf, (size_t)n, longest + 1), 0);
	assert_memory_equal(longest, longest + 1, sizeof(*longest));
	free(buf);
	free(longest);
}

static void cut_off_or_longer_history_is_refused(void **state)
{
	struct history *two = calloc(2, sizeof(*two));
	uint8_t buf[1024] = { 0 };
	ssize_t n;

	(void)state;
	assert_non_null(two);
	two->count = 2;
	strcpy(two->terms[1].end, "resigned");
	n = history_encode(two, buf, sizeof(buf));
	assert_true(n > 0);
	for (size_t cut = 0; cut < (size_t)n; cut++)
		assert_int_equal(history_decode(buf, cut, two + 1), -EBADMSG);
	assert_int_equal(history_decode(buf, (size_t)n + 1, two + 1), -EBADMSG);
	assert_int_equal(history_decode(buf, (size_t)n, two + 1), 0);
	buf[0] = HISTORY_MAX + 1;
	assert_int_equal(history_decode(buf, (size_t)n, two + 1), -EBADMSG);
	memset(buf, 0xff, 4);
	assert_int_equal(history_decode(buf, (size_t)n, two + 1), -EBADMSG);
	assert_int_equal(history_encode(two, buf, (size_t)n - 1), -EMSGSIZE);
	free(two);
}

#define history_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		history_test(election_without_a_term_has_no_history),
		history_test(first_term_begins_the_history),
		history_test(end_of_the_former_term_is_recorded_with_the_next),
		history_test(reason_that_is_too_long_is_cut_off),
		history_test(history_keeps_the_last_terms_and_forgets_the_oldest),
		history_test(old_version_goes_when_the_new_one_is_there),
		history_test(damaged_history_is_begun_anew),
		history_test(history_that_makes_no_sense_is_corrupt),
		history_test(fenced_leader_leaves_the_history_as_it_is),
		cmocka_unit_test(fault_of_publishing_loses_no_recorded_term),
		cmocka_unit_test(longest_history_fits_and_comes_back),
		cmocka_unit_test(cut_off_or_longer_history_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
