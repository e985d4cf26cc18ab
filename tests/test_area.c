/* Which directories hold stores, and whose they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "src/cluster/layout.h"
#include "src/maintenance/area.h"

static const struct area *find(const char *directory)
{
	for (size_t i = 0; i < areas_count; i++)
		if (strcmp(areas[i].directory, directory) == 0)
			return &areas[i];
	fail_msg("%s", directory);
	return NULL;
}

/* Whoever takes away what dead jobs left behind asks for the job, and must not get this one. */
static void blobs_of_no_job_are_a_store_and_nobodys_orphan(void **state)
{
	const struct area *blobs = find(LAYOUT_BLOBS);
	fsha_job_id job;

	(void)state;
	assert_true(area_names_store(blobs, "no_job", NULL));
	assert_false(area_names_store(blobs, "no_job", &job));
}

static void blobs_of_a_job_are_a_store_of_that_job(void **state)
{
	const struct area *blobs = find(LAYOUT_BLOBS);
	fsha_job_id job;

	(void)state;
	assert_true(area_names_store(blobs, "job_000000000000000000000000000000a1", &job));
	assert_int_equal(job.bytes[15], 0xa1);
	assert_false(area_names_store(blobs, "job_xyz", NULL));
	assert_false(area_names_store(blobs, "000000000000000000000000000000a1", NULL));
	assert_false(area_names_store(blobs, "no_job2", NULL));
}

/* A path may come from outside, such as a backup. */
static void a_path_that_leads_out_of_its_area_is_no_store(void **state)
{
	static const char *const paths[] = {
		"state/..", "state/.", "state/",        "state/a/b",  "state/a/../..",
		"..",       "",        "checkpoints/x", "blobs/job_", "/state/a",
	};
	struct store_options options = { .kind = 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (area_of_path(paths[i], NULL, &options))
			fail_msg("'%s' is taken for a store", paths[i]);
	assert_true(area_of_path("state/a%2F..", NULL, &options));
	assert_true(area_of_path("job_graphs", NULL, &options));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blobs_of_no_job_are_a_store_and_nobodys_orphan),
		cmocka_unit_test(blobs_of_a_job_are_a_store_of_that_job),
		cmocka_unit_test(a_path_that_leads_out_of_its_area_is_no_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
