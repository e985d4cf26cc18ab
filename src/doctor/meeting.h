/*
 * Doctors of several hosts who meet in a directory: ".fsha-doctor-peers" in DIR, with a directory
 * for each, called by its label. What one has to say is an empty file in its own directory,
 * "<step>.<word>", made once; the others list until they see it. A peer whose beat file is not
 * renamed any more is gone.
 *
 * Who comes first makes the directory. When nobody new has come for a while, one of them makes
 * "session" and in it the roster; who is not in it came late. All limits are by the clock of
 * whoever waits; clocks of two hosts are never compared.
 */
#ifndef SRC_DOCTOR_MEETING_H
#define SRC_DOCTOR_MEETING_H

#include "fsutil/fsu_path.h"
#include "src/doctor/visit.h"

#define PEERS_MAX 16
#define WORD_SIZE 200

struct peer {
	char name[FSU_COMPONENT_MAX + 1]; /* the label, encoded */
	uint64_t beat;
	int64_t beat_ns; /* when it was first seen so; 0: never */
	bool beats;      /* it was seen to change */
};

struct meeting {
	struct doctor *d;
	const struct fsu *fs;
	int fd;                           /* .fsha-doctor-peers; -1 */
	char name[FSU_COMPONENT_MAX + 1]; /* of this peer */
	uint64_t beat;
	int64_t beaten_ns, begun_ns;
	bool joined;                  /* the directory `name` is ours */
	bool seated;                  /* and on the roster */
	struct peer peers[PEERS_MAX]; /* the roster, in one order for all */
	size_t count, self;
};

/* Come together: joins, waits, and knows the roster. After any result meeting_leave. */
fsha_result meeting_join(struct meeting *m, struct doctor *d, fsha_error *reterr);
void meeting_leave(struct meeting *m);

/* Live on: the own beat, and whether it is time to stop. To be called while anything is waited for.
 */
fsha_result meeting_tick(struct meeting *m, fsha_error *reterr);
fsha_result meeting_say(struct meeting *m, const char *step, const char *word, fsha_error *reterr);
/* Wait for what a peer says; `ret_word` has WORD_SIZE bytes, or is NULL. */
fsha_result meeting_hear(struct meeting *m, size_t peer, const char *step, char *ret_word,
			 fsha_error *reterr);
/* The same of everybody else, whatever they say. */
fsha_result meeting_hear_all(struct meeting *m, const char *step, fsha_error *reterr);

/* "<name of the peer>/<file>", for calls relative to `fd`. */
#define MEETING_PATH (FSU_COMPONENT_MAX + 64)
const char *meeting_path(const struct meeting *m, size_t peer, const char *file, char *ret_path);
/* The label as people write it. */
const char *meeting_label(const struct meeting *m, size_t peer, char *ret_label);

/* The steps of a meeting and the verdict (peer.c). */
fsha_result doctor_peer(struct doctor *d, fsha_error *reterr);

#endif
