#include "src/record/record.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_stream.h"
#include "src/record/name.h"
#include "src/record/stream.h"
#include "src/result/error.h"

/*
 * "<directory>/<key>": what the envelope holds, so that a record cannot be moved to another place.
 */
static int full_key(const struct record_place *place, const char *key, size_t key_len,
		    char *ret_key)
{
	int n = snprintf(ret_key, FSU_RECORD_KEY_MAX + 1, "%s/%.*s", place->directory, (int)key_len,
			 key);

	return n < 0 || n > FSU_RECORD_KEY_MAX ? -ENAMETOOLONG : n;
}

#define FORM_FLAGS (FSU_RECORD_TOMBSTONE | FSU_RECORD_MARKED)

static uint32_t flags_of(enum name_form form)
{
	switch (form) {
	case NAME_TOMBSTONE:
		return FSU_RECORD_TOMBSTONE;
	case NAME_MARKED:
		return FSU_RECORD_MARKED;
	default:
		return 0;
	}
}

fsha_result record_make_head(const struct record_place *place, const struct record_content *content,
			     char *key, struct fsu_record *ret_head, fsha_error *reterr)
{
	struct fsu_record head = {
		.kind = content->kind,
		.flags = flags_of(content->form),
		.epoch = content->version.epoch,
		.session = content->session,
		.sequence = content->version.sequence,
		.seat = content->version.seat,
		.cluster = *place->cluster,
		.wall_ns = fsu_wall_ns(place->fs),
		.key = key,
	};
	int r;

	assert(content->key[0]);
	r = full_key(place, content->key, strlen(content->key), key);
	if (r < 0)
		return error_set(reterr, FSHA_E_INVALID, 0, "encode", "name '%s/%s' is too long",
				 place->directory, content->key);
	head.key_len = (size_t)r;

	r = fsu_uuid_make(place->fs, &head.write_id);
	if (r < 0)
		return error_os(reterr, r, "random", "cannot make a write id");
	*ret_head = head;
	return FSHA_OK;
}

fsha_result record_encode(const struct record_place *place, const struct record_content *content,
			  uint8_t **ret_buf, size_t *ret_len, fsha_error *reterr)
{
	char key[FSU_RECORD_KEY_MAX + 1];
	struct fsu_record record;
	fsha_result result;
	uint8_t *buf;
	ssize_t n;

	assert(content->form != NAME_TOMBSTONE || content->size == 0);
	result = record_make_head(place, content, key, &record, reterr);
	if (result != FSHA_OK)
		return result;
	record.payload = content->payload;
	record.raw_len = content->size;
	record.stored_len = content->size;

	buf = fsu_alloc(place->fs, fsu_record_bound(record.key_len, record.raw_len));
	if (!buf)
		return error_os(reterr, -ENOMEM, "alloc", "cannot write '%s/%s'", place->directory,
				content->key);
	n = fsu_record_encode(place->fs, &record, buf,
			      fsu_record_bound(record.key_len, record.raw_len));
	if (n < 0) {
		fsu_release(place->fs, buf);
		return error_os(reterr, (int)n, "encode", "cannot encode '%s/%s'", place->directory,
				content->key);
	}
	*ret_buf = buf;
	*ret_len = (size_t)n;
	return FSHA_OK;
}

fsha_result record_corrupt(const struct record_place *place, const char *file_name, const char *why,
			   fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_CORRUPT, 0, "decode",
			 "record '%s/%s' is damaged (%s); the file is left as it is: "
			 "'fsha repair' moves it to quarantine",
			 place->directory, file_name, why);
}

fsha_result record_foreign(const struct record_place *place, const char *file_name, const char *why,
			   fsha_error *reterr)
{
	fsha_result result = record_corrupt(place, file_name, why, reterr);

	if (reterr)
		reterr->op = RECORD_OP_FOREIGN;
	return result;
}

/* Values of the user's that may be of any size. */
static bool may_stream(uint16_t kind)
{
	return kind == FSU_KIND_STATE || kind == FSU_KIND_BLOB;
}

const char *record_mismatch(const struct record_place *place, const char *file_name, uint16_t kind,
			    const struct fsu_record *head)
{
	char key[FSU_RECORD_KEY_MAX + 1];
	struct name name;
	int n;

	if (!name_parse(file_name, &name))
		return "its name has no version";
	n = full_key(place, file_name, name.key_len, key);
	if (n < 0 || head->key_len != (size_t)n || memcmp(head->key, key, head->key_len) != 0)
		return "it belongs under another name";
	if (place->cluster && !fsu_uuid_equal(&head->cluster, place->cluster))
		return "it belongs to another cluster";
	if (head->kind != kind)
		return "it is a record of another kind";
	if ((head->flags & FSU_RECORD_STREAMED) && !may_stream(kind))
		return "it is a stream where none is written";
	if (head->epoch != name.version.epoch || head->sequence != name.version.sequence ||
	    head->seat != name.version.seat)
		return "it has another version than its name";
	if ((head->flags & FORM_FLAGS) != flags_of(name.form))
		return "its name and its content differ on whether it is a removal";
	return NULL;
}

