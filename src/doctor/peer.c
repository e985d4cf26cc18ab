/*
 * Several hosts at once: do they see the same, when, and is the fence one for all of them? Each in
 * its turn acts and the others watch; what comes of it is told to all, so that all come to one
 * verdict.
 *
 * A delay is from before a change until the other has seen it and this one has seen the answer: by
 * one clock, and never too short.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_list.h"
#include "src/doctor/verdict.h"
#include "src/result/error.h"

#define FREE_NS (5 * FSU_NS_PER_S)
#define STEP_SIZE 96

static const char *step_of(const char *what, size_t actor, char *ret_step)
{
	(void)snprintf(ret_step, STEP_SIZE, "%s%zu", what, actor);
	return ret_step;
}

static int elapsed_ms(const struct meeting *m, int64_t since_ns)
{
	return (int)((fsu_now_ns(m->fs) - since_ns + FSU_NS_PER_MS - 1) / FSU_NS_PER_MS);
}

static fsha_result failed(int r, const char *what, fsha_error *reterr)
{
	return error_os(reterr, r, "meet", "cannot %s", what);
}

static int make(struct meeting *m, size_t peer, const char *file)
{
	char path[MEETING_PATH];
	int fd = fsu_openat(m->fs, m->fd, meeting_path(m, peer, file, path),
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FSU_FILE_MODE);

	return fd < 0 ? fd : fsu_close(m->fs, fd);
}

static int move(struct meeting *m, size_t peer, const char *from, const char *to)
{
	char a[MEETING_PATH], b[MEETING_PATH];

	return fsu_renameat(m->fs, m->fd, meeting_path(m, peer, from, a), m->fd,
			    meeting_path(m, peer, to, b));
}

/* ---- Waiting for what another host has done ---- */

/* As the library looks: its directory is asked for first. */
static bool is_there(struct meeting *m, size_t peer, const char *file)
{
	char path[MEETING_PATH];
	struct fsu_stamp stamp;
	struct statx st;

	(void)fsu_stamp_read(m->fs, m->fd, m->peers[peer].name, &stamp);
	return fsu_statx(m->fs, m->fd, meeting_path(m, peer, file, path),
			 AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC, STATX_TYPE, &st) == 0;
}

static bool is_listed(struct meeting *m, size_t peer, const char *file)
{
	struct fsu_list list;
	bool listed;

	fsu_list_init(&list, m->fs);
	listed = fsu_list_pass(&list, m->fd, m->peers[peer].name, false) == 0 &&
		 fsu_list_has(&list, file);
	fsu_list_done(&list);
	return listed;
}

/* Until `look` says `wanted`; the limit of the meeting ends it in any case. */
static fsha_result await(struct meeting *m, size_t peer, const char *file, bool wanted,
			 bool (*look)(struct meeting *m, size_t peer, const char *file),
			 fsha_error *reterr)
{
	fsha_result result = FSHA_OK;

	while (result == FSHA_OK && look(m, peer, file) != wanted)
		result = meeting_tick(m, reterr);
	return result;
}

/* ---- Names ---- */

struct sight {
	const char *what; /* the step, and the file */
	bool removed;     /* else it is made */
	bool (*look)(struct meeting *m, size_t peer, const char *file);
};

/* The actor: everybody is ready, now; and when has the last one seen it? */
static fsha_result show(struct meeting *m, const struct sight *s, int *ret_ms, fsha_error *reterr)
{
	char ready[STEP_SIZE], seen[STEP_SIZE], path[MEETING_PATH], what[48];
	fsha_result result;
	int64_t since_ns;
	int r;

	(void)snprintf(what, sizeof(what), "%s-seen", s->what);
	result = meeting_hear_all(m, step_of(s->what, m->self, ready), reterr);
	if (result != FSHA_OK)
		return result;
	since_ns = fsu_now_ns(m->fs);
	if (s->removed)
		r = fsu_unlinkat(m->fs, m->fd, meeting_path(m, m->self, s->what, path), 0);
	else
		r = make(m, m->self, s->what);
	if (r < 0)
		return failed(r, "make or remove a file that the others see", reterr);
	result = meeting_hear_all(m, step_of(what, m->self, seen), reterr);
	*ret_ms = elapsed_ms(m, since_ns);
	return result;
}

