/*
 * The claimer: one thread that takes every step of every election of this process. A step looks at
 * the election directory and does what is due: claim, publish, resign. It may hang with the
 * filesystem; nothing else waits for it.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/election/claim.h"
#include "src/election/election.h"
#include "src/record/name.h"
#include "src/result/error.h"

/* A member that keeps beating while it is expelled is looked at again; it beats five times a lease.
 */
#define EXPEL_TRIES 100

static int64_t after(const struct fsha_services *s, int64_t ns)
{
	return fsu_now_ns(services_fs(s)) + ns;
}

static int64_t lease_ns(const struct fsha_services *s)
{
	return cluster_lease_ns(&s->cluster);
}

static void report(struct fsha_election *e, const char *event, const fsha_error *error)
{
	struct fsha_services *s = e->services;

	services_log(s, FSHA_LOG_WARNING, event, "election=%s result=%s message=\"%s\"",
		     e->component, fsha_result_name(error->result), error->message);
	services_lock(s);
	election_error(e, error);
	services_unlock(s);
}

/* ---- publishing ---- */

/* Put the leader record of a live term in place, as confirmed as it is by now. */
static void publish(struct fsha_election *e, struct term *term)
{
	struct fsha_services *s = e->services;
	fsha_error error = FSHA_ERROR_INIT;
	fsha_version version = { 0 }, floor;
	enum leader_state state;
	char address[FSHA_ADDRESS_MAX + 1] = "";
	fsha_result result;

	(void)pthread_mutex_lock(&e->publishing);
	services_lock(s);
	e->publish_due = false;
	state = e->confirmed ? LEADER_CONFIRMED : LEADER_GRANTED;
	if (e->confirmed)
		strcpy(address, e->address);
	floor = e->overwritten;
	e->overwritten = (fsha_version){ 0 };
	services_unlock(s);
	result = leader_publish(term, state, address, floor.sequence ? &floor : NULL, &version,
				&error);
	(void)pthread_mutex_unlock(&e->publishing);
	if (result != FSHA_OK && result != FSHA_E_FENCED && result != FSHA_E_NOT_LEADER)
		report(e, "publish_failed", &error);
	if (result != FSHA_E_FENCED)
		election_published(e, term, result, &version);
}

/* ---- resigning ---- */

/*
 * The epoch file would go on naming this member, which lives: nobody could lead. After half a lease
 * of trying the member itself is given up, and comes back as a new one.
 */
static bool give_up(struct fsha_election *e, const struct term *term)
{
	struct fsha_services *s = e->services;
	int64_t now_ns = fsu_now_ns(services_fs(s));

	if (!e->leaving_since_ns)
		e->leaving_since_ns = now_ns;
	if (now_ns - e->leaving_since_ns < lease_ns(s) / 2)
		return false;
	/* A former member needs no more: its lock is free, and its heartbeat has stopped. */
	services_lock(s);
	if (s->member && fsu_uuid_equal(&s->member->id, &term->epoch.member))
		lease_expire(&s->member->lease);
	services_unlock(s);
	worker_wake(&s->watchdog);
	worker_wake(&s->heartbeat);
	return true;
}

static int64_t resign(struct fsha_election *e, struct term *term)
{
	struct fsha_services *s = e->services;
	const int64_t begun_ns = fsu_now_ns(services_fs(s));
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result;

	/* Held from here on, so that a confirmation comes before or finds the term over. */
	(void)pthread_mutex_lock(&e->publishing);
	result = claim_vacate(term, &error);
	cluster_count(&s->cluster, FSHA_OPERATION_RESIGN, begun_ns, result);
	if (result == FSHA_OK)
		/* FENCED here only means that the successor is already at work. */
		(void)leader_publish(term, LEADER_NONE, "", NULL, NULL, NULL);
	(void)pthread_mutex_unlock(&e->publishing);
	if (result != FSHA_OK && result != FSHA_E_FENCED) {
		report(e, "resign_failed", &error);
		if (!give_up(e, term))
			return after(s, lease_ns(s) / 50);
	}
	claim_clean_up(term);
	services_log(s, FSHA_LOG_INFO, "resigned", "election=%s epoch=%llu", e->component,
		     (unsigned long long)term->epoch.number);
	services_lock(s);
	assert(e->term == term);
	e->term = NULL;
	e->resigning = false;
	e->leaving_since_ns = 0;
	services_unlock(s);
	term_unref(term);
	/* Another may have it now: whoever resigns does not come back at once. */
	e->stand_back_ns = after(s, lease_ns(s) / 5);
	return 0;
}

