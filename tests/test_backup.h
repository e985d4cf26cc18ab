/* What the tests of fsha/backup.h share, with test_backup_memory.h: namespaces to fill. */
#ifndef TESTS_TEST_BACKUP_H
#define TESTS_TEST_BACKUP_H

#include "tests/test_backup_memory.h"
#include "tests/test_services.h"

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

static inline fsha_result discard_nothing(void *ctx, const char *name, const void *data,
					  size_t size, fsha_error *reterr)
{
	(void)ctx;
	(void)name;
	(void)data;
	(void)size;
	(void)reterr;
	return FSHA_E_IO;
}

/* Its removal has begun, and what it points to cannot be discarded. */
static inline void begin_removal(fsha_services *s, const char *space, const char *name)
{
	fsha_state_store *store;
	int removed;

	assert_ok(fsha_state_store_open(s, space, ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_set_discard(store, discard_nothing, NULL, &t.error));
	assert_result(fsha_state_store_release_and_try_remove(store, name, &removed, &t.error),
		      FSHA_E_IO);
	fsha_state_store_close(store);
}

#endif
