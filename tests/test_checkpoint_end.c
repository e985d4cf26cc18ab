/* The end of a job, removing by hand, and wrong arguments: the rest of the checkpoint store. */
#include "tests/test_checkpoint_fixture.h"

#define C FSHA_CHECKPOINT
#define S FSHA_SAVEPOINT
#define Y FSHA_SYNC_SAVEPOINT

/* ---- the end of the job ---- */

static void shutdown_keeps_what_the_policy_keeps(void **state)
{
	/* Of checkpoints 1, 2 and 3, with each policy: whose data goes. */
	static const char *const discarded[] = { [FSHA_JOB_FINISHED] = "111",
						 [FSHA_JOB_CANCELED] = "110",
						 [FSHA_JOB_FAILED] = "100",
						 [FSHA_JOB_SUSPENDED] = "000" };
	struct master *m = *state;

	m->options.max_retained = 4;
	for (int end = FSHA_JOB_FINISHED; end <= FSHA_JOB_SUSPENDED; end++) {
		char got[] = "000";

		succeed(m);
		for (int64_t id = 1; id <= 4; id++) {
			fsha_completed_checkpoint c = checkpoint_of(id, id == 4 ? S : C);

			c.retention = id == 4 ? FSHA_NEVER_RETAIN : (uint32_t)id;
			must(m, fsha_checkpoint_store_add(m->store, &c, NULL, &m->error), "add");
		}
		must(m, fsha_checkpoint_store_shutdown(m->store, end, &m->error), "shutdown");
		assert_string_equal(held(m), "");
		drain(m);
		for (unsigned i = 0; i < m->n_discarded; i++)
			got[m->discarded[i] - 1] = '1';
		assert_string_equal(got, discarded[end]);
		assert_string_equal(on_disk(m->disk), end == FSHA_JOB_SUSPENDED ? "1 2 3 4" : "");
	}
}

static void shutdown_works_once_and_nothing_is_added_after_it(void **state)
{
	struct master *m = *state;

	add(m, 1, C);
	must(m, fsha_checkpoint_store_shutdown(m->store, FSHA_JOB_SUSPENDED, &m->error),
	     "shutdown");
	assert_int_equal(try_add(m, 2, C, NULL), FSHA_E_STATE);
	assert_true(says(m, "shut down"));
	/* It was suspended, and stays so. */
	must(m, fsha_checkpoint_store_shutdown(m->store, FSHA_JOB_FINISHED, &m->error), "shutdown");
	drain(m);
	assert_string_equal(on_disk(m->disk), "1");
	assert_int_equal(m->n_discarded, 0);
}

static void a_shutdown_that_failed_goes_on_when_called_again(void **state)
{
	struct master *m = *state;
	const struct crashfs_fault fault = {
		.client = 0,
		.at = 1,
		.calls_mask = 1u << CRASHFS_WRITE,
		.error = 28, /* ENOSPC */
		.mode = CRASHFS_NOT_DONE,
	};

	add(m, 1, C);
	add(m, 2, Y);
	add(m, 3, C);
	drain(m);
	assert_string_equal(on_disk(m->disk), "2 3");
	crashfs_count_reset(m->disk);
	crashfs_fault_arm(m->disk, &fault);
	assert_int_equal(fsha_checkpoint_store_shutdown(m->store, FSHA_JOB_FINISHED, &m->error),
			 FSHA_E_IO);
	crashfs_fault_clear(m->disk);
	assert_string_equal(on_disk(m->disk), "3");
	assert_int_equal(try_add(m, 4, C, NULL), FSHA_E_STATE);
	must(m, fsha_checkpoint_store_shutdown(m->store, FSHA_JOB_FINISHED, &m->error), "shutdown");
	drain(m);
	assert_string_equal(on_disk(m->disk), "");
	assert_int_equal(m->discarded[m->n_discarded - 1], 3);
}

/* It was subsumed: the policy is about those that are there when the job ends. */
static void shutdown_discards_what_was_dropped_just_before(void **state)
{
	fsha_completed_checkpoint c = checkpoint_of(1, C);
	struct master *m = *state;

	c.retention = FSHA_RETAIN_ON_FAILURE;
	must(m, fsha_checkpoint_store_add(m->store, &c, NULL, &m->error), "add");
	add(m, 2, C); /* 1 is dropped, and its removal not begun */
	must(m, fsha_checkpoint_store_shutdown(m->store, FSHA_JOB_FAILED, &m->error), "shutdown");
	drain(m);
	assert_int_equal(m->n_discarded, 2);
	assert_string_equal(on_disk(m->disk), "");
}

