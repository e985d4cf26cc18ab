/*
 * Sharing a term with other processes: who attaches writes under it as long as it lasts, and not
 * under one that is over. Two services objects of one process stand for the leader and its child.
 */
#include <sys/mman.h>

#include "fsha/term.h"
#include "tests/test_services.h"

struct family {
	fsha_services *leader, *child;
	struct player player;
	fsha_shared_term term;
};

static fsha_services *open_sharing(void)
{
	fsha_services_options options = FSHA_SERVICES_OPTIONS_INIT;
	fsha_services *s = NULL;

	options.flags = FSHA_SERVICES_SHARED_TERM;
	assert_ok(fsha_services_open(t.config, &options, &s, &t.error));
	return s;
}

static void start(struct family *f)
{
	f->leader = open_sharing();
	player_lead(&f->player, f->leader, ELECTION);
	assert_ok(fsha_election_share(f->player.election, &f->term, &t.error));
	f->child = open_services();
}

static void end(struct family *f)
{
	close_services(f->child);
	player_close(&f->player);
	close_services(f->leader);
}

static fsha_result put(fsha_services *s, const char *name)
{
	fsha_state_store *store;
	fsha_result result;

	assert_ok(fsha_state_store_open(s, "ns", ELECTION, &store, &t.error));
	result = fsha_state_store_add(store, name, "v", 1, NULL, &t.error);
	fsha_state_store_close(store);
	return result;
}

