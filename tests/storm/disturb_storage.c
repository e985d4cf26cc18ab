/*
 * The storage fails: no space, no inodes, a filesystem that is shut down under load. It is the
 * storm's alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/storm/crowd.h"

#define WRITES_AFTER 2 /* of each kind, that must be acknowledged when it works again */

/* ---- space ---- */

static void filler_path(const struct crowd *c, char *ret_path, size_t size)
{
	(void)snprintf(ret_path, size, "%s/../filler", c->storage);
}

static void append_until_full(int fd, size_t chunk_bytes)
{
	static const char zeros[1 << 20];

	while (write(fd, zeros, chunk_bytes) > 0)
		;
}

/* Fill it but for a few blocks, so that many a write is cut off in its middle. */
static void fill(struct crowd *c)
{
	char path[600];
	off_t end;
	int fd;

	filler_path(c, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		crowd_fail(c, "cannot make '%s': %s", path, strerror(errno));
	append_until_full(fd, 1 << 20);
	append_until_full(fd, 4096);
	end = lseek(fd, 0, SEEK_CUR);
	if (crowd_random(c, 2) && end > 1 << 20 &&
	    ftruncate(fd, end - (off_t)crowd_random(c, 1 << 18)) < 0)
		crowd_fail(c, "cannot cut '%s': %s", path, strerror(errno));
	(void)fsync(fd);
	(void)close(fd);
}

static uint64_t no_space(const struct crowd *c)
{
	uint64_t sum = 0;

	for (int k = 0; k < KINDS; k++)
		sum += atomic_load(&c->page->counts[k].no_space);
	return sum;
}

static void await_no_space(struct crowd *c, uint64_t count)
{
	int64_t end_ns = page_now_ns() + LIMIT_NS;

	while (no_space(c) < count) {
		if (page_now_ns() > end_ns)
			crowd_fail(c, "no write was ever told that there is no space");
		crowd_sleep(c, 5000);
	}
}

void disturb_space(struct crowd *c)
{
	char path[600];

	filler_path(c, path, sizeof(path));
	for (c->cycles = 0; c->cycles < c->count; c->cycles++) {
		crowd_await_writes(c, WRITES_AFTER);
		fill(c);
		await_no_space(c, no_space(c) + 5);
		/* Now and then for longer than a lease. */
		crowd_sleep(c, crowd_random(c, c->lease_ms * 2000));
		if (unlink(path) < 0)
			crowd_fail(c, "cannot remove '%s': %s", path, strerror(errno));
		/* btrfs gives back with its next commit. */
		sync();
	}
	crowd_await_writes(c, WRITES_AFTER);
}

/* ---- inodes ---- */

static unsigned long take_inodes(struct crowd *c, const char *dir)
{
	unsigned long n = 0;
	char path[700];

	for (;; n++) {
		int fd;

		(void)snprintf(path, sizeof(path), "%s/%lu", dir, n);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			break;
		(void)close(fd);
	}
	if (errno != ENOSPC)
		crowd_fail(c, "cannot make '%s': %s", path, strerror(errno));
	return n;
}

static void give_inodes(const char *dir, unsigned long n)
{
	char path[700];

	while (n-- > 0) {
		(void)snprintf(path, sizeof(path), "%s/%lu", dir, n);
		(void)unlink(path);
	}
}

void disturb_inodes(struct crowd *c)
{
	unsigned long taken;
	char dir[600];

	filler_path(c, dir, sizeof(dir));
	if (mkdir(dir, 0700) < 0)
		crowd_fail(c, "cannot make '%s': %s", dir, strerror(errno));
	for (c->cycles = 0; c->cycles < c->count; c->cycles++) {
		crowd_await_writes(c, WRITES_AFTER);
		taken = take_inodes(c, dir);
		await_no_space(c, no_space(c) + 5);
		crowd_sleep(c, crowd_random(c, c->lease_ms * 2000));
		give_inodes(dir, taken);
	}
	crowd_await_writes(c, WRITES_AFTER);
}

/* ---- shut down ---- */

/* FS_IOC_SHUTDOWN, which no header of the C library has yet; and its flags. */
#define SHUTDOWN _IOR('X', 125, uint32_t)
static const struct {
	uint32_t flag;
	const char *name;
} shutdowns[] = { { 0, "flush" }, { 1, "log flushed" }, { 2, "log not flushed" } };

static void shut_down(struct crowd *c, const char *mount_point)
{
	const unsigned which = (unsigned)(c->cycles % (sizeof(shutdowns) / sizeof(*shutdowns)));
	uint32_t flag = shutdowns[which].flag;
	int fd = open(mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, SHUTDOWN, &flag) < 0)
		crowd_fail(c, "cannot shut '%s' down (%s): %s", mount_point, shutdowns[which].name,
			   strerror(errno));
	(void)close(fd);
}

/* What was not in the log is gone now. */
static void mount_again(struct crowd *c, const char *mount_point)
{
	int64_t end_ns = page_now_ns() + LIMIT_NS;

	while (umount(mount_point) < 0) {
		if (errno != EBUSY || page_now_ns() > end_ns)
			crowd_fail(c, "cannot unmount '%s': %s", mount_point, strerror(errno));
		crowd_sleep(c, 1000);
	}
	crowd_log(c, "cut");
	if (mount(c->device, mount_point, c->type, 0, NULL) < 0)
		crowd_fail(c, "cannot mount '%s': %s", c->device, strerror(errno));
}

void disturb_shutdown(struct crowd *c)
{
	char mount_point[600], *slash;

	(void)snprintf(mount_point, sizeof(mount_point), "%s", c->storage);
	slash = strrchr(mount_point, '/');
	if (slash)
		*slash = '\0';
	for (c->cycles = 0; c->cycles < c->count; c->cycles++) {
		crowd_await_writes(c, WRITES_AFTER);
		crowd_sleep(c, crowd_random(c, c->interval_us));
		shut_down(c, mount_point);
		/* Those that are there go on for a while and must tell the truth. */
		crowd_sleep(c, crowd_random(c, 300000));
		crowd_kill_all(c);
		mount_again(c, mount_point);
		crowd_start_all(c);
		crowd_await_leaders(c);
	}
	crowd_await_writes(c, WRITES_AFTER);
}
