/* Streamed records: read in pieces and decoded whole they are the same, and staged anew as well. */
#include <errno.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_stream.h"
#include "tests/fuzz/fuzz.h"

/* fsu_stream_stage has two chunks; the filesystem in memory holds everything twice. */
#define MEMORY ((size_t)4 << 20)
#define PIECE 1000

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	return fuzz_mutate_record(data, size, size_max, seed);
}

struct piecewise {
	const uint8_t *at;
	size_t left;
};

static ssize_t read_piece(void *ctx, void *buf, size_t size)
{
	struct piecewise *p = ctx;
	size_t n = p->left < size ? p->left : size;

	n = n < PIECE ? n : PIECE;
	if (n > 0)
		memcpy(buf, p->at, n);
	p->at += n;
	p->left -= n;
	return (ssize_t)n;
}

static void stage_again(const struct fsu_record *record, const uint8_t *data, size_t size)
{
	struct piecewise p = { record->payload, record->raw_len };
	const struct fsu_source source = { read_piece, &p };
	uint8_t *again;
	const char *op;
	size_t len = 0;

	FUZZ_CHECK(fsu_stream_stage(fuzz_disk(), AT_FDCWD, "again", record, &source, NULL, &op) ==
		   0);
	again = fuzz_get_file("again", &len);
	FUZZ_CHECK(again);
	FUZZ_CHECK(len == size);
	FUZZ_CHECK(memcmp(again, data, size) == 0);
	free(again);
}

/* What reading it in pieces says: 0 or an error. */
static int read_pieces(struct fsu_stream *stream, const uint8_t *data, size_t size)
{
	uint8_t piece[PIECE];
	size_t done = 0;
	ssize_t n;

	while ((n = fsu_stream_read(stream, piece, sizeof(piece))) > 0) {
		FUZZ_CHECK(FSU_STREAM_HEAD + done + (size_t)n <= size);
		FUZZ_CHECK(memcmp(piece, data + FSU_STREAM_HEAD + done, (size_t)n) == 0);
		done += (size_t)n;
	}
	return (int)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fsu_record record;
	struct fsu_stream stream;
	const char *why = NULL;
	bool whole;
	int r;

	fuzz_begin(MEMORY + 4 * size);
	whole = fsu_record_decode(data, size, &record, NULL) == 0 &&
		record.flags & FSU_RECORD_STREAMED;
	fuzz_put_file("stream", data, size);
	r = fsu_stream_open(fuzz_disk(), AT_FDCWD, "stream", &stream, &why);
	FUZZ_CHECK(r == 0 || r == -EPROTOTYPE || (r == -EBADMSG && why));
	if (r == 0) {
		r = read_pieces(&stream, data, size);
		FUZZ_CHECK(r == 0 || r == -EBADMSG);
		fsu_stream_close(&stream);
	}
	FUZZ_CHECK(whole == (r == 0));
	if (whole)
		stage_again(&record, data, size);
	fuzz_end();
	return 0;
}
