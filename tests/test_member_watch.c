/*
 * Watching a member: by its lock, and what is final. Its heartbeat: test_member_span.c.
 */
#include "tests/lib/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsutil/fsu_file.h"
#include "src/cluster/layout.h"
#include "src/member/watch.h"

#define SPAN_NS (FIXTURE_LEASE_NS + FIXTURE_LEASE_NS / 4)
/* Time that the calls of a look take by themselves. */
#define LOOK_NS FSU_NS_PER_MS

/* Client 0 is the member, client 1 watches it. */
static struct fixture *f;
static struct member *m;
static struct member_watch w;

static const struct fixture_options network = { .fs = { .cache_ns = FIXTURE_CACHE_NS } };
/* A FUSE that nobody knows: locks are not believed. */
static const struct fixture_options unknown = { .fs = { .statfs_type = 0x12345678 } };

static void start(const struct fixture_options *options)
{
	f = fixture_open(options);
	m = fixture_member(f, 0);
	member_watch_init(&w, &f->cluster[1], &m->id);
}

static int setup(void **state)
{
	(void)state;
	start(NULL);
	return 0;
}

static int setup_network(void **state)
{
	(void)state;
	start(&network);
	return 0;
}

static int setup_unknown(void **state)
{
	(void)state;
	start(&unknown);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	crashfs_hook_set(f->fs, NULL, NULL); /* its context was the test's */
	crashfs_fault_clear(f->fs);
	member_watch_done(&w);
	member_destroy(m);
	m = NULL;
	fixture_close(f);
	return 0;
}

static int64_t now(void)
{
	return fsu_now_ns(f->client[1]);
}

static void pass_until(int64_t when_ns)
{
	assert_true(when_ns >= now());
	crashfs_advance(f->fs, when_ns - now());
}

static void expect(enum member_verdict expected)
{
	enum member_verdict verdict = member_watch_look(&w);

	if (verdict != expected)
		fixture_print_log(f);
	assert_int_equal(verdict, expected);
	assert_int_equal(w.verdict, expected);
}

static void beat(void)
{
	assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
}

/* The member's process is gone, as far as its lock tells. */
static void let_go(void)
{
	fsu_lock_release(f->client[0], &m->lock);
}

/* ---- The lock ---- */

static void nothing_is_known_before_the_first_look(void **state)
{
	(void)state;
	assert_int_equal(w.verdict, MEMBER_UNKNOWN);
	assert_int_equal(member_watch_look_at_lock(&w), MEMBER_UNKNOWN);
	assert_false(member_verdict_is_dead(w.verdict));
}

static void member_that_holds_its_lock_is_alive(void **state)
{
	(void)state;
	expect(MEMBER_ALIVE);
	assert_true(w.seen_held);
	assert_true(w.lock_held);
}

static void lock_that_was_seen_held_and_is_free_is_death(void **state)
{
	(void)state;
	expect(MEMBER_ALIVE);
	let_go();
	expect(MEMBER_DEAD_LOCK);
	assert_false(w.lock_held);
}

static void lock_alone_tells_of_death_too(void **state)
{
	(void)state;
	expect(MEMBER_ALIVE);
	assert_int_equal(member_watch_look_at_lock(&w), MEMBER_ALIVE);
	let_go();
	assert_int_equal(member_watch_look_at_lock(&w), MEMBER_DEAD_LOCK);
	assert_true(member_verdict_is_dead(w.verdict));
}

static void killed_process_is_dead_by_its_lock(void **state)
{
	(void)state;
	expect(MEMBER_ALIVE);
	crashfs_kill_client(f->fs, 0);
	expect(MEMBER_DEAD_LOCK);
	/* What is left of its memory; its descriptors went with it. */
	m->fd = f->cluster[0].fd = f->cluster[0].leaders_fd = -1;
	f->cluster[0].elections_fd = f->cluster[0].members_fd = -1;
}

/*
 * By an odd filesystem, which may have lost the lock or never had it: not seen held, not believed.
 */
