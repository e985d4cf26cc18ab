/* What the two kinds of cleaning up share: one job's data, and all data. */
#ifndef SRC_SERVICES_CLEANUP_H
#define SRC_SERVICES_CLEANUP_H

#include "src/services/services.h"

/* A directory below the cluster's with records in it. */
struct cleanup_place {
	const char *directory;
	const char *election; /* whose leaders may write there, encoded */
	uint16_t kind;
	bool owned;
	bool removable; /* the directory too */
};

/*
 * Remove every record in it, and the directory, under the term that this process has of its
 * election. Nothing to do, and no error, when there is none.
 */
fsha_result cleanup_directory(struct fsha_services *s, const struct cleanup_place *place,
			      fsha_error *reterr);
/* Remove one record of it. */
fsha_result cleanup_key(struct fsha_services *s, const struct cleanup_place *place, const char *key,
			fsha_error *reterr);

/*
 * The job's data, pointers first, by the terms that this process has of the job's election and of
 * the dispatcher; what fsha_services_global_cleanup does once it has them.
 */
fsha_result cleanup_job_pointers(struct fsha_services *s, const fsha_job_id *job,
				 fsha_error *reterr);
fsha_result cleanup_job_blobs(struct fsha_services *s, const fsha_job_id *job, fsha_error *reterr);

/* All data, as fsha_services_cleanup_all_data. `in_hand`: see struct offices. */
fsha_result cleanup_all(struct fsha_services *s, bool in_hand, fsha_error *reterr);

#endif
