/*
 * Batches: several changes in one commit, all of them or none, and what readers see of the pack in
 * which they lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/actor.h"

#define A 0
#define B 1
#define READER 2
#define DIRECTORY "/c/job_graphs"

struct stage {
	struct crashfs *disk;
	struct actor a, b;
};

static int open_stage(void **state)
{
	const struct crashfs_options options = { .seed = 1 };
	struct stage *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->disk = crashfs_create(&options);
	actor_start(&s->a, s->disk, A);
	actor_start(&s->b, s->disk, B);
	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	lease_begin(&s->a.member->lease, fsu_now_ns(s->a.fs), 3600 * FSU_NS_PER_S);
	*state = s;
	return 0;
}

static int close_stage(void **state)
{
	struct stage *s = *state;

	crashfs_fault_clear(s->disk);
	crashfs_hook_set(s->disk, NULL, NULL);
	actor_stop(&s->a);
	actor_stop(&s->b);
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++)
		assert_int_equal(crashfs_open_fds(s->disk, i), 0);
	assert_int_equal(crashfs_bytes_allocated(s->disk), 0);
	crashfs_destroy(s->disk);
	free(s);
	return 0;
}

static struct store_change change(enum store_write how, const char *key, const char *value)
{
	return (struct store_change){
		.how = how,
		.key = key,
		.data = value,
		.size = value ? strlen(value) : 0,
	};
}

/* Two keys with the values "1" and "2" in one pack; its version. */
static fsha_version add_two(struct stage *s, const char *first, const char *second)
{
	const struct store_change changes[] = {
		change(STORE_ADD, second, "2"),
		change(STORE_ADD, first, "1"),
	};
	fsha_version v = { 0 };

	assert_int_equal(store_write_batch(s->a.store, changes, 2, &v, NULL, &s->a.error), FSHA_OK);
	assert_true(fsha_version_is_existing(&v));
	return v;
}

static unsigned count_files(struct stage *s, const char *prefix)
{
	const char *names = crashfs_ls(s->disk, DIRECTORY);
	unsigned n = 0;

	assert_non_null(names);
	for (const char *p = names; *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : "")
		n += strncmp(p, prefix, strlen(prefix)) == 0;
	return n;
}

static void assert_value(struct actor *a, const char *key, const char *expected)
{
	fsha_result result;
	char text[64];

	result = actor_get(a, key, text);
	if (result != (expected ? FSHA_OK : FSHA_E_NOT_FOUND))
		fail_msg("'%s': %s: %s", key, fsha_result_name(result), a->error.message);
	assert_string_equal(text, expected ? expected : "");
}

static void a_batch_is_one_file_and_reads_as_its_members(void **state)
{
	struct stage *s = *state;
	fsha_version v = add_two(s, "a", "b"), of_a, of_b;
	char text[64];

	assert_int_equal(count_files(s, ""), 1);
	assert_int_equal(count_files(s, "@pack~"), 1);
	assert_value(&s->a, "a", "1");
	assert_value(&s->b, "b", "2");
	observe(s->disk, READER, "a", text);
	assert_string_equal(text, "1");
	assert_int_equal(store_exists(s->a.store, "a", &of_a, NULL), FSHA_OK);
	assert_int_equal(store_exists(s->b.store, "b", &of_b, NULL), FSHA_OK);
	assert_int_equal(fsha_version_compare(&of_a, &v), 0);
	assert_int_equal(fsha_version_compare(&of_b, &v), 0);
}

static void a_change_that_may_not_be_made_is_named_and_nothing_is_written(void **state)
{
	struct stage *s = *state;
	struct store_change changes[] = {
		change(STORE_ADD, "z", "1"),
		change(STORE_PUT, "y", "1"),
		change(STORE_ADD, "a", "1"),
	};
	fsha_version v = { 0 };
	size_t failed = 99;

	assert_int_equal(actor_add(&s->a, "a", "old"), FSHA_OK);
	assert_int_equal(store_write_batch(s->a.store, changes, 3, &v, &failed, &s->a.error),
			 FSHA_E_EXISTS);
	assert_int_equal(failed, 2);
	assert_non_null(strstr(s->a.error.message, "job_graphs/a"));
	changes[2] = change(STORE_REPLACE, "none", "1");
	assert_int_equal(store_write_batch(s->a.store, changes, 3, &v, &failed, &s->a.error),
			 FSHA_E_NOT_FOUND);
	assert_int_equal(failed, 2);
	changes[1] = change(STORE_REPLACE, "a", "1");
	changes[1].expected = &(fsha_version){ .epoch = 1, .sequence = 99 };
	assert_int_equal(store_write_batch(s->a.store, changes, 3, &v, &failed, &s->a.error),
			 FSHA_E_VERSION);
	assert_int_equal(failed, 1);
	assert_false(fsha_version_is_existing(&v));
	assert_int_equal(count_files(s, ""), 1);
	assert_value(&s->a, "z", NULL);
}

