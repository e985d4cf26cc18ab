/*
 * The services of one process in one cluster. Flink: HighAvailabilityServices (filesystem mode).
 *
 * Threads of a services object, all its own, made when they are first needed:
 *
 * - executor: runs every callback, one at a time, with no lock of the library held; no file.
 *
 * - watchdog: delivers the revocation when the lease runs out; never touches a file.
 *
 * - heartbeat: renames the member's beat file every lease/5; may hang with the filesystem.
 *
 * - claimer: claims, fences, resigns; may hang.
 *
 * - poller: looks at leaders/ (and at job_graphs/ with a listener); may hang.
 *
 * - janitor: takes old names away in the background; may hang.
 *
 * - a watcher for each member that leads something this process contends for; may hang.
 *
 * After fork() the child may only exec or exit.
 */
#ifndef FSHA_SERVICES_H
#define FSHA_SERVICES_H

#include "fsha/config.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fsha_services fsha_services;

enum {
	FSHA_LOG_DEBUG = 0,
	FSHA_LOG_INFO = 1,
	FSHA_LOG_WARNING = 2,
	FSHA_LOG_ERROR = 3
};

/* The term is shared with other processes, see fsha/term.h. */
#define FSHA_SERVICES_SHARED_TERM 1u
/* Never create the cluster directory: FSHA_E_NOT_FOUND when there is none. For readers. */
#define FSHA_SERVICES_NO_CREATE 2u

typedef struct fsha_services_options {
	size_t struct_size;
	/* Events: `event` is one of the names in fsha(7), `fields` is key=value text. May be called
	   from any thread of the library; must not call back into it. NULL: none. */
	void (*log)(void *log_ctx, int level, const char *event, const char *fields);
	void *log_ctx;
	uint32_t flags;     /* FSHA_SERVICES_* */
	uint32_t reserved0; /* must be 0 */
} fsha_services_options;
#define FSHA_SERVICES_OPTIONS_INIT                        \
	{                                                 \
		sizeof(fsha_services_options), 0, 0, 0, 0 \
	}

/**
 * Open the cluster that `config` names (storage directory and cluster id), creating its directory
 * when it is not there. The configuration is copied; `options` may be NULL.
 *
 * FSHA_E_CONFIG: a setting is missing or wrong, the type is not "filesystem" (the message says what
 * to write), the storage directory is missing, no directory, not writable or read-only (in a
 * cluster that exists, the first election tells that), or the lease differs from the cluster's
 * (both are named). FSHA_E_UNSUPPORTED: the directory was written by a newer format.
 * FSHA_E_CORRUPT: its SETTINGS are damaged. FSHA_E_NOT_FOUND with FSHA_SERVICES_NO_CREATE.
 *
 * Takes no part in any election yet: becoming a member is left to the first fsha_election_start.
 * May block for as long as the filesystem does. Since 0.1.
 */
FSHA_API fsha_result fsha_services_open(const fsha_config *config,
					const fsha_services_options *options,
					fsha_services **ret_services, fsha_error *reterr);

/**
 * Close: leads no more (every leader is revoked once and resigns), stops all threads, deletes no
 * data. Elections, retrievers and stores of it must have been closed before: FSHA_E_STATE
 * otherwise.
 *
 * Waits for at most one lease (3 s at least): FSHA_E_TIMEOUT says that threads still hang in the
 * filesystem; they end, and their memory is freed, when it answers. The object is gone in either
 * case (but not after FSHA_E_STATE). NULL is allowed. Not from a callback. Since 0.1.
 */
FSHA_API fsha_result fsha_services_close(fsha_services *services, fsha_error *reterr);

/** The lease that the cluster agreed on, in milliseconds. Any thread. Since 0.1. */
FSHA_API uint32_t fsha_services_lease_ms(const fsha_services *services);
/** The cluster directory, as opened. Lives as long as the object. Since 0.1. */
FSHA_API const char *fsha_services_path(const fsha_services *services);

#ifdef __cplusplus
}
#endif
#endif
