/* The contract of fsha_state_store_batch, and what clear does with it. */
#include "tests/test_state_fixture.h"

static fsha_state_change put(const char *name, const char *value)
{
	return (fsha_state_change){
		.how = FSHA_STATE_PUT,
		.name = name,
		.data = value,
		.size = value ? strlen(value) : 0,
	};
}

static void a_batch_of_every_kind_of_change_is_made_at_once(void **state)
{
	fsha_state_change changes[4];
	struct leading l;
	fsha_version v, expected;

	(void)state;
	lead(&l);
	expected = add(l.store, "replaced", "1");
	(void)add(l.store, "removed", "2");
	changes[0] = put("a/b c", "new");
	changes[1] = put("added", "3");
	changes[1].how = FSHA_STATE_ADD;
	changes[2] = put("replaced", "4");
	changes[2].how = FSHA_STATE_REPLACE;
	changes[2].expected = &expected;
	changes[3] = (fsha_state_change){ .how = FSHA_STATE_REMOVE, .name = "removed" };
	assert_ok(fsha_state_store_batch(l.store, changes, 4, &v, NULL, &t.error));
	assert_value(l.store, "a/b c", "new");
	assert_value(l.store, "added", "3");
	assert_value(l.store, "replaced", "4");
	expected = version_of(l.store, "replaced");
	assert_int_equal(fsha_version_compare(&expected, &v), 0);
	expected = version_of(l.store, "removed");
	assert_false(fsha_version_is_existing(&expected));
	done(&l);
}

static void a_change_that_may_not_be_made_stops_all_and_is_told(void **state)
{
	fsha_state_change changes[2];
	struct leading l;
	fsha_version v;
	size_t failed = 99;

	(void)state;
	lead(&l);
	(void)add(l.store, "there", "1");
	changes[0] = put("new", "2");
	changes[1] = put("there", "3");
	changes[1].how = FSHA_STATE_ADD;
	assert_result(fsha_state_store_batch(l.store, changes, 2, NULL, &failed, &t.error),
		      FSHA_E_EXISTS);
	assert_int_equal(failed, 1);
	v = version_of(l.store, "new");
	assert_false(fsha_version_is_existing(&v));
	assert_value(l.store, "there", "1");
	done(&l);
}

static void wrong_changes_are_invalid_and_told_by_their_number(void **state)
{
	const fsha_version v = { .epoch = 1, .sequence = 1 };
	char long_name[FSHA_NAME_MAX + 2];
	fsha_state_change wrong[9];
	struct leading l;

	(void)state;
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	for (size_t i = 0; i < 9; i++)
		wrong[i] = put("name", "value");
	wrong[0].how = 4;
	wrong[1].reserved0 = 1;
	wrong[2].name = NULL;
	wrong[3].name = "";
	wrong[4].name = long_name;
	wrong[5].data = NULL;
	wrong[6].how = FSHA_STATE_REPLACE;
	wrong[7].expected = &v;
	wrong[8].how = FSHA_STATE_REMOVE;
	lead(&l);
	for (size_t i = 0; i < 9; i++) {
		const fsha_state_change changes[] = { put("fine", "1"), wrong[i] };
		size_t failed = 99;

		assert_result(fsha_state_store_batch(l.store, changes, 2, NULL, &failed, &t.error),
			      FSHA_E_INVALID);
		assert_int_equal(failed, 1);
	}
	assert_result(fsha_state_store_batch(NULL, wrong, 1, NULL, NULL, &t.error), FSHA_E_INVALID);
	assert_result(fsha_state_store_batch(l.store, NULL, 1, NULL, NULL, NULL), FSHA_E_INVALID);
	assert_int_equal(count_names("state", "", NULL), 0);
	done(&l);
}

static void a_batch_beyond_its_limits_is_invalid(void **state)
{
	fsha_state_change changes[2] = { put("a", "1"), put("b", "1") };
	struct leading l;
	size_t failed = 99;

	(void)state;
	lead(&l);
	/* Refused before any is looked at. */
	assert_result(fsha_state_store_batch(l.store, changes, FSHA_STATE_BATCH_MAX + 1, NULL,
					     &failed, &t.error),
		      FSHA_E_INVALID);
	assert_int_equal(failed, FSHA_STATE_BATCH_MAX + 1);
	changes[0].size = changes[1].size = FSHA_STATE_BATCH_SIZE_MAX / 2 + 1;
	assert_result(fsha_state_store_batch(l.store, changes, 2, NULL, &failed, &t.error),
		      FSHA_E_INVALID);
	assert_int_equal(failed, 2);
	assert_ok(fsha_state_store_batch(l.store, changes, 0, NULL, NULL, &t.error));
	assert_int_equal(count_names("state", "", NULL), 0);
	done(&l);
}

static void without_leadership_a_batch_is_refused(void **state)
{
	const fsha_state_change changes[] = { put("a", "1"), put("b", "1") };
	fsha_services *s = open_services();
	fsha_state_store *store = open_store(s);

	(void)state;
	assert_result(fsha_state_store_batch(store, changes, 2, NULL, NULL, &t.error),
		      FSHA_E_NOT_LEADER);
	fsha_state_store_close(store);
	close_services(s);
}

#define MANY 300

static int check_entry(void *ctx, const fsha_state_entry *entry)
{
	char expected[16];
	size_t *n = ctx;

	(void)snprintf(expected, sizeof(expected), "%04zu", (*n)++);
	assert_int_equal(entry->result, FSHA_OK);
	assert_string_equal(entry->name, expected);
	assert_string_equal(entry->data, expected);
	return 0;
}

static void many_small_values_are_put_read_and_cleared_as_one(void **state)
{
	static char names[MANY][16];
	static fsha_state_change changes[MANY];
	fsha_services *other = open_services();
	fsha_state_store *reader = open_store(other);
	struct leading l;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%04zu", i);
		changes[i] = put(names[i], names[i]);
	}
	lead(&l);
	assert_ok(fsha_state_store_batch(l.store, changes, MANY, NULL, NULL, &t.error));
	assert_ok(fsha_state_store_get_all(reader, check_entry, &n, &t.error));
	assert_int_equal(n, MANY);
	assert_ok(fsha_state_store_clear(l.store, &t.error));
	n = 0;
	assert_ok(fsha_state_store_get_all(reader, check_entry, &n, &t.error));
	assert_int_equal(n, 0);
	fsha_state_store_close(reader);
	close_services(other);
	done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_batch_of_every_kind_of_change_is_made_at_once),
		TEST(a_change_that_may_not_be_made_stops_all_and_is_told),
		TEST(wrong_changes_are_invalid_and_told_by_their_number),
		TEST(a_batch_beyond_its_limits_is_invalid),
		TEST(without_leadership_a_batch_is_refused),
		TEST(many_small_values_are_put_read_and_cleared_as_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
