/*
 * The crash filesystem does what its header says: names, descriptors, power cuts, locks, faults.
 * What its clients remember is in test_crashfs_cache.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/disk.h"

#define SEEDS 200

/* ---- Names ---- */

static void rmdir_of_a_directory_with_entries_is_ENOTEMPTY(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	disk_mkdir(fs, "d");
	disk_write(fs, "d/x", "1");
	assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, "d", AT_REMOVEDIR), -ENOTEMPTY);
	assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, "d/x", 0), 0);
	assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, "d", AT_REMOVEDIR), 0);
	assert_false(crashfs_exists(*state, "d"));
}

static void rename_of_a_directory_replaces_an_empty_one_only(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	disk_mkdir(fs, "a");
	disk_write(fs, "a/x", "1");
	disk_mkdir(fs, "b");
	disk_write(fs, "b/y", "2");
	assert_int_equal(fsu_renameat(fs, AT_FDCWD, "a", AT_FDCWD, "b"), -ENOTEMPTY);
	assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, "b/y", 0), 0);
	assert_int_equal(fsu_renameat(fs, AT_FDCWD, "a", AT_FDCWD, "b"), 0);
	assert_string_equal(crashfs_ls(*state, ""), "b");
	assert_string_equal(crashfs_ls(*state, "b"), "x");
}

static void rename_into_itself_is_EINVAL(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	disk_mkdir(fs, "a");
	disk_mkdir(fs, "a/b");
	assert_int_equal(fsu_renameat(fs, AT_FDCWD, "a", AT_FDCWD, "a/b/c"), -EINVAL);
}

static void rename_of_a_file_over_another_leaves_one(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	disk_write(fs, "a", "new");
	disk_write(fs, "b", "old");
	assert_int_equal(fsu_renameat(fs, AT_FDCWD, "a", AT_FDCWD, "b"), 0);
	assert_string_equal(crashfs_ls(*state, "/"), "b");
	disk_expect(*state, "b", "new");
}

static void open_refuses_what_is_of_another_kind(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	disk_mkdir(fs, "d");
	disk_write(fs, "f", "1");
	crashfs_symlink(*state, "l", "f");
	assert_int_equal(fsu_openat(fs, AT_FDCWD, "d", O_RDWR, 0), -EISDIR);
	assert_int_equal(fsu_openat(fs, AT_FDCWD, "f", O_RDONLY | O_DIRECTORY, 0), -ENOTDIR);
	assert_int_equal(fsu_openat(fs, AT_FDCWD, "f/x", O_RDONLY, 0), -ENOTDIR);
	assert_int_equal(fsu_openat(fs, AT_FDCWD, "l", O_RDONLY | O_NOFOLLOW, 0), -ELOOP);
	assert_int_equal(fsu_openat(fs, AT_FDCWD, "f", O_WRONLY | O_CREAT | O_EXCL, 0), -EEXIST);
	assert_int_equal(fsu_openat(fs, AT_FDCWD, "", O_RDONLY, 0), -ENOENT);
	disk_expect_read(fs, "l", "1");
}

