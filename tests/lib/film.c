#include "tests/lib/film.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "tests/lib/film_internal.h"
#include "tests/lib/numbers.h"
#include "tests/lib/run.h"

struct film_totals film_totals;

/* Everything that was looked at in this program. */
static struct numbers checked;

/* ---- What is expected ---- */

const struct ledger *film_low(const struct film *film, const struct film_frame *frame)
{
	return &film->ledgers[frame->ledger];
}

const struct ledger *film_high(const struct film *film, const struct film_frame *frame)
{
	return &film->ledgers[frame->exact ? frame->ledger : film->n_ledgers - 1];
}

/* Equal numbers: the same is expected of a tree. */
static uint64_t expectation(const struct film *film, const struct film_frame *frame)
{
	uint64_t parts[6] = { film_low(film, frame)->digest,
			      film_high(film, frame)->digest,
			      frame->atomic,
			      0,
			      XXH3_64bits(frame->loose, strlen(frame->loose)),
			      0 };

	for (size_t i = frame->loose_from; frame->loose[0] && i < film->n_ledgers; i++)
		parts[3] = parts[3] * 31 + film->ledgers[i].digest;
	parts[5] = XXH3_64bits(frame->epochs, sizeof(frame->epochs));
	return XXH3_64bits(parts, sizeof(parts));
}

/* ---- Looking at frames ---- */

struct viewing {
	struct film *film;
	const struct film_frame *frame;
	uint64_t expectation, number;
	struct numbers distinct;
};

static void view(void *ctx, struct crashfs *after)
{
	struct viewing *v = ctx;
	uint64_t digest = crashfs_digest(after), mixed = digest ^ v->expectation;
	const char *wrong;

	v->number++;
	film_totals.states++;
	if (!numbers_add(&v->distinct, digest))
		return;
	film_totals.distinct++;
	if (!numbers_add(&checked, cfs_draw(&mixed)))
		return;
	film_totals.checked++;
	wrong = film_check(v->film, v->frame, after, mixed);
	if (wrong)
		fail_msg("%s: %s, seed %llu: frame %u (before %s), state %llu: %s\n%s",
			 v->film->options.name, v->film->step,
			 (unsigned long long)v->film->options.seed, v->frame->number,
			 v->frame->call, (unsigned long long)v->number, wrong, crashfs_log(after));
}

static void drop_frames(struct film *film)
{
	for (size_t i = 0; i < film->n_frames; i++)
		crashfs_destroy(film->frames[i].disk);
	film->n_frames = 0;
}

static void view_frames(struct film *film)
{
	for (size_t i = 0; i < film->n_frames; i++) {
		struct film_frame *frame = &film->frames[i];
		struct viewing v = { .film = film, .frame = frame };
		bool complete;

		film_totals.frames++;
		v.expectation = expectation(film, frame);
		(void)crashfs_each_state(frame->disk, film->options.whole, film->options.limit,
					 film->options.seed * 1000003 + frame->number, view, &v,
					 &complete);
		film_totals.complete += complete;
		numbers_done(&v.distinct);
	}
	drop_frames(film);
}

/* ---- Taking frames ---- */

static void take_frame(struct film *film, const char *call, bool exact)
{
	void *frames = film->frames;
	struct film_frame *frame;

	cfs_reserve(&frames, &film->frames_size, film->n_frames + 1, sizeof(*film->frames));
	film->frames = frames;
	frame = &film->frames[film->n_frames++];
	*frame = (struct film_frame){
		.disk = crashfs_fork(film->disk),
		.number = film->next_frame++,
		.ledger = film->n_ledgers - 1,
		.exact = exact,
		.atomic = film->atomic,
		.loose_from = film->loose_from,
	};
	memcpy(frame->epochs, film->epochs, sizeof(frame->epochs));
	(void)snprintf(frame->loose, sizeof(frame->loose), "%s", film->loose);
	(void)snprintf(frame->call, sizeof(frame->call), "%s", call);
	film->seen_changes = crashfs_changes(film->disk);
}

