/*
 * Job graphs. Flink: JobGraphStore, JobGraphListener, StoredJobGraph. Writers are the leaders of
 * `dispatcher`. A job graph is bytes to us (the examples use JSON). Results of writing calls: see
 * fsha/state.h.
 *
 * The store remembers which graphs this object put or recovered (its own). Threads as for the state
 * store; listener callbacks run on the executor thread of the services.
 */
#ifndef FSHA_JOB_GRAPH_H
#define FSHA_JOB_GRAPH_H

#include "fsha/state.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fsha_job_graph_store fsha_job_graph_store;

/**
 * Told of the changes that others made: graphs that they added (the first look tells of every one
 * already there), and graphs that they removed although this object had put or recovered them.
 */
typedef struct fsha_job_graph_listener {
	size_t struct_size;
	void *ctx;
	void (*on_added_job_graph)(void *ctx, const fsha_job_id *id);
	void (*on_removed_job_graph)(void *ctx, const fsha_job_id *id);
	/* A name in the store that is no job id, a directory that cannot be read. May be NULL. */
	void (*handle_error)(void *ctx, const fsha_error *error);
} fsha_job_graph_listener;

/**
 * Open the job graphs of the cluster. Needs no leadership; nothing is created before the first put.
 * Flink: getJobGraphStore. Since 0.1.
 */
FSHA_API fsha_result fsha_job_graph_store_open(fsha_services *services,
					       fsha_job_graph_store **ret_store,
					       fsha_error *reterr);
/**
 * Tell `listener` (copied; NULL: nobody) of others' changes. A second start does nothing (as in
 * Flink). Since 0.1.
 */
FSHA_API fsha_result fsha_job_graph_store_start(fsha_job_graph_store *store,
						const fsha_job_graph_listener *listener,
						fsha_error *reterr);
/**
 * Tell nobody any more and forget which graphs are own. Idempotent; may be started again. Not
 * from a callback. Since 0.1.
 */
FSHA_API fsha_result fsha_job_graph_store_stop(fsha_job_graph_store *store, fsha_error *reterr);
/** Stops and frees. NULL is allowed. Since 0.1. */
FSHA_API void fsha_job_graph_store_close(fsha_job_graph_store *store);

/**
 * Store a job graph: a new one is added, an own one replaced. FSHA_E_STATE: not started, or the
 * graph is there and was neither put nor recovered by this object. Since 0.1.
 */
FSHA_API fsha_result fsha_job_graph_store_put(fsha_job_graph_store *store, const fsha_job_id *id,
					      const void *graph, size_t size, fsha_error *reterr);
/**
 * Read a job graph and make it own. FSHA_E_NOT_FOUND, FSHA_E_CORRUPT. Free with fsha_free. Since
 * 0.1.
 */
FSHA_API fsha_result fsha_job_graph_store_recover(fsha_job_graph_store *store,
						  const fsha_job_id *id, void **ret_graph,
						  size_t *ret_size, fsha_error *reterr);

#define FSHA_JOB_REQUIREMENTS_MAX (1024 * 1024) /* bytes of the resource requirements of a job */

/** A job graph with all that is stored with it. Flink: StoredJobGraph. */
typedef struct fsha_stored_job_graph {
	size_t struct_size;
	fsha_job_id id;
	const void *graph; /* with a zero byte behind it */
	size_t size;
	const char *requirements; /* JSON, with a zero byte behind it; NULL: none */
	size_t requirements_size;
	fsha_version version;
} fsha_stored_job_graph;
/**
 * As fsha_job_graph_store_recover, with the resource requirements. One piece of memory: free it
 * with one fsha_free. Since 0.1.
 */
FSHA_API fsha_result fsha_job_graph_store_recover_stored(fsha_job_graph_store *store,
							 const fsha_job_id *id,
							 fsha_stored_job_graph **ret_stored,
							 fsha_error *reterr);
/**
 * Store the resource requirements of a job with its graph, in place of those that it had, and make
 * the graph own. The graph stays as it is; putting another one drops them. After FSHA_E_INDOUBT
 * call it again.
 *
 * `requirements` is JSON of 1 to FSHA_JOB_REQUIREMENTS_MAX bytes, kept as it is. Where it has the
 * form {"<vertex id>": {"lowerBound": n, "upperBound": m}}, also with {"parallelism": {...}} in
 * between, each bound must be above 0, or -1 for the default, and the lower not above the upper:
 * FSHA_E_INVALID names the vertex. FSHA_E_NOT_FOUND: there is no such graph (Flink:
 * NoSuchElementException). Flink: putJobResourceRequirements. Since 0.1.
 */
FSHA_API fsha_result fsha_job_graph_store_put_job_resource_requirements(fsha_job_graph_store *store,
									const fsha_job_id *id,
									const char *requirements,
									size_t size,
									fsha_error *reterr);
/**
 * Remove a job graph, own or not; FSHA_OK also when there is none (Flink: globalCleanupAsync).
 * Since 0.1.
 */
FSHA_API fsha_result fsha_job_graph_store_remove(fsha_job_graph_store *store, const fsha_job_id *id,
						 fsha_error *reterr);
/** Own no more; the graph stays (Flink: localCleanupAsync). Since 0.1. */
FSHA_API fsha_result fsha_job_graph_store_release(fsha_job_graph_store *store,
						  const fsha_job_id *id, fsha_error *reterr);
/**
 * The ids of all graphs, sorted; free with fsha_free. Names that are no job id are skipped, also
 * those of files without a version (but for hidden ones, which NFS makes);
 * `ret_skipped` (may be NULL) counts them, and a started listener's handle_error is told each once.
 * Needs no start. Since 0.1.
 */
FSHA_API fsha_result fsha_job_graph_store_job_ids(fsha_job_graph_store *store,
						  fsha_job_id **ret_ids, size_t *ret_count,
						  size_t *ret_skipped, fsha_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
