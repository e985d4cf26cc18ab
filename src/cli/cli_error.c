#include "src/cli/cli_error.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "src/cli/cli_output.h"

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

int cli_error_print(const fsha_error *error, bool json)
{
	int code = cli_error_exit_code(error->result);
	char message[sizeof(error->message)];

	/* One line, whatever a name in it holds. */
	cli_output_clean(error->message, message, sizeof(message));
	fprintf(stderr, "fsha: %s\n", message);
	if (json)
		cli_output_json(
			json_pack("{s:{s:s, s:i, s:o, s:s, s:i, s:b, s:o}}", "error", "result",
				  fsha_result_name(error->result), "exit", code, "message",
				  cli_output_text(error->message), "operation", error->op, "errno",
				  error->os_errno, "maybe_done", (int)error->maybe_done, "cause",
				  error->cause[0] ? cli_output_text(error->cause) : json_null()));
	return code;
}
