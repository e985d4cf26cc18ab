/* The poller, against a directory whose stamp a test sets and a clock that it moves. */
#include "test_fsu.h"

#include "fsutil/fsu_watch.h"

#define MIN_NS (200 * FSU_NS_PER_MS)
#define MAX_NS FSU_NS_PER_S

struct watched {
	struct faulty f;
	int64_t mtime_ns;
	int statx_error;
	int events;
	int notify_open_error, notify_add_error;
	unsigned notify_fds;
};

static struct watched *watched_of(void *ctx)
{
	return (struct watched *)ctx; /* the table is its first member */
}

static int watched_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
			 struct statx *ret_stat)
{
	struct watched *d = watched_of(ctx);

	(void)dirfd, (void)path, (void)flags, (void)mask;
	memset(ret_stat, 0, sizeof(*ret_stat));
	ret_stat->stx_mode = S_IFDIR | 0700;
	ret_stat->stx_nlink = 2;
	ret_stat->stx_mtime.tv_sec = d->mtime_ns / FSU_NS_PER_S;
	ret_stat->stx_mtime.tv_nsec = (uint32_t)(d->mtime_ns % FSU_NS_PER_S);
	return d->statx_error;
}

static int watched_close(void *ctx, int fd)
{
	assert_int_equal(fd, 77);
	watched_of(ctx)->notify_fds--;
	return 0;
}

static int watched_notify_open(void *ctx)
{
	struct watched *d = watched_of(ctx);

	if (d->notify_open_error)
		return d->notify_open_error;
	d->notify_fds++;
	return 77;
}

static int watched_notify_add(void *ctx, int notify_fd, int dirfd, const char *path, uint32_t mask)
{
	(void)dirfd, (void)path, (void)mask;
	assert_int_equal(notify_fd, 77);
	return watched_of(ctx)->notify_add_error;
}

static int watched_notify_drain(void *ctx, int notify_fd)
{
	struct watched *d = watched_of(ctx);
	int events = d->events;

	assert_int_equal(notify_fd, 77);
	d->events = 0;
	return events;
}

static void watched_init(struct watched *d)
{
	memset(d, 0, sizeof(*d));
	faulty_init(&d->f);
	d->f.ops.statx = watched_statx;
	d->f.ops.close = watched_close;
	d->f.ops.notify_open = watched_notify_open;
	d->f.ops.notify_add = watched_notify_add;
	d->f.ops.notify_drain = watched_notify_drain;
	d->f.fs.ctx = d;
	d->mtime_ns = 1000 * FSU_NS_PER_S + FSU_NS_PER_S / 2;
}

/* Look when the poller says so. */
static int look_in_time(struct watched *d, struct fsu_watch *w)
{
	if (w->next_ns > d->f.now_ns)
		d->f.now_ns = w->next_ns;
	return fsu_watch_look(w);
}

/* Until nothing more is to be said about what is there now. */
static void settle(struct watched *d, struct fsu_watch *w)
{
	for (int i = 0; i < 5; i++)
		if (look_in_time(d, w) == 0)
			return;
	fail();
}

static void the_first_look_says_changed(void **state)
{
	struct watched d;
	struct fsu_watch w;

	(void)state;
	watched_init(&d);
	assert_int_equal(fsu_watch_init(&w, &d.f.fs, 5, false, MIN_NS, MAX_NS), 0);
	assert_int_equal(w.next_ns, d.f.now_ns);
	assert_int_equal(fsu_watch_look(&w), 1);
	fsu_watch_done(&w);
}

static void a_fresh_change_is_looked_at_again_after_a_clock_step(void **state)
{
	struct watched d;
	struct fsu_watch w;

	(void)state;
	watched_init(&d);
	assert_int_equal(fsu_watch_init(&w, &d.f.fs, 5, false, MIN_NS, MAX_NS), 0);
	assert_int_equal(fsu_watch_look(&w), 1);
	assert_int_equal(w.next_ns, d.f.now_ns + FSU_CLOCK_STEP_NS);
	d.f.now_ns += FSU_CLOCK_STEP_NS / 2;
	assert_int_equal(fsu_watch_look(&w), 1); /* woken early: still too fresh to tell */
	d.f.now_ns = w.next_ns;
	assert_int_equal(fsu_watch_look(&w), 1); /* a second change may hide behind the first */
	assert_int_equal(look_in_time(&d, &w), 0);
	assert_int_equal(look_in_time(&d, &w), 0);
	fsu_watch_done(&w);
}

static void times_in_whole_seconds_are_not_trusted_for_a_second(void **state)
{
	struct watched d;
	struct fsu_watch w;
	int64_t start_ns;

	(void)state;
	watched_init(&d);
	d.mtime_ns = 1000 * FSU_NS_PER_S;
	start_ns = d.f.now_ns;
	assert_int_equal(fsu_watch_init(&w, &d.f.fs, 5, false, MIN_NS, MAX_NS), 0);
	do
		assert_int_equal(look_in_time(&d, &w), 1);
	while (d.f.now_ns < start_ns + FSU_NS_PER_S);
	assert_int_equal(look_in_time(&d, &w), 0);
	fsu_watch_done(&w);
}

