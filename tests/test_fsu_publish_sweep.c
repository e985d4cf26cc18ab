/*
 * Stage and publish, with every call failing in every way, alone and together with the rename, and
 * with a rival that fences between any two calls. Whatever happens:
 *
 *   done       the name is there and whole, also after a power cut that loses all that was not
 * synced not done   the name is not there and never will be, also after a power cut that keeps all
 *   in doubt   one of the two, and only when the calls that were made leave no way to tell
 */
#include "test_fsu.h"

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_list.h"
#include "tests/lib/crashfs.h"

#define ELECTION "/election"
#define TENURE "tenure-1"
#define STAGED TENURE "/s"
#define STORE "/store"
#define NAME "key~1"
#define TARGET STORE "/" NAME

enum {
	CALLS_MAX = 400,
	VALUE_SIZE = 4096
};

static const int errors[] = {
	EIO,   ENOSPC, EDQUOT, ESTALE, EINTR,     EACCES,
	EROFS, EMFILE, ENOMEM, ENOLCK, ETIMEDOUT, ENOENT,
};
#define ERRORS (sizeof(errors) / sizeof(errors[0]))

/* One filesystem with an election, a tenure and a store, all of it durable. */
struct run {
	struct crashfs *c;
	const struct fsu *fs;
	int election_fd, store_fd;
	uint8_t value[VALUE_SIZE];
	struct fsu_publication p;
	int staged; /* result of staging; with an error nothing was published */
	struct fsu_published out;
	enum crashfs_call calls[CALLS_MAX];
	unsigned n_calls;
	char what[160]; /* for the message of a failure */
};

static void note_call(void *hook_ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct run *run = hook_ctx;

	(void)path;
	if (client == 0 && run->n_calls < CALLS_MAX)
		run->calls[run->n_calls++] = call;
}

#define claim(run, condition)                                                   \
	do {                                                                    \
		if (!(condition))                                               \
			fail_msg("%s: not so: " #condition "\n%s", (run)->what, \
				 crashfs_log((run)->c));                        \
	} while (0)

static void run_open(struct run *run, bool cached)
{
	const struct crashfs_options options = {
		.seed = 1,
		.cache_ns = cached ? 30 * FSU_NS_PER_S : 0,
		.time_step_ns = 4 * FSU_NS_PER_MS,
	};

	memset(run, 0, sizeof(*run));
	for (size_t i = 0; i < VALUE_SIZE; i++)
		run->value[i] = (uint8_t)(i * 7 + i / 256 + 1);
	run->c = crashfs_create(&options);
	run->fs = crashfs_client(run->c, 0);
	assert_int_equal(fsu_mkdirat(run->fs, AT_FDCWD, ELECTION, FSU_DIR_MODE), 0);
	assert_int_equal(fsu_mkdirat(run->fs, AT_FDCWD, STORE, FSU_DIR_MODE), 0);
	assert_int_equal(fsu_dir_sync(run->fs, AT_FDCWD, "/"), 0);
	run->election_fd = fsu_dir_open(run->fs, AT_FDCWD, ELECTION);
	run->store_fd = fsu_dir_open(run->fs, AT_FDCWD, STORE);
	assert_true(run->election_fd >= 0);
	assert_true(run->store_fd >= 0);
	assert_int_equal(fsu_mkdirat(run->fs, run->election_fd, TENURE, FSU_DIR_MODE), 0);
	assert_int_equal(fsu_mkdirat(run->fs, run->election_fd, "trash", FSU_DIR_MODE), 0);
	assert_int_equal(fsu_dir_sync(run->fs, run->election_fd, ""), 0);
	run->p = (struct fsu_publication){
		.from_dirfd = run->election_fd,
		.from = STAGED,
		.from_dir = TENURE,
		.to_dirfd = run->store_fd,
		.to = NAME,
	};
	crashfs_advance(run->c, FSU_NS_PER_S);
	crashfs_count_reset(run->c);
	crashfs_hook_set(run->c, note_call, run);
}

