/*
 * Each state that a power cut may leave, one after the other. A state is a set of kept operations
 * that has with each operation all that it needs, and for each file that it shows and that is not
 * synced one of the things that can become of its content.
 *
 * Sets are walked through in the order of the journal: an operation may be kept when what it needs
 * was, so each set comes up once, and nothing else does.
 */
#include "tests/lib/crashfs_internal.h"
#include "tests/lib/numbers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

/* How many sets are drawn for each that is asked for. */
#define TRIES 4

struct states {
	const struct crashfs *c;
	uint64_t limit, count, random;
	void (*visit)(void *ctx, struct crashfs *after);
	void *ctx;
	size_t n_unsynced;
	uint32_t *unsynced; /* inodes */
	uint8_t *contents;  /* what becomes of each; only of those that are shown does it matter */
	bool *kept;
	bool complete;          /* so far */
	struct numbers visited; /* of the sets of operations, when not all are */
};

uint64_t crashfs_changes(const struct crashfs *c)
{
	return c->changes;
}

/* ---- Digests ---- */

static uint64_t digest(const struct crashfs *c, const struct cfs_inode *inode)
{
	uint64_t sum = inode->mode;

	if (S_ISREG(inode->mode))
		return XXH3_64bits_withSeed(inode->data.data, inode->data.len, sum);
	if (S_ISLNK(inode->mode))
		return XXH3_64bits_withSeed(inode->target, strlen(inode->target), sum);
	for (size_t i = 0; i < inode->entries.count; i++) {
		const struct cfs_entry *entry = &inode->entries.at[i];
		uint64_t mixed = digest(c, cfs_inode_get(c, entry->ino)) ^ entry->hash;

		sum += cfs_draw(&mixed);
	}
	return cfs_draw(&sum);
}

uint64_t crashfs_digest(const struct crashfs *c)
{
	return digest(c, cfs_inode_get(c, CFS_ROOT));
}

/* ---- Sets of operations ---- */

static bool is_durable(const struct cfs_op *op)
{
	return op->from_kept && op->to_kept;
}

/* May `i` be kept, with what is kept of those before it? */
static bool may_keep(const struct states *s, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!s->kept[k] && cfs_op_needs(s->c, i, k))
			return false;
	return true;
}

/* How many sets there are that agree with what was chosen before `i`, up to `most`. */
static uint64_t count_sets(struct states *s, size_t i, uint64_t most)
{
	uint64_t n = 0;

	if (i == s->c->n_ops || most <= 1)
		return 1;
	if (may_keep(s, i)) {
		s->kept[i] = true;
		n = count_sets(s, i + 1, most);
	}
	s->kept[i] = false;
	if (n < most && !is_durable(&s->c->ops[i]))
		n += count_sets(s, i + 1, most - n);
	return n;
}

/* ---- Contents ---- */

static struct crashfs *make_state(const struct states *s)
{
	struct crashfs *after = crashfs_fork(s->c);

	cfs_cut_as(after, s->kept, s->contents);
	crashfs_recover(after);
	return after;
}

static void show(struct states *s, struct crashfs *after)
{
	s->count++;
	s->visit(s->ctx, after);
	crashfs_destroy(after);
}

/* Which of the files that are not synced does this set of names show? */
static size_t find_shown(const struct states *s, const struct crashfs *after, size_t *ret_shown)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_unsynced; i++) {
		const struct cfs_inode *inode = cfs_inode_get(after, s->unsynced[i]);

		if (inode && inode->links > 0)
			ret_shown[n++] = i;
	}
	return n;
}

/* All that can become of the files that are shown; of more than three, of one after the other. */
static void visit_contents(struct states *s)
{
	struct crashfs *after = make_state(s);
	size_t *shown = cfs_xalloc((s->n_unsynced + 1) * sizeof(*shown));
	size_t n = find_shown(s, after, shown);
	uint64_t all = n <= 3 ? UINT64_C(1) << (2 * n) : 1 + n * (CFS_CONTENTS - 1);

	s->complete = s->complete && n <= 3;
	show(s, after);
	for (uint64_t number = 1; number < all; number++) {
		for (size_t i = 0; i < n && n <= 3; i++)
			s->contents[shown[i]] = (uint8_t)(number >> (2 * i) & 3);
		if (n > 3)
			s->contents[shown[(number - 1) / 3]] = (uint8_t)(1 + (number - 1) % 3);
		show(s, make_state(s));
		memset(s->contents, 0, s->n_unsynced);
	}
	memset(s->contents, 0, s->n_unsynced);
	free(shown);
}

