/*
 * Local files as the source and the target of a blob. They go through the table as the shared
 * directory does, since what they promise ("a file that exists is right") must hold at every fault.
 */
#ifndef SRC_BLOB_LOCAL_H
#define SRC_BLOB_LOCAL_H

#include "fsutil/fsu_uuid.h"
#include "src/record/stream.h"

struct local_source {
	struct record_source source;
	struct fsu_original original;
	const struct fsu *fs;
	const char *path; /* the caller's */
	int fd;
	uint64_t size, done;
	fsha_error error;
};
/* NOT_FOUND, INVALID when it is no regular file. Not to be moved; local_source_close it. */
fsha_result local_source_open(struct local_source *l, const struct fsu *fs, const char *path,
			      fsha_error *reterr);
/* From its beginning again. */
void local_source_rewind(struct local_source *l);
void local_source_close(struct local_source *l);

struct local_target {
	struct record_sink sink;
	const struct fsu *fs;
	const char *path; /* the caller's */
	char *temporary;  /* beside it */
	int fd;
	uint64_t size;
};
/* INVALID: `path` is a directory, or empty. Ended by commit or abandon. Not to be moved. */
fsha_result local_target_open(struct local_target *l, const struct fsu *fs, const char *path,
			      fsha_error *reterr);
/* Sync it and give it its name. */
fsha_result local_target_commit(struct local_target *l, fsha_error *reterr);
void local_target_abandon(struct local_target *l);

#endif
