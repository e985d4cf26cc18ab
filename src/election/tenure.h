/*
 * The tenure directory: a leader's private staging directory, "tenure-<epoch 16 hex>-<session 32
 * hex>". Every commit is a rename out of it; once it has been emptied and removed with rmdir,
 * nothing can be published from it any more, by path or by descriptor, not even by calls that were
 * queued in a kernel (measured on NFSv4.2, NFSv3, CephFS, ext4). It is never renamed and never made
 * again; renaming it would fence nothing.
 */
#ifndef SRC_ELECTION_TENURE_H
#define SRC_ELECTION_TENURE_H

#include "src/election/epoch.h"

#define TENURE_NAME_SIZE 64

void tenure_format(uint64_t epoch, const struct fsu_uuid *session, char *ret_name);
bool tenure_parse(const char *name, uint64_t *ret_epoch, struct fsu_uuid *ret_session);

/*
 * Fence: take apart every tenure directory of an epoch up to `epoch` but `own`, and list until none
 * shows. Entries are moved to trash/, not unlinked: that would wait for delegations, and an entry
 * open on the same NFS client cannot be unlinked at all. Gives up at deadline_ns with -ETIMEDOUT,
 * or with the error that kept it.
 */
int tenure_fence(const struct cluster *c, int election_fd, uint64_t epoch, const char *own,
		 int64_t deadline_ns);
/* Take one apart. 0 also when it is gone. */
int tenure_remove(const struct cluster *c, int election_fd, const char *name, int64_t deadline_ns);
/*
 * Unlink what lies in trash/, at most `max` entries; directories with all below them. May hang.
 * Returns how many are left, as far as is known, or an error; -EBUSY: none could be unlinked.
 */
int tenure_empty_trash(const struct cluster *c, int election_fd, size_t max);
/* The same until it is empty, nothing of it goes, or the time is up. */
void tenure_empty_trash_until(const struct cluster *c, int election_fd, int64_t deadline_ns);

#endif
