/*
 * The crash model: at every change that an operation makes to the shared directory the power is
 * cut, and every state that this may leave (tests/lib/film.h says what is looked at) is one that a
 * next leader goes on from. One process writes here; tests/test_crash_model_pairs.c has two.
 *
 * How many states of each moment are looked at depends on FSHA_TEST_LONG; SEED draws other ones.
 */
#include "tests/test_crash_model.h"

#include <errno.h>

#include "src/checkpoint/checkpoint.h"
#include "src/election/claim.h"
#include "src/election/history.h"
#include "src/maintenance/quarantine.h"
#include "src/services/cleanup.h"
#include "tests/lib/disk.h"

/*
 * Three moments of four have up to 1,536 sets of operations that a cut may keep; the last tenth, in
 * the middle of cleaning, has 140,000 and more.
 */
#define WHOLE test_size(24, 100, 1536)
#define LIMIT test_size(24, 100, 330)
#define LOCAL ((struct stage_options){ 0, LIMIT, 0, WHOLE })

/* ---- who leads ---- */

static fsha_result lead_and_tell(struct stage *s, const char *election)
{
	fsha_result result = holder_try_lead(&s->h, election);

	if (result == FSHA_OK)
		film_granted(s->film, election, s->h.services->attached->term);
	s->error = s->h.error;
	return result;
}

static void a_cluster_appears_whole_and_its_first_leader_keeps_his_epoch(void **state)
{
	struct stage s;

	(void)state;
	stage_open(&s, "creation", LOCAL);
	stage_begin(&s);
	step(&s, "create", holder_try_start_reader(&s.h, s.disk, 0));
	step(&s, "join", holder_try_join(&s.h));
	hold_lease(&s.h);
	step(&s, "claim", lead_and_tell(&s, DISPATCHER));
	step(&s, "tell", leader_publish(s.h.term, LEADER_GRANTED, "", NULL, NULL, &s.error));
	step(&s, "confirm",
	     leader_publish(s.h.term, LEADER_CONFIRMED, "here", NULL, NULL, &s.error));
	step(&s, "history", history_publish(s.h.term, &s.error));
	step(&s, "claim another", lead_and_tell(&s, JOB_ELECTION));
	stage_close(&s);
}

static fsha_result resign(struct stage *s)
{
	struct term *term = s->h.term;
	fsha_result result = claim_vacate(term, &s->error);

	if (result == FSHA_OK)
		result = leader_publish(term, LEADER_NONE, "", NULL, NULL, &s->error);
	claim_clean_up(term);
	return result;
}

/* The term that ended goes out of hand. */
static void drop_term(struct stage *s)
{
	struct attached_term **at = &s->h.services->attached, *a;

	while ((*at)->term != s->h.term)
		at = &(*at)->next;
	a = *at;
	*at = a->next;
	term_unref(a->term);
	fsu_release(s->h.fs, a);
	s->h.term = NULL;
}

static void offices_change_hands_and_no_epoch_comes_twice(void **state)
{
	struct stage s;

	(void)state;
	stage_open(&s, "offices", LOCAL);
	stage_lead(&s);
	stage_begin(&s);
	for (unsigned i = 0; i < 2; i++) {
		/* The one that was claimed last is the first. */
		s.h.term = s.h.services->attached->term;
		step(&s, "confirm",
		     leader_publish(s.h.term, LEADER_CONFIRMED, "here", NULL, NULL, &s.error));
		step(&s, "beat",
		     member_beat(s.h.services->member) == MEMBER_BEAT_OK ? FSHA_OK : FSHA_E_IO);
		step(&s, "resign", resign(&s));
		drop_term(&s);
		step(&s, "claim again", lead_and_tell(&s, JOB_ELECTION));
		step(&s, "history", history_publish(s.h.services->attached->term, &s.error));
		leader_clean(s.h.services->attached->term);
	}
	stage_close(&s);
}

/* ---- the general store ---- */

static int64_t read_much(void *ctx, void *buf, size_t size)
{
	size_t *left = ctx, n = size < *left ? size : *left;

	memset(buf, 's', n);
	*left -= n;
	return (int64_t)n;
}

static fsha_result stream(struct shelf *f, const char *key)
{
	size_t left = 70000;

	return fsha_state_store_add_stream(f->store, key, read_much, &left, NULL, &f->s.error);
}

static fsha_result empty_trash(struct stage *s)
{
	for (struct attached_term *a = s->h.services->attached; a; a = a->next)
		(void)tenure_empty_trash(&s->h.services->cluster, a->term->election_fd, 100);
	return FSHA_OK;
}

