/* src/job_result/json.c, seal.c, src/json/text.c: job results as Flink's JSON, and their seal. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/job_result/json.h"

#define DATA "tests/data/job_result/"

static const fsha_accumulator_result accumulators[] = { { "records", "AAEC" }, { "größe", "" } };
static const fsha_failure_cause failure = { "java.io.IOException", "at \"x\"\n", "qg==" };
static const fsha_job_result full = {
	.struct_size = sizeof(full),
	.id = { { 0x01, 0x23, 0xab } },
	.status = FSHA_APPLICATION_FAILED,
	.net_runtime_ms = INT64_MAX,
	.accumulators = accumulators,
	.accumulator_count = 2,
	.failure = &failure,
};
#define FULL_TEXT                                                                             \
	"{\"result\":{\"id\":\"0123ab00000000000000000000000000\",\"application-status\":"    \
	"\"FAILED\",\"accumulator-results\":{\"records\":\"AAEC\",\"größe\":\"\"},\"net-"   \
	"runtime\":9223372036854775807,\"failure-cause\":{\"class\":\"java.io.IOException\"," \
	"\"stack-trace\":\"at \\\"x\\\"\\n\",\"serialized-throwable\":\"qg==\"}},\"version\":1}"

static char why[JSON_TEXT_WHY_SIZE];

static char *read_data(const char *path, size_t *ret_len)
{
	FILE *file = fopen(path, "re");
	char *text = malloc(65536);

	assert_non_null(file);
	assert_non_null(text);
	*ret_len = fread(text, 1, 65535, file);
	text[*ret_len] = '\0';
	(void)fclose(file);
	return text;
}

static void assert_same(const fsha_job_result *a, const fsha_job_result *b)
{
	assert_memory_equal(&a->id, &b->id, sizeof(a->id));
	assert_int_equal(a->status, b->status);
	assert_true(a->net_runtime_ms == b->net_runtime_ms);
	assert_int_equal(a->accumulator_count, b->accumulator_count);
	for (size_t i = 0; i < a->accumulator_count && a->accumulators && b->accumulators; i++) {
		assert_string_equal(a->accumulators[i].name, b->accumulators[i].name);
		assert_string_equal(a->accumulators[i].value, b->accumulators[i].value);
	}
	assert_int_equal(a->failure != NULL, b->failure != NULL);
	if (a->failure && b->failure) {
		assert_string_equal(a->failure->class_name, b->failure->class_name);
		assert_string_equal(a->failure->stack_trace, b->failure->stack_trace);
		assert_string_equal(a->failure->throwable, b->failure->throwable);
	}
}

/* ---- Flink's form ---- */

static void a_result_is_written_as_flink_writes_it(void **state)
{
	char *text;
	size_t len;

	(void)state;
	assert_int_equal(job_result_encode(&fsu_posix, &full, &text, &len, why), 0);
	assert_string_equal(text, FULL_TEXT);
	assert_int_equal(len, strlen(FULL_TEXT));
	fsu_release(&fsu_posix, text);
}

static void what_was_written_is_read_back(void **state)
{
	const fsha_job_result bare = { .struct_size = sizeof(bare) };
	fsha_job_result *read;
	char *text;
	size_t len;

	(void)state;
	assert_int_equal(job_result_encode(&fsu_posix, &bare, &text, &len, why), 0);
	assert_int_equal(job_result_decode(&fsu_posix, text, len, &read, why), 0);
	assert_same(read, &bare);
	assert_null(read->accumulators);
	fsu_release(&fsu_posix, read);
	fsu_release(&fsu_posix, text);
	assert_int_equal(job_result_decode(&fsu_posix, FULL_TEXT, strlen(FULL_TEXT), &read, why),
			 0);
	assert_same(read, &full);
	assert_int_equal(read->struct_size, sizeof(full));
	fsu_release(&fsu_posix, read);
}

static void a_file_of_flink_is_read_and_what_it_does_not_know_is_passed_over(void **state)
{
	fsha_job_result *read;
	size_t len;
	char *text = read_data(DATA "flink.json", &len);

	(void)state;
	assert_int_equal(job_result_decode(&fsu_posix, text, len, &read, why), 0);
	assert_int_equal(read->id.bytes[15], 0xef);
	assert_int_equal(read->status, FSHA_APPLICATION_FAILED);
	assert_int_equal(read->net_runtime_ms, 1234567);
	assert_int_equal(read->accumulator_count, 2);
	assert_string_equal(read->accumulators[1].name, "größe");
	assert_string_equal(read->failure->class_name, "java.lang.RuntimeException");
	fsu_release(&fsu_posix, read);
	free(text);
}

