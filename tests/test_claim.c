/* Claiming, fencing, resigning: two and three contenders on one simulated directory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/actor.h"

#define A 0
#define B 1
#define OBSERVER 3

struct stage {
	struct crashfs *disk;
	struct actor a, b;
};

static int open_stage(void **state)
{
	const struct crashfs_options options = { .seed = 1 };
	struct stage *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->disk = crashfs_create(&options);
	actor_start(&s->a, s->disk, A);
	actor_start(&s->b, s->disk, B);
	*state = s;
	return 0;
}

static int close_stage(void **state)
{
	struct stage *s = *state;

	crashfs_hook_set(s->disk, NULL, NULL);
	actor_stop(&s->a);
	actor_stop(&s->b);
	assert_int_equal(crashfs_open_fds(s->disk, A), 0);
	assert_int_equal(crashfs_open_fds(s->disk, B), 0);
	assert_int_equal(crashfs_bytes_allocated(s->disk), 0);
	crashfs_destroy(s->disk);
	free(s);
	return 0;
}

/* How many names in the election directory begin so. */
static unsigned count_names(struct stage *s, const char *prefix)
{
	const char *names = crashfs_ls(s->disk, "/c/elections/" ACTOR_ELECTION);
	unsigned n = 0;

	assert_non_null(names);
	for (const char *p = names; *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : "")
		n += strncmp(p, prefix, strlen(prefix)) == 0;
	return n;
}

static void a_claim_of_a_vacant_election_is_granted_with_the_next_epoch(void **state)
{
	struct stage *s = *state;

	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	assert_true(term_is_live(s->a.term));
	assert_int_equal(s->a.term->epoch.number, 1);
	assert_int_equal(count_names(s, "epoch-"), 1);
	assert_int_equal(count_names(s, "tenure-"), 1);
}

static void every_claim_takes_a_fresh_session_and_a_higher_epoch(void **state)
{
	struct stage *s = *state;
	struct fsu_uuid session;

	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	session = s->a.term->epoch.session;
	assert_int_equal(actor_resign(&s->a), FSHA_OK);
	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	assert_int_equal(s->a.term->epoch.number, 2);
	assert_false(fsu_uuid_equal(&session, &s->a.term->epoch.session));
}

static void after_a_takeover_no_write_of_the_old_leader_is_done(void **state)
{
	struct stage *s = *state;
	char text[64];

	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	assert_int_equal(actor_add(&s->a, "k", "old"), FSHA_OK);
	assert_int_equal(actor_claim(&s->b), FSHA_OK); /* as if A were known to be dead */
	assert_int_equal(actor_replace(&s->a, "k", "late"), FSHA_E_FENCED);
	assert_int_equal(s->a.error.maybe_done, 0);
	assert_int_equal(actor_add(&s->a, "new", "late"), FSHA_E_FENCED);
	assert_int_equal(actor_remove(&s->a, "k"), FSHA_E_FENCED);
	observe(s->disk, OBSERVER, "k", text);
	assert_string_equal(text, "old");
	observe(s->disk, OBSERVER, "new", text);
	assert_string_equal(text, "");
}

struct takeover {
	struct stage *stage;
	enum crashfs_call at;
	const char *path_begins;
	bool done;
};

/* B takes over just before that call of A. */
static void take_over_before(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct takeover *t = ctx;

	if (t->done || client != A || call != t->at || !path || !strstr(path, t->path_begins))
		return;
	t->done = true;
	assert_int_equal(actor_claim(&t->stage->b), FSHA_OK);
}

static void a_write_overtaken_before_its_rename_is_fenced_and_unseen(void **state)
{
	struct stage *s = *state;
	struct takeover t = { s, CRASHFS_RENAMEAT, "tenure-", false };
	char text[64];

	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	assert_int_equal(actor_add(&s->a, "k", "old"), FSHA_OK);
	crashfs_hook_set(s->disk, take_over_before, &t);
	assert_int_equal(actor_replace(&s->a, "k", "late"), FSHA_E_FENCED);
	assert_true(t.done);
	observe(s->disk, OBSERVER, "k", text);
	assert_string_equal(text, "old");
	assert_false(term_is_live(s->a.term));
}

