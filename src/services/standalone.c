#include "src/services/standalone.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fsha/election.h"
#include "fsha/utils.h"
#include "src/config/config.h"
#include "src/election/claim.h"
#include "src/result/error.h"

#define UNKNOWN "UNKNOWN" /* as Flink says */

struct standalone {
	fsha_config *config;
	struct fsu_uuid member; /* that nobody watches */
	struct lease lease;     /* for ever */
	/* Held while a term is made: there is one for each election. Before the services' mutex. */
	pthread_mutex_t beginning;
};

fsha_result standalone_create(struct fsha_services *s, const fsha_config *config,
			      fsha_error *reterr)
{
	const struct fsu *fs = services_fs(s);
	struct standalone *sa = fsu_alloc(fs, sizeof(*sa));
	int r = sa ? fsu_uuid_make(fs, &sa->member) : -ENOMEM;

	if (r == 0)
		r = lease_init(&sa->lease, fs, &sa->member, false);
	if (r < 0)
		goto fail;
	lease_begin(&sa->lease, 0, INT64_MAX);
	sa->config = config_copy(fs, config);
	r = sa->config ? -pthread_mutex_init(&sa->beginning, NULL) : -ENOMEM;
	if (r < 0) {
		fsha_config_destroy(sa->config);
		lease_done(&sa->lease);
		goto fail;
	}
	s->standalone = sa;
	return FSHA_OK;
fail:
	fsu_release(fs, sa);
	return error_os(reterr, r, "alloc", "cannot open the services");
}

void standalone_destroy(struct fsha_services *s)
{
	struct standalone *sa = s->standalone;

	if (!sa)
		return;
	(void)pthread_mutex_destroy(&sa->beginning);
	fsha_config_destroy(sa->config);
	lease_done(&sa->lease);
	fsu_release(services_fs(s), sa);
	s->standalone = NULL;
}

/* ---- terms ---- */

static fsha_result claim(struct fsha_services *s, const char *election, struct term **ret_term,
			 fsha_error *reterr)
{
	struct standalone *sa = s->standalone;
	struct claim q = {
		.cluster = &s->cluster,
		.election = election,
		.member = &sa->member,
		.lease = &sa->lease,
	};
	struct fsu_list list;
	fsha_result result;
	int r;

	result = claim_open_election(&s->cluster, election, true, &q.election_fd, reterr);
	if (result != FSHA_OK)
		return result;
	fsu_list_init(&list, services_fs(s));
	r = epoch_read(&s->cluster, q.election_fd, &list, &q.from);
	fsu_list_done(&list);
	if (r < 0)
		result = error_os(reterr, r, "list", "cannot lead '%s'", election);
	else
		result = claim_run(&q, ret_term, reterr);
	(void)fsu_close(services_fs(s), q.election_fd); /* a directory */
	return result;
}

fsha_result standalone_begin(struct fsha_services *s, const char *election, fsha_error *reterr)
{
	struct attached_term *a = NULL;
	fsha_result result = FSHA_OK;
	struct term *term;

	(void)pthread_mutex_lock(&s->standalone->beginning);
	term = services_term(s, election);
	if (term) {
		term_unref(term);
		goto out;
	}
	a = fsu_alloc(services_fs(s), sizeof(*a));
	if (!a)
		result = error_os(reterr, -ENOMEM, "alloc", "cannot lead '%s'", election);
	else
		result = claim(s, election, &a->term, reterr);
	if (result != FSHA_OK) {
		fsu_release(services_fs(s), a);
		goto out;
	}
	services_lock(s);
	a->next = s->attached;
	s->attached = a;
	services_unlock(s);
out:
	(void)pthread_mutex_unlock(&s->standalone->beginning);
	return result;
}

void standalone_clean(struct fsha_services *s)
{
	const int64_t until_ns = janitor_trash_until(s);
	struct attached_term *a;

	services_lock(s);
	a = s->attached;
	services_unlock(s);
	for (; a; a = a->next) /* they stay until the end */
		tenure_empty_trash_until(&s->cluster, a->term->election_fd, until_ns);
}

/* ---- addresses ---- */

fsha_result standalone_address(const struct fsha_services *s, const char *election,
			       char *ret_address, fsha_error *reterr)
{
	const fsha_config *config = s->standalone->config;
	char host[FSHA_HOST_SIZE];
	fsha_result result;
	uint16_t port;

	if (strcmp(election, FSHA_ELECTION_REST_ENDPOINT) == 0)
		return fsha_config_get_web_monitor_address(config, ret_address,
							   FSHA_ADDRESS_MAX + 1, reterr);
	if (strcmp(election, FSHA_ELECTION_RESOURCE_MANAGER) != 0 &&
	    strcmp(election, FSHA_ELECTION_DISPATCHER) != 0) {
		memcpy(ret_address, UNKNOWN, sizeof(UNKNOWN));
		return FSHA_OK;
	}
	result = fsha_config_get_job_manager_address(config, host, sizeof(host), &port, reterr);
	if (result == FSHA_OK)
		(void)snprintf(ret_address, FSHA_ADDRESS_MAX + 1,
			       strchr(host, ':') ? "[%s]:%" PRIu16 : "%s:%" PRIu16, host, port);
	return result;
}
