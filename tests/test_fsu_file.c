/* Whole files: staging and reading. Publishing has files of its own. */
#include "test_fsu.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "fsutil/fsu_file.h"

static const char text[] = "a record";

static void a_staged_file_holds_what_was_given(void **state)
{
	struct fixture *x = *state;
	const char *op = "none";
	struct stat st;
	uint8_t *data;
	size_t len;

	assert_int_equal(fsu_file_stage(&x->f.fs, x->fd, "f", text, sizeof(text), &op), 0);
	assert_string_equal(op, "none");
	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "f", 100, &data, &len), 0);
	assert_int_equal(len, sizeof(text));
	assert_memory_equal(data, text, len);
	fsu_release(&x->f.fs, data);
	assert_int_equal(fstatat(x->fd, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 0077, 0);
	assert_int_equal(x->f.count[FSYNC], 1);
	assert_int_equal(x->f.open_fds, 0);
}

static void an_empty_file_can_be_staged_and_read(void **state)
{
	struct fixture *x = *state;
	uint8_t *data;
	size_t len = 1;

	assert_int_equal(fsu_file_stage(&x->f.fs, x->fd, "f", NULL, 0, NULL), 0);
	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "f", 0, &data, &len), 0);
	assert_int_equal(len, 0);
	fsu_release(&x->f.fs, data);
}

static void an_existing_file_is_neither_written_nor_removed(void **state)
{
	struct fixture *x = *state;
	const char *op;
	uint8_t *data;
	size_t len;

	put(x, "f", "old", 3);
	assert_int_equal(fsu_file_stage(&x->f.fs, x->fd, "f", text, 8, &op), -EEXIST);
	assert_string_equal(op, "open");
	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "f", 100, &data, &len), 0);
	assert_int_equal(len, 3);
	assert_memory_equal(data, "old", 3);
	fsu_release(&x->f.fs, data);
}

static void a_link_is_not_followed_when_staging(void **state)
{
	struct fixture *x = *state;

	assert_int_equal(symlinkat("elsewhere", x->fd, "f"), 0);
	assert_int_equal(fsu_file_stage(&x->f.fs, x->fd, "f", text, 8, NULL), -EEXIST);
	assert_false(exists(x, "elsewhere"));
}

static void a_failed_staging_says_where_and_leaves_nothing(void **state)
{
	static const struct {
		int call;
		const char *op;
	} cases[] = {
		{ OPENAT, "open" }, { WRITE, "write" }, { STATX, "write" },
		{ FSYNC, "fsync" }, { CLOSE, "close" },
	};
	struct fixture *x = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int mode = NOT_DONE; mode <= DONE; mode++) {
			const char *op = NULL;

			faulty_arm(&x->f, cases[i].call, 0, ENOSPC, mode);
			assert_int_equal(fsu_file_stage(&x->f.fs, x->fd, "f", text, 8, &op),
					 -ENOSPC);
			assert_int_equal(x->f.fired, 1);
			assert_string_equal(op, cases[i].op);
			assert_false(exists(x, "f"));
			assert_int_equal(x->f.open_fds, 0);
		}
	}
}

static ssize_t short_write(void *ctx, int fd, const void *buf, size_t len)
{
	return faulty_write(ctx, fd, buf, len < 3 ? len : 3);
}

static ssize_t write_nothing(void *ctx, int fd, const void *buf, size_t len)
{
	(void)ctx, (void)fd, (void)buf, (void)len;
	return 0;
}

static void short_writes_are_completed(void **state)
{
	struct fixture *x = *state;
	uint8_t *data;
	size_t len;

	x->f.ops.write = short_write;
	assert_int_equal(fsu_file_stage(&x->f.fs, x->fd, "f", text, sizeof(text), NULL), 0);
	assert_int_equal(x->f.count[WRITE], 3);
	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "f", 100, &data, &len), 0);
	assert_int_equal(len, sizeof(text));
	assert_memory_equal(data, text, len);
	fsu_release(&x->f.fs, data);
}

