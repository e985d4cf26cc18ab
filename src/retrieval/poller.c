/* uthash gets its memory from the table: every function that adds or removes has a `view_fs`. */
#define uthash_malloc(size) fsu_alloc(view_fs, size)
#define uthash_free(ptr, size) fsu_release(view_fs, ptr)
#define HASH_NONFATAL_OOM 1

#include "src/retrieval/poller.h"

#include <errno.h>
#include <string.h>

#include "fsutil/fsu_watch.h"
#include "src/cluster/layout.h"
#include "src/election/election.h"
#include "src/result/error.h"

#define POLL_SHARED_NS (200 * FSU_NS_PER_MS)

/* One election as leaders/ shows it. */
struct seen {
	UT_hash_handle hh; /* by component */
	struct leader leader;
	fsha_version version; /* of the record that was read; all zero: none */
	bool present;
	char component[];
};

struct poller {
	struct fsu_watch watch; /* of leaders/ */
	struct index index;
	struct seen *seen;     /* a table; under the mutex to change or to read from elsewhere */
	struct polled *polled; /* under the mutex */
	int64_t full_ns;       /* when the next full look is due */
	bool refresh;          /* under the mutex */
	bool failing;
};

static int64_t lease_ns(const struct fsha_services *s)
{
	return cluster_lease_ns(&s->cluster);
}

static int init_watch(struct fsha_services *s, struct fsu_watch *watch, int dir_fd)
{
	int64_t min_ns = s->poll_ns ? s->poll_ns : POLL_SHARED_NS;
	/* With inotify polling is only the safety net. */
	int64_t max_ns = s->cluster.local ? lease_ns(s) / 2 : min_ns;

	return fsu_watch_init(watch, services_fs(s), dir_fd, s->cluster.local, min_ns,
			      max_ns > min_ns ? max_ns : min_ns);
}

static struct seen *find(const struct poller *p, const char *component)
{
	struct seen *v;

	HASH_FIND_STR(p->seen, component, v);
	return v;
}

const struct leader *poller_leader(const struct fsha_services *s, const char *component)
{
	const struct seen *v = s->view ? find(s->view, component) : NULL;

	return v && fsha_version_is_existing(&v->version) ? &v->leader : NULL;
}

/* Under the mutex. */
static struct seen *find_or_add(struct fsha_services *s, const char *component)
{
	const struct fsu *view_fs = services_fs(s);
	struct seen *v = find(s->view, component);

	if (v)
		return v;
	v = fsu_alloc(view_fs, sizeof(*v) + strlen(component) + 1);
	if (!v)
		return NULL;
	strcpy(v->component, component);
	HASH_ADD_KEYPTR(hh, s->view->seen, v->component, strlen(v->component), v);
	if (!v->hh.tbl) {
		fsu_release(view_fs, v);
		return NULL;
	}
	return v;
}

/* Under the mutex. */
static void forget(struct fsha_services *s, struct seen *v)
{
	const struct fsu *view_fs = services_fs(s);

	HASH_DEL(s->view->seen, v);
	fsu_release(view_fs, v);
}

/* Who waits for news of this election. Under the mutex. */
static void spread(struct fsha_services *s, const char *component, const struct leader *leader)
{
	retriever_notify(s, component, leader);
	for (struct fsha_election *e = s->elections; e; e = e->next)
		if (!e->term && strcmp(e->component, component) == 0)
			election_poke(e);
}

static void read_entry(struct fsha_services *s, const struct index_entry *entry)
{
	fsha_error error = FSHA_ERROR_INIT;
	char file[NAME_SIZE];
	struct leader leader;
	fsha_result result;
	struct seen *v;
	bool known;

	services_lock(s);
	v = find_or_add(s, entry->key);
	known = v && fsha_version_compare(&v->version, &entry->version) == 0;
	if (v)
		v->present = true;
	services_unlock(s);
	if (known)
		return;
	index_entry_name(entry, file);
	result = v ? leader_read_file(&s->cluster, file, &leader, &error) :
		     error_os(&error, -ENOMEM, "alloc", "cannot watch '%s'", entry->key);
	if (result == FSHA_E_NOT_FOUND) {
		index_forget(&s->view->index); /* a newer one is there by now */
		return;
	}
	services_lock(s);
	if (v && result == FSHA_OK) {
		v->leader = leader;
		v->version = entry->version;
		spread(s, entry->key, &leader);
	} else {
		retriever_error(s, entry->key, &error);
	}
	services_unlock(s);
}

/* A leader whose record is not there, or not the newest, puts it right. Under the mutex. */
static void correct(struct fsha_services *s, int64_t looked_ns)
{
	for (struct fsha_election *e = s->elections; e; e = e->next) {
		const struct index_entry *entry;

		if (!election_leads(e) || !e->published_ns || e->published_ns >= looked_ns)
			continue;
		entry = index_find(&s->view->index, e->component);
		if (entry && !index_entry_gone(entry) &&
		    fsha_version_compare(&entry->version, &e->published) == 0)
			continue;
		if (entry && fsha_version_compare(&entry->version, &e->published) > 0)
			e->overwritten = entry->version;
		e->publish_due = true;
		election_poke(e);
	}
}

