/* fsha checkpoint: the completed checkpoints of a job, and the counter of their ids. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"
#include "src/cli/commands.h"
#include "src/cli/job_file.h"
#include "src/cli/office.h"

#define KEY_SKIP_BROKEN 0x200

struct arguments {
	struct cli_options *options;
	const char *words[4];
	size_t count;
	bool skip_broken;
	/* Out of the words: */
	fsha_job_id job;
	int64_t id;
};

static const struct argp_option own_options[] = {
	{ "skip-broken", KEY_SKIP_BROKEN, NULL, 0,
	  "of latest: go on without checkpoints that cannot be read, though a newer one be lost",
	  0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha checkpoint");
	case KEY_SKIP_BROKEN:
		a->skip_broken = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->count == sizeof(a->words) / sizeof(a->words[0]))
			return cli_options_error("too many arguments for 'checkpoint %s'",
						 a->words[0]);
		a->words[a->count++] = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = own_options,
	.parser = parse,
	.args_doc = "ls JOB\nlatest JOB\nget JOB ID [FILE|-]\nrm JOB ID\ncounter JOB [NEXT]",
	.doc = "The completed checkpoints of a job. JOB is 32 hex digits, ID a number. get writes "
	       "the metadata to FILE, or to standard output. rm removes the record of a "
	       "checkpoint, "
	       "not the data that it points to. counter tells which id is taken next, or sets it."
	       "\vOne that cannot be read is told on stderr, and the exit code is 126; latest "
	       "prints "
	       "nothing then, unless --skip-broken is given, since a newer one may be lost. The "
	       "leader of 'job-JOB' writes: a command that 'fsha run' started writes under that "
	       "term "
	       "(123 when it is over); elsewhere rm and counter with NEXT are a short term of "
	       "office, refused with 122 and the leader's name while somebody leads. Reading needs "
	       "no leadership.",
	.children = cli_options_children,
};

/* ---- opening ---- */

/* What could not be read. */
struct broken {
	const struct arguments *arguments;
	size_t count;
	json_t *list; /* with --json */
	/* About the one that is asked for. */
	bool asked;
	fsha_error error;
};

static void on_broken(void *ctx, const char *name, const fsha_error *error)
{
	struct broken *b = ctx;
	char *end;

	b->count++;
	if (b->list)
		json_array_append_new(b->list,
				      json_pack("{s:o, s:o}", "name", cli_output_text(name),
						"error", cli_output_text(error->message)));
	fprintf(stderr, "fsha: checkpoint '%.60s' cannot be read: %s\n", name, error->message);
	if (b->arguments->id > 0 && strtoll(name, &end, 10) == b->arguments->id && !*end) {
		b->asked = true;
		b->error = *error;
	}
}

/* With `broken` one that cannot be read is told to it, without it is an error. */
static fsha_result open_store(const struct arguments *a, struct office *office,
			      struct broken *broken, fsha_checkpoint_store **ret_store,
			      fsha_error *reterr)
{
	fsha_checkpoint_store_options options = FSHA_CHECKPOINT_STORE_OPTIONS_INIT;

	if (broken) {
		*broken = (struct broken){ .arguments = a, .error = FSHA_ERROR_INIT };
		broken->list = a->options->json ? json_array() : NULL;
		options.flags = FSHA_CHECKPOINT_SKIP_BROKEN;
		options.broken = on_broken;
		options.ctx = broken;
	}
	return fsha_checkpoint_store_open(office->services, &a->job, &options, ret_store, reterr);
}

static int print_error(const struct arguments *a, const fsha_error *error)
{
	return cli_error_print(error, a->options->json);
}

/* ---- what is printed ---- */

static const char *time_text(const fsha_completed_checkpoint *c, char *text)
{
	const int64_t limit_ms = INT64_MAX / 1000000;

	/* Whatever the program put there. */
	if (c->timestamp_ms > limit_ms || c->timestamp_ms < 0)
		return "-";
	return cli_output_time(c->timestamp_ms * 1000000, text);
}

static json_t *checkpoint_json(const fsha_completed_checkpoint *c)
{
	return json_pack("{s:I, s:s, s:I, s:s, s:I, s:o}", "id", (json_int_t)c->id, "type",
			 fsha_checkpoint_type_name((int)c->type), "timestamp_ms",
			 (json_int_t)c->timestamp_ms, "retention",
			 fsha_checkpoint_retention_name((int)c->retention), "size",
			 (json_int_t)c->metadata_size, "pointer",
			 cli_output_text(c->external_pointer));
}

static json_t *checkpoint_row(const fsha_completed_checkpoint *c)
{
	char id[24], size[24], time[CLI_TIME_SIZE], pointer[1024];

	(void)snprintf(id, sizeof(id), "%" PRId64, c->id);
	(void)snprintf(size, sizeof(size), "%zu", c->metadata_size);
	cli_output_clean(c->external_pointer, pointer, sizeof(pointer));
	return json_pack("[s, s, s, s, s, o]", id, fsha_checkpoint_type_name((int)c->type),
			 time_text(c, time), size,
			 fsha_checkpoint_retention_name((int)c->retention),
			 cli_output_text(pointer));
}