static void lock_that_is_free_but_was_never_seen_held_is_no_death(void **state)
{
	int64_t seen_ns;

	(void)state;
	let_go();
	expect(MEMBER_ALIVE);
	seen_ns = now();
	assert_false(w.seen_held);
	for (int i = 0; i < 6; i++) {
		crashfs_advance(f->fs, FIXTURE_LEASE_NS / 5);
		expect(MEMBER_ALIVE);
	}
	/* The heartbeat alone counts. */
	pass_until(seen_ns + SPAN_NS + 1);
	expect(MEMBER_DEAD_BEAT);
}

static void lock_that_was_seen_held_is_believed_on_any_filesystem(void **state)
{
	(void)state;
	expect(MEMBER_ALIVE);
	assert_false(w.lock_believed);
	let_go();
	expect(MEMBER_DEAD_LOCK);
}

/* The watcher came after the death. */
static void free_lock_is_death_where_both_sides_mounts_are_believed(void **state)
{
	(void)state;
	let_go();
	expect(MEMBER_DEAD_LOCK);
	assert_true(w.lock_believed);
	assert_false(w.seen_held);
}

static void free_lock_is_no_death_where_the_watchers_mount_keeps_locks_local(void **state)
{
	(void)state;
	f->cluster[1].mount.locks_local = true;
	let_go();
	expect(MEMBER_ALIVE);
	assert_false(w.lock_believed);
}

static void free_lock_is_no_death_where_the_members_mount_kept_it_local(void **state)
{
	struct member *other;

	(void)state;
	f->cluster[0].mount.locks_local = true;
	other = fixture_member(f, 0);
	member_watch_done(&w);
	member_watch_init(&w, &f->cluster[1], &other->id);
	fsu_lock_release(f->client[0], &other->lock);
	expect(MEMBER_ALIVE);
	assert_true(w.info_read);
	assert_false(w.lock_believed);
	member_destroy(other);
}

static void free_lock_is_no_death_where_the_info_cannot_be_read(void **state)
{
	(void)state;
	crashfs_put(f->fs, fixture_path(f, "members/%s/info~%016x.%016x.0000", m->name, 0u, 1u),
		    "x", 1);
	let_go();
	expect(MEMBER_ALIVE);
	assert_false(w.lock_believed);
}

static void member_without_a_lock_file_lives_by_its_heartbeat(void **state)
{
	(void)state;
	crashfs_rm(f->fs, fixture_path(f, "members/%s/lock", m->name));
	for (int i = 0; i < 20; i++) {
		expect(MEMBER_ALIVE);
		crashfs_advance(f->fs, FIXTURE_LEASE_NS / 5);
		beat();
	}
	expect(MEMBER_ALIVE);
	crashfs_advance(f->fs, SPAN_NS + LOOK_NS);
	expect(MEMBER_DEAD_BEAT);
}

/* ---- Gone, and final ---- */

static void member_whose_directory_is_gone_is_gone(void **state)
{
	(void)state;
	expect(MEMBER_ALIVE);
	crashfs_rm(f->fs, fixture_path(f, "members/%s", m->name));
	expect(MEMBER_GONE);
	/* It may not have been its own doing. */
	assert_true(member_watch_may_live(&w));
}

static void member_that_never_was_is_gone(void **state)
{
	struct fsu_uuid nobody = { { 1 } };

	(void)state;
	member_watch_done(&w);
	member_watch_init(&w, &f->cluster[1], &nobody);
	expect(MEMBER_GONE);
}

struct early {
	char name[FSU_UUID_HEX + 1];
};

/* Client 1 looks the directory up before it has its name, and remembers that there is none. */
static void look_early_hook(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct early *early = ctx;
	struct statx st;

	if (client != 0 || call != CRASHFS_RENAMEAT || path[0] != '~')
		return;
	memcpy(early->name, path + 1, FSU_UUID_HEX);
	assert_int_equal(
		fsu_statx(f->client[1], f->cluster[1].members_fd, early->name, 0, STATX_TYPE, &st),
		-ENOENT);
}

