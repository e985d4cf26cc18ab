/* uthash gets its memory from the base table: every function that adds has a `tree` in scope. */
#define uthash_malloc(size) fsu_alloc(tree->base, size)
#define uthash_free(ptr, size) fsu_release(tree->base, ptr)
#define HASH_NONFATAL_OOM 1
#include "fsutil/fsu_mem_tree.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>

/* ---- nodes ---- */

static struct mem_node *make_node(struct mem_tree *tree, bool is_dir, mode_t mode)
{
	struct mem_node *node = fsu_alloc(tree->base, sizeof(*node));

	if (!node)
		return NULL;
	node->refs = 1;
	node->is_dir = is_dir;
	node->mode = mode & 07777;
	node->ino = ++tree->last_ino;
	mem_node_touch(tree, node);
	return node;
}

void mem_node_ref(struct mem_node *node)
{
	node->refs++;
}

void mem_node_unref(const struct mem_tree *tree, struct mem_node *node)
{
	/* Up the tree, not down it: a directory is removed when it is empty. */
	while (node && --node->refs == 0) {
		struct mem_node *parent = node->parent;

		assert(!node->entries);
		fsu_release(tree->base, node->data);
		fsu_release(tree->base, node);
		node = parent;
	}
}

void mem_node_touch(struct mem_tree *tree, struct mem_node *node)
{
	/* A time of whole seconds would look like that of a filesystem which knows no others. */
	if (++tree->changes % FSU_NS_PER_S == 0)
		tree->changes++;
	node->mtime = node->ctime = tree->changes;
}

static void touch_status(struct mem_tree *tree, struct mem_node *node)
{
	uint64_t mtime = node->mtime;

	mem_node_touch(tree, node);
	node->mtime = mtime;
}

static void tell_watches(struct mem_tree *tree, const struct mem_node *node, uint32_t event)
{
	for (const struct mem_watch *w = tree->watches; w; w = w->next)
		if (w->node == node && (w->mask & event))
			tree->tell(tree, w->notify_fd);
}

void mem_node_event(struct mem_tree *tree, struct mem_node *node, uint32_t event)
{
	tell_watches(tree, node, event);
	if (node->parent && !node->removed)
		tell_watches(tree, node->parent, event);
}

int mem_tree_init(struct mem_tree *tree, const struct fsu *base)
{
	tree->base = base;
	tree->root = make_node(tree, true, 0700);
	return tree->root ? 0 : -ENOMEM;
}

/* ---- entries ---- */

static struct mem_entry *find(const struct mem_node *dir, const char *name)
{
	struct mem_entry *e;

	HASH_FIND_STR(dir->entries, name, e);
	return e;
}

/* Into `dir`, which gets no reference by that: the node keeps one on `dir`. */
static int add_entry(struct mem_tree *tree, struct mem_node *dir, const char *name,
		     struct mem_node *node)
{
	struct mem_entry *e = fsu_alloc(tree->base, sizeof(*e) + strlen(name) + 1);

	if (!e)
		return -ENOMEM;
	strcpy(e->name, name);
	e->node = node;
	e->cookie = ++dir->cookie;
	HASH_ADD_STR(dir->entries, name, e);
	if (!e->hh.tbl) {
		fsu_release(tree->base, e);
		return -ENOMEM;
	}
	dir->subdirs += node->is_dir;
	mem_node_touch(tree, dir);
	return 0;
}

/* Out of its directory, without letting go of the node. */
static void drop_entry(struct mem_tree *tree, struct mem_entry *e)
{
	struct mem_node *dir = e->node->parent;

	dir->subdirs -= e->node->is_dir;
	HASH_DEL(dir->entries, e);
	fsu_release(tree->base, e);
	mem_node_touch(tree, dir);
}

/* Out of its directory and out of the tree. */
static void remove_entry(struct mem_tree *tree, struct mem_entry *e)
{
	struct mem_node *node = e->node;

	drop_entry(tree, e);
	node->removed = true;
	touch_status(tree, node);
	tell_watches(tree, node, IN_DELETE_SELF);
	mem_node_unref(tree, node);
}

void mem_tree_done(struct mem_tree *tree)
{
	struct mem_node *dir = tree->root;

	/* Depth first, without recursion: down into the first entry, up when there is none. */
	while (dir) {
		struct mem_entry *e = dir->entries;

		if (e && e->node->is_dir && e->node->entries) {
			dir = e->node;
		} else if (e) {
			remove_entry(tree, e);
		} else if (dir == tree->root) {
			break;
		} else {
			dir = dir->parent;
		}
	}
	mem_node_unref(tree, tree->root);
	tree->root = NULL;
}

/* ---- paths ---- */

static struct mem_node *step(const struct mem_tree *tree, struct mem_node *dir, const char *name,
			     struct mem_entry **ret_entry)
{
	*ret_entry = NULL;
	if (strcmp(name, ".") == 0)
		return dir;
	if (strcmp(name, "..") == 0)
		return dir == tree->root ? dir : dir->parent;
	*ret_entry = find(dir, name);
	return *ret_entry ? (*ret_entry)->node : NULL;
}

