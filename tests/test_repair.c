/* Repair moves what is damaged to quarantine: fenced, nothing lost, nothing older without consent.
 */
#include "tests/test_gc.h"

static fsha_result repair(struct place *p, uint32_t flags)
{
	fsha_repair_options options = { sizeof(options), flags, 0 };

	p->told[0] = '\0';
	return fsha_repair(p->holder.services, &options, tell, p, NULL, &p->holder.error);
}

static void expect_repair(struct place *p, uint32_t flags)
{
	if (repair(p, flags) != FSHA_OK)
		fail_msg("%s\n%s", p->holder.error.message, crashfs_log(p->disk));
}

static void damage_a_graph(struct town *t)
{
	char path[700];

	town_find(t, LAYOUT_JOB_GRAPHS, TOWN_JOB, true, path);
	town_damage(t, path);
}

static void damage_a_newer_graph(struct town *t)
{
	assert_int_equal(actor_replace(&t->a, TOWN_JOB, "newer"), FSHA_OK);
	damage_a_graph(t);
}

static void damage_an_older_graph(struct town *t)
{
	damage_a_graph(t);
	assert_int_equal(actor_replace(&t->a, TOWN_JOB, "newer"), FSHA_OK);
}

static void copy_a_later_graph(struct town *t)
{
	crashfs_put(t->disk,
		    town_path(t, LAYOUT_JOB_GRAPHS "/" STRANGER
						   "~00000000000000ff.0000000000000001.0000"),
		    "x", 1);
}

static void make_an_empty_namespace(struct town *t)
{
	assert_int_equal(fsu_mkdirat(t->hand, AT_FDCWD, town_path(t, LAYOUT_STATE "/empty"), 0700),
			 0);
}

static void lose_an_owner(struct town *t)
{
	char path[700];

	town_find(t, LAYOUT_STATE "/ns", "@owner~", true, path);
	crashfs_rm(t->disk, town_path(t, "%s", path));
}

static void a_damaged_record_goes_to_quarantine_and_its_entry_is_gone(void **state)
{
	char path[700], text[64];
	struct place p;

	(void)state;
	open_with(&p, 0, damage_a_graph);
	expect_repair(&p, 0);
	assert_told(&p, "planned record-damaged " LAYOUT_JOB_GRAPHS "/" TOWN_JOB "~");
	assert_int_equal(count(&p, LAYOUT_QUARANTINE, ""), 0);
	expect_repair(&p, FSHA_REPAIR_APPLY);
	assert_told(&p, "done record-damaged " LAYOUT_JOB_GRAPHS "/" TOWN_JOB "~");
	assert_int_equal(count(&p, LAYOUT_JOB_GRAPHS, TOWN_JOB), 0);
	/* It says what and where it was. */
	assert_int_equal(count(&p, LAYOUT_QUARANTINE, ""), 1);
	town_find(&p.town, LAYOUT_QUARANTINE, "", true, path);
	assert_non_null(strstr(path, "~" LAYOUT_JOB_GRAPHS "%2F" TOWN_JOB "%7E"));
	observe(p.disk, SLOW, TOWN_JOB, text);
	assert_string_equal(text, "");
	/* Nothing is left to do. */
	expect_repair(&p, FSHA_REPAIR_APPLY);
	assert_string_equal(p.told, "");
	close_place(&p);
}

static void an_older_version_becomes_visible_only_by_consent(void **state)
{
	struct place p;
	char text[64];

	(void)state;
	open_with(&p, 0, damage_a_newer_graph);
	expect_repair(&p, FSHA_REPAIR_APPLY);
	assert_told(&p, "left record-damaged " LAYOUT_JOB_GRAPHS "/" TOWN_JOB "~");
	assert_int_equal(count(&p, LAYOUT_JOB_GRAPHS, TOWN_JOB), 2);
	expect_repair(&p, FSHA_REPAIR_APPLY | FSHA_REPAIR_ACCEPT_OLDER);
	assert_told(&p, "done record-damaged ");
	observe(p.disk, SLOW, TOWN_JOB, text);
	assert_string_equal(text, "graph");
	/* And it stays, whatever the janitor has seen before. */
	for (int i = 0; i < 3; i++) {
		crashfs_advance(p.disk, INDEX_RETAIN_NS);
		upkeep_stores(p.holder.services, p.holder.term);
	}
	observe(p.disk, SLOW, TOWN_JOB, text);
	assert_string_equal(text, "graph");
	close_place(&p);
}

static void a_damaged_older_version_needs_no_consent(void **state)
{
	struct place p;
	char text[64];

	(void)state;
	open_with(&p, 0, damage_an_older_graph);
	expect_repair(&p, FSHA_REPAIR_APPLY);
	assert_told(&p, "done old-record-damaged ");
	observe(p.disk, SLOW, TOWN_JOB, text);
	assert_string_equal(text, "newer");
	close_place(&p);
}

