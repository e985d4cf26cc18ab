/* Where the filesystem can share blocks, blobs do; and all that holds of copies holds of them. */
#include "tests/lib/oom.h"
#include "tests/test_blob.h"

static int open_cloning(void **state)
{
	static const struct crashfs_options options = { .seed = 1, .clones = true };

	return open_scene_with(state, &options);
}

static unsigned clones, writes;

static void count_calls(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	(void)ctx;
	(void)path;
	(void)client;
	clones += call == CRASHFS_CLONE;
	writes += call == CRASHFS_WRITE;
}

static void blobs_are_cloned_and_only_what_is_no_block_is_written(void **state)
{
	static const size_t sizes[] = { 65537, 69632, 69633, 262144, 1000000, 1048576 };
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char c = (char)('a' + i);

		clones = writes = 0;
		put_local(s->h.disk, SOURCE, c, sizes[i]);
		/* The directory, with its owner, is made at the first. */
		crashfs_hook_set(s->h.disk, i > 0 ? count_calls : NULL, NULL);
		assert_said(fsha_blob_store_put(s->store, SOURCE, &s->job, &s->key, &s->error),
			    FSHA_OK);
		assert_int_equal(clones, i > 0);
		assert_int_equal(writes, i > 0 ? 2 : 0); /* head and tail */
		crashfs_hook_set(s->h.disk, count_calls, NULL);
		clones = writes = 0;
		get_blob(s, &s->job, &s->key, c, sizes[i]);
		assert_int_equal(clones, 1);
		assert_int_equal(writes, sizes[i] % 4096 != 0);
		crashfs_hook_set(s->h.disk, NULL, NULL);
	}
}

static void a_clone_that_is_refused_is_a_copy(void **state)
{
	const struct crashfs_fault fault = { .calls_mask = 1u << CRASHFS_CLONE,
					     .error = EXDEV,
					     .repeat = true };
	struct scene *s = *state;

	crashfs_fault_arm(s->h.disk, &fault);
	put_blob(s, &s->job, &s->key, 'b', LARGE);
	get_blob(s, &s->job, &s->key, 'b', LARGE);
	assert_int_equal(crashfs_faults_fired(s->h.disk), 2);
}

struct change {
	struct scene *s;
	enum crashfs_call call;
	unsigned skip;
	void (*event)(struct scene *s);
};

static void change(void *ctx, enum crashfs_call call, const char *path, unsigned client)
{
	struct change *c = ctx;

	(void)path;
	if (client != 0 || call != c->call || !c->event || c->skip-- > 0)
		return;
	c->event(c->s);
	c->event = NULL;
}

static void lengthen(struct scene *s)
{
	put_local(s->h.disk, SOURCE, 'l', LARGE + 4096);
}

static void rewrite(struct scene *s)
{
	put_local(s->h.disk, SOURCE, 'r', LARGE);
}

static void a_local_file_whose_size_changes_meanwhile_is_not_stored(void **state)
{
	struct scene *s = *state;
	struct change c = { s, CRASHFS_CLONE, 0, lengthen };

	crashfs_hook_set(s->h.disk, change, &c);
	assert_said(fsha_blob_store_put(s->store, SOURCE, &s->job, &s->key, &s->error), FSHA_E_IO);
	crashfs_hook_set(s->h.disk, NULL, NULL);
	assert_said(fsha_blob_store_get(s->store, &s->job, &s->key, TARGET, &s->error),
		    FSHA_E_NOT_FOUND);
}

/* The copy is hashed, not the file: it is what it was at one moment. */
static void a_local_file_that_is_rewritten_after_the_clone_does_not_change_the_blob(void **state)
{
	struct scene *s = *state;
	struct change c = { s, CRASHFS_PREAD, 1, rewrite };

	crashfs_hook_set(s->h.disk, change, &c);
	assert_said(fsha_blob_store_put(s->store, SOURCE, &s->job, &s->key, &s->error), FSHA_OK);
	crashfs_hook_set(s->h.disk, NULL, NULL);
	assert_null(c.event);
	get_blob(s, &s->job, &s->key, 'b', LARGE);
}

static struct holder successor;

static void be_fenced(struct scene *s)
{
	holder_start(&successor, s->h.disk, 1, "dispatcher");
	atomic_store(&s->h.term->end, TERM_LIVE);
	lease_begin(s->h.term->lease, fsu_now_ns(s->h.fs), 60 * FSU_NS_PER_S);
}

static void end_term(struct scene *s)
{
	term_over(s->h.term, TERM_RESIGNED);
}

static void a_leader_that_is_fenced_after_the_clone_publishes_nothing(void **state)
{
	struct scene *s = *state;
	struct change c = { s, CRASHFS_PREAD, 1, be_fenced };

	crashfs_hook_set(s->h.disk, change, &c);
	assert_said(fsha_blob_store_put(s->store, SOURCE, &s->job, &s->key, &s->error),
		    FSHA_E_FENCED);
	crashfs_hook_set(s->h.disk, NULL, NULL);
	assert_false(crashfs_exists(s->h.disk, ROOM));
	holder_stop(&successor);
}