static bool has(fsha_services *s, const char *name)
{
	fsha_state_store *store;
	fsha_version version;

	assert_ok(fsha_state_store_open(s, "ns", ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_exists(store, name, &version, &t.error));
	fsha_state_store_close(store);
	return fsha_version_is_existing(&version);
}

static void a_child_writes_under_the_term_that_it_attached_to(void **state)
{
	struct family f;

	(void)state;
	start(&f);
	assert_result(put(f.child, "before"), FSHA_E_NOT_LEADER);
	assert_ok(fsha_services_attach(f.child, ELECTION, &f.term, &t.error));
	assert_ok(put(f.child, "of the child"));
	assert_ok(put(f.leader, "of the leader"));
	assert_true(has(f.leader, "of the child"));
	assert_true(has(f.child, "of the leader"));
	end(&f);
}

static void the_writes_of_a_child_end_with_the_term(void **state)
{
	struct family f;
	fsha_result result;

	(void)state;
	start(&f);
	assert_ok(fsha_services_attach(f.child, ELECTION, &f.term, &t.error));
	assert_ok(fsha_election_resign(f.player.election, &f.player.session, &t.error));
	WAIT_FOR(&f.player.post, !f.player.leads || f.player.grants > 1);
	POLL_FOR(count_names("elections/" ELECTION, "epoch-0000000000000001-", NULL) == 0 ||
		 count_names("elections/" ELECTION, "tenure-0000000000000001-", NULL) == 0);
	result = put(f.child, "late");
	assert_true(result == FSHA_E_FENCED || result == FSHA_E_NOT_LEADER);
	assert_false(has(f.leader, "late"));
	end(&f);
}

/* ---- terms that are over ---- */

static void assert_fenced(struct family *f, const char *election, const fsha_shared_term *term,
			  const char *part)
{
	assert_refused(fsha_services_attach(f->child, election, term, &t.error), FSHA_E_FENCED,
		       part);
	assert_result(put(f->child, "late"), FSHA_E_NOT_LEADER);
}

static void attaching_to_a_term_that_is_over_is_fenced(void **state)
{
	fsha_shared_term other;
	struct family f;

	(void)state;
	start(&f);
	other = f.term;
	other.epoch++;
	assert_fenced(&f, ELECTION, &other, "newer leader");
	other = f.term;
	other.session.bytes[3] ^= 1;
	assert_fenced(&f, ELECTION, &other, "newer leader");
	assert_fenced(&f, "nobody's", &f.term, "no such election");
	assert_ok(fsha_election_close(f.player.election, &t.error));
	assert_fenced(&f, ELECTION, &f.term, "resigned");
	player_lead(&f.player, f.leader, ELECTION);
	assert_fenced(&f, ELECTION, &f.term, "newer leader");
	end(&f);
}

static void attaching_by_the_lease_of_another_process_is_fenced(void **state)
{
	fsha_shared_term other, strange;
	struct player player;
	struct family f;
	fsha_services *s;
	int fd;

	(void)state;
	start(&f);
	/* Its path may have come to another process, one of ours or not. */
	s = open_sharing();
	player_lead(&player, s, "other");
	assert_ok(fsha_election_share(player.election, &other, &t.error));
	strange = f.term;
	memcpy(strange.lease_path, other.lease_path, sizeof(strange.lease_path));
	assert_fenced(&f, ELECTION, &strange, "lease has run out");
	player_close(&player);
	close_services(s);

	memcpy(strange.lease_path, "/nowhere/lease", sizeof("/nowhere/lease"));
	assert_fenced(&f, ELECTION, &strange, "process is gone");
	fd = memfd_create("no lease", MFD_CLOEXEC);
	(void)snprintf(strange.lease_path, sizeof(strange.lease_path), "/proc/self/fd/%d", fd);
	assert_fenced(&f, ELECTION, &strange, "process is gone"); /* it is empty */
	assert_int_equal(ftruncate(fd, 1 << 16), 0);
	assert_fenced(&f, ELECTION, &strange, "process is gone"); /* it is zero */
	(void)close(fd);
	assert_ok(fsha_services_attach(f.child, ELECTION, &f.term, &t.error));
	end(&f);
}

/* ---- what is refused ---- */

static void a_services_object_takes_part_in_an_election_once(void **state)
{
	struct family f;

	(void)state;
	start(&f);
	assert_refused(fsha_services_attach(f.leader, ELECTION, &f.term, &t.error), FSHA_E_STATE,
		       ELECTION);
	assert_ok(fsha_services_attach(f.child, ELECTION, &f.term, &t.error));
	assert_refused(fsha_services_attach(f.child, ELECTION, &f.term, &t.error), FSHA_E_STATE,
		       ELECTION);
	end(&f);
}

static void only_a_leader_that_was_opened_for_it_shares_its_term(void **state)
{
	fsha_services *s = open_services();
	int hold_fd, lease_fd;
	fsha_shared_term term;
	struct player p;
	struct family f;

	(void)state;
	player_lead(&p, s, "alone");
	assert_refused(fsha_election_share(p.election, &term, &t.error), FSHA_E_STATE,
		       "FSHA_SERVICES_SHARED_TERM");
	assert_refused(fsha_services_guard_fds(s, &hold_fd, &lease_fd, &t.error), FSHA_E_STATE,
		       "FSHA_SERVICES_SHARED_TERM");
	player_close(&p);
	close_services(s);

	start(&f);
	assert_ok(fsha_election_resign(f.player.election, &f.player.session, &t.error));
	if (!WITHIN(&f.player.post, 0, f.player.grants > 1))
		assert_refused(fsha_election_share(f.player.election, &term, &t.error),
			       FSHA_E_NOT_LEADER, ELECTION);
	end(&f);
}

static void what_is_null_is_invalid(void **state)
{
	int hold_fd, lease_fd;
	fsha_shared_term term;
	struct family f;

	(void)state;
	start(&f);
	assert_result(fsha_election_share(NULL, &term, &t.error), FSHA_E_INVALID);
	assert_result(fsha_election_share(f.player.election, NULL, &t.error), FSHA_E_INVALID);
	assert_result(fsha_services_attach(NULL, ELECTION, &f.term, &t.error), FSHA_E_INVALID);
	assert_result(fsha_services_attach(f.child, NULL, &f.term, &t.error), FSHA_E_INVALID);
	assert_result(fsha_services_attach(f.child, "", &f.term, &t.error), FSHA_E_INVALID);
	assert_result(fsha_services_attach(f.child, ELECTION, NULL, &t.error), FSHA_E_INVALID);
	assert_result(fsha_services_guard_fds(NULL, &hold_fd, &lease_fd, &t.error), FSHA_E_INVALID);
	assert_result(fsha_services_guard_fds(f.leader, NULL, &lease_fd, &t.error), FSHA_E_INVALID);
	assert_result(fsha_services_guard_fds(f.leader, &hold_fd, NULL, &t.error), FSHA_E_INVALID);
	end(&f);
}

/* ---- for a guard ---- */

static void a_guard_sees_the_lease_and_keeps_the_lock(void **state)
{
	int hold_fd = -1, lease_fd = -1;
	const fsha_lease *lease;
	struct family f;

	(void)state;
	start(&f);
	assert_ok(fsha_services_guard_fds(f.leader, &hold_fd, &lease_fd, &t.error));
	assert_true(fcntl(hold_fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(lease_fd, F_GETFD) & FD_CLOEXEC);
	lease = fsha_lease_map(lease_fd);
	assert_non_null(lease);
	assert_true(fsha_lease_remaining_ns(lease) > 0);
	assert_true(fsha_lease_remaining_ns(lease) <= LEASE_MS * INT64_C(1000000));
	end(&f);
	/* Over for whoever looks on: it is not renewed any more. */
	POLL_FOR(fsha_lease_remaining_ns(lease) <= 0);
	fsha_lease_unmap(lease);
	(void)close(lease_fd);
	(void)close(hold_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_child_writes_under_the_term_that_it_attached_to),
		TEST(the_writes_of_a_child_end_with_the_term),
		TEST(attaching_to_a_term_that_is_over_is_fenced),
		TEST(attaching_by_the_lease_of_another_process_is_fenced),
		TEST(a_services_object_takes_part_in_an_election_once),
		TEST(only_a_leader_that_was_opened_for_it_shares_its_term),
		TEST(what_is_null_is_invalid),
		TEST(a_guard_sees_the_lease_and_keeps_the_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
