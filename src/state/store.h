/*
 * A fenced, versioned store in one directory: the mechanism under every typed store. Fencing,
 * versions and in-doubt handling are here and nowhere else.
 *
 * Reads go by the index of the directory; a leader that is alone in its term knows what is there
 * without looking, since nobody else can write while it leads. Writes check the present version and
 * commit under one mutex, and under the member's write lock when the term is shared.
 *
 * Any thread. Lock order: store mutex, then the write lock file; no callback is made with either
 * held.
 */
#ifndef SRC_STATE_STORE_H
#define SRC_STATE_STORE_H

#include <pthread.h>

#include "fsha/state.h"
#include "src/election/term.h"
#include "src/record/stream.h"
#include "src/state/index.h"

/*
 * Where the live term of an election comes from: a reference (term_unref it), or NULL when this
 * process does not lead it.
 */
struct term_source {
	struct term *(*get)(void *ctx, const char *election);
	void *ctx;
};

/*
 * How the values of a store look as files, where they are no envelopes. Tombstones are envelopes in
 * every store, so whoever cleans needs to know nothing of it.
 */
struct store_format {
	enum name_form form; /* of the values' names */
	/* As in struct term_write. */
	fsha_result (*stage)(void *ctx, const struct record_place *place,
			     const struct record_content *content, int dirfd, const char *path,
			     int *ret_errno, const char **ret_op, fsha_error *reterr);
	/* As record_read, for a name of that form; in ret_record only data and size count. */
	fsha_result (*read)(const struct record_place *place, const char *file_name,
			    struct record *ret_record, fsha_error *reterr);
};

struct store_directory {
	struct store_directory *former;
	int fd;
};

struct store {
	const struct cluster *cluster;
	struct term_source terms;
	char *election;  /* encoded */
	char *directory; /* below the cluster directory: "job_graphs", "state/<namespace>" */
	char *path;      /* where that is: the same, or an absolute path elsewhere */
	uint16_t kind;
	const struct store_format *format; /* NULL: envelopes */
	bool owned;                        /* made on the first write, with @owner in it */
	bool removable; /* a leader may remove the directory: it is looked for by its path */
	pthread_mutex_t mutex;
	/* Under the mutex: */
	bool cleaning;      /* a thread is in store_clean */
	unsigned streaming; /* threads that have taken a version and not published it yet */
	int dir_fd;         /* -1: not there yet */
	/*
	 * What dir_fd was before, and is now: a reader or the janitor may be in one without the
	 * mutex, so they are closed with the store only.
	 */
	struct store_directory *directories;
	bool durable;           /* its own name in state/ is, as far as it is owned */
	size_t compact_files;   /* so many files may stay loose: STORE_COMPACT_FILES */
	fsha_version unsettled; /* of a pack of compact.c that is in doubt */
	struct index index;
	struct fsu_uuid
		loaded;        /* session of the term for which the index is known to be complete */
	uint64_t doubts_ended; /* that term's, before the listing */
};

/*
 * May there be what the index does not show, by a write of this process in doubt? One whose doubt
 * has ended may have come since the index was loaded. Under the mutex.
 */
bool store_in_doubt(const struct store *store, const struct term *term);

#define STORE_PATH_SIZE 4096

struct store_options {
	const char *directory; /* as the records in it say, wherever it lies */
	/*
	 * NULL: there. Else an absolute path of less than STORE_PATH_SIZE bytes on the cluster's
	 * filesystem. Only with owned: so a second cluster is kept out of it.
	 */
	const char *path;
	const char *election; /* encoded */
	uint16_t kind;
	const struct store_format *format; /* NULL: envelopes */
	bool owned;
	bool removable; /* for writing only with owned */
};

fsha_result store_open(const struct cluster *c, const struct term_source *terms,
		       const struct store_options *options, struct store **ret_store,
		       fsha_error *reterr);
