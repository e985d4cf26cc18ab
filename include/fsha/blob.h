/*
 * Binary large objects: JAR files and other large state. Flink: BlobStore, BlobStoreService,
 * BlobView, BlobKey, VoidBlobStore. Writers are the leaders of `dispatcher`. A blob has any size,
 * from 0 bytes to what the filesystem takes, and is never in memory whole. Results of writing
 * calls: see fsha/state.h; those of streams there too (FSHA_E_VERSION of fsha_blob_store_put_fd).
 *
 * Where Flink's calls return true, these return FSHA_OK, and where they return false or throw, any
 * other result.
 *
 * The blobs of a job go with it: the leaders, and fsha_gc with FSHA_GC_WATCH, remove, in terms
 * after those in which they were written, what belongs to a job that has no graph, no running entry
 * and no dirty result, once nothing in its directory has changed for ten leases, where the job's
 * election was led and is vacant, and it has no checkpoints. So blobs may come before the graph;
 * who asks for FSHA_GC_UNKNOWN_JOBS gives that up. Blobs of no job are never removed so.
 *
 * A blob store may be used by any thread. Nothing is locked while the bytes of a blob pass.
 */
#ifndef FSHA_BLOB_H
#define FSHA_BLOB_H

#include "fsha/state.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- keys ---- */

typedef enum fsha_blob_type {
	FSHA_BLOB_PERMANENT = 0, /* "p": kept until it is deleted */
	FSHA_BLOB_TRANSIENT = 1  /* "t" */
} fsha_blob_type;

#define FSHA_BLOB_HASH_SIZE 20
#define FSHA_BLOB_RANDOM_SIZE 16
#define FSHA_BLOB_KEY_TEXT 76 /* bytes of a key as text, with the terminator */

/**
 * The key of a blob: the SHA-1 of its content, and random bytes that tell two uploads of one
 * content apart. The store takes the hash as it is and never compares it with the content, of which
 * it keeps a checksum of its own: to know that they fit compare with fsha_blob_key_of_file.
 * doc/INTERFACES.md says why.
 */
typedef struct fsha_blob_key {
	int32_t type; /* an fsha_blob_type */
	uint8_t hash[FSHA_BLOB_HASH_SIZE];
	uint8_t random[FSHA_BLOB_RANDOM_SIZE];
} fsha_blob_key;

/**
 * A key with fresh random bytes for content with this SHA-1 of FSHA_BLOB_HASH_SIZE bytes.
 * FSHA_E_INVALID, FSHA_E_IO (no random numbers to be had). Any thread. Since 0.1.
 */
FSHA_API fsha_result fsha_blob_key_make(fsha_blob_type type, const uint8_t *hash,
					fsha_blob_key *ret_key, fsha_error *reterr);
/**
 * The same for the content of a local file, which is read for it. FSHA_E_NOT_FOUND: there is none.
 * Any thread. Since 0.1.
 */
FSHA_API fsha_result fsha_blob_key_of_file(fsha_blob_type type, const char *local_file,
					   fsha_blob_key *ret_key, fsha_error *reterr);
/**
 * "p-" or "t-", 40 hex digits of the hash, "-", 32 of the random bytes, in lower case, into `text`
 * of FSHA_BLOB_KEY_TEXT bytes. Returns `text`; "" for a key of no type. Since 0.1.
 */
FSHA_API char *fsha_blob_key_format(const fsha_blob_key *key, char *text);
/** The same form back, digits in upper or lower case. FSHA_OK or FSHA_E_INVALID. Since 0.1. */
FSHA_API fsha_result fsha_blob_key_parse(const char *text, fsha_blob_key *ret_key);
/**
 * Less than, equal to or greater than 0, in Flink's order: by hash, then type (permanent first),
 * then random bytes; bytes without a sign. Since 0.1.
 */
FSHA_API int fsha_blob_key_compare(const fsha_blob_key *a, const fsha_blob_key *b);

/* ---- the store ---- */

typedef struct fsha_blob_store fsha_blob_store;

/**
 * Open the blob store of a cluster. Needs no leadership: anybody may read. Nothing is created
 * before the first write. Where a cluster lives in memory (NONE, embedded), it is a store that
 * keeps nothing, as in Flink. Flink: createBlobStore. Since 0.1.
 */
