/*
 * Records as files: what is in the wrong place, of the wrong kind or damaged is refused, whatever
 * it is.
 */
#include "tests/lib/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "src/record/name.h"
#include "src/record/record.h"

#define KEY "dispatcher"
#define SIZE_MAX_HERE 4096

static const fsha_version version = { .epoch = 7, .sequence = 3, .seat = 1 };
static const struct fsu_uuid session = { { 9, 8, 7 } };

static struct fixture *f;
static struct record_place place;
static char file_name[NAME_SIZE];

/* What the record of a test holds: compressed when it is long. */
static char payload[2000];

static struct record_content content_of(const char *key)
{
	return (struct record_content){
		.kind = FSU_KIND_LEADER,
		.version = version,
		.session = session,
		.key = key,
		.payload = payload,
		.size = sizeof(payload),
	};
}

static int setup(void **state)
{
	(void)state;
	f = fixture_open(NULL);
	place = cluster_place(&f->cluster[0], f->cluster[0].leaders_fd, "leaders");
	name_format(KEY, &version, false, file_name);
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (char)("abcdefgh"[i % 8] + (int)(i % 3));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_close(f);
	return 0;
}

/* Encode for `at` and put under `name` in leaders/, by hand: as somebody might who moves files. */
static void put(const struct record_place *at, const struct record_content *content,
		const char *name)
{
	fsha_error error = FSHA_ERROR_INIT;
	uint8_t *buf;
	size_t len;

	assert_result(f, record_encode(at, content, &buf, &len, &error), FSHA_OK, &error);
	crashfs_put(f->fs, fixture_path(f, "leaders/%s", name), buf, len);
	fsu_release(at->fs, buf);
}

static fsha_result read_it(const char *name, uint16_t kind, size_t size_max, fsha_error *error)
{
	struct record record;
	fsha_result result = record_read(&place, name, kind, size_max, &record, error);

	if (result == FSHA_OK)
		record_done(place.fs, &record);
	return result;
}

/*
 * Refused as damaged, with its path and the reason in the message; the file stays for a person to
 * look at.
 */
static void expect_corrupt(const char *name, const char *why)
{
	fsha_error error = FSHA_ERROR_INIT;

	assert_result(f, read_it(name, FSU_KIND_LEADER, SIZE_MAX_HERE, &error), FSHA_E_CORRUPT,
		      &error);
	assert_int_equal(error.result, FSHA_E_CORRUPT);
	if (!strstr(error.message, name) || !strstr(error.message, "leaders/") ||
	    !strstr(error.message, why))
		fail_msg("'%s' does not say '%s' of '%s'", error.message, why, name);
	assert_true(crashfs_exists(f->fs, fixture_path(f, "leaders/%s", name)));
}

static void record_comes_back_as_it_was_written(void **state)
{
	static const size_t sizes[] = { 0, 1, FSU_RECORD_DEFLATE_MIN - 1, FSU_RECORD_DEFLATE_MIN,
					sizeof(payload) };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct record_content content = content_of(KEY);
		fsha_error error = FSHA_ERROR_INIT;
		struct record record;

		content.size = sizes[i];
		put(&place, &content, file_name);
		assert_result(f,
			      record_read(&place, file_name, FSU_KIND_LEADER, SIZE_MAX_HERE,
					  &record, &error),
			      FSHA_OK, &error);
		assert_int_equal(record.size, sizes[i]);
		assert_memory_equal(record.data, payload, sizes[i]);
		assert_int_equal(record.data[record.size], 0);
		assert_int_equal(record.head.epoch, version.epoch);
		assert_int_equal(record.head.sequence, version.sequence);
		assert_int_equal(record.head.seat, version.seat);
		assert_true(fsu_uuid_equal(&record.head.session, &session));
		assert_true(fsu_uuid_equal(&record.head.cluster, &f->cluster[0].id));
		record_done(place.fs, &record);
	}
}

static void two_records_of_one_content_have_two_write_ids(void **state)
{
	struct record_content content = content_of(KEY);
	struct record first, second;

	(void)state;
	put(&place, &content, file_name);
	assert_int_equal(
		record_read(&place, file_name, FSU_KIND_LEADER, SIZE_MAX_HERE, &first, NULL),
		FSHA_OK);
	put(&place, &content, file_name);
	assert_int_equal(
		record_read(&place, file_name, FSU_KIND_LEADER, SIZE_MAX_HERE, &second, NULL),
		FSHA_OK);
	assert_false(fsu_uuid_equal(&first.head.write_id, &second.head.write_id));
	record_done(place.fs, &first);
	record_done(place.fs, &second);
}

