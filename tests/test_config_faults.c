/*
 * Configuration: every allocation and every call on a file that can fail does, once each. Nothing
 * changes, nothing leaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsha/utils.h"
#include "src/config/config.h"
#include "src/config/keys.h"

#define DATA "tests/data/config"
#define FLAT DATA "/flat/flink-conf.yaml"
#define NESTED DATA "/nested/config.yaml"

/* ---- A table that counts, and fails one call of those asked for. ---- */

enum {
	FAIL_MEMORY = 1,
	FAIL_FILES = 2
};

struct faulty {
	struct fsu fs;
	struct fsu_ops ops;
	unsigned kinds; /* FAIL_* that count */
	long fail_at;   /* -1: never */
	long calls;
	bool fired;
	long blocks, fds; /* in use */
};

static bool fails(struct faulty *f, unsigned kind)
{
	if (!(f->kinds & kind) || f->calls++ != f->fail_at)
		return false;
	f->fired = true;
	return true;
}

static void *faulty_alloc(void *ctx, size_t size)
{
	struct faulty *f = ctx;

	if (fails(f, FAIL_MEMORY))
		return NULL;
	f->blocks++;
	return fsu_alloc(&fsu_posix, size);
}

static void *faulty_resize(void *ctx, void *ptr, size_t size)
{
	struct faulty *f = ctx;

	if (fails(f, FAIL_MEMORY))
		return NULL;
	f->blocks += !ptr;
	return fsu_resize(&fsu_posix, ptr, size);
}

static void faulty_release(void *ctx, void *ptr)
{
	struct faulty *f = ctx;

	f->blocks -= ptr != NULL;
	fsu_release(&fsu_posix, ptr);
}

static int faulty_openat(void *ctx, int dirfd, const char *path, int flags, mode_t mode)
{
	struct faulty *f = ctx;
	int fd;

	if (fails(f, FAIL_FILES))
		return -EIO;
	fd = fsu_openat(&fsu_posix, dirfd, path, flags, mode);
	f->fds += fd >= 0;
	return fd;
}

static int faulty_close(void *ctx, int fd)
{
	struct faulty *f = ctx;

	f->fds--;
	return fsu_close(&fsu_posix, fd);
}

static int faulty_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
			struct statx *ret_stat)
{
	if (fails(ctx, FAIL_FILES))
		return -EIO;
	return fsu_statx(&fsu_posix, dirfd, path, flags, mask, ret_stat);
}

static ssize_t faulty_pread(void *ctx, int fd, void *buf, size_t len, off_t offset)
{
	if (fails(ctx, FAIL_FILES))
		return -EIO;
	return fsu_pread(&fsu_posix, fd, buf, len, offset);
}

/* Each call gives one byte: what a reader must put together. */
static ssize_t short_pread(void *ctx, int fd, void *buf, size_t len, off_t offset)
{
	(void)ctx;
	return fsu_pread(&fsu_posix, fd, buf, len ? 1 : 0, offset);
}

/* A file of one byte too many, page by page, so that one call ends at the limit. */
static ssize_t large_pread(void *ctx, int fd, void *buf, size_t len, off_t offset)
{
	size_t left = FSHA_CONFIG_FILE_MAX + 1 - (size_t)offset;
	size_t n = 4096 - (size_t)offset % 4096;

	(void)ctx;
	(void)fd;
	n = n < len ? n : len;
	n = n < left ? n : left;
	memset(buf, '\n', n);
	return (ssize_t)n;
}

static void faulty_init(struct faulty *f)
{
	*f = (struct faulty){ .fail_at = -1, .ops = *fsu_posix.ops };
	f->ops.alloc = faulty_alloc;
	f->ops.resize = faulty_resize;
	f->ops.release = faulty_release;
	f->ops.openat = faulty_openat;
	f->ops.close = faulty_close;
	f->ops.statx = faulty_statx;
	f->ops.pread = faulty_pread;
	f->fs = (struct fsu){ .ops = &f->ops, .ctx = f };
}

