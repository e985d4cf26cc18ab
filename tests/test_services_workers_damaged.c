/* Damaged records among the workers: named, never passed over, and the others stay readable. */
#include "tests/test_workers_fixture.h"

struct seen {
	char text[256];
	unsigned stop_after;
};

static int see(void *ctx, const fsha_worker_entry *entry)
{
	struct seen *s = ctx;
	size_t used = strlen(s->text);

	(void)snprintf(s->text + used, sizeof(s->text) - used, "%s:%s ", entry->task_id,
		       fsha_result_name(entry->result));
	if ((entry->result == FSHA_OK) != (entry->worker != NULL) ||
	    (entry->result == FSHA_OK) != (entry->error == NULL))
		(void)strcpy(s->text, "worker and error do not agree");
	return s->stop_after && --s->stop_after == 0;
}

/* The newest version of a key becomes rubbish. */
static void damage(const char *key)
{
	char prefix[128], last[256], path[300];

	(void)snprintf(prefix, sizeof(prefix), "%s~", key);
	assert_true(count_names("workers", prefix, last) > 0);
	(void)snprintf(path, sizeof(path), "workers/%s", last);
	write_file(in_cluster(path), "rubbish", 7);
}

static void one_damaged_worker_is_named_and_does_not_hide_the_others(void **state)
{
	fsha_worker *workers = NULL;
	struct seen seen = { .text = "" };
	struct office o;
	size_t count = 77;

	(void)state;
	lead(&o);
	put(o.store, "a");
	put(o.store, "b");
	put(o.store, "c");
	damage("b");
	assert_refused(fsha_worker_store_recover(o.store, &workers, &count, &t.error),
		       FSHA_E_CORRUPT, "workers/b~");
	assert_null(workers);
	assert_int_equal(count, 77);
	assert_ok(fsha_worker_store_visit(o.store, see, &seen, &t.error));
	assert_string_equal(seen.text, "a:OK b:CORRUPT c:OK ");
	assert_refused(fsha_worker_store_get(o.store, "b", &workers, &t.error), FSHA_E_CORRUPT,
		       "workers/b~");
	/* It can be replaced, and removed. */
	put(o.store, "b");
	assert_int_equal(count_workers(o.store), 3);
	seen = (struct seen){ .stop_after = 2 };
	assert_ok(fsha_worker_store_visit(o.store, see, &seen, &t.error));
	assert_string_equal(seen.text, "a:OK b:OK ");
	assert_refused(fsha_worker_store_visit(o.store, NULL, NULL, &t.error), FSHA_E_INVALID,
		       "NULL");
	done(&o);
}

static void a_damaged_counter_gives_no_id_and_is_not_started_over(void **state)
{
	char id[FSHA_TASK_ID_SIZE] = "unchanged";
	struct office o;
	int present;

	(void)state;
	lead(&o);
	(void)new_id(o.store);
	assert_ok(fsha_worker_store_set_framework_id(o.store, "f", &t.error));
	damage("@task_counter");
	damage("@framework_id");
	for (int i = 0; i < 2; i++)
		assert_refused(fsha_worker_store_new_task_id(o.store, id, &t.error), FSHA_E_CORRUPT,
			       "workers/@task_counter~");
	assert_string_equal(id, "unchanged");
	assert_refused(fsha_worker_store_get_framework_id(o.store, id, &present, &t.error),
		       FSHA_E_CORRUPT, "workers/@framework_id~");
	done(&o);
}

/* A whole record that some other program wrote: its envelope is right, its content is not. */
static void a_whole_record_without_sense_is_corrupt(void **state)
{
	const struct store_options options = { .directory = "workers",
					       .election = RM,
					       .kind = FSU_KIND_WORKER };
	static const char *const keys[] = { "t", "@framework_id", "@task_counter" };
	char id[FSHA_FRAMEWORK_ID_SIZE];
	struct store *store;
	fsha_worker *got;
	struct office o;
	int present;

	(void)state;
	lead(&o);
	assert_ok(services_store_open(o.services, &options, &store, &t.error));
	for (int i = 0; i < 3; i++)
		assert_ok(store_write(store, STORE_ADD, keys[i], NULL, "??", 2, NULL, &t.error));
	services_store_close(o.services, store);
	assert_refused(fsha_worker_store_get(o.store, "t", &got, &t.error), FSHA_E_CORRUPT,
		       "workers/t~");
	assert_refused(fsha_worker_store_get_framework_id(o.store, id, &present, &t.error),
		       FSHA_E_CORRUPT, "workers/@framework_id~");
	assert_refused(fsha_worker_store_new_task_id(o.store, id, &t.error), FSHA_E_CORRUPT,
		       "workers/@task_counter~");
	done(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_damaged_worker_is_named_and_does_not_hide_the_others),
		TEST(a_damaged_counter_gives_no_id_and_is_not_started_over),
		TEST(a_whole_record_without_sense_is_corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
