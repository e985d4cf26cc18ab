#include "src/services/upkeep.h"

#include <stdio.h>
#include <string.h>

#include "fsha/election.h"
#include "src/cluster/layout.h"
#include "src/job_result/file.h"
#include "src/result/error.h"

/* A store that the janitor keeps open, so that it knows since when a version is an old one. */
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

static struct kept_store *keep(struct fsha_services *s, const struct store_options *options)
{
	const struct term_source terms = { services_term, s };
	struct kept_store *k =
		fsu_alloc(services_fs(s), sizeof(*k) + strlen(options->directory) + 1);

	if (!k)
		return NULL;
	if (store_open(&s->cluster, &terms, options, &k->store, NULL) != FSHA_OK) {
		fsu_release(services_fs(s), k);
		return NULL;
	}
	k->foreign = options->owned && store_check_owner(k->store, NULL) == FSHA_E_CONFIG;
	strcpy(k->directory, options->directory);
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

static void clean(struct fsha_services *s, struct term *t, const struct store_options *options)
{
	struct kept_store *k;

	if (!term_is_live(t) || is_open(s, options->directory, t))
		return;
	k = find(s, options->directory, t->election);
	if (!k)
		k = keep(s, options);
	if (!k)
		return;
	k->used_ns = fsu_now_ns(services_fs(s));
	if (k->foreign)
		return;
	store_forget(k->store); /* others have written there since */
	store_clean(k->store);
	store_compact(k->store);
}

/* Where stores lie. */
static const struct place {
	const char *directory;
	const char *election; /* NULL: any, by their owner */
	uint16_t kind;
	bool nested; /* one in each directory below it, which have owners */
	bool removable;
	const struct store_format *format;
} places[] = {
	{ LAYOUT_JOB_GRAPHS, FSHA_ELECTION_DISPATCHER, FSU_KIND_JOB_GRAPH, false, false, NULL },
	{ LAYOUT_JOB_RESULTS, FSHA_ELECTION_DISPATCHER, FSU_KIND_JOB_RESULT, false, false,
	  &job_result_format },
	{ LAYOUT_RUNNING_JOBS, FSHA_ELECTION_DISPATCHER, FSU_KIND_RUNNING_JOB, false, false, NULL },
	{ LAYOUT_BLOBS, FSHA_ELECTION_DISPATCHER, FSU_KIND_BLOB, true, true, NULL },
	{ LAYOUT_STATE, NULL, FSU_KIND_STATE, true, false, NULL },
};

/*
 * Close what was not used since then: its directory was removed, or a user of this process has it
 * open now.
 */
static void drop_unused(struct fsha_services *s, const char *directory, int64_t since_ns)
{
	size_t len = strlen(directory);

	for (struct kept_store **at = &s->kept; *at;) {
		struct kept_store *k = *at;

		if (k->used_ns >= since_ns || strncmp(k->directory, directory, len) != 0 ||
		    k->directory[len] != '/') {
			at = &k->next;
			continue;
		}
		*at = k->next;
		store_close(k->store);
		fsu_release(services_fs(s), k);
	}
}

static void clean_place(struct fsha_services *s, struct term *t, const struct place *p)
{
	const struct cluster *c = &s->cluster;
	char directory[STORE_PATH_SIZE];
	struct store_options options = {
		.directory = directory,
		.election = t->election,
		.kind = p->kind,
		.owned = p->nested,
		.removable = p->removable,
		.format = p->format,
	};
	int64_t begun_ns = fsu_now_ns(c->fs);
	struct fsu_list list;

	if (!p->nested) {
		options.directory = p->directory;
		if (p->kind == FSU_KIND_JOB_RESULT && s->job_result_path) {
			options.path = s->job_result_path;
			options.owned = true;
		}
		clean(s, t, &options);
		return;
	}
	fsu_list_init(&list, c->fs);
	if (fsu_list_pass(&list, c->fd, p->directory, c->local) == 0) {
		for (size_t i = 0; i < list.count; i++) {
			(void)snprintf(directory, sizeof(directory), "%s/%s", p->directory,
				       fsu_list_name(&list, i));
			clean(s, t, &options);
		}
		if (p->removable)
			drop_unused(s, p->directory, begun_ns);
	}
	fsu_list_done(&list);
}

/*
 * A job's election has one directory, and a process may lead many jobs: so no other is looked at,
 * and those of jobs that it leads no more are closed after a while.
 */
static void clean_checkpoints(struct fsha_services *s, struct term *t)
{
	const int64_t unused_ns = 2 * cluster_lease_ns(&s->cluster);
	char directory[sizeof(LAYOUT_CHECKPOINTS) + FSHA_HEX_ID_TEXT];
	char election[FSHA_ELECTION_JOB_TEXT];
	const struct store_options options = {
		.directory = directory,
		.election = t->election,
		.kind = FSU_KIND_CHECKPOINT,
		.owned = true,
		.removable = true,
	};
	fsha_job_id job;

	drop_unused(s, LAYOUT_CHECKPOINTS, fsu_now_ns(services_fs(s)) - unused_ns);
	if (strlen(t->election) != FSHA_ELECTION_JOB_TEXT - 1 ||
	    fsha_job_id_parse(t->election + 4, &job) != FSHA_OK ||
	    strcmp(fsha_job_election_name(&job, election), t->election) != 0)
		return;
	(void)snprintf(directory, sizeof(directory), LAYOUT_CHECKPOINTS "/%s", t->election + 4);
	clean(s, t, &options);
}

void upkeep_stores(struct fsha_services *s, struct term *t)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (!places[i].election || strcmp(t->election, places[i].election) == 0)
			clean_place(s, t, &places[i]);
	clean_checkpoints(s, t);
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
