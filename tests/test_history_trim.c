/* What an election's leaders leave behind while its history cannot be recorded. */
#include "tests/lib/fixture.h"

#include <errno.h>
#include <string.h>

#include "src/election/history.h"
#include "src/leader/leader.h"

#define ELECTION "dispatcher"
#define OTHER "resource_manager"

static struct fixture *f;
static const struct fsu *readable;
static struct fsu_ops ops;
static struct fsu unreadable;

static int open_but_the_history(void *ctx, int dirfd, const char *path, int flags, mode_t mode)
{
	if (!(flags & O_CREAT) && strncmp(path, HISTORY_KEY "~", sizeof(HISTORY_KEY)) == 0)
		return -EACCES;
	return readable->ops->openat(ctx, dirfd, path, flags, mode);
}

static int setup(void **state)
{
	(void)state;
	f = fixture_open(NULL);
	readable = f->cluster[0].fs;
	ops = *readable->ops;
	ops.openat = open_but_the_history;
	unreadable = (struct fsu){ &ops, readable->ctx };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_close(f);
	return 0;
}

static unsigned count_leaders(const char *election)
{
	const char *names = crashfs_ls(f->fs, fixture_path(f, "leaders"));
	unsigned n = 0;

	for (const char *p = names; *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : "")
		n += strncmp(p, election, strlen(election)) == 0 && p[strlen(election)] == '~';
	return n;
}

static void tell(struct term *t, enum leader_state what)
{
	fsha_error error = FSHA_ERROR_INIT;

	assert_result(f, leader_publish(t, what, "", NULL, NULL, &error), FSHA_OK, &error);
}

static void leader_records_are_bounded_while_the_history_cannot_be_read(void **state)
{
	struct member *m = fixture_member(f, 0);
	struct term *other = fixture_term(f, m, OTHER), *t = fixture_term(f, m, ELECTION);
	fsha_error error = FSHA_ERROR_INIT;
	static struct history history;
	struct leader leader;

	(void)state;
	tell(other, LEADER_GRANTED);
	tell(other, LEADER_CONFIRMED);
	assert_result(f, history_publish(t, &error), FSHA_OK, &error);
	f->cluster[0].fs = &unreadable;
	for (int i = 0; i < HISTORY_MAX + 5; i++) {
		term_unref(t);
		crashfs_advance(f->fs, FSU_NS_PER_MS);
		assert_int_equal(member_beat(m), MEMBER_BEAT_OK);
		t = fixture_term_after(f, m, ELECTION, "resigned");
		tell(t, LEADER_GRANTED);
		tell(t, LEADER_CONFIRMED);
		assert_result(f, history_publish(t, &error), FSHA_E_IO, &error);
	}
	assert_int_equal(count_leaders(ELECTION), 2 * (HISTORY_MAX + 5));
	history_trim_leaders(t);
	assert_int_equal(count_leaders(ELECTION), HISTORY_MAX);
	assert_int_equal(count_leaders(OTHER), 2);
	assert_result(f, leader_read(&f->cluster[1], ELECTION, &leader, &error), FSHA_OK, &error);
	assert_int_equal(leader.epoch, t->epoch.number);
	assert_int_equal(leader.state, LEADER_CONFIRMED);
	/* Nothing is lost that there would have been room for. */
	f->cluster[0].fs = readable;
	assert_result(f, history_publish(t, &error), FSHA_OK, &error);
	assert_result(
		f, history_read(&f->cluster[0], t->election_fd, ELECTION, &history, NULL, &error),
		FSHA_OK, &error);
	assert_int_equal(history.count, HISTORY_MAX);
	for (size_t i = 0; i < history.count; i++)
		assert_int_equal(history.terms[i].epoch, t->epoch.number - (HISTORY_MAX - 1) + i);
	term_unref(other);
	term_unref(t);
	member_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			leader_records_are_bounded_while_the_history_cannot_be_read, setup,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
