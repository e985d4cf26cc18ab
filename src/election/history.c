#include "src/election/history.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/leader/leader.h"
#include "src/record/name.h"
#include "src/result/error.h"

#define DIRECTORY_SIZE (sizeof(LAYOUT_ELECTIONS) + FSHA_NAME_MAX + 1)
#define READ_TRIES 10

static void put_term(struct fsu_writer *w, const fsha_term_history *t)
{
	fsu_put_u64(w, t->epoch);
	fsu_put_uuid(w, (const struct fsu_uuid *)&t->session);
	fsu_put_uuid(w, (const struct fsu_uuid *)&t->member);
	fsu_put_u32(w, (uint32_t)t->pid);
	fsu_put_u64(w, (uint64_t)t->granted_wall_ns);
	fsu_put_u64(w, (uint64_t)t->ended_wall_ns);
	fsu_put_bytes(w, t->host, strlen(t->host));
	fsu_put_bytes(w, t->end, strlen(t->end));
}

static void get_term(struct fsu_reader *r, fsha_term_history *t)
{
	t->epoch = fsu_get_u64(r);
	fsu_get_uuid(r, (struct fsu_uuid *)&t->session);
	fsu_get_uuid(r, (struct fsu_uuid *)&t->member);
	t->pid = (int32_t)fsu_get_u32(r);
	t->granted_wall_ns = (int64_t)fsu_get_u64(r);
	t->ended_wall_ns = (int64_t)fsu_get_u64(r);
	fsu_get_text(r, t->host, sizeof(t->host));
	fsu_get_text(r, t->end, sizeof(t->end));
}

ssize_t history_encode(const struct history *history, uint8_t *buf, size_t size)
{
	struct fsu_writer w = { .buf = buf, .size = size };

	fsu_put_u32(&w, (uint32_t)history->count);
	for (size_t i = 0; i < history->count; i++)
		put_term(&w, &history->terms[i]);
	return w.error ? w.error : (ssize_t)w.len;
}

int history_decode(const uint8_t *buf, size_t len, struct history *ret_history)
{
	struct fsu_reader r = { .buf = buf, .size = len };
	uint32_t count = fsu_get_u32(&r);

	if (r.error || count > HISTORY_MAX)
		return -EBADMSG;
	memset(ret_history, 0, sizeof(*ret_history));
	ret_history->count = count;
	for (size_t i = 0; i < count; i++)
		get_term(&r, &ret_history->terms[i]);
	if (fsu_reader_end(&r) < 0)
		ret_history->count = 0; /* a part of it is as good as nothing */
	return fsu_reader_end(&r);
}

/* NOT_FOUND only of what is certain: the next leader would begin the history anew. */
static fsha_result read_newest(const struct cluster *c, const struct record_place *place,
			       struct fsu_list *list, const char **ret_file,
			       struct record *ret_record, fsha_error *reterr)
{
	fsha_result result;

	for (int i = 0; i < READ_TRIES; i++) {
		int r = fsu_list_read(list, place->dir_fd, "", c->local, cluster_lease_ns(c) / 10);

		if (r < 0)
			return error_os(reterr, r, "list", "cannot list '%s'", place->directory);
		*ret_file = name_newest(list, HISTORY_KEY);
		if (!*ret_file && list->stable)
			return error_set(reterr, FSHA_E_NOT_FOUND, 0, "list", "'%s' has no history",
					 place->directory);
		if (!*ret_file)
			continue;
		/* A leader that replaces it takes the old one away. */
		result = record_read(place, *ret_file, FSU_KIND_HISTORY, HISTORY_SIZE_MAX,
				     ret_record, reterr);
		if (result != FSHA_E_NOT_FOUND)
			return result;
	}
	return error_set(reterr, FSHA_E_TIMEOUT, 0, "list",
			 "cannot read the history in '%s': it keeps changing", place->directory);
}

