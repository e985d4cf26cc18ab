/* The stores that are made for one thing, and the table of all. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/storm/stores.h"

#define JOB_TEXT "00000000000000000000000000000001"
#define OWNER_TEXT "000000000000000000000000000000b1"
#define RETAINED 4

const char *const election_names[ELECTIONS] = {
	[DISPATCHER] = FSHA_ELECTION_DISPATCHER,
	[RESOURCE_MANAGER] = FSHA_ELECTION_RESOURCE_MANAGER,
	[JOB_MASTER] = ("job-" JOB_TEXT),
};

/* ---- what all share ---- */

uint64_t stores_random(struct stores *s, uint64_t below)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return (s->random >> 16) % below;
}

size_t stores_payload(struct stores *s, const char *value, size_t max)
{
	const size_t min = 2 * (size_t)VALUE_SIZE;
	size_t size = min + (size_t)stores_random(s, max - min);

	payload_make(value, s->buf, size);
	return size;
}

fsha_result stores_value(const void *data, size_t size, char *ret_value)
{
	return payload_read(data, size, ret_value) ? FSHA_OK : FSHA_E_CORRUPT;
}

void stores_violation(struct stores *s, const char *what, const char *detail)
{
	atomic_fetch_add(&s->page->violations, 1);
	(void)fprintf(stderr, "VIOLATION: %s: %s\n", what, detail);
}

void stores_note_id(struct stores *s, const char *what, const char *id)
{
	char line[KEY_SIZE + FSHA_TASK_ID_SIZE];
	int n = snprintf(line, sizeof(line), "%s %s\n", what, id);

	if (write(s->ids_fd, line, (size_t)n) != n)
		_exit(5);
}

/* Jobs of one store, told apart by their last byte. */
static fsha_job_id job_of(unsigned key)
{
	return (fsha_job_id){ { [0] = 0x0a, [15] = (uint8_t)(key + 1) } };
}

/* ---- job graphs ---- */

static fsha_result graph_read(struct stores *s, unsigned key, char *ret_value, fsha_error *reterr)
{
	const fsha_job_id id = job_of(key);
	fsha_result result;
	size_t size;
	void *data;

	result = fsha_job_graph_store_recover(s->graphs, &id, &data, &size, reterr);
	if (result != FSHA_OK)
		return result;
	result = stores_value(data, size, ret_value);
	fsha_free(data);
	return result;
}

static fsha_result graph_write(struct stores *s, unsigned key, const char *value,
			       fsha_error *reterr)
{
	const fsha_job_id id = job_of(key);
	char old[VALUE_SIZE];

	/* Only an own one is replaced; one that was recovered is. */
	(void)graph_read(s, key, old, NULL);
	return fsha_job_graph_store_put(s->graphs, &id, s->buf, stores_payload(s, value, 2000),
					reterr);
}

static fsha_result graph_remove(struct stores *s, unsigned key, fsha_error *reterr)
{
	const fsha_job_id id = job_of(key);

	return fsha_job_graph_store_remove(s->graphs, &id, reterr);
}

/* ---- job results ---- */

static fsha_result result_write(struct stores *s, unsigned key, const char *value,
				fsha_error *reterr)
{
	fsha_failure_cause cause = { .class_name = value, .stack_trace = "at nowhere" };
	fsha_job_result result = FSHA_JOB_RESULT_INIT;

	result.id = job_of(key);
	result.status = FSHA_APPLICATION_FAILED;
	result.failure = &cause;
	return fsha_job_result_store_create_dirty(s->results, &result, reterr);
}

static fsha_result result_remove(struct stores *s, unsigned key, fsha_error *reterr)
{
	const fsha_job_id id = job_of(key);

	return fsha_job_result_store_mark_clean(s->results, &id, reterr);
}

static fsha_result result_read(struct stores *s, unsigned key, char *ret_value, fsha_error *reterr)
{
	const fsha_job_id id = job_of(key);
	fsha_job_result *got;
	fsha_result result;

	result = fsha_job_result_store_get(s->results, &id, &got, NULL, reterr);
	if (result != FSHA_OK)
		return result;
	if (got->failure && strlen(got->failure->class_name) < VALUE_SIZE)
		(void)strcpy(ret_value, got->failure->class_name);
	else
		result = FSHA_E_CORRUPT;
	fsha_free(got);
	return result;
}

/* ---- running jobs: nothing can be stored with one, so its id is the value ---- */

static fsha_job_id id_on_page(const struct stores *s, unsigned key)
{
	uint64_t halves[2];
	fsha_job_id id;

	halves[0] = atomic_load(&s->page->running[key][0]);
	halves[1] = atomic_load(&s->page->running[key][1]);
	memcpy(id.bytes, halves, sizeof(id.bytes));
	return id;
}

