/* What the tests of fsha/backup.h share: an archive in memory, and namespaces to fill. */
#ifndef TESTS_TEST_BACKUP_H
#define TESTS_TEST_BACKUP_H

#include "tests/test_services.h"

/* ---- an archive in memory ---- */

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

static inline struct item *item_of(struct memory *m, const char *prefix)
{
	for (size_t i = 0; i < m->count; i++)
		if (strncmp(m->items[i].path, prefix, strlen(prefix)) == 0)
			return &m->items[i];
	fail_msg("the backup has no %s", prefix);
	return NULL;
}

static inline void damage_item(struct memory *m, const char *prefix)
{
	struct item *item = item_of(m, prefix);

	if (item)
		item->data[0] ^= 1;
}

static inline fsha_result take_with(fsha_services *s, struct memory *m, uint32_t flags,
				    uint32_t timeout_ms)
{
	const fsha_backup_sink sink = { sizeof(sink), m, begin_item, write_item };
	const fsha_backup_options options = { sizeof(options), flags, timeout_ms };

	m->count = 0;
	return fsha_backup_take(s, &options, &sink, NULL, &t.error);
}

static inline void take(fsha_services *s, struct memory *m)
{
	assert_ok(take_with(s, m, 0, 0));
	assert_string_equal(m->items[m->count - 1].path, FSHA_BACKUP_MANIFEST);
}

static inline fsha_result restore_part(fsha_services *s, struct memory *m, const char *part,
				       uint32_t flags)
{
	const fsha_backup_source source = { sizeof(source), m, rewind_items, next_item, read_item };
	const fsha_restore_options options = {
		.struct_size = sizeof(options),
		.flags = flags,
		.parts = part ? &part : NULL,
		.part_count = part ? 1 : 0,
	};

	return fsha_backup_restore(s, &options, &source, NULL, &t.error);
}

static inline fsha_result restore(fsha_services *s, struct memory *m)
{
	return restore_part(s, m, NULL, 0);
}

static inline void put(fsha_services *s, const char *space, const char *name, const char *value)
{
	fsha_state_store *store;
	fsha_version v;

	assert_ok(fsha_state_store_open(s, space, ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_exists(store, name, &v, &t.error));
	if (fsha_version_is_existing(&v))
		assert_ok(fsha_state_store_replace(store, name, &v, value, strlen(value), NULL,
						   &t.error));
	else
		assert_ok(fsha_state_store_add(store, name, value, strlen(value), NULL, &t.error));
	fsha_state_store_close(store);
}

#endif
