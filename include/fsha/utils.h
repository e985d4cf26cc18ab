/*
 * What a cluster reads out of its configuration: addresses, ports, paths, how often a cleanup is
 * tried again. Flink: HighAvailabilityServicesUtils, HAStorageConfiguration, CleanupOptions. None
 * of these functions touches the storage or the network.
 */
#ifndef FSHA_UTILS_H
#define FSHA_UTILS_H

#include "fsha/config.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FSHA_HOST_SIZE 256 /* bytes of a host name, with the terminator */
#define FSHA_URL_SIZE 280  /* bytes of "https://host:port" */

/**
 * Where the job manager is, if nothing is elected: jobmanager.rpc.address and jobmanager.rpc.port.
 * `host` has `host_size` bytes; FSHA_HOST_SIZE are always enough.
 *
 * FSHA_E_CONFIG names the key: the address is missing or no host name, the port is not one of 1 to
 * 65535. FSHA_E_INVALID: too little room. Flink: getJobManagerAddress. Since 0.1.
 */
FSHA_API fsha_result fsha_config_get_job_manager_address(const fsha_config *config, char *host,
							 size_t host_size, uint16_t *ret_port,
							 fsha_error *reterr);
/**
 * Set both keys. FSHA_E_INVALID for a host or a port that fsha_config_get_job_manager_address would
 * refuse; nothing was changed then. Flink: setJobManagerAddress. Since 0.1.
 */
FSHA_API fsha_result fsha_config_set_job_manager_address(fsha_config *config, const char *host,
							 uint32_t port, fsha_error *reterr);

/**
 * The address of the REST endpoint, "http://host:port" (https with security.ssl.rest.enabled), out
 * of rest.address (or else jobmanager.rpc.address) and rest.port; an IPv6 address stands in
 * brackets. `url` has `size` bytes; FSHA_URL_SIZE are always enough. The name is not looked up.
 * FSHA_E_CONFIG names the key; FSHA_E_INVALID: too little room. Flink: getWebMonitorAddress. Since
 * 0.1.
 */
FSHA_API fsha_result fsha_config_get_web_monitor_address(const fsha_config *config, char *url,
							 size_t size, fsha_error *reterr);

/**
 * The cluster's directory: the storage directory and the cluster id below it, as on disk (each part
 * of the id encoded). It need not exist. `path` has `size` bytes. FSHA_E_CONFIG names the key that
 * is missing or wrong; FSHA_E_INVALID: too little room. Flink: getClusterHighAvailableStoragePath.
 * Since 0.1.
 */
FSHA_API fsha_result fsha_config_get_cluster_path(const fsha_config *config, char *path,
						  size_t size, fsha_error *reterr);

#define FSHA_PORT_RANGES_MAX 64
/** Ports from the first to the last. 0 to 0: any free port. */
typedef struct fsha_port_range {
	uint16_t first, last;
} fsha_port_range;
/**
 * The ports of high-availability.jobmanager.port, in the order to try them, into `ranges` of `max`
 * elements; FSHA_PORT_RANGES_MAX are always enough. FSHA_E_CONFIG, FSHA_E_INVALID. Since 0.1.
 */
FSHA_API fsha_result fsha_config_get_job_manager_ports(const fsha_config *config,
						       fsha_port_range *ret_ranges, size_t max,
						       size_t *ret_count, fsha_error *reterr);

/**
 * How many completed checkpoints of a job are kept: execution.checkpointing.num-retained, at least
 * 1 (fsha_config_check tells of a smaller one). Since 0.1.
 */
FSHA_API fsha_result fsha_config_get_checkpoints_retained(const fsha_config *config,
							  uint32_t *ret_count, fsha_error *reterr);

/* ---- HAStorageConfiguration ---- */

/**
 * The storage in the terms of Flink's HAStorageConfiguration. What stands for an idea of ZooKeeper
 * is said with each.
 */
typedef struct fsha_ha_storage_configuration {
	char storage_type[16];          /* "filesystem", or "standalone" where nothing is elected */
	uint32_t session_timeout_ms;    /* the lease: so long a leader leads without the storage */
	uint32_t connection_timeout_ms; /* how long closing waits for a storage that hangs: one
					   lease, 3 s at least */
	char zookeeper_quorum[8];       /* "": there are no servers */
	char storage_path[FSHA_CONFIG_VALUE_MAX + 1]; /* "" for "standalone" */
} fsha_ha_storage_configuration;
/**
 * Results as for fsha_services_open, as far as the settings go. Flink: HAStorageConfiguration.
 * Since 0.1.
 */
FSHA_API fsha_result fsha_config_get_ha_storage(const fsha_config *config,
						fsha_ha_storage_configuration *ret_configuration,
						fsha_error *reterr);

/* ---- Trying a cleanup again ---- */

typedef enum fsha_cleanup_kind {
	FSHA_CLEANUP_ONCE = 0,             /* none, disable, off */
	FSHA_CLEANUP_FIXED_DELAY = 1,      /* fixed-delay, fixeddelay */
	FSHA_CLEANUP_EXPONENTIAL_DELAY = 2 /* exponential-delay, exponentialdelay */
} fsha_cleanup_kind;

#define FSHA_CLEANUP_NO_LIMIT UINT64_MAX

/** When a cleanup that failed is tried again. Flink: CleanupOptions, RetryStrategy. */
typedef struct fsha_cleanup_strategy {
	int32_t kind; /* an fsha_cleanup_kind */
	uint32_t reserved0;
	uint64_t attempts;     /* after the first one; FSHA_CLEANUP_NO_LIMIT */
	uint64_t delay_ms;     /* before the second attempt */
	uint64_t delay_max_ms; /* before any */
} fsha_cleanup_strategy;
/**
 * cleanup-strategy.* as a value. FSHA_E_CONFIG: a name that is none, a delay or number out of
 * bounds, an initial back-off above the greatest one. Since 0.1.
 */
FSHA_API fsha_result fsha_config_get_cleanup_strategy(const fsha_config *config,
						      fsha_cleanup_strategy *ret_strategy,
						      fsha_error *reterr);
/**
 * After `failures` failed attempts (1 or more): 1 and in `*ret_delay_ms` how long to wait before
 * the next one, or 0: give up. Any thread. Since 0.1.
 */
FSHA_API int fsha_cleanup_strategy_next(const fsha_cleanup_strategy *strategy, uint64_t failures,
					uint64_t *ret_delay_ms);

#ifdef __cplusplus
}
#endif
#endif
