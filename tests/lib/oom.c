#include "tests/lib/oom.h"

#include <errno.h>
#include <stdlib.h>

#include "fsha/result.h"
#include "tests/lib/sweep_internal.h"
#include "tests/lib/swept.h"

/* The scenario with a look at the outcome before its own. */
struct oom {
	const struct sweep_scenario *scenario;
	bool (*outcome_is_fine)(int outcome);
};

static void setup(void *ctx, struct crashfs *c)
{
	const struct sweep_scenario *sc = ((struct oom *)ctx)->scenario;

	if (sc->setup)
		sc->setup(sc->ctx, c);
}

static int operation(void *ctx, const struct fsu *fs)
{
	const struct sweep_scenario *sc = ((struct oom *)ctx)->scenario;

	return sc->operation(sc->ctx, fs);
}

static const char *check(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	const struct oom *o = ctx;

	if (run->outcome != FSHA_OK && run->outcome != FSHA_E_NOMEM &&
	    !(o->outcome_is_fine && o->outcome_is_fine(run->outcome)))
		return sweep_say("out of memory, and the outcome is %s (%d)",
				 fsha_result_name(run->outcome), run->outcome);
	return o->scenario->check(o->scenario->ctx, after, run);
}

static void teardown(void *ctx, struct crashfs *c)
{
	const struct sweep_scenario *sc = ((struct oom *)ctx)->scenario;

	if (sc->teardown)
		sc->teardown(sc->ctx, c);
}

static uint64_t count_allocations(const struct sweep *s)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < s->n_calls; i++)
		n += s->calls[i].kind == CRASHFS_ALLOC;
	return n;
}

bool oom_run(const struct sweep_scenario *scenario, bool (*outcome_is_fine)(int outcome),
	     struct sweep_report *ret_report)
{
	const struct sweep_call allocation = { .kind = CRASHFS_ALLOC };
	struct oom oom = { scenario, outcome_is_fine };
	struct sweep_scenario wrapped = *scenario;
	struct sweep s = { .scenario = &wrapped, .report = ret_report, .kind = "oom" };

	wrapped.ctx = &oom;
	wrapped.setup = setup;
	wrapped.operation = operation;
	wrapped.check = check;
	wrapped.teardown = teardown;
	*ret_report = (struct sweep_report){ 0 };
	sweep_once(&s, NULL, 0, NULL, true);
	ret_report->calls = count_allocations(&s);
	for (uint64_t at = 0; at < 2 * ret_report->calls && !sweep_enough(&s) && !swept_listing();
	     at += sweep_step(&s)) {
		struct crashfs_fault fault = {
			.client = scenario->client,
			.at = at / 2,
			.calls_mask = 1u << CRASHFS_ALLOC,
			.error = ENOMEM,
			.mode = CRASHFS_NOT_DONE,
			.repeat = at % 2,
		};

		sweep_once(&s, &fault, 1, &allocation, false);
	}
	free(s.calls);
	return ret_report->failures == 0;
}

void oom_assert_but(const struct sweep_scenario *scenario, bool (*outcome_is_fine)(int outcome))
{
	struct sweep_report report;
	bool ok = oom_run(scenario, outcome_is_fine, &report);

	sweep_assert_report(ok, &report);
}

void oom_assert(const struct sweep_scenario *scenario)
{
	oom_assert_but(scenario, NULL);
}
