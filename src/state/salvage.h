/*
 * What is whole in a damaged pack, saved before repair takes the pack away: its members are
 * published anew in a fresh pack, as they are.
 *
 * Where the list is whole it tells what is in the pack. Where it is not the members are looked for
 * one behind the other: each is a record with its own length, checksum, key and version. What lies
 * in another's value is no member, so a record that was found behind a gap counts only when an
 * unbroken row of records leads from it to the end of the file; else it is doubtful, as its value
 * may be older than what the gap held.
 */
#ifndef SRC_STATE_SALVAGE_H
#define SRC_STATE_SALVAGE_H

#include "src/state/store.h"

#define SALVAGE_TEXT_SIZE 400

struct salvage_result {
	size_t whole; /* members that are whole */
	size_t lost;  /* found to be damaged */
	bool listed;  /* the list is whole: nothing else was in it */
	bool sparse;  /* it is not, and what was found is not known to be all */
	/* Entries that would show something older, or may, once the pack is gone. */
	size_t older;
	char lost_names[SALVAGE_TEXT_SIZE]; /* "'k~v', 'l~v' and 3 more" */
	char older_names[SALVAGE_TEXT_SIZE];
};

/* Needs no leadership. FSHA_E_NOT_FOUND: there is no such pack (any more). */
fsha_result salvage_look(struct store *store, const fsha_version *pack,
			 struct salvage_result *ret_result, fsha_error *reterr);
/*
 * Publish what is whole. FSHA_OK with `older` not 0 and `accept_older` not set: nothing was done.
 * With FSHA_OK otherwise the pack may be taken away: all that is whole in it is elsewhere too,
 * durably, or outdone by a removal. FSHA_E_UNSUPPORTED: a member was written by a newer version of
 * fsha.
 */
fsha_result salvage_publish(struct store *store, const fsha_version *pack, bool accept_older,
			    struct salvage_result *ret_result, fsha_error *reterr);

#endif
