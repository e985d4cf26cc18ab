#include "src/doctor/meeting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_list.h"
#include "src/cluster/layout.h"
#include "src/result/error.h"

#define PLACE ".fsha-doctor-peers"
#define SESSION "session"
#define ROSTER SESSION "/roster"
#define BEAT "beat-"
#define BEAT_NS (FSU_NS_PER_S / 2)
#define LOOK_NS (2 * FSU_NS_PER_MS)
#define SETTLE_NS (2 * FSU_NS_PER_S)
#define DEAD_NS (6 * FSU_NS_PER_S)
#define LIMIT_NS (55 * FSU_NS_PER_S)
#define TRIES 3

const char *meeting_path(const struct meeting *m, size_t peer, const char *file, char *ret_path)
{
	(void)snprintf(ret_path, MEETING_PATH, "%s/%s", m->peers[peer].name, file);
	return ret_path;
}

static const char *decode(const char *name, char *ret_label)
{
	size_t len;

	if (fsu_path_decode(name, strlen(name), ret_label, &len) < 0)
		(void)snprintf(ret_label, FSU_NAME_MAX + 1, "%s", name);
	return ret_label;
}

const char *meeting_label(const struct meeting *m, size_t peer, char *ret_label)
{
	return decode(m->peers[peer].name, ret_label);
}

static fsha_result failed(int r, const char *what, fsha_error *reterr)
{
	return error_os(reterr, r, "meet", "cannot %s in " PLACE, what);
}

/* ---- Life ---- */

static void beat_path(const struct meeting *m, uint64_t beat, char *ret_path)
{
	(void)snprintf(ret_path, MEETING_PATH, "%s/" BEAT "%" PRIu64, m->name, beat);
}

static fsha_result beat(struct meeting *m, fsha_error *reterr)
{
	char from[MEETING_PATH], to[MEETING_PATH];
	int r;

	if (!m->joined || fsu_now_ns(m->fs) - m->beaten_ns < BEAT_NS)
		return FSHA_OK;
	beat_path(m, m->beat, from);
	beat_path(m, m->beat + 1, to);
	r = fsu_renameat(m->fs, m->fd, from, m->fd, to);
	if (r < 0)
		return failed(r, "show that this peer lives", reterr);
	m->beat++;
	m->beaten_ns = fsu_now_ns(m->fs);
	doctor_begin(m->d, m->d->check); /* a step was made: nothing hangs */
	return FSHA_OK;
}

fsha_result meeting_tick(struct meeting *m, fsha_error *reterr)
{
	if (doctor_is_stopped(m->d)) {
		m->d->summary.stopped = true;
		return error_set(reterr, FSHA_E_TIMEOUT, 0, "meet", "stopped");
	}
	if (fsu_now_ns(m->fs) - m->begun_ns > LIMIT_NS)
		return error_set(reterr, FSHA_E_TIMEOUT, 0, "meet",
				 "this takes longer than %d s: storage that slow is not fit for "
				 "fsha, or a peer hangs",
				 (int)(LIMIT_NS / FSU_NS_PER_S));
	fsu_sleep(m->fs, LOOK_NS);
	return beat(m, reterr);
}

/* What a listing of a peer's directory says of its beat. */
static void note_beat(struct meeting *m, struct peer *p, const struct fsu_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *name = fsu_list_name(list, i);
		uint64_t number;

		if (strncmp(name, BEAT, strlen(BEAT)) != 0)
			continue;
		number = strtoull(name + strlen(BEAT), NULL, 10);
		if (p->beat_ns > 0 && number == p->beat)
			continue;
		p->beats = p->beats || p->beat_ns > 0;
		p->beat = number;
		p->beat_ns = fsu_now_ns(m->fs);
	}
}

static int look_at_peer(struct meeting *m, struct peer *p, struct fsu_list *list)
{
	int r = fsu_list_pass(list, m->fd, p->name, false);

	if (r == 0)
		note_beat(m, p, list);
	if (p->beat_ns == 0) /* from the first look on it has its time, too */
		p->beat_ns = fsu_now_ns(m->fs);
	return r;
}

