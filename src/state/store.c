#include "src/state/store.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/result/error.h"
#include "src/state/owner.h"

/* How often a read starts over because the version that it saw was gone by then. */
#define READ_TRIES 50

static int64_t list_limit_ns(const struct store *s)
{
	return cluster_lease_ns(s->cluster) / 5;
}

fsha_result store_open(const struct cluster *c, const struct term_source *terms,
		       const struct store_options *options, struct store **ret_store,
		       fsha_error *reterr)
{
	struct store *s = fsu_alloc(c->fs, sizeof(*s));

	if (s) {
		s->cluster = c;
		s->terms = *terms;
		s->kind = options->kind;
		s->owned = options->owned;
		s->removable = options->removable;
		s->dir_fd = -1;
		s->election = fsu_strdup(c->fs, options->election);
		s->directory = fsu_strdup(c->fs, options->directory);
	}
	if (!s || !s->election || !s->directory || pthread_mutex_init(&s->mutex, NULL) != 0) {
		if (s) {
			fsu_release(c->fs, s->election);
			fsu_release(c->fs, s->directory);
		}
		fsu_release(c->fs, s);
		return error_os(reterr, -ENOMEM, "alloc", "cannot open store '%s'",
				options->directory);
	}
	index_init(&s->index, c->fs, -1, c->local);
	*ret_store = s;
	return FSHA_OK;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	index_done(&s->index);
	if (s->dir_fd >= 0)
		(void)fsu_close(s->cluster->fs, s->dir_fd); /* a directory */
	(void)pthread_mutex_destroy(&s->mutex);
	fsu_release(s->cluster->fs, s->election);
	fsu_release(s->cluster->fs, s->directory);
	fsu_release(s->cluster->fs, s);
}

/* Open the directory if it is there. NOT_FOUND when it is not; checks whose it is. */
static fsha_result open_directory(struct store *s, fsha_error *reterr)
{
	const struct cluster *c = s->cluster;
	char parent[NAME_SIZE];
	struct fsu_stamp stamp;
	fsha_result result;
	int fd;

	if (s->dir_fd >= 0)
		return FSHA_OK;
	/* Look before an absence is believed: a negative lookup may be cached. */
	layout_parent(s->directory, parent);
	if (fsu_stamp_read(c->fs, c->fd, parent, &stamp) < 0)
		return error_os(reterr, -EIO, "statx", "cannot look at '%s'", c->path);
	fd = fsu_dir_open(c->fs, c->fd, s->directory);
	if (fd == -ENOENT)
		return error_set(reterr, FSHA_E_NOT_FOUND, ENOENT, "open", "there is no '%s'",
				 s->directory);
	if (fd < 0)
		return error_os(reterr, fd, "open", "cannot open '%s'", s->directory);
	result = s->owned ? owner_check(c, fd, s->directory, s->election, reterr) : FSHA_OK;
	if (result != FSHA_OK) {
		(void)fsu_close(c->fs, fd); /* a directory */
		return result;
	}
	s->dir_fd = fd;
	s->index.dir_fd = fd;
	return FSHA_OK;
}

fsha_result store_check_owner(struct store *s, fsha_error *reterr)
{
	fsha_result result;

	(void)pthread_mutex_lock(&s->mutex);
	result = open_directory(s, reterr);
	(void)pthread_mutex_unlock(&s->mutex);
	return result;
}

static fsha_result refresh(struct store *s, fsha_error *reterr)
{
	int r = index_refresh(&s->index, list_limit_ns(s));

	if (r == -EAGAIN)
		return error_set(reterr, FSHA_E_TIMEOUT, 0, "list",
				 "'%s' changes faster than it can be listed", s->directory);
	if (r < 0)
		return error_os(reterr, r, "list", "cannot list '%s'", s->directory);
	return FSHA_OK;
}

/*
 * Bring the index up to date. Alone in a live term, once it was listed after the grant, it is:
 * older leaders are fenced, and newer ones come only after the lease. Not so while a write of ours
 * is in doubt.
 */
