/* What the checks have in common: listings, names, single records. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_path.h"
#include "src/cluster/layout.h"
#include "src/maintenance/verify.h"
#include "src/record/stream.h"

#define LIST_LIMIT_NS (200 * FSU_NS_PER_MS)

static void unreadable(struct findings *found, const char *directory, int r)
{
	if (r == -ENOTDIR || r == -ELOOP)
		findings_add(found, FINDING_WRONG_TYPE, directory, "it is no directory");
	else
		findings_add(found, FINDING_UNREADABLE, directory, "it cannot be listed: %s",
			     strerrordesc_np(-r));
}

/* fsu_list keeps offsets into one text, so the offsets are what is sorted. */
static int compare_offsets(const void *a, const void *b, void *text)
{
	return strcmp((const char *)text + *(const size_t *)a,
		      (const char *)text + *(const size_t *)b);
}

/* Whose is it, and may others write in it? By the owner of the cluster directory. */
static void check_access(struct verify *v, const char *directory, struct findings *found)
{
	const unsigned mask = STATX_UID | STATX_GID | STATX_MODE;
	const struct cluster *c = v->cluster;
	struct statx root, dir;
	bool shared;

	if (fsu_statx(c->fs, c->fd, "", AT_EMPTY_PATH, mask, &root) < 0 ||
	    fsu_statx(c->fs, c->fd, directory, *directory ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH,
		      mask, &dir) < 0)
		return; /* gone, or told elsewhere */
	if (dir.stx_mode & S_IWOTH)
		findings_add(found, FINDING_EXPOSED, directory,
			     "everybody may write in it: its mode is %03o", dir.stx_mode & 07777u);
	shared = root.stx_mode & S_ISGID && root.stx_mode & S_IWGRP && root.stx_gid == dir.stx_gid;
	if (dir.stx_uid != 0 && dir.stx_uid != root.stx_uid && !shared)
		findings_add(found, FINDING_FOREIGN_OWNER, directory,
			     "it belongs to user %u, and the cluster to %u", dir.stx_uid,
			     root.stx_uid);
}

bool check_list(struct verify *v, const char *directory, struct fsu_list *list,
		struct findings *found)
{
	const struct cluster *c = v->cluster;
	struct fsu_stamp stamp;
	int r = -ENOENT;

	/* Look before an absence is believed: it may be cached; and then once more. */
	for (int i = 0; i < 2 && (r == -ENOENT || r == -ESTALE); i++) {
		(void)fsu_stamp_read(c->fs, c->fd, "", &stamp);
		r = fsu_list_read(list, c->fd, directory, c->local, LIST_LIMIT_NS);
	}
	if (r == -ENOENT || r == -ESTALE)
		return false; /* removed meanwhile; the fixed ones are looked for elsewhere */
	if (r == -ENOMEM)
		found->out_of_memory = true;
	else if (r < 0)
		unreadable(found, directory, r);
	if (r < 0)
		return false;
	check_access(v, directory, found);
	v->count->names += list->count;
	if (list->count > 1)
		qsort_r(list->offsets, list->count, sizeof(*list->offsets), compare_offsets,
			list->text);
	return true;
}

int check_open(struct verify *v, const char *directory, struct findings *found)
{
	int fd = -ENOENT;

	for (int i = 0; i < 2 && (fd == -ENOENT || fd == -ESTALE); i++)
		fd = fsu_dir_open(v->cluster->fs, v->cluster->fd, directory);
	if (fd < 0 && fd != -ENOENT && fd != -ESTALE)
		unreadable(found, directory, fd);
	return fd;
}

void check_unknown(struct findings *found, const char *directory, const char *name)
{
	char path[FINDING_PATH_SIZE];

	(void)snprintf(path, sizeof(path), "%s%s%s", directory, *directory ? "/" : "", name);
	if (name[0] == '~')
		findings_add(found, FINDING_LEFTOVER, path,
			     "somebody builds it, or did not come to its end");
	else if (strncmp(name, ".nfs", 4) == 0)
		findings_add(found, FINDING_NFS_LEFTOVER, path,
			     "a file that was removed while a process of an NFS client had it "
			     "open");
	else
		findings_add(found, FINDING_UNKNOWN_NAME, path, "fsha makes no such name there");
}

/* ---- records ---- */

void check_unsound(const struct check_record *q, fsha_result result, const fsha_error *error,
		   struct findings *found)
{
	char path[FINDING_PATH_SIZE];
	enum finding_code code = FINDING_UNREADABLE;

