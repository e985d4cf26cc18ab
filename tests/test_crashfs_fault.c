/* Faults, hooks, locks, time and memory of the crash filesystem. */
#include <errno.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/disk.h"

#define RENAMES (1u << CRASHFS_RENAMEAT)

/* ---- Faults ---- */

static void fault_hits_the_call_of_its_number_only(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	disk_arm(*state, 0, 2, EACCES, CRASHFS_NOT_DONE);
	assert_int_equal(fsu_mkdirat(fs, AT_FDCWD, "0", 0700), 0);
	assert_int_equal(fsu_mkdirat(disk_client(state, 1), AT_FDCWD, "other", 0700), 0);
	assert_int_equal(fsu_mkdirat(fs, AT_FDCWD, "1", 0700), 0);
	assert_int_equal(crashfs_faults_fired(*state), 0);
	assert_int_equal(fsu_mkdirat(fs, AT_FDCWD, "2", 0700), -EACCES);
	assert_int_equal(fsu_mkdirat(fs, AT_FDCWD, "3", 0700), 0);
	assert_int_equal(crashfs_faults_fired(*state), 1);
	assert_int_equal(crashfs_count(*state, 0), 4);
	assert_string_equal(crashfs_ls(*state, ""), "0\n1\n3\nother");
}

static void fault_with_a_mask_counts_those_calls_only(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	disk_arm(*state, 1u << CRASHFS_UNLINKAT, 1, EROFS, CRASHFS_NOT_DONE);
	disk_write(fs, "a", "");
	disk_write(fs, "b", "");
	assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, "a", 0), 0);
	disk_mkdir(fs, "c");
	assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, "b", 0), -EROFS);
	assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, "b", 0), 0);
}

