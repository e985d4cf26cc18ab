/* What may happen in the middle of a put or a get. */
#include "tests/test_blob.h"

struct interruption {
	struct scene *s;
	unsigned client;
	enum crashfs_call call;
	unsigned skip;
	void (*event)(struct scene *s);
};

static void interrupt(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct interruption *i = ctx;

	(void)path;
	if (client != i->client || call != i->call || !i->event || i->skip-- > 0)
		return;
	i->event(i->s);
	i->event = NULL;
}

static void delete_all(struct scene *s)
{
	assert_said(fsha_blob_store_delete_all(s->store, &s->job, &s->error), FSHA_OK);
}

static void a_job_that_is_deleted_while_a_blob_is_put_gets_that_blob(void **state)
{
	struct scene *s = *state;
	struct interruption i = { s, 0, CRASHFS_WRITE, 1, delete_all };

	put_blob(s, &s->job, &s->other, 'o', 3);
	put_local(s->h.disk, SOURCE, 'b', LARGE);
	crashfs_hook_set(s->h.disk, interrupt, &i);
	assert_said(fsha_blob_store_put(s->store, SOURCE, &s->job, &s->key, &s->error), FSHA_OK);
	crashfs_hook_set(s->h.disk, NULL, NULL);
	assert_null(i.event);
	get_blob(s, &s->job, &s->key, 'b', LARGE);
	assert_said(fsha_blob_store_get(s->store, &s->job, &s->other, TARGET, &s->error),
		    FSHA_E_NOT_FOUND);
}

static void delete_same(struct scene *s)
{
	assert_said(fsha_blob_store_delete(s->store, &s->job, &s->key, &s->error), FSHA_OK);
}

/* Its first copy is older than the deletion: it is taken in once more. */
static void a_blob_that_is_deleted_while_it_is_put_is_there_then(void **state)
{
	struct scene *s = *state;
	struct interruption i = { s, 0, CRASHFS_WRITE, 1, delete_same };

	put_blob(s, &s->job, &s->key, 'o', 3);
	put_local(s->h.disk, SOURCE, 'b', LARGE);
	crashfs_hook_set(s->h.disk, interrupt, &i);
	assert_said(fsha_blob_store_put(s->store, SOURCE, &s->job, &s->key, &s->error), FSHA_OK);
	crashfs_hook_set(s->h.disk, NULL, NULL);
	assert_null(i.event);
	get_blob(s, &s->job, &s->key, 'b', LARGE);
}

/* As the janitor does it, which got as far as the tombstone. */
static void delete_all_and_unlink_some(struct scene *s)
{
	const char *names, *gone;
	char path[512];

	delete_all(s);
	(void)snprintf(path, sizeof(path), "/c/elections/dispatcher/trash/%s",
		       crashfs_ls(s->h.disk, "/c/elections/dispatcher/trash"));
	names = crashfs_ls(s->h.disk, path);
	assert_non_null(names);
	gone = strstr(names, ".gone");
	assert_non_null(gone);
	while (gone > names && gone[-1] != '\n')
		gone--;
	(void)snprintf(path + strlen(path), sizeof(path) - strlen(path), "/%.*s",
		       (int)strcspn(gone, "\n"), gone);
	crashfs_rm(s->h.disk, path);
}

static void a_reader_in_a_directory_that_is_taken_apart_sees_no_deleted_blob(void **state)
{
	struct scene *s = *state;
	unsigned fired = 0;

	for (unsigned skip = 0; skip < 8; skip++) {
		struct interruption i = { s, 1, CRASHFS_GETDENTS, skip,
					  delete_all_and_unlink_some };
		fsha_blob_store *store;
		struct holder reader;

		put_blob(s, &s->job, &s->key, 'b', LARGE);
		delete_same(s);
		crashfs_rm(s->h.disk, "/c/elections/dispatcher/trash");
		disk_mkdir(s->h.fs, "/c/elections/dispatcher/trash");
		holder_start_reader(&reader, s->h.disk, 1);
		assert_said(fsha_blob_store_open(reader.services, &store, &s->error), FSHA_OK);
		crashfs_hook_set(s->h.disk, interrupt, &i);
		assert_said(fsha_blob_store_get(store, &s->job, &s->key, TARGET, &s->error),
			    FSHA_E_NOT_FOUND);
		crashfs_hook_set(s->h.disk, NULL, NULL);
		fired += i.event == NULL;
		fsha_blob_store_close(store);
		holder_stop(&reader);
	}
	assert_true(fired >= 3);
}

