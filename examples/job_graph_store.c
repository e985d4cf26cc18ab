/*
 * The FileSystemJobGraphStore of Flink's documentation, on fsha: job graphs that are put,
 * recovered, removed and listed, and a listener that is told when somebody else adds or removes
 * one.
 *
 * Two things are better here than in that example: a graph is visible whole or not at all, whoever
 * dies in the middle, and nobody but the leader of `dispatcher` can change one. And the listener is
 * not told of what its own store did.
 *
 *     make
 *     gcc -Iinclude examples/job_graph_store.c build/libfsha.a \
 *             $(pkg-config --libs libxxhash zlib yaml-0.1 jansson) -pthread -o job_graph_store
 *     FSHA_STORAGE_DIR=/a/shared/directory ./job_graph_store
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <fsha/fsha.h>

#define GRAPH "{\"name\": \"word count\"}"
#define SECONDS_TO_WAIT 30

/* ---- The listener: called in a thread of the library ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int added, removed;

static void count(int *counter, const char *what, const fsha_job_id *id)
{
	char text[FSHA_HEX_ID_TEXT];

	pthread_mutex_lock(&mutex);
	printf("told: %s %s\n", what, fsha_job_id_format(id, text));
	++*counter;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

static void on_added(void *ctx, const fsha_job_id *id)
{
	(void)ctx;
	count(&added, "added", id);
}

static void on_removed(void *ctx, const fsha_job_id *id)
{
	(void)ctx;
	count(&removed, "removed", id);
}

static void on_error(void *ctx, const fsha_error *error)
{
	(void)ctx;
	fprintf(stderr, "%s: %s\n", fsha_result_name(error->result), error->message);
}

static fsha_result wait_for(const int *counter, fsha_error *error)
{
	struct timespec until;
	int timed_out = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += SECONDS_TO_WAIT;
	pthread_mutex_lock(&mutex);
	while (*counter == 0 && !timed_out)
		timed_out = pthread_cond_timedwait(&changed, &mutex, &until) != 0;
	pthread_mutex_unlock(&mutex);
	if (!timed_out)
		return FSHA_OK;
	(void)snprintf(error->message, sizeof(error->message), "the listener was not told");
	return FSHA_E_TIMEOUT;
}

/* ---- What a dispatcher does with its store, while somebody else uses it too ---- */

static fsha_result list(fsha_job_graph_store *store, fsha_error *error)
{
	char text[FSHA_HEX_ID_TEXT];
	size_t count_ids, skipped;
	fsha_job_id *ids;
	fsha_result result;

	result = fsha_job_graph_store_job_ids(store, &ids, &count_ids, &skipped, error);
	if (result != FSHA_OK)
		return result;
	printf("%zu graphs:", count_ids);
	for (size_t i = 0; i < count_ids; i++)
		printf(" %s", fsha_job_id_format(&ids[i], text));
	printf("\n");
	fsha_free(ids);
	return FSHA_OK;
}

static fsha_result work(fsha_job_graph_store *mine, fsha_job_graph_store *theirs, fsha_error *error)
{
	const fsha_job_id first = { { 1 } }, second = { { 2 } };
	fsha_result result;
	size_t size = 0;
	void *graph;

	/* One of our own, of which the listener is not told. */
	result = fsha_job_graph_store_put(mine, &first, GRAPH, strlen(GRAPH), error);
	/* And one of somebody else's. */
	if (result == FSHA_OK)
		result = fsha_job_graph_store_put(theirs, &second, GRAPH, strlen(GRAPH), error);
	if (result == FSHA_OK)
		result = wait_for(&added, error);
	if (result == FSHA_OK)
		result = list(mine, error);
	/* It is ours from here on; if it is removed, we must end the job. */
	if (result == FSHA_OK)
		result = fsha_job_graph_store_recover(mine, &second, &graph, &size, error);
	if (result == FSHA_OK) {
		printf("recovered: %s\n", (const char *)graph);
		fsha_free(graph);
		result = fsha_job_graph_store_remove(theirs, &second, error);
	}
	if (result == FSHA_OK)
		result = wait_for(&removed, error);
	if (result == FSHA_OK)
		result = fsha_job_graph_store_remove(mine, &first, error);
	return result == FSHA_OK ? list(mine, error) : result;
}

int main(void)
{
	const fsha_job_graph_listener listener = { sizeof(listener), NULL, on_added, on_removed,
						   on_error };
	fsha_job_graph_store *mine = NULL, *theirs = NULL;
	fsha_config *config = fsha_config_create();
	fsha_error error = FSHA_ERROR_INIT;
	fsha_services *services = NULL;
	fsha_election *election = NULL;
	fsha_uuid session;
	fsha_result result;

	result = fsha_config_load_environment(config, &error); /* FSHA_STORAGE_DIR */
	if (result == FSHA_OK)
		result = fsha_services_open(config, NULL, &services, &error);
	if (result == FSHA_OK)
		result = fsha_job_graph_store_open(services, &mine, &error);
	if (result == FSHA_OK)
		result = fsha_job_graph_store_open(services, &theirs, &error);
	if (result == FSHA_OK)
		result = fsha_job_graph_store_start(mine, &listener, &error);
	if (result == FSHA_OK)
		result = fsha_job_graph_store_start(theirs, NULL, &error);
	/* A dispatcher that stays would contend with fsha_election_start. */
	if (result == FSHA_OK)
		result = fsha_election_acquire(services, FSHA_ELECTION_DISPATCHER, 60000, &election,
					       &session, &error);
	if (result == FSHA_OK)
		result = work(mine, theirs, &error);
	if (result != FSHA_OK)
		fprintf(stderr, "%s: %s\n", fsha_result_name(result), error.message);

	fsha_job_graph_store_close(mine);
	fsha_job_graph_store_close(theirs);
	fsha_election_close(election, NULL);
	fsha_services_close(services, NULL);
	fsha_config_destroy(config);
	return result == FSHA_OK ? 0 : 1;
}
