/*
 * What a leader does about whatever ends its term behind its back: it stops before the next one
 * starts, its contender is told, and its writes are refused.
 */
#include "src/election/election.h"
#include "tests/test_hook.h"

static fsha_result put(fsha_services *s, const char *name)
{
	fsha_state_store *store;
	fsha_result result;

	assert_ok(fsha_state_store_open(s, "ns", ELECTION, &store, &t.error));
	result = fsha_state_store_add(store, name, "v", 1, NULL, &t.error);
	fsha_state_store_close(store);
	return result;
}

/* Rename what begins with `prefix` in a directory of the cluster; false: it is not there. */
static bool rename_in(const char *directory, const char *prefix, const char *to)
{
	char name[256], from[800], path[800];

	if (count_names(directory, prefix, name) == 0)
		return false;
	(void)snprintf(from, sizeof(from), "%s/%s", in_cluster(directory), name);
	(void)snprintf(path, sizeof(path), "%s/%s", in_cluster(directory), to);
	return rename(from, path) == 0;
}

#define EPOCH_TAKEN "epoch-0000000000000007-00000000000000000000000000000001-vacant"

/* As another leader who came and went. */
static void take_the_epoch(void)
{
	assert_true(rename_in("elections/" ELECTION, "epoch-", EPOCH_TAKEN));
}

static void remove_the_tenure(void)
{
	char name[256], path[300];

	assert_int_equal(count_names("elections/" ELECTION, "tenure-", name), 1);
	(void)snprintf(path, sizeof(path), "elections/" ELECTION "/%s", name);
	/* The library's own file of the moment may be in it. */
	POLL_FOR(rmdir(in_cluster(path)) == 0);
}

static void a_leader_whose_epoch_was_taken_revokes_itself_and_leads_above_it(void **state)
{
	fsha_services *s = open_services();
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	take_the_epoch();
	WAIT_FOR(&p.post, p.revokes == 1);
	WAIT_FOR(&p.post, p.grants == 2);
	assert_true(p.epoch > 7);
	assert_ok(put(s, "again"));
	player_close(&p);
	close_services(s);
}

static void a_write_that_is_fenced_revokes_its_leader(void **state)
{
	fsha_services *s = open_services();
	fsha_result result;
	struct player p;

	(void)state;
	player_lead(&p, s, ELECTION);
	assert_ok(put(s, "before"));
	take_the_epoch();
	remove_the_tenure();
	result = put(s, "late");
	assert_true(result == FSHA_E_FENCED || result == FSHA_E_NOT_LEADER);
	WAIT_FOR(&p.post, p.revokes == 1);
	WAIT_FOR(&p.post, p.grants == 2);
	assert_ok(put(s, "late"));
	player_close(&p);
	close_services(s);
}

/* ---- a member's directory that was taken away ---- */

/* When the second one is granted, does the first one lead by its own clock? */
static fsha_result look_at_former(struct player *p)
{
	const struct player *former = p->ctx;

	return fsha_election_has_leadership(former->election, &former->session) ? FSHA_E_STATE :
										  FSHA_OK;
}

static void who_lost_its_directory_stops_before_the_next_one_leads(void **state)
{
	static struct hook hook; /* its threads may outlive the test */
	fsha_services *s, *other = open_services();
	struct player p, next;
	char name[256];

	(void)state;
	hook_init(&hook);
	s = open_hooked(&hook);
	player_lead(&p, s, ELECTION);
	assert_int_equal(count_names("members", "", name), 1);
	player_init(&next);
	next.ctx = &p;
	next.in_grant = look_at_former;
	player_start(&next, other, ELECTION);
	/* It is cut off, and leads on by its own clock; nobody can tell whether it lives. */
	gate_set(&hook.gate, true);
	assert_true(rename_in("members", name, "../taken"));
	WAIT_FOR(&next.post, next.acted > 0);
	assert_ok(next.in_grant_result);
	WAIT_FOR(&p.post, p.revokes > 0);
	gate_set(&hook.gate, false);
	assert_result(put(s, "late"), FSHA_E_NOT_LEADER);
	player_close(&next);
	player_close(&p);
	close_services(other);
	close_services(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_leader_whose_epoch_was_taken_revokes_itself_and_leads_above_it),
		TEST(a_write_that_is_fenced_revokes_its_leader),
		TEST(who_lost_its_directory_stops_before_the_next_one_leads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
