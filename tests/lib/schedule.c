#include "tests/lib/schedule.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/crashfs_internal.h"
#include "tests/lib/numbers.h"
#include "tests/lib/sweep.h"

#define LEVELS_MAX 4000
#define MOVES_MAX 24
#define ACTS_MAX 8

static const char act_names[ACTS_MAX + 1] = "abcdefgh";

/* A point at which something was chosen, and what else there is to choose. */
struct level {
	char moves[MOVES_MAX];
	uint8_t n, at;
	bool branches;
};

struct search {
	const struct schedule_scene *scene;
	const struct schedule_how *how;
	struct schedule_report *report;
	struct level *path;
	unsigned levels;
	struct numbers known, orders, ends;
	const char *given; /* moves of the one run; NULL: all */
	unsigned given_len;
};

struct run {
	struct search *search;
	struct crashfs *disk;
	struct schedule_cast cast;
	unsigned level, choices, switches, acts_done;
	unsigned pauses[SCHEDULE_PLAYERS];
	bool paused[SCHEDULE_PLAYERS]; /* since its last step */
	int last;                      /* the player that was stepped; -1: none */
	uint64_t steps[SCHEDULE_PLAYERS];
	uint64_t others; /* the moves that are no player's, and after which steps they came */
};

/* ---- Moves ---- */

static bool is_quiet(const struct puppet *p)
{
	const struct puppet_call *next = puppet_next(p);

	if (!next)
		return false;
	switch (next->kind) {
	case CRASHFS_CLOSE:
	case CRASHFS_PREAD:
	case CRASHFS_WRITE:
	case CRASHFS_REWIND:
		return true;
	default:
		return false;
	}
}

static void step_player(const struct run *run, unsigned i)
{
	struct puppet *p = run->cast.player[i];

	puppet_step(p);
	while (!run->search->how->every_call && is_quiet(p))
		puppet_step(p);
}

/* A player that could go on must, once there were enough switches. */
static bool may_be_next(const struct run *run, unsigned i)
{
	const unsigned most = run->search->how->switches;

	return most == 0 || run->search->given || run->switches < most || run->last < 0 ||
	       run->last == (int)i || !puppet_can_step(run->cast.player[run->last]);
}

/* All that can happen now. */
static void find_moves(const struct run *run, struct level *level)
{
	const struct schedule_scene *scene = run->search->scene;
	const struct schedule_how *how = run->search->how;
	bool waits = false, can_step = false, may_pause = true;

	*level = (struct level){ 0 };
	for (unsigned i = 0; i < run->cast.players; i++) {
		const struct puppet *p = run->cast.player[i];

		if (puppet_can_step(p) && may_be_next(run, i))
			level->moves[level->n++] = (char)('0' + i);
		if (puppet_can_step(p)) {
			can_step = true;
			may_pause &= run->paused[i] || run->pauses[i] < scene->pauses[i];
		} else {
			waits |= puppet_wakes_ns(p) != FSU_FOREVER;
		}
	}
	if (waits && may_pause)
		level->moves[level->n++] = 't';
	for (unsigned i = 0; i < scene->acts; i++)
		if (!(run->acts_done & 1u << i) && scene->may(scene->ctx, i))
			level->moves[level->n++] = act_names[i];
	/* An act alone is no way to go on. */
	if (!can_step && !waits)
		level->n = 0;
	level->branches = level->n > 1;
	if (!level->branches)
		return;
	/* A run that is repeated may be of any search. */
	if (run->search->given || (how->depth && run->choices >= how->depth)) {
		if (!run->search->given)
			level->n = 0;
		memcpy(level->moves + level->n, "ABC", 3);
		level->n += 3;
	}
}

static void take_turns(const struct run *run)
{
	struct theatre *t = run->cast.theatre;

	do
		for (unsigned i = 0; i < run->cast.players; i++)
			if (puppet_can_step(run->cast.player[i]))
				step_player(run, i);
	while (theatre_can_step(t) || theatre_pass_time(t));
}

static void pause_player(struct run *run, unsigned i)
{
	if (!puppet_can_step(run->cast.player[i]))
		return;
	run->pauses[i] += !run->paused[i];
	run->paused[i] = true;
}

static uint64_t combine(uint64_t a, uint64_t b)
{
	uint64_t state = a * UINT64_C(0x9e3779b97f4a7c15) ^ b;

	return cfs_draw(&state);
}

/*
 * The moves up to here as one number, whatever the order of the players' steps between two others:
 * players who never meet come to one state by all of them.
 */
static uint64_t moves_digest(const struct run *run)
{
	uint64_t digest = run->others;

	for (unsigned i = 0; i < run->cast.players; i++)
		digest = combine(digest, run->steps[i]);
	return digest;
}

