/*
 * Who led when: rules 1 and 6 to 9 of the history.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/ops_history_internal.h"

static bool names_election(const struct ops_event *e)
{
	return e->kind < OPS_END;
}

static bool is_of_leader(const struct ops_event *e)
{
	return e->kind == OPS_GRANT || e->kind == OPS_REVOKE || e->kind == OPS_LEADS;
}

static int by_time(const void *left, const void *right)
{
	const struct ops_event *a = *(const struct ops_event *const *)left,
			       *b = *(const struct ops_event *const *)right;

	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	/* In the order of the log: they lie in one array. */
	return (a > b) - (a < b);
}

static int by_epoch(const void *left, const void *right)
{
	const struct ops_grant *a = left, *b = right;

	if (a->event->epoch != b->event->epoch)
		return a->event->epoch < b->event->epoch ? -1 : 1;
	return by_time(&a->event, &b->event);
}

static struct ops_grant *find_grant(const struct ops_election *e, uint64_t epoch)
{
	size_t low = 0, high = e->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (e->grants[middle].event->epoch < epoch)
			low = middle + 1;
		else
			high = middle;
	}
	return low < e->count ? &e->grants[low] : NULL;
}

int64_t ops_newer_ns(const struct ops_election *e, uint64_t epoch)
{
	const struct ops_grant *g = find_grant(e, epoch);

	if (!g)
		return OPS_NEVER;
	if (g->event->epoch == epoch)
		return g->newer_ns;
	return g->event->time_ns < g->newer_ns ? g->event->time_ns : g->newer_ns;
}

/* The grant of just that epoch to just that process. */
static struct ops_grant *grant_of(const struct ops_election *e, const struct ops_event *event)
{
	struct ops_grant *g = find_grant(e, event->epoch);

	return g && g->event->epoch == event->epoch && g->event->process == event->process ? g :
											     NULL;
}

/* ---- What is known of an election ---- */

static struct ops_election *add_election(struct ops_check *c, const char *name)
{
	struct ops_election *more;

	for (size_t i = 0; i < c->elections_count; i++)
		if (c->elections[i].name == name)
			return &c->elections[i];
	more = ops_alloc(c->elections_count + 1, sizeof(*more));
	if (c->elections_count)
		memcpy(more, c->elections, c->elections_count * sizeof(*more));
	free(c->elections);
	c->elections = more;
	more[c->elections_count].name = name;
	return &more[c->elections_count++];
}

/* By epoch, each once. */
static void collect_grants(struct ops_check *c, struct ops_election *e,
			   const struct ops_event **events, size_t count)
{
	int64_t newer_ns = OPS_NEVER;
	size_t n = 0;

	e->grants = ops_alloc(count, sizeof(*e->grants));
	for (size_t i = 0; i < count; i++)
		if (events[i]->kind == OPS_GRANT && events[i]->election == e->name)
			e->grants[e->count++] =
				(struct ops_grant){ .event = events[i], .revoked_ns = OPS_NEVER };
	qsort(e->grants, e->count, sizeof(*e->grants), by_epoch);
	for (size_t i = 0; i < e->count; i++) {
		const struct ops_event *g = e->grants[i].event;
		const struct ops_event *first = n ? e->grants[n - 1].event : NULL;

		if (first && first->epoch == g->epoch)
			ops_violate(c, 1,
				    "epoch %" PRIu64 " of %s is granted to %s at %" PRId64
				    " and to %s at %" PRId64,
				    g->epoch, e->name, first->process, first->time_ns, g->process,
				    g->time_ns);
		else
			e->grants[n++] = e->grants[i];
	}
	e->count = n;
	for (size_t i = n; i-- > 0;) {
		assert(e->grants[i].event);
		e->grants[i].newer_ns = newer_ns;
		if (e->grants[i].event->time_ns < newer_ns)
			newer_ns = e->grants[i].event->time_ns;
	}
}

/* ---- Rule 1 ---- */

static int by_process(const void *left, const void *right)
{
	const struct ops_event *a = *(const struct ops_event *const *)left,
			       *b = *(const struct ops_event *const *)right;
	int order = strcmp(a->election, b->election);

	if (order == 0)
		order = strcmp(a->process, b->process);
	return order ? order : by_time(left, right);
}

