/* Lock files: who gets them, and that a forked child lets go. */
#include "test_fsu.h"

#include <sys/wait.h>

#include "fsutil/fsu_lock.h"

static bool is_held(const struct fixture *x, const char *name)
{
	int fd = openat(x->fd, name, O_RDONLY | O_CLOEXEC);
	int held;

	assert_true(fd >= 0);
	held = fsu_lock_is_held(&x->f.fs, fd);
	close(fd);
	assert_true(held >= 0);
	return held == 1;
}

static void a_lock_is_held_by_one(void **state)
{
	struct fixture *x = *state;
	struct fsu_lock a = FSU_LOCK_INIT, b = FSU_LOCK_INIT;

	assert_int_equal(fsu_lock_take(&x->f.fs, x->fd, "lock", true, &a), 0);
	assert_true(is_held(x, "lock"));
	assert_int_equal(fsu_lock_take(&x->f.fs, x->fd, "lock", true, &b), -EAGAIN);
	assert_int_equal(b.fd, -1);
	fsu_lock_release(&x->f.fs, &a);
	assert_false(is_held(x, "lock"));
	assert_int_equal(fsu_lock_take(&x->f.fs, x->fd, "lock", false, &b), 0);
	fsu_lock_release(&x->f.fs, &b);
	assert_int_equal(x->f.open_fds, 0);
}

static void releasing_what_is_not_held_is_harmless(void **state)
{
	struct fixture *x = *state;
	struct fsu_lock lock = FSU_LOCK_INIT;

	fsu_lock_release(&x->f.fs, &lock);
	assert_int_equal(fsu_lock_take(&x->f.fs, x->fd, "lock", true, &lock), 0);
	fsu_lock_release(&x->f.fs, &lock);
	fsu_lock_release(&x->f.fs, &lock);
	assert_int_equal(x->f.count[CLOSE], 1);
}

static void another_close_of_the_file_does_not_drop_it(void **state)
{
	struct fixture *x = *state;
	struct fsu_lock lock = FSU_LOCK_INIT;

	assert_int_equal(fsu_lock_take(&x->f.fs, x->fd, "lock", true, &lock), 0);
	close(openat(x->fd, "lock", O_RDWR | O_CLOEXEC));
	assert_true(is_held(x, "lock"));
	fsu_lock_release(&x->f.fs, &lock);
}

static void a_lock_file_is_made_only_when_asked_for(void **state)
{
	struct fixture *x = *state;
	struct fsu_lock lock = FSU_LOCK_INIT;

	assert_int_equal(fsu_lock_take(&x->f.fs, x->fd, "lock", false, &lock), -ENOENT);
	assert_false(exists(x, "lock"));
	assert_int_equal(symlinkat("elsewhere", x->fd, "link"), 0);
	assert_int_equal(fsu_lock_take(&x->f.fs, x->fd, "link", true, &lock), -ELOOP);
	assert_false(exists(x, "elsewhere"));
}

static void a_lock_that_the_filesystem_refuses_leaves_nothing_open(void **state)
{
	static const int errors[] = { ENOLCK, EIO, EACCES };
	struct fixture *x = *state;
	struct fsu_lock lock = FSU_LOCK_INIT;

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		int expected = errors[i] == EACCES ? -EAGAIN : -errors[i];

		faulty_arm(&x->f, LOCK, 0, errors[i], NOT_DONE);
		assert_int_equal(fsu_lock_take(&x->f.fs, x->fd, "lock", true, &lock), expected);
		assert_int_equal(x->f.open_fds, 0);
	}
	faulty_arm(&x->f, LOCK, 0, EIO, NOT_DONE);
	assert_int_equal(fsu_lock_is_held(&x->f.fs, x->fd), -EIO);
}

