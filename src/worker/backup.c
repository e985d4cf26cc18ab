#include "src/worker/backup.h"

#include <errno.h>
#include <string.h>

#include "src/result/error.h"
#include "src/worker/batch.h"

#define TAKE_TRIES 20
#define RESTORE_TRIES 20

/* ---- As a value ---- */

static fsha_result invalid(const char *what, fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_INVALID, 0, "backup", "the backup cannot be restored: %s",
			 what);
}

fsha_result backup_check(const fsha_framework_backup *b, fsha_error *reterr)
{
	size_t len = b && b->framework_id ? strlen(b->framework_id) : 1;
	fsha_result result;

	if (!b)
		return error_set(reterr, FSHA_E_INVALID, 0, "backup", "an argument is NULL");
	if (b->version > FSHA_FRAMEWORK_BACKUP_VERSION)
		return error_set(reterr, FSHA_E_UNSUPPORTED, 0, "backup",
				 "the backup has version %u, but this fsha knows none above %d: "
				 "use the fsha that took it",
				 b->version, FSHA_FRAMEWORK_BACKUP_VERSION);
	if (b->struct_size != sizeof(*b) || b->version == 0 || b->reserved0)
		return invalid("it has an unknown size, version or flag", reterr);
	if (len == 0 || len > FRAMEWORK_ID_MAX ||
	    (b->framework_id && !utf8_is_valid(b->framework_id, len)))
		return invalid("its framework id is empty, too long or no UTF-8", reterr);
	if (!b->workers && b->worker_count > 0)
		return invalid("its workers are NULL", reterr);
	if (b->worker_count > FSHA_WORKERS_MAX)
		return invalid("it has more than 65000 workers", reterr);
	if (b->last_task_number > COUNTER_MAX)
		return invalid("its last task number is too large", reterr);
	for (size_t i = 0; i < b->worker_count; i++) {
		result = worker_check(&b->workers[i], reterr);
		if (result != FSHA_OK)
			return result;
	}
	return FSHA_OK;
}

fsha_framework_backup *backup_pack(const struct fsu *fs, const fsha_framework_backup *from,
				   const fsha_worker *const *workers, size_t count)
{
	size_t packed = worker_pack_size(workers, count);
	size_t id_size = from->framework_id ? strlen(from->framework_id) + 1 : 0;
	fsha_framework_backup *b;
	fsha_worker *copies;

	_Static_assert(sizeof(*b) % _Alignof(fsha_worker) == 0, "workers lie behind it");
	b = fsu_alloc(fs, sizeof(*b) + packed + id_size);
	if (!b)
		return NULL;
	copies = (fsha_worker *)(b + 1);
	worker_pack_into(copies, workers, count);
	*b = *from;
	b->workers = copies;
	b->worker_count = count;
	b->framework_id = NULL;
	if (from->framework_id)
		b->framework_id = memcpy((char *)(b + 1) + packed, from->framework_id, id_size);
	return b;
}

/* ---- Take ---- */

/* What was read, and in which versions. */
struct reading {
	struct worker_list list;
	char framework_id[FSHA_FRAMEWORK_ID_SIZE];
	int present; /* a framework id */
	uint64_t number;
	fsha_version id_version, counter_version;
};

static fsha_result read_once(fsha_worker_store *s, struct reading *r, fsha_error *reterr)
{
	fsha_result result;

	/* The versions of the two before their values: should one change, it shows. */
	result = store_exists(s->store, FRAMEWORK_ID_KEY, &r->id_version, reterr);
	if (result == FSHA_OK)
		result =
			fsha_worker_store_get_framework_id(s, r->framework_id, &r->present, reterr);
	if (result == FSHA_OK)
		result = task_id_last(s, &r->number, &r->counter_version, reterr);
	if (result == FSHA_OK)
		result = worker_store_read_all(s, &r->list, reterr);
	return result;
}

static fsha_result is_still(fsha_worker_store *s, const char *key, const fsha_version *version,
			    bool *ret_same, fsha_error *reterr)
{
	fsha_version present;
	fsha_result result = store_exists(s->store, key, &present, reterr);

	if (result == FSHA_OK && fsha_version_compare(&present, version) != 0)
		*ret_same = false;
	return result;
}

/*
 * Is all as it was read? Versions never come back, so each value was there from its reading until
 * now, and all of them at the moment when the last was read.
 */
static fsha_result is_same(fsha_worker_store *s, const struct reading *r, bool *ret_same,
			   fsha_error *reterr)
{
	char key[FSU_COMPONENT_MAX + 1];
	fsha_result result;
	size_t count;
	char **ids;

	result = worker_store_ids(s, &ids, &count, reterr);
	if (result != FSHA_OK)
		return result;
	fsu_release(r->list.fs, ids);
	*ret_same = count == r->list.count;
	result = is_still(s, FRAMEWORK_ID_KEY, &r->id_version, ret_same, reterr);
	if (result == FSHA_OK)
		result = is_still(s, COUNTER_KEY, &r->counter_version, ret_same, reterr);
	for (size_t i = 0; i < r->list.count && result == FSHA_OK && *ret_same; i++) {
		const char *task_id = r->list.workers[i]->task_id;

		(void)fsu_path_encode(task_id, strlen(task_id), key); /* it was decoded from one */
		result = is_still(s, key, &r->list.versions[i], ret_same, reterr);
	}
	return result;
}

