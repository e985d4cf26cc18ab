/*
 * Inside a services object: what its threads share. One mutex guards all of it and is never held
 * during a system call on the shared directory or a callback, so questions such as has_leadership
 * are answered even while every thread hangs. Lock order: a store's mutex, then this one.
 *
 * Each thread is a loop around plain functions: it takes what it needs under the mutex, works
 * without it, and puts the result back. Waiting is on the thread's own event.
 */
#ifndef SRC_SERVICES_SERVICES_H
#define SRC_SERVICES_SERVICES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "fsha/services.h"
#include "src/cluster/cluster.h"
#include "src/config/config.h"
#include "src/election/term.h"
#include "src/member/member.h"
#include "src/state/store.h"

struct fsha_election;
struct fsha_retriever;
struct kept_store;
struct poller;
struct standalone;
struct still;
struct watcher;

/*
 * A thread of the services. It holds a reference on them, so that one that hangs at close does no
 * harm.
 */
struct worker {
	struct fsha_services *services;
	void (*run)(struct worker *worker);
	int event_fd;        /* -1: not made yet */
	bool started, ended; /* under the mutex */
};

/* Something for the executor, embedded in its object so that posting needs no memory. */
struct task {
	struct task *next;
	bool queued;
	/*
	 * Called with the mutex held; may drop it around callbacks. Returns true to be called
	 * again.
	 */
	bool (*run)(struct task *task);
};

/* Work for the thread of chores, embedded in its object so that posting needs no memory. */
struct chore {
	struct chore *next;
	void (*run)(struct chore *chore); /* without the mutex */
	/* It was given up while it ran: the last call, without the mutex. */
	void (*returned)(struct chore *chore);
	bool queued, running, abandoned; /* under the mutex */
};

struct chores {
	struct worker worker;
	struct chore *queue;
	pthread_t thread;
	bool thread_known;
};

/* A store that is open: the janitor cleans it. Freed by the last one that lets go of it. */
struct open_store {
	struct open_store *next;
	struct store *store;
	unsigned owners;  /* objects of the user */
	unsigned kept;    /* the janitor keeps it open for itself */
	unsigned hanging; /* of a closed object: threads that are still in a call */
	bool cleaning;    /* the janitor is in it */
};

/*
 * A term of another process of this host that this one takes part in, or one that standalone
 * services have without an election.
 */
struct attached_term {
	struct attached_term *next;
	struct term *term;
};

struct fsha_services {
	struct cluster cluster;
	enum config_mode mode;
	const struct fsu *memory;      /* the cluster's filesystem if it is one; memory_put it */
	struct standalone *standalone; /* in that mode; else NULL */
	struct counters counters;
	fsha_services_options options;
	int64_t poll_ns;       /* 0: by the kind of filesystem */
	char *job_result_path; /* NULL: in the cluster directory */
	bool job_result_delete;
	_Atomic unsigned refs; /* the caller's and one for each thread */

	pthread_mutex_t mutex;
	pthread_cond_t changed; /* CLOCK_MONOTONIC: what a caller waits for has changed */
	bool closing;
	struct member *member; /* NULL: none yet. Replaced only by the heartbeat thread */
	bool joining;
	struct fsha_election *elections;
	struct fsha_retriever *retrievers;
	struct open_store *stores;
	struct kept_store *kept; /* the janitor's own */
	struct still *still;     /* too: of members and leftovers, and of orphans; NULL: not yet */
	struct attached_term *attached;
	struct task *tasks, **tasks_end;
	pthread_t executor_thread;
	bool executor_known;
	struct watcher *watchers;

	struct worker executor, watchdog, heartbeat, claimer, poller, janitor;
	struct chores chores;
	struct poller *view; /* the poller's own */
};

static inline const struct fsu *services_fs(const struct fsha_services *s)
{
	return s->cluster.fs;
}
static inline void services_lock(struct fsha_services *s)
{
	(void)pthread_mutex_lock(&s->mutex);
}
static inline void services_unlock(struct fsha_services *s)
{
	(void)pthread_mutex_unlock(&s->mutex);
}

/* As fsha_services_open, over any table of system calls. */
fsha_result services_open_with(const struct fsu *fs, const fsha_config *config,
			       const fsha_services_options *options, fsha_services **ret_services,
			       fsha_error *reterr);
void services_ref(struct fsha_services *s);
void services_unref(struct fsha_services *s);

