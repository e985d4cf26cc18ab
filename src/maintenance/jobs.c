#include "src/maintenance/jobs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/checkpoint/checkpoint.h"
#include "src/cluster/layout.h"
#include "src/election/claim.h"
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

static bool was_led_and_is_vacant(const struct cluster *c, const char *election)
{
	struct epoch epoch = { .number = 0 };
	struct fsu_list list;
	int fd, r;

	if (claim_open_election(c, election, false, &fd, NULL) != FSHA_OK)
		return false;
	fsu_list_init(&list, c->fs);
	r = epoch_read(c, fd, &list, &epoch);
	fsu_list_done(&list);
	(void)fsu_close(c->fs, fd); /* a directory */
	/* An election that was only just made for its first leader has the epoch 0. */
	return r == 0 && epoch.number > 0 && epoch_is_vacant(&epoch);
}

/* As far as it is known. What is marked counts: its data waits to be discarded. */
static bool has_checkpoints(const struct cluster *c, const char *directory, const char *election)
{
	struct store_options options = { .directory = directory,
					 .election = election,
					 .kind = FSU_KIND_CHECKPOINT,
					 .owned = true,
					 .removable = true };
	const struct term_source terms = { no_term, NULL };
	struct store_handle *handles = NULL;
	fsha_version counter;
	struct store *store;
	size_t count = 0;
	bool has;

	if (store_open(c, &terms, &options, &store, NULL) != FSHA_OK)
		return true;
	has = store_handles(store, &handles, &count, NULL) != FSHA_OK || count > 0 ||
	      store_exists(store, CHECKPOINT_COUNTER_KEY, &counter, NULL) != FSHA_OK ||
	      fsha_version_is_existing(&counter);
	fsu_release(c->fs, handles);
	store_close(store);
	return has;
}

bool jobs_has_ended(const struct cluster *c, const fsha_job_id *id)
{
	char election[FSHA_ELECTION_JOB_TEXT], key[FSHA_HEX_ID_TEXT];
	char directory[AREA_DIRECTORY_SIZE];

	(void)fsha_job_election_name(id, election);
	(void)snprintf(directory, sizeof(directory), LAYOUT_CHECKPOINTS "/%s",
		       fsha_job_id_format(id, key));
	return was_led_and_is_vacant(c, election) && !has_checkpoints(c, directory, election);
}

void jobs_done(struct jobs *jobs)
{
	fsu_release(jobs->fs, jobs->ids.ids);
	jobs->ids = (struct id_set){ .ids = NULL };
}
