/*
 * Blobs of jobs that are gone: no graph, no running entry, no result that is dirty. They may also
 * be those of a job that is about to be submitted, since blobs come before the graph. So they are
 * taken away only by a leader of the dispatcher, and only when all of them were written under terms
 * before his: whoever submitted them then was told that it failed.
 *
 * They may as well be those of somebody who uses the blob store alone, or of a job that is started
 * without a graph, as in Flink's application mode. So in the background they are taken away only
 * with evidence that the job ran here and has ended (jobs_has_ended); without, only when a person
 * asks for it.
 */
#ifndef SRC_MAINTENANCE_ORPHANS_H
#define SRC_MAINTENANCE_ORPHANS_H

#include "src/maintenance/still.h"
#include "src/services/services.h"

/* Of each: FSHA_OK, it is gone; FSHA_E_EXISTS, the present leader wrote there; else it failed. */
typedef void orphans_told(void *ctx, const char *directory, fsha_result result,
			  const fsha_error *error);
/*
 * One look under `term`, of the dispatcher. With `still` as in the background: only what was an
 * orphan and stood still for STILL_LEASES. `told` may be NULL. Returns how many were taken away.
 */
size_t orphans_look(struct fsha_services *s, struct term *term, struct still *still,
		    orphans_told *told, void *ctx);

#endif
