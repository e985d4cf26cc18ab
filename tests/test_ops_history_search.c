/*
 * The history checker against a search through all orders of the operations of small histories,
 * good ones and bad ones. SEED repeats one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/chance.h"
#include "tests/lib/ops_history.h"
#include "tests/lib/run.h"

static struct chance chance;
static struct ops_verdict verdict; /* too large for a stack */

static unsigned draw(unsigned below)
{
	return chance_draw(&chance, below);
}

#define ITEMS 10

enum item_kind {
	ITEM_WRITE,
	ITEM_READ,
	ITEM_GRANT,
	ITEM_CUT
};

struct item {
	enum item_kind kind;
	int from, to; /* 1000: never */
	enum ops_outcome outcome;
	bool removes;
	unsigned epoch;
	unsigned rank; /* of a write from 1 on; of what a read saw, 0: the first nothing */
	bool absent;   /* a read of nothing: any removal, or nothing yet */
};

struct small {
	struct item items[ITEMS];
	unsigned count, writes;
	bool removal[ITEMS + 1], acked[ITEMS + 1]; /* by rank */
	bool seen[1u << ITEMS][ITEMS + 1];         /* states that were searched: none leads on */
};

static bool may_be_next(const struct small *s, unsigned done, const struct item *next)
{
	for (unsigned i = 0; i < s->count; i++) {
		const struct item *other = &s->items[i];

		if (done & 1u << i || other == next)
			continue;
		/* What ended before goes before; a write that need not happen never does. */
		if (other->to < next->from &&
		    (other->kind != ITEM_WRITE || other->outcome == OPS_OK))
			return false;
	}
	return true;
}

/* Is a write forbidden once these are done? */
static bool is_fenced(const struct small *s, unsigned done, const struct item *w)
{
	for (unsigned i = 0; i < s->count; i++) {
		const struct item *other = &s->items[i];

		if (!(done & 1u << i))
			continue;
		if (other->kind == ITEM_GRANT && other->epoch > w->epoch)
			return true;
		if (other->kind == ITEM_CUT && other->from > w->from)
			return true;
		/* The order of the writes is given. */
		if (other->kind == ITEM_WRITE && other->rank > w->rank)
			return true;
	}
	return false;
}

static bool search(struct small *s, unsigned done, unsigned now);

static bool search_after_cut(struct small *s, unsigned done, unsigned now)
{
	unsigned least = 0;
	bool there[ITEMS + 1] = { true };

	for (unsigned i = 0; i < s->count; i++)
		if (done & 1u << i && s->items[i].kind == ITEM_WRITE) {
			there[s->items[i].rank] = true;
			if (s->acked[s->items[i].rank] && s->items[i].rank > least)
				least = s->items[i].rank;
		}
	for (unsigned rank = least; rank <= now; rank++)
		if (there[rank] && search(s, done, rank))
			return true;
	return false;
}

static bool search(struct small *s, unsigned done, unsigned now)
{
	bool over = true;

	if (s->seen[done][now])
		return false;
	s->seen[done][now] = true;
	for (unsigned i = 0; i < s->count; i++) {
		const struct item *t = &s->items[i];
		const unsigned then = done | 1u << i;

		if (done & 1u << i)
			continue;
		over = over && t->kind == ITEM_WRITE && t->outcome != OPS_OK;
		if ((t->kind == ITEM_WRITE && t->outcome == OPS_FAILED) || !may_be_next(s, done, t))
			continue;
		switch (t->kind) {
		case ITEM_WRITE:
			if (!is_fenced(s, done, t) && search(s, then, t->rank))
				return true;
			break;
		case ITEM_READ:
			if ((t->absent ? now == 0 || s->removal[now] : now == t->rank) &&
			    search(s, then, now))
				return true;
			break;
		case ITEM_GRANT:
			if (search(s, then, now))
				return true;
			break;
		case ITEM_CUT:
			if (search_after_cut(s, then, now))
				return true;
			break;
		}
	}
	return over;
}

static struct item make_write(unsigned epoch, unsigned rank, int from)
{
	static const enum ops_outcome outcomes[] = { OPS_OK, OPS_OK, OPS_UNKNOWN, OPS_FAILED };

	return (struct item){ .kind = ITEM_WRITE,
			      .from = from,
			      .to = from + 2 * (int)draw(6),
			      .outcome = outcomes[draw(4)],
			      .removes = draw(3) == 0,
			      .epoch = epoch,
			      .rank = rank };
}

