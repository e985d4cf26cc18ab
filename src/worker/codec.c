#include "src/worker/codec.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "fsutil/fsu_record.h"

/* ---- UTF-8 ---- */

/* How many bytes follow a first byte, and the bits of the code point in it; -1: none begins so. */
static int first_byte(uint8_t byte, uint32_t *ret_bits, uint32_t *ret_lowest)
{
	if (byte < 0x80) {
		*ret_bits = byte;
		*ret_lowest = 1; /* no zero byte */
		return 0;
	}
	if ((byte & 0xe0) == 0xc0) {
		*ret_bits = byte & 0x1f;
		*ret_lowest = 0x80;
		return 1;
	}
	if ((byte & 0xf0) == 0xe0) {
		*ret_bits = byte & 0x0f;
		*ret_lowest = 0x800;
		return 2;
	}
	if ((byte & 0xf8) == 0xf0) {
		*ret_bits = byte & 0x07;
		*ret_lowest = 0x10000;
		return 3;
	}
	return -1;
}

bool utf8_is_valid(const char *text, size_t len)
{
	size_t at = 0;

	while (at < len) {
		uint32_t point, lowest;
		int more = first_byte((uint8_t)text[at++], &point, &lowest);

		if (more < 0 || (size_t)more > len - at)
			return false;
		for (int i = 0; i < more; i++) {
			uint8_t byte = (uint8_t)text[at++];

			if ((byte & 0xc0) != 0x80)
				return false;
			point = point << 6 | (byte & 0x3f);
		}
		if (point < lowest || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
			return false;
	}
	return true;
}

/* ---- A worker ---- */

static size_t text_len(const char *text)
{
	return text ? strlen(text) : 0;
}

size_t worker_encoded_size(const fsha_worker *worker)
{
	return 4 + 8 + 4 + text_len(worker->slave_id) + 4 + text_len(worker->hostname) + 4 +
	       worker->launchable_size;
}

void worker_encode(const fsha_worker *worker, int64_t updated_ms, uint8_t *buf, size_t size)
{
	struct fsu_writer w = { .buf = buf, .size = size };

	fsu_put_u32(&w, (uint32_t)worker->state);
	fsu_put_u64(&w, (uint64_t)updated_ms);
	fsu_put_bytes(&w, worker->slave_id, text_len(worker->slave_id));
	fsu_put_bytes(&w, worker->hostname, text_len(worker->hostname));
	fsu_put_bytes(&w, worker->launchable, worker->launchable_size);
	assert(w.error == 0);
	assert(w.len == size);
}

int worker_decode(const uint8_t *buf, size_t len, struct worker_fields *ret_fields)
{
	struct fsu_reader r = { .buf = buf, .size = len };
	struct worker_fields f = { .state = 0 };
	uint32_t state;

	state = fsu_get_u32(&r);
	f.updated_ms = (int64_t)fsu_get_u64(&r);
	f.slave_id = fsu_get_bytes(&r, FSHA_SLAVE_ID_MAX, &f.slave_id_len);
	f.hostname = fsu_get_bytes(&r, FSHA_HOSTNAME_MAX, &f.hostname_len);
	f.launchable = fsu_get_bytes(&r, FSHA_LAUNCHABLE_MAX, &f.launchable_size);
	if (fsu_reader_end(&r) < 0 || state > FSHA_WORKER_RELEASED ||
	    !utf8_is_valid(f.slave_id, f.slave_id_len) ||
	    !utf8_is_valid(f.hostname, f.hostname_len))
		return -EBADMSG;
	f.state = (int32_t)state;
	*ret_fields = f;
	return 0;
}

/* ---- The framework id and the counter ---- */

size_t framework_id_encode(const char *id, uint8_t *buf)
{
	struct fsu_writer w = { .buf = buf, .size = FSHA_FRAMEWORK_ID_SIZE + 4 };

	fsu_put_bytes(&w, id, strlen(id));
	assert(w.error == 0);
	return w.len;
}

int framework_id_decode(const uint8_t *buf, size_t len, char *ret_id)
{
	struct fsu_reader r = { .buf = buf, .size = len };
	const char *text;
	size_t text_size;

	text = fsu_get_bytes(&r, FRAMEWORK_ID_MAX, &text_size);
	/* An empty one would have been removed instead. */
	if (fsu_reader_end(&r) < 0 || text_size == 0 || !utf8_is_valid(text, text_size))
		return -EBADMSG;
	memcpy(ret_id, text, text_size);
	ret_id[text_size] = '\0';
	return 0;
}

void counter_encode(uint64_t number, uint8_t *buf)
{
	struct fsu_writer w = { .buf = buf, .size = COUNTER_SIZE };

	assert(number > 0);
	assert(number <= COUNTER_MAX);
	fsu_put_u64(&w, number);
}

int counter_decode(const uint8_t *buf, size_t len, uint64_t *ret_number)
{
	struct fsu_reader r = { .buf = buf, .size = len };
	uint64_t number = fsu_get_u64(&r);

	if (fsu_reader_end(&r) < 0 || number == 0 || number > COUNTER_MAX)
		return -EBADMSG;
	*ret_number = number;
	return 0;
}
