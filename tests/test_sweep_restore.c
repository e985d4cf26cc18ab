/*
 * The sweep of a restore, by terms that are in hand: wherever one call fails, memory runs out or
 * the power is cut, no job graph is there without its checkpoint, a restore that says that it is
 * done is, and durably, and the next one comes to its end whatever the first one left.
 */
#include "fsha/election.h"
#include "src/backup/restore.h"
#include "src/cluster/layout.h"
#include "tests/lib/holder.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/lib/swept.h"
#include "tests/test_backup_memory.h"

#define FORMER 0
#define RESTORING 1
#define NEXT 2
#define HEX "aa000000000000000000000000000000"
#define JOB_ELECTION "job-" HEX
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return sweep_say("line %d: not so: %s (outcome %d)", __LINE__, #condition, \
					 run->outcome);                                            \
	} while (0)

static const struct store_options graphs = { .directory = LAYOUT_JOB_GRAPHS,
					     .election = FSHA_ELECTION_DISPATCHER,
					     .kind = FSU_KIND_JOB_GRAPH };
static const struct store_options checkpoints = { .directory = LAYOUT_CHECKPOINTS "/" HEX,
						  .election = JOB_ELECTION,
						  .kind = FSU_KIND_CHECKPOINT,
						  .owned = true,
						  .removable = true };
static const struct store_options space = { .directory = LAYOUT_STATE "/ns",
					    .election = FSHA_ELECTION_DISPATCHER,
					    .kind = FSU_KIND_STATE,
					    .owned = true };
/* Not in the backup at all. */
static const struct store_options other_space = { .directory = LAYOUT_STATE "/other",
						  .election = FSHA_ELECTION_DISPATCHER,
						  .kind = FSU_KIND_STATE,
						  .owned = true };

/* What a value of the cluster is in the backup, and was when the restore began; NULL: not there. */
static const struct {
	const struct store_options *store;
	const char *key, *saved, *changed;
} values[] = {
	{ &graphs, HEX, "saved", "changed" },
	{ &checkpoints, "0000000000000000001", "saved", NULL },
	{ &checkpoints, "0000000000000000002", NULL, "changed" },
	{ &space, "both", "saved", "changed" },
	{ &space, "removed", "saved", NULL },
	{ &space, "added", NULL, "changed" },
	{ &other_space, "added", NULL, "changed" },
};
enum {
	GRAPH,
	OLD_CHECKPOINT,
	NEW_CHECKPOINT
};
#define COUNT (sizeof(values) / sizeof(values[0]))

struct scene {
	struct memory archive;
	struct holder h;
};

/* ---- a cluster, its backup, and what became of it since ---- */

static void start_holder(struct holder *h, struct crashfs *disk, unsigned client)
{
	holder_start(h, disk, client, FSHA_ELECTION_DISPATCHER);
	lease_begin(&h->services->member->lease, fsu_now_ns(h->fs), 3600 * FSU_NS_PER_S);
	holder_lead_too(h, FSHA_ELECTION_RESOURCE_MANAGER);
	holder_lead_too(h, JOB_ELECTION);
}

static void put(struct holder *h, const struct store_options *options, const char *key,
		const char *text)
{
	struct store *store;
	fsha_result result;

	assert_int_equal(services_store_open(h->services, options, &store, &h->error), FSHA_OK);
	result = text ? store_write(store, STORE_PUT, key, NULL, text, strlen(text) + 1, NULL,
				    &h->error) :
			store_write(store, STORE_REMOVE, key, NULL, NULL, 0, NULL, &h->error);
	if (result != FSHA_OK)
		fail_msg("%s", h->error.message);
	services_store_close(h->services, store);
}

static void start(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;
	const fsha_backup_sink sink = { sizeof(sink), &s->archive, begin_item, write_item };

	s->archive.count = 0;
	start_holder(&s->h, disk, FORMER);
	for (size_t i = 0; i < COUNT; i++)
		if (values[i].saved)
			put(&s->h, values[i].store, values[i].key, values[i].saved);
	if (fsha_backup_take(s->h.services, NULL, &sink, NULL, &s->h.error) != FSHA_OK)
		fail_msg("%s", s->h.error.message);
	for (size_t i = 0; i < COUNT; i++)
		put(&s->h, values[i].store, values[i].key, values[i].changed);
	crashfs_kill_client(disk, FORMER);
	holder_stop(&s->h);
	start_holder(&s->h, disk, RESTORING);
}

