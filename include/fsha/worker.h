/*
 * Workers of a resource manager. Flink: MesosWorkerStore, its Worker and WorkerState, and what was
 * described beside them: WorkerRecoveryInfo, FrameworkBackup. Writers are the leaders of
 * `resource_manager`. Results of writing calls: see fsha/state.h.
 *
 * A worker goes through three states: New (stored, not launched yet), Launched (somewhere, on a
 * slave) and Released (to be ended, then removed). Nothing forbids another order, as in Flink.
 *
 * Texts (task ids, slave ids, host names, framework ids) are UTF-8.
 */
#ifndef FSHA_WORKER_H
#define FSHA_WORKER_H

#include "fsha/state.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FSHA_TASK_ID_SIZE 201             /* bytes of a task id with its terminator, at most */
#define FSHA_SLAVE_ID_MAX 255             /* bytes */
#define FSHA_HOSTNAME_MAX 255             /* bytes */
#define FSHA_FRAMEWORK_ID_SIZE 1024       /* bytes with the terminator */
#define FSHA_LAUNCHABLE_MAX (1024 * 1024) /* bytes of a launch specification */
#define FSHA_WORKERS_MAX 65000            /* workers in one batch or one backup */

/* ---- A worker ---- */

typedef enum fsha_worker_state {
	FSHA_WORKER_NEW = 0,
	FSHA_WORKER_LAUNCHED = 1,
	FSHA_WORKER_RELEASED = 2
} fsha_worker_state;
/** "New", "Launched", "Released"; "unknown" for a number that is none. Static. Since 0.1. */
FSHA_API const char *fsha_worker_state_name(int state);
/** Back again, in upper or lower case. FSHA_OK or FSHA_E_INVALID. Since 0.1. */
FSHA_API fsha_result fsha_worker_state_parse(const char *text, fsha_worker_state *ret_state);

/**
 * A worker: a value, which owns nothing. It points into memory of whoever made it: of the caller
 * for a worker that the caller made; of the one block in which the library returned it, which one
 * fsha_free gives back. Flink: MesosWorkerStore.Worker.
 */
typedef struct fsha_worker {
	size_t struct_size;
	const char *task_id;    /* a name of at most FSHA_NAME_MAX bytes once encoded */
	const char *slave_id;   /* NULL: none. At most FSHA_SLAVE_ID_MAX bytes, not empty */
	const char *hostname;   /* NULL: none. At most FSHA_HOSTNAME_MAX bytes, not empty */
	const void *launchable; /* how to launch it (Flink: LaunchableMesosWorker), opaque to us */
	size_t launchable_size; /* at most FSHA_LAUNCHABLE_MAX */
	int64_t updated_ms;     /* when it was stored last, wall clock, milliseconds since 1970, for
				   people. Set by the store, whatever it is in a worker to be put */
	int32_t state;          /* an fsha_worker_state */
	uint32_t reserved0;     /* must be 0 */
} fsha_worker;

/**
 * A new worker with its launch specification (`size` bytes at `launchable`, may be NULL and 0): in
 * state New, without slave and host. Nothing is copied. FSHA_E_INVALID when an argument is NULL;
 * whether the texts are fit to be stored is looked at when it is put. Flink: Worker.newWorker, new
 * Worker(taskId, launchable, New). Any thread. Since 0.1.
 */
FSHA_API fsha_result fsha_worker_init(fsha_worker *ret_worker, const char *task_id,
				      const void *launchable, size_t size);
/**
 * The same worker in another state. `ret_worker` points to the same texts as `worker`, and may be
 * `worker` itself. FSHA_E_INVALID: NULL, or no such state. Flink: Worker.withState. Since 0.1.
 */
FSHA_API fsha_result fsha_worker_with_state(const fsha_worker *worker, fsha_worker_state state,
					    fsha_worker *ret_worker);
