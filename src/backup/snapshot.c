#include "src/backup/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil/fsu_path.h"
#include "src/cluster/layout.h"
#include "src/result/error.h"
#include "src/state/owner.h"

void snapshot_init(struct snapshot *snap, const struct cluster *c, const char *results)
{
	*snap = (struct snapshot){ .cluster = c, .results = results };
}

static void drop_values(struct snapshot *snap)
{
	fsu_release(snap->cluster->fs, snap->values);
	fsu_release(snap->cluster->fs, snap->keys);
	snap->values = NULL;
	snap->keys = NULL;
	snap->value_count = 0;
}

void snapshot_done(struct snapshot *snap)
{
	drop_values(snap);
	while (snap->stores) {
		struct snapshot_store *s = snap->stores;

		snap->stores = s->next;
		store_close(s->store);
		fsu_release(snap->cluster->fs, s);
	}
}

/* A reader: nothing is believed because of a term. */
static struct term *no_term(void *ctx, const char *election)
{
	(void)ctx;
	(void)election;
	return NULL;
}

static fsha_result open_store(struct snapshot *snap, struct snapshot_store *s, fsha_error *reterr)
{
	const struct term_source terms = { no_term, NULL };
	struct store_options options = { .directory = s->directory, .election = s->election };

	area_store_options(s->area, snap->results, &options);
	if (s->area->nesting != AREA_FLAT)
		options.owned = false; /* whose it is was asked for just now */

	return store_open(snap->cluster, &terms, &options, &s->store, reterr);
}

/* The store of that name, known before or new. */
static fsha_result add_store(struct snapshot *snap, const struct area *area, const char *name,
			     fsha_error *reterr)
{
	char directory[AREA_DIRECTORY_SIZE];
	struct snapshot_store *s;
	fsha_result result;

	area_directory(area, name, directory);
	/* A fixed directory that is none is no person's file, but damage. */
	if (area->nesting != AREA_FLAT && area_is_foreign(snap->cluster, directory))
		return FSHA_OK;
	for (s = snap->stores; s; s = s->next)
		if (strcmp(s->directory, directory) == 0)
			break;
	if (s) {
		s->seen = true;
		return FSHA_OK;
	}
	s = fsu_alloc(snap->cluster->fs, sizeof(*s));
	if (!s)
		return error_os(reterr, -ENOMEM, "alloc", "cannot look at '%s'", directory);
	s->area = area;
	s->seen = true;
	strcpy(s->directory, directory);
	area_election(area, name, s->election);
	result = FSHA_OK;
	if (!s->election[0])
		result = owner_of(snap->cluster, directory, s->election, reterr);
	if (result == FSHA_OK)
		result = open_store(snap, s, reterr);
	if (result != FSHA_OK) {
		fsu_release(snap->cluster->fs, s);
		snap->vanished |= result == FSHA_E_NOT_FOUND;
		return result == FSHA_E_NOT_FOUND ? FSHA_OK : result;
	}
	s->next = snap->stores;
	snap->stores = s;
	return FSHA_OK;
}

/* All stores of an area that has one for each job or namespace. */
static fsha_result add_nested(struct snapshot *snap, const struct area *area, fsha_error *reterr)
{
	const struct cluster *c = snap->cluster;
	fsha_result result = FSHA_OK;
	struct fsu_list list;
	int r;

	fsu_list_init(&list, c->fs);
	r = fsu_list_read(&list, c->fd, area->directory, c->local, cluster_lease_ns(c) / 5);
	if (r < 0)
		result = layout_list_failed(c, area->directory, r, reterr);
	for (size_t i = 0; r == 0 && result == FSHA_OK && i < list.count; i++)
		if (area_names_store(area, fsu_list_name(&list, i), NULL))
			result = add_store(snap, area, fsu_list_name(&list, i), reterr);
	fsu_list_done(&list);
	return result;
}

static fsha_result find_stores(struct snapshot *snap, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;

	for (struct snapshot_store *s = snap->stores; s; s = s->next)
		s->seen = false;
	for (size_t i = 0; i < areas_count && result == FSHA_OK; i++)
		result = areas[i].nesting == AREA_FLAT ? add_store(snap, &areas[i], "", reterr) :
							 add_nested(snap, &areas[i], reterr);
	return result;
}

/* How a look is taken: of each store as of one moment, or of all as of the same. */
struct look {
	bool each_store;
	int64_t deadline_ns;
	bool quiet; /* nothing changed between the listings and the second look at all of them */
};

/* `*ret_still`: nothing changed while it was listed. */
static fsha_result list_store(struct snapshot_store *s, bool *ret_still, fsha_error *reterr)
{
	fsha_result result;

	(void)pthread_mutex_lock(&s->store->mutex);
	result = store_load(s->store, NULL, reterr);
	s->stamp = s->store->index.stamp;
	*ret_still = s->store->index.valid;
	(void)pthread_mutex_unlock(&s->store->mutex);
	s->there = result == FSHA_OK;
	return result == FSHA_E_NOT_FOUND ? FSHA_OK : result;
}

/*
 * A listing during which something changed shows every key, but one as it was before another. For
 * who asks for one moment of all stores the second look at them tells.
 */
static fsha_result load_store(const struct snapshot *snap, struct snapshot_store *s,
			      const struct look *look, fsha_error *reterr)
{
	const struct fsu *fs = snap->cluster->fs;
	bool still;

	for (;;) {
		fsha_result result = list_store(s, &still, reterr);

		if (result != FSHA_OK || !look->each_store || !s->there || still)
			return result;
		if (fsu_now_ns(fs) >= look->deadline_ns)
			return error_set(reterr, FSHA_E_TIMEOUT, 0, "backup",
					 "'%s' is written to all the time: there was no moment at "
					 "which it did not change",
					 s->directory);
		/* A listing can be believed only when the last change is a clock step old. */
		fsu_sleep(fs, FSU_CLOCK_STEP_NS);
	}
}

