/*
 * Inodes and sets of entries, and how the server changes them. Nothing here knows of clients but
 * the sweep, which leaves what their descriptors hold.
 */
#include "tests/lib/crashfs_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* How many new inodes make a look for dead ones worth while. */
#define SWEEP_INTERVAL 4096

uint64_t cfs_hash(const struct crashfs *c, const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ c->options.seed;

	for (const char *p = name; *p; p++)
		hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	/* Positive as an off_t; 0 to 3 are positions before the first name. */
	return cfs_draw(&hash) >> 2 | 4;
}

/* Index of the first entry whose hash is not below. */
static size_t lower_bound(const struct cfs_entries *entries, uint64_t hash)
{
	size_t low = 0, high = entries->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entries->at[middle].hash < hash)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct cfs_entry *cfs_entries_find(const struct cfs_entries *entries, uint64_t hash)
{
	size_t i = lower_bound(entries, hash);

	return i < entries->count && entries->at[i].hash == hash ? &entries->at[i] : NULL;
}

size_t cfs_entries_after(const struct cfs_entries *entries, uint64_t hash)
{
	return lower_bound(entries, hash + 1);
}

void cfs_entries_set(struct cfs_entries *entries, uint64_t hash, const char *name, uint32_t ino)
{
	size_t i = lower_bound(entries, hash);
	void *at = entries->at;

	if (i < entries->count && entries->at[i].hash == hash) {
		/* 62 bits: two names with one hash would be a wonder, but never go unseen. */
		assert(strcmp(entries->at[i].name, name) == 0);
		entries->at[i].ino = ino;
		return;
	}
	cfs_reserve(&at, &entries->size, entries->count + 1, sizeof(*entries->at));
	entries->at = at;
	memmove(&entries->at[i + 1], &entries->at[i], (entries->count - i) * sizeof(*entries->at));
	entries->at[i] = (struct cfs_entry){ .hash = hash, .name = cfs_xstrdup(name), .ino = ino };
	entries->count++;
}

void cfs_entries_remove(struct cfs_entries *entries, uint64_t hash)
{
	size_t i = lower_bound(entries, hash);

	if (i == entries->count || entries->at[i].hash != hash)
		return;
	free(entries->at[i].name);
	entries->count--;
	memmove(&entries->at[i], &entries->at[i + 1], (entries->count - i) * sizeof(*entries->at));
}

void cfs_entries_clear(struct cfs_entries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		free(entries->at[i].name);
	free(entries->at);
	*entries = (struct cfs_entries){ 0 };
}

void cfs_entries_copy(struct cfs_entries *to, const struct cfs_entries *from)
{
	assert(to != from);
	cfs_entries_clear(to);
	if (from->count == 0)
		return;
	to->at = cfs_xalloc(from->count * sizeof(*to->at));
	to->count = to->size = from->count;
	for (size_t i = 0; i < from->count; i++) {
		to->at[i] = from->at[i];
		to->at[i].name = cfs_xstrdup(from->at[i].name);
	}
}

struct cfs_inode *cfs_inode_create(struct crashfs *c, mode_t mode)
{
	struct cfs_inode *inode = cfs_xalloc(sizeof(*inode));
	void *inodes;

	if (c->n_inodes >= c->sweep_at) {
		cfs_sweep(c);
		c->sweep_at = c->n_inodes + SWEEP_INTERVAL;
	}
	inodes = c->inodes;
	cfs_reserve(&inodes, &c->inodes_size, c->n_inodes + 1, sizeof(struct cfs_inode *));
	c->inodes = inodes;
	inode->ino = (uint32_t)c->n_inodes;
	inode->mode = mode;
	inode->synced = true;
	c->inodes[c->n_inodes++] = inode;
	cfs_touch(c, inode, true);
	return inode;
}

void cfs_inode_destroy(struct cfs_inode *inode)
{
	if (!inode)
		return;
	cfs_entries_clear(&inode->entries);
	cfs_entries_clear(&inode->base);
	free(inode->data.data);
	free(inode->durable.data);
	free(inode->target);
	free(inode);
}

struct cfs_inode *cfs_inode_get(const struct crashfs *c, uint32_t ino)
{
	return ino < c->n_inodes ? c->inodes[ino] : NULL;
}

bool cfs_inode_gone(const struct cfs_inode *inode)
{
	if (!inode)
		return true;
	return S_ISDIR(inode->mode) ? inode->dead : inode->links == 0;
}

struct cfs_attr cfs_inode_attr(const struct cfs_inode *inode)
{
	bool dir = S_ISDIR(inode->mode);
	unsigned dir_links = inode->dead ? 0 : 2 + inode->links;

	return (struct cfs_attr){
		.mode = inode->mode,
		.links = dir ? dir_links : inode->links,
		.size = dir ? 4096 : inode->data.len,
		.change = inode->change,
		.mtime_ns = inode->mtime_ns,
		.ctime_ns = inode->ctime_ns,
	};
}