static fsha_result pack(fsha_worker_store *s, const struct reading *r,
			fsha_framework_backup **ret_backup, fsha_error *reterr)
{
	const fsha_framework_backup b = {
		.struct_size = sizeof(b),
		.framework_id = r->present ? r->framework_id : NULL,
		.timestamp_ms = fsu_wall_ns(r->list.fs) / FSU_NS_PER_MS,
		.last_task_number = r->number,
		.version = FSHA_FRAMEWORK_BACKUP_VERSION,
	};

	(void)s;
	if (r->list.count > FSHA_WORKERS_MAX)
		return error_set(reterr, FSHA_E_UNSUPPORTED, 0, "backup",
				 "there are %zu workers: a backup holds %d at most", r->list.count,
				 FSHA_WORKERS_MAX);
	*ret_backup = backup_pack(r->list.fs, &b, r->list.workers, r->list.count);
	return *ret_backup ? FSHA_OK :
			     error_os(reterr, -ENOMEM, "alloc", "cannot back up the workers");
}

fsha_result fsha_framework_backup_take(fsha_worker_store *s, fsha_framework_backup **ret_backup,
				       fsha_error *reterr)
{
	struct reading r;
	fsha_result result;
	bool same = false;

	result = worker_store_check(s, reterr);
	if (result == FSHA_OK && !ret_backup)
		result = error_set(reterr, FSHA_E_INVALID, 0, "backup", "an argument is NULL");
	for (int i = 0; i < TAKE_TRIES && result == FSHA_OK && !same; i++) {
		r = (struct reading){ .present = 0 };
		worker_list_init(&r.list, services_fs(s->services));
		result = read_once(s, &r, reterr);
		if (result == FSHA_OK)
			result = is_same(s, &r, &same, reterr);
		if (result == FSHA_OK && same)
			result = pack(s, &r, ret_backup, reterr);
		worker_list_done(&r.list);
	}
	if (result == FSHA_OK && !same)
		result = error_set(reterr, FSHA_E_TIMEOUT, 0, "backup",
				   "the workers change faster than they can be backed up");
	return result;
}

/* ---- Restore ---- */

/* No id that anybody may have been given comes again. */
static uint64_t number_after(uint64_t present, const fsha_framework_backup *b)
{
	uint64_t number = present > b->last_task_number ? present : b->last_task_number;

	for (size_t i = 0; i < b->worker_count; i++) {
		uint64_t own = task_id_number(b->workers[i].task_id);

		if (own > number)
			number = own;
	}
	return number;
}

static fsha_result add_counter(struct worker_batch *batch, fsha_worker_store *s,
			       const fsha_framework_backup *b, fsha_error *reterr)
{
	uint8_t payload[COUNTER_SIZE];
	uint64_t present, number;
	fsha_version version;
	fsha_result result;
	bool exists;

	result = task_id_last(s, &present, &version, reterr);
	if (result != FSHA_OK)
		return result;
	number = number_after(present, b);
	exists = fsha_version_is_existing(&version);
	if (number == 0 || (exists && number == present))
		return FSHA_OK;
	counter_encode(number, payload);
	return worker_batch_add(batch, exists ? STORE_REPLACE : STORE_ADD, COUNTER_KEY,
				exists ? &version : NULL, payload, sizeof(payload), reterr);
}

static fsha_result fill(struct worker_batch *batch, fsha_worker_store *s,
			const fsha_framework_backup *b, fsha_error *reterr)
{
	uint8_t payload[FSHA_FRAMEWORK_ID_SIZE + 4];
	fsha_result result;

	result = add_counter(batch, s, b, reterr);
	if (result == FSHA_OK && b->framework_id)
		result = worker_batch_add(batch, STORE_PUT, FRAMEWORK_ID_KEY, NULL, payload,
					  framework_id_encode(b->framework_id, payload), reterr);
	for (size_t i = 0; i < b->worker_count && result == FSHA_OK; i++)
		result = worker_batch_put(batch, &b->workers[i], b->workers[i].updated_ms, NULL,
					  reterr);
	return result;
}

fsha_result fsha_framework_backup_restore(fsha_worker_store *s, const fsha_framework_backup *backup,
					  fsha_error *reterr)
{
	struct worker_batch batch;
	fsha_result result;

	result = worker_store_check(s, reterr);
	if (result == FSHA_OK)
		result = backup_check(backup, reterr);
	if (result != FSHA_OK)
		return result;
	(void)pthread_mutex_lock(&s->writing);
	for (int i = 0; i < RESTORE_TRIES; i++) {
		result = worker_batch_init(&batch, s, backup->worker_count + 2, reterr);
		if (result == FSHA_OK)
			result = fill(&batch, s, backup, reterr);
		if (result == FSHA_OK)
			result = worker_batch_commit(&batch, reterr);
		worker_batch_done(&batch);
		/* Another process of the term has drawn a task id meanwhile. */
		if (!worker_batch_try_again(result))
			break;
		result = error_set(reterr, FSHA_E_TIMEOUT, 0, "restore",
				   "the counter of task ids changes faster than it can be read");
	}
	(void)pthread_mutex_unlock(&s->writing);
	return result;
}
