/*
 * From results to exit codes. An error is one line on stderr, "fsha: <message>"; with --json it is
 * an object {"error": {...}} on stdout as well. `fsha run` leaves stdout to its command.
 */
#ifndef SRC_CLI_ERROR_H
#define SRC_CLI_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

#include "fsha/result.h"

enum cli_exit {
	CLI_EXIT_OK = 0,
	CLI_EXIT_CONFLICT = 119, /* it is there already, or another version, or closed */
	CLI_EXIT_USAGE = 120,
	CLI_EXIT_CONFIG = 121,
	CLI_EXIT_NOT_LEADER = 122,
	CLI_EXIT_FENCED = 123,
	CLI_EXIT_NOT_FOUND = 124,
	CLI_EXIT_IN_DOUBT = 125,
	CLI_EXIT_IO = 126,
	CLI_EXIT_EXEC = 127,
	CLI_EXIT_SIGNAL = 128, /* and the number of the signal */
};

int cli_error_exit_code(int result);
/* Writes *reterr and returns `result`. */
fsha_result cli_error_set(fsha_error *reterr, fsha_result result, int os_errno, const char *format,
			  ...) __attribute__((format(printf, 4, 5)));
/* Prints an error and returns its exit code. */
int cli_error_print(const fsha_error *error, bool json);
/* What is wrong with the command line. */
void cli_error_usage(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

/*
 * How every command but `run` ends. Returns its exit code: `code`, or that of output that was lost.
 * A usage error was told on stderr before it was known that JSON is wanted: it is an object now.
 */
int cli_error_end(int code, bool json);
/* Does a command line that cannot be understood ask for JSON? */
bool cli_error_wants_json(char **argv);

#endif
