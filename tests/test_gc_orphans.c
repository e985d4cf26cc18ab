/*
 * Blobs of jobs that are gone, or about to come: gc leaves them unless it is asked to, and takes
 * them as the janitor does, only where it is known that the job has ended, unless a person says
 * that nobody is about to submit one.
 */
#include "tests/test_gc.h"

static void blobs_of_an_unknown_job_go_when_they_are_asked_for_and_others_stay(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, store_orphans);
	expect_gc(&p, FSHA_GC_DRY_RUN | FSHA_GC_UNKNOWN_JOBS);
	assert_told(&p, "planned blobs-orphaned " BLOBS);
	assert_int_equal(count(&p, LAYOUT_BLOBS, "job_"), 3);
	expect_gc(&p, FSHA_GC_UNKNOWN_JOBS);
	assert_told(&p, "done blobs-orphaned " BLOBS);
	assert_int_equal(count(&p, LAYOUT_BLOBS, "job_" STRANGER), 0);
	assert_int_equal(count(&p, LAYOUT_BLOBS, "job_"), 2);
	close_place(&p);
}

static void blobs_of_a_job_that_is_being_submitted_stay(void **state)
{
	struct store_options options = { .directory = BLOBS,
					 .election = ACTOR_ELECTION,
					 .kind = FSU_KIND_BLOB,
					 .owned = true,
					 .removable = true };
	struct store *store;
	struct place p;

	(void)state;
	open_with(&p, 0, store_orphans);
	/* A second blob under the present term: its graph may be on its way. */
	assert_int_equal(services_store_open(p.holder.services, &options, &store, NULL), FSHA_OK);
	assert_int_equal(store_write(store, STORE_ADD, "c", NULL, "x", 1, NULL, NULL), FSHA_OK);
	expect_gc(&p, FSHA_GC_UNKNOWN_JOBS);
	for (int i = 0; i < 3; i++) {
		crashfs_advance(p.disk, 12 * HOLDER_LEASE_MS * FSU_NS_PER_MS);
		live_long(&p);
		upkeep_remains(p.holder.services);
	}
	assert_int_equal(count(&p, LAYOUT_BLOBS, "job_" STRANGER), 1);
	services_store_close(p.holder.services, store);
	close_place(&p);
}

struct intruder {
	struct store *store;
	unsigned looks;
};

/* A blob is put while the collector, who has seen the directory, asks again for running jobs. */
static void put_meanwhile(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct intruder *i = ctx;

	(void)client;
	if (call != CRASHFS_OPENAT || !path || !strstr(path, LAYOUT_RUNNING_JOBS) ||
	    ++i->looks != 2)
		return;
	assert_int_equal(store_write(i->store, STORE_ADD, "c", NULL, "x", 1, NULL, NULL), FSHA_OK);
}

static void a_blob_that_comes_while_gc_decides_stays(void **state)
{
	struct store_options options = { .directory = BLOBS,
					 .election = ACTOR_ELECTION,
					 .kind = FSU_KIND_BLOB,
					 .owned = true,
					 .removable = true };
	struct intruder i = { .looks = 0 };
	struct place p;

	(void)state;
	open_with(&p, 0, store_orphans);
	assert_int_equal(services_store_open(p.holder.services, &options, &i.store, NULL), FSHA_OK);
	crashfs_hook_set(p.disk, put_meanwhile, &i);
	assert_int_equal(orphans_look(p.holder.services, p.holder.term,
				      &(struct orphans_policy){ .unknown = true }),
			 0);
	crashfs_hook_set(p.disk, NULL, NULL);
	assert_int_equal(i.looks, 2);
	assert_int_equal(count(&p, BLOBS, "c~"), 1);
	services_store_close(p.holder.services, i.store);
	close_place(&p);
}

