/* What there is in a store, as a list. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "src/result/error.h"
#include "src/state/store.h"

/* Copy entries and their keys, but our own, into one block. NULL: out of memory. */
static struct store_handle *copy(const struct fsu *fs, const struct index_entry **entries,
				 size_t count, size_t *ret_count)
{
	struct store_handle *handles;
	size_t bytes = 0, n = 0;
	char *text;

	for (size_t i = 0; i < count; i++)
		bytes += strlen(entries[i]->key) + 1;
	handles = fsu_alloc(fs, (count + 1) * sizeof(*handles) + bytes);
	if (!handles)
		return NULL;
	text = (char *)(handles + count + 1);
	for (size_t i = 0; i < count; i++) {
		if (entries[i]->key[0] == '@')
			continue;
		handles[n++] = (struct store_handle){ text, entries[i]->version, entries[i]->form };
		text = stpcpy(text, entries[i]->key) + 1;
	}
	*ret_count = n;
	return handles;
}

static fsha_result list(struct store *s, bool with_gone, struct store_handle **ret_handles,
			size_t *ret_count, fsha_error *ret_damage, fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	const int64_t begun_ns = fsu_now_ns(s->cluster->fs);
	const struct index_entry **entries = NULL;
	const struct index_pack *damaged;
	struct store_handle *handles = NULL;
	size_t count = 0, n = 0;
	fsha_result result;
	int r = 0;

	(void)pthread_mutex_lock(&s->mutex);
	result = store_load(s, t, reterr);
	if (result == FSHA_OK)
		r = index_sorted(&s->index, with_gone, &entries, &count);
	if ((result == FSHA_OK && r == 0) || result == FSHA_E_NOT_FOUND)
		handles = copy(s->cluster->fs, entries, count, &n);
	damaged = index_damaged_above(&s->index, &(fsha_version){ 0 });
	if (damaged)
		(void)error_copy(ret_damage, damaged->why);
	(void)pthread_mutex_unlock(&s->mutex);
	fsu_release(s->cluster->fs, entries);
	term_unref(t);
	cluster_count(s->cluster, FSHA_OPERATION_LIST, begun_ns,
		      result == FSHA_E_NOT_FOUND ? FSHA_OK : result);
	if (result != FSHA_OK && result != FSHA_E_NOT_FOUND)
		return result;
	if (!handles)
		return error_os(reterr, -ENOMEM, "alloc", "cannot list '%s'", s->directory);
	*ret_handles = handles;
	*ret_count = n;
	return FSHA_OK;
}

fsha_result store_known(struct store *s, struct store_handle **ret_handles, size_t *ret_count,
			fsha_error *ret_damage, fsha_error *reterr)
{
	return list(s, false, ret_handles, ret_count, ret_damage, reterr);
}

static fsha_result list_undamaged(struct store *s, bool with_gone,
				  struct store_handle **ret_handles, size_t *ret_count,
				  fsha_error *reterr)
{
	fsha_error damage = FSHA_ERROR_INIT;
	struct store_handle *handles = NULL;
	fsha_result result;

	result = list(s, with_gone, &handles, ret_count, &damage, reterr);
	if (result != FSHA_OK)
		return result;
	assert(handles);
	if (damage.result != FSHA_OK) {
		fsu_release(s->cluster->fs, handles);
		return error_copy(reterr, &damage);
	}
	*ret_handles = handles;
	return FSHA_OK;
}

fsha_result store_handles(struct store *s, struct store_handle **ret_handles, size_t *ret_count,
			  fsha_error *reterr)
{
	return list_undamaged(s, false, ret_handles, ret_count, reterr);
}

fsha_result store_handles_and_gone(struct store *s, struct store_handle **ret_handles,
				   size_t *ret_count, fsha_error *reterr)
{
	return list_undamaged(s, true, ret_handles, ret_count, reterr);
}

fsha_result store_keys(struct store *s, char ***ret_keys, size_t *ret_count, fsha_error *reterr)
{
	const struct fsu *fs = s->cluster->fs;
	struct store_handle *handles = NULL;
	size_t count = 0, bytes = 0, n = 0;
	fsha_result result;
	char **keys, *text;

	result = store_handles(s, &handles, &count, reterr);
	if (result != FSHA_OK)
		return result;
	assert(handles);
	for (size_t i = 0; i < count; i++)
		bytes += strlen(handles[i].key) + 1;
	keys = fsu_alloc(fs, (count + 1) * sizeof(*keys) + bytes);
	text = keys ? (char *)(keys + count + 1) : NULL;
	for (size_t i = 0; keys && i < count; i++) {
		if (!name_form_lives(handles[i].form))
			continue;
		keys[n++] = text;
		text = stpcpy(text, handles[i].key) + 1;
	}
	fsu_release(fs, handles);
	if (!keys)
		return error_os(reterr, -ENOMEM, "alloc", "cannot list '%s'", s->directory);
	*ret_keys = keys;
	*ret_count = n;
	return FSHA_OK;
}
