#include "src/metrics/exposition.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_SIZE 2048 /* of one call of exposition_printf */
#define LABEL_SIZE 512

void exposition_init(struct exposition *x, const struct fsu *fs, const struct fsu_uuid *cluster)
{
	*x = (struct exposition){ .fs = fs };
	fsha_uuid_format((const fsha_uuid *)cluster, x->cluster);
}

static bool reserve(struct exposition *x, size_t more)
{
	size_t size = x->size ? x->size : 4096;
	char *text;

	if (x->failed)
		return false;
	while (size < x->len + more + 1)
		size *= 2;
	if (size == x->size)
		return true;
	text = fsu_resize(x->fs, x->text, size);
	if (!text) {
		x->failed = true;
		return false;
	}
	x->text = text;
	x->size = size;
	return true;
}

void exposition_printf(struct exposition *x, const char *format, ...)
{
	va_list args;
	int n;

	if (!reserve(x, LINE_MAX_SIZE))
		return;
	va_start(args, format);
	n = vsnprintf(x->text + x->len, LINE_MAX_SIZE, format, args);
	va_end(args);
	if (n > 0)
		x->len += (size_t)n < LINE_MAX_SIZE ? (size_t)n : LINE_MAX_SIZE - 1;
}

void exposition_head(struct exposition *x, const char *metric, const char *type, const char *help)
{
	exposition_printf(x, "# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, type);
}

/* {cluster="...",label="value"}, escaped as the format wants it; `label` may be NULL. */
static const char *label_text(const struct exposition *x, const char *label, const char *value,
			      char *text)
{
	size_t n = (size_t)snprintf(text, LABEL_SIZE, "{cluster=\"%s\"", x->cluster);

	if (label) {
		n += (size_t)snprintf(text + n, LABEL_SIZE - n, ",%s=\"", label);
		for (; *value && n < LABEL_SIZE - 5; value++) {
			if (*value == '\\' || *value == '"' || *value == '\n')
				text[n++] = '\\';
			text[n] = *value;
			if (*value == '\n')
				text[n] = 'n';
			n++;
		}
		text[n++] = '"';
	}
	(void)strcpy(text + n, "}");
	return text;
}

void exposition_count(struct exposition *x, const char *metric, const char *label,
		      const char *value, uint64_t count)
{
	char text[LABEL_SIZE];

	exposition_printf(x, "%s%s %llu\n", metric, label_text(x, label, value, text),
			  (unsigned long long)count);
}

void exposition_seconds(struct exposition *x, const char *metric, const char *label,
			const char *value, int64_t ns)
{
	char text[LABEL_SIZE], seconds[EXPOSITION_SECONDS];

	exposition_printf(x, "%s%s %s\n", metric, label_text(x, label, value, text),
			  exposition_seconds_text(ns, seconds));
}

const char *exposition_seconds_text(int64_t ns, char *text)
{
	int n = snprintf(text, EXPOSITION_SECONDS, "%lld.%09lld", (long long)(ns / FSU_NS_PER_S),
			 (long long)(ns % FSU_NS_PER_S));

	while (n > 0 && text[n - 1] == '0')
		text[--n] = '\0';
	if (n > 0 && text[n - 1] == '.')
		text[n - 1] = '\0';
	return text;
}

int exposition_end(struct exposition *x, char **ret_text, size_t *ret_len)
{
	if (!reserve(x, 0)) {
		fsu_release(x->fs, x->text);
		return -ENOMEM;
	}
	x->text[x->len] = '\0';
	*ret_text = x->text;
	*ret_len = x->len;
	return 0;
}
