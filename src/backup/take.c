/*
 * Taking a backup. A value that is overtaken while others are copied is copied again as it is then:
 * rounds go on until every value of one look has been copied, and only these are in the manifest.
 */
/* uthash gets its memory from the table: every function that adds has a `take_fs` in scope. */
#define uthash_malloc(size) fsu_alloc(take_fs, size)
#define uthash_free(ptr, size) fsu_release(take_fs, ptr)
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "fsha/backup.h"
#include "src/backup/manifest.h"
#include "src/backup/offices.h"
#include "src/backup/snapshot.h"
#include "src/cluster/layout.h"
#include "src/election/claim.h"
#include "src/record/stream.h"
#include "src/result/error.h"
#include "src/services/services.h"

#define TIMEOUT_MS_DEFAULT 30000
#define PATH_SIZE (AREA_DIRECTORY_SIZE + NAME_SIZE)

/* A value that the sink has. */
struct copied {
	UT_hash_handle hh;
	uint64_t size;
	char checksum[MANIFEST_CHECKSUM];
	bool damaged; /* and left out */
	char path[];
};

struct take {
	const struct cluster *cluster;
	const fsha_backup_sink *sink;
	uint32_t flags;
	struct snapshot snap;
	struct manifest manifest;
	struct manifest_hash *hash;
	struct copied *copied;
	uint64_t damaged;
};

/* ---- One value ---- */

/* The entry that is being written. */
struct entry {
	struct take *take;
	const struct snapshot_value *value;
	char path[PATH_SIZE];
	bool begun;
	uint64_t size, done;
};

static fsha_result begin(struct entry *e, uint64_t size, fsha_error *reterr)
{
	e->begun = true;
	e->size = size;
	return e->take->sink->begin(e->take->sink->ctx, e->path, size, reterr);
}

static fsha_result put(void *ctx, const void *data, size_t size, fsha_error *reterr)
{
	struct entry *e = ctx;

	manifest_hash_add(e->take->hash, data, size);
	e->done += size;
	return e->take->sink->write(e->take->sink->ctx, data, size, reterr);
}

/* What was begun must get its size, although it counts for nothing. */
static fsha_result fill_up(struct entry *e, fsha_error *reterr)
{
	static const char zeros[4096];
	fsha_result result = FSHA_OK;

	while (e->begun && e->done < e->size && result == FSHA_OK) {
		uint64_t left = e->size - e->done;

		result = put(e, zeros, left < sizeof(zeros) ? (size_t)left : sizeof(zeros), reterr);
	}
	return result;
}

/* Values that are streams, as store_read has them read. VERSION: it was overtaken. */
static fsha_result copy_stream(void *ctx, struct store *s, const struct store_found *found,
			       fsha_error *reterr)
{
	struct entry *e = ctx;
	const struct record_sink sink = { .write = put, .ctx = e };
	struct record_stream *stream;
	fsha_result result;

	if (fsha_version_compare(&found->version, &e->value->version) != 0)
		return FSHA_E_VERSION;
	if (s->format || found->packed)
		return FSHA_E_UNSUPPORTED;
	result = record_stream_open(&found->place, found->file, s->kind, &stream, reterr);
	if (result != FSHA_OK)
		return result;
	result = begin(e, record_stream_size(stream), reterr);
	if (result == FSHA_OK)
		result = record_stream_copy(stream, &sink, reterr);
	record_stream_close(stream);
	return result;
}

static fsha_result copy_whole(struct entry *e, struct store *s, const char *key, fsha_error *reterr)
{
	struct record record;
	fsha_version version;
	fsha_result result;

	result = store_get(s, key, &record, &version, reterr);
	if (result != FSHA_OK)
		return result;
	if (fsha_version_compare(&version, &e->value->version) != 0)
		result = FSHA_E_VERSION;
	if (result == FSHA_OK)
		result = begin(e, record.size, reterr);
	if (result == FSHA_OK)
		result = put(e, record.data, record.size, reterr);
	record_done(e->take->cluster->fs, &record);
	return result;
}

static fsha_result remember(struct take *t, const struct entry *e, bool damaged, fsha_error *reterr)
{
	const struct fsu *take_fs = t->cluster->fs;
	struct copied *c = fsu_alloc(take_fs, sizeof(*c) + strlen(e->path) + 1);

	if (!c)
		return error_os(reterr, -ENOMEM, "alloc", "cannot remember '%s'", e->path);
	c->size = e->done;
	c->damaged = damaged;
	manifest_hash_text(t->hash, c->checksum);
	strcpy(c->path, e->path);
	HASH_ADD_STR(t->copied, path, c);
	if (!c->hh.tbl) {
		fsu_release(take_fs, c);
		return error_os(reterr, -ENOMEM, "alloc", "cannot remember '%s'", e->path);
	}
	t->damaged += damaged;
	return FSHA_OK;
}

