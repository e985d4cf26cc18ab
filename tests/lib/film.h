/*
 * A film of what an operation does to the shared directory: a frame for each moment at which a
 * power cut would leave something new. Of a frame with few enough unsynced operations (`whole`)
 * each state that the cut may leave is looked at, of any other a part (`limit`):
 * film_totals.complete tells of how many it was each. A process comes, verifies, leads, reads
 * everything and writes. What must hold then:
 *
 *   - what was acknowledged is there, value and version; of what was not, the old or the new, whole
 *   - no epoch is granted that is not above those granted before
 *   - verify finds leftovers at most, no damage
 *   - the next leader can lead and write, and what it writes has a higher version
 *   - nothing of that needs luck: of some states the recovery, with all the cleaning that a leader
 *     does, is cut itself, and what its leader has read stays as it is
 *
 * What is acknowledged is not told by the test: a ledger of all that the cluster holds is taken
 * when the test says that something was (film_ack), and between two of them each key has its value
 * of the one or of the other.
 *
 * A state is a tree, known by its digest. Equal trees of which the same is expected are looked at
 * once; film_totals tells of all three numbers.
 */
#ifndef TESTS_FILM_H
#define TESTS_FILM_H

#include "tests/lib/ledger.h"

/* Who comes after the power cut, and who reads the ledgers meanwhile. */
#define FILM_CLIENT (CRASHFS_CLIENTS - 1)

struct film_options {
	const char *name;
	const char *const *elections; /* those of the next leader; ended by NULL */
	uint64_t whole; /* every state of a frame with at most so many sets of kept operations, */
	uint64_t limit; /* and up to so many states of any other */
	unsigned again; /* of so many states the recovery of one is cut too; 0: none */
	uint64_t seed;
};

/* Of all films of the program. */
struct film_totals {
	uint64_t frames;   /* moments at which the power is cut */
	uint64_t complete; /* those of which every state was drawn; of the others some */
	uint64_t states;   /* that were drawn; two may be the same tree */
	uint64_t distinct; /* that differ from all others of the same frame */
	uint64_t checked;  /* that differ from all others, in the tree or in what is expected */
	uint64_t again;    /* cuts of the recovery */
};
extern struct film_totals film_totals;
void film_print_totals(void);
/* The test fails when fewer were checked; how many other draws give (SEED) nobody knows. */
void film_assert_checked(uint64_t least);
/* And when of fewer moments every state was drawn, of a hundred. */
void film_assert_complete(unsigned percent);

struct film;
struct film *film_open(const struct film_options *options);
void film_close(struct film *film);

/* Record what happens to `disk` from here on; what is there now is acknowledged. */
void film_begin(struct film *film, struct crashfs *disk);
/* What comes now, for messages. `atomic`: all of it is there in the end or nothing. */
void film_step(struct film *film, const char *step, bool atomic);
/*
 * All that was done is acknowledged, but for film_loose. The frames since the last time are looked
 * at.
 */
void film_ack(struct film *film);
/* The last one, and the end. Harmless twice. */
void film_end(struct film *film);
/* An epoch was granted: none up to it is ever granted again. */
void film_granted(struct film *film, const char *election, const struct term *term);
/*
 * The operation of one process on what begins with `prefix` is under way while others are
 * acknowledged: each of it may be as it has ever been since now. NULL: it has come to its end.
 */
void film_loose(struct film *film, const char *prefix);
/* Leave out what happens until further notice: another film has shown it. */
void film_pause(struct film *film, bool paused);

#endif
