/*
 * What the storms store: a value's name, "<epoch>.<sequence>.<random>", and bytes that follow from
 * it, so that a mixture of two values, or a part of one, is known for what it is.
 */
#ifndef TESTS_STORM_PAYLOAD_H
#define TESTS_STORM_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>

#define VALUE_SIZE 64 /* bytes of a value's name, with the terminator */
#define PAYLOAD_MAX (256 * 1024)

/* Fill `buf` with `size` bytes (at least 2 * VALUE_SIZE) for the value. */
void payload_make(const char *value, char *buf, size_t size);

/* Are these bytes one whole payload? Its value goes into VALUE_SIZE bytes. One thread at a time. */
bool payload_read(const char *buf, size_t size, char *ret_value);

#endif
