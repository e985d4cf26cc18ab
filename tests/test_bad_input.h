/* Things that lie where a record or a directory is expected. */
#ifndef TESTS_TEST_BAD_INPUT_H
#define TESTS_TEST_BAD_INPUT_H

#include <spawn.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "tests/test_services.h"

extern char **environ;

enum thing {
	THING_FIFO,
	THING_LINK,
	THING_DANGLING,
	THING_FULL_DIRECTORY,
	THING_DEVICE,
	THINGS
};

/* False when this user cannot make it. */
static inline bool make_thing(enum thing thing, const char *path)
{
	char inside[640];

	switch (thing) {
	case THING_FIFO:
		assert_int_equal(mkfifo(path, 0600), 0);
		return true;
	case THING_LINK:
		assert_int_equal(symlink("/dev/zero", path), 0);
		return true;
	case THING_DANGLING:
		assert_int_equal(symlink("nowhere", path), 0);
		return true;
	case THING_FULL_DIRECTORY:
		assert_int_equal(mkdir(path, 0700), 0);
		(void)snprintf(inside, sizeof(inside), "%s/inside", path);
		write_file(inside, "x", 1);
		return true;
	case THING_DEVICE:
		/* The console of nobody: an open that waits would wait for good. */
		return mknod(path, S_IFCHR | 0600, makedev(5, 1)) == 0;
	default:
		return false;
	}
}

static inline void remove_thing(const char *path)
{
	assert_int_equal(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* As a person would. False: not all of it was there to be copied. */
static inline bool try_to_copy_tree(const char *from, const char *to)
{
	char program[] = "cp", option[] = "-a", source[600], target[600];
	char *argv[] = { program, option, source, target, NULL };
	int status = 0;
	pid_t pid;

	(void)snprintf(source, sizeof(source), "%s", from);
	(void)snprintf(target, sizeof(target), "%s", to);
	assert_int_equal(posix_spawnp(&pid, "cp", NULL, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status == 0;
}

/* Of a cluster at rest. */
static inline void copy_tree(const char *from, const char *to)
{
	assert_true(try_to_copy_tree(from, to));
}

#endif
