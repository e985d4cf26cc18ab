/* Writes in doubt that nobody asks about: they end by themselves, once they can come no more. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/election/doubt.h"
#include "src/election/history.h"
#include "src/leader/leader.h"
#include "tests/lib/actor.h"

#define A 0
#define READER 2

struct stage {
	struct crashfs *disk;
	struct actor a;
};

static void open_stage(struct stage *s)
{
	/* A host with caches of half a minute, and directory times of 4 ms steps. */
	const struct crashfs_options options = {
		.seed = 1,
		.cache_ns = 30 * FSU_NS_PER_S,
		.time_step_ns = 4 * FSU_NS_PER_MS,
	};

	s->disk = crashfs_create(&options);
	crashfs_advance(s->disk, 7 * FSU_NS_PER_MS); /* its times are none of whole seconds */
	actor_start(&s->a, s->disk, A);
	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	lease_begin(&s->a.member->lease, fsu_now_ns(s->a.fs), 3600 * FSU_NS_PER_S);
}

static void close_stage(struct stage *s)
{
	crashfs_fault_clear(s->disk);
	crashfs_hook_set(s->disk, NULL, NULL);
	actor_stop(&s->a);
	assert_int_equal(crashfs_open_fds(s->disk, A), 0);
	assert_int_equal(crashfs_bytes_allocated(s->disk), 0);
	crashfs_destroy(s->disk);
}

static void arm(struct stage *s, uint64_t at, uint32_t calls_mask, bool repeat)
{
	const struct crashfs_fault fault = {
		.client = A,
		.at = at,
		.calls_mask = calls_mask,
		.error = EIO,
		.mode = CRASHFS_NOT_DONE,
		.repeat = repeat,
	};

	crashfs_count_reset(s->disk);
	crashfs_fault_arm(s->disk, &fault);
}

/* The rename fails, and so does everything that could tell. */
#define NOTHING_WORKS (1u << CRASHFS_RENAMEAT | 1u << CRASHFS_UNLINKAT)
/* The second fsync of a write is that of the directory. */
#define SYNC (1u << CRASHFS_FSYNC)

static fsha_version write_in_doubt(struct stage *s, const char *key, const char *value, bool done)
{
	fsha_version v = { 0 };

	arm(s, done ? 1 : 0, done ? SYNC : NOTHING_WORKS, !done);
	assert_int_equal(
		store_write(s->a.store, STORE_PUT, key, NULL, value, strlen(value), &v, NULL),
		FSHA_E_INDOUBT);
	crashfs_fault_clear(s->disk);
	return v;
}

static unsigned count_files(struct stage *s, const char *key)
{
	const char *names = crashfs_ls(s->disk, "/c/job_graphs");
	unsigned n = 0;

	for (const char *p = names; *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : "")
		n += strncmp(p, key, strlen(key)) == 0 && p[strlen(key)] == '~';
	return n;
}

