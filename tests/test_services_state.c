/* The contract of fsha/state.h, call by call and result by result. */
#include "tests/test_state_fixture.h"

/* ---- values ---- */

static void what_was_added_is_read_back(void **state)
{
	fsha_version added, got;
	struct leading l;
	size_t size;
	void *data;

	(void)state;
	lead(&l);
	added = add(l.store, "name", "value");
	assert_ok(fsha_state_store_get(l.store, "name", &data, &size, &got, &t.error));
	assert_int_equal(size, 5);
	assert_string_equal(data, "value");
	fsha_free(data);
	assert_int_equal(fsha_version_compare(&added, &got), 0);
	got = version_of(l.store, "name");
	assert_int_equal(fsha_version_compare(&added, &got), 0);
	assert_int_equal(added.epoch, l.player.epoch);
	done(&l);
}

static void an_empty_value_is_a_value(void **state)
{
	struct leading l;

	(void)state;
	lead(&l);
	assert_ok(fsha_state_store_add(l.store, "name", NULL, 0, NULL, &t.error));
	assert_value(l.store, "name", "");
	done(&l);
}

static void a_large_value_comes_back_as_it_was(void **state)
{
	const size_t size = 3 * 1024 * 1024;
	uint8_t *value = malloc(size), *data = NULL;
	uint64_t x = 88172645463325252u;
	struct leading l;
	size_t got;

	(void)state;
	assert_non_null(value);
	/* One half deflates, the other does not. */
	for (size_t i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		value[i] = i < size / 2 ? (uint8_t)(i >> 12) : (uint8_t)x;
	}
	lead(&l);
	assert_ok(fsha_state_store_add(l.store, "name", value, size, NULL, &t.error));
	assert_ok(fsha_state_store_get(l.store, "name", (void **)&data, &got, NULL, &t.error));
	assert_int_equal(got, size);
	assert_memory_equal(data, value, size);
	fsha_free(data);
	free(value);
	done(&l);
}

static void a_value_that_is_too_large_is_invalid(void **state)
{
	struct leading l;

	(void)state;
	lead(&l);
	/* Refused by its size before a byte of it is looked at. */
	assert_result(fsha_state_store_add(l.store, "name", "x", FSHA_STATE_VALUE_MAX + 1, NULL,
					   &t.error),
		      FSHA_E_INVALID);
	assert_int_equal(count_names("state", "", NULL), 0);
	done(&l);
}

static void another_process_reads_what_the_leader_wrote(void **state)
{
	fsha_services *other = open_services();
	fsha_state_store *reader = open_store(other);
	struct leading l;
	fsha_version v;

	(void)state;
	lead(&l);
	v = version_of(reader, "name");
	assert_false(fsha_version_is_existing(&v));
	v = add(l.store, "name", "one");
	assert_value(reader, "name", "one");
	assert_ok(fsha_state_store_replace(l.store, "name", &v, "two", 3, NULL, &t.error));
	assert_value(reader, "name", "two");
	assert_ok(fsha_state_store_remove(l.store, "name", NULL, &t.error));
	v = version_of(reader, "name");
	assert_false(fsha_version_is_existing(&v));
	fsha_state_store_close(reader);
	close_services(other);
	done(&l);
}

static void two_objects_of_one_process_see_each_others_writes(void **state)
{
	fsha_state_store *second;
	fsha_version first;
	struct leading l;

	(void)state;
	lead(&l);
	second = open_store(l.services);
	/* Both have looked, and know what is there. */
	first = add(l.store, "a", "x");
	(void)add(second, "b", "x");
	(void)add(l.store, "c", "x");
	assert_result(fsha_state_store_add(second, "c", "y", 1, NULL, &t.error), FSHA_E_EXISTS);
	assert_ok(fsha_state_store_replace(second, "a", &first, "y", 1, NULL, &t.error));
	assert_result(fsha_state_store_replace(l.store, "a", &first, "z", 1, NULL, &t.error),
		      FSHA_E_VERSION);
	assert_value(l.store, "a", "y");
	fsha_state_store_close(second);
	assert_value(l.store, "b", "x");
	done(&l);
}

/* ---- results ---- */

static void add_of_an_existing_name_is_exists(void **state)
{
	struct leading l;

	(void)state;
	lead(&l);
	(void)add(l.store, "name", "one");
	assert_refused(fsha_state_store_add(l.store, "name", "two", 3, NULL, &t.error),
		       FSHA_E_EXISTS, "name");
	assert_value(l.store, "name", "one");
	done(&l);
}

