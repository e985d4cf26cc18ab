/*
 * A resource manager in small: it finds what the one before it left, launches two workers, and
 * releases one. Killed at any moment and started again, it knows what to do about each worker,
 * because each step is stored before it is taken.
 *
 *     make
 *     gcc -Iinclude examples/worker_lifecycle.c build/libfsha.a \
 *             $(pkg-config --libs libxxhash zlib yaml-0.1 jansson) -pthread -o worker_lifecycle
 *     FSHA_STORAGE_DIR=/a/shared/directory ./worker_lifecycle
 *
 * With an argument it dies on purpose: "put", "launch" or "release", after that step. Start it
 * again without one, and see it recover.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fsha/fsha.h>

#define SPECIFICATION "flink-taskmanager --memory 4g"

static const char *die_after = "";

static void step_done(const char *step)
{
	if (strcmp(die_after, step) != 0)
		return;
	printf("dying after %s\n", step);
	fflush(stdout);
	_exit(3); /* as if by kill -9: nothing is resigned, nothing is tidied up */
}

/* ---- What would be calls to the cluster manager ---- */

static int launch_on_cluster(const fsha_worker *worker)
{
	printf("  launching %s: %.*s\n", worker->task_id, (int)worker->launchable_size,
	       (const char *)worker->launchable);
	return 0;
}

static int still_runs_on_cluster(const fsha_worker *worker)
{
	printf("  asking %s for %s\n", worker->hostname, worker->task_id);
	return 1;
}

static void end_on_cluster(const fsha_worker *worker)
{
	printf("  ending %s\n", worker->task_id);
}

/* ---- The life of a worker ---- */

/* Stored as New before, and as Launched after it was launched. */
static fsha_result launch(fsha_worker_store *store, const fsha_worker *worker, fsha_error *reterr)
{
	fsha_worker launched;
	fsha_result result;

	if (launch_on_cluster(worker) != 0) /* nothing runs, so nothing is to be remembered */
		return fsha_worker_store_remove(store, worker->task_id, NULL, reterr);
	result = fsha_worker_launch(worker, "slave-1", "node-b", &launched);
	if (result == FSHA_OK)
		result = fsha_worker_store_put(store, &launched, reterr);
	if (result == FSHA_OK)
		step_done("launch");
	return result;
}

static fsha_result launch_worker(fsha_worker_store *store, fsha_error *reterr)
{
	char task_id[FSHA_TASK_ID_SIZE];
	fsha_worker worker;
	fsha_result result;

	result = fsha_worker_store_new_task_id(store, task_id, reterr);
	if (result == FSHA_OK)
		result = fsha_worker_init(&worker, task_id, SPECIFICATION, strlen(SPECIFICATION));
	if (result == FSHA_OK)
		result = fsha_worker_store_put(store, &worker, reterr);
	if (result != FSHA_OK)
		return result;
	step_done("put");
	return launch(store, &worker, reterr);
}

/* Ended only after it is stored that it is to end, and forgotten only after it has ended. */
static fsha_result clean_up(fsha_worker_store *store, const fsha_worker *worker, fsha_error *reterr)
{
	end_on_cluster(worker);
	return fsha_worker_store_remove(store, worker->task_id, NULL, reterr);
}

static fsha_result release_worker(fsha_worker_store *store, const char *task_id, fsha_error *reterr)
{
	fsha_worker *worker, released;
	fsha_result result;

	result = fsha_worker_store_get(store, task_id, &worker, reterr);
	if (result != FSHA_OK)
		return result;
	result = fsha_worker_release(worker, &released);
	if (result == FSHA_OK)
		result = fsha_worker_store_put(store, &released, reterr);
	if (result == FSHA_OK) {
		step_done("release");
		result = clean_up(store, &released, reterr);
	}
	fsha_free(worker); /* released points into it */
	return result;
}

/* ---- After a restart ---- */

static fsha_result register_framework(fsha_worker_store *store, fsha_error *reterr)
{
	char id[FSHA_FRAMEWORK_ID_SIZE];
	fsha_result result;
	int present;

	result = fsha_worker_store_get_framework_id(store, id, &present, reterr);
	if (result != FSHA_OK)
		return result;
	if (present) {
		printf("registering again as %s\n", id);
		return FSHA_OK;
	}
	printf("registering for the first time\n");
	return fsha_worker_store_set_framework_id(store, "framework-1", reterr);
}

static fsha_result recover_worker(fsha_worker_store *store, const fsha_worker *worker,
				  fsha_error *reterr)
{
	fsha_worker_recovery_info info = { .struct_size = sizeof(info) };
	fsha_result result = fsha_worker_recover_info(worker, &info);

	if (result != FSHA_OK)
		return result;
	printf("found %s, %s\n", info.task_id, fsha_worker_state_name(info.last_known_state));
	switch (info.action) {
	case FSHA_WORKER_RETRY_LAUNCH: /* nobody knows whether it was asked for: ask again */
		return launch(store, worker, reterr);
	case FSHA_WORKER_RECONCILE:
		return still_runs_on_cluster(worker) ? FSHA_OK : clean_up(store, worker, reterr);
	default:
		return clean_up(store, worker, reterr);
	}
}

static fsha_result recover_framework_state(fsha_worker_store *store, fsha_error *reterr)
{
	fsha_worker *workers;
	fsha_result result;
	size_t count;

	result = register_framework(store, reterr);
	if (result == FSHA_OK)
		result = fsha_worker_store_recover(store, &workers, &count, reterr);
	if (result != FSHA_OK)
		return result;
	for (size_t i = 0; i < count && result == FSHA_OK; i++)
		result = recover_worker(store, &workers[i], reterr);
	fsha_free(workers);
	return result;
}

static fsha_result work(fsha_worker_store *store, fsha_error *reterr)
{
	fsha_worker *workers;
	fsha_result result;
	size_t count;

	result = recover_framework_state(store, reterr);
	for (int i = 0; i < 2 && result == FSHA_OK; i++)
		result = launch_worker(store, reterr);
	if (result == FSHA_OK)
		result = fsha_worker_store_recover(store, &workers, &count, reterr);
	if (result != FSHA_OK)
		return result;
	result = release_worker(store, workers[0].task_id, reterr);
	printf("%zu workers are left\n", count - 1);
	fsha_free(workers);
	return result;
}

int main(int argc, char **argv)
{
	fsha_config *config = fsha_config_create();
	fsha_error error = FSHA_ERROR_INIT;
	fsha_services *services = NULL;
	fsha_election *election = NULL;
	fsha_worker_store *store = NULL;
	fsha_uuid session;
	fsha_result result;

	if (argc > 1)
		die_after = argv[1];
	result = fsha_config_load_environment(config, &error); /* FSHA_STORAGE_DIR */
	if (result == FSHA_OK)
		result = fsha_services_open(config, NULL, &services, &error);
	if (result == FSHA_OK)
		result = fsha_worker_store_open(services, &store, &error);
	if (result == FSHA_OK)
		result = fsha_worker_store_start(store, &error);
	/* A program that stays would contend with fsha_election_start, and work when granted. */
	if (result == FSHA_OK)
		result = fsha_election_acquire(services, FSHA_ELECTION_RESOURCE_MANAGER, 60000,
					       &election, &session, &error);
	if (result == FSHA_OK)
		result = work(store, &error);
	if (result != FSHA_OK)
		fprintf(stderr, "%s: %s\n", fsha_result_name(result), error.message);

	fsha_election_close(election, NULL);
	fsha_worker_store_close(store);
	fsha_services_close(services, NULL);
	fsha_config_destroy(config);
	return result == FSHA_OK ? 0 : 1;
}
