/*
 * Results, errors, and the small values of the public interface as text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsha/election.h"
#include "src/result/error.h"

#define RESULT_LAST FSHA_E_NOMEM

static void every_result_has_a_name_and_a_text_of_its_own(void **state)
{
	(void)state;
	for (int i = FSHA_OK; i >= (int)RESULT_LAST; i--) {
		assert_string_not_equal(fsha_result_name(i), "UNKNOWN");
		assert_string_not_equal(fsha_result_text(i), "unknown result");
		for (int j = FSHA_OK; j > i; j--) {
			assert_string_not_equal(fsha_result_name(i), fsha_result_name(j));
			assert_string_not_equal(fsha_result_text(i), fsha_result_text(j));
		}
	}
}

static void number_that_is_no_result_is_called_unknown(void **state)
{
	static const int numbers[] = { 1, (int)RESULT_LAST - 1, INT32_MAX, INT32_MIN };

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		assert_string_equal(fsha_result_name(numbers[i]), "UNKNOWN");
		assert_string_equal(fsha_result_text(numbers[i]), "unknown result");
	}
}

static void error_tells_result_errno_call_and_message(void **state)
{
	fsha_error error = FSHA_ERROR_INIT;

	(void)state;
	error.maybe_done = 1;
	assert_int_equal(error_set(&error, FSHA_E_CORRUPT, 0, "decode", "cannot read '%s' at %d",
				   "leaders/x", 7),
			 FSHA_E_CORRUPT);
	assert_int_equal(error.result, FSHA_E_CORRUPT);
	assert_int_equal(error.os_errno, 0);
	assert_int_equal(error.maybe_done, 0);
	assert_string_equal(error.op, "decode");
	assert_string_equal(error.message, "cannot read 'leaders/x' at 7");
	assert_int_equal(error.struct_size, sizeof(error));
}

static void errno_stands_behind_the_message(void **state)
{
	fsha_error error = FSHA_ERROR_INIT;

	(void)state;
	(void)error_set(&error, FSHA_E_IO, ESTALE, "fsync", "cannot sync '%s'", "a");
	assert_string_equal(error.message, "cannot sync 'a': Stale file handle");
	(void)error_set(&error, FSHA_E_IO, 4711, "fsync", "cannot sync '%s'", "a");
	assert_string_equal(error.message, "cannot sync 'a': error 4711");
}

static void no_memory_is_told_apart_and_any_other_errno_is_io(void **state)
{
	static const int errnos[] = { EIO, ENOSPC, EACCES, ETIMEDOUT, ENOENT, EINTR };
	fsha_error error = FSHA_ERROR_INIT;

	(void)state;
	assert_int_equal(error_os(&error, -ENOMEM, "alloc", "x"), FSHA_E_NOMEM);
	assert_int_equal(error.os_errno, ENOMEM);
	for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++) {
		assert_int_equal(error_os(&error, -errnos[i], "write", "x"), FSHA_E_IO);
		assert_int_equal(error.result, FSHA_E_IO);
		assert_int_equal(error.os_errno, errnos[i]);
	}
}

static void nobody_has_to_want_the_error(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, FSHA_E_VERSION, 0, "x", "y"), FSHA_E_VERSION);
	assert_int_equal(error_os(NULL, -EIO, "x", "y"), FSHA_E_IO);
}

static void message_that_is_too_long_is_cut_off(void **state)
{
	struct {
		fsha_error error;
		char behind[8];
	} s = { FSHA_ERROR_INIT, "behind" };
	char text[2 * FSHA_MESSAGE_SIZE];

	(void)state;
	/* Around the place where the text of the errno would begin, too. */
	for (size_t len = FSHA_MESSAGE_SIZE - 30; len < FSHA_MESSAGE_SIZE + 30; len++) {
		memset(text, 'x', len);
		text[len] = '\0';
		memset(s.error.message, 'y', sizeof(s.error.message));
		(void)error_set(&s.error, FSHA_E_IO, ENOSPC, "write", "%s", text);
		assert_non_null(memchr(s.error.message, '\0', sizeof(s.error.message)));
		assert_memory_equal(s.error.message, text,
				    len < FSHA_MESSAGE_SIZE - 1 ? len : FSHA_MESSAGE_SIZE - 1);
		assert_string_equal(s.behind, "behind");
	}
}

