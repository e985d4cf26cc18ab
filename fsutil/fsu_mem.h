/*
 * A filesystem in memory behind the system-call table, for services that live in one process only.
 * It behaves as a local filesystem of Linux does (tests/test_fsu_mem_same.c compares the two call
 * by call), with two differences: nothing is durable, and every change gives a directory or file a
 * time that it never had before, so that a listing between two equal times is true at once. The
 * times count changes; they are no clock.
 *
 * Its descriptors are numbers above those of the kernel; those of notify_open are the kernel's, so
 * that wait takes both. AT_FDCWD and "/" are the root. There are no links, devices, owners or
 * permissions.
 *
 * Any thread. One mutex, held for moments, is taken under no other lock of its own; nothing is
 * called under it but the memory of the base table. In a forked child only close may be called; it
 * does nothing there.
 */
#ifndef FSU_MEM_H
#define FSU_MEM_H

#include "fsutil/fsu_ops.h"

/* An empty root directory. Memory, clocks and waiting are those of `base`. NULL: no memory. */
const struct fsu *fsu_mem_create(const struct fsu *base);
/* With all that is in it. Its descriptors must have been closed. NULL is allowed. */
void fsu_mem_destroy(const struct fsu *mem);
/* Descriptors that are open, for tests: 0 at their end. */
size_t fsu_mem_open_fds(const struct fsu *mem);

#endif