static void record_that_is_gone_is_not_found(void **state)
{
	fsha_error error = FSHA_ERROR_INIT;

	(void)state;
	assert_result(f, read_it(file_name, FSU_KIND_LEADER, SIZE_MAX_HERE, &error),
		      FSHA_E_NOT_FOUND, &error);
}

static void record_of_another_key_is_refused(void **state)
{
	struct record_content content = content_of("dispatche");

	(void)state;
	put(&place, &content, file_name);
	expect_corrupt(file_name, "another name");
	content = content_of("dispatcher2");
	put(&place, &content, file_name);
	expect_corrupt(file_name, "another name");
	content = content_of("dispatched");
	put(&place, &content, file_name);
	expect_corrupt(file_name, "another name");
	content = content_of("rest_endpoint");
	put(&place, &content, file_name);
	expect_corrupt(file_name, "another name");
}

static void record_of_another_directory_is_refused(void **state)
{
	struct record_content content = content_of(KEY);
	struct record_place elsewhere = place;

	(void)state;
	elsewhere.directory = "Leaders";
	put(&elsewhere, &content, file_name);
	expect_corrupt(file_name, "another name");
	elsewhere.directory = "elections";
	put(&elsewhere, &content, file_name);
	expect_corrupt(file_name, "another name");
	/* Directory and key are told apart although they stand in one string. */
	elsewhere.directory = "lead";
	put(&elsewhere, &content, file_name);
	expect_corrupt(file_name, "another name");
}

static void record_of_another_cluster_is_refused(void **state)
{
	struct record_content content = content_of(KEY);
	struct record_place elsewhere = place;
	struct fsu_uuid other = f->cluster[0].id;

	(void)state;
	other.bytes[15] ^= 1;
	elsewhere.cluster = &other;
	put(&elsewhere, &content, file_name);
	expect_corrupt(file_name, "another cluster");
}

