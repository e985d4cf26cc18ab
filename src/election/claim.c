#include "src/election/claim.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/result/error.h"

#define SWAP_TRIES 20

static fsha_result make_election(const struct cluster *c, const char *component, fsha_error *reterr)
{
	char building[FSU_UUID_HEX + 2] = "~", name[EPOCH_NAME_SIZE];
	struct epoch epoch = { .number = 0 };
	struct fsu_uuid unique;
	int fd, r;

	r = fsu_uuid_make(c->fs, &unique);
	if (r == 0)
		r = fsu_uuid_make(c->fs, &epoch.session);
	if (r < 0)
		return error_os(reterr, r, "random", "cannot make election '%s'", component);
	fsu_uuid_format(&unique, building + 1);
	r = fsu_mkdirat(c->fs, c->elections_fd, building, FSU_DIR_MODE);
	if (r < 0)
		return error_os(reterr, r, "mkdir", "cannot make election '%s'", component);
	fd = fsu_dir_open(c->fs, c->elections_fd, building);
	if (fd < 0) {
		r = fd;
		goto out;
	}
	epoch_format(&epoch, name);
	r = fsu_mkdirat(c->fs, fd, LAYOUT_TRASH, FSU_DIR_MODE);
	if (r == 0)
		r = fsu_file_stage(c->fs, fd, name, NULL, 0, NULL);
	if (r == 0)
		r = fsu_fsync(c->fs, fd);
	(void)fsu_close(c->fs, fd); /* a directory */
	if (r == 0)
		r = fsu_renameat(c->fs, c->elections_fd, building, c->elections_fd, component);
out:
	if (r < 0)
		layout_abandon(c->fs, c->elections_fd, building);
	/* Somebody else's is as good as ours; what counts is what the caller finds. */
	if (r < 0 && r != -ENOTEMPTY && r != -EEXIST && r != -ENOENT)
		return error_os(reterr, r, "mkdir", "cannot make election '%s'", component);
	return FSHA_OK;
}

fsha_result claim_open_election(const struct cluster *c, const char *component, bool create,
				int *ret_fd, fsha_error *reterr)
{
	fsha_result result;
	int fd, r;

	fd = fsu_dir_open(c->fs, c->elections_fd, component);
	if (fd == -ENOENT && create) {
		result = make_election(c, component, reterr);
		if (result != FSHA_OK)
			return result;
		fd = fsu_dir_open(c->fs, c->elections_fd, component);
	}
	if (fd == -ENOENT)
		return error_set(reterr, FSHA_E_NOT_FOUND, ENOENT, "open",
				 "there is no election '%s'", component);
	if (fd < 0)
		return error_os(reterr, fd, "open", "cannot open election '%s'", component);
	/*
	 * Whoever made it may not have come to this: if its name were lost in a power cut after a
	 * term was taken in it, that epoch would be taken again (test_claim_open.c).
	 */
	r = create ? fsu_fsync(c->fs, c->elections_fd) : 0;
	if (r < 0) {
		(void)fsu_close(c->fs, fd); /* a directory */
		return error_os(reterr, r, "fsync", "cannot make election '%s'", component);
	}
	*ret_fd = fd;
	return FSHA_OK;
}

/*
 * Step 2, tried for as long as the lease lasts. 1 won, 0 lost, or an error: it may still happen
 * later.
 */
static int swap(const struct claim *q, const struct epoch *to)
{
	int64_t pause_ns = FSU_NS_PER_MS;
	int r = -EIO;

	for (int i = 0; i < SWAP_TRIES && lease_is_alive(q->lease); i++) {
		r = epoch_swap(q->cluster, q->election_fd, &q->from, to);
		if (r >= 0)
			return r;
		fsu_sleep(q->cluster->fs, pause_ns);
		pause_ns = pause_ns * 2 < 100 * FSU_NS_PER_MS ? pause_ns * 2 : 100 * FSU_NS_PER_MS;
	}
	return r;
}

/* A second try proves as much as the first: doc/GUARANTEES.md, A12. */
static int sync_election(const struct claim *q)
{
	int r = -EIO;

	for (int i = 0; i < 3; i++) {
		r = fsu_fsync(q->cluster->fs, q->election_fd);
		if (r == 0)
			break;
	}
	return r;
}

static int64_t fence_deadline_ns(const struct claim *q)
{
	return fsu_now_ns(q->cluster->fs) + cluster_lease_ns(q->cluster) / 2;
}

/* Step 5: what must hold at the moment of the grant. Returns NULL, or what does not. */
static const char *grant_refused(const struct claim *q, const struct epoch *own, const char *tenure)
{
	const char *why = NULL;
	struct fsu_list list;
	struct epoch now;

	fsu_list_init(&list, q->cluster->fs);
	if (epoch_read(q->cluster, q->election_fd, &list, &now) < 0)
		why = "the election directory cannot be read";
	else if (!epoch_equal(&now, own))
		why = "another process has claimed it meanwhile";
	else if (!fsu_list_has(&list, tenure))
		why = "its tenure directory is gone";
	else if (!lease_is_alive(q->lease))
		why = "the lease ran out before the grant";
	fsu_list_done(&list);
	return why;
}

