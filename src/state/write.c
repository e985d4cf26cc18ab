/* The write side of a store: what may be written, its commit, and what became of one in doubt. */
#include "src/cluster/layout.h"
#include "src/result/error.h"
#include "src/state/owner.h"
#include "src/state/store.h"

/*
 * What a write may do given the present version: OK to commit, or the result. `*ret_nothing`: OK,
 * and nothing to do.
 */
static fsha_result check_write(const struct store *s, enum store_write how, const char *key,
			       const fsha_version *expected, const fsha_version *present,
			       enum name_form form, bool doubtful, bool *ret_nothing,
			       fsha_error *reterr)
{
	char text[FSHA_VERSION_TEXT];

	*ret_nothing = false;
	switch (how) {
	case STORE_OVERWRITE:
		return FSHA_OK;
	case STORE_ADD:
	case STORE_PUT:
		if (name_form_lives(form) && how == STORE_ADD)
			return error_set(reterr, FSHA_E_EXISTS, 0, "add", "'%s/%s' exists already",
					 s->directory, key);
		if (form == NAME_MARKED)
			return error_set(reterr, FSHA_E_EXISTS, 0, "add",
					 "the removal of '%s/%s' has begun, and what it points to "
					 "is not known to be discarded: finish it with "
					 "release_and_try_remove, or give that up with remove",
					 s->directory, key);
		return FSHA_OK;
	case STORE_REMOVE:
		if (form == NAME_TOMBSTONE) {
			*ret_nothing = !doubtful;
			return FSHA_OK;
		}
		break;
	case STORE_REPLACE:
		if (!name_form_lives(form))
			return store_not_found(s, key, reterr);
		break;
	case STORE_MARK:
		if (form == NAME_TOMBSTONE)
			return store_not_found(s, key, reterr);
		break;
	}
	if (expected && fsha_version_compare(expected, present) != 0)
		return error_set(reterr, FSHA_E_VERSION, 0, "write",
				 "'%s/%s' was replaced meanwhile: it has version %s", s->directory,
				 key, fsha_version_format(present, text));
	return FSHA_OK;
}

/*
 * What is there already may be the work of a write that was seen and not made durable: one of ours
 * in doubt, or one of a leader that died. Whoever builds on it makes it so (test_store_durable.c).
 * Under the mutex.
 */
fsha_result store_sync_found(struct store *s, fsha_error *reterr)
{
	int r = s->dir_fd >= 0 ? fsu_fsync(s->cluster->fs, s->dir_fd) : 0;

	if (r < 0)
		return error_os(reterr, r, "fsync", "cannot make '%s' durable", s->directory);
	return FSHA_OK;
}

fsha_result store_sync(struct store *s, fsha_error *reterr)
{
	fsha_result result;

	(void)pthread_mutex_lock(&s->mutex);
	result = store_sync_found(s, reterr);
	(void)pthread_mutex_unlock(&s->mutex);
	return result;
}

fsha_result store_make_directory(struct store *s, struct term *t, fsha_error *reterr)
{
	char parent[STORE_PATH_SIZE];
	fsha_result result = FSHA_OK;
	int r;

	if (s->dir_fd < 0) {
		/* Made anew it would look as if nothing had ever been in it. */
		if (layout_is_fixed(s->path))
			return layout_lost(s->cluster, s->path, reterr);
		result = owner_make_directory(t, s->directory, s->path, reterr);
		if (result == FSHA_OK)
			result = store_open_directory(s, reterr);
		if (result != FSHA_OK)
			return result;
	}
	if (!s->owned || s->durable) /* once for each store object */
		return FSHA_OK;
	layout_parent(s->path, parent);
	r = fsu_dir_sync(s->cluster->fs, s->cluster->fd, parent);
	if (r < 0)
		return error_os(reterr, r, "fsync", "cannot make '%s' durable", s->directory);
	s->durable = true;
	return FSHA_OK;
}

/*
 * A write in doubt, ours or another process's of the term, may come after a removal of nothing.
 * What asks for no present version outdoes a damaged pack, whatever is in it.
 */
