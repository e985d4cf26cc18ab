/*
 * What is counted of each operation: outcomes and times, in numbers that any thread adds to. Knows
 * nothing of what it counts.
 */
#ifndef SRC_METRICS_COUNTERS_H
#define SRC_METRICS_COUNTERS_H

#include <stdatomic.h>

#include "fsha/metrics.h"

enum outcome {
	OUTCOME_DONE,
	OUTCOME_REFUSED,
	OUTCOME_FAILED,
	OUTCOME_FENCED,
	OUTCOME_IN_DOUBT,
	OUTCOMES,
};

struct operation_counters {
	_Atomic uint64_t outcomes[OUTCOMES];
	_Atomic uint64_t total_ns;
	_Atomic uint64_t buckets[FSHA_METRICS_BUCKETS];
};

struct counters {
	struct operation_counters operations[FSHA_OPERATIONS];
	_Atomic uint64_t corrupt_records;
};

void counters_add(struct counters *counters, fsha_operation operation, int64_t took_ns,
		  fsha_result result);
void counters_read(const struct counters *counters, fsha_operation operation,
		   fsha_operation_metrics *ret_metrics);

#endif
