/*
 * One key as a register whose writes have a known order: rules 2 to 5.
 *
 * Writes have a rank: 0 is the nothing that a history begins with, 1 and up are the writes in the
 * order of (epoch, sequence). A sweep through time carries the floor: the highest rank that must be
 * in effect by now, with the reason. A read is held to the floor of its begin and, at its end,
 * raises it. The other side, a read of what is not written yet, needs no floor: ranks rise with
 * time.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/ops_history_internal.h"

enum why {
	BY_NOTHING,
	BY_ACK,   /* acknowledged before */
	BY_READ,  /* seen before */
	BY_FENCE, /* in effect before a grant or a power cut, or never: and it is not never */
};

struct floor {
	size_t rank;
	enum why why;
	const struct ops_call *seen_by; /* BY_READ */
	int64_t fenced_ns;              /* BY_FENCE */
};

struct written {
	const struct ops_call *call;
	struct ops_value value;
	int64_t fence_ns;          /* in effect by then or never; OPS_NEVER: no limit */
	int64_t last_seen_ns;      /* begin of the last read that saw it; -1: none */
	int64_t contradicted_ns;   /* begin of the first read that it should have shown to */
	size_t next_removal;       /* the lowest rank from this on that may explain an absence */
	bool removes, acked, gone; /* failed; or begun after its fence, so it never takes effect */
};

struct seeing {
	const struct ops_call *call;
	size_t rank; /* of the value; 0 for an absent one, until it is placed */
	bool absent;
	struct floor floor; /* at its begin */
};

enum point_kind {
	POINT_BEGIN,
	POINT_ACK,
	POINT_SEEN,
	POINT_FENCE,
	POINT_CUT
};

struct point {
	int64_t time_ns;
	enum point_kind kind;
	size_t index; /* of the read, or of the write less one */
};

struct reg {
	struct ops_check *check;
	const struct ops_election *election;
	const char *key;
	struct written *writes; /* writes[rank - 1] */
	size_t writes_count;
	struct seeing *reads; /* by begin */
	size_t reads_count;
	struct point *points;
	size_t points_count;
	size_t *lowest_from; /* of the reads from this one on the lowest rank of a value */
	struct floor floor;
};

/* ---- Words ---- */

#define TEXT_SIZE 250

static const char *tell(const struct ops_call *call, char *ret_text)
{
	static const char *const outcomes[] = { "ok", "absent", "failed", "unknown", "damaged" };
	static const char *const verbs[] = { "writes", "removes with", "reads" };
	const struct ops_event *b = call->begin;
	const bool sees = b->kind == OPS_READ && call->outcome == OPS_OK;
	char value[OPS_VALUE_SIZE] = "", until[24] = "...";

	if (b->kind != OPS_READ || sees)
		ops_value_format(sees ? &call->seen : &b->value, value);
	if (call->to_ns != OPS_NEVER)
		(void)snprintf(until, sizeof(until), "%" PRId64, call->to_ns);
	(void)snprintf(ret_text, TEXT_SIZE, "%.40s %s %s, %s [%" PRId64 ", %s]", b->process,
		       verbs[b->kind - OPS_WRITE],
		       sees                ? value :
		       b->kind == OPS_READ ? "" :
					     value,
		       outcomes[call->outcome], call->from_ns, until);
	return ret_text;
}

static void blame(struct reg *g, unsigned rule, const struct ops_call *call, const char *why,
		  const struct ops_call *other)
{
	char one[TEXT_SIZE], two[TEXT_SIZE] = "";

	ops_violate(g->check, rule, "%s of %s: %s: %s%s%s", g->key, g->election->name,
		    tell(call, one), why, other ? " " : "", other ? tell(other, two) : two);
}

/* ---- The writes in their order ---- */

static int by_value(const void *left, const void *right)
{
	const struct written *a = left, *b = right;

	if (a->value.epoch != b->value.epoch)
		return a->value.epoch < b->value.epoch ? -1 : 1;
	if (a->value.sequence != b->value.sequence)
		return a->value.sequence < b->value.sequence ? -1 : 1;
	return (a->call->from_ns > b->call->from_ns) - (a->call->from_ns < b->call->from_ns);
}

