/* Each state that a power cut may leave comes up, and none that it cannot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/disk.h"

#define TEXT_SIZE 4000
#define LIMIT 1000

struct seen {
	char text[TEXT_SIZE]; /* the names of each state, sorted, in [] */
	unsigned count;
	uint64_t digests[LIMIT];
};

static void see(void *ctx, struct crashfs *after)
{
	struct seen *seen = ctx;
	size_t used = strlen(seen->text), len;
	const uint8_t *data;
	char *at;

	(void)snprintf(seen->text + used, TEXT_SIZE - used, "[%s]", crashfs_ls(after, "d"));
	for (at = seen->text + used; *at; at++)
		if (*at == '\n')
			*at = ' ';
	data = crashfs_cat(after, "d/data", &len);
	if (data && strlen(seen->text) + len + 2 < TEXT_SIZE) {
		used = strlen(seen->text);
		seen->text[used] = '=';
		for (size_t i = 0; i < len; i++)
			if (data[i])
				memcpy(seen->text + used + 1 + i, data + i, 1);
			else
				seen->text[used + 1 + i] = '0';
		seen->text[used + 1 + len] = '\0';
	}
	seen->digests[seen->count++ % LIMIT] = crashfs_digest(after);
}

static struct crashfs *begin(const struct fsu **ret_fs)
{
	struct crashfs *c = crashfs_create(&(struct crashfs_options){ .seed = 1 });

	*ret_fs = crashfs_client(c, 0);
	disk_mkdir(*ret_fs, "d");
	disk_sync_dir(*ret_fs, ".");
	return c;
}

static void make(const struct fsu *fs, const char *path)
{
	int fd = fsu_openat(fs, AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fsu_close(fs, fd), 0);
}

static void move(const struct fsu *fs, const char *from, const char *to)
{
	assert_int_equal(fsu_renameat(fs, AT_FDCWD, from, AT_FDCWD, to), 0);
}

static void expect_different(const struct seen *seen)
{
	assert_true(seen->count <= LIMIT);
	for (unsigned i = 0; i < seen->count; i++)
		for (unsigned k = 0; k < i; k++)
			if (seen->digests[i] == seen->digests[k])
				fail_msg("states %u and %u are equal: %s", k, i, seen->text);
}

static void expect(struct crashfs *c, unsigned count, const char *const *states)
{
	struct seen seen = { .count = 0 };
	bool complete = false;

	assert_int_equal(crashfs_each_state(c, LIMIT, LIMIT, 1, see, &seen, &complete), count);
	assert_true(complete);
	assert_int_equal(seen.count, count);
	for (; *states; states++)
		if (!strstr(seen.text, *states))
			fail_msg("%s is not among %s", *states, seen.text);
	expect_different(&seen);
	crashfs_destroy(c);
}

static void independent_operations_are_kept_in_every_combination(void **state)
{
	static const char *const states[] = { "[]",    "[a]",   "[b]",     "[c]", "[a b]",
					      "[a c]", "[b c]", "[a b c]", NULL };
	const struct fsu *fs;
	struct crashfs *c = begin(&fs);

	(void)state;
	make(fs, "d/a");
	make(fs, "d/b");
	make(fs, "d/c");
	expect(c, 8, states);
}

static void a_file_never_stands_under_two_names(void **state)
{
	static const char *const states[] = { "[]", "[a]", "[b]", "[c]", NULL };
	const struct fsu *fs;
	struct crashfs *c = begin(&fs);

	(void)state;
	make(fs, "d/a");
	move(fs, "d/a", "d/b");
	move(fs, "d/b", "d/c");
	expect(c, 4, states);
}

static void what_is_synced_is_kept_with_all_that_it_needs(void **state)
{
	static const char *const states[] = { "[a]", "[a e]", NULL };
	const struct fsu *fs;
	struct crashfs *c = begin(&fs);

	(void)state;
	make(fs, "d/a");
	disk_sync_dir(fs, "d");
	make(fs, "d/e");
	expect(c, 2, states);
}

