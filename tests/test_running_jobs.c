/* The contract of fsha/running_jobs.h, on the crash filesystem, and at every fault. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fsha/running_jobs.h"
#include "src/record/record.h"
#include "tests/lib/holder.h"
#include "tests/lib/oom.h"
#include "tests/lib/sweep.h"

#define A 0
#define B 1
#define REGISTRY "/c/running_jobs"

struct stage {
	struct crashfs *disk;
	struct holder h;
	fsha_running_jobs *jobs;
	char told[256], errors[1024];
	unsigned stop_after;
};

static void lead(struct stage *s, struct crashfs *disk, unsigned client)
{
	*s = (struct stage){ .disk = disk };
	holder_start(&s->h, disk, client, "dispatcher");
	assert_int_equal(fsha_running_jobs_open(s->h.services, &s->jobs, &s->h.error), FSHA_OK);
}

static void leave(struct stage *s)
{
	fsha_running_jobs_close(s->jobs);
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

	crashfs_fault_clear(s->disk);
	leave(s);
	assert_int_equal(crashfs_open_fds(s->disk, A), 0);
	assert_int_equal(crashfs_open_fds(s->disk, B), 0);
	assert_int_equal(crashfs_bytes_allocated(s->disk), 0);
	crashfs_destroy(s->disk);
	free(s);
	return 0;
}

static fsha_job_id job(uint8_t n)
{
	return (fsha_job_id){ { n } };
}

static fsha_result set_running(struct stage *s, uint8_t n)
{
	fsha_job_id id = job(n);

	return fsha_running_jobs_set_running(s->jobs, &id, &s->h.error);
}

static fsha_result set_finished(struct stage *s, uint8_t n)
{
	fsha_job_id id = job(n);

	return fsha_running_jobs_set_finished(s->jobs, &id, &s->h.error);
}

static fsha_result clear(struct stage *s, uint8_t n)
{
	fsha_job_id id = job(n);

	return fsha_running_jobs_clear(s->jobs, &id, &s->h.error);
}

/* The status as text, or the name of the result. */
static const char *status_of(struct stage *s, uint8_t n)
{
	fsha_job_id id = job(n);
	int32_t status = -1;
	fsha_result result = fsha_running_jobs_get_status(s->jobs, &id, &status, &s->h.error);

	return result == FSHA_OK ? fsha_job_status_name(status) : fsha_result_name(result);
}

static int tell(void *ctx, const fsha_running_job *told)
{
	struct stage *s = ctx;
	size_t used = strlen(s->told);

	if (told->result == FSHA_OK)
		(void)snprintf(s->told + used, sizeof(s->told) - used, "%02x %s ",
			       told->id.bytes[0], fsha_job_status_name(told->status));
	else
		(void)snprintf(s->told + used, sizeof(s->told) - used, "%02x !%s ",
			       told->id.bytes[0], fsha_result_name(told->result));
	if (told->error)
		(void)snprintf(s->errors + strlen(s->errors), sizeof(s->errors) - strlen(s->errors),
			       "%s\n", told->error->message);
	return s->stop_after && --s->stop_after == 0;
}

static const char *list(struct stage *s)
{
	s->told[0] = s->errors[0] = '\0';
	assert_int_equal(fsha_running_jobs_list(s->jobs, tell, s, &s->h.error), FSHA_OK);
	return s->told;
}

/* ---- the contract ---- */

static void a_job_is_pending_then_running_then_done(void **state)
{
	struct stage *s = *state;

	assert_string_equal(status_of(s, 1), "PENDING");
	assert_int_equal(set_running(s, 1), FSHA_OK);
	assert_string_equal(status_of(s, 1), "RUNNING");
	assert_int_equal(set_running(s, 1), FSHA_OK);
	assert_int_equal(set_finished(s, 1), FSHA_OK);
	assert_string_equal(status_of(s, 1), "DONE");
	assert_string_equal(status_of(s, 2), "PENDING");
}

