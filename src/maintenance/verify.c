#include "src/maintenance/verify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fsutil/fsu_path.h"
#include "src/cluster/layout.h"
#include "src/config/config.h"
#include "src/maintenance/maintenance.h"
#include "src/result/error.h"

/* Between two looks: longer than a rename, a claim or a step of the directory times takes. */
#define LIST_LIMIT_NS (200 * FSU_NS_PER_MS)
#define PAUSE_NS (150 * FSU_NS_PER_MS)

struct units {
	struct verify verify;
	struct unit *items;
	size_t count, size;
	bool out_of_memory;
};

static void add_unit(struct units *u,
		     void (*check)(struct verify *, const struct unit *, struct findings *),
		     const struct area *area, const char *name)
{
	const struct fsu *fs = u->verify.cluster->fs;

	if (u->count == u->size) {
		size_t size = u->size ? 2 * u->size : 32;
		struct unit *items = fsu_resize(fs, u->items, size * sizeof(*items));

		if (!items) {
			u->out_of_memory = true;
			return;
		}
		u->items = items;
		u->size = size;
	}
	u->items[u->count] = (struct unit){ .check = check, .area = area };
	(void)snprintf(u->items[u->count].name, sizeof(u->items[u->count].name), "%s", name);
	findings_init(&u->items[u->count].found, fs);
	u->count++;
}

static void add_elsewhere(struct units *u, const struct area *area)
{
	const size_t count = u->count;

	add_unit(u, check_store, area, "");
	if (u->count > count)
		u->items[count].elsewhere = true;
}

/* A unit for each directory in `directory` that looks like one. */
static void add_nested(struct units *u,
		       void (*check)(struct verify *, const struct unit *, struct findings *),
		       const struct area *area, const char *directory)
{
	const struct cluster *c = u->verify.cluster;
	struct fsu_list list;
	int r = -EIO;

	fsu_list_init(&list, c->fs);
	/* What cannot be listed at all is told by the check of the directory itself. */
	for (int i = 0; i < VERIFY_LOOKS && r < 0 && r != -ENOENT; i++)
		r = fsu_list_read(&list, c->fd, directory, c->local, LIST_LIMIT_NS);
	u->out_of_memory |= r == -ENOMEM;
	if (r == 0)
		for (size_t i = 0; i < list.count; i++)
			if (area_names_store(area, fsu_list_name(&list, i), NULL))
				add_unit(u, check, area, fsu_list_name(&list, i));
	fsu_list_done(&list);
}

static void add_all(struct units *u)
{
	static const struct area elections = { .directory = LAYOUT_ELECTIONS,
					       .nesting = AREA_BY_NAMESPACE };

	add_unit(u, check_root, NULL, "");
	for (size_t i = 0; i < areas_count; i++) {
		if (areas[i].nesting == AREA_FLAT) {
			add_unit(u, check_store, &areas[i], "");
			if (areas[i].kind == FSU_KIND_JOB_RESULT && u->verify.results)
				add_elsewhere(u, &areas[i]);
			continue;
		}
		add_unit(u, check_nest, &areas[i], "");
		add_nested(u, check_store, &areas[i], areas[i].directory);
	}
	add_unit(u, check_elections, NULL, "");
	add_nested(u, check_election, &elections, LAYOUT_ELECTIONS);
	add_unit(u, check_members, NULL, "");
	add_unit(u, check_jobs, NULL, "");
	add_unit(u, check_quarantine, NULL, "");
	/* Last: each job that ever ran may have something to tell here, and gc seldom minds. */
	add_unit(u, check_leaders, NULL, "");
}

static void look(struct units *u, struct unit *unit)
{
	struct verify_count count = { 0 };
	struct findings found;

	findings_init(&found, u->verify.cluster->fs);
	u->verify.count = &count;
	unit->check(&u->verify, unit, &found);
	findings_sort(&found);
	found.out_of_memory |= unit->found.out_of_memory;
	/* A look in which something could not be read that can be at another time was none. */
	if (unit->looks > 0 && findings_recovered(&found, &unit->found)) {
		unit->found.out_of_memory = found.out_of_memory;
		findings_done(&found);
		return;
	}
	if (unit->looks > 0 && findings_recovered(&unit->found, &found))
		unit->looks = 0;
	unit->count = count;
	if (unit->looks++ == 0) {
		findings_done(&unit->found);
		unit->found = found;
		return;
	}
	unit->found.out_of_memory = found.out_of_memory;
	findings_confirm(&unit->found, &found);
	findings_done(&found);
}

/* Look again at what may only be in motion. Returns whether anything was. */
static bool look_again(struct units *u)
{
	bool any = false;

	for (size_t i = 0; i < u->count; i++) {
		struct unit *unit = &u->items[i];

		if (unit->looks == VERIFY_LOOKS || !findings_doubtful(&unit->found))
			continue;
		if (!any)
			fsu_sleep(u->verify.cluster->fs, PAUSE_NS);
		any = true;
		look(u, unit);
	}
	return any;
}

