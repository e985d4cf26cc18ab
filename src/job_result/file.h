/* Job results as files of a store. */
#ifndef SRC_JOB_RESULT_FILE_H
#define SRC_JOB_RESULT_FILE_H

#include "fsha/job_result.h"
#include "src/state/store.h"

/* Their values are sealed JSON: see json.h. What is written is a result as JSON, sealed or not. */
extern const struct store_format job_result_format;
/* As fsha_job_result_format, with other memory. */
fsha_result job_result_format_with(const struct fsu *fs, const fsha_job_result *result,
				   char **ret_text, size_t *ret_size, fsha_error *reterr);

#endif
