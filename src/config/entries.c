#include "src/config/entries.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define SIZE_FIRST 16

void config_entries_init(struct config_entries *entries, const struct fsu *fs)
{
	*entries = (struct config_entries){ .fs = fs };
}

void config_entries_done(struct config_entries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		fsu_release(entries->fs, entries->items[i]);
	fsu_release(entries->fs, entries->items);
	config_entries_init(entries, entries->fs);
}

static int compare(const struct config_entry *entry, const char *key, enum config_source source)
{
	int c = strcmp(entry->key, key);

	if (c)
		return c;
	return (entry->source > source) - (entry->source < source);
}

/* The first place whose entry is not less than (key, source). */
static size_t lower_bound(const struct config_entries *entries, const char *key,
			  enum config_source source)
{
	size_t low = 0, high = entries->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(entries->items[middle], key, source) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	assert(low <= entries->count);
	return low;
}

const struct config_entry *config_entries_in(const struct config_entries *entries, const char *key,
					     enum config_source source)
{
	size_t i = lower_bound(entries, key, source);

	if (i == entries->count || compare(entries->items[i], key, source))
		return NULL;
	return entries->items[i];
}

const struct config_entry *config_entries_find(const struct config_entries *entries,
					       const char *key)
{
	/* The strongest source sorts first, so it stands at the lower bound of the key. */
	size_t i = lower_bound(entries, key, CONFIG_PROGRAM);

	if (i == entries->count || strcmp(entries->items[i]->key, key))
		return NULL;
	return entries->items[i];
}

static int reserve(struct config_entries *entries, size_t count)
{
	struct config_entry **items;
	size_t size = entries->size ? entries->size : SIZE_FIRST;

	if (count <= entries->size)
		return 0;
	while (size < count)
		size *= 2;

	items = fsu_resize(entries->fs, entries->items, size * sizeof(struct config_entry *));
	if (!items)
		return -ENOMEM;

	entries->items = items;
	entries->size = size;
	return 0;
}

static char *append(char *end, const char *text, const char **ret_place)
{
	size_t size = strlen(text) + 1;

	memcpy(end, text, size);
	*ret_place = end;
	return end + size;
}

static struct config_entry *entry_create(const struct fsu *fs, const struct config_entry *like)
{
	size_t text_size = strlen(like->key) + strlen(like->value) + strlen(like->origin) + 3;
	struct config_entry *entry;
	char *end;

	entry = fsu_alloc(fs, sizeof(*entry) + text_size);
	if (!entry)
		return NULL;

	entry->source = like->source;
	entry->line = like->line;
	end = append(entry->text, like->key, &entry->key);
	end = append(end, like->value, &entry->value);
	end = append(end, like->origin, &entry->origin);
	assert(end == entry->text + text_size);
	return entry;
}

/* There is room. Takes `entry`. */
static void place(struct config_entries *entries, struct config_entry *entry)
{
	size_t i = lower_bound(entries, entry->key, entry->source);

	if (i < entries->count && !compare(entries->items[i], entry->key, entry->source)) {
		fsu_release(entries->fs, entries->items[i]);
	} else {
		assert(entries->count < entries->size);
		memmove(&entries->items[i + 1], &entries->items[i],
			(entries->count - i) * sizeof(struct config_entry *));
		entries->count++;
	}
	entries->items[i] = entry;
}

int config_entries_put(struct config_entries *entries, const struct config_entry *like)
{
	struct config_entry *entry;
	int r;

	r = reserve(entries, entries->count + 1);
	if (r < 0)
		return r;

	entry = entry_create(entries->fs, like);
	if (!entry)
		return -ENOMEM;

	place(entries, entry);
	return 0;
}

size_t config_entries_merged_count(const struct config_entries *into,
				   const struct config_entries *from)
{
	size_t count = into->count;

	for (size_t i = 0; i < from->count; i++)
		if (!config_entries_in(into, from->items[i]->key, from->items[i]->source))
			count++;
	return count;
}

int config_entries_merge(struct config_entries *into, struct config_entries *from)
{
	int r;

	/* Entries change hands, so both must be of the same memory. */
	assert(into->fs == from->fs);

	r = reserve(into, into->count + from->count);
	if (r < 0)
		return r;

	for (size_t i = 0; i < from->count; i++)
		place(into, from->items[i]);
	from->count = 0;
	return 0;
}
