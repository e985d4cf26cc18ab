/* The doctor leaves nothing behind, whatever fails, and takes away what killed doctors left. */
#include "test_doctor.h"

#define LEFT DOCTOR_PREFIX "0123456789abcdef0123456789abcdef"

/* ---- One call fails, whichever ---- */

/* The table of a patient, with call number `at` of all of them failing once. */
struct sweep {
	struct patient p; /* first: the table's context */
	struct fsu_ops honest;
	unsigned at, calls;
};

static struct sweep *sweep_of(void *ctx)
{
	return ctx;
}

static bool fails(void *ctx)
{
	return sweep_of(ctx)->calls++ == sweep_of(ctx)->at;
}

#define FAILING(call, ...) (fails(ctx) ? -EIO : sweep_of(ctx)->honest.call(ctx, __VA_ARGS__))

static int swept_openat(void *ctx, int dirfd, const char *path, int flags, mode_t mode)
{
	return FAILING(openat, dirfd, path, flags, mode);
}

static ssize_t swept_pread(void *ctx, int fd, void *buf, size_t len, off_t offset)
{
	return FAILING(pread, fd, buf, len, offset);
}

static ssize_t swept_write(void *ctx, int fd, const void *buf, size_t len)
{
	return FAILING(write, fd, buf, len);
}

static int swept_fsync(void *ctx, int fd)
{
	return FAILING(fsync, fd);
}

static int swept_renameat(void *ctx, int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	return FAILING(renameat, from_dirfd, from, to_dirfd, to);
}

static int swept_unlinkat(void *ctx, int dirfd, const char *path, int flags)
{
	return FAILING(unlinkat, dirfd, path, flags);
}

static int swept_mkdirat(void *ctx, int dirfd, const char *path, mode_t mode)
{
	/* Half of the failures are lost replies. */
	const bool done = sweep_of(ctx)->at % 2;

	if (!fails(ctx))
		return sweep_of(ctx)->honest.mkdirat(ctx, dirfd, path, mode);
	if (done)
		(void)sweep_of(ctx)->honest.mkdirat(ctx, dirfd, path, mode);
	return -EIO;
}

static int swept_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
		       struct statx *ret_stat)
{
	return FAILING(statx, dirfd, path, flags, mask, ret_stat);
}

static ssize_t swept_getdents(void *ctx, int fd, void *buf, size_t len)
{
	return FAILING(getdents, fd, buf, len);
}

static int swept_lock(void *ctx, int fd, int command, struct flock *lock)
{
	return FAILING(lock, fd, command, lock);
}

static int swept_fstatfs(void *ctx, int fd, struct statfs *ret_statfs)
{
	return FAILING(fstatfs, fd, ret_statfs);
}

static void *swept_alloc(void *ctx, size_t size)
{
	return fails(ctx) ? NULL : sweep_of(ctx)->honest.alloc(ctx, size);
}

static void *swept_resize(void *ctx, void *ptr, size_t size)
{
	return fails(ctx) ? NULL : sweep_of(ctx)->honest.resize(ctx, ptr, size);
}

static void sweep_init(struct sweep *s, struct fixture *x, unsigned at)
{
	struct fsu_ops *ops = &s->p.ops;

	patient_init(&s->p, x);
	s->honest = s->p.ops;
	s->at = at;
	s->calls = 0;
	ops->openat = swept_openat;
	ops->pread = swept_pread;
	ops->write = swept_write;
	ops->fsync = swept_fsync;
	ops->renameat = swept_renameat;
	ops->unlinkat = swept_unlinkat;
	ops->mkdirat = swept_mkdirat;
	ops->statx = swept_statx;
	ops->getdents = swept_getdents;
	ops->lock = swept_lock;
	ops->fstatfs = swept_fstatfs;
	ops->alloc = swept_alloc;
	ops->resize = swept_resize;
}

static void whichever_call_fails_nothing_is_left(void **state)
{
	struct sweep *s = calloc(1, sizeof(*s));
	unsigned calls, step = 1;

	assert_non_null(s);
	sweep_init(s, *state, UINT32_MAX);
	patient_run(&s->p);
	calls = s->calls;
	assert_true(calls > 500);
	/* What comes in hundreds need not fail in each place. */
	for (unsigned at = 0; at < calls; at += step) {
		sweep_init(s, *state, at);
		patient_run(&s->p);
		patient_left_nothing(&s->p);
		step = at < 60 || at > calls - 150 ? 1 : 13;
	}
	free(s);
}

/* ---- Stopped ---- */

static void wherever_it_is_stopped_nothing_is_left(void **state)
{
	struct patient p;

	for (unsigned i = 3; i < 38; i++) {
		patient_init(&p, *state);
		p.stop_after = i;
		patient_run(&p);
		assert_int_equal(p.result, FSHA_OK);
		assert_true(p.summary.stopped);
		patient_left_nothing(&p);
	}
}

