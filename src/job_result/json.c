#include "src/job_result/json.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/job_result/status.h"

#define VERSION 1 /* of Flink's form */

static int bad(int r, char *ret_why, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int bad(int r, char *ret_why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(ret_why, JSON_TEXT_WHY_SIZE, format, args);
	va_end(args);
	return r;
}

static bool is_base64(const char *text)
{
	size_t len = strlen(text), digits;

	digits = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
	return len % 4 == 0 && len - digits <= 2 && strspn(text + digits, "=") == len - digits;
}

/* ---- encode ---- */

static int check_text(const char *what, const char *text, char *ret_why)
{
	if (!text)
		return bad(-EINVAL, ret_why, "%s is NULL", what);
	if (!json_text_is_utf8(text))
		return bad(-EINVAL, ret_why, "%s is no UTF-8", what);
	return 0;
}

static int encode_accumulators(const fsha_job_result *result, json_t *into, char *ret_why)
{
	for (size_t i = 0; i < result->accumulator_count; i++) {
		const fsha_accumulator_result *a = &result->accumulators[i];
		int r = check_text("the name of an accumulator", a->name, ret_why);

		if (r < 0)
			return r;
		if (!a->value || !is_base64(a->value))
			return bad(-EINVAL, ret_why,
				   "the value of accumulator '%.80s' is no base64", a->name);
		if (json_object_get(into, a->name))
			return bad(-EINVAL, ret_why, "accumulator '%.80s' is there twice", a->name);
		if (json_object_set_new(into, a->name, json_string(a->value)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int encode_failure(const fsha_failure_cause *f, json_t *into, char *ret_why)
{
	const char *throwable = f->throwable ? f->throwable : "";
	json_t *cause;
	int r;

	r = check_text("the class of the failure", f->class_name, ret_why);
	if (r == 0)
		r = check_text("the stack trace of the failure", f->stack_trace, ret_why);
	if (r == 0 && !is_base64(throwable))
		r = bad(-EINVAL, ret_why, "the throwable of the failure is no base64");
	if (r < 0)
		return r;
	cause = json_pack("{s:s, s:s, s:s}", "class", f->class_name, "stack-trace", f->stack_trace,
			  "serialized-throwable", throwable);
	return json_object_set_new(into, "failure-cause", cause) < 0 ? -ENOMEM : 0;
}

static int check_fields(const fsha_job_result *result, char *ret_why)
{
	if (result->struct_size != sizeof(*result) || result->reserved0)
		return bad(-EINVAL, ret_why,
			   "struct_size is not set: start from FSHA_JOB_RESULT_INIT");
	if (!status_is_application(result->status))
		return bad(-EINVAL, ret_why, "there is no status %d", (int)result->status);
	if (result->net_runtime_ms < 0)
		return bad(-EINVAL, ret_why, "the net runtime is negative");
	if (!result->accumulators && result->accumulator_count > 0)
		return bad(-EINVAL, ret_why, "the accumulators are NULL");
	return 0;
}

int job_result_encode(const struct fsu *fs, const fsha_job_result *result, char **ret_text,
		      size_t *ret_len, char *ret_why)
{
	_cleanup_json_ json_t *document = NULL, *accumulators = json_object();
	char id[FSHA_HEX_ID_TEXT];
	json_t *inner;
	int r;

	r = check_fields(result, ret_why);
	if (r < 0)
		return r;
	if (!accumulators)
		return -ENOMEM;
	r = encode_accumulators(result, accumulators, ret_why);
	if (r < 0)
		return r;
	document = json_pack("{s:{s:s, s:s, s:O, s:I}, s:i}", "result", "id",
			     fsha_job_id_format(&result->id, id), "application-status",
			     fsha_application_status_name(result->status), "accumulator-results",
			     accumulators, "net-runtime", (json_int_t)result->net_runtime_ms,
			     "version", VERSION);
	if (!document)
		return -ENOMEM;
	inner = json_object_get(document, "result");
	r = result->failure ? encode_failure(result->failure, inner, ret_why) : 0;
	if (r < 0)
		return r;
	r = json_text_dump(fs, document, JSON_COMPACT, ret_text, ret_len);
	if (r == 0 && *ret_len > FSHA_JOB_RESULT_MAX) {
		fsu_release(fs, *ret_text);
		return bad(-EINVAL, ret_why, "it has %zu bytes as JSON, at most %llu are allowed",
			   *ret_len, (unsigned long long)FSHA_JOB_RESULT_MAX);
	}
	return r;
}

/* ---- decode ---- */

/* What a document says, all of it still in there. */
struct parts {
	fsha_job_result result; /* without what it points to */
	const json_t *accumulators;
	const char *class_name, *stack_trace, *throwable; /* class_name NULL: no failure */
	size_t bytes;                                     /* of all texts */
};

static int take_text(const json_t *object, const char *name, struct parts *p, const char **ret_text,
		     char *ret_why)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_string(value))
		return bad(-EBADMSG, ret_why, "it has no text \"%s\"", name);
	*ret_text = json_string_value(value);
	p->bytes += strlen(*ret_text) + 1;
	return 0;
}

static int take_accumulators(struct parts *p, char *ret_why)
{
	const char *name;
	json_t *value;

	if (p->accumulators && !json_is_object(p->accumulators))
		return bad(-EBADMSG, ret_why, "\"accumulator-results\" is no object");
	/* The macro wants to write to it, and does not. */
	json_object_foreach((json_t *)(uintptr_t)p->accumulators, name, value)
	{
		if (!json_is_string(value) || !is_base64(json_string_value(value)))
			return bad(-EBADMSG, ret_why, "accumulator \"%.80s\" is no base64", name);
		p->bytes += strlen(name) + strlen(json_string_value(value)) + 2;
		p->result.accumulator_count++;
	}
	return 0;
}

static int take_failure(const json_t *cause, struct parts *p, char *ret_why)
{
	int r;

	if (!cause || json_is_null(cause))
		return 0;
	if (!json_is_object(cause))
		return bad(-EBADMSG, ret_why, "\"failure-cause\" is no object");
	r = take_text(cause, "class", p, &p->class_name, ret_why);
	if (r == 0)
		r = take_text(cause, "stack-trace", p, &p->stack_trace, ret_why);
	if (r == 0)
		r = take_text(cause, "serialized-throwable", p, &p->throwable, ret_why);
	if (r == 0 && p->throwable && !is_base64(p->throwable))
		r = bad(-EBADMSG, ret_why, "\"serialized-throwable\" is no base64");
	return r;
}

static int take_apart(const json_t *document, struct parts *p, char *ret_why)
{
	const json_t *inner = json_object_get(document, "result"), *runtime;
	const char *text = "";
	int r;

	if (!json_is_object(inner))
		return bad(-EBADMSG, ret_why, "it has no object \"result\"");
	r = take_text(inner, "id", p, &text, ret_why);
	if (r == 0 && fsha_job_id_parse(text, &p->result.id) != FSHA_OK)
		r = bad(-EBADMSG, ret_why, "\"%.40s\" is no job id: 32 hex digits", text);
	if (r == 0)
		r = take_text(inner, "application-status", p, &text, ret_why);
	if (r == 0 && fsha_application_status_parse(text, &p->result.status) != FSHA_OK)
		r = bad(-EBADMSG, ret_why,
			"there is no status \"%.40s\": SUCCEEDED, FAILED, CANCELED or UNKNOWN",
			text);
	if (r < 0)
		return r;
	runtime = json_object_get(inner, "net-runtime");
	if (!json_is_integer(runtime) || json_integer_value(runtime) < 0)
		return bad(-EBADMSG, ret_why, "\"net-runtime\" is no number of milliseconds");
	p->result.net_runtime_ms = json_integer_value(runtime);
	p->accumulators = json_object_get(inner, "accumulator-results");
	if (json_is_null(p->accumulators))
		p->accumulators = NULL;
	r = take_accumulators(p, ret_why);
	return r < 0 ? r : take_failure(json_object_get(inner, "failure-cause"), p, ret_why);
}

static const char *copy_text(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = memcpy(*at, text, size);

	*at += size;
	return copy;
}

/* One piece of memory: the result, the failure, the accumulators, the texts. */
static fsha_job_result *put_together(const struct fsu *fs, const struct parts *p)
{
	size_t count = p->result.accumulator_count, n = 0;
	fsha_accumulator_result *accumulators;
	fsha_failure_cause *failure;
	fsha_job_result *result;
	const char *name;
	json_t *value;
	char *at;

	result = fsu_alloc(fs, sizeof(*result) + sizeof(*failure) + count * sizeof(*accumulators) +
				       p->bytes);
	if (!result)
		return NULL;
	failure = (fsha_failure_cause *)(result + 1);
	accumulators = (fsha_accumulator_result *)(failure + 1);
	at = (char *)(accumulators + count);
	*result = p->result;
	result->struct_size = sizeof(*result);
	if (p->class_name) {
		failure->class_name = copy_text(&at, p->class_name);
		failure->stack_trace = copy_text(&at, p->stack_trace);
		failure->throwable = copy_text(&at, p->throwable);
		result->failure = failure;
	}
	json_object_foreach((json_t *)(uintptr_t)p->accumulators, name, value)
	{
		accumulators[n].name = copy_text(&at, name);
		accumulators[n++].value = copy_text(&at, json_string_value(value));
	}
	assert(n == count);
	if (count > 0)
		result->accumulators = accumulators;
	return result;
}

int job_result_decode(const struct fsu *fs, const char *text, size_t len,
		      fsha_job_result **ret_result, char *ret_why)
{
	_cleanup_json_ json_t *document = NULL;
	struct parts parts = { .bytes = 0 };
	int r;

	r = json_text_load(text, len, &document, ret_why);
	if (r == 0)
		r = take_apart(document, &parts, ret_why);
	if (r < 0)
		return r;
	*ret_result = put_together(fs, &parts);
	return *ret_result ? 0 : -ENOMEM;
}