static void id_to_page(struct stores *s, unsigned key, const fsha_job_id *id)
{
	uint64_t halves[2];

	memcpy(halves, id->bytes, sizeof(halves));
	atomic_store(&s->page->running[key][0], halves[0]);
	atomic_store(&s->page->running[key][1], halves[1]);
}

static bool is_none(const fsha_job_id *id)
{
	static const fsha_job_id none;

	return memcmp(id, &none, sizeof(none)) == 0;
}

/* 48 bits each of epoch and sequence, 32 of the random number. */
static fsha_job_id id_of_value(const char *value)
{
	uint64_t epoch = 0, sequence = 0, random = 0;
	fsha_job_id id;

	(void)sscanf(value, "%" SCNu64 ".%" SCNu64 ".%" SCNx64, &epoch, &sequence, &random);
	for (int i = 0; i < 6; i++) {
		id.bytes[i] = (uint8_t)(epoch >> (8 * i));
		id.bytes[6 + i] = (uint8_t)(sequence >> (8 * i));
	}
	for (int i = 0; i < 4; i++)
		id.bytes[12 + i] = (uint8_t)(random >> (8 * i));
	return id;
}

static void value_of_id(const fsha_job_id *id, char *ret_value)
{
	uint64_t epoch = 0, sequence = 0, random = 0;

	for (int i = 0; i < 6; i++) {
		epoch |= (uint64_t)id->bytes[i] << (8 * i);
		sequence |= (uint64_t)id->bytes[6 + i] << (8 * i);
	}
	for (int i = 0; i < 4; i++)
		random |= (uint64_t)id->bytes[12 + i] << (8 * i);
	(void)snprintf(ret_value, VALUE_SIZE, "%" PRIu64 ".%" PRIu64 ".%" PRIx64, epoch, sequence,
		       random);
}

static fsha_result running_write(struct stores *s, unsigned key, const char *value,
				 fsha_error *reterr)
{
	(void)key;
	(void)value;
	if (s->running_id.bytes[12] & 1)
		return fsha_running_jobs_set_finished(s->running, &s->running_id, reterr);
	return fsha_running_jobs_set_running(s->running, &s->running_id, reterr);
}

static fsha_result running_remove(struct stores *s, unsigned key, fsha_error *reterr)
{
	fsha_result result = fsha_running_jobs_clear(s->running, &s->running_id, reterr);
	const fsha_job_id none = { { 0 } }, now = id_on_page(s, key);

	if (result == FSHA_OK && memcmp(&now, &s->running_id, sizeof(now)) == 0)
		id_to_page(s, key, &none);
	return result;
}

/* An even random number was set running, an odd one done: the other status is none of ours. */
static fsha_result running_read(struct stores *s, unsigned key, char *ret_value, fsha_error *reterr)
{
	const fsha_job_id id = s->running_id;
	fsha_result result;
	int32_t status;

	(void)key;
	result = fsha_running_jobs_get_status(s->running, &id, &status, reterr);
	if (result != FSHA_OK)
		return result;
	if (status == FSHA_JOB_PENDING)
		return FSHA_E_NOT_FOUND;
	value_of_id(&id, ret_value);
	return (status == FSHA_JOB_DONE) == (id.bytes[12] & 1) ? FSHA_OK : FSHA_E_CORRUPT;
}

/* ---- blobs ---- */

static fsha_blob_key blob_key(unsigned key)
{
	return (fsha_blob_key){ .type = FSHA_BLOB_PERMANENT,
				.random = { [0] = (uint8_t)(key + 1) } };
}

/* Every second one belongs to a job. */
static const fsha_job_id *blob_job(const struct stores *s, unsigned key)
{
	return key % 2 ? &s->owner : NULL;
}

