/*
 * Publishing: what each way of failing comes out as. The sweep over all of them is
 * test_fsu_publish_sweep.c.
 */
#include "test_fsu.h"

#include "fsutil/fsu_file.h"

#define STAGED "tenure-1/s"
#define NAME "store/key~1"

struct publishing {
	struct fixture *x;
	int store_fd;
	struct fsu_publication p;
};

static void stage(struct publishing *g, struct fixture *x)
{
	assert_int_equal(mkdirat(x->fd, "tenure-1", 0700), 0);
	assert_int_equal(mkdirat(x->fd, "store", 0700), 0);
	assert_int_equal(fsu_file_stage(&x->f.fs, x->fd, STAGED, "value", 5, NULL), 0);
	g->x = x;
	g->store_fd = openat(x->fd, "store", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(g->store_fd >= 0);
	g->p = (struct fsu_publication){
		.from_dirfd = x->fd,
		.from = STAGED,
		.from_dir = "tenure-1",
		.to_dirfd = g->store_fd,
		.to = "key~1",
	};
	x->f.user = x;
}

static void done(struct publishing *g)
{
	close(g->store_fd);
	assert_int_equal(g->x->f.live_allocations, 0);
	assert_int_equal(g->x->f.open_fds, 0);
}

static void publish(struct publishing *g, struct fsu_published *ret_published)
{
	fsu_publish(&g->x->f.fs, &g->p, ret_published);
}

static void settle(struct publishing *g, struct fsu_published *ret_published)
{
	fsu_publish_settle(&g->x->f.fs, &g->p, ret_published);
}

static void a_published_file_is_there_and_its_directory_synced(void **state)
{
	struct publishing g;
	struct fsu_published out;
	unsigned syncs;

	stage(&g, *state);
	syncs = g.x->f.count[FSYNC];
	publish(&g, &out);
	assert_int_equal(out.outcome, FSU_DONE);
	assert_int_equal(out.os_errno, 0);
	assert_true(exists(g.x, NAME));
	assert_false(exists(g.x, STAGED));
	assert_int_equal(g.x->f.count[FSYNC], syncs + 1);
	done(&g);
}

static void a_rename_that_was_not_done_is_not_done_for_good(void **state)
{
	static const int errors[] = { EIO, ENOSPC, EINTR, ESTALE, ENOENT, EACCES, ETIMEDOUT };
	struct publishing g;

	stage(&g, *state);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct fsu_published out;

		faulty_arm(&g.x->f, RENAMEAT, 0, errors[i], NOT_DONE);
		publish(&g, &out);
		assert_int_equal(out.outcome, FSU_NOT_DONE);
		assert_int_equal(out.os_errno, errors[i]);
		assert_string_equal(out.op, "rename");
		assert_false(out.fenced);
		assert_false(exists(g.x, NAME));
		assert_false(exists(g.x, STAGED)); /* so a late rename finds nothing */
		assert_int_equal(fsu_file_stage(&g.x->f.fs, g.x->fd, STAGED, "value", 5, NULL), 0);
	}
	done(&g);
}

static void a_rename_whose_reply_was_lost_is_done(void **state)
{
	static const int errors[] = { ENOENT, EIO, ESTALE, EINTR, ETIMEDOUT };
	struct publishing g;

	stage(&g, *state);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct fsu_published out;

		faulty_arm(&g.x->f, RENAMEAT, 0, errors[i], DONE);
		publish(&g, &out);
		assert_int_equal(out.outcome, FSU_DONE);
		assert_true(exists(g.x, NAME));
		assert_int_equal(g.x->f.count[UNLINKAT], 0); /* one look was enough */
		assert_int_equal(renameat(g.x->fd, NAME, g.x->fd, STAGED), 0);
	}
	done(&g);
}

static void a_directory_that_cannot_be_synced_leaves_it_in_doubt(void **state)
{
	struct fsu_published out;
	struct publishing g;

	stage(&g, *state);
	faulty_arm(&g.x->f, FSYNC, 0, EIO, NOT_DONE);
	publish(&g, &out);
	assert_int_equal(out.outcome, FSU_IN_DOUBT);
	assert_int_equal(out.os_errno, EIO);
	assert_string_equal(out.op, "fsync");
	assert_false(out.fenced);
	settle(&g, &out);
	assert_int_equal(out.outcome, FSU_DONE);
	done(&g);
}

