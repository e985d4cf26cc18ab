/*
 * Values of any size in the state store, by descriptor and by callback: what every call says, and
 * what happens in the middle of a long copy.
 */
#include "tests/test_state_stream.h"
#include "src/state/state_store.h"

static int open_scene(void **state)
{
	static const struct crashfs_options options = { .seed = 1 };
	struct scene *s = calloc(1, sizeof(*s));

	if (!s)
		return -1;
	lead(s, crashfs_create(&options));
	*state = s;
	return 0;
}

static int close_scene(void **state)
{
	struct scene *s = *state;
	struct crashfs *disk = s->h.disk;

	crashfs_fault_clear(disk);
	crashfs_hook_set(disk, NULL, NULL);
	leave(s, disk);
	assert_int_equal(crashfs_open_fds(disk, 0), 0);
	assert_int_equal(crashfs_open_fds(disk, 1), 0);
	assert_int_equal(crashfs_bytes_allocated(disk), 0);
	crashfs_destroy(disk);
	free(s);
	return 0;
}

#define assert_said(call, expected)                                                      \
	do {                                                                             \
		fsha_result result_ = (call);                                            \
		if (result_ != (expected))                                               \
			fail_msg("%s: %s, not %s: %s", #call, fsha_result_name(result_), \
				 #expected, result_ == FSHA_OK ? "" : s->error.message); \
	} while (0)

/* The tenure is empty: nothing that was staged is left. */
static void assert_nothing_staged(const struct scene *s)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "/c/elections/dispatcher/%s", s->h.term->tenure);
	assert_string_equal(crashfs_ls(s->h.disk, path), "");
}

/* The value by descriptor: its only byte, and how many; '?' when they differ. */
static char value_by_fd(struct scene *s, const char *name, uint64_t *ret_size)
{
	int fd = memfd_create("target", MFD_CLOEXEC);
	fsha_version version = { 0 };
	char first = '\0';
	char *data;

	assert_true(fd >= 0);
	assert_said(fsha_state_store_get_fd(s->store, name, fd, ret_size, &version, &s->error),
		    FSHA_OK);
	assert_true(fsha_version_is_existing(&version));
	data = malloc(*ret_size + 1);
	assert_int_equal(pread(fd, data, *ret_size + 1, 0), *ret_size);
	if (*ret_size > 0)
		first = data[0];
	for (uint64_t i = 0; i < *ret_size; i++)
		if (data[i] != first)
			first = '?';
	free(data);
	(void)close(fd);
	return first;
}

static void expect_entry(struct scene *s, const char *name, char c, uint64_t size)
{
	uint64_t got;
	size_t len;
	void *data;

	assert_int_equal(value_by_fd(s, name, &got), c);
	assert_true(got == size);
	assert_said(fsha_state_store_get(s->store, name, &data, &len, NULL, &s->error), FSHA_OK);
	assert_int_equal(len, size);
	for (size_t i = 0; i < len; i++)
		assert_true(((char *)data)[i] == c);
	fsu_release(s->h.fs, data);
}

static size_t file_size(struct scene *s, const char *name)
{
	const char *names = crashfs_ls(s->h.disk, DIRECTORY), *at = strstr(names, name);
	char path[512];
	size_t len = 0;

	assert_non_null(at);
	(void)snprintf(path, sizeof(path), DIRECTORY "/%.*s", (int)strcspn(at, "\n"), at);
	assert_non_null(crashfs_cat(s->h.disk, path, &len));
	return len;
}

/* ---- what every call says ---- */

static void a_large_value_is_an_entry_as_any_other(void **state)
{
	struct scene *s = *state;
	fsha_version version, second;
	char **names;
	size_t count;

	expect_entry(s, "k", 'o', LARGE);
	assert_said(fsha_state_store_exists(s->store, "k", &version, &s->error), FSHA_OK);
	assert_int_equal(fsha_version_compare(&version, &s->version), 0);
	assert_said(fsha_state_store_replace_fd(s->store, "k", &version, s->fd, FSHA_TO_END,
						&second, &s->error),
		    FSHA_OK);
	assert_true(fsha_version_compare(&second, &version) > 0);
	expect_entry(s, "k", 'n', LARGE);
	assert_said(fsha_state_store_list(s->store, &names, &count, &s->error), FSHA_OK);
	assert_int_equal(count, 1);
	assert_string_equal(names[0], "k");
	fsu_release(s->h.fs, names);
	assert_said(fsha_state_store_replace(s->store, "k", &second, "x", 1, &version, &s->error),
		    FSHA_OK);
	expect_entry(s, "k", 'x', 1);
	assert_said(fsha_state_store_remove(s->store, "k", NULL, &s->error), FSHA_OK);
	assert_said(fsha_state_store_get_fd(s->store, "k", s->fd, NULL, NULL, &s->error),
		    FSHA_E_NOT_FOUND);
	assert_nothing_staged(s);
}

