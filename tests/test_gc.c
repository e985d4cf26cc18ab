/*
 * gc and the janitor take away what is useless, and never what a slow but living process is just
 * making.
 */
#include "tests/test_gc.h"

static void write_versions(struct town *t)
{
	assert_int_equal(actor_replace(&t->a, TOWN_JOB, "newer"), FSHA_OK);
	assert_int_equal(actor_remove(&t->a, TOWN_JOB_2), FSHA_OK);
}

/* ---- members ---- */

static void a_dead_member_is_removed_where_its_lock_tells(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, NULL);
	assert_int_equal(count(&p, LAYOUT_MEMBERS, ""), 2);
	expect_gc(&p, FSHA_GC_DRY_RUN);
	assert_told(&p, "planned member-dead members/");
	assert_int_equal(count(&p, LAYOUT_MEMBERS, ""), 2);
	expect_gc(&p, 0);
	assert_told(&p, "done member-dead members/");
	assert_int_equal(count(&p, LAYOUT_MEMBERS, p.holder.services->member->name), 1);
	assert_int_equal(count(&p, LAYOUT_MEMBERS, ""), 1);
	close_place(&p);
}

struct beating {
	struct member *member;
	struct crashfs *disk;
	int64_t due_ns;
	bool inside;
};

/* The other process goes on while this one works. */
static void let_it_beat(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct beating *b = ctx;
	const struct fsu *fs = crashfs_client(b->disk, SLOW);

	(void)call;
	(void)path;
	(void)client;
	if (fsu_now_ns(fs) < b->due_ns)
		return;
	(void)member_beat(b->member);
	b->due_ns = fsu_now_ns(fs) + ACTOR_LEASE_MS * FSU_NS_PER_MS / 5;
}

/* On a filesystem of many hosts whose locks are not believed. */
static void a_dead_member_is_removed_after_ten_leases_and_a_living_one_never(void **state)
{
	struct beating b = { .member = NULL };
	struct cluster_options options = { .storage_dir = "/", .cluster_id = "c" };
	struct cluster cluster;
	struct place p;

	(void)state;
	open_with(&p, CACHE_NS, NULL);
	b.disk = p.disk;
	assert_int_equal(cluster_open(crashfs_client(p.disk, SLOW), &options, &cluster, NULL),
			 FSHA_OK);
	assert_int_equal(member_join(&cluster, false, &b.member, NULL), FSHA_OK);
	lease_begin(&b.member->lease, fsu_now_ns(cluster.fs), 3600 * FSU_NS_PER_S);
	crashfs_hook_set(p.disk, let_it_beat, &b);
	expect_gc(&p, 0);
	assert_int_equal(count(&p, LAYOUT_MEMBERS, ""), 3);
	expect_gc(&p, FSHA_GC_WATCH);
	crashfs_hook_set(p.disk, NULL, NULL);
	assert_int_equal(count(&p, LAYOUT_MEMBERS, b.member->name), 1);
	assert_int_equal(count(&p, LAYOUT_MEMBERS, ""), 2);
	assert_int_equal(member_beat(b.member), MEMBER_BEAT_OK);
	member_destroy(b.member);
	cluster_close(&cluster);
	close_place(&p);
}

static void a_half_removed_member_goes_when_nothing_in_it_moves(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, NULL);
	expect_gc(&p, 0);
	assert_int_equal(fsu_mkdirat(p.town.hand, AT_FDCWD,
				     town_path(&p.town, LAYOUT_MEMBERS "/" STRANGER), 0700),
			 0);
	expect_gc(&p, 0);
	assert_told(&p, "left member-dead members/" STRANGER);
	assert_int_equal(count(&p, LAYOUT_MEMBERS, STRANGER), 1);
	expect_gc(&p, FSHA_GC_WATCH);
	assert_int_equal(count(&p, LAYOUT_MEMBERS, STRANGER), 0);
	close_place(&p);
}

