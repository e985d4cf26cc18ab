/*
 * The general store by its public functions, at every fault and when any allocation fails: all of
 * it is as before or as the operation makes it, and which of the two is told; what is read is right
 * or fails.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/holder.h"
#include "tests/lib/oom.h"

#define ELECTION "dispatcher"
#define OLD "k=old m=mid "
#define WRONG_VALUE 100 /* an outcome of reading that no result has */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return sweep_say("line %d: not so: %s (outcome %d)", __LINE__, #condition, \
					 run->outcome);                                            \
	} while (0)

struct scene {
	struct holder h;
	fsha_state_store *store;
	fsha_version version, doubtful; /* of "k"; of the add in doubt */
	size_t fed;
};

/* ---- before ---- */

static void open_store(struct scene *s)
{
	assert_int_equal(
		fsha_state_store_open(s->h.services, "ns", ELECTION, &s->store, &s->h.error),
		FSHA_OK);
}

static void lead(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	*s = (struct scene){ .store = NULL };
	holder_start(&s->h, disk, 0, ELECTION);
	open_store(s);
	assert_int_equal(fsha_state_store_add(s->store, "k", "old", 3, &s->version, NULL), FSHA_OK);
	assert_int_equal(fsha_state_store_add(s->store, "m", "mid", 3, NULL, NULL), FSHA_OK);
}

/* The directory could not be synced, so an add is in doubt. */
static void lead_in_doubt(void *ctx, struct crashfs *disk)
{
	const struct crashfs_fault fault = {
		.at = 1,
		.calls_mask = 1u << CRASHFS_FSYNC,
		.error = EIO,
		.repeat = true,
	};
	struct scene *s = ctx;

	lead(ctx, disk);
	crashfs_count_reset(disk);
	crashfs_fault_arm(disk, &fault);
	assert_int_equal(fsha_state_store_add(s->store, "n", "new", 3, &s->doubtful, NULL),
			 FSHA_E_INDOUBT);
	crashfs_fault_clear(disk);
}

/* One that has looked at nothing yet. */
static void start_reader(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	lead(ctx, disk);
	fsha_state_store_close(s->store);
	holder_stop(&s->h);
	holder_start_reader(&s->h, disk, 0);
	open_store(s);
}

static void leave(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	(void)disk;
	fsha_state_store_close(s->store);
	holder_stop(&s->h);
}

/* ---- what is done ---- */

static int64_t feed(void *ctx, void *buf, size_t size)
{
	struct scene *s = ctx;
	size_t n = strlen("new") - s->fed;

	n = n < size ? n : size;
	memcpy(buf, &"new"[s->fed], n);
	s->fed += n;
	return (int64_t)n;
}

static int add_stream(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;

	(void)fs;
	s->fed = 0;
	return fsha_state_store_add_stream(s->store, "n", feed, s, NULL, NULL);
}

static int replace(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;

	(void)fs;
	return fsha_state_store_replace(s->store, "k", &s->version, "new", 3, NULL, NULL);
}

static int replace_fd(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;
	int fd = memfd_create("value", MFD_CLOEXEC);
	fsha_result result;

	(void)fs;
	assert_int_equal(pwrite(fd, "new", 3, 0), 3);
	result = fsha_state_store_replace_fd(s->store, "k", &s->version, fd, FSHA_TO_END, NULL,
					     NULL);
	(void)close(fd);
	return result;
}

static int removal(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return fsha_state_store_remove(((struct scene *)ctx)->store, "m", NULL, NULL);
}

static int clear(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return fsha_state_store_clear(((struct scene *)ctx)->store, NULL);
}

static int settle(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;

	(void)fs;
	return fsha_state_store_settle(s->store, "n", &s->doubtful, NULL);
}

/* ---- reading ---- */

static fsha_result read_version(struct scene *s)
{
	fsha_version version;
	fsha_result result;

	result = fsha_state_store_exists(s->store, "k", &version, NULL);
	if (result == FSHA_OK && fsha_version_compare(&version, &s->version) != 0)
		return (fsha_result)WRONG_VALUE;
	/* What is kept of it goes, and what is asked then is right again. */
	return result == FSHA_OK ? fsha_state_store_release(s->store, "k", NULL) : result;
}