/* Start a worker if it does not run yet. Under the mutex. -errno. */
int worker_start(struct fsha_services *s, struct worker *w, void (*run)(struct worker *));
void worker_wake(struct worker *w);
/*
 * Wait for the worker's event, another descriptor (-1: none; true when it is readable) or the time.
 * Without the mutex.
 */
bool worker_wait(struct worker *w, int fd, int64_t deadline_ns);

/* ---- executor.c ---- */
void executor_run(struct worker *w);
void executor_post(struct fsha_services *s, struct task *task);   /* under the mutex */
void executor_cancel(struct fsha_services *s, struct task *task); /* under the mutex */
bool executor_is_me(const struct fsha_services *s);               /* under the mutex */

/* ---- chores.c; all under the mutex ---- */
void chores_run(struct worker *w);
/* Start the thread if it does not run yet. -errno. Without it chores wait for chores_run_one. */
int chores_start(struct fsha_services *s);
void chores_post(struct fsha_services *s, struct chore *chore);
/*
 * Wait until it is done. At the deadline, or without the thread: it is taken out of the queue.
 * False: it still runs, and chore->returned is called when that is over.
 */
bool chores_remove(struct fsha_services *s, struct chore *chore, int64_t deadline_ns);
bool chores_is_me(const struct fsha_services *s);
/* Do the next one in the caller's thread, for tests; drops the mutex. False: there is none. */
bool chores_run_one(struct fsha_services *s);

/* ---- heartbeat.c ---- */
void heartbeat_run(struct worker *w);
void watchdog_run(struct worker *w);
/* Make this process a member if it is none, in the caller's thread. */
fsha_result heartbeat_join(struct fsha_services *s, fsha_error *reterr);
/*
 * What a clean end leaves to do: this process is no member any more, and its directory is taken
 * away. May hang.
 */
void heartbeat_leave(struct fsha_services *s);
/* Is it a member of this process, present or former? Under the mutex. */
bool heartbeat_is_own(const struct fsha_services *s, const struct fsu_uuid *member);

/* ---- janitor.c ---- */
void janitor_run(struct worker *w);
/* Until when trash is emptied in a round that begins now: for half of the time, but closing waits.
 */
int64_t janitor_trash_until(const struct fsha_services *s);

/* ---- close.c ---- */
/* STATE, with the names of all that its user has not closed; and in a callback. Under the mutex. */
fsha_result services_check_all_closed(const struct fsha_services *s, fsha_error *reterr);

/* ---- services.c ---- */

/* At close. Under the mutex. */
bool services_all_ended(const struct fsha_services *s);
void services_wake_all(struct fsha_services *s);

/* Wait for `changed` until now_ns() >= deadline_ns; false then. Under the mutex. */
bool services_wait(struct fsha_services *s, int64_t deadline_ns);
/* How long closing waits, from now on: a lease, and no less than a busy disk may need. */
int64_t services_close_deadline_ns(const struct fsha_services *s);
/*
 * The live term of an election (encoded) that this process leads or is attached to: a reference, or
 * NULL.
 */
struct term *services_term(void *services, const char *election);
fsha_result services_store_open(struct fsha_services *s, const struct store_options *options,
				struct store **ret_store, fsha_error *reterr);
void services_store_close(struct fsha_services *s, const struct store *store);
/*
 * The same for the janitor, which looks after it when no user has it open; and a user who opens it
 * then gets the same object.
 */
fsha_result services_store_keep(struct fsha_services *s, const struct store_options *options,
				struct store **ret_store, fsha_error *reterr);
void services_store_drop(struct fsha_services *s, const struct store *store);
/*
 * Its owner gives it up while a thread hangs in it, which returns it when it comes back. Under the
 * mutex.
 */
void services_store_abandon(struct fsha_services *s, const struct store *store);
/* Without it. */
void services_store_return(struct fsha_services *s, const struct store *store);
/* Take a store out of the list: under the mutex. Free it: without, since that closes files. */
void services_store_unlist(struct fsha_services *s, struct open_store *o);
void services_store_free(struct fsha_services *s, struct open_store *o);
void services_log(const struct fsha_services *s, int level, const char *event, const char *format,
		  ...) __attribute__((format(printf, 4, 5)));
/* Encode an election's name. INVALID when it is none. */
fsha_result services_encode_election(const char *name, char *ret_component, fsha_error *reterr);

#endif
