/*
 * New task ids. The number that is stored is the last one that was given, so an id is given only
 * after its number is durable: a write that fails, or whose outcome is not known, gives nothing,
 * and the next call goes on from whatever the store holds by then.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/result/error.h"
#include "src/worker/worker.h"

/* Other processes of the term draw too, and people put workers of any number. */
#define TRIES 1000

uint64_t task_id_number(const char *task_id)
{
	const char *digits = task_id + strlen(TASK_ID_PREFIX);
	uint64_t number = 0;

	if (strncmp(task_id, TASK_ID_PREFIX, strlen(TASK_ID_PREFIX)) != 0 || !*digits)
		return 0;
	for (; *digits; digits++) {
		if (*digits < '0' || *digits > '9' || number > (COUNTER_MAX - 9) / 10)
			return 0;
		number = number * 10 + (uint64_t)(*digits - '0');
	}
	return number;
}

static fsha_result highest_number(fsha_worker_store *s, uint64_t *ret_number, fsha_error *reterr)
{
	uint64_t highest = 0, number;
	fsha_result result;
	size_t count;
	char **ids;

	result = worker_store_ids(s, &ids, &count, reterr);
	if (result != FSHA_OK)
		return result;
	for (size_t i = 0; i < count; i++) {
		number = task_id_number(ids[i]);
		if (number > highest)
			highest = number;
	}
	fsu_release(services_fs(s->services), ids);
	*ret_number = highest;
	return FSHA_OK;
}

fsha_result task_id_last(fsha_worker_store *s, uint64_t *ret_number, fsha_version *ret_version,
			 fsha_error *reterr)
{
	struct record record;
	fsha_result result;
	int r;

	*ret_version = (fsha_version){ 0 };
	result = store_get(s->store, COUNTER_KEY, &record, ret_version, reterr);
	if (result == FSHA_E_NOT_FOUND)
		return highest_number(s, ret_number, reterr);
	if (result != FSHA_OK)
		return result;
	r = counter_decode(record.data, record.size, ret_number);
	record_done(services_fs(s->services), &record);
	return r < 0 ? worker_store_damaged(ret_version, COUNTER_KEY, reterr) : FSHA_OK;
}

/* One draw: VERSION and the like when another drew at the same time. */
static fsha_result draw(fsha_worker_store *s, uint64_t *ret_number, fsha_error *reterr)
{
	uint8_t payload[COUNTER_SIZE];
	fsha_version version;
	fsha_result result;
	uint64_t number;

	result = task_id_last(s, &number, &version, reterr);
	if (result != FSHA_OK)
		return result;
	if (number >= COUNTER_MAX)
		return error_set(reterr, FSHA_E_STATE, 0, "new_task_id",
				 "all numbers of task ids are used up");
	counter_encode(++number, payload);
	*ret_number = number;
	if (fsha_version_is_existing(&version))
		return store_write(s->store, STORE_REPLACE, COUNTER_KEY, &version, payload,
				   sizeof(payload), NULL, reterr);
	return store_write(s->store, STORE_ADD, COUNTER_KEY, NULL, payload, sizeof(payload), NULL,
			   reterr);
}

fsha_result fsha_worker_store_new_task_id(fsha_worker_store *s, char *ret_task_id,
					  fsha_error *reterr)
{
	char task_id[sizeof(TASK_ID_PREFIX) + 20];
	fsha_result result;
	fsha_version version;
	uint64_t number = 0;

	result = worker_store_check(s, reterr);
	if (result == FSHA_OK && !ret_task_id)
		result = error_set(reterr, FSHA_E_INVALID, 0, "new_task_id", "an argument is NULL");
	if (result != FSHA_OK)
		return result;
	(void)pthread_mutex_lock(&s->writing);
	for (int i = 0; i < TRIES; i++) {
		result = draw(s, &number, reterr);
		if (result == FSHA_E_VERSION || result == FSHA_E_EXISTS ||
		    result == FSHA_E_NOT_FOUND) {
			result = error_set(reterr, FSHA_E_TIMEOUT, 0, "new_task_id",
					   "the counter of task ids changes faster than it can be "
					   "advanced");
			continue;
		}
		if (result != FSHA_OK)
			break;
		(void)snprintf(task_id, sizeof(task_id), TASK_ID_PREFIX "%05" PRIu64, number);
		/* A worker that somebody put under a number of his own. */
		result = store_exists(s->store, task_id, &version, reterr);
		if (result != FSHA_OK || !fsha_version_is_existing(&version))
			break;
		result = error_set(reterr, FSHA_E_TIMEOUT, 0, "new_task_id",
				   "worker '%s' and those before it have ids that were never "
				   "given: try again",
				   task_id);
	}
	(void)pthread_mutex_unlock(&s->writing);
	if (result == FSHA_OK)
		memcpy(ret_task_id, task_id, strlen(task_id) + 1);
	return result;
}
