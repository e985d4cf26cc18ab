/* A backup in memory, for the tests that take and restore one. */
#ifndef TESTS_TEST_BACKUP_MEMORY_H
#define TESTS_TEST_BACKUP_MEMORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsha/backup.h"

#define ITEMS_MAX 512

struct item {
	char path[512];
	uint8_t *data;
	size_t size, filled;
};

struct memory {
	struct item items[ITEMS_MAX];
	size_t count;
	size_t at, read; /* of the source */
};

static inline fsha_result begin_item(void *ctx, const char *path, uint64_t size, fsha_error *reterr)
{
	struct memory *m = ctx;
	struct item *item = &m->items[m->count++];

	(void)reterr;
	assert_true(m->count <= ITEMS_MAX);
	assert_true(m->count == 1 || item[-1].filled == item[-1].size);
	item->filled = 0;
	(void)snprintf(item->path, sizeof(item->path), "%s", path);
	item->size = size;
	item->data = malloc(size + 1);
	assert_non_null(item->data);
	return FSHA_OK;
}

static inline fsha_result write_item(void *ctx, const void *data, size_t size, fsha_error *reterr)
{
	struct memory *m = ctx;
	struct item *item = &m->items[m->count - 1];

	(void)reterr;
	assert_true(size <= item->size - item->filled);
	memcpy(item->data + item->filled, data, size);
	item->filled += size;
	return FSHA_OK;
}

static inline fsha_result rewind_items(void *ctx, fsha_error *reterr)
{
	struct memory *m = ctx;

	(void)reterr;
	m->at = 0;
	return FSHA_OK;
}

static inline fsha_result next_item(void *ctx, const char **ret_path, uint64_t *ret_size,
				    fsha_error *reterr)
{
	struct memory *m = ctx;

	(void)reterr;
	if (m->at == m->count)
		return FSHA_E_NOT_FOUND;
	*ret_path = m->items[m->at].path;
	*ret_size = m->items[m->at].size;
	m->at++;
	m->read = 0;
	return FSHA_OK;
}

static inline fsha_result read_item(void *ctx, void *buf, size_t size, size_t *ret_len,
				    fsha_error *reterr)
{
	struct memory *m = ctx;
	const struct item *item = &m->items[m->at - 1];
	size_t n = item->size - m->read;

	(void)reterr;
	/* In small and odd pieces, as a decompressor may have them. */
	if (n > 1021)
		n = 1021;
	if (n > size)
		n = size;
	memcpy(buf, item->data + m->read, n);
	m->read += n;
	*ret_len = n;
	return FSHA_OK;
}

static inline void memory_done(struct memory *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->items[i].data);
	m->count = 0;
}

#endif
