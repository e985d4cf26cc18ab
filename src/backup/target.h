/* Where the values of a backup belong in a cluster. */
#ifndef SRC_BACKUP_TARGET_H
#define SRC_BACKUP_TARGET_H

#include "fsutil/fsu_path.h"
#include "src/backup/manifest.h"
#include "src/maintenance/area.h"

struct target {
	const struct area *area;
	char directory[AREA_DIRECTORY_SIZE];
	char key[FSU_COMPONENT_MAX + 1];
};

/* The area that a directory of a store is in; NULL: in none. */
const struct area *target_area(const char *directory);
/* False: no value of a store has such a path. */
bool target_parse(const char *path, struct target *ret_target);
/* A key that the store's own calls could have written? */
bool target_is_key(const struct target *target);
/*
 * The election that the manifest says fences a store: a name of one, and where the store's place
 * tells it, that very one? A directory that is made for another is closed to its leaders for good.
 */
bool target_is_owner(const struct area *area, const struct manifest_store *store);

#endif