static void replace_of_an_unknown_name_is_not_found(void **state)
{
	fsha_version none = { 0 };
	struct leading l;

	(void)state;
	lead(&l);
	assert_result(fsha_state_store_replace(l.store, "name", &none, "x", 1, NULL, &t.error),
		      FSHA_E_NOT_FOUND);
	(void)add(l.store, "name", "one");
	assert_ok(fsha_state_store_remove(l.store, "name", NULL, &t.error));
	assert_result(fsha_state_store_replace(l.store, "name", &none, "x", 1, NULL, &t.error),
		      FSHA_E_NOT_FOUND);
	done(&l);
}

static void replace_of_an_older_version_is_version(void **state)
{
	fsha_version first, second;
	struct leading l;

	(void)state;
	lead(&l);
	first = add(l.store, "name", "one");
	assert_ok(fsha_state_store_replace(l.store, "name", &first, "two", 3, &second, &t.error));
	assert_true(fsha_version_compare(&second, &first) > 0);
	assert_result(fsha_state_store_replace(l.store, "name", &first, "three", 5, NULL, &t.error),
		      FSHA_E_VERSION);
	assert_value(l.store, "name", "two");
	done(&l);
}

static void get_of_an_unknown_name_is_not_found(void **state)
{
	struct leading l;
	size_t size;
	void *data;

	(void)state;
	lead(&l);
	assert_refused(fsha_state_store_get(l.store, "name", &data, &size, NULL, &t.error),
		       FSHA_E_NOT_FOUND, "name");
	(void)add(l.store, "name", "one");
	assert_ok(fsha_state_store_remove(l.store, "name", NULL, &t.error));
	assert_result(fsha_state_store_get(l.store, "name", &data, &size, NULL, &t.error),
		      FSHA_E_NOT_FOUND);
	done(&l);
}

static void remove_of_an_unknown_name_is_ok_and_writes_nothing(void **state)
{
	struct leading l;
	size_t before;

	(void)state;
	lead(&l);
	(void)add(l.store, "name", "one");
	before = count_names("state/ns", "", NULL);
	assert_ok(fsha_state_store_remove(l.store, "other", NULL, &t.error));
	assert_int_equal(count_names("state/ns", "", NULL), before);
	done(&l);
}

static void a_removed_name_can_be_added_again_with_a_higher_version(void **state)
{
	fsha_version first, removed, second;
	struct leading l;

	(void)state;
	lead(&l);
	first = add(l.store, "name", "one");
	assert_ok(fsha_state_store_remove(l.store, "name", &removed, &t.error));
	second = add(l.store, "name", "two");
	assert_true(fsha_version_compare(&removed, &first) > 0);
	assert_true(fsha_version_compare(&second, &removed) > 0);
	assert_value(l.store, "name", "two");
	done(&l);
}

static void wrong_arguments_are_invalid(void **state)
{
	fsha_state_store *store = NULL;
	struct leading l;

	(void)state;
	lead(&l);
	assert_result(fsha_state_store_add(l.store, "name", NULL, 1, NULL, &t.error),
		      FSHA_E_INVALID);
	assert_result(fsha_state_store_add(l.store, NULL, "x", 1, NULL, &t.error), FSHA_E_INVALID);
	assert_result(fsha_state_store_replace(l.store, "name", NULL, "x", 1, NULL, &t.error),
		      FSHA_E_INVALID);
	assert_result(fsha_state_store_exists(l.store, "name", NULL, &t.error), FSHA_E_INVALID);
	assert_result(fsha_state_store_open(l.services, "", ELECTION, &store, &t.error),
		      FSHA_E_INVALID);
	assert_result(fsha_state_store_open(l.services, "ns", "", &store, &t.error),
		      FSHA_E_INVALID);
	assert_null(store);
	done(&l);
}

/* ---- leadership ---- */

static void a_write_without_leadership_is_refused_and_leaves_no_trace(void **state)
{
	fsha_version version = { 0 };
	fsha_state_store *store;
	fsha_services *other;
	struct leading l;
	size_t before;

	(void)state;
	lead(&l);
	version = add(l.store, "name", "one");
	done(&l); /* what leaders do in the background is no trace of ours */
	other = open_services();
	store = open_store(other);
	before = count_tree();
	assert_refused(fsha_state_store_add(store, "new", "x", 1, NULL, &t.error),
		       FSHA_E_NOT_LEADER, ELECTION);
	assert_result(fsha_state_store_replace(store, "name", &version, "x", 1, NULL, &t.error),
		      FSHA_E_NOT_LEADER);
	assert_result(fsha_state_store_remove(store, "name", NULL, &t.error), FSHA_E_NOT_LEADER);
	assert_result(fsha_state_store_clear(store, &t.error), FSHA_E_NOT_LEADER);
	assert_int_equal(count_tree(), before);
	assert_value(store, "name", "one");
	fsha_state_store_close(store);
	close_services(other);
}

