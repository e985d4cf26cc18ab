/*
 * Backup and restore of a whole cluster directory: the values of all stores, as one archive that
 * the caller writes and reads (the command makes it a tar.gz). What is saved are values, not files:
 * a backup restores into any cluster and any later format.
 *
 * An archive has an entry for each value, "job_graphs/<job>~<version>" and so on, with the value as
 * its content, and at the end "MANIFEST.json" with the size and checksum of each. Entries that the
 * manifest does not name were overtaken while the backup was taken, and count for nothing.
 *
 * Who leads, who is a member and the history of elections are not saved. Values whose removal has
 * begun are not saved either.
 */
#ifndef FSHA_BACKUP_H
#define FSHA_BACKUP_H

#include "fsha/services.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FSHA_BACKUP_MANIFEST "MANIFEST.json"

/**
 * Where a backup goes. Each call returns FSHA_OK, or what fsha_backup_take is to return, with the
 * detail in *reterr.
 */
typedef struct fsha_backup_sink {
	size_t struct_size;
	void *ctx;
	/* A new entry of exactly `size` bytes. `path` lives for the call. */
	fsha_result (*begin)(void *ctx, const char *path, uint64_t size, fsha_error *reterr);
	/* The next bytes of it. */
	fsha_result (*write)(void *ctx, const void *data, size_t size, fsha_error *reterr);
} fsha_backup_sink;

/* Leave damaged values out, and count them, instead of failing. */
#define FSHA_BACKUP_SKIP_DAMAGED 1u
/*
 * Do not wait for a moment at which no store changes: each store is saved as it was at one moment,
 * but not all at the same. It is enough that each one rests at some moment.
 */
#define FSHA_BACKUP_EACH_STORE 2u

typedef struct fsha_backup_options {
	size_t struct_size;
	uint32_t flags; /* FSHA_BACKUP_* */
	/*
	 * To find a moment at which no store changes; 0: 30 s. It begins anew when what was
	 * overtaken while the rest was copied is copied in its turn, as long as that becomes less.
	 */
	uint32_t timeout_ms;
} fsha_backup_options;
#define FSHA_BACKUP_OPTIONS_INIT                  \
	{                                         \
		sizeof(fsha_backup_options), 0, 0 \
	}

typedef struct fsha_backup_summary {
	size_t struct_size;
	uint64_t values;  /* saved, restored, or, in a dry run, verified: all that the backup has */
	uint64_t bytes;   /* of these */
	uint64_t damaged; /* left out; by a restore: files of the cluster moved to quarantine */
	uint64_t removed; /* by a restore: values that the backup does not have */
} fsha_backup_summary;
#define FSHA_BACKUP_SUMMARY_INIT                        \
	{                                               \
		sizeof(fsha_backup_summary), 0, 0, 0, 0 \
	}

/**
 * Save all values of the cluster as of one moment, while it runs: needs no leadership and disturbs
 * nobody. `options` and `ret_summary` may be NULL.
 *
 * FSHA_E_TIMEOUT: the cluster is written to all the time, so that there was no common moment
 * (FSHA_BACKUP_EACH_STORE does without). FSHA_E_CORRUPT names a damaged value, or a directory of
 * the cluster that is lost: no flag leaves that out, since what the backup says nothing of would be
 * missing after a restore. A descriptor is open for each store (RLIMIT_NOFILE). FSHA_E_IO,
 * FSHA_E_NOMEM, and what the sink says. After a failure what the sink was given is no backup: it
 * has no manifest. May block for as long as the filesystem does. Any thread, not from a callback.
 * Since 0.1.
 */
FSHA_API fsha_result fsha_backup_take(fsha_services *services, const fsha_backup_options *options,
				      const fsha_backup_sink *sink,
				      fsha_backup_summary *ret_summary, fsha_error *reterr);

/** Where a backup comes from; it is read twice. Results as of fsha_backup_sink. */
typedef struct fsha_backup_source {
	size_t struct_size;
	void *ctx;
	/* Back to the first entry. */
	fsha_result (*rewind)(void *ctx, fsha_error *reterr);
	/* Go to the next entry; its path lives until the next call. FSHA_E_NOT_FOUND at the end. */
	fsha_result (*next)(void *ctx, const char **ret_path, uint64_t *ret_size,
			    fsha_error *reterr);
	/* At most `size` bytes of the entry; 0 bytes at its end. */
	fsha_result (*read)(void *ctx, void *buf, size_t size, size_t *ret_len, fsha_error *reterr);
} fsha_backup_source;

/* Verify the backup and the cluster, change nothing. */
#define FSHA_RESTORE_DRY_RUN 1u

typedef struct fsha_restore_options {
	size_t struct_size;
	uint32_t flags; /* FSHA_RESTORE_* */
	uint32_t reserved0;
	/*
	 * What to restore: "job_graphs", "checkpoints/<job>", "state/<namespace as on disk>"; only
	 * stores in these directories are touched. NULL: everything.
	 */
	const char *const *parts;
	size_t part_count;
} fsha_restore_options;
#define FSHA_RESTORE_OPTIONS_INIT                           \
	{                                                   \
		sizeof(fsha_restore_options), 0, 0, NULL, 0 \
	}

/**
 * Make the stores what they were in the backup. First the whole backup is verified, each byte of
 * it; then every election of the cluster and of the backup is claimed, which fences whoever led
 * before, with epochs above all in the backup; then the job graphs are removed, the other values of
 * the backup written, those that it does not have removed, and its job graphs written, each fenced,
 * under new versions; at last the elections are resigned. So after an interruption there is no
 * graph whose data is missing, and no checkpoint is gone before those of the backup are there.
 *
 * A value comes back also when its removal has begun since (release_and_try_remove): what it points
 * to is not discarded then. A file of many values that is so damaged that it cannot be told which
 * (verify names it) goes to quarantine/.
 *
 * A directory that the cluster has lost ("cluster directory ... has lost 'job_graphs'", as every
 * call says that uses it) is made again for it.
 *
 * FSHA_E_NOT_LEADER: somebody leads, who is named; nothing was changed. FSHA_E_CORRUPT: the backup
 * is damaged, the entry is named, or it says nothing of a store that every cluster has; nothing was
 * changed. FSHA_E_NOT_FOUND: the backup has none of a
 * part. FSHA_E_CONFIG: a namespace belongs to another election here. FSHA_E_UNSUPPORTED: a newer
 * version made the backup. After any other failure the stores are part old, part new: restore
 * again. May block for as long as the filesystem does. Any thread, not from a callback. Since 0.1.
 */
FSHA_API fsha_result fsha_backup_restore(fsha_services *services,
					 const fsha_restore_options *options,
					 const fsha_backup_source *source,
					 fsha_backup_summary *ret_summary, fsha_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