static fsha_result read_names(struct scene *s)
{
	fsha_result result;
	bool right;
	char **names;
	size_t count;

	result = fsha_state_store_list(s->store, &names, &count, NULL);
	if (result != FSHA_OK)
		return result;
	right = count == 2 && strcmp(names[0], "k") == 0 && strcmp(names[1], "m") == 0;
	fsu_release(s->h.fs, names);
	return right ? FSHA_OK : (fsha_result)WRONG_VALUE;
}

static fsha_result read_into_descriptor(struct scene *s)
{
	int fd = memfd_create("value", MFD_CLOEXEC);
	char text[8] = "";
	fsha_result result;
	uint64_t size = 0;

	result = fsha_state_store_get_fd(s->store, "m", fd, &size, NULL, NULL);
	if (result == FSHA_OK &&
	    (size != 3 || pread(fd, text, 7, 0) != 3 || strcmp(text, "mid") != 0))
		result = (fsha_result)WRONG_VALUE;
	(void)close(fd);
	return result;
}

struct visit {
	unsigned count;
	int outcome; /* of the first entry that could not be read */
};

static int visit(void *ctx, const fsha_state_entry *entry)
{
	struct visit *v = ctx;
	const char *expected = strcmp(entry->name, "k") == 0 ? "old" : "mid";

	v->count++;
	if (v->outcome == FSHA_OK)
		v->outcome = entry->result;
	if (entry->result == FSHA_OK && (entry->size != 3 || memcmp(entry->data, expected, 3) != 0))
		v->outcome = WRONG_VALUE;
	return 0;
}

static fsha_result read_all(struct scene *s)
{
	struct visit v = { .count = 0 };
	fsha_result result = fsha_state_store_get_all(s->store, visit, &v, NULL);

	if (result != FSHA_OK)
		return result;
	return v.count == 2 ? (fsha_result)v.outcome : (fsha_result)WRONG_VALUE;
}

static fsha_result read_text(struct scene *s)
{
	char text[256];
	fsha_result result = fsha_state_store_to_string(s->store, text, sizeof(text));

	return result == FSHA_OK && !strstr(text, "2 entries") ? (fsha_result)WRONG_VALUE : result;
}

/* As a process that comes up, each of them. */
static int read_in_turn(void *ctx, const struct fsu *fs)
{
	static fsha_result (*const reads[])(struct scene * s) = { read_version, read_names,
								  read_into_descriptor, read_all,
								  read_text };
	struct scene *s = ctx;
	fsha_result result = FSHA_OK;

	(void)fs;
	for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]) && result == FSHA_OK; i++) {
		(void)fsha_state_store_release_all(s->store, NULL);
		result = reads[i](s);
	}
	return result;
}

/* ---- after it ---- */

struct text {
	size_t used;
	char text[64];
};

static int append(void *ctx, const fsha_state_entry *entry)
{
	struct text *t = ctx;

	t->used += (size_t)snprintf(t->text + t->used, sizeof(t->text) - t->used, "%s=%.*s ",
				    entry->name, (int)entry->size,
				    entry->result == FSHA_OK ? (const char *)entry->data : "");
	return entry->result;
}

/* All that a fresh reader finds. */
static const char *content(struct crashfs *after)
{
	static struct text found;
	struct scene reader = { .store = NULL };
	fsha_result result;

	found = (struct text){ .used = 0 };
	holder_start_reader(&reader.h, after, 1);
	open_store(&reader);
	result = fsha_state_store_get_all(reader.store, append, &found, NULL);
	leave(&reader, after);
	return result == FSHA_OK ? found.text : fsha_result_name(result);
}