/* ---- Talk ---- */

fsha_result meeting_say(struct meeting *m, const char *step, const char *word, fsha_error *reterr)
{
	char path[MEETING_PATH + WORD_SIZE];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s.%s", m->name, step, word);
	fd = fsu_openat(m->fs, m->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			FSU_FILE_MODE);
	if (fd < 0)
		return failed(fd, "tell the other peers anything", reterr);
	(void)fsu_close(m->fs, fd); /* there is nothing in it */
	return beat(m, reterr);
}

static bool find_word(const struct fsu_list *list, const char *step, char *ret_word)
{
	const size_t len = strlen(step);

	for (size_t i = 0; i < list->count; i++) {
		const char *name = fsu_list_name(list, i);

		if (strncmp(name, step, len) != 0 || name[len] != '.')
			continue;
		if (ret_word)
			(void)snprintf(ret_word, WORD_SIZE, "%s", name + len + 1);
		return true;
	}
	return false;
}

static fsha_result lost(struct meeting *m, size_t peer, bool left, fsha_error *reterr)
{
	char label[FSU_NAME_MAX + 1];

	return error_set(
		reterr, FSHA_E_TIMEOUT, 0, "meet",
		left ? "peer '%.100s' has left before the end: see what it says, and run "
		       "all of them again" :
		       "peer '%.100s' does not answer any more: see what became of it, and "
		       "run all of them again",
		meeting_label(m, peer, label));
}

fsha_result meeting_hear(struct meeting *m, size_t peer, const char *step, char *ret_word,
			 fsha_error *reterr)
{
	struct peer *p = &m->peers[peer];
	fsha_result result = FSHA_OK;
	struct fsu_list list;
	bool heard = false;

	fsu_list_init(&list, m->fs);
	p->beat_ns = 0; /* while nobody listened nothing was seen */
	while (result == FSHA_OK && !heard) {
		int r = look_at_peer(m, p, &list);

		heard = r == 0 && find_word(&list, step, ret_word);
		if (heard)
			break;
		if (r == -ENOENT || r == -ESTALE)
			result = lost(m, peer, true, reterr);
		else if (fsu_now_ns(m->fs) - p->beat_ns > DEAD_NS)
			result = lost(m, peer, false, reterr);
		else
			result = meeting_tick(m, reterr);
	}
	fsu_list_done(&list);
	return result;
}

fsha_result meeting_hear_all(struct meeting *m, const char *step, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;

	for (size_t i = 0; i < m->count && result == FSHA_OK; i++)
		if (i != m->self)
			result = meeting_hear(m, i, step, NULL, reterr);
	return result;
}

/* ---- Coming together ---- */

static bool is_there(struct meeting *m, const char *path)
{
	struct fsu_stamp stamp;
	struct statx st;

	(void)fsu_stamp_read(m->fs, m->fd, "", &stamp); /* an absence may be remembered */
	return fsu_statx(m->fs, m->fd, path, AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC, STATX_TYPE,
			 &st) == 0;
}

static bool is_peer_name(const char *name)
{
	return name[0] != '.' && name[0] != '~' && strcmp(name, SESSION) != 0 &&
	       strlen(name) <= FSU_COMPONENT_MAX;
}

static struct peer *find_peer(struct meeting *m, const char *name)
{
	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->peers[i].name, name) == 0)
			return &m->peers[i];
	return NULL;
}

