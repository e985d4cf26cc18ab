#include "src/result/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fsha/result.h"

#define LIBRARY_VERSION "0.1.0"

static const struct {
	int result;
	const char *name;
	const char *text;
} results[] = {
	{ FSHA_OK, "OK", "done" },
	{ FSHA_E_INVALID, "INVALID", "an argument is wrong" },
	{ FSHA_E_STATE, "STATE", "not started, or already started or closed" },
	{ FSHA_E_NOT_FOUND, "NOT_FOUND", "there is none of that name" },
	{ FSHA_E_EXISTS, "EXISTS", "there is one already" },
	{ FSHA_E_VERSION, "VERSION", "it was replaced meanwhile" },
	{ FSHA_E_INDOUBT, "INDOUBT", "done or not, which cannot be told now" },
	{ FSHA_E_NOT_LEADER, "NOT_LEADER", "this process does not lead" },
	{ FSHA_E_FENCED, "FENCED", "a newer leader exists" },
	{ FSHA_E_CORRUPT, "CORRUPT", "a record is damaged" },
	{ FSHA_E_UNSUPPORTED, "UNSUPPORTED", "not supported here" },
	{ FSHA_E_CONFIG, "CONFIG", "a setting is wrong" },
	{ FSHA_E_TIMEOUT, "TIMEOUT", "it took too long" },
	{ FSHA_E_IO, "IO", "the storage failed" },
	{ FSHA_E_NOMEM, "NOMEM", "out of memory" },
};

const char *fsha_result_name(int result)
{
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (results[i].result == result)
			return results[i].name;
	return "UNKNOWN";
}

const char *fsha_result_text(int result)
{
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (results[i].result == result)
			return results[i].text;
	return "unknown result";
}

const char *fsha_library_version(void)
{
	return LIBRARY_VERSION;
}

/* The text of an errno without the lock and the static buffer of strerror(). */
static void append_errno(char *message, size_t used, int os_errno)
{
	const char *text = strerrordesc_np(os_errno);

	if (used + 3 >= FSHA_MESSAGE_SIZE)
		return;
	if (text)
		(void)snprintf(message + used, FSHA_MESSAGE_SIZE - used, ": %s", text);
	else
		(void)snprintf(message + used, FSHA_MESSAGE_SIZE - used, ": error %d", os_errno);
}

static fsha_result set_va(fsha_error *reterr, fsha_result result, int os_errno, const char *op,
			  const char *format, va_list args)
{
	char message[FSHA_MESSAGE_SIZE];
	int n;

	if (!reterr)
		return result;
	/* Formatted apart, because an argument may be the message that is being replaced. */
	n = vsnprintf(message, sizeof(message), format, args);
	if (n < 0)
		n = 0;
	if ((size_t)n >= sizeof(message))
		n = (int)sizeof(message) - 1;
	message[n] = '\0';
	if (os_errno)
		append_errno(message, (size_t)n, os_errno);

	reterr->result = result;
	reterr->os_errno = os_errno;
	reterr->maybe_done = 0;
	reterr->op = op;
	memcpy(reterr->message, message, sizeof(message));
	return result;
}

fsha_result error_set(fsha_error *reterr, fsha_result result, int os_errno, const char *op,
		      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	result = set_va(reterr, result, os_errno, op, format, args);
	va_end(args);
	return result;
}

fsha_result error_os(fsha_error *reterr, int negative_errno, const char *op, const char *format,
		     ...)
{
	fsha_result result = negative_errno == -ENOMEM ? FSHA_E_NOMEM : FSHA_E_IO;
	va_list args;

	va_start(args, format);
	result = set_va(reterr, result, -negative_errno, op, format, args);
	va_end(args);
	return result;
}

fsha_result error_copy(fsha_error *reterr, const fsha_error *from)
{
	if (!from)
		return FSHA_OK;
	if (reterr && reterr != from) {
		size_t struct_size = reterr->struct_size;

		*reterr = *from;
		reterr->struct_size = struct_size;
	}
	return from->result;
}
