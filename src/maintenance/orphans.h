/*
 * Blobs of jobs that are gone: no graph, no running entry, no result that is dirty. They may also
 * be those of a job that is about to be submitted, since blobs come before the graph: what nothing
 * tells of yet and what nothing tells of any more look alike. So they are taken away only by a
 * leader of the dispatcher, and only when all of them were written under terms before his (whoever
 * submitted them then was told that it failed), and, unless a person says that nobody is about to
 * submit, only when nothing in their directory has changed for STILL_LEASES.
 *
 * They may as well be those of somebody who uses the blob store alone, or of a job that is started
 * without a graph, as in Flink's application mode. So, unless a person asks for these too, they are
 * taken away only with evidence that the job ran here and has ended (jobs_has_ended).
 */
#ifndef SRC_MAINTENANCE_ORPHANS_H
#define SRC_MAINTENANCE_ORPHANS_H

#include "src/maintenance/still.h"
#include "src/services/services.h"

enum orphan_fate {
	ORPHAN_REMOVED,
	ORPHAN_FAILED,
	ORPHAN_WRITTEN, /* the present leader wrote there */
	ORPHAN_MOVING,  /* it has not been seen to stand still */
	ORPHAN_UNKNOWN  /* nothing tells that its job has ended */
};
/* `error`: of ORPHAN_FAILED. */
typedef void orphans_told(void *ctx, const char *directory, enum orphan_fate fate,
			  const fsha_error *error);
struct orphans_policy {
	struct still
		*still;     /* only what stood still for STILL_LEASES by its looks; NULL: at once */
	bool unknown;       /* also without evidence that the job has ended */
	orphans_told *told; /* NULL: nobody */
	void *ctx;
};
/* A look without a term, only for what stands still. */
void orphans_watch(struct fsha_services *s, struct still *still);
/* One look under `term`, of the dispatcher. Returns how many were taken away. */
size_t orphans_look(struct fsha_services *s, struct term *term,
		    const struct orphans_policy *policy);

#endif