static void format_path(const struct snapshot_value *v, char *ret_path)
{
	char name[NAME_SIZE];

	name_format(v->key, &v->version, v->form, name);
	(void)snprintf(ret_path, PATH_SIZE, "%s/%s", v->store->directory, name);
}

/* One more in *moved: it was overtaken; another look is needed. */
static fsha_result copy_value(struct take *t, const struct snapshot_value *v, size_t *moved,
			      fsha_error *reterr)
{
	struct entry e = { .take = t, .value = v };
	struct store *s = v->store->store;
	char ignored[MANIFEST_CHECKSUM];
	struct copied *c;
	fsha_result result;

	format_path(v, e.path);
	HASH_FIND_STR(t->copied, e.path, c);
	if (c)
		return FSHA_OK;
	result = store_read(s, v->key, copy_stream, &e, NULL, reterr);
	if (result == FSHA_E_UNSUPPORTED)
		result = copy_whole(&e, s, v->key, reterr);
	if (result == FSHA_OK)
		return remember(t, &e, false, reterr);
	if (result == FSHA_E_CORRUPT && t->flags & FSHA_BACKUP_SKIP_DAMAGED) {
		result = fill_up(&e, reterr);
		return result == FSHA_OK ? remember(t, &e, true, reterr) : result;
	}
	if (result != FSHA_E_VERSION && result != FSHA_E_NOT_FOUND)
		return result;
	++*moved;
	result = fill_up(&e, reterr);
	manifest_hash_text(t->hash, ignored); /* start anew */
	return result;
}

/* ---- The manifest ---- */

/* The highest epoch that any election has reached. */
static fsha_result add_epochs(struct take *t, fsha_error *reterr)
{
	const struct cluster *c = t->cluster;
	struct fsu_list elections, list;
	fsha_result result = FSHA_OK;
	uint64_t floor;
	int r;

	fsu_list_init(&elections, c->fs);
	fsu_list_init(&list, c->fs);
	r = fsu_list_pass(&elections, c->elections_fd, "", c->local);
	if (r < 0)
		result = error_os(reterr, r, "list", "cannot list '" LAYOUT_ELECTIONS "'");
	for (size_t i = 0; r == 0 && result == FSHA_OK && i < elections.count; i++) {
		struct epoch epoch;
		int fd;

		if (!offices_is_election(c, fsu_list_name(&elections, i)))
			continue;
		fd = fsu_dir_open(c->fs, c->elections_fd, fsu_list_name(&elections, i));
		r = fd < 0 ? fd : epoch_read_surely(c, fd, &list, &epoch);
		if (fd >= 0)
			(void)fsu_close(c->fs, fd); /* a directory */
		if (r == 0 && epoch.number > t->manifest.epoch_max)
			t->manifest.epoch_max = epoch.number;
		/* The floor, which is read below, was raised above its epochs. */
		if (r == -ENOENT && fd >= 0 && epoch_is_retired(&list))
			r = 0;
		if (r < 0)
			result = error_os(reterr, r, "list", "cannot look at election '%s'",
					  fsu_list_name(&elections, i));
	}
	fsu_list_done(&list);
	fsu_list_done(&elections);
	if (result == FSHA_OK)
		result = cluster_floor_read(c, &floor, reterr);
	if (result == FSHA_OK && floor > t->manifest.epoch_max)
		t->manifest.epoch_max = floor;
	return result;
}

static fsha_result fill_manifest(struct take *t, fsha_error *reterr)
{
	struct manifest *m = &t->manifest;
	const struct snapshot *snap = &t->snap;
	fsha_uuid id;
	int r = 0;

	memcpy(&id, &t->cluster->id, sizeof(id));
	(void)fsha_uuid_format(&id, m->cluster);
	(void)snprintf(m->version, sizeof(m->version), "%s", fsha_library_version());
	m->taken_wall_ns = fsu_wall_ns(t->cluster->fs);
	m->lease_ms = t->cluster->lease_ms;
	m->each_store = t->flags & FSHA_BACKUP_EACH_STORE;
	for (const struct snapshot_store *s = snap->stores; s && r == 0; s = s->next)
		if (s->seen && (s->there || s->area->nesting == AREA_FLAT))
			r = manifest_add_store(m, s->directory, s->election);
	for (size_t i = 0; i < snap->value_count && r == 0; i++) {
		const struct snapshot_value *v = &snap->values[i];
		char path[PATH_SIZE];
		struct copied *c;

		format_path(v, path);
		HASH_FIND_STR(t->copied, path, c);
		if (v->version.epoch > m->epoch_max)
			m->epoch_max = v->version.epoch;
		if (c && !c->damaged)
			r = manifest_add_entry(m, path, c->size, c->checksum);
	}
	return r < 0 ? error_os(reterr, r, "alloc", "cannot write the manifest") :
		       add_epochs(t, reterr);
}

