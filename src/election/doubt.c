#include "src/election/doubt.h"

#include <errno.h>
#include <string.h>

void doubt_add(struct term *t, uint64_t sequence)
{
	for (size_t i = 0; i < TERM_DOUBTS; i++) {
		uint64_t free = 0;

		if (atomic_compare_exchange_strong(&t->doubts[i], &free, sequence))
			return;
	}
	atomic_fetch_add(&t->doubts_lost, 1);
}

void doubt_remove(struct term *t, uint64_t sequence)
{
	for (size_t i = 0; i < TERM_DOUBTS; i++) {
		uint64_t mine = sequence;

		(void)atomic_compare_exchange_strong(&t->doubts[i], &mine, 0);
	}
}

bool doubt_is_undone(const struct term *t, uint64_t sequence)
{
	bool undone = false;

	for (size_t i = 0; i < TERM_DOUBTS && !undone; i++)
		undone = atomic_load(&t->undone[i]) == sequence;
	return undone;
}

bool term_in_doubt(const struct term *t)
{
	bool doubt = atomic_load(&t->doubts_lost) > 0;

	for (size_t i = 0; i < TERM_DOUBTS && !doubt; i++)
		doubt = atomic_load(&t->doubts[i]) != 0;
	return doubt;
}

/* Whoever asks later is told; of very many the first are forgotten, and stay in doubt for him. */
static void note_undone(struct term *t, uint64_t sequence)
{
	atomic_store(&t->undone[t->undone_next++ % TERM_DOUBTS], sequence);
}

/*
 * The rename of a write needs the staged file, whose name no other write has and which is never
 * made again. So once it is gone the rename has been done, or never will be: not by a packet that
 * was on its way either. Nor need the absence of what comes never back be looked at twice: it may
 * be cached.
 */
static bool is_over(struct term *t, uint64_t sequence)
{
	const fsha_version v = { .sequence = sequence, .seat = t->seat };
	char staged[TERM_STAGED_SIZE];
	int r;

	term_staged_path(t, &v, staged);
	r = fsu_unlinkat(t->cluster->fs, t->election_fd, staged, 0);
	if (r == 0)
		note_undone(t, sequence);
	return r == 0 || r == -ENOENT;
}

/* Which ones found no room nobody knows: they are over when nothing at all is staged. */
static bool is_nothing_staged(const struct term *t)
{
	const struct cluster *c = t->cluster;
	struct fsu_list list;
	bool nothing;
	int r;

	fsu_list_init(&list, c->fs);
	r = fsu_list_read(&list, t->election_fd, t->tenure, c->local, cluster_lease_ns(c) / 10);
	nothing = r == 0 && list.stable && list.count == 0;
	fsu_list_done(&list);
	return nothing;
}

void doubt_end_all(struct term *t)
{
	uint64_t over[TERM_DOUBTS], lost = atomic_load(&t->doubts_lost);
	size_t count = 0;

	for (size_t i = 0; i < TERM_DOUBTS; i++) {
		const uint64_t sequence = atomic_load(&t->doubts[i]);

		if (sequence && is_over(t, sequence))
			over[count++] = sequence;
	}
	if (lost && !is_nothing_staged(t))
		lost = 0;
	if (count == 0 && !lost)
		return;
	/* Before the doubts, so that whoever finds none of them knows that he must look anew. */
	atomic_fetch_add(&t->doubts_ended, 1);
	for (size_t i = 0; i < count; i++)
		doubt_remove(t, over[i]);
	/* Unless there are more of them by now. */
	if (lost)
		(void)atomic_compare_exchange_strong(&t->doubts_lost, &lost, 0);
}
