/*
 * Who led when, and how each term ended: elections/<name>/@history~<v>, at most HISTORY_MAX terms,
 * written by the leader in the background after its grant. For people; nothing depends on it.
 */
#ifndef SRC_ELECTION_HISTORY_H
#define SRC_ELECTION_HISTORY_H

#include "fsha/status.h"
#include "src/election/term.h"

#define HISTORY_KEY "@history"
#define HISTORY_MAX 64
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
/* Add the term, and how the one before it ended. */
fsha_result history_publish(struct term *term, const char *former_end, fsha_error *reterr);

#endif
