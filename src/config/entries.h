/*
 * The entries of a configuration, sorted by key and then by source, the strongest first. At most
 * one entry for a key and a source.
 */
#ifndef SRC_CONFIG_ENTRIES_H
#define SRC_CONFIG_ENTRIES_H

#include <stddef.h>

#include "fsutil/fsu_ops.h"

/* The strongest first. */
enum config_source {
	CONFIG_PROGRAM,
	CONFIG_ENVIRONMENT,
	CONFIG_FILE,
};

#define CONFIG_ORIGIN_PROGRAM "set by the program"

/* One allocation: the three texts stand behind it. Never changed once made. */
struct config_entry {
	enum config_source source;
	unsigned line; /* of the file; 0 for the other sources */
	const char *key;
	const char *value;
	const char *origin;
	char text[];
};

struct config_entries {
	const struct fsu *fs;
	struct config_entry **items;
	size_t count, size;
};

void config_entries_init(struct config_entries *entries, const struct fsu *fs);
void config_entries_done(struct config_entries *entries);

/* What is in one source, or NULL. */
const struct config_entry *config_entries_in(const struct config_entries *entries, const char *key,
					     enum config_source source);
/* The strongest entry of a key, or NULL. */
const struct config_entry *config_entries_find(const struct config_entries *entries,
					       const char *key);
/*
 * Add an entry like `like` (its texts are copied), in place of the one of the same key and source.
 * -ENOMEM leaves the set as it was.
 */
int config_entries_put(struct config_entries *entries, const struct config_entry *like);
/*
 * Move all of `from` into `into`, in place of the same keys and sources. -ENOMEM: neither has
 * changed.
 */
int config_entries_merge(struct config_entries *into, struct config_entries *from);
/* How many entries `into` would have after a merge. */
size_t config_entries_merged_count(const struct config_entries *into,
				   const struct config_entries *from);

#endif
