/*
 * The guard of `fsha run`: a small process, forked while there is only one thread, that is the
 * parent of COMMAND and ends it before anybody else can lead, also when the main process was killed
 * or stopped. The main process contends and tells it what to do over a socket; this header is that
 * protocol.
 *
 *   IDLE --START--> RUNNING --STOP, socket closed, lease short, COMMAND ended--> STOPPING
 *     ^                                                                             |
 *     \------------- ENDED, when the last descendant is reaped <--- TERM, then KILL /
 *
 * While COMMAND or anything it started may be alive, the guard holds a copy of the descriptor of
 * the member's lock: others do not take the leader for dead by its lock until the guard lets go.
 *
 * The guard cannot help when it is stopped or killed itself together with the main process: COMMAND
 * runs on in the one case, and what it started in the other (PDEATHSIG is for a child alone). Then
 * the store refuses what they write, and other effects are their own. They do not inherit the lock:
 * nobody would end them for it, the next leader would only come a lease later, and a member would
 * look alive for as long as one of them lives.
 */
#ifndef SRC_CLI_GUARD_H
#define SRC_CLI_GUARD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fsha/fsha.h"

enum guard_message_type {
	/* to the guard */
	GUARD_START = 1, /* with the hold descriptor and that of the lease page */
	GUARD_STOP,      /* the leadership is lost */
	GUARD_SIGNAL,    /* `value` to COMMAND */
	/* from the guard */
	GUARD_STARTED, /* `value`: COMMAND's process, and its group */
	GUARD_ENDED,   /* COMMAND and all below it are gone; `value`: its wait status */
};

enum guard_failure {
	GUARD_FAILURE_NONE,
	GUARD_FAILURE_EXEC,  /* COMMAND could not be executed */
	GUARD_FAILURE_START, /* it did not come so far */
};

struct guard_message {
	uint32_t type;
	int32_t value;
	/* ENDED */
	uint32_t failure; /* an enum guard_failure, with the errno in `value` */
	uint32_t stopped; /* 1: the guard had begun to stop it before it ended */
	/* START */
	uint64_t epoch;
	int64_t grace_ns;  /* between TERM and KILL */
	int64_t margin_ns; /* KILL at the latest so long before the lease runs out */
	uint32_t lease_ms;
	char session[FSHA_UUID_TEXT], cluster[FSHA_UUID_TEXT];
	char lease_path[FSHA_LEASE_PATH_SIZE];
};

/* What stays the same for every term. */
struct guard_command {
	char **argv; /* ended by NULL */
	const char *election, *address;
	const fsha_config *config;
	const sigset_t *signals; /* the mask that COMMAND gets */
};

/* ---- guard_link.c: for the main process ---- */

struct guard {
	pid_t pid;
	int fd; /* readable when there is a message, or the guard is gone */
};

/* -errno. To be called before there are threads. */
int guard_fork(struct guard *ret_guard, const struct guard_command *command);
/* The descriptors of START are sent along, and stay the caller's; -1 for other messages. -errno. */
int guard_send(const struct guard *guard, const struct guard_message *message, int hold_fd,
	       int lease_fd);
/* 1: a message; 0: none now; -EPIPE: the guard is gone. */
int guard_receive(const struct guard *guard, struct guard_message *ret_message);
/* Closes the socket, so that an idle guard ends, and waits for it. */
void guard_close(struct guard *guard);

/* ---- guard.c: the process itself ---- */

_Noreturn void guard_main(int socket, const struct guard_command *command);

/* ---- guard_child.c: its children ---- */

/*
 * Forks COMMAND in a process group of its own. `report` is shared memory, where the errno of an
 * execve that fails appears before the child ends. Returns its pid, or -errno.
 */
pid_t guard_child_start(const struct guard_command *command, const struct guard_message *start,
			volatile int *report);
/*
 * Signals whoever left the group and has become a child of this process since; with SIGTERM once.
 */
void guard_child_signal_orphans(pid_t group, int number);
/* Signals everything below this process as far as it can be seen: the group, and those. */
void guard_child_signal_all(pid_t group, int number);

#endif
