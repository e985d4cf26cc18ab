#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "fsutil/fsu_mem_open.h"

/* Above all that the kernel gives (fs.nr_open is at most 2^30 - 64). */
#define FD_FIRST (1 << 30)
#define FD_MAX 65536
#define FILE_MAX (UINT64_C(1) << 32)

/* ---- descriptors ---- */

struct mem_open *mem_find_open(const struct fsu_mem *m, int fd)
{
	size_t at = (size_t)(fd - FD_FIRST);

	return fd >= FD_FIRST && at < m->opens_size ? m->opens[at] : NULL;
}

/* The lowest descriptor that is free. */
static int free_fd(struct fsu_mem *m)
{
	struct mem_open **bigger;
	size_t size = m->opens_size ? m->opens_size * 2 : 64;

	for (size_t i = 0; m->open_count < m->opens_size && i < m->opens_size; i++)
		if (!m->opens[i])
			return FD_FIRST + (int)i;
	if (m->opens_size >= FD_MAX)
		return -EMFILE;
	bigger = fsu_resize(m->base, m->opens, size * sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	memset(bigger + m->opens_size, 0, (size - m->opens_size) * sizeof(*bigger));
	m->opens = bigger;
	m->opens_size = size;
	return FD_FIRST + (int)m->open_count;
}

static int open_node(struct fsu_mem *m, struct mem_node *node, int flags)
{
	struct mem_open *o = fsu_alloc(m->base, sizeof(*o));
	int fd = o ? free_fd(m) : -ENOMEM;

	if (fd < 0) {
		fsu_release(m->base, o);
		return fd;
	}
	mem_node_ref(node);
	*o = (struct mem_open){ .node = node, .flags = flags, .locked = F_UNLCK };
	m->opens[fd - FD_FIRST] = o;
	m->open_count++;
	return fd;
}

/* Where a path of a call starts. */
static int start_of(const struct fsu_mem *m, int dirfd, const char *path,
		    struct mem_node **ret_start)
{
	const struct mem_open *o = mem_find_open(m, dirfd);

	if (dirfd == AT_FDCWD || path[0] == '/')
		*ret_start = m->tree.root;
	else if (!o)
		return -EBADF;
	else if (!o->node->is_dir)
		return -ENOTDIR;
	else
		*ret_start = o->node;
	return 0;
}

int mem_walk_at(const struct fsu_mem *m, int dirfd, const char *path, struct mem_place *ret_place)
{
	struct mem_node *start;
	int r;

	if (!path[0])
		return -ENOENT;
	r = start_of(m, dirfd, path, &start);
	return r < 0 ? r : mem_walk(&m->tree, start, path, ret_place);
}

int mem_look_at(const struct fsu_mem *m, int dirfd, const char *path, struct mem_place *ret_place)
{
	int r = mem_walk_at(m, dirfd, path, ret_place);

	return r == 0 && ret_place->too_long ? -ENAMETOOLONG : r;
}

/* May what a path leads to be opened so? */
static int check_open(const struct mem_place *p, int flags)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY;

	if ((flags & O_CREAT) && p->plain && p->slash)
		return -EISDIR;
	if (!p->node)
		return flags & O_CREAT ? 0 : -ENOENT;
	if ((flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if (p->node->is_dir && (writes || (flags & O_CREAT)))
		return -EISDIR;
	if (!p->node->is_dir && (p->slash || (flags & O_DIRECTORY)))
		return -ENOTDIR;
	return 0;
}

int mem_openat(void *ctx, int dirfd, const char *path, int flags, mode_t mode)
{
	struct fsu_mem *m = mem_enter(ctx);
	struct mem_place place;
	int fd, r;

	r = (flags & O_CREAT) && (flags & O_DIRECTORY) ? -EINVAL :
							 mem_look_at(m, dirfd, path, &place);
	if (r == 0)
		r = check_open(&place, flags);
	if (r < 0)
		goto out;
	if (place.node) {
		r = open_node(m, place.node, flags);
	} else {
		/* The descriptor first: what cannot be opened is not made. */
		r = fd = open_node(m, m->tree.root, flags);
		if (r >= 0) {
			struct mem_node *node = NULL;
			struct mem_open *o = mem_find_open(m, fd);

			r = mem_make(&m->tree, &place, false, mode, &node);
			mem_node_unref(&m->tree, o->node);
			o->node = node;
			if (r == 0) {
				mem_node_ref(node);
				r = fd;
			} else {
				m->opens[fd - FD_FIRST] = NULL;
				m->open_count--;
				fsu_release(m->base, o);
			}
		}
	}
	if (r >= 0 && place.node && (flags & O_TRUNC) && !place.node->is_dir) {
		place.node->size = 0;
		mem_node_touch(&m->tree, place.node);
	}
out:
	mem_leave(m);
	return r;
}

int mem_close(void *ctx, int fd)
{
	struct fsu_mem *m = ctx;
	struct mem_open *o;
	int r = 0;

	/* Another thread may have had the mutex when it forked; nothing here is the child's. */
	if (getpid() != m->pid)
		return 0;
	m = mem_enter(ctx);
	o = mem_find_open(m, fd);
	if (o) {
		m->opens[fd - FD_FIRST] = NULL;
		m->open_count--;
		if ((o->flags & O_ACCMODE) != O_RDONLY)
			mem_node_event(&m->tree, o->node, IN_CLOSE_WRITE);
		mem_node_unref(&m->tree, o->node);
		fsu_release(m->base, o);
	} else if (!mem_notify_close(m, fd)) {
		r = -EBADF;
	}
	mem_leave(m);
	return r;
}

/* ---- files ---- */

ssize_t mem_pread(void *ctx, int fd, void *buf, size_t len, off_t offset)
{
	struct fsu_mem *m = mem_enter(ctx);
	const struct mem_open *o = mem_find_open(m, fd);
	ssize_t n = 0;

	if (offset < 0) {
		n = -EINVAL;
	} else if (!o || (o->flags & O_ACCMODE) == O_WRONLY) {
		n = -EBADF;
	} else if (o->node->is_dir) {
		n = -EISDIR;
	} else if ((uint64_t)offset < o->node->size) {
		size_t left = o->node->size - (size_t)offset;

		n = (ssize_t)(len < left ? len : left);
		memcpy(buf, o->node->data + offset, (size_t)n);
	}
	mem_leave(m);
	return n;
}

static int grow(const struct fsu_mem *m, struct mem_node *node, size_t need)
{
	size_t capacity = node->capacity ? node->capacity : 64;
	uint8_t *data;

	if (need <= node->capacity)
		return 0;
	while (capacity < need)
		capacity *= 2;
	data = fsu_resize(m->base, node->data, capacity);
	if (!data)
		return -ENOSPC; /* what the disk is to others */
	node->data = data;
	node->capacity = capacity;
	return 0;
}

ssize_t mem_write(void *ctx, int fd, const void *buf, size_t len)
{
	struct fsu_mem *m = mem_enter(ctx);
	struct mem_open *o = mem_find_open(m, fd);
	ssize_t n = (ssize_t)len;

	if (!o || (o->flags & O_ACCMODE) == O_RDONLY) {
		n = -EBADF;
	} else if (len > 0) {
		struct mem_node *node = o->node;
		uint64_t at = o->flags & O_APPEND ? node->size : o->offset;
		int r = len > FILE_MAX - at ? -EFBIG : grow(m, node, (size_t)at + len);

		if (r == 0) {
			if (at > node->size)
				memset(node->data + node->size, 0, (size_t)at - node->size);
			memcpy(node->data + at, buf, len);
			o->offset = at + len;
			if (o->offset > node->size)
				node->size = (size_t)o->offset;
			mem_node_touch(&m->tree, node);
			mem_node_event(&m->tree, node, IN_MODIFY);
		} else {
			n = r;
		}
	}
	mem_leave(m);
	return n;
}

int mem_fsync(void *ctx, int fd)
{
	struct fsu_mem *m = mem_enter(ctx);
	int r = mem_find_open(m, fd) ? 0 : -EBADF;

	mem_leave(m);
	return r;
}

/* ---- locks ---- */

/* Another description whose lock is in the way of one of `type`. */
static const struct mem_open *conflict(const struct fsu_mem *m, const struct mem_open *own,
				       short type)
{
	for (size_t i = 0; i < m->opens_size; i++) {
		const struct mem_open *o = m->opens[i];

		if (o && o != own && o->node == own->node && o->locked != F_UNLCK &&
		    (type == F_WRLCK || o->locked == F_WRLCK))
			return o;
	}
	return NULL;
}

static int set_lock(const struct fsu_mem *m, struct mem_open *o, short type)
{
	int mode = o->flags & O_ACCMODE;

	if ((type == F_WRLCK && mode == O_RDONLY) || (type == F_RDLCK && mode == O_WRONLY))
		return -EBADF;
	if (type != F_UNLCK && conflict(m, o, type))
		return -EAGAIN;
	o->locked = type;
	return 0;
}

int mem_lock(void *ctx, int fd, int command, struct flock *lock)
{
	struct fsu_mem *m = mem_enter(ctx);
	struct mem_open *o = mem_find_open(m, fd);
	int r = 0;

	assert(command == F_OFD_SETLK || command == F_OFD_GETLK);
	if (!o)
		r = -EBADF;
	else if (lock->l_pid != 0 || lock->l_whence != SEEK_SET || lock->l_start != 0 ||
		 lock->l_len != 0)
		r = -EINVAL; /* whole files are all that is asked for */
	else if (command == F_OFD_SETLK)
		r = set_lock(m, o, lock->l_type);
	else {
		const struct mem_open *other = conflict(m, o, lock->l_type);

		lock->l_type = F_UNLCK;
		if (other) {
			lock->l_type = other->locked;
			lock->l_pid = -1;
		}
	}
	mem_leave(m);
	return r;
}
