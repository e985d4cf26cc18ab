/*
 * A directory that every cluster has is lost: moved away by hand, or not restored with the others.
 * Nothing may look as if it had been empty: not to who reads, not to who writes, not in a backup;
 * and it is not made again as if it were new.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fsha/fsha.h"
#include "src/checkpoint/checkpoint.h"
#include "src/cluster/layout.h"
#include "tests/lib/holder.h"

#define CLUSTER "/c"
#define AWAY CLUSTER "/~away"
#define HAND 3
#define CACHE_NS (30 * FSU_NS_PER_S)

static const fsha_job_id job = { { 1 } };

/* ---- one call of each kind for each store ---- */

typedef fsha_result call(struct holder *h);

static fsha_result list_graphs(struct holder *h)
{
	fsha_job_graph_store *store = NULL;
	fsha_job_id *ids = NULL;
	fsha_result result;
	size_t count;

	assert_int_equal(fsha_job_graph_store_open(h->services, &store, &h->error), FSHA_OK);
	result = fsha_job_graph_store_job_ids(store, &ids, &count, NULL, &h->error);
	fsu_release(h->fs, ids);
	fsha_job_graph_store_close(store);
	return result;
}

static fsha_result put_graph(struct holder *h)
{
	fsha_job_graph_store *store = NULL;
	fsha_result result;

	assert_int_equal(fsha_job_graph_store_open(h->services, &store, &h->error), FSHA_OK);
	assert_int_equal(fsha_job_graph_store_start(store, NULL, &h->error), FSHA_OK);
	result = fsha_job_graph_store_put(store, &job, "graph", 5, &h->error);
	fsha_job_graph_store_close(store);
	return result;
}

static int ignore_result(void *ctx, const fsha_job_result_entry *entry)
{
	(void)ctx;
	(void)entry;
	return 0;
}

static fsha_result list_results(struct holder *h)
{
	fsha_job_result_store *store = NULL;
	fsha_result result;

	assert_int_equal(fsha_job_result_store_open(h->services, &store, &h->error), FSHA_OK);
	result = fsha_job_result_store_get_dirty_results(store, ignore_result, NULL, &h->error);
	fsha_job_result_store_close(store);
	return result;
}

static fsha_result put_result(struct holder *h)
{
	fsha_job_result r = FSHA_JOB_RESULT_INIT;
	fsha_job_result_store *store = NULL;
	fsha_result result;

	r.id = job;
	r.status = FSHA_APPLICATION_SUCCEEDED;
	assert_int_equal(fsha_job_result_store_open(h->services, &store, &h->error), FSHA_OK);
	result = fsha_job_result_store_create_dirty(store, &r, &h->error);
	fsha_job_result_store_close(store);
	return result;
}

static fsha_result read_running(struct holder *h)
{
	fsha_running_jobs *registry = NULL;
	fsha_result result;
	int32_t status;

	assert_int_equal(fsha_running_jobs_open(h->services, &registry, &h->error), FSHA_OK);
	result = fsha_running_jobs_get_status(registry, &job, &status, &h->error);
	fsha_running_jobs_close(registry);
	return result;
}

static fsha_result set_running(struct holder *h)
{
	fsha_running_jobs *registry = NULL;
	fsha_result result;

	assert_int_equal(fsha_running_jobs_open(h->services, &registry, &h->error), FSHA_OK);
	result = fsha_running_jobs_set_running(registry, &job, &h->error);
	fsha_running_jobs_close(registry);
	return result;
}

static fsha_result list_workers(struct holder *h)
{
	fsha_worker_store *store = NULL;
	fsha_worker *workers = NULL;
	fsha_result result;
	size_t count;

	assert_int_equal(fsha_worker_store_open(h->services, &store, &h->error), FSHA_OK);
	assert_int_equal(fsha_worker_store_start(store, &h->error), FSHA_OK);
	result = fsha_worker_store_recover(store, &workers, &count, &h->error);
	fsu_release(h->fs, workers);
	fsha_worker_store_close(store);
	return result;
}

static fsha_result put_worker(struct holder *h)
{
	fsha_worker_store *store = NULL;
	fsha_worker worker;
	fsha_result result;

	assert_int_equal(fsha_worker_init(&worker, "taskmanager-00001", NULL, 0), FSHA_OK);
	assert_int_equal(fsha_worker_store_open(h->services, &store, &h->error), FSHA_OK);
	assert_int_equal(fsha_worker_store_start(store, &h->error), FSHA_OK);
	result = fsha_worker_store_put(store, &worker, &h->error);
	fsha_worker_store_close(store);
	return result;
}

static fsha_result open_checkpoints(struct holder *h)
{
	fsha_checkpoint_store *store = NULL;
	fsha_result result = checkpoint_open(h->services, &job, NULL, &store, &h->error);

	if (result == FSHA_OK)
		(void)fsha_checkpoint_store_close(store, NULL);
	return result;
}