static void a_job_that_is_done_stays_done(void **state)
{
	struct stage *s = *state;

	assert_int_equal(set_finished(s, 1), FSHA_OK);
	assert_int_equal(set_running(s, 1), FSHA_OK);
	assert_string_equal(status_of(s, 1), "DONE");
}

static void a_job_that_was_cleared_is_pending(void **state)
{
	struct stage *s = *state;

	assert_int_equal(clear(s, 1), FSHA_OK);
	assert_int_equal(set_finished(s, 1), FSHA_OK);
	assert_int_equal(clear(s, 1), FSHA_OK);
	assert_string_equal(status_of(s, 1), "PENDING");
	assert_int_equal(set_running(s, 1), FSHA_OK);
	assert_string_equal(status_of(s, 1), "RUNNING");
}

static void what_was_set_survives_a_power_cut(void **state)
{
	struct stage *s = *state;
	struct crashfs *disk = s->disk;

	assert_int_equal(set_running(s, 1), FSHA_OK);
	assert_int_equal(set_finished(s, 2), FSHA_OK);
	assert_int_equal(set_finished(s, 3), FSHA_OK);
	assert_int_equal(clear(s, 3), FSHA_OK);
	leave(s);
	crashfs_crash_losing_all(disk);
	crashfs_recover(disk);
	lead(s, disk, A);
	assert_string_equal(list(s), "01 RUNNING 02 DONE ");
}

static void all_jobs_are_listed_in_order_until_it_is_enough(void **state)
{
	struct stage *s = *state;

	for (uint8_t n = 4; n > 0; n--)
		assert_int_equal(set_running(s, n), FSHA_OK);
	assert_int_equal(set_finished(s, 3), FSHA_OK);
	assert_string_equal(list(s), "01 RUNNING 02 RUNNING 03 DONE 04 RUNNING ");
	s->stop_after = 2;
	assert_string_equal(list(s), "01 RUNNING 02 RUNNING ");
}

static void a_record_is_the_word_for_the_status(void **state)
{
	struct stage *s = *state;
	char path[300];
	struct fsu_record record;
	const uint8_t *data;
	size_t len;

	assert_int_equal(set_running(s, 1), FSHA_OK);
	(void)snprintf(path, sizeof(path), REGISTRY "/%s", crashfs_ls(s->disk, REGISTRY));
	data = crashfs_cat(s->disk, path, &len);
	assert_non_null(data);
	assert_int_equal(fsu_record_decode(data, len, &record, NULL), 0);
	assert_int_equal(record.kind, FSU_KIND_RUNNING_JOB);
	assert_int_equal(record.raw_len, 7);
	assert_memory_equal(record.payload, "RUNNING", 7);
}

/* A record of that status, whole but for what it says. */
static void put_status(struct stage *s, uint8_t n, const char *text)
{
	const struct cluster *c = &s->h.services->cluster;
	struct record_place place = cluster_place(c, -1, "running_jobs");
	char key[FSHA_HEX_ID_TEXT], name[NAME_SIZE], path[300];
	fsha_job_id id = job(n);
	struct record_content content = {
		.kind = FSU_KIND_RUNNING_JOB,
		.version = { .epoch = 1, .sequence = 1 },
		.key = fsha_job_id_format(&id, key),
		.payload = text,
		.size = strlen(text),
	};
	uint8_t *buf;
	size_t len;

	assert_int_equal(record_encode(&place, &content, &buf, &len, NULL), FSHA_OK);
	name_format(key, &content.version, NAME_VALUE, name);
	(void)snprintf(path, sizeof(path), REGISTRY "/%s", name);
	crashfs_put(s->disk, path, buf, len);
	fsu_release(place.fs, buf);
}

