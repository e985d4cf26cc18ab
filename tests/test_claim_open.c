/*
 * The directory of an election: it appears with its epoch file in it, and lasts from the first term
 * on that is taken in it.
 */
#include "tests/lib/fixture.h"

#include "fsutil/fsu_file.h"
#include "src/election/claim.h"
#include "src/leader/leader.h"

#define ELECTION "dispatcher"

static struct fixture *f;

static fsha_result open_election(unsigned client, bool create, fsha_error *error)
{
	fsha_result result;
	int fd;

	result = claim_open_election(&f->cluster[client], ELECTION, create, &fd, error);
	if (result == FSHA_OK)
		(void)fsu_close(f->client[client], fd); /* the fault may have been waiting for it */
	return result;
}

/* What is there has an epoch file: the cluster's storage is looked at by the server. */
static bool election_is_whole(void)
{
	const char *names = crashfs_ls(f->fs, FIXTURE_CLUSTER "/elections/" ELECTION);
	struct epoch epoch;
	struct fsu_list list;
	int fd, r;

	if (!names)
		return false;
	fd = fsu_dir_open(f->client[1], f->cluster[1].elections_fd, ELECTION);
	assert_true(fd >= 0);
	fsu_list_init(&list, f->client[1]);
	r = epoch_read(&f->cluster[1], fd, &list, &epoch);
	fsu_list_done(&list);
	assert_int_equal(fsu_close(f->client[1], fd), 0);
	assert_int_equal(r, 0);
	return true;
}

static void reader_makes_no_election(void **state)
{
	(void)state;
	f = fixture_open(NULL);
	assert_int_equal(open_election(0, false, NULL), FSHA_E_NOT_FOUND);
	assert_string_equal(crashfs_ls(f->fs, FIXTURE_CLUSTER "/elections"), "");
	fixture_close(f);
}

static void single_fault_leaves_no_election_or_a_whole_one(void **state)
{
	bool fired = true;

	(void)state;
	for (uint64_t at = 0; fired; at++) {
		for (size_t way = 0; fired && way < FIXTURE_SWEEPS; way++) {
			struct crashfs_fault fault = fixture_fault(at, way);
			fsha_error error = FSHA_ERROR_INIT;
			fsha_result result;

			f = fixture_open(NULL);
			crashfs_fault_arm(f->fs, &fault);
			result = open_election(0, true, NULL);
			fired = crashfs_faults_fired(f->fs) > 0;
			crashfs_fault_clear(f->fs);
			if (!election_is_whole())
				assert_int_not_equal(result, FSHA_OK);
			assert_result(f, open_election(0, true, &error), FSHA_OK, &error);
			fixture_close(f);
		}
	}
}

static void crash_leaves_no_election_or_a_whole_one(void **state)
{
	bool fired = true;

	(void)state;
	for (uint64_t at = 0; fired; at++) {
		for (uint64_t way = 0; fired && way < 20; way++) {
			struct crashfs_fault crash = { .at = at, .mode = CRASHFS_CRASH };
			fsha_error error = FSHA_ERROR_INIT;
			fsha_result result;

			f = fixture_open(NULL);
			crashfs_fault_arm(f->fs, &crash);
			result = open_election(0, true, NULL);
			fired = crashfs_faults_fired(f->fs) > 0;
			fixture_lose(f, way);
			fixture_recover(f);
			assert_int_equal(fixture_open_cluster(f, 0, false, NULL), FSHA_OK);
			assert_int_equal(fixture_open_cluster(f, 1, false, NULL), FSHA_OK);
			if (!election_is_whole())
				assert_int_not_equal(result, FSHA_OK);
			assert_result(f, open_election(0, true, &error), FSHA_OK, &error);
			fixture_close(f);
		}
	}
}

struct rival {
	uint64_t at, calls, epoch;
};

/* While client 0 makes the election, client 1 leads it and publishes that. */
static void rival_hook(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct rival *rival = ctx;
	fsha_error error = FSHA_ERROR_INIT;
	struct member *member;
	struct term *term;

	(void)call;
	(void)path;
	if (client != 0 || rival->calls++ != rival->at)
		return;
	member = fixture_member(f, 1);
	term = fixture_term(f, member, ELECTION);
	assert_result(f, leader_publish(term, LEADER_CONFIRMED, "rival", NULL, NULL, &error),
		      FSHA_OK, &error);
	rival->epoch = term->epoch.number;
	term_unref(term);
	member_destroy(member);
}

/* Its name in elections/ was another's to make durable, who had no time to. */
static void epoch_of_an_acknowledged_write_is_never_taken_again_after_a_crash(void **state)
{
	struct rival rival = { .epoch = 1 };

	(void)state;
	for (uint64_t at = 0; rival.epoch > 0; at++) {
		struct crashfs_fault crash = { .at = at, .mode = CRASHFS_CRASH };
		struct member *member;
		struct term *term;

		f = fixture_open(NULL);
		rival = (struct rival){ .at = at };
		crashfs_hook_set(f->fs, rival_hook, &rival);
		crashfs_fault_arm(f->fs, &crash);
		(void)open_election(0, true, NULL);
		crashfs_crash_losing_all(f->fs);
		fixture_recover(f);
		assert_int_equal(fixture_open_cluster(f, 0, false, NULL), FSHA_OK);
		member = fixture_member(f, 0);
		term = fixture_term(f, member, ELECTION);
		assert_true(term->epoch.number > rival.epoch);
		term_unref(term);
		member_destroy(member);
		fixture_close(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reader_makes_no_election),
		cmocka_unit_test(single_fault_leaves_no_election_or_a_whole_one),
		cmocka_unit_test(crash_leaves_no_election_or_a_whole_one),
		cmocka_unit_test(epoch_of_an_acknowledged_write_is_never_taken_again_after_a_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