static void without_its_tenure_it_is_fenced_and_in_doubt(void **state)
{
	struct fsu_published out;
	struct publishing g;

	stage(&g, *state);
	assert_int_equal(unlinkat(g.x->fd, STAGED, 0), 0);
	assert_int_equal(unlinkat(g.x->fd, "tenure-1", AT_REMOVEDIR), 0);
	publish(&g, &out);
	assert_true(out.fenced);
	assert_true(out.sent);
	assert_int_equal(out.outcome, FSU_IN_DOUBT);
	assert_int_equal(out.os_errno, ENOENT);
	done(&g);
}

static void a_staged_file_that_is_gone_from_its_tenure_leaves_it_in_doubt(void **state)
{
	struct fsu_published out;
	struct publishing g;

	stage(&g, *state);
	assert_int_equal(unlinkat(g.x->fd, STAGED, 0), 0);
	publish(&g, &out);
	assert_int_equal(out.outcome, FSU_IN_DOUBT);
	assert_false(out.fenced);
	done(&g);
}

/* Two failures: the rename is not done, and then the unlink says EIO. */
static int failing_renameat(void *ctx, int from_dirfd, const char *from, int to_dirfd,
			    const char *to)
{
	(void)ctx, (void)from_dirfd, (void)from, (void)to_dirfd, (void)to;
	return -EIO;
}

static void an_unlink_that_failed_is_in_doubt_until_one_works(void **state)
{
	struct fsu_published out;
	struct publishing g;

	stage(&g, *state);
	g.x->f.ops.renameat = failing_renameat;
	faulty_arm(&g.x->f, UNLINKAT, 0, EIO, NOT_DONE);
	publish(&g, &out);
	assert_int_equal(out.outcome, FSU_IN_DOUBT);
	assert_false(out.fenced);
	settle(&g, &out);
	assert_int_equal(out.outcome, FSU_NOT_DONE);
	assert_int_equal(out.os_errno, ECANCELED);
	done(&g);
}

static void an_unlink_that_failed_but_was_done_stays_in_doubt(void **state)
{
	struct fsu_published out;
	struct publishing g;

	stage(&g, *state);
	g.x->f.ops.renameat = failing_renameat;
	faulty_arm(&g.x->f, UNLINKAT, 0, EIO, DONE);
	publish(&g, &out);
	assert_int_equal(out.outcome, FSU_IN_DOUBT);
	settle(&g, &out);
	assert_int_equal(out.outcome, FSU_IN_DOUBT);
	assert_int_equal(out.os_errno, ENOENT);
	assert_string_equal(out.op, "unlink");
	done(&g);
}

static void an_interrupted_unlink_is_tried_again(void **state)
{
	struct fsu_published out;
	struct publishing g;

	stage(&g, *state);
	g.x->f.ops.renameat = failing_renameat;
	faulty_arm(&g.x->f, UNLINKAT, 0, EINTR, NOT_DONE);
	publish(&g, &out);
	assert_int_equal(out.outcome, FSU_NOT_DONE);
	assert_false(exists(g.x, STAGED));
	done(&g);
}

static void an_interrupted_unlink_that_was_done_proves_nothing(void **state)
{
	struct fsu_published out;
	struct publishing g;

	stage(&g, *state);
	g.x->f.ops.renameat = failing_renameat;
	faulty_arm(&g.x->f, UNLINKAT, 0, EINTR, DONE);
	publish(&g, &out);
	assert_int_equal(out.outcome, FSU_IN_DOUBT);
	done(&g);
}

/* The rename arrives late: after it was looked for, before the staged file is to be unlinked. */
static int late_unlinkat(void *ctx, int dirfd, const char *path, int flags)
{
	struct faulty *f = ctx;

	(void)renameat(dirfd, STAGED, dirfd, NAME);
	return faulty_unlinkat(f, dirfd, path, flags);
}

