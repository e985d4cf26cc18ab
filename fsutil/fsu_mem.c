#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "fsutil/fsu_mem_open.h"

#define TMPFS_TYPE 0x01021994

/* ---- what it is ---- */

static int mem_fstatfs(void *ctx, int fd, struct statfs *ret_statfs)
{
	struct fsu_mem *m = mem_enter(ctx);
	int r = mem_find_open(m, fd) ? 0 : -EBADF;

	mem_leave(m);
	if (r == 0)
		*ret_statfs = (struct statfs){ .f_type = TMPFS_TYPE,
					       .f_bsize = 4096,
					       .f_namelen = NAME_MAX };
	return r;
}

static ssize_t mem_mountinfo(void *ctx, char *buf, size_t len)
{
	static const char line[] = "1 0 0:1 / / rw - tmpfs memory rw\n";
	size_t n = sizeof(line) - 1 < len ? sizeof(line) - 1 : len;

	(void)ctx;
	memcpy(buf, line, n);
	return (ssize_t)n;
}

static ssize_t mem_mountstats(void *ctx, char *buf, size_t len)
{
	(void)ctx;
	(void)buf;
	(void)len;
	return 0;
}

/* ---- the base ---- */

static const struct fsu *base_of(void *ctx)
{
	return ((struct fsu_mem *)ctx)->base;
}

static int64_t mem_now_ns(void *ctx)
{
	return fsu_now_ns(base_of(ctx));
}

static int64_t mem_wall_ns(void *ctx)
{
	return fsu_wall_ns(base_of(ctx));
}

static int mem_wait(void *ctx, const int *fds, size_t n_fds, int64_t deadline_ns)
{
	return fsu_wait(base_of(ctx), fds, n_fds, deadline_ns);
}

static void *mem_alloc(void *ctx, size_t size)
{
	return fsu_alloc(base_of(ctx), size);
}

static void *mem_resize(void *ctx, void *ptr, size_t size)
{
	return fsu_resize(base_of(ctx), ptr, size);
}

static void mem_release(void *ctx, void *ptr)
{
	fsu_release(base_of(ctx), ptr);
}

static int mem_random(void *ctx, void *buf, size_t len)
{
	return fsu_random(base_of(ctx), buf, len);
}

static const struct fsu_ops mem_ops = {
	.openat = mem_openat,
	.close = mem_close,
	.pread = mem_pread,
	.write = mem_write,
	.fsync = mem_fsync,
	.renameat = mem_renameat,
	.unlinkat = mem_unlinkat,
	.mkdirat = mem_mkdirat,
	.statx = mem_statx,
	.getdents = mem_getdents,
	.rewind = mem_rewind,
	.lock = mem_lock,
	.fstatfs = mem_fstatfs,
	.mountinfo = mem_mountinfo,
	.mountstats = mem_mountstats,
	.notify_open = mem_notify_open,
	.notify_add = mem_notify_add,
	.notify_drain = mem_notify_drain,
	.now_ns = mem_now_ns,
	.wall_ns = mem_wall_ns,
	.wait = mem_wait,
	.alloc = mem_alloc,
	.resize = mem_resize,
	.release = mem_release,
	.random = mem_random,
};

const struct fsu *fsu_mem_create(const struct fsu *base)
{
	struct fsu_mem *m = fsu_alloc(base, sizeof(*m));

	if (!m)
		return NULL;
	m->fs = (struct fsu){ &mem_ops, m };
	m->base = base;
	m->pid = getpid();
	m->tree.tell = mem_notify_tell;
	if (pthread_mutex_init(&m->mutex, NULL) != 0) {
		fsu_release(base, m);
		return NULL;
	}
	if (mem_tree_init(&m->tree, base) < 0) {
		(void)pthread_mutex_destroy(&m->mutex);
		fsu_release(base, m);
		return NULL;
	}
	return &m->fs;
}

void fsu_mem_destroy(const struct fsu *mem)
{
	struct fsu_mem *m = mem ? mem->ctx : NULL;
	const struct fsu *base;

	if (!m)
		return;
	base = m->base;
	assert(m->open_count == 0);
	while (m->notifies)
		(void)mem_notify_close(m, m->notifies->fd);
	mem_tree_done(&m->tree);
	fsu_release(base, m->opens);
	(void)pthread_mutex_destroy(&m->mutex);
	fsu_release(base, m);
}

size_t fsu_mem_open_fds(const struct fsu *mem)
{
	struct fsu_mem *m = mem_enter(mem->ctx);
	size_t count = m->open_count;

	mem_leave(m);
	return count;
}
