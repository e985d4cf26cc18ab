/*
 * The record envelope (doc/FORMAT.md): one for every record on disk. Little-endian, fixed offsets,
 * a checksum over all of it. The decoder does no I/O, allocates nothing, and rejects what the
 * encoder would not write.
 */
#ifndef FSU_RECORD_H
#define FSU_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fsutil/fsu_uuid.h"

#define FSU_RECORD_FORMAT 1
#define FSU_RECORD_HEAD 112 /* bytes before the key */
#define FSU_RECORD_TAIL 16  /* XXH3-128 behind the payload */
#define FSU_RECORD_KEY_MAX 1024
/* Larger values are streamed, not enveloped whole. */
#define FSU_RECORD_RAW_MAX (UINT64_C(64) << 20)
#define FSU_RECORD_DEFLATE_MIN 512 /* payloads below this are stored as they are */

enum fsu_record_kind {
	FSU_KIND_SETTINGS = 1,
	FSU_KIND_MEMBER = 2,
	FSU_KIND_LEADER = 3,
	FSU_KIND_HISTORY = 4,
	FSU_KIND_OWNER = 5,
	FSU_KIND_STATE = 6,
	FSU_KIND_JOB_GRAPH = 7,
	FSU_KIND_JOB_RESULT = 8, /* tombstones only: the results are JSON */
	FSU_KIND_RUNNING_JOB = 9,
	FSU_KIND_CHECKPOINT = 10, /* checkpoints and their counter */
	FSU_KIND_BLOB = 11,
	FSU_KIND_WORKER = 12, /* workers, framework id, task counter */
	FSU_KIND_PACK = 13,
};
#define FSU_KIND_MAX 64 /* kinds above are rejected; unknown ones below pass the envelope */

#define FSU_RECORD_DEFLATED 1u
#define FSU_RECORD_TOMBSTONE 2u /* the key is removed; no payload */
#define FSU_RECORD_MARKED 4u    /* its removal has begun; the payload is the value as it was */
#define FSU_RECORD_FLAGS 7u
/* Not an envelope around its payload but a stream (fsutil/fsu_stream.h); alone. */
#define FSU_RECORD_STREAMED 8u

/*
 * A record in memory. `key` and `payload` point into the caller's memory (encode) or into the
 * decoded buffer (decode). After decode `payload` is as stored: deflated when flags say so.
 */
struct fsu_record {
	uint16_t kind;
	uint32_t flags;
	uint64_t epoch;
	struct fsu_uuid session;
	uint64_t sequence;
	uint16_t seat;
	struct fsu_uuid cluster; /* null only in what belongs to no cluster */
	struct fsu_uuid write_id;
	int64_t wall_ns;
	const char *key; /* "<directory>/<key>", not terminated */
	size_t key_len;
	const void *payload;
	size_t stored_len; /* bytes of payload as stored */
	size_t raw_len;    /* bytes once inflated; equal to stored_len when not deflated */
};

/* Bytes that encode needs for a payload of `raw_len` bytes, compressed or not. */
size_t fsu_record_bound(size_t key_len, size_t raw_len);
/*
 * Encode into `buf` of `size` bytes. record->payload holds raw_len raw bytes; they are deflated
 * when they are at least FSU_RECORD_DEFLATE_MIN and that helps, and flags, stored_len come out in
 * the bytes written. With FSU_RECORD_DEFLATED already set, payload holds stored_len deflated bytes
 * and goes in as it is. Memory for zlib comes from `fs`. Returns the length, or -EINVAL, -EMSGSIZE,
 * -ENOMEM.
 */
ssize_t fsu_record_encode(const struct fsu *fs, const struct fsu_record *record, uint8_t *buf,
			  size_t size);
/*
 * -EBADMSG for anything that encode would not have written, whatever the reason; `ret_why` (may be
 * NULL) says which. -EPROTONOSUPPORT for what is whole and of a newer format. One thing passes that
 * our encoder would have written otherwise: a payload that is stored as it is although it would
 * deflate, since how well it does depends on the zlib.
 */
int fsu_record_decode(const uint8_t *buf, size_t len, struct fsu_record *ret_record,
		      const char **ret_why);
/*
 * The parts of fsu_record_encode and _decode that streams share. put_head writes head and key to
 * `buf`, with these flags and no lengths. get_head reads a head and returns NULL, or what in it
 * cannot be, whatever the flags; key and payload are left alone.
 */
void fsu_record_put_head(const struct fsu_record *record, uint32_t flags, uint8_t *buf);
const char *fsu_record_get_head(const uint8_t *buf, struct fsu_record *ret_record);
bool fsu_record_has_magic(const uint8_t *buf, size_t len);
/*
 * How long the record at the beginning of `buf` says that it is: for one that has other bytes
 * behind it. 0 when there is no head of a record.
 */
size_t fsu_record_measure(const uint8_t *buf, size_t len);
/*
 * The raw payload into `raw` of raw_len bytes. -EBADMSG when it does not inflate to exactly that;
 * -ENOMEM.
 */
int fsu_record_inflate(const struct fsu *fs, const struct fsu_record *record, void *raw);

/*
 * Payload fields: little-endian integers and length-prefixed bytes, with a sticky error so that a
 * codec reads like a list of its fields and checks once, at the end.
 */
struct fsu_writer {
	uint8_t *buf;
	size_t size;
	size_t len;
	int error; /* 0 or -EMSGSIZE */
};
struct fsu_reader {
	const uint8_t *buf;
	size_t size;
	size_t pos;
	int error; /* 0 or -EBADMSG */
};
void fsu_put_u8(struct fsu_writer *w, uint8_t value);
void fsu_put_u16(struct fsu_writer *w, uint16_t value);
void fsu_put_u32(struct fsu_writer *w, uint32_t value);
void fsu_put_u64(struct fsu_writer *w, uint64_t value);
void fsu_put_uuid(struct fsu_writer *w, const struct fsu_uuid *uuid);
/* u32 length, then the bytes. */
void fsu_put_bytes(struct fsu_writer *w, const void *data, size_t len);
uint8_t fsu_get_u8(struct fsu_reader *r);
uint16_t fsu_get_u16(struct fsu_reader *r);
uint32_t fsu_get_u32(struct fsu_reader *r);
uint64_t fsu_get_u64(struct fsu_reader *r);
void fsu_get_uuid(struct fsu_reader *r, struct fsu_uuid *ret_uuid);
/* Points into the buffer; NULL and *ret_len 0 on error. */
const void *fsu_get_bytes(struct fsu_reader *r, size_t len_max, size_t *ret_len);
/* As a C string of at most size - 1 bytes into `text`; NUL bytes inside are an error. */
void fsu_get_text(struct fsu_reader *r, char *text, size_t size);
/* 0 when nothing went wrong and everything was read. */
int fsu_reader_end(const struct fsu_reader *r);

#endif
