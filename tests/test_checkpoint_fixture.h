/*
 * A job master with its checkpoint store, on the crash filesystem and without threads: what is to
 * be done in the background is done when the test says so.
 */
#ifndef TESTS_TEST_CHECKPOINT_FIXTURE_H
#define TESTS_TEST_CHECKPOINT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <inttypes.h>

#include "src/checkpoint/checkpoint.h"
#include "tests/lib/holder.h"
#include "tests/lib/swept.h"

#define JOB_HEX "000102030405060708090a0b0c0d0e0f"
#define JOB_ELECTION "job-" JOB_HEX
#define JOB_DIRECTORY "/c/checkpoints/" JOB_HEX

static const fsha_job_id job = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 } };

#define IDS_MAX 64

struct master {
	struct crashfs *disk;
	struct holder h;
	fsha_checkpoint_store *store;
	fsha_checkpoint_store_options options;
	fsha_error error;
	/* What the functions were told. */
	int64_t discarded[IDS_MAX], cleaned[IDS_MAX];
	unsigned n_discarded, n_cleaned, n_failed, n_broken;
	fsha_result answer; /* of discard */
	bool wrong;         /* it was given something else than was added */
	char broken[64];
	void (*in_discard)(struct master *m, int64_t id);
};

static inline fsha_completed_checkpoint checkpoint_of(int64_t id, uint32_t type)
{
	static char metadata[32], pointer[32]; /* until the next one */
	fsha_completed_checkpoint c = FSHA_COMPLETED_CHECKPOINT_INIT;

	(void)snprintf(metadata, sizeof(metadata), "metadata of %" PRId64, id);
	(void)snprintf(pointer, sizeof(pointer), "/chk-%" PRId64, id);
	c.id = id;
	c.timestamp_ms = 1000 * id;
	c.type = type;
	c.metadata = metadata;
	c.metadata_size = strlen(metadata);
	c.external_pointer = pointer;
	return c;
}

/* Is it as checkpoint_of made it? */
static inline bool is_as_made(const fsha_completed_checkpoint *c)
{
	fsha_completed_checkpoint made = checkpoint_of(c->id, c->type);

	return c->struct_size == sizeof(*c) && c->timestamp_ms == made.timestamp_ms &&
	       c->metadata_size == made.metadata_size &&
	       memcmp(c->metadata, made.metadata, made.metadata_size) == 0 &&
	       strcmp(c->external_pointer, made.external_pointer) == 0;
}

static inline fsha_result on_discard(void *ctx, const fsha_completed_checkpoint *c,
				     fsha_error *reterr)
{
	struct master *m = ctx;

	(void)reterr;
	m->wrong |= !is_as_made(c) || c->type != FSHA_CHECKPOINT;
	m->discarded[m->n_discarded++ % IDS_MAX] = c->id;
	if (m->in_discard)
		m->in_discard(m, c->id);
	return m->answer;
}

static inline void on_cleaned(void *ctx, int64_t id, const fsha_error *error)
{
	struct master *m = ctx;

	if (error)
		m->n_failed++;
	else
		m->cleaned[m->n_cleaned++ % IDS_MAX] = id;
}

static inline void on_broken(void *ctx, const char *name, const fsha_error *error)
{
	struct master *m = ctx;

	(void)error;
	m->n_broken++;
	(void)snprintf(m->broken, sizeof(m->broken), "%s", name);
}

static inline fsha_result try_open(struct master *m)
{
	return SWEPT(checkpoint_open)(m->h.services, &job, &m->options, &m->store, &m->error);
}

static inline void must(const struct master *m, fsha_result result, const char *what)
{
	if (result != FSHA_OK)
		fail_msg("%s: %s (%s)", what, fsha_result_name(result), m->error.message);
}

/* Leads the job as client `client`; whoever did it before is fenced. */
static inline void master_start(struct master *m, struct crashfs *disk, unsigned client,
				uint32_t max_retained)
{
	*m = (struct master){ .disk = disk, .error = FSHA_ERROR_INIT };
	m->options = (fsha_checkpoint_store_options)FSHA_CHECKPOINT_STORE_OPTIONS_INIT;
	m->options.ctx = m;
	m->options.discard = on_discard;
	m->options.cleaned = on_cleaned;
	m->options.broken = on_broken;
	m->options.max_retained = max_retained;
	holder_start(&m->h, disk, client, JOB_ELECTION);
	must(m, try_open(m), "open");
}

/* The background comes to its turn. */
static inline void drain(struct master *m)
{
	services_lock(m->h.services);
	while (chores_run_one(m->h.services))
		;
	services_unlock(m->h.services);
}

