/* The counter of checkpoint ids: no id is given out twice, whoever counts and whatever fails. */
#include "tests/lib/oom.h"
#include "tests/test_checkpoint_fixture.h"

/* A master with the counter alone. */
struct stage {
	struct crashfs *disk;
	struct holder h;
	fsha_checkpoint_id_counter *counter;
	fsha_error error;
};

static void start(struct stage *s, struct crashfs *disk, unsigned client)
{
	*s = (struct stage){ .disk = disk, .error = FSHA_ERROR_INIT };
	holder_start(&s->h, disk, client, JOB_ELECTION);
	assert_int_equal(
		fsha_checkpoint_id_counter_open(s->h.services, &job, &s->counter, &s->error),
		FSHA_OK);
}

static void stop(struct stage *s)
{
	fsha_checkpoint_id_counter_close(s->counter);
	holder_stop(&s->h);
}

static int setup_counter(void **state)
{
	const struct crashfs_options options = { .seed = 1 };
	struct stage *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	start(s, crashfs_create(&options), 0);
	*state = s;
	return 0;
}

static int teardown_counter(void **state)
{
	struct stage *s = *state;

	stop(s);
	for (unsigned client = 0; client < CRASHFS_CLIENTS; client++)
		assert_int_equal(crashfs_open_fds(s->disk, client), 0);
	assert_int_equal(crashfs_bytes_allocated(s->disk), 0);
	crashfs_destroy(s->disk);
	free(s);
	return 0;
}

#define TEST_COUNTER(name) cmocka_unit_test_setup_teardown(name, setup_counter, teardown_counter)

static int64_t take_from(struct stage *s, fsha_checkpoint_id_counter *counter)
{
	int64_t id = -1;

	if (fsha_checkpoint_id_counter_get_and_increment(counter, &id, &s->error) != FSHA_OK)
		fail_msg("%s", s->error.message);
	return id;
}

static int64_t take(struct stage *s)
{
	return take_from(s, s->counter);
}

static fsha_result try_take(struct stage *s)
{
	int64_t id = -1;
	fsha_result result =
		fsha_checkpoint_id_counter_get_and_increment(s->counter, &id, &s->error);

	if (result != FSHA_OK)
		assert_int_equal(id, -1);
	return result;
}

static int64_t look(struct stage *s)
{
	int64_t id = -1;

	assert_int_equal(fsha_checkpoint_id_counter_get(s->counter, &id, &s->error), FSHA_OK);
	return id;
}

static void succeed_counter(struct stage *s)
{
	struct crashfs *disk = s->disk;
	unsigned client = s->h.client == 0;

	stop(s);
	start(s, disk, client);
}

static void ids_begin_with_1_and_rise_by_1(void **state)
{
	struct stage *s = *state;

	assert_int_equal(look(s), 1);
	assert_false(crashfs_exists(s->disk, JOB_DIRECTORY)); /* to look writes nothing */
	assert_int_equal(take(s), 1);
	assert_int_equal(take(s), 2);
	assert_int_equal(look(s), 3);
	assert_int_equal(look(s), 3);
}

static void counting_goes_on_across_failovers(void **state)
{
	struct stage *s = *state;

	for (int64_t id = 1; id <= 6; id += 2) {
		assert_int_equal(take(s), id);
		assert_int_equal(take(s), id + 1);
		succeed_counter(s);
	}
}

static void counting_goes_on_after_a_power_cut_that_loses_all_it_can(void **state)
{
	struct stage *s = *state;
	struct crashfs *disk = s->disk;

	assert_int_equal(take(s), 1);
	assert_int_equal(take(s), 2);
	crashfs_crash_losing_all(disk);
	crashfs_recover(disk);
	stop(s);
	start(s, disk, 1);
	assert_int_equal(take(s), 3);
}

static void two_counters_of_one_job_share_the_ids(void **state)
{
	struct stage *s = *state;
	fsha_checkpoint_id_counter *second;

	assert_int_equal(fsha_checkpoint_id_counter_open(s->h.services, &job, &second, &s->error),
			 FSHA_OK);
	assert_int_equal(take(s), 1);
	assert_int_equal(take_from(s, second), 2);
	assert_int_equal(take(s), 3);
	fsha_checkpoint_id_counter_close(second);
}

