/* The whole: made, copied, taken down. */
#include "tests/lib/crashfs_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cfs_die(struct crashfs *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)fprintf(stderr, "crashfs: %s%s", c->note ? c->note : "", c->note ? ": " : "");
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fprintf(stderr, "\n%s", crashfs_log(c));
	abort();
}

void *cfs_xalloc(size_t size)
{
	void *p = calloc(1, size > 0 ? size : 1);

	if (!p)
		abort();
	return p;
}

void cfs_reserve(void **memory, size_t *size, size_t need, size_t width)
{
	size_t bigger = *size > 0 ? *size : 8;
	void *p;

	if (need <= *size)
		return;
	while (bigger < need)
		bigger *= 2;
	p = realloc(*memory, bigger * width);
	if (!p)
		abort();
	memset((char *)p + *size * width, 0, (bigger - *size) * width);
	*memory = p;
	*size = bigger;
}

char *cfs_xstrdup(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(cfs_xalloc(size), text, size);
}

void cfs_bytes_set(struct cfs_bytes *bytes, const void *data, size_t len)
{
	uint8_t *copy = cfs_xalloc(len);

	if (len > 0)
		memcpy(copy, data, len);
	free(bytes->data);
	*bytes = (struct cfs_bytes){ .data = copy, .len = len };
}

uint64_t cfs_draw(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static struct crashfs *create_bare(const struct crashfs_options *options)
{
	struct crashfs *c = cfs_xalloc(sizeof(*c));

	c->options = *options;
	c->random = options->seed;
	c->now_ns = CFS_START_NS;
	if (pthread_mutex_init(&c->mutex, NULL) != 0)
		abort();
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++) {
		struct cfs_client *cl = &c->clients[i];

		cl->c = c;
		cl->index = i;
		cl->fs = (struct fsu){ .ops = &cfs_ops, .ctx = cl };
		cl->next_fd = cl->retired_fd = (int)(i + 1) * CFS_FD_BASE;
	}
	return c;
}

struct crashfs *crashfs_create(const struct crashfs_options *options)
{
	struct crashfs *c = create_bare(options);
	struct cfs_inode *root;
	void *inodes = NULL;

	/* Numbers below that of the root are nobody's. */
	cfs_reserve(&inodes, &c->inodes_size, CFS_ROOT + 1, sizeof(struct cfs_inode *));
	c->inodes = inodes;
	c->n_inodes = CFS_ROOT;
	c->sweep_at = SIZE_MAX;
	root = cfs_inode_create(c, S_IFDIR | 0777);
	root->parent = CFS_ROOT;
	assert(root->ino == CFS_ROOT);
	c->sweep_at = 0;
	return c;
}

void crashfs_destroy(struct crashfs *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++) {
		struct cfs_client *cl = &c->clients[i];

		for (size_t k = 0; k < cl->n_descs; k++)
			free(cl->descs[k].path);
		free(cl->descs);
		cfs_node_drop_all(cl);
		free(cl->nodes);
		free(cl->trace);
	}
	cfs_journal_clear(c);
	for (size_t i = 0; i < c->n_inodes; i++)
		cfs_inode_destroy(c->inodes[i]);
	free(c->inodes);
	free(c->locks);
	free(c->log_text);
	free(c->ls_text);
	(void)pthread_mutex_destroy(&c->mutex);
	free(c);
}

static struct cfs_inode *copy_inode(const struct cfs_inode *from)
{
	struct cfs_inode *to = cfs_xalloc(sizeof(*to));

	*to = *from;
	to->target = from->target ? cfs_xstrdup(from->target) : NULL;
	to->data = to->durable = (struct cfs_bytes){ 0 };
	if (from->data.data)
		cfs_bytes_set(&to->data, from->data.data, from->data.len);
	if (from->durable.data)
		cfs_bytes_set(&to->durable, from->durable.data, from->durable.len);
	to->entries = to->base = (struct cfs_entries){ 0 };
	cfs_entries_copy(&to->entries, &from->entries);
	cfs_entries_copy(&to->base, &from->base);
	return to;
}

/* An array of `n` elements of `width` bytes. */
static void *copy_array(const void *from, size_t n, size_t width)
{
	void *to = cfs_xalloc(n * width);

	if (n > 0)
		memcpy(to, from, n * width);
	return to;
}

static void copy_ops(struct crashfs *to, const struct crashfs *from)
{
	to->ops = copy_array(from->ops, from->n_ops, sizeof(*to->ops));
	to->n_ops = to->ops_size = from->n_ops;
	for (size_t i = 0; i < from->n_ops; i++) {
		to->ops[i].from = from->ops[i].from ? cfs_xstrdup(from->ops[i].from) : NULL;
		to->ops[i].to = from->ops[i].to ? cfs_xstrdup(from->ops[i].to) : NULL;
	}
}

static void copy_client(struct cfs_client *to, const struct cfs_client *from)
{
	to->next_fd = from->next_fd;
	to->retired_fd = from->retired_fd;
	to->descs = copy_array(from->descs, from->n_descs, sizeof(*to->descs));
	to->n_descs = to->descs_size = from->n_descs;
	for (size_t i = 0; i < from->n_descs; i++)
		to->descs[i].path = cfs_xstrdup(from->descs[i].path);
	memcpy(to->counts, from->counts, sizeof(to->counts));
	to->trace = copy_array(from->trace, from->trace_count, 1);
	to->trace_count = to->trace_size = from->trace_count;
	cfs_nodes_copy(to, from);
}

struct crashfs *crashfs_fork(const struct crashfs *c)
{
	struct crashfs *copy = create_bare(&c->options);

	copy->now_ns = c->now_ns;
	copy->random = c->random;
	copy->changes = c->changes;
	copy->acting = c->acting;
	copy->crashed = c->crashed;
	copy->undecided = c->undecided;
	copy->inodes = cfs_xalloc(c->n_inodes * sizeof(struct cfs_inode *));
	copy->n_inodes = copy->inodes_size = c->n_inodes;
	copy->sweep_at = c->sweep_at;
	for (size_t i = 0; i < c->n_inodes; i++)
		copy->inodes[i] = c->inodes[i] ? copy_inode(c->inodes[i]) : NULL;
	copy_ops(copy, c);
	for (unsigned i = 0; i < CRASHFS_CLIENTS; i++)
		copy_client(&copy->clients[i], &c->clients[i]);
	copy->locks = copy_array(c->locks, c->n_locks, sizeof(*copy->locks));
	copy->n_locks = copy->locks_size = c->n_locks;
	memcpy(copy->log, c->log, sizeof(copy->log));
	copy->log_count = c->log_count;
	return copy;
}

const struct fsu *crashfs_client(struct crashfs *c, unsigned client)
{
	assert(client < CRASHFS_CLIENTS);
	return &c->clients[client].fs;
}

struct fsu crashfs_table_swap(struct crashfs *c, unsigned client, const struct fsu *table)
{
	struct fsu former;

	assert(client < CRASHFS_CLIENTS);
	former = c->clients[client].fs;
	c->clients[client].fs = *table;
	return former;
}

const char *crashfs_fd_path(struct crashfs *c, unsigned client, int fd)
{
	const struct cfs_desc *desc;

	assert(client < CRASHFS_CLIENTS);
	desc = cfs_desc(&c->clients[client], fd);
	return desc ? desc->path : "";
}

unsigned crashfs_open_fds(const struct crashfs *c, unsigned client)
{
	assert(client < CRASHFS_CLIENTS);
	return (unsigned)c->clients[client].n_descs;
}

size_t crashfs_bytes_allocated(const struct crashfs *c)
{
	return c->bytes_allocated;
}
