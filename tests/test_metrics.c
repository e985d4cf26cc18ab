/* Numbers and their text, without services: fsha/metrics.h, src/metrics/. */
#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "src/metrics/counters.h"
#include "src/metrics/exposition.h"

#define CLUSTER "01234567-89ab-cdef-0123-456789abcdef"

static struct counters c;

static int setup(void **state)
{
	(void)state;
	memset(&c, 0, sizeof(c));
	return 0;
}

static void an_outcome_is_counted_by_what_the_caller_may_do_next(void **state)
{
	static const fsha_result refused[] = { FSHA_E_INVALID,    FSHA_E_STATE,   FSHA_E_NOT_FOUND,
					       FSHA_E_EXISTS,     FSHA_E_VERSION, FSHA_E_CONFIG,
					       FSHA_E_UNSUPPORTED };
	static const fsha_result failed[] = { FSHA_E_IO, FSHA_E_CORRUPT, FSHA_E_TIMEOUT,
					      FSHA_E_NOMEM };
	fsha_operation_metrics m;

	(void)state;
	counters_add(&c, FSHA_OPERATION_WRITE, 1, FSHA_OK);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		counters_add(&c, FSHA_OPERATION_WRITE, 10, refused[i]);
	for (size_t i = 0; i < sizeof(failed) / sizeof(failed[0]); i++)
		counters_add(&c, FSHA_OPERATION_WRITE, 100, failed[i]);
	counters_add(&c, FSHA_OPERATION_WRITE, 1000, FSHA_E_FENCED);
	counters_add(&c, FSHA_OPERATION_WRITE, 1000, FSHA_E_NOT_LEADER);
	counters_add(&c, FSHA_OPERATION_WRITE, 10000, FSHA_E_INDOUBT);
	counters_read(&c, FSHA_OPERATION_WRITE, &m);
	assert_int_equal(m.done, 1);
	assert_int_equal(m.refused, sizeof(refused) / sizeof(refused[0]));
	assert_int_equal(m.failed, sizeof(failed) / sizeof(failed[0]));
	assert_int_equal(m.fenced, 2);
	assert_int_equal(m.in_doubt, 1);
	assert_int_equal(m.total_ns, 12471);
	assert_int_equal(c.corrupt_records, 1);
	counters_read(&c, FSHA_OPERATION_GET, &m);
	assert_int_equal(m.done + m.refused + m.failed + m.fenced + m.in_doubt + m.total_ns, 0);
}

static void a_duration_falls_into_the_first_bucket_that_holds_it(void **state)
{
	fsha_operation_metrics m;

	(void)state;
	for (unsigned i = 0; i < FSHA_METRICS_BUCKETS; i++) {
		int64_t bound = fsha_metrics_bound_ns(i);

		assert_true(i == 0 || bound > fsha_metrics_bound_ns(i - 1));
		counters_add(&c, FSHA_OPERATION_POLL, bound, FSHA_OK);
		if (bound < INT64_MAX)
			counters_add(&c, FSHA_OPERATION_POLL, bound + 1, FSHA_OK);
	}
	/* The clock went back. */
	counters_add(&c, FSHA_OPERATION_POLL, -5, FSHA_OK);
	counters_read(&c, FSHA_OPERATION_POLL, &m);
	for (unsigned i = 0; i < FSHA_METRICS_BUCKETS; i++)
		assert_int_equal(m.buckets[i], 2);
	assert_int_equal(fsha_metrics_bound_ns(FSHA_METRICS_BUCKETS), INT64_MAX);
}

static void every_operation_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int i = 0; i < FSHA_OPERATIONS; i++) {
		assert_non_null(fsha_operation_text((fsha_operation)i));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(fsha_operation_text((fsha_operation)i),
						fsha_operation_text((fsha_operation)j));
	}
	assert_null(fsha_operation_text((fsha_operation)FSHA_OPERATIONS));
	assert_null(fsha_operation_text((fsha_operation)-1));
}

