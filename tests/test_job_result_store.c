/* The contract of fsha/job_result.h, on the crash filesystem. */
#include <errno.h>
#include <jansson.h>

#include "tests/test_job_result.h"

static void damage(struct stage *s, const char *path)
{
	char text[4096];
	size_t len;
	const uint8_t *data = crashfs_cat(s->disk, path, &len);

	assert_non_null(data);
	assert_true(len < sizeof(text));
	memcpy(text, data, len);
	text[len / 2] = (char)(text[len / 2] ^ 1);
	crashfs_put(s->disk, path, text, len);
}

/* ---- states ---- */

static void an_entry_is_dirty_and_then_deleted(void **state)
{
	struct stage *s = *state;

	assert_string_equal(state_of(&s->r, 1), "none");
	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	assert_string_equal(state_of(&s->r, 1), "dirty");
	assert_string_equal(dirty_of(&s->r, &s->told), "01 ");
	assert_int_equal(mark_clean(&s->r, 1), FSHA_OK);
	assert_string_equal(state_of(&s->r, 1), "none");
	assert_string_equal(dirty_of(&s->r, &s->told), "");
	assert_string_equal(clean_of(&s->r, &s->told), "");
	/* And the job may come back. */
	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	assert_string_equal(state_of(&s->r, 1), "dirty");
}

static void an_entry_is_dirty_and_then_clean_when_it_is_to_be_kept(void **state)
{
	struct stage *s = *state;

	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	assert_int_equal(create_dirty(&s->r, 2), FSHA_OK);
	assert_int_equal(mark_clean(&s->r, 1), FSHA_OK);
	assert_string_equal(state_of(&s->r, 1), "clean");
	assert_string_equal(state_of(&s->r, 2), "dirty");
	assert_non_null(strstr(crashfs_ls(s->disk, RESULTS), ".gone"));
	assert_string_equal(dirty_of(&s->r, &s->told), "02 ");
	assert_string_equal(clean_of(&s->r, &s->told), "01 ");
}

static void a_second_entry_for_a_job_is_refused(void **state)
{
	struct stage *s = *state;

	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	assert_int_equal(create_dirty(&s->r, 1), FSHA_E_EXISTS);
	assert_message(s, "'01000000000000000000000000000000' has a dirty result");
	assert_int_equal(mark_clean(&s->r, 1), FSHA_OK);
	assert_int_equal(create_dirty(&s->r, 1), FSHA_E_EXISTS);
	assert_message(s, "clean result");
	assert_string_equal(state_of(&s->r, 1), "clean");
}

static void marking_a_job_without_an_entry_is_not_found(void **state)
{
	struct stage *s = *state;

	assert_int_equal(mark_clean(&s->r, 1), FSHA_E_NOT_FOUND);
	assert_message(s, "01000000000000000000000000000000");
	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	assert_int_equal(mark_clean(&s->r, 1), FSHA_OK);
	assert_int_equal(mark_clean(&s->r, 1), FSHA_E_NOT_FOUND); /* as in Flink */
}

static void marking_a_clean_entry_again_is_done(void **state)
{
	struct stage *s = *state;

	assert_int_equal(mark_clean(&s->r, 1), FSHA_E_NOT_FOUND);
	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	assert_int_equal(mark_clean(&s->r, 1), FSHA_OK);
	assert_int_equal(mark_clean(&s->r, 1), FSHA_OK);
	assert_string_equal(state_of(&s->r, 1), "clean");
}

static void removing_takes_every_entry(void **state)
{
	struct stage *s = *state;

	assert_int_equal(remove_result(&s->r, 1), FSHA_OK);
	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	assert_int_equal(create_dirty(&s->r, 2), FSHA_OK);
	assert_int_equal(mark_clean(&s->r, 2), FSHA_OK);
	assert_int_equal(remove_result(&s->r, 1), FSHA_OK);
	assert_int_equal(remove_result(&s->r, 2), FSHA_OK);
	assert_string_equal(state_of(&s->r, 1), "none");
	assert_string_equal(state_of(&s->r, 2), "none");
}

