/*
 * All elections of a cluster held at once: nobody leads and nobody can, while it is changed from
 * outside.
 */
#ifndef SRC_BACKUP_OFFICES_H
#define SRC_BACKUP_OFFICES_H

#include "fsha/election.h"
#include "src/cluster/cluster.h"

struct office {
	struct office *next;
	fsha_election *election; /* NULL: a term in hand */
	char name[];             /* encoded */
};

struct offices {
	fsha_services *services;
	/* Terms that this process has already are taken, and no other: what needs no thread. */
	bool in_hand;
	struct office *list;
};

/* Hold `component` (encoded) as well. NOT_LEADER names who leads it. */
fsha_result offices_take(struct offices *offices, const char *component, fsha_error *reterr);
/* Is what has this name in elections/ one? Not what a person put there; what cannot be read may be.
 */
bool offices_is_election(const struct cluster *c, const char *name);
/* All that the cluster has, but those whose removal was cut short: nobody can lead them. */
fsha_result offices_take_all(struct offices *offices, fsha_error *reterr);
/* From here on every term in hand has an epoch above `epoch`, and so has every later one. */
fsha_result offices_rise_above(struct offices *offices, uint64_t epoch, fsha_error *reterr);
/* Resign them all. The first error counts. */
fsha_result offices_leave(struct offices *offices, fsha_error *reterr);

#endif