/**
 * The same worker, launched on a slave of a host. Not copied. Flink: Worker.launchWorker. Since
 * 0.1.
 */
FSHA_API fsha_result fsha_worker_launch(const fsha_worker *worker, const char *slave_id,
					const char *hostname, fsha_worker *ret_worker);
/** The same worker, released; slave and host stay. Flink: Worker.releaseWorker. Since 0.1. */
FSHA_API fsha_result fsha_worker_release(const fsha_worker *worker, fsha_worker *ret_worker);
/**
 * 1 when both are the same in all but `updated_ms`; two NULL are equal. Flink: Worker.equals. Since
 * 0.1.
 */
FSHA_API int fsha_worker_equal(const fsha_worker *a, const fsha_worker *b);
/**
 * A copy that depends on nothing, in one block; free it with fsha_free. FSHA_E_INVALID, as for
 * fsha_worker_store_put; FSHA_E_NOMEM. Since 0.1.
 */
FSHA_API fsha_result fsha_worker_copy(const fsha_worker *worker, fsha_worker **ret_worker,
				      fsha_error *reterr);

/** What a new leader has to do about a worker that it finds. */
typedef enum fsha_worker_action {
	FSHA_WORKER_RETRY_LAUNCH = 0, /* New: the request for it died with the old leader */
	FSHA_WORKER_RECONCILE = 1,    /* Launched: ask whether it still runs */
	FSHA_WORKER_CLEAN_UP = 2      /* Released: end it and remove it */
} fsha_worker_action;
/** Flink: WorkerRecoveryInfo. */
typedef struct fsha_worker_recovery_info {
	size_t struct_size;
	const char *task_id;             /* that of the worker: not copied */
	int64_t last_update_ms;          /* wall clock */
	int32_t last_known_state;        /* an fsha_worker_state */
	int32_t requires_reconciliation; /* 1 for Launched */
	int32_t action;                  /* an fsha_worker_action */
	uint32_t reserved0;
} fsha_worker_recovery_info;
/**
 * What is to be done about a recovered worker. The caller sets ret_info->struct_size.
 * FSHA_E_INVALID: NULL, an unknown struct_size, no such state. Any thread. Since 0.1.
 */
FSHA_API fsha_result fsha_worker_recover_info(const fsha_worker *worker,
					      fsha_worker_recovery_info *ret_info);

/* ---- The store ---- */

/** Any thread; calls that write wait for each other. */
typedef struct fsha_worker_store fsha_worker_store;

/**
 * Open the workers of the cluster. Several may be open; what one writes the others see. It must be
 * started before it is used: every other call is refused with FSHA_E_STATE ("not running").
 * Nothing is created on disk, and nobody needs to lead to read. Flink: getMesosWorkerStore. Since
 * 0.1.
 */
FSHA_API fsha_result fsha_worker_store_open(fsha_services *services, fsha_worker_store **ret_store,
					    fsha_error *reterr);
/** Ready for use. A second start does nothing. Flink: start. Since 0.1. */
FSHA_API fsha_result fsha_worker_store_start(fsha_worker_store *store, fsha_error *reterr);
/**
 * Use it no more; it may be started again. With `cleanup` 1 all workers are removed first, which
 * needs leadership as every write does; the framework id and the counter of task ids stay, as in
 * Flink, so that no id is ever used twice. What failed to be removed is tried again by another
 * stop: after an error the store is still running. FSHA_OK, and nothing done, when it is not
 * running. Flink: stop. Since 0.1.
 */
FSHA_API fsha_result fsha_worker_store_stop(fsha_worker_store *store, int cleanup,
					    fsha_error *reterr);
/** Stops, removes nothing, and frees. NULL is allowed. Since 0.1. */
FSHA_API void fsha_worker_store_close(fsha_worker_store *store);

/**
 * The id under which the framework is registered, into `ret_id` of FSHA_FRAMEWORK_ID_SIZE bytes.
 * `*ret_present` 0: none is stored, and `ret_id` is empty. FSHA_E_CORRUPT. Flink: getFrameworkID.
 * Since 0.1.
 */
