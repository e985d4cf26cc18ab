/*
 * A term shared with other processes: the children of a leader write under its session, and are
 * fenced with it. For programs such as `fsha run` that lead on behalf of a command.
 *
 * The leader opens its services with FSHA_SERVICES_SHARED_TERM. It gives its children the election,
 * epoch, session and the path of its lease page (on Linux /proc/<pid>/fd/<n>, so same host, same
 * user); a child attaches with them. A guard process that outlives the leader holds a copy of the
 * hold descriptor: as long as any process holds one, nobody else takes the leader for dead by its
 * lock.
 */
#ifndef FSHA_TERM_H
#define FSHA_TERM_H

#include "fsha/election.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FSHA_LEASE_PATH_SIZE 64

typedef struct fsha_shared_term {
	uint64_t epoch;
	fsha_uuid session;
	char lease_path[FSHA_LEASE_PATH_SIZE]; /* valid while the leader's process lives */
} fsha_shared_term;

/**
 * What a child needs to attach. FSHA_E_NOT_LEADER; FSHA_E_STATE without
 * FSHA_SERVICES_SHARED_TERM. Any thread. Since 0.1.
 */
FSHA_API fsha_result fsha_election_share(fsha_election *election, fsha_shared_term *ret_term,
					 fsha_error *reterr);

/**
 * Take part in a term of a process on this host: stores of this services object whose election is
 * `election` write under it. FSHA_E_FENCED: that term is over (another epoch, another session, its
 * lease ran out, or its process is gone). FSHA_E_STATE: already attached to, or contending for,
 * this election. Since 0.1.
 */
FSHA_API fsha_result fsha_services_attach(fsha_services *services, const char *election,
					  const fsha_shared_term *term, fsha_error *reterr);

/**
 * Descriptors for a guard, of the member that this process is now: `*ret_hold_fd` keeps the
 * member's lock as long as any process has it open (pass it on with SCM_RIGHTS: a fork() closes it
 * in the child); `*ret_lease_fd` is the lease page, to be mapped with fsha_lease_map. Both are
 * fresh, close-on-exec, and the caller's to close. FSHA_E_STATE without a member or without
 * FSHA_SERVICES_SHARED_TERM. Since 0.1.
 */
FSHA_API fsha_result fsha_services_guard_fds(fsha_services *services, int *ret_hold_fd,
					     int *ret_lease_fd, fsha_error *reterr);

typedef struct fsha_lease fsha_lease;
/** Map a lease page for reading; `fd` may be closed then. NULL when it is none. Since 0.1. */
FSHA_API const fsha_lease *fsha_lease_map(int fd);
/** Unmap a lease page. NULL is allowed. Since 0.1. */
FSHA_API void fsha_lease_unmap(const fsha_lease *lease);
/**
 * Nanoseconds of CLOCK_BOOTTIME until the lease runs out unless it is renewed; 0 or less: it did.
 * Safe in a signal handler and after fork(). Since 0.1.
 */
FSHA_API int64_t fsha_lease_remaining_ns(const fsha_lease *lease);

#ifdef __cplusplus
}
#endif
#endif
