/*
 * Which functions the sweeps go through, as it is seen when they run. Each call of a public
 * function in a test says so (build/swept.h, made by the Makefile, puts swept_note in front of it),
 * and it counts when it is made by the operation of a scenario.
 *
 * FSHA_SWEPT=<file>: instead of failing each call the sweeps run each operation once, and add a
 * line "<kind> - <scenario>" for it and one "<kind> <function> <scenario>" for each function that
 * it calls. tests/test_sweep_complete.sh reads that.
 */
#ifndef TESTS_SWEPT_H
#define TESTS_SWEPT_H

#include <stdbool.h>

/* Only list, and fail nothing? */
bool swept_listing(void);
/* The operation of that scenario begins; "sweep", "pairs" or "oom". */
void swept_begin(const char *kind, const char *scenario);
void swept_end(void);
void swept_note(const char *function);
/* A call of what is not public: SWEPT(verify_run)(...). */
#define SWEPT(function) (swept_note(#function), function)

#endif