static void a_version_ahead_of_its_election_is_moved_once(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, copy_a_later_graph);
	expect_repair(&p, FSHA_REPAIR_APPLY);
	assert_int_equal(count(&p, LAYOUT_JOB_GRAPHS, STRANGER), 0);
	assert_int_equal(count(&p, LAYOUT_QUARANTINE, ""), 1);
	close_place(&p);
}

static void an_empty_directory_without_an_owner_is_removed_and_no_other(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, make_an_empty_namespace);
	lose_an_owner(&p.town);
	expect_repair(&p, FSHA_REPAIR_APPLY);
	assert_told(&p, "done owner-missing " LAYOUT_STATE "/empty");
	assert_told(&p, "left owner-missing " LAYOUT_STATE "/ns");
	assert_int_equal(count(&p, LAYOUT_STATE, ""), 1);
	close_place(&p);
}

/* Between the two renames, at the mercy of the next leader. */
static void who_takes_the_tenure_apart_sends_the_record_on(void **state)
{
	char path[700], staged[700];
	struct place p;

	(void)state;
	open_with(&p, 0, damage_a_graph);
	town_find(&p.town, LAYOUT_JOB_GRAPHS, TOWN_JOB, true, path);
	(void)snprintf(staged, sizeof(staged),
		       LAYOUT_ELECTIONS "/" ACTOR_ELECTION "/%s/" STRANGER "~what",
		       p.holder.term->tenure);
	town_move(&p.town, path, staged);
	holder_stop(&p.holder);
	holder_start(&p.holder, p.disk, GC, ACTOR_ELECTION);
	assert_int_equal(count(&p, LAYOUT_QUARANTINE, STRANGER "~what"), 1);
	close_place(&p);
}

static const struct store_options graphs = { .directory = LAYOUT_JOB_GRAPHS,
					     .election = ACTOR_ELECTION,
					     .kind = FSU_KIND_JOB_GRAPH };

static void mark_a_graph(struct town *t)
{
	assert_int_equal(store_mark(t->a.store, TOWN_JOB, &t->a.error), FSHA_OK);
}

static void a_removal_that_was_cut_short_is_told_and_ended_only_when_asked_for(void **state)
{
	struct store *store;
	enum name_form form;
	fsha_version version;
	struct place p;

	(void)state;
	open_with(&p, 0, mark_a_graph);
	assert_int_equal(services_store_open(p.holder.services, &graphs, &store, NULL), FSHA_OK);
	expect_repair(&p, FSHA_REPAIR_APPLY);
	assert_told(&p, "left marked " LAYOUT_JOB_GRAPHS "/" TOWN_JOB "~");
	expect_repair(&p, FSHA_REPAIR_FINISH_REMOVALS);
	assert_told(&p, "planned marked " LAYOUT_JOB_GRAPHS "/" TOWN_JOB "~");
	assert_int_equal(store_look(store, TOWN_JOB, &version, &form, NULL), FSHA_OK);
	assert_int_equal(form, NAME_MARKED);
	expect_repair(&p, FSHA_REPAIR_APPLY | FSHA_REPAIR_FINISH_REMOVALS);
	assert_told(&p, "done marked " LAYOUT_JOB_GRAPHS "/" TOWN_JOB "~");
	assert_int_equal(store_look(store, TOWN_JOB, &version, &form, NULL), FSHA_E_NOT_FOUND);
	expect_repair(&p, FSHA_REPAIR_APPLY | FSHA_REPAIR_FINISH_REMOVALS);
	assert_string_equal(p.told, "");
	services_store_close(p.holder.services, store);
	close_place(&p);
}

/* ---- faults ---- */

static void start_repairing(void *ctx, struct crashfs *disk)
{
	struct place *p = ctx;

	memset(p, 0, sizeof(*p));
	p->disk = disk;
	town_start(&p->town, disk);
	damage_a_graph(&p->town);
	town_kill(&p->town);
	holder_start(&p->holder, disk, GC, ACTOR_ELECTION);
	live_long(p);
}

static int move_away(void *ctx, const struct fsu *fs)
{
	char path[700], name[NAME_SIZE];
	struct place *p = ctx;

	(void)fs;
	town_find(&p->town, LAYOUT_JOB_GRAPHS, TOWN_JOB, true, path);
	return quarantine_take(p->holder.term, LAYOUT_JOB_GRAPHS, path + sizeof(LAYOUT_JOB_GRAPHS),
			       name, &p->holder.error);
}

/* Once another leads, the record is in one place: where it was, or in quarantine. */
static const char *nothing_is_lost(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct place p = { .disk = after };
	unsigned there, kept;

	(void)ctx;
	if (run->when == SWEEP_RETURNED)
		return NULL; /* the process still runs; the copies below are looked at */
	holder_start(&p.holder, after, SLOW, ACTOR_ELECTION);
	holder_stop(&p.holder);
	there = count(&p, LAYOUT_JOB_GRAPHS, TOWN_JOB);
	kept = count(&p, LAYOUT_QUARANTINE, "");
	if (there + kept == 0)
		return "it is lost";
	if (run->when == SWEEP_CUT_AFTER && run->outcome == FSHA_OK && (there || kept != 1))
		return "acknowledged, and not done";
	return NULL;
}

