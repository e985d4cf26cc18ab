#include "src/election/term.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/election/doubt.h"
#include "src/member/member.h"
#include "src/record/name.h"
#include "src/result/error.h"

#define SEQUENCE_MAX (UINT64_MAX - 1)

struct term *term_create(const struct cluster *c, int election_fd, const char *election,
			 const struct epoch *epoch, struct lease *lease)
{
	struct term *t = fsu_alloc(c->fs, sizeof(*t));

	if (!t)
		return NULL;
	t->cluster = c;
	t->epoch = *epoch;
	t->lease = lease;
	t->seat_lock = (struct fsu_lock)FSU_LOCK_INIT;
	t->granted_wall_ns = fsu_wall_ns(c->fs);
	t->former_end = "";
	atomic_init(&t->refs, 1);
	tenure_format(epoch->number, &epoch->session, t->tenure);
	t->election = fsu_strdup(c->fs, election);
	t->election_fd = t->election ? fsu_dir_open(c->fs, election_fd, "") : -1;
	if (t->election_fd < 0) {
		fsu_release(c->fs, t->election);
		fsu_release(c->fs, t);
		return NULL;
	}
	return t;
}

struct term *term_ref(struct term *t)
{
	if (t)
		atomic_fetch_add(&t->refs, 1);
	return t;
}

void term_unref(struct term *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	fsu_lock_release(t->cluster->fs, &t->seat_lock);
	if (t->lease == &t->attached)
		lease_done(&t->attached);
	(void)fsu_close(t->cluster->fs, t->election_fd); /* a directory */
	fsu_release(t->cluster->fs, t->election);
	fsu_release(t->cluster->fs, t);
}

void term_over(struct term *t, enum term_end why)
{
	int live = TERM_LIVE;

	assert(why != TERM_LIVE);
	if (atomic_compare_exchange_strong(&t->end, &live, (int)why) && why == TERM_FENCED &&
	    t->on_fenced)
		t->on_fenced(t->on_fenced_ctx);
}

bool term_is_live(struct term *t)
{
	if (atomic_load(&t->end) != TERM_LIVE)
		return false;
	if (lease_is_alive(t->lease))
		return true;
	term_over(t, TERM_EXPIRED);
	return false;
}

fsha_result term_not_live(struct term *t, fsha_error *reterr)
{
	if (atomic_load(&t->end) == TERM_FENCED)
		return error_set(reterr, FSHA_E_FENCED, 0, "commit",
				 "term %llu of '%s' is over: a newer leader exists",
				 (unsigned long long)t->epoch.number, t->election);
	return error_set(reterr, FSHA_E_NOT_LEADER, 0, "commit",
			 "this process does not lead '%s' any more: its term %llu has ended",
			 t->election, (unsigned long long)t->epoch.number);
}

fsha_result term_enter(struct term *t, struct fsu_lock *ret_lock, fsha_error *reterr)
{
	char path[FSU_UUID_HEX + sizeof(MEMBER_WRITE_LOCK) + 2], member[FSU_UUID_HEX + 1];
	int64_t deadline_ns;
	int r;

	ret_lock->fd = -1;
	if (!t->shared)
		return FSHA_OK;
	fsu_uuid_format(&t->epoch.member, member);
	(void)snprintf(path, sizeof(path), "%s/" MEMBER_WRITE_LOCK, member);
	deadline_ns = fsu_now_ns(t->cluster->fs) + cluster_lease_ns(t->cluster);
	r = fsu_lock_take_until(t->cluster->fs, t->cluster->members_fd, path, deadline_ns,
				ret_lock);
	if (r == -ETIMEDOUT)
		return error_set(reterr, FSHA_E_TIMEOUT, 0, "lock",
				 "another process of this term keeps writing to '%s'", t->election);
	if (r == -ENOENT) /* the member's directory is gone, so its term is */
		return error_set(reterr, FSHA_E_FENCED, ENOENT, "lock",
				 "term %llu of '%s' is over: its member is gone",
				 (unsigned long long)t->epoch.number, t->election);
	if (r < 0)
		return error_os(reterr, r, "lock", "cannot lock '%s/%s'", LAYOUT_MEMBERS, path);
	return FSHA_OK;
}

void term_exit(struct term *t, struct fsu_lock *lock)
{
	fsu_lock_release(t->cluster->fs, lock);
}

/*
 * The next sequence. Alone it counts 1, 2, 3; among processes that share the term it is at least
 * the host's boot time in nanoseconds, so that a seat that was used before never goes back.
 */
