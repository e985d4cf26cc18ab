/*
 * gc: what a plan of verify's findings says is useless is taken away: first what no election
 * fences, then, for each election, what its leader would take away.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "src/cluster/layout.h"
#include "src/election/history.h"
#include "src/election/tenure.h"
#include "src/leader/leader.h"
#include "src/maintenance/action.h"
#include "src/maintenance/area.h"
#include "src/maintenance/orphans.h"
#include "src/maintenance/remains.h"
#include "src/maintenance/retire.h"
#include "src/maintenance/verify.h"
#include "src/result/error.h"
#include "src/state/index.h"

#define FLAGS_KNOWN (FSHA_GC_DRY_RUN | FSHA_GC_WATCH | FSHA_GC_RETIRE | FSHA_GC_UNKNOWN_JOBS)
#define TRASH_BATCH 256
#define TRASH_ROUNDS 4096

struct gc {
	struct actions actions; /* first */
	uint32_t flags;
	struct still orphans; /* with FSHA_GC_WATCH */
};

/* ---- what no election fences ---- */

static enum finding_code code_of(enum remains_kind kind)
{
	return kind == REMAINS_MEMBER ? FINDING_MEMBER_DEAD : FINDING_LEFTOVER;
}

static bool take_remains(void *ctx, enum remains_kind kind, const char *directory)
{
	struct actions *a = ctx;

	if (a->dry_run)
		actions_tell(a, FSHA_ACTION_PLANNED, code_of(kind), directory,
			     "it would be removed");
	return !a->dry_run;
}

static void tell_taken(void *ctx, enum remains_kind kind, const char *directory, bool gone)
{
	struct actions *a = ctx;

	if (gone)
		actions_tell(a, FSHA_ACTION_DONE, code_of(kind), directory, "removed");
	else
		actions_tell(a, FSHA_ACTION_LEFT, code_of(kind), directory,
			     "something of it could not be removed: run gc again");
}

static void leave_remains(void *ctx, enum remains_kind kind, const char *directory)
{
	struct actions *a = ctx;

	actions_tell(a, FSHA_ACTION_LEFT, code_of(kind), directory,
		     "it may be in use: it has not been seen to stand still for %d leases",
		     STILL_LEASES);
}

static void take_all_remains(struct gc *g)
{
	struct actions *a = &g->actions;
	const struct cluster *c = &a->services->cluster;
	struct remains_policy policy = { .ctx = a, .take = take_remains, .taken = tell_taken };
	struct fsu_uuid own;
	struct still still;
	int64_t until_ns;

	services_lock(a->services);
	if (a->services->member) {
		own = a->services->member->id;
		policy.own = &own;
	}
	services_unlock(a->services);
	still_init(&still, c);
	if (g->flags & FSHA_GC_WATCH && !a->dry_run) {
		until_ns = fsu_now_ns(c->fs) + (STILL_LEASES + 1) * cluster_lease_ns(c);
		while (fsu_now_ns(c->fs) < until_ns) {
			(void)remains_look(&still, &policy);
			orphans_watch(a->services, &g->orphans);
			fsu_sleep(c->fs, cluster_lease_ns(c) / 2);
		}
	}
	policy.wait = leave_remains;
	(void)remains_look(&still, &policy);
	still_done(&still);
}

static void empty_trash(struct actions *a, const struct finding *f)
{
	const struct cluster *c = &a->services->cluster;
	char election[AREA_DIRECTORY_SIZE];
	int fd, r = 1, rounds = 0;

	if (a->dry_run) {
		actions_tell(a, FSHA_ACTION_PLANNED, f->code, f->path, "it would be emptied");
		return;
	}
	(void)snprintf(election, sizeof(election), LAYOUT_ELECTIONS "/%s", f->election);
	fd = fsu_dir_open(c->fs, c->fd, election);
	if (fd >= 0) {
		/* Others may fill it as fast as it is emptied. */
		while (r > 0 && rounds++ < TRASH_ROUNDS)
			r = tenure_empty_trash(c, fd, TRASH_BATCH);
		(void)fsu_close(c->fs, fd); /* a directory */
	}
	if (r == 0 && !verify_still(c, a->services->job_result_path, f))
		actions_tell(a, FSHA_ACTION_DONE, f->code, f->path, "emptied");
	else
		actions_tell(a, FSHA_ACTION_LEFT, f->code, f->path, "something is left in it");
}

/* ---- what an election's leader takes away ---- */

