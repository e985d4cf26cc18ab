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

void index_init(struct index *ix, const struct fsu *fs, int dir_fd, bool local)
{
	*ix = (struct index){ .fs = fs, .dir_fd = dir_fd, .local = local };
}

void index_drop_entry(struct index *ix, struct index_entry *e)
{
	const struct fsu *index_fs = ix->fs;

	if (index_entry_gone(e))
		ix->gone_count--;
	HASH_DEL(ix->entries, e);
	fsu_release(index_fs, e);
}

void index_drop_garbage(struct index *ix, struct index_garbage *g)
{
	const struct fsu *index_fs = ix->fs;

	HASH_DEL(ix->garbage, g);
	fsu_release(index_fs, g);
}

static void drop_all(struct index *ix)
{
	while (ix->entries)
		index_drop_entry(ix, ix->entries);
	while (ix->garbage)
		index_drop_garbage(ix, ix->garbage);
}

void index_done(struct index *ix)
{
	drop_all(ix);
	index_forget(ix);
}

void index_forget(struct index *ix)
{
	ix->valid = false;
	ix->complete = false;
}

const struct index_entry *index_find(const struct index *ix, const char *key)
{
	struct index_entry *e;

	HASH_FIND_STR(ix->entries, key, e);
	return e;
}

static int add_garbage(struct index *ix, const char *key, const fsha_version *version,
		       enum name_form form)
{
	const struct fsu *index_fs = ix->fs;
	struct index_garbage *g;
	char file_name[NAME_SIZE];

	name_format(key, version, form, file_name);
	HASH_FIND_STR(ix->garbage, file_name, g);
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

static int add_entry(struct index *ix, const char *key, const fsha_version *version,
		     enum name_form form)
{
	const struct fsu *index_fs = ix->fs;
	struct index_entry *e = fsu_alloc(index_fs, sizeof(*e) + strlen(key) + 1);

