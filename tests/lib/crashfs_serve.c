/* Calls by inode and by offset, for a server. */
#include "tests/lib/crashfs_serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/crashfs_internal.h"

static struct cfs_client *client_of(struct crashfs *c, unsigned client)
{
	return crashfs_client(c, client)->ctx;
}

/* The file or directory, as long as anything leads to it. */
static int find_ino(struct crashfs *c, uint64_t ino, struct cfs_inode **ret_inode)
{
	struct cfs_inode *inode = ino <= UINT32_MAX ? cfs_inode_get(c, (uint32_t)ino) : NULL;

	if (!inode)
		return -ESTALE;
	*ret_inode = inode;
	return 0;
}

int crashfs_open_ino(struct crashfs *c, unsigned client, uint64_t ino, int flags)
{
	struct cfs_inode *inode;
	struct cfs_call call;
	char path[32];
	int r;

	(void)snprintf(path, sizeof(path), "#%llu", (unsigned long long)ino);
	cfs_begin(&call, client_of(c, client), CRASHFS_OPENAT, path, NULL, false);
	if (call.verdict == CFS_FAIL)
		return (int)cfs_end(&call, -call.error);
	r = find_ino(c, ino, &inode);
	if (r == 0)
		r = cfs_desc_open(call.cl, (uint32_t)ino, flags, path);
	return (int)cfs_end(&call, r);
}

/* Where the next call on the descriptor begins. */
static int set_position(struct crashfs *c, unsigned client, int fd, off_t pos, uint64_t cursor)
{
	struct cfs_desc *desc = NULL;
	int r;

	(void)pthread_mutex_lock(&c->mutex);
	r = cfs_desc_check(client_of(c, client), fd, &desc);
	if (r == 0) {
		desc->pos = pos;
		desc->cursor = cursor;
	}
	(void)pthread_mutex_unlock(&c->mutex);
	return r;
}

ssize_t crashfs_pwrite(struct crashfs *c, unsigned client, int fd, const void *buf, size_t len,
		       off_t offset)
{
	int r = set_position(c, client, fd, offset, 0);

	return r < 0 ? r : fsu_write(crashfs_client(c, client), fd, buf, len);
}

int crashfs_seekdir(struct crashfs *c, unsigned client, int fd, uint64_t cursor)
{
	return set_position(c, client, fd, 0, cursor);
}

int crashfs_truncate(struct crashfs *c, unsigned client, uint64_t ino, uint64_t size)
{
	struct cfs_inode *inode;
	struct cfs_call call;
	size_t old;
	int r;

	cfs_begin(&call, client_of(c, client), CRASHFS_WRITE, "truncate", NULL, true);
	if (call.verdict == CFS_FAIL)
		return (int)cfs_end(&call, -call.error);
	r = find_ino(c, ino, &inode);
	if (r == 0 && !S_ISREG(inode->mode))
		r = -EINVAL;
	if (r < 0)
		return (int)cfs_end(&call, r);
	old = inode->data.len;
	if (size > old) {
		uint8_t *data = cfs_xalloc((size_t)size);

		if (old > 0)
			memcpy(data, inode->data.data, old);
		cfs_bytes_set(&inode->data, data, (size_t)size);
		free(data);
	}
	inode->data.len = (size_t)size;
	inode->synced = false;
	cfs_touch(c, inode, true);
	return (int)cfs_end(&call, 0);
}
