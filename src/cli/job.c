/* fsha job: the stored job graphs. A graph is bytes; nothing looks into it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"
#include "src/cli/commands.h"
#include "src/cli/job_file.h"
#include "src/cli/office.h"

struct arguments {
	struct cli_options *options;
	const char *words[3];
	size_t count;
};

struct action {
	const char *name;
	size_t words_min, words_max;
	int (*run)(const struct arguments *a, const fsha_job_id *id);
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha job");
	case ARGP_KEY_ARG:
		if (a->count == sizeof(a->words) / sizeof(a->words[0]))
			return cli_options_error("too many arguments for 'job %s'", a->words[0]);
		a->words[a->count++] = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.parser = parse,
	.args_doc = "put ID [FILE|-]\nget ID [FILE|-]\nls\nrm ID",
	.doc = "The stored job graphs. ID is 32 hex digits; without FILE, and for '-', it is "
	       "standard "
	       "input or output. An existing graph is replaced."
	       "\vThe leader of 'dispatcher' writes: a command that 'fsha run' started writes "
	       "under "
	       "that term (123 when it is over); elsewhere put and rm are a short term of office, "
	       "refused with 122 and the leader's name while somebody leads. Reading needs no "
	       "leadership.",
	.children = cli_options_children,
};

static fsha_result open_store(struct office *office, fsha_job_graph_store **ret_store,
			      fsha_error *reterr)
{
	fsha_result result = fsha_job_graph_store_open(office->services, ret_store, reterr);

	if (result != FSHA_OK)
		return result;
	result = fsha_job_graph_store_start(*ret_store, NULL, reterr);
	if (result != FSHA_OK)
		fsha_job_graph_store_close(*ret_store);
	return result;
}

static void print_done(const struct arguments *a, const fsha_job_id *id, const char *what,
		       size_t size)
{
	char text[FSHA_HEX_ID_TEXT];

	if (a->options->json)
		cli_output_json_line(json_pack("{s:s, s:s, s:I}", "job",
					       fsha_job_id_format(id, text), "done", what, "size",
					       (json_int_t)size));
}

/* ---- put ---- */

static fsha_result replace(fsha_job_graph_store *store, const fsha_job_id *id,
			   const struct job_file *graph, fsha_error *reterr)
{
	fsha_result result;
	size_t size;
	void *old;

	/* What is there becomes our own, and may be replaced then. */
	result = fsha_job_graph_store_recover(store, id, &old, &size, reterr);
	if (result == FSHA_OK)
		fsha_free(old);
	else if (result != FSHA_E_NOT_FOUND)
		return result;
	return fsha_job_graph_store_put(store, id, graph->data, graph->size, reterr);
}

static int put(const struct arguments *a, const fsha_job_id *id)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_job_graph_store *store;
	struct job_file graph;
	struct office office;
	fsha_result result;

	/*
	 * All of it before anything is opened: whoever feeds us may take long, and a term is short.
	 */
	result = job_file_read(&graph, a->words[2], &error);
	if (result != FSHA_OK)
		return cli_error_print(&error, a->options->json);
	result = office_open(&office, a->options, FSHA_ELECTION_DISPATCHER, &error);
	if (result == FSHA_OK) {
		result = open_store(&office, &store, &error);
		if (result == FSHA_OK) {
			result = replace(store, id, &graph, &error);
			result = office_judge(&office, result, &error);
			fsha_job_graph_store_close(store);
		}
		office_close(&office);
	}
	if (result == FSHA_OK)
		print_done(a, id, "put", graph.size);
	job_file_done(&graph);
	return result == FSHA_OK ? CLI_EXIT_OK : cli_error_print(&error, a->options->json);
}

/* ---- get ---- */

static fsha_result hand_over(const struct arguments *a, const fsha_job_id *id,
			     const struct job_file *graph, fsha_error *reterr)
{
	const char *path = a->words[2];
	bool to_stdout = !path || strcmp(path, "-") == 0;

	if (a->options->json && to_stdout) {
		char text[FSHA_HEX_ID_TEXT];

		cli_output_json(json_pack("{s:s, s:I, s:o}", "job", fsha_job_id_format(id, text),
					  "size", (json_int_t)graph->size, "graph",
					  job_file_json(graph)));
		return FSHA_OK;
	}
	if (to_stdout) {
		(void)fwrite(graph->data, 1, graph->size, stdout); /* main's end checks it */
		return FSHA_OK;
	}
	return job_file_write(graph, path, reterr);
}

