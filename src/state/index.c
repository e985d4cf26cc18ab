/* uthash gets its memory from the table: every function that adds has an `index_fs` in scope. */
#define uthash_malloc(size) fsu_alloc(index_fs, size)
#define uthash_free(ptr, size) fsu_release(index_fs, ptr)
#define HASH_NONFATAL_OOM 1
#include "src/state/index.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil/fsu_path.h"

/* How often a listing starts over because a pack that it showed was gone by then. */
#define LIST_TRIES 10

void index_init(struct index *ix, const struct record_place *place, bool local)
{
	*ix = (struct index){ .place = *place, .local = local };
}

/* ---- Entries, garbage, packs ---- */

/* Whatever is counted of an entry goes through here, when it comes and before it changes. */
static void tally(struct index *ix, const struct index_entry *e, int sign)
{
	size_t one = (size_t)sign;

	if (index_entry_gone(e))
		ix->gone_count += one;
	if (!e->pack) {
		if (e->form == NAME_VALUE && e->key[0] != '@' && !e->stays)
			ix->loose_count += one;
		return;
	}
	e->pack->live += one;
	e->pack->live_size += (uint64_t)(int64_t)sign * index_entry_member(e)->size;
	if (e->pack->live == 0)
		e->pack->dead_ns = fsu_now_ns(ix->place.fs);
}

void index_entry_stays(struct index *ix, struct index_entry *e)
{
	tally(ix, e, -1);
	e->stays = true;
	tally(ix, e, 1);
}

void index_drop_entry(struct index *ix, struct index_entry *e)
{
	const struct fsu *index_fs = ix->place.fs;

	tally(ix, e, -1);
	HASH_DEL(ix->entries, e);
	fsu_release(index_fs, e);
}

void index_drop_garbage(struct index *ix, struct index_garbage *g)
{
	const struct fsu *index_fs = ix->place.fs;

	HASH_DEL(ix->garbage, g);
	fsu_release(index_fs, g);
}

static void drop_pack(struct index *ix, struct index_pack *p)
{
	const struct fsu *index_fs = ix->place.fs;

	ix->damaged_count -= !p->pack;
	HASH_DEL(ix->packs, p);
	fsu_release(index_fs, p->pack);
	fsu_release(index_fs, p->why);
	fsu_release(index_fs, p);
}

void index_done(struct index *ix)
{
	while (ix->entries)
		index_drop_entry(ix, ix->entries);
	while (ix->garbage)
		index_drop_garbage(ix, ix->garbage);
	while (ix->packs)
		drop_pack(ix, ix->packs);
	index_forget(ix);
}

void index_forget(struct index *ix)
{
	ix->valid = false;
	ix->complete = false;
}

struct index_entry *index_find_mutable(const struct index *ix, const char *key)
{
	struct index_entry *e;

	HASH_FIND_STR(ix->entries, key, e);
	return e;
}

const struct index_entry *index_find(const struct index *ix, const char *key)
{
	return index_find_mutable(ix, key);
}

static struct index_garbage *find_garbage(const struct index *ix, const char *file_name)
{
	struct index_garbage *g;

	HASH_FIND_STR(ix->garbage, file_name, g);
	return g;
}

static struct index_pack *find_pack(const struct index *ix, const fsha_version *version)
{
	struct index_pack *p;

	HASH_FIND(hh, ix->packs, version, sizeof(*version), p);
	return p;
}

const struct index_pack *index_find_pack(const struct index *ix, const fsha_version *version)
{
	return find_pack(ix, version);
}

const struct index_pack *index_damaged_above(const struct index *ix, const fsha_version *version)
{
	const struct index_pack *worst = NULL;

	if (ix->damaged_count == 0)
		return NULL;
	for (const struct index_pack *p = ix->packs; p; p = p->hh.next)
		if (!p->pack && fsha_version_compare(&p->version, version) > 0 &&
		    (!worst || fsha_version_compare(&p->version, &worst->version) > 0))
			worst = p;
	return worst;
}

