/* What the host gives to every client: time, memory, chance, and what it says of the mount. */
#include "tests/lib/crashfs_internal.h"

#include <assert.h>
#include <errno.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CEPH_MAGIC 0x00c36400
#define FUSE_MAGIC 0x65735546

#define WAIT_FDS_MAX 30
#define FRESH_BYTE 0xa5

/* Before each block of memory, so that a release knows what it takes back. */
struct block {
	size_t size;
	uint64_t magic;
};
#define BLOCK_ALIVE UINT64_C(0xa11fe0c0ffee0001)
#define BLOCK_DEAD UINT64_C(0xdead00c0ffee0001)

/* ---- Time: nothing but calls and waits makes it pass ---- */

static int64_t host_now_ns(void *ctx)
{
	struct crashfs *c = ((struct cfs_client *)ctx)->c;
	int64_t now_ns;

	(void)pthread_mutex_lock(&c->mutex);
	now_ns = c->now_ns;
	(void)pthread_mutex_unlock(&c->mutex);
	return now_ns;
}

static int64_t host_wall_ns(void *ctx)
{
	struct crashfs *c = ((struct cfs_client *)ctx)->c;
	int64_t wall_ns;

	(void)pthread_mutex_lock(&c->mutex);
	wall_ns = cfs_wall_ns(c);
	(void)pthread_mutex_unlock(&c->mutex);
	return wall_ns;
}

void crashfs_advance(struct crashfs *c, int64_t ns)
{
	assert(ns >= 0);
	(void)pthread_mutex_lock(&c->mutex);
	c->now_ns += ns;
	(void)pthread_mutex_unlock(&c->mutex);
}

/* Descriptors here are the test's own, real ones: an eventfd that another thread writes to. */
static int ready_fds(const int *fds, size_t n_fds, int timeout_ms)
{
	struct pollfd poll_fds[WAIT_FDS_MAX];
	int ready = 0;

	assert(n_fds <= WAIT_FDS_MAX);
	for (size_t i = 0; i < n_fds; i++)
		poll_fds[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	if (n_fds == 0 || poll(poll_fds, n_fds, timeout_ms) <= 0)
		return 0;
	for (size_t i = 0; i < n_fds; i++)
		if (poll_fds[i].revents)
			ready |= 1 << i;
	return ready;
}

static int host_wait(void *ctx, const int *fds, size_t n_fds, int64_t deadline_ns)
{
	struct crashfs *c = ((struct cfs_client *)ctx)->c;
	int ready = ready_fds(fds, n_fds, 0);

	if (ready)
		return ready;
	if (deadline_ns == FSU_FOREVER) {
		/* Time that never comes cannot be skipped to: only another thread ends this. */
		if (n_fds == 0)
			cfs_die(c, "wait for ever for nothing");
		return ready_fds(fds, n_fds, -1);
	}
	(void)pthread_mutex_lock(&c->mutex);
	if (deadline_ns > c->now_ns)
		c->now_ns = deadline_ns;
	(void)pthread_mutex_unlock(&c->mutex);
	return 0;
}

/* ---- Memory ---- */

static struct block *block_of(struct crashfs *c, void *ptr)
{
	struct block *block = (struct block *)ptr - 1;

	if (block->magic != BLOCK_ALIVE)
		cfs_die(c, "released memory that is %s",
			block->magic == BLOCK_DEAD ? "released" : "nobody's");
	return block;
}

static void *host_alloc(void *ctx, size_t size)
{
	struct block *block;
	struct cfs_call call;

	cfs_begin(&call, ctx, CRASHFS_ALLOC, "", NULL, false);
	/* There is no error but NULL, and no way to have got memory without knowing where. */
	if (call.verdict != CFS_RUN && call.verdict != CFS_RUN_HALF) {
		(void)cfs_end(&call, -ENOMEM);
		return NULL;
	}
	block = cfs_xalloc(sizeof(*block) + size);
	*block = (struct block){ .size = size, .magic = BLOCK_ALIVE };
	call.cl->c->bytes_allocated += size;
	(void)cfs_end(&call, (long)size);
	return block + 1;
}

static void *host_resize(void *ctx, void *ptr, size_t size)
{
	struct block *old, *block;
	struct cfs_call call;
	size_t old_size;

	cfs_begin(&call, ctx, CRASHFS_ALLOC, "", NULL, false);
	if (call.verdict != CFS_RUN && call.verdict != CFS_RUN_HALF) {
		(void)cfs_end(&call, -ENOMEM);
		return NULL;
	}
	old = ptr ? block_of(call.cl->c, ptr) : NULL;
	old_size = old ? old->size : 0;
	/* Always moved, and the rest filled with rubbish: who relies on either is found. */
	block = cfs_xalloc(sizeof(*block) + size);
	*block = (struct block){ .size = size, .magic = BLOCK_ALIVE };
	if (old_size > 0)
		memcpy(block + 1, old + 1, old_size < size ? old_size : size);
	if (size > old_size)
		memset((uint8_t *)(block + 1) + old_size, FRESH_BYTE, size - old_size);
	if (old) {
		old->magic = BLOCK_DEAD;
		free(old);
	}
	call.cl->c->bytes_allocated += size - old_size;
	(void)cfs_end(&call, (long)size);
	return block + 1;
}

static void host_release(void *ctx, void *ptr)
{
	struct crashfs *c = ((struct cfs_client *)ctx)->c;
	struct block *block;

	if (!ptr)
		return;
	(void)pthread_mutex_lock(&c->mutex);
	block = block_of(c, ptr);
	assert(c->bytes_allocated >= block->size);
	c->bytes_allocated -= block->size;
	block->magic = BLOCK_DEAD;
	free(block);
	(void)pthread_mutex_unlock(&c->mutex);
}

static int host_random(void *ctx, void *buf, size_t len)
{
	struct cfs_call call;
	uint8_t *at = buf;

	cfs_begin(&call, ctx, CRASHFS_RANDOM, "", NULL, false);
	if (call.verdict == CFS_FAIL)
		return (int)cfs_end(&call, -call.error);
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)cfs_draw(&call.cl->c->random);
	return (int)cfs_end(&call, 0);
}

