/*
 * A restore in which one call fails: it says so or is right, and run again it completes. With real
 * threads, so which call of which thread is the nth varies; that any of them may fail does not.
 */
#include "tests/test_backup.h"
#include "tests/test_hook.h"

static struct memory archive;

/* Is it a call that changes the directory? */
static bool is_change(const char *op)
{
	static const char *const changes[] = { "create", "write", "fsync",
					       "rename", "mkdir", "unlink" };

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		if (strcmp(op, changes[i]) == 0)
			return true;
	return false;
}

/* The one numbered `mode` fails; an even one is done all the same. */
static int fail_one(struct hook *h, const char *op, const char *path, const char *to)
{
	int n;

	(void)path;
	(void)to;
	if (!is_change(op) || !atomic_load(&h->mode))
		return 0;
	n = atomic_fetch_add(&h->count, 1) + 1;
	if (n != atomic_load(&h->mode))
		return 0;
	return n % 2 ? -EIO : EIO;
}

static fsha_result restore_all(fsha_services *s)
{
	const fsha_backup_source source = { sizeof(source), &archive, rewind_items, next_item,
					    read_item };

	return fsha_backup_restore(s, NULL, &source, NULL, &t.error);
}

static void check_value(fsha_services *s, const char *space, const char *expected)
{
	fsha_state_store *store;
	size_t size;
	void *data;

	assert_ok(fsha_state_store_open(s, space, ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_get(store, "name", &data, &size, NULL, &t.error));
	assert_string_equal(data, expected);
	fsha_free(data);
	fsha_state_store_close(store);
}

static void put_both(fsha_services *s, const char *value)
{
	struct player p;

	player_lead(&p, s, ELECTION);
	put(s, "one", "name", value);
	put(s, "two", "name", value);
	player_close(&p);
}

/* How many calls there were, so that the next one begins beyond them when it is none. */
static int restore_with_fault(int n)
{
	static struct hook hooks[128];
	struct hook *h = &hooks[n];
	fsha_services *s;
	int calls;

	assert_true((size_t)n < sizeof(hooks) / sizeof(hooks[0]));
	s = open_services();
	put_both(s, "changed");
	close_services(s);
	hook_init(h);
	h->decide = fail_one;
	s = open_hooked(h);
	atomic_store(&h->mode, n);
	if (restore_all(s) == FSHA_OK) {
		check_value(s, "one", "saved");
		check_value(s, "two", "saved");
	}
	calls = atomic_load(&h->count);
	atomic_store(&h->mode, 0);
	assert_ok(restore_all(s));
	check_value(s, "one", "saved");
	check_value(s, "two", "saved");
	close_services(s);
	return calls;
}

static void a_restore_that_fails_anywhere_completes_when_it_is_run_again(void **state)
{
	const fsha_backup_sink sink = { sizeof(sink), &archive, begin_item, write_item };
	fsha_services *s = open_services();
	/* All of them in the long run; else a part of them, another for each process. */
	int step = getenv("FSHA_TEST_LONG") ? 1 : 5, n = 1 + (int)getpid() % step;

	(void)state;
	print_message("every %d. call from the %d. on\n", step, n);
	put_both(s, "saved");
	assert_ok(fsha_backup_take(s, NULL, &sink, NULL, &t.error));
	close_services(s);
	for (; n < 120; n += step)
		if (restore_with_fault(n) < n)
			break;
	assert_in_range(n, 20, 119);
	memory_done(&archive);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_restore_that_fails_anywhere_completes_when_it_is_run_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
