/*
 * Histories as lines of text.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/ops_history_internal.h"

#define WORDS_MAX 9

static const char *const kind_words[] = {
	[OPS_GRANT] = "grant", [OPS_REVOKE] = "revoke", [OPS_LEADS] = "leads", [OPS_OVER] = "over",
	[OPS_WRITE] = "write", [OPS_REMOVE] = "remove", [OPS_READ] = "read",   [OPS_END] = "end",
	[OPS_CUT] = "cut",     [OPS_HEALED] = "healed", [OPS_FINISH] = "end",
};

static const char *const outcome_words[] = {
	[OPS_OK] = "ok",           [OPS_ABSENT] = "ok absent", [OPS_FAILED] = "failed",
	[OPS_UNKNOWN] = "unknown", [OPS_DAMAGED] = "damaged",  [OPS_UNCLEAR] = "unclear",
};

void ops_value_format(const struct ops_value *value, char *ret_text)
{
	(void)snprintf(ret_text, OPS_VALUE_SIZE, "%" PRIu64 ".%" PRIu64 ".%" PRIx64, value->epoch,
		       value->sequence, value->random);
}

/* All of `text` is one number, as we would write it. */
static bool parse_number(const char *text, int base, uint64_t *ret_number)
{
	char again[24];

	errno = 0;
	*ret_number = strtoull(text, NULL, base);
	if (errno)
		return false;
	(void)snprintf(again, sizeof(again), base == 16 ? "%" PRIx64 : "%" PRIu64, *ret_number);
	return strcmp(again, text) == 0;
}

bool ops_value_parse(const char *text, size_t size, struct ops_value *ret_value)
{
	char copy[OPS_VALUE_SIZE], *sequence, *word;

	if (size >= sizeof(copy) || memchr(text, '\0', size))
		return false;
	memcpy(copy, text, size);
	copy[size] = '\0';
	sequence = strchr(copy, '.');
	word = sequence ? strchr(sequence + 1, '.') : NULL;
	if (!word)
		return false;
	*sequence++ = '\0';
	*word++ = '\0';
	return parse_number(copy, 10, &ret_value->epoch) &&
	       parse_number(sequence, 10, &ret_value->sequence) &&
	       parse_number(word, 16, &ret_value->random);
}

static bool has_value(const struct ops_event *e)
{
	return e->outcome == OPS_OK && (e->value.epoch || e->value.sequence || e->value.random);
}

/* What follows "<time> <process> ". */
static int format_rest(const struct ops_event *e, char *text, size_t size)
{
	const char *kind = kind_words[e->kind];
	char value[OPS_VALUE_SIZE];

	ops_value_format(&e->value, value);
	switch (e->kind) {
	case OPS_LEADS:
		if (e->deadline_ns)
			return snprintf(text, size, "%s %s %" PRIu64 " %" PRId64 "\n", kind,
					e->election, e->epoch, e->deadline_ns);
		/* fall through */
	case OPS_GRANT:
	case OPS_REVOKE:
	case OPS_OVER:
		return snprintf(text, size, "%s %s %" PRIu64 "\n", kind, e->election, e->epoch);
	case OPS_WRITE:
	case OPS_REMOVE:
		return snprintf(text, size, "begin %" PRIu64 " %s %s %s %" PRIu64 " %s\n", e->op,
				kind, e->election, e->key, e->epoch, value);
	case OPS_READ:
		return snprintf(text, size, "begin %" PRIu64 " %s %s %s\n", e->op, kind,
				e->election, e->key);
	case OPS_END:
		return snprintf(text, size, "end %" PRIu64 " %s%s%s\n", e->op,
				outcome_words[e->outcome], has_value(e) ? " " : "",
				has_value(e) ? value : "");
	case OPS_FINISH:
		return snprintf(text, size, "end %" PRId64 "\n", e->bound_ns);
	case OPS_CUT:
	case OPS_HEALED:
		break;
	}
	return snprintf(text, size, "%s\n", kind);
}

size_t ops_event_format(const struct ops_event *event, char *ret_line)
{
	const bool of_all = event->kind >= OPS_CUT;
	int head, rest;

	head = snprintf(ret_line, OPS_LINE_SIZE, "%" PRId64 " %s ", event->time_ns,
			of_all ? "-" : event->process);
	assert(head > 0 && head < OPS_LINE_SIZE);
	rest = format_rest(event, ret_line + head, OPS_LINE_SIZE - (size_t)head);
	assert(rest > 0 && head + rest < OPS_LINE_SIZE);
	return (size_t)head + (size_t)rest;
}

/* The words of a line; 0 when there are too many. */
static size_t split(char *line, char **words)
{
	size_t n = 0;
	char *rest = NULL;

	for (char *w = strtok_r(line, " \n", &rest); w; w = strtok_r(NULL, " \n", &rest)) {
		if (n == WORDS_MAX)
			return 0;
		words[n++] = w;
	}
	return n;
}