static void print_all(const struct arguments *a, fsha_completed_checkpoint **all, size_t count,
		      json_t *broken)
{
	char job[FSHA_HEX_ID_TEXT];
	json_t *list = json_array();

	if (!a->options->json && count > 0)
		json_array_append_new(list, json_pack("[s, s, s, s, s, s]", "ID", "TYPE",
						      "TRIGGERED", "SIZE", "RETENTION", "POINTER"));
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, a->options->json ? checkpoint_json(all[i]) :
							       checkpoint_row(all[i]));
	if (a->options->json)
		cli_output_json(json_pack("{s:s, s:o, s:o}", "job",
					  fsha_job_id_format(&a->job, job), "checkpoints", list,
					  "broken", broken));
	else
		cli_output_table(list);
}

static void print_done(const struct arguments *a, const char *what, const char *number_name,
		       int64_t number)
{
	char job[FSHA_HEX_ID_TEXT];

	if (a->options->json)
		cli_output_json_line(json_pack("{s:s, s:s, s:I}", "job",
					       fsha_job_id_format(&a->job, job), "done", what,
					       number_name, (json_int_t)number));
}

/* ---- ls, latest, get ---- */

static int ls(struct arguments *a)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_completed_checkpoint **all;
	fsha_checkpoint_store *store;
	struct broken broken;
	struct office office;
	fsha_result result;
	size_t count;
	int code;

	result = office_open_to_read(&office, a->options, &error);
	if (result != FSHA_OK)
		return print_error(a, &error);
	result = open_store(a, &office, &broken, &store, &error);
	if (result == FSHA_OK) {
		result = fsha_checkpoint_store_get_all(store, &all, &count, &error);
		(void)fsha_checkpoint_store_close(store, NULL); /* nothing was removed */
	}
	office_close(&office);
	if (result != FSHA_OK) {
		json_decref(broken.list);
		return print_error(a, &error);
	}
	print_all(a, all, count, broken.list);
	fsha_free(all);
	code = cli_output_end();
	return code == CLI_EXIT_OK && broken.count ? CLI_EXIT_IO : code;
}

static int latest(struct arguments *a)
{
	fsha_completed_checkpoint *c = NULL;
	fsha_error error = FSHA_ERROR_INIT;
	fsha_checkpoint_store *store;
	struct broken broken = { .count = 0 };
	struct office office;
	fsha_result result;

	result = office_open_to_read(&office, a->options, &error);
	if (result != FSHA_OK)
		return print_error(a, &error);
	result = open_store(a, &office, a->skip_broken ? &broken : NULL, &store, &error);
	if (result == FSHA_OK) {
		result = fsha_checkpoint_store_get_latest(store, &c, &error);
		(void)fsha_checkpoint_store_close(store, NULL); /* nothing was removed */
	}
	office_close(&office);
	json_decref(broken.list);
	if (result != FSHA_OK)
		return print_error(a, &error);
	if (a->options->json)
		cli_output_json(checkpoint_json(c));
	else
		cli_output_table(json_pack("[o]", checkpoint_row(c)));
	fsha_free(c);
	return cli_output_end();
}

static fsha_result hand_over(const struct arguments *a, const fsha_completed_checkpoint *c,
			     fsha_error *reterr)
{
	struct job_file file = { .size = c->metadata_size };
	const char *path = a->words[3];
	bool to_stdout = !path || strcmp(path, "-") == 0;
	fsha_result result = FSHA_OK;
	json_t *json;

	/* Only read, but a job_file holds what is to be freed. */
	memcpy(&file.data, &c->metadata, sizeof(file.data));
	if (!to_stdout) {
		result = job_file_write(&file, path, reterr);
		if (result == FSHA_OK)
			print_done(a, "get", "size", (int64_t)c->metadata_size);
	} else if (a->options->json) {
		json = checkpoint_json(c);
		(void)json_object_set_new(json, "metadata", job_file_json(&file));
		cli_output_json(json);
	} else {
		(void)fwrite(c->metadata, 1, c->metadata_size, stdout); /* the end checks it */
	}
	return result;
}

static int get(struct arguments *a)
{
	fsha_completed_checkpoint *c = NULL;
	fsha_error error = FSHA_ERROR_INIT;
	fsha_checkpoint_store *store;
	struct broken broken = { .count = 0 };
	struct office office;
	fsha_result result;

	result = office_open_to_read(&office, a->options, &error);
	if (result != FSHA_OK)
		return print_error(a, &error);
	result = open_store(a, &office, &broken, &store, &error);
	if (result == FSHA_OK) {
		result = fsha_checkpoint_store_get(store, a->id, &c, &error);
		if (result == FSHA_E_NOT_FOUND && broken.asked)
			error = broken.error;
		(void)fsha_checkpoint_store_close(store, NULL); /* nothing was removed */
	}
	office_close(&office);
	json_decref(broken.list);
	if (result == FSHA_OK)
		result = hand_over(a, c, &error);
	fsha_free(c);
	return result == FSHA_OK ? cli_output_end() : print_error(a, &error);
}

/* ---- rm, counter ---- */

