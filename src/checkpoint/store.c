/* Opening, closing and asking a checkpoint store; what changes it is in change.c. */
#include <errno.h>
#include <inttypes.h>
#include <stdalign.h>
#include <string.h>

#include "src/checkpoint/checkpoint.h"
#include "src/result/error.h"

/* ---- open and close ---- */

struct store_options checkpoint_store_options(const char *directory, const char *election)
{
	return (struct store_options){
		.directory = directory,
		.election = election,
		.kind = FSU_KIND_CHECKPOINT,
		.owned = true,
		.removable = true,
	};
}

void checkpoint_free_retained(fsha_checkpoint_store *s)
{
	for (size_t i = 0; i < s->count; i++)
		checkpoint_destroy(services_fs(s->services), s->retained[i]);
	s->count = 0;
}

static void destroy(fsha_checkpoint_store *s)
{
	const struct fsu *fs = services_fs(s->services);

	checkpoint_free_retained(s);
	fsu_release(fs, s->retained);
	checkpoint_free_removals(fs, &s->due);
	checkpoint_free_removals(fs, &s->failed);
	(void)pthread_mutex_destroy(&s->mutex);
	(void)pthread_mutex_destroy(&s->writing);
	fsu_release(fs, s);
}

/* The chore hung when the store was closed, and has come back. */
static void returned(struct chore *chore)
{
	fsha_checkpoint_store *s =
		(fsha_checkpoint_store *)((char *)chore - offsetof(fsha_checkpoint_store, chore));

	services_store_return(s->services, s->store);
	destroy(s);
}

static fsha_result check_options(const fsha_checkpoint_store_options *o, fsha_error *reterr)
{
	if (o->struct_size != sizeof(*o) || (o->flags & ~FSHA_CHECKPOINT_SKIP_BROKEN))
		return error_set(
			reterr, FSHA_E_INVALID, 0, "open",
			"the checkpoint store's options have an unknown size or flag: start "
			"from FSHA_CHECKPOINT_STORE_OPTIONS_INIT");
	if (o->max_retained > FSHA_CHECKPOINT_RETAINED_MAX)
		return error_set(reterr, FSHA_E_INVALID, 0, "open",
				 "max_retained is %" PRIu32 ", at most %d are allowed",
				 o->max_retained, FSHA_CHECKPOINT_RETAINED_MAX);
	return FSHA_OK;
}

static fsha_checkpoint_store *create(fsha_services *services, const fsha_job_id *job,
				     const fsha_checkpoint_store_options *options)
{
	const struct fsu *fs = services_fs(services);
	fsha_checkpoint_store *s = fsu_alloc(fs, sizeof(*s));

	if (!s)
		return NULL;
	if (pthread_mutex_init(&s->mutex, NULL) != 0) {
		fsu_release(fs, s);
		return NULL;
	}
	if (pthread_mutex_init(&s->writing, NULL) != 0) {
		(void)pthread_mutex_destroy(&s->mutex);
		fsu_release(fs, s);
		return NULL;
	}
	s->services = services;
	s->options = *options;
	if (s->options.max_retained == 0)
		s->options.max_retained = 1;
	s->chore.run = checkpoint_clean;
	s->chore.returned = returned;
	checkpoint_directory(job, s->directory);
	fsha_job_election_name(job, s->election);
	return s;
}

struct fsu_uuid checkpoint_present_session(const fsha_checkpoint_store *s)
{
	struct term *t = services_term(s->services, s->election);
	struct fsu_uuid session = { { 0 } };

	if (t && term_is_live(t))
		session = t->epoch.session;
	term_unref(t);
	return session;
}

