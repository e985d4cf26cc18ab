/*
 * Bytes are hashed where they pass by: each is touched twice by this process, once by the checksum
 * and once by the call that moves it, and is never held longer than its chunk.
 */
#include "fsutil/fsu_stream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* With the state's layout known, it lies in memory of ours; the library would take its own. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "fsutil/fsu_file.h"

struct fsu_stream_state {
	XXH3_state_t hash;
};

/* ---- The checksum ---- */

/* Memory of ours is aligned for any type, but not for vectors. */
static struct fsu_stream_state *state_create(const struct fsu *fs)
{
	const size_t align = _Alignof(struct fsu_stream_state);
	char *block = fsu_alloc(fs, sizeof(struct fsu_stream_state) + align + sizeof(void *));
	struct fsu_stream_state *state;
	uintptr_t at;

	if (!block)
		return NULL;
	at = ((uintptr_t)block + sizeof(void *) + align - 1) / align * align;
	state = (struct fsu_stream_state *)(block + (at - (uintptr_t)block));
	memcpy((char *)state - sizeof(void *), &block, sizeof(block));
	(void)XXH3_128bits_reset(&state->hash); /* fails for NULL only, as does update */
	return state;
}

static void state_destroy(const struct fsu *fs, struct fsu_stream_state *state)
{
	void *block = NULL;

	if (state)
		memcpy(&block, (char *)state - sizeof(void *), sizeof(block));
	fsu_release(fs, block);
}

static void state_add(struct fsu_stream_state *state, const void *data, size_t len)
{
	(void)XXH3_128bits_update(&state->hash, data, len);
}

static void put_checksum(struct fsu_writer *w, XXH128_hash_t hash)
{
	fsu_put_u64(w, hash.low64);
	fsu_put_u64(w, hash.high64);
}

/* ---- Writing ---- */

struct output {
	const struct fsu *fs;
	int dirfd;
	const char *path;
	int fd;
	uint64_t size;     /* of what was written */
	uint64_t unsynced; /* of it since the last fsync */
	struct fsu_stream_state *state;
	uint8_t *chunk;
	const char *op; /* the call that failed */
};