FSHA_API fsha_result fsha_worker_store_get_framework_id(fsha_worker_store *store, char *ret_id,
							int *ret_present, fsha_error *reterr);
/**
 * Store it. NULL and "" clear it. FSHA_E_INVALID: too long, no UTF-8. Flink: setFrameworkID. Since
 * 0.1.
 */
FSHA_API fsha_result fsha_worker_store_set_framework_id(fsha_worker_store *store, const char *id,
							fsha_error *reterr);

/**
 * An id for a new worker, "taskmanager-00001" first, into `ret_task_id` of FSHA_TASK_ID_SIZE bytes.
 * No id is given twice: not after a restart, a failover or a crash, and not after a failure: with
 * any result but FSHA_OK nothing was given, and a later call may skip numbers. The number has five
 * digits and grows beyond. Flink: newTaskID. Since 0.1.
 */
FSHA_API fsha_result fsha_worker_store_new_task_id(fsha_worker_store *store, char *ret_task_id,
						   fsha_error *reterr);

/**
 * Store a worker, new or in place of the one of its task id. FSHA_E_INVALID names what is wrong
 * with it. Flink: putWorker. Since 0.1.
 */
FSHA_API fsha_result fsha_worker_store_put(fsha_worker_store *store, const fsha_worker *worker,
					   fsha_error *reterr);
/**
 * Remove a worker. `*ret_removed` (may be NULL): 1 when there was one, 0 when not (FSHA_OK too); it
 * is not written with another result. Flink: removeWorker. Since 0.1.
 */
FSHA_API fsha_result fsha_worker_store_remove(fsha_worker_store *store, const char *task_id,
					      int *ret_removed, fsha_error *reterr);
/**
 * Read one worker: one block, free it with fsha_free. FSHA_E_NOT_FOUND, FSHA_E_CORRUPT. Since 0.1.
 */
FSHA_API fsha_result fsha_worker_store_get(fsha_worker_store *store, const char *task_id,
					   fsha_worker **ret_worker, fsha_error *reterr);

/**
 * All workers, sorted by task id, numbers in them by value: an array in one block, free it with
 * fsha_free. One that cannot be read fails the call (FSHA_E_CORRUPT names its file, and nothing is
 * returned), as in Flink: who takes part of the workers for all of them loses the others.
 * fsha_worker_store_visit hands over what is good. Flink: recoverWorkers. Since 0.1.
 */
FSHA_API fsha_result fsha_worker_store_recover(fsha_worker_store *store, fsha_worker **ret_workers,
					       size_t *ret_count, fsha_error *reterr);

/** One worker on its way through fsha_worker_store_visit. Lives for the call of the visitor. */
typedef struct fsha_worker_entry {
	const char *task_id;
	const fsha_worker *worker; /* NULL when it cannot be read */
	const fsha_error *error;   /* why; NULL when it was read */
	int32_t result;            /* FSHA_OK, FSHA_E_CORRUPT, FSHA_E_IO, FSHA_E_NOMEM, ... */
	uint32_t reserved0;
} fsha_worker_entry;
/**
 * Hand every worker to `visit`, sorted as by fsha_worker_store_recover, those too that cannot be
 * read; a non-zero return ends the walk. A worker that vanishes meanwhile is passed over. `visit`
 * may call any function of the store but close. Since 0.1.
 */
FSHA_API fsha_result fsha_worker_store_visit(fsha_worker_store *store,
					     int (*visit)(void *ctx,
							  const fsha_worker_entry *entry),
					     void *ctx, fsha_error *reterr);

