#include "src/maintenance/quarantine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_path.h"
#include "src/cluster/layout.h"
#include "src/maintenance/finding.h"
#include "src/result/error.h"

/* As much of the end of the path as a name can hold; the record itself has all of its key. */
static int make_name(const struct fsu *fs, const char *path, char *ret_name)
{
	struct fsu_uuid unique;
	int r;

	r = fsu_uuid_make(fs, &unique);
	if (r < 0)
		return r;
	fsu_uuid_format(&unique, ret_name);
	ret_name[FSU_UUID_HEX] = '~';
	do {
		r = fsu_path_encode(path, strlen(path), ret_name + FSU_UUID_HEX + 1);
	} while (r == -ENAMETOOLONG && *++path);
	return r;
}

/* After a rename that failed: is it there all the same (a lost reply)? */
static bool is_there(const struct cluster *c, int dir_fd, const char *directory, const char *name)
{
	struct fsu_list list;
	bool there;

	fsu_list_init(&list, c->fs);
	there = fsu_list_pass(&list, dir_fd, directory, c->local) == 0 && fsu_list_has(&list, name);
	fsu_list_done(&list);
	return there;
}

static fsha_result take_out(struct term *t, const char *path, const char *name, const char *staged,
			    bool *ret_gone, fsha_error *reterr)
{
	const struct cluster *c = t->cluster;
	char directory[FINDING_PATH_SIZE];
	int r;

	*ret_gone = false;
	r = fsu_renameat(c->fs, c->fd, path, t->election_fd, staged);
	if (r == 0 || is_there(c, t->election_fd, t->tenure, name))
		return FSHA_OK;
	layout_parent(path, directory);
	if (r == -ENOENT && is_there(c, t->election_fd, "", t->tenure) &&
	    !is_there(c, c->fd, directory, path + strlen(directory) + 1)) {
		*ret_gone = true; /* a newer version has replaced it, and it was cleaned away */
		return FSHA_OK;
	}
	return term_stage_failed(t, path, r, "rename", reterr);
}

static fsha_result put_down(struct term *t, const char *name, const char *staged,
			    fsha_error *reterr)
{
	const struct cluster *c = t->cluster;
	char target[sizeof(LAYOUT_QUARANTINE) + NAME_SIZE];
	int r;

	(void)snprintf(target, sizeof(target), LAYOUT_QUARANTINE "/%s", name);
	r = fsu_renameat(c->fs, t->election_fd, staged, c->fd, target);
	if (r < 0 && !is_there(c, c->fd, LAYOUT_QUARANTINE, name))
		/* Who takes the tenure apart sends it on. */
		return error_os(reterr, r, "rename",
				"cannot move '%s' to quarantine: it is in '%s'", name, t->tenure);
	r = fsu_dir_sync(c->fs, c->fd, LAYOUT_QUARANTINE);
	return r < 0 ? error_os(reterr, r, "fsync", "cannot make '%s' durable", target) : FSHA_OK;
}

fsha_result quarantine_take(struct term *t, const char *directory, const char *file, char *ret_name,
			    fsha_error *reterr)
{
	const struct cluster *c = t->cluster;
	char path[FINDING_PATH_SIZE], staged[TENURE_NAME_SIZE + NAME_SIZE];
	fsha_result result;
	bool gone;
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, file);
	r = make_name(c->fs, path, ret_name);
	if (r == 0) {
		r = fsu_mkdirat(c->fs, c->fd, LAYOUT_QUARANTINE, FSU_DIR_MODE);
		r = r == -EEXIST ? 0 : r;
	}
	if (r < 0)
		return error_os(reterr, r, "mkdir", "cannot move '%s' to quarantine", path);
	if (!term_is_live(t))
		return error_set(reterr, FSHA_E_NOT_LEADER, 0, "rename",
				 "cannot move '%s' to quarantine: the term of '%s' is over", path,
				 t->election);
	(void)snprintf(staged, sizeof(staged), "%s/%s", t->tenure, ret_name);
	result = take_out(t, path, ret_name, staged, &gone, reterr);
	if (result != FSHA_OK || gone)
		return result;
	result = put_down(t, ret_name, staged, reterr);
	if (result != FSHA_OK)
		return result;
	r = fsu_dir_sync(c->fs, c->fd, directory);
	return r < 0 ? error_os(reterr, r, "fsync", "cannot make the move of '%s' durable", path) :
		       FSHA_OK;
}
