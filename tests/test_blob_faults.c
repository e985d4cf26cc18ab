/* The blob store at every fault, and when any allocation fails. */
#include "tests/lib/oom.h"
#include "tests/test_blob.h"

#include <sys/mman.h>

static int descriptor_of(char c, size_t size)
{
	int fd = memfd_create("source", MFD_CLOEXEC);
	char *data = malloc(size);

	assert_non_null(data);
	memset(data, c, size);
	assert_int_equal(pwrite(fd, data, size, 0), size);
	free(data);
	return fd;
}

/* ---- what is there before ---- */

static void lead_with_blob(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	lead(s, disk);
	put_local(disk, SOURCE, 'o', LARGE);
	assert_said(fsha_blob_store_put(s->store, SOURCE, &s->job, &s->key, &s->error), FSHA_OK);
	put_local(disk, SOURCE, 'n', LARGE);
}

static void lead_with_two(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	lead_with_blob(s, disk);
	assert_said(fsha_blob_store_put(s->store, SOURCE, &s->job, &s->other, &s->error), FSHA_OK);
}

/* ---- what is done ---- */

static int put(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;

	(void)fs;
	return fsha_blob_store_put(s->store, SOURCE, &s->job, &s->key, &s->error);
}

static int get(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;

	(void)fs;
	return fsha_blob_store_get(s->store, &s->job, &s->key, TARGET, &s->error);
}

/* The local end is outside: what fails is the shared directory. */
static int put_fd(void *ctx, const struct fsu *fs)
{
	int fd = descriptor_of('n', LARGE);
	struct scene *s = ctx;
	fsha_result result;

	(void)fs;
	result = fsha_blob_store_put_fd(s->store, fd, FSHA_TO_END, &s->job, &s->key, &s->error);
	(void)close(fd);
	return result;
}

static int get_fd(void *ctx, const struct fsu *fs)
{
	int fd = memfd_create("target", MFD_CLOEXEC);
	struct scene *s = ctx;
	fsha_result result;
	uint64_t size = 0;
	char ends[2] = "";

	(void)fs;
	result = fsha_blob_store_get_fd(s->store, &s->job, &s->key, fd, &size, &s->error);
	if (result == FSHA_OK &&
	    (size != LARGE || pread(fd, &ends[0], 1, 0) != 1 ||
	     pread(fd, &ends[1], 1, LARGE - 1) != 1 || ends[0] != 'o' || ends[1] != 'o'))
		result = FSHA_E_CORRUPT;
	(void)close(fd);
	return result;
}

static int delete_first(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;

	(void)fs;
	return fsha_blob_store_delete(s->store, &s->job, &s->key, &s->error);
}

static int clean_up(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;

	(void)fs;
	return fsha_blob_store_cleanup_all(s->store, &s->error);
}

static int delete_all(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;

	(void)fs;
	return fsha_blob_store_delete_all(s->store, &s->job, &s->error);
}

static int list(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;
	fsha_blob_key *keys = NULL;
	fsha_job_id *jobs = NULL;
	size_t count, n_jobs = 1;
	fsha_result result;

	result = fsha_blob_store_list(s->store, &s->job, &keys, &count, NULL, &s->error);
	if (result == FSHA_OK && count != 1)
		result = FSHA_E_CORRUPT;
	if (result == FSHA_OK)
		result = fsha_blob_store_jobs(s->store, &jobs, &n_jobs, NULL, &s->error);
	if (result == FSHA_OK && n_jobs != 1)
		result = FSHA_E_CORRUPT;
	fsu_release(fs, keys);
	fsu_release(fs, jobs);
	return result;
}

/* ---- what must hold after it ---- */

/* The first byte of a blob as a fresh reader gets it; 0: there is none. */
static const char *blob_of(struct crashfs *after, const char *text, char *ret_value)
{
	const fsha_job_id job = { { [15] = 0xa1 } };
	fsha_blob_store *store = NULL;
	const char *wrong = NULL;
	struct holder reader;
	fsha_blob_key key;
	fsha_result result;
	size_t len;

	*ret_value = '\0';
	(void)fsha_blob_key_parse(text, &key);
	holder_start_reader(&reader, after, 1);
	result = fsha_blob_store_open(reader.services, &store, &reader.error);
	if (result == FSHA_OK)
		result = fsha_blob_store_get(store, &job, &key, "/local/looked", &reader.error);
	if (result == FSHA_OK) {
		*ret_value = (char)*crashfs_cat(after, "/local/looked", &len);
		wrong = differs(after, "/local/looked", *ret_value, LARGE);
	} else if (result != FSHA_E_NOT_FOUND) {
		wrong = sweep_say("cannot get it: %s", reader.error.message);
	}
	fsha_blob_store_close(store);
	holder_stop(&reader);
	crashfs_rm(after, "/local/looked");
	return wrong;
}

static bool is_told(const struct sweep_run *run)
{
	return run->when != SWEEP_CUT_DURING && run->outcome != FSHA_E_INDOUBT;
}

static const char *check_outcome(const struct sweep_run *run)
{
	if (run->when == SWEEP_CUT_DURING)
		return NULL;
	if (run->outcome == FSHA_E_CORRUPT || run->outcome == FSHA_E_FENCED ||
	    run->outcome == FSHA_E_NOT_FOUND)
		return sweep_say("outcome %s", fsha_result_name(run->outcome));
	return NULL;
}

