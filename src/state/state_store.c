/* The public face of the store: names are checked and encoded, values handed over. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_path.h"
#include "src/cluster/layout.h"
#include "src/result/error.h"
#include "src/services/services.h"
#include "src/state/owner.h"
#include "src/state/state_store.h"

fsha_result state_store_encode(const char *what, const char *name, char *ret_component,
			       fsha_error *reterr)
{
	int r = name ? fsu_path_encode(name, strlen(name), ret_component) : -EINVAL;

	if (r == -ENAMETOOLONG)
		return error_set(reterr, FSHA_E_INVALID, 0, "encode",
				 "%s '%.60s...' is too long: at most %d bytes once encoded", what,
				 name, FSU_COMPONENT_MAX);
	if (r < 0)
		return error_set(reterr, FSHA_E_INVALID, 0, "encode", "%s is empty", what);
	return FSHA_OK;
}

fsha_result fsha_state_store_owner(fsha_services *services, const char *namespace_,
				   char *ret_election, fsha_error *reterr)
{
	char component[FSU_COMPONENT_MAX + 1], owner[FSU_COMPONENT_MAX + 1];
	char directory[sizeof(LAYOUT_STATE) + FSU_COMPONENT_MAX + 1];
	char election[FSU_NAME_MAX + 1];
	fsha_result result;
	size_t len;

	if (!services || !ret_election)
		return error_set(reterr, FSHA_E_INVALID, 0, "open", "an argument is NULL");
	result = state_store_encode("namespace", namespace_, component, reterr);
	if (result != FSHA_OK)
		return result;
	(void)snprintf(directory, sizeof(directory), LAYOUT_STATE "/%s", component);
	result = owner_of(&services->cluster, directory, owner, reterr);
	if (result == FSHA_E_NOT_FOUND &&
	    layout_look_at_parent(&services->cluster, directory, reterr) == FSHA_E_CORRUPT)
		result = FSHA_E_CORRUPT;
	if (result != FSHA_OK)
		return result;
	if (fsu_path_decode(owner, strlen(owner), election, &len) < 0 || len > FSHA_NAME_MAX)
		return error_set(reterr, FSHA_E_CORRUPT, 0, "decode",
				 "the owner of '%s' is no election", directory);
	strcpy(ret_election, election);
	return FSHA_OK;
}

fsha_result fsha_state_store_open(fsha_services *services, const char *namespace_,
				  const char *election, fsha_state_store **ret_store,
				  fsha_error *reterr)
{
	char namespace_component[FSU_COMPONENT_MAX + 1], election_component[FSU_COMPONENT_MAX + 1];
	char directory[sizeof(LAYOUT_STATE) + FSU_COMPONENT_MAX + 1];
	struct store_options options = {
		.directory = directory,
		.election = election_component,
		.kind = FSU_KIND_STATE,
		.owned = true,
	};
	fsha_error error = FSHA_ERROR_INIT;
	const struct fsu *fs;
	fsha_state_store *s;
	fsha_result result;

	if (!services || !ret_store)
		return error_set(reterr, FSHA_E_INVALID, 0, "open", "an argument is NULL");
	result = state_store_encode("namespace", namespace_, namespace_component, reterr);
	if (result == FSHA_OK)
		result = state_store_encode("election", election, election_component, reterr);
	if (result != FSHA_OK)
		return result;
	(void)snprintf(directory, sizeof(directory), LAYOUT_STATE "/%s", namespace_component);
	fs = services->cluster.fs;
	s = fsu_alloc(fs, sizeof(*s));
	if (!s)
		return error_os(reterr, -ENOMEM, "alloc", "cannot open store '%s'", namespace_);
	s->services = services;
	result = services_store_open(services, &options, &s->store, reterr);
	if (result != FSHA_OK) {
		fsu_release(fs, s);
		return result;
	}
	/* What else may be wrong with it is for the first call that uses it to tell. */
	if (store_check_owner(s->store, &error) == FSHA_E_CONFIG) {
		services_store_close(services, s->store);
		fsu_release(fs, s);
		return error_copy(reterr, &error);
	}
	*ret_store = s;
	return FSHA_OK;
}

