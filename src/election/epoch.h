/*
 * The fencing-epoch file: one per election directory, never opened; its name is the state, and
 * renaming it is compare-and-swap. "epoch-<epoch 16 hex>-<session 32 hex>-<member 32 hex |
 * vacant>".
 */
#ifndef SRC_ELECTION_EPOCH_H
#define SRC_ELECTION_EPOCH_H

#include "src/cluster/cluster.h"

#define EPOCH_NAME_SIZE 96
#define EPOCH_MAX (UINT64_MAX - 1)
/* What an epoch file becomes when its election is taken apart for good (maintenance/retire.c). */
#define EPOCH_RETIRED "retired-"

struct epoch {
	uint64_t number;
	struct fsu_uuid session;
	struct fsu_uuid member; /* null: vacant */
};

static inline bool epoch_is_vacant(const struct epoch *e)
{
	return fsu_uuid_is_null(&e->member);
}
bool epoch_equal(const struct epoch *a, const struct epoch *b);
void epoch_format(const struct epoch *epoch, char *ret_name);
bool epoch_parse(const char *name, struct epoch *ret_epoch);

/*
 * The epoch file of an election directory, and in `list` (initialised by the caller) the listing
 * that showed it: of a time when it was the present one. -ENOENT: there is none in several stable
 * listings, the directory is damaged.
 */
int epoch_read(const struct cluster *c, int election_fd, struct fsu_list *list,
	       struct epoch *ret_epoch);

/*
 * Is this the listing of an election that is being taken apart? Nobody leads it, and nobody can:
 * the floor is above its epochs, and gc finishes the work.
 */
bool epoch_is_retired(const struct fsu_list *list);
/*
 * The same as epoch_read for whoever acts on -ENOENT: nothing changed while that was looked at.
 * -EAGAIN: it cannot be told.
 */
int epoch_read_surely(const struct cluster *c, int election_fd, struct fsu_list *list,
		      struct epoch *ret_epoch);

/*
 * 1: `to` is there: the swap is ours. 0: another's name is there: lost. Else an error: it cannot be
 * told now, and the same swap may be tried again.
 */
int epoch_swap(const struct cluster *c, int election_fd, const struct epoch *from,
	       const struct epoch *to);

#endif
