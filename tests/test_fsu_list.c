/* Listings: what they hold, and when they may be believed. */
#include "test_fsu.h"

#include "fsutil/fsu_list.h"

/*
 * Make a name, and make sure that the stamp of the directory shows it, however coarse its clock is.
 */
static void add_name(const struct fixture *x, const char *name)
{
	static time_t second = 1000000000;
	struct timespec times[2] = { { .tv_sec = second }, { .tv_sec = second } };

	second++;
	put(x, name, "", 0);
	assert_int_equal(futimens(x->fd, times), 0);
}

static void add_one_more(struct faulty *f)
{
	static unsigned n;
	char name[32];

	(void)snprintf(name, sizeof(name), "more-%u", n++);
	add_name(f->user, name);
}

static void a_listing_holds_all_names_but_the_dots(void **state)
{
	struct fixture *x = *state;
	struct fsu_list list;

	put(x, ".hidden", "", 0);
	put(x, "b", "", 0);
	assert_int_equal(mkdirat(x->fd, "sub", 0700), 0);
	fsu_list_init(&list, &x->f.fs);
	assert_int_equal(fsu_list_pass(&list, x->fd, "", true), 0);
	assert_int_equal(list.count, 3);
	assert_true(fsu_list_has(&list, ".hidden"));
	assert_true(fsu_list_has(&list, "b"));
	assert_true(fsu_list_has(&list, "sub"));
	assert_false(fsu_list_has(&list, "su"));
	fsu_list_done(&list);
	assert_int_equal(x->f.live_allocations, 0);
	assert_int_equal(x->f.open_fds, 0);
}

static void a_listing_of_many_names_is_whole(void **state)
{
	enum {
		NAMES = 3000
	}; /* several times what one getdents brings */
	struct fixture *x = *state;
	bool seen[NAMES] = { false };
	struct fsu_list list;

	for (unsigned i = 0; i < NAMES; i++) {
		char name[40];

		(void)snprintf(name, sizeof(name), "a-rather-long-name-for-a-file-%04u", i);
		put(x, name, "", 0);
	}
	fsu_list_init(&list, &x->f.fs);
	assert_int_equal(fsu_list_pass(&list, x->fd, "", true), 0);
	assert_true(x->f.count[GETDENTS] > 3);
	assert_int_equal(list.count, NAMES);
	for (size_t i = 0; i < list.count; i++) {
		unsigned n = (unsigned)strtoul(fsu_list_name(&list, i) + 30, NULL, 10);

		assert_true(n < NAMES);
		assert_false(seen[n]);
		seen[n] = true;
	}
	fsu_list_done(&list);
}

/* To take them away: no directory is too large for that. */
static void some_names_of_many_are_as_many_as_are_asked_for(void **state)
{
	enum {
		NAMES = 3000
	};
	struct fixture *x = *state;
	struct fsu_list list;
	bool more = false;

	for (unsigned i = 0; i < NAMES; i++) {
		char name[40];

		(void)snprintf(name, sizeof(name), "a-rather-long-name-for-a-file-%04u", i);
		put(x, name, "", 0);
	}
	fsu_list_init(&list, &x->f.fs);
	assert_int_equal(fsu_list_some(&list, x->fd, "", 100, &more), 0);
	assert_true(more);
	assert_in_range(list.count, 100, NAMES - 1);
	assert_int_equal(x->f.count[GETDENTS], 1);
	assert_int_equal(fsu_list_some(&list, x->fd, "", NAMES + 1, &more), 0);
	assert_false(more);
	assert_int_equal(list.count, NAMES);
	assert_int_equal(fsu_list_some(&list, x->fd, "nowhere", 1, &more), -ENOENT);
	assert_int_equal(list.count, 0);
	fsu_list_done(&list);
	assert_int_equal(x->f.live_allocations, 0);
	assert_int_equal(x->f.open_fds, 0);
}

