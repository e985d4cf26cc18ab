/*
 * A cluster with something of everything in it, made by the library: two leaders, leader records,
 * a history, job graphs, a namespace, checkpoints and blobs. What damages it goes behind the
 * library's back.
 */
#ifndef TESTS_TOWN_H
#define TESTS_TOWN_H

#include "tests/lib/actor.h"

#define TOWN_JOB "0123456789abcdef0123456789abcdef"
#define TOWN_JOB_2 "00000000000000000000000000000002" /* has a graph and nothing else */
#define TOWN_JOB_ELECTION "job-" TOWN_JOB
#define TOWN_CLUSTER "/c"
#define TOWN_HAND 3 /* the client that damages */

struct town {
	struct crashfs *disk;
	const struct fsu *hand;
	struct actor a; /* leads ACTOR_ELECTION */
	struct term *job_term;
	int job_fd;
	char path[700];
};

void town_start(struct town *t, struct crashfs *disk);
/* The process ends without a word; the town stays. */
void town_kill(struct town *t);
/* Both are resigned first. */
void town_resign(struct town *t);
void town_stop(struct town *t);

/* Write one record to any store, under the term of its election. */
void town_write(struct town *t, const char *directory, const char *election, uint16_t kind,
		bool owned, const char *key, const char *value);

/* "/c/<...>"; valid till the next call. */
const char *town_path(struct town *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/*
 * The first name in a directory below the cluster's that begins with `prefix`, the last when
 * `last`; its path below the cluster directory goes to `ret_path` of 700 bytes. Fails the test when
 * there is none.
 */
void town_find(struct town *t, const char *directory, const char *prefix, bool last,
	       char *ret_path);
/* Rename within the cluster directory. */
void town_move(struct town *t, const char *from, const char *to);
/* Flip a bit in the middle of the file. */
void town_damage(struct town *t, const char *path);
/*
 * Flip a bit of the file: `away` bytes from where `text` begins for the last time; NULL: from the
 * start.
 */
void town_flip(struct town *t, const char *path, const char *text, long away);
void town_copy(struct town *t, const char *from, const char *to);

#endif