static void error_can_be_made_of_its_own_message(void **state)
{
	fsha_error error = FSHA_ERROR_INIT;

	(void)state;
	(void)error_set(&error, FSHA_E_IO, 0, "open", "inner");
	(void)error_set(&error, FSHA_E_CONFIG, 0, error.op, "outer: %s", error.message);
	assert_string_equal(error.message, "outer: inner");
	assert_string_equal(error.op, "open");
}

static void copy_keeps_the_size_that_its_owner_knows(void **state)
{
	fsha_error from = FSHA_ERROR_INIT, to = FSHA_ERROR_INIT;

	(void)state;
	(void)error_set(&from, FSHA_E_FENCED, ENOENT, "rename", "over");
	from.maybe_done = 1;
	to.struct_size = 1234;
	assert_int_equal(error_copy(&to, &from), FSHA_E_FENCED);
	assert_int_equal(to.struct_size, 1234);
	assert_int_equal(to.result, FSHA_E_FENCED);
	assert_int_equal(to.os_errno, ENOENT);
	assert_int_equal(to.maybe_done, 1);
	assert_string_equal(to.message, from.message);
	assert_int_equal(error_copy(NULL, &from), FSHA_E_FENCED);
	assert_int_equal(error_copy(&to, NULL), FSHA_OK);
	assert_int_equal(to.result, FSHA_E_FENCED);
}

/* ---- UUIDs, job ids, versions ---- */

static const fsha_uuid some_uuid = { { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc,
				       0xba, 0x98, 0x76, 0x54, 0x32, 0x10 } };

static void error_tells_what_led_to_it_down_to_the_first(void **state)
{
	fsha_error first = FSHA_ERROR_INIT, second = FSHA_ERROR_INIT, third = FSHA_ERROR_INIT;

	(void)state;
	(void)error_os(&first, -EIO, "list", "cannot list 'a'");
	assert_string_equal(first.cause, "");
	assert_int_equal(first.cause_result, FSHA_OK);
	first.maybe_done = 1;
	assert_int_equal(error_wrap(&second, FSHA_E_INDOUBT, &first, "settle", "cannot tell %d", 7),
			 FSHA_E_INDOUBT);
	assert_int_equal(second.result, FSHA_E_INDOUBT);
	assert_string_equal(second.op, "settle");
	assert_string_equal(second.message, "cannot tell 7");
	assert_string_equal(second.cause, "IO: cannot list 'a': Input/output error");
	assert_int_equal(second.cause_result, FSHA_E_IO);
	assert_int_equal(second.os_errno, EIO);
	assert_int_equal(second.maybe_done, 1);
	(void)error_wrap(&third, FSHA_E_STATE, &second, "open", "not opened");
	assert_string_equal(
		third.cause,
		"INDOUBT: cannot tell 7; because of IO: cannot list 'a': Input/output error");
	assert_int_equal(third.cause_result, FSHA_E_INDOUBT);
	/* Its own cause, and nobody who wants to know. */
	(void)error_wrap(&first, FSHA_E_STATE, &first, "open", "%s", first.message);
	assert_string_equal(first.message, "cannot list 'a': Input/output error");
	assert_string_equal(first.cause, "IO: cannot list 'a': Input/output error");
	assert_int_equal(error_wrap(NULL, FSHA_E_STATE, &first, "open", "x"), FSHA_E_STATE);
	/* A new error has no cause. */
	(void)error_set(&third, FSHA_E_IO, 0, "open", "x");
	assert_string_equal(third.cause, "");
	assert_int_equal(third.cause_result, FSHA_OK);
}

static void cause_that_is_too_long_is_cut_off(void **state)
{
	fsha_error error = FSHA_ERROR_INIT;
	char text[FSHA_MESSAGE_SIZE];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)error_set(&error, FSHA_E_IO, 0, "op", "%s", text);
	for (int i = 0; i < 3; i++)
		(void)error_wrap(&error, FSHA_E_STATE, &error, "op", "%s", text);
	assert_int_equal(strlen(error.cause), FSHA_CAUSE_SIZE - 1);
}

