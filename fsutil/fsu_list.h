/*
 * Listings that may be believed. Negative lookups and listings are cached (NFS: a new name was not
 * found for 28 s; after statx(AT_STATX_FORCE_SYNC) of the directory in 5 ms), and a listing is not
 * atomic (1,411 of 5,043 listings of 2,000 busy keys missed one). So: revalidate, list, revalidate.
 */
#ifndef FSU_LIST_H
#define FSU_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "fsutil/fsu_ops.h"

/* Directory times may be no finer than this. 10 ms: the coarsest tick of Linux (HZ=100). */
#define FSU_CLOCK_STEP_NS (10 * FSU_NS_PER_MS)
/* And where they hold whole seconds: ext4 with small inodes, or a server that exports one. */
#define FSU_CLOCK_STEP_COARSE_NS FSU_NS_PER_S
/* Most entries that a directory may have before a listing is refused with -E2BIG. */
#define FSU_LIST_MAX (4u << 20)

/* What tells two states of a directory apart. */
struct fsu_stamp {
	int64_t mtime_ns;
	int64_t ctime_ns;
	uint64_t inode;
	uint64_t device;
	uint64_t size;
	uint32_t links;
};
bool fsu_stamp_equal(const struct fsu_stamp *a, const struct fsu_stamp *b);
/* For how long after this stamp was made another change may get the same one. */
int64_t fsu_stamp_step_ns(const struct fsu_stamp *stamp);
/* statx(FORCE_SYNC) of a directory. `path` "" means dirfd itself. */
int fsu_stamp_read(const struct fsu *fs, int dirfd, const char *path, struct fsu_stamp *ret_stamp);

/* Names of a directory, without . and .., in no order. */
struct fsu_list {
	const struct fsu *fs;
	char *text; /* names, each terminated */
	size_t text_len, text_size;
	size_t *offsets;
	size_t count, offsets_size;
	struct fsu_stamp stamp; /* the directory as it was when the listing ended */
	bool stamped;           /* stamp is valid */
	int64_t stamp_since_ns; /* when this stamp was first seen */
	bool stable;            /* see fsu_list_pass */
	int64_t took_ns;        /* from before the first call to after the last, of the last pass */
};
static inline const char *fsu_list_name(const struct fsu_list *list, size_t i)
{
	return list->text + list->offsets[i];
}
void fsu_list_init(struct fsu_list *list, const struct fsu *fs);
void fsu_list_done(struct fsu_list *list);

/*
 * One pass: revalidate, open or rewind, list, stamp again. stable = the stamps before and after are
 * equal and older than a clock step as far as can be known: this list object saw the same stamp at
 * least a clock step of now_ns() before the pass began, or the directory's times are at least a
 * step behind wall_ns() and `local` says that the two clocks are the same host's. `path` is
 * relative to dirfd and is opened anew (O_DIRECTORY|O_NOFOLLOW); "" lists dirfd itself (opened as
 * ".").  -ENOENT, -ESTALE, -ENOTDIR, ... as the calls say.
 */
int fsu_list_pass(struct fsu_list *list, int dirfd, const char *path, bool local);
/*
 * Some of the names, at least `max` if there are so many: to take them away from a directory of any
 * size. *ret_more: there may be others.
 */
int fsu_list_some(struct fsu_list *list, int dirfd, const char *path, size_t max, bool *ret_more);
/*
 * Passes until one is stable, waiting out clock steps in between, for at most `limit_ns` in all (at
 * least one pass). Returns 0 with list->stable telling whether the last pass was; the caller
 * decides what an unstable one is good for.
 */
int fsu_list_read(struct fsu_list *list, int dirfd, const char *path, bool local, int64_t limit_ns);
/* Is `name` in the listing? Linear. */
bool fsu_list_has(const struct fsu_list *list, const char *name);

#endif