static void open_of_a_fifo_gives_a_descriptor_that_says_so(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	struct statx st;
	int fd;

	crashfs_mkfifo(*state, "p");
	fd = fsu_openat(fs, AT_FDCWD, "p", O_RDONLY | O_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(fsu_statx(fs, fd, "", AT_EMPTY_PATH, STATX_TYPE, &st), 0);
	assert_true(S_ISFIFO(st.stx_mode));
	assert_int_equal(fsu_close(fs, fd), 0);
}

static void paths_of_several_components_start_at_the_descriptor(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	int dir, fd;

	disk_mkdir(fs, "e");
	disk_mkdir(fs, "e/x");
	disk_mkdir(fs, "e/x/tenure-1");
	dir = disk_open_dir(fs, "e");
	fd = fsu_openat(fs, dir, "x/tenure-1/../tenure-1/./z", O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fsu_close(fs, fd), 0);
	assert_int_equal(fsu_renameat(fs, dir, "x/tenure-1/z", dir, "x/z"), 0);
	assert_string_equal(crashfs_ls(*state, "e/x"), "tenure-1\nz");
	assert_int_equal(fsu_close(fs, dir), 0);
}

static void names_of_more_than_255_bytes_are_refused(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	char name[300];

	memset(name, 'x', sizeof(name));
	name[256] = '\0';
	assert_int_equal(fsu_mkdirat(fs, AT_FDCWD, name, 0700), -ENAMETOOLONG);
	name[255] = '\0';
	assert_int_equal(fsu_mkdirat(fs, AT_FDCWD, name, 0700), 0);
}

static void descriptor_of_a_removed_directory_leads_nowhere(void **state)
{
	disk_removed_dir(disk_client(state, 0), -ENOENT);
}

static void directory_times_change_in_steps_with_its_entries(void **state)
{
	struct crashfs *c = crashfs_create(
		&(struct crashfs_options){ .seed = 1, .time_step_ns = 10 * FSU_NS_PER_MS });
	const struct fsu *fs = crashfs_client(c, 0);
	int64_t before_ns, same_ns, after_ns;

	(void)state;
	disk_mkdir(fs, "a");
	before_ns = disk_mtime_ns(fs, "");
	disk_mkdir(fs, "b");
	same_ns = disk_mtime_ns(fs, "");
	crashfs_advance(c, 10 * FSU_NS_PER_MS);
	assert_int_equal(disk_mtime_ns(fs, ""), same_ns);
	disk_mkdir(fs, "c");
	after_ns = disk_mtime_ns(fs, "");
	crashfs_destroy(c);
	assert_int_equal(before_ns % (10 * FSU_NS_PER_MS), 0);
	assert_int_equal(same_ns, before_ns);
	assert_int_equal(after_ns, before_ns + 10 * FSU_NS_PER_MS);
}

/* ---- Listings ---- */

static void scan_shows_what_stays_exactly_once(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	unsigned seen[100] = { 0 };
	char name[32], buf[256];
	ssize_t n;
	int fd;

	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "stay-%d", i);
		disk_write(fs, name, "");
	}
	fd = disk_open_dir(fs, ".");
	for (int round = 0; (n = fsu_getdents(fs, fd, buf, sizeof(buf))) > 0; round++) {
		for (ssize_t at = 0; at < n; at += disk_dent_len(buf + at)) {
			const char *found = disk_dent_name(buf + at);

			if (strncmp(found, "stay-", 5) == 0)
				seen[strtol(found + 5, NULL, 10)]++;
		}
		(void)snprintf(name, sizeof(name), "come-%d", round);
		disk_write(fs, name, "");
		if (round % 2)
			assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, name, 0), 0);
	}
	assert_int_equal(n, 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(fsu_close(fs, fd), 0);
}

/* Between two reads of a listing key~n becomes key~n+1. Some such key must be missed altogether. */
static void scan_can_miss_a_key_that_always_has_a_version(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	unsigned missed = 0;
	char old[32], new[32], buf[128];

	disk_write(fs, "key~0", "");
	for (int i = 0; i < 60; i++) {
		(void)snprintf(new, sizeof(new), "other-%d", i);
		disk_write(fs, new, "");
	}
	for (int version = 0; version < 40; version++) {
		bool seen = false, moved = false;
		int fd = disk_open_dir(fs, ".");
		ssize_t n;

		(void)snprintf(old, sizeof(old), "key~%d", version);
		(void)snprintf(new, sizeof(new), "key~%d", version + 1);
		for (int reads = 0; (n = fsu_getdents(fs, fd, buf, sizeof(buf))) > 0; reads++) {
			for (ssize_t at = 0; at < n; at += disk_dent_len(buf + at))
				seen |= strncmp(disk_dent_name(buf + at), "key~", 4) == 0;
			if (reads == 10 && !moved) {
				moved = true;
				disk_write(fs, new, "");
				assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, old, 0), 0);
			}
		}
		assert_int_equal(fsu_close(fs, fd), 0);
		assert_true(moved);
		missed += !seen;
	}
	assert_in_range(missed, 1, 39);
}

/* ---- Power cuts ---- */

static void power_cut_loses_entries_that_were_not_synced(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	disk_write_synced(fs, "a", "1");
	crashfs_crash_losing_all(*state);
	crashfs_recover(*state);
	assert_string_equal(crashfs_ls(*state, ""), "");
}

static void power_cut_keeps_what_was_synced(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	disk_write_synced(fs, "a", "1");
	disk_sync_dir(fs, ".");
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct crashfs *copy = disk_crashed_copy(*state, seed);

		disk_expect(copy, "a", "1");
		crashfs_destroy(copy);
	}
}

