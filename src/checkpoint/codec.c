/* Checkpoints as bytes (doc/FORMAT.md) and as copies in memory. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/checkpoint/checkpoint.h"
#include "src/cluster/layout.h"
#include "src/result/error.h"

#define HEAD_SIZE (8 + 8 + 1 + 1 + 4 + 4) /* all but the bytes of pointer and metadata */

void checkpoint_directory(const fsha_job_id *job, char *ret_directory)
{
	char text[FSHA_HEX_ID_TEXT];

	(void)snprintf(ret_directory, CHECKPOINT_DIRECTORY_SIZE, LAYOUT_CHECKPOINTS "/%s",
		       fsha_job_id_format(job, text));
}

void checkpoint_key(int64_t id, char *ret_key)
{
	assert(id > 0);
	(void)snprintf(ret_key, CHECKPOINT_KEY_SIZE, "%019" PRId64, id);
}

bool checkpoint_parse_key(const char *key, int64_t *ret_id)
{
	int64_t id = 0;

	if (strlen(key) != CHECKPOINT_KEY_SIZE - 1)
		return false;
	for (const char *p = key; *p; p++) {
		if (*p < '0' || *p > '9' || id > (INT64_MAX - (*p - '0')) / 10)
			return false;
		id = 10 * id + (*p - '0');
	}
	if (id == 0)
		return false;
	*ret_id = id;
	return true;
}

static bool is_type(uint32_t type)
{
	return type >= FSHA_CHECKPOINT && type <= FSHA_SYNC_SAVEPOINT;
}

static bool is_retention(uint32_t retention)
{
	return retention >= FSHA_NEVER_RETAIN && retention <= FSHA_RETAIN_ON_CANCELLATION;
}

static const char *pointer_of(const fsha_completed_checkpoint *c)
{
	return c->external_pointer ? c->external_pointer : "";
}

fsha_result checkpoint_check(const fsha_completed_checkpoint *c, fsha_error *reterr)
{
	if (!c)
		return error_set(reterr, FSHA_E_INVALID, 0, "add", "the checkpoint is NULL");
	if (c->struct_size != sizeof(*c))
		return error_set(reterr, FSHA_E_INVALID, 0, "add",
				 "the checkpoint's struct_size is not set: start from "
				 "FSHA_COMPLETED_CHECKPOINT_INIT");
	if (c->id < 1)
		return error_set(reterr, FSHA_E_INVALID, 0, "add",
				 "checkpoint id %" PRId64 " is not 1 or more", c->id);
	if (!is_type(c->type) || !is_retention(c->retention))
		return error_set(reterr, FSHA_E_INVALID, 0, "add",
				 "checkpoint %" PRId64 " has the unknown %s %" PRIu32, c->id,
				 is_type(c->type) ? "retention policy" : "type",
				 is_type(c->type) ? c->retention : c->type);
	if (!c->metadata && c->metadata_size > 0)
		return error_set(reterr, FSHA_E_INVALID, 0, "add",
				 "the metadata of checkpoint %" PRId64 " is NULL", c->id);
	if (c->metadata_size > FSHA_CHECKPOINT_METADATA_MAX)
		return error_set(reterr, FSHA_E_INVALID, 0, "add",
				 "the metadata of checkpoint %" PRId64
				 " has %zu bytes, at most %llu are allowed",
				 c->id, c->metadata_size,
				 (unsigned long long)FSHA_CHECKPOINT_METADATA_MAX);
	if (strnlen(pointer_of(c), FSHA_CHECKPOINT_POINTER_MAX + 1) > FSHA_CHECKPOINT_POINTER_MAX)
		return error_set(reterr, FSHA_E_INVALID, 0, "add",
				 "the external pointer of checkpoint %" PRId64
				 " is longer than %d bytes",
				 c->id, FSHA_CHECKPOINT_POINTER_MAX);
	return FSHA_OK;
}

int checkpoint_encode(const struct fsu *fs, const fsha_completed_checkpoint *c, uint8_t **ret_data,
		      size_t *ret_size)
{
	const char *pointer = pointer_of(c);
	struct fsu_writer w = { .size = HEAD_SIZE + strlen(pointer) + c->metadata_size };

	w.buf = fsu_alloc(fs, w.size);
	if (!w.buf)
		return -ENOMEM;
	fsu_put_u64(&w, (uint64_t)c->id);
	fsu_put_u64(&w, (uint64_t)c->timestamp_ms);
	fsu_put_u8(&w, (uint8_t)c->type);
	fsu_put_u8(&w, (uint8_t)c->retention);
	fsu_put_bytes(&w, pointer, strlen(pointer));
	fsu_put_bytes(&w, c->metadata, c->metadata_size);
	assert(!w.error);
	assert(w.len == w.size);
	*ret_data = w.buf;
	*ret_size = w.len;
	return 0;
}

bool checkpoint_decode(const uint8_t *data, size_t size, int64_t id,
		       fsha_completed_checkpoint *ret_checkpoint, char *pointer)
{
	struct fsu_reader r = { .buf = data, .size = size };
	fsha_completed_checkpoint c = { .struct_size = sizeof(c) };

	c.id = (int64_t)fsu_get_u64(&r);
	c.timestamp_ms = (int64_t)fsu_get_u64(&r);
	c.type = fsu_get_u8(&r);
	c.retention = fsu_get_u8(&r);
	fsu_get_text(&r, pointer, FSHA_CHECKPOINT_POINTER_MAX + 1);
	c.external_pointer = pointer;
	c.metadata = fsu_get_bytes(&r, FSHA_CHECKPOINT_METADATA_MAX, &c.metadata_size);
	if (fsu_reader_end(&r) < 0 || c.id != id || !is_type(c.type) || !is_retention(c.retention))
		return false;
	*ret_checkpoint = c;
	return true;
}

size_t checkpoint_bytes(const fsha_completed_checkpoint *from)
{
	return sizeof(*from) + from->metadata_size + 1 + strlen(pointer_of(from)) + 1;
}

void checkpoint_copy(const fsha_completed_checkpoint *from, fsha_completed_checkpoint *to)
{
	char *metadata = (char *)(to + 1), *pointer = metadata + from->metadata_size + 1;

	*to = *from;
	if (from->metadata_size > 0)
		memcpy(metadata, from->metadata, from->metadata_size);
	metadata[from->metadata_size] = '\0';
	strcpy(pointer, pointer_of(from));
	to->metadata = metadata;
	to->external_pointer = pointer;
}

struct checkpoint *checkpoint_create(const struct fsu *fs, const fsha_completed_checkpoint *from)
{
	struct checkpoint *c =
		fsu_alloc(fs, offsetof(struct checkpoint, is) + checkpoint_bytes(from));

	if (!c)
		return NULL;
	c->removal = fsu_alloc(fs, sizeof(*c->removal));
	if (!c->removal) {
		fsu_release(fs, c);
		return NULL;
	}
	checkpoint_copy(from, &c->is);
	c->removal->id = from->id;
	return c;
}

void checkpoint_destroy(const struct fsu *fs, struct checkpoint *c)
{
	if (!c)
		return;
	fsu_release(fs, c->removal);
	fsu_release(fs, c);
}
