/*
 * What a store acknowledged survives a power cut, also when it rests on something that an earlier
 * call, or an earlier leader, had done and not made durable.
 */
#include "tests/lib/fixture.h"

#include <errno.h>

#include "src/state/store.h"

#define ELECTION "dispatcher"
#define KEY "key"

static struct fixture *f;
/* NULL, or that the two halves of a rename may come apart. */
static const struct fixture_options *disk;
static const struct fixture_options split = { .fs = { .split_renames = true } };
static struct member *m;
static struct term *t;
static struct store *store;

static const struct store_options graphs = {
	.directory = "job_graphs",
	.election = ELECTION,
	.kind = FSU_KIND_JOB_GRAPH,
};
static const struct store_options namespace_ = {
	.directory = "state/jobs",
	.election = ELECTION,
	.kind = FSU_KIND_STATE,
	.owned = true,
};

static struct term *get_term(void *ctx, const char *election)
{
	(void)ctx;
	assert_string_equal(election, ELECTION);
	return term_ref(t);
}

/* Client 0 leads and has the store open. */
static void lead(const struct store_options *options)
{
	const struct term_source terms = { get_term, NULL };
	fsha_error error = FSHA_ERROR_INIT;

	m = fixture_member(f, 0);
	t = fixture_term(f, m, ELECTION);
	assert_result(f, store_open(&f->cluster[0], &terms, options, &store, &error), FSHA_OK,
		      &error);
}

/* As far as memory and descriptors go: nothing is resigned. */
static void stop(void)
{
	store_close(store);
	term_unref(t);
	member_destroy(m);
	t = NULL;
	m = NULL;
}

static fsha_result write_key(enum store_write how)
{
	const char *value = how == STORE_REMOVE ? NULL : "value";

	return store_write(store, how, KEY, NULL, value, value ? 5 : 0, NULL, NULL);
}

static bool key_exists(void)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_version version;

	assert_result(f, store_exists(store, KEY, &version, &error), FSHA_OK, &error);
	return fsha_version_is_existing(&version);
}

static void power_cut(const struct store_options *options)
{
	crashfs_crash_losing_all(f->fs);
	stop();
	fixture_recover(f);
	assert_int_equal(fixture_open_cluster(f, 0, false, NULL), FSHA_OK);
	lead(options);
}

/*
 * The first call fails somewhere; the same process, or the next leader, calls again. What that says
 * is done must be so after the power failed. Returns whether the fault came up.
 */
static bool fail_and_repeat(const struct store_options *options, enum store_write how,
			    const struct crashfs_fault *fault, bool successor)
{
	fsha_result result;
	bool fired;

	f = fixture_open(disk);
	lead(options);
	if (how == STORE_REMOVE)
		assert_int_equal(write_key(STORE_ADD), FSHA_OK);
	crashfs_count_reset(f->fs);
	crashfs_fault_arm(f->fs, fault);
	(void)write_key(how);
	fired = crashfs_faults_fired(f->fs) > 0;
	crashfs_fault_clear(f->fs);
	if (successor) {
		stop();
		lead(options);
	}
	result = write_key(how);
	if (how == STORE_ADD && result == FSHA_E_EXISTS)
		result = write_key(STORE_REPLACE);
	assert_int_equal(result, FSHA_OK);
	power_cut(options);
	assert_int_equal(key_exists(), how != STORE_REMOVE);
	stop();
	fixture_close(f);
	return fired;
}

static void sweep(const struct store_options *options, enum store_write how, bool successor)
{
	bool fired = true;

	for (uint64_t at = 0; fired; at++) {
		for (size_t way = 0; fired && way < FIXTURE_SWEEPS; way++) {
			struct crashfs_fault fault = fixture_fault(at, way);

			fired = fail_and_repeat(options, how, &fault, successor);
		}
	}
}

static void removal_that_is_repeated_by_the_same_leader_is_durable(void **state)
{
	(void)state;
	sweep(&graphs, STORE_REMOVE, false);
}

static void removal_that_is_repeated_by_the_next_leader_is_durable(void **state)
{
	(void)state;
	sweep(&graphs, STORE_REMOVE, true);
}

/*
 * Fencing syncs what the tombstone came out of; where a rename is two changes, that does not make
 * its new name durable.
 */
static void removal_found_by_the_next_leader_is_durable_where_renames_split(void **state)
{
	(void)state;
	disk = &split;
	sweep(&graphs, STORE_REMOVE, true);
	disk = NULL;
}

static void value_that_is_written_again_is_durable(void **state)
{
	(void)state;
	sweep(&graphs, STORE_ADD, false);
	sweep(&graphs, STORE_ADD, true);
}

static fsha_result read_key(struct store *reader)
{
	fsha_version version = { 0 };
	fsha_result result = store_exists(reader, KEY, &version, NULL);

	return result == FSHA_OK && !fsha_version_is_existing(&version) ? FSHA_E_NOT_FOUND : result;
}

static struct term *no_term(void *ctx, const char *election)
{
	(void)ctx;
	(void)election;
	return NULL;
}

/* Another host has looked for the namespace before it was made, and remembers that. */
static void namespace_is_seen_although_its_absence_was_cached(void **state)
{
	const struct fixture_options network = { .fs = { .cache_ns = FIXTURE_CACHE_NS } };
	const struct term_source none = { no_term, NULL };
	struct store *reader;

	(void)state;
	f = fixture_open(&network);
	lead(&namespace_);
	assert_int_equal(store_open(&f->cluster[1], &none, &namespace_, &reader, NULL), FSHA_OK);
	assert_int_equal(read_key(reader), FSHA_E_NOT_FOUND);
	assert_int_equal(write_key(STORE_ADD), FSHA_OK);
	assert_int_equal(read_key(reader), FSHA_OK);
	store_close(reader);
	stop();
	fixture_close(f);
}

/* Its directory is made with the first write, which failed. */
static void namespace_of_an_acknowledged_value_is_durable(void **state)
{
	(void)state;
	sweep(&namespace_, STORE_ADD, false);
	sweep(&namespace_, STORE_ADD, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(removal_that_is_repeated_by_the_same_leader_is_durable),
		cmocka_unit_test(removal_that_is_repeated_by_the_next_leader_is_durable),
		cmocka_unit_test(removal_found_by_the_next_leader_is_durable_where_renames_split),
		cmocka_unit_test(value_that_is_written_again_is_durable),
		cmocka_unit_test(namespace_of_an_acknowledged_value_is_durable),
		cmocka_unit_test(namespace_is_seen_although_its_absence_was_cached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
