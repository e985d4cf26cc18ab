/*
 * What a client of a cluster needs: who serves the REST endpoint. Flink:
 * ClientHighAvailabilityServices.
 */
#ifndef FSHA_CLIENT_H
#define FSHA_CLIENT_H

#include "fsha/retrieval.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fsha_client_services fsha_client_services;

/**
 * Open a cluster to look at it. Nothing is created or written, no member joins: permission to read
 * is enough. `options` may be NULL, and may have no flags.
 *
 * FSHA_E_NOT_FOUND: there is no such cluster yet. FSHA_E_CONFIG as for fsha_services_create: with
 * standalone services the host of the REST endpoint is looked up. May block for as long as the
 * filesystem or the resolver does. Flink: HighAvailabilityServicesUtils.createClientHAService.
 * Since 0.1.
 */
FSHA_API fsha_result fsha_client_services_open(const fsha_config *config,
					       const fsha_services_options *options,
					       fsha_client_services **ret_client,
					       fsha_error *reterr);
/**
 * Tell `listener` who serves the REST endpoint, as fsha_retriever_start does; stop it with
 * fsha_retriever_stop. Flink: getClusterRestEndpointLeaderRetriever. Any thread. Since 0.1.
 */
FSHA_API fsha_result fsha_client_services_retriever_start(fsha_client_services *client,
							  const fsha_leader_listener *listener,
							  fsha_retriever **ret_retriever,
							  fsha_error *reterr);
/** As fsha_services_close; retrievers are stopped before. NULL is allowed. Since 0.1. */
FSHA_API fsha_result fsha_client_services_close(fsha_client_services *client, fsha_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
