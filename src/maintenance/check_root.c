/* The cluster directory itself, and the directories in it that hold no records of leaders. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/cluster/layout.h"
#include "src/maintenance/verify.h"
#include "src/member/info.h"
#include "src/member/watch.h"

static bool is_floor(const char *name)
{
	const size_t prefix = sizeof(LAYOUT_FLOOR) - 1;
	uint64_t ignored;

	return strncmp(name, LAYOUT_FLOOR, prefix) == 0 && strlen(name) == prefix + 16 &&
	       fsu_hex_parse(name + prefix, 16, &ignored) == 0;
}

static int decode_settings(const struct record *record, void *ctx)
{
	struct settings settings;

	(void)ctx;
	if (settings_decode(record->data, record->size, &settings) < 0 ||
	    !fsu_uuid_equal(&settings.cluster, &record->head.cluster))
		return -EBADMSG;
	return 0;
}

static void check_settings(struct verify *v, const struct fsu_list *list, struct findings *found)
{
	const char *file = name_newest(list, LAYOUT_SETTINGS);
	struct check_record q = { .directory = "",
				  .path = "",
				  .dir_fd = v->cluster->fd,
				  .file_name = file,
				  .kind = FSU_KIND_SETTINGS,
				  .decode = decode_settings,
				  .newest = true };
	struct findings own;
	struct name name;

	if (!file) {
		findings_add(found, FINDING_SETTINGS_MISSING, "", "there is no SETTINGS");
		return;
	}
	(void)name_parse(file, &name);
	q.name = &name;
	findings_init(&own, found->fs);
	(void)check_record(v, &q, &own);
	for (size_t i = 0; i < own.count; i++)
		findings_add(found, FINDING_SETTINGS_DAMAGED, file, "%s", own.items[i].message);
	found->out_of_memory |= own.out_of_memory;
	findings_done(&own);
}

void check_root(struct verify *v, const struct unit *unit, struct findings *found)
{
	const char *floor = NULL;
	struct fsu_list list;
	struct name ignored;

	(void)unit;
	fsu_list_init(&list, found->fs);
	if (!check_list(v, "", &list, found))
		goto out;
	for (size_t i = 0; i < list.count; i++) {
		const char *name = fsu_list_name(&list, i);

		if (is_floor(name)) {
			/* Sorted: each is higher than the one before it. */
			if (floor)
				findings_add(found, FINDING_FLOOR_SEVERAL, floor,
					     "there is a higher one, '%s'", name);
			floor = name;
		} else if (!layout_is_fixed(name) && !name_is_of(name, LAYOUT_SETTINGS, &ignored)) {
			check_unknown(found, "", name);
		}
	}
	check_settings(v, &list, found);
	if (!floor)
		findings_add(found, FINDING_FLOOR_MISSING, "", "there is no floor-<16 hex digits>");
	for (size_t j = 0; j < layout_directories_count; j++)
		if (!fsu_list_has(&list, layout_directories[j]))
			findings_add(found, FINDING_DIRECTORY_MISSING, layout_directories[j],
				     "there is no such directory");
out:
	fsu_list_done(&list);
}

void check_nest(struct verify *v, const struct unit *unit, struct findings *found)
{
	struct fsu_list list;

	fsu_list_init(&list, found->fs);
	if (check_list(v, unit->area->directory, &list, found))
		for (size_t i = 0; i < list.count; i++)
			if (!area_names_store(unit->area, fsu_list_name(&list, i), NULL))
				check_unknown(found, unit->area->directory,
					      fsu_list_name(&list, i));
	fsu_list_done(&list);
}

void check_elections(struct verify *v, const struct unit *unit, struct findings *found)
{
	const struct area election = { .nesting = AREA_BY_NAMESPACE };
	struct fsu_list list;

	(void)unit;
	fsu_list_init(&list, found->fs);
	if (check_list(v, LAYOUT_ELECTIONS, &list, found))
		for (size_t i = 0; i < list.count; i++)
			if (!area_names_store(&election, fsu_list_name(&list, i), NULL))
				check_unknown(found, LAYOUT_ELECTIONS, fsu_list_name(&list, i));
	fsu_list_done(&list);
}