static void run_it(struct run *run)
{
	run->staged =
		fsu_file_stage(run->fs, run->election_fd, STAGED, run->value, VALUE_SIZE, NULL);
	if (run->staged == 0)
		fsu_publish(run->fs, &run->p, &run->out);
	else
		run->out = (struct fsu_published){ .outcome = FSU_NOT_DONE };
}

static void run_close(struct run *run, bool crashed)
{
	if (!crashed) {
		claim(run, crashfs_open_fds(run->c, 0) == 2);
		claim(run, crashfs_bytes_allocated(run->c) == 0);
	}
	crashfs_destroy(run->c);
}

static bool is_whole(struct crashfs *c, const struct run *run)
{
	size_t len = 0;
	const uint8_t *data = crashfs_cat(c, TARGET, &len);

	return data && len == VALUE_SIZE && memcmp(data, run->value, len) == 0;
}

/* What is there after a power cut now. */
enum after {
	ABSENT,
	WHOLE,
	BROKEN
};

static enum after after_crash(const struct run *run, bool keeping)
{
	struct crashfs *c = crashfs_fork(run->c);
	enum after after = ABSENT;

	if (keeping)
		crashfs_crash_keeping_all(c);
	else
		crashfs_crash_losing_all(c);
	crashfs_recover(c);
	if (crashfs_exists(c, TARGET))
		after = is_whole(c, run) ? WHOLE : BROKEN;
	crashfs_destroy(c);
	return after;
}

/* The promises that hold whatever went wrong. */
static void check_outcome(const struct run *run)
{
	enum after losing = after_crash(run, false), keeping = after_crash(run, true);

	claim(run, losing != BROKEN);
	claim(run, keeping != BROKEN);
	switch (run->out.outcome) {
	case FSU_DONE:
		claim(run, crashfs_exists(run->c, TARGET));
		claim(run, losing == WHOLE);
		claim(run, keeping == WHOLE);
		break;
	case FSU_NOT_DONE:
		claim(run, !crashfs_exists(run->c, TARGET));
		claim(run, losing == ABSENT);
		claim(run, keeping == ABSENT);
		break;
	case FSU_IN_DOUBT:
		claim(run, run->out.os_errno > 0);
		claim(run, run->out.op != NULL);
		break;
	}
}

/* Ask again, with nothing failing now: the answer is the truth, or the truth cannot be known. */
static void check_settled(struct run *run)
{
	bool staged_there;

	if (run->staged < 0 || run->out.outcome != FSU_IN_DOUBT)
		return;
	crashfs_fault_clear(run->c);
	staged_there = crashfs_exists(run->c, ELECTION "/" STAGED);
	fsu_publish_settle(run->fs, &run->p, &run->out);
	check_outcome(run);
	if (staged_there)
		claim(run, run->out.outcome == FSU_NOT_DONE);
	else if (crashfs_exists(run->c, TARGET))
		claim(run, run->out.outcome == FSU_DONE);
	else
		claim(run, run->out.outcome == FSU_IN_DOUBT);
}

static void publishing_works_on_the_crash_filesystem(void **state)
{
	(void)state;
	for (int cached = 0; cached < 2; cached++) {
		struct run run;

		run_open(&run, cached);
		run_it(&run);
		claim(&run, run.staged == 0);
		claim(&run, run.out.outcome == FSU_DONE);
		check_outcome(&run);
		run_close(&run, false);
	}
}

/* Which call of a run without faults is which. */
static void record(struct run *run, bool cached)
{
	run_open(run, cached);
	run_it(run);
	assert_int_equal(run->out.outcome, FSU_DONE);
	assert_true(run->n_calls > 5);
	run_close(run, false);
}

static unsigned index_of(const struct run *run, enum crashfs_call call)
{
	unsigned i = 0;

	while (i < run->n_calls && run->calls[i] != call)
		i++;
	assert_true(i < run->n_calls);
	return i;
}

