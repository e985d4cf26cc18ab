/*
 * Clocks that jump and clocks that disagree: nothing happens. The first contender sees a wall clock
 * that jumps by hours (libfaketime), the others have a boot time of their own (time namespaces).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/storm/crowd.h"

#define STEADY_US 2000000
#define JUMPS 20 /* in that time */
#define DAY_S INT64_C(86400)

/* libfaketime reads the file with each look at the clock. */
static void jump(struct crowd *c, const char *path)
{
	char text[64];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int n = snprintf(text, sizeof(text), "%c%" PRIu64 "h\n", crowd_random(c, 2) ? '+' : '-',
			 1 + crowd_random(c, 48));

	if (fd < 0 || write(fd, text, (size_t)n) != n)
		crowd_fail(c, "cannot write '%s': %s", path, strerror(errno));
	(void)close(fd);
}

static uint64_t revokes(const struct crowd *c)
{
	uint64_t sum = 0;

	for (int e = 0; e < ELECTIONS; e++)
		sum += atomic_load(&c->page->revokes[e]);
	return sum;
}

/* No term ends, none begins, and the leaders write. */
static void assert_steady(struct crowd *c, const char *path)
{
	const uint64_t terms = page_terms(c->page), ended = revokes(c);

	for (int i = 0; i < JUMPS; i++) {
		jump(c, path);
		crowd_sleep(c, STEADY_US / JUMPS);
	}
	crowd_await_writes(c, 1);
	if (page_terms(c->page) != terms || revokes(c) != ended)
		crowd_fail(c, "%" PRIu64 " terms began and %" PRIu64 " ended without a cause",
			   page_terms(c->page) - terms, revokes(c) - ended);
}

/* How long it takes until another one leads, in each election that it led. */
static void await_successors(struct crowd *c, int64_t limit_ns, const char *after)
{
	const int64_t start_ns = page_now_ns();

	crowd_await_leaders(c);
	if (page_now_ns() - start_ns > limit_ns)
		crowd_fail(c, "a failover after %s took %" PRId64 " ms", after,
			   (page_now_ns() - start_ns) / 1000000);
}

/* Killed: its lock tells. Stopped: its heartbeat does, which each counts by its own clock. */
static void replace_leaders(struct crowd *c)
{
	const int64_t lease_ns = (int64_t)c->lease_ms * 1000000;
	int leader = crowd_leader(c, (enum election)crowd_random(c, ELECTIONS));

	if (leader < 0)
		crowd_fail(c, "nobody leads");
	if (c->cycles % 3 == 2) {
		crowd_stop(c, (unsigned)leader);
		/* A slow machine gets as much again. */
		await_successors(c, 3 * lease_ns, "a stop");
		crowd_continue(c, (unsigned)leader);
	}
	crowd_kill(c, (unsigned)leader);
	await_successors(c, lease_ns, "a kill");
	crowd_start(c, (unsigned)leader);
}

static void disagree(struct crowd *c, const char *path)
{
	(void)setenv("FAKETIME_TIMESTAMP_FILE", path, 1);
	(void)setenv("FAKETIME_NO_CACHE", "1", 1);
	(void)setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1", 1);
	(void)setenv("DONT_FAKE_MONOTONIC", "1", 1);
	c->all[0].preload = c->faketime;
	for (unsigned i = 1; i < c->members; i++)
		c->all[i].boottime_offset_s = i % 2 ? (int64_t)i * DAY_S * 100 : -(int64_t)i * 10;
}

static void await_ready(struct crowd *c)
{
	int64_t end_ns = page_now_ns() + LIMIT_NS;

	for (unsigned i = 0; i < c->members; i++)
		while (atomic_load(&c->page->slots[i].ready) != c->all[i].incarnation) {
			if (page_now_ns() > end_ns)
				crowd_fail(c, "process %u does not take part", i);
			crowd_sleep(c, 5000);
		}
}

/* The clocks were what they should be: no two boot times alike, the wall clock in motion. */
static void assert_disagreed(struct crowd *c)
{
	for (unsigned i = 1; i < c->members; i++) {
		int64_t off_ns = atomic_load(&c->page->slots[i].boottime_ns) -
				 atomic_load(&c->page->slots[0].boottime_ns);

		if (llabs(off_ns / 1000000000 - c->all[i].boottime_offset_s) > 1)
			crowd_fail(c, "process %u has the boot time of the host", i);
	}
	c->jumps = atomic_load(&c->page->slots[0].jumps);
	if (c->jumps < c->count * JUMPS / 2)
		crowd_fail(c, "the wall clock of the first process jumped only %lu times",
			   c->jumps);
}

void disturb_clocks(struct crowd *c)
{
	char path[600];

	(void)snprintf(path, sizeof(path), "%s/faketime", c->logs);
	jump(c, path);
	for (unsigned i = 0; i < c->members; i++)
		crowd_kill(c, i);
	c->kills = c->kills_of_leaders = 0;
	disagree(c, path);
	/* The first one leads everything to begin with. */
	crowd_start(c, 0);
	crowd_await_leaders(c);
	crowd_start_all(c);
	await_ready(c);
	for (c->cycles = 0; c->cycles < c->count; c->cycles++) {
		assert_steady(c, path);
		replace_leaders(c);
		await_ready(c);
	}
	assert_disagreed(c);
}
