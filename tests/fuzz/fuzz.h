/*
 * What the fuzz targets share. A target is a file target_<noun>.c with the two functions that
 * libFuzzer calls; built by gcc with run.c in place of libFuzzer it reads its corpus in `make
 * check`.
 *
 * A target checks three things of every input: nothing crashes (the sanitizers look), no more
 * memory is asked for than was said at fuzz_begin, and what is decoded is encoded to the same
 * bytes.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "fsutil/fsu_ops.h"

/* The target. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* How it changes an input, with what repairs checksums: the inside is reached only so. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);
/* Of libFuzzer, or of run.c. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);

/*
 * One input begins, and ends: all memory and every descriptor of it was given back. More than
 * `memory_max` bytes at a time are never asked for.
 */
void fuzz_begin(size_t memory_max);
void fuzz_end(void);
/* Memory that is counted, time that passes only in waits, random numbers that repeat. */
const struct fsu *fuzz_table(void);
/* An empty filesystem in memory over that table, from fuzz_begin to fuzz_end. */
const struct fsu *fuzz_disk(void);
/* Make a file there, a path from the root. */
void fuzz_put_file(const char *path, const uint8_t *data, size_t size);
/* All of it (free it); NULL when there is no such file. */
uint8_t *fuzz_get_file(const char *path, size_t *ret_size);

/* `size` bytes as a text (free it): up to the first zero byte, and not longer than that memory. */
char *fuzz_text(const uint8_t *data, size_t size);
/* A copy in memory of its own (free it), so that the sanitizer sees what is read beyond it. */
uint8_t *fuzz_copy(const void *data, size_t size);
/* One of the target's bytes, which go away with it; 0 at the end. */
uint8_t fuzz_take(const uint8_t **data, size_t *size);

/*
 * seal.c: make the bytes of a record, streamed or not, agree with their length and checksum again.
 * `all` repairs magic, format and reserved bytes as well.
 */
void fuzz_seal(uint8_t *buf, size_t len, bool all);
/* A change by libFuzzer, and in seven of eight cases a seal. */
size_t fuzz_mutate_record(uint8_t *data, size_t size, size_t size_max, unsigned seed);

#define FUZZ_CHECK(claim)                                                                  \
	do {                                                                               \
		if (!(claim)) {                                                            \
			(void)fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, \
				      #claim);                                             \
			abort();                                                           \
		}                                                                          \
	} while (0)

#endif
