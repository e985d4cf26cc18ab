/*
 * The directory poller: one statx(FORCE_SYNC) of leaders/ tells whether anything changed, however
 * many retrievers and elections watch; only then is it listed, and only new names are opened. A
 * job-graph listener adds job_graphs/. Once a lease it looks in full regardless.
 */
#ifndef SRC_RETRIEVAL_POLLER_H
#define SRC_RETRIEVAL_POLLER_H

#include "src/leader/leader.h"
#include "src/services/services.h"

/*
 * What else may be polled: `look` is called in the poller's thread when the directory changed, and
 * once a lease.
 */
struct polled {
	struct polled *next;
	struct fsu_watch *watch; /* the poller's own */
	int dir_fd;
	void (*look)(struct polled *polled);
	/* It was removed while `look` ran: called without the mutex when that is over. */
	void (*abandoned)(struct polled *polled);
	bool looking; /* under the mutex */
	bool removed; /* while it was looked at; under the mutex */
	bool fresh;   /* not looked at yet */
};

/* Start the thread if it does not run yet. Under the mutex. -errno. */
int poller_start(struct fsha_services *s);
void poller_destroy(struct fsha_services *s);
/* Look at once. Under the mutex or not. */
void poller_refresh(struct fsha_services *s);
/*
 * Add and remove; removing waits until `look` does not run. At the deadline: false, and `abandoned`
 * tells when it is over. Under the mutex.
 */
void poller_add(struct fsha_services *s, struct polled *polled);
bool poller_remove(struct fsha_services *s, struct polled *polled, int64_t deadline_ns);

/* The leader of an election as last seen, or NULL when there is no record. Under the mutex. */
const struct leader *poller_leader(const struct fsha_services *s, const char *component);

/* ---- retriever.c ---- */

/* To look through them. Under the mutex. */
const struct fsha_retriever *retriever_next(const struct fsha_retriever *r);
const char *retriever_component(const struct fsha_retriever *r);

/* The leader record of an election changed (NULL: it is gone). Under the mutex. */
void retriever_notify(struct fsha_services *s, const char *component, const struct leader *leader);
/* Is this member the leader that some listener was told of? Under the mutex. */
bool retriever_wants(const struct fsha_services *s, const struct fsu_uuid *member);
/*
 * A leader whose process is dead leaves its record behind until another leads: listeners are told
 * that there is no leader. Under the mutex.
 */
void retriever_bury(struct fsha_services *s);
/* leaders/ could not be read. Under the mutex. */
void retriever_error(struct fsha_services *s, const char *component, const fsha_error *error);

#endif
