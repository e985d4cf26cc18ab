#include "src/state/repack.h"

#include "src/result/error.h"

static fsha_result stage_pack(void *ctx, const struct record_place *place,
			      const struct record_content *content, int dirfd, const char *path,
			      int *ret_errno, const char **ret_op, fsha_error *reterr)
{
	struct repack *r = ctx;

	return pack_stage(place, content, r->members, r->member_count, r->records, r->len, dirfd,
			  path, &r->pack, ret_errno, ret_op, reterr);
}

/* Under the mutex and the write lock. */
static fsha_result publish_locked(struct repack *r, struct term_write *write,
				  const fsha_version *version, fsha_error *reterr)
{
	struct store *s = r->store;
	fsha_result result;

	result = store_load(s, r->term, reterr);
	if (result == FSHA_OK && (s->cleaning || !s->index.complete || !r->may_appear(r)))
		result = error_set(reterr, FSHA_E_VERSION, 0, "commit",
				   "what was to be moved to a new pack of '%s' changes, or is "
				   "being cleaned",
				   s->directory);
	if (result != FSHA_OK) {
		term_unstage(r->term, version);
		return result;
	}
	write->dir_fd = s->dir_fd;
	result = term_publish(r->term, write, version, NULL, reterr);
	if (result == FSHA_OK) {
		struct pack *pack = r->pack;

		r->pack = NULL;
		(void)index_note_pack(&s->index, pack); /* out of memory: it forgets itself */
		return FSHA_OK;
	}
	if (result == FSHA_E_INDOUBT)
		s->unsettled = *version;
	index_forget(&s->index);
	return result;
}

static fsha_result publish(struct repack *r, struct term_write *write, const fsha_version *version,
			   fsha_error *reterr)
{
	struct store *s = r->store;
	struct fsu_lock lock;
	fsha_result result;

	(void)pthread_mutex_lock(&s->mutex);
	result = term_enter(r->term, &lock, reterr);
	if (result == FSHA_OK) {
		result = publish_locked(r, write, version, reterr);
		term_exit(r->term, &lock);
	} else {
		term_unstage(r->term, version);
	}
	(void)pthread_mutex_unlock(&s->mutex);
	return result;
}

fsha_result repack_publish(struct repack *r, const fsha_version *floor, fsha_error *reterr)
{
	fsha_version highest = floor ? *floor : (fsha_version){ 0 }, version;
	struct term_write write = {
		.dir_fd = -1,
		.directory = r->store->directory,
		.stage = stage_pack,
		.stage_ctx = r,
	};
	fsha_result result;

	for (size_t i = 0; i < r->member_count; i++)
		if (fsha_version_compare(&r->members[i].version, &highest) > 0)
			highest = r->members[i].version;
	batch_name(&write);
	result = term_stage(r->term, &write, &highest, &version, reterr);
	if (result == FSHA_OK)
		result = publish(r, &write, &version, reterr);
	fsu_release(r->store->cluster->fs, r->pack);
	r->pack = NULL;
	return result;
}
