/*
 * Restoring a backup: verify all of it, hold every election, then write as their leader. Whoever
 * comes after an interruption finds nothing that would start a job from the wrong data, or from
 * none: the job graphs go first and come last; and what the backup has is written before what it
 * does not have is removed, so a job that is started without a graph finds its old checkpoints, or
 * those of the backup, or both.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsha/backup.h"
#include "fsutil/fsu_path.h"
#include "src/backup/archive.h"
#include "src/backup/damaged_packs.h"
#include "src/backup/offices.h"
#include "src/backup/pending.h"
#include "src/backup/restore.h"
#include "src/backup/target.h"
#include "src/cluster/layout.h"
#include "src/maintenance/area.h"
#include "src/record/stream.h"
#include "src/result/error.h"
#include "src/services/services.h"
#include "src/state/owner.h"

/* Up to here a value is read whole and written as one record. */
#define WHOLE_MAX (UINT64_C(1) << 20)

struct restore {
	fsha_services *services;
	const struct cluster *cluster;
	const fsha_restore_options *options;
	struct archive archive;
	struct offices offices;
	/* The store that was written to last, kept open: entries come store by store. */
	struct store *store;
	struct pending pending;
	bool all; /* what the backup has is removed too, to come back later */
	fsha_backup_summary summary;
};

/* Has every value its place here, and only one? They are sorted. */
static fsha_result check_values(const struct restore *r, fsha_error *reterr)
{
	const struct manifest *m = &r->archive.manifest;
	struct target target, former = { .area = NULL };

	for (size_t i = 0; i < m->entry_count; i++) {
		const char *path = m->entries[i].path;

		if (!target_parse(path, &target) || !target_is_key(&target) ||
		    !manifest_store(m, target.directory))
			return archive_damaged(path, "belongs to no store that this version knows",
					       reterr);
		if (former.area && strcmp(former.directory, target.directory) == 0 &&
		    strcmp(former.key, target.key) == 0)
			return archive_damaged(path, "is not the only version of its key", reterr);
		former = target;
	}
	return FSHA_OK;
}

/* ---- What is wanted ---- */

static bool is_below(const char *directory, const char *part)
{
	size_t len = strlen(part);

	return strncmp(directory, part, len) == 0 &&
	       (directory[len] == '\0' || directory[len] == '/');
}

static bool is_wanted(const struct restore *r, const char *directory)
{
	bool wanted = !r->options->parts;

	for (size_t i = 0; i < r->options->part_count && !wanted; i++)
		wanted = is_below(directory, r->options->parts[i]);
	return wanted;
}

static fsha_result check_parts(const struct restore *r, fsha_error *reterr)
{
	for (size_t i = 0; i < r->options->part_count; i++) {
		bool known = false;

		for (size_t j = 0; j < areas_count && !known; j++)
			known = strcmp(areas[j].directory, r->options->parts[i]) == 0;
		for (size_t j = 0; j < r->archive.manifest.store_count && !known; j++)
			known = is_below(r->archive.manifest.stores[j].directory,
					 r->options->parts[i]);
		if (!known)
			return error_set(reterr, FSHA_E_NOT_FOUND, 0, "restore",
					 "the backup has no '%s': parts are directories such as "
					 "'job_graphs' or 'checkpoints/<job>'",
					 r->options->parts[i]);
	}
	return FSHA_OK;
}

/*
 * Every backup says of the stores that every cluster has what was in them, if only nothing. What it
 * says nothing of is no reason to remove anything here.
 */
static fsha_result check_complete(const struct restore *r, fsha_error *reterr)
{
	for (size_t i = 0; i < areas_count; i++) {
		const char *directory = areas[i].directory;

		if (areas[i].nesting == AREA_FLAT && is_wanted(r, directory) &&
		    !manifest_store(&r->archive.manifest, directory))
			return error_set(reterr, FSHA_E_CORRUPT, 0, "restore",
					 "the backup says nothing of '%s', which every cluster "
					 "has: it was taken of a cluster that had lost it; "
					 "restore the parts that it has, one by one",
					 directory);
	}
	return FSHA_OK;
}

