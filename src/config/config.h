/*
 * Inside of a configuration: a sorted set of entries from several sources, the readers of Flink's
 * two file forms, and the validated settings that the rest of the library asks for.
 *
 * How a value is found: the present name in the strongest source that has it, then each old name in
 * the same way, then the default. So a present name in a file beats an old name set by the program,
 * as in Flink, where all sources are one map before old names are looked at.
 *
 * Which form a file has goes by its name, as in Flink: flink-conf.yaml is read by lines, anything
 * else is YAML. A line form that were guessed from the content would change its meaning by one
 * character.
 *
 * Stricter than Flink, which logs and goes on: a line without ": ", a key twice and a list or an
 * alias where one text is expected are errors. A misread setting would be another cluster.
 *
 * getenv() is not safe against setenv() in another thread: fsha_config_load_environment belongs
 * before the start of threads.
 */
#ifndef SRC_CONFIG_CONFIG_H
#define SRC_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "fsha/config.h"
#include "fsutil/fsu_ops.h"

#define CONFIG_KEY_MAX 1023        /* bytes of one key, flattened */
#define CONFIG_DEPTH_MAX 32        /* mappings and lists within each other */
#define CONFIG_CLUSTER_ID_MAX 1023 /* bytes of a cluster id */

#define CONFIG_LEASE_MS_MIN 1000u
#define CONFIG_LEASE_MS_MAX 600000u
#define CONFIG_POLL_MS_MIN 10u
#define CONFIG_POLL_MS_MAX 60000u
#define CONFIG_DELAY_MS_MAX 31536000000 /* 365 d */

/* As fsha_config_create, with the memory and the files of `fs`, which outlives it. */
fsha_config *config_create_with(const struct fsu *fs);
/* A copy of its own, values, origins and all, with the memory of `fs`. NULL: out of memory. */
fsha_config *config_copy(const struct fsu *fs, const fsha_config *config);

/* high-availability.type: where everything is kept. Flink: HighAvailabilityMode. */
enum config_mode {
	CONFIG_FILESYSTEM,
	CONFIG_EMBEDDED,   /* in the memory of one process, elections and all */
	CONFIG_STANDALONE, /* in memory, with fixed addresses and nothing to elect; "NONE" */
};

/* What the services need, checked. */
struct config_services {
	enum config_mode mode;
	/* Absolute, without file:, no slash at its end. In memory: as written, or "". */
	char storage_dir[FSHA_CONFIG_VALUE_MAX + 1];
	char cluster_id[CONFIG_CLUSTER_ID_MAX + 1]; /* as written; fsu_path_encode_id accepts it */
	bool lease_given;                           /* or else lease_ms is the default */
	uint32_t lease_ms;
	uint32_t poll_ms;                                /* 0: not given */
	char job_result_path[FSHA_CONFIG_VALUE_MAX + 1]; /* as storage_dir; "": not given */
	bool job_result_delete;
};
/*
 * FSHA_E_CONFIG names the key, where it came from and what to write instead. `*ret_settings` is
 * written only on success.
 */
fsha_result config_services_read(const fsha_config *config, struct config_services *ret_settings,
				 fsha_error *reterr);

/* The directory and the cluster id alone, whatever the type; the rest is zero. */
fsha_result config_storage_read(const fsha_config *config, struct config_services *ret_settings,
				fsha_error *reterr);
/* The type alone. FSHA_E_CONFIG. */
fsha_result config_mode_read(const fsha_config *config, enum config_mode *ret_mode,
			     fsha_error *reterr);
/* Is it one where everything is in memory? */
bool config_type_is_local(const fsha_config *config);

#endif
