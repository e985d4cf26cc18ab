/*
 * Job graphs: thin over the store, plus which graphs are own, plus a listener for others' changes.
 *
 * The sets are under a mutex that nobody holds while the storage is asked, because the executor
 * needs it and must not hang with a put. Lock order: writing, then mutex or the store's or the
 * services'.
 */
#ifndef SRC_JOB_GRAPH_JOB_GRAPH_H
#define SRC_JOB_GRAPH_JOB_GRAPH_H

#include <stdbool.h>

#include "fsha/job_graph.h"
#include "fsutil/fsu_watch.h"
#include "src/retrieval/poller.h"

struct id_set {
	fsha_job_id *ids; /* sorted */
	size_t count, size;
};

struct fsha_job_graph_store {
	struct fsha_services *services;
	struct store *store;
	pthread_mutex_t writing; /* one put or removal at a time; held while the storage is asked */
	pthread_mutex_t mutex;   /* of started and all sets; held for moments only */
	bool started;
	struct id_set own;           /* put or recovered by this object */
	const fsha_job_id *removing; /* by ourselves, now: no news to the listener */
	uint64_t removals;

	/* The listener. `polled` runs in the poller's thread, the deliveries on the executor. */
	fsha_job_graph_listener listener;
	bool listening;
	struct polled polled;
	struct fsu_watch watch;
	int dir_fd;
	struct task task;
	struct id_set seen; /* as the poller saw it last */
	struct id_set told; /* what the listener knows */
	/* Under the services' mutex: */
	bool calling;   /* a callback runs */
	bool polling;   /* the poller has `polled` */
	bool abandoned; /* closed while one of them was in it */
	unsigned users; /* the owner, the poller, a callback: the last one frees */
	fsha_error error;
	bool has_error;
};

/* ---- job_graph.c ---- */

fsha_result job_graph_check_started(fsha_job_graph_store *store, const fsha_job_id *id,
				    fsha_error *reterr);
/* Why requirements_join failed. */
fsha_result job_graph_cannot_join(int negative_errno, fsha_error *reterr);

/* ---- ids.c ---- */

int ids_compare(const void *a, const void *b);
bool ids_has(const struct id_set *set, const fsha_job_id *id);
/* 0, also when it is there, or -ENOMEM. */
int ids_add(const struct fsu *fs, struct id_set *set, const fsha_job_id *id);
void ids_remove(struct id_set *set, const fsha_job_id *id);
void ids_done(const struct fsu *fs, struct id_set *set);

/* ---- listener.c ---- */

/* Let it look again at what it passed over. */
void listener_wake(fsha_job_graph_store *store);
/* Nobody polls any more: close its files. */
void listener_done(fsha_job_graph_store *store);

/* One user less; the last one frees. Under the services' mutex. */
void job_graph_drop(fsha_job_graph_store *store);

#endif