static void waiting_for_a_lock_ends_at_the_deadline(void **state)
{
	struct fixture *x = *state;
	struct fsu_lock a = FSU_LOCK_INIT, b = FSU_LOCK_INIT;
	int64_t deadline_ns = x->f.now_ns + FSU_NS_PER_S;

	assert_int_equal(fsu_lock_take(&x->f.fs, x->fd, "lock", true, &a), 0);
	assert_int_equal(fsu_lock_take_until(&x->f.fs, x->fd, "lock", deadline_ns, &b), -ETIMEDOUT);
	assert_int_equal(x->f.now_ns, deadline_ns);
	assert_in_range(x->f.count[LOCK], 8,
			40); /* growing pauses: neither a busy loop nor two looks */
	fsu_lock_release(&x->f.fs, &a);
}

static void release_first(struct faulty *f)
{
	fsu_lock_release(&f->fs, f->user);
}

static void waiting_for_a_lock_gets_it_when_it_is_free(void **state)
{
	struct fixture *x = *state;
	struct fsu_lock a = FSU_LOCK_INIT, b = FSU_LOCK_INIT;
	int64_t deadline_ns = x->f.now_ns + FSU_NS_PER_S;

	assert_int_equal(fsu_lock_take(&x->f.fs, x->fd, "lock", true, &a), 0);
	x->f.user = &a;
	x->f.while_waiting = release_first;
	assert_int_equal(fsu_lock_take_until(&x->f.fs, x->fd, "lock", deadline_ns, &b), 0);
	assert_true(x->f.now_ns < deadline_ns);
	fsu_lock_release(&x->f.fs, &b);
}

static void no_more_locks_are_held_than_a_child_can_let_go(void **state)
{
	enum {
		MORE = 300
	};
	struct fixture *x = *state;
	struct fsu_lock locks[MORE];
	int r = 0, n = 0;

	for (; n < MORE; n++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "lock-%d", n);
		r = fsu_lock_take(&x->f.fs, x->fd, name, true, &locks[n]);
		if (r < 0)
			break;
	}
	assert_int_equal(r, -ENOLCK);
	assert_true(n >= 200);
	while (n-- > 0)
		fsu_lock_release(&x->f.fs, &locks[n]);
	assert_int_equal(x->f.open_fds, 0);
}

/* Run in a forked child; its return value is the exit code that the parent gets. */
static int in_child(int (*run)(struct fixture *x, struct fsu_lock *lock), struct fixture *x,
		    struct fsu_lock *lock)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(run(x, lock));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int child_has_it_open(struct fixture *x, struct fsu_lock *lock)
{
	(void)x;
	return fcntl(lock->fd, F_GETFD) >= 0;
}

static void a_forked_child_has_the_lock_closed(void **state)
{
	struct fixture *x = *state;
	struct fsu_lock lock = FSU_LOCK_INIT;

	assert_int_equal(fsu_lock_take(&x->f.fs, x->fd, "lock", true, &lock), 0);
	assert_int_equal(in_child(child_has_it_open, x, &lock), 0);
	assert_true(is_held(x, "lock"));
	fsu_lock_release(&x->f.fs, &lock);
}

