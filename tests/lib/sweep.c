#include "tests/lib/sweep.h"

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/crashfs_internal.h"
#include "tests/lib/sweep_internal.h"
#include "tests/lib/swept.h"

/* Power cuts that leave a part, besides those that leave all or nothing. */
#define CUTS 3
#define CUTS_EXHAUSTIVE 32
/* An operation with a fault may repeat and wait, but not for ever. */
#define CALLS_FACTOR 64
#define CALLS_EXTRA 100000

/* ---- Which call can fail how ---- */

static const int errors[] = {
	EIO, ENOSPC, EDQUOT, ESTALE, EINTR, EACCES, EROFS, EMFILE, ENOMEM, ENOLCK, ETIMEDOUT,
};
#define N_ERRORS (sizeof(errors) / sizeof(errors[0]))

/* Bits in the order of `errors`. */
enum {
	B_IO = 1 << 0,
	B_NOSPC = 1 << 1,
	B_DQUOT = 1 << 2,
	B_STALE = 1 << 3,
	B_INTR = 1 << 4,
	B_ACCES = 1 << 5,
	B_ROFS = 1 << 6,
	B_MFILE = 1 << 7,
	B_NOMEM = 1 << 8,
	B_NOLCK = 1 << 9,
	B_TIMEDOUT = 1 << 10,
	B_ASK = B_IO | B_STALE | B_INTR | B_ACCES | B_NOMEM | B_TIMEDOUT,
	B_CHANGE = B_ASK | B_NOSPC | B_DQUOT | B_ROFS
};

/*
 * What is left out here cannot come from the call on any filesystem: only a lock lacks locks, only
 * what opens something runs out of descriptors, only what changes something of space. There is no
 * file behind a number from the kernel's generator or behind memory, whose only error is NULL.
 */
static const struct {
	unsigned asks, changes;
	int lost; /* what a resend finds when the first one was done, besides the errors above */
} table[CRASHFS_CALLS] = {
	[CRASHFS_OPENAT] = { B_ASK | B_MFILE, B_CHANGE | B_MFILE, EEXIST },
	[CRASHFS_CLOSE] = { B_IO | B_NOSPC | B_DQUOT | B_STALE | B_INTR, 0, 0 },
	[CRASHFS_PREAD] = { B_ASK, 0, 0 },
	[CRASHFS_WRITE] = { 0, B_CHANGE, 0 },
	[CRASHFS_FSYNC] = { 0, B_CHANGE, 0 },
	[CRASHFS_RENAMEAT] = { 0, B_CHANGE, ENOENT },
	[CRASHFS_UNLINKAT] = { 0, B_CHANGE, ENOENT },
	[CRASHFS_MKDIRAT] = { 0, B_CHANGE, EEXIST },
	[CRASHFS_STATX] = { B_ASK, 0, 0 },
	[CRASHFS_GETDENTS] = { B_ASK, 0, 0 },
	[CRASHFS_REWIND] = { B_IO | B_STALE, 0, 0 },
	[CRASHFS_LOCK] = { B_ASK | B_NOLCK, B_ASK | B_NOLCK, 0 },
	[CRASHFS_FSTATFS] = { B_ASK, 0, 0 },
	[CRASHFS_MOUNTINFO] = { B_IO | B_ACCES | B_MFILE | B_NOMEM, 0, 0 },
	[CRASHFS_MOUNTSTATS] = { B_IO | B_ACCES | B_MFILE | B_NOMEM, 0, 0 },
	[CRASHFS_NOTIFY] = { 0, 0, 0 }, /* has failed already: there is none */
	[CRASHFS_RANDOM] = { B_IO | B_INTR, 0, 0 },
	[CRASHFS_ALLOC] = { B_NOMEM, 0, 0 },
	[CRASHFS_CLONE] = { 0, B_CHANGE, 0 },
};

struct way {
	int error;
	enum crashfs_mode mode;
};
#define WAYS_MAX (2 * N_ERRORS + 3)

