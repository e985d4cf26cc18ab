/*
 * What reads a whole cluster, at every fault: a backup that says that it is done is right to the
 * last byte, and so are the metrics of the cluster; whatever fails, nothing is written and nothing
 * is left over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "fsha/fsha.h"
#include "tests/lib/holder.h"
#include "tests/lib/oom.h"
#include "tests/lib/sweep.h"

#define A 0
#define WRONG_VALUE 100 /* an outcome that no result has */

struct scene {
	struct holder a;
	char text[8192]; /* "path=content " of each entry */
};

/* ---- a small cluster ---- */

static void fill(struct holder *h)
{
	const fsha_state_change batch[] = {
		{ .how = FSHA_STATE_PUT, .name = "b", .data = "two", .size = 3 },
		{ .how = FSHA_STATE_PUT, .name = "c", .data = "three", .size = 5 },
	};
	fsha_state_store *store;
	size_t failed;

	if (fsha_state_store_open(h->services, "space", FSHA_ELECTION_DISPATCHER, &store,
				  &h->error) != FSHA_OK ||
	    fsha_state_store_add(store, "a", "one", 3, NULL, &h->error) != FSHA_OK ||
	    fsha_state_store_batch(store, batch, 2, NULL, &failed, &h->error) != FSHA_OK)
		fail_msg("%s", h->error.message);
	fsha_state_store_close(store);
}

static void start(void *ctx, struct crashfs *disk)
{
	struct scene *s = ctx;

	holder_start(&s->a, disk, A, FSHA_ELECTION_DISPATCHER);
	fill(&s->a);
	holder_stop(&s->a);
	holder_start_reader(&s->a, disk, A);
	s->text[0] = '\0';
}

static void finish(void *ctx, struct crashfs *disk)
{
	(void)disk;
	holder_stop(&((struct scene *)ctx)->a);
}

/* ---- backup ---- */

static fsha_result begin(void *ctx, const char *path, uint64_t size, fsha_error *reterr)
{
	struct scene *s = ctx;
	size_t used = strlen(s->text);

	(void)size;
	(void)reterr;
	(void)snprintf(s->text + used, sizeof(s->text) - used, " %.*s=", (int)strcspn(path, "~"),
		       path);
	return FSHA_OK;
}

static fsha_result put(void *ctx, const void *data, size_t size, fsha_error *reterr)
{
	struct scene *s = ctx;

	(void)reterr;
	(void)strncat(s->text, data, size);
	return FSHA_OK;
}

static int take(void *ctx, const struct fsu *fs)
{
	const fsha_backup_sink sink = { sizeof(sink), ctx, begin, put };
	fsha_backup_summary summary = FSHA_BACKUP_SUMMARY_INIT;
	struct scene *s = ctx;
	fsha_result result;

	(void)fs;
	result = fsha_backup_take(s->a.services, NULL, &sink, &summary, NULL);
	if (result == FSHA_OK && (summary.values != 3 || summary.bytes != 11))
		return WRONG_VALUE;
	return result;
}

static const char *check_backup(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	static const char values[] = " state/space/a=one state/space/b=two state/space/c=three "
				     "MANIFEST.json={";
	const struct scene *s = ctx;

	(void)after;
	if (run->outcome == WRONG_VALUE)
		return "a backup that says that it is done is not";
	if (run->outcome == FSHA_OK && run->when != SWEEP_CUT_DURING &&
	    strncmp(s->text, values, strlen(values)) != 0)
		return sweep_say("it has%.300s", s->text);
	if (run->outcome != FSHA_OK && strstr(s->text, "MANIFEST"))
		return "a backup that failed has a manifest";
	return run->n_faults == 0 && run->outcome != FSHA_OK ? "it failed without a fault" : NULL;
}

/* ---- metrics of the cluster ---- */

