/*
 * The record envelope. tests/data/record holds records that no version may stop reading; a new one
 * is written with FSHA_TEST_WRITE_GOLDEN=1, only when a kind of record is new.
 */
#include "test_fsu.h"

#include <xxhash.h>

#include "fsutil/fsu_record.h"

#define GOLDEN_DIR "tests/data/record/"

enum {
	BUF_SIZE = 1 << 21
};
static uint8_t buf[BUF_SIZE], again[BUF_SIZE], raw[BUF_SIZE], content[BUF_SIZE];

static struct fsu_uuid uuid_of(uint8_t first)
{
	struct fsu_uuid uuid;

	for (size_t i = 0; i < sizeof(uuid.bytes); i++)
		uuid.bytes[i] = (uint8_t)(first + i);
	return uuid;
}

static struct fsu_record sample(const void *payload, size_t len)
{
	return (struct fsu_record){
		.kind = FSU_KIND_STATE,
		.epoch = UINT64_C(0x1122334455667788),
		.session = uuid_of(0x10),
		.sequence = 42,
		.seat = 3,
		.cluster = uuid_of(0x40),
		.write_id = uuid_of(0x80),
		.wall_ns = INT64_C(1790000000123456789),
		.key = "state/jobs/00000000",
		.key_len = 19,
		.payload = payload,
		.raw_len = len,
	};
}

static size_t encode(const struct fsu_record *record)
{
	ssize_t n = fsu_record_encode(&fsu_posix, record, buf, sizeof(buf));

	assert_true(n > 0);
	return (size_t)n;
}

static void assert_same(const struct fsu_record *a, const struct fsu_record *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_true(a->epoch == b->epoch);
	assert_true(fsu_uuid_equal(&a->session, &b->session));
	assert_true(a->sequence == b->sequence);
	assert_int_equal(a->seat, b->seat);
	assert_true(fsu_uuid_equal(&a->cluster, &b->cluster));
	assert_true(fsu_uuid_equal(&a->write_id, &b->write_id));
	assert_true(a->wall_ns == b->wall_ns);
	assert_int_equal(a->key_len, b->key_len);
	assert_memory_equal(a->key, b->key, a->key_len);
	assert_int_equal(a->raw_len, b->raw_len);
}

static void fill(bool random, size_t len)
{
	uint32_t x = 12345;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		content[i] = random ? (uint8_t)(x >> 24) : (uint8_t) "deflate me "[i % 11];
	}
}

static void records_of_every_size_come_back(void **state)
{
	static const size_t sizes[] = {
		0, 1, 100, 511, 512, 513, 1000, 32768, 65536, 65537, 1000000
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int random = 0; random < 2; random++) {
			struct fsu_record in = sample(content, sizes[i]), out;
			bool deflated = !random && sizes[i] >= FSU_RECORD_DEFLATE_MIN;
			size_t n;

			fill(random, sizes[i]);
			n = encode(&in);
			assert_true(n <= fsu_record_bound(in.key_len, in.raw_len));
			assert_int_equal(fsu_record_decode(buf, n, &out, NULL), 0);
			assert_same(&in, &out);
			assert_int_equal(out.flags, deflated ? FSU_RECORD_DEFLATED : 0);
			assert_int_equal(fsu_record_inflate(&fsu_posix, &out, raw), 0);
			assert_memory_equal(raw, content, sizes[i]);
			assert_int_equal(fsu_record_encode(&fsu_posix, &out, again, sizeof(again)),
					 n);
			assert_memory_equal(again, buf, n);
		}
	}
}

static void the_layout_is_the_documented_one(void **state)
{
	struct fsu_record in = sample("payload", 7);
	XXH128_hash_t hash;
	size_t n = encode(&in);

	(void)state;
	assert_int_equal(n, 112 + 19 + 7 + 16);
	assert_memory_equal(buf, "FSHAREC\n\x01\x00\x06\x00\x00\x00\x00\x00", 16);
	assert_memory_equal(buf + 16, "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
	assert_memory_equal(buf + 24, in.session.bytes, 16);
	assert_memory_equal(buf + 40, "\x2a\0\0\0\0\0\0\0\x03\0\x13\0\0\0\0\0", 16);
	assert_memory_equal(buf + 56, in.cluster.bytes, 16);
	assert_memory_equal(buf + 72, in.write_id.bytes, 16);
	assert_memory_equal(buf + 96, "\x07\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0", 16);
	assert_memory_equal(buf + 112, "state/jobs/00000000payload", 26);
	hash = XXH3_128bits(buf, n - 16);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(buf[n - 16 + i], hash.low64 >> (8 * i) & 255);
		assert_int_equal(buf[n - 8 + i], hash.high64 >> (8 * i) & 255);
	}
}