/* Another thread of this master, with a counter of its own. */
struct rival {
	struct stage *stage;
	fsha_checkpoint_id_counter *counter;
	int64_t id;
};

static void count_between(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct rival *r = ctx;

	(void)client;
	if (r->id || call != CRASHFS_PREAD || !path || !strstr(path, "@counter"))
		return;
	r->id = take_from(r->stage, r->counter);
}

static void an_id_taken_between_the_look_and_the_count_is_not_taken_twice(void **state)
{
	struct stage *s = *state;
	struct rival r = { .stage = s };

	assert_int_equal(take(s), 1);
	assert_int_equal(
		fsha_checkpoint_id_counter_open(s->h.services, &job, &r.counter, &s->error),
		FSHA_OK);
	crashfs_hook_set(s->disk, count_between, &r);
	assert_int_equal(take(s), 3);
	assert_int_equal(r.id, 2);
	crashfs_hook_set(s->disk, NULL, NULL);
	fsha_checkpoint_id_counter_close(r.counter);
}

static void jobs_count_apart_and_beside_their_checkpoints(void **state)
{
	struct stage *s = *state;
	fsha_checkpoint_store *store;

	assert_int_equal(take(s), 1);
	/* The counter is no checkpoint. */
	assert_int_equal(checkpoint_open(s->h.services, &job, NULL, &store, &s->error), FSHA_OK);
	assert_int_equal(fsha_checkpoint_store_count(store), 0);
	assert_int_equal(fsha_checkpoint_store_shutdown(store, FSHA_JOB_FINISHED, &s->error),
			 FSHA_OK);
	assert_int_equal(fsha_checkpoint_store_close(store, &s->error), FSHA_OK);
	assert_int_equal(take(s), 2);
}

static void set_count_says_what_comes_next(void **state)
{
	struct stage *s = *state;

	assert_int_equal(fsha_checkpoint_id_counter_set_count(s->counter, 1337, &s->error),
			 FSHA_OK);
	assert_int_equal(look(s), 1337);
	assert_int_equal(take(s), 1337);
	assert_int_equal(fsha_checkpoint_id_counter_set_count(s->counter, 5, &s->error), FSHA_OK);
	succeed_counter(s);
	assert_int_equal(take(s), 5);
}

static void the_end_of_the_numbers_is_an_error(void **state)
{
	struct stage *s = *state;

	assert_int_equal(fsha_checkpoint_id_counter_set_count(s->counter, INT64_MAX - 1, &s->error),
			 FSHA_OK);
	assert_int_equal(take(s), INT64_MAX - 1);
	assert_int_equal(try_take(s), FSHA_E_STATE);
	assert_non_null(strstr(s->error.message, "end"));
	assert_int_equal(try_take(s), FSHA_E_STATE);
	assert_int_equal(look(s), INT64_MAX);
}

static void an_old_master_that_wakes_up_gets_no_id(void **state)
{
	struct stage *old = *state;
	struct stage new;

	assert_int_equal(take(old), 1);
	start(&new, old->disk, 1);
	lease_begin(old->h.term->lease, fsu_now_ns(old->h.fs), 60 * FSU_NS_PER_S);
	assert_int_equal(try_take(old), FSHA_E_FENCED);
	assert_int_equal(fsha_checkpoint_id_counter_set_count(old->counter, 50, &old->error),
			 FSHA_E_FENCED);
	assert_int_equal(
		fsha_checkpoint_id_counter_shutdown(old->counter, FSHA_JOB_FAILED, &old->error),
		FSHA_E_FENCED);
	assert_int_equal(take(&new), 2);
	stop(&new);
}

