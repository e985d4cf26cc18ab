#include "src/election/history.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/member/member.h"
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

static void append(struct history *h, const struct term *t, const char *former_end)
{
	struct member_info info = { .pid = 0 };
	fsha_term_history *entry;

	if (h->count > 0) {
		entry = &h->terms[h->count - 1];
		if (!entry->end[0]) {
			(void)snprintf(entry->end, sizeof(entry->end), "%s", former_end);
			entry->ended_wall_ns = t->granted_wall_ns;
		}
	}
	if (h->count == HISTORY_MAX) {
		memmove(&h->terms[0], &h->terms[1], (HISTORY_MAX - 1) * sizeof(h->terms[0]));
		h->count--;
	}
	entry = &h->terms[h->count++];
	*entry = (fsha_term_history){ .epoch = t->epoch.number,
				      .granted_wall_ns = t->granted_wall_ns };
	memcpy(&entry->session, &t->epoch.session, sizeof(entry->session));
	memcpy(&entry->member, &t->epoch.member, sizeof(entry->member));
	if (member_info_read(t->cluster, &t->epoch.member, &info, NULL) == FSHA_OK) {
		(void)snprintf(entry->host, sizeof(entry->host), "%s", info.host);
		entry->pid = (int32_t)info.pid;
	}
}

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

fsha_result history_publish(struct term *t, const char *former_end, fsha_error *reterr)
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
	result = h && buf ? history_read(t->cluster, t->election_fd, t->election, h, NULL, reterr) :
			    error_os(reterr, -ENOMEM, "alloc", "cannot write the history of '%s'",
				     t->election);
	/* A damaged history is begun anew: nothing depends on it. */
	if (result == FSHA_E_NOT_FOUND || result == FSHA_E_CORRUPT) {
		memset(h, 0, sizeof(*h));
		result = FSHA_OK;
	}
	if (result == FSHA_OK) {
		append(h, t, former_end);
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
