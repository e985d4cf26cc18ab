/*
 * Taking useless names out of a store, in the background: nobody waits for an unlink. Old versions
 * go once this process has seen the newer one for INDEX_RETAIN_NS, and that one is durable; packs
 * when nothing in them counts any more. A tombstone goes only after everything below it is gone,
 * also from packs, and that is durable, and never while a write of this term is in doubt (a late
 * rename could bring the key back).
 */
#include <string.h>

#include "src/state/store.h"

/* How many names one call moves, so that a writer who waits for the mutex never waits for long. */
#define BATCH 64

struct batch {
	struct term *term;
	int dir_fd;
	size_t count;
	bool packs; /* some of them are */
	char names[BATCH][NAME_SIZE];
};

/*
 * May this tombstone go? A write that is in doubt, ours or another process's of this term, could
 * still come and bring its key back; those of older terms were fenced. A stream that is being taken
 * in may have an older version than this term's, which must not be published after it is forgotten
 * (test_state_stream.c). What is in a damaged pack nobody knows.
 */
static bool may_go(const struct store *s, const struct index_entry *e, struct term *t,
		   int64_t before_ns)
{
	const struct index *ix = &s->index;

	if (!index_entry_gone(e) || e->since_ns > before_ns)
		return false;
	if (e->lower > 0 || ix->damaged_count > 0)
		return false;
	return e->version.epoch < t->epoch.number ||
	       (!t->shared && !store_in_doubt(s, t) && s->streaming == 0);
}

static bool is_dead(const struct index_pack *p, int64_t before_ns)
{
	return p->pack && p->live == 0 && p->dead_ns <= before_ns;
}

static void choose_pack(struct batch *b, const struct index_pack *p)
{
	name_format(PACK_KEY, &p->version, NAME_VALUE, b->names[b->count++]);
	b->packs = true;
}

/* What a higher version, or a copy in a newer pack, has made useless. */
static void choose_garbage(struct store *s, struct batch *b, int64_t before_ns)
{
	struct index_garbage *g, *next_g;

	for (g = s->index.garbage; g && b->count < BATCH; g = next_g) {
		next_g = g->hh.next;
		if (g->since_ns > before_ns)
			continue;
		strcpy(b->names[b->count++], g->file_name);
		index_drop_garbage(&s->index, g);
	}
	for (const struct index_pack *p = s->index.packs; p && b->count < BATCH; p = p->hh.next)
		if (is_dead(p, before_ns))
			choose_pack(b, p);
}

/* The members of each pack that are tombstones which may go. */
static void count_spent(struct store *s, const struct batch *b, int64_t before_ns)
{
	for (struct index_pack *p = s->index.packs; p; p = p->hh.next)
		p->spent = 0;
	for (const struct index_entry *e = s->index.entries; e; e = e->hh.next)
		if (e->pack && may_go(s, e, b->term, before_ns))
			e->pack->spent++;
}

static void choose_tombstones(struct store *s, struct batch *b, int64_t before_ns)
{
	struct index_entry *e, *next_e;

	for (e = s->index.entries; e && b->count < BATCH; e = next_e) {
		next_e = e->hh.next;
		if (e->pack || e->same > 0 || !may_go(s, e, b->term, before_ns))
			continue;
		index_entry_name(e, b->names[b->count++]);
		index_drop_entry(&s->index, e);
	}
	if (!s->index.packs)
		return;
	count_spent(s, b, before_ns);
	for (const struct index_pack *p = s->index.packs; p && b->count < BATCH; p = p->hh.next)
		if (p->spent > 0 && p->spent == p->live)
			choose_pack(b, p);
}

/*
 * Under the mutex: what may go now. Tombstones only when no garbage is left, which is simple and
 * soon true. What outdoes the garbage may be the work of a leader that died before it was durable,
 * and the removal of what tombstones outdo must be (test_store_durable.c).
 */
static void choose(struct store *s, struct batch *b)
{
	int64_t before_ns = fsu_now_ns(s->cluster->fs) - INDEX_RETAIN_NS;
	struct index *ix = &s->index;

	choose_garbage(s, b, before_ns);
	if (b->count == 0 && !ix->garbage && ix->gone_count > 0)
		choose_tombstones(s, b, before_ns);
	if (b->count > 0 && fsu_fsync(s->cluster->fs, s->dir_fd) < 0) {
		b->count = 0;
		index_forget(ix); /* another time */
	}
}

static void clean(struct store *s)
{
	struct batch *b = fsu_alloc(s->cluster->fs, sizeof(*b));

	if (!b)
		return; /* another time */
	b->term = s->terms.get(s->terms.ctx, s->election);
	while (b->term && term_is_live(b->term)) {
		b->count = 0;
		b->packs = false;
		(void)pthread_mutex_lock(&s->mutex);
		if (store_load(s, b->term, NULL) == FSHA_OK && s->index.complete)
			choose(s, b);
		b->dir_fd = s->dir_fd;
		(void)pthread_mutex_unlock(&s->mutex);
		for (size_t i = 0; i < b->count; i++)
			if (term_discard(b->term, b->dir_fd, b->names[i]) < 0)
				b->packs = true;
		/* The next listing finds again what is left, and leaves out the packs. */
		if (b->packs)
			store_forget(s);
		if (b->count < BATCH)
			break;
	}
	term_unref(b->term);
	fsu_release(s->cluster->fs, b);
}

/*
 * One thread at a time: what one has taken off the index as garbage, and hangs in moving away,
 * another would no more see, and take away the tombstone above it (test_store.c).
 */
bool store_clean(struct store *s)
{
	bool free;

	(void)pthread_mutex_lock(&s->mutex);
	free = !s->cleaning;
	s->cleaning = true;
	(void)pthread_mutex_unlock(&s->mutex);
	if (!free)
		return false;
	clean(s);
	(void)pthread_mutex_lock(&s->mutex);
	s->cleaning = false;
	(void)pthread_mutex_unlock(&s->mutex);
	return true;
}
