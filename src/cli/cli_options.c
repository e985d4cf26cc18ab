#include "src/cli/cli_options.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"

#define SECONDS_MAX 86400
#define COMMAND_LINE "command line" /* where such settings are from */

enum {
	KEY_JSON = 0x100,
	KEY_LEASE,
};

static const struct argp_option fields[] = {
	{ NULL, 0, NULL, 0, "Storage, and how to print:", 1 },
	{ "storage-dir", 'd', "DIR", 0, "the shared directory", 1 },
	{ "cluster-id", 'c', "ID", 0, "whose data below it (/default)", 1 },
	{ "config", 'f', "FILE", 0, "a configuration file of Flink's, or its directory", 1 },
	{ "lease", KEY_LEASE, "DURATION", 0, "the cluster's lease, such as '10 s'", 1 },
	{ NULL, 'D', "KEY=VALUE", 0, "any setting, see fsha-config(5)", 1 },
	{ "json", KEY_JSON, NULL, 0, "print JSON", 1 },
	{ "verbose", 'v', NULL, 0, "tell on stderr what happens", 1 },
	{ "help", 'h', NULL, 0, "this text", -1 },
	{ "version", 'V', NULL, 0, "print the version", -1 },
	{ 0 },
};

static error_t add_define(struct cli_options *options, const char *arg)
{
	const char *equals = strchr(arg, '=');

	if (!equals || equals == arg)
		return cli_options_error("-D '%.100s' is no setting: write -D KEY=VALUE", arg);
	if (options->define_count == CLI_DEFINES_MAX)
		return cli_options_error("more than %d settings with -D", CLI_DEFINES_MAX);
	options->defines[options->define_count++] = arg;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct cli_options *options = state->input;

	switch (key) {
	case 'd':
		options->storage_dir = arg;
		return 0;
	case 'c':
		options->cluster_id = arg;
		return 0;
	case 'f':
		options->config_file = arg;
		return 0;
	case KEY_LEASE:
		options->lease = arg;
		return 0;
	case 'D':
		return add_define(options, arg);
	case KEY_JSON:
		options->json = true;
		return 0;
	case 'v':
		options->verbose = true;
		return 0;
	case 'h':
		state->name = (char *)(uintptr_t)options->name;     /* argp only reads it */
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP); /* exits with 0 */
		return 0;
	case 'V':
		printf("fsha %s\n", fsha_library_version());
		exit(cli_output_end());
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp cli_options_argp = { .options = fields, .parser = parse };
const struct argp_child cli_options_children[] = { { &cli_options_argp, 0, NULL, 1 }, { 0 } };

error_t cli_options_init(struct argp_state *state, struct cli_options *options, const char *name)
{
	state->child_inputs[0] = options;
	options->name = name;
	/*
	 * getopt says in one line what is wrong; argp would add another and exit with its own code.
	 */
	state->err_stream = NULL;
	return 0;
}

error_t cli_options_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	cli_error_usage(format, args);
	va_end(args);
	return EINVAL;
}

error_t cli_options_seconds(const char *option, const char *text, int64_t *ret_ns)
{
	double seconds;
	char *end;

	errno = 0;
	seconds = strtod(text, &end);
	if (errno || end == text || *end || !isfinite(seconds) || seconds < 0 ||
	    seconds > SECONDS_MAX)
		return cli_options_error("%s '%s' is no number of seconds from 0 to %d", option,
					 text, SECONDS_MAX);
	*ret_ns = (int64_t)(seconds * 1e9);
	return 0;
}

error_t cli_options_number(const char *option, const char *text, uint32_t *ret_number)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || number < 1 || number > UINT32_MAX)
		return cli_options_error("%s '%s' is no number from 1 to %lu", option, text,
					 (unsigned long)UINT32_MAX);
	*ret_number = (uint32_t)number;
	return 0;
}

/* A directory that was typed may be relative; settings want it from the root. */
static fsha_result set_storage_dir(fsha_config *config, const char *dir, fsha_error *reterr)
{
	char here[PATH_MAX], path[PATH_MAX + FSHA_CONFIG_VALUE_MAX + 2];

	if (dir[0] == '/' || dir[0] == '\0' || strncmp(dir, "file:", 5) == 0)
		return fsha_config_set_from(config, FSHA_KEY_STORAGE_DIR, dir, COMMAND_LINE,
					    reterr);
	if (strlen(dir) > FSHA_CONFIG_VALUE_MAX || !getcwd(here, sizeof(here)))
		return cli_error_set(reterr, FSHA_E_CONFIG, errno,
				     "cannot use --storage-dir: it is relative, and the working "
				     "directory cannot be told, or it is too long");
	(void)snprintf(path, sizeof(path), "%s/%s", here, dir);
	return fsha_config_set_from(config, FSHA_KEY_STORAGE_DIR, path, COMMAND_LINE, reterr);
}

