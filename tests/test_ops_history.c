/*
 * The history checker: bad histories made by hand, each caught by its rule, and each beside the
 * nearest good one, which passes. Times are small numbers; what is not said is "dispatcher".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/ops_history.h"

#define D " dispatcher "
#define K " dispatcher k "

struct pair {
	const char *name;
	unsigned rule;
	const char *common, *bad, *good;
};

static const struct pair pairs[] = {
	{ "an operation ends twice", 0,
	  "1 a begin 1 write" K "1 1.1.a\n"
	  "2 a end 1 ok\n",
	  "3 a end 1 failed\n", "" },
	{ "an operation ends that was never begun", 0, "1 a begin 1 read" K "\n",
	  "2 a end 2 failed\n", "2 a end 1 failed\n" },
	{ "two writes of one key and epoch overlap", 0, "1 a begin 1 write" K "1 1.1.a\n",
	  "2 a begin 2 write" K "1 1.2.b\n", "2 b begin 1 write" K "2 2.1.b\n" },
	{ "a value goes with another epoch", 0, "", "1 a begin 1 write" K "2 1.1.a\n",
	  "1 a begin 1 write" K "1 1.1.a\n" },
	{ "a read goes on through a power cut", 0,
	  "1 a begin 1 read" K "\n"
	  "2 - cut\n",
	  "3 a end 1 ok absent\n", "" },
	{ "a healed history has no end", 0,
	  "1 a grant" D "1\n"
	  "2 - healed\n"
	  "3 a leads" D "1\n",
	  "", "9 - end 5\n" },
	{ "an epoch is granted to two", 1, "1 a grant" D "1\n", "2 b grant" D "1\n",
	  "2 b grant" D "2\n" },
	{ "an epoch is granted to one process twice", 1, "1 a grant" D "1\n2 a revoke" D "1\n",
	  "3 a grant" D "1\n", "3 a grant rest_endpoint 1\n" },
	{ "the epochs of a process fall", 1, "1 a grant" D "2\n", "2 a grant" D "1\n",
	  "2 b grant" D "1\n" },
	{ "a revoke without a grant", 1, "1 a grant" D "1\n", "2 b revoke" D "1\n",
	  "2 a revoke" D "1\n" },
	{ "a write that began after a newer grant is acknowledged", 2,
	  "1 a grant" D "1\n"
	  "3 b grant" D "2\n"
	  "5 a end 1 ok\n",
	  "4 a begin 1 write" K "1 1.1.a\n", "2 a begin 1 write" K "1 1.1.a\n" },
	{ "a write that began after a newer grant is seen", 2,
	  "1 a grant" D "1\n"
	  "3 b grant" D "2\n"
	  "6 c begin 1 read" K "\n"
	  "7 c end 1 ok 1.1.a\n",
	  "4 a begin 1 write" K "1 1.1.a\n", "2 a begin 1 write" K "1 1.1.a\n" },
	{ "a write in flight appears after the grant that fenced it", 2,
	  "1 a grant" D "1\n"
	  "2 a begin 1 write" K "1 1.1.a\n"
	  "3 b grant" D "2\n"
	  "5 c end 1 ok absent\n"
	  "6 c begin 2 read" K "\n"
	  "7 c end 2 ok 1.1.a\n",
	  "4 c begin 1 read" K "\n", "2 c begin 1 read" K "\n" },
	{ "an acknowledgement comes after the grant, and a read between misses the write", 2,
	  "1 a grant" D "1\n"
	  "2 a begin 1 write" K "1 1.1.a\n"
	  "3 b grant" D "2\n"
	  "6 a end 1 ok\n"
	  "7 c begin 1 read" K "\n",
	  "4 d begin 1 read" K "\n5 d end 1 ok absent\n",
	  "2 d begin 1 read" K "\n5 d end 1 ok absent\n" },
	{ "an older leader's value hides the newer one's", 2,
	  "1 a grant" D "1\n"
	  "2 a begin 1 write" K "1 1.1.a\n"
	  "3 b grant" D "2\n"
	  "4 b begin 1 write" K "2 2.1.b\n"
	  "8 c begin 1 read" K "\n"
	  "9 c end 1 ok 1.1.a\n",
	  "7 b end 1 ok\n", "7 b end 1 unknown\n" },
	{ "an acknowledged write is not there", 3, "1 a begin 1 write" K "1 1.1.a\n",
	  "2 a end 1 ok\n3 c begin 1 read" K "\n4 c end 1 ok absent\n",
	  "2 c begin 1 read" K "\n3 a end 1 ok\n4 c end 1 ok absent\n" },
	{ "an acknowledged write is lost to the one before", 3,
	  "1 a begin 1 write" K "1 1.1.a\n2 a end 1 ok\n"
	  "3 a begin 2 write" K "1 1.2.b\n"
	  "5 c begin 1 read" K "\n6 c end 1 ok 1.1.a\n",
	  "4 a end 2 ok\n", "4 a end 2 unknown\n" },
	{ "an acknowledged removal is not seen", 3,
	  "1 a begin 1 write" K "1 1.1.a\n2 a end 1 ok\n"
	  "3 a begin 2 remove" K "1 1.2.b\n"
	  "5 c begin 1 read" K "\n6 c end 1 ok 1.1.a\n",
	  "4 a end 2 ok\n", "4 a end 2 failed\n" },
	{ "a removal of another key explains nothing", 3,
	  "1 a begin 1 write" K "1 1.1.a\n2 a end 1 ok\n"
	  "5 c begin 1 read" K "\n6 c end 1 ok absent\n",
	  "3 a begin 2 remove dispatcher l 1 1.2.b\n", "3 a begin 2 remove" K "1 1.2.b\n" },
	{ "a failed removal explains no absence", 3,
	  "1 a begin 1 write" K "1 1.1.a\n2 a end 1 ok\n"
	  "3 a begin 2 remove" K "1 1.2.b\n"
	  "5 c begin 1 read" K "\n6 c end 1 ok absent\n",
	  "4 a end 2 failed\n", "4 a end 2 unknown\n" },
	{ "a removal that is yet to come explains no absence", 3,
	  "1 a begin 1 write" K "1 1.1.a\n2 a end 1 ok\n"
	  "5 c begin 1 read" K "\n7 c end 1 ok absent\n",
	  "8 a begin 2 remove" K "1 1.2.b\n", "6 a begin 2 remove" K "1 1.2.b\n" },
	{ "a removal that was fenced without effect explains no later absence", 3,
	  "1 a grant" D "1\n"
	  "2 a begin 1 write" K "1 1.1.a\n3 a end 1 ok\n"
	  "4 a begin 2 remove" K "1 1.2.b\n"
	  "5 b grant" D "2\n"
	  "9 c begin 2 read" K "\n10 c end 2 ok absent\n"
	  "8 c end 1 ok 1.1.a\n",
	  "6 c begin 1 read" K "\n", "4 c begin 1 read" K "\n" },
	{ "what was acknowledged is lost in a power cut", 3,
	  "1 a begin 1 write" K "1 1.1.a\n"
	  "4 - cut\n"
	  "5 c begin 1 read" K "\n6 c end 1 ok absent\n",
	  "3 a end 1 ok\n", "2 c begin 2 read" K "\n3 c end 2 ok 1.1.a\n" },
	{ "a value that nobody wrote", 4, "2 c begin 1 read" K "\n3 c end 1 ok 1.1.a\n",
	  "1 a begin 1 write" K "1 1.1.b\n", "1 a begin 1 write" K "1 1.1.a\n" },
	{ "a value of another key", 4, "2 c begin 1 read" K "\n3 c end 1 ok 1.1.a\n",
	  "1 a begin 1 write dispatcher l 1 1.1.a\n", "1 a begin 1 write" K "1 1.1.a\n" },
	{ "a value that is yet to be written", 4, "1 c begin 1 read" K "\n3 c end 1 ok 1.1.a\n",
	  "4 a begin 1 write" K "1 1.1.a\n", "3 a begin 1 write" K "1 1.1.a\n" },
	{ "a damaged value", 4, "1 a begin 1 write" K "1 1.1.a\n2 c begin 1 read" K "\n",
	  "3 c end 1 damaged\n", "3 c end 1 failed\n" },
	{ "the value of a failed write", 5,
	  "1 a begin 1 write" K "1 1.1.a\n3 c begin 1 read" K "\n4 c end 1 ok 1.1.a\n",
	  "2 a end 1 failed\n", "2 a end 1 unknown\n" },
	{ "a value in doubt that is there and then is not", 5,
	  "1 a begin 1 write" K "1 1.1.a\n2 a end 1 unknown\n"
	  "3 c begin 1 read" K "\n5 c end 1 ok 1.1.a\n"
	  "7 d end 1 ok absent\n",
	  "6 d begin 1 read" K "\n", "4 d begin 1 read" K "\n" },
	{ "a removal in doubt that is seen and then is not", 5,
	  "1 a begin 1 write" K "1 1.1.a\n2 a end 1 ok\n"
	  "3 a begin 2 remove" K "1 1.2.b\n4 a end 2 unknown\n"
	  "5 c begin 1 read" K "\n6 c end 1 ok absent\n"
	  "7 d begin 1 read" K "\n",
	  "8 d end 1 ok 1.1.a\n", "8 d end 1 ok absent\n" },
	{ "a value in doubt that comes back after a power cut", 2,
	  "1 a begin 1 write" K "1 1.1.a\n"
	  "2 - cut\n"
	  "3 c begin 1 read" K "\n4 c end 1 ok absent\n"
	  "5 d begin 1 read" K "\n",
	  "6 d end 1 ok 1.1.a\n", "6 d end 1 ok absent\n" },
	/* One write that nobody can place hides nothing of other keys, and no leader. */
	{ "a read cannot end unclear", 0, "1 a begin 1 read" K "\n", "2 a end 1 unclear\n",
	  "2 a end 1 failed\n" },
	{ "another key is lost beside an unclear write", 3,
	  "1 a begin 1 write dispatcher l 1 1.1.a\n2 a end 1 unclear\n"
	  "3 a begin 2 write" K "1 1.2.b\n4 a end 2 ok\n"
	  "5 c begin 1 read" K "\n",
	  "6 c end 1 ok absent\n", "6 c end 1 ok 1.2.b\n" },
	{ "two are granted one epoch beside an unclear write", 1,
	  "1 a grant" D "1\n2 a begin 1 write" K "1 1.1.a\n3 a end 1 unclear\n",
	  "4 b grant" D "1\n", "4 b grant" D "2\n" },
	{ "somebody leads after a newer grant", 6, "1 a grant" D "1\n3 b grant" D "2\n",
	  "4 a leads" D "1\n", "2 a leads" D "1\n" },
	{ "somebody leads whom nobody granted", 6, "1 a grant" D "1\n", "2 b leads" D "1\n",
	  "2 a leads" D "1\n" },
	{ "somebody leads who was revoked", 6, "1 a grant" D "1\n3 a revoke" D "1\n",
	  "4 a leads" D "1\n", "2 a leads" D "1\n" },
	{ "somebody leads when its lease is over, and nobody else does", 8, "1 a grant" D "1\n",
	  "40 a leads" D "1 40\n", "40 a leads" D "1 41\n" },
	{ "a beat that came late has extended a lease", 8,
	  "1 a grant" D "1\n"
	  "10 a leads" D "1 30\n",
	  "35 a leads" D "1 30\n", "35 a leads" D "1 50\n" },
	{ "one of two leads on when the lease of both is over", 8,
	  "1 a grant" D "1\n2 a grant rest_endpoint 1\n"
	  "20 a leads" D "1 30\n20 a leads rest_endpoint 1 30\n"
	  "30 a revoke" D "1\n",
	  "31 a leads rest_endpoint 1 30\n", "31 a revoke rest_endpoint 1\n" },
	{ "the end of a lease is told too late", 9, "1 a grant" D "1\n50 a over" D "1\n",
	  "51 a revoke" D "1\n", "50 a revoke" D "1\n" },
	{ "the end of a lease is never told", 9, "1 a grant" D "1\n2 a leads" D "1 40\n",
	  "50 a over" D "1\n", "50 a leads" D "1 60\n" },
	{ "the end of one of two terms is told", 9,
	  "1 a grant" D "1\n2 a grant rest_endpoint 1\n"
	  "50 a over rest_endpoint 1\n",
	  "40 a revoke" D "1\n", "40 a revoke rest_endpoint 1\n" },
	{ "the end of another epoch is told", 9,
	  "1 a grant" D "1\n2 a grant" D "2\n"
	  "50 a over" D "1\n",
	  "40 a revoke" D "2\n", "40 a revoke" D "1\n" },
	{ "who was granted nothing should know of its end", 0,
	  "1 a grant" D "1\n2 a revoke" D "1\n", "50 b over" D "1\n", "50 a over" D "1\n" },
	{ "nobody leads when all is healed", 7, "1 a grant" D "1\n10 - healed\n100 - end 20\n",
	  "2 a leads" D "1\n", "30 a leads" D "1\n" },
	{ "somebody leads too late", 7, "10 - healed\n100 - end 20\n", "31 a grant" D "1\n",
	  "30 a grant" D "1\n" },
	{ "nobody follows", 7, "10 - healed\n20 a grant" D "1\n100 - end 20\n",
	  "60 a revoke" D "1\n", "60 a revoke" D "1\n70 b grant" D "2\n" },
	{ "nobody leads one of two elections", 7,
	  "1 a grant" D "1\n2 a grant rest_endpoint 1\n10 - healed\n20 a leads" D
	  "1\n100 - end 20\n",
	  "", "20 a leads rest_endpoint 1\n" },
};

