/*
 * Streamed records: what goes in comes out with the memory of a chunk, what was changed in any byte
 * is refused, and a failure leaves no file behind.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_stream.h"
#include "tests/lib/disk.h"

#define KEY "state/ns/key"

/* Bytes that differ from place to place, so that one that is moved or repeated shows. */
static uint8_t byte_at(uint64_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

struct input {
	uint64_t size, done;
	size_t step; /* most bytes of one read; 0: as many as asked for */
	int error;   /* positive, at error_at */
	uint64_t error_at;
};

static ssize_t give(void *ctx, void *buf, size_t size)
{
	struct input *in = ctx;
	uint8_t *at = buf;

	if (in->error && in->done >= in->error_at)
		return -in->error;
	if (in->step && size > in->step)
		size = in->step;
	if (size > in->size - in->done)
		size = (size_t)(in->size - in->done);
	for (size_t i = 0; i < size; i++)
		at[i] = byte_at(in->done + i);
	in->done += size;
	return (ssize_t)size;
}

static struct fsu_record head_of(void)
{
	struct fsu_record head = {
		.kind = FSU_KIND_STATE,
		.epoch = 7,
		.sequence = 42,
		.seat = 3,
		.wall_ns = 1600000000000000000,
		.key = KEY,
		.key_len = strlen(KEY),
	};

	memset(&head.cluster, 0xc1, sizeof(head.cluster));
	memset(&head.session, 0x5e, sizeof(head.session));
	memset(&head.write_id, 0x1d, sizeof(head.write_id));
	return head;
}

static int stage_input(const struct fsu *fs, struct input *in, const char **ret_op)
{
	const struct fsu_record head = head_of();
	const struct fsu_source source = { give, in };
	const char *op = "none";
	int r = fsu_stream_stage(fs, AT_FDCWD, "/s", &head, &source, NULL, &op);

	if (ret_op)
		*ret_op = op;
	return r;
}

static void stage(const struct fsu *fs, uint64_t size)
{
	struct input in = { .size = size };

	assert_int_equal(stage_input(fs, &in, NULL), 0);
	assert_true(in.done == size);
}

static bool wrong_content; /* of what the last read_all got */

/* Reads all of it: 0 and the number of bytes, or the error. */
static int read_all(const struct fsu *fs, uint64_t *ret_size)
{
	struct fsu_stream s;
	const char *why = NULL;
	uint8_t buf[10007];
	ssize_t n;
	int r;

	*ret_size = 0;
	wrong_content = false;
	r = fsu_stream_open(fs, AT_FDCWD, "/s", &s, &why);
	if (r < 0) {
		assert_true(r != -EBADMSG || why);
		return r;
	}
	while ((n = fsu_stream_read(&s, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			wrong_content |= buf[i] != byte_at(*ret_size + (uint64_t)i);
		*ret_size += (uint64_t)n;
	}
	fsu_stream_close(&s);
	assert_true(n != 0 || !wrong_content);
	return (int)n;
}

static void streams_of_every_size_come_back(void **state)
{
	static const uint64_t sizes[] = {
		0,
		1,
		4095,
		4096,
		FSU_STREAM_CHUNK - 1,
		FSU_STREAM_CHUNK,
		FSU_STREAM_CHUNK + 1,
		3 * FSU_STREAM_CHUNK,
		1000000,
	};
	const struct fsu *fs = disk_client(state, 0);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct fsu_record head = head_of(), out;
		const char *why = "";
		const uint8_t *file;
		uint64_t size;
		size_t len;

		stage(fs, sizes[i]);
		assert_int_equal(read_all(fs, &size), 0);
		assert_true(size == sizes[i]);
		/* In one piece it is the same. */
		file = crashfs_cat(*state, "/s", &len);
		assert_true(len == FSU_STREAM_HEAD + sizes[i] + FSU_STREAM_TAIL);
		if (fsu_record_decode(file, len, &out, &why) < 0)
			fail_msg("%llu bytes: %s", (unsigned long long)sizes[i], why);
		assert_int_equal(out.flags, FSU_RECORD_STREAMED);
		assert_int_equal(out.raw_len, sizes[i]);
		assert_int_equal(out.stored_len, sizes[i]);
		assert_int_equal(out.epoch, head.epoch);
		assert_int_equal(out.key_len, head.key_len);
		assert_memory_equal(out.key, KEY, out.key_len);
		for (size_t j = 0; j < out.raw_len; j++)
			if (((const uint8_t *)out.payload)[j] != byte_at(j))
				fail_msg("byte %zu", j);
		assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, "/s", 0), 0);
	}
}