static fsha_result watch(struct meeting *m, const struct sight *s, size_t actor, fsha_error *reterr)
{
	char step[STEP_SIZE], what[48];
	fsha_result result;

	/* What is looked up before is remembered: as it is, or that it is not. */
	result = await(m, actor, s->what, s->removed, s->look, reterr);
	if (result == FSHA_OK)
		result = meeting_say(m, step_of(s->what, actor, step), "ready", reterr);
	if (result == FSHA_OK)
		result = await(m, actor, s->what, !s->removed, s->look, reterr);
	(void)snprintf(what, sizeof(what), "%s-seen", s->what);
	if (result == FSHA_OK)
		result = meeting_say(m, step_of(what, actor, step), "yes", reterr);
	return result;
}

static fsha_result names(struct meeting *m, size_t actor, struct measured *own, fsha_error *reterr)
{
	const struct sight sights[] = { { "name", false, is_there },
					{ "gone", true, is_there },
					{ "listed", false, is_listed } };
	int *const results[] = { &own->new_name, &own->removed_name, &own->listing };
	fsha_result result = FSHA_OK;

	for (size_t i = 0; i < sizeof(sights) / sizeof(sights[0]) && result == FSHA_OK; i++) {
		int r = actor == m->self && sights[i].removed ? make(m, actor, sights[i].what) : 0;

		if (r < 0)
			return failed(r, "make a file", reterr);
		result = actor == m->self ? show(m, &sights[i], results[i], reterr) :
					    watch(m, &sights[i], actor, reterr);
	}
	return result;
}

/* ---- Locks ---- */

static bool all_said(struct meeting *m, const char *step, const char *word, bool *ret_all,
		     fsha_result *ret_result, fsha_error *reterr)
{
	char said[WORD_SIZE];

	*ret_all = true;
	*ret_result = FSHA_OK;
	for (size_t i = 0; i < m->count && *ret_result == FSHA_OK; i++) {
		if (i == m->self)
			continue;
		*ret_result = meeting_hear(m, i, step, said, reterr);
		*ret_all = *ret_all && strcmp(said, word) == 0;
	}
	return *ret_result == FSHA_OK;
}

static fsha_result hold_lock(struct meeting *m, struct measured *own, fsha_error *reterr)
{
	struct fsu_lock lock = FSU_LOCK_INIT;
	char path[MEETING_PATH], step[STEP_SIZE];
	bool seen = false, freed = false;
	fsha_result result;
	int64_t since_ns;
	int r = fsu_lock_take(m->fs, m->fd, meeting_path(m, m->self, "lock", path), true, &lock);

	result = meeting_say(m, step_of("locked", m->self, step), r == 0 ? "yes" : "no", reterr);
	if (result == FSHA_OK)
		(void)all_said(m, step_of("lock", m->self, step), "held", &seen, &result, reterr);
	since_ns = fsu_now_ns(m->fs);
	fsu_lock_release(m->fs, &lock);
	if (result == FSHA_OK)
		result = meeting_say(m, step_of("freed", m->self, step), "yes", reterr);
	if (result == FSHA_OK)
		(void)all_said(m, step_of("free", m->self, step), "yes", &freed, &result, reterr);
	own->lock_seen = r == 0 && seen;
	own->lock_free = freed ? elapsed_ms(m, since_ns) : -1;
	return result;
}