static void what_is_no_directory_is_refused(void **state)
{
	struct fixture *x = *state;
	struct patient p;
	char path[300];

	put(x, "file", "", 0);
	patient_init(&p, x);
	p.options.dir = path;
	(void)snprintf(path, sizeof(path), "%s/file", x->path);
	patient_run(&p);
	assert_int_equal(p.result, FSHA_E_CONFIG);
	assert_non_null(strstr(p.error.message, path));
	(void)snprintf(path, sizeof(path), "%s/nothing", x->path);
	patient_run(&p);
	assert_int_equal(p.result, FSHA_E_CONFIG);
	assert_int_equal(p.open_fds, 0);
}

/* ---- Killed doctors ---- */

static void leave(const struct fixture *x)
{
	assert_int_equal(mkdirat(x->fd, LEFT, 0700), 0);
	assert_int_equal(mkdirat(x->fd, LEFT "/fence", 0700), 0);
	put(x, LEFT "/fence/x", "", 0);
	put(x, LEFT "/" DOCTOR_ALIVE, "", 0);
}

static void what_a_killed_doctor_left_is_removed(void **state)
{
	struct fixture *x = *state;
	struct patient p;

	leave(x);
	patient_init(&p, x);
	patient_run(&p);
	patient_expect(&p, "former-doctors", DOCTOR_OK, "1 directories of killed doctors were");
	assert_false(exists(x, LEFT));
	patient_left_nothing(&p);
}

static void a_doctor_that_lives_is_left_alone(void **state)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct fixture *x = *state;
	struct patient p;
	int fd;

	leave(x);
	fd = openat(x->fd, LEFT "/" DOCTOR_ALIVE, O_RDWR | O_CLOEXEC);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	patient_init(&p, x);
	patient_run(&p);
	patient_expect(&p, "former-doctors", DOCTOR_OK, "no killed doctor");
	assert_true(exists(x, LEFT "/fence/x"));
	(void)close(fd);
}

/* Its lock is not there yet, or locks lie: young ones may live, old ones cannot. */
static void without_a_lock_the_age_decides(void **state)
{
	const struct timespec old[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	struct fixture *x = *state;
	struct patient p;

	assert_int_equal(mkdirat(x->fd, LEFT, 0700), 0);
	patient_init(&p, x);
	patient_run(&p);
	assert_true(exists(x, LEFT));
	assert_int_equal(utimensat(x->fd, LEFT, old, 0), 0);
	patient_run(&p);
	assert_false(exists(x, LEFT));
}

static void what_cannot_be_removed_is_told(void **state)
{
	struct fixture *x = *state;
	struct patient p;

	leave(x);
	patient_init(&p, x);
	p.check = "former-doctors";
	p.lie = (struct lie){ LIE_UNLINK, "/x", .result = -EACCES };
	patient_run(&p);
	patient_expect(&p, "former-doctors", DOCTOR_WARN, "1 directories");
	assert_true(exists(x, LEFT));
}

static void no_link_is_followed_out_of_a_leftover(void **state)
{
	struct fixture *x = *state;
	struct patient p;

	assert_int_equal(mkdirat(x->fd, "victim", 0700), 0);
	put(x, "victim/precious", "", 0);
	assert_int_equal(symlinkat("victim", x->fd, LEFT), 0);
	patient_init(&p, x);
	patient_run(&p);
	assert_true(exists(x, "victim/precious"));
	assert_int_equal(unlinkat(x->fd, LEFT, 0), 0);
	leave(x);
	assert_int_equal(symlinkat("../../victim", x->fd, LEFT "/fence/link"), 0);
	patient_run(&p);
	assert_true(exists(x, "victim/precious"));
	assert_false(exists(x, LEFT));
}

static void what_only_looks_like_a_doctors_is_left_alone(void **state)
{
	struct fixture *x = *state;
	struct patient p;

	put(x, DOCTOR_PREFIX "notes", "", 0);
	put(x, LEFT, "", 0);
	patient_init(&p, x);
	patient_run(&p);
	assert_true(exists(x, DOCTOR_PREFIX "notes"));
	assert_true(exists(x, LEFT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_in_directory(whichever_call_fails_nothing_is_left),
		test_in_directory(wherever_it_is_stopped_nothing_is_left),
		test_in_directory(what_is_no_directory_is_refused),
		test_in_directory(what_a_killed_doctor_left_is_removed),
		test_in_directory(a_doctor_that_lives_is_left_alone),
		test_in_directory(without_a_lock_the_age_decides),
		test_in_directory(what_cannot_be_removed_is_told),
		test_in_directory(no_link_is_followed_out_of_a_leftover),
		test_in_directory(what_only_looks_like_a_doctors_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