static void add_lines(struct ops_history *h, const char *text)
{
	char *copy = strdup(text), *rest = NULL;
	struct ops_event event;

	assert_non_null(copy);
	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (!ops_event_parse(line, &event))
			fail_msg("not an event: %s", line);
		ops_history_add(h, &event);
	}
	free(copy);
}

static bool judge(const char *common, const char *rest, unsigned flags, struct ops_verdict *ret_v)
{
	struct ops_history *h = ops_history_create();
	bool good;

	add_lines(h, common);
	add_lines(h, rest);
	good = ops_history_check(h, flags, ret_v);
	ops_history_destroy(h);
	return good;
}

static void each_bad_history_breaks_its_rule_and_its_good_twin_none(void **state)
{
	static struct ops_verdict v;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		const struct pair *p = &pairs[i];

		if (judge(p->common, p->bad, 0, &v))
			fail_msg("not caught: %s", p->name);
		if (v.total != v.violations[p->rule]) {
			ops_verdict_print(&v);
			fail_msg("not by rule %u: %s", p->rule, p->name);
		}
		if (!judge(p->common, p->good, 0, &v)) {
			ops_verdict_print(&v);
			fail_msg("a false alarm beside: %s", p->name);
		}
	}
	print_message("%zu pairs\n", sizeof(pairs) / sizeof(*pairs));
}

