/*
 * The options that every command takes, before its name or after it: where the cluster is, and how
 * to print. They stand for settings: command line before environment before file, as fsha/config.h
 * says.
 */
#ifndef SRC_CLI_OPTIONS_H
#define SRC_CLI_OPTIONS_H

#include <argp.h>
#include <stdbool.h>

#include "fsha/fsha.h"

#define CLI_DEFINES_MAX 64

struct cli_options {
	const char *storage_dir;
	const char *cluster_id;
	const char *config_file;
	const char *lease;
	const char *name;                     /* of the command, for --help */
	char **line;                          /* all of it, and the command in it, ... */
	char *command;                        /* ... for one that is a program of its own */
	const char *defines[CLI_DEFINES_MAX]; /* "KEY=VALUE" of -D */
	size_t define_count;
	bool json;
	bool verbose;
};

/* A child of each command's parser; its input is a struct cli_options. */
extern const struct argp cli_options_argp;
extern const struct argp_child cli_options_children[];

/*
 * What a command's parser answers at ARGP_KEY_INIT: hands `options` to the child and keeps argp
 * from printing and exiting by itself. `name` is what --help calls it: "fsha job put".
 */
error_t cli_options_init(struct argp_state *state, struct cli_options *options, const char *name);
/* A usage error inside a parser: prints "fsha: ..." and returns what ends the parsing. */
error_t cli_options_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A time in seconds with a fraction, such as "1.5", of at most a day. */
error_t cli_options_seconds(const char *option, const char *text, int64_t *ret_ns);
/* A whole number from 1 to UINT32_MAX. */
error_t cli_options_number(const char *option, const char *text, uint32_t *ret_number);

/* The settings from everywhere. Destroy it with fsha_config_destroy. */
fsha_result cli_options_settings(const struct cli_options *options, fsha_config **ret_config,
				 fsha_error *reterr);
/* The same, and it is an error when nothing says where the cluster is, or it is in no directory. */
fsha_result cli_options_config(const struct cli_options *options, fsha_config **ret_config,
			       fsha_error *reterr);
/* Settings and services in one, for commands that need no settings of their own. */
fsha_result cli_options_open(const struct cli_options *options, uint32_t flags,
			     fsha_services **ret_services, fsha_error *reterr);
/* The same with settings that are there already. */
fsha_result cli_options_open_with(const struct cli_options *options, const fsha_config *config,
				  uint32_t flags, fsha_services **ret_services, fsha_error *reterr);

#endif
