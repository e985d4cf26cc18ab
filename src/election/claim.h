/*
 * Claiming an election: tenure, swap, fence, grant (doc/ARCHITECTURE.md draws it). Everything here
 * is a plain call that does its work in the caller's thread and may hang with the filesystem.
 *
 *   1 make tenure-<E+1>-<S'>       S' fresh
 *   2 swap the epoch file          after any failure look first; only the same swap is tried again
 *   3 fsync the election directory
 *   4 fence every other tenure     bounded; else vacate and back off
 *   5 fsync; the lease not expired, own epoch name and own tenure present: granted
 *
 * A candidate that dies at any step leaves a state from which the next claim starts as usual.
 */
#ifndef SRC_ELECTION_CLAIM_H
#define SRC_ELECTION_CLAIM_H

#include "src/election/term.h"
#include "src/member/member.h"

/* The directory of an election, made when it is not there: it appears with its epoch file in it. */
fsha_result claim_open_election(const struct cluster *c, const char *component, bool create,
				int *ret_fd, fsha_error *reterr);

struct claim {
	const struct cluster *cluster;
	int election_fd;
	const char *election; /* encoded */
	const struct fsu_uuid *member;
	struct lease *lease;
	bool shared;
	struct epoch from;      /* what the claimant saw */
	const char *former_end; /* how that term ended, a static text; NULL: not known */
};
/*
 * FSHA_OK: granted; `*ret_term` is live. FSHA_E_VERSION: lost to another. Anything else: not
 * granted, and the epoch file was vacated as far as that worked; back off and look again.
 */
fsha_result claim_run(const struct claim *claim, struct term **ret_term, fsha_error *reterr);

/*
 * Give a term up: vacate the epoch file, so that the next leader needs no timeout. The rest is
 * claim_clean_up.
 */
fsha_result claim_vacate(struct term *term, fsha_error *reterr);
/* Take our own tenure apart, after everything that is published on resigning was. */
void claim_clean_up(struct term *term);

#endif
