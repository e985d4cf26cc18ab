/* The program behind `fsha backup` and `fsha restore`, which start it with their whole line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "src/archive/archive_file.h"
#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"
#include "src/cli/command_line.h"

#define PARTS_MAX 256
#define NS_PER_MS 1000000

struct arguments {
	struct cli_options *options;
	const char *file;
	const char *parts[PARTS_MAX];
	size_t part_count;
	uint32_t flags;
	int64_t timeout_ns;
	bool to_stdout;
};

static error_t take_file(struct arguments *a, const char *arg)
{
	if (a->file)
		return cli_options_error("%s takes one FILE", a->options->name);
	a->file = arg;
	return 0;
}

/* Of `damaged` has to be said what became of it: "left out 2 damaged". */
static void print_summary(const struct arguments *a, const char *done, const fsha_backup_summary *s,
			  const char *damaged, const char *more)
{
	/* Where the archive itself goes, nothing else does. */
	FILE *out = a->to_stdout ? stderr : stdout;

	if (a->options->json && out == stdout) {
		cli_output_json(json_pack("{s:s, s:I, s:I, s:I, s:I}", "file", a->file, "values",
					  (json_int_t)s->values, "bytes", (json_int_t)s->bytes,
					  "damaged", (json_int_t)s->damaged, "removed",
					  (json_int_t)s->removed));
		return;
	}
	fprintf(out, "%s %llu values, %llu bytes", done, (unsigned long long)s->values,
		(unsigned long long)s->bytes);
	if (s->removed)
		fprintf(out, ", removed %llu", (unsigned long long)s->removed);
	if (s->damaged)
		fprintf(out, ", %s %llu damaged", damaged, (unsigned long long)s->damaged);
	fprintf(out, "%s\n", more);
}

/* ---- fsha backup ---- */

