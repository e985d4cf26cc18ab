/* fsha blob: the blobs of jobs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"
#include "src/cli/commands.h"
#include "src/cli/office.h"
#include "src/cli/value_file.h"

enum {
	KEY_JOB = 0x200,
	KEY_TRANSIENT,
	KEY_ALL
};

struct arguments {
	struct cli_options *options;
	fsha_job_id id;
	const fsha_job_id *job; /* NULL: none */
	fsha_blob_key key;
	bool transient, all;
	const char *words[3];
	size_t count;
};

struct action {
	const char *name;
	size_t words_min, words_max;
	size_t key; /* which word is a key; 0: none, or not needed */
	int (*run)(const struct arguments *a);
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha blob");
	case KEY_JOB:
		a->job = &a->id;
		if (fsha_job_id_parse(arg, &a->id) != FSHA_OK)
			return cli_options_error("'%.100s' is no job id: 32 hex digits", arg);
		return 0;
	case KEY_TRANSIENT:
		a->transient = true;
		return 0;
	case KEY_ALL:
		a->all = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->count == sizeof(a->words) / sizeof(a->words[0]))
			return cli_options_error("too many arguments for 'blob %s'", a->words[0]);
		a->words[a->count++] = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option own_options[] = {
	{ "job", KEY_JOB, "ID", 0, "the job that the blob belongs to; without it, none", 0 },
	{ "transient", KEY_TRANSIENT, NULL, 0, "of put: the new key is that of a transient blob",
	  0 },
	{ "all", KEY_ALL, NULL, 0, "of ls: of every job; of rm: all blobs of the job, or of none",
	  0 },
	{ 0 },
};

static const struct argp argp = {
	.options = own_options,
	.parser = parse,
	.args_doc = "put FILE [KEY]\nget KEY [FILE|-]\nls [--all]\nrm KEY\nrm --all",
	.doc = "Blobs, of any size. put prints the key; without KEY it makes one from the content. "
	       "FILE is '-' for standard input, which needs a KEY. get to a file makes that whole "
	       "or not at all; what it writes to standard output is the blob only if it ends with "
	       "0."
	       "\vThe leader of 'dispatcher' writes: a command that 'fsha run' started writes "
	       "under that term (123 when it is over); elsewhere put and rm are a short term of "
	       "office, refused with 122 and the leader's name while somebody leads. Reading needs "
	       "no leadership.",
	.children = cli_options_children,
};

/* ---- What all actions do ---- */

/* Open, to write or to read, do it, close. */
static fsha_result act(const struct arguments *a, bool to_write,
		       fsha_result (*with)(fsha_blob_store *store, const struct arguments *a,
					   void *ctx, fsha_error *reterr),
		       void *ctx, fsha_error *reterr)
{
	fsha_blob_store *store;
	struct office office;
	fsha_result result;

	result = to_write ? office_open(&office, a->options, FSHA_ELECTION_DISPATCHER, reterr) :
			    office_open_to_read(&office, a->options, reterr);
	if (result != FSHA_OK)
		return result;
	result = fsha_blob_store_open(office.services, &store, reterr);
	if (result == FSHA_OK) {
		result = with(store, a, ctx, reterr);
		if (to_write)
			result = office_judge(&office, result, reterr);
		fsha_blob_store_close(store);
	}
	office_close(&office);
	return result;
}

static int end(const struct arguments *a, fsha_result result, const fsha_error *error)
{
	return result == FSHA_OK ? cli_output_end() : cli_error_print(error, a->options->json);
}

static json_t *job_json(const fsha_job_id *job)
{
	char text[FSHA_HEX_ID_TEXT];

	return job ? json_string(fsha_job_id_format(job, text)) : json_null();
}

static json_t *key_json(const fsha_blob_key *key)
{
	char text[FSHA_BLOB_KEY_TEXT];

	return json_string(fsha_blob_key_format(key, text));
}

/* ---- put ---- */

struct put {
	int fd; /* -1: the file itself, whose blocks the blob may share */
	fsha_blob_key key;
};