static void sweep_one(const struct run *clean, bool cached, unsigned at, int error,
		      enum crashfs_mode mode)
{
	struct crashfs_fault fault = { .at = at, .error = error, .mode = mode };
	bool crashed = mode == CRASHFS_CRASH;
	unsigned rename_at = index_of(clean, CRASHFS_RENAMEAT);
	struct run run;

	run_open(&run, cached);
	(void)snprintf(run.what, sizeof(run.what), "%s call %u (%s) errno %d mode %d",
		       cached ? "cached" : "local", at, crashfs_call_name(clean->calls[at]), error,
		       (int)mode);
	crashfs_fault_arm(run.c, &fault);
	run_it(&run);
	claim(&run, crashfs_faults_fired(run.c) == 1);
	check_outcome(&run);
	if (at < rename_at)
		claim(&run, run.out.outcome != FSU_IN_DOUBT);
	if (at == rename_at && !crashed)
		claim(&run, run.out.outcome == (mode == CRASHFS_DONE ? FSU_DONE : FSU_NOT_DONE));
	/* A single fault does not hide the answer, but for the one sync that makes it durable. */
	if (run.out.outcome == FSU_IN_DOUBT && !crashed)
		claim(&run, clean->calls[at] == CRASHFS_FSYNC && at > rename_at);
	claim(&run, !run.out.fenced);
	if (!crashed)
		check_settled(&run);
	run_close(&run, crashed);
}

static void every_single_fault_leaves_old_or_new_and_a_true_answer(void **state)
{
	static const enum crashfs_mode modes[] = { CRASHFS_NOT_DONE, CRASHFS_DONE, CRASHFS_SHORT,
						   CRASHFS_CRASH };

	(void)state;
	for (int cached = 0; cached < 2; cached++) {
		struct run clean;

		record(&clean, cached);
		for (unsigned at = 0; at < clean.n_calls; at++)
			for (size_t e = 0; e < ERRORS; e++)
				for (size_t m = 0; m < 4; m++)
					sweep_one(&clean, cached, at, errors[e], modes[m]);
	}
}

static void a_lost_reply_of_the_rename_is_done(void **state)
{
	(void)state;
	for (int cached = 0; cached < 2; cached++) {
		for (size_t e = 0; e < ERRORS; e++) {
			struct crashfs_fault fault = {
				.calls_mask = 1u << CRASHFS_RENAMEAT,
				.error = errors[e],
				.mode = CRASHFS_DONE,
			};
			struct run run;

			run_open(&run, cached);
			(void)snprintf(run.what, sizeof(run.what), "errno %d", errors[e]);
			crashfs_fault_arm(run.c, &fault);
			run_it(&run);
			claim(&run, run.out.outcome == FSU_DONE);
			check_outcome(&run);
			run_close(&run, false);
		}
	}
}

/* The rename fails, and then call number `at` of finding out what it did. */
static bool sweep_two(bool cached, enum crashfs_mode first, unsigned at, int error,
		      enum crashfs_mode second)
{
	struct crashfs_fault rename_fault = {
		.calls_mask = 1u << CRASHFS_RENAMEAT,
		.error = EIO,
		.mode = first,
	};
	struct crashfs_fault then = { .at = at, .error = error, .mode = second };
	bool crashed = second == CRASHFS_CRASH;
	bool both;
	struct run run;

	run_open(&run, cached);
	(void)snprintf(run.what, sizeof(run.what), "%s rename mode %d, call %u errno %d mode %d",
		       cached ? "cached" : "local", (int)first, at, error, (int)second);
	crashfs_fault_arm(run.c, &rename_fault);
	crashfs_fault_arm(run.c, &then);
	run_it(&run);
	both = crashfs_faults_fired(run.c) == 2;
	check_outcome(&run);
	if (!both) /* no such call any more */
		claim(&run, run.out.outcome == (first == CRASHFS_DONE ? FSU_DONE : FSU_NOT_DONE));
	claim(&run, !run.out.fenced);
	if (!crashed)
		check_settled(&run);
	run_close(&run, crashed);
	return both;
}