static fsha_result count_on(struct holder *h)
{
	fsha_checkpoint_id_counter *counter = NULL;
	fsha_result result;
	int64_t id;

	result = fsha_checkpoint_id_counter_open(h->services, &job, &counter, &h->error);
	if (result == FSHA_OK)
		result = fsha_checkpoint_id_counter_get_and_increment(counter, &id, &h->error);
	fsha_checkpoint_id_counter_close(counter);
	return result;
}

static fsha_result list_blobs(struct holder *h)
{
	fsha_blob_store *store = NULL;
	fsha_job_id *jobs = NULL;
	fsha_blob_key *keys = NULL;
	fsha_result result;
	size_t count;

	assert_int_equal(fsha_blob_store_open(h->services, &store, &h->error), FSHA_OK);
	result = fsha_blob_store_jobs(store, &jobs, &count, NULL, &h->error);
	if (result == FSHA_E_CORRUPT)
		result = fsha_blob_store_list(store, &job, &keys, &count, NULL, &h->error);
	else
		assert_int_equal(result, FSHA_OK);
	fsu_release(h->fs, jobs);
	fsu_release(h->fs, keys);
	fsha_blob_store_close(store);
	return result;
}

static fsha_result put_blob(struct holder *h)
{
	const fsha_blob_key key = { .type = FSHA_BLOB_PERMANENT };
	fsha_blob_store *store = NULL;
	fsha_result result;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fsha_blob_store_open(h->services, &store, &h->error), FSHA_OK);
	result = fsha_blob_store_put_fd(store, fd, 0, &job, &key, &h->error);
	fsha_blob_store_close(store);
	(void)close(fd);
	return result;
}

static fsha_result list_names(struct holder *h)
{
	char owner[FSHA_NAME_MAX + 1], **names = NULL;
	fsha_state_store *store = NULL;
	fsha_result result;
	size_t count;

	assert_int_equal(fsha_state_store_open(h->services, "space", FSHA_ELECTION_DISPATCHER,
					       &store, &h->error),
			 FSHA_OK);
	result = fsha_state_store_owner(h->services, "space", owner, &h->error);
	if (result == FSHA_E_CORRUPT)
		result = fsha_state_store_list(store, &names, &count, &h->error);
	else
		assert_int_equal(result, FSHA_OK);
	fsu_release(h->fs, names);
	fsha_state_store_close(store);
	return result;
}

static fsha_result put_name(struct holder *h)
{
	fsha_state_store *store = NULL;
	fsha_result result;

	assert_int_equal(fsha_state_store_open(h->services, "space", FSHA_ELECTION_DISPATCHER,
					       &store, &h->error),
			 FSHA_OK);
	result = fsha_state_store_add(store, "name", "x", 1, NULL, &h->error);
	fsha_state_store_close(store);
	return result;
}

static const struct store_calls {
	const char *directory;
	call *read, *write;
} stores[] = {
	{ LAYOUT_JOB_GRAPHS, list_graphs, put_graph },
	{ LAYOUT_JOB_RESULTS, list_results, put_result },
	{ LAYOUT_RUNNING_JOBS, read_running, set_running },
	{ LAYOUT_WORKERS, list_workers, put_worker },
	{ LAYOUT_CHECKPOINTS, open_checkpoints, count_on },
	{ LAYOUT_BLOBS, list_blobs, put_blob },
	{ LAYOUT_STATE, list_names, put_name },
};
#define STORES (sizeof(stores) / sizeof(stores[0]))

/* ---- a cluster with something in each ---- */

static void lead(struct holder *h, struct crashfs *disk)
{
	char election[FSHA_ELECTION_JOB_TEXT];

	holder_start(h, disk, 0, FSHA_ELECTION_DISPATCHER);
	holder_lead_too(h, FSHA_ELECTION_RESOURCE_MANAGER);
	holder_lead_too(h, fsha_job_election_name(&job, election));
}

static struct crashfs *make(int64_t cache_ns)
{
	struct crashfs *disk =
		crashfs_create(&(struct crashfs_options){ .seed = 1, .cache_ns = cache_ns });
	struct holder h;

	lead(&h, disk);
	for (size_t i = 0; i < STORES; i++)
		if (stores[i].write(&h) != FSHA_OK)
			fail_msg("%s: %s", stores[i].directory, h.error.message);
	holder_stop(&h);
	return disk;
}

static void move(struct crashfs *disk, const char *from, const char *to)
{
	assert_int_equal(fsu_renameat(crashfs_client(disk, HAND), AT_FDCWD, from, AT_FDCWD, to), 0);
}

static void expect_lost(const struct holder *h, fsha_result result, const char *what,
			const char *directory)
{
	char lost[64];

	(void)snprintf(lost, sizeof(lost), "has lost '%s'", directory);
	if (result != FSHA_E_CORRUPT || !strstr(h->error.message, lost))
		fail_msg("%s without '%s': %s, '%s'", what, directory, fsha_result_name(result),
			 result == FSHA_OK ? "" : h->error.message);
}

static bool is_there(struct crashfs *disk, const char *path)
{
	int fd = fsu_dir_open(crashfs_client(disk, HAND), AT_FDCWD, path);

	if (fd >= 0)
		(void)fsu_close(crashfs_client(disk, HAND), fd); /* a directory */
	return fd >= 0;
}

