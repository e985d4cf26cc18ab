/*
 * The fenced, versioned store: results of every call, and what readers see while names come and go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/result/error.h"
#include "tests/lib/actor.h"

#define A 0
#define B 1
#define READER 2

struct stage {
	struct crashfs *disk;
	struct actor a, b;
};

static int open_stage_with(void **state, const struct crashfs_options *options)
{
	struct stage *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->disk = crashfs_create(options);
	actor_start(&s->a, s->disk, A);
	actor_start(&s->b, s->disk, B);
	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	*state = s;
	return 0;
}

static int open_local(void **state)
{
	const struct crashfs_options options = { .seed = 1 };

	return open_stage_with(state, &options);
}

/* Two hosts with caches of half a minute, and directory times of 4 ms steps. */
static int open_shared(void **state)
{
	const struct crashfs_options options = {
		.seed = 1,
		.cache_ns = 30 * FSU_NS_PER_S,
		.time_step_ns = 4 * FSU_NS_PER_MS,
	};

	return open_stage_with(state, &options);
}

static int close_stage(void **state)
{
	struct stage *s = *state;

	crashfs_fault_clear(s->disk);
	crashfs_hook_set(s->disk, NULL, NULL);
	actor_stop(&s->a);
	actor_stop(&s->b);
	assert_int_equal(crashfs_open_fds(s->disk, A), 0);
	assert_int_equal(crashfs_open_fds(s->disk, B), 0);
	assert_int_equal(crashfs_open_fds(s->disk, READER), 0);
	assert_int_equal(crashfs_bytes_allocated(s->disk), 0);
	crashfs_destroy(s->disk);
	free(s);
	return 0;
}

static unsigned count_files(struct stage *s, const char *key)
{
	const char *names = crashfs_ls(s->disk, "/c/job_graphs");
	unsigned n = 0;

	assert_non_null(names);
	for (const char *p = names; *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : "")
		n += strncmp(p, key, strlen(key)) == 0 && p[strlen(key)] == '~';
	return n;
}

static void add_refuses_what_is_there_and_replace_what_is_not(void **state)
{
	struct stage *s = *state;
	char text[64];

	assert_int_equal(actor_replace(&s->a, "k", "1"), FSHA_E_NOT_FOUND);
	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	assert_int_equal(actor_add(&s->a, "k", "2"), FSHA_E_EXISTS);
	assert_int_equal(actor_replace(&s->a, "k", "3"), FSHA_OK);
	assert_int_equal(actor_get(&s->a, "k", text), FSHA_OK);
	assert_string_equal(text, "3");
	assert_int_equal(actor_remove(&s->a, "k"), FSHA_OK);
	assert_int_equal(actor_get(&s->a, "k", text), FSHA_E_NOT_FOUND);
	assert_int_equal(actor_replace(&s->a, "k", "4"), FSHA_E_NOT_FOUND);
	assert_int_equal(actor_add(&s->a, "k", "5"), FSHA_OK);
}

static void replace_checks_the_expected_version(void **state)
{
	struct stage *s = *state;
	fsha_version first, second;

	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	assert_int_equal(store_exists(s->a.store, "k", &first, NULL), FSHA_OK);
	assert_int_equal(store_write(s->a.store, STORE_REPLACE, "k", &first, "2", 1, &second, NULL),
			 FSHA_OK);
	assert_true(fsha_version_compare(&second, &first) > 0);
	assert_int_equal(store_write(s->a.store, STORE_REPLACE, "k", &first, "3", 1, NULL, NULL),
			 FSHA_E_VERSION);
}

static void removing_what_is_not_there_is_done_and_writes_nothing(void **state)
{
	struct stage *s = *state;

	assert_int_equal(actor_remove(&s->a, "never"), FSHA_OK);
	assert_string_equal(crashfs_ls(s->disk, "/c/job_graphs"), "");
}