static bool can_be_short(enum crashfs_call kind)
{
	return kind == CRASHFS_PREAD || kind == CRASHFS_WRITE || kind == CRASHFS_GETDENTS;
}

static size_t list_ways(const struct sweep_call *call, bool exhaustive, struct way *ret_ways)
{
	unsigned mask = call->changes ? table[call->kind].changes : table[call->kind].asks;
	size_t n = 0;

	if (exhaustive && call->kind != CRASHFS_ALLOC)
		mask = (1u << N_ERRORS) - 1;
	for (size_t i = 0; i < N_ERRORS; i++) {
		if (!(mask & 1u << i))
			continue;
		ret_ways[n++] = (struct way){ errors[i], CRASHFS_NOT_DONE };
		if (call->changes)
			ret_ways[n++] = (struct way){ errors[i], CRASHFS_DONE };
	}
	if (call->changes && table[call->kind].lost)
		ret_ways[n++] = (struct way){ table[call->kind].lost, CRASHFS_DONE };
	if (can_be_short(call->kind))
		ret_ways[n++] = (struct way){ 0, CRASHFS_SHORT };
	ret_ways[n++] = (struct way){ 0, CRASHFS_CRASH };
	assert(n <= WAYS_MAX);
	return n;
}

/* ---- One run ---- */

const char *sweep_say(const char *format, ...)
{
	static char text[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return text;
}

static const char *mode_name(enum crashfs_mode mode)
{
	static const char *const mode_names[] = { "not done", "done", "short", "power cut" };

	return mode_names[mode];
}

/* What is being tried, for messages. */
static void describe(struct sweep *s, const struct crashfs_fault *faults, unsigned n_faults,
		     const struct sweep_call *calls)
{
	size_t len;

	(void)snprintf(s->note, sizeof(s->note), "%s, seed %llu%s", s->scenario->name,
		       (unsigned long long)s->scenario->options.seed,
		       n_faults == 0 ? ", no fault" : "");
	for (unsigned i = 0; i < n_faults; i++) {
		len = strlen(s->note);
		(void)snprintf(s->note + len, sizeof(s->note) - len, ", %s %llu (%s) %s %s%s",
			       faults[i].calls_mask ? "of its kind" : "call",
			       (unsigned long long)faults[i].at, crashfs_call_name(calls[i].kind),
			       faults[i].error ? strerrorname_np(faults[i].error) : "",
			       mode_name(faults[i].mode), faults[i].repeat ? " from then on" : "");
	}
}

static void fail_run(struct sweep *s, struct crashfs *c, const char *where, const char *what)
{
	size_t room = sizeof(s->report->text) - s->text_len;
	int n;

	if (s->report->failures++ >= SWEEP_FAILURES_MAX)
		return;
	n = snprintf(s->report->text + s->text_len, room, "%s%s: %s\n%s", s->note, where, what,
		     crashfs_log(c));
	if (n > 0)
		s->text_len += (size_t)n < room ? (size_t)n : room - 1;
}

static void check(struct sweep *s, struct crashfs *c, struct crashfs *after,
		  const struct sweep_run *run, const char *where)
{
	const char *wrong;

	s->report->checks++;
	wrong = s->scenario->check(s->scenario->ctx, after, run);
	if (wrong)
		fail_run(s, c, where, wrong);
}

/* Look at copies that went through a power cut: `parts` random ones, all lost, and all kept. */
static void check_cuts(struct sweep *s, struct crashfs *c, const struct sweep_run *run,
		       unsigned parts)
{
	char where[64];

	for (unsigned i = 0; i < parts + 2; i++) {
		struct crashfs *copy = crashfs_fork(c);
		uint64_t seed = s->scenario->options.seed * 1000 + s->report->runs * 10 + i;

		if (i == 0) {
			crashfs_crash_losing_all(copy);
			(void)snprintf(where, sizeof(where), ", all lost");
		} else if (i == 1) {
			crashfs_crash_keeping_all(copy);
			(void)snprintf(where, sizeof(where), ", all kept");
		} else {
			crashfs_crash(copy, seed);
			(void)snprintf(where, sizeof(where), ", crash seed %llu",
				       (unsigned long long)seed);
		}
		crashfs_recover(copy);
		check(s, c, copy, run, where);
		crashfs_destroy(copy);
	}
}

static void check_leaks(struct sweep *s, struct crashfs *c)
{
	char text[128];

	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++) {
		if (crashfs_open_fds(c, i) == 0)
			continue;
		(void)snprintf(text, sizeof(text),
			       "client %u has %u descriptors open, the first of '%s'", i,
			       crashfs_open_fds(c, i), c->clients[i].descs[0].path);
		fail_run(s, c, "", text);
	}
	if (crashfs_bytes_allocated(c) > 0) {
		(void)snprintf(text, sizeof(text), "%zu bytes are not released",
			       crashfs_bytes_allocated(c));
		fail_run(s, c, "", text);
	}
}