static bool is_leaders_work(enum finding_code code, uint32_t flags)
{
	switch (code) {
	case FINDING_OLD_VERSIONS:
	case FINDING_TOMBSTONES:
	case FINDING_TENURE_LEFTOVER:
	case FINDING_TENURE_BUSY:
		return true;
	case FINDING_BLOBS_ORPHANED:
		return flags & (FSHA_GC_WATCH | FSHA_GC_UNKNOWN_JOBS);
	default:
		return false;
	}
}

/*
 * Each term leaves two records of its own in leaders/, so these alone are no reason to begin one;
 * in one that is begun anyway they go too.
 */
static bool is_reason(const struct finding *f, uint32_t flags)
{
	return is_leaders_work(f->code, flags) && f->election[0] &&
	       strncmp(f->path, LAYOUT_LEADERS "/", sizeof(LAYOUT_LEADERS)) != 0;
}

/* What is left of it goes with it: a term would only bring it back. */
static bool is_retired(const struct findings *found, const char *election)
{
	for (size_t i = 0; i < found->count; i++)
		if (found->items[i].code == FINDING_ELECTION_RETIRED &&
		    strcmp(found->items[i].election, election) == 0)
			return true;
	return false;
}

struct duty {
	const struct finding *finding;
	struct store *store; /* NULL: none to be cleaned */
};

/* The janitor may be at it, and may hang there: then this is left to it. */
static void clean(struct actions *a, struct store *store)
{
	const struct fsu *fs = services_fs(a->services);
	const int64_t until_ns = fsu_now_ns(fs) + cluster_lease_ns(&a->services->cluster);

	while (!store_clean(store) && fsu_now_ns(fs) < until_ns)
		fsu_sleep(fs, 10 * FSU_NS_PER_MS);
}

static void open_stores(struct actions *a, struct duty *duties, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct finding *f = duties[i].finding;
		fsha_error error = FSHA_ERROR_INIT;
		struct store_options options = { .election = f->election };

		if ((f->code != FINDING_OLD_VERSIONS && f->code != FINDING_TOMBSTONES) ||
		    !area_of_path(f->path, a->services->job_result_path, &options))
			continue;
		if (services_store_open(a->services, &options, &duties[i].store, &error) != FSHA_OK)
			duties[i].store = NULL;
		else
			clean(a, duties[i].store); /* from now on it knows what is old */
	}
}

static void tell_orphan(void *ctx, const char *directory, enum orphan_fate fate,
			const fsha_error *error)
{
	static const char *const left[] = {
		[ORPHAN_WRITTEN] = "the present leader wrote there: the job may be about to start",
		[ORPHAN_MOVING] = "it has not been seen to stand still for ten leases: the job may "
				  "be about to start",
		[ORPHAN_UNKNOWN] = "nothing tells that its job ran here and has ended: "
				   "'fsha gc --unknown-jobs' removes it, if nobody uses it",
	};

	if (fate == ORPHAN_REMOVED)
		actions_tell(ctx, FSHA_ACTION_DONE, FINDING_BLOBS_ORPHANED, directory,
			     "removed: its job has no graph, no running entry and no dirty result");
	else if (fate == ORPHAN_FAILED)
		actions_fail(ctx, FINDING_BLOBS_ORPHANED, directory, error);
	else
		actions_tell(ctx, FSHA_ACTION_LEFT, FINDING_BLOBS_ORPHANED, directory, "%s",
			     left[fate]);
}

/* What was found by its name in a store or an election, and a leader has looked after since. */
static void tell_duty(struct actions *a, struct term *t, const struct finding *f)
{
	if (!term_is_live(t))
		actions_tell(a, FSHA_ACTION_LEFT, f->code, f->path, "the term ended meanwhile");
	else if (!verify_still(t->cluster, a->services->job_result_path, f))
		actions_tell(a, FSHA_ACTION_DONE, f->code, f->path, "cleaned");
	else if (f->code == FINDING_TENURE_LEFTOVER || f->code == FINDING_TENURE_BUSY)
		actions_tell(a, FSHA_ACTION_LEFT, f->code, f->path, "the next claim takes it away");
	else
		actions_tell(a, FSHA_ACTION_LEFT, f->code, f->path,
			     "not all of it could be cleaned, or more has come: run gc again");
}

/* What nobody asked for. */
static void leave_orphans(struct actions *a, const struct findings *found)
{
	for (size_t i = 0; i < found->count; i++)
		if (found->items[i].code == FINDING_BLOBS_ORPHANED)
			actions_tell(a, FSHA_ACTION_LEFT, FINDING_BLOBS_ORPHANED,
				     found->items[i].path,
				     "its job may be about to start, for blobs come before the "
				     "graph: 'fsha gc --watch' removes it when it stands still and "
				     "its job has ended, 'fsha gc --unknown-jobs' at once");
}

