#include "src/record/name.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *const suffixes[NAME_FORMS] = {
	[NAME_VALUE] = "",
	[NAME_TOMBSTONE] = ".gone",
	[NAME_MARKED] = ".mark",
	[NAME_JSON] = ".json",
};

void name_format(const char *key, const fsha_version *version, enum name_form form, char *ret_name)
{
	char text[FSHA_VERSION_TEXT];
	int n;

	assert(strlen(key) <= FSHA_NAME_MAX);
	n = snprintf(ret_name, NAME_SIZE, "%s~%s%s", key, fsha_version_format(version, text),
		     suffixes[form]);
	assert(n > 0);
	assert(n < NAME_SIZE);
}

bool name_parse(const char *file_name, struct name *ret_name)
{
	const char *tilde = strchr(file_name, '~'); /* no key has one */
	char text[FSHA_VERSION_TEXT];
	struct name name;
	int form = 0;

	if (!tilde || tilde == file_name || tilde - file_name > FSHA_NAME_MAX)
		return false;
	name.key_len = (size_t)(tilde - file_name);
	if (strlen(tilde + 1) < FSHA_VERSION_TEXT - 1)
		return false;
	while (form < NAME_FORMS && strcmp(tilde + FSHA_VERSION_TEXT, suffixes[form]) != 0)
		form++;
	if (form == NAME_FORMS)
		return false;
	name.form = (enum name_form)form;
	memcpy(text, tilde + 1, FSHA_VERSION_TEXT - 1);
	text[FSHA_VERSION_TEXT - 1] = '\0';
	if (fsha_version_parse(text, &name.version) != FSHA_OK)
		return false;
	*ret_name = name;
	return true;
}

bool name_is_job(const char *key, fsha_job_id *ret_id)
{
	char text[FSHA_HEX_ID_TEXT];

	return fsha_job_id_parse(key, ret_id) == FSHA_OK &&
	       strcmp(key, fsha_job_id_format(ret_id, text)) == 0;
}

bool name_is_of(const char *file_name, const char *key, struct name *ret_name)
{
	return name_parse(file_name, ret_name) && ret_name->key_len == strlen(key) &&
	       memcmp(file_name, key, ret_name->key_len) == 0;
}

const char *name_newest(const struct fsu_list *list, const char *key)
{
	struct name name, best_name = { 0 };
	const char *best = NULL;

	for (size_t i = 0; i < list->count; i++) {
		const char *file = fsu_list_name(list, i);

		if (!name_is_of(file, key, &name))
			continue;
		if (best && fsha_version_compare(&name.version, &best_name.version) <= 0)
			continue;
		best = file;
		best_name = name;
	}
	return best;
}