static void a_key_twice_in_a_batch_is_invalid(void **state)
{
	struct stage *s = *state;
	const struct store_change changes[] = {
		change(STORE_PUT, "b", "1"),
		change(STORE_PUT, "a", "2"),
		change(STORE_REMOVE, "b", NULL),
	};
	size_t failed = 99;

	assert_int_equal(store_write_batch(s->a.store, changes, 3, NULL, &failed, &s->a.error),
			 FSHA_E_INVALID);
	assert_int_equal(failed, 2);
	assert_non_null(strstr(s->a.error.message, "job_graphs/b"));
	assert_string_equal(crashfs_ls(s->disk, DIRECTORY), "");
}

static void an_empty_batch_is_done_by_anybody(void **state)
{
	struct stage *s = *state;

	assert_int_equal(store_write_batch(s->b.store, NULL, 0, NULL, NULL, NULL), FSHA_OK);
	assert_string_equal(crashfs_ls(s->disk, DIRECTORY), "");
}

static void a_batch_without_leadership_is_refused_and_leaves_no_trace(void **state)
{
	struct stage *s = *state;
	const struct store_change changes[] = {
		change(STORE_PUT, "a", "1"),
		change(STORE_PUT, "b", "2"),
	};
	size_t failed = 99;

	assert_int_equal(store_write_batch(s->b.store, changes, 2, NULL, &failed, &s->b.error),
			 FSHA_E_NOT_LEADER);
	assert_int_equal(failed, 2);
	assert_string_equal(crashfs_ls(s->disk, DIRECTORY), "");
}

static void one_change_and_what_comes_to_one_is_an_ordinary_record(void **state)
{
	struct stage *s = *state;
	const struct store_change changes[] = {
		change(STORE_REMOVE, "never", NULL),
		change(STORE_PUT, "a", "1"),
	};

	assert_int_equal(store_write_batch(s->a.store, changes, 2, NULL, NULL, NULL), FSHA_OK);
	assert_int_equal(count_files(s, "a~"), 1);
	assert_int_equal(count_files(s, ""), 1);
	assert_int_equal(store_write_batch(s->a.store, changes, 1, NULL, NULL, NULL), FSHA_OK);
	assert_int_equal(count_files(s, ""), 1);
}

static void a_packed_key_is_replaced_and_removed_like_any_other(void **state)
{
	struct stage *s = *state;

	(void)add_two(s, "a", "b");
	assert_int_equal(actor_add(&s->a, "a", "x"), FSHA_E_EXISTS);
	assert_int_equal(actor_replace(&s->a, "a", "3"), FSHA_OK);
	assert_int_equal(actor_remove(&s->a, "b"), FSHA_OK);
	assert_value(&s->a, "a", "3");
	assert_value(&s->a, "b", NULL);
	assert_value(&s->b, "a", "3");
	assert_value(&s->b, "b", NULL);
	assert_int_equal(actor_add(&s->a, "b", "4"), FSHA_OK);
	assert_value(&s->b, "b", "4");
}

static void a_batch_puts_replaces_and_removes_at_once(void **state)
{
	struct stage *s = *state;
	const struct store_change changes[] = {
		change(STORE_REMOVE, "a", NULL),
		change(STORE_REPLACE, "b", "22"),
		change(STORE_PUT, "c", "33"),
	};

	(void)add_two(s, "a", "b");
	assert_int_equal(store_write_batch(s->a.store, changes, 3, NULL, NULL, &s->a.error),
			 FSHA_OK);
	for (int i = 0; i < 2; i++) {
		struct actor *reader = i ? &s->b : &s->a;

		assert_value(reader, "a", NULL);
		assert_value(reader, "b", "22");
		assert_value(reader, "c", "33");
	}
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_stage, close_stage)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_batch_is_one_file_and_reads_as_its_members),
		TEST(a_change_that_may_not_be_made_is_named_and_nothing_is_written),
		TEST(a_key_twice_in_a_batch_is_invalid),
		TEST(an_empty_batch_is_done_by_anybody),
		TEST(a_batch_without_leadership_is_refused_and_leaves_no_trace),
		TEST(one_change_and_what_comes_to_one_is_an_ordinary_record),
		TEST(a_packed_key_is_replaced_and_removed_like_any_other),
		TEST(a_batch_puts_replaces_and_removes_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
