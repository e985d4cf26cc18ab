/*
 * Leader retrieval. Flink: LeaderRetrievalService, LeaderRetrievalListener.
 */
#ifndef FSHA_RETRIEVAL_H
#define FSHA_RETRIEVAL_H

#include "fsha/election.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fsha_retriever fsha_retriever;

/** Who wants to know. Both run on the executor thread, one at a time. */
typedef struct fsha_leader_listener {
	size_t struct_size;
	void *ctx;
	/*
	 * The leader is at `address` under `session`; both NULL: there is no leader now. A pair
	 * that was delivered last is not delivered again, and neither is a first "no leader".
	 */
	void (*notify_leader_address)(void *ctx, const char *address, const fsha_uuid *session);
	/* May be NULL. */
	void (*handle_error)(void *ctx, const fsha_error *error);
} fsha_leader_listener;

/** What is published of an election. */
typedef struct fsha_leader_information {
	uint64_t epoch;        /* 0: nobody ever led, or nothing is elected (standalone) */
	fsha_uuid session;     /* null: no leader; or FSHA_DEFAULT_LEADER_ID (standalone) */
	fsha_uuid member;      /* the process that leads; null: no leader */
	int64_t since_wall_ns; /* when the leader was granted, by its wall clock; for people only */
	int32_t confirmed;     /* 1: the address is known */
	uint32_t reserved0;
	char address[FSHA_ADDRESS_MAX + 1]; /* "" until confirmed */
} fsha_leader_information;

/**
 * Tell `listener` who leads `name`, now and at every change. The listener is copied. Any thread.
 * Since 0.1.
 */
FSHA_API fsha_result fsha_retriever_start(fsha_services *services, const char *name,
					  const fsha_leader_listener *listener,
					  fsha_retriever **ret_retriever, fsha_error *reterr);
/**
 * The same for the master of a job. `default_address` (1 to FSHA_ADDRESS_MAX bytes; may be NULL) is
 * where standalone services say that it is; the others ignore it. Flink:
 * getJobManagerLeaderRetriever(JobID, String). Any thread. Since 0.1.
 */
FSHA_API fsha_result fsha_retriever_start_job(fsha_services *services, const fsha_job_id *job,
					      const char *default_address,
					      const fsha_leader_listener *listener,
					      fsha_retriever **ret_retriever, fsha_error *reterr);
/** Look again at once, for a client that just lost its connection. Any thread. Since 0.1. */
FSHA_API void fsha_retriever_refresh(fsha_retriever *retriever);
/**
 * Stop. No callback runs after it returns (FSHA_E_TIMEOUT after a lease, 3 s at least: one still
 * runs; it is the last). NULL is allowed. Not from a callback. Since 0.1.
 */
FSHA_API fsha_result fsha_retriever_stop(fsha_retriever *retriever, fsha_error *reterr);

/**
 * Read once who leads `name`, without a thread or a listener. FSHA_E_NOT_FOUND: there is no such
 * election. May block for as long as the filesystem does. Since 0.1.
 */
FSHA_API fsha_result fsha_leader_read(fsha_services *services, const char *name,
				      fsha_leader_information *ret_information, fsha_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