int64_t cfs_wall_ns(const struct crashfs *c)
{
	return CFS_START_WALL_NS - CFS_START_NS + c->now_ns;
}

void cfs_touch(struct crashfs *c, struct cfs_inode *inode, bool content)
{
	int64_t step_ns = c->options.time_step_ns > 0 ? c->options.time_step_ns : 1;
	int64_t wall_ns = cfs_wall_ns(c);

	inode->change++;
	inode->ctime_ns = wall_ns - wall_ns % step_ns;
	if (content)
		inode->mtime_ns = inode->ctime_ns;
}

uint32_t cfs_find(const struct crashfs *c, const struct cfs_inode *dir, const char *name)
{
	struct cfs_entry *entry = cfs_entries_find(&dir->entries, cfs_hash(c, name));

	return entry ? entry->ino : CFS_NONE;
}

/* The name alone, without journal. */
static void put_name(struct crashfs *c, struct cfs_inode *dir, const char *name,
		     struct cfs_inode *inode)
{
	assert(!dir->dead);
	cfs_entries_set(&dir->entries, cfs_hash(c, name), name, inode->ino);
	if (S_ISDIR(inode->mode)) {
		inode->parent = dir->ino;
		dir->links++;
	} else {
		inode->links++;
	}
	cfs_touch(c, dir, true);
	cfs_touch(c, inode, false);
}

static void take_name(struct crashfs *c, struct cfs_inode *dir, const char *name,
		      struct cfs_inode *inode)
{
	assert(cfs_find(c, dir, name) == inode->ino);
	cfs_entries_remove(&dir->entries, cfs_hash(c, name));
	if (S_ISDIR(inode->mode)) {
		assert(dir->links > 0);
		dir->links--;
	} else {
		assert(inode->links > 0);
		inode->links--;
	}
	cfs_touch(c, dir, true);
	cfs_touch(c, inode, false);
}

void cfs_add(struct crashfs *c, struct cfs_inode *dir, const char *name, struct cfs_inode *inode)
{
	put_name(c, dir, name, inode);
	cfs_journal_add(c, inode->ino, NULL, NULL, dir, name, CFS_NONE);
}

void cfs_remove(struct crashfs *c, struct cfs_inode *dir, const char *name)
{
	struct cfs_inode *inode = cfs_inode_get(c, cfs_find(c, dir, name));
	uint32_t emptied = CFS_NONE;

	assert(inode);
	take_name(c, dir, name, inode);
	if (S_ISDIR(inode->mode)) {
		assert(inode->entries.count == 0);
		inode->dead = true;
		emptied = inode->ino;
	}
	cfs_journal_add(c, inode->ino, dir, name, NULL, NULL, emptied);
}

void cfs_move(struct crashfs *c, struct cfs_inode *from_dir, const char *from,
	      struct cfs_inode *to_dir, const char *to)
{
	struct cfs_inode *inode = cfs_inode_get(c, cfs_find(c, from_dir, from));
	struct cfs_inode *over = cfs_inode_get(c, cfs_find(c, to_dir, to));
	uint32_t emptied = CFS_NONE;

	assert(inode && inode != over);
	if (over) {
		take_name(c, to_dir, to, over);
		if (S_ISDIR(over->mode)) {
			assert(over->entries.count == 0);
			over->dead = true;
			emptied = over->ino;
		}
	}
	take_name(c, from_dir, from, inode);
	put_name(c, to_dir, to, inode);
	cfs_journal_add(c, inode->ino, from_dir, from, to_dir, to, emptied);
}

static void mark(struct crashfs *c, uint32_t ino)
{
	struct cfs_inode *inode = cfs_inode_get(c, ino);

	if (!inode || inode->marked)
		return;
	inode->marked = true;
	for (size_t i = 0; i < inode->entries.count; i++)
		mark(c, inode->entries.at[i].ino);
	for (size_t i = 0; i < inode->base.count; i++)
		mark(c, inode->base.at[i].ino);
}

void cfs_sweep(struct crashfs *c)
{
	mark(c, CFS_ROOT);
	for (size_t i = 0; i < c->n_ops; i++) {
		mark(c, c->ops[i].ino);
		mark(c, c->ops[i].from_dir);
		mark(c, c->ops[i].to_dir);
		mark(c, c->ops[i].emptied);
	}
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++)
		for (size_t k = 0; k < c->clients[i].n_descs; k++)
			mark(c, c->clients[i].descs[k].ino);
	for (size_t i = 0; i < c->n_inodes; i++) {
		if (!c->inodes[i])
			continue;
		if (!c->inodes[i]->marked) {
			cfs_inode_destroy(c->inodes[i]);
			c->inodes[i] = NULL;
			continue;
		}
		c->inodes[i]->marked = false;
	}
}