static void a_status_is_read_in_any_case(void **state)
{
	static const char *const texts[] = { "succeeded", "Failed", "CANCELED", "unKnown" };
	static const int32_t statuses[] = { FSHA_APPLICATION_SUCCEEDED, FSHA_APPLICATION_FAILED,
					    FSHA_APPLICATION_CANCELED, FSHA_APPLICATION_UNKNOWN };
	int32_t status;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		status = -1;
		assert_int_equal(fsha_application_status_parse(texts[i], &status), FSHA_OK);
		assert_int_equal(status, statuses[i]);
	}
	assert_int_equal(fsha_application_status_parse("SUCCEEDED ", &status), FSHA_E_INVALID);
	assert_int_equal(fsha_application_status_parse(NULL, &status), FSHA_E_INVALID);
	assert_int_equal(fsha_application_status_parse("FAILED", NULL), FSHA_E_INVALID);
	assert_string_equal(fsha_application_status_name(FSHA_APPLICATION_CANCELED), "CANCELED");
	assert_string_equal(fsha_application_status_name(4), "UNKNOWN");
	assert_string_equal(fsha_application_status_name(-1), "UNKNOWN");
}

#define ID "\"id\":\"00000000000000000000000000000001\""
#define HEAD "{\"result\":{" ID ",\"application-status\":\"FAILED\",\"net-runtime\":1"

static void json_that_is_no_result_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "no JSON" },
		{ "{", "line 1" },
		{ "[]", "no object \"result\"" },
		{ "{\"result\":1}", "no object \"result\"" },
		{ "{\"result\":{}}", "no text \"id\"" },
		{ "{\"result\":{\"id\":1}}", "no text \"id\"" },
		{ "{\"result\":{\"id\":\"x\"}}", "no job id" },
		{ "{\"result\":{" ID "}}", "\"application-status\"" },
		{ "{\"result\":{" ID ",\"application-status\":\"x\"}}", "no status \"x\"" },
		{ "{\"result\":{" ID ",\"application-status\":\"FAILED\"}}", "net-runtime" },
		{ "{\"result\":{" ID ",\"application-status\":\"FAILED\",\"net-runtime\":-1}}",
		  "net-runtime" },
		{ "{\"result\":{" ID ",\"application-status\":\"FAILED\",\"net-runtime\":1.5}}",
		  "net-runtime" },
		{ HEAD "}} {}", "line 1" },
		{ HEAD ",\"net-runtime\":2}}", "no JSON" },
		{ HEAD ",\"accumulator-results\":[]}}", "no object" },
		{ HEAD ",\"accumulator-results\":{\"a\":1}}}", "\"a\" is no base64" },
		{ HEAD ",\"accumulator-results\":{\"a\":\"A\"}}}", "\"a\" is no base64" },
		{ HEAD ",\"accumulator-results\":{\"a\":\"A===\"}}}", "no base64" },
		{ HEAD ",\"accumulator-results\":{\"a\":\"=AAA\"}}}", "no base64" },
		{ HEAD ",\"failure-cause\":1}}", "\"failure-cause\" is no object" },
		{ HEAD ",\"failure-cause\":{}}}", "no text \"class\"" },
		{ HEAD ",\"failure-cause\":{\"class\":\"x\"}}}", "\"stack-trace\"" },
		{ HEAD ",\"failure-cause\":{\"class\":\"x\",\"stack-trace\":\"x\"}}}",
		  "\"serialized-throwable\"" },
		{ HEAD ",\"failure-cause\":{\"class\":\"x\",\"stack-trace\":\"x\","
		       "\"serialized-throwable\":\"-\"}}}",
		  "no base64" },
		{ HEAD ",\"x\":\"\\u0000\"}}", "no JSON" },
		{ HEAD ",\"x\":\"\xff\"}}", "no JSON" },
		{ HEAD ",\"x\":\"\\x\"}}", "no JSON" },
		{ HEAD ",\"x\":\"\\uD800\"}}", "no JSON" },
		{ HEAD ",\"x\":\"\\u12\"}}", "no JSON" },
		{ HEAD ",\"x\":99999999999999999999}}", "no JSON" },
		{ HEAD ",\"x\":1e999}}", "no JSON" },
	};
	fsha_job_result *read = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int r = job_result_decode(&fsu_posix, bad[i].text, strlen(bad[i].text), &read, why);

		if (r != -EBADMSG || !strstr(why, bad[i].why))
			fail_msg("%s: %d, '%s', not '%s'", bad[i].text, r, why, bad[i].why);
	}
	assert_null(read);
}

