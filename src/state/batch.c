/*
 * Several changes in one commit: a pack, which is there whole or not at all. Its members have the
 * pack's own version, so whoever is in doubt about one of them asks about all.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/result/error.h"
#include "src/state/owner.h"
#include "src/state/store.h"

struct batch {
	struct store *store;
	const struct store_change **changes; /* to be written, by key */
	size_t count;
	struct pack *pack; /* staged */
};

void batch_name(struct term_write *w)
{
	w->key = PACK_KEY;
	w->kind = FSU_KIND_PACK;
	w->form = NAME_VALUE;
}

/* ---- What may be asked ---- */

static int compare_changes(const void *a, const void *b)
{
	const struct store_change *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

static fsha_result check_change(const struct store *s, const struct store_change *c,
				fsha_error *reterr)
{
	assert(!c->staged);
	assert(c->how != STORE_MARK);
	assert(strcmp(c->key, OWNER_KEY) != 0);
	assert(strcmp(c->key, PACK_KEY) != 0);
	if (c->size > STORE_BATCH_SIZE_MAX)
		return error_set(reterr, FSHA_E_INVALID, 0, "batch",
				 "the value for '%s/%s' has %zu bytes, at most %llu are allowed",
				 s->directory, c->key, c->size,
				 (unsigned long long)STORE_BATCH_SIZE_MAX);
	if (s->format && c->how != STORE_REMOVE)
		return error_set(reterr, FSHA_E_UNSUPPORTED, 0, "batch",
				 "the values of '%s' cannot be written in one batch", s->directory);
	return FSHA_OK;
}

/* The changes sorted by key, in fresh memory. */
static fsha_result sort_changes(const struct store *s, const struct store_change *changes,
				size_t count, const struct store_change ***ret_sorted,
				size_t *ret_failed, fsha_error *reterr)
{
	const struct store_change **sorted;
	uint64_t size = 0;

	for (size_t i = 0; i < count; i++) {
		fsha_result result = check_change(s, &changes[i], reterr);

		*ret_failed = i;
		if (result != FSHA_OK)
			return result;
		size += changes[i].size;
	}
	*ret_failed = count;
	if (count > STORE_BATCH_MAX || size > STORE_BATCH_SIZE_MAX)
		return error_set(reterr, FSHA_E_INVALID, 0, "batch",
				 "a batch for '%s' has %zu changes of %llu bytes, at most %d of "
				 "%llu bytes are allowed",
				 s->directory, count, (unsigned long long)size, STORE_BATCH_MAX,
				 (unsigned long long)STORE_BATCH_SIZE_MAX);
	sorted = fsu_alloc(s->cluster->fs, count * sizeof(*sorted));
	if (!sorted)
		return error_os(reterr, -ENOMEM, "alloc", "cannot write a batch to '%s'",
				s->directory);
	for (size_t i = 0; i < count; i++)
		sorted[i] = &changes[i];
	qsort(sorted, count, sizeof(*sorted), compare_changes);
	for (size_t i = 1; i < count; i++) {
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) != 0)
			continue;
		*ret_failed =
			(size_t)((sorted[i] > sorted[i - 1] ? sorted[i] : sorted[i - 1]) - changes);
		(void)error_set(reterr, FSHA_E_INVALID, 0, "batch",
				"'%s/%s' is changed twice in one batch", s->directory,
				sorted[i]->key);
		fsu_release(s->cluster->fs, sorted);
		return FSHA_E_INVALID;
	}
	*ret_sorted = sorted;
	return FSHA_OK;
}

/* ---- The commit ---- */

/* The records of the members, one behind the other, in memory of `size` bytes. */
static fsha_result encode_members(const struct batch *b, const struct record_place *place,
				  const struct record_content *content, struct pack_member *members,
				  uint8_t *records, size_t *ret_len, fsha_error *reterr)
{
	size_t len = 0;

	for (size_t i = 0; i < b->count; i++) {
		const struct store_change *c = b->changes[i];
		const bool removal = c->how == STORE_REMOVE;
		const struct record_content member = {
			.kind = b->store->kind,
			.form = removal ? NAME_TOMBSTONE : NAME_VALUE,
			.version = content->version,
			.session = content->session,
			.key = c->key,
			.payload = removal ? NULL : c->data,
			.size = removal ? 0 : c->size,
		};
		fsha_result result;
		uint8_t *bytes;
		size_t size;

		result = record_encode(place, &member, &bytes, &size, reterr);
		if (result != FSHA_OK)
			return result;
		memcpy(records + len, bytes, size);
		fsu_release(place->fs, bytes);
		members[i] = (struct pack_member){
			.key = c->key,
			.version = member.version,
			.form = member.form,
			.size = (uint32_t)size,
		};
		len += size;
	}
	*ret_len = len;
	return FSHA_OK;
}

static size_t records_bound(const struct batch *b)
{
	size_t bound = 0;

	for (size_t i = 0; i < b->count; i++)
		bound += fsu_record_bound(strlen(b->store->directory) + 1 +
						  strlen(b->changes[i]->key),
					  b->changes[i]->size);
	return bound;
}

