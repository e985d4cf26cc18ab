/*
 * The single-fault sweep of what a leader does: every system call of each operation fails in every
 * way, and is the last before a power cut. Whatever happens: old or new and whole; acknowledged is
 * durable; in doubt only when truly so; the next leader is elected, and nothing of the old one
 * becomes visible after that.
 */
#include "tests/test_sweep_leader.h"

#define WRONG_VALUE 100 /* an outcome of recover that no result has */

static struct scene scene;

/* ---- what is there before ---- */

static void start_leader(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	start_contender(s, disk);
	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	s->epoch = s->a.term->epoch.number;
	assert_int_equal(actor_add(&s->a, "k", "old"), FSHA_OK);
}

/* A leader that died in the middle of a write, found by a standby. */
static void start_standby(void *ctx, struct crashfs *disk)
{
	struct actor former;
	char path[256];

	start_contender(ctx, disk);
	actor_start(&former, disk, FORMER);
	assert_int_equal(actor_claim(&former), FSHA_OK);
	assert_int_equal(actor_add(&former, "k", "old"), FSHA_OK);
	(void)snprintf(path, sizeof(path), "/c/elections/" ACTOR_ELECTION "/%s/0000.9",
		       former.term->tenure);
	crashfs_put(disk, path, "in flight", 9);
	actor_kill(&former);
}

