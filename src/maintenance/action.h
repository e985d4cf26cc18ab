/* Telling what gc and repair do, and the terms of office in which they do it. */
#ifndef SRC_MAINTENANCE_ACTION_H
#define SRC_MAINTENANCE_ACTION_H

#include "src/maintenance/finding.h"
#include "src/services/services.h"

struct actions {
	struct fsha_services *services;
	int (*visit)(void *ctx, const fsha_action *action); /* NULL: nobody, or he had enough */
	void *ctx;
	fsha_maintenance_summary summary;
	fsha_error error;       /* the first failure */
	struct findings *found; /* sorted; what is told of one is marked in it. NULL: none */
	bool dry_run;
};

void actions_tell(struct actions *a, fsha_action_outcome outcome, enum finding_code code,
		  const char *path, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* FAILED, and remembered when it is the first. */
void actions_fail(struct actions *a, enum finding_code code, const char *path,
		  const fsha_error *error);
/* The end: what the call returns. */
fsha_result actions_end(const struct actions *a, fsha_maintenance_summary *ret_summary,
			fsha_error *reterr);

/* A term to act in: this process's own, or a short one. */
struct tenancy {
	struct term *term;
	fsha_election *election; /* acquired for this; NULL: led anyway */
};
/* FSHA_E_NOT_LEADER: somebody else leads, the message names him. */
fsha_result tenancy_take(struct fsha_services *s, const char *election, struct tenancy *ret_tenancy,
			 fsha_error *reterr);
void tenancy_end(struct tenancy *tenancy);

#endif