static fsha_result load(struct store *s, struct term *t, fsha_error *reterr)
{
	fsha_result result;

	if (t && !t->shared && s->index.complete && !term_in_doubt(t) &&
	    fsu_uuid_equal(&s->loaded, &t->epoch.session) && term_is_live(t))
		return FSHA_OK;
	if (t && !fsu_uuid_equal(&s->loaded, &t->epoch.session))
		index_forget(&s->index);
	result = refresh(s, reterr);
	if (result == FSHA_OK && t)
		s->loaded = t->epoch.session;
	return result;
}

static void close_directory(struct store *s)
{
	if (s->dir_fd >= 0)
		(void)fsu_close(s->cluster->fs, s->dir_fd); /* a directory */
	s->dir_fd = -1;
	s->durable = false;
	index_done(&s->index);
	index_init(&s->index, s->cluster->fs, -1, s->cluster->local);
}

/* Is what we have open still what the path says? */
static fsha_result check_directory(struct store *s, fsha_error *reterr)
{
	const struct cluster *c = s->cluster;
	struct fsu_stamp named, opened;
	int r;

	if (s->dir_fd < 0)
		return FSHA_OK;
	r = fsu_stamp_read(c->fs, c->fd, s->directory, &named);
	if (r == 0)
		r = fsu_stamp_read(c->fs, s->dir_fd, "", &opened);
	if (r == 0 && named.inode == opened.inode && named.device == opened.device)
		return FSHA_OK;
	if (r < 0 && r != -ENOENT && r != -ESTALE && r != -ENOTDIR)
		return error_os(reterr, r, "statx", "cannot look at '%s'", s->directory);
	close_directory(s);
	return FSHA_OK;
}

/* Alone in a live term nobody else can have removed it. */
static bool is_only_writer(const struct store *s, struct term *t)
{
	return t && !t->shared && fsu_uuid_equal(&s->loaded, &t->epoch.session) && term_is_live(t);
}

fsha_result store_load(struct store *s, struct term *t, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;

	if (s->removable && !is_only_writer(s, t))
		result = check_directory(s, reterr);
	if (result == FSHA_OK)
		result = open_directory(s, reterr);
	return result == FSHA_OK ? load(s, t, reterr) : result;
}

fsha_result store_remove_directory(struct store *s, fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	const struct cluster *c = s->cluster;
	char parent[NAME_SIZE];
	struct fsu_lock lock;
	fsha_result result;
	int r = 0;

	if (!t || !term_is_live(t)) {
		term_unref(t);
		return error_set(reterr, FSHA_E_NOT_LEADER, 0, "remove",
				 "cannot remove '%s': this process does not lead '%s'",
				 s->directory, s->election);
	}
	(void)pthread_mutex_lock(&s->mutex);
	result = term_enter(t, &lock, reterr);
	if (result == FSHA_OK) {
		layout_parent(s->directory, parent);
		r = term_discard(t, c->fd, s->directory);
		if (r == 0)
			r = fsu_dir_sync(c->fs, c->fd, parent);
		if (r < 0)
			result = term_stage_failed(t, s->directory, r, "rename", reterr);
		close_directory(s);
		term_exit(t, &lock);
	}
	(void)pthread_mutex_unlock(&s->mutex);
	term_unref(t);
	return result;
}

void store_forget(struct store *s)
{
	(void)pthread_mutex_lock(&s->mutex);
	index_forget(&s->index);
	(void)pthread_mutex_unlock(&s->mutex);
}

/*
 * The present version of a key, gone or not; all zero when it never was. NOT_FOUND only for a
 * missing directory.
 */
static fsha_result look_up(struct store *s, struct term *t, const char *key,
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
	fsha_version version;
	fsha_result result;
	bool gone;

	(void)pthread_mutex_lock(&s->mutex);
	result = look_up(s, t, key, &version, &gone, reterr);
	(void)pthread_mutex_unlock(&s->mutex);
	term_unref(t);
	if (result == FSHA_E_NOT_FOUND || (result == FSHA_OK && gone)) {
		*ret_version = (fsha_version){ 0 };
		return FSHA_OK;
	}
	if (result == FSHA_OK)
		*ret_version = version;
	return result;
}

static fsha_result not_found(const struct store *s, const char *key, fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_NOT_FOUND, 0, "get", "there is no '%s/%s'", s->directory,
			 key);
}