static void start_with_garbage(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	start_leader(s, disk);
	assert_int_equal(actor_add(&s->a, "gone", "x"), FSHA_OK);
	assert_int_equal(actor_remove(&s->a, "gone"), FSHA_OK);
	assert_int_equal(actor_replace(&s->a, "k", "older"), FSHA_OK);
	assert_int_equal(actor_replace(&s->a, "k", "old"), FSHA_OK);
	crashfs_advance(disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
	lease_begin(&s->a.member->lease, fsu_now_ns(s->a.fs), 60 * FSU_NS_PER_S);
}

/* ---- what is done ---- */

static int add(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return actor_add(&((struct scene *)ctx)->a, "n", "new");
}

static int replace(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return actor_replace(&((struct scene *)ctx)->a, "k", "new");
}

static int removal(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return actor_remove(&((struct scene *)ctx)->a, "k");
}

static int claim(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;
	fsha_result result = actor_claim(&s->a);

	(void)fs;
	if (result == FSHA_OK)
		s->epoch = s->a.term->epoch.number;
	return result;
}

static int resign(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return actor_resign(&((struct scene *)ctx)->a);
}

static int beat(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return (int)member_beat(((struct scene *)ctx)->a.member);
}

static int clean(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;

	(void)fs;
	store_clean(s->a.store);
	return FSHA_OK;
}

/* A process that comes up and reads what is there. */
static int recover(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;
	struct actor reader;
	char text[64] = "";
	fsha_result result;

	(void)fs;
	result = actor_try_start(&reader, s->a.disk, B);
	if (result == FSHA_OK)
		result = actor_get(&reader, "k", text);
	actor_stop(&reader);
	return result == FSHA_OK && strcmp(text, "old") != 0 ? WRONG_VALUE : result;
}

/* ---- what must hold after it ---- */

/*
 * A, if it still lives, writes nothing that anybody sees, even if its clock had stood still all the
 * time.
 */
static const char *try_late_writes(struct scene *s, const struct sweep_run *run, const char *k)
{
	char text[64];

	atomic_store(&s->a.term->end, TERM_LIVE);
	lease_begin(&s->a.member->lease, fsu_now_ns(s->a.fs), 60 * FSU_NS_PER_S);
	CHECK(actor_add(&s->a, "late", "late") != FSHA_OK);
	atomic_store(&s->a.term->end, TERM_LIVE);
	CHECK(actor_replace(&s->a, "k", "late") != FSHA_OK);
	store_clean(s->a.store);
	observe(s->a.disk, B, "late", text);
	CHECK(strcmp(text, "") == 0);
	observe(s->a.disk, B, "k", text);
	CHECK(strcmp(text, k) == 0);
	return NULL;
}

/*
 * The next leader takes over from whatever is left; `k` and `n` get what it finds under those keys.
 */
static const char *take_over(struct scene *s, struct crashfs *after, const struct sweep_run *run,
			     char *k, char *n)
{
	const char *wrong = NULL;
	fsha_result result;
	struct actor b;
	char text[64];

	actor_start(&b, after, B);
	actor_take_over(&b);
	CHECK(b.term->epoch.number > s->epoch);
	result = actor_get(&b, "k", k);
	CHECK(result == FSHA_OK || result == FSHA_E_NOT_FOUND);
	result = actor_get(&b, "n", n);
	CHECK(result == FSHA_OK || result == FSHA_E_NOT_FOUND);
	if (after == s->a.disk && run->when == SWEEP_RETURNED && s->a.term)
		wrong = try_late_writes(s, run, k);
	/* Business goes on. */
	CHECK(actor_add(&b, "next", "next") == FSHA_OK);
	observe(after, B, "next", text);
	CHECK(strcmp(text, "next") == 0);
	actor_stop(&b);
	return wrong;
}

static const char *check_write(struct scene *s, struct crashfs *after, const struct sweep_run *run,
			       const char *old, const char *new, bool is_n)
{
	char k[64], n[64], *text = is_n ? n : k;
	const char *wrong = check_doubt(s, run);

	if (!wrong)
		wrong = take_over(s, after, run, k, n);
	if (wrong)
		return wrong;
	if (run->when != SWEEP_CUT_DURING && run->outcome == FSHA_OK)
		CHECK(strcmp(text, new) == 0);
	else if (run->when == SWEEP_CUT_DURING || run->outcome == FSHA_E_INDOUBT)
		CHECK(strcmp(text, old) == 0 || strcmp(text, new) == 0);
	else
		CHECK(strcmp(text, old) == 0);
	return NULL;
}

static const char *check_add(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	return check_write(ctx, after, run, "", "new", true);
}

static const char *check_replace(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	return check_write(ctx, after, run, "old", "new", false);
}

static const char *check_removal(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	return check_write(ctx, after, run, "old", "", false);
}

/* Nothing of the store has changed, whatever came out. */
static const char *check_unchanged(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	const char *wrong;
	char k[64], n[64];

	CHECK(run->outcome != WRONG_VALUE);
	CHECK(run->outcome != FSHA_E_CORRUPT);
	wrong = take_over(ctx, after, run, k, n);
	if (wrong)
		return wrong;
	CHECK(strcmp(k, "old") == 0);
	CHECK(strcmp(n, "") == 0);
	return NULL;
}

/* Granted means that it leads and can write; anything else that it has no term. */
static const char *check_grant(struct scene *s, struct crashfs *after, const struct sweep_run *run,
			       char *k, char *n)
{
	if (after == s->a.disk && run->when == SWEEP_RETURNED) {
		CHECK((run->outcome == FSHA_OK) == (s->a.term != NULL));
		CHECK(!s->a.term || term_is_live(s->a.term));
		CHECK(!s->a.term || actor_add(&s->a, "n", "granted") == FSHA_OK);
	}
	return take_over(s, after, run, k, n);
}

static const char *check_claim(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct scene *s = ctx;
	char k[64], n[64];

	return check_grant(s, after, run, k, n);
}

static const char *check_standby(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct scene *s = ctx;
	char k[64], n[64];
	const char *wrong = check_grant(s, after, run, k, n);

	if (wrong)
		return wrong;
	CHECK(strcmp(k, "old") == 0);
	return NULL;
}

static const char *check_beat(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct scene *s = ctx;

	/* One bad call never costs a member its life, and it knows how its beat is called. */
	if (after == s->a.disk && run->when == SWEEP_RETURNED) {
		CHECK(run->outcome != MEMBER_BEAT_EXPIRED);
		CHECK(lease_is_alive(&s->a.member->lease));
		CHECK(member_beat(s->a.member) == MEMBER_BEAT_OK);
	}
	return check_unchanged(s, after, run);
}

/* ---- the sweeps ---- */

static void add_is_old_or_new_at_every_fault(void **state)
{
	(void)state;
	sweep(&scene, "add", start_leader, add, check_add, A);
}

static void replace_is_old_or_new_at_every_fault(void **state)
{
	(void)state;
	sweep(&scene, "replace", start_leader, replace, check_replace, A);
}

static void remove_is_old_or_new_at_every_fault(void **state)
{
	(void)state;
	sweep(&scene, "remove", start_leader, removal, check_removal, A);
}

static void claim_is_granted_or_leaves_the_next_free_at_every_fault(void **state)
{
	(void)state;
	sweep(&scene, "claim", start_contender, claim, check_claim, A);
}

static void takeover_is_granted_or_leaves_the_next_free_at_every_fault(void **state)
{
	(void)state;
	sweep(&scene, "takeover", start_standby, claim, check_standby, A);
}

static void resign_leaves_the_next_free_at_every_fault(void **state)
{
	(void)state;
	sweep(&scene, "resign", start_leader, resign, check_unchanged, A);
}

static void heartbeat_survives_every_fault(void **state)
{
	(void)state;
	sweep(&scene, "heartbeat", start_leader, beat, check_beat, A);
}

static void cleaning_loses_nothing_at_every_fault(void **state)
{
	(void)state;
	sweep(&scene, "clean", start_with_garbage, clean, check_unchanged, A);
}

static void recovery_reads_right_or_fails_at_every_fault(void **state)
{
	(void)state;
	sweep(&scene, "recover", start_leader, recover, check_unchanged, B);
}

static void writes_are_old_or_new_at_every_pair_of_faults(void **state)
{
	(void)state;
	sweep_pairs(&scene, "add", start_leader, add, check_add);
	sweep_pairs(&scene, "replace", start_leader, replace, check_replace);
	sweep_pairs(&scene, "remove", start_leader, removal, check_removal);
}

static void claims_are_granted_or_leave_the_next_free_at_every_pair_of_faults(void **state)
{
	(void)state;
	sweep_pairs(&scene, "claim", start_contender, claim, check_claim);
	sweep_pairs(&scene, "takeover", start_standby, claim, check_standby);
}

static void resigning_leaves_the_next_free_at_every_pair_of_faults(void **state)
{
	(void)state;
	sweep_pairs(&scene, "resign", start_leader, resign, check_unchanged);
}

static void heartbeat_is_known_or_expired_at_every_pair_of_faults(void **state)
{
	(void)state;
	sweep_pairs(&scene, "heartbeat", start_leader, beat, check_beat);
}

static void cleaning_loses_nothing_at_every_pair_of_faults(void **state)
{
	(void)state;
	sweep_pairs(&scene, "clean", start_with_garbage, clean, check_unchanged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(add_is_old_or_new_at_every_fault),
		cmocka_unit_test(replace_is_old_or_new_at_every_fault),
		cmocka_unit_test(remove_is_old_or_new_at_every_fault),
		cmocka_unit_test(claim_is_granted_or_leaves_the_next_free_at_every_fault),
		cmocka_unit_test(takeover_is_granted_or_leaves_the_next_free_at_every_fault),
		cmocka_unit_test(resign_leaves_the_next_free_at_every_fault),
		cmocka_unit_test(heartbeat_survives_every_fault),
		cmocka_unit_test(cleaning_loses_nothing_at_every_fault),
		cmocka_unit_test(recovery_reads_right_or_fails_at_every_fault),
		cmocka_unit_test(writes_are_old_or_new_at_every_pair_of_faults),
		cmocka_unit_test(claims_are_granted_or_leave_the_next_free_at_every_pair_of_faults),
		cmocka_unit_test(resigning_leaves_the_next_free_at_every_pair_of_faults),
		cmocka_unit_test(heartbeat_is_known_or_expired_at_every_pair_of_faults),
		cmocka_unit_test(cleaning_loses_nothing_at_every_pair_of_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
