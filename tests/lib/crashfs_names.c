/*
 * The calls on names. A client with caches first asks itself, and only what it does not know to be
 * in vain goes to the server, who acts on the names as they are. A path that leads to something
 * stale is walked once more by the server's names, as the kernel does (retry_estale).
 */
#include "tests/lib/crashfs_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#define SILLY ".nfs"

/* Run `attempt`, an expression that uses `reval`, and once more when it met something stale. */
#define RETRY_STALE(cl, r, attempt)                     \
	do {                                            \
		bool reval = false;                     \
                                                        \
		(r) = (attempt);                        \
		if ((r) == -ESTALE && cfs_caches(cl)) { \
			reval = true;                   \
			(r) = (attempt);                \
		}                                       \
	} while (0)

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* A directory that names can be changed in. */
static int live_dir(struct cfs_client *cl, uint32_t ino, struct cfs_inode **ret_dir)
{
	struct cfs_inode *dir = cfs_inode_get(cl->c, ino);

	if (cfs_inode_gone(dir))
		return cfs_caches(cl) ? -ESTALE : -ENOENT;
	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	*ret_dir = dir;
	return 0;
}

/*
 * What the server has under a name that the client does not know to be absent. For a name that is
 * to be removed or moved: a negative lookup that is remembered answers without the server.
 */
static int find_for_change(struct cfs_client *cl, const struct cfs_place *place, bool reval,
			   struct cfs_inode **ret_dir, struct cfs_inode **ret_inode)
{
	struct cfs_inode *dir, *inode;
	uint32_t ino = CFS_NONE;
	int r;

	r = cfs_lookup(cl, place->dir, place->name, reval, &ino);
	if (r < 0)
		return r;
	r = live_dir(cl, place->dir, &dir);
	if (r < 0)
		return r;
	inode = cfs_inode_get(cl->c, cfs_find(cl->c, dir, place->name));
	if (!inode) {
		cfs_changed(cl, dir, place->name, CFS_NONE, dir->change);
		return -ENOENT;
	}
	if (place->must_dir && !S_ISDIR(inode->mode))
		return -ENOTDIR;
	*ret_dir = dir;
	*ret_inode = inode;
	return 0;
}

/* ---- openat ---- */

