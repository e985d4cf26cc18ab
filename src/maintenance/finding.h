/*
 * What verify finds: a list of codes with paths and messages, and the table that says how bad each
 * is and what to do. The codes are part of the interface: programs and people know them by name.
 */
#ifndef SRC_MAINTENANCE_FINDING_H
#define SRC_MAINTENANCE_FINDING_H

#include <stdbool.h>

#include "fsha/maintenance.h"
#include "fsutil/fsu_ops.h"

/* A name in a directory of a cluster, or in that of job results elsewhere (STORE_PATH_SIZE). */
#define FINDING_PATH_SIZE (4096 + 256)

/* In the order of FORMAT.md's tree; doc/MAINTENANCE.md has the same table for people. */
enum finding_code {
	FINDING_SETTINGS_MISSING,
	FINDING_SETTINGS_DAMAGED,
	FINDING_FLOOR_MISSING,
	FINDING_FLOOR_SEVERAL,
	FINDING_DIRECTORY_MISSING,
	FINDING_WRONG_TYPE,
	FINDING_UNREADABLE,
	FINDING_EXPOSED,
	FINDING_FOREIGN_OWNER,
	FINDING_UNKNOWN_NAME,
	FINDING_LEFTOVER,
	FINDING_NFS_LEFTOVER,
	FINDING_RECORD_DAMAGED,
	FINDING_RECORD_FOREIGN,
	FINDING_RECORD_NEWER,
	FINDING_OLD_RECORD_DAMAGED,
	FINDING_VERSION_AHEAD,
	FINDING_VERSION_TWICE,
	FINDING_OLD_VERSIONS,
	FINDING_TOMBSTONES,
	FINDING_MARKED,
	FINDING_EPOCH_MISSING,
	FINDING_EPOCH_SEVERAL,
	FINDING_EPOCH_BELOW_FLOOR,
	FINDING_ELECTION_RETIRED,
	FINDING_HOLDER_GONE,
	FINDING_TENURE_MISSING,
	FINDING_TENURE_LEFTOVER,
	FINDING_TENURE_BUSY,
	FINDING_TRASH,
	FINDING_LEADER_BEHIND,
	FINDING_OWNER_MISSING,
	FINDING_OWNER_WRONG,
	FINDING_MEMBER_DEAD,
	FINDING_MEMBER_HALF_REMOVED,
	FINDING_BLOBS_ORPHANED,
	FINDING_CHECKPOINTS_ORPHANED,
	FINDING_QUARANTINED,
	FINDING_NOT_TOLD,
	FINDING_CODES
};

struct finding_type {
	const char *name;
	fsha_severity severity;
	bool again; /* may be in motion: believed when it is found in each of several looks */
	const char *advice;
};
const struct finding_type *finding_type(enum finding_code code);

struct finding {
	enum finding_code code;
	const char *path; /* one allocation holds it and what follows */
	const char *message;
	const char *election; /* encoded: whose leaders may do something about it; "": nobody's */
	bool told;            /* what gc made of it */
};

struct findings {
	const struct fsu *fs;
	struct finding *items;
	size_t count, size;
	size_t firm;                        /* before this no INFO is left: findings_add */
	const char *election;               /* of what is added; NULL: nobody's */
	uint64_t not_told[FSHA_SEVERITIES]; /* beyond FSHA_FINDINGS_MAX */
	bool out_of_memory;
};

void findings_init(struct findings *found, const struct fsu *fs);
void findings_done(struct findings *found);
/*
 * Add one. Out of memory is remembered and told at the end. Above FSHA_FINDINGS_MAX one that is
 * worse takes the place of an INFO; others are only counted.
 */
void findings_add(struct findings *found, enum finding_code code, const char *path,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Is there one that should be looked at again? */
bool findings_doubtful(const struct findings *found);
/* Could something not be read then that can be read in `now`, which is sorted? */
bool findings_recovered(const struct findings *before, const struct findings *now);
/* Keep of those in doubt only what `again`, which is sorted, has too. */
void findings_confirm(struct findings *found, const struct findings *again);
void findings_sort(struct findings *found);
/* Is the same in `sorted`? */
bool findings_has(const struct findings *sorted, const struct finding *f);
/* Of this path something was told. */
void findings_mark_told(struct findings *sorted, const char *path);
/* Move all of `from` to the end of `found`, or as many as there is room for, the worst first. */
void findings_take(struct findings *found, struct findings *from);
/* When there were more than could be told: one more finding that says so. */
void findings_tell_of_the_rest(struct findings *found);

#endif
