/*
 * The sweep of what is thin over the store, each public function by itself: graphs, results and
 * running jobs, checkpoints and their counter. What a function changes is not told here but seen:
 * it is run once without a fault, and the ledgers before and after are what may be there whatever
 * fails: after OK the one, after a refusal the other, in doubt either, key by key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fsha/fsha.h"
#include "src/checkpoint/checkpoint.h"
#include "src/services/services.h"
#include "tests/lib/ledger.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/lib/swept.h"

#define JOB_HEX "000102030405060708090a0b0c0d0e0f"
#define LEADER 0
#define READER 1
#define WRONG_ANSWER 100 /* an outcome that no result has */

static const fsha_job_id job = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 } };
static const fsha_job_id second = { { 2 } };

struct desk {
	const struct errand *errand;
	struct crashfs *disk;
	struct holder h;
	fsha_job_graph_store *graphs;
	fsha_job_result_store *results;
	fsha_running_jobs *running;
	fsha_checkpoint_store *checkpoints;
	fsha_checkpoint_id_counter *counter;
	fsha_state_store *state;
	fsha_error error;
	struct ledger before, after; /* without a fault */
	bool known;
};

/* What is swept, and what is there before. */
struct errand {
	const char *name;
	const char *election;
	void (*open)(struct desk *d);
	int (*run)(struct desk *d);
	bool reads; /* and changes nothing */
};

/* Of the setup, where nothing fails. */
static void must(const struct desk *d, fsha_result result)
{
	if (result != FSHA_OK)
		fail_msg("%s: %s\n%s", d->errand->name, d->error.message, crashfs_log(d->disk));
}

/* ---- job graphs ---- */

static void open_graphs(struct desk *d)
{
	must(d, fsha_job_graph_store_open(d->h.services, &d->graphs, &d->error));
	must(d, fsha_job_graph_store_start(d->graphs, NULL, &d->error));
	must(d, fsha_job_graph_store_put(d->graphs, &job, "old", 3, &d->error));
}

static int put_graph(struct desk *d)
{
	return fsha_job_graph_store_put(d->graphs, &second, "new", 3, &d->error);
}

static int replace_graph(struct desk *d)
{
	return fsha_job_graph_store_put(d->graphs, &job, "new", 3, &d->error);
}

static int remove_graph(struct desk *d)
{
	return fsha_job_graph_store_remove(d->graphs, &job, &d->error);
}

static int recover_graph(struct desk *d)
{
	void *graph = NULL;
	size_t size = 0;
	fsha_result result =
		fsha_job_graph_store_recover(d->graphs, &job, &graph, &size, &d->error);

	if (result == FSHA_OK && (size != 3 || memcmp(graph, "old", 3) != 0))
		result = (fsha_result)WRONG_ANSWER;
	fsu_release(d->h.fs, graph);
	return result;
}

/* ---- job results ---- */

static fsha_result create_result(struct desk *d, const fsha_job_id *id)
{
	fsha_job_result result = FSHA_JOB_RESULT_INIT;

	result.id = *id;
	result.status = FSHA_APPLICATION_SUCCEEDED;
	return fsha_job_result_store_create_dirty(d->results, &result, &d->error);
}

static void open_results(struct desk *d)
{
	d->h.services->job_result_delete = false;
	must(d, fsha_job_result_store_open(d->h.services, &d->results, &d->error));
	must(d, create_result(d, &job));
	must(d, create_result(d, &second));
	must(d, fsha_job_result_store_mark_clean(d->results, &second, &d->error));
	/* One that has looked at nothing yet. */
	fsha_job_result_store_close(d->results);
	must(d, fsha_job_result_store_open(d->h.services, &d->results, &d->error));
}

static int answer(fsha_result result, int is, int should)
{
	return result == FSHA_OK && is != should ? WRONG_ANSWER : (int)result;
}

static int has_entry(struct desk *d)
{
	int has = -1;
	fsha_result result = fsha_job_result_store_has_entry(d->results, &second, &has, &d->error);

	return answer(result, has, 1);
}

static int has_dirty(struct desk *d)
{
	int has = -1;
	fsha_result result = fsha_job_result_store_has_dirty(d->results, &job, &has, &d->error);

	return answer(result, has, 1);
}

