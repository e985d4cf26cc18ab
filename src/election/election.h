/*
 * One contender in one election: its state under the services' mutex, the step that the claimer
 * takes for it, and what the executor tells the contender.
 *
 *   STANDBY --claim won--> LEADING --lease out / fenced--> STANDBY
 *                             \--resign, close--> (contender revoked) --> vacated --> STANDBY or
 * gone
 *
 * `term` is what this process holds; `told` is what the contender knows. The executor makes `told`
 * follow: revoke first, then grant, so the contender sees strict alternation however fast terms
 * come and go.
 */
#ifndef SRC_ELECTION_ELECTION_H
#define SRC_ELECTION_ELECTION_H

#include "fsha/election.h"
#include "src/leader/leader.h"
#include "src/member/watch.h"
#include "src/services/services.h"

struct fsha_election {
	struct fsha_election *next;
	struct fsha_services *services;
	_Atomic unsigned refs;
	char *component; /* its name, encoded */
	fsha_contender contender;
	int dir_fd;
	/*
	 * One leader record at a time, and what it says is decided while it is held: else the
	 * record of the grant could come out on top of the confirmation. Taken before the services'
	 * mutex.
	 */
	pthread_mutex_t publishing;

	/* Under the services' mutex: */
	struct task task;
	struct term *term; /* NULL: not leading */
	bool told;         /* the contender was granted and not yet revoked */
	struct fsu_uuid told_session;
	bool calling;  /* a callback of it runs now */
	bool stepping; /* the claimer works on it now */
	bool closing, resigning;
	bool closed;    /* its owner hears no more of it */
	bool abandoned; /* the owner gave up waiting: the claimer drops its reference */
	bool confirmed;
	bool publish_due; /* the leader record is missing or not what it should be */
	char address[FSHA_ADDRESS_MAX + 1];
	fsha_version published;   /* the newest leader record of this term */
	int64_t published_ns;     /* when it was known to be there */
	fsha_version overwritten; /* a record that stands above ours; all zero: none */
	int64_t stand_back_ns;    /* after a resignation others go first until then */
	struct fsu_uuid
		holder; /* whom the epoch file named at the last look; null: vacant or ourselves */
	bool holder_beats;        /* the holder is alive beyond doubt */
	struct epoch outwaited;   /* a dead holder that may lead on for a while, ... */
	int64_t outwait_until_ns; /* ... and until when it is left that time */
	int64_t leaving_since_ns; /* when resigning was first tried; 0: not */
	int64_t due_ns;           /* when the claimer looks at it next */
	bool history_due;
	fsha_error error;         /* the last one; OK: none yet */
	bool has_error;           /* it is to be told to the contender */
	struct member *stands_as; /* the member that shows it; NULL: none */
	uint64_t stands_number;
	uint64_t grants; /* terms so far, for the metrics */
};

void election_unref(struct fsha_election *e);
/* Look at it now, or at a time. Under the mutex. */
void election_poke(struct fsha_election *e);
void election_poke_at(struct fsha_election *e, int64_t due_ns);
/*
 * Remember an error for the contender (the last one counts) and wake the executor. Under the mutex.
 */
void election_error(struct fsha_election *e, const fsha_error *error);
/* Does the term of this election live? Under the mutex. */
bool election_leads(const struct fsha_election *e);

/* A leader record of `term` was published, or not. */
void election_published(struct fsha_election *e, const struct term *term, fsha_result result,
			const fsha_version *version);
/* Out of the services' list: nothing looks at it any more. Under the mutex. */
void election_unlist(struct fsha_election *e);

/*
 * The session that users know a term by: in standalone services the null one
 * (FSHA_DEFAULT_LEADER_ID), whatever it is called inside. Under the mutex.
 */
const struct fsu_uuid *election_session(const struct fsha_election *e);

/* ---- claimer.c: one step, in the claimer's thread, without the mutex ---- */
void claimer_run(struct worker *w);
void claimer_step(struct fsha_election *e);

/* ---- watcher.c ---- */
/*
 * Make sure that `member` is watched, by a thread of its own; the verdict as far as it is known.
 * Under the mutex.
 */
struct watcher_answer {
	enum member_verdict verdict;
	bool may_live; /* dead, but perhaps leading on by its own clock */
	bool beating;  /* alive beyond doubt: its heartbeat was seen to advance */
};
struct watcher_answer watcher_ask(struct fsha_services *s, const struct fsu_uuid *member);
/* Wake all, at close. Under the mutex. */
void watcher_wake_all(struct fsha_services *s);
/* Have all threads of watchers ended? Under the mutex. */
bool watcher_all_ended(const struct fsha_services *s);
void watcher_destroy_all(struct fsha_services *s);

#endif
