/*
 * Two threads that keep the lease honest. The heartbeat renames the beat file and may hang with the
 * filesystem; the watchdog never touches a file and delivers the revocation when the lease runs
 * out.
 */
#include <errno.h>
#include <string.h>

#include "src/election/election.h"
#include "src/result/error.h"

static int64_t lease_ns(const struct fsha_services *s)
{
	return cluster_lease_ns(&s->cluster);
}

bool heartbeat_is_own(const struct fsha_services *s, const struct fsu_uuid *member)
{
	for (const struct member *m = s->member; m; m = m->former)
		if (fsu_uuid_equal(&m->id, member))
			return true;
	return false;
}

/* The new member in the place of the old one, and everybody at work again. */
static void install(struct fsha_services *s, struct member *member)
{
	services_lock(s);
	member->former = s->member;
	s->member = member;
	for (struct fsha_election *e = s->elections; e; e = e->next)
		election_poke(e);
	services_unlock(s);
	worker_wake(&s->watchdog);
	worker_wake(&s->heartbeat);
	services_log(s, FSHA_LOG_INFO, "joined", "member=%s", member->name);
}

fsha_result heartbeat_join(struct fsha_services *s, fsha_error *reterr)
{
	struct member *member;
	fsha_result result;

	services_lock(s);
	/* Two first elections at once: the second waits for the first to have joined. */
	while (s->joining)
		(void)services_wait(s, FSU_FOREVER);
	if (s->member) {
		services_unlock(s);
		return FSHA_OK;
	}
	s->joining = true;
	services_unlock(s);
	result = member_join(&s->cluster, s->options.flags & FSHA_SERVICES_SHARED_TERM, &member,
			     reterr);
	if (result == FSHA_OK)
		install(s, member);
	services_lock(s);
	s->joining = false;
	(void)pthread_cond_broadcast(&s->changed);
	services_unlock(s);
	return result;
}

/* The lease is over: every term of ours is, and every contender must hear of it. */
static void expire(struct fsha_services *s, struct member *member)
{
	lease_expire(&member->lease);
	services_lock(s);
	for (struct fsha_election *e = s->elections; e; e = e->next) {
		if (e->term)
			term_over(e->term, TERM_EXPIRED);
		executor_post(s, &e->task);
		election_poke(e);
	}
	services_unlock(s);
}

/* Lets go of its lock: others need not wait for a heartbeat that will not come. */
static void retire(struct fsha_services *s, struct member *member)
{
	struct fsu_lock lock;

	services_lock(s);
	lock = member->lock; /* nobody copies the descriptor from here on (fsha_services_guard_fds)
			      */
	member->lock.fd = -1;
	services_unlock(s);
	fsu_lock_release(services_fs(s), &lock);
	member_retire(member);
}

void heartbeat_leave(struct fsha_services *s)
{
	if (!s->member)
		return;
	lease_expire(&s->member->lease);
	retire(s, s->member);
	member_remove(&s->cluster, &s->member->id);
}

/* Come back as a new member after the old one expired. */
static int64_t rejoin(struct fsha_services *s, struct member *old)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct member *member;

	services_log(s, FSHA_LOG_WARNING, "expired", "member=%s", old->name);
	expire(s, old);
	retire(s, old);
	if (member_join(&s->cluster, s->options.flags & FSHA_SERVICES_SHARED_TERM, &member,
			&error) == FSHA_OK) {
		install(s, member);
		return 0;
	}
	services_lock(s);
	for (struct fsha_election *e = s->elections; e; e = e->next)
		election_error(e, &error);
	services_unlock(s);
	return fsu_now_ns(services_fs(s)) + lease_ns(s) / 5;
}

/* One beat. Returns when the next is due. */
static int64_t beat(struct fsha_services *s, struct member *member)
{
	int64_t start_ns = fsu_now_ns(services_fs(s));
	enum member_beat_result result = member_beat(member);

	cluster_count(&s->cluster, FSHA_OPERATION_HEARTBEAT, start_ns,
		      result == MEMBER_BEAT_OK     ? FSHA_OK :
		      result == MEMBER_BEAT_FAILED ? FSHA_E_IO :
						     FSHA_E_NOT_LEADER);
	switch (result) {
	case MEMBER_BEAT_OK:
		return start_ns + lease_ns(s) / 5;
	case MEMBER_BEAT_FAILED:
		/* Ridden out until the lease itself runs out, which is before any takeover. */
		services_log(s, FSHA_LOG_WARNING, "beat_failed", "member=%s", member->name);
		return start_ns + lease_ns(s) / 50;
	case MEMBER_BEAT_EXPIRED:
		break;
	}
	return rejoin(s, member);
}

void heartbeat_run(struct worker *w)
{
	struct fsha_services *s = w->services;
	int64_t due_ns = 0;

	for (;;) {
		struct member *member;
		bool closing;

		services_lock(s);
		member = s->member;
		/* Until the last election is closed the lease is needed. */
		closing = s->closing && !s->elections;
		services_unlock(s);
		if (closing)
			break;
		if (member && fsu_now_ns(services_fs(s)) >= due_ns)
			due_ns = lease_is_alive(&member->lease) || member->lock.fd >= 0 ?
					 beat(s, member) :
					 rejoin(s, member);
		(void)worker_wait(w, -1, member ? due_ns : FSU_FOREVER);
	}
	/*
	 * Here, and not in the thread that closes: its unlinks wait for the hosts that watched this
	 * member, and closing does not wait for ever.
	 */
	heartbeat_leave(s);
}

void watchdog_run(struct worker *w)
{
	struct fsha_services *s = w->services;

	for (;;) {
		int64_t deadline_ns = FSU_FOREVER;
		struct member *member;
		bool closing;

		services_lock(s);
		member = s->member;
		closing = s->closing && !s->elections;
		services_unlock(s);
		if (closing)
			break;
		if (member && lease_is_alive(&member->lease))
			deadline_ns = lease_deadline_ns(&member->lease);
		else if (member)
			expire(s, member);
		(void)worker_wait(w, -1, deadline_ns);
	}
}
