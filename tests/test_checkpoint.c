/*
 * The completed checkpoint store: durable before anything is dropped, dropped as the rule says,
 * discarded once it is dropped, and one leader's work only.
 */
#include "tests/test_checkpoint_fixture.h"

#define C FSHA_CHECKPOINT
#define S FSHA_SAVEPOINT
#define Y FSHA_SYNC_SAVEPOINT

/* ---- adding and recovering ---- */

static void a_new_job_has_no_checkpoints(void **state)
{
	struct master *m = *state;
	fsha_completed_checkpoint *c;

	assert_string_equal(held(m), "");
	assert_int_equal(fsha_checkpoint_store_latest_id(m->store), 0);
	assert_int_equal(fsha_checkpoint_store_get_latest(m->store, &c, &m->error),
			 FSHA_E_NOT_FOUND);
	assert_false(crashfs_exists(m->disk, JOB_DIRECTORY));
	assert_int_equal(fsha_checkpoint_store_max_retained(m->store), 2);
	assert_int_equal(fsha_checkpoint_store_requires_externalized_checkpoints(m->store), 1);
}

static void what_was_added_is_the_latest_and_comes_back_as_it_was(void **state)
{
	struct master *m = *state;
	fsha_completed_checkpoint *c;

	assert_int_equal(add(m, 7, C), 0);
	assert_int_equal(add(m, 9, Y), 0);
	assert_int_equal(fsha_checkpoint_store_latest_id(m->store), 9);
	must(m, fsha_checkpoint_store_get_latest(m->store, &c, &m->error), "get_latest");
	assert_true(is_as_made(c));
	assert_int_equal(c->type, Y);
	fsu_release(m->h.fs, c);
	must(m, fsha_checkpoint_store_get(m->store, 7, &c, &m->error), "get");
	assert_true(is_as_made(c));
	fsu_release(m->h.fs, c);
	assert_int_equal(fsha_checkpoint_store_get(m->store, 8, &c, &m->error), FSHA_E_NOT_FOUND);
	assert_true(says(m, "8"));
	succeed(m);
	assert_string_equal(held(m), "7 y9");
	assert_int_equal(fsha_checkpoint_store_latest_id(m->store), 9);
}

static void the_highest_id_is_the_newest_whatever_the_order_of_adding(void **state)
{
	struct master *m = *state;

	m->options.max_retained = 10;
	succeed(m);
	add(m, 100, S);
	add(m, 9, S);
	add(m, 20, C);
	assert_string_equal(held(m), "s9 20 s100");
	assert_int_equal(fsha_checkpoint_store_latest_id(m->store), 100);
	succeed(m);
	assert_string_equal(held(m), "s9 20 s100");
	assert_int_equal(fsha_checkpoint_store_latest_id(m->store), 100);
}

/* What is dropped must not come back as the newest when the store is opened again. */
static void one_that_is_added_late_drops_no_newer_one(void **state)
{
	struct master *m = *state;

	add(m, 10, C);
	assert_int_equal(add(m, 5, C), 5);
	assert_string_equal(held(m), "10");
	drain(m);
	assert_string_equal(on_disk(m->disk), "10");
	assert_int_equal(m->n_discarded, 1);
	assert_int_equal(m->discarded[0], 5);
	assert_int_equal(add(m, 7, S), 7); /* its data is the user's */
	drain(m);
	assert_int_equal(m->n_discarded, 1);
	succeed(m);
	assert_string_equal(held(m), "10");
	assert_int_equal(add(m, 11, C), 10);
	assert_string_equal(held(m), "11");
}

static void the_surplus_that_recovery_finds_stays_until_the_next_add(void **state)
{
	struct master *m = *state;

	m->options.max_retained = 5;
	succeed(m);
	for (int64_t id = 1; id <= 5; id++)
		add(m, id, C);
	m->options.max_retained = 2;
	succeed(m);
	assert_string_equal(held(m), "1 2 3 4 5");
	drain(m);
	assert_string_equal(on_disk(m->disk), "1 2 3 4 5");
	assert_int_equal(add(m, 6, C), 4);
	assert_string_equal(held(m), "5 6");
	drain(m);
	assert_string_equal(on_disk(m->disk), "5 6");
	assert_int_equal(m->n_discarded, 4);
}

