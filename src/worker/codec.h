/*
 * The payloads of workers/ (doc/FORMAT.md): a worker without its task id, which is the key of the
 * record; the framework id; the counter of task ids. No I/O, no memory of their own; a decoder
 * refuses what the encoder would not write.
 */
#ifndef SRC_WORKER_CODEC_H
#define SRC_WORKER_CODEC_H

#include <stdbool.h>

#include "fsha/worker.h"

/* Valid UTF-8 without a zero byte: no surrogates, nothing beyond U+10FFFF, no form too long. */
bool utf8_is_valid(const char *text, size_t len);

#define FRAMEWORK_ID_MAX (FSHA_FRAMEWORK_ID_SIZE - 1)

/* A worker as decoded: its texts point into the payload and are not terminated. */
struct worker_fields {
	int32_t state;
	int64_t updated_ms;
	const char *slave_id, *hostname; /* empty: none */
	size_t slave_id_len, hostname_len;
	const void *launchable;
	size_t launchable_size;
};

/* Bytes of a worker that worker_check has passed. */
size_t worker_encoded_size(const fsha_worker *worker);
/* Into `buf` of that many bytes; `updated_ms` in place of the worker's own. */
void worker_encode(const fsha_worker *worker, int64_t updated_ms, uint8_t *buf, size_t size);
/* 0 or -EBADMSG. */
int worker_decode(const uint8_t *buf, size_t len, struct worker_fields *ret_fields);

/* 4 bytes and the text; `buf` has room for FSHA_FRAMEWORK_ID_SIZE + 4. Returns the length. */
size_t framework_id_encode(const char *id, uint8_t *buf);
/* Into `ret_id` of FSHA_FRAMEWORK_ID_SIZE bytes. 0 or -EBADMSG. */
int framework_id_decode(const uint8_t *buf, size_t len, char *ret_id);

#define COUNTER_SIZE 8
/* No number is above this: that many ids are never used up. */
#define COUNTER_MAX INT64_MAX
void counter_encode(uint64_t number, uint8_t *buf);
int counter_decode(const uint8_t *buf, size_t len, uint64_t *ret_number);

#endif