static void a_child_that_lives_on_does_not_keep_the_lock(void **state)
{
	struct fixture *x = *state;
	struct fsu_lock lock = FSU_LOCK_INIT;
	int life[2], born[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(life, O_CLOEXEC), 0);
	assert_int_equal(pipe2(born, O_CLOEXEC), 0);
	assert_int_equal(fsu_lock_take(&x->f.fs, x->fd, "lock", true, &lock), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(life[1]);
		if (write(born[1], "x", 1) != 1)
			_exit(2);
		_exit(read(life[0], &byte, 1) == 0 ? 0 : 1); /* until the parent is through */
	}
	assert_int_equal(read(born[0], &byte, 1), 1);
	fsu_lock_release(&x->f.fs, &lock);
	assert_false(is_held(x, "lock"));
	for (size_t i = 0; i < 2; i++) {
		close(life[i]);
		close(born[i]);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int child_releases_a_number_that_is_another_files(struct fixture *x, struct fsu_lock *lock)
{
	int number = lock->fd;

	if (dup2(x->fd, number) != number)
		return 2;
	fsu_lock_release(&x->f.fs, lock);
	return fcntl(number, F_GETFD) < 0 || lock->fd != -1;
}

static void releasing_in_a_child_closes_nothing_of_its_own(void **state)
{
	struct fixture *x = *state;
	struct fsu_lock lock = FSU_LOCK_INIT;

	assert_int_equal(fsu_lock_take(&x->f.fs, x->fd, "lock", true, &lock), 0);
	assert_int_equal(in_child(child_releases_a_number_that_is_another_files, x, &lock), 0);
	fsu_lock_release(&x->f.fs, &lock);
}

static int child_takes_one_of_its_own(struct fixture *x, struct fsu_lock *lock)
{
	struct fsu_lock own = FSU_LOCK_INIT;

	(void)lock;
	if (fsu_lock_take(&x->f.fs, x->fd, "lock", true, &own) != -EAGAIN)
		return 1;
	if (fsu_lock_take(&x->f.fs, x->fd, "other", true, &own) != 0 || !is_held(x, "other"))
		return 2;
	fsu_lock_release(&x->f.fs, &own);
	return is_held(x, "other");
}

static void a_child_can_take_locks_of_its_own(void **state)
{
	struct fixture *x = *state;
	struct fsu_lock lock = FSU_LOCK_INIT;

	assert_int_equal(fsu_lock_take(&x->f.fs, x->fd, "lock", true, &lock), 0);
	assert_int_equal(in_child(child_takes_one_of_its_own, x, &lock), 0);
	fsu_lock_release(&x->f.fs, &lock);
}

/* A fork between the open and the entry in the table: the child has a copy that nobody closes. */
static int forking_openat(void *ctx, int dirfd, const char *path, int flags, mode_t mode)
{
	struct faulty *f = ctx;
	bool first = f->count[OPENAT] == 0;
	int fd = faulty_openat(ctx, dirfd, path, flags, mode);
	int *life = f->user;
	char byte;

	if (first && fork() == 0) {
		close(life[1]);
		_exit(read(life[0], &byte, 1) == 0 ? 0 : 1);
	}
	return fd;
}

static void a_fork_while_the_lock_is_being_taken_leaves_no_copy(void **state)
{
	struct fixture *x = *state;
	struct fsu_lock lock = FSU_LOCK_INIT;
	int life[2], status;

	assert_int_equal(pipe2(life, O_CLOEXEC), 0);
	x->f.user = life;
	x->f.ops.openat = forking_openat;
	assert_int_equal(fsu_lock_take(&x->f.fs, x->fd, "lock", true, &lock), 0);
	assert_int_equal(x->f.count[OPENAT], 2); /* opened anew */
	fsu_lock_release(&x->f.fs, &lock);
	assert_false(is_held(x, "lock"));
	close(life[1]);
	close(life[0]);
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
	assert_int_equal(x->f.open_fds, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_in_directory(a_lock_is_held_by_one),
		test_in_directory(releasing_what_is_not_held_is_harmless),
		test_in_directory(another_close_of_the_file_does_not_drop_it),
		test_in_directory(a_lock_file_is_made_only_when_asked_for),
		test_in_directory(a_lock_that_the_filesystem_refuses_leaves_nothing_open),
		test_in_directory(waiting_for_a_lock_ends_at_the_deadline),
		test_in_directory(waiting_for_a_lock_gets_it_when_it_is_free),
		test_in_directory(no_more_locks_are_held_than_a_child_can_let_go),
		test_in_directory(a_forked_child_has_the_lock_closed),
		test_in_directory(a_child_that_lives_on_does_not_keep_the_lock),
		test_in_directory(releasing_in_a_child_closes_nothing_of_its_own),
		test_in_directory(a_child_can_take_locks_of_its_own),
		test_in_directory(a_fork_while_the_lock_is_being_taken_leaves_no_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