static void a_result_is_got_as_it_was_given(void **state)
{
	static const fsha_accumulator_result accumulators[] = { { "a", "AAAA" } };
	static const fsha_failure_cause failure = { "C", "S", "BBBB" };
	const fsha_job_result given = {
		.struct_size = sizeof(given),
		.id = { { 1 } },
		.status = FSHA_APPLICATION_CANCELED,
		.net_runtime_ms = 42,
		.accumulators = accumulators,
		.accumulator_count = 1,
		.failure = &failure,
	};
	struct stage *s = *state;
	fsha_job_result *got;
	int dirty = -1;

	assert_int_equal(
		fsha_job_result_store_get(s->r.store, &given.id, &got, &dirty, &s->r.h.error),
		FSHA_E_NOT_FOUND);
	assert_int_equal(fsha_job_result_store_create_dirty(s->r.store, &given, NULL), FSHA_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			fsha_job_result_store_get(s->r.store, &given.id, &got, &dirty, NULL),
			FSHA_OK);
		assert_int_equal(dirty, i == 0);
		assert_int_equal(got->status, FSHA_APPLICATION_CANCELED);
		assert_int_equal(got->net_runtime_ms, 42);
		assert_int_equal(got->accumulator_count, 1);
		assert_string_equal(got->accumulators[0].value, "AAAA");
		assert_string_equal(got->failure->stack_trace, "S");
		fsu_release(s->r.h.fs, got);
		if (i == 0)
			assert_int_equal(mark_clean(&s->r, 1), FSHA_OK);
	}
}

static void the_file_is_flinks_json_with_a_seal(void **state)
{
	struct stage *s = *state;
	json_t *value, *result, *seal;
	json_error_t error;
	const uint8_t *data;
	char path[256];
	size_t len;

	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	data = crashfs_cat(s->disk, file_of(s, DIRTY_1, path), &len);
	assert_string_equal(path + strlen(path) - 5, ".json");
	value = json_loadb((const char *)data, len, 0, &error);
	assert_non_null(value);
	assert_int_equal(json_integer_value(json_object_get(value, "version")), 1);
	result = json_object_get(value, "result");
	assert_string_equal(json_string_value(json_object_get(result, "id")),
			    "01000000000000000000000000000000");
	assert_string_equal(json_string_value(json_object_get(result, "application-status")),
			    "SUCCEEDED");
	seal = json_object_get(result, "fsha");
	assert_memory_equal(json_string_value(json_object_get(seal, "version")),
			    strchr(path, '~') + 1, FSHA_VERSION_TEXT - 1);
	assert_string_equal(json_string_value(json_object_get(seal, "key")),
			    "job_results/01000000000000000000000000000000_DIRTY");
	json_decref(value);
}

static void results_are_handed_over_in_order_until_it_is_enough(void **state)
{
	struct stage *s = *state;

	for (uint8_t n = 9; n > 0; n--)
		assert_int_equal(create_dirty(&s->r, n), FSHA_OK);
	assert_string_equal(dirty_of(&s->r, &s->told), "01 02 03 04 05 06 07 08 09 ");
	s->told = (struct told){ .stop_after = 3 };
	assert_int_equal(fsha_job_result_store_get_dirty_results(s->r.store, tell, &s->told, NULL),
			 FSHA_OK);
	assert_string_equal(s->told.ids, "01 02 03 ");
}

/* ---- what else may lie there ---- */

static void a_damaged_entry_is_named_and_hides_no_other(void **state)
{
	fsha_job_id id = job(2);
	struct stage *s = *state;
	fsha_job_result *got = NULL;
	char path[256];

	for (uint8_t n = 1; n <= 3; n++)
		assert_int_equal(create_dirty(&s->r, n), FSHA_OK);
	damage(s, file_of(s, "02", path));
	assert_string_equal(dirty_of(&s->r, &s->told), "01 !CORRUPT 03 ");
	assert_non_null(strstr(s->told.errors, path + strlen("/c/")));
	assert_string_equal(state_of(&s->r, 2), "dirty");
	assert_int_equal(fsha_job_result_store_get(s->r.store, &id, &got, NULL, &s->r.h.error),
			 FSHA_E_CORRUPT);
	assert_message(s, path + strlen("/c/"));
	assert_null(got);
}