static void leading_another_election_is_no_leadership(void **state)
{
	fsha_state_store *store;
	struct leading l;

	(void)state;
	lead(&l);
	assert_ok(
		fsha_state_store_open(l.services, "theirs", "resource_manager", &store, &t.error));
	assert_refused(fsha_state_store_add(store, "new", "x", 1, NULL, &t.error),
		       FSHA_E_NOT_LEADER, "resource_manager");
	assert_int_equal(count_names("state", "", NULL), 0);
	fsha_state_store_close(store);
	done(&l);
}

static void a_namespace_of_another_election_is_refused_naming_both(void **state)
{
	fsha_state_store *store = NULL;
	struct leading l;
	fsha_result result;

	(void)state;
	lead(&l);
	(void)add(l.store, "name", "one");
	result = fsha_state_store_open(l.services, "ns", "resource_manager", &store, &t.error);
	assert_refused(result, FSHA_E_CONFIG, ELECTION);
	assert_non_null(strstr(t.error.message, "resource_manager"));
	assert_null(store);
	done(&l);
}

static void a_namespace_that_became_anothers_after_open_is_refused(void **state)
{
	fsha_state_store *theirs;
	fsha_version version;
	struct player p;
	struct leading l;

	(void)state;
	lead(&l);
	player_lead(&p, l.services, "resource_manager");
	assert_ok(fsha_state_store_open(l.services, "ns", "resource_manager", &theirs, &t.error));
	(void)add(l.store, "name", "one");
	assert_refused(fsha_state_store_add(theirs, "other", "x", 1, NULL, &t.error), FSHA_E_CONFIG,
		       ELECTION);
	assert_refused(fsha_state_store_exists(theirs, "name", &version, &t.error), FSHA_E_CONFIG,
		       ELECTION);
	version = version_of(l.store, "other");
	assert_false(fsha_version_is_existing(&version));
	fsha_state_store_close(theirs);
	player_close(&p);
	done(&l);
}

/* ---- walking ---- */

static void list_is_sorted_and_names_come_back_exactly(void **state)
{
	static const char *const sorted[] = { "%41", ".hidden", "A", "a b/c", "job~1", "name\n" };
	struct leading l;
	size_t count;
	char **names;

	(void)state;
	lead(&l);
	for (size_t i = 6; i > 0; i--)
		(void)add(l.store, sorted[i - 1], "x");
	assert_ok(fsha_state_store_list(l.store, &names, &count, &t.error));
	assert_int_equal(count, 6);
	for (size_t i = 0; i < 6; i++)
		assert_string_equal(names[i], sorted[i]);
	assert_null(names[6]);
	fsha_free(names);
	done(&l);
}

struct walk {
	char seen[256];
	int stop_after;
};

static int visit(void *ctx, const fsha_state_entry *entry)
{
	struct walk *w = ctx;
	size_t used = strlen(w->seen);

	(void)snprintf(w->seen + used, sizeof(w->seen) - used, "%s=%s(%zu);", entry->name,
		       entry->result == FSHA_OK ? (const char *)entry->data : "?", entry->size);
	return --w->stop_after == 0;
}

static void get_all_hands_over_every_entry_in_order_of_names(void **state)
{
	/* The order is that of the names, not of their encodings: "b/" is written "b%2F". */
	static const char *const names[] = { "b/", "a", "b.", "c" };
	struct walk w = { .stop_after = 0 };
	struct leading l;

	(void)state;
	lead(&l);
	for (size_t i = 0; i < 4; i++)
		(void)add(l.store, names[i], "x");
	assert_ok(fsha_state_store_get_all(l.store, visit, &w, &t.error));
	assert_string_equal(w.seen, "a=x(1);b.=x(1);b/=x(1);c=x(1);");
	done(&l);
}

static void get_all_ends_when_the_visitor_says_so(void **state)
{
	struct walk w = { .stop_after = 2 };
	struct leading l;

	(void)state;
	lead(&l);
	for (const char *name = "abcd"; *name; name++)
		(void)add(l.store, (char[]){ *name, '\0' }, "x");
	assert_ok(fsha_state_store_get_all(l.store, visit, &w, &t.error));
	assert_string_equal(w.seen, "a=x(1);b=x(1);");
	done(&l);
}

