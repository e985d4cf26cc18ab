/* The read side of a store: which version of a key is the present one, and what is in it. */
#include <errno.h>
#include <string.h>

#include "src/result/error.h"
#include "src/state/store.h"

/* How often a read starts over because the version that it saw was gone by then. */
#define READ_TRIES 50

const struct index_pack *store_sight(const struct store *s, const char *key,
				     fsha_version *ret_version, enum name_form *ret_form)
{
	const struct index_entry *e = index_find(&s->index, key);

	*ret_version = e ? e->version : (fsha_version){ 0 };
	*ret_form = e ? e->form : NAME_TOMBSTONE;
	return index_damaged_above(&s->index, ret_version);
}

fsha_result store_look_up(struct store *s, struct term *t, const char *key,
			  fsha_version *ret_version, enum name_form *ret_form, fsha_error *reterr)
{
	const struct index_pack *damaged;
	fsha_result result;

	result = store_load(s, t, reterr);
	if (result != FSHA_OK)
		return result;
	damaged = store_sight(s, key, ret_version, ret_form);
	return damaged ? error_copy(reterr, damaged->why) : FSHA_OK;
}

fsha_result store_not_found(const struct store *s, const char *key, fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_NOT_FOUND, 0, "get", "there is no '%s/%s'", s->directory,
			 key);
}

fsha_result store_look(struct store *s, const char *key, fsha_version *ret_version,
		       enum name_form *ret_form, fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	enum name_form form = NAME_TOMBSTONE;
	fsha_version version;
	fsha_result result;

	(void)pthread_mutex_lock(&s->mutex);
	result = store_look_up(s, t, key, &version, &form, reterr);
	(void)pthread_mutex_unlock(&s->mutex);
	term_unref(t);
	if (result == FSHA_E_NOT_FOUND || (result == FSHA_OK && form == NAME_TOMBSTONE))
		return store_not_found(s, key, reterr);
	if (result != FSHA_OK)
		return result;
	*ret_version = version;
	*ret_form = form;
	return FSHA_OK;
}

fsha_result store_exists(struct store *s, const char *key, fsha_version *ret_version,
			 fsha_error *reterr)
{
	const int64_t begun_ns = fsu_now_ns(s->cluster->fs);
	enum name_form form = NAME_TOMBSTONE;
	fsha_error error = FSHA_ERROR_INIT;
	fsha_version version;
	fsha_result result;

	result = store_look(s, key, &version, &form, &error);
	if (result == FSHA_E_NOT_FOUND)
		result = FSHA_OK;
	cluster_count(s->cluster, FSHA_OPERATION_EXISTS, begun_ns, result);
	if (result != FSHA_OK)
		return error_copy(reterr, &error);
	*ret_version = name_form_lives(form) ? version : (fsha_version){ 0 };
	return FSHA_OK;
}

enum name_form store_value_form(const struct store *s)
{
	return s->format ? s->format->form : NAME_VALUE;
}

/* `reader` may be NULL. */
static fsha_result read_packed(const struct store *s, const struct store_found *found,
			       struct pack_reader *reader, struct record *ret_record,
			       fsha_error *reterr)
{
	char pack[NAME_SIZE];
	fsha_result result;
	uint8_t *bytes;

	result = reader ? pack_reader_read(reader, &found->place, &found->part, &bytes, reterr) :
			  pack_read_bytes(&found->place, &found->part, &bytes, reterr);
	if (result != FSHA_OK)
		return result;
	name_format(PACK_KEY, &found->part.pack, NAME_VALUE, pack);
	return record_verify(&found->place, found->file, pack, s->kind, FSHA_STATE_VALUE_MAX, bytes,
			     found->part.size, ret_record, reterr);
}

static fsha_result read_value(const struct store *s, const struct record_place *place,
			      enum name_form form, const char *file, struct record *ret_record,
			      fsha_error *reterr)
{
	/* The value of a marked key is in an envelope in every store, as tombstones are. */
	if (form == NAME_MARKED)
		return record_read(place, file, s->kind, FSHA_STATE_VALUE_MAX, ret_record, reterr);
	if (form != store_value_form(s))
		return record_corrupt(place, file, "its name is not that of a value here", reterr);
	if (s->format)
		return s->format->read(place, file, ret_record, reterr);
	return record_read(place, file, s->kind, FSHA_STATE_VALUE_MAX, ret_record, reterr);
}