static void stop(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	(void)disk;
	holder_stop(&s->h);
	memory_done(&s->archive);
}

static fsha_result restore_by(struct scene *s, struct holder *h)
{
	const fsha_backup_source source = { sizeof(source), &s->archive, rewind_items, next_item,
					    read_item };

	return SWEPT(restore_run)(h->services, NULL, &source, true, NULL, &h->error);
}

static int restore(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;

	(void)fs;
	return restore_by(s, &s->h);
}

/* ---- what must hold after it ---- */

/* Static texts: "saved", "changed", "damaged", or NULL when it is not there. */
static const char *read_value(struct holder *h, const struct store_options *options,
			      const char *key)
{
	const char *text = "damaged";
	struct record record;
	struct store *store;
	fsha_result result;

	assert_int_equal(services_store_open(h->services, options, &store, &h->error), FSHA_OK);
	result = store_get(store, key, &record, NULL, &h->error);
	services_store_close(h->services, store);
	if (result == FSHA_E_NOT_FOUND)
		return NULL;
	if (result != FSHA_OK)
		return text;
	if (record.size == sizeof("saved") && strcmp((const char *)record.data, "saved") == 0)
		text = "saved";
	if (record.size == sizeof("changed") && strcmp((const char *)record.data, "changed") == 0)
		text = "changed";
	record_done(h->fs, &record);
	return text;
}

static bool is_same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void read_all(struct holder *h, const char **ret_there)
{
	for (size_t i = 0; i < COUNT; i++)
		ret_there[i] = read_value(h, values[i].store, values[i].key);
}

static bool is_restored(const char *const *there)
{
	bool restored = true;

	for (size_t i = 0; i < COUNT; i++)
		restored = restored && is_same(there[i], values[i].saved);
	return restored;
}

static const char *check(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	const char *there[COUNT], *in_the_end[COUNT];
	struct scene *s = ctx;
	struct holder next;
	fsha_result again;

	start_holder(&next, after, NEXT);
	read_all(&next, there);
	again = restore_by(s, &next);
	read_all(&next, in_the_end);
	holder_stop(&next);

	for (size_t i = 0; i < COUNT; i++)
		CHECK(is_same(there[i], values[i].saved) || is_same(there[i], values[i].changed) ||
		      (i == GRAPH && !there[i]));
	CHECK(there[OLD_CHECKPOINT] || there[NEW_CHECKPOINT]);
	if (is_same(there[GRAPH], "saved"))
		CHECK(is_restored(there)); /* it comes last */
	if (is_same(there[GRAPH], "changed"))
		for (size_t i = 0; i < COUNT; i++) /* it goes first */
			CHECK(is_same(there[i], values[i].changed));
	if (run->when != SWEEP_CUT_DURING && run->outcome == FSHA_OK)
		CHECK(is_restored(there));
	if (run->when == SWEEP_RETURNED)
		CHECK(run->outcome != FSHA_E_FENCED && run->outcome != FSHA_E_NOT_LEADER);
	if (run->n_faults == 0)
		CHECK(run->outcome == FSHA_OK);
	CHECK(again == FSHA_OK);
	CHECK(is_restored(in_the_end));
	return NULL;
}

static struct sweep_scenario scenario_of(struct scene *s, unsigned every)
{
	return (struct sweep_scenario){
		.name = "restore",
		.options = { .seed = 1 },
		.client = RESTORING,
		.ctx = s,
		.setup = start,
		.operation = restore,
		.check = check,
		.teardown = stop,
		.every = every,
	};
}

static void a_restore_leaves_no_job_without_its_data_at_every_fault(void **state)
{
	static struct scene s;
	const struct sweep_scenario scenario = scenario_of(&s, (unsigned)test_size(7, 2, 1));

	(void)state;
	sweep_assert(&scenario);
}

static void a_restore_without_memory_says_so_and_can_be_repeated(void **state)
{
	static struct scene s;
	const struct sweep_scenario scenario = scenario_of(&s, (unsigned)test_size(7, 2, 1));

	(void)state;
	oom_assert(&scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_restore_leaves_no_job_without_its_data_at_every_fault),
		cmocka_unit_test(a_restore_without_memory_says_so_and_can_be_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