/* `work` with each directory gone, on a local filesystem and on one that remembers; then it is put
 * back. */
static void without_each(void (*work)(struct crashfs *disk, const struct store_calls *calls))
{
	for (size_t i = 0; i < 2 * STORES; i++) {
		const struct store_calls *calls = &stores[i / 2];
		struct crashfs *disk = make(i % 2 ? CACHE_NS : 0);
		struct holder h;
		char path[64];

		(void)snprintf(path, sizeof(path), CLUSTER "/%s", calls->directory);
		move(disk, path, AWAY);
		work(disk, calls);
		if (is_there(disk, path))
			fail_msg("'%s' was made again", path);
		move(disk, AWAY, path);
		holder_start_reader(&h, disk, 1);
		if (calls->read(&h) != FSHA_OK)
			fail_msg("'%s' is back: %s", path, h.error.message);
		holder_stop(&h);
		assert_int_equal(crashfs_bytes_allocated(disk), 0);
		crashfs_destroy(disk);
	}
}

/* ---- the tests ---- */

static void read_it(struct crashfs *disk, const struct store_calls *calls)
{
	struct holder h;

	holder_start_reader(&h, disk, 1);
	expect_lost(&h, calls->read(&h), "read", calls->directory);
	for (size_t i = 0; i < STORES; i++)
		if (&stores[i] != calls && stores[i].read(&h) != FSHA_OK)
			fail_msg("'%s' went with '%s': %s", stores[i].directory, calls->directory,
				 h.error.message);
	holder_stop(&h);
}

static void a_lost_directory_is_not_read_as_an_empty_one(void **state)
{
	(void)state;
	without_each(read_it);
}

static void lead_without(struct crashfs *disk, const struct store_calls *calls)
{
	struct holder h;

	lead(&h, disk);
	expect_lost(&h, calls->read(&h), "read by its leader", calls->directory);
	expect_lost(&h, calls->write(&h), "write", calls->directory);
	holder_stop(&h);
}

static void a_lost_directory_is_not_made_by_a_write(void **state)
{
	(void)state;
	without_each(lead_without);
}

static fsha_result begin(void *ctx, const char *path, uint64_t size, fsha_error *reterr)
{
	bool *manifest = ctx;

	(void)size;
	(void)reterr;
	*manifest |= strcmp(path, FSHA_BACKUP_MANIFEST) == 0;
	return FSHA_OK;
}

static fsha_result put(void *ctx, const void *data, size_t size, fsha_error *reterr)
{
	(void)ctx;
	(void)data;
	(void)size;
	(void)reterr;
	return FSHA_OK;
}

static fsha_result back_up(struct holder *h, uint32_t flags, bool *ret_manifest)
{
	const fsha_backup_sink sink = { sizeof(sink), ret_manifest, begin, put };
	const fsha_backup_options options = { sizeof(options), flags, 0 };

	*ret_manifest = false;
	return fsha_backup_take(h->services, &options, &sink, NULL, &h->error);
}

static void save_it(struct crashfs *disk, const struct store_calls *calls)
{
	const uint32_t flags[] = { 0, FSHA_BACKUP_EACH_STORE, FSHA_BACKUP_SKIP_DAMAGED,
				   FSHA_BACKUP_EACH_STORE | FSHA_BACKUP_SKIP_DAMAGED };
	struct holder h;
	int64_t begun_ns;
	bool manifest;

	holder_start_reader(&h, disk, 1);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		begun_ns = fsu_now_ns(h.fs);
		expect_lost(&h, back_up(&h, flags[i], &manifest), "backup", calls->directory);
		assert_false(manifest);
		/* At once, and not at the end of its patience. */
		assert_true(fsu_now_ns(h.fs) - begun_ns < FSU_NS_PER_S);
	}
	holder_stop(&h);
}

static void no_backup_is_taken_without_a_lost_directory(void **state)
{
	struct crashfs *disk = make(0);
	struct holder h;
	bool manifest;

	(void)state;
	without_each(save_it);
	holder_start_reader(&h, disk, 1);
	if (back_up(&h, 0, &manifest) != FSHA_OK || !manifest)
		fail_msg("%s", h.error.message);
	holder_stop(&h);
	crashfs_destroy(disk);
}

/* What only exists when it is needed is as absent as ever. */
static void what_is_not_there_yet_is_empty(void **state)
{
	struct crashfs *disk = crashfs_create(&(struct crashfs_options){ .seed = 1 });
	struct holder h;

	(void)state;
	lead(&h, disk);
	assert_int_equal(open_checkpoints(&h), FSHA_OK);
	assert_int_equal(list_blobs(&h), FSHA_OK);
	assert_int_equal(put_name(&h), FSHA_OK);
	holder_stop(&h);
	crashfs_destroy(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lost_directory_is_not_read_as_an_empty_one),
		cmocka_unit_test(a_lost_directory_is_not_made_by_a_write),
		cmocka_unit_test(no_backup_is_taken_without_a_lost_directory),
		cmocka_unit_test(what_is_not_there_yet_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
