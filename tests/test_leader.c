/*
 * Leader information: what the leader publishes, and what others read.
 */
#include "tests/lib/fixture.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "src/election/claim.h"
#include "src/leader/leader.h"
#include "src/record/name.h"

#define ELECTION "dispatcher"
#define ADDRESS "akka.tcp://flink@node-a:6123/user/dispatcher"

/* Client 0 leads, client 1 reads, over a network. */
static struct fixture *f;
static struct member *m;
static struct term *t;

static const struct fixture_options network = { .fs = { .cache_ns = FIXTURE_CACHE_NS } };

static int setup(void **state)
{
	(void)state;
	f = fixture_open(&network);
	m = fixture_member(f, 0);
	t = fixture_term(f, m, ELECTION);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	crashfs_hook_set(f->fs, NULL, NULL); /* its context was the test's */
	term_unref(t);
	member_destroy(m);
	t = NULL;
	m = NULL;
	fixture_close(f);
	return 0;
}

static fsha_version publish(struct term *term, enum leader_state what, const char *address)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_version version = { 0 };

	assert_result(f, leader_publish(term, what, address, NULL, &version, &error), FSHA_OK,
		      &error);
	return version;
}

static struct leader read_leader(void)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct leader leader = { .epoch = 0 };

	assert_result(f, leader_read(&f->cluster[1], ELECTION, &leader, &error), FSHA_OK, &error);
	return leader;
}

static const char *file_of(const fsha_version *version)
{
	static char name[NAME_SIZE];

	name_format(ELECTION, version, false, name);
	return name;
}

/* Nothing of leaders/ but what is not a version of the election. */
static void expect_nothing_published(void)
{
	struct leader leader;

	assert_int_equal(leader_read(&f->cluster[1], ELECTION, &leader, NULL), FSHA_E_NOT_FOUND);
	assert_string_equal(crashfs_ls(f->fs, FIXTURE_CLUSTER "/leaders"), "");
}

static void confirmed_leader_is_read_with_all_that_is_known_of_it(void **state)
{
	struct leader leader;

	(void)state;
	(void)publish(t, LEADER_CONFIRMED, ADDRESS);
	leader = read_leader();
	assert_int_equal(leader.state, LEADER_CONFIRMED);
	assert_string_equal(leader.address, ADDRESS);
	assert_int_equal(leader.epoch, t->epoch.number);
	assert_true(fsu_uuid_equal(&leader.session, &t->epoch.session));
	assert_true(fsu_uuid_equal(&leader.member, &m->id));
	assert_int_equal(leader.granted_wall_ns, t->granted_wall_ns);
	assert_in_range(leader.written_wall_ns, t->granted_wall_ns, fsu_wall_ns(f->client[0]));
	assert_int_equal(leader.pid, getpid());
	assert_true(leader.host[0]);
	assert_int_equal(leader.former.number, 0);
	assert_string_equal(leader.former_end, "");
}

static void record_tells_whom_its_leader_followed(void **state)
{
	struct leader leader;
	struct term *next;

	(void)state;
	(void)publish(t, LEADER_GRANTED, "");
	next = fixture_term_after(f, m, ELECTION, "lock released");
	(void)publish(next, LEADER_GRANTED, "");
	leader = read_leader();
	assert_true(epoch_equal(&leader.former, &t->epoch));
	assert_string_equal(leader.former_end, "lock released");
	term_unref(next);
}

static void election_that_nobody_ever_led_is_not_found(void **state)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct leader leader;

	(void)state;
	(void)publish(t, LEADER_GRANTED, "");
	assert_result(f, leader_read(&f->cluster[1], "dispatche", &leader, &error),
		      FSHA_E_NOT_FOUND, &error);
	assert_non_null(strstr(error.message, "nobody ever led 'dispatche'"));
	assert_int_equal(leader_read(&f->cluster[1], "dispatcher2", &leader, NULL),
			 FSHA_E_NOT_FOUND);
}

