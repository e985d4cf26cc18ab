/* A leader with a blob store, and local files on the same crash filesystem, below /local. */
#ifndef TESTS_TEST_BLOB_H
#define TESTS_TEST_BLOB_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fsha/blob.h"
#include "fsutil/fsu_stream.h"
#include "tests/lib/disk.h"
#include "tests/lib/holder.h"

#define LARGE 70000u /* just a stream: the sweeps copy it many thousand times */
#define SOURCE "/local/source"
#define TARGET "/local/target"
#define ROOM "/c/blobs/job_000000000000000000000000000000a1"
#define KEY_1 "p-0000000000000000000000000000000000000001-00000000000000000000000000000001"
#define KEY_2 "p-0000000000000000000000000000000000000001-00000000000000000000000000000002"

struct scene {
	struct holder h;
	fsha_blob_store *store;
	fsha_blob_key key, other; /* KEY_1, KEY_2 */
	fsha_job_id job, second;
	fsha_error error;
};

/* `size` bytes of `c` as a local file. */
static inline void put_local(struct crashfs *disk, const char *path, char c, size_t size)
{
	char *data = malloc(size + 1);

	assert_non_null(data);
	memset(data, c, size + 1);
	crashfs_put(disk, path, data, size);
	free(data);
}

static inline void lead(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	*s = (struct scene){ .error = FSHA_ERROR_INIT };
	s->job.bytes[15] = 0xa1;
	s->second.bytes[15] = 0xb2;
	assert_int_equal(fsha_blob_key_parse(KEY_1, &s->key), FSHA_OK);
	assert_int_equal(fsha_blob_key_parse(KEY_2, &s->other), FSHA_OK);
	holder_start(&s->h, disk, 0, "dispatcher");
	disk_mkdir(s->h.fs, "/local");
	disk_sync_dir(s->h.fs, "/");
	put_local(disk, SOURCE, 'b', LARGE);
	assert_int_equal(fsha_blob_store_open(s->h.services, &s->store, &s->error), FSHA_OK);
}

static inline void leave(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	(void)disk;
	fsha_blob_store_close(s->store);
	holder_stop(&s->h);
}

#define assert_said(call, expected)                                                      \
	do {                                                                             \
		fsha_result result_ = (call);                                            \
		if (result_ != (expected))                                               \
			fail_msg("%s: %s, not %s: %s", #call, fsha_result_name(result_), \
				 #expected, result_ == FSHA_OK ? "" : s->error.message); \
	} while (0)

/* 0 when `path` is a file of `size` bytes of `c`, and what else it is. */
static inline const char *differs(struct crashfs *disk, const char *path, char c, size_t size)
{
	size_t len;
	const uint8_t *data = crashfs_cat(disk, path, &len);

	if (!data)
		return "it is not there";
	if (len != size)
		return "it has another size";
	/* Each byte as the one before it, without a loop that a sanitizer makes slow. */
	if (len > 0 && (data[0] != (uint8_t)c || memcmp(data, data + 1, len - 1) != 0))
		return "it has another content";
	return NULL;
}

static inline void expect_local(struct crashfs *disk, const char *path, char c, size_t size)
{
	const char *wrong = differs(disk, path, c, size);

	if (wrong)
		fail_msg("%s: %s", path, wrong);
}

static inline int open_scene_with(void **state, const struct crashfs_options *options)
{
	struct scene *s = calloc(1, sizeof(*s));

	if (!s)
		return -1;
	lead(s, crashfs_create(options));
	*state = s;
	return 0;
}

static inline int open_scene(void **state)
{
	static const struct crashfs_options options = { .seed = 1 };

	return open_scene_with(state, &options);
}

static inline int close_scene(void **state)
{
	struct scene *s = *state;
	struct crashfs *disk = s->h.disk;

	crashfs_fault_clear(disk);
	crashfs_hook_set(disk, NULL, NULL);
	leave(s, disk);
	assert_int_equal(crashfs_open_fds(disk, 0), 0);
	assert_int_equal(crashfs_open_fds(disk, 1), 0);
	assert_int_equal(crashfs_bytes_allocated(disk), 0);
	crashfs_destroy(disk);
	free(s);
	return 0;
}

static inline void put_blob(struct scene *s, const fsha_job_id *job, const fsha_blob_key *key,
			    char c, size_t size)
{
	put_local(s->h.disk, SOURCE, c, size);
	assert_said(fsha_blob_store_put(s->store, SOURCE, job, key, &s->error), FSHA_OK);
}

static inline void get_blob(struct scene *s, const fsha_job_id *job, const fsha_blob_key *key,
			    char c, size_t size)
{
	assert_said(fsha_blob_store_get(s->store, job, key, TARGET, &s->error), FSHA_OK);
	expect_local(s->h.disk, TARGET, c, size);
	/* Nothing else is left beside it. */
	assert_string_equal(crashfs_ls(s->h.disk, "/local"), "source\ntarget");
}

#define scene_test(f) cmocka_unit_test_setup_teardown(f, open_scene, close_scene)

#endif
