/* Processes that are killed, and processes that are stopped for longer than their lease. */
#include <stdio.h>
#include <time.h>

#include "tests/storm/crowd.h"

#define CALM 64            /* kills after which everything must work again */
#define CALM_WRITES 8      /* of each kind, however slow the machine is */
#define BURST 48           /* one kill in so many is one of all at once */
#define WRITE_NS 200000000 /* that a leader does not write for */
#define WAKE_MS 300        /* beyond the lease and a quarter of it */

/* ---- killed ---- */

/* A leader more often than not. */
static unsigned pick_victim(struct crowd *c)
{
	int leader = -1;

	if (crowd_random(c, 10) < 6)
		leader = crowd_leader(c, (enum election)crowd_random(c, ELECTIONS));
	return leader >= 0 ? (unsigned)leader : (unsigned)crowd_random(c, c->members);
}

static void kill_several(struct crowd *c)
{
	for (unsigned i = 0; i < c->members && c->kills < c->count; i++)
		crowd_kill(c, i);
	crowd_start_all(c);
}

static void disturb_kills(struct crowd *c)
{
	unsigned long calm = CALM;

	while (c->kills < c->count) {
		unsigned victim;

		crowd_sleep(c, crowd_random(c, 2 * c->interval_us));
		if (crowd_random(c, BURST) == 0) {
			kill_several(c);
			continue;
		}
		victim = pick_victim(c);
		crowd_kill(c, victim);
		crowd_start(c, victim);
		if (c->kills >= calm) {
			crowd_await_leaders(c);
			crowd_await_writes(c, CALM_WRITES);
			calm = c->kills + CALM;
		}
	}
}

/* ---- stopped ---- */

static bool is_replaced(const struct crowd *c, const uint64_t *epochs)
{
	for (int e = 0; e < ELECTIONS; e++) {
		int leader = epochs[e] ? crowd_leader(c, (enum election)e) : -1;

		if (epochs[e] &&
		    (leader < 0 || atomic_load(&c->page->slots[leader].leads[e]) <= epochs[e]))
			return false;
	}
	return true;
}

static bool is_revoked(const struct slot *slot, const uint64_t *epochs)
{
	for (int e = 0; e < ELECTIONS; e++)
		if (epochs[e] && atomic_load(&slot->leads[e]) == epochs[e])
			return false;
	return true;
}

/* Most of them are stopped in the middle of a write, wherever in it that is. */
static void await_write(struct crowd *c, unsigned victim)
{
	const struct timespec pause = { 0, 100000 };
	int64_t end_ns = page_now_ns() + WRITE_NS;

	if (crowd_random(c, 4) == 0)
		return;
	while (!atomic_load(&c->page->slots[victim].writing) && page_now_ns() < end_ns)
		(void)nanosleep(&pause, NULL);
	for (uint64_t us = crowd_random(c, 10); us > 0; us--)
		(void)nanosleep(&pause, NULL);
}

/* Stop it until it is replaced everywhere; when it wakes up it must find out by itself. */
static void stop_one(struct crowd *c, unsigned victim)
{
	struct slot *slot = &c->page->slots[victim];
	int64_t end_ns = page_now_ns() + LIMIT_NS;
	uint64_t epochs[ELECTIONS];

	await_write(c, victim);
	crowd_stop(c, victim);
	for (int e = 0; e < ELECTIONS; e++)
		epochs[e] = atomic_load(&slot->leads[e]);
	crowd_sleep(c, (c->lease_ms + c->lease_ms / 4 + WAKE_MS) * 1000 +
			       crowd_random(c, c->lease_ms * 500));
	while (!is_replaced(c, epochs)) {
		if (page_now_ns() > end_ns)
			crowd_fail(c, "nobody takes over from stopped process %u", victim);
		crowd_sleep(c, 5000);
	}
	crowd_continue(c, victim);
	end_ns = page_now_ns() + LIMIT_NS;
	while (!is_revoked(slot, epochs)) {
		if (page_now_ns() > end_ns)
			crowd_fail(c, "process %u woke up and is not revoked", victim);
		crowd_sleep(c, 2000);
	}
}

static void disturb_stops(struct crowd *c)
{
	while (c->stops < c->count) {
		enum election e = (enum election)crowd_random(c, ELECTIONS);
		int victim;

		crowd_await_leaders(c);
		crowd_sleep(c, crowd_random(c, 2 * c->interval_us));
		victim = crowd_leader(c, e);
		if (victim >= 0)
			stop_one(c, (unsigned)victim);
	}
}

const struct disturbance disturbances[] = {
	{ "kills", disturb_kills },
	{ "stops", disturb_stops },
	{ "space", disturb_space },
	{ "inodes", disturb_inodes },
	{ "shutdown", disturb_shutdown },
	{ "clocks", disturb_clocks },
	{ NULL, NULL },
};
