#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/result/error.h"
#include "src/worker/worker.h"

/* ---- open and close ---- */

static int init_locks(fsha_worker_store *s)
{
	int r = pthread_mutex_init(&s->mutex, NULL);

	if (r == 0) {
		r = pthread_mutex_init(&s->writing, NULL);
		if (r != 0)
			(void)pthread_mutex_destroy(&s->mutex);
	}
	return -r;
}

static void destroy(fsha_worker_store *s)
{
	const struct fsu *fs = services_fs(s->services);

	(void)pthread_mutex_destroy(&s->mutex);
	(void)pthread_mutex_destroy(&s->writing);
	fsu_release(fs, s);
}

fsha_result fsha_worker_store_open(fsha_services *services, fsha_worker_store **ret_store,
				   fsha_error *reterr)
{
	const struct store_options options = {
		.directory = LAYOUT_WORKERS,
		.election = FSHA_ELECTION_RESOURCE_MANAGER,
		.kind = FSU_KIND_WORKER,
	};
	fsha_worker_store *s;
	fsha_result result;

	if (!services || !ret_store)
		return error_set(reterr, FSHA_E_INVALID, 0, "open", "an argument is NULL");
	s = fsu_alloc(services_fs(services), sizeof(*s));
	if (!s || init_locks(s) < 0) {
		fsu_release(services_fs(services), s);
		return error_os(reterr, -ENOMEM, "alloc", "cannot open the worker store");
	}
	s->services = services;
	result = services_store_open(services, &options, &s->store, reterr);
	if (result != FSHA_OK) {
		destroy(s);
		return result;
	}
	*ret_store = s;
	return FSHA_OK;
}

static void set_running(fsha_worker_store *s, bool running)
{
	(void)pthread_mutex_lock(&s->mutex);
	s->running = running;
	(void)pthread_mutex_unlock(&s->mutex);
}

static bool is_running(fsha_worker_store *s)
{
	bool running;

	(void)pthread_mutex_lock(&s->mutex);
	running = s->running;
	(void)pthread_mutex_unlock(&s->mutex);
	return running;
}

fsha_result fsha_worker_store_start(fsha_worker_store *s, fsha_error *reterr)
{
	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "start", "an argument is NULL");
	set_running(s, true);
	return FSHA_OK;
}

fsha_result worker_store_check(fsha_worker_store *s, fsha_error *reterr)
{
	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "worker", "an argument is NULL");
	if (!is_running(s))
		return error_set(reterr, FSHA_E_STATE, 0, "worker",
				 "the worker store is not running: call fsha_worker_store_start");
	return FSHA_OK;
}

fsha_result fsha_worker_store_stop(fsha_worker_store *s, int cleanup, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;

	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "stop", "an argument is NULL");
	(void)pthread_mutex_lock(&s->writing);
	if (cleanup && is_running(s))
		result = store_clear(s->store, reterr); /* not what begins with '@' */
	if (result == FSHA_OK)
		set_running(s, false);
	(void)pthread_mutex_unlock(&s->writing);
	return result;
}

void fsha_worker_store_close(fsha_worker_store *s)
{
	if (!s)
		return;
	services_store_close(s->services, s->store);
	destroy(s);
}

/* ---- reading ---- */

fsha_result worker_store_damaged(const fsha_version *version, const char *key, fsha_error *reterr)
{
	char name[NAME_SIZE];

	name_format(key, version, NAME_VALUE, name);
	return error_set(reterr, FSHA_E_CORRUPT, 0, "decode",
			 "record '" LAYOUT_WORKERS "/%s' is whole, but holds nothing that makes "
			 "sense; the file is left as it is",
			 name);
}

fsha_result worker_store_read(fsha_worker_store *s, const char *key, struct pack_reader *reader,
			      fsha_worker **ret_worker, fsha_version *ret_version,
			      fsha_error *reterr)
{
	char task_id[FSU_NAME_MAX + 1], slave_id[FSHA_SLAVE_ID_MAX + 1];
	char hostname[FSHA_HOSTNAME_MAX + 1];
	const struct fsu *fs = services_fs(s->services);
	fsha_worker worker = { .struct_size = sizeof(worker), .task_id = task_id };
	const fsha_worker *pointer = &worker;
	struct worker_fields fields;
	fsha_version version;
	struct record record;
	fsha_result result;
	size_t len;

	result = reader ? store_get_next(s->store, key, reader, &record, &version, reterr) :
			  store_get(s->store, key, &record, &version, reterr);
	if (result != FSHA_OK)
		return result;
	if (worker_decode(record.data, record.size, &fields) < 0 ||
	    fsu_path_decode(key, strlen(key), task_id, &len) < 0) {
		record_done(fs, &record);
		return worker_store_damaged(&version, key, reterr);
	}
	worker.state = fields.state;
	worker.updated_ms = fields.updated_ms;
	worker.launchable = fields.launchable;
	worker.launchable_size = fields.launchable_size;
	if (fields.slave_id_len > 0) {
		memcpy(slave_id, fields.slave_id, fields.slave_id_len);
		slave_id[fields.slave_id_len] = '\0';
		worker.slave_id = slave_id;
	}
	if (fields.hostname_len > 0) {
		memcpy(hostname, fields.hostname, fields.hostname_len);
		hostname[fields.hostname_len] = '\0';
		worker.hostname = hostname;
	}
	*ret_worker = worker_pack(fs, &pointer, 1);
	record_done(fs, &record);
	if (!*ret_worker)
		return error_os(reterr, -ENOMEM, "alloc", "cannot read worker '%s'", task_id);
	if (ret_version)
		*ret_version = version;
	return FSHA_OK;
}