/* ---- text ---- */

static void check_text(struct exposition *x, const char *expected)
{
	char *text;
	size_t len;

	assert_int_equal(exposition_end(x, &text, &len), 0);
	assert_string_equal(text, expected);
	assert_int_equal(len, strlen(expected));
	fsu_release(x->fs, text);
}

static void labels_are_escaped(void **state)
{
	struct exposition x = { .fs = &fsu_posix, .cluster = CLUSTER };

	(void)state;
	exposition_count(&x, "m", "l", "a\"b\\c\nd", 7);
	check_text(&x, "m{cluster=\"" CLUSTER "\",l=\"a\\\"b\\\\c\\nd\"} 7\n");
}

static void every_sample_names_its_cluster(void **state)
{
	static const struct fsu_uuid cluster = { { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
						   0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd,
						   0xef } };
	struct exposition x;

	(void)state;
	exposition_init(&x, &fsu_posix, &cluster);
	exposition_count(&x, "m", NULL, NULL, 1);
	exposition_seconds(&x, "s", "l", "v", 2 * FSU_NS_PER_S);
	check_text(&x, "m{cluster=\"" CLUSTER "\"} 1\n"
		       "s{cluster=\"" CLUSTER "\",l=\"v\"} 2\n");
}

static void a_label_that_is_too_long_is_cut_and_still_closed(void **state)
{
	struct exposition x = { .fs = &fsu_posix };
	char value[2000], *text;
	size_t len;

	(void)state;
	memset(value, '"', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	exposition_count(&x, "m", "l", value, 7);
	assert_int_equal(exposition_end(&x, &text, &len), 0);
	assert_string_equal(text + len - 6, "\"\"} 7\n");
	fsu_release(x.fs, text);
}

static void seconds_have_a_point_in_every_locale(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{ 0, "0" },          { 50000, "0.00005" },  { 1, "0.000000001" },
		{ 1000000000, "1" }, { 10000000000, "10" }, { 2500000000, "2.5" },
	};
	char text[EXPOSITION_SECONDS];

	(void)state;
	/* Where it is not installed this proves less, but the digits are still checked. */
	(void)setlocale(LC_ALL, "de_DE.UTF-8");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(exposition_seconds_text(cases[i].ns, text), cases[i].text);
	(void)setlocale(LC_ALL, "C");
}

/* ---- out of memory ---- */

static unsigned allocations, failing;

static void *failing_resize(void *ctx, void *ptr, size_t size)
{
	(void)ctx;
	return ++allocations == failing ? NULL : fsu_posix.ops->resize(NULL, ptr, size);
}

static void memory_that_runs_out_leaves_nothing(void **state)
{
	struct fsu_ops ops = *fsu_posix.ops;
	const struct fsu fs = { &ops, NULL };
	unsigned failures = 0;

	(void)state;
	ops.resize = failing_resize;
	for (failing = 1; failing < 10; failing++) {
		struct exposition x = { .fs = &fs };
		char *text = NULL;
		size_t len;

		allocations = 0;
		for (int i = 0; i < 1000; i++)
			exposition_count(&x, "metric", "label", "value", 1);
		if (exposition_end(&x, &text, &len) == 0)
			assert_int_equal(len,
					 1000 * strlen("metric{cluster=\"\",label=\"value\"} 1\n"));
		else
			failures++;
		fsu_release(&fs, text);
	}
	assert_in_range(failures, 2, 8);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_outcome_is_counted_by_what_the_caller_may_do_next),
		TEST(a_duration_falls_into_the_first_bucket_that_holds_it),
		TEST(every_operation_has_a_name_of_its_own),
		TEST(labels_are_escaped),
		TEST(every_sample_names_its_cluster),
		TEST(a_label_that_is_too_long_is_cut_and_still_closed),
		TEST(seconds_have_a_point_in_every_locale),
		TEST(memory_that_runs_out_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
