/*
 * Members of the storms on three hosts whose filesystem fails, loses replies, delays, hangs and
 * comes late at random, while some of them are killed: what they tell is a history without fault,
 * and once all is healed there are leaders, and everything can be written.
 *
 * SEED=<n> draws the same disturbances; what they meet is up to the machine.
 */
#include "tests/fuse/hosts.h"

#define CONTENDERS 4
#define READER CONTENDERS
#define HEALED_MS (LEASE_MS * 5 + 10000) /* somebody leads within that; the machine is busy */

static const char *const kinds[] = {
	"renameat", "fsync", "openat",   "write", "getdents", "statx",
	"lookup",   "close", "unlinkat", "pread", "mkdirat",  "lock",
};
static const char *const errors[] = { "EIO", "ESTALE", "ENOSPC", "EINTR", "ETIMEDOUT", "EACCES" };

static unsigned disturbances[6], kills;
static bool killed[CONTENDERS + 1];

/* "" three times of four: any host. */
static const char *some_host(void)
{
	static const char *const hosts[] = { "", "", "client=0 ", "client=1 ", "client=2 " };

	return hosts[chance_draw(&h.chance, 5)];
}

/* One kind of call half of the time, else all. */
static const char *some_kind(void)
{
	static char text[40];
	unsigned i = chance_draw(&h.chance, 2 * sizeof(kinds) / sizeof(kinds[0]));

	text[0] = '\0';
	if (i < sizeof(kinds) / sizeof(kinds[0]))
		(void)snprintf(text, sizeof(text), "kind=%s ", kinds[i]);
	return text;
}

/* For a while. The rest goes on meanwhile, and several may be in force at once. */
static void disturb(void)
{
	const char *error = errors[chance_draw(&h.chance, 6)];
	unsigned what = chance_draw(&h.chance, 6);

	disturbances[what]++;
	switch (what) {
	case 0:
		(void)fault("rule fail %s%serror=%s chance=%u", some_host(), some_kind(), error,
			    20 + chance_draw(&h.chance, 200));
		break;
	case 1:
	case 2:
		(void)fault("rule lose %s%serror=%s chance=%u", some_host(), some_kind(), error,
			    20 + chance_draw(&h.chance, 200));
		break;
	case 3:
		(void)fault("rule delay %s%sms=%u chance=%u", some_host(), some_kind(),
			    1 + chance_draw(&h.chance, 300), 10 + chance_draw(&h.chance, 100));
		break;
	case 4:
		(void)fault("rule hang client=%u %schance=%u", chance_draw(&h.chance, CLIENTS),
			    some_kind(), chance_is(&h.chance, 300) ? 1000 : 30);
		break;
	default:
		(void)fault("rule late client=%u %schance=30", chance_draw(&h.chance, CLIENTS),
			    some_kind());
		break;
	}
}

/*
 * It may take until the weather changes: it may wait for the lock of a directory in the kernel,
 * which another one holds whose call hangs.
 */
static void kill_one(void)
{
	unsigned slot = chance_draw(&h.chance, CONTENDERS);

	if (killed[slot])
		return;
	assert_int_equal(kill(h.all[slot].pid, SIGKILL), 0);
	killed[slot] = true;
	kills++;
}

/* Of those that are gone: they were killed, or could not even begin, because their calls fail. */
static void start_again(void)
{
	for (unsigned i = 0; i <= READER; i++) {
		struct process *p = &h.all[i];
		int status = 0;

		if (waitpid(p->pid, &status, WNOHANG) != p->pid)
			continue;
		if (!killed[i] && (!WIFEXITED(status) || WEXITSTATUS(status) != 2)) {
			p->pid = 0;
			fail_msg("member %u has ended: status %x", i, (unsigned)status);
		}
		process_close_pipes(p);
		for (int e = 0; e < ELECTIONS; e++)
			atomic_store(&h.page->slots[i].leads[e], 0);
		killed[i] = false;
		hosts_start(i, i == READER ? "read" : "contend");
	}
}

static bool all_run(void)
{
	start_again();
	for (unsigned i = 0; i < CONTENDERS; i++)
		if (killed[i])
			return false;
	return true;
}

/* One weather after the other, and some sunshine in between. */
static void storm(int64_t ms)
{
	int64_t end_ms = now_ms() + ms;

	while (now_ms() < end_ms) {
		for (unsigned i = 1 + chance_draw(&h.chance, 3); i > 0; i--)
			disturb();
		for (unsigned i = 1 + chance_draw(&h.chance, 20); i > 0; i--) {
			(void)usleep(100000);
			start_again();
			if (chance_is(&h.chance, 60))
				kill_one();
		}
		(void)fault("heal");
		(void)usleep(chance_draw(&h.chance, 4) * 250000);
	}
	(void)fault("heal");
	POLL_FOR(all_run());
}

static void a_storm_of_failures_leaves_a_history_without_fault(void **state)
{
	int64_t ms = (int64_t)test_size(20000, 40000, 240000);
	uint64_t seed = (uint64_t)boottime_ns() >> 10;

	(void)state;
	(void)test_seed(&seed);
	(void)alarm((unsigned)(ms / 1000) + 120);
	hosts_open(seed);
	for (unsigned i = 0; i < CONTENDERS; i++)
		hosts_start(i, "contend");
	hosts_start(READER, "read");
	POLL_FOR(hosts_led());
	storm(ms);
	hosts_log((struct ops_event){ .kind = OPS_HEALED });
	hosts_await_writes(2);
	hosts_log(
		(struct ops_event){ .kind = OPS_FINISH, .bound_ns = HEALED_MS * INT64_C(1000000) });
	hosts_end();
	hosts_read_all();
	print_message("%u failures, %u lost replies, %u delays, %u hangs, %u late, %u kills; "
		      "%llu terms, %llu writes acknowledged\n",
		      disturbances[0], disturbances[1] + disturbances[2], disturbances[3],
		      disturbances[4], disturbances[5], kills,
		      (unsigned long long)page_terms(h.page),
		      (unsigned long long)hosts_acknowledged());
	hosts_judge();
	hosts_verify();
	hosts_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT_TEST(a_storm_of_failures_leaves_a_history_without_fault),
	};

	return fault_enter_namespace() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
