/* From paths to inodes, as path_resolution(7) says, through what the client remembers. */
#include "tests/lib/crashfs_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define LINKS_MAX 40

/* A component in front: its length, and where the next one begins. */
static const char *next_component(const char *path, size_t *ret_len)
{
	*ret_len = strcspn(path, "/");
	path += *ret_len;
	while (*path == '/')
		path++;
	return path;
}

static int lookup_any(struct cfs_client *cl, uint32_t dir, const char *name, bool reval,
		      uint32_t *ret_ino)
{
	const struct cfs_inode *inode = cfs_inode_get(cl->c, dir);

	if (!inode)
		return -ESTALE;
	if (!S_ISDIR(inode->mode))
		return -ENOTDIR;
	if (strcmp(name, ".") == 0) {
		*ret_ino = dir;
		return 0;
	}
	if (strcmp(name, "..") == 0) {
		*ret_ino = inode->parent;
		return 0;
	}
	return cfs_lookup(cl, dir, name, reval, ret_ino);
}

static int walk(struct cfs_client *cl, uint32_t start, const char *path, bool reval,
		unsigned *links_left, struct cfs_place *ret_place);

/* Replace a link by what it points to. */
static int follow_link(struct cfs_client *cl, struct cfs_place *place, const char *target,
		       bool reval, unsigned *links_left)
{
	bool must_dir = place->must_dir;
	int r;

	if ((*links_left)-- == 0)
		return -ELOOP;
	r = walk(cl, target[0] == '/' ? CFS_ROOT : place->dir, target, reval, links_left, place);
	if (r < 0)
		return r;
	place->must_dir |= must_dir;
	return 0;
}

/* The inode at a place; links in it are followed when `follow`. */
static int at_place(struct cfs_client *cl, struct cfs_place *place, bool follow, bool reval,
		    unsigned *links_left, uint32_t *ret_ino)
{
	const struct cfs_inode *inode;
	uint32_t ino = CFS_NONE;
	int r;

	for (;;) {
		r = lookup_any(cl, place->dir, place->name, reval, &ino);
		if (r < 0)
			return r;
		inode = cfs_inode_get(cl->c, ino);
		if (!inode)
			return -ESTALE;
		if (!S_ISLNK(inode->mode) || !(follow || place->must_dir))
			break;
		r = follow_link(cl, place, inode->target, reval, links_left);
		if (r < 0)
			return r;
	}
	if (place->must_dir && !S_ISDIR(inode->mode))
		return -ENOTDIR;
	*ret_ino = ino;
	return 0;
}

static int walk(struct cfs_client *cl, uint32_t start, const char *path, bool reval,
		unsigned *links_left, struct cfs_place *ret_place)
{
	struct cfs_place place = { .dir = start };
	size_t len;

	while (*path == '/')
		path++;
	for (;;) {
		const char *next = next_component(path, &len);
		int r;

		if (len > CFS_NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(place.name, path, len);
		place.name[len] = '\0';
		if (len == 0) /* the path of the root */
			memcpy(place.name, ".", sizeof("."));
		if (*next == '\0') {
			place.must_dir = len > 0 && path[len] == '/';
			break;
		}
		r = at_place(cl, &place, true, reval, links_left, &place.dir);
		if (r < 0)
			return r;
		place.must_dir = false;
		path = next;
	}
	*ret_place = place;
	return 0;
}

int cfs_place(struct cfs_client *cl, int dirfd, const char *path, bool reval,
	      struct cfs_place *ret_place)
{
	unsigned links_left = LINKS_MAX;
	uint32_t start = CFS_ROOT;
	struct cfs_desc *desc;
	int r;

	if (path[0] == '\0')
		return -ENOENT;
	if (strlen(path) >= CFS_PATH_MAX)
		return -ENAMETOOLONG;
	if (path[0] != '/' && dirfd != AT_FDCWD) {
		r = cfs_desc_check(cl, dirfd, &desc);
		if (r < 0)
			return r;
		start = desc->ino;
	}
	return walk(cl, start, path, reval, &links_left, ret_place);
}

int cfs_resolve(struct cfs_client *cl, struct cfs_place *place, bool follow, bool reval,
		uint32_t *ret_ino)
{
	unsigned links_left = LINKS_MAX;

	return at_place(cl, place, follow, reval, &links_left, ret_ino);
}
