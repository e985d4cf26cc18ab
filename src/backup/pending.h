/*
 * Changes of one store that wait to be written together: a batch costs what one write costs.
 */
#ifndef SRC_BACKUP_PENDING_H
#define SRC_BACKUP_PENDING_H

#include "src/state/store.h"

struct pending {
	const struct fsu *fs;
	struct store_change *changes;
	size_t count, size;
	size_t bytes;
};

/*
 * Takes `data` over, on failure too. The key is copied.
 */
fsha_result pending_add(struct pending *p, enum store_write how, const char *key, uint8_t *data,
			size_t size, fsha_error *reterr);
bool pending_is_full(const struct pending *p);
/* Write them all; nothing waits then, on failure too. */
fsha_result pending_flush(struct pending *p, struct store *store, fsha_error *reterr);
void pending_drop(struct pending *p);
void pending_done(struct pending *p);

#endif