/* ---- The mount ---- */

static long statfs_type(const struct crashfs *c)
{
	if (c->options.statfs_type)
		return c->options.statfs_type;
	return c->options.cache_ns > 0 ? NFS_SUPER_MAGIC : EXT4_SUPER_MAGIC;
}

struct kind {
	long magic;
	unsigned dev_major, dev_minor;
	const char *type, *source, *options;
};

static const struct kind kinds[] = {
	{ EXT4_SUPER_MAGIC, 8, 17, "ext4", "/dev/sdb1", "rw,errors=remount-ro" },
	{ NFS_SUPER_MAGIC, 0, 51, "nfs4", "filer:/export",
	  "rw,vers=4.2,rsize=1048576,wsize=1048576,namlen=255,hard,proto=tcp,timeo=600,retrans=2,"
	  "sec=sys,clientaddr=192.0.2.2,local_lock=none,addr=192.0.2.1" },
	{ CEPH_MAGIC, 0, 52, "ceph", "192.0.2.1:6789:/", "rw,name=admin,secret=<hidden>,acl" },
	{ FUSE_MAGIC, 0, 53, "fuse.ceph-fuse", "ceph-fuse", "rw,user_id=0,group_id=0,allow_other" },
	{ OVERLAYFS_SUPER_MAGIC, 0, 54, "overlay", "overlay", "rw,lowerdir=/l,upperdir=/u" },
	{ TMPFS_MAGIC, 0, 55, "tmpfs", "tmpfs", "rw,size=65536k" },
	{ 0, 0, 56, "fuse.other", "other", "rw" },
};

static const struct kind *find_kind(const struct crashfs *c)
{
	const struct kind *kind = kinds;

	while (kind->magic != 0 && kind->magic != statfs_type(c))
		kind++;
	return kind;
}

unsigned cfs_dev_major(const struct crashfs *c)
{
	return find_kind(c)->dev_major;
}

unsigned cfs_dev_minor(const struct crashfs *c)
{
	return find_kind(c)->dev_minor;
}

static int host_fstatfs(void *ctx, int fd, struct statfs *ret_statfs)
{
	struct cfs_desc *desc = NULL;
	struct cfs_call call;
	int r;

	cfs_begin_fd(&call, ctx, CRASHFS_FSTATFS, fd, false);
	if (call.verdict == CFS_FAIL)
		return (int)cfs_end(&call, -call.error);
	r = cfs_desc_check(call.cl, fd, &desc);
	if (r == 0) {
		memset(ret_statfs, 0, sizeof(*ret_statfs));
		ret_statfs->f_type = statfs_type(call.cl->c);
		ret_statfs->f_bsize = 4096;
		ret_statfs->f_blocks = ret_statfs->f_bfree = ret_statfs->f_bavail = 1 << 20;
		ret_statfs->f_namelen = CFS_NAME_MAX;
	}
	return (int)cfs_end(&call, r);
}