static fsha_result stage_batch(void *ctx, const struct record_place *place,
			       const struct record_content *content, int dirfd, const char *path,
			       int *ret_errno, const char **ret_op, fsha_error *reterr)
{
	struct batch *b = ctx;
	struct pack_member *members = fsu_alloc(place->fs, b->count * sizeof(*members));
	uint8_t *records = fsu_alloc(place->fs, records_bound(b));
	fsha_result result;
	size_t len = 0;

	if (members && records)
		result = encode_members(b, place, content, members, records, &len, reterr);
	else
		result = error_os(reterr, -ENOMEM, "alloc", "cannot write a batch to '%s'",
				  place->directory);
	if (result == FSHA_OK)
		result = pack_stage(place, content, members, b->count, records, len, dirfd, path,
				    &b->pack, ret_errno, ret_op, reterr);
	fsu_release(place->fs, records);
	fsu_release(place->fs, members);
	return result;
}

static fsha_result commit_pack(struct batch *b, struct term *t, const fsha_version *floor,
			       fsha_version *ret_version, fsha_error *reterr)
{
	struct store *s = b->store;
	struct term_write write = {
		.dir_fd = s->dir_fd,
		.directory = s->directory,
		.stage = stage_batch,
		.stage_ctx = b,
	};
	fsha_result result;

	batch_name(&write);
	result = term_commit(t, &write, fsha_version_is_existing(floor) ? floor : NULL, ret_version,
			     reterr);
	if (result == FSHA_OK) {
		(void)index_note_pack(&s->index, b->pack); /* out of memory: it forgets itself */
		return FSHA_OK;
	}
	fsu_release(s->cluster->fs, b->pack);
	index_forget(&s->index);
	return result;
}

/*
 * Ask about every change, in the caller's order; then leave out of b->changes, which are sorted,
 * those that come to nothing.
 */
static fsha_result check_all(struct batch *b, struct term *t, const struct store_change *changes,
			     fsha_version *ret_floor, size_t *ret_failed, fsha_error *reterr)
{
	fsha_version floor;
	fsha_result result;
	bool nothing;
	size_t n = 0;

	*ret_floor = (fsha_version){ 0 };
	result = store_load(b->store, t, reterr);
	if (result != FSHA_OK && result != FSHA_E_NOT_FOUND)
		return result;
	for (size_t i = 0; i < b->count; i++) {
		result = store_check_loaded(b->store, t, &changes[i], &floor, &nothing, reterr);
		if (result != FSHA_OK) {
			*ret_failed = i;
			return result;
		}
		if (fsha_version_compare(&floor, ret_floor) > 0)
			*ret_floor = floor;
	}
	for (size_t i = 0; i < b->count; i++) {
		(void)store_check_loaded(b->store, t, b->changes[i], &floor, &nothing, NULL);
		if (!nothing)
			b->changes[n++] = b->changes[i];
	}
	b->count = n;
	return FSHA_OK;
}

/* Under the mutex and the write lock. */
static fsha_result write_locked(struct batch *b, struct term *t, const struct store_change *changes,
				fsha_version *ret_version, size_t *ret_failed, fsha_error *reterr)
{
	fsha_version floor, version = { 0 };
	fsha_result result;
	bool sent;

	result = check_all(b, t, changes, &floor, ret_failed, reterr);
	if (result != FSHA_OK)
		return result;
	if (b->count == 0)
		return term_is_live(t) ? store_sync_found(b->store, reterr) :
					 term_not_live(t, reterr);
	if (b->count == 1)
		return store_commit_locked(b->store, t, b->changes[0], &sent, ret_version, reterr);
	result = store_make_directory(b->store, t, reterr);
	if (result != FSHA_OK)
		return result;
	result = commit_pack(b, t, &floor, &version, reterr);
	if (ret_version && fsha_version_is_existing(&version))
		*ret_version = version;
	return result;
}

static fsha_result write_batch(struct batch *b, const struct store_change *changes,
			       fsha_version *ret_version, size_t *ret_failed, fsha_error *reterr)
{
	struct store *s = b->store;
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	struct fsu_lock lock;
	fsha_result result;

	if (!t)
		return store_not_leader(s, PACK_KEY, reterr);
	(void)pthread_mutex_lock(&s->mutex);
	result = term_enter(t, &lock, reterr);
	if (result == FSHA_OK) {
		result = write_locked(b, t, changes, ret_version, ret_failed, reterr);
		term_exit(t, &lock);
	}
	(void)pthread_mutex_unlock(&s->mutex);
	term_unref(t);
	return result;
}

fsha_result store_write_batch(struct store *s, const struct store_change *changes, size_t count,
			      fsha_version *ret_version, size_t *ret_failed, fsha_error *reterr)
{
	const int64_t begun_ns = fsu_now_ns(s->cluster->fs);
	struct batch b = { .store = s, .count = count };
	size_t failed = count;
	fsha_result result;

	if (count == 0)
		return FSHA_OK;
	result = sort_changes(s, changes, count, &b.changes, &failed, reterr);
	if (result == FSHA_OK)
		result = write_batch(&b, changes, ret_version, &failed, reterr);
	fsu_release(s->cluster->fs, b.changes);
	if (result != FSHA_OK && ret_failed)
		*ret_failed = failed;
	cluster_count(s->cluster, FSHA_OPERATION_BATCH, begun_ns, result);
	return result;
}
