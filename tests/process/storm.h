/* What the processes of a storm share, besides the storage directory: a file that all of them map.
 */
#ifndef TESTS_PROCESS_STORM_H
#define TESTS_PROCESS_STORM_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define STORM_TERMS_MAX 4096
#define STORM_ELECTION "dispatcher"
#define STORM_NAMESPACE "storm"
#define STORM_VALUE "value" /* "<epoch> <sequence>", written by whoever leads all the time */
#define STORM_TERM "term-"  /* and its epoch: written once a term */

struct storm {
	_Atomic uint32_t acknowledged;            /* how many there are */
	_Atomic uint64_t epochs[STORM_TERMS_MAX]; /* of terms whose STORM_TERM was acknowledged */
	_Atomic uint64_t written;                 /* writes of STORM_VALUE that were acknowledged */
	_Atomic uint32_t lost; /* recoveries that missed what was acknowledged before */
};

static inline struct storm *storm_map(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct storm *page = NULL;

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(*page)) == 0)
		page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	/* cppcheck-suppress memleak ; for as long as the process lives */
	return page == MAP_FAILED ? NULL : page;
}

#endif
