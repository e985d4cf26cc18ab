/* The contract of fsha/worker.h. */
#include "tests/test_workers_fixture.h"

/* ---- start and stop ---- */

static void nothing_works_before_the_start(void **state)
{
	fsha_services *s = open_services();
	char id[FSHA_FRAMEWORK_ID_SIZE];
	fsha_worker_store *store;
	fsha_worker w = worker("t"), *got;
	int flag;
	size_t n;

	(void)state;
	assert_ok(fsha_worker_store_open(s, &store, &t.error));
	for (int i = 0; i < 2; i++) {
		assert_refused(fsha_worker_store_put(store, &w, &t.error), FSHA_E_STATE,
			       "not running");
		assert_refused(fsha_worker_store_get(store, "t", &got, &t.error), FSHA_E_STATE,
			       "not running");
		assert_refused(fsha_worker_store_recover(store, &got, &n, &t.error), FSHA_E_STATE,
			       "not running");
		assert_refused(fsha_worker_store_remove(store, "t", &flag, &t.error), FSHA_E_STATE,
			       "not running");
		assert_refused(fsha_worker_store_new_task_id(store, id, &t.error), FSHA_E_STATE,
			       "not running");
		assert_refused(fsha_worker_store_get_framework_id(store, id, &flag, &t.error),
			       FSHA_E_STATE, "not running");
		assert_refused(fsha_worker_store_set_framework_id(store, "f", &t.error),
			       FSHA_E_STATE, "not running");
		assert_refused(fsha_worker_store_visit(store, NULL, NULL, &t.error), FSHA_E_STATE,
			       "not running");
		/* The same after a stop, which may be repeated. */
		assert_ok(fsha_worker_store_start(store, &t.error));
		assert_ok(fsha_worker_store_start(store, &t.error));
		assert_int_equal(count_workers(store), 0);
		assert_ok(fsha_worker_store_stop(store, 0, &t.error));
		assert_ok(fsha_worker_store_stop(store, 0, &t.error));
		assert_ok(fsha_worker_store_stop(store, 1, &t.error));
	}
	fsha_worker_store_close(store);
	close_services(s);
}

static void stop_with_cleanup_removes_workers_and_keeps_identity(void **state)
{
	char id[FSHA_FRAMEWORK_ID_SIZE];
	struct office o;
	int present;

	(void)state;
	lead(&o);
	assert_ok(fsha_worker_store_set_framework_id(o.store, "f-1", &t.error));
	for (int i = 0; i < 3; i++)
		put(o.store, new_id(o.store));
	put(o.store, "by hand");
	assert_ok(fsha_worker_store_stop(o.store, 1, &t.error));
	assert_ok(fsha_worker_store_start(o.store, &t.error));
	assert_int_equal(count_workers(o.store), 0);
	assert_ok(fsha_worker_store_get_framework_id(o.store, id, &present, &t.error));
	assert_string_equal(id, "f-1");
	assert_string_equal(new_id(o.store), "taskmanager-00004");
	done(&o);
}

static void stop_without_cleanup_removes_nothing(void **state)
{
	struct office o;

	(void)state;
	lead(&o);
	put(o.store, "t");
	assert_ok(fsha_worker_store_stop(o.store, 0, &t.error));
	assert_ok(fsha_worker_store_start(o.store, &t.error));
	assert_int_equal(count_workers(o.store), 1);
	done(&o);
}

static void a_cleanup_that_fails_leaves_the_store_running(void **state)
{
	fsha_services *s;
	fsha_worker_store *store;
	struct office o;

	(void)state;
	lead(&o);
	put(o.store, "t");
	s = open_services();
	store = open_workers(s); /* of a process that does not lead */
	assert_result(fsha_worker_store_stop(store, 1, &t.error), FSHA_E_NOT_LEADER);
	assert_int_equal(count_workers(store), 1);
	fsha_worker_store_close(store);
	close_services(s);
	done(&o);
}

