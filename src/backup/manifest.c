#include "src/backup/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "fsha/backup.h"
#include "fsutil/fsu_uuid.h"
#include "src/result/error.h"

/* ---- checksums ---- */

struct manifest_hash *manifest_hash_create(void)
{
	XXH3_state_t *state = XXH3_createState();

	if (state)
		(void)XXH3_128bits_reset(state);
	return (struct manifest_hash *)state;
}

void manifest_hash_add(struct manifest_hash *hash, const void *data, size_t size)
{
	(void)XXH3_128bits_update((XXH3_state_t *)hash, data, size);
}

static void hash_text(XXH128_hash_t hash, char *ret_checksum)
{
	(void)snprintf(ret_checksum, MANIFEST_CHECKSUM, "%016" PRIx64 "%016" PRIx64,
		       (uint64_t)hash.high64, (uint64_t)hash.low64);
}

void manifest_hash_text(struct manifest_hash *hash, char *ret_checksum)
{
	hash_text(XXH3_128bits_digest((XXH3_state_t *)hash), ret_checksum);
	(void)XXH3_128bits_reset((XXH3_state_t *)hash);
}

void manifest_hash_destroy(struct manifest_hash *hash)
{
	(void)XXH3_freeState((XXH3_state_t *)hash);
}

/* ---- the lists ---- */

void manifest_init(struct manifest *m, const struct fsu *fs)
{
	*m = (struct manifest){ .fs = fs };
}

void manifest_done(struct manifest *m)
{
	for (size_t i = 0; i < m->entry_count; i++)
		fsu_release(m->fs, m->entries[i].path);
	for (size_t i = 0; i < m->store_count; i++) {
		fsu_release(m->fs, m->stores[i].directory);
		fsu_release(m->fs, m->stores[i].election);
	}
	fsu_release(m->fs, m->entries);
	fsu_release(m->fs, m->stores);
	manifest_init(m, m->fs);
}

/* Room for one more of `item` bytes each; NULL when there is no memory. */
static void *grow(const struct fsu *fs, void *array, size_t count, size_t *size, size_t item)
{
	size_t more = *size ? *size * 2 : 64;
	void *grown;

	if (count < *size)
		return array;
	grown = fsu_resize(fs, array, more * item);
	if (grown)
		*size = more;
	return grown;
}

int manifest_add_entry(struct manifest *m, const char *path, uint64_t size, const char *checksum)
{
	struct manifest_entry *entries =
		grow(m->fs, m->entries, m->entry_count, &m->entry_size, sizeof(*entries));
	struct manifest_entry *e;

	if (!entries)
		return -ENOMEM;
	m->entries = entries;
	e = &entries[m->entry_count];
	*e = (struct manifest_entry){ .path = fsu_strdup(m->fs, path), .size = size };
	if (!e->path)
		return -ENOMEM;
	(void)snprintf(e->checksum, sizeof(e->checksum), "%s", checksum);
	m->entry_count++;
	return 0;
}

