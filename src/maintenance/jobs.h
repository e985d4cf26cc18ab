/*
 * The jobs that a cluster knows: those with a graph, a running entry or a result that is dirty. And
 * those of which it knows that they are over.
 */
#ifndef SRC_MAINTENANCE_JOBS_H
#define SRC_MAINTENANCE_JOBS_H

#include "src/job_graph/job_graph.h"

struct jobs {
	const struct fsu *fs;
	struct id_set ids;
	bool out_of_memory; /* while it was read */
};

/* `results`: where job_results/ lies, when that is not in the cluster directory; or NULL. */
fsha_result jobs_read(const struct cluster *c, const char *results, struct jobs *ret_jobs,
		      fsha_error *reterr);
bool jobs_has(const struct jobs *jobs, const fsha_job_id *id);
/*
 * Is there evidence that the job ran here and came to its end? Its election was led and is vacant,
 * and it has no checkpoint and no counter of them. That nothing tells of a job is no evidence: who
 * keeps blobs without the job graph store never told of one. False also when it cannot be told.
 */
bool jobs_has_ended(const struct cluster *c, const fsha_job_id *id);
void jobs_done(struct jobs *jobs);

#endif