static void a_source_that_gives_little_at_a_time_makes_the_same_file(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	struct input in = { .size = 300000, .step = 777 };
	uint8_t *first;
	size_t len, again;

	stage(fs, 300000);
	first = malloc(400000);
	memcpy(first, crashfs_cat(*state, "/s", &len), FSU_STREAM_HEAD + 300000 + FSU_STREAM_TAIL);
	assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, "/s", 0), 0);
	assert_int_equal(stage_input(fs, &in, NULL), 0);
	assert_memory_equal(crashfs_cat(*state, "/s", &again), first, len);
	assert_int_equal(again, len);
	free(first);
}

static void the_layout_is_the_documented_one(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	const uint8_t *file;
	size_t len;

	stage(fs, 5000);
	file = crashfs_cat(*state, "/s", &len);
	assert_int_equal(len, 4096 + 5000 + 24);
	assert_memory_equal(file, "FSHAREC\n\x01\x00\x06\x00\x08\x00\x00\x00\x07", 17);
	for (size_t i = 96; i < 112; i++)
		assert_int_equal(file[i], 0);
	assert_memory_equal(file + 112, KEY, strlen(KEY));
	for (size_t i = 112 + strlen(KEY); i < 4096; i++)
		assert_int_equal(file[i], 0);
	assert_int_equal(file[4096 + 77], byte_at(77));
	assert_memory_equal(file + 4096 + 5000, "\x88\x13\0\0\0\0\0\0", 8);
}

/* No release may stop reading it. */
static void the_golden_stream_is_read_and_written_the_same(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	uint8_t golden[5000];
	FILE *file = fopen("tests/data/record/stream.rec", "re");
	uint64_t size;
	size_t len, n;

	assert_non_null(file);
	n = fread(golden, 1, sizeof(golden), file);
	(void)fclose(file);
	crashfs_put(*state, "/s", golden, n);
	assert_int_equal(read_all(fs, &size), 0);
	assert_true(size == 100);
	crashfs_rm(*state, "/s");
	stage(fs, 100);
	assert_memory_equal(crashfs_cat(*state, "/s", &len), golden, n);
	assert_int_equal(len, n);
}

/* What encode and stage would not have written: refused by both ways of reading. */
static void expect_refused(void **state, const uint8_t *file, size_t len, const char *what,
			   size_t at)
{
	const struct fsu *fs = disk_client(state, 0);
	struct fsu_record out;
	uint64_t size;
	int r;

	crashfs_put(*state, "/s", file, len);
	r = read_all(fs, &size);
	if (r != -EBADMSG && r != -EPROTOTYPE)
		fail_msg("%s at %zu: %d", what, at, r);
	if (fsu_record_decode(file, len, &out, NULL) != -EBADMSG)
		fail_msg("%s at %zu: decoded", what, at);
}

static void any_byte_changed_is_refused(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	uint8_t *file;
	size_t len;

	stage(fs, 5000);
	file = malloc(4096 + 5000 + 24);
	memcpy(file, crashfs_cat(*state, "/s", &len), 4096 + 5000 + 24);
	for (size_t i = 0; i < len; i += i < 200 || i >= 4090 + 5000 ? 1 : 97)
		for (int bit = 0; bit < 8; bit += 3) {
			file[i] ^= (uint8_t)(1u << bit);
			expect_refused(state, file, len, "changed", i);
			file[i] ^= (uint8_t)(1u << bit);
		}
	free(file);
}

static void a_file_cut_off_or_with_more_behind_it_is_refused(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	uint8_t *file = calloc(1, 4096 + 5000 + 24 + 100);
	size_t len;

	assert_non_null(file);
	stage(fs, 5000);
	memcpy(file, crashfs_cat(*state, "/s", &len), 4096 + 5000 + 24);
	for (size_t n = 0; n<len; n += n> 4000 && n < 4200 ? 1 : 53)
		expect_refused(state, file, n, "cut off", n);
	for (size_t more = 1; more < 100; more += 7)
		expect_refused(state, file, len + more, "with more", more);
	free(file);
}

static void what_is_no_stream_is_told_apart_from_a_damaged_one(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	struct fsu_record plain = head_of();
	uint8_t buf[400];
	uint64_t size;
	ssize_t n;

	plain.payload = "text";
	plain.raw_len = 4;
	n = fsu_record_encode(fs, &plain, buf, sizeof(buf));
	assert_true(n > 0);
	crashfs_put(*state, "/s", buf, (size_t)n);
	assert_int_equal(read_all(fs, &size), -EPROTOTYPE);
	crashfs_put(*state, "/s", "", 0);
	assert_int_equal(read_all(fs, &size), -EPROTOTYPE);
	crashfs_rm(*state, "/s");
	crashfs_mkfifo(*state, "/s");
	assert_int_equal(read_all(fs, &size), -EINVAL);
	crashfs_rm(*state, "/s");
	assert_int_equal(read_all(fs, &size), -ENOENT);
}

