/*
 * The counter of checkpoint ids: one entry beside the checkpoints, which holds the id that is taken
 * next. Taking one is a replacement of that very version: whoever comes second, in this process or
 * after a failover, looks again. An id is given out only after the higher count is durable, so one
 * may be lost, but none comes twice.
 */
#include <errno.h>
#include <inttypes.h>

#include "src/checkpoint/checkpoint.h"
#include "src/result/error.h"

#define COUNT_SIZE 8
#define FIRST_ID 1
/* Others that take ids of the same job at the same moment: threads and processes of one term. */
#define TRIES 1000

struct fsha_checkpoint_id_counter {
	struct fsha_services *services;
	struct store *store;
	pthread_mutex_t mutex; /* held while the storage is asked */
	bool shut_down;
};

fsha_result fsha_checkpoint_id_counter_open(fsha_services *services, const fsha_job_id *job,
					    fsha_checkpoint_id_counter **ret_counter,
					    fsha_error *reterr)
{
	char directory[CHECKPOINT_DIRECTORY_SIZE], election[FSHA_ELECTION_JOB_TEXT];
	fsha_checkpoint_id_counter *c;
	struct store_options options;
	fsha_result result;

	if (!services || !job || !ret_counter)
		return error_set(reterr, FSHA_E_INVALID, 0, "open", "an argument is NULL");
	c = fsu_alloc(services_fs(services), sizeof(*c));
	if (!c)
		return error_os(reterr, -ENOMEM, "alloc", "cannot open the counter");
	if (pthread_mutex_init(&c->mutex, NULL) != 0) {
		fsu_release(services_fs(services), c);
		return error_os(reterr, -ENOMEM, "alloc", "cannot open the counter");
	}
	checkpoint_directory(job, directory);
	options = checkpoint_store_options(directory, fsha_job_election_name(job, election));
	c->services = services;
	result = services_store_open(services, &options, &c->store, reterr);
	if (result != FSHA_OK) {
		(void)pthread_mutex_destroy(&c->mutex);
		fsu_release(services_fs(services), c);
		return result;
	}
	*ret_counter = c;
	return FSHA_OK;
}

void fsha_checkpoint_id_counter_close(fsha_checkpoint_id_counter *c)
{
	const struct fsu *fs;

	if (!c)
		return;
	fs = services_fs(c->services);
	services_store_close(c->services, c->store);
	(void)pthread_mutex_destroy(&c->mutex);
	fsu_release(fs, c);
}

/* Under the mutex from here on. */

/* The id that is next; its version is all zero when nothing is stored yet. */
static fsha_result look(fsha_checkpoint_id_counter *c, int64_t *ret_id, fsha_version *ret_version,
			fsha_error *reterr)
{
	struct fsu_reader r = { .buf = NULL };
	fsha_error error = FSHA_ERROR_INIT;
	struct record record;
	fsha_result result;
	int64_t id;

	result = store_get(c->store, CHECKPOINT_COUNTER_KEY, &record, ret_version, &error);
	if (result == FSHA_E_NOT_FOUND) {
		*ret_version = (fsha_version){ 0 };
		*ret_id = FIRST_ID;
		return FSHA_OK;
	}
	if (result != FSHA_OK)
		return error_copy(reterr, &error);
	r.buf = record.data;
	r.size = record.size;
	id = (int64_t)fsu_get_u64(&r);
	if (fsu_reader_end(&r) < 0 || id < FIRST_ID)
		result = error_set(reterr, FSHA_E_CORRUPT, 0, "decode",
				   "'%s/" CHECKPOINT_COUNTER_KEY
				   "' is damaged: set it to an id that was not "
				   "used yet",
				   c->store->directory);
	else
		*ret_id = id;
	record_done(services_fs(c->services), &record);
	return result;
}

/* VERSION: another has counted meanwhile. */
static fsha_result put(fsha_checkpoint_id_counter *c, int64_t id, const fsha_version *expected,
		       fsha_error *reterr)
{
	uint8_t data[COUNT_SIZE];
	struct fsu_writer w = { .buf = data, .size = sizeof(data) };
	fsha_result result;

	fsu_put_u64(&w, (uint64_t)id);
	if (fsha_version_is_existing(expected))
		result = store_write(c->store, STORE_REPLACE, CHECKPOINT_COUNTER_KEY, expected,
				     data, w.len, NULL, reterr);
	else
		result = store_write(c->store, STORE_ADD, CHECKPOINT_COUNTER_KEY, NULL, data, w.len,
				     NULL, reterr);
	return result == FSHA_E_EXISTS || result == FSHA_E_NOT_FOUND ? FSHA_E_VERSION : result;
}