static fsha_result discard(void *ctx, const char *name, const void *data, size_t size,
			   fsha_error *reterr)
{
	(void)ctx;
	(void)name;
	(void)data;
	(void)size;
	(void)reterr;
	return FSHA_OK;
}

static void play_store(const char *name, int64_t cache_ns)
{
	struct shelf f;

	shelf_open(&f, name, (struct stage_options){ cache_ns, LIMIT, 0, WHOLE });
	must(&f.s, fsha_state_store_set_discard(f.store, discard, NULL, &f.s.error));
	stage_begin(&f.s);
	step(&f.s, "first add", add(&f, "k1", "one"));
	step(&f.s, "add", add(&f, "k2", "one"));
	step(&f.s, "replace", replace(&f, "k1", "two"));
	step(&f.s, "add", add(&f, "k3", "one"));
	step(&f.s, "remove", fsha_state_store_remove(f.store, "k2", NULL, &f.s.error));
	step(&f.s, "clean", look_after(&f));
	step_atomic(&f.s, "batch", change_many(&f, "batch"));
	step(&f.s, "replace one of the batch", replace(&f, "k1", "three"));
	step(&f.s, "stream", stream(&f, "big"));
	step(&f.s, "clean", look_after(&f));
	step(&f.s, "empty the trash", empty_trash(&f.s));
	step_atomic(&f.s, "another batch", change_many(&f, "again"));
	step(&f.s, "compact", compact(&f));
	step(&f.s, "clean", look_after(&f));
	step(&f.s, "release and remove",
	     fsha_state_store_release_and_try_remove(f.store, "k4", NULL, &f.s.error));
	step(&f.s, "compact", compact(&f));
	step_atomic(&f.s, "clear", fsha_state_store_clear(f.store, &f.s.error));
	step(&f.s, "clean", look_after(&f));
	step(&f.s, "compact", compact(&f));
	step(&f.s, "empty the trash", empty_trash(&f.s));
	step(&f.s, "add again", add(&f, "k2", "new"));
	shelf_close(&f);
}

static void values_are_old_or_new_and_whole_at_every_cut(void **state)
{
	(void)state;
	play_store("store", 0);
	play_store("store, with caches", 30 * FSU_NS_PER_S);
}

/* ---- in doubt ---- */

/* The directory cannot be synced: the rename is there, and nobody knows for how long. */
static void play_doubt(const char *name, fsha_result (*change)(struct shelf *f, const char *value))
{
	const struct crashfs_fault no_sync = {
		.client = 0, .at = 1, .calls_mask = 1u << CRASHFS_FSYNC, .error = EIO
	};
	struct shelf f;

	shelf_open(&f, name, LOCAL);
	must(&f.s, change_many(&f, "old"));
	must(&f.s, replace(&f, "k1", "older"));
	stage_begin(&f.s);
	film_loose(f.s.film, "state/ns/");
	film_step(f.s.film, "change", false);
	crashfs_count_reset(f.s.disk);
	crashfs_fault_arm(f.s.disk, &no_sync);
	assert_int_equal(change(&f, "new"), FSHA_E_INDOUBT);
	crashfs_fault_clear(f.s.disk);
	film_ack(f.s.film);
	step(&f.s, "clean", look_after(&f));
	film_loose(f.s.film, NULL);
	step(&f.s, "add", add(&f, "k9", "one"));
	step(&f.s, "change again", change(&f, "newer"));
	step(&f.s, "clean again", look_after(&f));
	step(&f.s, "compact", compact(&f));
	shelf_close(&f);
}

static fsha_result take_away(struct shelf *f, const char *value)
{
	(void)value;
	return fsha_state_store_remove(f->store, "k1", NULL, &f->s.error);
}

static fsha_result put(struct shelf *f, const char *value)
{
	const fsha_state_change change = {
		.how = FSHA_STATE_PUT, .name = "k1", .data = value, .size = strlen(value)
	};

	return fsha_state_store_batch(f->store, &change, 1, NULL, NULL, &f->s.error);
}

static void what_is_in_doubt_is_old_or_new_whatever_is_cleaned(void **state)
{
	(void)state;
	play_doubt("put in doubt", put);
	play_doubt("batch in doubt", change_many);
	play_doubt("removal in doubt", take_away);
}

/* ---- jobs ---- */

static fsha_result create_dirty(struct stage *s, fsha_job_result_store *store)
{
	fsha_job_result result = FSHA_JOB_RESULT_INIT;

	result.id = job;
	result.status = FSHA_APPLICATION_SUCCEEDED;
	return fsha_job_result_store_create_dirty(store, &result, &s->error);
}

