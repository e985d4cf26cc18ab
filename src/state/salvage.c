#include "src/state/salvage.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "src/result/error.h"
#include "src/state/owner.h"
#include "src/state/repack.h"

/* The list, and the members. */
#define FILE_MAX (PACK_SIZE_MAX + FSU_RECORD_RAW_MAX + FSU_RECORD_HEAD + FSU_RECORD_KEY_MAX)

/* A member that was found, or is only known by the list. */
struct found {
	struct pack_member m; /* its key is its own memory */
	bool whole;
	bool rebuilt; /* a tombstone has nothing but what the list tells of it */
	bool doubtful;
};

struct salvage {
	struct store *store;
	struct term *term; /* NULL: only to look */
	struct record_place place;
	fsha_version version;
	char file[NAME_SIZE];
	uint8_t *data;
	size_t len;
	struct found *items;
	size_t count, size;
	bool accept_older;
	struct salvage_result out;
	fsha_error *error;
};

/* ---- Members ---- */

static fsha_result no_memory(const struct salvage *v)
{
	return error_os(v->error, -ENOMEM, "alloc", "cannot read '%s/%s'", v->place.directory,
			v->file);
}

static fsha_result add(struct salvage *v, const struct pack_member *m, bool whole, bool rebuilt)
{
	const struct fsu *fs = v->place.fs;
	char *key;

	if (v->count == v->size) {
		size_t size = v->size ? 2 * v->size : 64;
		struct found *items = fsu_resize(fs, v->items, size * sizeof(*items));

		if (!items)
			return no_memory(v);
		v->items = items;
		v->size = size;
	}
	key = fsu_strdup(fs, m->key);
	if (!key)
		return no_memory(v);
	v->items[v->count] = (struct found){ .m = *m, .whole = whole, .rebuilt = rebuilt };
	v->items[v->count++].m.key = key;
	return FSHA_OK;
}

/* Is it as whoever reads it wants it? */
static fsha_result look_at(const struct salvage *v, const struct pack_member *m, bool *ret_whole)
{
	struct record record;
	char file[NAME_SIZE];
	fsha_result result;
	uint8_t *bytes;

	*ret_whole = false;
	if (!v->data || m->offset > v->len || m->size > v->len - m->offset)
		return FSHA_OK;
	bytes = fsu_alloc(v->place.fs, m->size);
	if (!bytes)
		return no_memory(v);
	memcpy(bytes, v->data + m->offset, m->size);
	name_format(m->key, &m->version, m->form, file);
	result = record_verify(&v->place, file, v->file, v->store->kind, FSHA_STATE_VALUE_MAX,
			       bytes, m->size, &record, v->error);
	if (result == FSHA_E_CORRUPT)
		return FSHA_OK;
	if (result != FSHA_OK)
		return result;
	record_done(v->place.fs, &record);
	*ret_whole = true;
	return FSHA_OK;
}

static fsha_result take_listed(struct salvage *v, const struct pack *pack)
{
	fsha_result result = FSHA_OK;

	v->out.listed = true;
	for (size_t i = 0; i < pack->count && result == FSHA_OK; i++) {
		const struct pack_member *m = &pack->members[i];
		bool whole, rebuilt;

		result = look_at(v, m, &whole);
		rebuilt = !whole && m->form == NAME_TOMBSTONE;
		if (result == FSHA_OK)
			result = add(v, m, whole || rebuilt, rebuilt);
	}
	return result;
}

/* ---- Without a list ---- */

/* The key of a record, when it is one of this directory's; `ret_key` has FSHA_NAME_MAX + 1 bytes.
 */
static bool read_key(const struct salvage *v, const struct fsu_record *head, char *ret_key)
{
	const size_t prefix = strlen(v->place.directory) + 1;
	const char *key = head->key + prefix;
	size_t len;

	if (head->key_len <= prefix || head->key_len - prefix > FSHA_NAME_MAX ||
	    memcmp(head->key, v->place.directory, prefix - 1) != 0)
		return false;
	len = head->key_len - prefix;
	if (key[-1] != '/' || memchr(key, '~', len) || memchr(key, '/', len) ||
	    memchr(key, '\0', len))
		return false;
	memcpy(ret_key, key, len);
	ret_key[len] = '\0';
	return true;
}

/* A record begins there, or the file ends. */
static bool is_boundary(const struct salvage *v, size_t pos)
{
	return pos == v->len || (pos < v->len && fsu_record_has_magic(v->data + pos, v->len - pos));
}

static size_t next_record(const struct salvage *v, size_t pos)
{
	while (pos < v->len && !is_boundary(v, pos))
		pos++;
	return pos < v->len ? pos : v->len;
}

