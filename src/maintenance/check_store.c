/* The records of one directory: each of them, and what must hold between them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_path.h"
#include "src/cluster/layout.h"
#include "src/leader/leader.h"
#include "src/maintenance/verify.h"
#include "src/state/owner.h"
#include "src/state/pack.h"

/* A directory of records while it is checked. */
struct records {
	struct verify *v;
	const char *directory; /* as the records in it say */
	const char *path;      /* where that is */
	int dir_fd;
	struct fsu_list list;
	struct findings *found;
	size_t old, gone, marked; /* INFO: counted, told once */
	/* Of one record, given its key; false: there can be no such key. */
	bool (*expect)(struct records *r, const char *key, struct check_record *q);
	const struct area *area;              /* NULL: leaders/ */
	char election[FSU_COMPONENT_MAX + 1]; /* that fences it; "": not known */
	bool owned, has_owner, owner_wrong;
	/* In leaders/ each key has an election of its own. */
	bool (*epoch_max)(struct records *r, const char *key, uint64_t *ret_epoch);
};

static void path_of(const struct records *r, const char *file, char *ret_path)
{
	(void)snprintf(ret_path, FINDING_PATH_SIZE, "%s/%s", r->path, file);
}

/* Is `name`, at `i` of the sorted listing, the highest version of its key, and the only such? */
static bool is_newest(struct records *r, size_t i, const struct name *name)
{
	const char *file = fsu_list_name(&r->list, i);
	char path[FINDING_PATH_SIZE];
	struct name next;

	if (i + 1 >= r->list.count)
		return true;
	if (!name_parse(fsu_list_name(&r->list, i + 1), &next) || next.key_len != name->key_len ||
	    memcmp(fsu_list_name(&r->list, i + 1), file, name->key_len) != 0)
		return true;
	if (fsha_version_compare(&next.version, &name->version) == 0) {
		path_of(r, file, path);
		findings_add(r->found, FINDING_VERSION_TWICE, path, "'%s' is of the same version",
			     fsu_list_name(&r->list, i + 1));
	}
	return false;
}

/* In leaders/ each election is told of by itself, since each has its own leader to clean there. */
static void count_of_leader(struct records *r, const char *key, bool newest)
{
	char path[FINDING_PATH_SIZE];

	if (newest && r->old > 0) {
		path_of(r, key, path);
		findings_add(r->found, FINDING_OLD_VERSIONS, path,
			     "%zu records that newer ones have replaced wait to be removed",
			     r->old);
	}
	r->old = newest ? 0 : r->old + 1;
}

static void count(struct records *r, const char *key, const struct name *name, bool newest)
{
	if (!r->area)
		count_of_leader(r, key, newest);
	else if (!newest)
		r->old++;
	else if (name->form == NAME_TOMBSTONE)
		r->gone++;
	else if (name->form == NAME_MARKED)
		r->marked++;
}

static void tell_counts(const struct records *r)
{
	if (r->old > 0)
		findings_add(r->found, FINDING_OLD_VERSIONS, r->path,
			     "%zu versions that newer ones have replaced wait to be removed",
			     r->old);
	if (r->gone > 0)
		findings_add(r->found, FINDING_TOMBSTONES, r->path,
			     "%zu tombstones wait to be removed", r->gone);
	if (r->marked > 0)
		findings_add(r->found, FINDING_MARKED, r->path,
			     "the removal of %zu entries has begun", r->marked);
}

/*
 * What leads only goes up, so the epoch is read after the listing: a version above it was written
 * by nobody who led.
 */
static void check_epochs(struct records *r)
{
	char key[FSU_COMPONENT_MAX + 1], path[FINDING_PATH_SIZE];
	struct name name;
	uint64_t max = 0;

	for (size_t i = 0; i < r->list.count; i++) {
		const char *file = fsu_list_name(&r->list, i);

		/* Asked again only for what would be above it: most directories cost one look. */
		if (!name_parse(file, &name) || (r->area && name.version.epoch <= max))
			continue;
		memcpy(key, file, name.key_len);
		key[name.key_len] = '\0';
		if (!r->epoch_max(r, key, &max) || name.version.epoch <= max)
			continue;
		if (!r->area)
			r->found->election = key;
		path_of(r, file, path);
		findings_add(r->found, FINDING_VERSION_AHEAD, path,
			     "it is of epoch %llu, and its election has never had more than %llu",
			     (unsigned long long)name.version.epoch, (unsigned long long)max);
	}
	if (!r->area)
		r->found->election = NULL;
}

