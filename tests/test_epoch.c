/* The name of the epoch file: what it says, which of two counts, and when a swap was ours. */
#include "tests/lib/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/election/claim.h"

#define ELECTION "dispatcher"

static struct fixture *f;
static int election_fd;
static struct fsu_list list;

static int setup(void **state)
{
	fsha_error error = FSHA_ERROR_INIT;

	(void)state;
	f = fixture_open(NULL);
	assert_result(f, claim_open_election(&f->cluster[0], ELECTION, true, &election_fd, &error),
		      FSHA_OK, &error);
	fsu_list_init(&list, f->client[0]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fsu_list_done(&list);
	(void)fsu_close(f->client[0], election_fd);
	fixture_close(f);
	return 0;
}

static struct fsu_uuid uuid(uint8_t byte)
{
	struct fsu_uuid id;

	memset(&id, byte, sizeof(id));
	return id;
}

static struct epoch epoch(uint64_t number, uint8_t session, uint8_t member)
{
	return (struct epoch){ number, uuid(session), uuid(member) };
}

static struct epoch present(void)
{
	struct epoch now;

	assert_int_equal(epoch_read(&f->cluster[0], election_fd, &list, &now), 0);
	return now;
}

static const char *path_of(const struct epoch *e)
{
	char name[EPOCH_NAME_SIZE];

	epoch_format(e, name);
	return fixture_path(f, "elections/" ELECTION "/%s", name);
}

static void put(const struct epoch *e)
{
	crashfs_put(f->fs, path_of(e), "", 0);
}

static void take(const struct epoch *e)
{
	crashfs_rm(f->fs, path_of(e));
}

static void assert_epoch(const struct epoch *a, const struct epoch *b)
{
	assert_int_equal(a->number, b->number);
	assert_memory_equal(&a->session, &b->session, sizeof(a->session));
	assert_memory_equal(&a->member, &b->member, sizeof(a->member));
}

static void a_name_comes_back_as_the_same_epoch(void **state)
{
	const struct epoch all[] = { epoch(0, 1, 0), epoch(1, 2, 3), epoch(EPOCH_MAX, 4, 5) };
	char name[EPOCH_NAME_SIZE];
	struct epoch back;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		epoch_format(&all[i], name);
		assert_true(epoch_parse(name, &back));
		assert_epoch(&back, &all[i]);
	}
}

static void what_is_no_epoch_is_not_taken_for_one(void **state)
{
	char name[EPOCH_NAME_SIZE];
	const struct epoch e = epoch(1, 2, 3);
	struct epoch back;

	(void)state;
	epoch_format(&e, name);
	for (size_t len = 0; len < strlen(name); len++) {
		char cut[EPOCH_NAME_SIZE];

		(void)snprintf(cut, sizeof(cut), "%.*s", (int)len, name);
		assert_false(epoch_parse(cut, &back));
	}
	assert_false(epoch_parse("epoch-ffffffffffffffff-0202020202020202020202020202020"
				 "2-vacant",
				 &back));
}

static void epochs_differ_in_number_session_and_member(void **state)
{
	const struct epoch e = epoch(1, 2, 3), same = e,
			   others[] = { epoch(2, 2, 3), epoch(1, 3, 3), epoch(1, 2, 2) };

	(void)state;
	assert_true(epoch_equal(&e, &same));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(epoch_equal(&e, &others[i]));
}

/* A scan during the rename may show both names, in any order. */
static void of_two_names_in_a_listing_the_newer_counts(void **state)
{
	const struct epoch newer = epoch(2, 2, 2), older = epoch(1, 3, 3), vacant = epoch(2, 2, 0);
	const struct epoch ninth = epoch(9, 5, 5), tenth = epoch(10, 4, 4);
	struct epoch first = present(), now;

	(void)state;
	take(&first);
	put(&newer);
	put(&older);
	now = present();
	assert_epoch(&now, &newer);
	take(&newer);
	put(&newer);
	now = present();
	assert_epoch(&now, &newer);
	/* Resigning keeps the number. */
	put(&vacant);
	now = present();
	assert_epoch(&now, &vacant);
	/* As numbers, not as text. */
	put(&tenth);
	put(&ninth);
	now = present();
	assert_epoch(&now, &tenth);
}

/*
 * A claim that was given up, since its rename had failed, was done late: the next claim of the same
 * process, with the same number, is not won by it.
 */
static void a_swap_to_another_session_of_our_own_is_lost(void **state)
{
	const struct epoch from = present();
	const struct epoch late = epoch(from.number + 1, 7, 9), own = epoch(from.number + 1, 8, 9);

	(void)state;
	assert_int_equal(epoch_swap(&f->cluster[0], election_fd, &from, &late), 1);
	assert_int_equal(epoch_swap(&f->cluster[0], election_fd, &from, &own), 0);
}

static void a_swap_that_failed_may_be_tried_again_while_the_old_name_is_there(void **state)
{
	const struct epoch from = present(), to = epoch(from.number + 1, 7, 9);
	const struct crashfs_fault fault = {
		.calls_mask = 1u << CRASHFS_RENAMEAT,
		.error = EIO,
		.mode = CRASHFS_NOT_DONE,
	};

	(void)state;
	crashfs_count_reset(f->fs);
	crashfs_fault_arm(f->fs, &fault);
	assert_int_equal(epoch_swap(&f->cluster[0], election_fd, &from, &to), -EIO);
	assert_int_equal(epoch_swap(&f->cluster[0], election_fd, &from, &to), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_comes_back_as_the_same_epoch),
		cmocka_unit_test(what_is_no_epoch_is_not_taken_for_one),
		cmocka_unit_test(epochs_differ_in_number_session_and_member),
		TEST(of_two_names_in_a_listing_the_newer_counts),
		TEST(a_swap_to_another_session_of_our_own_is_lost),
		TEST(a_swap_that_failed_may_be_tried_again_while_the_old_name_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
