/* The storage as Flink's utilities and HAStorageConfiguration tell of it. */
#include <stdio.h>
#include <string.h>

#include "fsha/utils.h"
#include "fsutil/fsu_path.h"
#include "src/config/config.h"
#include "src/result/error.h"

/* As fsha_services_close waits. */
#define CLOSE_WAIT_MS_MIN 3000u

fsha_result fsha_config_get_cluster_path(const fsha_config *config, char *path, size_t size,
					 fsha_error *reterr)
{
	char id[FSHA_CONFIG_VALUE_MAX + 1], found[2 * FSHA_CONFIG_VALUE_MAX + 2];
	struct config_services settings;
	fsha_result result;
	int n, r;

	if (!config || !path)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot tell the cluster's path: an argument is NULL");
	result = config_storage_read(config, &settings, reterr);
	if (result != FSHA_OK)
		return result;
	r = fsu_path_encode_id(settings.cluster_id, id, sizeof(id));
	if (r < 0) /* it was encoded before */
		return error_os(reterr, r, "configure", "cannot encode the cluster id '%.100s'",
				settings.cluster_id);
	n = snprintf(found, sizeof(found), "%s%s%s", settings.storage_dir,
		     strcmp(settings.storage_dir, "/") == 0 ? "" : "/", id);
	if (n < 0 || (size_t)n >= size)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot return the cluster's path: %zu bytes are too few", size);
	memcpy(path, found, (size_t)n + 1);
	return FSHA_OK;
}

fsha_result fsha_config_get_ha_storage(const fsha_config *config,
				       fsha_ha_storage_configuration *ret_configuration,
				       fsha_error *reterr)
{
	fsha_ha_storage_configuration found = { .storage_type = "standalone" };
	struct config_services settings;
	fsha_result result;

	if (!config || !ret_configuration)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot tell of the storage: an argument is NULL");
	if (!config_type_is_local(config)) {
		result = config_services_read(config, &settings, reterr);
		if (result != FSHA_OK)
			return result;
		memcpy(found.storage_type, "filesystem", sizeof("filesystem"));
		memcpy(found.storage_path, settings.storage_dir, strlen(settings.storage_dir) + 1);
		found.session_timeout_ms = settings.lease_ms;
		found.connection_timeout_ms = settings.lease_ms < CLOSE_WAIT_MS_MIN ?
						      CLOSE_WAIT_MS_MIN :
						      settings.lease_ms;
	}
	*ret_configuration = found;
	return FSHA_OK;
}
