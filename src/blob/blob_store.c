/* The blob store: a store of streams for each job, thin over src/state/. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsha/blob.h"
#include "src/blob/local.h"
#include "src/blob/rooms.h"
#include "src/cluster/layout.h"
#include "src/record/descriptor.h"
#include "src/result/error.h"

/* How often a copy to or from a file is begun again because others write the same key. */
#define TRIES 10

struct fsha_blob_store {
	struct rooms rooms; /* its services are NULL: this store keeps nothing */
};

/* ---- open and close ---- */

static const struct fsu *fs_of(const fsha_blob_store *s)
{
	return s->rooms.services ? services_fs(s->rooms.services) : &fsu_posix;
}

static fsha_result create(fsha_services *services, const struct fsu *fs,
			  fsha_blob_store **ret_store, fsha_error *reterr)
{
	fsha_blob_store *s = fsu_alloc(fs, sizeof(*s));

	if (!s || rooms_init(&s->rooms, services) < 0) {
		fsu_release(fs, s);
		return error_os(reterr, -ENOMEM, "alloc", "cannot open the blob store");
	}
	*ret_store = s;
	return FSHA_OK;
}

fsha_result fsha_blob_store_open(fsha_services *services, fsha_blob_store **ret_store,
				 fsha_error *reterr)
{
	if (!services || !ret_store)
		return error_set(reterr, FSHA_E_INVALID, 0, "open", "an argument is NULL");
	/* In memory there is nothing to keep them from: the caller has them. */
	if (services->memory)
		return fsha_blob_store_open_void(ret_store, reterr);
	return create(services, services_fs(services), ret_store, reterr);
}

fsha_result fsha_blob_store_open_void(fsha_blob_store **ret_store, fsha_error *reterr)
{
	if (!ret_store)
		return error_set(reterr, FSHA_E_INVALID, 0, "open", "an argument is NULL");
	return create(NULL, &fsu_posix, ret_store, reterr);
}

void fsha_blob_store_close(fsha_blob_store *s)
{
	const struct fsu *fs;

	if (!s)
		return;
	fs = fs_of(s);
	rooms_done(&s->rooms);
	fsu_release(fs, s);
}

/* ---- keys ---- */

#define KEY_PREFIX "blob_"
#define KEY_SIZE (sizeof(KEY_PREFIX) + FSHA_BLOB_KEY_TEXT)

static fsha_result name_key(const fsha_blob_store *s, const fsha_blob_key *key, char *ret_name,
			    fsha_error *reterr)
{
	if (!s || !key)
		return error_set(reterr, FSHA_E_INVALID, 0, "blob", "an argument is NULL");
	strcpy(ret_name, KEY_PREFIX);
	if (!*fsha_blob_key_format(key, ret_name + strlen(KEY_PREFIX)))
		return error_set(reterr, FSHA_E_INVALID, 0, "blob",
				 "the key of the blob has type %d: permanent is %d, transient %d",
				 (int)key->type, FSHA_BLOB_PERMANENT, FSHA_BLOB_TRANSIENT);
	return FSHA_OK;
}

/* What a store that keeps nothing says to who would have it keep something. */
static fsha_result is_void(const char *op, fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_UNSUPPORTED, 0, op,
			 "this blob store keeps nothing: the cluster has no high availability");
}

/* ---- put ---- */

static fsha_result put_source(fsha_blob_store *s, const fsha_job_id *job, const char *name,
			      struct record_source *source, fsha_error *reterr)
{
	struct room *room;
	fsha_result result;

	result = room_enter(&s->rooms, job, &room, reterr);
	if (result != FSHA_OK)
		return result;
	result = store_write_stream(room_store(room), STORE_PUT, name, NULL, source, NULL, reterr);
	room_leave(&s->rooms, room);
	return result;
}

fsha_result fsha_blob_store_put(fsha_blob_store *s, const char *local_file, const fsha_job_id *job,
				const fsha_blob_key *key, fsha_error *reterr)
{
	struct local_source source;
	char name[KEY_SIZE];
	fsha_result result;

	result = name_key(s, key, name, reterr);
	if (result == FSHA_OK && !local_file)
		result = error_set(reterr, FSHA_E_INVALID, 0, "put", "the local file is NULL");
	if (result != FSHA_OK)
		return result;
	if (!s->rooms.services)
		return is_void("put", reterr);
	result = local_source_open(&source, fs_of(s), local_file, reterr);
	if (result != FSHA_OK)
		return result;
	for (int i = 0; i < TRIES; i++) {
		local_source_rewind(&source);
		result = put_source(s, job, name, &source.source, reterr);
		if (result != FSHA_E_VERSION)
			break;
	}
	local_source_close(&source);
	return result;
}

