/*
 * The search for schedules itself: it tries all of them, what it leaves out changes no end, and
 * what is wrong in one order alone is found and can be repeated.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/play.h"
#include "tests/lib/run.h"
#include "tests/lib/sweep.h"

#define CALLS 3

/* Two players who make directories; those of a shared name make one alone. */
struct toy {
	struct crashfs *disk;
	const char *names[2][CALLS];
	int result[2][CALLS];
	const char *never; /* with this made by the first player something is wrong */
	bool wait;         /* the second player waits before its first call */
	bool acted;
	char order[2 * CALLS + 2]; /* who made what, in time */
	unsigned length;
};

struct part_of_toy {
	struct toy *toy;
	unsigned index;
};
static struct part_of_toy toy_parts[2];

static void make_directories(struct puppet *self, void *arg)
{
	struct part_of_toy *part = arg;
	struct toy *toy = part->toy;
	const struct fsu *fs = crashfs_client(toy->disk, part->index);

	if (toy->wait && part->index == 1)
		fsu_sleep(fs, FSU_NS_PER_S);
	for (unsigned i = 0; i < CALLS; i++) {
		if (!toy->names[part->index][i])
			continue;
		toy->result[part->index][i] =
			fsu_mkdirat(fs, AT_FDCWD, toy->names[part->index][i], 0700);
		if (puppet_is_killed(self))
			return;
		toy->order[toy->length++] = (char)('0' + part->index);
	}
}

static void set_up(void *ctx, struct schedule_cast *cast)
{
	struct toy *toy = ctx;

	toy->disk = theatre_disk(cast->theatre);
	toy->length = 0;
	toy->acted = false;
	memset(toy->order, 0, sizeof(toy->order));
	for (unsigned i = 0; i < 2; i++) {
		toy_parts[i] = (struct part_of_toy){ toy, i };
		cast->player[cast->players++] =
			puppet_start(cast->theatre, i, make_directories, &toy_parts[i]);
	}
}

static const char *check(void *ctx, const struct schedule_cast *cast)
{
	struct toy *toy = ctx;

	(void)cast;
	for (unsigned i = 0; i < CALLS; i++)
		if (toy->never && toy->names[0][i] && strcmp(toy->names[0][i], toy->never) == 0 &&
		    toy->result[0][i] == 0)
			return "it was made";
	return NULL;
}

static void tear_down(void *ctx)
{
	(void)ctx;
}

static uint64_t by_order(void *ctx)
{
	return strtoull(((struct toy *)ctx)->order, NULL, 2) + 1;
}

static struct schedule_scene scene_of(struct toy *toy)
{
	return (struct schedule_scene){
		.name = "toy",
		.options = { .seed = 1 },
		.ctx = toy,
		.setup = set_up,
		.check = check,
		.teardown = tear_down,
	};
}

static const struct toy apart = { .names = { { "a", "b", "c" }, { "d", "e", "f" } } };
static const struct toy shared = { .names = { { "a", "x", "c" }, { "d", "x", "f" } } };

static void every_order_is_tried(void **state)
{
	const struct schedule_how how = { .ignore_known = true };
	struct toy toy = apart;
	struct schedule_scene scene = scene_of(&toy);
	struct schedule_report report;

	(void)state;
	scene.outcome = by_order;
	assert_true(schedule_run(&scene, &how, &report));
	/* 3 of 6 places for the calls of the first player. */
	assert_int_equal(report.ended, 20);
	assert_int_equal(report.ends, 20);
	assert_int_equal(report.runs, report.ended);
	schedule_report_done(&report);
}

static void calls_that_commute_are_tried_in_one_order(void **state)
{
	const struct schedule_how how = { 0 };
	struct toy toy = apart;
	struct schedule_scene scene = scene_of(&toy);
	struct schedule_report report;

	(void)state;
	assert_true(schedule_run(&scene, &how, &report));
	assert_int_equal(report.ends, 1);
	assert_int_equal(report.states, 9); /* where both have something to do */
	assert_int_equal(report.lattice, 9);
	assert_true(report.ended < 20);
	schedule_report_done(&report);
}

