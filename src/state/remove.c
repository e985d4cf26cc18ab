/*
 * Removal in two steps. A value may point to something outside (a file, a checkpoint's data), which
 * must not outlive it unseen, and must not go before it. So the key is first marked: a version
 * ".mark" with the value as it was, after which the key does not exist for any reader. Then what it
 * points to is discarded, then a tombstone is published. Wherever this is cut short, the next call,
 * of this leader or of a later one, goes on: with a mark of its own, and discarding once more.
 *
 *   value --mark--> marked --discard, tombstone--> gone
 *
 * Every step is a commit of the store's like any other, so a leader that was fenced cannot mark,
 * and what it has not marked it does not discard. test_sweep_remove.c.
 */
#include "src/result/error.h"
#include "src/state/store.h"
#include <errno.h>

/* How often another writer may come between a look and the step that follows from it. */
#define REMOVE_TRIES 50

static fsha_result discard_value(const struct store *s, const char *key,
				 const struct store_discard *d, const struct record *record,
				 fsha_error *reterr)
{
	fsha_error why = FSHA_ERROR_INIT;
	fsha_result result;

	result = d->discard(d->ctx, record->data, record->size, &why);
	if (result == FSHA_OK)
		return FSHA_OK;
	if (result > 0 || result < FSHA_E_NOMEM)
		result = FSHA_E_IO; /* none of ours */
	why.result = result;
	return error_wrap(
		reterr, result, &why, "discard",
		"what '%s/%s' points to could not be discarded (%.200s): it stays marked, "
		"and the next removal tries again",
		s->directory, key, why.message[0] ? why.message : fsha_result_text(result));
}

/* Discard, then the tombstone, unless another thread has come that far meanwhile. */
static fsha_result finish(struct store *s, const char *key, const struct store_discard *d,
			  const struct record *record, const fsha_version *marked,
			  fsha_error *reterr)
{
	fsha_result result;

	result = discard_value(s, key, d, record, reterr);
	if (result == FSHA_OK)
		result = store_write(s, STORE_REMOVE, key, marked, NULL, 0, NULL, reterr);
	return result == FSHA_E_VERSION ? FSHA_OK : result;
}

/*
 * A mark of our own, also on one that is there: who made that may have died before it was durable,
 * and whether we lead is only known once we have written.
 */
static fsha_result mark_and_finish(struct store *s, const char *key, const struct store_discard *d,
				   fsha_version version, fsha_error *reterr)
{
	struct record record = { .data = NULL };
	fsha_version marked;
	enum name_form form;
	fsha_result result;

	/* INVALID: a stream that is too large to be had whole, so its name alone must do. */
	result = store_get_any(s, key, &record, &version, &form, reterr);
	if (result != FSHA_OK && result != FSHA_E_INVALID)
		return result == FSHA_E_NOT_FOUND ? FSHA_E_VERSION : result;
	result = store_write(s, STORE_MARK, key, &version, record.data, record.size, &marked,
			     reterr);
	if (result == FSHA_OK)
		result = finish(s, key, d, &record, &marked, reterr);
	else if (result == FSHA_E_NOT_FOUND)
		result = FSHA_E_VERSION; /* removed meanwhile */
	record_done(s->cluster->fs, &record);
	return result;
}

/* One look and what follows from it. VERSION: something came between, look again. */
static fsha_result step(struct store *s, const char *key, const struct store_discard *d,
			bool only_marked, fsha_error *reterr)
{
	fsha_version version;
	enum name_form form;
	fsha_result result;

	result = store_look(s, key, &version, &form, reterr);
	if (result != FSHA_OK)
		return result;
	if (form != NAME_MARKED && only_marked)
		return FSHA_E_NOT_FOUND;
	if (d)
		return mark_and_finish(s, key, d, version, reterr);
	if (form == NAME_MARKED)
		return error_set(reterr, FSHA_E_STATE, 0, "remove",
				 "the removal of '%s/%s' has begun: to finish it, say how what it "
				 "points to is discarded, or give that up with remove",
				 s->directory, key);
	return store_write(s, STORE_REMOVE, key, &version, NULL, 0, NULL, reterr);
}