static const char *check_put(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	const char *wrong = check_outcome(run);
	char value;

	(void)ctx;
	if (!wrong)
		wrong = blob_of(after, KEY_1, &value);
	if (wrong)
		return wrong;
	if (value != 'o' && value != 'n')
		return sweep_say("the blob is '%c'", value);
	if (is_told(run) && value != (run->outcome == FSHA_OK ? 'n' : 'o'))
		return sweep_say("the blob is '%c' after %s", value,
				 fsha_result_name(run->outcome));
	return NULL;
}

static const char *check_first_put(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	const char *wrong = check_outcome(run);
	char value;

	(void)ctx;
	if (!wrong)
		wrong = blob_of(after, KEY_1, &value);
	if (wrong)
		return wrong;
	if (is_told(run) && value != (run->outcome == FSHA_OK ? 'b' : '\0'))
		return sweep_say("the blob is '%c' after %s", value ? value : '-',
				 fsha_result_name(run->outcome));
	return NULL;
}

/* A file that exists is right: also after a power cut, whatever was told. */
static const char *check_get(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	const char *wrong = check_outcome(run);
	char value;

	(void)ctx;
	if (wrong)
		return wrong;
	if (crashfs_exists(after, TARGET))
		wrong = differs(after, TARGET, 'o', LARGE);
	if (wrong)
		return sweep_say("the target: %s", wrong);
	if (run->when == SWEEP_RETURNED && run->outcome == FSHA_OK &&
	    !crashfs_exists(after, TARGET))
		return "got, and not there";
	wrong = blob_of(after, KEY_1, &value);
	return wrong ? wrong : value == 'o' ? NULL : "the blob has changed";
}

static const char *check_read(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	const char *wrong = check_outcome(run);
	char value = 'o';

	(void)ctx;
	if (!wrong)
		wrong = blob_of(after, KEY_1, &value);
	return wrong ? wrong : value == 'o' ? NULL : "the blob has changed";
}

static const char *check_delete_all(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	const char *wrong = check_outcome(run);
	char first, second = '\0';

	(void)ctx;
	if (!wrong)
		wrong = blob_of(after, KEY_1, &first);
	if (!wrong)
		wrong = blob_of(after, KEY_2, &second);
	if (wrong)
		return wrong;
	if (is_told(run) && run->outcome == FSHA_OK && (first || second))
		return "deleted, and there";
	if (is_told(run) && run->outcome == FSHA_OK && crashfs_exists(after, ROOM))
		return "deleted, and its directory is there";
	return (first && first != 'o') || (second && second != 'n') ? "it has changed" : NULL;
}

/* The one, and never the other. */
static const char *check_delete(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	const char *wrong = check_outcome(run);
	char first, second = '\0';

	(void)ctx;
	if (!wrong)
		wrong = blob_of(after, KEY_1, &first);
	if (!wrong)
		wrong = blob_of(after, KEY_2, &second);
	if (wrong)
		return wrong;
	if (second != 'n')
		return "another blob is gone";
	if (is_told(run) && first != (run->outcome == FSHA_OK ? '\0' : 'o'))
		return sweep_say("the blob is '%c' after %s", first ? first : '-',
				 fsha_result_name(run->outcome));
	return first && first != 'o' ? "it has changed" : NULL;
}

static const char *check_list(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	(void)after;
	return check_outcome(run);
}

/* ---- the sweeps ---- */

typedef const char *check_function(void *ctx, struct crashfs *after, const struct sweep_run *run);

static struct sweep_scenario scenario_of(const char *name, struct scene *scene,
					 void (*before)(void *ctx, struct crashfs *disk),
					 int (*op)(void *ctx, const struct fsu *fs),
					 check_function *look)
{
	return (struct sweep_scenario){
		.name = name,
		.options = { .seed = 1 },
		.ctx = scene,
		.setup = before,
		.operation = op,
		.check = look,
		.teardown = leave,
	};
}

static void sweep(const char *name, void (*before)(void *ctx, struct crashfs *disk),
		  int (*op)(void *ctx, const struct fsu *fs), check_function *look)
{
	struct scene scene;
	const struct sweep_scenario scenario = scenario_of(name, &scene, before, op, look);

	sweep_assert(&scenario);
	oom_assert(&scenario);
}

static void put_is_old_or_new_at_every_fault(void **state)
{
	(void)state;
	sweep("put", lead_with_blob, put, check_put);
	sweep("put_fd", lead_with_blob, put_fd, check_put);
}

static void the_first_put_of_a_job_is_there_or_not_at_every_fault(void **state)
{
	(void)state;
	sweep("first put", lead, put, check_first_put);
}

static void get_leaves_a_right_file_or_none_at_every_fault(void **state)
{
	(void)state;
	sweep("get", lead_with_blob, get, check_get);
	sweep("get_fd", lead_with_blob, get_fd, check_read);
}

static void delete_all_takes_all_or_says_so_at_every_fault(void **state)
{
	(void)state;
	sweep("delete_all", lead_with_two, delete_all, check_delete_all);
	sweep("cleanup_all", lead_with_two, clean_up, check_delete_all);
}

static void delete_takes_that_blob_or_says_so_at_every_fault(void **state)
{
	(void)state;
	sweep("delete", lead_with_two, delete_first, check_delete);
}

static void lists_are_right_or_fail_at_every_fault(void **state)
{
	(void)state;
	sweep("list", lead_with_blob, list, check_list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_is_old_or_new_at_every_fault),
		cmocka_unit_test(the_first_put_of_a_job_is_there_or_not_at_every_fault),
		cmocka_unit_test(get_leaves_a_right_file_or_none_at_every_fault),
		cmocka_unit_test(delete_all_takes_all_or_says_so_at_every_fault),
		cmocka_unit_test(delete_takes_that_blob_or_says_so_at_every_fault),
		cmocka_unit_test(lists_are_right_or_fail_at_every_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
