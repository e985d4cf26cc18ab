/* fsha worker: the workers of a resource manager. How to launch one is bytes to us. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"
#include "src/cli/commands.h"
#include "src/cli/job_file.h"
#include "src/cli/worker.h"

enum {
	KEY_STATE = 0x200,
	KEY_SLAVE,
	KEY_HOST
};

static const struct argp_option fields[] = {
	{ "state", KEY_STATE, "STATE", 0, "of put: New (the default), Launched or Released", 0 },
	{ "slave", KEY_SLAVE, "ID", 0, "of put: the slave that it runs on", 0 },
	{ "host", KEY_HOST, "NAME", 0, "of put: the host of that slave", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct worker_arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha worker");
	case KEY_STATE:
		a->state = arg;
		return 0;
	case KEY_SLAVE:
		a->slave = arg;
		return 0;
	case KEY_HOST:
		a->host = arg;
		return 0;
	case ARGP_KEY_ARG:
		a->words[a->count++] = arg; /* there are no more than arguments */
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = fields,
	.parser = parse,
	.args_doc = "ls\nget ID [FILE|-]\nput ID [FILE|-]\nrm ID\nset-state STATE ID...\n"
		    "framework-id [set ID|clear]\nnext-id\nbackup FILE\nrestore FILE",
	.doc = "The workers of the resource manager. ID is a task id; FILE holds how to launch it; "
	       "without FILE, and for '-', that is standard input or output. put replaces a worker "
	       "that is there. set-state changes all or none; one that is not there is an error. "
	       "next-id draws a task id that is never given again. backup writes everything to a "
	       "file of JSON, and restore puts it back in one step."
	       "\vThe leader of 'resource_manager' writes: a command that 'fsha run' started "
	       "writes "
	       "under that term (123 when it is over); elsewhere writing is a short term of "
	       "office, "
	       "refused with 122 and the leader's name while somebody leads. Reading (ls, get, "
	       "framework-id, backup) needs no leadership.",
	.children = cli_options_children,
};

/* ---- What all actions do ---- */

fsha_result worker_open(struct worker_office *ret_office, const struct worker_arguments *a,
			bool to_write, fsha_error *reterr)
{
	struct worker_office o = { .store = NULL };
	fsha_result result;

	result = to_write ? office_open(&o.office, a->options, FSHA_ELECTION_RESOURCE_MANAGER,
					reterr) :
			    office_open_to_read(&o.office, a->options, reterr);
	if (result != FSHA_OK)
		return result;
	result = fsha_worker_store_open(o.office.services, &o.store, reterr);
	if (result == FSHA_OK)
		result = fsha_worker_store_start(o.store, reterr);
	if (result == FSHA_OK)
		*ret_office = o;
	else
		worker_close(&o);
	return result;
}

void worker_close(struct worker_office *o)
{
	fsha_worker_store_close(o->store);
	office_close(&o->office);
}

void worker_print_done(const struct worker_arguments *a, const char *what, const char *task_id)
{
	json_t *line;

	if (!a->options->json)
		return;
	line = json_pack("{s:s}", "done", what);
	if (task_id)
		(void)json_object_set_new(line, "task", cli_output_text(task_id));
	cli_output_json_line(line);
}

int worker_end(const struct worker_arguments *a, fsha_result result, const fsha_error *error)
{
	return result == FSHA_OK ? cli_output_end() : cli_error_print(error, a->options->json);
}

/* ---- ls ---- */

struct listing {
	json_t *workers; /* objects, or rows of a table */
	size_t unreadable;
	bool json;
	fsha_error error; /* of the first one that cannot be read */
};

static const char *or_dash(const char *text)
{
	return text ? text : "-";
}

static json_t *text_or_null(const char *text)
{
	return text ? cli_output_text(text) : json_null();
}

static json_t *worker_json(const fsha_worker *w)
{
	return json_pack("{s:o, s:s, s:o, s:o, s:I, s:I}", "task", cli_output_text(w->task_id),
			 "state", fsha_worker_state_name(w->state), "slave",
			 text_or_null(w->slave_id), "host", text_or_null(w->hostname), "updated_ms",
			 (json_int_t)w->updated_ms, "size", (json_int_t)w->launchable_size);
}

static json_t *worker_row(const fsha_worker *w)
{
	char time[CLI_TIME_SIZE], size[32];

	(void)snprintf(size, sizeof(size), "%zu", w->launchable_size);
	return json_pack("[o, s, o, o, s, s]", cli_output_text(w->task_id),
			 fsha_worker_state_name(w->state), cli_output_text(or_dash(w->slave_id)),
			 cli_output_text(or_dash(w->hostname)),
			 cli_output_time(w->updated_ms * 1000000, time), size);
}