fsha_result history_read(const struct cluster *c, int election_fd, const char *component,
			 struct history *ret_history, char *ret_file_name, fsha_error *reterr)
{
	char directory[DIRECTORY_SIZE];
	struct record_place place = cluster_place(c, election_fd, directory);
	const char *file = NULL;
	struct fsu_list list;
	struct record record;
	fsha_result result;

	(void)snprintf(directory, sizeof(directory), LAYOUT_ELECTIONS "/%s", component);
	fsu_list_init(&list, c->fs);
	result = read_newest(c, &place, &list, &file, &record, reterr);
	if (result == FSHA_OK) {
		if (history_decode(record.data, record.size, ret_history) < 0)
			result = error_set(reterr, FSHA_E_CORRUPT, 0, "decode",
					   "'%s/%s' is damaged", directory, file);
		record_done(c->fs, &record);
	}
	if (ret_file_name)
		(void)snprintf(ret_file_name, NAME_SIZE, "%s", file ? file : "");
	fsu_list_done(&list);
	return result;
}

/* ---- what is known of the terms ---- */

/* The place of a term, made when it is not there; NULL when it is older than what there is room
 * for. */
static fsha_term_history *find_term(struct history *h, uint64_t epoch, const fsha_uuid *session)
{
	fsha_term_history *entry;
	size_t at = h->count;

	while (at > 0 && h->terms[at - 1].epoch > epoch)
		at--;
	for (size_t i = at; i > 0 && h->terms[i - 1].epoch == epoch; i--)
		if (fsha_uuid_equal(&h->terms[i - 1].session, session))
			return &h->terms[i - 1];
	if (h->count == HISTORY_MAX) {
		if (at == 0)
			return NULL;
		memmove(&h->terms[0], &h->terms[1], (HISTORY_MAX - 1) * sizeof(h->terms[0]));
		h->count--;
		at--;
	}
	entry = &h->terms[at];
	memmove(entry + 1, entry, (h->count - at) * sizeof(*entry));
	h->count++;
	*entry = (fsha_term_history){ .epoch = epoch, .session = *session };
	return entry;
}

/* What was known before stays: each end is told first by whoever knew it best. */
static void add_term(struct history *h, const fsha_term_history *t)
{
	fsha_term_history *entry = find_term(h, t->epoch, &t->session);

	if (!entry)
		return;
	if (fsha_uuid_is_null(&entry->member))
		entry->member = t->member;
	if (!entry->granted_wall_ns)
		entry->granted_wall_ns = t->granted_wall_ns;
	if (!entry->pid) {
		entry->pid = t->pid;
		memcpy(entry->host, t->host, sizeof(entry->host));
	}
	if (!entry->end[0]) {
		memcpy(entry->end, t->end, sizeof(entry->end));
		entry->ended_wall_ns = t->ended_wall_ns;
	}
}

static void add_epoch(struct history *h, const struct epoch *epoch, const char *end,
		      int64_t ended_wall_ns)
{
	fsha_term_history t = { .epoch = epoch->number, .ended_wall_ns = ended_wall_ns };

	/* What an election is made with is no term. */
	if (epoch->number == 0)
		return;
	memcpy(&t.session, &epoch->session, sizeof(t.session));
	memcpy(&t.member, &epoch->member, sizeof(t.member));
	(void)snprintf(t.end, sizeof(t.end), "%s", end);
	add_term(h, &t);
}

static void add_leader(struct history *h, const struct leader *leader)
{
	fsha_term_history t = { .epoch = leader->epoch,
				.pid = (int32_t)leader->pid,
				.granted_wall_ns = leader->granted_wall_ns };

	_Static_assert(sizeof(t.end) == LEADER_END_SIZE, "one and the same");
	_Static_assert(sizeof(t.host) == sizeof(leader->host), "one and the same");
	memcpy(&t.session, &leader->session, sizeof(t.session));
	memcpy(&t.member, &leader->member, sizeof(t.member));
	memcpy(t.host, leader->host, sizeof(t.host));
	if (leader->state == LEADER_NONE) {
		(void)strcpy(t.end, HISTORY_RESIGNED);
		t.ended_wall_ns = leader->written_wall_ns;
	}
	add_term(h, &t);
	add_epoch(h, &leader->former, leader->former_end,
		  leader->former_end[0] ? leader->granted_wall_ns : 0);
}