/* Whose length, of what may be damaged, can be believed: something begins there. 0: it cannot. */
static size_t measure(const struct salvage *v, size_t pos)
{
	size_t size = fsu_record_measure(v->data + pos, v->len - pos);

	return size > 0 && size <= v->len - pos && is_boundary(v, pos + size) ? size : 0;
}

/* The record at `pos`, when it is a whole member. */
static fsha_result take_found(struct salvage *v, size_t pos, size_t *ret_size)
{
	size_t size = fsu_record_measure(v->data + pos, v->len - pos);
	struct pack_member m = { .offset = pos };
	char key[FSHA_NAME_MAX + 1];
	struct fsu_record head;
	fsha_result result;
	bool whole = false;

	*ret_size = 0;
	if (size == 0 || size > v->len - pos ||
	    fsu_record_decode(v->data + pos, size, &head, NULL) < 0 || !read_key(v, &head, key))
		return FSHA_OK;
	m.key = key;
	m.size = (uint32_t)size;
	m.version =
		(fsha_version){ .epoch = head.epoch, .sequence = head.sequence, .seat = head.seat };
	m.form = head.flags & FSU_RECORD_TOMBSTONE ? NAME_TOMBSTONE : NAME_VALUE;
	if (!fsha_version_is_existing(&m.version) ||
	    fsha_version_compare(&m.version, &v->version) > 0)
		return FSHA_OK;
	result = look_at(v, &m, &whole);
	if (result != FSHA_OK || !whole)
		return result;
	*ret_size = size;
	return add(v, &m, true, false);
}

/* Would the list of what was found be as long as this one was? Then it is all. */
static bool is_all(const struct salvage *v)
{
	struct fsu_record head;
	uint64_t size = 4;

	if (fsu_record_get_head(v->data, &head))
		return false;
	for (size_t i = 0; i < v->count; i++)
		size += PACK_ENTRY_SIZE + strlen(v->items[i].m.key);
	return size == head.raw_len;
}

static fsha_result scan(struct salvage *v)
{
	size_t pos = measure(v, 0), run = 0, size;
	bool broken = pos == 0, sure = !broken;
	fsha_result result = FSHA_OK;

	if (broken)
		pos = next_record(v, 1);
	while (pos < v->len && result == FSHA_OK) {
		result = take_found(v, pos, &size);
		if (size == 0) {
			size = measure(v, pos);
			v->out.lost++;
		}
		pos += size;
		if (size > 0)
			continue;
		for (size_t i = run; i < v->count && !sure; i++)
			v->items[i].doubtful = true;
		run = v->count;
		broken = true;
		sure = false;
		pos = next_record(v, pos + 1);
	}
	v->out.sparse = broken || v->out.lost > 0 || !is_all(v);
	return result;
}

static int compare_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int order = strcmp(x->m.key, y->m.key);

	if (order == 0)
		order = (int)x->doubtful - (int)y->doubtful;
	return order ? order : fsha_version_compare(&y->m.version, &x->m.version);
}

/* By key, and of each key the best. */
static void sort_found(struct salvage *v)
{
	size_t n = 0;

	if (v->count > 1)
		qsort(v->items, v->count, sizeof(*v->items), compare_found);
	for (size_t i = 0; i < v->count; i++) {
		if (n > 0 && strcmp(v->items[n - 1].m.key, v->items[i].m.key) == 0)
			fsu_release(v->place.fs, (void *)(uintptr_t)v->items[i].m.key);
		else
			v->items[n++] = v->items[i];
	}
	v->count = n;
}

