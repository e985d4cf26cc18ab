/*
 * Verify: every part of a cluster directory is a unit with a check of its own. All are checked
 * once; those in which something looks wrong that may only be in motion are checked again after a
 * pause, and only what each look shows is believed. What keeps that true: names are written once,
 * so what is in motion has another name in the next look; and where two things must agree, the one
 * that only grows is read last.
 */
#ifndef SRC_MAINTENANCE_VERIFY_H
#define SRC_MAINTENANCE_VERIFY_H

#include "src/cluster/cluster.h"
#include "src/election/epoch.h"
#include "src/maintenance/area.h"
#include "src/maintenance/finding.h"

#define VERIFY_LOOKS 3
#define VERIFY_LOOKS_MAX 6 /* also of a unit that cannot be read now and then */

/* What one look at a unit came by. */
struct verify_count {
	uint64_t names, records, bytes;
};

struct verify {
	const struct cluster *cluster;
	const char *results;        /* as for jobs_read */
	bool names_only;            /* read no records but owners: for gc */
	struct verify_count *count; /* of the present look */
};

struct unit {
	void (*check)(struct verify *v, const struct unit *unit, struct findings *found);
	const struct area *area; /* of a store */
	bool elsewhere;          /* it lies in verify->results */
	char name[256];          /* of an election, or of a store within its area */
	struct findings found;
	struct verify_count count;
	unsigned looks; /* that agree so far */
};

/* Look at all; `ret_found`, initialised by the caller, is sorted. */
fsha_result verify_run(const struct cluster *c, const char *results, bool names_only,
		       fsha_verify_summary *summary, struct findings *ret_found,
		       fsha_error *reterr);

/*
 * Once more, after something was done about it: is it still so, for all that is known? Of what is
 * found in a store or in an election.
 */
bool verify_still(const struct cluster *c, const char *results, const struct finding *f);

/* ---- check_root.c ---- */
void check_root(struct verify *v, const struct unit *unit, struct findings *found);
/* A directory that has only directories of stores in it. */
void check_nest(struct verify *v, const struct unit *unit, struct findings *found);
void check_elections(struct verify *v, const struct unit *unit, struct findings *found);
void check_members(struct verify *v, const struct unit *unit, struct findings *found);
void check_quarantine(struct verify *v, const struct unit *unit, struct findings *found);

/* ---- check_election.c ---- */
void check_election(struct verify *v, const struct unit *unit, struct findings *found);

/* ---- check_store.c ---- */
void check_store(struct verify *v, const struct unit *unit, struct findings *found);
void check_leaders(struct verify *v, const struct unit *unit, struct findings *found);

/* ---- check_jobs.c ---- */
void check_jobs(struct verify *v, const struct unit *unit, struct findings *found);

/* ---- check_names.c: what the checks have in common ---- */

/*
 * List a directory below the cluster's, sorted. False: there is none, or it cannot be read; what
 * has to be said about that was said.
 */
bool check_list(struct verify *v, const char *directory, struct fsu_list *list,
		struct findings *found);
/* Open such a directory. What has to be said when that fails was said. */
int check_open(struct verify *v, const char *directory, struct findings *found);
/* A name that fits no pattern: a leftover of somebody's, or nobody knows whose. */
void check_unknown(struct findings *found, const char *directory, const char *name);

/* One versioned name: what a record there must be. */
struct check_record {
	const char *directory; /* as the records in it say */
	const char *path;      /* where that is */
	int dir_fd;
	const char *file_name;
	const struct name *name;
	uint16_t kind;
	uint16_t members;                  /* of a pack: the kind of what is in it */
	const struct store_format *format; /* NULL: an envelope */
	int (*decode)(const struct record *record, void *ctx); /* NULL: any payload */
	void *ctx;
	bool newest; /* the highest version of its key */
};
/* Say what is wrong with it: with what it could not be read. */
void check_unsound(const struct check_record *record, fsha_result result, const fsha_error *error,
		   struct findings *found);
/* Read it and say what is wrong. True: it is sound; of a pack only its list is told so. */
bool check_record(struct verify *v, const struct check_record *record, struct findings *found);
/*
 * check_pack.c: a pack and all that is in it. As record_read of its list; what is wrong with a
 * member is said.
 */
fsha_result check_pack(struct verify *v, const struct record_place *place,
		       const struct check_record *pack, struct findings *found, fsha_error *reterr);
/* The present term of an election; epoch 0 for one that never was. False: it cannot be told. */
bool check_epoch(struct verify *v, const char *election, struct epoch *ret_epoch,
		 struct findings *found);
/*
 * The highest epoch that anything of this election (encoded) may carry: the epoch file's, or the
 * floor. False: it cannot be told.
 */
bool check_epoch_max(struct verify *v, const char *election, uint64_t *ret_epoch,
		     struct findings *found);

#endif
