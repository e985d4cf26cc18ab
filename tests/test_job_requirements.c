/* Resource requirements of jobs, stored with their graphs: fsha/job_graph.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fsha/job_graph.h"
#include "src/job_graph/requirements.h"
#include "tests/lib/holder.h"
#include "tests/lib/oom.h"
#include "tests/lib/sweep.h"

#define A 0
#define B 1
#define VERTEX "bc764cd8ddf7a0cff126f51c16239658"
#define ONE "{\"" VERTEX "\":{\"lowerBound\":1,\"upperBound\":4}}"
#define TWO "{\"" VERTEX "\":{\"parallelism\":{\"lowerBound\":-1,\"upperBound\":2}}}"

struct stage {
	struct crashfs *disk;
	struct holder h;
	fsha_job_graph_store *store;
};

static const fsha_job_id job = { { 1 } };

static void lead(struct stage *s, struct crashfs *disk, unsigned client)
{
	*s = (struct stage){ .disk = disk };
	holder_start(&s->h, disk, client, "dispatcher");
	assert_int_equal(fsha_job_graph_store_open(s->h.services, &s->store, NULL), FSHA_OK);
	assert_int_equal(fsha_job_graph_store_start(s->store, NULL, NULL), FSHA_OK);
}

static void leave(struct stage *s)
{
	fsha_job_graph_store_close(s->store);
	holder_stop(&s->h);
}

static int open_stage(void **state)
{
	const struct crashfs_options options = { .seed = 1 };
	struct stage *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	lead(s, crashfs_create(&options), A);
	*state = s;
	return 0;
}

static int close_stage(void **state)
{
	struct stage *s = *state;

	leave(s);
	assert_int_equal(crashfs_open_fds(s->disk, A), 0);
	assert_int_equal(crashfs_bytes_allocated(s->disk), 0);
	crashfs_destroy(s->disk);
	free(s);
	return 0;
}

static fsha_result put(struct stage *s, const char *graph)
{
	return fsha_job_graph_store_put(s->store, &job, graph, strlen(graph), &s->h.error);
}

static fsha_result require(struct stage *s, const char *text)
{
	return fsha_job_graph_store_put_job_resource_requirements(s->store, &job, text,
								  strlen(text), &s->h.error);
}

/* "<graph>|<requirements>", by both ways of reading; "none", or the name of the result. */
static const char *stored(struct stage *s, char *text)
{
	fsha_stored_job_graph *got;
	fsha_result result;
	size_t size;
	void *graph;

	result = fsha_job_graph_store_recover_stored(s->store, &job, &got, &s->h.error);
	if (result != FSHA_OK)
		return strcpy(text, result == FSHA_E_NOT_FOUND ? "none" : fsha_result_name(result));
	assert_memory_equal(&got->id, &job, sizeof(job));
	assert_true(fsha_version_is_existing(&got->version));
	assert_int_equal(strlen(got->graph), got->size);
	assert_int_equal(got->requirements ? strlen(got->requirements) : 0, got->requirements_size);
	(void)snprintf(text, 256, "%s|%s", (const char *)got->graph,
		       got->requirements ? got->requirements : "");
	assert_int_equal(fsha_job_graph_store_recover(s->store, &job, &graph, &size, NULL),
			 FSHA_OK);
	assert_int_equal(size, got->size);
	assert_string_equal(graph, got->graph);
	fsu_release(s->h.fs, graph);
	fsu_release(s->h.fs, got);
	return text;
}

static void requirements_are_recovered_with_the_graph(void **state)
{
	struct stage *s = *state;
	char text[256];

	assert_int_equal(put(s, "graph"), FSHA_OK);
	assert_string_equal(stored(s, text), "graph|");
	assert_int_equal(require(s, ONE), FSHA_OK);
	assert_string_equal(stored(s, text), "graph|" ONE);
	assert_int_equal(require(s, TWO), FSHA_OK);
	assert_string_equal(stored(s, text), "graph|" TWO);
	/* As in Flink they are a part of the graph: another graph has none. */
	assert_int_equal(put(s, "other"), FSHA_OK);
	assert_string_equal(stored(s, text), "other|");
	assert_int_equal(require(s, ONE), FSHA_OK);
	assert_int_equal(fsha_job_graph_store_remove(s->store, &job, NULL), FSHA_OK);
	assert_string_equal(stored(s, text), "none");
}

