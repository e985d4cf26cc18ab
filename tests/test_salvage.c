/*
 * Repair of a damaged pack: what is whole in it stays, with its version; what was removed stays
 * away; what is older comes by consent only.
 */
#include "src/state/salvage.h"
#include "tests/test_gc.h"

#define GRAPHS LAYOUT_JOB_GRAPHS
#define REPLACED TOWN_JOB                        /* loose, then replaced in the pack */
#define REMOVED TOWN_JOB_2                       /* loose, then removed in the pack */
#define KEY_A "a0000000000000000000000000000000" /* these are in the pack only, ... */
#define KEY_B "b0000000000000000000000000000000"
#define KEY_C "c0000000000000000000000000000000"
#define LATER "d0000000000000000000000000000000"  /* ... and this one was replaced later, ... */
#define GONE "e0000000000000000000000000000000"   /* ... and this one removed */
#define BESIDE "f0000000000000000000000000000000" /* loose, not in the pack */

static void write_the_pack(struct town *t, const void *value_of_b, size_t size)
{
	const struct store_change changes[] = {
		{ .how = STORE_REPLACE, .key = REPLACED, .data = "newer", .size = 5 },
		{ .how = STORE_REMOVE, .key = REMOVED },
		{ .how = STORE_ADD, .key = KEY_A, .data = "a", .size = 1 },
		{ .how = STORE_ADD, .key = KEY_B, .data = value_of_b, .size = size },
		{ .how = STORE_ADD, .key = KEY_C, .data = "c", .size = 1 },
		{ .how = STORE_ADD, .key = LATER, .data = "early", .size = 5 },
		{ .how = STORE_ADD, .key = GONE, .data = "gone", .size = 4 },
	};

	assert_int_equal(store_write_batch(t->a.store, changes, 7, NULL, NULL, &t->a.error),
			 FSHA_OK);
	assert_int_equal(actor_replace(&t->a, LATER, "later"), FSHA_OK);
	assert_int_equal(actor_remove(&t->a, GONE), FSHA_OK);
}

/* As town_flip, of the pack. */
static void flip(struct town *t, const char *text, long away)
{
	char path[700];

	town_find(t, GRAPHS, "@pack~", false, path);
	town_flip(t, path, text, away);
}

static void damage_member(struct town *t, const char *key)
{
	char text[100];

	(void)snprintf(text, sizeof(text), GRAPHS "/%s", key);
	flip(t, text, (long)strlen(text)); /* its first byte behind the key */
}

static void damage_head(struct town *t, const char *key)
{
	char text[100];

	(void)snprintf(text, sizeof(text), GRAPHS "/%s", key);
	flip(t, text, -FSU_RECORD_HEAD);
}

static void damage_list(struct town *t)
{
	flip(t, NULL, FSU_RECORD_HEAD + 20);
}

static void make_pack(struct town *t)
{
	write_the_pack(t, "b", 1);
}

static void lose_a_member(struct town *t)
{
	make_pack(t);
	damage_member(t, KEY_B);
}

static void lose_two_members(struct town *t)
{
	lose_a_member(t);
	damage_member(t, KEY_C);
}

static void lose_a_member_with_something_older(struct town *t)
{
	make_pack(t);
	damage_member(t, REPLACED);
}

static void lose_a_tombstone(struct town *t)
{
	make_pack(t);
	damage_member(t, REMOVED);
}

static void lose_the_list(struct town *t)
{
	make_pack(t);
	damage_list(t);
}

static void lose_the_head_of_the_list(struct town *t)
{
	make_pack(t);
	flip(t, NULL, 0);
}

static void lose_the_list_and_a_member(struct town *t)
{
	lose_a_member(t);
	damage_list(t);
}

static void lose_the_list_beside_another_entry(struct town *t)
{
	assert_int_equal(actor_add(&t->a, BESIDE, "beside"), FSHA_OK);
	lose_the_list_and_a_member(t);
}

