/* Elections of jobs that are long gone are retired, and no epoch of theirs comes back. */
#include "tests/test_gc.h"

/* ---- retiring elections ---- */

static void open_deserted(struct place *p)
{
	memset(p, 0, sizeof(*p));
	p->disk = crashfs_create(&(struct crashfs_options){ .seed = 1 });
	town_start(&p->town, p->disk);
	end_the_job(&p->town);
	town_kill(&p->town);
	holder_start_reader(&p->holder, p->disk, GC);
}

static uint64_t floor_of(struct place *p)
{
	uint64_t floor = 0;

	assert_int_equal(cluster_floor_read(&p->holder.services->cluster, &floor, NULL), FSHA_OK);
	return floor;
}

static fsha_result gc_of_remains(struct place *p, uint32_t flags)
{
	/* Without the old versions, which would begin a term, and so start threads. */
	empty_the_graphs(&p->town);
	return gc(p, flags);
}

static void an_election_of_a_job_that_is_gone_is_retired_behind_the_floor(void **state)
{
	struct place p;

	(void)state;
	open_deserted(&p);
	assert_int_equal(floor_of(&p), 0);
	assert_int_equal(gc_of_remains(&p, FSHA_GC_RETIRE), FSHA_OK);
	assert_told(&p, "done election-retired elections/" TOWN_JOB_ELECTION);
	assert_int_equal(count(&p, LAYOUT_ELECTIONS, ""), 1);
	assert_int_equal(count(&p, LAYOUT_LEADERS, TOWN_JOB_ELECTION), 0);
	assert_int_equal(floor_of(&p), 1);
	holder_stop(&p.holder);
	/* It comes back with a higher epoch. */
	holder_start(&p.holder, p.disk, GC, TOWN_JOB_ELECTION);
	assert_int_equal(p.holder.term->epoch.number, 2);
	close_place(&p);
}

static void no_election_is_retired_while_anybody_is_a_member(void **state)
{
	struct member *m;
	struct place p;

	(void)state;
	open_deserted(&p);
	assert_int_equal(member_join(&p.holder.services->cluster, false, &m, NULL), FSHA_OK);
	assert_int_equal(gc_of_remains(&p, FSHA_GC_RETIRE), FSHA_OK);
	assert_told(&p, "left election-retired elections\n");
	assert_int_equal(count(&p, LAYOUT_ELECTIONS, TOWN_JOB_ELECTION), 1);
	member_destroy(m);
	close_place(&p);
}

static void what_is_left_of_a_retired_election_does_not_bring_it_back(void **state)
{
	struct place p;

	(void)state;
	open_deserted(&p);
	leave_half_retired(&p);
	assert_int_equal(gc_of_remains(&p, 0), FSHA_OK);
	assert_told(&p, "done election-retired " RETIRED_ELECTION "\n");
	assert_int_equal(count(&p, LAYOUT_ELECTIONS, "job-" RETIRED), 0);
	assert_int_equal(count(&p, LAYOUT_ELECTIONS, ""), 2);
	close_place(&p);
}

/* As whoever met it by hand was once told to do. A leader that it has since is not disturbed. */
static void an_election_that_was_given_an_epoch_file_again_stays(void **state)
{
	struct place p;

	(void)state;
	open_deserted(&p);
	leave_half_retired(&p);
	crashfs_put(p.disk,
		    town_path(&p.town,
			      RETIRED_ELECTION "/epoch-0000000000000002-" STRANGER "-" STRANGER),
		    "", 0);
	assert_int_equal(gc_of_remains(&p, 0), FSHA_OK);
	assert_told(&p, "done election-retired " RETIRED_ELECTION "\n");
	assert_int_equal(count(&p, RETIRED_ELECTION, "epoch-"), 1);
	assert_int_equal(count(&p, RETIRED_ELECTION, "retired-"), 0);
	assert_int_equal(count(&p, RETIRED_ELECTION, "tenure-"), 1);
	close_place(&p);
}

