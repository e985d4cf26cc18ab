/*
 * Completed checkpoints of a job and the counter of their ids. Flink: CheckpointRecoveryFactory,
 * CompletedCheckpointStore, CheckpointIDCounter, CompletedCheckpoint. The services object is the
 * factory: both are opened on it, for a job.
 *
 * A checkpoint is an id, a few properties and bytes that nobody here looks into; the data that it
 * points to lies elsewhere and is the caller's, who says how it is discarded. Writers are the
 * leaders of the job's election (fsha_job_election_name): a job master that was replaced writes
 * nothing any more, and nothing that the new one retains is discarded by the old one.
 *
 * Results of writing calls: see fsha/state.h.
 */
#ifndef FSHA_CHECKPOINT_H
#define FSHA_CHECKPOINT_H

#include "fsha/state.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FSHA_CHECKPOINT_POINTER_MAX 4095 /* bytes of an external pointer */
/* Bytes of the metadata of one checkpoint. */
#define FSHA_CHECKPOINT_METADATA_MAX (FSHA_STATE_VALUE_MAX - 8192)
#define FSHA_CHECKPOINT_RETAINED_MAX 100000 /* that one store may be told to retain */

/** What a checkpoint is. Flink: CheckpointType, SavepointType. */
typedef enum fsha_checkpoint_type {
	FSHA_CHECKPOINT = 1,
	FSHA_SAVEPOINT = 2,     /* taken by a user, whose its data is: never discarded here */
	FSHA_SYNC_SAVEPOINT = 3 /* the same, with which the job was stopped */
} fsha_checkpoint_type;
/** "CHECKPOINT" and so on; "UNKNOWN" for a number that is none. Static. Since 0.1. */
FSHA_API const char *fsha_checkpoint_type_name(int type);

/**
 * Whether the data of a checkpoint (not of a savepoint) stays when its job ends. Flink:
 * CheckpointRetentionPolicy.
 */
typedef enum fsha_checkpoint_retention {
	FSHA_NEVER_RETAIN = 1,
	FSHA_RETAIN_ON_FAILURE = 2,     /* it stays when the job has FAILED */
	FSHA_RETAIN_ON_CANCELLATION = 3 /* it stays when the job was CANCELED or has FAILED */
} fsha_checkpoint_retention;
/** "NEVER_RETAIN" and so on; "UNKNOWN" for a number that is none. Static. Since 0.1. */
FSHA_API const char *fsha_checkpoint_retention_name(int retention);

/**
 * How a job has ended. Flink: JobStatus; every status that is not globally terminal is
 * FSHA_JOB_SUSPENDED here.
 */
typedef enum fsha_job_end {
	FSHA_JOB_FINISHED = 1,
	FSHA_JOB_CANCELED = 2,
	FSHA_JOB_FAILED = 3,
	FSHA_JOB_SUSPENDED = 4 /* it goes on elsewhere, or later */
} fsha_job_end;

/** A checkpoint that is complete. What the library returns is one piece of memory: fsha_free. */
typedef struct fsha_completed_checkpoint {
	size_t struct_size;
	int64_t id;           /* 1 or more; of a job, never used twice */
	int64_t timestamp_ms; /* when it was triggered, since 1970 */
	uint32_t type;        /* fsha_checkpoint_type */
	uint32_t retention;   /* fsha_checkpoint_retention */
	const void *metadata; /* may be NULL when its size is 0 */
	size_t metadata_size; /* at most FSHA_CHECKPOINT_METADATA_MAX */
	/* Where it lies, for people and for restarts from it. NULL stands for "". */
	const char *external_pointer;
} fsha_completed_checkpoint;
#define FSHA_COMPLETED_CHECKPOINT_INIT                                                             \
	{                                                                                          \
		sizeof(fsha_completed_checkpoint), 0, 0, FSHA_CHECKPOINT, FSHA_NEVER_RETAIN, NULL, \
			0, NULL                                                                    \
	}

/* ---- the store ---- */

typedef struct fsha_checkpoint_store fsha_checkpoint_store;

/* Go on without checkpoints that cannot be read, instead of failing the open. */
#define FSHA_CHECKPOINT_SKIP_BROKEN 1u