static void lose_the_list_and_two_heads(struct town *t)
{
	make_pack(t);
	damage_list(t);
	damage_head(t, KEY_A);
	damage_head(t, KEY_C);
}

/* The value of B is a record of BESIDE, which was removed since, and of which nothing is left. */
static void keep_a_record_in_a_value(struct town *t)
{
	char path[700], copy[400];
	const uint8_t *data;
	size_t len;

	assert_int_equal(actor_add(&t->a, BESIDE, "old"), FSHA_OK);
	town_find(t, GRAPHS, BESIDE, false, path);
	data = crashfs_cat(t->disk, town_path(t, "%s", path), &len);
	assert_true(len < sizeof(copy));
	memcpy(copy, data, len);
	assert_int_equal(actor_remove(&t->a, BESIDE), FSHA_OK);
	crashfs_rm(t->disk, town_path(t, "%s", path)); /* as the janitor does, and then ... */
	town_find(t, GRAPHS, BESIDE, false, path);
	crashfs_rm(t->disk, town_path(t, "%s", path)); /* ... the tombstone */
	write_the_pack(t, copy, len);
	damage_list(t);
	damage_head(t, KEY_B);
}

static fsha_result repair(struct place *p, uint32_t flags)
{
	fsha_repair_options options = { sizeof(options), flags, 0 };

	p->told[0] = '\0';
	return fsha_repair(p->holder.services, &options, tell, p, NULL, &p->holder.error);
}

static void expect_repair(struct place *p, uint32_t flags, const char *outcome)
{
	char text[100];

	if (repair(p, flags) != FSHA_OK)
		fail_msg("%s\n%s", p->holder.error.message, crashfs_log(p->disk));
	(void)snprintf(text, sizeof(text), "%s record-damaged " GRAPHS "/@pack~", outcome);
	assert_told(p, text);
}

static void assert_shows(struct place *p, const char *key, const char *expected)
{
	char text[64];

	observe(p->disk, SLOW, key, text);
	assert_string_equal(text, expected);
}

/* What nothing in these tests may change, also after the janitor was there. */
static void assert_the_others_stay(struct place *p)
{
	for (int i = 0; i < 4; i++) {
		assert_shows(p, KEY_A, "a");
		assert_shows(p, LATER, "later");
		assert_shows(p, GONE, "");
		crashfs_advance(p->disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
		upkeep_stores(p->holder.services, p->holder.term);
	}
}

static fsha_version version_of(struct place *p, const char *key)
{
	const struct store_options options = { .directory = GRAPHS,
					       .election = ACTOR_ELECTION,
					       .kind = FSU_KIND_JOB_GRAPH };
	struct store *store;
	fsha_version version;

	assert_int_equal(services_store_open(p->holder.services, &options, &store, NULL), FSHA_OK);
	assert_int_equal(store_exists(store, key, &version, NULL), FSHA_OK);
	services_store_close(p->holder.services, store);
	return version;
}

static void a_damaged_member_costs_no_other(void **state)
{
	fsha_version before, after;
	struct place p;

	(void)state;
	open_with(&p, 0, lose_a_member);
	before = version_of(&p, KEY_A);
	expect_repair(&p, 0, "planned");
	assert_int_equal(count(&p, LAYOUT_QUARANTINE, ""), 0);
	expect_repair(&p, FSHA_REPAIR_APPLY, "done");
	assert_int_equal(count(&p, LAYOUT_QUARANTINE, ""), 1);
	after = version_of(&p, KEY_A);
	assert_int_equal(fsha_version_compare(&before, &after), 0);
	assert_shows(&p, REPLACED, "newer");
	assert_shows(&p, REMOVED, "");
	assert_shows(&p, KEY_B, "");
	assert_shows(&p, KEY_C, "c");
	assert_the_others_stay(&p);
	assert_int_equal(repair(&p, FSHA_REPAIR_APPLY), FSHA_OK);
	assert_string_equal(p.told, "");
	close_place(&p);
}

static void each_damaged_member_is_told(void **state)
{
	fsha_verify_summary summary = FSHA_VERIFY_SUMMARY_INIT;
	struct findings found;
	size_t told = 0;
	struct place p;

	(void)state;
	open_with(&p, 0, lose_two_members);
	findings_init(&found, p.holder.fs);
	assert_int_equal(
		verify_run(&p.holder.services->cluster, NULL, false, &summary, &found, NULL),
		FSHA_OK);
	for (size_t i = 0; i < found.count; i++)
		if (found.items[i].code == FINDING_RECORD_DAMAGED)
			told += strstr(found.items[i].message, KEY_B) ||
				strstr(found.items[i].message, KEY_C);
	assert_int_equal(told, 2);
	findings_done(&found);
	close_place(&p);
}

static void what_would_show_something_older_needs_consent(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, lose_a_member_with_something_older);
	expect_repair(&p, FSHA_REPAIR_APPLY, "left");
	assert_int_equal(count(&p, LAYOUT_QUARANTINE, ""), 0);
	assert_int_equal(count(&p, GRAPHS, "@pack~"), 1);
	expect_repair(&p, FSHA_REPAIR_APPLY | FSHA_REPAIR_ACCEPT_OLDER, "done");
	assert_shows(&p, REPLACED, "graph");
	assert_shows(&p, KEY_B, "b");
	assert_the_others_stay(&p);
	close_place(&p);
}