static void writes_of_nothing_do_not_go_on_for_ever(void **state)
{
	struct fixture *x = *state;

	x->f.ops.write = write_nothing;
	assert_int_equal(fsu_file_stage(&x->f.fs, x->fd, "f", text, 8, NULL), -EIO);
	assert_false(exists(x, "f"));
}

static void a_write_that_was_done_twice_is_noticed(void **state)
{
	struct fixture *x = *state;

	faulty_arm(&x->f, WRITE, 0, EINTR, DONE);
	assert_int_equal(fsu_file_stage(&x->f.fs, x->fd, "f", text, 8, NULL), -EIO);
	assert_int_equal(x->f.count[WRITE], 2);
	assert_false(exists(x, "f"));
}

static void only_regular_files_are_read_and_nothing_is_waited_for(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct fixture *x = *state;
	uint8_t *data;
	size_t len;
	int fd;

	assert_int_equal(mkfifoat(x->fd, "fifo", 0600), 0);
	assert_int_equal(mkdirat(x->fd, "dir", 0700), 0);
	put(x, "file", "x", 1);
	assert_int_equal(symlinkat("file", x->fd, "link"), 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/socket", x->path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);

	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "fifo", 9, &data, &len), -EINVAL);
	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "dir", 9, &data, &len), -EINVAL);
	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "link", 9, &data, &len), -EINVAL);
	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "socket", 9, &data, &len), -EINVAL);
	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "none", 9, &data, &len), -ENOENT);
	assert_int_equal(x->f.open_fds, 0);
	close(fd);
}

static void a_file_above_the_limit_is_refused_one_at_it_is_read(void **state)
{
	struct fixture *x = *state;
	uint8_t *data;
	size_t len;

	put(x, "f", "12345678", 8);
	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "f", 7, &data, &len), -EFBIG);
	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "f", 8, &data, &len), 0);
	assert_int_equal(len, 8);
	fsu_release(&x->f.fs, data);
	assert_int_equal(x->f.live_allocations, 0);
}

/* The size comes out of a cache and is too small. */
static int stale_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
		       struct statx *ret_stat)
{
	int r = faulty_statx(ctx, dirfd, path, flags, mask, ret_stat);

	ret_stat->stx_size = 2;
	return r;
}

static void a_size_that_was_too_small_does_not_cut_the_file_off(void **state)
{
	char content[5000];
	struct fixture *x = *state;
	uint8_t *data;
	size_t len;

	memset(content, 'z', sizeof(content));
	put(x, "f", content, sizeof(content));
	x->f.ops.statx = stale_statx;
	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "f", sizeof(content), &data, &len), 0);
	assert_int_equal(len, sizeof(content));
	assert_memory_equal(data, content, len);
	fsu_release(&x->f.fs, data);
	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "f", sizeof(content) - 1, &data, &len),
			 -EFBIG);
	assert_int_equal(x->f.live_allocations, 0);
}

static void a_file_with_a_lease_on_it_is_read_all_the_same(void **state)
{
	struct fixture *x = *state;
	uint8_t *data;
	size_t len;

	put(x, "f", "x", 1);
	faulty_arm(&x->f, OPENAT, 0, EAGAIN, NOT_DONE);
	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "f", 9, &data, &len), 0);
	assert_int_equal(len, 1);
	fsu_release(&x->f.fs, data);

	/* But only a regular one is waited for. */
	assert_int_equal(mkfifoat(x->fd, "fifo", 0600), 0);
	faulty_arm(&x->f, OPENAT, 0, EAGAIN, NOT_DONE);
	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "fifo", 9, &data, &len), -EINVAL);
}

