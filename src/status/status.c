/* The cluster as it is on disk, for people and tools. Reads only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fsha/status.h"
#include "fsutil/fsu_path.h"
#include "src/cluster/layout.h"
#include "src/election/claim.h"
#include "src/election/history.h"
#include "src/leader/leader.h"
#include "src/member/member.h"
#include "src/member/watch.h"
#include "src/record/name.h"
#include "src/result/error.h"
#include "src/services/services.h"
#include "src/status/snapshot.h"

const char *fsha_liveness_text(fsha_liveness liveness)
{
	switch (liveness) {
	case FSHA_ALIVE_LOCK:
		return "alive (lock held)";
	case FSHA_ALIVE_BEAT:
		return "alive (heartbeat seen)";
	case FSHA_DEAD_LOCK:
		return "dead (lock released)";
	case FSHA_DEAD_BEAT:
		return "dead (heartbeat stopped)";
	default:
		return "not known (locks cannot be trusted here; observe the heartbeat)";
	}
}

int fsha_liveness_is_alive(fsha_liveness liveness)
{
	switch (liveness) {
	case FSHA_ALIVE_LOCK:
	case FSHA_ALIVE_BEAT:
		return 1;
	case FSHA_DEAD_LOCK:
	case FSHA_DEAD_BEAT:
		return 0;
	default:
		return -1;
	}
}

/* ---- members ---- */

static fsha_liveness liveness_of(const struct member_watch *w, uint64_t first_beat, bool observed)
{
	if (w->verdict == MEMBER_DEAD_LOCK)
		return FSHA_DEAD_LOCK;
	if (w->verdict == MEMBER_DEAD_BEAT)
		return FSHA_DEAD_BEAT;
	if (observed && w->beat != first_beat)
		return FSHA_ALIVE_BEAT;
	if (w->lock_held)
		return FSHA_ALIVE_LOCK;
	return FSHA_LIVENESS_UNKNOWN;
}

/* Watch all heartbeats for as long as asked. */
static void observe(const struct cluster *c, struct member_watch *watches, size_t count,
		    uint32_t observe_ms)
{
	int64_t end_ns = fsu_now_ns(c->fs) + (int64_t)observe_ms * FSU_NS_PER_MS;

	while (observe_ms > 0 && fsu_now_ns(c->fs) < end_ns) {
		fsu_sleep(c->fs, cluster_lease_ns(c) / 20);
		for (size_t i = 0; i < count; i++)
			(void)member_watch_look(&watches[i]);
	}
}

static void describe(struct snapshot *snap, struct member_watch *w, uint64_t first_beat,
		     bool observed)
{
	fsha_member_status *m = &snap->members[snap->status.member_count];
	struct member_info info;

	if (w->verdict == MEMBER_GONE || w->verdict == MEMBER_UNKNOWN) {
		snap->status.skipped += w->verdict == MEMBER_UNKNOWN;
		return;
	}
	memcpy(&m->member, &w->id, sizeof(m->member));
	m->liveness = liveness_of(w, first_beat, observed);
	m->beat = w->beat;
	if (member_info_read(w->cluster, &w->id, &info, NULL) == FSHA_OK) {
		m->pid = (int32_t)info.pid;
		m->started_wall_ns = info.started_wall_ns;
		memcpy(m->host, info.host, sizeof(m->host));
		memcpy(m->version, info.version, sizeof(m->version));
		memcpy(m->boot_id, info.boot_id, sizeof(m->boot_id));
		m->boot_id[sizeof(m->boot_id) - 1] = '\0';
	} else {
		snap->status.skipped++;
	}
	snap->status.member_count++;
}

static fsha_result read_members(struct snapshot *snap, const struct cluster *c, uint32_t observe_ms,
				fsha_error *reterr)
{
	struct member_watch *watches = NULL;
	uint64_t *beats = NULL;
	struct fsu_list list;
	size_t n = 0;
	int r;

	fsu_list_init(&list, c->fs);
	r = fsu_list_pass(&list, c->members_fd, "", c->local);
	if (r == 0) {
		snap->members = fsu_alloc(c->fs, (list.count + 1) * sizeof(*snap->members));
		watches = fsu_alloc(c->fs, (list.count + 1) * sizeof(*watches));
		beats = fsu_alloc(c->fs, (list.count + 1) * sizeof(*beats));
		if (!snap->members || !watches || !beats)
			r = -ENOMEM;
	}
	for (size_t i = 0; r == 0 && i < list.count; i++) {
		const char *name = fsu_list_name(&list, i);
		struct fsu_uuid id;

		if (fsu_uuid_parse(name, strlen(name), &id) < 0) {
			snap->status.skipped += name[0] != '~';
			continue;
		}
		member_watch_init(&watches[n], c, &id);
		(void)member_watch_look(&watches[n]);
		beats[n] = watches[n].beat;
		n++;
	}
	if (r == 0)
		observe(c, watches, n, observe_ms);
	for (size_t i = 0; i < n; i++) {
		describe(snap, &watches[i], beats[i], observe_ms > 0);
		member_watch_done(&watches[i]);
	}
	fsu_list_done(&list);
	fsu_release(c->fs, watches);
	fsu_release(c->fs, beats);
	return r < 0 ? error_os(reterr, r, "list", "cannot list '%s/" LAYOUT_MEMBERS "'", c->path) :
		       FSHA_OK;
}