typedef struct fsha_checkpoint_store_options {
	size_t struct_size;
	void *ctx; /* of the functions below */
	/*
	 * Discard what a checkpoint that was subsumed, or whose job has ended, points to. The rules
	 * are those of fsha_discard_fn: idempotent, no name used again. Called on a thread of the
	 * library, one at a time for a services object, with no lock held; not for savepoints.
	 * NULL: the library removes its own record and discards nothing.
	 */
	fsha_result (*discard)(void *ctx, const fsha_completed_checkpoint *checkpoint,
			       fsha_error *reterr);
	/*
	 * Told after each attempt to remove a checkpoint that was dropped: `error` is NULL when it
	 * is gone. Same thread. May be NULL.
	 */
	void (*cleaned)(void *ctx, int64_t id, const fsha_error *error);
	/*
	 * With FSHA_CHECKPOINT_SKIP_BROKEN: told in fsha_checkpoint_store_open of each one that
	 * cannot be read. May be NULL.
	 */
	void (*broken)(void *ctx, const char *name, const fsha_error *error);
	uint32_t max_retained; /* 1 to FSHA_CHECKPOINT_RETAINED_MAX; 0: 1 */
	uint32_t flags;        /* FSHA_CHECKPOINT_* */
} fsha_checkpoint_store_options;
#define FSHA_CHECKPOINT_STORE_OPTIONS_INIT                                          \
	{                                                                           \
		sizeof(fsha_checkpoint_store_options), NULL, NULL, NULL, NULL, 0, 0 \
	}

/**
 * Open the store of a job and recover what is there, sorted by id. `options` is copied; NULL: all
 * defaults. Needs no leadership: anybody may read. Who wants to add opens it after the grant, so
 * that nothing which the former leader added is missed.
 *
 * One checkpoint that cannot be read fails the open with FSHA_E_CORRUPT, and the message names it:
 * open with FSHA_CHECKPOINT_SKIP_BROKEN to go on from the others, knowing that a newer one may be
 * lost. More of them than max_retained are all recovered; the next add subsumes the surplus.
 * Removals that were cut short are taken up again when this process leads.
 *
 * All retained checkpoints are held in memory. Flink: createRecoveredCompletedCheckpointStore,
 * createCompletedCheckpointStore. Any thread. Since 0.1.
 */
FSHA_API fsha_result fsha_checkpoint_store_open(fsha_services *services, const fsha_job_id *job,
						const fsha_checkpoint_store_options *options,
						fsha_checkpoint_store **ret_store,
						fsha_error *reterr);
/**
 * Close. Removals that have begun are waited for, for at most a lease (3 s at least); what is not
 * done by then (FSHA_E_TIMEOUT) is done by who opens the store next. The object is gone in either
 * case. FSHA_E_STATE, and still open: called from one of its own functions. NULL is allowed. No
 * other thread may be inside a call. Since 0.1.
 */
FSHA_API fsha_result fsha_checkpoint_store_close(fsha_checkpoint_store *store, fsha_error *reterr);

/**
 * Add a checkpoint, durably; then drop those that are superfluous, until max_retained are left: the
 * oldest first, never the newest (ids say which is older, not the order of adding, so it is the
 * same before and after the store is opened again: one that is added late, below all that are
 * retained, may be dropped at once); savepoints freely; but the last checkpoint that is no
 * savepoint stays, even beyond max_retained, unless the newest is a FSHA_SYNC_SAVEPOINT. The
 * dropped are removed and their data is discarded in the background, after this one is durable;
 * when that fails it is logged (`discard_failed`), told to `cleaned`, and tried again with the next
 * add.
 *
 * `ret_subsumed` (may be NULL) gets the id of the last one that was dropped, or 0.
 *
 * FSHA_E_EXISTS: the id was used before. FSHA_E_STATE: shut down, or opened before this process was
 * granted its present leadership: open it again. FSHA_E_INDOUBT: keep the data of this checkpoint;
 * it is not in the store object, but the next recovery may find it. With every other failure
 * nothing has changed, and the caller may discard the data. Flink:
 * addCheckpointAndSubsumeOldestOne. Since 0.1.
 */
FSHA_API fsha_result fsha_checkpoint_store_add(fsha_checkpoint_store *store,
					       const fsha_completed_checkpoint *checkpoint,
					       int64_t *ret_subsumed, fsha_error *reterr);

/**
 * A copy of the newest checkpoint, the one with the highest id; FSHA_E_NOT_FOUND: there is none.
 * Touches no file. Since 0.1.
 */
FSHA_API fsha_result fsha_checkpoint_store_get_latest(fsha_checkpoint_store *store,
						      fsha_completed_checkpoint **ret_checkpoint,
						      fsha_error *reterr);
/** The same of the one with that id. Since 0.1. */
FSHA_API fsha_result fsha_checkpoint_store_get(fsha_checkpoint_store *store, int64_t id,
					       fsha_completed_checkpoint **ret_checkpoint,
					       fsha_error *reterr);
