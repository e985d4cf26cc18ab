#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/storm/page.h"

struct page *page_map(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *page = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(struct page)) == 0)
		page = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	/* cppcheck-suppress memleak ; for as long as the process lives */
	return page == MAP_FAILED ? NULL : page;
}

uint64_t page_terms(const struct page *page)
{
	uint64_t sum = 0;

	for (int i = 0; i < ELECTIONS; i++)
		sum += atomic_load(&page->grants[i]);
	return sum;
}

int64_t page_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}