static const fsha_member_status *find_member(const struct snapshot *snap, const fsha_uuid *id)
{
	for (size_t i = 0; i < snap->status.member_count; i++)
		if (fsha_uuid_equal(&snap->members[i].member, id))
			return &snap->members[i];
	return NULL;
}

/* ---- elections ---- */

/* Does this member stand in that election? Its stands/ has "<component>~<n>". */
static bool stands(struct snapshot *snap, const struct cluster *c, const fsha_member_status *m,
		   const char *component)
{
	char path[FSU_UUID_HEX + sizeof("/" MEMBER_STANDS)];
	size_t len = strlen(component);
	struct fsu_list list;
	bool found = false;
	int r;

	fsu_uuid_format((const struct fsu_uuid *)&m->member, path);
	memcpy(path + FSU_UUID_HEX, "/" MEMBER_STANDS, sizeof("/" MEMBER_STANDS));
	fsu_list_init(&list, c->fs);
	r = fsu_list_pass(&list, c->members_fd, path, c->local);
	for (size_t i = 0; r == 0 && i < list.count && !found; i++) {
		const char *name = fsu_list_name(&list, i);

		found = strncmp(name, component, len) == 0 && name[len] == '~';
	}
	fsu_list_done(&list);
	/* It stands in none, or has left meanwhile. */
	snap->status.skipped += r < 0 && r != -ENOENT && r != -ESTALE;
	return found;
}

static int read_standbys(struct snapshot *snap, const struct cluster *c, const char *component,
			 fsha_election_status *e)
{
	const fsha_member_status **standbys;
	size_t n = 0;

	standbys = fsu_alloc(c->fs, (snap->status.member_count + 1) * sizeof(*standbys));
	if (!standbys)
		return -ENOMEM;
	for (size_t i = 0; i < snap->status.member_count; i++) {
		const fsha_member_status *m = &snap->members[i];

		if (m != e->holder_status && fsha_liveness_is_alive(m->liveness) != 0 &&
		    stands(snap, c, m, component))
			standbys[n++] = m;
	}
	e->standbys = standbys;
	e->standby_count = n;
	return 0;
}

static int read_election(struct snapshot *snap, const struct cluster *c, const char *component,
			 fsha_election_status *e)
{
	char name[FSU_NAME_MAX + 1];
	struct leader leader;
	struct fsu_list list;
	struct epoch epoch;
	fsha_result result;
	size_t len;
	int fd, r;

	if (fsu_path_decode(component, strlen(component), name, &len) < 0)
		return -EINVAL;
	if (claim_open_election(c, component, false, &fd, NULL) != FSHA_OK)
		return -EINVAL;
	fsu_list_init(&list, c->fs);
	r = epoch_read(c, fd, &list, &epoch);
	fsu_list_done(&list);
	(void)fsu_close(c->fs, fd); /* a directory */
	if (r < 0)
		return -EINVAL;
	e->epoch = epoch.number;
	memcpy(&e->holder, &epoch.member, sizeof(e->holder));
	e->holder_status = find_member(snap, &e->holder);
	result = leader_read(c, component, &leader, NULL);
	if (result == FSHA_OK)
		leader_to_information(&leader, &e->leader);
	else if (result != FSHA_E_NOT_FOUND)
		snap->status.skipped++; /* what is not known is not "no leader" */
	/* A record of an older term says nothing about this one. */
	if (e->leader.epoch != e->epoch || epoch_is_vacant(&epoch)) {
		memset(&e->leader, 0, sizeof(e->leader));
		e->leader.epoch = e->epoch;
	}
	e->name = fsu_strdup(c->fs, name);
	r = e->name ? read_standbys(snap, c, component, e) : -ENOMEM;
	if (r < 0)
		fsu_release(c->fs, (void *)(uintptr_t)e->name);
	return r;
}