static uint64_t next_sequence(struct term *t, const fsha_version *floor)
{
	uint64_t last = atomic_load(&t->sequence), next;

	do {
		next = last;
		if (t->shared && (uint64_t)fsu_now_ns(t->cluster->fs) > next)
			next = (uint64_t)fsu_now_ns(t->cluster->fs);
		if (floor && floor->epoch == t->epoch.number && floor->sequence > next)
			next = floor->sequence;
		next++;
	} while (!atomic_compare_exchange_weak(&t->sequence, &last, next));
	return next;
}

uint64_t term_next_sequence(struct term *t)
{
	return next_sequence(t, NULL);
}

void term_staged_path(const struct term *t, const fsha_version *v, char *ret_path)
{
	(void)snprintf(ret_path, TERM_STAGED_SIZE, "%s/%04x.%016llx", t->tenure, v->seat,
		       (unsigned long long)v->sequence);
}

/* Is our tenure directory still there? Revalidated; an error counts as "cannot tell": true. */
static bool tenure_is_there(const struct term *t)
{
	struct fsu_list list;
	bool there;
	int r;

	fsu_list_init(&list, t->cluster->fs);
	r = fsu_list_pass(&list, t->election_fd, "", t->cluster->local);
	there = r < 0 || fsu_list_has(&list, t->tenure);
	fsu_list_done(&list);
	return there;
}

fsha_result term_stage_failed(struct term *t, const char *what, int r, const char *op,
			      fsha_error *reterr)
{
	if ((r == -ENOENT || r == -ESTALE || r == -ENOTDIR) && !tenure_is_there(t)) {
		term_over(t, TERM_FENCED);
		return error_set(reterr, FSHA_E_FENCED, -r, op,
				 "cannot write '%s': a newer leader of '%s' exists", what,
				 t->election);
	}
	return error_os(reterr, r, op, "cannot write '%s'", what);
}

static fsha_result published(struct term *t, const struct term_write *w, uint64_t sequence,
			     const struct fsu_published *p, fsha_error *reterr)
{
	fsha_result result;

	if (p->outcome == FSU_DONE)
		return FSHA_OK;
	if (p->fenced) {
		term_over(t, TERM_FENCED);
		result = error_set(reterr, FSHA_E_FENCED, p->os_errno, p->op,
				   "cannot write '%s/%s': a newer leader of '%s' exists",
				   w->directory, w->key, t->election);
		if (reterr)
			reterr->maybe_done = p->outcome == FSU_IN_DOUBT;
		return result;
	}
	if (p->outcome == FSU_NOT_DONE)
		return error_os(reterr, -p->os_errno, p->op, "cannot write '%s/%s'", w->directory,
				w->key);
	/* Of these the newest counts, whichever it is: nothing is built on the absence of one. */
	if (w->kind != FSU_KIND_LEADER && w->kind != FSU_KIND_HISTORY)
		doubt_add(t, sequence);
	return error_set(
		reterr, FSHA_E_INDOUBT, p->os_errno, p->op,
		"cannot tell whether '%s/%s' was written: ask again when the storage answers",
		w->directory, w->key);
}

static struct fsu_publication publication(const struct term *t, const struct term_write *w,
					  const char *staged, const char *target)
{
	return (struct fsu_publication){
		.from_dirfd = t->election_fd,
		.from = staged,
		.from_dir = t->tenure,
		.to_dirfd = w->dir_fd,
		.to = target,
	};
}

static fsha_result stage_envelope(void *ctx, const struct record_place *place,
				  const struct record_content *content, int dirfd, const char *path,
				  int *ret_errno, const char **ret_op, fsha_error *reterr)
{
	fsha_result result;
	uint8_t *buf;
	size_t len;

	(void)ctx;
	result = record_encode(place, content, &buf, &len, reterr);
	if (result != FSHA_OK)
		return result;
	*ret_errno = fsu_file_stage(place->fs, dirfd, path, buf, len, ret_op);
	fsu_release(place->fs, buf);
	return *ret_errno < 0 ? FSHA_E_IO : FSHA_OK;
}

static fsha_result stage(struct term *t, const struct term_write *w,
			 const struct record_place *place, const struct record_content *content,
			 const char *path, fsha_error *reterr)
{
	const char *op = "write";
	fsha_result result;
	int r = 0;

	result = (w->stage ? w->stage : stage_envelope)(w->stage_ctx, place, content,
							t->election_fd, path, &r, &op, reterr);
	return r < 0 ? term_stage_failed(t, w->key, r, op, reterr) : result;
}

