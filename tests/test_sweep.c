/*
 * The sweep finds what it is for: an operation that is right passes, and each mistake that one can
 * make in it is caught.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/disk.h"
#include "tests/lib/sweep.h"

#define TEXT "the content"

enum outcome {
	DONE,
	NOT_DONE,
	IN_DOUBT
};

/* A small publication, and what can be wrong with it. */
enum mistake {
	NONE,
	NO_FILE_SYNC,
	NO_DIR_SYNC,
	SHORT_WRITE_IGNORED,
	RENAME_ERROR_IGNORED,
	LOST_REPLY_BELIEVED,
	DESCRIPTOR_KEPT,
	MEMORY_KEPT,
	CALLS_DIFFER,
	STAGED_IN_PLACE
};

struct publication {
	enum mistake mistake;
	unsigned runs;
};

/* Not lost for the leak sanitizer, which is to find the mistakes that are none of these. */
#define KEPT_MAX 16
static void *kept[KEPT_MAX];

static void setup(void *ctx, struct crashfs *c)
{
	const struct fsu *fs = crashfs_client(c, 0);

	(void)ctx;
	disk_mkdir(fs, "tenure");
	disk_mkdir(fs, "store");
	disk_sync_dir(fs, ".");
}

static int write_all(const struct fsu *fs, int fd, const char *data, size_t len, bool once)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = fs->ops->write(fs->ctx, fd, data + done, len - done);

		if (n < 0)
			return (int)n;
		done += (size_t)n;
		if (once)
			break;
	}
	return 0;
}