void store_close(struct store *store);
/* CONFIG: the directory belongs to another election, both named. */
fsha_result store_check_owner(struct store *store, fsha_error *reterr);

/* Keys are encoded here and below. The rules are those of fsha/state.h. */
enum store_write {
	STORE_ADD,     /* FSHA_E_EXISTS when there is one */
	STORE_REPLACE, /* FSHA_E_NOT_FOUND; FSHA_E_VERSION unless it is `expected` */
	STORE_REMOVE,  /* nothing to do when there is none; FSHA_E_VERSION as above */
	STORE_MARK, /* as STORE_REPLACE, by a mark that its removal has begun (remove.c); again */
	STORE_PUT,  /* add or replace, whichever it is; `expected` is not looked at */
	/* As STORE_PUT, over the mark of a removal too: what that pointed to is given up. */
	STORE_OVERWRITE,
};
fsha_result store_write(struct store *store, enum store_write how, const char *key,
			const fsha_version *expected, const void *data, size_t size,
			fsha_version *ret_version, fsha_error *reterr);
fsha_result store_exists(struct store *store, const char *key, fsha_version *ret_version,
			 fsha_error *reterr);
/* The record, verified; record_done it. */
fsha_result store_get(struct store *store, const char *key, struct record *ret_record,
		      fsha_version *ret_version, fsha_error *reterr);
/*
 * The same for who reads one key after the other, in the order of store_keys: what lies in packs is
 * read in large pieces. `reader` begins as { .fs = ... }; pack_reader_done it.
 */
fsha_result store_get_next(struct store *store, const char *key, struct pack_reader *reader,
			   struct record *ret_record, fsha_version *ret_version,
			   fsha_error *reterr);
/*
 * The same for values of any size (not in a store with a format of its own). Nothing is locked
 * while the bytes pass: a write is staged first, and what was asked before is asked again at its
 * commit. FSHA_E_VERSION, also of STORE_ADD: another call wrote or removed the key meanwhile. A
 * value that is small enough becomes an ordinary record. `source` is read once, to its end or until
 * it fails; perhaps not at all.
 */
fsha_result store_write_stream(struct store *store, enum store_write how, const char *key,
			       const fsha_version *expected, struct record_source *source,
			       fsha_version *ret_version, fsha_error *reterr);
/* Results as record_stream_copy besides those of store_get. */
fsha_result store_get_stream(struct store *store, const char *key, const struct record_sink *sink,
			     uint64_t *ret_size, fsha_version *ret_version, fsha_error *reterr);
/* Both also for a key whose removal has begun; FSHA_E_NOT_FOUND when there is none at all. */
fsha_result store_look(struct store *store, const char *key, fsha_version *ret_version,
		       enum name_form *ret_form, fsha_error *reterr);
fsha_result store_get_any(struct store *store, const char *key, struct record *ret_record,
			  fsha_version *ret_version, enum name_form *ret_form, fsha_error *reterr);
/* A change of one key. */
struct store_change {
	enum store_write how;
	const char *key;
	const fsha_version *expected;
	const void *data;
	size_t size;
	const fsha_version *staged; /* not NULL: the value is staged already, under this version */
};
#define STORE_BATCH_MAX FSHA_STATE_BATCH_MAX
#define STORE_BATCH_SIZE_MAX FSHA_STATE_BATCH_SIZE_MAX /* bytes of all values together */
_Static_assert(STORE_BATCH_MAX <= PACK_MEMBERS_MAX, "a batch is one pack");
_Static_assert(STORE_BATCH_SIZE_MAX <= PACK_SIZE_MAX / 2, "with room for the envelopes");
/*
 * All of the changes or none, in one commit: they have one version, in `ret_version`. The first one
 * that may not be made is the result, and `*ret_failed` its number; that is `count` for what is not
 * one change's fault. Keys must differ. In doubt are all of them or none: store_settle of any key
 * that was written tells. None in `staged`; in a store with a format of its own only removals.
 * FSHA_OK for no changes at all.
 */
