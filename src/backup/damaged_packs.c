#include "src/backup/damaged_packs.h"

#include "src/maintenance/quarantine.h"
#include "src/result/error.h"

/* The newest one. NOT_FOUND: there is none. */
static fsha_result find_damaged(struct store *s, fsha_version *ret_version, fsha_error *reterr)
{
	const fsha_version lowest = { 0 };
	const struct index_pack *damaged = NULL;
	fsha_result result;

	(void)pthread_mutex_lock(&s->mutex);
	index_forget(&s->index);
	result = store_load(s, NULL, reterr);
	if (result == FSHA_OK)
		damaged = index_damaged_above(&s->index, &lowest);
	if (damaged)
		*ret_version = damaged->version;
	else if (result == FSHA_OK)
		result = FSHA_E_NOT_FOUND;
	(void)pthread_mutex_unlock(&s->mutex);
	return result;
}

fsha_result damaged_packs_take(struct store *s, uint64_t *count, fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	fsha_version version, former = { 0 };
	char file[NAME_SIZE], ignored[NAME_SIZE];
	fsha_result result;

	if (!t)
		return store_not_leader(s, PACK_KEY, reterr);
	for (;;) {
		result = find_damaged(s, &version, reterr);
		if (result != FSHA_OK)
			break;
		name_format(PACK_KEY, &version, NAME_VALUE, file);
		if (fsha_version_compare(&version, &former) == 0) {
			result = error_set(reterr, FSHA_E_IO, 0, "rename",
					   "'%s/%s' was moved to quarantine and is still there",
					   s->path, file);
			break;
		}
		former = version;
		result = quarantine_take(t, s->path, file, ignored, reterr);
		if (result != FSHA_OK)
			break;
		++*count;
	}
	term_unref(t);
	return result == FSHA_E_NOT_FOUND ? FSHA_OK : result;
}