/* ---- leading ---- */

static const char *end_text(int end)
{
	switch (end) {
	case TERM_FENCED:
		return "fenced";
	case TERM_BROKEN:
		return "broken";
	default:
		return "expired";
	}
}

/* The term is over without our doing: forget it; the executor revokes. */
static void drop(struct fsha_election *e, struct term *term)
{
	struct fsha_services *s = e->services;

	services_log(s, FSHA_LOG_WARNING, "lost", "election=%s epoch=%llu why=%s", e->component,
		     (unsigned long long)term->epoch.number, end_text(atomic_load(&term->end)));
	services_lock(s);
	assert(e->term == term);
	e->term = NULL;
	executor_post(s, &e->task);
	services_unlock(s);
	term_unref(term);
}

/*
 * A record above ours although the epoch file names us: nobody who led wrote it. One of a later
 * epoch could not be outdone, so it is taken away; of our own epoch, ours goes above it.
 */
static void clear_overwritten(struct fsha_election *e, struct term *term)
{
	struct fsha_services *s = e->services;
	char file[NAME_SIZE];
	fsha_version v;

	services_lock(s);
	v = e->overwritten;
	if (v.epoch > term->epoch.number)
		e->overwritten = (fsha_version){ 0 };
	services_unlock(s);
	if (v.epoch <= term->epoch.number)
		return;
	services_log(s, FSHA_LOG_WARNING, "foreign_leader_record", "election=%s epoch=%llu",
		     e->component, (unsigned long long)v.epoch);
	for (enum name_form form = NAME_VALUE; form <= NAME_TOMBSTONE; form++) {
		name_format(e->component, &v, form, file);
		(void)term_discard(term, s->cluster.leaders_fd, file);
	}
}

/*
 * Once a lease a leader makes sure that the epoch file still names it. Returns when to look next.
 */
static int64_t lead(struct fsha_election *e, struct term *term)
{
	struct fsha_services *s = e->services;
	struct fsu_list list;
	struct epoch now;
	bool first, due;
	int r;

	services_lock(s);
	/* Being found comes first, but a record above ours may mean that we are fenced. */
	first = e->publish_due && !e->overwritten.sequence;
	services_unlock(s);
	if (first)
		publish(e, term);
	fsu_list_init(&list, services_fs(s));
	r = epoch_read(&s->cluster, e->dir_fd, &list, &now);
	fsu_list_done(&list);
	if (r == 0 && !epoch_equal(&now, &term->epoch)) {
		term_over(term, TERM_FENCED);
		return 0;
	}
	if (r == 0)
		clear_overwritten(e, term);
	services_lock(s);
	due = e->publish_due;
	services_unlock(s);
	if (r == 0 && due && !first)
		publish(e, term);
	return after(s, due || r < 0 ? lease_ns(s) / 50 : lease_ns(s));
}

/* ---- claiming ---- */

static void granted(struct fsha_election *e, struct term *term)
{
	struct fsha_services *s = e->services;

	services_log(s, FSHA_LOG_INFO, "elected", "election=%s epoch=%llu", e->component,
		     (unsigned long long)term->epoch.number);
	services_lock(s);
	assert(!e->term);
	e->term = term;
	e->grants++;
	e->confirmed = false;
	e->published = (fsha_version){ 0 };
	e->published_ns = 0;
	e->publish_due = true;
	e->history_due = true;
	executor_post(s, &e->task);
	services_unlock(s);
	worker_wake(&s->janitor);
}

static void on_fenced(void *ctx)
{
	struct fsha_services *s = ctx;

	/*
	 * Called from inside a commit, where the mutex may not be taken: the claimer looks at all
	 * its terms.
	 */
	worker_wake(&s->claimer);
}