static void a_write_overtaken_before_its_file_is_made_is_fenced(void **state)
{
	struct stage *s = *state;
	struct takeover t = { s, CRASHFS_OPENAT, "tenure-", false };

	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	crashfs_hook_set(s->disk, take_over_before, &t);
	assert_int_equal(actor_add(&s->a, "k", "late"), FSHA_E_FENCED);
	assert_true(t.done);
	assert_int_equal(s->a.error.maybe_done, 0);
}

static void a_claim_overtaken_at_its_swap_is_lost_and_leaves_nothing(void **state)
{
	struct stage *s = *state;
	struct takeover t = { s, CRASHFS_RENAMEAT, "epoch-", false };

	crashfs_hook_set(s->disk, take_over_before, &t);
	assert_int_equal(actor_claim(&s->a), FSHA_E_VERSION);
	assert_true(t.done);
	assert_null(s->a.term);
	assert_true(term_is_live(s->b.term));
	assert_int_equal(count_names(s, "tenure-"), 1);
	assert_int_equal(count_names(s, "epoch-"), 1);
}

static void a_candidate_overtaken_after_its_swap_is_not_granted(void **state)
{
	struct stage *s = *state;
	struct takeover t = { s, CRASHFS_FSYNC, ACTOR_ELECTION, false };

	crashfs_hook_set(s->disk, take_over_before, &t);
	assert_int_equal(actor_claim(&s->a), FSHA_E_VERSION);
	assert_true(t.done);
	assert_null(s->a.term);
	assert_true(term_is_live(s->b.term));
	assert_int_equal(s->b.term->epoch.number, 2);
	/* B still writes. */
	assert_int_equal(actor_add(&s->b, "k", "v"), FSHA_OK);
}

/* What happens to a candidate between its swap and its grant. */
struct between {
	struct stage *stage;
	unsigned fsyncs; /* of the election directory, before it happens */
	void (*happen)(struct stage *s);
};

static void happen_between(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct between *b = ctx;

	if (!b->happen || client != A || call != CRASHFS_FSYNC || !strstr(path, ACTOR_ELECTION) ||
	    b->fsyncs-- > 0)
		return;
	b->happen(b->stage);
	b->happen = NULL;
}

static void assert_not_granted(struct stage *s, unsigned fsyncs, void (*happen)(struct stage *s),
			       const char *why)
{
	struct between b = { s, fsyncs, happen };

	crashfs_hook_set(s->disk, happen_between, &b);
	assert_int_equal(actor_claim(&s->a), FSHA_E_VERSION);
	assert_null(b.happen);
	assert_null(s->a.term);
	if (!strstr(s->a.error.message, why))
		fail_msg("'%s' is not in '%s'", why, s->a.error.message);
}

/* B has come as far as its own swap. */
static void swap_too(struct stage *s)
{
	struct epoch from, to;
	struct fsu_list list;

	fsu_list_init(&list, s->b.fs);
	assert_int_equal(epoch_read(&s->b.cluster, s->b.election_fd, &list, &from), 0);
	fsu_list_done(&list);
	to = from;
	to.number++;
	to.member = s->b.member->id;
	assert_int_equal(epoch_swap(&s->b.cluster, s->b.election_fd, &from, &to), 1);
}

static void a_candidate_whose_epoch_was_swapped_on_is_not_granted(void **state)
{
	assert_not_granted(*state, 1, swap_too, "another process has claimed it meanwhile");
}

static void remove_tenure(struct stage *s)
{
	const char *names = crashfs_ls(s->disk, "/c/elections/" ACTOR_ELECTION);
	const char *tenure = strstr(names, "tenure-");
	char path[256];

	assert_non_null(tenure);
	(void)snprintf(path, sizeof(path), "/c/elections/" ACTOR_ELECTION "/%.*s",
		       (int)strcspn(tenure, "\n"), tenure);
	crashfs_rm(s->disk, path);
}

static void a_candidate_whose_tenure_is_gone_is_not_granted(void **state)
{
	assert_not_granted(*state, 1, remove_tenure, "its tenure directory is gone");
}

static void outlast_the_lease(struct stage *s)
{
	crashfs_advance(s->disk, ACTOR_LEASE_MS * FSU_NS_PER_MS);
}

