/* Inside fsu_mem*.c: the filesystem, its descriptors, and the calls of the table by file. */
#ifndef FSU_MEM_OPEN_H
#define FSU_MEM_OPEN_H

#include "fsutil/fsu_mem.h"
#include "fsutil/fsu_mem_tree.h"

#define MEM_DEVICE_MINOR 1

/* An open file description. There is one descriptor for each. */
struct mem_open {
	struct mem_node *node; /* a reference */
	int flags;
	uint64_t offset; /* of a directory: the cookie that was shown last */
	short locked;    /* F_UNLCK, F_RDLCK, F_WRLCK: of the whole file */
};

struct mem_notify {
	struct mem_notify *next;
	int fd; /* an eventfd */
	int last_id;
	bool pending;
};

struct fsu_mem {
	struct fsu fs; /* what the users see */
	const struct fsu *base;
	pthread_mutex_t mutex;
	pid_t pid; /* of the process that may use it */
	struct mem_tree tree;
	struct mem_open **opens; /* by descriptor */
	size_t opens_size, open_count;
	struct mem_notify *notifies;
};

static inline struct fsu_mem *mem_enter(void *ctx)
{
	struct fsu_mem *m = ctx;

	(void)pthread_mutex_lock(&m->mutex);
	return m;
}

static inline void mem_leave(struct fsu_mem *m)
{
	(void)pthread_mutex_unlock(&m->mutex);
}

/* ---- fsu_mem_file.c ---- */
struct mem_open *mem_find_open(const struct fsu_mem *m, int fd);
/* Where a path leads to. -ENOENT only when a directory on the way is missing. */
int mem_walk_at(const struct fsu_mem *m, int dirfd, const char *path, struct mem_place *ret_place);
/* The same for a last component that is looked up: -ENAMETOOLONG when it cannot be. */
int mem_look_at(const struct fsu_mem *m, int dirfd, const char *path, struct mem_place *ret_place);

int mem_openat(void *ctx, int dirfd, const char *path, int flags, mode_t mode);
int mem_close(void *ctx, int fd);
ssize_t mem_pread(void *ctx, int fd, void *buf, size_t len, off_t offset);
ssize_t mem_write(void *ctx, int fd, const void *buf, size_t len);
int mem_fsync(void *ctx, int fd);
int mem_lock(void *ctx, int fd, int command, struct flock *lock);

/* ---- fsu_mem_name.c ---- */
int mem_renameat(void *ctx, int from_dirfd, const char *from, int to_dirfd, const char *to);
int mem_unlinkat(void *ctx, int dirfd, const char *path, int flags);
int mem_mkdirat(void *ctx, int dirfd, const char *path, mode_t mode);
int mem_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
	      struct statx *ret_stat);
ssize_t mem_getdents(void *ctx, int fd, void *buf, size_t len);
int mem_rewind(void *ctx, int fd);

/* ---- fsu_mem_notify.c ---- */
/* Something for a notification to tell: what tree.tell is set to. */
void mem_notify_tell(struct mem_tree *tree, int notify_fd);
/* False when `fd` is no notification. */
bool mem_notify_close(struct fsu_mem *m, int fd);
int mem_notify_open(void *ctx);
int mem_notify_add(void *ctx, int notify_fd, int dirfd, const char *path, uint32_t mask);
int mem_notify_drain(void *ctx, int notify_fd);

#endif
