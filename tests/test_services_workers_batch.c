/* The contract of fsha/worker.h for what concerns many workers at once: updates, backup, restore.
 */
#include "tests/test_workers_fixture.h"

static int32_t state_of(fsha_worker_store *store, const char *task_id)
{
	fsha_worker *w = NULL;
	int32_t state;

	assert_ok(fsha_worker_store_get(store, task_id, &w, &t.error));
	state = w->state;
	fsha_free(w);
	return state;
}

static void set_framework_id(fsha_worker_store *store, const char *id)
{
	assert_ok(fsha_worker_store_set_framework_id(store, id, &t.error));
}

static void assert_framework_id(fsha_worker_store *store, const char *expected)
{
	char id[FSHA_FRAMEWORK_ID_SIZE];
	int present;

	assert_ok(fsha_worker_store_get_framework_id(store, id, &present, &t.error));
	assert_string_equal(id, expected);
}

/* ---- states ---- */

static void updates_change_states_and_nothing_else(void **state)
{
	const fsha_worker_state_update updates[] = { { "b", FSHA_WORKER_RELEASED, 0 },
						     { "a", FSHA_WORKER_LAUNCHED, 0 },
						     { "nobody", FSHA_WORKER_NEW, 0 } };
	fsha_worker w = worker("b"), *got = NULL;
	struct office o;
	size_t updated = 7;

	(void)state;
	lead(&o);
	put(o.store, "a");
	put(o.store, "c");
	assert_ok(fsha_worker_launch(&w, "slave-1", "node-b", &w));
	assert_ok(fsha_worker_store_put(o.store, &w, &t.error));
	assert_ok(fsha_worker_store_update_states(o.store, updates, 3, &updated, &t.error));
	assert_int_equal(updated, 2);
	assert_int_equal(state_of(o.store, "a"), FSHA_WORKER_LAUNCHED);
	assert_int_equal(state_of(o.store, "c"), FSHA_WORKER_NEW);
	assert_int_equal(count_workers(o.store), 3);
	w.state = FSHA_WORKER_RELEASED;
	assert_ok(fsha_worker_store_get(o.store, "b", &got, &t.error));
	assert_true(fsha_worker_equal(&w, got));
	fsha_free(got);
	/* One file for both. */
	assert_int_equal(count_names("workers", "@pack~", NULL), 1);
	assert_ok(fsha_worker_store_update_states(o.store, NULL, 0, &updated, &t.error));
	assert_int_equal(updated, 0);
	assert_ok(fsha_worker_store_update_states(o.store, &updates[2], 1, NULL, &t.error));
	done(&o);
	lead(&o); /* the next leader finds the same */
	assert_int_equal(state_of(o.store, "a"), FSHA_WORKER_LAUNCHED);
	assert_int_equal(state_of(o.store, "b"), FSHA_WORKER_RELEASED);
	done(&o);
}

static void updates_that_are_wrong_change_nothing(void **state)
{
	fsha_worker_state_update updates[] = { { "a", FSHA_WORKER_RELEASED, 0 },
					       { "b", FSHA_WORKER_RELEASED, 0 } };
	fsha_services *s;
	fsha_worker_store *store;
	struct office o;

	(void)state;
	lead(&o);
	put(o.store, "a");
	put(o.store, "b");
	updates[1].state = 9;
	assert_refused(fsha_worker_store_update_states(o.store, updates, 2, NULL, &t.error),
		       FSHA_E_INVALID, "'b'");
	updates[1].state = FSHA_WORKER_RELEASED;
	updates[1].task_id = "a";
	assert_refused(fsha_worker_store_update_states(o.store, updates, 2, NULL, &t.error),
		       FSHA_E_INVALID, "workers/a");
	updates[1].task_id = "";
	assert_refused(fsha_worker_store_update_states(o.store, updates, 2, NULL, &t.error),
		       FSHA_E_INVALID, "empty");
	updates[1].task_id = "b";
	updates[1].reserved0 = 1;
	assert_refused(fsha_worker_store_update_states(o.store, updates, 2, NULL, &t.error),
		       FSHA_E_INVALID, "'b'");
	updates[1].reserved0 = 0;
	assert_refused(fsha_worker_store_update_states(o.store, NULL, 1, NULL, &t.error),
		       FSHA_E_INVALID, "NULL");
	assert_refused(fsha_worker_store_update_states(o.store, updates, FSHA_WORKERS_MAX + 1, NULL,
						       &t.error),
		       FSHA_E_INVALID, "at most");
	s = open_services();
	store = open_workers(s);
	assert_result(fsha_worker_store_update_states(store, updates, 2, NULL, &t.error),
		      FSHA_E_NOT_LEADER);
	fsha_worker_store_close(store);
	close_services(s);
	assert_int_equal(state_of(o.store, "a"), FSHA_WORKER_NEW);
	assert_int_equal(state_of(o.store, "b"), FSHA_WORKER_NEW);
	done(&o);
}

