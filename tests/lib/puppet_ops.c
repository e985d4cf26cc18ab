/*
 * The table of a process that has puppets: stop, make the call through the table that was there
 * before, and keep in mind what it said.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/crashfs_internal.h"
#include "tests/lib/puppet_internal.h"

/* How often a killed puppet may call on its way out; everything in the library is bounded. */
#define KILLED_CALLS_MAX 1000000
/* Two changes of a directory within this may have one time: see fsutil/fsu_list.h. */
#define CLOCK_STEP_NS (10 * FSU_NS_PER_MS)

/* struct linux_dirent64 of getdents(2): d_ino 8, d_off 8, d_reclen 2, d_type 1, then the name. */
#define DENT_RECLEN 16
#define DENT_TYPE 18

/* ---- Before a call ---- */

/* NULL: it is the test itself that calls. */
static struct puppet *caller(const struct puppet_process *process)
{
	struct puppet *p = process->theatre->running;

	if (p && p->client != process->client)
		puppet_die(process->theatre, "it makes a call of another process");
	if (p && p->killed && ++p->killed_calls > KILLED_CALLS_MAX)
		puppet_die(process->theatre, "it was killed, and does not come to its end");
	return p;
}

/* Stops before the call. False: it was killed there. */
static bool enter(const struct puppet_process *process, enum crashfs_call kind, const char *path,
		  const char *to, bool changes)
{
	struct puppet *p = caller(process);

	if (!p)
		return true;
	if (p->killed)
		return false;
	p->next.kind = kind;
	p->next.changes = changes;
	(void)snprintf(p->next.path, sizeof(p->next.path), "%s", path);
	(void)snprintf(p->next.to, sizeof(p->next.to), "%s", to ? to : "");
	puppet_stop(p, PUPPET_READY);
	if (p->killed)
		return false;
	puppet_saw(p, &kind, sizeof(kind));
	puppet_saw(p, p->next.path, strlen(p->next.path));
	return true;
}

static bool enter_fd(struct puppet_process *process, enum crashfs_call kind, int fd, bool changes)
{
	return enter(process, kind, crashfs_fd_path(process->theatre->disk, process->client, fd),
		     NULL, changes);
}

/* ---- After it ---- */

static long saw(const struct puppet_process *process, long result)
{
	struct puppet *p = caller(process);

	if (p)
		puppet_saw(p, &result, sizeof(result));
	return result;
}

static int saw_int(const struct puppet_process *process, int result)
{
	return (int)saw(process, result);
}

/* The number of a descriptor says nothing. */
static int saw_fd(const struct puppet_process *process, int fd)
{
	(void)saw(process, fd < 0 ? fd : 0);
	return fd;
}

/* ---- Files ---- */

static int op_openat(void *ctx, int dirfd, const char *path, int flags, mode_t mode)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;

	if (!enter(process, CRASHFS_OPENAT, path, NULL, flags & (O_CREAT | O_TRUNC)))
		return -EIO;
	return saw_fd(process, real->ops->openat(real->ctx, dirfd, path, flags, mode));
}

static int op_close(void *ctx, int fd)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;

	/* Those of a killed process are closed. */
	if (!enter_fd(process, CRASHFS_CLOSE, fd, false))
		return 0;
	return saw_int(process, real->ops->close(real->ctx, fd));
}

static ssize_t op_pread(void *ctx, int fd, void *buf, size_t len, off_t offset)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;

	if (!enter_fd(process, CRASHFS_PREAD, fd, false))
		return -EIO;
	return saw(process, real->ops->pread(real->ctx, fd, buf, len, offset));
}

static ssize_t op_write(void *ctx, int fd, const void *buf, size_t len)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;

	if (!enter_fd(process, CRASHFS_WRITE, fd, true))
		return -EIO;
	return saw(process, real->ops->write(real->ctx, fd, buf, len));
}

static int op_fsync(void *ctx, int fd)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;

	if (!enter_fd(process, CRASHFS_FSYNC, fd, true))
		return -EIO;
	return saw_int(process, real->ops->fsync(real->ctx, fd));
}