static void take_orphans(struct gc *g, struct term *t)
{
	const struct orphans_policy policy = {
		.still = g->flags & FSHA_GC_WATCH ? &g->orphans : NULL,
		.unknown = g->flags & FSHA_GC_UNKNOWN_JOBS,
		.told = tell_orphan,
		.ctx = &g->actions,
	};

	(void)orphans_look(g->actions.services, t, &policy);
}

static void do_duties(struct gc *g, struct term *t, struct duty *duties, size_t count)
{
	struct actions *a = &g->actions;
	const struct fsu *fs = services_fs(a->services);
	bool orphans = false;

	open_stores(a, duties, count);
	/* Readers in the midst of a listing still need them. */
	fsu_sleep(fs, INDEX_RETAIN_NS + 10 * FSU_NS_PER_MS);
	for (size_t i = 0; i < count; i++) {
		const struct finding *f = duties[i].finding;

		if (duties[i].store) {
			clean(a, duties[i].store); /* what is old */
			clean(a, duties[i].store); /* then the tombstones */
			services_store_close(a->services, duties[i].store);
		}
		orphans |= f->code == FINDING_BLOBS_ORPHANED;
		if (f->code != FINDING_BLOBS_ORPHANED)
			tell_duty(a, t, f);
	}
	if (orphans)
		take_orphans(g, t);
	if (history_publish(t, NULL) == FSHA_OK)
		leader_clean(t);
	else
		history_trim_leaders(t);
	for (int i = 0; i < TRASH_ROUNDS; i++)
		if (tenure_empty_trash(t->cluster, t->election_fd, TRASH_BATCH) <= 0)
			break;
}

static void tell_all(struct actions *a, const struct duty *duties, size_t count,
		     fsha_action_outcome outcome, const char *message)
{
	for (size_t i = 0; i < count; i++)
		actions_tell(a, outcome, duties[i].finding->code, duties[i].finding->path, "%s",
			     message);
}

static void plan_all(struct actions *a, uint32_t flags, const struct duty *duties, size_t count)
{
	for (size_t i = 0; i < count; i++)
		actions_tell(a, FSHA_ACTION_PLANNED, duties[i].finding->code,
			     duties[i].finding->path, "%s",
			     duties[i].finding->code != FINDING_BLOBS_ORPHANED ?
				     "it would be cleaned" :
			     flags & FSHA_GC_WATCH ?
				     "if it stands still, all blobs in it would be removed: their "
				     "job has no graph, no running entry and no dirty result" :
				     "all blobs in it would be removed: their job has no graph, no "
				     "running entry and no dirty result");
}

/* All of one election. */
static void tend_election(struct gc *g, struct duty *duties, size_t count)
{
	struct actions *a = &g->actions;
	fsha_error error = FSHA_ERROR_INIT;
	struct tenancy tenancy;
	fsha_result result;

	if (a->dry_run) {
		plan_all(a, g->flags, duties, count);
		return;
	}
	result = tenancy_take(a->services, duties[0].finding->election, &tenancy, &error);
	if (result == FSHA_E_NOT_LEADER) {
		tell_all(a, duties, count, FSHA_ACTION_LEFT, error.message);
		return;
	}
	if (result != FSHA_OK) {
		for (size_t i = 0; i < count; i++)
			actions_fail(a, duties[i].finding->code, duties[i].finding->path, &error);
		return;
	}
	do_duties(g, tenancy.term, duties, count);
	tenancy_end(&tenancy);
}

static int compare_duties(const void *x, const void *y)
{
	const struct duty *a = x, *b = y;
	int order = strcmp(a->finding->election, b->finding->election);

	return order ? order : strcmp(a->finding->path, b->finding->path);
}

static void tend_elections(struct gc *g, const struct findings *found)
{
	struct actions *a = &g->actions;
	const struct fsu *fs = services_fs(a->services);
	struct duty *duties = fsu_alloc(fs, (found->count + 1) * sizeof(*duties));
	fsha_error error = FSHA_ERROR_INIT;
	size_t n = 0, end;

	if (!duties) {
		(void)error_os(&error, -ENOMEM, "alloc", "cannot clean the elections");
		actions_fail(a, FINDING_OLD_VERSIONS, LAYOUT_ELECTIONS, &error);
		return;
	}
	for (size_t i = 0; i < found->count; i++)
		if (is_reason(&found->items[i], g->flags) &&
		    !is_retired(found, found->items[i].election))
			duties[n++].finding = &found->items[i];
	qsort(duties, n, sizeof(*duties), compare_duties);
	for (size_t i = 0; i < n; i = end) {
		for (end = i + 1; end < n; end++)
			if (strcmp(duties[end].finding->election, duties[i].finding->election) != 0)
				break;
		tend_election(g, duties + i, end - i);
	}
	fsu_release(fs, duties);
}