static int rm(struct arguments *a)
{
	char election[FSHA_ELECTION_JOB_TEXT];
	fsha_error error = FSHA_ERROR_INIT;
	fsha_checkpoint_store *store;
	struct broken broken = { .count = 0 };
	struct office office;
	fsha_result result;

	result =
		office_open(&office, a->options, fsha_job_election_name(&a->job, election), &error);
	if (result != FSHA_OK)
		return print_error(a, &error);
	result = open_store(a, &office, &broken, &store, &error);
	if (result == FSHA_OK) {
		result = fsha_checkpoint_store_remove(store, a->id, &error);
		result = office_judge(&office, result, &error);
		(void)fsha_checkpoint_store_close(store, NULL); /* it is removed, or not */
	}
	office_close(&office);
	json_decref(broken.list);
	if (result != FSHA_OK)
		return print_error(a, &error);
	print_done(a, "rm", "id", a->id);
	return CLI_EXIT_OK;
}

static int tell_count(struct arguments *a)
{
	fsha_checkpoint_id_counter *counter;
	fsha_error error = FSHA_ERROR_INIT;
	char job[FSHA_HEX_ID_TEXT];
	struct office office;
	fsha_result result;
	int64_t next = 0;

	result = office_open_to_read(&office, a->options, &error);
	if (result != FSHA_OK)
		return print_error(a, &error);
	result = fsha_checkpoint_id_counter_open(office.services, &a->job, &counter, &error);
	if (result == FSHA_OK) {
		result = fsha_checkpoint_id_counter_get(counter, &next, &error);
		fsha_checkpoint_id_counter_close(counter);
	}
	office_close(&office);
	if (result != FSHA_OK)
		return print_error(a, &error);
	if (a->options->json)
		cli_output_json_line(json_pack("{s:s, s:I}", "job",
					       fsha_job_id_format(&a->job, job), "next",
					       (json_int_t)next));
	else
		printf("%" PRId64 "\n", next);
	return cli_output_end();
}

static int set_count(struct arguments *a)
{
	char election[FSHA_ELECTION_JOB_TEXT];
	fsha_checkpoint_id_counter *counter;
	fsha_error error = FSHA_ERROR_INIT;
	struct office office;
	fsha_result result;

	result =
		office_open(&office, a->options, fsha_job_election_name(&a->job, election), &error);
	if (result != FSHA_OK)
		return print_error(a, &error);
	result = fsha_checkpoint_id_counter_open(office.services, &a->job, &counter, &error);
	if (result == FSHA_OK) {
		result = fsha_checkpoint_id_counter_set_count(counter, a->id, &error);
		result = office_judge(&office, result, &error);
		fsha_checkpoint_id_counter_close(counter);
	}
	office_close(&office);
	if (result != FSHA_OK)
		return print_error(a, &error);
	print_done(a, "counter", "next", a->id);
	return CLI_EXIT_OK;
}

static int count(struct arguments *a)
{
	return a->count > 2 ? set_count(a) : tell_count(a);
}

/* ---- The command ---- */

static const struct action {
	const char *name;
	size_t words_min, words_max;
	const char *needs;
	int (*run)(struct arguments *a);
} actions[] = {
	{ "ls", 2, 2, "a JOB", ls },
	{ "latest", 2, 2, "a JOB", latest },
	{ "get", 3, 4, "a JOB and an ID", get },
	{ "rm", 3, 3, "a JOB and an ID", rm },
	{ "counter", 2, 3, "a JOB", count },
};

static int usage(const char *format, const char *text, const char *more)
{
	(void)cli_options_error(format, text, more);
	return CLI_EXIT_USAGE;
}

static bool parse_id(const char *text, int64_t *ret_id)
{
	long long id;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	id = strtoll(text, &end, 10);
	if (errno || *end || id < 1)
		return false;
	*ret_id = id;
	return true;
}

int checkpoint_main(int argc, char **argv, struct cli_options *options)
{
	const struct action *action = NULL;
	struct arguments a = { .options = options };

	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &a) != 0)
		return CLI_EXIT_USAGE;
	if (a.count == 0)
		return usage("%s%s", "say what to do: checkpoint ls, latest, get, rm or counter",
			     "");
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(a.words[0], actions[i].name) == 0)
			action = &actions[i];
	if (!action)
		return usage("there is no 'checkpoint %.100s%s': ls, latest, get, rm or counter",
			     a.words[0], "");
	if (a.count < action->words_min)
		return usage("'checkpoint %s' needs %s", action->name, action->needs);
	if (a.count > action->words_max)
		return usage("too many arguments for 'checkpoint %s'%s", action->name, "");
	if (a.skip_broken && action->run != latest)
		return usage("--skip-broken is for 'checkpoint latest', not for '%s'%s",
			     action->name, "");
	if (fsha_job_id_parse(a.words[1], &a.job) != FSHA_OK)
		return usage("'%.100s' is no job id: 32 hex digits%s", a.words[1], "");
	if (a.count > 2 && !parse_id(a.words[2], &a.id))
		return usage("'%.100s' is no checkpoint id: a number of 1 or more%s", a.words[2],
			     "");
	return action->run(&a);
}
