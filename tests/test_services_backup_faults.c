/*
 * A restore in which one call fails: it says so or is right, and run again it completes. With real
 * threads, so which call of which thread is the nth varies; that any of them may fail does not.
 */
#include "tests/lib/run.h"
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

static void leave_marked(fsha_services *s, const char *space)
{
	struct player p;

	player_lead(&p, s, ELECTION);
	begin_removal(s, space, "name");
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
	leave_marked(s, "two");
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
	int step = (int)test_size(5, 5, 1), n = 1 + (int)getpid() % step;

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

/* ---- interrupted between two entries ---- */

#define JOB "0123456789abcdef0123456789abcdef"

struct broken {
	struct memory *memory;
	int rewinds, at; /* in the pass and at the entry so numbered it breaks off */
};

static fsha_result rewind_broken(void *ctx, fsha_error *reterr)
{
	struct broken *b = ctx;

	b->rewinds++;
	return rewind_items(b->memory, reterr);
}

static fsha_result next_broken(void *ctx, const char **ret_path, uint64_t *ret_size,
			       fsha_error *reterr)
{
	struct broken *b = ctx;

	if (b->rewinds > 2 && b->at-- == 0)
		return FSHA_E_IO; /* and says no more */
	return next_item(b->memory, ret_path, ret_size, reterr);
}

static fsha_result read_broken(void *ctx, void *buf, size_t size, size_t *ret_len,
			       fsha_error *reterr)
{
	return read_item(((struct broken *)ctx)->memory, buf, size, ret_len, reterr);
}

static void put_job(fsha_services *s, const char *checkpoint)
{
	fsha_job_graph_store *store;
	fsha_job_id id;
	struct player p;
	size_t size;
	void *old;

	assert_ok(fsha_job_id_parse(JOB, &id));
	player_lead(&p, s, ELECTION);
	put(s, "data", checkpoint, "x");
	assert_ok(fsha_job_graph_store_open(s, &store, &t.error));
	assert_ok(fsha_job_graph_store_start(store, NULL, &t.error));
	if (fsha_job_graph_store_recover(store, &id, &old, &size, NULL) == FSHA_OK)
		fsha_free(old);
	assert_ok(fsha_job_graph_store_put(store, &id, "graph", 5, &t.error));
	fsha_job_graph_store_close(store);
	player_close(&p);
}

static void remove_value(fsha_services *s, const char *space, const char *name)
{
	fsha_state_store *store;
	struct player p;

	player_lead(&p, s, ELECTION);
	assert_ok(fsha_state_store_open(s, space, ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_remove(store, name, NULL, &t.error));
	fsha_state_store_close(store);
	player_close(&p);
}

static size_t count_values(fsha_services *s, const char *space)
{
	fsha_state_store *store;
	size_t count;
	char **names;

	assert_ok(fsha_state_store_open(s, space, ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_list(store, &names, &count, &t.error));
	fsha_free(names);
	fsha_state_store_close(store);
	return count;
}

static size_t count_graphs(fsha_services *s)
{
	fsha_job_graph_store *store;
	fsha_job_id *ids;
	size_t count;

	assert_ok(fsha_job_graph_store_open(s, &store, &t.error));
	assert_ok(fsha_job_graph_store_start(store, NULL, &t.error));
	assert_ok(fsha_job_graph_store_job_ids(store, &ids, &count, NULL, &t.error));
	fsha_free(ids);
	fsha_job_graph_store_close(store);
	return count;
}

/* Restored over a cluster that has the same job, with newer data. */
static void an_interrupted_restore_leaves_no_job_without_its_data(void **state)
{
	fsha_services *s = open_services();
	fsha_result result = FSHA_E_IO;

	(void)state;
	put_job(s, "1");
	take(s, &archive);
	for (int n = 0; result != FSHA_OK; n++) {
		struct broken broken = { &archive, 0, n };
		const fsha_backup_source source = { sizeof(source), &broken, rewind_broken,
						    next_broken, read_broken };

		put_job(s, "2");
		remove_value(s, "data", "1");
		result = fsha_backup_restore(s, NULL, &source, NULL, &t.error);
		/* That of the backup, or the newer one, or both. */
		assert_true(count_values(s, "data") > 0);
		if (result != FSHA_OK) {
			assert_int_equal(result, FSHA_E_IO);
			assert_int_equal(count_graphs(s), 0);
		}
		assert_in_range(n, 0, 20);
	}
	assert_int_equal(count_values(s, "data"), 1);
	assert_int_equal(count_graphs(s), 1);
	close_services(s);
	memory_done(&archive);
}

#define OF_THE_FIRST_TERM "~0000000000000001.00000000000000ff.0000"

/* It may hold that the job was removed; of graphs alone those that stay are not cleared before. */
static void no_graph_shows_that_a_damaged_pack_may_have_removed(void **state)
{
	const char *const parts[] = { "job_graphs" };
	const fsha_restore_options options = { sizeof(options), 0, 0, parts, 1 };
	struct broken broken = { &archive, 0, 0 };
	const fsha_backup_source source = { sizeof(source), &broken, rewind_broken, next_broken,
					    read_broken };
	fsha_services *s = open_services();

	(void)state;
	put_job(s, "1");
	take(s, &archive);
	close_services(s);
	write_file(in_cluster("job_graphs/@pack" OF_THE_FIRST_TERM), "rubbish", 7);
	s = open_services();
	assert_result(fsha_backup_restore(s, &options, &source, NULL, &t.error), FSHA_E_IO);
	assert_int_equal(count_names("quarantine", "", NULL), 1);
	assert_int_equal(count_graphs(s), 0);
	assert_ok(restore_all(s));
	assert_int_equal(count_graphs(s), 1);
	close_services(s);
	memory_done(&archive);
}

/* The third pass over the entries, which writes, finds the entry cut off. */
static fsha_result read_less(void *ctx, void *buf, size_t size, size_t *ret_len, fsha_error *reterr)
{
	struct broken *b = ctx;

	if (b->rewinds > 2 && b->memory->read > 100000) {
		*ret_len = 0;
		return FSHA_OK;
	}
	return read_broken(ctx, buf, size, ret_len, reterr);
}

static void a_large_value_is_never_restored_in_part(void **state)
{
	const size_t size = 3 << 20;
	struct broken broken = { &archive, 0, -1 };
	const fsha_backup_source source = { sizeof(source), &broken, rewind_broken, next_broken,
					    read_less };
	fsha_services *s = open_services();
	fsha_state_store *store;
	struct player p;
	void *data = calloc(1, size), *found;
	size_t found_size;

	(void)state;
	player_lead(&p, s, ELECTION);
	assert_ok(fsha_state_store_open(s, "big", ELECTION, &store, &t.error));
	assert_ok(fsha_state_store_add(store, "a", data, size, NULL, &t.error));
	player_close(&p);
	take(s, &archive);
	assert_result(fsha_backup_restore(s, NULL, &source, NULL, &t.error), FSHA_E_IO);
	assert_ok(fsha_state_store_get(store, "a", &found, &found_size, NULL, &t.error));
	assert_int_equal(found_size, size);
	fsha_free(found);
	free(data);
	fsha_state_store_close(store);
	close_services(s);
	memory_done(&archive);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_interrupted_restore_leaves_no_job_without_its_data),
		TEST(no_graph_shows_that_a_damaged_pack_may_have_removed),
		TEST(a_large_value_is_never_restored_in_part),
		TEST(a_restore_that_fails_anywhere_completes_when_it_is_run_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
