/*
 * The fault sweep of batches and of compaction: each system call fails in every way, some in pairs,
 * each allocation fails, and each call is the last before a power cut. Of a batch all is there or
 * nothing, and what a pack was written anew for reads as before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/actor.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/lib/sweep.h"

#define A 0
#define B 1

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return sweep_say("line %d: not so: %s (outcome %d)", __LINE__, #condition, \
					 run->outcome);                                            \
	} while (0)

static struct actor a;

static void hold_lease(void)
{
	lease_begin(&a.member->lease, fsu_now_ns(a.fs), 3600 * FSU_NS_PER_S);
}

static void finish(void *ctx, struct crashfs *disk)
{
	(void)ctx;
	(void)disk;
	actor_stop(&a);
}

/* ---- a batch ---- */

/* "k" and "g" are there, as "old". */
static void start_leader(void *ctx, struct crashfs *disk)
{
	(void)ctx;
	actor_start(&a, disk, A);
	assert_int_equal(actor_claim(&a), FSHA_OK);
	hold_lease();
	assert_int_equal(actor_add(&a, "k", "old"), FSHA_OK);
	assert_int_equal(actor_add(&a, "g", "old"), FSHA_OK);
}

/* Replace one, add one, remove one. */
static int batch(void *ctx, const struct fsu *fs)
{
	const struct store_change changes[] = {
		{ .how = STORE_REPLACE, .key = "k", .data = "new", .size = 3 },
		{ .how = STORE_ADD, .key = "n", .data = "new", .size = 3 },
		{ .how = STORE_REMOVE, .key = "g" },
	};

	(void)ctx;
	(void)fs;
	return store_write_batch(a.store, changes, 3, NULL, NULL, &a.error);
}

/* What the next leader finds: 1, all of the batch; 0, nothing; -1, something else. */
static int look(struct crashfs *after)
{
	struct actor b;
	char k[64], n[64], g[64], next[64];
	int seen = -1;

	actor_start(&b, after, B);
	actor_take_over(&b);
	(void)actor_get(&b, "k", k);
	(void)actor_get(&b, "n", n);
	(void)actor_get(&b, "g", g);
	if (strcmp(k, "new") == 0 && strcmp(n, "new") == 0 && strcmp(g, "") == 0)
		seen = 1;
	if (strcmp(k, "old") == 0 && strcmp(n, "") == 0 && strcmp(g, "old") == 0)
		seen = 0;
	/* Business goes on. */
	if (actor_replace(&b, "k", "next") != FSHA_OK || actor_get(&b, "k", next) != FSHA_OK ||
	    strcmp(next, "next") != 0)
		seen = -1;
	actor_stop(&b);
	return seen;
}

static const char *check_batch(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	int seen = look(after);

	(void)ctx;
	CHECK(seen >= 0);
	if (run->when == SWEEP_CUT_DURING || run->outcome == FSHA_E_INDOUBT)
		return NULL;
	CHECK(run->outcome != FSHA_E_CORRUPT);
	CHECK(seen == (run->outcome == FSHA_OK));
	return NULL;
}

static const struct sweep_scenario of_batch = {
	.name = "batch",
	.options = { .seed = 1 },
	.client = A,
	.setup = start_leader,
	.operation = batch,
	.check = check_batch,
	.teardown = finish,
};

static void batch_is_all_or_nothing_at_every_fault(void **state)
{
	(void)state;
	sweep_assert(&of_batch);
}

static void batch_is_all_or_nothing_at_every_pair_of_faults(void **state)
{
	(void)state;
	sweep_assert_pairs(&of_batch, (unsigned)test_size(4, 4, 1000));
}

static void batch_that_runs_out_of_memory_is_all_or_nothing(void **state)
{
	(void)state;
	oom_assert(&of_batch);
}

/* In doubt, and then settled: what settle says is so. */
static int batch_and_settle(void *ctx, const struct fsu *fs)
{
	const struct store_change changes[] = {
		{ .how = STORE_REPLACE, .key = "k", .data = "new", .size = 3 },
		{ .how = STORE_ADD, .key = "n", .data = "new", .size = 3 },
		{ .how = STORE_REMOVE, .key = "g" },
	};
	fsha_version v = { 0 };
	fsha_result result;

	(void)ctx;
	(void)fs;
	result = store_write_batch(a.store, changes, 3, &v, NULL, &a.error);
	if (result == FSHA_E_INDOUBT)
		result = store_settle(a.store, "n", &v, &a.error);
	return result;
}

static void batch_in_doubt_is_settled_truthfully_at_every_pair_of_faults(void **state)
{
	struct sweep_scenario scenario = of_batch;

	(void)state;
	scenario.name = "batch and settle";
	scenario.operation = batch_and_settle;
	sweep_assert(&scenario);
	sweep_assert_pairs(&scenario, (unsigned)test_size(4, 4, 1000));
}

/* ---- compaction ---- */

#define KEYS 6

/*
 * Six keys in a pack, four of them dead since: two removed and two replaced; and as many loose ones
 * that have become old enough. All of it is worth a pack.
 */
