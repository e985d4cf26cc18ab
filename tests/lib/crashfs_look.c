/*
 * What a test sees and does on the server itself: no client, no cache, no count, no fault. What it
 * does is durable at once.
 */
#include "tests/lib/crashfs_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NULL when there is none. Links are not followed. */
static struct cfs_inode *find(const struct crashfs *c, const char *path)
{
	struct cfs_inode *inode = cfs_inode_get(c, CFS_ROOT);
	char name[CFS_NAME_MAX + 1];

	while (inode) {
		size_t len;

		while (*path == '/')
			path++;
		if (!*path)
			return inode;
		len = strcspn(path, "/");
		if (len > CFS_NAME_MAX || !S_ISDIR(inode->mode))
			return NULL;
		(void)snprintf(name, sizeof(name), "%.*s", (int)len, path);
		path += len;
		if (strcmp(name, ".") != 0)
			inode = cfs_inode_get(c, cfs_find(c, inode, name));
	}
	return NULL;
}

/* The directory that `path` lies in, made if it is missing; the last component. */
static struct cfs_inode *make_parent(struct crashfs *c, const char *path, char *ret_name)
{
	struct cfs_inode *dir = cfs_inode_get(c, CFS_ROOT);

	for (;;) {
		struct cfs_inode *child;
		size_t len;

		while (*path == '/')
			path++;
		len = strcspn(path, "/");
		if (len == 0 || len > CFS_NAME_MAX)
			cfs_die(c, "no name for a file: '%s'", path);
		(void)snprintf(ret_name, CFS_NAME_MAX + 1, "%.*s", (int)len, path);
		path += len;
		if (path[strspn(path, "/")] == '\0')
			return dir;
		child = cfs_inode_get(c, cfs_find(c, dir, ret_name));
		if (!child) {
			child = cfs_inode_create(c, S_IFDIR | 0700);
			cfs_add(c, dir, ret_name, child);
			cfs_journal_sync_last(c);
		}
		if (!S_ISDIR(child->mode))
			cfs_die(c, "'%s' is no directory", ret_name);
		dir = child;
	}
}

static void remove_tree(struct crashfs *c, struct cfs_inode *dir, const char *name)
{
	struct cfs_inode *inode = cfs_inode_get(c, cfs_find(c, dir, name));

	assert(inode);
	while (S_ISDIR(inode->mode) && inode->entries.count > 0) {
		char *child = cfs_xstrdup(inode->entries.at[0].name);

		remove_tree(c, inode, child);
		free(child);
	}
	cfs_remove(c, dir, name);
	cfs_journal_sync_last(c);
}

/* A fresh inode in place of whatever is there. */
static struct cfs_inode *make(struct crashfs *c, const char *path, mode_t mode)
{
	char name[CFS_NAME_MAX + 1];
	struct cfs_inode *dir = make_parent(c, path, name);
	struct cfs_inode *inode;

	if (cfs_find(c, dir, name) != CFS_NONE)
		remove_tree(c, dir, name);
	inode = cfs_inode_create(c, mode);
	cfs_add(c, dir, name, inode);
	cfs_journal_sync_last(c);
	return inode;
}

bool crashfs_exists(const struct crashfs *c, const char *path)
{
	return find(c, path) != NULL;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *crashfs_ls(struct crashfs *c, const char *path)
{
	const struct cfs_inode *dir = find(c, path);
	const char **names;
	size_t n, size = 1;
	char *at;

	if (!dir || !S_ISDIR(dir->mode))
		return NULL;
	n = dir->entries.count;
	names = cfs_xalloc(n * sizeof(*names));
	for (size_t i = 0; i < n; i++) {
		names[i] = dir->entries.at[i].name;
		size += strlen(names[i]) + 1;
	}
	qsort(names, n, sizeof(*names), compare_names);
	free(c->ls_text);
	c->ls_text = at = cfs_xalloc(size);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			*at++ = '\n';
		at = stpcpy(at, names[i]);
	}
	free(names);
	return c->ls_text;
}

const uint8_t *crashfs_cat(struct crashfs *c, const char *path, size_t *ret_len)
{
	static const uint8_t nothing[1];
	const struct cfs_inode *inode = find(c, path);

	if (!inode || !S_ISREG(inode->mode))
		return NULL;
	*ret_len = inode->data.len;
	return inode->data.data ? inode->data.data : nothing;
}

void crashfs_put(struct crashfs *c, const char *path, const void *data, size_t len)
{
	struct cfs_inode *inode = find(c, path);

	/* In place when it is a file, so that who has it open sees the damage. */
	if (!inode || !S_ISREG(inode->mode))
		inode = make(c, path, S_IFREG | 0600);
	cfs_bytes_set(&inode->data, data, len);
	cfs_bytes_set(&inode->durable, data, len);
	inode->synced = true;
	inode->dropped = false;
	cfs_touch(c, inode, true);
}

void crashfs_rm(struct crashfs *c, const char *path)
{
	char name[CFS_NAME_MAX + 1];
	struct cfs_inode *dir;

	if (!find(c, path))
		return;
	dir = make_parent(c, path, name);
	remove_tree(c, dir, name);
}

void crashfs_mkfifo(struct crashfs *c, const char *path)
{
	(void)make(c, path, S_IFIFO | 0600);
}

void crashfs_symlink(struct crashfs *c, const char *path, const char *target)
{
	make(c, path, S_IFLNK | 0777)->target = cfs_xstrdup(target);
}