static void stop_repairing(void *ctx, struct crashfs *disk)
{
	(void)disk;
	holder_stop(&((struct place *)ctx)->holder);
}

static struct sweep_scenario repairing(struct place *p)
{
	return (struct sweep_scenario){ .name = "repair",
					.options = { .seed = 1 },
					.client = GC,
					.ctx = p,
					.setup = start_repairing,
					.operation = move_away,
					.check = nothing_is_lost,
					.teardown = stop_repairing };
}

static void a_record_on_its_way_is_lost_at_no_fault(void **state)
{
	struct place p;
	struct sweep_scenario scenario = repairing(&p);

	(void)state;
	sweep_assert(&scenario);
}

/* It may also have been left, since what else is there could not be told. */
static const char *is_somewhere(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct sweep_run other = *run;

	other.outcome = FSHA_E_NOMEM;
	return nothing_is_lost(ctx, after, &other);
}

static int repair_all(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return repair(ctx, FSHA_REPAIR_APPLY);
}

static void repair_without_memory_loses_nothing(void **state)
{
	struct place p;
	struct sweep_scenario scenario = repairing(&p);

	(void)state;
	scenario.operation = repair_all;
	scenario.check = is_somewhere;
	oom_assert(&scenario);
}

static void start_finishing(void *ctx, struct crashfs *disk)
{
	struct place *p = ctx;

	memset(p, 0, sizeof(*p));
	p->disk = disk;
	town_start(&p->town, disk);
	mark_a_graph(&p->town);
	town_kill(&p->town);
	holder_start(&p->holder, disk, GC, ACTOR_ELECTION);
	live_long(p);
}

static int finish_all(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return repair(ctx, FSHA_REPAIR_APPLY | FSHA_REPAIR_FINISH_REMOVALS);
}

/* Marked or removed, the graph is never read again; and what was said to be removed stays so. */
static const char *it_never_comes_back(void *ctx, struct crashfs *after,
				       const struct sweep_run *run)
{
	const struct place *running = ctx;
	struct town town = { .disk = after };
	char path[700], text[64];

	observe(after, SLOW, TOWN_JOB, text);
	if (text[0])
		return "it is read again";
	if (run->when == SWEEP_CUT_AFTER && strstr(running->told, "done marked")) {
		town_find(&town, LAYOUT_JOB_GRAPHS, TOWN_JOB, true, path);
		if (!strstr(path, ".gone"))
			return "acknowledged, and not done";
	}
	return NULL;
}

static void finishing_a_removal_without_memory_brings_nothing_back(void **state)
{
	struct place p;
	struct sweep_scenario scenario = repairing(&p);

	(void)state;
	scenario.setup = start_finishing;
	scenario.operation = finish_all;
	scenario.check = it_never_comes_back;
	oom_assert(&scenario);
}

static void repair_refuses_what_it_does_not_know(void **state)
{
	fsha_maintenance_summary summary = FSHA_MAINTENANCE_SUMMARY_INIT;
	fsha_repair_options options = FSHA_REPAIR_OPTIONS_INIT;
	struct place p;

	(void)state;
	open_with(&p, 0, NULL);
	assert_int_equal(fsha_repair(NULL, NULL, NULL, NULL, NULL, NULL), FSHA_E_INVALID);
	options.flags = 8;
	assert_int_equal(fsha_repair(p.holder.services, &options, NULL, NULL, NULL, NULL),
			 FSHA_E_INVALID);
	summary.struct_size++;
	assert_int_equal(fsha_repair(p.holder.services, NULL, NULL, NULL, &summary, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_repair(p.holder.services, NULL, NULL, NULL, NULL, NULL), FSHA_OK);
	close_place(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_damaged_record_goes_to_quarantine_and_its_entry_is_gone),
		cmocka_unit_test(an_older_version_becomes_visible_only_by_consent),
		cmocka_unit_test(a_damaged_older_version_needs_no_consent),
		cmocka_unit_test(a_version_ahead_of_its_election_is_moved_once),
		cmocka_unit_test(an_empty_directory_without_an_owner_is_removed_and_no_other),
		cmocka_unit_test(who_takes_the_tenure_apart_sends_the_record_on),
		cmocka_unit_test(a_record_on_its_way_is_lost_at_no_fault),
		cmocka_unit_test(repair_without_memory_loses_nothing),
		cmocka_unit_test(
			a_removal_that_was_cut_short_is_told_and_ended_only_when_asked_for),
		cmocka_unit_test(finishing_a_removal_without_memory_brings_nothing_back),
		cmocka_unit_test(repair_refuses_what_it_does_not_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
