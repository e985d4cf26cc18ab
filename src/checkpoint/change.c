/* What changes a checkpoint store: adding, removing by hand, and the end of the job. */
#include <errno.h>
#include <inttypes.h>

#include "src/checkpoint/checkpoint.h"
#include "src/result/error.h"

/* ---- adding ---- */

/* What an add needs, so that nothing can fail once it is durable. */
struct adding {
	struct checkpoint *checkpoint;
	uint8_t *payload;
	size_t size;
	uint32_t *types;
	bool *drop;
};

static void adding_done(const struct fsu *fs, struct adding *a)
{
	checkpoint_destroy(fs, a->checkpoint);
	fsu_release(fs, a->payload);
	fsu_release(fs, a->types);
	fsu_release(fs, a->drop);
}

static int reserve(fsha_checkpoint_store *s)
{
	struct checkpoint **retained;
	size_t size = 2 * s->size + 1;
	int r = 0;

	if (s->count < s->size)
		return 0;
	(void)pthread_mutex_lock(&s->mutex);
	retained = fsu_resize(services_fs(s->services), s->retained, size * sizeof(*retained));
	if (retained) {
		s->retained = retained;
		s->size = size;
	} else {
		r = -ENOMEM;
	}
	(void)pthread_mutex_unlock(&s->mutex);
	return r;
}

/* `writing` is held: only who holds it changes `count`. */
static int prepare(fsha_checkpoint_store *s, const fsha_completed_checkpoint *checkpoint,
		   struct adding *ret_adding)
{
	const struct fsu *fs = services_fs(s->services);
	struct adding a = { .checkpoint = NULL };
	int r = reserve(s);

	if (r == 0)
		r = checkpoint_encode(fs, checkpoint, &a.payload, &a.size);
	if (r == 0) {
		a.checkpoint = checkpoint_create(fs, checkpoint);
		a.types = fsu_alloc(fs, (s->count + 1) * sizeof(*a.types));
		a.drop = fsu_alloc(fs, (s->count + 1) * sizeof(*a.drop));
		if (!a.checkpoint || !a.types || !a.drop)
			r = -ENOMEM;
	}
	if (r < 0)
		adding_done(fs, &a);
	else
		*ret_adding = a;
	return r;
}

/* In the very term in which the store was recovered: what another added meanwhile is not in it. */
static fsha_result commit(fsha_checkpoint_store *s, const char *key, const struct adding *a,
			  fsha_error *reterr)
{
	const struct store_change change = {
		.how = STORE_ADD,
		.key = key,
		.data = a->payload,
		.size = a->size,
	};
	struct term *t = services_term(s->services, s->election);
	const int64_t begun_ns = fsu_now_ns(services_fs(s->services));
	fsha_result result;

	if (!t)
		result = store_not_leader(s->store, key, reterr);
	else if (!fsu_uuid_equal(&t->epoch.session, &s->session) && term_is_live(t))
		result = error_set(reterr, FSHA_E_STATE, 0, "add",
				   "the store '%s' was opened before this process was granted its "
				   "present leadership: open it again",
				   s->directory);
	else
		result = store_commit(s->store, t, &change, NULL, reterr);
	term_unref(t);
	cluster_count(&s->services->cluster, FSHA_OPERATION_WRITE, begun_ns, result);
	return result;
}

/*
 * Under the mutex, with room for it. By its id, whatever was added before it: who recovers knows
 * nothing but the ids, and must find the same one to be the newest.
 */
static void insert(fsha_checkpoint_store *s, struct checkpoint *c)
{
	size_t at = s->count++;

	for (; at > 0 && s->retained[at - 1]->is.id > c->is.id; at--)
		s->retained[at] = s->retained[at - 1];
	s->retained[at] = c;
}

/* Under the mutex. Returns the last that was dropped, or 0. */
static int64_t drop_superfluous(fsha_checkpoint_store *s, const struct adding *a)
{
	size_t left = 0;
	int64_t last = 0;

	for (size_t i = 0; i < s->count; i++)
		a->types[i] = s->retained[i]->is.type;
	(void)checkpoint_subsume(a->types, s->count, s->options.max_retained, a->drop);
	for (size_t i = 0; i < s->count; i++) {
		struct checkpoint *c = s->retained[i];

		if (!a->drop[i]) {
			s->retained[left++] = c;
			continue;
		}
		last = c->is.id;
		c->removal->discard =
			s->options.discard && checkpoint_discarded_when_subsumed(&c->is);
		checkpoint_add_due(s, c->removal);
		c->removal = NULL;
		checkpoint_destroy(services_fs(s->services), c);
	}
	s->count = left;
	return last;
}