static void a_failed_read_says_so_and_leaks_nothing(void **state)
{
	static const int calls[] = { OPENAT, STATX, ALLOC, PREAD };
	struct fixture *x = *state;
	uint8_t *data = NULL;
	size_t len = 77;

	put(x, "f", "x", 1);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int error = calls[i] == ALLOC ? ENOMEM : EIO;

		faulty_arm(&x->f, calls[i], 0, error, NOT_DONE);
		assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "f", 9, &data, &len), -error);
		assert_null(data);
		assert_int_equal(len, 77);
		assert_int_equal(x->f.live_allocations, 0);
		assert_int_equal(x->f.open_fds, 0);
	}
}

/* The file belongs to somebody else, and its directory does not answer, with that errno. */
static int unanswered;
static int foreign_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
			 struct statx *ret_stat)
{
	int r = faulty_statx(ctx, dirfd, path, flags, mask, ret_stat);

	if (r == 0 && S_ISDIR(ret_stat->stx_mode))
		return -unanswered;
	ret_stat->stx_uid = geteuid() + 1;
	return r;
}

static void a_directory_that_does_not_answer_makes_no_file_a_strangers(void **state)
{
	struct fixture *x = *state;
	uint8_t *data;
	size_t len;

	put(x, "f", "old", 3);
	x->f.ops.statx = foreign_statx;
	unanswered = ESTALE;
	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "f", 100, &data, &len), -ESTALE);
	unanswered = 0;
	assert_int_equal(fsu_file_read(&x->f.fs, x->fd, "f", 100, &data, &len), -FSU_EFOREIGN);
	assert_int_equal(x->f.open_fds, 0);
}

static void a_directory_is_synced_by_path_and_by_descriptor(void **state)
{
	struct fixture *x = *state;

	assert_int_equal(mkdirat(x->fd, "dir", 0700), 0);
	assert_int_equal(fsu_dir_sync(&x->f.fs, x->fd, "dir"), 0);
	assert_int_equal(fsu_dir_sync(&x->f.fs, x->fd, ""), 0);
	assert_int_equal(x->f.count[FSYNC], 2);
	faulty_arm(&x->f, FSYNC, 0, EIO, NOT_DONE);
	assert_int_equal(fsu_dir_sync(&x->f.fs, x->fd, "dir"), -EIO);
	assert_int_equal(x->f.open_fds, 0);
}

static void only_a_directory_is_opened_as_one(void **state)
{
	struct fixture *x = *state;
	int fd;

	put(x, "f", "", 0);
	assert_int_equal(symlinkat(".", x->fd, "link"), 0);
	assert_int_equal(fsu_dir_open(&x->f.fs, x->fd, "f"), -ENOTDIR);
	assert_int_equal(fsu_dir_open(&x->f.fs, x->fd, "link"), -ENOTDIR);
	assert_int_equal(fsu_dir_open(&x->f.fs, x->fd, "none"), -ENOENT);
	fd = fsu_dir_open(&x->f.fs, x->fd, "");
	assert_true(fd >= 0);
	assert_int_equal(fsu_close(&x->f.fs, fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_in_directory(a_staged_file_holds_what_was_given),
		test_in_directory(an_empty_file_can_be_staged_and_read),
		test_in_directory(an_existing_file_is_neither_written_nor_removed),
		test_in_directory(a_link_is_not_followed_when_staging),
		test_in_directory(a_failed_staging_says_where_and_leaves_nothing),
		test_in_directory(short_writes_are_completed),
		test_in_directory(writes_of_nothing_do_not_go_on_for_ever),
		test_in_directory(a_write_that_was_done_twice_is_noticed),
		test_in_directory(only_regular_files_are_read_and_nothing_is_waited_for),
		test_in_directory(a_file_above_the_limit_is_refused_one_at_it_is_read),
		test_in_directory(a_size_that_was_too_small_does_not_cut_the_file_off),
		test_in_directory(a_file_with_a_lease_on_it_is_read_all_the_same),
		test_in_directory(a_failed_read_says_so_and_leaks_nothing),
		test_in_directory(a_directory_that_does_not_answer_makes_no_file_a_strangers),
		test_in_directory(a_directory_is_synced_by_path_and_by_descriptor),
		test_in_directory(only_a_directory_is_opened_as_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