static void a_late_grant_is_counted_and_forbidden_where_time_stands_still(void **state)
{
	static const char late[] = "1 b grant" D "2\n2 a grant" D "1\n";
	static struct ops_verdict v;

	(void)state;
	assert_true(judge(late, "", 0, &v));
	assert_int_equal(v.late_grants, 1);
	assert_false(judge(late, "", OPS_STRICT, &v));
	assert_int_equal(v.violations[1], 1);
}

/* What came at one time overlaps: no order follows from it. */
static void equal_times_order_nothing(void **state)
{
	static struct ops_verdict v;

	(void)state;
	assert_true(judge("1 a begin 1 write" K "1 1.1.a\n2 a end 1 ok\n",
			  "2 c begin 1 read" K "\n2 c end 1 ok absent\n", 0, &v));
	assert_true(judge("1 a grant" D "1\n2 b grant" D "2\n", "2 a leads" D "1\n", 0, &v));
}

static void a_verdict_counts_what_it_judged(void **state)
{
	static struct ops_verdict v;

	(void)state;
	assert_true(judge("1 a grant" D "1\n2 a begin 1 write" K "1 1.1.a\n3 a begin 2 remove "
			  "dispatcher l 1 1.2.b\n4 a end 2 ok\n",
			  "5 c begin 1 read" K "\n6 c end 1 ok absent\n", 0, &v));
	assert_int_equal(v.events, 6);
	assert_int_equal(v.operations, 3);
	assert_int_equal(v.reads, 1);
	assert_int_equal(v.writes, 2);
	assert_int_equal(v.unknown, 1);
	assert_int_equal(v.grants, 1);
	assert_int_equal(v.keys, 2);
	assert_int_equal(v.deadlines, 0);
	assert_int_equal(v.total, 0);
	assert_true(judge("1 a grant" D "1\n", "2 a leads" D "1 9\n3 a leads" D "1\n", 0, &v));
	assert_int_equal(v.deadlines, 1);
	assert_int_equal(v.overs, 0);
	assert_true(judge("1 a grant" D "1\n2 a revoke" D "1\n", "3 a over" D "1\n", 0, &v));
	assert_int_equal(v.overs, 1);
	assert_true(judge("1 a begin 1 write" K "1 1.1.a\n2 a end 1 unclear\n",
			  "3 a begin 2 write dispatcher l 1 1.2.b\n4 c begin 1 read" K
			  "\n5 c end 1 ok 7.7.7\n",
			  0, &v));
	assert_int_equal(v.unclear, 1);
	assert_int_equal(v.keys, 2);
	assert_int_equal(v.keys_unclear, 1);
}