static void member_that_was_looked_for_too_early_is_found_all_the_same(void **state)
{
	struct early early = { "" };
	struct member *other;
	struct statx st;

	(void)state;
	crashfs_hook_set(f->fs, look_early_hook, &early);
	other = fixture_member(f, 0);
	crashfs_hook_set(f->fs, NULL, NULL);
	assert_string_equal(early.name, other->name);
	/* It does remember. */
	assert_int_equal(
		fsu_statx(f->client[1], f->cluster[1].members_fd, early.name, 0, STATX_TYPE, &st),
		-ENOENT);
	member_watch_done(&w);
	member_watch_init(&w, &f->cluster[1], &other->id);
	expect(MEMBER_ALIVE);
	member_destroy(other);
}

/* A filesystem whose times are whole seconds: an absence is believed only after the next one. */
static void expelled_member_is_found_dead_where_times_are_coarse(void **state)
{
	static const struct fixture_options coarse = { .fs = { .cache_ns = FIXTURE_CACHE_NS,
							       .time_step_ns = FSU_NS_PER_S } };
	int64_t begun_ns;

	(void)state;
	start(&coarse);
	assert_int_equal(member_expel(&f->cluster[1], &m->id), 0);
	/* Its lock says nothing: it is held. */
	begun_ns = now();
	while (member_watch_look(&w) != MEMBER_DEAD_BEAT) {
		if (now() - begun_ns > 3 * SPAN_NS)
			fail_msg("not found dead");
		crashfs_advance(f->fs, FIXTURE_LEASE_NS / 10);
	}
	assert_true(now() - begun_ns > SPAN_NS);
}

static void verdict_of_death_is_final(void **state)
{
	(void)state;
	expect(MEMBER_ALIVE);
	crashfs_advance(f->fs, SPAN_NS + LOOK_NS);
	expect(MEMBER_DEAD_BEAT);
	crashfs_count_reset(f->fs);
	expect(MEMBER_DEAD_BEAT);
	assert_int_equal(member_watch_look_at_lock(&w), MEMBER_DEAD_BEAT);
	assert_int_equal(crashfs_count(f->fs, 1), 0);
}

/* ---- Network filesystems ---- */

static void beats_are_seen_through_the_caches_of_the_network(void **state)
{
	(void)state;
	assert_false(f->cluster[1].local);
	for (int i = 0; i < 50; i++) {
		expect(MEMBER_ALIVE);
		crashfs_advance(f->fs, FIXTURE_LEASE_NS / 5);
		beat();
	}
	expect(MEMBER_ALIVE);
	pass_until(w.unchanged_since_ns + SPAN_NS + 1);
	expect(MEMBER_DEAD_BEAT);
}

static void freed_lock_may_belong_to_a_living_leader_unless_the_lease_is_shorter(void **state)
{
	(void)state;
	expect(MEMBER_ALIVE);
	let_go();
	expect(MEMBER_DEAD_LOCK);
	/* By the server's lock lease, as the mount tells it. */
	assert_int_equal(f->cluster[1].mount.lock_lease_ms, 90000);
	assert_false(member_watch_may_live(&w));
	f->cluster[1].mount.lock_lease_ms = FIXTURE_LEASE_MS + 1;
	assert_false(member_watch_may_live(&w));
	f->cluster[1].mount.lock_lease_ms = FIXTURE_LEASE_MS;
	assert_true(member_watch_may_live(&w));
	f->cluster[1].mount.lock_lease_ms = FIXTURE_LEASE_MS - 1;
	assert_true(member_watch_may_live(&w));
	f->cluster[1].mount.lock_lease_ms = 0; /* not known */
	assert_true(member_watch_may_live(&w));
}

static void freed_lock_on_one_host_is_the_end_of_its_process(void **state)
{
	(void)state;
	expect(MEMBER_ALIVE);
	let_go();
	expect(MEMBER_DEAD_LOCK);
	assert_false(member_watch_may_live(&w));
}

static void only_a_freed_lock_leaves_a_doubt(void **state)
{
	(void)state;
	f->cluster[1].mount.lock_lease_ms = 0;
	assert_false(member_watch_may_live(&w));
	expect(MEMBER_ALIVE);
	assert_false(member_watch_may_live(&w));
	crashfs_advance(f->fs, SPAN_NS + LOOK_NS);
	expect(MEMBER_DEAD_BEAT);
	assert_false(member_watch_may_live(&w));
}

