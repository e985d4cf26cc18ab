/* The public calls over any table of system calls, for tests. */
#ifndef SRC_MAINTENANCE_MAINTENANCE_H
#define SRC_MAINTENANCE_MAINTENANCE_H

#include "fsha/maintenance.h"
#include "fsutil/fsu_ops.h"

/* As fsha_verify. */
fsha_result verify_with(const struct fsu *fs, const fsha_config *config,
			int (*visit)(void *ctx, const fsha_finding *finding), void *ctx,
			fsha_verify_summary *ret_summary, fsha_error *reterr);

#endif