/* ---- backup ---- */

static void a_lost_framework_goes_on_elsewhere_from_its_backup(void **state)
{
	fsha_framework_backup *backup = NULL, *back = NULL;
	fsha_worker w = worker("taskmanager-00001"), *got = NULL;
	char path[128];
	struct office o;

	(void)state;
	lead(&o);
	set_framework_id(o.store, "framework-7");
	for (int i = 0; i < 3; i++)
		(void)new_id(o.store);
	assert_ok(fsha_worker_launch(&w, "slave-1", "node-b", &w));
	assert_ok(fsha_worker_store_put(o.store, &w, &t.error));
	put(o.store, "taskmanager-00002");
	assert_ok(fsha_framework_backup_take(o.store, &backup, &t.error));
	done(&o);
	(void)snprintf(path, sizeof(path), "%s/backup.json", t.dir);
	assert_ok(fsha_framework_backup_write(backup, path, &t.error));

	/* Another cluster, where others have been at work. */
	assert_ok(fsha_config_set(t.config, FSHA_KEY_CLUSTER_ID, "other", &t.error));
	lead(&o);
	set_framework_id(o.store, "framework-8");
	put(o.store, "taskmanager-00002");
	put(o.store, "x");
	assert_ok(fsha_framework_backup_read(path, &back, &t.error));
	assert_ok(fsha_framework_backup_restore(o.store, back, &t.error));
	assert_framework_id(o.store, "framework-7");
	assert_ok(fsha_worker_store_get(o.store, "taskmanager-00001", &got, &t.error));
	assert_true(fsha_worker_equal(got, &w));
	assert_int_equal(got->updated_ms, backup->workers[0].updated_ms); /* kept */
	fsha_free(got);
	assert_int_equal(count_workers(o.store), 3); /* with x */
	assert_string_equal(new_id(o.store), "taskmanager-00004");
	fsha_free(back);
	fsha_free(backup);
	done(&o);
}

static void a_backup_has_all_of_one_moment(void **state)
{
	int64_t before_ms = (int64_t)time(NULL) * 1000;
	fsha_framework_backup *b = NULL;
	struct office o;

	(void)state;
	lead(&o);
	assert_ok(fsha_framework_backup_take(o.store, &b, &t.error));
	assert_int_equal(b->worker_count, 0);
	assert_null(b->framework_id);
	assert_int_equal(b->last_task_number, 0);
	assert_int_equal(b->version, FSHA_FRAMEWORK_BACKUP_VERSION);
	assert_true(b->timestamp_ms >= before_ms);
	fsha_free(b);
	put(o.store, "taskmanager-00010");
	put(o.store, "taskmanager-00009");
	assert_ok(fsha_framework_backup_take(o.store, &b, &t.error));
	assert_int_equal(b->worker_count, 2);
	assert_string_equal(b->workers[0].task_id, "taskmanager-00009");
	assert_int_equal(b->last_task_number, 10); /* never given, but taken */
	fsha_free(b);
	assert_refused(fsha_framework_backup_take(o.store, NULL, &t.error), FSHA_E_INVALID, "NULL");
	assert_refused(fsha_framework_backup_take(NULL, &b, &t.error), FSHA_E_INVALID, "NULL");
	done(&o);
}