static void an_id_is_used_once(void **state)
{
	struct master *m = *state;

	add(m, 1, C);
	assert_int_equal(try_add(m, 1, C, NULL), FSHA_E_EXISTS);
	assert_true(says(m, "0000000000000000001"));
	assert_string_equal(held(m), "1");
}

/* ---- dropping ---- */

static void see_that_three_is_there(struct master *m, int64_t id)
{
	assert_int_equal(id, 1);
	assert_string_equal(on_disk(m->disk), "m1 2 3");
}

static void nothing_is_discarded_before_the_new_one_is_durable_and_the_old_one_marked(void **state)
{
	struct master *m = *state;

	m->in_discard = see_that_three_is_there;
	add(m, 1, C);
	add(m, 2, C);
	assert_int_equal(add(m, 3, C), 1);
	assert_int_equal(m->n_discarded, 0); /* not in the caller's thread */
	assert_string_equal(on_disk(m->disk), "1 2 3");
	drain(m);
	assert_int_equal(m->n_discarded, 1);
	assert_int_equal(m->n_cleaned, 1);
	assert_int_equal(m->cleaned[0], 1);
	assert_string_equal(on_disk(m->disk), "2 3");
}

static void an_add_that_fails_drops_nothing(void **state)
{
	struct master *m = *state;
	const struct crashfs_fault fault = {
		.client = 0,
		.calls_mask = 1u << CRASHFS_WRITE,
		.error = 28, /* ENOSPC */
		.mode = CRASHFS_NOT_DONE,
		.repeat = true,
	};

	add(m, 1, C);
	add(m, 2, C);
	crashfs_count_reset(m->disk);
	crashfs_fault_arm(m->disk, &fault);
	assert_int_equal(try_add(m, 3, C, NULL), FSHA_E_IO);
	crashfs_fault_clear(m->disk);
	assert_string_equal(held(m), "1 2");
	drain(m);
	assert_int_equal(m->n_discarded, 0);
	assert_string_equal(on_disk(m->disk), "1 2");
	add(m, 3, C);
	assert_string_equal(held(m), "2 3");
}

static void savepoints_are_dropped_without_their_data(void **state)
{
	struct master *m = *state;

	add(m, 1, S);
	add(m, 2, C);
	assert_int_equal(add(m, 3, C), 1);
	drain(m);
	assert_string_equal(on_disk(m->disk), "2 3");
	assert_int_equal(m->n_discarded, 0);
	assert_int_equal(m->n_cleaned, 1);
}

static void the_last_checkpoint_outlives_savepoints_but_not_the_stop_of_the_job(void **state)
{
	struct master *m = *state;

	add(m, 1, C);
	assert_int_equal(add(m, 2, S), 0);
	assert_int_equal(add(m, 3, S), 2);
	assert_string_equal(held(m), "1 s3");
	assert_int_equal(add(m, 4, Y), 1);
	assert_string_equal(held(m), "s3 y4");
	drain(m);
	assert_string_equal(on_disk(m->disk), "3 4");
	assert_int_equal(m->n_discarded, 1);
	assert_int_equal(m->discarded[0], 1);
}

static void a_discard_that_fails_is_told_and_tried_again_with_the_next_add(void **state)
{
	struct master *m = *state;

	m->answer = FSHA_E_TIMEOUT;
	add(m, 1, C);
	add(m, 2, C);
	drain(m);
	assert_int_equal(m->n_failed, 1);
	assert_int_equal(m->n_cleaned, 0);
	assert_string_equal(on_disk(m->disk), "m1 2");
	drain(m); /* not by itself */
	assert_int_equal(m->n_failed, 1);
	m->answer = FSHA_OK;
	add(m, 3, C);
	drain(m);
	assert_int_equal(m->n_cleaned, 2);
	assert_string_equal(on_disk(m->disk), "3");
}

