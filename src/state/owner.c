#include "src/state/owner.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_path.h"
#include "src/cluster/layout.h"
#include "src/record/name.h"
#include "src/result/error.h"
#include "src/state/store.h"

#define OWNER_SIZE_MAX (4 + FSU_COMPONENT_MAX)
#define LIST_LIMIT_NS FSU_NS_PER_S
#define OWNER_TRIES 20

int owner_decode(const uint8_t *buf, size_t len, char *ret_owner)
{
	struct fsu_reader r = { .buf = buf, .size = len };
	char name[FSU_NAME_MAX + 1];
	size_t name_len;

	fsu_get_text(&r, ret_owner, FSU_COMPONENT_MAX + 1);
	/* It becomes part of a path: "elections/<owner>" must not lead out of there. */
	if (fsu_reader_end(&r) < 0 ||
	    fsu_path_decode(ret_owner, strlen(ret_owner), name, &name_len) < 0)
		return -EBADMSG;
	return 0;
}

static fsha_result read_owner(const struct cluster *c, int dir_fd, const char *directory,
			      const char *file_name, char *ret_owner, fsha_error *reterr)
{
	struct record_place place = cluster_place(c, dir_fd, directory);
	struct record record;
	fsha_result result;

	result = record_read(&place, file_name, FSU_KIND_OWNER, OWNER_SIZE_MAX, &record, reterr);
	if (result != FSHA_OK)
		return result;
	if (owner_decode(record.data, record.size, ret_owner) < 0)
		result = error_set(reterr, FSHA_E_CORRUPT, 0, "decode", "'%s/%s' is damaged",
				   directory, file_name);
	record_done(c->fs, &record);
	return result;
}

/* By its newest record in the directory that is open as `dir_fd`. */
static fsha_result find_owner(const struct cluster *c, int dir_fd, const char *directory,
			      bool *ret_empty, char *ret_owner, fsha_error *reterr)
{
	const char *best;
	struct fsu_list list;
	fsha_result result;
	int r;

	fsu_list_init(&list, c->fs);
	r = fsu_list_read(&list, dir_fd, "", c->local, LIST_LIMIT_NS);
	if (r < 0) {
		result = error_os(reterr, r, "list", "cannot list '%s'", directory);
		goto out;
	}
	best = name_newest(&list, OWNER_KEY);
	if (ret_empty)
		*ret_empty = list.count == 0;
	if (!best) {
		result = error_set(reterr, FSHA_E_CORRUPT, 0, "list",
				   "'%s' has lost its " OWNER_KEY " record, so it cannot be told "
				   "which election may write there",
				   directory);
		goto out;
	}
	result = read_owner(c, dir_fd, directory, best, ret_owner, reterr);
out:
	fsu_list_done(&list);
	return result;
}

fsha_result owner_check(const struct cluster *c, int dir_fd, const char *directory,
			const char *election, bool *ret_empty, fsha_error *reterr)
{
	char owner[FSU_COMPONENT_MAX + 1];
	fsha_result result;

	result = find_owner(c, dir_fd, directory, ret_empty, owner, reterr);
	if (result == FSHA_OK && strcmp(owner, election) != 0)
		result = error_set(
			reterr, FSHA_E_CONFIG, 0, "open",
			"'%s' belongs to election '%s', not to '%s': open it for '%s', or "
			"choose another namespace",
			directory, owner, election, owner);
	return result;
}

static fsha_result look_for_owner(const struct cluster *c, const char *directory, char *ret_owner,
				  bool *ret_again, fsha_error *reterr)
{
	fsha_result result;
	int fd = fsu_dir_open(c->fs, c->fd, directory);

	if (fd == -ENOENT)
		return error_set(reterr, FSHA_E_NOT_FOUND, ENOENT, "open", "there is no '%s'",
				 directory);
	if (fd < 0)
		return error_os(reterr, fd, "open", "cannot open '%s'", directory);
	result = find_owner(c, fd, directory, NULL, ret_owner, reterr);
	(void)fsu_close(c->fs, fd); /* a directory */
	*ret_again = result == FSHA_E_NOT_FOUND;
	return result;
}

