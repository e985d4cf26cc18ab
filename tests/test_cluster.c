/*
 * The cluster directory: it is there whole or not at all, whoever makes it and whenever the power
 * fails.
 */
#include "tests/lib/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "fsutil/fsu_file.h"
#include "src/cluster/layout.h"
#include "src/record/name.h"

static struct fixture *f;

static const struct fixture_options bare = { .bare = true };

static int setup(void **state)
{
	(void)state;
	f = fixture_open(NULL);
	return 0;
}

static int setup_bare(void **state)
{
	(void)state;
	f = fixture_open(&bare);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_close(f);
	return 0;
}

static fsha_result open_with(unsigned client, const struct cluster_options *options,
			     fsha_error *error)
{
	struct cluster cluster;
	fsha_result result = cluster_open(f->client[client], options, &cluster, error);

	if (result == FSHA_OK)
		cluster_close(&cluster);
	return result;
}

static void expect_refused(const struct cluster_options *options, fsha_result expected,
			   const char *text)
{
	fsha_error error = FSHA_ERROR_INIT;

	assert_result(f, open_with(0, options, &error), expected, &error);
	if (!strstr(error.message, text))
		fail_msg("'%s' does not say '%s'", error.message, text);
}

/* ---- Creating and opening ---- */

static void new_cluster_is_whole_and_says_the_same_to_all(void **state)
{
	uint64_t floor = 99;

	(void)state;
	assert_true(fsu_uuid_equal(&f->cluster[0].id, &f->cluster[1].id));
	assert_false(fsu_uuid_is_null(&f->cluster[0].id));
	for (unsigned i = 0; i < FIXTURE_CLIENTS; i++) {
		assert_int_equal(f->cluster[i].format, CLUSTER_FORMAT);
		assert_int_equal(f->cluster[i].lease_ms, FIXTURE_LEASE_MS);
		assert_int_equal(cluster_floor_read(&f->cluster[i], &floor, NULL), FSHA_OK);
		assert_int_equal(floor, 0);
	}
	assert_string_equal(f->cluster[0].path, FIXTURE_CLUSTER);
	assert_string_equal(crashfs_ls(f->fs, FIXTURE_STORAGE), FIXTURE_ID);
	assert_string_equal(crashfs_ls(f->fs, FIXTURE_CLUSTER),
			    "SETTINGS~0000000000000000.0000000000000001.0000\nblobs\n"
			    "checkpoints\nelections\nfloor-0000000000000000\njob_graphs\n"
			    "job_results\nleaders\nmembers\nquarantine\nrunning_jobs\nstate\n"
			    "workers");
}

static void lease_is_the_default_when_nobody_says_one(void **state)
{
	struct cluster_options options = fixture_cluster_options(true);
	struct cluster cluster;

	(void)state;
	options.cluster_id = "another";
	options.lease_ms = 0;
	assert_int_equal(cluster_open(f->client[0], &options, &cluster, NULL), FSHA_OK);
	assert_int_equal(cluster.lease_ms, CLUSTER_LEASE_MS_DEFAULT);
	cluster_close(&cluster);
}

static void other_lease_is_refused_and_both_are_named(void **state)
{
	struct cluster_options options = fixture_cluster_options(true);

	(void)state;
	options.lease_ms = 12345;
	expect_refused(&options, FSHA_E_CONFIG, "12345 ms");
	expect_refused(&options, FSHA_E_CONFIG, "10000 ms");
}

static void reader_makes_no_cluster(void **state)
{
	struct cluster_options options = fixture_cluster_options(false);

	(void)state;
	expect_refused(&options, FSHA_E_NOT_FOUND, FIXTURE_CLUSTER);
	options.cluster_id = "a/b/c";
	expect_refused(&options, FSHA_E_NOT_FOUND, "a/b/c");
	assert_string_equal(crashfs_ls(f->fs, FIXTURE_STORAGE), "");
}

static void id_with_slashes_is_a_directory_in_directories(void **state)
{
	struct cluster_options options = fixture_cluster_options(true);

	(void)state;
	options.cluster_id = "/flink//my jobs/../x/";
	assert_int_equal(open_with(0, &options, NULL), FSHA_OK);
	assert_true(crashfs_exists(f->fs, FIXTURE_STORAGE "/flink/my%20jobs/%2E./x/leaders"));
	options.create = false;
	options.cluster_id = "flink/my jobs/../x";
	assert_int_equal(open_with(1, &options, NULL), FSHA_OK);
	/* What lies above a cluster is none. */
	options.cluster_id = "flink/my jobs";
	expect_refused(&options, FSHA_E_CONFIG, "SETTINGS");
}