static void the_next_master_finishes_what_was_marked(void **state)
{
	struct master *m = *state;

	m->answer = FSHA_E_IO;
	add(m, 1, C);
	add(m, 2, C);
	drain(m);
	succeed(m);
	assert_string_equal(held(m), "2");
	drain(m);
	assert_int_equal(m->n_discarded, 1);
	assert_int_equal(m->discarded[0], 1);
	assert_string_equal(on_disk(m->disk), "2");
}

static void what_was_dropped_and_not_begun_is_dropped_again(void **state)
{
	struct master *m = *state;

	add(m, 1, C);
	add(m, 2, C);
	succeed(m); /* the background never came to it */
	assert_string_equal(held(m), "1 2");
	assert_int_equal(add(m, 3, C), 2);
	drain(m);
	assert_int_equal(m->n_discarded, 2);
	assert_string_equal(on_disk(m->disk), "3");
}

static void without_a_discard_function_only_records_go(void **state)
{
	struct master *m = *state;

	m->answer = FSHA_E_IO;
	add(m, 1, C);
	add(m, 2, C);
	drain(m);
	must(m, fsha_checkpoint_store_close(m->store, &m->error), "close");
	m->options.discard = NULL;
	m->answer = FSHA_OK;
	m->n_discarded = 0;
	must(m, try_open(m), "open");
	add(m, 3, C);
	drain(m);
	/* The marked one is left for somebody who can discard it. */
	assert_string_equal(on_disk(m->disk), "m1 3");
	must(m, fsha_checkpoint_store_shutdown(m->store, FSHA_JOB_FINISHED, &m->error), "shutdown");
	drain(m);
	assert_string_equal(on_disk(m->disk), "m1");
	assert_int_equal(m->n_discarded, 0);
}

/* ---- damage ---- */

static void one_that_cannot_be_read_fails_the_open_and_is_named(void **state)
{
	struct master *m = *state;

	add(m, 1, C);
	add(m, 2, C);
	damage(m, 2);
	(void)fsha_checkpoint_store_close(m->store, NULL);
	m->store = NULL;
	assert_int_equal(try_open(m), FSHA_E_CORRUPT);
	assert_true(says(m, "0000000000000000002"));
	assert_true(says(m, "FSHA_CHECKPOINT_SKIP_BROKEN"));
	assert_int_equal(m->n_broken, 0);
	m->options.flags = FSHA_CHECKPOINT_SKIP_BROKEN;
	must(m, try_open(m), "open");
	assert_int_equal(m->n_broken, 1);
	assert_string_equal(m->broken, "0000000000000000002");
	assert_string_equal(held(m), "1");
	/* Its file stays for a person to look at, until the job ends. */
	add(m, 3, C);
	drain(m);
	assert_string_equal(on_disk(m->disk), "1 2 3");
	must(m, fsha_checkpoint_store_shutdown(m->store, FSHA_JOB_FINISHED, &m->error), "shutdown");
	drain(m);
	assert_string_equal(on_disk(m->disk), "");
	assert_int_equal(m->n_discarded, 2); /* what the damaged one pointed to nobody knows */
}

static void a_name_that_is_no_id_is_as_bad(void **state)
{
	struct master *m = *state;

	add(m, 1, C);
	/* Put there by hand. */
	crashfs_put(m->disk, JOB_DIRECTORY "/one~0000000000000001.0000000000000099.0000", "x", 1);
	(void)fsha_checkpoint_store_close(m->store, NULL);
	m->store = NULL;
	assert_int_equal(try_open(m), FSHA_E_CORRUPT);
	assert_true(says(m, "one"));
	m->options.flags = FSHA_CHECKPOINT_SKIP_BROKEN;
	must(m, try_open(m), "open");
	assert_string_equal(m->broken, "one");
	assert_string_equal(held(m), "1");
}

/* ---- who may ---- */

