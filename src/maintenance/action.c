#include "src/maintenance/action.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fsha/election.h"
#include "fsutil/fsu_path.h"
#include "src/result/error.h"

#define MESSAGE_SIZE 700
/* A holder that died is known to be dead after 1.25 leases; then it is claimed and fenced. */
#define LEASES_TO_WAIT 3

const char *fsha_action_outcome_name(int outcome)
{
	static const char *const names[FSHA_ACTION_OUTCOMES] = { "done", "planned", "left",
								 "failed" };

	return outcome >= 0 && outcome < FSHA_ACTION_OUTCOMES ? names[outcome] : "unknown";
}

void actions_tell(struct actions *a, fsha_action_outcome outcome, enum finding_code code,
		  const char *path, const char *format, ...)
{
	char message[MESSAGE_SIZE];
	const fsha_action action = {
		.struct_size = sizeof(action),
		.outcome = (int32_t)outcome,
		.code = finding_type(code)->name,
		.path = path,
		.message = message,
	};
	va_list args;

	a->summary.actions[outcome]++;
	if (a->found)
		findings_mark_told(a->found, path);
	if (!a->visit)
		return;
	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (a->visit(a->ctx, &action) != 0)
		a->visit = NULL;
}

void actions_fail(struct actions *a, enum finding_code code, const char *path,
		  const fsha_error *error)
{
	if (a->error.result == FSHA_OK)
		a->error = *error;
	actions_tell(a, FSHA_ACTION_FAILED, code, path, "%s", error->message);
}

fsha_result actions_end(const struct actions *a, fsha_maintenance_summary *ret_summary,
			fsha_error *reterr)
{
	if (ret_summary)
		*ret_summary = a->summary;
	return a->error.result == FSHA_OK ? FSHA_OK : error_copy(reterr, &a->error);
}

fsha_result tenancy_take(struct fsha_services *s, const char *election, struct tenancy *ret_tenancy,
			 fsha_error *reterr)
{
	struct tenancy tenancy = { .term = services_term(s, election) };
	char name[FSU_NAME_MAX + 1];
	fsha_result result;
	fsha_uuid session;
	size_t len;

	if (tenancy.term && term_is_live(tenancy.term)) {
		*ret_tenancy = tenancy;
		return FSHA_OK;
	}
	term_unref(tenancy.term);
	if (fsu_path_decode(election, strlen(election), name, &len) < 0)
		return error_set(reterr, FSHA_E_INVALID, 0, "acquire", "'%s' is no election's name",
				 election);
	result = fsha_election_acquire(s, name, LEASES_TO_WAIT * s->cluster.lease_ms,
				       &tenancy.election, &session, reterr);
	if (result != FSHA_OK)
		return result;
	tenancy.term = services_term(s, election);
	if (!tenancy.term || !term_is_live(tenancy.term)) {
		tenancy_end(&tenancy);
		return error_set(reterr, FSHA_E_NOT_LEADER, 0, "acquire",
				 "the term of '%s' was over as soon as it began", election);
	}
	*ret_tenancy = tenancy;
	return FSHA_OK;
}

void tenancy_end(struct tenancy *tenancy)
{
	term_unref(tenancy->term);
	tenancy->term = NULL;
	/* What was done is done; a resignation that fails is tried again in the background. */
	(void)fsha_election_close(tenancy->election, NULL);
	tenancy->election = NULL;
}