fsha_result record_read_error(const struct record_place *place, const char *file_name, int r,
			      fsha_error *reterr)
{
	switch (r) {
	case -ENOENT:
	case -ESTALE:
		return error_set(reterr, FSHA_E_NOT_FOUND, -r, "open", "cannot read '%s/%s'",
				 place->directory, file_name);
	case -EINVAL:
	case -ELOOP:
	case -ENXIO:
		return record_corrupt(place, file_name, "it is no regular file", reterr);
	case -EFBIG:
		return record_corrupt(place, file_name, "it is larger than a record can be",
				      reterr);
	case -FSU_EFOREIGN:
		return record_foreign(place, file_name,
				      "it belongs to a user who has no business there", reterr);
	default:
		return error_os(reterr, r, "read", "cannot read '%s/%s'", place->directory,
				file_name);
	}
}

static fsha_result newer(const struct record_place *place, const char *file_name,
			 fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_UNSUPPORTED, 0, "decode",
			 "record '%s/%s' was written by a newer version than this one (%s): "
			 "upgrade fsha on this host",
			 place->directory, file_name, fsha_library_version());
}

fsha_result record_load(const struct record_place *place, const char *file_name, size_t size_max,
			uint8_t **ret_data, size_t *ret_size, fsha_error *reterr)
{
	int r = fsu_file_read(place->fs, place->dir_fd, file_name, size_max, ret_data, ret_size);

	return r < 0 ? record_read_error(place, file_name, r, reterr) : FSHA_OK;
}

/* Around a payload of that size a stream is larger than an envelope. */
static size_t file_size_max(uint16_t kind, size_t size_max)
{
	return may_stream(kind) ? FSU_STREAM_HEAD + size_max + FSU_STREAM_TAIL :
				  fsu_record_bound(FSU_RECORD_KEY_MAX, size_max);
}

static fsha_result too_large(const struct record_place *place, const char *file_name, uint16_t kind,
			     size_t size_max, fsha_error *reterr)
{
	struct record_stream *stream;
	fsha_result result = record_stream_open(place, file_name, kind, &stream, reterr);
	uint64_t size;

	if (result == FSHA_E_UNSUPPORTED) /* no stream */
		return record_read_error(place, file_name, -EFBIG, reterr);
	if (result != FSHA_OK)
		return result;
	size = record_stream_size(stream);
	record_stream_close(stream);
	return error_set(reterr, FSHA_E_INVALID, 0, "read",
			 "'%s/%s' has %llu bytes, more than the %zu that are read into memory: "
			 "read it as a stream, as fsha_state_store_get_fd does",
			 place->directory, file_name, (unsigned long long)size, size_max);
}

/* A member of a pack cannot be moved away alone. */
static fsha_result damaged(const struct record_place *place, const char *file_name,
			   const char *within, const char *why, fsha_error *reterr)
{
	if (!within)
		return record_corrupt(place, file_name, why, reterr);
	return error_set(reterr, FSHA_E_CORRUPT, 0, "decode",
			 "record '%s/%s' in '%s' is damaged (%s); the file is left as it is: write "
			 "or remove the entry to go on without it",
			 place->directory, file_name, within, why);
}

fsha_result record_verify(const struct record_place *place, const char *file_name,
			  const char *within, uint16_t kind, size_t size_max, uint8_t *bytes,
			  size_t len, struct record *ret_record, fsha_error *reterr)
{
	struct record record = { .file = bytes };
	fsha_result result;
	const char *why = "damaged";
	int r;

	r = fsu_record_decode(record.file, len, &record.head, &why);
	if (r < 0) {
		result = r == -EPROTONOSUPPORT ? newer(place, file_name, reterr) :
						 damaged(place, file_name, within, why, reterr);
		goto fail;
	}
	why = record_mismatch(place, file_name, kind, &record.head);
	if (!why && record.head.raw_len > size_max)
		why = "its payload is too large";
	if (why) {
		result = within ? damaged(place, file_name, within, why, reterr) :
				  record_foreign(place, file_name, why, reterr);
		goto fail;
	}

	record.size = record.head.raw_len;
	record.data = fsu_alloc(place->fs, record.size + 1);
	if (!record.data) {
		result = error_os(reterr, -ENOMEM, "alloc", "cannot read '%s/%s'", place->directory,
				  file_name);
		goto fail;
	}
	r = fsu_record_inflate(place->fs, &record.head, record.data);
	if (r < 0) {
		result = r == -ENOMEM ? error_os(reterr, r, "inflate", "cannot read '%s/%s'",
						 place->directory, file_name) :
					damaged(place, file_name, within,
						"its payload does not inflate", reterr);
		goto fail;
	}
	*ret_record = record;
	return FSHA_OK;
fail:
	record_done(place->fs, &record);
	return result;
}

fsha_result record_read(const struct record_place *place, const char *file_name, uint16_t kind,
			size_t size_max, struct record *ret_record, fsha_error *reterr)
{
	uint8_t *bytes;
	size_t len;
	int r;

	r = fsu_file_read(place->fs, place->dir_fd, file_name, file_size_max(kind, size_max),
			  &bytes, &len);
	if (r == -EFBIG && may_stream(kind))
		return too_large(place, file_name, kind, size_max, reterr);
	if (r < 0)
		return record_read_error(place, file_name, r, reterr);
	return record_verify(place, file_name, NULL, kind, size_max, bytes, len, ret_record,
			     reterr);
}

void record_done(const struct fsu *fs, struct record *record)
{
	fsu_release(fs, record->data);
	fsu_release(fs, record->file);
	record->data = NULL;
	record->file = NULL;
}