/* Look at everybody who is there; returns how many are new, or an error. */
static int look_around(struct meeting *m)
{
	struct fsu_list list, of_peer;
	int r, fresh = 0;

	fsu_list_init(&list, m->fs);
	fsu_list_init(&of_peer, m->fs);
	r = fsu_list_pass(&list, m->fd, "", false);
	for (size_t i = 0; r == 0 && i < list.count; i++) {
		const char *name = fsu_list_name(&list, i);
		struct peer *p = find_peer(m, name);

		if (!is_peer_name(name) || (!p && m->count == PEERS_MAX))
			continue;
		if (!p) {
			p = &m->peers[m->count++];
			*p = (struct peer){ .beat_ns = 0 };
			(void)snprintf(p->name, sizeof(p->name), "%s", name);
			fresh++;
		}
		(void)look_at_peer(m, p, &of_peer); /* who is gone does not beat */
	}
	fsu_list_done(&of_peer);
	fsu_list_done(&list);
	return r < 0 ? r : fresh;
}

static bool anybody_beats(struct meeting *m, const char *only)
{
	const int64_t end_ns = fsu_now_ns(m->fs) + DEAD_NS;
	bool beats = false;

	m->count = 0;
	while (!beats && fsu_now_ns(m->fs) < end_ns && meeting_tick(m, NULL) == FSHA_OK) {
		if (look_around(m) < 0)
			break;
		for (size_t i = 0; i < m->count; i++)
			beats = beats || (m->peers[i].beats &&
					  (!only || strcmp(m->peers[i].name, only) == 0));
	}
	m->count = 0;
	return beats;
}

/* Does its name still lead to the directory that was looked at? */
static bool is_same_place(struct meeting *m)
{
	struct statx looked_at, named;

	return fsu_statx(m->fs, m->fd, "", AT_EMPTY_PATH, STATX_INO, &looked_at) == 0 &&
	       fsu_statx(m->fs, m->d->dir_fd, PLACE, AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC,
			 STATX_INO, &named) == 0 &&
	       looked_at.stx_ino == named.stx_ino;
}

/*
 * What a meeting that died left: taken away under a name that any doctor sweeps. One wins; whoever
 * comes a moment later must not take away what the winner has made anew.
 */
static void clear_away(struct meeting *m)
{
	char hex[FSU_UUID_HEX + 1], aside[DOCTOR_WORK_SIZE];
	struct fsu_uuid id;
	const bool same = is_same_place(m);

	(void)fsu_close(m->fs, m->fd); /* a directory */
	m->fd = -1;
	if (!same || fsu_uuid_make(m->fs, &id) < 0)
		return;
	fsu_uuid_format(&id, hex);
	(void)snprintf(aside, sizeof(aside), DOCTOR_PREFIX "%s", hex);
	if (fsu_renameat(m->fs, m->d->dir_fd, PLACE, m->d->dir_fd, aside) == 0)
		layout_remove_tree(m->fs, m->d->dir_fd, aside);
}

static fsha_result enter(struct meeting *m, fsha_error *reterr)
{
	int r = fsu_mkdirat(m->fs, m->d->dir_fd, PLACE, FSU_DIR_MODE);

	if (r == 0 || r == -EEXIST)
		r = m->fd = fsu_dir_open(m->fs, m->d->dir_fd, PLACE);
	return r < 0 ? failed(r, "make and enter a directory for the peers", reterr) : FSHA_OK;
}

/* The own directory, with a first beat. 0, or -EEXIST: somebody has that label, or had it. */
static int take_label(struct meeting *m)
{
	char path[MEETING_PATH];
	int fd, r = fsu_mkdirat(m->fs, m->fd, m->name, FSU_DIR_MODE);

	if (r < 0)
		return r;
	m->joined = true;
	beat_path(m, m->beat, path);
	fd = fsu_openat(m->fs, m->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			FSU_FILE_MODE);
	return fd < 0 ? fd : fsu_close(m->fs, fd);
}

static fsha_result under_way(const char *who, fsha_error *reterr)
{
	return error_set(
		reterr, FSHA_E_STATE, 0, "meet",
		who ? "there is a peer '%.100s' already: give each host a label of its own" :
		      "other peers are in the middle of it, and this one came too late: "
		      "start all of them within some seconds%.0s",
		who ? who : "");
}

