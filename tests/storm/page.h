/*
 * What the processes of one storm share, besides the storage directory: a file elsewhere that all
 * of them map. What a process counted there outlives it, however it ends.
 */
#ifndef TESTS_STORM_PAGE_H
#define TESTS_STORM_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PAGE_SLOTS 16 /* places for processes; one that is started again has the same */
#define PAGE_RUNNING 8

enum election {
	DISPATCHER,
	RESOURCE_MANAGER,
	JOB_MASTER,
	ELECTIONS
};

enum kind {
	KIND_STATE,
	KIND_BATCH,
	KIND_STREAM,
	KIND_JOB_GRAPH,
	KIND_JOB_RESULT,
	KIND_RUNNING_JOB,
	KIND_BLOB,
	KIND_WORKER,
	KIND_CHECKPOINT,
	KINDS
};

struct slot {
	_Atomic uint64_t leads[ELECTIONS]; /* the epoch in which it was granted; 0: it was not */
	_Atomic uint32_t writing;          /* it is in a call that writes */
	_Atomic uint64_t ready;            /* the incarnation that takes part */
	_Atomic int64_t boottime_ns;       /* how far its boot time is ahead of its other clock */
	_Atomic uint64_t jumps;            /* of the wall clock, by more than half an hour */
};

/* What became of the operations on one kind of store. */
struct counts {
	_Atomic uint64_t acknowledged, removed, doubt, failed, fenced, reads, absent;
	_Atomic uint64_t no_space; /* of those that failed */
};

struct page {
	_Atomic uint32_t pause_us;   /* between the operations of one process */
	_Atomic uint64_t violations; /* what a process saw itself, and told on its stderr */
	_Atomic uint64_t grants[ELECTIONS], revokes[ELECTIONS];
	_Atomic uint64_t regranted; /* operations that a newer term of the same process met */
	struct counts counts[KINDS];
	struct slot slots[PAGE_SLOTS];
	/* The running jobs that there may be: a reader has to know their ids. */
	_Atomic uint64_t running[PAGE_RUNNING][2];
};

/* The page in the file `path`, made when it is not there; NULL: it cannot be. */
struct page *page_map(const char *path);

/* How many grants in all elections. */
uint64_t page_terms(const struct page *page);

/* CLOCK_MONOTONIC: the clock of the histories. The boot time is another one in a time namespace. */
int64_t page_now_ns(void);

#endif