static void power_cut_leaves_every_subset_of_two_creations(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	unsigned seen = 0;

	disk_write(fs, "a", "");
	disk_write(fs, "b", "");
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct crashfs *copy = disk_crashed_copy(*state, seed);
		unsigned has = crashfs_exists(copy, "a") | crashfs_exists(copy, "b") << 1;

		seen |= 1u << has;
		crashfs_destroy(copy);
	}
	assert_int_equal(seen, 0xf);
}

static void power_cut_leaves_one_name_of_a_file_that_moved_twice(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	unsigned seen = 0;

	disk_write(fs, "a", "");
	disk_sync_dir(fs, ".");
	assert_int_equal(fsu_renameat(fs, AT_FDCWD, "a", AT_FDCWD, "b"), 0);
	assert_int_equal(fsu_renameat(fs, AT_FDCWD, "b", AT_FDCWD, "c"), 0);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct crashfs *copy = disk_crashed_copy(*state, seed);
		const char *names = crashfs_ls(copy, "");

		assert_int_equal(strlen(names), 1);
		seen |= 1u << (names[0] - 'a');
		crashfs_destroy(copy);
	}
	assert_int_equal(seen, 7);
}

static void rename_is_atomic_across_directories(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	unsigned seen = 0;

	disk_two_dirs(fs);
	assert_int_equal(fsu_renameat(fs, AT_FDCWD, "p/x", AT_FDCWD, "q/x"), 0);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct crashfs *copy = disk_crashed_copy(*state, seed);

		assert_true(crashfs_exists(copy, "p/x") != crashfs_exists(copy, "q/x"));
		seen |= crashfs_exists(copy, "q/x") ? 2 : 1;
		crashfs_destroy(copy);
	}
	assert_int_equal(seen, 3);
}

static void split_renames_leave_two_names_or_none(void **state)
{
	struct crashfs *c =
		crashfs_create(&(struct crashfs_options){ .seed = 1, .split_renames = true });
	const struct fsu *fs = crashfs_client(c, 0);
	unsigned seen = 0;

	(void)state;
	disk_two_dirs(fs);
	assert_int_equal(fsu_renameat(fs, AT_FDCWD, "p/x", AT_FDCWD, "q/x"), 0);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct crashfs *copy = disk_crashed_copy(c, seed);
		unsigned has = crashfs_exists(copy, "p/x") | crashfs_exists(copy, "q/x") << 1;

		seen |= 1u << has;
		crashfs_destroy(copy);
	}
	crashfs_destroy(c);
	assert_int_equal(seen, 0xf);
}

static void sync_of_the_new_directory_makes_a_rename_durable(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	disk_two_dirs(fs);
	assert_int_equal(fsu_renameat(fs, AT_FDCWD, "p/x", AT_FDCWD, "q/x"), 0);
	disk_sync_dir(fs, "q");
	crashfs_crash_losing_all(*state);
	crashfs_recover(*state);
	assert_string_equal(crashfs_ls(*state, "p"), "");
	assert_string_equal(crashfs_ls(*state, "q"), "x");
}

static void removal_of_a_directory_keeps_what_emptied_it(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	disk_two_dirs(fs);
	assert_int_equal(fsu_renameat(fs, AT_FDCWD, "p/x", AT_FDCWD, "q/x"), 0);
	assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, "p", AT_REMOVEDIR), 0);
	disk_sync_dir(fs, ".");
	crashfs_crash_losing_all(*state);
	crashfs_recover(*state);
	assert_string_equal(crashfs_ls(*state, ""), "q");
	assert_string_equal(crashfs_ls(*state, "q"), "x");
}

static void power_cut_leaves_none_all_half_or_zeros_of_content(void **state)
{
	static const char *const expected[] = { "ab", "abcdef", "abcd", "ab\0\0\0\0" };
	static const size_t lens[] = { 2, 6, 4, 6 };
	const struct fsu *fs = disk_client(state, 0);
	unsigned seen = 0;
	int fd;

	fd = fsu_openat(fs, AT_FDCWD, "f", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(fsu_write(fs, fd, "ab", 2), 2);
	assert_int_equal(fsu_fsync(fs, fd), 0);
	disk_sync_dir(fs, ".");
	assert_int_equal(fsu_write(fs, fd, "cdef", 4), 4);
	assert_int_equal(fsu_close(fs, fd), 0);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct crashfs *copy = disk_crashed_copy(*state, seed);
		size_t len = 0;
		const uint8_t *data = crashfs_cat(copy, "f", &len);
		unsigned i = 0;

		while (i < 4 && (lens[i] != len || memcmp(expected[i], data, len) != 0))
			i++;
		seen |= 1u << i;
		crashfs_destroy(copy);
	}
	assert_int_equal(seen, 0xf);
}

