/*
 * Compaction: records move into new packs, and nobody who reads or writes can tell; least of all
 * does one come back that was removed meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/actor.h"

#define A 0
#define B 1
#define READER 2
#define DIRECTORY "/c/job_graphs"
#define KEYS 20

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
	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	lease_begin(&s->a.member->lease, fsu_now_ns(s->a.fs), 3600 * FSU_NS_PER_S);
	s->a.store->compact_files = KEYS / 2;
	*state = s;
	return 0;
}

static int close_stage(void **state)
{
	struct stage *s = *state;

	crashfs_fault_clear(s->disk);
	crashfs_hook_set(s->disk, NULL, NULL);
	actor_stop(&s->a);
	actor_stop(&s->b);
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++)
		assert_int_equal(crashfs_open_fds(s->disk, i), 0);
	assert_int_equal(crashfs_bytes_allocated(s->disk), 0);
	crashfs_destroy(s->disk);
	free(s);
	return 0;
}

static const char *key_of(unsigned i)
{
	static char key[16];

	(void)snprintf(key, sizeof(key), "key-%02u", i);
	return key;
}

static void add_loose(struct stage *s)
{
	for (unsigned i = 0; i < KEYS; i++)
		assert_int_equal(actor_add(&s->a, key_of(i), "loose"), FSHA_OK);
}

static void add_packed(struct stage *s)
{
	struct store_change changes[KEYS];
	char keys[KEYS][16];

	for (unsigned i = 0; i < KEYS; i++) {
		strcpy(keys[i], key_of(i));
		changes[i] = (struct store_change){
			.how = STORE_ADD, .key = keys[i], .data = "packed", .size = 6
		};
	}
	assert_int_equal(store_write_batch(s->a.store, changes, KEYS, NULL, NULL, &s->a.error),
			 FSHA_OK);
}

static void wait_retained(struct stage *s)
{
	crashfs_advance(s->disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
}

/* Clean until nothing more goes; tombstones wait for what they outdo. */
static void clean_all(struct stage *s)
{
	for (int i = 0; i < 4; i++) {
		store_clean(s->a.store);
		wait_retained(s);
	}
}

static unsigned count_files(struct stage *s, const char *prefix)
{
	const char *names = crashfs_ls(s->disk, DIRECTORY);
	unsigned n = 0;

	assert_non_null(names);
	for (const char *p = names; *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : "")
		n += strncmp(p, prefix, strlen(prefix)) == 0;
	return n;
}

static void assert_value(struct actor *a, const char *key, const char *expected)
{
	fsha_result result;
	char text[64];

	result = actor_get(a, key, text);
	if (result != (expected ? FSHA_OK : FSHA_E_NOT_FOUND))
		fail_msg("'%s': %s: %s", key, fsha_result_name(result), a->error.message);
	assert_string_equal(text, expected ? expected : "");
}

/* What a process sees that comes up now. */
static void assert_seen(struct stage *s, const char *key, const char *expected)
{
	char text[64];

	observe(s->disk, READER, key, text);
	assert_string_equal(text, expected ? expected : "");
}

static void many_loose_files_become_one_pack_with_the_same_versions(void **state)
{
	struct stage *s = *state;
	fsha_version before, after;

	add_loose(s);
	assert_int_equal(store_exists(s->a.store, key_of(7), &before, NULL), FSHA_OK);
	assert_value(&s->b, key_of(7), "loose");
	store_compact(s->a.store); /* too young */
	assert_int_equal(count_files(s, "@pack~"), 0);
	wait_retained(s);
	store_compact(s->a.store);
	assert_int_equal(count_files(s, "@pack~"), 1);
	assert_int_equal(count_files(s, ""), KEYS + 1); /* they stay for who is listing */
	clean_all(s);
	assert_int_equal(count_files(s, ""), 1);
	for (unsigned i = 0; i < KEYS; i++) {
		assert_value(&s->a, key_of(i), "loose");
		assert_value(&s->b, key_of(i), "loose");
	}
	assert_int_equal(store_exists(s->b.store, key_of(7), &after, NULL), FSHA_OK);
	assert_int_equal(fsha_version_compare(&before, &after), 0);
	store_compact(s->a.store); /* nothing more to do */
	assert_int_equal(count_files(s, "@pack~"), 1);
}

