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

/* ---- in doubt ---- */

static void a_batch_in_doubt_can_be_settled_as_done_by_any_of_its_keys(void **state)
{
	struct stage *s = *state;
	const struct store_change changes[] = {
		change(STORE_ADD, "n", "1"),
		change(STORE_REMOVE, "k", NULL),
	};
	const struct crashfs_fault fault = {
		.client = A,
		.at = 1, /* that of the directory */
		.calls_mask = 1u << CRASHFS_FSYNC,
		.error = 5, /* EIO */
		.mode = CRASHFS_NOT_DONE,
	};

	for (int i = 0; i < 2; i++) {
		fsha_version v = { 0 };

		assert_int_equal(actor_add(&s->a, "k", "old"), FSHA_OK);
		crashfs_count_reset(s->disk);
		crashfs_fault_arm(s->disk, &fault);
		assert_int_equal(store_write_batch(s->a.store, changes, 2, &v, NULL, NULL),
				 FSHA_E_INDOUBT);
		crashfs_fault_clear(s->disk);
		assert_true(fsha_version_is_existing(&v));
		assert_int_equal(store_settle(s->a.store, changes[i].key, &v, NULL), FSHA_OK);
		assert_false(term_in_doubt(s->a.term));
		assert_value(&s->a, "k", NULL);
		assert_value(&s->a, "n", "1");
		assert_int_equal(actor_remove(&s->a, "n"), FSHA_OK);
	}
}

static void a_batch_in_doubt_can_be_settled_as_not_done(void **state)
{
	struct stage *s = *state;
	const struct store_change changes[] = {
		change(STORE_ADD, "n", "1"),
		change(STORE_REMOVE, "k", NULL),
	};
	const struct crashfs_fault fault = {
		.client = A,
		.calls_mask = 1u << CRASHFS_RENAMEAT | 1u << CRASHFS_UNLINKAT,
		.error = 5,
		.mode = CRASHFS_NOT_DONE,
		.repeat = true,
	};
	fsha_version v = { 0 };

	assert_int_equal(actor_add(&s->a, "k", "old"), FSHA_OK);
	crashfs_count_reset(s->disk);
	crashfs_fault_arm(s->disk, &fault);
	assert_int_equal(store_write_batch(s->a.store, changes, 2, &v, NULL, NULL), FSHA_E_INDOUBT);
	assert_int_equal(store_settle(s->a.store, "n", &v, NULL), FSHA_E_INDOUBT);
	crashfs_fault_clear(s->disk);
	assert_int_equal(store_settle(s->a.store, "n", &v, NULL), FSHA_E_NOT_FOUND);
	assert_false(term_in_doubt(s->a.term));
	assert_value(&s->a, "k", "old");
	assert_value(&s->a, "n", NULL);
}

static void a_batch_of_a_fenced_leader_never_appears(void **state)
{
	struct stage *s = *state;
	const struct store_change changes[] = {
		change(STORE_ADD, "a", "1"),
		change(STORE_ADD, "b", "2"),
	};

	assert_int_equal(actor_claim(&s->b), FSHA_OK);
	assert_int_equal(store_write_batch(s->a.store, changes, 2, NULL, NULL, &s->a.error),
			 FSHA_E_FENCED);
	assert_value(&s->b, "a", NULL);
	assert_int_equal(count_files(s, ""), 0);
}

/* ---- damage ---- */

/* The first pack in the directory; a bit flips at `at`, from the end when negative. */
static const char *damage_pack(struct stage *s, const fsha_version *v, long at)
{
	static char path[300], file[NAME_SIZE];
	const uint8_t *bytes;
	uint8_t *copy;
	size_t len;

	name_format("@pack", v, NAME_VALUE, file);
	(void)snprintf(path, sizeof(path), DIRECTORY "/%s", file);
	bytes = crashfs_cat(s->disk, path, &len);
	assert_non_null(bytes);
	copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	copy[at < 0 ? len - (size_t)-at : (size_t)at] ^= 1;
	crashfs_put(s->disk, path, copy, len);
	free(copy);
	store_forget(s->a.store);
	return file;
}

