/*
 * Verify finds what it is for and nothing else: each damage is done to a sound cluster directory,
 * and the findings that come with it are exactly those expected.
 */
#include "tests/test_verify.h"
#include "tests/lib/swept.h"

#include "tests/lib/oom.h"

/* Verify as client 2 does, who takes no part. */
static void look(struct town *t, struct findings *ret_found, fsha_verify_summary *ret_summary)
{
	const struct cluster_options options = { .storage_dir = "/",
						 .cluster_id = "c",
						 .inspect = true };
	const struct fsu *fs = crashfs_client(t->disk, 2);
	fsha_error error = FSHA_ERROR_INIT;
	struct cluster cluster;

	*ret_summary = (fsha_verify_summary)FSHA_VERIFY_SUMMARY_INIT;
	findings_init(ret_found, fs);
	if (cluster_open(fs, &options, &cluster, &error) != FSHA_OK ||
	    verify_run(&cluster, NULL, false, ret_summary, ret_found, &error) != FSHA_OK)
		fail_msg("%s\n%s", error.message, crashfs_log(t->disk));
	cluster_close(&cluster);
}

/* ---- the tests ---- */

static bool was_there(const struct findings *before, const struct finding *f)
{
	for (size_t i = 0; i < before->count; i++)
		if (before->items[i].code == f->code && strcmp(before->items[i].path, f->path) == 0)
			return true;
	return false;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The codes of what is new, sorted, as in the table above. */
static void new_codes(const struct findings *before, const struct findings *after, char *ret_codes,
		      size_t size)
{
	const char *codes[64] = { NULL };
	size_t n = 0, used = 0;

	for (size_t i = 0; i < after->count && n < 64; i++)
		if (!was_there(before, &after->items[i]))
			codes[n++] = finding_type(after->items[i].code)->name;
	qsort(codes, n, sizeof(codes[0]), compare_texts);
	ret_codes[0] = '\0';
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(ret_codes + used, size - used, "%s%s", i ? " " : "",
					 codes[i]);
}

static void print_findings(const struct findings *found)
{
	for (size_t i = 0; i < found->count; i++)
		print_error("  %s '%s': %s\n", finding_type(found->items[i].code)->name,
			    found->items[i].path, found->items[i].message);
}

static void close_disk(struct crashfs *disk)
{
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++)
		assert_int_equal(crashfs_open_fds(disk, i), 0);
	assert_int_equal(crashfs_bytes_allocated(disk), 0);
	crashfs_destroy(disk);
}

static void try_damage(const struct damage *d, int64_t cache_ns, bool *seen)
{
	struct crashfs *disk =
		crashfs_create(&(struct crashfs_options){ .seed = 1, .cache_ns = cache_ns });
	struct findings before, after;
	fsha_verify_summary summary;
	char codes[1000];
	struct town t;

	town_start(&t, disk);
	look(&t, &before, &summary);
	d->make(&t);
	look(&t, &after, &summary);
	new_codes(&before, &after, codes, sizeof(codes));
	if (strcmp(codes, d->codes) != 0) {
		print_findings(&after);
		fail_msg("%s: '%s' was found, not '%s'", d->name, codes, d->codes);
	}
	for (size_t i = 0; i < after.count; i++)
		seen[after.items[i].code] = true;
	findings_done(&before);
	findings_done(&after);
	town_stop(&t);
	close_disk(disk);
}

static void each_damage_is_found_and_nothing_else(void **state)
{
	/*
	 * What no damage can bring about here: an EIO, a two-phase removal, owners and rights
	 * (test_security_access, tests/root), and more than can be told (below).
	 */
	bool seen[FINDING_CODES] = { [FINDING_UNREADABLE] = true,
				     [FINDING_MARKED] = true,
				     [FINDING_EXPOSED] = true,
				     [FINDING_FOREIGN_OWNER] = true,
				     [FINDING_NOT_TOLD] = true };

	(void)state;
	for (size_t i = 0; i < DAMAGES; i++)
		try_damage(&damages[i], 0, seen);
	for (int code = 0; code < FINDING_CODES; code++)
		if (!seen[code])
			fail_msg("no test makes '%s'", finding_type((enum finding_code)code)->name);
}