static void a_damaged_tombstone_keeps_its_key_away(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, lose_a_tombstone);
	expect_repair(&p, FSHA_REPAIR_APPLY, "done");
	assert_shows(&p, REMOVED, "");
	assert_the_others_stay(&p);
	assert_shows(&p, REMOVED, "");
	close_place(&p);
}

static void assert_all_is_there(struct place *p)
{
	assert_shows(p, REPLACED, "newer");
	assert_shows(p, REMOVED, "");
	assert_shows(p, KEY_B, "b");
	assert_shows(p, KEY_C, "c");
	assert_the_others_stay(p);
}

static void without_its_list_all_members_are_found(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, lose_the_list);
	expect_repair(&p, FSHA_REPAIR_APPLY, "done");
	assert_all_is_there(&p);
	close_place(&p);
	open_with(&p, 0, lose_the_head_of_the_list);
	/* How many there were is not known, but nothing else is there that could be older. */
	expect_repair(&p, FSHA_REPAIR_APPLY, "done");
	assert_all_is_there(&p);
	close_place(&p);
}

static void what_a_lost_list_may_have_outdone_needs_consent(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, lose_the_list_beside_another_entry);
	expect_repair(&p, FSHA_REPAIR_APPLY, "left");
	assert_int_equal(count(&p, LAYOUT_QUARANTINE, ""), 0);
	expect_repair(&p, FSHA_REPAIR_APPLY | FSHA_REPAIR_ACCEPT_OLDER, "done");
	assert_shows(&p, BESIDE, "beside");
	assert_shows(&p, KEY_B, "");
	assert_shows(&p, KEY_C, "c");
	assert_the_others_stay(&p);
	close_place(&p);
}

static void what_lies_between_two_gaps_needs_consent(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, lose_the_list_and_two_heads);
	expect_repair(&p, FSHA_REPAIR_APPLY, "left");
	expect_repair(&p, FSHA_REPAIR_APPLY | FSHA_REPAIR_ACCEPT_OLDER, "done");
	assert_shows(&p, REPLACED, "newer");
	assert_shows(&p, KEY_A, "");
	assert_shows(&p, KEY_B, "b");
	assert_shows(&p, KEY_C, "");
	assert_shows(&p, LATER, "later");
	assert_shows(&p, GONE, "");
	close_place(&p);
}