/* A gc that was stopped before it moved the directory away, and what came in its place meanwhile.
 */
static struct {
	const struct fsu *real;
	struct fsu_ops ops;
	struct place *place;
	bool done;
} late;

static int late_renameat(void *ctx, int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	if (!late.done && strncmp(to, LAYOUT_ELECTIONS "/~", sizeof(LAYOUT_ELECTIONS) + 1) == 0) {
		late.done = true;
		assert_int_equal(
			fsu_renameat(late.real, from_dirfd, from, to_dirfd, LAYOUT_ELECTIONS "/~x"),
			0);
		make_directory(late.place, RETIRED_ELECTION);
		crashfs_put(late.place->disk,
			    town_path(&late.place->town, RETIRED_ELECTION
				      "/epoch-0000000000000002-" STRANGER "-" STRANGER),
			    "", 0);
	}
	return late.real->ops->renameat(ctx, from_dirfd, from, to_dirfd, to);
}

static void an_election_that_was_made_anew_meanwhile_is_put_back(void **state)
{
	struct fsu hooked;
	struct place p;

	(void)state;
	open_deserted(&p);
	leave_half_retired(&p);
	late.real = p.holder.services->cluster.fs;
	late.ops = *late.real->ops;
	late.ops.renameat = late_renameat;
	late.place = &p;
	late.done = false;
	hooked = (struct fsu){ &late.ops, late.real->ctx };
	p.holder.services->cluster.fs = &hooked;
	assert_int_equal(gc_of_remains(&p, 0), FSHA_OK);
	p.holder.services->cluster.fs = late.real;
	assert_true(late.done);
	assert_told(&p, "left election-retired " RETIRED_ELECTION "\n");
	assert_int_equal(count(&p, RETIRED_ELECTION, "epoch-"), 1);
	close_place(&p);
}

static void no_leader_record_of_a_retired_election_comes_back_in_a_power_cut(void **state)
{
	struct place p;

	(void)state;
	open_deserted(&p);
	assert_int_equal(gc_of_remains(&p, FSHA_GC_RETIRE), FSHA_OK);
	assert_told(&p, "done election-retired elections/" TOWN_JOB_ELECTION);
	holder_stop(&p.holder);
	crashfs_crash_losing_all(p.disk);
	crashfs_recover(p.disk);
	assert_int_equal(count(&p, LAYOUT_ELECTIONS, TOWN_JOB_ELECTION), 0);
	assert_int_equal(count(&p, LAYOUT_LEADERS, TOWN_JOB_ELECTION), 0);
	close_place(&p);
}

static void an_election_stays_until_its_leader_records_are_gone(void **state)
{
	const struct crashfs_fault fault = {
		.client = GC, .calls_mask = 1u << CRASHFS_UNLINKAT, .error = EIO, .repeat = true
	};
	struct place p;

	(void)state;
	open_deserted(&p);
	assert_int_equal(gc_of_remains(&p, 0), FSHA_OK); /* the dead member */
	crashfs_count_reset(p.disk);
	crashfs_fault_arm(p.disk, &fault);
	assert_int_equal(gc_of_remains(&p, FSHA_GC_RETIRE), FSHA_E_IO);
	assert_told(&p, "failed election-retired elections/" TOWN_JOB_ELECTION);
	crashfs_fault_clear(p.disk);
	assert_int_equal(gc_of_remains(&p, 0), FSHA_OK);
	assert_told(&p, "done election-retired elections/" TOWN_JOB_ELECTION);
	assert_int_equal(count(&p, LAYOUT_LEADERS, TOWN_JOB_ELECTION), 0);
	close_place(&p);
}

static void stop_retiring(void *ctx, struct crashfs *disk)
{
	(void)disk;
	holder_stop(&((struct place *)ctx)->holder);
}

