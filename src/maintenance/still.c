#define uthash_malloc(size) fsu_alloc(still_fs, size)
#define uthash_free(ptr, size) fsu_release(still_fs, ptr)
#define HASH_NONFATAL_OOM 1
#include "src/maintenance/still.h"

#include <string.h>
#include <uthash.h>

struct still_entry {
	UT_hash_handle hh;
	struct fsu_stamp stamp;
	int64_t since_ns; /* end of the look that first saw this stamp */
	bool asked;
	char directory[];
};

void still_init(struct still *s, const struct cluster *c)
{
	*s = (struct still){ .cluster = c };
}

static void drop(struct still *s, struct still_entry *e)
{
	const struct fsu *still_fs = s->cluster->fs;

	HASH_DEL(s->entries, e);
	fsu_release(still_fs, e);
}

void still_done(struct still *s)
{
	while (s->entries)
		drop(s, s->entries);
}

void still_begin(struct still *s)
{
	for (struct still_entry *e = s->entries; e; e = e->hh.next)
		e->asked = false;
}

void still_end(struct still *s)
{
	struct still_entry *e, *next;

	HASH_ITER (hh, s->entries, e, next)
		if (!e->asked)
			drop(s, e);
}

/* NULL: out of memory, or too many. It will be looked at another time. */
static struct still_entry *add(struct still *s, const char *directory)
{
	const struct fsu *still_fs = s->cluster->fs;
	struct still_entry *e;

	if (HASH_COUNT(s->entries) >= STILL_MAX)
		return NULL;
	e = fsu_alloc(still_fs, sizeof(*e) + strlen(directory) + 1);
	if (!e)
		return NULL;
	strcpy(e->directory, directory);
	HASH_ADD_STR(s->entries, directory, e);
	if (!e->hh.tbl) {
		fsu_release(still_fs, e);
		return NULL;
	}
	return e;
}

bool still_is_dead(struct still *s, const char *directory)
{
	const struct cluster *c = s->cluster;
	int64_t begun_ns = fsu_now_ns(c->fs);
	struct still_entry *e;
	struct fsu_stamp stamp;

	if (fsu_stamp_read(c->fs, c->fd, directory, &stamp) < 0)
		return false; /* not asked: if it stays so, it is forgotten */
	HASH_FIND_STR(s->entries, directory, e);
	if (e && fsu_stamp_equal(&stamp, &e->stamp)) {
		e->asked = true;
		return begun_ns > e->since_ns + STILL_LEASES * cluster_lease_ns(c);
	}
	if (!e)
		e = add(s, directory);
	if (!e)
		return false;
	e->asked = true;
	e->stamp = stamp;
	e->since_ns = fsu_now_ns(c->fs);
	return false;
}
