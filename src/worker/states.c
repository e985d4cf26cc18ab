/* New states for several workers at once. */
#include <string.h>

#include "src/result/error.h"
#include "src/worker/batch.h"

#define UPDATE_TRIES 20

static fsha_result check_updates(const fsha_worker_state_update *updates, size_t count,
				 fsha_error *reterr)
{
	char key[FSU_COMPONENT_MAX + 1];
	fsha_result result;

	if (!updates && count > 0)
		return error_set(reterr, FSHA_E_INVALID, 0, "update", "an argument is NULL");
	if (count > FSHA_WORKERS_MAX)
		return error_set(reterr, FSHA_E_INVALID, 0, "update",
				 "%zu workers cannot be updated at once: %d at most", count,
				 FSHA_WORKERS_MAX);
	for (size_t i = 0; i < count; i++) {
		result = worker_key(updates[i].task_id, key, reterr);
		if (result != FSHA_OK)
			return result;
		if (updates[i].state < FSHA_WORKER_NEW || updates[i].state > FSHA_WORKER_RELEASED ||
		    updates[i].reserved0)
			return error_set(reterr, FSHA_E_INVALID, 0, "update",
					 "worker '%.60s': there is no such state",
					 updates[i].task_id);
	}
	return FSHA_OK;
}

/* The worker as it is, in its new state. Nothing when it is not there. */
static fsha_result add_update(struct worker_batch *batch, fsha_worker_store *s,
			      const fsha_worker_state_update *update, int64_t now_ms,
			      fsha_error *reterr)
{
	char key[FSU_COMPONENT_MAX + 1];
	fsha_version version;
	fsha_worker *worker;
	fsha_result result;

	result = worker_key(update->task_id, key, reterr);
	if (result == FSHA_OK)
		result = worker_store_read(s, key, NULL, &worker, &version, reterr);
	if (result == FSHA_E_NOT_FOUND)
		return FSHA_OK;
	if (result != FSHA_OK)
		return result;
	worker->state = update->state;
	result = worker_batch_put(batch, worker, now_ms, &version, reterr);
	fsu_release(services_fs(s->services), worker);
	return result;
}

static fsha_result try_once(fsha_worker_store *s, const fsha_worker_state_update *updates,
			    size_t count, size_t *ret_updated, fsha_error *reterr)
{
	const int64_t now_ms = fsu_wall_ns(services_fs(s->services)) / FSU_NS_PER_MS;
	struct worker_batch batch;
	fsha_result result;

	result = worker_batch_init(&batch, s, count, reterr);
	for (size_t i = 0; i < count && result == FSHA_OK; i++)
		result = add_update(&batch, s, &updates[i], now_ms, reterr);
	if (result == FSHA_OK)
		result = worker_batch_commit(&batch, reterr);
	*ret_updated = batch.count;
	worker_batch_done(&batch);
	return result;
}

fsha_result fsha_worker_store_update_states(fsha_worker_store *s,
					    const fsha_worker_state_update *updates, size_t count,
					    size_t *ret_updated, fsha_error *reterr)
{
	size_t updated = 0;
	fsha_result result;

	result = worker_store_check(s, reterr);
	if (result == FSHA_OK)
		result = check_updates(updates, count, reterr);
	if (result != FSHA_OK)
		return result;
	(void)pthread_mutex_lock(&s->writing);
	for (int i = 0; i < UPDATE_TRIES && count > 0; i++) {
		result = try_once(s, updates, count, &updated, reterr);
		if (!worker_batch_try_again(result))
			break;
		result = error_set(reterr, FSHA_E_TIMEOUT, 0, "update",
				   "the workers change faster than they can be updated");
	}
	(void)pthread_mutex_unlock(&s->writing);
	if (result == FSHA_OK && ret_updated)
		*ret_updated = updated;
	return result;
}