static void check_rise(struct ops_check *c, const struct ops_event *const *events, size_t count)
{
	const struct ops_event **grants = ops_alloc(count, sizeof(*grants));
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		if (events[i]->kind == OPS_GRANT)
			grants[n++] = events[i];
	qsort(grants, n, sizeof(*grants), by_process);
	for (size_t i = 1; i < n; i++)
		if (grants[i]->election == grants[i - 1]->election &&
		    grants[i]->process == grants[i - 1]->process &&
		    grants[i]->epoch < grants[i - 1]->epoch)
			ops_violate(c, 1,
				    "%s is granted epoch %" PRIu64 " of %s at %" PRId64
				    " after epoch %" PRIu64 " at %" PRId64,
				    grants[i]->process, grants[i]->epoch, grants[i]->election,
				    grants[i]->time_ns, grants[i - 1]->epoch,
				    grants[i - 1]->time_ns);
	free(grants);
}

static void check_late(struct ops_check *c, const struct ops_election *e)
{
	for (size_t i = 0; i < e->count; i++) {
		const struct ops_grant *g = &e->grants[i];

		if (g->event->time_ns <= g->newer_ns)
			continue;
		c->verdict->late_grants++;
		if (c->flags & OPS_STRICT)
			ops_violate(c, 1,
				    "epoch %" PRIu64 " of %s is granted to %s at %" PRId64
				    ", a newer one was at %" PRId64,
				    g->event->epoch, e->name, g->event->process, g->event->time_ns,
				    g->newer_ns);
	}
}

/* ---- Rules 6 and 8 ---- */

static void note_revoke(struct ops_check *c, const struct ops_election *e,
			const struct ops_event *event)
{
	struct ops_grant *g = grant_of(e, event);

	if (!g || g->event->time_ns > event->time_ns)
		ops_violate(c, 1,
			    "%s is revoked epoch %" PRIu64 " of %s at %" PRId64
			    " without a grant of it",
			    event->process, event->epoch, e->name, event->time_ns);
	else if (event->time_ns < g->revoked_ns)
		g->revoked_ns = event->time_ns;
}

static void check_leads(struct ops_check *c, const struct ops_election *e,
			const struct ops_event *event)
{
	const struct ops_grant *g = grant_of(e, event);
	const int64_t newer_ns = ops_newer_ns(e, event->epoch);

	if (!g)
		ops_violate(c, 6,
			    "%s says at %" PRId64 " that it leads epoch %" PRIu64
			    " of %s, which it was not granted",
			    event->process, event->time_ns, event->epoch, e->name);
	else if (event->time_ns > newer_ns)
		ops_violate(c, 6,
			    "%s says at %" PRId64 " that it leads epoch %" PRIu64
			    " of %s, but a newer one was granted at %" PRId64,
			    event->process, event->time_ns, event->epoch, e->name, newer_ns);
	else if (event->time_ns > g->revoked_ns)
		ops_violate(c, 6,
			    "%s says at %" PRId64 " that it leads epoch %" PRIu64
			    " of %s, but it was revoked at %" PRId64,
			    event->process, event->time_ns, event->epoch, e->name, g->revoked_ns);
}

static void check_deadline(struct ops_check *c, const struct ops_event *event)
{
	c->verdict->deadlines++;
	if (event->time_ns >= event->deadline_ns)
		ops_violate(c, 8,
			    "%s says at %" PRId64 " that it leads epoch %" PRIu64
			    " of %s, but its lease was over at %" PRId64,
			    event->process, event->time_ns, event->epoch, event->election,
			    event->deadline_ns);
}

/* ---- Rule 9 ---- */

static void check_over(struct ops_check *c, const struct ops_election *e,
		       const struct ops_event *event)
{
	const struct ops_grant *g = grant_of(e, event);

	c->verdict->overs++;
	if (!g)
		ops_violate(c, 0,
			    "%s should know at %" PRId64 " that epoch %" PRIu64
			    " of %s is over, which it was not granted",
			    event->process, event->time_ns, event->epoch, e->name);
	else if (g->revoked_ns > event->time_ns)
		ops_violate(c, 9,
			    "%s is told %s that epoch %" PRIu64 " of %s is over, which it "
			    "should know at %" PRId64,
			    event->process, g->revoked_ns == OPS_NEVER ? "never" : "too late",
			    event->epoch, e->name, event->time_ns);
}

