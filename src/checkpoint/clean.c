/*
 * Removing checkpoints, in the background: the user's discard function may take long, and so may
 * the storage. A removal that failed waits for the next change; one that was never begun is begun
 * by who recovers the store next.
 */
#include <inttypes.h>

#include "src/checkpoint/checkpoint.h"
#include "src/result/error.h"

/* ---- what is to be done; under the mutex ---- */

static bool has(const struct removal *list, int64_t id)
{
	while (list && list->id != id)
		list = list->next;
	return list != NULL;
}

bool checkpoint_is_pending(const fsha_checkpoint_store *s, int64_t id)
{
	return has(s->due, id) || has(s->failed, id) || (s->current && s->current->id == id);
}

static void append(struct removal **list, struct removal *removal)
{
	while (*list)
		list = &(*list)->next;
	removal->next = NULL;
	*list = removal;
}

void checkpoint_add_due(fsha_checkpoint_store *s, struct removal *removal)
{
	append(&s->due, removal);
}

void checkpoint_free_removals(const struct fsu *fs, struct removal **list)
{
	while (*list) {
		struct removal *removal = *list;

		*list = removal->next;
		fsu_release(fs, removal);
	}
}

/* ---- doing it ---- */

struct discarding {
	const fsha_checkpoint_store *store;
	int64_t id;
};

static fsha_result discard(void *ctx, const void *data, size_t size, fsha_error *reterr)
{
	const struct discarding *d = ctx;
	char pointer[FSHA_CHECKPOINT_POINTER_MAX + 1];
	fsha_completed_checkpoint checkpoint;

	if (!checkpoint_decode(data, size, d->id, &checkpoint, pointer))
		return error_set(reterr, FSHA_E_CORRUPT, 0, "decode",
				 "its payload is not that of checkpoint %" PRId64, d->id);
	return d->store->options.discard(d->store->options.ctx, &checkpoint, reterr);
}

static fsha_result remove_one(fsha_checkpoint_store *s, const struct removal *removal,
			      fsha_error *reterr)
{
	struct discarding discarding = { s, removal->id };
	const struct store_discard how = { discard, &discarding };
	const struct fsu_uuid session = checkpoint_present_session(s);
	char key[CHECKPOINT_KEY_SIZE];

	/* Leaders in between may have kept what was dropped in an earlier term. */
	if (!fsu_uuid_is_null(&s->session) && !fsu_uuid_equal(&session, &s->session))
		return error_set(reterr, FSHA_E_NOT_LEADER, 0, "remove",
				 "checkpoint %" PRId64 " was dropped in a term that is over: who "
				 "recovers '%s' decides anew",
				 removal->id, s->directory);
	checkpoint_key(removal->id, key);
	if (removal->discard)
		return store_release_and_try_remove(s->store, key, &how, reterr);
	return store_write(s->store, STORE_REMOVE, key, NULL, NULL, 0, NULL, reterr);
}

static bool take(fsha_checkpoint_store *s)
{
	(void)pthread_mutex_lock(&s->mutex);
	if (!s->abandoned && s->due) {
		s->current = s->due;
		s->due = s->due->next;
	}
	(void)pthread_mutex_unlock(&s->mutex);
	return s->current != NULL; /* only this thread changes it */
}

/* Take it off, or keep it for another time. False: nothing more is to be called. */
static bool put_back(fsha_checkpoint_store *s, fsha_result result)
{
	struct removal *rest = NULL, *removal;
	bool goes_on;

	(void)pthread_mutex_lock(&s->mutex);
	removal = s->current;
	s->current = NULL;
	goes_on = !s->abandoned;
	if (result == FSHA_E_NOT_LEADER || result == FSHA_E_FENCED) {
		/* What is left is for the next leader, who finds it on disk. */
		rest = s->due;
		s->due = NULL;
	} else if (result != FSHA_OK) {
		append(&s->failed, removal);
		removal = NULL;
	}
	(void)pthread_mutex_unlock(&s->mutex);
	fsu_release(services_fs(s->services), removal);
	checkpoint_free_removals(services_fs(s->services), &rest);
	return goes_on;
}

void checkpoint_clean(struct chore *chore)
{
	fsha_checkpoint_store *s =
		(fsha_checkpoint_store *)((char *)chore - offsetof(fsha_checkpoint_store, chore));

	while (take(s)) {
		fsha_error error = FSHA_ERROR_INIT;
		const int64_t id = s->current->id; /* only this thread changes it */
		fsha_result result = remove_one(s, s->current, &error);

		if (result != FSHA_OK)
			services_log(s->services, FSHA_LOG_WARNING, "discard_failed",
				     "directory=%s checkpoint=%" PRId64 " result=%s error=\"%s\"",
				     s->directory, id, fsha_result_name(result), error.message);
		if (!put_back(s, result))
			break;
		if (s->options.cleaned)
			s->options.cleaned(s->options.ctx, id, result == FSHA_OK ? NULL : &error);
	}
}

fsha_result checkpoint_begin_removal(fsha_checkpoint_store *s, struct removal *removal,
				     fsha_error *reterr)
{
	char key[CHECKPOINT_KEY_SIZE];
	fsha_result result;

	checkpoint_key(removal->id, key);
	if (!removal->discard) {
		result = store_write(s->store, STORE_REMOVE, key, NULL, NULL, 0, NULL, reterr);
		if (result == FSHA_OK)
			fsu_release(services_fs(s->services), removal);
		return result;
	}
	result = store_mark(s->store, key, reterr);
	if (result == FSHA_OK) {
		(void)pthread_mutex_lock(&s->mutex);
		checkpoint_add_due(s, removal);
		(void)pthread_mutex_unlock(&s->mutex);
	}
	return result;
}

void checkpoint_post(fsha_checkpoint_store *s)
{
	bool any;

	(void)pthread_mutex_lock(&s->mutex);
	while (s->failed) {
		struct removal *removal = s->failed;

		s->failed = removal->next;
		append(&s->due, removal);
	}
	any = s->due != NULL;
	(void)pthread_mutex_unlock(&s->mutex);
	if (!any)
		return;
	services_lock(s->services);
	chores_post(s->services, &s->chore);
	services_unlock(s->services);
}
