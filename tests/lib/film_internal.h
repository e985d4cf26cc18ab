/* What the two files of film know of each other: film.c records, film_check.c looks at states. */
#ifndef TESTS_FILM_INTERNAL_H
#define TESTS_FILM_INTERNAL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/crashfs_internal.h"
#include "tests/lib/film.h"

#define FILM_ELECTIONS 4
#define FILM_CALL_SIZE 200

/* One moment. */
struct film_frame {
	struct crashfs *disk;
	unsigned number;
	size_t ledger; /* the last one that was acknowledged */
	bool exact;    /* and nothing has been begun since */
	bool atomic;
	char loose[LEDGER_NAME_SIZE]; /* "": nothing */
	size_t loose_from;
	uint64_t epochs[FILM_ELECTIONS]; /* that were granted, in the order of options.elections */
	char call[FILM_CALL_SIZE];
};

struct film {
	struct film_options options;
	struct crashfs *disk;
	const char *step;
	bool atomic, paused;
	struct ledger *ledgers; /* one for each acknowledgement */
	size_t n_ledgers, ledgers_size;
	struct film_frame *frames; /* since the last one */
	size_t n_frames, frames_size;
	unsigned next_frame;
	uint64_t seen_changes;
	uint64_t epochs[FILM_ELECTIONS];
	char loose[LEDGER_NAME_SIZE];
	size_t loose_from;
};

/* Between these two each key is. */
const struct ledger *film_low(const struct film *film, const struct film_frame *frame);
const struct ledger *film_high(const struct film *film, const struct film_frame *frame);

/*
 * Looks at one state of the frame, which it uses up. NULL: all is well, or what is wrong. `draw`
 * decides what is left to chance.
 */
const char *film_check(struct film *film, const struct film_frame *frame, struct crashfs *after,
		       uint64_t draw);

#endif