static void before_call(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct film *film = ctx;
	char text[FILM_CALL_SIZE];

	if (film->paused || film->seen_changes == crashfs_changes(film->disk))
		return;
	(void)snprintf(text, sizeof(text), "client %u: %s %s", client, crashfs_call_name(call),
		       path);
	/* Other threads go on while this one is here. */
	(void)pthread_mutex_lock(&film->disk->mutex);
	take_frame(film, text, false);
	(void)pthread_mutex_unlock(&film->disk->mutex);
}

/* As a process reads it that takes no part, if nothing is lost. */
static void take_ledger(struct film *film)
{
	struct crashfs *copy = crashfs_fork(film->disk);
	bool existed = crashfs_exists(copy, "/c");
	struct ledger ledger = { 0 };
	struct holder h;
	fsha_result result;
	void *ledgers = film->ledgers;

	result = holder_try_start_reader(&h, copy, FILM_CLIENT);
	if (result == FSHA_OK)
		result = ledger_read(&ledger, &h, existed);
	if (result != FSHA_OK)
		fail_msg("%s: %s: cannot read what was acknowledged: %s\n%s", film->options.name,
			 film->step, h.error.message, crashfs_log(copy));
	holder_stop(&h);
	crashfs_destroy(copy);
	cfs_reserve(&ledgers, &film->ledgers_size, film->n_ledgers + 1, sizeof(*film->ledgers));
	film->ledgers = ledgers;
	film->ledgers[film->n_ledgers++] = ledger;
}

/* ---- The interface ---- */

struct film *film_open(const struct film_options *options)
{
	struct film *film = cfs_xalloc(sizeof(*film));

	film->options = *options;
	film->step = "beginning";
	return film;
}

void film_close(struct film *film)
{
	drop_frames(film);
	for (size_t i = 0; i < film->n_ledgers; i++)
		ledger_done(&film->ledgers[i]);
	free(film->ledgers);
	free(film->frames);
	free(film);
}

void film_begin(struct film *film, struct crashfs *disk)
{
	film->disk = disk;
	take_ledger(film);
	film->seen_changes = crashfs_changes(disk);
	crashfs_hook_set(disk, before_call, film);
}

void film_step(struct film *film, const char *step, bool atomic)
{
	film->step = step;
	film->atomic = atomic;
}

void film_ack(struct film *film)
{
	take_ledger(film);
	view_frames(film);
	if (!film->paused)
		take_frame(film, "anything more", true);
}

void film_end(struct film *film)
{
	if (!film->disk)
		return;
	crashfs_hook_set(film->disk, NULL, NULL);
	film_ack(film);
	view_frames(film);
	film->disk = NULL;
}

void film_granted(struct film *film, const char *election, const struct term *term)
{
	for (size_t i = 0; film->options.elections[i]; i++)
		if (strcmp(film->options.elections[i], election) == 0)
			film->epochs[i] = term->epoch.number;
}

void film_loose(struct film *film, const char *prefix)
{
	(void)snprintf(film->loose, sizeof(film->loose), "%s", prefix ? prefix : "");
	film->loose_from = film->n_ledgers - 1;
}

void film_pause(struct film *film, bool paused)
{
	film->paused = paused;
}

void film_print_totals(void)
{
	print_message(
		"%llu power cuts, of %llu every state: %llu states drawn, %llu distinct at their "
		"moment, %llu distinct of all and checked, %llu recoveries cut\n",
		(unsigned long long)film_totals.frames, (unsigned long long)film_totals.complete,
		(unsigned long long)film_totals.states, (unsigned long long)film_totals.distinct,
		(unsigned long long)film_totals.checked, (unsigned long long)film_totals.again);
}

void film_assert_complete(unsigned percent)
{
	if (film_totals.complete * 100 < film_totals.frames * percent)
		fail_msg("every state of %llu moments of %llu, not of %u in a hundred",
			 (unsigned long long)film_totals.complete,
			 (unsigned long long)film_totals.frames, percent);
}

void film_assert_checked(uint64_t least)
{
	uint64_t seed;

	if (!test_seed(&seed) && film_totals.checked < least)
		fail_msg("%llu states were checked, not %llu or more",
			 (unsigned long long)film_totals.checked, (unsigned long long)least);
}