void fsha_state_store_close(fsha_state_store *s)
{
	const struct fsu *fs;

	if (!s)
		return;
	fs = s->services->cluster.fs;
	services_store_close(s->services, s->store);
	fsu_release(fs, s);
}

static fsha_result write_entry(fsha_state_store *s, enum store_write how, const char *name,
			       const fsha_version *expected, const void *data, size_t size,
			       fsha_version *ret_version, fsha_error *reterr)
{
	char key[FSU_COMPONENT_MAX + 1];
	fsha_result result;

	if (!s || (!data && size > 0))
		return error_set(reterr, FSHA_E_INVALID, 0, "write", "an argument is NULL");
	result = state_store_encode("name", name, key, reterr);
	if (result != FSHA_OK)
		return result;
	return store_write(s->store, how, key, expected, data, size, ret_version, reterr);
}

/* ---- removal in two steps ---- */

struct discarding {
	const fsha_state_store *store;
	const char *name;
};

static fsha_result call_discard(void *ctx, const void *data, size_t size, fsha_error *reterr)
{
	const struct discarding *d = ctx;

	return d->store->discard(d->store->discard_ctx, d->name, data, size, reterr);
}

/* NOT_FOUND: `name` is not marked, or nobody can say how to discard. */
static fsha_result finish_removal(fsha_state_store *s, const char *name, fsha_error *reterr)
{
	struct discarding discarding = { s, name };
	const struct store_discard discard = { call_discard, &discarding };
	char key[FSU_COMPONENT_MAX + 1];
	fsha_result result;

	if (!s->discard)
		return FSHA_E_NOT_FOUND;
	result = state_store_encode("name", name, key, reterr);
	return result == FSHA_OK ? store_finish_removal(s->store, key, &discard, reterr) : result;
}

fsha_result fsha_state_store_set_discard(fsha_state_store *s, fsha_discard_fn discard, void *ctx,
					 fsha_error *reterr)
{
	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "discard", "the store is NULL");
	s->discard = discard;
	s->discard_ctx = ctx;
	return FSHA_OK;
}

fsha_result fsha_state_store_release_and_try_remove(fsha_state_store *s, const char *name,
						    int *ret_removed, fsha_error *reterr)
{
	struct discarding discarding = { s, name };
	const struct store_discard discard = { call_discard, &discarding };
	char key[FSU_COMPONENT_MAX + 1];
	fsha_result result;

	if (ret_removed)
		*ret_removed = 0;
	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "remove", "the store is NULL");
	result = state_store_encode("name", name, key, reterr);
	if (result == FSHA_OK)
		result = store_release_and_try_remove(s->store, key, s->discard ? &discard : NULL,
						      reterr);
	if (ret_removed)
		*ret_removed = result == FSHA_OK;
	return result;
}

/* ---- writing ---- */

fsha_result fsha_state_store_add(fsha_state_store *s, const char *name, const void *data,
				 size_t size, fsha_version *ret_version, fsha_error *reterr)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result, finished;

	result = write_entry(s, STORE_ADD, name, NULL, data, size, ret_version, reterr);
	if (result != FSHA_E_EXISTS)
		return result;
	finished = finish_removal(s, name, &error);
	if (finished == FSHA_E_NOT_FOUND)
		return result;
	if (finished != FSHA_OK)
		return error_copy(reterr, &error);
	return write_entry(s, STORE_ADD, name, NULL, data, size, ret_version, reterr);
}

fsha_result fsha_state_store_replace(fsha_state_store *s, const char *name,
				     const fsha_version *expected, const void *data, size_t size,
				     fsha_version *ret_version, fsha_error *reterr)
{
	fsha_result result;

	if (!expected)
		return error_set(reterr, FSHA_E_INVALID, 0, "replace",
				 "the expected version is NULL: ask fsha_state_store_exists");
	result = write_entry(s, STORE_REPLACE, name, expected, data, size, ret_version, reterr);
	if (result == FSHA_E_NOT_FOUND)
		(void)finish_removal(s, name, NULL); /* as Flink does; it is not there either way */
	return result;
}