static const struct found *find(const struct salvage *v, const char *key)
{
	size_t low = 0, high = v->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(v->items[middle].m.key, key);

		if (order == 0)
			return &v->items[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* ---- What becomes visible ---- */

/* One more name at the end of a list of names; what finds no room is counted. */
static void tell(char *text, size_t number, const char *key, const fsha_version *version,
		 enum name_form form)
{
	const size_t used = strlen(text), room = SALVAGE_TEXT_SIZE - used;
	char name[NAME_SIZE];

	name_format(key, version, form, name);
	if (number == 1)
		(void)snprintf(text, room, "'%s'", name);
	else if (number == 2)
		(void)snprintf(text + used, room, " and others");
}

static void tell_older(struct salvage *v, const char *key, const fsha_version *version,
		       enum name_form form)
{
	tell(v->out.older_names, ++v->out.older, key, version, form);
}

/* The highest version of a key that lies elsewhere; all zero: there is none. */
static void best_elsewhere(const struct salvage *v, const char *key, fsha_version *ret_version,
			   enum name_form *ret_form)
{
	const struct index *ix = &v->store->index;
	struct name name;

	*ret_version = (fsha_version){ 0 };
	*ret_form = NAME_TOMBSTONE;
	for (const struct index_garbage *g = ix->garbage; g; g = g->hh.next)
		if (name_is_of(g->file_name, key, &name) &&
		    fsha_version_compare(&name.version, ret_version) > 0) {
			*ret_version = name.version;
			*ret_form = name.form;
		}
	for (const struct index_pack *p = ix->packs; p; p = p->hh.next) {
		const struct pack_member *m;

		if (!p->pack || fsha_version_compare(&p->version, &v->version) == 0)
			continue;
		m = pack_find(p->pack, key);
		if (m && fsha_version_compare(&m->version, ret_version) > 0) {
			*ret_version = m->version;
			*ret_form = m->form;
		}
	}
}

/* A member that the list names is damaged: does its key show something older without it? */
static void judge_lost(struct salvage *v, const struct found *f)
{
	const struct index_entry *e = index_find(&v->store->index, f->m.key);
	enum name_form form;
	fsha_version best;

	tell(v->out.lost_names, ++v->out.lost, f->m.key, &f->m.version, f->m.form);
	if (!e || fsha_version_compare(&e->version, &f->m.version) > 0)
		return;
	best_elsewhere(v, f->m.key, &best, &form);
	if (form != NAME_TOMBSTONE && fsha_version_compare(&best, &f->m.version) < 0)
		tell_older(v, f->m.key, &best, form);
}

/* Nobody knows which members are missing: any entry that is older than the pack may have been one.
 */
static void judge_sparse(struct salvage *v)
{
	for (const struct index_entry *e = v->store->index.entries; e; e = e->hh.next)
		if (strcmp(e->key, OWNER_KEY) != 0 && e->form != NAME_TOMBSTONE &&
		    fsha_version_compare(&e->version, &v->version) < 0 && !find(v, e->key))
			tell_older(v, e->key, &e->version, e->form);
}

static void judge(struct salvage *v)
{
	const struct index *ix = &v->store->index;

	for (size_t i = 0; i < v->count; i++) {
		const struct found *f = &v->items[i];

		v->out.whole += f->whole;
		if (!f->whole)
			judge_lost(v, f);
		if (f->doubtful)
			tell_older(v, f->m.key, &f->m.version, f->m.form);
	}
	if (v->out.sparse)
		judge_sparse(v);
	if (!v->out.sparse && v->out.lost == 0)
		return;
	/* What another damaged pack holds of them comes to light when that one is mended. */
	for (const struct index_pack *p = ix->packs; p; p = p->hh.next)
		if (!p->pack && fsha_version_compare(&p->version, &v->version) != 0)
			tell_older(v, PACK_KEY, &p->version, NAME_VALUE);
}

/* ---- Publishing ---- */

/*
 * What was outdone by a removal stays out: its tombstone may be of an earlier term, and go while
 * the new pack is in doubt.
 */
static bool is_wanted(const struct salvage *v, const struct found *f)
{
	const struct index_entry *e = index_find(&v->store->index, f->m.key);

	return f->whole && !(e && e->form == NAME_TOMBSTONE &&
			     fsha_version_compare(&e->version, &f->m.version) > 0);
}

static fsha_result put_record(struct salvage *v, struct repack *r, const struct found *f)
{
	const struct record_content tombstone = {
		.kind = v->store->kind,
		.form = NAME_TOMBSTONE,
		.version = f->m.version,
		.session = v->term->epoch.session,
		.key = f->m.key,
	};
	const uint8_t *bytes = v->data + f->m.offset;
	uint8_t *rebuilt = NULL;
	size_t len = f->m.size;
	fsha_result result;

	if (f->rebuilt) {
		result = record_encode(&v->place, &tombstone, &rebuilt, &len, v->error);
		if (result != FSHA_OK)
			return result;
		bytes = rebuilt;
	}
	/* The room is that of all members as they were listed. */
	r->members[r->member_count] = f->m;
	r->members[r->member_count++].size = (uint32_t)len;
	memcpy(r->records + r->len, bytes, len);
	r->len += len;
	fsu_release(v->place.fs, rebuilt);
	return FSHA_OK;
}

/* Of a tombstone the longest that it can be: what the list says of it may be anything. */
static uint64_t room_for(const struct salvage *v, const struct found *f)
{
	return f->rebuilt ? fsu_record_bound(strlen(v->place.directory) + 1 + strlen(f->m.key), 0) :
			    f->m.size;
}

/* Under the mutex, with the index that was judged by. */
static fsha_result fill(struct salvage *v, struct repack *r)
{
	const struct fsu *fs = v->place.fs;
	fsha_result result = FSHA_OK;
	uint64_t room = 0;
	size_t count = 0;

	for (size_t i = 0; i < v->count; i++)
		if (is_wanted(v, &v->items[i])) {
			room += room_for(v, &v->items[i]);
			count++;
		}
	if (count == 0)
		return FSHA_OK;
	if (count > PACK_MEMBERS_MAX || room > PACK_SIZE_MAX)
		return error_set(v->error, FSHA_E_CORRUPT, 0, "decode",
				 "'%s/%s' holds more than a pack can", v->place.directory, v->file);
	r->members = fsu_alloc(fs, count * sizeof(*r->members));
	r->records = fsu_alloc(fs, room);
	if (!r->members || !r->records)
		return no_memory(v);
	for (size_t i = 0; i < v->count && result == FSHA_OK; i++)
		if (is_wanted(v, &v->items[i]))
			result = put_record(v, r, &v->items[i]);
	return result;
}

/*
 * As long as the damaged pack is there, no tombstone above anything in it goes: where its list is
 * known they count it as a lower version, and where it is not they stay all. So a key that nothing
 * is known of was never removed.
 */
static bool may_appear(const struct repack *r)
{
	const struct index *ix = &r->store->index;
	const struct index_pack *damaged = index_find_pack(ix, r->ctx);

	if (!damaged)
		return false;
	for (size_t i = 0; i < r->member_count; i++) {
		const struct pack_member *m = &r->members[i];
		const struct index_entry *e = index_find(ix, m->key);

		if (damaged->pack && (!e || fsha_version_compare(&e->version, &m->version) < 0))
			return false;
	}
	return true;
}

/* ---- The whole ---- */

static fsha_result read_file(struct salvage *v)
{
	int r = fsu_file_read(v->place.fs, v->place.dir_fd, v->file, FILE_MAX, &v->data, &v->len);

	if (r == -EFBIG || r == -EINVAL || r == -ELOOP || r == -ENXIO)
		return FSHA_OK; /* no pack of ours: nothing in it is whole */
	return r < 0 ? record_read_error(&v->place, v->file, r, v->error) : FSHA_OK;
}

/* Under the mutex. What the directory shows now, whatever was known of it before. */
static fsha_result examine(struct salvage *v)
{
	struct store *s = v->store;
	const struct index_pack *damaged;
	fsha_result result;

	index_forget(&s->index);
	result = store_load(s, v->term, v->error);
	if (result != FSHA_OK)
		return result;
	v->place = cluster_place(s->cluster, s->dir_fd, s->directory);
	damaged = index_find_pack(&s->index, &v->version);
	if (!damaged)
		return error_set(v->error, FSHA_E_NOT_FOUND, 0, "open", "there is no '%s/%s'",
				 s->directory, v->file);
	result = read_file(v);
	if (result == FSHA_OK)
		result = damaged->pack ? take_listed(v, damaged->pack) : scan(v);
	if (result != FSHA_OK)
		return result;
	sort_found(v);
	judge(v);
	return FSHA_OK;
}

static void salvage_done(struct salvage *v, struct repack *r)
{
	const struct fsu *fs = v->store->cluster->fs;

	for (size_t i = 0; i < v->count; i++)
		fsu_release(fs, (void *)(uintptr_t)v->items[i].m.key);
	fsu_release(fs, v->items);
	fsu_release(fs, v->data);
	fsu_release(fs, r->members);
	fsu_release(fs, r->records);
}

static fsha_result run(struct salvage *v, struct salvage_result *ret_result)
{
	struct repack r = {
		.store = v->store, .term = v->term, .may_appear = may_appear, .ctx = &v->version
	};
	fsha_result result;

	name_format(PACK_KEY, &v->version, NAME_VALUE, v->file);
	(void)pthread_mutex_lock(&v->store->mutex);
	result = examine(v);
	if (result == FSHA_OK && v->term && (v->accept_older || v->out.older == 0))
		result = fill(v, &r);
	/* All of it is outdone by removals, which need not be durable yet. */
	if (result == FSHA_OK && v->term && r.member_count == 0)
		result = store_sync_found(v->store, v->error);
	(void)pthread_mutex_unlock(&v->store->mutex);
	if (result == FSHA_OK && r.member_count > 0)
		result = repack_publish(&r, &v->version, v->error);
	if (result == FSHA_OK)
		*ret_result = v->out;
	salvage_done(v, &r);
	return result;
}

fsha_result salvage_look(struct store *s, const fsha_version *pack,
			 struct salvage_result *ret_result, fsha_error *reterr)
{
	struct salvage v = { .store = s, .version = *pack, .error = reterr };

	return run(&v, ret_result);
}

fsha_result salvage_publish(struct store *s, const fsha_version *pack, bool accept_older,
			    struct salvage_result *ret_result, fsha_error *reterr)
{
	struct salvage v = {
		.store = s, .version = *pack, .accept_older = accept_older, .error = reterr
	};
	fsha_result result;

	v.term = s->terms.get(s->terms.ctx, s->election);
	if (!v.term)
		return store_not_leader(s, PACK_KEY, reterr);
	result = run(&v, ret_result);
	term_unref(v.term);
	return result;
}