static void calls_that_do_not_commute_are_tried_in_both(void **state)
{
	const struct schedule_how how = { 0 };
	struct toy toy = shared;
	struct schedule_scene scene = scene_of(&toy);
	struct schedule_report report;

	(void)state;
	scene.outcome = NULL;
	assert_true(schedule_run(&scene, &how, &report));
	assert_true(report.ended >= 2);
	assert_true(report.states > report.lattice);
	schedule_report_done(&report);
}

static void what_is_wrong_in_one_order_is_found_and_repeated(void **state)
{
	const struct schedule_how how = { 0 };
	struct toy toy = shared;
	struct schedule_scene scene = scene_of(&toy);
	struct schedule_report report;
	char *moves;

	(void)state;
	toy.never = "x";
	assert_false(schedule_run(&scene, &how, &report));
	schedule_report_done(&report);
	assert_non_null(strstr(report.text, "it was made"));
	for (moves = report.text; *moves && strncmp(moves, "SCHEDULE='", 10) != 0;)
		moves++;
	assert_true(*moves);
	moves += 10;
	moves[strcspn(moves, "'")] = '\0';
	assert_int_equal(setenv("SCHEDULE", moves, 1), 0);
	assert_false(schedule_run(&scene, &how, &report));
	assert_int_equal(report.runs, 1);
	schedule_report_done(&report);
	assert_int_equal(setenv("SCHEDULE", "another:0", 1), 0);
	assert_true(schedule_run(&scene, &how, &report));
	assert_int_equal(report.runs, 0);
	schedule_report_done(&report);
	assert_int_equal(unsetenv("SCHEDULE"), 0);
}

/* Nothing on disk and nothing that a player was told tells of it. */
static const char *they_took_turns(void *ctx, const struct schedule_cast *cast)
{
	(void)cast;
	return strcmp(((struct toy *)ctx)->order, "010101") == 0 ? "they took turns" : NULL;
}

static void what_is_wrong_in_the_history_of_one_order_alone_is_found(void **state)
{
	const struct schedule_how how = { 0 };
	struct toy toy = apart;
	struct schedule_scene scene = scene_of(&toy);
	struct schedule_report report;

	(void)state;
	scene.check = they_took_turns;
	assert_true(schedule_run(&scene, &how, &report)); /* left out: known by another order */
	schedule_report_done(&report);
	scene.digest = by_order; /* all that the check looks at */
	assert_false(schedule_run(&scene, &how, &report));
	assert_non_null(strstr(report.text, "they took turns"));
	schedule_report_done(&report);
}

static bool may_act(void *ctx, unsigned act)
{
	(void)ctx;
	return act == 0;
}

static void act(void *ctx, struct schedule_cast *cast, unsigned act)
{
	struct toy *toy = ctx;

	(void)cast;
	(void)act;
	toy->acted = true;
	toy->order[toy->length++] = '2';
}

static uint64_t by_order_and_act(void *ctx)
{
	return strtoull(((struct toy *)ctx)->order, NULL, 3) + 1;
}

static void an_act_is_done_at_every_moment_and_never(void **state)
{
	const struct schedule_how how = { .ignore_known = true };
	struct toy toy = { .names = { { "a", "b", "c" } } };
	struct schedule_scene scene = scene_of(&toy);
	struct schedule_report report;

	(void)state;
	scene.acts = 1;
	scene.may = may_act;
	scene.act = act;
	scene.outcome = by_order_and_act;
	assert_true(schedule_run(&scene, &how, &report));
	assert_int_equal(report.ends, 4); /* before each call; not at all */
	schedule_report_done(&report);
}

