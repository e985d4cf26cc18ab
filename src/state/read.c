/* The read side of a store: which version of a key is the present one, and what is in it. */
#include <errno.h>
#include <string.h>

#include "src/result/error.h"
#include "src/state/store.h"

/* How often a read starts over because the version that it saw was gone by then. */
#define READ_TRIES 50

fsha_result store_look_up(struct store *s, struct term *t, const char *key,
			  fsha_version *ret_version, bool *ret_gone, fsha_error *reterr)
{
	const struct index_entry *e;
	fsha_result result;

	result = store_load(s, t, reterr);
	if (result != FSHA_OK)
		return result;
	e = index_find(&s->index, key);
	*ret_version = e ? e->version : (fsha_version){ 0 };
	*ret_gone = !e || index_entry_gone(e);
	return FSHA_OK;
}

fsha_result store_exists(struct store *s, const char *key, fsha_version *ret_version,
			 fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	const int64_t begun_ns = fsu_now_ns(s->cluster->fs);
	fsha_version version;
	fsha_result result;
	bool gone;

	(void)pthread_mutex_lock(&s->mutex);
	result = store_look_up(s, t, key, &version, &gone, reterr);
	(void)pthread_mutex_unlock(&s->mutex);
	term_unref(t);
	cluster_count(s->cluster, FSHA_OPERATION_EXISTS, begun_ns,
		      result == FSHA_E_NOT_FOUND ? FSHA_OK : result);
	if (result == FSHA_E_NOT_FOUND || (result == FSHA_OK && gone)) {
		*ret_version = (fsha_version){ 0 };
		return FSHA_OK;
	}
	if (result == FSHA_OK)
		*ret_version = version;
	return result;
}

fsha_result store_not_found(const struct store *s, const char *key, fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_NOT_FOUND, 0, "get", "there is no '%s/%s'", s->directory,
			 key);
}

enum name_form store_value_form(const struct store *s)
{
	return s->format ? s->format->form : NAME_VALUE;
}

static fsha_result read_value(const struct store *s, const struct record_place *place,
			      enum name_form form, const char *file, struct record *ret_record,
			      fsha_error *reterr)
{
	if (form != store_value_form(s))
		return record_corrupt(place, file, "its name is not that of a value here", reterr);
	if (s->format)
		return s->format->read(place, file, ret_record, reterr);
	return record_read(place, file, s->kind, FSHA_STATE_VALUE_MAX, ret_record, reterr);
}

static fsha_result find(struct store *s, struct term *t, const char *key,
			struct store_found *ret_found, fsha_error *reterr)
{
	fsha_result result;
	bool gone;

	(void)pthread_mutex_lock(&s->mutex);
	result = store_look_up(s, t, key, &ret_found->version, &gone, reterr);
	if (result == FSHA_OK && gone)
		result = FSHA_E_NOT_FOUND;
	if (result == FSHA_OK) {
		ret_found->form = index_find(&s->index, key)->form;
		ret_found->place = cluster_place(s->cluster, s->dir_fd, s->directory);
	}
	(void)pthread_mutex_unlock(&s->mutex);
	if (result == FSHA_OK)
		name_format(key, &ret_found->version, ret_found->form, ret_found->file);
	return result;
}

fsha_result store_read(struct store *s, const char *key, store_read_function *take, void *ctx,
		       fsha_version *ret_version, fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	const int64_t begun_ns = fsu_now_ns(s->cluster->fs);
	fsha_result result = FSHA_E_TIMEOUT;
	struct store_found found;

	for (int i = 0; i < READ_TRIES; i++) {
		result = find(s, t, key, &found, reterr);
		if (result != FSHA_OK)
			break;
		result = take(ctx, s, &found, reterr);
		if (result != FSHA_E_NOT_FOUND)
			break;
		/* A newer version is there, or somebody removed it by hand: look again. */
		store_forget(s);
		result = error_set(reterr, FSHA_E_TIMEOUT, 0, "get",
				   "'%s/%s' changes faster than it can be read", s->directory, key);
	}
	term_unref(t);
	cluster_count(s->cluster, FSHA_OPERATION_GET, begun_ns, result);
	if (result == FSHA_E_NOT_FOUND)
		return store_not_found(s, key, reterr);
	if (result == FSHA_OK && ret_version)
		*ret_version = found.version;
	return result;
}

fsha_result store_read_whole(void *ctx, struct store *s, const struct store_found *found,
			     fsha_error *reterr)
{
	struct record *ret_record = ctx;

	return read_value(s, &found->place, found->form, found->file, ret_record, reterr);
}

fsha_result store_get(struct store *s, const char *key, struct record *ret_record,
		      fsha_version *ret_version, fsha_error *reterr)
{
	return store_read(s, key, store_read_whole, ret_record, ret_version, reterr);
}

fsha_result store_keys(struct store *s, char ***ret_keys, size_t *ret_count, fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	const struct fsu *fs = s->cluster->fs;
	const int64_t begun_ns = fsu_now_ns(fs);
	const struct index_entry **entries = NULL;
	size_t count = 0, bytes = 0;
	char **keys = NULL, *text;
	fsha_version ignored;
	fsha_result result;
	bool gone;
	int r = 0;

	(void)pthread_mutex_lock(&s->mutex);
	result = store_look_up(s, t, "", &ignored, &gone, reterr);
	if (result == FSHA_OK)
		r = index_sorted(&s->index, &entries, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		bytes += strlen(entries[i]->key) + 1;
	if ((result == FSHA_OK && r == 0) || result == FSHA_E_NOT_FOUND)
		keys = fsu_alloc(fs, (count + 1) * sizeof(*keys) + bytes);
	text = keys ? (char *)(keys + count + 1) : NULL;
	for (size_t i = 0, n = 0; keys && i < count; i++) {
		if (entries[i]->key[0] == '@')
			continue; /* our own, such as @owner */
		keys[n++] = strcpy(text, entries[i]->key);
		text += strlen(text) + 1;
	}
	(void)pthread_mutex_unlock(&s->mutex);
	fsu_release(fs, entries);
	term_unref(t);
	cluster_count(s->cluster, FSHA_OPERATION_LIST, begun_ns,
		      result == FSHA_E_NOT_FOUND ? FSHA_OK : result);
	if (result != FSHA_OK && result != FSHA_E_NOT_FOUND)
		return result;
	if (!keys)
		return error_os(reterr, -ENOMEM, "alloc", "cannot list '%s'", s->directory);
	for (count = 0; keys[count]; count++)
		;
	*ret_keys = keys;
	*ret_count = count;
	return FSHA_OK;
}