static void a_rename_that_arrives_while_we_look_is_done(void **state)
{
	struct fsu_published out;
	struct publishing g;

	stage(&g, *state);
	g.x->f.ops.renameat = failing_renameat;
	g.x->f.ops.unlinkat = late_unlinkat;
	publish(&g, &out);
	assert_int_equal(out.outcome, FSU_DONE);
	assert_true(exists(g.x, NAME));
	done(&g);
}

static ssize_t failing_getdents(void *ctx, int fd, void *buf, size_t len)
{
	(void)ctx, (void)fd, (void)buf, (void)len;
	return -EIO;
}

static void without_listings_a_name_that_is_found_is_done(void **state)
{
	struct fsu_published out;
	struct publishing g;

	stage(&g, *state);
	g.x->f.ops.getdents = failing_getdents;
	faulty_arm(&g.x->f, RENAMEAT, 0, EIO, DONE);
	publish(&g, &out);
	assert_int_equal(out.outcome, FSU_DONE);
	done(&g);
}

static void without_listings_nobody_is_said_to_be_fenced(void **state)
{
	struct fsu_published out;
	struct publishing g;

	stage(&g, *state);
	assert_int_equal(unlinkat(g.x->fd, STAGED, 0), 0);
	assert_int_equal(unlinkat(g.x->fd, "tenure-1", AT_REMOVEDIR), 0);
	g.x->f.ops.getdents = failing_getdents;
	publish(&g, &out);
	assert_int_equal(out.outcome, FSU_IN_DOUBT);
	assert_false(out.fenced);
	done(&g);
}

/* Somebody makes and removes names in the election all the time. */
static void keep_busy(struct faulty *f)
{
	static time_t second = 1000000000;
	struct timespec times[2] = { { .tv_sec = second }, { .tv_sec = second } };
	struct fixture *x = f->user;

	second++;
	assert_int_equal(futimens(x->fd, times), 0);
}

static void a_busy_election_does_not_hide_that_it_is_fenced(void **state)
{
	struct fsu_published out;
	struct publishing g;

	stage(&g, *state);
	assert_int_equal(unlinkat(g.x->fd, STAGED, 0), 0);
	assert_int_equal(unlinkat(g.x->fd, "tenure-1", AT_REMOVEDIR), 0);
	g.x->f.while_waiting = keep_busy;
	g.x->f.after_getdents = keep_busy;
	publish(&g, &out);
	assert_true(out.fenced);
	assert_int_equal(out.outcome, FSU_IN_DOUBT);
	done(&g);
}

static void settling_never_renames(void **state)
{
	struct fsu_published out;
	struct publishing g;
	unsigned renames;

	stage(&g, *state);
	renames = g.x->f.count[RENAMEAT];
	settle(&g, &out);
	assert_int_equal(out.outcome, FSU_NOT_DONE);
	assert_int_equal(g.x->f.count[RENAMEAT], renames);
	assert_false(exists(g.x, NAME));
	done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_in_directory(a_published_file_is_there_and_its_directory_synced),
		test_in_directory(a_rename_that_was_not_done_is_not_done_for_good),
		test_in_directory(a_rename_whose_reply_was_lost_is_done),
		test_in_directory(a_directory_that_cannot_be_synced_leaves_it_in_doubt),
		test_in_directory(without_its_tenure_it_is_fenced_and_in_doubt),
		test_in_directory(a_staged_file_that_is_gone_from_its_tenure_leaves_it_in_doubt),
		test_in_directory(an_unlink_that_failed_is_in_doubt_until_one_works),
		test_in_directory(an_unlink_that_failed_but_was_done_stays_in_doubt),
		test_in_directory(an_interrupted_unlink_is_tried_again),
		test_in_directory(an_interrupted_unlink_that_was_done_proves_nothing),
		test_in_directory(a_rename_that_arrives_while_we_look_is_done),
		test_in_directory(without_listings_a_name_that_is_found_is_done),
		test_in_directory(without_listings_nobody_is_said_to_be_fenced),
		test_in_directory(a_busy_election_does_not_hide_that_it_is_fenced),
		test_in_directory(settling_never_renames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