static void check_each(struct records *r)
{
	for (size_t i = 0; i < r->list.count; i++) {
		const char *file = fsu_list_name(&r->list, i);
		char key[FSU_COMPONENT_MAX + 1];
		struct check_record q;
		struct name name;

		if (!name_parse(file, &name)) {
			check_unknown(r->found, r->path, file);
			continue;
		}
		memcpy(key, file, name.key_len);
		key[name.key_len] = '\0';
		q = (struct check_record){ .directory = r->directory,
					   .path = r->path,
					   .dir_fd = r->dir_fd,
					   .file_name = file,
					   .name = &name,
					   .newest = is_newest(r, i, &name) };
		if (!r->area)
			r->found->election = key;
		if (!r->expect(r, key, &q)) {
			check_unknown(r->found, r->path, file);
			continue;
		}
		count(r, key, &name, q.newest);
		(void)check_record(r->v, &q, r->found);
	}
	if (!r->area)
		r->found->election = NULL;
}

static void check_directory(struct records *r)
{
	r->dir_fd = -1;
	fsu_list_init(&r->list, r->found->fs);
	if (check_list(r->v, r->path, &r->list, r->found)) {
		r->dir_fd = check_open(r->v, r->path, r->found);
		if (r->dir_fd >= 0) {
			check_each(r);
			check_epochs(r);
			tell_counts(r);
			(void)fsu_close(r->found->fs, r->dir_fd); /* a directory */
		}
	}
}

/* ---- the stores ---- */

static bool is_user_key(const char *key)
{
	char decoded[FSU_NAME_MAX + 1];
	size_t len;

	return fsu_path_decode(key, strlen(key), decoded, &len) == 0;
}

static int decode_owner(const struct record *record, void *ctx)
{
	struct records *r = ctx;
	char owner[FSU_COMPONENT_MAX + 1];

	if (owner_decode(record->data, record->size, owner) < 0)
		return -EBADMSG;
	r->has_owner = true;
	r->owner_wrong = r->election[0] && strcmp(r->election, owner) != 0;
	if (r->owner_wrong)
		findings_add(r->found, FINDING_OWNER_WRONG, r->path,
			     "its records say that it belongs to election '%s', not to '%s'", owner,
			     r->election);
	else
		strcpy(r->election, owner);
	return 0;
}

static bool expect_in_store(struct records *r, const char *key, struct check_record *q)
{
	fsha_job_id job;

	if (strcmp(key, OWNER_KEY) == 0) {
		q->kind = FSU_KIND_OWNER;
		q->decode = q->newest ? decode_owner : NULL;
		q->ctx = r;
		return r->owned;
	}
	q->kind = r->area->kind;
	q->format = r->area->format;
	if (strcmp(key, PACK_KEY) == 0) {
		q->kind = FSU_KIND_PACK;
		q->members = r->area->kind;
		q->newest = true; /* a directory has many */
		return true;
	}
	if (key[0] == '@')
		return true; /* counters and such are records of the store */
	if (r->area->job_keys)
		return fsha_job_id_parse(key, &job) == FSHA_OK;
	return is_user_key(key);
}

static bool epoch_of_store(struct records *r, const char *key, uint64_t *ret_epoch)
{
	(void)key;
	return r->election[0] && !r->owner_wrong &&
	       check_epoch_max(r->v, r->election, ret_epoch, r->found);
}

/*
 * Elsewhere there may be the results of another cluster: those are none of ours to look at, let
 * alone to repair. Where its owner cannot be read either is possible, so nobody is told to mend
 * anything.
 */
