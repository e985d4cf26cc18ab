/*
 * Watchers: a thread for each member that holds something this process contends for, because a look
 * may hang and must not keep the others from being looked at.
 */
#include <errno.h>
#include <string.h>

#include "fsutil/fsu_page.h"
#include "src/election/election.h"
#include "src/retrieval/poller.h"

struct watcher {
	struct watcher *next;
	struct worker worker;
	struct member_watch watch; /* the thread's own */
	/* Under the mutex: */
	enum member_verdict verdict;
	bool may_live;
	bool beating; /* its heartbeat was seen to advance */
	bool ending;  /* the thread looks no more: not to be asked */
};

static struct watcher *watcher_of(struct worker *w)
{
	return (struct watcher *)((char *)w - offsetof(struct watcher, worker));
}

/* Does any election still wait for this member? Under the mutex. */
static bool is_wanted(const struct fsha_services *s, const struct fsu_uuid *member)
{
	for (const struct fsha_election *e = s->elections; e; e = e->next)
		if (!e->term && !e->closing && fsu_uuid_equal(&e->holder, member))
			return true;
	return retriever_wants(s, member);
}

/* Tell the elections that wait for it. Under the mutex. */
static void tell(struct fsha_services *s, const struct watcher *w)
{
	for (struct fsha_election *e = s->elections; e; e = e->next)
		if (fsu_uuid_equal(&e->holder, &w->watch.id))
			election_poke(e);
}

/* Its lock file was closed: the lock itself is let go a moment later, so ask until it is. */
static void look_closely(struct watcher *w)
{
	const struct fsu *fs = w->watch.cluster->fs;
	int64_t pause_ns = FSU_NS_PER_MS / 20;

	(void)fsu_notify_drain(fs, w->watch.notify_fd);
	for (int i = 0; i < 40 && !member_verdict_is_dead(w->watch.verdict); i++) {
		(void)member_watch_look_at_lock(&w->watch);
		if (w->watch.verdict == MEMBER_DEAD_LOCK)
			break;
		fsu_sleep(fs, pause_ns);
		if (pause_ns < 5 * FSU_NS_PER_MS)
			pause_ns += pause_ns / 4;
	}
}

static int64_t interval_ns(const struct fsha_services *s, const struct watcher *w)
{
	int64_t lease = cluster_lease_ns(&s->cluster);
	int64_t poll = s->poll_ns ? s->poll_ns : 200 * FSU_NS_PER_MS;

	/* Where a close wakes us, looking is only for the heartbeat. */
	if (w->watch.notify_fd >= 0)
		return lease / 10;
	return poll < lease / 10 ? poll : lease / 10;
}

static void watcher_run(struct worker *worker)
{
	struct watcher *w = watcher_of(worker);
	struct fsha_services *s = worker->services;
	const struct fsu *fs = services_fs(s);
	int64_t unwanted_since_ns = 0;

	for (;;) {
		enum member_verdict verdict = member_watch_look(&w->watch);
		int64_t now_ns = fsu_now_ns(fs);
		bool ending;

		services_lock(s);
		if (verdict != w->verdict || w->watch.beat_changed != w->beating) {
			w->verdict = verdict;
			w->may_live = member_watch_may_live(&w->watch);
			w->beating = w->watch.beat_changed;
			tell(s, w);
		}
		if (is_wanted(s, &w->watch.id))
			unwanted_since_ns = 0;
		else if (!unwanted_since_ns)
			unwanted_since_ns = now_ns;
		/* For a while it may be asked for again: elections change hands one by one. */
		w->ending =
			s->closing || (unwanted_since_ns &&
				       now_ns - unwanted_since_ns > cluster_lease_ns(&s->cluster));
		ending = w->ending;
		services_unlock(s);
		if (ending)
			break;
		if (worker_wait(worker, w->watch.notify_fd, now_ns + interval_ns(s, w)))
			look_closely(w);
	}
	member_watch_done(&w->watch);
}

/*
 * Those whose thread has ended and that nobody wants are freed when the list is looked through.
 * Under the mutex.
 */
static void reap(struct fsha_services *s)
{
	struct watcher **p = &s->watchers;

	while (*p) {
		struct watcher *w = *p;

		if (!w->worker.ended) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		fsu_fd_close(w->worker.event_fd);
		fsu_release(services_fs(s), w);
	}
}

struct watcher_answer watcher_ask(struct fsha_services *s, const struct fsu_uuid *member)
{
	const struct watcher_answer unknown = { .verdict = MEMBER_UNKNOWN };
	struct watcher *w;

	reap(s);
	for (w = s->watchers; w; w = w->next)
		if (!w->ending && fsu_uuid_equal(&w->watch.id, member))
			return (struct watcher_answer){ w->verdict, w->may_live, w->beating };
	w = fsu_alloc(services_fs(s), sizeof(*w));
	if (!w)
		return unknown; /* the next step, a lease later at the latest, asks again */
	w->worker.event_fd = -1;
	w->verdict = MEMBER_UNKNOWN;
	member_watch_init(&w->watch, &s->cluster, member);
	if (worker_start(s, &w->worker, watcher_run) < 0) {
		fsu_release(services_fs(s), w);
		return unknown;
	}
	w->next = s->watchers;
	s->watchers = w;
	return unknown;
}

void watcher_wake_all(struct fsha_services *s)
{
	for (struct watcher *w = s->watchers; w; w = w->next)
		worker_wake(&w->worker);
}

bool watcher_all_ended(const struct fsha_services *s)
{
	for (const struct watcher *w = s->watchers; w; w = w->next)
		if (!w->worker.ended)
			return false;
	return true;
}

void watcher_destroy_all(struct fsha_services *s)
{
	reap(s);
}
