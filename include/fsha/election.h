/*
 * Leader election. Flink: LeaderElectionService, LeaderContender.
 *
 * A contender is told grant(session), revoke, grant(session'), revoke, ... strictly in turn. The
 * session is a fresh UUID for every term, and the fencing token: whatever a contender writes goes
 * under it, and nothing written under an older one can become visible once a newer leader has been
 * granted.
 */
#ifndef FSHA_ELECTION_H
#define FSHA_ELECTION_H

#include "fsha/services.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FSHA_ELECTION_RESOURCE_MANAGER "resource_manager"
#define FSHA_ELECTION_DISPATCHER "dispatcher"
#define FSHA_ELECTION_REST_ENDPOINT "rest_endpoint"
#define FSHA_ELECTION_WEB_MONITOR FSHA_ELECTION_REST_ENDPOINT /* Flink's older name of it */
#define FSHA_ELECTION_JOB_TEXT 37 /* bytes of the name of a job's election, with the terminator */

/**
 * The name of the election of a job's master, "job-<32 hex digits>", into `text` of
 * FSHA_ELECTION_JOB_TEXT bytes. Returns `text`. Flink: getJobManagerLeaderElection(JobID). Any
 * thread. Since 0.1.
 */
FSHA_API char *fsha_job_election_name(const fsha_job_id *id, char *text);

typedef struct fsha_election fsha_election;

/**
 * Who wants to lead. All run on the executor thread, one at a time; they may call any function of
 * this header but close.
 */
typedef struct fsha_contender {
	size_t struct_size;
	void *ctx;
	/*
	 * You lead, under `session`; `epoch` rises with every term. Confirm when you are ready to
	 * be found.
	 */
	void (*grant_leadership)(void *ctx, const fsha_uuid *session, uint64_t epoch);
	/* You lead no more. Called once for each grant. */
	void (*revoke_leadership)(void *ctx);
	/*
	 * Something failed that you cannot see otherwise. `error` lives for the call. May be
	 * NULL.
	 */
	void (*handle_error)(void *ctx, const fsha_error *error);
} fsha_contender;

/**
 * Contend for the election `name` (any name of 1 to FSHA_NAME_MAX bytes once encoded). `contender`
 * is copied. The process becomes a member of the cluster with its first election.
 *
 * FSHA_OK: contending; the grant comes by callback, for which *ret_election is set already.
 * FSHA_E_STATE: this services object already contends for it. FSHA_E_IO and so on: could not become
 * a member or make the election's directory.
 *
 * Any thread, not from a callback. May block for as long as the filesystem does. Since 0.1.
 */
FSHA_API fsha_result fsha_election_start(fsha_services *services, const char *name,
					 const fsha_contender *contender,
					 fsha_election **ret_election, fsha_error *reterr);

/**
 * The same for the master of a job: contends for fsha_job_election_name(job). Flink:
 * getJobManagerLeaderElection(JobID). Since 0.1.
 */
FSHA_API fsha_result fsha_election_start_job(fsha_services *services, const fsha_job_id *job,
					     const fsha_contender *contender,
					     fsha_election **ret_election, fsha_error *reterr);

/**
 * Publish where the leader is to be found, once a term. Flink: confirmLeadership.
 *
 * `address` is at most FSHA_ADDRESS_MAX bytes, opaque. FSHA_OK: published and durable, or `session`
 * is not the present term (ignored, as in Flink). FSHA_E_STATE: confirmed already in this term.
 * FSHA_E_FENCED, FSHA_E_INDOUBT, FSHA_E_IO, FSHA_E_NOMEM: not published as far as is known; the
 * library goes on trying while the term lasts.
 *
 * Any thread. From a callback, such as grant_leadership, it does not wait: FSHA_OK says that the
 * address is taken and another thread publishes it at once. Since 0.1.
 */
FSHA_API fsha_result fsha_election_confirm_leadership(fsha_election *election,
						      const fsha_uuid *session, const char *address,
						      fsha_error *reterr);

/**
 * Does this process lead now, under `session`? Compares the lease with the clock itself, so it is
 * right even while every thread hangs in the kernel, and before the revocation was delivered.
 * Touches no file. Any thread. Since 0.1.
 */
FSHA_API int fsha_election_has_leadership(const fsha_election *election, const fsha_uuid *session);

/**
 * The present term: 1 and its session and epoch (either may be NULL), or 0 when this process does
 * not lead. Since 0.1.
 */
FSHA_API int fsha_election_term(const fsha_election *election, fsha_uuid *ret_session,
				uint64_t *ret_epoch);

/**
 * Give the leadership up but keep contending: the contender is revoked, "no leader" is published,
 * and another may take over at once; this process stands back for a poll interval.
 * FSHA_E_NOT_LEADER when it does not lead under `session`. Any thread. Since 0.1.
 */
FSHA_API fsha_result fsha_election_resign(fsha_election *election, const fsha_uuid *session,
					  fsha_error *reterr);

/**
 * Stop contending. When leading: revoke_leadership is called once (and has returned) before this
 * returns, then the leadership is resigned, so that the next leader needs no timeout.
 *
 * FSHA_E_TIMEOUT after a lease (3 s at least): a callback of yours is still running, or the
 * filesystem hangs; the object is closed all the same, nothing more is called but what runs now,
 * and its memory is freed when that ends. NULL is allowed. Not from a callback (FSHA_E_STATE, and
 * still open). Since 0.1.
 */
FSHA_API fsha_result fsha_election_close(fsha_election *election, fsha_error *reterr);

/**
 * A short term of office, for tools: claim `name` if nobody holds it, wait for the grant for at
 * most `timeout_ms`, and hold it until fsha_election_close. The holder's writes go under
 * *ret_session.
 *
 * FSHA_E_NOT_LEADER: somebody leads, whose heart beats (the message says where); nothing was
 * changed. It takes up to half a lease to tell. FSHA_E_TIMEOUT: the holder may be dead, but its
 * lease has not run out yet: 3/2 leases are enough to know. Any thread, not from a callback.
 * Since 0.1.
 */
FSHA_API fsha_result fsha_election_acquire(fsha_services *services, const char *name,
					   uint32_t timeout_ms, fsha_election **ret_election,
					   fsha_uuid *ret_session, fsha_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
