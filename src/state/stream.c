/*
 * Values of any size. The bytes pass with no lock held, which may take minutes: a write stages them
 * first, under a version that it has taken for itself, and its commit then asks everything again.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "src/result/error.h"
#include "src/state/store.h"

/*
 * Up to here a value is no stream but an ordinary record, which is smaller, and can be packed and
 * compressed.
 */
#define SMALL_MAX ((size_t)64 << 10)

/* ---- Writing ---- */

/* The source again, with what was read of it already. */
struct intake {
	struct record_source source; /* this, for who stages */
	struct fsu_original original;
	struct record_source *from;
	struct term *term;
	uint8_t *head;
	size_t head_len, head_done;
	bool ended; /* at the end of the head */
	fsha_error error;
};

/* A term that is over will publish nothing: no use in copying on. */
static int check_term(void *ctx)
{
	struct intake *in = ctx;

	if (term_is_live(in->term))
		return 0;
	in->source.result = term_not_live(in->term, &in->error);
	in->source.error = &in->error;
	return -ECANCELED;
}

static ssize_t read_intake(void *ctx, void *buf, size_t size)
{
	struct intake *in = ctx;
	ssize_t n = check_term(in);

	if (n < 0)
		return n;
	if (in->head_done < in->head_len) {
		if (size > in->head_len - in->head_done)
			size = in->head_len - in->head_done;
		memcpy(buf, in->head + in->head_done, size);
		in->head_done += size;
		return (ssize_t)size;
	}
	if (in->ended)
		return 0;
	n = in->from->source.read(in->from->source.ctx, buf, size);
	if (n < 0) {
		in->source.result = in->from->result;
		in->source.error = in->from->error;
	}
	return n;
}

/* The first bytes, one more than are small. */
static fsha_result read_head(struct store *s, const char *key, struct intake *in,
			     fsha_error *reterr)
{
	in->head = fsu_alloc(s->cluster->fs, SMALL_MAX + 1);
	if (!in->head)
		return error_os(reterr, -ENOMEM, "alloc", "cannot write '%s/%s'", s->directory,
				key);
	while (in->head_len <= SMALL_MAX && !in->ended) {
		size_t room = SMALL_MAX + 1 - in->head_len;
		ssize_t n =
			in->from->source.read(in->from->source.ctx, in->head + in->head_len, room);

		if (n > 0 && (size_t)n > room)
			n = -EOVERFLOW; /* it has written behind the buffer: at least say so */
		if (n < 0 && in->from->result != FSHA_OK)
			return error_copy(reterr, in->from->error);
		if (n < 0)
			return error_set(reterr, FSHA_E_IO, (int)-n, "read",
					 "cannot read the new value of '%s/%s'", s->directory, key);
		in->ended = n == 0;
		in->head_len += (size_t)n;
	}
	return FSHA_OK;
}

static fsha_result stage_intake(void *ctx, const struct record_place *place,
				const struct record_content *content, int dirfd, const char *path,
				int *ret_errno, const char **ret_op, fsha_error *reterr)
{
	struct intake *in = ctx;

	return record_stage_stream(place, content, &in->source, dirfd, path, ret_errno, ret_op,
				   reterr);
}

static void count_streaming(struct store *s, int one)
{
	(void)pthread_mutex_lock(&s->mutex);
	s->streaming += (unsigned)one;
	(void)pthread_mutex_unlock(&s->mutex);
}

static fsha_result write_stream(struct store *s, struct term *t, struct store_change *c,
				struct intake *in, fsha_version *ret_version, fsha_error *reterr)
{
	const struct term_write write = {
		.dir_fd = -1, /* perhaps not there yet */
		.directory = s->directory,
		.key = c->key,
		.kind = s->kind,
		.form = NAME_VALUE,
		.stage = stage_intake,
		.stage_ctx = in,
	};
	fsha_version present, staged;
	fsha_result result;

	/* Refuse before anything is copied what will be refused then. */
	count_streaming(s, 1);
	result = store_may_change(s, t, c, &present, reterr);
	if (result == FSHA_OK)
		result = term_stage(t, &write, fsha_version_is_existing(&present) ? &present : NULL,
				    &staged, reterr);
	c->staged = &staged;
	if (result == FSHA_OK)
		result = store_commit(s, t, c, ret_version, reterr);
	c->staged = NULL;
	count_streaming(s, -1);
	c->staged = NULL;
	return result;
}

fsha_result store_write_stream(struct store *s, enum store_write how, const char *key,
			       const fsha_version *expected, struct record_source *source,
			       fsha_version *ret_version, fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	const int64_t begun_ns = fsu_now_ns(s->cluster->fs);
	struct store_change change = { .how = how, .key = key, .expected = expected };
	struct intake in = {
		.from = source,
		.term = t,
		.error = FSHA_ERROR_INIT,
	};
	fsha_result result;

	assert(!s->format);
	assert(how != STORE_REMOVE);
	in.source.source.read = read_intake;
	in.source.source.ctx = &in;
	if (source->original) {
		in.original = *source->original;
		in.original.tick = check_term;
		in.original.ctx = &in;
		in.source.original = &in.original;
	}
	result = t ? read_head(s, key, &in, reterr) : store_not_leader(s, key, reterr);
	if (result == FSHA_OK && in.head_len <= SMALL_MAX) {
		change.data = in.head;
		change.size = in.head_len;
		result = store_commit(s, t, &change, ret_version, reterr);
	} else if (result == FSHA_OK) {
		result = write_stream(s, t, &change, &in, ret_version, reterr);
	}
	fsu_release(s->cluster->fs, in.head);
	term_unref(t);
	cluster_count(s->cluster, FSHA_OPERATION_WRITE, begun_ns, result);
	return result;
}

/* ---- Reading ---- */

struct outlet {
	const struct record_sink *sink;
	uint64_t size;
};

/* An ordinary record, handed over in one piece. */
static fsha_result pour_whole(struct outlet *out, struct store *s, const struct store_found *found,
			      fsha_error *reterr)
{
	struct record record;
	fsha_result result = store_read_whole(&record, s, found, reterr);

	if (result != FSHA_OK)
		return result;
	out->size = record.size;
	if (record.size > 0)
		result = out->sink->write(out->sink->ctx, record.data, record.size, reterr);
	record_done(s->cluster->fs, &record);
	assert(result != FSHA_E_NOT_FOUND);
	return result;
}

static fsha_result pour(void *ctx, struct store *s, const struct store_found *found,
			fsha_error *reterr)
{
	struct outlet *out = ctx;
	struct record_stream *stream;
	fsha_result result;

	if (found->packed)
		return pour_whole(out, s, found, reterr);
	result = record_stream_open(&found->place, found->file, s->kind, &stream, reterr);
	if (result == FSHA_E_UNSUPPORTED)
		return pour_whole(out, s, found, reterr);
	if (result != FSHA_OK)
		return result;
	out->size = record_stream_size(stream);
	result = record_stream_copy(stream, out->sink, reterr);
	record_stream_close(stream);
	assert(result != FSHA_E_NOT_FOUND);
	return result;
}

fsha_result store_get_stream(struct store *s, const char *key, const struct record_sink *sink,
			     uint64_t *ret_size, fsha_version *ret_version, fsha_error *reterr)
{
	struct outlet out = { .sink = sink };
	fsha_result result;

	assert(!s->format);
	result = store_read(s, key, pour, &out, ret_version, reterr);
	if (result == FSHA_OK && ret_size)
		*ret_size = out.size;
	return result;
}
