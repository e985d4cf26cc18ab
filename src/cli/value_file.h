/*
 * Values of any size on their way from a file and into one, by descriptor: nothing of them is held
 * in memory.
 */
#ifndef SRC_CLI_VALUE_FILE_H
#define SRC_CLI_VALUE_FILE_H

#include <stdbool.h>

#include "fsha/fsha.h"

/* Is it standard input or output? "-", or not given. */
bool value_file_is_standard(const char *path);

/*
 * A descriptor at the beginning of all that a file holds, or of all that standard input gives up to
 * its end; the caller closes it. What is no regular file was copied to a file without a name first:
 * whoever feeds us may take long, and a term is short.
 */
fsha_result value_file_open(const char *path, int *ret_fd, fsha_error *reterr);

/* A file that gets its name when all of it is right. */
struct value_target {
	const char *path; /* the caller's */
	char *temporary;  /* beside it; NULL: standard output */
	int fd;
};
fsha_result value_target_open(struct value_target *ret_target, const char *path,
			      fsha_error *reterr);
/* Ends it: FSHA_OK as `result`: name it. Otherwise it is removed. Returns what came of it. */
fsha_result value_target_close(struct value_target *target, fsha_result result, fsha_error *reterr);

#endif