/* A namespace that is there must belong to the same election. */
static fsha_result check_owners(const struct restore *r, fsha_error *reterr)
{
	char owner[FSU_COMPONENT_MAX + 1];

	for (size_t i = 0; i < r->archive.manifest.store_count; i++) {
		const struct manifest_store *s = &r->archive.manifest.stores[i];
		const struct area *area = target_area(s->directory);
		fsha_result result;

		if (!area)
			return archive_damaged(s->directory, "is no store that this version knows",
					       reterr);
		if (!target_is_owner(area, s))
			return archive_damaged(s->directory, "belongs to a wrong election", reterr);
		if (area->nesting == AREA_FLAT || !is_wanted(r, s->directory))
			continue;
		result = owner_of(r->cluster, s->directory, owner, reterr);
		if (result == FSHA_E_NOT_FOUND)
			continue;
		if (result != FSHA_OK)
			return result;
		if (strcmp(owner, s->election) != 0)
			return error_set(reterr, FSHA_E_CONFIG, 0, "restore",
					 "'%s' belongs to election '%s' here, and to '%s' in the "
					 "backup: nothing was changed",
					 s->directory, owner, s->election);
	}
	return FSHA_OK;
}

static fsha_result claim_all(struct restore *r, fsha_error *reterr)
{
	fsha_result result = offices_take_all(&r->offices, reterr);

	for (size_t i = 0; i < r->archive.manifest.store_count && result == FSHA_OK; i++)
		if (is_wanted(r, r->archive.manifest.stores[i].directory))
			result = offices_take(&r->offices, r->archive.manifest.stores[i].election,
					      reterr);
	if (result == FSHA_OK)
		result = offices_rise_above(&r->offices, r->archive.manifest.epoch_max, reterr);
	return result;
}

/* Is anything in the area wanted? */
static bool is_area_wanted(const struct restore *r, const struct area *area)
{
	bool wanted = is_wanted(r, area->directory);

	for (size_t i = 0; i < r->options->part_count && !wanted; i++)
		wanted = is_below(r->options->parts[i], area->directory);
	return wanted;
}

/* What this cluster has lost, and the backup brings back. */
static fsha_result make_directories(const struct restore *r, fsha_error *reterr)
{
	const struct cluster *c = r->cluster;
	int e = 0;

	for (size_t i = 0; i < areas_count && (e == 0 || e == -EEXIST); i++)
		if (is_area_wanted(r, &areas[i]))
			e = fsu_mkdirat(c->fs, c->fd, areas[i].directory, FSU_DIR_MODE);
	if (e == -EEXIST)
		e = 0;
	if (e == 0)
		e = fsu_fsync(c->fs, c->fd);
	return e < 0 ? error_os(reterr, e, "mkdir", "cannot make the directories of '%s'",
				c->path) :
		       FSHA_OK;
}

/* ---- Removing what the backup does not have ---- */

static fsha_result open_store(struct restore *r, const struct area *area, const char *directory,
			      const char *election, struct store **ret_store, fsha_error *reterr)
{
	struct store_options options = { .directory = directory, .election = election };

	area_store_options(area, r->services->job_result_path, &options);
	return services_store_open(r->services, &options, ret_store, reterr);
}

/*
 * Of everything in the store the part that the backup does not have is removed, in batches. What a
 * damaged pack holds is not known: it goes too, when nothing older can show in its place, so graphs
 * that are still to be written are removed before.
 */