static void newest_version_counts_whoever_wrote_it(void **state)
{
	struct term *second;

	(void)state;
	(void)publish(t, LEADER_GRANTED, "");
	assert_int_equal(read_leader().state, LEADER_GRANTED);
	for (int i = 0; i < 20; i++)
		(void)publish(t, LEADER_CONFIRMED, "first");
	assert_string_equal(read_leader().address, "first");
	/* Sequence 1 of the next epoch is newer than sequence 21 of this one. */
	second = fixture_term(f, m, ELECTION);
	(void)publish(second, LEADER_CONFIRMED, "second");
	assert_string_equal(read_leader().address, "second");
	assert_int_equal(read_leader().epoch, t->epoch.number + 1);
	term_unref(second);
}

static void resignation_is_published_as_no_leader_of_that_term(void **state)
{
	fsha_leader_information information;
	fsha_error error = FSHA_ERROR_INIT;
	struct leader leader;

	(void)state;
	(void)publish(t, LEADER_CONFIRMED, ADDRESS);
	assert_result(f, claim_vacate(t, &error), FSHA_OK, &error);
	(void)publish(t, LEADER_NONE, "");
	leader = read_leader();
	assert_int_equal(leader.state, LEADER_NONE);
	assert_true(fsu_uuid_equal(&leader.session, &t->epoch.session));
	leader_to_information(&leader, &information);
	assert_true(fsha_uuid_is_null(&information.session));
	assert_true(fsha_uuid_is_null(&information.member));
	assert_int_equal(information.epoch, t->epoch.number);
	assert_int_equal(information.confirmed, 0);
	assert_int_equal(information.since_wall_ns, 0);
	assert_string_equal(information.address, "");
}

static void information_of_a_leader_says_whether_it_can_be_found(void **state)
{
	fsha_leader_information information;
	struct leader leader;

	(void)state;
	(void)publish(t, LEADER_GRANTED, "");
	leader = read_leader();
	leader_to_information(&leader, &information);
	assert_int_equal(information.confirmed, 0);
	assert_memory_equal(&information.session, &t->epoch.session, sizeof(fsha_uuid));
	(void)publish(t, LEADER_CONFIRMED, ADDRESS);
	leader = read_leader();
	leader_to_information(&leader, &information);
	assert_int_equal(information.confirmed, 1);
	assert_memory_equal(&information.session, &t->epoch.session, sizeof(fsha_uuid));
	assert_memory_equal(&information.member, &m->id, sizeof(fsha_uuid));
	assert_int_equal(information.since_wall_ns, t->granted_wall_ns);
	assert_string_equal(information.address, ADDRESS);
}

static void leader_that_was_fenced_publishes_nothing(void **state)
{
	struct member *rival = fixture_member(f, 1);
	struct term *second = fixture_term(f, rival, ELECTION);
	fsha_error error = FSHA_ERROR_INIT;

	(void)state;
	assert_result(f, leader_publish(t, LEADER_CONFIRMED, ADDRESS, NULL, NULL, &error),
		      FSHA_E_FENCED, &error);
	assert_int_equal(error.maybe_done, 0);
	expect_nothing_published();
	term_unref(second);
	member_destroy(rival);
}

static void resigned_leader_says_nothing_after_its_successor_came(void **state)
{
	struct member *rival = fixture_member(f, 1);
	fsha_error error = FSHA_ERROR_INIT;
	struct term *second;

	(void)state;
	assert_result(f, claim_vacate(t, &error), FSHA_OK, &error);
	second = fixture_term(f, rival, ELECTION);
	assert_result(f, leader_publish(t, LEADER_NONE, "", NULL, NULL, &error), FSHA_E_FENCED,
		      &error);
	expect_nothing_published();
	term_unref(second);
	member_destroy(rival);
}

static void leader_whose_lease_ran_out_publishes_nothing(void **state)
{
	fsha_error error = FSHA_ERROR_INIT;

	(void)state;
	crashfs_advance(f->fs, FIXTURE_LEASE_NS);
	assert_result(f, leader_publish(t, LEADER_CONFIRMED, ADDRESS, NULL, NULL, &error),
		      FSHA_E_NOT_LEADER, &error);
	expect_nothing_published();
}

