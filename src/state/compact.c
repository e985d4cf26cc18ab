/*
 * Compaction, in the background: packs of which more than half is dead are written anew without
 * that, and when a store has very many files, the older ones are moved into packs, so that recovery
 * reads few large ones. Members are moved as they are, with their versions; what was moved is
 * garbage where it was, and goes as old versions do (clean.c).
 *
 * The danger is a pack that brings back a key: K was read as present, then removed, and its
 * tombstone cleaned away, before the pack was renamed into place. So at the last look (repack.c)
 * every member must still be known to the index, in this version or a higher one, which then
 * outdoes it, and nobody may be just about to clean that one away. test_compact.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "src/state/repack.h"

/* What one step moves, unless one pack alone has more. */
#define STEP_SIZE (UINT64_C(8) << 20)
#define STEP_MEMBERS 8192
#define STEPS_MAX 64 /* of one call */
/* A loose record larger than this gains nothing by a move. */
#define LOOSE_MAX ((size_t)64 << 10)
/* A pack below this counts as one file among many. */
#define PACK_SMALL (STEP_SIZE / 2)

/* A record to be moved. */
struct source {
	char *key;
	fsha_version version;
	enum name_form form;
	bool packed;
	struct pack_part part;
	bool stays; /* found out: it cannot be moved */
};

struct step {
	struct repack out;
	struct record_place place;
	struct source *sources; /* by key; the keys are in the same memory */
	size_t source_count;
	size_t size;   /* of the memory for out.records */
	bool rewrites; /* some are of packs that are half dead: worth while even for one */
};

/* ---- What to move ---- */

/* A blob is read from its own file; what has a format of its own is no record. */
static bool may_pack(const struct store *s)
{
	return !s->format && s->kind != FSU_KIND_BLOB;
}

static bool is_half_dead(const struct index_pack *p)
{
	return p->pack && !p->stays && p->live > 0 && p->live_size < p->pack->size / 2;
}

static bool is_small(const struct index_pack *p)
{
	return p->pack && !p->stays && p->live > 0 && p->pack->size < PACK_SMALL;
}

/* Choose packs to be written anew as far as they fit together. Returns the number of members. */
static size_t choose_packs(struct index *ix, bool merge, bool *ret_rewrites)
{
	uint64_t size = 0;
	size_t count = 0;

	*ret_rewrites = false;
	for (struct index_pack *p = ix->packs; p; p = p->hh.next) {
		const bool rewrite = is_half_dead(p);

		p->moving = (rewrite || (merge && is_small(p))) &&
			    (count == 0 || (size + p->live_size <= STEP_SIZE &&
					    count + p->live <= PACK_MEMBERS_MAX));
		if (!p->moving)
			continue;
		*ret_rewrites |= rewrite;
		size += p->live_size;
		count += p->live;
	}
	return count;
}

static bool is_movable(const struct index_entry *e, bool merge, int64_t before_ns)
{
	if (e->pack)
		return e->pack->moving;
	return merge && e->form == NAME_VALUE && e->key[0] != '@' && !e->stays &&
	       e->since_ns <= before_ns;
}

/*
 * Are there so many files that it pays to merge those that are old enough? Not for a few of them:
 * that would write the same small pack anew for every straggler.
 */
static bool is_merge_due(const struct store *s, int64_t before_ns)
{
	const size_t least = s->compact_files / 2 > 2 ? s->compact_files / 2 : 2;
	const struct index *ix = &s->index;
	size_t small = 0, loose = 0;

	for (const struct index_pack *p = ix->packs; p; p = p->hh.next)
		small += is_small(p);
	if (ix->loose_count + small <= s->compact_files)
		return false;
	for (const struct index_entry *e = ix->entries; e; e = e->hh.next)
		loose += !e->pack && is_movable(e, true, before_ns);
	return loose + small >= least;
}

static int compare_sources(const void *a, const void *b)
{
	const struct source *x = a, *y = b;

	return strcmp(x->key, y->key);
}

