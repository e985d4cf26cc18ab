/*
 * Versioned names: "<key>~<epoch 16 hex>.<sequence 16 hex>.<seat 4 hex>", and behind it what it is
 * when it is no plain value, so that a listing tells which keys exist without opening anything.
 */
#ifndef SRC_RECORD_NAME_H
#define SRC_RECORD_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "fsha/types.h"
#include "fsutil/fsu_list.h"

#define NAME_SIZE 256 /* bytes of a file name with its terminator */

enum name_form {
	NAME_VALUE,
	NAME_TOMBSTONE, /* ".gone": the key is removed */
	NAME_MARKED,    /* ".mark": its removal has begun and waits for what it points to */
	NAME_JSON,      /* ".json": a value that a person reads with jq */
	NAME_FORMS,
};

/* A key whose newest version has this form exists. */
static inline bool name_form_lives(enum name_form form)
{
	return form != NAME_TOMBSTONE && form != NAME_MARKED;
}

struct name {
	size_t key_len; /* the key is the first key_len bytes of the file name */
	fsha_version version;
	enum name_form form;
};

/* `key` is encoded already, or one of our own that begin with '@'. */
void name_format(const char *key, const fsha_version *version, enum name_form form, char *ret_name);
/* False for a name that is not of this form: a leftover, ".nfs...", a person's file. */
bool name_parse(const char *file_name, struct name *ret_name);

/* A job id as a key: 32 hex digits in lower case, as they are written. */
bool name_is_job(const char *key, fsha_job_id *ret_id);
/* Is this a version of `key`? */
bool name_is_of(const char *file_name, const char *key, struct name *ret_name);
/* The newest version of `key` in a listing: its file name, which the listing owns; NULL when there
 * is none. */
const char *name_newest(const struct fsu_list *list, const char *key);

#endif