fsha_result fsha_state_store_remove(fsha_state_store *s, const char *name,
				    fsha_version *ret_version, fsha_error *reterr)
{
	return write_entry(s, STORE_REMOVE, name, NULL, NULL, 0, ret_version, reterr);
}

fsha_result fsha_state_store_exists(fsha_state_store *s, const char *name,
				    fsha_version *ret_version, fsha_error *reterr)
{
	char key[FSU_COMPONENT_MAX + 1];
	fsha_result result;

	if (!s || !ret_version)
		return error_set(reterr, FSHA_E_INVALID, 0, "exists", "an argument is NULL");
	result = state_store_encode("name", name, key, reterr);
	return result == FSHA_OK ? store_exists(s->store, key, ret_version, reterr) : result;
}

fsha_result fsha_state_store_get(fsha_state_store *s, const char *name, void **ret_data,
				 size_t *ret_size, fsha_version *ret_version, fsha_error *reterr)
{
	char key[FSU_COMPONENT_MAX + 1];
	struct record record;
	fsha_result result;

	if (!s || !ret_data || !ret_size)
		return error_set(reterr, FSHA_E_INVALID, 0, "get", "an argument is NULL");
	result = state_store_encode("name", name, key, reterr);
	if (result == FSHA_OK)
		result = store_get(s->store, key, &record, ret_version, reterr);
	if (result != FSHA_OK)
		return result;
	*ret_data = record.data;
	*ret_size = record.size;
	record.data = NULL;
	record_done(s->services->cluster.fs, &record);
	return FSHA_OK;
}

static int compare_names(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static int compare_handles(const void *a, const void *b)
{
	const fsha_state_handle *x = a, *y = b;

	return strcmp(x->name, y->name);
}

fsha_result fsha_state_store_list(fsha_state_store *s, char ***ret_names, size_t *ret_count,
				  fsha_error *reterr)
{
	fsha_result result;
	size_t count, n = 0;
	char **keys;

	if (!s || !ret_names || !ret_count)
		return error_set(reterr, FSHA_E_INVALID, 0, "list", "an argument is NULL");
	result = store_keys(s->store, &keys, &count, reterr);
	if (result != FSHA_OK)
		return result;
	/* Decoded in place: a name is never longer than its encoding. */
	for (size_t i = 0; i < count; i++) {
		char name[FSU_NAME_MAX + 1];
		size_t len;

		if (fsu_path_decode(keys[i], strlen(keys[i]), name, &len) < 0)
			continue; /* nothing that encode wrote: a person's file */
		keys[n] = keys[i];
		memcpy(keys[n++], name, len + 1);
	}
	keys[n] = NULL;
	/* The order of names is not that of their encodings. */
	qsort(keys, n, sizeof(*keys), compare_names);
	*ret_names = keys;
	*ret_count = n;
	return FSHA_OK;
}

fsha_result fsha_state_store_get_all_handles(fsha_state_store *s, fsha_state_handle **ret_handles,
					     size_t *ret_count, fsha_error *reterr)
{
	struct store_handle *found;
	fsha_state_handle *handles;
	size_t count, bytes = 0, n = 0;
	fsha_result result;
	char *text;

	if (!s || !ret_handles || !ret_count)
		return error_set(reterr, FSHA_E_INVALID, 0, "list", "an argument is NULL");
	result = store_handles(s->store, &found, &count, reterr);
	if (result != FSHA_OK)
		return result;
	/* A name is never longer than its encoding. */
	for (size_t i = 0; i < count; i++)
		bytes += strlen(found[i].key) + 1;
	handles = fsu_alloc(services_fs(s->services), (count + 1) * sizeof(*handles) + bytes);
	text = handles ? (char *)(handles + count + 1) : NULL;
	for (size_t i = 0; handles && i < count; i++) {
		size_t len;

		if (fsu_path_decode(found[i].key, strlen(found[i].key), text, &len) < 0)
			continue; /* nothing that encode wrote: a person's file */
		handles[n++] = (fsha_state_handle){
			.name = text,
			.version = found[i].version,
			.marked = found[i].form == NAME_MARKED,
		};
		text += len + 1;
	}
	fsu_release(services_fs(s->services), found);
	if (!handles)
		return error_os(reterr, -ENOMEM, "alloc", "cannot list the store");
	qsort(handles, n, sizeof(*handles), compare_handles);
	*ret_handles = handles;
	*ret_count = n;
	return FSHA_OK;
}

fsha_result fsha_state_store_to_string(fsha_state_store *s, char *text, size_t size)
{
	fsha_error error = FSHA_ERROR_INIT;
	size_t count = 0, marked = 0;
	struct store_handle *handles;
	fsha_result result;

	if (!s || !text || size == 0)
		return FSHA_E_INVALID;
	result = store_handles(s->store, &handles, &count, &error);
	if (result != FSHA_OK) {
		(void)snprintf(text, size, "'%s' of election '%s': entries not known: %s",
			       s->store->directory, s->store->election, error.message);
		return result;
	}
	for (size_t i = 0; i < count; i++)
		marked += handles[i].form == NAME_MARKED;
	fsu_release(services_fs(s->services), handles);
	(void)snprintf(text, size, "'%s' of election '%s': %zu entries, %zu of them being removed",
		       s->store->directory, s->store->election, count, marked);
	return FSHA_OK;
}

/* 0 to go on, else what the visitor said; entries that are gone by now are passed over. */
static int visit_name(fsha_state_store *s, const char *name, struct pack_reader *reader,
		      int (*visit)(void *ctx, const fsha_state_entry *entry), void *ctx)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct record record = { .data = NULL };
	fsha_state_entry entry = { .name = name };
	char key[FSU_COMPONENT_MAX + 1];
	int r = 0;

	entry.result = state_store_encode("name", name, key, &error);
	if (entry.result == FSHA_OK)
		entry.result =
			store_get_next(s->store, key, reader, &record, &entry.version, &error);
	if (entry.result == FSHA_E_NOT_FOUND)
		return 0;
	if (entry.result == FSHA_OK) {
		entry.data = record.data;
		entry.size = record.size;
	} else {
		entry.error = &error;
	}
	r = visit(ctx, &entry);
	record_done(s->services->cluster.fs, &record);
	return r;
}