/* Closed with what is still to be done, as by the end of the process. */
static inline void master_stop(struct master *m)
{
	(void)fsha_checkpoint_store_close(m->store, NULL);
	m->store = NULL;
	holder_stop(&m->h);
	assert_false(m->wrong);
}

static inline fsha_result try_add(struct master *m, int64_t id, uint32_t type,
				  int64_t *ret_subsumed)
{
	fsha_completed_checkpoint c = checkpoint_of(id, type);

	return fsha_checkpoint_store_add(m->store, &c, ret_subsumed, &m->error);
}

/* Returns the last that was subsumed. */
static inline int64_t add(struct master *m, int64_t id, uint32_t type)
{
	int64_t subsumed = -1;

	must(m, try_add(m, id, type, &subsumed), "add");
	return subsumed;
}

/* "1 s2 y3": what the store object holds. Valid until the next call. */
static inline const char *held(struct master *m)
{
	static char text[512];
	fsha_completed_checkpoint **all;
	size_t count, len = 0;

	must(m, fsha_checkpoint_store_get_all(m->store, &all, &count, &m->error), "get_all");
	assert_int_equal(count, fsha_checkpoint_store_count(m->store));
	assert_null(all[count]);
	text[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		assert_true(is_as_made(all[i]));
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s%" PRId64,
					i ? " " : "",
					all[i]->type == FSHA_CHECKPOINT ? "" :
					all[i]->type == FSHA_SAVEPOINT  ? "s" :
									  "y",
					all[i]->id);
	}
	fsu_release(m->h.fs, all);
	return text;
}

/* "1 m2": what is on disk, m for marked, as a fresh look of a reader shows it. */
static inline const char *on_disk(struct crashfs *disk)
{
	static char text[512];
	struct store_options options =
		checkpoint_store_options("checkpoints/" JOB_HEX, JOB_ELECTION);
	struct store_handle *handles;
	struct holder reader;
	struct store *store;
	size_t count, len = 0;
	int64_t id;

	holder_start_reader(&reader, disk, 3);
	assert_int_equal(services_store_open(reader.services, &options, &store, NULL), FSHA_OK);
	if (store_handles(store, &handles, &count, &reader.error) != FSHA_OK)
		fail_msg("%s", reader.error.message);
	text[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		if (handles[i].form == NAME_TOMBSTONE)
			continue;
		assert_true(checkpoint_parse_key(handles[i].key, &id));
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s%" PRId64,
					len ? " " : "", handles[i].form == NAME_MARKED ? "m" : "",
					id);
	}
	fsu_release(reader.fs, handles);
	services_store_close(reader.services, store);
	holder_stop(&reader);
	return text;
}

static inline int setup_retaining(void **state, uint32_t max_retained)
{
	const struct crashfs_options options = { .seed = 1 };
	struct master *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	master_start(m, crashfs_create(&options), 0, max_retained);
	*state = m;
	return 0;
}

static inline int setup(void **state)
{
	return setup_retaining(state, 2);
}

static inline int setup_one(void **state)
{
	return setup_retaining(state, 1);
}

static inline int teardown(void **state)
{
	struct master *m = *state;

	master_stop(m);
	for (unsigned client = 0; client < CRASHFS_CLIENTS; client++)
		assert_int_equal(crashfs_open_fds(m->disk, client), 0);
	assert_int_equal(crashfs_bytes_allocated(m->disk), 0);
	crashfs_destroy(m->disk);
	free(m);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_ONE(name) cmocka_unit_test_setup_teardown(name, setup_one, teardown)

/* The next job master, in another process. */
static inline void succeed(struct master *m)
{
	struct crashfs *disk = m->disk;
	uint32_t max_retained = m->options.max_retained;
	unsigned client = m->h.client == 0;

	master_stop(m);
	master_start(m, disk, client, max_retained);
}

static inline bool says(const struct master *m, const char *part)
{
	return strstr(m->error.message, part) != NULL;
}

/* The file of a checkpoint is damaged behind the library's back. */
static inline void damage(struct master *m, int64_t id)
{
	char key[CHECKPOINT_KEY_SIZE], path[512];
	const char *name;

	checkpoint_key(id, key);
	name = strstr(crashfs_ls(m->disk, JOB_DIRECTORY), key);
	assert_non_null(name);
	(void)snprintf(path, sizeof(path), JOB_DIRECTORY "/%.*s", (int)strcspn(name, "\n"), name);
	crashfs_put(m->disk, path, "rubbish", 7);
}

#endif
