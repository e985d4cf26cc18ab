/*
 * The right to write from the command line. Inside `fsha run` it is the leader's own term, which
 * the environment names; elsewhere it is a short term of office, refused while somebody leads.
 */
#ifndef SRC_CLI_OFFICE_H
#define SRC_CLI_OFFICE_H

#include "src/cli/cli_options.h"

struct office {
	fsha_services *services;
	fsha_election *election; /* NULL: inside another's term, or only reading */
	bool attached;
};

/* For reading: takes part in nothing. */
fsha_result office_open_to_read(struct office *ret_office, const struct cli_options *options,
				fsha_error *reterr);
/*
 * FSHA_E_FENCED: the term in the environment is over. FSHA_E_NOT_LEADER: somebody leads `election`.
 */
fsha_result office_open(struct office *ret_office, const struct cli_options *options,
			const char *election, fsha_error *reterr);
/* What a write in office means: a term of others that ran out under it is over, hence FENCED. */
fsha_result office_judge(const struct office *office, fsha_result result, fsha_error *reterr);
/* Resigns. What was written stays written, so nothing is reported. */
void office_close(struct office *office);

#endif