/* Returns when to look next. */
static int64_t claim(struct fsha_election *e, struct member *member, const struct epoch *from,
		     const char *former_end)
{
	struct fsha_services *s = e->services;
	struct claim q = {
		.cluster = &s->cluster,
		.election_fd = e->dir_fd,
		.election = e->component,
		.member = &member->id,
		.lease = &member->lease,
		.from = *from,
		.former_end = former_end,
		.shared = s->options.flags & FSHA_SERVICES_SHARED_TERM,
	};
	const int64_t begun_ns = fsu_now_ns(services_fs(s));
	fsha_error error = FSHA_ERROR_INIT;
	struct term *term;
	fsha_result result;

	result = claim_run(&q, &term, &error);
	cluster_count(&s->cluster, FSHA_OPERATION_CLAIM, begun_ns, result);
	if (result == FSHA_OK) {
		term->on_fenced = on_fenced;
		term->on_fenced_ctx = s;
		granted(e, term);
		return 0;
	}
	if (result == FSHA_E_VERSION)
		return 0; /* another was faster: see who */
	report(e, "claim_failed", &error);
	return after(s, lease_ns(s) / 5);
}

static const char *verdict_end(enum member_verdict verdict)
{
	switch (verdict) {
	case MEMBER_DEAD_LOCK:
		return "lock released";
	case MEMBER_DEAD_BEAT:
		return "heartbeat stopped";
	default:
		return "member gone";
	}
}

/*
 * The holder is gone as far as can be seen, but may lead on by its own clock: it is kept from
 * renewing its lease, which then ends within a lease; a quarter more for the drift of clocks.
 * Before the swap, so that whoever claims has judged the holder that the epoch file names. Returns
 * until when to wait.
 */
static int64_t outwait(struct fsha_election *e, const struct epoch *now)
{
	struct fsha_services *s = e->services;
	fsha_error error = FSHA_ERROR_INIT;
	int r = -EAGAIN;

	if (e->outwait_until_ns && epoch_equal(&e->outwaited, now))
		return e->outwait_until_ns;
	for (int i = 0; i < EXPEL_TRIES && r == -EAGAIN; i++)
		r = member_expel(&s->cluster, &now->member);
	if (r < 0) {
		(void)error_os(&error, r, "rename", "cannot expel the former leader of '%s'",
			       e->component);
		report(e, "expel_failed", &error);
		return after(s, lease_ns(s) / 5);
	}
	e->outwaited = *now;
	e->outwait_until_ns = after(s, lease_ns(s) + lease_ns(s) / 4);
	return e->outwait_until_ns;
}

/* `list`: what its directory holds. */
static void look_failed(struct fsha_election *e, int r, const struct fsu_list *list)
{
	fsha_error error = FSHA_ERROR_INIT;

	if (r == -ENOENT && epoch_is_retired(list))
		(void)error_set(&error, FSHA_E_CORRUPT, 0, "list",
				"the removal of elections/%s was cut short: run 'fsha gc', which "
				"finishes it, while nothing contends for it",
				e->component);
	else if (r == -ENOENT)
		(void)error_set(&error, FSHA_E_CORRUPT, 0, "list",
				"elections/%s has lost its epoch file: make an empty file "
				"epoch-<16 hex digits above every epoch used>-<32 hex "
				"digits>-vacant",
				e->component);
	else
		(void)error_os(&error, r, "list", "cannot list elections/%s", e->component);
	report(e, "look_failed", &error);
}

/* Look who holds it, and claim it when nobody alive does. Returns when to look next. */
static int64_t stand_by(struct fsha_election *e, struct member *member)
{
	struct fsha_services *s = e->services;
	struct watcher_answer answer = { .verdict = MEMBER_UNKNOWN };
	int64_t until_ns;
	struct fsu_list list;
	bool own;
	struct epoch now;
	int r;

	fsu_list_init(&list, services_fs(s));
	r = epoch_read(&s->cluster, e->dir_fd, &list, &now);
	if (r < 0)
		look_failed(e, r, &list);
	fsu_list_done(&list);
	if (r < 0)
		return after(s, lease_ns(s) / 5);
	if (epoch_is_vacant(&now))
		return claim(e, member, &now, "resigned");

	services_lock(s);
	/*
	 * Named with a session that we do not lead: a claim of ours that was cut short, or a former
	 * life.
	 */
	own = heartbeat_is_own(s, &now.member);
	if (!own)
		answer = watcher_ask(s, &now.member);
	memset(&e->holder, 0, sizeof(e->holder));
	if (!own)
		e->holder = now.member;
	e->holder_beats = answer.beating && answer.verdict == MEMBER_ALIVE;
	(void)pthread_cond_broadcast(&s->changed);
	services_unlock(s);
	if (own)
		return claim(e, member, &now, "expired");
	if (!member_verdict_is_dead(answer.verdict))
		return after(s, lease_ns(s));
	until_ns = answer.may_live ? outwait(e, &now) : 0;
	if (until_ns > fsu_now_ns(services_fs(s)))
		return until_ns;
	return claim(e, member, &now, verdict_end(answer.verdict));
}

