/* Mounts: a session of libfuse with threads of its own, and the inodes that the kernel knows there.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "tests/fuse/faultfs.h"
#include "tests/lib/crashfs_internal.h"
#include "tests/lib/crashfs_serve.h"

uint64_t node_ino(uint64_t nodeid)
{
	return nodeid == FUSE_ROOT_ID ? CFS_ROOT : nodeid;
}

int node_take(struct mount *m, uint64_t ino, int *ret_fd)
{
	void *nodes = m->nodes;
	struct node *node;
	int fd;

	cfs_reserve(&nodes, &m->nodes_size, (size_t)ino + 1, sizeof(struct node *));
	m->nodes = nodes;
	node = m->nodes[ino];
	if (!node) {
		fd = crashfs_open_ino(m->fs->crashfs, m->client, ino, O_RDONLY);
		if (fd < 0)
			return fd;
		node = m->nodes[ino] = cfs_xalloc(sizeof(*node));
		node->fd = fd;
	}
	node->lookups++;
	*ret_fd = node->fd;
	return 0;
}

void node_drop(struct mount *m, uint64_t ino, uint64_t lookups)
{
	struct node *node = ino < m->nodes_size ? m->nodes[ino] : NULL;

	assert(node && node->lookups >= lookups);
	node->lookups -= lookups;
	if (node->lookups > 0)
		return;
	(void)fsu_close(crashfs_client(m->fs->crashfs, m->client), node->fd);
	free(node);
	m->nodes[ino] = NULL;
}

/* Each call is a thread's from its arrival to its end, so one that hangs holds up no other. */
static void *serve(void *arg)
{
	struct mount *m = arg;
	struct fuse_buf buf = { .mem = NULL };

	while (!fuse_session_exited(m->session)) {
		int n = fuse_session_receive_buf(m->session, &buf);

		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			break; /* unmounted, or aborted */
		fuse_session_process_buf(m->session, &buf);
	}
	free(buf.mem);
	return NULL;
}

int mount_start(struct mount *m)
{
	char name[] = "faultfs", options[] = "-oallow_other,fsname=faultfs,subtype=faultfs";
	char *argv[] = { name, options, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(2, argv);

	m->session = fuse_session_new(&args, &faultfs_calls, sizeof(faultfs_calls), m);
	fuse_opt_free_args(&args);
	if (!m->session)
		return -EINVAL;
	if (fuse_session_mount(m->session, m->path) != 0) {
		fuse_session_destroy(m->session);
		m->session = NULL;
		return -EIO;
	}
	for (unsigned i = 0; i < THREADS; i++)
		if (pthread_create(&m->threads[i], NULL, serve, m) != 0)
			abort();
	return 0;
}

void mount_stop(struct mount *m)
{
	if (!m->session)
		return;
	fuse_session_exit(m->session);
	/*
	 * Forced: the connection is aborted, all calls in it end, and the threads read ENODEV
	 * (fs/fuse/inode.c, fuse_umount_begin). It may say EBUSY all the same.
	 */
	(void)umount2(m->path, MNT_FORCE | UMOUNT_NOFOLLOW);
	(void)umount2(m->path, MNT_DETACH | UMOUNT_NOFOLLOW);
	for (unsigned i = 0; i < THREADS; i++)
		(void)pthread_join(m->threads[i], NULL);
	fuse_session_destroy(m->session);
	m->session = NULL;
	/* Their descriptors are closed by crashfs_recover, or go with the whole. */
	for (size_t i = 0; i < m->nodes_size; i++)
		free(m->nodes[i]);
	free(m->nodes);
	m->nodes = NULL;
	m->nodes_size = 0;
}
