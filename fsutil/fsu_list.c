#include "fsutil/fsu_list.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "fsutil/fsu_file.h"

#define DENTS_SIZE 32768
#define STAMP_MASK (STATX_MTIME | STATX_CTIME | STATX_INO | STATX_SIZE | STATX_NLINK | STATX_TYPE)

/* struct linux_dirent64 of getdents(2): d_ino 8, d_off 8, d_reclen 2, d_type 1, then the name. */
#define DENT_RECLEN 16
#define DENT_NAME 19

bool fsu_stamp_equal(const struct fsu_stamp *a, const struct fsu_stamp *b)
{
	return a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns && a->inode == b->inode &&
	       a->device == b->device && a->size == b->size && a->links == b->links;
}

int64_t fsu_stamp_step_ns(const struct fsu_stamp *stamp)
{
	/*
	 * By chance, too, once in many millions of times; then a listing is believed a little
	 * later.
	 */
	bool whole_seconds =
		stamp->mtime_ns % FSU_NS_PER_S == 0 && stamp->ctime_ns % FSU_NS_PER_S == 0;

	return whole_seconds ? FSU_CLOCK_STEP_COARSE_NS : FSU_CLOCK_STEP_NS;
}

static int64_t to_ns(const struct statx_timestamp *t)
{
	return t->tv_sec * FSU_NS_PER_S + t->tv_nsec;
}

int fsu_stamp_read(const struct fsu *fs, int dirfd, const char *path, struct fsu_stamp *ret_stamp)
{
	int flags = AT_STATX_FORCE_SYNC | AT_SYMLINK_NOFOLLOW | (path[0] ? 0 : AT_EMPTY_PATH);
	struct statx st;
	int r;

	r = fsu_statx(fs, dirfd, path, flags, STAMP_MASK, &st);
	if (r < 0)
		return r;
	if (!S_ISDIR(st.stx_mode))
		return -ENOTDIR;
	/*
	 * A removed directory that is still open: ceph-fuse answers for it, with no links and no
	 * entries.
	 */
	if (st.stx_nlink == 0)
		return -ENOENT;
	*ret_stamp = (struct fsu_stamp){
		.mtime_ns = to_ns(&st.stx_mtime),
		.ctime_ns = to_ns(&st.stx_ctime),
		.inode = st.stx_ino,
		.device = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor,
		.size = st.stx_size,
		.links = st.stx_nlink,
	};
	return 0;
}

void fsu_list_init(struct fsu_list *list, const struct fsu *fs)
{
	*list = (struct fsu_list){ .fs = fs };
}

void fsu_list_done(struct fsu_list *list)
{
	fsu_release(list->fs, list->text);
	fsu_release(list->fs, list->offsets);
	*list = (struct fsu_list){ .fs = list->fs };
}

/* Make room for `need` elements of `width` bytes. */
static int grow(const struct fsu *fs, void **memory, size_t *size, size_t need, size_t width)
{
	size_t bigger = *size ? *size : 64;
	void *p;

	if (need <= *size)
		return 0;
	while (bigger < need)
		bigger *= 2;
	p = fsu_resize(fs, *memory, bigger * width);
	if (!p)
		return -ENOMEM;
	*memory = p;
	*size = bigger;
	return 0;
}

static int add(struct fsu_list *list, const char *name, size_t len)
{
	void *text = list->text, *offsets = list->offsets;
	int r;

	if (list->count >= FSU_LIST_MAX)
		return -E2BIG;
	r = grow(list->fs, &text, &list->text_size, list->text_len + len + 1, 1);
	list->text = text;
	if (r < 0)
		return r;
	r = grow(list->fs, &offsets, &list->offsets_size, list->count + 1, sizeof(*list->offsets));
	list->offsets = offsets;
	if (r < 0)
		return r;
	memcpy(list->text + list->text_len, name, len);
	list->text[list->text_len + len] = '\0';
	list->offsets[list->count++] = list->text_len;
	list->text_len += len + 1;
	return 0;
}

/*
 * The entries of one getdents. -EIO for what no kernel would write: a table may be a test's, or a
 * FUSE's.
 */
