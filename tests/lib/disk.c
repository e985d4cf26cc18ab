#include "tests/lib/disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* struct linux_dirent64 of getdents(2). */
#define DENT_RECLEN 16
#define DENT_NAME 19

int disk_setup(void **state)
{
	*state = crashfs_create(&(struct crashfs_options){ .seed = 1 });
	return 0;
}

int disk_setup_cached(void **state)
{
	*state = crashfs_create(&(struct crashfs_options){ .seed = 1, .cache_ns = DISK_CACHE_NS });
	return 0;
}

int disk_teardown(void **state)
{
	struct crashfs *c = *state;
	bool leaks = crashfs_bytes_allocated(c) > 0;

	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++)
		leaks |= crashfs_open_fds(c, i) > 0;
	if (leaks)
		print_error("something leaks; the last calls:\n%s", crashfs_log(c));
	crashfs_destroy(c);
	return leaks ? -1 : 0;
}

const struct fsu *disk_client(void **state, unsigned client)
{
	return crashfs_client(*state, client);
}

void disk_mkdir(const struct fsu *fs, const char *path)
{
	assert_int_equal(fsu_mkdirat(fs, AT_FDCWD, path, 0700), 0);
}

static void write_file(const struct fsu *fs, const char *path, const char *text, bool sync)
{
	int fd = fsu_openat(fs, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fsu_write(fs, fd, text, strlen(text)), strlen(text));
	if (sync)
		assert_int_equal(fsu_fsync(fs, fd), 0);
	assert_int_equal(fsu_close(fs, fd), 0);
}

void disk_write(const struct fsu *fs, const char *path, const char *text)
{
	write_file(fs, path, text, false);
}

void disk_write_synced(const struct fsu *fs, const char *path, const char *text)
{
	write_file(fs, path, text, true);
}

int disk_open_dir(const struct fsu *fs, const char *path)
{
	int fd = fsu_openat(fs, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	assert_true(fd >= 0);
	return fd;
}

void disk_sync_dir(const struct fsu *fs, const char *path)
{
	int fd = disk_open_dir(fs, path);

	assert_int_equal(fsu_fsync(fs, fd), 0);
	assert_int_equal(fsu_close(fs, fd), 0);
}

void disk_two_dirs(const struct fsu *fs)
{
	disk_mkdir(fs, "p");
	disk_mkdir(fs, "q");
	disk_write_synced(fs, "p/x", "1");
	disk_sync_dir(fs, "p");
	disk_sync_dir(fs, ".");
}

int64_t disk_mtime_ns(const struct fsu *fs, const char *path)
{
	struct statx st;

	assert_int_equal(fsu_statx(fs, AT_FDCWD, path, AT_EMPTY_PATH, STATX_MTIME, &st), 0);
	return st.stx_mtime.tv_sec * FSU_NS_PER_S + st.stx_mtime.tv_nsec;
}

void disk_expect_read(const struct fsu *fs, const char *path, const char *text)
{
	int fd = fsu_openat(fs, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	char buf[256];
	ssize_t n;

	assert_true(fd >= 0);
	n = fsu_pread(fs, fd, buf, sizeof(buf), 0);
	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, strlen(text));
	assert_int_equal(fsu_close(fs, fd), 0);
}

void disk_expect(struct crashfs *c, const char *path, const char *text)
{
	size_t len = 0;
	const uint8_t *data = crashfs_cat(c, path, &len);

	assert_non_null(data);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(data, text, len);
}

uint16_t disk_dent_len(const char *entry)
{
	uint16_t len;

	memcpy(&len, entry + DENT_RECLEN, sizeof(len));
	return len;
}

const char *disk_dent_name(const char *entry)
{
	return entry + DENT_NAME;
}

bool disk_lists(const struct fsu *fs, const char *path, const char *name)
{
	int fd = disk_open_dir(fs, path);
	bool found = false;
	char buf[1024];
	ssize_t n;

	while ((n = fsu_getdents(fs, fd, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; at < n; at += disk_dent_len(buf + at))
			found |= strcmp(disk_dent_name(buf + at), name) == 0;
	assert_int_equal(n, 0);
	assert_int_equal(fsu_close(fs, fd), 0);
	return found;
}

void disk_removed_dir(const struct fsu *fs, int error)
{
	char buf[256];
	int dir;

	disk_mkdir(fs, "d");
	disk_write(fs, "f", "1");
	dir = disk_open_dir(fs, "d");
	assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, "d", AT_REMOVEDIR), 0);
	assert_int_equal(fsu_openat(fs, dir, "x", O_WRONLY | O_CREAT, 0600), error);
	assert_int_equal(fsu_openat(fs, dir, "x", O_RDONLY, 0), error);
	assert_int_equal(fsu_renameat(fs, AT_FDCWD, "f", dir, "x"), error);
	assert_int_equal(fsu_renameat(fs, dir, "x", AT_FDCWD, "g"), error);
	assert_int_equal(fsu_mkdirat(fs, dir, "x", 0700), error);
	assert_int_equal(fsu_getdents(fs, dir, buf, sizeof(buf)), error);
	assert_int_equal(fsu_close(fs, dir), 0);
	assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, "f", 0), 0);
}

void disk_arm(struct crashfs *c, uint32_t calls_mask, uint64_t at, int error,
	      enum crashfs_mode mode)
{
	crashfs_fault_clear(c);
	crashfs_count_reset(c);
	crashfs_fault_arm(c, &(struct crashfs_fault){
				     .at = at,
				     .calls_mask = calls_mask,
				     .error = error,
				     .mode = mode,
			     });
}

struct crashfs *disk_crashed_copy(const struct crashfs *c, uint64_t seed)
{
	struct crashfs *copy = crashfs_fork(c);

	crashfs_crash(copy, seed);
	crashfs_recover(copy);
	return copy;
}