static void a_backup_of_damaged_workers_is_none(void **state)
{
	fsha_framework_backup *b = NULL;
	char last[256], path[300];
	struct office o;

	(void)state;
	lead(&o);
	put(o.store, "a");
	put(o.store, "b");
	assert_true(count_names("workers", "b~", last) > 0);
	(void)snprintf(path, sizeof(path), "workers/%s", last);
	write_file(in_cluster(path), "rubbish", 7);
	assert_refused(fsha_framework_backup_take(o.store, &b, &t.error), FSHA_E_CORRUPT,
		       "workers/b~");
	assert_null(b);
	done(&o);
}

/* ---- restore ---- */

static fsha_framework_backup backup_of(const fsha_worker *workers, size_t count)
{
	return (fsha_framework_backup){
		.struct_size = sizeof(fsha_framework_backup),
		.workers = workers,
		.worker_count = count,
		.version = FSHA_FRAMEWORK_BACKUP_VERSION,
	};
}

static void a_restore_without_framework_id_leaves_the_present_one(void **state)
{
	fsha_framework_backup b = backup_of(NULL, 0);
	struct office o;

	(void)state;
	lead(&o);
	set_framework_id(o.store, "f");
	assert_ok(fsha_framework_backup_restore(o.store, &b, &t.error));
	assert_framework_id(o.store, "f");
	assert_int_equal(count_workers(o.store), 0);
	assert_string_equal(new_id(o.store), "taskmanager-00001");
	done(&o);
}

static void task_ids_never_go_back_after_a_restore(void **state)
{
	const fsha_worker w = worker("taskmanager-00020");
	fsha_framework_backup b = backup_of(NULL, 0);
	struct office o;

	(void)state;
	lead(&o);
	for (int i = 1; i <= 5; i++)
		(void)new_id(o.store);
	b.last_task_number = 3; /* older than what is there */
	assert_ok(fsha_framework_backup_restore(o.store, &b, &t.error));
	assert_string_equal(new_id(o.store), "taskmanager-00006");
	b.last_task_number = 10;
	assert_ok(fsha_framework_backup_restore(o.store, &b, &t.error));
	assert_string_equal(new_id(o.store), "taskmanager-00011");
	b.workers = &w;
	b.worker_count = 1;
	assert_ok(fsha_framework_backup_restore(o.store, &b, &t.error));
	assert_string_equal(new_id(o.store), "taskmanager-00021");
	done(&o);
}

static void a_restore_of_something_wrong_changes_nothing(void **state)
{
	fsha_worker workers[] = { worker("new"), worker("a") };
	fsha_framework_backup b = backup_of(workers, 2);
	fsha_services *s;
	fsha_worker_store *store;
	struct office o;

	(void)state;
	lead(&o);
	put(o.store, "a");
	workers[0].state = FSHA_WORKER_LAUNCHED;
	workers[1].state = 5;
	assert_refused(fsha_framework_backup_restore(o.store, &b, &t.error), FSHA_E_INVALID, "'a'");
	workers[1] = workers[0]; /* twice */
	assert_refused(fsha_framework_backup_restore(o.store, &b, &t.error), FSHA_E_INVALID,
		       "workers/new");
	b.worker_count = 1;
	b.version = 2;
	assert_refused(fsha_framework_backup_restore(o.store, &b, &t.error), FSHA_E_UNSUPPORTED,
		       "version 2");
	b.version = 1;
	assert_refused(fsha_framework_backup_restore(o.store, NULL, &t.error), FSHA_E_INVALID,
		       "NULL");
	assert_refused(fsha_framework_backup_restore(NULL, &b, &t.error), FSHA_E_INVALID, "NULL");
	s = open_services();
	store = open_workers(s);
	assert_result(fsha_framework_backup_restore(store, &b, &t.error), FSHA_E_NOT_LEADER);
	assert_ok(fsha_worker_store_stop(store, 0, &t.error));
	assert_refused(fsha_framework_backup_restore(store, &b, &t.error), FSHA_E_STATE,
		       "not running");
	fsha_worker_store_close(store);
	close_services(s);
	assert_int_equal(count_workers(o.store), 1);
	assert_int_equal(state_of(o.store, "a"), FSHA_WORKER_NEW);
	done(&o);
}

