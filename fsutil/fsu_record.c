/*
 * The envelope. Offset and size, little-endian:
 *
 *     0  8  "FSHAREC\n"          52  4  reserved, 0
 *     8  2  format, 1            56 16  cluster
 *    10  2  kind                 72 16  write id
 *    12  4  flags                88  8  wall clock, ns
 *    16  8  epoch                96  8  payload once inflated, bytes
 *    24 16  session             104  8  payload as stored, bytes
 *    40  8  sequence            112     key, payload as stored,
 *    48  2  seat                        XXH3-128 of all before it: low half, high half
 *    50  2  key, bytes
 */
#include "fsutil/fsu_record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <xxhash.h>

#define ZLIB_CONST
#include <zlib.h>

#include "fsutil/fsu_stream.h"

static const char magic[8] = { 'F', 'S', 'H', 'A', 'R', 'E', 'C', '\n' };

#define RECORD_MAX (FSU_RECORD_HEAD + FSU_RECORD_KEY_MAX + FSU_RECORD_RAW_MAX + FSU_RECORD_TAIL)

size_t fsu_record_bound(size_t key_len, size_t raw_len)
{
	return FSU_RECORD_HEAD + key_len + raw_len + FSU_RECORD_TAIL;
}

/* ---- zlib ---- */

/* zlib hands its opaque pointer back without const. */
struct zlib_memory {
	const struct fsu *fs;
};

static void *zlib_alloc(void *opaque, unsigned items, unsigned size)
{
	const struct zlib_memory *memory = opaque;

	return fsu_alloc(memory->fs, (size_t)items * size);
}

static void zlib_free(void *opaque, void *ptr)
{
	const struct zlib_memory *memory = opaque;

	fsu_release(memory->fs, ptr);
}

/*
 * Deflate into at most `size` bytes. Returns their number; 0 when they are too few; -ENOMEM. Speed
 * before size: this stands between the caller and every commit. The window is no larger than the
 * data, since its memory is made anew for every record.
 */
static ssize_t deflate_payload(const struct fsu *fs, const void *raw, size_t raw_len, uint8_t *out,
			       size_t size)
{
	struct zlib_memory memory = { .fs = fs };
	z_stream z = { .zalloc = zlib_alloc, .zfree = zlib_free, .opaque = &memory };
	int window_bits = 9;
	int r;

	assert(raw_len <= UINT32_MAX && size <= UINT32_MAX);
	while (window_bits < MAX_WBITS && (size_t)1 << window_bits < raw_len)
		window_bits++;
	r = deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, window_bits, window_bits - 7,
			 Z_DEFAULT_STRATEGY);
	if (r != Z_OK)
		return -ENOMEM; /* the parameters are constants: nothing else can be wrong */
	z.next_in = raw;
	z.avail_in = (unsigned)raw_len;
	z.next_out = out;
	z.avail_out = (unsigned)size;
	r = deflate(&z, Z_FINISH);
	size -= z.avail_out;
	(void)deflateEnd(&z); /* complains of a stream that did not fit */
	return r == Z_STREAM_END ? (ssize_t)size : 0;
}

int fsu_record_inflate(const struct fsu *fs, const struct fsu_record *record, void *raw)
{
	struct zlib_memory memory = { .fs = fs };
	z_stream z = { .zalloc = zlib_alloc, .zfree = zlib_free, .opaque = &memory };
	int r;

	assert(record->raw_len <= FSU_RECORD_RAW_MAX);
	assert(record->stored_len <= record->raw_len);
	if (!(record->flags & FSU_RECORD_DEFLATED)) {
		if (record->raw_len > 0)
			memcpy(raw, record->payload, record->raw_len);
		return 0;
	}
	if (inflateInit(&z) != Z_OK)
		return -ENOMEM;
	z.next_in = record->payload;
	z.avail_in = (unsigned)record->stored_len;
	z.next_out = raw;
	z.avail_out = (unsigned)record->raw_len;
	r = inflate(&z, Z_FINISH);
	(void)inflateEnd(&z);
	if (r == Z_MEM_ERROR)
		return -ENOMEM;
	/* Ended, and both sides are used up to the last byte. */
	return r == Z_STREAM_END && z.avail_in == 0 && z.avail_out == 0 ? 0 : -EBADMSG;
}

/* ---- What may stand in an envelope; for both directions ---- */