static void locate(const struct store *s, const struct index_entry *e,
		   struct store_found *ret_found)
{
	ret_found->form = e->form;
	ret_found->place = cluster_place(s->cluster, s->dir_fd, s->directory);
	ret_found->packed = e->pack != NULL;
	if (e->pack) {
		const struct pack_member *m = index_entry_member(e);

		ret_found->part = (struct pack_part){ e->pack->version, m->offset, m->size };
	}
}

static fsha_result find(struct store *s, struct term *t, const char *key, bool marked_too,
			struct store_found *ret_found, fsha_error *reterr)
{
	enum name_form form;
	fsha_result result;

	(void)pthread_mutex_lock(&s->mutex);
	result = store_look_up(s, t, key, &ret_found->version, &form, reterr);
	if (result == FSHA_OK && !name_form_lives(form) && !(marked_too && form == NAME_MARKED))
		result = FSHA_E_NOT_FOUND;
	if (result == FSHA_OK)
		locate(s, index_find(&s->index, key), ret_found);
	(void)pthread_mutex_unlock(&s->mutex);
	if (result == FSHA_OK)
		name_format(key, &ret_found->version, ret_found->form, ret_found->file);
	return result;
}

static fsha_result read_found(struct store *s, const char *key, bool marked_too,
			      store_read_function *take, void *ctx, struct store_found *ret_found,
			      fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	const int64_t begun_ns = fsu_now_ns(s->cluster->fs);
	fsha_result result = FSHA_E_TIMEOUT;

	for (int i = 0; i < READ_TRIES; i++) {
		result = find(s, t, key, marked_too, ret_found, reterr);
		if (result != FSHA_OK)
			break;
		result = take(ctx, s, ret_found, reterr);
		if (result != FSHA_E_NOT_FOUND)
			break;
		/* A newer version is there, or somebody removed it by hand: look again. */
		store_forget(s);
		result = error_set(reterr, FSHA_E_TIMEOUT, 0, "get",
				   "'%s/%s' changes faster than it can be read", s->directory, key);
	}
	term_unref(t);
	cluster_count(s->cluster, FSHA_OPERATION_GET, begun_ns, result);
	return result == FSHA_E_NOT_FOUND ? store_not_found(s, key, reterr) : result;
}

fsha_result store_read(struct store *s, const char *key, store_read_function *take, void *ctx,
		       fsha_version *ret_version, fsha_error *reterr)
{
	struct store_found found;
	fsha_result result = read_found(s, key, false, take, ctx, &found, reterr);

	if (result == FSHA_OK && ret_version)
		*ret_version = found.version;
	return result;
}

fsha_result store_read_whole(void *ctx, struct store *s, const struct store_found *found,
			     fsha_error *reterr)
{
	struct record *ret_record = ctx;

	if (found->packed)
		return read_packed(s, found, NULL, ret_record, reterr);
	return read_value(s, &found->place, found->form, found->file, ret_record, reterr);
}

struct sequential {
	struct pack_reader *reader;
	struct record *ret_record;
};

static fsha_result read_next(void *ctx, struct store *s, const struct store_found *found,
			     fsha_error *reterr)
{
	const struct sequential *next = ctx;

	if (found->packed)
		return read_packed(s, found, next->reader, next->ret_record, reterr);
	return store_read_whole(next->ret_record, s, found, reterr);
}

fsha_result store_get_next(struct store *s, const char *key, struct pack_reader *reader,
			   struct record *ret_record, fsha_version *ret_version, fsha_error *reterr)
{
	struct sequential next = { reader, ret_record };

	return store_read(s, key, read_next, &next, ret_version, reterr);
}

fsha_result store_get(struct store *s, const char *key, struct record *ret_record,
		      fsha_version *ret_version, fsha_error *reterr)
{
	return store_read(s, key, store_read_whole, ret_record, ret_version, reterr);
}

fsha_result store_get_any(struct store *s, const char *key, struct record *ret_record,
			  fsha_version *ret_version, enum name_form *ret_form, fsha_error *reterr)
{
	struct store_found found;
	fsha_result result = read_found(s, key, true, store_read_whole, ret_record, &found, reterr);

	if (result == FSHA_OK) {
		*ret_version = found.version;
		*ret_form = found.form;
	}
	return result;
}
