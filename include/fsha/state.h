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
 * Whose leaders write in `namespace_`: what its first writer recorded, into FSHA_NAME_MAX + 1
 * bytes. So a reader need not know it. Never changes once it is there. FSHA_E_NOT_FOUND: nothing
 * was written there yet; FSHA_E_CORRUPT: the record is damaged. Needs no leadership. Any thread.
 * Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_owner(fsha_services *services, const char *namespace_,
					    char *ret_election, fsha_error *reterr);

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
 * NULL when size is 0.
 *
 * A name whose removal has begun (see fsha_state_store_release_and_try_remove) is first removed to
 * the end, with this object's discard function; when that fails its result is returned and nothing
 * is added. Without a discard function it is FSHA_E_EXISTS, and the message says what to do. Since
 * 0.1.
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
 * fall back to an older one); FSHA_E_INVALID: it came as a stream and has more than
 * FSHA_STATE_VALUE_MAX bytes, see fsha_state_store_get_fd. `ret_version` may be NULL. Flink:
 * getAndLock. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_get(fsha_state_store *store, const char *name,
					  void **ret_data, size_t *ret_size,
					  fsha_version *ret_version, fsha_error *reterr);

/*
 * Values of any size, up to what the filesystem takes, with the memory of one chunk. Such an entry
 * is one as any other: for exists, list, remove, replace, and, as far as it fits into memory, get.
 *
 * While its bytes pass nothing is locked, other calls on the store go on, and the term of office
 * may end: then nothing is done (FSHA_E_NOT_LEADER, FSHA_E_FENCED). FSHA_E_VERSION, here also of
 * adding: another call wrote or removed that name meanwhile; nothing was done, try again. FSHA_E_IO
 * also when the source or the target failed; error.op is "read" or "write" then.
 */

/* As `size`: all up to the end. */
#define FSHA_TO_END UINT64_MAX

/**
 * As fsha_state_store_add, with the bytes of a descriptor from where it stands: `size` of them, or
 * all up to its end (FSHA_TO_END). FSHA_E_INVALID also when it ends before, or cannot be read. A
 * pipe or socket is waited for without limit; one that is set not to block (EAGAIN) is an error.
 * Where the descriptor stands afterwards is told only by FSHA_OK: behind what was read. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_add_fd(fsha_state_store *store, const char *name, int fd,
					     uint64_t size, fsha_version *ret_version,
					     fsha_error *reterr);
/** As fsha_state_store_replace, with the bytes of a descriptor. Since 0.1. */
FSHA_API fsha_result fsha_state_store_replace_fd(fsha_state_store *store, const char *name,
						 const fsha_version *expected, int fd,
						 uint64_t size, fsha_version *ret_version,
						 fsha_error *reterr);
/**
 * Write the value of a name to a descriptor, from where that stands. Only FSHA_OK says that what
 * was written is the value: the checksum is behind its last byte, so after any other result throw
 * away what was written. FSHA_E_NOT_FOUND, FSHA_E_CORRUPT as fsha_state_store_get; FSHA_E_VERSION:
 * the value was replaced and taken away while it was read, read again. `ret_size` and `ret_version`
 * may be NULL. Nothing is synced. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_get_fd(fsha_state_store *store, const char *name, int fd,
					     uint64_t *ret_size, fsha_version *ret_version,
					     fsha_error *reterr);

/**
 * Puts the next bytes of a value, at least 1 and at most `size`, into `buf` and returns how many; 0
 * at the end of the value. Less than 0 (a negative errno, for the message) ends the call that asked
 * with FSHA_E_IO: nothing is written. Called in the thread of that call, with nothing locked.
 */
typedef int64_t fsha_read_function(void *ctx, void *buf, size_t size);
/**
 * Takes the next bytes of a value and returns 0. Anything else (a negative errno, for the message)
 * ends the call that reads with FSHA_E_IO. Called in the thread of that call, with nothing locked.
 */
typedef int fsha_write_function(void *ctx, const void *data, size_t size);

/** As fsha_state_store_add, with what `read` gives. It is called until it ends. Since 0.1. */
FSHA_API fsha_result fsha_state_store_add_stream(fsha_state_store *store, const char *name,
						 fsha_read_function *read, void *ctx,
						 fsha_version *ret_version, fsha_error *reterr);
/** As fsha_state_store_replace, with what `read` gives. Since 0.1. */
FSHA_API fsha_result fsha_state_store_replace_stream(fsha_state_store *store, const char *name,
						     const fsha_version *expected,
						     fsha_read_function *read, void *ctx,
						     fsha_version *ret_version, fsha_error *reterr);
/** As fsha_state_store_get_fd, into `write`. Since 0.1. */
FSHA_API fsha_result fsha_state_store_get_stream(fsha_state_store *store, const char *name,
						 fsha_write_function *write, void *ctx,
						 uint64_t *ret_size, fsha_version *ret_version,
						 fsha_error *reterr);

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
 * The names of what exists, sorted, as an array ended by NULL; free it with fsha_free (one call).
 * Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_list(fsha_state_store *store, char ***ret_names,
					   size_t *ret_count, fsha_error *reterr);

