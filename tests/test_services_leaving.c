/* Resigning and closing when the storage fails at the wrong moment: somebody can always lead after
 * it. */
#include <dirent.h>

#include "tests/test_hook.h"

/* The epoch file is not renamed to vacant: once, or as long as `mode` says. */
static int refuse_vacating(struct hook *h, const char *op, const char *path, const char *to)
{
	(void)path;
	if (strcmp(op, "rename") != 0 || !strstr(to, "-vacant") || !atomic_load(&h->mode))
		return 0;
	if (atomic_load(&h->mode) == 1)
		atomic_store(&h->mode, 0);
	atomic_fetch_add(&h->count, 1);
	return -EIO;
}

struct leaving {
	struct hook hook;
	fsha_services *services, *other;
	struct player first, second, standby;
};

/* Two elections led by one process, and a standby of another for the first of them. */
static void lead_two(struct leaving *l)
{
	hook_init(&l->hook);
	l->hook.decide = refuse_vacating;
	l->services = open_hooked(&l->hook);
	l->other = open_services();
	player_lead(&l->first, l->services, ELECTION);
	player_lead(&l->second, l->services, "other");
	player_init(&l->standby);
	player_start(&l->standby, l->other, ELECTION);
}

static void finish(struct leaving *l)
{
	player_close(&l->standby);
	player_close(&l->second);
	close_services(l->other);
	close_services(l->services);
}

static void a_close_that_fails_once_still_lets_another_lead(void **state)
{
	static struct leaving l;

	(void)state;
	lead_two(&l);
	atomic_store(&l.hook.mode, 1);
	player_close(&l.first);
	WAIT_FOR(&l.standby.post, l.standby.leads);
	assert_int_equal(atomic_load(&l.hook.count), 1);
	/* The other election of the process goes on. */
	assert_int_equal(fsha_election_has_leadership(l.second.election, &l.second.session), 1);
	finish(&l);
}

static void a_close_that_keeps_failing_gives_the_member_up(void **state)
{
	static struct leaving l;

	(void)state;
	lead_two(&l);
	atomic_store(&l.hook.mode, 2);
	assert_ok(fsha_election_close(l.first.election, &t.error));
	WAIT_FOR(&l.standby.post, l.standby.leads);
	assert_true(atomic_load(&l.hook.count) > 1);
	atomic_store(&l.hook.mode, 0);
	/* The process came back as a new member, and leads its other election again. */
	WAIT_FOR(&l.second.post, l.second.grants == 2);
	finish(&l);
}

static size_t count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

/* Another process leads for a moment, which the standby watches. Returns how many descriptors are
 * open then. */
static size_t watch_another(fsha_services *other)
{
	fsha_services *s = open_services();
	struct player leader, standby;
	size_t n;

	player_lead(&leader, s, ELECTION);
	player_init(&standby);
	player_start(&standby, other, ELECTION);
	player_close(&leader);
	WAIT_FOR(&standby.post, standby.leads);
	player_close(&standby);
	close_services(s);
	n = count_descriptors();
	return n;
}

#define ROUNDS 20
#define MARGIN 10

static void watching_many_leaders_leaves_no_descriptor_behind(void **state)
{
	fsha_services *other = open_services();
	const struct timespec pause = { .tv_sec = 2 * LEASE_MS / 1000 };
	size_t before, after = SIZE_MAX;

	(void)state;
	before = watch_another(other);
	for (int i = 0; i < ROUNDS; i++)
		(void)watch_another(other);
	/*
	 * One leaked descriptor a round would be twice the margin, which is for the last round's
	 * watchers. A watcher ends a lease after nobody asks for it any more, and is freed when the
	 * next one is wanted: the pause is longer than that, so that none of the rounds before
	 * count.
	 */
	for (int i = 0; i < 10 && after > before + MARGIN; i++) {
		(void)nanosleep(&pause, NULL);
		after = watch_another(other);
	}
	assert_true(after <= before + MARGIN);
	close_services(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_close_that_fails_once_still_lets_another_lead),
		TEST(a_close_that_keeps_failing_gives_the_member_up),
		TEST(watching_many_leaders_leaves_no_descriptor_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