fsha_result store_check_loaded(struct store *s, struct term *t, const struct store_change *c,
			       fsha_version *ret_floor, bool *ret_nothing, fsha_error *reterr)
{
	const struct index_pack *damaged;
	enum name_form form;

	damaged = store_sight(s, c->key, ret_floor, &form);
	if (damaged && c->how != STORE_PUT && c->how != STORE_OVERWRITE &&
	    (c->how != STORE_REMOVE || c->expected))
		return error_copy(reterr, damaged->why);
	if (damaged) {
		*ret_floor = damaged->version;
		form = NAME_VALUE;
	}
	return check_write(s, c->how, c->key, c->expected, ret_floor, form,
			   s->dir_fd >= 0 && (t->shared || store_in_doubt(s, t)), ret_nothing,
			   reterr);
}

static fsha_result check_change(struct store *s, struct term *t, const struct store_change *c,
				fsha_version *ret_floor, bool *ret_nothing, fsha_error *reterr)
{
	fsha_result result;

	*ret_floor = (fsha_version){ 0 };
	result = store_load(s, t, reterr);
	if (result != FSHA_OK && result != FSHA_E_NOT_FOUND)
		return result;
	return store_check_loaded(s, t, c, ret_floor, ret_nothing, reterr);
}

static enum name_form form_of(const struct store *s, enum store_write how)
{
	switch (how) {
	case STORE_REMOVE:
		return NAME_TOMBSTONE;
	case STORE_MARK:
		return NAME_MARKED;
	default:
		return store_value_form(s);
	}
}

fsha_result store_commit_locked(struct store *s, struct term *t, const struct store_change *c,
				bool *ret_sent, fsha_version *ret_version, fsha_error *reterr)
{
	struct term_write write = {
		.directory = s->directory,
		.key = c->key,
		.kind = s->kind,
		.form = form_of(s, c->how),
		.data = c->data,
		.size = c->size,
	};
	fsha_version present, version = c->staged ? *c->staged : (fsha_version){ 0 };
	const fsha_version *floor;
	fsha_result result;
	bool nothing = false;

	if (s->format && write.form == s->format->form)
		write.stage = s->format->stage;
	result = check_change(s, t, c, &present, &nothing, reterr);
	/* That there is nothing is for the present leader to say. */
	if (result == FSHA_OK && nothing)
		return term_is_live(t) ? store_sync_found(s, reterr) : term_not_live(t, reterr);
	if (result == FSHA_OK)
		result = store_make_directory(s, t, reterr);
	if (result != FSHA_OK)
		return result;
	write.dir_fd = s->dir_fd;
	floor = fsha_version_is_existing(&present) ? &present : NULL;
	*ret_sent = true;
	result = c->staged ? term_publish(t, &write, &version, floor, reterr) :
			     term_commit(t, &write, floor, &version, reterr);
	if (ret_version && fsha_version_is_existing(&version))
		*ret_version = version;
	if (result == FSHA_OK)
		(void)index_note(&s->index, c->key, &version,
				 write.form); /* out of memory: it forgets itself */
	else
		index_forget(&s->index);
	return result;
}

fsha_result store_commit(struct store *s, struct term *t, const struct store_change *c,
			 fsha_version *ret_version, fsha_error *reterr)
{
	struct fsu_lock lock;
	fsha_result result;
	bool sent = false;

	(void)pthread_mutex_lock(&s->mutex);
	result = term_enter(t, &lock, reterr);
	if (result == FSHA_OK) {
		result = store_commit_locked(s, t, c, &sent, ret_version, reterr);
		term_exit(t, &lock);
	}
	(void)pthread_mutex_unlock(&s->mutex);
	if (c->staged && !sent)
		term_unstage(t, c->staged);
	return result;
}

fsha_result store_may_change(struct store *s, struct term *t, const struct store_change *c,
			     fsha_version *ret_present, fsha_error *reterr)
{
	fsha_result result;
	bool nothing;

	(void)pthread_mutex_lock(&s->mutex);
	result = check_change(s, t, c, ret_present, &nothing, reterr);
	(void)pthread_mutex_unlock(&s->mutex);
	return result;
}

fsha_result store_not_leader(const struct store *s, const char *key, fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_NOT_LEADER, 0, "write",
			 "cannot write '%s/%s': this process does not lead '%s'", s->directory, key,
			 s->election);
}