static void a_record_that_is_damaged_or_no_status_is_named_and_hides_no_other(void **state)
{
	static const char *const bad[] = { "", "PENDING", "running", "DONE ", "RUNNINGX" };
	struct stage *s = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_status(s, 2, bad[i]);
		assert_int_equal(set_running(s, 1), FSHA_OK);
		assert_string_equal(status_of(s, 2), "CORRUPT");
		assert_non_null(strstr(s->h.error.message, "running_jobs/02"));
		assert_string_equal(list(s), "01 RUNNING 02 !CORRUPT ");
		assert_non_null(strstr(s->errors, "running_jobs/02"));
	}
	crashfs_put(s->disk,
		    REGISTRY "/02000000000000000000000000000000~0000000000000001."
			     "0000000000000001.0000",
		    "x", 1);
	assert_string_equal(status_of(s, 2), "CORRUPT");
	/* Nobody knows whether it is done; but that it is now, may be said. */
	assert_int_equal(set_running(s, 2), FSHA_E_CORRUPT);
	assert_int_equal(set_finished(s, 2), FSHA_OK);
	assert_string_equal(status_of(s, 2), "DONE");
}

static void names_that_tell_no_job_are_named(void **state)
{
	struct stage *s = *state;

	crashfs_put(s->disk, REGISTRY "/nojob~0000000000000001.0000000000000001.0000", "x", 1);
	crashfs_put(s->disk, REGISTRY "/.job_complete_x", "*", 1);
	crashfs_put(s->disk, REGISTRY "/by hand", "x", 1);
	assert_int_equal(set_running(s, 1), FSHA_OK);
	assert_string_equal(list(s), "01 RUNNING 00 !CORRUPT 00 !CORRUPT ");
	assert_non_null(strstr(s->errors, "'running_jobs/nojob'"));
	assert_non_null(strstr(s->errors, "'running_jobs/by hand'"));
}

static void without_leadership_nothing_is_written(void **state)
{
	struct stage *s = *state, reader = { .disk = s->disk };

	assert_int_equal(set_running(s, 1), FSHA_OK);
	assert_int_equal(set_finished(s, 2), FSHA_OK);
	holder_start_reader(&reader.h, s->disk, B);
	assert_int_equal(fsha_running_jobs_open(reader.h.services, &reader.jobs, NULL), FSHA_OK);
	assert_int_equal(set_finished(&reader, 1), FSHA_E_NOT_LEADER);
	assert_int_equal(set_running(&reader, 2), FSHA_E_NOT_LEADER);
	assert_int_equal(set_running(&reader, 3), FSHA_E_NOT_LEADER);
	assert_int_equal(clear(&reader, 1), FSHA_E_NOT_LEADER);
	assert_string_equal(list(&reader), "01 RUNNING 02 DONE ");
	leave(&reader);
}

static void a_former_leader_writes_nothing(void **state)
{
	struct stage *s = *state, next;

	assert_int_equal(set_running(s, 1), FSHA_OK);
	lead(&next, s->disk, B);
	lease_begin(&s->h.services->member->lease, fsu_now_ns(s->h.fs), 60 * FSU_NS_PER_S);
	assert_int_equal(set_finished(s, 1), FSHA_E_FENCED);
	assert_int_not_equal(set_running(s, 2), FSHA_OK);
	assert_string_equal(list(&next), "01 RUNNING ");
	leave(&next);
}

