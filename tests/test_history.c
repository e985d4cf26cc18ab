/*
 * The history of an election: who led when, and how each term ended.
 */
#include "tests/lib/fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/election/claim.h"
#include "src/election/history.h"
#include "src/leader/leader.h"
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
static void next_term(const char *former_end)
{
	term_unref(t);
	t = NULL;
	crashfs_advance(f->fs, FSU_NS_PER_MS);
	assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
	t = fixture_term_after(f, m, ELECTION, former_end);
}

static void tell(enum leader_state what)
{
	fsha_error error = FSHA_ERROR_INIT;

	assert_result(f, leader_publish(t, what, "", NULL, NULL, &error), FSHA_OK, &error);
}

/* As every command that writes, and whoever closes an election: it says so last of all, and when.
 */
static int64_t resign(void)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct leader leader;

	crashfs_advance(f->fs, FSU_NS_PER_MS);
	assert_result(f, claim_vacate(t, &error), FSHA_OK, &error);
	tell(LEADER_NONE);
	claim_clean_up(t);
	assert_result(f, leader_read(&f->cluster[1], ELECTION, &leader, &error), FSHA_OK, &error);
	return leader.written_wall_ns;
}

static void publish(void)
{
	fsha_error error = FSHA_ERROR_INIT;

	assert_result(f, history_publish(t, &error), FSHA_OK, &error);
}

/* What another process is told. */
static void gather_of(const char *election)
{
	const struct cluster *c = &f->cluster[1];
	fsha_error error = FSHA_ERROR_INIT;
	int fd;

	assert_result(f, claim_open_election(c, election, true, &fd, &error), FSHA_OK, &error);
	assert_result(f, history_gather(c, fd, election, &history, &error), FSHA_OK, &error);
	assert_int_equal(fsu_close(f->client[1], fd), 0);
}

static void gather(void)
{
	gather_of(ELECTION);
}

static void expect_end(size_t i, const char *end, int64_t ended_wall_ns)
{
	assert_in_range(i, 0, history.count - 1);
	assert_string_equal(history.terms[i].end, end);
	assert_int_equal(history.terms[i].ended_wall_ns, ended_wall_ns);
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

static void expect_own(const fsha_term_history *term)
{
	assert_int_equal(term->epoch, t->epoch.number);
	assert_memory_equal(&term->session, &t->epoch.session, sizeof(term->session));
	assert_memory_equal(&term->member, &m->id, sizeof(term->member));
	assert_int_equal(term->granted_wall_ns, t->granted_wall_ns);
	assert_int_equal(term->ended_wall_ns, 0);
	assert_string_equal(term->end, "");
	assert_int_equal(term->pid, getpid());
	assert_true(term->host[0]);
}

static void first_term_begins_the_history(void **state)
{
	(void)state;
	publish();
	assert_int_equal(read_history(), FSHA_OK);
	assert_int_equal(history.count, 1);
	expect_own(&history.terms[0]);
}

static void end_of_the_former_term_is_recorded_with_the_next(void **state)
{
	(void)state;
	publish();
	next_term("lock released");
	publish();
	next_term("heartbeat stopped");
	publish();
	assert_int_equal(read_history(), FSHA_OK);
	assert_int_equal(history.count, 3);
	expect_end(0, "lock released", history.terms[1].granted_wall_ns);
	expect_end(1, "heartbeat stopped", t->granted_wall_ns);
	expect_own(&history.terms[2]);
	assert_int_equal(history.terms[1].epoch, history.terms[0].epoch + 1);
}

/* ---- Terms that never record a history ---- */

/* Each is over before its leader finds the time for it: four commands, one after the other. */
static void short_terms_are_told_with_their_ends(void **state)
{
	int64_t ended[4];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		if (i > 0)
			next_term("resigned");
		tell(LEADER_GRANTED);
		ended[i] = resign();
	}
	assert_int_equal(read_history(), FSHA_E_NOT_FOUND);
	gather();
	assert_int_equal(history.count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(history.terms[i].epoch, i + 1);
		assert_true(history.terms[i].granted_wall_ns > 0);
		assert_true(history.terms[i].granted_wall_ns < ended[i]);
		assert_int_equal(history.terms[i].pid, getpid());
		assert_memory_equal(&history.terms[i].member, &m->id, sizeof(fsha_uuid));
		expect_end(i, "resigned", ended[i]);
	}
}

/* One that resigns, three commands, one that is killed, its successor: each has its own end. */
static void play_six_terms(int64_t *ended)
{
	for (size_t i = 0; i < 6; i++) {
		if (i > 0)
			next_term(i == 5 ? "lock released" : "resigned");
		if (i == 5)
			ended[4] = t->granted_wall_ns;
		tell(LEADER_GRANTED);
		if (i == 0)
			publish();
		if (i < 4)
			ended[i] = resign();
	}
}

