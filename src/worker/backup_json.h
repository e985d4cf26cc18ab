/*
 * A backup as JSON, for people and for jq. The checksum is one of the values, not of the bytes: of
 * the object without its checksum, printed compactly with sorted keys. So a file that was laid out
 * anew is the same backup, and one with any value changed is damaged.
 */
#ifndef SRC_WORKER_BACKUP_JSON_H
#define SRC_WORKER_BACKUP_JSON_H

#include <jansson.h>

#include "src/worker/backup.h"

/* With its checksum. NULL when out of memory. */
json_t *backup_to_json(const struct fsu *fs, const fsha_framework_backup *backup);
/*
 * NULL is FSHA_E_CORRUPT or FSHA_E_UNSUPPORTED or FSHA_E_NOMEM in `reterr`, which names `path`. The
 * workers are checked.
 */
fsha_framework_backup *backup_from_json(const struct fsu *fs, const json_t *file, const char *path,
					fsha_error *reterr);
/* Printed into fresh memory (fsu_release), terminated. NULL when out of memory. */
char *backup_print(const struct fsu *fs, const json_t *json, size_t flags, size_t *ret_len);
/* XXH3-128 as 32 hex digits, terminated. */
#define BACKUP_CHECKSUM_SIZE 33
void backup_checksum(const char *text, size_t len, char *ret_text);

#endif