static void storage_or_id_that_cannot_be_is_a_configuration_error(void **state)
{
	struct cluster_options options = fixture_cluster_options(true);
	char long_part[300];

	(void)state;
	memset(long_part, 'x', sizeof(long_part) - 1);
	long_part[sizeof(long_part) - 1] = '\0';
	crashfs_put(f->fs, FIXTURE_STORAGE "/file", "x", 1);
	options.storage_dir = "/missing";
	expect_refused(&options, FSHA_E_CONFIG, "'/missing' is missing");
	options.storage_dir = FIXTURE_STORAGE "/file";
	expect_refused(&options, FSHA_E_CONFIG, "no directory");
	options = fixture_cluster_options(true);
	options.cluster_id = "";
	expect_refused(&options, FSHA_E_CONFIG, "cluster-id");
	options.cluster_id = "///";
	expect_refused(&options, FSHA_E_CONFIG, "cluster-id");
	options.cluster_id = long_part;
	expect_refused(&options, FSHA_E_CONFIG, "cluster-id");
}

static void what_is_in_the_way_of_the_cluster_stays(void **state)
{
	struct cluster_options options = fixture_cluster_options(true);

	(void)state;
	crashfs_put(f->fs, FIXTURE_CLUSTER, "precious", 8);
	expect_refused(&options, FSHA_E_CONFIG, "in the way");
	assert_memory_equal(crashfs_cat(f->fs, FIXTURE_CLUSTER, &(size_t){ 0 }), "precious", 8);
	crashfs_rm(f->fs, FIXTURE_CLUSTER);
	crashfs_symlink(f->fs, FIXTURE_CLUSTER, "/");
	expect_refused(&options, FSHA_E_CONFIG, "in the way");
	crashfs_rm(f->fs, FIXTURE_CLUSTER);
	crashfs_mkfifo(f->fs, FIXTURE_CLUSTER);
	expect_refused(&options, FSHA_E_CONFIG, "in the way");
	assert_string_equal(crashfs_ls(f->fs, FIXTURE_STORAGE), FIXTURE_ID);
}

static void empty_directory_is_taken_over(void **state)
{
	struct cluster_options options = fixture_cluster_options(true);

	(void)state;
	assert_int_equal(fsu_mkdirat(f->client[1], AT_FDCWD, FIXTURE_CLUSTER, FSU_DIR_MODE), 0);
	assert_int_equal(open_with(0, &options, NULL), FSHA_OK);
	options.create = false;
	assert_int_equal(open_with(1, &options, NULL), FSHA_OK);
	assert_string_equal(crashfs_ls(f->fs, FIXTURE_STORAGE), FIXTURE_ID);
}

static void empty_directory_is_no_cluster_for_a_reader(void **state)
{
	struct cluster_options options = fixture_cluster_options(false);

	(void)state;
	assert_int_equal(fsu_mkdirat(f->client[1], AT_FDCWD, FIXTURE_CLUSTER, FSU_DIR_MODE), 0);
	assert_true(open_with(0, &options, NULL) != FSHA_OK);
	assert_string_equal(crashfs_ls(f->fs, FIXTURE_CLUSTER), "");
}

static void foreign_directory_is_refused_and_left_alone(void **state)
{
	struct cluster_options options = fixture_cluster_options(true);

	(void)state;
	assert_int_equal(fsu_mkdirat(f->client[1], AT_FDCWD, FIXTURE_CLUSTER, FSU_DIR_MODE), 0);
	crashfs_put(f->fs, FIXTURE_CLUSTER "/thesis.tex", "x", 1);
	expect_refused(&options, FSHA_E_CONFIG, "is not empty");
	assert_string_equal(crashfs_ls(f->fs, FIXTURE_CLUSTER), "thesis.tex");
	assert_string_equal(crashfs_ls(f->fs, FIXTURE_STORAGE), FIXTURE_ID);
}

/* ---- Settings ---- */

/* Overwrite SETTINGS with a record of this payload; `sequence` 2 makes a newer version of it. */
static void put_settings(const uint8_t *payload, size_t size, uint64_t sequence,
			 const struct fsu_uuid *cluster)
{
	struct record_content content = {
		.kind = FSU_KIND_SETTINGS,
		.version = { .sequence = sequence },
		.key = LAYOUT_SETTINGS,
		.payload = payload,
		.size = size,
	};
	struct record_place place = { f->client[0], cluster, -1, "" };
	char name[NAME_SIZE];
	uint8_t *buf;
	size_t len;

	assert_int_equal(record_encode(&place, &content, &buf, &len, NULL), FSHA_OK);
	name_format(LAYOUT_SETTINGS, &content.version, false, name);
	crashfs_put(f->fs, fixture_path(f, "%s", name), buf, len);
	fsu_release(f->client[0], buf);
}