static void a_damaged_entry_may_be_deleted(void **state)
{
	struct stage *s = *state;
	char path[256];

	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	damage(s, file_of(s, DIRTY_1, path));
	assert_int_equal(mark_clean(&s->r, 1), FSHA_OK);
	assert_string_equal(state_of(&s->r, 1), "none");
}

static void a_damaged_entry_is_not_kept_as_a_clean_one(void **state)
{
	struct stage *s = *state;
	char path[256];

	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	damage(s, file_of(s, DIRTY_1, path));
	assert_int_equal(mark_clean(&s->r, 1), FSHA_E_CORRUPT);
	assert_message(s, path + strlen("/c/"));
	assert_string_equal(state_of(&s->r, 1), "dirty");
}

static void an_entry_copied_for_another_job_is_refused(void **state)
{
	struct stage *s = *state;
	const uint8_t *data;
	char path[256], *name;
	size_t len;

	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	name = path + sizeof(RESULTS);
	(void)file_of(s, DIRTY_1, path);
	data = crashfs_cat(s->disk, path, &len);
	assert_non_null(data);
	name[1] = '2';
	crashfs_put(s->disk, path, data, len);
	close_results(&s->r);
	lead_results(&s->r, s->disk, A, false);
	assert_string_equal(dirty_of(&s->r, &s->told), "01 !CORRUPT ");
	assert_non_null(strstr(s->told.errors, "belongs under another name"));
}

static void files_that_are_no_entries_are_named(void **state)
{
	struct stage *s = *state;

	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	crashfs_put(s->disk, RESULTS "/02000000000000000000000000000000_DIRTY.json", "{}", 2);
	crashfs_put(s->disk, RESULTS "/03000000000000000000000000000000.json", "{}", 2);
	crashfs_put(s->disk, RESULTS "/.nfs0001", "", 0);
	/* In the middle of a term as well as at the start of the next one. */
	for (int i = 0; i < 2; i++) {
		assert_string_equal(dirty_of(&s->r, &s->told), "01 !CORRUPT ");
		assert_non_null(
			strstr(s->told.errors,
			       "'job_results/02000000000000000000000000000000_DIRTY.json'"));
		assert_string_equal(clean_of(&s->r, &s->told), "!CORRUPT ");
		assert_non_null(strstr(s->told.errors,
				       "'job_results/03000000000000000000000000000000.json'"));
		assert_string_equal(state_of(&s->r, 2), "none");
		close_results(&s->r);
		lead_results(&s->r, s->disk, A, false);
	}
}

#define SOME_VERSION "~0000000000000001.0000000000000001.0000"

static void names_that_tell_no_job_are_named(void **state)
{
	struct stage *s = *state;

	close_results(&s->r);
	crashfs_put(s->disk, RESULTS "/nojob_DIRTY" SOME_VERSION ".json", "{}", 2);
	crashfs_put(s->disk, RESULTS "/nojob" SOME_VERSION ".json", "{}", 2);
	/* In upper case it is nobody's, and without .json it is no result. */
	crashfs_put(s->disk, RESULTS "/0A000000000000000000000000000000" SOME_VERSION ".json", "{}",
		    2);
	crashfs_put(s->disk, RESULTS "/0b000000000000000000000000000000_DIRTY" SOME_VERSION, "{}",
		    2);
	lead_results(&s->r, s->disk, A, false);
	assert_string_equal(dirty_of(&s->r, &s->told), "!CORRUPT !CORRUPT ");
	assert_non_null(strstr(s->told.errors, "job_results/nojob_DIRTY"));
	assert_non_null(strstr(s->told.errors, "job_results/0b0"));
	assert_string_equal(clean_of(&s->r, &s->told), "!CORRUPT !CORRUPT ");
	assert_non_null(strstr(s->told.errors, "job_results/nojob'"));
	assert_non_null(strstr(s->told.errors, "job_results/0A0"));
}

/* ---- who may ---- */