/* The next power cut after a time, and the last one at or before it. */
static int64_t cut_after(const struct ops_check *c, int64_t ns)
{
	for (size_t i = 0; i < c->cuts_count; i++)
		if (c->cuts[i] > ns)
			return c->cuts[i];
	return OPS_NEVER;
}

static int64_t cut_before(const struct ops_check *c, int64_t ns)
{
	for (size_t i = c->cuts_count; i-- > 0;)
		if (c->cuts[i] <= ns)
			return c->cuts[i];
	return -1;
}

static void add_write(struct reg *g, const struct ops_call *call)
{
	const int64_t newer_ns = ops_newer_ns(g->election, call->begin->epoch);
	const int64_t cut_ns = cut_after(g->check, call->from_ns);
	struct written *w = &g->writes[g->writes_count++];

	*w = (struct written){
		.call = call,
		.value = call->begin->value,
		.fence_ns = newer_ns < cut_ns ? newer_ns : cut_ns,
		.last_seen_ns = -1,
		.contradicted_ns = OPS_NEVER,
		.removes = call->begin->kind == OPS_REMOVE,
		.acked = call->outcome == OPS_OK,
		.gone = call->outcome == OPS_FAILED || call->from_ns > newer_ns,
	};
	if (call->from_ns > newer_ns && w->acked) {
		blame(g, 2, call, "acknowledged, though it began after a newer grant", NULL);
		w->acked = false;
	}
}

static void check_order(struct reg *g)
{
	for (size_t i = 1; i < g->writes_count; i++) {
		const struct written *a = &g->writes[i - 1], *b = &g->writes[i];

		if (a->value.epoch != b->value.epoch)
			continue;
		if (a->value.sequence == b->value.sequence)
			blame(g, 0, b->call, "has the number of", a->call);
		else if (a->call->from_ns > b->call->from_ns ||
			 (a->call->to_ns > b->call->from_ns &&
			  (a->call->to_ns != OPS_NEVER ||
			   a->call->begin->process == b->call->begin->process)))
			blame(g, 0, b->call, "does not come after the end of", a->call);
	}
}

/* The rank of a value; 0: nobody wrote it to this key. */
static size_t rank_of(const struct reg *g, const struct ops_value *v)
{
	size_t low = 0, high = g->writes_count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const struct ops_value *m = &g->writes[middle].value;

		if (m->epoch < v->epoch || (m->epoch == v->epoch && m->sequence < v->sequence))
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < g->writes_count && g->writes[low].value.epoch == v->epoch &&
	       g->writes[low].value.sequence == v->sequence;
	     low++)
		if (g->writes[low].value.random == v->random && !g->writes[low].removes)
			return low + 1;
	return 0;
}

/* ---- The reads ---- */

/* What no order can explain; such a read says nothing more. */
static void add_read(struct reg *g, const struct ops_call *call)
{
	struct written *w;
	size_t rank;

	if (call->outcome == OPS_DAMAGED)
		blame(g, 4, call, "a damaged value", NULL);
	if (call->outcome != OPS_OK && call->outcome != OPS_ABSENT)
		return;
	if (call->outcome == OPS_ABSENT) {
		g->reads[g->reads_count++] = (struct seeing){ .call = call, .absent = true };
		return;
	}
	rank = rank_of(g, &call->seen);
	if (!rank) {
		blame(g, 4, call, "nobody wrote that here", NULL);
		return;
	}
	w = &g->writes[rank - 1];
	if (w->call->from_ns > call->to_ns)
		blame(g, 4, call, "before it was begun:", w->call);
	else if (w->call->outcome == OPS_FAILED)
		blame(g, 5, call, "but it was not done:", w->call);
	else if (w->gone)
		blame(g, 2, call, "but it began after a newer grant:", w->call);
	else {
		g->reads[g->reads_count++] = (struct seeing){ .call = call, .rank = rank };
		if (call->from_ns > w->last_seen_ns)
			w->last_seen_ns = call->from_ns;
	}
}

