/*
 * The filesystem in memory: what it does beyond a local filesystem, and that the users of the table
 * find in it what they need. That it answers as the kernel does is test_fsu_mem_same.c.
 */
#include "test_fsu.h"

#include <pthread.h>
#include <sys/inotify.h>
#include <sys/wait.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_list.h"
#include "fsutil/fsu_lock.h"
#include "fsutil/fsu_mem.h"
#include "fsutil/fsu_mount.h"
#include "fsutil/fsu_page.h"
#include "fsutil/fsu_watch.h"

static const struct fsu *mem;
static int root;

static int mem_setup(void **state)
{
	(void)state;
	mem = fsu_mem_create(&fsu_posix);
	root = fsu_openat(mem, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, 0);
	return root < 0;
}

static int mem_teardown(void **state)
{
	(void)state;
	assert_int_equal(fsu_close(mem, root), 0);
	assert_int_equal(fsu_mem_open_fds(mem), 0);
	fsu_mem_destroy(mem);
	return 0;
}

#define test_in_memory(test) cmocka_unit_test_setup_teardown(test, mem_setup, mem_teardown)

static void stage(const char *path, const char *text)
{
	assert_int_equal(fsu_file_stage(mem, root, path, text, strlen(text), NULL), 0);
}

static void descriptors_are_none_of_the_kernels(void **state)
{
	(void)state;
	assert_true(root >= 1 << 30);
	assert_int_equal(fcntl(root, F_GETFD), -1);
	assert_int_equal(fsu_close(mem, 0), -EBADF);
	assert_int_equal(fsu_close(mem, -1), -EBADF);
	assert_int_equal(fsu_close(mem, root + 100000), -EBADF);
}

static void every_change_gives_a_directory_a_time_of_its_own(void **state)
{
	struct fsu_stamp last, now;

	(void)state;
	assert_int_equal(fsu_stamp_read(mem, root, "", &last), 0);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(i % 2 ? fsu_unlinkat(mem, root, "d", AT_REMOVEDIR) :
					 fsu_mkdirat(mem, root, "d", 0700),
				 0);
		assert_int_equal(fsu_stamp_read(mem, root, "", &now), 0);
		assert_true(now.mtime_ns > last.mtime_ns);
		last = now;
	}
}

static void a_listing_is_believed_at_once(void **state)
{
	struct fsu_list list;

	(void)state;
	fsu_list_init(&list, mem);
	stage("f", "");
	assert_int_equal(fsu_list_pass(&list, root, "", true), 0);
	assert_true(list.stable);
	assert_int_equal(list.count, 1);
	fsu_list_done(&list);
}

static void a_file_is_published_by_a_rename_out_of_a_directory(void **state)
{
	const struct fsu_publication p = { root, "tenure/f", "tenure", root, "f~1" };
	const struct fsu_publication late = { root, "tenure/f", "tenure", root, "f~2" };
	struct fsu_published published;
	uint8_t *data;
	size_t len;

	(void)state;
	assert_int_equal(fsu_mkdirat(mem, root, "tenure", 0700), 0);
	stage("tenure/f", "value");
	fsu_publish(mem, &p, &published);
	assert_int_equal(published.outcome, FSU_DONE);
	assert_int_equal(fsu_file_read(mem, root, "f~1", 100, &data, &len), 0);
	assert_int_equal(len, 5);
	assert_memory_equal(data, "value", 5);
	fsu_release(mem, data);
	/* Emptied and removed: nothing comes out of it any more. */
	assert_int_equal(fsu_unlinkat(mem, root, "tenure", AT_REMOVEDIR), 0);
	fsu_publish(mem, &late, &published);
	assert_true(published.fenced);
}

static void it_counts_as_local_and_its_locks_are_believed(void **state)
{
	struct fsu_mount mount;

	(void)state;
	assert_int_equal(fsu_mount_identify(mem, root, &mount), 0);
	assert_int_equal(mount.kind, FSU_MOUNT_LOCAL);
	assert_true(fsu_mount_locks_cluster_wide(&mount));
	assert_false(mount.read_only);
	assert_string_equal(mount.source, "memory");
}

