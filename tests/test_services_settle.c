/* Writes in doubt, and asking again what became of them. */
#include "src/services/services.h"
#include "tests/test_state_fixture.h"

enum {
	ALL_WELL,
	NOT_DONE,
	DONE_BUT_FAILED
};

/* The commit of "k" fails, and so does every way to find out. */
static int doubt(struct hook *h, const char *op, const char *path, const char *to)
{
	int mode = atomic_load(&h->mode);

	if (mode == ALL_WELL)
		return 0;
	if (strcmp(op, "rename") == 0 && strncmp(to, "k~", 2) == 0)
		return mode == NOT_DONE ? -EIO : EIO;
	if ((strcmp(op, "getdents") == 0 && strstr(path, "/state/")) ||
	    (strcmp(op, "statx") == 0 && strncmp(path, "k~", 2) == 0) ||
	    (strcmp(op, "unlink") == 0 && strncmp(path, "tenure-", 7) == 0))
		return -EIO;
	return 0;
}

/* A leader whose write of "k" is in doubt in that way. */
static fsha_version write_in_doubt(struct leading *l, struct hook *h, int mode)
{
	fsha_version version = { 0 };

	hook_init(h);
	h->decide = doubt;
	lead_with(l, open_hooked(h));
	(void)add(l->store, "first", "x");
	(void)add(l->store, "second", "x"); /* looks, and knows what is there from then on */
	atomic_store(&h->mode, mode);
	assert_refused(fsha_state_store_add(l->store, "k", "v", 1, &version, &t.error),
		       FSHA_E_INDOUBT, "'state/ns/k'");
	assert_true(fsha_version_is_existing(&version));
	return version;
}

static void settle_says_in_doubt_while_the_storage_fails(void **state)
{
	fsha_version version;
	struct leading l;
	static struct hook h;

	(void)state;
	version = write_in_doubt(&l, &h, NOT_DONE);
	assert_result(fsha_state_store_settle(l.store, "k", &version, &t.error), FSHA_E_INDOUBT);
	atomic_store(&h.mode, ALL_WELL);
	done(&l);
}

static void settle_says_not_found_for_a_write_that_was_not_done(void **state)
{
	fsha_version version, again;
	struct leading l;
	static struct hook h;

	(void)state;
	version = write_in_doubt(&l, &h, NOT_DONE);
	atomic_store(&h.mode, ALL_WELL);
	assert_result(fsha_state_store_settle(l.store, "k", &version, &t.error), FSHA_E_NOT_FOUND);
	again = add(l.store, "k", "again");
	assert_true(fsha_version_compare(&again, &version) > 0);
	assert_value(l.store, "k", "again");
	done(&l);
}

static void settle_says_ok_for_a_write_that_was_done(void **state)
{
	fsha_version version, got;
	struct leading l;
	static struct hook h;

	(void)state;
	version = write_in_doubt(&l, &h, DONE_BUT_FAILED);
	atomic_store(&h.mode, ALL_WELL);
	assert_ok(fsha_state_store_settle(l.store, "k", &version, &t.error));
	got = version_of(l.store, "k");
	assert_int_equal(fsha_version_compare(&got, &version), 0);
	assert_value(l.store, "k", "v");
	done(&l);
}

static void settle_says_version_when_a_newer_one_is_there(void **state)
{
	fsha_version version;
	struct leading l;
	static struct hook h;

	(void)state;
	version = write_in_doubt(&l, &h, DONE_BUT_FAILED);
	atomic_store(&h.mode, ALL_WELL);
	assert_ok(fsha_state_store_replace(l.store, "k", &version, "w", 1, NULL, &t.error));
	assert_result(fsha_state_store_settle(l.store, "k", &version, &t.error), FSHA_E_VERSION);
	done(&l);
}

static void settle_says_not_found_once_a_later_term_has_begun(void **state)
{
	fsha_version version;
	struct leading l;
	static struct hook h;

	(void)state;
	version = write_in_doubt(&l, &h, NOT_DONE);
	atomic_store(&h.mode, ALL_WELL);
	assert_ok(fsha_election_resign(l.player.election, &l.player.session, &t.error));
	WAIT_FOR(&l.player.post, l.player.grants == 2);
	assert_result(fsha_state_store_settle(l.store, "k", &version, &t.error), FSHA_E_NOT_FOUND);
	done(&l);
}

/* It can come no more: the janitor sees to that. */
static void a_doubt_ends_although_nobody_settles_it(void **state)
{
	fsha_version version;
	struct leading l;
	struct term *term;
	static struct hook h;

	(void)state;
	version = write_in_doubt(&l, &h, NOT_DONE);
	term = services_term(l.services, ELECTION);
	assert_non_null(term);
	assert_true(term_in_doubt(term));
	atomic_store(&h.mode, ALL_WELL);
	POLL_FOR(!term_in_doubt(term));
	assert_result(fsha_state_store_settle(l.store, "k", &version, &t.error), FSHA_E_NOT_FOUND);
	term_unref(term);
	done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(settle_says_in_doubt_while_the_storage_fails),
		TEST(settle_says_not_found_for_a_write_that_was_not_done),
		TEST(settle_says_ok_for_a_write_that_was_done),
		TEST(settle_says_version_when_a_newer_one_is_there),
		TEST(settle_says_not_found_once_a_later_term_has_begun),
		TEST(a_doubt_ends_although_nobody_settles_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
