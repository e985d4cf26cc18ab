/* What lies in a store's directory and is no record of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/result/error.h"
#include "src/state/store.h"

static bool is_stray(const char *name)
{
	struct name ignored;

	return name[0] != '.' && !name_parse(name, &ignored);
}

static int compare(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

/* One allocation, as store_keys makes it. NULL: out of memory. */
static char **pick(const struct fsu *fs, const struct fsu_list *list, size_t *ret_count)
{
	size_t count = 0, bytes = 0, n = 0;
	char **names, *text;

	for (size_t i = 0; i < list->count; i++)
		if (is_stray(fsu_list_name(list, i))) {
			count++;
			bytes += strlen(fsu_list_name(list, i)) + 1;
		}
	names = fsu_alloc(fs, (count + 1) * sizeof(*names) + bytes);
	if (!names)
		return NULL;
	text = (char *)(names + count + 1);
	for (size_t i = 0; i < list->count; i++) {
		if (!is_stray(fsu_list_name(list, i)))
			continue;
		names[n++] = strcpy(text, fsu_list_name(list, i));
		text += strlen(text) + 1;
	}
	qsort(names, count, sizeof(*names), compare);
	*ret_count = count;
	return names;
}

fsha_result store_strays(struct store *s, char ***ret_names, size_t *ret_count, fsha_error *reterr)
{
	struct term *t = s->terms.get(s->terms.ctx, s->election);
	const struct cluster *c = s->cluster;
	fsha_error error = FSHA_ERROR_INIT;
	struct fsu_list list;
	fsha_result result;
	char **names;
	int r = 0;

	fsu_list_init(&list, c->fs);
	(void)pthread_mutex_lock(&s->mutex);
	result = store_load(s, t, &error);
	/* Never from the index: a leader does not list again, and a person may come at any time. */
	if (result == FSHA_OK)
		r = fsu_list_pass(&list, s->dir_fd, "", c->local);
	(void)pthread_mutex_unlock(&s->mutex);
	term_unref(t);
	if (r < 0)
		result = error_os(reterr, r, "list", "cannot list '%s'", s->directory);
	else if (result == FSHA_E_NOT_FOUND)
		result = FSHA_OK; /* nothing was written yet */
	else if (result != FSHA_OK)
		error_copy(reterr, &error);
	names = result == FSHA_OK ? pick(c->fs, &list, ret_count) : NULL;
	fsu_list_done(&list);
	if (result != FSHA_OK)
		return result;
	if (!names)
		return error_os(reterr, -ENOMEM, "alloc", "cannot list '%s'", s->directory);
	*ret_names = names;
	return FSHA_OK;
}