static void json_that_is_too_deep_is_refused(void **state)
{
	fsha_job_result *read = NULL;
	size_t len = 1 << 20;
	char *text = malloc(len);

	(void)state;
	assert_non_null(text);
	memset(text, '[', len);
	assert_int_equal(job_result_decode(&fsu_posix, text, len, &read, why), -EBADMSG);
	assert_non_null(strstr(why, "deep"));
	free(text);
}

/* Whatever is wrong with a text, it is never taken for a lack of memory. */
static void a_damaged_text_is_called_damaged(void **state)
{
	static const char alphabet[] =
		"{}[]:,\"\\/ \n\t0123456789-+.eEtruefalsnabudD\x01\xc3\xbc\xff";
	unsigned seed = 7, damaged = 0;
	char text[sizeof(FULL_TEXT)];

	(void)state;
	print_message("seed %u\n", seed);
	for (int i = 0; i < 100000; i++) {
		json_t *value = NULL;
		size_t len = sizeof(text) - 1;
		int r;

		memcpy(text, FULL_TEXT, sizeof(text));
		for (int k = 0; k < 1 + i % 3; k++) {
			seed = seed * 1103515245u + 12345u;
			text[(seed >> 8) % len] = alphabet[(seed >> 20) % (sizeof(alphabet) - 1)];
		}
		if (i % 5 == 0)
			len = (seed >> 4) % len;
		r = json_text_load(text, len, &value, why);
		if (r != 0 && r != -EBADMSG)
			fail_msg("%d: %.*s", r, (int)len, text);
		damaged += r != 0;
		json_decref(value);
	}
	assert_in_range(damaged, 50000, 99999);
}

static void every_piece_of_a_text_is_refused(void **state)
{
	fsha_job_result *read = NULL;

	(void)state;
	for (size_t len = 0; len < strlen(FULL_TEXT); len++) {
		/* Without a zero byte behind it, for the sanitizers. */
		char *text = malloc(len ? len : 1);

		assert_non_null(text);
		memcpy(text, FULL_TEXT, len);
		assert_int_equal(job_result_decode(&fsu_posix, text, len, &read, why), -EBADMSG);
		free(text);
	}
}

static void assert_unfit(const fsha_job_result *result, const char *part)
{
	char *text = NULL;
	size_t len;
	int r = job_result_encode(&fsu_posix, result, &text, &len, why);

	if (r != -EINVAL || !strstr(why, part))
		fail_msg("%d, '%s', not '%s'", r, why, part);
	assert_null(text);
}

static void a_result_that_cannot_be_written_is_refused_with_the_reason(void **state)
{
	fsha_accumulator_result a[] = { { "a", "AAAA" }, { "a", "AAAA" } };
	fsha_failure_cause f = { "x", "x", NULL };
	fsha_job_result r = { .struct_size = sizeof(r) };

	(void)state;
	r.struct_size = 0;
	assert_unfit(&r, "struct_size");
	r.struct_size = sizeof(r);
	r.status = 4;
	assert_unfit(&r, "no status 4");
	r.status = -1;
	assert_unfit(&r, "no status -1");
	r.status = 0;
	r.net_runtime_ms = -1;
	assert_unfit(&r, "negative");
	r.net_runtime_ms = 0;
	r.accumulator_count = 1;
	assert_unfit(&r, "accumulators are NULL");
	r.accumulators = a;
	r.accumulator_count = 2;
	assert_unfit(&r, "'a' is there twice");
	a[1].name = NULL;
	assert_unfit(&r, "name of an accumulator is NULL");
	a[1].name = "\xc0\x80";
	assert_unfit(&r, "no UTF-8");
	a[1] = (fsha_accumulator_result){ "b", "AAA" };
	assert_unfit(&r, "'b' is no base64");
	a[1].value = NULL;
	assert_unfit(&r, "'b' is no base64");
	r.accumulator_count = 1;
	r.failure = &f;
	f.class_name = NULL;
	assert_unfit(&r, "class of the failure is NULL");
	f.class_name = "x";
	f.stack_trace = "\xed\xa0\x80";
	assert_unfit(&r, "stack trace of the failure is no UTF-8");
	f.stack_trace = "x";
	f.throwable = "x";
	assert_unfit(&r, "throwable of the failure is no base64");
}