/* ---- Rule 7 ---- */

struct wait {
	int64_t since_ns, bound_ns;
	bool waiting;
	uint64_t newest;
};

static void look(struct ops_check *c, const struct ops_election *e, struct wait *w, int64_t now_ns)
{
	if (w->waiting && now_ns - w->since_ns > w->bound_ns)
		ops_violate(c, 7,
			    "nobody leads %s from %" PRId64 " to %" PRId64 ", longer than %" PRId64
			    " ns",
			    e->name, w->since_ns, now_ns, w->bound_ns);
}

static void check_progress(struct ops_check *c, const struct ops_election *e,
			   const struct ops_event *const *events, size_t count, int64_t healed_ns,
			   const struct ops_event *finish)
{
	struct wait w = { .since_ns = healed_ns, .bound_ns = finish->bound_ns, .waiting = true };

	for (size_t i = 0; i < count; i++) {
		const struct ops_event *event = events[i];

		if (event->election != e->name || event->time_ns < healed_ns ||
		    event->time_ns > finish->time_ns)
			continue;
		if (event->kind == OPS_REVOKE) {
			if (!w.waiting && event->epoch >= w.newest)
				w.since_ns = event->time_ns;
			w.waiting = w.waiting || event->epoch >= w.newest;
			continue;
		}
		look(c, e, &w, event->time_ns);
		w.waiting = false;
		if (event->epoch > w.newest)
			w.newest = event->epoch;
	}
	look(c, e, &w, finish->time_ns);
	if (w.waiting && w.since_ns == healed_ns && finish->time_ns - healed_ns <= finish->bound_ns)
		ops_violate(c, 0,
			    "the history of %s ends at %" PRId64 ", before its bound has passed",
			    e->name, finish->time_ns);
}

static void check_healed(struct ops_check *c, const struct ops_event *const *events, size_t count)
{
	const struct ops_history *h = c->history;
	const struct ops_event *healed = NULL, *finish = NULL;

	for (size_t i = 0; i < h->count; i++) {
		const struct ops_event *e = &h->events[i];

		if (e->kind == OPS_HEALED && (!healed || e->time_ns > healed->time_ns))
			healed = e;
		if (e->kind == OPS_FINISH && (!finish || e->time_ns > finish->time_ns))
			finish = e;
	}
	if (!healed)
		return;
	if (!finish || finish->time_ns < healed->time_ns) {
		ops_violate(c, 0, "the history was healed at %" PRId64 " and has no end",
			    healed->time_ns);
		return;
	}
	if (c->elections_count == 0)
		ops_violate(c, 7, "nobody ever led anything");
	for (size_t i = 0; i < c->elections_count; i++)
		check_progress(c, &c->elections[i], events, count, healed->time_ns, finish);
}

void ops_check_leaders(struct ops_check *c)
{
	const struct ops_history *h = c->history;
	const struct ops_event **events = ops_alloc(h->count, sizeof(*events));
	size_t n = 0;

	for (size_t i = 0; i < h->count; i++) {
		if (names_election(&h->events[i]))
			(void)add_election(c, h->events[i].election);
		if (is_of_leader(&h->events[i]))
			events[n++] = &h->events[i];
	}
	qsort(events, n, sizeof(*events), by_time);
	for (size_t i = 0; i < c->elections_count; i++) {
		collect_grants(c, &c->elections[i], events, n);
		check_late(c, &c->elections[i]);
	}
	check_rise(c, events, n);
	for (size_t i = 0; i < n; i++)
		if (events[i]->kind == OPS_REVOKE)
			note_revoke(c, add_election(c, events[i]->election), events[i]);
	for (size_t i = 0; i < n; i++)
		if (events[i]->kind == OPS_LEADS)
			check_leads(c, add_election(c, events[i]->election), events[i]);
	for (size_t i = 0; i < n; i++)
		if (events[i]->kind == OPS_LEADS && events[i]->deadline_ns)
			check_deadline(c, events[i]);
	for (size_t i = 0; i < h->count; i++)
		if (h->events[i].kind == OPS_OVER)
			check_over(c, add_election(c, h->events[i].election), &h->events[i]);
	check_healed(c, events, n);
	free(events);
}
