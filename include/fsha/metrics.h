/*
 * Metrics: what a services object did and how long it took, and how the cluster stands on disk; as
 * structs, and as text that Prometheus reads. examples/prometheus/alerts.yml has the alerts.
 *
 * Every line of the text has the label `cluster`, the id that the cluster got when it was made
 * (fsha_cluster_status): clusters of one name are told apart by it. fsha_cluster_info has the path.
 */
#ifndef FSHA_METRICS_H
#define FSHA_METRICS_H

#include "fsha/services.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What is counted and timed. Names in the text: "get", "list", and so on. */
typedef enum fsha_operation {
	FSHA_OPERATION_GET = 0,       /* one value of any store */
	FSHA_OPERATION_EXISTS = 1,    /* its version alone */
	FSHA_OPERATION_LIST = 2,      /* the names in a store */
	FSHA_OPERATION_WRITE = 3,     /* add, replace, put, of one value */
	FSHA_OPERATION_REMOVE = 4,    /* one value */
	FSHA_OPERATION_BATCH = 5,     /* many changes at once */
	FSHA_OPERATION_HEARTBEAT = 6, /* of this process's member */
	FSHA_OPERATION_CLAIM = 7, /* from the look at a vacant election to the grant or the loss */
	FSHA_OPERATION_PUBLISH = 8, /* leader information */
	FSHA_OPERATION_RESIGN = 9,  /* give a leadership back */
	FSHA_OPERATION_POLL = 10    /* one look of the poller at all directories that it watches */
} fsha_operation;
#define FSHA_OPERATIONS 11
/** "get" and so on; static. NULL for a number that is none. Since 0.1. */
FSHA_API const char *fsha_operation_text(fsha_operation operation);

#define FSHA_METRICS_BUCKETS 18

typedef struct fsha_operation_metrics {
	uint64_t done;     /* FSHA_OK */
	uint64_t refused;  /* by what is there or was asked: NOT_FOUND, EXISTS, VERSION, ... */
	uint64_t failed;   /* IO, CORRUPT, TIMEOUT, NOMEM */
	uint64_t fenced;   /* FENCED, NOT_LEADER */
	uint64_t in_doubt; /* INDOUBT */
	uint64_t total_ns; /* of all of them */
	/* Calls that took more than the bound before and at most fsha_metrics_bound_ns(i). */
	uint64_t buckets[FSHA_METRICS_BUCKETS];
} fsha_operation_metrics;
/**
 * The upper bound of a bucket of `buckets` in nanoseconds, 50 us to 10 s; INT64_MAX for the last.
 * Since 0.1.
 */
FSHA_API int64_t fsha_metrics_bound_ns(unsigned bucket);

/** What this services object did since it was opened. Set struct_size before the call. */
typedef struct fsha_metrics {
	size_t struct_size;
	fsha_operation_metrics operations[FSHA_OPERATIONS];
	uint64_t corrupt_records; /* reads that met a damaged record; one may count many times */
	int64_t lease_ns;
	int64_t lease_left_ns; /* until this process must stop leading; 0: it is no member now */
	uint32_t elections;    /* that it contends for */
	uint32_t leading;      /* of these */
	uint32_t stores;       /* that are open */
	uint32_t reserved0;
} fsha_metrics;
/**
 * Read them. Touches no file, so it answers even while the filesystem hangs; single numbers are
 * exact, together they may be of slightly different moments. Any thread, callbacks too.
 * FSHA_E_INVALID. Since 0.1.
 */
FSHA_API fsha_result fsha_metrics_read(fsha_services *services, fsha_metrics *ret_metrics,
				       fsha_error *reterr);

/**
 * The same, with a line for each election that this object contends for and each store that it has
 * open, in Prometheus' text format. `*ret_text` is freed by fsha_free; it ends in a newline and a
 * zero byte that `*ret_size` does not count. Touches no file. FSHA_E_INVALID, FSHA_E_NOMEM. Any
 * thread. Since 0.1.
 */
FSHA_API fsha_result fsha_metrics_text(fsha_services *services, char **ret_text, size_t *ret_size,
				       fsha_error *reterr);

/**
 * How the cluster stands, read from its directory: leaders, epochs, members, records and bytes in
 * each store, free space; in the same format, for a scraper's text file. `observe_ms` as in
 * fsha_status_read. FSHA_E_IO and so on. May block for as long as the filesystem does. Any thread,
 * not from a callback. Since 0.1.
 */
FSHA_API fsha_result fsha_metrics_cluster_text(fsha_services *services, uint32_t observe_ms,
					       char **ret_text, size_t *ret_size,
					       fsha_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
