/* A leader with a job result store, for the tests of fsha/job_result.h. */
#ifndef TESTS_TEST_JOB_RESULT_H
#define TESTS_TEST_JOB_RESULT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/job_result/job_result.h"
#include "tests/lib/holder.h"

#define RESULTS "/c/job_results"

struct results {
	struct holder h;
	fsha_job_result_store *store;
};

static inline fsha_job_id job(uint8_t n)
{
	return (fsha_job_id){ { n } };
}

static inline fsha_result open_results(struct results *r, bool keep, const char *path)
{
	struct fsha_services *s = r->h.services;

	s->job_result_delete = !keep;
	fsu_release(r->h.fs, s->job_result_path);
	s->job_result_path = path ? fsu_strdup(r->h.fs, path) : NULL;
	return fsha_job_result_store_open(s, &r->store, &r->h.error);
}

/* `keep`: job-result-store.delete-on-commit is false. */
static inline void lead_results(struct results *r, struct crashfs *disk, unsigned client, bool keep)
{
	holder_start(&r->h, disk, client, "dispatcher");
	assert_int_equal(open_results(r, keep, NULL), FSHA_OK);
}

static inline void read_results(struct results *r, struct crashfs *disk, unsigned client)
{
	holder_start_reader(&r->h, disk, client);
	assert_int_equal(open_results(r, false, NULL), FSHA_OK);
}

static inline void close_results(struct results *r)
{
	fsha_job_result_store_close(r->store);
	r->store = NULL;
	holder_stop(&r->h);
}

static inline fsha_result create_dirty(struct results *r, uint8_t n)
{
	fsha_job_result result = FSHA_JOB_RESULT_INIT;

	result.id = job(n);
	result.status = FSHA_APPLICATION_SUCCEEDED;
	result.net_runtime_ms = n;
	return fsha_job_result_store_create_dirty(r->store, &result, &r->h.error);
}

static inline fsha_result mark_clean(struct results *r, uint8_t n)
{
	fsha_job_id id = job(n);

	return fsha_job_result_store_mark_clean(r->store, &id, &r->h.error);
}

static inline fsha_result remove_result(struct results *r, uint8_t n)
{
	fsha_job_id id = job(n);

	return fsha_job_result_store_remove(r->store, &id, &r->h.error);
}

/* "entry dirty", "entry clean" or "none"; "?" when the answers contradict each other. */
static inline const char *state_of(struct results *r, uint8_t n)
{
	fsha_job_id id = job(n);
	int any = -1, dirty = -1, clean = -1;

	assert_int_equal(fsha_job_result_store_has_entry(r->store, &id, &any, NULL), FSHA_OK);
	assert_int_equal(fsha_job_result_store_has_dirty(r->store, &id, &dirty, NULL), FSHA_OK);
	assert_int_equal(fsha_job_result_store_has_clean(r->store, &id, &clean, NULL), FSHA_OK);
	if (any != (dirty || clean) || (dirty && clean))
		return "?";
	return dirty ? "dirty" : clean ? "clean" : "none";
}

/* What a walk handed over: "01 02 !CORRUPT " and the messages of the errors. */
struct told {
	char ids[256];
	char errors[2048];
	unsigned stop_after; /* 0: never */
	unsigned count;
};

static inline int tell(void *ctx, const fsha_job_result_entry *entry)
{
	struct told *t = ctx;
	size_t used = strlen(t->ids);

	t->count++;
	if (entry->result != FSHA_OK) {
		(void)snprintf(t->ids + used, sizeof(t->ids) - used, "!%s ",
			       fsha_result_name(entry->result));
		used = strlen(t->errors);
		(void)snprintf(t->errors + used, sizeof(t->errors) - used, "%s\n",
			       entry->error->message);
		if (entry->job_result)
			(void)strcpy(t->ids, "a result with an error");
	} else {
		(void)snprintf(t->ids + used, sizeof(t->ids) - used, "%02x ", entry->id.bytes[0]);
		if (memcmp(&entry->id, &entry->job_result->id, sizeof(entry->id)) != 0 ||
		    entry->job_result->net_runtime_ms != entry->id.bytes[0] ||
		    !fsha_version_is_existing(&entry->version))
			(void)strcpy(t->ids, "another result");
	}
	return t->stop_after && t->count == t->stop_after;
}

static inline const char *dirty_of(struct results *r, struct told *t)
{
	*t = (struct told){ .stop_after = 0 };
	assert_int_equal(fsha_job_result_store_get_dirty_results(r->store, tell, t, &r->h.error),
			 FSHA_OK);
	return t->ids;
}

static inline const char *clean_of(struct results *r, struct told *t)
{
	*t = (struct told){ .stop_after = 0 };
	assert_int_equal(fsha_job_result_store_get_clean_results(r->store, tell, t, &r->h.error),
			 FSHA_OK);
	return t->ids;
}

/* The next rename into a store by client 0 is done, and the fsync of the directory fails. */
static inline void fail_next_sync(struct crashfs *disk)
{
	crashfs_count_reset(disk);
	/* The first fsync is of the staged file. */
	crashfs_fault_arm(disk, &(struct crashfs_fault){
					.at = 1,
					.calls_mask = 1u << CRASHFS_FSYNC,
					.error = EIO,
					.mode = CRASHFS_NOT_DONE,
				});
}

/* ---- a leader of its own for each test ---- */

#define A 0
#define B 1
#define DIRTY_1 "01000000000000000000000000000000_DIRTY~"
#define CLEAN_1 "01000000000000000000000000000000~"

struct stage {
	struct crashfs *disk;
	struct results r;
	struct told told;
};

static inline int open_stage(void **state, bool keep)
{
	const struct crashfs_options options = { .seed = 1 };
	struct stage *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->disk = crashfs_create(&options);
	lead_results(&s->r, s->disk, A, keep);
	*state = s;
	return 0;
}

static inline int open_deleting(void **state)
{
	return open_stage(state, false);
}

static inline int open_keeping(void **state)
{
	return open_stage(state, true);
}

static inline int close_stage(void **state)
{
	struct stage *s = *state;

	crashfs_hook_set(s->disk, NULL, NULL);
	crashfs_fault_clear(s->disk);
	close_results(&s->r);
	assert_int_equal(crashfs_open_fds(s->disk, A), 0);
	assert_int_equal(crashfs_open_fds(s->disk, B), 0);
	assert_int_equal(crashfs_bytes_allocated(s->disk), 0);
	crashfs_destroy(s->disk);
	free(s);
	return 0;
}

/* The file in job_results/ whose name begins so and does not end in .gone; fails without one. */
static inline const char *file_of(struct stage *s, const char *prefix, char *path)
{
	const char *names = crashfs_ls(s->disk, RESULTS), *p;
	size_t len;

	assert_non_null(names);
	for (p = names; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		len = strcspn(p, "\n");
		if (strncmp(p, prefix, strlen(prefix)) != 0 ||
		    strncmp(p + len - 5, ".gone", 5) == 0)
			continue;
		(void)snprintf(path, 256, RESULTS "/%.*s", (int)len, p);
		return path;
	}
	fail_msg("there is no '%s' in:\n%s", prefix, names);
	return NULL;
}

static inline void assert_message(struct stage *s, const char *part)
{
	if (!strstr(s->r.h.error.message, part))
		fail_msg("'%s' is not in: %s", part, s->r.h.error.message);
}

#define DELETING(name) cmocka_unit_test_setup_teardown(name, open_deleting, close_stage)
#define KEEPING(name) cmocka_unit_test_setup_teardown(name, open_keeping, close_stage)

#endif