static void a_list_can_be_used_again(void **state)
{
	struct fixture *x = *state;
	struct fsu_list list;

	assert_int_equal(mkdirat(x->fd, "sub", 0700), 0);
	put(x, "sub/inner", "", 0);
	fsu_list_init(&list, &x->f.fs);
	assert_int_equal(fsu_list_pass(&list, x->fd, "", true), 0);
	assert_int_equal(fsu_list_pass(&list, x->fd, "sub", true), 0);
	assert_int_equal(list.count, 1);
	assert_string_equal(fsu_list_name(&list, 0), "inner");
	fsu_list_done(&list);
}

static void what_is_no_directory_cannot_be_listed(void **state)
{
	struct fixture *x = *state;
	struct fsu_list list;

	put(x, "file", "", 0);
	assert_int_equal(symlinkat(".", x->fd, "link"), 0);
	fsu_list_init(&list, &x->f.fs);
	assert_int_equal(fsu_list_pass(&list, x->fd, "none", true), -ENOENT);
	assert_int_equal(fsu_list_pass(&list, x->fd, "file", true), -ENOTDIR);
	assert_int_equal(fsu_list_pass(&list, x->fd, "link", true), -ENOTDIR);
	assert_int_equal(list.count, 0);
	fsu_list_done(&list);
}

static void a_removed_directory_is_gone_also_for_its_descriptor(void **state)
{
	struct fixture *x = *state;
	struct fsu_list list;
	int fd;

	assert_int_equal(mkdirat(x->fd, "sub", 0700), 0);
	fd = openat(x->fd, "sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(unlinkat(x->fd, "sub", AT_REMOVEDIR), 0);
	fsu_list_init(&list, &x->f.fs);
	assert_int_equal(fsu_list_pass(&list, fd, "", true), -ENOENT);
	fsu_list_done(&list);
	close(fd);
}

static void the_first_pass_over_a_shared_directory_is_not_stable(void **state)
{
	struct fixture *x = *state;
	struct fsu_list list;

	fsu_list_init(&list, &x->f.fs);
	assert_int_equal(fsu_list_pass(&list, x->fd, "", false), 0);
	assert_false(list.stable);
	x->f.now_ns += FSU_CLOCK_STEP_NS - 1;
	assert_int_equal(fsu_list_pass(&list, x->fd, "", false), 0);
	assert_false(list.stable);
	fsu_list_done(&list);
}

static void an_unchanged_directory_is_stable_after_a_clock_step(void **state)
{
	struct fixture *x = *state;
	struct fsu_list list;

	fsu_list_init(&list, &x->f.fs);
	assert_int_equal(fsu_list_pass(&list, x->fd, "", false), 0);
	x->f.now_ns += FSU_CLOCK_STEP_NS;
	assert_int_equal(fsu_list_pass(&list, x->fd, "", false), 0);
	assert_true(list.stable);
	fsu_list_done(&list);
}

static void a_change_between_passes_starts_the_clock_step_anew(void **state)
{
	struct fixture *x = *state;
	struct fsu_list list;

	fsu_list_init(&list, &x->f.fs);
	assert_int_equal(fsu_list_pass(&list, x->fd, "", false), 0);
	x->f.now_ns += FSU_CLOCK_STEP_NS;
	add_name(x, "new");
	assert_int_equal(fsu_list_pass(&list, x->fd, "", false), 0);
	assert_false(list.stable);
	x->f.now_ns += FSU_CLOCK_STEP_NS;
	assert_int_equal(fsu_list_pass(&list, x->fd, "", false), 0);
	assert_true(list.stable);
	fsu_list_done(&list);
}

static void a_local_directory_with_old_times_is_stable_at_once(void **state)
{
	struct fixture *x = *state;
	struct fsu_list list;

	x->f.wall_ns += 3600 * FSU_NS_PER_S;
	fsu_list_init(&list, &x->f.fs);
	assert_int_equal(fsu_list_pass(&list, x->fd, "", true), 0);
	assert_true(list.stable);
	fsu_list_done(&list);
}

static void a_local_directory_with_fresh_times_is_not(void **state)
{
	struct fixture *x = *state;
	struct fsu_stamp stamp;
	struct fsu_list list;

	assert_int_equal(fsu_stamp_read(&x->f.fs, x->fd, "", &stamp), 0);
	x->f.wall_ns = stamp.ctime_ns + FSU_CLOCK_STEP_NS - 1;
	fsu_list_init(&list, &x->f.fs);
	assert_int_equal(fsu_list_pass(&list, x->fd, "", true), 0);
	assert_false(list.stable);
	fsu_list_done(&list);
}

/* As an ext4 with small inodes stores them. */
static int coarse_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
			struct statx *ret_stat)
{
	int r = faulty_statx(ctx, dirfd, path, flags, mask, ret_stat);