static void utf8_is_what_jansson_takes_for_it(void **state)
{
	unsigned char text[5] = { 0 };
	unsigned seed = 1;

	(void)state;
	print_message("seed %u\n", seed);
	for (int i = 0; i < 200000; i++) {
		json_t *value;

		for (int k = 0; k < 4; k++) {
			seed = seed * 1103515245u + 12345u;
			/* Mostly bytes that are not ASCII. */
			text[k] = (unsigned char)(seed >> 16 | (seed & 0x7000 ? 0x80 : 0));
		}
		value = json_string((const char *)text);
		if (json_text_is_utf8((const char *)text) != (value != NULL))
			fail_msg("%02x %02x %02x %02x", text[0], text[1], text[2], text[3]);
		json_decref(value);
	}
}

/* ---- the seal ---- */

static const struct job_result_seal seal = {
	.key = "job_results/0123ab00000000000000000000000000_DIRTY",
	.version = { .epoch = 7, .sequence = 9, .seat = 1 },
	.cluster = { { 0xcc } },
	.session = { { 0x55 } },
	.write_id = { { 0x77 } },
};

static char *sealed(size_t *ret_len)
{
	char *text;

	assert_int_equal(job_result_seal(&fsu_posix, FULL_TEXT, strlen(FULL_TEXT), &seal, &text,
					 ret_len, why),
			 0);
	return text;
}

static int check(const char *text, size_t len)
{
	return job_result_check_seal(&fsu_posix, text, len, &seal, why);
}

static void a_sealed_result_is_the_same_result(void **state)
{
	fsha_job_result *read;
	size_t len;
	char *text = sealed(&len);

	(void)state;
	assert_int_equal(check(text, len), 0);
	assert_int_equal(job_result_decode(&fsu_posix, text, len, &read, why), 0);
	assert_same(read, &full);
	fsu_release(&fsu_posix, read);
	fsu_release(&fsu_posix, text);
}

static void the_golden_file_is_still_read(void **state)
{
	size_t len, now_len;
	char *text = read_data(DATA "sealed.json", &len), *now = sealed(&now_len);

	(void)state;
	assert_int_equal(check(text, len), 0);
	/* And written, but for the line's end. */
	assert_int_equal(len, now_len + 1);
	assert_memory_equal(text, now, now_len);
	fsu_release(&fsu_posix, now);
	free(text);
}

static void a_sealed_result_with_any_bit_changed_is_refused(void **state)
{
	size_t len;
	char *text = sealed(&len);

	(void)state;
	for (size_t i = 0; i < len * 8; i++) {
		text[i / 8] = (char)(text[i / 8] ^ 1 << i % 8);
		if (check(text, len) != -EBADMSG)
			fail_msg("bit %zu of byte %zu: %.*s", i % 8, i / 8, (int)len, text);
		text[i / 8] = (char)(text[i / 8] ^ 1 << i % 8);
	}
	fsu_release(&fsu_posix, text);
}

static void other_spaces_and_another_order_do_no_damage(void **state)
{
	size_t len, other_len;
	char *text = sealed(&len), *other;
	json_t *value;

	(void)state;
	assert_int_equal(json_text_load(text, len, &value, why), 0);
	assert_int_equal(json_text_dump(&fsu_posix, value,
					JSON_INDENT(3) | JSON_SORT_KEYS | JSON_ENSURE_ASCII, &other,
					&other_len),
			 0);
	json_decref(value);
	assert_true(other_len > len);
	assert_int_equal(check(other, other_len), 0);
	fsu_release(&fsu_posix, other);
	fsu_release(&fsu_posix, text);
}

static void a_result_without_a_seal_is_not_ours(void **state)
{
	(void)state;
	assert_int_equal(check(FULL_TEXT, strlen(FULL_TEXT)), -EBADMSG);
	assert_non_null(strstr(why, "fsha did not write it"));
}

