/*
 * What is in a directory of versioned names: for every key its highest version, in a file of its
 * own (loose) or in a pack. Valid as long as the directory's stamp says so; a leader that is alone
 * in its term keeps its own up to date by itself, since nobody else can write there while it leads.
 * One thread at a time.
 *
 * A version of a key that lies in two places is the same record in both: the pack counts, and of
 * two packs the newer. A pack of which nothing counts any more is garbage, as a lower version is.
 */
#ifndef SRC_STATE_INDEX_H
#define SRC_STATE_INDEX_H

#include <uthash.h>

#include "fsutil/fsu_list.h"
#include "src/record/name.h"
#include "src/state/pack.h"

/*
 * Old versions stay for at least this long, so that a listing shorter than half of it shows each
 * key in some version.
 */
#define INDEX_RETAIN_NS (2 * FSU_NS_PER_S)

/* The list of a pack that was damaged: what it holds is not known. */
struct index_pack {
	UT_hash_handle hh;
	fsha_version version; /* its key in the table */
	struct pack *pack;    /* NULL: damaged */
	fsha_error *why;      /* then */
	size_t live;          /* members that are the highest version of their key */
	uint64_t live_size;   /* their bytes */
	int64_t dead_ns;      /* when `live` became 0 */
	size_t spent;         /* for who cleans: of `live`, tombstones that may go */
	bool seen;
	bool moving; /* for who compacts: what counts of it is to be moved to a new one */
	bool stays;  /* holds something that cannot be moved out of it: not to be rewritten */
};

/* The highest version of a key. */
struct index_entry {
	UT_hash_handle hh;
	fsha_version version;
	int64_t since_ns;        /* when this process first saw this version */
	struct index_pack *pack; /* NULL: loose */
	uint32_t member;         /* which one of the pack */
	/* How many packs hold a lower version of the key, and how many this one. */
	uint32_t lower, same;
	enum name_form form;
	bool seen;  /* in the present listing */
	bool stays; /* cannot be moved into a pack: too large, or damaged */
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
	struct record_place place; /* borrowed; packs are read there */
	bool local;
	struct index_entry *entries;   /* by key */
	struct index_garbage *garbage; /* by file name */
	struct index_pack *packs;      /* by version */
	size_t gone_count;             /* entries that are tombstones */
	size_t loose_count;            /* entries that could be moved into a pack */
	size_t damaged_count;          /* packs */
	struct fsu_stamp stamp;
	bool valid;    /* as long as the directory's stamp is this one */
	bool complete; /* it showed all that was there at the last listing, and what was noted since
			*/
	size_t skipped; /* names in the last listing that are not of ours */
};

void index_init(struct index *ix, const struct record_place *place, bool local);
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
/* For who cleans and compacts. */
struct index_entry *index_find_mutable(const struct index *ix, const char *key);
/* NULL: the directory has no such pack. */
const struct index_pack *index_find_pack(const struct index *ix, const fsha_version *version);
/*
 * A damaged pack that may hold a version of the key above `version`; the newest one. NULL: there is
 * none, so `version` is the highest.
 */
const struct index_pack *index_damaged_above(const struct index *ix, const fsha_version *version);
/* A version that this process has just made visible. */
int index_note(struct index *ix, const char *key, const fsha_version *version, enum name_form form);
/* A pack that this process has just made visible. Takes it over, on failure too. */
int index_note_pack(struct index *ix, struct pack *pack);
/* All entries, sorted by key, in fresh memory (fsu_release); those gone only if they are wanted. */
int index_sorted(const struct index *ix, bool with_gone, const struct index_entry ***ret_entries,
		 size_t *ret_count);
/* How many keys have a value. */
size_t index_live(const struct index *ix);
/* Their files are gone: drop a tombstone's key, or a piece of garbage. */
void index_drop_entry(struct index *ix, struct index_entry *entry);
void index_drop_garbage(struct index *ix, struct index_garbage *garbage);
/* This entry is not to be moved into a pack. */
void index_entry_stays(struct index *ix, struct index_entry *entry);

static inline bool index_entry_gone(const struct index_entry *e)
{
	return e->form == NAME_TOMBSTONE;
}

/* The file name of an entry; of a packed one the name that it would have. */
static inline void index_entry_name(const struct index_entry *e, char *ret_name)
{
	name_format(e->key, &e->version, e->form, ret_name);
}

static inline const struct pack_member *index_entry_member(const struct index_entry *e)
{
	return &e->pack->pack->members[e->member];
}

#endif