static void expect_six_terms(const int64_t *ended)
{
	assert_int_equal(history.count, 6);
	for (size_t i = 0; i < 4; i++)
		expect_end(i, "resigned", ended[i]);
	expect_end(4, "lock released", ended[4]);
	expect_own(&history.terms[5]);
}

static void term_has_the_end_that_its_own_successor_saw(void **state)
{
	int64_t ended[5];

	(void)state;
	play_six_terms(ended);
	gather();
	expect_six_terms(ended);
}

static void records_are_cleaned_away_and_all_is_still_told(void **state)
{
	int64_t ended[5];

	(void)state;
	play_six_terms(ended);
	publish();
	leader_clean(t);
	gather();
	expect_six_terms(ended);
	assert_int_equal(read_history(), FSHA_OK);
	expect_six_terms(ended);
}

/* Its successor knows no more than that it had resigned by then. */
static void time_of_a_resignation_is_told_as_before_when_its_record_is_gone(void **state)
{
	int64_t ended;

	(void)state;
	tell(LEADER_GRANTED);
	ended = resign();
	next_term("resigned");
	tell(LEADER_GRANTED);
	publish();
	leader_clean(t);
	gather();
	assert_int_equal(history.count, 2);
	expect_end(0, "resigned", ended);
	expect_own(&history.terms[1]);
}

/* A leader was killed at once: only the epoch file had its name. */
static void term_without_any_record_is_told_by_its_successor(void **state)
{
	struct epoch first = t->epoch;

	(void)state;
	next_term("heartbeat stopped");
	tell(LEADER_GRANTED);
	gather();
	assert_int_equal(history.count, 2);
	assert_int_equal(history.terms[0].epoch, first.number);
	assert_memory_equal(&history.terms[0].session, &first.session, sizeof(fsha_uuid));
	assert_memory_equal(&history.terms[0].member, &m->id, sizeof(fsha_uuid));
	assert_int_equal(history.terms[0].granted_wall_ns, 0);
	expect_end(0, "heartbeat stopped", t->granted_wall_ns);
}

/* The epochs between were never anybody's. */
static void end_is_that_of_the_epoch_that_was_taken_over_when_the_floor_was_raised(void **state)
{
	fsha_error error = FSHA_ERROR_INIT;
	uint64_t first = t->epoch.number;

	(void)state;
	publish();
	assert_result(f, cluster_floor_raise(&f->cluster[0], 1000, &error), FSHA_OK, &error);
	next_term("member gone");
	tell(LEADER_GRANTED);
	gather();
	assert_int_equal(history.count, 2);
	assert_int_equal(history.terms[0].epoch, first);
	expect_end(0, "member gone", t->granted_wall_ns);
	assert_int_equal(history.terms[1].epoch, 1001);
}

/* Its last word was fenced: the successor was at work already. */
static void vacant_epoch_file_tells_that_its_term_resigned(void **state)
{
	fsha_error error = FSHA_ERROR_INIT;

	(void)state;
	tell(LEADER_GRANTED);
	assert_result(f, claim_vacate(t, &error), FSHA_OK, &error);
	gather();
	assert_int_equal(history.count, 1);
	expect_end(0, "resigned", 0);
	assert_int_equal(history.terms[0].granted_wall_ns, t->granted_wall_ns);
}

static void term_that_runs_is_told_before_it_has_published_anything(void **state)
{
	(void)state;
	gather();
	assert_int_equal(history.count, 1);
	assert_int_equal(history.terms[0].epoch, t->epoch.number);
	assert_memory_equal(&history.terms[0].member, &m->id, sizeof(fsha_uuid));
	expect_end(0, "", 0);
}

static void election_that_nobody_led_has_an_empty_history(void **state)
{
	(void)state;
	gather_of("other");
	assert_int_equal(history.count, 0);
}

/* Somebody copied a file there: the epoch file knows of no such term. */
static void record_above_the_epoch_file_is_no_term(void **state)
{
	struct term_write write = {
		.dir_fd = f->cluster[0].leaders_fd,
		.directory = "leaders",
		.key = ELECTION,
		.kind = FSU_KIND_LEADER,
	};
	uint8_t payload[LEADER_SIZE_MAX];
	fsha_error error = FSHA_ERROR_INIT;
	struct leader leader;

	(void)state;
	leader_of_term(t, LEADER_GRANTED, &leader);
	write.data = payload;
	write.size = (size_t)leader_encode(&leader, payload, sizeof(payload));
	t->epoch.number += 7;
	assert_result(f, term_commit(t, &write, NULL, NULL, &error), FSHA_OK, &error);
	t->epoch.number -= 7;
	gather();
	assert_int_equal(history.count, 1);
	expect_end(0, "", 0);
}

static bool cleaning;

/* Between the listing and the reading of a record the leader puts all into the history. */
static void clean_hook(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	(void)ctx;
	if (client != 1 || call != CRASHFS_OPENAT || !strstr(path, ELECTION "~") || cleaning)
		return;
	cleaning = true;
	publish();
	leader_clean(t);
}