/* 1 held, 0 free, or an error. */
static int ask_lock(struct meeting *m, size_t actor)
{
	char path[MEETING_PATH];
	int fd = fsu_openat(m->fs, m->fd, meeting_path(m, actor, "lock", path),
			    O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	int r = fd < 0 ? fd : fsu_lock_is_held(m->fs, fd);

	if (fd >= 0)
		(void)fsu_close(m->fs, fd); /* nothing was written to it */
	return r;
}

static fsha_result ask_for_lock(struct meeting *m, size_t actor, fsha_error *reterr)
{
	char step[STEP_SIZE];
	fsha_result result = meeting_hear(m, actor, step_of("locked", actor, step), NULL, reterr);
	int64_t end_ns;
	int held = 0;

	if (result == FSHA_OK) {
		held = ask_lock(m, actor);
		result = meeting_say(m, step_of("lock", actor, step),
				     held == 1 ? "held" :
				     held == 0 ? "free" :
						 "error",
				     reterr);
	}
	if (result == FSHA_OK)
		result = meeting_hear(m, actor, step_of("freed", actor, step), NULL, reterr);
	end_ns = fsu_now_ns(m->fs) + FREE_NS;
	while (result == FSHA_OK && (held = ask_lock(m, actor)) != 0 && fsu_now_ns(m->fs) < end_ns)
		result = meeting_tick(m, reterr);
	if (result == FSHA_OK)
		result = meeting_say(m, step_of("free", actor, step), held == 0 ? "yes" : "no",
				     reterr);
	return result;
}

/* ---- The fence ---- */

static int set_up_tenure(struct meeting *m)
{
	static const char *const rooms[] = { "tenure", "trash", "store" };
	char path[MEETING_PATH];
	int r = 0;

	for (size_t i = 0; i < 3 && r == 0; i++)
		r = fsu_mkdirat(m->fs, m->fd, meeting_path(m, m->self, rooms[i], path),
				FSU_DIR_MODE);
	return r == 0 ? make(m, m->self, "tenure/x") : r;
}

/* What a fenced leader tries; each of them must fail. */
static int try_through(struct meeting *m, int tenure_fd)
{
	char to[MEETING_PATH];
	int passed = 0;

	passed += move(m, m->self, "tenure/x", "store/x") == 0;
	passed += make(m, m->self, "tenure/y") == 0;
	passed += move(m, m->self, "trash/x", "tenure/z") == 0;
	if (tenure_fd < 0 || m->d->mount.kind == FSU_MOUNT_CEPH_FUSE) /* where it may hang */
		return passed;
	passed += fsu_renameat(m->fs, tenure_fd, "x", m->fd,
			       meeting_path(m, m->self, "store/x2", to)) == 0;
	passed += fsu_mkdirat(m->fs, tenure_fd, "sub", FSU_DIR_MODE) == 0;
	return passed;
}

static fsha_result be_fenced(struct meeting *m, struct measured *own, fsha_error *reterr)
{
	char path[MEETING_PATH], step[STEP_SIZE], word[WORD_SIZE];
	fsha_result result;
	int fd, r = set_up_tenure(m);

	if (r < 0)
		return failed(r, "stage a file", reterr);
	fd = fsu_dir_open(m->fs, m->fd, meeting_path(m, m->self, "tenure", path));
	result = meeting_say(m, step_of("staged", m->self, step), "yes", reterr);
	if (result == FSHA_OK)
		result = meeting_hear(m, (m->self + 1) % m->count, step_of("fenced", m->self, step),
				      word, reterr);
	if (result == FSHA_OK)
		own->fence = strcmp(word, "yes") == 0 ? try_through(m, fd) : -1;
	if (fd >= 0)
		(void)fsu_close(m->fs, fd); /* a directory */
	return result;
}

static fsha_result put_fence(struct meeting *m, size_t actor, fsha_error *reterr)
{
	char path[MEETING_PATH], step[STEP_SIZE];
	fsha_result result;
	int r;

	if ((actor + 1) % m->count != m->self)
		return FSHA_OK;
	result = meeting_hear(m, actor, step_of("staged", actor, step), NULL, reterr);
	if (result != FSHA_OK)
		return result;
	result = await(m, actor, "tenure/x", true, is_there, reterr);
	if (result != FSHA_OK)
		return result;
	r = move(m, actor, "tenure/x", "trash/x");
	if (r == 0)
		r = fsu_unlinkat(m->fs, m->fd, meeting_path(m, actor, "tenure", path),
				 AT_REMOVEDIR);
	return meeting_say(m, step_of("fenced", actor, step), r == 0 ? "yes" : "no", reterr);
}

/* ---- Hand-over ---- */

/* The actor makes the epoch vacant; all others rename it, as candidates do. */
static fsha_result resign(struct meeting *m, struct measured *own, fsha_error *reterr)
{
	char step[STEP_SIZE], said[WORD_SIZE];
	fsha_result result;
	int64_t since_ns;
	int r = make(m, m->self, "epoch-held");

	result = meeting_hear_all(m, step_of("candidate", m->self, step), reterr);
	since_ns = fsu_now_ns(m->fs);
	if (r == 0)
		r = move(m, m->self, "epoch-held", "epoch-vacant");
	if (r < 0)
		return failed(r, "rename a file", reterr);
	for (size_t i = 0; i < m->count && result == FSHA_OK; i++) {
		if (i == m->self)
			continue;
		result = meeting_hear(m, i, step_of("claim", m->self, step), said, reterr);
		own->winners += result == FSHA_OK && strcmp(said, "won") == 0;
	}
	own->hand_over = elapsed_ms(m, since_ns);
	return result;
}

static fsha_result claim(struct meeting *m, size_t actor, fsha_error *reterr)
{
	char step[STEP_SIZE], to[32];
	fsha_result result = meeting_say(m, step_of("candidate", actor, step), "yes", reterr);
	int r = -ENOENT;

	(void)snprintf(to, sizeof(to), "epoch-%zu", m->self);
	/* By a listing, as a candidate does; if another was faster, it is not there any more. */
	while (result == FSHA_OK) {
		struct fsu_list list;
		bool over = false;

		fsu_list_init(&list, m->fs);
		if (fsu_list_pass(&list, m->fd, m->peers[actor].name, false) == 0)
			for (size_t i = 0; i < list.count; i++) {
				const char *name = fsu_list_name(&list, i);

				over = over || (strncmp(name, "epoch-", 6) == 0 &&
						strcmp(name, "epoch-held") != 0);
			}
		fsu_list_done(&list);
		if (over) {
			r = move(m, actor, "epoch-vacant", to);
			break;
		}
		result = meeting_tick(m, reterr);
	}
	/* A lost reply answers ENOENT to the retry: the name tells. */
	if (result == FSHA_OK && r < 0 && is_listed(m, actor, to))
		r = 0;
	return result == FSHA_OK ? meeting_say(m, step_of("claim", actor, step),
					       r == 0 ? "won" : "lost", reterr) :
				   result;
}

/* ---- All of it ---- */

static fsha_result take_turn(struct meeting *m, size_t actor, struct measured *own,
			     fsha_error *reterr)
{
	const bool self = actor == m->self;
	fsha_result result;

	doctor_begin(m->d, "peer-new-name");
	result = names(m, actor, own, reterr);
	doctor_begin(m->d, "peer-locks");
	if (result == FSHA_OK)
		result = self ? hold_lock(m, own, reterr) : ask_for_lock(m, actor, reterr);
	doctor_begin(m->d, "peer-fence");
	if (result == FSHA_OK)
		result = self ? be_fenced(m, own, reterr) : put_fence(m, actor, reterr);
	doctor_begin(m->d, "hand-over");
	if (result == FSHA_OK)
		result = self ? resign(m, own, reterr) : claim(m, actor, reterr);
	return result;
}

fsha_result doctor_peer(struct doctor *d, fsha_error *reterr)
{
	struct measured own = { .winners = 0 };
	struct meeting m;
	fsha_result result;

	doctor_begin(d, "peers");
	result = meeting_join(&m, d, reterr);
	for (size_t i = 0; i < m.count && result == FSHA_OK; i++)
		result = take_turn(&m, i, &own, reterr);
	if (result == FSHA_OK)
		result = verdict_reach(&m, &own, reterr);
	if (result == FSHA_OK) {
		/* All have what they need; whoever does not say so is not waited for twice. */
		if (meeting_say(&m, "bye", "yes", NULL) == FSHA_OK)
			(void)meeting_hear_all(&m, "bye", NULL);
	}
	meeting_leave(&m);
	return d->summary.stopped ? FSHA_OK : result;
}