/* ---- Golden records ---- */

static struct fsu_record golden(const char *name)
{
	struct fsu_record record;

	if (strcmp(name, "deflated.rec") == 0) {
		fill(false, 2000);
		return sample(content, 2000);
	}
	record = sample("{\"name\":\"word count\"}", 21);
	if (strcmp(name, "tombstone.rec") == 0) {
		record = sample(NULL, 0);
		record.flags = FSU_RECORD_TOMBSTONE;
	}
	return record;
}

static size_t read_golden(const char *name, uint8_t *out, size_t size)
{
	char path[128];
	FILE *file;
	size_t n;

	(void)snprintf(path, sizeof(path), GOLDEN_DIR "%s", name);
	if (getenv("FSHA_TEST_WRITE_GOLDEN")) {
		struct fsu_record record = golden(name);

		n = encode(&record);
		file = fopen(path, "wbx");
		assert_non_null(file);
		assert_int_equal(fwrite(buf, 1, n, file), n);
		assert_int_equal(fclose(file), 0);
	}
	file = fopen(path, "rb");
	assert_non_null(file);
	n = fread(out, 1, size, file);
	(void)fclose(file);
	return n;
}

static void check_golden(const char *name, uint32_t flags)
{
	struct fsu_record expected, out;
	size_t n = read_golden(name, buf, sizeof(buf));

	expected = golden(name);
	assert_int_equal(fsu_record_decode(buf, n, &out, NULL), 0);
	assert_int_equal(out.flags, flags);
	assert_same(&expected, &out);
	assert_int_equal(fsu_record_inflate(&fsu_posix, &out, raw), 0);
	if (expected.raw_len > 0)
		assert_memory_equal(raw, expected.payload, expected.raw_len);
	assert_int_equal(fsu_record_encode(&fsu_posix, &out, again, sizeof(again)), n);
	assert_memory_equal(again, buf, n);
}

static void the_golden_plain_record_is_read_and_written_the_same(void **state)
{
	(void)state;
	check_golden("plain.rec", 0);
}

static void the_golden_deflated_record_is_read_and_written_the_same(void **state)
{
	(void)state;
	check_golden("deflated.rec", FSU_RECORD_DEFLATED);
}

static void the_golden_tombstone_is_read_and_written_the_same(void **state)
{
	(void)state;
	check_golden("tombstone.rec", FSU_RECORD_TOMBSTONE);
}

/* ---- Damage ---- */

