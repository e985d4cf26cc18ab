/*
 * Streamed records: for values of any size, written and read with the memory of one chunk. Envelope
 * head and key, padded with zeros to FSU_STREAM_HEAD bytes; the raw bytes; their number; XXH3-128
 * of all before it (doc/FORMAT.md). The number stands at the end because it is not known at the
 * beginning; the size of the file must agree with it. The payload begins where a block of a
 * filesystem does, so that what clones blocks can clone it.
 *
 * Nobody can know that a stream is whole before its last byte was read. So whoever takes bytes out
 * of fsu_stream_read holds them back, or can throw them away, until it has said 0.
 */
#ifndef FSU_STREAM_H
#define FSU_STREAM_H

#include "fsutil/fsu_ops.h"
#include "fsutil/fsu_record.h"

#define FSU_STREAM_HEAD 4096
#define FSU_STREAM_TAIL 24 /* length, checksum */
#define FSU_STREAM_CHUNK (UINT64_C(256) << 10)
/* So much is synced at a time: see stage() in fsu_stream.c. A multiple of the chunk. */
#define FSU_STREAM_SYNC (UINT64_C(64) << 20)
/* No file system of today holds a larger file, and no sum of ours overflows. */
#define FSU_STREAM_RAW_MAX (UINT64_C(1) << 62)

/*
 * Where bytes come from. Puts up to `size` (at least 1) of them into `buf` and returns how many; 0
 * at the end; a negative errno ends the writing with it.
 */
struct fsu_source {
	ssize_t (*read)(void *ctx, void *buf, size_t size);
	void *ctx;
};

/*
 * A file whose content a stream may share the blocks of, where the filesystem can: a descriptor of
 * the table, all of it.
 */
struct fsu_original {
	int fd;
	uint64_t size;
	/* Asked now and then while its copy is hashed; a negative errno ends the writing. */
	int (*tick)(void *ctx);
	void *ctx;
};

/*
 * Create `path` as fsu_file_stage does, with a record whose head is `head` (key, kind, version,
 * ...; its payload and lengths are not looked at) and whose payload is all that `source` gives.
 * `original` (may be NULL) is where that comes from. *ret_op is "source" when it was the source
 * that failed.
 */
int fsu_stream_stage(const struct fsu *fs, int dirfd, const char *path,
		     const struct fsu_record *head, const struct fsu_source *source,
		     const struct fsu_original *original, const char **ret_op);

struct fsu_stream_state; /* the checksum so far */
struct fsu_stream {
	const struct fsu *fs;
	int fd;
	struct fsu_record head; /* key points into `bytes`; raw_len is that of the payload */
	uint64_t done;          /* bytes of the payload that were read */
	struct fsu_stream_state *state;
	uint8_t checksum[16];
	uint8_t bytes[FSU_STREAM_HEAD];
};
/*
 * Open a streamed record. -EBADMSG for what fsu_stream_stage would not have written, `ret_why` says
 * which; -EPROTOTYPE: it is a record that is not streamed, or none at all, for fsu_file_read and
 * fsu_record_decode to tell; -EINVAL: no regular file. Nothing in `head` is proved by the checksum
 * yet. Not to be moved while it is open.
 */
int fsu_stream_open(const struct fsu *fs, int dirfd, const char *path,
		    struct fsu_stream *ret_stream, const char **ret_why);
/*
 * The next bytes of the payload: how many, at most `size`. 0 at the end, and then all of it was
 * right; -EBADMSG: it was not. Any other error: nothing is known.
 */
ssize_t fsu_stream_read(struct fsu_stream *stream, void *buf, size_t size);
void fsu_stream_close(struct fsu_stream *stream);

/* A whole streamed record in memory; for fsu_record_decode. NULL, or what is wrong with it. */
const char *fsu_stream_decode(const uint8_t *buf, size_t len, struct fsu_record *ret_record);

#endif
