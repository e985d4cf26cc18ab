/*
 * All stores as registers: a few keys each, to which a value is written, from which it is removed
 * and read. What a storm's history tells of are these.
 */
#ifndef TESTS_STORM_STORES_H
#define TESTS_STORM_STORES_H

#include "fsha/fsha.h"
#include "tests/storm/page.h"
#include "tests/storm/payload.h"

#define KEY_SIZE 128 /* bytes of a key as the history has it */
#define PAIR 3       /* names that a batch changes together */

struct stores {
	fsha_services *services;
	struct page *page;
	int ids_fd; /* where the ids are noted that must be unique */
	uint64_t random;
	fsha_job_id job;   /* whose master is elected and has checkpoints */
	fsha_job_id owner; /* of blobs; never elected, so nobody takes them for orphans */
	fsha_state_store *state, *batch, *stream;
	fsha_job_graph_store *graphs;
	fsha_job_result_store *results;
	fsha_running_jobs *running;
	fsha_blob_store *blobs;
	fsha_worker_store *workers;
	/* Of the present term as job master, which must open them after its grant: */
	fsha_checkpoint_store *checkpoints;
	fsha_checkpoint_id_counter *counter;
	uint64_t checkpoints_epoch;
	fsha_job_id running_id; /* of the running job that stores_key was asked for last */
	char buf[PAYLOAD_MAX];
};

/* The result of a write: FSHA_E_EXISTS, _NOT_FOUND, _STATE, _VERSION: nothing was done. */
struct store_kind {
	const char *name;
	enum election election;
	unsigned keys;
	/* Say it again after FSHA_E_INDOUBT, on the same object: it knows what it has done. */
	bool repeat;
	fsha_result (*write)(struct stores *s, unsigned key, const char *value, fsha_error *reterr);
	fsha_result (*remove)(struct stores *s, unsigned key, fsha_error *reterr); /* or NULL */
	/* FSHA_E_NOT_FOUND: absent; FSHA_E_CORRUPT: damaged. */
	fsha_result (*read)(struct stores *s, unsigned key, char *ret_value, fsha_error *reterr);
};

extern const struct store_kind store_kinds[KINDS];
extern const char *const election_names[ELECTIONS];

fsha_result stores_open(struct stores *s, fsha_services *services, struct page *page,
			const char *ids_path, uint64_t seed, fsha_error *reterr);
void stores_close(struct stores *s);

/* The term as job master has begun, or ended (0). */
fsha_result stores_new_term(struct stores *s, uint64_t epoch, fsha_error *reterr);

/*
 * The key as the history has it. For a running job that is about to be written (`value` not NULL)
 * the value makes the key; false: another is in its place, and has to be removed before.
 */
bool stores_key(struct stores *s, enum kind kind, unsigned key, const char *value, char *ret_text);

uint64_t stores_random(struct stores *s, uint64_t below);

/* A payload for the value in s->buf, usually a small one. Returns its size. */
size_t stores_payload(struct stores *s, const char *value, size_t max);

/* What was read: damaged if it is no payload. */
fsha_result stores_value(const void *data, size_t size, char *ret_value);

/* One that cannot be: told on stderr, and counted. */
void stores_violation(struct stores *s, const char *what, const char *detail);

/* An id that must be given out only once: noted. */
void stores_note_id(struct stores *s, const char *what, const char *id);

/* The general store, in stores_state.c. */
fsha_result state_write(struct stores *s, unsigned key, const char *value, fsha_error *reterr);
fsha_result state_remove(struct stores *s, unsigned key, fsha_error *reterr);
fsha_result state_read(struct stores *s, unsigned key, char *ret_value, fsha_error *reterr);
fsha_result batch_write(struct stores *s, unsigned key, const char *value, fsha_error *reterr);
fsha_result batch_remove(struct stores *s, unsigned key, fsha_error *reterr);
fsha_result batch_read(struct stores *s, unsigned key, char *ret_value, fsha_error *reterr);
fsha_result stream_write(struct stores *s, unsigned key, const char *value, fsha_error *reterr);
fsha_result stream_remove(struct stores *s, unsigned key, fsha_error *reterr);
fsha_result stream_read(struct stores *s, unsigned key, char *ret_value, fsha_error *reterr);

#endif