static void last_word_is_only_for_those_who_resigned(void **state)
{
	fsha_error error = FSHA_ERROR_INIT;

	(void)state;
	assert_result(f, leader_publish(t, LEADER_NONE, "", NULL, NULL, &error), FSHA_E_NOT_LEADER,
		      &error);
	expect_nothing_published();
}

/* ---- Damage ---- */

static void damaged_newest_version_is_corrupt_and_no_older_one_is_given(void **state)
{
	fsha_error error = FSHA_ERROR_INIT;
	struct leader leader = { .epoch = 77 };
	fsha_version newest;

	(void)state;
	(void)publish(t, LEADER_GRANTED, "");
	newest = publish(t, LEADER_CONFIRMED, ADDRESS);
	crashfs_put(f->fs, fixture_path(f, "leaders/%s", file_of(&newest)), "x", 1);
	assert_result(f, leader_read(&f->cluster[1], ELECTION, &leader, &error), FSHA_E_CORRUPT,
		      &error);
	assert_non_null(strstr(error.message, file_of(&newest)));
	assert_int_equal(leader.epoch, 77);
}

/* The envelope is good; what is in it was written by nobody. */
static void payload_that_makes_no_sense_is_corrupt(void **state)
{
	struct term_write write = {
		.dir_fd = f->cluster[0].leaders_fd,
		.directory = "leaders",
		.key = ELECTION,
		.kind = FSU_KIND_LEADER,
		.data = "nonsense",
		.size = 8,
	};
	fsha_error error = FSHA_ERROR_INIT;
	struct leader leader = { .epoch = 77 };

	(void)state;
	assert_result(f, term_commit(t, &write, NULL, NULL, &error), FSHA_OK, &error);
	assert_result(f, leader_read(&f->cluster[1], ELECTION, &leader, &error), FSHA_E_CORRUPT,
		      &error);
	assert_int_equal(leader.epoch, 77);
}

static void record_of_another_election_is_corrupt(void **state)
{
	fsha_version version = publish(t, LEADER_CONFIRMED, ADDRESS);
	struct leader leader;
	const uint8_t *data;
	uint8_t copy[1024];
	char name[NAME_SIZE];
	size_t len = 0;

	(void)state;
	data = crashfs_cat(f->fs, fixture_path(f, "leaders/%s", file_of(&version)), &len);
	assert_non_null(data);
	assert_in_range(len, 1, sizeof(copy));
	memcpy(copy, data, len);
	name_format("rest_endpoint", &version, false, name);
	crashfs_put(f->fs, fixture_path(f, "leaders/%s", name), copy, len);
	assert_int_equal(leader_read(&f->cluster[1], "rest_endpoint", &leader, NULL),
			 FSHA_E_CORRUPT);
}

static void names_that_are_none_of_ours_are_passed_over(void **state)
{
	(void)state;
	(void)publish(t, LEADER_CONFIRMED, ADDRESS);
	crashfs_put(f->fs, fixture_path(f, "leaders/" ELECTION), "x", 1);
	crashfs_put(f->fs, fixture_path(f, "leaders/" ELECTION "~"), "x", 1);
	crashfs_put(f->fs, fixture_path(f, "leaders/" ELECTION "~ffff.ffff.ffff"), "x", 1);
	crashfs_put(f->fs, fixture_path(f, "leaders/.nfs0000000000000001"), "x", 1);
	assert_string_equal(read_leader().address, ADDRESS);
}

