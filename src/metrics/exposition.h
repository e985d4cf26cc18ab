/*
 * Prometheus' text format, written into memory that grows; an error sticks until the end, so that a
 * list of metrics reads like one.
 */
#ifndef SRC_METRICS_EXPOSITION_H
#define SRC_METRICS_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fsha/types.h"
#include "fsutil/fsu_ops.h"
#include "fsutil/fsu_uuid.h"

/* Every sample carries the label `cluster`, so that those of two clusters are never taken for one.
 */
struct exposition {
	const struct fsu *fs;
	char cluster[FSHA_UUID_TEXT];
	char *text;
	size_t len, size;
	bool failed; /* out of memory */
};

void exposition_init(struct exposition *x, const struct fsu *fs, const struct fsu_uuid *cluster);
/* The lines that go before a metric's first sample. `type`: "counter", "gauge", "histogram". */
void exposition_head(struct exposition *x, const char *metric, const char *type, const char *help);
/* `label` may be NULL; its value is escaped. */
void exposition_count(struct exposition *x, const char *metric, const char *label,
		      const char *value, uint64_t count);
void exposition_seconds(struct exposition *x, const char *metric, const char *label,
			const char *value, int64_t ns);
/* Seconds as text of EXPOSITION_SECONDS bytes, the same in every locale. Returns `text`. */
#define EXPOSITION_SECONDS 32
const char *exposition_seconds_text(int64_t ns, char *text);
/* Anything else, as it is. */
__attribute__((format(printf, 2, 3))) void exposition_printf(struct exposition *x,
							     const char *format, ...);
/* 0 and the text, the caller's now, or -ENOMEM and nothing. */
int exposition_end(struct exposition *x, char **ret_text, size_t *ret_len);

#endif