static void start_with_packs(void *ctx, struct crashfs *disk)
{
	struct store_change changes[KEYS];
	char keys[KEYS][8];

	(void)ctx;
	actor_start(&a, disk, A);
	assert_int_equal(actor_claim(&a), FSHA_OK);
	hold_lease();
	for (int i = 0; i < KEYS; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "p%d", i);
		changes[i] = (struct store_change){
			.how = STORE_ADD, .key = keys[i], .data = "packed", .size = 6
		};
	}
	assert_int_equal(store_write_batch(a.store, changes, KEYS, NULL, NULL, NULL), FSHA_OK);
	assert_int_equal(actor_add(&a, "l0", "loose"), FSHA_OK);
	assert_int_equal(actor_add(&a, "l1", "loose"), FSHA_OK);
	assert_int_equal(actor_remove(&a, "p0"), FSHA_OK);
	assert_int_equal(actor_remove(&a, "p1"), FSHA_OK);
	assert_int_equal(actor_replace(&a, "p2", "newer"), FSHA_OK);
	assert_int_equal(actor_replace(&a, "p3", "newer"), FSHA_OK);
	crashfs_advance(disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
	a.store->compact_files = 3;
}

static int compact_and_clean(void *ctx, const struct fsu *fs)
{
	(void)ctx;
	(void)fs;
	store_compact(a.store);
	crashfs_advance(a.disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
	store_clean(a.store);
	crashfs_advance(a.disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
	store_clean(a.store);
	store_compact(a.store);
	return FSHA_OK;
}

static const char *check_compaction(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	static const char *const expected[][2] = {
		{ "p0", "" },       { "p1", "" },       { "p2", "newer" }, { "p3", "newer" },
		{ "p4", "packed" }, { "p5", "packed" }, { "l0", "loose" }, { "l1", "loose" },
	};
	struct actor b;
	char text[64];

	(void)ctx;
	actor_start(&b, after, B);
	actor_take_over(&b);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		fsha_result result = actor_get(&b, expected[i][0], text);

		CHECK(result == FSHA_OK || result == FSHA_E_NOT_FOUND);
		if (strcmp(text, expected[i][1]) != 0)
			return sweep_say("'%s' is '%s', not '%s'", expected[i][0], text,
					 expected[i][1]);
	}
	CHECK(actor_add(&b, "p0", "again") == FSHA_OK);
	actor_stop(&b);
	return NULL;
}

static const struct sweep_scenario of_compaction = {
	.name = "compact",
	.options = { .seed = 1 },
	.client = A,
	.setup = start_with_packs,
	.operation = compact_and_clean,
	.check = check_compaction,
	.teardown = finish,
};

static void compaction_changes_nothing_at_every_fault(void **state)
{
	(void)state;
	sweep_assert(&of_compaction);
}

static void compaction_changes_nothing_at_every_pair_of_faults(void **state)
{
	(void)state;
	sweep_assert_pairs(&of_compaction, (unsigned)test_size(2, 2, 40));
}

static void compaction_that_runs_out_of_memory_changes_nothing(void **state)
{
	(void)state;
	oom_assert(&of_compaction);
}

/* ---- recovery from packs ---- */

#define WRONG_VALUE 100 /* an outcome that no result has */

static int recover(void *ctx, const struct fsu *fs)
{
	struct pack_reader reader = { .fs = fs };
	struct record record;
	struct actor b;
	fsha_result result;

	(void)ctx;
	result = actor_try_start(&b, a.disk, B);
	for (int i = 2; result == FSHA_OK && i < KEYS; i++) {
		const char key[] = { 'p', (char)('0' + i), '\0' };
		const char *expected = i < 4 ? "newer" : "packed";

		result = store_get_next(b.store, key, &reader, &record, NULL, NULL);
		if (result != FSHA_OK)
			break;
		if (strcmp((const char *)record.data, expected) != 0)
			result = WRONG_VALUE;
		record_done(fs, &record);
	}
	pack_reader_done(&reader);
	actor_stop(&b);
	return result;
}

static const char *check_recovery(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	CHECK(run->outcome != WRONG_VALUE);
	CHECK(run->outcome != FSHA_E_CORRUPT);
	CHECK(run->outcome != FSHA_E_NOT_FOUND);
	return run->when == SWEEP_RETURNED ? check_compaction(ctx, after, run) : NULL;
}

static const struct sweep_scenario of_recovery = {
	.name = "recover from packs",
	.options = { .seed = 1 },
	.client = B,
	.setup = start_with_packs,
	.operation = recover,
	.check = check_recovery,
	.teardown = finish,
};

static void recovery_from_packs_reads_right_or_fails_at_every_fault(void **state)
{
	(void)state;
	sweep_assert(&of_recovery);
}

static void recovery_from_packs_says_when_it_runs_out_of_memory(void **state)
{
	(void)state;
	oom_assert(&of_recovery);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batch_is_all_or_nothing_at_every_fault),
		cmocka_unit_test(batch_is_all_or_nothing_at_every_pair_of_faults),
		cmocka_unit_test(batch_that_runs_out_of_memory_is_all_or_nothing),
		cmocka_unit_test(batch_in_doubt_is_settled_truthfully_at_every_pair_of_faults),
		cmocka_unit_test(compaction_changes_nothing_at_every_fault),
		cmocka_unit_test(compaction_changes_nothing_at_every_pair_of_faults),
		cmocka_unit_test(compaction_that_runs_out_of_memory_changes_nothing),
		cmocka_unit_test(recovery_from_packs_reads_right_or_fails_at_every_fault),
		cmocka_unit_test(recovery_from_packs_says_when_it_runs_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