/*
 * A record that is gone when it is opened or read went with its directory, or that was made anew: a
 * look tells. While the directory is there, "not found" would be taken for its absence, and
 * whoever removes or restores all would pass it by.
 */
fsha_result owner_of(const struct cluster *c, const char *directory, char *ret_owner,
		     fsha_error *reterr)
{
	fsha_result result = FSHA_E_NOT_FOUND;
	bool again = true;

	for (int i = 0; i < OWNER_TRIES && again; i++) {
		again = false;
		result = look_for_owner(c, directory, ret_owner, &again, reterr);
	}
	return again ? error_set(reterr, FSHA_E_IO, ESTALE, "read",
				 "'%s' is there, but whose it is cannot be read", directory) :
		       result;
}

/* The owner record into a directory that only we know as yet. */
static fsha_result stage_owner(struct term *t, const char *staged, const char *directory,
			       fsha_error *reterr)
{
	const struct cluster *c = t->cluster;
	struct record_place place = cluster_place(c, -1, directory);
	struct record_content content = {
		.kind = FSU_KIND_OWNER,
		.session = t->epoch.session,
		.key = OWNER_KEY,
		.version = { .epoch = t->epoch.number,
			     .sequence = term_next_sequence(t),
			     .seat = t->seat },
	};
	char path[TENURE_NAME_SIZE + 32 + NAME_SIZE], name[NAME_SIZE];
	uint8_t payload[OWNER_SIZE_MAX], *buf;
	struct fsu_writer w = { .buf = payload, .size = sizeof(payload) };
	fsha_result result;
	const char *op;
	size_t len;
	int r;

	fsu_put_bytes(&w, t->election, strlen(t->election));
	content.payload = payload;
	content.size = w.len;
	result = record_encode(&place, &content, &buf, &len, reterr);
	if (result != FSHA_OK)
		return result;
	name_format(OWNER_KEY, &content.version, NAME_VALUE, name);
	(void)snprintf(path, sizeof(path), "%s/%s", staged, name);
	r = fsu_file_stage(c->fs, t->election_fd, path, buf, len, &op);
	fsu_release(c->fs, buf);
	if (r == 0) {
		r = fsu_dir_sync(c->fs, t->election_fd, staged);
		op = "fsync";
	}
	return r < 0 ? term_stage_failed(t, directory, r, op, reterr) : FSHA_OK;
}

fsha_result owner_make_directory(struct term *t, const char *directory, const char *path,
				 fsha_error *reterr)
{
	const struct cluster *c = t->cluster;
	char staged[TENURE_NAME_SIZE + 32], parent[STORE_PATH_SIZE];
	fsha_result result;
	int r;

	assert(strlen(path) < sizeof(parent));
	layout_parent(path, parent);
	if (!term_is_live(t))
		return error_set(reterr, FSHA_E_NOT_LEADER, 0, "mkdir",
				 "cannot make '%s': this process does not lead '%s' any more",
				 directory, t->election);
	(void)snprintf(staged, sizeof(staged), "%s/%04x.%016llx", t->tenure, t->seat,
		       (unsigned long long)term_next_sequence(t));
	r = fsu_mkdirat(c->fs, t->election_fd, staged, FSU_DIR_MODE);
	if (r < 0)
		return term_stage_failed(t, directory, r, "mkdir", reterr);
	result = stage_owner(t, staged, directory, reterr);
	if (result == FSHA_OK) {
		/*
		 * Onto a directory with an owner in it this fails: then it is there, and
		 * open_directory checks whose.
		 */
		r = fsu_renameat(c->fs, t->election_fd, staged, c->fd, path);
		if (r == 0 || r == -ENOTEMPTY || r == -EEXIST) {
			int r2 = fsu_dir_sync(c->fs, c->fd, parent);

			if (r2 < 0)
				result = error_os(reterr, r2, "fsync", "cannot make '%s'",
						  directory);
		} else {
			/* It may have happened (a lost reply): the next write finds out. */
			result = term_stage_failed(t, directory, r, "rename", reterr);
		}
	}
	if (result != FSHA_OK || r < 0)
		layout_abandon(c->fs, t->election_fd, staged);
	return result;
}
