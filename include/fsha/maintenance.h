/*
 * Looking after a cluster directory: is it sound, what can be mended, what can be thrown away. For
 * administrators and tools; a leader throws away in the background what it can know to be useless.
 *
 * Any thread, not from a callback. Every call may block for as long as the filesystem does.
 */
#ifndef FSHA_MAINTENANCE_H
#define FSHA_MAINTENANCE_H

#include "fsha/services.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How bad a finding is. */
typedef enum fsha_severity {
	FSHA_SEVERITY_INFO = 0,    /* as it is meant to be, or on its way there */
	FSHA_SEVERITY_WARNING = 1, /* nothing is lost; somebody should look at it */
	FSHA_SEVERITY_ERROR = 2,   /* something cannot be read or written; the rest can */
	FSHA_SEVERITY_CRITICAL = 3 /* the cluster, or what fences its leaders, is damaged */
} fsha_severity;
#define FSHA_SEVERITIES 4

/** "info", "warning", "error", "critical"; "unknown" for a number that is none. Since 0.1. */
FSHA_API const char *fsha_severity_name(int severity);

/** One thing that was found. All of it lives for the call of the visitor. */
typedef struct fsha_finding {
	size_t struct_size; /* set by the library */
	int32_t severity;   /* an fsha_severity */
	uint32_t reserved0;
	const char *code;    /* says what kind it is and never changes: "record-damaged" */
	const char *path;    /* below the cluster directory; "" for itself */
	const char *message; /* what is wrong with it */
	const char *advice;  /* what to do */
} fsha_finding;

/** What was looked at, and how many findings there are of each severity. */
typedef struct fsha_verify_summary {
	size_t struct_size; /* set by the caller */
	uint64_t findings[FSHA_SEVERITIES];
	uint64_t not_told; /* findings above FSHA_FINDINGS_MAX: counted, not told */
	uint64_t names;    /* looked at */
	uint64_t records;  /* read and verified */
	uint64_t bytes;    /* in those records */
} fsha_verify_summary;
#define FSHA_VERIFY_SUMMARY_INIT                                        \
	{                                                               \
		sizeof(fsha_verify_summary), { 0, 0, 0, 0 }, 0, 0, 0, 0 \
	}
#define FSHA_FINDINGS_MAX 10000

/**
 * Read the whole directory of the cluster that `config` names: every name, every record with its
 * checksum, and what must hold between them (one epoch file for each election, no version above the
 * epoch of its election, an owner in each namespace, ...). Never writes; takes part in nothing;
 * also where SETTINGS is damaged or the filesystem is read-only, and while the cluster runs: what
 * may only be in motion is looked at again, up to three times, before it is told.
 *
 * `visit` is given each finding, in order of paths, once all has been read; a non-zero return of it
 * ends that. It may be NULL. `ret_summary` may be NULL; its struct_size must be set.
 *
 * FSHA_OK: all was looked at, whatever was found. FSHA_E_CONFIG, _NOT_FOUND: there is no such
 * cluster. FSHA_E_UNSUPPORTED: a newer version made it. FSHA_E_IO: the cluster directory itself
 * cannot be read; what cannot be read below it is a finding. FSHA_E_NOMEM. Since 0.1.
 */
FSHA_API fsha_result fsha_verify(const fsha_config *config,
				 int (*visit)(void *ctx, const fsha_finding *finding), void *ctx,
				 fsha_verify_summary *ret_summary, fsha_error *reterr);

/** What became of one thing that gc or repair looked at. */
typedef enum fsha_action_outcome {
	FSHA_ACTION_DONE = 0,
	FSHA_ACTION_PLANNED = 1, /* a dry run: it would be done */
	FSHA_ACTION_LEFT = 2,    /* left alone; the message says why, and what it needs */
	FSHA_ACTION_FAILED = 3   /* tried in vain; the message says why */
} fsha_action_outcome;
#define FSHA_ACTION_OUTCOMES 4
/** "done", "planned", "left", "failed"; "unknown" for a number that is none. Since 0.1. */
FSHA_API const char *fsha_action_outcome_name(int outcome);

/** One thing that was done, or not. All of it lives for the call of the visitor. */
typedef struct fsha_action {
	size_t struct_size; /* set by the library */
	int32_t outcome;    /* an fsha_action_outcome */
	uint32_t reserved0;
	const char *code;    /* of the finding, as fsha_verify tells it: "member-dead" */
	const char *path;    /* below the cluster directory */
	const char *message; /* what was done, or why not */
} fsha_action;

/** How many of each outcome. */
typedef struct fsha_maintenance_summary {
	size_t struct_size; /* set by the caller */
	uint64_t actions[FSHA_ACTION_OUTCOMES];
} fsha_maintenance_summary;
#define FSHA_MAINTENANCE_SUMMARY_INIT             \
	{                                         \
		sizeof(fsha_maintenance_summary), \
		{                                 \
			0, 0, 0, 0                \
		}                                 \
	}

