/*
 * Configuration: Flink's keys from Flink's own files (flat flink-conf.yaml, nested config.yaml),
 * from the environment, or set by the program. Flink: Configuration, HighAvailabilityOptions.
 *
 * high-availability.type (no default): "filesystem". Old names: high-availability, recovery.mode.
 *
 * high-availability.storageDir (no default): the shared directory, /path or file:///path. It must
 * exist. Old names: the same under high-availability.zookeeper. and recovery.zookeeper.
 *
 * high-availability.cluster-id (/default): whose data, below it; may contain slashes. Old names:
 * path.namespace under high-availability.zookeeper. and recovery.zookeeper.
 *
 * high-availability.filesystem.lease (10 s): 1 s to 10 min, the same for all members of a cluster.
 *
 * high-availability.filesystem.poll-interval (200 ms): 10 ms to 60 s; how often shared directories
 * are looked at.
 *
 * Each key may be overridden by an environment variable: FSHA_ and the key in upper case with _ for
 * every other character (FSHA_HIGH_AVAILABILITY_STORAGEDIR), or by the short forms
 * FSHA_STORAGE_DIR, FSHA_CLUSTER_ID, FSHA_LEASE. Of the two the short form wins; an empty variable
 * counts as none.
 *
 * Precedence: fsha_config_set, environment, file, default. A present key beats its old names.
 * Durations as in Flink: "10 s", "500ms", "1 min"; a bare number is milliseconds.
 */
#ifndef FSHA_CONFIG_H
#define FSHA_CONFIG_H

#include "fsha/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FSHA_CONFIG_VALUE_MAX 4095         /* bytes of one value */
#define FSHA_CONFIG_FILE_MAX (1024 * 1024) /* bytes of a file */
#define FSHA_CONFIG_ENTRIES_MAX 4096

#define FSHA_KEY_TYPE "high-availability.type"
#define FSHA_KEY_STORAGE_DIR "high-availability.storageDir"
#define FSHA_KEY_CLUSTER_ID "high-availability.cluster-id"
#define FSHA_KEY_LEASE "high-availability.filesystem.lease"
#define FSHA_KEY_POLL_INTERVAL "high-availability.filesystem.poll-interval"

/** A set of settings. One thread at a time. */
typedef struct fsha_config fsha_config;

/**
 * An empty configuration: every key has its default. Returns NULL when out of memory. Since 0.1.
 */
FSHA_API fsha_config *fsha_config_create(void);
/** Frees it. NULL is allowed. Since 0.1. */
FSHA_API void fsha_config_destroy(fsha_config *config);

/**
 * Read a file of Flink's. `path` may name a file, or a directory (then config.yaml in it, or else
 * flink-conf.yaml). Keys that do not concern high availability are kept and ignored. A file called
 * flink-conf.yaml is read by lines, as by Flink; any other is YAML. A later file overrides an
 * earlier one.
 *
 * FSHA_E_CONFIG with "file:line: ..." for text that is no YAML, a key twice, a value too long;
 * FSHA_E_IO or FSHA_E_NOT_FOUND when it cannot be read. On failure the configuration is unchanged.
 * Since 0.1.
 */
FSHA_API fsha_result fsha_config_load_file(fsha_config *config, const char *path,
					   fsha_error *reterr);

/** Take over the environment variables named above. FSHA_E_NOMEM is the only failure. Since 0.1. */
FSHA_API fsha_result fsha_config_load_environment(fsha_config *config, fsha_error *reterr);

/**
 * Set one key; both are copied. FSHA_E_INVALID for an empty key or a value that is too long.
 * Since 0.1.
 */
FSHA_API fsha_result fsha_config_set(fsha_config *config, const char *key, const char *value,
				     fsha_error *reterr);

/**
 * The effective value of a key, by its present name: from the strongest source, or its default, or
 * NULL. `ret_origin` (may be NULL) gets where it came from: "default", "set by the program",
 * "environment FSHA_LEASE", "conf/config.yaml:12". Both strings live until the configuration
 * changes. Since 0.1.
 */
FSHA_API const char *fsha_config_get(const fsha_config *config, const char *key,
				     const char **ret_origin);

/**
 * A duration value in milliseconds. FSHA_E_CONFIG names key, origin and what to write; NOT_FOUND
 * when unset. Since 0.1.
 */
FSHA_API fsha_result fsha_config_get_duration_ms(const fsha_config *config, const char *key,
						 uint64_t *ret_ms, fsha_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