static int open_existing(struct cfs_client *cl, uint32_t ino, int flags, const char *path)
{
	struct cfs_inode *inode = cfs_inode_get(cl->c, ino);
	int access = flags & O_ACCMODE;
	int r;

	assert(inode);
	if ((flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if (S_ISDIR(inode->mode) && (access != O_RDONLY || (flags & O_CREAT)))
		return -EISDIR;
	if ((flags & O_DIRECTORY) && !S_ISDIR(inode->mode))
		return -ENOTDIR;
	if (S_ISLNK(inode->mode))
		return -ELOOP;
	if (S_ISFIFO(inode->mode) && access != O_RDWR) {
		if (!(flags & O_NONBLOCK))
			cfs_die(cl->c, "open of the FIFO '%s' without O_NONBLOCK hangs", path);
		if (access == O_WRONLY)
			return -ENXIO;
	}
	/* Close-to-open: the server is asked about a file, but not about a directory. */
	if (S_ISREG(inode->mode) && cfs_caches(cl)) {
		r = cfs_fetch(cl, ino);
		if (r < 0)
			return r;
	}
	if (S_ISREG(inode->mode) && (flags & O_TRUNC) && access != O_RDONLY) {
		inode->data.len = 0;
		inode->synced = false;
		inode->dropped = false;
		cl->c->changes++;
		cfs_touch(cl->c, inode, true);
	}
	return cfs_desc_open(cl, ino, flags, path);
}

static int open_attempt(struct cfs_client *cl, int dirfd, const char *path, int flags, mode_t mode,
			bool reval)
{
	bool follow = !(flags & O_NOFOLLOW) && !((flags & O_CREAT) && (flags & O_EXCL));
	struct cfs_place place = { 0 };
	struct cfs_inode *dir, *inode;
	uint64_t before;
	uint32_t ino = CFS_NONE;
	int r;

	r = cfs_place(cl, dirfd, path, reval, &place);
	if (r < 0)
		return r;
	/* Whoever may create does not believe that a name is absent: the server must say so. */
	r = cfs_resolve(cl, &place, follow, reval || (flags & O_CREAT), &ino);
	if (r == 0)
		return open_existing(cl, ino, flags, path);
	if (r != -ENOENT || !(flags & O_CREAT))
		return r;
	if (place.must_dir)
		return -EISDIR;
	r = live_dir(cl, place.dir, &dir);
	if (r < 0)
		return r;
	before = dir->change;
	inode = cfs_inode_create(cl->c, S_IFREG | (mode & 07777));
	cfs_add(cl->c, dir, place.name, inode);
	cfs_changed(cl, dir, place.name, inode->ino, before);
	return cfs_desc_open(cl, inode->ino, flags, path);
}

int cfs_openat(void *ctx, int dirfd, const char *path, int flags, mode_t mode)
{
	struct cfs_call call;
	int r = 0;

	cfs_begin(&call, ctx, CRASHFS_OPENAT, path, NULL, (flags & (O_CREAT | O_TRUNC)) != 0);
	if (call.verdict == CFS_FAIL)
		return (int)cfs_end(&call, -call.error);
	if ((flags & O_DIRECTORY) && (flags & O_CREAT))
		return (int)cfs_end(&call, -EINVAL);
	RETRY_STALE(call.cl, r, open_attempt(call.cl, dirfd, path, flags, mode, reval));
	/* A lost reply brings no descriptor. */
	if (r >= 0 && call.verdict == CFS_RUN_THEN_FAIL)
		cfs_desc_close(call.cl, r);
	return (int)cfs_end(&call, r);
}

/* ---- renameat ---- */

static bool is_below(const struct crashfs *c, const struct cfs_inode *dir, uint32_t ancestor)
{
	while (dir && dir->ino != CFS_ROOT && dir->ino != ancestor)
		dir = cfs_inode_get(c, dir->parent);
	return dir && dir->ino == ancestor;
}

static int may_replace(const struct cfs_inode *inode, const struct cfs_inode *over)
{
	if (S_ISDIR(over->mode) && !S_ISDIR(inode->mode))
		return -EISDIR;
	if (!S_ISDIR(over->mode) && S_ISDIR(inode->mode))
		return -ENOTDIR;
	if (S_ISDIR(over->mode) && over->entries.count > 0)
		return -ENOTEMPTY;
	return 0;
}

static int rename_attempt(struct cfs_client *cl, int from_dirfd, const char *from, int to_dirfd,
			  const char *to, bool reval)
{
	struct cfs_place from_place = { 0 }, to_place = { 0 };
	struct cfs_inode *from_dir, *to_dir, *inode, *over;
	uint64_t from_before, to_before;
	int r;

	r = cfs_place(cl, from_dirfd, from, reval, &from_place);
	if (r == 0)
		r = cfs_place(cl, to_dirfd, to, reval, &to_place);
	if (r < 0)
		return r;
	if (is_dots(from_place.name) || is_dots(to_place.name))
		return -EBUSY;
	r = find_for_change(cl, &from_place, reval, &from_dir, &inode);
	if (r < 0)
		return r;
	r = live_dir(cl, to_place.dir, &to_dir);
	if (r < 0)
		return r;
	if (to_place.must_dir && !S_ISDIR(inode->mode))
		return -ENOTDIR;
	if (S_ISDIR(inode->mode) && is_below(cl->c, to_dir, inode->ino))
		return -EINVAL;
	over = cfs_inode_get(cl->c, cfs_find(cl->c, to_dir, to_place.name));
	if (over == inode)
		return 0;
	r = over ? may_replace(inode, over) : 0;
	if (r < 0)
		return r;
	from_before = from_dir->change;
	to_before = to_dir->change;
	cfs_move(cl->c, from_dir, from_place.name, to_dir, to_place.name);
	cfs_changed(cl, from_dir, from_place.name, CFS_NONE, from_before);
	cfs_changed(cl, to_dir, to_place.name, inode->ino, to_before);
	return 0;
}

int cfs_renameat(void *ctx, int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	struct cfs_call call;
	int r = 0;

	cfs_begin(&call, ctx, CRASHFS_RENAMEAT, from, to, true);
	if (call.verdict == CFS_FAIL)
		return (int)cfs_end(&call, -call.error);
	RETRY_STALE(call.cl, r, rename_attempt(call.cl, from_dirfd, from, to_dirfd, to, reval));
	return (int)cfs_end(&call, r);
}

/* ---- unlinkat, mkdirat ---- */

void cfs_silly_name(const struct cfs_inode *inode, char name[CFS_NAME_MAX + 1])
{
	(void)snprintf(name, CFS_NAME_MAX + 1, SILLY "%016x", inode->ino);
}

/* nfs_sillyrename: a file that this client has open gets another name instead of none. */
static int silly_rename(struct cfs_client *cl, struct cfs_inode *dir, const char *name,
			struct cfs_inode *inode)
{
	char silly[CFS_NAME_MAX + 1];
	uint64_t before = dir->change;

	if (strncmp(name, SILLY, strlen(SILLY)) == 0)
		return -EBUSY;
	cfs_silly_name(inode, silly);
	cfs_move(cl->c, dir, name, dir, silly);
	inode->silly_dir = dir->ino;
	cfs_changed(cl, dir, name, CFS_NONE, before);
	cfs_changed(cl, dir, silly, inode->ino, before);
	return 0;
}

static int unlink_attempt(struct cfs_client *cl, int dirfd, const char *path, int flags, bool reval)
{
	struct cfs_place place = { 0 };
	struct cfs_inode *dir, *inode;
	uint64_t before;
	int r;

	r = cfs_place(cl, dirfd, path, reval, &place);
	if (r < 0)
		return r;
	if (is_dots(place.name))
		return flags & AT_REMOVEDIR ? -EINVAL : -EISDIR;
	r = find_for_change(cl, &place, reval, &dir, &inode);
	if (r < 0)
		return r;
	if (flags & AT_REMOVEDIR) {
		if (!S_ISDIR(inode->mode))
			return -ENOTDIR;
		if (inode->entries.count > 0)
			return -ENOTEMPTY;
	} else {
		if (S_ISDIR(inode->mode))
			return -EISDIR;
		if (cfs_caches(cl) && cfs_desc_any(cl, inode->ino))
			return silly_rename(cl, dir, place.name, inode);
	}
	before = dir->change;
	cfs_remove(cl->c, dir, place.name);
	cfs_changed(cl, dir, place.name, CFS_NONE, before);
	return 0;
}

int cfs_unlinkat(void *ctx, int dirfd, const char *path, int flags)
{
	struct cfs_call call;
	int r = 0;

	cfs_begin(&call, ctx, CRASHFS_UNLINKAT, path, NULL, true);
	if (call.verdict == CFS_FAIL)
		return (int)cfs_end(&call, -call.error);
	RETRY_STALE(call.cl, r, unlink_attempt(call.cl, dirfd, path, flags, reval));
	return (int)cfs_end(&call, r);
}

static int mkdir_attempt(struct cfs_client *cl, int dirfd, const char *path, mode_t mode,
			 bool reval)
{
	struct cfs_place place = { 0 };
	struct cfs_inode *dir, *inode;
	uint64_t before;
	int r;

	r = cfs_place(cl, dirfd, path, reval, &place);
	if (r < 0)
		return r;
	r = live_dir(cl, place.dir, &dir);
	if (r < 0)
		return r;
	if (is_dots(place.name) || cfs_find(cl->c, dir, place.name) != CFS_NONE)
		return -EEXIST;
	before = dir->change;
	inode = cfs_inode_create(cl->c, S_IFDIR | (mode & 07777));
	cfs_add(cl->c, dir, place.name, inode);
	cfs_changed(cl, dir, place.name, inode->ino, before);
	return 0;
}

int cfs_mkdirat(void *ctx, int dirfd, const char *path, mode_t mode)
{
	struct cfs_call call;
	int r = 0;

	cfs_begin(&call, ctx, CRASHFS_MKDIRAT, path, NULL, true);
	if (call.verdict == CFS_FAIL)
		return (int)cfs_end(&call, -call.error);
	RETRY_STALE(call.cl, r, mkdir_attempt(call.cl, dirfd, path, mode, reval));
	return (int)cfs_end(&call, r);
}

/* ---- statx ---- */

static struct statx_timestamp to_timestamp(int64_t ns)
{
	return (struct statx_timestamp){
		.tv_sec = ns / FSU_NS_PER_S,
		.tv_nsec = (uint32_t)(ns % FSU_NS_PER_S),
	};
}

static int stat_attempt(struct cfs_client *cl, int dirfd, const char *path, int flags, bool reval,
			uint32_t *ret_ino, struct cfs_attr *ret_attr)
{
	struct cfs_place place = { 0 };
	struct cfs_desc *desc;
	uint32_t ino = CFS_ROOT;
	int r = 0;

	if (path[0] == '\0' && (flags & AT_EMPTY_PATH)) {
		if (dirfd != AT_FDCWD) {
			r = cfs_desc_check(cl, dirfd, &desc);
			if (r < 0)
				return r;
			ino = desc->ino;
		}
	} else {
		r = cfs_place(cl, dirfd, path, reval, &place);
		if (r == 0)
			r = cfs_resolve(cl, &place, !(flags & AT_SYMLINK_NOFOLLOW), reval, &ino);
		if (r < 0)
			return r;
	}
	*ret_ino = ino;
	if (!cfs_caches(cl)) {
		*ret_attr = cfs_inode_attr(cfs_inode_get(cl->c, ino));
		return 0;
	}
	r = flags & AT_STATX_FORCE_SYNC ? cfs_fetch(cl, ino) : cfs_revalidate(cl, ino);
	*ret_attr = cfs_node(cl, ino)->attr;
	return r;
}

int cfs_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
	      struct statx *ret_stat)
{
	struct cfs_attr attr = { 0 };
	struct cfs_call call;
	uint32_t ino = CFS_NONE;
	int r = 0;

	(void)mask; /* a filesystem may tell more than it was asked for */
	cfs_begin(&call, ctx, CRASHFS_STATX, path, NULL, false);
	if (call.verdict == CFS_FAIL)
		return (int)cfs_end(&call, -call.error);
	RETRY_STALE(call.cl, r, stat_attempt(call.cl, dirfd, path, flags, reval, &ino, &attr));
	if (r == 0) {
		*ret_stat = (struct statx){
			.stx_mask = STATX_BASIC_STATS,
			.stx_blksize = 4096,
			.stx_nlink = attr.links,
			.stx_mode = (uint16_t)attr.mode,
			.stx_ino = ino,
			.stx_size = attr.size,
			.stx_blocks = (attr.size + 511) / 512,
			.stx_atime = to_timestamp(attr.mtime_ns),
			.stx_ctime = to_timestamp(attr.ctime_ns),
			.stx_mtime = to_timestamp(attr.mtime_ns),
			.stx_dev_major = cfs_dev_major(call.cl->c),
			.stx_dev_minor = cfs_dev_minor(call.cl->c),
		};
	}
	return (int)cfs_end(&call, r);
}