static fsha_result add_locked(fsha_checkpoint_store *s, const fsha_completed_checkpoint *checkpoint,
			      int64_t *ret_subsumed, fsha_error *reterr)
{
	const struct fsu *fs = services_fs(s->services);
	char key[CHECKPOINT_KEY_SIZE];
	struct adding a;
	fsha_result result;
	int64_t subsumed;
	bool pending;
	int r;

	if (s->shut_down)
		return error_set(reterr, FSHA_E_STATE, 0, "add",
				 "the checkpoint store '%s' was shut down", s->directory);
	(void)pthread_mutex_lock(&s->mutex);
	pending = checkpoint_is_pending(s, checkpoint->id);
	(void)pthread_mutex_unlock(&s->mutex);
	if (pending) /* it would be taken for what is to be removed */
		return error_set(reterr, FSHA_E_EXISTS, 0, "add",
				 "checkpoint %" PRId64 " in '%s' is still being removed",
				 checkpoint->id, s->directory);
	r = prepare(s, checkpoint, &a);
	if (r < 0)
		return error_os(reterr, r, "alloc", "cannot add checkpoint %" PRId64,
				checkpoint->id);
	checkpoint_key(checkpoint->id, key);
	result = commit(s, key, &a, reterr);
	if (result == FSHA_OK) {
		(void)pthread_mutex_lock(&s->mutex);
		insert(s, a.checkpoint);
		a.checkpoint = NULL;
		subsumed = drop_superfluous(s, &a);
		(void)pthread_mutex_unlock(&s->mutex);
		if (ret_subsumed)
			*ret_subsumed = subsumed;
	}
	adding_done(fs, &a);
	return result;
}

fsha_result fsha_checkpoint_store_add(fsha_checkpoint_store *s,
				      const fsha_completed_checkpoint *checkpoint,
				      int64_t *ret_subsumed, fsha_error *reterr)
{
	fsha_result result;

	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "add", "the store is NULL");
	result = checkpoint_check(checkpoint, reterr);
	if (result != FSHA_OK)
		return result;
	(void)pthread_mutex_lock(&s->writing);
	result = add_locked(s, checkpoint, ret_subsumed, reterr);
	(void)pthread_mutex_unlock(&s->writing);
	if (result == FSHA_OK)
		checkpoint_post(s);
	return result;
}

/* ---- removing ---- */

static void forget(fsha_checkpoint_store *s, int64_t id)
{
	size_t left = 0;

	(void)pthread_mutex_lock(&s->mutex);
	for (size_t i = 0; i < s->count; i++) {
		if (s->retained[i]->is.id == id)
			checkpoint_destroy(services_fs(s->services), s->retained[i]);
		else
			s->retained[left++] = s->retained[i];
	}
	s->count = left;
	(void)pthread_mutex_unlock(&s->mutex);
}

/* One that is not in memory: it cannot be read, or its removal has begun. */
static fsha_result look_on_disk(fsha_checkpoint_store *s, int64_t id, bool *ret_marked,
				bool *ret_pending, fsha_error *reterr)
{
	enum name_form form = NAME_TOMBSTONE;
	char key[CHECKPOINT_KEY_SIZE];
	fsha_version version;
	fsha_result result;

	if (id < 1)
		return checkpoint_not_found(s, id, reterr);
	(void)pthread_mutex_lock(&s->mutex);
	*ret_pending = checkpoint_is_pending(s, id);
	(void)pthread_mutex_unlock(&s->mutex);
	if (*ret_pending)
		return FSHA_OK;
	checkpoint_key(id, key);
	result = store_look(s->store, key, &version, &form, reterr);
	*ret_marked = form == NAME_MARKED;
	return result == FSHA_E_NOT_FOUND ? checkpoint_not_found(s, id, reterr) : result;
}

static fsha_result remove_locked(fsha_checkpoint_store *s, int64_t id, fsha_error *reterr)
{
	const struct checkpoint *c = checkpoint_find(s, id); /* `writing` keeps it */
	bool discard = false, pending = false;
	struct removal *removal;
	fsha_result result;

	if (c)
		discard = checkpoint_discarded_when_subsumed(&c->is);
	else {
		result = look_on_disk(s, id, &discard, &pending, reterr);
		if (result != FSHA_OK || pending)
			return result;
	}
	removal = fsu_alloc(services_fs(s->services), sizeof(*removal));
	if (!removal)
		return error_os(reterr, -ENOMEM, "alloc", "cannot remove checkpoint %" PRId64, id);
	removal->id = id;
	removal->discard = s->options.discard && discard;
	result = checkpoint_begin_removal(s, removal, reterr);
	if (result == FSHA_OK)
		forget(s, id);
	else
		fsu_release(services_fs(s->services), removal);
	return result;
}

fsha_result fsha_checkpoint_store_remove(fsha_checkpoint_store *s, int64_t id, fsha_error *reterr)
{
	fsha_result result;

	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "remove", "the store is NULL");
	(void)pthread_mutex_lock(&s->writing);
	result = remove_locked(s, id, reterr);
	(void)pthread_mutex_unlock(&s->writing);
	if (result == FSHA_OK)
		checkpoint_post(s);
	return result;
}

/* ---- the end of the job ---- */

