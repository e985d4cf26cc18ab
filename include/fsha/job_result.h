/*
 * Job results: what became of a job, kept until it was cleaned up. Flink: JobResultStore,
 * JobResultEntry, JobResult. Writers are the leaders of `dispatcher`. Results of writing calls: see
 * fsha/state.h.
 *
 * A job has no entry, then a dirty one (it ended, its cleanup has not), then a clean one, or none
 * again with job-result-store.delete-on-commit (the default). Where both a clean and a dirty entry
 * are on disk, because the writer died between the two, the job is clean for everybody.
 *
 * Entries are plain JSON files, in Flink's names and fields, in job_results/ of the cluster
 * directory, or where job-result-store.storage-path says (there without another directory; it must
 * lie on the cluster's filesystem, and belongs to one cluster).
 *
 * After FSHA_E_INDOUBT: call the same function again, on the same object, until it says something
 * else. It knows then what was its own doing.
 *
 * A store object may be used by any thread; calls on one object that write wait for each other.
 * Every call may block for as long as the filesystem does.
 */
#ifndef FSHA_JOB_RESULT_H
#define FSHA_JOB_RESULT_H

#include "fsha/state.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FSHA_JOB_RESULT_MAX (UINT64_C(64) << 20) /* bytes of a result as JSON */

/** Flink: ApplicationStatus. */
typedef enum fsha_application_status {
	FSHA_APPLICATION_UNKNOWN = 0,
	FSHA_APPLICATION_SUCCEEDED = 1,
	FSHA_APPLICATION_FAILED = 2,
	FSHA_APPLICATION_CANCELED = 3
} fsha_application_status;
/** "SUCCEEDED" and so on; "UNKNOWN" for a number that is none. Static. Since 0.1. */
FSHA_API const char *fsha_application_status_name(int status);
/** The same back, in any case. FSHA_OK or FSHA_E_INVALID. Since 0.1. */
FSHA_API fsha_result fsha_application_status_parse(const char *text, int32_t *ret_status);

/** One accumulator. */
typedef struct fsha_accumulator_result {
	const char *name;  /* UTF-8 */
	const char *value; /* the serialised value in base64 */
} fsha_accumulator_result;

/** Why a job failed. Flink: SerializedThrowable. */
typedef struct fsha_failure_cause {
	const char *class_name;  /* UTF-8 */
	const char *stack_trace; /* UTF-8 */
	const char *throwable;   /* serialised, in base64; NULL, like "": there is none */
} fsha_failure_cause;

/**
 * The result of a job. The library only reads what a caller fills in; what it returns is one piece
 * of memory, freed by one fsha_free of the result.
 */
typedef struct fsha_job_result {
	size_t struct_size;
	fsha_job_id id;
	int32_t status; /* an fsha_application_status */
	uint32_t reserved0;
	int64_t net_runtime_ms;                      /* not negative */
	const fsha_accumulator_result *accumulators; /* no name twice */
	size_t accumulator_count;
	const fsha_failure_cause *failure; /* NULL: none */
} fsha_job_result;
#define FSHA_JOB_RESULT_INIT                                         \
	{                                                            \
		sizeof(fsha_job_result), { { 0 } }, 0, 0, 0, 0, 0, 0 \
	}

/**
 * Read Flink's JSON: {"result": {...}, "version": 1}. Members that Flink does not know are passed
 * over. FSHA_E_INVALID says what is wrong with it; FSHA_E_NOMEM. Free the result with fsha_free.
 * Touches no file; any thread. Since 0.1.
 */
FSHA_API fsha_result fsha_job_result_parse(const char *text, size_t size,
					   fsha_job_result **ret_result, fsha_error *reterr);
/**
 * Write Flink's JSON, on one line, with a zero byte behind it; free it with fsha_free.
 * FSHA_E_INVALID: text that is no UTF-8, a value that is no base64, a name twice; more than
 * FSHA_JOB_RESULT_MAX bytes. FSHA_E_NOMEM. Touches no file; any thread. Since 0.1.
 */
FSHA_API fsha_result fsha_job_result_format(const fsha_job_result *result, char **ret_text,
					    size_t *ret_size, fsha_error *reterr);

typedef struct fsha_job_result_store fsha_job_result_store;

/**
 * Open the store. Needs no leadership: anybody may read. FSHA_E_CONFIG: the directory in
 * job-result-store.storage-path is on another filesystem than the cluster (both are named), its
 * parent does not exist, it is no directory, or it belongs to another cluster. Since 0.1.
 */