/* Takes over pack and why, of which one is NULL; on failure too. */
static struct index_pack *add_pack(struct index *ix, const fsha_version *version, struct pack *pack,
				   fsha_error *why)
{
	const struct fsu *index_fs = ix->place.fs;
	struct index_pack *p = fsu_alloc(index_fs, sizeof(*p));

	if (p) {
		p->version = *version;
		p->pack = pack;
		p->why = why;
		p->seen = true;
		p->dead_ns = fsu_now_ns(index_fs);
		HASH_ADD(hh, ix->packs, version, sizeof(p->version), p);
	}
	if (!p || !p->hh.tbl) {
		fsu_release(index_fs, pack);
		fsu_release(index_fs, why);
		fsu_release(index_fs, p);
		return NULL;
	}
	ix->damaged_count += !pack;
	return p;
}

/* ---- What there is of a key ---- */

/* One version of a key, and where it lies. */
struct sight {
	const char *key;
	fsha_version version;
	enum name_form form;
	struct index_pack *pack; /* NULL: loose */
	uint32_t member;
};

static int add_garbage(struct index *ix, const char *key, const fsha_version *version,
		       enum name_form form)
{
	const struct fsu *index_fs = ix->place.fs;
	struct index_garbage *g;
	char file_name[NAME_SIZE];

	name_format(key, version, form, file_name);
	g = find_garbage(ix, file_name);
	if (!g) {
		g = fsu_alloc(index_fs, sizeof(*g) + strlen(file_name) + 1);
		if (!g)
			return -ENOMEM;
		g->since_ns = fsu_now_ns(index_fs);
		strcpy(g->file_name, file_name);
		HASH_ADD_STR(ix->garbage, file_name, g);
		if (!g->hh.tbl) {
			fsu_release(index_fs, g);
			return -ENOMEM;
		}
	}
	g->seen = true;
	return 0;
}

/* A lower version, or a second copy of the highest: of a pack nothing is to be done for it. */
static int leave_out(struct index *ix, const struct sight *s)
{
	return s->pack ? 0 : add_garbage(ix, s->key, &s->version, s->form);
}

static struct sight sight_of(const struct index_entry *e)
{
	return (struct sight){ e->key, e->version, e->form, e->pack, e->member };
}

/* The entry stands for `s` from now on. */
static void place_entry(struct index *ix, struct index_entry *e, const struct sight *s)
{
	struct index_garbage *g;
	char file_name[NAME_SIZE];

	tally(ix, e, -1);
	if (fsha_version_compare(&e->version, &s->version) != 0) {
		e->version = s->version;
		e->since_ns = fsu_now_ns(ix->place.fs);
		e->stays = false;
	}
	e->form = s->form;
	e->pack = s->pack;
	e->member = s->member;
	tally(ix, e, 1);
	if (e->pack || !ix->garbage)
		return;
	/*
	 * It may have been garbage, of a higher version that is not there any more: a damaged one
	 * that repair or a person took away (test_store.c).
	 */
	index_entry_name(e, file_name);
	g = find_garbage(ix, file_name);
	if (g)
		index_drop_garbage(ix, g);
}

static int add_entry(struct index *ix, const struct sight *s)
{
	const struct fsu *index_fs = ix->place.fs;
	struct index_entry *e = fsu_alloc(index_fs, sizeof(*e) + strlen(s->key) + 1);

	if (!e)
		return -ENOMEM;
	strcpy(e->key, s->key);
	HASH_ADD_STR(ix->entries, key, e);
	if (!e->hh.tbl) {
		fsu_release(index_fs, e);
		return -ENOMEM;
	}
	e->since_ns = fsu_now_ns(index_fs);
	e->form = s->form;
	e->version = s->version;
	e->pack = s->pack;
	e->member = s->member;
	e->same = s->pack != NULL;
	e->seen = true;
	tally(ix, e, 1);
	place_entry(ix, e, s);
	return 0;
}