static void the_owner_of_a_namespace_can_be_asked_for(void **state)
{
	char owner[FSHA_NAME_MAX + 1] = "unchanged";
	struct leading l;

	(void)state;
	lead(&l);
	assert_result(fsha_state_store_owner(l.services, "ns", owner, &t.error), FSHA_E_NOT_FOUND);
	assert_result(fsha_state_store_owner(NULL, "ns", owner, &t.error), FSHA_E_INVALID);
	assert_result(fsha_state_store_owner(l.services, NULL, owner, &t.error), FSHA_E_INVALID);
	assert_result(fsha_state_store_owner(l.services, "", owner, &t.error), FSHA_E_INVALID);
	assert_result(fsha_state_store_owner(l.services, "ns", NULL, &t.error), FSHA_E_INVALID);
	assert_string_equal(owner, "unchanged");
	assert_ok(fsha_state_store_add(l.store, "k", "x", 1, NULL, &t.error));
	assert_ok(fsha_state_store_owner(l.services, "ns", owner, &t.error));
	assert_string_equal(owner, ELECTION);
	done(&l);
}

static void an_empty_store_lists_nothing_and_makes_nothing(void **state)
{
	struct walk w = { .stop_after = 0 };
	struct leading l;
	size_t count = 9;
	char **names;

	(void)state;
	lead(&l);
	assert_ok(fsha_state_store_list(l.store, &names, &count, &t.error));
	assert_int_equal(count, 0);
	assert_null(names[0]);
	fsha_free(names);
	assert_ok(fsha_state_store_get_all(l.store, visit, &w, &t.error));
	assert_string_equal(w.seen, "");
	assert_ok(fsha_state_store_clear(l.store, &t.error));
	assert_int_equal(count_names("state", "", NULL), 0);
	done(&l);
}

static void clear_removes_every_name(void **state)
{
	struct leading l;
	fsha_version v;
	size_t count;
	char **names;

	(void)state;
	lead(&l);
	for (const char *name = "abc"; *name; name++)
		(void)add(l.store, (char[]){ *name, '\0' }, "x");
	assert_ok(fsha_state_store_clear(l.store, &t.error));
	assert_ok(fsha_state_store_list(l.store, &names, &count, &t.error));
	assert_int_equal(count, 0);
	fsha_free(names);
	v = version_of(l.store, "b");
	assert_false(fsha_version_is_existing(&v));
	done(&l);
}

static void release_keeps_the_entry(void **state)
{
	struct leading l;

	(void)state;
	lead(&l);
	(void)add(l.store, "name", "one");
	assert_ok(fsha_state_store_release(l.store, "name", &t.error));
	assert_value(l.store, "name", "one");
	assert_ok(fsha_state_store_release(l.store, "unknown", &t.error));
	assert_ok(fsha_state_store_release_all(l.store, &t.error));
	assert_value(l.store, "name", "one");
	done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_added_is_read_back),
		TEST(an_empty_value_is_a_value),
		TEST(a_large_value_comes_back_as_it_was),
		TEST(a_value_that_is_too_large_is_invalid),
		TEST(another_process_reads_what_the_leader_wrote),
		TEST(two_objects_of_one_process_see_each_others_writes),
		TEST(add_of_an_existing_name_is_exists),
		TEST(replace_of_an_unknown_name_is_not_found),
		TEST(replace_of_an_older_version_is_version),
		TEST(get_of_an_unknown_name_is_not_found),
		TEST(remove_of_an_unknown_name_is_ok_and_writes_nothing),
		TEST(a_removed_name_can_be_added_again_with_a_higher_version),
		TEST(wrong_arguments_are_invalid),
		TEST(a_write_without_leadership_is_refused_and_leaves_no_trace),
		TEST(leading_another_election_is_no_leadership),
		TEST(a_namespace_of_another_election_is_refused_naming_both),
		TEST(a_namespace_that_became_anothers_after_open_is_refused),
		TEST(list_is_sorted_and_names_come_back_exactly),
		TEST(get_all_hands_over_every_entry_in_order_of_names),
		TEST(get_all_ends_when_the_visitor_says_so),
		TEST(the_owner_of_a_namespace_can_be_asked_for),
		TEST(an_empty_store_lists_nothing_and_makes_nothing),
		TEST(clear_removes_every_name),
		TEST(release_keeps_the_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
