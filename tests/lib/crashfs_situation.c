/*
 * The whole as one number, by which a search knows a state that it has been in before. Of time only
 * whether a directory's changes are older than a clock step goes in, and inodes by their paths, not
 * by their numbers: so the order of changes that do not touch each other does not matter.
 */
#include "tests/lib/crashfs_internal.h"

#include <stdlib.h>

#define CLOCK_STEP_NS (10 * FSU_NS_PER_MS)

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t state = a ^ b * UINT64_C(0x9e3779b97f4a7c15);

	return cfs_draw(&state);
}

static uint64_t mix_text(const struct crashfs *c, uint64_t a, const char *text)
{
	return mix(a, text ? cfs_hash(c, text) : 1);
}

/* Fills in who is who; what stands below `dir`. Sums, so that the order of names does not matter.
 */
static uint64_t walk(const struct crashfs *c, const struct cfs_inode *dir, uint64_t *who)
{
	bool old = cfs_wall_ns(c) - dir->ctime_ns >= CLOCK_STEP_NS;
	uint64_t sum = mix(dir->change, old);

	for (size_t i = 0; i < dir->entries.count; i++) {
		const struct cfs_entry *entry = &dir->entries.at[i];
		const struct cfs_inode *inode = cfs_inode_get(c, entry->ino);
		uint64_t id = mix(who[dir->ino], entry->hash);

		who[inode->ino] = id;
		sum += S_ISDIR(inode->mode) ? mix(id, walk(c, inode, who)) :
					      mix(id, inode->data.len * 2 + inode->synced);
	}
	return sum;
}

static uint64_t pending(const struct crashfs *c)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < c->n_ops; i++) {
		const struct cfs_op *op = &c->ops[i];
		uint64_t kept = (uint64_t)op->from_kept * 2 + op->to_kept;

		sum += mix_text(c, mix_text(c, kept, op->from), op->to);
	}
	return sum;
}

static uint64_t remembered(const struct cfs_node *node, uint64_t id, const uint64_t *who)
{
	uint64_t sum = mix(id, node->known ? node->attr.change : UINT64_MAX);

	for (size_t i = 0; i < node->names.count; i++)
		sum += mix(node->names.at[i].hash, who[node->names.at[i].ino]);
	for (size_t i = 0; node->listed && i < node->listing.count; i++)
		sum += mix(node->listing.at[i].hash, 3);
	return mix(sum, (uint64_t)node->listed * 2 + node->data_known);
}

uint64_t crashfs_situation(const struct crashfs *c)
{
	uint64_t *who = cfs_xalloc(c->n_inodes * sizeof(*who));
	uint64_t sum;

	who[CFS_ROOT] = 1;
	sum = walk(c, cfs_inode_get(c, CFS_ROOT), who);
	sum = mix(sum, pending(c));
	for (size_t i = 0; i < c->n_locks; i++)
		sum += mix(who[c->locks[i].ino], (uint64_t)c->locks[i].type + 7);
	for (unsigned k = 0; k < CRASHFS_CLIENTS; k++) {
		const struct cfs_client *cl = &c->clients[k];

		for (size_t i = 0; i < cl->nodes_size && i < c->n_inodes; i++)
			if (cl->nodes[i])
				sum += mix(k, remembered(cl->nodes[i], who[i], who));
	}
	free(who);
	return sum;
}
