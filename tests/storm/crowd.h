/*
 * A cluster of real processes that a storm disturbs: starts them, ends them, waits for them, and
 * knows from their page who leads. Every wait has a limit; whatever fails ends the storm with a
 * message, and no process outlives it.
 */
#ifndef TESTS_STORM_CROWD_H
#define TESTS_STORM_CROWD_H

#include <sys/types.h>

#include "tests/storm/page.h"

#define LIMIT_NS INT64_C(60000000000) /* of a wait; a sanitizer on a busy machine is slow */

struct process {
	pid_t pid; /* 0: none */
	uint64_t incarnation;
	bool stopped;
	int64_t boottime_offset_s; /* of its time namespace; 0: the host's */
	const char *preload;       /* LD_PRELOAD; NULL: none */
};

struct crowd {
	/* What it was told to be: */
	const char *disturbance, *storage, *logs, *device, *type, *faketime;
	unsigned long members, readers, count, lease_ms, pause_us, interval_us, min_terms,
		min_writes;
	uint64_t seed;
	/* What it is: */
	uint64_t random;
	struct page *page;
	struct process all[PAGE_SLOTS]; /* contenders, then readers */
	int log_fd;
	unsigned long kills, kills_of_leaders, stops, stops_of_writes, cycles, jumps;
};

void crowd_open(struct crowd *c);
void crowd_start(struct crowd *c, unsigned slot);
void crowd_start_all(struct crowd *c);
/* It must have been alive, and is gone when this returns. */
void crowd_kill(struct crowd *c, unsigned slot);
void crowd_kill_all(struct crowd *c);
void crowd_stop(struct crowd *c, unsigned slot);
void crowd_continue(struct crowd *c, unsigned slot);
/* Ask all to end, and see that they do, with nothing left over. */
void crowd_end(struct crowd *c);
/* None of them may have ended by itself. */
void crowd_assert_alive(struct crowd *c);

/* The slot of the leader, or -1: none is known. */
int crowd_leader(const struct crowd *c, enum election e);
void crowd_await_leaders(struct crowd *c);
/* Wait until at least `writes` writes more of each kind have been acknowledged. */
void crowd_await_writes(struct crowd *c, uint64_t writes);

/* Rest for a while; processes that end by themselves meanwhile end the storm. */
void crowd_sleep(struct crowd *c, uint64_t us);
uint64_t crowd_random(struct crowd *c, uint64_t below);
/* A line of the history that is of all: "healed", "cut", "end <bound>". */
void crowd_log(struct crowd *c, const char *text);
void crowd_fail(struct crowd *c, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* What there is to be done to it, by name. */
struct disturbance {
	const char *name;
	void (*run)(struct crowd *c);
};
extern const struct disturbance disturbances[]; /* ends with a name of NULL */

/* In files of their own: */
void disturb_space(struct crowd *c);
void disturb_inodes(struct crowd *c);
void disturb_shutdown(struct crowd *c);
void disturb_clocks(struct crowd *c);

#endif
