/* The blob store: what every call says, on disk and off, and what happens in the middle of a copy.
 */
#include "tests/test_blob.h"

#include "src/blob/rooms.h"

/* ---- there and back ---- */

static void blobs_of_every_size_come_back(void **state)
{
	static const size_t sizes[] = { 0, 1, 65536, 65537, 262144, 1000000 };
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		put_blob(s, &s->job, &s->key, (char)('a' + i), sizes[i]);
		get_blob(s, &s->job, &s->key, (char)('a' + i), sizes[i]);
	}
}

static void a_blob_lies_where_the_format_says(void **state)
{
	struct scene *s = *state;

	put_blob(s, &s->job, &s->key, 'b', LARGE);
	put_blob(s, NULL, &s->key, 'n', 5);
	assert_non_null(strstr(crashfs_ls(s->h.disk, ROOM), "blob_" KEY_1 "~"));
	assert_non_null(strstr(crashfs_ls(s->h.disk, "/c/blobs/no_job"), "blob_" KEY_1 "~"));
	get_blob(s, &s->job, &s->key, 'b', LARGE);
	get_blob(s, NULL, &s->key, 'n', 5);
}

static void a_put_that_is_repeated_replaces_the_blob(void **state)
{
	struct scene *s = *state;

	put_blob(s, &s->job, &s->key, 'b', LARGE);
	put_blob(s, &s->job, &s->key, 'b', LARGE);
	get_blob(s, &s->job, &s->key, 'b', LARGE);
	put_blob(s, &s->job, &s->key, 'c', 10);
	get_blob(s, &s->job, &s->key, 'c', 10);
}

static void descriptors_serve_as_files_do(void **state)
{
	struct scene *s = *state;
	char data[100] = "";
	uint64_t size;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "hello", 5), 5);
	assert_said(fsha_blob_store_put_fd(s->store, ends[0], 5, NULL, &s->key, &s->error),
		    FSHA_OK);
	assert_said(fsha_blob_store_get_fd(s->store, NULL, &s->key, ends[1], &size, &s->error),
		    FSHA_OK);
	assert_true(size == 5);
	assert_int_equal(read(ends[0], data, sizeof(data)), 5);
	assert_string_equal(data, "hello");
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* ---- files that are none, keys that are none ---- */

static void local_files_that_cannot_be_read_are_named(void **state)
{
	struct scene *s = *state;

	assert_said(fsha_blob_store_put(s->store, "/local/none", &s->job, &s->key, &s->error),
		    FSHA_E_NOT_FOUND);
	assert_non_null(strstr(s->error.message, "/local/none"));
	assert_said(fsha_blob_store_put(s->store, "/local", &s->job, &s->key, &s->error),
		    FSHA_E_INVALID);
	crashfs_mkfifo(s->h.disk, "/local/fifo");
	assert_said(fsha_blob_store_put(s->store, "/local/fifo", &s->job, &s->key, &s->error),
		    FSHA_E_INVALID);
	crashfs_rm(s->h.disk, "/local/fifo");
	assert_false(crashfs_exists(s->h.disk, ROOM));
}

