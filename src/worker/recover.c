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
static int visit_one(fsha_worker_store *s, const char *task_id, struct pack_reader *reader,
		     int (*visit)(void *ctx, const fsha_worker_entry *entry), void *ctx)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_worker_entry entry = { .task_id = task_id };
	char key[FSU_COMPONENT_MAX + 1];
	fsha_worker *worker = NULL;
	int r;

	(void)fsu_path_encode(task_id, strlen(task_id), key); /* it was decoded from one */
	entry.result = worker_store_read(s, key, reader, &worker, NULL, &error);
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
	struct pack_reader reader = { .fs = NULL };
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
	reader.fs = services_fs(s->services);
	for (size_t i = 0; i < count; i++)
		if (visit_one(s, ids[i], &reader, visit, ctx) != 0)
			break;
	pack_reader_done(&reader);
	fsu_release(services_fs(s->services), ids);
	return FSHA_OK;
}

/* ---- All or none ---- */

void worker_list_init(struct worker_list *list, const struct fsu *fs)
{
	*list = (struct worker_list){ .fs = fs };
}

void worker_list_done(struct worker_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		fsu_release(list->fs, (void *)(uintptr_t)list->workers[i]);
	fsu_release(list->fs, list->workers);
	fsu_release(list->fs, list->versions);
	worker_list_init(list, list->fs);
}

static fsha_result make_room(struct worker_list *list, size_t count, fsha_error *reterr)
{
	list->workers = fsu_alloc(list->fs, (count + 1) * sizeof(*list->workers));
	list->versions = fsu_alloc(list->fs, (count + 1) * sizeof(*list->versions));
	if (!list->workers || !list->versions)
		return error_os(reterr, -ENOMEM, "alloc", "cannot recover the workers");
	list->size = count;
	return FSHA_OK;
}

fsha_result worker_store_read_all(fsha_worker_store *s, struct worker_list *list,
				  fsha_error *reterr)
{
	struct pack_reader reader = { .fs = list->fs };
	char key[FSU_COMPONENT_MAX + 1];
	fsha_result result;
	fsha_worker *worker;
	size_t count;
	char **ids;

	result = worker_store_ids(s, &ids, &count, reterr);
	if (result != FSHA_OK)
		return result;
	result = make_room(list, count, reterr);
	for (size_t i = 0; i < count && result == FSHA_OK; i++) {
		(void)fsu_path_encode(ids[i], strlen(ids[i]), key); /* it was decoded from one */
		result = worker_store_read(s, key, &reader, &worker, &list->versions[list->count],
					   reterr);
		if (result == FSHA_OK)
			list->workers[list->count++] = worker;
		else if (result == FSHA_E_NOT_FOUND)
			result = FSHA_OK; /* removed meanwhile */
	}
	pack_reader_done(&reader);
	fsu_release(list->fs, ids);
	return result;
}

fsha_result fsha_worker_store_recover(fsha_worker_store *s, fsha_worker **ret_workers,
				      size_t *ret_count, fsha_error *reterr)
{
	fsha_worker *workers = NULL;
	struct worker_list list;
	fsha_result result;

	result = worker_store_check(s, reterr);
	if (result == FSHA_OK && (!ret_workers || !ret_count))
		result = error_set(reterr, FSHA_E_INVALID, 0, "recover", "an argument is NULL");
	if (result != FSHA_OK)
		return result;
	worker_list_init(&list, services_fs(s->services));
	result = worker_store_read_all(s, &list, reterr);
	if (result == FSHA_OK) {
		workers = worker_pack(list.fs, list.workers, list.count);
		if (workers)
			*ret_count = list.count;
		else
			result = error_os(reterr, -ENOMEM, "alloc", "cannot recover the workers");
	}
	worker_list_done(&list);
	if (result == FSHA_OK)
		*ret_workers = workers;
	return result;
}