static void a_candidate_whose_lease_runs_out_while_it_fences_is_not_granted(void **state)
{
	assert_not_granted(*state, 1, outlast_the_lease, "the lease ran out before the grant");
}

static void the_lost_reply_of_a_swap_is_a_won_claim(void **state)
{
	struct stage *s = *state;
	const struct crashfs_fault fault = {
		.client = A,
		.at = 0,
		.calls_mask = 1u << CRASHFS_RENAMEAT,
		.error = 2 /* ENOENT */,
		.mode = CRASHFS_DONE,
	};

	crashfs_count_reset(s->disk);
	crashfs_fault_arm(s->disk, &fault);
	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	assert_int_equal(crashfs_faults_fired(s->disk), 1);
	assert_true(term_is_live(s->a.term));
}

static void a_swap_that_fails_for_a_while_is_the_same_swap_until_it_works(void **state)
{
	struct stage *s = *state;
	struct crashfs_fault fault = {
		.client = A,
		.calls_mask = 1u << CRASHFS_RENAMEAT,
		.error = 5 /* EIO */,
		.mode = CRASHFS_NOT_DONE,
	};

	crashfs_count_reset(s->disk);
	crashfs_fault_arm(s->disk, &fault);
	fault.at = 1;
	crashfs_fault_arm(s->disk, &fault);
	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	assert_int_equal(crashfs_faults_fired(s->disk), 2);
	assert_int_equal(s->a.term->epoch.number, 1);
	assert_int_equal(count_names(s, "tenure-"), 1);
}

static void a_candidate_whose_lease_ran_out_is_not_granted_and_vacates(void **state)
{
	struct stage *s = *state;

	lease_expire(&s->a.member->lease);
	assert_int_not_equal(actor_claim(&s->a), FSHA_OK);
	assert_null(s->a.term);
	assert_int_equal(count_names(s, "tenure-"), 0);
	/* The next claim starts as usual. */
	assert_int_equal(actor_claim(&s->b), FSHA_OK);
}

static void a_candidate_that_cannot_fence_vacates_and_is_not_granted(void **state)
{
	struct stage *s = *state;
	const struct crashfs_fault fault = {
		.client = B,
		.at = 0,
		.calls_mask = 1u << CRASHFS_UNLINKAT,
		.error = 13 /* EACCES */,
		.mode = CRASHFS_NOT_DONE,
		.repeat = true,
	};
	struct fsu_list list;
	struct epoch now;

	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	crashfs_count_reset(s->disk);
	crashfs_fault_arm(s->disk, &fault);
	assert_int_not_equal(actor_claim(&s->b), FSHA_OK);
	assert_null(s->b.term);
	fsu_list_init(&list, s->b.fs);
	assert_int_equal(epoch_read(&s->b.cluster, s->b.election_fd, &list, &now), 0);
	fsu_list_done(&list);
	assert_true(epoch_is_vacant(&now));
	crashfs_fault_clear(s->disk);
}

static void the_tenures_of_all_former_leaders_are_fenced(void **state)
{
	struct stage *s = *state;
	struct fsu_uuid session = { { 7 } };
	char name[TENURE_NAME_SIZE], path[128];

	/* Left by candidates that died: of older epochs, and one with something in flight. */
	for (uint64_t epoch = 0; epoch < 2; epoch++) {
		tenure_format(epoch, &session, name);
		(void)snprintf(path, sizeof(path), "/c/elections/" ACTOR_ELECTION "/%s/staged",
			       name);
		crashfs_put(s->disk, path, "x", 1);
	}
	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	assert_int_equal(count_names(s, "tenure-"), 1);
	tenure_format(s->a.term->epoch.number, &s->a.term->epoch.session, name);
	(void)snprintf(path, sizeof(path), "/c/elections/" ACTOR_ELECTION "/%s", name);
	assert_true(crashfs_exists(s->disk, path));
}

static void what_was_in_flight_goes_to_the_trash_and_from_there(void **state)
{
	struct stage *s = *state;
	char path[256];

	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	(void)snprintf(path, sizeof(path), "/c/elections/" ACTOR_ELECTION "/%s/0000.1",
		       s->a.term->tenure);
	crashfs_put(s->disk, path, "in flight", 9);
	assert_int_equal(actor_claim(&s->b), FSHA_OK);
	assert_string_not_equal(crashfs_ls(s->disk, "/c/elections/" ACTOR_ELECTION "/trash"), "");
	assert_int_equal(tenure_empty_trash(&s->b.cluster, s->b.election_fd, 100), 0);
	assert_string_equal(crashfs_ls(s->disk, "/c/elections/" ACTOR_ELECTION "/trash"), "");
}