static int add_all(struct fsu_list *list, const char *buf, size_t len)
{
	for (size_t at = 0; at < len;) {
		uint16_t entry_len;
		const char *name;
		size_t name_len;
		int r;

		if (len - at < DENT_NAME + 1)
			return -EIO;
		memcpy(&entry_len, buf + at + DENT_RECLEN, sizeof(entry_len));
		if (entry_len < DENT_NAME + 1 || entry_len > len - at)
			return -EIO;
		name = buf + at + DENT_NAME;
		name_len = strnlen(name, entry_len - DENT_NAME);
		if (name_len == 0 || name_len == (size_t)entry_len - DENT_NAME)
			return -EIO;
		at += entry_len;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		r = add(list, name, name_len);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Until there are `max`, or some more; -E2BIG: perhaps not all. */
static int read_names(struct fsu_list *list, int fd, size_t max)
{
	/* Every call but the last brings a name, and those are bounded; . and .. may come alone. */
	const size_t calls_max = FSU_LIST_MAX + 2;
	char *buf;
	ssize_t n = -E2BIG;
	int r = 0;

	buf = fsu_alloc(list->fs, DENTS_SIZE);
	if (!buf)
		return -ENOMEM;
	for (size_t i = 0; i <= calls_max && r == 0 && list->count < max; i++) {
		n = fsu_getdents(list->fs, fd, buf, DENTS_SIZE);
		if (n <= 0)
			break;
		assert(n <= DENTS_SIZE);
		r = add_all(list, buf, (size_t)n);
		n = -E2BIG;
	}
	fsu_release(list->fs, buf);
	return r < 0 ? r : (int)n;
}

/*
 * Was nothing changed while we looked, and can no change hide behind an equal stamp? A change can
 * hide only in the clock step that the stamp was made in.
 */
static bool is_stable(const struct fsu_list *list, const struct fsu_stamp *after, int64_t begun_ns,
		      int64_t begun_wall_ns, bool local)
{
	int64_t newest = after->mtime_ns > after->ctime_ns ? after->mtime_ns : after->ctime_ns;
	int64_t step_ns = fsu_stamp_step_ns(after);

	if (!fsu_stamp_equal(&list->stamp, after))
		return false;
	if (local && begun_wall_ns - newest >= step_ns)
		return true;
	return begun_ns - list->stamp_since_ns >= step_ns;
}

static void see_stamp(struct fsu_list *list, const struct fsu_stamp *stamp)
{
	if (list->stamped && fsu_stamp_equal(&list->stamp, stamp))
		return;
	list->stamp = *stamp;
	list->stamped = true;
	/* After the call that brought it: too late is on the safe side. */
	list->stamp_since_ns = fsu_now_ns(list->fs);
}

int fsu_list_pass(struct fsu_list *list, int dirfd, const char *path, bool local)
{
	int64_t begun_wall_ns = local ? fsu_wall_ns(list->fs) : 0;
	int64_t begun_ns = fsu_now_ns(list->fs);
	struct fsu_stamp stamp;
	int fd, r;

	list->count = 0;
	list->text_len = 0;
	list->stable = false;

	/*
	 * Revalidates: what the client believed of this directory, names that it looked up in vain
	 * too, is dropped.
	 */
	r = fsu_stamp_read(list->fs, dirfd, path, &stamp);
	if (r < 0)
		goto failed;
	see_stamp(list, &stamp);

	/*
	 * By path, not through dirfd: on ceph-fuse a descriptor of a removed directory may hang, a
	 * path does not.
	 */
	fd = fsu_dir_open(list->fs, dirfd, path);
	if (fd < 0) {
		r = fd;
		goto failed;
	}
	r = read_names(list, fd, SIZE_MAX);
	(void)fsu_close(list->fs, fd); /* opened for reading */
	if (r < 0)
		goto failed;

	r = fsu_stamp_read(list->fs, dirfd, path, &stamp);
	if (r < 0)
		goto failed;
	list->stable = is_stable(list, &stamp, begun_ns, begun_wall_ns, local);
	see_stamp(list, &stamp);
	list->took_ns = fsu_now_ns(list->fs) - begun_ns;
	return 0;

failed:
	list->count = 0;
	list->text_len = 0;
	list->stamped = false;
	list->took_ns = fsu_now_ns(list->fs) - begun_ns;
	return r;
}

int fsu_list_some(struct fsu_list *list, int dirfd, const char *path, size_t max, bool *ret_more)
{
	struct fsu_stamp stamp;
	int fd, r;

	list->count = 0;
	list->text_len = 0;
	list->stable = false;
	list->stamped = false;
	r = fsu_stamp_read(list->fs, dirfd, path, &stamp); /* revalidates, as above */
	fd = r < 0 ? r : fsu_dir_open(list->fs, dirfd, path);
	if (fd < 0)
		return fd;
	r = read_names(list, fd, max);
	(void)fsu_close(list->fs, fd); /* opened for reading */
	if (r < 0 && r != -E2BIG) {
		list->count = 0;
		list->text_len = 0;
		return r;
	}
	*ret_more = r == -E2BIG;
	return 0;
}

int fsu_list_read(struct fsu_list *list, int dirfd, const char *path, bool local, int64_t limit_ns)
{
	int64_t start_ns = fsu_now_ns(list->fs);
	int64_t deadline_ns = limit_ns < FSU_FOREVER - start_ns ? start_ns + limit_ns : FSU_FOREVER;
	int r;

	/*
	 * Each round but the last waits for the end of a clock step, so the limit bounds their
	 * number too.
	 */
	for (;;) {
		int64_t now_ns, again_ns;

		r = fsu_list_pass(list, dirfd, path, local);
		if (r < 0 || list->stable)
			return r;
		now_ns = fsu_now_ns(list->fs);
		again_ns = list->stamp_since_ns + fsu_stamp_step_ns(&list->stamp);
		if (again_ns <=
		    now_ns) /* a slow pass: what is seen now is old enough for the next */
			again_ns = now_ns + 1;
		if (again_ns >= deadline_ns)
			return 0;
		fsu_sleep(list->fs, again_ns - now_ns);
	}
}

bool fsu_list_has(const struct fsu_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(fsu_list_name(list, i), name) == 0)
			return true;
	return false;
}