/* ---- removals that are still to be done ---- */

/* What is left to do of the removal of the first must not be done to the second. */
static void an_id_is_not_added_again_before_its_removal_has_come_to_its_end(void **state)
{
	struct master *m = *state;
	struct crashfs_fault fault = {
		.at = 3, /* the directory, after the tombstone is there */
		.calls_mask = 1u << CRASHFS_FSYNC,
		.error = 5, /* EIO */
		.mode = CRASHFS_NOT_DONE,
	};

	m->options.max_retained = 2;
	succeed(m);
	for (int64_t id = 1; id <= 3; id++)
		add(m, id, C);
	fault.client = m->h.client;
	crashfs_count_reset(m->disk);
	crashfs_fault_arm(m->disk, &fault);
	drain(m);
	assert_int_equal(crashfs_faults_fired(m->disk), 1);
	crashfs_fault_clear(m->disk);
	assert_int_equal(m->n_failed, 1);
	assert_string_equal(on_disk(m->disk), "2 3");
	assert_int_equal(try_add(m, 1, C, NULL), FSHA_E_EXISTS);
	assert_true(says(m, "removed"));
	add(m, 4, C); /* and the removal is tried again */
	drain(m);
	assert_string_equal(on_disk(m->disk), "3 4");
	assert_int_equal(try_add(m, 1, S, NULL), FSHA_OK); /* and is dropped: it is the oldest */
	assert_string_equal(held(m), "3 4");
	drain(m);
	assert_string_equal(on_disk(m->disk), "3 4");
}

/* What one term has dropped may be another's to keep. */
static void a_removal_of_an_earlier_term_is_left_to_who_recovers(void **state)
{
	struct master *m = *state;

	add(m, 1, C);
	add(m, 2, C); /* 1 is dropped, and its removal not begun */
	lease_begin(&m->h.services->member->lease, fsu_now_ns(m->h.fs), 3600 * FSU_NS_PER_S);
	holder_lead_too(&m->h, JOB_ELECTION);
	drain(m);
	assert_int_equal(m->n_discarded, 0);
	assert_string_equal(on_disk(m->disk), "1 2");
}

/* ---- by hand, and wrong arguments ---- */

static void a_checkpoint_is_removed_by_hand(void **state)
{
	struct master *m = *state;

	m->options.max_retained = 3;
	succeed(m);
	add(m, 1, C);
	add(m, 2, S);
	add(m, 3, C);
	must(m, fsha_checkpoint_store_remove(m->store, 3, &m->error), "remove");
	assert_string_equal(held(m), "1 s2");
	assert_string_equal(on_disk(m->disk), "1 2 m3");
	must(m, fsha_checkpoint_store_remove(m->store, 2, &m->error), "remove");
	assert_string_equal(on_disk(m->disk), "1 m3");
	drain(m);
	assert_string_equal(on_disk(m->disk), "1");
	assert_int_equal(m->n_discarded, 1);
	assert_int_equal(fsha_checkpoint_store_remove(m->store, 3, &m->error), FSHA_E_NOT_FOUND);
}

static void one_that_cannot_be_read_is_removed_by_hand(void **state)
{
	struct master *m = *state;

	add(m, 1, C);
	add(m, 2, C);
	damage(m, 2);
	(void)fsha_checkpoint_store_close(m->store, NULL);
	m->options.flags = FSHA_CHECKPOINT_SKIP_BROKEN;
	must(m, try_open(m), "open");
	must(m, fsha_checkpoint_store_remove(m->store, 2, &m->error), "remove");
	drain(m);
	assert_string_equal(on_disk(m->disk), "1");
	assert_int_equal(m->n_discarded, 0);
	assert_int_equal(fsha_checkpoint_store_remove(m->store, 2, &m->error), FSHA_E_NOT_FOUND);
}

static void removing_what_is_being_removed_already_takes_nothing_from_its_discard(void **state)
{
	struct master *m = *state;

	add(m, 1, C);
	add(m, 2, C); /* 1 is dropped, and its removal not begun */
	must(m, fsha_checkpoint_store_remove(m->store, 1, &m->error), "remove");
	drain(m);
	assert_int_equal(m->n_discarded, 1);
	/* A mark that a former master left. */
	m->answer = FSHA_E_IO;
	add(m, 3, C);
	drain(m);
	assert_string_equal(on_disk(m->disk), "m2 3");
	m->answer = FSHA_OK;
	m->n_discarded = 0;
	must(m, fsha_checkpoint_store_remove(m->store, 2, &m->error), "remove");
	drain(m);
	assert_int_equal(m->n_discarded, 1);
	assert_string_equal(on_disk(m->disk), "3");
}