/** One entry of fsha_worker_store_update_states. */
typedef struct fsha_worker_state_update {
	const char *task_id;
	int32_t state;      /* an fsha_worker_state */
	uint32_t reserved0; /* must be 0 */
} fsha_worker_state_update;
/**
 * Give `count` workers (at most FSHA_WORKERS_MAX, of FSHA_STATE_VALUE_MAX bytes together) a new
 * state, in one commit: all of them or none. Task ids must differ. Those that are not there are
 * passed over; `*ret_updated` (may be NULL) tells how many were there. FSHA_E_INVALID names the
 * entry that is wrong, FSHA_E_CORRUPT the worker that cannot be read. From the example
 * updateWorkerStates. Since 0.1.
 */
FSHA_API fsha_result fsha_worker_store_update_states(fsha_worker_store *store,
						     const fsha_worker_state_update *updates,
						     size_t count, size_t *ret_updated,
						     fsha_error *reterr);

/* ---- Backup ---- */

#define FSHA_FRAMEWORK_BACKUP_VERSION 1

/**
 * What a framework needs to go on elsewhere. Like a worker it owns nothing; what the library
 * returns is one block, which one fsha_free gives back. Flink: FrameworkBackup.
 */
typedef struct fsha_framework_backup {
	size_t struct_size;
	const char *framework_id;   /* NULL: none */
	const fsha_worker *workers; /* sorted as by fsha_worker_store_recover */
	size_t worker_count;        /* at most FSHA_WORKERS_MAX */
	int64_t timestamp_ms;       /* when it was taken, wall clock, since 1970 */
	uint64_t last_task_number;  /* of the task id given last; 0: none was */
	uint32_t version;           /* FSHA_FRAMEWORK_BACKUP_VERSION */
	uint32_t reserved0;         /* must be 0 */
} fsha_framework_backup;

/**
 * The state of the framework as it is at one moment. FSHA_E_CORRUPT names the record that cannot be
 * read: a backup has all or is none. FSHA_E_TIMEOUT: it changes faster than it can be read; the
 * leader itself is never disturbed by others. Flink: backupFrameworkState. Since 0.1.
 */
FSHA_API fsha_result fsha_framework_backup_take(fsha_worker_store *store,
						fsha_framework_backup **ret_backup,
						fsha_error *reterr);
/**
 * Put back what a backup holds, in one commit: all of it or nothing. Its framework id, if it has
 * one, replaces the present one; its workers are put as by fsha_worker_store_put, but keep their
 * times; other workers stay (fsha_worker_store_stop with cleanup removes them before). Task ids go
 * on behind the present number, that of the backup, and those of its workers, so none is given
 * twice; ids that were given after the backup was taken, in a cluster that is lost, are not known.
 *
 * Everything is checked before anything is changed: FSHA_E_INVALID names what is wrong,
 * FSHA_E_UNSUPPORTED: the backup has a newer version. Flink: restoreFrameworkState. Since 0.1.
 */
FSHA_API fsha_result fsha_framework_backup_restore(fsha_worker_store *store,
						   const fsha_framework_backup *backup,
						   fsha_error *reterr);
/**
 * Write a backup to the file `path`, as JSON with a checksum, readable by its owner only. The file
 * appears whole or not at all; one that is there is replaced.
 *
 * FSHA_OK: it survives a power cut. FSHA_E_INDOUBT: it may be there, but not survive one.
 * FSHA_E_INVALID: the backup cannot be restored. FSHA_E_IO: what was there is there still. Any
 * thread. Since 0.1.
 */
FSHA_API fsha_result fsha_framework_backup_write(const fsha_framework_backup *backup,
						 const char *path, fsha_error *reterr);
/**
 * Read one back and check all of it. FSHA_E_NOT_FOUND, FSHA_E_IO; FSHA_E_CORRUPT: it is no such
 * file, or damaged (the message says how and where); FSHA_E_UNSUPPORTED: of a newer version. Any
 * thread. Since 0.1.
 */
FSHA_API fsha_result fsha_framework_backup_read(const char *path,
						fsha_framework_backup **ret_backup,
						fsha_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
