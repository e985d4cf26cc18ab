/* Batches of the general store: names are checked and encoded, changes handed over. */
#include <errno.h>
#include <string.h>

#include "src/result/error.h"
#include "src/state/state_store.h"

static const enum store_write hows[] = {
	[FSHA_STATE_PUT] = STORE_PUT,
	[FSHA_STATE_ADD] = STORE_ADD,
	[FSHA_STATE_REPLACE] = STORE_REPLACE,
	[FSHA_STATE_REMOVE] = STORE_REMOVE,
};

/* NULL, or what is wrong with a change. */
static const char *wrong_change(const fsha_state_change *c)
{
	if (c->how >= sizeof(hows) / sizeof(hows[0]) || c->reserved0 != 0)
		return "is none of FSHA_STATE_PUT, _ADD, _REPLACE, _REMOVE, or reserved0 is not 0";
	if (!c->data && c->size > 0)
		return "has no data";
	if (c->how == FSHA_STATE_REMOVE && c->size > 0)
		return "removes, and has data";
	if (c->how == FSHA_STATE_REPLACE && !c->expected)
		return "replaces, and expects no version: ask fsha_state_store_exists";
	if ((c->how == FSHA_STATE_PUT || c->how == FSHA_STATE_ADD) && c->expected)
		return "expects a version where none is asked for";
	return NULL;
}

/* `key` has FSU_COMPONENT_MAX + 1 bytes. */
static fsha_result translate(const fsha_state_change *from, size_t number, char *key,
			     struct store_change *to, fsha_error *reterr)
{
	const char *why = wrong_change(from);
	fsha_result result;

	if (why)
		return error_set(reterr, FSHA_E_INVALID, 0, "batch", "change %zu%s%.60s%s %s",
				 number, from->name ? ", of '" : "", from->name ? from->name : "",
				 from->name ? "'," : "", why);
	result = state_store_encode("name", from->name, key, reterr);
	*to = (struct store_change){
		.how = hows[from->how],
		.key = key,
		.expected = from->expected,
		.data = from->data,
		.size = from->size,
	};
	return result;
}

fsha_result fsha_state_store_batch(fsha_state_store *s, const fsha_state_change *changes,
				   size_t count, fsha_version *ret_version, size_t *ret_failed,
				   fsha_error *reterr)
{
	const size_t key_size = FSU_COMPONENT_MAX + 1;
	struct store_change *translated;
	fsha_result result = FSHA_OK;
	const struct fsu *fs;
	size_t failed = count;
	char *keys;

	if (ret_failed)
		*ret_failed = count;
	if (!s || (!changes && count > 0))
		return error_set(reterr, FSHA_E_INVALID, 0, "batch", "an argument is NULL");
	if (count > FSHA_STATE_BATCH_MAX)
		return error_set(reterr, FSHA_E_INVALID, 0, "batch",
				 "a batch of %zu changes is too large: at most %d are allowed",
				 count, FSHA_STATE_BATCH_MAX);
	if (count == 0)
		return FSHA_OK;
	fs = services_fs(s->services);
	translated = fsu_alloc(fs, count * sizeof(*translated) + count * key_size);
	if (!translated)
		return error_os(reterr, -ENOMEM, "alloc", "cannot write a batch");
	keys = (char *)(translated + count);
	for (size_t i = 0; i < count && result == FSHA_OK; i++) {
		result = translate(&changes[i], i, keys + i * key_size, &translated[i], reterr);
		if (result != FSHA_OK)
			failed = i;
	}
	if (result == FSHA_OK)
		result = store_write_batch(s->store, translated, count, ret_version, &failed,
					   reterr);
	fsu_release(fs, translated);
	if (result != FSHA_OK && ret_failed)
		*ret_failed = failed;
	return result;
}