static int has_clean(struct desk *d)
{
	int has = -1;
	fsha_result result = fsha_job_result_store_has_clean(d->results, &job, &has, &d->error);

	return answer(result, has, 0);
}

static int count_result(void *ctx, const fsha_job_result_entry *entry)
{
	int *count = ctx;

	*count += entry->result != FSHA_E_CORRUPT ? 1 : WRONG_ANSWER;
	return 0;
}

static int list_clean(struct desk *d)
{
	int count = 0;
	fsha_result result = fsha_job_result_store_get_clean_results(d->results, count_result,
								     &count, &d->error);

	return answer(result, count, 1);
}

/* ---- running jobs ---- */

static void open_running(struct desk *d)
{
	must(d, fsha_running_jobs_open(d->h.services, &d->running, &d->error));
	must(d, fsha_running_jobs_set_running(d->running, &job, &d->error));
	fsha_running_jobs_close(d->running);
	must(d, fsha_running_jobs_open(d->h.services, &d->running, &d->error));
}

static int get_status(struct desk *d)
{
	int32_t status = -1;
	fsha_result result = fsha_running_jobs_get_status(d->running, &job, &status, &d->error);

	return answer(result, status, FSHA_JOB_RUNNING);
}

static int count_job(void *ctx, const fsha_running_job *entry)
{
	int *count = ctx;

	*count += entry->result != FSHA_E_CORRUPT ? 1 : WRONG_ANSWER;
	return 0;
}

static int list_running(struct desk *d)
{
	int count = 0;
	fsha_result result = fsha_running_jobs_list(d->running, count_job, &count, &d->error);

	return answer(result, count, 1);
}

/* ---- checkpoints ---- */

static void open_checkpoints(struct desk *d)
{
	fsha_completed_checkpoint c = FSHA_COMPLETED_CHECKPOINT_INIT;
	fsha_checkpoint_store_options options = FSHA_CHECKPOINT_STORE_OPTIONS_INIT;

	c.id = 1;
	c.type = FSHA_CHECKPOINT;
	c.metadata = "old";
	c.metadata_size = 3;
	/* Without the thread of chores, so that each run makes the same calls. */
	must(d, checkpoint_open(d->h.services, &job, &options, &d->checkpoints, &d->error));
	must(d, fsha_checkpoint_store_add(d->checkpoints, &c, NULL, &d->error));
}

static int get_checkpoints(struct desk *d)
{
	fsha_completed_checkpoint **all = NULL;
	size_t count = 0;
	fsha_result result = fsha_checkpoint_store_get_all(d->checkpoints, &all, &count, &d->error);

	fsu_release(d->h.fs, all);
	return answer(result, (int)count, 1);
}

static void open_counter(struct desk *d)
{
	int64_t id;

	must(d, fsha_checkpoint_id_counter_open(d->h.services, &job, &d->counter, &d->error));
	must(d, fsha_checkpoint_id_counter_get_and_increment(d->counter, &id, &d->error));
}

static int get_count(struct desk *d)
{
	int64_t id = 0;
	fsha_result result = fsha_checkpoint_id_counter_get(d->counter, &id, &d->error);

	return answer(result, (int)id, 2);
}

static int set_count(struct desk *d)
{
	return fsha_checkpoint_id_counter_set_count(d->counter, 77, &d->error);
}

static int end_counter(struct desk *d)
{
	return fsha_checkpoint_id_counter_shutdown(d->counter, FSHA_JOB_FINISHED, &d->error);
}

/* ---- the general store ---- */

static void open_state(struct desk *d)
{
	must(d, fsha_state_store_open(d->h.services, "ns", FSHA_ELECTION_DISPATCHER, &d->state,
				      &d->error));
	must(d, fsha_state_store_add(d->state, "k", "old", 3, NULL, &d->error));
}

static int get_value(struct desk *d)
{
	size_t size = 0;
	void *data = NULL;
	fsha_result result = fsha_state_store_get(d->state, "k", &data, &size, NULL, &d->error);

	if (result == FSHA_OK && (size != 3 || memcmp(data, "old", 3) != 0))
		result = (fsha_result)WRONG_ANSWER;
	fsu_release(d->h.fs, data);
	return result;
}