static void without_leadership_a_write_leaves_no_trace(void **state)
{
	struct stage *s = *state;

	assert_int_equal(actor_add(&s->b, "k", "1"), FSHA_E_NOT_LEADER);
	assert_int_equal(actor_remove(&s->b, "k"), FSHA_E_NOT_LEADER);
	assert_string_equal(crashfs_ls(s->disk, "/c/job_graphs"), "");
	lease_expire(&s->a.member->lease);
	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_E_NOT_LEADER);
	assert_string_equal(crashfs_ls(s->disk, "/c/job_graphs"), "");
}

/* It may be so, but that is for the present leader to say. */
static void a_former_leader_does_not_say_that_there_is_nothing_to_remove(void **state)
{
	const struct store_change nothing = { .how = STORE_REMOVE, .key = "k" };
	struct stage *s = *state;

	assert_int_equal(actor_remove(&s->a, "k"), FSHA_OK);
	actor_take_over(&s->b);
	assert_int_equal(actor_remove(&s->a, "k"), FSHA_E_NOT_LEADER);
	assert_int_equal(store_write_batch(s->a.store, &nothing, 1, NULL, NULL, &s->a.error),
			 FSHA_E_NOT_LEADER);
}

static void an_acknowledged_write_survives_a_power_cut(void **state)
{
	struct stage *s = *state;
	char text[64];

	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	assert_int_equal(actor_replace(&s->a, "k", "2"), FSHA_OK);
	assert_int_equal(actor_add(&s->a, "gone", "3"), FSHA_OK);
	assert_int_equal(actor_remove(&s->a, "gone"), FSHA_OK);
	crashfs_crash_losing_all(s->disk);
	crashfs_recover(s->disk);
	observe(s->disk, READER, "k", text);
	assert_string_equal(text, "2");
	observe(s->disk, READER, "gone", text);
	assert_string_equal(text, "");
}

static void a_damaged_newest_version_never_falls_back_to_an_older_one(void **state)
{
	struct stage *s = *state;
	char path[300] = "/c/job_graphs/", file[NAME_SIZE], text[64];
	fsha_version v;

	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	assert_int_equal(actor_replace(&s->a, "k", "2"), FSHA_OK);
	assert_int_equal(store_exists(s->a.store, "k", &v, NULL), FSHA_OK);
	name_format("k", &v, false, file);
	strcat(path, file);
	crashfs_put(s->disk, path, "garbage", 7);
	assert_int_equal(actor_get(&s->a, "k", text), FSHA_E_CORRUPT);
	assert_non_null(strstr(s->a.error.message, file));
	/* It can be replaced, and then reads again. */
	assert_int_equal(actor_replace(&s->a, "k", "3"), FSHA_OK);
	assert_int_equal(actor_get(&s->a, "k", text), FSHA_OK);
	assert_string_equal(text, "3");
}