static fsha_result put_blob(fsha_blob_store *store, const struct arguments *a, void *ctx,
			    fsha_error *reterr)
{
	const struct put *p = ctx;

	if (p->fd < 0)
		return fsha_blob_store_put(store, a->words[1], a->job, &p->key, reterr);
	return fsha_blob_store_put_fd(store, p->fd, FSHA_TO_END, a->job, &p->key, reterr);
}

static bool is_regular(const char *path)
{
	struct stat st;

	return !value_file_is_standard(path) && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int put(const struct arguments *a)
{
	struct put p = { .fd = -1, .key = a->key };
	fsha_error error = FSHA_ERROR_INIT;
	char text[FSHA_BLOB_KEY_TEXT];
	fsha_result result = FSHA_OK;

	if (a->count < 3)
		result = fsha_blob_key_of_file(a->transient ? FSHA_BLOB_TRANSIENT :
							      FSHA_BLOB_PERMANENT,
					       a->words[1], &p.key, &error);
	if (result == FSHA_OK && !is_regular(a->words[1]))
		result = value_file_open(a->words[1], &p.fd, &error);
	if (result == FSHA_OK)
		result = act(a, true, put_blob, &p, &error);
	if (p.fd >= 0)
		(void)close(p.fd); /* it was only read */
	if (result == FSHA_OK && a->options->json)
		cli_output_json_line(json_pack("{s:o, s:o, s:s}", "job", job_json(a->job), "key",
					       key_json(&p.key), "done", "put"));
	else if (result == FSHA_OK)
		puts(fsha_blob_key_format(&p.key, text));
	return end(a, result, &error);
}

/* ---- get ---- */

static fsha_result get_blob(fsha_blob_store *store, const struct arguments *a, void *ctx,
			    fsha_error *reterr)
{
	const char *path = a->words[2];
	uint64_t *ret_size = ctx;
	fsha_result result;
	struct stat st;

	if (value_file_is_standard(path))
		return fsha_blob_store_get_fd(store, a->job, &a->key, STDOUT_FILENO, ret_size,
					      reterr);
	result = fsha_blob_store_get(store, a->job, &a->key, path, reterr);
	*ret_size = result == FSHA_OK && stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
	return result;
}

static int get(const struct arguments *a)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result;
	uint64_t size;

	if (a->options->json && value_file_is_standard(a->words[2])) {
		(void)cli_options_error("'blob get --json' needs a FILE: a blob may be anything");
		return CLI_EXIT_USAGE;
	}
	result = act(a, false, get_blob, &size, &error);
	if (result == FSHA_OK && a->options->json)
		cli_output_json_line(json_pack("{s:o, s:o, s:s, s:I}", "job", job_json(a->job),
					       "key", key_json(&a->key), "done", "get", "size",
					       (json_int_t)size));
	return end(a, result, &error);
}

/* ---- ls ---- */

static fsha_result list_job(fsha_blob_store *store, const struct arguments *a,
			    const fsha_job_id *job, json_t *blobs, size_t *skipped,
			    fsha_error *reterr)
{
	char id[FSHA_HEX_ID_TEXT] = "-", text[FSHA_BLOB_KEY_TEXT];
	fsha_blob_key *keys;
	fsha_result result;
	size_t count, more;

	result = fsha_blob_store_list(store, job, &keys, &count, &more, reterr);
	if (result != FSHA_OK)
		return result;
	if (job)
		fsha_job_id_format(job, id);
	*skipped += more;
	for (size_t i = 0; i < count; i++) {
		if (a->options->json)
			(void)json_array_append_new(blobs,
						    json_pack("{s:o, s:o}", "job", job_json(job),
							      "key", key_json(&keys[i])));
		else if (a->all)
			printf("%-32s  %s\n", id, fsha_blob_key_format(&keys[i], text));
		else
			puts(fsha_blob_key_format(&keys[i], text));
	}
	fsha_free(keys);
	return FSHA_OK;
}

static fsha_result list_all(fsha_blob_store *store, const struct arguments *a, json_t *blobs,
			    size_t *skipped, fsha_error *reterr)
{
	fsha_job_id *jobs;
	fsha_result result;
	size_t count;
	int no_job;

	result = fsha_blob_store_jobs(store, &jobs, &count, &no_job, reterr);
	if (result != FSHA_OK)
		return result;
	for (size_t i = 0; i < count && result == FSHA_OK; i++)
		result = list_job(store, a, &jobs[i], blobs, skipped, reterr);
	if (no_job && result == FSHA_OK)
		result = list_job(store, a, NULL, blobs, skipped, reterr);
	fsha_free(jobs);
	return result;
}