static fsha_result remove_keys(struct restore *r, struct store *s, fsha_error *reterr)
{
	char prefix[AREA_DIRECTORY_SIZE + FSU_COMPONENT_MAX + 2];
	bool damaged, all = r->all;
	struct index_entry *e;
	fsha_result result;

	(void)pthread_mutex_lock(&s->mutex);
	index_forget(&s->index);
	result = store_load(s, NULL, reterr);
	damaged = result == FSHA_OK && s->index.damaged_count > 0;
	all |= damaged && s->kind == FSU_KIND_JOB_GRAPH;
	for (e = result == FSHA_OK ? s->index.entries : NULL; e && result == FSHA_OK;
	     e = e->hh.next) {
		bool stays;

		(void)snprintf(prefix, sizeof(prefix), "%s/%s~", s->directory, e->key);
		stays = manifest_has(&r->archive.manifest, prefix);
		if (index_entry_gone(e) || strcmp(e->key, OWNER_KEY) == 0 || (stays && !all))
			continue;
		result = pending_add(&r->pending, STORE_REMOVE, e->key, NULL, 0, reterr);
		r->summary.removed += !stays;
	}
	(void)pthread_mutex_unlock(&s->mutex);
	if (result == FSHA_OK)
		result = pending_flush(&r->pending, s, reterr);
	return result == FSHA_OK && damaged ? damaged_packs_take(s, &r->summary.damaged, reterr) :
					      result;
}

static fsha_result remove_others(struct restore *r, const struct area *area, const char *directory,
				 const char *election, fsha_error *reterr)
{
	fsha_result result;
	struct store *s;

	result = open_store(r, area, directory, election, &s, reterr);
	if (result != FSHA_OK)
		return result;
	result = remove_keys(r, s, reterr);
	if (result == FSHA_OK && s->removable && !manifest_store(&r->archive.manifest, directory))
		result = store_remove_directory(s, reterr);
	if (result == FSHA_E_NOT_FOUND)
		result = FSHA_OK; /* there is no such directory */
	services_store_close(r->services, s);
	return result;
}

/* One store of an area in the cluster as it is. */
static fsha_result clear_nested(struct restore *r, const struct area *area, const char *name,
				fsha_error *reterr)
{
	char directory[AREA_DIRECTORY_SIZE], owner[FSU_COMPONENT_MAX + 1];
	fsha_result result;

	if (!area_names_store(area, name, NULL))
		return FSHA_OK;
	area_directory(area, name, directory);
	if (!is_wanted(r, directory) || area_is_foreign(r->cluster, directory))
		return FSHA_OK;
	result = owner_of(r->cluster, directory, owner, reterr);
	if (result == FSHA_E_NOT_FOUND)
		return FSHA_OK;
	if (result == FSHA_OK)
		result = offices_take(&r->offices, owner, reterr); /* made since, perhaps */
	return result == FSHA_OK ? remove_others(r, area, directory, owner, reterr) : result;
}

static fsha_result clear_area(struct restore *r, const struct area *area, fsha_error *reterr)
{
	const struct cluster *c = r->cluster;
	fsha_result result = FSHA_OK;
	struct fsu_list list;
	int e;

	if (area->nesting == AREA_FLAT)
		return is_wanted(r, area->directory) ?
			       remove_others(r, area, area->directory, area->election, reterr) :
			       FSHA_OK;
	fsu_list_init(&list, c->fs);
	e = fsu_list_read(&list, c->fd, area->directory, c->local, cluster_lease_ns(c) / 5);
	if (e < 0 && (e != -ENOENT || is_area_wanted(r, area)))
		result = layout_list_failed(c, area->directory, e, reterr);
	for (size_t i = 0; e == 0 && result == FSHA_OK && i < list.count; i++)
		result = clear_nested(r, area, fsu_list_name(&list, i), reterr);
	fsu_list_done(&list);
	return result;
}

/* No job is there to be started while its data is replaced. */
static fsha_result clear_graphs(struct restore *r, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;
	bool more = !r->options->parts;

	for (size_t i = 0; !more && i < r->options->part_count; i++)
		more = strcmp(r->options->parts[i], LAYOUT_JOB_GRAPHS) != 0;
	r->all = more; /* of graphs alone those that stay are replaced in their place */
	for (size_t i = 0; i < areas_count && result == FSHA_OK; i++)
		if (areas[i].kind == FSU_KIND_JOB_GRAPH)
			result = clear_area(r, &areas[i], reterr);
	r->all = false;
	return result;
}

/* ---- Writing ---- */