/* ---- Which sets ---- */

static void visit_all_sets(struct states *s, size_t i)
{
	if (i == s->c->n_ops) {
		visit_contents(s);
		return;
	}
	if (may_keep(s, i)) {
		s->kept[i] = true;
		visit_all_sets(s, i + 1);
	}
	s->kept[i] = false;
	if (!is_durable(&s->c->ops[i]))
		visit_all_sets(s, i + 1);
}

/* What is wanted, and all that it needs; durable is what it was. Each set once. */
static void visit_wanted(struct states *s)
{
	for (size_t i = s->c->n_ops; i-- > 0;) {
		if (is_durable(&s->c->ops[i]))
			s->kept[i] = true;
		for (size_t k = 0; s->kept[i] && k < i; k++)
			s->kept[k] = s->kept[k] || cfs_op_needs(s->c, i, k);
	}
	if (numbers_add(&s->visited, XXH3_64bits(s->kept, s->c->n_ops)))
		visit_contents(s);
}

/* All but `lost` and what cannot be without it. */
static void want_all_but(struct states *s, size_t lost, size_t lost_too)
{
	for (size_t i = 0; i < s->c->n_ops; i++)
		s->kept[i] = i != lost && i != lost_too && may_keep(s, i);
}

static void want_only(struct states *s, size_t kept, size_t kept_too)
{
	for (size_t i = 0; i < s->c->n_ops; i++)
		s->kept[i] = i == kept || i == kept_too;
}

static bool has_room(const struct states *s)
{
	return s->count < s->limit;
}

/* All but one, and one alone, the newest first: what went wrong was mostly done last. */
static void visit_neighbours(struct states *s)
{
	for (size_t i = s->c->n_ops; i-- > 0 && has_room(s);) {
		want_all_but(s, i, i);
		visit_wanted(s);
		want_only(s, i, i);
		visit_wanted(s);
	}
}

static void visit_pairs(struct states *s)
{
	for (size_t i = s->c->n_ops; i-- > 0;)
		for (size_t k = i; k-- > 0 && has_room(s);) {
			want_all_but(s, i, k);
			visit_wanted(s);
			want_only(s, i, k);
			visit_wanted(s);
		}
}

/*
 * Few, half or most of the operations are wanted. What they need comes with them, so some sets come
 * up again and again: they are counted once, and there is an end to trying.
 */
static void visit_drawn(struct states *s)
{
	for (uint64_t tries = s->limit * TRIES; tries > 0 && has_room(s); tries--) {
		uint64_t odds = 1 + cfs_draw(&s->random) % 7;

		for (size_t i = 0; i < s->c->n_ops; i++)
			s->kept[i] = cfs_draw(&s->random) % 8 < odds;
		visit_wanted(s);
	}
}

static void visit_some_sets(struct states *s)
{
	size_t n = s->c->n_ops;

	want_only(s, n, n);
	visit_wanted(s);
	want_all_but(s, n, n);
	visit_wanted(s);
	visit_neighbours(s);
	for (size_t end = 1; end < n && has_room(s); end++) {
		for (size_t i = 0; i < n; i++)
			s->kept[i] = i < end;
		visit_wanted(s);
	}
	if (n * n < s->limit)
		visit_pairs(s);
	visit_drawn(s);
}

static void find_unsynced(struct states *s)
{
	s->unsynced = cfs_xalloc((s->c->n_inodes + 1) * sizeof(*s->unsynced));
	for (uint32_t i = 0; i < s->c->n_inodes; i++)
		if (s->c->inodes[i] && !s->c->inodes[i]->synced)
			s->unsynced[s->n_unsynced++] = i;
	s->contents = cfs_xalloc(s->n_unsynced + 1);
}

uint64_t crashfs_each_state(const struct crashfs *c, uint64_t whole, uint64_t limit, uint64_t seed,
			    void (*visit)(void *ctx, struct crashfs *after), void *ctx,
			    bool *ret_complete)
{
	struct states s = {
		.c = c,
		.limit = limit,
		.random = seed,
		.visit = visit,
		.ctx = ctx,
	};

	assert(!c->options.split_renames);
	s.kept = cfs_xalloc(c->n_ops + 1);
	find_unsynced(&s);
	s.complete = count_sets(&s, 0, whole + 1) <= whole;
	if (s.complete)
		visit_all_sets(&s, 0);
	else
		visit_some_sets(&s);
	if (ret_complete)
		*ret_complete = s.complete;
	numbers_done(&s.visited);
	free(s.kept);
	free(s.unsynced);
	free(s.contents);
	return s.count;
}