/* "NAME{cluster="<any>",LABEL} VALUE", on a line of its own. */
static bool has_sample(const char *text, const char *name, const char *label, const char *value)
{
	char begin[128], end[128];

	(void)snprintf(begin, sizeof(begin), "\n%s{cluster=\"", name);
	(void)snprintf(end, sizeof(end), "\",%s} %s\n", label, value);
	for (const char *at = strstr(text, begin); at; at = strstr(at + 1, begin)) {
		const char *line = at + 1, *found = strstr(line, end);

		if (found && found < line + strcspn(line, "\n"))
			return true;
	}
	return false;
}

static int read_metrics(void *ctx, const struct fsu *fs)
{
	struct scene *s = ctx;
	fsha_result result;
	size_t size = 0;
	char *text;

	result = fsha_metrics_cluster_text(s->a.services, 0, &text, &size, NULL);
	if (result != FSHA_OK)
		return result;
	if (size != strlen(text) ||
	    !has_sample(text, "fsha_cluster_epoch", "election=\"dispatcher\"", "1") ||
	    !has_sample(text, "fsha_cluster_store_files", "store=\"state\"", "3"))
		result = WRONG_VALUE;
	fsu_release(fs, text);
	return result;
}

/* What was read in part is said to be so: in what was skipped. */
static const char *check_metrics(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	(void)after;
	if (run->n_faults == 0 && run->outcome != FSHA_OK)
		return "they are wrong without a fault";
	return NULL;
}

/* ---- the owner of a namespace ---- */

static int read_owner(void *ctx, const struct fsu *fs)
{
	char owner[FSHA_NAME_MAX + 1];
	struct scene *s = ctx;
	fsha_result result;

	(void)fs;
	result = fsha_state_store_owner(s->a.services, "space", owner, NULL);
	return result == FSHA_OK && strcmp(owner, FSHA_ELECTION_DISPATCHER) != 0 ? WRONG_VALUE :
										   (int)result;
}

static const char *check_owner(void *ctx, struct crashfs *after, const struct sweep_run *run)
{
	(void)ctx;
	(void)after;
	if (run->outcome == WRONG_VALUE)
		return "it is another's";
	return run->n_faults == 0 && run->outcome != FSHA_OK ? "it failed without a fault" : NULL;
}

/* ---- the sweeps ---- */

static struct scene scene;

static const struct sweep_scenario backup = {
	.name = "backup",
	.options = { .seed = 1 },
	.client = A,
	.ctx = &scene,
	.setup = start,
	.operation = take,
	.check = check_backup,
	.teardown = finish,
};
static const struct sweep_scenario metrics = {
	.name = "metrics of the cluster",
	.options = { .seed = 1 },
	.client = A,
	.ctx = &scene,
	.setup = start,
	.operation = read_metrics,
	.check = check_metrics,
	.teardown = finish,
};

static const struct sweep_scenario owner = {
	.name = "owner",
	.options = { .seed = 1 },
	.client = A,
	.ctx = &scene,
	.setup = start,
	.operation = read_owner,
	.check = check_owner,
	.teardown = finish,
};

static void the_owner_of_a_namespace_is_right_or_fails_at_every_fault(void **state)
{
	(void)state;
	sweep_assert(&owner);
	oom_assert(&owner);
}

static void a_backup_is_right_or_fails_at_every_fault(void **state)
{
	(void)state;
	sweep_assert(&backup);
}

static void a_backup_leaves_nothing_when_memory_runs_out(void **state)
{
	(void)state;
	oom_assert(&backup);
}

static void metrics_of_the_cluster_end_at_every_fault(void **state)
{
	(void)state;
	sweep_assert(&metrics);
}

static bool is_fine(int outcome)
{
	return outcome == FSHA_E_IO || outcome == WRONG_VALUE;
}

static void metrics_of_the_cluster_leave_nothing_when_memory_runs_out(void **state)
{
	(void)state;
	oom_assert_but(&metrics, is_fine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_owner_of_a_namespace_is_right_or_fails_at_every_fault),
		cmocka_unit_test(a_backup_is_right_or_fails_at_every_fault),
		cmocka_unit_test(a_backup_leaves_nothing_when_memory_runs_out),
		cmocka_unit_test(metrics_of_the_cluster_end_at_every_fault),
		cmocka_unit_test(metrics_of_the_cluster_leave_nothing_when_memory_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