/* ---- what nobody came to ---- */

/* By its path: is it something that gc takes away as a whole? */
static bool is_whole(const struct finding *f)
{
	switch (f->code) {
	case FINDING_MEMBER_DEAD:
	case FINDING_MEMBER_HALF_REMOVED:
	case FINDING_BLOBS_ORPHANED:
		return true;
	case FINDING_ELECTION_RETIRED:
		return f->election[0] != '\0';
	case FINDING_LEFTOVER:
		return strncmp(f->path, LAYOUT_MEMBERS "/", sizeof(LAYOUT_MEMBERS)) == 0 ||
		       strncmp(f->path, LAYOUT_ELECTIONS "/", sizeof(LAYOUT_ELECTIONS)) == 0;
	default:
		return false;
	}
}

/* It could not be looked at, or not any more when its turn came. */
static void tell_the_rest(struct actions *a)
{
	const struct cluster *c = &a->services->cluster;
	struct fsu_stamp stamp;

	for (size_t i = 0; i < a->found->count; i++) {
		const struct finding *f = &a->found->items[i];

		if (f->code == FINDING_UNREADABLE || f->code == FINDING_NOT_TOLD)
			actions_tell(a, FSHA_ACTION_LEFT, f->code, f->path, "%s", f->message);
		else if (is_whole(f) && !f->told &&
			 fsu_stamp_read(c->fs, c->fd, f->path, &stamp) != -ENOENT)
			actions_tell(a, FSHA_ACTION_LEFT, f->code, f->path,
				     "it is not known to be useless any more: run gc again");
	}
}

/* ---- the call ---- */

static fsha_result check_arguments(const struct fsha_services *s, const fsha_gc_options *options,
				   const fsha_maintenance_summary *summary, fsha_error *reterr)
{
	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "gc", "an argument is NULL");
	if (options && (options->struct_size != sizeof(*options) ||
			(options->flags & ~FLAGS_KNOWN) || options->reserved0))
		return error_set(reterr, FSHA_E_INVALID, 0, "gc",
				 "the options have an unknown size or flag: start from "
				 "FSHA_GC_OPTIONS_INIT");
	if (summary && summary->struct_size != sizeof(*summary))
		return error_set(reterr, FSHA_E_INVALID, 0, "gc",
				 "the summary has an unknown size: start from "
				 "FSHA_MAINTENANCE_SUMMARY_INIT");
	return FSHA_OK;
}

fsha_result fsha_gc(fsha_services *s, const fsha_gc_options *options,
		    int (*visit)(void *ctx, const fsha_action *action), void *ctx,
		    fsha_maintenance_summary *ret_summary, fsha_error *reterr)
{
	fsha_verify_summary ignored = FSHA_VERIFY_SUMMARY_INIT;
	struct gc g = { .actions = { .services = s, .visit = visit, .ctx = ctx } };
	struct actions *a = &g.actions;
	struct findings found;
	fsha_result result;

	result = check_arguments(s, options, ret_summary, reterr);
	if (result != FSHA_OK)
		return result;
	g.flags = options ? options->flags : 0;
	a->summary = (fsha_maintenance_summary)FSHA_MAINTENANCE_SUMMARY_INIT;
	a->error = (fsha_error)FSHA_ERROR_INIT;
	a->dry_run = g.flags & FSHA_GC_DRY_RUN;
	still_init(&g.orphans, &s->cluster);
	findings_init(&found, services_fs(s));
	result = verify_run(&s->cluster, s->job_result_path, true, &ignored, &found, reterr);
	if (result == FSHA_OK) {
		a->found = &found;
		take_all_remains(&g);
		for (size_t i = 0; i < found.count; i++) {
			if (found.items[i].code == FINDING_TRASH)
				empty_trash(a, &found.items[i]);
			if (found.items[i].code == FINDING_ELECTION_RETIRED)
				retire_finish(a, &found.items[i]);
		}
		/* Before this process becomes a member itself. */
		if (g.flags & FSHA_GC_RETIRE)
			retire_elections(a);
		if (!(g.flags & (FSHA_GC_WATCH | FSHA_GC_UNKNOWN_JOBS)))
			leave_orphans(a, &found);
		tend_elections(&g, &found);
		tell_the_rest(a);
		result = actions_end(a, ret_summary, reterr);
	}
	findings_done(&found);
	still_done(&g.orphans);
	return result;
}
