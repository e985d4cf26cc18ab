/*
 * The services of one process in one cluster. Flink: HighAvailabilityServices.
 *
 * There are three kinds of them, by high-availability.type, behind one interface:
 *
 * - filesystem: everything in a directory that the processes of a cluster share. What the headers
 *   promise of durability and fencing is about this one.
 *
 * - embedded: the same elections, stores and callbacks in the memory of one process, for tests and
 *   clusters of one process. All services objects of the process with the same storageDir and
 *   cluster-id (texts, no directories) are one cluster; it is gone when the last of them is closed.
 *   No disk is touched. Flink: EmbeddedHaServices.
 *
 * - standalone, also called NONE, and what an empty configuration means: nothing is elected.
 *   A contender is granted FSHA_DEFAULT_LEADER_ID as soon as it starts, and revoked when it is
 *   closed; confirming does nothing; resigning revokes and grants again. Retrievers deliver one
 *   fixed address with that id: jobmanager.rpc.address:jobmanager.rpc.port for the resource manager
 *   and the dispatcher, http://rest.address:rest.port for the REST endpoint, for a job what
 *   fsha_retriever_start_job was given, "UNKNOWN" otherwise; FSHA_E_CONFIG when the address is not
 *   configured. The stores are in the memory of the services object and may be written without
 *   leading. Each object is alone. Flink: StandaloneHaServices.
 *
 * Neither embedded nor standalone services keep blobs: as in Flink, their blob store is one that
 * keeps nothing, and its put says FSHA_E_UNSUPPORTED.
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
 * - chores: removes checkpoints and calls their discard functions; may hang.
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
 * FSHA_E_CONFIG: a setting is missing or wrong, the type is one that fsha replaces or does not know
 * (the message says what to write), a file names a storage directory but no type, the storage
 * directory is missing, no directory, not writable or read-only (in a cluster that exists, the
 * first election tells that), or the lease differs from the cluster's (both are named).
 * FSHA_E_UNSUPPORTED: the directory was written by a newer format. FSHA_E_CORRUPT: its SETTINGS are
 * damaged. FSHA_E_NOT_FOUND with FSHA_SERVICES_NO_CREATE. FSHA_E_UNSUPPORTED also:
 * FSHA_SERVICES_SHARED_TERM in memory.
 *
 * Takes no part in any election yet: becoming a member is left to the first fsha_election_start.
 * May block for as long as the filesystem does. Since 0.1.
 */
FSHA_API fsha_result fsha_services_open(const fsha_config *config,
					const fsha_services_options *options,
					fsha_services **ret_services, fsha_error *reterr);

typedef enum fsha_address_resolution {
	FSHA_NO_ADDRESS_RESOLUTION = 0,
	FSHA_TRY_ADDRESS_RESOLUTION = 1
} fsha_address_resolution;

/**
 * As fsha_services_open; standalone services need their addresses, and with
 * FSHA_TRY_ADDRESS_RESOLUTION their hosts are looked up: FSHA_E_CONFIG names the key, or the host
 * that is not known. May block for as long as the resolver does. Flink:
 * HighAvailabilityServicesUtils.createHighAvailabilityServices. Since 0.1.
 */
FSHA_API fsha_result fsha_services_create(const fsha_config *config,
					  fsha_address_resolution resolution,
					  const fsha_services_options *options,
					  fsha_services **ret_services, fsha_error *reterr);

/**
 * As fsha_services_open, but embedded services where that would open standalone ones. Flink:
 * createAvailableOrEmbeddedServices. Since 0.1.
 */
FSHA_API fsha_result fsha_services_create_available_or_embedded(
	const fsha_config *config, const fsha_services_options *options,
	fsha_services **ret_services, fsha_error *reterr);

typedef enum fsha_mode {
	FSHA_MODE_FILESYSTEM = 0,
	FSHA_MODE_EMBEDDED = 1,
	FSHA_MODE_STANDALONE = 2
} fsha_mode;
/** Which kind they are. Flink: HighAvailabilityMode. Any thread. Since 0.1. */
FSHA_API fsha_mode fsha_services_mode(const fsha_services *services);

