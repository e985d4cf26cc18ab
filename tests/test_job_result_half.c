/* fsha/job_result.h: what is left half done, in doubt, and in a directory of its own. */
#include <errno.h>
#include <jansson.h>

#include "tests/test_job_result.h"

/* ---- half done ---- */

/* Everything that client A does after its `at`-th rename fails: it died there. */
static void die_after_rename(struct stage *s, uint64_t at)
{
	crashfs_count_reset(s->disk);
	crashfs_fault_arm(s->disk, &(struct crashfs_fault){
					   .client = A,
					   .at = at,
					   .calls_mask = 1u << CRASHFS_RENAMEAT,
					   .error = EIO,
					   .mode = CRASHFS_NOT_DONE,
					   .repeat = true,
				   });
}

static void a_clean_entry_wins_over_a_dirty_one_and_a_leader_takes_that_away(void **state)
{
	struct stage *s = *state;
	struct results reader;
	struct told told;
	char path[256];

	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	die_after_rename(s, 1);
	/* The clean one is there and durable: so it is done. */
	assert_int_equal(mark_clean(&s->r, 1), FSHA_OK);
	crashfs_fault_clear(s->disk);
	(void)file_of(s, DIRTY_1, path);
	(void)file_of(s, CLEAN_1, path);
	assert_string_equal(state_of(&s->r, 1), "clean");
	read_results(&reader, s->disk, B);
	assert_string_equal(state_of(&reader, 1), "clean");
	assert_string_equal(dirty_of(&reader, &told), "");
	assert_string_equal(clean_of(&reader, &told), "01 ");
	assert_int_equal(create_dirty(&s->r, 1), FSHA_E_EXISTS);
	/* A reader took nothing away, the next leader does. */
	(void)file_of(s, DIRTY_1, path);
	close_results(&s->r);
	lead_results(&s->r, s->disk, A, true);
	assert_string_equal(dirty_of(&s->r, &s->told), "");
	assert_int_equal(remove_result(&s->r, 1), FSHA_OK);
	assert_string_equal(state_of(&reader, 1), "none");
	close_results(&reader);
}

static void marking_again_takes_the_dirty_entry_away(void **state)
{
	struct stage *s = *state;
	const char *names;

	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	die_after_rename(s, 1);
	assert_int_equal(mark_clean(&s->r, 1), FSHA_OK);
	crashfs_fault_clear(s->disk);
	assert_int_equal(mark_clean(&s->r, 1), FSHA_OK);
	names = crashfs_ls(s->disk, RESULTS);
	assert_non_null(strstr(names, ".gone"));
	assert_string_equal(state_of(&s->r, 1), "clean");
}

struct onlooker {
	struct results *r;
	unsigned looks;
	const char *wrong;
};

static void look_on(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct onlooker *o = ctx;
	const char *now;

	(void)path;
	if (client != A || call == CRASHFS_ALLOC)
		return;
	now = state_of(o->r, 1);
	o->looks++;
	if (strcmp(now, "dirty") != 0 && strcmp(now, "clean") != 0)
		o->wrong = now;
}

static void a_result_that_is_kept_never_vanishes_while_it_is_marked(void **state)
{
	struct stage *s = *state;
	struct results reader;
	struct onlooker o = { .r = &reader };

	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	read_results(&reader, s->disk, B);
	crashfs_hook_set(s->disk, look_on, &o);
	assert_int_equal(mark_clean(&s->r, 1), FSHA_OK);
	crashfs_hook_set(s->disk, NULL, NULL);
	close_results(&reader);
	assert_null(o.wrong);
	assert_true(o.looks > 5);
}

/* Marks as clean in the middle of the onlooker's own question. */
static void mark_between(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct stage *s = ctx;

	(void)path;
	if (client != B || call == CRASHFS_ALLOC)
		return;
	if (s->told.stop_after > 0 && --s->told.stop_after == 0)
		assert_int_equal(mark_clean(&s->r, 1), FSHA_OK);
}

