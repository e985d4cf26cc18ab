/*
 * Opening services and stores, and looking at a cluster, at every fault and when any allocation
 * fails: what opens can be used and closed, what does not leaves nothing behind, and what is told
 * of the cluster is right, or said to be incomplete, or an error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fsha/fsha.h"
#include "src/election/history.h"
#include "src/leader/leader.h"
#include "src/services/open.h"
#include "tests/lib/holder.h"
#include "tests/lib/oom.h"
#include "tests/lib/swept.h"

#define LEADER 1 /* the client that leads; the other one looks */
#define ADDRESS "akka://here"
#define WRONG_VALUE 100 /* an outcome that no result has */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return sweep_say("line %d: not so: %s (outcome %d)", __LINE__, #condition, \
					 run->outcome);                                            \
	} while (0)

static const fsha_job_id job = { { 0xaa } };

struct scene {
	struct holder leader, h;
	fsha_config *config;
};

/* ---- before ---- */

static void start(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	holder_start(&s->leader, disk, LEADER, FSHA_ELECTION_DISPATCHER);
	assert_int_equal(
		leader_publish(s->leader.term, LEADER_CONFIRMED, ADDRESS, NULL, NULL, NULL),
		FSHA_OK);
	assert_int_equal(history_publish(s->leader.term, NULL), FSHA_OK);
	holder_start_reader(&s->h, disk, 0);
}

static void finish(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	(void)disk;
	holder_stop(&s->h);
	holder_stop(&s->leader);
}

static void start_with_configuration(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	start(ctx, disk);
	s->config = fsha_config_create();
	assert_int_equal(fsha_config_set(s->config, FSHA_KEY_STORAGE_DIR, "/", NULL), FSHA_OK);
	assert_int_equal(fsha_config_set(s->config, FSHA_KEY_CLUSTER_ID, "c", NULL), FSHA_OK);
}

static void start_without_cluster(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	start_with_configuration(ctx, disk);
	assert_int_equal(fsha_config_set(s->config, FSHA_KEY_CLUSTER_ID, "new", NULL), FSHA_OK);
}

static void finish_with_configuration(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	finish(ctx, disk);
	fsha_config_destroy(s->config);
}

/* ---- services ---- */

static int open_services(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;
	fsha_services *services = NULL;
	fsha_result result;

	result = SWEPT(services_open_with)(fs, s->config, NULL, &services, NULL);
	return result == FSHA_OK ? fsha_services_close(services, NULL) : result;
}

static int open_client(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;
	fsha_client_services *client = NULL;
	fsha_result result;

	result = SWEPT(client_services_open_with)(fs, s->config, NULL, &client, NULL);
	return result == FSHA_OK ? fsha_client_services_close(client, NULL) : result;
}

/* ---- stores ---- */

static fsha_result open_state(struct scene *s)
{
	fsha_state_store *store;
	fsha_result result;

	result = fsha_state_store_open(s->h.services, "ns", "any", &store, NULL);
	if (result == FSHA_OK)
		fsha_state_store_close(store);
	return result;
}

static fsha_result open_job_graphs(struct scene *s)
{
	fsha_job_graph_store *store;
	fsha_result result;
	fsha_job_id *ids;
	size_t count, skipped;

	result = fsha_job_graph_store_open(s->h.services, &store, NULL);
	if (result != FSHA_OK)
		return result;
	result = fsha_job_graph_store_start(store, NULL, NULL);
	if (result == FSHA_OK)
		result = fsha_job_graph_store_job_ids(store, &ids, &count, &skipped, NULL);
	if (result == FSHA_OK) {
		fsu_release(s->h.fs, ids);
		result = count == 0 && skipped == 0 ? fsha_job_graph_store_stop(store, NULL) :
						      (fsha_result)WRONG_VALUE;
	}
	fsha_job_graph_store_close(store);
	return result;
}

static fsha_result open_job_results(struct scene *s)
{
	fsha_job_result_store *store;
	fsha_result result;

	result = fsha_job_result_store_open(s->h.services, &store, NULL);
	if (result == FSHA_OK)
		fsha_job_result_store_close(store);
	return result;
}

static fsha_result open_running_jobs(struct scene *s)
{
	fsha_running_jobs *registry;
	fsha_result result;

	result = fsha_running_jobs_open(s->h.services, &registry, NULL);
	if (result == FSHA_OK)
		fsha_running_jobs_close(registry);
	return result;
}

static fsha_result open_blobs(struct scene *s)
{
	fsha_blob_store *store;
	fsha_result result;

	result = fsha_blob_store_open(s->h.services, &store, NULL);
	if (result == FSHA_OK)
		fsha_blob_store_close(store);
	return result;
}

static fsha_result open_workers(struct scene *s)
{
	fsha_worker_store *store;
	fsha_result result;

	result = fsha_worker_store_open(s->h.services, &store, NULL);
	if (result == FSHA_OK)
		fsha_worker_store_close(store);
	return result;
}

static fsha_result open_counter(struct scene *s)
{
	fsha_checkpoint_id_counter *counter;
	fsha_result result;

	result = fsha_checkpoint_id_counter_open(s->h.services, &job, &counter, NULL);
	if (result == FSHA_OK)
		fsha_checkpoint_id_counter_close(counter);
	return result;
}

static int open_stores(void *ctx, const struct fsu *fs)
{
	static fsha_result (*const all[])(struct scene * s) = { open_state,       open_job_graphs,
								open_job_results, open_running_jobs,
								open_blobs,       open_workers,
								open_counter };
	fsha_result result = FSHA_OK;

	(void)fs;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && result == FSHA_OK; i++)
		result = all[i](ctx);
	return result;
}

/* ---- looking ---- */

