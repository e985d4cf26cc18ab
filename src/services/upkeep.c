#include "src/services/upkeep.h"

#include <stdio.h>
#include <string.h>

#include "fsha/election.h"
#include "src/cluster/layout.h"
#include "src/result/error.h"

/* A store that the janitor keeps open, so that it knows since when a version is an old one. */
struct kept_store {
	struct kept_store *next;
	struct store *store;
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
			       uint16_t kind, bool owned)
{
	const struct store_options options = {
		.directory = directory,
		.election = election,
		.kind = kind,
		.owned = owned,
	};
	const struct term_source terms = { services_term, s };
	struct kept_store *k = fsu_alloc(services_fs(s), sizeof(*k) + strlen(directory) + 1);

	if (!k)
		return NULL;
	if (store_open(&s->cluster, &terms, &options, &k->store, NULL) != FSHA_OK) {
		fsu_release(services_fs(s), k);
		return NULL;
	}
	k->foreign = owned && store_check_owner(k->store, NULL) == FSHA_E_CONFIG;
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

static void clean(struct fsha_services *s, struct term *t, const char *directory, uint16_t kind,
		  bool owned)
{
	struct kept_store *k;

	if (!term_is_live(t) || is_open(s, directory, t))
		return;
	k = find(s, directory, t->election);
	if (!k)
		k = keep(s, directory, t->election, kind, owned);
	if (!k || k->foreign)
		return;
	store_forget(k->store); /* others have written there since */
	store_clean(k->store);
}

void upkeep_stores(struct fsha_services *s, struct term *t)
{
	const struct cluster *c = &s->cluster;
	char directory[sizeof(LAYOUT_STATE) + 256];
	struct fsu_list list;

	if (strcmp(t->election, FSHA_ELECTION_DISPATCHER) == 0)
		clean(s, t, LAYOUT_JOB_GRAPHS, FSU_KIND_JOB_GRAPH, false);
	fsu_list_init(&list, c->fs);
	if (fsu_list_pass(&list, c->fd, LAYOUT_STATE, c->local) == 0)
		for (size_t i = 0; i < list.count; i++) {
			(void)snprintf(directory, sizeof(directory), LAYOUT_STATE "/%s",
				       fsu_list_name(&list, i));
			clean(s, t, directory, FSU_KIND_STATE, true);
		}
	fsu_list_done(&list);
}

void upkeep_destroy(struct fsha_services *s)
{
	while (s->kept) {
		struct kept_store *k = s->kept;

		s->kept = k->next;
		store_close(k->store);
		fsu_release(services_fs(s), k);
	}
}
