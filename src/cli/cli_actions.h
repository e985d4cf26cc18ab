/* What gc and repair did, as text or JSON. */
#ifndef SRC_CLI_ACTIONS_H
#define SRC_CLI_ACTIONS_H

#include <jansson.h>

#include "src/cli/cli_options.h"

struct cli_actions {
	json_t *list; /* NULL: as text */
};

void cli_actions_init(struct cli_actions *actions, bool json);
/* A visitor; `ctx` is a struct cli_actions. */
int cli_actions_take(void *ctx, const fsha_action *action);
/* The summary, and JSON as a whole. Returns the exit code, with `result` and `error` of the call.
 */
int cli_actions_end(struct cli_actions *actions, const fsha_maintenance_summary *summary,
		    fsha_result result, const fsha_error *error);

#endif