static void anybody_may_read_and_only_the_leader_add(void **state)
{
	struct master *m = *state;
	struct master reader = { .disk = m->disk, .error = FSHA_ERROR_INIT };

	add(m, 1, C);
	holder_start_reader(&reader.h, m->disk, 1);
	reader.options = m->options;
	reader.options.ctx = &reader;
	must(&reader, try_open(&reader), "open");
	assert_string_equal(held(&reader), "1");
	assert_int_equal(try_add(&reader, 2, C, NULL), FSHA_E_NOT_LEADER);
	assert_int_equal(fsha_checkpoint_store_remove(reader.store, 1, &reader.error),
			 FSHA_E_NOT_LEADER);
	assert_string_equal(held(&reader), "1");
	drain(&reader);
	assert_string_equal(on_disk(m->disk), "1");
	master_stop(&reader);
}

/* Two of one job: the old master was stopped, and wakes up. */
static void an_old_master_that_wakes_up_adds_and_discards_nothing(void **state)
{
	struct master *old = *state;
	struct master new;

	add(old, 1, C);
	add(old, 2, C); /* 1 is dropped, and its removal not begun */
	master_start(&new, old->disk, 1, 1);
	assert_string_equal(held(&new), "1 2");
	add(&new, 3, C);
	/* For the old one no time has passed. */
	lease_begin(old->h.term->lease, fsu_now_ns(old->h.fs), 60 * FSU_NS_PER_S);
	assert_int_equal(try_add(old, 4, C, NULL), FSHA_E_FENCED);
	assert_int_equal(try_add(old, 4, C, NULL), FSHA_E_FENCED);
	drain(old);
	assert_int_equal(old->n_discarded, 0);
	assert_int_equal(fsha_checkpoint_store_shutdown(old->store, FSHA_JOB_FAILED, &old->error),
			 FSHA_E_FENCED);
	drain(old);
	assert_int_equal(old->n_discarded, 0);
	assert_string_equal(on_disk(old->disk), "1 2 3");
	drain(&new);
	assert_int_equal(new.n_discarded, 2);
	assert_string_equal(on_disk(old->disk), "3");
	master_stop(&new);
}

static void a_store_opened_before_the_grant_must_be_opened_again(void **state)
{
	struct master *m = *state;
	struct fsu_uuid session = m->store->session;

	/* As if it had been opened when another process led. */
	m->store->session = (struct fsu_uuid){ { 0 } };
	assert_int_equal(try_add(m, 1, C, NULL), FSHA_E_STATE);
	assert_true(says(m, "open it again"));
	m->store->session = session;
	add(m, 1, C);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_job_has_no_checkpoints),
		TEST(what_was_added_is_the_latest_and_comes_back_as_it_was),
		TEST(the_highest_id_is_the_newest_whatever_the_order_of_adding),
		TEST_ONE(one_that_is_added_late_drops_no_newer_one),
		TEST(the_surplus_that_recovery_finds_stays_until_the_next_add),
		TEST(an_id_is_used_once),
		TEST(nothing_is_discarded_before_the_new_one_is_durable_and_the_old_one_marked),
		TEST(an_add_that_fails_drops_nothing),
		TEST(savepoints_are_dropped_without_their_data),
		TEST(the_last_checkpoint_outlives_savepoints_but_not_the_stop_of_the_job),
		TEST_ONE(a_discard_that_fails_is_told_and_tried_again_with_the_next_add),
		TEST_ONE(the_next_master_finishes_what_was_marked),
		TEST_ONE(what_was_dropped_and_not_begun_is_dropped_again),
		TEST_ONE(without_a_discard_function_only_records_go),
		TEST(one_that_cannot_be_read_fails_the_open_and_is_named),
		TEST(a_name_that_is_no_id_is_as_bad),
		TEST(anybody_may_read_and_only_the_leader_add),
		TEST_ONE(an_old_master_that_wakes_up_adds_and_discards_nothing),
		TEST(a_store_opened_before_the_grant_must_be_opened_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