/* ---- the step ---- */

/* Show in the member's directory that it contends, so that people see the standbys. */
static void show(struct fsha_election *e, struct member *member)
{
	struct fsha_services *s = e->services;
	uint64_t number;

	member_stand(member, e->component, &number);
	services_lock(s);
	e->stands_as = member;
	e->stands_number = number;
	services_unlock(s);
}

static void hide(struct fsha_election *e)
{
	struct fsha_services *s = e->services;

	if (e->stands_as)
		member_stand_down(e->stands_as, e->component, e->stands_number);
	services_lock(s);
	e->stands_as = NULL;
	(void)pthread_cond_broadcast(&s->changed);
	services_unlock(s);
}

/*
 * A term is given up only when its contender has heard of it; then the election is poked. Under the
 * mutex.
 */
static bool waits_for_contender(const struct fsha_election *e)
{
	return (e->closing || e->resigning) && (e->told || e->calling) && !e->closed;
}

/* Returns when to look next; FSU_FOREVER: when poked. */
static int64_t step(struct fsha_election *e)
{
	struct fsha_services *s = e->services;
	struct member *member;
	struct term *term;
	bool closing, leaving, waits;

	services_lock(s);
	member = s->member;
	term = e->term;
	closing = e->closing;
	leaving = closing || e->resigning;
	waits = waits_for_contender(e);
	services_unlock(s);

	if (term && leaving)
		return waits ? FSU_FOREVER : resign(e, term);
	if (term && !term_is_live(term)) {
		drop(e, term);
		return 0;
	}
	if (term)
		return lead(e, term);
	if (closing) {
		hide(e);
		return FSU_FOREVER;
	}
	if (!member || !lease_is_alive(&member->lease))
		return FSU_FOREVER; /* the heartbeat thread joins anew, and pokes */
	if (e->stands_as != member)
		show(e, member);
	if (fsu_now_ns(services_fs(s)) < e->stand_back_ns)
		return e->stand_back_ns;
	return stand_by(e, member);
}

void claimer_step(struct fsha_election *e)
{
	struct fsha_services *s = e->services;
	int64_t due_ns = step(e);
	bool last;

	services_lock(s);
	e->stepping = false;
	/* A poke that came meanwhile counts. */
	if (due_ns < e->due_ns)
		e->due_ns = due_ns;
	last = e->abandoned && !e->term && !e->calling;
	if (last)
		election_unlist(e);
	(void)pthread_cond_broadcast(&s->changed);
	services_unlock(s);
	if (last)
		election_unref(e);
}

/* The election that is due first. Under the mutex. */
static struct fsha_election *first_due(const struct fsha_services *s)
{
	struct fsha_election *first = NULL;

	for (struct fsha_election *e = s->elections; e; e = e->next) {
		/* A term that ended by itself (fenced in a commit) is due at once. */
		if (e->term && atomic_load(&e->term->end) != TERM_LIVE && !waits_for_contender(e))
			e->due_ns = 0;
		if (!first || e->due_ns < first->due_ns)
			first = e;
	}
	return first;
}

void claimer_run(struct worker *w)
{
	struct fsha_services *s = w->services;

	services_lock(s);
	for (;;) {
		struct fsha_election *e = first_due(s);
		int64_t due_ns = e ? e->due_ns : FSU_FOREVER;

		if (e && due_ns <= fsu_now_ns(services_fs(s))) {
			e->stepping = true;
			e->due_ns = FSU_FOREVER;
			atomic_fetch_add(&e->refs, 1);
			services_unlock(s);
			claimer_step(e);
			election_unref(e);
			services_lock(s);
			continue;
		}
		if (s->closing && !s->elections)
			break;
		services_unlock(s);
		(void)worker_wait(w, -1, due_ns);
		services_lock(s);
	}
	services_unlock(s);
}
