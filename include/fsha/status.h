/*
 * The cluster as it is on disk: elections and members, for people and tools. Reading changes
 * nothing.
 */
#ifndef FSHA_STATUS_H
#define FSHA_STATUS_H

#include "fsha/retrieval.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How it is known whether a member's process lives. */
typedef enum fsha_liveness {
	FSHA_ALIVE_LOCK = 0,      /* its lock is held */
	FSHA_ALIVE_BEAT = 1,      /* its heartbeat was seen to advance */
	FSHA_DEAD_LOCK = 2,       /* its lock is free, and locks can be trusted here */
	FSHA_DEAD_BEAT = 3,       /* its heartbeat stood still for longer than the lease allows */
	FSHA_LIVENESS_UNKNOWN = 4 /* locks cannot be trusted here and the heartbeat was not watched
				     for long enough */
} fsha_liveness;
/** "alive (lock held)" and so on. Static. Since 0.1. */
FSHA_API const char *fsha_liveness_text(fsha_liveness liveness);
/** 1: alive, 0: dead, -1: unknown. Since 0.1. */
FSHA_API int fsha_liveness_is_alive(fsha_liveness liveness);

typedef struct fsha_member_status {
	fsha_uuid member;
	fsha_liveness liveness;
	int32_t pid;
	int64_t started_wall_ns;
	uint64_t beat; /* the number of its last heartbeat */
	char host[256];
	char boot_id[FSHA_UUID_TEXT];
	char version[32]; /* of the library it runs */
} fsha_member_status;

typedef struct fsha_election_status {
	const char *name;
	fsha_leader_information leader; /* as published; session null: no leader */
	uint64_t epoch;                 /* of the fencing-epoch file: the last term begun */
	fsha_uuid holder;               /* its member; null: vacant */
	const fsha_member_status *holder_status;   /* NULL: vacant, or its directory is gone */
	const fsha_member_status *const *standbys; /* members that contend and do not hold it */
	size_t standby_count;
} fsha_election_status;

/** One term in the history of an election. */
typedef struct fsha_term_history {
	uint64_t epoch;
	fsha_uuid session;
	fsha_uuid member;
	char host[256];
	int32_t pid;
	uint32_t reserved0;
	int64_t granted_wall_ns; /* 0: not known: it ended before it published anything */
	int64_t ended_wall_ns;   /* 0: not known, or not yet */
	char end[24]; /* "resigned", "lock released", "heartbeat stopped", "member gone", "expired";
			 "" while it lasts, or nobody knows */
} fsha_term_history;

typedef struct fsha_cluster_status {
	char cluster[FSHA_UUID_TEXT];
	uint32_t lease_ms;
	uint32_t format;
	char filesystem[32]; /* "ext4", "nfs4", ... */
	int32_t locks_cluster_wide;
	uint32_t reserved0;
	const fsha_election_status *elections;
	size_t election_count;
	const fsha_member_status *members;
	size_t member_count;
	size_t skipped;           /* names and records that were not understood */
	size_t elections_skipped; /* of them: whole elections, which may be any */
} fsha_cluster_status;

/**
 * Read it all. `observe_ms` > 0 watches heartbeats for that long, so that a stopped process shows
 * (1.25 leases are enough to tell); 0 goes by locks and what is on disk. Free with
 * fsha_status_destroy. May block for as long as the filesystem does. Since 0.1.
 */
FSHA_API fsha_result fsha_status_read(fsha_services *services, uint32_t observe_ms,
				      fsha_cluster_status **ret_status, fsha_error *reterr);
/** Free what fsha_status_read returned. NULL is allowed. Since 0.1. */
FSHA_API void fsha_status_destroy(fsha_cluster_status *status);

/**
 * The last 64 terms of an election, oldest first, short ones and the present one too; free with
 * fsha_free. How a leader that died ended is known when it has a successor. FSHA_E_NOT_FOUND: no
 * such election. Since 0.1.
 */
FSHA_API fsha_result fsha_history_read(fsha_services *services, const char *election,
				       fsha_term_history **ret_terms, size_t *ret_count,
				       fsha_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