static bool parse_begin(char **w, size_t n, struct ops_event *e)
{
	if (n < 4 || !parse_number(w[0], 10, &e->op))
		return false;
	e->election = w[2];
	e->key = w[3];
	if (strcmp(w[1], "read") == 0) {
		e->kind = OPS_READ;
		return n == 4;
	}
	if (strcmp(w[1], "write") == 0)
		e->kind = OPS_WRITE;
	else if (strcmp(w[1], "remove") == 0)
		e->kind = OPS_REMOVE;
	else
		return false;
	return n == 6 && parse_number(w[4], 10, &e->epoch) &&
	       ops_value_parse(w[5], strlen(w[5]), &e->value);
}

static bool parse_end(char **w, size_t n, struct ops_event *e)
{
	e->kind = OPS_END;
	if (n < 2 || n > 3 || !parse_number(w[0], 10, &e->op))
		return false;
	if (n == 3) {
		if (strcmp(w[1], "ok") != 0)
			return false;
		e->outcome = strcmp(w[2], "absent") == 0 ? OPS_ABSENT : OPS_OK;
		return e->outcome == OPS_ABSENT || ops_value_parse(w[2], strlen(w[2]), &e->value);
	}
	for (unsigned i = 0; i < sizeof(outcome_words) / sizeof(*outcome_words); i++)
		if (strcmp(w[1], outcome_words[i]) == 0) {
			e->outcome = (enum ops_outcome)i;
			return true;
		}
	return false;
}

static bool parse_time(const char *text, int64_t *ret_ns)
{
	uint64_t number;

	if (!parse_number(text, 10, &number) || number > INT64_MAX)
		return false;
	*ret_ns = (int64_t)number;
	return true;
}

static bool parse_term(char **w, size_t n, struct ops_event *e)
{
	if (n < 3 || n > 4)
		return false;
	for (unsigned i = OPS_GRANT; i <= OPS_OVER; i++)
		if (strcmp(w[0], kind_words[i]) == 0) {
			e->kind = (enum ops_kind)i;
			if (n == 4 && (i != OPS_LEADS || !parse_time(w[3], &e->deadline_ns) ||
				       !e->deadline_ns))
				return false;
			e->election = w[1];
			return parse_number(w[2], 10, &e->epoch);
		}
	return false;
}

static bool parse_of_all(char **w, size_t n, struct ops_event *e)
{
	if (strcmp(w[0], "end") == 0) {
		e->kind = OPS_FINISH;
		return n == 2 && parse_time(w[1], &e->bound_ns);
	}
	e->kind = strcmp(w[0], "cut") == 0 ? OPS_CUT : OPS_HEALED;
	return n == 1 && strcmp(w[0], kind_words[e->kind]) == 0;
}

bool ops_event_parse(char *line, struct ops_event *ret_event)
{
	struct ops_event e = { 0 };
	char *w[WORDS_MAX];
	size_t n = split(line, w);
	bool known;

	if (n < 3 || !parse_time(w[0], &e.time_ns))
		return false;
	e.process = w[1];
	if (strcmp(w[1], "-") == 0)
		known = parse_of_all(w + 2, n - 2, &e);
	else if (strcmp(w[2], "begin") == 0)
		known = parse_begin(w + 3, n - 3, &e);
	else if (strcmp(w[2], "end") == 0)
		known = parse_end(w + 3, n - 3, &e);
	else
		known = parse_term(w + 2, n - 2, &e);
	if (known)
		*ret_event = e;
	return known;
}

void ops_history_print(const struct ops_history *h)
{
	char line[OPS_LINE_SIZE];

	for (size_t i = 0; i < h->count; i++) {
		size_t size = ops_event_format(&h->events[i], line);

		(void)fwrite(line, 1, size, stderr);
	}
}

bool ops_event_log(int fd, const struct ops_event *event)
{
	char line[OPS_LINE_SIZE];
	size_t size = ops_event_format(event, line);
	ssize_t n;

	do
		n = write(fd, line, size);
	while (n < 0 && errno == EINTR);
	if (n >= 0 && (size_t)n < size)
		errno = ENOSPC;
	return n == (ssize_t)size;
}

bool ops_history_read(struct ops_history *h, const char *path, char *ret_error)
{
	char line[OPS_LINE_SIZE + 1];
	struct ops_event event;
	unsigned long number = 0;
	FILE *f = fopen(path, "re");
	bool good = f != NULL;

	if (!f)
		(void)snprintf(ret_error, OPS_LINE_SIZE, "cannot open '%s': %s", path,
			       strerror(errno));
	while (good && fgets(line, sizeof(line), f)) {
		size_t n = strlen(line);

		number++;
		if (n > 0 && n < OPS_LINE_SIZE && line[n - 1] != '\n' && feof(f))
			break;
		good = ops_event_parse(line, &event);
		if (good)
			ops_history_add(h, &event);
		else
			(void)snprintf(ret_error, OPS_LINE_SIZE, "'%s', line %lu: not an event",
				       path, number);
	}
	if (good && ferror(f)) {
		(void)snprintf(ret_error, OPS_LINE_SIZE, "cannot read '%s'", path);
		good = false;
	}
	if (f)
		(void)fclose(f);
	return good;
}