static void assert_nothing_leaks(const struct faulty *f)
{
	assert_int_equal(f->blocks, 0);
	assert_int_equal(f->fds, 0);
}

/* ---- The operations that fail. ---- */

typedef fsha_result operation(fsha_config *config, fsha_error *reterr);

static fsha_result load_flat(fsha_config *config, fsha_error *reterr)
{
	return fsha_config_load_file(config, FLAT, reterr);
}

static fsha_result load_nested(fsha_config *config, fsha_error *reterr)
{
	return fsha_config_load_file(config, NESTED, reterr);
}

static fsha_result load_directory(fsha_config *config, fsha_error *reterr)
{
	return fsha_config_load_file(config, DATA "/flat", reterr);
}

static fsha_result load_environment(fsha_config *config, fsha_error *reterr)
{
	return fsha_config_load_environment(config, reterr);
}

static fsha_result set(fsha_config *config, fsha_error *reterr)
{
	return fsha_config_set(config, "new.key", "new value", reterr);
}

/* A configuration of `f` with an entry in each source. */
static fsha_config *config_of(struct faulty *f)
{
	fsha_config *config = config_create_with(&f->fs);

	assert_non_null(config);
	assert_int_equal(fsha_config_set(config, "a", "1", NULL), FSHA_OK);
	assert_int_equal(fsha_config_load_file(config, DATA "/both", NULL), FSHA_OK);
	return config;
}

static void assert_same(const fsha_config *a, const fsha_config *b)
{
	assert_int_equal(a->entries.count, b->entries.count);
	for (size_t i = 0; i < a->entries.count; i++) {
		const struct config_entry *x = a->entries.items[i], *y = b->entries.items[i];

		assert_string_equal(x->key, y->key);
		assert_string_equal(x->value, y->value);
		assert_string_equal(x->origin, y->origin);
		assert_int_equal(x->source, y->source);
	}
}

/* Fails call after call of one kind, until an operation has no more of them. */
static void sweep(operation *run, unsigned kind, fsha_result expected)
{
	long at;
	bool fired = true;

	for (at = 0; fired; at++) {
		struct faulty f;
		fsha_config *config, *before;
		fsha_error error = FSHA_ERROR_INIT;
		fsha_result result;

		faulty_init(&f);
		config = config_of(&f);
		before = config_copy(&fsu_posix, config);
		assert_non_null(before);
		f.kinds = kind;
		f.fail_at = at;
		result = run(config, &error);
		f.kinds = 0;
		fired = f.fired;
		if (result != (fired ? expected : FSHA_OK))
			fail_msg("call %ld: %s", at, error.message);
		if (fired) {
			assert_int_equal(error.result, expected);
			assert_int_not_equal(error.message[0], '\0');
			assert_same(config, before);
		} else {
			assert_true(config->entries.count > before->entries.count);
		}
		fsha_config_destroy(before);
		fsha_config_destroy(config);
		assert_nothing_leaks(&f);
	}
	/* At least one call did fail. */
	assert_true(at > 1);
}

static void loading_a_flat_file_out_of_memory_changes_nothing(void **state)
{
	(void)state;
	sweep(load_flat, FAIL_MEMORY, FSHA_E_NOMEM);
}

static void loading_a_nested_file_out_of_memory_changes_nothing(void **state)
{
	(void)state;
	sweep(load_nested, FAIL_MEMORY, FSHA_E_NOMEM);
}

static void loading_the_environment_out_of_memory_changes_nothing(void **state)
{
	(void)state;
	(void)setenv("FSHA_LEASE", "3 s", 1);
	(void)setenv("FSHA_STORAGE_DIR", "/x", 1);
	sweep(load_environment, FAIL_MEMORY, FSHA_E_NOMEM);
	(void)unsetenv("FSHA_LEASE");
	(void)unsetenv("FSHA_STORAGE_DIR");
}