static void trash_of_any_size_goes_as_far_as_it_can_be_unlinked(void **state)
{
	const struct crashfs_fault fault = {
		.client = A,
		.calls_mask = 1u << CRASHFS_UNLINKAT,
		.error = 5, /* EIO */
		.mode = CRASHFS_NOT_DONE,
		.repeat = true,
	};
	struct stage *s = *state;
	char path[256];

	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(path, sizeof(path), "/c/elections/" ACTOR_ELECTION "/trash/%04d", i);
		crashfs_put(s->disk, path, "x", 1);
	}
	crashfs_count_reset(s->disk);
	crashfs_fault_arm(s->disk, &fault);
	assert_int_equal(tenure_empty_trash(&s->a.cluster, s->a.election_fd, 10), -EBUSY);
	/* Returns, although its time never comes to an end. */
	tenure_empty_trash_until(&s->a.cluster, s->a.election_fd, FSU_FOREVER);
	crashfs_fault_clear(s->disk);
	assert_true(tenure_empty_trash(&s->a.cluster, s->a.election_fd, 10) > 0);
	/* Its time is up: no more than one batch. */
	tenure_empty_trash_until(&s->a.cluster, s->a.election_fd, 0);
	assert_string_not_equal(crashfs_ls(s->disk, "/c/elections/" ACTOR_ELECTION "/trash"), "");
	tenure_empty_trash_until(&s->a.cluster, s->a.election_fd, FSU_FOREVER);
	assert_string_equal(crashfs_ls(s->disk, "/c/elections/" ACTOR_ELECTION "/trash"), "");
}

static void a_missing_trash_directory_is_made_again(void **state)
{
	struct stage *s = *state;
	char path[256];

	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	(void)snprintf(path, sizeof(path), "/c/elections/" ACTOR_ELECTION "/%s/0000.1",
		       s->a.term->tenure);
	crashfs_put(s->disk, path, "in flight", 9);
	crashfs_rm(s->disk, "/c/elections/" ACTOR_ELECTION "/trash");
	assert_int_equal(actor_claim(&s->b), FSHA_OK);
	assert_false(crashfs_exists(s->disk, path));
}

static void a_resigned_election_is_vacant_and_its_writer_stopped(void **state)
{
	struct stage *s = *state;

	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	assert_int_equal(actor_resign(&s->a), FSHA_OK);
	assert_int_equal(actor_add(&s->a, "k", "v"), FSHA_E_NOT_LEADER);
	assert_int_equal(count_names(s, "tenure-"), 0);
	assert_int_equal(actor_claim(&s->b), FSHA_OK);
	assert_int_equal(s->b.term->epoch.number, 2);
}

static void resigning_after_a_takeover_says_fenced_and_harms_nobody(void **state)
{
	struct stage *s = *state;

	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	assert_int_equal(actor_claim(&s->b), FSHA_OK);
	assert_int_equal(actor_resign(&s->a), FSHA_E_FENCED);
	assert_true(term_is_live(s->b.term));
	assert_int_equal(actor_add(&s->b, "k", "v"), FSHA_OK);
}

static void the_next_epoch_is_above_the_floor(void **state)
{
	struct stage *s = *state;

	assert_int_equal(cluster_floor_raise(&s->a.cluster, 1000, NULL), FSHA_OK);
	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	assert_int_equal(s->a.term->epoch.number, 1001);
}