/* What waits for it is written. */
static fsha_result leave_store(struct restore *r, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;

	if (!r->store)
		return FSHA_OK;
	result = pending_flush(&r->pending, r->store, reterr);
	services_store_close(r->services, r->store);
	r->store = NULL;
	return result;
}

/* The content of an entry, of which so much was verified. */
struct content {
	const fsha_backup_source *source;
	uint64_t left;
};

/* A part of a value must not pass for the whole, whatever became of the backup since. */
static ssize_t read_content(void *ctx, void *buf, size_t size)
{
	struct content *c = ctx;
	size_t n = 0;

	if (c->left == 0)
		return 0;
	if (size > c->left)
		size = (size_t)c->left;
	if (c->source->read(c->source->ctx, buf, size, &n, NULL) != FSHA_OK || n == 0 || n > size)
		return -EIO;
	c->left -= n;
	return (ssize_t)n;
}

static fsha_result write_value(struct restore *r, struct store *s, const struct target *t,
			       const char *path, uint64_t size, fsha_error *reterr)
{
	struct content content = { r->archive.source, size };
	struct record_source stream = { .source = { read_content, &content } };
	fsha_result result;
	uint8_t *data;

	if (size > WHOLE_MAX && !s->format)
		return store_write_stream(s, STORE_OVERWRITE, t->key, NULL, &stream, NULL, reterr);
	if (size > FSHA_STATE_VALUE_MAX)
		return archive_damaged(path, "is larger than a value of that store can be", reterr);
	data = fsu_alloc(r->cluster->fs, (size_t)size + 1);
	if (!data)
		return error_os(reterr, -ENOMEM, "alloc", "cannot restore '%s'", path);
	result = archive_read(&r->archive, path, data, (size_t)size, reterr);
	if (result != FSHA_OK) {
		fsu_release(r->cluster->fs, data);
		return result;
	}
	if (s->format) {
		result = store_write(s, STORE_OVERWRITE, t->key, NULL, data, (size_t)size, NULL,
				     reterr);
		fsu_release(r->cluster->fs, data);
		return result;
	}
	result = pending_add(&r->pending, STORE_OVERWRITE, t->key, data, (size_t)size, reterr);
	if (result == FSHA_OK && pending_is_full(&r->pending))
		result = pending_flush(&r->pending, s, reterr);
	return result;
}

static fsha_result enter_store(struct restore *r, const struct target *t, fsha_error *reterr)
{
	fsha_result result;

	if (r->store && strcmp(r->store->directory, t->directory) == 0)
		return FSHA_OK;
	result = leave_store(r, reterr);
	if (result != FSHA_OK)
		return result;
	return open_store(r, t->area, t->directory,
			  manifest_store(&r->archive.manifest, t->directory)->election, &r->store,
			  reterr);
}

static fsha_result restore_entry(struct restore *r, const char *path, uint64_t size, bool last,
				 fsha_error *reterr)
{
	fsha_result result;
	struct target t;

	if (!manifest_find(&r->archive.manifest, path) || !target_parse(path, &t) ||
	    !is_wanted(r, t.directory) ||
	    last != (strcmp(t.area->directory, LAYOUT_JOB_GRAPHS) == 0))
		return FSHA_OK;
	result = enter_store(r, &t, reterr);
	if (result == FSHA_OK)
		result = write_value(r, r->store, &t, path, size, reterr);
	if (result == FSHA_OK) {
		r->summary.values++;
		r->summary.bytes += size;
	}
	return result;
}

static fsha_result restore_data(void *ctx, const char *path, uint64_t size, fsha_error *reterr)
{
	return restore_entry(ctx, path, size, false, reterr);
}

static fsha_result restore_pointers(void *ctx, const char *path, uint64_t size, fsha_error *reterr)
{
	return restore_entry(ctx, path, size, true, reterr);
}

/* ---- All of it ---- */

static fsha_result write_all(struct restore *r, archive_visit *visit, fsha_error *reterr)
{
	fsha_error ignored = FSHA_ERROR_INIT;
	fsha_result result = archive_each(&r->archive, visit, r, reterr), left;

	if (result != FSHA_OK)
		pending_drop(&r->pending);
	left = leave_store(r, result == FSHA_OK ? reterr : &ignored);
	return result == FSHA_OK ? left : result;
}