/* One version of a key is there: it is the highest, or garbage. */
static int note(struct index *ix, const struct sight *s)
{
	struct index_entry *e = index_find_mutable(ix, s->key);
	bool packed = s->pack != NULL;
	struct sight former;
	int order, r;

	if (!e)
		return add_entry(ix, s);
	if (!e->seen) { /* what an earlier listing showed counts no more */
		place_entry(ix, e, s);
		e->lower = 0;
		e->same = packed;
		e->seen = true;
		return 0;
	}
	order = fsha_version_compare(&s->version, &e->version);
	if (order < 0) {
		e->lower += packed;
		return leave_out(ix, s);
	}
	if (order == 0) {
		e->same += packed;
		if (s->pack == e->pack)
			return 0;
		if (!packed ||
		    (e->pack && fsha_version_compare(&s->pack->version, &e->pack->version) < 0))
			return leave_out(ix, s);
	}
	former = sight_of(e);
	r = leave_out(ix, &former);
	if (r < 0)
		return r;
	if (order > 0) {
		e->lower += e->same;
		e->same = packed;
	}
	place_entry(ix, e, s);
	return 0;
}

static int note_members(struct index *ix, struct index_pack *p)
{
	int r = 0;

	for (size_t i = 0; p->pack && i < p->pack->count && r == 0; i++) {
		const struct pack_member *m = &p->pack->members[i];
		const struct sight s = { m->key, m->version, m->form, p, (uint32_t)i };

		r = note(ix, &s);
	}
	return r;
}

int index_note(struct index *ix, const char *key, const fsha_version *version, enum name_form form)
{
	const struct sight s = { key, *version, form, NULL, 0 };
	int r = note(ix, &s);

	if (r < 0)
		index_forget(ix);
	return r;
}

int index_note_pack(struct index *ix, struct pack *pack)
{
	struct index_pack *p;
	int r = -ENOMEM;

	assert(!find_pack(ix, &pack->version));
	p = add_pack(ix, &pack->version, pack, NULL);
	if (p)
		r = note_members(ix, p);
	if (r < 0)
		index_forget(ix);
	return r;
}

/* ---- A listing ---- */

/* The list of a pack: known since an earlier listing, or read now. -ENOENT: the file is gone. */
static int see_pack(struct index *ix, const fsha_version *version)
{
	struct index_pack *p = find_pack(ix, version);
	fsha_error error = FSHA_ERROR_INIT, *why = NULL;
	struct pack *pack = NULL;

	if (p) {
		p->seen = true;
		return 0;
	}
	switch (pack_load(&ix->place, version, &pack, &error)) {
	case FSHA_OK:
		break;
	case FSHA_E_NOT_FOUND:
		return -ENOENT;
	case FSHA_E_CORRUPT:
		why = fsu_alloc(ix->place.fs, sizeof(*why));
		if (!why)
			return -ENOMEM;
		*why = error;
		break;
	case FSHA_E_NOMEM:
		return -ENOMEM;
	default:
		return error.os_errno ? -error.os_errno : -EIO;
	}
	return add_pack(ix, version, pack, why) ? 0 : -ENOMEM;
}

/* A damaged list may be readable now: it is asked for again. */
static void unsee(struct index *ix)
{
	struct index_pack *next;

	for (struct index_entry *e = ix->entries; e; e = e->hh.next)
		e->seen = false;
	for (struct index_garbage *g = ix->garbage; g; g = g->hh.next)
		g->seen = false;
	for (struct index_pack *p = ix->packs; p; p = next) {
		next = p->hh.next;
		p->seen = false;
		if (!p->pack)
			drop_pack(ix, p);
	}
}

static void drop_unseen(struct index *ix)
{
	struct index_entry *e, *next;
	struct index_garbage *g, *next_g;
	struct index_pack *p, *next_p;

	HASH_ITER (hh, ix->entries, e, next)
		if (!e->seen)
			index_drop_entry(ix, e);
	HASH_ITER (hh, ix->garbage, g, next_g)
		if (!g->seen)
			index_drop_garbage(ix, g);
	HASH_ITER (hh, ix->packs, p, next_p)
		if (!p->seen)
			drop_pack(ix, p);
}

/* A name of the listing that is no pack's, taken apart; `key` gets its memory. */
static bool loose_sight(const char *file, char *key, struct sight *ret_sight)
{
	struct name name;

	if (!name_parse(file, &name) || name_is_of(file, PACK_KEY, &name))
		return false;
	memcpy(key, file, name.key_len);
	key[name.key_len] = '\0';
	*ret_sight = (struct sight){ .key = key, .version = name.version, .form = name.form };
	return true;
}

