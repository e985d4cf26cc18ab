/* Workers as values, their payloads, and the order of task ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fsha/fsha.h"
#include "src/worker/worker.h"

#define SPEC "docker run flink-taskmanager"

static fsha_worker sample(void)
{
	fsha_worker new, launched;

	assert_int_equal(fsha_worker_init(&new, "taskmanager-00001", SPEC, sizeof(SPEC)), FSHA_OK);
	assert_int_equal(fsha_worker_launch(&new, "slave-7", "node-b", &launched), FSHA_OK);
	return launched;
}

static void a_new_worker_has_neither_slave_nor_host(void **state)
{
	fsha_worker w;

	(void)state;
	assert_int_equal(fsha_worker_init(&w, "t", SPEC, sizeof(SPEC)), FSHA_OK);
	assert_string_equal(w.task_id, "t");
	assert_int_equal(w.state, FSHA_WORKER_NEW);
	assert_null(w.slave_id);
	assert_null(w.hostname);
	assert_int_equal(w.launchable_size, sizeof(SPEC));
}

static void transitions_make_other_values_and_leave_the_old_one(void **state)
{
	fsha_worker launched = sample(), released, again;

	(void)state;
	assert_int_equal(launched.state, FSHA_WORKER_LAUNCHED);
	assert_int_equal(fsha_worker_release(&launched, &released), FSHA_OK);
	assert_int_equal(released.state, FSHA_WORKER_RELEASED);
	assert_string_equal(released.slave_id, "slave-7"); /* kept, as in Flink */
	assert_string_equal(released.hostname, "node-b");
	assert_int_equal(launched.state, FSHA_WORKER_LAUNCHED);
	assert_int_equal(fsha_worker_with_state(&released, FSHA_WORKER_NEW, &again), FSHA_OK);
	assert_int_equal(again.state, FSHA_WORKER_NEW);
	/* In place. */
	assert_int_equal(fsha_worker_with_state(&again, FSHA_WORKER_RELEASED, &again), FSHA_OK);
	assert_int_equal(again.state, FSHA_WORKER_RELEASED);
}

static void workers_are_equal_when_all_but_their_times_are(void **state)
{
	fsha_worker a = sample(), b = sample();
	char spec[] = SPEC;

	(void)state;
	b.updated_ms = 5;
	b.launchable = spec;
	assert_true(fsha_worker_equal(&a, &b));
	assert_true(fsha_worker_equal(NULL, NULL));
	assert_false(fsha_worker_equal(&a, NULL));
	b.state = FSHA_WORKER_RELEASED;
	assert_false(fsha_worker_equal(&a, &b));
	b = sample();
	b.hostname = NULL;
	assert_false(fsha_worker_equal(&a, &b));
	assert_false(fsha_worker_equal(&b, &a));
	b = sample();
	b.slave_id = "slave-8";
	assert_false(fsha_worker_equal(&a, &b));
	b = sample();
	b.task_id = "t";
	assert_false(fsha_worker_equal(&a, &b));
	b = sample();
	spec[0]++;
	b.launchable = spec;
	assert_false(fsha_worker_equal(&a, &b));
	b.launchable_size--;
	assert_false(fsha_worker_equal(&a, &b));
}

static void a_copy_depends_on_nothing(void **state)
{
	char id[] = "t", slave[] = "s", host[] = "h", spec[] = "x";
	fsha_worker w, *copy = NULL;

	(void)state;
	assert_int_equal(fsha_worker_init(&w, id, spec, 1), FSHA_OK);
	assert_int_equal(fsha_worker_launch(&w, slave, host, &w), FSHA_OK);
	w.updated_ms = 77;
	assert_int_equal(fsha_worker_copy(&w, &copy, NULL), FSHA_OK);
	assert_true(fsha_worker_equal(&w, copy));
	assert_int_equal(copy->updated_ms, 77);
	id[0] = slave[0] = host[0] = spec[0] = '?';
	assert_string_equal(copy->task_id, "t");
	assert_string_equal(copy->slave_id, "s");
	assert_string_equal(copy->hostname, "h");
	assert_memory_equal(copy->launchable, "x", 1);
	fsha_free(copy);
}