/* An envelope of a layout to come: only its magic, its number and its checksum are known. */
static void newer_envelope_of_the_settings_is_refused_as_such(void **state)
{
	struct cluster_options options = fixture_cluster_options(false);
	uint8_t buf[300];
	struct fsu_writer tail = { .buf = buf, .size = sizeof(buf), .len = sizeof(buf) - 16 };
	fsha_version first = { .sequence = 1 };
	XXH128_hash_t hash;
	char name[NAME_SIZE];

	(void)state;
	memset(buf, 'x', sizeof(buf));
	memcpy(buf, (const uint8_t[]){ 'F', 'S', 'H', 'A', 'R', 'E', 'C', '\n', 2, 0 }, 10);
	name_format(LAYOUT_SETTINGS, &first, NAME_VALUE, name);
	crashfs_put(f->fs, fixture_path(f, "%s", name), buf, sizeof(buf));
	expect_refused(&options, FSHA_E_CORRUPT, "damaged");
	hash = XXH3_128bits(buf, sizeof(buf) - 16);
	fsu_put_u64(&tail, hash.low64);
	fsu_put_u64(&tail, hash.high64);
	crashfs_put(f->fs, fixture_path(f, "%s", name), buf, sizeof(buf));
	expect_refused(&options, FSHA_E_UNSUPPORTED, "upgrade");
}

static void newer_format_is_refused_as_such_whatever_else_it_says(void **state)
{
	struct settings settings = { .format = CLUSTER_FORMAT + 1, .lease_ms = FIXTURE_LEASE_MS };
	struct cluster_options options = fixture_cluster_options(false);
	uint8_t payload[SETTINGS_SIZE + 100] = { 0 };

	(void)state;
	settings.cluster = f->cluster[0].id;
	assert_int_equal(settings_encode(&settings, payload), SETTINGS_SIZE);
	put_settings(payload, SETTINGS_SIZE, 1, &settings.cluster);
	expect_refused(&options, FSHA_E_UNSUPPORTED, "format 2");
	put_settings(payload, sizeof(payload), 1, &settings.cluster);
	expect_refused(&options, FSHA_E_UNSUPPORTED, "upgrade");
	put_settings(payload, 4, 1, &settings.cluster);
	options.create = true;
	expect_refused(&options, FSHA_E_UNSUPPORTED, "format 2");
}

static void settings_that_make_no_sense_are_corrupt(void **state)
{
	const struct settings good = {
		.format = CLUSTER_FORMAT,
		.cluster = f->cluster[0].id,
		.lease_ms = FIXTURE_LEASE_MS,
	};
	struct settings wrong[] = { good, good, good, good };
	struct cluster_options options = fixture_cluster_options(false);
	uint8_t payload[SETTINGS_SIZE + 1] = { 0 };

	(void)state;
	wrong[0].format = 0;
	wrong[1].lease_ms = CLUSTER_LEASE_MS_MIN - 1;
	wrong[2].lease_ms = CLUSTER_LEASE_MS_MAX + 1;
	wrong[3].cluster.bytes[0] ^= 1; /* another than its own envelope says */
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		(void)settings_encode(&wrong[i], payload);
		put_settings(payload, SETTINGS_SIZE, 1, &good.cluster);
		expect_refused(&options, FSHA_E_CORRUPT, "SETTINGS");
	}
	(void)settings_encode(&good, payload);
	put_settings(payload, SETTINGS_SIZE - 1, 1, &good.cluster);
	expect_refused(&options, FSHA_E_CORRUPT, "SETTINGS");
	put_settings(payload, SETTINGS_SIZE + 1, 1, &good.cluster);
	expect_refused(&options, FSHA_E_CORRUPT, "SETTINGS");
	put_settings(payload, SETTINGS_SIZE, 1, &good.cluster);
	assert_int_equal(open_with(0, &options, NULL), FSHA_OK);
}