static void a_change_is_seen_at_the_next_look(void **state)
{
	struct watched d;
	struct fsu_watch w;

	(void)state;
	watched_init(&d);
	assert_int_equal(fsu_watch_init(&w, &d.f.fs, 5, false, MIN_NS, MAX_NS), 0);
	settle(&d, &w);
	d.mtime_ns++;
	assert_int_equal(look_in_time(&d, &w), 1);
	settle(&d, &w);
	fsu_watch_done(&w);
}

static void it_is_fast_after_a_change_and_slower_when_quiet(void **state)
{
	struct watched d;
	struct fsu_watch w;
	int64_t last_ns = MIN_NS;

	(void)state;
	watched_init(&d);
	assert_int_equal(fsu_watch_init(&w, &d.f.fs, 5, false, MIN_NS, MAX_NS), 0);
	settle(&d, &w);
	for (int i = 0; i < 100; i++) {
		int64_t interval_ns;

		assert_int_equal(look_in_time(&d, &w), 0);
		interval_ns = w.next_ns - d.f.now_ns;
		assert_true(interval_ns >= last_ns);
		assert_true(interval_ns <= MAX_NS);
		last_ns = interval_ns;
	}
	assert_int_equal(last_ns, MAX_NS);
	d.mtime_ns++;
	assert_int_equal(look_in_time(&d, &w), 1);
	assert_int_equal(look_in_time(&d, &w), 1);
	assert_true(w.next_ns - d.f.now_ns <= 2 * MIN_NS);
	fsu_watch_done(&w);
}

static void after_an_error_the_next_look_says_changed(void **state)
{
	struct watched d;
	struct fsu_watch w;

	(void)state;
	watched_init(&d);
	assert_int_equal(fsu_watch_init(&w, &d.f.fs, 5, false, MIN_NS, MAX_NS), 0);
	settle(&d, &w);
	d.statx_error = -ESTALE;
	assert_int_equal(look_in_time(&d, &w), -ESTALE);
	assert_true(w.next_ns > d.f.now_ns);
	assert_true(w.next_ns <= d.f.now_ns + MAX_NS);
	d.statx_error = 0;
	assert_int_equal(look_in_time(&d, &w), 1);
	fsu_watch_done(&w);
}

static void local_directories_are_watched_by_inotify_too(void **state)
{
	struct watched d;
	struct fsu_watch w;

	(void)state;
	watched_init(&d);
	assert_int_equal(fsu_watch_init(&w, &d.f.fs, 5, true, MIN_NS, MAX_NS), 0);
	assert_int_equal(w.notify_fd, 77);
	settle(&d, &w);
	assert_int_equal(w.next_ns, d.f.now_ns + MAX_NS); /* polling is the safety net */
	d.events = 1; /* the same stamp: it was changed twice in one clock step */
	assert_int_equal(fsu_watch_look(&w), 1);
	fsu_watch_done(&w);
	assert_int_equal(d.notify_fds, 0);
	assert_int_equal(w.notify_fd, -1);
}

static void shared_directories_are_not(void **state)
{
	struct watched d;
	struct fsu_watch w;

	(void)state;
	watched_init(&d);
	assert_int_equal(fsu_watch_init(&w, &d.f.fs, 5, false, MIN_NS, MAX_NS), 0);
	assert_int_equal(w.notify_fd, -1);
	fsu_watch_done(&w);
}

static void without_inotify_it_polls(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct watched d;
		struct fsu_watch w;

		watched_init(&d);
		if (i == 0)
			d.notify_open_error = -ENOSYS;
		else
			d.notify_add_error = -ENOSPC;
		assert_int_equal(fsu_watch_init(&w, &d.f.fs, 5, true, MIN_NS, MAX_NS), 0);
		assert_int_equal(w.notify_fd, -1);
		assert_int_equal(d.notify_fds, 0);
		settle(&d, &w);
		assert_true(w.next_ns - d.f.now_ns < MAX_NS);
		fsu_watch_done(&w);
	}
}

static void a_real_change_wakes_and_shows(void **state)
{
	struct fixture *x = *state;
	struct fsu_watch w;

	assert_int_equal(fsu_watch_init(&w, &fsu_posix, x->fd, true, MIN_NS, MAX_NS), 0);
	assert_int_equal(fsu_watch_look(&w), 1);
	put(x, "new", "", 0);
	if (w.notify_fd >= 0)
		assert_int_equal(fsu_wait(&fsu_posix, &w.notify_fd, 1, FSU_FOREVER), 1);
	assert_int_equal(fsu_watch_look(&w), 1);
	fsu_watch_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_look_says_changed),
		cmocka_unit_test(a_fresh_change_is_looked_at_again_after_a_clock_step),
		cmocka_unit_test(times_in_whole_seconds_are_not_trusted_for_a_second),
		cmocka_unit_test(a_change_is_seen_at_the_next_look),
		cmocka_unit_test(it_is_fast_after_a_change_and_slower_when_quiet),
		cmocka_unit_test(after_an_error_the_next_look_says_changed),
		cmocka_unit_test(local_directories_are_watched_by_inotify_too),
		cmocka_unit_test(shared_directories_are_not),
		cmocka_unit_test(without_inotify_it_polls),
		test_in_directory(a_real_change_wakes_and_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
