/*
 * The table of system calls of a simulated process: its threads stop before each call that others
 * could notice, or that could notice others; its clock drifts; its memory and descriptors are
 * known, so that they can be taken away.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil/fsu_lock.h"
#include "tests/lib/crashfs_internal.h"
#include "tests/simulation/sim.h"

struct sim_block {
	struct sim_block *next, *former;
	size_t size;
	void *reserved0; /* what follows is aligned as memory of malloc */
};

/* ---- The clock ---- */

int64_t sim_local_ns(const struct sim_process *p, int64_t true_ns)
{
	/* Hosts have not started at the same time either. */
	return true_ns + true_ns / 1000 * p->drift_ppm / 1000 + p->client * 100 * FSU_NS_PER_S;
}

int64_t sim_true_ns(const struct sim_process *p, int64_t local_ns)
{
	int64_t low, high, span_ns;

	if (local_ns == FSU_FOREVER)
		return FSU_FOREVER;
	low = local_ns - p->client * 100 * FSU_NS_PER_S;
	span_ns = low > 0 ? low / 2 + FSU_NS_PER_S : FSU_NS_PER_S;
	high = low + span_ns;
	low -= span_ns;
	while (low < high) {
		const int64_t middle = low + (high - low) / 2;

		if (sim_local_ns(p, middle) < local_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ---- Before and after a call ---- */

static void stop_before(const struct sim_process *p, enum crashfs_call kind, bool changes)
{
	struct sim_thread *t = sim->running;

	if (!t)
		return;
	if (t->process != p)
		sim_die("a process makes a call of another one");
	t->kind = kind;
	t->changes = changes;
	t->in_call = true;
	sim_stop(SIM_READY);
	t->in_call = false;
	if (sim->fault) {
		const struct crashfs_fault fault = {
			.client = p->client,
			.at = crashfs_count(sim->disk, p->client),
			.error = sim->fault_error,
			.mode = sim->fault_mode,
		};

		crashfs_fault_arm(sim->disk, &fault);
	}
}

static long after(const struct sim_process *p, enum crashfs_call kind, long result)
{
	if (sim->fault) {
		crashfs_fault_clear(sim->disk);
		sim->fault = false;
	}
	sim_mix((uint64_t)kind << 32 | p->client);
	sim_mix((uint64_t)result);
	return result;
}

/* ---- Descriptors ---- */

static void note_fd(struct sim_process *p, int fd)
{
	if (fd < 0)
		return;
	if (p->n_open_fds == SIM_FDS)
		sim_die("a process has too many descriptors");
	p->open_fds[p->n_open_fds++] = fd;
}

static void forget_fd(struct sim_process *p, int fd)
{
	for (size_t i = 0; i < p->n_open_fds; i++)
		if (p->open_fds[i] == fd) {
			p->open_fds[i] = p->open_fds[--p->n_open_fds];
			return;
		}
}

/* ---- Files ---- */

static int op_openat(void *ctx, int dirfd, const char *path, int flags, mode_t mode)
{
	struct sim_process *p = ctx;
	int fd;

	stop_before(p, CRASHFS_OPENAT, flags & O_CREAT);
	fd = p->real->ops->openat(p->real->ctx, dirfd, path, flags, mode);
	note_fd(p, fd);
	return (int)after(p, CRASHFS_OPENAT, fd);
}

static int op_close(void *ctx, int fd)
{
	struct sim_process *p = ctx;

	if (!p->alive)
		return 0;
	forget_fd(p, fd);
	return p->real->ops->close(p->real->ctx, fd);
}

static ssize_t op_pread(void *ctx, int fd, void *buf, size_t len, off_t offset)
{
	struct sim_process *p = ctx;

	stop_before(p, CRASHFS_PREAD, false);
	return after(p, CRASHFS_PREAD, p->real->ops->pread(p->real->ctx, fd, buf, len, offset));
}

static ssize_t op_write(void *ctx, int fd, const void *buf, size_t len)
{
	struct sim_process *p = ctx;

	stop_before(p, CRASHFS_WRITE, true);
	return after(p, CRASHFS_WRITE, p->real->ops->write(p->real->ctx, fd, buf, len));
}

static int op_fsync(void *ctx, int fd)
{
	struct sim_process *p = ctx;

	stop_before(p, CRASHFS_FSYNC, true);
	return (int)after(p, CRASHFS_FSYNC, p->real->ops->fsync(p->real->ctx, fd));
}

static int op_clone(void *ctx, int fd, int src_fd, off_t src_offset, uint64_t len, off_t offset)
{
	(void)ctx;
	(void)fd;
	(void)src_fd;
	(void)src_offset;
	(void)len;
	(void)offset;
	return -EOPNOTSUPP;
}

static int op_renameat(void *ctx, int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	struct sim_process *p = ctx;
	struct sim_rename rename = { from_dirfd, to_dirfd, from, to, { 0 } };
	struct sim_beat *beat = &rename.beat;
	int r;

	sim_beat_begin(beat, p, from, to);
	if (sim->running)
		sim->running->rename = &rename;
	stop_before(p, CRASHFS_RENAMEAT, true);
	if (sim->running)
		sim->running->rename = NULL;
	if (sim->fault && sim->fault_late)
		sim_send_late(p, &rename);
	sim_beat_send(beat, from);
	if (beat->sent && sim->fault && (sim->fault_late || sim->fault_mode == CRASHFS_DONE))
		sim_lose_beat(p);
	r = p->real->ops->renameat(p->real->ctx, from_dirfd, from, to_dirfd, to);
	sim_beat_end(beat, p, from, to);
	return (int)after(p, CRASHFS_RENAMEAT, r);
}

static int op_unlinkat(void *ctx, int dirfd, const char *path, int flags)
{
	struct sim_process *p = ctx;

	stop_before(p, CRASHFS_UNLINKAT, true);
	return (int)after(p, CRASHFS_UNLINKAT,
			  p->real->ops->unlinkat(p->real->ctx, dirfd, path, flags));
}

static int op_mkdirat(void *ctx, int dirfd, const char *path, mode_t mode)
{
	struct sim_process *p = ctx;

	stop_before(p, CRASHFS_MKDIRAT, true);
	return (int)after(p, CRASHFS_MKDIRAT,
			  p->real->ops->mkdirat(p->real->ctx, dirfd, path, mode));
}

static int op_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
		    struct statx *ret_stat)
{
	struct sim_process *p = ctx;

	stop_before(p, CRASHFS_STATX, false);
	return (int)after(p, CRASHFS_STATX,
			  p->real->ops->statx(p->real->ctx, dirfd, path, flags, mask, ret_stat));
}

static ssize_t op_getdents(void *ctx, int fd, void *buf, size_t len)
{
	struct sim_process *p = ctx;

	stop_before(p, CRASHFS_GETDENTS, false);
	return after(p, CRASHFS_GETDENTS, p->real->ops->getdents(p->real->ctx, fd, buf, len));
}

static int op_rewind(void *ctx, int fd)
{
	struct sim_process *p = ctx;

	return p->real->ops->rewind(p->real->ctx, fd);
}

static int op_lock(void *ctx, int fd, int command, struct flock *lock)
{
	struct sim_process *p = ctx;

	stop_before(p, CRASHFS_LOCK, command == F_OFD_SETLK);
	return (int)after(p, CRASHFS_LOCK, p->real->ops->lock(p->real->ctx, fd, command, lock));
}

/* ---- What others do not notice ---- */

static int op_fstatfs(void *ctx, int fd, struct statfs *ret_statfs)
{
	struct sim_process *p = ctx;

	return p->real->ops->fstatfs(p->real->ctx, fd, ret_statfs);
}

static ssize_t op_mountinfo(void *ctx, char *buf, size_t len)
{
	struct sim_process *p = ctx;

	return p->real->ops->mountinfo(p->real->ctx, buf, len);
}

static ssize_t op_mountstats(void *ctx, char *buf, size_t len)
{
	struct sim_process *p = ctx;

	return p->real->ops->mountstats(p->real->ctx, buf, len);
}

static int op_notify_open(void *ctx)
{
	(void)ctx;
	return -ENOSYS;
}

static int64_t op_now_ns(void *ctx)
{
	return sim_local_ns(ctx, sim_now_ns());
}

static int64_t op_wall_ns(void *ctx)
{
	struct sim_process *p = ctx;

	return p->real->ops->wall_ns(p->real->ctx);
}

static int ready_ones(const int *fds, size_t n)
{
	const struct sim_thread probe = { .state = SIM_WAITS, .wakes_ns = FSU_FOREVER };
	int ready = 0;

	for (size_t i = 0; i < n; i++) {
		struct sim_thread one = probe;

		one.fds[0] = fds[i];
		one.n_fds = 1;
		if (sim_thread_can_go(&one))
			ready |= 1 << i;
	}
	return ready;
}

static int op_wait(void *ctx, const int *fds, size_t n_fds, int64_t deadline_ns)
{
	const struct sim_process *p = ctx;
	struct sim_thread *t = sim->running;
	int ready = ready_ones(fds, n_fds);

	if (ready || !t || deadline_ns <= sim_local_ns(p, sim_now_ns()))
		return ready;
	assert(n_fds <= sizeof(t->fds) / sizeof(t->fds[0]));
	if (n_fds > 0)
		memcpy(t->fds, fds, n_fds * sizeof(*fds));
	t->n_fds = n_fds;
	t->wakes_ns = sim_true_ns(p, deadline_ns);
	sim_stop(SIM_WAITS);
	t->n_fds = 0;
	return ready_ones(fds, n_fds);
}

static int op_random(void *ctx, void *buf, size_t len)
{
	struct sim_process *p = ctx;

	return p->real->ops->random(p->real->ctx, buf, len);
}

/* ---- Memory, known by process ---- */

static void *keep_block(struct sim_process *p, struct sim_block *b, size_t size)
{
	b->size = size;
	b->former = NULL;
	b->next = p->blocks;
	if (b->next)
		b->next->former = b;
	p->blocks = b;
	return b + 1;
}

static void drop_block(struct sim_process *p, const struct sim_block *b)
{
	if (b->former)
		b->former->next = b->next;
	else
		p->blocks = b->next;
	if (b->next)
		b->next->former = b->former;
}

static void *op_alloc(void *ctx, size_t size)
{
	struct sim_process *p = ctx;
	struct sim_block *b = p->real->ops->alloc(p->real->ctx, sizeof(*b) + size);

	return b ? keep_block(p, b, size) : NULL;
}

static void op_release(void *ctx, void *ptr)
{
	struct sim_process *p = ctx;
	struct sim_block *b;

	if (!ptr)
		return;
	b = (struct sim_block *)ptr - 1;
	drop_block(p, b);
	p->real->ops->release(p->real->ctx, b);
}

static void *op_resize(void *ctx, void *ptr, size_t size)
{
	struct sim_process *p = ctx;
	void *more = op_alloc(ctx, size);
	const struct sim_block *old;

	if (!more || !ptr)
		return more;
	old = (const struct sim_block *)ptr - 1;
	memcpy(more, ptr, old->size < size ? old->size : size);
	op_release(p, ptr);
	return more;
}

void sim_process_reclaim(struct sim_process *p)
{
	/* The library keeps a table of the locks of the whole process, which this is none of. */
	for (size_t i = 0; i < p->n_open_fds; i++) {
		struct fsu_lock lock = { .fd = p->open_fds[i] };

		fsu_lock_release(&p->fs, &lock);
	}
	p->n_open_fds = 0;
	crashfs_kill_client(sim->disk, p->client);
	while (p->blocks)
		op_release(p, p->blocks + 1);
}

const struct fsu_ops sim_ops = {
	.openat = op_openat,
	.close = op_close,
	.pread = op_pread,
	.write = op_write,
	.fsync = op_fsync,
	.clone = op_clone,
	.renameat = op_renameat,
	.unlinkat = op_unlinkat,
	.mkdirat = op_mkdirat,
	.statx = op_statx,
	.getdents = op_getdents,
	.rewind = op_rewind,
	.lock = op_lock,
	.fstatfs = op_fstatfs,
	.mountinfo = op_mountinfo,
	.mountstats = op_mountstats,
	.notify_open = op_notify_open,
	.now_ns = op_now_ns,
	.wall_ns = op_wall_ns,
	.wait = op_wait,
	.alloc = op_alloc,
	.resize = op_resize,
	.release = op_release,
	.random = op_random,
};
