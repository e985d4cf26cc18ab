/* fsha history: who led when, and how it ended. */
#include <stdio.h>
#include <string.h>

#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"
#include "src/cli/commands.h"

struct arguments {
	struct cli_options *options;
	const char *election;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha history");
	case ARGP_KEY_ARG:
		if (a->election)
			return cli_options_error("history takes one ELECTION");
		a->election = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		return cli_options_error("history needs an ELECTION");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.parser = parse,
	.args_doc = "ELECTION",
	.doc = "The terms of an election, oldest first: who led when, and how it ended.",
	.children = cli_options_children,
};

static json_t *wall_json(int64_t wall_ns)
{
	return wall_ns ? json_integer(wall_ns) : json_null();
}

static json_t *term_json(const fsha_term_history *t)
{
	return json_pack("{s:I, s:o, s:o, s:o, s:i, s:o, s:o, s:s}", "epoch", (json_int_t)t->epoch,
			 "session", cli_output_uuid(&t->session), "member",
			 cli_output_uuid(&t->member), "host", cli_output_text(t->host), "pid",
			 (int)t->pid, "granted_wall_ns", wall_json(t->granted_wall_ns),
			 "ended_wall_ns", wall_json(t->ended_wall_ns), "end", t->end);
}

/* The last term runs, or nobody knows yet how it ended; of others that is known or lost. */
static json_t *term_row(const fsha_term_history *t, bool last)
{
	char epoch[24], session[FSHA_UUID_TEXT], at[300] = "-", granted[CLI_TIME_SIZE];
	char ended[CLI_TIME_SIZE];

	(void)snprintf(epoch, sizeof(epoch), "%llu", (unsigned long long)t->epoch);
	if (t->pid)
		(void)snprintf(at, sizeof(at), "%s:%d", t->host, (int)t->pid);
	fsha_uuid_format(&t->session, session);
	session[8] = '\0';
	return json_pack("[s s s s s o]", epoch, session,
			 cli_output_time(t->granted_wall_ns, granted),
			 cli_output_time(t->ended_wall_ns, ended),
			 t->end[0] ? t->end :
			 last      ? "-" :
				     "not recorded",
			 cli_output_text(at));
}

static void print_terms(const struct arguments *a, const fsha_term_history *terms, size_t count)
{
	json_t *list = json_array();

	if (a->options->json) {
		for (size_t i = 0; i < count; i++)
			json_array_append_new(list, term_json(&terms[i]));
		cli_output_json(json_pack("{s:o, s:o}", "election", cli_output_text(a->election),
					  "terms", list));
		return;
	}
	json_array_append_new(list, json_pack("[s s s s s s]", "EPOCH", "SESSION", "GRANTED",
					      "ENDED", "HOW", "HOST:PID"));
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, term_row(&terms[i], i + 1 == count));
	cli_output_table(list);
}

int history_main(int argc, char **argv, struct cli_options *options)
{
	struct arguments a = { .options = options };
	fsha_error error = FSHA_ERROR_INIT;
	fsha_term_history *terms;
	fsha_services *services;
	fsha_result result;
	size_t count;

	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &a) != 0)
		return CLI_EXIT_USAGE;
	if (cli_options_open(options, FSHA_SERVICES_NO_CREATE, &services, &error) != FSHA_OK)
		return cli_error_print(&error, options->json);
	result = fsha_history_read(services, a.election, &terms, &count, &error);
	if (result == FSHA_OK) {
		print_terms(&a, terms, count);
		fsha_free(terms);
	}
	(void)fsha_services_close(services, NULL); /* it only read */
	return result == FSHA_OK ? cli_output_end() : cli_error_print(&error, options->json);
}
