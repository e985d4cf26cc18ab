/* What people and programs read: tables, times, JSON. */
#ifndef SRC_CLI_OUTPUT_H
#define SRC_CLI_OUTPUT_H

#include <jansson.h>

#include "fsha/types.h"

#define CLI_TIME_SIZE 40

/* RFC 3339 in UTC with microseconds; "-" for 0. Returns `text` of CLI_TIME_SIZE bytes. */
char *cli_output_time(int64_t wall_ns, char *text);
/* Now, by the wall clock. */
int64_t cli_output_wall_ns(void);
/* "5 s", "3 min", "2 h", "9 d" since a time. Returns `text` of CLI_TIME_SIZE bytes. */
char *cli_output_age(int64_t wall_ns, char *text);
/* Control characters become '?', so that a name cannot change the layout, or the terminal. */
void cli_output_clean(const char *text, char *ret_clean, size_t size);

/* A JSON string; bytes that are no UTF-8 become '?'. */
json_t *cli_output_text(const char *text);
/* %XX, when a name cannot be told as JSON since it is no UTF-8; NULL when it can. */
json_t *cli_output_encoded(const char *name);
/*
 * An object that begins with key: name, and with key_encoded: %XX when the name cannot be told as
 * it is; then what is in `rest`, which it takes. NULL when out of memory.
 */
json_t *cli_output_named(const char *key, const char *name, json_t *rest);
json_t *cli_output_uuid(const fsha_uuid *uuid); /* null for none */
/* Print as one line and free it. */
void cli_output_json_line(json_t *value);
/* Print indented and free it. NULL (out of memory) is told on stderr. */
void cli_output_json(json_t *value);

/* Print rows (an array of arrays of strings) in columns, and free them. */
void cli_output_table(json_t *rows);
/*
 * What a listing had to leave out: each of `errors` (strings) on stderr, and free them. Returns
 * `code`, or that of an error when it was 0 and there are some.
 */
int cli_output_errors(json_t *errors, int code);
/* Flush stdout: 0, or the exit code for output that could not be written (told on stderr). */
int cli_output_end(void);

#endif