static void play_jobs(const char *name, bool keep)
{
	fsha_job_result_store *results;
	fsha_job_graph_store *graphs;
	fsha_running_jobs *running;
	struct stage s;

	stage_open(&s, name, LOCAL);
	stage_lead(&s);
	s.h.services->job_result_delete = !keep;
	must(&s, fsha_job_graph_store_open(s.h.services, &graphs, &s.error));
	must(&s, fsha_job_graph_store_start(graphs, NULL, &s.error));
	must(&s, fsha_job_result_store_open(s.h.services, &results, &s.error));
	must(&s, fsha_running_jobs_open(s.h.services, &running, &s.error));
	stage_begin(&s);
	step(&s, "put graph", fsha_job_graph_store_put(graphs, &job, "graph", 5, &s.error));
	step(&s, "run", fsha_running_jobs_set_running(running, &job, &s.error));
	step(&s, "replace graph", fsha_job_graph_store_put(graphs, &job, "graph2", 6, &s.error));
	step(&s, "requirements",
	     fsha_job_graph_store_put_job_resource_requirements(graphs, &job, "{}", 2, &s.error));
	step(&s, "dirty", create_dirty(&s, results));
	step(&s, "finish", fsha_running_jobs_set_finished(running, &job, &s.error));
	step(&s, "remove graph", fsha_job_graph_store_remove(graphs, &job, &s.error));
	step(&s, "clear", fsha_running_jobs_clear(running, &job, &s.error));
	step(&s, "clean", fsha_job_result_store_mark_clean(results, &job, &s.error));
	step(&s, "forget", fsha_job_result_store_remove(results, &job, &s.error));
	film_end(s.film);
	fsha_running_jobs_close(running);
	fsha_job_result_store_close(results);
	fsha_job_graph_store_close(graphs);
	stage_close(&s);
}

static void jobs_and_their_results_are_old_or_new_at_every_cut(void **state)
{
	(void)state;
	play_jobs("jobs, results are kept", true);
	play_jobs("jobs, results are deleted", false);
}

/* ---- checkpoints ---- */

static fsha_result drop(void *ctx, const fsha_completed_checkpoint *checkpoint, fsha_error *reterr)
{
	(void)ctx;
	(void)checkpoint;
	(void)reterr;
	return FSHA_OK;
}

static fsha_result add_checkpoint(struct stage *s, fsha_checkpoint_store *store, int64_t id)
{
	fsha_completed_checkpoint c = FSHA_COMPLETED_CHECKPOINT_INIT;

	c.id = id;
	c.timestamp_ms = id;
	c.type = FSHA_CHECKPOINT;
	c.metadata = "metadata";
	c.metadata_size = 8;
	c.external_pointer = "/chk";
	return fsha_checkpoint_store_add(store, &c, NULL, &s->error);
}

static fsha_result do_chores(struct stage *s)
{
	services_lock(s->h.services);
	while (chores_run_one(s->h.services))
		;
	services_unlock(s->h.services);
	return FSHA_OK;
}

static fsha_result count_up(struct stage *s, fsha_checkpoint_id_counter *counter)
{
	int64_t id;

	return fsha_checkpoint_id_counter_get_and_increment(counter, &id, &s->error);
}

static void checkpoints_come_before_those_that_they_replace_go(void **state)
{
	fsha_checkpoint_store_options options = FSHA_CHECKPOINT_STORE_OPTIONS_INIT;
	fsha_checkpoint_id_counter *counter;
	fsha_checkpoint_store *store;
	struct stage s;

	(void)state;
	stage_open(&s, "checkpoints", LOCAL);
	stage_lead(&s);
	options.max_retained = 1;
	options.discard = drop;
	must(&s, checkpoint_open(s.h.services, &job, &options, &store, &s.error));
	must(&s, fsha_checkpoint_id_counter_open(s.h.services, &job, &counter, &s.error));
	stage_begin(&s);
	step(&s, "count", count_up(&s, counter));
	step(&s, "add", add_checkpoint(&s, store, 1));
	step(&s, "count", count_up(&s, counter));
	step(&s, "add", add_checkpoint(&s, store, 2));
	step(&s, "subsume", do_chores(&s));
	step(&s, "count", fsha_checkpoint_id_counter_set_count(counter, 10, &s.error));
	step(&s, "add", add_checkpoint(&s, store, 3));
	step(&s, "subsume", do_chores(&s));
	step(&s, "remove", fsha_checkpoint_store_remove(store, 3, &s.error));
	film_end(s.film);
	fsha_checkpoint_id_counter_close(counter);
	/* What is left to be dropped is for the next leader. */
	(void)fsha_checkpoint_store_close(store, NULL);
	stage_close(&s);
}

