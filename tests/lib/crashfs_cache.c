/*
 * What a client believes, as an NFS client does: the attributes of an inode are good for cache_ns;
 * a name that was looked up, found or not, and a listing are good for as long as the directory's
 * attributes are and its change counter is the one they were made under. Only asking again for the
 * directory's attributes, by AT_STATX_FORCE_SYNC or when they are old, can prove them wrong. A
 * client's own changes are known to it at once, but tell it nothing of the changes of others.
 */
#include "tests/lib/crashfs_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* How many entries a reply to a listing brings. */
#define LISTING_BATCH 128

struct cfs_node *cfs_node(struct cfs_client *cl, uint32_t ino)
{
	void *nodes = cl->nodes;

	cfs_reserve(&nodes, &cl->nodes_size, (size_t)ino + 1, sizeof(struct cfs_node *));
	cl->nodes = nodes;
	if (!cl->nodes[ino])
		cl->nodes[ino] = cfs_xalloc(sizeof(struct cfs_node));
	return cl->nodes[ino];
}

static void forget_listing(struct cfs_node *node)
{
	cfs_entries_clear(&node->listing);
	node->listed = false;
}

static void forget_data(struct cfs_node *node)
{
	free(node->data.data);
	node->data = (struct cfs_bytes){ 0 };
	node->data_known = false;
}

static void forget(struct cfs_node *node)
{
	cfs_entries_clear(&node->names);
	forget_listing(node);
	forget_data(node);
}

void cfs_node_drop_all(struct cfs_client *cl)
{
	for (size_t i = 0; i < cl->nodes_size; i++) {
		if (!cl->nodes[i])
			continue;
		forget(cl->nodes[i]);
		free(cl->nodes[i]);
		cl->nodes[i] = NULL;
	}
}

void cfs_nodes_copy(struct cfs_client *to, const struct cfs_client *from)
{
	for (uint32_t i = 0; i < from->nodes_size; i++) {
		const struct cfs_node *node = from->nodes[i];
		struct cfs_node *copy;

		if (!node)
			continue;
		copy = cfs_node(to, i);
		*copy = *node;
		copy->names = copy->listing = (struct cfs_entries){ 0 };
		copy->data = (struct cfs_bytes){ 0 };
		cfs_entries_copy(&copy->names, &node->names);
		cfs_entries_copy(&copy->listing, &node->listing);
		if (node->data_known)
			cfs_bytes_set(&copy->data, node->data.data, node->data.len);
	}
}

int cfs_fetch(struct cfs_client *cl, uint32_t ino)
{
	const struct cfs_inode *inode = cfs_inode_get(cl->c, ino);
	struct cfs_node *node = cfs_node(cl, ino);

	if (cfs_inode_gone(inode)) {
		node->known = false;
		return -ESTALE;
	}
	if (!node->known || node->attr.change != inode->change)
		forget(node);
	node->attr = cfs_inode_attr(inode);
	node->known = true;
	node->valid_until_ns = cl->c->now_ns + cl->c->options.cache_ns;
	return 0;
}

int cfs_revalidate(struct cfs_client *cl, uint32_t ino)
{
	const struct cfs_node *node = cfs_node(cl, ino);

	if (node->known && cl->c->now_ns < node->valid_until_ns)
		return 0;
	return cfs_fetch(cl, ino);
}

int cfs_lookup(struct cfs_client *cl, uint32_t dir, const char *name, bool reval, uint32_t *ret_ino)
{
	const struct cfs_inode *inode = cfs_inode_get(cl->c, dir);
	uint64_t hash = cfs_hash(cl->c, name);
	const struct cfs_entry *entry;
	int r;

	if (!cfs_caches(cl)) {
		entry = cfs_inode_gone(inode) ? NULL : cfs_entries_find(&inode->entries, hash);
		if (!entry)
			return -ENOENT;
		*ret_ino = entry->ino;
		return 0;
	}
	if (!reval) {
		r = cfs_revalidate(cl, dir);
		if (r < 0)
			return r;
		entry = cfs_entries_find(&cfs_node(cl, dir)->names, hash);
		if (entry && entry->ino == CFS_NONE)
			return -ENOENT;
		if (entry) {
			*ret_ino = entry->ino;
			return 0;
		}
	}
	if (cfs_inode_gone(inode))
		return -ESTALE;
	entry = cfs_entries_find(&inode->entries, hash);
	cfs_entries_set(&cfs_node(cl, dir)->names, hash, name, entry ? entry->ino : CFS_NONE);
	if (!entry)
		return -ENOENT;
	*ret_ino = entry->ino;
	return 0;
}

void cfs_changed(struct cfs_client *cl, const struct cfs_inode *dir, const char *name, uint32_t ino,
		 uint64_t before)
{
	struct cfs_node *node;

	if (!cfs_caches(cl))
		return;
	node = cfs_node(cl, dir->ino);
	cfs_entries_set(&node->names, cfs_hash(cl->c, name), name, ino);
	forget_listing(node);
	/* Nobody else was there in between: what is remembered is still true. */
	if (node->known && node->attr.change == before)
		node->attr = cfs_inode_attr(dir);
}

int cfs_listing(struct cfs_client *cl, uint32_t ino, uint64_t cursor,
		const struct cfs_entries **ret_entries, uint64_t *ret_to)
{
	const struct cfs_inode *dir = cfs_inode_get(cl->c, ino);
	struct cfs_node *node = cfs_node(cl, ino);
	size_t i;
	int r;

	if (cursor == 0) {
		r = cfs_revalidate(cl, ino);
		if (r < 0)
			return r;
	}
	if (!node->listed || cursor < node->listed_from || cursor >= node->listed_to) {
		if (cfs_inode_gone(dir))
			return -ESTALE;
		if (!node->listed || cursor != node->listed_to) {
			forget_listing(node);
			node->listed = true;
			node->listed_from = cursor;
		}
		i = cfs_entries_after(&dir->entries, cursor);
		for (size_t n = 0; i < dir->entries.count && n < LISTING_BATCH; i++, n++)
			cfs_entries_set(&node->listing, dir->entries.at[i].hash,
					dir->entries.at[i].name, dir->entries.at[i].ino);
		node->listed_to = i < dir->entries.count ? dir->entries.at[i - 1].hash : UINT64_MAX;
	}
	*ret_entries = &node->listing;
	*ret_to = node->listed_to;
	return 0;
}

int cfs_content(struct cfs_client *cl, uint32_t ino, const struct cfs_bytes **ret_bytes)
{
	const struct cfs_inode *inode = cfs_inode_get(cl->c, ino);
	struct cfs_node *node;
	int r;

	assert(inode); /* it is open */
	if (!cfs_caches(cl)) {
		*ret_bytes = &inode->data;
		return 0;
	}
	r = cfs_revalidate(cl, ino);
	if (r < 0)
		return r;
	node = cfs_node(cl, ino);
	if (!node->data_known) {
		if (cfs_inode_gone(inode))
			return -ESTALE;
		cfs_bytes_set(&node->data, inode->data.data, inode->data.len);
		node->data_known = true;
	}
	*ret_bytes = &node->data;
	return 0;
}
