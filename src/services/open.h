/* Opening the services of a cluster in its various ways. */
#ifndef SRC_SERVICES_OPEN_H
#define SRC_SERVICES_OPEN_H

#include "fsha/client.h"
#include "src/services/services.h"

/* As fsha_client_services_open, over any table of system calls. */
fsha_result client_services_open_with(const struct fsu *fs, const fsha_config *config,
				      const fsha_services_options *options,
				      fsha_client_services **ret_client, fsha_error *reterr);

/* ---- resolve.c ---- */
/* The addresses that standalone services need: configured, and their hosts known if that is asked.
 */
fsha_result resolve_rest_endpoint(const fsha_config *config, fsha_address_resolution resolution,
				  fsha_error *reterr);
fsha_result resolve_job_manager(const fsha_config *config, fsha_address_resolution resolution,
				fsha_error *reterr);

#endif