static int compare_elections(const void *a, const void *b)
{
	const fsha_election_status *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static fsha_result read_elections(struct snapshot *snap, const struct cluster *c,
				  fsha_error *reterr)
{
	struct fsu_list list;
	int r;

	fsu_list_init(&list, c->fs);
	r = fsu_list_pass(&list, c->elections_fd, "", c->local);
	if (r == 0) {
		snap->elections = fsu_alloc(c->fs, (list.count + 1) * sizeof(*snap->elections));
		if (!snap->elections)
			r = -ENOMEM;
	}
	for (size_t i = 0; r == 0 && i < list.count; i++) {
		const char *name = fsu_list_name(&list, i);
		fsha_election_status *e = &snap->elections[snap->status.election_count];

		if (name[0] == '~')
			continue;
		r = read_election(snap, c, name, e);
		if (r == 0)
			snap->status.election_count++;
		if (r == -EINVAL) {
			snap->status.skipped++;
			snap->status.elections_skipped++;
			memset(e, 0, sizeof(*e));
			r = 0;
		}
	}
	fsu_list_done(&list);
	if (r < 0)
		return error_os(reterr, r, "list", "cannot list '%s/" LAYOUT_ELECTIONS "'",
				c->path);
	qsort(snap->elections, snap->status.election_count, sizeof(*snap->elections),
	      compare_elections);
	return FSHA_OK;
}

/* ---- the whole ---- */

fsha_result fsha_status_read(fsha_services *s, uint32_t observe_ms,
			     fsha_cluster_status **ret_status, fsha_error *reterr)
{
	const struct cluster *c;
	struct snapshot *snap;
	fsha_result result;

	if (!s || !ret_status)
		return error_set(reterr, FSHA_E_INVALID, 0, "status", "an argument is NULL");
	c = &s->cluster;
	snap = fsu_alloc(c->fs, sizeof(*snap));
	if (!snap)
		return error_os(reterr, -ENOMEM, "alloc", "cannot read the status of '%s'",
				c->path);
	snap->fs = c->fs;
	fsha_uuid_format((const fsha_uuid *)&c->id, snap->status.cluster);
	snap->status.lease_ms = c->lease_ms;
	snap->status.format = c->format;
	memcpy(snap->status.filesystem, c->mount.type, sizeof(snap->status.filesystem));
	snap->status.locks_cluster_wide = fsu_mount_locks_cluster_wide(&c->mount);
	result = read_members(snap, c, observe_ms, reterr);
	if (result == FSHA_OK)
		result = read_elections(snap, c, reterr);
	snap->status.members = snap->members;
	snap->status.elections = snap->elections;
	if (result != FSHA_OK) {
		fsha_status_destroy(&snap->status);
		return result;
	}
	*ret_status = &snap->status;
	return FSHA_OK;
}

void fsha_status_destroy(fsha_cluster_status *status)
{
	struct snapshot *snap = (struct snapshot *)status; /* its first member */
	const struct fsu *fs;

	if (!snap)
		return;
	fs = snap->fs;
	for (size_t i = 0; i < snap->status.election_count; i++) {
		fsu_release(fs, (void *)(uintptr_t)snap->elections[i].name);
		fsu_release(fs, (void *)(uintptr_t)snap->elections[i].standbys);
	}
	fsu_release(fs, snap->elections);
	fsu_release(fs, snap->members);
	fsu_release(fs, snap);
}

fsha_result fsha_history_read(fsha_services *s, const char *election, fsha_term_history **ret_terms,
			      size_t *ret_count, fsha_error *reterr)
{
	char component[FSU_COMPONENT_MAX + 1];
	struct history *h;
	fsha_result result;
	int fd;

	if (!s || !ret_terms || !ret_count)
		return error_set(reterr, FSHA_E_INVALID, 0, "history", "an argument is NULL");
	result = services_encode_election(election, component, reterr);
	if (result == FSHA_OK)
		result = claim_open_election(&s->cluster, component, false, &fd, reterr);
	if (result != FSHA_OK)
		return result;
	h = fsu_alloc(services_fs(s), sizeof(*h));
	if (h)
		result = history_gather(&s->cluster, fd, component, h, reterr);
	(void)fsu_close(services_fs(s), fd); /* a directory */
	if (!h)
		return error_os(reterr, -ENOMEM, "alloc", "cannot read the history of '%s'",
				election);
	if (result != FSHA_OK) {
		fsu_release(services_fs(s), h);
		return result;
	}
	*ret_count = h->count;
	/* The terms move to the front, so that one fsha_free is enough. */
	memmove(h, h->terms, sizeof(h->terms));
	*ret_terms = (fsha_term_history *)h;
	return FSHA_OK;
}