static void a_reader_may_look_and_gets_no_id(void **state)
{
	struct stage *s = *state;
	struct stage reader = { .disk = s->disk, .error = FSHA_ERROR_INIT };

	assert_int_equal(take(s), 1);
	holder_start_reader(&reader.h, s->disk, 1);
	assert_int_equal(fsha_checkpoint_id_counter_open(reader.h.services, &job, &reader.counter,
							 &reader.error),
			 FSHA_OK);
	assert_int_equal(look(&reader), 2);
	assert_int_equal(try_take(&reader), FSHA_E_NOT_LEADER);
	assert_int_equal(fsha_checkpoint_id_counter_set_count(reader.counter, 9, &reader.error),
			 FSHA_E_NOT_LEADER);
	stop(&reader);
	assert_int_equal(look(s), 2);
}

static void the_count_ends_with_the_job_unless_it_is_suspended(void **state)
{
	struct stage *s = *state;

	for (int end = FSHA_JOB_FINISHED; end <= FSHA_JOB_SUSPENDED; end++) {
		assert_int_equal(take(s), 1);
		for (int i = 0; i < 2; i++) /* a second time is fine */
			assert_int_equal(
				fsha_checkpoint_id_counter_shutdown(s->counter, end, &s->error),
				FSHA_OK);
		assert_int_equal(try_take(s), FSHA_E_STATE);
		assert_int_equal(fsha_checkpoint_id_counter_set_count(s->counter, 3, &s->error),
				 FSHA_E_STATE);
		assert_non_null(strstr(s->error.message, "shut down"));
		succeed_counter(s);
		assert_int_equal(look(s), end == FSHA_JOB_SUSPENDED ? 2 : 1);
	}
}

static void a_shutdown_that_failed_may_be_tried_again(void **state)
{
	struct stage *s = *state;
	const struct crashfs_fault fault = {
		.client = 0,
		.calls_mask = 1u << CRASHFS_WRITE,
		.error = 28, /* ENOSPC */
		.mode = CRASHFS_NOT_DONE,
		.repeat = true,
	};

	assert_int_equal(take(s), 1);
	crashfs_count_reset(s->disk);
	crashfs_fault_arm(s->disk, &fault);
	assert_int_equal(
		fsha_checkpoint_id_counter_shutdown(s->counter, FSHA_JOB_FAILED, &s->error),
		FSHA_E_IO);
	crashfs_fault_clear(s->disk);
	assert_int_equal(take(s), 2);
	assert_int_equal(
		fsha_checkpoint_id_counter_shutdown(s->counter, FSHA_JOB_FAILED, &s->error),
		FSHA_OK);
	succeed_counter(s);
	assert_int_equal(take(s), 1);
}

static void a_damaged_count_is_never_guessed_and_can_be_set(void **state)
{
	struct stage *s = *state;
	char path[512];
	const char *name;

	assert_int_equal(take(s), 1);
	name = strstr(crashfs_ls(s->disk, JOB_DIRECTORY), "@counter~");
	assert_non_null(name);
	(void)snprintf(path, sizeof(path), JOB_DIRECTORY "/%.*s", (int)strcspn(name, "\n"), name);
	crashfs_put(s->disk, path, "rubbish", 7);
	assert_int_equal(try_take(s), FSHA_E_CORRUPT);
	assert_non_null(strstr(s->error.message, "@counter~"));
	assert_int_equal(fsha_checkpoint_id_counter_set_count(s->counter, 10, &s->error), FSHA_OK);
	assert_int_equal(take(s), 10);
}

static void wrong_arguments_are_invalid(void **state)
{
	struct stage *s = *state;
	fsha_checkpoint_id_counter *counter;
	fsha_error *e = &s->error;
	int64_t id;

#define INVALID(call) assert_int_equal(call, FSHA_E_INVALID)
	INVALID(fsha_checkpoint_id_counter_open(NULL, &job, &counter, e));
	INVALID(fsha_checkpoint_id_counter_open(s->h.services, NULL, &counter, e));
	INVALID(fsha_checkpoint_id_counter_open(s->h.services, &job, NULL, e));
	INVALID(fsha_checkpoint_id_counter_get_and_increment(NULL, &id, e));
	INVALID(fsha_checkpoint_id_counter_get_and_increment(s->counter, NULL, e));
	INVALID(fsha_checkpoint_id_counter_get(NULL, &id, e));
	INVALID(fsha_checkpoint_id_counter_get(s->counter, NULL, e));
	INVALID(fsha_checkpoint_id_counter_set_count(NULL, 1, e));
	INVALID(fsha_checkpoint_id_counter_set_count(s->counter, 0, e));
	INVALID(fsha_checkpoint_id_counter_set_count(s->counter, -1, e));
	INVALID(fsha_checkpoint_id_counter_shutdown(NULL, FSHA_JOB_FAILED, e));
	INVALID(fsha_checkpoint_id_counter_shutdown(s->counter, 0, e));
	INVALID(fsha_checkpoint_id_counter_shutdown(s->counter, 5, e));
	fsha_checkpoint_id_counter_close(NULL);
	assert_int_equal(take(s), 1);
}

