/*
 * Removals of two steps that were cut short (src/state/remove.c): told, and ended when that is
 * wanted. What the value points to is not discarded, since only who put it there knows how.
 */
#include <stdio.h>
#include <time.h>

#include "fsutil/fsu_path.h"
#include "src/maintenance/repair.h"

#define SINCE_SIZE 32

struct mark {
	const struct finding *finding;
	struct store *store;
	const struct store_handle *handle;
	char path[FINDING_PATH_SIZE + NAME_SIZE];
	char since[SINCE_SIZE];
};

/* By the clock of the host that marked it. */
static void read_since(const struct repair *r, struct mark *m)
{
	const struct fsu *fs = r->actions.services->cluster.fs;
	struct record record;
	fsha_version version;
	enum name_form form;
	time_t seconds;
	struct tm tm;

	(void)snprintf(m->since, sizeof(m->since), "a time that cannot be read");
	if (store_get_any(m->store, m->handle->key, &record, &version, &form, NULL) != FSHA_OK)
		return;
	seconds = (time_t)(record.head.wall_ns / FSU_NS_PER_S);
	if (form == NAME_MARKED && gmtime_r(&seconds, &tm))
		(void)strftime(m->since, sizeof(m->since), "%Y-%m-%dT%H:%M:%SZ", &tm);
	record_done(fs, &record);
}

static void finish(struct repair *r, const struct mark *m)
{
	const struct finding *f = m->finding;
	fsha_error error = FSHA_ERROR_INIT;
	fsha_result result;

	if (!repair_term(r, f, m->path))
		return;
	result = store_write(m->store, STORE_REMOVE, m->handle->key, &m->handle->version, NULL, 0,
			     NULL, &error);
	if (result == FSHA_OK)
		actions_tell(&r->actions, FSHA_ACTION_DONE, f->code, m->path,
			     "its removal, begun at %s, is finished; what it points to was not "
			     "discarded",
			     m->since);
	else if (result == FSHA_E_VERSION)
		actions_tell(&r->actions, FSHA_ACTION_LEFT, f->code, m->path,
			     "somebody went on with its removal meanwhile");
	else
		actions_fail(&r->actions, f->code, m->path, &error);
}

static void tend(struct repair *r, struct mark *m)
{
	const struct finding *f = m->finding;
	char name[NAME_SIZE];

	name_format(m->handle->key, &m->handle->version, NAME_MARKED, name);
	(void)snprintf(m->path, sizeof(m->path), "%s/%s", f->path, name);
	read_since(r, m);
	if (!r->finish_removals)
		actions_tell(&r->actions, FSHA_ACTION_LEFT, f->code, m->path,
			     "its removal began at %s, and what it points to is not known to be "
			     "discarded: who removes it goes on with that; to give that up, finish "
			     "the removals",
			     m->since);
	else if (r->actions.dry_run)
		actions_tell(&r->actions, FSHA_ACTION_PLANNED, f->code, m->path,
			     "its removal, begun at %s, would be finished without discarding what "
			     "it points to",
			     m->since);
	else
		finish(r, m);
}

void repair_marks(struct repair *r, const struct finding *f)
{
	const struct fsu *fs = r->actions.services->cluster.fs;
	fsha_error error = FSHA_ERROR_INIT, damage = FSHA_ERROR_INIT;
	struct mark m = { .finding = f };
	struct store_handle *handles;
	fsha_result result;
	size_t count;

	result = repair_store(r, f->path, f->election, &m.store, &error);
	if (result != FSHA_OK) {
		actions_fail(&r->actions, f->code, f->path, &error);
		return;
	}
	result = store_known(m.store, &handles, &count, &damage, &error);
	if (result == FSHA_OK) {
		for (size_t i = 0; i < count; i++) {
			m.handle = &handles[i];
			if (m.handle->form == NAME_MARKED)
				tend(r, &m);
		}
		fsu_release(fs, handles);
	} else {
		actions_fail(&r->actions, f->code, f->path, &error);
	}
	services_store_close(r->actions.services, m.store);
}
