/* fsha gc: take away what is useless. */
#include <stdio.h>

#include "src/cli/cli_actions.h"
#include "src/cli/cli_error.h"
#include "src/cli/commands.h"

struct arguments {
	struct cli_options *options;
	fsha_gc_options gc;
};

enum {
	KEY_WATCH = 0x200,
	KEY_RETIRE,
	KEY_UNKNOWN_JOBS
};

static const struct argp_option fields[] = {
	{ "dry-run", 'n', NULL, 0, "tell what would be done, and do nothing", 0 },
	{ "watch", KEY_WATCH, NULL, 0,
	  "watch for ten leases, to tell who is dead from who is slow where no lock tells, and "
	  "what "
	  "is left of a job from what is to become one",
	  0 },
	{ "retire", KEY_RETIRE, NULL, 0,
	  "remove the elections of jobs that are gone; only while the cluster has no member", 0 },
	{ "unknown-jobs", KEY_UNKNOWN_JOBS, NULL, 0,
	  "remove blobs also of jobs that nothing tells of; only while nobody is about to submit "
	  "one",
	  0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha gc");
	case 'n':
		a->gc.flags |= FSHA_GC_DRY_RUN;
		return 0;
	case KEY_WATCH:
		a->gc.flags |= FSHA_GC_WATCH;
		return 0;
	case KEY_RETIRE:
		a->gc.flags |= FSHA_GC_RETIRE;
		return 0;
	case KEY_UNKNOWN_JOBS:
		a->gc.flags |= FSHA_GC_UNKNOWN_JOBS;
		return 0;
	case ARGP_KEY_ARG:
		return cli_options_error("gc takes no argument: '%.100s'", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = fields,
	.parser = parse,
	.doc = "Take away what is useless: directories of dead members, half-built directories, "
	       "old "
	       "versions, trash, blobs of jobs that are gone. The leaders do the same in the "
	       "background, so it is needed only for clusters at rest."
	       "\vWhat an election's leader has to do is done in a short term of office, and left "
	       "to the leader where there is one. A job is gone when it has no graph, no running "
	       "entry and no dirty result. Since blobs come before the graph, those of a job that "
	       "is about to be submitted look the same; so with --watch they are removed when "
	       "nothing in their directory has changed for ten leases and the job ran here and has "
	       "ended, and with --unknown-jobs also those of jobs that nothing tells of, at once: "
	       "look at --dry-run first. Exit code 0 when all that could be done was.",
	.children = cli_options_children,
};

int gc_main(int argc, char **argv, struct cli_options *options)
{
	fsha_maintenance_summary summary = FSHA_MAINTENANCE_SUMMARY_INIT;
	struct arguments a = { .options = options, .gc = FSHA_GC_OPTIONS_INIT };
	fsha_error error = FSHA_ERROR_INIT;
	struct cli_actions actions;
	fsha_services *services;
	fsha_result result;

	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &a) != 0)
		return CLI_EXIT_USAGE;
	if (cli_options_open(options, FSHA_SERVICES_NO_CREATE, &services, &error) != FSHA_OK)
		return cli_error_print(&error, options->json);
	cli_actions_init(&actions, options->json);
	result = fsha_gc(services, &a.gc, cli_actions_take, &actions, &summary, &error);
	(void)fsha_services_close(services, NULL); /* what was done is done */
	return cli_actions_end(&actions, &summary, result, &error);
}