static void old_versions_stay_for_a_while_and_are_then_cleaned(void **state)
{
	struct stage *s = *state;
	char text[64];

	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	assert_int_equal(actor_replace(&s->a, "k", "2"), FSHA_OK);
	store_clean(s->a.store);
	assert_int_equal(count_files(s, "k"), 2);
	lease_begin(&s->a.member->lease, fsu_now_ns(s->a.fs), 60 * FSU_NS_PER_S);
	crashfs_advance(s->disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
	store_clean(s->a.store);
	assert_int_equal(count_files(s, "k"), 1);
	assert_int_equal(actor_get(&s->a, "k", text), FSHA_OK);
	assert_string_equal(text, "2");
}

static void an_older_version_that_becomes_the_highest_is_not_cleaned_away(void **state)
{
	struct stage *s = *state;
	char path[300] = "/c/job_graphs/", file[NAME_SIZE], text[64];
	fsha_version v;

	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	assert_int_equal(actor_replace(&s->a, "k", "2"), FSHA_OK);
	assert_int_equal(store_exists(s->b.store, "k", &v, NULL), FSHA_OK);
	name_format("k", &v, NAME_VALUE, file);
	crashfs_rm(s->disk, strcat(path, file));

	/* Who has seen the one that went away becomes the leader. */
	actor_take_over(&s->b);
	lease_begin(&s->b.member->lease, fsu_now_ns(s->b.fs), 60 * FSU_NS_PER_S);
	for (int i = 0; i < 3; i++) {
		crashfs_advance(s->disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
		store_clean(s->b.store);
	}
	assert_int_equal(actor_get(&s->b, "k", text), FSHA_OK);
	assert_string_equal(text, "1");
	assert_int_equal(count_files(s, "k"), 1);
}

/* What outdoes the garbage was seen, but its writer could not make it durable. */
static void cleaning_makes_durable_what_it_builds_on(void **state)
{
	struct stage *s = *state;
	const struct crashfs_fault fault = {
		.client = A,
		.at = 1, /* that of the directory */
		.calls_mask = 1u << CRASHFS_FSYNC,
		.error = 5, /* EIO */
		.mode = CRASHFS_NOT_DONE,
	};
	char text[64];

	lease_begin(&s->a.member->lease, fsu_now_ns(s->a.fs), 60 * FSU_NS_PER_S);
	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	crashfs_count_reset(s->disk);
	crashfs_fault_arm(s->disk, &fault);
	assert_int_equal(actor_replace(&s->a, "k", "2"), FSHA_E_INDOUBT);
	crashfs_fault_clear(s->disk);
	assert_int_equal(actor_get(&s->a, "k", text), FSHA_OK);
	crashfs_advance(s->disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
	store_clean(s->a.store);
	assert_int_equal(count_files(s, "k"), 1);
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct crashfs *copy = crashfs_fork(s->disk);

		crashfs_crash(copy, seed);
		crashfs_recover(copy);
		observe(copy, READER, "k", text);
		assert_string_equal(text, "2");
		crashfs_destroy(copy);
	}
}

static void a_tombstone_goes_only_after_everything_below_it(void **state)
{
	struct stage *s = *state;

	lease_begin(&s->a.member->lease, fsu_now_ns(s->a.fs), 60 * FSU_NS_PER_S);
	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	assert_int_equal(actor_remove(&s->a, "k"), FSHA_OK);
	crashfs_advance(s->disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
	store_clean(s->a.store);
	assert_int_equal(count_files(s, "k"), 1); /* the tombstone */
	store_clean(s->a.store);
	assert_int_equal(count_files(s, "k"), 0);
	assert_int_equal(actor_add(&s->a, "k", "2"), FSHA_OK);
}

/* Another thread cleans too while the first one hangs in moving the garbage away. */
static void clean_meanwhile(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct stage *s = ctx;

	(void)path;
	if (client != A || call != CRASHFS_RENAMEAT || count_files(s, "k") < 2)
		return;
	for (int i = 0; i < 3; i++)
		assert_false(store_clean(s->a.store));
	assert_int_equal(count_files(s, "k"), 2);
}

static void a_tombstone_stays_while_another_thread_moves_what_is_below_it(void **state)
{
	struct stage *s = *state;

	lease_begin(&s->a.member->lease, fsu_now_ns(s->a.fs), 60 * FSU_NS_PER_S);
	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	assert_int_equal(actor_remove(&s->a, "k"), FSHA_OK);
	crashfs_advance(s->disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
	crashfs_hook_set(s->disk, clean_meanwhile, s);
	assert_true(store_clean(s->a.store));
	assert_int_equal(count_files(s, "k"), 1);
	assert_true(store_clean(s->a.store));
	assert_int_equal(count_files(s, "k"), 0);
}

static void a_tombstone_stays_while_a_write_is_in_doubt(void **state)
{
	struct stage *s = *state;

	lease_begin(&s->a.member->lease, fsu_now_ns(s->a.fs), 60 * FSU_NS_PER_S);
	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	assert_int_equal(actor_remove(&s->a, "k"), FSHA_OK);
	crashfs_advance(s->disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
	store_clean(s->a.store);
	atomic_store(&s->a.term->doubts[0], 1);
	store_clean(s->a.store);
	assert_int_equal(count_files(s, "k"), 1);
}

static void a_stopped_leaders_cleaning_is_fenced_too(void **state)
{
	struct stage *s = *state;

	lease_begin(&s->a.member->lease, fsu_now_ns(s->a.fs), 60 * FSU_NS_PER_S);
	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	assert_int_equal(actor_replace(&s->a, "k", "2"), FSHA_OK);
	crashfs_advance(s->disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
	lease_begin(&s->b.member->lease, fsu_now_ns(s->b.fs), 60 * FSU_NS_PER_S);
	assert_int_equal(actor_claim(&s->b), FSHA_OK);
	store_clean(s->a.store);
	assert_int_equal(count_files(s, "k"), 2);
}

static void a_write_in_doubt_can_be_settled_as_done(void **state)
{
	struct stage *s = *state;
	const struct crashfs_fault fault = {
		.client = A,
		.at = 1,
		.calls_mask = 1u << CRASHFS_FSYNC,
		.error = 5 /* EIO */,
		.mode = CRASHFS_NOT_DONE,
	};
	fsha_version v = { 0 };
	char text[64];

	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	crashfs_count_reset(s->disk);
	crashfs_fault_arm(s->disk, &fault);
	assert_int_equal(store_write(s->a.store, STORE_REPLACE, "k", NULL, "2", 1, &v, NULL),
			 FSHA_E_INDOUBT);
	assert_true(fsha_version_is_existing(&v));
	crashfs_fault_clear(s->disk);
	assert_int_equal(store_settle(s->a.store, "k", &v, NULL), FSHA_OK);
	assert_false(term_in_doubt(s->a.term));
	assert_int_equal(actor_get(&s->a, "k", text), FSHA_OK);
	assert_string_equal(text, "2");
}

static void a_write_in_doubt_can_be_settled_as_not_done(void **state)
{
	struct stage *s = *state;
	/* The rename fails, and so does everything that could tell. */
	const struct crashfs_fault fault = {
		.client = A,
		.at = 0,
		.calls_mask = 1u << CRASHFS_RENAMEAT | 1u << CRASHFS_UNLINKAT,
		.error = 5,
		.mode = CRASHFS_NOT_DONE,
		.repeat = true,
	};
	fsha_version v = { 0 };
	char text[64];

	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	crashfs_count_reset(s->disk);
	crashfs_fault_arm(s->disk, &fault);
	assert_int_equal(store_write(s->a.store, STORE_REPLACE, "k", NULL, "2", 1, &v, NULL),
			 FSHA_E_INDOUBT);
	assert_int_equal(store_settle(s->a.store, "k", &v, NULL), FSHA_E_INDOUBT);
	crashfs_fault_clear(s->disk);
	assert_int_equal(store_settle(s->a.store, "k", &v, NULL), FSHA_E_NOT_FOUND);
	assert_int_equal(actor_get(&s->a, "k", text), FSHA_OK);
	assert_string_equal(text, "1");
}

static void a_removal_of_nothing_outdoes_a_write_in_doubt(void **state)
{
	struct stage *s = *state;
	const struct crashfs_fault fault = {
		.client = A,
		.at = 0,
		.calls_mask = 1u << CRASHFS_RENAMEAT | 1u << CRASHFS_UNLINKAT,
		.error = 5, /* EIO */
		.mode = CRASHFS_NOT_DONE,
		.repeat = true,
	};
	fsha_version v = { 0 };
	char staged[TENURE_NAME_SIZE + 64], file[NAME_SIZE], text[64];

	crashfs_count_reset(s->disk);
	crashfs_fault_arm(s->disk, &fault);
	assert_int_equal(store_write(s->a.store, STORE_ADD, "k", NULL, "1", 1, &v, NULL),
			 FSHA_E_INDOUBT);
	crashfs_fault_clear(s->disk);
	assert_int_equal(actor_remove(&s->a, "k"), FSHA_OK);
	/* The rename comes late, as a packet that was on its way. */
	(void)snprintf(staged, sizeof(staged), "%s/%04x.%016llx", s->a.term->tenure, v.seat,
		       (unsigned long long)v.sequence);
	name_format("k", &v, false, file);
	assert_int_equal(fsu_renameat(s->a.fs, s->a.election_fd, staged, s->a.store->dir_fd, file),
			 0);
	assert_int_equal(actor_get(&s->a, "k", text), FSHA_E_NOT_FOUND);
	observe(s->disk, READER, "k", text);
	assert_string_equal(text, "");
}

static void settling_one_doubt_twice_leaves_the_other(void **state)
{
	struct stage *s = *state;
	struct crashfs_fault fault = {
		.client = A,
		.calls_mask = 1u << CRASHFS_FSYNC,
		.error = 5,
		.mode = CRASHFS_NOT_DONE,
	};
	fsha_version first = { 0 }, second = { 0 };

	/* The second fsync of a write is that of the directory. */
	crashfs_count_reset(s->disk);
	fault.at = 1;
	crashfs_fault_arm(s->disk, &fault);
	fault.at = 3;
	crashfs_fault_arm(s->disk, &fault);
	assert_int_equal(store_write(s->a.store, STORE_ADD, "a", NULL, "1", 1, &first, NULL),
			 FSHA_E_INDOUBT);
	assert_int_equal(store_write(s->a.store, STORE_ADD, "b", NULL, "1", 1, &second, NULL),
			 FSHA_E_INDOUBT);
	crashfs_fault_clear(s->disk);
	assert_int_equal(store_settle(s->a.store, "a", &first, NULL), FSHA_OK);
	assert_int_equal(store_settle(s->a.store, "a", &first, NULL), FSHA_OK);
	assert_true(term_in_doubt(s->a.term));
	assert_int_equal(store_settle(s->a.store, "b", &second, NULL), FSHA_OK);
	assert_false(term_in_doubt(s->a.term));
}

static void a_file_of_a_later_epoch_is_named_and_topples_nobody(void **state)
{
	struct stage *s = *state;
	const fsha_version later = { .epoch = 255, .sequence = 1 };
	char path[300] = "/c/job_graphs/", file[NAME_SIZE];

	assert_int_equal(actor_add(&s->a, "other", "1"), FSHA_OK);
	name_format("k", &later, false, file);
	strcat(path, file);
	crashfs_put(s->disk, path, "copied", 6);
	store_forget(s->a.store);
	assert_int_equal(actor_remove(&s->a, "k"), FSHA_E_CORRUPT);
	assert_non_null(strstr(s->a.error.message, file));
	assert_true(term_is_live(s->a.term));
	assert_int_equal(actor_replace(&s->a, "other", "2"), FSHA_OK);
}

static void a_new_name_is_seen_although_its_absence_was_cached(void **state)
{
	struct stage *s = *state;
	char text[64];

	assert_int_equal(actor_get(&s->b, "k", text), FSHA_E_NOT_FOUND);
	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	assert_int_equal(actor_get(&s->b, "k", text), FSHA_OK);
	assert_string_equal(text, "1");
	assert_int_equal(actor_replace(&s->a, "k", "2"), FSHA_OK);
	assert_int_equal(actor_get(&s->b, "k", text), FSHA_OK);
	assert_string_equal(text, "2");
	assert_int_equal(actor_remove(&s->a, "k"), FSHA_OK);
	assert_int_equal(actor_get(&s->b, "k", text), FSHA_E_NOT_FOUND);
}

static void a_takeover_works_through_caches_of_another_host(void **state)
{
	struct stage *s = *state;
	char text[64];

	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	assert_int_equal(actor_get(&s->b, "k", text), FSHA_OK);
	assert_int_equal(actor_replace(&s->a, "k", "2"), FSHA_OK);
	assert_int_equal(actor_claim(&s->b), FSHA_OK);
	assert_int_equal(actor_replace(&s->a, "k", "late"), FSHA_E_FENCED);
	assert_int_equal(actor_get(&s->b, "k", text), FSHA_OK);
	assert_string_equal(text, "2");
	assert_int_equal(actor_replace(&s->b, "k", "3"), FSHA_OK);
	assert_int_equal(actor_get(&s->a, "k", text), FSHA_OK);
	assert_string_equal(text, "3");
}

/* ---- a reader that lists while 2,000 keys change ---- */

#define KEYS 2000

struct churn {
	struct stage *stage;
	unsigned next;
	uint64_t changes;
};

/*
 * Before each directory read of the reader, the leader replaces forty keys and cleans what it may.
 */
static void change_keys(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct churn *c = ctx;
	char key[16];

	(void)path;
	if (client != B || call != CRASHFS_GETDENTS)
		return;
	/* With caches a listing is repeated until its time is up, so there is less in each. */
	for (int i = 0; i < (c->stage->b.cluster.local ? 40 : 4); i++) {
		(void)snprintf(key, sizeof(key), "key-%04u", c->next++ % KEYS);
		assert_int_equal(actor_replace(&c->stage->a, key, "new"), FSHA_OK);
		c->changes++;
	}
	store_clean(c->stage->a.store);
}

static void a_listing_misses_no_key_while_two_thousand_change(void **state)
{
	struct stage *s = *state;
	struct churn churn = { s, 0, 0 };
	char key[16], **keys;
	size_t count;

	lease_begin(&s->a.member->lease, fsu_now_ns(s->a.fs), 3600 * FSU_NS_PER_S);
	for (unsigned i = 0; i < KEYS; i++) {
		(void)snprintf(key, sizeof(key), "key-%04u", i);
		assert_int_equal(actor_add(&s->a, key, "old"), FSHA_OK);
	}
	crashfs_hook_set(s->disk, change_keys, &churn);
	for (int round = 0; round < (s->a.cluster.local ? 4 : 2); round++) {
		assert_int_equal(store_keys(s->b.store, &keys, &count, &s->b.error), FSHA_OK);
		assert_int_equal(count, KEYS);
		fsu_release(s->b.fs, keys);
		store_forget(s->b.store);
	}
	crashfs_hook_set(s->disk, NULL, NULL);
	assert_true(churn.changes > KEYS / 4);
}

#define LOCAL(test) cmocka_unit_test_setup_teardown(test, open_local, close_stage)
#define SHARED(test) cmocka_unit_test_setup_teardown(test, open_shared, close_stage)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOCAL(add_refuses_what_is_there_and_replace_what_is_not),
		LOCAL(replace_checks_the_expected_version),
		LOCAL(removing_what_is_not_there_is_done_and_writes_nothing),
		LOCAL(without_leadership_a_write_leaves_no_trace),
		LOCAL(a_former_leader_does_not_say_that_there_is_nothing_to_remove),
		LOCAL(an_acknowledged_write_survives_a_power_cut),
		LOCAL(a_damaged_newest_version_never_falls_back_to_an_older_one),
		LOCAL(old_versions_stay_for_a_while_and_are_then_cleaned),
		LOCAL(an_older_version_that_becomes_the_highest_is_not_cleaned_away),
		LOCAL(cleaning_makes_durable_what_it_builds_on),
		LOCAL(a_tombstone_goes_only_after_everything_below_it),
		LOCAL(a_tombstone_stays_while_another_thread_moves_what_is_below_it),
		LOCAL(a_tombstone_stays_while_a_write_is_in_doubt),
		LOCAL(a_stopped_leaders_cleaning_is_fenced_too),
		LOCAL(a_write_in_doubt_can_be_settled_as_done),
		LOCAL(a_write_in_doubt_can_be_settled_as_not_done),
		LOCAL(a_removal_of_nothing_outdoes_a_write_in_doubt),
		LOCAL(settling_one_doubt_twice_leaves_the_other),
		LOCAL(a_file_of_a_later_epoch_is_named_and_topples_nobody),
		SHARED(a_new_name_is_seen_although_its_absence_was_cached),
		SHARED(a_takeover_works_through_caches_of_another_host),
		LOCAL(a_listing_misses_no_key_while_two_thousand_change),
		SHARED(a_listing_misses_no_key_while_two_thousand_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
