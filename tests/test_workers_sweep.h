/* What the sweeps of the worker store share: a leader with two workers, and what the next one
 * finds. */
#ifndef TESTS_TEST_WORKERS_SWEEP_H
#define TESTS_TEST_WORKERS_SWEEP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "fsha/fsha.h"
#include "tests/lib/holder.h"
#include "tests/lib/oom.h"
#include "tests/lib/sweep.h"

#define A 0
#define B 1
#define RM FSHA_ELECTION_RESOURCE_MANAGER

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return sweep_say("line %d: not so: %s (outcome %d)", __LINE__, #condition, \
					 run->outcome);                                            \
	} while (0)

#define WRONG_VALUE 100 /* an outcome of reading that no result has */

struct scene {
	struct holder a;
	fsha_worker_store *store;
	char id[FSHA_TASK_ID_SIZE]; /* what new_task_id gave */
};

/* What a leader finds. */
struct found {
	char workers[128]; /* "id:State " of each */
	char framework_id[FSHA_FRAMEWORK_ID_SIZE];
	char next_id[FSHA_TASK_ID_SIZE]; /* as it is given */
};
#define OLD_WORKERS "k:New taskmanager-00001:Launched "

static inline fsha_worker make(const char *task_id, fsha_worker_state state)
{
	fsha_worker w;

	(void)fsha_worker_init(&w, task_id, "spec", 4);
	(void)fsha_worker_with_state(&w, state, &w);
	return w;
}

static inline fsha_result put(fsha_worker_store *store, const char *task_id,
			      fsha_worker_state state, fsha_error *reterr)
{
	fsha_worker w = make(task_id, state);

	return fsha_worker_store_put(store, &w, reterr);
}

static inline fsha_worker_store *open_workers(struct holder *h)
{
	fsha_worker_store *store = NULL;

	if (fsha_worker_store_open(h->services, &store, &h->error) != FSHA_OK ||
	    fsha_worker_store_start(store, &h->error) != FSHA_OK)
		fail_msg("%s", h->error.message);
	return store;
}

/* ---- what is there before ---- */

static inline void start_leader(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	s->id[0] = '\0';
	holder_start(&s->a, disk, A, RM);
	s->store = open_workers(&s->a);
	if (fsha_worker_store_new_task_id(s->store, s->id, &s->a.error) != FSHA_OK ||
	    put(s->store, s->id, FSHA_WORKER_LAUNCHED, &s->a.error) != FSHA_OK ||
	    put(s->store, "k", FSHA_WORKER_NEW, &s->a.error) != FSHA_OK ||
	    fsha_worker_store_set_framework_id(s->store, "old", &s->a.error) != FSHA_OK)
		fail_msg("%s", s->a.error.message);
	s->id[0] = '\0';
}

/* One that has looked at nothing yet. */
static inline void start_reader(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	start_leader(ctx, disk);
	fsha_worker_store_close(s->store);
	holder_stop(&s->a);
	holder_start_reader(&s->a, disk, A);
	s->store = open_workers(&s->a);
}

static inline void finish(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	(void)disk;
	fsha_worker_store_close(s->store);
	holder_stop(&s->a);
}

/* ---- what must hold after it ---- */

static inline const char *look(struct holder *b, fsha_worker_store *store, struct found *f,
			       const struct sweep_run *run)
{
	fsha_worker *workers;
	size_t count, used = 0;
	int present;

	CHECK(fsha_worker_store_recover(store, &workers, &count, NULL) == FSHA_OK);
	f->workers[0] = '\0';
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(f->workers + used, sizeof(f->workers) - used, "%s:%s ",
					 workers[i].task_id,
					 fsha_worker_state_name(workers[i].state));
	fsu_release(b->fs, workers);
	CHECK(fsha_worker_store_get_framework_id(store, f->framework_id, &present, NULL) ==
	      FSHA_OK);
	CHECK(fsha_worker_store_new_task_id(store, f->next_id, NULL) == FSHA_OK);
	return NULL;
}

/* The next leader takes over from whatever is left. */
static inline const char *take_over(struct crashfs *after, const struct sweep_run *run,
				    struct found *f)
{
	fsha_worker_store *store;
	struct holder b;
	const char *wrong;

	CHECK(run->outcome != FSHA_E_FENCED);
	CHECK(run->outcome != FSHA_E_CORRUPT);
	CHECK(run->n_faults > 0 || run->outcome == FSHA_OK);
	holder_start(&b, after, B, RM);
	store = open_workers(&b);
	wrong = look(&b, store, f, run);
	fsha_worker_store_close(store);
	holder_stop(&b);
	return wrong;
}

static inline const char *expect(const struct sweep_run *run, const char *got, const char *old,
				 const char *new)
{
	if (run->when == SWEEP_CUT_DURING || run->outcome == FSHA_E_INDOUBT)
		CHECK(strcmp(got, old) == 0 || strcmp(got, new) == 0);
	else if (strcmp(got, run->outcome == FSHA_OK ? new : old) != 0)
		return sweep_say("outcome %d, and found '%s'", run->outcome, got);
	return NULL;
}

static inline const char *check_with(struct crashfs *after, const struct sweep_run *run,
				     const char *workers, const char *framework_id)
{
	struct found f;
	const char *wrong = take_over(after, run, &f);

	if (!wrong)
		wrong = expect(run, f.workers, OLD_WORKERS, workers);
	if (!wrong)
		wrong = expect(run, f.framework_id, "old", framework_id);
	if (!wrong)
		CHECK(strcmp(f.next_id, "taskmanager-00002") == 0);
	return wrong;
}

/* ---- the sweeps ---- */

struct operation {
	const char *name;
	void (*setup)(void *ctx, struct crashfs *disk);
	int (*run)(void *ctx, const struct fsu *fs);
	const char *(*check)(void *ctx, struct crashfs *after, const struct sweep_run *run);
};

static inline void sweep(const struct operation *o,
			 void (*assert_all)(const struct sweep_scenario *scenario))
{
	struct scene scene;
	const struct sweep_scenario scenario = {
		.name = o->name,
		.options = { .seed = 1 },
		.client = A,
		.ctx = &scene,
		.setup = o->setup,
		.operation = o->run,
		.check = o->check,
		.teardown = finish,
	};

	assert_all(&scenario);
}

#endif
