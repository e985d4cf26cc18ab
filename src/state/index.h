/*
 * What is in a directory of versioned names: for every key its highest version. Valid as long as
 * the directory's stamp says so; a leader that is alone in its term keeps its own up to date by
 * itself, since nobody else can write there while it leads. One thread at a time.
 */
#ifndef SRC_STATE_INDEX_H
#define SRC_STATE_INDEX_H

#include <uthash.h>

#include "fsutil/fsu_list.h"
#include "src/record/name.h"

/*
 * Old versions stay for at least this long, so that a listing shorter than half of it shows each
 * key in some version.
 */
#define INDEX_RETAIN_NS (2 * FSU_NS_PER_S)

/* The highest version of a key. */
struct index_entry {
	UT_hash_handle hh;
	fsha_version version;
	int64_t since_ns; /* when this process first saw this version */
	enum name_form form;
	bool seen;  /* in the present listing */
	char key[]; /* encoded */
};

/* A name that a higher version has made useless. */
struct index_garbage {
	UT_hash_handle hh;
	int64_t since_ns; /* when this process saw the higher version */
	bool seen;
	char file_name[];
};

struct index {
	const struct fsu *fs;
	int dir_fd; /* borrowed */
	bool local;
	struct index_entry *entries;   /* by key */
	struct index_garbage *garbage; /* by file name */
	size_t gone_count;             /* entries that are tombstones */
	struct fsu_stamp stamp;
	bool valid;    /* as long as the directory's stamp is this one */
	bool complete; /* it showed all that was there at the last listing, and what was noted since
			*/
	size_t skipped; /* names in the last listing that are not of ours */
};

void index_init(struct index *ix, const struct fsu *fs, int dir_fd, bool local);
void index_done(struct index *ix);

/*
 * Make it valid: one statx when nothing changed, else a listing that may be believed. 0, -EAGAIN
 * when the directory is so busy that no believable listing could be had within `limit_ns`, or an
 * error.
 */
int index_refresh(struct index *ix, int64_t limit_ns);
/* The next refresh lists again, whatever the stamp says. */
void index_forget(struct index *ix);

/* NULL: the directory holds no version of it. */
const struct index_entry *index_find(const struct index *ix, const char *key);
/* A version that this process has just made visible. */
int index_note(struct index *ix, const char *key, const fsha_version *version, enum name_form form);
/* All entries, sorted by key, in fresh memory (fsu_release); those gone left out. */
int index_sorted(const struct index *ix, const struct index_entry ***ret_entries,
		 size_t *ret_count);
/* How many keys have a value. */
size_t index_live(const struct index *ix);
/* Their files are gone: drop a tombstone's key, or a piece of garbage. */
void index_drop_entry(struct index *ix, struct index_entry *entry);
void index_drop_garbage(struct index *ix, struct index_garbage *garbage);
/* Is anything below the highest version of this key known to be there still? */
bool index_has_garbage_of(const struct index *ix, const char *key);

static inline bool index_entry_gone(const struct index_entry *e)
{
	return e->form == NAME_TOMBSTONE;
}

/* The file name of an entry. */
static inline void index_entry_name(const struct index_entry *e, char *ret_name)
{
	name_format(e->key, &e->version, e->form, ret_name);
}

#endif
