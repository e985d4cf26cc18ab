/*
 * Removal in two steps (fsha_state_store_release_and_try_remove): a value and what it points to go
 * together or not at all, whoever is interrupted, and a marked entry exists for nobody.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/holder.h"

#define ELECTION "dispatcher"
#define DIRECTORY "/c/state/ns"

struct stage {
	struct crashfs *disk;
	struct holder h;
	fsha_state_store *store;
	fsha_error error;
	/* The discard function's. */
	unsigned discards;
	fsha_result answer;
	const char *message;
	char name[64], value[64];
	fsha_state_store *reenter; /* it asks this store */
	fsha_result reentered;
};

static fsha_result discard(void *ctx, const char *name, const void *data, size_t size,
			   fsha_error *reterr)
{
	struct stage *s = ctx;
	fsha_version v;

	s->discards++;
	(void)snprintf(s->name, sizeof(s->name), "%s", name);
	(void)snprintf(s->value, sizeof(s->value), "%.*s", (int)size, (const char *)data);
	if (s->answer != FSHA_OK && s->message)
		(void)snprintf(reterr->message, sizeof(reterr->message), "%s", s->message);
	if (s->reenter)
		s->reentered = fsha_state_store_exists(s->reenter, name, &v, &s->error);
	return s->answer;
}

static void open_store(struct stage *s)
{
	assert_int_equal(fsha_state_store_open(s->h.services, "ns", ELECTION, &s->store, &s->error),
			 FSHA_OK);
	assert_int_equal(fsha_state_store_set_discard(s->store, discard, s, &s->error), FSHA_OK);
}

