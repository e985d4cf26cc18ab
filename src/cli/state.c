/* fsha state: the values of a namespace. A value is bytes of any size. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"
#include "src/cli/commands.h"
#include "src/cli/job_file.h"
#include "src/cli/office.h"
#include "src/cli/value_file.h"

/* How often a put looks again because somebody else of the same term wrote meanwhile. */
#define PUT_TRIES 10

enum {
	KEY_ELECTION = 0x200,
	KEY_NEW,
	KEY_VERSION
};

struct arguments {
	struct cli_options *options;
	const char *election;
	bool named; /* by --election */
	bool new;
	bool versioned;
	fsha_version version;
	const char *words[4]; /* NAMESPACE ACTION NAME FILE */
	size_t count;
};

struct action {
	const char *name;
	size_t words_min, words_max;
	int (*run)(const struct arguments *a);
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha state");
	case KEY_ELECTION:
		a->election = arg;
		a->named = true;
		return 0;
	case KEY_NEW:
		a->new = true;
		return 0;
	case KEY_VERSION:
		a->versioned = true;
		if (fsha_version_parse(arg, &a->version) != FSHA_OK)
			return cli_options_error("'%.100s' is no version, as 'state NAMESPACE "
						 "exists NAME' prints it",
						 arg);
		return 0;
	case ARGP_KEY_ARG:
		if (a->count == sizeof(a->words) / sizeof(a->words[0]))
			return cli_options_error("too many arguments for 'state'");
		a->words[a->count++] = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option own_options[] = {
	{ "election", KEY_ELECTION, "NAME", 0,
	  "whose leaders write there (of put and rm: FSHA_ELECTION, else dispatcher; of the "
	  "others: "
	  "its owner)",
	  0 },
	{ "new", KEY_NEW, NULL, 0, "of put: only if there is none of that name", 0 },
	{ "if-version", KEY_VERSION, "VERSION", 0, "of put: only if it still has this version", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = own_options,
	.parser = parse,
	.args_doc = "NAMESPACE put NAME [FILE|-]\nNAMESPACE get NAME [FILE|-]\nNAMESPACE exists "
		    "NAME\nNAMESPACE ls\nNAMESPACE rm NAME",
	.doc = "The values of a namespace, of any size. Without FILE, and for '-', that is "
	       "standard "
	       "input or output. put adds a value or replaces it, and prints the new version. get "
	       "to a file makes that whole or not at all; what it writes to standard output is the "
	       "value only if it ends with 0. exists prints the version, or ends with 124."
	       "\vThe leader of the namespace's election writes: a command that 'fsha run' started "
	       "writes under that term (123 when it is over); elsewhere put and rm are a short "
	       "term "
	       "of office, refused with 122 and the leader's name while somebody leads. The first "
	       "put makes the election the owner of the namespace for good. Reading needs no "
	       "leadership.",
	.children = cli_options_children,
};

/* ---- What all actions do ---- */

static fsha_result open_store(struct office *office, const struct arguments *a,
			      fsha_state_store **ret_store, fsha_error *reterr)
{
	return fsha_state_store_open(office->services, a->words[0], a->election, ret_store, reterr);
}

/* Who reads need not know whose the namespace is, unless he says that he does. */
static fsha_result open_to_read(struct office *office, const struct arguments *a,
				fsha_state_store **ret_store, fsha_error *reterr)
{
	char owner[FSHA_NAME_MAX + 1];
	struct arguments by_owner = *a;

	/* What is wrong with its owner, opening and reading tell. */
	if (!a->named &&
	    fsha_state_store_owner(office->services, a->words[0], owner, NULL) == FSHA_OK)
		by_owner.election = owner;
	return open_store(office, &by_owner, ret_store, reterr);
}

/* Open to read, do it, close. */
static fsha_result look(const struct arguments *a,
			fsha_result (*with)(fsha_state_store *store, void *ctx, fsha_error *reterr),
			void *ctx, fsha_error *reterr)
{
	fsha_state_store *store;
	struct office office;
	fsha_result result;

	result = office_open_to_read(&office, a->options, reterr);
	if (result != FSHA_OK)
		return result;
	result = open_to_read(&office, a, &store, reterr);
	if (result == FSHA_OK) {
		result = with(store, ctx, reterr);
		fsha_state_store_close(store);
	}
	office_close(&office);
	return result;
}

/* The same in office. */
static fsha_result change(const struct arguments *a,
			  fsha_result (*with)(fsha_state_store *store, void *ctx,
					      fsha_error *reterr),
			  void *ctx, fsha_error *reterr)
{
	fsha_state_store *store;
	struct office office;
	fsha_result result;

	result = office_open(&office, a->options, a->election, reterr);
	if (result != FSHA_OK)
		return result;
	result = open_store(&office, a, &store, reterr);
	if (result == FSHA_OK) {
		result = with(store, ctx, reterr);
		result = office_judge(&office, result, reterr);
		fsha_state_store_close(store);
	}
	office_close(&office);
	return result;
}

static int end(const struct arguments *a, fsha_result result, const fsha_error *error)
{
	return result == FSHA_OK ? cli_output_end() : cli_error_print(error, a->options->json);
}

static json_t *with_name(const struct arguments *a, json_t *rest)
{
	return cli_output_named("name", a->words[2], rest);
}

/* The version of a name: a line of its own, or with --json an object. */
static void print_version(const struct arguments *a, const fsha_version *version)
{
	char text[FSHA_VERSION_TEXT];

	fsha_version_format(version, text);
	if (a->options->json)
		cli_output_json_line(with_name(a, json_pack("{s:s}", "version", text)));
	else
		puts(text);
}

/* ---- put ---- */

struct put {
	const struct arguments *a;
	int fd;
	fsha_version version;
};

static fsha_result put_once(fsha_state_store *store, struct put *p, fsha_error *reterr)
{
	const char *name = p->a->words[2];
	fsha_version present = p->a->version;
	fsha_result result = FSHA_OK;

	if (!p->a->new && !p->a->versioned)
		result = fsha_state_store_exists(store, name, &present, reterr);
	if (result != FSHA_OK)
		return result;
	if (!p->a->versioned && !fsha_version_is_existing(&present))
		return fsha_state_store_add_fd(store, name, p->fd, FSHA_TO_END, &p->version,
					       reterr);
	return fsha_state_store_replace_fd(store, name, &present, p->fd, FSHA_TO_END, &p->version,
					   reterr);
}

static fsha_result put_value(fsha_state_store *store, void *ctx, fsha_error *reterr)
{
	struct put *p = ctx;
	off_t begin = lseek(p->fd, 0, SEEK_CUR);
	fsha_result result = FSHA_OK;

	for (int i = 0; i < PUT_TRIES; i++) {
		result = put_once(store, p, reterr);
		if (result != FSHA_E_VERSION && result != FSHA_E_EXISTS &&
		    result != FSHA_E_NOT_FOUND)
			break;
		/* Another command of the same term came between; unless that was asked for. */
		if (p->a->new || p->a->versioned || lseek(p->fd, begin, SEEK_SET) < 0)
			break;
	}
	return result;
}

static int put(const struct arguments *a)
{
	struct put p = { .a = a };
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result;

	result = value_file_open(a->words[3], &p.fd, &error);
	if (result == FSHA_OK) {
		result = change(a, put_value, &p, &error);
		(void)close(p.fd); /* it was only read */
	}
	if (result == FSHA_OK)
		print_version(a, &p.version);
	return end(a, result, &error);
}

/* ---- get ---- */

static fsha_result get_json(fsha_state_store *store, void *ctx, fsha_error *reterr)
{
	const struct arguments *a = ctx;
	struct job_file value = { .data = NULL };
	char text[FSHA_VERSION_TEXT];
	fsha_version version;
	fsha_result result;

	result = fsha_state_store_get(store, a->words[2], &value.data, &value.size, &version,
				      reterr);
	if (result != FSHA_OK)
		return result;
	cli_output_json(with_name(
		a, json_pack("{s:s, s:I, s:o}", "version", fsha_version_format(&version, text),
			     "size", (json_int_t)value.size, "value", job_file_json(&value))));
	fsha_free(value.data);
	return FSHA_OK;
}

static fsha_result get_value(fsha_state_store *store, void *ctx, fsha_error *reterr)
{
	const struct arguments *a = ctx;
	struct value_target target;
	char text[FSHA_VERSION_TEXT];
	fsha_version version;
	fsha_result result;
	uint64_t size;

	result = value_target_open(&target, a->words[3], reterr);
	if (result != FSHA_OK)
		return result;
	result = fsha_state_store_get_fd(store, a->words[2], target.fd, &size, &version, reterr);
	result = value_target_close(&target, result, reterr);
	if (result == FSHA_OK && a->options->json)
		cli_output_json_line(with_name(a, json_pack("{s:s, s:I}", "version",
							    fsha_version_format(&version, text),
							    "size", (json_int_t)size)));
	return result;
}

static int get(const struct arguments *a)
{
	bool json = a->options->json && value_file_is_standard(a->words[3]);
	struct arguments copy = *a;
	fsha_error error = FSHA_ERROR_INIT;

	return end(a, look(a, json ? get_json : get_value, &copy, &error), &error);
}

/* ---- exists, ls, rm ---- */

static fsha_result exists_value(fsha_state_store *store, void *ctx, fsha_error *reterr)
{
	const struct arguments *a = ctx;
	fsha_version version;
	fsha_result result;

	result = fsha_state_store_exists(store, a->words[2], &version, reterr);
	if (result != FSHA_OK)
		return result;
	if (!fsha_version_is_existing(&version))
		return cli_error_set(reterr, FSHA_E_NOT_FOUND, 0,
				     "there is no '%.200s' in '%.200s'", a->words[2], a->words[0]);
	print_version(a, &version);
	return FSHA_OK;
}

static int exists(const struct arguments *a)
{
	struct arguments copy = *a;
	fsha_error error = FSHA_ERROR_INIT;

	return end(a, look(a, exists_value, &copy, &error), &error);
}

/* "encoded" is there only when some name needs it, and then null for the others. */
static void print_names(char **names, size_t count)
{
	json_t *list = json_array(), *encoded = json_array(), *text;
	bool any = false;
	json_t *whole;

	for (size_t i = 0; i < count; i++) {
		text = cli_output_encoded(names[i]);
		any = any || text;
		(void)json_array_append_new(encoded, text ? text : json_null());
		(void)json_array_append_new(list, cli_output_text(names[i]));
	}
	whole = json_pack("{s:o}", "names", list);
	if (any)
		(void)json_object_set(whole, "encoded", encoded);
	json_decref(encoded);
	cli_output_json(whole);
}

static fsha_result ls_values(fsha_state_store *store, void *ctx, fsha_error *reterr)
{
	const struct arguments *a = ctx;
	char clean[4 * FSHA_NAME_MAX];
	fsha_result result;
	char **names;
	size_t count;

	result = fsha_state_store_list(store, &names, &count, reterr);
	if (result != FSHA_OK)
		return result;
	for (size_t i = 0; !a->options->json && i < count; i++) {
		cli_output_clean(names[i], clean, sizeof(clean));
		puts(clean);
	}
	if (a->options->json)
		print_names(names, count);
	fsha_free(names);
	return FSHA_OK;
}

static int ls(const struct arguments *a)
{
	struct arguments copy = *a;
	fsha_error error = FSHA_ERROR_INIT;

	return end(a, look(a, ls_values, &copy, &error), &error);
}

static fsha_result rm_value(fsha_state_store *store, void *ctx, fsha_error *reterr)
{
	const struct arguments *a = ctx;

	return fsha_state_store_remove(store, a->words[2], NULL, reterr);
}

static int rm(const struct arguments *a)
{
	struct arguments copy = *a;
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result = change(a, rm_value, &copy, &error);

	if (result == FSHA_OK && a->options->json)
		cli_output_json_line(with_name(a, json_pack("{s:s}", "done", "rm")));
	return end(a, result, &error);
}

/* ---- The command ---- */

static const struct action actions[] = {
	{ "put", 3, 4, put }, { "get", 3, 4, get }, { "exists", 3, 3, exists },
	{ "ls", 2, 2, ls },   { "rm", 3, 3, rm },
};

static int usage(const char *format, const char *text)
{
	(void)cli_options_error(format, text);
	return CLI_EXIT_USAGE;
}

int state_main(int argc, char **argv, struct cli_options *options)
{
	struct arguments a = { .options = options };
	const char *inside = getenv("FSHA_ELECTION");
	const struct action *action = NULL;

	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &a) != 0)
		return CLI_EXIT_USAGE;
	if (!a.election)
		a.election = inside && *inside ? inside : FSHA_ELECTION_DISPATCHER;
	if (a.count < 2)
		return usage("%s", "say what to do: state NAMESPACE put, get, exists, ls or rm");
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(a.words[1], actions[i].name) == 0)
			action = &actions[i];
	if (!action)
		return usage("there is no 'state NAMESPACE %.100s': put, get, exists, ls or rm",
			     a.words[1]);
	if (a.count < action->words_min)
		return usage("'state NAMESPACE %s' needs a NAME", action->name);
	if (a.count > action->words_max)
		return usage("too many arguments for 'state NAMESPACE %s'", action->name);
	if ((a.new || a.versioned) && action->run != put)
		return usage("%s", "--new and --if-version are for put");
	if (a.new &&a.versioned)
		return usage("%s", "--new and --if-version exclude each other");
	return action->run(&a);
}