static void a_record_in_a_value_is_no_member(void **state)
{
	struct place p;

	(void)state;
	open_with(&p, 0, keep_a_record_in_a_value);
	expect_repair(&p, FSHA_REPAIR_APPLY, "left");
	assert_int_equal(count(&p, GRAPHS, "@pack~"), 1);
	assert_int_equal(count(&p, LAYOUT_QUARANTINE, ""), 0);
	close_place(&p);
}

/* A rival leads by the time that the new pack is to appear. */
struct rival {
	struct actor actor;
	bool led;
};

static void lead_instead(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct rival *r = ctx;

	(void)path;
	if (call != CRASHFS_RENAMEAT || client != GC || r->led)
		return;
	r->led = true;
	assert_int_equal(actor_claim(&r->actor), FSHA_OK);
}

static void a_fenced_repair_changes_nothing(void **state)
{
	struct rival r = { .led = false };
	struct place p;

	(void)state;
	open_with(&p, 0, lose_a_member);
	actor_start(&r.actor, p.disk, SLOW);
	crashfs_hook_set(p.disk, lead_instead, &r);
	assert_int_not_equal(repair(&p, FSHA_REPAIR_APPLY), FSHA_OK);
	crashfs_hook_set(p.disk, NULL, NULL);
	assert_true(r.led);
	assert_int_equal(count(&p, GRAPHS, "@pack~"), 1);
	assert_int_equal(count(&p, LAYOUT_QUARANTINE, ""), 0);
	actor_stop(&r.actor);
	close_place(&p);
}

/* ---- faults ---- */

struct salvaging {
	struct place place;
	void (*damage)(struct town *t);
	char file[NAME_SIZE];
	struct name name;
	const char *lost; /* a key, or "" */
};

static void start_salvaging(void *ctx, struct crashfs *disk)
{
	struct salvaging *s = ctx;
	struct place *p = &s->place;
	char path[700];

	memset(p, 0, sizeof(*p));
	p->disk = disk;
	town_start(&p->town, disk);
	s->damage(&p->town);
	town_find(&p->town, GRAPHS, "@pack~", false, path);
	(void)snprintf(s->file, sizeof(s->file), "%.250s", path + sizeof(GRAPHS));
	assert_true(name_parse(s->file, &s->name));
	town_kill(&p->town);
	holder_start(&p->holder, disk, GC, ACTOR_ELECTION);
	live_long(p);
}

static int salvage(void *ctx, const struct fsu *fs)
{
	const struct store_options options = { .directory = GRAPHS,
					       .election = ACTOR_ELECTION,
					       .kind = FSU_KIND_JOB_GRAPH };
	struct salvaging *s = ctx;
	struct holder *h = &s->place.holder;
	struct salvage_result what;
	struct store *store;
	char name[NAME_SIZE];
	fsha_result result;

	(void)fs;
	result = services_store_open(h->services, &options, &store, &h->error);
	if (result != FSHA_OK)
		return result;
	result = salvage_publish(store, &s->name.version, false, &what, &h->error);
	if (result == FSHA_OK && what.older > 0)
		result = FSHA_E_CORRUPT;
	if (result == FSHA_OK)
		result = quarantine_take(h->term, GRAPHS, s->file, name, &h->error);
	services_store_close(h->services, store);
	return result;
}

static const char *shows(struct place *p, const char *key, const char *expected)
{
	char text[64];

	observe(p->disk, SLOW, key, text);
	return strcmp(text, expected) == 0 ?
		       NULL :
		       sweep_say("'%s' is '%s', not '%s'", key, text, expected);
}

