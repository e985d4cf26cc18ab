/* A set of numbers that are as good as random: digests. */
#ifndef TESTS_NUMBERS_H
#define TESTS_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero is the empty set. A free place is 0, so 0 counts as 1. */
struct numbers {
	uint64_t *at;
	size_t count, size;
};

/* False: it was in it. Aborts on lack of memory. */
bool numbers_add(struct numbers *set, uint64_t number);
/* All of them, in order, in memory of the caller's; the set is empty then. */
uint64_t *numbers_take(struct numbers *set);
void numbers_done(struct numbers *set);

#endif
