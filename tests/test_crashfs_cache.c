/* What clients of the crash filesystem remember, and what makes them ask again. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/disk.h"

static int force_sync(const struct fsu *fs, const char *path)
{
	struct statx st;

	return fsu_statx(fs, AT_FDCWD, path, AT_STATX_FORCE_SYNC | AT_EMPTY_PATH, STATX_BASIC_STATS,
			 &st);
}

static int look(const struct fsu *fs, const char *path)
{
	struct statx st;

	return fsu_statx(fs, AT_FDCWD, path, 0, STATX_BASIC_STATS, &st);
}

static void negative_lookup_stays_until_the_parent_is_force_synced(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);

	assert_int_equal(look(a, "x"), -ENOENT);
	disk_write(b, "x", "1");
	assert_int_equal(look(a, "x"), -ENOENT);
	assert_int_equal(fsu_openat(a, AT_FDCWD, "x", O_RDONLY, 0), -ENOENT);
	assert_int_equal(force_sync(a, "x"), -ENOENT);
	assert_int_equal(fsu_renameat(a, AT_FDCWD, "x", AT_FDCWD, "y"), -ENOENT);
	assert_int_equal(fsu_unlinkat(a, AT_FDCWD, "x", 0), -ENOENT);
	assert_int_equal(force_sync(a, ""), 0);
	disk_expect_read(a, "x", "1");
}

static void negative_lookup_is_forgotten_in_time(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);

	assert_int_equal(look(a, "x"), -ENOENT);
	disk_write(b, "x", "1");
	crashfs_advance(*state, DISK_CACHE_NS / 2);
	assert_int_equal(look(a, "x"), -ENOENT);
	crashfs_advance(*state, DISK_CACHE_NS);
	assert_int_equal(look(a, "x"), 0);
}

static void force_sync_of_an_unchanged_directory_forgets_nothing(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);

	assert_int_equal(force_sync(a, ""), 0);
	assert_int_equal(look(a, "x"), -ENOENT);
	assert_int_equal(force_sync(a, ""), 0);
	disk_write(b, "x", "1");
	assert_int_equal(look(a, "x"), -ENOENT);
}

static void creation_does_not_believe_a_negative_lookup(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);

	assert_int_equal(look(a, "x"), -ENOENT);
	disk_write(b, "x", "1");
	assert_int_equal(fsu_openat(a, AT_FDCWD, "x", O_WRONLY | O_CREAT | O_EXCL, 0600), -EEXIST);
	assert_int_equal(look(a, "y"), -ENOENT);
	disk_mkdir(b, "y");
	assert_int_equal(fsu_mkdirat(a, AT_FDCWD, "y", 0700), -EEXIST);
}

static void listing_stays_until_the_directory_is_force_synced(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);

	disk_mkdir(b, "d");
	disk_write(b, "d/old", "");
	assert_true(disk_lists(a, "d", "old"));
	assert_int_equal(fsu_renameat(b, AT_FDCWD, "d/old", AT_FDCWD, "d/new"), 0);
	assert_true(disk_lists(a, "d", "old"));
	assert_false(disk_lists(a, "d", "new"));
	assert_int_equal(force_sync(a, "d"), 0);
	assert_false(disk_lists(a, "d", "old"));
	assert_true(disk_lists(a, "d", "new"));
}

static void listing_is_forgotten_in_time(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);

	assert_false(disk_lists(a, ".", "x"));
	disk_write(b, "x", "");
	assert_false(disk_lists(a, ".", "x"));
	crashfs_advance(*state, DISK_CACHE_NS);
	assert_true(disk_lists(a, ".", "x"));
}

static void listing_of_many_is_fetched_in_parts(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);
	char name[32], buf[32768];
	unsigned seen = 0;
	ssize_t n;
	int fd;

	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		disk_write(b, name, "");
	}
	fd = disk_open_dir(a, ".");
	while ((n = fsu_getdents(a, fd, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0; at < n; at += disk_dent_len(buf + at))
			seen += disk_dent_name(buf + at)[0] == 'n';
		/* What was not fetched yet shows this. */
		for (int i = 0; i < 1000; i++) {
			(void)snprintf(name, sizeof(name), "n%d", i);
			(void)fsu_unlinkat(b, AT_FDCWD, name, 0);
		}
	}
	assert_int_equal(fsu_close(a, fd), 0);
	assert_int_equal(seen, 128);
}