static fsha_result take(fsha_checkpoint_id_counter *c, int64_t *ret_id, fsha_error *reterr)
{
	fsha_version version;
	fsha_result result;
	int64_t id = 0;

	result = look(c, &id, &version, reterr);
	if (result == FSHA_OK && id == INT64_MAX)
		return error_set(reterr, FSHA_E_STATE, 0, "get_and_increment",
				 "the counter '%s/" CHECKPOINT_COUNTER_KEY "' has reached its end",
				 c->store->directory);
	if (result == FSHA_OK)
		result = put(c, id + 1, &version, reterr);
	if (result == FSHA_OK)
		*ret_id = id;
	return result;
}

/* Whatever is there, be it damaged. */
static fsha_result set(fsha_checkpoint_id_counter *c, int64_t id, fsha_error *reterr)
{
	enum name_form form;
	fsha_version version;
	fsha_result result;

	result = store_look(c->store, CHECKPOINT_COUNTER_KEY, &version, &form, reterr);
	if (result == FSHA_E_NOT_FOUND) {
		version = (fsha_version){ 0 };
		result = FSHA_OK;
	}
	return result == FSHA_OK ? put(c, id, &version, reterr) : result;
}

static fsha_result check_open(const fsha_checkpoint_id_counter *c, fsha_error *reterr)
{
	return c->shut_down ? error_set(reterr, FSHA_E_STATE, 0, "counter",
					"the counter of '%s' was shut down", c->store->directory) :
			      FSHA_OK;
}

static fsha_result busy(const fsha_checkpoint_id_counter *c, fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_TIMEOUT, 0, "counter",
			 "the counter of '%s' changes faster than it can be read",
			 c->store->directory);
}

/* Without it. */

fsha_result fsha_checkpoint_id_counter_get_and_increment(fsha_checkpoint_id_counter *c,
							 int64_t *ret_id, fsha_error *reterr)
{
	fsha_result result;

	if (!c || !ret_id)
		return error_set(reterr, FSHA_E_INVALID, 0, "counter", "an argument is NULL");
	(void)pthread_mutex_lock(&c->mutex);
	result = check_open(c, reterr);
	if (result == FSHA_OK) {
		result = FSHA_E_VERSION;
		for (int i = 0; i < TRIES && result == FSHA_E_VERSION; i++)
			result = take(c, ret_id, reterr);
	}
	(void)pthread_mutex_unlock(&c->mutex);
	return result == FSHA_E_VERSION ? busy(c, reterr) : result;
}

fsha_result fsha_checkpoint_id_counter_get(fsha_checkpoint_id_counter *c, int64_t *ret_id,
					   fsha_error *reterr)
{
	fsha_version version;
	fsha_result result;

	if (!c || !ret_id)
		return error_set(reterr, FSHA_E_INVALID, 0, "counter", "an argument is NULL");
	(void)pthread_mutex_lock(&c->mutex);
	result = check_open(c, reterr);
	if (result == FSHA_OK)
		result = look(c, ret_id, &version, reterr);
	(void)pthread_mutex_unlock(&c->mutex);
	return result;
}

fsha_result fsha_checkpoint_id_counter_set_count(fsha_checkpoint_id_counter *c, int64_t id,
						 fsha_error *reterr)
{
	fsha_result result;

	if (!c)
		return error_set(reterr, FSHA_E_INVALID, 0, "counter", "the counter is NULL");
	if (id < FIRST_ID)
		return error_set(reterr, FSHA_E_INVALID, 0, "counter",
				 "the count %" PRId64 " is not 1 or more", id);
	(void)pthread_mutex_lock(&c->mutex);
	result = check_open(c, reterr);
	if (result == FSHA_OK) {
		result = FSHA_E_VERSION;
		for (int i = 0; i < TRIES && result == FSHA_E_VERSION; i++)
			result = set(c, id, reterr);
	}
	(void)pthread_mutex_unlock(&c->mutex);
	return result == FSHA_E_VERSION ? busy(c, reterr) : result;
}

fsha_result fsha_checkpoint_id_counter_shutdown(fsha_checkpoint_id_counter *c, int job_end,
						fsha_error *reterr)
{
	fsha_result result = FSHA_OK;

	if (!c)
		return error_set(reterr, FSHA_E_INVALID, 0, "shutdown", "the counter is NULL");
	if (!checkpoint_end_is_known(job_end))
		return error_set(reterr, FSHA_E_INVALID, 0, "shutdown",
				 "%d is no fsha_job_end: FINISHED, CANCELED, FAILED or SUSPENDED",
				 job_end);
	(void)pthread_mutex_lock(&c->mutex);
	if (!c->shut_down && checkpoint_end_is_global(job_end))
		result = store_write(c->store, STORE_REMOVE, CHECKPOINT_COUNTER_KEY, NULL, NULL, 0,
				     NULL, reterr);
	if (result == FSHA_OK)
		c->shut_down = true;
	(void)pthread_mutex_unlock(&c->mutex);
	return result;
}
