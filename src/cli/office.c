#include "src/cli/office.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/cli_error.h"

/* A holder that died is known to be dead after 1.25 leases; then it is claimed and fenced. */
#define LEASES_TO_WAIT 3

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* Are we the child of a `fsha run` for this election, perhaps of another cluster? */
static bool is_child(const char *election)
{
	const char *inside = variable("FSHA_ELECTION");

	return inside && strcmp(inside, election) == 0 && variable("FSHA_SESSION");
}

static fsha_result malformed(const char *name, fsha_error *reterr)
{
	return cli_error_set(reterr, FSHA_E_CONFIG, 0,
			     "%s is missing or malformed: it comes from 'fsha run'", name);
}

static fsha_result read_term(fsha_shared_term *ret_term, fsha_uuid *ret_cluster, fsha_error *reterr)
{
	const char *epoch = variable("FSHA_EPOCH"), *path = variable("FSHA_LEASE_PATH");
	char *end;

	*ret_term = (fsha_shared_term){ .epoch = 0 };
	if (fsha_uuid_parse(variable("FSHA_SESSION"), &ret_term->session) != FSHA_OK)
		return malformed("FSHA_SESSION", reterr);
	errno = 0;
	ret_term->epoch = epoch ? strtoull(epoch, &end, 10) : 0;
	if (!epoch || errno || *end || epoch[0] < '0' || epoch[0] > '9')
		return malformed("FSHA_EPOCH", reterr);
	if (!path || strlen(path) >= sizeof(ret_term->lease_path))
		return malformed("FSHA_LEASE_PATH", reterr);
	strcpy(ret_term->lease_path, path);
	if (fsha_uuid_parse(variable("FSHA_CLUSTER_UUID"), ret_cluster) != FSHA_OK)
		return malformed("FSHA_CLUSTER_UUID", reterr);
	return FSHA_OK;
}

/*
 * Into the term of our parent, if it is of the cluster that is meant. Which one that is, the
 * directory itself tells: its path may be written in many ways. With another cluster, or none
 * there, nothing is opened.
 */
static fsha_result attach(struct office *o, const struct cli_options *options,
			  const fsha_config *config, const char *election, fsha_error *reterr)
{
	fsha_uuid ours, cluster;
	fsha_shared_term term;
	fsha_result result;

	result = read_term(&term, &ours, reterr);
	if (result == FSHA_OK)
		result = cli_options_open_with(options, config, FSHA_SERVICES_NO_CREATE,
					       &o->services, reterr);
	if (result == FSHA_E_NOT_FOUND)
		return FSHA_OK;
	if (result != FSHA_OK)
		return result;
	fsha_services_cluster_uuid(o->services, &cluster);
	if (fsha_uuid_equal(&ours, &cluster)) {
		o->attached = true;
		return fsha_services_attach(o->services, election, &term, reterr);
	}
	(void)fsha_services_close(o->services, NULL); /* it was not used */
	o->services = NULL;
	return FSHA_OK;
}

static fsha_result acquire(struct office *o, const struct cli_options *options,
			   const fsha_config *config, const char *election, fsha_error *reterr)
{
	fsha_result result;
	fsha_uuid session;

	result = cli_options_open_with(options, config, 0, &o->services, reterr);
	if (result != FSHA_OK)
		return result;
	return fsha_election_acquire(o->services, election,
				     LEASES_TO_WAIT * fsha_services_lease_ms(o->services),
				     &o->election, &session, reterr);
}

fsha_result office_open_to_read(struct office *ret_office, const struct cli_options *options,
				fsha_error *reterr)
{
	*ret_office = (struct office){ .attached = false };
	return cli_options_open(options, FSHA_SERVICES_NO_CREATE, &ret_office->services, reterr);
}

fsha_result office_open(struct office *ret_office, const struct cli_options *options,
			const char *election, fsha_error *reterr)
{
	struct office o = { .attached = false };
	fsha_config *config = NULL;
	fsha_result result;

	result = cli_options_config(options, &config, reterr);
	if (result != FSHA_OK)
		return result;
	if (is_child(election))
		result = attach(&o, options, config, election, reterr);
	if (result == FSHA_OK && !o.attached)
		result = acquire(&o, options, config, election, reterr);
	fsha_config_destroy(config);
	if (result != FSHA_OK) {
		office_close(&o);
		return result;
	}
	*ret_office = o;
	return FSHA_OK;
}

fsha_result office_judge(const struct office *office, fsha_result result, fsha_error *reterr)
{
	if (!office->attached || result != FSHA_E_NOT_LEADER)
		return result;
	reterr->result = FSHA_E_FENCED;
	return FSHA_E_FENCED;
}

void office_close(struct office *office)
{
	(void)fsha_election_close(office->election, NULL);
	(void)fsha_services_close(office->services, NULL);
}
