/*
 * A pack of records that are in the store already, published with the versions that they have: for
 * compaction, and for what repair saves out of a damaged pack.
 *
 * The danger is a pack that brings back a key whose tombstone was cleaned away before the pack was
 * renamed into place. So the last look and the rename are made under the mutex and the write lock.
 * And while such a rename is in doubt no tombstone of this term goes (clean.c); so what goes in
 * must not have been outdone by an older one. test_compact.c, test_salvage.c.
 */
#ifndef SRC_STATE_REPACK_H
#define SRC_STATE_REPACK_H

#include "src/state/store.h"

struct repack {
	struct store *store;
	struct term *term;
	struct pack_member *members; /* in ascending order of keys */
	size_t member_count;
	uint8_t *records; /* of the members, one behind the other */
	size_t len;
	/* The last look, with the index just loaded: would no member bring anything back? */
	bool (*may_appear)(const struct repack *r);
	const void *ctx;   /* for it */
	struct pack *pack; /* our own: what is staged */
};

/*
 * The new pack is newer than all of its members and than `floor` (may be NULL). FSHA_OK: it is
 * there, durably. FSHA_E_VERSION: it may not appear any more. FSHA_E_INDOUBT: it may be there, now
 * or later, and nothing was lost.
 */
fsha_result repack_publish(struct repack *r, const fsha_version *floor, fsha_error *reterr);

#endif
