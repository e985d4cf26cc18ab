/* What the peers of a meeting have found, and what they all make of it. */
#ifndef SRC_DOCTOR_VERDICT_H
#define SRC_DOCTOR_VERDICT_H

#include "src/doctor/meeting.h"

/* What one peer has found while it acted; the worst of all is the verdict. In ms. */
struct measured {
	int new_name, removed_name, listing, hand_over;
	int lock_seen; /* by all others */
	int lock_free; /* how long until they saw that it was free; -1: they did not */
	int fence;     /* calls that still worked after another had removed the tenure */
	int winners;   /* of one rename by all others */
};

/* Tell the others, hear what they found, and tell the user what comes of all of it. */
fsha_result verdict_reach(struct meeting *m, const struct measured *own, fsha_error *reterr);

#endif