int manifest_add_store(struct manifest *m, const char *directory, const char *election)
{
	struct manifest_store *stores =
		grow(m->fs, m->stores, m->store_count, &m->store_size, sizeof(*stores));
	struct manifest_store *s;

	if (!stores)
		return -ENOMEM;
	m->stores = stores;
	s = &stores[m->store_count];
	s->directory = fsu_strdup(m->fs, directory);
	s->election = fsu_strdup(m->fs, election);
	if (!s->directory || !s->election) {
		fsu_release(m->fs, s->directory);
		fsu_release(m->fs, s->election);
		return -ENOMEM;
	}
	m->store_count++;
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct manifest_entry *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static void sort(struct manifest *m)
{
	if (m->entry_count > 0)
		qsort(m->entries, m->entry_count, sizeof(*m->entries), compare_entries);
}

struct manifest_entry *manifest_find(const struct manifest *m, const char *path)
{
	const struct manifest_entry key = { .path = (char *)(uintptr_t)path };

	if (m->entry_count == 0)
		return NULL;
	return bsearch(&key, m->entries, m->entry_count, sizeof(key), compare_entries);
}

bool manifest_has(const struct manifest *m, const char *prefix)
{
	size_t low = 0, high = m->entry_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(m->entries[middle].path, prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < m->entry_count && strncmp(m->entries[low].path, prefix, strlen(prefix)) == 0;
}

const struct manifest_store *manifest_store(const struct manifest *m, const char *directory)
{
	for (size_t i = 0; i < m->store_count; i++)
		if (strcmp(m->stores[i].directory, directory) == 0)
			return &m->stores[i];
	return NULL;
}

/* ---- as JSON ---- */

/* Over all but itself, in one spelling. NULL: out of memory. */
static json_t *checksum_of(json_t *root)
{
	char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
	char checksum[MANIFEST_CHECKSUM];

	if (!text)
		return NULL;
	hash_text(XXH3_128bits(text, strlen(text)), checksum);
	free(text); /* lint: jansson's memory */
	return json_string(checksum);
}

static json_t *entries_json(const struct manifest *m)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < m->entry_count; i++) {
		const struct manifest_entry *e = &m->entries[i];

		if (json_array_append_new(list, json_pack("{s:s, s:I, s:s}", "path", e->path,
							  "bytes", (json_int_t)e->size, "xxh3",
							  e->checksum)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *stores_json(const struct manifest *m)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < m->store_count; i++)
		if (json_array_append_new(list, json_pack("{s:s, s:s}", "directory",
							  m->stores[i].directory, "election",
							  m->stores[i].election)) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

int manifest_encode(struct manifest *m, char **ret_text, size_t *ret_len)
{
	json_t *root, *checksum = NULL;
	char *text = NULL, *copy = NULL;
	char epoch[17]; /* as text: it may need all 64 bits */

	sort(m);
	(void)snprintf(epoch, sizeof(epoch), "%016" PRIx64, m->epoch_max);
	root = json_pack("{s:i, s:s, s:s, s:I, s:I, s:s, s:s, s:o, s:o}", "format", MANIFEST_FORMAT,
			 "cluster", m->cluster, "fsha", m->version, "taken_wall_ns",
			 (json_int_t)m->taken_wall_ns, "lease_ms", (json_int_t)m->lease_ms,
			 "epoch_max", epoch, "as_of", m->each_store ? "store" : "cluster", "stores",
			 stores_json(m), "entries", entries_json(m));
	if (root)
		checksum = checksum_of(root);
	if (checksum && json_object_set_new(root, "checksum", checksum) == 0)
		text = json_dumps(root, JSON_INDENT(1));
	json_decref(root);
	if (text)
		copy = fsu_strdup(m->fs, text);
	if (copy) {
		*ret_text = copy;
		*ret_len = strlen(copy);
	}
	free(text); /* lint: jansson's memory */
	return copy ? 0 : -ENOMEM;
}

static bool is_checksum(const char *text)
{
	return strlen(text) == MANIFEST_CHECKSUM - 1 &&
	       strspn(text, "0123456789abcdef") == MANIFEST_CHECKSUM - 1;
}

/* Of an archive that somebody made: it must stay inside, and be spelled as we spell. */
static bool is_path(const char *path)
{
	return path[0] && path[0] != '/' && strlen(path) < 4096 && !strstr(path, "//") &&
	       !strstr(path, "/../") && strncmp(path, "../", 3) != 0;
}

/* NULL, or what is wrong. */
static const char *read_lists(struct manifest *m, const json_t *stores, const json_t *entries,
			      bool *ret_nomem)
{
	const char *path, *text;
	json_int_t size;
	const json_t *item;
	size_t i;

	json_array_foreach(stores, i, item)
	{
		if (json_unpack((json_t *)(uintptr_t)item, "{s:s, s:s}", "directory", &path,
				"election", &text) < 0 ||
		    !is_path(path))
			return "one of its stores is none";
		*ret_nomem |= manifest_add_store(m, path, text) < 0;
	}
	json_array_foreach(entries, i, item)
	{
		if (json_unpack((json_t *)(uintptr_t)item, "{s:s, s:I, s:s}", "path", &path,
				"bytes", &size, "xxh3", &text) < 0 ||
		    !is_path(path) || size < 0 || !is_checksum(text))
			return "one of its entries is none";
		*ret_nomem |= manifest_add_entry(m, path, (uint64_t)size, text) < 0;
	}
	sort(m);
	for (i = 1; i < m->entry_count; i++)
		if (strcmp(m->entries[i - 1].path, m->entries[i].path) == 0)
			return "it names an entry twice";
	return NULL;
}

static const char *read_root(struct manifest *m, json_t *root, bool *ret_nomem)
{
	const char *cluster, *version, *epoch, *as_of, *sum, *why;
	json_t *checksum, *mine, *stores, *entries;
	json_int_t taken, lease;

	checksum = json_incref(json_object_get(root, "checksum"));
	if (!json_is_string(checksum))
		return "it has no checksum";
	(void)json_object_del(root, "checksum");
	sum = json_string_value(checksum);
	mine = checksum_of(root);
	*ret_nomem |= !mine;
	why = mine && strcmp(json_string_value(mine), sum) != 0 ? "its checksum is another" : NULL;
	json_decref(mine);
	json_decref(checksum);
	if (why || *ret_nomem)
		return why;
	if (json_unpack(root, "{s:s, s:s, s:I, s:I, s:s, s:s, s:o, s:o}", "cluster", &cluster,
			"fsha", &version, "taken_wall_ns", &taken, "lease_ms", &lease, "epoch_max",
			&epoch, "as_of", &as_of, "stores", &stores, "entries", &entries) < 0 ||
	    !json_is_array(stores) || !json_is_array(entries))
		return "a member is missing";
	if (strlen(cluster) >= sizeof(m->cluster) || strlen(version) >= sizeof(m->version) ||
	    lease < 0 || lease > UINT32_MAX)
		return "a member is too long";
	strcpy(m->cluster, cluster);
	strcpy(m->version, version);
	m->taken_wall_ns = taken;
	m->lease_ms = (uint32_t)lease;
	m->each_store = strcmp(as_of, "store") == 0;
	if (strlen(epoch) != 16 || fsu_hex_parse(epoch, 16, &m->epoch_max) < 0)
		return "its highest epoch is no number";
	return read_lists(m, stores, entries, ret_nomem);
}

fsha_result manifest_decode(struct manifest *m, const char *text, size_t len, fsha_error *reterr)
{
	const char *why = "it is no JSON object";
	bool nomem = false;
	json_t *root;

	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	if (json_integer_value(json_object_get(root, "format")) > MANIFEST_FORMAT) {
		json_decref(root);
		return error_set(reterr, FSHA_E_UNSUPPORTED, 0, "decode",
				 "the backup was taken by a newer version of fsha: restore it with "
				 "that");
	}
	if (json_is_object(root))
		why = json_integer_value(json_object_get(root, "format")) == MANIFEST_FORMAT ?
			      read_root(m, root, &nomem) :
			      "it has no format";
	json_decref(root);
	if (nomem)
		return error_os(reterr, -ENOMEM, "alloc", "cannot read " FSHA_BACKUP_MANIFEST);
	if (why)
		return error_set(reterr, FSHA_E_CORRUPT, 0, "decode",
				 FSHA_BACKUP_MANIFEST " of the backup is damaged: %s", why);
	return FSHA_OK;
}
