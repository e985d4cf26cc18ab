#include "src/state/pack.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "src/result/error.h"

/* So much of a file is read at once: the whole list of most packs. */
#define HEAD_READ (UINT64_C(64) << 10)

/* ---- The list ---- */

int pack_encode(const struct fsu *fs, const struct pack_member *members, size_t count,
		uint8_t **ret_payload, size_t *ret_len)
{
	struct fsu_writer w = { .size = 4 };

	assert(count > 0);
	assert(count <= PACK_MEMBERS_MAX);
	for (size_t i = 0; i < count; i++)
		w.size += PACK_ENTRY_SIZE + strlen(members[i].key);
	w.buf = fsu_alloc(fs, w.size);
	if (!w.buf)
		return -ENOMEM;
	fsu_put_u32(&w, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		const struct pack_member *m = &members[i];

		assert(i == 0 || strcmp(members[i - 1].key, m->key) < 0);
		fsu_put_bytes(&w, m->key, strlen(m->key));
		fsu_put_u64(&w, m->version.epoch);
		fsu_put_u64(&w, m->version.sequence);
		fsu_put_u16(&w, m->version.seat);
		fsu_put_u8(&w, (uint8_t)m->form);
		fsu_put_u32(&w, m->size);
	}
	assert(w.error == 0);
	assert(w.len == w.size);
	*ret_payload = w.buf;
	*ret_len = w.len;
	return 0;
}

/* One member; `key` has NAME_SIZE bytes. The reader's error is sticky. */
static void get_member(struct fsu_reader *r, char *key, struct pack_member *m)
{
	fsu_get_text(r, key, FSHA_NAME_MAX + 1);
	*m = (struct pack_member){ .key = key };
	m->version.epoch = fsu_get_u64(r);
	m->version.sequence = fsu_get_u64(r);
	m->version.seat = fsu_get_u16(r);
	m->form = (enum name_form)fsu_get_u8(r);
	m->size = fsu_get_u32(r);
}

/* NULL, or what this member cannot be. */
static const char *wrong_member(const struct pack_member *m, const char *before,
				const fsha_version *pack)
{
	if (!m->key[0] || strpbrk(m->key, "~/"))
		return "a member's key is none";
	if (strcmp(before, m->key) >= 0)
		return "its members are not in order";
	if (!fsha_version_is_existing(&m->version) || fsha_version_compare(&m->version, pack) > 0)
		return "a member is newer than the pack";
	if (m->form != NAME_VALUE && m->form != NAME_TOMBSTONE)
		return "a member is of an unknown form";
	if (m->size < fsu_record_bound(1, 0))
		return "a member is too short";
	return NULL;
}

/* All of it, before any memory is asked for: `ret_keys` gets the bytes of all keys. */
static const char *check_list(const uint8_t *payload, size_t len, const fsha_version *version,
			      size_t *ret_count, size_t *ret_keys)
{
	struct fsu_reader r = { .buf = payload, .size = len };
	char keys[2][FSHA_NAME_MAX + 1] = { "", "" };
	size_t count = fsu_get_u32(&r), text = 0;
	struct pack_member m;
	uint64_t size = 0;

	if (r.error || count == 0 || count > PACK_MEMBERS_MAX)
		return "its number of members cannot be";
	for (size_t i = 0; i < count; i++) {
		const char *why;

		get_member(&r, keys[i % 2], &m);
		if (r.error)
			return "its list of members is cut off";
		why = wrong_member(&m, keys[(i + 1) % 2], version);
		if (why)
			return why;
		size += m.size;
		text += strlen(m.key) + 1;
	}
	if (fsu_reader_end(&r) < 0)
		return "its list of members is too long";
	if (size > PACK_SIZE_MAX)
		return "its members are too large";
	*ret_count = count;
	*ret_keys = text;
	return NULL;
}

int pack_decode(const struct fsu *fs, const uint8_t *payload, size_t len,
		const fsha_version *version, uint64_t offset, struct pack **ret_pack,
		const char **ret_why)
{
	struct fsu_reader r = { .buf = payload, .size = len, .pos = 4 };
	size_t count, text;
	struct pack *pack;
	char *keys;

	*ret_why = check_list(payload, len, version, &count, &text);
	if (*ret_why)
		return -EBADMSG;
	pack = fsu_alloc(fs, sizeof(*pack) + count * sizeof(*pack->members) + text);
	if (!pack)
		return -ENOMEM;
	pack->version = *version;
	pack->count = count;
	pack->members = (struct pack_member *)(pack + 1);
	keys = (char *)(pack->members + count);
	for (size_t i = 0; i < count; i++) {
		char key[FSHA_NAME_MAX + 1];

		get_member(&r, key, &pack->members[i]);
		pack->members[i].key = strcpy(keys, key);
		pack->members[i].offset = offset + pack->size;
		pack->size += pack->members[i].size;
		keys += strlen(keys) + 1;
	}
	assert(fsu_reader_end(&r) == 0);
	*ret_pack = pack;
	return 0;
}

static int compare_key(const void *key, const void *member)
{
	return strcmp(key, ((const struct pack_member *)member)->key);
}

const struct pack_member *pack_find(const struct pack *pack, const char *key)
{
	return bsearch(key, pack->members, pack->count, sizeof(*pack->members), compare_key);
}

/* ---- The file ---- */

int pack_read_at(const struct fsu *fs, int fd, uint8_t *buf, size_t len, uint64_t offset,
		 size_t *ret_len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = fsu_pread(fs, fd, buf + done, len - done, (off_t)(offset + done));

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*ret_len = done;
	return 0;
}

