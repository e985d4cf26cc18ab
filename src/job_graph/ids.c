/* Sorted sets of job ids. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/job_graph/job_graph.h"

int ids_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(fsha_job_id));
}

bool ids_has(const struct id_set *set, const fsha_job_id *id)
{
	return set->count && bsearch(id, set->ids, set->count, sizeof(*id), ids_compare);
}

int ids_add(const struct fsu *fs, struct id_set *set, const fsha_job_id *id)
{
	size_t at = 0;

	if (ids_has(set, id))
		return 0;
	if (set->count == set->size) {
		size_t size = set->size ? 2 * set->size : 16;
		fsha_job_id *ids = fsu_resize(fs, set->ids, size * sizeof(*ids));

		if (!ids)
			return -ENOMEM;
		set->ids = ids;
		set->size = size;
	}
	while (at < set->count && ids_compare(&set->ids[at], id) < 0)
		at++;
	memmove(&set->ids[at + 1], &set->ids[at], (set->count - at) * sizeof(*id));
	set->ids[at] = *id;
	set->count++;
	return 0;
}

void ids_remove(struct id_set *set, const fsha_job_id *id)
{
	for (size_t i = 0; i < set->count; i++) {
		if (ids_compare(&set->ids[i], id) != 0)
			continue;
		memmove(&set->ids[i], &set->ids[i + 1], (set->count - i - 1) * sizeof(*id));
		set->count--;
		return;
	}
}

void ids_done(const struct fsu *fs, struct id_set *set)
{
	fsu_release(fs, set->ids);
	*set = (struct id_set){ .ids = NULL };
}