static fsha_result blob_write(struct stores *s, unsigned key, const char *value, fsha_error *reterr)
{
	const fsha_blob_key blob = blob_key(key);
	size_t size = stores_payload(s, value, PAYLOAD_MAX);
	int fd = memfd_create("blob", MFD_CLOEXEC);
	fsha_result result = FSHA_E_IO;

	if (fd < 0)
		return FSHA_E_IO;
	if (write(fd, s->buf, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0)
		result =
			fsha_blob_store_put_fd(s->blobs, fd, size, blob_job(s, key), &blob, reterr);
	(void)close(fd);
	return result;
}

static fsha_result blob_remove(struct stores *s, unsigned key, fsha_error *reterr)
{
	const fsha_blob_key blob = blob_key(key);

	return fsha_blob_store_delete(s->blobs, blob_job(s, key), &blob, reterr);
}

static fsha_result blob_read(struct stores *s, unsigned key, char *ret_value, fsha_error *reterr)
{
	const fsha_blob_key blob = blob_key(key);
	int fd = memfd_create("blob", MFD_CLOEXEC);
	fsha_result result;
	uint64_t size = 0;

	if (fd < 0)
		return FSHA_E_IO;
	result = fsha_blob_store_get_fd(s->blobs, blob_job(s, key), &blob, fd, &size, reterr);
	if (result == FSHA_OK)
		result = size <= sizeof(s->buf) && pread(fd, s->buf, size, 0) == (ssize_t)size ?
				 stores_value(s->buf, size, ret_value) :
				 FSHA_E_CORRUPT;
	(void)close(fd);
	return result;
}

/* ---- workers ---- */

static void worker_name(unsigned key, char *ret_name)
{
	(void)snprintf(ret_name, KEY_SIZE, "slot-%u", key);
}

static fsha_result worker_write(struct stores *s, unsigned key, const char *value,
				fsha_error *reterr)
{
	char name[KEY_SIZE], task[FSHA_TASK_ID_SIZE];
	fsha_worker worker;

	/* Nothing but the counter hangs on the result: the worker's is what the history tells. */
	if (stores_random(s, 4) == 0 &&
	    fsha_worker_store_new_task_id(s->workers, task, NULL) == FSHA_OK)
		stores_note_id(s, "task", task);
	worker_name(key, name);
	(void)fsha_worker_init(&worker, name, s->buf, stores_payload(s, value, 1000));
	worker.state = (int32_t)stores_random(s, 3);
	return fsha_worker_store_put(s->workers, &worker, reterr);
}

static fsha_result worker_remove(struct stores *s, unsigned key, fsha_error *reterr)
{
	char name[KEY_SIZE];

	worker_name(key, name);
	return fsha_worker_store_remove(s->workers, name, NULL, reterr);
}

static fsha_result worker_read(struct stores *s, unsigned key, char *ret_value, fsha_error *reterr)
{
	char name[KEY_SIZE];
	fsha_worker *worker;
	fsha_result result;

	worker_name(key, name);
	result = fsha_worker_store_get(s->workers, name, &worker, reterr);
	if (result != FSHA_OK)
		return result;
	result = stores_value(worker->launchable, worker->launchable_size, ret_value);
	fsha_free(worker);
	return result;
}

/* ---- checkpoints: the newest one of the job is the register ---- */

static void close_checkpoints(struct stores *s)
{
	(void)fsha_checkpoint_store_close(s->checkpoints, NULL);
	fsha_checkpoint_id_counter_close(s->counter);
	s->checkpoints = NULL;
	s->counter = NULL;
	s->checkpoints_epoch = 0;
}

fsha_result stores_new_term(struct stores *s, uint64_t epoch, fsha_error *reterr)
{
	fsha_checkpoint_store_options options = FSHA_CHECKPOINT_STORE_OPTIONS_INIT;
	fsha_result result;

	if (epoch == s->checkpoints_epoch)
		return FSHA_OK;
	close_checkpoints(s);
	if (epoch == 0)
		return FSHA_OK;
	options.max_retained = RETAINED;
	result =
		fsha_checkpoint_store_open(s->services, &s->job, &options, &s->checkpoints, reterr);
	if (result == FSHA_OK)
		result = fsha_checkpoint_id_counter_open(s->services, &s->job, &s->counter, reterr);
	if (result == FSHA_OK)
		s->checkpoints_epoch = epoch;
	else
		close_checkpoints(s);
	return result;
}

static fsha_result checkpoint_write(struct stores *s, unsigned key, const char *value,
				    fsha_error *reterr)
{
	fsha_completed_checkpoint checkpoint = FSHA_COMPLETED_CHECKPOINT_INIT;
	fsha_result result;
	char id[32];

	(void)key;
	if (!s->checkpoints)
		return FSHA_E_STATE;
	result = fsha_checkpoint_id_counter_get_and_increment(s->counter, &checkpoint.id, reterr);
	if (result != FSHA_OK)
		return result == FSHA_E_INDOUBT ? FSHA_E_IO : result; /* no checkpoint was sent */
	(void)snprintf(id, sizeof(id), "%" PRId64, checkpoint.id);
	stores_note_id(s, "checkpoint", id);
	checkpoint.metadata = s->buf;
	checkpoint.metadata_size = stores_payload(s, value, 4000);
	result = fsha_checkpoint_store_add(s->checkpoints, &checkpoint, NULL, reterr);
	if (result == FSHA_E_EXISTS)
		stores_violation(s, "a checkpoint has the id that was just given out", id);
	return result;
}

static fsha_result checkpoint_read(struct stores *s, unsigned key, char *ret_value,
				   fsha_error *reterr)
{
	fsha_completed_checkpoint *latest;
	fsha_checkpoint_store *store;
	fsha_result result;

	(void)key;
	result = fsha_checkpoint_store_open(s->services, &s->job, NULL, &store, reterr);
	if (result != FSHA_OK)
		return result;
	result = fsha_checkpoint_store_get_latest(store, &latest, reterr);
	if (result == FSHA_OK) {
		result = stores_value(latest->metadata, latest->metadata_size, ret_value);
		fsha_free(latest);
	}
	(void)fsha_checkpoint_store_close(store, NULL);
	return result;
}

/* ---- all of them ---- */

const struct store_kind store_kinds[KINDS] = {
	[KIND_STATE] = { "state/plain", DISPATCHER, 8, false, state_write, state_remove,
			 state_read },
	[KIND_BATCH] = { "state/batch", DISPATCHER, 4, false, batch_write, batch_remove,
			 batch_read },
	[KIND_STREAM] = { "state/stream", DISPATCHER, 3, false, stream_write, stream_remove,
			  stream_read },
	[KIND_JOB_GRAPH] = { "job_graphs", DISPATCHER, 5, false, graph_write, graph_remove,
			     graph_read },
	[KIND_JOB_RESULT] = { "job_results", DISPATCHER, 5, true, result_write, result_remove,
			      result_read },
	[KIND_RUNNING_JOB] = { "running_jobs", DISPATCHER, PAGE_RUNNING, true, running_write,
			       running_remove, running_read },
	[KIND_BLOB] = { "blobs", DISPATCHER, 4, false, blob_write, blob_remove, blob_read },
	[KIND_WORKER] = { "workers", RESOURCE_MANAGER, 6, false, worker_write, worker_remove,
			  worker_read },
	[KIND_CHECKPOINT] = { "checkpoints", JOB_MASTER, 1, false, checkpoint_write, NULL,
			      checkpoint_read },
};

bool stores_key(struct stores *s, enum kind kind, unsigned key, const char *value, char *ret_text)
{
	char hex[FSHA_HEX_ID_TEXT];

	(void)snprintf(ret_text, KEY_SIZE, "%s/%u", store_kinds[kind].name, key);
	if (kind != KIND_RUNNING_JOB)
		return true;
	s->running_id = id_on_page(s, key);
	if (value && !is_none(&s->running_id))
		return false;
	if (value) {
		s->running_id = id_of_value(value);
		id_to_page(s, key, &s->running_id);
	}
	(void)snprintf(ret_text, KEY_SIZE, "%s/%s", store_kinds[kind].name,
		       fsha_job_id_format(&s->running_id, hex));
	return true;
}

fsha_result stores_open(struct stores *s, fsha_services *services, struct page *page,
			const char *ids_path, uint64_t seed, fsha_error *reterr)
{
	fsha_result result;

	memset(s, 0, sizeof(*s));
	s->services = services;
	s->page = page;
	s->random = seed | 1;
	(void)fsha_job_id_parse(JOB_TEXT, &s->job);
	(void)fsha_job_id_parse(OWNER_TEXT, &s->owner);
	s->ids_fd = open(ids_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (s->ids_fd < 0)
		return FSHA_E_IO;
#define OPEN(call)                     \
	do {                           \
		result = (call);       \
		if (result != FSHA_OK) \
			return result; \
	} while (0)
	OPEN(fsha_state_store_open(services, "plain", "dispatcher", &s->state, reterr));
	OPEN(fsha_state_store_open(services, "batch", "dispatcher", &s->batch, reterr));
	OPEN(fsha_state_store_open(services, "stream", "dispatcher", &s->stream, reterr));
	OPEN(fsha_job_graph_store_open(services, &s->graphs, reterr));
	OPEN(fsha_job_graph_store_start(s->graphs, NULL, reterr));
	OPEN(fsha_job_result_store_open(services, &s->results, reterr));
	OPEN(fsha_running_jobs_open(services, &s->running, reterr));
	OPEN(fsha_blob_store_open(services, &s->blobs, reterr));
	OPEN(fsha_worker_store_open(services, &s->workers, reterr));
	OPEN(fsha_worker_store_start(s->workers, reterr));
#undef OPEN
	return FSHA_OK;
}

void stores_close(struct stores *s)
{
	close_checkpoints(s);
	fsha_worker_store_close(s->workers);
	fsha_blob_store_close(s->blobs);
	fsha_running_jobs_close(s->running);
	fsha_job_result_store_close(s->results);
	fsha_job_graph_store_close(s->graphs);
	fsha_state_store_close(s->stream);
	fsha_state_store_close(s->batch);
	fsha_state_store_close(s->state);
	(void)close(s->ids_fd);
}