void check_quarantine(struct verify *v, const struct unit *unit, struct findings *found)
{
	struct fsu_list list;

	(void)unit;
	fsu_list_init(&list, found->fs);
	if (check_list(v, LAYOUT_QUARANTINE, &list, found) && list.count > 0)
		findings_add(found, FINDING_QUARANTINED, LAYOUT_QUARANTINE,
			     "%zu files that 'fsha repair' took away wait for a person to look at",
			     list.count);
	fsu_list_done(&list);
}

/* ---- members ---- */

static bool is_numbered(const char *name, const char *prefix, unsigned digits)
{
	size_t len = strlen(prefix);
	uint64_t ignored;

	return strncmp(name, prefix, len) == 0 && strlen(name) == len + digits &&
	       fsu_hex_parse(name + len, digits, &ignored) == 0;
}

static int decode_info(const struct record *record, void *ctx)
{
	struct member_info info;

	(void)ctx;
	return info_decode(record->data, record->size, &info);
}

static void check_info(struct verify *v, const char *directory, const char *file,
		       const struct name *name, struct findings *found)
{
	struct check_record q = { .directory = directory,
				  .path = directory,
				  .file_name = file,
				  .name = name,
				  .kind = FSU_KIND_MEMBER,
				  .decode = decode_info,
				  .newest = true };

	q.dir_fd = check_open(v, directory, found);
	if (q.dir_fd < 0)
		return; /* it left meanwhile */
	(void)check_record(v, &q, found);
	(void)fsu_close(found->fs, q.dir_fd); /* a directory */
}

static void check_member(struct verify *v, const struct fsu_uuid *id, const char *directory,
			 struct findings *found)
{
	struct member_watch watch;
	struct fsu_list list;
	struct name name;
	bool lock = false;

	fsu_list_init(&list, found->fs);
	if (!check_list(v, directory, &list, found))
		goto out;
	for (size_t i = 0; i < list.count; i++) {
		const char *file = fsu_list_name(&list, i);

		lock |= strcmp(file, MEMBER_LOCK) == 0;
		if (name_is_of(file, MEMBER_INFO, &name))
			check_info(v, directory, file, &name, found);
		else if (strcmp(file, MEMBER_LOCK) != 0 && strcmp(file, MEMBER_WRITE_LOCK) != 0 &&
			 strcmp(file, MEMBER_STANDS) != 0 && !is_numbered(file, MEMBER_BEAT, 16) &&
			 !is_numbered(file, MEMBER_EXPELLED, 16) && !is_numbered(file, "seat-", 4))
			check_unknown(found, directory, file);
	}
	if (!lock) {
		findings_add(found, FINDING_MEMBER_HALF_REMOVED, directory,
			     "it has no lock file: its removal was cut short");
		goto out;
	}
	member_watch_init(&watch, v->cluster, id);
	if (member_watch_look(&watch) == MEMBER_DEAD_LOCK)
		findings_add(found, FINDING_MEMBER_DEAD, directory,
			     "its process is gone: the lock is free");
	member_watch_done(&watch);
out:
	fsu_list_done(&list);
}

void check_members(struct verify *v, const struct unit *unit, struct findings *found)
{
	char directory[sizeof(LAYOUT_MEMBERS) + 256];
	struct fsu_list list;

	(void)unit;
	fsu_list_init(&list, found->fs);
	if (v->cluster->members_fd >= 0 && check_list(v, LAYOUT_MEMBERS, &list, found))
		for (size_t i = 0; i < list.count; i++) {
			const char *name = fsu_list_name(&list, i);
			struct fsu_uuid id;

			(void)snprintf(directory, sizeof(directory), LAYOUT_MEMBERS "/%s", name);
			if (fsu_uuid_parse(name, strlen(name), &id) < 0)
				check_unknown(found, LAYOUT_MEMBERS, name);
			else
				check_member(v, &id, directory, found);
		}
	fsu_list_done(&list);
}