static void what_is_cleaned_away_during_a_look_is_not_missed(void **state)
{
	int64_t ended[5];

	(void)state;
	play_six_terms(ended);
	cleaning = false;
	crashfs_hook_set(f->fs, clean_hook, NULL);
	gather();
	crashfs_hook_set(f->fs, NULL, NULL);
	assert_true(cleaning);
	expect_six_terms(ended);
}

static void of_many_short_terms_the_last_are_told(void **state)
{
	const unsigned terms = HISTORY_MAX + 6;

	(void)state;
	for (unsigned i = 0; i < terms; i++) {
		if (i > 0)
			next_term("resigned");
		tell(LEADER_GRANTED);
		(void)resign();
	}
	gather();
	assert_int_equal(history.count, HISTORY_MAX);
	for (size_t i = 0; i < HISTORY_MAX; i++) {
		assert_int_equal(history.terms[i].epoch, terms - HISTORY_MAX + 1 + i);
		assert_string_equal(history.terms[i].end, "resigned");
	}
}

static void history_keeps_the_last_terms_and_forgets_the_oldest(void **state)
{
	uint64_t first = t->epoch.number;

	(void)state;
	publish();
	for (unsigned i = 1; i < HISTORY_MAX + 6; i++) {
		next_term("resigned");
		publish();
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
		publish();
		assert_int_equal(versions(), 1);
		next_term("resigned");
	}
	assert_int_equal(read_history(), FSHA_OK);
	assert_int_equal(history.count, 5);
}

static void damaged_history_is_begun_anew_with_what_is_known_without_it(void **state)
{
	(void)state;
	publish();
	assert_int_equal(read_history(), FSHA_OK);
	crashfs_put(f->fs, fixture_path(f, "elections/" ELECTION "/%s", file_name), "x", 1);
	assert_int_equal(read_history(), FSHA_E_CORRUPT);
	next_term("resigned");
	publish();
	assert_int_equal(read_history(), FSHA_OK);
	assert_int_equal(history.count, 2);
	assert_int_equal(history.terms[1].epoch, t->epoch.number);
	next_term("resigned");
	publish();
	assert_int_equal(read_history(), FSHA_OK);
	assert_int_equal(history.count, 3);
}

/* A payload in a good envelope. */
static void history_that_makes_no_sense_is_corrupt(void **state)
{
	struct term_write write = {
		.dir_fd = t->election_fd,
		.directory = "elections/" ELECTION,
		.key = HISTORY_KEY,
		.kind = FSU_KIND_HISTORY,
		.data = "\1\0\0\0nonsense",
		.size = 12,
	};
	fsha_error error = FSHA_ERROR_INIT;

	(void)state;
	assert_result(f, term_commit(t, &write, NULL, NULL, &error), FSHA_OK, &error);
	assert_int_equal(read_history(), FSHA_E_CORRUPT);
	publish();
	assert_int_equal(read_history(), FSHA_OK);
	assert_int_equal(history.count, 1);
}

static void fenced_leader_leaves_the_history_as_it_is(void **state)
{
	struct member *rival = fixture_member(f, 1);
	fsha_error error = FSHA_ERROR_INIT;
	struct term *second;

	(void)state;
	publish();
	second = fixture_term(f, rival, ELECTION);
	assert_result(f, history_publish(t, &error), FSHA_E_FENCED, &error);
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
			publish();
			next_term("resigned");
			crashfs_count_reset(f->fs);
			crashfs_fault_arm(f->fs, &fault);
			(void)history_publish(t, NULL);
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
		history_test(short_terms_are_told_with_their_ends),
		history_test(term_has_the_end_that_its_own_successor_saw),
		history_test(records_are_cleaned_away_and_all_is_still_told),
		history_test(time_of_a_resignation_is_told_as_before_when_its_record_is_gone),
		history_test(term_without_any_record_is_told_by_its_successor),
		history_test(
			end_is_that_of_the_epoch_that_was_taken_over_when_the_floor_was_raised),
		history_test(vacant_epoch_file_tells_that_its_term_resigned),
		history_test(term_that_runs_is_told_before_it_has_published_anything),
		history_test(election_that_nobody_led_has_an_empty_history),
		history_test(record_above_the_epoch_file_is_no_term),
		history_test(what_is_cleaned_away_during_a_look_is_not_missed),
		history_test(of_many_short_terms_the_last_are_told),
		history_test(history_keeps_the_last_terms_and_forgets_the_oldest),
		history_test(old_version_goes_when_the_new_one_is_there),
		history_test(damaged_history_is_begun_anew_with_what_is_known_without_it),
		history_test(history_that_makes_no_sense_is_corrupt),
		history_test(fenced_leader_leaves_the_history_as_it_is),
		cmocka_unit_test(fault_of_publishing_loses_no_recorded_term),
		cmocka_unit_test(longest_history_fits_and_comes_back),
		cmocka_unit_test(cut_off_or_longer_history_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
