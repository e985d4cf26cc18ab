/* fsha result: what became of jobs, until they were cleaned up. In Flink's JSON. */
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

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha result");
	case ARGP_KEY_ARG:
		if (a->count == sizeof(a->words) / sizeof(a->words[0]))
			return cli_options_error("too many arguments for 'result %s'", a->words[0]);
		a->words[a->count++] = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.parser = parse,
	.args_doc = "ls\nget ID [FILE|-]\nput [FILE|-]\nmark-clean ID\nrm ID",
	.doc = "The results of jobs, as Flink's JSON. put keeps one as dirty: the job ended, its "
	       "cleanup has not; it is refused when the job has a result. mark-clean says that it "
	       "was cleaned up: the result is deleted, or kept when "
	       "job-result-store.delete-on-commit is false. ID is 32 hex digits; without FILE, and "
	       "for '-', it is standard input or output. ls ends with 126 when a file cannot be "
	       "read, and tells the others all the same."
	       "\vThe leader of 'dispatcher' writes: a command that 'fsha run' started writes "
	       "under that term (123 when it is over); elsewhere put, mark-clean and rm are a "
	       "short term of office, refused with 122 and the leader's name while somebody leads. "
	       "Reading needs no leadership.",
	.children = cli_options_children,
};

static void print_done(const struct arguments *a, const fsha_job_id *id, const char *what)
{
	char text[FSHA_HEX_ID_TEXT];

	if (a->options->json)
		cli_output_json_line(
			json_pack("{s:s, s:s}", "job", fsha_job_id_format(id, text), "done", what));
}

/* ---- put, mark-clean, rm ---- */

typedef fsha_result change_function(fsha_job_result_store *store, const void *what,
				    fsha_error *reterr);

static int change(const struct arguments *a, const fsha_job_id *id, change_function *change_it,
		  const void *what)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_job_result_store *store;
	struct office office;
	fsha_result result;

	result = office_open(&office, a->options, FSHA_ELECTION_DISPATCHER, &error);
	if (result != FSHA_OK)
		return cli_error_print(&error, a->options->json);
	result = fsha_job_result_store_open(office.services, &store, &error);
	if (result == FSHA_OK) {
		result = change_it(store, what, &error);
		result = office_judge(&office, result, &error);
		fsha_job_result_store_close(store);
	}
	office_close(&office);
	if (result == FSHA_OK)
		print_done(a, id, a->words[0]);
	return result == FSHA_OK ? CLI_EXIT_OK : cli_error_print(&error, a->options->json);
}

static fsha_result create_dirty(fsha_job_result_store *store, const void *what, fsha_error *reterr)
{
	return fsha_job_result_store_create_dirty(store, what, reterr);
}

static int put(const struct arguments *a, const fsha_job_id *id)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_job_result *job_result;
	struct job_file file;
	fsha_result result;
	int code;

	(void)id;
	/*
	 * All of it before anything is opened: whoever feeds us may take long, and a term is short.
	 */
	result = job_file_read(&file, a->words[1], &error);
	if (result != FSHA_OK)
		return cli_error_print(&error, a->options->json);
	result = fsha_job_result_parse(file.data ? file.data : "", file.size, &job_result, &error);
	job_file_done(&file);
	if (result != FSHA_OK)
		return cli_error_print(&error, a->options->json);
	code = change(a, &job_result->id, create_dirty, job_result);
	fsha_free(job_result);
	return code;
}

static fsha_result mark(fsha_job_result_store *store, const void *what, fsha_error *reterr)
{
	return fsha_job_result_store_mark_clean(store, what, reterr);
}

static int mark_clean(const struct arguments *a, const fsha_job_id *id)
{
	return change(a, id, mark, id);
}

static fsha_result removal(fsha_job_result_store *store, const void *what, fsha_error *reterr)
{
	return fsha_job_result_store_remove(store, what, reterr);
}

static int rm(const struct arguments *a, const fsha_job_id *id)
{
	return change(a, id, removal, id);
}

/* ---- get ---- */

static fsha_result hand_over(const struct arguments *a, const fsha_job_id *id,
			     const fsha_job_result *job_result, bool dirty, fsha_error *reterr)
{
	const char *path = a->words[2];
	bool to_stdout = !path || strcmp(path, "-") == 0;
	struct job_file text = { .data = NULL };
	char id_text[FSHA_HEX_ID_TEXT];
	char *formatted;
	fsha_result result;

	result = fsha_job_result_format(job_result, &formatted, &text.size, reterr);
	if (result != FSHA_OK)
		return result;
	formatted[text.size] = '\n'; /* instead of the zero byte */
	text.data = formatted;
	if (a->options->json && to_stdout) {
		cli_output_json(json_pack("{s:s, s:s, s:o}", "job", fsha_job_id_format(id, id_text),
					  "state", dirty ? "dirty" : "clean", "result",
					  json_loadb(formatted, text.size, 0, NULL)));
	} else if (to_stdout) {
		(void)fwrite(formatted, 1, text.size + 1, stdout); /* main's end checks it */
	} else {
		text.size++;
		result = job_file_write(&text, path, reterr);
		if (result == FSHA_OK)
			print_done(a, id, "get");
	}
	fsha_free(formatted);
	return result;
}