fsha_result checkpoint_open(fsha_services *services, const fsha_job_id *job,
			    const fsha_checkpoint_store_options *options,
			    fsha_checkpoint_store **ret_store, fsha_error *reterr)
{
	static const fsha_checkpoint_store_options defaults = FSHA_CHECKPOINT_STORE_OPTIONS_INIT;
	struct store_options store_options;
	fsha_checkpoint_store *s;
	fsha_result result;

	if (!services || !job || !ret_store)
		return error_set(reterr, FSHA_E_INVALID, 0, "open", "an argument is NULL");
	if (!options)
		options = &defaults;
	result = check_options(options, reterr);
	if (result != FSHA_OK)
		return result;
	s = create(services, job, options);
	if (!s)
		return error_os(reterr, -ENOMEM, "alloc", "cannot open the checkpoint store");
	store_options = checkpoint_store_options(s->directory, s->election);
	result = services_store_open(services, &store_options, &s->store, reterr);
	if (result != FSHA_OK) {
		destroy(s);
		return result;
	}
	/* Before the look: what is seen then is what there was in that term, or later. */
	s->session = checkpoint_present_session(s);
	result = checkpoint_recover(s, reterr);
	if (result != FSHA_OK) {
		services_store_close(services, s->store);
		destroy(s);
		return result;
	}
	if (!fsu_uuid_is_null(&s->session))
		checkpoint_post(s);
	*ret_store = s;
	return FSHA_OK;
}

fsha_result fsha_checkpoint_store_open(fsha_services *services, const fsha_job_id *job,
				       const fsha_checkpoint_store_options *options,
				       fsha_checkpoint_store **ret_store, fsha_error *reterr)
{
	int r;

	if (!services)
		return error_set(reterr, FSHA_E_INVALID, 0, "open", "the services are NULL");
	services_lock(services);
	r = chores_start(services);
	services_unlock(services);
	if (r < 0)
		return error_os(reterr, r, "thread", "cannot open the checkpoint store");
	return checkpoint_open(services, job, options, ret_store, reterr);
}

fsha_result fsha_checkpoint_store_close(fsha_checkpoint_store *s, fsha_error *reterr)
{
	struct fsha_services *services;
	bool idle, undone = true;

	if (!s)
		return FSHA_OK;
	services = s->services;
	services_lock(services);
	if (chores_is_me(services)) {
		services_unlock(services);
		return error_set(reterr, FSHA_E_STATE, 0, "close",
				 "a checkpoint store cannot be closed from its own functions");
	}
	idle = chores_remove(services, &s->chore, services_close_deadline_ns(services));
	(void)pthread_mutex_lock(&s->mutex);
	undone = !idle || s->due;
	s->abandoned = !idle;
	(void)pthread_mutex_unlock(&s->mutex);
	if (!idle)
		services_store_abandon(services, s->store);
	services_unlock(services);
	if (idle) {
		services_store_close(services, s->store);
		destroy(s);
	}
	return undone ? error_set(reterr, FSHA_E_TIMEOUT, 0, "close",
				  "the checkpoint store is closed, but not all that was dropped is "
				  "removed yet: who opens it next goes on") :
			FSHA_OK;
}

/* ---- asking ---- */

const struct checkpoint *checkpoint_find(const fsha_checkpoint_store *s, int64_t id)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->retained[i]->is.id == id)
			return s->retained[i];
	return NULL;
}

fsha_result checkpoint_not_found(const fsha_checkpoint_store *s, int64_t id, fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_NOT_FOUND, 0, "get",
			 "there is no checkpoint %" PRId64 " in '%s'", id, s->directory);
}

static fsha_result copy_out(fsha_checkpoint_store *s, const struct checkpoint *c,
			    fsha_completed_checkpoint **ret_checkpoint, fsha_error *reterr)
{
	*ret_checkpoint = fsu_alloc(services_fs(s->services), checkpoint_bytes(&c->is));
	if (!*ret_checkpoint)
		return error_os(reterr, -ENOMEM, "alloc", "cannot copy checkpoint %" PRId64,
				c->is.id);
	checkpoint_copy(&c->is, *ret_checkpoint);
	return FSHA_OK;
}

