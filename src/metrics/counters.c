#include "src/metrics/counters.h"

static const char *const names[FSHA_OPERATIONS] = {
	"get",       "exists", "list",    "write",  "remove", "batch",
	"heartbeat", "claim",  "publish", "resign", "poll",
};

/* From what a cached look takes to what only a dead server takes. */
static const int64_t bounds_us[FSHA_METRICS_BUCKETS - 1] = {
	50,    100,    250,    500,    1000,    2500,    5000,    10000,    25000,
	50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
};

const char *fsha_operation_text(fsha_operation operation)
{
	return (unsigned)operation < FSHA_OPERATIONS ? names[operation] : NULL;
}

int64_t fsha_metrics_bound_ns(unsigned bucket)
{
	return bucket < FSHA_METRICS_BUCKETS - 1 ? bounds_us[bucket] * 1000 : INT64_MAX;
}

static enum outcome outcome_of(fsha_result result)
{
	switch (result) {
	case FSHA_OK:
		return OUTCOME_DONE;
	case FSHA_E_INDOUBT:
		return OUTCOME_IN_DOUBT;
	case FSHA_E_FENCED:
	case FSHA_E_NOT_LEADER:
		return OUTCOME_FENCED;
	case FSHA_E_IO:
	case FSHA_E_CORRUPT:
	case FSHA_E_TIMEOUT:
	case FSHA_E_NOMEM:
		return OUTCOME_FAILED;
	default:
		return OUTCOME_REFUSED;
	}
}

static void add(_Atomic uint64_t *number, uint64_t more)
{
	/* Nothing is ordered by these numbers. */
	(void)atomic_fetch_add_explicit(number, more, memory_order_relaxed);
}

void counters_add(struct counters *c, fsha_operation operation, int64_t took_ns, fsha_result result)
{
	struct operation_counters *o = &c->operations[operation];
	unsigned bucket = 0;

	while (took_ns > fsha_metrics_bound_ns(bucket))
		bucket++;
	add(&o->outcomes[outcome_of(result)], 1);
	add(&o->total_ns, took_ns > 0 ? (uint64_t)took_ns : 0);
	add(&o->buckets[bucket], 1);
	if (result == FSHA_E_CORRUPT)
		add(&c->corrupt_records, 1);
}

static uint64_t get(const _Atomic uint64_t *number)
{
	return atomic_load_explicit(number, memory_order_relaxed);
}

void counters_read(const struct counters *c, fsha_operation operation,
		   fsha_operation_metrics *ret_metrics)
{
	const struct operation_counters *o = &c->operations[operation];

	*ret_metrics = (fsha_operation_metrics){
		.done = get(&o->outcomes[OUTCOME_DONE]),
		.refused = get(&o->outcomes[OUTCOME_REFUSED]),
		.failed = get(&o->outcomes[OUTCOME_FAILED]),
		.fenced = get(&o->outcomes[OUTCOME_FENCED]),
		.in_doubt = get(&o->outcomes[OUTCOME_IN_DOUBT]),
		.total_ns = get(&o->total_ns),
	};
	for (unsigned i = 0; i < FSHA_METRICS_BUCKETS; i++)
		ret_metrics->buckets[i] = get(&o->buckets[i]);
}