static void asking_while_a_result_is_marked_always_finds_it(void **state)
{
	fsha_job_id id = job(1);
	struct stage *s = *state;

	for (unsigned at = 1; at < 40; at++) {
		struct results reader;
		int has = -1;

		assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
		read_results(&reader, s->disk, B);
		s->told.stop_after = at;
		crashfs_hook_set(s->disk, mark_between, s);
		assert_int_equal(fsha_job_result_store_has_entry(reader.store, &id, &has, NULL),
				 FSHA_OK);
		crashfs_hook_set(s->disk, NULL, NULL);
		if (has != 1)
			fail_msg("marked at call %u of the reader: no entry", at);
		close_results(&reader);
		assert_int_equal(remove_result(&s->r, 1), FSHA_OK);
	}
}

static void a_creation_in_doubt_is_settled_by_creating_again(void **state)
{
	struct stage *s = *state;

	fail_next_sync(s->disk);
	assert_int_equal(create_dirty(&s->r, 1), FSHA_E_INDOUBT);
	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	assert_int_equal(create_dirty(&s->r, 1), FSHA_E_EXISTS);
	close_results(&s->r);
	crashfs_crash_losing_all(s->disk);
	crashfs_recover(s->disk);
	lead_results(&s->r, s->disk, A, false);
	assert_string_equal(dirty_of(&s->r, &s->told), "01 ");
}

static void a_creation_in_doubt_is_not_taken_for_that_of_another(void **state)
{
	struct stage *s = *state;
	struct results other = s->r;

	fail_next_sync(s->disk);
	assert_int_equal(create_dirty(&s->r, 1), FSHA_E_INDOUBT);
	/* Another object of the leader, or the next leader, settles it in its own way. */
	assert_int_equal(open_results(&other, false, NULL), FSHA_OK);
	assert_int_equal(remove_result(&other, 1), FSHA_OK);
	assert_int_equal(create_dirty(&other, 1), FSHA_OK);
	assert_int_equal(create_dirty(&s->r, 1), FSHA_E_EXISTS);
	fsha_job_result_store_close(other.store);
}

static void a_deletion_in_doubt_is_settled_by_marking_again(void **state)
{
	struct stage *s = *state;

	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	fail_next_sync(s->disk);
	assert_int_equal(mark_clean(&s->r, 1), FSHA_E_INDOUBT);
	assert_int_equal(mark_clean(&s->r, 1), FSHA_OK);
	assert_int_equal(mark_clean(&s->r, 1), FSHA_E_NOT_FOUND);
	close_results(&s->r);
	crashfs_crash_losing_all(s->disk);
	crashfs_recover(s->disk);
	lead_results(&s->r, s->disk, A, false);
	assert_string_equal(state_of(&s->r, 1), "none");
}

static void a_mark_in_doubt_is_settled_by_marking_again(void **state)
{
	struct stage *s = *state;

	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	fail_next_sync(s->disk);
	assert_int_equal(mark_clean(&s->r, 1), FSHA_E_INDOUBT);
	assert_int_equal(mark_clean(&s->r, 1), FSHA_OK);
	close_results(&s->r);
	/* The removal of the dirty one may have been kept alone. */
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct crashfs *after = crashfs_fork(s->disk);
		struct results next;

		crashfs_crash(after, seed);
		crashfs_recover(after);
		lead_results(&next, after, B, true);
		assert_string_equal(state_of(&next, 1), "clean");
		close_results(&next);
		crashfs_destroy(after);
	}
	lead_results(&s->r, s->disk, A, true);
}

/* ---- a directory of its own ---- */

static fsha_result reopen_at(struct stage *s, const char *path)
{
	fsha_job_result_store_close(s->r.store);
	s->r.store = NULL;
	return open_results(&s->r, true, path);
}