fsha_result store_write_batch(struct store *store, const struct store_change *changes, size_t count,
			      fsha_version *ret_version, size_t *ret_failed, fsha_error *reterr);
/* What was read of it so far is durable from now on. Needs no leadership. */
fsha_result store_sync(struct store *store, fsha_error *reterr);
/*
 * The names in the directory that are no versioned names, sorted, as store_keys: what a person put
 * there, or another program. Not those that begin with a dot (".nfs...").
 */
fsha_result store_strays(struct store *store, char ***ret_names, size_t *ret_count,
			 fsha_error *reterr);
fsha_result store_settle(struct store *store, const char *key, const fsha_version *version,
			 fsha_error *reterr);
void store_forget(struct store *store);
/*
 * Take the whole directory away, in one fenced rename; the next write makes a new one. For what was
 * cleared before: whoever still reads in it must find nothing. OK also when there is none.
 */
fsha_result store_remove_directory(struct store *store, fsha_error *reterr);
/*
 * The same, not cleared before, for what a former leader left: FSHA_E_EXISTS when something in it
 * was written under the present term, asked under the locks of a write, so that no write comes
 * between.
 */
fsha_result store_remove_former_directory(struct store *store, fsha_error *reterr);

/* ---- keys.c ---- */

/* What a listing shows of a key, also of one whose removal has begun. */
struct store_handle {
	const char *key; /* encoded */
	fsha_version version;
	enum name_form form;
};
/* Sorted by key, our own ("@owner") left out: one allocation. */
fsha_result store_handles(struct store *store, struct store_handle **ret_handles, size_t *ret_count,
			  fsha_error *reterr);
/* With what was removed and has not been cleaned away yet: NAME_TOMBSTONE. */
fsha_result store_handles_and_gone(struct store *store, struct store_handle **ret_handles,
				   size_t *ret_count, fsha_error *reterr);
/*
 * The same without what is in damaged packs, which store_handles refuses to leave out: then
 * ret_damage->result is FSHA_E_CORRUPT.
 */
fsha_result store_known(struct store *store, struct store_handle **ret_handles, size_t *ret_count,
			fsha_error *ret_damage, fsha_error *reterr);
/* Encoded keys of what exists, sorted: one allocation, ended by NULL. */
fsha_result store_keys(struct store *store, char ***ret_keys, size_t *ret_count,
		       fsha_error *reterr);

/* ---- remove.c ---- */

/*
 * How what a value points to is discarded. Called with no lock held, and again for the same value
 * after a crash or a failure, maybe by two threads or processes at once. NULL: it points to
 * nothing.
 */
struct store_discard {
	fsha_result (*discard)(void *ctx, const void *data, size_t size, fsha_error *reterr);
	void *ctx;
};
/*
 * Remove in two steps, so that what the value points to never gets lost sight of: mark, discard,
 * tombstone. Goes on where an earlier call was cut short. OK also when there is none. FSHA_E_STATE:
 * marked, and `discard` is NULL.
 */
fsha_result store_release_and_try_remove(struct store *store, const char *key,
					 const struct store_discard *discard, fsha_error *reterr);
/* Only the first step; a mark that is there is renewed. FSHA_E_NOT_FOUND: there is nothing. */
fsha_result store_mark(struct store *store, const char *key, fsha_error *reterr);
/*
 * What exists but is only marked is removed to the end; anything else stays. FSHA_OK: it was, and
 * is gone now. FSHA_E_NOT_FOUND: it was not marked.
 */
fsha_result store_finish_removal(struct store *store, const char *key,
				 const struct store_discard *discard, fsha_error *reterr);

/*
 * Remove every key, marked or not, without discarding anything: in one batch of up to
 * STORE_BATCH_MAX keys, so all of these or none. Goes on after an error and reports the first.
 */
