/*
 * The sweep of gc as a whole, with each of its options: every system call fails in every way, and
 * is the last before a power cut. Whatever happens: no value is lost and none that was removed
 * comes back; what it told to be done is done; the next leader leads and writes, the next gc ends
 * the work, and verify finds nothing then.
 */
#include "tests/test_sweep_town.h"

#define NAMESPACE 0 /* among the values: what does not belong to a job */
static const struct town_value values[] = {
	{ LAYOUT_STATE "/ns", ACTOR_ELECTION, "k", "value", FSU_KIND_STATE, true },
	{ LAYOUT_JOB_GRAPHS, ACTOR_ELECTION, TOWN_JOB, "newer", FSU_KIND_JOB_GRAPH, false },
	{ LAYOUT_JOB_GRAPHS, ACTOR_ELECTION, TOWN_JOB_2, "", FSU_KIND_JOB_GRAPH, false },
	{ LAYOUT_RUNNING_JOBS, ACTOR_ELECTION, TOWN_JOB, "x", FSU_KIND_RUNNING_JOB, false },
	{ LAYOUT_BLOBS "/job_" TOWN_JOB, ACTOR_ELECTION, "b", "blob", FSU_KIND_BLOB, true },
	{ LAYOUT_CHECKPOINTS "/" TOWN_JOB, TOWN_JOB_ELECTION, "0000000000000000001", "checkpoint",
	  FSU_KIND_CHECKPOINT, true },
};
#define VALUES (sizeof(values) / sizeof(values[0]))

/* ---- a town full of what is useless ---- */

static void leave_remains_of_processes(struct place *p)
{
	make_directory(p, LAYOUT_MEMBERS "/~" STRANGER);
	make_directory(p, LAYOUT_MEMBERS "/" STRANGER);
	make_directory(p, LAYOUT_ELECTIONS "/~" STRANGER);
	crashfs_put(p->disk, town_path(&p->town, LAYOUT_ELECTIONS "/~" STRANGER "/x"), "x", 1);
	crashfs_put(p->disk,
		    town_path(&p->town, LAYOUT_ELECTIONS "/" TOWN_JOB_ELECTION "/trash/" STRANGER),
		    "x", 1);
}

static void make_waste(struct place *p, struct crashfs *disk)
{
	memset(p, 0, sizeof(*p));
	p->disk = disk;
	town_start(&p->town, disk);
	store_orphans(&p->town);
	assert_int_equal(actor_replace(&p->town.a, TOWN_JOB, "newer"), FSHA_OK);
	assert_int_equal(actor_remove(&p->town.a, TOWN_JOB_2), FSHA_OK);
	town_kill(&p->town);
	leave_remains_of_processes(p);
	leave_half_retired(p);
}

static void start_with_waste(void *ctx, struct crashfs *disk)
{
	struct place *p = ctx;

	make_waste(p, disk);
	start_tending(p, disk, GC);
}

/* ---- what is done ---- */

static int collect(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return gc(ctx, FSHA_GC_UNKNOWN_JOBS);
}

static int watch_and_collect(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return gc(ctx, FSHA_GC_WATCH | FSHA_GC_UNKNOWN_JOBS);
}

static int plan(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return gc(ctx, FSHA_GC_DRY_RUN | FSHA_GC_WATCH | FSHA_GC_RETIRE | FSHA_GC_UNKNOWN_JOBS);
}

static int retire(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return gc(ctx, FSHA_GC_RETIRE);
}

/* ---- what must hold after it ---- */

/*
 * What gc is for, but what a term brings with it: its own tenure and trash, which the next one
 * takes away, and the leader records of the one before.
 */
static bool is_waste(const struct finding *f)
{
	switch (f->code) {
	case FINDING_TENURE_BUSY:
	case FINDING_TRASH:
		return false;
	case FINDING_OLD_VERSIONS:
		return strncmp(f->path, LAYOUT_LEADERS "/", sizeof(LAYOUT_LEADERS)) != 0;
	default:
		return true;
	}
}