static void a_damaged_member_is_corrupt_alone_and_can_be_written_anew(void **state)
{
	struct stage *s = *state;
	const fsha_version v = add_two(s, "a", "b");
	const char *file = damage_pack(s, &v, -1); /* of "b", which lies last */
	struct actor *readers[] = { &s->a, &s->b };
	char text[64], **keys;
	size_t count;

	(void)add_two(s, "c", "d");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(actor_get(readers[i], "b", text), FSHA_E_CORRUPT);
		assert_non_null(strstr(readers[i]->error.message, file));
		assert_non_null(strstr(readers[i]->error.message, "job_graphs/b~"));
		assert_value(readers[i], "a", "1");
		assert_value(readers[i], "c", "1");
	}
	assert_int_equal(store_keys(s->b.store, &keys, &count, NULL), FSHA_OK);
	assert_int_equal(count, 4);
	fsu_release(s->b.fs, keys);
	assert_int_equal(actor_replace(&s->a, "b", "3"), FSHA_OK);
	assert_value(&s->b, "b", "3");
}

static void of_a_damaged_list_nobody_believes_an_older_value_or_an_absence(void **state)
{
	struct stage *s = *state;
	char text[64], path[300], **keys;
	const char *file;
	fsha_version v;
	size_t count;

	assert_int_equal(actor_add(&s->a, "a", "older"), FSHA_OK);
	assert_int_equal(actor_remove(&s->a, "a"), FSHA_OK);
	v = add_two(s, "a", "b");
	assert_int_equal(actor_add(&s->a, "newer", "1"), FSHA_OK);
	(void)add_two(s, "c", "d");
	file = damage_pack(s, &v, 130); /* within its list */
	/* What is newer cannot be in it. */
	assert_value(&s->b, "newer", "1");
	assert_value(&s->b, "c", "1");
	assert_int_equal(actor_get(&s->b, "a", text), FSHA_E_CORRUPT);
	assert_non_null(strstr(s->b.error.message, file));
	assert_int_equal(actor_get(&s->b, "never", text), FSHA_E_CORRUPT);
	assert_int_equal(store_keys(s->b.store, &keys, &count, &s->b.error), FSHA_E_CORRUPT);
	assert_non_null(strstr(s->b.error.message, file));
	/* The leader that wrote it still knows what was in it; the next one does not. */
	assert_value(&s->a, "never", NULL);
	lease_begin(&s->b.member->lease, fsu_now_ns(s->b.fs), 3600 * FSU_NS_PER_S);
	assert_int_equal(actor_claim(&s->b), FSHA_OK);
	assert_int_equal(actor_add(&s->b, "never", "1"), FSHA_E_CORRUPT);
	/* What asks for no present version goes past it. */
	assert_int_equal(actor_remove(&s->b, "a"), FSHA_OK);
	assert_value(&s->b, "a", NULL);
	assert_value(&s->b, "a", NULL);
	assert_int_equal(store_write(s->b.store, STORE_PUT, "b", NULL, "3", 1, NULL, NULL),
			 FSHA_OK);
	assert_value(&s->b, "b", "3");
	/* No tombstone goes: what it outdoes may be in there. */
	for (int i = 0; i < 4; i++) {
		crashfs_advance(s->disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
		store_clean(s->b.store);
	}
	assert_int_equal(count_files(s, "a~"), 1);
	assert_int_equal(count_files(s, file), 1);
	/* A person moves it away, and decides so to go on without it. */
	(void)snprintf(path, sizeof(path), DIRECTORY "/%s", file);
	crashfs_rm(s->disk, path);
	assert_value(&s->b, "never", NULL);
	assert_int_equal(actor_add(&s->b, "never", "1"), FSHA_OK);
}

static void a_pack_that_is_cut_off_loses_only_what_is_missing(void **state)
{
	struct stage *s = *state;
	const fsha_version v = add_two(s, "a", "b");
	char path[300], file[NAME_SIZE], text[64];
	const uint8_t *bytes;
	uint8_t *copy;
	size_t len;

	name_format("@pack", &v, NAME_VALUE, file);
	(void)snprintf(path, sizeof(path), DIRECTORY "/%s", file);
	bytes = crashfs_cat(s->disk, path, &len);
	copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	crashfs_put(s->disk, path, copy, len - 1);
	free(copy);
	assert_value(&s->b, "a", "1");
	assert_int_equal(actor_get(&s->b, "b", text), FSHA_E_CORRUPT);
	assert_non_null(strstr(s->b.error.message, file));
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
		TEST(a_batch_in_doubt_can_be_settled_as_done_by_any_of_its_keys),
		TEST(a_batch_in_doubt_can_be_settled_as_not_done),
		TEST(a_batch_of_a_fenced_leader_never_appears),
		TEST(a_damaged_member_is_corrupt_alone_and_can_be_written_anew),
		TEST(of_a_damaged_list_nobody_believes_an_older_value_or_an_absence),
		TEST(a_pack_that_is_cut_off_loses_only_what_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
