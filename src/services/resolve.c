/* Opening with the addresses looked at first, so that a host that is not known is told at once. */
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "fsha/utils.h"
#include "src/config/config.h"
#include "src/result/error.h"
#include "src/services/open.h"

static fsha_result look_up(const char *host, const char *what, fsha_error *reterr)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	int r = getaddrinfo(host, NULL, &hints, &found);

	if (r == 0) {
		freeaddrinfo(found);
		return FSHA_OK;
	}
	if (r == EAI_MEMORY)
		return error_os(reterr, -ENOMEM, "getaddrinfo", "cannot look up host '%s'", host);
	return error_set(reterr, FSHA_E_CONFIG, r == EAI_SYSTEM ? errno : 0, "getaddrinfo",
			 "cannot look up the host '%.255s' of %s: %s", host, what, gai_strerror(r));
}

fsha_result resolve_job_manager(const fsha_config *config, fsha_address_resolution resolution,
				fsha_error *reterr)
{
	char host[FSHA_HOST_SIZE];
	fsha_result result;
	uint16_t port;

	result = fsha_config_get_job_manager_address(config, host, sizeof(host), &port, reterr);
	if (result == FSHA_OK && resolution == FSHA_TRY_ADDRESS_RESOLUTION)
		result = look_up(host, FSHA_KEY_JOB_MANAGER_ADDRESS, reterr);
	return result;
}

/* "http://host:port" or "http://[host]:port": the host out of it. */
static void take_host(const char *url, char *ret_host)
{
	const char *host = strstr(url, "://") + strlen("://");
	const char *end = host[0] == '[' ? strchr(host, ']') : strrchr(host, ':');

	host += host[0] == '[';
	memcpy(ret_host, host, (size_t)(end - host));
	ret_host[end - host] = '\0';
}

fsha_result resolve_rest_endpoint(const fsha_config *config, fsha_address_resolution resolution,
				  fsha_error *reterr)
{
	char url[FSHA_URL_SIZE], host[FSHA_URL_SIZE];
	fsha_result result;

	result = fsha_config_get_web_monitor_address(config, url, sizeof(url), reterr);
	if (result != FSHA_OK || resolution != FSHA_TRY_ADDRESS_RESOLUTION)
		return result;
	take_host(url, host);
	return look_up(host, "the REST endpoint (rest.address)", reterr);
}

fsha_result fsha_services_create(const fsha_config *config, fsha_address_resolution resolution,
				 const fsha_services_options *options, fsha_services **ret_services,
				 fsha_error *reterr)
{
	enum config_mode mode;
	fsha_result result;

	if (!config || !ret_services || resolution < FSHA_NO_ADDRESS_RESOLUTION ||
	    resolution > FSHA_TRY_ADDRESS_RESOLUTION)
		return error_set(reterr, FSHA_E_INVALID, 0, "open",
				 "an argument is NULL or no fsha_address_resolution");
	result = config_mode_read(config, &mode, reterr);
	if (result == FSHA_OK && mode == CONFIG_STANDALONE)
		result = resolve_job_manager(config, resolution, reterr);
	if (result == FSHA_OK && mode == CONFIG_STANDALONE)
		result = resolve_rest_endpoint(config, resolution, reterr);
	return result == FSHA_OK ? fsha_services_open(config, options, ret_services, reterr) :
				   result;
}

fsha_result fsha_services_create_available_or_embedded(const fsha_config *config,
						       const fsha_services_options *options,
						       fsha_services **ret_services,
						       fsha_error *reterr)
{
	enum config_mode mode;
	fsha_config *embedded;
	fsha_result result;

	if (!config || !ret_services)
		return error_set(reterr, FSHA_E_INVALID, 0, "open", "an argument is NULL");
	result = config_mode_read(config, &mode, reterr);
	if (result != FSHA_OK)
		return result;
	if (mode != CONFIG_STANDALONE)
		return fsha_services_open(config, options, ret_services, reterr);
	embedded = config_copy(&fsu_posix, config);
	if (!embedded)
		return error_os(reterr, -ENOMEM, "alloc", "cannot open the services");
	result = fsha_config_set(embedded, FSHA_KEY_TYPE, "embedded", reterr);
	if (result == FSHA_OK)
		result = fsha_services_open(embedded, options, ret_services, reterr);
	fsha_config_destroy(embedded);
	return result;
}