static void a_job_that_ends_leaves_nothing_and_loses_nothing_before(void **state)
{
	fsha_checkpoint_store_options options = FSHA_CHECKPOINT_STORE_OPTIONS_INIT;
	fsha_checkpoint_store *store;
	fsha_job_graph_store *graphs;
	struct stage s;

	(void)state;
	stage_open(&s, "end of a job", LOCAL);
	stage_lead(&s);
	options.max_retained = 2;
	must(&s, checkpoint_open(s.h.services, &job, &options, &store, &s.error));
	must(&s, fsha_job_graph_store_open(s.h.services, &graphs, &s.error));
	must(&s, fsha_job_graph_store_start(graphs, NULL, &s.error));
	must(&s, fsha_job_graph_store_put(graphs, &job, "graph", 5, &s.error));
	must(&s, add_checkpoint(&s, store, 1));
	must(&s, add_checkpoint(&s, store, 2));
	must(&s, fsha_checkpoint_store_close(store, &s.error));
	fsha_job_graph_store_close(graphs);
	stage_begin(&s);
	step(&s, "clean up", cleanup_job_pointers(s.h.services, &job, &s.error));
	step(&s, "empty the trash", empty_trash(&s));
	stage_close(&s);
}

/* ---- blobs ---- */

static void blobs_come_and_go_whole(void **state)
{
	static const char local[] = "/local/file";
	fsha_blob_key small, large;
	fsha_blob_store *store;
	struct stage s;
	char *data = malloc(70000);

	(void)state;
	assert_non_null(data);
	memset(data, 'b', 70000);
	stage_open(&s, "blobs", LOCAL);
	stage_lead(&s);
	assert_int_equal(fsha_blob_key_parse("p-0000000000000000000000000000000000000001-"
					     "00000000000000000000000000000001",
					     &small),
			 FSHA_OK);
	large = small;
	large.random[0] = 9;
	must(&s, fsha_blob_store_open(s.h.services, &store, &s.error));
	crashfs_put(s.disk, local, "small", 5);
	stage_begin(&s);
	step(&s, "put", fsha_blob_store_put(store, local, &job, &small, &s.error));
	crashfs_put(s.disk, local, data, 70000);
	step(&s, "put a stream", fsha_blob_store_put(store, local, &job, &large, &s.error));
	step(&s, "delete", fsha_blob_store_delete(store, &job, &small, &s.error));
	step(&s, "delete all", fsha_blob_store_delete_all(store, &job, &s.error));
	step(&s, "empty the trash", empty_trash(&s));
	crashfs_put(s.disk, local, "small", 5);
	step(&s, "put again", fsha_blob_store_put(store, local, &job, &small, &s.error));
	film_end(s.film);
	fsha_blob_store_close(store);
	stage_close(&s);
	free(data);
}

/* ---- workers ---- */

static fsha_result put_worker(struct stage *s, fsha_worker_store *store, const char *id)
{
	fsha_worker w;

	(void)fsha_worker_init(&w, id, "spec", 4);
	return fsha_worker_store_put(store, &w, &s->error);
}

static fsha_result launch(struct stage *s, fsha_worker_store *store)
{
	static const fsha_worker_state_update updates[] = {
		{ "w1", FSHA_WORKER_LAUNCHED, 0 },
		{ "w2", FSHA_WORKER_LAUNCHED, 0 },
		{ "w3", FSHA_WORKER_LAUNCHED, 0 },
	};

	return fsha_worker_store_update_states(store, updates, 3, NULL, &s->error);
}

static void workers_change_all_at_once_and_no_id_comes_twice(void **state)
{
	char id[FSHA_TASK_ID_SIZE];
	fsha_worker_store *store;
	struct stage s;

	(void)state;
	stage_open(&s, "workers", LOCAL);
	stage_lead(&s);
	must(&s, fsha_worker_store_open(s.h.services, &store, &s.error));
	must(&s, fsha_worker_store_start(store, &s.error));
	stage_begin(&s);
	step(&s, "framework", fsha_worker_store_set_framework_id(store, "fw", &s.error));
	step(&s, "new id", fsha_worker_store_new_task_id(store, id, &s.error));
	step(&s, "put", put_worker(&s, store, "w1"));
	step(&s, "put", put_worker(&s, store, "w2"));
	step(&s, "put", put_worker(&s, store, "w3"));
	step_atomic(&s, "launch", launch(&s, store));
	step(&s, "remove", fsha_worker_store_remove(store, "w2", NULL, &s.error));
	step(&s, "new id", fsha_worker_store_new_task_id(store, id, &s.error));
	step_atomic(&s, "stop", fsha_worker_store_stop(store, 1, &s.error));
	film_end(s.film);
	fsha_worker_store_close(store);
	stage_close(&s);
}

