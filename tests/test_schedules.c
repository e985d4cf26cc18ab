/*
 * Two and three contenders, call by call, in every order: claims, commits, batches, removals and
 * resignations against each other, on a local filesystem and on one with the caches of NFS.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/lib/play.h"
#include "tests/lib/run.h"

/* ---- Tests ---- */

static void search(struct play *play, bool cached, const struct schedule_how *how)
{
	static const char *const troubles[] = { "", "-lapse", "-reply", "-delay" };
	struct schedule_scene scene;
	char name[64];
	char who[2] = { (char)(play->trouble > LAPSE ? '0' + play->troubled : '\0') };

	(void)snprintf(name, sizeof(name), "%s%s%s%s", play->name, troubles[play->trouble], who,
		       cached ? "-nfs" : "");
	scene = play_scene(play, name, cached);
	schedule_assert(&scene, how);
}

/*
 * All beginnings, and with few switches up to all ends; of two players without trouble everything,
 * where there is time for it.
 */
static void search_as_far_as_time_allows(struct play *play, bool cached)
{
	const bool three = play->parts[2] != PART_NONE, calm = play->trouble == NO_TROUBLE;
	const struct schedule_how all = { .cut_every = 50 };
	const struct schedule_how shallow = {
		.depth = (unsigned)(three ? test_size(7, 9, 10) : test_size(12, 14, 15)),
		.cut_every = 50,
	};
	const struct schedule_how far = { .switches = 1, .cut_every = 50 };

	if (calm && !three && test_size(0, 0, 1)) {
		search(play, cached, &all);
		return;
	}
	/* Renames, and their troubles, come later. */
	if (play->trouble <= LAPSE)
		search(play, cached, &shallow);
	if ((!three && (calm || (play->thorough && !cached))) || test_size(0, 0, 1))
		search(play, cached, &far);
}

/* Without trouble, with a lease that runs out somewhere, and with renames of each gone wrong. */
static void run_play(struct play *play)
{
	for (play->trouble = NO_TROUBLE; play->trouble < TROUBLES; play->trouble++) {
		unsigned players = 1;

		while (play->trouble > LAPSE && players < PLAYERS_MAX && play->parts[players])
			players++;
		for (play->troubled = 0; play->troubled < players; play->troubled++)
			for (unsigned cached = 0; cached < 2; cached++)
				search_as_far_as_time_allows(play, cached);
	}
}

static void claim_against_claim(void **state)
{
	struct play play = {
		.name = "claim-claim",
		.parts = { PART_CLAIM, PART_CLAIM },
	};

	(void)state;
	run_play(&play);
}

static void claim_against_commit(void **state)
{
	struct play play = {
		.name = "claim-commit",
		.parts = { PART_PUT, PART_CLAIM },
		.thorough = true,
	};

	(void)state;
	run_play(&play);
}

static void claim_against_batch(void **state)
{
	struct play play = {
		.name = "claim-batch",
		.parts = { PART_BATCH, PART_CLAIM },
	};

	(void)state;
	run_play(&play);
}

static void claim_against_removal(void **state)
{
	struct play play = {
		.name = "claim-remove",
		.parts = { PART_REMOVE, PART_CLAIM },
	};

	(void)state;
	run_play(&play);
}

static void claim_against_resignation(void **state)
{
	struct play play = {
		.name = "claim-resign",
		.parts = { PART_RESIGN, PART_CLAIM },
		.thorough = true,
	};

	(void)state;
	run_play(&play);
}

static void two_claims_against_a_commit(void **state)
{
	struct play play = { .name = "claim-claim-commit",
			     .parts = { PART_PUT, PART_CLAIM, PART_CLAIM },
			     .ahead = FIRST_AHEAD };

	(void)state;
	run_play(&play);
}

/* The swaps themselves, and all that comes after them. */
static void two_claims_against_a_commit_from_their_renames_on(void **state)
{
	struct play play = { .name = "renames",
			     .parts = { PART_PUT, PART_CLAIM, PART_CLAIM },
			     .ahead = ALL_AHEAD };

	(void)state;
	run_play(&play);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(claim_against_claim),
		cmocka_unit_test(claim_against_commit),
		cmocka_unit_test(claim_against_batch),
		cmocka_unit_test(claim_against_removal),
		cmocka_unit_test(claim_against_resignation),
		cmocka_unit_test(two_claims_against_a_commit),
		cmocka_unit_test(two_claims_against_a_commit_from_their_renames_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