fsha_result store_write(struct store *s, enum store_write how, const char *key,
			const fsha_version *expected, const void *data, size_t size,
			fsha_version *ret_version, fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	const int64_t begun_ns = fsu_now_ns(s->cluster->fs);
	const struct store_change change = {
		.how = how,
		.key = key,
		.expected = expected,
		.data = data,
		.size = size,
	};
	fsha_result result;

	if (!t)
		result = store_not_leader(s, key, reterr);
	else if (size > FSHA_STATE_VALUE_MAX)
		result = error_set(reterr, FSHA_E_INVALID, 0, "write",
				   "the value for '%s/%s' has %zu bytes, at most %llu are allowed",
				   s->directory, key, size,
				   (unsigned long long)FSHA_STATE_VALUE_MAX);
	else
		result = store_commit(s, t, &change, ret_version, reterr);
	term_unref(t);
	cluster_count(s->cluster,
		      how == STORE_REMOVE || how == STORE_MARK ? FSHA_OPERATION_REMOVE :
								 FSHA_OPERATION_WRITE,
		      begun_ns, result);
	return result;
}

/* For a version that is not the present one's successor's: what the directory shows. */
static fsha_result settle_by_sight(const struct store *s, const struct term *t, const char *key,
				   const fsha_version *version, int order, fsha_error *reterr)
{
	int r;

	if (order > 0)
		return error_set(reterr, FSHA_E_VERSION, 0, "settle",
				 "'%s/%s' has a newer version, so it can no longer be told",
				 s->directory, key);
	if (order == 0) {
		r = fsu_fsync(s->cluster->fs, s->dir_fd);
		return r < 0 ? error_set(reterr, FSHA_E_INDOUBT, -r, "fsync",
					 "'%s/%s' is there, but perhaps not durable", s->directory,
					 key) :
			       FSHA_OK;
	}
	/* Not there. It can still come, unless its term was fenced before ours was granted. */
	if (t && t->epoch.number > version->epoch)
		return error_set(reterr, FSHA_E_NOT_FOUND, 0, "settle",
				 "'%s/%s' was not written, and never will be", s->directory, key);
	return error_set(reterr, FSHA_E_INDOUBT, 0, "settle",
			 "still cannot tell whether '%s/%s' was written", s->directory, key);
}

/* Does the present version lie in a pack: that of its own batch, or, `*ret_repacked`, a later one?
 */
static bool is_packed(const struct store *s, const char *key, const fsha_version *version,
		      bool *ret_repacked)
{
	const struct index_entry *e = index_find(&s->index, key);

	*ret_repacked = e && e->pack && fsha_version_compare(&e->pack->version, version) != 0;
	return e && e->pack;
}

static bool is_own(const struct term *t, const fsha_version *version)
{
	return t && t->epoch.number == version->epoch && t->seat == version->seat;
}

fsha_result store_settle(struct store *s, const char *key, const fsha_version *version,
			 fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	struct term_write write = { .directory = s->directory, .key = key, .kind = s->kind };
	fsha_error why = FSHA_ERROR_INIT;
	fsha_version present = { 0 };
	fsha_result result;
	enum name_form form = NAME_TOMBSTONE;
	bool repacked = false;
	int order;

	(void)pthread_mutex_lock(&s->mutex);
	index_forget(&s->index);
	result = store_look_up(s, NULL, key, &present, &form, &why);
	if (result == FSHA_OK || result == FSHA_E_NOT_FOUND) {
		order = fsha_version_compare(&present, version);
		/*
		 * Under a name that is not the right one it is in doubt at worst: what is not
		 * there is not done once its staged file could be unlinked.
		 */
		write.form = order == 0 ? form : store_value_form(s);
		write.dir_fd = s->dir_fd;
		if (order == 0 && is_packed(s, key, version, &repacked))
			batch_name(&write);
		if (order <= 0 && !repacked && s->dir_fd >= 0 && is_own(t, version)) {
			result = term_settle(t, &write, version, reterr);
		} else {
			result = settle_by_sight(s, t, key, version, order, reterr);
			/* Outdone; yet a doubt until it cannot come: what outdoes it may go. */
			if (order > 0 && is_own(t, version))
				(void)term_settle(t, &write, version, NULL);
		}
		/* It may have come since the look above (test_late.c). */
		index_forget(&s->index);
	} else if (result == FSHA_E_CONFIG || result == FSHA_E_CORRUPT) {
		result = error_copy(reterr, &why);
	} else {
		/* IO would say that nothing was done. */
		result = error_wrap(reterr, FSHA_E_INDOUBT, &why, why.op,
				    "still cannot tell whether '%s/%s' was written: %s",
				    s->directory, key, why.message);
	}
	(void)pthread_mutex_unlock(&s->mutex);
	term_unref(t);
	return result;
}
