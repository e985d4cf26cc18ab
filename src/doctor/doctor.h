/*
 * The doctor: is this directory, as this host mounts it, good for fsha? About forty checks, each
 * told in one line with a grade and what to do. For the command alone: no part of the library's
 * interface.
 *
 * It works in a hidden directory of its own in DIR, ".fsha-doctor-<uuid>", and touches nothing else
 * there; the cluster that it finds is only read. The directory is removed at the end, also when a
 * check failed or the run was stopped. One that a killed doctor left behind is removed by the next:
 * a lock in it tells whether its doctor lives, and where locks may lie, its age.
 *
 * It runs in the caller's thread, which hangs when the filesystem does: `begin` tells in which
 * check, so that another thread can say so.
 */
#ifndef SRC_DOCTOR_H
#define SRC_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "fsha/config.h"
#include "fsha/result.h"

struct fsu;

enum doctor_grade {
	DOCTOR_OK,
	DOCTOR_WARN, /* fsha works, slower or with less comfort, or nobody can tell */
	DOCTOR_FAIL, /* do not run fsha here */
	DOCTOR_GRADES
};

#define DOCTOR_TEXT_SIZE 480

struct doctor_finding {
	const char *check; /* a word, as in fsha(1) */
	enum doctor_grade grade;
	char text[DOCTOR_TEXT_SIZE];
	const char *advice; /* what to do; "" when there is nothing */
};

struct doctor_options {
	const struct fsu *fs;      /* NULL: the real one */
	const fsha_config *config; /* says the next three, when it is given */
	const char *dir;           /* the storage directory */
	const char *cluster_id;
	uint32_t lease_ms; /* as it is configured; 0: it is not */
	const char *host;  /* NULL: the name of this host */
	/*
	 * Meet other doctors in the directory, as this label, and wait so long for them. NULL: look
	 * at it alone.
	 */
	const char *peer;
	uint32_t wait_ms;
	/* Called in the caller's thread. Any of them may be NULL. */
	void (*begin)(void *ctx, const char *check);
	void (*tell)(void *ctx, const struct doctor_finding *finding);
	bool (*stopped)(void *ctx); /* the user has enough: tidy up and return */
	void *ctx;
};

struct doctor_summary {
	unsigned findings[DOCTOR_GRADES];
	char filesystem[32]; /* "nfs4" */
	char target[256];    /* where it is mounted; "" when that is not known */
	bool stopped;
};

/* "ok", "warn", "FAIL". */
const char *doctor_grade_name(enum doctor_grade grade);

/*
 * FSHA_OK when every check was made, whatever they found, or the run was stopped. CONFIG when `dir`
 * is no directory that this user may open. With `peer`: TIMEOUT when nobody came or somebody is
 * gone, STATE when this one came too late.
 */
fsha_result doctor_run(const struct doctor_options *options, struct doctor_summary *ret_summary,
		       fsha_error *reterr);

#endif