static int stage(const struct publication *p, const struct fsu *fs, const char *path)
{
	int fd = fsu_openat(fs, AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r, closed;

	if (fd < 0)
		return fd;
	r = write_all(fs, fd, TEXT, strlen(TEXT), p->mistake == SHORT_WRITE_IGNORED);
	if (r == 0 && p->mistake != NO_FILE_SYNC)
		r = fs->ops->fsync(fs->ctx, fd);
	if (r < 0 && p->mistake == DESCRIPTOR_KEPT)
		return r;
	closed = fsu_close(fs, fd);
	return r < 0 ? r : closed;
}

static int sync_store(const struct publication *p, const struct fsu *fs)
{
	int fd, r;

	if (p->mistake == NO_DIR_SYNC)
		return DONE;
	fd = fsu_openat(fs, AT_FDCWD, "store", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return IN_DOUBT;
	r = fsu_fsync(fs, fd);
	(void)fsu_close(fs, fd);
	return r == 0 ? DONE : IN_DOUBT;
}

static int operation(void *ctx, const struct fsu *fs)
{
	struct publication *p = ctx;
	const char *path = p->mistake == STAGED_IN_PLACE ? "store/x" : "tenure/x";
	struct statx st;
	void *memory;
	int r;

	if (p->mistake == CALLS_DIFFER && p->runs++ > 0)
		return NOT_DONE;
	memory = fsu_alloc(fs, 100);
	if (!memory)
		return NOT_DONE;
	r = stage(p, fs, path);
	if (r < 0 && p->mistake == MEMORY_KEPT) {
		kept[p->runs++ % KEPT_MAX] = memory;
		return NOT_DONE;
	}
	fsu_release(fs, memory);
	if (r < 0)
		return NOT_DONE;
	if (p->mistake == STAGED_IN_PLACE)
		return sync_store(p, fs);
	r = fsu_renameat(fs, AT_FDCWD, "tenure/x", AT_FDCWD, "store/x");
	if (r == 0 || p->mistake == RENAME_ERROR_IGNORED)
		return sync_store(p, fs);
	if (p->mistake == LOST_REPLY_BELIEVED)
		return r == -ENOENT ? NOT_DONE : IN_DOUBT;
	if (fsu_statx(fs, AT_FDCWD, "store/x", 0, STATX_TYPE, &st) == 0)
		return sync_store(p, fs);
	return fsu_unlinkat(fs, AT_FDCWD, "tenure/x", 0) == 0 ? NOT_DONE : IN_DOUBT;
}

static const char *check(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	size_t len = 0;
	const uint8_t *data = crashfs_cat(after, "store/x", &len);
	bool outcome_told = run->when != SWEEP_CUT_DURING;

	(void)ctx;
	if (data && (len != strlen(TEXT) || memcmp(data, TEXT, len) != 0))
		return sweep_say("store/x has %zu bytes of something else", len);
	if (outcome_told && run->outcome == DONE && !data)
		return "acknowledged, and not there";
	if (outcome_told && run->outcome == NOT_DONE && data)
		return "refused, and there";
	if (run->n_faults == 0 && run->outcome != DONE)
		return "nothing failed, and it was not done";
	return NULL;
}

static struct sweep_scenario scenario_with(struct publication *p)
{
	return (struct sweep_scenario){
		.name = "publish",
		.options = { .seed = 1 },
		.ctx = p,
		.setup = setup,
		.operation = operation,
		.check = check,
	};
}

static void expect_caught(enum mistake mistake, const char *text)
{
	struct publication p = { .mistake = mistake };
	struct sweep_scenario scenario = scenario_with(&p);
	struct sweep_report report;

	assert_false(sweep_run(&scenario, &report));
	assert_true(report.failures > 0);
	if (!strstr(report.text, text))
		fail_msg("'%s' is not in:\n%s", text, report.text);
}

static void right_operation_passes_every_fault(void **state)
{
	struct publication p = { .mistake = NONE };
	struct sweep_scenario scenario = scenario_with(&p);

	(void)state;
	sweep_assert(&scenario);
}

static void right_operation_passes_with_caches_and_every_errno(void **state)
{
	struct publication p = { .mistake = NONE };
	struct sweep_scenario scenario = scenario_with(&p);

	(void)state;
	scenario.options.cache_ns = DISK_CACHE_NS;
	scenario.exhaustive = true;
	sweep_assert(&scenario);
}

static void right_operation_passes_pairs_of_faults(void **state)
{
	struct publication p = { .mistake = NONE };
	struct sweep_scenario scenario = scenario_with(&p);

	(void)state;
	sweep_assert_pairs(&scenario, 8);
}

static void every_call_fails_in_every_mode(void **state)
{
	struct publication p = { .mistake = NONE };
	struct sweep_scenario scenario = scenario_with(&p);
	struct sweep_report report;

	(void)state;
	assert_true(sweep_run(&scenario, &report));
	/* alloc, open, write, fsync, close, rename, open, fsync, close */
	assert_int_equal(report.calls, 9);
	/*
	 * The run without a fault; alloc 1; open 10 * 2 + 1; write 9 * 2 + 1; fsync 9 * 2 each;
	 * close 5 each; rename 9 * 2 + 1; the other open 7; and a power cut at each call.
	 */
	assert_int_equal(report.runs, 1 + 1 + 21 + 19 + 18 + 5 + 19 + 7 + 18 + 5 + 9);
}

static void missing_file_sync_is_caught(void **state)
{
	(void)state;
	expect_caught(NO_FILE_SYNC, "bytes of something else");
}

static void missing_directory_sync_is_caught(void **state)
{
	(void)state;
	expect_caught(NO_DIR_SYNC, "all lost: acknowledged, and not there");
}

static void ignored_short_write_is_caught(void **state)
{
	(void)state;
	expect_caught(SHORT_WRITE_IGNORED, "call 2 (write)  short: store/x has 6 bytes");
}

static void ignored_rename_error_is_caught(void **state)
{
	(void)state;
	expect_caught(RENAME_ERROR_IGNORED,
		      "call 5 (renameat) EIO not done: acknowledged, and not there");
}

static void lost_reply_taken_for_a_refusal_is_caught(void **state)
{
	(void)state;
	expect_caught(LOST_REPLY_BELIEVED, "call 5 (renameat) ENOENT done: refused, and there");
}

static void descriptor_left_open_is_caught(void **state)
{
	(void)state;
	expect_caught(DESCRIPTOR_KEPT, "client 0 has 1 descriptors open, the first of 'tenure/x'");
}

static void memory_left_allocated_is_caught(void **state)
{
	(void)state;
	expect_caught(MEMORY_KEPT, "100 bytes are not released");
}

static void operation_that_changes_its_calls_is_caught(void **state)
{
	(void)state;
	expect_caught(CALLS_DIFFER, "does not make the same calls");
}

static void value_that_is_seen_unfinished_is_caught(void **state)
{
	(void)state;
	expect_caught(STAGED_IN_PLACE, "bytes of something else");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_operation_passes_every_fault),
		cmocka_unit_test(right_operation_passes_with_caches_and_every_errno),
		cmocka_unit_test(right_operation_passes_pairs_of_faults),
		cmocka_unit_test(every_call_fails_in_every_mode),
		cmocka_unit_test(missing_file_sync_is_caught),
		cmocka_unit_test(missing_directory_sync_is_caught),
		cmocka_unit_test(ignored_short_write_is_caught),
		cmocka_unit_test(ignored_rename_error_is_caught),
		cmocka_unit_test(lost_reply_taken_for_a_refusal_is_caught),
		cmocka_unit_test(descriptor_left_open_is_caught),
		cmocka_unit_test(memory_left_allocated_is_caught),
		cmocka_unit_test(operation_that_changes_its_calls_is_caught),
		cmocka_unit_test(value_that_is_seen_unfinished_is_caught),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
