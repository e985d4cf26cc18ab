/*
 * A framework's backup: taken from a store and put back (backup.c), written to a file and read
 * (backup_file.c). The file is the user's, and lies anywhere.
 */
#ifndef SRC_WORKER_BACKUP_H
#define SRC_WORKER_BACKUP_H

#include "src/worker/worker.h"

#define BACKUP_FILE_MAX ((size_t)128 << 20) /* bytes of a file that is read */

/* Could it be restored? INVALID or UNSUPPORTED says why not. */
fsha_result backup_check(const fsha_framework_backup *backup, fsha_error *reterr);
/*
 * `from` with `count` workers in its place, in one block; NULL when out of memory. The texts are
 * copied.
 */
fsha_framework_backup *backup_pack(const struct fsu *fs, const fsha_framework_backup *from,
				   const fsha_worker *const *workers, size_t count);

/* As fsha_framework_backup_write and _read, over any table of system calls. */
fsha_result backup_write_with(const struct fsu *fs, const fsha_framework_backup *backup,
			      const char *path, fsha_error *reterr);
fsha_result backup_read_with(const struct fsu *fs, const char *path,
			     fsha_framework_backup **ret_backup, fsha_error *reterr);

#endif