int mem_walk(const struct mem_tree *tree, struct mem_node *start, const char *path,
	     struct mem_place *ret_place)
{
	struct mem_place p = { .node = path[0] == '/' ? tree->root : start };

	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	if (!path[0])
		return -ENOENT;
	path += strspn(path, "/");
	while (*path) {
		size_t len = strcspn(path, "/");

		if (p.too_long)
			return -ENAMETOOLONG;
		if (!p.node)
			return -ENOENT;
		if (!p.node->is_dir)
			return -ENOTDIR;
		p.parent = p.node;
		/* Nothing is looked up in a directory that is gone. */
		p.too_long = len > NAME_MAX && !p.parent->removed;
		memcpy(p.last, path, len > NAME_MAX ? 0 : len);
		p.last[len > NAME_MAX ? 0 : len] = '\0';
		path += len;
		p.slash = *path == '/';
		path += strspn(path, "/");
		p.plain = strcmp(p.last, ".") != 0 && strcmp(p.last, "..") != 0;
		p.node = step(tree, p.parent, p.last, &p.entry);
	}
	*ret_place = p;
	return 0;
}

/* ---- changes ---- */

int mem_make(struct mem_tree *tree, const struct mem_place *place, bool is_dir, mode_t mode,
	     struct mem_node **ret_node)
{
	struct mem_node *node;
	int r;

	assert(place->plain && !place->node);
	if (place->parent->removed)
		return -ENOENT;
	node = make_node(tree, is_dir, mode);
	if (!node)
		return -ENOMEM;
	node->parent = place->parent;
	mem_node_ref(place->parent);
	r = add_entry(tree, place->parent, place->last, node);
	if (r < 0) {
		mem_node_unref(tree, node);
		return r;
	}
	tell_watches(tree, place->parent, IN_CREATE);
	*ret_node = node;
	return 0;
}

int mem_unlink(struct mem_tree *tree, const struct mem_place *place)
{
	if (!place->plain)
		return -EISDIR;
	if (!place->node)
		return -ENOENT;
	if (place->node->is_dir)
		return -EISDIR;
	if (place->slash)
		return -ENOTDIR;
	tell_watches(tree, place->parent, IN_DELETE);
	remove_entry(tree, place->entry);
	return 0;
}

int mem_rmdir(struct mem_tree *tree, const struct mem_place *place)
{
	if (!place->parent)
		return -EBUSY; /* the root */
	if (!place->plain)
		return strcmp(place->last, ".") == 0 ? -EINVAL : -ENOTEMPTY;
	if (!place->node)
		return -ENOENT;
	if (!place->node->is_dir)
		return -ENOTDIR;
	if (place->node->entries)
		return -ENOTEMPTY;
	tell_watches(tree, place->parent, IN_DELETE);
	remove_entry(tree, place->entry);
	return 0;
}

static bool is_within(const struct mem_node *node, const struct mem_node *dir)
{
	while (node && node != dir)
		node = node->parent;
	return node != NULL;
}

/* The order of the answers is that of the kernel's (fs/namei.c, do_renameat2 and vfs_rename). */
static int check_rename(const struct mem_place *from, const struct mem_place *to)
{
	if (!from->parent || !from->plain || !to->parent || !to->plain)
		return -EBUSY;
	if (from->too_long)
		return -ENAMETOOLONG;
	if (!from->node)
		return -ENOENT;
	if (to->too_long)
		return -ENAMETOOLONG;
	if (to->parent->removed)
		return -ENOENT;
	if (!from->node->is_dir && (from->slash || to->slash))
		return -ENOTDIR;
	if (from->node->is_dir && is_within(to->parent, from->node))
		return -EINVAL;
	if (to->node && to->node->is_dir && is_within(from->parent, to->node))
		return -ENOTEMPTY;
	if (from->node == to->node)
		return 0;
	if (to->node && from->node->is_dir && !to->node->is_dir)
		return -ENOTDIR;
	if (to->node && !from->node->is_dir && to->node->is_dir)
		return -EISDIR;
	if (to->node && to->node->entries)
		return -ENOTEMPTY;
	return 0;
}

int mem_rename(struct mem_tree *tree, const struct mem_place *from, const struct mem_place *to)
{
	int r = check_rename(from, to);
	struct mem_node *node = from->node;

	if (r < 0 || from->node == to->node)
		return r;
	if (to->entry) {
		/* Its entry becomes ours: that cannot fail, and the name is never missing. */
		struct mem_node *replaced = to->node;

		to->entry->node = node;
		mem_node_touch(tree, to->parent);
		replaced->removed = true;
		touch_status(tree, replaced);
		tell_watches(tree, replaced, IN_DELETE_SELF);
		mem_node_unref(tree, replaced);
	} else {
		r = add_entry(tree, to->parent, to->last, node);
		if (r < 0)
			return r;
	}
	tell_watches(tree, from->parent, IN_MOVED_FROM);
	drop_entry(tree, from->entry); /* of the old parent still */
	mem_node_ref(to->parent);
	mem_node_unref(tree, node->parent);
	node->parent = to->parent;
	touch_status(tree, node);
	tell_watches(tree, to->parent, IN_MOVED_TO);
	tell_watches(tree, node, IN_MOVE_SELF);
	return 0;
}