static int change_values(struct desk *d)
{
	const fsha_state_change changes[] = {
		{ .how = FSHA_STATE_PUT, .name = "k", .data = "new", .size = 3 },
		{ .how = FSHA_STATE_PUT, .name = "n", .data = "new", .size = 3 },
	};

	return fsha_state_store_batch(d->state, changes, 2, NULL, NULL, &d->error);
}

static int64_t read_text(void *ctx, void *buf, size_t size)
{
	size_t *left = ctx, n = *left < size ? *left : size;

	memset(buf, 's', n);
	*left -= n;
	return (int64_t)n;
}

static int stream_value(struct desk *d)
{
	size_t left = 70000;
	fsha_version version;
	fsha_result result = fsha_state_store_exists(d->state, "k", &version, &d->error);

	if (result != FSHA_OK)
		return result;
	return fsha_state_store_replace_stream(d->state, "k", &version, read_text, &left, NULL,
					       &d->error);
}

/* ---- what is looked at ---- */

static void read_ledger(struct crashfs *disk, struct ledger *ret_ledger)
{
	struct crashfs *copy = crashfs_fork(disk);
	struct holder h;

	holder_start_reader(&h, copy, READER);
	if (ledger_read(ret_ledger, &h, true) != FSHA_OK)
		fail_msg("cannot read: %s\n%s", h.error.message, crashfs_log(copy));
	holder_stop(&h);
	crashfs_destroy(copy);
}

static void open_desk(void *ctx, struct crashfs *disk)
{
	struct desk *d = ctx;

	d->disk = disk;
	d->error = (fsha_error)FSHA_ERROR_INIT;
	holder_start(&d->h, disk, LEADER, d->errand->election);
	d->errand->open(d);
	if (!d->known)
		read_ledger(disk, &d->before);
}

static int run_errand(void *ctx, const struct fsu *fs)
{
	struct desk *d = ctx;

	(void)fs;
	return d->errand->run(d);
}

/* The same but for versions: who tries again takes a higher one. */
static bool has_same(const struct ledger *ledger, const char *name, const struct ledger_entry *seen)
{
	const struct ledger_entry *entry = ledger_find(ledger, name);

	if (!entry || !seen)
		return !entry && !seen;
	return entry->digest == seen->digest && entry->form == seen->form;
}

/* Each key of any of the three is as in one of those that are allowed. */
static const char *compare(const struct desk *d, const struct ledger *seen, bool before, bool after)
{
	const struct ledger *const all[] = { &d->before, &d->after, seen };

	for (size_t k = 0; k < 3; k++)
		for (size_t i = 0; i < all[k]->count; i++) {
			const char *name = all[k]->at[i].name;
			const struct ledger_entry *entry = ledger_find(seen, name);

			if (!(before && has_same(&d->before, name, entry)) &&
			    !(after && has_same(&d->after, name, entry)))
				return sweep_say("'%s' is not as it may be", name);
		}
	return NULL;
}

static const char *check(void *ctx, struct crashfs *disk, const struct sweep_run *run)
{
	bool told = run->when != SWEEP_CUT_DURING && run->outcome != FSHA_E_INDOUBT;
	struct desk *d = ctx;
	struct ledger seen = { 0 };
	const char *wrong;

	if (run->n_faults == 0 && !d->known) {
		if (run->outcome != FSHA_OK)
			return sweep_say("nothing fails, and it is %s",
					 fsha_result_name(run->outcome));
		read_ledger(d->disk, &d->after);
		d->known = true;
	}
	if (run->outcome == WRONG_ANSWER || run->outcome == FSHA_E_CORRUPT ||
	    run->outcome == FSHA_E_NOT_FOUND)
		return sweep_say("the answer is wrong (%d)", run->outcome);
	if (d->errand->reads)
		return NULL;
	read_ledger(disk, &seen);
	wrong = compare(d, &seen, !told || run->outcome != FSHA_OK,
			!told || run->outcome == FSHA_OK);
	ledger_done(&seen);
	return wrong;
}