/* Known without any record of it: that may not be published yet. */
static void add_own(struct history *h, const struct term *t)
{
	struct leader leader;

	leader_of_term(t, LEADER_GRANTED, &leader);
	add_leader(h, &leader);
}

/* ---- gathering it ---- */

/* The newest record of each of the newest epochs, oldest first. */
struct picks {
	size_t count;
	struct {
		fsha_version version;
		const char *file; /* of the listing */
	} at[HISTORY_MAX];
};

static void pick(struct picks *p, const fsha_version *version, const char *file)
{
	size_t at = p->count;

	while (at > 0 && p->at[at - 1].version.epoch > version->epoch)
		at--;
	if (at > 0 && p->at[at - 1].version.epoch == version->epoch) {
		at--;
		if (fsha_version_compare(version, &p->at[at].version) < 0)
			return;
	} else {
		if (p->count == HISTORY_MAX && at == 0)
			return;
		if (p->count == HISTORY_MAX) {
			memmove(&p->at[0], &p->at[1], (HISTORY_MAX - 1) * sizeof(p->at[0]));
			p->count--;
			at--;
		}
		memmove(&p->at[at + 1], &p->at[at], (p->count - at) * sizeof(p->at[0]));
		p->count++;
	}
	p->at[at].version = *version;
	p->at[at].file = file;
}

/* What the leader records tell that are still there. */
static fsha_result add_leaders(const struct cluster *c, const char *component, uint64_t epoch_max,
			       struct history *h, fsha_error *reterr)
{
	fsha_result result = FSHA_OK;
	struct picks picks = { 0 };
	struct leader leader;
	struct fsu_list list;
	struct name name;
	int r;

	fsu_list_init(&list, c->fs);
	r = fsu_list_read(&list, c->leaders_fd, "", c->local, cluster_lease_ns(c) / 10);
	if (r < 0)
		result =
			error_os(reterr, r, "list", "cannot list '%s/" LAYOUT_LEADERS "'", c->path);
	for (size_t i = 0; r == 0 && i < list.count; i++) {
		const char *file = fsu_list_name(&list, i);

		if (name_is_of(file, component, &name) && name.version.epoch <= epoch_max)
			pick(&picks, &name.version, file);
	}
	for (size_t i = 0; i < picks.count && result == FSHA_OK; i++) {
		result = leader_read_file(c, picks.at[i].file, &leader, reterr);
		if (result == FSHA_OK)
			add_leader(h, &leader);
		/* Cleaned away, then the history has it; or damaged, and verify tells of it. */
		else if (result != FSHA_E_IO && result != FSHA_E_NOMEM)
			result = FSHA_OK;
	}
	fsu_list_done(&list);
	return result;
}

/*
 * The epoch file was read first: nothing above it was led. Then the leader records, then the
 * history: so what a leader cleans away meanwhile is there. Of one term the history counts more: a
 * successor knows only when it found that a former leader had resigned.
 */
static fsha_result gather(const struct cluster *c, int election_fd, const char *component,
			  const struct epoch *now, struct history *ret_history, fsha_error *reterr)
{
	struct history *told = fsu_alloc(c->fs, sizeof(*told));
	fsha_result result, recorded = FSHA_OK;

	memset(ret_history, 0, sizeof(*ret_history));
	if (!told)
		return error_os(reterr, -ENOMEM, "alloc", "cannot read the history of '%s'",
				component);
	result = add_leaders(c, component, now->number ? now->number : EPOCH_MAX, told, reterr);
	add_epoch(told, now, epoch_is_vacant(now) ? HISTORY_RESIGNED : "", 0);
	if (result == FSHA_OK)
		recorded = history_read(c, election_fd, component, ret_history, NULL, reterr);
	for (size_t i = 0; i < told->count; i++)
		add_term(ret_history, &told->terms[i]);
	fsu_release(c->fs, told);
	if (recorded != FSHA_OK && recorded != FSHA_E_NOT_FOUND)
		return recorded;
	return result;
}

