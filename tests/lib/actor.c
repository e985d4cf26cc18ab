#include "tests/lib/actor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/cluster/layout.h"
#include "src/result/error.h"

static const struct store_options store_options = {
	.directory = LAYOUT_JOB_GRAPHS,
	.election = ACTOR_ELECTION,
	.kind = FSU_KIND_JOB_GRAPH,
};

static struct term *get_term(void *ctx, const char *election)
{
	struct actor *a = ctx;

	assert_string_equal(election, ACTOR_ELECTION);
	return term_ref(a->term);
}

fsha_result actor_try_start(struct actor *a, struct crashfs *disk, unsigned client)
{
	const struct cluster_options options = {
		.storage_dir = "/",
		.cluster_id = "c",
		.lease_ms = ACTOR_LEASE_MS,
		.create = true,
	};
	const struct term_source terms = { get_term, a };
	fsha_result result;

	*a = (struct actor){ .disk = disk, .client = client, .election_fd = -1 };
	a->error = (fsha_error)FSHA_ERROR_INIT;
	a->fs = crashfs_client(disk, client);
	result = cluster_open(a->fs, &options, &a->cluster, &a->error);
	if (result != FSHA_OK)
		return result;
	a->open = true;
	result = member_join(&a->cluster, false, &a->member, &a->error);
	if (result == FSHA_OK)
		result = claim_open_election(&a->cluster, ACTOR_ELECTION, true, &a->election_fd,
					     &a->error);
	if (result == FSHA_OK)
		result = store_open(&a->cluster, &terms, &store_options, &a->store, &a->error);
	return result;
}

void actor_start(struct actor *a, struct crashfs *disk, unsigned client)
{
	if (actor_try_start(a, disk, client) != FSHA_OK)
		fail_msg("%s", a->error.message);
}

void actor_stop(struct actor *a)
{
	if (!a->open)
		return;
	store_close(a->store);
	term_unref(a->term);
	if (a->election_fd >= 0)
		(void)fsu_close(a->fs, a->election_fd);
	member_destroy(a->member);
	cluster_close(&a->cluster);
	a->open = false;
}

void actor_kill(struct actor *a)
{
	crashfs_kill_client(a->disk, a->client);
	actor_stop(a);
}

fsha_result actor_claim(struct actor *a)
{
	struct claim q = {
		.cluster = &a->cluster,
		.election_fd = a->election_fd,
		.election = ACTOR_ELECTION,
		.member = &a->member->id,
		.lease = &a->member->lease,
	};
	struct fsu_list list;
	int r;

	term_unref(a->term);
	a->term = NULL;
	fsu_list_init(&list, a->fs);
	r = epoch_read(&a->cluster, a->election_fd, &list, &q.from);
	fsu_list_done(&list);
	if (r < 0)
		return error_os(&a->error, r, "list", "cannot read the epoch file");
	return claim_run(&q, &a->term, &a->error);
}

void actor_take_over(struct actor *a)
{
	fsha_result result = FSHA_E_VERSION;

	crashfs_advance(a->disk, 2 * ACTOR_LEASE_MS * FSU_NS_PER_MS);
	for (int i = 0; i < 5 && result != FSHA_OK; i++) {
		/*
		 * Our own lease ran out with the others': a new member, as the heartbeat thread
		 * makes one.
		 */
		if (!lease_is_alive(&a->member->lease)) {
			member_destroy(a->member);
			a->member = NULL;
			if (member_join(&a->cluster, false, &a->member, &a->error) != FSHA_OK)
				fail_msg("%s", a->error.message);
		}
		result = actor_claim(a);
	}
	if (result != FSHA_OK)
		fail_msg("could not take over: %s\n%s", a->error.message, crashfs_log(a->disk));
}

fsha_result actor_resign(struct actor *a)
{
	fsha_result result = claim_vacate(a->term, &a->error);

	claim_clean_up(a->term);
	return result;
}

fsha_result actor_add(struct actor *a, const char *key, const char *value)
{
	return store_write(a->store, STORE_ADD, key, NULL, value, strlen(value), NULL, &a->error);
}

fsha_result actor_replace(struct actor *a, const char *key, const char *value)
{
	return store_write(a->store, STORE_REPLACE, key, NULL, value, strlen(value), NULL,
			   &a->error);
}

fsha_result actor_remove(struct actor *a, const char *key)
{
	return store_write(a->store, STORE_REMOVE, key, NULL, NULL, 0, NULL, &a->error);
}

static fsha_result get_text(struct store *store, const struct fsu *fs, const char *key, char *text,
			    fsha_error *reterr)
{
	struct record record;
	fsha_result result = store_get(store, key, &record, NULL, reterr);

	text[0] = '\0';
	if (result == FSHA_OK) {
		assert_true(record.size < 64);
		memcpy(text, record.data, record.size + 1);
		record_done(fs, &record);
	}
	return result;
}

fsha_result actor_get(struct actor *a, const char *key, char *text)
{
	return get_text(a->store, a->fs, key, text, &a->error);
}

static struct term *no_term(void *ctx, const char *election)
{
	(void)ctx;
	(void)election;
	return NULL;
}

void observe(struct crashfs *disk, unsigned client, const char *key, char *text)
{
	const struct cluster_options options = { .storage_dir = "/", .cluster_id = "c" };
	const struct term_source terms = { no_term, NULL };
	fsha_error error = FSHA_ERROR_INIT;
	struct cluster cluster = { .fd = -1 };
	struct store *store = NULL;
	fsha_result result;

	if (cluster_open(crashfs_client(disk, client), &options, &cluster, &error) != FSHA_OK ||
	    store_open(&cluster, &terms, &store_options, &store, &error) != FSHA_OK)
		fail_msg("%s\n%s", error.message, crashfs_log(disk));
	result = get_text(store, cluster.fs, key, text, &error);
	if (result != FSHA_OK && result != FSHA_E_NOT_FOUND)
		fail_msg("observer: %s\n%s", error.message, crashfs_log(disk));
	store_close(store);
	cluster_close(&cluster);
}