/* ---- Text ---- */

static void each_event_is_read_as_it_was_written(void **state)
{
	char line[OPS_LINE_SIZE], again[OPS_LINE_SIZE];
	struct ops_event event;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		char *copy = strdup(pairs[i].common), *rest = NULL;

		assert_non_null(copy);
		for (char *w = strtok_r(copy, "\n", &rest); w; w = strtok_r(NULL, "\n", &rest)) {
			(void)snprintf(line, sizeof(line), "%s", w);
			assert_true(ops_event_parse(line, &event));
			again[ops_event_format(&event, again) - 1] = '\0';
			if (strcmp(again, w) != 0 && strstr(w, "  ") == NULL &&
			    w[strlen(w) - 1] != ' ')
				fail_msg("'%s' became '%s'", w, again);
		}
		free(copy);
	}
}

static void what_is_no_event_is_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"1",
		"1 a",
		"x a grant e 1",
		"-1 a grant e 1",
		"1 a grant e",
		"1 a grant e 1 2",
		"1 a revoke e 1 2",
		"1 a over e 1 2",
		"1 a over e",
		"1 a leads e 1 0",
		"1 a leads e 1 x",
		"1 a leads e 1 2 3",
		"1 a grant e 01",
		"1 a begin 1 write e k 1",
		"1 a begin 1 write e k 1 1.1",
		"1 a begin 1 write e k 1 1.1.G",
		"1 a begin 1 write e k 1 1.1.a more",
		"1 a begin 1 sing e k",
		"1 a end 1",
		"1 a end 1 okay",
		"1 a end 1 failed 1.1.a",
		"1 a end x ok",
		"1 a healed",
		"1 - grant e 1",
		"1 - end",
		"1 - end x",
		"99999999999999999999 - healed",
	};
	struct ops_event event;
	char line[OPS_LINE_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		(void)snprintf(line, sizeof(line), "%s", lines[i]);
		if (ops_event_parse(line, &event))
			fail_msg("taken for an event: '%s'", lines[i]);
	}
}

