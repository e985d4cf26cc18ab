/*
 * Job results: thin over the store, whose values are sealed JSON here. A job has up to two keys,
 * "<job>_DIRTY" and "<job>"; the second one wins. So that no reader ever sees neither of them while
 * a result is being marked as clean and kept, the clean one is published and durable before the
 * dirty one is removed, and readers look for the dirty one first.
 */
#ifndef SRC_JOB_RESULT_JOB_RESULT_H
#define SRC_JOB_RESULT_JOB_RESULT_H

#include <pthread.h>

#include "fsha/job_result.h"
#include "src/job_result/file.h"
#include "src/services/services.h"

#define JOB_RESULT_DIRTY "_DIRTY"
#define JOB_RESULT_KEY_SIZE (FSHA_HEX_ID_TEXT + sizeof(JOB_RESULT_DIRTY))

/* Writes that said INDOUBT: who asks again is answered by what became of them. */
#define JOB_RESULT_DOUBTS 16

struct job_result_doubt {
	fsha_job_id id;
	bool creating;        /* or else marking as clean */
	fsha_version version; /* all zero: free */
};

struct fsha_job_result_store {
	struct fsha_services *services;
	struct store *store;
	bool delete_on_commit;
	pthread_mutex_t
		writing; /* one call that writes at a time; held while the storage is asked */
	struct job_result_doubt doubts[JOB_RESULT_DOUBTS]; /* under it */
	size_t next_doubt;
};

/* ---- place.c ---- */
/* May the directory of the configuration be used? It need not be there yet. */
fsha_result job_result_check_place(const struct fsha_services *services, fsha_error *reterr);

/* ---- job_result.c ---- */
/* The key of a clean or dirty entry; returns `text`, of JOB_RESULT_KEY_SIZE bytes. */
char *job_result_key(const fsha_job_id *id, bool dirty, char *text);
/*
 * A dirty entry beside a clean one goes, if this process leads; the clean one must be durable,
 * since a power cut may keep the removal alone. Whether it goes changes nothing for anybody.
 */
void job_result_drop_dirty(fsha_job_result_store *store, const fsha_job_id *id);
fsha_result job_result_no_entry(const fsha_job_id *id, fsha_error *reterr);
fsha_result job_result_has(fsha_job_result_store *store, const fsha_job_id *id, bool dirty,
			   bool *ret_has, fsha_error *reterr);

#endif
