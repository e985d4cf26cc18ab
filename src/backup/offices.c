#include "src/backup/offices.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_path.h"
#include "src/cluster/layout.h"
#include "src/election/epoch.h"
#include "src/maintenance/area.h"
#include "src/result/error.h"
#include "src/services/services.h"

/* A leader that died is dead for certain after 5/4 leases. */
static uint32_t patience_ms(const struct offices *o)
{
	return 2 * o->services->cluster.lease_ms + 3000;
}

/* Is there a term of it, and of which epoch? */
static bool holds(const struct offices *o, const char *component, uint64_t *ret_epoch)
{
	struct term *t = services_term(o->services, component);
	bool live = t && term_is_live(t);

	if (live)
		*ret_epoch = t->epoch.number;
	term_unref(t);
	return live;
}

static fsha_result acquire(struct offices *o, const char *component, fsha_election **ret_election,
			   fsha_error *reterr)
{
	char name[FSU_NAME_MAX + 1];
	fsha_uuid session;
	uint64_t held;
	size_t len;

	if (o->in_hand) {
		*ret_election = NULL;
		return holds(o, component, &held) ?
			       FSHA_OK :
			       error_set(reterr, FSHA_E_NOT_LEADER, 0, "claim",
					 "this process has no term of '%s'", component);
	}
	if (fsu_path_decode(component, strlen(component), name, &len) < 0)
		return error_set(reterr, FSHA_E_CORRUPT, 0, "decode",
				 "'%s' is no name of an election", component);
	return fsha_election_acquire(o->services, name, patience_ms(o), ret_election, &session,
				     reterr);
}

fsha_result offices_take(struct offices *o, const char *component, fsha_error *reterr)
{
	struct office *office;
	fsha_result result;

	for (office = o->list; office; office = office->next)
		if (strcmp(office->name, component) == 0)
			return FSHA_OK;
	office = fsu_alloc(services_fs(o->services), sizeof(*office) + strlen(component) + 1);
	if (!office)
		return error_os(reterr, -ENOMEM, "alloc", "cannot claim '%s'", component);
	strcpy(office->name, component);
	result = acquire(o, component, &office->election, reterr);
	if (result != FSHA_OK) {
		fsu_release(services_fs(o->services), office);
		return result;
	}
	office->next = o->list;
	o->list = office;
	return FSHA_OK;
}

bool offices_is_election(const struct cluster *c, const char *name)
{
	char directory[sizeof(LAYOUT_ELECTIONS) + FSU_COMPONENT_MAX + 1];
	char decoded[FSU_NAME_MAX + 1];
	size_t len;

	if (fsu_path_decode(name, strlen(name), decoded, &len) < 0)
		return false;
	(void)snprintf(directory, sizeof(directory), LAYOUT_ELECTIONS "/%s", name);
	return !area_is_foreign(c, directory);
}

/*
 * Is it being taken apart? Then nobody leads it and nobody can. What cannot be read may be led.
 */
static bool is_retired(const struct cluster *c, const char *name)
{
	struct fsu_list list;
	struct epoch epoch;
	bool retired;
	int fd = fsu_dir_open(c->fs, c->elections_fd, name);

	fsu_list_init(&list, c->fs);
	retired = fd >= 0 && epoch_read_surely(c, fd, &list, &epoch) == -ENOENT &&
		  epoch_is_retired(&list);
	fsu_list_done(&list);
	if (fd >= 0)
		(void)fsu_close(c->fs, fd); /* a directory */
	return retired;
}

fsha_result offices_take_all(struct offices *o, fsha_error *reterr)
{
	const struct cluster *c = &o->services->cluster;
	fsha_result result = FSHA_OK;
	struct fsu_list list;
	int r;

	fsu_list_init(&list, c->fs);
	r = fsu_list_read(&list, c->elections_fd, "", c->local, cluster_lease_ns(c) / 5);
	if (r < 0)
		result = error_os(reterr, r, "list", "cannot list '" LAYOUT_ELECTIONS "'");
	for (size_t i = 0; r == 0 && result == FSHA_OK && i < list.count; i++)
		if (offices_is_election(c, fsu_list_name(&list, i)) &&
		    !is_retired(c, fsu_list_name(&list, i)))
			result = offices_take(o, fsu_list_name(&list, i), reterr);
	fsu_list_done(&list);
	return result;
}

/* A new term, which begins above the floor. */
static fsha_result renew(struct offices *o, struct office *office, fsha_error *reterr)
{
	fsha_result result;

	assert(!o->in_hand); /* such a term is newer than the backup, or of no use */
	result = fsha_election_close(office->election, reterr);
	office->election = NULL;
	return result == FSHA_OK ? acquire(o, office->name, &office->election, reterr) : result;
}

fsha_result offices_rise_above(struct offices *o, uint64_t epoch, fsha_error *reterr)
{
	fsha_result result = cluster_floor_raise(&o->services->cluster, epoch, reterr);

	for (struct office *f = o->list; f && result == FSHA_OK; f = f->next) {
		uint64_t held = 0;

		if (!holds(o, f->name, &held))
			result = error_set(reterr, FSHA_E_FENCED, 0, "claim",
					   "the leadership of '%s' was lost", f->name);
		else if (held <= epoch)
			result = renew(o, f, reterr);
	}
	return result;
}

fsha_result offices_leave(struct offices *o, fsha_error *reterr)
{
	fsha_result first = FSHA_OK;

	while (o->list) {
		struct office *f = o->list;
		fsha_result result;

		o->list = f->next;
		result = fsha_election_close(f->election, first == FSHA_OK ? reterr : NULL);
		if (first == FSHA_OK)
			first = result;
		fsu_release(services_fs(o->services), f);
	}
	return first;
}