fsha_result store_clear(struct store *store, fsha_error *reterr);

/*
 * Take what is useless out of the directory, as far as this process leads. For the background; may
 * hang. False: another thread is just at it.
 */
bool store_clean(struct store *store);
/* Fewer and fuller packs, and packs instead of very many files; likewise. */
#define STORE_COMPACT_FILES 1000
void store_compact(struct store *store);

/* ---- Between the files of this directory; under the store's mutex ---- */

/*
 * Open the directory if it is there. NOT_FOUND when it is not yet; CORRUPT when it is one that
 * every cluster has, or is to lie in such a one, and that is lost. Checks whose it is.
 */
fsha_result store_open_directory(struct store *store, fsha_error *reterr);
/* Make the index fit for `term` (NULL: a reader). NOT_FOUND as store_open_directory. */
fsha_result store_load(struct store *store, struct term *term, fsha_error *reterr);
/*
 * The present version of a key and what it is; a tombstone all of zeros when it never was.
 * NOT_FOUND only for a missing directory.
 */
fsha_result store_look_up(struct store *store, struct term *term, const char *key,
			  fsha_version *ret_version, enum name_form *ret_form, fsha_error *reterr);
/*
 * The same of what the index shows. Returns the damaged pack that may hold a higher version; NULL:
 * none.
 */
const struct index_pack *store_sight(const struct store *store, const char *key,
				     fsha_version *ret_version, enum name_form *ret_form);
/* The form of the names of its values. */
enum name_form store_value_form(const struct store *store);
fsha_result store_not_found(const struct store *store, const char *key, fsha_error *reterr);
/*
 * May a change be made, as the index that was just loaded shows? FSHA_OK to commit it above
 * `*ret_floor` (all zero: above nothing), unless `*ret_nothing`: then there is nothing to do.
 */
fsha_result store_check_loaded(struct store *store, struct term *term,
			       const struct store_change *change, fsha_version *ret_floor,
			       bool *ret_nothing, fsha_error *reterr);
/* The directory is there, with its name durable. */
fsha_result store_make_directory(struct store *store, struct term *term, fsha_error *reterr);
/* Let `write` be the publication of a batch. */
void batch_name(struct term_write *write);
/* What was found is durable, whoever wrote it. */
fsha_result store_sync_found(struct store *store, fsha_error *reterr);
/* As store_commit, with the write lock held. `*ret_sent`: what was staged is no more. */
fsha_result store_commit_locked(struct store *store, struct term *term,
				const struct store_change *change, bool *ret_sent,
				fsha_version *ret_version, fsha_error *reterr);

/* ---- Without it ---- */

fsha_result store_commit(struct store *store, struct term *term, const struct store_change *change,
			 fsha_version *ret_version, fsha_error *reterr);
/*
 * May it be made, as things are now? Takes the mutex. `ret_present` is all zero when the key never
 * was.
 */
fsha_result store_may_change(struct store *store, struct term *term,
			     const struct store_change *change, fsha_version *ret_present,
			     fsha_error *reterr);
fsha_result store_not_leader(const struct store *store, const char *key, fsha_error *reterr);

/* The file in which the present version of a key lies. */
struct store_found {
	fsha_version version;
	enum name_form form;
	struct record_place place;
	char file[NAME_SIZE]; /* in a pack: what it would be called */
	bool packed;
	struct pack_part part; /* then */
};
/*
 * Have it read by `take`, which says FSHA_E_NOT_FOUND when the file is gone: then it is called
 * again for the version that came instead.
 */
typedef fsha_result store_read_function(void *ctx, struct store *store,
					const struct store_found *found, fsha_error *reterr);
fsha_result store_read(struct store *store, const char *key, store_read_function *take, void *ctx,
		       fsha_version *ret_version, fsha_error *reterr);
/* Into the struct record that `ctx` is. */
store_read_function store_read_whole;

#endif
