#include "src/worker/backup_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "src/result/error.h"
#include "src/worker/base64.h"

#define FORMAT "fsha-framework-backup"

char *backup_print(const struct fsu *fs, const json_t *json, size_t flags, size_t *ret_len)
{
	size_t len = json_dumpb(json, NULL, 0, flags);
	char *text = len > 0 ? fsu_alloc(fs, len + 1) : NULL;

	if (text && json_dumpb(json, text, len, flags) != len) {
		fsu_release(fs, text);
		return NULL;
	}
	*ret_len = len;
	return text;
}

void backup_checksum(const char *text, size_t len, char *ret_text)
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits(text, len));
	for (size_t i = 0; i < sizeof(canonical.digest); i++)
		(void)snprintf(ret_text + 2 * i, 3, "%02x", canonical.digest[i]);
}

static int checksum(const struct fsu *fs, const json_t *unsealed, char *ret_text)
{
	size_t len;
	char *text = backup_print(fs, unsealed, JSON_COMPACT | JSON_SORT_KEYS, &len);

	if (!text)
		return -ENOMEM;
	backup_checksum(text, len, ret_text);
	fsu_release(fs, text);
	return 0;
}

/* ---- To JSON ---- */

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *launchable_to_json(const struct fsu *fs, const fsha_worker *w)
{
	const char *data = w->launchable_size ? w->launchable : "";
	json_t *json;
	char *text;

	if (utf8_is_valid(data, w->launchable_size))
		return json_pack("{s:s, s:s%}", "encoding", "utf-8", "data", data,
				 w->launchable_size);
	text = fsu_alloc(fs, base64_len(w->launchable_size));
	if (!text)
		return NULL;
	base64_encode(w->launchable, w->launchable_size, text);
	json = json_pack("{s:s, s:s%}", "encoding", "base64", "data", text,
			 base64_len(w->launchable_size));
	fsu_release(fs, text);
	return json;
}

static json_t *worker_to_json(const struct fsu *fs, const fsha_worker *w)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:I, s:o}", "task_id", w->task_id, "state",
			 fsha_worker_state_name(w->state), "slave_id", text_or_null(w->slave_id),
			 "hostname", text_or_null(w->hostname), "updated_ms",
			 (json_int_t)w->updated_ms, "launchable", launchable_to_json(fs, w));
}

json_t *backup_to_json(const struct fsu *fs, const fsha_framework_backup *b)
{
	json_t *workers = json_array(), *json;
	char sum[BACKUP_CHECKSUM_SIZE];

	for (size_t i = 0; workers && i < b->worker_count; i++)
		if (json_array_append_new(workers, worker_to_json(fs, &b->workers[i])) < 0) {
			json_decref(workers);
			workers = NULL;
		}
	json = json_pack("{s:s, s:I, s:I, s:o, s:I, s:o}", "format", FORMAT, "version",
			 (json_int_t)b->version, "timestamp_ms", (json_int_t)b->timestamp_ms,
			 "framework_id", text_or_null(b->framework_id), "last_task_number",
			 (json_int_t)b->last_task_number, "workers", workers);
	if (json && (checksum(fs, json, sum) < 0 ||
		     json_object_set_new(json, "checksum", json_string(sum)) < 0)) {
		json_decref(json);
		return NULL;
	}
	return json;
}

/* ---- From JSON ---- */

/* What is being read, and what was found wrong with it first. */
struct reader {
	const struct fsu *fs;
	const char *path;
	size_t index; /* of the worker; SIZE_MAX: none */
	fsha_result result;
	fsha_error *reterr;
};

static void bad(struct reader *r, const char *what)
{
	if (r->result != FSHA_OK)
		return;
	if (r->index == SIZE_MAX)
		r->result = error_set(r->reterr, FSHA_E_CORRUPT, 0, "decode",
				      "'%.200s' cannot be restored: %s", r->path, what);
	else
		r->result = error_set(r->reterr, FSHA_E_CORRUPT, 0, "decode",
				      "'%.200s' cannot be restored: worker %zu: %s", r->path,
				      r->index, what);
}

static void no_memory(struct reader *r)
{
	if (r->result == FSHA_OK)
		r->result = error_os(r->reterr, -ENOMEM, "alloc", "cannot read '%.200s'", r->path);
}

static const char *get_text(struct reader *r, const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	char what[64];

	if (text)
		return text;
	(void)snprintf(what, sizeof(what), "its \"%s\" is no text", key);
	bad(r, what);
	return "";
}

/* NULL: it is null. */
static const char *get_text_or_null(struct reader *r, const json_t *object, const char *key)
{
	return json_is_null(json_object_get(object, key)) ? NULL : get_text(r, object, key);
}

static int64_t get_number(struct reader *r, const json_t *object, const char *key)
{
	const json_t *number = json_object_get(object, key);
	char what[64];

	if (json_is_integer(number))
		return json_integer_value(number);
	(void)snprintf(what, sizeof(what), "its \"%s\" is no whole number", key);
	bad(r, what);
	return 0;
}

