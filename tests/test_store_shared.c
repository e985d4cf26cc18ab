/* Several processes in one term: what keeps their writes apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fsutil/fsu_lock.h"
#include "tests/lib/actor.h"

#define SEAT 7

/* A leads, and shares its term. */
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
	actor_start(&s->a, s->disk, 0);
	actor_start(&s->b, s->disk, 1);
	assert_int_equal(actor_claim(&s->a), FSHA_OK);
	s->a.term->shared = true;
	s->a.term->seat = SEAT;
	*state = s;
	return 0;
}

static int close_stage(void **state)
{
	struct stage *s = *state;

	actor_stop(&s->a);
	actor_stop(&s->b);
	assert_int_equal(crashfs_bytes_allocated(s->disk), 0);
	crashfs_destroy(s->disk);
	free(s);
	return 0;
}

static fsha_version version_of(struct stage *s, const char *key)
{
	fsha_version version;

	assert_int_equal(store_exists(s->a.store, key, &version, NULL), FSHA_OK);
	assert_true(fsha_version_is_existing(&version));
	return version;
}

static void a_version_tells_which_process_wrote_it(void **state)
{
	struct stage *s = *state;

	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	assert_int_equal(version_of(s, "k").seat, SEAT);
}

/* As if the first value were that of a process whose clock, and so its count, is far ahead. */
static void a_value_outdoes_that_of_a_process_that_has_counted_further(void **state)
{
	struct stage *s = *state;
	char text[64];

	atomic_store(&s->a.term->sequence, UINT64_C(1) << 62);
	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_OK);
	atomic_store(&s->a.term->sequence, 0);
	assert_int_equal(actor_replace(&s->a, "k", "2"), FSHA_OK);
	store_forget(s->a.store);
	assert_int_equal(actor_get(&s->a, "k", text), FSHA_OK);
	assert_string_equal(text, "2");
}

static void a_write_waits_for_that_of_another_process(void **state)
{
	struct stage *s = *state;
	char path[FSU_UUID_HEX + sizeof(MEMBER_WRITE_LOCK) + 2];
	struct fsu_lock lock;

	(void)snprintf(path, sizeof(path), "%s/" MEMBER_WRITE_LOCK, s->a.member->name);
	assert_int_equal(fsu_lock_take(s->b.fs, s->b.cluster.members_fd, path, false, &lock), 0);
	assert_int_equal(actor_add(&s->a, "k", "1"), FSHA_E_TIMEOUT);
	assert_string_equal(crashfs_ls(s->disk, "/c/job_graphs"), "");
	fsu_lock_release(s->b.fs, &lock);
}

static void a_doubt_of_another_process_of_a_live_term_stays_one(void **state)
{
	struct stage *s = *state;
	const fsha_version version = { .epoch = s->a.term->epoch.number,
				       .sequence = 5,
				       .seat = SEAT + 1 };

	assert_int_equal(actor_add(&s->a, "other", "1"), FSHA_OK);
	assert_int_equal(store_settle(s->a.store, "k", &version, &s->a.error), FSHA_E_INDOUBT);
}

#define STAGED(test) cmocka_unit_test_setup_teardown(test, open_stage, close_stage)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGED(a_version_tells_which_process_wrote_it),
		STAGED(a_value_outdoes_that_of_a_process_that_has_counted_further),
		STAGED(a_write_waits_for_that_of_another_process),
		STAGED(a_doubt_of_another_process_of_a_live_term_stays_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