/* Choose the next version and write it into the tenure. */
static fsha_result stage_version(struct term *t, const struct term_write *w,
				 const fsha_version *floor, fsha_version *ret_version,
				 fsha_error *reterr)
{
	struct record_place place = cluster_place(t->cluster, w->dir_fd, w->directory);
	struct record_content content = {
		.kind = w->kind,
		.form = w->form,
		.session = t->epoch.session,
		.key = w->key,
		.version = { .epoch = t->epoch.number, .seat = t->seat },
		.payload = w->data,
		.size = w->size,
	};
	char staged[TERM_STAGED_SIZE];
	fsha_result result;

	content.version.sequence = next_sequence(t, floor);
	if (!FSHA_INVARIANT(content.version.sequence < SEQUENCE_MAX)) {
		term_over(t, TERM_BROKEN);
		return term_not_live(t, reterr);
	}
	term_staged_path(t, &content.version, staged);
	result = stage(t, w, &place, &content, staged, reterr);
	if (result == FSHA_OK)
		*ret_version = content.version;
	return result;
}

/* Rename what was staged, make that durable. */
static fsha_result publish_version(struct term *t, const struct term_write *w,
				   const fsha_version *version, fsha_error *reterr)
{
	char staged[TERM_STAGED_SIZE], target[NAME_SIZE];
	struct fsu_publication publish;
	struct fsu_published outcome;

	name_format(w->key, version, w->form, target);
	term_staged_path(t, version, staged);
	publish = publication(t, w, staged, target);
	fsu_publish(t->cluster->fs, &publish, &outcome);
	return published(t, w, version->sequence, &outcome, reterr);
}

/* The caller has made sure that the term may write. */
static fsha_result write_version(struct term *t, const struct term_write *w,
				 const fsha_version *floor, fsha_version *ret_version,
				 fsha_error *reterr)
{
	fsha_version version;
	fsha_result result = stage_version(t, w, floor, &version, reterr);

	if (result != FSHA_OK)
		return result;
	if (ret_version)
		*ret_version = version;
	return publish_version(t, w, &version, reterr);
}

/*
 * The store has a version of a later epoch than ours. Either a newer leader wrote it, or, when the
 * epoch file still names us, nobody who led: somebody copied a file there.
 */
static fsha_result newer_version(struct term *t, const struct term_write *w,
				 const fsha_version *newer, fsha_error *reterr)
{
	char text[FSHA_VERSION_TEXT];
	struct fsu_list list;
	struct epoch now;
	int r;

	fsu_list_init(&list, t->cluster->fs);
	r = epoch_read(t->cluster, t->election_fd, &list, &now);
	fsu_list_done(&list);
	if (r == 0 && epoch_equal(&now, &t->epoch))
		return error_set(
			reterr, FSHA_E_CORRUPT, 0, "commit",
			"'%s/%s~%s' is of a later epoch than any leader has had: 'fsha repair' "
			"moves it to quarantine",
			w->directory, w->key, fsha_version_format(newer, text));
	term_over(t, TERM_FENCED);
	return term_not_live(t, reterr);
}

fsha_result term_commit(struct term *t, const struct term_write *w, const fsha_version *floor,
			fsha_version *ret_version, fsha_error *reterr)
{
	if (!term_is_live(t))
		return term_not_live(t, reterr);
	if (!FSHA_INVARIANT(!floor || floor->epoch <= t->epoch.number))
		return newer_version(t, w, floor, reterr);
	return write_version(t, w, floor, ret_version, reterr);
}

fsha_result term_stage(struct term *t, const struct term_write *w, const fsha_version *floor,
		       fsha_version *ret_version, fsha_error *reterr)
{
	if (!term_is_live(t))
		return term_not_live(t, reterr);
	if (!FSHA_INVARIANT(!floor || floor->epoch <= t->epoch.number))
		return newer_version(t, w, floor, reterr);
	return stage_version(t, w, floor, ret_version, reterr);
}

void term_unstage(struct term *t, const fsha_version *version)
{
	char staged[TERM_STAGED_SIZE];

	term_staged_path(t, version, staged);
	/* What stays is cleared away with the tenure. */
	(void)fsu_unlinkat(t->cluster->fs, t->election_fd, staged, 0);
}

fsha_result term_publish(struct term *t, const struct term_write *w, const fsha_version *version,
			 const fsha_version *floor, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;

	/* It took long to get here: all that was asked before the staging is asked again. */
	if (!term_is_live(t))
		result = term_not_live(t, reterr);
	else if (!FSHA_INVARIANT(!floor || floor->epoch <= t->epoch.number))
		result = newer_version(t, w, floor, reterr);
	else if (floor && fsha_version_compare(version, floor) <= 0)
		result = error_set(reterr, FSHA_E_VERSION, 0, "commit",
				   "'%s/%s' was written or removed by another call while its new "
				   "value was taken in: nothing was done, try again",
				   w->directory, w->key);
	if (result != FSHA_OK) {
		term_unstage(t, version);
		return result;
	}
	return publish_version(t, w, version, reterr);
}

