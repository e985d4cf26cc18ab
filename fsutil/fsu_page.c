#include "fsutil/fsu_page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int fsu_page_create(size_t size, int *ret_fd, void **ret_page)
{
	void *page;
	int fd;

	fd = memfd_create("fsha-lease", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	/* Sealed in size, so that a reader can never be killed by a page that was cut off. */
	if (ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) <
						      0) { /* lint: a memfd, not a file */
		int r = -errno;

		fsu_fd_close(fd);
		return r;
	}
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		int r = -errno;

		fsu_fd_close(fd);
		return r;
	}
	*ret_fd = fd;
	*ret_page = page;
	return 0;
}

int fsu_page_map(int fd, size_t size, const void **ret_page)
{
	int seals = fcntl(fd, F_GET_SEALS); /* lint: a memfd, not a file */
	struct stat st;
	void *page;

	/* Only a memfd has seals: anything else could be truncated under us. */
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return -EINVAL;
	if (fstat(fd, &st) < 0 || st.st_size < (off_t)size) /* lint: a memfd, not a file */
		return -EINVAL;
	page = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	*ret_page = page;
	return 0;
}

void fsu_page_unmap(const void *page, size_t size)
{
	if (page)
		(void)munmap((void *)(uintptr_t)page, size);
}

int fsu_page_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC |
				    O_NONBLOCK); /* lint: /proc, not the shared directory */

	return fd < 0 ? -errno : fd;
}

int fsu_event_open(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

void fsu_event_post(int event_fd)
{
	uint64_t one = 1;

	/* It can only fail when the counter is full, and then it is readable already. */
	if (event_fd >= 0 && write(event_fd, &one, sizeof(one)) < 0) /* lint: an eventfd */
		return;
}

void fsu_event_drain(int event_fd)
{
	uint64_t count;

	if (event_fd >= 0 && read(event_fd, &count, sizeof(count)) < 0) /* lint: an eventfd */
		return;
}

void fsu_fd_close(int fd)
{
	if (fd >= 0)
		(void)close(fd); /* lint: never a file of the shared directory */
}

int fsu_fd_copy(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* lint: shares the lock, opens nothing */

	return copy < 0 ? -errno : copy;
}