static fsha_result list_blobs(fsha_blob_store *store, const struct arguments *a, void *ctx,
			      fsha_error *reterr)
{
	json_t *blobs = json_array();
	size_t skipped = 0;
	fsha_result result;

	(void)ctx;
	result = a->all ? list_all(store, a, blobs, &skipped, reterr) :
			  list_job(store, a, a->job, blobs, &skipped, reterr);
	if (result == FSHA_OK && a->options->json)
		cli_output_json(
			json_pack("{s:O, s:I}", "blobs", blobs, "skipped", (json_int_t)skipped));
	json_decref(blobs);
	if (result == FSHA_OK && skipped)
		fprintf(stderr, "fsha: %zu names in the store are no keys of blobs\n", skipped);
	return result;
}

static int ls(const struct arguments *a)
{
	fsha_error error = FSHA_ERROR_INIT;

	return end(a, act(a, false, list_blobs, NULL, &error), &error);
}

/* ---- rm ---- */

static fsha_result remove_blob(fsha_blob_store *store, const struct arguments *a, void *ctx,
			       fsha_error *reterr)
{
	(void)ctx;
	return a->all ? fsha_blob_store_delete_all(store, a->job, reterr) :
			fsha_blob_store_delete(store, a->job, &a->key, reterr);
}

static int rm(const struct arguments *a)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result = act(a, true, remove_blob, NULL, &error);

	if (result == FSHA_OK && a->options->json)
		cli_output_json_line(json_pack("{s:o, s:o, s:s}", "job", job_json(a->job), "key",
					       a->all ? json_null() : key_json(&a->key), "done",
					       "rm"));
	return end(a, result, &error);
}

/* ---- The command ---- */

static const struct action actions[] = {
	{ "put", 2, 3, 2, put },
	{ "get", 2, 3, 1, get },
	{ "ls", 1, 1, 0, ls },
	{ "rm", 1, 2, 1, rm },
};

static int usage(const char *format, const char *text)
{
	(void)cli_options_error(format, text);
	return CLI_EXIT_USAGE;
}

/* What the parser cannot know. 0, or the exit code. */
static int check(const struct arguments *a, const struct action *action)
{
	if (a->count < action->words_min)
		return usage("'blob %s' needs more arguments", action->name);
	if (a->count > action->words_max)
		return usage("too many arguments for 'blob %s'", action->name);
	if (a->all && action->run != ls && action->run != rm)
		return usage("'blob %s' knows no --all", action->name);
	if (a->all && a->job && action->run == ls)
		return usage("%s", "'blob ls' takes --job or --all");
	if (action->run == rm && a->all == (a->count == 2))
		return usage("%s", "'blob rm' needs a KEY or --all");
	if (a->transient && (action->run != put || a->count == 3))
		return usage("%s", "--transient is for the new key of a put");
	if (action->run == put && a->count == 2 && value_file_is_standard(a->words[1]))
		return usage("%s", "'blob put -' needs a KEY");
	return 0;
}

int blob_main(int argc, char **argv, struct cli_options *options)
{
	struct arguments a = { .options = options };
	const struct action *action = NULL;
	int code;

	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &a) != 0)
		return CLI_EXIT_USAGE;
	if (a.count == 0)
		return usage("%s", "say what to do: blob put, get, ls or rm");
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(a.words[0], actions[i].name) == 0)
			action = &actions[i];
	if (!action)
		return usage("there is no 'blob %.100s': put, get, ls or rm", a.words[0]);
	code = check(&a, action);
	if (code != 0)
		return code;
	if (action->key && a.count > action->key &&
	    fsha_blob_key_parse(a.words[action->key], &a.key) != FSHA_OK)
		return usage("'%.100s' is no key of a blob: p- or t-, 40 hex digits, -, 32 hex "
			     "digits",
			     a.words[action->key]);
	return action->run(&a);
}