/* Of one that cannot be read nobody knows what it points to: only the record goes. */
static fsha_result read_policy(fsha_checkpoint_store *s, const char *key, int64_t id, int job_end,
			       bool *ret_discard, fsha_error *reterr)
{
	char pointer[FSHA_CHECKPOINT_POINTER_MAX + 1];
	fsha_error error = FSHA_ERROR_INIT;
	fsha_completed_checkpoint c;
	struct record record;
	fsha_result result;
	bool decoded;

	*ret_discard = false;
	if (!s->options.discard)
		return FSHA_OK;
	result = store_get(s->store, key, &record, NULL, &error);
	if (result == FSHA_OK) {
		decoded = checkpoint_decode(record.data, record.size, id, &c, pointer);
		*ret_discard = decoded && checkpoint_discarded_at_end(&c, job_end);
		record_done(services_fs(s->services), &record);
		if (decoded)
			return FSHA_OK;
		(void)error_set(&error, FSHA_E_CORRUPT, 0, "decode", "its payload is damaged");
	} else if (result != FSHA_E_CORRUPT) {
		return error_copy(reterr, &error);
	}
	services_log(s->services, FSHA_LOG_WARNING, "checkpoint_not_discarded",
		     "directory=%s checkpoint=%" PRId64 " error=\"%s\"", s->directory, id,
		     error.message);
	return FSHA_OK;
}

/* The first step of the removal of what a listing showed. */
static fsha_result end_one(fsha_checkpoint_store *s, const struct store_handle *handle, int job_end,
			   fsha_error *reterr)
{
	struct removal *removal;
	fsha_result result;
	bool pending, discard;
	int64_t id;

	if (!checkpoint_parse_key(handle->key, &id))
		return store_write(s->store, STORE_REMOVE, handle->key, NULL, NULL, 0, NULL,
				   reterr);
	(void)pthread_mutex_lock(&s->mutex);
	pending = checkpoint_is_pending(s, id);
	(void)pthread_mutex_unlock(&s->mutex);
	if (pending)
		return FSHA_OK;
	if (handle->form == NAME_MARKED) {
		if (!s->options.discard)
			return FSHA_OK; /* for somebody who can */
		discard = true;
	} else {
		result = read_policy(s, handle->key, id, job_end, &discard, reterr);
		if (result != FSHA_OK) /* NOT_FOUND: it has gone meanwhile */
			return result == FSHA_E_NOT_FOUND ? FSHA_OK : result;
	}
	removal = fsu_alloc(services_fs(s->services), sizeof(*removal));
	if (!removal)
		return error_os(reterr, -ENOMEM, "alloc", "cannot remove checkpoint %" PRId64, id);
	removal->id = id;
	removal->discard = discard;
	result = checkpoint_begin_removal(s, removal, reterr);
	if (result != FSHA_OK)
		fsu_release(services_fs(s->services), removal);
	return result;
}

/*
 * By what is on disk, not by what is in memory: so a second call goes on after a failure of the
 * first, and one that was in doubt goes too.
 */
static fsha_result end_all(fsha_checkpoint_store *s, int job_end, fsha_error *reterr)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result first = FSHA_OK, result;
	struct store_handle *handles;
	size_t count;

	result = store_handles(s->store, &handles, &count, reterr);
	if (result != FSHA_OK)
		return result;
	for (size_t i = 0; i < count; i++) {
		result = end_one(s, &handles[i], job_end, &error);
		if (result != FSHA_OK && first == FSHA_OK)
			first = error_copy(reterr, &error);
		if (result == FSHA_E_NOT_LEADER || result == FSHA_E_FENCED)
			break; /* it will be no better for the others */
	}
	fsu_release(services_fs(s->services), handles);
	return first;
}

static fsha_result shutdown_locked(fsha_checkpoint_store *s, int job_end, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;

	if (s->ended)
		return FSHA_OK;
	(void)pthread_mutex_lock(&s->mutex);
	s->shut_down = true;
	checkpoint_free_retained(s);
	(void)pthread_mutex_unlock(&s->mutex);
	if (checkpoint_end_is_global(job_end))
		result = end_all(s, job_end, reterr);
	else
		store_forget(s->store);
	s->ended = result == FSHA_OK;
	return result;
}

fsha_result fsha_checkpoint_store_shutdown(fsha_checkpoint_store *s, int job_end,
					   fsha_error *reterr)
{
	fsha_result result;

	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "shutdown", "the store is NULL");
	if (!checkpoint_end_is_known(job_end))
		return error_set(reterr, FSHA_E_INVALID, 0, "shutdown",
				 "%d is no fsha_job_end: FINISHED, CANCELED, FAILED or SUSPENDED",
				 job_end);
	(void)pthread_mutex_lock(&s->writing);
	result = shutdown_locked(s, job_end, reterr);
	(void)pthread_mutex_unlock(&s->writing);
	checkpoint_post(s);
	return result;
}
