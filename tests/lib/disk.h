/*
 * For tests on the crash filesystem: it is the state of a test, and at the end of each nothing may
 * be open or allocated. Every helper fails the test when a call in it fails. Paths start at the
 * root.
 */
#ifndef TESTS_DISK_H
#define TESTS_DISK_H

#include "tests/lib/crashfs.h"

/* How long what a client remembers is good for, in tests with caches. */
#define DISK_CACHE_NS (30 * FSU_NS_PER_S)

int disk_setup(void **state);
/* The same with caches of DISK_CACHE_NS. */
int disk_setup_cached(void **state);
int disk_teardown(void **state);
#define disk_test(f) cmocka_unit_test_setup_teardown(f, disk_setup, disk_teardown)
#define disk_test_cached(f) cmocka_unit_test_setup_teardown(f, disk_setup_cached, disk_teardown)

const struct fsu *disk_client(void **state, unsigned client);

void disk_mkdir(const struct fsu *fs, const char *path);
/* Creates or empties `path`; nothing is synced. */
void disk_write(const struct fsu *fs, const char *path, const char *text);
/* The content is synced, the name is not. */
void disk_write_synced(const struct fsu *fs, const char *path, const char *text);
int disk_open_dir(const struct fsu *fs, const char *path);
void disk_sync_dir(const struct fsu *fs, const char *path);
/* Directories p and q, and p/x, all of it durable. */
void disk_two_dirs(const struct fsu *fs);
int64_t disk_mtime_ns(const struct fsu *fs, const char *path);
void disk_expect_read(const struct fsu *fs, const char *path, const char *text);
/* As the server sees it. */
void disk_expect(struct crashfs *c, const char *path, const char *text);
/* One entry of what getdents gave. */
uint16_t disk_dent_len(const char *entry);
const char *disk_dent_name(const char *entry);
/* Does a listing of `path` show `name`? */
bool disk_lists(const struct fsu *fs, const char *path, const char *name);

/* Removes a directory that is open: whatever starts at its descriptor gives `error`. */
void disk_removed_dir(const struct fsu *fs, int error);
/* One fault of client 0, at call `at` of those in the mask, counted from now. */
void disk_arm(struct crashfs *c, uint32_t calls_mask, uint64_t at, int error,
	      enum crashfs_mode mode);
/* A copy after a power cut, recovered. The caller destroys it. */
struct crashfs *disk_crashed_copy(const struct crashfs *c, uint64_t seed);

#endif
