/*
 * A leader's heartbeats against the looks of one who watches it, and the claim after them, call by
 * call, with the passing of time: whoever is granted finds that the leader's lease has ended, and
 * nothing renews it after that.
 */
#include <errno.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/actor.h"
#include "tests/lib/run.h"
#include "tests/lib/schedule.h"

#define HEART 0   /* of the leader */
#define WATCHER 1 /* and claimant */
#define LEASE_NS (ACTOR_LEASE_MS * FSU_NS_PER_MS)
#define CACHE_NS (30 * FSU_NS_PER_S)
#define CEPH_MAGIC 0x00c36400
#define BEATS 3
#define LOOKS_MAX 60

enum trouble {
	NO_TROUBLE,
	LOST_REPLY, /* of a beat */
	DELAY,      /* a beat fails, and comes later all the same */
	LOST_LOCK,
	TROUBLES
};

enum act {
	ACT_REPLY,  /* the beat's rename is done, its reply lost */
	ACT_DELAY,  /* it is on its way when the leader is told of an error */
	ACT_ARRIVE, /* and comes now */
	ACT_LOCK,   /* the server frees the leader's lock, as after a partition */
	ACTS
};

struct watch_play {
	struct crashfs *disk;
	struct actor leader, claimant;
	struct member_watch watch;
	struct puppet *heart;
	struct puppet_call late; /* path "": none */
	enum trouble trouble;
	unsigned beats; /* that counted */
	int64_t granted_ns, deadline_ns;
	char wrong[200];
};

/* ---- The players ---- */

static void beat(struct puppet *self, void *arg)
{
	struct watch_play *play = arg;
	struct member *m = play->leader.member;

	for (unsigned i = 0; i < BEATS && !puppet_is_killed(self); i++) {
		enum member_beat_result result = member_beat(m);

		if (puppet_is_killed(self) || result == MEMBER_BEAT_EXPIRED)
			return;
		play->beats += result == MEMBER_BEAT_OK;
		fsu_sleep(play->leader.fs, result == MEMBER_BEAT_OK ? LEASE_NS / 5 : LEASE_NS / 50);
	}
}

/* Is the lease alive, as has_leadership asks, but without a trace. */
static bool leads(const struct watch_play *play)
{
	return lease_deadline_ns(&play->leader.member->lease) > fsu_now_ns(play->claimant.fs);
}

static int64_t raw_deadline_ns(const struct watch_play *play)
{
	return atomic_load(&play->leader.member->lease.page->deadline_ns);
}

/* As the claimer and its watcher do it, one after the other. */
static void watch_and_claim(struct puppet *self, void *arg)
{
	struct watch_play *play = arg;
	struct actor *a = &play->claimant;
	enum member_verdict verdict = MEMBER_UNKNOWN;

	for (unsigned i = 0; i < LOOKS_MAX && !puppet_is_killed(self); i++) {
		verdict = member_watch_look(&play->watch);
		if (member_verdict_is_dead(verdict))
			break;
		fsu_sleep(a->fs, LEASE_NS / 4);
	}
	if (puppet_is_killed(self) || !member_verdict_is_dead(verdict))
		return;
	if (member_watch_may_live(&play->watch)) {
		for (unsigned i = 0; i < 10; i++)
			if (member_expel(&a->cluster, &play->watch.id) != -EAGAIN)
				break;
		fsu_sleep(a->fs, LEASE_NS + LEASE_NS / 4);
	}
	if (actor_claim(a) != FSHA_OK || puppet_is_killed(self))
		return;
	play->granted_ns = fsu_now_ns(a->fs);
	play->deadline_ns = raw_deadline_ns(play);
	if (leads(play))
		(void)snprintf(play->wrong, sizeof(play->wrong),
			       "granted %lld ns before the leader's lease ended",
			       (long long)(play->deadline_ns - play->granted_ns));
}

/* ---- The scene ---- */

static void set_up(void *ctx, struct schedule_cast *cast)
{
	struct watch_play *play = ctx;

	*play = (struct watch_play){ .trouble = play->trouble };
	play->disk = theatre_disk(cast->theatre);
	actor_start(&play->leader, play->disk, HEART);
	if (actor_claim(&play->leader) != FSHA_OK)
		fail_msg("%s", play->leader.error.message);
	actor_start(&play->claimant, play->disk, WATCHER);
	/* Its own heart beats elsewhere. */
	lease_begin(&play->claimant.member->lease, fsu_now_ns(play->claimant.fs), 600 * LEASE_NS);
	member_watch_init(&play->watch, &play->claimant.cluster, &play->leader.member->id);
	play->heart = puppet_start(cast->theatre, HEART, beat, play);
	cast->player[cast->players++] = play->heart;
	cast->player[cast->players++] = puppet_start(cast->theatre, WATCHER, watch_and_claim, play);
}

static void tear_down(void *ctx)
{
	struct watch_play *play = ctx;

	member_watch_done(&play->watch);
	actor_stop(&play->leader);
	actor_stop(&play->claimant);
}

static bool may(void *ctx, unsigned act)
{
	const struct watch_play *play = ctx;
	const struct puppet_call *next = puppet_next(play->heart);
	bool renames = next && next->kind == CRASHFS_RENAMEAT;

	switch (act) {
	case ACT_REPLY:
		return renames && play->trouble == LOST_REPLY;
	case ACT_DELAY:
		return renames && play->trouble == DELAY;
	case ACT_ARRIVE:
		return play->late.path[0];
	default:
		/* It is the leader alone that is cut off, not the one who asks for the lock. */
		return play->trouble == LOST_LOCK && play->watch.seen_held;
	}
}