static void a_small_value_is_an_ordinary_record(void **state)
{
	struct scene *s = *state;

	assert_said(fsha_state_store_add_fd(s->store, "small", s->fd, 10, NULL, &s->error),
		    FSHA_OK);
	assert_int_equal(file_size(s, "small"), 112 + strlen("state/ns/small") + 10 + 16);
	expect_entry(s, "small", 'n', 10);
	/* From where the descriptor stood, and no further. */
	assert_int_equal(lseek(s->fd, 0, SEEK_CUR), 10);
	assert_said(fsha_state_store_add_fd(s->store, "empty", s->fd, 0, NULL, &s->error), FSHA_OK);
	expect_entry(s, "empty", '\0', 0);
}

static void sizes_around_the_border_between_record_and_stream_come_back(void **state)
{
	static const size_t sizes[] = { 65535, 65536, 65537, 65538, LARGE };
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "n%zu", i);
		assert_int_equal(lseek(s->fd, 0, SEEK_SET), 0);
		assert_said(
			fsha_state_store_add_fd(s->store, name, s->fd, sizes[i], NULL, &s->error),
			FSHA_OK);
		expect_entry(s, name, 'n', sizes[i]);
		assert_int_equal(file_size(s, name) == FSU_STREAM_HEAD + sizes[i] + FSU_STREAM_TAIL,
				 sizes[i] > 65536);
	}
}

static void a_pipe_is_read_to_its_end(void **state)
{
	struct scene *s = *state;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "ppp", 3), 3);
	(void)close(ends[1]);
	assert_said(fsha_state_store_add_fd(s->store, "p", ends[0], FSHA_TO_END, NULL, &s->error),
		    FSHA_OK);
	(void)close(ends[0]);
	expect_entry(s, "p", 'p', 3);
}

