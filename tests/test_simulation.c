/*
 * Deterministic simulation of whole processes (tests/simulation/sim.h): whatever goes wrong in
 * whatever order, the history holds, and when all is well again somebody leads. SEED repeats a run
 * and prints its history.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fsutil/fsu_list.h"
#include "tests/lib/run.h"
#include "tests/simulation/sim.h"

#define FAILED_MAX 10 /* then it is enough */

static struct sim_result result; /* too large for a stack */

static void print_counts(const uint64_t *counts)
{
	for (unsigned i = 0; i < SIM_COUNTS; i++)
		print_message("%s%llu %s", i ? ", " : "", (unsigned long long)counts[i],
			      sim_count_names[i]);
	print_message("\n");
}

static void every_history_holds_whatever_goes_wrong(void **state)
{
	uint64_t first = 1, counts[SIM_COUNTS] = { 0 };
	const bool one = test_seed(&first);
	const uint64_t seeds = one ? 1 : test_size(60, 1000, 10000);
	int64_t longest_ns = 0, told_ns = 0;
	size_t events = 0, unclear = 0, keys_unclear = 0, keys = 0, deadlines = 0;
	unsigned failed = 0;

	(void)state;
	print_message("SEED=%llu\n", (unsigned long long)first);
	for (uint64_t seed = first; seed < first + seeds; seed++) {
		if (!sim_play(seed, one, &result)) {
			print_message("SEED=%llu: %zu violations\n", (unsigned long long)seed,
				      result.verdict.total);
			if (++failed == FAILED_MAX)
				break;
		}
		for (unsigned i = 0; i < SIM_COUNTS; i++)
			counts[i] += result.counts[i];
		events += result.verdict.events;
		deadlines += result.verdict.deadlines;
		unclear += result.verdict.unclear;
		keys_unclear += result.verdict.keys_unclear;
		keys += result.verdict.keys;
		if (result.leaderless_ns > longest_ns)
			longest_ns = result.leaderless_ns;
		if (result.told_ns > told_ns)
			told_ns = result.told_ns;
	}
	print_message("%llu runs, %zu events; no leader for %lld ms at most; told of the end of a "
		      "lease after %lld us at most; ",
		      (unsigned long long)seeds, events, (long long)(longest_ns / FSU_NS_PER_MS),
		      (long long)(told_ns / 1000));
	print_counts(counts);
	if (one)
		print_message("digest %016llx\n", (unsigned long long)result.digest);
	print_message("%zu writes of an unclear term, so %zu of %zu keys were not judged; "
		      "%zu times a leader was held to its lease\n",
		      unclear, keys_unclear, keys, deadlines);
	assert_int_equal(failed, 0);
	assert_true(one || keys_unclear * 100 <= keys);
	assert_true(one || deadlines > 100 * seeds);
	/* A simulation in which nothing happens proves nothing. */
	for (unsigned i = 0; !one && i < SIM_COUNTS; i++)
		if (counts[i] == 0)
			fail_msg("nothing of this happened: %s", sim_count_names[i]);
}

/*
 * GUARANTEES.md, G23. The leader may have beaten just before it stopped; a look may have come just
 * before that beat and the next one just before the span was over. Calls take no time here, so the
 * claim takes what it waits for by itself: that a directory's times are older than their step.
 */
#define CLAIM_NS (5 * FSU_CLOCK_STEP_NS)
#define FOLLOWED_NS (SIM_LEASE_NS * 5 / 4 + 2 * (SIM_LEASE_NS / 10) + CLAIM_NS)

/* The lock is seen free at the next look; the heartbeat is taken away, and a lease waited for. */
#define DOUBTED_NS (SIM_LEASE_NS * 5 / 4 + SIM_LEASE_NS / 10 + CLAIM_NS)

static void follow(bool doubt, int64_t at_least_ns, int64_t at_most_ns)
{
	const unsigned long runs = test_size(60, 600, 3000);
	int64_t least_ns = INT64_MAX, most_ns = 0;
	uint64_t first = 1;
	const bool one = test_seed(&first);

	for (uint64_t i = 0; i < (one ? 1 : runs); i++) {
		const uint64_t seed = doubt && !one ? SIM_SEED_OF_DOUBT(i) : first + i;
		const int64_t ns = sim_follow(seed, doubt);

		if (ns > at_most_ns)
			fail_msg("SEED=%llu: nobody leads for %lld ns", (unsigned long long)seed,
				 (long long)ns);
		least_ns = ns < least_ns ? ns : least_ns;
		most_ns = ns > most_ns ? ns : most_ns;
	}
	print_message("%lu leaders stopped; followed after %lld to %lld us of %lld\n", runs,
		      (long long)(least_ns / 1000), (long long)(most_ns / 1000),
		      (long long)(at_most_ns / 1000));
	assert_true(least_ns > at_least_ns);
}

static void a_leader_that_stops_is_followed_within_the_bound(void **state)
{
	(void)state;
	/* Not before its lease was over by its own clock. */
	follow(false, SIM_LEASE_NS * 4 / 5, FOLLOWED_NS);
}

static void a_freed_lock_in_doubt_is_followed_within_the_bound(void **state)
{
	(void)state;
	/* Else there was no doubt. */
	follow(true, SIM_LEASE_NS * 5 / 4, DOUBTED_NS);
}

static void a_seed_is_one_run(void **state)
{
	uint64_t first = 1;

	(void)state;
	(void)test_seed(&first);
	for (uint64_t seed = first; seed < first + 6; seed++) {
		uint64_t digest, steps;

		assert_true(sim_play(seed, false, &result));
		digest = result.digest;
		steps = result.counts[SIM_STEPS];
		assert_true(sim_play(seed, false, &result));
		if (result.digest != digest || result.counts[SIM_STEPS] != steps)
			fail_msg("SEED=%llu: two runs", (unsigned long long)seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_history_holds_whatever_goes_wrong),
		cmocka_unit_test(a_seed_is_one_run),
		cmocka_unit_test(a_leader_that_stops_is_followed_within_the_bound),
		cmocka_unit_test(a_freed_lock_in_doubt_is_followed_within_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
