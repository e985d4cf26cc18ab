/* Things in the place of epoch files, tenures, members, leader records and whole directories. */
#include "tests/test_bad_input.h"

#define IN_ELECTION "elections/" ELECTION "/"
#define STRANGER "0123456789abcdef0123456789abcdef"
#define SESSION "fedcba9876543210fedcba9876543210"

/* An election that has been, and nobody leads. Returns its last epoch. */
static uint64_t make_election(void)
{
	fsha_services *s = open_services();
	struct player p;

	player_lead(&p, s, ELECTION);
	player_close(&p);
	close_services(s);
	return p.epoch;
}

/* Somebody leads within the limit, and everything works. Returns the epoch. */
static uint64_t assert_can_lead(void)
{
	fsha_services *s = open_services();
	fsha_leader_information info;
	struct player p;

	player_lead(&p, s, ELECTION);
	assert_ok(fsha_election_confirm_leadership(p.election, &p.session, ADDRESS, &t.error));
	assert_ok(fsha_leader_read(s, ELECTION, &info, &t.error));
	assert_string_equal(info.address, ADDRESS);
	player_close(&p);
	close_services(s);
	return p.epoch;
}

/* The path of the only epoch file. */
static void epoch_path(char *ret_path)
{
	char last[256], path[300];

	assert_int_equal(count_names(IN_ELECTION, "epoch-", last), 1);
	(void)snprintf(path, sizeof(path), IN_ELECTION "%s", last);
	(void)snprintf(ret_path, 512, "%s", in_cluster(path));
}

/* Name the holder of the election by hand. */
static void set_holder(uint64_t epoch, const char *holder)
{
	char from[512], to[200];

	epoch_path(from);
	(void)snprintf(to, sizeof(to), IN_ELECTION "epoch-%016llx-" SESSION "-%s",
		       (unsigned long long)epoch, holder);
	assert_int_equal(rename(from, in_cluster(to)), 0);
}

/* ---- the epoch file ---- */

static void an_epoch_file_of_any_kind_is_only_a_name(void **state)
{
	uint64_t last, next;
	char path[512];

	(void)state;
	last = make_election();
	for (enum thing thing = THING_FIFO; thing < THINGS; thing++) {
		epoch_path(path);
		remove_thing(path);
		if (!make_thing(thing, path))
			break;
		next = assert_can_lead();
		assert_int_equal(next, last + 1);
		last = next;
	}
}

static void names_that_are_no_epochs_are_passed_over(void **state)
{
	static const char *const names[] = {
		"epoch-",
		"epoch-0000000000000099",
		"epoch-ffffffffffffffff-" SESSION "-vacant",
		"epoch-0000000000000099-" SESSION "-nobody",
		"epoch-0000000000000099-" SESSION "-00000000000000000000000000000000",
		"epoch-000000000000009G-" SESSION "-vacant",
		"tenure-",
		"~build",
		".nfs0001",
	};
	uint64_t last;

	(void)state;
	last = make_election();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[300];

		(void)snprintf(path, sizeof(path), IN_ELECTION "%s", names[i]);
		assert_int_equal(mkfifo(in_cluster(path), 0600), 0);
	}
	assert_int_equal(assert_can_lead(), last + 1);
}

static void of_two_epoch_files_the_higher_one_counts(void **state)
{
	(void)state;
	(void)make_election();
	write_file(in_cluster(IN_ELECTION "epoch-0000000000000100-" SESSION "-vacant"), "", 0);
	assert_int_equal(assert_can_lead(), 0x101);
	assert_int_equal(assert_can_lead(), 0x102);
}

static void a_lost_epoch_file_is_an_error_that_tells_how_to_mend_it(void **state)
{
	fsha_services *s;
	char path[512];
	fsha_error error;
	struct player p;

	(void)state;
	(void)make_election();
	epoch_path(path);
	assert_int_equal(unlink(path), 0);
	s = open_services();
	player_init(&p);
	player_start(&p, s, ELECTION);
	error = player_error(&p);
	assert_int_equal(error.result, FSHA_E_CORRUPT);
	assert_non_null(strstr(error.message, "epoch-"));
	write_file(in_cluster(IN_ELECTION "epoch-0000000000000100-" SESSION "-vacant"), "", 0);
	WAIT_FOR(&p.post, p.leads);
	assert_int_equal(p.epoch, 0x101);
	player_close(&p);
	close_services(s);
}