static int op_clone(void *ctx, int fd, int src_fd, off_t src_offset, uint64_t len, off_t offset)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;

	if (!enter_fd(process, CRASHFS_CLONE, fd, true))
		return -EIO;
	return saw_int(process, real->ops->clone(real->ctx, fd, src_fd, src_offset, len, offset));
}

static int op_renameat(void *ctx, int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;

	if (!enter(process, CRASHFS_RENAMEAT, from, to, true))
		return -EIO;
	return saw_int(process, real->ops->renameat(real->ctx, from_dirfd, from, to_dirfd, to));
}

static int op_unlinkat(void *ctx, int dirfd, const char *path, int flags)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;

	if (!enter(process, CRASHFS_UNLINKAT, path, NULL, true))
		return -EIO;
	return saw_int(process, real->ops->unlinkat(real->ctx, dirfd, path, flags));
}

static int op_mkdirat(void *ctx, int dirfd, const char *path, mode_t mode)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;

	if (!enter(process, CRASHFS_MKDIRAT, path, NULL, true))
		return -EIO;
	return saw_int(process, real->ops->mkdirat(real->ctx, dirfd, path, mode));
}

/*
 * Of the times of a directory the library asks only whether they are those of its last look, and
 * that only counts when they are older than a clock step, or when it has waited since that look:
 * what changed just now may change again under the same time.
 */
static void saw_times(struct puppet *p, uint64_t inode, int64_t ctime_ns, const struct fsu *real)
{
	struct puppet_stamp *stamp = NULL;
	int64_t now_ns = real->ops->now_ns(real->ctx);
	bool old, same, waited;

	for (unsigned i = 0; i < p->n_stamps && i < PUPPET_STAMPS && !stamp; i++)
		if (p->stamps[i].inode == inode)
			stamp = &p->stamps[i];
	old = real->ops->wall_ns(real->ctx) - ctime_ns >= CLOCK_STEP_NS;
	same = stamp && stamp->ctime_ns == ctime_ns;
	waited = stamp && now_ns - stamp->looked_ns >= FSU_NS_PER_MS;
	if (!stamp)
		stamp = &p->stamps[p->n_stamps++ % PUPPET_STAMPS];
	*stamp = (struct puppet_stamp){ inode, ctime_ns, now_ns };
	puppet_saw(p, &old, sizeof(old));
	if (old || waited)
		puppet_saw(p, &same, sizeof(same));
}

static int op_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
		    struct statx *ret_stat)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;
	struct puppet *p = caller(process);
	int r;

	if (*path ? !enter(process, CRASHFS_STATX, path, NULL, false) :
		    !enter_fd(process, CRASHFS_STATX, dirfd, false))
		return -EIO;
	r = real->ops->statx(real->ctx, dirfd, path, flags, mask, ret_stat);
	if (p && r == 0) {
		puppet_saw(p, &ret_stat->stx_mode, sizeof(ret_stat->stx_mode));
		if (!S_ISDIR(ret_stat->stx_mode))
			puppet_saw(p, &ret_stat->stx_size, sizeof(ret_stat->stx_size));
		else
			saw_times(p, ret_stat->stx_ino,
				  ret_stat->stx_ctime.tv_sec * FSU_NS_PER_S +
					  ret_stat->stx_ctime.tv_nsec,
				  real);
	}
	return saw_int(process, r);
}

static ssize_t op_getdents(void *ctx, int fd, void *buf, size_t len)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;
	struct puppet *p = caller(process);
	ssize_t n;

	if (!enter_fd(process, CRASHFS_GETDENTS, fd, false))
		return -EIO;
	n = real->ops->getdents(real->ctx, fd, buf, len);
	for (ssize_t at = 0; p && at < n;) {
		uint16_t entry_len;

		memcpy(&entry_len, (char *)buf + at + DENT_RECLEN, sizeof(entry_len));
		puppet_saw(p, (char *)buf + at + DENT_TYPE, entry_len - DENT_TYPE);
		at += entry_len;
	}
	return saw(process, n);
}

static int op_rewind(void *ctx, int fd)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;

	if (!enter_fd(process, CRASHFS_REWIND, fd, false))
		return -EIO;
	return saw_int(process, real->ops->rewind(real->ctx, fd));
}