/**
 * Copies of all, lowest id first, as an array of pointers ended by NULL; one fsha_free. Flink:
 * getAllCheckpoints. Touches no file. Since 0.1.
 */
FSHA_API fsha_result fsha_checkpoint_store_get_all(fsha_checkpoint_store *store,
						   fsha_completed_checkpoint ***ret_checkpoints,
						   size_t *ret_count, fsha_error *reterr);
/** The id of the newest, 0 when there is none. Flink: getLatestCheckpointId. Since 0.1. */
FSHA_API int64_t fsha_checkpoint_store_latest_id(fsha_checkpoint_store *store);
/** How many there are. Flink: getNumberOfRetainedCheckpoints. Since 0.1. */
FSHA_API size_t fsha_checkpoint_store_count(fsha_checkpoint_store *store);
/** Flink: getMaxNumberOfRetainedCheckpoints. Since 0.1. */
FSHA_API uint32_t fsha_checkpoint_store_max_retained(const fsha_checkpoint_store *store);
/**
 * 1: what is in the store outlives the process, so a checkpoint must point to data that does too.
 * Flink: requiresExternalizedCheckpoints. Since 0.1.
 */
FSHA_API int fsha_checkpoint_store_requires_externalized_checkpoints(
	const fsha_checkpoint_store *store);

/**
 * Remove one checkpoint by hand, also one that cannot be read. With a discard function the data of
 * one that is no savepoint is discarded in the background, if it can be read. FSHA_E_NOT_FOUND.
 * Since 0.1.
 */
FSHA_API fsha_result fsha_checkpoint_store_remove(fsha_checkpoint_store *store, int64_t id,
						  fsha_error *reterr);

/**
 * The job has ended. FINISHED, CANCELED, FAILED: every checkpoint of the job is removed, and its
 * data is discarded in the background unless its retention policy or its type keeps it. SUSPENDED:
 * nothing is removed. In any case nothing can be added any more (FSHA_E_STATE), and the object
 * holds no checkpoint.
 *
 * FSHA_OK once; a second call does nothing. After a failure it may be called again and goes on.
 * Flink: shutdown. Since 0.1.
 */
FSHA_API fsha_result fsha_checkpoint_store_shutdown(fsha_checkpoint_store *store, int job_end,
						    fsha_error *reterr);

/* ---- the counter ---- */

typedef struct fsha_checkpoint_id_counter fsha_checkpoint_id_counter;

/**
 * Open the counter of checkpoint ids of a job. It starts with 1. Needs no leadership as long as it
 * is only read. Flink: createCheckpointIDCounter and CheckpointIDCounter.start. Since 0.1.
 */
FSHA_API fsha_result fsha_checkpoint_id_counter_open(fsha_services *services,
						     const fsha_job_id *job,
						     fsha_checkpoint_id_counter **ret_counter,
						     fsha_error *reterr);
/** Close; nothing is deleted. NULL is allowed. No other thread may be inside a call. Since 0.1. */
FSHA_API void fsha_checkpoint_id_counter_close(fsha_checkpoint_id_counter *counter);

/**
 * Take an id: the value before it is incremented. No id is given out twice, by no object, thread or
 * leader, and a later one is higher, until set_count or shutdown. It is given out only once the
 * higher count is durable, so with any failure none is, and one may be skipped.
 *
 * FSHA_E_STATE: shut down, or the highest of INT64_MAX is reached. Flink: getAndIncrement. Since
 * 0.1.
 */
FSHA_API fsha_result fsha_checkpoint_id_counter_get_and_increment(
	fsha_checkpoint_id_counter *counter, int64_t *ret_id, fsha_error *reterr);
/** The id that would be taken next. Flink: get. Since 0.1. */
FSHA_API fsha_result fsha_checkpoint_id_counter_get(fsha_checkpoint_id_counter *counter,
						    int64_t *ret_id, fsha_error *reterr);
/**
 * Set the id that is taken next, 1 or more, whatever it was: the caller knows why it may go back.
 * Flink: setCount. Since 0.1.
 */
FSHA_API fsha_result fsha_checkpoint_id_counter_set_count(fsha_checkpoint_id_counter *counter,
							  int64_t id, fsha_error *reterr);
/**
 * The job has ended. FINISHED, CANCELED, FAILED: the count is deleted; FSHA_OK also when there is
 * none. SUSPENDED: it stays. With FSHA_OK the object gives out nothing any more; otherwise it may
 * be called again. A second shutdown is FSHA_OK. Flink: shutdown. Since 0.1.
 */
FSHA_API fsha_result fsha_checkpoint_id_counter_shutdown(fsha_checkpoint_id_counter *counter,
							 int job_end, fsha_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