fsha_result fsha_state_store_get_all(fsha_state_store *s,
				     int (*visit)(void *ctx, const fsha_state_entry *entry),
				     void *ctx, fsha_error *reterr)
{
	struct pack_reader reader = { .fs = NULL };
	fsha_result result;
	char **names = NULL;
	size_t count;

	if (!s || !visit)
		return error_set(reterr, FSHA_E_INVALID, 0, "get_all", "an argument is NULL");
	reader.fs = services_fs(s->services);
	result = fsha_state_store_list(s, &names, &count, reterr);
	if (result != FSHA_OK)
		return result;
	for (size_t i = 0; i < count; i++)
		if (visit_name(s, names[i], &reader, visit, ctx) != 0)
			break;
	pack_reader_done(&reader);
	fsu_release(services_fs(s->services), names);
	return FSHA_OK;
}

fsha_result fsha_state_store_clear(fsha_state_store *s, fsha_error *reterr)
{
	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "clear", "an argument is NULL");
	return store_clear(s->store, reterr);
}

fsha_result fsha_state_store_release(fsha_state_store *s, const char *name, fsha_error *reterr)
{
	char key[FSU_COMPONENT_MAX + 1];
	fsha_result result;

	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "release", "an argument is NULL");
	result = state_store_encode("name", name, key, reterr);
	if (result == FSHA_OK)
		store_forget(s->store);
	return result;
}

fsha_result fsha_state_store_release_all(fsha_state_store *s, fsha_error *reterr)
{
	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "release_all", "an argument is NULL");
	store_forget(s->store);
	return FSHA_OK;
}

fsha_result fsha_state_store_settle(fsha_state_store *s, const char *name,
				    const fsha_version *version, fsha_error *reterr)
{
	char key[FSU_COMPONENT_MAX + 1];
	fsha_result result;

	if (!s || !version)
		return error_set(reterr, FSHA_E_INVALID, 0, "settle", "an argument is NULL");
	result = state_store_encode("name", name, key, reterr);
	return result == FSHA_OK ? store_settle(s->store, key, version, reterr) : result;
}
