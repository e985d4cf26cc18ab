/*
 * JSON as text, for what people read on disk. The values are jansson's, whose memory is not the
 * table's: a library must not change how a whole process allocates. So each NULL of it is out of
 * memory, once what it may refuse was checked here.
 */
#ifndef SRC_JSON_TEXT_H
#define SRC_JSON_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "fsutil/fsu_ops.h"

/* Arrays and objects within each other. The threads that run callbacks have small stacks. */
#define JSON_TEXT_DEPTH_MAX 32
#define JSON_TEXT_WHY_SIZE 200

/*
 * One object or array and nothing behind it, no name twice in an object, no zero byte in a text.
 * -EBADMSG with the place in `ret_why` (JSON_TEXT_WHY_SIZE bytes); -ENOMEM. json_decref it.
 */
int json_text_load(const char *text, size_t len, json_t **ret_value, char *ret_why);
/* As jansson writes it with `flags`, a zero byte behind it; fsu_release it. -ENOMEM. */
int json_text_dump(const struct fsu *fs, const json_t *value, size_t flags, char **ret_text,
		   size_t *ret_len);
/* Would jansson take it for a text? */
bool json_text_is_utf8(const char *text);

/* Attribute of a variable: it goes with its scope. */
static inline void json_text_decref(json_t **value)
{
	json_decref(*value);
}
#define _cleanup_json_ __attribute__((cleanup(json_text_decref)))

#endif