static int setup(void **state)
{
	const struct crashfs_options options = { .seed = 1 };
	struct stage *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->error = (fsha_error)FSHA_ERROR_INIT;
	s->disk = crashfs_create(&options);
	holder_start(&s->h, s->disk, 0, ELECTION);
	open_store(s);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct stage *s = *state;

	fsha_state_store_close(s->store);
	holder_stop(&s->h);
	assert_int_equal(crashfs_open_fds(s->disk, 0), 0);
	assert_int_equal(crashfs_open_fds(s->disk, 1), 0);
	assert_int_equal(crashfs_bytes_allocated(s->disk), 0);
	crashfs_destroy(s->disk);
	free(s);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Another process takes over. */
static void succeed(struct stage *s)
{
	fsha_state_store_close(s->store);
	holder_stop(&s->h);
	holder_start(&s->h, s->disk, 1, ELECTION);
	open_store(s);
}

static void add(struct stage *s, const char *name, const char *value)
{
	fsha_result result =
		fsha_state_store_add(s->store, name, value, strlen(value), NULL, &s->error);

	if (result != FSHA_OK)
		fail_msg("add: %s", s->error.message);
}

static fsha_result release(struct stage *s, const char *name)
{
	int removed = 7;
	fsha_result result =
		fsha_state_store_release_and_try_remove(s->store, name, &removed, &s->error);

	assert_int_equal(removed, result == FSHA_OK);
	return result;
}

/* A failed discard leaves `name` marked. */
static void mark(struct stage *s, const char *name, const char *value)
{
	add(s, name, value);
	s->answer = FSHA_E_IO;
	assert_int_equal(release(s, name), FSHA_E_IO);
	s->answer = FSHA_OK;
	s->discards = 0;
}

static bool has_value(struct stage *s, const char *name, const char *value)
{
	fsha_result result;
	void *data = NULL;
	size_t size;
	bool same;

	result = fsha_state_store_get(s->store, name, &data, &size, NULL, &s->error);
	if (result != FSHA_OK) {
		assert_int_equal(result, FSHA_E_NOT_FOUND);
		return false;
	}
	same = strcmp(data, value) == 0;
	fsu_release(s->h.fs, data);
	return same;
}

/* 'm' marked, 'v' a value, ' ' nothing. */
static char form_of(struct stage *s, const char *name)
{
	fsha_state_handle *handles;
	size_t count;
	char form = ' ';

	assert_int_equal(fsha_state_store_get_all_handles(s->store, &handles, &count, &s->error),
			 FSHA_OK);
	for (size_t i = 0; i < count; i++)
		if (strcmp(handles[i].name, name) == 0)
			form = handles[i].marked ? 'm' : 'v';
	fsu_release(s->h.fs, handles);
	return form;
}

static bool says(const struct stage *s, const char *part)
{
	return strstr(s->error.message, part) != NULL;
}

/* ---- the way of a removal ---- */

static void what_a_value_points_to_is_discarded_with_it(void **state)
{
	struct stage *s = *state;

	add(s, "a", "file-1");
	assert_int_equal(release(s, "a"), FSHA_OK);
	assert_int_equal(s->discards, 1);
	assert_string_equal(s->name, "a");
	assert_string_equal(s->value, "file-1");
	assert_int_equal(form_of(s, "a"), ' ');
	add(s, "a", "file-2");
	assert_true(has_value(s, "a", "file-2"));
}

static void removing_what_is_not_there_is_done_and_discards_nothing(void **state)
{
	struct stage *s = *state;

	assert_int_equal(release(s, "never"), FSHA_OK);
	add(s, "a", "file-1");
	assert_int_equal(release(s, "a"), FSHA_OK);
	assert_int_equal(release(s, "a"), FSHA_OK);
	assert_int_equal(s->discards, 1);
}

static void a_failed_discard_is_reported_and_leaves_the_entry_marked(void **state)
{
	struct stage *s = *state;

	add(s, "a", "file-1");
	s->answer = FSHA_E_TIMEOUT;
	s->message = "the object store is away";
	assert_int_equal(release(s, "a"), FSHA_E_TIMEOUT);
	assert_true(says(s, "state/ns/a"));
	assert_true(says(s, "the object store is away"));
	assert_int_equal(form_of(s, "a"), 'm');
	/* Without a word, or with a result that is none. */
	s->message = NULL;
	s->answer = (fsha_result)5;
	assert_int_equal(release(s, "a"), FSHA_E_IO);
	assert_int_equal(form_of(s, "a"), 'm');
}

static void the_next_removal_goes_on_with_the_value_as_it_was(void **state)
{
	struct stage *s = *state;

	mark(s, "a", "file-1");
	s->value[0] = '\0';
	assert_int_equal(release(s, "a"), FSHA_OK);
	assert_int_equal(s->discards, 1);
	assert_string_equal(s->value, "file-1");
	assert_int_equal(form_of(s, "a"), ' ');
}

static void the_next_leader_goes_on(void **state)
{
	struct stage *s = *state;

	mark(s, "a", "file-1");
	succeed(s);
	assert_int_equal(form_of(s, "a"), 'm');
	assert_int_equal(release(s, "a"), FSHA_OK);
	assert_int_equal(s->discards, 1);
	assert_string_equal(s->value, "file-1");
	succeed(s);
	assert_int_equal(form_of(s, "a"), ' ');
}

static void discard_runs_without_a_lock_of_the_store(void **state)
{
	struct stage *s = *state;

	add(s, "a", "file-1");
	s->reenter = s->store;
	s->reentered = FSHA_E_STATE;
	assert_int_equal(release(s, "a"), FSHA_OK);
	assert_int_equal(s->reentered, FSHA_OK);
}

static fsha_result finish_first(void *ctx, const char *name, const void *data, size_t size,
				fsha_error *reterr)
{
	struct stage *s = ctx;

	(void)data;
	(void)size;
	(void)reterr;
	/* What another thread may do just now. */
	if (s->discards++ == 0) {
		assert_int_equal(release(s, name), FSHA_OK);
		add(s, name, "file-2");
	}
	return FSHA_OK;
}

static void a_value_added_while_it_was_removed_stays(void **state)
{
	struct stage *s = *state;

	assert_int_equal(fsha_state_store_set_discard(s->store, finish_first, s, NULL), FSHA_OK);
	add(s, "a", "file-1");
	assert_int_equal(release(s, "a"), FSHA_OK);
	assert_int_equal(s->discards, 2);
	assert_true(has_value(s, "a", "file-2"));
}

/* ---- what a marked entry is to others ---- */

static int count_entry(void *ctx, const fsha_state_entry *entry)
{
	(void)entry;
	++*(unsigned *)ctx;
	return 0;
}

static void a_marked_entry_exists_for_nobody_and_shows_among_the_handles(void **state)
{
	struct stage *s = *state;
	fsha_state_handle *handles;
	unsigned entries = 0;
	char **names, text[128];
	fsha_version v;
	size_t count;

	mark(s, "b", "file-1");
	add(s, "a", "x");
	add(s, "%c", "y"); /* its encoding comes before, its name too */
	assert_int_equal(fsha_state_store_exists(s->store, "b", &v, &s->error), FSHA_OK);
	assert_false(fsha_version_is_existing(&v));
	assert_false(has_value(s, "b", "file-1"));
	assert_int_equal(fsha_state_store_list(s->store, &names, &count, &s->error), FSHA_OK);
	assert_int_equal(count, 2);
	assert_string_equal(names[1], "a");
	assert_null(names[2]);
	fsu_release(s->h.fs, names);
	assert_int_equal(fsha_state_store_get_all(s->store, count_entry, &entries, &s->error),
			 FSHA_OK);
	assert_int_equal(entries, 2);
	assert_int_equal(fsha_state_store_get_all_handles(s->store, &handles, &count, &s->error),
			 FSHA_OK);
	assert_int_equal(count, 3);
	assert_string_equal(handles[0].name, "%c");
	assert_string_equal(handles[1].name, "a");
	assert_string_equal(handles[2].name, "b");
	assert_int_equal(handles[0].marked + handles[1].marked, 0);
	assert_int_equal(handles[2].marked, 1);
	assert_true(fsha_version_is_existing(&handles[2].version));
	fsu_release(s->h.fs, handles);
	assert_int_equal(fsha_state_store_to_string(s->store, text, sizeof(text)), FSHA_OK);
	assert_string_equal(text, "'state/ns' of election 'dispatcher': 3 entries, 1 of them being "
				  "removed");
}

static void add_of_a_marked_name_first_removes_it_to_the_end(void **state)
{
	struct stage *s = *state;

	mark(s, "a", "file-1");
	add(s, "a", "file-2");
	assert_int_equal(s->discards, 1);
	assert_string_equal(s->value, "file-1");
	assert_true(has_value(s, "a", "file-2"));
}

static void add_of_a_marked_name_fails_as_the_discard_does(void **state)
{
	struct stage *s = *state;

	mark(s, "a", "file-1");
	s->answer = FSHA_E_IO;
	assert_int_equal(fsha_state_store_add(s->store, "a", "file-2", 6, NULL, &s->error),
			 FSHA_E_IO);
	assert_int_equal(form_of(s, "a"), 'm');
}

static void add_of_a_live_name_discards_nothing(void **state)
{
	struct stage *s = *state;

	add(s, "a", "file-1");
	assert_int_equal(fsha_state_store_add(s->store, "a", "file-2", 6, NULL, &s->error),
			 FSHA_E_EXISTS);
	assert_int_equal(s->discards, 0);
	assert_true(has_value(s, "a", "file-1"));
}

static void replace_of_a_marked_name_is_not_found_and_finishes_the_removal(void **state)
{
	struct stage *s = *state;
	fsha_version v = { .epoch = 1 };

	mark(s, "a", "file-1");
	assert_int_equal(fsha_state_store_replace(s->store, "a", &v, "x", 1, NULL, &s->error),
			 FSHA_E_NOT_FOUND);
	assert_int_equal(s->discards, 1);
	assert_int_equal(form_of(s, "a"), ' ');
}

static void who_cannot_discard_leaves_a_marked_entry_and_says_what_to_do(void **state)
{
	struct stage *s = *state;

	mark(s, "a", "file-1");
	assert_int_equal(fsha_state_store_set_discard(s->store, NULL, NULL, NULL), FSHA_OK);
	assert_int_equal(release(s, "a"), FSHA_E_STATE);
	assert_true(says(s, "'state/ns/a'"));
	assert_int_equal(fsha_state_store_add(s->store, "a", "x", 1, NULL, &s->error),
			 FSHA_E_EXISTS);
	assert_true(says(s, "release_and_try_remove"));
	assert_int_equal(form_of(s, "a"), 'm');
	/* That is how to give it up. */
	assert_int_equal(fsha_state_store_remove(s->store, "a", NULL, &s->error), FSHA_OK);
	assert_int_equal(form_of(s, "a"), ' ');
	add(s, "a", "x");
}

static void without_a_discard_function_it_is_a_plain_removal(void **state)
{
	struct stage *s = *state;

	assert_int_equal(fsha_state_store_set_discard(s->store, NULL, NULL, NULL), FSHA_OK);
	add(s, "a", "x");
	assert_int_equal(release(s, "a"), FSHA_OK);
	assert_int_equal(form_of(s, "a"), ' ');
	assert_null(strstr(crashfs_ls(s->disk, DIRECTORY), ".mark"));
}

static void clear_takes_marked_entries_too_and_discards_nothing(void **state)
{
	struct stage *s = *state;

	mark(s, "a", "file-1");
	add(s, "b", "file-2");
	assert_int_equal(fsha_state_store_clear(s->store, &s->error), FSHA_OK);
	assert_int_equal(form_of(s, "a"), ' ');
	assert_int_equal(form_of(s, "b"), ' ');
	assert_int_equal(s->discards, 0);
	succeed(s);
	assert_int_equal(form_of(s, "a"), ' ');
}

/* ---- who may ---- */

static void without_leadership_nothing_is_marked_and_nothing_discarded(void **state)
{
	struct stage *s = *state;
	struct stage other = { .disk = s->disk, .error = FSHA_ERROR_INIT };

	mark(s, "a", "file-1");
	add(s, "b", "file-2");
	holder_start_reader(&other.h, s->disk, 1);
	open_store(&other);
	assert_int_equal(release(&other, "a"), FSHA_E_NOT_LEADER);
	assert_int_equal(release(&other, "b"), FSHA_E_NOT_LEADER);
	assert_int_equal(form_of(&other, "a"), 'm');
	assert_int_equal(other.discards, 0);
	fsha_state_store_close(other.store);
	holder_stop(&other.h);
}

static void a_leader_that_was_fenced_discards_nothing(void **state)
{
	struct stage *s = *state;
	struct stage next = { .disk = s->disk, .error = FSHA_ERROR_INIT };

	mark(s, "a", "file-1");
	add(s, "b", "file-2");
	holder_start(&next.h, s->disk, 1, ELECTION);
	/* Its clock stood still: it still thinks that it leads. */
	lease_begin(s->h.term->lease, fsu_now_ns(s->h.fs), 60 * FSU_NS_PER_S);
	assert_int_equal(release(s, "a"), FSHA_E_FENCED);
	assert_int_equal(release(s, "b"), FSHA_E_FENCED);
	assert_int_equal(s->discards, 0);
	open_store(&next);
	assert_int_equal(form_of(&next, "a"), 'm');
	assert_true(has_value(&next, "b", "file-2"));
	fsha_state_store_close(next.store);
	holder_stop(&next.h);
}

static void a_damaged_value_is_kept_since_nobody_knows_what_it_points_to(void **state)
{
	struct stage *s = *state;
	char path[512];
	const char *name;

	add(s, "a", "file-1");
	name = strstr(crashfs_ls(s->disk, DIRECTORY), "a~");
	assert_non_null(name);
	(void)snprintf(path, sizeof(path), DIRECTORY "/%.*s", (int)strcspn(name, "\n"), name);
	crashfs_put(s->disk, path, "rubbish", 7);
	assert_int_equal(release(s, "a"), FSHA_E_CORRUPT);
	assert_true(says(s, "state/ns/a~"));
	assert_int_equal(form_of(s, "a"), 'v');
	assert_int_equal(s->discards, 0);
	assert_int_equal(fsha_state_store_remove(s->store, "a", NULL, &s->error), FSHA_OK);
	assert_int_equal(form_of(s, "a"), ' ');
}

static void null_arguments_are_invalid(void **state)
{
	struct stage *s = *state;
	fsha_state_handle *handles;
	char text[8];
	size_t count;

	assert_int_equal(fsha_state_store_set_discard(NULL, discard, s, &s->error), FSHA_E_INVALID);
	assert_int_equal(fsha_state_store_release_and_try_remove(NULL, "a", NULL, &s->error),
			 FSHA_E_INVALID);
	assert_int_equal(release(s, NULL), FSHA_E_INVALID);
	assert_int_equal(release(s, ""), FSHA_E_INVALID);
	assert_int_equal(fsha_state_store_get_all_handles(NULL, &handles, &count, &s->error),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_state_store_get_all_handles(s->store, NULL, &count, &s->error),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_state_store_get_all_handles(s->store, &handles, NULL, &s->error),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_state_store_to_string(NULL, text, 8), FSHA_E_INVALID);
	assert_int_equal(fsha_state_store_to_string(s->store, NULL, 8), FSHA_E_INVALID);
	assert_int_equal(fsha_state_store_to_string(s->store, text, 0), FSHA_E_INVALID);
	assert_int_equal(fsha_state_store_to_string(s->store, text, 8), FSHA_OK);
	assert_string_equal(text, "'state/");
	assert_int_equal(fsha_state_store_release_and_try_remove(s->store, "a", NULL, NULL),
			 FSHA_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_value_points_to_is_discarded_with_it),
		TEST(removing_what_is_not_there_is_done_and_discards_nothing),
		TEST(a_failed_discard_is_reported_and_leaves_the_entry_marked),
		TEST(the_next_removal_goes_on_with_the_value_as_it_was),
		TEST(the_next_leader_goes_on),
		TEST(discard_runs_without_a_lock_of_the_store),
		TEST(a_value_added_while_it_was_removed_stays),
		TEST(a_marked_entry_exists_for_nobody_and_shows_among_the_handles),
		TEST(add_of_a_marked_name_first_removes_it_to_the_end),
		TEST(add_of_a_marked_name_fails_as_the_discard_does),
		TEST(add_of_a_live_name_discards_nothing),
		TEST(replace_of_a_marked_name_is_not_found_and_finishes_the_removal),
		TEST(who_cannot_discard_leaves_a_marked_entry_and_says_what_to_do),
		TEST(without_a_discard_function_it_is_a_plain_removal),
		TEST(clear_takes_marked_entries_too_and_discards_nothing),
		TEST(without_leadership_nothing_is_marked_and_nothing_discarded),
		TEST(a_leader_that_was_fenced_discards_nothing),
		TEST(a_damaged_value_is_kept_since_nobody_knows_what_it_points_to),
		TEST(null_arguments_are_invalid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