fsha_result pack_open(const struct record_place *place, const fsha_version *version, char *ret_name,
		      int *ret_fd, size_t *ret_size, fsha_error *reterr)
{
	name_format(PACK_KEY, version, NAME_VALUE, ret_name);
	*ret_fd = fsu_file_open(place->fs, place->dir_fd, ret_name, ret_size);
	return *ret_fd < 0 ? record_read_error(place, ret_name, *ret_fd, reterr) : FSHA_OK;
}

/* The record at the beginning of the file: as many bytes as it says that it has. */
static int read_head(const struct fsu *fs, int fd, size_t file_size, uint8_t **ret_bytes,
		     size_t *ret_len)
{
	size_t want = file_size < HEAD_READ ? file_size : HEAD_READ, len = 0, whole;
	uint8_t *bytes = fsu_alloc(fs, want + 1), *more;
	int r;

	if (!bytes)
		return -ENOMEM;
	r = pack_read_at(fs, fd, bytes, want, 0, &len);
	if (r < 0)
		goto fail;
	/* What cannot be told from the head is for the decoder to refuse. */
	whole = fsu_record_measure(bytes, len);
	if (whole > len && whole <= file_size) {
		size_t rest = 0;

		more = fsu_resize(fs, bytes, whole);
		r = more ? 0 : -ENOMEM;
		if (r < 0)
			goto fail;
		bytes = more;
		r = pack_read_at(fs, fd, bytes + len, whole - len, len, &rest);
		if (r < 0)
			goto fail;
		len += rest;
	}
	*ret_bytes = bytes;
	*ret_len = whole > 0 && whole < len ? whole : len;
	return 0;
fail:
	fsu_release(fs, bytes);
	return r;
}

fsha_result pack_load(const struct record_place *place, const fsha_version *version,
		      struct pack **ret_pack, fsha_error *reterr)
{
	struct record record = { .data = NULL };
	const char *why = "damaged";
	size_t file_size = 0, len = 0;
	char name[NAME_SIZE];
	fsha_result result;
	uint8_t *bytes;
	int fd, r;

	result = pack_open(place, version, name, &fd, &file_size, reterr);
	if (result != FSHA_OK)
		return result;
	r = read_head(place->fs, fd, file_size, &bytes, &len);
	(void)fsu_close(place->fs, fd); /* opened for reading */
	if (r < 0)
		return record_read_error(place, name, r, reterr);
	result = record_verify(place, name, NULL, FSU_KIND_PACK, FSU_RECORD_RAW_MAX, bytes, len,
			       &record, reterr);
	if (result != FSHA_OK)
		return result;
	r = pack_decode(place->fs, record.data, record.size, version, len, ret_pack, &why);
	record_done(place->fs, &record);
	if (r == -EBADMSG)
		return record_corrupt(place, name, why, reterr);
	if (r < 0)
		return error_os(reterr, r, "alloc", "cannot read '%s/%s'", place->directory, name);
	return FSHA_OK;
}

fsha_result pack_stage(const struct record_place *place, const struct record_content *content,
		       const struct pack_member *members, size_t count, const void *records,
		       size_t records_size, int dirfd, const char *path, struct pack **ret_pack,
		       int *ret_errno, const char **ret_op, fsha_error *reterr)
{
	struct fsu_part parts[2] = { { .data = NULL }, { records, records_size } };
	struct record_content head = *content;
	uint8_t *list = NULL, *bytes = NULL;
	struct pack *pack = NULL;
	fsha_result result;
	const char *why;
	int r;

	r = pack_encode(place->fs, members, count, &list, &head.size);
	if (r < 0)
		goto out_of_memory;
	head.payload = list;
	result = record_encode(place, &head, &bytes, &parts[0].len, reterr);
	if (result != FSHA_OK) {
		fsu_release(place->fs, list);
		return result;
	}
	r = pack_decode(place->fs, list, head.size, &head.version, parts[0].len, &pack, &why);
	assert(r != -EBADMSG);
	if (r < 0)
		goto out_of_memory;
	assert(pack->size == records_size);
	fsu_release(place->fs, list);
	parts[0].data = bytes;
	*ret_errno = fsu_file_stage_parts(place->fs, dirfd, path, parts, 2, ret_op);
	fsu_release(place->fs, bytes);
	if (*ret_errno < 0) {
		fsu_release(place->fs, pack);
		return FSHA_E_IO;
	}
	*ret_pack = pack;
	return FSHA_OK;
out_of_memory:
	fsu_release(place->fs, bytes);
	fsu_release(place->fs, list);
	return error_os(reterr, r, "alloc", "cannot write '%s/" PACK_KEY "'", place->directory);
}

fsha_result pack_read_bytes(const struct record_place *place, const struct pack_part *part,
			    uint8_t **ret_bytes, fsha_error *reterr)
{
	char name[NAME_SIZE];
	size_t file_size = 0, len = 0;
	fsha_result result;
	uint8_t *bytes;
	int fd, r;

	result = pack_open(place, &part->pack, name, &fd, &file_size, reterr);
	if (result != FSHA_OK)
		return result;
	/* What its list says may be more than there is: nothing is allocated for that. */
	if (part->offset > file_size || part->size > file_size - part->offset) {
		(void)fsu_close(place->fs, fd); /* opened for reading */
		return record_corrupt(place, name, "it is cut off", reterr);
	}
	bytes = fsu_alloc(place->fs, part->size);
	r = bytes ? pack_read_at(place->fs, fd, bytes, part->size, part->offset, &len) : -ENOMEM;
	(void)fsu_close(place->fs, fd); /* opened for reading */
	if (r == 0 && len == part->size) {
		*ret_bytes = bytes;
		return FSHA_OK;
	}
	fsu_release(place->fs, bytes);
	return r < 0 ? record_read_error(place, name, r, reterr) :
		       record_corrupt(place, name, "it is cut off", reterr);
}