/* ---- half-built directories ---- */

struct pause {
	struct place *place;
	enum crashfs_call call; /* at the next one of client SLOW on a path with `part` ... */
	const char *part;
	bool done;
};

/* ... it is stopped for so long that the collector takes it for dead. */
static void collect_meanwhile(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct pause *pause = ctx;

	if (client != SLOW || call != pause->call || pause->done || !path ||
	    !strstr(path, pause->part))
		return;
	pause->done = true;
	expect_gc(pause->place, FSHA_GC_WATCH);
}

static void stop_while_joining(enum crashfs_call call, const char *part, int64_t cache_ns,
			       bool expect_joined)
{
	struct cluster_options options = { .storage_dir = "/", .cluster_id = "c" };
	struct pause pause = { .call = call, .part = part };
	struct member *m = NULL;
	struct cluster cluster;
	struct place p;
	fsha_result result;

	open_with(&p, cache_ns, NULL);
	pause.place = &p;
	assert_int_equal(cluster_open(crashfs_client(p.disk, SLOW), &options, &cluster, NULL),
			 FSHA_OK);
	crashfs_hook_set(p.disk, collect_meanwhile, &pause);
	result = member_join(&cluster, false, &m, NULL);
	crashfs_hook_set(p.disk, NULL, NULL);
	assert_true(pause.done);
	if (expect_joined) {
		assert_int_equal(result, FSHA_OK);
		assert_true(crashfs_exists(p.disk,
					   town_path(&p.town, LAYOUT_MEMBERS "/%s/lock", m->name)));
	} else {
		/* As a whole: there is no member without a lock or a beat. */
		assert_int_not_equal(result, FSHA_OK);
		assert_int_equal(count(&p, LAYOUT_MEMBERS, "~"), 0);
		assert_int_equal(count(&p, LAYOUT_MEMBERS, ""), 1);
		/* And it can be tried again. */
		assert_int_equal(member_join(&cluster, false, &m, NULL), FSHA_OK);
	}
	member_destroy(m);
	cluster_close(&cluster);
	close_place(&p);
}

static void who_holds_the_lock_of_a_half_built_member_is_left_alone(void **state)
{
	(void)state;
	stop_while_joining(CRASHFS_RENAMEAT, "~", 0, true);
	stop_while_joining(CRASHFS_MKDIRAT, "stands", 0, true);
}

static void a_builder_that_was_overtaken_fails_as_a_whole_and_may_try_again(void **state)
{
	(void)state;
	stop_while_joining(CRASHFS_OPENAT, "lock", 0, false);
	stop_while_joining(CRASHFS_RENAMEAT, "~", CACHE_NS, false);
}

static void a_half_built_election_goes_when_nobody_works_on_it(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, NULL);
	assert_int_equal(fsu_mkdirat(p.town.hand, AT_FDCWD,
				     town_path(&p.town, LAYOUT_ELECTIONS "/~" STRANGER), 0700),
			 0);
	crashfs_put(p.disk, town_path(&p.town, LAYOUT_ELECTIONS "/~" STRANGER "/x"), "x", 1);
	expect_gc(&p, 0);
	assert_told(&p, "left leftover elections/~" STRANGER);
	expect_gc(&p, FSHA_GC_WATCH);
	assert_told(&p, "done leftover elections/~" STRANGER);
	assert_int_equal(count(&p, LAYOUT_ELECTIONS, "~"), 0);
	close_place(&p);
}

/* ---- what a leader takes away ---- */