/**
 * Close: leads no more (every leader is revoked once and resigns), stops all threads, deletes no
 * data. Elections, retrievers and stores of it must have been closed before: otherwise
 * FSHA_E_STATE, with the names of all that are open. After FSHA_OK nothing of it goes on.
 *
 * Waits for at most one lease (3 s at least): FSHA_E_TIMEOUT says that threads still hang in the
 * filesystem; they end, and their memory is freed, when it answers. The object is gone in either
 * case (but not after FSHA_E_STATE). NULL is allowed. Not from a callback. Since 0.1.
 */
FSHA_API fsha_result fsha_services_close(fsha_services *services, fsha_error *reterr);

/**
 * Remove everything that is kept of a job and that is no use without it, everywhere in the cluster:
 * its graph, its entry among the running jobs, its checkpoints with their counter (the records
 * here; what they point to is discarded by fsha_checkpoint_store_shutdown), the leader information
 * of its master, and, once all of that is gone, its blobs. Its result stays: the caller marks that
 * as clean afterwards, and has written it before, so that nobody starts the job meanwhile.
 *
 * For the leader of FSHA_ELECTION_DISPATCHER: FSHA_E_NOT_LEADER otherwise. First the job's election
 * is claimed, for two leases and 3 s at most; if this process leads it, its term is used and then
 * resigned. So a master that was stopped publishes nothing when it wakes up. FSHA_E_NOT_LEADER with
 * its address: a master is alive in another process. FSHA_E_STATE: this process contends for it and
 * does not lead. FSHA_E_TIMEOUT as for fsha_election_acquire. After any failure, FSHA_E_INDOUBT and
 * FSHA_E_IO too, some of it may be gone: call it again, also in another process; what is gone
 * already is no error.
 *
 * Any thread, not from a callback. May block for as long as the filesystem does. Flink:
 * globalCleanupAsync. Since 0.1.
 */
FSHA_API fsha_result fsha_services_global_cleanup(fsha_services *services, const fsha_job_id *job,
						  fsha_error *reterr);

/**
 * Remove the data of the whole cluster: job graphs, running jobs, workers with framework id and
 * task counter, checkpoints and counters of all jobs, all namespaces of the general store, and,
 * once all of that is gone, all blobs. Job results stay, as in Flink, for whoever asks later how a
 * job ended. The directory, its settings and its elections stay too: a cluster that starts there
 * anew goes on with higher versions, and is not confused by a process of the old one.
 *
 * First all elections are claimed, one after the other, each for two leases and 3 s at most:
 * FSHA_E_NOT_LEADER says who still leads one, and nothing was removed. FSHA_E_STATE: this object
 * still contends for one. After a claim the removal goes on after errors and reports the first;
 * call it again then.
 *
 * Any thread, not from a callback. Flink: cleanupAllData. Since 0.1.
 */
FSHA_API fsha_result fsha_services_cleanup_all_data(fsha_services *services, fsha_error *reterr);

/**
 * fsha_services_cleanup_all_data if `clean` is not 0, then fsha_services_close, even if cleaning up
 * failed (but not after FSHA_E_STATE: something is still open, and nothing was done). The first
 * error counts. Flink: closeWithOptionalClean. Since 0.1.
 */
FSHA_API fsha_result fsha_services_close_with_optional_clean(fsha_services *services, int clean,
							     fsha_error *reterr);
/** The same with cleaning. Flink: closeAndCleanupAllData. Since 0.1. */
FSHA_API fsha_result fsha_services_close_and_cleanup_all_data(fsha_services *services,
							      fsha_error *reterr);

/** The lease that the cluster agreed on, in milliseconds. Any thread. Since 0.1. */
FSHA_API uint32_t fsha_services_lease_ms(const fsha_services *services);
/** The cluster directory, as opened ("memory:/..." where it is none). Lives as long as the object.
 * Since 0.1. */
FSHA_API const char *fsha_services_path(const fsha_services *services);
/**
 * What the cluster is, by whatever path it was opened: a UUID that was made with its directory. Any
 * thread. Since 0.1.
 */
FSHA_API void fsha_services_cluster_uuid(const fsha_services *services, fsha_uuid *ret_uuid);

#ifdef __cplusplus
}
#endif
#endif
