/*
 * A storm: starts a cluster of real processes, disturbs it in one way, lets it heal, ends it, and
 * tells in one line what happened. tests/storm/check_storm.sh makes the filesystems and judges the
 * histories.
 *
 *   storm_run disturbance=NAME storage=DIR logs=DIR [NAME=VALUE...]
 */
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/run.h"
#include "tests/storm/crowd.h"
#include "tests/storm/stores.h"

#define HEALED_WRITES 3

static const struct {
	const char *name;
	size_t offset;
	bool is_text;
} options[] = {
#define TEXT(name)                                        \
	{                                                 \
#name, offsetof(struct crowd, name), true \
	}
#define NUMBER(name)                                       \
	{                                                  \
#name, offsetof(struct crowd, name), false \
	}
	TEXT(disturbance), TEXT(storage),      TEXT(logs),       TEXT(device),
	TEXT(type),        TEXT(faketime),     NUMBER(members),  NUMBER(readers),
	NUMBER(count),     NUMBER(lease_ms),   NUMBER(pause_us), NUMBER(interval_us),
	NUMBER(min_terms), NUMBER(min_writes),
#undef TEXT
#undef NUMBER
};

static bool set_option(struct crowd *c, const char *arg)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		size_t len = strlen(options[i].name);
		void *place = (char *)c + options[i].offset;

		if (strncmp(arg, options[i].name, len) != 0 || arg[len] != '=')
			continue;
		if (options[i].is_text)
			*(const char **)place = arg + len + 1;
		else
			*(unsigned long *)place = strtoul(arg + len + 1, NULL, 10);
		return true;
	}
	return false;
}

/* From here on nothing is done to it: somebody leads, and everything can be written. */
static void heal(struct crowd *c)
{
	/* What a member may need that was taken for dead, or takes another for it, twice over. */
	const uint64_t bound_ns = (uint64_t)c->lease_ms * 5000000 + UINT64_C(10000000000);
	char text[64];

	crowd_log(c, "healed");
	crowd_await_leaders(c);
	crowd_await_writes(c, HEALED_WRITES);
	(void)snprintf(text, sizeof(text), "end %" PRIu64, bound_ns);
	crowd_log(c, text);
}

static void assert_enough(struct crowd *c)
{
	uint64_t terms = page_terms(c->page);

	if (terms < c->min_terms)
		crowd_fail(c, "only %" PRIu64 " terms, not %lu", terms, c->min_terms);
	for (int k = 0; k < KINDS; k++) {
		const struct counts *n = &c->page->counts[k];
		uint64_t writes = atomic_load(&n->acknowledged);

		if (writes < c->min_writes)
			crowd_fail(c, "only %" PRIu64 " writes in %s, not %lu", writes,
				   store_kinds[k].name, c->min_writes);
		if (atomic_load(&n->reads) + atomic_load(&n->absent) == 0)
			crowd_fail(c, "nothing was read from %s", store_kinds[k].name);
	}
	if (atomic_load(&c->page->violations))
		crowd_fail(c, "%" PRIu64 " violations, see stderr.*",
			   atomic_load(&c->page->violations));
}

/* The figures: names and numbers, which check_storm.sh adds up. */
static void print_counts(const struct crowd *c, double seconds)
{
	const struct page *page = c->page;
	struct {
		uint64_t writes, removals, doubt, failed, no_space, no_leader, reads;
	} sum = { 0 };
	uint64_t fewest = UINT64_MAX;
	int least = 0;

	for (int k = 0; k < KINDS; k++) {
		const struct counts *n = &page->counts[k];

		sum.writes += atomic_load(&n->acknowledged);
		sum.removals += atomic_load(&n->removed);
		sum.doubt += atomic_load(&n->doubt);
		sum.failed += atomic_load(&n->failed);
		sum.no_space += atomic_load(&n->no_space);
		sum.no_leader += atomic_load(&n->fenced);
		sum.reads += atomic_load(&n->reads) + atomic_load(&n->absent);
		if (atomic_load(&n->acknowledged) < fewest) {
			fewest = atomic_load(&n->acknowledged);
			least = k;
		}
	}
	(void)printf(
		"%s on %s: %.0f s, %lu kills, %lu killed_leaders, %lu stops, %lu stopped_writes, "
		"%lu cycles, "
		"%lu jumps, %" PRIu64 " terms, %" PRIu64 " writes, %" PRIu64 " removals, %" PRIu64
		" in_doubt, %" PRIu64 " failed, %" PRIu64 " no_space, %" PRIu64
		" no_leader, %" PRIu64 " retaken, %" PRIu64 " reads; fewest writes: %" PRIu64
		" in %s\n",
		c->disturbance, c->type, seconds, c->kills, c->kills_of_leaders, c->stops,
		c->stops_of_writes, c->cycles, c->jumps, page_terms(page), sum.writes, sum.removals,
		sum.doubt, sum.failed, sum.no_space, sum.no_leader, atomic_load(&page->regranted),
		sum.reads, fewest, store_kinds[least].name);
}

static void on_alarm(int signal_number)
{
	(void)signal_number;
	_exit(9); /* the processes die with it */
}

int main(int argc, char **argv)
{
	static struct crowd c = {
		.disturbance = "",
		.type = "?",
		.members = 3,
		.readers = 1,
		.count = 10,
		.lease_ms = 2000,
		.pause_us = 2000,
		.interval_us = 100000,
	};
	int64_t start_ns = page_now_ns();
	const struct disturbance *d = disturbances;

	for (int i = 1; i < argc; i++)
		if (!set_option(&c, argv[i])) {
			(void)fprintf(stderr, "storm_run: what is '%s'?\n", argv[i]);
			return 2;
		}
	while (d->name && strcmp(d->name, c.disturbance) != 0)
		d++;
	if (!d->name || !c.storage || !c.logs || c.members + c.readers > PAGE_SLOTS) {
		(void)fprintf(stderr, "storm_run: disturbance, storage or logs: see the source\n");
		return 2;
	}
	c.seed = (uint64_t)start_ns;
	(void)test_seed(&c.seed);
	/* If whoever started it ends, the kernel wakes what is stopped in the same session. */
	(void)setsid();
	(void)signal(SIGALRM, on_alarm);
	(void)alarm(1800);
	crowd_open(&c);
	crowd_start_all(&c);
	crowd_await_leaders(&c);
	d->run(&c);
	heal(&c);
	crowd_end(&c);
	assert_enough(&c);
	print_counts(&c, (double)(page_now_ns() - start_ns) / 1e9);
	return 0;
}