static void clean(struct stage *s)
{
	for (int i = 0; i < 3; i++) {
		crashfs_advance(s->disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
		(void)store_clean(s->a.store);
	}
}

/* The rename of what was staged, as a packet that was on its way. */
static int come_late(struct stage *s, const char *key, const fsha_version *v)
{
	char staged[TERM_STAGED_SIZE], file[NAME_SIZE];

	term_staged_path(s->a.term, v, staged);
	name_format(key, v, NAME_VALUE, file);
	return fsu_renameat(s->a.fs, s->a.election_fd, staged, s->a.store->dir_fd, file);
}

static void a_tombstone_goes_although_nobody_settles_a_write_in_doubt(void **state)
{
	struct stage s;
	char text[64];

	(void)state;
	open_stage(&s);
	assert_int_equal(actor_add(&s.a, "k", "1"), FSHA_OK);
	assert_int_equal(actor_remove(&s.a, "k"), FSHA_OK);
	(void)write_in_doubt(&s, "done", "1", true);
	(void)write_in_doubt(&s, "undone", "1", false);
	clean(&s);
	assert_int_equal(count_files(&s, "k"), 1);
	doubt_end_all(s.a.term);
	assert_false(term_in_doubt(s.a.term));
	clean(&s);
	assert_int_equal(count_files(&s, "k"), 0);
	assert_int_equal(actor_get(&s.a, "done", text), FSHA_OK);
	assert_int_equal(actor_get(&s.a, "undone", text), FSHA_E_NOT_FOUND);
	close_stage(&s);
}

static void who_settles_a_doubt_that_has_ended_is_told_the_truth(void **state)
{
	fsha_version done, undone, outdone;
	struct stage s;

	(void)state;
	open_stage(&s);
	done = write_in_doubt(&s, "done", "1", true);
	undone = write_in_doubt(&s, "undone", "1", false);
	outdone = write_in_doubt(&s, "outdone", "1", true);
	assert_int_equal(actor_remove(&s.a, "outdone"), FSHA_OK);
	doubt_end_all(s.a.term);
	assert_false(term_in_doubt(s.a.term));
	assert_int_equal(store_settle(s.a.store, "done", &done, NULL), FSHA_OK);
	assert_int_equal(store_settle(s.a.store, "undone", &undone, NULL), FSHA_E_NOT_FOUND);
	assert_int_equal(store_settle(s.a.store, "outdone", &outdone, NULL), FSHA_E_VERSION);
	/* It was done: that it was not must not be said when its traces are gone. */
	clean(&s);
	assert_int_equal(count_files(&s, "outdone"), 0);
	assert_int_equal(store_settle(s.a.store, "outdone", &outdone, NULL), FSHA_E_INDOUBT);
	assert_int_equal(come_late(&s, "undone", &undone), -ENOENT);
	close_stage(&s);
}

/* The store was listed, then the write came, then the doubt about it ended. */
static void what_came_late_is_seen_when_its_doubt_has_ended(void **state)
{
	struct stage s;
	fsha_version v;
	char text[64];

	(void)state;
	open_stage(&s);
	assert_int_equal(actor_add(&s.a, "other", "1"), FSHA_OK);
	v = write_in_doubt(&s, "k", "late", false);
	assert_int_equal(actor_get(&s.a, "k", text), FSHA_E_NOT_FOUND);
	assert_int_equal(come_late(&s, "k", &v), 0);
	doubt_end_all(s.a.term);
	assert_false(term_in_doubt(s.a.term));
	assert_int_equal(actor_get(&s.a, "k", text), FSHA_OK);
	assert_string_equal(text, "late");
	assert_int_equal(store_settle(s.a.store, "k", &v, NULL), FSHA_OK);
	close_stage(&s);
}

/* What is staged cannot be unlinked. */
static void a_doubt_stays_while_the_write_can_still_come(void **state)
{
	struct stage s;
	fsha_version v;
	char text[64];

	(void)state;
	open_stage(&s);
	assert_int_equal(actor_add(&s.a, "k", "1"), FSHA_OK);
	v = write_in_doubt(&s, "k", "2", false);
	assert_int_equal(actor_remove(&s.a, "k"), FSHA_OK);
	arm(&s, 0, 1u << CRASHFS_UNLINKAT, true);
	doubt_end_all(s.a.term);
	crashfs_fault_clear(s.disk);
	assert_true(term_in_doubt(s.a.term));
	clean(&s);
	assert_int_equal(come_late(&s, "k", &v), 0);
	observe(s.disk, READER, "k", text);
	assert_string_equal(text, "");
	close_stage(&s);
}

/* As many doubts as there is room for, and more: nobody knows which the last ones are. */
static void doubts_that_found_no_room_end_when_nothing_is_staged(void **state)
{
	struct stage s;
	fsha_version v;

	(void)state;
	open_stage(&s);
	for (int i = 0; i < TERM_DOUBTS; i++)
		(void)write_in_doubt(&s, "k", "1", true);
	v = write_in_doubt(&s, "k", "2", false);
	doubt_end_all(s.a.term);
	assert_true(term_in_doubt(s.a.term));
	assert_int_equal(come_late(&s, "k", &v), 0);
	doubt_end_all(s.a.term);
	assert_false(term_in_doubt(s.a.term));
	close_stage(&s);
}

/* A newer version outdoes it; that one may be a tombstone that goes. */
static void settling_what_was_outdone_ends_its_doubt(void **state)
{
	struct stage s;
	fsha_version v;

	(void)state;
	open_stage(&s);
	v = write_in_doubt(&s, "k", "1", false);
	assert_int_equal(actor_remove(&s.a, "k"), FSHA_OK);
	assert_int_equal(store_settle(s.a.store, "k", &v, NULL), FSHA_E_VERSION);
	assert_false(term_in_doubt(s.a.term));
	assert_int_equal(come_late(&s, "k", &v), -ENOENT);
	close_stage(&s);
}

/* Stores do not depend on these: the newest counts, and nothing is a tombstone. */
static void a_leader_record_in_doubt_keeps_no_tombstone(void **state)
{
	struct stage s;

	(void)state;
	open_stage(&s);
	arm(&s, 1, SYNC, false);
	assert_int_equal(leader_publish(s.a.term, LEADER_GRANTED, "", NULL, NULL, NULL),
			 FSHA_E_INDOUBT);
	assert_false(term_in_doubt(s.a.term));
	assert_int_equal(history_publish(s.a.term, NULL), FSHA_OK);
	arm(&s, 1, SYNC, false);
	assert_int_equal(history_publish(s.a.term, NULL), FSHA_E_INDOUBT);
	assert_false(term_in_doubt(s.a.term));
	close_stage(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tombstone_goes_although_nobody_settles_a_write_in_doubt),
		cmocka_unit_test(who_settles_a_doubt_that_has_ended_is_told_the_truth),
		cmocka_unit_test(what_came_late_is_seen_when_its_doubt_has_ended),
		cmocka_unit_test(a_doubt_stays_while_the_write_can_still_come),
		cmocka_unit_test(doubts_that_found_no_room_end_when_nothing_is_staged),
		cmocka_unit_test(settling_what_was_outdone_ends_its_doubt),
		cmocka_unit_test(a_leader_record_in_doubt_keeps_no_tombstone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
