/* For clients: services that only look, and of them only the REST endpoint. */
#include "fsha/client.h"

#include <stdint.h>

#include "src/result/error.h"
#include "src/services/open.h"

/* Nothing but a services object, under a name that has no more to offer. */
static fsha_services *services_of(fsha_client_services *client)
{
	return (fsha_services *)client;
}

fsha_result client_services_open_with(const struct fsu *fs, const fsha_config *config,
				      const fsha_services_options *options,
				      fsha_client_services **ret_client, fsha_error *reterr)
{
	fsha_services_options own = FSHA_SERVICES_OPTIONS_INIT;
	fsha_services *services;
	fsha_result result;

	if (!ret_client || (options && options->flags))
		return error_set(reterr, FSHA_E_INVALID, 0, "open",
				 "an argument is NULL, or there are flags");
	/* What else is wrong with them the services say. */
	if (options)
		own = *options;
	own.flags = FSHA_SERVICES_NO_CREATE;
	result = services_open_with(fs, config, &own, &services, reterr);
	if (result != FSHA_OK)
		return result;
	if (services->mode == CONFIG_STANDALONE)
		result = resolve_rest_endpoint(config, FSHA_TRY_ADDRESS_RESOLUTION, reterr);
	if (result != FSHA_OK) {
		(void)fsha_services_close(services, NULL);
		return result;
	}
	*ret_client = (fsha_client_services *)services;
	return FSHA_OK;
}

fsha_result fsha_client_services_open(const fsha_config *config,
				      const fsha_services_options *options,
				      fsha_client_services **ret_client, fsha_error *reterr)
{
	return client_services_open_with(&fsu_posix, config, options, ret_client, reterr);
}

fsha_result fsha_client_services_retriever_start(fsha_client_services *client,
						 const fsha_leader_listener *listener,
						 fsha_retriever **ret_retriever, fsha_error *reterr)
{
	return fsha_retriever_start(services_of(client), FSHA_ELECTION_REST_ENDPOINT, listener,
				    ret_retriever, reterr);
}

fsha_result fsha_client_services_close(fsha_client_services *client, fsha_error *reterr)
{
	return fsha_services_close(services_of(client), reterr);
}