static void error_of_a_program_without_causes_is_not_written_past_its_end(void **state)
{
	struct {
		fsha_error error;
		char behind[16];
	} old;
	const size_t size = offsetof(fsha_error, cause);
	fsha_error cause = FSHA_ERROR_INIT, other = FSHA_ERROR_INIT;
	const char *end = (const char *)&old.error + size;

	(void)state;
	memset(&old, '#', sizeof(old));
	old.error.struct_size = size;
	(void)error_set(&cause, FSHA_E_IO, 0, "list", "why");
	(void)error_set(&old.error, FSHA_E_IO, 0, "op", "a");
	assert_int_equal(*end, '#');
	(void)error_wrap(&old.error, FSHA_E_STATE, &cause, "op", "b");
	assert_int_equal(*end, '#');
	(void)error_wrap(&other, FSHA_E_STATE, &cause, "op", "c");
	(void)error_copy(&old.error, &other);
	assert_int_equal(*end, '#');
	assert_string_equal(old.error.message, "c");
	/* And back: it has none to give. */
	(void)error_copy(&other, &old.error);
	assert_string_equal(other.cause, "");
}

static void uuid_is_read_with_and_without_dashes_in_either_case(void **state)
{
	static const char *const forms[] = {
		"01234567-89ab-cdef-fedc-ba9876543210",
		"01234567-89AB-CDEF-FEDC-BA9876543210",
		"0123456789abcdeffedcba9876543210",
		"0123456789ABCDEFfedcba9876543210",
	};
	char text[FSHA_UUID_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		fsha_uuid uuid = { { 0 } };

		assert_int_equal(fsha_uuid_parse(forms[i], &uuid), FSHA_OK);
		assert_true(fsha_uuid_equal(&uuid, &some_uuid));
	}
	assert_string_equal(fsha_uuid_format(&some_uuid, text), forms[0]);
}

static void what_is_no_uuid_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"01234567-89ab-cdef-fedc-ba987654321",
		"01234567-89ab-cdef-fedc-ba98765432100",
		"01234567-89ab-cdef-fedc-ba987654321g",
		"01234567-89ab-cdef-fedcba9876543210",
		"0123456789ab-cdef-fedc-ba9876543210",
		"0123456-789ab-cdef-fedc-ba9876543210",
		"{01234567-89ab-cdef-fedc-ba9876543210}",
		" 0123456789abcdeffedcba9876543210",
		"0123456789abcdeffedcba9876543210\n",
	};
	fsha_uuid uuid = some_uuid;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(fsha_uuid_parse(wrong[i], &uuid), FSHA_E_INVALID);
	assert_int_equal(fsha_uuid_parse(NULL, &uuid), FSHA_E_INVALID);
	assert_int_equal(fsha_uuid_parse("0123456789abcdeffedcba9876543210", NULL), FSHA_E_INVALID);
	assert_true(fsha_uuid_equal(&uuid, &some_uuid));
}

static void only_the_uuid_of_zeros_is_null(void **state)
{
	fsha_uuid uuid = { { 0 } };

	(void)state;
	assert_true(fsha_uuid_is_null(&uuid));
	for (size_t i = 0; i < sizeof(uuid.bytes); i++) {
		uuid.bytes[i] = 1;
		assert_false(fsha_uuid_is_null(&uuid));
		uuid.bytes[i] = 0;
	}
}

static void job_id_is_32_digits_and_nothing_else(void **state)
{
	char text[FSHA_HEX_ID_TEXT];
	fsha_job_id id;

	(void)state;
	assert_int_equal(fsha_job_id_parse("0123456789ABCDEFfedcba9876543210", &id), FSHA_OK);
	assert_memory_equal(id.bytes, some_uuid.bytes, sizeof(id.bytes));
	assert_string_equal(fsha_job_id_format(&id, text), "0123456789abcdeffedcba9876543210");
	assert_int_equal(fsha_job_id_parse("01234567-89ab-cdef-fedc-ba9876543210", &id),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_job_id_parse("0123456789abcdeffedcba987654321", &id), FSHA_E_INVALID);
	assert_int_equal(fsha_job_id_parse("0123456789abcdeffedcba98765432100", &id),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_job_id_parse(NULL, &id), FSHA_E_INVALID);
}

static void job_election_is_named_after_the_job(void **state)
{
	static const fsha_job_id id = { { 0, 1, 0xab, [15] = 0xff } };
	char text[FSHA_ELECTION_JOB_TEXT];

	(void)state;
	assert_string_equal(fsha_job_election_name(&id, text),
			    "job-0001ab000000000000000000000000ff");
	assert_ptr_equal(fsha_job_election_name(&id, text), text);
}

