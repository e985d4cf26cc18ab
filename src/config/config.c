#include "src/config/config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/config/file.h"
#include "src/config/keys.h"
#include "src/result/error.h"

#define ORIGIN_MAX 255 /* bytes of the origin that a program gives */

fsha_config *config_create_with(const struct fsu *fs)
{
	fsha_config *config;

	config = fsu_alloc(fs, sizeof(*config));
	if (!config)
		return NULL;

	config_entries_init(&config->entries, fs);
	return config;
}

fsha_config *fsha_config_create(void)
{
	return config_create_with(&fsu_posix);
}

void fsha_config_destroy(fsha_config *config)
{
	const struct fsu *fs;

	if (!config)
		return;
	fs = config->entries.fs;
	config_entries_done(&config->entries);
	fsu_release(fs, config);
}

fsha_config *config_copy(const struct fsu *fs, const fsha_config *config)
{
	fsha_config *copy;

	copy = config_create_with(fs);
	if (!copy)
		return NULL;

	for (size_t i = 0; i < config->entries.count; i++) {
		if (config_entries_put(&copy->entries, config->entries.items[i]) < 0) {
			fsha_config_destroy(copy);
			return NULL;
		}
	}
	assert(copy->entries.count == config->entries.count);
	return copy;
}

/* ---- The sources. ---- */

fsha_result fsha_config_load_file(fsha_config *config, const char *path, fsha_error *reterr)
{
	struct config_entries entries;
	fsha_result result;
	int r;

	if (!config || !path)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot read a configuration: %s is NULL",
				 config ? "path" : "config");

	config_entries_init(&entries, config->entries.fs);
	result = config_file_read(config->entries.fs, path, &entries, reterr);
	if (result == FSHA_OK &&
	    config_entries_merged_count(&config->entries, &entries) > FSHA_CONFIG_ENTRIES_MAX)
		result =
			error_set(reterr, FSHA_E_CONFIG, 0, "configure",
				  "cannot add the configuration '%s': more than %d settings in all",
				  config_tail(path), FSHA_CONFIG_ENTRIES_MAX);
	if (result == FSHA_OK) {
		r = config_entries_merge(&config->entries, &entries);
		if (r < 0)
			result = error_os(reterr, r, "configure", "cannot add '%s'",
					  config_tail(path));
	}
	config_entries_done(&entries);
	return result;
}

/* An empty variable counts as none: a shell cannot always unset one. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] ? value : NULL;
}

/*
 * A value may be too long here, since only NOMEM may fail; whoever uses it says so. The short form
 * wins, because that is what a leader gives its children: they must not end up in another cluster
 * than it by a long form that both have inherited.
 */
static int load_variable(struct config_entries *entries, const fsha_config_option *option)
{
	char long_name[FSHA_CONFIG_VARIABLE_SIZE], origin[FSHA_CONFIG_VARIABLE_SIZE + 16];
	const char *name = option->short_variable, *value;

	value = name ? variable(name) : NULL;
	if (!value) {
		config_option_variable(option->key, long_name);
		name = long_name;
		value = variable(name);
	}
	if (!value)
		return 0;

	(void)snprintf(origin, sizeof(origin), "environment %s", name);
	return config_entries_put(entries, &(struct config_entry){ .source = CONFIG_ENVIRONMENT,
								   .key = option->key,
								   .value = value,
								   .origin = origin });
}

fsha_result fsha_config_load_environment(fsha_config *config, fsha_error *reterr)
{
	struct config_entries entries;
	int r = 0;

	if (!config)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot read the environment: config is NULL");

	config_entries_init(&entries, config->entries.fs);
	for (size_t i = 0; i < config_option_count && r == 0; i++)
		r = load_variable(&entries, &config_options[i]);
	if (r == 0)
		r = config_entries_merge(&config->entries, &entries);
	config_entries_done(&entries);
	if (r < 0)
		return error_os(reterr, r, "configure", "cannot read the environment");
	return FSHA_OK;
}

fsha_result fsha_config_set(fsha_config *config, const char *key, const char *value,
			    fsha_error *reterr)
{
	return fsha_config_set_from(config, key, value, CONFIG_ORIGIN_PROGRAM, reterr);
}

fsha_result fsha_config_set_from(fsha_config *config, const char *key, const char *value,
				 const char *origin, fsha_error *reterr)
{
	char quoted[CONFIG_QUOTE_SIZE];
	int r;

	if (!config || !key || !value || !origin)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot set a key: an argument is NULL");
	if (!origin[0] || strlen(origin) > ORIGIN_MAX)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot set a key: its origin is not of 1 to %d bytes",
				 ORIGIN_MAX);
	if (!key[0])
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot set a key: it is empty");
	config_quote(key, quoted);
	if (strlen(key) > CONFIG_KEY_MAX)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot set '%s': the key is longer than %d bytes", quoted,
				 CONFIG_KEY_MAX);
	if (strlen(value) > FSHA_CONFIG_VALUE_MAX)
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot set '%s': the value is longer than %d bytes", quoted,
				 FSHA_CONFIG_VALUE_MAX);
	if (config->entries.count >= FSHA_CONFIG_ENTRIES_MAX &&
	    !config_entries_in(&config->entries, key, CONFIG_PROGRAM))
		return error_set(reterr, FSHA_E_INVALID, 0, "configure",
				 "cannot set '%s': more than %d settings", quoted,
				 FSHA_CONFIG_ENTRIES_MAX);

	r = config_entries_put(&config->entries, &(struct config_entry){ .source = CONFIG_PROGRAM,
									 .key = key,
									 .value = value,
									 .origin = origin });
	if (r < 0)
		return error_os(reterr, r, "configure", "cannot set '%s'", quoted);
	return FSHA_OK;
}

/* ---- Looking up. ---- */

const struct config_entry *config_find(const fsha_config *config, const char *key)
{
	const fsha_config_option *option = config_option_find(key);
	const struct config_entry *entry;

	entry = config_entries_find(&config->entries, key);
	for (size_t i = 0; !entry && option && i < FSHA_CONFIG_OLD_KEYS && option->old_keys[i]; i++)
		entry = config_entries_find(&config->entries, option->old_keys[i]);
	return entry;
}

const char *fsha_config_get(const fsha_config *config, const char *key, const char **ret_origin)
{
	const fsha_config_option *option;
	const struct config_entry *entry;

	if (!config || !key)
		return NULL;
	entry = config_find(config, key);
	option = config_option_find(key);
	if (ret_origin)
		*ret_origin = entry ? entry->origin : "default";
	if (entry)
		return entry->value;
	return option ? option->fallback : NULL;
}