static fsha_result try_join(struct meeting *m, bool *ret_again, fsha_error *reterr)
{
	fsha_result result = enter(m, reterr);
	int r;

	*ret_again = false;
	if (result != FSHA_OK)
		return result;
	if (is_there(m, SESSION)) {
		if (anybody_beats(m, NULL))
			return under_way(NULL, reterr);
		clear_away(m);
		*ret_again = true;
		return FSHA_OK;
	}
	r = take_label(m);
	if (r == -EEXIST) {
		if (anybody_beats(m, m->name))
			return under_way(m->d->options->peer, reterr);
		layout_remove_tree(m->fs, m->fd, m->name); /* of a peer that was killed */
		*ret_again = true;
	} else if (r == -ENOENT || r == -ESTALE) {
		*ret_again = true; /* the last of others has just left, and its door is shut */
	} else if (r < 0) {
		return failed(r, "make the directory of this peer", reterr);
	}
	if (*ret_again && m->fd >= 0) {
		(void)fsu_close(m->fs, m->fd); /* a directory */
		m->fd = -1;
	}
	return FSHA_OK;
}

static size_t beating(const struct meeting *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->count; i++)
		n += m->peers[i].beats || strcmp(m->peers[i].name, m->name) == 0;
	return n;
}

/* Until there are two, and nobody new comes for a while; or somebody else has begun. */
static fsha_result gather(struct meeting *m, fsha_error *reterr)
{
	const int64_t end_ns = fsu_now_ns(m->fs) + (int64_t)m->d->options->wait_ms * FSU_NS_PER_MS;
	int64_t settled_ns = fsu_now_ns(m->fs);
	size_t before = 1;

	m->count = 0;
	while (!is_there(m, SESSION)) {
		fsha_result result = meeting_tick(m, reterr);
		int r = result == FSHA_OK ? look_around(m) : 0;

		if (result != FSHA_OK)
			return result;
		if (r < 0)
			return failed(r, "look who is there", reterr);
		if (beating(m) != before) {
			before = beating(m);
			settled_ns = fsu_now_ns(m->fs);
		}
		if (before > 1 && fsu_now_ns(m->fs) - settled_ns > SETTLE_NS)
			return FSHA_OK;
		if (before < 2 && fsu_now_ns(m->fs) > end_ns)
			return error_set(reterr, FSHA_E_TIMEOUT, 0, "meet",
					 "no other peer came within %u s: run 'fsha doctor --peer "
					 "LABEL' on another host at the same time, with the same "
					 "directory",
					 m->d->options->wait_ms / 1000);
	}
	return FSHA_OK;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct peer *)a)->name, ((const struct peer *)b)->name);
}

/* Whoever makes "session" says who takes part. */
static int convene(struct meeting *m)
{
	char text[PEERS_MAX * (FSU_COMPONENT_MAX + 2)] = "", from[MEETING_PATH];
	size_t len = 0;
	int r = fsu_mkdirat(m->fs, m->fd, SESSION, FSU_DIR_MODE);

	if (r < 0)
		return r == -EEXIST ? 0 : r;
	qsort(m->peers, m->count, sizeof(m->peers[0]), by_name);
	for (size_t i = 0; i < m->count; i++)
		if (m->peers[i].beats || strcmp(m->peers[i].name, m->name) == 0)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\n",
						m->peers[i].name);
	(void)snprintf(from, sizeof(from), "%s/roster", m->name);
	r = fsu_file_stage(m->fs, m->fd, from, text, len, NULL);
	return r < 0 ? r : fsu_renameat(m->fs, m->fd, from, m->fd, ROSTER);
}