static const char *check_next(struct crashfs *after)
{
	struct place next = { .told = "" };
	const char *wrong;

	start_tending(&next, after, SLOW);
	wrong = compare_values(&next, values, VALUES);
	if (!wrong && gc(&next, FSHA_GC_WATCH | FSHA_GC_UNKNOWN_JOBS) != FSHA_OK)
		wrong = sweep_say("the next gc fails: %s", next.holder.error.message);
	if (!wrong)
		wrong = find_nothing(&next, NULL);
	if (!wrong)
		wrong = compare_values(&next, values, VALUES);
	if (!wrong)
		wrong = write_on(&next);
	holder_stop(&next.holder);
	return wrong;
}

static const char *check_collected(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct place *p = ctx;
	const char *wrong;

	if (run->when == SWEEP_RETURNED) {
		wrong = compare_with_told(p, p->told, run->outcome == FSHA_OK, is_waste);
		if (wrong)
			return wrong;
		if (run->n_faults == 0 && run->outcome != FSHA_OK)
			return sweep_say("nothing failed but gc: %s", p->holder.error.message);
		crashfs_kill_client(after, GC);
	}
	return check_next(after);
}

/* ---- retiring ---- */

/* A tenure that a power cut brought back would begin a term, and so start threads. */
static void make_durable(struct place *p)
{
	static const char *const elections[] = { ACTOR_ELECTION, TOWN_JOB_ELECTION };

	assert_int_equal(fsu_dir_sync(p->town.hand, AT_FDCWD, TOWN_CLUSTER), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(
			fsu_dir_sync(p->town.hand, AT_FDCWD,
				     town_path(&p->town, LAYOUT_ELECTIONS "/%s", elections[i])),
			0);
}

static void start_deserted(void *ctx, struct crashfs *disk)
{
	struct place *p = ctx;

	memset(p, 0, sizeof(*p));
	p->disk = disk;
	town_start(&p->town, disk);
	end_the_job(&p->town);
	town_kill(&p->town);
	empty_the_graphs(&p->town);
	make_durable(p);
	leave_half_retired(p);
	holder_start_reader(&p->holder, disk, GC);
}

static bool is_record_of_resigned(const struct finding *f)
{
	return !is_waste(f) && f->code == FINDING_OLD_VERSIONS;
}

static const char *check_next_retirement(struct crashfs *after)
{
	struct place next = { .disk = after };
	const char *wrong = NULL;

	holder_start_reader(&next.holder, after, SLOW);
	if (gc(&next, FSHA_GC_RETIRE | FSHA_GC_WATCH) != FSHA_OK)
		wrong = sweep_say("the next gc fails: %s", next.holder.error.message);
	if (!wrong)
		wrong = find_nothing(&next, is_record_of_resigned);
	if (!wrong && (count(&next, LAYOUT_ELECTIONS, "") != 1 ||
		       count(&next, LAYOUT_LEADERS, TOWN_JOB_ELECTION) != 0))
		wrong = sweep_say("not retired\n%.300s", next.told);
	holder_stop(&next.holder);
	return wrong;
}

/* Whoever comes after that leads above every epoch that there was. */
static const char *check_retired(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct place *p = ctx, next = { .disk = after };
	const char *wrong = NULL;

	if (run->when == SWEEP_RETURNED) {
		wrong = compare_with_told(p, p->told, run->outcome == FSHA_OK, is_waste);
		if (!wrong && run->n_faults == 0 && count(p, LAYOUT_ELECTIONS, "") != 1)
			wrong = sweep_say("nothing failed, and not retired\n%.300s", p->told);
		crashfs_kill_client(after, GC);
	}
	if (run->when == SWEEP_CUT_AFTER &&
	    strstr(p->told, "done election-retired " LAYOUT_ELECTIONS "/" TOWN_JOB_ELECTION) &&
	    crashfs_exists(after, "/c/" LAYOUT_ELECTIONS "/" TOWN_JOB_ELECTION))
		wrong = "told as done, and a power cut brought it back";
	if (!wrong)
		wrong = check_next_retirement(after);
	if (wrong)
		return wrong;
	holder_start(&next.holder, after, SLOW, TOWN_JOB_ELECTION);
	live_long(&next);
	if (next.holder.term->epoch.number < 2)
		wrong = "an epoch came back";
	holder_lead_too(&next.holder, ACTOR_ELECTION);
	if (!wrong)
		wrong = compare_values(&next, &values[NAMESPACE], 1);
	if (!wrong)
		wrong = write_on(&next);
	holder_stop(&next.holder);
	return wrong;
}

/* ---- planning ---- */

struct planning {
	struct place place; /* the first: it is the context of what is shared */
	uint64_t digest;
};

static void start_planning(void *ctx, struct crashfs *disk)
{
	start_with_waste(ctx, disk);
	((struct planning *)ctx)->digest = crashfs_digest(disk);
}

static const char *check_planned(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct planning *planning = ctx;
	struct place *p = &planning->place;

	if (run->when != SWEEP_RETURNED)
		return check_next(after);
	if (crashfs_digest(after) != planning->digest)
		return "a dry run has changed something";
	if (strstr(p->told, "done "))
		return sweep_say("a dry run has done something\n%.300s", p->told);
	if (run->n_faults > 0)
		return NULL;
	assert_told(p, "planned member-dead members/");
	assert_told(p, "planned old-versions " LAYOUT_JOB_GRAPHS "\n");
	assert_told(p, "planned tombstones " LAYOUT_JOB_GRAPHS "\n");
	assert_told(p, "planned blobs-orphaned " BLOBS "\n");
	assert_told(p, "planned election-retired " RETIRED_ELECTION "\n");
	assert_told(p, "planned trash " LAYOUT_ELECTIONS "/" TOWN_JOB_ELECTION "/trash\n");
	return NULL;
}

/* ---- the sweeps ---- */

static struct sweep_scenario collecting(struct place *p, const char *name,
					int (*operation)(void *ctx, const struct fsu *fs),
					unsigned every)
{
	struct sweep_scenario scenario = scenario_of(p, name);

	scenario.setup = start_with_waste;
	scenario.operation = operation;
	scenario.check = check_collected;
	scenario.every = every;
	return scenario;
}

static struct sweep_scenario retiring(struct place *p, unsigned every)
{
	struct sweep_scenario scenario = collecting(p, "gc --retire", retire, every);

	scenario.setup = start_deserted;
	scenario.check = check_retired;
	return scenario;
}

static void gc_loses_nothing_and_says_what_it_did_at_every_fault(void **state)
{
	struct place p;
	const struct sweep_scenario scenario =
		collecting(&p, "gc", collect, (unsigned)test_size(71, 7, 1));

	(void)state;
	sweep_assert(&scenario);
}

static void gc_that_watches_does_so_too(void **state)
{
	struct place p;
	const struct sweep_scenario scenario =
		collecting(&p, "gc --watch", watch_and_collect, (unsigned)test_size(151, 13, 1));

	(void)state;
	sweep_assert(&scenario);
}

static void gc_that_retires_brings_no_epoch_back_at_every_fault(void **state)
{
	struct place p;
	const struct sweep_scenario scenario = retiring(&p, (unsigned)test_size(41, 5, 1));

	(void)state;
	sweep_assert(&scenario);
}

static void a_dry_run_changes_nothing_at_every_fault(void **state)
{
	struct planning planning;
	struct sweep_scenario scenario =
		collecting(&planning.place, "gc --dry-run", plan, (unsigned)test_size(53, 7, 1));

	(void)state;
	scenario.setup = start_planning;
	scenario.check = check_planned;
	sweep_assert(&scenario);
}

static void gc_without_memory_says_what_it_did(void **state)
{
	struct place p;
	struct sweep_scenario scenario =
		collecting(&p, "gc", collect, (unsigned)test_size(47, 3, 1));

	(void)state;
	oom_assert(&scenario);
	scenario = retiring(&p, (unsigned)test_size(47, 3, 1));
	oom_assert(&scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gc_loses_nothing_and_says_what_it_did_at_every_fault),
		cmocka_unit_test(gc_that_watches_does_so_too),
		cmocka_unit_test(gc_that_retires_brings_no_epoch_back_at_every_fault),
		cmocka_unit_test(a_dry_run_changes_nothing_at_every_fault),
		cmocka_unit_test(gc_without_memory_says_what_it_did),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
