/*
 * What the table of crashfs cannot say and a server of it needs, whose clients name files by inode,
 * as the kernel does through FUSE. They are calls of the table in all else: counted, and they fail
 * at command.
 */
#ifndef TESTS_CRASHFS_SERVE_H
#define TESTS_CRASHFS_SERVE_H

#include "tests/lib/crashfs.h"

/* A descriptor of an inode that a name was found to lead to, without the name. -ESTALE: gone. */
int crashfs_open_ino(struct crashfs *c, unsigned client, uint64_t ino, int flags);
/* write at an offset. */
ssize_t crashfs_pwrite(struct crashfs *c, unsigned client, int fd, const void *buf, size_t len,
		       off_t offset);
/* The next getdents goes on behind the entry with this d_off; 0: from the start. */
int crashfs_seekdir(struct crashfs *c, unsigned client, int fd, uint64_t cursor);
int crashfs_truncate(struct crashfs *c, unsigned client, uint64_t ino, uint64_t size);

#endif
