/*
 * Which directories of a cluster hold records that leaders write, and which election fences each:
 * the one list behind verify, repair, gc and the janitor's upkeep.
 */
#ifndef SRC_MAINTENANCE_AREA_H
#define SRC_MAINTENANCE_AREA_H

#include "src/state/store.h"

#define AREA_DIRECTORY_SIZE 300 /* "state/<200>" and some */

enum area_nesting {
	AREA_FLAT,          /* a store of its own */
	AREA_BY_JOB,        /* a store for each job, of the job's election: "<job>" */
	AREA_BY_JOB_OF_ONE, /* a store for each job, of one election: "job_<job>", "no_job" */
	AREA_BY_NAMESPACE,  /* a store for each namespace, of the election in its @owner */
};

struct area {
	const char *directory;
	enum area_nesting nesting;
	const char *election; /* NULL: by its name, or its owner */
	uint16_t kind;
	const struct store_format *format; /* NULL: envelopes */
	bool job_keys;                     /* each key is a job id */
};
extern const struct area areas[];
extern const size_t areas_count;

/*
 * Does `name` look like that of a store in this area? `ret_job` (may be NULL): whose it is; a store
 * of no job is none then.
 */
bool area_names_store(const struct area *area, const char *name, fsha_job_id *ret_job);
/*
 * The election that fences `name` in the area, encoded, as far as the name tells; "" when only its
 * owner does.
 */
void area_election(const struct area *area, const char *name, char *ret_election);
/* Is it a job's election, and of which job? */
bool area_job_of_election(const char *election, fsha_job_id *ret_job);
/*
 * What the area says of a store in it: all but directory and election. `results`: where
 * job_results/ lies when that is not in the cluster directory; or NULL.
 */
void area_store_options(const struct area *area, const char *results,
			struct store_options *options);
/* The area of the store at `path`, as area_of_path; NULL: there is none. */
const struct area *area_find(const char *path, const char *results);
/*
 * The store at `path`: below the cluster directory, or where job results lie elsewhere. False:
 * there is none. `path` is borrowed; the election is left alone.
 */
bool area_of_path(const char *path, const char *results, struct store_options *options);
/* Is nothing in the directory useless? One listing; true when it cannot be read. */
bool area_is_tidy(const struct cluster *c, const char *directory);
/* Is it there, and no directory: something that a person put there? */
bool area_is_foreign(const struct cluster *c, const char *directory);
/* "job_graphs", "state/<name>". */
void area_directory(const struct area *area, const char *name, char *ret_directory);

#endif
