/* Descriptors, and the calls on them. */
#include "tests/lib/crashfs_internal.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* struct linux_dirent64 of getdents(2): d_ino 8, d_off 8, d_reclen 2, d_type 1, then the name. */
#define DENT_OFF 8
#define DENT_RECLEN 16
#define DENT_TYPE 18
#define DENT_NAME 19
/* Positions of a scan: behind ".", behind "..", then hashes, which are greater. */
#define CURSOR_DOT 1
#define CURSOR_DOTS 2

struct cfs_desc *cfs_desc(struct cfs_client *cl, int fd)
{
	for (size_t i = 0; i < cl->n_descs; i++)
		if (cl->descs[i].fd == fd)
			return &cl->descs[i];
	return NULL;
}

int cfs_desc_check(struct cfs_client *cl, int fd, struct cfs_desc **ret_desc)
{
	struct cfs_desc *desc = cfs_desc(cl, fd);

	if (!desc) {
		/* In a real process the number would be another file's by now. */
		if (fd >= cl->retired_fd && fd < cl->next_fd)
			cfs_die(cl->c, "descriptor %d of client %u is used after its close", fd,
				cl->index);
		if (fd >= CFS_FD_BASE && fd / CFS_FD_BASE != (int)cl->index + 1)
			cfs_die(cl->c, "client %u uses descriptor %d of another", cl->index, fd);
		return -EBADF;
	}
	*ret_desc = desc;
	return 0;
}

int cfs_desc_open(struct cfs_client *cl, uint32_t ino, int flags, const char *path)
{
	void *descs = cl->descs;

	cfs_reserve(&descs, &cl->descs_size, cl->n_descs + 1, sizeof(*cl->descs));
	cl->descs = descs;
	cl->descs[cl->n_descs++] = (struct cfs_desc){
		.fd = cl->next_fd,
		.flags = flags,
		.ino = ino,
		.path = cfs_xstrdup(path),
	};
	return cl->next_fd++;
}

bool cfs_desc_any(const struct cfs_client *cl, uint32_t ino)
{
	for (size_t i = 0; i < cl->n_descs; i++)
		if (cl->descs[i].ino == ino)
			return true;
	return false;
}

/* The last close of a file that was unlinked while it was open takes its silly name away. */
static void remove_silly(struct cfs_client *cl, struct cfs_inode *inode)
{
	struct cfs_inode *dir = cfs_inode_get(cl->c, inode->silly_dir);
	char name[CFS_NAME_MAX + 1];
	uint64_t before;

	if (!dir || cl->c->crashed || cfs_desc_any(cl, inode->ino))
		return;
	inode->silly_dir = CFS_NONE;
	cfs_silly_name(inode, name);
	if (dir->dead || cfs_find(cl->c, dir, name) != inode->ino)
		return;
	before = dir->change;
	cfs_remove(cl->c, dir, name);
	cfs_changed(cl, dir, name, CFS_NONE, before);
}

void cfs_desc_close(struct cfs_client *cl, int fd)
{
	struct crashfs *c = cl->c;
	struct cfs_desc *desc = cfs_desc(cl, fd);
	struct cfs_inode *inode;
	size_t kept = 0;

	assert(desc);
	for (size_t i = 0; i < c->n_locks; i++)
		if (c->locks[i].fd != fd)
			c->locks[kept++] = c->locks[i];
	c->n_locks = kept;
	inode = cfs_inode_get(c, desc->ino);
	free(desc->path);
	*desc = cl->descs[--cl->n_descs];
	if (inode && inode->silly_dir != CFS_NONE)
		remove_silly(cl, inode);
}

void cfs_desc_close_all(struct cfs_client *cl)
{
	while (cl->n_descs > 0)
		cfs_desc_close(cl, cl->descs[0].fd);
	cl->retired_fd = cl->next_fd;
}

int cfs_close(void *ctx, int fd)
{
	struct cfs_desc *desc = NULL;
	struct cfs_call call;
	int r;

	cfs_begin_fd(&call, ctx, CRASHFS_CLOSE, fd, false);
	r = cfs_desc_check(call.cl, fd, &desc);
	/* Whatever close(2) reports, the descriptor is gone; and nobody is to close it again. */
	if (r == 0)
		cfs_desc_close(call.cl, fd);
	if (call.verdict == CFS_FAIL)
		r = -call.error;
	return (int)cfs_end(&call, r);
}

/* ---- Content ---- */

static size_t half(const struct cfs_call *call, size_t len)
{
	return call->verdict == CFS_RUN_HALF ? (len + 1) / 2 : len;
}