static void files_of_killed_processes_are_merged(void **state)
{
	static const char one[] = "1 a begin 1 write" K "1 1.1.a\n3 a end 1 ok\n9 a begin 2 wri";
	char error[OPS_LINE_SIZE], path[] = "/tmp/fsha-history-XXXXXX";
	const struct ops_event two[] = {
		{ .time_ns = 2,
		  .kind = OPS_READ,
		  .process = "c",
		  .op = 1,
		  .election = "dispatcher",
		  .key = "k" },
		{ .time_ns = 4,
		  .kind = OPS_END,
		  .process = "c",
		  .op = 1,
		  .outcome = OPS_OK,
		  .value = { 1, 1, 10 } },
	};
	struct ops_history *h = ops_history_create();
	static struct ops_verdict v;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_true(ops_event_log(fd, &two[0]));
	assert_true(ops_event_log(fd, &two[1]));
	assert_true(ops_history_read(h, path, error));
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, one, sizeof(one) - 1, 0), sizeof(one) - 1);
	assert_true(ops_history_read(h, path, error));
	assert_int_equal(ops_history_count(h), 4);
	assert_true(ops_history_check(h, 0, &v));
	assert_int_equal(v.operations, 2);
	/* In the middle it is no torn line but a fault. */
	assert_int_equal(pwrite(fd, "9 a begin 2 wri\n", 16, 0), 16);
	assert_false(ops_history_read(h, path, error));
	assert_non_null(strstr(error, "line 1"));
	assert_int_equal(unlink(path), 0);
	assert_false(ops_history_read(h, path, error));
	assert_non_null(strstr(error, "No such file"));
	(void)close(fd);
	ops_history_destroy(h);
}

