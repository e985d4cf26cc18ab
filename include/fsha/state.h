/*
 * The general state-handle store: named values that only the leader of an election may change.
 * Flink: KubernetesStateHandleStore and its like. Fencing, versions, records and in-doubt handling
 * live here, once.
 *
 * There are no locks on entries as ZooKeeper's store has them: leadership protects them, as in the
 * Kubernetes store. Unlike there, a write without leadership is an error (FSHA_E_NOT_LEADER), never
 * a silent no-op.
 *
 * A store object may be used by any thread. Calls on one object that write wait for each other.
 * Every call may block for as long as the filesystem does.
 *
 * Results of every call that writes, besides those named with it:
 *
 * FSHA_OK: done; survives a power cut of this host and of the file server.
 *
 * FSHA_E_NOT_LEADER: this process does not lead the store's election; nothing was done.
 *
 * FSHA_E_FENCED: a newer leader exists; error.maybe_done tells whether the change may have become
 * visible before that leader was granted.
 *
 * FSHA_E_INDOUBT: the storage failed at the point of no return; the entry holds the old or the new
 * value, whole, and fsha_state_store_settle tells which, once the storage answers.
 *
 * FSHA_E_IO, FSHA_E_NOMEM: nothing was done.
 */
#ifndef FSHA_STATE_H
#define FSHA_STATE_H

#include "fsha/election.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FSHA_STATE_VALUE_MAX (UINT64_C(64) << 20) /* bytes of one value */

typedef struct fsha_state_store fsha_state_store;

/**
 * Open the store `namespace_` (a name of 1 to FSHA_NAME_MAX bytes once encoded), whose writers are
 * the leaders of `election`. The first writer records the election as owner; opening for another
 * election is refused then with FSHA_E_CONFIG, naming both. Needs no leadership: anybody may read.
 * Nothing is created before the first write. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_open(fsha_services *services, const char *namespace_,
					   const char *election, fsha_state_store **ret_store,
					   fsha_error *reterr);
/** Close; nothing is deleted. NULL is allowed. No other thread may be inside a call. Since 0.1. */
FSHA_API void fsha_state_store_close(fsha_state_store *store);

/**
 * Add a value under a new name. FSHA_E_EXISTS when there is one. Flink: addAndLock. `data` may be
 * NULL when size is 0. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_add(fsha_state_store *store, const char *name,
					  const void *data, size_t size, fsha_version *ret_version,
					  fsha_error *reterr);
/**
 * Replace the value of an existing name, if its version is still `expected`. FSHA_E_NOT_FOUND,
 * FSHA_E_VERSION. `ret_version` (may be NULL) gets the new version, also with FSHA_E_INDOUBT.
 * Flink: replace. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_replace(fsha_state_store *store, const char *name,
					      const fsha_version *expected, const void *data,
					      size_t size, fsha_version *ret_version,
					      fsha_error *reterr);
/**
 * The version of a name; all zero (and FSHA_OK) when it does not exist. Flink: exists. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_exists(fsha_state_store *store, const char *name,
					     fsha_version *ret_version, fsha_error *reterr);
/**
 * Read a value, verified. `*ret_data` is freed by fsha_free; it has one zero byte more than
 * `*ret_size`. FSHA_E_NOT_FOUND; FSHA_E_CORRUPT: the newest version is damaged (never a reason to
 * fall back to an older one). `ret_version` may be NULL. Flink: getAndLock. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_get(fsha_state_store *store, const char *name,
					  void **ret_data, size_t *ret_size,
					  fsha_version *ret_version, fsha_error *reterr);

/**
 * One entry of fsha_state_store_get_all. With a result other than FSHA_OK there is no data, and
 * `error` says why.
 */
typedef struct fsha_state_entry {
	const char *name;
	const void *data;
	size_t size;
	fsha_version version;
	int32_t result;
	uint32_t reserved0;
	const fsha_error *error;
} fsha_state_entry;
/**
 * Hand every entry to `visit`, in order of names; a non-zero return of it ends the walk. A damaged
 * entry is handed over as such and does not hide the others; entries that vanish meanwhile are
 * skipped. Flink: getAllAndLock. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_get_all(fsha_state_store *store,
					      int (*visit)(void *ctx,
							   const fsha_state_entry *entry),
					      void *ctx, fsha_error *reterr);
/**
 * The names, sorted, as an array ended by NULL; free it with fsha_free (one call). Flink:
 * getAllHandles. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_list(fsha_state_store *store, char ***ret_names,
					   size_t *ret_count, fsha_error *reterr);

/**
 * Remove a name. FSHA_OK also when there is none. Flink: releaseAndTryRemove without a state to
 * discard. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_remove(fsha_state_store *store, const char *name,
					     fsha_version *ret_version, fsha_error *reterr);
/**
 * Remove every name. Goes on after an error and reports the first. Flink: clearEntries. Since
 * 0.1.
 */
FSHA_API fsha_result fsha_state_store_clear(fsha_state_store *store, fsha_error *reterr);
/**
 * Forget what this object holds of a name in memory. The entry stays. Flink: release. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_release(fsha_state_store *store, const char *name,
					      fsha_error *reterr);
/** Forget everything held in memory. Flink: releaseAll. Since 0.1. */
FSHA_API fsha_result fsha_state_store_release_all(fsha_state_store *store, fsha_error *reterr);

/**
 * After FSHA_E_INDOUBT: did the write that would have made `version` of `name` happen? FSHA_OK: it
 * did, and is durable. FSHA_E_NOT_FOUND: it did not and never will. FSHA_E_INDOUBT: still not
 * known. FSHA_E_VERSION: a newer version is there, it can no longer be told. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_settle(fsha_state_store *store, const char *name,
					     const fsha_version *version, fsha_error *reterr);

/** Free what the library returned. NULL is allowed. Since 0.1. */
FSHA_API void fsha_free(void *data);

#ifdef __cplusplus
}
#endif
#endif