static void an_epoch_that_cannot_rise_is_an_error(void **state)
{
	fsha_services *s;
	fsha_error error;
	struct player p;

	(void)state;
	(void)make_election();
	write_file(in_cluster(IN_ELECTION "epoch-fffffffffffffffe-" SESSION "-vacant"), "", 0);
	s = open_services();
	player_init(&p);
	player_start(&p, s, ELECTION);
	error = player_error(&p);
	assert_int_equal(error.result, FSHA_E_CORRUPT);
	assert_int_equal(p.grants, 0);
	player_close(&p);
	close_services(s);
}

/* ---- tenures and the trash ---- */

static void whatever_lies_in_an_old_tenure_is_cleared_away(void **state)
{
	char path[256];

	(void)state;
	(void)make_election();
	(void)snprintf(path, sizeof(path), IN_ELECTION "tenure-0000000000000001-" STRANGER);
	assert_int_equal(mkdir(in_cluster(path), 0700), 0);
	for (enum thing thing = THING_FIFO; thing < THINGS; thing++) {
		(void)snprintf(path, sizeof(path),
			       IN_ELECTION "tenure-0000000000000001-" STRANGER "/%d", (int)thing);
		(void)make_thing(thing, in_cluster(path));
	}
	assert_true(assert_can_lead() > 1);
	assert_int_equal(count_names(IN_ELECTION, "tenure-", NULL), 0);
}

static void the_trash_is_emptied_of_whatever_is_in_it(void **state)
{
	fsha_services *s;
	struct player p;
	char path[256];

	(void)state;
	(void)make_election();
	for (enum thing thing = THING_FIFO; thing < THINGS; thing++) {
		(void)snprintf(path, sizeof(path), IN_ELECTION "trash/%d", (int)thing);
		(void)make_thing(thing, in_cluster(path));
	}
	s = open_services();
	player_lead(&p, s, ELECTION);
	POLL_FOR(count_names(IN_ELECTION "trash", "", NULL) == 0);
	player_close(&p);
	close_services(s);
	assert_int_equal(access("/dev/zero", F_OK), 0);
}

static void whatever_is_called_a_tenure_is_taken_away(void **state)
{
	const char *path = IN_ELECTION "tenure-0000000000000001-" STRANGER;

	(void)state;
	(void)make_election();
	for (enum thing thing = THING_FIFO; thing < THINGS; thing++) {
		if (!make_thing(thing, in_cluster(path)))
			break;
		(void)assert_can_lead();
		assert_int_equal(count_names(IN_ELECTION, "tenure-", NULL), 0);
	}
	assert_int_equal(access("/dev/zero", F_OK), 0);
}

static void a_trash_that_is_no_directory_is_an_error_until_it_is_mended(void **state)
{
	fsha_services *s;
	fsha_error error;
	struct player p;

	(void)state;
	(void)make_election();
	remove_thing(in_cluster(IN_ELECTION "trash"));
	write_file(in_cluster(IN_ELECTION "trash"), "x", 1);
	assert_int_equal(mkdir(in_cluster(IN_ELECTION "tenure-0000000000000001-" STRANGER), 0700),
			 0);
	write_file(in_cluster(IN_ELECTION "tenure-0000000000000001-" STRANGER "/1"), "x", 1);
	s = open_services();
	player_init(&p);
	player_start(&p, s, ELECTION);
	error = player_error(&p);
	assert_non_null(strstr(error.message, "fence"));
	assert_int_equal(p.grants, 0);
	assert_int_equal(unlink(in_cluster(IN_ELECTION "trash")), 0);
	WAIT_FOR(&p.post, p.leads);
	player_close(&p);
	close_services(s);
}

