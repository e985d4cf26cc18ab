/* What the sweeps share: one run of a scenario with given faults, and all that is looked at then.
 */
#ifndef TESTS_SWEEP_INTERNAL_H
#define TESTS_SWEEP_INTERNAL_H

#include "tests/lib/run.h"
#include "tests/lib/sweep.h"

#define SWEEP_FAILURES_MAX 3

struct sweep_call {
	enum crashfs_call kind;
	bool changes;
};

struct sweep {
	const struct sweep_scenario *scenario;
	struct sweep_report *report;
	const char *kind;         /* "sweep", "pairs", "oom" */
	struct sweep_call *calls; /* of the run before, which failed less */
	uint64_t n_calls;
	size_t text_len;
	char note[512];
};

/* `calls` are those that the faults hit. `remember`: the next faults are chosen among its calls. */
void sweep_once(struct sweep *s, const struct crashfs_fault *faults, unsigned n_faults,
		const struct sweep_call *calls, bool remember);
/* From one call that fails to the next one that does. */
static inline uint64_t sweep_step(const struct sweep *s)
{
	return (uint64_t)test_slowness() * (s->scenario->every ? s->scenario->every : 1);
}
static inline bool sweep_enough(const struct sweep *s)
{
	return s->report->failures >= SWEEP_FAILURES_MAX;
}
/* Within a test: prints the report and fails the test unless `ok`. */
void sweep_assert_report(bool ok, const struct sweep_report *report);

#endif
