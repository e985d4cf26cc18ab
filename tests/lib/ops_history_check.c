/*
 * Puts a history in order, begins to ends, and hands the parts to those who judge them.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/ops_history_internal.h"

void ops_violate(struct ops_check *c, unsigned rule, const char *format, ...)
{
	struct ops_verdict *v = c->verdict;
	struct ops_violation *violation;
	va_list args;

	assert(rule < OPS_RULES);
	v->violations[rule]++;
	if (v->total++ >= OPS_VIOLATIONS_KEPT)
		return;
	violation = &v->kept[v->total - 1];
	violation->rule = rule;
	va_start(args, format);
	(void)vsnprintf(violation->text, sizeof(violation->text), format, args);
	va_end(args);
}

static int compare(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static bool is_begin(const struct ops_event *e)
{
	return e->kind == OPS_WRITE || e->kind == OPS_REMOVE || e->kind == OPS_READ;
}

static int by_operation(const void *left, const void *right)
{
	const struct ops_event *a = *(const struct ops_event *const *)left,
			       *b = *(const struct ops_event *const *)right;

	if (a->process != b->process)
		return compare((int64_t)(intptr_t)a->process, (int64_t)(intptr_t)b->process);
	if (a->op != b->op)
		return a->op < b->op ? -1 : 1;
	/* What was logged first, when the clock stood still between begin and end. */
	if (a->time_ns != b->time_ns)
		return compare(a->time_ns, b->time_ns);
	return (a->kind == OPS_END) - (b->kind == OPS_END);
}

/* Is there a power cut in between? */
static bool is_cut(const struct ops_check *c, int64_t from_ns, int64_t to_ns)
{
	for (size_t i = 0; i < c->cuts_count; i++)
		if (c->cuts[i] > from_ns && c->cuts[i] < to_ns)
			return true;
	return false;
}

static void end_call(struct ops_check *c, struct ops_call *call, const struct ops_event *end)
{
	const struct ops_event *begin = call->begin;
	const bool reads = begin->kind == OPS_READ;
	const bool good = reads ? end->outcome != OPS_UNCLEAR &&
					  (end->outcome != OPS_OK || end->value.sequence ||
					   end->value.epoch || end->value.random) :
				  end->outcome != OPS_ABSENT && end->outcome != OPS_DAMAGED;

	if (!good)
		ops_violate(c, 0, "%" PRId64 " %s: operation %" PRIu64 " cannot end like this",
			    end->time_ns, end->process, end->op);
	else if (is_cut(c, begin->time_ns, end->time_ns))
		ops_violate(c, 0, "%" PRId64 " %s: operation %" PRIu64 " outlives a power cut",
			    end->time_ns, end->process, end->op);
	else {
		call->to_ns = end->time_ns;
		call->outcome = end->outcome;
		call->seen = end->value;
	}
}

static void begin_call(struct ops_check *c, const struct ops_event *begin)
{
	c->calls[c->calls_count++] = (struct ops_call){
		.begin = begin,
		.from_ns = begin->time_ns,
		.to_ns = OPS_NEVER,
		.outcome = OPS_UNKNOWN,
	};
	if (begin->kind != OPS_READ && begin->value.epoch != begin->epoch)
		ops_violate(c, 0,
			    "%" PRId64 " %s: operation %" PRIu64 " has a value of epoch %" PRIu64
			    " under epoch %" PRIu64,
			    begin->time_ns, begin->process, begin->op, begin->value.epoch,
			    begin->epoch);
}

/* Begins and their ends, by process and number. */
static void join_calls(struct ops_check *c)
{
	const struct ops_history *h = c->history;
	const struct ops_event **parts = ops_alloc(h->count, sizeof(*parts));
	size_t n = 0;

	for (size_t i = 0; i < h->count; i++)
		if (is_begin(&h->events[i]) || h->events[i].kind == OPS_END)
			parts[n++] = &h->events[i];
	qsort(parts, n, sizeof(*parts), by_operation);
	c->calls = ops_alloc(n, sizeof(*c->calls));
	for (size_t i = 0; i < n; i++) {
		const struct ops_event *e = parts[i], *before = i ? parts[i - 1] : NULL;
		const bool same = before && before->process == e->process && before->op == e->op;

		if (is_begin(e) && !same)
			begin_call(c, e);
		else if (!is_begin(e) && same && is_begin(before))
			end_call(c, &c->calls[c->calls_count - 1], e);
		else
			ops_violate(c, 0,
				    "%" PRId64 " %s: a second begin, or an end without one, "
				    "of operation %" PRIu64,
				    e->time_ns, e->process, e->op);
	}
	free(parts);
}