static void every_flipped_bit_is_noticed(void **state)
{
	struct fsu_record in = sample("payload", 7), out;
	size_t n = encode(&in);

	(void)state;
	for (size_t bit = 0; bit < 8 * n; bit++) {
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(fsu_record_decode(buf, n, &out, NULL), -EBADMSG);
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(fsu_record_decode(buf, n, &out, NULL), 0);
}

static void every_truncation_and_every_tail_is_noticed(void **state)
{
	struct fsu_record in = sample("payload", 7), out;
	size_t n = encode(&in);

	(void)state;
	for (size_t len = 0; len < n; len++)
		assert_int_equal(fsu_record_decode(buf, len, &out, NULL), -EBADMSG);
	buf[n] = 0;
	assert_int_equal(fsu_record_decode(buf, n + 1, &out, NULL), -EBADMSG);
}

/*
 * Put `value` at an offset of a sound record and make the checksum fit again: is it refused, and
 * why?
 */
static void check_resealed(const struct fsu_record *in, size_t offset, unsigned width,
			   uint64_t value, const char *why_expected)
{
	size_t n = encode(in);
	struct fsu_writer patch = { .buf = buf + offset, .size = width };
	struct fsu_writer tail = { .buf = buf + n - 16, .size = 16 };
	struct fsu_record out;
	const char *why = "";
	XXH128_hash_t hash;

	for (unsigned i = 0; i < width; i++)
		fsu_put_u8(&patch, (uint8_t)(value >> (8 * i)));
	hash = XXH3_128bits(buf, n - 16);
	fsu_put_u64(&tail, hash.low64);
	fsu_put_u64(&tail, hash.high64);
	assert_int_equal(fsu_record_decode(buf, n, &out, &why), -EBADMSG);
	assert_string_equal(why, why_expected);
}

static void what_encode_would_not_write_is_refused_although_it_is_sealed(void **state)
{
	const struct fsu_record plain = sample("payload", 7);
	struct fsu_record tombstone = sample(NULL, 0), large;

	(void)state;
	fill(false, 2000);
	large = sample(content, 2000);
	tombstone.flags = FSU_RECORD_TOMBSTONE;
	check_resealed(&plain, 0, 1, 'X', "not a record of fsha");
	check_resealed(&plain, 8, 2, 0, "of a format that this version does not know");
	check_resealed(&plain, 10, 2, 0, "no such kind");
	check_resealed(&plain, 10, 2, FSU_KIND_MAX + 1, "no such kind");
	check_resealed(&plain, 12, 4, 16, "unknown flags");
	check_resealed(&plain, 12, 4, FSU_RECORD_TOMBSTONE, "a removal with a payload");
	check_resealed(&tombstone, 12, 4, FSU_RECORD_TOMBSTONE | FSU_RECORD_DEFLATED,
		       "a removal with a payload");
	check_resealed(&plain, 12, 4, FSU_RECORD_DEFLATED, "deflated although too small for that");
	check_resealed(&plain, 50, 2, 20, "its length is not what it says");
	check_resealed(&plain, 50, 2, FSU_RECORD_KEY_MAX + 1, "a length in it is too large");
	check_resealed(&plain, 52, 4, 1, "reserved bytes are not zero");
	check_resealed(&plain, 96, 8, 8, "two lengths of one payload");
	check_resealed(&plain, 96, 8, UINT64_MAX, "a length in it is too large");
	check_resealed(&plain, 104, 8, 8, "its length is not what it says");
	check_resealed(&plain, 104, 8, UINT64_MAX, "a length in it is too large");
	check_resealed(&large, 96, 8, 600 - 88 - 1, "deflated although too small for that");
	check_resealed(&large, 12, 4, 0, "two lengths of one payload");
}

static void a_record_without_a_key_is_refused(void **state)
{
	struct fsu_record in = sample("x", 1), out;
	const char *why = "";
	size_t n;

	(void)state;
	/* The key's only byte becomes the first of the payload. */
	in.key_len = 1;
	n = encode(&in);
	buf[50] = 0;
	buf[96] = buf[104] = 2;
	{
		XXH128_hash_t hash = XXH3_128bits(buf, n - 16);
		struct fsu_writer tail = { .buf = buf + n - 16, .size = 16 };

		fsu_put_u64(&tail, hash.low64);
		fsu_put_u64(&tail, hash.high64);
	}
	assert_int_equal(fsu_record_decode(buf, n, &out, &why), -EBADMSG);
	assert_string_equal(why, "no key");
}

static void foreign_and_empty_files_are_called_by_their_names(void **state)
{
	struct fsu_record out;
	const char *why = "";

	(void)state;
	memset(again, 0, sizeof(again));
	assert_int_equal(fsu_record_decode(again, 0, &out, &why), -EBADMSG);
	assert_string_equal(why, "empty");
	assert_int_equal(fsu_record_decode(again, 500, &out, &why), -EBADMSG);
	assert_string_equal(why, "not a record of fsha");
	assert_int_equal(fsu_record_decode((const uint8_t *)"FSHAREC\n", 8, &out, &why), -EBADMSG);
	assert_string_equal(why, "cut off");
}

/* ---- Inflating ---- */

static size_t deflated_record(struct fsu_record *ret_record)
{
	struct fsu_record in;
	size_t n;

	fill(false, 2000);
	in = sample(content, 2000);
	n = encode(&in);
	assert_int_equal(fsu_record_decode(buf, n, ret_record, NULL), 0);
	assert_int_equal(ret_record->flags, FSU_RECORD_DEFLATED);
	return n;
}

static void a_stream_of_another_length_is_refused(void **state)
{
	struct fsu_record record;

	(void)state;
	(void)deflated_record(&record);
	record.raw_len = 2001;
	assert_int_equal(fsu_record_inflate(&fsu_posix, &record, raw), -EBADMSG);
	record.raw_len = 1999;
	assert_int_equal(fsu_record_inflate(&fsu_posix, &record, raw), -EBADMSG);
	record.raw_len = 2000;
	record.stored_len++; /* something behind the end of the stream */
	assert_int_equal(fsu_record_inflate(&fsu_posix, &record, raw), -EBADMSG);
	record.stored_len -= 2;
	assert_int_equal(fsu_record_inflate(&fsu_posix, &record, raw), -EBADMSG);
}

static void a_damaged_stream_is_refused(void **state)
{
	struct fsu_record record;

	(void)state;
	(void)deflated_record(&record);
	memcpy(again, record.payload, record.stored_len);
	record.payload = again;
	for (size_t i = 0; i < record.stored_len; i++) {
		again[i] ^= 0x10;
		/* zlib sums up what comes out, so nothing but the content itself passes. */
		if (fsu_record_inflate(&fsu_posix, &record, raw) == 0)
			assert_memory_equal(raw, content, 2000);
		again[i] ^= 0x10;
	}
	memset(again, 0xff, record.stored_len);
	assert_int_equal(fsu_record_inflate(&fsu_posix, &record, raw), -EBADMSG);
}

static void memory_for_zlib_comes_from_the_table_and_goes_back(void **state)
{
	struct fsu_record in, record;
	struct faulty f;

	(void)state;
	(void)deflated_record(&record);
	fill(false, 2000);
	in = sample(content, 2000);
	faulty_init(&f);
	assert_true(fsu_record_encode(&f.fs, &in, again, sizeof(again)) > 0);
	assert_int_equal(fsu_record_inflate(&f.fs, &record, raw), 0);
	assert_true(f.count[ALLOC] > 2);
	assert_int_equal(f.live_allocations, 0);
	for (unsigned at = 0; at < 3; at++) {
		faulty_arm(&f, ALLOC, at, ENOMEM, NOT_DONE);
		assert_int_equal(fsu_record_encode(&f.fs, &in, again, sizeof(again)), -ENOMEM);
		assert_int_equal(f.live_allocations, 0);
	}
	faulty_arm(&f, ALLOC, 0, ENOMEM, NOT_DONE);
	assert_int_equal(fsu_record_inflate(&f.fs, &record, raw), -ENOMEM);
	assert_int_equal(f.live_allocations, 0);
}

/* ---- What encode refuses ---- */

static void a_buffer_that_is_too_small_is_refused(void **state)
{
	struct fsu_record in = sample("payload", 7);
	size_t n = fsu_record_bound(in.key_len, in.raw_len);

	(void)state;
	assert_int_equal(fsu_record_encode(&fsu_posix, &in, buf, n), n);
	assert_int_equal(fsu_record_encode(&fsu_posix, &in, buf, n - 1), -EMSGSIZE);
}

static int encode_error(struct fsu_record record)
{
	return (int)fsu_record_encode(&fsu_posix, &record, buf, sizeof(buf));
}

static void what_decode_would_refuse_is_not_encoded(void **state)
{
	const struct fsu_record good = sample("payload", 7);
	struct fsu_record bad;

	(void)state;
	bad = good, bad.kind = 0;
	assert_int_equal(encode_error(bad), -EINVAL);
	bad = good, bad.kind = FSU_KIND_MAX + 1;
	assert_int_equal(encode_error(bad), -EINVAL);
	bad = good, bad.flags = 8;
	assert_int_equal(encode_error(bad), -EINVAL);
	bad = good, bad.flags = FSU_RECORD_TOMBSTONE;
	assert_int_equal(encode_error(bad), -EINVAL);
	bad = good, bad.flags = FSU_RECORD_DEFLATED, bad.stored_len = 5;
	assert_int_equal(encode_error(bad), -EINVAL);
	bad = good, bad.key_len = 0;
	assert_int_equal(encode_error(bad), -EINVAL);
	bad = good, bad.key_len = FSU_RECORD_KEY_MAX + 1;
	assert_int_equal(encode_error(bad), -EMSGSIZE);
	bad = good, bad.raw_len = FSU_RECORD_RAW_MAX + 1;
	assert_int_equal(encode_error(bad), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_of_every_size_come_back),
		cmocka_unit_test(the_layout_is_the_documented_one),
		cmocka_unit_test(the_golden_plain_record_is_read_and_written_the_same),
		cmocka_unit_test(the_golden_deflated_record_is_read_and_written_the_same),
		cmocka_unit_test(the_golden_tombstone_is_read_and_written_the_same),
		cmocka_unit_test(every_flipped_bit_is_noticed),
		cmocka_unit_test(every_truncation_and_every_tail_is_noticed),
		cmocka_unit_test(what_encode_would_not_write_is_refused_although_it_is_sealed),
		cmocka_unit_test(a_record_without_a_key_is_refused),
		cmocka_unit_test(foreign_and_empty_files_are_called_by_their_names),
		cmocka_unit_test(a_stream_of_another_length_is_refused),
		cmocka_unit_test(a_damaged_stream_is_refused),
		cmocka_unit_test(memory_for_zlib_comes_from_the_table_and_goes_back),
		cmocka_unit_test(a_buffer_that_is_too_small_is_refused),
		cmocka_unit_test(what_decode_would_refuse_is_not_encoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