static void remember_calls(struct sweep *s, const struct crashfs *c)
{
	uint64_t n = crashfs_count(c, s->scenario->client);
	struct sweep_call call;

	free(s->calls);
	s->calls = cfs_xalloc(n * sizeof(*s->calls));
	s->n_calls = 0;
	while (s->n_calls < n &&
	       crashfs_call_at(c, s->scenario->client, s->n_calls, &call.kind, &call.changes))
		s->calls[s->n_calls++] = call;
}

static bool is_cut(const struct crashfs_fault *faults, unsigned n_faults)
{
	return n_faults > 0 && faults[n_faults - 1].mode == CRASHFS_CRASH;
}

void sweep_once(struct sweep *s, const struct crashfs_fault *faults, unsigned n_faults,
		const struct sweep_call *calls, bool remember)
{
	const struct sweep_scenario *sc = s->scenario;
	struct sweep_run run = { .faults = faults, .n_faults = n_faults };
	struct crashfs *c = crashfs_create(&sc->options);
	unsigned parts = sc->exhaustive ? CUTS_EXHAUSTIVE : CUTS;
	unsigned fired;

	s->report->runs++;
	describe(s, faults, n_faults, calls);
	c->note = s->note;
	if (sc->setup)
		sc->setup(sc->ctx, c);
	crashfs_count_reset(c);
	for (unsigned i = 0; i < n_faults; i++)
		crashfs_fault_arm(c, &faults[i]);
	c->calls_left = s->n_calls * CALLS_FACTOR + CALLS_EXTRA;
	swept_begin(s->kind, sc->name);
	run.outcome = sc->operation(sc->ctx, crashfs_client(c, sc->client));
	if (n_faults == 0)
		swept_end();
	fired = crashfs_faults_fired(c);
	crashfs_fault_clear(c);
	if (remember)
		remember_calls(s, c);
	if (fired < n_faults)
		fail_run(s, c, "", "the operation does not make the same calls each time");
	if (is_cut(faults, n_faults)) {
		/* What is on disk is the same before a call that only asks and before the next. */
		run.when = SWEEP_CUT_DURING;
		check_cuts(s, c, &run, calls[n_faults - 1].changes ? parts : 0);
		crashfs_recover(c);
	} else {
		/* The copies first: a look at the filesystem itself may go on working on it. */
		run.when = SWEEP_CUT_AFTER;
		check_cuts(s, c, &run, sc->exhaustive ? parts : 0);
		run.when = SWEEP_RETURNED;
		check(s, c, c, &run, "");
	}
	if (sc->teardown)
		sc->teardown(sc->ctx, c);
	check_leaks(s, c);
	crashfs_destroy(c);
}

bool sweep_run(const struct sweep_scenario *scenario, struct sweep_report *ret_report)
{
	struct sweep s = { .scenario = scenario, .report = ret_report, .kind = "sweep" };
	struct way ways[WAYS_MAX];

	*ret_report = (struct sweep_report){ 0 };
	sweep_once(&s, NULL, 0, NULL, true);
	ret_report->calls = s.n_calls;
	for (uint64_t at = 0; at < s.n_calls && !sweep_enough(&s) && !swept_listing();
	     at += sweep_step(&s)) {
		size_t n = list_ways(&s.calls[at], scenario->exhaustive, ways);

		for (size_t i = 0; i < n && !sweep_enough(&s); i++) {
			struct crashfs_fault fault = {
				.client = scenario->client,
				.at = at,
				.error = ways[i].error,
				.mode = ways[i].mode,
			};

			sweep_once(&s, &fault, 1, &s.calls[at], false);
		}
	}
	free(s.calls);
	return ret_report->failures == 0;
}

