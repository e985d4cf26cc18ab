/* Sizes of memory as Flink's MemorySize writes them: "64 kb", "1g", a bare number of bytes. */
#ifndef SRC_CONFIG_SIZE_H
#define SRC_CONFIG_SIZE_H

#include <stdint.h>

/* Every unit is a power of 1024. -EINVAL, -ERANGE. */
int config_size_parse(const char *text, uint64_t *ret_bytes);

#endif
