#include "src/cli/cli_actions.h"

#include <stdio.h>

#include "src/cli/cli_error.h"
#include "src/cli/cli_output.h"

void cli_actions_init(struct cli_actions *actions, bool json)
{
	actions->list = json ? json_array() : NULL;
}

int cli_actions_take(void *ctx, const fsha_action *a)
{
	struct cli_actions *actions = ctx;
	char path[800], message[800];

	if (actions->list) {
		json_array_append_new(actions->list,
				      json_pack("{s:s, s:s, s:o, s:o}", "outcome",
						fsha_action_outcome_name(a->outcome), "code",
						a->code, "path", cli_output_text(a->path),
						"message", cli_output_text(a->message)));
		return 0;
	}
	cli_output_clean(a->path, path, sizeof(path));
	cli_output_clean(a->message, message, sizeof(message));
	printf("%s %s: %s: %s\n", fsha_action_outcome_name(a->outcome), a->code, path, message);
	return 0;
}

int cli_actions_end(struct cli_actions *actions, const fsha_maintenance_summary *s,
		    fsha_result result, const fsha_error *error)
{
	int end;

	if (actions->list)
		cli_output_json(json_pack("{s:o, s:I, s:I, s:I, s:I}", "actions", actions->list,
					  "done", (json_int_t)s->actions[FSHA_ACTION_DONE],
					  "planned", (json_int_t)s->actions[FSHA_ACTION_PLANNED],
					  "left", (json_int_t)s->actions[FSHA_ACTION_LEFT],
					  "failed", (json_int_t)s->actions[FSHA_ACTION_FAILED]));
	else
		printf("%llu done, %llu planned, %llu left, %llu failed\n",
		       (unsigned long long)s->actions[FSHA_ACTION_DONE],
		       (unsigned long long)s->actions[FSHA_ACTION_PLANNED],
		       (unsigned long long)s->actions[FSHA_ACTION_LEFT],
		       (unsigned long long)s->actions[FSHA_ACTION_FAILED]);
	end = cli_output_end();
	/* stdout has its one document already. */
	return result == FSHA_OK ? end : cli_error_print(error, false);
}
