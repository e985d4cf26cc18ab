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

/* A directory whose job is not known. */
static enum orphan_fate decide(struct fsha_services *s, const struct area *area,
			       const char *directory, const fsha_job_id *job,
			       const struct orphans_policy *policy, fsha_error *reterr)
{
	fsha_result result;

	/* Asked in any case, so that it is not forgotten. */
	if (policy->still && !still_is_dead(policy->still, directory))
		return ORPHAN_MOVING;
	if ((!policy->unknown && !jobs_has_ended(&s->cluster, job)) || !is_gone(s, job))
		return ORPHAN_UNKNOWN;
	result = remove_store(s, area, directory, reterr);
	if (result == FSHA_OK)
		return ORPHAN_REMOVED;
	return result == FSHA_E_EXISTS ? ORPHAN_WRITTEN : ORPHAN_FAILED;
}

static size_t look_in(struct fsha_services *s, struct term *t, const struct area *area,
		      const struct jobs *jobs, const struct orphans_policy *policy)
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
			enum orphan_fate fate;

			if (!area_names_store(area, fsu_list_name(&list, i), &job) ||
			    jobs_has(jobs, &job))
				continue;
			area_directory(area, fsu_list_name(&list, i), directory);
			fate = decide(s, area, directory, &job, policy, &error);
			taken += fate == ORPHAN_REMOVED;
			if (policy->told)
				policy->told(policy->ctx, directory, fate, &error);
		}
	fsu_list_done(&list);
	return taken;
}

size_t orphans_look(struct fsha_services *s, struct term *t, const struct orphans_policy *policy)
{
	struct jobs jobs;
	size_t taken = 0;

	/* Who cannot read which jobs there are knows of no orphan. */
	if (jobs_read(&s->cluster, s->job_result_path, &jobs, NULL) != FSHA_OK)
		return 0;
	if (policy->still)
		still_begin(policy->still);
	for (size_t i = 0; i < areas_count; i++)
		if (areas[i].nesting == AREA_BY_JOB_OF_ONE)
			taken += look_in(s, t, &areas[i], &jobs, policy);
	if (policy->still)
		still_end(policy->still);
	jobs_done(&jobs);
	return taken;
}

static void watch_area(const struct cluster *c, const struct area *area, struct still *still)
{
	char directory[AREA_DIRECTORY_SIZE];
	struct fsu_list list;
	fsha_job_id job;

	fsu_list_init(&list, c->fs);
	if (fsu_list_pass(&list, c->fd, area->directory, c->local) == 0)
		for (size_t i = 0; i < list.count; i++) {
			if (!area_names_store(area, fsu_list_name(&list, i), &job))
				continue;
			area_directory(area, fsu_list_name(&list, i), directory);
			(void)still_is_dead(still, directory); /* remembered */
		}
	fsu_list_done(&list);
}

void orphans_watch(struct fsha_services *s, struct still *still)
{
	still_begin(still);
	for (size_t i = 0; i < areas_count; i++)
		if (areas[i].nesting == AREA_BY_JOB_OF_ONE)
			watch_area(&s->cluster, &areas[i], still);
	still_end(still);
}