/* Steps 3 to 5, for the holder of the epoch file. */
static fsha_result fence_and_check(const struct claim *q, const struct epoch *own,
				   const char *tenure, fsha_error *reterr)
{
	const char *why;
	int r;

	r = sync_election(q);
	if (r < 0)
		return error_os(reterr, r, "fsync", "cannot claim '%s'", q->election);
	r = tenure_fence(q->cluster, q->election_fd, own->number, tenure, fence_deadline_ns(q));
	if (r == -ENOMEM)
		return error_os(reterr, r, "list", "cannot fence the former leaders of '%s'",
				q->election);
	if (r < 0)
		return error_os(reterr, r, "rmdir",
				"cannot fence the former leaders of '%s': remove elections/%s/"
				"tenure-* by hand",
				q->election, q->election);
	r = sync_election(q);
	if (r < 0)
		return error_os(reterr, r, "fsync", "cannot claim '%s'", q->election);
	why = grant_refused(q, own, tenure);
	if (why)
		return error_set(reterr, FSHA_E_VERSION, 0, "grant", "cannot lead '%s': %s",
				 q->election, why);
	return FSHA_OK;
}

/* Best effort: whoever looks next finds a state to start from in any case. */
static void give_back(const struct claim *q, const struct epoch *own, const char *tenure)
{
	struct epoch vacant = *own;

	memset(&vacant.member, 0, sizeof(vacant.member));
	if (epoch_swap(q->cluster, q->election_fd, own, &vacant) == 1)
		(void)sync_election(q);
	(void)tenure_remove(q->cluster, q->election_fd, tenure, fsu_now_ns(q->cluster->fs));
}

/* Rather a claim that starts below the floor than a version that does not grow. */
static fsha_result next_epoch(const struct claim *q, struct epoch *ret_next, fsha_error *reterr)
{
	struct epoch next = { .member = *q->member };
	fsha_result result;
	uint64_t floor;
	int r;

	result = cluster_floor_read(q->cluster, &floor, reterr);
	if (result != FSHA_OK)
		return result;
	next.number = floor > q->from.number ? floor : q->from.number;
	if (!FSHA_INVARIANT(next.number < EPOCH_MAX))
		return error_set(
			reterr, FSHA_E_CORRUPT, 0, "claim",
			"the epoch of '%s' cannot rise any more: its number was made up by "
			"hand",
			q->election);
	next.number++;
	r = fsu_uuid_make(q->cluster->fs, &next.session);
	if (r < 0)
		return error_os(reterr, r, "random", "cannot claim '%s'", q->election);
	*ret_next = next;
	return FSHA_OK;
}

fsha_result claim_run(const struct claim *q, struct term **ret_term, fsha_error *reterr)
{
	const struct fsu *fs = q->cluster->fs;
	char tenure[TENURE_NAME_SIZE];
	struct epoch own;
	struct term *term;
	fsha_result result;
	int r;

	result = next_epoch(q, &own, reterr);
	if (result != FSHA_OK)
		return result;
	tenure_format(own.number, &own.session, tenure);
	/* Made before anything changes, so that lack of memory costs nobody a term. */
	term = term_create(q->cluster, q->election_fd, q->election, &own, q->lease);
	if (!term)
		return error_os(reterr, -ENOMEM, "alloc", "cannot claim '%s'", q->election);
	term->shared = q->shared;
	term->former = q->from;
	if (q->former_end)
		term->former_end = q->former_end;
	r = fsu_mkdirat(fs, q->election_fd, tenure, FSU_DIR_MODE);
	if (r < 0) {
		result = error_os(reterr, r, "mkdir", "cannot claim '%s'", q->election);
		goto fail;
	}
	r = swap(q, &own);
	if (r == 0) {
		result = error_set(reterr, FSHA_E_VERSION, 0, "rename",
				   "another process has claimed '%s' first", q->election);
		goto fail;
	}
	if (r < 0) {
		/*
		 * The swap may still happen; then the epoch file names a session of ours that does
		 * not lead.
		 */
		result = error_os(reterr, r, "rename", "cannot claim '%s'", q->election);
		goto fail;
	}
	result = fence_and_check(q, &own, tenure, reterr);
	if (result != FSHA_OK) {
		give_back(q, &own, tenure);
		term_unref(term);
		return result;
	}
	assert(own.number > q->from.number);
	*ret_term = term;
	return FSHA_OK;
fail:
	(void)tenure_remove(q->cluster, q->election_fd, tenure, fsu_now_ns(fs));
	term_unref(term);
	return result;
}

fsha_result claim_vacate(struct term *t, fsha_error *reterr)
{
	struct epoch vacant = t->epoch;
	int r;

	term_over(t, TERM_RESIGNED);
	memset(&vacant.member, 0, sizeof(vacant.member));
	r = epoch_swap(t->cluster, t->election_fd, &t->epoch, &vacant);
	if (r == 0)
		return error_set(reterr, FSHA_E_FENCED, 0, "rename",
				 "'%s' was taken over before it could be resigned", t->election);
	if (r < 0)
		return error_os(reterr, r, "rename", "cannot resign '%s'", t->election);
	r = fsu_fsync(t->cluster->fs, t->election_fd);
	if (r < 0)
		return error_os(reterr, r, "fsync", "cannot resign '%s'", t->election);
	return FSHA_OK;
}

void claim_clean_up(struct term *t)
{
	const struct cluster *c = t->cluster;

	(void)tenure_remove(c, t->election_fd, t->tenure,
			    fsu_now_ns(c->fs) + cluster_lease_ns(c) / 10);
}