static void close_desk(void *ctx, struct crashfs *disk)
{
	struct desk *d = ctx;

	(void)disk;
	fsha_job_graph_store_close(d->graphs);
	fsha_job_result_store_close(d->results);
	fsha_running_jobs_close(d->running);
	fsha_checkpoint_id_counter_close(d->counter);
	fsha_state_store_close(d->state);
	if (d->checkpoints)
		(void)fsha_checkpoint_store_close(d->checkpoints, NULL);
	d->graphs = NULL;
	d->results = NULL;
	d->running = NULL;
	d->counter = NULL;
	d->state = NULL;
	d->checkpoints = NULL;
	holder_stop(&d->h);
}

static void sweep(const struct errand *errand)
{
	struct desk d = { .errand = errand };
	const struct sweep_scenario scenario = {
		.name = errand->name,
		.options = { .seed = 1 },
		.client = LEADER,
		.ctx = &d,
		.setup = open_desk,
		.operation = run_errand,
		.check = check,
		.teardown = close_desk,
	};
	struct sweep_report starved;

	sweep_assert(&scenario);
	/* Some of those that read need no memory. */
	if (!oom_run(&scenario, NULL, &starved)) {
		print_error("%s", starved.text);
		fail();
	}
	if (!errand->reads && !swept_listing())
		sweep_assert_pairs(&scenario, (unsigned)test_size(0, 1, 12));
	ledger_done(&d.before);
	ledger_done(&d.after);
}

#define DISPATCHER FSHA_ELECTION_DISPATCHER
#define MASTER "job-" JOB_HEX

static const struct errand graph_errands[] = {
	{ "put a new graph", DISPATCHER, open_graphs, put_graph, false },
	{ "put an own graph", DISPATCHER, open_graphs, replace_graph, false },
	{ "remove a graph", DISPATCHER, open_graphs, remove_graph, false },
	{ "recover a graph", DISPATCHER, open_graphs, recover_graph, true },
};
static const struct errand result_errands[] = {
	{ "has an entry", DISPATCHER, open_results, has_entry, true },
	{ "has a dirty one", DISPATCHER, open_results, has_dirty, true },
	{ "has a clean one", DISPATCHER, open_results, has_clean, true },
	{ "clean results", DISPATCHER, open_results, list_clean, true },
	{ "status of a job", DISPATCHER, open_running, get_status, true },
	{ "running jobs", DISPATCHER, open_running, list_running, true },
};
static const struct errand checkpoint_errands[] = {
	{ "all checkpoints", MASTER, open_checkpoints, get_checkpoints, true },
	{ "get the count", MASTER, open_counter, get_count, true },
	{ "set the count", MASTER, open_counter, set_count, false },
	{ "end the counter", MASTER, open_counter, end_counter, false },
};
static const struct errand state_errands[] = {
	{ "get", DISPATCHER, open_state, get_value, true },
	{ "batch", DISPATCHER, open_state, change_values, false },
	{ "replace by a stream", DISPATCHER, open_state, stream_value, false },
};

#define SWEEP_ALL(errands)                                                        \
	do {                                                                      \
		for (size_t i = 0; i < sizeof(errands) / sizeof(*(errands)); i++) \
			sweep(&(errands)[i]);                                     \
	} while (0)

static void graphs_are_old_or_new_at_every_fault(void **state)
{
	(void)state;
	SWEEP_ALL(graph_errands);
}

static void results_and_running_jobs_are_read_right_or_not_at_every_fault(void **state)
{
	(void)state;
	SWEEP_ALL(result_errands);
}

static void checkpoints_and_their_count_are_old_or_new_at_every_fault(void **state)
{
	(void)state;
	SWEEP_ALL(checkpoint_errands);
}

static void values_are_old_or_new_at_every_fault(void **state)
{
	(void)state;
	SWEEP_ALL(state_errands);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(graphs_are_old_or_new_at_every_fault),
		cmocka_unit_test(results_and_running_jobs_are_read_right_or_not_at_every_fault),
		cmocka_unit_test(checkpoints_and_their_count_are_old_or_new_at_every_fault),
		cmocka_unit_test(values_are_old_or_new_at_every_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