static void versions_grow_across_leaders_removal_and_the_floor(void **state)
{
	struct stage *s = *state;
	fsha_version last = { 0 }, now;

	for (int round = 0; round < 6; round++) {
		struct actor *w = round % 2 ? &s->b : &s->a;

		assert_int_equal(actor_claim(w), FSHA_OK);
		assert_int_equal(actor_add(w, "k", "v"), FSHA_OK);
		assert_int_equal(store_exists(w->store, "k", &now, NULL), FSHA_OK);
		assert_true(fsha_version_compare(&now, &last) > 0);
		last = now;
		assert_int_equal(actor_remove(w, "k"), FSHA_OK);
		assert_int_equal(actor_add(w, "k", "again"), FSHA_OK);
		assert_int_equal(store_exists(w->store, "k", &now, NULL), FSHA_OK);
		assert_true(fsha_version_compare(&now, &last) > 0);
		last = now;
		assert_int_equal(actor_remove(w, "k"), FSHA_OK);
		if (round == 3)
			assert_int_equal(cluster_floor_raise(&w->cluster, 500, NULL), FSHA_OK);
	}
	assert_true(last.epoch > 500);
}

static void a_lost_epoch_file_is_reported_and_claims_nothing(void **state)
{
	struct stage *s = *state;
	char path[256];

	(void)snprintf(path, sizeof(path), "/c/elections/" ACTOR_ELECTION "/%.*s", 87,
		       crashfs_ls(s->disk, "/c/elections/" ACTOR_ELECTION));
	*strchrnul(path, '\n') = '\0';
	assert_non_null(strstr(path, "epoch-"));
	crashfs_rm(s->disk, path);
	assert_int_equal(actor_claim(&s->a), FSHA_E_IO);
	assert_null(s->a.term);
}

static void a_fence_that_fails_to_the_end_says_why(void **state)
{
	static const struct {
		enum crashfs_call call;
		int error;
	} failures[] = { { CRASHFS_GETDENTS, EACCES },
			 { CRASHFS_ALLOC, ENOMEM },
			 { CRASHFS_UNLINKAT, EROFS } };
	struct stage *s = *state;
	const struct fsu *fs = s->b.fs;

	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		struct crashfs_fault fault = {
			.client = B,
			.calls_mask = 1u << failures[i].call,
			.error = failures[i].error,
			.repeat = true,
		};

		crashfs_count_reset(s->disk);
		crashfs_fault_arm(s->disk, &fault);
		assert_int_equal(tenure_fence(&s->b.cluster, s->b.election_fd, 1, "none",
					      fsu_now_ns(fs) + FSU_NS_PER_S),
				 -failures[i].error);
		crashfs_fault_clear(s->disk);
	}
}

#define STAGED(test) cmocka_unit_test_setup_teardown(test, open_stage, close_stage)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGED(a_claim_of_a_vacant_election_is_granted_with_the_next_epoch),
		STAGED(every_claim_takes_a_fresh_session_and_a_higher_epoch),
		STAGED(after_a_takeover_no_write_of_the_old_leader_is_done),
		STAGED(a_write_overtaken_before_its_rename_is_fenced_and_unseen),
		STAGED(a_write_overtaken_before_its_file_is_made_is_fenced),
		STAGED(a_claim_overtaken_at_its_swap_is_lost_and_leaves_nothing),
		STAGED(a_candidate_overtaken_after_its_swap_is_not_granted),
		STAGED(a_candidate_whose_epoch_was_swapped_on_is_not_granted),
		STAGED(a_candidate_whose_tenure_is_gone_is_not_granted),
		STAGED(a_candidate_whose_lease_runs_out_while_it_fences_is_not_granted),
		STAGED(the_lost_reply_of_a_swap_is_a_won_claim),
		STAGED(a_swap_that_fails_for_a_while_is_the_same_swap_until_it_works),
		STAGED(a_candidate_whose_lease_ran_out_is_not_granted_and_vacates),
		STAGED(a_candidate_that_cannot_fence_vacates_and_is_not_granted),
		STAGED(the_tenures_of_all_former_leaders_are_fenced),
		STAGED(what_was_in_flight_goes_to_the_trash_and_from_there),
		STAGED(trash_of_any_size_goes_as_far_as_it_can_be_unlinked),
		STAGED(a_missing_trash_directory_is_made_again),
		STAGED(a_resigned_election_is_vacant_and_its_writer_stopped),
		STAGED(resigning_after_a_takeover_says_fenced_and_harms_nobody),
		STAGED(the_next_epoch_is_above_the_floor),
		STAGED(versions_grow_across_leaders_removal_and_the_floor),
		STAGED(a_fence_that_fails_to_the_end_says_why),
		STAGED(a_lost_epoch_file_is_reported_and_claims_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
