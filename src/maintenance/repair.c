/* repair: what verify says is no sound record goes to quarantine, under the election's term. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_path.h"
#include "src/cluster/layout.h"
#include "src/maintenance/area.h"
#include "src/maintenance/quarantine.h"
#include "src/maintenance/repair.h"
#include "src/maintenance/verify.h"
#include "src/result/error.h"
#include "src/state/owner.h"
#include "src/state/pack.h"

#define FLAGS_KNOWN (FSHA_REPAIR_APPLY | FSHA_REPAIR_ACCEPT_OLDER | FSHA_REPAIR_FINISH_REMOVALS)
#define LIST_LIMIT_NS FSU_NS_PER_S

static bool is_bad_file(enum finding_code code)
{
	return code == FINDING_RECORD_DAMAGED || code == FINDING_RECORD_FOREIGN ||
	       code == FINDING_OLD_RECORD_DAMAGED || code == FINDING_VERSION_AHEAD;
}

/*
 * What becomes visible when `file` goes: the next lower version of its key, into `ret_older`, or
 * something in a pack, where nobody looks into it. False: nothing.
 */
static bool find_older(const struct cluster *c, const char *directory, const char *file,
		       char *ret_older)
{
	char key[FSU_COMPONENT_MAX + 1];
	fsha_version best = { 0 };
	struct fsu_list list;
	struct name bad, name;
	bool found = false;

	if (!name_parse(file, &bad))
		return false;
	memcpy(key, file, bad.key_len);
	key[bad.key_len] = '\0';
	fsu_list_init(&list, c->fs);
	if (fsu_list_read(&list, c->fd, directory, c->local, LIST_LIMIT_NS) < 0)
		found = true; /* not known, so not without consent */
	(void)snprintf(ret_older, NAME_SIZE, "%s", "an older version");
	for (size_t i = 0; i < list.count; i++) {
		const char *other = fsu_list_name(&list, i);

		if (strcmp(other, file) == 0 || !name_parse(other, &name))
			continue;
		if (name_is_of(other, PACK_KEY, &name) || strcmp(key, PACK_KEY) == 0) {
			found = true; /* perhaps in there */
			continue;
		}
		if (!name_is_of(other, key, &name))
			continue;
		if (fsha_version_compare(&name.version, &bad.version) > 0) {
			found = false; /* a newer one is what counts */
			break;
		}
		found = true;
		if (fsha_version_compare(&name.version, &best) >= 0) {
			best = name.version;
			(void)snprintf(ret_older, NAME_SIZE, "%s", other);
		}
	}
	fsu_list_done(&list);
	return found;
}

struct term *repair_term(struct repair *r, const struct finding *f, const char *path)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result;

	if (strcmp(r->election, f->election) != 0) {
		tenancy_end(&r->tenancy);
		(void)snprintf(r->election, sizeof(r->election), "%s", f->election);
		result = tenancy_take(r->actions.services, f->election, &r->tenancy, &error);
		r->refused = result != FSHA_OK;
		if (r->refused) {
			r->tenancy = (struct tenancy){ .term = NULL };
			if (r->actions.error.result == FSHA_OK)
				r->actions.error = error;
			(void)snprintf(r->why, sizeof(r->why), "%s", error.message);
		}
	}
	if (!r->refused)
		return r->tenancy.term;
	actions_tell(&r->actions, FSHA_ACTION_LEFT, f->code, path, "%s", r->why);
	return NULL;
}

fsha_result repair_store(struct repair *r, const char *directory, const char *election,
			 struct store **ret_store, fsha_error *reterr)
{
	struct fsha_services *s = r->actions.services;
	struct store_options options = { .election = election };

	if (!area_of_path(directory, s->job_result_path, &options))
		return error_set(reterr, FSHA_E_NOT_FOUND, 0, "open", "'%s' is no store",
				 directory);
	return services_store_open(s, &options, ret_store, reterr);
}