static fsha_result apply(struct restore *r, fsha_error *reterr)
{
	fsha_error ignored = FSHA_ERROR_INIT;
	fsha_result result = claim_all(r, reterr), left;

	if (result == FSHA_OK)
		result = make_directories(r, reterr);
	if (result == FSHA_OK)
		result = clear_graphs(r, reterr);
	if (result == FSHA_OK)
		result = write_all(r, restore_data, reterr);
	for (size_t i = 0; i < areas_count && result == FSHA_OK; i++)
		result = clear_area(r, &areas[i], reterr);
	if (result == FSHA_OK)
		result = write_all(r, restore_pointers, reterr);
	left = offices_leave(&r->offices, result == FSHA_OK ? reterr : &ignored);
	return result == FSHA_OK ? left : result;
}

/* All of it was, whichever parts are wanted. */
static void count_verified(struct restore *r)
{
	const struct manifest *m = &r->archive.manifest;

	r->summary.values = m->entry_count;
	for (size_t i = 0; i < m->entry_count; i++)
		r->summary.bytes += m->entries[i].size;
}

static fsha_result check_arguments(const fsha_services *s, const fsha_restore_options *o,
				   const fsha_backup_source *source,
				   const fsha_backup_summary *summary, fsha_error *reterr)
{
	if (!s || !source || source->struct_size != sizeof(*source) || !source->rewind ||
	    !source->next || !source->read || (summary && summary->struct_size != sizeof(*summary)))
		return error_set(reterr, FSHA_E_INVALID, 0, "restore",
				 "an argument is NULL, or a struct_size is not set");
	if (o->struct_size != sizeof(*o) || o->flags & ~FSHA_RESTORE_DRY_RUN || o->reserved0 ||
	    (o->part_count > 0) != !!o->parts)
		return error_set(reterr, FSHA_E_INVALID, 0, "restore",
				 "the restore options have an unknown size or flag: start from "
				 "FSHA_RESTORE_OPTIONS_INIT");
	return FSHA_OK;
}

fsha_result fsha_backup_restore(fsha_services *s, const fsha_restore_options *options,
				const fsha_backup_source *source, fsha_backup_summary *ret_summary,
				fsha_error *reterr)
{
	return restore_run(s, options, source, false, ret_summary, reterr);
}

fsha_result restore_run(fsha_services *s, const fsha_restore_options *options,
			const fsha_backup_source *source, bool in_hand,
			fsha_backup_summary *ret_summary, fsha_error *reterr)
{
	const fsha_restore_options defaults = FSHA_RESTORE_OPTIONS_INIT;
	const fsha_restore_options *o = options ? options : &defaults;
	fsha_result result = check_arguments(s, o, source, ret_summary, reterr);
	struct restore r;

	if (result != FSHA_OK)
		return result;
	r = (struct restore){
		.services = s,
		.cluster = &s->cluster,
		.options = o,
		.archive = { .fs = services_fs(s), .source = source },
		.offices = { .services = s, .in_hand = in_hand },
		.pending = { .fs = services_fs(s) },
		.summary = FSHA_BACKUP_SUMMARY_INIT,
	};
	manifest_init(&r.archive.manifest, services_fs(s));
	result = archive_verify(&r.archive, reterr);
	if (result == FSHA_OK)
		result = check_values(&r, reterr);
	if (result == FSHA_OK)
		result = check_parts(&r, reterr);
	if (result == FSHA_OK)
		result = check_complete(&r, reterr);
	if (result == FSHA_OK)
		result = check_owners(&r, reterr);
	if (result == FSHA_OK && o->flags & FSHA_RESTORE_DRY_RUN)
		count_verified(&r);
	else if (result == FSHA_OK)
		result = apply(&r, reterr);
	if (result == FSHA_OK && ret_summary)
		*ret_summary = r.summary;
	pending_done(&r.pending);
	manifest_done(&r.archive.manifest);
	return result;
}