static int op_lock(void *ctx, int fd, int command, struct flock *lock)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;
	int r;

	if (!enter_fd(process, CRASHFS_LOCK, fd, command == F_OFD_SETLK))
		return -EIO;
	r = real->ops->lock(real->ctx, fd, command, lock);
	return saw_int(process, r < 0 ? r : lock->l_type) < 0 ? r : 0;
}

/* ---- What no other process can notice: no stop ---- */

static int op_fstatfs(void *ctx, int fd, struct statfs *ret_statfs)
{
	struct puppet_process *process = ctx;
	const struct puppet *p = caller(process);
	const struct fsu *real = &process->real;

	return p && p->killed ? -EIO : real->ops->fstatfs(real->ctx, fd, ret_statfs);
}

static ssize_t op_mountinfo(void *ctx, char *buf, size_t len)
{
	const struct fsu *real = &((struct puppet_process *)ctx)->real;

	return real->ops->mountinfo(real->ctx, buf, len);
}

static ssize_t op_mountstats(void *ctx, char *buf, size_t len)
{
	const struct fsu *real = &((struct puppet_process *)ctx)->real;

	return real->ops->mountstats(real->ctx, buf, len);
}

static int op_notify_open(void *ctx)
{
	const struct fsu *real = &((struct puppet_process *)ctx)->real;

	return real->ops->notify_open(real->ctx);
}

static int op_notify_add(void *ctx, int notify_fd, int dirfd, const char *path, uint32_t mask)
{
	const struct fsu *real = &((struct puppet_process *)ctx)->real;

	return real->ops->notify_add(real->ctx, notify_fd, dirfd, path, mask);
}

static int op_notify_drain(void *ctx, int notify_fd)
{
	const struct fsu *real = &((struct puppet_process *)ctx)->real;

	return real->ops->notify_drain(real->ctx, notify_fd);
}

static int64_t op_now_ns(void *ctx)
{
	struct puppet_process *process = ctx;
	const struct puppet *p = caller(process);
	const struct fsu *real = &process->real;

	return p && p->killed ? p->killed_ns : real->ops->now_ns(real->ctx);
}

static int64_t op_wall_ns(void *ctx)
{
	const struct fsu *real = &((struct puppet_process *)ctx)->real;

	return real->ops->wall_ns(real->ctx);
}

static int op_wait(void *ctx, const int *fds, size_t n_fds, int64_t deadline_ns)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;
	struct puppet *p = caller(process);

	if (!p)
		return real->ops->wait(real->ctx, fds, n_fds, deadline_ns);
	for (size_t i = 0; i < n_fds; i++)
		if (fds[i] >= 0)
			puppet_die(process->theatre, "it waits for a descriptor");
	if (!p->killed && deadline_ns > real->ops->now_ns(real->ctx)) {
		p->wakes_ns = deadline_ns;
		puppet_stop(p, PUPPET_WAITS);
	}
	/* Of a killed one the time is its own. */
	if (p->killed && deadline_ns > p->killed_ns && deadline_ns != FSU_FOREVER)
		p->killed_ns = deadline_ns;
	return 0;
}

static void *op_alloc(void *ctx, size_t size)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;

	(void)caller(process);
	return real->ops->alloc(real->ctx, size);
}

static void *op_resize(void *ctx, void *ptr, size_t size)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;

	(void)caller(process);
	return real->ops->resize(real->ctx, ptr, size);
}

static void op_release(void *ctx, void *ptr)
{
	const struct fsu *real = &((struct puppet_process *)ctx)->real;

	real->ops->release(real->ctx, ptr);
}

/* Counted, and failing, as ever; but drawn from the stream of the process. */
static int op_random(void *ctx, void *buf, size_t len)
{
	struct puppet_process *process = ctx;
	const struct fsu *real = &process->real;
	uint8_t *at = buf;
	int r = real->ops->random(real->ctx, buf, len);

	for (size_t i = 0; r == 0 && i < len; i++)
		at[i] = (uint8_t)cfs_draw(&process->random);
	return r;
}

const struct fsu_ops puppet_ops = {
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
	.notify_add = op_notify_add,
	.notify_drain = op_notify_drain,
	.now_ns = op_now_ns,
	.wall_ns = op_wall_ns,
	.wait = op_wait,
	.alloc = op_alloc,
	.resize = op_resize,
	.release = op_release,
	.random = op_random,
};