static void setting_out_of_memory_changes_nothing(void **state)
{
	(void)state;
	sweep(set, FAIL_MEMORY, FSHA_E_NOMEM);
}

static fsha_result set_address(fsha_config *config, fsha_error *reterr)
{
	return fsha_config_set_job_manager_address(config, "host", 1234, reterr);
}

static void setting_an_address_out_of_memory_sets_neither_host_nor_port(void **state)
{
	(void)state;
	sweep(set_address, FAIL_MEMORY, FSHA_E_NOMEM);
}

static void a_copy_out_of_memory_is_none_and_leaks_nothing(void **state)
{
	struct faulty source, f;
	fsha_config *config, *copy = NULL;

	(void)state;
	faulty_init(&source);
	config = config_of(&source);
	for (long at = 0; !copy; at++) {
		faulty_init(&f);
		f.kinds = FAIL_MEMORY;
		f.fail_at = at;
		copy = config_copy(&f.fs, config);
		assert_true(f.fired == !copy);
		if (!copy)
			assert_nothing_leaks(&f);
	}
	assert_same(copy, config);
	fsha_config_destroy(copy);
	assert_nothing_leaks(&f);
	fsha_config_destroy(config);
	assert_nothing_leaks(&source);
}

static void a_configuration_out_of_memory_is_none(void **state)
{
	struct faulty f;

	(void)state;
	faulty_init(&f);
	f.kinds = FAIL_MEMORY;
	f.fail_at = 0;
	assert_null(config_create_with(&f.fs));
	assert_nothing_leaks(&f);
}

static void a_file_that_fails_at_any_call_changes_nothing(void **state)
{
	(void)state;
	sweep(load_flat, FAIL_FILES, FSHA_E_IO);
	sweep(load_nested, FAIL_FILES, FSHA_E_IO);
	sweep(load_directory, FAIL_FILES, FSHA_E_IO);
}

static void short_reads_are_put_together(void **state)
{
	struct faulty f;
	fsha_config *in_one, *in_bytes;

	(void)state;
	faulty_init(&f);
	in_one = config_create_with(&fsu_posix);
	in_bytes = config_create_with(&f.fs);
	assert_non_null(in_one);
	assert_non_null(in_bytes);
	f.ops.pread = short_pread;
	assert_int_equal(load_nested(in_one, NULL), FSHA_OK);
	assert_int_equal(load_nested(in_bytes, NULL), FSHA_OK);
	assert_same(in_bytes, in_one);
	fsha_config_destroy(in_one);
	fsha_config_destroy(in_bytes);
	assert_nothing_leaks(&f);
}

static void a_file_too_large_is_not_cut_to_size_by_short_reads(void **state)
{
	struct faulty f;
	fsha_config *config;

	(void)state;
	faulty_init(&f);
	f.ops.pread = large_pread;
	config = config_create_with(&f.fs);
	assert_non_null(config);
	assert_int_equal(load_nested(config, NULL), FSHA_E_CONFIG);
	fsha_config_destroy(config);
	assert_nothing_leaks(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loading_a_flat_file_out_of_memory_changes_nothing),
		cmocka_unit_test(loading_a_nested_file_out_of_memory_changes_nothing),
		cmocka_unit_test(loading_the_environment_out_of_memory_changes_nothing),
		cmocka_unit_test(setting_out_of_memory_changes_nothing),
		cmocka_unit_test(setting_an_address_out_of_memory_sets_neither_host_nor_port),
		cmocka_unit_test(a_copy_out_of_memory_is_none_and_leaks_nothing),
		cmocka_unit_test(a_configuration_out_of_memory_is_none),
		cmocka_unit_test(a_file_that_fails_at_any_call_changes_nothing),
		cmocka_unit_test(short_reads_are_put_together),
		cmocka_unit_test(a_file_too_large_is_not_cut_to_size_by_short_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