static void version_comes_back_as_it_was_formatted(void **state)
{
	static const fsha_version version = { .epoch = 0x0123456789abcdef,
					      .sequence = UINT64_MAX,
					      .seat = 0xfe01 };
	char text[FSHA_VERSION_TEXT];
	fsha_version again;

	(void)state;
	assert_string_equal(fsha_version_format(&version, text),
			    "0123456789abcdef.ffffffffffffffff.fe01");
	assert_int_equal(fsha_version_parse(text, &again), FSHA_OK);
	assert_memory_equal(&again, &version, sizeof(version));
	assert_int_equal(fsha_version_parse("0123456789ABCDEF.ffffffffffffffff.fe01", &again),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_version_parse("0123456789abcdef.ffffffffffffffff.fe0", &again),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_version_parse("0123456789abcdef.ffffffffffffffff.fe011", &again),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_version_parse("0123456789abcdef:ffffffffffffffff.fe01", &again),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_version_parse(NULL, &again), FSHA_E_INVALID);
	assert_memory_equal(&again, &version, sizeof(version));
}

/* The order of versions is that of their texts, so a sorted listing is in the order of writing. */
static void versions_are_ordered_by_epoch_then_sequence_then_seat(void **state)
{
	static const fsha_version ascending[] = {
		{ .epoch = 0, .sequence = 0, .seat = 0 },
		{ .epoch = 0, .sequence = 0, .seat = UINT16_MAX },
		{ .epoch = 0, .sequence = 1, .seat = 0 },
		{ .epoch = 0, .sequence = UINT64_MAX, .seat = UINT16_MAX },
		{ .epoch = 1, .sequence = 0, .seat = 0 },
		{ .epoch = 16, .sequence = 9, .seat = 1 },
		{ .epoch = UINT64_MAX, .sequence = 0, .seat = 0 },
	};
	const size_t n = sizeof(ascending) / sizeof(ascending[0]);
	char a[FSHA_VERSION_TEXT], b[FSHA_VERSION_TEXT];

	(void)state;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			int order = fsha_version_compare(&ascending[i], &ascending[j]);
			int by_text = strcmp(fsha_version_format(&ascending[i], a),
					     fsha_version_format(&ascending[j], b));

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
			assert_int_equal((by_text > 0) - (by_text < 0), (i > j) - (i < j));
		}
	}
}

static void version_of_zeros_says_that_nothing_exists(void **state)
{
	static const fsha_version none, settings = { .sequence = 1 };

	(void)state;
	assert_false(fsha_version_is_existing(&none));
	assert_true(fsha_version_is_existing(&settings));
}

static void default_ids_are_zeros(void **state)
{
	fsha_job_id zeros;

	(void)state;
	assert_true(fsha_uuid_is_null(&FSHA_DEFAULT_LEADER_ID));
	assert_int_equal(fsha_job_id_parse("00000000000000000000000000000000", &zeros), FSHA_OK);
	assert_memory_equal(&FSHA_DEFAULT_JOB_ID, &zeros, sizeof(zeros));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_result_has_a_name_and_a_text_of_its_own),
		cmocka_unit_test(number_that_is_no_result_is_called_unknown),
		cmocka_unit_test(error_tells_result_errno_call_and_message),
		cmocka_unit_test(errno_stands_behind_the_message),
		cmocka_unit_test(no_memory_is_told_apart_and_any_other_errno_is_io),
		cmocka_unit_test(nobody_has_to_want_the_error),
		cmocka_unit_test(message_that_is_too_long_is_cut_off),
		cmocka_unit_test(error_can_be_made_of_its_own_message),
		cmocka_unit_test(copy_keeps_the_size_that_its_owner_knows),
		cmocka_unit_test(error_tells_what_led_to_it_down_to_the_first),
		cmocka_unit_test(cause_that_is_too_long_is_cut_off),
		cmocka_unit_test(error_of_a_program_without_causes_is_not_written_past_its_end),
		cmocka_unit_test(uuid_is_read_with_and_without_dashes_in_either_case),
		cmocka_unit_test(what_is_no_uuid_is_refused),
		cmocka_unit_test(only_the_uuid_of_zeros_is_null),
		cmocka_unit_test(default_ids_are_zeros),
		cmocka_unit_test(job_id_is_32_digits_and_nothing_else),
		cmocka_unit_test(job_election_is_named_after_the_job),
		cmocka_unit_test(version_comes_back_as_it_was_formatted),
		cmocka_unit_test(versions_are_ordered_by_epoch_then_sequence_then_seat),
		cmocka_unit_test(version_of_zeros_says_that_nothing_exists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
