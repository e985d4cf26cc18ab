/*
 * Inside fsu_mem.c: the tree of directories and files, paths, and what inotify would tell of a
 * change. Everything here is called under the mutex of the filesystem.
 */
#ifndef FSU_MEM_TREE_H
#define FSU_MEM_TREE_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>
#include <uthash.h>

#include "fsutil/fsu_ops.h"

/* A file or directory. Counted: its entry, its open descriptions and watches, its children. */
struct mem_node {
	unsigned refs;
	bool is_dir;
	bool removed; /* it has no entry any more */
	mode_t mode;  /* without the type */
	uint64_t ino;
	uint64_t mtime, ctime;   /* of the counter in struct mem_tree */
	struct mem_node *parent; /* a reference; the last one when removed. NULL: the root */
	/* A directory: */
	struct mem_entry *entries; /* in the order in which they were made */
	uint64_t cookie;           /* of the newest entry */
	unsigned subdirs;
	/* A file: */
	uint8_t *data;
	size_t size, capacity;
};

struct mem_entry {
	UT_hash_handle hh;
	struct mem_node *node;
	uint64_t cookie; /* where a listing goes on */
	char name[];
};

/* Who is told of changes to a node. */
struct mem_watch {
	struct mem_watch *next;
	struct mem_node *node; /* a reference */
	uint32_t mask;
	int id;
	int notify_fd;
};

struct mem_tree {
	const struct fsu *base;
	struct mem_node *root;
	struct mem_watch *watches;
	uint64_t last_ino, changes;
	/* A watch of `notify_fd` has something to tell. */
	void (*tell)(struct mem_tree *tree, int notify_fd);
};

int mem_tree_init(struct mem_tree *tree, const struct fsu *base);
void mem_tree_done(struct mem_tree *tree);

void mem_node_ref(struct mem_node *node);
void mem_node_unref(const struct mem_tree *tree, struct mem_node *node);
/* Its content or its entries have changed. */
void mem_node_touch(struct mem_tree *tree, struct mem_node *node);
/* Tell the watches of the node and of the directory that it is in. */
void mem_node_event(struct mem_tree *tree, struct mem_node *node, uint32_t event);

/* What a path leads to. */
struct mem_place {
	struct mem_node *parent; /* the directory of the last component; NULL: the root itself */
	char last[NAME_MAX + 1]; /* the last component */
	bool plain;              /* it is a name, not "." or ".." */
	bool slash;              /* something stood behind it */
	bool too_long;           /* for a name */
	struct mem_node *node;   /* what is there; NULL: nothing */
	struct mem_entry *entry; /* its entry, when it is plain */
};
/* Walk from `start`. Nothing is referenced. -ENOENT only when a directory on the way is missing. */
int mem_walk(const struct mem_tree *tree, struct mem_node *start, const char *path,
	     struct mem_place *ret_place);

/* Make a new file or directory where mem_walk found none. -ENOENT in a directory that is gone. */
int mem_make(struct mem_tree *tree, const struct mem_place *place, bool is_dir, mode_t mode,
	     struct mem_node **ret_node);
int mem_unlink(struct mem_tree *tree, const struct mem_place *place);
int mem_rmdir(struct mem_tree *tree, const struct mem_place *place);
int mem_rename(struct mem_tree *tree, const struct mem_place *from, const struct mem_place *to);

#endif
