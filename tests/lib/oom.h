/*
 * The out-of-memory sweep: an operation is run once to count its allocations, then anew for each of
 * them, on a fresh filesystem: that one fails, and in another run that one and all after it. The
 * scenarios, and what is looked at after each run, are those of the single-fault sweep (sweep.h):
 * so one scenario serves both. No memory and no descriptor may be left over, and `check` says
 * whether what is there and what the operation said agree.
 *
 * An operation ends with FSHA_OK, where it can do without that memory, or with FSHA_E_NOMEM; any
 * other outcome fails the run, unless `outcome_is_fine` of oom_assert_but says that it is right.
 */
#ifndef TESTS_OOM_H
#define TESTS_OOM_H

#include "tests/lib/sweep.h"

/* True when no run failed. report->calls counts the allocations. */
bool oom_run(const struct sweep_scenario *scenario, bool (*outcome_is_fine)(int outcome),
	     struct sweep_report *ret_report);

/* Within a test of cmocka: prints the report and fails the test when a run failed. */
void oom_assert(const struct sweep_scenario *scenario);
/* The same for an operation that may say something else. */
void oom_assert_but(const struct sweep_scenario *scenario, bool (*outcome_is_fine)(int outcome));

#endif
