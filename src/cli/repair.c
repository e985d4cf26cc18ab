/* fsha repair: move what is damaged out of the way. */
#include <stdio.h>

#include "src/cli/cli_actions.h"
#include "src/cli/cli_error.h"
#include "src/cli/commands.h"

struct arguments {
	struct cli_options *options;
	fsha_repair_options repair;
};

enum {
	KEY_ACCEPT_OLDER = 0x200,
	KEY_FINISH_REMOVALS
};

static const struct argp_option fields[] = {
	{ "yes", 'y', NULL, 0, "do it; otherwise it is only told what would be done", 0 },
	{ "accept-older", KEY_ACCEPT_OLDER, NULL, 0,
	  "also where an older version of an entry becomes visible by it", 0 },
	{ "finish-removals", KEY_FINISH_REMOVALS, NULL, 0,
	  "end removals that were cut short, without discarding what the entries point to", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha repair");
	case 'y':
		a->repair.flags |= FSHA_REPAIR_APPLY;
		return 0;
	case KEY_ACCEPT_OLDER:
		a->repair.flags |= FSHA_REPAIR_ACCEPT_OLDER;
		return 0;
	case KEY_FINISH_REMOVALS:
		a->repair.flags |= FSHA_REPAIR_FINISH_REMOVALS;
		return 0;
	case ARGP_KEY_ARG:
		return cli_options_error("repair takes no argument: '%.100s'", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = fields,
	.parser = parse,
	.doc = "Move records that verify calls damaged, foreign or ahead of their election to "
	       "quarantine/, where a person may look at them. Tells first what it would do; does "
	       "it "
	       "with --yes. Nothing is deleted. Of a damaged pack what is whole stays. Entries "
	       "whose removal was cut short are told."
	       "\vWhere an older version becomes visible by it, it is left unless "
	       "--accept-older says that this is wanted. Done in a short term of office; 122 "
	       "when somebody leads an election for which there is something to do.",
	.children = cli_options_children,
};

int repair_main(int argc, char **argv, struct cli_options *options)
{
	fsha_maintenance_summary summary = FSHA_MAINTENANCE_SUMMARY_INIT;
	struct arguments a = { .options = options, .repair = FSHA_REPAIR_OPTIONS_INIT };
	fsha_error error = FSHA_ERROR_INIT;
	struct cli_actions actions;
	fsha_services *services;
	fsha_result result;

	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &a) != 0)
		return CLI_EXIT_USAGE;
	if (cli_options_open(options, FSHA_SERVICES_NO_CREATE, &services, &error) != FSHA_OK)
		return cli_error_print(&error, options->json);
	cli_actions_init(&actions, options->json);
	result = fsha_repair(services, &a.repair, cli_actions_take, &actions, &summary, &error);
	(void)fsha_services_close(services, NULL); /* what was done is done */
	return cli_actions_end(&actions, &summary, result, &error);
}