/* A reader at the same time sees the old or the new, never a part. */
struct watch {
	fsha_worker_store *store;
	_Atomic bool stop;
	_Atomic unsigned looks;
	bool torn;
};

#define MANY 40

static void *look_on(void *arg)
{
	struct watch *w = arg;
	fsha_framework_backup *b;

	while (!atomic_load(&w->stop)) {
		if (fsha_framework_backup_take(w->store, &b, NULL) != FSHA_OK)
			continue;
		for (size_t i = 1; i < b->worker_count; i++)
			w->torn |= b->workers[i].state != b->workers[0].state;
		w->torn |= b->worker_count != MANY;
		fsha_free(b);
		atomic_fetch_add(&w->looks, 1);
	}
	return NULL;
}

static void nobody_sees_a_part_of_an_update(void **state)
{
	fsha_worker_state_update updates[MANY];
	struct watch watch = { .torn = false };
	char ids[MANY][FSHA_TASK_ID_SIZE];
	fsha_services *s;
	pthread_t thread;
	struct office o;

	(void)state;
	lead(&o);
	for (int i = 0; i < MANY; i++) {
		strcpy(ids[i], new_id(o.store));
		put(o.store, ids[i]);
	}
	s = open_services();
	watch.store = open_workers(s);
	assert_int_equal(pthread_create(&thread, NULL, look_on, &watch), 0);
	for (unsigned round = 0; round < 10 || atomic_load(&watch.looks) < 3; round++) {
		for (int i = 0; i < MANY; i++)
			updates[i] = (fsha_worker_state_update){ ids[i], (int32_t)(round % 3), 0 };
		assert_ok(fsha_worker_store_update_states(o.store, updates, MANY, NULL, &t.error));
		if (round > 2)
			(void)usleep(20000); /* a quiet moment: it is a whole picture or none */
	}
	atomic_store(&watch.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(watch.torn);
	fsha_worker_store_close(watch.store);
	close_services(s);
	done(&o);
}

/* ---- in memory ---- */

/* Flink: StandaloneMesosWorkerStore. */
static void standalone_workers_are_in_memory_and_gone_with_it(void **state)
{
	const fsha_worker_state_update update = { "taskmanager-00001", FSHA_WORKER_LAUNCHED, 0 };
	fsha_framework_backup *backup = NULL;
	fsha_worker_store *store;
	fsha_services *s;

	(void)state;
	assert_ok(fsha_config_set(t.config, FSHA_KEY_TYPE, "NONE", &t.error));
	s = open_services();
	store = open_workers(s);
	set_framework_id(store, "f"); /* nobody leads, and nobody needs to */
	put(store, new_id(store));
	assert_ok(fsha_worker_store_update_states(store, &update, 1, NULL, &t.error));
	assert_int_equal(state_of(store, "taskmanager-00001"), FSHA_WORKER_LAUNCHED);
	assert_ok(fsha_framework_backup_take(store, &backup, &t.error));
	fsha_worker_store_close(store);
	close_services(s);

	s = open_services();
	store = open_workers(s);
	assert_int_equal(count_workers(store), 0);
	assert_framework_id(store, "");
	assert_ok(fsha_framework_backup_restore(store, backup, &t.error));
	assert_int_equal(state_of(store, "taskmanager-00001"), FSHA_WORKER_LAUNCHED);
	assert_string_equal(new_id(store), "taskmanager-00002");
	fsha_free(backup);
	fsha_worker_store_close(store);
	close_services(s);
	assert_int_equal(rmdir(t.dir), 0); /* nothing is in it */
	assert_int_equal(mkdir(t.dir, 0700), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(updates_change_states_and_nothing_else),
		TEST(updates_that_are_wrong_change_nothing),
		TEST(a_lost_framework_goes_on_elsewhere_from_its_backup),
		TEST(a_backup_has_all_of_one_moment),
		TEST(a_backup_of_damaged_workers_is_none),
		TEST(a_restore_without_framework_id_leaves_the_present_one),
		TEST(task_ids_never_go_back_after_a_restore),
		TEST(a_restore_of_something_wrong_changes_nothing),
		TEST(nobody_sees_a_part_of_an_update),
		TEST(standalone_workers_are_in_memory_and_gone_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
