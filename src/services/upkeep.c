#include "src/services/upkeep.h"

#include <string.h>

#include "src/maintenance/area.h"
#include "src/maintenance/orphans.h"
#include "src/maintenance/remains.h"

/*
 * A store that the janitor keeps open, so that it knows since when a version is an old one. Users
 * who open it get this very object: a second one would not know of the packs that the janitor makes
 * in the first, and would take away tombstones above what is in them (test_upkeep.c).
 */
struct kept_store {
	struct kept_store *next;
	struct store *store;
	int64_t used_ns;
	bool foreign; /* another election's: looked at once and left alone */
	char directory[];
};

static struct kept_store *find(struct fsha_services *s, const char *directory, const char *election)
{
	struct kept_store *k = s->kept;

	while (k &&
	       (strcmp(k->directory, directory) != 0 || strcmp(k->store->election, election) != 0))
		k = k->next;
	return k;
}

static struct kept_store *keep(struct fsha_services *s, const char *directory, const char *election,
			       const struct area *area)
{
	struct store_options options = { .directory = directory, .election = election };
	struct kept_store *k = fsu_alloc(services_fs(s), sizeof(*k) + strlen(directory) + 1);

	if (!k)
		return NULL;
	area_store_options(area, s->job_result_path, &options);
	if (services_store_keep(s, &options, &k->store, NULL) != FSHA_OK) {
		fsu_release(services_fs(s), k);
		return NULL;
	}
	k->foreign = options.owned && store_check_owner(k->store, NULL) == FSHA_E_CONFIG;
	strcpy(k->directory, directory);
	k->next = s->kept;
	s->kept = k;
	return k;
}

/*
 * Does a user of this process have it open, alone in the term? Then its own index is cleaned
 * already.
 */
static bool is_open(struct fsha_services *s, const char *directory, const struct term *term)
{
	bool open = false;

	services_lock(s);
	for (const struct open_store *o = s->stores; o && !open; o = o->next)
		open = o->owners && !term->shared && strcmp(o->store->directory, directory) == 0;
	services_unlock(s);
	return open;
}

static void clean(struct fsha_services *s, struct term *t, const char *directory,
		  const struct area *area)
{
	struct kept_store *k;

	if (!term_is_live(t) || is_open(s, directory, t))
		return;
	k = find(s, directory, t->election);
	if (!k)
		k = keep(s, directory, t->election, area);
	if (!k)
		return;
	k->used_ns = fsu_now_ns(services_fs(s));
	if (k->foreign)
		return;
	store_forget(k->store); /* others have written there since */
	(void)store_clean(k->store);
	store_compact(k->store);
}

/* Close the store at *at, and let it point to the next. */
static void drop(struct fsha_services *s, struct kept_store **at)
{
	struct kept_store *k = *at;

	*at = k->next;
	services_store_drop(s, k->store);
	fsu_release(services_fs(s), k);
}

/* Those of elections that are led here no more, a while after that. */
void upkeep_drop_unused(struct fsha_services *s, int64_t round_ns)
{
	int64_t since_ns = fsu_now_ns(services_fs(s)) - 2 * cluster_lease_ns(&s->cluster);

	if (since_ns > round_ns)
		since_ns = round_ns;
	for (struct kept_store **at = &s->kept; *at;)
		if ((*at)->used_ns < since_ns)
			drop(s, at);
		else
			at = &(*at)->next;
}

/* Close what was not used since then: its directory was removed. */
static void drop_removed(struct fsha_services *s, const struct area *area, int64_t since_ns)
{
	size_t len = strlen(area->directory);

	for (struct kept_store **at = &s->kept; *at;)
		if ((*at)->used_ns < since_ns &&
		    strncmp((*at)->directory, area->directory, len) == 0 &&
		    (*at)->directory[len] == '/')
			drop(s, at);
		else
			at = &(*at)->next;
}

/*
 * There may be a directory for each of many jobs: only those in which something is useless are kept
 * open.
 */
static void clean_job(struct fsha_services *s, struct term *t, const char *directory,
		      const struct area *area)
{
	struct kept_store **at = &s->kept;

	if (!area_is_tidy(&s->cluster, directory)) {
		clean(s, t, directory, area);
		return;
	}
	while (*at && strcmp((*at)->directory, directory) != 0)
		at = &(*at)->next;
	if (*at)
		drop(s, at);
}

static void clean_nested(struct fsha_services *s, struct term *t, const struct area *area)
{
	const struct cluster *c = &s->cluster;
	char directory[AREA_DIRECTORY_SIZE];
	int64_t begun_ns = fsu_now_ns(c->fs);
	struct fsu_list list;

	fsu_list_init(&list, c->fs);
	if (fsu_list_pass(&list, c->fd, area->directory, c->local) == 0) {
		for (size_t i = 0; i < list.count && term_is_live(t); i++) {
			if (!area_names_store(area, fsu_list_name(&list, i), NULL))
				continue;
			area_directory(area, fsu_list_name(&list, i), directory);
			if (area->nesting == AREA_BY_NAMESPACE)
				clean(s, t, directory, area);
			else
				clean_job(s, t, directory, area);
		}
		if (area->nesting != AREA_BY_NAMESPACE)
			drop_removed(s, area, begun_ns);
	}
	fsu_list_done(&list);
}

/* The one store that the leaders of a job's election write. */
static void clean_own(struct fsha_services *s, struct term *t, const struct area *area)
{
	char directory[AREA_DIRECTORY_SIZE], name[FSHA_HEX_ID_TEXT];
	fsha_job_id job;

	if (!area_job_of_election(t->election, &job))
		return;
	area_directory(area, fsha_job_id_format(&job, name), directory);
	clean(s, t, directory, area);
}

void upkeep_stores(struct fsha_services *s, struct term *t)
{
	for (size_t i = 0; i < areas_count; i++) {
		const struct area *area = &areas[i];

		if (area->nesting == AREA_BY_JOB) {
			clean_own(s, t, area);
		} else if (area->nesting == AREA_BY_NAMESPACE) {
			clean_nested(s, t, area);
		} else if (strcmp(area->election, t->election) == 0) {
			if (area->nesting == AREA_FLAT)
				clean(s, t, area->directory, area);
			else
				clean_nested(s, t, area);
		}
	}
}

void upkeep_remains(struct fsha_services *s)
{
	struct remains_policy policy = { .own = NULL };
	struct orphans_policy orphans = { .still = NULL };
	struct fsu_uuid own;
	struct term *t;

	if (!s->still) {
		s->still = fsu_alloc(services_fs(s), 2 * sizeof(*s->still));
		if (!s->still)
			return; /* another time */
		still_init(&s->still[0], &s->cluster);
		still_init(&s->still[1], &s->cluster);
	}
	services_lock(s);
	if (s->member) {
		own = s->member->id;
		policy.own = &own;
	}
	services_unlock(s);
	(void)remains_look(&s->still[0], &policy);

	orphans.still = &s->still[1];
	t = services_term(s, FSHA_ELECTION_DISPATCHER);
	if (t && term_is_live(t))
		(void)orphans_look(s, t, &orphans);
	term_unref(t);
}

void upkeep_destroy(struct fsha_services *s)
{
	if (s->still) {
		still_done(&s->still[0]);
		still_done(&s->still[1]);
		fsu_release(services_fs(s), s->still);
		s->still = NULL;
	}
	while (s->kept) {
		struct kept_store *k = s->kept;

		s->kept = k->next;
		services_store_drop(s, k->store);
		fsu_release(services_fs(s), k);
	}
}
