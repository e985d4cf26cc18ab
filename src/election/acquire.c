/* A short term of office, for tools: fsha_election_acquire. */
#include <errno.h>
#include <string.h>

#include "fsutil/fsu_path.h"
#include "src/election/claim.h"
#include "src/election/election.h"
#include "src/result/error.h"

static void on_grant(void *ctx, const fsha_uuid *session, uint64_t epoch)
{
	(void)ctx;
	(void)session;
	(void)epoch; /* the waiter asks fsha_election_term */
}

static void on_revoke(void *ctx)
{
	(void)ctx; /* every write of the holder says so */
}

static fsha_result somebody_leads(struct fsha_services *s, const char *component,
				  fsha_error *reterr)
{
	struct leader leader;

	if (leader_read(&s->cluster, component, &leader, NULL) == FSHA_OK &&
	    leader.state == LEADER_CONFIRMED)
		return error_set(
			reterr, FSHA_E_NOT_LEADER, 0, "acquire",
			"'%s' is led by '%s' (epoch %llu): write through it, or stop it first",
			component, leader.address, (unsigned long long)leader.epoch);
	return error_set(reterr, FSHA_E_NOT_LEADER, 0, "acquire",
			 "'%s' is led by another process: write through it, or stop it first",
			 component);
}

/*
 * Before anything is joined or made: is there a leader whose heart beats? A lock that is held may
 * be that of a stopped process. What is not known after half a lease, the contender finds out.
 */
static fsha_result check_holder(struct fsha_services *s, const char *component, fsha_error *reterr)
{
	int64_t lease_ns = cluster_lease_ns(&s->cluster);
	int64_t until_ns = fsu_now_ns(services_fs(s)) + lease_ns / 2;
	struct member_watch watch;
	struct fsu_list list;
	struct epoch now;
	fsha_result result;
	bool beats;
	int fd, r;

	result = claim_open_election(&s->cluster, component, false, &fd, reterr);
	if (result == FSHA_E_NOT_FOUND)
		return FSHA_OK;
	if (result != FSHA_OK)
		return result;
	fsu_list_init(&list, services_fs(s));
	r = epoch_read(&s->cluster, fd, &list, &now);
	fsu_list_done(&list);
	(void)fsu_close(services_fs(s), fd); /* a directory */
	if (r < 0 || epoch_is_vacant(&now))
		return FSHA_OK; /* the contender reports what is wrong with it */
	member_watch_init(&watch, &s->cluster, &now.member);
	while (!member_verdict_is_dead(member_watch_look(&watch)) && !watch.beat_changed &&
	       fsu_now_ns(services_fs(s)) < until_ns)
		fsu_sleep(services_fs(s), lease_ns / 50);
	beats = watch.beat_changed && watch.verdict == MEMBER_ALIVE;
	member_watch_done(&watch);
	return beats ? somebody_leads(s, component, reterr) : FSHA_OK;
}

fsha_result fsha_election_acquire(fsha_services *s, const char *name, uint32_t timeout_ms,
				  fsha_election **ret_election, fsha_uuid *ret_session,
				  fsha_error *reterr)
{
	const fsha_contender contender = {
		.struct_size = sizeof(contender),
		.grant_leadership = on_grant,
		.revoke_leadership = on_revoke,
	};
	char component[FSU_COMPONENT_MAX + 1];
	struct fsha_election *e;
	fsha_result result;
	int64_t deadline_ns;
	bool leads, led_by_other;

	if (!s || !ret_election || !ret_session)
		return error_set(reterr, FSHA_E_INVALID, 0, "acquire", "an argument is NULL");
	result = services_encode_election(name, component, reterr);
	deadline_ns = fsu_now_ns(services_fs(s)) + (int64_t)timeout_ms * FSU_NS_PER_MS;
	if (result == FSHA_OK && !s->standalone)
		result = check_holder(s, component, reterr);
	if (result == FSHA_OK)
		result = fsha_election_start(s, name, &contender, &e, reterr);
	if (result != FSHA_OK)
		return result;
	services_lock(s);
	do {
		leads = election_leads(e);
		/* A lock that is held may be that of a stopped process: only a heartbeat is life.
		 */
		led_by_other = !e->term && e->holder_beats;
		/* Not has_error: that is the executor's, who may have been faster. */
		if (leads || led_by_other || e->error.result != FSHA_OK)
			break;
	} while (services_wait(s, deadline_ns));
	if (leads && e->term) {
		memcpy(ret_session, election_session(e), sizeof(*ret_session));
		result = FSHA_OK;
	} else if (led_by_other) {
		result = FSHA_E_NOT_LEADER;
	} else if (e->error.result != FSHA_OK) {
		result = error_copy(reterr, &e->error);
	} else {
		result = error_set(reterr, FSHA_E_TIMEOUT, 0, "acquire",
				   "could not become the leader of '%s' within %u ms: its former "
				   "leader's lease may not have run out yet",
				   component, timeout_ms);
	}
	services_unlock(s);
	if (result != FSHA_OK) {
		(void)fsha_election_close(e, NULL);
		return result == FSHA_E_NOT_LEADER ? somebody_leads(s, component, reterr) : result;
	}
	*ret_election = e;
	return FSHA_OK;
}
