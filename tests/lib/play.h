/*
 * A play for puppets: contenders of one election who claim, write, remove, batch and resign, the
 * troubles that they can be in, and what must hold at the end of any schedule and after a power cut
 * at any moment of it. test_schedules.c tries the schedules.
 *
 * Players are actors. Each that does not claim has led before the choices begin, and has put k; one
 * that claims reads k when it is granted, and puts it. What is read and written goes into a
 * history, which is judged; besides, no name of an older epoch may come after a grant, one epoch
 * file stays, no tenure but that of the term which it names, and whoever comes then can lead.
 */
#ifndef TESTS_PLAY_H
#define TESTS_PLAY_H

#include "tests/lib/actor.h"
#include "tests/lib/ops_history.h"
#include "tests/lib/schedule.h"

#define PLAYERS_MAX 3

enum part {
	PART_NONE,
	PART_CLAIM, /* claim, read k, put k */
	PART_PUT,   /* k */
	PART_BATCH, /* k and l */
	PART_REMOVE,
	PART_RESIGN,
};

enum trouble {
	NO_TROUBLE,
	LAPSE,      /* the lease of the first player runs out, at any moment */
	LOST_REPLY, /* of a rename of one player */
	DELAY,      /* a rename of one player fails, and comes later all the same */
	TROUBLES
};

/*
 * Who stands before its first rename when the choices begin: that of a commit, or of the epoch
 * file.
 */
enum ahead {
	NOBODY_AHEAD,
	CLAIMANTS_AHEAD,
	ALL_AHEAD
};

struct player {
	struct play *play;
	unsigned index;
	struct actor actor;
	bool started;
	uint64_t granted; /* the epoch of its last grant; 0: none */
	char *listing;    /* of the store when it was granted */
	uint64_t ops;     /* begun so far */
	uint64_t writes;
	/* Of what it has in the history: how much has begun, and has ended; and in which order. */
	uint64_t begun, ended, order;
	fsha_result result;
	bool done;
};

struct play {
	const char *name;
	enum part parts[PLAYERS_MAX];
	enum trouble trouble;
	unsigned troubled;       /* who has it */
	struct puppet_call late; /* still on its way; path "": none */
	struct puppet *puppet[PLAYERS_MAX];
	enum ahead ahead;
	struct crashfs *disk;
	struct player player[PLAYERS_MAX];
	struct ops_history *history;
	char wrong[1024]; /* what was found; "": nothing */
};

/* A scene of it; `name` must live as long. */
struct schedule_scene play_scene(struct play *play, const char *name, bool cached);

#endif