static error_t parse_backup(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha backup");
	case 'e':
		a->flags |= FSHA_BACKUP_EACH_STORE;
		return 0;
	case 's':
		a->flags |= FSHA_BACKUP_SKIP_DAMAGED;
		return 0;
	case 't':
		if (cli_options_seconds("--timeout", arg, &a->timeout_ns) != 0)
			return EINVAL;
		if (a->timeout_ns < NS_PER_MS) /* 0 is the default for the library */
			return cli_options_error("--timeout '%s' is too short: 0.001 at least; "
						 "without it, it is 30",
						 arg);
		return 0;
	case ARGP_KEY_ARG:
		a->to_stdout = strcmp(arg, "-") == 0;
		return take_file(a, arg);
	case ARGP_KEY_NO_ARGS:
		return cli_options_error("backup needs a FILE, or - for standard output");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option backup_options[] = {
	{ "each-store", 'e', NULL, 0,
	  "each store as of one moment, but not all of the same; for clusters that never rest", 0 },
	{ "skip-damaged", 's', NULL, 0, "leave damaged values out instead of failing", 0 },
	{ "timeout", 't', "SECONDS", 0,
	  "how long to look for a moment of rest (30), and anew for what was overtaken", 0 },
	{ 0 },
};

static const struct argp backup_argp = {
	.options = backup_options,
	.parser = parse_backup,
	.args_doc = "FILE",
	.doc = "Save the values of all stores as of one moment, while the cluster runs, in one "
	       "tar.gz "
	       "with a manifest of checksums.",
	.children = cli_options_children,
};

static fsha_result save(const struct arguments *a, fsha_services *services, fsha_error *reterr)
{
	const fsha_backup_options options = {
		.struct_size = sizeof(options),
		.flags = a->flags,
		.timeout_ms = (uint32_t)(a->timeout_ns / NS_PER_MS),
	};
	fsha_backup_summary summary = FSHA_BACKUP_SUMMARY_INIT;
	struct archive_writer *writer;
	fsha_backup_sink sink;
	fsha_result result;

	result = archive_writer_open(&fsu_posix, a->file, &writer, reterr);
	if (result != FSHA_OK)
		return result;
	sink = archive_writer_sink(writer);
	result = fsha_backup_take(services, &options, &sink, &summary, reterr);
	if (result == FSHA_OK)
		result = archive_writer_finish(writer, reterr);
	archive_writer_close(writer);
	if (result == FSHA_OK)
		print_summary(a, "saved", &summary, "left out", "");
	return result;
}

/* ---- fsha restore ---- */

static error_t parse_restore(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha restore");
	case 'o':
		if (a->part_count == PARTS_MAX)
			return cli_options_error("--only may be given %d times", PARTS_MAX);
		a->parts[a->part_count++] = arg;
		return 0;
	case 'n':
		a->flags |= FSHA_RESTORE_DRY_RUN;
		return 0;
	case ARGP_KEY_ARG:
		return take_file(a, arg);
	case ARGP_KEY_NO_ARGS:
		return cli_options_error("restore needs a FILE, or - for standard input");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option restore_options[] = {
	{ "only", 'o', "PART", 0,
	  "this part: job_graphs, checkpoints/JOB, state/NAMESPACE, ...; may be repeated", 0 },
	{ "dry-run", 'n', NULL, 0, "verify the backup, change nothing", 0 },
	{ 0 },
};

static const struct argp restore_argp = {
	.options = restore_options,
	.parser = parse_restore,
	.args_doc = "FILE",
	.doc = "Make the stores what they were when FILE was saved; - is standard input. All of it "
	       "is verified first. "
	       "Refused while anybody leads in the cluster; stop what contends there before. An "
	       "interrupted restore leaves stores part old, part new: run it again.",
	.children = cli_options_children,
};

static fsha_result load(const struct arguments *a, fsha_services *services, fsha_error *reterr)
{
	const fsha_restore_options options = {
		.struct_size = sizeof(options),
		.flags = a->flags,
		.parts = a->part_count ? a->parts : NULL,
		.part_count = a->part_count,
	};
	const bool dry_run = a->flags & FSHA_RESTORE_DRY_RUN;
	fsha_backup_summary summary = FSHA_BACKUP_SUMMARY_INIT;
	struct archive_reader *reader;
	fsha_backup_source source;
	fsha_result result;

	result = archive_reader_open(&fsu_posix, a->file, &reader, reterr);
	if (result != FSHA_OK)
		return result;
	source = archive_reader_source(reader);
	result = fsha_backup_restore(services, &options, &source, &summary, reterr);
	archive_reader_close(reader);
	if (result == FSHA_OK)
		print_summary(a, dry_run ? "verified" : "restored", &summary, "moved to quarantine",
			      dry_run ? "; nothing was changed" : "");
	return result;
}

/* ---- Which it is ---- */

static int run(const struct argp *argp, int argc, char **argv, struct arguments *a,
	       fsha_result (*command)(const struct arguments *a, fsha_services *services,
				      fsha_error *reterr),
	       bool create)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_services *services;
	fsha_result result;

	if (argp_parse(argp, argc, argv, ARGP_NO_HELP, NULL, a) != 0)
		return CLI_EXIT_USAGE;
	if (cli_options_open(a->options,
			     create && !(a->flags & FSHA_RESTORE_DRY_RUN) ? 0 :
									    FSHA_SERVICES_NO_CREATE,
			     &services, &error) != FSHA_OK)
		return cli_error_print(&error, a->options->json);
	result = command(a, services, &error);
	(void)fsha_services_close(services, NULL); /* all that it did was done durably */
	return result == FSHA_OK ? cli_output_end() : cli_error_print(&error, a->options->json);
}

/*
 * Every store is open while a backup is taken, and every election while one is restored: both grow
 * with the cluster, and what a shell allows by default (1024) does not. Nothing here uses select.
 */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* then what needs more says so */
}

int main(int argc, char **argv)
{
	static struct cli_options options;
	static struct arguments a;
	bool json = cli_error_wants_json(argv);
	int at = command_line_parse(argc, argv, "Usage: fsha backup|restore FILE\n", &options);
	int code = CLI_EXIT_USAGE;

	raise_descriptor_limit();
	a.options = &options;
	if (at >= 0 && strcmp(argv[at], "backup") == 0)
		code = run(&backup_argp, argc - at, command_line_rename(argv + at), &a, save,
			   false);
	else if (at >= 0 && strcmp(argv[at], "restore") == 0)
		code = run(&restore_argp, argc - at, command_line_rename(argv + at), &a, load,
			   true);
	else if (at >= 0)
		(void)cli_options_error(
			"this is a part of fsha: run 'fsha backup' or 'fsha restore'");
	return cli_error_end(code, json || options.json);
}