static void without_leadership_nothing_is_written(void **state)
{
	struct stage *s = *state;
	struct results reader;
	char before[2048];

	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	(void)snprintf(before, sizeof(before), "%s", crashfs_ls(s->disk, RESULTS));
	read_results(&reader, s->disk, B);
	assert_int_equal(create_dirty(&reader, 2), FSHA_E_NOT_LEADER);
	assert_non_null(strstr(reader.h.error.message, "dispatcher"));
	assert_int_equal(mark_clean(&reader, 1), FSHA_E_NOT_LEADER);
	assert_int_equal(remove_result(&reader, 1), FSHA_E_NOT_LEADER);
	assert_string_equal(crashfs_ls(s->disk, RESULTS), before);
	close_results(&reader);
}

static void a_former_leader_writes_nothing(void **state)
{
	struct stage *s = *state;
	struct results next;

	assert_int_equal(create_dirty(&s->r, 1), FSHA_OK);
	lead_results(&next, s->disk, B, false);
	/* Its clock has stood still all the time. */
	lease_begin(&s->r.h.services->member->lease, fsu_now_ns(s->r.h.fs), 60 * FSU_NS_PER_S);
	assert_int_equal(create_dirty(&s->r, 2), FSHA_E_FENCED);
	assert_int_equal(mark_clean(&s->r, 1), FSHA_E_FENCED);
	assert_string_equal(state_of(&next, 1), "dirty");
	assert_string_equal(state_of(&next, 2), "none");
	close_results(&next);
}

static void null_is_an_invalid_argument(void **state)
{
	fsha_job_result result = FSHA_JOB_RESULT_INIT;
	struct stage *s = *state;
	fsha_job_result_store *store;
	fsha_job_result *got;
	fsha_job_id id = job(1);
	size_t size;
	char *text;
	int has;

	assert_int_equal(fsha_job_result_store_open(NULL, &store, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_store_open(s->r.h.services, NULL, NULL), FSHA_E_INVALID);
	fsha_job_result_store_close(NULL);
	assert_int_equal(fsha_job_result_store_create_dirty(NULL, &result, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_store_create_dirty(s->r.store, NULL, NULL),
			 FSHA_E_INVALID);
	result.struct_size--;
	assert_int_equal(fsha_job_result_store_create_dirty(s->r.store, &result, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_store_mark_clean(NULL, &id, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_store_mark_clean(s->r.store, NULL, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_store_remove(NULL, &id, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_store_remove(s->r.store, NULL, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_store_has_entry(NULL, &id, &has, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_store_has_dirty(s->r.store, NULL, &has, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_store_has_clean(s->r.store, &id, NULL, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_store_get(NULL, &id, &got, NULL, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_store_get(s->r.store, NULL, &got, NULL, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_store_get(s->r.store, &id, NULL, NULL, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_store_get_dirty_results(NULL, tell, NULL, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_store_get_clean_results(s->r.store, NULL, NULL, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_parse(NULL, 0, &got, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_parse("{}", 2, NULL, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_parse("{}", FSHA_JOB_RESULT_MAX + 1, &got, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_format(NULL, &text, &size, NULL), FSHA_E_INVALID);
	result.struct_size++;
	assert_int_equal(fsha_job_result_format(&result, NULL, &size, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_job_result_format(&result, &text, NULL, NULL), FSHA_E_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DELETING(an_entry_is_dirty_and_then_deleted),
		KEEPING(an_entry_is_dirty_and_then_clean_when_it_is_to_be_kept),
		KEEPING(a_second_entry_for_a_job_is_refused),
		DELETING(marking_a_job_without_an_entry_is_not_found),
		KEEPING(marking_a_clean_entry_again_is_done),
		KEEPING(removing_takes_every_entry),
		KEEPING(a_result_is_got_as_it_was_given),
		DELETING(the_file_is_flinks_json_with_a_seal),
		DELETING(results_are_handed_over_in_order_until_it_is_enough),
		DELETING(a_damaged_entry_is_named_and_hides_no_other),
		DELETING(a_damaged_entry_may_be_deleted),
		KEEPING(a_damaged_entry_is_not_kept_as_a_clean_one),
		DELETING(an_entry_copied_for_another_job_is_refused),
		DELETING(files_that_are_no_entries_are_named),
		DELETING(names_that_tell_no_job_are_named),
		DELETING(without_leadership_nothing_is_written),
		DELETING(a_former_leader_writes_nothing),
		DELETING(null_is_an_invalid_argument),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
