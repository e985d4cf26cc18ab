/*
 * All components of a small cluster in one process: resource manager, dispatcher and REST endpoint,
 * each with an election of its own, over one services object. It starts them, waits until all three
 * lead, runs a job (puts its graph, keeps it, cleans up after it), and stops them in turn.
 *
 * Without a configuration nothing needs a directory: everything is in the memory of this process.
 *
 *     ./cluster_manager                                  in memory
 *     FSHA_STORAGE_DIR=/a/shared/directory ./cluster_manager
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <fsha/fsha.h>

#define COMPONENTS 3

struct component {
	const char *election, *address;
	struct cluster *cluster;
	fsha_election *handle;
};

struct cluster {
	fsha_services *services;
	struct component components[COMPONENTS];
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	int leading; /* how many of them do */
};

static void count(struct cluster *cluster, int more)
{
	pthread_mutex_lock(&cluster->mutex);
	cluster->leading += more;
	pthread_cond_broadcast(&cluster->changed);
	pthread_mutex_unlock(&cluster->mutex);
}

static void on_grant(void *ctx, const fsha_uuid *session, uint64_t epoch)
{
	struct component *component = ctx;
	fsha_error error = FSHA_ERROR_INIT;

	printf("%s leads (term %llu)\n", component->election, (unsigned long long)epoch);
	if (fsha_election_confirm_leadership(component->handle, session, component->address,
					     &error) != FSHA_OK)
		fprintf(stderr, "%s\n", error.message);
	count(component->cluster, 1);
}

static void on_revoke(void *ctx)
{
	struct component *component = ctx;

	printf("%s leads no more\n", component->election);
	count(component->cluster, -1);
}

static fsha_result start(struct cluster *cluster, const fsha_config *config, fsha_error *reterr)
{
	fsha_contender contender = {
		.struct_size = sizeof(contender),
		.grant_leadership = on_grant,
		.revoke_leadership = on_revoke,
	};
	fsha_result result;

	result = fsha_services_create_available_or_embedded(config, NULL, &cluster->services,
							    reterr);
	for (int i = 0; i < COMPONENTS && result == FSHA_OK; i++) {
		contender.ctx = &cluster->components[i];
		result = fsha_election_start(cluster->services, cluster->components[i].election,
					     &contender, &cluster->components[i].handle, reterr);
	}
	return result;
}

static void wait_until_all_lead(struct cluster *cluster)
{
	pthread_mutex_lock(&cluster->mutex);
	while (cluster->leading < COMPONENTS)
		pthread_cond_wait(&cluster->changed, &cluster->mutex);
	pthread_mutex_unlock(&cluster->mutex);
}

/* What the dispatcher does with a job: kept before it runs, cleaned up when it is done. */
static fsha_result run_job(struct cluster *cluster, fsha_error *reterr)
{
	static const char graph[] = "{\"name\": \"example\"}";
	const fsha_job_id job = { { 0xe, 0xa } };
	fsha_job_graph_store *graphs = NULL;
	char text[FSHA_HEX_ID_TEXT];
	fsha_result result;

	result = fsha_job_graph_store_open(cluster->services, &graphs, reterr);
	if (result == FSHA_OK)
		result = fsha_job_graph_store_start(graphs, NULL, reterr);
	if (result == FSHA_OK)
		result = fsha_job_graph_store_put(graphs, &job, graph, strlen(graph), reterr);
	if (result == FSHA_OK)
		printf("job %s is kept\n", fsha_job_id_format(&job, text));
	/* Whatever is left of it anywhere in the cluster; again if this is cut short. */
	if (result == FSHA_OK)
		result = fsha_services_global_cleanup(cluster->services, &job, reterr);
	if (result == FSHA_OK)
		printf("job %s is gone\n", text);
	fsha_job_graph_store_close(graphs);
	return result;
}

/* Elections first. Nothing is deleted: closing is not the end of the cluster. */
static void stop(struct cluster *cluster)
{
	for (int i = COMPONENTS; i-- > 0;)
		fsha_election_close(cluster->components[i].handle, NULL);
	fsha_services_close(cluster->services, NULL);
}

int main(void)
{
	struct cluster cluster = {
		.components = {
			{ FSHA_ELECTION_RESOURCE_MANAGER, "localhost:6123", &cluster, NULL },
			{ FSHA_ELECTION_DISPATCHER, "localhost:6124", &cluster, NULL },
			{ FSHA_ELECTION_REST_ENDPOINT, "http://localhost:8081", &cluster, NULL },
		},
		.mutex = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
	fsha_config *config = fsha_config_create();
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result = FSHA_E_NOMEM;

	if (config)
		result = fsha_config_load_environment(config, &error);
	if (result == FSHA_OK)
		result = start(&cluster, config, &error);
	if (result == FSHA_OK) {
		wait_until_all_lead(&cluster);
		result = run_job(&cluster, &error);
	}
	if (result != FSHA_OK)
		fprintf(stderr, "%s: %s\n", fsha_result_name(result), error.message);
	stop(&cluster);
	fsha_config_destroy(config);
	return result == FSHA_OK ? 0 : 1;
}
