/*
 * Durations as Flink writes them: "10 s", "500ms", "1 min", a bare number of milliseconds; and
 * PT1M30S.
 */
#ifndef SRC_CONFIG_DURATION_H
#define SRC_CONFIG_DURATION_H

#include <stdint.h>

/* Whole milliseconds; parts of one are dropped, as by Java's toMillis(). -EINVAL, -ERANGE. */
int config_duration_parse(const char *text, uint64_t *ret_ms);

#endif