static void few_loose_files_are_left_alone(void **state)
{
	struct stage *s = *state;

	add_loose(s);
	s->a.store->compact_files = KEYS;
	wait_retained(s);
	store_compact(s->a.store);
	assert_int_equal(count_files(s, "@pack~"), 0);
}

static void a_pack_that_is_half_dead_is_written_anew(void **state)
{
	struct stage *s = *state;

	s->a.store->compact_files = 1000;
	add_packed(s);
	wait_retained(s);
	for (unsigned i = 0; i < KEYS / 2; i++)
		assert_int_equal(actor_remove(&s->a, key_of(i)), FSHA_OK);
	store_compact(s->a.store);
	assert_int_equal(count_files(s, "@pack~"), 1); /* half, not more */
	assert_int_equal(actor_remove(&s->a, key_of(KEYS / 2)), FSHA_OK);
	store_compact(s->a.store);
	store_clean(s->a.store);
	assert_int_equal(count_files(s, "@pack~"), 2); /* it stays for who is listing */
	wait_retained(s);
	clean_all(s);
	/* The old one has gone, and then the tombstones of what was in it. */
	assert_int_equal(count_files(s, "@pack~"), 1);
	assert_int_equal(count_files(s, ""), 1);
	for (unsigned i = 0; i < KEYS; i++) {
		const char *expected = i <= KEYS / 2 ? NULL : "packed";

		assert_value(&s->a, key_of(i), expected);
		assert_value(&s->b, key_of(i), expected);
	}
}

static void a_tombstone_stays_as_long_as_a_pack_holds_what_it_outdoes(void **state)
{
	struct stage *s = *state;

	add_packed(s);
	assert_int_equal(actor_remove(&s->a, key_of(3)), FSHA_OK);
	wait_retained(s);
	clean_all(s);
	assert_int_equal(count_files(s, key_of(3)), 1);
	assert_seen(s, key_of(3), NULL);
}

static void a_batch_of_removals_goes_when_what_it_outdoes_has_gone(void **state)
{
	struct stage *s = *state;

	add_packed(s);
	assert_int_equal(actor_add(&s->a, "loose", "1"), FSHA_OK);
	assert_int_equal(store_clear(s->a.store, NULL), FSHA_OK);
	assert_int_equal(count_files(s, "@pack~"), 2);
	assert_seen(s, key_of(3), NULL);
	assert_seen(s, "loose", NULL);
	wait_retained(s);
	clean_all(s);
	assert_string_equal(crashfs_ls(s->disk, DIRECTORY), "");
	assert_int_equal(actor_add(&s->a, key_of(3), "again"), FSHA_OK);
	assert_seen(s, key_of(3), "again");
}

/* ---- what comes between ---- */

struct intrusion {
	struct stage *stage;
	enum crashfs_call call;
	void (*intrude)(struct stage *s);
};

/* At the first call of that kind, with no lock of the store held. */
static void intrude_once(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct intrusion *i = ctx;
	void (*intrude)(struct stage * s) = i->intrude;

	(void)path;
	if (client != A || call != i->call || !intrude)
		return;
	i->intrude = NULL;
	intrude(i->stage);
}

static void remove_and_clean(struct stage *s)
{
	assert_int_equal(actor_remove(&s->a, key_of(3)), FSHA_OK);
	wait_retained(s);
	clean_all(s);
	assert_int_equal(count_files(s, key_of(3)), 0); /* the tombstone too */
}

