/*
 * Taking a file out of a store for a person to look at: by one rename into the tenure, which is
 * fenced like every change of a store, and by another into quarantine/. Under the name that it has
 * in both, "<uuid>~<path, encoded>", whoever takes the tenure apart knows where it was going.
 */
#ifndef SRC_MAINTENANCE_QUARANTINE_H
#define SRC_MAINTENANCE_QUARANTINE_H

#include "src/election/term.h"

/*
 * `directory` and `file` below the cluster directory. FSHA_OK: it is in quarantine, durably, or was
 * gone already. `ret_name` has NAME_SIZE bytes.
 */
fsha_result quarantine_take(struct term *term, const char *directory, const char *file,
			    char *ret_name, fsha_error *reterr);

#endif
