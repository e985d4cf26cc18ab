/*
 * What the sweeps of a leader's work have in common: a process without threads that contends or
 * leads, each of whose calls fails, alone and in pairs.
 */
#ifndef TESTS_TEST_SWEEP_LEADER_H
#define TESTS_TEST_SWEEP_LEADER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/actor.h"
#include "tests/lib/run.h"
#include "tests/lib/sweep.h"

#define A 0
#define B 1
#define FORMER 2

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return sweep_say("line %d: not so: %s (outcome %d)", __LINE__, #condition, \
					 run->outcome);                                            \
	} while (0)

/* May be the first member of a larger one. */
struct scene {
	struct actor a;
	uint64_t epoch; /* the highest that A was granted */
};

static inline void start_contender(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	s->epoch = 0;
	actor_start(&s->a, disk, A);
}

static inline void finish(void *ctx, struct crashfs *disk)
{
	(void)disk;
	actor_stop(&((struct scene *)ctx)->a);
}

/* When one call has failed and the rest answers, only the fsync of a directory leaves a doubt. */
static inline const char *check_doubt(struct scene *s, const struct sweep_run *run)
{
	enum crashfs_call call;
	bool changes;

	CHECK(run->outcome != FSHA_E_FENCED);
	CHECK(run->outcome != FSHA_E_CORRUPT);
	if (run->outcome != FSHA_E_INDOUBT || run->when == SWEEP_CUT_DURING || run->n_faults != 1)
		return NULL;
	CHECK(crashfs_call_at(s->a.disk, A, run->faults[0].at, &call, &changes));
	CHECK(call == CRASHFS_FSYNC);
	return NULL;
}

typedef const char *check_function(void *ctx, struct crashfs *after, const struct sweep_run *run);

static inline struct sweep_scenario scenario_of(void *scene, const char *name,
						void (*setup)(void *ctx, struct crashfs *disk),
						int (*operation)(void *ctx, const struct fsu *fs),
						check_function *check, unsigned client)
{
	return (struct sweep_scenario){
		.name = name,
		.options = { .seed = 1 },
		.client = client,
		.ctx = scene,
		.setup = setup,
		.operation = operation,
		.check = check,
		.teardown = finish,
	};
}

static inline void sweep(void *scene, const char *name,
			 void (*setup)(void *ctx, struct crashfs *disk),
			 int (*operation)(void *ctx, const struct fsu *fs), check_function *check,
			 unsigned client)
{
	const struct sweep_scenario scenario =
		scenario_of(scene, name, setup, operation, check, client);

	sweep_assert(&scenario);
}

/* Two calls fail, the second one among those that come soon after the first. */
static inline void sweep_pairs(void *scene, const char *name,
			       void (*setup)(void *ctx, struct crashfs *disk),
			       int (*operation)(void *ctx, const struct fsu *fs),
			       check_function *check)
{
	const struct sweep_scenario scenario = scenario_of(scene, name, setup, operation, check, A);

	sweep_assert_pairs(&scenario, (unsigned)test_size(8, 40, 1000));
}

#endif
