/*
 * A function with a stack of its own that is run a piece at a time, all in the caller's thread: it
 * goes on when it is resumed, until it yields or returns. The sanitizers and valgrind are told of
 * each change of stacks.
 *
 * Not for more than one thread of the test at a time.
 */
#ifndef TESTS_FIBER_H
#define TESTS_FIBER_H

#include <stdbool.h>

struct fiber;

/* Nothing of `body` is run yet. */
struct fiber *fiber_create(void (*body)(void *arg), void *arg);
/* From outside of every fiber: run it up to its next yield, or to its end. */
void fiber_resume(struct fiber *fiber);
/* From inside: back to whoever resumed it. */
void fiber_yield(struct fiber *fiber);
bool fiber_ended(const struct fiber *fiber);
/* It is not run again, wherever it stands: what lies on its stack is lost. */
void fiber_abandon(struct fiber *fiber);
/* Its body must have ended: what lies on its stack would be lost. NULL is allowed. */
void fiber_destroy(struct fiber *fiber);

#endif