FSHA_API fsha_result fsha_job_result_store_open(fsha_services *services,
						fsha_job_result_store **ret_store,
						fsha_error *reterr);
/** Close; nothing is deleted. NULL is allowed. No other thread may be inside a call. Since 0.1. */
FSHA_API void fsha_job_result_store_close(fsha_job_result_store *store);

/**
 * The job has ended: keep its result, to be cleaned up. FSHA_E_EXISTS: it has an entry already,
 * dirty or clean (Flink: IllegalStateException). FSHA_E_INVALID as fsha_job_result_format. Flink:
 * createDirtyResultAsync. Since 0.1.
 */
FSHA_API fsha_result fsha_job_result_store_create_dirty(fsha_job_result_store *store,
							const fsha_job_result *result,
							fsha_error *reterr);
/**
 * The job was cleaned up: its entry is deleted, or kept as a clean one when
 * job-result-store.delete-on-commit is false. FSHA_OK also when it is clean already;
 * FSHA_E_NOT_FOUND: it has no entry (Flink: NoSuchElementException). FSHA_E_CORRUPT: the entry is
 * damaged, and to be kept. Flink: markResultAsCleanAsync. Since 0.1.
 */
FSHA_API fsha_result fsha_job_result_store_mark_clean(fsha_job_result_store *store,
						      const fsha_job_id *id, fsha_error *reterr);
/** Remove every entry of a job; FSHA_OK also when it has none. Not in Flink. Since 0.1. */
FSHA_API fsha_result fsha_job_result_store_remove(fsha_job_result_store *store,
						  const fsha_job_id *id, fsha_error *reterr);

/**
 * Has the job an entry, dirty or clean? `*ret_has` is 1 or 0. By names alone: a damaged entry is
 * one. Flink: hasJobResultEntryAsync. Since 0.1.
 */
FSHA_API fsha_result fsha_job_result_store_has_entry(fsha_job_result_store *store,
						     const fsha_job_id *id, int *ret_has,
						     fsha_error *reterr);
/** Has it a dirty one, and no clean one? Flink: hasDirtyJobResultEntryAsync. Since 0.1. */
FSHA_API fsha_result fsha_job_result_store_has_dirty(fsha_job_result_store *store,
						     const fsha_job_id *id, int *ret_has,
						     fsha_error *reterr);
/** Has it a clean one? Flink: hasCleanJobResultEntryAsync. Since 0.1. */
FSHA_API fsha_result fsha_job_result_store_has_clean(fsha_job_result_store *store,
						     const fsha_job_id *id, int *ret_has,
						     fsha_error *reterr);
/**
 * The entry of a job, clean or dirty; free it with fsha_free. `ret_is_dirty` may be NULL.
 * FSHA_E_NOT_FOUND; FSHA_E_CORRUPT names the file. Since 0.1.
 */
FSHA_API fsha_result fsha_job_result_store_get(fsha_job_result_store *store, const fsha_job_id *id,
					       fsha_job_result **ret_result, int *ret_is_dirty,
					       fsha_error *reterr);

/**
 * One entry as it is handed over; all of it lives for the call. With a result other than FSHA_OK
 * there is no job_result, and `error` says why and names the file; the id is null when the name of
 * the file tells none.
 */
typedef struct fsha_job_result_entry {
	fsha_job_id id;
	const fsha_job_result *job_result;
	fsha_version version;
	int32_t result;
	uint32_t reserved0;
	const fsha_error *error;
} fsha_job_result_entry;
/**
 * Hand the dirty results to `visit`, in order of ids; a non-zero return of it ends the walk. What
 * cannot be read is handed over as such and hides no other: FSHA_E_CORRUPT also for a file that
 * lies there under a name of Flink's or anybody's, which counts as no entry. (In Flink one such
 * file fails the whole call.) Entries that vanish meanwhile are passed over.
 *
 * For a leader of `dispatcher` what is handed over is durable. Flink: getDirtyResults. Since 0.1.
 */
FSHA_API fsha_result fsha_job_result_store_get_dirty_results(
	fsha_job_result_store *store, int (*visit)(void *ctx, const fsha_job_result_entry *entry),
	void *ctx, fsha_error *reterr);
/**
 * The same for the clean ones, and for files whose names say neither. There are clean results only
 * with job-result-store.delete-on-commit=false. Flink: getCleanResults. Since 0.1.
 */
FSHA_API fsha_result fsha_job_result_store_get_clean_results(
	fsha_job_result_store *store, int (*visit)(void *ctx, const fsha_job_result_entry *entry),
	void *ctx, fsha_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