static void a_lock_is_held_until_its_descriptor_is_closed(void **state)
{
	struct fsu_lock lock, other = FSU_LOCK_INIT;
	int fd;

	(void)state;
	assert_int_equal(fsu_lock_take(mem, root, "lock", true, &lock), 0);
	assert_int_equal(fsu_lock_take(mem, root, "lock", true, &other), -EAGAIN);
	fd = fsu_openat(mem, root, "lock", O_RDONLY, 0);
	assert_int_equal(fsu_lock_is_held(mem, fd), 1);
	fsu_lock_release(mem, &lock);
	assert_int_equal(fsu_lock_is_held(mem, fd), 0);
	assert_int_equal(fsu_close(mem, fd), 0);
}

static void a_forked_child_takes_nothing_from_its_parent(void **state)
{
	struct fsu_lock lock;
	int fd, status;
	pid_t child;

	(void)state;
	assert_int_equal(fsu_lock_take(mem, root, "lock", true, &lock), 0);
	child = fork(); /* closes what is locked, in the child */
	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	fd = fsu_openat(mem, root, "lock", O_RDONLY, 0);
	assert_int_equal(fsu_lock_is_held(mem, fd), 1);
	assert_int_equal(fsu_close(mem, fd), 0);
	fsu_lock_release(mem, &lock);
}

/* ---- notification ---- */

static int watched(const char *path, uint32_t mask)
{
	int fd = fsu_notify_open(mem);

	assert_true(fd >= 0 && fd < 1 << 30);
	assert_true(fsu_notify_add(mem, fd, root, path, mask) >= 0);
	assert_int_equal(fsu_notify_drain(mem, fd), 0);
	assert_int_equal(fsu_wait(mem, &fd, 1, 0), 0);
	return fd;
}

static void assert_told_and_close(int fd)
{
	assert_int_equal(fsu_wait(mem, &fd, 1, FSU_FOREVER), 1);
	assert_true(fsu_notify_drain(mem, fd) > 0);
	assert_int_equal(fsu_notify_drain(mem, fd), 0);
	assert_int_equal(fsu_wait(mem, &fd, 1, 0), 0);
	assert_int_equal(fsu_close(mem, fd), 0);
}

static void a_change_of_a_directory_is_told(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(fsu_mkdirat(mem, root, "d", 0700), 0);
	fd = watched("d", IN_CREATE);
	stage("other", "");
	assert_int_equal(fsu_wait(mem, &fd, 1, 0), 0);
	stage("d/a", "");
	assert_told_and_close(fd);
	fd = watched("d", IN_MOVED_FROM);
	assert_int_equal(fsu_renameat(mem, root, "d/a", root, "b"), 0);
	assert_told_and_close(fd);
	fd = watched("d", IN_MOVED_TO);
	assert_int_equal(fsu_renameat(mem, root, "b", root, "d/a"), 0);
	assert_told_and_close(fd);
	fd = watched("d", IN_DELETE);
	assert_int_equal(fsu_unlinkat(mem, root, "d/a", 0), 0);
	assert_told_and_close(fd);
	fd = watched("d", IN_DELETE_SELF);
	assert_int_equal(fsu_unlinkat(mem, root, "d", AT_REMOVEDIR), 0);
	assert_told_and_close(fd);
}

static void a_lock_that_is_let_go_is_told(void **state)
{
	struct fsu_lock lock;
	int fd;

	(void)state;
	assert_int_equal(fsu_lock_take(mem, root, "lock", true, &lock), 0);
	fd = watched("lock", IN_CLOSE_WRITE);
	fsu_lock_release(mem, &lock);
	assert_told_and_close(fd);
}

static void what_cannot_be_watched_is_refused(void **state)
{
	int fd = fsu_notify_open(mem);

	(void)state;
	stage("f", "");
	assert_int_equal(fsu_notify_add(mem, fd, root, "none", IN_CREATE), -ENOENT);
	assert_int_equal(fsu_notify_add(mem, fd, root, "f", IN_CREATE | IN_ONLYDIR), -ENOTDIR);
	assert_int_equal(fsu_notify_add(mem, root, root, "f", IN_CREATE), -EBADF);
	assert_int_equal(fsu_notify_drain(mem, root), -EBADF);
	assert_int_equal(fsu_close(mem, fd), 0);
	assert_int_equal(fsu_close(mem, fd), -EBADF);
}