static void record_of_another_version_than_its_name_is_refused(void **state)
{
	const fsha_version others[] = {
		{ .epoch = 8, .sequence = 3, .seat = 1 },
		{ .epoch = 6, .sequence = 3, .seat = 1 },
		{ .epoch = 7, .sequence = 4, .seat = 1 },
		{ .epoch = 7, .sequence = 3, .seat = 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct record_content content = content_of(KEY);

		content.version = others[i];
		put(&place, &content, file_name);
		expect_corrupt(file_name, "another version");
	}
}

static void record_of_another_kind_is_refused(void **state)
{
	struct record_content content = content_of(KEY);

	(void)state;
	content.kind = FSU_KIND_STATE;
	put(&place, &content, file_name);
	expect_corrupt(file_name, "another kind");
}

static void value_under_the_name_of_a_removal_is_refused_and_the_reverse(void **state)
{
	struct record_content content = content_of(KEY);
	char gone[NAME_SIZE];

	(void)state;
	name_format(KEY, &version, true, gone);
	put(&place, &content, gone);
	expect_corrupt(gone, "removal");
	content.form = NAME_TOMBSTONE;
	content.size = 0;
	put(&place, &content, file_name);
	expect_corrupt(file_name, "removal");
}

static void removal_under_its_own_name_is_read(void **state)
{
	struct record_content content = content_of(KEY);
	char gone[NAME_SIZE];
	fsha_error error = FSHA_ERROR_INIT;

	(void)state;
	content.form = NAME_TOMBSTONE;
	content.size = 0;
	name_format(KEY, &version, true, gone);
	put(&place, &content, gone);
	assert_result(f, read_it(gone, FSU_KIND_LEADER, 0, &error), FSHA_OK, &error);
}

static void record_under_a_name_without_a_version_is_refused(void **state)
{
	struct record_content content = content_of(KEY);

	(void)state;
	put(&place, &content, KEY);
	expect_corrupt(KEY, "no version");
}

static void symbolic_link_is_refused_even_to_a_good_record(void **state)
{
	struct record_content content = content_of(KEY);

	(void)state;
	put(&place, &content, "good");
	crashfs_symlink(f->fs, fixture_path(f, "leaders/%s", file_name), "good");
	expect_corrupt(file_name, "no regular file");
}

static void fifo_is_refused_without_waiting_for_a_writer(void **state)
{
	(void)state;
	crashfs_mkfifo(f->fs, fixture_path(f, "leaders/%s", file_name));
	expect_corrupt(file_name, "no regular file");
}

static void directory_is_refused(void **state)
{
	(void)state;
	assert_int_equal(fsu_mkdirat(place.fs, place.dir_fd, file_name, FSU_DIR_MODE), 0);
	expect_corrupt(file_name, "no regular file");
}

static void file_that_is_larger_than_a_record_can_be_is_refused_unread(void **state)
{
	size_t len = fsu_record_bound(FSU_RECORD_KEY_MAX, SIZE_MAX_HERE) + 1;
	uint8_t *data = calloc(1, len);
	uint64_t reads = 0;
	enum crashfs_call call;
	bool changes;

	(void)state;
	assert_non_null(data);
	crashfs_put(f->fs, fixture_path(f, "leaders/%s", file_name), data, len);
	free(data);
	crashfs_count_reset(f->fs);
	expect_corrupt(file_name, "larger");
	for (uint64_t i = 0; crashfs_call_at(f->fs, 0, i, &call, &changes); i++)
		reads += call == CRASHFS_PREAD;
	assert_int_equal(reads, 0);
}

/*
 * A small file can ask for much memory: by a payload that inflates to more than its reader allows.
 */
static void payload_above_the_limit_of_its_reader_is_refused(void **state)
{
	struct record_content content = content_of(KEY);
	fsha_error error = FSHA_ERROR_INIT;

	(void)state;
	put(&place, &content, file_name);
	assert_result(f, read_it(file_name, FSU_KIND_LEADER, sizeof(payload), &error), FSHA_OK,
		      &error);
	assert_result(f, read_it(file_name, FSU_KIND_LEADER, sizeof(payload) - 1, &error),
		      FSHA_E_CORRUPT, &error);
	assert_non_null(strstr(error.message, "too large"));
}

static void record_cut_off_anywhere_is_refused(void **state)
{
	struct record_content content = content_of(KEY);
	fsha_error error = FSHA_ERROR_INIT;
	uint8_t *buf;
	size_t len;

	(void)state;
	assert_result(f, record_encode(&place, &content, &buf, &len, &error), FSHA_OK, &error);
	for (size_t cut = 0; cut < len; cut++) {
		crashfs_put(f->fs, fixture_path(f, "leaders/%s", file_name), buf, cut);
		expect_corrupt(file_name, "");
	}
	fsu_release(place.fs, buf);
}

static void record_with_more_behind_it_is_refused(void **state)
{
	struct record_content content = content_of(KEY);
	fsha_error error = FSHA_ERROR_INIT;
	uint8_t *buf, *more;
	size_t len;

	(void)state;
	assert_result(f, record_encode(&place, &content, &buf, &len, &error), FSHA_OK, &error);
	more = calloc(1, 2 * len);
	assert_non_null(more);
	memcpy(more, buf, len);
	memcpy(more + len, buf, len);
	crashfs_put(f->fs, fixture_path(f, "leaders/%s", file_name), more, len + 1);
	expect_corrupt(file_name, "length");
	crashfs_put(f->fs, fixture_path(f, "leaders/%s", file_name), more, 2 * len);
	expect_corrupt(file_name, "length");
	free(more);
	fsu_release(place.fs, buf);
}

static void record_with_any_byte_changed_is_refused(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };

	(void)state;
	for (size_t size = 0; size <= sizeof(payload); size += sizeof(payload) / 2) {
		struct record_content content = content_of(KEY);
		fsha_error error = FSHA_ERROR_INIT;
		uint8_t *buf;
		size_t len;

		content.size = size;
		assert_result(f, record_encode(&place, &content, &buf, &len, &error), FSHA_OK,
			      &error);
		for (size_t i = 0; i < len * sizeof(flips); i++) {
			uint8_t flip = flips[i % sizeof(flips)];

			buf[i / sizeof(flips)] ^= flip;
			crashfs_put(f->fs, fixture_path(f, "leaders/%s", file_name), buf, len);
			expect_corrupt(file_name, "");
			buf[i / sizeof(flips)] ^= flip;
		}
		fsu_release(place.fs, buf);
	}
}

/*
 * Every call of a read fails once, in every way: an error that says so, never a value, never
 * CORRUPT.
 */