static void requirements_of_an_unknown_job_are_not_found(void **state)
{
	struct stage *s = *state;

	assert_int_equal(require(s, ONE), FSHA_E_NOT_FOUND);
	assert_string_equal(crashfs_ls(s->disk, "/c/job_graphs"), "");
}

static void requirements_make_the_graph_own(void **state)
{
	struct stage *s = *state;

	assert_int_equal(put(s, "graph"), FSHA_OK);
	assert_int_equal(fsha_job_graph_store_release(s->store, &job, NULL), FSHA_OK);
	assert_int_equal(put(s, "again"), FSHA_E_STATE);
	assert_int_equal(require(s, ONE), FSHA_OK);
	assert_int_equal(put(s, "again"), FSHA_OK);
}

static void any_bytes_may_be_a_graph(void **state)
{
	static const char *const graphs[] = { "", "FSHAREQ\n", "FSHAREQ\n\1\0\0\0x", "FSHAREQ",
					      "FSHAREQ\nlonger than a length" };
	struct stage *s = *state;
	char text[256], expected[256];

	for (size_t i = 0; i < sizeof(graphs) / sizeof(graphs[0]); i++) {
		assert_int_equal(put(s, graphs[i]), FSHA_OK);
		(void)snprintf(expected, sizeof(expected), "%s|", graphs[i]);
		assert_string_equal(stored(s, text), expected);
		assert_int_equal(require(s, ONE), FSHA_OK);
		(void)snprintf(expected, sizeof(expected), "%s|" ONE, graphs[i]);
		assert_string_equal(stored(s, text), expected);
	}
}