static void payload_comes_back_and_nothing_else_is_accepted(void **state)
{
	struct leader leader = {
		.state = LEADER_CONFIRMED,
		.member = { { 1, 2, 3 } },
		.granted_wall_ns = INT64_MAX,
		.pid = UINT32_MAX,
		.former = { UINT64_MAX, { { 4 } }, { { 5 } } },
	};
	struct leader again;
	uint8_t buf[LEADER_SIZE_MAX];
	size_t len;

	(void)state;
	memset(leader.address, 'a', FSHA_ADDRESS_MAX);
	memset(leader.host, 'h', sizeof(leader.host) - 1);
	memset(leader.former_end, 'e', sizeof(leader.former_end) - 1);
	len = (size_t)leader_encode(&leader, buf, sizeof(buf));
	assert_int_equal(leader_decode(buf, len, &again), 0);
	assert_memory_equal(&again, &leader, sizeof(leader));
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(leader_decode(buf, cut, &again), -EBADMSG);
	buf[0] = LEADER_CONFIRMED + 1; /* no such state */
	assert_int_equal(leader_decode(buf, len, &again), -EBADMSG);
	buf[0] = LEADER_GRANTED; /* with an address */
	assert_int_equal(leader_decode(buf, len, &again), -EBADMSG);
	buf[0] = LEADER_CONFIRMED;
	buf[len - 1] = '\0';
	assert_int_equal(leader_decode(buf, len, &again), -EBADMSG);
	buf[len - 1] = 'e';
	assert_int_equal(leader_decode(buf, len, &again), 0);
	assert_int_equal(leader_encode(&leader, buf, len - 1), -EMSGSIZE);
}

/* ---- Reading while others write, and from a storage that fails ---- */

struct replacing {
	unsigned left;
	fsha_version version;
};

/* Before each opening of a record: it is replaced, and the old file goes away. */
static void replace_hook(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct replacing *r = ctx;
	fsha_version old = r->version;

	if (client != 1 || call != CRASHFS_OPENAT || !strchr(path, '~') || r->left == 0)
		return;
	r->left--;
	r->version = publish(t, LEADER_CONFIRMED, r->left > 0 ? "newer" : "newest");
	assert_int_equal(term_discard(t, f->cluster[0].leaders_fd, file_of(&old)), 0);
}

static void leader_that_is_replaced_while_it_is_read_is_read_again(void **state)
{
	struct replacing r = { .left = 10 };

	(void)state;
	r.version = publish(t, LEADER_CONFIRMED, ADDRESS);
	crashfs_hook_set(f->fs, replace_hook, &r);
	assert_string_equal(read_leader().address, "newest");
	assert_int_equal(r.left, 0);
}

static void fault_of_reading_never_hides_or_invents_a_leader(void **state)
{
	bool fired = true;

	(void)state;
	(void)publish(t, LEADER_CONFIRMED, ADDRESS);
	for (uint64_t at = 0; fired; at++) {
		for (size_t way = 0; fired && way < FIXTURE_SWEEPS; way++) {
			struct crashfs_fault fault = fixture_fault(at, way);
			fsha_error error = FSHA_ERROR_INIT;
			struct leader leader;
			fsha_result result;

			fault.client = 1;
			crashfs_count_reset(f->fs);
			crashfs_fault_arm(f->fs, &fault);
			result = leader_read(&f->cluster[1], ELECTION, &leader, &error);
			fired = crashfs_faults_fired(f->fs) > 0;
			crashfs_fault_clear(f->fs);
			if (result == FSHA_OK)
				assert_string_equal(leader.address, ADDRESS);
			else if (result != FSHA_E_NOMEM)
				assert_result(f, result, FSHA_E_IO, &error);
		}
	}
}

#define leader_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		leader_test(confirmed_leader_is_read_with_all_that_is_known_of_it),
		leader_test(record_tells_whom_its_leader_followed),
		leader_test(election_that_nobody_ever_led_is_not_found),
		leader_test(newest_version_counts_whoever_wrote_it),
		leader_test(resignation_is_published_as_no_leader_of_that_term),
		leader_test(information_of_a_leader_says_whether_it_can_be_found),
		leader_test(leader_that_was_fenced_publishes_nothing),
		leader_test(resigned_leader_says_nothing_after_its_successor_came),
		leader_test(leader_whose_lease_ran_out_publishes_nothing),
		leader_test(last_word_is_only_for_those_who_resigned),
		leader_test(damaged_newest_version_is_corrupt_and_no_older_one_is_given),
		leader_test(payload_that_makes_no_sense_is_corrupt),
		leader_test(record_of_another_election_is_corrupt),
		leader_test(names_that_are_none_of_ours_are_passed_over),
		leader_test(payload_comes_back_and_nothing_else_is_accepted),
		leader_test(leader_that_is_replaced_while_it_is_read_is_read_again),
		leader_test(fault_of_reading_never_hides_or_invents_a_leader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
