/* What belongs to jobs that nothing else knows of any more. */
#include <stdio.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/maintenance/jobs.h"
#include "src/maintenance/verify.h"

static void check_area(struct verify *v, const struct area *area, const struct jobs *jobs,
		       struct findings *found)
{
	char directory[AREA_DIRECTORY_SIZE];
	struct fsu_list list;
	fsha_job_id job;

	fsu_list_init(&list, found->fs);
	if (check_list(v, area->directory, &list, found))
		for (size_t i = 0; i < list.count; i++) {
			if (!area_names_store(area, fsu_list_name(&list, i), &job) ||
			    jobs_has(jobs, &job))
				continue;
			area_directory(area, fsu_list_name(&list, i), directory);
			found->election = area->election;
			findings_add(found,
				     area->nesting == AREA_BY_JOB ? FINDING_CHECKPOINTS_ORPHANED :
								    FINDING_BLOBS_ORPHANED,
				     directory,
				     "its job has no graph, no running entry and no dirty result");
		}
	found->election = NULL;
	fsu_list_done(&list);
}

void check_jobs(struct verify *v, const struct unit *unit, struct findings *found)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct jobs jobs;
	fsha_result result;

	(void)unit;
	/* What is damaged is told where it is; who is an orphan is not known then. */
	result = jobs_read(v->cluster, v->results, &jobs, &error);
	if (result == FSHA_OK) {
		for (size_t i = 0; i < areas_count; i++)
			if (areas[i].nesting == AREA_BY_JOB ||
			    areas[i].nesting == AREA_BY_JOB_OF_ONE)
				check_area(v, &areas[i], &jobs, found);
		jobs_done(&jobs);
	}
	/* So that it is looked at again: it may only have been for a moment. */
	if (result == FSHA_E_IO || result == FSHA_E_TIMEOUT)
		findings_add(found, FINDING_UNREADABLE, "",
			     "which jobs there are is not known, nor what is left of others: %s",
			     error.message);
	found->out_of_memory |= result == FSHA_E_NOMEM;
}
