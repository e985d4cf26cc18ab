/* fsha metrics: how the cluster stands, for Prometheus. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"
#include "src/cli/commands.h"
#include "src/cli/unfinished.h"

#define NS_PER_MS 1000000

enum {
	KEY_VERIFY = 0x200
};

struct arguments {
	struct cli_options *options;
	const char *output;
	int64_t observe_ns;
	bool verify;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return cli_options_init(state, a->options, "fsha metrics");
	case 'o':
		a->output = arg;
		return 0;
	case 'O':
		return cli_options_seconds("--observe", arg, &a->observe_ns);
	case KEY_VERIFY:
		a->verify = true;
		return 0;
	case ARGP_KEY_ARG:
		return cli_options_error("metrics takes no argument: '%s'", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option own_options[] = {
	{ "output", 'o', "FILE", 0,
	  "write FILE, whole, instead of printing: for node_exporter's textfile collector", 0 },
	{ "observe", 'O', "SECONDS", 0,
	  "watch heartbeats for so long, so that stopped processes show (1.25 leases)", 0 },
	{ "verify", KEY_VERIFY, NULL, 0, "read every record, and tell what fsha verify finds", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = own_options,
	.parser = parse,
	.doc = "How the cluster stands, in Prometheus' text format: leaders, epochs, members, "
	       "stores, "
	       "free space. What a process of its own did is in fsha_metrics_text(3).",
	.children = cli_options_children,
};

static fsha_result cannot_write(const char *path, int os_errno, fsha_error *reterr)
{
	return cli_error_set(reterr, FSHA_E_IO, os_errno, "cannot write '%.150s': %s", path,
			     strerror(os_errno));
}

/* Whoever collects the file sees the old one or the new one, never a part. */
static fsha_result write_file(const char *path, const char *text, size_t size, fsha_error *reterr)
{
	char temporary[4096];
	int n = snprintf(temporary, sizeof(temporary), "%s.%ld.tmp", path, (long)getpid());
	int os_errno = 0;
	FILE *file;

	if (n < 0 || (size_t)n >= sizeof(temporary))
		return cli_error_set(reterr, FSHA_E_INVALID, 0, "'%.60s...' is too long", path);
	unfinished_begin(temporary);
	file = fopen(temporary, "we");
	if (!file || fwrite(text, 1, size, file) != size)
		os_errno = errno;
	if (file && fclose(file) != 0 && !os_errno)
		os_errno = errno;
	if (!os_errno && rename(temporary, path) != 0)
		os_errno = errno;
	if (os_errno && file)
		(void)unlink(temporary); /* an old FILE stays as it is */
	unfinished_end();
	return os_errno ? cannot_write(path, os_errno, reterr) : FSHA_OK;
}

/* ---- what verify finds ---- */

#define CODES_MAX 128

struct findings {
	size_t count;
	struct {
		const char *code; /* static: fsha/maintenance.h */
		int severity;
		unsigned long long count;
	} codes[CODES_MAX];
};

static int count_finding(void *ctx, const fsha_finding *f)
{
	struct findings *found = ctx;
	size_t i = 0;

	while (i < found->count && strcmp(found->codes[i].code, f->code) != 0)
		i++;
	if (i == CODES_MAX)
		return 0;
	if (i == found->count) {
		found->codes[found->count].code = f->code;
		found->codes[found->count++].severity = f->severity;
	}
	found->codes[i].count++;
	return 0;
}

static fsha_result add_findings(const fsha_config *config, fsha_services *services, FILE *out,
				fsha_error *reterr)
{
	fsha_cluster_status *status = NULL;
	struct findings found = { 0 };
	char cluster[FSHA_UUID_TEXT];
	fsha_result result;

	/* The label that all metrics of a cluster have. */
	result = fsha_status_read(services, 0, &status, reterr);
	if (result != FSHA_OK)
		return result;
	memcpy(cluster, status->cluster, sizeof(cluster));
	fsha_status_destroy(status);
	result = fsha_verify(config, count_finding, &found, NULL, reterr);
	if (result != FSHA_OK)
		return result;
	fputs("# HELP fsha_cluster_findings What fsha verify finds, by its codes.\n"
	      "# TYPE fsha_cluster_findings gauge\n",
	      out);
	for (size_t i = 0; i < found.count; i++)
		fprintf(out,
			"fsha_cluster_findings{cluster=\"%s\",severity=\"%s\",code=\"%s\"} "
			"%llu\n",
			cluster, fsha_severity_name(found.codes[i].severity), found.codes[i].code,
			found.codes[i].count);
	return FSHA_OK;
}

/* ---- the whole ---- */

static fsha_result add_cluster(const struct arguments *a, fsha_services *services, FILE *out,
			       fsha_error *reterr)
{
	fsha_result result;
	char *text;
	size_t size;

	result = fsha_metrics_cluster_text(services, (uint32_t)(a->observe_ns / NS_PER_MS), &text,
					   &size, reterr);
	if (result != FSHA_OK)
		return result;
	(void)fwrite(text, 1, size, out); /* whoever closes it tells when it failed */
	fsha_free(text);
	return FSHA_OK;
}

static fsha_result show(const struct arguments *a, const fsha_config *config,
			fsha_services *services, fsha_error *reterr)
{
	char *text = NULL;
	size_t size = 0;
	FILE *memory = open_memstream(&text, &size);
	fsha_result result;

	if (!memory)
		return cli_error_set(reterr, FSHA_E_NOMEM, errno, "cannot write the metrics");
	result = add_cluster(a, services, memory, reterr);
	if (result == FSHA_OK && a->verify)
		result = add_findings(config, services, memory, reterr);
	if (fclose(memory) != 0 && result == FSHA_OK)
		result = cli_error_set(reterr, FSHA_E_NOMEM, errno, "cannot write the metrics");
	if (result == FSHA_OK && a->output)
		result = write_file(a->output, text, size, reterr);
	else if (result == FSHA_OK)
		(void)fwrite(text, 1, size, stdout); /* cli_output_end tells when it failed */
	free(text);
	return result;
}

int metrics_main(int argc, char **argv, struct cli_options *options)
{
	struct arguments a = { .options = options };
	fsha_error error = FSHA_ERROR_INIT;
	fsha_config *config = NULL;
	fsha_services *services;
	fsha_result result;

	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &a) != 0)
		return CLI_EXIT_USAGE;
	if (options->json) {
		(void)cli_options_error("metrics are text for Prometheus: leave out --json, or use "
					"'fsha status --json' and 'fsha verify --json'");
		return CLI_EXIT_USAGE;
	}
	result = cli_options_config(options, &config, &error);
	if (result == FSHA_OK)
		result = cli_options_open_with(options, config, FSHA_SERVICES_NO_CREATE, &services,
					       &error);
	if (result == FSHA_OK) {
		result = show(&a, config, services, &error);
		(void)fsha_services_close(services, NULL); /* it only read */
	}
	fsha_config_destroy(config);
	return result == FSHA_OK ? cli_output_end() : cli_error_print(&error, options->json);
}