FSHA_API fsha_result fsha_blob_store_open(fsha_services *services, fsha_blob_store **ret_store,
					  fsha_error *reterr);
/**
 * A store that keeps nothing, for clusters without high availability (Flink: VoidBlobStore): put
 * and get are FSHA_E_UNSUPPORTED (false there), removing is FSHA_OK, the lists are empty. Since
 * 0.1.
 */
FSHA_API fsha_result fsha_blob_store_open_void(fsha_blob_store **ret_store, fsha_error *reterr);
/** Close; nothing is deleted. NULL is allowed. No other thread may be inside a call. Since 0.1. */
FSHA_API void fsha_blob_store_close(fsha_blob_store *store);

/*
 * `job` is NULL for a blob that belongs to no job.
 */

/**
 * Store a local file under a key, to its end, also where its size is said to be 0 (/proc). A blob
 * that has the key already is replaced, so that a put may be repeated: whoever puts other content
 * under a key has replaced it, see fsha_blob_key. FSHA_E_NOT_FOUND: there is no such file;
 * FSHA_E_INVALID: it is no regular file, or grew longer or shorter while it was read. Flink: put.
 * Since 0.1.
 */
FSHA_API fsha_result fsha_blob_store_put(fsha_blob_store *store, const char *local_file,
					 const fsha_job_id *job, const fsha_blob_key *key,
					 fsha_error *reterr);
/** The same with the bytes of a descriptor, see fsha_state_store_add_fd. Since 0.1. */
FSHA_API fsha_result fsha_blob_store_put_fd(fsha_blob_store *store, int fd, uint64_t size,
					    const fsha_job_id *job, const fsha_blob_key *key,
					    fsha_error *reterr);
/**
 * Fetch a blob into a local file, which appears whole and synced, by a rename from a name
 * ".fsha-<32 hex>" beside it, or not at all: after a failure a file that was there before is there
 * still. FSHA_E_NOT_FOUND: there is no such blob; FSHA_E_CORRUPT. The file gets mode 0666 less the
 * umask. Flink: get. Since 0.1.
 */
FSHA_API fsha_result fsha_blob_store_get(fsha_blob_store *store, const fsha_job_id *job,
					 const fsha_blob_key *key, const char *local_file,
					 fsha_error *reterr);
/**
 * Write a blob to a descriptor, see fsha_state_store_get_fd: only FSHA_OK says that what was
 * written is the blob. `ret_size` may be NULL. Since 0.1.
 */
FSHA_API fsha_result fsha_blob_store_get_fd(fsha_blob_store *store, const fsha_job_id *job,
					    const fsha_blob_key *key, int fd, uint64_t *ret_size,
					    fsha_error *reterr);

/** Delete a blob. FSHA_OK also when there is none. Flink: delete. Since 0.1. */
FSHA_API fsha_result fsha_blob_store_delete(fsha_blob_store *store, const fsha_job_id *job,
					    const fsha_blob_key *key, fsha_error *reterr);
/**
 * Delete all blobs of a job, with the directory that they were in. FSHA_OK also when there are
 * none. After another result some may be left: repeat it. Flink: deleteAll. Since 0.1.
 */
FSHA_API fsha_result fsha_blob_store_delete_all(fsha_blob_store *store, const fsha_job_id *job,
						fsha_error *reterr);
/**
 * Delete all blobs of the cluster. Goes on after an error and reports the first. Flink:
 * cleanupAllData. Since 0.1.
 */
FSHA_API fsha_result fsha_blob_store_cleanup_all(fsha_blob_store *store, fsha_error *reterr);

/**
 * The keys of a job's blobs, in Flink's order; free with fsha_free. Names that are no key are
 * skipped; `ret_skipped` (may be NULL) counts them. Since 0.1.
 */
FSHA_API fsha_result fsha_blob_store_list(fsha_blob_store *store, const fsha_job_id *job,
					  fsha_blob_key **ret_keys, size_t *ret_count,
					  size_t *ret_skipped, fsha_error *reterr);
/**
 * The jobs that have a directory for blobs, which may be empty, sorted; free with fsha_free.
 * `ret_no_job` (may be NULL): 1 when there is one for blobs of no job. Since 0.1.
 */
FSHA_API fsha_result fsha_blob_store_jobs(fsha_blob_store *store, fsha_job_id **ret_jobs,
					  size_t *ret_count, int *ret_no_job, fsha_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
