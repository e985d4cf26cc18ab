/*
 * The sweep of cleaning up a job: wherever one call fails, memory runs out or the power is cut,
 * blobs are gone only when nothing points to them, checkpoints only when no graph could be started
 * without them, and who comes next cleans up the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fsha/election.h"
#include "src/cluster/layout.h"
#include "src/services/cleanup.h"
#include "tests/lib/holder.h"
#include "tests/lib/oom.h"

#define HEX "aa000000000000000000000000000000"
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return sweep_say("line %d: not so: %s (outcome %d)", __LINE__, #condition, \
					 run->outcome);                                            \
	} while (0)

static const fsha_job_id job = { { 0xaa } };
static const struct cleanup_place places[] = {
	{ LAYOUT_JOB_GRAPHS, FSHA_ELECTION_DISPATCHER, FSU_KIND_JOB_GRAPH, false, false },
	{ LAYOUT_RUNNING_JOBS, FSHA_ELECTION_DISPATCHER, FSU_KIND_RUNNING_JOB, false, false },
	{ LAYOUT_CHECKPOINTS "/" HEX, "job-" HEX, FSU_KIND_CHECKPOINT, true, true },
	{ LAYOUT_CHECKPOINTS "/" HEX, "job-" HEX, FSU_KIND_CHECKPOINT, true, true },
	{ LAYOUT_BLOBS "/job_" HEX, FSHA_ELECTION_DISPATCHER, FSU_KIND_BLOB, true, true },
};
static const char *const keys[] = { HEX, HEX, "0000000000000000001", "0000000000000000002",
				    "blob_1" };

enum {
	GRAPH,
	RUNNING,
	FIRST,
	SECOND,
	BLOB,
	COUNT
};

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

static void start(struct holder *h, struct crashfs *disk, unsigned client)
{
	holder_start(h, disk, client, FSHA_ELECTION_DISPATCHER);
	holder_lead_too(h, "job-" HEX);
}

static void lead(void *ctx, struct crashfs *disk)
{
	struct holder *h = ctx;

	start(h, disk, 0);
	for (size_t i = 0; i < COUNT; i++) {
		struct store *store = open_store(h, &places[i]);

		assert_int_equal(store_write(store, STORE_ADD, keys[i], NULL, "x", 1, NULL, NULL),
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
	struct holder *h = ctx;
	fsha_result result = cleanup_job_pointers(h->services, &job, NULL);

	(void)fs;
	return result == FSHA_OK ? cleanup_job_blobs(h->services, &job, NULL) : result;
}

static void look(struct holder *h, bool *ret_there)
{
	for (size_t i = 0; i < COUNT; i++) {
		struct store *store = open_store(h, &places[i]);
		fsha_version version;

		assert_int_equal(store_exists(store, keys[i], &version, NULL), FSHA_OK);
		ret_there[i] = fsha_version_is_existing(&version);
		services_store_close(h->services, store);
	}
}

static const char *check(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	bool there[COUNT], left[COUNT];
	struct holder next;
	int result;

	(void)ctx;
	start(&next, after, 1);
	look(&next, there);
	result = clean(&next, NULL);
	look(&next, left);
	holder_stop(&next);

	CHECK(there[BLOB] || (!there[GRAPH] && !there[RUNNING] && !there[FIRST] && !there[SECOND]));
	CHECK((there[FIRST] && there[SECOND]) || !there[GRAPH]);
	CHECK(result == FSHA_OK);
	for (size_t i = 0; i < COUNT; i++) {
		CHECK(!left[i]);
		if (run->when != SWEEP_CUT_DURING && run->outcome == FSHA_OK)
			CHECK(!there[i]);
	}
	CHECK(!crashfs_exists(after, "c/" LAYOUT_CHECKPOINTS "/" HEX));
	CHECK(!crashfs_exists(after, "c/" LAYOUT_BLOBS "/job_" HEX));
	if (run->when == SWEEP_RETURNED && run->n_faults == 1)
		CHECK(run->outcome != FSHA_E_FENCED);
	return NULL;
}

static struct holder holder;
static const struct sweep_scenario scenario = {
	.name = "global_cleanup",
	.options = { .seed = 1 },
	.ctx = &holder,
	.setup = lead,
	.operation = clean,
	.check = check,
	.teardown = leave,
};

static void pointers_go_before_what_they_point_to_at_every_fault(void **state)
{
	(void)state;
	sweep_assert(&scenario);
}

static void lack_of_memory_stops_it_in_order(void **state)
{
	(void)state;
	oom_assert(&scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pointers_go_before_what_they_point_to_at_every_fault),
		cmocka_unit_test(lack_of_memory_stops_it_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
