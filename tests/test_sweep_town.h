/*
 * What the sweeps of gc and repair have in common: a process that tends a town while one of its
 * calls fails, what it told of that, and the next process, which ends the work.
 */
#ifndef TESTS_TEST_SWEEP_TOWN_H
#define TESTS_TEST_SWEEP_TOWN_H

#include "src/leader/leader.h"
#include "tests/lib/run.h"
#include "tests/lib/sweep.h"
#include "tests/test_gc.h"

/* One value that is there, or is not: "". */
struct town_value {
	const char *directory, *election, *key, *text;
	uint16_t kind;
	bool owned;
};

/* Every one of these is "done", or told of as "left" or "failed". */
typedef bool finding_filter(const struct finding *f);

/* What a leader says of itself, and what its janitor takes away then. */
static inline void introduce(struct place *p)
{
	for (struct attached_term *a = p->holder.services->attached; a; a = a->next) {
		assert_int_equal(leader_publish(a->term, LEADER_GRANTED, "", NULL, NULL, NULL),
				 FSHA_OK);
		leader_clean(a->term);
	}
}

/* A process that leads all elections of the town, for as long as it takes. */
static inline void start_tending(struct place *p, struct crashfs *disk, unsigned client)
{
	p->disk = p->town.disk = disk;
	holder_start(&p->holder, disk, client, ACTOR_ELECTION);
	holder_lead_too(&p->holder, TOWN_JOB_ELECTION);
	live_long(p);
	introduce(p);
}

static inline void stop_tending(void *ctx, struct crashfs *disk)
{
	(void)disk;
	holder_stop(&((struct place *)ctx)->holder);
}

/* Is there a line "<outcome> <code> <path>" of it, or of what is in it? `outcome` NULL: any. */
static inline bool was_told(const char *told, const char *outcome, const struct finding *f)
{
	const char *code = finding_type(f->code)->name;
	size_t len;

	for (const char *line = told; *line; line += len + (line[len] == '\n')) {
		const char *line_code = line + strcspn(line, " ") + 1;
		const char *path = line_code + strcspn(line_code, " ") + 1;
		size_t path_len = strcspn(path, "\n"), want = strlen(f->path);

		len = strcspn(line, "\n");
		if (outcome && strncmp(line, outcome, strlen(outcome)) != 0)
			continue;
		if (path_len < want || memcmp(path, f->path, want) != 0)
			continue;
		if (path_len == want ||
		    (path[want] == '/' && strncmp(line_code, code, strlen(code)) == 0))
			return true;
	}
	return false;
}

/* The directory that it lies in was told of. */
static inline bool was_told_of_parent(const char *told, const struct finding *f)
{
	char parent[FINDING_PATH_SIZE];
	struct finding of_parent = *f;

	layout_parent(f->path, parent);
	of_parent.path = parent;
	return was_told(told, NULL, &of_parent);
}

/* NULL: what was told to be done is, and, when `all`, of what is left it was told. */
static inline const char *compare_with_told(struct place *p, const char *told, bool all,
					    finding_filter *is_work)
{
	fsha_verify_summary summary = FSHA_VERIFY_SUMMARY_INIT;
	const char *wrong = NULL;
	struct findings found;

	findings_init(&found, p->holder.fs);
	if (verify_run(&p->holder.services->cluster, NULL, false, &summary, &found, NULL) !=
	    FSHA_OK)
		wrong = "it cannot be verified";
	for (size_t i = 0; i < found.count && !wrong; i++) {
		const struct finding *f = &found.items[i];
		const char *code = finding_type(f->code)->name;

		if (!is_work(f))
			continue;
		if (was_told(told, "done", f) && !was_told(told, "left", f) &&
		    !was_told(told, "failed", f))
			wrong = sweep_say("told as done, and still there: %s '%s'\n%.300s", code,
					  f->path, told);
		else if (all && !was_told(told, NULL, f) && !was_told_of_parent(told, f))
			wrong = sweep_say("all was well, and still there: %s '%s'\n%.300s", code,
					  f->path, told);
	}
	findings_done(&found);
	return wrong;
}

/* NULL: verify finds nothing but what `allowed` says (NULL: nothing at all). */
static inline const char *find_nothing(struct place *p, finding_filter *allowed)
{
	fsha_verify_summary summary = FSHA_VERIFY_SUMMARY_INIT;
	const char *wrong = NULL;
	struct findings found;

	findings_init(&found, p->holder.fs);
	if (verify_run(&p->holder.services->cluster, NULL, false, &summary, &found, NULL) !=
	    FSHA_OK)
		wrong = "it cannot be verified";
	for (size_t i = 0; i < found.count && !wrong; i++)
		if (!allowed || !allowed(&found.items[i]))
			wrong = sweep_say("the next one has left: %s '%s': %s\n%.300s",
					  finding_type(found.items[i].code)->name,
					  found.items[i].path, found.items[i].message, p->told);
	findings_done(&found);
	return wrong;
}

/* NULL: all of them are as they should be. */
static inline const char *compare_values(struct place *p, const struct town_value *values,
					 size_t count)
{
	const char *wrong = NULL;

	for (size_t i = 0; i < count && !wrong; i++) {
		const struct town_value *v = &values[i];
		const struct store_options options = { .directory = v->directory,
						       .election = v->election,
						       .kind = v->kind,
						       .owned = v->owned };
		struct record record;
		struct store *store;
		fsha_result result;

		result =
			services_store_open(p->holder.services, &options, &store, &p->holder.error);
		if (result == FSHA_OK) {
			result = store_get(store, v->key, &record, NULL, &p->holder.error);
			services_store_close(p->holder.services, store);
		}
		if (result == FSHA_E_NOT_FOUND && v->text[0] == '\0')
			continue;
		if (result != FSHA_OK) {
			wrong = sweep_say("'%s/%s': %s", v->directory, v->key,
					  p->holder.error.message);
			continue;
		}
		if (record.size != strlen(v->text) || v->text[0] == '\0' ||
		    memcmp(record.data, v->text, record.size) != 0)
			wrong = sweep_say("'%s/%s' is '%.40s'", v->directory, v->key,
					  (const char *)record.data);
		record_done(p->holder.fs, &record);
	}
	return wrong;
}

/* NULL: it leads, and what it writes is seen. */
static inline const char *write_on(struct place *p)
{
	const struct store_options options = { .directory = LAYOUT_JOB_GRAPHS,
					       .election = ACTOR_ELECTION,
					       .kind = FSU_KIND_JOB_GRAPH };
	struct store *store;
	fsha_result result;
	char text[64];

	assert_int_equal(services_store_open(p->holder.services, &options, &store, NULL), FSHA_OK);
	result = store_write(store, STORE_ADD, STRANGER, NULL, "on", 2, NULL, &p->holder.error);
	services_store_close(p->holder.services, store);
	if (result != FSHA_OK)
		return sweep_say("nothing can be written: %s", p->holder.error.message);
	observe(p->disk, SLOW, STRANGER, text);
	return strcmp(text, "on") == 0 ? NULL : "what is written is not seen";
}

static inline struct sweep_scenario scenario_of(struct place *p, const char *name)
{
	return (struct sweep_scenario){ .name = name,
					.options = { .seed = 1 },
					.client = GC,
					.ctx = p,
					.teardown = stop_tending };
}

#endif
