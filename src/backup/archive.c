#include "src/backup/archive.h"

#include <errno.h>
#include <string.h>

#include "src/result/error.h"

#define CHUNK 65536

fsha_result archive_damaged(const char *path, const char *why, fsha_error *reterr)
{
	return error_set(reterr, FSHA_E_CORRUPT, 0, "restore",
			 "the backup is damaged: '%s' %s; nothing was changed", path, why);
}

fsha_result archive_read(const struct archive *a, const char *path, void *buf, size_t size,
			 fsha_error *reterr)
{
	const fsha_backup_source *source = a->source;
	uint8_t *at = buf;

	while (size > 0) {
		size_t n = 0;
		fsha_result result = source->read(source->ctx, at, size, &n, reterr);

		if (result != FSHA_OK)
			return result;
		if (n == 0 || n > size)
			return archive_damaged(path, "ends before its time", reterr);
		at += n;
		size -= n;
	}
	return FSHA_OK;
}

fsha_result archive_each(struct archive *a, archive_visit *visit, void *ctx, fsha_error *reterr)
{
	const fsha_backup_source *s = a->source;
	fsha_error end = FSHA_ERROR_INIT;
	fsha_result result;
	const char *path;
	uint64_t size;

	result = s->rewind(s->ctx, reterr);
	while (result == FSHA_OK) {
		result = s->next(s->ctx, &path, &size, &end);
		if (result == FSHA_E_NOT_FOUND)
			return FSHA_OK;
		if (result != FSHA_OK) {
			/* What it returned counts, also when it says no more than that. */
			if (end.result == result)
				return error_copy(reterr, &end);
			return error_set(reterr, result, 0, "restore",
					 "the backup cannot be read: %s", fsha_result_text(result));
		}
		result = visit(ctx, path, size, reterr);
	}
	return result;
}

static fsha_result find_manifest(void *ctx, const char *path, uint64_t size, fsha_error *reterr)
{
	struct archive *a = ctx;
	const struct fsu *fs = a->fs;
	fsha_result result;
	char *text;

	if (strcmp(path, FSHA_BACKUP_MANIFEST) != 0)
		return FSHA_OK;
	if (size > MANIFEST_SIZE_MAX)
		return archive_damaged(path, "is too large", reterr);
	text = fsu_alloc(fs, (size_t)size + 1);
	if (!text)
		return error_os(reterr, -ENOMEM, "alloc", "cannot read '%s'", path);
	result = archive_read(a, path, text, (size_t)size, reterr);
	manifest_done(&a->manifest); /* the last one counts */
	if (result == FSHA_OK)
		result = manifest_decode(&a->manifest, text, (size_t)size, reterr);
	fsu_release(fs, text);
	return result;
}

static fsha_result verify_entry(void *ctx, const char *path, uint64_t size, fsha_error *reterr)
{
	struct archive *a = ctx;
	struct manifest_entry *e = manifest_find(&a->manifest, path);
	struct manifest_hash *hash;
	char checksum[MANIFEST_CHECKSUM];
	fsha_result result = FSHA_OK;
	static const char no_memory[] = "cannot verify '%s'";
	uint8_t *chunk;

	if (!e)
		return FSHA_OK; /* overtaken while the backup was taken */
	if (e->size != size)
		return archive_damaged(path, "has another size than the manifest says", reterr);
	chunk = fsu_alloc(a->fs, CHUNK);
	hash = manifest_hash_create();
	if (!chunk || !hash)
		result = error_os(reterr, -ENOMEM, "alloc", no_memory, path);
	for (uint64_t left = size; left > 0 && result == FSHA_OK;) {
		size_t n = left < CHUNK ? (size_t)left : CHUNK;

		result = archive_read(a, path, chunk, n, reterr);
		if (result == FSHA_OK)
			manifest_hash_add(hash, chunk, n);
		left -= n;
	}
	if (result == FSHA_OK) {
		manifest_hash_text(hash, checksum);
		if (strcmp(checksum, e->checksum) != 0)
			result = archive_damaged(
				path, "has another checksum than the manifest says", reterr);
		e->found = true;
	}
	manifest_hash_destroy(hash);
	fsu_release(a->fs, chunk);
	return result;
}

fsha_result archive_verify(struct archive *a, fsha_error *reterr)
{
	fsha_result result = archive_each(a, find_manifest, a, reterr);

	if (result == FSHA_OK && !a->manifest.version[0])
		result = archive_damaged(FSHA_BACKUP_MANIFEST,
					 "is not there, so the backup was not finished, or is none",
					 reterr);
	if (result == FSHA_OK)
		result = archive_each(a, verify_entry, a, reterr);
	for (size_t i = 0; i < a->manifest.entry_count && result == FSHA_OK; i++)
		if (!a->manifest.entries[i].found)
			result = archive_damaged(a->manifest.entries[i].path, "is missing", reterr);
	return result;
}
