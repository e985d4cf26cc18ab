#include "src/result/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
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

/* What was there before an error had a cause is as long as this. */
#define SIZE_WITHOUT_CAUSE offsetof(fsha_error, cause)

/* One of a program that was compiled before there were causes ends before it. */
static bool has_cause(const fsha_error *error)
{
	return error->struct_size >= sizeof(fsha_error);
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
	reterr->cause_result = FSHA_OK;
	reterr->op = op;
	memcpy(reterr->message, message, sizeof(message));
	if (has_cause(reterr))
		reterr->cause[0] = '\0';
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

/* "IO: cannot list ...; because of NOMEM: ..." */
static void cause_text(const fsha_error *cause, char *ret_text)
{
	bool deeper = has_cause(cause) && cause->cause[0];
	int n;

	n = snprintf(ret_text, FSHA_CAUSE_SIZE, "%s: %s%s%s", fsha_result_name(cause->result),
		     cause->message, deeper ? "; because of " : "", deeper ? cause->cause : "");
	if (n < 0)
		ret_text[0] = '\0';
}

fsha_result error_wrap(fsha_error *reterr, fsha_result result, const fsha_error *cause,
		       const char *op, const char *format, ...)
{
	char text[FSHA_CAUSE_SIZE];
	const int32_t cause_result = cause->result, os_errno = cause->os_errno;
	const uint32_t maybe_done = cause->maybe_done;
	va_list args;

	/* Before the error is written, which may be the cause. */
	cause_text(cause, text);
	va_start(args, format);
	result = set_va(reterr, result, 0, op, format, args);
	va_end(args);
	if (!reterr)
		return result;
	reterr->os_errno = os_errno;
	reterr->maybe_done = maybe_done;
	reterr->cause_result = cause_result;
	if (has_cause(reterr))
		memcpy(reterr->cause, text, sizeof(text));
	return result;
}

fsha_result error_copy(fsha_error *reterr, const fsha_error *from)
{
	if (!from)
		return FSHA_OK;
	if (reterr && reterr != from) {
		const size_t struct_size = reterr->struct_size;

		memcpy(reterr, from, SIZE_WITHOUT_CAUSE);
		reterr->struct_size = struct_size;
		if (has_cause(reterr) && has_cause(from))
			memcpy(reterr->cause, from->cause, sizeof(reterr->cause));
		else if (has_cause(reterr))
			reterr->cause[0] = '\0';
	}
	return from->result;
}
