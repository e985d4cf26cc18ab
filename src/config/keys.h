/* The keys that mean something to the library, and looking them up. */
#ifndef SRC_CONFIG_KEYS_H
#define SRC_CONFIG_KEYS_H

#include <stdbool.h>

#include "fsha/config.h"
#include "src/config/entries.h"

struct fsha_config {
	struct config_entries entries; /* and the table that everything came from */
};

/* Every option, with its old names and its default: one table for everything that asks. */
extern const fsha_config_option config_options[];
extern const size_t config_option_count;

/* The option of that present name, or NULL. */
const fsha_config_option *config_option_find(const char *key);
/* The same, by a present or an old name; `*ret_old` tells which. */
const fsha_config_option *config_option_find_any(const char *key, bool *ret_old);
/* FSHA_ and the key in upper case with _ for every other character. */
void config_option_variable(const char *key, char *ret_name);

/* The entry that counts for a key, by its present or an old name. NULL: the default counts. */
const struct config_entry *config_find(const fsha_config *config, const char *key);

#endif