static void settings_with_any_byte_changed_or_cut_off_are_corrupt(void **state)
{
	const char *path = FIXTURE_CLUSTER "/SETTINGS~0000000000000000.0000000000000001.0000";
	struct cluster_options options = fixture_cluster_options(true);
	const uint8_t *data;
	uint8_t copy[512];
	size_t len = 0;

	(void)state;
	data = crashfs_cat(f->fs, path, &len);
	assert_non_null(data);
	assert_in_range(len, 1, sizeof(copy));
	memcpy(copy, data, len);
	for (size_t i = 0; i < len; i++) {
		copy[i] ^= 0x20;
		crashfs_put(f->fs, path, copy, len);
		expect_refused(&options, FSHA_E_CORRUPT, "SETTINGS");
		copy[i] ^= 0x20;
		crashfs_put(f->fs, path, copy, i);
		expect_refused(&options, FSHA_E_CORRUPT, "SETTINGS");
	}
	crashfs_put(f->fs, path, copy, len);
	assert_int_equal(open_with(0, &options, NULL), FSHA_OK);
}

static void newest_settings_count_and_damage_is_no_way_back_to_older_ones(void **state)
{
	struct settings settings = {
		.format = CLUSTER_FORMAT,
		.cluster = f->cluster[0].id,
		.lease_ms = 2 * FIXTURE_LEASE_MS,
	};
	struct cluster_options options = fixture_cluster_options(false);
	uint8_t payload[SETTINGS_SIZE];

	(void)state;
	(void)settings_encode(&settings, payload);
	put_settings(payload, sizeof(payload), 2, &settings.cluster);
	options.lease_ms = 2 * FIXTURE_LEASE_MS;
	assert_int_equal(open_with(0, &options, NULL), FSHA_OK);
	crashfs_put(f->fs, fixture_path(f, "SETTINGS~%016x.%016x.0000", 0u, 2u), "x", 1);
	options.lease_ms = 0;
	expect_refused(&options, FSHA_E_CORRUPT, "SETTINGS");
}

static void cluster_without_its_directories_does_not_open(void **state)
{
	static const char *const names[] = { LAYOUT_LEADERS, LAYOUT_ELECTIONS, LAYOUT_MEMBERS };
	struct cluster_options options = fixture_cluster_options(true);

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		crashfs_rm(f->fs, fixture_path(f, "%s", names[i]));
		expect_refused(&options, FSHA_E_IO, names[i]);
		assert_int_equal(fsu_mkdirat(f->client[0], AT_FDCWD,
					     fixture_path(f, "%s", names[i]), FSU_DIR_MODE),
				 0);
	}
}

static void opening_leaks_nothing_under_any_single_fault(void **state)
{
	unsigned fds = crashfs_open_fds(f->fs, 0);
	size_t bytes = crashfs_bytes_allocated(f->fs);
	bool fired = true;

	(void)state;
	for (uint64_t at = 0; fired; at++) {
		for (size_t way = 0; fired && way < FIXTURE_SWEEPS; way++) {
			struct crashfs_fault fault = fixture_fault(at, way);
			struct cluster_options options = fixture_cluster_options(true);

			crashfs_count_reset(f->fs);
			crashfs_fault_arm(f->fs, &fault);
			(void)open_with(0, &options, NULL);
			fired = crashfs_faults_fired(f->fs) > 0;
			crashfs_fault_clear(f->fs);
			assert_int_equal(crashfs_open_fds(f->fs, 0), fds);
			assert_int_equal(crashfs_bytes_allocated(f->fs), bytes);
		}
	}
	assert_false(fired);
}

#define cluster_test(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
#define bare_test(t) cmocka_unit_test_setup_teardown(t, setup_bare, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cluster_test(new_cluster_is_whole_and_says_the_same_to_all),
		bare_test(lease_is_the_default_when_nobody_says_one),
		cluster_test(other_lease_is_refused_and_both_are_named),
		bare_test(reader_makes_no_cluster),
		bare_test(id_with_slashes_is_a_directory_in_directories),
		bare_test(storage_or_id_that_cannot_be_is_a_configuration_error),
		bare_test(what_is_in_the_way_of_the_cluster_stays),
		bare_test(empty_directory_is_taken_over),
		bare_test(empty_directory_is_no_cluster_for_a_reader),
		bare_test(foreign_directory_is_refused_and_left_alone),
		cluster_test(newer_envelope_of_the_settings_is_refused_as_such),
		cluster_test(newer_format_is_refused_as_such_whatever_else_it_says),
		cluster_test(settings_that_make_no_sense_are_corrupt),
		cluster_test(settings_with_any_byte_changed_or_cut_off_are_corrupt),
		cluster_test(newest_settings_count_and_damage_is_no_way_back_to_older_ones),
		cluster_test(cluster_without_its_directories_does_not_open),
		cluster_test(opening_leaks_nothing_under_any_single_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
