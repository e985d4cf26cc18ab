/*
 * The resource requirements of a job, in one record with its graph: so that they come and go
 * together. A graph alone is its bytes and nothing else; with requirements it is
 *
 *   "FSHAREQ\n", length of the requirements (u32), requirements, graph
 *
 * and a graph that happens to begin with these 8 bytes is stored in the same way, with none.
 */
#ifndef SRC_JOB_GRAPH_REQUIREMENTS_H
#define SRC_JOB_GRAPH_REQUIREMENTS_H

#include <stdbool.h>

#include "fsha/job_graph.h"
#include "fsutil/fsu_ops.h"

struct requirements_parts {
	const char *requirements; /* not terminated */
	size_t requirements_size; /* 0: none */
	const uint8_t *graph;
	size_t graph_size;
};

/* Must a graph without requirements be put together as well? */
bool requirements_are_mistakable(const void *graph, size_t size);
/* Fresh memory (fsu_release). -ENOMEM, -EMSGSIZE. */
int requirements_join(const struct fsu *fs, const struct requirements_parts *parts,
		      uint8_t **ret_payload, size_t *ret_size);
/* Into what points into the payload. -EBADMSG. */
int requirements_split(const uint8_t *payload, size_t size, struct requirements_parts *ret_parts);

/*
 * JSON; where it has the form {"<vertex>": {"lowerBound": n, "upperBound": m}}, also with
 * {"parallelism": {...}} in between as Flink's REST interface writes it, the bounds must make
 * sense: -1 for the default, or more than 0, and the lower not above the upper.
 */
fsha_result requirements_check(const char *text, size_t size, fsha_error *reterr);

#endif