/* The next leader ends what was begun, and tidies up. */
static const char *nothing_is_lost_and_nothing_comes_back(void *ctx, struct crashfs *after,
							  const struct sweep_run *run)
{
	const struct salvaging *s = ctx;
	const struct {
		const char *key, *value;
	} all[] = { { REPLACED, "newer" }, { REMOVED, "" },    { KEY_A, "a" }, { KEY_B, "b" },
		    { KEY_C, "c" },        { LATER, "later" }, { GONE, "" } };
	struct place p = { .disk = after };
	const char *wrong = NULL;

	if (run->when == SWEEP_RETURNED)
		return NULL; /* the process still runs; the copies below are looked at */
	holder_start(&p.holder, after, GC, ACTOR_ELECTION);
	live_long(&p);
	if (run->when == SWEEP_CUT_AFTER && run->outcome == FSHA_OK &&
	    (count(&p, LAYOUT_QUARANTINE, "") != 1 || count(&p, GRAPHS, s->file) != 0))
		wrong = "acknowledged, and not done";
	if (repair(&p, FSHA_REPAIR_APPLY) != FSHA_OK)
		wrong = sweep_say("it cannot be repaired: %s", p.holder.error.message);
	for (int i = 0; i < 3; i++) {
		crashfs_advance(after, INDEX_RETAIN_NS + FSU_NS_PER_MS);
		upkeep_stores(p.holder.services, p.holder.term);
	}
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && !wrong; i++)
		wrong = shows(&p, all[i].key, strcmp(all[i].key, s->lost) == 0 ? "" : all[i].value);
	if (count(&p, LAYOUT_QUARANTINE, "") == 0)
		wrong = "the damaged pack is gone";
	holder_stop(&p.holder);
	return wrong;
}

static void stop_salvaging(void *ctx, struct crashfs *disk)
{
	(void)disk;
	holder_stop(&((struct salvaging *)ctx)->place.holder);
}

static struct sweep_scenario salvaging(struct salvaging *s, void (*damage)(struct town *t),
				       const char *lost)
{
	*s = (struct salvaging){ .damage = damage, .lost = lost };
	return (struct sweep_scenario){ .name = "salvage",
					.options = { .seed = 1 },
					.client = GC,
					.ctx = s,
					.setup = start_salvaging,
					.operation = salvage,
					.check = nothing_is_lost_and_nothing_comes_back,
					.teardown = stop_salvaging };
}

static void at_no_fault_a_whole_member_is_lost_or_a_removed_key_back(void **state)
{
	struct salvaging s;
	struct sweep_scenario scenario = salvaging(&s, lose_a_member, KEY_B);

	(void)state;
	sweep_assert(&scenario);
}

static void nor_where_the_list_is_damaged(void **state)
{
	struct salvaging s;
	struct sweep_scenario scenario = salvaging(&s, lose_the_list, "");

	(void)state;
	sweep_assert(&scenario);
}

static int repair_all(void *ctx, const struct fsu *fs)
{
	struct salvaging *s = ctx;

	(void)fs;
	return repair(&s->place, FSHA_REPAIR_APPLY);
}

/* Without memory it may also have been left. */
static const char *nothing_is_lost(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct sweep_run other = *run;

	other.outcome = FSHA_E_NOMEM;
	return nothing_is_lost_and_nothing_comes_back(ctx, after, &other);
}

static void salvage_without_memory_loses_nothing(void **state)
{
	struct salvaging s;
	struct sweep_scenario scenario = salvaging(&s, lose_the_list, "");

	(void)state;
	scenario.operation = repair_all;
	scenario.check = nothing_is_lost;
	oom_assert(&scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_damaged_member_costs_no_other),
		cmocka_unit_test(each_damaged_member_is_told),
		cmocka_unit_test(what_would_show_something_older_needs_consent),
		cmocka_unit_test(a_damaged_tombstone_keeps_its_key_away),
		cmocka_unit_test(without_its_list_all_members_are_found),
		cmocka_unit_test(what_a_lost_list_may_have_outdone_needs_consent),
		cmocka_unit_test(what_lies_between_two_gaps_needs_consent),
		cmocka_unit_test(a_record_in_a_value_is_no_member),
		cmocka_unit_test(a_fenced_repair_changes_nothing),
		cmocka_unit_test(at_no_fault_a_whole_member_is_lost_or_a_removed_key_back),
		cmocka_unit_test(nor_where_the_list_is_damaged),
		cmocka_unit_test(salvage_without_memory_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