static void states_have_names_in_any_case(void **state)
{
	fsha_worker_state s = FSHA_WORKER_NEW;

	(void)state;
	assert_string_equal(fsha_worker_state_name(FSHA_WORKER_LAUNCHED), "Launched");
	assert_string_equal(fsha_worker_state_name(3), "unknown");
	assert_string_equal(fsha_worker_state_name(-1), "unknown");
	assert_int_equal(fsha_worker_state_parse("released", &s), FSHA_OK);
	assert_int_equal(s, FSHA_WORKER_RELEASED);
	assert_int_equal(fsha_worker_state_parse("New", &s), FSHA_OK);
	assert_int_equal(s, FSHA_WORKER_NEW);
	assert_int_equal(fsha_worker_state_parse("Gone", &s), FSHA_E_INVALID);
	assert_int_equal(fsha_worker_state_parse(NULL, &s), FSHA_E_INVALID);
}

static void recovery_info_says_what_to_do_in_each_state(void **state)
{
	static const int32_t actions[] = { FSHA_WORKER_RETRY_LAUNCH, FSHA_WORKER_RECONCILE,
					   FSHA_WORKER_CLEAN_UP };
	fsha_worker_recovery_info info = { .struct_size = sizeof(info) };
	fsha_worker w = sample();

	(void)state;
	w.updated_ms = 1234;
	for (int32_t i = FSHA_WORKER_NEW; i <= FSHA_WORKER_RELEASED; i++) {
		w.state = i;
		assert_int_equal(fsha_worker_recover_info(&w, &info), FSHA_OK);
		assert_string_equal(info.task_id, w.task_id);
		assert_int_equal(info.last_known_state, i);
		assert_int_equal(info.last_update_ms, 1234);
		assert_int_equal(info.requires_reconciliation, i == FSHA_WORKER_LAUNCHED);
		assert_int_equal(info.action, actions[i]);
	}
	w.state = 3;
	assert_int_equal(fsha_worker_recover_info(&w, &info), FSHA_E_INVALID);
	w.state = 0;
	info.struct_size--;
	assert_int_equal(fsha_worker_recover_info(&w, &info), FSHA_E_INVALID);
	assert_int_equal(fsha_worker_recover_info(NULL, &info), FSHA_E_INVALID);
	assert_int_equal(fsha_worker_recover_info(&w, NULL), FSHA_E_INVALID);
}

