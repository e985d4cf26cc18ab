/*
 * The sweep of taking part in a term of another process of this host: wherever one call fails,
 * memory runs out or the power is cut, who attached writes, who did not writes nothing and attaches
 * at the next try, no seat stays taken, and a term that is over is never taken for one that is not.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fsha/term.h"
#include "src/cluster/layout.h"
#include "tests/lib/holder.h"
#include "tests/lib/oom.h"

#define ELECTION "dispatcher"
#define LEADER 0
#define CHILD 1
#define NEXT 2
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return sweep_say("line %d: not so: %s (outcome %d)", __LINE__, #condition, \
					 run->outcome);                                            \
	} while (0)

struct scene {
	struct holder leader, child, successor;
	fsha_shared_term term;
};

/* ---- a leader that shares its term, and a process that has opened the cluster ---- */

static void start(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;
	struct holder *h = &s->leader;
	struct member *member;

	memset(s, 0, sizeof(*s));
	holder_start_reader(h, disk, LEADER);
	assert_int_equal(member_join(&h->services->cluster, true, &member, &h->error), FSHA_OK);
	h->services->member = member;
	holder_lead_too(h, ELECTION);
	lease_begin(&member->lease, fsu_now_ns(h->fs), 3600 * FSU_NS_PER_S);
	s->term.epoch = h->term->epoch.number;
	memcpy(&s->term.session, &h->term->epoch.session, sizeof(s->term.session));
	(void)snprintf(s->term.lease_path, sizeof(s->term.lease_path), "/proc/self/fd/%d",
		       member->lease.fd);
	holder_start_reader(&s->child, disk, CHILD);
}

/* Stopped for long, and its lease says nothing of it: only the epoch file does. */
static void start_overtaken(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	start(ctx, disk);
	holder_start(&s->successor, disk, NEXT, ELECTION);
}

static void stop(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	(void)disk;
	holder_stop(&s->successor);
	holder_stop(&s->child);
	holder_stop(&s->leader);
}

static int attach(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;

	(void)fs;
	return fsha_services_attach(s->child.services, ELECTION, &s->term, NULL);
}

/* ---- what must hold after it ---- */

static fsha_result add(struct holder *h, const char *key)
{
	const struct store_options options = { .directory = LAYOUT_JOB_GRAPHS,
					       .election = ELECTION,
					       .kind = FSU_KIND_JOB_GRAPH };
	struct store *store;
	fsha_result result;

	assert_int_equal(services_store_open(h->services, &options, &store, NULL), FSHA_OK);
	result = store_write(store, STORE_ADD, key, NULL, "x", 1, NULL, NULL);
	services_store_close(h->services, store);
	return result;
}

static const char *check_child(struct scene *s, const struct sweep_run *run)
{
	struct term *t;
	unsigned seat;

	CHECK(run->outcome != FSHA_E_FENCED);
	CHECK(run->n_faults > 0 || run->outcome == FSHA_OK);
	if (run->outcome != FSHA_OK) {
		CHECK(add(&s->child, "k1") == FSHA_E_NOT_LEADER);
		CHECK(attach(s, NULL) == FSHA_OK);
	}
	t = services_term(s->child.services, ELECTION);
	CHECK(t != NULL);
	seat = t->seat;
	term_unref(t);
	/* The first one, also after a try that failed; a lock may be refused as one that is held.
	 */
	CHECK(seat == 1 || (run->n_faults > 0 && run->faults[0].error == EACCES));
	CHECK(add(&s->child, "k1") == FSHA_OK);
	CHECK(add(&s->leader, "k1") == FSHA_E_EXISTS);
	CHECK(add(&s->leader, "k2") == FSHA_OK);
	return NULL;
}

/* Whoever attached, the next leader leads and writes. */
static const char *check_next(struct crashfs *after, uint64_t epoch, const struct sweep_run *run)
{
	struct holder next;
	bool newer, writes;

	holder_start(&next, after, NEXT, ELECTION);
	newer = next.term->epoch.number > epoch;
	writes = add(&next, "k3") == FSHA_OK;
	holder_stop(&next);
	CHECK(newer);
	CHECK(writes);
	return NULL;
}

static const char *check(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct scene *s = ctx;

	return run->when == SWEEP_RETURNED ? check_child(s, run) :
					     check_next(after, s->term.epoch, run);
}

static const char *check_overtaken(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct scene *s = ctx;

	(void)after;
	if (run->when != SWEEP_RETURNED)
		return NULL;
	CHECK(run->outcome != FSHA_OK);
	CHECK(run->n_faults > 0 || run->outcome == FSHA_E_FENCED);
	CHECK(add(&s->child, "k1") == FSHA_E_NOT_LEADER);
	CHECK(attach(s, NULL) == FSHA_E_FENCED);
	CHECK(add(&s->successor, "k1") == FSHA_OK);
	return NULL;
}

/* ---- the sweeps ---- */

static struct scene scene;
static const struct sweep_scenario attaching = {
	.name = "attach",
	.options = { .seed = 1 },
	.client = CHILD,
	.ctx = &scene,
	.setup = start,
	.operation = attach,
	.check = check,
	.teardown = stop,
};
static const struct sweep_scenario too_late = {
	.name = "attach to a term that is over",
	.options = { .seed = 1 },
	.client = CHILD,
	.ctx = &scene,
	.setup = start_overtaken,
	.operation = attach,
	.check = check_overtaken,
	.teardown = stop,
};

static void who_attached_writes_and_who_did_not_may_try_again_at_every_fault(void **state)
{
	(void)state;
	sweep_assert(&attaching);
}

static void a_term_that_is_over_is_attached_to_at_no_fault(void **state)
{
	(void)state;
	sweep_assert(&too_late);
}

static void who_has_no_memory_to_attach_may_try_again(void **state)
{
	(void)state;
	oom_assert(&attaching);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_attached_writes_and_who_did_not_may_try_again_at_every_fault),
		cmocka_unit_test(a_term_that_is_over_is_attached_to_at_no_fault),
		cmocka_unit_test(who_has_no_memory_to_attach_may_try_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