static void a_directory_that_is_gone_was_empty(void **state)
{
	static const char *const states[] = { "[sub]", "[f sub]", "[f]", NULL };
	const struct fsu *fs;
	struct crashfs *c = begin(&fs);

	(void)state;
	disk_mkdir(fs, "d/sub");
	make(fs, "d/sub/f");
	disk_sync_dir(fs, "d");
	disk_sync_dir(fs, "d/sub");
	move(fs, "d/sub/f", "d/f");
	assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, "d/sub", AT_REMOVEDIR), 0);
	expect(c, 3, states);
}

static void content_that_is_not_synced_is_none_all_half_or_zeros(void **state)
{
	static const char *const states[] = { "[]", "[data]=1234", "[data]=12[", "[data]=0000",
					      NULL };
	const struct fsu *fs;
	struct crashfs *c = begin(&fs);
	struct seen seen = { .count = 0 };
	int fd = fsu_openat(fs, AT_FDCWD, "d/data", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(fs->ops->write(fs->ctx, fd, "1234", 4), 4);
	assert_int_equal(fsu_close(fs, fd), 0);
	make(fs, "d/e");
	assert_int_equal(crashfs_each_state(c, LIMIT, LIMIT, 1, see, &seen, NULL), 10);
	for (size_t i = 0; states[i]; i++)
		if (!strstr(seen.text, states[i]))
			fail_msg("%s is not among %s", states[i], seen.text);
	crashfs_destroy(c);
}

static void a_moment_with_more_torn_files_than_are_combined_is_not_complete(void **state)
{
	char path[] = "d/a";

	(void)state;
	for (int n = 3; n <= 4; n++) {
		struct seen seen = { .count = 0 };
		const struct fsu *fs;
		struct crashfs *c = begin(&fs);
		bool complete;

		path[2] = 'a';
		for (int i = 0; i < n; i++, path[2]++) {
			int fd = fsu_openat(fs, AT_FDCWD, path,
					    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

			assert_int_equal(fs->ops->write(fs->ctx, fd, "1", 1), 1);
			assert_int_equal(fsu_close(fs, fd), 0);
		}
		(void)crashfs_each_state(c, LIMIT, LIMIT, 1, see, &seen, &complete);
		assert_int_equal(complete, n <= 3);
		crashfs_destroy(c);
	}
}

static void of_too_many_the_orderly_ones_and_their_neighbours_come_first_and_none_twice(
	void **state)
{
	struct seen seen = { .count = 0 };
	const struct fsu *fs;
	struct crashfs *c = begin(&fs);
	char path[] = "d/a";
	bool complete = true;

	(void)state;
	for (int i = 0; i < 10; i++, path[2]++)
		make(fs, path);
	assert_int_equal(crashfs_each_state(c, 100, 100, 1, see, &seen, &complete), 100);
	assert_false(complete);
	assert_non_null(strstr(seen.text, "[]"));
	assert_non_null(strstr(seen.text, "[a b c d]"));
	assert_non_null(strstr(seen.text, "[a b c d e f g h i j]"));
	assert_non_null(strstr(seen.text, "[e]"));
	assert_non_null(strstr(seen.text, "[a b c d f g h i j]"));
	expect_different(&seen);
	crashfs_destroy(c);
}

static void changes_are_counted_and_looks_are_not(void **state)
{
	const struct fsu *fs;
	struct crashfs *c = begin(&fs);
	struct statx st;
	uint64_t before;

	(void)state;
	before = crashfs_changes(c);
	assert_int_equal(fsu_statx(fs, AT_FDCWD, "d", 0, STATX_TYPE, &st), 0);
	assert_true(crashfs_changes(c) == before);
	make(fs, "d/a");
	assert_true(crashfs_changes(c) > before);
	before = crashfs_changes(c);
	disk_sync_dir(fs, "d");
	assert_true(crashfs_changes(c) > before);
	crashfs_destroy(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(independent_operations_are_kept_in_every_combination),
		cmocka_unit_test(a_file_never_stands_under_two_names),
		cmocka_unit_test(what_is_synced_is_kept_with_all_that_it_needs),
		cmocka_unit_test(a_directory_that_is_gone_was_empty),
		cmocka_unit_test(content_that_is_not_synced_is_none_all_half_or_zeros),
		cmocka_unit_test(a_moment_with_more_torn_files_than_are_combined_is_not_complete),
		cmocka_unit_test(
			of_too_many_the_orderly_ones_and_their_neighbours_come_first_and_none_twice),
		cmocka_unit_test(changes_are_counted_and_looks_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