static void repeated_fault_stays(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	crashfs_fault_arm(*state,
			  &(struct crashfs_fault){ .at = 1, .error = ENOSPC, .repeat = true });
	assert_int_equal(fsu_mkdirat(fs, AT_FDCWD, "0", 0700), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(fsu_mkdirat(fs, AT_FDCWD, "1", 0700), -ENOSPC);
	crashfs_fault_clear(*state);
	assert_int_equal(fsu_mkdirat(fs, AT_FDCWD, "1", 0700), 0);
}

static void two_faults_can_be_armed(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	crashfs_fault_arm(*state, &(struct crashfs_fault){ .at = 0, .error = EIO });
	crashfs_fault_arm(*state, &(struct crashfs_fault){ .at = 1, .error = ENOSPC });
	assert_int_equal(fsu_mkdirat(fs, AT_FDCWD, "0", 0700), -EIO);
	assert_int_equal(fsu_mkdirat(fs, AT_FDCWD, "0", 0700), -ENOSPC);
	assert_int_equal(fsu_mkdirat(fs, AT_FDCWD, "0", 0700), 0);
	assert_int_equal(crashfs_faults_fired(*state), 2);
}

static void lost_reply_of_a_rename_says_ENOENT_and_it_happened(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	disk_write(fs, "a", "1");
	disk_arm(*state, RENAMES, 0, ENOENT, CRASHFS_DONE);
	assert_int_equal(fsu_renameat(fs, AT_FDCWD, "a", AT_FDCWD, "b"), -ENOENT);
	assert_string_equal(crashfs_ls(*state, ""), "b");
}

static void lost_reply_of_a_creation_leaves_the_file_but_no_descriptor(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	disk_arm(*state, 1u << CRASHFS_OPENAT, 0, ETIMEDOUT, CRASHFS_DONE);
	assert_int_equal(fsu_openat(fs, AT_FDCWD, "a", O_WRONLY | O_CREAT, 0600), -ETIMEDOUT);
	assert_string_equal(crashfs_ls(*state, ""), "a");
	assert_int_equal(crashfs_open_fds(*state, 0), 0);
}

static void lost_reply_of_a_listing_loses_no_entry(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	int fd = disk_open_dir(fs, ".");
	char buf[256];

	disk_arm(*state, 1u << CRASHFS_GETDENTS, 0, EIO, CRASHFS_DONE);
	assert_int_equal(fsu_getdents(fs, fd, buf, sizeof(buf)), -EIO);
	assert_true(fsu_getdents(fs, fd, buf, sizeof(buf)) > 0);
	assert_int_equal(fsu_close(fs, fd), 0);
}

static void failed_close_has_closed(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	int fd = disk_open_dir(fs, ".");

	disk_arm(*state, 1u << CRASHFS_CLOSE, 0, EINTR, CRASHFS_NOT_DONE);
	assert_int_equal(fsu_close(fs, fd), -EINTR);
	assert_int_equal(crashfs_open_fds(*state, 0), 0);
}

static void short_write_writes_half_and_short_read_reads_half(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	int fd = fsu_openat(fs, AT_FDCWD, "a", O_RDWR | O_CREAT, 0600);
	char buf[8];

	disk_arm(*state, 1u << CRASHFS_WRITE, 0, EIO, CRASHFS_SHORT);
	assert_int_equal(fsu_write(fs, fd, "123456", 6), 3);
	assert_int_equal(fsu_write(fs, fd, "456", 3), 3);
	disk_arm(*state, 1u << CRASHFS_PREAD, 0, EIO, CRASHFS_SHORT);
	assert_int_equal(fsu_pread(fs, fd, buf, sizeof(buf), 0), 3);
	assert_int_equal(fsu_pread(fs, fd, buf, sizeof(buf), 3), 3);
	assert_int_equal(fsu_close(fs, fd), 0);
	disk_expect(*state, "a", "123456");
}

static void power_cut_comes_before_the_call(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	disk_write(fs, "a", "");
	disk_sync_dir(fs, ".");
	disk_arm(*state, RENAMES, 0, 0, CRASHFS_CRASH);
	assert_int_equal(fsu_renameat(fs, AT_FDCWD, "a", AT_FDCWD, "b"), -EIO);
	assert_int_equal(fsu_mkdirat(disk_client(state, 1), AT_FDCWD, "c", 0700), -EIO);
	crashfs_crash_keeping_all(*state);
	crashfs_recover(*state);
	assert_string_equal(crashfs_ls(*state, ""), "a");
}

static void failed_allocation_is_NULL_and_leaves_the_old_block(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	char *p = fsu_alloc(fs, 4), *q;

	assert_non_null(p);
	memcpy(p, "abc", 4);
	disk_arm(*state, 1u << CRASHFS_ALLOC, 0, ENOMEM, CRASHFS_DONE);
	assert_null(fsu_resize(fs, p, 100));
	assert_int_equal(crashfs_bytes_allocated(*state), 4);
	q = fsu_resize(fs, p, 100);
	assert_string_equal(q, "abc");
	assert_int_equal(crashfs_bytes_allocated(*state), 100);
	fsu_release(fs, q);
	assert_int_equal(crashfs_bytes_allocated(*state), 0);
}

static void log_tells_the_call_and_the_fault(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	const char *log;

	disk_write(fs, "a", "");
	disk_arm(*state, RENAMES, 0, ESTALE, CRASHFS_DONE);
	(void)fsu_renameat(fs, AT_FDCWD, "a", AT_FDCWD, "b");
	log = crashfs_log(*state);
	assert_non_null(strstr(log, "renameat a -> b = -116 ESTALE"));
	assert_non_null(strstr(log, "fault: done"));
	assert_non_null(strstr(log, "close a = 0\n"));
}

static void calls_are_known_by_their_number(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	enum crashfs_call call;
	bool changes;

	crashfs_count_reset(*state);
	disk_write_synced(fs, "a", "1");
	assert_int_equal(crashfs_count(*state, 0), 4);
	assert_true(crashfs_call_at(*state, 0, 0, &call, &changes));
	assert_string_equal(crashfs_call_name(call), "openat");
	assert_true(changes);
	assert_true(crashfs_call_at(*state, 0, 3, &call, &changes));
	assert_int_equal(call, CRASHFS_CLOSE);
	assert_false(changes);
	assert_false(crashfs_call_at(*state, 0, 4, &call, &changes));
}

/* ---- Hooks ---- */

struct rival {
	struct crashfs *c;
	unsigned calls;
};

static void take_away(void *hook_ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct rival *rival = hook_ctx;

	rival->calls++;
	assert_int_equal(client, 0);
	if (call == CRASHFS_RENAMEAT && strcmp(path, "a") == 0)
		assert_int_equal(
			fsu_renameat(crashfs_client(rival->c, 1), AT_FDCWD, "a", AT_FDCWD, "rival"),
			0);
}

static void hook_acts_between_two_calls_and_not_in_itself(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	struct rival rival = { .c = *state };

	disk_write(fs, "a", "1");
	crashfs_hook_set(*state, take_away, &rival);
	assert_int_equal(fsu_renameat(fs, AT_FDCWD, "a", AT_FDCWD, "b"), -ENOENT);
	crashfs_hook_set(*state, NULL, NULL);
	assert_int_equal(rival.calls, 1);
	assert_string_equal(crashfs_ls(*state, ""), "rival");
}

/* ---- Locks ---- */

static int lock(const struct fsu *fs, int fd, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET };

	return fsu_lock(fs, fd, F_OFD_SETLK, &l);
}

