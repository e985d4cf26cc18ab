/*
 * Configuration: Flink's keys from Flink's own files (flat flink-conf.yaml, nested config.yaml),
 * from the environment, or set by the program. Flink: Configuration, HighAvailabilityOptions.
 *
 * fsha_config_options() tells every key with its default, its old names and what it is for;
 * fsha-config(5) is the same for people. Those that a start needs:
 *
 * high-availability.type (no default): "filesystem"; or "embedded" or "NONE", see fsha/services.h.
 *
 * high-availability.storageDir (no default): the shared directory, /path or file:///path. It must
 * exist.
 *
 * Each key may be overridden by an environment variable: FSHA_ and the key in upper case with _ for
 * every other character (FSHA_HIGH_AVAILABILITY_STORAGEDIR), or by the short forms
 * FSHA_STORAGE_DIR, FSHA_CLUSTER_ID, FSHA_LEASE. Of the two the short form wins; an empty variable
 * counts as none.
 *
 * Precedence: fsha_config_set, environment, file, default. A present key beats its old names.
 * Durations as in Flink: "10 s", "500ms", "1 min"; a bare number is milliseconds. Sizes of memory
 * too: "64 kb", "1g"; a bare number is bytes, and every unit is a power of 1024.
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
#define FSHA_KEY_JOB_MANAGER_PORTS "high-availability.jobmanager.port"
#define FSHA_KEY_JOB_MANAGER_ADDRESS "jobmanager.rpc.address"
#define FSHA_KEY_JOB_MANAGER_PORT "jobmanager.rpc.port"
#define FSHA_KEY_REST_ADDRESS "rest.address"
#define FSHA_KEY_REST_PORT "rest.port"
#define FSHA_KEY_REST_SSL "security.ssl.rest.enabled"
#define FSHA_KEY_CHECKPOINTS_RETAINED "execution.checkpointing.num-retained"
#define FSHA_KEY_JOB_RESULT_PATH "job-result-store.storage-path"
#define FSHA_KEY_JOB_RESULT_DELETE "job-result-store.delete-on-commit"
#define FSHA_KEY_CLEANUP_STRATEGY "cleanup-strategy.type"
#define FSHA_KEY_CLEANUP_FIXED_ATTEMPTS "cleanup-strategy.fixed-delay.attempts"
#define FSHA_KEY_CLEANUP_FIXED_DELAY "cleanup-strategy.fixed-delay.delay"
#define FSHA_KEY_CLEANUP_INITIAL_BACKOFF "cleanup-strategy.exponential-delay.initial-backoff"
#define FSHA_KEY_CLEANUP_MAX_BACKOFF "cleanup-strategy.exponential-delay.max-backoff"
#define FSHA_KEY_CLEANUP_EXPONENTIAL_ATTEMPTS "cleanup-strategy.exponential-delay.attempts"

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
 * The same, for settings that the program was given itself: `origin` (1 to 255 bytes, copied) is
 * what fsha_config_get and messages tell as their source, such as "command line". Since 0.1.
 */
FSHA_API fsha_result fsha_config_set_from(fsha_config *config, const char *key, const char *value,
					  const char *origin, fsha_error *reterr);

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

/**
 * A size of memory in bytes, written as Flink's MemorySize: "1 mb", "64k", "1024". Results as for
 * fsha_config_get_duration_ms. Since 0.1.
 */
FSHA_API fsha_result fsha_config_get_size(const fsha_config *config, const char *key,
					  uint64_t *ret_bytes, fsha_error *reterr);

/**
 * A whole number in decimal, within the bounds of its option if there is one. Results as for
 * fsha_config_get_duration_ms. Since 0.1.
 */
FSHA_API fsha_result fsha_config_get_number(const fsha_config *config, const char *key,
					    int64_t *ret_number, fsha_error *reterr);

/** "true" (1) or "false" (0), in any case. Results as for fsha_config_get_duration_ms. Since 0.1.
 */