static void a_key_that_was_removed_while_its_pack_was_staged_stays_away(void **state)
{
	struct stage *s = *state;
	struct intrusion i = { s, CRASHFS_WRITE, remove_and_clean };

	add_loose(s);
	wait_retained(s);
	crashfs_hook_set(s->disk, intrude_once, &i);
	store_compact(s->a.store);
	crashfs_hook_set(s->disk, NULL, NULL);
	assert_null(i.intrude);
	assert_value(&s->a, key_of(3), NULL);
	assert_seen(s, key_of(3), NULL);
	assert_seen(s, key_of(4), "loose");
	/* The next round moves the others. */
	store_compact(s->a.store);
	assert_int_equal(count_files(s, "@pack~"), 1);
	assert_seen(s, key_of(3), NULL);
	assert_seen(s, key_of(4), "loose");
}

static void replace_one(struct stage *s)
{
	assert_int_equal(actor_replace(&s->a, key_of(3), "newer"), FSHA_OK);
}

static void a_key_that_was_replaced_while_its_pack_was_staged_keeps_its_value(void **state)
{
	struct stage *s = *state;
	struct intrusion i = { s, CRASHFS_WRITE, replace_one };

	add_loose(s);
	wait_retained(s);
	crashfs_hook_set(s->disk, intrude_once, &i);
	store_compact(s->a.store);
	crashfs_hook_set(s->disk, NULL, NULL);
	assert_null(i.intrude);
	clean_all(s);
	assert_value(&s->a, key_of(3), "newer");
	assert_seen(s, key_of(3), "newer");
	assert_seen(s, key_of(4), "loose");
	/* What outdid it must outlast what the pack holds. */
	assert_int_equal(actor_remove(&s->a, key_of(3)), FSHA_OK);
	wait_retained(s);
	clean_all(s);
	assert_seen(s, key_of(3), NULL);
}

static void let_b_lead(struct stage *s)
{
	assert_int_equal(actor_claim(&s->b), FSHA_OK);
}

static void a_pack_of_a_fenced_leader_never_appears(void **state)
{
	struct stage *s = *state;
	struct intrusion i = { s, CRASHFS_WRITE, let_b_lead };

	add_loose(s);
	wait_retained(s);
	lease_begin(&s->b.member->lease, fsu_now_ns(s->b.fs), 3600 * FSU_NS_PER_S);
	crashfs_hook_set(s->disk, intrude_once, &i);
	store_compact(s->a.store);
	crashfs_hook_set(s->disk, NULL, NULL);
	assert_null(i.intrude);
	assert_int_equal(count_files(s, "@pack~"), 0);
	assert_seen(s, key_of(4), "loose");
}

static void while_a_pack_is_in_doubt_tombstones_stay_and_then_it_is_settled(void **state)
{
	struct stage *s = *state;
	const struct crashfs_fault fault = {
		.client = A,
		.calls_mask = 1u << CRASHFS_RENAMEAT | 1u << CRASHFS_UNLINKAT,
		.error = 5, /* EIO */
		.mode = CRASHFS_NOT_DONE,
		.repeat = true,
	};
	char staged[TENURE_NAME_SIZE + 64], file[NAME_SIZE];
	fsha_version v;

	add_loose(s);
	wait_retained(s);
	crashfs_count_reset(s->disk);
	crashfs_fault_arm(s->disk, &fault);
	store_compact(s->a.store);
	crashfs_fault_clear(s->disk);
	v = s->a.store->unsettled;
	assert_true(fsha_version_is_existing(&v));
	assert_true(term_in_doubt(s->a.term));
	assert_int_equal(actor_remove(&s->a, key_of(3)), FSHA_OK);
	wait_retained(s);
	clean_all(s);
	assert_int_equal(count_files(s, key_of(3)), 1);
	/* The rename comes late, as a packet that was on its way. */
	(void)snprintf(staged, sizeof(staged), "%s/%04x.%016llx", s->a.term->tenure, v.seat,
		       (unsigned long long)v.sequence);
	name_format("@pack", &v, NAME_VALUE, file);
	assert_int_equal(fsu_renameat(s->a.fs, s->a.election_fd, staged, s->a.store->dir_fd, file),
			 0);
	assert_value(&s->a, key_of(3), NULL);
	assert_seen(s, key_of(3), NULL);
	store_compact(s->a.store);
	assert_false(fsha_version_is_existing(&s->a.store->unsettled));
	assert_false(term_in_doubt(s->a.term));
	clean_all(s);
	assert_seen(s, key_of(3), NULL);
	assert_seen(s, key_of(4), "loose");
}

