#include "src/worker/batch.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "src/result/error.h"

struct worker_batch_item {
	fsha_version expected;
	char key[FSU_COMPONENT_MAX + 1];
	uint8_t data[];
};

static fsha_result no_memory(fsha_error *reterr)
{
	return error_os(reterr, -ENOMEM, "alloc", "cannot change several workers");
}

fsha_result worker_batch_init(struct worker_batch *batch, fsha_worker_store *s, size_t size,
			      fsha_error *reterr)
{
	const struct fsu *fs = services_fs(s->services);

	*batch = (struct worker_batch){ .store = s, .size = size };
	batch->changes = fsu_alloc(fs, size * sizeof(*batch->changes));
	batch->items = fsu_alloc(fs, size * sizeof(*batch->items));
	return batch->changes && batch->items ? FSHA_OK : no_memory(reterr);
}

void worker_batch_done(struct worker_batch *batch)
{
	const struct fsu *fs = services_fs(batch->store->services);

	for (size_t i = 0; i < batch->count; i++)
		fsu_release(fs, batch->items[i]);
	fsu_release(fs, batch->items);
	fsu_release(fs, batch->changes);
}

/* A change whose data is still to be filled in; NULL when out of memory. */
static struct worker_batch_item *append(struct worker_batch *batch, enum store_write how,
					const char *key, const fsha_version *expected, size_t size)
{
	struct worker_batch_item *item =
		fsu_alloc(services_fs(batch->store->services), sizeof(*item) + size);

	assert(batch->count < batch->size);
	if (!item)
		return NULL;
	memcpy(item->key, key, strlen(key) + 1);
	if (expected)
		item->expected = *expected;
	batch->changes[batch->count] = (struct store_change){
		.how = how,
		.key = item->key,
		.expected = expected ? &item->expected : NULL,
		.data = item->data,
		.size = size,
	};
	batch->items[batch->count++] = item;
	return item;
}

fsha_result worker_batch_add(struct worker_batch *batch, enum store_write how, const char *key,
			     const fsha_version *expected, const void *data, size_t size,
			     fsha_error *reterr)
{
	struct worker_batch_item *item = append(batch, how, key, expected, size);

	if (!item)
		return no_memory(reterr);
	if (size > 0)
		memcpy(item->data, data, size);
	return FSHA_OK;
}

fsha_result worker_batch_put(struct worker_batch *batch, const fsha_worker *worker,
			     int64_t updated_ms, const fsha_version *expected, fsha_error *reterr)
{
	size_t size = worker_encoded_size(worker);
	char key[FSU_COMPONENT_MAX + 1];
	struct worker_batch_item *item;
	fsha_result result;

	result = worker_key(worker->task_id, key, reterr);
	if (result != FSHA_OK)
		return result;
	item = append(batch, expected ? STORE_REPLACE : STORE_PUT, key, expected, size);
	if (!item)
		return no_memory(reterr);
	worker_encode(worker, updated_ms, item->data, size);
	return FSHA_OK;
}

fsha_result worker_batch_commit(struct worker_batch *batch, fsha_error *reterr)
{
	size_t failed;

	return store_write_batch(batch->store->store, batch->changes, batch->count, NULL, &failed,
				 reterr);
}