static bool is_leader(const struct scene *s, const fsha_leader_information *i)
{
	return i->epoch == 1 && i->confirmed && strcmp(i->address, ADDRESS) == 0 &&
	       memcmp(&i->session, &s->leader.term->epoch.session, sizeof(i->session)) == 0;
}

static int read_leader(void *ctx, const struct fsu *fs)
{
	fsha_leader_information information;
	struct scene *s = ctx;
	fsha_result result;

	(void)fs;
	result = fsha_leader_read(s->h.services, FSHA_ELECTION_DISPATCHER, &information, NULL);
	return result == FSHA_OK && !is_leader(s, &information) ? WRONG_VALUE : (int)result;
}

static int read_history(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;
	fsha_term_history *terms;
	fsha_result result;
	size_t count;
	bool right;

	result = fsha_history_read(s->h.services, FSHA_ELECTION_DISPATCHER, &terms, &count, NULL);
	if (result != FSHA_OK)
		return result;
	right = count == 1 && terms[0].epoch == 1;
	fsu_release(fs, terms);
	return right ? FSHA_OK : WRONG_VALUE;
}

static bool is_right(const struct scene *s, const fsha_cluster_status *status)
{
	const fsha_election_status *e = status->elections;

	return status->member_count == 1 && status->election_count == 1 &&
	       strcmp(e->name, FSHA_ELECTION_DISPATCHER) == 0 && e->epoch == 1 &&
	       e->holder_status == &status->members[0] && e->standby_count == 0 &&
	       is_leader(s, &e->leader);
}

static int read_status(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;
	fsha_cluster_status *status;
	fsha_result result;
	bool right;

	(void)fs;
	result = fsha_status_read(s->h.services, 0, &status, NULL);
	if (result != FSHA_OK)
		return result;
	right = status->skipped > 0 || is_right(s, status);
	fsha_status_destroy(status);
	return right ? FSHA_OK : WRONG_VALUE;
}

/* ---- after it ---- */

/* The leader's work is not disturbed; nothing else has changed. */
static const char *check(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct scene *s = ctx;

	CHECK(run->n_faults > 0 || run->outcome == FSHA_OK);
	if (run->when == SWEEP_CUT_DURING)
		return NULL;
	CHECK(run->outcome != WRONG_VALUE);
	CHECK(run->outcome != FSHA_E_CORRUPT);
	CHECK(run->outcome != FSHA_E_INDOUBT);
	CHECK(run->outcome != FSHA_E_NOT_FOUND);
	if (run->when == SWEEP_RETURNED) {
		CHECK(term_is_live(s->leader.term));
		CHECK(!crashfs_exists(after, "c/state/ns"));
	}
	return NULL;
}

/* A cluster directory is whole or not there: the next one that comes makes use of it. */
static const char *check_new_cluster(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	const char *wrong = check(ctx, after, run);
	struct scene *s = ctx;
	const struct fsu *fs = crashfs_client(after, 2);

	if (wrong)
		return wrong;
	CHECK(open_services(s, fs) == FSHA_OK);
	CHECK(run->when == SWEEP_CUT_DURING || run->outcome != FSHA_OK ||
	      crashfs_exists(after, "new/elections"));
	return NULL;
}

/* ---- the sweeps ---- */

static struct scene scene;

#define SCENARIO(what, before, run_it, look, after_it)                                      \
	{                                                                                   \
		.name = (what), .options = { .seed = 1 }, .ctx = &scene, .setup = (before), \
		.operation = (run_it), .check = (look), .teardown = (after_it),             \
	}
#define CONFIGURED start_with_configuration
#define UNCONFIGURED finish_with_configuration

static void services_open_or_leave_nothing_at_every_fault(void **state)
{
	const struct sweep_scenario services =
		SCENARIO("services_open", CONFIGURED, open_services, check, UNCONFIGURED);
	const struct sweep_scenario client =
		SCENARIO("client_services_open", CONFIGURED, open_client, check, UNCONFIGURED);

	(void)state;
	sweep_assert(&services);
	oom_assert(&services);
	sweep_assert(&client);
	oom_assert(&client);
}

static void a_new_cluster_is_whole_or_not_there_at_every_fault(void **state)
{
	const struct sweep_scenario scenario =
		SCENARIO("a new cluster", start_without_cluster, open_services, check_new_cluster,
			 UNCONFIGURED);

	(void)state;
	sweep_assert(&scenario);
	oom_assert(&scenario);
}

static void stores_open_or_leave_nothing_at_every_fault(void **state)
{
	const struct sweep_scenario scenario =
		SCENARIO("open the stores", start, open_stores, check, finish);

	(void)state;
	sweep_assert(&scenario);
	oom_assert(&scenario);
}

static void who_leads_is_right_or_an_error_at_every_fault(void **state)
{
	const struct sweep_scenario leader =
		SCENARIO("leader_read", start, read_leader, check, finish);
	const struct sweep_scenario history =
		SCENARIO("history_read", start, read_history, check, finish);

	(void)state;
	sweep_assert(&leader);
	oom_assert(&leader);
	sweep_assert(&history);
	oom_assert(&history);
}

static void the_status_is_right_or_says_what_it_skipped_at_every_fault(void **state)
{
	const struct sweep_scenario scenario =
		SCENARIO("status_read", start, read_status, check, finish);

	(void)state;
	sweep_assert(&scenario);
	oom_assert(&scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(services_open_or_leave_nothing_at_every_fault),
		cmocka_unit_test(a_new_cluster_is_whole_or_not_there_at_every_fault),
		cmocka_unit_test(stores_open_or_leave_nothing_at_every_fault),
		cmocka_unit_test(who_leads_is_right_or_an_error_at_every_fault),
		cmocka_unit_test(the_status_is_right_or_says_what_it_skipped_at_every_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
