/* Restoring by terms that are in hand already: for tests, which start no thread. */
#ifndef SRC_BACKUP_RESTORE_H
#define SRC_BACKUP_RESTORE_H

#include <stdbool.h>

#include "fsha/backup.h"

/* As fsha_backup_restore. `in_hand`: see struct offices. */
fsha_result restore_run(fsha_services *s, const fsha_restore_options *options,
			const fsha_backup_source *source, bool in_hand,
			fsha_backup_summary *ret_summary, fsha_error *reterr);

#endif
