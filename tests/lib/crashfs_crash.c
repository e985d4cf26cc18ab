/*
 * What a power cut leaves. The journal holds the changes of names that are not durable yet, in the
 * order they were made. What is kept of it is applied in that order to what was durable before.
 *
 * Any subset may be kept, with two limits, without which a state would come out that no filesystem
 * can leave: who keeps a change of an inode's name keeps the earlier ones of that inode too (a file
 * does not stand under two names), and who keeps the removal of a directory keeps what emptied it.
 * split_renames lifts both: then each half of each change is on its own.
 */
#include "tests/lib/crashfs_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void cfs_journal_add(struct crashfs *c, uint32_t ino, const struct cfs_inode *from_dir,
		     const char *from, const struct cfs_inode *to_dir, const char *to,
		     uint32_t emptied)
{
	void *ops = c->ops;

	assert(from_dir || to_dir);
	cfs_reserve(&ops, &c->ops_size, c->n_ops + 1, sizeof(*c->ops));
	c->ops = ops;
	c->changes++;
	c->ops[c->n_ops++] = (struct cfs_op){
		.ino = ino,
		.from_dir = from_dir ? from_dir->ino : CFS_NONE,
		.from = from_dir ? cfs_xstrdup(from) : NULL,
		.from_kept = !from_dir,
		.to_dir = to_dir ? to_dir->ino : CFS_NONE,
		.to = to_dir ? cfs_xstrdup(to) : NULL,
		.to_kept = !to_dir,
		.emptied = emptied,
		.client = c->acting,
	};
}

/* The first `n` operations go. */
static void journal_drop(struct crashfs *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(c->ops[i].from);
		free(c->ops[i].to);
	}
	c->n_ops -= n;
	if (n > 0)
		memmove(c->ops, c->ops + n, c->n_ops * sizeof(*c->ops));
}

void cfs_journal_clear(struct crashfs *c)
{
	journal_drop(c, c->n_ops);
	free(c->ops);
	c->ops = NULL;
	c->ops_size = 0;
}

static bool touches(const struct cfs_op *op, uint32_t dir)
{
	return dir != CFS_NONE && (op->from_dir == dir || op->to_dir == dir);
}

/* Keep operation `i` and what it cannot be without. */
static void keep(struct crashfs *c, size_t i)
{
	struct cfs_op *op = &c->ops[i];

	if (op->from_kept && op->to_kept)
		return;
	op->from_kept = op->to_kept = true;
	for (size_t k = 0; k < i; k++)
		if (cfs_op_needs(c, i, k))
			keep(c, k);
}

/* The kept halves of an operation become part of what is durable. */
static void apply(struct crashfs *c, const struct cfs_op *op)
{
	struct cfs_inode *from_dir = cfs_inode_get(c, op->from_dir);
	struct cfs_inode *to_dir = cfs_inode_get(c, op->to_dir);
	struct cfs_entry *entry;
	uint64_t hash;

	if (op->from && op->from_kept && from_dir) {
		hash = cfs_hash(c, op->from);
		entry = cfs_entries_find(&from_dir->base, hash);
		/* Another inode's name, when the change that made room for it was not kept. */
		if (entry && entry->ino == op->ino)
			cfs_entries_remove(&from_dir->base, hash);
	}
	if (op->to && op->to_kept && to_dir)
		cfs_entries_set(&to_dir->base, cfs_hash(c, op->to), op->to, op->ino);
}

/* What is durable up to the first operation that is not leaves the journal. */
static void compact(struct crashfs *c)
{
	size_t n = 0;

	while (n < c->n_ops && c->ops[n].from_kept && c->ops[n].to_kept)
		apply(c, &c->ops[n++]);
	journal_drop(c, n);
}

void cfs_sync(struct crashfs *c, struct cfs_inode *inode)
{
	c->changes++;
	if (!S_ISDIR(inode->mode)) {
		if (inode->synced || inode->dropped)
			return;
		cfs_bytes_set(&inode->durable, inode->data.data, inode->data.len);
		inode->synced = true;
		return;
	}
	for (size_t i = 0; i < c->n_ops; i++) {
		struct cfs_op *op = &c->ops[i];

		if (!touches(op, inode->ino))
			continue;
		if (!c->options.split_renames) {
			keep(c, i);
			continue;
		}
		if (op->from_dir == inode->ino)
			op->from_kept = true;
		if (op->to_dir == inode->ino)
			op->to_kept = true;
	}
	compact(c);
}

void cfs_journal_sync_last(struct crashfs *c)
{
	assert(c->n_ops > 0);
	keep(c, c->n_ops - 1);
	compact(c);
}

/* ---- The power cut ---- */

/*
 * The first four are what can become of the content of a file; the first two of a change of names
 * too.
 */
enum choice {
	LOSE_ALL,
	KEEP_ALL,
	KEEP_HALF,
	KEEP_ZEROS, /* the length was written, the blocks were not */
	CHOOSE
};
_Static_assert(CHOOSE == CFS_CONTENTS, "and no other");

/* What is wanted is kept, with all that it implies. */
static void keep_ops(struct crashfs *c, const bool *wanted)
{
	for (size_t i = 0; i < c->n_ops; i++)
		if (wanted[i])
			keep(c, i);
	for (size_t i = 0; i < c->n_ops; i++)
		apply(c, &c->ops[i]);
	cfs_journal_clear(c);
}

