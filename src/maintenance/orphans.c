#include "src/maintenance/orphans.h"

#include "src/maintenance/area.h"
#include "src/maintenance/jobs.h"

/* Asked anew at the last moment: the job may just have been submitted again. */
static bool is_gone(const struct fsha_services *s, const fsha_job_id *job)
{
	struct jobs jobs;
	bool gone;

	if (jobs_read(&s->cluster, s->job_result_path, &jobs, NULL) != FSHA_OK)
		return false;
	gone = !jobs_has(&jobs, job);
	jobs_done(&jobs);
	return gone;
}

static fsha_result remove_store(struct fsha_services *s, const struct area *area,
				const char *directory, fsha_error *reterr)
{
	struct store_options options = { .directory = directory, .election = area->election };
	struct store *store;
	fsha_result result;

	area_store_options(area, s->job_result_path, &options);
	result = services_store_open(s, &options, &store, reterr);
	if (result != FSHA_OK)
		return result;
	result = store_remove_former_directory(store, reterr);
	services_store_close(s, store);
	return result;
}

/* In the background only what stood still and is known to have ended. */
static bool may_go(struct fsha_services *s, const char *directory, const fsha_job_id *job,
		   struct still *still)
{
	return (!still || (still_is_dead(still, directory) && jobs_has_ended(&s->cluster, job))) &&
	       is_gone(s, job);
}

static size_t look_in(struct fsha_services *s, struct term *t, const struct area *area,
		      const struct jobs *jobs, struct still *still, orphans_told *told, void *ctx)
{
	const struct cluster *c = &s->cluster;
	char directory[AREA_DIRECTORY_SIZE];
	struct fsu_list list;
	fsha_job_id job;
	size_t taken = 0;

	fsu_list_init(&list, c->fs);
	if (fsu_list_pass(&list, c->fd, area->directory, c->local) == 0)
		for (size_t i = 0; i < list.count && term_is_live(t); i++) {
			fsha_error error = FSHA_ERROR_INIT;
			fsha_result result;

			if (!area_names_store(area, fsu_list_name(&list, i), &job) ||
			    jobs_has(jobs, &job))
				continue;
			area_directory(area, fsu_list_name(&list, i), directory);
			if (!may_go(s, directory, &job, still))
				continue;
			result = remove_store(s, area, directory, &error);
			taken += result == FSHA_OK;
			if (told)
				told(ctx, directory, result, &error);
		}
	fsu_list_done(&list);
	return taken;
}

size_t orphans_look(struct fsha_services *s, struct term *t, struct still *still,
		    orphans_told *told, void *ctx)
{
	struct jobs jobs;
	size_t taken = 0;

	/* Who cannot read which jobs there are knows of no orphan. */
	if (jobs_read(&s->cluster, s->job_result_path, &jobs, NULL) != FSHA_OK)
		return 0;
	if (still)
		still_begin(still);
	for (size_t i = 0; i < areas_count; i++)
		if (areas[i].nesting == AREA_BY_JOB_OF_ONE)
			taken += look_in(s, t, &areas[i], &jobs, still, told, ctx);
	if (still)
		still_end(still);
	jobs_done(&jobs);
	return taken;
}