fsha_result store_get(struct store *s, const char *key, struct record *ret_record,
		      fsha_version *ret_version, fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	fsha_result result = FSHA_E_TIMEOUT;
	char file[NAME_SIZE];
	fsha_version version;
	bool gone;

	for (int i = 0; i < READ_TRIES; i++) {
		struct record_place place;

		(void)pthread_mutex_lock(&s->mutex);
		result = look_up(s, t, key, &version, &gone, reterr);
		place = cluster_place(s->cluster, s->dir_fd, s->directory);
		(void)pthread_mutex_unlock(&s->mutex);
		if (result != FSHA_OK)
			break;
		if (gone) {
			result = FSHA_E_NOT_FOUND;
			break;
		}
		name_format(key, &version, NAME_VALUE, file);
		result = record_read(&place, file, s->kind, FSHA_STATE_VALUE_MAX, ret_record,
				     reterr);
		if (result != FSHA_E_NOT_FOUND)
			break;
		/* A newer version is there, or somebody removed it by hand: look again. */
		store_forget(s);
		result = error_set(reterr, FSHA_E_TIMEOUT, 0, "get",
				   "'%s/%s' changes faster than it can be read", s->directory, key);
	}
	term_unref(t);
	if (result == FSHA_E_NOT_FOUND)
		return not_found(s, key, reterr);
	if (result == FSHA_OK && ret_version)
		*ret_version = version;
	return result;
}

