#include "src/record/stream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "src/result/error.h"

struct record_stream {
	struct fsu_stream stream;
	const char *directory; /* the opener's */
	char file_name[NAME_SIZE];
};

fsha_result record_stage_stream(const struct record_place *place,
				const struct record_content *content, struct record_source *source,
				int dirfd, const char *path, int *ret_errno, const char **ret_op,
				fsha_error *reterr)
{
	char key[FSU_RECORD_KEY_MAX + 1];
	struct fsu_record head;
	fsha_result result;
	const char *op = "write";
	int r;

	assert(content->form == NAME_VALUE);
	result = record_make_head(place, content, key, &head, reterr);
	if (result != FSHA_OK)
		return result;
	r = fsu_stream_stage(place->fs, dirfd, path, &head, &source->source, source->original, &op);
	if (r == 0)
		return FSHA_OK;
	if (strcmp(op, "source") != 0) {
		*ret_errno = r;
		*ret_op = op;
		return FSHA_E_IO;
	}
	/* Whatever its errno is, it says nothing about our storage. */
	if (source->result != FSHA_OK)
		return error_copy(reterr, source->error);
	return error_set(reterr, FSHA_E_IO, -r, "read", "cannot read the new value of '%s/%s'",
			 place->directory, content->key);
}

fsha_result record_stream_open(const struct record_place *place, const char *file_name,
			       uint16_t kind, struct record_stream **ret_stream, fsha_error *reterr)
{
	struct record_stream *s = fsu_alloc(place->fs, sizeof(*s));
	fsha_result result = FSHA_OK;
	const char *why = "damaged";
	int r;

	assert(strlen(file_name) < sizeof(s->file_name));
	if (!s)
		return error_os(reterr, -ENOMEM, "alloc", "cannot read '%s/%s'", place->directory,
				file_name);
	s->directory = place->directory;
	strcpy(s->file_name, file_name);
	r = fsu_stream_open(place->fs, place->dir_fd, file_name, &s->stream, &why);
	if (r == -EPROTOTYPE)
		result = error_set(reterr, FSHA_E_UNSUPPORTED, 0, "open", "'%s/%s' is no stream",
				   place->directory, file_name);
	else if (r == -EBADMSG)
		result = record_corrupt(place, file_name, why, reterr);
	else if (r < 0)
		result = record_read_error(place, file_name, r, reterr);
	if (result != FSHA_OK) {
		fsu_release(place->fs, s);
		return result;
	}
	why = record_mismatch(place, file_name, kind, &s->stream.head);
	if (why) {
		record_stream_close(s);
		return record_foreign(place, file_name, why, reterr);
	}
	*ret_stream = s;
	return FSHA_OK;
}

void record_stream_close(struct record_stream *s)
{
	const struct fsu *fs = s->stream.fs;

	fsu_stream_close(&s->stream);
	fsu_release(fs, s);
}

uint64_t record_stream_size(const struct record_stream *s)
{
	return s->stream.head.raw_len;
}

static fsha_result copy_failed(const struct record_stream *s, int r, fsha_error *reterr)
{
	const struct record_place place = { .fs = s->stream.fs, .directory = s->directory };

	if (r == -EBADMSG)
		return record_corrupt(&place, s->file_name, "its checksum does not fit", reterr);
	if (r == -ESTALE || r == -ENOENT)
		return error_set(reterr, FSHA_E_VERSION, -r, "read",
				 "'%s/%s' was replaced or removed while it was read: read again",
				 s->directory, s->file_name);
	return error_os(reterr, r, "read", "cannot read '%s/%s'", s->directory, s->file_name);
}

fsha_result record_stream_copy(struct record_stream *s, const struct record_sink *sink,
			       fsha_error *reterr)
{
	const struct fsu *fs = s->stream.fs;
	uint8_t *chunk = fsu_alloc(fs, FSU_STREAM_CHUNK);
	fsha_result result = FSHA_OK;
	ssize_t n = chunk ? 1 : -ENOMEM;
	uint64_t left = 0; /* that the sink has already */

	if (chunk && sink->clone)
		left = sink->clone(sink->ctx, s->stream.fd, FSU_STREAM_HEAD, record_stream_size(s));
	while (n > 0 && result == FSHA_OK) {
		size_t skip;

		n = fsu_stream_read(&s->stream, chunk, FSU_STREAM_CHUNK);
		if (n <= 0)
			break;
		skip = left < (uint64_t)n ? (size_t)left : (size_t)n;
		left -= skip;
		if (skip < (size_t)n)
			result = sink->write(sink->ctx, chunk + skip, (size_t)n - skip, reterr);
	}
	fsu_release(fs, chunk);
	return n < 0 ? copy_failed(s, (int)n, reterr) : result;
}