static void each_damage_is_found_through_the_caches_of_another_host(void **state)
{
	bool seen[FINDING_CODES];

	(void)state;
	for (size_t i = 0; i < DAMAGES; i++)
		/* Whose lock is free cannot be told there. */
		if (damages[i].make != let_a_member_die)
			try_damage(&damages[i], 30 * FSU_NS_PER_S, seen);
}

static void a_sound_cluster_gives_no_finding_above_info(void **state)
{
	struct crashfs *disk = crashfs_create(&(struct crashfs_options){ .seed = 1 });
	fsha_verify_summary summary;
	struct findings found;
	struct town t;

	(void)state;
	town_start(&t, disk);
	look(&t, &found, &summary);
	if (summary.findings[FSHA_SEVERITY_WARNING] || summary.findings[FSHA_SEVERITY_ERROR] ||
	    summary.findings[FSHA_SEVERITY_CRITICAL])
		print_findings(&found);
	assert_int_equal(summary.findings[FSHA_SEVERITY_WARNING], 0);
	assert_int_equal(summary.findings[FSHA_SEVERITY_ERROR], 0);
	assert_int_equal(summary.findings[FSHA_SEVERITY_CRITICAL], 0);
	assert_true(summary.records >= 10);
	findings_done(&found);
	town_resign(&t);
	look(&t, &found, &summary);
	assert_int_equal(summary.findings[FSHA_SEVERITY_WARNING], 0);
	assert_int_equal(summary.findings[FSHA_SEVERITY_ERROR], 0);
	assert_int_equal(summary.findings[FSHA_SEVERITY_CRITICAL], 0);
	findings_done(&found);
	town_stop(&t);
	close_disk(disk);
}

/* ---- faults ---- */

struct inspection {
	struct town town;
	fsha_verify_summary summary;
	struct findings found;
	uint64_t records; /* without a fault */
};

static void build(void *ctx, struct crashfs *disk)
{
	struct inspection *i = ctx;

	town_start(&i->town, disk);
	town_kill(&i->town);
}

static int inspect(void *ctx, const struct fsu *fs)
{
	const struct cluster_options options = { .storage_dir = "/",
						 .cluster_id = "c",
						 .inspect = true };
	struct inspection *i = ctx;
	struct cluster cluster;
	fsha_result result;

	i->summary = (fsha_verify_summary)FSHA_VERIFY_SUMMARY_INIT;
	findings_init(&i->found, fs);
	result = cluster_open(fs, &options, &cluster, NULL);
	if (result != FSHA_OK)
		return result;
	result = SWEPT(verify_run)(&cluster, NULL, false, &i->summary, &i->found, NULL);
	cluster_close(&cluster);
	return result;
}

/* One call that fails is looked at again; what was looked at is all there is. */
static const char *nothing_bad(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	struct inspection *i = ctx;
	const struct finding *f = NULL;

	(void)after;
	if (run->when != SWEEP_RETURNED || run->outcome != FSHA_OK)
		return NULL;
	if (run->n_faults == 0)
		i->records = i->summary.records;
	for (size_t n = 0; n < i->found.count && !f; n++)
		if (finding_type(i->found.items[n].code)->severity > FSHA_SEVERITY_INFO)
			f = &i->found.items[n];
	if (f)
		return sweep_say("found %s '%s': %s", finding_type(f->code)->name, f->path,
				 f->message);
	if (i->summary.records < i->records)
		return sweep_say("%llu records of %llu were read",
				 (unsigned long long)i->summary.records,
				 (unsigned long long)i->records);
	return NULL;
}

static void forget(void *ctx, struct crashfs *disk)
{
	(void)disk;
	findings_done(&((struct inspection *)ctx)->found);
}