static int list_one(void *ctx, const fsha_worker_entry *entry)
{
	struct listing *l = ctx;
	json_t *item;

	if (entry->worker) {
		item = l->json ? worker_json(entry->worker) : worker_row(entry->worker);
	} else {
		if (l->unreadable++ == 0)
			l->error = *entry->error;
		item = l->json ?
			       json_pack("{s:o, s:s, s:s}", "task", cli_output_text(entry->task_id),
					 "result", fsha_result_name(entry->result), "message",
					 entry->error->message) :
			       json_pack("[o, s]", cli_output_text(entry->task_id), "unreadable");
	}
	return json_array_append_new(l->workers, item);
}

static int ls(const struct worker_arguments *a)
{
	struct listing l = { .workers = json_array(), .json = a->options->json };
	fsha_error error = FSHA_ERROR_INIT;
	struct worker_office o;
	fsha_result result;

	if (!l.json)
		(void)json_array_append_new(l.workers,
					    json_pack("[s, s, s, s, s, s]", "TASK", "STATE",
						      "SLAVE", "HOST", "UPDATED", "SIZE"));
	result = worker_open(&o, a, false, &error);
	if (result == FSHA_OK) {
		result = fsha_worker_store_visit(o.store, list_one, &l, &error);
		worker_close(&o);
	}
	if (result != FSHA_OK || (!l.json && json_array_size(l.workers) == 1))
		json_decref(l.workers);
	else if (l.json)
		cli_output_json(json_pack("{s:o, s:I}", "workers", l.workers, "unreadable",
					  (json_int_t)l.unreadable));
	else
		cli_output_table(l.workers);
	if (result == FSHA_OK && l.unreadable > 0) {
		/* What is good was shown, but this is no good end. */
		(void)cli_output_end();
		return cli_error_print(&l.error, false);
	}
	return worker_end(a, result, &error);
}

/* ---- get ---- */

/* The launch specification goes to the file or to stdout, all the rest only with --json. */
static fsha_result hand_over(const struct worker_arguments *a, const fsha_worker *w,
			     fsha_error *reterr)
{
	/* It is only read, which a job_file does not know. */
	const struct job_file file = { (void *)(uintptr_t)w->launchable, w->launchable_size };
	const char *path = a->count > 2 ? a->words[2] : "-";
	bool to_stdout = strcmp(path, "-") == 0;
	fsha_result result = FSHA_OK;
	json_t *json;

	if (!to_stdout)
		result = job_file_write(&file, path, reterr);
	if (result == FSHA_OK && a->options->json) {
		json = worker_json(w);
		if (to_stdout)
			(void)json_object_set_new(json, "launchable", job_file_json(&file));
		cli_output_json(json);
	} else if (to_stdout && file.size > 0) {
		(void)fwrite(file.data, 1, file.size, stdout); /* worker_end checks it */
	}
	return result;
}

static int get(const struct worker_arguments *a)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct worker_office o;
	fsha_worker *w = NULL;
	fsha_result result;

	result = worker_open(&o, a, false, &error);
	if (result == FSHA_OK) {
		result = fsha_worker_store_get(o.store, a->words[1], &w, &error);
		worker_close(&o);
	}
	if (result == FSHA_OK)
		result = hand_over(a, w, &error);
	fsha_free(w);
	return worker_end(a, result, &error);
}

/* ---- put, rm, set-state ---- */

static int usage(const char *format, const char *text)
{
	(void)cli_options_error(format, text);
	return CLI_EXIT_USAGE;
}

static int put(const struct worker_arguments *a)
{
	fsha_worker_state state = FSHA_WORKER_NEW;
	fsha_error error = FSHA_ERROR_INIT;
	struct worker_office o;
	struct job_file file;
	fsha_result result;
	fsha_worker w;

	if (a->state && fsha_worker_state_parse(a->state, &state) != FSHA_OK)
		return usage("'%.100s' is no state: New, Launched or Released", a->state);
	/*
	 * All of it before anything is opened: whoever feeds us may take long, and a term is short.
	 */
	result = job_file_read(&file, a->count > 2 ? a->words[2] : NULL, &error);
	if (result != FSHA_OK)
		return cli_error_print(&error, a->options->json);
	(void)fsha_worker_init(&w, a->words[1], file.data, file.size);
	(void)fsha_worker_launch(&w, a->slave, a->host, &w);
	w.state = (int32_t)state;
	result = worker_open(&o, a, true, &error);
	if (result == FSHA_OK) {
		result = fsha_worker_store_put(o.store, &w, &error);
		result = office_judge(&o.office, result, &error);
		worker_close(&o);
	}
	job_file_done(&file);
	if (result == FSHA_OK)
		worker_print_done(a, "put", a->words[1]);
	return worker_end(a, result, &error);
}