	ret_stat->stx_mtime.tv_nsec = ret_stat->stx_ctime.tv_nsec = 0;
	return r;
}

static void times_in_whole_seconds_are_not_believed_for_a_second(void **state)
{
	struct fixture *x = *state;
	struct fsu_stamp stamp;
	struct fsu_list list;

	x->f.ops.statx = coarse_statx;
	assert_int_equal(fsu_stamp_read(&x->f.fs, x->fd, "", &stamp), 0);
	x->f.wall_ns = stamp.ctime_ns + FSU_NS_PER_S - 1;
	fsu_list_init(&list, &x->f.fs);
	assert_int_equal(fsu_list_pass(&list, x->fd, "", true), 0);
	assert_false(list.stable);
	x->f.wall_ns++;
	assert_int_equal(fsu_list_pass(&list, x->fd, "", true), 0);
	assert_true(list.stable);
	x->f.now_ns += FSU_NS_PER_S - 1;
	assert_int_equal(fsu_list_pass(&list, x->fd, "", false), 0);
	assert_false(list.stable);
	fsu_list_done(&list);
}

static void a_change_during_the_listing_makes_it_unstable(void **state)
{
	struct fixture *x = *state;
	struct fsu_list list;

	x->f.user = x;
	x->f.after_getdents = add_one_more;
	x->f.wall_ns += 3600 * FSU_NS_PER_S;
	fsu_list_init(&list, &x->f.fs);
	assert_int_equal(fsu_list_pass(&list, x->fd, "", true), 0);
	assert_false(list.stable);
	fsu_list_done(&list);
}

static void reading_waits_out_a_clock_step(void **state)
{
	struct fixture *x = *state;
	int64_t start_ns = x->f.now_ns;
	struct fsu_list list;

	fsu_list_init(&list, &x->f.fs);
	assert_int_equal(fsu_list_read(&list, x->fd, "", false, FSU_NS_PER_S), 0);
	assert_true(list.stable);
	assert_int_equal(x->f.now_ns - start_ns, FSU_CLOCK_STEP_NS);
	fsu_list_done(&list);
}

static void reading_gives_up_at_its_limit(void **state)
{
	struct fixture *x = *state;
	int64_t start_ns = x->f.now_ns;
	struct fsu_list list;

	x->f.user = x;
	x->f.while_waiting = add_one_more;
	fsu_list_init(&list, &x->f.fs);
	assert_int_equal(fsu_list_read(&list, x->fd, "", false, 10 * FSU_CLOCK_STEP_NS), 0);
	assert_false(list.stable);
	assert_true(x->f.now_ns - start_ns <= 10 * FSU_CLOCK_STEP_NS);
	assert_true(list.count > 5);
	fsu_list_done(&list);
}

static void reading_without_time_is_one_pass(void **state)
{
	struct fixture *x = *state;
	struct fsu_list list;

	put(x, "a", "", 0);
	fsu_list_init(&list, &x->f.fs);
	assert_int_equal(fsu_list_read(&list, x->fd, "", false, 0), 0);
	assert_int_equal(list.count, 1);
	assert_int_equal(x->f.count[OPENAT], 1);
	fsu_list_done(&list);
}

static void every_failing_call_is_reported_and_leaks_nothing(void **state)
{
	static const struct {
		int call;
		unsigned at;
		int error;
	} cases[] = {
		{ STATX, 0, EIO },    { STATX, 1, ESTALE }, { OPENAT, 0, EMFILE },
		{ GETDENTS, 0, EIO }, { GETDENTS, 1, EIO }, { ALLOC, 0, ENOMEM },
		{ ALLOC, 1, ENOMEM }, { ALLOC, 2, ENOMEM },
	};
	struct fixture *x = *state;

	put(x, "a", "", 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fsu_list list;

		fsu_list_init(&list, &x->f.fs);
		faulty_arm(&x->f, cases[i].call, cases[i].at, cases[i].error, NOT_DONE);
		assert_int_equal(fsu_list_pass(&list, x->fd, "", true), -cases[i].error);
		assert_int_equal(x->f.fired, 1);
		assert_int_equal(list.count, 0);
		assert_false(list.stable);
		fsu_list_done(&list);
		assert_int_equal(x->f.live_allocations, 0);
		assert_int_equal(x->f.open_fds, 0);
	}
}