static void every_second_fault_after_a_failed_rename_leaves_a_true_answer(void **state)
{
	static const int seconds[] = { EIO, EINTR, ENOENT, ESTALE, ENOMEM };
	static const enum crashfs_mode modes[] = { CRASHFS_NOT_DONE, CRASHFS_DONE, CRASHFS_SHORT,
						   CRASHFS_CRASH };
	unsigned rename_at;
	struct run clean;

	(void)state;
	record(&clean, false);
	rename_at = index_of(&clean, CRASHFS_RENAMEAT);
	for (unsigned i = 0; i < 4 * sizeof(seconds) / sizeof(seconds[0]); i++) {
		for (int variant = 0; variant < 4; variant++) {
			enum crashfs_mode first = variant & 1 ? CRASHFS_DONE : CRASHFS_NOT_DONE;
			unsigned at = rename_at + 1;

			/* Until the run ends before the second fault comes. */
			while (sweep_two(variant & 2, first, at, seconds[i / 4], modes[i % 4]))
				assert_true(++at < CALLS_MAX);
			assert_true(at > rename_at + 1);
		}
	}
}

/* ---- A rival ---- */

struct rival {
	struct run *run;
	unsigned at; /* before this call of ours */
	unsigned calls;
	bool fenced;
	bool visible_then; /* when the fence was complete */
};

/*
 * Move what is in the tenure to the trash and remove it, as a successor does before it is granted.
 */
static void fence(void *hook_ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct rival *rival = hook_ctx;
	const struct fsu *fs = crashfs_client(rival->run->c, 1);
	struct fsu_list list;

	(void)call, (void)path;
	if (client != 0 || rival->calls++ != rival->at)
		return;
	fsu_list_init(&list, fs);
	assert_int_equal(fsu_list_pass(&list, AT_FDCWD, ELECTION "/" TENURE, false), 0);
	for (size_t i = 0; i < list.count; i++) {
		char from[64], to[64];

		(void)snprintf(from, sizeof(from), ELECTION "/" TENURE "/%.20s",
			       fsu_list_name(&list, i));
		(void)snprintf(to, sizeof(to), ELECTION "/trash/%zu", i);
		assert_int_equal(fsu_renameat(fs, AT_FDCWD, from, AT_FDCWD, to), 0);
	}
	fsu_list_done(&list);
	assert_int_equal(fsu_unlinkat(fs, AT_FDCWD, ELECTION "/" TENURE, AT_REMOVEDIR), 0);
	rival->fenced = true;
	rival->visible_then = crashfs_exists(rival->run->c, TARGET);
}

static void nothing_becomes_visible_after_the_fence(void **state)
{
	(void)state;
	for (int cached = 0; cached < 2; cached++) {
		for (unsigned at = 0; at < CALLS_MAX; at++) {
			struct run run;
			struct rival rival = { .run = &run, .at = at };

			run_open(&run, cached);
			(void)snprintf(run.what, sizeof(run.what), "%s fence before call %u",
				       cached ? "cached" : "local", at);
			crashfs_hook_set(run.c, fence, &rival);
			run_it(&run);
			if (!rival.fenced) {
				assert_true(at > 5);
				run_close(&run, false);
				break;
			}
			if (rival.visible_then) {
				/* It was in time: the successor sees it, and so do we. */
				claim(&run, run.out.outcome == FSU_DONE);
			} else {
				claim(&run, !crashfs_exists(run.c, TARGET));
				claim(&run, run.out.outcome != FSU_DONE);
				claim(&run, run.staged < 0 || run.out.fenced);
			}
			check_outcome(&run);
			run_close(&run, false);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(publishing_works_on_the_crash_filesystem),
		cmocka_unit_test(every_single_fault_leaves_old_or_new_and_a_true_answer),
		cmocka_unit_test(a_lost_reply_of_the_rename_is_done),
		cmocka_unit_test(every_second_fault_after_a_failed_rename_leaves_a_true_answer),
		cmocka_unit_test(nothing_becomes_visible_after_the_fence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
