#include <errno.h>
#include <sys/inotify.h>

#include "fsutil/fsu_mem_open.h"
#include "fsutil/fsu_page.h"

static struct mem_notify *find_notify(const struct fsu_mem *m, int fd)
{
	struct mem_notify *n = m->notifies;

	while (n && n->fd != fd)
		n = n->next;
	return n;
}

bool mem_notify_close(struct fsu_mem *m, int fd)
{
	struct mem_notify *n = find_notify(m, fd);
	struct mem_notify **p = &m->notifies;

	if (!n)
		return false;

	for (struct mem_watch **w = &m->tree.watches; *w;) {
		struct mem_watch *watch = *w;

		if (watch->notify_fd != n->fd) {
			w = &watch->next;
			continue;
		}
		*w = watch->next;
		mem_node_unref(&m->tree, watch->node);
		fsu_release(m->base, watch);
	}
	while (*p != n)
		p = &(*p)->next;
	*p = n->next;
	fsu_fd_close(n->fd);
	fsu_release(m->base, n);
	return true;
}

void mem_notify_tell(struct mem_tree *tree, int notify_fd)
{
	struct fsu_mem *m = (struct fsu_mem *)((char *)tree - offsetof(struct fsu_mem, tree));
	struct mem_notify *n = find_notify(m, notify_fd);

	if (n->pending)
		return;
	n->pending = true;
	fsu_event_post(n->fd);
}

int mem_notify_open(void *ctx)
{
	struct fsu_mem *m = ctx;
	struct mem_notify *n = fsu_alloc(m->base, sizeof(*n));
	int fd;

	if (!n)
		return -ENOMEM;
	fd = fsu_event_open();
	if (fd < 0) {
		fsu_release(m->base, n);
		return fd;
	}
	n->fd = fd;
	(void)mem_enter(m);
	n->next = m->notifies;
	m->notifies = n;
	mem_leave(m);
	return fd;
}

static int add_watch(struct fsu_mem *m, struct mem_notify *n, struct mem_node *node, uint32_t mask)
{
	struct mem_watch *w = m->tree.watches;

	while (w && (w->notify_fd != n->fd || w->node != node))
		w = w->next;
	if (!w) {
		w = fsu_alloc(m->base, sizeof(*w));
		if (!w)
			return -ENOMEM;
		mem_node_ref(node);
		*w = (struct mem_watch){ .next = m->tree.watches,
					 .node = node,
					 .id = ++n->last_id,
					 .notify_fd = n->fd };
		m->tree.watches = w;
	}
	w->mask = mask;
	return w->id;
}

int mem_notify_add(void *ctx, int notify_fd, int dirfd, const char *path, uint32_t mask)
{
	struct fsu_mem *m = mem_enter(ctx);
	struct mem_notify *n = find_notify(m, notify_fd);
	struct mem_place place = { .node = NULL };
	const struct mem_open *o = mem_find_open(m, dirfd);
	int r = n ? 0 : -EBADF;

	if (r == 0 && path[0])
		r = mem_look_at(m, dirfd, path, &place);
	else if (r == 0)
		place.node = o ? o->node : NULL;
	if (r == 0 && !place.node)
		r = -ENOENT;
	if (r == 0 && (mask & IN_ONLYDIR) && !place.node->is_dir)
		r = -ENOTDIR;
	if (r == 0)
		r = add_watch(m, n, place.node, mask);
	mem_leave(m);
	return r;
}

int mem_notify_drain(void *ctx, int notify_fd)
{
	struct fsu_mem *m = mem_enter(ctx);
	struct mem_notify *n = find_notify(m, notify_fd);
	int r = n ? n->pending : -EBADF;

	if (n && n->pending) {
		n->pending = false;
		fsu_event_drain(n->fd);
	}
	mem_leave(m);
	return r;
}