static void null_is_an_invalid_argument(void **state)
{
	struct stage *s = *state;
	fsha_running_jobs *jobs;
	fsha_job_id id = job(1);
	int32_t status;

	assert_int_equal(fsha_running_jobs_open(NULL, &jobs, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_running_jobs_open(s->h.services, NULL, NULL), FSHA_E_INVALID);
	fsha_running_jobs_close(NULL);
	assert_int_equal(fsha_running_jobs_set_running(NULL, &id, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_running_jobs_set_running(s->jobs, NULL, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_running_jobs_set_finished(NULL, &id, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_running_jobs_set_finished(s->jobs, NULL, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_running_jobs_clear(NULL, &id, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_running_jobs_clear(s->jobs, NULL, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_running_jobs_get_status(NULL, &id, &status, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_running_jobs_get_status(s->jobs, NULL, &status, NULL),
			 FSHA_E_INVALID);
	assert_int_equal(fsha_running_jobs_get_status(s->jobs, &id, NULL, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_running_jobs_list(NULL, tell, s, NULL), FSHA_E_INVALID);
	assert_int_equal(fsha_running_jobs_list(s->jobs, NULL, s, NULL), FSHA_E_INVALID);
}

static void a_status_is_read_in_any_case(void **state)
{
	int32_t status = -1;

	(void)state;
	assert_int_equal(fsha_job_status_parse("Running", &status), FSHA_OK);
	assert_int_equal(status, FSHA_JOB_RUNNING);
	assert_int_equal(fsha_job_status_parse("PENDING", &status), FSHA_OK);
	assert_int_equal(status, FSHA_JOB_PENDING);
	assert_int_equal(fsha_job_status_parse("", &status), FSHA_E_INVALID);
	assert_int_equal(fsha_job_status_parse(NULL, &status), FSHA_E_INVALID);
	assert_int_equal(fsha_job_status_parse("DONE", NULL), FSHA_E_INVALID);
	assert_string_equal(fsha_job_status_name(3), "UNKNOWN");
	assert_string_equal(fsha_job_status_name(-1), "UNKNOWN");
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
	assert_int_equal(set_running(s, 2), FSHA_OK);
	assert_int_equal(set_finished(s, 3), FSHA_OK);
}

static void finish(void *ctx, struct crashfs *disk)
{
	(void)disk;
	leave(ctx);
}

static int run_1(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return set_running(ctx, 1);
}

static int finish_2(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return set_finished(ctx, 2);
}

static int run_3(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return set_running(ctx, 3);
}

static int clear_2(void *ctx, const struct fsu *fs)
{
	(void)fs;
	return clear(ctx, 2);
}

static const char *check(struct stage *s, struct crashfs *after, const struct sweep_run *run,
			 const char *old, const char *new)
{
	struct stage next;
	bool is_old, is_new;

	lead(&next, after, B);
	(void)list(&next);
	is_old = strcmp(next.told, old) == 0;
	is_new = strcmp(next.told, new) == 0;
	CHECK(is_old || is_new);
	CHECK(set_running(&next, 7) == FSHA_OK);
	if (after == s->disk && run->when == SWEEP_RETURNED) {
		lease_begin(&s->h.services->member->lease, fsu_now_ns(s->h.fs), 60 * FSU_NS_PER_S);
		CHECK(set_finished(s, 7) != FSHA_OK);
		CHECK(strcmp(status_of(&next, 7), "RUNNING") == 0);
	}
	leave(&next);
	if (run->when == SWEEP_CUT_DURING || run->outcome == FSHA_E_INDOUBT)
		return NULL;
	CHECK(run->outcome == FSHA_OK ? is_new : is_old);
	CHECK(run->outcome != FSHA_E_CORRUPT);
	return NULL;
}

#define BEFORE "02 RUNNING 03 DONE "

static const char *check_run_1(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	return check(ctx, after, run, BEFORE, "01 RUNNING " BEFORE);
}

static const char *check_finish_2(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	return check(ctx, after, run, BEFORE, "02 DONE 03 DONE ");
}

static const char *check_run_3(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	return check(ctx, after, run, BEFORE, BEFORE);
}

static const char *check_clear_2(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	return check(ctx, after, run, BEFORE, "03 DONE ");
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

static void every_change_is_done_or_not_at_every_fault(void **state)
{
	(void)state;
	sweep("set running", run_1, check_run_1);
	sweep("set finished", finish_2, check_finish_2);
	sweep("set running what is done", run_3, check_run_3);
	sweep("clear", clear_2, check_clear_2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_job_is_pending_then_running_then_done),
		TEST(a_job_that_is_done_stays_done),
		TEST(a_job_that_was_cleared_is_pending),
		TEST(what_was_set_survives_a_power_cut),
		TEST(all_jobs_are_listed_in_order_until_it_is_enough),
		TEST(a_record_is_the_word_for_the_status),
		TEST(a_record_that_is_damaged_or_no_status_is_named_and_hides_no_other),
		TEST(names_that_tell_no_job_are_named),
		TEST(without_leadership_nothing_is_written),
		TEST(a_former_leader_writes_nothing),
		TEST(null_is_an_invalid_argument),
		TEST(a_status_is_read_in_any_case),
		cmocka_unit_test(every_change_is_done_or_not_at_every_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
