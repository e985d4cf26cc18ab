#include "src/maintenance/area.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil/fsu_path.h"
#include "src/cluster/layout.h"
#include "src/job_result/file.h"

#define BLOBS_PREFIX "job_"
#define BLOBS_OF_NO_JOB "no_job"
#define JOB_PREFIX "job-" /* as fsha_job_election_name makes it */

const struct area areas[] = {
	{ LAYOUT_JOB_GRAPHS, AREA_FLAT, FSHA_ELECTION_DISPATCHER, FSU_KIND_JOB_GRAPH, NULL, true },
	{ LAYOUT_JOB_RESULTS, AREA_FLAT, FSHA_ELECTION_DISPATCHER, FSU_KIND_JOB_RESULT,
	  &job_result_format, false },
	{ LAYOUT_RUNNING_JOBS, AREA_FLAT, FSHA_ELECTION_DISPATCHER, FSU_KIND_RUNNING_JOB, NULL,
	  true },
	{ LAYOUT_WORKERS, AREA_FLAT, FSHA_ELECTION_RESOURCE_MANAGER, FSU_KIND_WORKER, NULL, false },
	{ LAYOUT_CHECKPOINTS, AREA_BY_JOB, NULL, FSU_KIND_CHECKPOINT, NULL, false },
	{ LAYOUT_BLOBS, AREA_BY_JOB_OF_ONE, FSHA_ELECTION_DISPATCHER, FSU_KIND_BLOB, NULL, false },
	{ LAYOUT_STATE, AREA_BY_NAMESPACE, NULL, FSU_KIND_STATE, NULL, false },
};
const size_t areas_count = sizeof(areas) / sizeof(areas[0]);

static bool is_job(const char *text, fsha_job_id *ret_job)
{
	struct fsu_uuid id;

	/* Lower case only: one job has one name. */
	if (fsu_uuid_parse(text, strlen(text), &id) < 0)
		return false;
	if (ret_job)
		memcpy(ret_job, &id, sizeof(*ret_job));
	return true;
}

bool area_names_store(const struct area *area, const char *name, fsha_job_id *ret_job)
{
	char decoded[FSU_NAME_MAX + 1];
	size_t len;

	switch (area->nesting) {
	case AREA_BY_JOB:
		return is_job(name, ret_job);
	case AREA_BY_JOB_OF_ONE:
		if (strcmp(name, BLOBS_OF_NO_JOB) == 0)
			return !ret_job; /* so nobody takes it for what a dead job left behind */
		return strncmp(name, BLOBS_PREFIX, sizeof(BLOBS_PREFIX) - 1) == 0 &&
		       is_job(name + sizeof(BLOBS_PREFIX) - 1, ret_job);
	case AREA_BY_NAMESPACE:
		return fsu_path_decode(name, strlen(name), decoded, &len) == 0;
	default:
		return false;
	}
}

void area_election(const struct area *area, const char *name, char *ret_election)
{
	fsha_job_id job;

	ret_election[0] = '\0';
	if (area->election)
		strcpy(ret_election, area->election);
	else if (area->nesting == AREA_BY_JOB && is_job(name, &job))
		(void)fsha_job_election_name(&job, ret_election);
}

void area_directory(const struct area *area, const char *name, char *ret_directory)
{
	if (area->nesting == AREA_FLAT)
		(void)snprintf(ret_directory, AREA_DIRECTORY_SIZE, "%s", area->directory);
	else
		(void)snprintf(ret_directory, AREA_DIRECTORY_SIZE, "%s/%s", area->directory, name);
}

bool area_job_of_election(const char *election, fsha_job_id *ret_job)
{
	return strncmp(election, JOB_PREFIX, sizeof(JOB_PREFIX) - 1) == 0 &&
	       is_job(election + sizeof(JOB_PREFIX) - 1, ret_job);
}

void area_store_options(const struct area *area, const char *results, struct store_options *options)
{
	options->kind = area->kind;
	options->format = area->format;
	options->owned = area->nesting != AREA_FLAT;
	options->removable = area->nesting == AREA_BY_JOB || area->nesting == AREA_BY_JOB_OF_ONE;
	if (area->kind == FSU_KIND_JOB_RESULT && results) {
		options->path = results;
		options->owned = true;
	}
}

const struct area *area_find(const char *path, const char *results)
{
	const bool elsewhere = path[0] == '/';

	if (elsewhere && (!results || strcmp(path, results) != 0))
		return NULL;
	for (size_t i = 0; i < areas_count; i++) {
		const size_t len = strlen(areas[i].directory);
		const bool flat = areas[i].nesting == AREA_FLAT;

		if (elsewhere ? areas[i].kind != FSU_KIND_JOB_RESULT :
				strncmp(path, areas[i].directory, len) != 0 ||
					path[len] != (flat ? '\0' : '/'))
			continue;
		/* Of one directory of ours: nothing that a path could wander off by. */
		if (!elsewhere && !flat && !area_names_store(&areas[i], path + len + 1, NULL))
			return NULL;
		return &areas[i];
	}
	return NULL;
}

bool area_of_path(const char *path, const char *results, struct store_options *options)
{
	const struct area *area = area_find(path, results);
	const bool elsewhere = path[0] == '/';

	if (!area)
		return false;
	options->directory = elsewhere ? area->directory : path;
	area_store_options(area, elsewhere ? results : NULL, options);
	return true;
}

/* Two names that sort next to each other when they are versions of one key. */
static int compare(const void *a, const void *b, void *text)
{
	return strcmp((const char *)text + *(const size_t *)a,
		      (const char *)text + *(const size_t *)b);
}

bool area_is_foreign(const struct cluster *c, const char *directory)
{
	int fd = fsu_dir_open(c->fs, c->fd, directory);

	if (fd >= 0)
		(void)fsu_close(c->fs, fd); /* a directory */
	return fd == -ENOTDIR;
}

bool area_is_tidy(const struct cluster *c, const char *directory)
{
	struct name name, former = { 0 };
	const char *former_file = NULL;
	struct fsu_list list;
	bool tidy = true;

	fsu_list_init(&list, c->fs);
	if (fsu_list_pass(&list, c->fd, directory, c->local) == 0 && list.count > 0)
		qsort_r(list.offsets, list.count, sizeof(*list.offsets), compare, list.text);
	for (size_t i = 0; i < list.count && tidy; i++) {
		const char *file = fsu_list_name(&list, i);

		if (!name_parse(file, &name))
			continue;
		tidy = name.form != NAME_TOMBSTONE &&
		       (!former_file || name.key_len != former.key_len ||
			memcmp(file, former_file, name.key_len) != 0);
		former = name;
		former_file = file;
	}
	fsu_list_done(&list);
	return tidy;
}