static int put(struct output *o, const void *data, size_t len)
{
	const uint8_t *at = data;

	o->op = "write";
	o->size += len;
	o->unsynced += len;
	while (len > 0) {
		ssize_t n = fsu_write(o->fs, o->fd, at, len);

		if (n < 0)
			return (int)n;
		if (n == 0 || (size_t)n > len)
			return -EIO;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int put_hashed(struct output *o, const void *data, size_t len)
{
	state_add(o->state, data, len);
	return put(o, data, len);
}

static int sync_output(struct output *o)
{
	o->op = "fsync";
	o->unsynced = 0;
	return fsu_fsync(o->fs, o->fd);
}

static int put_head(struct output *o, const struct fsu_record *head)
{
	_Static_assert(FSU_STREAM_HEAD <= FSU_STREAM_CHUNK, "a head fits into a chunk");

	memset(o->chunk, 0, FSU_STREAM_HEAD);
	fsu_record_put_head(head, FSU_RECORD_STREAMED, o->chunk);
	return put_hashed(o, o->chunk, FSU_STREAM_HEAD);
}

/* A chunk, full unless the source ends: its bytes, or an error. */
static ssize_t fill_chunk(struct output *o, const struct fsu_source *source)
{
	size_t len = 0;

	o->op = "source";
	while (len < FSU_STREAM_CHUNK) {
		ssize_t n = source->read(source->ctx, o->chunk + len, FSU_STREAM_CHUNK - len);

		if (n < 0)
			return n;
		if ((size_t)n > FSU_STREAM_CHUNK - len)
			return -EOVERFLOW; /* it has written behind the buffer: at least say so */
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static int put_payload(struct output *o, const struct fsu_source *source)
{
	for (;;) {
		ssize_t n = fill_chunk(o, source);
		int r;

		if (n < 0)
			return (int)n;
		if (o->size + (uint64_t)n > FSU_STREAM_RAW_MAX)
			return -EFBIG;
		r = put_hashed(o, o->chunk, (size_t)n);
		/*
		 * Not all at the end: on a journalling filesystem the rename of our own heartbeat
		 * waits behind the fsync, and many GiB last longer than a lease.
		 */
		if (r == 0 && o->unsynced >= FSU_STREAM_SYNC)
			r = sync_output(o);
		if (r < 0 || (size_t)n < FSU_STREAM_CHUNK)
			return r;
	}
}

/* What was cloned. Not the original is read: somebody may be changing that. */
static int hash_payload(struct output *o, const struct fsu_original *original)
{
	while (o->size < FSU_STREAM_HEAD + original->size) {
		uint64_t left = FSU_STREAM_HEAD + original->size - o->size;
		ssize_t n;
		int r;

		o->op = "source";
		r = original->tick ? original->tick(original->ctx) : 0;
		if (r < 0)
			return r;
		o->op = "read";
		n = fsu_pread(o->fs, o->fd, o->chunk,
			      left < FSU_STREAM_CHUNK ? (size_t)left : FSU_STREAM_CHUNK,
			      (off_t)o->size);
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		state_add(o->state, o->chunk, (size_t)n);
		o->size += (uint64_t)n;
	}
	return 0;
}

/*
 * A descriptor that writes behind what was cloned: that had to go through one that does not append
 * (EBADF otherwise, see generic_file_rw_checks() of Linux), and leaves that where it stood.
 */
static int reopen(struct output *o)
{
	int r = sync_output(o), closed;

	if (r < 0)
		return r;
	o->op = "close";
	closed = fsu_close(o->fs, o->fd);
	o->fd = -1;
	if (closed < 0)
		return closed;
	o->op = "open";
	r = fsu_openat(o->fs, o->dirfd, o->path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0);
	o->fd = r;
	return r < 0 ? r : 0;
}

/*
 * Share the blocks of the original, which takes no time and no space. 1; 0: it cannot be, copy. It
 * was measured (XFS, 1 GB): 0.4 s with the hashing, against 1.1 s and 1 GB of space for copying.
 * copy_file_range() is not tried: without shared blocks it saves nothing, since the bytes must be
 * read for the checksum in any case.
 */
static int clone_payload(struct output *o, const struct fsu_original *original)
{
	struct statx st;
	int r;

	if (!original || fsu_clone(o->fs, o->fd, original->fd, 0, 0, FSU_STREAM_HEAD) < 0)
		return 0;
	o->op = "statx";
	r = fsu_statx(o->fs, o->fd, "", AT_EMPTY_PATH, STATX_SIZE, &st);
	if (r == 0 && st.stx_size != FSU_STREAM_HEAD + original->size) {
		o->op = "source";
		r = -EBUSY; /* it has changed its size since it was opened */
	}
	if (r == 0)
		r = hash_payload(o, original);
	if (r == 0)
		r = reopen(o);
	return r < 0 ? r : 1;
}

static int put_tail(struct output *o)
{
	struct fsu_writer w = { .buf = o->chunk, .size = FSU_STREAM_TAIL };

	fsu_put_u64(&w, o->size - FSU_STREAM_HEAD);
	state_add(o->state, w.buf, w.len);
	put_checksum(&w, XXH3_128bits_digest(&o->state->hash));
	assert(w.len == FSU_STREAM_TAIL);
	return put(o, w.buf, w.len);
}

static int stage(struct output *o, const struct fsu_record *head, const struct fsu_source *source,
		 const struct fsu_original *original)
{
	struct statx st;
	int r;

	r = put_head(o, head);
	if (r == 0)
		r = clone_payload(o, original);
	if (r == 0)
		r = put_payload(o, source);
	if (r >= 0)
		r = put_tail(o);
	if (r == 0) {
		/* Was a write repeated that had been done? See write_all() in fsu_file.c. */
		o->op = "write";
		r = fsu_statx(o->fs, o->fd, "", AT_EMPTY_PATH, STATX_SIZE, &st);
		if (r == 0 && st.stx_size != o->size)
			r = -EIO;
	}
	return r < 0 ? r : sync_output(o);
}

int fsu_stream_stage(const struct fsu *fs, int dirfd, const char *path,
		     const struct fsu_record *head, const struct fsu_source *source,
		     const struct fsu_original *original, const char **ret_op)
{
	const int flags = original ? O_RDWR : O_WRONLY; /* a clone is read back */
	struct output o = { .fs = fs, .dirfd = dirfd, .path = path, .fd = -1, .op = "alloc" };
	int r = -ENOMEM, closed;
	bool made;

	o.state = state_create(fs);
	o.chunk = fsu_alloc(fs, FSU_STREAM_CHUNK);
	if (o.state && o.chunk) {
		o.op = "open";
		r = fsu_openat(fs, dirfd, path, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			       FSU_FILE_MODE);
		o.fd = r;
	}
	made = o.fd >= 0;
	if (made)
		r = stage(&o, head, source, original);
	if (o.fd >= 0) {
		closed = fsu_close(fs, o.fd);
		if (r == 0 && closed < 0) {
			o.op = "close";
			r = closed;
		}
	}
	/* An open that failed may have created. With EEXIST, though, the file is another's. */
	if (r < 0 && (made || (r != -EEXIST && r != -ENOMEM)))
		(void)fsu_unlinkat(fs, dirfd, path, 0); /* what stays, a successor clears away */
	state_destroy(fs, o.state);
	fsu_release(fs, o.chunk);
	if (r < 0)
		*ret_op = o.op;
	return r;
}

/* ---- What may stand in one; for both ways of reading ---- */

static bool is_streamed(const uint8_t *buf, size_t len)
{
	struct fsu_reader r = { .buf = buf, .size = len, .pos = 12 };

	return len >= FSU_RECORD_HEAD && fsu_record_has_magic(buf, len) &&
	       (fsu_get_u32(&r) & FSU_RECORD_STREAMED);
}

/* NULL when head and length of the payload agree with a file of `size` bytes. */
static const char *check(const uint8_t *bytes, uint64_t size, uint64_t raw_len,
			 struct fsu_record *record)
{
	const char *why = fsu_record_get_head(bytes, record);
	size_t used = FSU_RECORD_HEAD + record->key_len;

	if (why)
		return why;
	if (record->flags != FSU_RECORD_STREAMED)
		return "unknown flags";
	if (record->raw_len != 0 || record->stored_len != 0)
		return "two lengths of one payload";
	if (raw_len > FSU_STREAM_RAW_MAX || size != FSU_STREAM_HEAD + raw_len + FSU_STREAM_TAIL)
		return "its length is not what it says";
	for (size_t i = used; i < FSU_STREAM_HEAD; i++)
		if (bytes[i] != 0)
			return "reserved bytes are not zero";
	record->raw_len = raw_len;
	record->stored_len = raw_len;
	record->key = (const char *)bytes + FSU_RECORD_HEAD;
	return NULL;
}

const char *fsu_stream_decode(const uint8_t *buf, size_t len, struct fsu_record *record)
{
	struct fsu_reader r = { .buf = buf, .size = len };
	uint8_t checksum[16] = { 0 };
	struct fsu_writer w = { .buf = checksum, .size = sizeof(checksum) };
	uint64_t raw_len;

	if (len < FSU_STREAM_HEAD + FSU_STREAM_TAIL)
		return "cut off";
	r.pos = len - FSU_STREAM_TAIL;
	raw_len = fsu_get_u64(&r);
	put_checksum(&w, XXH3_128bits(buf, len - sizeof(checksum)));
	if (memcmp(buf + len - sizeof(checksum), checksum, sizeof(checksum)) != 0)
		return "its checksum does not fit";
	record->payload = buf + FSU_STREAM_HEAD;
	return check(buf, len, raw_len, record);
}

/* ---- Reading ---- */

/* All of `len` bytes; -EBADMSG when the file ends before. */
static int read_fully(const struct fsu_stream *s, void *buf, size_t len, uint64_t offset)
{
	uint8_t *at = buf;

	while (len > 0) {
		ssize_t n = fsu_pread(s->fs, s->fd, at, len, (off_t)offset);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return -EBADMSG;
		assert((size_t)n <= len);
		at += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int open_checked(struct fsu_stream *s, uint64_t size, const char **ret_why)
{
	uint8_t tail[FSU_STREAM_TAIL];
	struct fsu_reader r = { .buf = tail, .size = sizeof(tail) };
	uint64_t raw_len;
	int error;

	error = read_fully(s, s->bytes, size < sizeof(s->bytes) ? (size_t)size : sizeof(s->bytes),
			   0);
	if (error < 0) {
		*ret_why = "cut off";
		return error;
	}
	if (!is_streamed(s->bytes, size < sizeof(s->bytes) ? (size_t)size : sizeof(s->bytes)))
		return -EPROTOTYPE;
	*ret_why = "cut off";
	if (size < FSU_STREAM_HEAD + FSU_STREAM_TAIL)
		return -EBADMSG;
	error = read_fully(s, tail, sizeof(tail), size - sizeof(tail));
	if (error < 0)
		return error;
	raw_len = fsu_get_u64(&r);
	memcpy(s->checksum, tail + 8, sizeof(s->checksum));
	*ret_why = check(s->bytes, size, raw_len, &s->head);
	if (*ret_why)
		return -EBADMSG;
	s->state = state_create(s->fs);
	if (!s->state)
		return -ENOMEM;
	state_add(s->state, s->bytes, sizeof(s->bytes));
	return 0;
}

int fsu_stream_open(const struct fsu *fs, int dirfd, const char *path, struct fsu_stream *s,
		    const char **ret_why)
{
	size_t size = 0;
	int r;

	s->fs = fs;
	s->done = 0;
	s->state = NULL;
	s->head = (struct fsu_record){ .kind = 0 };
	s->fd = fsu_file_open(fs, dirfd, path, &size);
	if (s->fd < 0)
		return s->fd;
	r = open_checked(s, size, ret_why);
	if (r < 0)
		fsu_stream_close(s);
	return r;
}

/* The payload is through: is it what was written? */
static int finish(struct fsu_stream *s)
{
	uint8_t bytes[FSU_STREAM_TAIL];
	struct fsu_writer w = { .buf = bytes, .size = sizeof(bytes) };

	fsu_put_u64(&w, s->head.raw_len);
	state_add(s->state, bytes, w.len);
	put_checksum(&w, XXH3_128bits_digest(&s->state->hash));
	return memcmp(bytes + 8, s->checksum, sizeof(s->checksum)) == 0 ? 0 : -EBADMSG;
}

ssize_t fsu_stream_read(struct fsu_stream *s, void *buf, size_t size)
{
	uint64_t left = s->head.raw_len - s->done;
	ssize_t n;

	assert(s->fd >= 0);
	assert(size > 0);
	if (left == 0)
		return finish(s);
	if (size > left)
		size = (size_t)left;
	n = fsu_pread(s->fs, s->fd, buf, size, (off_t)(FSU_STREAM_HEAD + s->done));
	if (n == 0)
		return -EBADMSG; /* it was longer when it was opened */
	if (n > 0) {
		assert((size_t)n <= size);
		state_add(s->state, buf, (size_t)n);
		s->done += (uint64_t)n;
	}
	return n;
}

void fsu_stream_close(struct fsu_stream *s)
{
	if (s->fd >= 0)
		(void)fsu_close(s->fs, s->fd); /* opened for reading */
	s->fd = -1;
	state_destroy(s->fs, s->state);
	s->state = NULL;
}
