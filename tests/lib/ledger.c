#include "tests/lib/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "src/cluster/layout.h"
#include "src/leader/leader.h"
#include "src/result/error.h"
#include "src/state/owner.h"

#define NAMES_SIZE 8192

static struct ledger_entry *add(struct ledger *ledger, const char *directory, const char *key)
{
	struct ledger_entry *entry;

	if (ledger->count == ledger->size) {
		ledger->size = ledger->size ? 2 * ledger->size : 32;
		ledger->at = realloc(ledger->at, ledger->size * sizeof(*ledger->at));
		if (!ledger->at)
			abort();
	}
	entry = &ledger->at[ledger->count++];
	memset(entry, 0, sizeof(*entry));
	(void)snprintf(entry->name, sizeof(entry->name), "%s%s%s", directory, *directory ? "/" : "",
		       key);
	return entry;
}

void ledger_done(struct ledger *ledger)
{
	free(ledger->at);
	*ledger = (struct ledger){ 0 };
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct ledger_entry *)a)->name,
		      ((const struct ledger_entry *)b)->name);
}

const struct ledger_entry *ledger_find(const struct ledger *ledger, const char *name)
{
	size_t low = 0, high = ledger->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(ledger->at[middle].name, name);

		if (order == 0)
			return &ledger->at[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

bool ledger_entry_same(const struct ledger_entry *a, const struct ledger_entry *b)
{
	return a->form == b->form && a->digest == b->digest && a->damaged == b->damaged &&
	       fsha_version_compare(&a->version, &b->version) == 0;
}

/* ---- Stores ---- */

static fsha_result visit_nested(struct holder *h, const struct area *area, const char *name,
				ledger_visit *visit, void *ctx)
{
	struct store_options options = { .kind = area->kind };
	char directory[AREA_DIRECTORY_SIZE], election[FSU_COMPONENT_MAX + 1];
	fsha_result result = FSHA_OK;

	area_directory(area, name, directory);
	area_election(area, name, election);
	if (!election[0])
		result = owner_of(&h->services->cluster, directory, election, &h->error);
	if (result != FSHA_OK)
		return result;
	options.directory = directory;
	options.election = election;
	area_store_options(area, NULL, &options);
	return visit(ctx, h, area, &options);
}

static fsha_result visit_area(struct holder *h, const struct area *area, ledger_visit *visit,
			      void *ctx)
{
	fsha_result result = FSHA_OK;
	char path[64], names[NAMES_SIZE], *name, *rest = NULL;
	const char *listed;

	if (area->nesting == AREA_FLAT)
		return visit_nested(h, area, "", visit, ctx);
	(void)snprintf(path, sizeof(path), "/c/%s", area->directory);
	listed = crashfs_ls(h->disk, path);
	if (!listed)
		return error_set(&h->error, FSHA_E_CORRUPT, 0, "list", "'%s' is gone", path);
	(void)snprintf(names, sizeof(names), "%s", listed);
	for (name = strtok_r(names, "\n", &rest); name && result == FSHA_OK;
	     name = strtok_r(NULL, "\n", &rest))
		if (area_names_store(area, name, NULL))
			result = visit_nested(h, area, name, visit, ctx);
	return result;
}

fsha_result ledger_each_store(struct holder *h, ledger_visit *visit, void *ctx)
{
	fsha_result result = FSHA_OK;

	for (size_t i = 0; i < areas_count && result == FSHA_OK; i++)
		result = visit_area(h, &areas[i], visit, ctx);
	return result;
}

static fsha_result read_value(struct holder *h, struct store *store,
			      const struct store_handle *handle, struct ledger_entry *entry)
{
	struct record record = { .data = NULL };
	fsha_result result;

	result = store_get_any(store, handle->key, &record, &entry->version, &entry->form,
			       &h->error);
	if (result == FSHA_E_CORRUPT) {
		entry->version = handle->version;
		entry->form = handle->form;
		entry->damaged = true;
		return FSHA_OK;
	}
	if (result == FSHA_E_NOT_FOUND)
		return error_set(&h->error, FSHA_E_CORRUPT, 0, "read",
				 "'%s' is listed and not found", entry->name);
	if (result != FSHA_OK)
		return result;
	entry->digest = XXH3_64bits(record.data, record.size);
	record_done(h->fs, &record);
	if (fsha_version_compare(&entry->version, &handle->version) != 0)
		return error_set(&h->error, FSHA_E_CORRUPT, 0, "read",
				 "'%s' has another version than its name", entry->name);
	return FSHA_OK;
}

static fsha_result read_store(void *ctx, struct holder *h, const struct area *area,
			      const struct store_options *options)
{
	struct store_handle *handles = NULL;
	struct ledger *ledger = ctx;
	struct store *store;
	fsha_result result;
	size_t count = 0;

	result = services_store_open(h->services, options, &store, &h->error);
	if (result != FSHA_OK)
		return result;
	result = store_handles(store, &handles, &count, &h->error);
	for (size_t i = 0; i < count && result == FSHA_OK; i++) {
		struct ledger_entry *entry = add(ledger, options->directory, handles[i].key);

		entry->area = area;
		(void)snprintf(entry->election, sizeof(entry->election), "%s", options->election);
		result = read_value(h, store, &handles[i], entry);
	}
	fsu_release(h->fs, handles);
	services_store_close(h->services, store);
	return result;
}

/* ---- The rest ---- */

static fsha_result read_leaders(struct ledger *ledger, struct holder *h)
{
	const char *listed = crashfs_ls(h->disk, "/c/" LAYOUT_ELECTIONS);
	char names[NAMES_SIZE], *name, *rest = NULL;

	if (!listed)
		return error_set(&h->error, FSHA_E_CORRUPT, 0, "list", "there are no elections");
	(void)snprintf(names, sizeof(names), "%s", listed);
	for (name = strtok_r(names, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
		struct ledger_entry *entry;
		struct leader leader = { .epoch = 0 };
		fsha_result result;

		if (name[0] == '~')
			continue; /* half built */
		result = leader_read(&h->services->cluster, name, &leader, &h->error);
		if (result == FSHA_E_NOT_FOUND)
			continue;
		if (result != FSHA_OK)
			return result;
		entry = add(ledger, LAYOUT_LEADERS, name);
		entry->version.epoch = leader.epoch;
		entry->digest = XXH3_64bits_withSeed(leader.address, strlen(leader.address),
						     (uint64_t)leader.state) ^
				XXH3_64bits(&leader.session, sizeof(leader.session));
	}
	return FSHA_OK;
}

fsha_result ledger_read(struct ledger *ledger, struct holder *h, bool existed)
{
	fsha_result result;

	if (existed)
		add(ledger, "", LAYOUT_SETTINGS)->digest =
			XXH3_64bits(&h->services->cluster.id, sizeof(h->services->cluster.id));
	result = read_leaders(ledger, h);
	if (result == FSHA_OK)
		result = ledger_each_store(h, read_store, ledger);
	if (ledger->count > 0)
		qsort(ledger->at, ledger->count, sizeof(*ledger->at), compare);
	ledger->digest = 0;
	for (size_t i = 0; i < ledger->count; i++) {
		const struct ledger_entry *entry = &ledger->at[i];
		uint64_t parts[] = {
			ledger->digest,        entry->digest,
			(uint64_t)entry->form, XXH3_64bits(entry->name, strlen(entry->name)),
			entry->version.epoch,  entry->version.sequence
		};

		ledger->digest = XXH3_64bits(parts, sizeof(parts));
	}
	return result;
}

/* ---- Cleaning ---- */

static fsha_result clean_store(void *ctx, struct holder *h, const struct area *area,
			       const struct store_options *options)
{
	struct store *store;
	fsha_result result;

	(void)ctx;
	(void)area;
	result = services_store_open(h->services, options, &store, &h->error);
	if (result != FSHA_OK)
		return result;
	(void)store_clean(store); /* learns how old what is */
	crashfs_advance(h->disk, INDEX_RETAIN_NS + FSU_NS_PER_MS);
	(void)store_clean(store);
	store->compact_files = 2;
	store_compact(store);
	services_store_close(h->services, store);
	return FSHA_OK;
}

fsha_result ledger_clean(struct holder *h)
{
	fsha_result result = ledger_each_store(h, clean_store, NULL);

	for (struct attached_term *a = h->services->attached; a; a = a->next)
		(void)tenure_empty_trash(&h->services->cluster, a->term->election_fd, SIZE_MAX);
	return result;
}
