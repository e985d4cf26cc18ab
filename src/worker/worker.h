/*
 * Workers: values (worker.c), their store (worker_store.c, task_id.c), thin over the general one.
 *
 * What the library hands out lies in one block, texts and all, so that one release gives it back.
 */
#ifndef SRC_WORKER_WORKER_H
#define SRC_WORKER_WORKER_H

#include <pthread.h>
#include <stdbool.h>

#include "fsutil/fsu_path.h"
#include "src/services/services.h"
#include "src/worker/codec.h"

#define FRAMEWORK_ID_KEY "@framework_id"
#define COUNTER_KEY "@task_counter"
#define TASK_ID_PREFIX "taskmanager-"

struct fsha_worker_store {
	struct fsha_services *services;
	struct store *store;
	pthread_mutex_t writing; /* one change at a time; held while the storage is asked */
	pthread_mutex_t mutex;   /* of `running`; held for moments only */
	bool running;
};

/* ---- worker.c ---- */

/* Is it fit to be stored? INVALID says what is wrong, and with which worker. */
fsha_result worker_check(const fsha_worker *worker, fsha_error *reterr);
/* A task id as a key, FSU_COMPONENT_MAX + 1 bytes. INVALID as worker_check. */
fsha_result worker_key(const char *task_id, char *ret_key, fsha_error *reterr);
/* Copies of `count` workers in one block; NULL when out of memory. */
fsha_worker *worker_pack(const struct fsu *fs, const fsha_worker *const *workers, size_t count);
/* The same into memory of that many bytes. */
size_t worker_pack_size(const fsha_worker *const *workers, size_t count);
void worker_pack_into(fsha_worker *copies, const fsha_worker *const *workers, size_t count);
/* Order of task ids: numbers in them by value. */
int worker_compare_ids(const char *a, const char *b);

/* ---- worker_store.c ---- */

/* STATE unless it is running. */
fsha_result worker_store_check(fsha_worker_store *store, fsha_error *reterr);
/* The record behind `key` is whole, but what it holds makes no sense: CORRUPT, named. */
fsha_result worker_store_damaged(const fsha_version *version, const char *key, fsha_error *reterr);
/*
 * One worker as a block of its own, and its version (may be NULL). `reader`: one of many, see
 * store_get_next; or NULL.
 */
fsha_result worker_store_read(fsha_worker_store *store, const char *key, struct pack_reader *reader,
			      fsha_worker **ret_worker, fsha_version *ret_version,
			      fsha_error *reterr);
/* The task ids, sorted, as an array ended by NULL, in one block. */
fsha_result worker_store_ids(fsha_worker_store *store, char ***ret_ids, size_t *ret_count,
			     fsha_error *reterr);

/* ---- recover.c ---- */

/* Workers, each in a block of its own, with their versions, sorted by task id. */
struct worker_list {
	const struct fsu *fs;
	const fsha_worker **workers;
	fsha_version *versions;
	size_t count, size;
};
void worker_list_init(struct worker_list *list, const struct fsu *fs);
void worker_list_done(struct worker_list *list);
/* All that are there; one that cannot be read is the result. */
fsha_result worker_store_read_all(fsha_worker_store *store, struct worker_list *list,
				  fsha_error *reterr);

/* ---- task_id.c ---- */

/*
 * The number of the last task id that was given; 0: none was. `ret_version` is all zero when no
 * counter is stored: then it is the highest among the workers, in case the counter was lost.
 */
fsha_result task_id_last(fsha_worker_store *store, uint64_t *ret_number, fsha_version *ret_version,
			 fsha_error *reterr);
/* The number in a task id of ours; 0: it is none. */
uint64_t task_id_number(const char *task_id);

#endif