/* ---- Pairs ---- */

static size_t list_ways_of_pairs(const struct sweep_call *call, bool second, struct way *ret_ways)
{
	int error = call->kind == CRASHFS_ALLOC ? ENOMEM : EIO;
	size_t n = 0;

	if (call->kind != CRASHFS_NOTIFY)
		ret_ways[n++] = (struct way){ error, CRASHFS_NOT_DONE };
	if (call->changes)
		ret_ways[n++] = (struct way){ error, CRASHFS_DONE };
	if (can_be_short(call->kind) && !second)
		ret_ways[n++] = (struct way){ 0, CRASHFS_SHORT };
	if (second && call->changes)
		ret_ways[n++] = (struct way){ 0, CRASHFS_CRASH };
	return n;
}

/* The calls after a fault are other ones than without: they are learnt from a run with it alone. */
static void run_pairs_of(struct sweep *s, const struct crashfs_fault *first, struct sweep_call hit,
			 unsigned window)
{
	struct crashfs_fault faults[2] = { *first };
	struct sweep_call calls[2] = { hit };
	struct way ways[WAYS_MAX];

	sweep_once(s, faults, 1, calls, true);
	for (uint64_t at = first->at + 1; at <= first->at + window && at < s->n_calls; at++) {
		size_t n;

		calls[1] = s->calls[at];
		n = list_ways_of_pairs(&calls[1], true, ways);
		for (size_t i = 0; i < n && !sweep_enough(s); i++) {
			faults[1] = (struct crashfs_fault){
				.client = first->client,
				.at = at,
				.error = ways[i].error,
				.mode = ways[i].mode,
			};
			sweep_once(s, faults, 2, calls, false);
		}
	}
}

bool sweep_run_pairs(const struct sweep_scenario *scenario, unsigned window,
		     struct sweep_report *ret_report)
{
	struct sweep s = { .scenario = scenario, .report = ret_report, .kind = "pairs" };
	struct way ways[WAYS_MAX];
	struct sweep_call *calls;
	uint64_t n_calls;

	*ret_report = (struct sweep_report){ 0 };
	sweep_once(&s, NULL, 0, NULL, true);
	ret_report->calls = n_calls = s.n_calls;
	calls = s.calls;
	s.calls = NULL;
	for (uint64_t at = 0; at < n_calls && !sweep_enough(&s) && !swept_listing();
	     at += sweep_step(&s)) {
		size_t n = list_ways_of_pairs(&calls[at], false, ways);

		for (size_t i = 0; i < n && !sweep_enough(&s); i++) {
			struct crashfs_fault fault = {
				.client = scenario->client,
				.at = at,
				.error = ways[i].error,
				.mode = ways[i].mode,
			};

			run_pairs_of(&s, &fault, calls[at], window);
		}
	}
	free(calls);
	free(s.calls);
	return ret_report->failures == 0;
}

/* ---- In a test ---- */

void sweep_assert_report(bool ok, const struct sweep_report *report)
{
	if (!ok) {
		print_error("%s%llu failures in %llu runs\n", report->text,
			    (unsigned long long)report->failures, (unsigned long long)report->runs);
		fail();
	}
	/* A sweep over nothing proves nothing. */
	assert_true(report->calls > 0);
}

void sweep_assert(const struct sweep_scenario *scenario)
{
	struct sweep_report report;

	sweep_assert_report(sweep_run(scenario, &report), &report);
}

void sweep_assert_pairs(const struct sweep_scenario *scenario, unsigned window)
{
	struct sweep_report report;

	sweep_assert_report(sweep_run_pairs(scenario, window, &report), &report);
}