static void a_source_that_ends_too_early_is_invalid_and_nothing_is_written(void **state)
{
	struct scene *s = *state;

	assert_said(fsha_state_store_add_fd(s->store, "x", s->fd, LARGE + 1, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_non_null(strstr(s->error.message, "ended after 70000 of 70001 bytes"));
	assert_int_equal(lseek(s->fd, LARGE - 5, SEEK_SET), LARGE - 5);
	assert_said(fsha_state_store_add_fd(s->store, "x", s->fd, 6, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_null(strstr(crashfs_ls(s->h.disk, DIRECTORY), "x~"));
	assert_nothing_staged(s);
}

static void bad_arguments_are_invalid_and_say_so(void **state)
{
	struct scene *s = *state;
	int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_said(fsha_state_store_add_fd(NULL, "x", s->fd, 1, NULL, &s->error), FSHA_E_INVALID);
	assert_said(fsha_state_store_add_fd(s->store, NULL, s->fd, 1, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_state_store_add_fd(s->store, "", s->fd, 1, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_state_store_add_fd(s->store, "x", -1, 1, NULL, &s->error), FSHA_E_INVALID);
	assert_said(fsha_state_store_add_fd(s->store, "x", 987654, 1, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_non_null(strstr(s->error.message, "descriptor 987654"));
	assert_said(fsha_state_store_add_fd(s->store, "x", dir, FSHA_TO_END, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_state_store_replace_fd(s->store, "k", NULL, s->fd, 1, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_state_store_get_fd(s->store, "k", -1, NULL, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_state_store_get_fd(s->store, "k", dir, NULL, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_state_store_get_fd(NULL, "k", s->fd, NULL, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_state_store_add_stream(s->store, "x", NULL, NULL, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_said(fsha_state_store_get_stream(s->store, "k", NULL, NULL, NULL, NULL, &s->error),
		    FSHA_E_INVALID);
	(void)close(dir);
	assert_null(strstr(crashfs_ls(s->h.disk, DIRECTORY), "x~"));
}

static void what_would_be_refused_then_is_refused_before_it_is_read(void **state)
{
	struct scene *s = *state;
	fsha_version other = s->version;

	other.sequence += 1000;
	assert_said(fsha_state_store_add_fd(s->store, "k", s->fd, FSHA_TO_END, NULL, &s->error),
		    FSHA_E_EXISTS);
	assert_true(lseek(s->fd, 0, SEEK_SET) == 0);
	assert_said(fsha_state_store_replace_fd(s->store, "k", &other, s->fd, FSHA_TO_END, NULL,
						&s->error),
		    FSHA_E_VERSION);
	assert_true(lseek(s->fd, 0, SEEK_CUR) < LARGE);
	assert_said(fsha_state_store_replace_fd(s->store, "none", &other, s->fd, FSHA_TO_END, NULL,
						&s->error),
		    FSHA_E_NOT_FOUND);
	expect_entry(s, "k", 'o', LARGE);
}

/* ---- callbacks ---- */

static fsha_result add_feed(struct scene *s, const char *name, struct feed *f,
			    fsha_version *ret_version)
{
	f->s = s;
	if (!f->size)
		f->size = 1000000;
	return fsha_state_store_add_stream(s->store, name, feed_read, f, ret_version, &s->error);
}

static void a_callback_that_fails_ends_the_write_with_its_errno(void **state)
{
	static const uint64_t places[] = { 1, 100000, 700000 };
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct feed f = { .at = places[i], .error = -EPIPE };

		assert_said(add_feed(s, "x", &f, NULL), FSHA_E_IO);
		assert_int_equal(s->error.os_errno, EPIPE);
		assert_string_equal(s->error.op, "read");
		assert_nothing_staged(s);
	}
	assert_null(strstr(crashfs_ls(s->h.disk, DIRECTORY), "x~"));
}

static void a_taker_that_refuses_ends_the_read_with_its_errno(void **state)
{
	struct scene *s = *state;
	int answer = -ENOSPC;
	uint64_t size = 77;

	assert_said(
		fsha_state_store_get_stream(s->store, "k", refuse, &answer, &size, NULL, &s->error),
		FSHA_E_IO);
	assert_int_equal(s->error.os_errno, ENOSPC);
	assert_string_equal(s->error.op, "write");
	assert_true(size == 77);
	answer = 0;
	assert_said(
		fsha_state_store_get_stream(s->store, "k", refuse, &answer, &size, NULL, &s->error),
		FSHA_OK);
	assert_true(size == LARGE);
}

/* ---- in the middle of a long copy ---- */

static void add_another(struct scene *s)
{
	/* The lock of the store is free: this returns. */
	assert_said(fsha_state_store_add(s->store, "other", "1", 1, NULL, &s->error), FSHA_OK);
}

static void other_calls_go_on_while_a_value_is_taken_in(void **state)
{
	struct scene *s = *state;
	struct feed f = { .at = 500000, .event = add_another };

	assert_said(add_feed(s, "x", &f, NULL), FSHA_OK);
	expect_entry(s, "x", 'f', 1000000);
	expect_entry(s, "other", '1', 1);
}

static void add_same(struct scene *s)
{
	assert_said(fsha_state_store_add(s->store, "x", "s", 1, NULL, &s->error), FSHA_OK);
}

static void add_and_remove_same(struct scene *s)
{
	add_same(s);
	assert_said(fsha_state_store_remove(s->store, "x", NULL, &s->error), FSHA_OK);
}

static void a_name_that_was_added_meanwhile_exists(void **state)
{
	struct scene *s = *state;
	struct feed f = { .at = 500000, .event = add_same };

	assert_said(add_feed(s, "x", &f, NULL), FSHA_E_EXISTS);
	expect_entry(s, "x", 's', 1);
	assert_nothing_staged(s);
}

/* Its version is older than the removal's: published, it would not count, and nobody would know. */
static void a_name_that_was_added_and_removed_meanwhile_is_refused(void **state)
{
	struct scene *s = *state;
	struct feed f = { .at = 500000, .event = add_and_remove_same }, again = { .size = 0 };

	assert_said(add_feed(s, "x", &f, NULL), FSHA_E_VERSION);
	assert_nothing_staged(s);
	assert_said(fsha_state_store_get_fd(s->store, "x", s->fd, NULL, NULL, &s->error),
		    FSHA_E_NOT_FOUND);
	assert_said(add_feed(s, "x", &again, NULL), FSHA_OK);
	expect_entry(s, "x", 'f', 1000000);
}

static void add_remove_and_clean_same(struct scene *s)
{
	add_and_remove_same(s);
	for (int i = 0; i < 3; i++) {
		crashfs_advance(s->h.disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
		(void)store_clean(s->store->store);
	}
}

/* The version that it took before the others were made must not come after them. */
static void versions_only_grow_although_the_tombstone_was_cleaned_meanwhile(void **state)
{
	struct scene *s = *state;
	struct feed f = { .at = 500000, .event = add_remove_and_clean_same }, again = { .size = 0 };

	lease_begin(&s->h.services->member->lease, fsu_now_ns(s->h.fs), 60 * FSU_NS_PER_S);
	assert_said(add_feed(s, "x", &f, NULL), FSHA_E_VERSION);
	assert_nothing_staged(s);
	assert_said(add_feed(s, "x", &again, NULL), FSHA_OK);
	expect_entry(s, "x", 'f', 1000000);
	assert_said(fsha_state_store_remove(s->store, "x", NULL, &s->error), FSHA_OK);
	for (int i = 0; i < 3; i++) {
		crashfs_advance(s->h.disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
		(void)store_clean(s->store->store);
	}
	assert_null(strstr(crashfs_ls(s->h.disk, DIRECTORY), "x~")); /* nothing is kept for good */
}

static void end_term(struct scene *s)
{
	term_over(s->h.term, TERM_RESIGNED);
}

static void a_term_that_ends_meanwhile_stops_the_copy(void **state)
{
	struct scene *s = *state;
	struct feed f = { .at = 300000, .event = end_term };

	assert_said(add_feed(s, "x", &f, NULL), FSHA_E_NOT_LEADER);
	assert_true(f.done < f.size); /* and was not read to its end */
	assert_null(strstr(crashfs_ls(s->h.disk, DIRECTORY), "x~"));
	assert_nothing_staged(s);
}

static struct holder successor;

/* Another process is granted; ours has slept through it and does not know. */
static void be_fenced(struct scene *s)
{
	holder_start(&successor, s->h.disk, 1, "dispatcher");
	atomic_store(&s->h.term->end, TERM_LIVE);
	lease_begin(s->h.term->lease, fsu_now_ns(s->h.fs), 60 * FSU_NS_PER_S);
}

static void a_leader_that_is_fenced_meanwhile_publishes_nothing(void **state)
{
	struct scene *s = *state;
	struct feed f = { .at = 300000, .event = be_fenced };
	char path[256];

	assert_said(add_feed(s, "x", &f, NULL), FSHA_E_FENCED);
	assert_null(strstr(crashfs_ls(s->h.disk, DIRECTORY), "x~"));
	(void)snprintf(path, sizeof(path), "/c/elections/dispatcher/%s", s->h.term->tenure);
	assert_false(crashfs_exists(s->h.disk, path));
	holder_stop(&successor);
}

static void whoever_leads_nothing_is_refused_before_the_source_is_read(void **state)
{
	struct scene *s = *state;
	fsha_state_store *store;
	struct holder reader;

	holder_start_reader(&reader, s->h.disk, 1);
	assert_said(fsha_state_store_open(reader.services, "ns", "dispatcher", &store, NULL),
		    FSHA_OK);
	assert_said(fsha_state_store_add_fd(store, "x", s->fd, FSHA_TO_END, NULL, &s->error),
		    FSHA_E_NOT_LEADER);
	assert_int_equal(lseek(s->fd, 0, SEEK_CUR), 0);
	fsha_state_store_close(store);
	holder_stop(&reader);
}

/* ---- damage and size ---- */

static const char *path_of(struct scene *s, const char *name)
{
	static char path[512];
	const char *at = strstr(crashfs_ls(s->h.disk, DIRECTORY), name);

	assert_non_null(at);
	(void)snprintf(path, sizeof(path), DIRECTORY "/%.*s", (int)strcspn(at, "\n"), at);
	return path;
}

static int count_corrupt(void *ctx, const fsha_state_entry *entry)
{
	*(int *)ctx += entry->result == FSHA_E_CORRUPT;
	return 0;
}

static void a_damaged_stream_is_corrupt_however_it_is_read(void **state)
{
	struct scene *s = *state;
	const char *path = path_of(s, "k~");
	int corrupt = 0, answer = 0;
	uint8_t *file;
	size_t len;
	void *data;

	file = malloc(FSU_STREAM_HEAD + LARGE + FSU_STREAM_TAIL);
	assert_non_null(file);
	memcpy(file, crashfs_cat(s->h.disk, path, &len), FSU_STREAM_HEAD + LARGE + FSU_STREAM_TAIL);
	file[FSU_STREAM_HEAD + LARGE / 2] ^= 1;
	crashfs_put(s->h.disk, path, file, len);
	free(file);
	assert_said(fsha_state_store_get_fd(s->store, "k", s->fd, NULL, NULL, &s->error),
		    FSHA_E_CORRUPT);
	assert_non_null(strstr(s->error.message, "state/ns/k~"));
	assert_said(
		fsha_state_store_get_stream(s->store, "k", refuse, &answer, NULL, NULL, &s->error),
		FSHA_E_CORRUPT);
	assert_said(fsha_state_store_get(s->store, "k", &data, &len, NULL, &s->error),
		    FSHA_E_CORRUPT);
	assert_said(fsha_state_store_get_all(s->store, count_corrupt, &corrupt, &s->error),
		    FSHA_OK);
	assert_int_equal(corrupt, 1);
}

static void a_stream_in_another_entrys_place_is_corrupt(void **state)
{
	struct scene *s = *state;
	char target[512];
	const uint8_t *file;
	size_t len;

	(void)snprintf(target, sizeof(target), "%s", path_of(s, "k~"));
	file = crashfs_cat(s->h.disk, target, &len);
	target[strlen(DIRECTORY) + 1] = 'j';
	crashfs_put(s->h.disk, target, file, len);
	fsha_state_store_release_all(s->store, NULL);
	assert_said(fsha_state_store_get_fd(s->store, "j", s->fd, NULL, NULL, &s->error),
		    FSHA_E_CORRUPT);
	assert_non_null(strstr(s->error.message, "another name"));
}

static void a_value_that_is_too_large_for_memory_is_only_read_as_a_stream(void **state)
{
	struct scene *s = *state;
	struct feed f = { .size = FSHA_STATE_VALUE_MAX + 1 },
		    most = { .size = FSHA_STATE_VALUE_MAX };
	int answer = 0;
	uint64_t size;
	size_t len;
	void *data;

	assert_said(add_feed(s, "x", &f, NULL), FSHA_OK);
	assert_said(fsha_state_store_get(s->store, "x", &data, &len, NULL, &s->error),
		    FSHA_E_INVALID);
	assert_non_null(strstr(s->error.message, "67108865 bytes"));
	assert_non_null(strstr(s->error.message, "fsha_state_store_get_fd"));
	assert_said(
		fsha_state_store_get_stream(s->store, "x", refuse, &answer, &size, NULL, &s->error),
		FSHA_OK);
	assert_true(size == FSHA_STATE_VALUE_MAX + 1);
	assert_said(add_feed(s, "y", &most, NULL), FSHA_OK);
	assert_said(fsha_state_store_get(s->store, "y", &data, &len, NULL, &s->error), FSHA_OK);
	assert_int_equal(len, FSHA_STATE_VALUE_MAX);
	fsu_release(s->h.fs, data);
}

#define scene_test(f) cmocka_unit_test_setup_teardown(f, open_scene, close_scene)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(a_large_value_is_an_entry_as_any_other),
		scene_test(a_small_value_is_an_ordinary_record),
		scene_test(sizes_around_the_border_between_record_and_stream_come_back),
		scene_test(a_pipe_is_read_to_its_end),
		scene_test(a_source_that_ends_too_early_is_invalid_and_nothing_is_written),
		scene_test(bad_arguments_are_invalid_and_say_so),
		scene_test(what_would_be_refused_then_is_refused_before_it_is_read),
		scene_test(a_callback_that_fails_ends_the_write_with_its_errno),
		scene_test(a_taker_that_refuses_ends_the_read_with_its_errno),
		scene_test(other_calls_go_on_while_a_value_is_taken_in),
		scene_test(a_name_that_was_added_meanwhile_exists),
		scene_test(a_name_that_was_added_and_removed_meanwhile_is_refused),
		scene_test(versions_only_grow_although_the_tombstone_was_cleaned_meanwhile),
		scene_test(a_term_that_ends_meanwhile_stops_the_copy),
		scene_test(a_leader_that_is_fenced_meanwhile_publishes_nothing),
		scene_test(whoever_leads_nothing_is_refused_before_the_source_is_read),
		scene_test(a_damaged_stream_is_corrupt_however_it_is_read),
		scene_test(a_stream_in_another_entrys_place_is_corrupt),
		scene_test(a_value_that_is_too_large_for_memory_is_only_read_as_a_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