	if (!e)
		return -ENOMEM;
	e->version = *version;
	e->since_ns = fsu_now_ns(index_fs);
	e->form = form;
	e->seen = true;
	strcpy(e->key, key);
	HASH_ADD_STR(ix->entries, key, e);
	if (!e->hh.tbl) {
		fsu_release(index_fs, e);
		return -ENOMEM;
	}
	ix->gone_count += form == NAME_TOMBSTONE;
	return 0;
}

/* One version of a key is there: it is the highest, or garbage. */
static int note(struct index *ix, const char *key, const fsha_version *version, enum name_form form)
{
	struct index_entry *e;
	int order, r;

	HASH_FIND_STR(ix->entries, key, e);
	if (!e)
		return add_entry(ix, key, version, form);
	order = fsha_version_compare(version, &e->version);
	if (order == 0) {
		e->seen = true;
		return 0;
	}
	if (order < 0)
		return add_garbage(ix, key, version, form);
	r = add_garbage(ix, key, &e->version, e->form);
	if (r < 0)
		return r;
	ix->gone_count -= index_entry_gone(e);
	ix->gone_count += form == NAME_TOMBSTONE;
	e->version = *version;
	e->form = form;
	e->since_ns = fsu_now_ns(ix->fs);
	e->seen = true;
	return 0;
}

int index_note(struct index *ix, const char *key, const fsha_version *version, enum name_form form)
{
	int r = note(ix, key, version, form);

	if (r < 0)
		index_forget(ix);
	return r;
}

static int note_all(struct index *ix, const struct fsu_list *list)
{
	struct name name;
	int r = 0;

	ix->skipped = 0;
	for (size_t i = 0; i < list->count && r == 0; i++) {
		const char *file = fsu_list_name(list, i);
		char key[FSU_COMPONENT_MAX + 1];

		if (!name_parse(file, &name)) {
			ix->skipped++;
			continue;
		}
		memcpy(key, file, name.key_len);
		key[name.key_len] = '\0';
		r = note(ix, key, &name.version, name.form);
	}
	return r;
}

/*
 * Has the highest version of some key gone while a lower one stayed? Cleaning never does that, but
 * fsha_repair takes a damaged one away, and a person may.
 */
static bool lower_one_remains(const struct index *ix)
{
	const struct index_garbage *g;
	char key[FSU_COMPONENT_MAX + 1];
	const struct index_entry *e;
	struct name name;

	for (g = ix->garbage; g; g = g->hh.next) {
		if (!g->seen || !name_parse(g->file_name, &name))
			continue;
		memcpy(key, g->file_name, name.key_len);
		key[name.key_len] = '\0';
		e = index_find(ix, key);
		if (e && !e->seen)
			return true;
	}
	return false;
}

/* Take over a listing: what it does not show has been cleaned away. */
static int absorb(struct index *ix, const struct fsu_list *list)
{
	struct index_entry *e, *next;
	struct index_garbage *g, *next_g;
	int r;

	for (e = ix->entries; e; e = e->hh.next)
		e->seen = false;
	for (g = ix->garbage; g; g = g->hh.next)
		g->seen = false;
	r = note_all(ix, list);
	if (r == 0 && lower_one_remains(ix)) {
		/*
		 * What is the highest now was noted as garbage, and would be cleaned away: begin
		 * anew (test_store.c).
		 */
		drop_all(ix);
		r = note_all(ix, list);
	}
	if (r < 0)
		return r;
	HASH_ITER (hh, ix->entries, e, next)
		if (!e->seen)
			index_drop_entry(ix, e);
	HASH_ITER (hh, ix->garbage, g, next_g)
		if (!g->seen)
			index_drop_garbage(ix, g);
	return 0;
}

int index_refresh(struct index *ix, int64_t limit_ns)
{
	struct fsu_stamp stamp;
	struct fsu_list list;
	int r;

	if (ix->valid) {
		r = fsu_stamp_read(ix->fs, ix->dir_fd, "", &stamp);
		if (r < 0)
			return r;
		if (fsu_stamp_equal(&stamp, &ix->stamp))
			return 0;
	}
	index_forget(ix);
	fsu_list_init(&list, ix->fs);
	/*
	 * An unstable listing will do if it was quick: old versions stay for INDEX_RETAIN_NS, so it
	 * shows every key in a version that was the highest at some moment of the scan. With other
	 * hosts' caches in play a fresh change may hide behind a coarse time, so there it is waited
	 * for.
	 */
	r = ix->local ? fsu_list_pass(&list, ix->dir_fd, "", true) :
			fsu_list_read(&list, ix->dir_fd, "", false, limit_ns);
	if (r == 0 && !list.stable && list.took_ns > INDEX_RETAIN_NS / 2)
		r = -EAGAIN;
	if (r == 0)
		r = absorb(ix, &list);
	if (r == 0) {
		ix->stamp = list.stamp;
		ix->valid = list.stable;
		ix->complete = true;
	}
	fsu_list_done(&list);
	return r;
}

bool index_has_garbage_of(const struct index *ix, const char *key)
{
	const struct index_garbage *g;
	size_t len = strlen(key);

	for (g = ix->garbage; g; g = g->hh.next)
		if (strncmp(g->file_name, key, len) == 0 && g->file_name[len] == '~')
			return true;
	return false;
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

int index_sorted(const struct index *ix, const struct index_entry ***ret_entries, size_t *ret_count)
{
	const struct index_entry **entries, *e;
	size_t n = 0;

	entries = fsu_alloc(ix->fs, (HASH_COUNT(ix->entries) + 1) * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	for (e = ix->entries; e; e = e->hh.next)
		if (!index_entry_gone(e))
			entries[n++] = e;
	qsort(entries, n, sizeof(*entries), compare_keys);
	*ret_entries = entries;
	*ret_count = n;
	return 0;
}
