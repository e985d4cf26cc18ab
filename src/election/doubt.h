/*
 * Writes of a term whose outcome is not known. While there is one, stores are listed anew, their
 * tombstones stay, and nothing is compacted. Nobody may ever ask what became of it, so the term
 * finds out by itself when it can come no more.
 */
#ifndef SRC_ELECTION_DOUBT_H
#define SRC_ELECTION_DOUBT_H

#include "src/election/term.h"

void doubt_add(struct term *term, uint64_t sequence);
void doubt_remove(struct term *term, uint64_t sequence);
/* It was not done, and never will be: doubt_end_all has unlinked what it would have published. */
bool doubt_is_undone(const struct term *term, uint64_t sequence);
/*
 * End the doubts about writes that can come no more: what they had staged is not there, or could
 * be unlinked. Each store lists its directory once more after that. For the background, one thread
 * at a time: may hang.
 */
void doubt_end_all(struct term *term);

#endif