static int seen_flags;

static int recording_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
			   struct statx *ret_stat)
{
	seen_flags = flags;
	return faulty_statx(ctx, dirfd, path, flags, mask, ret_stat);
}

static void stamps_ask_the_server(void **state)
{
	struct fixture *x = *state;
	struct fsu_stamp stamp;

	x->f.ops.statx = recording_statx;
	assert_int_equal(fsu_stamp_read(&x->f.fs, x->fd, "", &stamp), 0);
	assert_true(seen_flags & AT_STATX_FORCE_SYNC);
	assert_true(seen_flags & AT_EMPTY_PATH);
	assert_int_equal(fsu_stamp_read(&x->f.fs, x->fd, ".", &stamp), 0);
	assert_true(seen_flags & AT_STATX_FORCE_SYNC);
	assert_false(seen_flags & AT_EMPTY_PATH);
}

/* Entries as no kernel makes them; the last byte of a name is its terminator. */
static const unsigned char *bad_entries;
static size_t bad_len;

static ssize_t bad_getdents(void *ctx, int fd, void *buf, size_t len)
{
	(void)ctx, (void)fd;
	assert_true(bad_len <= len);
	memcpy(buf, bad_entries, bad_len);
	return (ssize_t)bad_len;
}

static void malformed_entries_are_an_error(void **state)
{
	static const unsigned char longer_than_the_buffer[24] = { [16] = 200, [19] = 'a' };
	static const unsigned char without_end[24] = {
		[16] = 24, [19] = 'a', [20] = 'b', [21] = 'c', [22] = 'd', [23] = 'e',
	};
	static const unsigned char without_name[24] = { [16] = 24 };
	static const unsigned char without_length[24] = { [19] = 'a' };
	static const struct {
		const unsigned char *entries;
		size_t len;
	} cases[] = {
		{ longer_than_the_buffer, 24 }, { without_end, 24 }, { without_name, 24 },
		{ without_length, 24 },         { without_name, 7 },
	};
	struct fixture *x = *state;

	x->f.ops.getdents = bad_getdents;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fsu_list list;

		bad_entries = cases[i].entries;
		bad_len = cases[i].len;
		fsu_list_init(&list, &x->f.fs);
		assert_int_equal(fsu_list_pass(&list, x->fd, "", true), -EIO);
		fsu_list_done(&list);
		assert_int_equal(x->f.live_allocations, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_in_directory(a_listing_holds_all_names_but_the_dots),
		test_in_directory(a_listing_of_many_names_is_whole),
		test_in_directory(some_names_of_many_are_as_many_as_are_asked_for),
		test_in_directory(a_list_can_be_used_again),
		test_in_directory(what_is_no_directory_cannot_be_listed),
		test_in_directory(a_removed_directory_is_gone_also_for_its_descriptor),
		test_in_directory(the_first_pass_over_a_shared_directory_is_not_stable),
		test_in_directory(an_unchanged_directory_is_stable_after_a_clock_step),
		test_in_directory(a_change_between_passes_starts_the_clock_step_anew),
		test_in_directory(a_local_directory_with_old_times_is_stable_at_once),
		test_in_directory(a_local_directory_with_fresh_times_is_not),
		test_in_directory(times_in_whole_seconds_are_not_believed_for_a_second),
		test_in_directory(a_change_during_the_listing_makes_it_unstable),
		test_in_directory(reading_waits_out_a_clock_step),
		test_in_directory(reading_gives_up_at_its_limit),
		test_in_directory(reading_without_time_is_one_pass),
		test_in_directory(every_failing_call_is_reported_and_leaks_nothing),
		test_in_directory(stamps_ask_the_server),
		test_in_directory(malformed_entries_are_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
