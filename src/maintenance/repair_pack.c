/* A damaged pack: what is whole in it is published anew before the pack goes to quarantine. */
#include <stdio.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/maintenance/repair.h"
#include "src/state/salvage.h"

#define TRY_NS (50 * FSU_NS_PER_MS)
#define TEXT_SIZE (2 * SALVAGE_TEXT_SIZE + 200)

struct damaged_pack {
	const struct finding *finding;
	char directory[FINDING_PATH_SIZE];
	const char *file;
	struct name name;
	struct salvage_result what;
	char text[TEXT_SIZE]; /* for people */
};

/* What can be saved, what is lost, and what that means. */
static void describe(struct damaged_pack *p)
{
	const struct salvage_result *w = &p->what;
	char lost[SALVAGE_TEXT_SIZE + 40] = "nothing is lost";
	char older[SALVAGE_TEXT_SIZE + 40] = "nothing older becomes visible";

	if (w->sparse)
		(void)snprintf(lost, sizeof(lost), "the others are lost with its list");
	else if (w->lost > 0)
		(void)snprintf(lost, sizeof(lost), "lost: %s", w->lost_names);
	if (w->older > 0)
		(void)snprintf(older, sizeof(older), "older ones may become visible: %s",
			       w->older_names);
	(void)snprintf(p->text, sizeof(p->text), "%zu whole members of it; %s; %s", w->whole, lost,
		       older);
}

static void fail(struct repair *r, const struct damaged_pack *p, const fsha_error *error)
{
	const struct finding *f = p->finding;

	if (error->result == FSHA_E_NOT_FOUND)
		actions_tell(&r->actions, FSHA_ACTION_LEFT, f->code, f->path, "it is gone by now");
	else
		actions_fail(&r->actions, f->code, f->path, error);
}

/* FSHA_OK and `older`: it has to be accepted. */
static bool is_refused(struct repair *r, const struct damaged_pack *p)
{
	if (p->what.older == 0 || r->accept_older)
		return false;
	actions_tell(&r->actions, FSHA_ACTION_LEFT, p->finding->code, p->finding->path,
		     "if it is moved to quarantine the store keeps %s: that has to be accepted",
		     p->text);
	return true;
}

/* The janitor may be at it, and may hang there. */
static fsha_result publish(const struct repair *r, struct damaged_pack *p, struct store *store,
			   fsha_error *reterr)
{
	const struct cluster *c = &r->actions.services->cluster;
	const int64_t until_ns = fsu_now_ns(c->fs) + cluster_lease_ns(c);
	fsha_result result;

	for (;;) {
		result =
			salvage_publish(store, &p->name.version, r->accept_older, &p->what, reterr);
		if (result != FSHA_E_VERSION || fsu_now_ns(c->fs) >= until_ns)
			return result;
		fsu_sleep(c->fs, TRY_NS);
	}
}

static void save(struct repair *r, struct damaged_pack *p, struct store *store)
{
	const struct finding *f = p->finding;
	fsha_error error = FSHA_ERROR_INIT;
	char then[TEXT_SIZE + 40];

	if (!repair_term(r, f, f->path))
		return;
	if (publish(r, p, store, &error) != FSHA_OK) {
		fail(r, p, &error);
		return;
	}
	describe(p);
	if (is_refused(r, p))
		return;
	(void)snprintf(then, sizeof(then), "the store keeps %s", p->text);
	repair_move(r, f, p->directory, p->file, then);
}

static void look_and_save(struct repair *r, struct damaged_pack *p, struct store *store)
{
	const struct finding *f = p->finding;
	fsha_error error = FSHA_ERROR_INIT;

	if (salvage_look(store, &p->name.version, &p->what, &error) != FSHA_OK) {
		fail(r, p, &error);
		return;
	}
	describe(p);
	if (is_refused(r, p))
		return;
	if (r->actions.dry_run)
		actions_tell(&r->actions, FSHA_ACTION_PLANNED, f->code, f->path,
			     "it would be moved to quarantine; the store keeps %s", p->text);
	else
		save(r, p, store);
}

void repair_pack(struct repair *r, const struct finding *f)
{
	struct damaged_pack p = { .finding = f };
	fsha_error error = FSHA_ERROR_INIT;
	struct store *store;

	layout_parent(f->path, p.directory);
	p.file = f->path + strlen(p.directory) + 1;
	(void)name_parse(p.file, &p.name);
	if (repair_store(r, p.directory, f->election, &store, &error) != FSHA_OK) {
		actions_fail(&r->actions, f->code, f->path, &error);
		return;
	}
	look_and_save(r, &p, store);
	services_store_close(r->actions.services, store);
}
