#include "tests/lib/town.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/cluster/layout.h"
#include "src/election/history.h"
#include "src/leader/leader.h"

static struct term *get_term(void *ctx, const char *election)
{
	struct town *t = ctx;

	return term_ref(strcmp(election, ACTOR_ELECTION) == 0 ? t->a.term : t->job_term);
}

static void must(const struct town *t, fsha_result result)
{
	if (result != FSHA_OK)
		fail_msg("%s\n%s", t->a.error.message, crashfs_log(t->disk));
}

static void claim_job(struct town *t)
{
	struct claim q = { .cluster = &t->a.cluster,
			   .election = TOWN_JOB_ELECTION,
			   .member = &t->a.member->id,
			   .lease = &t->a.member->lease };
	struct fsu_list list;

	must(t,
	     claim_open_election(&t->a.cluster, TOWN_JOB_ELECTION, true, &t->job_fd, &t->a.error));
	q.election_fd = t->job_fd;
	fsu_list_init(&list, t->a.fs);
	assert_int_equal(epoch_read(&t->a.cluster, t->job_fd, &list, &q.from), 0);
	fsu_list_done(&list);
	must(t, claim_run(&q, &t->job_term, &t->a.error));
}

void town_write(struct town *t, const char *directory, const char *election, uint16_t kind,
		bool owned, const char *key, const char *value)
{
	const struct store_options options = {
		.directory = directory, .election = election, .kind = kind, .owned = owned
	};
	const struct term_source terms = { get_term, t };
	struct store *store;

	must(t, store_open(&t->a.cluster, &terms, &options, &store, &t->a.error));
	must(t, store_write(store, STORE_ADD, key, NULL, value, strlen(value), NULL, &t->a.error));
	store_close(store);
}

void town_start(struct town *t, struct crashfs *disk)
{
	*t = (struct town){ .disk = disk, .hand = crashfs_client(disk, TOWN_HAND) };
	actor_start(&t->a, disk, 0);
	lease_begin(&t->a.member->lease, fsu_now_ns(t->a.fs), 600 * FSU_NS_PER_S);
	must(t, actor_claim(&t->a));
	claim_job(t);
	must(t, leader_publish(t->a.term, LEADER_CONFIRMED, "here", NULL, NULL, &t->a.error));
	must(t, leader_publish(t->job_term, LEADER_CONFIRMED, "there", NULL, NULL, &t->a.error));
	must(t, history_publish(t->a.term, &t->a.error));
	must(t, actor_add(&t->a, TOWN_JOB, "graph"));
	must(t, actor_add(&t->a, TOWN_JOB_2, "graph"));
	town_write(t, LAYOUT_RUNNING_JOBS, ACTOR_ELECTION, FSU_KIND_RUNNING_JOB, false, TOWN_JOB,
		   "x");
	town_write(t, LAYOUT_STATE "/ns", ACTOR_ELECTION, FSU_KIND_STATE, true, "k", "value");
	town_write(t, LAYOUT_CHECKPOINTS "/" TOWN_JOB, TOWN_JOB_ELECTION, FSU_KIND_CHECKPOINT, true,
		   "0000000000000000001", "checkpoint");
}

void town_kill(struct town *t)
{
	crashfs_kill_client(t->disk, 0);
	town_stop(t);
}

void town_resign(struct town *t)
{
	must(t, claim_vacate(t->job_term, &t->a.error));
	must(t, leader_publish(t->job_term, LEADER_NONE, "", NULL, NULL, &t->a.error));
	claim_clean_up(t->job_term);
	must(t, claim_vacate(t->a.term, &t->a.error));
	must(t, leader_publish(t->a.term, LEADER_NONE, "", NULL, NULL, &t->a.error));
	claim_clean_up(t->a.term);
}

void town_stop(struct town *t)
{
	term_unref(t->job_term);
	t->job_term = NULL;
	if (t->a.open && t->job_fd > 0)
		(void)fsu_close(t->a.fs, t->job_fd);
	t->job_fd = -1;
	actor_stop(&t->a);
}

const char *town_path(struct town *t, const char *format, ...)
{
	int n = snprintf(t->path, sizeof(t->path), TOWN_CLUSTER "/");
	va_list args;

	va_start(args, format);
	(void)vsnprintf(t->path + n, sizeof(t->path) - (size_t)n, format, args);
	va_end(args);
	return t->path;
}

void town_find(struct town *t, const char *directory, const char *prefix, bool last, char *ret_path)
{
	const char *names = crashfs_ls(t->disk, town_path(t, "%s", directory));
	bool found = false;

	assert_non_null(names);
	for (const char *p = names; *p;) {
		size_t len = strcspn(p, "\n");

		if (strncmp(p, prefix, strlen(prefix)) == 0 && (last || !found)) {
			(void)snprintf(ret_path, 700, "%s%s%.*s", directory, *directory ? "/" : "",
				       (int)len, p);
			found = true;
		}
		p += len + (p[len] == '\n');
	}
	if (!found)
		fail_msg("no %s* in %s:\n%s", prefix, directory, names);
}

void town_move(struct town *t, const char *from, const char *to)
{
	char a[700], b[700];

	(void)snprintf(a, sizeof(a), TOWN_CLUSTER "/%s", from);
	(void)snprintf(b, sizeof(b), TOWN_CLUSTER "/%s", to);
	assert_int_equal(fsu_renameat(t->hand, AT_FDCWD, a, AT_FDCWD, b), 0);
}

void town_copy(struct town *t, const char *from, const char *to)
{
	size_t len;
	const uint8_t *data = crashfs_cat(t->disk, town_path(t, "%s", from), &len);
	uint8_t *copy;

	assert_non_null(data);
	copy = malloc(len + 1);
	assert_non_null(copy);
	memcpy(copy, data, len);
	crashfs_put(t->disk, town_path(t, "%s", to), copy, len);
	free(copy);
}

static void flip_at(struct town *t, const char *path, const uint8_t *data, size_t len, size_t at)
{
	uint8_t *copy = malloc(len + 1);

	assert_non_null(copy);
	assert_true(at < len);
	memcpy(copy, data, len);
	copy[at] ^= 1;
	crashfs_put(t->disk, town_path(t, "%s", path), copy, len);
	free(copy);
}

void town_damage(struct town *t, const char *path)
{
	size_t len;
	const uint8_t *data = crashfs_cat(t->disk, town_path(t, "%s", path), &len);

	assert_non_null(data);
	flip_at(t, path, data, len, len / 2);
}

void town_flip(struct town *t, const char *path, const char *text, long away)
{
	size_t len, at = 0;
	const uint8_t *data = crashfs_cat(t->disk, town_path(t, "%s", path), &len);

	assert_non_null(data);
	for (size_t i = 0; text && i + strlen(text) <= len; i++)
		if (memcmp(data + i, text, strlen(text)) == 0)
			at = i;
	assert_true(!text || at > 0);
	assert_true(away >= 0 || at >= (size_t)-away);
	flip_at(t, path, data, len, at + (size_t)away);
}