fsha_result history_gather(const struct cluster *c, int election_fd, const char *component,
			   struct history *ret_history, fsha_error *reterr)
{
	struct fsu_list list;
	struct epoch now;
	int r;

	fsu_list_init(&list, c->fs);
	r = epoch_read(c, election_fd, &list, &now);
	fsu_list_done(&list);
	if (r == -ENOENT) /* a damaged election: all that is there is told */
		now = (struct epoch){ .number = 0 };
	else if (r < 0)
		return error_os(reterr, r, "list", "cannot list '" LAYOUT_ELECTIONS "/%s'",
				component);
	return gather(c, election_fd, component, &now, ret_history, reterr);
}

/* ---- writing it ---- */

/* All but the one just written, also what a leader that died left behind. */
static void discard_older(struct term *t, const fsha_version *version)
{
	struct fsu_list list;
	struct name name;

	fsu_list_init(&list, t->cluster->fs);
	if (fsu_list_pass(&list, t->election_fd, "", t->cluster->local) == 0)
		for (size_t i = 0; i < list.count; i++) {
			const char *file = fsu_list_name(&list, i);

			if (name_is_of(file, HISTORY_KEY, &name) &&
			    fsha_version_compare(&name.version, version) < 0)
				(void)term_discard(t, t->election_fd, file);
		}
	fsu_list_done(&list);
}

fsha_result history_publish(struct term *t, fsha_error *reterr)
{
	const struct fsu *fs = t->cluster->fs;
	char directory[DIRECTORY_SIZE];
	fsha_version version = { 0 };
	struct term_write write = {
		.dir_fd = t->election_fd,
		.directory = directory,
		.key = HISTORY_KEY,
		.kind = FSU_KIND_HISTORY,
	};
	struct history *h = fsu_alloc(fs, sizeof(*h));
	uint8_t *buf = fsu_alloc(fs, HISTORY_SIZE_MAX);
	fsha_result result;
	ssize_t n;

	(void)snprintf(directory, sizeof(directory), LAYOUT_ELECTIONS "/%s", t->election);
	result = h && buf ? gather(t->cluster, t->election_fd, t->election, &t->epoch, h, reterr) :
			    error_os(reterr, -ENOMEM, "alloc", "cannot write the history of '%s'",
				     t->election);
	/* A damaged history is begun anew, with what is known without it: nothing depends on it. */
	if (result == FSHA_OK || result == FSHA_E_CORRUPT) {
		add_own(h, t);
		n = history_encode(h, buf, HISTORY_SIZE_MAX);
		write.data = buf;
		write.size = n > 0 ? (size_t)n : 0;
		result = term_commit(t, &write, NULL, &version, reterr);
	}
	if (result == FSHA_OK)
		discard_older(t, &version);
	fsu_release(fs, buf);
	fsu_release(fs, h);
	return result;
}

void history_trim_leaders(struct term *t)
{
	const struct cluster *c = t->cluster;
	struct picks picks = { 0 };
	struct fsu_list list;
	struct name name;

	fsu_list_init(&list, c->fs);
	if (fsu_list_pass(&list, c->leaders_fd, "", c->local) < 0)
		list.count = 0;
	for (size_t i = 0; i < list.count; i++)
		if (name_is_of(fsu_list_name(&list, i), t->election, &name) &&
		    name.version.epoch <= t->epoch.number)
			pick(&picks, &name.version, fsu_list_name(&list, i));
	for (size_t i = 0; i < list.count; i++) {
		const char *file = fsu_list_name(&list, i);
		bool stays = !name_is_of(file, t->election, &name) ||
			     name.version.epoch > t->epoch.number;

		for (size_t k = 0; k < picks.count && !stays; k++)
			stays = picks.at[k].file == file;
		if (!stays)
			(void)term_discard(t, c->leaders_fd, file);
	}
	fsu_list_done(&list);
}
