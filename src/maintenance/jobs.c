#include "src/maintenance/jobs.h"

#include <errno.h>
#include <string.h>

#include "src/job_result/job_result.h"
#include "src/maintenance/area.h"
#include "src/result/error.h"

static struct term *no_term(void *ctx, const char *election)
{
	(void)ctx;
	(void)election;
	return NULL; /* a reader */
}

/*
 * The job that a key of job_graphs/, running_jobs/ or job_results/ keeps alive. A result that is
 * clean keeps nothing.
 */
static bool keeps(const struct area *area, const char *key, fsha_job_id *ret_job)
{
	char text[FSHA_HEX_ID_TEXT];

	if (strlen(key) < FSHA_HEX_ID_TEXT - 1)
		return false;
	memcpy(text, key, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	key += FSHA_HEX_ID_TEXT - 1;
	return strcmp(key, area->kind == FSU_KIND_JOB_RESULT ? JOB_RESULT_DIRTY : "") == 0 &&
	       fsha_job_id_parse(text, ret_job) == FSHA_OK;
}

static fsha_result read_area(const struct cluster *c, const struct area *area, const char *results,
			     struct jobs *jobs, fsha_error *reterr)
{
	struct store_options options = { .directory = area->directory,
					 .election = area->election,
					 .kind = area->kind,
					 .format = area->format };
	const struct term_source terms = { no_term, NULL };
	struct store *store;
	fsha_result result;
	fsha_job_id job;
	char **keys;
	size_t count;

	if (area->kind == FSU_KIND_JOB_RESULT && results) {
		options.path = results;
		options.owned = true;
	}
	result = store_open(c, &terms, &options, &store, reterr);
	if (result != FSHA_OK)
		return result;
	result = store_keys(store, &keys, &count, reterr);
	for (size_t i = 0; result == FSHA_OK && i < count; i++)
		if (keeps(area, keys[i], &job) && ids_add(c->fs, &jobs->ids, &job) < 0)
			jobs->out_of_memory = true;
	if (result == FSHA_OK)
		fsu_release(c->fs, keys);
	store_close(store);
	return result;
}

fsha_result jobs_read(const struct cluster *c, const char *results, struct jobs *ret_jobs,
		      fsha_error *reterr)
{
	struct jobs jobs = { .fs = c->fs };
	fsha_result result = FSHA_OK;

	for (size_t i = 0; i < areas_count && result == FSHA_OK; i++)
		if (areas[i].nesting == AREA_FLAT && areas[i].kind != FSU_KIND_WORKER)
			result = read_area(c, &areas[i], results, &jobs, reterr);
	if (result == FSHA_OK && jobs.out_of_memory)
		result =
			error_os(reterr, -ENOMEM, "alloc", "cannot list the jobs of '%s'", c->path);
	if (result != FSHA_OK)
		jobs_done(&jobs);
	else
		*ret_jobs = jobs;
	return result;
}

bool jobs_has(const struct jobs *jobs, const fsha_job_id *id)
{
	return ids_has(&jobs->ids, id);
}

void jobs_done(struct jobs *jobs)
{
	fsu_release(jobs->fs, jobs->ids.ids);
	jobs->ids = (struct id_set){ .ids = NULL };
}