static bool is_ours(struct records *r)
{
	const struct cluster *c = r->v->cluster;
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result;
	bool empty = false;
	int fd;

	if (fsu_uuid_is_null(&c->id))
		return true; /* SETTINGS is damaged: it cannot be told */
	fd = check_open(r->v, r->path, r->found);
	if (fd < 0)
		return false; /* the first write makes it; what else it is was said */
	result = owner_check(c, fd, r->directory, r->election, &empty, &error);
	(void)fsu_close(c->fs, fd); /* a directory */
	if (result == FSHA_E_CORRUPT && strcmp(error.op, RECORD_OP_FOREIGN) == 0) {
		findings_add(r->found, FINDING_OWNER_WRONG, r->path,
			     "it is to hold this cluster's job results, and its " OWNER_KEY
			     " record is not this cluster's: choose another directory for them");
		return false;
	}
	if (result != FSHA_OK && result != FSHA_E_CONFIG && !empty)
		r->election[0] = '\0';
	return true;
}

static void check_owned(struct records *r, bool may_be_empty)
{
	check_directory(r);
	if (r->owned && !r->has_owner && r->dir_fd >= 0 && r->list.stamped &&
	    !(may_be_empty && r->list.count == 0))
		findings_add(r->found, FINDING_OWNER_MISSING, r->path,
			     "it has no sound " OWNER_KEY " record, so nobody may write there");
	fsu_list_done(&r->list);
}

void check_store(struct verify *v, const struct unit *unit, struct findings *found)
{
	char directory[AREA_DIRECTORY_SIZE];
	struct records r = {
		.v = v,
		.directory = directory,
		.path = unit->elsewhere ? v->results : directory,
		.found = found,
		.expect = expect_in_store,
		.area = unit->area,
		.owned = unit->area->nesting != AREA_FLAT || unit->elsewhere,
		.epoch_max = epoch_of_store,
	};

	area_directory(unit->area, unit->name, directory);
	area_election(unit->area, unit->name, r.election);
	found->election = r.election; /* when its owner was read, that */
	/* What a person has made elsewhere may be empty: the first write puts its owner there. */
	if (!unit->elsewhere || is_ours(&r))
		check_owned(&r, unit->elsewhere);
	found->election = NULL;
}

/* ---- leaders/ ---- */

static int decode_leader(const struct record *record, void *ctx)
{
	struct leader leader;

	(void)ctx;
	return leader_decode(record->data, record->size, &leader);
}

static bool expect_leader(struct records *r, const char *key, struct check_record *q)
{
	(void)r;
	q->kind = FSU_KIND_LEADER;
	q->decode = decode_leader;
	return is_user_key(key);
}

static bool epoch_of_leader(struct records *r, const char *key, uint64_t *ret_epoch)
{
	return check_epoch_max(r->v, key, ret_epoch, r->found);
}

/* Who leads now has not said so yet, or died before. */
static void check_behind(struct records *r)
{
	char key[FSU_COMPONENT_MAX + 1], path[FINDING_PATH_SIZE];
	struct epoch epoch;
	struct name name;

	for (size_t i = 0; i < r->list.count; i++) {
		const char *file = fsu_list_name(&r->list, i);

		if (!name_parse(file, &name))
			continue;
		memcpy(key, file, name.key_len);
		key[name.key_len] = '\0';
		if (name_newest(&r->list, key) != file ||
		    !check_epoch(r->v, key, &epoch, r->found) || name.version.epoch >= epoch.number)
			continue;
		path_of(r, file, path);
		r->found->election = key;
		findings_add(r->found, FINDING_LEADER_BEHIND, path,
			     "it is of epoch %llu, and its election is at %llu",
			     (unsigned long long)name.version.epoch,
			     (unsigned long long)epoch.number);
		r->found->election = NULL;
	}
}

void check_leaders(struct verify *v, const struct unit *unit, struct findings *found)
{
	struct records r = {
		.v = v,
		.directory = LAYOUT_LEADERS,
		.path = LAYOUT_LEADERS,
		.found = found,
		.expect = expect_leader,
		.epoch_max = epoch_of_leader,
	};

	(void)unit;
	check_directory(&r);
	if (r.dir_fd >= 0)
		check_behind(&r);
	found->election = NULL;
	fsu_list_done(&r.list);
}