static void a_seal_for_another_place_is_refused_with_the_reason(void **state)
{
	struct job_result_seal other = seal;
	size_t len;
	char *text = sealed(&len);

	(void)state;
	other.key = "job_results/0123ab00000000000000000000000000";
	assert_int_equal(job_result_check_seal(&fsu_posix, text, len, &other, why), -EBADMSG);
	assert_non_null(strstr(why, "another name"));
	other = seal;
	other.cluster.bytes[15] = 1;
	assert_int_equal(job_result_check_seal(&fsu_posix, text, len, &other, why), -EBADMSG);
	assert_non_null(strstr(why, "another cluster"));
	other.cluster = (struct fsu_uuid){ { 0 } };
	assert_int_equal(job_result_check_seal(&fsu_posix, text, len, &other, why), 0);
	other = seal;
	other.version.sequence++;
	assert_int_equal(job_result_check_seal(&fsu_posix, text, len, &other, why), -EBADMSG);
	assert_non_null(strstr(why, "another version"));
	fsu_release(&fsu_posix, text);
}

static void a_new_seal_takes_the_place_of_the_old_one(void **state)
{
	struct job_result_seal other = seal;
	size_t len, again_len;
	char *text = sealed(&len), *again;

	(void)state;
	other.version.epoch++;
	assert_int_equal(job_result_seal(&fsu_posix, text, len, &other, &again, &again_len, why),
			 0);
	assert_int_equal(job_result_check_seal(&fsu_posix, again, again_len, &other, why), 0);
	assert_int_equal(check(again, again_len), -EBADMSG);
	assert_int_equal(len, again_len);
	fsu_release(&fsu_posix, again);
	fsu_release(&fsu_posix, text);
}

/* ---- without memory ---- */

static size_t allocations, fails_at, held;

static void *failing_malloc(size_t size)
{
	void *p = allocations++ < fails_at ? malloc(size) : NULL;

	held += p != NULL;
	return p;
}

static void counting_free(void *p)
{
	held -= p != NULL;
	free(p);
}

static int encode_seal_check_decode(void)
{
	char *text = NULL, *with = NULL;
	fsha_job_result *read = NULL;
	size_t len = 0, with_len = 0;
	int r;

	r = job_result_encode(&fsu_posix, &full, &text, &len, why);
	if (r == 0)
		r = job_result_seal(&fsu_posix, text, len, &seal, &with, &with_len, why);
	if (r == 0)
		r = check(with, with_len);
	if (r == 0)
		r = job_result_decode(&fsu_posix, with, with_len, &read, why);
	fsu_release(&fsu_posix, read);
	fsu_release(&fsu_posix, with);
	fsu_release(&fsu_posix, text);
	return r;
}

static void every_allocation_of_jansson_may_fail(void **state)
{
	int r = -ENOMEM;

	(void)state;
	json_set_alloc_funcs(failing_malloc, counting_free);
	for (fails_at = 0; r != 0 && fails_at < 10000; fails_at++) {
		allocations = 0;
		r = encode_seal_check_decode();
		if (r != 0 && r != -ENOMEM)
			break;
		assert_int_equal(held, 0);
	}
	json_set_alloc_funcs(malloc, free);
	if (r != 0)
		fail_msg("allocation %zu: %d, %s", fails_at, r, why);
	assert_true(fails_at > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_result_is_written_as_flink_writes_it),
		cmocka_unit_test(what_was_written_is_read_back),
		cmocka_unit_test(a_file_of_flink_is_read_and_what_it_does_not_know_is_passed_over),
		cmocka_unit_test(a_status_is_read_in_any_case),
		cmocka_unit_test(json_that_is_no_result_is_refused_with_the_reason),
		cmocka_unit_test(json_that_is_too_deep_is_refused),
		cmocka_unit_test(a_damaged_text_is_called_damaged),
		cmocka_unit_test(every_piece_of_a_text_is_refused),
		cmocka_unit_test(a_result_that_cannot_be_written_is_refused_with_the_reason),
		cmocka_unit_test(utf8_is_what_jansson_takes_for_it),
		cmocka_unit_test(a_sealed_result_is_the_same_result),
		cmocka_unit_test(the_golden_file_is_still_read),
		cmocka_unit_test(a_sealed_result_with_any_bit_changed_is_refused),
		cmocka_unit_test(other_spaces_and_another_order_do_no_damage),
		cmocka_unit_test(a_result_without_a_seal_is_not_ours),
		cmocka_unit_test(a_seal_for_another_place_is_refused_with_the_reason),
		cmocka_unit_test(a_new_seal_takes_the_place_of_the_old_one),
		cmocka_unit_test(every_allocation_of_jansson_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