static struct sweep_scenario inspection_scenario(struct inspection *i)
{
	return (struct sweep_scenario){ .name = "verify",
					.options = { .seed = 1 },
					.client = 1,
					.ctx = i,
					.setup = build,
					.operation = inspect,
					.check = nothing_bad,
					.teardown = forget };
}

/* A power cut in the middle of a claim may keep the swap of the epoch file without the mkdir. */
static void add_many(struct findings *found, enum finding_code code, size_t count)
{
	for (size_t i = 0; i < count; i++)
		findings_add(found, code, "path", "the %zu.", i);
}

static size_t count_of(const struct findings *found, enum finding_code code)
{
	size_t n = 0;

	for (size_t i = 0; i < found->count; i++)
		n += found->items[i].code == code;
	return n;
}

static void of_too_many_the_worst_are_told_and_that_there_are_more(void **state)
{
	struct findings found, from;

	(void)state;
	findings_init(&found, &fsu_posix);
	findings_init(&from, &fsu_posix);
	add_many(&found, FINDING_RECORD_DAMAGED, 1);
	add_many(&found, FINDING_OLD_VERSIONS, FSHA_FINDINGS_MAX - 1);
	findings_tell_of_the_rest(&found);
	assert_int_equal(found.count, FSHA_FINDINGS_MAX);

	add_many(&found, FINDING_TRASH, 3);
	add_many(&found, FINDING_RECORD_DAMAGED, 2);
	assert_int_equal(found.count, FSHA_FINDINGS_MAX);
	assert_int_equal(count_of(&found, FINDING_RECORD_DAMAGED), 3);
	assert_int_equal(found.not_told[FSHA_SEVERITY_INFO], 5);
	findings_sort(&found);
	add_many(&from, FINDING_OLD_VERSIONS, FSHA_FINDINGS_MAX - 1);
	add_many(&from, FINDING_EPOCH_MISSING, FSHA_FINDINGS_MAX);
	assert_int_equal(count_of(&from, FINDING_EPOCH_MISSING), FSHA_FINDINGS_MAX);
	findings_take(&found, &from);
	assert_int_equal(count_of(&found, FINDING_EPOCH_MISSING), FSHA_FINDINGS_MAX - 3);
	assert_int_equal(count_of(&found, FINDING_OLD_VERSIONS), 0);
	assert_int_equal(found.not_told[FSHA_SEVERITY_CRITICAL], 3);
	findings_tell_of_the_rest(&found);
	assert_int_equal(count_of(&found, FINDING_NOT_TOLD), 1);
	findings_done(&found);
}

static void a_dead_leader_needs_no_tenure(void **state)
{
	struct crashfs *disk = crashfs_create(&(struct crashfs_options){ .seed = 1 });
	fsha_verify_summary summary;
	struct findings found;
	struct town t;

	(void)state;
	town_start(&t, disk);
	lose_the_tenure(&t);
	town_kill(&t);
	look(&t, &found, &summary);
	if (summary.findings[FSHA_SEVERITY_WARNING])
		print_findings(&found);
	assert_int_equal(summary.findings[FSHA_SEVERITY_WARNING], 0);
	findings_done(&found);
	close_disk(disk);
}

static void one_failing_call_is_no_damage_and_hides_nothing(void **state)
{
	struct inspection i = { .records = 0 };
	struct sweep_scenario scenario = inspection_scenario(&i);

	(void)state;
	sweep_assert(&scenario);
}

static void verify_without_memory_says_so(void **state)
{
	struct inspection i = { .records = 0 };
	struct sweep_scenario scenario = inspection_scenario(&i);

	(void)state;
	oom_assert(&scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_cluster_gives_no_finding_above_info),
		cmocka_unit_test(each_damage_is_found_and_nothing_else),
		cmocka_unit_test(each_damage_is_found_through_the_caches_of_another_host),
		cmocka_unit_test(of_too_many_the_worst_are_told_and_that_there_are_more),
		cmocka_unit_test(a_dead_leader_needs_no_tenure),
		cmocka_unit_test(one_failing_call_is_no_damage_and_hides_nothing),
		cmocka_unit_test(verify_without_memory_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
