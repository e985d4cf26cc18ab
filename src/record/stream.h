/*
 * Streamed records bound to their place (fsutil/fsu_stream.h, src/record/record.h): values that are
 * never in memory whole.
 */
#ifndef SRC_RECORD_STREAM_H
#define SRC_RECORD_STREAM_H

#include "fsutil/fsu_stream.h"
#include "src/record/record.h"

/*
 * Where the bytes of a value come from. `read` as in struct fsu_source; when it has failed,
 * `result` and `error` tell the caller why.
 */
struct record_source {
	struct fsu_source source;
	const struct fsu_original *original; /* may be NULL; `tick` is left to who stages */
	fsha_result result; /* FSHA_OK: `error` is not used, it is IO with the errno of `read` */
	const fsha_error *error;
};

/* Where they go to: 0, or a result with `reterr` filled in, which ends the reading. */
struct record_sink {
	fsha_result (*write)(void *ctx, const void *data, size_t size, fsha_error *reterr);
	void *ctx;
	/*
	 * Share the blocks of `size` bytes of `fd` from `offset` on, which are all that is to come.
	 * Returns how many it has then, from the first on; `write` gets the rest. NULL: it cannot.
	 */
	uint64_t (*clone)(void *ctx, int fd, uint64_t offset, uint64_t size);
};

/* What a term's `stage` hook does, see src/election/term.h. */
fsha_result record_stage_stream(const struct record_place *place,
				const struct record_content *content, struct record_source *source,
				int dirfd, const char *path, int *ret_errno, const char **ret_op,
				fsha_error *reterr);

/*
 * Open a streamed record; results as record_read, and FSHA_E_UNSUPPORTED when it is no stream.
 * Close it.
 */
struct record_stream;
fsha_result record_stream_open(const struct record_place *place, const char *file_name,
			       uint16_t kind, struct record_stream **ret_stream,
			       fsha_error *reterr);
void record_stream_close(struct record_stream *stream);
uint64_t record_stream_size(const struct record_stream *stream);
/*
 * Hand all of it over. FSHA_OK: it was right to the last byte. FSHA_E_CORRUPT: something that was
 * handed over is damaged. FSHA_E_VERSION: the file was taken away meanwhile, since there is a newer
 * version. Otherwise what the sink or the storage said.
 */
fsha_result record_stream_copy(struct record_stream *stream, const struct record_sink *sink,
			       fsha_error *reterr);

#endif