fsha_result fsha_blob_store_put_fd(fsha_blob_store *s, int fd, uint64_t size,
				   const fsha_job_id *job, const fsha_blob_key *key,
				   fsha_error *reterr)
{
	struct descriptor_source source;
	char name[KEY_SIZE];
	fsha_result result;

	result = name_key(s, key, name, reterr);
	if (result == FSHA_OK && fd < 0)
		result = error_set(reterr, FSHA_E_INVALID, 0, "put", "%d is no descriptor", fd);
	if (result != FSHA_OK)
		return result;
	if (!s->rooms.services)
		return is_void("put", reterr);
	descriptor_source_init(&source, fd, size);
	return put_source(s, job, name, &source.source, reterr);
}

/* ---- get ---- */

static fsha_result get_sink(fsha_blob_store *s, const fsha_job_id *job, const char *name,
			    const struct record_sink *sink, uint64_t *ret_size, fsha_error *reterr)
{
	struct room *room;
	fsha_result result;

	result = room_enter(&s->rooms, job, &room, reterr);
	if (result != FSHA_OK)
		return result;
	result = store_get_stream(room_store(room), name, sink, ret_size, NULL, reterr);
	room_leave(&s->rooms, room);
	return result;
}

static fsha_result get_file(fsha_blob_store *s, const fsha_job_id *job, const char *name,
			    const char *local_file, fsha_error *reterr)
{
	struct local_target target;
	fsha_result result;

	result = local_target_open(&target, fs_of(s), local_file, reterr);
	if (result != FSHA_OK)
		return result;
	result = get_sink(s, job, name, &target.sink, NULL, reterr);
	if (result == FSHA_OK)
		return local_target_commit(&target, reterr);
	local_target_abandon(&target);
	return result;
}

fsha_result fsha_blob_store_get(fsha_blob_store *s, const fsha_job_id *job,
				const fsha_blob_key *key, const char *local_file,
				fsha_error *reterr)
{
	char name[KEY_SIZE];
	fsha_result result;

	result = name_key(s, key, name, reterr);
	if (result == FSHA_OK && !local_file)
		result = error_set(reterr, FSHA_E_INVALID, 0, "get", "the local file is NULL");
	if (result != FSHA_OK)
		return result;
	if (!s->rooms.services)
		return is_void("get", reterr);
	for (int i = 0; i < TRIES; i++) {
		result = get_file(s, job, name, local_file, reterr);
		if (result != FSHA_E_VERSION)
			break;
	}
	return result;
}

fsha_result fsha_blob_store_get_fd(fsha_blob_store *s, const fsha_job_id *job,
				   const fsha_blob_key *key, int fd, uint64_t *ret_size,
				   fsha_error *reterr)
{
	struct descriptor_sink sink;
	char name[KEY_SIZE];
	fsha_result result;

	result = name_key(s, key, name, reterr);
	if (result == FSHA_OK && fd < 0)
		result = error_set(reterr, FSHA_E_INVALID, 0, "get", "%d is no descriptor", fd);
	if (result != FSHA_OK)
		return result;
	if (!s->rooms.services)
		return is_void("get", reterr);
	descriptor_sink_init(&sink, fd);
	return get_sink(s, job, name, &sink.sink, ret_size, reterr);
}

/* ---- delete ---- */

fsha_result fsha_blob_store_delete(fsha_blob_store *s, const fsha_job_id *job,
				   const fsha_blob_key *key, fsha_error *reterr)
{
	char name[KEY_SIZE];
	struct room *room;
	fsha_result result;

	result = name_key(s, key, name, reterr);
	if (result != FSHA_OK || !s->rooms.services)
		return result;
	result = room_enter(&s->rooms, job, &room, reterr);
	if (result != FSHA_OK)
		return result;
	result = store_write(room_store(room), STORE_REMOVE, name, NULL, NULL, 0, NULL, reterr);
	room_leave(&s->rooms, room);
	return result;
}

fsha_result fsha_blob_store_delete_all(fsha_blob_store *s, const fsha_job_id *job,
				       fsha_error *reterr)
{
	struct room *room;
	fsha_result result;

	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "delete_all", "an argument is NULL");
	if (!s->rooms.services)
		return FSHA_OK;
	result = room_enter(&s->rooms, job, &room, reterr);
	if (result != FSHA_OK)
		return result;
	/* Cleared first: whoever has the directory open finds nothing in it then. */
	result = store_clear(room_store(room), reterr);
	if (result == FSHA_OK)
		result = store_remove_directory(room_store(room), reterr);
	room_leave(&s->rooms, room);
	return result;
}

