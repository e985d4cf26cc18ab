/*
 * A page of memory that processes of one host share by a descriptor (memfd). It never touches the
 * shared directory; it is here because its system calls belong to the file layer.
 */
#ifndef FSU_PAGE_H
#define FSU_PAGE_H

#include <stddef.h>

/* A fresh zeroed page, mapped for writing, and its descriptor (O_CLOEXEC). */
int fsu_page_create(size_t size, int *ret_fd, void **ret_page);
/*
 * Map another process's page for reading. -EINVAL when the descriptor is no such page or is smaller
 * than `size`.
 */
int fsu_page_map(int fd, size_t size, const void **ret_page);
void fsu_page_unmap(const void *page, size_t size);
/* Open the page behind "/proc/<pid>/fd/<n>" for reading. -ENOENT when that process is gone. */
int fsu_page_open(const char *path);

/*
 * Wake-ups between threads: an eventfd. post is async-signal-safe; drain makes it unreadable again.
 */
int fsu_event_open(void);
void fsu_event_post(int event_fd);
void fsu_event_drain(int event_fd);
void fsu_fd_close(int fd);
/* A copy of a descriptor, close-on-exec. */
int fsu_fd_copy(int fd);

#endif