static fsha_result take_roster(struct meeting *m, char *text, fsha_error *reterr)
{
	char *rest = NULL;
	bool found = false;

	m->count = 0;
	for (char *name = strtok_r(text, "\n", &rest); name && m->count < PEERS_MAX;
	     name = strtok_r(NULL, "\n", &rest)) {
		struct peer *p = &m->peers[m->count];

		if (!is_peer_name(name) || strchr(name, '/'))
			return error_set(reterr, FSHA_E_CORRUPT, 0, "meet",
					 "the roster of the peers is damaged: remove " PLACE);
		*p = (struct peer){ .beat_ns = 0 };
		(void)snprintf(p->name, sizeof(p->name), "%s", name);
		if (strcmp(name, m->name) == 0) {
			m->self = m->count;
			found = true;
		}
		m->count++;
	}
	m->seated = found;
	return found ? FSHA_OK : under_way(NULL, reterr);
}

static fsha_result read_roster(struct meeting *m, fsha_error *reterr)
{
	const int64_t end_ns = fsu_now_ns(m->fs) + DEAD_NS;
	fsha_result result = FSHA_OK;
	uint8_t *data = NULL;
	size_t len = 0;

	while (result == FSHA_OK && !is_there(m, ROSTER)) {
		result = meeting_tick(m, reterr);
		if (result == FSHA_OK && fsu_now_ns(m->fs) > end_ns) {
			/* Who lives has beaten since; what the dead left is for us to remove. */
			(void)look_around(m);
			m->seated = true;
			result = error_set(reterr, FSHA_E_TIMEOUT, 0, "meet",
					   "the peer that began has died: run all of them again");
		}
	}
	if (result == FSHA_OK) {
		char text[PEERS_MAX * (FSU_COMPONENT_MAX + 2) + 1];
		int r = fsu_file_read(m->fs, m->fd, ROSTER, sizeof(text) - 1, &data, &len);

		if (r < 0)
			return failed(r, "read the roster of the peers", reterr);
		memcpy(text, data, len);
		text[len] = '\0';
		fsu_release(m->fs, data);
		result = take_roster(m, text, reterr);
	}
	return result;
}

fsha_result meeting_join(struct meeting *m, struct doctor *d, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;
	bool again = true;
	int r;

	*m = (struct meeting){ .d = d, .fs = d->fs, .fd = -1, .begun_ns = fsu_now_ns(d->fs) };
	r = fsu_path_encode(d->options->peer, strlen(d->options->peer), m->name);
	if (r < 0 || strcmp(m->name, SESSION) == 0)
		return error_set(reterr, FSHA_E_INVALID, r < 0 ? -r : 0, "meet",
				 "'%.100s' is no label: give the name of this host",
				 d->options->peer);
	for (int i = 0; i < TRIES && again && result == FSHA_OK; i++)
		result = try_join(m, &again, reterr);
	if (result == FSHA_OK && again)
		return error_set(reterr, FSHA_E_TIMEOUT, 0, "meet",
				 "other peers come and go all the time: try again");
	if (result == FSHA_OK)
		result = gather(m, reterr);
	if (result != FSHA_OK)
		return result;
	r = is_there(m, SESSION) ? 0 : convene(m);
	return r < 0 ? failed(r, "begin", reterr) : read_roster(m, reterr);
}

/* Others who are dead by now, and who will tidy up for nobody. */
static void bury(struct meeting *m)
{
	const int64_t now_ns = fsu_now_ns(m->fs);

	for (size_t i = 0; i < m->count; i++)
		if (m->peers[i].beat_ns > 0 && now_ns - m->peers[i].beat_ns > DEAD_NS)
			layout_remove_tree(m->fs, m->fd, m->peers[i].name);
}

void meeting_leave(struct meeting *m)
{
	if (m->fd < 0)
		return;
	if (m->joined) {
		bury(m);
		layout_remove_tree(m->fs, m->fd, m->name);
		/* Nobody needs it who is on the roster; who is not must not begin now. */
		if (m->seated)
			layout_remove_tree(m->fs, m->fd, SESSION);
	}
	(void)fsu_close(m->fs, m->fd); /* a directory */
	m->fd = -1;
	(void)fsu_unlinkat(m->fs, m->d->dir_fd, PLACE, AT_REMOVEDIR); /* once it is empty */
}