static const char *check(struct crashfs *after, const struct sweep_run *run, const char *new)
{
	bool told = run->when != SWEEP_CUT_DURING && run->outcome != FSHA_E_INDOUBT;
	const char *found = content(after);

	CHECK(run->n_faults > 0 || run->outcome == FSHA_OK);
	if (run->when != SWEEP_CUT_DURING) {
		CHECK(run->outcome != FSHA_E_FENCED);
		CHECK(run->outcome != FSHA_E_CORRUPT);
		CHECK(run->outcome != FSHA_E_NOT_FOUND);
		CHECK(run->outcome != WRONG_VALUE);
	}
	if (strcmp(found, OLD) != 0 && strcmp(found, new) != 0)
		return sweep_say("found '%s'", found);
	if (told && strcmp(found, run->outcome == FSHA_OK ? new : OLD) != 0)
		return sweep_say("found '%s' after %s", found, fsha_result_name(run->outcome));
	return NULL;
}

static const char *check_add(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	return check(after, run, OLD "n=new ");
}

static const char *check_replace(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	return check(after, run, "k=new m=mid ");
}

static const char *check_removal(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	return check(after, run, "k=old ");
}

static const char *check_clear(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	return check(after, run, "");
}

static const char *check_unchanged(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	return check(after, run, OLD);
}

/* Said to be done: durable. Said to be not done: never. Else nobody knows yet. */
static const char *check_settled(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	const char *found = content(after);
	bool there = strcmp(found, OLD "n=new ") == 0;

	(void)ctx;
	CHECK(there || strcmp(found, OLD) == 0);
	CHECK(run->n_faults > 0 || run->outcome == FSHA_OK || run->outcome == FSHA_E_NOT_FOUND);
	if (run->when == SWEEP_CUT_DURING)
		return NULL;
	CHECK(run->outcome != FSHA_OK || there);
	CHECK(run->outcome != FSHA_E_NOT_FOUND || !there);
	CHECK(run->outcome != FSHA_E_FENCED);
	CHECK(run->outcome != FSHA_E_CORRUPT);
	return NULL;
}

/* ---- the sweeps ---- */

typedef const char *check_function(void *ctx, struct crashfs *after, const struct sweep_run *run);

/* What says that it is not done, and what cannot tell, for want of memory. */
static bool is_doubt(int outcome)
{
	return outcome == FSHA_E_INDOUBT;
}

static void sweep(const char *name, void (*before)(void *ctx, struct crashfs *disk),
		  int (*operation)(void *ctx, const struct fsu *fs), check_function *look)
{
	struct scene scene;
	const struct sweep_scenario scenario = {
		.name = name,
		.options = { .seed = 1 },
		.ctx = &scene,
		.setup = before,
		.operation = operation,
		.check = look,
		.teardown = leave,
	};

	sweep_assert(&scenario);
	if (operation == settle)
		oom_assert_but(&scenario, is_doubt);
	else
		oom_assert(&scenario);
}

static void a_stream_that_is_added_is_there_or_not_at_every_fault(void **state)
{
	(void)state;
	sweep("add_stream", lead, add_stream, check_add);
}

static void a_replaced_value_is_old_or_new_at_every_fault(void **state)
{
	(void)state;
	sweep("replace", lead, replace, check_replace);
	sweep("replace_fd", lead, replace_fd, check_replace);
}

static void a_removed_name_is_there_or_not_at_every_fault(void **state)
{
	(void)state;
	sweep("remove", lead, removal, check_removal);
}

static void clear_takes_all_or_nothing_at_every_fault(void **state)
{
	(void)state;
	sweep("clear", lead, clear, check_clear);
}

static void settling_a_doubt_tells_the_truth_at_every_fault(void **state)
{
	(void)state;
	sweep("settle", lead_in_doubt, settle, check_settled);
}

static void what_is_read_is_right_or_fails_at_every_fault(void **state)
{
	(void)state;
	sweep("read", start_reader, read_in_turn, check_unchanged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_that_is_added_is_there_or_not_at_every_fault),
		cmocka_unit_test(a_replaced_value_is_old_or_new_at_every_fault),
		cmocka_unit_test(a_removed_name_is_there_or_not_at_every_fault),
		cmocka_unit_test(clear_takes_all_or_nothing_at_every_fault),
		cmocka_unit_test(settling_a_doubt_tells_the_truth_at_every_fault),
		cmocka_unit_test(what_is_read_is_right_or_fails_at_every_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