	(void)snprintf(path, sizeof(path), "%s%s%s", q->path, *q->path ? "/" : "", q->file_name);
	if (result == FSHA_E_NOMEM) {
		found->out_of_memory = true;
		return;
	}
	if (result == FSHA_E_UNSUPPORTED)
		code = FINDING_RECORD_NEWER;
	else if (result == FSHA_E_CORRUPT && !q->newest)
		code = FINDING_OLD_RECORD_DAMAGED;
	else if (result == FSHA_E_CORRUPT)
		code = strcmp(error->op, RECORD_OP_FOREIGN) == 0 ? FINDING_RECORD_FOREIGN :
								   FINDING_RECORD_DAMAGED;
	/* What is to be done stands in the finding. */
	findings_add(found, code, path, "%.*s",
		     (int)(strstr(error->message, "; the file") ?
				   strstr(error->message, "; the file") - error->message :
				   (ptrdiff_t)strlen(error->message)),
		     error->message);
}

static fsha_result count_bytes(void *ctx, const void *data, size_t size, fsha_error *reterr)
{
	struct verify_count *count = ctx;

	(void)data;
	(void)reterr;
	count->bytes += size;
	return FSHA_OK;
}

/* A value that is too large for memory. */
static fsha_result read_stream(struct verify *v, const struct record_place *place,
			       const struct check_record *q, fsha_error *reterr)
{
	const struct record_sink sink = { .write = count_bytes, .ctx = v->count };
	struct record_stream *stream;
	fsha_result result;

	result = record_stream_open(place, q->file_name, q->kind, &stream, reterr);
	if (result != FSHA_OK)
		return result;
	result = record_stream_copy(stream, &sink, reterr);
	record_stream_close(stream);
	v->count->records += result == FSHA_OK;
	return result == FSHA_E_VERSION ? FSHA_E_NOT_FOUND : result;
}

static fsha_result read_one(struct verify *v, const struct record_place *place,
			    const struct check_record *q, struct findings *found,
			    fsha_error *reterr)
{
	struct record record = { .file = NULL };
	fsha_result result;

	if (q->members)
		return check_pack(v, place, q, found, reterr);
	if (q->format && q->name->form == q->format->form)
		result = q->format->read(place, q->file_name, &record, reterr);
	else
		result = record_read(place, q->file_name, q->kind, FSHA_STATE_VALUE_MAX, &record,
				     reterr);
	if (result == FSHA_E_INVALID)
		return read_stream(v, place, q, reterr);
	if (result != FSHA_OK)
		return result;
	v->count->records++;
	v->count->bytes += record.size;
	if (q->decode && q->name->form == NAME_VALUE && q->decode(&record, q->ctx) < 0)
		result = record_corrupt(place, q->file_name, "its payload is not what it should be",
					reterr);
	record_done(place->fs, &record);
	return result;
}

bool check_record(struct verify *v, const struct check_record *q, struct findings *found)
{
	const struct cluster *c = v->cluster;
	struct record_place place = cluster_place(c, q->dir_fd, q->directory);
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result;

	if (v->names_only && q->kind != FSU_KIND_OWNER)
		return true;
	if (fsu_uuid_is_null(&c->id))
		place.cluster = NULL; /* SETTINGS is damaged: any will do */
	result = read_one(v, &place, q, found, &error);
	if (result == FSHA_E_NOT_FOUND)
		result = read_one(v, &place, q, found, &error);
	if (result == FSHA_E_NOT_FOUND)
		return false; /* cleaned away meanwhile */
	if (result != FSHA_OK)
		check_unsound(q, result, &error, found);
	return result == FSHA_OK;
}

bool check_epoch(struct verify *v, const char *election, struct epoch *ret_epoch,
		 struct findings *found)
{
	const struct cluster *c = v->cluster;
	char directory[sizeof(LAYOUT_ELECTIONS) + FSU_COMPONENT_MAX + 2];
	struct epoch epoch = { .number = 0 };
	struct fsu_list list;
	int fd, r;

	(void)snprintf(directory, sizeof(directory), LAYOUT_ELECTIONS "/%s", election);
	fd = check_open(v, directory, found);
	if (fd >= 0) {
		fsu_list_init(&list, c->fs);
		r = epoch_read(c, fd, &list, &epoch);
		fsu_list_done(&list);
		(void)fsu_close(c->fs, fd); /* a directory */
		if (r < 0 && r != -ENOENT)  /* no epoch file: told where it is missing */
			unreadable(found, directory, r);
		if (r < 0)
			return false;
	} else if (fd != -ENOENT) {
		return false;
	}
	*ret_epoch = epoch; /* no directory: nobody ever led it */
	return true;
}

bool check_epoch_max(struct verify *v, const char *election, uint64_t *ret_epoch,
		     struct findings *found)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct epoch epoch;
	uint64_t floor;

	if (!check_epoch(v, election, &epoch, found))
		return false;
	if (cluster_floor_read(v->cluster, &floor, &error) != FSHA_OK) {
		if (error.result != FSHA_E_CORRUPT) /* there is none: told elsewhere */
			findings_add(found, FINDING_UNREADABLE, "", "%s", error.message);
		return false;
	}
	*ret_epoch = epoch.number > floor ? epoch.number : floor;
	return true;
}
