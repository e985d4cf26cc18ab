/* What the files of `fsha worker` share. */
#ifndef SRC_CLI_WORKER_H
#define SRC_CLI_WORKER_H

#include "src/cli/cli_options.h"
#include "src/cli/office.h"

struct worker_arguments {
	struct cli_options *options;
	const char *state, *slave, *host; /* of put; NULL: not given */
	char **words;                     /* words[0] is the action */
	size_t count;
};

/* An open store in office; worker_close it. */
struct worker_office {
	struct office office;
	fsha_worker_store *store;
};
fsha_result worker_open(struct worker_office *ret_office, const struct worker_arguments *a,
			bool to_write, fsha_error *reterr);
void worker_close(struct worker_office *office);
/* {"done": what, "task": task_id or nothing, ...}, with --json. */
void worker_print_done(const struct worker_arguments *a, const char *what, const char *task_id);
/* The exit code of a command that ended with `result`. */
int worker_end(const struct worker_arguments *a, fsha_result result, const fsha_error *error);

/* ---- worker_framework.c: each an action, which returns the exit code ---- */

int worker_framework_id(const struct worker_arguments *a);
int worker_next_id(const struct worker_arguments *a);
int worker_backup(const struct worker_arguments *a);
int worker_restore(const struct worker_arguments *a);

#endif
