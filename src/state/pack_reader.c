/* Reading many members of packs: a few windows into files that stay open. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "src/result/error.h"
#include "src/state/pack.h"

#define WINDOW_SIZE ((size_t)256 << 10)

static void close_window(struct pack_reader *reader, struct pack_window *w)
{
	if (fsha_version_is_existing(&w->pack))
		(void)fsu_close(reader->fs, w->fd); /* opened for reading */
	w->pack = (fsha_version){ 0 };
	w->len = 0;
}

void pack_reader_done(struct pack_reader *reader)
{
	for (size_t i = 0; i < PACK_WINDOWS; i++) {
		close_window(reader, &reader->windows[i]);
		fsu_release(reader->fs, reader->windows[i].bytes);
		reader->windows[i].bytes = NULL;
	}
}

/* The window into this pack, or the one that was not used for longest. */
static struct pack_window *choose(struct pack_reader *reader, const fsha_version *pack)
{
	struct pack_window *oldest = &reader->windows[0];

	for (size_t i = 0; i < PACK_WINDOWS; i++) {
		struct pack_window *w = &reader->windows[i];

		if (fsha_version_compare(&w->pack, pack) == 0)
			return w;
		if (w->used < oldest->used)
			oldest = w;
	}
	return oldest;
}

static fsha_result open_window(struct pack_reader *reader, struct pack_window *w,
			       const struct record_place *place, const fsha_version *pack,
			       fsha_error *reterr)
{
	char name[NAME_SIZE];
	fsha_result result;
	size_t file_size;

	if (!w->bytes)
		w->bytes = fsu_alloc(reader->fs, WINDOW_SIZE);
	if (!w->bytes)
		return error_os(reterr, -ENOMEM, "alloc", "cannot read '%s'", place->directory);
	result = pack_open(place, pack, name, &w->fd, &file_size, reterr);
	if (result == FSHA_OK)
		w->pack = *pack;
	return result;
}

/* Move the window so that it begins with the part. */
static int fill_window(struct pack_reader *reader, struct pack_window *w,
		       const struct pack_part *part)
{
	w->len = 0;
	w->start = part->offset;
	return pack_read_at(reader->fs, w->fd, w->bytes, WINDOW_SIZE, part->offset, &w->len);
}

static bool is_inside(const struct pack_window *w, const struct pack_part *part)
{
	return part->offset >= w->start && part->offset - w->start <= w->len &&
	       part->size <= w->len - (part->offset - w->start);
}

fsha_result pack_reader_read(struct pack_reader *reader, const struct record_place *place,
			     const struct pack_part *part, uint8_t **ret_bytes, fsha_error *reterr)
{
	struct pack_window *w;
	fsha_result result;
	uint8_t *bytes;

	assert(fsha_version_is_existing(&part->pack));
	if (part->size > WINDOW_SIZE)
		return pack_read_bytes(place, part, ret_bytes, reterr);
	w = choose(reader, &part->pack);
	if (fsha_version_compare(&w->pack, &part->pack) != 0) {
		close_window(reader, w);
		result = open_window(reader, w, place, &part->pack, reterr);
		if (result != FSHA_OK)
			return result;
	}
	w->used = ++reader->reads;
	/* What cannot be had this way is asked for, and its error told, the plain way. */
	if (!is_inside(w, part) && (fill_window(reader, w, part) < 0 || !is_inside(w, part))) {
		close_window(reader, w);
		return pack_read_bytes(place, part, ret_bytes, reterr);
	}
	assert(w->bytes);
	bytes = fsu_alloc(reader->fs, part->size);
	if (!bytes)
		return error_os(reterr, -ENOMEM, "alloc", "cannot read '%s'", place->directory);
	memcpy(bytes, w->bytes + (part->offset - w->start), part->size);
	*ret_bytes = bytes;
	return FSHA_OK;
}