/* ---- the framework id ---- */

static void framework_id_is_none_then_kept_then_cleared(void **state)
{
	char id[FSHA_FRAMEWORK_ID_SIZE] = "?";
	int present = 7;
	struct office o;

	(void)state;
	lead(&o);
	assert_ok(fsha_worker_store_get_framework_id(o.store, id, &present, &t.error));
	assert_int_equal(present, 0);
	assert_string_equal(id, "");
	assert_ok(fsha_worker_store_set_framework_id(o.store, NULL, &t.error));
	assert_ok(fsha_worker_store_set_framework_id(o.store, "größe-1", &t.error));
	assert_ok(fsha_worker_store_get_framework_id(o.store, id, &present, &t.error));
	assert_int_equal(present, 1);
	assert_string_equal(id, "größe-1");
	assert_ok(fsha_worker_store_set_framework_id(o.store, "f-2", &t.error));
	assert_ok(fsha_worker_store_get_framework_id(o.store, id, &present, &t.error));
	assert_string_equal(id, "f-2");
	assert_ok(fsha_worker_store_set_framework_id(o.store, "", &t.error));
	assert_ok(fsha_worker_store_get_framework_id(o.store, id, &present, &t.error));
	assert_int_equal(present, 0);
	done(&o);
}

static void framework_ids_that_are_no_text_are_refused(void **state)
{
	char id[FSHA_FRAMEWORK_ID_SIZE + 1];
	struct office o;
	int present;

	(void)state;
	lead(&o);
	memset(id, 'f', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	assert_refused(fsha_worker_store_set_framework_id(o.store, id, &t.error), FSHA_E_INVALID,
		       "at most 1023 bytes");
	assert_refused(fsha_worker_store_set_framework_id(o.store, "\xff", &t.error),
		       FSHA_E_INVALID, "UTF-8");
	id[FSHA_FRAMEWORK_ID_SIZE - 1] = '\0';
	assert_ok(fsha_worker_store_set_framework_id(o.store, id, &t.error));
	assert_refused(fsha_worker_store_get_framework_id(o.store, NULL, &present, &t.error),
		       FSHA_E_INVALID, "NULL");
	assert_refused(fsha_worker_store_get_framework_id(o.store, id, NULL, &t.error),
		       FSHA_E_INVALID, "NULL");
	done(&o);
}

/* ---- task ids ---- */

static void task_ids_count_from_one_and_survive_restarts(void **state)
{
	struct office o;

	(void)state;
	lead(&o);
	assert_string_equal(new_id(o.store), "taskmanager-00001");
	assert_string_equal(new_id(o.store), "taskmanager-00002");
	done(&o);
	lead(&o); /* a later leader */
	assert_string_equal(new_id(o.store), "taskmanager-00003");
	assert_refused(fsha_worker_store_new_task_id(o.store, NULL, &t.error), FSHA_E_INVALID,
		       "NULL");
	done(&o);
}

static void task_ids_of_workers_that_are_there_are_passed_over(void **state)
{
	struct office o;
	char last[256];

	(void)state;
	lead(&o);
	put(o.store, "taskmanager-00002");
	/* Without a counter, it starts behind the highest. */
	assert_string_equal(new_id(o.store), "taskmanager-00003");
	put(o.store, "taskmanager-00004");
	put(o.store, "taskmanager-00005");
	assert_string_equal(new_id(o.store), "taskmanager-00006");
	/* And so when somebody takes the counter away. */
	put(o.store, "taskmanager-100000");
	assert_true(count_names("workers", "@task_counter~", last) > 0);
	done(&o);
	while (count_names("workers", "@task_counter~", last) > 0) {
		char path[300];

		(void)snprintf(path, sizeof(path), "workers/%s", last);
		assert_int_equal(unlink(in_cluster(path)), 0);
	}
	lead(&o);
	assert_string_equal(new_id(o.store), "taskmanager-100001");
	done(&o);
}

#define DRAWERS 4
#define DRAWS 25

struct drawer {
	fsha_worker_store *store;
	unsigned numbers[DRAWS];
	unsigned drawn;
};

static void *draw(void *arg)
{
	struct drawer *d = arg;
	char id[FSHA_TASK_ID_SIZE];

	for (; d->drawn < DRAWS; d->drawn++) {
		if (fsha_worker_store_new_task_id(d->store, id, NULL) != FSHA_OK ||
		    sscanf(id, "taskmanager-%u", &d->numbers[d->drawn]) != 1)
			break;
	}
	return NULL;
}

static void no_two_threads_get_the_same_task_id(void **state)
{
	bool seen[DRAWERS * DRAWS + 1] = { false };
	struct drawer drawers[DRAWERS];
	pthread_t threads[DRAWERS];
	fsha_worker_store *other;
	struct office o;

	(void)state;
	lead(&o);
	other = open_workers(o.services);
	for (int i = 0; i < DRAWERS; i++) {
		drawers[i] = (struct drawer){ .store = i % 2 ? other : o.store };
		assert_int_equal(pthread_create(&threads[i], NULL, draw, &drawers[i]), 0);
	}
	for (int i = 0; i < DRAWERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (int i = 0; i < DRAWERS; i++) {
		assert_int_equal(drawers[i].drawn, DRAWS);
		for (int j = 0; j < DRAWS; j++) {
			assert_in_range(drawers[i].numbers[j], 1, DRAWERS * DRAWS);
			assert_false(seen[drawers[i].numbers[j]]);
			seen[drawers[i].numbers[j]] = true;
		}
	}
	fsha_worker_store_close(other);
	done(&o);
}

/* ---- workers ---- */

static void a_worker_is_read_as_it_was_put(void **state)
{
	fsha_worker w = worker("taskmanager-00001"), launched, *got = NULL;
	int64_t before_ms = (int64_t)time(NULL) * 1000;
	struct office o;

	(void)state;
	lead(&o);
	w.updated_ms = 5; /* not the caller's to say */
	assert_ok(fsha_worker_store_put(o.store, &w, &t.error));
	assert_ok(fsha_worker_store_get(o.store, w.task_id, &got, &t.error));
	assert_true(fsha_worker_equal(&w, got));
	assert_true(got->updated_ms >= before_ms);
	assert_true(got->updated_ms <= before_ms + 1000 + LIMIT_MS);
	/* In its place, with slave and host, from what was read. */
	assert_ok(fsha_worker_launch(got, "slave-1", "node-b", &launched));
	assert_ok(fsha_worker_store_put(o.store, &launched, &t.error));
	fsha_free(got);
	assert_ok(fsha_worker_store_get(o.store, w.task_id, &got, &t.error));
	assert_string_equal(got->slave_id, "slave-1");
	assert_string_equal(got->hostname, "node-b");
	assert_int_equal(got->state, FSHA_WORKER_LAUNCHED);
	assert_int_equal(got->launchable_size, strlen(SPEC));
	assert_memory_equal(got->launchable, SPEC, strlen(SPEC));
	fsha_free(got);
	assert_int_equal(count_workers(o.store), 1);
	assert_refused(fsha_worker_store_get(o.store, "none", &got, &t.error), FSHA_E_NOT_FOUND,
		       "workers/none");
	done(&o);
}

static void a_worker_with_the_largest_of_everything_is_read_as_it_was_put(void **state)
{
	char id[FSHA_TASK_ID_SIZE], slave[FSHA_SLAVE_ID_MAX + 1], host[FSHA_HOSTNAME_MAX + 1];
	char *spec = malloc(FSHA_LAUNCHABLE_MAX);
	fsha_worker w, *got = NULL;
	struct office o;

	(void)state;
	assert_non_null(spec);
	memset(id, 't', sizeof(id) - 1);
	memset(slave, 's', sizeof(slave) - 1);
	memset(host, 'h', sizeof(host) - 1);
	id[sizeof(id) - 1] = slave[sizeof(slave) - 1] = host[sizeof(host) - 1] = '\0';
	for (size_t i = 0; i < FSHA_LAUNCHABLE_MAX; i++)
		spec[i] = (char)(i * 2654435761u >> 24);
	lead(&o);
	assert_ok(fsha_worker_init(&w, id, spec, FSHA_LAUNCHABLE_MAX));
	assert_ok(fsha_worker_launch(&w, slave, host, &w));
	assert_ok(fsha_worker_store_put(o.store, &w, &t.error));
	assert_ok(fsha_worker_store_get(o.store, id, &got, &t.error));
	assert_true(fsha_worker_equal(&w, got));
	fsha_free(got);
	w.launchable_size++;
	assert_refused(fsha_worker_store_put(o.store, &w, &t.error), FSHA_E_INVALID, "1 MiB");
	done(&o);
	free(spec);
}

static void removing_tells_whether_there_was_one(void **state)
{
	struct office o;
	int removed = 7;

	(void)state;
	lead(&o);
	assert_ok(fsha_worker_store_remove(o.store, "t", &removed, &t.error));
	assert_int_equal(removed, 0);
	put(o.store, "t");
	assert_ok(fsha_worker_store_remove(o.store, "t", &removed, &t.error));
	assert_int_equal(removed, 1);
	assert_ok(fsha_worker_store_remove(o.store, "t", &removed, &t.error));
	assert_int_equal(removed, 0);
	assert_ok(fsha_worker_store_remove(o.store, "t", NULL, &t.error));
	assert_int_equal(count_workers(o.store), 0);
	put(o.store, "t"); /* and again */
	assert_int_equal(count_workers(o.store), 1);
	assert_refused(fsha_worker_store_remove(o.store, "", NULL, &t.error), FSHA_E_INVALID,
		       "empty");
	assert_refused(fsha_worker_store_remove(o.store, NULL, NULL, &t.error), FSHA_E_INVALID,
		       "empty");
	done(&o);
}

static void workers_are_recovered_in_the_order_of_their_numbers(void **state)
{
	static const char *const ids[] = { "taskmanager-100000", "taskmanager-00002",
					   "taskmanager-99999", ".odd/id ü", "taskmanager-00010" };
	static const char *const order[] = { ".odd/id ü", "taskmanager-00002", "taskmanager-00010",
					     "taskmanager-99999", "taskmanager-100000" };
	fsha_worker *workers = NULL;
	struct office o;
	size_t count;

	(void)state;
	lead(&o);
	assert_ok(fsha_worker_store_recover(o.store, &workers, &count, &t.error));
	assert_int_equal(count, 0);
	fsha_free(workers);
	assert_ok(fsha_worker_store_set_framework_id(o.store, "f", &t.error)); /* no worker */
	for (int i = 0; i < 5; i++)
		put(o.store, ids[i]);
	done(&o);
	lead(&o); /* the next leader finds them all */
	assert_ok(fsha_worker_store_recover(o.store, &workers, &count, &t.error));
	assert_int_equal(count, 5);
	for (int i = 0; i < 5; i++) {
		fsha_worker expected = worker(order[i]);

		assert_true(fsha_worker_equal(&workers[i], &expected));
		assert_int_equal(workers[i].struct_size, sizeof(expected));
	}
	fsha_free(workers);
	assert_refused(fsha_worker_store_recover(o.store, NULL, &count, &t.error), FSHA_E_INVALID,
		       "NULL");
	assert_refused(fsha_worker_store_recover(o.store, &workers, NULL, &t.error), FSHA_E_INVALID,
		       "NULL");
	done(&o);
}

/* ---- who may ---- */

static void without_leadership_one_may_read_and_not_write(void **state)
{
	fsha_services *s = open_services();
	fsha_worker_store *store = open_workers(s);
	char id[FSHA_FRAMEWORK_ID_SIZE];
	fsha_worker w = worker("t");
	size_t before = count_tree();
	int flag;

	(void)state;
	assert_int_equal(count_workers(store), 0);
	assert_ok(fsha_worker_store_get_framework_id(store, id, &flag, &t.error));
	assert_result(fsha_worker_store_put(store, &w, &t.error), FSHA_E_NOT_LEADER);
	assert_result(fsha_worker_store_remove(store, "t", &flag, &t.error), FSHA_E_NOT_LEADER);
	assert_result(fsha_worker_store_set_framework_id(store, "f", &t.error), FSHA_E_NOT_LEADER);
	assert_result(fsha_worker_store_new_task_id(store, id, &t.error), FSHA_E_NOT_LEADER);
	assert_int_equal(count_tree(), before);
	fsha_worker_store_close(store);
	close_services(s);
}

static void another_process_sees_what_the_leader_writes(void **state)
{
	fsha_services *s;
	fsha_worker_store *store;
	struct office o;

	(void)state;
	lead(&o);
	s = open_services();
	store = open_workers(s);
	assert_int_equal(count_workers(store), 0);
	put(o.store, "a");
	assert_int_equal(count_workers(store), 1);
	put(o.store, "b");
	assert_ok(fsha_worker_store_remove(o.store, "a", NULL, &t.error));
	assert_int_equal(count_workers(store), 1);
	fsha_worker_store_close(store);
	close_services(s);
	done(&o);
}

static void null_arguments_are_refused(void **state)
{
	fsha_worker_store *store;
	fsha_worker w = worker("t"), *got;
	struct office o;
	size_t n;

	(void)state;
	assert_refused(fsha_worker_store_open(NULL, &store, &t.error), FSHA_E_INVALID, "NULL");
	assert_refused(fsha_worker_store_start(NULL, &t.error), FSHA_E_INVALID, "NULL");
	assert_refused(fsha_worker_store_stop(NULL, 0, &t.error), FSHA_E_INVALID, "NULL");
	assert_refused(fsha_worker_store_put(NULL, &w, &t.error), FSHA_E_INVALID, "NULL");
	assert_refused(fsha_worker_store_recover(NULL, &got, &n, &t.error), FSHA_E_INVALID, "NULL");
	fsha_worker_store_close(NULL);
	lead(&o);
	assert_refused(fsha_worker_store_open(o.services, NULL, &t.error), FSHA_E_INVALID, "NULL");
	assert_refused(fsha_worker_store_put(o.store, NULL, &t.error), FSHA_E_INVALID, "NULL");
	assert_refused(fsha_worker_store_get(o.store, "t", NULL, &t.error), FSHA_E_INVALID, "NULL");
	assert_refused(fsha_worker_store_get(o.store, NULL, &got, &t.error), FSHA_E_INVALID,
		       "empty");
	assert_result(fsha_worker_store_put(o.store, NULL, NULL), FSHA_E_INVALID);
	done(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_works_before_the_start),
		TEST(stop_with_cleanup_removes_workers_and_keeps_identity),
		TEST(stop_without_cleanup_removes_nothing),
		TEST(a_cleanup_that_fails_leaves_the_store_running),
		TEST(framework_id_is_none_then_kept_then_cleared),
		TEST(framework_ids_that_are_no_text_are_refused),
		TEST(task_ids_count_from_one_and_survive_restarts),
		TEST(task_ids_of_workers_that_are_there_are_passed_over),
		TEST(no_two_threads_get_the_same_task_id),
		TEST(a_worker_is_read_as_it_was_put),
		TEST(a_worker_with_the_largest_of_everything_is_read_as_it_was_put),
		TEST(removing_tells_whether_there_was_one),
		TEST(workers_are_recovered_in_the_order_of_their_numbers),
		TEST(without_leadership_one_may_read_and_not_write),
		TEST(another_process_sees_what_the_leader_writes),
		TEST(null_arguments_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
