/*
 * Filling in an fsha_error, and the one place where an errno becomes a result.
 */
#ifndef SRC_RESULT_ERROR_H
#define SRC_RESULT_ERROR_H

#include "fsha/result.h"

/*
 * Write `reterr` (NULL: nothing) and return `result`. The message is formatted; ": <text of
 * os_errno>" is appended when os_errno (positive, or 0) is given. `op` is a static string.
 */
fsha_result error_set(fsha_error *reterr, fsha_result result, int os_errno, const char *op,
		      const char *format, ...) __attribute__((format(printf, 5, 6)));
/*
 * As error_set with the result that `negative_errno` (as fsutil returns it) stands for: -ENOMEM
 * NOMEM, -ETIMEDOUT of our own waits TIMEOUT is not guessed: everything else is IO.
 */
fsha_result error_os(fsha_error *reterr, int negative_errno, const char *op, const char *format,
		     ...) __attribute__((format(printf, 4, 5)));
/*
 * As error_set, of an error that followed from another one, which becomes its cause. errno and
 * "maybe done" are those of the cause. `cause` may be `reterr` itself.
 */
fsha_result error_wrap(fsha_error *reterr, fsha_result result, const fsha_error *cause,
		       const char *op, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* Copy an error (either may be NULL) and return its result. */
fsha_result error_copy(fsha_error *reterr, const fsha_error *from);

/*
 * An invariant that guards the epoch. Stays on in release builds: a leader that is wrong about
 * itself must not go on, but a library never exits, so it evaluates to false and the caller revokes
 * itself with an error.
 */
#define FSHA_INVARIANT(condition) __builtin_expect(!!(condition), 1)

#endif