/*
 * First the packs of a listing, and the entries that it shows where they were, so that these keep
 * the times at which they, and what they outdo, were first seen.
 */
static int confirm(struct index *ix, const struct fsu_list *list)
{
	char key[FSU_COMPONENT_MAX + 1];
	struct index_entry *e;
	struct sight s;
	struct name name;
	int r = 0;

	for (size_t i = 0; i < list->count && r == 0; i++) {
		const char *file = fsu_list_name(list, i);

		if (loose_sight(file, key, &s)) {
			e = index_find_mutable(ix, key);
			if (e && !e->pack && fsha_version_compare(&e->version, &s.version) == 0)
				e->seen = true;
		} else if (name_is_of(file, PACK_KEY, &name)) {
			r = see_pack(ix, &name.version);
		} else {
			ix->skipped++;
		}
	}
	for (e = ix->entries; e; e = e->hh.next) {
		e->seen = e->pack ? e->pack->seen : e->seen;
		e->lower = e->same = 0;
	}
	return r;
}

/* Take over a listing: what it does not show has been cleaned away. */
static int absorb(struct index *ix, const struct fsu_list *list)
{
	char key[FSU_COMPONENT_MAX + 1];
	struct sight s;
	int r;

	unsee(ix);
	ix->skipped = 0;
	r = confirm(ix, list);
	for (size_t i = 0; i < list->count && r == 0; i++)
		if (loose_sight(fsu_list_name(list, i), key, &s))
			r = note(ix, &s);
	for (struct index_pack *p = ix->packs; p && r == 0; p = p->hh.next)
		if (p->seen)
			r = note_members(ix, p);
	if (r == 0)
		drop_unseen(ix);
	return r;
}

/* `*ret_vanished`: a pack of the listing was gone when its list was to be read. */
static int list_anew(struct index *ix, int64_t limit_ns, bool *ret_vanished)
{
	struct fsu_list list;
	int r;

	fsu_list_init(&list, ix->place.fs);
	/*
	 * An unstable listing will do if it was quick: old versions stay for INDEX_RETAIN_NS, so it
	 * shows every key in a version that was the highest at some moment of the scan. With other
	 * hosts' caches in play a fresh change may hide behind a coarse time, so there it is waited
	 * for.
	 */
	r = ix->local ? fsu_list_pass(&list, ix->place.dir_fd, "", true) :
			fsu_list_read(&list, ix->place.dir_fd, "", false, limit_ns);
	if (r == 0 && !list.stable && list.took_ns > INDEX_RETAIN_NS / 2)
		r = -EAGAIN;
	if (r == 0) {
		r = absorb(ix, &list);
		*ret_vanished = r == -ENOENT;
	}
	if (r == 0) {
		ix->stamp = list.stamp;
		ix->valid = list.stable;
		ix->complete = true;
	}
	fsu_list_done(&list);
	return r;
}

int index_refresh(struct index *ix, int64_t limit_ns)
{
	struct fsu_stamp stamp;
	int r;

	if (ix->valid) {
		r = fsu_stamp_read(ix->place.fs, ix->place.dir_fd, "", &stamp);
		if (r < 0)
			return r;
		if (fsu_stamp_equal(&stamp, &ix->stamp))
			return 0;
	}
	index_forget(ix);
	for (int i = 0; i < LIST_TRIES; i++) {
		bool vanished = false;

		r = list_anew(ix, limit_ns, &vanished);
		if (!vanished)
			return r;
	}
	return -EAGAIN;
}

size_t index_live(const struct index *ix)
{
	return HASH_COUNT(ix->entries) - ix->gone_count;
}

static int compare_keys(const void *a, const void *b)
{
	const struct index_entry *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

int index_sorted(const struct index *ix, bool with_gone, const struct index_entry ***ret_entries,
		 size_t *ret_count)
{
	const struct index_entry **entries, *e;
	size_t n = 0;

	entries = fsu_alloc(ix->place.fs, (HASH_COUNT(ix->entries) + 1) * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	for (e = ix->entries; e; e = e->hh.next)
		if (with_gone || !index_entry_gone(e))
			entries[n++] = e;
	qsort(entries, n, sizeof(*entries), compare_keys);
	*ret_entries = entries;
	*ret_count = n;
	return 0;
}
