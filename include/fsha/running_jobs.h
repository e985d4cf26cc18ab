/*
 * Which jobs run and which are done. Flink: RunningJobsRegistry, JobSchedulingStatus. Writers are
 * the leaders of `dispatcher`. Results of writing calls: see fsha/state.h; after FSHA_E_INDOUBT
 * call the same function again.
 *
 * A registry object may be used by any thread. Every call may block for as long as the filesystem
 * does.
 */
#ifndef FSHA_RUNNING_JOBS_H
#define FSHA_RUNNING_JOBS_H

#include "fsha/state.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Flink: JobSchedulingStatus. */
typedef enum fsha_job_status {
	FSHA_JOB_PENDING = 0, /* not scheduled yet, as far as the registry knows */
	FSHA_JOB_RUNNING = 1,
	FSHA_JOB_DONE = 2 /* finished, successfully or not */
} fsha_job_status;
/** "PENDING" and so on; "UNKNOWN" for a number that is none. Static. Since 0.1. */
FSHA_API const char *fsha_job_status_name(int status);
/** The same back, in any case. FSHA_OK or FSHA_E_INVALID. Since 0.1. */
FSHA_API fsha_result fsha_job_status_parse(const char *text, int32_t *ret_status);

typedef struct fsha_running_jobs fsha_running_jobs;

/** Open the registry. Needs no leadership: anybody may read. Since 0.1. */
FSHA_API fsha_result fsha_running_jobs_open(fsha_services *services,
					    fsha_running_jobs **ret_registry, fsha_error *reterr);
/** Close; nothing is deleted. NULL is allowed. No other thread may be inside a call. Since 0.1. */
FSHA_API void fsha_running_jobs_close(fsha_running_jobs *registry);

/**
 * The job runs. A job that is done stays done, with FSHA_OK; until it was cleared. Flink:
 * setJobRunning. Since 0.1.
 */
FSHA_API fsha_result fsha_running_jobs_set_running(fsha_running_jobs *registry,
						   const fsha_job_id *id, fsha_error *reterr);
/** The job is done. Flink: setJobFinished. Since 0.1. */
FSHA_API fsha_result fsha_running_jobs_set_finished(fsha_running_jobs *registry,
						    const fsha_job_id *id, fsha_error *reterr);
/**
 * The status of a job: PENDING when it is not in the registry. FSHA_E_CORRUPT: the record is
 * damaged, or says something else; the message names the file. Flink: getJobSchedulingStatus.
 * Since 0.1.
 */
FSHA_API fsha_result fsha_running_jobs_get_status(fsha_running_jobs *registry,
						  const fsha_job_id *id, int32_t *ret_status,
						  fsha_error *reterr);
/** Forget the job: it is PENDING again. FSHA_OK also when it is. Flink: clearJob. Since 0.1. */
FSHA_API fsha_result fsha_running_jobs_clear(fsha_running_jobs *registry, const fsha_job_id *id,
					     fsha_error *reterr);

/**
 * One job of fsha_running_jobs_list. With a result other than FSHA_OK the status is not known, and
 * `error` says why and names the file; the id is null when the name of the file tells none.
 */
typedef struct fsha_running_job {
	fsha_job_id id;
	int32_t status; /* an fsha_job_status */
	int32_t result;
	fsha_version version;
	const fsha_error *error;
} fsha_running_job;
/**
 * Hand every job in the registry to `visit`, in order of ids; a non-zero return of it ends the
 * walk. What cannot be read is handed over as such and hides no other; so is a file that is no
 * record of the registry. Not in Flink. Since 0.1.
 */
FSHA_API fsha_result fsha_running_jobs_list(fsha_running_jobs *registry,
					    int (*visit)(void *ctx, const fsha_running_job *job),
					    void *ctx, fsha_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
