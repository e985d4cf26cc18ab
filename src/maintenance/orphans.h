/*
 * Blobs of jobs that are gone: no graph, no running entry, no result that is dirty. They may also
 * be those of a job that is about to be submitted, since blobs come before the graph. So they are
 * taken away only by a leader of the dispatcher, and only when all of them were written under terms
 * before his: whoever submitted them then was told that it failed.
 */
#ifndef SRC_MAINTENANCE_ORPHANS_H
#define SRC_MAINTENANCE_ORPHANS_H

#include "src/maintenance/still.h"
#include "src/services/services.h"

/*
 * One look under `term`, of the dispatcher. With `still` only what was an orphan and stood still
 * for STILL_LEASES. `take` (NULL: take all) is told of each; true: take it away. Returns how many
 * were taken away.
 */
size_t orphans_look(struct fsha_services *s, struct term *term, struct still *still,
		    bool (*take)(void *ctx, const char *directory), void *ctx);

#endif
