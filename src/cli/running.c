/* fsha running: which jobs run and which are done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"
#include "src/cli/commands.h"
#include "src/cli/office.h"

struct arguments {
	struct cli_options *options;
	const char *words[3];
	size_t count;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha running");
	case ARGP_KEY_ARG:
		if (a->count == sizeof(a->words) / sizeof(a->words[0]))
			return cli_options_error("too many arguments for 'running %s'",
						 a->words[0]);
		a->words[a->count++] = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.parser = parse,
	.args_doc = "ls\nget ID\nset ID RUNNING|DONE\nrm ID",
	.doc = "The registry of running jobs. ID is 32 hex digits. A job that is not in it is "
	       "PENDING; one that is DONE stays so until rm. ls ends with 126 when a record cannot "
	       "be read, and tells the others all the same."
	       "\vThe leader of 'dispatcher' writes: a command that 'fsha run' started writes "
	       "under that term (123 when it is over); elsewhere set and rm are a short term of "
	       "office, refused with 122 and the leader's name while somebody leads. Reading needs "
	       "no leadership.",
	.children = cli_options_children,
};

static int print_job(const struct arguments *a, const fsha_job_id *id, const char *name,
		     const char *value)
{
	char text[FSHA_HEX_ID_TEXT];

	if (a->options->json)
		cli_output_json_line(
			json_pack("{s:s, s:s}", "job", fsha_job_id_format(id, text), name, value));
	return CLI_EXIT_OK;
}

/* ---- set, rm ---- */

typedef fsha_result change_function(fsha_running_jobs *jobs, const fsha_job_id *id,
				    fsha_error *reterr);

static int change(const struct arguments *a, const fsha_job_id *id, change_function *change_it)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_running_jobs *jobs;
	struct office office;
	fsha_result result;

	result = office_open(&office, a->options, FSHA_ELECTION_DISPATCHER, &error);
	if (result == FSHA_OK) {
		result = fsha_running_jobs_open(office.services, &jobs, &error);
		if (result == FSHA_OK) {
			result = change_it(jobs, id, &error);
			result = office_judge(&office, result, &error);
			fsha_running_jobs_close(jobs);
		}
		office_close(&office);
	}
	return result == FSHA_OK ? print_job(a, id, "done", a->words[0]) :
				   cli_error_print(&error, a->options->json);
}

static int set(const struct arguments *a, const fsha_job_id *id)
{
	int32_t status;

	if (fsha_job_status_parse(a->words[2], &status) != FSHA_OK || status == FSHA_JOB_PENDING) {
		(void)cli_options_error("'%.100s' cannot be set: RUNNING or DONE; 'running rm' "
					"makes a job PENDING",
					a->words[2]);
		return CLI_EXIT_USAGE;
	}
	return change(a, id,
		      status == FSHA_JOB_DONE ? fsha_running_jobs_set_finished :
						fsha_running_jobs_set_running);
}

static int rm(const struct arguments *a, const fsha_job_id *id)
{
	return change(a, id, fsha_running_jobs_clear);
}

/* ---- get, ls ---- */

struct listing {
	const fsha_job_id *id; /* NULL: all */
	int32_t status;
	json_t *jobs, *errors;
};

static int list_one(void *ctx, const fsha_running_job *job)
{
	struct listing *l = ctx;
	char id[FSHA_HEX_ID_TEXT];

	if (job->result != FSHA_OK)
		(void)json_array_append_new(l->errors, cli_output_text(job->error->message));
	else
		(void)json_array_append_new(
			l->jobs, json_pack("{s:s, s:s}", "job", fsha_job_id_format(&job->id, id),
					   "status", fsha_job_status_name(job->status)));
	return 0;
}

static fsha_result look(const struct arguments *a, struct listing *l, fsha_error *reterr)
{
	fsha_running_jobs *jobs;
	struct office office;
	fsha_result result;

	result = office_open_to_read(&office, a->options, reterr);
	if (result != FSHA_OK)
		return result;
	result = fsha_running_jobs_open(office.services, &jobs, reterr);
	if (result == FSHA_OK) {
		if (l->id)
			result = fsha_running_jobs_get_status(jobs, l->id, &l->status, reterr);
		else
			result = fsha_running_jobs_list(jobs, list_one, l, reterr);
		fsha_running_jobs_close(jobs);
	}
	office_close(&office);
	return result;
}

static int get(const struct arguments *a, const fsha_job_id *id)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct listing l = { .id = id };

	if (look(a, &l, &error) != FSHA_OK)
		return cli_error_print(&error, a->options->json);
	(void)print_job(a, id, "status", fsha_job_status_name(l.status));
	if (!a->options->json)
		puts(fsha_job_status_name(l.status));
	return cli_output_end();
}

static void print_list(const json_t *jobs)
{
	json_t *job;
	size_t i;

	json_array_foreach(jobs, i, job)
	{
		printf("%s  %s\n", json_string_value(json_object_get(job, "job")),
		       json_string_value(json_object_get(job, "status")));
	}
}

static int ls(const struct arguments *a, const fsha_job_id *id)
{
	struct listing l = { .jobs = json_array(), .errors = json_array() };
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result;
	int code;

	(void)id;
	result = look(a, &l, &error);
	if (result == FSHA_OK && a->options->json)
		cli_output_json(json_pack("{s:O, s:O}", "jobs", l.jobs, "errors", l.errors));
	else if (result == FSHA_OK)
		print_list(l.jobs);
	code = result == FSHA_OK ? cli_output_end() : cli_error_print(&error, a->options->json);
	json_decref(l.jobs);
	return cli_output_errors(l.errors, code);
}

/* ---- The command ---- */

static const struct action {
	const char *name;
	size_t words;
	const char *needs;
	int (*run)(const struct arguments *a, const fsha_job_id *id);
} actions[] = {
	{ "ls", 1, "", ls },
	{ "get", 2, "an ID", get },
	{ "set", 3, "an ID and RUNNING or DONE", set },
	{ "rm", 2, "an ID", rm },
};

static int usage(const char *format, const char *text)
{
	(void)cli_options_error(format, text);
	return CLI_EXIT_USAGE;
}

int running_main(int argc, char **argv, struct cli_options *options)
{
	struct arguments a = { .options = options };
	const struct action *action = NULL;
	fsha_job_id id = { { 0 } };

	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &a) != 0)
		return CLI_EXIT_USAGE;
	if (a.count == 0)
		return usage("%s", "say what to do: running ls, get, set or rm");
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(a.words[0], actions[i].name) == 0)
			action = &actions[i];
	if (!action)
		return usage("there is no 'running %.100s': ls, get, set or rm", a.words[0]);
	if (a.count < action->words) {
		(void)cli_options_error("'running %s' needs %s", action->name, action->needs);
		return CLI_EXIT_USAGE;
	}
	if (a.count > action->words)
		return usage("too many arguments for 'running %s'", action->name);
	if (action->words > 1 && fsha_job_id_parse(a.words[1], &id) != FSHA_OK)
		return usage("'%.100s' is no job id: 32 hex digits", a.words[1]);
	return action->run(&a, &id);
}
