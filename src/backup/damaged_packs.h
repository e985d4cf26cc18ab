/*
 * Packs of a store whose list is damaged: what they hold cannot be told, so nothing that they may
 * hold can be read, or known to be gone.
 */
#ifndef SRC_BACKUP_DAMAGED_PACKS_H
#define SRC_BACKUP_DAMAGED_PACKS_H

#include "src/state/store.h"

/*
 * Take them out of a store that this process leads, to quarantine/, and add their number to
 * `*count`. For who has outdone every key that the store is known to have: no older value shows
 * then that they may have been newer than.
 */
fsha_result damaged_packs_take(struct store *store, uint64_t *count, fsha_error *reterr);

#endif