/* What is fenced is moved there: somewhere else it would be lost, or do harm. */
static void a_trash_that_leads_elsewhere_is_not_gone_through(void **state)
{
	fsha_services *s;
	fsha_error error;
	struct player p;
	char path[128];

	(void)state;
	(void)make_election();
	remove_thing(in_cluster(IN_ELECTION "trash"));
	(void)snprintf(path, sizeof(path), "%s/elsewhere", t.dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(symlink(path, in_cluster(IN_ELECTION "trash")), 0);
	assert_int_equal(mkdir(in_cluster(IN_ELECTION "tenure-0000000000000001-" STRANGER), 0700),
			 0);
	write_file(in_cluster(IN_ELECTION "tenure-0000000000000001-" STRANGER "/1"), "x", 1);
	s = open_services();
	player_init(&p);
	player_start(&p, s, ELECTION);
	error = player_error(&p);
	assert_non_null(strstr(error.message, "fence"));
	/* It is empty still, or this would fail. */
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(unlink(in_cluster(IN_ELECTION "trash")), 0);
	WAIT_FOR(&p.post, p.leads);
	player_close(&p);
	close_services(s);
}

/* ---- members ---- */

static void a_holder_whose_directory_is_none_does_not_lead_for_ever(void **state)
{
	uint64_t last;

	(void)state;
	last = make_election();
	for (enum thing thing = THING_FIFO; thing < THING_FULL_DIRECTORY; thing++) {
		set_holder(last, STRANGER);
		assert_true(make_thing(thing, in_cluster("members/" STRANGER)));
		last = assert_can_lead();
		if (faccessat(AT_FDCWD, in_cluster("members/" STRANGER), F_OK,
			      AT_SYMLINK_NOFOLLOW) == 0)
			remove_thing(in_cluster("members/" STRANGER));
	}
}

static void a_holder_without_lock_and_heartbeat_is_dead_after_a_while(void **state)
{
	uint64_t last;

	(void)state;
	last = make_election();
	set_holder(last, STRANGER);
	assert_true(make_thing(THING_FULL_DIRECTORY, in_cluster("members/" STRANGER)));
	(void)assert_can_lead();
}

static void a_holder_whose_lock_is_a_fifo_keeps_nobody_waiting(void **state)
{
	uint64_t last;

	(void)state;
	last = make_election();
	set_holder(last, STRANGER);
	assert_int_equal(mkdir(in_cluster("members/" STRANGER), 0700), 0);
	assert_int_equal(mkfifo(in_cluster("members/" STRANGER "/lock"), 0600), 0);
	assert_int_equal(mkfifo(in_cluster("members/" STRANGER "/info~0000000000000000."
					   "0000000000000001.0000"),
				0600),
			 0);
	(void)assert_can_lead();
}

static void status_passes_over_what_is_no_member_and_counts_it(void **state)
{
	fsha_cluster_status *status;
	fsha_services *s;
	char path[128];

	(void)state;
	(void)make_election();
	for (enum thing thing = THING_FIFO; thing < THING_FULL_DIRECTORY; thing++) {
		(void)snprintf(path, sizeof(path), "members/%032d", (int)thing);
		assert_true(make_thing(thing, in_cluster(path)));
		(void)snprintf(path, sizeof(path), "members/person-%d", (int)thing);
		assert_true(make_thing(thing, in_cluster(path)));
		(void)snprintf(path, sizeof(path), "elections/person-%d", (int)thing);
		assert_true(make_thing(thing, in_cluster(path)));
	}
	s = open_services();
	assert_ok(fsha_status_read(s, 0, &status, &t.error));
	assert_int_equal(status->member_count, 0);
	assert_int_equal(status->election_count, 1);
	assert_int_equal(status->skipped, 9);
	fsha_status_destroy(status);
	close_services(s);
}

/* ---- leader records ---- */

static void a_leader_record_of_any_kind_is_corrupt_and_put_right(void **state)
{
	fsha_leader_information info;
	fsha_services *s;
	struct player p;
	char path[200];

	(void)state;
	(void)make_election();
	for (enum thing thing = THING_FIFO; thing < THINGS; thing++) {
		(void)snprintf(path, sizeof(path),
			       "leaders/" ELECTION "~%016x.0000000000000001.0000", thing + 0x100);
		if (!make_thing(thing, in_cluster(path)))
			break;
		s = open_services();
		assert_refused(fsha_leader_read(s, ELECTION, &info, &t.error), FSHA_E_CORRUPT,
			       "no regular file");
		player_lead(&p, s, ELECTION);
		assert_ok(fsha_election_confirm_leadership(p.election, &p.session, ADDRESS,
							   &t.error));
		POLL_FOR(fsha_leader_read(s, ELECTION, &info, NULL) == FSHA_OK &&
			 strcmp(info.address, ADDRESS) == 0);
		player_close(&p);
		close_services(s);
	}
	assert_int_equal(access("/dev/zero", F_OK), 0);
}

/* ---- whole directories ---- */

static void an_election_that_is_no_directory_is_an_error(void **state)
{
	fsha_services *s = open_services();
	fsha_election *e = NULL;
	struct player p;
	fsha_contender c;

	(void)state;
	player_init(&p);
	c = contender_of(&p);
	for (enum thing thing = THING_FIFO; thing < THING_FULL_DIRECTORY; thing++) {
		assert_true(make_thing(thing, in_cluster("elections/" ELECTION)));
		assert_refused(fsha_election_start(s, ELECTION, &c, &e, &t.error), FSHA_E_IO,
			       ELECTION);
		assert_null(e);
		remove_thing(in_cluster("elections/" ELECTION));
	}
	close_services(s);
}

static void a_store_that_is_no_directory_is_an_error(void **state)
{
	fsha_services *s = open_services();
	fsha_job_graph_store *graphs;
	fsha_job_id job = { { 1 } };
	fsha_state_store *store;
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	assert_int_equal(rmdir(in_cluster("job_graphs")), 0);
	for (enum thing thing = THING_FIFO; thing < THING_FULL_DIRECTORY; thing++) {
		assert_true(make_thing(thing, in_cluster("state/ns")));
		assert_ok(fsha_state_store_open(s, "ns", ELECTION, &store, &t.error));
		assert_refused(fsha_state_store_add(store, "k", "v", 1, NULL, &t.error), FSHA_E_IO,
			       "state/ns");
		fsha_state_store_close(store);
		remove_thing(in_cluster("state/ns"));

		assert_true(make_thing(thing, in_cluster("job_graphs")));
		assert_ok(fsha_job_graph_store_open(s, &graphs, &t.error));
		assert_ok(fsha_job_graph_store_start(graphs, NULL, &t.error));
		assert_refused(fsha_job_graph_store_put(graphs, &job, "{}", 2, &t.error), FSHA_E_IO,
			       "job_graphs");
		fsha_job_graph_store_close(graphs);
		remove_thing(in_cluster("job_graphs"));
	}
	player_close(&p);
	close_services(s);
}

static void a_fixed_directory_that_is_none_is_an_error_at_open(void **state)
{
	static const char *const names[] = { "leaders", "elections", "members" };
	fsha_services *s = NULL;

	(void)state;
	close_services(open_services());
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(rmdir(in_cluster(names[i])), 0);
		for (enum thing thing = THING_FIFO; thing < THING_FULL_DIRECTORY; thing++) {
			assert_true(make_thing(thing, in_cluster(names[i])));
			assert_refused(fsha_services_open(t.config, NULL, &s, &t.error), FSHA_E_IO,
				       names[i]);
			remove_thing(in_cluster(names[i]));
		}
		assert_int_equal(mkdir(in_cluster(names[i]), 0700), 0);
	}
	close_services(open_services());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_epoch_file_of_any_kind_is_only_a_name),
		TEST(names_that_are_no_epochs_are_passed_over),
		TEST(of_two_epoch_files_the_higher_one_counts),
		TEST(a_lost_epoch_file_is_an_error_that_tells_how_to_mend_it),
		TEST(an_epoch_that_cannot_rise_is_an_error),
		TEST(whatever_lies_in_an_old_tenure_is_cleared_away),
		TEST(the_trash_is_emptied_of_whatever_is_in_it),
		TEST(whatever_is_called_a_tenure_is_taken_away),
		TEST(a_trash_that_is_no_directory_is_an_error_until_it_is_mended),
		TEST(a_trash_that_leads_elsewhere_is_not_gone_through),
		TEST(a_holder_whose_directory_is_none_does_not_lead_for_ever),
		TEST(a_holder_without_lock_and_heartbeat_is_dead_after_a_while),
		TEST(a_holder_whose_lock_is_a_fifo_keeps_nobody_waiting),
		TEST(status_passes_over_what_is_no_member_and_counts_it),
		TEST(a_leader_record_of_any_kind_is_corrupt_and_put_right),
		TEST(an_election_that_is_no_directory_is_an_error),
		TEST(a_store_that_is_no_directory_is_an_error),
		TEST(a_fixed_directory_that_is_none_is_an_error_at_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