static int by_begin(const void *left, const void *right)
{
	const struct seeing *a = left, *b = right;

	if (a->call->from_ns != b->call->from_ns)
		return a->call->from_ns < b->call->from_ns ? -1 : 1;
	return (a->call->to_ns > b->call->to_ns) - (a->call->to_ns < b->call->to_ns);
}

/*
 * A removal of unknown outcome that was fenced before a read which still saw something lower never
 * happened. Kept: when that read began, for a power cut may lie between.
 */
static void find_contradiction(struct reg *g, size_t rank)
{
	struct written *w = &g->writes[rank - 1];
	size_t low = 0, high = g->reads_count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (g->reads[middle].call->from_ns <= w->fence_ns)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == g->reads_count || g->lowest_from[low] >= rank)
		return;
	while (g->reads[low].absent || g->reads[low].rank >= rank)
		low++;
	w->contradicted_ns = g->reads[low].call->from_ns;
}

/* For each rank, where the next removal is that may have happened. */
static void prepare_removals(struct reg *g)
{
	size_t lowest = SIZE_MAX, next = 0;

	for (size_t i = g->reads_count; i-- > 0;) {
		if (!g->reads[i].absent && g->reads[i].rank < lowest)
			lowest = g->reads[i].rank;
		g->lowest_from[i] = lowest;
	}
	for (size_t rank = g->writes_count; rank > 0; rank--) {
		struct written *w = &g->writes[rank - 1];

		if (w->removes && !w->gone) {
			if (!w->acked)
				find_contradiction(g, rank);
			if (w->contradicted_ns == OPS_NEVER || g->check->cuts_count)
				next = rank;
		}
		w->next_removal = next;
	}
}

/* The lowest rank that explains an absence; false: none does. */
static bool place_absent(const struct reg *g, const struct seeing *r, size_t *ret_rank)
{
	const int64_t cut_ns = cut_after(g->check, r->call->from_ns);
	size_t rank = r->floor.rank;

	*ret_rank = 0;
	if (rank == 0)
		return true;
	while (rank && rank <= g->writes_count) {
		const struct written *w;

		rank = g->writes[rank - 1].next_removal;
		if (!rank)
			break;
		w = &g->writes[rank - 1];
		if (w->call->from_ns <= r->call->to_ns && w->contradicted_ns >= cut_ns) {
			*ret_rank = rank;
			return true;
		}
		rank++;
	}
	return false;
}

/* ---- The sweep ---- */

static void raise_floor(struct reg *g, size_t rank, enum why why, const struct ops_call *seen_by,
			int64_t fenced_ns)
{
	if (rank > g->floor.rank || (rank == g->floor.rank && why == BY_ACK))
		g->floor = (struct floor){ rank, why, seen_by, fenced_ns };
}

/* What is left after a power cut: what was acknowledged, and what was seen later. */
static void cut(struct reg *g, int64_t now_ns)
{
	g->floor = (struct floor){ 0 };
	for (size_t i = 0; i < g->writes_count; i++) {
		const struct written *w = &g->writes[i];

		if (w->gone || w->call->from_ns >= now_ns)
			continue;
		if (w->acked)
			raise_floor(g, i + 1, BY_ACK, NULL, 0);
		else if (w->last_seen_ns > now_ns)
			raise_floor(g, i + 1, BY_FENCE, NULL, now_ns);
	}
}