static void a_source_that_fails_leaves_no_file(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	static const uint64_t places[] = { 0, 1, FSU_STREAM_CHUNK, FSU_STREAM_CHUNK + 5 };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct input in = { .size = 1000000, .step = 1000, .error = ENOENT };
		const char *op;

		in.error_at = places[i];
		assert_int_equal(stage_input(fs, &in, &op), -ENOENT);
		assert_string_equal(op, "source");
		assert_false(crashfs_exists(*state, "/s"));
	}
}

static ssize_t give_too_much(void *ctx, void *buf, size_t size)
{
	(void)ctx;
	(void)buf;
	return (ssize_t)size + 1;
}

static void a_source_that_gives_more_than_asked_for_is_refused(void **state)
{
	const struct fsu_record head = head_of();
	const struct fsu_source source = { give_too_much, NULL };
	const char *op;

	assert_int_equal(
		fsu_stream_stage(disk_client(state, 0), AT_FDCWD, "/s", &head, &source, NULL, &op),
		-EOVERFLOW);
	assert_string_equal(op, "source");
	assert_false(crashfs_exists(*state, "/s"));
}

static void a_file_that_is_there_is_not_touched(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	struct input in = { .size = 10 };
	const char *op;

	disk_write(fs, "/s", "mine");
	assert_int_equal(stage_input(fs, &in, &op), -EEXIST);
	assert_string_equal(op, "open");
	disk_expect(*state, "/s", "mine");
}

static unsigned syncs;

static void count_syncs(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	(void)ctx;
	(void)path;
	(void)client;
	syncs += call == CRASHFS_FSYNC;
}

/* A heartbeat on the same journal would else wait for all of it. */
static void a_long_stream_is_synced_as_it_goes(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	uint64_t size;

	crashfs_hook_set(*state, count_syncs, NULL);
	stage(fs, FSU_STREAM_SYNC + 1);
	crashfs_hook_set(*state, NULL, NULL);
	assert_int_equal(syncs, 2);
	assert_int_equal(read_all(fs, &size), 0);
	assert_true(size == FSU_STREAM_SYNC + 1);
}

/* Whatever one call does, the file is whole or it is not there; a power cut after it changes
 * nothing. */
static void every_failing_call_is_told_and_leaves_no_file(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	bool fired = true;

	for (uint64_t at = 0; fired; at++) {
		struct input in = { .size = FSU_STREAM_CHUNK + 10 };
		struct crashfs_fault fault = { .at = at, .error = EIO, .mode = CRASHFS_NOT_DONE };
		uint64_t size;
		int r;

		crashfs_count_reset(*state);
		crashfs_fault_arm(*state, &fault);
		r = stage_input(fs, &in, NULL);
		fired = crashfs_faults_fired(*state) > 0;
		crashfs_fault_clear(*state);
		assert_true(fired ? r < 0 : r == 0);
		assert_int_equal(crashfs_exists(*state, "/s"), r == 0);
		assert_true(r < 0 || (read_all(fs, &size) == 0 && size == in.size));
		assert_int_equal(crashfs_open_fds(*state, 0), 0);
		assert_int_equal(crashfs_bytes_allocated(*state), 0);
	}
}

static void every_failing_read_is_an_error_and_never_damage(void **state)
{
	const struct fsu *fs = disk_client(state, 0);
	uint64_t size;
	bool fired = true;

	stage(fs, 30000);
	for (uint64_t at = 0; fired; at++) {
		struct crashfs_fault fault = { .at = at, .error = EIO, .mode = CRASHFS_NOT_DONE };
		int r;

		crashfs_count_reset(*state);
		crashfs_fault_arm(*state, &fault);
		r = read_all(fs, &size);
		fired = crashfs_faults_fired(*state) > 0;
		crashfs_fault_clear(*state);
		/* Closing a file that was read may fail as it likes. */
		assert_true(r == 0 || r == -EIO || r == -ENOMEM);
		assert_true(fired || r == 0);
		assert_int_equal(crashfs_open_fds(*state, 0), 0);
		assert_int_equal(crashfs_bytes_allocated(*state), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		disk_test(streams_of_every_size_come_back),
		disk_test(a_source_that_gives_little_at_a_time_makes_the_same_file),
		disk_test(the_layout_is_the_documented_one),
		disk_test(the_golden_stream_is_read_and_written_the_same),
		disk_test(any_byte_changed_is_refused),
		disk_test(a_file_cut_off_or_with_more_behind_it_is_refused),
		disk_test(what_is_no_stream_is_told_apart_from_a_damaged_one),
		disk_test(a_source_that_fails_leaves_no_file),
		disk_test(a_source_that_gives_more_than_asked_for_is_refused),
		disk_test(a_file_that_is_there_is_not_touched),
		disk_test(a_long_stream_is_synced_as_it_goes),
		disk_test(every_failing_call_is_told_and_leaves_no_file),
		disk_test(every_failing_read_is_an_error_and_never_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