static void sum_up(struct units *u, fsha_verify_summary *summary, struct findings *ret_found)
{
	for (size_t i = 0; i < u->count; i++) {
		findings_take(ret_found, &u->items[i].found);
		summary->names += u->items[i].count.names;
		summary->records += u->items[i].count.records;
		summary->bytes += u->items[i].count.bytes;
	}
	findings_tell_of_the_rest(ret_found);
	findings_sort(ret_found);
	for (size_t i = 0; i < ret_found->count; i++)
		summary->findings[finding_type(ret_found->items[i].code)->severity]++;
	for (size_t i = 0; i < FSHA_SEVERITIES; i++) {
		summary->findings[i] += ret_found->not_told[i];
		summary->not_told += ret_found->not_told[i];
	}
}

fsha_result verify_run(const struct cluster *c, const char *results, bool names_only,
		       fsha_verify_summary *summary, struct findings *ret_found, fsha_error *reterr)
{
	struct units u = { .verify = {
				   .cluster = c, .results = results, .names_only = names_only } };

	add_all(&u);
	for (size_t i = 0; i < u.count; i++)
		look(&u, &u.items[i]);
	for (int looks = 1; looks < VERIFY_LOOKS_MAX; looks++)
		if (!look_again(&u))
			break;
	sum_up(&u, summary, ret_found);
	fsu_release(c->fs, u.items);
	if (u.out_of_memory || ret_found->out_of_memory)
		return error_os(reterr, -ENOMEM, "alloc", "cannot verify '%s'", c->path);
	return FSHA_OK;
}

/* The part of the cluster in which it was found. */
static bool unit_of(const struct finding *f, const char *results, struct unit *ret_unit)
{
	struct unit unit = { .area = area_find(f->path, results) };
	const char *name = "";

	if (unit.area) {
		unit.check = check_store;
		unit.elsewhere = f->path[0] == '/';
		if (unit.area->nesting != AREA_FLAT)
			name = f->path + strlen(unit.area->directory) + 1;
	} else if (strncmp(f->path, LAYOUT_ELECTIONS "/", sizeof(LAYOUT_ELECTIONS)) == 0) {
		unit.check = check_election;
		name = f->election;
	} else {
		return false;
	}
	(void)snprintf(unit.name, sizeof(unit.name), "%s", name);
	*ret_unit = unit;
	return true;
}

bool verify_still(const struct cluster *c, const char *results, const struct finding *f)
{
	struct units u = { .verify = { .cluster = c, .results = results, .names_only = true } };
	struct unit unit;
	bool still;

	if (!unit_of(f, results, &unit))
		return true;
	findings_init(&unit.found, c->fs);
	look(&u, &unit);
	still = unit.found.out_of_memory || findings_has(&unit.found, f);
	for (size_t i = 0; i < unit.found.count && !still; i++)
		still = unit.found.items[i].code == FINDING_UNREADABLE;
	findings_done(&unit.found);
	return still;
}

/* ---- the public call ---- */

static void tell(const struct findings *found, int (*visit)(void *ctx, const fsha_finding *finding),
		 void *ctx)
{
	for (size_t i = 0; i < found->count; i++) {
		const struct finding_type *type = finding_type(found->items[i].code);
		const fsha_finding finding = {
			.struct_size = sizeof(finding),
			.severity = (int32_t)type->severity,
			.code = type->name,
			.path = found->items[i].path,
			.message = found->items[i].message,
			.advice = type->advice,
		};

		if (visit(ctx, &finding) != 0)
			break;
	}
}

fsha_result verify_with(const struct fsu *fs, const fsha_config *config,
			int (*visit)(void *ctx, const fsha_finding *finding), void *ctx,
			fsha_verify_summary *ret_summary, fsha_error *reterr)
{
	fsha_verify_summary summary = FSHA_VERIFY_SUMMARY_INIT;
	struct cluster_options options = { .inspect = true };
	fsha_error error = FSHA_ERROR_INIT;
	struct config_services settings;
	struct findings found;
	struct cluster cluster;
	fsha_result result;

	if (!config)
		return error_set(reterr, FSHA_E_INVALID, 0, "verify", "an argument is NULL");
	if (ret_summary && ret_summary->struct_size != sizeof(*ret_summary))
		return error_set(reterr, FSHA_E_INVALID, 0, "verify",
				 "the summary has an unknown size: start from "
				 "FSHA_VERIFY_SUMMARY_INIT");
	result = config_services_read(config, &settings, reterr);
	if (result != FSHA_OK)
		return result;
	options.storage_dir = settings.storage_dir;
	options.cluster_id = settings.cluster_id;
	result = cluster_open(fs, &options, &cluster, &error);
	if (result != FSHA_OK)
		return error_copy(reterr, &error);
	findings_init(&found, fs);
	result = verify_run(&cluster, settings.job_result_path[0] ? settings.job_result_path : NULL,
			    false, &summary, &found, reterr);
	if (result == FSHA_OK) {
		if (ret_summary)
			*ret_summary = summary;
		if (visit)
			tell(&found, visit, ctx);
	}
	findings_done(&found);
	cluster_close(&cluster);
	return result;
}

fsha_result fsha_verify(const fsha_config *config,
			int (*visit)(void *ctx, const fsha_finding *finding), void *ctx,
			fsha_verify_summary *ret_summary, fsha_error *reterr)
{
	return verify_with(&fsu_posix, config, visit, ctx, ret_summary, reterr);
}