static void old_versions_tombstones_and_trash_go_and_values_stay(void **state)
{
	struct place p;
	char text[64];

	(void)state;
	open_with(&p, 0, write_versions);
	assert_int_equal(count(&p, LAYOUT_JOB_GRAPHS, ""), 4);
	expect_gc(&p, 0);
	assert_told(&p, "done old-versions job_graphs\n");
	assert_told(&p, "done tombstones job_graphs\n");
	assert_int_equal(count(&p, LAYOUT_JOB_GRAPHS, ""), 1);
	assert_int_equal(count(&p, LAYOUT_ELECTIONS "/" ACTOR_ELECTION "/trash", ""), 0);
	observe(p.disk, SLOW, TOWN_JOB, text);
	assert_string_equal(text, "newer");
	expect_gc(&p, 0);
	assert_string_equal(p.told, "");
	close_place(&p);
}

/* ---- what is told ---- */

/* Every such call of the collector fails. */
static void collect_while_it_fails(struct place *p, enum crashfs_call call, uint32_t flags)
{
	const struct crashfs_fault fault = {
		.client = GC, .calls_mask = 1u << call, .error = EIO, .repeat = true
	};

	crashfs_count_reset(p->disk);
	crashfs_fault_arm(p->disk, &fault);
	expect_gc(p, flags);
	crashfs_fault_clear(p->disk);
}

static void what_could_not_be_taken_away_is_not_told_as_done(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, write_versions);
	make_directory(&p, LAYOUT_ELECTIONS "/~" STRANGER);
	crashfs_put(p.disk, town_path(&p.town, LAYOUT_ELECTIONS "/~" STRANGER "/x"), "x", 1);
	crashfs_put(p.disk,
		    town_path(&p.town, LAYOUT_ELECTIONS "/" TOWN_JOB_ELECTION "/trash/" STRANGER),
		    "x", 1);
	collect_while_it_fails(&p, CRASHFS_UNLINKAT, FSHA_GC_WATCH);
	assert_told(&p, "left member-dead " LAYOUT_MEMBERS "/");
	assert_told(&p, "left leftover " LAYOUT_ELECTIONS "/~");
	assert_told(&p, "left trash " LAYOUT_ELECTIONS "/" TOWN_JOB_ELECTION "/trash\n");
	assert_null(strstr(p.told, "done member-dead"));
	assert_null(strstr(p.told, "done leftover"));
	assert_null(strstr(p.told, "done trash"));
	close_place(&p);
}

static void versions_that_could_not_be_moved_are_not_told_as_cleaned(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, write_versions);
	collect_while_it_fails(&p, CRASHFS_RENAMEAT, 0);
	assert_told(&p, "left old-versions " LAYOUT_JOB_GRAPHS "\n");
	assert_told(&p, "left tombstones " LAYOUT_JOB_GRAPHS "\n");
	expect_gc(&p, 0);
	assert_told(&p, "done old-versions " LAYOUT_JOB_GRAPHS "\n");
	assert_told(&p, "done tombstones " LAYOUT_JOB_GRAPHS "\n");
	close_place(&p);
}

/* It is left to the next claim, which may be that candidate's own. */
static void the_tenure_of_a_candidate_is_not_told_as_cleaned_by_the_leader(void **state)
{
	static const char tenure[] =
		LAYOUT_ELECTIONS "/" ACTOR_ELECTION "/tenure-00000000000000ff-" STRANGER;
	struct place p;

	(void)state;
	open_with(&p, 0, NULL);
	make_directory(&p, tenure);
	expect_gc(&p, 0);
	assert_told(&p, "left tenure-leftover ");
	assert_true(crashfs_exists(p.disk, town_path(&p.town, "%s", tenure)));
	close_place(&p);
}

/* ---- the janitor ---- */

