#include "src/backup/target.h"

#include <stdio.h>
#include <string.h>

#include "src/checkpoint/checkpoint.h"
#include "src/record/name.h"
#include "src/worker/worker.h"

const struct area *target_area(const char *directory)
{
	size_t top = strcspn(directory, "/");

	for (size_t i = 0; i < areas_count; i++) {
		const struct area *a = &areas[i];

		if (strlen(a->directory) != top || strncmp(a->directory, directory, top) != 0)
			continue;
		if (a->nesting == AREA_FLAT)
			return directory[top] ? NULL : a;
		return directory[top] && area_names_store(a, directory + top + 1, NULL) ? a : NULL;
	}
	return NULL;
}

bool target_parse(const char *path, struct target *ret_target)
{
	const char *file = strrchr(path, '/');
	struct name name;

	if (!file || (size_t)(file - path) >= sizeof(ret_target->directory) ||
	    !name_parse(file + 1, &name) || name.key_len > FSU_COMPONENT_MAX)
		return false;
	(void)snprintf(ret_target->directory, sizeof(ret_target->directory), "%.*s",
		       (int)(file - path), path);
	(void)snprintf(ret_target->key, sizeof(ret_target->key), "%.*s", (int)name.key_len,
		       file + 1);
	ret_target->area = target_area(ret_target->directory);
	return ret_target->area && (name.form == NAME_VALUE || name.form == NAME_JSON);
}

/* An owner or a pack out of a backup would take the whole store's place. */
bool target_is_key(const struct target *t)
{
	char decoded[FSU_NAME_MAX + 1];
	size_t len;

	if (t->key[0] != '@')
		return fsu_path_decode(t->key, strlen(t->key), decoded, &len) == 0;
	if (t->area->kind == FSU_KIND_CHECKPOINT)
		return strcmp(t->key, CHECKPOINT_COUNTER_KEY) == 0;
	return t->area->kind == FSU_KIND_WORKER &&
	       (strcmp(t->key, FRAMEWORK_ID_KEY) == 0 || strcmp(t->key, COUNTER_KEY) == 0);
}

bool target_is_owner(const struct area *area, const struct manifest_store *store)
{
	char expected[FSU_COMPONENT_MAX + 1], decoded[FSU_NAME_MAX + 1];
	const char *name = strchr(store->directory, '/');
	size_t len;

	area_election(area, name ? name + 1 : "", expected);
	return expected[0] ? strcmp(expected, store->election) == 0 :
			     fsu_path_decode(store->election, strlen(store->election), decoded,
					     &len) == 0;
}