/** A name as a listing shows it, without reading its value. */
typedef struct fsha_state_handle {
	const char *name;
	fsha_version version;
	uint32_t marked; /* 1: its removal has begun and is not finished; it does not exist */
	uint32_t reserved0;
} fsha_state_handle;
/**
 * All names, sorted, those whose removal has begun too, and those whose values are damaged. Free
 * the array with fsha_free (one call). Flink: getAllHandles. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_get_all_handles(fsha_state_store *store,
						      fsha_state_handle **ret_handles,
						      size_t *ret_count, fsha_error *reterr);

/**
 * How what a value points to (a file, say) is discarded. Gets the name and the value as it was;
 * FSHA_OK when what it points to is gone, which includes: was gone before. Any other result keeps
 * the entry marked and comes back to who removes it, with the message in `reterr`, if it wrote one.
 * A value of more than FSHA_STATE_VALUE_MAX bytes is not handed over: `data` is NULL and `size` 0.
 *
 * It is called again for the same value after a failure, and after a crash, by another process,
 * and when two remove the same name at once. A leader that was paused in it may go on long after a
 * newer one has finished the removal. So it must be idempotent, and what a value points to must
 * have a name that is never used again. It is called in the thread that removes, with no lock of
 * the library held, and may call any function but close.
 */
typedef fsha_result (*fsha_discard_fn)(void *ctx, const char *name, const void *data, size_t size,
				       fsha_error *reterr);
/**
 * Say how this object discards. NULL, the default: its values point to nothing. Call it before
 * another thread uses the object. Flink: RetrievableStateHandle.discardState. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_set_discard(fsha_state_store *store, fsha_discard_fn discard,
						  void *ctx, fsha_error *reterr);
/**
 * Remove a name and discard what its value points to: neither outlives the other. The entry is
 * marked, which ends its existence for every reader (exists, get, list, get_all and replace do not
 * find it); then it is discarded; then the entry goes. Cut short anywhere, by a failure or the end
 * of the process, it stays marked, and the next call, in this process or a later leader's, goes on
 * (as does an add of the same name). Flink: releaseAndTryRemove.
 *
 * `ret_removed` (may be NULL) is 1 with FSHA_OK, 0 otherwise. FSHA_OK also when there is no such
 * name. The discard function's own result: it failed, and the entry stays marked. FSHA_E_STATE: it
 * is marked, and this object has no discard function. FSHA_E_CORRUPT: what it points to cannot be
 * read; fsha_state_store_remove removes it without discarding. FSHA_E_INDOUBT: call it again. Since
 * 0.1.
 */
FSHA_API fsha_result fsha_state_store_release_and_try_remove(fsha_state_store *store,
							     const char *name, int *ret_removed,
							     fsha_error *reterr);

/**
 * Remove a name without discarding anything, marked or not. FSHA_OK also when there is none. Since
 * 0.1.
 */
FSHA_API fsha_result fsha_state_store_remove(fsha_state_store *store, const char *name,
					     fsha_version *ret_version, fsha_error *reterr);
/**
 * Remove every name, marked or not, without discarding anything. Up to FSHA_STATE_BATCH_MAX names
 * go in one batch: all of them or none. With more it goes on after an error and reports the first.
 * Flink: clearEntries. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_clear(fsha_state_store *store, fsha_error *reterr);
#define FSHA_STATE_BATCH_MAX 65536                     /* changes in one batch */
#define FSHA_STATE_BATCH_SIZE_MAX (UINT64_C(64) << 20) /* bytes of all values in it */

/** What a change does to its name. */
enum {
	FSHA_STATE_PUT = 0,     /* add or replace, whichever it is */
	FSHA_STATE_ADD = 1,     /* FSHA_E_EXISTS when there is one */
	FSHA_STATE_REPLACE = 2, /* FSHA_E_NOT_FOUND, and FSHA_E_VERSION unless it is `expected` */
	FSHA_STATE_REMOVE = 3   /* nothing to do when there is none; FSHA_E_VERSION as above */
};
/** A change of one name. */
typedef struct fsha_state_change {
	uint32_t how;       /* FSHA_STATE_... */
	uint32_t reserved0; /* must be 0 */
	const char *name;
	const fsha_version *expected; /* NULL: any; FSHA_STATE_PUT and _ADD take none */
	const void *data;             /* may be NULL when size is 0; _REMOVE takes none */
	size_t size;
} fsha_state_change;
/**
 * Make `count` changes of different names at once: all of them or none, whatever happens, in one
 * commit, so a thousand cost little more than one. At most FSHA_STATE_BATCH_MAX changes with values
 * of FSHA_STATE_BATCH_SIZE_MAX bytes in all; none at all is FSHA_OK.
 *
 * `ret_version` (may be NULL) gets the one version that all of them have now, also with
 * FSHA_E_INDOUBT; it stays as it was when there was nothing to do. In doubt are all of them
 * together: fsha_state_store_settle with this version and any of the names that were put tells.
 *
 * When a change may not be made, its result is the result, its number goes to `ret_failed` (may be
 * NULL), and nothing is written: the first of them counts. FSHA_E_EXISTS also for a put or an add
 * of a name whose removal has begun. FSHA_E_INVALID: a name that is none or comes twice, a value
 * that is too large. `*ret_failed` is `count` when no one change is at fault.
 *
 * Flink: none; etcd and ZooKeeper have multi. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_batch(fsha_state_store *store,
					    const fsha_state_change *changes, size_t count,
					    fsha_version *ret_version, size_t *ret_failed,
					    fsha_error *reterr);

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
 * known, or not any more: it did and was removed since, or the storage failed again when it was
 * found out in the background. FSHA_E_VERSION: a newer version is
 * there, it can no longer be told. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_settle(fsha_state_store *store, const char *name,
					     const fsha_version *version, fsha_error *reterr);

/**
 * The store in a line for people: directory, election, how many entries. Cut off at `size` bytes
 * with the terminator. FSHA_OK; FSHA_E_INVALID; or why the entries could not be counted, which the
 * text then tells too. Flink: toString. Since 0.1.
 */
FSHA_API fsha_result fsha_state_store_to_string(fsha_state_store *store, char *text, size_t size);

/** Free what the library returned. NULL is allowed. Since 0.1. */
FSHA_API void fsha_free(void *data);

#ifdef __cplusplus
}
#endif
#endif