/* As much of the text as there is room for, as from a file in /proc. */
static ssize_t give_text(struct cfs_call *call, const char *text, char *buf, size_t len)
{
	size_t n = 0;

	for (; n < len && text[n]; n++)
		buf[n] = text[n];
	return cfs_end(call, (long)n);
}

static ssize_t host_mountinfo(void *ctx, char *buf, size_t len)
{
	const struct kind *kind;
	struct cfs_call call;
	char text[1024];

	cfs_begin(&call, ctx, CRASHFS_MOUNTINFO, "", NULL, false);
	if (call.verdict == CFS_FAIL)
		return cfs_end(&call, -call.error);
	kind = find_kind(call.cl->c);
	(void)snprintf(text, sizeof(text), "25 1 %u:%u / / rw,relatime shared:1 - %s %s %s\n",
		       kind->dev_major, kind->dev_minor, kind->type, kind->source, kind->options);
	return give_text(&call, text, buf, len);
}

/* As the kernel prints it: fs/nfs/super.c, nfs_show_stats. */
static ssize_t host_mountstats(void *ctx, char *buf, size_t len)
{
	const struct kind *kind;
	struct cfs_call call;
	char text[2048];
	int n;

	cfs_begin(&call, ctx, CRASHFS_MOUNTSTATS, "", NULL, false);
	if (call.verdict == CFS_FAIL)
		return cfs_end(&call, -call.error);
	kind = find_kind(call.cl->c);
	n = snprintf(text, sizeof(text), "device %s mounted on / with fstype %s", kind->source,
		     kind->type);
	if (kind->magic == NFS_SUPER_MAGIC)
		(void)snprintf(
			text + n, sizeof(text) - (size_t)n,
			" statvers=1.1\n\topts:\t%s\n\tage:\t1000\n"
			"\tcaps:\tcaps=0xffffff,wtmult=512,dtsize=1048576,bsize=0,namlen=255\n"
			"\tnfsv4:\tbm0=0xfdffbfff,bm1=0x40f9be3e,bm2=0x60803,acl=0x3,sessions,"
			"pnfs=not configured,lease_time=90,lease_expired=0\n"
			"\tsec:\tflavor=1,pseudoflavor=1\n",
			kind->options);
	else
		(void)snprintf(text + n, sizeof(text) - (size_t)n, "\n");
	return give_text(&call, text, buf, len);
}

/* ---- inotify: there is none ---- */

static int no_notify(struct cfs_call *call)
{
	return (int)cfs_end(call, call->verdict == CFS_FAIL ? -call->error : -ENOSYS);
}

static int host_notify_open(void *ctx)
{
	struct cfs_call call;

	cfs_begin(&call, ctx, CRASHFS_NOTIFY, "", NULL, false);
	return no_notify(&call);
}

static int host_notify_add(void *ctx, int notify_fd, int dirfd, const char *path, uint32_t mask)
{
	struct cfs_call call;

	(void)notify_fd;
	(void)dirfd;
	(void)mask;
	cfs_begin(&call, ctx, CRASHFS_NOTIFY, path, NULL, false);
	return no_notify(&call);
}

static int host_notify_drain(void *ctx, int notify_fd)
{
	struct cfs_call call;

	(void)notify_fd;
	cfs_begin(&call, ctx, CRASHFS_NOTIFY, "", NULL, false);
	return no_notify(&call);
}

const struct fsu_ops cfs_ops = {
	.openat = cfs_openat,
	.close = cfs_close,
	.pread = cfs_pread,
	.write = cfs_write,
	.clone = cfs_clone,
	.fsync = cfs_fsync,
	.renameat = cfs_renameat,
	.unlinkat = cfs_unlinkat,
	.mkdirat = cfs_mkdirat,
	.statx = cfs_statx,
	.getdents = cfs_getdents,
	.rewind = cfs_rewind,
	.lock = cfs_lock,
	.fstatfs = host_fstatfs,
	.mountinfo = host_mountinfo,
	.mountstats = host_mountstats,
	.notify_open = host_notify_open,
	.notify_add = host_notify_add,
	.notify_drain = host_notify_drain,
	.now_ns = host_now_ns,
	.wall_ns = host_wall_ns,
	.wait = host_wait,
	.alloc = host_alloc,
	.resize = host_resize,
	.release = host_release,
	.random = host_random,
};