static void own_changes_are_seen_at_once(void **state)
{
	const struct fsu *a = disk_client(state, 0);

	assert_int_equal(look(a, "x"), -ENOENT);
	assert_false(disk_lists(a, ".", "x"));
	disk_write(a, "x", "1");
	disk_expect_read(a, "x", "1");
	assert_true(disk_lists(a, ".", "x"));
	disk_write(a, "x", "22");
	disk_expect_read(a, "x", "22");
	assert_int_equal(fsu_renameat(a, AT_FDCWD, "x", AT_FDCWD, "y"), 0);
	assert_int_equal(look(a, "x"), -ENOENT);
	assert_int_equal(look(a, "y"), 0);
	assert_int_equal(fsu_unlinkat(a, AT_FDCWD, "y", 0), 0);
	assert_false(disk_lists(a, ".", "y"));
}

static void own_changes_tell_nothing_of_those_of_others(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);

	assert_int_equal(look(a, "x"), -ENOENT);
	disk_write(b, "x", "1");
	disk_write(a, "mine", "1");
	assert_int_equal(look(a, "x"), -ENOENT);
	assert_int_equal(force_sync(a, ""), 0);
	assert_int_equal(look(a, "x"), 0);
}

static void open_of_a_remembered_name_asks_whether_it_is_there(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);

	disk_write(b, "x", "1");
	disk_expect_read(a, "x", "1");
	assert_int_equal(fsu_unlinkat(b, AT_FDCWD, "x", 0), 0);
	assert_int_equal(look(a, "x"), 0);
	assert_int_equal(fsu_openat(a, AT_FDCWD, "x", O_RDONLY, 0), -ENOENT);
	assert_int_equal(look(a, "x"), -ENOENT);
}

static void open_of_a_replaced_name_opens_the_new_file(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);

	disk_write(b, "x", "old");
	disk_expect_read(a, "x", "old");
	disk_write(b, "y", "new");
	assert_int_equal(fsu_renameat(b, AT_FDCWD, "y", AT_FDCWD, "x"), 0);
	disk_expect_read(a, "x", "new");
}

static void reads_may_be_stale_until_the_file_is_opened_again(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);
	char byte = 0;
	int fd;

	disk_write(b, "x", "1");
	fd = fsu_openat(a, AT_FDCWD, "x", O_RDONLY, 0);
	assert_int_equal(fsu_pread(a, fd, &byte, 1, 0), 1);
	disk_write(b, "x", "2");
	assert_int_equal(fsu_pread(a, fd, &byte, 1, 0), 1);
	assert_int_equal(byte, '1');
	disk_expect_read(a, "x", "2");
	assert_int_equal(fsu_close(a, fd), 0);
}

static void removed_directory_is_there_until_somebody_asks(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);

	disk_mkdir(b, "tenure");
	disk_write(a, "f", "1");
	assert_int_equal(look(a, "tenure"), 0);
	assert_int_equal(fsu_unlinkat(b, AT_FDCWD, "tenure", AT_REMOVEDIR), 0);
	assert_int_equal(look(a, "tenure"), 0);
	/* The server refuses, whatever this client believes. */
	assert_int_equal(fsu_renameat(a, AT_FDCWD, "f", AT_FDCWD, "tenure/f"), -ENOENT);
	assert_int_equal(look(a, "tenure"), -ENOENT);
}

static void descriptor_of_a_removed_directory_is_stale(void **state)
{
	disk_removed_dir(disk_client(state, 0), -ESTALE);
}

static void file_that_another_removed_is_stale(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);
	struct statx st;
	char byte;
	int fd;

	disk_write(b, "x", "1");
	fd = fsu_openat(a, AT_FDCWD, "x", O_RDWR, 0);
	assert_int_equal(fsu_unlinkat(b, AT_FDCWD, "x", 0), 0);
	assert_int_equal(fsu_pread(a, fd, &byte, 1, 0), -ESTALE);
	assert_int_equal(fsu_write(a, fd, "2", 1), -ESTALE);
	assert_int_equal(fsu_fsync(a, fd), -ESTALE);
	assert_int_equal(fsu_statx(a, fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_SIZE, &st),
			 -ESTALE);
	assert_int_equal(fsu_close(a, fd), 0);
}

