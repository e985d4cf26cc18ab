/*
 * A filesystem that was shut down, as after an error of its disk, in an image of its own: what did
 * not come to the disk is not called durable.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "fsutil/fsu_ops.h"

#define SHUT_DOWN _IOR('X', 125, uint32_t) /* of ext4 and XFS */
#define WITHOUT_THE_LOG 2

static char dir[64];

static void run(const char *format, const char *type)
{
	char command[400];

	(void)snprintf(command, sizeof(command), format, dir, type, dir);
	/* Of this test only: the directory is ours, the rest a word. */
	if (system(command) != 0) /* NOLINT(cert-env33-c) */
		fail_msg("'%s' failed", command);
}

/* Where the image is mounted nobody else sees it, and it goes with this process. */
static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/fsha-test-shut-down-XXXXXX");
	(void)alarm(60);
	return unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	       !mkdtemp(dir);
}

static int teardown(void **state)
{
	char path[100];

	(void)state;
	(void)umount2(dir, MNT_DETACH);
	(void)snprintf(path, sizeof(path), "%s.image", dir);
	(void)unlink(path);
	return rmdir(dir);
}

static void check_shut_down(const char *type)
{
	const uint32_t how = WITHOUT_THE_LOG;
	int fd, file;

	run("truncate -s 320M %s.image && mkfs.%s -q %s.image >/dev/null", type);
	run("mount -t %2$s -o loop %1$s.image %3$s", type);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	file = openat(fd, "old", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	assert_int_equal(close(file), 0);
	assert_int_equal(fsu_fsync(&fsu_posix, fd), 0);
	assert_int_equal(renameat(fd, "old", fd, "new"), 0);
	if (ioctl(fd, SHUT_DOWN, &how) < 0)
		fail_msg("cannot shut %s down: %s", type, strerror(errno));
	assert_int_equal(fsu_fsync(&fsu_posix, fd), -EIO);
	assert_int_equal(close(fd), 0);
}

static void a_change_that_ext4_lost_in_a_shutdown_is_not_durable(void **state)
{
	(void)state;
	check_shut_down("ext4");
}

static void a_change_that_xfs_lost_in_a_shutdown_is_not_durable(void **state)
{
	(void)state;
	check_shut_down("xfs");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_change_that_ext4_lost_in_a_shutdown_is_not_durable),
		TEST(a_change_that_xfs_lost_in_a_shutdown_is_not_durable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
