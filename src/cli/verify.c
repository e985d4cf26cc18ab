/* fsha verify: is the cluster directory sound? */
#include <stdio.h>
#include <string.h>

#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"
#include "src/cli/commands.h"

struct arguments {
	struct cli_options *options;
	bool all;
};

enum {
	KEY_ALL = 0x200
};

static const struct argp_option fields[] = {
	{ "all", KEY_ALL, NULL, 0, "tell also what is as it is meant to be (info)", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha verify");
	case KEY_ALL:
		a->all = true;
		return 0;
	case ARGP_KEY_ARG:
		return cli_options_error("verify takes no argument: '%.100s'", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = fields,
	.parser = parse,
	.doc = "Read the whole cluster directory, also while the cluster runs: every name, every "
	       "record with its checksum, and what must hold between them. Changes nothing."
	       "\vExit code: that of the worst finding, 0 none or info, 1 warning, 2 error, "
	       "3 critical; 120 and above when it could not be verified. With --json all findings "
	       "are told.",
	.children = cli_options_children,
};

struct report {
	const struct arguments *arguments;
	json_t *findings; /* NULL: as text */
};

static void print_text(const fsha_finding *f)
{
	char path[800], message[700];

	cli_output_clean(f->path[0] ? f->path : ".", path, sizeof(path));
	cli_output_clean(f->message, message, sizeof(message));
	printf("%s %s: %s\n    %s\n    %s\n", fsha_severity_name(f->severity), f->code, path,
	       message, f->advice);
}

static int take(void *ctx, const fsha_finding *f)
{
	struct report *r = ctx;

	if (r->findings)
		json_array_append_new(r->findings,
				      json_pack("{s:s, s:s, s:o, s:o, s:s}", "severity",
						fsha_severity_name(f->severity), "code", f->code,
						"path", cli_output_text(f->path), "message",
						cli_output_text(f->message), "advice", f->advice));
	else if (r->arguments->all || f->severity > FSHA_SEVERITY_INFO)
		print_text(f);
	return 0;
}

static void print_summary(const struct report *r, const fsha_verify_summary *s)
{
	if (r->findings) {
		cli_output_json(json_pack(
			"{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "findings", r->findings,
			"critical", (json_int_t)s->findings[FSHA_SEVERITY_CRITICAL], "error",
			(json_int_t)s->findings[FSHA_SEVERITY_ERROR], "warning",
			(json_int_t)s->findings[FSHA_SEVERITY_WARNING], "info",
			(json_int_t)s->findings[FSHA_SEVERITY_INFO], "not_told",
			(json_int_t)s->not_told, "names", (json_int_t)s->names, "records",
			(json_int_t)s->records, "bytes", (json_int_t)s->bytes));
		return;
	}
	printf("%llu names, %llu records with %llu bytes: %llu critical, %llu errors, %llu "
	       "warnings, %llu info\n",
	       (unsigned long long)s->names, (unsigned long long)s->records,
	       (unsigned long long)s->bytes,
	       (unsigned long long)s->findings[FSHA_SEVERITY_CRITICAL],
	       (unsigned long long)s->findings[FSHA_SEVERITY_ERROR],
	       (unsigned long long)s->findings[FSHA_SEVERITY_WARNING],
	       (unsigned long long)s->findings[FSHA_SEVERITY_INFO]);
	if (s->not_told)
		printf("%llu more findings are counted and not told\n",
		       (unsigned long long)s->not_told);
}

/* The worst severity is the exit code. */
static int judge(const fsha_verify_summary *s)
{
	int worst = FSHA_SEVERITIES - 1;

	while (worst > 0 && s->findings[worst] == 0)
		worst--;
	return worst;
}

int verify_main(int argc, char **argv, struct cli_options *options)
{
	fsha_verify_summary summary = FSHA_VERIFY_SUMMARY_INIT;
	struct arguments a = { .options = options };
	struct report report = { .arguments = &a };
	fsha_error error = FSHA_ERROR_INIT;
	fsha_config *config = NULL;
	fsha_result result;
	int end;

	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &a) != 0)
		return CLI_EXIT_USAGE;
	result = cli_options_config(options, &config, &error);
	if (options->json)
		report.findings = json_array();
	if (result == FSHA_OK)
		result = fsha_verify(config, take, &report, &summary, &error);
	fsha_config_destroy(config);
	if (result != FSHA_OK) {
		json_decref(report.findings);
		return cli_error_print(&error, options->json);
	}
	print_summary(&report, &summary);
	end = cli_output_end();
	return end == CLI_EXIT_OK ? judge(&summary) : end;
}
