/*
 * What a dispatcher does after a failover. When it is granted the leadership it first looks which
 * jobs have ended and were not cleaned up (their results are dirty), cleans those up, recovers the
 * graphs of all others, and only then lets itself be found. So a job that has ended is never run
 * again, wherever the dispatcher before it died.
 *
 *     make
 *     gcc -Iinclude examples/state_recovery.c build/libfsha.a \
 *             $(pkg-config --libs libxxhash zlib yaml-0.1 jansson) -pthread -o state_recovery
 *     export FSHA_STORAGE_DIR=/a/shared/directory
 *     build/fsha job put 0123456789abcdef0123456789abcdef examples/jobs/word-count.json
 *     ./state_recovery die      # dies when the job has ended, before it is cleaned up
 *     ./state_recovery          # cleans it up, and does not run it
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fsha/fsha.h>

struct dispatcher {
	_Atomic(fsha_election *) election; /* set a moment after the first grant may come */
	fsha_job_graph_store *graphs;
	fsha_job_result_store *results;
	int dies;
	atomic_int finished, failed;
};

/* ---- The end of a job ---- */

/* Its result is kept. What the job leaves goes, and then the result may go too. */
static fsha_result clean_up(struct dispatcher *d, const fsha_job_id *id, fsha_error *error)
{
	fsha_result result = fsha_job_graph_store_remove(d->graphs, id, error);

	return result == FSHA_OK ? fsha_job_result_store_mark_clean(d->results, id, error) : result;
}

static fsha_result run(struct dispatcher *d, const fsha_job_id *id, fsha_error *error)
{
	fsha_job_result job_result = FSHA_JOB_RESULT_INIT;
	char text[FSHA_HEX_ID_TEXT];
	fsha_result result;
	size_t size;
	void *graph;

	result = fsha_job_graph_store_recover(d->graphs, id, &graph, &size, error);
	if (result != FSHA_OK)
		return result;
	printf("running %s, a graph of %zu bytes\n", fsha_job_id_format(id, text), size);
	fsha_free(graph);
	job_result.id = *id;
	job_result.status = FSHA_APPLICATION_SUCCEEDED;
	job_result.net_runtime_ms = 1;
	/* Before anything of the job is taken away. */
	result = fsha_job_result_store_create_dirty(d->results, &job_result, error);
	if (result == FSHA_OK && d->dies) {
		printf("dying before %s is cleaned up\n", text);
		fflush(stdout);
		_exit(3); /* as if by kill -9 */
	}
	return result == FSHA_OK ? clean_up(d, id, error) : result;
}

/* ---- The beginning of a term ---- */

static int clean_up_dirty(void *ctx, const fsha_job_result_entry *entry)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct dispatcher *d = ctx;
	char text[FSHA_HEX_ID_TEXT];

	/* One that cannot be read hides no other. Whether its job may run is for a person to say.
	 */
	if (entry->result != FSHA_OK) {
		fprintf(stderr, "%s\n", entry->error->message);
		return 0;
	}
	printf("%s has ended: %s; cleaning up\n", fsha_job_id_format(&entry->id, text),
	       fsha_application_status_name(entry->job_result->status));
	if (clean_up(d, &entry->id, &error) != FSHA_OK)
		fprintf(stderr, "%s\n", error.message); /* the next leader tries again */
	return 0;
}

static fsha_result run_others(struct dispatcher *d, fsha_error *error)
{
	fsha_job_id *ids;
	fsha_result result;
	size_t count;
	int has;

	result = fsha_job_graph_store_job_ids(d->graphs, &ids, &count, NULL, error);
	if (result != FSHA_OK)
		return result;
	for (size_t i = 0; i < count && result == FSHA_OK; i++) {
		result = fsha_job_result_store_has_entry(d->results, &ids[i], &has, error);
		if (result == FSHA_OK && !has)
			result = run(d, &ids[i], error);
	}
	fsha_free(ids);
	return result;
}

static void on_grant(void *ctx, const fsha_uuid *session, uint64_t epoch)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct dispatcher *d = ctx;
	fsha_result result;

	while (!d->election)
		(void)usleep(1000);
	printf("leading, epoch %llu\n", (unsigned long long)epoch);
	result = fsha_job_result_store_get_dirty_results(d->results, clean_up_dirty, d, &error);
	if (result == FSHA_OK)
		result = run_others(d, &error);
	/* Only now may clients find it. */
	if (result == FSHA_OK)
		result =
			fsha_election_confirm_leadership(d->election, session, "here:6123", &error);
	if (result != FSHA_OK)
		fprintf(stderr, "%s: %s\n", fsha_result_name(result), error.message);
	d->failed = result != FSHA_OK;
	d->finished = 1;
}

static void on_revoke(void *ctx)
{
	(void)ctx;
	printf("leading no more\n");
}

static void on_error(void *ctx, const fsha_error *error)
{
	(void)ctx;
	fprintf(stderr, "%s: %s\n", fsha_result_name(error->result), error->message);
}

int main(int argc, char **argv)
{
	struct dispatcher d = { .dies = argc > 1 && strcmp(argv[1], "die") == 0 };
	const fsha_contender contender = { sizeof(contender), &d, on_grant, on_revoke, on_error };
	fsha_config *config = fsha_config_create();
	fsha_error error = FSHA_ERROR_INIT;
	fsha_services *services = NULL;
	fsha_election *election = NULL;
	fsha_result result;

	result = fsha_config_load_environment(config, &error); /* FSHA_STORAGE_DIR */
	if (result == FSHA_OK)
		result = fsha_services_open(config, NULL, &services, &error);
	if (result == FSHA_OK)
		result = fsha_job_graph_store_open(services, &d.graphs, &error);
	if (result == FSHA_OK)
		result = fsha_job_graph_store_start(d.graphs, NULL, &error);
	if (result == FSHA_OK)
		result = fsha_job_result_store_open(services, &d.results, &error);
	if (result == FSHA_OK)
		result = fsha_election_start(services, FSHA_ELECTION_DISPATCHER, &contender,
					     &election, &error);
	if (result != FSHA_OK)
		fprintf(stderr, "%s: %s\n", fsha_result_name(result), error.message);
	d.election = election;
	/* A dispatcher that stays would go on here. */
	while (result == FSHA_OK && !d.finished)
		(void)usleep(10000);

	fsha_election_close(election, NULL);
	fsha_job_result_store_close(d.results);
	fsha_job_graph_store_close(d.graphs);
	fsha_services_close(services, NULL);
	fsha_config_destroy(config);
	return result == FSHA_OK && !d.failed ? 0 : 1;
}
