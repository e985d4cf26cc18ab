/*
 * Closing while the filesystem does not answer: it comes back within its bound, the contender is
 * revoked, and what hung ends by itself when the filesystem answers again.
 */
#include "tests/fuse/fault.h"

#define SLACK_MS 4000
/* Closing waits for a lease, or for this if it is longer. */
#define CLOSE_MS 3000

static size_t count_threads(void)
{
	struct dirent **names = NULL;
	int count = scandir("/proc/self/task", &names, NULL, alphasort);

	assert_true(count > 2);
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return (size_t)count;
}

static int64_t timed(int64_t start_ms, const char *what, fsha_result result)
{
	int64_t took_ms = now_ms() - start_ms;

	if (result != FSHA_OK && result != FSHA_E_TIMEOUT)
		fail_msg("%s: %s: %s", what, fsha_result_name(result), t.error.message);
	if (took_ms > CLOSE_MS + SLACK_MS)
		fail_msg("%s took %lld ms", what, (long long)took_ms);
	return took_ms;
}

/* `kinds` NULL: all. False: nothing of it hung when it was closed. */
static bool close_in_a_hang(const char *kinds)
{
	size_t threads = count_threads();
	int64_t start_ms, election_ms, services_ms;
	struct process standby;
	fsha_services *services = open_services();
	fsha_result results[2];
	struct player leader;

	player_lead(&leader, services, ELECTION);
	process_start_in(&standby, "contender", f.dirs[1], LEASE, NULL);
	(void)process_ask(&standby, "get k");
	if (kinds)
		(void)fault("rule hang client=0 kind=%s", kinds);
	else
		(void)fault("rule hang client=0");
	start_ms = now_ms();
	results[0] = fsha_election_close(leader.election, &t.error);
	election_ms = timed(start_ms, "closing the election", results[0]);
	assert_int_equal(leader.revokes, 1);
	start_ms = now_ms();
	results[1] = fsha_services_close(services, &t.error);
	services_ms = timed(start_ms, "closing the services", results[1]);
	print_message("%-10s election %s %lld ms, services %s %lld ms\n", kinds ? kinds : "all",
		      fsha_result_name(results[0]), (long long)election_ms,
		      fsha_result_name(results[1]), (long long)services_ms);
	/* Whether it could say that it goes or not, another leads. */
	LISTEN_FOR(&standby, 1, standby.leads);
	assert_string_equal(process_ask(&standby, "put k after"), "OK 0");
	(void)fault("heal");
	POLL_FOR(count_threads() <= threads);
	assert_string_equal(process_ask(&standby, "get k"), "OK after");
	assert_int_equal(leader.revokes, 1);
	assert_int_equal(standby.revokes, 0);
	process_quit(&standby);
	return results[0] == FSHA_E_TIMEOUT || results[1] == FSHA_E_TIMEOUT;
}

static void a_leader_is_closed_in_time_whatever_hangs(void **state)
{
	static const char *const kinds[] = { NULL,       "renameat", "unlinkat", "fsync",
					     "getdents", "statx",    "lock",     "close",
					     "openat",   "lookup",   "mkdirat",  "write" };
	unsigned count = (unsigned)test_size(3, 6, 12), hung = 0;

	(void)state;
	for (unsigned i = 0; i < count; i++) {
		hung += close_in_a_hang(kinds[i]);
		assert_int_equal(fault_teardown(NULL), 0);
		assert_int_equal(fault_setup(NULL), 0);
	}
	/* At least when nothing at all comes back, and when it cannot rename, it cannot go as
	 * usual. */
	assert_true(hung >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = { FAULT_TEST(a_leader_is_closed_in_time_whatever_hangs) };

	return fault_enter_namespace() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