/* ---- maintenance ---- */

static fsha_result gc(struct stage *s, uint32_t flags)
{
	const fsha_gc_options options = { sizeof(options), flags, 0 };

	return fsha_gc(s->h.services, &options, NULL, NULL, NULL, &s->error);
}

/* Dead members, old versions, tombstones, a tenure that came to no end, trash. */
static void gc_takes_nothing_that_counts(void **state)
{
	struct shelf f;

	(void)state;
	shelf_open(&f, "gc", LOCAL);
	must(&f.s, add(&f, "k1", "one"));
	must(&f.s, add(&f, "k2", "one"));
	must(&f.s, replace(&f, "k1", "two"));
	must(&f.s, fsha_state_store_remove(f.store, "k2", NULL, &f.s.error));
	must(&f.s, change_many(&f, "batch"));
	must(&f.s, replace(&f, "k1", "three"));
	crashfs_kill_client(f.s.disk, 0);
	shelf_put_down(&f);
	holder_stop(&f.s.h);
	stage_lead(&f.s);
	stage_begin(&f.s);
	step(&f.s, "gc", gc(&f.s, 0));
	crashfs_advance(f.s.disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
	step(&f.s, "gc again", gc(&f.s, 0));
	stage_close(&f.s);
}

/* A record that somebody damaged: it is where it was, or in quarantine, and nothing else suffers.
 */
static void repair_takes_away_what_is_damaged_and_nothing_else(void **state)
{
	fsha_repair_options options = FSHA_REPAIR_OPTIONS_INIT;
	const char *names;
	char path[300];
	struct shelf f;

	(void)state;
	shelf_open(&f, "repair", LOCAL);
	must(&f.s, add(&f, "k1", "one"));
	must(&f.s, add(&f, "k2", "one"));
	names = strstr(crashfs_ls(f.s.disk, "/c/state/ns"), "k1~");
	assert_non_null(names);
	(void)snprintf(path, sizeof(path), "/c/state/ns/%.*s", (int)strcspn(names, "\n"), names);
	crashfs_put(f.s.disk, path, "damaged", 7);
	crashfs_kill_client(f.s.disk, 0);
	shelf_put_down(&f);
	holder_stop(&f.s.h);
	stage_lead(&f.s);
	stage_begin(&f.s);
	options.flags = FSHA_REPAIR_APPLY;
	step(&f.s, "repair", fsha_repair(f.s.h.services, &options, NULL, NULL, NULL, &f.s.error));
	options.flags |= FSHA_REPAIR_ACCEPT_OLDER;
	step(&f.s, "repair again",
	     fsha_repair(f.s.h.services, &options, NULL, NULL, NULL, &f.s.error));
	stage_close(&f.s);
}

static void as_many_states_were_checked_as_it_takes(void **state)
{
	(void)state;
	film_assert_checked(test_size(8000, 34000, 100000));
	film_assert_complete((unsigned)test_size(1, 18, 74));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cluster_appears_whole_and_its_first_leader_keeps_his_epoch),
		cmocka_unit_test(offices_change_hands_and_no_epoch_comes_twice),
		cmocka_unit_test(values_are_old_or_new_and_whole_at_every_cut),
		cmocka_unit_test(what_is_in_doubt_is_old_or_new_whatever_is_cleaned),
		cmocka_unit_test(jobs_and_their_results_are_old_or_new_at_every_cut),
		cmocka_unit_test(checkpoints_come_before_those_that_they_replace_go),
		cmocka_unit_test(a_job_that_ends_leaves_nothing_and_loses_nothing_before),
		cmocka_unit_test(blobs_come_and_go_whole),
		cmocka_unit_test(workers_change_all_at_once_and_no_id_comes_twice),
		cmocka_unit_test(gc_takes_nothing_that_counts),
		cmocka_unit_test(repair_takes_away_what_is_damaged_and_nothing_else),
		cmocka_unit_test(as_many_states_were_checked_as_it_takes),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	film_print_totals();
	return failed;
}