static void failing_storage_is_never_taken_for_damage(void **state)
{
	static const int errors[] = { EIO, EACCES, EMFILE, ENOMEM, ETIMEDOUT, EPERM };
	struct record_content content = content_of(KEY);
	uint64_t calls;

	(void)state;
	put(&place, &content, file_name);
	crashfs_count_reset(f->fs);
	assert_int_equal(read_it(file_name, FSU_KIND_LEADER, SIZE_MAX_HERE, NULL), FSHA_OK);
	calls = crashfs_count(f->fs, 0);
	assert_true(calls >= 6);
	for (uint64_t at = 0; at < calls * 6; at++) {
		struct crashfs_fault fault = {
			.at = at / 6,
			.error = errors[at % 6],
			.mode = CRASHFS_NOT_DONE,
		};
		fsha_error error = FSHA_ERROR_INIT;
		fsha_result result;

		crashfs_count_reset(f->fs);
		crashfs_fault_arm(f->fs, &fault);
		result = read_it(file_name, FSU_KIND_LEADER, SIZE_MAX_HERE, &error);
		/* A close of what was only read may fail. */
		if (result != FSHA_OK && result != FSHA_E_NOMEM)
			assert_result(f, result, FSHA_E_IO, &error);
		assert_int_equal(crashfs_faults_fired(f->fs), 1);
		crashfs_fault_clear(f->fs);
	}
}

static void failing_to_encode_leaves_no_memory_behind(void **state)
{
	struct record_content content = content_of(KEY);
	size_t before = crashfs_bytes_allocated(f->fs);
	fsha_result result = FSHA_E_NOMEM;
	unsigned failures = 0;

	(void)state;
	for (uint64_t at = 0; result != FSHA_OK; at++) {
		struct crashfs_fault fault = { .at = at, .error = EIO, .mode = CRASHFS_NOT_DONE };
		uint8_t *buf = NULL;
		size_t len;

		crashfs_count_reset(f->fs);
		crashfs_fault_arm(f->fs, &fault);
		result = record_encode(&place, &content, &buf, &len, NULL);
		assert_true(result == FSHA_OK || result == FSHA_E_NOMEM || result == FSHA_E_IO);
		failures += result != FSHA_OK;
		crashfs_fault_clear(f->fs);
		if (result == FSHA_OK)
			fsu_release(place.fs, buf);
		assert_int_equal(crashfs_bytes_allocated(f->fs), before);
	}
	assert_true(failures >= 3);
}

static void key_that_is_too_long_is_an_argument_error(void **state)
{
	char long_directory[FSU_RECORD_KEY_MAX + 1];
	struct record_content content = content_of(KEY);
	struct record_place elsewhere = place;
	fsha_error error = FSHA_ERROR_INIT;
	uint8_t *buf;
	size_t len;

	(void)state;
	memset(long_directory, 'd', sizeof(long_directory) - 1);
	long_directory[sizeof(long_directory) - 1] = '\0';
	elsewhere.directory = long_directory;
	assert_result(f, record_encode(&elsewhere, &content, &buf, &len, &error), FSHA_E_INVALID,
		      &error);
}

#define record_test(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		record_test(record_comes_back_as_it_was_written),
		record_test(two_records_of_one_content_have_two_write_ids),
		record_test(record_that_is_gone_is_not_found),
		record_test(record_of_another_key_is_refused),
		record_test(record_of_another_directory_is_refused),
		record_test(record_of_another_cluster_is_refused),
		record_test(record_of_another_version_than_its_name_is_refused),
		record_test(record_of_another_kind_is_refused),
		record_test(value_under_the_name_of_a_removal_is_refused_and_the_reverse),
		record_test(removal_under_its_own_name_is_read),
		record_test(record_under_a_name_without_a_version_is_refused),
		record_test(symbolic_link_is_refused_even_to_a_good_record),
		record_test(fifo_is_refused_without_waiting_for_a_writer),
		record_test(directory_is_refused),
		record_test(file_that_is_larger_than_a_record_can_be_is_refused_unread),
		record_test(payload_above_the_limit_of_its_reader_is_refused),
		record_test(record_cut_off_anywhere_is_refused),
		record_test(record_with_more_behind_it_is_refused),
		record_test(record_with_any_byte_changed_is_refused),
		record_test(failing_storage_is_never_taken_for_damage),
		record_test(failing_to_encode_leaves_no_memory_behind),
		record_test(key_that_is_too_long_is_an_argument_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
