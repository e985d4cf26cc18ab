/*
 * What the library's callbacks and the main loop of `fsha run` tell each other. The callbacks only
 * write down what happened and wake the loop; a revocation does not return before COMMAND is known
 * to be gone, or should long be, so that a resignation lets nobody in while it runs.
 */
#ifndef SRC_CLI_RUN_TERM_H
#define SRC_CLI_RUN_TERM_H

#include <pthread.h>
#include <stdbool.h>

#include "fsha/fsha.h"

struct run_term {
	int event_fd; /* readable when something changed */
	const char *address;
	fsha_services *services;
	int64_t patience_ns; /* how long a revocation waits */

	pthread_mutex_t mutex; /* of all below; no call into the library under it */
	pthread_cond_t changed;
	fsha_election *election; /* NULL: it is being started */
	bool leading;
	bool busy;        /* COMMAND of this or an earlier term may be alive */
	uint64_t grants;  /* so far */
	uint64_t started; /* the grant that COMMAND was last started for */
	fsha_shared_term term;
	int hold_fd, lease_fd; /* for the guard; -1 when it has them */
	bool failed;           /* leading, but unable to say so or to share the term */
	fsha_error error;
	char last_error[FSHA_MESSAGE_SIZE]; /* that handle_error printed */
};

/* -errno */
int run_term_init(struct run_term *t, const char *address);
/* Contend. `t` must then live as long as the process: a callback that hangs may still use it. */
fsha_result run_term_contend(struct run_term *t, fsha_services *services, const char *election,
			     int64_t patience_ns, fsha_error *reterr);

enum run_term_news {
	RUN_TERM_NOTHING,
	RUN_TERM_START, /* *ret_term is granted; the descriptors are the caller's now */
	RUN_TERM_STOP,  /* it was revoked while COMMAND may be alive */
	RUN_TERM_FAILED,
};
/* What the loop has to do. After START the term is busy until run_term_idle. */
enum run_term_news run_term_look(struct run_term *t, fsha_shared_term *ret_term, int *ret_hold_fd,
				 int *ret_lease_fd, fsha_error *reterr);
/* COMMAND is gone. */
void run_term_idle(struct run_term *t);

#endif
