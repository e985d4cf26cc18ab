/* fsha config: the settings as every other command would see them, where each comes from, and what
 * is wrong with them. Touches no storage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"
#include "src/cli/commands.h"

#define CELL_MAX 200 /* bytes of a value in the table; --json has all of it */

struct arguments {
	struct cli_options *options;
	bool all;
};

enum {
	KEY_ALL = 0x200
};

static const struct argp_option fields[] = {
	{ "all", KEY_ALL, NULL, 0,
	  "also the keys of Flink's that do not apply here, with what to use instead", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha config");
	case KEY_ALL:
		a->all = true;
		return 0;
	case ARGP_KEY_ARG:
		return cli_options_error("'config' takes no argument");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = fields,
	.parser = parse,
	.doc = "The settings in effect, and where each comes from: the command line, an "
	       "environment "
	       "variable, a line of a file, or the default."
	       "\vWhat is unknown, old, without effect or wrong is told on stderr; the exit code "
	       "is "
	       "121 when "
	       "the other commands would refuse the settings. fsha-config(5) explains the keys.",
	.children = cli_options_children,
};

/* ---- Findings ---- */

struct findings {
	json_t *list;
	size_t errors;
};

static const char *const finding_kinds[] = {
	[FSHA_CONFIG_BAD_VALUE] = "bad-value",       [FSHA_CONFIG_UNKNOWN] = "unknown",
	[FSHA_CONFIG_NOT_APPLYING] = "not-applying", [FSHA_CONFIG_OLD_NAME] = "old-name",
	[FSHA_CONFIG_SHADOWED] = "shadowed",         [FSHA_CONFIG_CORRECTED] = "corrected",
};

static void add_finding(struct findings *f, int kind, bool is_error, const char *key,
			const char *origin, const char *message)
{
	char clean[FSHA_MESSAGE_SIZE];

	cli_output_clean(message, clean, sizeof(clean));
	fprintf(stderr, "fsha: %s%s\n", is_error ? "" : "warning: ", clean);
	if (is_error)
		f->errors++;
	json_array_append_new(f->list, json_pack("{s:s, s:s, s:o, s:o, s:o}", "level",
						 is_error ? "error" : "warning", "kind",
						 finding_kinds[kind], "key", cli_output_text(key),
						 "origin", cli_output_text(origin), "message",
						 cli_output_text(message)));
}

static int visit(void *ctx, const fsha_config_finding *finding)
{
	add_finding(ctx, finding->kind, finding->is_error, finding->key, finding->origin,
		    finding->message);
	return 0;
}

/* The same letters when underscores do not count: FSHA_..._STORAGE_DIR and FSHA_..._STORAGEDIR. */
static bool is_nearly(const char *a, const char *b)
{
	for (;;) {
		while (*a == '_')
			a++;
		while (*b == '_')
			b++;
		if (*a != *b || !*a)
			return *a == *b;
		a++;
		b++;
	}
}

static void check_variable(struct findings *f, const char *name)
{
	char known[FSHA_CONFIG_VARIABLE_SIZE], message[FSHA_MESSAGE_SIZE];
	const char *meant = NULL;
	size_t count;
	const fsha_config_option *options = fsha_config_options(&count);

	for (size_t i = 0; i < count && !meant; i++) {
		(void)fsha_config_option_variable(&options[i], known);
		if (strcmp(known, name) == 0)
			return;
		if (is_nearly(known, name))
			meant = known;
	}
	(void)snprintf(message, sizeof(message),
		       "the environment variable %s belongs to no key, and has no effect%s%s%s",
		       name, meant ? ": did you mean " : "", meant ? meant : "", meant ? "?" : "");
	add_finding(f, FSHA_CONFIG_UNKNOWN, false, name, "environment", message);
}

/* Variables that look like ours. Those of `fsha run` begin otherwise. */
static void check_environment(struct findings *f)
{
	static const char *const beginnings[] = { "FSHA_HIGH_AVAILABILITY", "FSHA_CLEANUP_STRATEGY",
						  "FSHA_JOB_RESULT_STORE" };
	char name[FSHA_CONFIG_VARIABLE_SIZE];

	for (char **variable = environ; *variable; variable++) {
		size_t len = strcspn(*variable, "=");

		if (len >= sizeof(name) || !(*variable)[len] || !(*variable)[len + 1])
			continue;
		memcpy(name, *variable, len);
		name[len] = '\0';
		for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
			if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
				check_variable(f, name);
	}
}

/* ---- Settings ---- */

static void add_row(json_t *rows, const fsha_config_option *option, const char *value,
		    const char *origin)
{
	char cell[CELL_MAX + 4];

	(void)snprintf(cell, sizeof(cell), "%.*s%s", CELL_MAX, value ? value : "-",
		       value && strlen(value) > CELL_MAX ? "..." : "");
	json_array_append_new(rows, json_pack("[s, o, o]", option->key, cli_output_text(cell),
					      option->instead ? json_sprintf("does not apply: %s",
									     option->instead) :
								cli_output_text(origin)));
}

static json_t *old_keys(const fsha_config_option *option)
{
	json_t *list = json_array();

	for (size_t i = 0; i < FSHA_CONFIG_OLD_KEYS && option->old_keys[i]; i++)
		json_array_append_new(list, json_string(option->old_keys[i]));
	return list;
}

static void add_object(json_t *list, const fsha_config_option *option, const char *value,
		       const char *origin)
{
	char variable[FSHA_CONFIG_VARIABLE_SIZE];

	json_array_append_new(
		list, json_pack("{s:s, s:o, s:o, s:s, s:s?, s:o, s:s, s:s, s:b, s:s?}", "key",
				option->key, "value", value ? cli_output_text(value) : json_null(),
				"origin", value ? cli_output_text(origin) : json_null(), "kind",
				fsha_config_kind_text(option->kind), "default", option->fallback,
				"old_keys", old_keys(option), "variable",
				fsha_config_option_variable(option, variable), "description",
				option->description, "applies", option->instead ? 0 : 1, "instead",
				option->instead));
}

static json_t *settings(const struct arguments *a, const fsha_config *config)
{
	json_t *list = json_array();
	size_t count;
	const fsha_config_option *options = fsha_config_options(&count);

	if (!a->options->json)
		json_array_append_new(list, json_pack("[s, s, s]", "KEY", "VALUE", "FROM"));
	for (size_t i = 0; i < count; i++) {
		const char *origin = "", *value;

		if (options[i].instead && !a->all)
			continue;
		value = fsha_config_get(config, options[i].key, &origin);
		if (!value)
			origin = "not set";
		if (a->options->json)
			add_object(list, &options[i], value, origin);
		else
			add_row(list, &options[i], value, origin);
	}
	return list;
}

int config_main(int argc, char **argv, struct cli_options *options)
{
	struct arguments a = { .options = options };
	struct findings f = { .errors = 0 };
	fsha_error error = FSHA_ERROR_INIT;
	fsha_config *config = NULL;
	int code;

	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &a) != 0)
		return CLI_EXIT_USAGE;
	if (cli_options_settings(options, &config, &error) != FSHA_OK)
		return cli_error_print(&error, options->json);

	f.list = json_array();
	check_environment(&f);
	(void)fsha_config_check(config, visit, &f, NULL); /* every error was visited */
	if (options->json) {
		cli_output_json(json_pack("{s:o, s:o}", "settings", settings(&a, config),
					  "findings", f.list));
	} else {
		json_decref(f.list);
		cli_output_table(settings(&a, config));
	}
	fsha_config_destroy(config);
	code = cli_output_end();
	return f.errors ? CLI_EXIT_CONFIG : code;
}