static void end_read(struct reg *g, struct seeing *r)
{
	const struct written *w = r->floor.rank ? &g->writes[r->floor.rank - 1] : NULL;
	const struct floor *f = &r->floor;
	char why[TEXT_SIZE + 64], text[TEXT_SIZE];
	unsigned rule = f->why == BY_ACK ? 3 : f->why == BY_READ ? 5 : 2;

	if (r->absent ? place_absent(g, r, &r->rank) : r->rank >= f->rank) {
		raise_floor(g, r->rank, BY_READ, r->call, 0);
		return;
	}
	assert(w);
	if (!r->absent && g->writes[r->rank - 1].value.epoch < w->value.epoch)
		rule = 2;
	if (f->why == BY_READ)
		(void)snprintf(why, sizeof(why),
			       "but %s; so this was in effect before:", tell(f->seen_by, text));
	else if (f->why == BY_FENCE)
		(void)snprintf(why, sizeof(why),
			       "but this was fenced at %" PRId64 " and seen later:", f->fenced_ns);
	else
		(void)snprintf(why, sizeof(why), "but this was acknowledged before:");
	blame(g, rule, r->call, why, w->call);
}

static void add_point(struct reg *g, int64_t time_ns, enum point_kind kind, size_t index)
{
	g->points[g->points_count++] = (struct point){ time_ns, kind, index };
}

static int by_point(const void *left, const void *right)
{
	const struct point *a = left, *b = right;

	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return (a->index > b->index) - (a->index < b->index);
}

static void prepare_points(struct reg *g)
{
	const struct ops_check *c = g->check;

	g->points = ops_alloc(2 * (g->writes_count + g->reads_count) + c->cuts_count,
			      sizeof(*g->points));
	for (size_t i = 0; i < g->reads_count; i++) {
		add_point(g, g->reads[i].call->from_ns, POINT_BEGIN, i);
		add_point(g, g->reads[i].call->to_ns, POINT_SEEN, i);
	}
	for (size_t i = 0; i < g->writes_count; i++) {
		const struct written *w = &g->writes[i];

		if (w->gone)
			continue;
		if (w->acked)
			add_point(g, w->call->to_ns, POINT_ACK, i);
		if (w->fence_ns != OPS_NEVER &&
		    (w->acked || w->last_seen_ns > cut_before(c, w->fence_ns)))
			add_point(g, w->fence_ns, POINT_FENCE, i);
	}
	for (size_t i = 0; i < c->cuts_count; i++)
		add_point(g, c->cuts[i], POINT_CUT, 0);
	qsort(g->points, g->points_count, sizeof(*g->points), by_point);
}

static void sweep(struct reg *g)
{
	for (size_t i = 0; i < g->points_count; i++) {
		const struct point *p = &g->points[i];

		switch (p->kind) {
		case POINT_BEGIN:
			g->reads[p->index].floor = g->floor;
			break;
		case POINT_ACK:
			raise_floor(g, p->index + 1, BY_ACK, NULL, 0);
			break;
		case POINT_SEEN:
			end_read(g, &g->reads[p->index]);
			break;
		case POINT_FENCE:
			raise_floor(g, p->index + 1, BY_FENCE, NULL, p->time_ns);
			break;
		case POINT_CUT:
			cut(g, p->time_ns);
			break;
		}
	}
}

void ops_check_register(struct ops_check *c, const struct ops_election *election,
			struct ops_call *calls, size_t count)
{
	struct reg g = { .check = c, .election = election, .key = calls[0].begin->key };

	g.writes = ops_alloc(count, sizeof(*g.writes));
	g.reads = ops_alloc(count, sizeof(*g.reads));
	g.lowest_from = ops_alloc(count, sizeof(*g.lowest_from));
	for (size_t i = 0; i < count; i++)
		if (calls[i].begin->kind != OPS_READ)
			add_write(&g, &calls[i]);
	qsort(g.writes, g.writes_count, sizeof(*g.writes), by_value);
	check_order(&g);
	for (size_t i = 0; i < count; i++)
		if (calls[i].begin->kind == OPS_READ)
			add_read(&g, &calls[i]);
	qsort(g.reads, g.reads_count, sizeof(*g.reads), by_begin);
	prepare_removals(&g);
	prepare_points(&g);
	sweep(&g);
	free(g.writes);
	free(g.reads);
	free(g.lowest_from);
	free(g.points);
}