static void a_reader_finds_a_member_whose_pack_was_rewritten(void **state)
{
	struct stage *s = *state;

	add_packed(s);
	assert_value(&s->b, key_of(KEYS - 1), "packed");
	for (unsigned i = 0; i <= KEYS / 2; i++)
		assert_int_equal(actor_remove(&s->a, key_of(i)), FSHA_OK);
	store_compact(s->a.store);
	wait_retained(s);
	clean_all(s);
	assert_int_equal(count_files(s, "@pack~"), 1);
	assert_value(&s->b, key_of(KEYS - 1), "packed");
	assert_value(&s->b, key_of(0), NULL);
}

/* Other processes write in it too, and of what they have in doubt nothing is known here. */
static void in_a_shared_term_packs_are_made_and_its_tombstones_stay(void **state)
{
	struct stage *s = *state;

	s->a.term->shared = true;
	add_packed(s);
	for (unsigned i = 0; i <= KEYS / 2; i++)
		assert_int_equal(actor_remove(&s->a, key_of(i)), FSHA_OK);
	store_compact(s->a.store);
	assert_int_equal(count_files(s, "@pack~"), 2);
	wait_retained(s);
	clean_all(s);
	assert_int_equal(count_files(s, "@pack~"), 1);
	assert_int_equal(count_files(s, key_of(3)), 1);
	assert_seen(s, key_of(3), NULL);
	assert_seen(s, key_of(KEYS - 1), "packed");
}

static void what_is_damaged_or_large_stays_where_it_is(void **state)
{
	struct stage *s = *state;
	char path[300] = DIRECTORY "/", file[NAME_SIZE], text[64], *large;
	uint64_t x = 1;
	fsha_version v;

	add_loose(s);
	large = calloc(1, 100000);
	assert_non_null(large);
	for (size_t i = 0; i < 100000; i++) { /* does not deflate */
		x = x * 6364136223846793005u + 1442695040888963407u;
		large[i] = (char)(x >> 56);
	}
	assert_int_equal(
		store_write(s->a.store, STORE_ADD, "large", NULL, large, 100000, NULL, NULL),
		FSHA_OK);
	assert_int_equal(store_exists(s->a.store, key_of(3), &v, NULL), FSHA_OK);
	name_format(key_of(3), &v, NAME_VALUE, file);
	strcat(path, file);
	crashfs_put(s->disk, path, "garbage", 7);
	wait_retained(s);
	store_compact(s->a.store);
	clean_all(s);
	assert_int_equal(count_files(s, "@pack~"), 1);
	assert_int_equal(count_files(s, "large~"), 1);
	assert_int_equal(count_files(s, ""), 3);
	assert_int_equal(actor_get(&s->a, key_of(3), text), FSHA_E_CORRUPT);
	assert_non_null(strstr(s->a.error.message, file));
	assert_value(&s->a, key_of(4), "loose");
	free(large);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_stage, close_stage)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(many_loose_files_become_one_pack_with_the_same_versions),
		TEST(few_loose_files_are_left_alone),
		TEST(a_pack_that_is_half_dead_is_written_anew),
		TEST(a_tombstone_stays_as_long_as_a_pack_holds_what_it_outdoes),
		TEST(a_batch_of_removals_goes_when_what_it_outdoes_has_gone),
		TEST(a_key_that_was_removed_while_its_pack_was_staged_stays_away),
		TEST(a_key_that_was_replaced_while_its_pack_was_staged_keeps_its_value),
		TEST(a_pack_of_a_fenced_leader_never_appears),
		TEST(while_a_pack_is_in_doubt_tombstones_stay_and_then_it_is_settled),
		TEST(a_reader_finds_a_member_whose_pack_was_rewritten),
		TEST(in_a_shared_term_packs_are_made_and_its_tombstones_stay),
		TEST(what_is_damaged_or_large_stays_where_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