static void targets_that_cannot_be_written_are_named(void **state)
{
	struct scene *s = *state;

	put_blob(s, &s->job, &s->key, 'b', LARGE);
	assert_said(fsha_blob_store_get(s->store, &s->job, &s->key, "/local", &s->error),
		    FSHA_E_INVALID);
	assert_non_null(strstr(s->error.message, "/local"));
	assert_said(fsha_blob_store_get(s->store, &s->job, &s->key, "", &s->error), FSHA_E_INVALID);
	assert_said(fsha_blob_store_get(s->store, &s->job, &s->key, "/local/new/", &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_blob_store_get(s->store, &s->job, &s->key, "/none/target", &s->error),
		    FSHA_E_IO);
	assert_non_null(strstr(s->error.message, "/none/target"));
}

static void null_arguments_are_invalid(void **state)
{
	struct scene *s = *state;
	fsha_blob_key bad = s->key, *keys;
	fsha_job_id *jobs;
	size_t count;

	bad.type = 2;
	assert_said(fsha_blob_store_open(NULL, &s->store, &s->error), FSHA_E_INVALID);
	assert_said(fsha_blob_store_open(s->h.services, NULL, &s->error), FSHA_E_INVALID);
	assert_said(fsha_blob_store_open_void(NULL, &s->error), FSHA_E_INVALID);
	assert_said(fsha_blob_store_put(NULL, SOURCE, &s->job, &s->key, &s->error), FSHA_E_INVALID);
	assert_said(fsha_blob_store_put(s->store, NULL, &s->job, &s->key, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_blob_store_put(s->store, SOURCE, &s->job, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_blob_store_put(s->store, SOURCE, &s->job, &bad, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_blob_store_put_fd(s->store, -1, 1, &s->job, &s->key, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_blob_store_get(s->store, &s->job, &s->key, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_blob_store_get(s->store, &s->job, NULL, TARGET, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_blob_store_get_fd(s->store, &s->job, &s->key, -1, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_blob_store_delete(s->store, &s->job, NULL, &s->error), FSHA_E_INVALID);
	assert_said(fsha_blob_store_delete_all(NULL, &s->job, &s->error), FSHA_E_INVALID);
	assert_said(fsha_blob_store_cleanup_all(NULL, &s->error), FSHA_E_INVALID);
	assert_said(fsha_blob_store_list(s->store, NULL, NULL, &count, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_blob_store_list(NULL, NULL, &keys, &count, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_blob_store_jobs(s->store, &jobs, NULL, NULL, &s->error), FSHA_E_INVALID);
	assert_said(fsha_blob_store_jobs(NULL, &jobs, &count, NULL, NULL), FSHA_E_INVALID);
	fsha_blob_store_close(NULL);
}

/* ---- a file that exists is right ---- */

static void what_is_not_there_leaves_no_file(void **state)
{
	struct scene *s = *state;

	assert_said(fsha_blob_store_get(s->store, &s->job, &s->key, TARGET, &s->error),
		    FSHA_E_NOT_FOUND);
	put_blob(s, &s->job, &s->other, 'x', 3);
	assert_said(fsha_blob_store_get(s->store, &s->job, &s->key, TARGET, &s->error),
		    FSHA_E_NOT_FOUND);
	assert_string_equal(crashfs_ls(s->h.disk, "/local"), "source");
}

/* The newest version of the blob; a tombstone's name is longer. */
static void path_of_newest(struct scene *s, char *ret_path, size_t size)
{
	const char *name = NULL;

	for (const char *at = crashfs_ls(s->h.disk, ROOM); (at = strstr(at, "blob_" KEY_1)); at++)
		name = at;
	assert_non_null(name);
	if (!name)
		return; /* for analyzers, which do not know cmocka */
	(void)snprintf(ret_path, size, ROOM "/%.*s", (int)strcspn(name, "\n"), name);
}

static void damage(struct scene *s, size_t at, bool cut)
{
	const uint8_t *data;
	char path[512];
	uint8_t *file;
	size_t len;

	path_of_newest(s, path, sizeof(path));
	data = crashfs_cat(s->h.disk, path, &len);
	file = malloc(len);
	assert_non_null(file);
	memcpy(file, data, len);
	file[at] ^= 4;
	crashfs_put(s->h.disk, path, file, cut ? at : len);
	free(file);
}

static void a_damaged_blob_leaves_no_file_and_keeps_an_older_one(void **state)
{
	static const size_t places[] = {
		9, 60, 2000, 4096, 4096 + LARGE - 1, 4096 + LARGE + 3, 4096 + LARGE + 20
	};
	struct scene *s = *state;

	for (size_t i = 0; i < 2 * sizeof(places) / sizeof(places[0]); i++) {
		put_blob(s, &s->job, &s->key, 'b', LARGE);
		damage(s, places[i / 2], i % 2);
		assert_said(fsha_blob_store_get(s->store, &s->job, &s->key, TARGET, &s->error),
			    FSHA_E_CORRUPT);
		assert_non_null(strstr(s->error.message, "blob_" KEY_1));
		assert_string_equal(crashfs_ls(s->h.disk, "/local"), "source");
		assert_said(fsha_blob_store_delete(s->store, &s->job, &s->key, &s->error), FSHA_OK);
	}
	put_blob(s, &s->job, &s->key, 'b', LARGE);
	get_blob(s, &s->job, &s->key, 'b', LARGE);
	damage(s, 5000, false);
	assert_said(fsha_blob_store_get(s->store, &s->job, &s->key, TARGET, &s->error),
		    FSHA_E_CORRUPT);
	expect_local(s->h.disk, TARGET, 'b', LARGE);
}

/* NFS says ESTALE when the version that is read was taken away: the file is begun anew. */
static void a_blob_that_is_replaced_while_it_is_read_is_read_again(void **state)
{
	struct crashfs_fault fault = { .calls_mask = 1u << CRASHFS_PREAD,
				       .error = ESTALE,
				       .mode = CRASHFS_NOT_DONE };
	struct scene *s = *state;
	unsigned fired = 0;

	put_blob(s, &s->job, &s->key, 'b', LARGE);
	for (fault.at = 0; fault.at < 6; fault.at++) {
		crashfs_count_reset(s->h.disk);
		crashfs_fault_arm(s->h.disk, &fault);
		get_blob(s, &s->job, &s->key, 'b', LARGE);
		fired += crashfs_faults_fired(s->h.disk);
		crashfs_fault_clear(s->h.disk);
		crashfs_rm(s->h.disk, TARGET);
	}
	assert_true(fired >= 3); /* head, tail, payload */
}

/* ---- delete ---- */

static void deleting_what_is_not_there_is_done(void **state)
{
	struct scene *s = *state;

	assert_said(fsha_blob_store_delete(s->store, &s->job, &s->key, &s->error), FSHA_OK);
	assert_said(fsha_blob_store_delete_all(s->store, &s->job, &s->error), FSHA_OK);
	assert_said(fsha_blob_store_delete_all(s->store, NULL, &s->error), FSHA_OK);
	assert_said(fsha_blob_store_cleanup_all(s->store, &s->error), FSHA_OK);
	assert_string_equal(crashfs_ls(s->h.disk, "/c/blobs"), "");
}

static void a_deleted_blob_is_gone_and_the_others_stay(void **state)
{
	struct scene *s = *state;

	put_blob(s, &s->job, &s->key, 'b', LARGE);
	put_blob(s, &s->job, &s->other, 'o', LARGE);
	assert_said(fsha_blob_store_delete(s->store, &s->job, &s->key, &s->error), FSHA_OK);
	assert_said(fsha_blob_store_get(s->store, &s->job, &s->key, TARGET, &s->error),
		    FSHA_E_NOT_FOUND);
	get_blob(s, &s->job, &s->other, 'o', LARGE);
	put_blob(s, &s->job, &s->key, 'n', 3);
	get_blob(s, &s->job, &s->key, 'n', 3);
}

static void deleting_all_of_a_job_takes_its_directory_and_no_other(void **state)
{
	struct scene *s = *state;
	fsha_blob_store *store;
	struct holder reader;

	put_blob(s, &s->job, &s->key, 'b', LARGE);
	put_blob(s, &s->job, &s->other, 'o', 3);
	put_blob(s, &s->second, &s->key, 's', 3);
	holder_start_reader(&reader, s->h.disk, 1);
	assert_said(fsha_blob_store_open(reader.services, &store, &s->error), FSHA_OK);
	assert_said(fsha_blob_store_get(store, &s->job, &s->other, TARGET, &s->error), FSHA_OK);
	assert_said(fsha_blob_store_delete_all(s->store, &s->job, &s->error), FSHA_OK);
	assert_false(crashfs_exists(s->h.disk, ROOM));
	/* Who had it open finds nothing any more, and what is put there later. */
	assert_said(fsha_blob_store_get(store, &s->job, &s->other, TARGET, &s->error),
		    FSHA_E_NOT_FOUND);
	get_blob(s, &s->second, &s->key, 's', 3);
	put_blob(s, &s->job, &s->other, 'n', 4);
	assert_said(fsha_blob_store_get(store, &s->job, &s->other, TARGET, &s->error), FSHA_OK);
	expect_local(s->h.disk, TARGET, 'n', 4);
	fsha_blob_store_close(store);
	holder_stop(&reader);
}

static void cleaning_up_takes_the_blobs_of_all(void **state)
{
	struct scene *s = *state;

	put_blob(s, &s->job, &s->key, 'b', LARGE);
	put_blob(s, &s->second, &s->key, 's', 3);
	put_blob(s, NULL, &s->key, 'n', 3);
	assert_said(fsha_blob_store_cleanup_all(s->store, &s->error), FSHA_OK);
	assert_string_equal(crashfs_ls(s->h.disk, "/c/blobs"), "");
}

/* ---- lists ---- */

static void lists_have_every_key_and_every_job_in_order(void **state)
{
	struct scene *s = *state;
	size_t count, skipped;
	fsha_blob_key *keys;
	fsha_job_id *jobs;
	int no_job = 9;

	assert_said(fsha_blob_store_list(s->store, &s->job, &keys, &count, &skipped, &s->error),
		    FSHA_OK);
	assert_int_equal(count, 0);
	fsu_release(s->h.fs, keys);
	put_blob(s, &s->second, &s->key, 's', 3);
	put_blob(s, &s->job, &s->other, 'o', 3);
	put_blob(s, &s->job, &s->key, 'b', 3);
	crashfs_put(s->h.disk, ROOM "/notes~0000000000000001.0000000000000001.0000", "x", 1);
	disk_mkdir(s->h.fs, "/c/blobs/job_xyz");
	assert_said(fsha_blob_store_jobs(s->store, &jobs, &count, &no_job, &s->error), FSHA_OK);
	assert_int_equal(count, 2);
	assert_memory_equal(&jobs[0], &s->job, sizeof(s->job));
	assert_memory_equal(&jobs[1], &s->second, sizeof(s->job));
	assert_int_equal(no_job, 0);
	fsu_release(s->h.fs, jobs);
	fsha_blob_store_close(s->store);
	assert_said(fsha_blob_store_open(s->h.services, &s->store, &s->error), FSHA_OK);
	assert_said(fsha_blob_store_list(s->store, &s->job, &keys, &count, &skipped, &s->error),
		    FSHA_OK);
	assert_int_equal(count, 2);
	assert_int_equal(skipped, 1);
	assert_int_equal(fsha_blob_key_compare(&keys[0], &s->key), 0);
	assert_int_equal(fsha_blob_key_compare(&keys[1], &s->other), 0);
	fsu_release(s->h.fs, keys);
	put_blob(s, NULL, &s->key, 'n', 3);
	assert_said(fsha_blob_store_jobs(s->store, &jobs, &count, &no_job, &s->error), FSHA_OK);
	assert_int_equal(no_job, 1);
	fsu_release(s->h.fs, jobs);
}

static void many_jobs_do_not_keep_many_descriptors(void **state)
{
	struct scene *s = *state;
	unsigned open;

	for (unsigned i = 0; i < 3 * ROOMS_IDLE_MAX; i++) {
		s->second.bytes[0] = (uint8_t)i;
		put_blob(s, &s->second, &s->key, 's', 3);
	}
	open = crashfs_open_fds(s->h.disk, 0);
	if (open > ROOMS_IDLE_MAX + 20)
		fail_msg("%u descriptors are open", open);
	s->second.bytes[0] = 0;
	get_blob(s, &s->second, &s->key, 's', 3);
}

/* ---- without leadership, and without high availability ---- */

static void whoever_leads_nothing_may_read_and_not_write(void **state)
{
	struct scene *s = *state;
	fsha_blob_store *store;
	struct holder reader;

	put_blob(s, &s->job, &s->key, 'b', LARGE);
	holder_start_reader(&reader, s->h.disk, 1);
	assert_said(fsha_blob_store_open(reader.services, &store, &s->error), FSHA_OK);
	assert_said(fsha_blob_store_get(store, &s->job, &s->key, TARGET, &s->error), FSHA_OK);
	expect_local(s->h.disk, TARGET, 'b', LARGE);
	assert_said(fsha_blob_store_put(store, SOURCE, &s->second, &s->key, &s->error),
		    FSHA_E_NOT_LEADER);
	assert_said(fsha_blob_store_delete(store, &s->job, &s->key, &s->error), FSHA_E_NOT_LEADER);
	assert_said(fsha_blob_store_delete_all(store, &s->job, &s->error), FSHA_E_NOT_LEADER);
	assert_said(fsha_blob_store_cleanup_all(store, &s->error), FSHA_E_NOT_LEADER);
	assert_string_equal(strrchr(crashfs_ls(s->h.disk, "/c/blobs"), '_'),
			    "_000000000000000000000000000000a1");
	fsha_blob_store_close(store);
	holder_stop(&reader);
}

static void a_void_store_keeps_nothing_and_deletes_all_of_it(void **state)
{
	struct scene *s = *state;
	fsha_blob_store *none;
	fsha_blob_key *keys;
	fsha_job_id *jobs;
	size_t count = 9;
	int no_job = 9;

	assert_said(fsha_blob_store_open_void(&none, &s->error), FSHA_OK);
	assert_said(fsha_blob_store_put(none, SOURCE, &s->job, &s->key, &s->error),
		    FSHA_E_UNSUPPORTED);
	assert_said(fsha_blob_store_put_fd(none, 0, 1, &s->job, &s->key, &s->error),
		    FSHA_E_UNSUPPORTED);
	assert_said(fsha_blob_store_get(none, &s->job, &s->key, TARGET, &s->error),
		    FSHA_E_UNSUPPORTED);
	assert_said(fsha_blob_store_get_fd(none, &s->job, &s->key, 0, NULL, &s->error),
		    FSHA_E_UNSUPPORTED);
	assert_said(fsha_blob_store_delete(none, &s->job, &s->key, &s->error), FSHA_OK);
	assert_said(fsha_blob_store_delete_all(none, &s->job, &s->error), FSHA_OK);
	assert_said(fsha_blob_store_cleanup_all(none, &s->error), FSHA_OK);
	assert_said(fsha_blob_store_list(none, &s->job, &keys, &count, NULL, &s->error), FSHA_OK);
	assert_int_equal(count, 0);
	fsha_free(keys);
	assert_said(fsha_blob_store_jobs(none, &jobs, &count, &no_job, &s->error), FSHA_OK);
	assert_int_equal(count, 0);
	assert_int_equal(no_job, 0);
	fsha_free(jobs);
	fsha_blob_store_close(none);
}

static void a_cluster_in_memory_has_a_store_that_keeps_nothing(void **state)
{
	static const char *const types[] = { "NONE", "embedded" };
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		fsha_config *config = fsha_config_create();
		fsha_services *services;
		fsha_blob_store *none;

		assert_said(fsha_config_set(config, FSHA_KEY_TYPE, types[i], &s->error), FSHA_OK);
		assert_said(fsha_services_open(config, NULL, &services, &s->error), FSHA_OK);
		assert_said(fsha_blob_store_open(services, &none, &s->error), FSHA_OK);
		assert_said(fsha_blob_store_put(none, "/etc/passwd", &s->job, &s->key, &s->error),
			    FSHA_E_UNSUPPORTED);
		assert_said(fsha_blob_store_delete_all(none, &s->job, &s->error), FSHA_OK);
		fsha_blob_store_close(none);
		assert_said(fsha_services_close(services, &s->error), FSHA_OK);
		fsha_config_destroy(config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(blobs_of_every_size_come_back),
		scene_test(a_blob_lies_where_the_format_says),
		scene_test(a_put_that_is_repeated_replaces_the_blob),
		scene_test(descriptors_serve_as_files_do),
		scene_test(local_files_that_cannot_be_read_are_named),
		scene_test(targets_that_cannot_be_written_are_named),
		scene_test(null_arguments_are_invalid),
		scene_test(what_is_not_there_leaves_no_file),
		scene_test(a_damaged_blob_leaves_no_file_and_keeps_an_older_one),
		scene_test(a_blob_that_is_replaced_while_it_is_read_is_read_again),
		scene_test(deleting_what_is_not_there_is_done),
		scene_test(a_deleted_blob_is_gone_and_the_others_stay),
		scene_test(deleting_all_of_a_job_takes_its_directory_and_no_other),
		scene_test(cleaning_up_takes_the_blobs_of_all),
		scene_test(lists_have_every_key_and_every_job_in_order),
		scene_test(many_jobs_do_not_keep_many_descriptors),
		scene_test(whoever_leads_nothing_may_read_and_not_write),
		scene_test(a_void_store_keeps_nothing_and_deletes_all_of_it),
		scene_test(a_cluster_in_memory_has_a_store_that_keeps_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