/* ---- every fault ---- */

struct scene {
	struct stage s;
	int64_t id; /* that the operation gave out; 0: none */
};

static void scene_start(void *ctx, struct crashfs *disk)
{
	struct scene *c = ctx;

	c->id = 0;
	start(&c->s, disk, 0);
	assert_int_equal(take(&c->s), 1);
}

static void scene_stop(void *ctx, struct crashfs *disk)
{
	(void)disk;
	stop(&((struct scene *)ctx)->s);
}

static int operation(void *ctx, const struct fsu *fs)
{
	struct scene *c = ctx;

	(void)fs;
	return fsha_checkpoint_id_counter_get_and_increment(c->s.counter, &c->id, NULL);
}

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return sweep_say("line %d: not so: %s (outcome %d)", __LINE__, #condition, \
					 run->outcome);                                            \
	} while (0)

static const char *check(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct scene *c = ctx;
	struct stage next;
	int64_t id, again = 0;

	/* The same counter, when it could go on. */
	if (after == c->s.disk && run->when == SWEEP_RETURNED &&
	    fsha_checkpoint_id_counter_get_and_increment(c->s.counter, &again, NULL) == FSHA_OK) {
		CHECK(again > 1);
		CHECK(again > c->id);
	}
	start(&next, after, 1);
	id = take(&next);
	stop(&next);
	CHECK((run->outcome == FSHA_OK && run->when != SWEEP_CUT_DURING) == (c->id != 0) ||
	      run->when == SWEEP_CUT_DURING);
	CHECK(c->id == 0 || c->id == 2);
	CHECK(id > 1);
	CHECK(id > c->id);
	CHECK(id > again);
	CHECK(id <= 4);
	return NULL;
}

static void no_id_comes_twice_at_every_fault(void **state)
{
	struct scene scene;
	const struct sweep_scenario scenario = {
		.name = "get_and_increment",
		.options = { .seed = 1 },
		.ctx = &scene,
		.setup = scene_start,
		.operation = operation,
		.check = check,
		.teardown = scene_stop,
	};

	(void)state;
	sweep_assert(&scenario);
	sweep_assert_pairs(&scenario, 6);
	oom_assert(&scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_COUNTER(ids_begin_with_1_and_rise_by_1),
		TEST_COUNTER(counting_goes_on_across_failovers),
		TEST_COUNTER(counting_goes_on_after_a_power_cut_that_loses_all_it_can),
		TEST_COUNTER(two_counters_of_one_job_share_the_ids),
		TEST_COUNTER(an_id_taken_between_the_look_and_the_count_is_not_taken_twice),
		TEST_COUNTER(jobs_count_apart_and_beside_their_checkpoints),
		TEST_COUNTER(set_count_says_what_comes_next),
		TEST_COUNTER(the_end_of_the_numbers_is_an_error),
		TEST_COUNTER(an_old_master_that_wakes_up_gets_no_id),
		TEST_COUNTER(a_reader_may_look_and_gets_no_id),
		TEST_COUNTER(the_count_ends_with_the_job_unless_it_is_suspended),
		TEST_COUNTER(a_shutdown_that_failed_may_be_tried_again),
		TEST_COUNTER(a_damaged_count_is_never_guessed_and_can_be_set),
		TEST_COUNTER(wrong_arguments_are_invalid),
		cmocka_unit_test(no_id_comes_twice_at_every_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