fsha_result term_commit_last(struct term *t, const struct term_write *w, fsha_version *ret_version,
			     fsha_error *reterr)
{
	/* It may have run out before it could be resigned. */
	if (atomic_load(&t->end) != TERM_RESIGNED)
		return term_not_live(t, reterr);
	return write_version(t, w, NULL, ret_version, reterr);
}

fsha_result term_settle(struct term *t, const struct term_write *w, const fsha_version *version,
			fsha_error *reterr)
{
	char staged[TERM_STAGED_SIZE], target[NAME_SIZE];
	struct fsu_publication publish;
	struct fsu_published outcome;

	name_format(w->key, version, w->form, target);
	term_staged_path(t, version, staged);
	publish = publication(t, w, staged, target);
	fsu_publish_settle(t->cluster->fs, &publish, &outcome);
	if (outcome.outcome == FSU_IN_DOUBT && doubt_is_undone(t, version->sequence))
		outcome.outcome = FSU_NOT_DONE;
	if (outcome.outcome != FSU_IN_DOUBT)
		doubt_remove(t, version->sequence);
	switch (outcome.outcome) {
	case FSU_DONE:
		return FSHA_OK;
	case FSU_NOT_DONE:
		return error_set(reterr, FSHA_E_NOT_FOUND, 0, "settle",
				 "'%s/%s' was not written, and never will be", w->directory,
				 target);
	default:
		return error_set(reterr, FSHA_E_INDOUBT, outcome.os_errno, outcome.op,
				 "still cannot tell whether '%s/%s' was written", w->directory,
				 target);
	}
}

/* From the tenure. When this fails the tenure keeps it until it is removed; nothing is lost. */
static int move_to_trash(struct term *t, const char *staged)
{
	char trash[sizeof(LAYOUT_TRASH) + FSU_UUID_HEX + 1] = LAYOUT_TRASH "/";
	const struct fsu *fs = t->cluster->fs;
	struct fsu_uuid unique;
	int r = fsu_uuid_make(fs, &unique);

	if (r < 0)
		return r;
	fsu_uuid_format(&unique, trash + sizeof(LAYOUT_TRASH));
	return fsu_renameat(fs, t->election_fd, staged, t->election_fd, trash);
}

static void discarded_path(struct term *t, char *ret_staged)
{
	const fsha_version v = { .sequence = next_sequence(t, NULL), .seat = t->seat };

	term_staged_path(t, &v, ret_staged);
}

int term_discard(struct term *t, int dir_fd, const char *file_name)
{
	char staged[TERM_STAGED_SIZE];
	int r;

	/* A term that is over may still clean up until it is fenced: the rename itself decides. */
	discarded_path(t, staged);
	r = fsu_renameat(t->cluster->fs, dir_fd, file_name, t->election_fd, staged);
	if (r == 0)
		(void)move_to_trash(t, staged);
	return r == -ENOENT ? 0 : r;
}

static bool is_directory(const struct term *t, int dir_fd, const char *path)
{
	struct fsu_stamp stamp;

	return fsu_stamp_read(t->cluster->fs, dir_fd, path, &stamp) == 0;
}

/*
 * The rename of a directory has failed with `error`, and may still come: a file of the name that it
 * was to get makes that impossible. 0: it was done, so that name is taken.
 */
static int block(struct term *t, int dir_fd, const char *path, const char *staged, int error)
{
	const struct fsu *fs = t->cluster->fs;
	int fd = fsu_openat(fs, t->election_fd, staged,
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FSU_FILE_MODE);

	if (fd >= 0)
		(void)fsu_close(fs, fd); /* empty */
	return fd == -EEXIST && !is_directory(t, dir_fd, path) ? 0 : error;
}

int term_discard_directory(struct term *t, int dir_fd, const char *path)
{
	char staged[TERM_STAGED_SIZE];
	int r;

	discarded_path(t, staged);
	r = fsu_renameat(t->cluster->fs, dir_fd, path, t->election_fd, staged);
	if (r == -ENOENT)
		return is_directory(t, dir_fd, path) ? r : 0;
	if (r < 0)
		r = block(t, dir_fd, path, staged, r);
	if (r == 0)
		(void)move_to_trash(t, staged);
	return r;
}