/*
 * Is the store as it was when it was listed? Its path says so, since the directory may have been
 * replaced.
 */
static bool is_unchanged(const struct snapshot *snap, const struct snapshot_store *s)
{
	const struct cluster *c = snap->cluster;
	struct fsu_stamp now;
	int r = fsu_stamp_read(c->fs, c->fd, s->store->path, &now);

	if (!s->there)
		return r == -ENOENT;
	return r == 0 && s->store->index.valid && fsu_stamp_equal(&now, &s->stamp);
}

/* A look at everything. */
static fsha_result look_once(struct snapshot *snap, struct look *look, fsha_error *reterr)
{
	struct fsu_stamp before[16], after;
	const struct cluster *c = snap->cluster;
	fsha_result result;

	look->quiet = areas_count <= sizeof(before) / sizeof(before[0]);
	for (size_t i = 0; i < areas_count && look->quiet; i++)
		look->quiet = areas[i].nesting == AREA_FLAT ||
			      fsu_stamp_read(c->fs, c->fd, areas[i].directory, &before[i]) == 0;
	snap->vanished = false;
	result = find_stores(snap, reterr);
	for (struct snapshot_store *s = snap->stores; s && result == FSHA_OK; s = s->next)
		if (s->seen)
			result = load_store(snap, s, look, reterr);
	for (struct snapshot_store *s = snap->stores; s && result == FSHA_OK && look->quiet;
	     s = s->next)
		look->quiet = !s->seen || is_unchanged(snap, s);
	/* No store came or went either. */
	for (size_t i = 0; i < areas_count && result == FSHA_OK && look->quiet; i++)
		look->quiet = areas[i].nesting == AREA_FLAT ||
			      (fsu_stamp_read(c->fs, c->fd, areas[i].directory, &after) == 0 &&
			       fsu_stamp_equal(&before[i], &after));
	return result;
}

/* ---- values ---- */

static bool is_value(const struct index_entry *e)
{
	return e->form != NAME_TOMBSTONE && e->form != NAME_MARKED &&
	       strcmp(e->key, OWNER_KEY) != 0;
}

static void count(const struct snapshot_store *s, size_t *values, size_t *bytes)
{
	for (const struct index_entry *e = s->store->index.entries; e; e = e->hh.next)
		if (is_value(e)) {
			++*values;
			*bytes += strlen(e->key) + 1;
		}
}

static int compare_values(const void *a, const void *b)
{
	const struct snapshot_value *x = a, *y = b;
	int order = strcmp(x->store->directory, y->store->directory);

	return order ? order : strcmp(x->key, y->key);
}

static fsha_result take_values(struct snapshot *snap, fsha_error *reterr)
{
	const struct fsu *fs = snap->cluster->fs;
	size_t values = 0, bytes = 0;
	char *key;

	drop_values(snap);
	for (const struct snapshot_store *s = snap->stores; s; s = s->next)
		if (s->seen && s->there)
			count(s, &values, &bytes);
	snap->values = fsu_alloc(fs, (values + 1) * sizeof(*snap->values));
	snap->keys = fsu_alloc(fs, bytes + 1);
	if (!snap->values || !snap->keys)
		return error_os(reterr, -ENOMEM, "alloc", "cannot look at the cluster");
	key = snap->keys;
	for (const struct snapshot_store *s = snap->stores; s; s = s->next) {
		const struct index_entry *e = s->seen && s->there ? s->store->index.entries : NULL;

		for (; e; e = e->hh.next) {
			if (!is_value(e))
				continue;
			snap->values[snap->value_count++] =
				(struct snapshot_value){ s, e->version, e->form,
							 strcpy(key, e->key) };
			key += strlen(key) + 1;
		}
	}
	if (values > 0)
		qsort(snap->values, values, sizeof(*snap->values), compare_values);
	return FSHA_OK;
}

/* What a damaged pack holds cannot be told: perhaps newer values than those that show. */
static fsha_result check_packs(struct snapshot *snap, fsha_error *reterr)
{
	snap->damaged = 0;
	for (const struct snapshot_store *s = snap->stores; s; s = s->next) {
		const struct index_pack *p = s->seen && s->there ? s->store->index.packs : NULL;

		for (; p; p = p->hh.next) {
			if (p->pack)
				continue;
			if (!snap->skip_damaged)
				return error_copy(reterr, p->why);
			snap->damaged++;
		}
	}
	return FSHA_OK;
}

fsha_result snapshot_look(struct snapshot *snap, bool each_store, int64_t deadline_ns,
			  fsha_error *reterr)
{
	const struct cluster *c = snap->cluster;
	struct look look = { .each_store = each_store, .deadline_ns = deadline_ns };
	fsha_result result;

	for (;;) {
		result = look_once(snap, &look, reterr);
		if (result != FSHA_OK || ((look.quiet || each_store) && !snap->vanished))
			break;
		if (fsu_now_ns(c->fs) >= deadline_ns)
			return error_set(reterr, FSHA_E_TIMEOUT, 0, "backup",
					 "the cluster is written to all the time: there was no "
					 "moment at which none of its stores changed");
		/* A listing can be believed only when the last change is a clock step old. */
		fsu_sleep(c->fs, FSU_CLOCK_STEP_NS);
	}
	if (result == FSHA_OK)
		result = check_packs(snap, reterr);
	return result == FSHA_OK ? take_values(snap, reterr) : result;
}
