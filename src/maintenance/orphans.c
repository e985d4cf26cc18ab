#include "src/maintenance/orphans.h"

#include "src/maintenance/area.h"
#include "src/maintenance/jobs.h"

/* Was all in the directory written before this term? False also when that cannot be told. */
static bool is_old(const struct cluster *c, const char *directory, const struct term *t)
{
	struct fsu_list list;
	struct name name;
	bool old;

	fsu_list_init(&list, c->fs);
	old = fsu_list_read(&list, c->fd, directory, c->local, cluster_lease_ns(c) / 10) == 0 &&
	      list.stable;
	for (size_t i = 0; i < list.count && old; i++)
		old = !name_parse(fsu_list_name(&list, i), &name) ||
		      name.version.epoch < t->epoch.number;
	fsu_list_done(&list);
	return old;
}

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

static bool remove_store(struct fsha_services *s, const struct area *area, const char *directory)
{
	struct store_options options = { .directory = directory, .election = area->election };
	struct store *store;
	fsha_result result;

	area_store_options(area, s->job_result_path, &options);
	if (services_store_open(s, &options, &store, NULL) != FSHA_OK)
		return false;
	result = store_remove_directory(store, NULL);
	services_store_close(s, store);
	return result == FSHA_OK;
}

static size_t look_in(struct fsha_services *s, struct term *t, const struct area *area,
		      const struct jobs *jobs, struct still *still,
		      bool (*take)(void *ctx, const char *directory), void *ctx)
{
	const struct cluster *c = &s->cluster;
	char directory[AREA_DIRECTORY_SIZE];
	struct fsu_list list;
	fsha_job_id job;
	size_t taken = 0;

	fsu_list_init(&list, c->fs);
	if (fsu_list_pass(&list, c->fd, area->directory, c->local) == 0)
		for (size_t i = 0; i < list.count && term_is_live(t); i++) {
			if (!area_names_store(area, fsu_list_name(&list, i), &job) ||
			    jobs_has(jobs, &job))
				continue;
			area_directory(area, fsu_list_name(&list, i), directory);
			if ((still && !still_is_dead(still, directory)) ||
			    !is_old(c, directory, t) || (take && !take(ctx, directory)) ||
			    !is_gone(s, &job))
				continue;
			taken += remove_store(s, area, directory);
		}
	fsu_list_done(&list);
	return taken;
}

size_t orphans_look(struct fsha_services *s, struct term *t, struct still *still,
		    bool (*take)(void *ctx, const char *directory), void *ctx)
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
			taken += look_in(s, t, &areas[i], &jobs, still, take, ctx);
	if (still)
		still_end(still);
	jobs_done(&jobs);
	return taken;
}