static int rm(const struct worker_arguments *a)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct worker_office o;
	fsha_result result;
	int removed = 0;

	result = worker_open(&o, a, true, &error);
	if (result == FSHA_OK) {
		result = fsha_worker_store_remove(o.store, a->words[1], &removed, &error);
		result = office_judge(&o.office, result, &error);
		worker_close(&o);
	}
	if (result == FSHA_OK && a->options->json)
		cli_output_json_line(json_pack("{s:s, s:o, s:b}", "done", "rm", "task",
					       cli_output_text(a->words[1]), "removed", removed));
	return worker_end(a, result, &error);
}

/* A person who names a worker wants it changed: one that is not there is an error, for all. */
static fsha_result update(struct worker_office *o, const fsha_worker_state_update *updates,
			  size_t count, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;
	fsha_worker *w;

	for (size_t i = 0; i < count && result == FSHA_OK; i++) {
		result = fsha_worker_store_get(o->store, updates[i].task_id, &w, reterr);
		if (result == FSHA_OK)
			fsha_free(w);
	}
	if (result == FSHA_OK)
		result = fsha_worker_store_update_states(o->store, updates, count, NULL, reterr);
	return office_judge(&o->office, result, reterr);
}

static int set_state(const struct worker_arguments *a)
{
	fsha_worker_state_update *updates;
	fsha_error error = FSHA_ERROR_INIT;
	size_t count = a->count - 2;
	struct worker_office o;
	fsha_worker_state state;
	fsha_result result;

	if (fsha_worker_state_parse(a->words[1], &state) != FSHA_OK)
		return usage("'%.100s' is no state: New, Launched or Released", a->words[1]);
	updates = calloc(count, sizeof(*updates));
	if (!updates) {
		result = cli_error_set(&error, FSHA_E_NOMEM, 0, "out of memory");
		return worker_end(a, result, &error);
	}
	for (size_t i = 0; i < count; i++)
		updates[i] = (fsha_worker_state_update){ a->words[2 + i], (int32_t)state, 0 };
	result = worker_open(&o, a, true, &error);
	if (result == FSHA_OK) {
		result = update(&o, updates, count, &error);
		worker_close(&o);
	}
	free(updates);
	if (result == FSHA_OK)
		worker_print_done(a, "set-state", NULL);
	return worker_end(a, result, &error);
}

/* ---- The command ---- */

static const struct action {
	const char *name;
	size_t words_min, words_max;
	const char *needs;
	int (*run)(const struct worker_arguments *a);
} actions[] = {
	{ "ls", 1, 1, "", ls },
	{ "get", 2, 3, "an ID", get },
	{ "put", 2, 3, "an ID", put },
	{ "rm", 2, 2, "an ID", rm },
	{ "set-state", 3, SIZE_MAX, "a STATE and an ID", set_state },
	{ "framework-id", 1, 3, "", worker_framework_id },
	{ "next-id", 1, 1, "", worker_next_id },
	{ "backup", 2, 2, "a FILE", worker_backup },
	{ "restore", 2, 2, "a FILE", worker_restore },
};

static int run(const struct worker_arguments *a)
{
	const struct action *action = NULL;

	if (a->count == 0)
		return usage("%s", "say what to do: worker ls, get, put, rm, set-state, "
				   "framework-id, next-id, backup or restore");
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(a->words[0], actions[i].name) == 0)
			action = &actions[i];
	if (!action)
		return usage(
			"there is no 'worker %.100s': 'fsha worker --help' lists what there is",
			a->words[0]);
	if (a->count < action->words_min) {
		(void)cli_options_error("'worker %s' needs %s", action->name, action->needs);
		return CLI_EXIT_USAGE;
	}
	if (a->count > action->words_max)
		return usage("too many arguments for 'worker %s'", action->name);
	if ((a->state || a->slave || a->host) && action->run != put)
		return usage("--state, --slave and --host are not for 'worker %s'", action->name);
	return action->run(a);
}

int worker_main(int argc, char **argv, struct cli_options *options)
{
	struct worker_arguments a = { .options = options };
	int code = CLI_EXIT_USAGE;

	a.words = calloc((size_t)argc + 1, sizeof(*a.words));
	if (!a.words) {
		fputs("fsha: out of memory\n", stderr);
		return CLI_EXIT_IO;
	}
	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &a) == 0)
		code = run(&a);
	free(a.words);
	return code;
}