static void rename_now(struct watch_play *play, const struct puppet_call *call)
{
	char from[512], to[512];

	(void)snprintf(from, sizeof(from), "/c/members/%s", call->path);
	(void)snprintf(to, sizeof(to), "/c/members/%s", call->to);
	(void)fsu_renameat(play->leader.fs, AT_FDCWD, from, AT_FDCWD, to);
}

static void act(void *ctx, struct schedule_cast *cast, unsigned act)
{
	struct watch_play *play = ctx;
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
	struct crashfs_fault fault = { .client = HEART, .error = EIO };

	(void)cast;
	switch (act) {
	case ACT_REPLY:
		rename_now(play, puppet_next(play->heart));
		break;
	case ACT_DELAY:
		play->late = *puppet_next(play->heart);
		fault.at = crashfs_count(play->disk, HEART);
		crashfs_fault_arm(play->disk, &fault);
		puppet_step(play->heart);
		crashfs_fault_clear(play->disk);
		break;
	case ACT_ARRIVE:
		rename_now(play, &play->late);
		play->late.path[0] = '\0';
		break;
	default:
		(void)fsu_lock(play->leader.fs, play->leader.member->lock.fd, F_OFD_SETLK, &lock);
		break;
	}
}

static const char *check(void *ctx, const struct schedule_cast *cast)
{
	struct watch_play *play = ctx;

	(void)cast;
	if (play->wrong[0])
		return play->wrong;
	if (!play->granted_ns)
		return "the leader has stopped beating, and nobody was granted";
	if (raw_deadline_ns(play) != play->deadline_ns)
		return "a beat renewed the lease after the grant of another";
	return NULL;
}

static uint64_t digest(void *ctx)
{
	const struct watch_play *play = ctx;
	const struct lease_page *page = play->leader.member->lease.page;
	const int64_t numbers[] = {
		atomic_load(&page->deadline_ns) / FSU_NS_PER_MS,
		atomic_load(&page->expired),
		play->leader.member->tried_ns / FSU_NS_PER_MS,
		play->watch.unchanged_since_ns / FSU_NS_PER_MS,
		play->watch.seen_held,
		play->watch.verdict,
		play->granted_ns / FSU_NS_PER_MS,
		play->late.path[0],
		/* What check() looks at, as it is now. */
		play->wrong[0],
		play->granted_ns && raw_deadline_ns(play) != play->deadline_ns,
	};
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sum = (sum ^ (uint64_t)numbers[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return sum;
}

static uint64_t outcome(void *ctx)
{
	const struct watch_play *play = ctx;

	return ((uint64_t)play->beats * 8 + play->watch.verdict) * 10000000 +
	       (uint64_t)(play->granted_ns / FSU_NS_PER_MS);
}

/* ---- Tests ---- */

static void search(const struct crashfs_options *options, const char *kind, enum trouble trouble,
		   const struct schedule_how *how)
{
	static const char *const troubles[] = { "", "-reply", "-delay", "-lock" };
	struct watch_play play = { .trouble = trouble };
	char name[64];
	const struct schedule_scene scene = {
		.name = name,
		.options = *options,
		.ctx = &play,
		.setup = set_up,
		.check = check,
		.teardown = tear_down,
		.digest = digest,
		.outcome = outcome,
		.acts = ACTS,
		.may = may,
		.act = act,
		.pauses = { 1, 1 },
	};

	(void)snprintf(name, sizeof(name), "expiry%s%s", kind, troubles[trouble]);
	schedule_assert(&scene, how);
}

/* Every order up to a number of choices; and up to the ends, those with few switches. */
static void search_both(const struct crashfs_options *options, const char *kind,
			enum trouble trouble, unsigned long depth, unsigned long switches)
{
	const struct schedule_how near = { .depth = (unsigned)depth };
	const struct schedule_how far = { .switches = (unsigned)switches };

	search(options, kind, trouble, &near);
	if (switches > 0)
		search(options, kind, trouble, &far);
}

static void nobody_is_granted_while_the_leader_leads(void **state)
{
	const struct crashfs_options local = { .seed = 1 };

	(void)state;
	search_both(&local, "", NO_TROUBLE, test_size(16, 24, 40), test_size(1, 2, 3));
	search_both(&local, "", LOST_REPLY, test_size(16, 24, 32), 1);
	search_both(&local, "", DELAY, test_size(12, 22, 30), test_size(0, 1, 1));
}

static void nobody_is_granted_while_the_leader_leads_with_caches(void **state)
{
	const struct crashfs_options nfs = { .seed = 1, .cache_ns = CACHE_NS };

	(void)state;
	search_both(&nfs, "-nfs", NO_TROUBLE, test_size(16, 24, 40), test_size(1, 2, 3));
	search_both(&nfs, "-nfs", LOST_REPLY, test_size(16, 24, 32), test_size(0, 1, 1));
	search_both(&nfs, "-nfs", DELAY, test_size(12, 22, 30), test_size(0, 0, 1));
}

static void nor_when_its_lock_is_freed_while_it_leads(void **state)
{
	const struct crashfs_options ceph = { .seed = 1,
					      .cache_ns = CACHE_NS,
					      .statfs_type = CEPH_MAGIC };

	(void)state;
	search_both(&ceph, "-ceph", LOST_LOCK, test_size(16, 24, 32), test_size(0, 0, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_is_granted_while_the_leader_leads),
		cmocka_unit_test(nobody_is_granted_while_the_leader_leads_with_caches),
		cmocka_unit_test(nor_when_its_lock_is_freed_while_it_leads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