/* Bring the view up to date with leaders/. */
static int look_at_leaders(struct fsha_services *s)
{
	struct poller *p = s->view;
	const struct index_entry *e;
	struct seen *v, *next;
	int64_t looked_ns = fsu_now_ns(services_fs(s));
	int r;

	r = index_refresh(&p->index, lease_ns(s) / 5);
	if (r < 0)
		return r;
	services_lock(s);
	for (v = p->seen; v; v = v->hh.next)
		v->present = false;
	services_unlock(s);
	for (e = p->index.entries; e; e = e->hh.next)
		read_entry(s, e);
	services_lock(s);
	HASH_ITER (hh, p->seen, v, next) {
		if (v->present)
			continue;
		if (fsha_version_is_existing(&v->version)) {
			v->version = (fsha_version){ 0 };
			spread(s, v->component, NULL);
		}
		forget(s, v);
	}
	correct(s, looked_ns);
	services_unlock(s);
	return p->index.complete ? 0 : -EAGAIN;
}

static void report(struct fsha_services *s, int r)
{
	fsha_error error = FSHA_ERROR_INIT;

	if (s->view->failing || r == -EAGAIN)
		return;
	s->view->failing = true;
	(void)error_os(&error, r, "list", "cannot look at '%s/" LAYOUT_LEADERS "'",
		       s->cluster.path);
	services_log(s, FSHA_LOG_WARNING, "poll_failed", "message=\"%s\"", error.message);
	services_lock(s);
	retriever_error(s, NULL, &error);
	services_unlock(s);
}

/* Under the mutex. */
static void unlist(struct poller *p, const struct polled *polled)
{
	for (struct polled **q = &p->polled; *q; q = &(*q)->next) {
		if (*q != polled)
			continue;
		*q = polled->next;
		break;
	}
}

/* The other directories. Returns when the first of them is due. */
static int64_t look_at_others(struct fsha_services *s, bool full)
{
	struct polled *d, *next, *removed = NULL;
	int64_t due_ns = FSU_FOREVER;

	services_lock(s);
	for (d = s->view->polled; d; d = next) {
		d->looking = true;
		services_unlock(s);
		if (fsu_watch_look(d->watch) != 0 || full || d->fresh)
			d->look(d);
		d->fresh = false;
		services_lock(s);
		d->looking = false;
		next = d->next;
		if (d->removed) {
			unlist(s->view, d);
			d->next = removed;
			removed = d;
		} else if (d->watch->next_ns < due_ns) {
			due_ns = d->watch->next_ns;
		}
		(void)pthread_cond_broadcast(&s->changed);
	}
	services_unlock(s);
	while (removed) {
		d = removed;
		removed = d->next;
		d->abandoned(d);
	}
	return due_ns;
}

static int64_t poll_once(struct fsha_services *s)
{
	struct poller *p = s->view;
	int64_t others_ns, now_ns = fsu_now_ns(services_fs(s));
	bool full = now_ns >= p->full_ns;
	int r;

	services_lock(s);
	full |= p->refresh;
	p->refresh = false;
	services_unlock(s);
	if (full) {
		p->full_ns = now_ns + lease_ns(s);
		index_forget(&p->index);
	}
	r = fsu_watch_look(&p->watch);
	if (r > 0 || (r == 0 && !p->index.complete))
		r = look_at_leaders(s);
	if (r < 0)
		report(s, r);
	else
		p->failing = false;
	services_lock(s);
	retriever_bury(s);
	services_unlock(s);
	others_ns = look_at_others(s, full);
	cluster_count(&s->cluster, FSHA_OPERATION_POLL, now_ns, r < 0 ? FSHA_E_IO : FSHA_OK);
	if (r == -EAGAIN)
		return fsu_now_ns(services_fs(s)) + FSU_NS_PER_MS;
	if (p->watch.next_ns < others_ns)
		others_ns = p->watch.next_ns;
	return p->full_ns < others_ns ? p->full_ns : others_ns;
}

static void poller_run(struct worker *w)
{
	struct fsha_services *s = w->services;

	for (;;) {
		int64_t due_ns = poll_once(s);
		bool closing;

		services_lock(s);
		closing = s->closing;
		services_unlock(s);
		if (closing)
			break;
		if (worker_wait(w, s->view->watch.notify_fd, due_ns))
			(void)fsu_notify_drain(services_fs(s), s->view->watch.notify_fd);
	}
}

int poller_start(struct fsha_services *s)
{
	struct record_place place;
	int r;

	if (!s->view) {
		struct poller *p = fsu_alloc(services_fs(s), sizeof(*p));

		if (!p)
			return -ENOMEM;
		r = init_watch(s, &p->watch, s->cluster.leaders_fd);
		if (r < 0) {
			fsu_release(services_fs(s), p);
			return r;
		}
		place = cluster_place(&s->cluster, s->cluster.leaders_fd, LAYOUT_LEADERS);
		index_init(&p->index, &place, s->cluster.local);
		s->view = p;
	}
	return worker_start(s, &s->poller, poller_run);
}

void poller_destroy(struct fsha_services *s)
{
	struct poller *p = s->view;

	if (!p)
		return;
	while (p->seen)
		forget(s, p->seen);
	index_done(&p->index);
	fsu_watch_done(&p->watch);
	fsu_release(services_fs(s), p);
	s->view = NULL;
}

void poller_refresh(struct fsha_services *s)
{
	if (s->view)
		s->view->refresh = true;
	worker_wake(&s->poller);
}

void poller_add(struct fsha_services *s, struct polled *d)
{
	d->fresh = true;
	d->next = s->view->polled;
	s->view->polled = d;
	worker_wake(&s->poller);
}

bool poller_remove(struct fsha_services *s, struct polled *polled, int64_t deadline_ns)
{
	while (polled->looking)
		if (!services_wait(s, deadline_ns)) {
			polled->removed = true;
			return false;
		}
	unlist(s->view, polled);
	return true;
}