static void null_arguments_are_refused(void **state)
{
	fsha_worker w = sample(), bad, *copy;

	(void)state;
	assert_int_equal(fsha_worker_init(NULL, "t", NULL, 0), FSHA_E_INVALID);
	assert_int_equal(fsha_worker_init(&bad, NULL, NULL, 0), FSHA_E_INVALID);
	assert_int_equal(fsha_worker_init(&bad, "t", NULL, 1), FSHA_E_INVALID);
	assert_int_equal(fsha_worker_with_state(NULL, FSHA_WORKER_NEW, &bad), FSHA_E_INVALID);
	assert_int_equal(fsha_worker_with_state(&w, FSHA_WORKER_NEW, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_worker_with_state(&w, (fsha_worker_state)7, &bad), FSHA_E_INVALID);
	assert_int_equal(fsha_worker_launch(NULL, "s", "h", &bad), FSHA_E_INVALID);
	assert_int_equal(fsha_worker_release(&w, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_worker_copy(NULL, &copy, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_worker_copy(&w, NULL, NULL), FSHA_E_INVALID);
	w.struct_size = 8;
	assert_int_equal(fsha_worker_with_state(&w, FSHA_WORKER_NEW, &bad), FSHA_E_INVALID);
}

/* ---- fit to be stored ---- */

static void assert_unfit(const fsha_worker *w, const char *part)
{
	fsha_error error = FSHA_ERROR_INIT;

	assert_int_equal(worker_check(w, &error), FSHA_E_INVALID);
	if (!strstr(error.message, part))
		fail_msg("'%s' is not in '%s'", part, error.message);
}

static void unfit_workers_are_refused_and_named(void **state)
{
	char *large = calloc(1, FSHA_LAUNCHABLE_MAX + 1), text[FSHA_HOSTNAME_MAX + 2];
	fsha_worker w;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	w = sample();
	assert_int_equal(worker_check(&w, NULL), FSHA_OK);
	assert_unfit(NULL, "NULL");
	w.struct_size = 0;
	assert_unfit(&w, "unknown size");
	w = sample();
	w.task_id = "";
	assert_unfit(&w, "empty");
	w.task_id = NULL;
	assert_unfit(&w, "empty");
	w.task_id = "\xff";
	assert_unfit(&w, "no UTF-8");
	w.task_id = text;
	assert_unfit(&w, "too long");
	w = sample();
	w.state = 3;
	assert_unfit(&w, "'taskmanager-00001': there is no such state");
	w = sample();
	w.reserved0 = 1;
	assert_unfit(&w, "reserved");
	w = sample();
	w.launchable = NULL;
	assert_unfit(&w, "specification is NULL");
	w = sample();
	w.launchable = large;
	w.launchable_size = FSHA_LAUNCHABLE_MAX;
	assert_int_equal(worker_check(&w, NULL), FSHA_OK);
	w.launchable_size++;
	assert_unfit(&w, "1 MiB");
	w = sample();
	w.slave_id = "";
	assert_unfit(&w, "empty");
	w.slave_id = text;
	assert_unfit(&w, "too long");
	text[FSHA_SLAVE_ID_MAX] = '\0';
	assert_int_equal(worker_check(&w, NULL), FSHA_OK);
	w.hostname = "\xc0\x80";
	assert_unfit(&w, "no UTF-8");
	free(large);
}

/* ---- payloads ---- */

static void utf8_is_what_the_standard_says(void **state)
{
	static const char *const good[] = { "",
					    "a",
					    "\xc2\x80",
					    "\xe2\x82\xac",
					    "\xed\x9f\xbf",
					    "\xf0\x9f\x98\x80",
					    "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\x80",         "\xc1\xbf",         "\xc3",
					   "\xe0\x9f\xbf", "\xed\xa0\x80",     "\xf0\x8f\xbf\xbf",
					   "\xe2\x82",     "\xf4\x90\x80\x80", "\xf8\x88\x80\x80",
					   "\xe2\x28\xa1" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(utf8_is_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (utf8_is_valid(bad[i], strlen(bad[i])))
			fail_msg("text %zu passes", i);
	assert_false(utf8_is_valid("a\0b", 3));
}

static void a_payload_decodes_to_what_was_encoded(void **state)
{
	fsha_worker w = sample();
	size_t size = worker_encoded_size(&w);
	struct worker_fields f;
	uint8_t buf[256];

	(void)state;
	assert_true(size <= sizeof(buf));
	worker_encode(&w, -5, buf, size);
	assert_int_equal(worker_decode(buf, size, &f), 0);
	assert_int_equal(f.state, FSHA_WORKER_LAUNCHED);
	assert_int_equal(f.updated_ms, -5);
	assert_int_equal(f.slave_id_len, 7);
	assert_memory_equal(f.slave_id, "slave-7", 7);
	assert_int_equal(f.hostname_len, 6);
	assert_memory_equal(f.hostname, "node-b", 6);
	assert_int_equal(f.launchable_size, sizeof(SPEC));
	assert_memory_equal(f.launchable, SPEC, sizeof(SPEC));
}

/* Any cut, any byte more, and any change of a byte that makes sense to be refused. */
static void payloads_that_no_encoder_wrote_are_refused(void **state)
{
	fsha_worker w = sample();
	size_t size = worker_encoded_size(&w);
	struct worker_fields f;
	uint8_t buf[256];

	(void)state;
	worker_encode(&w, 1, buf, size);
	for (size_t len = 0; len < size; len++)
		assert_int_equal(worker_decode(buf, len, &f), -EBADMSG);
	buf[size] = 0;
	assert_int_equal(worker_decode(buf, size + 1, &f), -EBADMSG);
	buf[0] = 3; /* the state */
	assert_int_equal(worker_decode(buf, size, &f), -EBADMSG);
	buf[0] = 2;
	assert_int_equal(worker_decode(buf, size, &f), 0);
	buf[16] = 0xff; /* in the slave id */
	assert_int_equal(worker_decode(buf, size, &f), -EBADMSG);
	buf[16] = 0;
	assert_int_equal(worker_decode(buf, size, &f), -EBADMSG);
	buf[16] = 's';
	buf[14] = 1; /* its length */
	assert_int_equal(worker_decode(buf, size, &f), -EBADMSG);
}

static void framework_ids_decode_to_what_was_encoded(void **state)
{
	char id[FSHA_FRAMEWORK_ID_SIZE], back[FSHA_FRAMEWORK_ID_SIZE];
	uint8_t buf[FSHA_FRAMEWORK_ID_SIZE + 4];
	size_t len;

	(void)state;
	memset(id, 'f', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	len = framework_id_encode(id, buf);
	assert_int_equal(framework_id_decode(buf, len, back), 0);
	assert_string_equal(back, id);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(framework_id_decode(buf, i, back), -EBADMSG);
	len = framework_id_encode("", buf);
	assert_int_equal(framework_id_decode(buf, len, back), -EBADMSG);
	len = framework_id_encode("\xff", buf);
	assert_int_equal(framework_id_decode(buf, len, back), -EBADMSG);
}

static void counters_decode_to_what_was_encoded(void **state)
{
	uint8_t buf[COUNTER_SIZE + 1] = { 0 };
	uint64_t number = 0;

	(void)state;
	counter_encode(COUNTER_MAX, buf);
	assert_int_equal(counter_decode(buf, COUNTER_SIZE, &number), 0);
	assert_true(number == COUNTER_MAX);
	assert_int_equal(counter_decode(buf, COUNTER_SIZE - 1, &number), -EBADMSG);
	assert_int_equal(counter_decode(buf, COUNTER_SIZE + 1, &number), -EBADMSG);
	buf[7] = 0x80;
	assert_int_equal(counter_decode(buf, COUNTER_SIZE, &number), -EBADMSG);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(counter_decode(buf, COUNTER_SIZE, &number), -EBADMSG);
}

/* ---- task ids ---- */

static void task_ids_are_ordered_by_their_numbers(void **state)
{
	static const char *const order[] = { "a",
					     "a-2",
					     "a-10",
					     "a-10x",
					     "b",
					     "taskmanager-00002",
					     "taskmanager-00010",
					     "taskmanager-99999",
					     "taskmanager-100000",
					     "taskmanager-x" };
	size_t n = sizeof(order) / sizeof(order[0]);

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			int sign = worker_compare_ids(order[i], order[j]);

			sign = sign < 0 ? -1 : sign > 0;
			if (sign != (i < j ? -1 : i > j))
				fail_msg("'%s' and '%s': %d", order[i], order[j], sign);
		}
	assert_true(worker_compare_ids("7", "07") != 0);
}

static void only_our_own_task_ids_have_numbers(void **state)
{
	(void)state;
	assert_true(task_id_number("taskmanager-00042") == 42);
	assert_true(task_id_number("taskmanager-123456") == 123456);
	assert_true(task_id_number("taskmanager-") == 0);
	assert_true(task_id_number("taskmanager-1x") == 0);
	assert_true(task_id_number("taskmanager--1") == 0);
	assert_true(task_id_number("worker-00042") == 0);
	assert_true(task_id_number("taskmanager-99999999999999999999999") == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_worker_has_neither_slave_nor_host),
		cmocka_unit_test(transitions_make_other_values_and_leave_the_old_one),
		cmocka_unit_test(workers_are_equal_when_all_but_their_times_are),
		cmocka_unit_test(a_copy_depends_on_nothing),
		cmocka_unit_test(states_have_names_in_any_case),
		cmocka_unit_test(recovery_info_says_what_to_do_in_each_state),
		cmocka_unit_test(null_arguments_are_refused),
		cmocka_unit_test(unfit_workers_are_refused_and_named),
		cmocka_unit_test(utf8_is_what_the_standard_says),
		cmocka_unit_test(a_payload_decodes_to_what_was_encoded),
		cmocka_unit_test(payloads_that_no_encoder_wrote_are_refused),
		cmocka_unit_test(framework_ids_decode_to_what_was_encoded),
		cmocka_unit_test(counters_decode_to_what_was_encoded),
		cmocka_unit_test(task_ids_are_ordered_by_their_numbers),
		cmocka_unit_test(only_our_own_task_ids_have_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