/* NULL when the parts agree with each other, or what does not. */
static const char *disagreement(const struct fsu_record *record)
{
	if (record->kind == 0 || record->kind > FSU_KIND_MAX)
		return "no such kind";
	if (record->flags & ~FSU_RECORD_FLAGS)
		return "unknown flags";
	if (record->key_len == 0)
		return "no key";
	if (record->flags & FSU_RECORD_TOMBSTONE)
		return record->flags & ~FSU_RECORD_TOMBSTONE || record->raw_len > 0 ||
				       record->stored_len > 0 ?
			       "a removal with a payload" :
			       NULL;
	if (record->flags & FSU_RECORD_DEFLATED) {
		if (record->raw_len < FSU_RECORD_DEFLATE_MIN)
			return "deflated although too small for that";
		if (record->stored_len >= record->raw_len || record->stored_len == 0)
			return "deflated without getting smaller";
	} else if (record->stored_len != record->raw_len) {
		return "two lengths of one payload";
	}
	return NULL;
}

/* ---- Encode ---- */

static void put_head(struct fsu_writer *w, const struct fsu_record *record)
{
	memcpy(w->buf, magic, sizeof(magic));
	w->len = sizeof(magic);
	fsu_put_u16(w, FSU_RECORD_FORMAT);
	fsu_put_u16(w, record->kind);
	fsu_put_u32(w, record->flags);
	fsu_put_u64(w, record->epoch);
	fsu_put_uuid(w, &record->session);
	fsu_put_u64(w, record->sequence);
	fsu_put_u16(w, record->seat);
	fsu_put_u16(w, (uint16_t)record->key_len);
	fsu_put_u32(w, 0);
	fsu_put_uuid(w, &record->cluster);
	fsu_put_uuid(w, &record->write_id);
	fsu_put_u64(w, (uint64_t)record->wall_ns);
	fsu_put_u64(w, record->raw_len);
	fsu_put_u64(w, record->stored_len);
	assert(w->error == 0);
	assert(w->len == FSU_RECORD_HEAD);
}

void fsu_record_put_head(const struct fsu_record *record, uint32_t flags, uint8_t *buf)
{
	struct fsu_record out = *record;
	struct fsu_writer w = { .buf = buf, .size = FSU_RECORD_HEAD };

	assert(out.key_len > 0);
	assert(out.key_len <= FSU_RECORD_KEY_MAX);
	out.flags = flags;
	out.raw_len = 0;
	out.stored_len = 0;
	put_head(&w, &out);
	memcpy(buf + FSU_RECORD_HEAD, out.key, out.key_len);
}

static void put_checksum(struct fsu_writer *w)
{
	XXH128_hash_t hash = XXH3_128bits(w->buf, w->len);

	fsu_put_u64(w, hash.low64);
	fsu_put_u64(w, hash.high64);
}

ssize_t fsu_record_encode(const struct fsu *fs, const struct fsu_record *record, uint8_t *buf,
			  size_t size)
{
	struct fsu_record out = *record;
	struct fsu_writer w = { .buf = buf, .size = size };
	uint8_t *payload;

	if (out.key_len > FSU_RECORD_KEY_MAX || out.raw_len > FSU_RECORD_RAW_MAX)
		return -EMSGSIZE;
	if (!(out.flags & FSU_RECORD_DEFLATED))
		out.stored_len = out.raw_len;
	if (disagreement(&out))
		return -EINVAL;
	if (fsu_record_bound(out.key_len, out.stored_len) > size)
		return -EMSGSIZE;

	payload = buf + FSU_RECORD_HEAD + out.key_len;
	if (!(out.flags & FSU_RECORD_DEFLATED) && out.raw_len >= FSU_RECORD_DEFLATE_MIN) {
		ssize_t n = deflate_payload(fs, out.payload, out.raw_len, payload, out.raw_len - 1);

		if (n < 0)
			return n;
		if (n > 0) {
			out.flags |= FSU_RECORD_DEFLATED;
			out.stored_len = (size_t)n;
			out.payload = payload;
		}
	}
	put_head(&w, &out);
	memcpy(buf + w.len, out.key, out.key_len);
	if (out.payload != payload && out.stored_len > 0)
		memcpy(payload, out.payload, out.stored_len);
	w.len += out.key_len + out.stored_len;
	put_checksum(&w);
	assert(w.error == 0);
	return (ssize_t)w.len;
}

/* ---- Decode ---- */

static bool checksum_fits(const uint8_t *buf, size_t len)
{
	XXH128_hash_t hash = XXH3_128bits(buf, len - FSU_RECORD_TAIL);
	struct fsu_reader r = { .buf = buf, .size = len, .pos = len - FSU_RECORD_TAIL };

	return fsu_get_u64(&r) == hash.low64 && fsu_get_u64(&r) == hash.high64;
}