static void start_retiring(void *ctx, struct crashfs *disk)
{
	struct place *p = ctx;

	memset(p, 0, sizeof(*p));
	p->disk = disk;
	town_start(&p->town, disk);
	end_the_job(&p->town);
	town_kill(&p->town);
	empty_the_graphs(&p->town);
	holder_start_reader(&p->holder, disk, GC);
}

/* gc without what would begin a term, and so start threads. */
static fsha_result retire(struct place *p, bool patient)
{
	fsha_verify_summary ignored = FSHA_VERIFY_SUMMARY_INIT;
	const struct remains_policy policy = { .own = NULL };
	struct actions a = { .services = p->holder.services };
	struct findings found;
	struct still still;
	fsha_result result;

	still_init(&still, &p->holder.services->cluster);
	(void)remains_look(&still, &policy); /* the dead member */
	if (patient) {                       /* or what is left of it */
		crashfs_advance(p->disk, (STILL_LEASES + 1) * HOLDER_LEASE_MS * FSU_NS_PER_MS);
		(void)remains_look(&still, &policy);
	}
	still_done(&still);

	findings_init(&found, p->holder.fs);
	a.error = (fsha_error)FSHA_ERROR_INIT;
	/* The other time it is what the sweep is for, and looking for more would take long. */
	result = patient ? verify_run(&p->holder.services->cluster, NULL, true, &ignored, &found,
				      NULL) :
			   FSHA_OK;
	for (size_t i = 0; i < found.count; i++)
		if (found.items[i].code == FINDING_ELECTION_RETIRED)
			retire_finish(&a, &found.items[i]);
	findings_done(&found);
	if (result == FSHA_OK)
		retire_elections(&a);
	return result == FSHA_OK ? actions_end(&a, NULL, &p->holder.error) : result;
}

static int do_retire(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return retire(ctx, false);
}

/*
 * Whatever happened: once gc has come to its end, the next term has a higher epoch than any before.
 */
static const char *epochs_grow(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct place p = { .disk = after };
	const char *wrong = NULL;

	(void)ctx;
	if (run->when == SWEEP_RETURNED)
		return NULL; /* the process still runs; the copies below are looked at */
	holder_start_reader(&p.holder, after, SLOW);
	if (retire(&p, true) != FSHA_OK)
		wrong = sweep_say("it cannot be brought to its end: %s", p.holder.error.message);
	holder_stop(&p.holder);
	if (!wrong && crashfs_exists(after, "/c/" LAYOUT_ELECTIONS "/" TOWN_JOB_ELECTION))
		wrong = "it is still there";
	if (wrong)
		return wrong;
	holder_start(&p.holder, after, SLOW, TOWN_JOB_ELECTION);
	if (!wrong && p.holder.term->epoch.number < 2)
		wrong = "an epoch came back";
	holder_stop(&p.holder);
	return wrong;
}

static void retiring_an_election_brings_no_epoch_back_at_every_fault(void **state)
{
	struct place p;
	struct sweep_scenario scenario = { .name = "retire",
					   .options = { .seed = 1 },
					   .client = GC,
					   .ctx = &p,
					   .setup = start_retiring,
					   .operation = do_retire,
					   .check = epochs_grow,
					   .teardown = stop_retiring };

	(void)state;
	sweep_assert(&scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_election_of_a_job_that_is_gone_is_retired_behind_the_floor),
		cmocka_unit_test(no_election_is_retired_while_anybody_is_a_member),
		cmocka_unit_test(what_is_left_of_a_retired_election_does_not_bring_it_back),
		cmocka_unit_test(an_election_that_was_given_an_epoch_file_again_stays),
		cmocka_unit_test(an_election_that_was_made_anew_meanwhile_is_put_back),
		cmocka_unit_test(no_leader_record_of_a_retired_election_comes_back_in_a_power_cut),
		cmocka_unit_test(an_election_stays_until_its_leader_records_are_gone),
		cmocka_unit_test(retiring_an_election_brings_no_epoch_back_at_every_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