/* ---- By the real table: the close that comes with death wakes the watcher ---- */

static void close_of_the_lock_file_wakes_the_watcher(void **state)
{
	char directory[] = "/tmp/fsha-test-watch-XXXXXX";
	struct cluster_options options = { .cluster_id = "c", .create = true };
	struct member_watch watch;
	struct cluster cluster;
	struct member *member;
	int storage_fd, ready;

	(void)state;
	assert_non_null(mkdtemp(directory));
	options.storage_dir = directory;
	assert_int_equal(cluster_open(&fsu_posix, &options, &cluster, NULL), FSHA_OK);
	assert_int_equal(member_join(&cluster, false, &member, NULL), FSHA_OK);
	member_watch_init(&watch, &cluster, &member->id);
	assert_int_equal(member_watch_look(&watch), MEMBER_ALIVE);
	if (cluster.local) {
		assert_true(watch.notify_fd >= 0);
		assert_int_equal(fsu_wait(&fsu_posix, &watch.notify_fd, 1, 0), 0);
		fsu_lock_release(&fsu_posix, &member->lock);
		ready = fsu_wait(&fsu_posix, &watch.notify_fd, 1,
				 fsu_now_ns(&fsu_posix) + 10 * FSU_NS_PER_S);
		assert_int_equal(ready, 1);
	} else {
		/* inotify does not see other hosts. */
		assert_int_equal(watch.notify_fd, -1);
		fsu_lock_release(&fsu_posix, &member->lock);
	}
	assert_int_equal(member_watch_look(&watch), MEMBER_DEAD_LOCK);
	member_watch_done(&watch);
	member_destroy(member);
	cluster_close(&cluster);
	storage_fd = fsu_dir_open(&fsu_posix, AT_FDCWD, "/tmp");
	assert_true(storage_fd >= 0);
	layout_remove_tree(&fsu_posix, storage_fd, directory + sizeof("/tmp"));
	(void)fsu_close(&fsu_posix, storage_fd);
	assert_int_equal(access(directory, F_OK), -1);
}

#define watch_test(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
#define network_test(t) cmocka_unit_test_setup_teardown(t, setup_network, teardown)
#define unknown_test(t) cmocka_unit_test_setup_teardown(t, setup_unknown, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		watch_test(nothing_is_known_before_the_first_look),
		watch_test(member_that_holds_its_lock_is_alive),
		network_test(member_that_holds_its_lock_is_alive),
		watch_test(lock_that_was_seen_held_and_is_free_is_death),
		network_test(lock_that_was_seen_held_and_is_free_is_death),
		watch_test(lock_alone_tells_of_death_too),
		watch_test(killed_process_is_dead_by_its_lock),
		unknown_test(lock_that_is_free_but_was_never_seen_held_is_no_death),
		unknown_test(lock_that_was_seen_held_is_believed_on_any_filesystem),
		watch_test(free_lock_is_death_where_both_sides_mounts_are_believed),
		network_test(free_lock_is_death_where_both_sides_mounts_are_believed),
		network_test(free_lock_is_no_death_where_the_watchers_mount_keeps_locks_local),
		network_test(free_lock_is_no_death_where_the_members_mount_kept_it_local),
		watch_test(free_lock_is_no_death_where_the_info_cannot_be_read),
		watch_test(member_without_a_lock_file_lives_by_its_heartbeat),
		watch_test(member_whose_directory_is_gone_is_gone),
		network_test(member_whose_directory_is_gone_is_gone),
		network_test(member_that_never_was_is_gone),
		network_test(member_that_was_looked_for_too_early_is_found_all_the_same),
		cmocka_unit_test_teardown(expelled_member_is_found_dead_where_times_are_coarse,
					  teardown),
		watch_test(verdict_of_death_is_final),
		network_test(beats_are_seen_through_the_caches_of_the_network),
		network_test(freed_lock_may_belong_to_a_living_leader_unless_the_lease_is_shorter),
		watch_test(freed_lock_on_one_host_is_the_end_of_its_process),
		network_test(only_a_freed_lock_leaves_a_doubt),
		cmocka_unit_test(close_of_the_lock_file_wakes_the_watcher),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