static void the_janitor_takes_remains_away_once_they_stood_still_for_ten_leases(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, CACHE_NS, store_orphans);
	make_election(&p, "0000000000000007", "vacant"); /* led once, and resigned */
	assert_int_equal(fsu_mkdirat(p.town.hand, AT_FDCWD,
				     town_path(&p.town, LAYOUT_MEMBERS "/~" STRANGER), 0700),
			 0);
	for (int i = 0; i < 10; i++) {
		upkeep_remains(p.holder.services);
		assert_int_equal(count(&p, LAYOUT_MEMBERS, ""), 3);
		assert_int_equal(count(&p, LAYOUT_BLOBS, "job_"), 3);
		crashfs_advance(p.disk, HOLDER_LEASE_MS * FSU_NS_PER_MS);
	}
	crashfs_advance(p.disk, HOLDER_LEASE_MS * FSU_NS_PER_MS);
	upkeep_remains(p.holder.services);
	assert_int_equal(count(&p, LAYOUT_MEMBERS, ""), 1);
	assert_int_equal(count(&p, LAYOUT_BLOBS, "job_"), 2);
	close_place(&p);
}

static void the_janitor_looks_after_every_store_of_its_election(void **state)
{
	static const char *const directories[] = { LAYOUT_JOB_GRAPHS, LAYOUT_RUNNING_JOBS,
						   LAYOUT_STATE "/ns",
						   LAYOUT_BLOBS "/job_" TOWN_JOB };
	static const uint16_t kinds[] = { FSU_KIND_JOB_GRAPH, FSU_KIND_RUNNING_JOB, FSU_KIND_STATE,
					  FSU_KIND_BLOB };
	static const char *const keys[] = { TOWN_JOB, TOWN_JOB, "k", "b" };
	struct place p;

	(void)state;
	open_with(&p, 0, store_orphans);
	for (size_t i = 0; i < 4; i++) {
		struct store_options options = { .directory = directories[i],
						 .election = ACTOR_ELECTION,
						 .kind = kinds[i],
						 .owned = strchr(directories[i], '/') != NULL };
		struct store *store;

		assert_int_equal(services_store_open(p.holder.services, &options, &store, NULL),
				 FSHA_OK);
		assert_int_equal(
			store_write(store, STORE_REPLACE, keys[i], NULL, "x", 1, NULL, NULL),
			FSHA_OK);
		services_store_close(p.holder.services, store);
		assert_int_equal(count(&p, directories[i], keys[i]), 2);
	}
	upkeep_stores(p.holder.services, p.holder.term);
	crashfs_advance(p.disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
	upkeep_stores(p.holder.services, p.holder.term);
	upkeep_stores(p.holder.services, p.holder.term);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(count(&p, directories[i], keys[i]), 1);
	close_place(&p);
}

/* ---- faults ---- */

static void start_collecting(void *ctx, struct crashfs *disk)
{
	struct place *p = ctx;

	memset(p, 0, sizeof(*p));
	p->disk = disk;
	town_start(&p->town, disk);
	store_orphans(&p->town);
	write_versions(&p->town);
	town_kill(&p->town);
	holder_start(&p->holder, disk, GC, ACTOR_ELECTION);
	live_long(p);
}

static int collect(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return gc(ctx, FSHA_GC_UNKNOWN_JOBS);
}

static const char *nothing_is_lost(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct crashfs *disk = after;
	char text[64];

	(void)ctx;
	observe(disk, SLOW, TOWN_JOB, text);
	if (strcmp(text, "newer") != 0)
		return sweep_say("the graph is '%s'", text);
	observe(disk, SLOW, TOWN_JOB_2, text);
	if (strcmp(text, "") != 0)
		return sweep_say("the removed graph is back: '%s'", text);
	if (!crashfs_exists(disk, "/c/" LAYOUT_BLOBS "/job_" TOWN_JOB))
		return "blobs of a job that is there are gone";
	if (run->n_faults == 0 && run->when == SWEEP_RETURNED &&
	    (run->outcome != FSHA_OK || crashfs_exists(disk, "/c/" BLOBS)))
		return "nothing failed, and it was not done";
	return NULL;
}

static void stop_collecting(void *ctx, struct crashfs *disk)
{
	(void)disk;
	holder_stop(&((struct place *)ctx)->holder);
}

static struct sweep_scenario collecting(struct place *p,
					int (*operation)(void *, const struct fsu *))
{
	return (struct sweep_scenario){ .name = "gc",
					.options = { .seed = 1 },
					.client = GC,
					.ctx = p,
					.setup = start_collecting,
					.operation = operation,
					.check = nothing_is_lost,
					.teardown = stop_collecting };
}

/* All that gc and the janitor change, without the looking for it. */
static int take_away(void *ctx, const struct fsu *fs)
{
	struct place *p = ctx;

	upkeep_remains(p->holder.services);
	for (int i = 0; i < 3; i++) {
		upkeep_stores(p->holder.services, p->holder.term);
		fsu_sleep(fs, INDEX_RETAIN_NS);
	}
	(void)orphans_look(p->holder.services, p->holder.term,
			   &(struct orphans_policy){ .unknown = true });
	(void)tenure_empty_trash(&p->holder.services->cluster, p->holder.term->election_fd, 100);
	return FSHA_OK;
}

static void taking_away_loses_nothing_at_every_fault(void **state)
{
	struct place p;
	struct sweep_scenario scenario = collecting(&p, take_away);

	(void)state;
	sweep_assert(&scenario);
}

static void gc_without_memory_loses_nothing(void **state)
{
	struct place p;
	struct sweep_scenario scenario = collecting(&p, collect);

	(void)state;
	oom_assert(&scenario);
}

static void gc_refuses_what_it_does_not_know(void **state)
{
	fsha_maintenance_summary summary = FSHA_MAINTENANCE_SUMMARY_INIT;
	fsha_gc_options options = FSHA_GC_OPTIONS_INIT;
	fsha_error error = FSHA_ERROR_INIT;
	struct place p;

	(void)state;
	open_with(&p, 0, NULL);
	assert_int_equal(fsha_gc(NULL, NULL, NULL, NULL, NULL, &error), FSHA_E_INVALID);
	options.flags = 16;
	assert_int_equal(fsha_gc(p.holder.services, &options, NULL, NULL, NULL, &error),
			 FSHA_E_INVALID);
	options = (fsha_gc_options){ 1, 0, 0 };
	assert_int_equal(fsha_gc(p.holder.services, &options, NULL, NULL, NULL, &error),
			 FSHA_E_INVALID);
	summary.struct_size--;
	assert_int_equal(fsha_gc(p.holder.services, NULL, NULL, NULL, &summary, &error),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_gc(p.holder.services, NULL, NULL, NULL, NULL, NULL), FSHA_OK);
	close_place(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dead_member_is_removed_where_its_lock_tells),
		cmocka_unit_test(a_dead_member_is_removed_after_ten_leases_and_a_living_one_never),
		cmocka_unit_test(a_half_removed_member_goes_when_nothing_in_it_moves),
		cmocka_unit_test(who_holds_the_lock_of_a_half_built_member_is_left_alone),
		cmocka_unit_test(a_builder_that_was_overtaken_fails_as_a_whole_and_may_try_again),
		cmocka_unit_test(a_half_built_election_goes_when_nobody_works_on_it),
		cmocka_unit_test(old_versions_tombstones_and_trash_go_and_values_stay),
		cmocka_unit_test(what_could_not_be_taken_away_is_not_told_as_done),
		cmocka_unit_test(versions_that_could_not_be_moved_are_not_told_as_cleaned),
		cmocka_unit_test(the_tenure_of_a_candidate_is_not_told_as_cleaned_by_the_leader),
		cmocka_unit_test(
			the_janitor_takes_remains_away_once_they_stood_still_for_ten_leases),
		cmocka_unit_test(the_janitor_looks_after_every_store_of_its_election),
		cmocka_unit_test(taking_away_loses_nothing_at_every_fault),
		cmocka_unit_test(gc_without_memory_loses_nothing),
		cmocka_unit_test(gc_refuses_what_it_does_not_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