/* Draw first, then follow what that implies: so each legal subset comes up. */
static void choose_ops(struct crashfs *c, enum choice choice, uint64_t *stream)
{
	bool *wanted = cfs_xalloc(c->n_ops + 1);

	for (size_t i = 0; i < c->n_ops; i++) {
		wanted[i] = choice == KEEP_ALL;
		if (choice != CHOOSE)
			continue;
		if (c->options.split_renames) {
			c->ops[i].from_kept |= (cfs_draw(stream) & 1) != 0;
			c->ops[i].to_kept |= (cfs_draw(stream) & 1) != 0;
		} else {
			wanted[i] = (cfs_draw(stream) & 1) != 0;
		}
	}
	keep_ops(c, wanted);
	free(wanted);
}

static void leave_data(struct cfs_inode *inode, enum choice choice)
{
	const struct cfs_bytes *now = &inode->data, *old = &inode->durable;
	size_t same = 0;

	while (same < now->len && same < old->len && now->data[same] == old->data[same])
		same++;
	if (choice == LOSE_ALL)
		cfs_bytes_set(&inode->data, old->data, old->len);
	else if (choice == KEEP_HALF)
		inode->data.len = same + (now->len - same) / 2;
	else if (choice == KEEP_ZEROS && now->len > same)
		memset(now->data + same, 0, now->len - same);
	cfs_bytes_set(&inode->durable, inode->data.data, inode->data.len);
	inode->synced = true;
	inode->dropped = false;
}

/* Links and parents follow from the names that are left. */
static void count_names(struct crashfs *c, struct cfs_inode *dir)
{
	if (!dir->dead) /* seen already, under another name */
		return;
	dir->dead = false;
	for (size_t i = 0; i < dir->entries.count; i++) {
		struct cfs_inode *inode = cfs_inode_get(c, dir->entries.at[i].ino);

		assert(inode);
		if (!S_ISDIR(inode->mode)) {
			inode->links++;
			continue;
		}
		dir->links++;
		inode->parent = dir->ino;
		count_names(c, inode);
	}
}

/* What is durable is all there is. */
static void settle(struct crashfs *c)
{
	for (size_t i = 0; i < c->n_inodes; i++) {
		struct cfs_inode *inode = c->inodes[i];

		if (!inode)
			continue;
		cfs_entries_copy(&inode->entries, &inode->base);
		inode->links = 0;
		inode->dead = S_ISDIR(inode->mode);
		inode->change++;
	}
	count_names(c, c->inodes[CFS_ROOT]);
	c->crashed = true;
	c->undecided = false;
}

static void cut(struct crashfs *c, enum choice choice, uint64_t seed)
{
	uint64_t stream = seed;

	choose_ops(c, choice, &stream);
	for (size_t i = 0; i < c->n_inodes; i++) {
		struct cfs_inode *inode = c->inodes[i];

		if (inode && !inode->synced)
			leave_data(inode, choice != CHOOSE ?
						  choice :
						  (enum choice)(cfs_draw(&stream) % CHOOSE));
	}
	settle(c);
}

void cfs_cut_as(struct crashfs *c, const bool *wanted, const uint8_t *contents)
{
	keep_ops(c, wanted);
	for (size_t i = 0; i < c->n_inodes; i++) {
		struct cfs_inode *inode = c->inodes[i];

		if (inode && !inode->synced)
			leave_data(inode, (enum choice) * contents++);
	}
	settle(c);
}

bool cfs_op_needs(const struct crashfs *c, size_t i, size_t k)
{
	return k < i && (c->ops[k].ino == c->ops[i].ino || touches(&c->ops[k], c->ops[i].emptied));
}

void crashfs_crash(struct crashfs *c, uint64_t seed)
{
	cut(c, CHOOSE, seed);
}

void crashfs_crash_losing_all(struct crashfs *c)
{
	cut(c, LOSE_ALL, 0);
}

void crashfs_crash_keeping_all(struct crashfs *c)
{
	cut(c, KEEP_ALL, 0);
}

/* Is it open in a process that lives? Then its client has what it wrote, and sends it again. */
static bool is_held(const struct crashfs *c, uint32_t ino, unsigned dead)
{
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++)
		if (!(dead & 1u << i) && cfs_desc_any(&c->clients[i], ino))
			return true;
	return false;
}

void crashfs_restart(struct crashfs *c, unsigned dead, uint64_t seed, bool locks_lost)
{
	bool *wanted = cfs_xalloc(c->n_ops + 1);
	uint64_t stream = seed;

	assert(!c->options.split_renames);
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++)
		if (dead & 1u << i) {
			cfs_desc_close_all(&c->clients[i]);
			cfs_node_drop_all(&c->clients[i]);
		}
	for (size_t i = 0; i < c->n_ops; i++)
		wanted[i] = !(dead & 1u << c->ops[i].client) || (cfs_draw(&stream) & 1);
	keep_ops(c, wanted);
	free(wanted);
	for (size_t i = 0; i < c->n_inodes; i++) {
		struct cfs_inode *inode = c->inodes[i];

		if (inode && !inode->synced && !is_held(c, inode->ino, dead))
			leave_data(inode,
				   dead ? (enum choice)(cfs_draw(&stream) % CHOOSE) : KEEP_ALL);
	}
	settle(c);
	c->crashed = false;
	c->changes++;
	if (locks_lost)
		c->n_locks = 0;
	cfs_sweep(c);
}

void crashfs_recover(struct crashfs *c)
{
	if (c->undecided)
		cut(c, LOSE_ALL, 0);
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++) {
		cfs_desc_close_all(&c->clients[i]);
		cfs_node_drop_all(&c->clients[i]);
	}
	assert(c->n_locks == 0);
	cfs_sweep(c);
	c->crashed = false;
}

void crashfs_kill_client(struct crashfs *c, unsigned client)
{
	assert(client < CRASHFS_CLIENTS);
	/* Its kernel lives on: what it remembers stays. */
	cfs_desc_close_all(&c->clients[client]);
}
