/*
 * The sweep of the removal of all data, by terms that are in hand: wherever one call fails, memory
 * runs out or the power is cut, blobs are gone only when nothing points to them, nothing is gone
 * unless every election could be claimed, and who comes next removes the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fsha/election.h"
#include "src/cluster/layout.h"
#include "src/services/cleanup.h"
#include "src/worker/worker.h"
#include "tests/lib/holder.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/lib/swept.h"

#define HEX "aa000000000000000000000000000000"
#define JOB_ELECTION "job-" HEX
#define OTHER "mine" /* an election of a user's */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return sweep_say("line %d: not so: %s (outcome %d)", __LINE__, #condition, \
					 run->outcome);                                            \
	} while (0)

/* The blobs last: all that is before them may point to them. */
static const struct {
	struct cleanup_place place;
	const char *key;
} values[] = {
	{ { LAYOUT_JOB_GRAPHS, FSHA_ELECTION_DISPATCHER, FSU_KIND_JOB_GRAPH, false, false }, HEX },
	{ { LAYOUT_RUNNING_JOBS, FSHA_ELECTION_DISPATCHER, FSU_KIND_RUNNING_JOB, false, false },
	  HEX },
	{ { LAYOUT_WORKERS, FSHA_ELECTION_RESOURCE_MANAGER, FSU_KIND_WORKER, false, false },
	  "task-1" },
	{ { LAYOUT_WORKERS, FSHA_ELECTION_RESOURCE_MANAGER, FSU_KIND_WORKER, false, false },
	  FRAMEWORK_ID_KEY },
	{ { LAYOUT_CHECKPOINTS "/" HEX, JOB_ELECTION, FSU_KIND_CHECKPOINT, true, true },
	  "0000000000000000001" },
	{ { LAYOUT_STATE "/ns", OTHER, FSU_KIND_STATE, true, false }, "k" },
	{ { LAYOUT_BLOBS "/job_" HEX, FSHA_ELECTION_DISPATCHER, FSU_KIND_BLOB, true, true },
	  "blob_1" },
};
#define COUNT (sizeof(values) / sizeof(values[0]))
#define BLOB (COUNT - 1)

static struct store *open_store(struct holder *h, const struct cleanup_place *place)
{
	const struct store_options options = {
		.directory = place->directory,
		.election = place->election,
		.kind = place->kind,
		.owned = place->owned,
		.removable = place->removable,
	};
	struct store *store;

	assert_int_equal(services_store_open(h->services, &options, &store, NULL), FSHA_OK);
	return store;
}

/* For as long as it takes: of a lease that ran out the sweep would find nothing. */
static void start(struct holder *h, struct crashfs *disk, unsigned client)
{
	holder_start(h, disk, client, FSHA_ELECTION_DISPATCHER);
	lease_begin(&h->services->member->lease, fsu_now_ns(h->fs), 3600 * FSU_NS_PER_S);
	holder_lead_too(h, FSHA_ELECTION_RESOURCE_MANAGER);
	holder_lead_too(h, JOB_ELECTION);
	holder_lead_too(h, OTHER);
}

static void lead(void *ctx, struct crashfs *disk)
{
	struct holder *h = ctx;

	start(h, disk, 0);
	for (size_t i = 0; i < COUNT; i++) {
		struct store *store = open_store(h, &values[i].place);

		assert_int_equal(
			store_write(store, STORE_ADD, values[i].key, NULL, "x", 1, NULL, NULL),
			FSHA_OK);
		services_store_close(h->services, store);
	}
}

static void leave(void *ctx, struct crashfs *disk)
{
	(void)disk;
	holder_stop(ctx);
}

static int clean(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return SWEPT(cleanup_all)(((struct holder *)ctx)->services, true, NULL);
}

/* How many are there. */
static size_t look(struct holder *h, bool *ret_there)
{
	size_t n = 0;

	for (size_t i = 0; i < COUNT; i++) {
		struct store *store = open_store(h, &values[i].place);
		fsha_version version;

		assert_int_equal(store_exists(store, values[i].key, &version, NULL), FSHA_OK);
		ret_there[i] = fsha_version_is_existing(&version);
		n += ret_there[i];
		services_store_close(h->services, store);
	}
	return n;
}

static const char *check(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	bool there[COUNT], ignored[COUNT];
	size_t before, left;
	struct holder next;
	int result;

	(void)ctx;
	start(&next, after, 1);
	before = look(&next, there);
	result = clean(&next, NULL);
	left = look(&next, ignored);
	holder_stop(&next);

	CHECK(there[BLOB] || before == 0);
	CHECK(result == FSHA_OK);
	CHECK(left == 0);
	CHECK(!crashfs_exists(after, "c/" LAYOUT_CHECKPOINTS "/" HEX));
	CHECK(!crashfs_exists(after, "c/" LAYOUT_BLOBS "/job_" HEX));
	if (run->when != SWEEP_CUT_DURING && run->outcome == FSHA_OK)
		CHECK(before == 0);
	if (run->when == SWEEP_RETURNED)
		CHECK(run->outcome != FSHA_E_FENCED && run->outcome != FSHA_E_NOT_LEADER);
	if (run->n_faults == 0)
		CHECK(run->outcome == FSHA_OK);
	return NULL;
}

/* One of the elections is somebody else's: nothing is removed. */
static void lead_all_but_one(void *ctx, struct crashfs *disk)
{
	struct holder *h = ctx;

	lead(ctx, disk);
	holder_stop(h);
	holder_start(h, disk, 0, FSHA_ELECTION_DISPATCHER);
	holder_lead_too(h, FSHA_ELECTION_RESOURCE_MANAGER);
	holder_lead_too(h, JOB_ELECTION);
}

static const char *check_untouched(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	bool there[COUNT];
	struct holder next;
	size_t n;

	(void)ctx;
	start(&next, after, 1);
	n = look(&next, there);
	holder_stop(&next);
	CHECK(n == COUNT);
	if (run->when == SWEEP_RETURNED)
		CHECK(run->outcome != FSHA_OK);
	return NULL;
}

static struct sweep_scenario scenario_of(struct holder *h, unsigned every)
{
	return (struct sweep_scenario){
		.name = "cleanup_all",
		.options = { .seed = 1 },
		.ctx = h,
		.setup = lead,
		.operation = clean,
		.check = check,
		.teardown = leave,
		.every = every,
	};
}

static void all_goes_pointers_before_blobs_at_every_fault(void **state)
{
	struct holder h;
	const struct sweep_scenario scenario = scenario_of(&h, (unsigned)test_size(5, 1, 1));

	(void)state;
	sweep_assert(&scenario);
}

static void nothing_goes_when_an_election_cannot_be_claimed_at_every_fault(void **state)
{
	struct holder h;
	struct sweep_scenario scenario = scenario_of(&h, (unsigned)test_size(2, 1, 1));

	(void)state;
	scenario.name = "cleanup_all, refused";
	scenario.setup = lead_all_but_one;
	scenario.check = check_untouched;
	sweep_assert(&scenario);
}

static void lack_of_memory_stops_it_in_order(void **state)
{
	struct holder h;
	const struct sweep_scenario scenario = scenario_of(&h, (unsigned)test_size(3, 1, 1));

	(void)state;
	oom_assert(&scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_goes_pointers_before_blobs_at_every_fault),
		cmocka_unit_test(nothing_goes_when_an_election_cannot_be_claimed_at_every_fault),
		cmocka_unit_test(lack_of_memory_stops_it_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
