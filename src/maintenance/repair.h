/* A repair while it goes on; what its files have in common. */
#ifndef SRC_MAINTENANCE_REPAIR_H
#define SRC_MAINTENANCE_REPAIR_H

#include "fsutil/fsu_path.h"
#include "src/maintenance/action.h"
#include "src/state/store.h"

struct repair {
	struct actions actions;
	bool accept_older, finish_removals;
	struct tenancy tenancy; /* kept from one finding to the next of the same election */
	char election[FSU_COMPONENT_MAX + 1];
	bool refused; /* somebody else leads it */
	char why[FSHA_MESSAGE_SIZE];
};

/* The term of the finding's election; NULL: told why not, for `path`. */
struct term *repair_term(struct repair *r, const struct finding *f, const char *path);
/* The store in `directory`; services_store_close it. */
fsha_result repair_store(struct repair *r, const char *directory, const char *election,
			 struct store **ret_store, fsha_error *reterr);
/* Move a file of the directory to quarantine; `then` is told of it. */
void repair_move(struct repair *r, const struct finding *f, const char *directory, const char *file,
		 const char *then);

/* ---- repair_pack.c ---- */
/* A damaged pack: what is whole in it stays in the store. */
void repair_pack(struct repair *r, const struct finding *f);

/* ---- repair_marks.c ---- */
/* The entries of a directory whose removal has begun. */
void repair_marks(struct repair *r, const struct finding *f);

#endif
