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

/* SEED=<number> repeats one run of a random test. False: none was given. */
static inline bool test_seed(uint64_t *ret_seed)
{
	const char *seed = getenv("SEED");

	if (seed)
		*ret_seed = strtoull(seed, NULL, 0);
	return seed != NULL;
}

#endif