/* Copy them: the mutex is not held while they are read. */
static int take_sources(struct step *step, const struct index_entry **entries, size_t count)
{
	size_t text = 0;
	char *keys;

	for (size_t i = 0; i < count; i++)
		text += strlen(entries[i]->key) + 1;
	step->sources = fsu_alloc(step->place.fs, count * sizeof(*step->sources) + text);
	if (!step->sources)
		return -ENOMEM;
	keys = (char *)(step->sources + count);
	for (size_t i = 0; i < count; i++) {
		const struct index_entry *e = entries[i];
		struct source *source = &step->sources[i];

		*source = (struct source){
			.key = keys,
			.version = e->version,
			.form = e->form,
			.packed = e->pack != NULL,
		};
		if (e->pack)
			source->part =
				(struct pack_part){ e->pack->version, index_entry_member(e)->offset,
						    index_entry_member(e)->size };
		keys = stpcpy(keys, e->key) + 1;
	}
	step->source_count = count;
	qsort(step->sources, count, sizeof(*step->sources), compare_sources);
	return 0;
}

/* Under the mutex, with the index loaded. Leaves no sources when there is nothing to do. */
static int choose(struct step *step)
{
	struct index *ix = &step->out.store->index;
	const int64_t before_ns = fsu_now_ns(step->place.fs) - INDEX_RETAIN_NS;
	const bool merge = is_merge_due(step->out.store, before_ns);
	const struct index_entry **entries;
	size_t packed, n = 0;
	int r = 0;

	packed = choose_packs(ix, merge, &step->rewrites);
	if (!merge && packed == 0)
		return 0;
	entries = fsu_alloc(step->place.fs, (packed + STEP_MEMBERS) * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	for (const struct index_entry *e = ix->entries; e && n < packed + STEP_MEMBERS;
	     e = e->hh.next)
		if (is_movable(e, merge, before_ns) && (e->pack || n + packed < PACK_MEMBERS_MAX))
			entries[n++] = e;
	if (n > 0)
		r = take_sources(step, entries, n);
	fsu_release(step->place.fs, entries);
	return r;
}

/* ---- Reading them ---- */

static int reserve(struct step *step, size_t more)
{
	size_t size = step->size ? step->size : 4096;
	uint8_t *records;

	if (more <= step->size - step->out.len)
		return 0;
	while (size - step->out.len < more)
		size *= 2;
	records = fsu_resize(step->place.fs, step->out.records, size);
	if (!records)
		return -ENOMEM;
	step->out.records = records;
	step->size = size;
	return 0;
}

/* The bytes of a record as they are, verified, whatever it holds. */
static fsha_result read_source(struct step *step, const struct source *source,
			       struct pack_reader *reader, uint8_t **ret_bytes, size_t *ret_len)
{
	const struct record_place *place = &step->place;
	const char *why = NULL;
	struct fsu_record head;
	char file[NAME_SIZE];
	fsha_result result;

	name_format(source->key, &source->version, source->form, file);
	*ret_len = source->part.size;
	result = source->packed ? pack_reader_read(reader, place, &source->part, ret_bytes, NULL) :
				  record_load(place, file, LOOSE_MAX, ret_bytes, ret_len, NULL);
	if (result != FSHA_OK)
		return result;
	if (fsu_record_decode(*ret_bytes, *ret_len, &head, &why) == 0)
		why = record_mismatch(place, file, step->out.store->kind, &head);
	/* A stream is no envelope, and a member must be one. */
	if (!why && !(head.flags & FSU_RECORD_STREAMED))
		return FSHA_OK;
	fsu_release(place->fs, *ret_bytes);
	return FSHA_E_CORRUPT;
}

static fsha_result add_member(struct step *step, const struct source *source, const uint8_t *bytes,
			      size_t len)
{
	if (reserve(step, len) < 0)
		return FSHA_E_NOMEM;
	memcpy(step->out.records + step->out.len, bytes, len);
	step->out.len += len;
	step->out.members[step->out.member_count++] = (struct pack_member){
		.key = source->key,
		.version = source->version,
		.form = source->form,
		.size = (uint32_t)len,
	};
	return FSHA_OK;
}

/* Without any lock. What is gone by now, or cannot be moved, is left out. */
static fsha_result read_sources(struct step *step)
{
	const struct fsu *fs = step->place.fs;
	struct pack_reader reader = { .fs = fs };
	fsha_result result = FSHA_OK;

	step->out.members = fsu_alloc(fs, step->source_count * sizeof(*step->out.members));
	if (!step->out.members)
		return FSHA_E_NOMEM;
	for (size_t i = 0; i < step->source_count && result == FSHA_OK; i++) {
		struct source *source = &step->sources[i];
		uint8_t *bytes;
		size_t len;

		if (!source->packed && step->out.len >= STEP_SIZE)
			continue; /* in the next step */
		if (step->out.len > PACK_SIZE_MAX - LOOSE_MAX)
			break;
		result = read_source(step, source, &reader, &bytes, &len);
		if (result == FSHA_OK) {
			result = add_member(step, source, bytes, len);
			fsu_release(fs, bytes);
		} else if (result == FSHA_E_CORRUPT) {
			source->stays = true;
			result = FSHA_OK;
		} else if (result == FSHA_E_NOT_FOUND) {
			result = FSHA_OK;
		}
	}
	pack_reader_done(&reader);
	return result;
}

/* ---- What comes of it ---- */

/* Would no member bring anything back? */
static bool is_known(const struct repack *out)
{
	for (size_t i = 0; i < out->member_count; i++) {
		const struct pack_member *m = &out->members[i];
		const struct index_entry *e = index_find(&out->store->index, m->key);

		if (!e || fsha_version_compare(&e->version, &m->version) < 0)
			return false;
	}
	return true;
}

/* What could not be moved is not tried again. Under the mutex. */
static void keep_in_place(struct step *step)
{
	struct index *ix = &step->out.store->index;

	for (size_t i = 0; i < step->source_count; i++) {
		const struct source *source = &step->sources[i];
		struct index_entry *e = index_find_mutable(ix, source->key);

		if (!source->stays || !e ||
		    fsha_version_compare(&e->version, &source->version) != 0)
			continue;
		if (e->pack)
			e->pack->stays = true;
		else
			index_entry_stays(ix, e);
	}
}

/* ---- A step ---- */

/*
 * Find out what became of a pack in doubt: until then the index is not trusted, and tombstones
 * stay.
 */
static bool settle(struct store *s, struct term *t)
{
	struct term_write write = { .directory = s->directory };
	fsha_result result = FSHA_OK;

	batch_name(&write);
	(void)pthread_mutex_lock(&s->mutex);
	/* Without any doubt it has come, and was seen, or never will (doubt.c). */
	if (fsha_version_is_existing(&s->unsettled) && s->unsettled.epoch == t->epoch.number &&
	    s->unsettled.seat == t->seat && s->dir_fd >= 0 && term_in_doubt(t)) {
		write.dir_fd = s->dir_fd;
		result = term_settle(t, &write, &s->unsettled, NULL);
		index_forget(&s->index);
	}
	if (result != FSHA_E_INDOUBT)
		s->unsettled = (fsha_version){ 0 };
	(void)pthread_mutex_unlock(&s->mutex);
	return result != FSHA_E_INDOUBT;
}

static void step_done(struct step *step)
{
	const struct fsu *fs = step->place.fs;

	fsu_release(fs, step->out.records);
	fsu_release(fs, step->out.members);
	fsu_release(fs, step->sources);
}

/* Returns whether something was moved, so that another step may be worth while. */
static bool compact(struct store *s, struct term *t)
{
	struct step step = { .out = { .store = s, .term = t, .may_appear = is_known } };
	fsha_result result = FSHA_E_NOMEM;

	(void)pthread_mutex_lock(&s->mutex);
	if (store_load(s, t, NULL) == FSHA_OK && s->index.complete) {
		step.place = cluster_place(s->cluster, s->dir_fd, s->directory);
		if (choose(&step) == 0)
			result = FSHA_OK;
	}
	(void)pthread_mutex_unlock(&s->mutex);
	if (result == FSHA_OK && step.source_count > 0)
		result = read_sources(&step);
	if (result == FSHA_OK && step.out.member_count > (step.rewrites ? 0 : 1))
		result = repack_publish(&step.out, NULL, NULL);
	else
		result = FSHA_E_NOT_FOUND;
	if (step.source_count > 0) {
		(void)pthread_mutex_lock(&s->mutex);
		keep_in_place(&step);
		(void)pthread_mutex_unlock(&s->mutex);
	}
	step.place.fs = s->cluster->fs;
	step_done(&step);
	return result == FSHA_OK;
}

void store_compact(struct store *s)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	int steps = 0;

	if (t && may_pack(s) && settle(s, t))
		while (steps++ < STEPS_MAX && term_is_live(t) && !term_in_doubt(t) && compact(s, t))
			;
	term_unref(t);
}