/* Stores of this process have seen what is gone now. */
static void forget(struct repair *r, const char *directory, const char *election)
{
	struct store *store;

	if (repair_store(r, directory, election, &store, NULL) != FSHA_OK)
		return;
	store_forget(store);
	services_store_close(r->actions.services, store);
}

void repair_move(struct repair *r, const struct finding *f, const char *directory, const char *file,
		 const char *then)
{
	struct term *t = repair_term(r, f, f->path);
	fsha_error error = FSHA_ERROR_INIT;
	char name[NAME_SIZE];

	if (!t)
		return;
	if (quarantine_take(t, directory, file, name, &error) != FSHA_OK)
		actions_fail(&r->actions, f->code, f->path, &error);
	else
		actions_tell(&r->actions, FSHA_ACTION_DONE, f->code, f->path,
			     "moved to " LAYOUT_QUARANTINE "/%s; %s", name, then);
	forget(r, directory, f->election);
}

static void mend_file(struct repair *r, const struct finding *f)
{
	const struct cluster *c = &r->actions.services->cluster;
	char directory[FINDING_PATH_SIZE], older[NAME_SIZE], then[NAME_SIZE + 64];
	const char *file;
	bool has_older;

	layout_parent(f->path, directory);
	file = f->path + strlen(directory) + 1;
	/* Of leader records and histories the term that moves them publishes a newer one anyway. */
	has_older = strcmp(directory, LAYOUT_LEADERS) != 0 &&
		    strncmp(directory, LAYOUT_ELECTIONS "/", sizeof(LAYOUT_ELECTIONS)) != 0 &&
		    find_older(c, directory, file, older);
	if (has_older)
		(void)snprintf(then, sizeof(then), "'%s' becomes visible", older);
	else
		(void)snprintf(then, sizeof(then), "nothing older becomes visible");
	if (has_older && !r->accept_older)
		actions_tell(&r->actions, FSHA_ACTION_LEFT, f->code, f->path,
			     "%s if it is moved to quarantine: that has to be accepted", then);
	else if (r->actions.dry_run)
		actions_tell(&r->actions, FSHA_ACTION_PLANNED, f->code, f->path,
			     "it would be moved to quarantine; %s", then);
	else
		repair_move(r, f, directory, file, then);
}

/* A directory without an owner is refused to everybody. An empty one is made anew when needed. */
static void mend_directory(struct repair *r, const struct finding *f)
{
	const struct cluster *c = &r->actions.services->cluster;
	struct fsu_list list;
	bool empty;
	int err;

	fsu_list_init(&list, c->fs);
	empty = fsu_list_read(&list, c->fd, f->path, c->local, LIST_LIMIT_NS) == 0 &&
		list.count == 0;
	fsu_list_done(&list);
	if (!empty) {
		actions_tell(&r->actions, FSHA_ACTION_LEFT, f->code, f->path,
			     "who may write there is not known: restore its " OWNER_KEY
			     " from a backup");
		return;
	}
	if (r->actions.dry_run) {
		actions_tell(&r->actions, FSHA_ACTION_PLANNED, f->code, f->path,
			     "it is empty and would be removed");
		return;
	}
	/* Only an empty one can be removed, whoever does something there meanwhile. */
	err = fsu_unlinkat(c->fs, c->fd, f->path, AT_REMOVEDIR);
	if (err == 0 || err == -ENOENT)
		actions_tell(&r->actions, FSHA_ACTION_DONE, f->code, f->path,
			     "it was empty and is removed");
	else
		actions_tell(&r->actions, FSHA_ACTION_LEFT, f->code, f->path,
			     "somebody wrote there meanwhile");
}

/* Whole, or in parts? What belongs elsewhere, or to no epoch, has no part that belongs here. */
static bool is_damaged_pack(const struct finding *f, size_t same_path)
{
	const char *slash = strrchr(f->path, '/');
	struct name name;

	for (size_t i = 0; i < same_path; i++)
		if (f[i].code != FINDING_RECORD_DAMAGED)
			return false;
	return slash && name_is_of(slash + 1, PACK_KEY, &name);
}