/* Tell what would be done, and do nothing. */
#define FSHA_GC_DRY_RUN 1u
/*
 * Watch members, half-built directories and blobs of jobs that are gone for ten leases: to tell who
 * is dead from who is slow where no lock tells, and what is left of a job from what is to become
 * one.
 */
#define FSHA_GC_WATCH 2u
/*
 * Take the vacant elections of jobs away that nothing else knows of. Only while nobody is a member
 * of the cluster; raises the floor first, so that their epochs never come back.
 */
#define FSHA_GC_RETIRE 4u
/*
 * Take the blobs of jobs that are gone also where nothing tells that the job ever ran here, and
 * without FSHA_GC_WATCH at once. Only while nobody is about to submit a job: blobs come before the
 * graph, and those of a job that was never told of, by who uses the blob store alone, go too. Ask
 * for a dry run first.
 */
#define FSHA_GC_UNKNOWN_JOBS 8u

typedef struct fsha_gc_options {
	size_t struct_size;
	uint32_t flags;     /* FSHA_GC_* */
	uint32_t reserved0; /* must be 0 */
} fsha_gc_options;
#define FSHA_GC_OPTIONS_INIT                  \
	{                                     \
		sizeof(fsha_gc_options), 0, 0 \
	}

/**
 * Throw away what is useless: directories of dead members, half-built directories, old versions and
 * tombstones, tenures that came to no end, trash, blobs of jobs that are gone. The leaders do the
 * same in the background for what they lead, so it is needed only for clusters at rest.
 *
 * A job is gone when it has no graph, no running entry and no dirty result. So is one that is about
 * to be submitted, and its blobs are there already: they are left alone unless they were written
 * under earlier terms and, with FSHA_GC_WATCH, nothing in their directory has changed for ten
 * leases, and the job's election was led and is vacant and there are no checkpoints of it; as in
 * the background. FSHA_GC_UNKNOWN_JOBS asks for the others.
 *
 * What belongs to an election is done in a short term of office of two seconds or more, or under
 * the term that this process leads; where somebody else leads it is left to him. `options` may be
 * NULL, `visit` too: it is given each thing; a non-zero return of it stops the telling.
 * `ret_summary` may be NULL.
 *
 * What is told as done was looked for afterwards and is gone. What could not be taken away this
 * time is told as left: the next call goes on with it.
 *
 * FSHA_OK: all that could be done was. Otherwise the first failure; the rest was done all the same.
 * FSHA_E_INVALID: an unknown flag or size. Since 0.1.
 */
FSHA_API fsha_result fsha_gc(fsha_services *services, const fsha_gc_options *options,
			     int (*visit)(void *ctx, const fsha_action *action), void *ctx,
			     fsha_maintenance_summary *ret_summary, fsha_error *reterr);

/* Do it. Without this flag it is only told what would be done. */
#define FSHA_REPAIR_APPLY 1u
/* Also where an older version of an entry, which is named, becomes visible by it. */
#define FSHA_REPAIR_ACCEPT_OLDER 2u
/*
 * End the removals of two steps that were cut short (fsha_state_store_release_and_try_remove and
 * its likes): the entries are removed, and what they point to is not discarded. Otherwise they are
 * told, with the time of their mark.
 */
#define FSHA_REPAIR_FINISH_REMOVALS 4u

typedef struct fsha_repair_options {
	size_t struct_size;
	uint32_t flags;     /* FSHA_REPAIR_* */
	uint32_t reserved0; /* must be 0 */
} fsha_repair_options;
#define FSHA_REPAIR_OPTIONS_INIT                  \
	{                                         \
		sizeof(fsha_repair_options), 0, 0 \
	}

/**
 * Verify, and move what no leader can live with out of the way: damaged records, records that
 * belong elsewhere, versions above any epoch of their election. Each goes to quarantine/, under a
 * name that tells where it was, and nothing is deleted. Of a damaged pack what is whole in it is
 * published anew first, with its versions, durably. An empty directory without its owner is
 * removed.
 *
 * The entry is gone then, or has the older version that is left of it: that one is named, and it is
 * not done without FSHA_REPAIR_ACCEPT_OLDER. Every move is fenced: done under a term of the
 * election that may write there, this process's or a short one of office. `options` may be NULL,
 * `visit` too; as with fsha_gc.
 *
 * FSHA_OK: all that was asked for was done. FSHA_E_NOT_LEADER: somebody else leads an election for
 * which there is something to do; he is named, and the rest was done. Otherwise the first failure.
 * FSHA_E_INVALID: an unknown flag or size. Since 0.1.
 */
FSHA_API fsha_result fsha_repair(fsha_services *services, const fsha_repair_options *options,
				 int (*visit)(void *ctx, const fsha_action *action), void *ctx,
				 fsha_maintenance_summary *ret_summary, fsha_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