fsha_result fsha_worker_store_get(fsha_worker_store *s, const char *task_id,
				  fsha_worker **ret_worker, fsha_error *reterr)
{
	char key[FSU_COMPONENT_MAX + 1];
	fsha_result result;

	result = worker_store_check(s, reterr);
	if (result == FSHA_OK && !ret_worker)
		result = error_set(reterr, FSHA_E_INVALID, 0, "get", "an argument is NULL");
	if (result == FSHA_OK)
		result = worker_key(task_id, key, reterr);
	return result == FSHA_OK ? worker_store_read(s, key, NULL, ret_worker, NULL, reterr) :
				   result;
}

fsha_result fsha_worker_store_get_framework_id(fsha_worker_store *s, char *ret_id, int *ret_present,
					       fsha_error *reterr)
{
	char id[FSHA_FRAMEWORK_ID_SIZE];
	fsha_version version;
	struct record record;
	fsha_result result;
	int r;

	result = worker_store_check(s, reterr);
	if (result == FSHA_OK && (!ret_id || !ret_present))
		result = error_set(reterr, FSHA_E_INVALID, 0, "get", "an argument is NULL");
	if (result == FSHA_OK)
		result = store_get(s->store, FRAMEWORK_ID_KEY, &record, &version, reterr);
	if (result == FSHA_E_NOT_FOUND) {
		ret_id[0] = '\0';
		*ret_present = 0;
		return FSHA_OK;
	}
	if (result != FSHA_OK)
		return result;
	r = framework_id_decode(record.data, record.size, id);
	record_done(services_fs(s->services), &record);
	if (r < 0)
		return worker_store_damaged(&version, FRAMEWORK_ID_KEY, reterr);
	memcpy(ret_id, id, strlen(id) + 1);
	*ret_present = 1;
	return FSHA_OK;
}

/* ---- writing ---- */

fsha_result fsha_worker_store_set_framework_id(fsha_worker_store *s, const char *id,
					       fsha_error *reterr)
{
	uint8_t payload[FSHA_FRAMEWORK_ID_SIZE + 4];
	size_t len = id ? strlen(id) : 0;
	fsha_result result;

	result = worker_store_check(s, reterr);
	if (result == FSHA_OK && len > FRAMEWORK_ID_MAX)
		result = error_set(reterr, FSHA_E_INVALID, 0, "set",
				   "framework id '%.60s...' is too long: at most %d bytes", id,
				   FRAMEWORK_ID_MAX);
	if (result == FSHA_OK && !utf8_is_valid(id, len))
		result =
			error_set(reterr, FSHA_E_INVALID, 0, "set", "the framework id is no UTF-8");
	if (result != FSHA_OK)
		return result;
	(void)pthread_mutex_lock(&s->writing);
	if (len == 0)
		result = store_write(s->store, STORE_REMOVE, FRAMEWORK_ID_KEY, NULL, NULL, 0, NULL,
				     reterr);
	else
		result = store_write(s->store, STORE_PUT, FRAMEWORK_ID_KEY, NULL, payload,
				     framework_id_encode(id, payload), NULL, reterr);
	(void)pthread_mutex_unlock(&s->writing);
	return result;
}

fsha_result fsha_worker_store_put(fsha_worker_store *s, const fsha_worker *worker,
				  fsha_error *reterr)
{
	char key[FSU_COMPONENT_MAX + 1];
	const struct fsu *fs;
	fsha_result result;
	uint8_t *payload;
	size_t size;

	result = worker_store_check(s, reterr);
	if (result == FSHA_OK)
		result = worker_check(worker, reterr);
	if (result == FSHA_OK)
		result = worker_key(worker->task_id, key, reterr);
	if (result != FSHA_OK)
		return result;
	fs = services_fs(s->services);
	size = worker_encoded_size(worker);
	payload = fsu_alloc(fs, size);
	if (!payload)
		return error_os(reterr, -ENOMEM, "alloc", "cannot put worker '%s'",
				worker->task_id);
	worker_encode(worker, fsu_wall_ns(fs) / FSU_NS_PER_MS, payload, size);
	(void)pthread_mutex_lock(&s->writing);
	result = store_write(s->store, STORE_PUT, key, NULL, payload, size, NULL, reterr);
	(void)pthread_mutex_unlock(&s->writing);
	fsu_release(fs, payload);
	return result;
}

fsha_result fsha_worker_store_remove(fsha_worker_store *s, const char *task_id, int *ret_removed,
				     fsha_error *reterr)
{
	char key[FSU_COMPONENT_MAX + 1];
	fsha_version version;
	fsha_result result;

	result = worker_store_check(s, reterr);
	if (result == FSHA_OK)
		result = worker_key(task_id, key, reterr);
	if (result != FSHA_OK)
		return result;
	(void)pthread_mutex_lock(&s->writing);
	result = store_exists(s->store, key, &version, reterr);
	/* Also when there is none: a write in doubt may yet bring it. */
	if (result == FSHA_OK)
		result = store_write(s->store, STORE_REMOVE, key, NULL, NULL, 0, NULL, reterr);
	(void)pthread_mutex_unlock(&s->writing);
	if (result == FSHA_OK && ret_removed)
		*ret_removed = fsha_version_is_existing(&version);
	return result;
}
