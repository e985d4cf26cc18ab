/*
 * What a cluster's stores hold at one moment: for every key its version. Nothing is locked: all
 * stores are listed, and then looked at again; when none has changed, all listings were right at
 * the moment between.
 */
#ifndef SRC_BACKUP_SNAPSHOT_H
#define SRC_BACKUP_SNAPSHOT_H

#include "fsutil/fsu_path.h"
#include "src/maintenance/area.h"

struct snapshot_store {
	struct snapshot_store *next;
	const struct area *area;
	struct store *store;
	char election[FSU_COMPONENT_MAX + 1];
	struct fsu_stamp stamp;
	bool there; /* it has a directory; job results that lie elsewhere get theirs when needed */
	bool seen;  /* in the present look */
	char directory[AREA_DIRECTORY_SIZE];
};

struct snapshot_value {
	const struct snapshot_store *store;
	fsha_version version;
	enum name_form form;
	const char *key; /* in the same allocation as all others */
};

struct snapshot {
	const struct cluster *cluster;
	const char *results;
	struct snapshot_store *stores;
	struct snapshot_value *values;
	size_t value_count;
	char *keys;
	bool vanished;     /* something was gone that had just been listed: look again */
	bool skip_damaged; /* packs that are damaged are counted and left out, else CORRUPT */
	uint64_t damaged;
};

/* `results`: as for area_store_options. */
void snapshot_init(struct snapshot *snap, const struct cluster *c, const char *results);
void snapshot_done(struct snapshot *snap);
/*
 * Look, or look again. TIMEOUT: until `deadline_ns` there was no moment at which nothing changed;
 * with `each_store`: no moment at which nothing in some one store did.
 */
fsha_result snapshot_look(struct snapshot *snap, bool each_store, int64_t deadline_ns,
			  fsha_error *reterr);

#endif