static void a_term_that_ends_after_the_clone_stops_the_reading(void **state)
{
	struct scene *s = *state;
	struct change c = { s, CRASHFS_PREAD, 1, end_term };

	put_local(s->h.disk, SOURCE, 'b', 5000000);
	crashfs_count_reset(s->h.disk);
	crashfs_hook_set(s->h.disk, change, &c);
	assert_said(fsha_blob_store_put(s->store, SOURCE, &s->job, &s->key, &s->error),
		    FSHA_E_NOT_LEADER);
	crashfs_hook_set(s->h.disk, NULL, NULL);
	assert_true(crashfs_count(s->h.disk, 0) < 40);
	assert_false(crashfs_exists(s->h.disk, ROOM));
}

static void a_damaged_blob_leaves_no_file_although_it_was_cloned(void **state)
{
	struct scene *s = *state;
	const char *names;
	char path[512];
	uint8_t *file;
	size_t len;

	put_blob(s, &s->job, &s->key, 'b', LARGE);
	names = strstr(crashfs_ls(s->h.disk, ROOM), "blob_");
	(void)snprintf(path, sizeof(path), ROOM "/%.*s", (int)strcspn(names, "\n"), names);
	file = malloc(FSU_STREAM_HEAD + LARGE + FSU_STREAM_TAIL);
	assert_non_null(file);
	memcpy(file, crashfs_cat(s->h.disk, path, &len), FSU_STREAM_HEAD + LARGE + FSU_STREAM_TAIL);
	file[FSU_STREAM_HEAD + 77] ^= 1;
	crashfs_put(s->h.disk, path, file, len);
	free(file);
	assert_said(fsha_blob_store_get(s->store, &s->job, &s->key, TARGET, &s->error),
		    FSHA_E_CORRUPT);
	assert_string_equal(crashfs_ls(s->h.disk, "/local"), "source");
}

/* ---- every fault ---- */

static void lead_with_blob(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	lead(s, disk);
	put_local(disk, SOURCE, 'o', LARGE);
	assert_said(fsha_blob_store_put(s->store, SOURCE, &s->job, &s->key, &s->error), FSHA_OK);
	put_local(disk, SOURCE, 'n', LARGE);
	disk_sync_dir(s->h.fs, "/local");
}

static int put_and_get(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;
	fsha_result result;

	(void)fs;
	result = fsha_blob_store_put(s->store, SOURCE, &s->job, &s->key, &s->error);
	if (result == FSHA_OK)
		result = fsha_blob_store_get(s->store, &s->job, &s->key, TARGET, &s->error);
	return result;
}

/* The target is new and whole, or not there; the blob is old or new. */
static const char *check(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	const fsha_job_id job = { { [15] = 0xa1 } };
	fsha_blob_store *store = NULL;
	const char *wrong = NULL;
	struct holder reader;
	fsha_blob_key key;
	fsha_result result;

	(void)ctx;
	if (run->when != SWEEP_CUT_DURING &&
	    (run->outcome == FSHA_E_CORRUPT || run->outcome == FSHA_E_NOT_FOUND))
		return sweep_say("outcome %s", fsha_result_name(run->outcome));
	if (crashfs_exists(after, TARGET) && differs(after, TARGET, 'n', LARGE))
		return "the target is not whole";
	if (run->when == SWEEP_RETURNED && run->outcome == FSHA_OK &&
	    !crashfs_exists(after, TARGET))
		return "got, and not there";
	(void)fsha_blob_key_parse(KEY_1, &key);
	holder_start_reader(&reader, after, 1);
	result = fsha_blob_store_open(reader.services, &store, &reader.error);
	if (result == FSHA_OK)
		result = fsha_blob_store_get(store, &job, &key, "/local/looked", &reader.error);
	if (result != FSHA_OK)
		wrong = sweep_say("cannot get it: %s", reader.error.message);
	else if (differs(after, "/local/looked", 'n', LARGE) &&
		 (run->outcome == FSHA_OK || differs(after, "/local/looked", 'o', LARGE)) &&
		 !(run->when == SWEEP_CUT_DURING && !differs(after, "/local/looked", 'o', LARGE)))
		wrong = "the blob is neither old nor new";
	fsha_blob_store_close(store);
	holder_stop(&reader);
	return wrong;
}

static void clones_are_old_or_new_at_every_fault(void **state)
{
	struct scene scene;
	const struct sweep_scenario scenario = {
		.name = "clone",
		.options = { .seed = 1, .clones = true },
		.ctx = &scene,
		.setup = lead_with_blob,
		.operation = put_and_get,
		.check = check,
		.teardown = leave,
	};

	(void)state;
	sweep_assert(&scenario);
	oom_assert(&scenario);
}

#define cloning_test(f) cmocka_unit_test_setup_teardown(f, open_cloning, close_scene)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cloning_test(blobs_are_cloned_and_only_what_is_no_block_is_written),
		cloning_test(a_clone_that_is_refused_is_a_copy),
		cloning_test(a_local_file_whose_size_changes_meanwhile_is_not_stored),
		cloning_test(
			a_local_file_that_is_rewritten_after_the_clone_does_not_change_the_blob),
		cloning_test(a_leader_that_is_fenced_after_the_clone_publishes_nothing),
		cloning_test(a_term_that_ends_after_the_clone_stops_the_reading),
		cloning_test(a_damaged_blob_leaves_no_file_although_it_was_cloned),
		cmocka_unit_test(clones_are_old_or_new_at_every_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