/* F_UNLCK: nobody is in the way of a write lock. */
static short lock_in_the_way(const struct fsu *fs, int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	assert_int_equal(fsu_lock(fs, fd, F_OFD_GETLK, &l), 0);
	return l.l_type;
}

static int open_lock(const struct fsu *fs, int flags)
{
	int fd = fsu_openat(fs, AT_FDCWD, "lock", flags | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void lock_excludes_other_clients_until_its_close(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);
	int fd_a = open_lock(a, O_RDWR), fd_b = open_lock(b, O_RDWR);

	assert_int_equal(lock(a, fd_a, F_WRLCK), 0);
	assert_int_equal(lock(a, fd_a, F_WRLCK), 0);
	assert_int_equal(lock(b, fd_b, F_WRLCK), -EAGAIN);
	assert_int_equal(lock_in_the_way(b, fd_b), F_WRLCK);
	assert_int_equal(lock_in_the_way(a, fd_a), F_UNLCK);
	assert_int_equal(fsu_close(a, fd_a), 0);
	assert_int_equal(lock_in_the_way(b, fd_b), F_UNLCK);
	assert_int_equal(lock(b, fd_b, F_WRLCK), 0);
	assert_int_equal(fsu_close(b, fd_b), 0);
}

static void lock_excludes_another_descriptor_and_outlives_its_close(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	int fd = open_lock(fs, O_RDWR), other = open_lock(fs, O_RDWR), third;

	assert_int_equal(lock(fs, fd, F_WRLCK), 0);
	assert_int_equal(lock(fs, other, F_WRLCK), -EAGAIN);
	assert_int_equal(fsu_close(fs, other), 0);
	third = open_lock(fs, O_RDONLY);
	assert_int_equal(lock_in_the_way(fs, third), F_WRLCK);
	assert_int_equal(lock(fs, fd, F_UNLCK), 0);
	assert_int_equal(lock_in_the_way(fs, third), F_UNLCK);
	assert_int_equal(lock(fs, third, F_WRLCK), -EBADF);
	assert_int_equal(fsu_close(fs, third), 0);
	assert_int_equal(fsu_close(fs, fd), 0);
}

static void lock_dies_with_its_client(void **state)
{
	const struct fsu *a = disk_client(state, 0), *b = disk_client(state, 1);
	int fd_a = open_lock(a, O_RDWR), fd_b = open_lock(b, O_RDWR);

	assert_int_equal(lock(a, fd_a, F_WRLCK), 0);
	crashfs_kill_client(*state, 0);
	assert_int_equal(crashfs_open_fds(*state, 0), 0);
	assert_int_equal(lock(b, fd_b, F_WRLCK), 0);
	assert_int_equal(fsu_close(a, fd_a), -EBADF);
	assert_int_equal(fsu_close(b, fd_b), 0);
}

static void killed_client_leaves_what_it_wrote(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	disk_write(fs, "a", "1");
	crashfs_kill_client(*state, 0);
	disk_expect(*state, "a", "1");
	disk_expect_read(fs, "a", "1");
}

/* ---- Time, mounts, chance ---- */

static void time_passes_by_calls_and_waits_alone(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	int64_t now_ns = fsu_now_ns(fs), wall_ns = fsu_wall_ns(fs);

	assert_int_equal(fsu_now_ns(fs), now_ns);
	disk_mkdir(fs, "a");
	assert_int_equal(fsu_now_ns(fs), now_ns + 1000);
	assert_int_equal(fsu_wait(fs, NULL, 0, now_ns + FSU_NS_PER_S), 0);
	assert_int_equal(fsu_now_ns(fs), now_ns + FSU_NS_PER_S);
	assert_int_equal(fsu_wait(fs, NULL, 0, now_ns), 0);
	assert_int_equal(fsu_now_ns(fs), now_ns + FSU_NS_PER_S);
	crashfs_advance(*state, 5);
	assert_int_equal(fsu_wall_ns(fs), wall_ns + FSU_NS_PER_S + 5);
}

static void wait_sees_a_descriptor_that_is_ready(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	int fds[] = { -1, eventfd(0, EFD_CLOEXEC), eventfd(1, EFD_CLOEXEC) };
	int64_t now_ns = fsu_now_ns(fs);

	assert_int_equal(fsu_wait(fs, fds, 3, now_ns + FSU_NS_PER_S), 4);
	assert_int_equal(fsu_now_ns(fs), now_ns);
	assert_int_equal(fsu_wait(fs, fds, 2, now_ns + FSU_NS_PER_S), 0);
	assert_int_equal(fsu_now_ns(fs), now_ns + FSU_NS_PER_S);
	(void)close(fds[1]);
	(void)close(fds[2]);
}

static void expect_mount(const struct crashfs_options *options, long magic, const char *mount,
			 const char *stats)
{
	struct crashfs *c = crashfs_create(options);
	const struct fsu *fs = crashfs_client(c, 0);
	char info[1024] = "", text[2048] = "", device[32];
	struct statfs statfs;
	struct statx st;
	int fd;

	fd = disk_open_dir(fs, ".");
	assert_int_equal(fsu_fstatfs(fs, fd, &statfs), 0);
	assert_int_equal(statfs.f_type, magic);
	assert_int_equal(fsu_statx(fs, fd, "", AT_EMPTY_PATH, STATX_INO, &st), 0);
	assert_int_equal(fsu_close(fs, fd), 0);
	assert_true(fsu_mountinfo(fs, info, sizeof(info) - 1) > 0);
	(void)snprintf(device, sizeof(device), " %u:%u / / ", st.stx_dev_major, st.stx_dev_minor);
	assert_non_null(strstr(info, device));
	assert_non_null(strstr(info, mount));
	assert_true(fsu_mountstats(fs, text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, stats));
	crashfs_destroy(c);
}

static void mount_is_local_without_caches_and_NFS_with_them(void **state)
{
	(void)state;
	expect_mount(&(struct crashfs_options){ .cache_ns = 0 }, EXT4_SUPER_MAGIC, " - ext4 ",
		     "fstype ext4");
	expect_mount(&(struct crashfs_options){ .cache_ns = 1 }, NFS_SUPER_MAGIC, "vers=4.2",
		     "lease_time=90");
	expect_mount(&(struct crashfs_options){ .statfs_type = TMPFS_MAGIC }, TMPFS_MAGIC,
		     " - tmpfs ", "fstype tmpfs");
}

static void inotify_is_not_there(void **state)
{
	const struct fsu *fs = disk_client(state, 0);

	assert_int_equal(fsu_notify_open(fs), -ENOSYS);
	assert_int_equal(fsu_notify_add(fs, 0, AT_FDCWD, "", 0), -ENOSYS);
	assert_int_equal(fsu_notify_drain(fs, 0), -ENOSYS);
}

static void random_bytes_follow_from_the_seed(void **state)
{
	struct crashfs *same = crashfs_create(&(struct crashfs_options){ .seed = 1 });
	struct crashfs *other = crashfs_create(&(struct crashfs_options){ .seed = 2 });
	uint8_t a[16], b[16], c[16];

	assert_int_equal(fsu_random(disk_client(state, 0), a, sizeof(a)), 0);
	assert_int_equal(fsu_random(crashfs_client(same, 0), b, sizeof(b)), 0);
	assert_int_equal(fsu_random(crashfs_client(other, 0), c, sizeof(c)), 0);
	crashfs_destroy(same);
	crashfs_destroy(other);
	assert_memory_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, c, sizeof(a));
}

