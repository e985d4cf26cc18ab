/*
 * Power cuts under real leaders that write every store: all processes are killed, what was not
 * synced is lost (all of it, none, or what a seed chooses), the directory is mounted again. Every
 * acknowledged write is there, the directory verifies, a new leader goes on.
 *
 * The rounds are divided among processes that run side by side, each with a filesystem of its own.
 * SEED=<n> runs the rounds of one of them; who gets how far until the cut is up to the machine.
 */
#include "tests/fuse/hosts.h"

#define LANES_MAX 8
#define CLUSTER_ROUNDS 10 /* then a fresh filesystem */

static unsigned rounds;
static uint64_t seed;
static unsigned cuts;
static uint64_t
	at_stake[KINDS]; /* writes to each kind of store that were acknowledged before cuts */

static void cut(void)
{
	static const char *const whole[] = { "none", "none", "all" };
	bool kill_first = chance_is(&h.chance, 500);

	/* Either way nobody was told that anything worked after it was cut. */
	if (kill_first)
		hosts_kill_all();
	if (chance_is(&h.chance, 500))
		(void)fault("cut %s", whole[chance_draw(&h.chance, 3)]);
	else
		(void)fault("cut %u", 1 + chance_draw(&h.chance, 1u << 30));
	hosts_kill_all();
	hosts_log((struct ops_event){ .kind = OPS_CUT });
	(void)fault("mount");
	cuts++;
}

static void one_round(void)
{
	hosts_start(0, "contend");
	hosts_start(1, "contend");
	if (chance_is(&h.chance, 500))
		hosts_start(2, "read");
	/* Most die while they write, some while they claim, or are made. */
	if (!chance_is(&h.chance, 200)) {
		POLL_FOR(hosts_led());
		(void)usleep(chance_draw(&h.chance, 700) * 1000);
	} else {
		(void)usleep(chance_draw(&h.chance, 2000) * 1000);
	}
	cut();
	if (access(in_cluster(""), F_OK) != 0)
		return; /* it was not even made */
	hosts_verify();
	hosts_read_all();
}

/* What is left works as if nothing had happened. */
static void go_on(void)
{
	hosts_start(0, "contend");
	hosts_start(1, "contend");
	hosts_log((struct ops_event){ .kind = OPS_HEALED });
	POLL_FOR(hosts_led());
	hosts_await_writes(1);
	hosts_log(
		(struct ops_event){ .kind = OPS_FINISH, .bound_ns = LIMIT_MS * INT64_C(1000000) });
	hosts_end();
	hosts_read_all();
	hosts_verify();
}

static void count_at_stake(void)
{
	for (int k = 0; k < KINDS; k++)
		at_stake[k] += atomic_load(&h.page->counts[k].acknowledged);
}

static void acknowledged_writes_survive_power_cuts(void **state)
{
	(void)state;
	for (unsigned done = 0; done < rounds;) {
		(void)alarm(300);
		assert_int_equal(fault_setup(NULL), 0);
		(void)alarm(300);
		hosts_open(seed + done);
		for (unsigned i = 0; i < CLUSTER_ROUNDS && done < rounds; i++, done++)
			one_round();
		count_at_stake();
		go_on();
		hosts_judge();
		print_message("%u cuts, %llu writes acknowledged\n", cuts,
			      (unsigned long long)hosts_acknowledged());
		hosts_close();
		assert_int_equal(fault_teardown(NULL), 0);
	}
	/* What nobody had acknowledged could not be lost. */
	for (int k = 0; k < KINDS; k++) {
		print_message("%s%s: %llu",
			      k ? ", " : "acknowledged before a cut: ", store_kinds[k].name,
			      (unsigned long long)at_stake[k]);
		if (at_stake[k] == 0)
			fail_msg("no write to %s came before a power cut", store_kinds[k].name);
	}
	print_message("\n");
}

static int run_lane(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acknowledged_writes_survive_power_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a lane says is shown in one piece. */
static pid_t start_lane(unsigned lane, int *ret_output)
{
	pid_t pid;

	*ret_output = memfd_create("lane", MFD_CLOEXEC);
	if (*ret_output < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(*ret_output, STDOUT_FILENO);
		(void)dup2(*ret_output, STDERR_FILENO);
		seed += lane * UINT64_C(1000);
		exit(run_lane());
	}
	return pid;
}

static void show(int output)
{
	char text[4096];
	ssize_t n;

	(void)lseek(output, 0, SEEK_SET);
	while ((n = read(output, text, sizeof(text))) > 0)
		(void)fwrite(text, 1, (size_t)n, stdout);
	(void)close(output);
}

int main(void)
{
	unsigned lanes = (unsigned)test_size(3, 4, 8), total = (unsigned)test_size(21, 60, 504);
	pid_t pids[LANES_MAX];
	int outputs[LANES_MAX] = { 0 }, status, failed = 0;

	if (!fault_enter_namespace())
		return 1;
	seed = (uint64_t)boottime_ns() >> 10;
	rounds = total / lanes;
	if (test_seed(&seed))
		return run_lane();
	for (unsigned i = 0; i < lanes; i++)
		pids[i] = start_lane(i, &outputs[i]);
	for (unsigned i = 0; i < lanes; i++) {
		failed |= pids[i] < 0 || waitpid(pids[i], &status, 0) != pids[i] || status != 0;
		show(outputs[i]);
	}
	return failed;
}
