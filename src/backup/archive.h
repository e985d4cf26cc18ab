/*
 * A backup as it is read: its entries, one after the other, verified against the manifest.
 */
#ifndef SRC_BACKUP_ARCHIVE_H
#define SRC_BACKUP_ARCHIVE_H

#include "fsha/backup.h"
#include "src/backup/manifest.h"

struct archive {
	const struct fsu *fs;
	const fsha_backup_source *source;
	struct manifest manifest;
};

/* Go through all entries; `visit` may read the content of each. */
typedef fsha_result archive_visit(void *ctx, const char *path, uint64_t size, fsha_error *reterr);
fsha_result archive_each(struct archive *a, archive_visit *visit, void *ctx, fsha_error *reterr);
/* Exactly `size` bytes of the present entry. */
fsha_result archive_read(const struct archive *a, const char *path, void *buf, size_t size,
			 fsha_error *reterr);
/* Read the manifest, and every byte that it names. CORRUPT names what is wrong. */
fsha_result archive_verify(struct archive *a, fsha_error *reterr);

/* CORRUPT: `path` of the backup is bad, why, and nothing was changed. */
fsha_result archive_damaged(const char *path, const char *why, fsha_error *reterr);

#endif