static void mend(struct repair *r, const struct finding *f, size_t same_path)
{
	if (!f->election[0])
		actions_tell(&r->actions, FSHA_ACTION_LEFT, f->code, f->path, "%s",
			     strncmp(f->path, LAYOUT_MEMBERS "/", sizeof(LAYOUT_MEMBERS)) == 0 ?
				     "no leader writes there: it goes with its member" :
				     "which election may write there is not known");
	else if (is_damaged_pack(f, same_path))
		repair_pack(r, f);
	else
		mend_file(r, f);
}

/* Sorted by path, so what is wrong with a file in several ways comes together. */
static void mend_all(struct repair *r, const struct findings *found)
{
	size_t same;

	for (size_t i = 0; i < found->count; i += same) {
		const struct finding *f = &found->items[i];

		same = 1;
		if (f->code == FINDING_OWNER_MISSING)
			mend_directory(r, f);
		if (f->code == FINDING_MARKED)
			repair_marks(r, f);
		if (f->code == FINDING_NOT_TOLD)
			actions_tell(&r->actions, FSHA_ACTION_LEFT, f->code, f->path, "%s",
				     f->message);
		if (!is_bad_file(f->code))
			continue;
		while (i + same < found->count && strcmp(found->items[i + same].path, f->path) == 0)
			same++;
		mend(r, f, same);
	}
	tenancy_end(&r->tenancy);
}

static fsha_result check_arguments(const struct fsha_services *s,
				   const fsha_repair_options *options,
				   const fsha_maintenance_summary *summary, fsha_error *reterr)
{
	if (!s)
		return error_set(reterr, FSHA_E_INVALID, 0, "repair", "an argument is NULL");
	if (options && (options->struct_size != sizeof(*options) ||
			(options->flags & ~FLAGS_KNOWN) || options->reserved0))
		return error_set(reterr, FSHA_E_INVALID, 0, "repair",
				 "the options have an unknown size or flag: start from "
				 "FSHA_REPAIR_OPTIONS_INIT");
	if (summary && summary->struct_size != sizeof(*summary))
		return error_set(reterr, FSHA_E_INVALID, 0, "repair",
				 "the summary has an unknown size: start from "
				 "FSHA_MAINTENANCE_SUMMARY_INIT");
	return FSHA_OK;
}

fsha_result fsha_repair(fsha_services *s, const fsha_repair_options *options,
			int (*visit)(void *ctx, const fsha_action *action), void *ctx,
			fsha_maintenance_summary *ret_summary, fsha_error *reterr)
{
	fsha_verify_summary ignored = FSHA_VERIFY_SUMMARY_INIT;
	struct repair r = { .actions = { .services = s, .visit = visit, .ctx = ctx } };
	uint32_t flags = options ? options->flags : 0;
	struct findings found;
	fsha_result result;

	result = check_arguments(s, options, ret_summary, reterr);
	if (result != FSHA_OK)
		return result;
	r.actions.summary = (fsha_maintenance_summary)FSHA_MAINTENANCE_SUMMARY_INIT;
	r.actions.error = (fsha_error)FSHA_ERROR_INIT;
	r.actions.dry_run = !(flags & FSHA_REPAIR_APPLY);
	r.accept_older = flags & FSHA_REPAIR_ACCEPT_OLDER;
	r.finish_removals = flags & FSHA_REPAIR_FINISH_REMOVALS;
	findings_init(&found, services_fs(s));
	result = verify_run(&s->cluster, s->job_result_path, false, &ignored, &found, reterr);
	if (result == FSHA_OK) {
		mend_all(&r, &found);
		result = actions_end(&r.actions, ret_summary, reterr);
	}
	findings_done(&found);
	return result;
}
