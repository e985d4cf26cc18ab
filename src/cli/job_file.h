/* The bytes of a job graph on their way from a file and into one. */
#ifndef SRC_CLI_JOB_FILE_H
#define SRC_CLI_JOB_FILE_H

#include <jansson.h>

#include "fsha/fsha.h"

struct job_file {
	void *data;
	size_t size;
};

/* All of a file, or of stdin for "-" and NULL. FSHA_E_INVALID when it is too large for a record. */
fsha_result job_file_read(struct job_file *ret_file, const char *path, fsha_error *reterr);
void job_file_done(struct job_file *file);
/* Into a file, which is made or overwritten. */
fsha_result job_file_write(const struct job_file *file, const char *path, fsha_error *reterr);
/* As {"encoding": "utf-8" or "base64", "data": "..."}. */
json_t *job_file_json(const struct job_file *file);

#endif