static fsha_result set_defines(const struct cli_options *o, fsha_config *config, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;

	for (size_t i = 0; i < o->define_count && result == FSHA_OK; i++) {
		const char *equals = strchr(o->defines[i], '=');
		char *key = strndup(o->defines[i], (size_t)(equals - o->defines[i]));

		if (!key)
			return cli_error_set(reterr, FSHA_E_NOMEM, ENOMEM, "out of memory");
		result = fsha_config_set_from(config, key, equals + 1, COMMAND_LINE, reterr);
		free(key);
	}
	return result;
}

static fsha_result fill(const struct cli_options *o, fsha_config *config, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;

	if (o->config_file)
		result = fsha_config_load_file(config, o->config_file, reterr);
	/* A file that is not there is a wrong setting, not a missing record. */
	if (result == FSHA_E_NOT_FOUND || result == FSHA_E_IO) {
		result = FSHA_E_CONFIG;
		reterr->result = result;
	}
	if (result == FSHA_OK)
		result = fsha_config_load_environment(config, reterr);
	if (result == FSHA_OK)
		result = set_defines(o, config, reterr);
	if (result == FSHA_OK && o->storage_dir)
		result = set_storage_dir(config, o->storage_dir, reterr);
	if (result == FSHA_OK && o->cluster_id)
		result = fsha_config_set_from(config, FSHA_KEY_CLUSTER_ID, o->cluster_id,
					      COMMAND_LINE, reterr);
	if (result == FSHA_OK && o->lease)
		result = fsha_config_set_from(config, FSHA_KEY_LEASE, o->lease, COMMAND_LINE,
					      reterr);
	return result;
}

fsha_result cli_options_settings(const struct cli_options *options, fsha_config **ret_config,
				 fsha_error *reterr)
{
	fsha_config *config = fsha_config_create();
	fsha_result result;

	if (!config)
		return cli_error_set(reterr, FSHA_E_NOMEM, ENOMEM, "out of memory");
	result = fill(options, config, reterr);
	if (result != FSHA_OK) {
		fsha_config_destroy(config);
		return result;
	}
	*ret_config = config;
	return FSHA_OK;
}

/*
 * In memory of its own a command has nothing to see, and everybody would lead. What is wrong with
 * other settings is told by whoever opens the cluster, or looks at one that cannot be opened.
 */
static fsha_result check_type(const fsha_config *config, fsha_error *reterr)
{
	fsha_ha_storage_configuration storage;
	const char *type = fsha_config_get(config, FSHA_KEY_TYPE, NULL);

	if (fsha_config_get_ha_storage(config, &storage, NULL) != FSHA_OK ||
	    strcmp(storage.storage_type, "standalone") != 0)
		return FSHA_OK;
	return cli_error_set(reterr, FSHA_E_CONFIG, 0,
			     "%s is '%.60s': such a cluster is in the memory of its process, and a "
			     "command cannot see it",
			     FSHA_KEY_TYPE, type ? type : "");
}

fsha_result cli_options_config(const struct cli_options *options, fsha_config **ret_config,
			       fsha_error *reterr)
{
	fsha_config *config = NULL;
	fsha_result result = cli_options_settings(options, &config, reterr);

	if (result != FSHA_OK)
		return result;
	if (!fsha_config_get(config, FSHA_KEY_STORAGE_DIR, NULL) &&
	    !fsha_config_get(config, FSHA_KEY_TYPE, NULL)) {
		fsha_config_destroy(config);
		return cli_error_set(reterr, FSHA_E_CONFIG, 0,
				     "no storage directory is given: use --storage-dir DIR, "
				     "FSHA_STORAGE_DIR or --config FILE");
	}
	result = check_type(config, reterr);
	if (result != FSHA_OK) {
		fsha_config_destroy(config);
		return result;
	}
	*ret_config = config;
	return FSHA_OK;
}

static void log_event(void *ctx, int level, const char *event, const char *details)
{
	(void)ctx;
	if (level > FSHA_LOG_DEBUG)
		fprintf(stderr, "fsha: %s %s\n", event, details);
}

fsha_result cli_options_open_with(const struct cli_options *options, const fsha_config *config,
				  uint32_t flags, fsha_services **ret_services, fsha_error *reterr)
{
	fsha_services_options services_options = FSHA_SERVICES_OPTIONS_INIT;
	services_options.log = options->verbose ? log_event : NULL;
	services_options.flags = flags;
	return fsha_services_open(config, &services_options, ret_services, reterr);
}

fsha_result cli_options_open(const struct cli_options *options, uint32_t flags,
			     fsha_services **ret_services, fsha_error *reterr)
{
	fsha_config *config = NULL;
	fsha_result result;

	result = cli_options_config(options, &config, reterr);
	if (result != FSHA_OK)
		return result;
	result = cli_options_open_with(options, config, flags, ret_services, reterr);
	fsha_config_destroy(config);
	return result;
}