fsha_result fsha_checkpoint_store_get_latest(fsha_checkpoint_store *s,
					     fsha_completed_checkpoint **ret_checkpoint,
					     fsha_error *reterr)
{
	fsha_result result;

	if (!s || !ret_checkpoint)
		return error_set(reterr, FSHA_E_INVALID, 0, "get", "an argument is NULL");
	(void)pthread_mutex_lock(&s->mutex);
	result = s->count ? copy_out(s, s->retained[s->count - 1], ret_checkpoint, reterr) :
			    error_set(reterr, FSHA_E_NOT_FOUND, 0, "get",
				      "there is no checkpoint in '%s'", s->directory);
	(void)pthread_mutex_unlock(&s->mutex);
	return result;
}

fsha_result fsha_checkpoint_store_get(fsha_checkpoint_store *s, int64_t id,
				      fsha_completed_checkpoint **ret_checkpoint,
				      fsha_error *reterr)
{
	const struct checkpoint *c;
	fsha_result result;

	if (!s || !ret_checkpoint)
		return error_set(reterr, FSHA_E_INVALID, 0, "get", "an argument is NULL");
	(void)pthread_mutex_lock(&s->mutex);
	c = checkpoint_find(s, id);
	result = c ? copy_out(s, c, ret_checkpoint, reterr) : checkpoint_not_found(s, id, reterr);
	(void)pthread_mutex_unlock(&s->mutex);
	return result;
}

static size_t aligned(size_t size)
{
	return (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
}

fsha_result fsha_checkpoint_store_get_all(fsha_checkpoint_store *s,
					  fsha_completed_checkpoint ***ret_checkpoints,
					  size_t *ret_count, fsha_error *reterr)
{
	fsha_completed_checkpoint **all;
	size_t bytes;
	char *at;

	if (!s || !ret_checkpoints || !ret_count)
		return error_set(reterr, FSHA_E_INVALID, 0, "get_all", "an argument is NULL");
	(void)pthread_mutex_lock(&s->mutex);
	bytes = aligned((s->count + 1) * sizeof(*all));
	for (size_t i = 0; i < s->count; i++)
		bytes += aligned(checkpoint_bytes(&s->retained[i]->is));
	all = fsu_alloc(services_fs(s->services), bytes);
	at = all ? (char *)all + aligned((s->count + 1) * sizeof(*all)) : NULL;
	for (size_t i = 0; all && i < s->count; i++) {
		all[i] = (fsha_completed_checkpoint *)(void *)at;
		checkpoint_copy(&s->retained[i]->is, all[i]);
		at += aligned(checkpoint_bytes(&s->retained[i]->is));
	}
	if (all) {
		*ret_checkpoints = all;
		*ret_count = s->count;
	}
	(void)pthread_mutex_unlock(&s->mutex);
	return all ? FSHA_OK : error_os(reterr, -ENOMEM, "alloc", "cannot copy the checkpoints");
}

int64_t fsha_checkpoint_store_latest_id(fsha_checkpoint_store *s)
{
	int64_t id = 0;

	if (!s)
		return 0;
	(void)pthread_mutex_lock(&s->mutex);
	if (s->count > 0)
		id = s->retained[s->count - 1]->is.id;
	(void)pthread_mutex_unlock(&s->mutex);
	return id;
}

size_t fsha_checkpoint_store_count(fsha_checkpoint_store *s)
{
	size_t count;

	if (!s)
		return 0;
	(void)pthread_mutex_lock(&s->mutex);
	count = s->count;
	(void)pthread_mutex_unlock(&s->mutex);
	return count;
}

uint32_t fsha_checkpoint_store_max_retained(const fsha_checkpoint_store *s)
{
	return s ? s->options.max_retained : 0;
}

int fsha_checkpoint_store_requires_externalized_checkpoints(const fsha_checkpoint_store *s)
{
	(void)s;
	return 1;
}
