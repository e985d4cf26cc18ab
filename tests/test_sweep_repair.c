/*
 * The sweep of repair as a whole, over a town in which something of each kind is damaged: every
 * system call fails in every way, and is the last before a power cut. Whatever happens: each
 * damaged file is where it was or in quarantine, byte by byte, and nothing else is there; what is
 * sound is read as before; what it told to be done is done; the next leader leads and writes, the
 * next repair ends the work, and verify finds nothing more to mend then.
 */
#include "tests/test_sweep_town.h"

#define GRAPHS LAYOUT_JOB_GRAPHS
#define KEY_A "a0000000000000000000000000000000" /* in the pack, whole */
#define KEY_B "b0000000000000000000000000000000" /* in the pack, damaged */
#define AHEAD "c0000000000000000000000000000000" /* of an epoch that nobody had */
#define CHECKPOINT "0000000000000000001"

#define FLAGS (FSHA_REPAIR_APPLY | FSHA_REPAIR_ACCEPT_OLDER | FSHA_REPAIR_FINISH_REMOVALS)
#define DAMAGED_MAX 8
#define BYTES_MAX 2048

/* What holds at any time. */
static const struct town_value sound[] = {
	{ GRAPHS, ACTOR_ELECTION, KEY_A, "a", FSU_KIND_JOB_GRAPH, false },
	{ GRAPHS, ACTOR_ELECTION, TOWN_JOB_2, "", FSU_KIND_JOB_GRAPH, false },
	{ LAYOUT_RUNNING_JOBS, ACTOR_ELECTION, TOWN_JOB, "x", FSU_KIND_RUNNING_JOB, false },
	{ LAYOUT_STATE "/ns", ACTOR_ELECTION, "k", "value", FSU_KIND_STATE, true },
};
/* And once it is repaired. */
static const struct town_value repaired[] = {
	{ GRAPHS, ACTOR_ELECTION, TOWN_JOB, "graph", FSU_KIND_JOB_GRAPH, false },
	{ GRAPHS, ACTOR_ELECTION, KEY_B, "", FSU_KIND_JOB_GRAPH, false },
	{ GRAPHS, ACTOR_ELECTION, AHEAD, "", FSU_KIND_JOB_GRAPH, false },
	{ LAYOUT_CHECKPOINTS "/" TOWN_JOB, TOWN_JOB_ELECTION, CHECKPOINT, "", FSU_KIND_CHECKPOINT,
	  true },
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct damaged {
	char path[700];
	size_t len;
	uint8_t bytes[BYTES_MAX];
};

struct scene {
	struct place place; /* the first: it is the context of what is shared */
	struct damaged damaged[DAMAGED_MAX];
	size_t count;
	uint64_t digest;
};

/* ---- a damaged town ---- */

static void remember(struct scene *s, const char *path)
{
	struct damaged *d = &s->damaged[s->count++];
	const uint8_t *data;

	assert_true(s->count <= DAMAGED_MAX);
	(void)snprintf(d->path, sizeof(d->path), "%s", path);
	data = crashfs_cat(s->place.disk, town_path(&s->place.town, "%s", path), &d->len);
	assert_non_null(data);
	assert_true(d->len <= BYTES_MAX);
	memcpy(d->bytes, data, d->len);
}

static void damage(struct scene *s, const char *directory, const char *prefix)
{
	char path[700];

	town_find(&s->place.town, directory, prefix, true, path);
	town_damage(&s->place.town, path);
	remember(s, path);
}

static void damage_a_pack(struct scene *s)
{
	const struct store_change changes[] = {
		{ .how = STORE_ADD, .key = KEY_A, .data = "a", .size = 1 },
		{ .how = STORE_ADD, .key = KEY_B, .data = "b", .size = 1 },
	};
	struct town *t = &s->place.town;
	const char *of_b = GRAPHS "/" KEY_B;
	char path[700];

	assert_int_equal(store_write_batch(t->a.store, changes, 2, NULL, NULL, &t->a.error),
			 FSHA_OK);
	town_find(t, GRAPHS, "@pack~", false, path);
	town_flip(t, path, of_b, (long)strlen(of_b));
	remember(s, path);
}

static void put_one_ahead(struct scene *s)
{
	static const char path[] = GRAPHS "/" AHEAD "~00000000000000ff.0000000000000001.0000";

	crashfs_put(s->place.disk, town_path(&s->place.town, "%s", path), "x", 1);
	remember(s, path);
}

static void damage_all(struct scene *s)
{
	struct town *t = &s->place.town;

	assert_int_equal(store_mark(t->a.store, TOWN_JOB_2, &t->a.error), FSHA_OK);
	assert_int_equal(actor_replace(&t->a, TOWN_JOB, "newer"), FSHA_OK);
	damage(s, GRAPHS, TOWN_JOB "~");
	damage_a_pack(s);
	put_one_ahead(s);
	damage(s, LAYOUT_CHECKPOINTS "/" TOWN_JOB, CHECKPOINT);
	damage(s, LAYOUT_ELECTIONS "/" ACTOR_ELECTION, "@history~");
	assert_int_equal(fsu_mkdirat(t->hand, AT_FDCWD, town_path(t, LAYOUT_STATE "/empty"), 0700),
			 0);
}

static void start_damaged(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	memset(s, 0, sizeof(*s));
	s->place.disk = disk;
	town_start(&s->place.town, disk);
	damage_all(s);
	town_kill(&s->place.town);
	start_tending(&s->place, disk, GC);
	s->digest = crashfs_digest(disk);
}

/* ---- what is done ---- */

static fsha_result repair(struct place *p, uint32_t flags)
{
	fsha_repair_options options = { sizeof(options), flags, 0 };

	p->told[0] = '\0';
	return fsha_repair(p->holder.services, &options, tell, p, NULL, &p->holder.error);
}

static int repair_all(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return repair(&((struct scene *)ctx)->place, FLAGS);
}

static int plan(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return repair(&((struct scene *)ctx)->place, FLAGS & ~FSHA_REPAIR_APPLY);
}

/* ---- what must hold after it ---- */

static bool is_mendable(const struct finding *f)
{
	switch (f->code) {
	case FINDING_RECORD_DAMAGED:
	case FINDING_RECORD_FOREIGN:
	case FINDING_OLD_RECORD_DAMAGED:
	case FINDING_VERSION_AHEAD:
	case FINDING_OWNER_MISSING:
	case FINDING_MARKED:
		return true;
	default:
		return false;
	}
}

/* For a person to look at, or for gc. */
static bool is_for_others(const struct finding *f)
{
	return f->code == FINDING_QUARANTINED ||
	       (finding_type(f->code)->severity == FSHA_SEVERITY_INFO && !is_mendable(f));
}

static const struct damaged *find_bytes(const struct scene *s, struct place *p, const char *path)
{
	size_t len;
	const uint8_t *data = crashfs_cat(p->disk, town_path(&p->town, "%s", path), &len);

	for (size_t i = 0; data && i < s->count; i++)
		if (len == s->damaged[i].len && memcmp(data, s->damaged[i].bytes, len) == 0)
			return &s->damaged[i];
	return NULL;
}

/* Each is where it was or in quarantine, and in quarantine is nothing else. */
static const char *look_for_damaged(const struct scene *s, struct place *p)
{
	const char *names = crashfs_ls(p->disk, town_path(&p->town, LAYOUT_QUARANTINE));
	bool found[DAMAGED_MAX] = { false };
	char *list = strdup(names ? names : ""), *rest = list, *name;
	const char *wrong = NULL;
	char path[700];

	assert_non_null(list);
	while ((name = strsep(&rest, "\n")) && *name && !wrong) {
		const struct damaged *d;

		(void)snprintf(path, sizeof(path), LAYOUT_QUARANTINE "/%s", name);
		d = find_bytes(s, p, path);
		if (!d)
			wrong = sweep_say("'%s' is none of the damaged files", path);
		else
			found[d - s->damaged] = true;
	}
	free(list);
	for (size_t i = 0; i < s->count && !wrong; i++)
		if (!found[i] && find_bytes(s, p, s->damaged[i].path) != &s->damaged[i])
			wrong = sweep_say("'%s' is lost", s->damaged[i].path);
	return wrong;
}

static const char *check_next(const struct scene *s, struct crashfs *after,
			      const struct sweep_run *run)
{
	struct place next = { .told = "" };
	const char *wrong;

	start_tending(&next, after, SLOW);
	wrong = look_for_damaged(s, &next);
	if (!wrong && run->when == SWEEP_CUT_AFTER)
		wrong = compare_with_told(&next, s->place.told, false, is_mendable);
	if (!wrong)
		wrong = compare_values(&next, sound, COUNT(sound));
	if (!wrong && repair(&next, FLAGS) != FSHA_OK)
		wrong = sweep_say("the next repair fails: %s", next.holder.error.message);
	if (!wrong)
		wrong = find_nothing(&next, is_for_others);
	if (!wrong)
		wrong = look_for_damaged(s, &next);
	if (!wrong)
		wrong = compare_values(&next, sound, COUNT(sound));
	if (!wrong)
		wrong = compare_values(&next, repaired, COUNT(repaired));
	if (!wrong)
		wrong = write_on(&next);
	holder_stop(&next.holder);
	return wrong;
}

static const char *check_repaired(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct scene *s = ctx;
	struct place *p = &s->place;
	const char *wrong = NULL;

	if (run->when == SWEEP_RETURNED) {
		wrong = compare_with_told(p, p->told, run->outcome == FSHA_OK, is_mendable);
		if (!wrong && run->n_faults == 0)
			wrong = find_nothing(p, is_for_others);
		if (wrong)
			return wrong;
		crashfs_kill_client(after, GC);
	}
	return check_next(s, after, run);
}

static const char *check_planned(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct scene *s = ctx;
	struct place *p = &s->place;

	if (run->when != SWEEP_RETURNED)
		return check_next(s, after, run);
	if (crashfs_digest(after) != s->digest)
		return "what was only planned has changed something";
	if (strstr(p->told, "done "))
		return sweep_say("what was only planned was done\n%.300s", p->told);
	if (run->n_faults > 0)
		return NULL;
	assert_told(p, "planned record-damaged " GRAPHS "/" TOWN_JOB "~");
	assert_told(p, "planned record-damaged " GRAPHS "/@pack~");
	assert_told(p, "planned record-damaged " GRAPHS "/" AHEAD "~");
	assert_told(p, "planned record-damaged " LAYOUT_CHECKPOINTS "/" TOWN_JOB "/" CHECKPOINT);
	assert_told(p, "planned record-damaged " LAYOUT_ELECTIONS "/" ACTOR_ELECTION "/@history~");
	assert_told(p, "planned marked " GRAPHS "/" TOWN_JOB_2 "~");
	assert_told(p, "planned owner-missing " LAYOUT_STATE "/empty\n");
	return NULL;
}

/* ---- the sweeps ---- */

static struct sweep_scenario repairing(struct scene *s, unsigned every)
{
	struct sweep_scenario scenario = scenario_of(&s->place, "repair");

	scenario.setup = start_damaged;
	scenario.operation = repair_all;
	scenario.check = check_repaired;
	scenario.every = every;
	return scenario;
}

static void repair_loses_nothing_and_says_what_it_did_at_every_fault(void **state)
{
	struct scene scene;
	const struct sweep_scenario scenario = repairing(&scene, (unsigned)test_size(41, 7, 1));

	(void)state;
	sweep_assert(&scenario);
}

static void repair_without_memory_says_what_it_did(void **state)
{
	struct scene scene;
	const struct sweep_scenario scenario = repairing(&scene, (unsigned)test_size(17, 3, 1));

	(void)state;
	oom_assert(&scenario);
}

static void what_is_only_planned_changes_nothing_at_any_fault(void **state)
{
	struct scene scene;
	struct sweep_scenario scenario = repairing(&scene, (unsigned)test_size(37, 7, 1));

	(void)state;
	scenario.name = "repair, planned";
	scenario.operation = plan;
	scenario.check = check_planned;
	sweep_assert(&scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repair_loses_nothing_and_says_what_it_did_at_every_fault),
		cmocka_unit_test(repair_without_memory_says_what_it_did),
		cmocka_unit_test(what_is_only_planned_changes_nothing_at_any_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