static void wrong_arguments_are_invalid(void **state)
{
	struct master *m = *state;
	fsha_completed_checkpoint c = checkpoint_of(1, C), *one, **all;
	fsha_checkpoint_store_options options = FSHA_CHECKPOINT_STORE_OPTIONS_INIT;
	fsha_checkpoint_store *store;
	fsha_error *e = &m->error;
	size_t count;

#define INVALID(call) assert_int_equal(call, FSHA_E_INVALID)
	INVALID(fsha_checkpoint_store_open(NULL, &job, NULL, &store, e));
	INVALID(checkpoint_open(m->h.services, NULL, NULL, &store, e));
	INVALID(checkpoint_open(m->h.services, &job, NULL, NULL, e));
	options.flags = 2;
	INVALID(checkpoint_open(m->h.services, &job, &options, &store, e));
	options.flags = 0;
	options.struct_size = 3;
	INVALID(checkpoint_open(m->h.services, &job, &options, &store, e));
	options.struct_size = sizeof(options);
	options.max_retained = FSHA_CHECKPOINT_RETAINED_MAX + 1;
	INVALID(checkpoint_open(m->h.services, &job, &options, &store, e));
	INVALID(fsha_checkpoint_store_add(NULL, &c, NULL, e));
	INVALID(fsha_checkpoint_store_add(m->store, NULL, NULL, e));
	c.id = 0;
	INVALID(fsha_checkpoint_store_add(m->store, &c, NULL, e));
	INVALID(fsha_checkpoint_store_get_latest(NULL, &one, e));
	INVALID(fsha_checkpoint_store_get_latest(m->store, NULL, e));
	INVALID(fsha_checkpoint_store_get(NULL, 1, &one, e));
	INVALID(fsha_checkpoint_store_get(m->store, 1, NULL, e));
	INVALID(fsha_checkpoint_store_get_all(NULL, &all, &count, e));
	INVALID(fsha_checkpoint_store_get_all(m->store, NULL, &count, e));
	INVALID(fsha_checkpoint_store_get_all(m->store, &all, NULL, e));
	INVALID(fsha_checkpoint_store_remove(NULL, 1, e));
	assert_int_equal(fsha_checkpoint_store_remove(m->store, 0, e), FSHA_E_NOT_FOUND);
	INVALID(fsha_checkpoint_store_shutdown(NULL, FSHA_JOB_FAILED, e));
	INVALID(fsha_checkpoint_store_shutdown(m->store, 0, e));
	INVALID(fsha_checkpoint_store_shutdown(m->store, 5, e));
	add(m, 1, C); /* it was not shut down */
	assert_int_equal(fsha_checkpoint_store_latest_id(NULL), 0);
	assert_int_equal(fsha_checkpoint_store_count(NULL), 0);
	assert_int_equal(fsha_checkpoint_store_max_retained(NULL), 0);
	assert_int_equal(fsha_checkpoint_store_close(NULL, e), FSHA_OK);
}

static void without_options_one_checkpoint_is_retained(void **state)
{
	struct master *m = *state;

	(void)fsha_checkpoint_store_close(m->store, NULL);
	must(m, checkpoint_open(m->h.services, &job, NULL, &m->store, &m->error), "open");
	assert_int_equal(fsha_checkpoint_store_max_retained(m->store), 1);
	add(m, 1, C);
	assert_int_equal(add(m, 2, C), 1);
	drain(m);
	assert_string_equal(on_disk(m->disk), "2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(shutdown_keeps_what_the_policy_keeps),
		TEST(shutdown_works_once_and_nothing_is_added_after_it),
		TEST(a_shutdown_that_failed_goes_on_when_called_again),
		TEST_ONE(shutdown_discards_what_was_dropped_just_before),
		TEST_ONE(an_id_is_not_added_again_before_its_removal_has_come_to_its_end),
		TEST_ONE(a_removal_of_an_earlier_term_is_left_to_who_recovers),
		TEST(a_checkpoint_is_removed_by_hand),
		TEST(one_that_cannot_be_read_is_removed_by_hand),
		TEST_ONE(removing_what_is_being_removed_already_takes_nothing_from_its_discard),
		TEST(wrong_arguments_are_invalid),
		TEST(without_options_one_checkpoint_is_retained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
