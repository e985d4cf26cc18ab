/*
 * The single-fault sweep: an operation is run once to count its calls, then again and again on a
 * fresh filesystem, each time with one call failing in one way, until every call has failed in
 * every way that it can. After each run the scenario looks whether what is there and what the
 * operation said agree.
 *
 * Ways of failing: each errno that the call may give, not done or (where it changes something) done
 * with the reply lost; half of a read or write; a power cut before the call. After a power cut
 * several of the states that it may leave are looked at. After a run that came to its end without
 * one, the power is cut then: what was acknowledged must be durable.
 *
 * A run in which a descriptor or memory is left over fails, and so does one that does not end.
 */
#ifndef TESTS_SWEEP_H
#define TESTS_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/lib/crashfs.h"

enum sweep_when {
	SWEEP_RETURNED,   /* the operation returned; the filesystem is as it was then */
	SWEEP_CUT_AFTER,  /* after that the power was cut */
	SWEEP_CUT_DURING, /* the power was cut while it ran: its outcome was told to nobody */
};

struct sweep_run {
	enum sweep_when when;
	int outcome; /* of the operation */
	const struct crashfs_fault *faults;
	unsigned n_faults; /* 0: nothing failed */
};

struct sweep_scenario {
	const char *name;
	struct crashfs_options options;
	unsigned client; /* whose calls fail */
	void *ctx;
	/* Before each run, without faults. NULL: nothing to do. */
	void (*setup)(void *ctx, struct crashfs *c);
	/* Must do the same calls each time that the same calls fail. */
	int (*operation)(void *ctx, const struct fsu *fs);
	/*
	 * `after` may be a copy of the filesystem, where no process runs any more. Returns NULL
	 * when all is well, or what is wrong (sweep_say). Nothing fails while it looks.
	 */
	const char *(*check)(void *ctx, struct crashfs *after, const struct sweep_run *run);
	/* Gives back what setup and operation still hold. Nothing fails. NULL: nothing to do. */
	void (*teardown)(void *ctx, struct crashfs *c);
	bool exhaustive; /* also errnos that make no sense for a call, and more power cuts */
	unsigned every;  /* only each so many-th call fails, where all take too long; 0: each */
};

struct sweep_report {
	uint64_t calls; /* of one run in which nothing fails */
	uint64_t runs, checks, failures;
	char text[8192]; /* the first failures, with the log of the calls */
};

/* A message for a check to return; valid until the next one. */
__attribute__((format(printf, 1, 2))) const char *sweep_say(const char *format, ...);

/* True when no run failed. Stops after a few failures. */
bool sweep_run(const struct sweep_scenario *scenario, struct sweep_report *ret_report);
/*
 * The same with every pair of faults of which the second hits one of the `window` calls after the
 * first; of the errnos only EIO.
 */
bool sweep_run_pairs(const struct sweep_scenario *scenario, unsigned window,
		     struct sweep_report *ret_report);

/* Within a test of cmocka: prints the report and fails the test when a run failed. */
void sweep_assert(const struct sweep_scenario *scenario);
void sweep_assert_pairs(const struct sweep_scenario *scenario, unsigned window);

#endif