/* ---- Damage ---- */

static void damage_is_durable_and_seen_by_who_has_it_open(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	char buf[8];
	int fd;

	crashfs_put(*state, "a/b/c", "good", 4);
	fd = fsu_openat(fs, AT_FDCWD, "a/b/c", O_RDONLY, 0);
	crashfs_put(*state, "a/b/c", "bad!", 4);
	assert_int_equal(fsu_pread(fs, fd, buf, sizeof(buf), 0), 4);
	assert_memory_equal(buf, "bad!", 4);
	assert_int_equal(fsu_close(fs, fd), 0);
	crashfs_crash_losing_all(*state);
	crashfs_recover(*state);
	disk_expect(*state, "a/b/c", "bad!");
	crashfs_rm(*state, "a");
	crashfs_crash_losing_all(*state);
	crashfs_recover(*state);
	assert_false(crashfs_exists(*state, "a"));
	assert_null(crashfs_ls(*state, "a"));
}

static void inodes_that_nothing_leads_to_are_swept(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	char byte = 0;
	int fd;

	disk_write(fs, "kept", "1");
	fd = fsu_openat(fs, AT_FDCWD, "kept", O_RDONLY, 0);
	assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, "kept", 0), 0);
	for (int i = 0; i < 10000; i++) {
		disk_write(fs, "x", "2");
		assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, "x", 0), 0);
		if (i % 1000 == 0)
			disk_sync_dir(fs, ".");
	}
	assert_int_equal(fsu_pread(fs, fd, &byte, 1, 0), 1);
	assert_int_equal(byte, '1');
	assert_int_equal(fsu_close(fs, fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		disk_test(fault_hits_the_call_of_its_number_only),
		disk_test(fault_with_a_mask_counts_those_calls_only),
		disk_test(repeated_fault_stays),
		disk_test(two_faults_can_be_armed),
		disk_test(lost_reply_of_a_rename_says_ENOENT_and_it_happened),
		disk_test(lost_reply_of_a_creation_leaves_the_file_but_no_descriptor),
		disk_test(lost_reply_of_a_listing_loses_no_entry),
		disk_test(failed_close_has_closed),
		disk_test(short_write_writes_half_and_short_read_reads_half),
		disk_test(power_cut_comes_before_the_call),
		disk_test(failed_allocation_is_NULL_and_leaves_the_old_block),
		disk_test(log_tells_the_call_and_the_fault),
		disk_test(calls_are_known_by_their_number),
		disk_test(hook_acts_between_two_calls_and_not_in_itself),
		disk_test(lock_excludes_other_clients_until_its_close),
		disk_test(lock_excludes_another_descriptor_and_outlives_its_close),
		disk_test(lock_dies_with_its_client),
		disk_test(killed_client_leaves_what_it_wrote),
		disk_test(time_passes_by_calls_and_waits_alone),
		disk_test(wait_sees_a_descriptor_that_is_ready),
		disk_test(mount_is_local_without_caches_and_NFS_with_them),
		disk_test(inotify_is_not_there),
		disk_test(random_bytes_follow_from_the_seed),
		disk_test(damage_is_durable_and_seen_by_who_has_it_open),
		disk_test(inodes_that_nothing_leads_to_are_swept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
