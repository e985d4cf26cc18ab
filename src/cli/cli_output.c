#include "src/cli/cli_output.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "src/cli/cli_error.h"

#define NS_PER_S INT64_C(1000000000)
#define COLUMNS_MAX 10

char *cli_output_time(int64_t wall_ns, char *text)
{
	time_t seconds = (time_t)(wall_ns / NS_PER_S);
	struct tm tm;
	size_t n;

	if (wall_ns <= 0 || !gmtime_r(&seconds, &tm))
		return strcpy(text, "-");
	n = strftime(text, CLI_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + n, CLI_TIME_SIZE - n, ".%06dZ", (int)(wall_ns % NS_PER_S / 1000));
	return text;
}

int64_t cli_output_wall_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

char *cli_output_age(int64_t wall_ns, char *text)
{
	int64_t seconds = (cli_output_wall_ns() - wall_ns) / NS_PER_S;

	if (seconds < 0) /* by another host's clock */
		seconds = 0;
	if (seconds < 120)
		(void)snprintf(text, CLI_TIME_SIZE, "%d s", (int)seconds);
	else if (seconds < 7200)
		(void)snprintf(text, CLI_TIME_SIZE, "%d min", (int)(seconds / 60));
	else if (seconds < 172800)
		(void)snprintf(text, CLI_TIME_SIZE, "%d h", (int)(seconds / 3600));
	else
		(void)snprintf(text, CLI_TIME_SIZE, "%lld d", (long long)(seconds / 86400));
	return text;
}

void cli_output_clean(const char *text, char *ret_clean, size_t size)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++) {
		ret_clean[n] = *text;
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			ret_clean[n] = '?';
		n++;
	}
	ret_clean[n] = '\0';
}

json_t *cli_output_text(const char *text)
{
	json_t *value = json_string(text);
	char *copy;

	if (value)
		return value;
	copy = strdup(text);
	if (!copy)
		return NULL;
	for (char *p = copy; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	value = json_string(copy);
	free(copy);
	return value;
}

/* As a name is written on disk: fsha/types.h, FSHA_NAME_MAX. */
static void encode(const char *name, char *ret_encoded, size_t size)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	size_t n = 0;

	for (const char *p = name; *p && n + 4 <= size; p++) {
		if (strchr(plain, *p) && !(p == name && *p == '.'))
			ret_encoded[n++] = *p;
		else
			n += (size_t)snprintf(ret_encoded + n, size - n, "%%%02X",
					      (unsigned)(unsigned char)*p);
	}
	ret_encoded[n] = '\0';
}

json_t *cli_output_encoded(const char *name)
{
	json_t *text = json_string(name);
	/* Of a longer one the beginning, but there is none: that is the limit when encoded. */
	char encoded[FSHA_NAME_MAX + 4];

	json_decref(text);
	if (text)
		return NULL;
	encode(name, encoded, sizeof(encoded));
	return json_string(encoded);
}

json_t *cli_output_named(const char *key, const char *name, json_t *rest)
{
	json_t *object = json_object(), *encoded = cli_output_encoded(name);
	char encoded_key[64];

	(void)snprintf(encoded_key, sizeof(encoded_key), "%s_encoded", key);
	if (json_object_set_new(object, key, cli_output_text(name)) < 0 ||
	    (encoded && json_object_set_new(object, encoded_key, encoded) < 0) ||
	    json_object_update(object, rest) < 0) {
		json_decref(object);
		object = NULL;
	}
	json_decref(rest);
	return object;
}

json_t *cli_output_uuid(const fsha_uuid *uuid)
{
	char text[FSHA_UUID_TEXT];

	return fsha_uuid_is_null(uuid) ? json_null() : json_string(fsha_uuid_format(uuid, text));
}

/* A document could not be made: cli_output_end must not say that all is well. */
static bool lost;

static void print_json(json_t *value, size_t flags)
{
	if (value && json_dumpf(value, stdout, flags | JSON_ENSURE_ASCII) == 0)
		fputc('\n', stdout);
	else if (!ferror(stdout)) /* that is told at the end */
		lost = true;
	json_decref(value);
}

void cli_output_json_line(json_t *value)
{
	print_json(value, JSON_COMPACT);
}

void cli_output_json(json_t *value)
{
	print_json(value, JSON_INDENT(2));
}

static const char *cell(const json_t *row, size_t column)
{
	const char *text = json_string_value(json_array_get(row, column));

	return text ? text : "";
}

void cli_output_table(json_t *rows)
{
	size_t widths[COLUMNS_MAX] = { 0 }, r, c;
	char clean[FSHA_ADDRESS_MAX + 1];
	json_t *row;

	json_array_foreach(rows, r, row) for (c = 0; c < json_array_size(row) && c < COLUMNS_MAX;
					      c++) if (strlen(cell(row, c)) > widths[c]) widths[c] =
		strlen(cell(row, c));
	json_array_foreach(rows, r, row) for (c = 0; c < json_array_size(row) && c < COLUMNS_MAX;
					      c++)
	{
		bool last = c + 1 == json_array_size(row);

		cli_output_clean(cell(row, c), clean, sizeof(clean));
		printf("%-*s%s", last ? 0 : (int)widths[c], clean, last ? "\n" : "  ");
	}
	json_decref(rows);
}

int cli_output_errors(json_t *errors, int code)
{
	json_t *message;
	size_t i;

	json_array_foreach(errors, i, message)
	{
		fprintf(stderr, "fsha: %s\n", json_string_value(message));
		if (code == CLI_EXIT_OK)
			code = CLI_EXIT_IO;
	}
	json_decref(errors);
	return code;
}

int cli_output_end(void)
{
	if (lost) {
		fputs("fsha: cannot print what was done: out of memory\n", stderr);
		return CLI_EXIT_IO;
	}
	if (fflush(stdout) == 0 && !ferror(stdout))
		return CLI_EXIT_OK;
	fprintf(stderr, "fsha: cannot write to the standard output: %s\n", strerror(errno));
	return CLI_EXIT_IO;
}
