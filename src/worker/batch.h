/* Several changes of a worker store that are made in one commit. */
#ifndef SRC_WORKER_BATCH_H
#define SRC_WORKER_BATCH_H

#include "src/worker/worker.h"

struct worker_batch_item;
struct worker_batch {
	fsha_worker_store *store;
	struct store_change *changes;
	struct worker_batch_item **items; /* what they point to */
	size_t count, size;
};

/* Room for `size` changes. worker_batch_done it whatever comes out. */
fsha_result worker_batch_init(struct worker_batch *batch, fsha_worker_store *store, size_t size,
			      fsha_error *reterr);
void worker_batch_done(struct worker_batch *batch);
/* All is copied. `expected` may be NULL. */
fsha_result worker_batch_add(struct worker_batch *batch, enum store_write how, const char *key,
			     const fsha_version *expected, const void *data, size_t size,
			     fsha_error *reterr);
/* A worker that was checked; only in place of that version unless `expected` is NULL. */
fsha_result worker_batch_put(struct worker_batch *batch, const fsha_worker *worker,
			     int64_t updated_ms, const fsha_version *expected, fsha_error *reterr);
fsha_result worker_batch_commit(struct worker_batch *batch, fsha_error *reterr);
/* It failed because another process of the term was faster. */
static inline bool worker_batch_try_again(fsha_result result)
{
	return result == FSHA_E_VERSION || result == FSHA_E_EXISTS || result == FSHA_E_NOT_FOUND;
}

#endif