/* Times are even but those of power cuts. */
static void make_small(struct small *s, unsigned count)
{
	unsigned epochs = 1 + draw(3);
	int now = 0, cut = draw(4) == 0 ? 1 + 2 * (int)draw(15) : 1000;

	memset(s, 0, sizeof(*s));
	for (unsigned e = 1; e <= epochs; e++) {
		now += 2 * (int)draw(4);
		if (e > 1)
			s->items[s->count++] = (struct item){
				.kind = ITEM_GRANT, .from = now, .to = now, .epoch = e
			};
		for (unsigned n = draw(3), at = (unsigned)now + 2; n > 0; n--) {
			struct item *w = &s->items[s->count++];

			*w = make_write(e, ++s->writes, (int)at + 2 * (int)draw(4));
			at = (unsigned)w->to + 2;
		}
	}
	if (cut < 1000)
		s->items[s->count++] = (struct item){ .kind = ITEM_CUT, .from = cut, .to = cut };
	while (s->count < count) {
		struct item *r = &s->items[s->count++];

		*r = (struct item){ .kind = ITEM_READ,
				    .from = 2 * (int)draw(15),
				    .rank = draw(s->writes + 1) };
		r->to = r->from + 2 * (int)draw(6);
	}
	for (unsigned i = 0; i < s->count; i++) {
		struct item *t = &s->items[i];

		if (t->kind != ITEM_WRITE)
			continue;
		if (t->from < cut && t->to > cut)
			t->outcome = OPS_UNKNOWN;
		s->removal[t->rank] = t->removes;
		s->acked[t->rank] = t->outcome == OPS_OK;
	}
	for (unsigned i = 0; i < s->count; i++) {
		struct item *t = &s->items[i];

		if (t->kind != ITEM_READ)
			continue;
		if (t->from < cut && t->to > cut)
			t->to = t->from;
		t->absent = t->rank == 0 || s->removal[t->rank];
	}
	for (unsigned i = 0; i < s->count; i++)
		if (s->items[i].kind == ITEM_WRITE && s->items[i].from < cut &&
		    s->items[i].to > cut)
			s->items[i].to = 1000;
}

static struct ops_history *history_of(const struct small *s)
{
	struct ops_history *h = ops_history_create();

	for (unsigned i = 0; i < s->count; i++) {
		const struct item *t = &s->items[i];
		char process[8];
		struct ops_event e = { .time_ns = t->from,
				       .process = process,
				       .op = i,
				       .election = "e",
				       .key = "k",
				       .epoch = t->epoch,
				       .value = { t->epoch, t->rank, 7 } };

		(void)snprintf(process, sizeof(process), "%c%u", t->kind == ITEM_READ ? 'r' : 'w',
			       t->kind == ITEM_READ ? 0 : t->rank);
		e.kind = t->kind == ITEM_READ  ? OPS_READ :
			 t->kind == ITEM_CUT   ? OPS_CUT :
			 t->kind == ITEM_GRANT ? OPS_GRANT :
			 t->removes            ? OPS_REMOVE :
						 OPS_WRITE;
		ops_history_add(h, &e);
		if (t->kind >= ITEM_GRANT || t->to == 1000)
			continue;
		e.kind = OPS_END;
		e.time_ns = t->to;
		e.outcome = t->kind == ITEM_WRITE ? t->outcome : t->absent ? OPS_ABSENT : OPS_OK;
		if (t->kind == ITEM_READ)
			for (unsigned j = 0; j < s->count; j++)
				if (s->items[j].kind == ITEM_WRITE && s->items[j].rank == t->rank)
					e.value.epoch = s->items[j].epoch;
		ops_history_add(h, &e);
	}
	return h;
}

static void the_verdict_on_small_histories_is_that_of_a_search(void **state)
{
	const unsigned long rounds = test_size(60000, 400000, 4000000);
	static struct small s;
	unsigned long good = 0, bad = 0;
	uint64_t first = 1;
	bool one = test_seed(&first);

	(void)state;
	print_message("SEED=%llu\n", (unsigned long long)first);
	for (uint64_t seed = first; seed < first + (one ? 1 : rounds); seed++) {
		struct ops_history *h;
		bool expected, found;

		chance = chance_of(seed);
		make_small(&s, ITEMS - 1 + draw(2));
		h = history_of(&s);
		expected = search(&s, 0, 0);
		found = ops_history_check(h, 0, &verdict);
		assert_int_equal(verdict.violations[0], 0);
		if (found != expected) {
			ops_history_print(h);
			ops_verdict_print(&verdict);
			fail_msg("SEED=%llu: the search says %s", (unsigned long long)seed,
				 expected ? "good" : "bad");
		}
		good += expected;
		bad += !expected;
		ops_history_destroy(h);
	}
	print_message("%lu good ones, %lu bad ones\n", good, bad);
	assert_true(one || (good > rounds / 50 && bad > rounds / 50));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_verdict_on_small_histories_is_that_of_a_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
