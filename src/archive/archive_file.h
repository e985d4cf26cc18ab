/*
 * A backup as one file, tar inside gzip. libarchive sees files only through callbacks, and these go
 * through the system-call table. libarchive is in this program alone (`fsha backup` and `fsha
 * restore` start it): nothing that leads or serves has it in memory.
 */
#ifndef SRC_ARCHIVE_ARCHIVE_FILE_H
#define SRC_ARCHIVE_ARCHIVE_FILE_H

#include "fsha/backup.h"
#include "fsutil/fsu_ops.h"

#define FSHA_ARCHIVE_PATH 4096

/* ---- archive_write.c ---- */

/* Written beside `path` and put in its place when it is whole. "-" is standard output. */
struct archive_writer;
fsha_result archive_writer_open(const struct fsu *fs, const char *path,
				struct archive_writer **ret_writer, fsha_error *reterr);
fsha_backup_sink archive_writer_sink(struct archive_writer *writer);
/* The file is whole and durable. */
fsha_result archive_writer_finish(struct archive_writer *writer, fsha_error *reterr);
/* Nothing of it stays, unless it was finished. */
void archive_writer_close(struct archive_writer *writer);

/* ---- archive_read.c ---- */

/* "-" is standard input. */
struct archive_reader;
fsha_result archive_reader_open(const struct fsu *fs, const char *path,
				struct archive_reader **ret_reader, fsha_error *reterr);
fsha_backup_source archive_reader_source(struct archive_reader *reader);
void archive_reader_close(struct archive_reader *reader);

#endif