/* The fields of the head; returns the reserved ones together. */
static uint32_t get_head(const uint8_t *buf, struct fsu_record *record)
{
	struct fsu_reader r = { .buf = buf, .size = FSU_RECORD_HEAD, .pos = 10 };
	uint32_t reserved;

	record->kind = fsu_get_u16(&r);
	record->flags = fsu_get_u32(&r);
	record->epoch = fsu_get_u64(&r);
	fsu_get_uuid(&r, &record->session);
	record->sequence = fsu_get_u64(&r);
	record->seat = fsu_get_u16(&r);
	record->key_len = fsu_get_u16(&r);
	reserved = fsu_get_u32(&r);
	fsu_get_uuid(&r, &record->cluster);
	fsu_get_uuid(&r, &record->write_id);
	record->wall_ns = (int64_t)fsu_get_u64(&r);
	record->raw_len = fsu_get_u64(&r);
	record->stored_len = fsu_get_u64(&r);
	assert(fsu_reader_end(&r) == 0);
	return reserved;
}

bool fsu_record_has_magic(const uint8_t *buf, size_t len)
{
	return len >= sizeof(magic) && memcmp(buf, magic, sizeof(magic)) == 0;
}

static unsigned format_of(const uint8_t *buf)
{
	return buf[8] | buf[9] << 8;
}

/*
 * Every format to come begins with magic and number and ends with the checksum over all before it,
 * so that a newer record is told from a damaged one.
 */
static const char newer_format[] = "of a newer format than this version knows";

static bool is_newer(const uint8_t *buf, size_t len)
{
	return format_of(buf) > FSU_RECORD_FORMAT && checksum_fits(buf, len);
}

/*
 * From the outside in: nothing is looked at before the sizes say that it is there, and what kind of
 * file it is comes before whether it is damaged, so that a foreign file and one of a newer version
 * are called by their names.
 */
static const char *decode(const uint8_t *buf, size_t len, struct fsu_record *record)
{
	uint32_t reserved;

	if (len == 0)
		return "empty";
	if (!fsu_record_has_magic(buf, len))
		return "not a record of fsha";
	if (len < fsu_record_bound(1, 0))
		return "cut off";
	if (format_of(buf) != FSU_RECORD_FORMAT)
		return is_newer(buf, len) ? newer_format :
					    "of a format that this version does not know";
	reserved = get_head(buf, record);
	if (record->flags & FSU_RECORD_STREAMED)
		return fsu_stream_decode(buf, len, record);
	if (len > RECORD_MAX)
		return "larger than a record can be";
	if (record->key_len > FSU_RECORD_KEY_MAX || record->raw_len > FSU_RECORD_RAW_MAX ||
	    record->stored_len > FSU_RECORD_RAW_MAX)
		return "a length in it is too large";
	if (fsu_record_bound(record->key_len, record->stored_len) != len)
		return "its length is not what it says";
	if (!checksum_fits(buf, len))
		return "its checksum does not fit";
	if (reserved != 0)
		return "reserved bytes are not zero";
	record->key = (const char *)buf + FSU_RECORD_HEAD;
	record->payload = buf + FSU_RECORD_HEAD + record->key_len;
	return disagreement(record);
}

const char *fsu_record_get_head(const uint8_t *buf, struct fsu_record *record)
{
	uint32_t reserved = get_head(buf, record);

	if (format_of(buf) != FSU_RECORD_FORMAT)
		return "of a format that this version does not know";
	if (record->key_len > FSU_RECORD_KEY_MAX) {
		record->key_len = 0;
		return "a length in it is too large";
	}
	if (reserved != 0)
		return "reserved bytes are not zero";
	if (record->kind == 0 || record->kind > FSU_KIND_MAX)
		return "no such kind";
	return record->key_len == 0 ? "no key" : NULL;
}

int fsu_record_decode(const uint8_t *buf, size_t len, struct fsu_record *ret_record,
		      const char **ret_why)
{
	struct fsu_record record = { 0 };
	const char *why = decode(buf, len, &record);

	if (why) {
		if (ret_why)
			*ret_why = why;
		return why == newer_format ? -EPROTONOSUPPORT : -EBADMSG;
	}
	*ret_record = record;
	return 0;
}

size_t fsu_record_measure(const uint8_t *buf, size_t len)
{
	struct fsu_record record;

	if (len < FSU_RECORD_HEAD || !fsu_record_has_magic(buf, len) ||
	    format_of(buf) != FSU_RECORD_FORMAT)
		return 0;
	(void)get_head(buf, &record);
	if (record.key_len > FSU_RECORD_KEY_MAX || record.stored_len > FSU_RECORD_RAW_MAX)
		return 0;
	return fsu_record_bound(record.key_len, record.stored_len);
}