/* Which jobs there are is asked again when it could not be read. */
static void one_call_that_fails_hides_no_orphan(void **state)
{
	fsha_verify_summary summary = FSHA_VERIFY_SUMMARY_INIT;
	struct crashfs_fault fault = { .client = GC,
				       .calls_mask = 1u << CRASHFS_OPENAT,
				       .error = EIO };
	struct place p;
	bool fired;

	(void)state;
	open_with(&p, 0, store_orphans);
	do {
		struct findings found;
		unsigned orphans = 0;

		findings_init(&found, p.holder.fs);
		crashfs_count_reset(p.disk);
		crashfs_fault_arm(p.disk, &fault);
		assert_int_equal(
			verify_run(&p.holder.services->cluster, NULL, true, &summary, &found, NULL),
			FSHA_OK);
		fired = crashfs_faults_fired(p.disk) > 0;
		crashfs_fault_clear(p.disk);
		for (size_t i = 0; i < found.count; i++)
			orphans += found.items[i].code == FINDING_BLOBS_ORPHANED;
		findings_done(&found);
		if (orphans != 1)
			fail_msg("open %u fails: %u orphans", (unsigned)fault.at, orphans);
		fault.at++;
	} while (fired);
	assert_true(fault.at > 50);
	close_place(&p);
}

/* ---- in the background ---- */

/* The janitor's looks of many leases. */
static void look_for_long(struct place *p)
{
	for (int i = 0; i < 30; i++) {
		upkeep_remains(p->holder.services);
		crashfs_advance(p->disk, HOLDER_LEASE_MS * FSU_NS_PER_MS);
		live_long(p);
	}
}

static void the_janitor_keeps_blobs_of_a_job_that_never_had_an_election(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, store_orphans);
	look_for_long(&p);
	assert_int_equal(count(&p, BLOBS, "b~"), 1);
	close_place(&p);
}

static void the_janitor_keeps_blobs_of_a_job_that_was_never_led(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, store_orphans);
	make_election(&p, "0000000000000000", "vacant");
	look_for_long(&p);
	assert_int_equal(count(&p, BLOBS, "b~"), 1);
	close_place(&p);
}

static void the_janitor_keeps_blobs_of_a_job_whose_master_died(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, store_orphans);
	make_election(&p, "0000000000000007", STRANGER);
	look_for_long(&p);
	assert_int_equal(count(&p, BLOBS, "b~"), 1);
	close_place(&p);
}

/* What is left of a job whose master resigned: its blobs, and of its checkpoints what is asked. */
static void leave_job(struct town *t, const char *checkpoint)
{
	char path[700];

	store_orphans(t);
	if (strcmp(checkpoint, "@counter") == 0)
		town_write(t, LAYOUT_CHECKPOINTS "/" TOWN_JOB, TOWN_JOB_ELECTION,
			   FSU_KIND_CHECKPOINT, true, checkpoint, "x");
	if (strcmp(checkpoint, "0") != 0) {
		town_find(t, LAYOUT_CHECKPOINTS "/" TOWN_JOB, "0", false, path);
		crashfs_rm(t->disk, town_path(t, "%s", path));
	}
	town_find(t, LAYOUT_JOB_GRAPHS, TOWN_JOB, false, path);
	crashfs_rm(t->disk, town_path(t, "%s", path));
	town_find(t, LAYOUT_RUNNING_JOBS, TOWN_JOB, false, path);
	crashfs_rm(t->disk, town_path(t, "%s", path));
	town_resign(t);
}

static void leave_checkpoint(struct town *t)
{
	leave_job(t, "0");
}

static void leave_counter(struct town *t)
{
	leave_job(t, "@counter");
}

static void leave_neither(struct town *t)
{
	leave_job(t, "");
}

/* An acknowledged blob of a job whose graph is on its way, also of one that ran here before. */
static void blobs_that_came_before_their_graph_stay_unless_they_are_asked_for(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, leave_neither);
	for (uint32_t flags = 0; flags <= FSHA_GC_DRY_RUN; flags++) {
		expect_gc(&p, flags);
		assert_told(&p, "left blobs-orphaned " BLOBS);
		assert_told(&p, "left blobs-orphaned " LAYOUT_BLOBS "/job_" TOWN_JOB);
	}
	crashfs_advance(p.disk, 20 * HOLDER_LEASE_MS * FSU_NS_PER_MS);
	live_long(&p);
	expect_gc(&p, 0); /* that it is old is not what counts */
	assert_int_equal(count(&p, BLOBS, "b~"), 1);
	assert_int_equal(count(&p, LAYOUT_BLOBS "/job_" TOWN_JOB, "b~"), 1);
	close_place(&p);
}