static void results_of_the_library_have_their_meaning(void **state)
{
	fsha_error error = FSHA_ERROR_INIT;

	(void)state;
	assert_int_equal(ops_outcome_of_write(FSHA_OK, NULL), OPS_OK);
	assert_int_equal(ops_outcome_of_write(FSHA_E_INDOUBT, NULL), OPS_UNKNOWN);
	assert_int_equal(ops_outcome_of_write(FSHA_E_IO, NULL), OPS_FAILED);
	assert_int_equal(ops_outcome_of_write(FSHA_E_FENCED, &error), OPS_FAILED);
	error.maybe_done = 1;
	assert_int_equal(ops_outcome_of_write(FSHA_E_FENCED, &error), OPS_UNKNOWN);
	assert_int_equal(ops_outcome_of_read(FSHA_OK), OPS_OK);
	assert_int_equal(ops_outcome_of_read(FSHA_E_NOT_FOUND), OPS_ABSENT);
	assert_int_equal(ops_outcome_of_read(FSHA_E_CORRUPT), OPS_DAMAGED);
	assert_int_equal(ops_outcome_of_read(FSHA_E_IO), OPS_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_bad_history_breaks_its_rule_and_its_good_twin_none),
		cmocka_unit_test(a_late_grant_is_counted_and_forbidden_where_time_stands_still),
		cmocka_unit_test(equal_times_order_nothing),
		cmocka_unit_test(a_verdict_counts_what_it_judged),
		cmocka_unit_test(each_event_is_read_as_it_was_written),
		cmocka_unit_test(what_is_no_event_is_refused),
		cmocka_unit_test(files_of_killed_processes_are_merged),
		cmocka_unit_test(results_of_the_library_have_their_meaning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