/* The bytes, in memory of their own if `*ret_own`. */
static const void *get_launchable(struct reader *r, const json_t *worker, size_t *ret_size,
				  void **ret_own)
{
	const json_t *object = json_object_get(worker, "launchable");
	const char *encoding = get_text(r, object, "encoding");
	const json_t *data = json_object_get(object, "data");
	const char *text = json_string_value(data);
	size_t len = json_string_length(data);
	uint8_t *bytes;

	*ret_size = len;
	if (text && strcmp(encoding, "utf-8") == 0)
		return len > 0 ? text : NULL;
	if (!text || strcmp(encoding, "base64") != 0) {
		bad(r, "its \"launchable\" has no data, or an unknown encoding");
		return NULL;
	}
	bytes = fsu_alloc(r->fs, len + 1);
	if (!bytes)
		no_memory(r);
	else if (base64_decode(text, len, bytes, ret_size) < 0)
		bad(r, "its \"launchable\" is no base64");
	*ret_own = bytes;
	return bytes;
}

/* All but what is its own, points into `json`. */
static void get_worker(struct reader *r, const json_t *json, fsha_worker *w, void **ret_own)
{
	fsha_error error = FSHA_ERROR_INIT;
	fsha_worker_state state = FSHA_WORKER_NEW;

	*w = (fsha_worker){
		.struct_size = sizeof(*w),
		.task_id = get_text(r, json, "task_id"),
		.slave_id = get_text_or_null(r, json, "slave_id"),
		.hostname = get_text_or_null(r, json, "hostname"),
		.updated_ms = get_number(r, json, "updated_ms"),
	};
	w->launchable = get_launchable(r, json, &w->launchable_size, ret_own);
	if (fsha_worker_state_parse(get_text(r, json, "state"), &state) != FSHA_OK)
		bad(r, "its \"state\" is none");
	w->state = (int32_t)state;
	if (r->result == FSHA_OK && worker_check(w, &error) != FSHA_OK)
		bad(r, error.message);
}

static fsha_framework_backup *get_workers(struct reader *r, const json_t *list,
					  const fsha_framework_backup *head)
{
	size_t count = json_array_size(list), n = 0;
	fsha_worker *workers = fsu_alloc(r->fs, (count + 1) * sizeof(*workers));
	const fsha_worker **pointers = fsu_alloc(r->fs, (count + 1) * sizeof(*pointers));
	void **own = fsu_alloc(r->fs, (count + 1) * sizeof(*own));
	fsha_framework_backup *backup = NULL;

	if (!workers || !pointers || !own)
		no_memory(r);
	for (; n < count && r->result == FSHA_OK; n++) {
		r->index = n;
		pointers[n] = &workers[n];
		get_worker(r, json_array_get(list, n), &workers[n], &own[n]);
	}
	if (r->result == FSHA_OK) {
		backup = backup_pack(r->fs, head, pointers, count);
		if (!backup)
			no_memory(r);
	}
	for (size_t i = 0; i < n; i++)
		fsu_release(r->fs, own[i]);
	fsu_release(r->fs, own);
	fsu_release(r->fs, pointers);
	fsu_release(r->fs, workers);
	return backup;
}

static void check_checksum(struct reader *r, const json_t *file)
{
	const char *expected = get_text(r, file, "checksum");
	json_t *unsealed = json_copy((json_t *)(uintptr_t)file); /* one level: nothing is changed */
	char sum[BACKUP_CHECKSUM_SIZE];

	if (!unsealed || json_object_del(unsealed, "checksum") < 0 ||
	    checksum(r->fs, unsealed, sum) < 0)
		no_memory(r);
	else if (strcmp(sum, expected) != 0)
		bad(r, "its checksum is not that of its content: it was damaged or changed");
	json_decref(unsealed);
}

/* What it is comes before what is wrong with it. */
static void check_format(struct reader *r, const json_t *file)
{
	const char *format = json_string_value(json_object_get(file, "format"));
	json_int_t version;

	if (!format || strcmp(format, FORMAT) != 0) {
		bad(r, "it is no framework backup of fsha");
		return;
	}
	version = get_number(r, file, "version");
	if (r->result == FSHA_OK && version > FSHA_FRAMEWORK_BACKUP_VERSION)
		r->result = error_set(r->reterr, FSHA_E_UNSUPPORTED, 0, "decode",
				      "'%.200s' has version %lld, but this fsha knows none above "
				      "%d: use the fsha that wrote it",
				      r->path, (long long)version, FSHA_FRAMEWORK_BACKUP_VERSION);
	if (version < 1)
		bad(r, "its \"version\" is none");
}

fsha_framework_backup *backup_from_json(const struct fsu *fs, const json_t *file, const char *path,
					fsha_error *reterr)
{
	struct reader r = { .fs = fs, .path = path, .index = SIZE_MAX, .reterr = reterr };
	fsha_framework_backup head = { .struct_size = sizeof(head) }, *backup = NULL;
	const json_t *workers = json_object_get(file, "workers");
	fsha_error error = FSHA_ERROR_INIT;

	check_format(&r, file);
	if (r.result == FSHA_OK)
		check_checksum(&r, file);
	if (r.result != FSHA_OK)
		return NULL;
	head.version = (uint32_t)get_number(&r, file, "version");
	head.timestamp_ms = get_number(&r, file, "timestamp_ms");
	head.framework_id = get_text_or_null(&r, file, "framework_id");
	head.last_task_number = (uint64_t)get_number(&r, file, "last_task_number");
	if (!json_is_array(workers))
		bad(&r, "its \"workers\" are no list");
	if (r.result == FSHA_OK)
		backup = get_workers(&r, workers, &head);
	r.index = SIZE_MAX;
	if (backup && backup_check(backup, &error) != FSHA_OK) {
		bad(&r, error.message);
		fsu_release(fs, backup);
		return NULL;
	}
	return backup;
}
