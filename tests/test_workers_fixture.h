/* A leader of resource_manager with its workers, for the tests of fsha/worker.h. */
#ifndef TESTS_TEST_WORKERS_FIXTURE_H
#define TESTS_TEST_WORKERS_FIXTURE_H

#include "tests/test_services.h"

#define RM FSHA_ELECTION_RESOURCE_MANAGER
#define SPEC "docker run flink-taskmanager"

struct office {
	fsha_services *services;
	fsha_worker_store *store;
	struct player player;
};

static inline fsha_worker_store *open_workers(fsha_services *s)
{
	fsha_worker_store *store = NULL;

	assert_ok(fsha_worker_store_open(s, &store, &t.error));
	assert_ok(fsha_worker_store_start(store, &t.error));
	return store;
}

static inline void lead(struct office *o)
{
	o->services = open_services();
	player_lead(&o->player, o->services, RM);
	o->store = open_workers(o->services);
}

static inline void done(struct office *o)
{
	fsha_worker_store_close(o->store);
	player_close(&o->player);
	close_services(o->services);
}

static inline fsha_worker worker(const char *task_id)
{
	fsha_worker w;

	assert_ok(fsha_worker_init(&w, task_id, SPEC, strlen(SPEC)));
	return w;
}

static inline void put(fsha_worker_store *store, const char *task_id)
{
	fsha_worker w = worker(task_id);

	assert_ok(fsha_worker_store_put(store, &w, &t.error));
}

static inline size_t count_workers(fsha_worker_store *store)
{
	fsha_worker *workers = NULL;
	size_t count = 99;

	assert_ok(fsha_worker_store_recover(store, &workers, &count, &t.error));
	fsha_free(workers);
	return count;
}

static inline const char *new_id(fsha_worker_store *store)
{
	static char id[FSHA_TASK_ID_SIZE];

	assert_ok(fsha_worker_store_new_task_id(store, id, &t.error));
	return id;
}

#endif