static int by_number(const void *left, const void *right)
{
	return compare(*(const int64_t *)left, *(const int64_t *)right);
}

static void find_cuts(struct ops_check *c)
{
	const struct ops_history *h = c->history;

	c->cuts = ops_alloc(h->count, sizeof(*c->cuts));
	for (size_t i = 0; i < h->count; i++)
		if (h->events[i].kind == OPS_CUT)
			c->cuts[c->cuts_count++] = h->events[i].time_ns;
	qsort(c->cuts, c->cuts_count, sizeof(*c->cuts), by_number);
}

static int by_key(const void *left, const void *right)
{
	const struct ops_event *a = ((const struct ops_call *)left)->begin,
			       *b = ((const struct ops_call *)right)->begin;
	int order = strcmp(a->election, b->election);

	if (order == 0)
		order = strcmp(a->key, b->key);
	return order;
}

static const struct ops_election *election_of(const struct ops_check *c, const char *name)
{
	for (size_t i = 0; i < c->elections_count; i++)
		if (c->elections[i].name == name)
			return &c->elections[i];
	return NULL;
}

/* How many of these writes nobody can place. */
static size_t count_unclear(const struct ops_call *calls, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += calls[i].outcome == OPS_UNCLEAR;
	return n;
}

static void check_keys(struct ops_check *c)
{
	size_t n, unclear;

	qsort(c->calls, c->calls_count, sizeof(*c->calls), by_key);
	for (size_t i = 0; i < c->calls_count; i += n) {
		n = 1;
		while (i + n < c->calls_count && by_key(&c->calls[i], &c->calls[i + n]) == 0)
			n++;
		unclear = count_unclear(&c->calls[i], n);
		if (unclear == 0)
			ops_check_register(c, election_of(c, c->calls[i].begin->election),
					   &c->calls[i], n);
		c->verdict->keys++;
		c->verdict->unclear += unclear;
		c->verdict->keys_unclear += unclear > 0;
	}
}

static void count(struct ops_check *c)
{
	struct ops_verdict *v = c->verdict;

	v->events = c->history->count;
	v->operations = c->calls_count;
	for (size_t i = 0; i < c->calls_count; i++) {
		const bool reads = c->calls[i].begin->kind == OPS_READ;

		v->reads += reads;
		v->writes += !reads;
		v->unknown += !reads && c->calls[i].outcome == OPS_UNKNOWN;
	}
	for (size_t i = 0; i < c->elections_count; i++)
		v->grants += c->elections[i].count;
}

bool ops_history_check(struct ops_history *h, unsigned flags, struct ops_verdict *ret_verdict)
{
	struct ops_check c = { .history = h, .verdict = ret_verdict, .flags = flags };

	memset(ret_verdict, 0, sizeof(*ret_verdict));
	find_cuts(&c);
	join_calls(&c);
	ops_check_leaders(&c);
	check_keys(&c);
	count(&c);
	for (size_t i = 0; i < c.elections_count; i++)
		free(c.elections[i].grants);
	free(c.elections);
	free(c.calls);
	free(c.cuts);
	return ret_verdict->total == 0;
}

void ops_verdict_print(const struct ops_verdict *verdict)
{
	for (size_t i = 0; i < verdict->total && i < OPS_VIOLATIONS_KEPT; i++)
		(void)fprintf(stderr, "rule %u: %s\n", verdict->kept[i].rule,
			      verdict->kept[i].text);
	if (verdict->total > OPS_VIOLATIONS_KEPT)
		(void)fprintf(stderr, "... and %zu more\n", verdict->total - OPS_VIOLATIONS_KEPT);
}