static fsha_result send_manifest(struct take *t, fsha_error *reterr)
{
	fsha_result result;
	char *text;
	size_t len;

	result = fill_manifest(t, reterr);
	if (result != FSHA_OK)
		return result;
	if (manifest_encode(&t->manifest, &text, &len) < 0)
		return error_os(reterr, -ENOMEM, "alloc", "cannot write the manifest");
	result = t->sink->begin(t->sink->ctx, FSHA_BACKUP_MANIFEST, len, reterr);
	if (result == FSHA_OK)
		result = t->sink->write(t->sink->ctx, text, len, reterr);
	fsu_release(t->cluster->fs, text);
	return result;
}

/* ---- All of it ---- */

/*
 * Rounds until one overtakes nothing. The time begins anew with each round that overtook fewer
 * values than any before it: copying many takes long, and then only those few are left.
 */
static fsha_result copy_all(struct take *t, int64_t timeout_ns, fsha_error *reterr)
{
	const struct fsu *fs = t->cluster->fs;
	int64_t deadline_ns = fsu_now_ns(fs) + timeout_ns;
	size_t moved, fewest = SIZE_MAX;
	fsha_result result;

	do {
		moved = 0;
		result = snapshot_look(&t->snap, t->flags & FSHA_BACKUP_EACH_STORE, deadline_ns,
				       reterr);
		for (size_t i = 0; i < t->snap.value_count && result == FSHA_OK; i++)
			result = copy_value(t, &t->snap.values[i], &moved, reterr);
		if (moved < fewest) {
			fewest = moved;
			deadline_ns = fsu_now_ns(fs) + timeout_ns;
		}
		if (result == FSHA_OK && moved > 0 && fsu_now_ns(fs) >= deadline_ns)
			result = error_set(reterr, FSHA_E_TIMEOUT, 0, "backup",
					   "values change faster than they can be copied");
	} while (result == FSHA_OK && moved > 0);
	return result;
}

static void done(struct take *t)
{
	const struct fsu *take_fs = t->cluster->fs;
	struct copied *c, *next;

	HASH_ITER (hh, t->copied, c, next) {
		HASH_DEL(t->copied, c);
		fsu_release(take_fs, c);
	}
	manifest_hash_destroy(t->hash);
	manifest_done(&t->manifest);
	snapshot_done(&t->snap);
}

static fsha_result check_arguments(const fsha_services *s, const fsha_backup_options *options,
				   const fsha_backup_sink *sink, const fsha_backup_summary *summary,
				   fsha_error *reterr)
{
	if (!s || !sink || sink->struct_size != sizeof(*sink) || !sink->begin || !sink->write ||
	    (summary && summary->struct_size != sizeof(*summary)))
		return error_set(reterr, FSHA_E_INVALID, 0, "backup",
				 "an argument is NULL, or a struct_size is not set");
	if (options && (options->struct_size != sizeof(*options) ||
			options->flags & ~(FSHA_BACKUP_SKIP_DAMAGED | FSHA_BACKUP_EACH_STORE)))
		return error_set(reterr, FSHA_E_INVALID, 0, "backup",
				 "the backup options have an unknown size or flag: start from "
				 "FSHA_BACKUP_OPTIONS_INIT");
	return FSHA_OK;
}

fsha_result fsha_backup_take(fsha_services *s, const fsha_backup_options *options,
			     const fsha_backup_sink *sink, fsha_backup_summary *ret_summary,
			     fsha_error *reterr)
{
	const fsha_backup_options defaults = FSHA_BACKUP_OPTIONS_INIT;
	const fsha_backup_options *o = options ? options : &defaults;
	fsha_result result = check_arguments(s, options, sink, ret_summary, reterr);
	struct take t;
	int64_t ms;

	if (result != FSHA_OK)
		return result;
	t = (struct take){ .cluster = &s->cluster, .sink = sink, .flags = o->flags };
	snapshot_init(&t.snap, &s->cluster, s->job_result_path);
	t.snap.skip_damaged = o->flags & FSHA_BACKUP_SKIP_DAMAGED;
	manifest_init(&t.manifest, services_fs(s));
	t.hash = manifest_hash_create();
	ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS_DEFAULT;
	if (!t.hash)
		result = error_os(reterr, -ENOMEM, "alloc", "cannot take a backup");
	if (result == FSHA_OK)
		result = copy_all(&t, ms * FSU_NS_PER_MS, reterr);
	if (result == FSHA_OK)
		result = send_manifest(&t, reterr);
	if (result == FSHA_OK && ret_summary) {
		ret_summary->values = t.manifest.entry_count;
		ret_summary->bytes = 0;
		for (size_t i = 0; i < t.manifest.entry_count; i++)
			ret_summary->bytes += t.manifest.entries[i].size;
		ret_summary->damaged = t.damaged + t.snap.damaged;
		ret_summary->removed = 0;
	}
	done(&t);
	return result;
}
