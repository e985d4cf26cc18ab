/*
 * Descriptors of the user's as the source and the sink of a value. They are none of the shared
 * directory's, so they are read and written outside the table; nowhere else is.
 */
#ifndef SRC_RECORD_DESCRIPTOR_H
#define SRC_RECORD_DESCRIPTOR_H

#include "src/record/stream.h"

struct descriptor_source {
	struct record_source source;
	int fd;
	uint64_t size; /* FSHA_TO_END: all */
	uint64_t done;
	fsha_error error;
};
/* Not to be moved afterwards. */
void descriptor_source_init(struct descriptor_source *d, int fd, uint64_t size);

struct descriptor_sink {
	struct record_sink sink;
	int fd;
};
void descriptor_sink_init(struct descriptor_sink *d, int fd);

#endif