static void make_move(struct run *run, char move)
{
	const struct schedule_scene *scene = run->search->scene;
	const unsigned n = run->cast.players;

	if (move < '0' || move > '9')
		run->others = combine(moves_digest(run), (uint64_t)move);
	if (move >= '0' && move <= '9') {
		int i = move - '0';

		run->switches += run->last >= 0 && run->last != i &&
				 puppet_can_step(run->cast.player[run->last]);
		run->last = i;
		run->paused[i] = false;
		run->steps[i]++;
		step_player(run, (unsigned)i);
	} else if (move == 't') {
		for (unsigned i = 0; i < n; i++)
			pause_player(run, i);
		(void)theatre_pass_time(run->cast.theatre);
	} else if (move == 'A' || move == 'B') {
		for (unsigned i = 0; i < n; i++)
			puppet_finish(run->cast.player[move == 'A' ? i : n - 1 - i]);
	} else if (move == 'C') {
		take_turns(run);
	} else {
		unsigned act = (unsigned)(strchr(act_names, move) - act_names);

		run->acts_done |= 1u << act;
		scene->act(scene->ctx, &run->cast, act);
	}
}

/* ---- States ---- */

/* What a bounded search remembers of the way, because what it may still do depends on it. */
static uint64_t bounds_digest(const struct run *run)
{
	const struct schedule_how *how = run->search->how;
	uint64_t digest = how->depth ? run->choices : 0;

	return how->switches ? combine(digest, run->switches * 256 + (unsigned)run->last) : digest;
}

static uint64_t state_digest(const struct run *run)
{
	const struct schedule_scene *scene = run->search->scene;
	uint64_t digest = crashfs_situation(run->disk);
	int64_t now_ns = run->disk->now_ns;

	for (unsigned i = 0; i < run->cast.players; i++) {
		const struct puppet *p = run->cast.player[i];
		int64_t wakes_ns = puppet_wakes_ns(p);

		digest = combine(digest, puppet_seen(p));
		digest = combine(digest, (uint64_t)puppet_state(p) * 256 + run->pauses[i] * 2 +
						 run->paused[i]);
		/* To the nearest one: who began to wait a call later waits as long. */
		if (wakes_ns != FSU_FOREVER)
			digest =
				combine(digest, (uint64_t)((wakes_ns - now_ns + FSU_NS_PER_MS / 2) /
							   FSU_NS_PER_MS));
	}
	digest = combine(digest, (uint64_t)(now_ns / FSU_NS_PER_MS));
	digest = combine(digest, run->acts_done);
	digest = combine(digest, bounds_digest(run));
	return scene->digest ? combine(digest, scene->digest(scene->ctx)) : digest;
}

/* ---- What was wrong ---- */

static void set_failed(const struct run *run, const char *complaint)
{
	struct schedule_report *report = run->search->report;
	size_t n;

	if (report->failed)
		return;
	report->failed = true;
	n = (size_t)snprintf(report->text, sizeof(report->text), "%s\nSCHEDULE='%s:", complaint,
			     run->search->scene->name);
	for (unsigned i = 0; i < run->level && n < sizeof(report->text) / 2; i++)
		report->text[n++] = run->search->path[i].moves[run->search->path[i].at];
	(void)snprintf(report->text + n, sizeof(report->text) - n, "'\n%s", crashfs_log(run->disk));
}

/* The power is cut here, on a copy, in three ways. */
static void cut(const struct run *run, uint64_t seed)
{
	const struct schedule_scene *scene = run->search->scene;

	for (unsigned way = 0; way < 3; way++) {
		struct crashfs *copy = crashfs_fork(run->disk);
		const char *complaint;

		if (way == 0)
			crashfs_crash_losing_all(copy);
		else if (way == 1)
			crashfs_crash_keeping_all(copy);
		else
			crashfs_crash(copy, seed);
		crashfs_recover(copy);
		complaint = scene->check_cut(scene->ctx, copy);
		if (complaint)
			set_failed(run,
				   sweep_say("after a power cut (way %u): %s", way, complaint));
		crashfs_destroy(copy);
		run->search->report->cuts++;
	}
}

static void end(const struct run *run)
{
	const struct schedule_scene *scene = run->search->scene;
	uint64_t digest =
		scene->outcome ? scene->outcome(scene->ctx) : crashfs_situation(run->disk);
	const char *complaint;

	run->search->report->ended++;
	(void)numbers_add(&run->search->ends, digest);
	if (run->search->how->cut_every && scene->check_cut &&
	    run->search->report->ended % run->search->how->cut_every == 0)
		cut(run, digest);
	complaint = scene->check(scene->ctx, &run->cast);
	if (complaint)
		set_failed(run, complaint);
}

/* ---- The search ---- */

enum point {
	POINT_NEW,
	POINT_KNOWN, /* a run has come here by other moves */
	POINT_END,
};

static enum point look_around(struct run *run, struct level *level)
{
	const struct schedule_how *how = run->search->how;
	uint64_t digest;

	find_moves(run, level);
	if (level->n == 0)
		return POINT_END;
	if (!level->branches)
		return POINT_NEW;
	digest = state_digest(run);
	if (!numbers_add(&run->search->known, digest))
		return how->ignore_known ? POINT_NEW : POINT_KNOWN;
	run->search->report->states++;
	run->search->report->lattice +=
		numbers_add(&run->search->orders, combine(moves_digest(run), bounds_digest(run)));
	if (how->cut_every && run->search->scene->check_cut && digest % how->cut_every == 0)
		cut(run, digest);
	return POINT_NEW;
}

