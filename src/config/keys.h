/* The keys that mean something to the library, and looking them up. */
#ifndef SRC_CONFIG_KEYS_H
#define SRC_CONFIG_KEYS_H

#include "fsha/config.h"
#include "src/config/entries.h"

#define CONFIG_OLD_KEYS 2

struct config_key {
	const char *key;
	const char *short_variable; /* of the environment, besides FSHA_<KEY>; or NULL */
	const char *fallback;       /* its default, or NULL */
	const char *old_keys[CONFIG_OLD_KEYS];
};

struct fsha_config {
	struct config_entries entries; /* and the table that everything came from */
};

/* The entry that counts for a key, by its present or an old name. NULL: the default counts. */
const struct config_entry *config_find(const fsha_config *config, const char *key);

#endif
