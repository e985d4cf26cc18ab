#include "src/cli/command_line.h"

#include <stdio.h>
#include <stdlib.h>

#include "src/cli/cli_output.h"

static char program[] = "fsha";

struct command_line {
	struct cli_options *options;
	const char *help;
	int command; /* its index in argv; 0: there is none */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct command_line *line = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, line->options, program);
	case 'h':
		fputs(line->help, stdout);
		exit(cli_output_end());
	case ARGP_KEY_ARGS: /* the command and all behind it */
		line->command = state->next;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Comes before the option of the same name in cli_options.c, which shows argp's text. */
static const struct argp_option own_options[] = { { "help", 'h', NULL, 0, "this text", 0 }, { 0 } };

char **command_line_rename(char **argv)
{
	argv[0] = program;
	return argv;
}

int command_line_parse(int argc, char **argv, const char *help, struct cli_options *options)
{
	const struct argp argp = { .options = own_options,
				   .parser = parse,
				   .children = cli_options_children };
	struct command_line line = { .options = options, .help = help };

	if (argc < 1)
		return -1;
	/* However it was started; an error is one line, which begins so. */
	(void)command_line_rename(argv);
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER | ARGP_NO_HELP, NULL, &line) != 0)
		return -1;
	if (!line.command) {
		(void)cli_options_error("no command is given: 'fsha --help' lists them");
		return -1;
	}
	options->line = argv;
	options->command = argv[line.command];
	return line.command;
}