static void second_fsync_after_a_failed_one_proves_nothing(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	int fd = fsu_openat(fs, AT_FDCWD, "f", O_WRONLY | O_CREAT, 0600);

	disk_sync_dir(fs, ".");
	assert_int_equal(fsu_write(fs, fd, "ab", 2), 2);
	disk_arm(*state, 1u << CRASHFS_FSYNC, 0, EIO, CRASHFS_NOT_DONE);
	assert_int_equal(fsu_fsync(fs, fd), -EIO);
	assert_int_equal(fsu_fsync(fs, fd), 0);
	assert_int_equal(fsu_close(fs, fd), 0);
	crashfs_crash_losing_all(*state);
	crashfs_recover(*state);
	disk_expect(*state, "f", "");
}

static void nothing_works_between_power_cut_and_recovery(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	int fd;

	fd = fsu_openat(fs, AT_FDCWD, "f", O_WRONLY | O_CREAT, 0600);
	crashfs_crash_keeping_all(*state);
	assert_int_equal(fsu_write(fs, fd, "x", 1), -EIO);
	assert_int_equal(fsu_mkdirat(crashfs_client(*state, 1), AT_FDCWD, "d", 0700), -EIO);
	assert_null(fsu_alloc(fs, 1));
	crashfs_recover(*state);
	assert_int_equal(fsu_write(fs, fd, "x", 1), -EBADF);
	assert_int_equal(fsu_mkdirat(fs, AT_FDCWD, "d", 0700), 0);
	assert_int_equal(crashfs_open_fds(*state, 0), 0);
	disk_expect(*state, "f", "");
}

static void copy_goes_its_own_way(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	struct crashfs *copy;
	int fd;

	disk_write(fs, "a", "1");
	fd = fsu_openat(fs, AT_FDCWD, "a", O_WRONLY | O_APPEND, 0);
	copy = crashfs_fork(*state);
	assert_int_equal(fsu_write(fs, fd, "2", 1), 1);
	disk_mkdir(fs, "b");
	assert_int_equal(fsu_write(crashfs_client(copy, 0), fd, "34", 2), 2);
	assert_int_equal(fsu_unlinkat(crashfs_client(copy, 1), AT_FDCWD, "a", 0), 0);
	assert_int_equal(crashfs_open_fds(copy, 0), 1);
	assert_string_equal(crashfs_ls(copy, ""), "");
	crashfs_destroy(copy);
	assert_int_equal(fsu_close(fs, fd), 0);
	assert_string_equal(crashfs_ls(*state, ""), "a\nb");
	disk_expect(*state, "a", "12");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		disk_test(rmdir_of_a_directory_with_entries_is_ENOTEMPTY),
		disk_test(rename_of_a_directory_replaces_an_empty_one_only),
		disk_test(rename_into_itself_is_EINVAL),
		disk_test(rename_of_a_file_over_another_leaves_one),
		disk_test(open_refuses_what_is_of_another_kind),
		disk_test(open_of_a_fifo_gives_a_descriptor_that_says_so),
		disk_test(paths_of_several_components_start_at_the_descriptor),
		disk_test(names_of_more_than_255_bytes_are_refused),
		disk_test(descriptor_of_a_removed_directory_leads_nowhere),
		disk_test(directory_times_change_in_steps_with_its_entries),
		disk_test(scan_shows_what_stays_exactly_once),
		disk_test(scan_can_miss_a_key_that_always_has_a_version),
		disk_test(power_cut_loses_entries_that_were_not_synced),
		disk_test(power_cut_keeps_what_was_synced),
		disk_test(power_cut_leaves_every_subset_of_two_creations),
		disk_test(power_cut_leaves_one_name_of_a_file_that_moved_twice),
		disk_test(rename_is_atomic_across_directories),
		disk_test(split_renames_leave_two_names_or_none),
		disk_test(sync_of_the_new_directory_makes_a_rename_durable),
		disk_test(removal_of_a_directory_keeps_what_emptied_it),
		disk_test(power_cut_leaves_none_all_half_or_zeros_of_content),
		disk_test(second_fsync_after_a_failed_one_proves_nothing),
		disk_test(nothing_works_between_power_cut_and_recovery),
		disk_test(copy_goes_its_own_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