static void file_unlinked_while_open_here_keeps_its_directory(void **state)
{
	const struct fsu *a = disk_client(state, 0);
	char silly[300];
	int fd;

	disk_mkdir(a, "d");
	disk_write(a, "d/x", "1");
	fd = fsu_openat(a, AT_FDCWD, "d/x", O_RDONLY, 0);
	assert_int_equal(fsu_unlinkat(a, AT_FDCWD, "d/x", 0), 0);
	assert_int_equal(look(a, "d/x"), -ENOENT);
	assert_int_equal(fsu_unlinkat(a, AT_FDCWD, "d", AT_REMOVEDIR), -ENOTEMPTY);
	(void)snprintf(silly, sizeof(silly), "d/%s", crashfs_ls(*state, "d"));
	assert_int_equal(fsu_unlinkat(a, AT_FDCWD, silly, 0), -EBUSY);
	assert_int_equal(fsu_close(a, fd), 0);
	assert_string_equal(crashfs_ls(*state, "d"), "");
}

static void file_moved_while_open_here_leaves_its_directory_empty(void **state)
{
	const struct fsu *a = disk_client(state, 0);
	int fd;

	disk_mkdir(a, "d");
	disk_write(a, "d/x", "1");
	fd = fsu_openat(a, AT_FDCWD, "d/x", O_RDONLY, 0);
	assert_int_equal(fsu_renameat(a, AT_FDCWD, "d/x", AT_FDCWD, "x"), 0);
	assert_int_equal(fsu_unlinkat(a, AT_FDCWD, "d", AT_REMOVEDIR), 0);
	assert_int_equal(fsu_close(a, fd), 0);
}

static void power_cut_makes_clients_forget(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);

	assert_int_equal(look(a, "x"), -ENOENT);
	disk_write(b, "x", "1");
	crashfs_crash_keeping_all(*state);
	crashfs_recover(*state);
	disk_expect_read(a, "x", "1");
}

static void copy_remembers_the_same(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);
	struct crashfs *copy;

	assert_int_equal(look(a, "x"), -ENOENT);
	assert_false(disk_lists(a, ".", "x"));
	disk_write(b, "x", "1");
	copy = crashfs_fork(*state);
	assert_int_equal(look(crashfs_client(copy, 0), "x"), -ENOENT);
	assert_false(disk_lists(crashfs_client(copy, 0), ".", "x"));
	crashfs_destroy(copy);
}

static void without_caches_clients_see_changes_at_once(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);

	assert_int_equal(look(a, "x"), -ENOENT);
	assert_false(disk_lists(a, ".", "x"));
	disk_write(b, "x", "1");
	assert_true(disk_lists(a, ".", "x"));
	disk_expect_read(a, "x", "1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		disk_test_cached(negative_lookup_stays_until_the_parent_is_force_synced),
		disk_test_cached(negative_lookup_is_forgotten_in_time),
		disk_test_cached(force_sync_of_an_unchanged_directory_forgets_nothing),
		disk_test_cached(creation_does_not_believe_a_negative_lookup),
		disk_test_cached(listing_stays_until_the_directory_is_force_synced),
		disk_test_cached(listing_is_forgotten_in_time),
		disk_test_cached(listing_of_many_is_fetched_in_parts),
		disk_test_cached(own_changes_are_seen_at_once),
		disk_test_cached(own_changes_tell_nothing_of_those_of_others),
		disk_test_cached(open_of_a_remembered_name_asks_whether_it_is_there),
		disk_test_cached(open_of_a_replaced_name_opens_the_new_file),
		disk_test_cached(reads_may_be_stale_until_the_file_is_opened_again),
		disk_test_cached(removed_directory_is_there_until_somebody_asks),
		disk_test_cached(descriptor_of_a_removed_directory_is_stale),
		disk_test_cached(file_that_another_removed_is_stale),
		disk_test_cached(file_unlinked_while_open_here_keeps_its_directory),
		disk_test_cached(file_moved_while_open_here_leaves_its_directory_empty),
		disk_test_cached(power_cut_makes_clients_forget),
		disk_test_cached(copy_remembers_the_same),
		disk_test(without_caches_clients_see_changes_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
