#include <assert.h>
#include <errno.h>
#include <string.h>

#include "fsutil/fsu_record.h"

/* Room for `len` more bytes, or NULL and the error stays. */
static uint8_t *reserve(struct fsu_writer *w, size_t len)
{
	uint8_t *at;

	assert(w->len <= w->size);
	if (w->error)
		return NULL;
	if (len > w->size - w->len) {
		w->error = -EMSGSIZE;
		return NULL;
	}
	at = w->buf + w->len;
	w->len += len;
	return at;
}

static void put_little_endian(struct fsu_writer *w, uint64_t value, size_t len)
{
	uint8_t *at = reserve(w, len);

	for (size_t i = 0; at && i < len; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

void fsu_put_u8(struct fsu_writer *w, uint8_t value)
{
	put_little_endian(w, value, 1);
}

void fsu_put_u16(struct fsu_writer *w, uint16_t value)
{
	put_little_endian(w, value, 2);
}

void fsu_put_u32(struct fsu_writer *w, uint32_t value)
{
	put_little_endian(w, value, 4);
}

void fsu_put_u64(struct fsu_writer *w, uint64_t value)
{
	put_little_endian(w, value, 8);
}

void fsu_put_uuid(struct fsu_writer *w, const struct fsu_uuid *uuid)
{
	uint8_t *at = reserve(w, sizeof(uuid->bytes));

	if (at)
		memcpy(at, uuid->bytes, sizeof(uuid->bytes));
}

void fsu_put_bytes(struct fsu_writer *w, const void *data, size_t len)
{
	uint8_t *at;

	if (len > UINT32_MAX && !w->error)
		w->error = -EMSGSIZE;
	fsu_put_u32(w, (uint32_t)len);
	at = reserve(w, len);
	if (at && len > 0)
		memcpy(at, data, len);
}

/* The next `len` bytes, or NULL and the error stays. */
static const uint8_t *take(struct fsu_reader *r, size_t len)
{
	const uint8_t *at;

	assert(r->pos <= r->size);
	if (r->error)
		return NULL;
	if (len > r->size - r->pos) {
		r->error = -EBADMSG;
		return NULL;
	}
	at = r->buf + r->pos;
	r->pos += len;
	return at;
}

static uint64_t get_little_endian(struct fsu_reader *r, size_t len)
{
	const uint8_t *at = take(r, len);
	uint64_t value = 0;

	for (size_t i = 0; at && i < len; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

uint8_t fsu_get_u8(struct fsu_reader *r)
{
	return (uint8_t)get_little_endian(r, 1);
}

uint16_t fsu_get_u16(struct fsu_reader *r)
{
	return (uint16_t)get_little_endian(r, 2);
}

uint32_t fsu_get_u32(struct fsu_reader *r)
{
	return (uint32_t)get_little_endian(r, 4);
}

uint64_t fsu_get_u64(struct fsu_reader *r)
{
	return get_little_endian(r, 8);
}

void fsu_get_uuid(struct fsu_reader *r, struct fsu_uuid *ret_uuid)
{
	const uint8_t *at = take(r, sizeof(ret_uuid->bytes));

	if (at)
		memcpy(ret_uuid->bytes, at, sizeof(ret_uuid->bytes));
	else
		*ret_uuid = (struct fsu_uuid){ { 0 } };
}

const void *fsu_get_bytes(struct fsu_reader *r, size_t len_max, size_t *ret_len)
{
	size_t len = fsu_get_u32(r);
	const void *at;

	if (len > len_max && !r->error)
		r->error = -EBADMSG;
	at = take(r, len);
	*ret_len = at ? len : 0;
	return at;
}

void fsu_get_text(struct fsu_reader *r, char *text, size_t size)
{
	const char *at;
	size_t len;

	assert(size > 0);
	at = fsu_get_bytes(r, size - 1, &len);
	if (at && memchr(at, '\0', len)) {
		r->error = -EBADMSG;
		len = 0;
	}
	if (at && len > 0)
		memcpy(text, at, len);
	text[len] = '\0';
}

int fsu_reader_end(const struct fsu_reader *r)
{
	if (r->error)
		return r->error;
	return r->pos == r->size ? 0 : -EBADMSG;
}
