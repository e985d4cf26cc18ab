/*
 * Checkpoints: thin over the store. What is retained is held in memory, lowest id first, and is
 * what is on disk but for removals that are still to be done.
 *
 * A checkpoint that is dropped leaves the memory at once and its record in the background, in two
 * steps (src/state/remove.c): a crash in between leaves it whole, to be dropped again by who
 * recovers, or marked, to be finished by who opens the store next.
 *
 * Lock order: writing, then the store's locks; the services' mutex, then ours, which are held for
 * moments only. No function of the user's is called with any of them held.
 */
#ifndef SRC_CHECKPOINT_CHECKPOINT_H
#define SRC_CHECKPOINT_CHECKPOINT_H

#include <stdbool.h>

#include "fsha/checkpoint.h"
#include "src/services/services.h"

#define CHECKPOINT_COUNTER_KEY "@counter"
#define CHECKPOINT_KEY_SIZE 20 /* 19 digits and the terminator */
#define CHECKPOINT_DIRECTORY_SIZE 64

/* A removal that is to be done. */
struct removal {
	struct removal *next;
	int64_t id;
	bool discard; /* in two steps; else only the record goes */
};

struct checkpoint {
	struct removal *removal; /* for when it is dropped: that needs no memory then */
	fsha_completed_checkpoint is;
	/* Metadata and external pointer follow. */
};

struct fsha_checkpoint_store {
	struct fsha_services *services;
	struct store *store;
	char directory[CHECKPOINT_DIRECTORY_SIZE];
	char election[FSHA_ELECTION_JOB_TEXT];
	fsha_checkpoint_store_options options;
	struct fsu_uuid session;      /* of the term in which it was recovered; null: in none */
	pthread_mutex_t writing;      /* one change at a time; held while the storage is asked */
	pthread_mutex_t mutex;        /* of what follows; held for moments only */
	struct checkpoint **retained; /* by id, lowest first: so it is, too, when it is recovered */
	size_t count, size;
	struct removal *due;     /* the chore's work */
	struct removal *current; /* at work */
	struct removal *failed;  /* to be tried again with the next change */
	bool shut_down;          /* nothing can be added any more */
	bool ended;              /* a shutdown came to its end */
	bool abandoned;          /* closed while the chore hung */
	struct chore chore;
};

/* ---- codec.c ---- */

/* "checkpoints/<job>" into CHECKPOINT_DIRECTORY_SIZE bytes. */
void checkpoint_directory(const fsha_job_id *job, char *ret_directory);
void checkpoint_key(int64_t id, char *ret_key);
/* False: no key of a checkpoint. */
bool checkpoint_parse_key(const char *key, int64_t *ret_id);

/* INVALID, and what is wrong with it. */
fsha_result checkpoint_check(const fsha_completed_checkpoint *checkpoint, fsha_error *reterr);
/* The payload of one that was checked; fsu_release it. -ENOMEM. */
int checkpoint_encode(const struct fsu *fs, const fsha_completed_checkpoint *checkpoint,
		      uint8_t **ret_data, size_t *ret_size);
/* Points into `data`. False: damaged, or not of that id. */
bool checkpoint_decode(const uint8_t *data, size_t size, int64_t id,
		       fsha_completed_checkpoint *ret_checkpoint, char *pointer);
/* A copy with room for its removal; checkpoint_destroy it. NULL: out of memory. */
struct checkpoint *checkpoint_create(const struct fsu *fs, const fsha_completed_checkpoint *from);
void checkpoint_destroy(const struct fsu *fs, struct checkpoint *c);
/* Bytes of a copy in one piece, and make it at `to`, which is aligned as memory from alloc is. */
size_t checkpoint_bytes(const fsha_completed_checkpoint *from);
void checkpoint_copy(const fsha_completed_checkpoint *from, fsha_completed_checkpoint *to);

/* ---- subsume.c ---- */

/*
 * Which of `count` checkpoints, oldest first, of which only the types count, are superfluous:
 * sets `ret_drop` for each, and returns how many.
 */
size_t checkpoint_subsume(const uint32_t *types, size_t count, uint32_t max_retained,
			  bool *ret_drop);
/* Does the data of one that is dropped for a newer one, or with the end of its job, go too? */
bool checkpoint_discarded_when_subsumed(const fsha_completed_checkpoint *checkpoint);
bool checkpoint_discarded_at_end(const fsha_completed_checkpoint *checkpoint, int job_end);
bool checkpoint_end_is_known(int job_end);
bool checkpoint_end_is_global(int job_end);

/* ---- recover.c ---- */

fsha_result checkpoint_recover(fsha_checkpoint_store *s, fsha_error *reterr);

/* ---- clean.c ---- */

void checkpoint_clean(struct chore *chore);
/* Under the mutex. */
bool checkpoint_is_pending(const fsha_checkpoint_store *s, int64_t id);
void checkpoint_add_due(fsha_checkpoint_store *s, struct removal *removal);
/*
 * The first, durable step in the caller's thread, under `writing`: after it the checkpoint does not
 * exist. `removal` is taken over when there is more to do.
 */
fsha_result checkpoint_begin_removal(fsha_checkpoint_store *s, struct removal *removal,
				     fsha_error *reterr);
/* Let the chore do what is due, and what failed before. */
void checkpoint_post(fsha_checkpoint_store *s);
void checkpoint_free_removals(const struct fsu *fs, struct removal **list);

/* ---- store.c ---- */

/* As fsha_checkpoint_store_open; without a thread, for tests. */
fsha_result checkpoint_open(fsha_services *services, const fsha_job_id *job,
			    const fsha_checkpoint_store_options *options,
			    fsha_checkpoint_store **ret_store, fsha_error *reterr);
/* The session under which this process leads now; null when it does not. */
struct fsu_uuid checkpoint_present_session(const fsha_checkpoint_store *s);
/* Under the mutex, or `writing`. NULL: there is none. */
const struct checkpoint *checkpoint_find(const fsha_checkpoint_store *s, int64_t id);
fsha_result checkpoint_not_found(const fsha_checkpoint_store *s, int64_t id, fsha_error *reterr);
void checkpoint_free_retained(fsha_checkpoint_store *s);
/* How the store of a job is opened; `directory` and `election` are the caller's. */
struct store_options checkpoint_store_options(const char *directory, const char *election);

#endif