fsha_result store_keys(struct store *s, char ***ret_keys, size_t *ret_count, fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	const struct fsu *fs = s->cluster->fs;
	const struct index_entry **entries = NULL;
	size_t count = 0, bytes = 0;
	char **keys = NULL, *text;
	fsha_version ignored;
	fsha_result result;
	bool gone;
	int r = 0;

	(void)pthread_mutex_lock(&s->mutex);
	result = look_up(s, t, "", &ignored, &gone, reterr);
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

/*
 * What a write may do given the present version: OK to commit, or the result. `*ret_nothing`: OK,
 * and nothing to do.
 */
static fsha_result check_write(const struct store *s, enum store_write how, const char *key,
			       const fsha_version *expected, const fsha_version *present, bool gone,
			       bool doubtful, bool *ret_nothing, fsha_error *reterr)
{
	char text[FSHA_VERSION_TEXT];

	*ret_nothing = false;
	switch (how) {
	case STORE_ADD:
		if (!gone)
			return error_set(reterr, FSHA_E_EXISTS, 0, "add", "'%s/%s' exists already",
					 s->directory, key);
		return FSHA_OK;
	case STORE_REPLACE:
		if (gone)
			return not_found(s, key, reterr);
		if (expected && fsha_version_compare(expected, present) != 0)
			return error_set(reterr, FSHA_E_VERSION, 0, "replace",
					 "'%s/%s' was replaced meanwhile: it has version %s",
					 s->directory, key, fsha_version_format(present, text));
		return FSHA_OK;
	case STORE_REMOVE:
		*ret_nothing = gone && !doubtful;
		return FSHA_OK;
	}
	return FSHA_E_INVALID;
}

/*
 * What is there already may be the work of a write that was seen and not made durable: one of ours
 * in doubt, or one of a leader that died. Whoever builds on it makes it so (test_store_durable.c).
 */
static fsha_result sync_found(struct store *s, const char *key, fsha_error *reterr)
{
	int r = s->dir_fd >= 0 ? fsu_fsync(s->cluster->fs, s->dir_fd) : 0;

	if (r < 0)
		return error_os(reterr, r, "fsync", "cannot make the removal of '%s/%s' durable",
				s->directory, key);
	return FSHA_OK;
}

/* A namespace is there, with its name durable: once for each store object. */
static fsha_result make_directory(struct store *s, struct term *t, fsha_error *reterr)
{
	char parent[NAME_SIZE];
	fsha_result result = FSHA_OK;
	int r;

	if (s->dir_fd < 0) {
		result = owner_make_directory(t, s->directory, reterr);
		if (result == FSHA_OK)
			result = open_directory(s, reterr);
		if (result != FSHA_OK)
			return result;
	}
	if (!s->owned || s->durable)
		return FSHA_OK;
	layout_parent(s->directory, parent);
	r = fsu_dir_sync(s->cluster->fs, s->cluster->fd, parent);
	if (r < 0)
		return error_os(reterr, r, "fsync", "cannot make '%s' durable", s->directory);
	s->durable = true;
	return FSHA_OK;
}

/* Under the mutex and the write lock. */
static fsha_result write_locked(struct store *s, struct term *t, enum store_write how,
				const char *key, const fsha_version *expected, const void *data,
				size_t size, fsha_version *ret_version, fsha_error *reterr)
{
	struct term_write write = {
		.directory = s->directory,
		.key = key,
		.kind = s->kind,
		.form = how == STORE_REMOVE ? NAME_TOMBSTONE : NAME_VALUE,
		.data = data,
		.size = size,
	};
	fsha_version present = { 0 }, version = { 0 };
	bool gone = true, nothing;
	fsha_result result;

	result = look_up(s, t, key, &present, &gone, reterr);
	if (result != FSHA_OK && result != FSHA_E_NOT_FOUND)
		return result;
	/* A write in doubt, ours or another process's of the term, may come after a removal of
	 * nothing. */
	result = check_write(s, how, key, expected, &present, gone,
			     s->dir_fd >= 0 && (t->shared || term_in_doubt(t)), &nothing, reterr);
	if (result == FSHA_OK && nothing)
		return sync_found(s, key, reterr);
	if (result == FSHA_OK)
		result = make_directory(s, t, reterr);
	if (result != FSHA_OK)
		return result;
	write.dir_fd = s->dir_fd;
	result = term_commit(t, &write, fsha_version_is_existing(&present) ? &present : NULL,
			     &version, reterr);
	if (ret_version && fsha_version_is_existing(&version))
		*ret_version = version;
	if (result == FSHA_OK)
		(void)index_note(&s->index, key, &version,
				 write.form); /* out of memory: it forgets itself */
	else
		index_forget(&s->index);
	return result;
}

fsha_result store_write(struct store *s, enum store_write how, const char *key,
			const fsha_version *expected, const void *data, size_t size,
			fsha_version *ret_version, fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	struct fsu_lock lock;
	fsha_result result;

	if (!t)
		return error_set(reterr, FSHA_E_NOT_LEADER, 0, "write",
				 "cannot write '%s/%s': this process does not lead '%s'",
				 s->directory, key, s->election);
	if (size > FSHA_STATE_VALUE_MAX) {
		term_unref(t);
		return error_set(reterr, FSHA_E_INVALID, 0, "write",
				 "the value for '%s/%s' has %zu bytes, at most %llu are allowed",
				 s->directory, key, size, (unsigned long long)FSHA_STATE_VALUE_MAX);
	}
	(void)pthread_mutex_lock(&s->mutex);
	result = term_enter(t, &lock, reterr);
	if (result == FSHA_OK) {
		result = write_locked(s, t, how, key, expected, data, size, ret_version, reterr);
		term_exit(t, &lock);
	}
	(void)pthread_mutex_unlock(&s->mutex);
	term_unref(t);
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

fsha_result store_settle(struct store *s, const char *key, const fsha_version *version,
			 fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	struct term_write write = { .directory = s->directory, .key = key, .kind = s->kind };
	fsha_error why = FSHA_ERROR_INIT;
	fsha_version present = { 0 };
	fsha_result result;
	bool gone = true;
	int order;

	(void)pthread_mutex_lock(&s->mutex);
	index_forget(&s->index);
	result = look_up(s, NULL, key, &present, &gone, &why);
	if (result == FSHA_OK || result == FSHA_E_NOT_FOUND) {
		order = fsha_version_compare(&present, version);
		write.form = gone && order == 0 ? NAME_TOMBSTONE : NAME_VALUE;
		write.dir_fd = s->dir_fd;
		if (order <= 0 && s->dir_fd >= 0 && t && t->epoch.number == version->epoch &&
		    t->seat == version->seat)
			result = term_settle(t, &write, version, reterr);
		else
			result = settle_by_sight(s, t, key, version, order, reterr);
	} else if (result == FSHA_E_CONFIG || result == FSHA_E_CORRUPT) {
		result = error_copy(reterr, &why);
	} else {
		/* IO would say that nothing was done. */
		result = error_set(reterr, FSHA_E_INDOUBT, 0, why.op,
				   "still cannot tell whether '%s/%s' was written: %s",
				   s->directory, key, why.message);
	}
	(void)pthread_mutex_unlock(&s->mutex);
	term_unref(t);
	return result;
}
