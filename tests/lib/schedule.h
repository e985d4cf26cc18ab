/*
 * All schedules of a few puppets: at each point at which more than one thing can happen next, every
 * one of them is tried, by running the scene anew up to there. What can happen: one of the players
 * does its call; time passes up to what somebody waits for, while the others are stopped; or the
 * test itself does something (an act of the scene).
 *
 * Two things keep that small, and neither leaves an end out (test_schedules.c shows both):
 *
 *   quiet calls    What nobody else can notice and what does not depend on anybody else's doing is
 *                  done together with the call before it: close, rewind, reads and writes of a file
 *                  that one has open. (What is written is staged, and nobody opens that; what is
 * read has one content.) known states   When the directory, the caches and all that each player was
 * told are the same as in a run before, so is everything that can follow, and the run ends there.
 * Calls that commute lead to the same state, so only one order of them goes on.
 *
 * A failure tells the moves that led to it; SCHEDULE=<scene>:<moves> in the environment runs those
 * alone. Moves: 0 to 9 a player, t the time, a to h an act; A, B, C end a bounded run: the players
 * to their ends one after the other, the same in the opposite order, or by turns.
 */
#ifndef TESTS_SCHEDULE_H
#define TESTS_SCHEDULE_H

#include "tests/lib/puppet.h"

#define SCHEDULE_PLAYERS 4

struct schedule_cast {
	struct theatre *theatre;
	struct puppet *player[SCHEDULE_PLAYERS];
	unsigned players;
};

struct schedule_scene {
	const char *name;
	struct crashfs_options options;
	void *ctx;
	/* On a fresh disk, up to where the choices begin: starts the players. */
	void (*setup)(void *ctx, struct schedule_cast *cast);
	/*
	 * What is to hold when all have ended. NULL, or what is wrong (sweep_say). It may go on
	 * with the disk.
	 */
	const char *(*check)(void *ctx, const struct schedule_cast *cast);
	/* The same on a copy of the disk after a power cut, at any moment. NULL: none. */
	const char *(*check_cut)(void *ctx, struct crashfs *after);
	/* Gives back what is left, also when the players were killed in the middle. */
	void (*teardown)(void *ctx);
	/*
	 * What is in memory and matters, besides what the players were told: to what they do, and
	 * to the check, as a run that comes to a known state ends there. NULL: nothing.
	 */
	uint64_t (*digest)(void *ctx);
	/* How the run came out, for counting different ends. NULL: by the disk alone. */
	uint64_t (*outcome)(void *ctx);
	/* Acts: may it be done now, and do it. Each at most once in a run. */
	unsigned acts;
	bool (*may)(void *ctx, unsigned act);
	void (*act)(void *ctx, struct schedule_cast *cast, unsigned act);
	/* How often each player may be stopped, for as long as you like: time passes meanwhile. */
	unsigned pauses[SCHEDULE_PLAYERS];
};

/*
 * Without bounds every schedule is tried. A search that is bounded by depth tries all beginnings,
 * and few ways to go on; one that is bounded by switches goes everywhere, but changes few times
 * from a player that could have gone on to another. Acts and time are not counted as switches.
 */
struct schedule_how {
	unsigned depth;     /* choices; 0: no bound */
	unsigned switches;  /* 0: no bound */
	bool every_call;    /* no quiet calls */
	bool ignore_known;  /* no known states */
	unsigned cut_every; /* a power cut in one of so many states; 0: none */
	uint64_t runs_max;  /* 0: no limit */
};

struct schedule_report {
	uint64_t runs;   /* begun */
	uint64_t ended;  /* of them, and checked: complete schedules */
	uint64_t states; /* at which there was a choice */
	/*
	 * How many these would be if nobody met: if the order of two players' steps, with all else
	 * as it is, never made a difference.
	 */
	uint64_t lattice;
	uint64_t ends;    /* different ones */
	uint64_t cuts;    /* power cuts looked at */
	unsigned longest; /* choices in one run */
	bool limited;     /* by runs_max: not all was tried */
	bool failed;
	uint64_t *end_digests; /* sorted; schedule_report_done */
	char text[8192];       /* of the first failure, with the log of the calls */
};

/* True when nothing was wrong. Stops at the first failure. */
bool schedule_run(const struct schedule_scene *scene, const struct schedule_how *how,
		  struct schedule_report *ret_report);
void schedule_report_done(struct schedule_report *report);
/*
 * Within a test of cmocka: runs it, prints the counts in a line, fails the test when it failed.
 * Also when nobody met, unless the bound is one of switches: that search has proved nothing.
 */
void schedule_assert(const struct schedule_scene *scene, const struct schedule_how *how);

#endif
