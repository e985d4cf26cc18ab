/*
 * Upkeep of the stores that an election's leaders write, whoever wrote there: the leader's process
 * removes what is useless also from stores that it has not opened itself, as the main process of
 * `fsha run`, whose commands come and go.
 */
#ifndef SRC_SERVICES_UPKEEP_H
#define SRC_SERVICES_UPKEEP_H

#include "src/services/services.h"

/* In the janitor's thread. */
void upkeep_stores(struct fsha_services *s, struct term *term);
/*
 * Close the stores of elections that are not led any more, two leases after that; each time. All
 * that are led still were used since `round_ns`.
 */
void upkeep_drop_unused(struct fsha_services *s, int64_t round_ns);
/* Members that died, half-built directories, blobs of jobs that are gone; once a lease. */
void upkeep_remains(struct fsha_services *s);
void upkeep_destroy(struct fsha_services *s);

#endif
