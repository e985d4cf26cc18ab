/* All workers at once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/result/error.h"
#include "src/worker/worker.h"

static int compare_ids(const void *a, const void *b)
{
	return worker_compare_ids(*(char *const *)a, *(char *const *)b);
}

fsha_result worker_store_ids(fsha_worker_store *s, char ***ret_ids, size_t *ret_count,
			     fsha_error *reterr)
{
	size_t count, n = 0;
	fsha_result result;
	char **keys;

	result = store_keys(s->store, &keys, &count, reterr);
	if (result != FSHA_OK)
		return result;
	/* Decoded in place: a name is never longer than its encoding. */
	for (size_t i = 0; i < count; i++) {
		char id[FSU_NAME_MAX + 1];
		size_t len;

		if (fsu_path_decode(keys[i], strlen(keys[i]), id, &len) < 0)
			continue; /* nothing that encode wrote: a person's file */
		keys[n] = keys[i];
		memcpy(keys[n++], id, len + 1);
	}
	keys[n] = NULL;
	qsort(keys, n, sizeof(*keys), compare_ids);
	*ret_ids = keys;
	*ret_count = n;
	return FSHA_OK;
}

/* 0 to go on, else what the visitor said. */
static int visit_one(fsha_worker_store *s, const char *task_id,
		     int (*visit)(void *ctx, const fsha_worker_entry *entry), void *ctx)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_worker_entry entry = { .task_id = task_id };
	char key[FSU_COMPONENT_MAX + 1];
	fsha_worker *worker = NULL;
	int r;

	(void)fsu_path_encode(task_id, strlen(task_id), key); /* it was decoded from one */
	entry.result = worker_store_read(s, key, &worker, NULL, &error);
	if (entry.result == FSHA_E_NOT_FOUND)
		return 0;
	entry.worker = worker;
	if (entry.result != FSHA_OK)
		entry.error = &error;
	r = visit(ctx, &entry);
	fsu_release(services_fs(s->services), worker);
	return r;
}

fsha_result fsha_worker_store_visit(fsha_worker_store *s,
				    int (*visit)(void *ctx, const fsha_worker_entry *entry),
				    void *ctx, fsha_error *reterr)
{
	fsha_result result;
	size_t count;
	char **ids;

	result = worker_store_check(s, reterr);
	if (result == FSHA_OK && !visit)
		result = error_set(reterr, FSHA_E_INVALID, 0, "visit", "an argument is NULL");
	if (result == FSHA_OK)
		result = worker_store_ids(s, &ids, &count, reterr);
	if (result != FSHA_OK)
		return result;
	for (size_t i = 0; i < count; i++)
		if (visit_one(s, ids[i], visit, ctx) != 0)
			break;
	fsu_release(services_fs(s->services), ids);
	return FSHA_OK;
}

struct collection {
	const struct fsu *fs;
	const fsha_worker **workers; /* each a block of its own */
	size_t count, size;
	fsha_result result;
	fsha_error error;
};

static int collect(void *ctx, const fsha_worker_entry *entry)
{
	struct collection *c = ctx;
	fsha_worker *copy;

	if (entry->result != FSHA_OK) {
		c->result = error_copy(&c->error, entry->error);
		return 1;
	}
	if (c->count == c->size) {
		size_t size = c->size ? 2 * c->size : 64;
		const fsha_worker **workers =
			fsu_resize(c->fs, c->workers, size * sizeof(*workers));

		if (workers) {
			c->workers = workers;
			c->size = size;
		}
	}
	copy = c->count < c->size ? worker_pack(c->fs, &entry->worker, 1) : NULL;
	if (!copy) {
		c->result = error_os(&c->error, -ENOMEM, "alloc", "cannot recover the workers");
		return 1;
	}
	c->workers[c->count++] = copy;
	return 0;
}

fsha_result fsha_worker_store_recover(fsha_worker_store *s, fsha_worker **ret_workers,
				      size_t *ret_count, fsha_error *reterr)
{
	struct collection c = { .result = FSHA_OK, .error = FSHA_ERROR_INIT };
	fsha_worker *workers = NULL;
	fsha_result result;

	result = worker_store_check(s, reterr);
	if (result == FSHA_OK && (!ret_workers || !ret_count))
		result = error_set(reterr, FSHA_E_INVALID, 0, "recover", "an argument is NULL");
	if (result != FSHA_OK)
		return result;
	c.fs = services_fs(s->services);
	result = fsha_worker_store_visit(s, collect, &c, reterr);
	if (result == FSHA_OK && c.result != FSHA_OK)
		result = error_copy(reterr, &c.error);
	if (result == FSHA_OK) {
		workers = worker_pack(c.fs, c.workers, c.count);
		if (!workers)
			result = error_os(reterr, -ENOMEM, "alloc", "cannot recover the workers");
	}
	for (size_t i = 0; i < c.count; i++)
		fsu_release(c.fs, (void *)(uintptr_t)c.workers[i]);
	fsu_release(c.fs, c.workers);
	if (result != FSHA_OK)
		return result;
	*ret_workers = workers;
	*ret_count = c.count;
	return FSHA_OK;
}