static struct holder successor;

static void be_fenced(struct scene *s)
{
	holder_start(&successor, s->h.disk, 1, "dispatcher");
	/* Ours has slept through it and does not know. */
	atomic_store(&s->h.term->end, TERM_LIVE);
	lease_begin(s->h.term->lease, fsu_now_ns(s->h.fs), 60 * FSU_NS_PER_S);
}

static void a_leader_that_is_fenced_while_it_puts_publishes_nothing(void **state)
{
	struct scene *s = *state;
	struct interruption i = { s, 0, CRASHFS_WRITE, 1, be_fenced };
	char path[256];

	crashfs_hook_set(s->h.disk, interrupt, &i);
	assert_said(fsha_blob_store_put(s->store, SOURCE, &s->job, &s->key, &s->error),
		    FSHA_E_FENCED);
	crashfs_hook_set(s->h.disk, NULL, NULL);
	assert_false(crashfs_exists(s->h.disk, ROOM));
	(void)snprintf(path, sizeof(path), "/c/elections/dispatcher/%s", s->h.term->tenure);
	assert_false(crashfs_exists(s->h.disk, path));
	holder_stop(&successor);
}

static void shorten(struct scene *s)
{
	put_local(s->h.disk, SOURCE, 'b', 66000);
}

static void a_local_file_that_shrinks_while_it_is_read_is_not_stored(void **state)
{
	struct scene *s = *state;
	struct interruption i = { s, 0, CRASHFS_WRITE, 0, shorten };

	crashfs_hook_set(s->h.disk, interrupt, &i);
	assert_said(fsha_blob_store_put(s->store, SOURCE, &s->job, &s->key, &s->error),
		    FSHA_E_INVALID);
	crashfs_hook_set(s->h.disk, NULL, NULL);
	assert_non_null(strstr(s->error.message, SOURCE));
	assert_said(fsha_blob_store_get(s->store, &s->job, &s->key, TARGET, &s->error),
		    FSHA_E_NOT_FOUND);
}

/* It is as it was opened until it is read. */
static void fill_when_read(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct interruption *i = ctx;

	(void)client;
	if (call != CRASHFS_PREAD || !path || !strstr(path, SOURCE) || !i->event)
		return;
	i->event(i->s);
	i->event = NULL;
}

static void fill(struct scene *s)
{
	put_local(s->h.disk, SOURCE, 'f', LARGE + 1);
}

static void a_local_file_that_grows_while_it_is_read_is_not_stored(void **state)
{
	struct scene *s = *state;
	struct interruption i = { .s = s, .event = fill };

	put_local(s->h.disk, SOURCE, 'b', LARGE);
	crashfs_hook_set(s->h.disk, fill_when_read, &i);
	assert_said(fsha_blob_store_put(s->store, SOURCE, &s->job, &s->key, &s->error),
		    FSHA_E_INVALID);
	crashfs_hook_set(s->h.disk, NULL, NULL);
	assert_null(i.event);
	assert_non_null(strstr(s->error.message, SOURCE "' grew longer"));
	assert_said(fsha_blob_store_get(s->store, &s->job, &s->key, TARGET, &s->error),
		    FSHA_E_NOT_FOUND);
}

/* As those in /proc are. */
static void a_local_file_that_is_said_to_be_empty_is_read_to_its_end(void **state)
{
	struct scene *s = *state;
	struct interruption i = { .s = s, .event = fill };

	put_local(s->h.disk, SOURCE, 'b', 0);
	crashfs_hook_set(s->h.disk, fill_when_read, &i);
	assert_said(fsha_blob_store_put(s->store, SOURCE, &s->job, &s->key, &s->error), FSHA_OK);
	crashfs_hook_set(s->h.disk, NULL, NULL);
	assert_null(i.event);
	get_blob(s, &s->job, &s->key, 'f', LARGE + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(a_job_that_is_deleted_while_a_blob_is_put_gets_that_blob),
		scene_test(a_blob_that_is_deleted_while_it_is_put_is_there_then),
		scene_test(a_reader_in_a_directory_that_is_taken_apart_sees_no_deleted_blob),
		scene_test(a_leader_that_is_fenced_while_it_puts_publishes_nothing),
		scene_test(a_local_file_that_shrinks_while_it_is_read_is_not_stored),
		scene_test(a_local_file_that_grows_while_it_is_read_is_not_stored),
		scene_test(a_local_file_that_is_said_to_be_empty_is_read_to_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