fsha_result fsha_blob_store_cleanup_all(fsha_blob_store *s, fsha_error *reterr)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result first, result;
	fsha_job_id *jobs;
	size_t count;
	int no_job;

	first = fsha_blob_store_jobs(s, &jobs, &count, &no_job, reterr);
	if (first != FSHA_OK)
		return first;
	for (size_t i = 0; i < count + (no_job ? 1 : 0); i++) {
		result = fsha_blob_store_delete_all(s, i < count ? &jobs[i] : NULL, &error);
		if (result != FSHA_OK && first == FSHA_OK)
			first = error_copy(reterr, &error);
		if (result == FSHA_E_NOT_LEADER || result == FSHA_E_FENCED)
			break; /* it will be no better for the others */
	}
	fsu_release(fs_of(s), jobs);
	return first;
}

/* ---- lists ---- */

static int compare_keys(const void *a, const void *b)
{
	return fsha_blob_key_compare(a, b);
}

static fsha_result read_keys(fsha_blob_store *s, const fsha_job_id *job, char ***ret_names,
			     size_t *ret_count, fsha_error *reterr)
{
	struct room *room;
	fsha_result result;

	*ret_names = NULL;
	*ret_count = 0;
	if (!s->rooms.services)
		return FSHA_OK;
	result = room_enter(&s->rooms, job, &room, reterr);
	if (result != FSHA_OK)
		return result;
	result = store_keys(room_store(room), ret_names, ret_count, reterr);
	room_leave(&s->rooms, room);
	return result;
}

fsha_result fsha_blob_store_list(fsha_blob_store *s, const fsha_job_id *job,
				 fsha_blob_key **ret_keys, size_t *ret_count, size_t *ret_skipped,
				 fsha_error *reterr)
{
	fsha_blob_key *keys;
	size_t count, n = 0;
	fsha_result result;
	char **names;

	if (!s || !ret_keys || !ret_count)
		return error_set(reterr, FSHA_E_INVALID, 0, "list", "an argument is NULL");
	result = read_keys(s, job, &names, &count, reterr);
	if (result != FSHA_OK)
		return result;
	keys = fsu_alloc(fs_of(s), (count + 1) * sizeof(*keys));
	for (size_t i = 0; keys && i < count; i++)
		if (strncmp(names[i], KEY_PREFIX, strlen(KEY_PREFIX)) == 0 &&
		    fsha_blob_key_parse(names[i] + strlen(KEY_PREFIX), &keys[n]) == FSHA_OK)
			n++;
	fsu_release(fs_of(s), names);
	if (!keys)
		return error_os(reterr, -ENOMEM, "alloc", "cannot list the blobs");
	qsort(keys, n, sizeof(*keys), compare_keys);
	*ret_keys = keys;
	*ret_count = n;
	if (ret_skipped)
		*ret_skipped = count - n;
	return FSHA_OK;
}

static int compare_jobs(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(fsha_job_id));
}

/* The directories below blobs/. */
static fsha_result list_rooms(const fsha_blob_store *s, struct fsu_list *list, fsha_error *reterr)
{
	const struct cluster *c;
	int r;

	if (!s->rooms.services)
		return FSHA_OK;
	c = &s->rooms.services->cluster;
	r = fsu_list_read(list, c->fd, LAYOUT_BLOBS, c->local, cluster_lease_ns(c) / 5);
	return r < 0 ? layout_list_failed(c, LAYOUT_BLOBS, r, reterr) : FSHA_OK;
}

fsha_result fsha_blob_store_jobs(fsha_blob_store *s, fsha_job_id **ret_jobs, size_t *ret_count,
				 int *ret_no_job, fsha_error *reterr)
{
	struct fsu_list list;
	fsha_job_id *jobs = NULL;
	fsha_result result;
	size_t n = 0;
	int no_job = 0;

	if (!s || !ret_jobs || !ret_count)
		return error_set(reterr, FSHA_E_INVALID, 0, "jobs", "an argument is NULL");
	fsu_list_init(&list, fs_of(s));
	result = list_rooms(s, &list, reterr);
	if (result == FSHA_OK) {
		jobs = fsu_alloc(fs_of(s), (list.count + 1) * sizeof(*jobs));
		if (!jobs)
			result = error_os(reterr, -ENOMEM, "alloc", "cannot list the jobs");
	}
	for (size_t i = 0; jobs && i < list.count; i++) {
		const char *name = fsu_list_name(&list, i);

		if (strcmp(name, ROOM_NO_JOB) == 0)
			no_job = 1;
		else if (strncmp(name, ROOM_JOB, strlen(ROOM_JOB)) == 0 &&
			 fsha_job_id_parse(name + strlen(ROOM_JOB), &jobs[n]) == FSHA_OK)
			n++;
	}
	fsu_list_done(&list);
	if (result != FSHA_OK)
		return result;
	qsort(jobs, n, sizeof(*jobs), compare_jobs);
	*ret_jobs = jobs;
	*ret_count = n;
	if (ret_no_job)
		*ret_no_job = no_job;
	return FSHA_OK;
}