/* ---- limits, memory, threads ---- */

static void descriptors_are_limited(void **state)
{
	size_t count = 0;
	int fd;

	(void)state;
	while ((fd = fsu_openat(mem, root, ".", O_RDONLY, 0)) >= 0 && count <= 1 << 17)
		count++;
	assert_int_equal(fd, -EMFILE);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(fsu_close(mem, root + 1 + (int)i), 0);
}

/* Some of everything; how far it comes is no matter. */
static void use_all(const struct fsu *fs)
{
	int dir = fsu_openat(fs, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, 0);
	int notify = fsu_notify_open(fs), file;

	(void)fsu_mkdirat(fs, dir, "d", 0700);
	(void)fsu_notify_add(fs, notify, dir, "d", IN_CREATE);
	file = fsu_openat(fs, dir, "d/f", O_RDWR | O_CREAT | O_EXCL, 0600);
	(void)fsu_write(fs, file, "0123456789", 10);
	for (int i = 0; i < 30; i++)
		(void)fsu_write(fs, file, "0123456789", 10);
	(void)fsu_renameat(fs, dir, "d/f", dir, "g");
	(void)fsu_mkdirat(fs, dir, "d/e", 0700);
	(void)fsu_close(fs, file);
	(void)fsu_close(fs, notify);
	(void)fsu_close(fs, dir);
}

static void sweep_memory(struct fixture *x, unsigned times)
{
	unsigned at = 0, fired;

	do {
		const struct fsu *fs;

		faulty_init(&x->f);
		faulty_arm(&x->f, ALLOC, at++, ENOMEM, NOT_DONE);
		x->f.times = times;
		fs = fsu_mem_create(&x->f.fs);
		if (fs) {
			use_all(fs);
			assert_int_equal(fsu_mem_open_fds(fs), 0);
		}
		fired = x->f.fired;
		fsu_mem_destroy(fs);
		assert_int_equal(x->f.live_allocations, 0);
	} while (fired > 0);
	assert_true(at > 15);
}

static void lack_of_memory_is_an_error_and_leaks_nothing(void **state)
{
	sweep_memory(*state, 1);
	sweep_memory(*state, 1000000);
}

struct racer {
	pthread_t thread;
	int won, lost;
};

#define ROUNDS 2000

/* All take the same steps. Who comes to a name finds it there, or another was faster. */
static void *race(void *arg)
{
	struct racer *r = arg;
	char from[32], to[32];

	for (int i = 0; i < ROUNDS; i++) {
		(void)snprintf(from, sizeof(from), "epoch-%d", i);
		(void)snprintf(to, sizeof(to), "epoch-%d", i + 1);
		switch (fsu_renameat(mem, root, from, root, to)) {
		case 0:
			r->won++;
			break;
		case -ENOENT:
			r->lost++;
			break;
		default:
			return NULL;
		}
	}
	return NULL;
}

static void one_rename_of_a_name_wins(void **state)
{
	struct racer racers[4] = { { .won = 0 } };
	int won = 0, lost = 0;

	(void)state;
	stage("epoch-0", "");
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
		won += racers[i].won;
		lost += racers[i].lost;
	}
	assert_int_equal(won, ROUNDS);
	assert_int_equal(lost, 3 * ROUNDS);
	assert_int_equal(fsu_statx(mem, root, "epoch-2000", 0, STATX_TYPE, &(struct statx){ 0 }),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_in_memory(descriptors_are_none_of_the_kernels),
		test_in_memory(every_change_gives_a_directory_a_time_of_its_own),
		test_in_memory(a_listing_is_believed_at_once),
		test_in_memory(a_file_is_published_by_a_rename_out_of_a_directory),
		test_in_memory(it_counts_as_local_and_its_locks_are_believed),
		test_in_memory(a_lock_is_held_until_its_descriptor_is_closed),
		test_in_memory(a_forked_child_takes_nothing_from_its_parent),
		test_in_memory(a_change_of_a_directory_is_told),
		test_in_memory(a_lock_that_is_let_go_is_told),
		test_in_memory(what_cannot_be_watched_is_refused),
		test_in_memory(descriptors_are_limited),
		test_in_directory(lack_of_memory_is_an_error_and_leaks_nothing),
		test_in_memory(one_rename_of_a_name_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