FSHA_API fsha_result fsha_config_get_boolean(const fsha_config *config, const char *key,
					     int *ret_value, fsha_error *reterr);

/* ---- What there is to set. ---- */

/** The form of a value. */
typedef enum fsha_config_kind {
	FSHA_CONFIG_TEXT = 0,
	FSHA_CONFIG_PATH = 1,
	FSHA_CONFIG_DURATION = 2, /* bounds are milliseconds */
	FSHA_CONFIG_SIZE = 3,     /* bounds are bytes */
	FSHA_CONFIG_NUMBER = 4,
	FSHA_CONFIG_BOOLEAN = 5,
	FSHA_CONFIG_PORTS = 6 /* a port, a range, a list of them */
} fsha_config_kind;
/** "text", "duration" and so on; "unknown". Static. Since 0.1. */
FSHA_API const char *fsha_config_kind_text(int kind);

#define FSHA_CONFIG_OLD_KEYS 3
#define FSHA_CONFIG_VARIABLE_SIZE 128 /* bytes of the name of a variable, with the terminator */

/** One option. Flink: ConfigOption. */
typedef struct fsha_config_option {
	const char *key;
	const char *fallback;                       /* the default; NULL: none */
	const char *old_keys[FSHA_CONFIG_OLD_KEYS]; /* the newest first; NULL where there is none */
	const char *short_variable;                 /* "FSHA_LEASE"; NULL: none */
	const char *description;
	const char *form; /* what to write: "'1 s' to '10 min'"; NULL when it does not apply */
	const char
		*instead; /* known from Flink, means nothing here: what to do; NULL: it applies */
	int32_t kind;     /* an fsha_config_kind */
	uint32_t reserved0;
	int64_t min, max; /* both 0: no bounds */
} fsha_config_option;

/** All options, `*ret_count` (may be NULL) of them. Static; any thread. Since 0.1. */
FSHA_API const fsha_config_option *fsha_config_options(size_t *ret_count);
/**
 * The long name of the variable that overrides an option, into `text` of FSHA_CONFIG_VARIABLE_SIZE
 * bytes. Returns `text`; NULL for NULL. Any thread. Since 0.1.
 */
FSHA_API char *fsha_config_option_variable(const fsha_config_option *option, char *text);

/** What may be said of a setting. */
typedef enum fsha_config_finding_kind {
	FSHA_CONFIG_BAD_VALUE = 0,    /* an error: it cannot be used */
	FSHA_CONFIG_UNKNOWN = 1,      /* among our keys, but none of them */
	FSHA_CONFIG_NOT_APPLYING = 2, /* known from Flink, means nothing here */
	FSHA_CONFIG_OLD_NAME = 3,     /* works, but has a new name */
	FSHA_CONFIG_SHADOWED = 4,     /* an old name that does not count: the present one is set */
	FSHA_CONFIG_CORRECTED = 5     /* another value than the written one is used */
} fsha_config_finding_kind;

typedef struct fsha_config_finding {
	int32_t kind;
	int32_t is_error;
	const char *key;     /* as written */
	const char *origin;  /* as fsha_config_get tells it */
	const char *message; /* one line */
} fsha_config_finding;

/**
 * Look at every setting that concerns us and tell `visit` (NULL: nobody) of each that is wrong,
 * unknown, old or without effect, by keys; a finding lives for the call. A non-zero return of
 * `visit` ends the walk, with FSHA_OK.
 *
 * FSHA_OK: services could be opened with it, as far as the settings go (nothing is asked of the
 * storage). FSHA_E_CONFIG, FSHA_E_UNSUPPORTED: the first error, which `visit` was told too.
 * FSHA_E_NOMEM. Since 0.1.
 */
FSHA_API fsha_result fsha_config_check(const fsha_config *config,
				       int (*visit)(void *ctx, const fsha_config_finding *finding),
				       void *ctx, fsha_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