static void bounds_that_make_no_sense_are_refused_and_name_the_vertex(void **state)
{
	static const struct {
		const char *text, *part;
	} bad[] = {
		{ "", "no JSON" },
		{ "x", "no JSON" },
		{ "{\"v\":{\"lowerBound\":1}}", "'v'" },
		{ "{\"v\":{\"upperBound\":1}}", "missing" },
		{ "{\"v\":{\"lowerBound\":0,\"upperBound\":1}}", "above 0" },
		{ "{\"v\":{\"lowerBound\":-2,\"upperBound\":1}}", "above 0" },
		{ "{\"v\":{\"lowerBound\":1,\"upperBound\":0}}", "above 0" },
		{ "{\"v\":{\"lowerBound\":1,\"upperBound\":2147483648}}", "above 0" },
		{ "{\"v\":{\"lowerBound\":1.5,\"upperBound\":2}}", "above 0" },
		{ "{\"v\":{\"lowerBound\":3,\"upperBound\":2}}", "above upperBound" },
		{ "{\"a\":{},\"v\":{\"parallelism\":{\"lowerBound\":3,\"upperBound\":2}}}", "'v'" },
	};
	struct stage *s = *state;
	char text[256];

	assert_int_equal(put(s, "graph"), FSHA_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (require(s, bad[i].text) != FSHA_E_INVALID ||
		    !strstr(s->h.error.message, bad[i].part))
			fail_msg("%s: %s", bad[i].text, s->h.error.message);
	assert_string_equal(stored(s, text), "graph|");
	/* What has another form is not ours to judge. */
	assert_int_equal(require(s, "{\"anything\":[1,{\"x\":null}]}"), FSHA_OK);
	assert_int_equal(require(s, "{\"v\":{\"lowerBound\":5,\"upperBound\":-1}}"), FSHA_OK);
}

static void what_is_wrong_or_too_large_is_invalid(void **state)
{
	struct stage *s = *state;
	fsha_stored_job_graph *got;
	char *large = malloc(FSHA_JOB_REQUIREMENTS_MAX + 1);

	assert_non_null(large);
	memset(large, ' ', FSHA_JOB_REQUIREMENTS_MAX + 1);
	assert_int_equal(put(s, "graph"), FSHA_OK);
	assert_int_equal(fsha_job_graph_store_put_job_resource_requirements(
				 s->store, &job, large, FSHA_JOB_REQUIREMENTS_MAX + 1, NULL),
			 FSHA_E_INVALID);
	free(large);
	assert_int_equal(
		fsha_job_graph_store_put_job_resource_requirements(NULL, &job, ONE, 1, NULL),
		FSHA_E_INVALID);
	assert_int_equal(
		fsha_job_graph_store_put_job_resource_requirements(s->store, NULL, ONE, 1, NULL),
		FSHA_E_INVALID);
	assert_int_equal(
		fsha_job_graph_store_put_job_resource_requirements(s->store, &job, NULL, 0, NULL),
		FSHA_E_INVALID);
	assert_int_equal(fsha_job_graph_store_recover_stored(NULL, &job, &got, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_job_graph_store_recover_stored(s->store, NULL, &got, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_job_graph_store_recover_stored(s->store, &job, NULL, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_job_graph_store_stop(s->store, NULL), FSHA_OK);
	assert_int_equal(require(s, ONE), FSHA_E_STATE);
	assert_int_equal(fsha_job_graph_store_recover_stored(s->store, &job, &got, NULL),
			 FSHA_E_STATE);
}

static void a_length_beyond_the_payload_is_damage(void **state)
{
	static const uint8_t bytes[] = "FSHAREQ\n\5\0\0\0abcd";
	struct requirements_parts parts;

	(void)state;
	for (size_t size = 8; size < sizeof(bytes); size++)
		assert_int_equal(requirements_split(bytes, size, &parts), -EBADMSG);
	assert_int_equal(requirements_split(bytes, sizeof(bytes), &parts), 0);
	assert_int_equal(parts.requirements_size, 5);
	assert_int_equal(parts.graph_size, 0);
}

/* ---- at every fault and lack of memory ---- */

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return sweep_say("line %d: not so: %s (outcome %d)", __LINE__, #condition, \
					 run->outcome);                                            \
	} while (0)

static void setup(void *ctx, struct crashfs *disk)
{
	struct stage *s = ctx;

	lead(s, disk, A);
	assert_int_equal(put(s, "graph"), FSHA_OK);
	assert_int_equal(require(s, ONE), FSHA_OK);
}

static void finish(void *ctx, struct crashfs *disk)
{
	(void)disk;
	leave(ctx);
}

static int require_two(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return require(ctx, TWO);
}

static int recover_stored(void *ctx, const struct fsu *fs)
{
	struct stage *s = ctx;
	fsha_stored_job_graph *got;
	fsha_result result = fsha_job_graph_store_recover_stored(s->store, &job, &got, &s->h.error);

	(void)fs;
	if (result == FSHA_OK)
		fsu_release(s->h.fs, got);
	return result;
}

static const char *check(void *ctx, struct crashfs *after, const struct sweep_run *run,
			 const char *new)
{
	const char *old = "graph|" ONE;
	struct stage next;
	char text[256];

	(void)ctx;
	lead(&next, after, B);
	(void)stored(&next, text);
	leave(&next);
	CHECK(strcmp(text, old) == 0 || strcmp(text, new) == 0);
	if (run->when == SWEEP_CUT_DURING || run->outcome == FSHA_E_INDOUBT)
		return NULL;
	CHECK(strcmp(text, run->outcome == FSHA_OK ? new : old) == 0);
	CHECK(run->outcome != FSHA_E_CORRUPT);
	return NULL;
}

static const char *check_require(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	return check(ctx, after, run, "graph|" TWO);
}

static const char *check_recover(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	return check(ctx, after, run, "graph|" ONE);
}

static void sweep(const char *name, int (*operation)(void *ctx, const struct fsu *fs),
		  const char *(*look)(void *ctx, struct crashfs *after,
				      const struct sweep_run *run))
{
	struct stage stage;
	const struct sweep_scenario scenario = {
		.name = name,
		.options = { .seed = 1 },
		.client = A,
		.ctx = &stage,
		.setup = setup,
		.operation = operation,
		.check = look,
		.teardown = finish,
	};

	sweep_assert(&scenario);
	oom_assert(&scenario);
}

static void requirements_are_old_or_new_at_every_fault(void **state)
{
	(void)state;
	sweep("put requirements", require_two, check_require);
	sweep("recover stored", recover_stored, check_recover);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(requirements_are_recovered_with_the_graph),
		TEST(requirements_of_an_unknown_job_are_not_found),
		TEST(requirements_make_the_graph_own),
		TEST(any_bytes_may_be_a_graph),
		TEST(bounds_that_make_no_sense_are_refused_and_name_the_vertex),
		TEST(what_is_wrong_or_too_large_is_invalid),
		cmocka_unit_test(a_length_beyond_the_payload_is_damage),
		cmocka_unit_test(requirements_are_old_or_new_at_every_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
