/*
 * Who led when, and how each term ended; at most HISTORY_MAX terms. For people; nothing depends on
 * it.
 *
 * Nothing is written for it while leaders change: each leader record tells of its own term and how
 * the one before it ended. A leader that stays gathers them in the background as
 * elections/<name>/@history~<v>, and only then cleans them away. So what is known at any time is
 * the epoch file, the records in leaders/ and that one together.
 */
#ifndef SRC_ELECTION_HISTORY_H
#define SRC_ELECTION_HISTORY_H

#include "fsha/status.h"
#include "src/election/term.h"

#define HISTORY_KEY "@history"
#define HISTORY_MAX 64
#define HISTORY_RESIGNED "resigned"
#define HISTORY_SIZE_MAX (4 + HISTORY_MAX * 400)

struct history {
	size_t count; /* oldest first */
	fsha_term_history terms[HISTORY_MAX];
};

ssize_t history_encode(const struct history *history, uint8_t *buf, size_t size);
int history_decode(const uint8_t *buf, size_t len, struct history *ret_history);

/*
 * The newest of an election directory. NOT_FOUND: there is none. `ret_file_name` (may be NULL) has
 * NAME_SIZE bytes.
 */
fsha_result history_read(const struct cluster *c, int election_fd, const char *component,
			 struct history *ret_history, char *ret_file_name, fsha_error *reterr);
/* All that is known. CORRUPT: the recorded history is damaged. */
fsha_result history_gather(const struct cluster *c, int election_fd, const char *component,
			   struct history *ret_history, fsha_error *reterr);
/* Record all that is known; then older leader records are needed no more. */
fsha_result history_publish(struct term *term, fsha_error *reterr);
/*
 * While that fails: take the leader records away of which a history would tell nothing. What stays
 * is the newest of each of the newest HISTORY_MAX epochs. May hang: for the background.
 */
void history_trim_leaders(struct term *term);

#endif