static fsha_result steps(struct store *s, const char *key, const struct store_discard *d,
			 bool only_marked, fsha_error *reterr)
{
	fsha_result result = FSHA_E_VERSION;

	for (int i = 0; i < REMOVE_TRIES && result == FSHA_E_VERSION; i++)
		result = step(s, key, d, only_marked, reterr);
	if (result == FSHA_E_VERSION)
		return error_set(reterr, FSHA_E_TIMEOUT, 0, "remove",
				 "'%s/%s' changes faster than it can be removed", s->directory,
				 key);
	return result;
}

fsha_result store_release_and_try_remove(struct store *s, const char *key,
					 const struct store_discard *d, fsha_error *reterr)
{
	fsha_result result = steps(s, key, d, false, reterr);

	/* Not there: that this is so to stay, and that it is durable, is for a removal to see to.
	 */
	if (result == FSHA_E_NOT_FOUND)
		result = store_write(s, STORE_REMOVE, key, NULL, NULL, 0, NULL, reterr);
	return result;
}

fsha_result store_mark(struct store *s, const char *key, fsha_error *reterr)
{
	fsha_result result = FSHA_E_VERSION;
	struct record record;
	fsha_version version;
	enum name_form form;

	for (int i = 0; i < REMOVE_TRIES && result == FSHA_E_VERSION; i++) {
		result = store_get_any(s, key, &record, &version, &form, reterr);
		if (result != FSHA_OK)
			break;
		result = store_write(s, STORE_MARK, key, &version, record.data, record.size, NULL,
				     reterr);
		record_done(s->cluster->fs, &record);
	}
	return result;
}

fsha_result store_finish_removal(struct store *s, const char *key, const struct store_discard *d,
				 fsha_error *reterr)
{
	return steps(s, key, d, true, reterr);
}

/* The keys of one part, in one batch: all of them or none. */
static fsha_result clear_part(struct store *s, const struct store_handle *handles, size_t count,
			      struct store_change *changes, fsha_error *reterr)
{
	for (size_t i = 0; i < count; i++)
		changes[i] = (struct store_change){ .how = STORE_REMOVE, .key = handles[i].key };
	return store_write_batch(s, changes, count, NULL, NULL, reterr);
}

fsha_result store_clear(struct store *s, fsha_error *reterr)
{
	fsha_error error = FSHA_ERROR_INIT, damage = FSHA_ERROR_INIT;
	fsha_result first = FSHA_OK, result;
	struct store_change *changes;
	struct store_handle *handles;
	size_t count, part;

	result = store_known(s, &handles, &count, &damage, reterr);
	if (result != FSHA_OK)
		return result;
	part = count < STORE_BATCH_MAX ? count : STORE_BATCH_MAX;
	changes = fsu_alloc(s->cluster->fs, (part + 1) * sizeof(*changes));
	if (!changes)
		first = error_os(reterr, -ENOMEM, "alloc", "cannot clear '%s'", s->directory);
	for (size_t i = 0; changes && i < count; i += part) {
		part = count - i < part ? count - i : part;
		result = clear_part(s, handles + i, part, changes, &error);
		if (result != FSHA_OK && first == FSHA_OK)
			first = error_copy(reterr, &error);
		if (result == FSHA_E_NOT_LEADER || result == FSHA_E_FENCED)
			break; /* it will be no better for the others */
	}
	fsu_release(s->cluster->fs, changes);
	fsu_release(s->cluster->fs, handles);
	/* What a damaged pack holds is not known, and so not removed. */
	if (first == FSHA_OK && damage.result != FSHA_OK)
		first = error_copy(reterr, &damage);
	return first;
}