static void time_passes_while_others_are_stopped(void **state)
{
	const struct schedule_how how = { .ignore_known = true };
	struct toy toy = { .names = { { "a", "b" }, { "c" } }, .wait = true };
	struct schedule_scene scene = scene_of(&toy);
	struct schedule_report report;

	(void)state;
	scene.outcome = by_order;
	assert_true(schedule_run(&scene, &how, &report));
	assert_int_equal(report.ends, 1); /* nobody waits while there is something to do */
	schedule_report_done(&report);
	scene.pauses[0] = 1;
	assert_true(schedule_run(&scene, &how, &report));
	assert_int_equal(report.ends, 3); /* the one that waited comes at any place */
	schedule_report_done(&report);
}

static const char *nothing_is_left(void *ctx, struct crashfs *after)
{
	(void)ctx;
	return *crashfs_ls(after, "/") ? "something was left" : NULL;
}

static void the_power_is_cut_at_every_state_that_is_asked_for(void **state)
{
	const struct schedule_how how = { .cut_every = 1 };
	struct toy toy = apart;
	struct schedule_scene scene = scene_of(&toy);
	struct schedule_report report;

	(void)state;
	scene.check_cut = nothing_is_left; /* when all is kept, there is */
	assert_false(schedule_run(&scene, &how, &report));
	assert_non_null(strstr(report.text, "power cut"));
	assert_non_null(strstr(report.text, "something was left"));
	schedule_report_done(&report);
}

/* ---- What the reduction leaves out ---- */

static bool is_in(const struct schedule_report *report, uint64_t end)
{
	for (uint64_t i = 0; i < report->ends; i++)
		if (report->end_digests[i] == end)
			return true;
	return false;
}

static void compare(struct play *play, bool cached, const struct schedule_how *less,
		    const struct schedule_how *more, bool same)
{
	const struct schedule_scene scene = play_scene(play, "reduced", cached);
	struct schedule_report few, many;

	if (!schedule_run(&scene, less, &few) || !schedule_run(&scene, more, &many))
		fail_msg("%s%s", few.text, many.text);
	assert_true(few.ended <= many.ended || !same);
	for (uint64_t i = 0; i < many.ends; i++)
		assert_true(is_in(&few, many.end_digests[i]));
	if (same)
		assert_int_equal(few.ends, many.ends);
	schedule_report_done(&few);
	schedule_report_done(&many);
}

static const enum part against[] = { PART_PUT, PART_REMOVE, PART_RESIGN, PART_CLAIM };

static void known_states_lead_to_no_other_ends(void **state)
{
	const unsigned depth = (unsigned)test_size(6, 8, 10);
	const struct schedule_how known = { .depth = depth };
	const struct schedule_how all = { .depth = depth, .ignore_known = true };

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		for (unsigned cached = 0; cached < 2; cached++) {
			struct play play = { .parts = { against[i], PART_CLAIM },
					     .ahead = ALL_AHEAD };

			compare(&play, cached, &known, &all, true);
		}
}

static void quiet_calls_leave_no_end_out(void **state)
{
	const struct schedule_how reduced = { 0 };
	const struct schedule_how every_call = {
		.depth = (unsigned)test_size(5, 6, 8),
		.every_call = true,
		.ignore_known = true,
	};

	(void)state;
	for (unsigned i = 0; i < test_size(1, 3, 3); i++)
		for (unsigned cached = 0; cached < 2; cached++) {
			struct play play = { .parts = { against[i], PART_CLAIM },
					     .ahead = ALL_AHEAD };

			compare(&play, cached, &reduced, &every_call, false);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_order_is_tried),
		cmocka_unit_test(calls_that_commute_are_tried_in_one_order),
		cmocka_unit_test(calls_that_do_not_commute_are_tried_in_both),
		cmocka_unit_test(what_is_wrong_in_one_order_is_found_and_repeated),
		cmocka_unit_test(what_is_wrong_in_the_history_of_one_order_alone_is_found),
		cmocka_unit_test(an_act_is_done_at_every_moment_and_never),
		cmocka_unit_test(time_passes_while_others_are_stopped),
		cmocka_unit_test(the_power_is_cut_at_every_state_that_is_asked_for),
		cmocka_unit_test(known_states_lead_to_no_other_ends),
		cmocka_unit_test(quiet_calls_leave_no_end_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