static ssize_t pread_run(struct cfs_call *call, int fd, void *buf, size_t len, off_t offset)
{
	const struct cfs_bytes *bytes = NULL;
	const struct cfs_inode *inode;
	struct cfs_desc *desc = NULL;
	size_t n = 0;
	int r;

	r = cfs_desc_check(call->cl, fd, &desc);
	if (r < 0)
		return r;
	inode = cfs_inode_get(call->cl->c, desc->ino);
	assert(inode);
	if ((desc->flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (S_ISDIR(inode->mode))
		return -EISDIR;
	if (S_ISFIFO(inode->mode))
		return -ESPIPE;
	if (offset < 0)
		return -EINVAL;
	r = cfs_content(call->cl, desc->ino, &bytes);
	if (r < 0)
		return r;
	if ((uint64_t)offset < bytes->len)
		n = bytes->len - (size_t)offset;
	if (n > len)
		n = len;
	n = half(call, n);
	if (n > 0)
		memcpy(buf, bytes->data + offset, n);
	return (ssize_t)n;
}

ssize_t cfs_pread(void *ctx, int fd, void *buf, size_t len, off_t offset)
{
	struct cfs_call call;

	cfs_begin_fd(&call, ctx, CRASHFS_PREAD, fd, false);
	if (call.verdict == CFS_FAIL)
		return cfs_end(&call, -call.error);
	return cfs_end(&call, pread_run(&call, fd, buf, len, offset));
}

static ssize_t write_run(struct cfs_call *call, int fd, const void *buf, size_t len)
{
	struct cfs_client *cl = call->cl;
	struct cfs_desc *desc = NULL;
	struct cfs_inode *inode;
	size_t end;
	int r;

	r = cfs_desc_check(cl, fd, &desc);
	if (r < 0)
		return r;
	inode = cfs_inode_get(cl->c, desc->ino);
	assert(inode);
	if ((desc->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (S_ISFIFO(inode->mode))
		return -EAGAIN;
	if (cfs_caches(cl) && cfs_inode_gone(inode))
		return -ESTALE;
	len = half(call, len);
	if (desc->flags & O_APPEND)
		desc->pos = (off_t)inode->data.len;
	end = (size_t)desc->pos + len;
	if (end > inode->data.len) {
		inode->data.data = realloc(inode->data.data, end);
		if (!inode->data.data)
			abort();
		memset(inode->data.data + inode->data.len, 0, end - inode->data.len);
		inode->data.len = end;
	}
	if (len > 0)
		memcpy(inode->data.data + desc->pos, buf, len);
	desc->pos = (off_t)end;
	inode->synced = false;
	cl->c->changes++;
	cfs_touch(cl->c, inode, true);
	if (cfs_caches(cl))
		(void)cfs_fetch(cl, inode->ino); /* it is not gone */
	return (ssize_t)len;
}

static void put_bytes(struct cfs_inode *inode, size_t at, const void *data, size_t len)
{
	if (at + len > inode->data.len) {
		inode->data.data = realloc(inode->data.data, at + len);
		if (!inode->data.data)
			abort();
		memset(inode->data.data + inode->data.len, 0, at + len - inode->data.len);
		inode->data.len = at + len;
	}
	memcpy(inode->data.data + at, data, len);
}

/* As the filesystems that can: whole blocks, or up to the end of the source. */
static int clone_run(struct cfs_call *call, int fd, int src_fd, off_t src_offset, uint64_t len,
		     off_t offset)
{
	struct cfs_client *cl = call->cl;
	struct cfs_desc *desc = NULL, *src_desc = NULL;
	struct cfs_inode *inode, *src;
	size_t left;
	int r;

	r = cfs_desc_check(cl, fd, &desc);
	if (r == 0)
		r = cfs_desc_check(cl, src_fd, &src_desc);
	if (r < 0)
		return r;
	inode = cfs_inode_get(cl->c, desc->ino);
	src = cfs_inode_get(cl->c, src_desc->ino);
	assert(inode);
	assert(src);
	assert(inode != src);
	if ((desc->flags & O_ACCMODE) == O_RDONLY || desc->flags & O_APPEND)
		return -EBADF;
	if (!S_ISREG(src->mode))
		return -EINVAL;
	if ((uint64_t)src_offset > src->data.len)
		return -EINVAL;
	left = src->data.len - (size_t)src_offset;
	if (len == 0)
		len = left;
	if (len > left || src_offset % 4096 || offset % 4096 || (len % 4096 && len != left))
		return -EINVAL;
	put_bytes(inode, (size_t)offset, src->data.data + src_offset, (size_t)len);
	inode->synced = false;
	cl->c->changes++;
	cfs_touch(cl->c, inode, true);
	if (cfs_caches(cl))
		(void)cfs_fetch(cl, inode->ino); /* it is not gone */
	return 0;
}

int cfs_clone(void *ctx, int fd, int src_fd, off_t src_offset, uint64_t len, off_t offset)
{
	const struct cfs_client *cl = ctx;
	struct cfs_call call;

	if (!cl->c->options.clones)
		return -EOPNOTSUPP;
	cfs_begin_fd(&call, ctx, CRASHFS_CLONE, fd, true);
	if (call.verdict == CFS_FAIL)
		return (int)cfs_end(&call, -call.error);
	return (int)cfs_end(&call, clone_run(&call, fd, src_fd, src_offset, len, offset));
}

ssize_t cfs_write(void *ctx, int fd, const void *buf, size_t len)
{
	struct cfs_call call;

	cfs_begin_fd(&call, ctx, CRASHFS_WRITE, fd, true);
	if (call.verdict == CFS_FAIL)
		return cfs_end(&call, -call.error);
	return cfs_end(&call, write_run(&call, fd, buf, len));
}

/*
 * A kernel that could not write data back tells one fsync and then takes the data for clean: a
 * second fsync succeeds and proves nothing (fsync(2) on EIO; "fsyncgate", 2018). What was not sent
 * at all, because of a signal, is not given up.
 */
static void data_sync_failed(struct cfs_client *cl, int fd, int error)
{
	struct cfs_desc *desc = cfs_desc(cl, fd);
	struct cfs_inode *inode = desc ? cfs_inode_get(cl->c, desc->ino) : NULL;

	if (inode && S_ISREG(inode->mode) && !inode->synced && error != EINTR)
		inode->dropped = true;
}

int cfs_fsync(void *ctx, int fd)
{
	struct cfs_desc *desc = NULL;
	struct cfs_inode *inode;
	struct cfs_call call;
	int r;

	cfs_begin_fd(&call, ctx, CRASHFS_FSYNC, fd, true);
	if (call.verdict == CFS_FAIL) {
		if (call.fault)
			data_sync_failed(call.cl, fd, call.error);
		return (int)cfs_end(&call, -call.error);
	}
	r = cfs_desc_check(call.cl, fd, &desc);
	if (r < 0)
		return (int)cfs_end(&call, r);
	inode = cfs_inode_get(call.cl->c, desc->ino);
	assert(inode);
	if (cfs_caches(call.cl) && cfs_inode_gone(inode))
		return (int)cfs_end(&call, -ESTALE);
	cfs_sync(call.cl->c, inode);
	return (int)cfs_end(&call, 0);
}

/* ---- Listings ---- */

static unsigned char dent_type(const struct crashfs *c, uint32_t ino)
{
	const struct cfs_inode *inode = cfs_inode_get(c, ino);

	return inode ? (unsigned char)IFTODT(inode->mode) : DT_UNKNOWN;
}

/* Returns the length of the entry, 0 when there is no room for it. */
static size_t put_dent(const struct crashfs *c, uint8_t *buf, size_t room, uint32_t ino,
		       uint64_t cursor, const char *name)
{
	size_t name_size = strlen(name) + 1;
	size_t len = (DENT_NAME + name_size + 7) / 8 * 8;
	uint64_t wide_ino = ino;
	uint16_t short_len = (uint16_t)len;

	if (len > room)
		return 0;
	memset(buf, 0, len);
	memcpy(buf, &wide_ino, sizeof(wide_ino));
	memcpy(buf + DENT_OFF, &cursor, sizeof(cursor));
	memcpy(buf + DENT_RECLEN, &short_len, sizeof(short_len));
	buf[DENT_TYPE] = dent_type(c, ino);
	memcpy(buf + DENT_NAME, name, name_size);
	return len;
}

/*
 * Names in the order of their hashes, from the cursor on, as they are now: one that comes behind
 * the cursor is missed, and so is one that leaves ahead of it.
 */
static ssize_t getdents_run(struct cfs_call *call, int fd, uint8_t *buf, size_t room)
{
	struct cfs_client *cl = call->cl;
	const struct cfs_entries *entries;
	const struct cfs_inode *dir;
	struct cfs_desc *desc = NULL;
	uint64_t end = UINT64_MAX;
	size_t used = 0, len = 1;
	int r;

	r = cfs_desc_check(cl, fd, &desc);
	if (r < 0)
		return r;
	dir = cfs_inode_get(cl->c, desc->ino);
	assert(dir);
	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	entries = &dir->entries;
	if (cfs_caches(cl))
		r = cfs_listing(cl, desc->ino, desc->cursor, &entries, &end);
	else if (dir->dead)
		r = -ENOENT;
	if (r < 0)
		return r;
	for (; desc->cursor < CURSOR_DOTS && len > 0; used += len) {
		bool dot = desc->cursor == 0;

		len = put_dent(cl->c, buf + used, room - used, dot ? dir->ino : dir->parent,
			       desc->cursor + 1, dot ? "." : "..");
		if (len > 0)
			desc->cursor++;
	}
	for (size_t i = cfs_entries_after(entries, desc->cursor); i < entries->count && len > 0;
	     i++, used += len) {
		const struct cfs_entry *entry = &entries->at[i];

		len = put_dent(cl->c, buf + used, room - used, entry->ino, entry->hash,
			       entry->name);
		if (len > 0)
			desc->cursor = entry->hash;
	}
	assert(end == UINT64_MAX || used > 0 || len == 0);
	return used == 0 && len == 0 ? -EINVAL : (ssize_t)used;
}

ssize_t cfs_getdents(void *ctx, int fd, void *buf, size_t len)
{
	struct cfs_call call;

	cfs_begin_fd(&call, ctx, CRASHFS_GETDENTS, fd, false);
	if (call.verdict == CFS_FAIL)
		return cfs_end(&call, -call.error);
	return cfs_end(&call, getdents_run(&call, fd, buf, half(&call, len)));
}

int cfs_rewind(void *ctx, int fd)
{
	struct cfs_desc *desc = NULL;
	struct cfs_call call;
	int r;

	cfs_begin_fd(&call, ctx, CRASHFS_REWIND, fd, false);
	if (call.verdict == CFS_FAIL)
		return (int)cfs_end(&call, -call.error);
	r = cfs_desc_check(call.cl, fd, &desc);
	if (r == 0) {
		desc->cursor = 0;
		desc->pos = 0;
	}
	return (int)cfs_end(&call, r);
}

/* ---- Locks of open file descriptions: they go with the descriptor ---- */

static const struct cfs_lock *find_conflict(const struct crashfs *c, const struct cfs_lock *wanted)
{
	for (size_t i = 0; i < c->n_locks; i++) {
		const struct cfs_lock *lock = &c->locks[i];

		if (lock->ino == wanted->ino && lock->fd != wanted->fd &&
		    lock->start <= wanted->end && wanted->start <= lock->end &&
		    (lock->type == F_WRLCK || wanted->type == F_WRLCK))
			return lock;
	}
	return NULL;
}

/* What a new lock or an unlock covers of the descriptor's own ones goes away. */
static void drop_covered(struct crashfs *c, const struct cfs_lock *wanted)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->n_locks; i++) {
		const struct cfs_lock *lock = &c->locks[i];
		bool own = lock->fd == wanted->fd && lock->start <= wanted->end &&
			   wanted->start <= lock->end;

		if (own && (lock->start < wanted->start || lock->end > wanted->end))
			cfs_die(c, "locks that overlap in part are not simulated");
		if (!own)
			c->locks[kept++] = *lock;
	}
	c->n_locks = kept;
}

static int lock_run(struct cfs_call *call, int fd, int command, struct flock *lock)
{
	struct crashfs *c = call->cl->c;
	const struct cfs_lock *conflict;
	struct cfs_desc *desc = NULL;
	struct cfs_lock wanted;
	void *locks = c->locks;
	int access, r;

	r = cfs_desc_check(call->cl, fd, &desc);
	if (r < 0)
		return r;
	if (lock->l_pid != 0 || lock->l_whence != SEEK_SET || lock->l_start < 0 || lock->l_len < 0)
		return -EINVAL;
	access = desc->flags & O_ACCMODE;
	wanted = (struct cfs_lock){
		.ino = desc->ino,
		.fd = fd,
		.type = lock->l_type,
		.start = lock->l_start,
		.end = lock->l_len > 0 ? lock->l_start + lock->l_len - 1 : INT64_MAX,
	};
	conflict = wanted.type == F_UNLCK ? NULL : find_conflict(c, &wanted);
	if (command == F_OFD_GETLK) {
		lock->l_type = F_UNLCK;
		if (conflict) {
			lock->l_type = conflict->type;
			lock->l_start = conflict->start;
			lock->l_len = conflict->end == INT64_MAX ?
					      0 :
					      conflict->end - conflict->start + 1;
			lock->l_pid = -1;
		}
		return 0;
	}
	if ((wanted.type == F_WRLCK && access == O_RDONLY) ||
	    (wanted.type == F_RDLCK && access == O_WRONLY))
		return -EBADF;
	if (conflict)
		return -EAGAIN;
	drop_covered(c, &wanted);
	if (wanted.type == F_UNLCK)
		return 0;
	cfs_reserve(&locks, &c->locks_size, c->n_locks + 1, sizeof(*c->locks));
	c->locks = locks;
	c->locks[c->n_locks++] = wanted;
	return 0;
}

int cfs_lock(void *ctx, int fd, int command, struct flock *lock)
{
	struct cfs_call call;

	assert(command == F_OFD_SETLK || command == F_OFD_GETLK);
	cfs_begin_fd(&call, ctx, CRASHFS_LOCK, fd, command == F_OFD_SETLK);
	if (call.verdict == CFS_FAIL)
		return (int)cfs_end(&call, -call.error);
	return (int)cfs_end(&call, lock_run(&call, fd, command, lock));
}