static void blobs_of_a_job_that_has_ended_go_once_they_stood_still(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, leave_neither);
	expect_gc(&p, FSHA_GC_WATCH | FSHA_GC_DRY_RUN);
	assert_told(&p, "planned blobs-orphaned " LAYOUT_BLOBS "/job_" TOWN_JOB);
	expect_gc(&p, FSHA_GC_WATCH);
	assert_told(&p, "done blobs-orphaned " LAYOUT_BLOBS "/job_" TOWN_JOB);
	assert_told(&p, "left blobs-orphaned " BLOBS); /* it never had an election */
	assert_int_equal(count(&p, LAYOUT_BLOBS, "job_" TOWN_JOB), 0);
	assert_int_equal(count(&p, LAYOUT_BLOBS, "job_" TOWN_JOB_2), 1);
	assert_int_equal(count(&p, BLOBS, "b~"), 1);
	expect_gc(&p, FSHA_GC_WATCH | FSHA_GC_UNKNOWN_JOBS);
	assert_told(&p, "done blobs-orphaned " BLOBS);
	assert_int_equal(count(&p, LAYOUT_BLOBS, "job_"), 1);
	close_place(&p);
}

/* Five leases into the watch something comes. */
struct latecomer {
	struct place *place;
	int64_t at_ns;
};

static void come_late(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct latecomer *l = ctx;

	(void)call;
	(void)path;
	(void)client;
	if (!l->at_ns || fsu_now_ns(l->place->town.hand) < l->at_ns)
		return;
	l->at_ns = 0;
	crashfs_put(l->place->disk,
		    town_path(&l->place->town, LAYOUT_BLOBS "/job_" TOWN_JOB "/~late"), "", 0);
}

static void blobs_that_come_while_gc_watches_stay(void **state)
{
	const uint32_t ways[] = { FSHA_GC_WATCH, FSHA_GC_WATCH | FSHA_GC_UNKNOWN_JOBS };
	struct place p;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct latecomer l = { .place = &p };

		open_with(&p, 0, leave_neither);
		l.at_ns = fsu_now_ns(p.town.hand) + 5 * HOLDER_LEASE_MS * FSU_NS_PER_MS;
		crashfs_hook_set(p.disk, come_late, &l);
		expect_gc(&p, ways[i]);
		crashfs_hook_set(p.disk, NULL, NULL);
		assert_int_equal(l.at_ns, 0);
		assert_told(&p, "left blobs-orphaned " LAYOUT_BLOBS "/job_" TOWN_JOB);
		assert_int_equal(count(&p, LAYOUT_BLOBS "/job_" TOWN_JOB, "b~"), 1);
		close_place(&p);
	}
}

static void the_janitor_keeps_blobs_while_there_are_checkpoints_or_a_count_of_them(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, leave_checkpoint);
	look_for_long(&p);
	assert_int_equal(count(&p, LAYOUT_BLOBS, "job_" TOWN_JOB), 1);
	close_place(&p);
	open_with(&p, 0, leave_counter);
	look_for_long(&p);
	assert_int_equal(count(&p, LAYOUT_BLOBS, "job_" TOWN_JOB), 1);
	close_place(&p);
	open_with(&p, 0, leave_neither);
	look_for_long(&p);
	assert_int_equal(count(&p, LAYOUT_BLOBS, "job_" TOWN_JOB), 0);
	close_place(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			blobs_of_an_unknown_job_go_when_they_are_asked_for_and_others_stay),
		cmocka_unit_test(blobs_that_came_before_their_graph_stay_unless_they_are_asked_for),
		cmocka_unit_test(blobs_of_a_job_that_has_ended_go_once_they_stood_still),
		cmocka_unit_test(blobs_that_come_while_gc_watches_stay),
		cmocka_unit_test(blobs_of_a_job_that_is_being_submitted_stay),
		cmocka_unit_test(a_blob_that_comes_while_gc_decides_stays),
		cmocka_unit_test(one_call_that_fails_hides_no_orphan),
		cmocka_unit_test(the_janitor_keeps_blobs_of_a_job_that_never_had_an_election),
		cmocka_unit_test(the_janitor_keeps_blobs_of_a_job_that_was_never_led),
		cmocka_unit_test(the_janitor_keeps_blobs_of_a_job_whose_master_died),
		cmocka_unit_test(
			the_janitor_keeps_blobs_while_there_are_checkpoints_or_a_count_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
