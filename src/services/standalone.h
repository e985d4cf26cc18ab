/*
 * Services without high availability: one process, fixed addresses, nothing to elect. Flink:
 * StandaloneHaServices.
 *
 * The stores are the ordinary ones, over memory. Each election whose leaders may write to a store
 * has a term of this process that begins with the first store (or contender) and lasts as long as
 * the services: claimed as usual, under a lease that does not run out. A contender is granted
 * FSHA_DEFAULT_LEADER_ID at once; what its term is called inside is nobody's business.
 */
#ifndef SRC_SERVICES_STANDALONE_H
#define SRC_SERVICES_STANDALONE_H

#include "src/services/services.h"

/* Takes a copy of the addresses in the configuration. */
fsha_result standalone_create(struct fsha_services *s, const fsha_config *config,
			      fsha_error *reterr);
void standalone_destroy(struct fsha_services *s);

/* Make sure that there is a term of `election` (encoded), for services_term to find. */
fsha_result standalone_begin(struct fsha_services *s, const char *election, fsha_error *reterr);
/* Where `election` (encoded) is said to be led: into FSHA_ADDRESS_MAX + 1 bytes. */
fsha_result standalone_address(const struct fsha_services *s, const char *election,
			       char *ret_address, fsha_error *reterr);
/* What the janitor does besides the stores. */
void standalone_clean(struct fsha_services *s);

#endif
