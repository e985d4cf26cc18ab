/* A checkpoint store that is opened while another process changes it. */
#include "tests/test_checkpoint_fixture.h"

#define READER 2

struct change {
	struct master *m;
	unsigned at, calls;
	int64_t id;
	bool done;
};

/* The leader comes to its turn before one of the reader's calls. */
static void change_once(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct change *change = ctx;

	(void)call;
	(void)path;
	if (client != READER || change->done || change->calls++ != change->at)
		return;
	change->done = true;
	(void)add(change->m, change->id, FSHA_CHECKPOINT);
	drain(change->m);
}

/* The newest is 1, and becomes 2 before that call. False: there is no such call. */
static bool change_before(unsigned at)
{
	struct change change = { .at = at, .id = 2 };
	fsha_checkpoint_store *store;
	struct holder reader;
	void *state = NULL;
	int64_t latest;

	(void)setup_one(&state);
	change.m = state;
	(void)add(change.m, 1, FSHA_CHECKPOINT);
	holder_start_reader(&reader, change.m->disk, READER);
	crashfs_hook_set(change.m->disk, change_once, &change);
	must(change.m, checkpoint_open(reader.services, &job, NULL, &store, &reader.error), "open");
	crashfs_hook_set(change.m->disk, NULL, NULL);
	latest = fsha_checkpoint_store_latest_id(store);
	if (latest != 1 && latest != 2)
		fail_msg("call %u: the newest is %" PRId64, at, latest);
	(void)fsha_checkpoint_store_close(store, NULL);
	holder_stop(&reader);
	(void)teardown(&state);
	return change.done;
}

static void who_opens_while_the_newest_is_replaced_has_the_old_or_the_new_one(void **state)
{
	unsigned at = 0;

	(void)state;
	while (change_before(at))
		at++;
	assert_true(at > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_opens_while_the_newest_is_replaced_has_the_old_or_the_new_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