static int get(const struct arguments *a, const fsha_job_id *id)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct job_file graph = { .data = NULL };
	fsha_job_graph_store *store;
	struct office office;
	fsha_result result;

	result = office_open_to_read(&office, a->options, &error);
	if (result != FSHA_OK)
		return cli_error_print(&error, a->options->json);
	result = open_store(&office, &store, &error);
	if (result == FSHA_OK) {
		result = fsha_job_graph_store_recover(store, id, &graph.data, &graph.size, &error);
		fsha_job_graph_store_close(store);
	}
	office_close(&office);
	if (result == FSHA_OK) {
		result = hand_over(a, id, &graph, &error);
		if (result == FSHA_OK && a->words[2] && strcmp(a->words[2], "-") != 0)
			print_done(a, id, "get", graph.size);
		fsha_free(graph.data);
	}
	return result == FSHA_OK ? cli_output_end() : cli_error_print(&error, a->options->json);
}

/* ---- ls, rm ---- */

static void print_ids(const struct arguments *a, const fsha_job_id *ids, size_t count,
		      size_t skipped)
{
	char text[FSHA_HEX_ID_TEXT];
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		fsha_job_id_format(&ids[i], text);
		if (a->options->json)
			json_array_append_new(list, json_string(text));
		else
			puts(text);
	}
	if (a->options->json)
		cli_output_json(
			json_pack("{s:o, s:I}", "jobs", list, "skipped", (json_int_t)skipped));
	else
		json_decref(list);
	if (skipped)
		fprintf(stderr, "fsha: %zu names in the store are no job ids\n", skipped);
}

static int ls(const struct arguments *a, const fsha_job_id *id)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_job_graph_store *store;
	size_t count, skipped;
	struct office office;
	fsha_result result;
	fsha_job_id *ids;

	(void)id;
	result = office_open_to_read(&office, a->options, &error);
	if (result != FSHA_OK)
		return cli_error_print(&error, a->options->json);
	result = fsha_job_graph_store_open(office.services, &store, &error);
	if (result == FSHA_OK) {
		result = fsha_job_graph_store_job_ids(store, &ids, &count, &skipped, &error);
		fsha_job_graph_store_close(store);
	}
	office_close(&office);
	if (result != FSHA_OK)
		return cli_error_print(&error, a->options->json);
	print_ids(a, ids, count, skipped);
	fsha_free(ids);
	return cli_output_end();
}

static int rm(const struct arguments *a, const fsha_job_id *id)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_job_graph_store *store;
	struct office office;
	fsha_result result;

	result = office_open(&office, a->options, FSHA_ELECTION_DISPATCHER, &error);
	if (result != FSHA_OK)
		return cli_error_print(&error, a->options->json);
	result = open_store(&office, &store, &error);
	if (result == FSHA_OK) {
		result = fsha_job_graph_store_remove(store, id, &error);
		result = office_judge(&office, result, &error);
		fsha_job_graph_store_close(store);
	}
	office_close(&office);
	if (result == FSHA_OK)
		print_done(a, id, "rm", 0);
	return result == FSHA_OK ? CLI_EXIT_OK : cli_error_print(&error, a->options->json);
}

/* ---- The command ---- */

static const struct action actions[] = {
	{ "put", 2, 3, put },
	{ "get", 2, 3, get },
	{ "ls", 1, 1, ls },
	{ "rm", 2, 2, rm },
};

static int usage(const char *format, const char *text)
{
	(void)cli_options_error(format, text);
	return CLI_EXIT_USAGE;
}

int job_main(int argc, char **argv, struct cli_options *options)
{
	struct arguments a = { .options = options };
	const struct action *action = NULL;
	fsha_job_id id = { { 0 } };

	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &a) != 0)
		return CLI_EXIT_USAGE;
	if (a.count == 0)
		return usage("%s", "say what to do: job put, get, ls or rm");
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(a.words[0], actions[i].name) == 0)
			action = &actions[i];
	if (!action)
		return usage("there is no 'job %.100s': put, get, ls or rm", a.words[0]);
	if (a.count < action->words_min)
		return usage("'job %s' needs an ID", action->name);
	if (a.count > action->words_max)
		return usage("too many arguments for 'job %s'", action->name);
	if (action->words_min > 1 && fsha_job_id_parse(a.words[1], &id) != FSHA_OK)
		return usage("'%.100s' is no job id: 32 hex digits", a.words[1]);
	return action->run(&a, &id);
}
