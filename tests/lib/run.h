/*
 * How much of a test runs, and with which seed.
 */
#ifndef TESTS_RUN_H
#define TESTS_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * FSHA_TEST_LONG unset: what `make check` has time for; "part": what the continuous integration
 * has; anything else: all (`make check-long`).
 */
static inline unsigned long test_size(unsigned long check, unsigned long part, unsigned long all)
{
	const char *how = getenv("FSHA_TEST_LONG");

	return !how ? check : strcmp(how, "part") == 0 ? part : all;
}

/*
 * How many times slower than usual a program runs, by FSHA_TEST_SLOW: `make check-memcheck` and
 * `make check-helgrind` say 5. So much longer are leases and limits of time; and a sweep lets only
 * every so many-th call fail, since the sanitizers have had them all.
 */
static inline unsigned test_slowness(void)
{
	const char *slow = getenv("FSHA_TEST_SLOW");
	unsigned long n = slow ? strtoul(slow, NULL, 10) : 1;

	return n >= 1 && n <= 100 ? (unsigned)n : 1;
}

/* SEED=<number> repeats one run of a random test. False: none was given. */
static inline bool test_seed(uint64_t *ret_seed)
{
	const char *seed = getenv("SEED");

	if (seed)
		*ret_seed = strtoull(seed, NULL, 0);
	return seed != NULL;
}

#endif
