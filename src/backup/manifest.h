/*
 * The manifest of a backup: what belongs to it, with sizes and checksums, as JSON. No I/O.
 */
#ifndef SRC_BACKUP_MANIFEST_H
#define SRC_BACKUP_MANIFEST_H

#include <stdbool.h>

#include "fsha/result.h"
#include "fsutil/fsu_ops.h"

#define MANIFEST_FORMAT 1
#define MANIFEST_CHECKSUM 33 /* 32 hex digits of XXH3-128 and a terminator */
#define MANIFEST_SIZE_MAX (UINT64_C(1) << 30)

struct manifest_entry {
	char *path;
	uint64_t size;
	char checksum[MANIFEST_CHECKSUM];
	bool found; /* the archive has it, as it is here */
};

/* A store, with or without values: all that every cluster has, and those of jobs and namespaces. */
struct manifest_store {
	char *directory;
	char *election; /* encoded */
};

struct manifest {
	const struct fsu *fs;
	char cluster[37];
	char version[32]; /* of the library that took it */
	int64_t taken_wall_ns;
	uint32_t lease_ms;
	uint64_t epoch_max; /* of all elections and versions */
	bool each_store;    /* not all as of one moment */
	struct manifest_entry *entries;
	size_t entry_count, entry_size;
	struct manifest_store *stores;
	size_t store_count, store_size;
};

void manifest_init(struct manifest *m, const struct fsu *fs);
void manifest_done(struct manifest *m);
/* 0 or -ENOMEM. */
int manifest_add_entry(struct manifest *m, const char *path, uint64_t size, const char *checksum);
int manifest_add_store(struct manifest *m, const char *directory, const char *election);
/* By path; NULL. The entries must be sorted, as encode and decode leave them. */
struct manifest_entry *manifest_find(const struct manifest *m, const char *path);
/* Does the path of any entry begin so? */
bool manifest_has(const struct manifest *m, const char *prefix);
/* NULL: it has none. */
const struct manifest_store *manifest_store(const struct manifest *m, const char *directory);

/* The text is released with fsu_release. Sorts the entries. 0 or -ENOMEM. */
int manifest_encode(struct manifest *m, char **ret_text, size_t *ret_len);
/* Into a fresh manifest, which is to be done in any case. CORRUPT, UNSUPPORTED, NOMEM. */
fsha_result manifest_decode(struct manifest *ret_manifest, const char *text, size_t len,
			    fsha_error *reterr);

/* The checksum of bytes that come in pieces. */
struct manifest_hash;
struct manifest_hash *manifest_hash_create(void); /* NULL: out of memory */
void manifest_hash_add(struct manifest_hash *hash, const void *data, size_t size);
/* And start anew. */
void manifest_hash_text(struct manifest_hash *hash, char *ret_checksum);
void manifest_hash_destroy(struct manifest_hash *hash);

#endif
