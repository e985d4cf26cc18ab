/*
 * Taking useless names out of a store, in the background: nobody waits for an unlink. Old versions
 * go once this process has seen the newer one for INDEX_RETAIN_NS; a tombstone goes only after
 * everything below it is gone and that is durable, and never while a write of this term is in doubt
 * (a late rename could bring the key back).
 */
#include <string.h>

#include "src/state/store.h"

/* How many names one call moves, so that a writer who waits for the mutex never waits for long. */
#define BATCH 64

struct batch {
	struct term *term;
	int dir_fd;
	size_t count;
	char names[BATCH][NAME_SIZE];
};

/*
 * May this tombstone go? A write that is in doubt, ours or another process's of this term, could
 * still come and bring its key back; those of older terms were fenced.
 */
static bool may_go(const struct index_entry *e, const struct term *t, int64_t before_ns)
{
	if (!index_entry_gone(e) || e->since_ns > before_ns)
		return false;
	return e->version.epoch < t->epoch.number || (!t->shared && !term_in_doubt(t));
}

/*
 * Under the mutex: what may go now. Tombstones only when no garbage is left, which is simple and
 * soon true.
 */
static void choose(struct store *s, struct batch *b)
{
	int64_t before_ns = fsu_now_ns(s->cluster->fs) - INDEX_RETAIN_NS;
	struct index_garbage *g, *next_g;
	struct index_entry *e, *next_e;

	for (g = s->index.garbage; g && b->count < BATCH; g = next_g) {
		next_g = g->hh.next;
		if (g->since_ns > before_ns)
			continue;
		strcpy(b->names[b->count++], g->file_name);
		index_drop_garbage(&s->index, g);
	}
	if (b->count > 0 || s->index.garbage || s->index.gone_count == 0)
		return;
	if (fsu_fsync(s->cluster->fs, s->dir_fd) < 0)
		return;
	for (e = s->index.entries; e && b->count < BATCH; e = next_e) {
		next_e = e->hh.next;
		if (!may_go(e, b->term, before_ns))
			continue;
		index_entry_name(e, b->names[b->count++]);
		index_drop_entry(&s->index, e);
	}
}

void store_clean(struct store *s)
{
	struct batch *b = fsu_alloc(s->cluster->fs, sizeof(*b));

	if (!b)
		return; /* another time */
	b->term = s->terms.get(s->terms.ctx, s->election);
	while (b->term && term_is_live(b->term)) {
		b->count = 0;
		(void)pthread_mutex_lock(&s->mutex);
		if (store_load(s, b->term, NULL) == FSHA_OK && s->index.complete)
			choose(s, b);
		b->dir_fd = s->dir_fd;
		(void)pthread_mutex_unlock(&s->mutex);
		for (size_t i = 0; i < b->count; i++)
			if (term_discard(b->term, b->dir_fd, b->names[i]) < 0)
				store_forget(s); /* the next listing finds it again */
		if (b->count < BATCH)
			break;
	}
	term_unref(b->term);
	fsu_release(s->cluster->fs, b);
}
