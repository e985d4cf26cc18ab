/*
 * Leader information: leaders/<election>~<v>, written by the leader of that election. "No leader"
 * is a value. Every grant and every resignation publishes there too, so leaders/ tells of all
 * elections at once.
 */
#ifndef SRC_LEADER_LEADER_H
#define SRC_LEADER_LEADER_H

#include "fsha/retrieval.h"
#include "src/cluster/cluster.h"
#include "src/election/term.h"

#define LEADER_END_SIZE 24 /* as in fsha_term_history */

enum leader_state {
	LEADER_NONE = 0,      /* resigned */
	LEADER_GRANTED = 1,   /* somebody leads, and is not ready to be found */
	LEADER_CONFIRMED = 2, /* at `address` */
};

struct leader {
	enum leader_state state;
	uint64_t epoch;
	struct fsu_uuid session; /* of the term that wrote it; also with LEADER_NONE */
	struct fsu_uuid member;
	int64_t granted_wall_ns;
	int64_t written_wall_ns; /* of the record; for one that resigned, when its term ended */
	char address[FSHA_ADDRESS_MAX + 1];
	char host[256]; /* where that member is, ... */
	uint32_t pid;   /* ... and its process */
	/*
	 * The term before this one (number 0: none) and how it ended. So the records of all terms,
	 * as long as they are not cleaned away, tell the history of an election.
	 */
	struct epoch former;
	char former_end[LEADER_END_SIZE];
};

#define LEADER_SIZE_MAX (128 + FSHA_ADDRESS_MAX + 255 + LEADER_END_SIZE)

ssize_t leader_encode(const struct leader *leader, uint8_t *buf, size_t size);
int leader_decode(const uint8_t *buf, size_t len, struct leader *ret_leader);

/* What a record of that term says, without an address. */
void leader_of_term(const struct term *term, enum leader_state state, struct leader *ret_leader);
/*
 * Publish under `term`: also just after it was resigned (FENCED then means that the successor is at
 * work already).
 */
fsha_result leader_publish(struct term *term, enum leader_state state, const char *address,
			   const fsha_version *floor, fsha_version *ret_version,
			   fsha_error *reterr);
/* Read the record of that very file name. NOT_FOUND: gone, list again. */
fsha_result leader_read_file(const struct cluster *c, const char *file_name,
			     struct leader *ret_leader, fsha_error *reterr);
/* Look the newest one up. NOT_FOUND: nobody ever led. */
fsha_result leader_read(const struct cluster *c, const char *component, struct leader *ret_leader,
			fsha_error *reterr);
/*
 * Take the older records of an election that `term` leads away, once what they tell is in the
 * history. May hang: for the background.
 */
void leader_clean(struct term *term);
/* As the public header shows it. */
void leader_to_information(const struct leader *leader, fsha_leader_information *ret_information);

#endif
