#include "src/cli/cli_error.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/cli_output.h"

/* Of this run of the program: what was wrong with its command line, and whether JSON told an error.
 */
static char usage[1024];
static bool told_in_json;

int cli_error_exit_code(int result)
{
	switch (result) {
	case FSHA_OK:
		return CLI_EXIT_OK;
	case FSHA_E_EXISTS:
	case FSHA_E_VERSION:
	case FSHA_E_STATE:
		return CLI_EXIT_CONFLICT;
	case FSHA_E_INVALID:
		return CLI_EXIT_USAGE;
	case FSHA_E_CONFIG:
	case FSHA_E_UNSUPPORTED:
		return CLI_EXIT_CONFIG;
	case FSHA_E_NOT_LEADER:
		return CLI_EXIT_NOT_LEADER;
	case FSHA_E_FENCED:
		return CLI_EXIT_FENCED;
	case FSHA_E_NOT_FOUND:
		return CLI_EXIT_NOT_FOUND;
	case FSHA_E_INDOUBT:
		return CLI_EXIT_IN_DOUBT;
	default:
		return CLI_EXIT_IO;
	}
}

fsha_result cli_error_set(fsha_error *reterr, fsha_result result, int os_errno, const char *format,
			  ...)
{
	va_list args;

	if (!reterr)
		return result;
	*reterr = (fsha_error)FSHA_ERROR_INIT;
	reterr->result = result;
	reterr->os_errno = os_errno;
	va_start(args, format);
	(void)vsnprintf(reterr->message, sizeof(reterr->message), format, args);
	va_end(args);
	return result;
}

static void print_json(const fsha_error *error, const char *message)
{
	told_in_json = true;
	cli_output_json(json_pack("{s:{s:s, s:i, s:o, s:s, s:i, s:b, s:o}}", "error", "result",
				  fsha_result_name(error->result), "exit",
				  cli_error_exit_code(error->result), "message",
				  cli_output_text(message), "operation", error->op, "errno",
				  error->os_errno, "maybe_done", (int)error->maybe_done, "cause",
				  error->cause[0] ? cli_output_text(error->cause) : json_null()));
}

int cli_error_print(const fsha_error *error, bool json)
{
	char message[sizeof(error->message)];

	/* One line, whatever a name in it holds. */
	cli_output_clean(error->message, message, sizeof(message));
	fprintf(stderr, "fsha: %s\n", message);
	if (json)
		print_json(error, error->message);
	return cli_error_exit_code(error->result);
}

void cli_error_usage(const char *format, va_list args)
{
	char message[sizeof(usage)];

	(void)vsnprintf(message, sizeof(message), format, args);
	cli_output_clean(message, usage, sizeof(usage));
	fprintf(stderr, "fsha: %s\n", usage);
}

int cli_error_end(int code, bool json)
{
	fsha_error error = FSHA_ERROR_INIT;

	if (code == CLI_EXIT_OK)
		return cli_output_end();
	if (code == CLI_EXIT_USAGE && json && !told_in_json) {
		error.result = FSHA_E_INVALID;
		/* What getopt found wrong, it has told by itself. */
		print_json(&error, usage[0] ? usage :
					      "the command line is wrong: what it is stands on the "
					      "standard error");
	}
	return code;
}

bool cli_error_wants_json(char **argv)
{
	for (size_t i = 1; argv[0] && argv[i] && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}
