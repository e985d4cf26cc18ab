#include "tests/lib/numbers.h"

#include <stdlib.h>

#include "tests/lib/crashfs_internal.h"

#define SIZE_MIN 1024

static void grow(struct numbers *set)
{
	struct numbers old = *set;

	*set = (struct numbers){ .size = old.size ? old.size * 2 : SIZE_MIN };
	set->at = cfs_xalloc(set->size * sizeof(*set->at));
	for (size_t i = 0; i < old.size; i++)
		if (old.at[i])
			(void)numbers_add(set, old.at[i]);
	free(old.at);
}

bool numbers_add(struct numbers *set, uint64_t number)
{
	size_t i;

	if (set->count * 2 >= set->size)
		grow(set);
	number += number == 0;
	for (i = number % set->size; set->at[i]; i = (i + 1) % set->size)
		if (set->at[i] == number)
			return false;
	set->at[i] = number;
	set->count++;
	return true;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t *numbers_take(struct numbers *set)
{
	uint64_t *sorted = cfs_xalloc((set->count + 1) * sizeof(*sorted));
	size_t n = 0;

	for (size_t i = 0; i < set->size; i++)
		if (set->at[i])
			sorted[n++] = set->at[i];
	qsort(sorted, n, sizeof(*sorted), compare);
	numbers_done(set);
	return sorted;
}

void numbers_done(struct numbers *set)
{
	free(set->at);
	*set = (struct numbers){ 0 };
}
