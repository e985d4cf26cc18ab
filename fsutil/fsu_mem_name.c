#include <errno.h>
#include <string.h>

#include "fsutil/fsu_mem_open.h"

#define DENT_NAME 19 /* where the name begins in struct linux_dirent64 */

/* ---- names ---- */

int mem_renameat(void *ctx, int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	struct fsu_mem *m = mem_enter(ctx);
	struct mem_place old, new;
	int r;

	r = mem_walk_at(m, from_dirfd, from, &old);
	if (r == 0)
		r = mem_walk_at(m, to_dirfd, to, &new);
	if (r == 0)
		r = mem_rename(&m->tree, &old, &new);
	mem_leave(m);
	return r;
}

int mem_unlinkat(void *ctx, int dirfd, const char *path, int flags)
{
	struct fsu_mem *m = mem_enter(ctx);
	struct mem_place place;
	int r;

	r = flags & ~AT_REMOVEDIR ? -EINVAL : mem_look_at(m, dirfd, path, &place);
	if (r == 0)
		r = flags & AT_REMOVEDIR ? mem_rmdir(&m->tree, &place) :
					   mem_unlink(&m->tree, &place);
	mem_leave(m);
	return r;
}

int mem_mkdirat(void *ctx, int dirfd, const char *path, mode_t mode)
{
	struct fsu_mem *m = mem_enter(ctx);
	struct mem_place place;
	struct mem_node *node;
	int r;

	r = mem_look_at(m, dirfd, path, &place);
	if (r == 0 && (!place.parent || !place.plain || place.node))
		r = -EEXIST;
	if (r == 0)
		r = mem_make(&m->tree, &place, true, mode, &node);
	mem_leave(m);
	return r;
}

static struct statx_timestamp to_time(uint64_t changes)
{
	return (struct statx_timestamp){ .tv_sec = (int64_t)(changes / FSU_NS_PER_S),
					 .tv_nsec = (uint32_t)(changes % FSU_NS_PER_S) };
}

static void fill_stat(const struct mem_node *node, struct statx *ret_stat)
{
	*ret_stat = (struct statx){
		.stx_mask = STATX_BASIC_STATS,
		.stx_blksize = 4096,
		.stx_nlink = node->removed ? 0 :
			     node->is_dir  ? 2 + node->subdirs :
					     1,
		.stx_mode = (uint16_t)((node->is_dir ? S_IFDIR : S_IFREG) | node->mode),
		.stx_ino = node->ino,
		.stx_size = node->is_dir ? HASH_COUNT(node->entries) : node->size,
		.stx_blocks = (node->size + 511) / 512,
		.stx_atime = to_time(node->mtime),
		.stx_mtime = to_time(node->mtime),
		.stx_ctime = to_time(node->ctime),
		.stx_dev_minor = MEM_DEVICE_MINOR,
	};
}

int mem_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
	      struct statx *ret_stat)
{
	struct fsu_mem *m = mem_enter(ctx);
	const struct mem_open *o = mem_find_open(m, dirfd);
	struct mem_place place = { .node = NULL };
	int r = 0;

	(void)mask;
	if (!path[0] && (flags & AT_EMPTY_PATH)) {
		if (!o && dirfd != AT_FDCWD)
			r = -EBADF;
		place.node = o ? o->node : m->tree.root;
	} else {
		r = mem_look_at(m, dirfd, path, &place);
		if (r == 0 && place.node && place.slash && !place.node->is_dir)
			r = -ENOTDIR;
	}
	if (r == 0 && !place.node)
		r = -ENOENT;
	if (r == 0 && place.node)
		fill_stat(place.node, ret_stat);
	mem_leave(m);
	return r;
}

/* One entry at buf[used]; the bytes that it took, or 0 when it does not fit. */
static size_t put_dent(char *buf, size_t used, size_t len, const struct mem_node *node,
		       const char *name, uint64_t cookie)
{
	size_t name_len = strlen(name) + 1;
	uint16_t size = (uint16_t)((DENT_NAME + name_len + 7) & ~(size_t)7);
	char *at = buf + used;

	if (len - used < size)
		return 0;
	memset(at, 0, size);
	memcpy(at, &node->ino, 8);
	memcpy(at + 8, &cookie, 8);
	memcpy(at + 16, &size, 2);
	at[18] = node->is_dir ? 4 : 8; /* DT_DIR, DT_REG */
	memcpy(at + DENT_NAME, name, name_len);
	return size;
}

/* The position counts "." as 1, ".." as 2, and entries by their cookie from 3 on. */
static ssize_t list(const struct mem_tree *tree, struct mem_open *o, char *buf, size_t len)
{
	const struct mem_node *dir = o->node;
	const struct mem_node *up = dir == tree->root ? dir : dir->parent;
	const struct mem_entry *e = dir->entries;
	size_t used = 0, n = 1;

	while (n > 0 && o->offset < 2) {
		n = put_dent(buf, used, len, o->offset ? up : dir, o->offset ? ".." : ".",
			     o->offset + 1);
		used += n;
		o->offset += n > 0;
	}
	for (; n > 0 && e; e = e->hh.next) {
		if (e->cookie + 2 <= o->offset)
			continue;
		n = put_dent(buf, used, len, e->node, e->name, e->cookie + 2);
		used += n;
		if (n > 0)
			o->offset = e->cookie + 2;
	}
	return n == 0 && used == 0 ? -EINVAL : (ssize_t)used;
}

ssize_t mem_getdents(void *ctx, int fd, void *buf, size_t len)
{
	struct fsu_mem *m = mem_enter(ctx);
	struct mem_open *o = mem_find_open(m, fd);
	ssize_t n;

	if (!o)
		n = -EBADF;
	else if (!o->node->is_dir)
		n = -ENOTDIR;
	else if (o->node->removed)
		n = -ENOENT;
	else
		n = list(&m->tree, o, buf, len);
	mem_leave(m);
	return n;
}

int mem_rewind(void *ctx, int fd)
{
	struct fsu_mem *m = mem_enter(ctx);
	struct mem_open *o = mem_find_open(m, fd);

	if (o)
		o->offset = 0;
	mem_leave(m);
	return o ? 0 : -EBADF;
}