static void results_may_lie_in_another_directory(void **state)
{
	struct stage *s = *state;
	struct results next;

	assert_int_equal(reopen_at(s, "/results"), FSHA_OK);
	assert_false(crashfs_exists(s->disk, "/results"));
	assert_string_equal(dirty_of(&s->r, &s->told), "");
	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	assert_int_equal(create_dirty(&s->r, 2), FSHA_OK);
	assert_int_equal(mark_clean(&s->r, 2), FSHA_OK);
	assert_string_equal(crashfs_ls(s->disk, RESULTS), "");
	assert_non_null(strstr(crashfs_ls(s->disk, "/results"), DIRTY_1));
	close_results(&s->r);
	crashfs_crash_losing_all(s->disk);
	crashfs_recover(s->disk);
	holder_start(&next.h, s->disk, B, "dispatcher");
	assert_int_equal(open_results(&next, true, "/results"), FSHA_OK);
	assert_string_equal(dirty_of(&next, &s->told), "01 ");
	assert_string_equal(clean_of(&next, &s->told), "02 ");
	close_results(&next);
	lead_results(&s->r, s->disk, A, true);
}

static void an_empty_directory_may_be_given(void **state)
{
	struct stage *s = *state;

	assert_int_equal(fsu_mkdirat(s->r.h.fs, AT_FDCWD, "/empty", 0700), 0);
	assert_int_equal(reopen_at(s, "/empty"), FSHA_OK);
	assert_string_equal(dirty_of(&s->r, &s->told), "");
	assert_string_equal(state_of(&s->r, 1), "none");
	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	assert_string_equal(dirty_of(&s->r, &s->told), "01 ");
}

static void a_directory_of_another_is_refused(void **state)
{
	struct stage *s = *state;

	crashfs_put(s->disk, "/file", "x", 1);
	assert_int_equal(reopen_at(s, "/file"), FSHA_E_CONFIG);
	assert_message(s, "'/file'");
	assert_int_equal(fsu_mkdirat(s->r.h.fs, AT_FDCWD, "/full", 0700), 0);
	crashfs_put(s->disk, "/full/x", "x", 1);
	assert_int_equal(open_results(&s->r, true, "/full"), FSHA_E_CONFIG);
	assert_message(s, "'/full'");
	assert_int_equal(open_results(&s->r, true, "/none/below"), FSHA_E_CONFIG);
	assert_message(s, "'/none/below'");
	assert_int_equal(open_results(&s->r, true, NULL), FSHA_OK);
}

static void a_directory_of_another_cluster_is_refused(void **state)
{
	struct stage *s = *state;

	assert_int_equal(reopen_at(s, "/results"), FSHA_OK);
	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	close_results(&s->r);
	/* The same path for a cluster that was made anew. */
	crashfs_rm(s->disk, "/c");
	holder_start(&s->r.h, s->disk, A, "dispatcher");
	assert_int_equal(open_results(&s->r, true, "/results"), FSHA_E_CONFIG);
	assert_message(s, "another cluster");
	assert_int_equal(open_results(&s->r, true, NULL), FSHA_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KEEPING(a_clean_entry_wins_over_a_dirty_one_and_a_leader_takes_that_away),
		KEEPING(marking_again_takes_the_dirty_entry_away),
		KEEPING(a_result_that_is_kept_never_vanishes_while_it_is_marked),
		KEEPING(asking_while_a_result_is_marked_always_finds_it),
		DELETING(a_creation_in_doubt_is_settled_by_creating_again),
		DELETING(a_creation_in_doubt_is_not_taken_for_that_of_another),
		DELETING(a_deletion_in_doubt_is_settled_by_marking_again),
		KEEPING(a_mark_in_doubt_is_settled_by_marking_again),
		KEEPING(results_may_lie_in_another_directory),
		KEEPING(an_empty_directory_may_be_given),
		KEEPING(a_directory_of_another_is_refused),
		KEEPING(a_directory_of_another_cluster_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
