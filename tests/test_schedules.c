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
	static const char *const aheads[] = { "", "-claiming", "-ahead" };
	struct schedule_scene scene;
	char name[64];
	char who[2] = { (char)(play->trouble > LAPSE ? '0' + play->troubled : '\0') };

	(void)snprintf(name, sizeof(name), "%s%s%s%s%s", play->name, aheads[play->ahead],
		       troubles[play->trouble], who, cached ? "-nfs" : "");
	scene = play_scene(play, name, cached);
	schedule_assert(&scene, how);
}

/* Every order up to a number of choices; 0: to the ends. */
static void search_all(struct play *play, bool cached, enum ahead ahead, unsigned long depth)
{
	const struct schedule_how how = { .depth = (unsigned)depth, .cut_every = 50 };

	play->ahead = ahead;
	search(play, cached, &how);
}

/*
 * A claimant stands before its first rename after twelve calls of its own. So a search that begins
 * before them must be deep, and one that begins where all claimants stand there is wide.
 */
static void search_two(struct play *play, bool cached)
{
	const bool calm = play->trouble == NO_TROUBLE, claims = play->parts[0] == PART_CLAIM;
	const struct schedule_how far = { .switches = 1, .cut_every = 50 };

	if (calm || play->trouble == LAPSE || test_size(!cached, 1, 1))
		search_all(play, cached, CLAIMANTS_AHEAD,
			   calm ? test_size(24, 36, 48) : test_size(12, 18, 32));
	if (calm && test_size(0, !cached, !cached || !claims))
		search_all(play, cached, NOBODY_AHEAD, 0);
	else if (calm || test_size(0, 0, play->trouble == LAPSE))
		search_all(play, cached, NOBODY_AHEAD, calm ? test_size(24, 32, 48) : 32);
	play->ahead = NOBODY_AHEAD;
	if (calm || test_size(0, !cached, 1))
		search(play, cached, &far);
}

static void search_three(struct play *play, bool cached)
{
	const bool calm = play->trouble == NO_TROUBLE, claims = play->parts[0] == PART_CLAIM;
	const struct schedule_how far = { .switches = 1, .cut_every = 50 };

	if (calm || test_size(play->trouble == LAPSE && !cached, 1, 1))
		search_all(play, cached, ALL_AHEAD,
			   calm ? test_size(10, 16, 22) : test_size(7, 9, 14));
	if (calm && !claims)
		search_all(play, cached, CLAIMANTS_AHEAD, test_size(10, 16, 22));
	play->ahead = NOBODY_AHEAD;
	if (calm && test_size(0, !cached, !cached))
		search(play, cached, &far);
}

/* Without trouble, with a lease that runs out somewhere, and with renames of each gone wrong. */
static void run_play(struct play *play)
{
	const bool three = play->parts[2] != PART_NONE;

	for (play->trouble = NO_TROUBLE; play->trouble < TROUBLES; play->trouble++) {
		unsigned troubled = play->trouble > LAPSE ? 2 + three : 1;

		for (play->troubled = 0; play->troubled < troubled; play->troubled++)
			for (unsigned cached = 0; cached < 2; cached++)
				(three ? search_three : search_two)(play, cached);
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
	};

	(void)state;
	run_play(&play);
}

static void two_claims_against_a_commit(void **state)
{
	struct play play = {
		.name = "claim-claim-commit",
		.parts = { PART_PUT, PART_CLAIM, PART_CLAIM },
	};

	(void)state;
	run_play(&play);
}

static void three_claims_against_each_other(void **state)
{
	struct play play = {
		.name = "claim-claim-claim",
		.parts = { PART_CLAIM, PART_CLAIM, PART_CLAIM },
	};

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
		cmocka_unit_test(three_claims_against_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
