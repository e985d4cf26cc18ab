#include "src/services/memory.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_mem.h"

struct memory {
	struct memory *next;
	const struct fsu *base, *fs;
	unsigned users, refs;
	bool shared;            /* to be found by its names */
	const char *cluster_id; /* behind storage_dir */
	char storage_dir[];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct memory *memories;

/* With one user, in the list. Under the mutex. */
static int add(const struct fsu *base, const char *storage_dir, const char *cluster_id, bool shared,
	       struct memory **ret_memory)
{
	size_t dir_size = strlen(storage_dir) + 1, id_size = strlen(cluster_id) + 1;
	struct memory *m = fsu_alloc(base, sizeof(*m) + dir_size + id_size);
	int r;

	if (!m)
		return -ENOMEM;
	*m = (struct memory){
		.next = memories, .base = base, .users = 1, .refs = 1, .shared = shared
	};
	memcpy(m->storage_dir, storage_dir, dir_size);
	m->cluster_id = memcpy(m->storage_dir + dir_size, cluster_id, id_size);
	m->fs = fsu_mem_create(base);
	r = m->fs ? fsu_mkdirat(m->fs, AT_FDCWD, MEMORY_STORAGE, FSU_DIR_MODE) : -ENOMEM;
	if (r < 0) {
		fsu_mem_destroy(m->fs);
		fsu_release(base, m);
		return r;
	}
	memories = m;
	*ret_memory = m;
	return 0;
}

int memory_get_private(const struct fsu *base, const struct fsu **ret_fs)
{
	struct memory *m;
	int r;

	(void)pthread_mutex_lock(&mutex);
	r = add(base, "", "", false, &m);
	(void)pthread_mutex_unlock(&mutex);
	if (r == 0)
		*ret_fs = m->fs;
	return r;
}

int memory_get_shared(const struct fsu *base, const char *storage_dir, const char *cluster_id,
		      const struct fsu **ret_fs)
{
	struct memory *m;
	int r = 0;

	(void)pthread_mutex_lock(&mutex);
	for (m = memories; m; m = m->next)
		if (m->shared && m->base == base && strcmp(m->storage_dir, storage_dir) == 0 &&
		    strcmp(m->cluster_id, cluster_id) == 0)
			break;
	if (m) {
		m->users++;
		m->refs++;
	} else {
		r = add(base, storage_dir, cluster_id, true, &m);
	}
	if (r == 0)
		*ret_fs = m->fs;
	(void)pthread_mutex_unlock(&mutex);
	return r;
}

/* The place in the list that points to it. Under the mutex. */
static struct memory **find(const struct fsu *fs)
{
	struct memory **p = &memories;

	while (*p && (*p)->fs != fs)
		p = &(*p)->next;
	assert(*p);
	return p;
}

void memory_leave(const struct fsu *fs)
{
	struct memory *m;

	if (!fs)
		return;
	(void)pthread_mutex_lock(&mutex);
	m = *find(fs);
	assert(m->users > 0);
	if (--m->users == 0)
		m->shared = false;
	(void)pthread_mutex_unlock(&mutex);
}

void memory_put(const struct fsu *fs)
{
	struct memory **p, *m;

	if (!fs)
		return;
	(void)pthread_mutex_lock(&mutex);
	p = find(fs);
	m = *p;
	assert(m->refs > 0);
	if (--m->refs > 0)
		m = NULL;
	else
		*p = m->next;
	(void)pthread_mutex_unlock(&mutex);
	if (!m)
		return;
	fsu_mem_destroy(m->fs);
	fsu_release(m->base, m);
}

size_t memory_count(void)
{
	size_t count = 0;

	(void)pthread_mutex_lock(&mutex);
	for (const struct memory *m = memories; m; m = m->next)
		count++;
	(void)pthread_mutex_unlock(&mutex);
	return count;
}