/* The same moves have led to the same place; else nothing that is found could be believed. */
static void check_same(const struct run *run, const struct level *level)
{
	struct level again;

	find_moves(run, &again);
	if (again.n != level->n || memcmp(again.moves, level->moves, level->n) != 0)
		cfs_die(run->disk, "move %u is one of %.*s now, and was of %.*s", run->level,
			(int)again.n, again.moves, (int)level->n, level->moves);
}

/* The next move. '\0': the run is over. */
static char choose(struct run *run)
{
	struct search *s = run->search;
	struct level *level = &s->path[run->level];
	enum point point;
	const char *found;

	if (run->level < s->levels) {
		check_same(run, level);
		return level->moves[level->at];
	}
	if (run->level >= LEVELS_MAX)
		cfs_die(run->disk, "a schedule does not come to its end");
	point = look_around(run, level);
	if (point == POINT_END)
		end(run);
	if (point != POINT_NEW)
		return '\0';
	s->levels++;
	if (run->level < s->given_len) {
		found = memchr(level->moves, s->given[run->level], level->n);
		if (!found)
			cfs_die(run->disk, "SCHEDULE: move %u is %c, which is none of %.*s",
				run->level, s->given[run->level], (int)level->n, level->moves);
		level->at = (uint8_t)(found - level->moves);
	}
	return level->moves[level->at];
}

static void run_once(struct search *s)
{
	const struct schedule_scene *scene = s->scene;
	struct run run = { .search = s, .disk = crashfs_create(&scene->options), .last = -1 };
	char move;

	run.disk->note = scene->name;
	run.cast.theatre = theatre_create(run.disk, scene->options.seed);
	scene->setup(scene->ctx, &run.cast);
	s->report->runs++;
	while (!s->report->failed && (move = choose(&run)) != '\0') {
		run.choices += s->path[run.level].branches;
		make_move(&run, move);
		run.level++;
	}
	if (run.choices > s->report->longest)
		s->report->longest = run.choices;
	theatre_destroy(run.cast.theatre);
	scene->teardown(scene->ctx);
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++)
		if (crashfs_open_fds(run.disk, i) > 0)
			set_failed(&run, sweep_say("client %u has left descriptors open", i));
	if (crashfs_bytes_allocated(run.disk) > 0)
		set_failed(&run, "memory was not released");
	crashfs_destroy(run.disk);
}

/* To the last point at which there is something else to choose. False: there is none. */
static bool back_up(struct search *s)
{
	while (s->levels > 0) {
		struct level *level = &s->path[s->levels - 1];

		if (++level->at < level->n)
			return true;
		s->levels--;
	}
	return false;
}

bool schedule_run(const struct schedule_scene *scene, const struct schedule_how *how,
		  struct schedule_report *ret_report)
{
	const char *given = getenv("SCHEDULE");
	struct search s = { .scene = scene, .how = how, .report = ret_report };
	size_t name_len = strlen(scene->name);

	assert(scene->acts <= ACTS_MAX);
	*ret_report = (struct schedule_report){ 0 };
	if (given && (strncmp(given, scene->name, name_len) != 0 || given[name_len] != ':'))
		return true;
	if (given) {
		s.given = given + name_len + 1;
		s.given_len = (unsigned)strlen(s.given);
	}
	s.path = cfs_xalloc((LEVELS_MAX + 1) * sizeof(*s.path));
	do {
		run_once(&s);
		ret_report->limited = how->runs_max && ret_report->runs >= how->runs_max;
	} while (!ret_report->failed && !given && !ret_report->limited && back_up(&s));
	free(s.path);
	numbers_done(&s.known);
	numbers_done(&s.orders);
	ret_report->ends = s.ends.count;
	ret_report->end_digests = numbers_take(&s.ends);
	return !ret_report->failed;
}

void schedule_report_done(struct schedule_report *report)
{
	free(report->end_digests);
	report->end_digests = NULL;
}

void schedule_assert(const struct schedule_scene *scene, const struct schedule_how *how)
{
	struct schedule_report report;
	bool ok = schedule_run(scene, how, &report);
	bool met = report.states > report.lattice;

	(void)printf("%s: %llu schedules of up to %u choices, %llu states (%llu if nobody met), "
		     "%llu ends, %llu power cuts%s\n",
		     scene->name, (unsigned long long)report.ended, report.longest,
		     (unsigned long long)report.states, (unsigned long long)report.lattice,
		     (unsigned long long)report.ends, (unsigned long long)report.cuts,
		     report.limited ? " (not all)" : "");
	(void)fflush(stdout);
	schedule_report_done(&report);
	if (!ok)
		fail_msg("%s", report.text);
	if (!how->switches && !met && !getenv("SCHEDULE"))
		fail_msg("%s: no order of the players' calls made a difference up to %u choices: "
			 "a search in which nobody meets proves nothing",
			 scene->name, report.longest);
}