static int get(const struct arguments *a, const fsha_job_id *id)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_job_result *job_result = NULL;
	fsha_job_result_store *store;
	struct office office;
	fsha_result result;
	int dirty = 0;

	result = office_open_to_read(&office, a->options, &error);
	if (result != FSHA_OK)
		return cli_error_print(&error, a->options->json);
	result = fsha_job_result_store_open(office.services, &store, &error);
	if (result == FSHA_OK) {
		result = fsha_job_result_store_get(store, id, &job_result, &dirty, &error);
		fsha_job_result_store_close(store);
	}
	office_close(&office);
	if (result == FSHA_OK)
		result = hand_over(a, id, job_result, dirty, &error);
	fsha_free(job_result);
	return result == FSHA_OK ? cli_output_end() : cli_error_print(&error, a->options->json);
}

/* ---- ls ---- */

struct listing {
	const char *state; /* of those that are handed over */
	json_t *results, *errors;
};

static int list_one(void *ctx, const fsha_job_result_entry *entry)
{
	struct listing *l = ctx;
	char id[FSHA_HEX_ID_TEXT];

	if (entry->result != FSHA_OK)
		(void)json_array_append_new(l->errors, cli_output_text(entry->error->message));
	else
		(void)json_array_append_new(
			l->results,
			json_pack("{s:s, s:s, s:s, s:I}", "job", fsha_job_id_format(&entry->id, id),
				  "state", l->state, "status",
				  fsha_application_status_name(entry->job_result->status),
				  "net_runtime_ms", (json_int_t)entry->job_result->net_runtime_ms));
	return 0;
}

static fsha_result list_all(fsha_services *services, struct listing *l, fsha_error *reterr)
{
	fsha_job_result_store *store;
	fsha_result result;

	result = fsha_job_result_store_open(services, &store, reterr);
	if (result != FSHA_OK)
		return result;
	l->state = "dirty";
	result = fsha_job_result_store_get_dirty_results(store, list_one, l, reterr);
	l->state = "clean";
	if (result == FSHA_OK)
		result = fsha_job_result_store_get_clean_results(store, list_one, l, reterr);
	fsha_job_result_store_close(store);
	return result;
}

static void print_table(const json_t *results)
{
	json_t *rows = json_array(), *result;
	size_t i;

	json_array_foreach(results, i, result)
	{
		char runtime[32];

		(void)snprintf(
			runtime, sizeof(runtime), "%lld ms",
			(long long)json_integer_value(json_object_get(result, "net_runtime_ms")));
		(void)json_array_append_new(
			rows, json_pack("[O, O, O, s]", json_object_get(result, "job"),
					json_object_get(result, "state"),
					json_object_get(result, "status"), runtime));
	}
	cli_output_table(rows);
}

static int ls(const struct arguments *a, const fsha_job_id *id)
{
	struct listing l = { .results = json_array(), .errors = json_array() };
	fsha_error error = FSHA_ERROR_INIT;
	struct office office;
	fsha_result result;
	int code;

	(void)id;
	result = office_open_to_read(&office, a->options, &error);
	if (result == FSHA_OK) {
		result = list_all(office.services, &l, &error);
		office_close(&office);
	}
	if (result == FSHA_OK && a->options->json)
		cli_output_json(json_pack("{s:O, s:O}", "results", l.results, "errors", l.errors));
	else if (result == FSHA_OK)
		print_table(l.results);
	code = result == FSHA_OK ? cli_output_end() : cli_error_print(&error, a->options->json);
	json_decref(l.results);
	return cli_output_errors(l.errors, code);
}

/* ---- The command ---- */

static const struct action {
	const char *name;
	size_t words_min, words_max;
	bool id; /* its first argument */
	int (*run)(const struct arguments *a, const fsha_job_id *id);
} actions[] = {
	{ "ls", 1, 1, false, ls },   { "get", 2, 3, true, get },
	{ "put", 1, 2, false, put }, { "mark-clean", 2, 2, true, mark_clean },
	{ "rm", 2, 2, true, rm },
};

static int usage(const char *format, const char *text)
{
	(void)cli_options_error(format, text);
	return CLI_EXIT_USAGE;
}

int result_main(int argc, char **argv, struct cli_options *options)
{
	struct arguments a = { .options = options };
	const struct action *action = NULL;
	fsha_job_id id = { { 0 } };

	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &a) != 0)
		return CLI_EXIT_USAGE;
	if (a.count == 0)
		return usage("%s", "say what to do: result ls, get, put, mark-clean or rm");
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(a.words[0], actions[i].name) == 0)
			action = &actions[i];
	if (!action)
		return usage("there is no 'result %.100s': ls, get, put, mark-clean or rm",
			     a.words[0]);
	if (a.count < action->words_min)
		return usage("'result %s' needs an ID", action->name);
	if (a.count > action->words_max)
		return usage("too many arguments for 'result %s'", action->name);
	if (action->id && fsha_job_id_parse(a.words[1], &id) != FSHA_OK)
		return usage("'%.100s' is no job id: 32 hex digits", a.words[1]);
	return action->run(&a, &id);
}
