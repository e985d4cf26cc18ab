/*
 * A directory on this host's own filesystem behind a table that lies: about the mount, about files
 * of /sys and /proc, and, while one check runs, about one kind of call. Its clock moves only when
 * somebody waits, and fsync does nothing.
 */
#ifndef TEST_DOCTOR_H
#define TEST_DOCTOR_H

#include "test_fsu.h"

#include "src/doctor/visit.h"

enum lie_call {
	LIE_NONE,
	LIE_OPEN,
	LIE_MKDIR,
	LIE_RENAME,
	LIE_UNLINK,
	LIE_STAT,
	LIE_FSYNC,
	LIE_WRITE,
	LIE_READ,
	LIE_LIST,
	LIE_LOCK,
	LIE_NOTIFY,
};

/* Of the calls of a kind whose path ends so, while a check runs: what becomes of them. */
struct lie {
	enum lie_call call;
	const char *path; /* NULL: any */
	unsigned from;    /* the first of them, from 0 ... */
	unsigned count;   /* ... and how many; 0: all */
	int result;       /* told, and nothing done */
	int64_t slow_ns;  /* but with this it is done, and takes so long */
	bool twist;       /* but with this it is done, and comes out wrong */
};

struct patient {
	struct fixture *x;
	struct fsu fs;
	struct fsu_ops ops;
	struct doctor_options options;
	/* What is true of the filesystem, when it is not this host's. */
	uint32_t magic;
	const char *mountinfo, *mountstats;
	uint64_t blocks, free_blocks, files, free_files; /* with `counted` */
	bool counted;
	uint32_t uid; /* of all files, or with `uid_of_files` of files alone; 0: as it is */
	bool uid_of_files;
	uint16_t mode_and, mode_or; /* of files and directories of a check */
	int64_t now_ns, wall_ns;
	int times; /* of directories: 0 as they are, 1 still, 2 whole seconds, 3 backwards */
	/* The lie, and when it is told. */
	const char *check;
	struct lie lie;
	bool telling;
	unsigned seen, told;
	unsigned stop_after; /* checks; 0: never */
	unsigned begun;
	unsigned open_fds, allocations;
	/* What came out. */
	struct doctor_finding findings[64];
	unsigned count;
	struct doctor_summary summary;
	fsha_error error;
	fsha_result result;
};

static inline struct patient *patient_of(void *ctx)
{
	return ctx;
}

/* ---- The lie ---- */

static inline bool ends_with(const char *path, const char *end)
{
	const size_t len = strlen(path), end_len = strlen(end);

	return len >= end_len && strcmp(path + len - end_len, end) == 0;
}

/* Is this call one of those that are lied about? */
static inline bool lie_hit(struct patient *p, enum lie_call call, const char *path)
{
	const struct lie *lie = &p->lie;
	unsigned n;

	if (!p->telling || lie->call != call || (lie->path && !ends_with(path, lie->path)))
		return false;
	n = p->seen++;
	if (n < lie->from || (lie->count > 0 && n - lie->from >= lie->count))
		return false;
	p->told++;
	p->now_ns += lie->slow_ns;
	p->wall_ns += lie->slow_ns;
	return true;
}

/* And is it done all the same? */
static inline bool lie_does(const struct patient *p)
{
	return p->lie.slow_ns > 0 || p->lie.twist;
}

/* ---- The table ---- */

/* /sys/a/b/name and /proc/a/name are files "sys.name" of the fixture. */
static inline int open_of_kernel(const struct patient *p, const char *path)
{
	char name[128];

	(void)snprintf(name, sizeof(name), "sys.%s", strrchr(path, '/') + 1);
	return fsu_posix.ops->openat(NULL, p->x->fd, name, O_RDONLY | O_CLOEXEC, 0);
}

static inline int patient_openat(void *ctx, int dirfd, const char *path, int flags, mode_t mode)
{
	struct patient *p = patient_of(ctx);
	const bool kernels = strncmp(path, "/sys/", 5) == 0 || strncmp(path, "/proc/", 6) == 0;
	int fd;

	if (flags & O_CREAT && lie_hit(p, LIE_OPEN, path)) {
		if (!lie_does(p))
			return p->lie.result;
		flags &= ~O_EXCL;
	}
	fd = kernels ? open_of_kernel(p, path) :
		       fsu_posix.ops->openat(NULL, dirfd, path, flags, mode);
	p->open_fds += fd >= 0;
	return fd;
}

static inline int patient_close(void *ctx, int fd)
{
	patient_of(ctx)->open_fds--;
	return fsu_posix.ops->close(NULL, fd);
}

static inline ssize_t patient_pread(void *ctx, int fd, void *buf, size_t len, off_t offset)
{
	ssize_t n = fsu_posix.ops->pread(NULL, fd, buf, len, offset);

	if (n > 0 && lie_hit(patient_of(ctx), LIE_READ, ""))
		*(uint8_t *)buf ^= 1;
	return n;
}

static inline ssize_t patient_write(void *ctx, int fd, const void *buf, size_t len)
{
	if (lie_hit(patient_of(ctx), LIE_WRITE, ""))
		return patient_of(ctx)->lie.result;
	return fsu_posix.ops->write(NULL, fd, buf, len);
}

/* Nothing is cut off from power here. */
static inline int patient_fsync(void *ctx, int fd)
{
	struct patient *p = patient_of(ctx);

	(void)fd;
	return lie_hit(p, LIE_FSYNC, "") && !lie_does(p) ? p->lie.result : 0;
}

static inline int patient_renameat(void *ctx, int from_dirfd, const char *from, int to_dirfd,
				   const char *to)
{
	if (lie_hit(patient_of(ctx), LIE_RENAME, to))
		return patient_of(ctx)->lie.result;
	return fsu_posix.ops->renameat(NULL, from_dirfd, from, to_dirfd, to);
}

static inline int patient_unlinkat(void *ctx, int dirfd, const char *path, int flags)
{
	if (lie_hit(patient_of(ctx), LIE_UNLINK, path))
		return patient_of(ctx)->lie.result;
	return fsu_posix.ops->unlinkat(NULL, dirfd, path, flags);
}

static inline int patient_mkdirat(void *ctx, int dirfd, const char *path, mode_t mode)
{
	if (lie_hit(patient_of(ctx), LIE_MKDIR, path))
		return patient_of(ctx)->lie.result;
	return fsu_posix.ops->mkdirat(NULL, dirfd, path, mode);
}

static inline void lie_about_times(struct patient *p, struct statx *st)
{
	if (p->times == 1)
		st->stx_mtime.tv_sec = st->stx_mtime.tv_nsec = 0;
	if (p->times == 2) {
		st->stx_mtime.tv_sec = p->now_ns / FSU_NS_PER_S;
		st->stx_mtime.tv_nsec = 0;
	}
	if (p->times == 3) {
		st->stx_mtime.tv_sec = 1000000 - p->now_ns / FSU_NS_PER_MS;
		st->stx_mtime.tv_nsec = 1;
	}
}

static inline int patient_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
				struct statx *ret_stat)
{
	struct patient *p = patient_of(ctx);
	bool is_dir;
	int r;

	if (lie_hit(p, LIE_STAT, path)) {
		memset(ret_stat, 0, sizeof(*ret_stat));
		return p->lie.result;
	}
	r = fsu_posix.ops->statx(NULL, dirfd, path, flags, mask, ret_stat);
	if (r < 0)
		return r;
	is_dir = S_ISDIR(ret_stat->stx_mode);
	if (p->mountinfo) {
		ret_stat->stx_mask &= ~(unsigned)STATX_MNT_ID;
		ret_stat->stx_dev_major = 0;
		ret_stat->stx_dev_minor = 45;
	}
	if (is_dir && p->telling)
		lie_about_times(p, ret_stat);
	if (p->uid && !(is_dir && p->uid_of_files))
		ret_stat->stx_uid = p->uid;
	if (p->telling && p->mode_and)
		ret_stat->stx_mode &= p->mode_and;
	if (p->telling)
		ret_stat->stx_mode |= p->mode_or;
	return 0;
}

/* Without the first name that ends so. */
static inline ssize_t lie_about_names(struct patient *p, char *buf, ssize_t len)
{
	for (ssize_t at = 0; at < len;) {
		struct dirent64 *entry = (struct dirent64 *)(void *)(buf + at);
		const size_t record = entry->d_reclen;

		if (lie_hit(p, LIE_LIST, entry->d_name)) {
			memmove(buf + at, buf + at + record, (size_t)(len - at) - record);
			return len - (ssize_t)record;
		}
		at += (ssize_t)record;
	}
	return len;
}

static inline ssize_t patient_getdents(void *ctx, int fd, void *buf, size_t len)
{
	ssize_t n = fsu_posix.ops->getdents(NULL, fd, buf, len);

	return n > 0 ? lie_about_names(patient_of(ctx), buf, n) : n;
}

static inline int patient_lock(void *ctx, int fd, int command, struct flock *lock)
{
	struct patient *p = patient_of(ctx);

	if (!lie_hit(p, LIE_LOCK, ""))
		return fsu_posix.ops->lock(NULL, fd, command, lock);
	if (command == F_OFD_GETLK)
		lock->l_type = F_UNLCK;
	return p->lie.result;
}

static inline int patient_fstatfs(void *ctx, int fd, struct statfs *ret_statfs)
{
	struct patient *p = patient_of(ctx);
	int r = fsu_posix.ops->fstatfs(NULL, fd, ret_statfs);

	if (p->magic)
		ret_statfs->f_type = (__fsword_t)p->magic;
	if (p->counted) {
		ret_statfs->f_bsize = 4096;
		ret_statfs->f_blocks = p->blocks;
		ret_statfs->f_bavail = p->free_blocks;
		ret_statfs->f_files = p->files;
		ret_statfs->f_ffree = p->free_files;
	}
	return r;
}

static inline ssize_t patient_give(const char *text, char *buf, size_t len)
{
	const size_t n = strnlen(text, len);

	memcpy(buf, text, n);
	return (ssize_t)n;
}

static inline ssize_t patient_mountinfo(void *ctx, char *buf, size_t len)
{
	const struct patient *p = patient_of(ctx);

	return p->mountinfo ? patient_give(p->mountinfo, buf, len) :
			      fsu_posix.ops->mountinfo(NULL, buf, len);
}

static inline ssize_t patient_mountstats(void *ctx, char *buf, size_t len)
{
	const struct patient *p = patient_of(ctx);

	return patient_give(p->mountstats ? p->mountstats : "", buf, len);
}

static inline int patient_notify_open(void *ctx)
{
	struct patient *p = patient_of(ctx);
	int fd;

	if (lie_hit(p, LIE_NOTIFY, ""))
		return p->lie.result;
	fd = fsu_posix.ops->notify_open(NULL);
	p->open_fds += fd >= 0;
	return fd;
}

static inline int64_t patient_now_ns(void *ctx)
{
	return patient_of(ctx)->now_ns;
}

static inline int64_t patient_wall_ns(void *ctx)
{
	return patient_of(ctx)->wall_ns;
}

/* What is readable is so at once; else the time is up. */
static inline int patient_wait(void *ctx, const int *fds, size_t n_fds, int64_t deadline_ns)
{
	struct patient *p = patient_of(ctx);
	int ready = n_fds ? fsu_posix.ops->wait(NULL, fds, n_fds, 0) : 0;

	if (ready == 0 && deadline_ns > p->now_ns) {
		p->wall_ns += deadline_ns - p->now_ns;
		p->now_ns = deadline_ns;
	}
	return ready;
}

static inline void *patient_alloc(void *ctx, size_t size)
{
	patient_of(ctx)->allocations++;
	return fsu_posix.ops->alloc(NULL, size);
}

static inline void *patient_resize(void *ctx, void *ptr, size_t size)
{
	patient_of(ctx)->allocations += !ptr;
	return fsu_posix.ops->resize(NULL, ptr, size);
}

static inline void patient_release(void *ctx, void *ptr)
{
	patient_of(ctx)->allocations -= ptr != NULL;
	fsu_posix.ops->release(NULL, ptr);
}

/* ---- A run ---- */

static inline void patient_begins(void *ctx, const char *check)
{
	struct patient *p = patient_of(ctx);

	p->begun++;
	p->telling = p->check && strcmp(check, p->check) == 0;
}

static inline void patient_tells(void *ctx, const struct doctor_finding *finding)
{
	struct patient *p = patient_of(ctx);

	assert_true(p->count < sizeof(p->findings) / sizeof(p->findings[0]));
	assert_true(finding->text[0]);
	assert_true(finding->grade == DOCTOR_OK || finding->advice[0]);
	p->findings[p->count++] = *finding;
}

static inline bool patient_stops(void *ctx)
{
	const struct patient *p = patient_of(ctx);

	return p->stop_after > 0 && p->begun >= p->stop_after;
}

/* An honest table on the directory of a fixture. */
static inline void patient_init(struct patient *p, struct fixture *x)
{
	*p = (struct patient){ .x = x, .ops = *fsu_posix.ops, .now_ns = 1000 * FSU_NS_PER_S };
	p->wall_ns = fsu_posix.ops->wall_ns(NULL);
	p->ops.openat = patient_openat;
	p->ops.close = patient_close;
	p->ops.pread = patient_pread;
	p->ops.write = patient_write;
	p->ops.fsync = patient_fsync;
	p->ops.renameat = patient_renameat;
	p->ops.unlinkat = patient_unlinkat;
	p->ops.mkdirat = patient_mkdirat;
	p->ops.statx = patient_statx;
	p->ops.getdents = patient_getdents;
	p->ops.lock = patient_lock;
	p->ops.fstatfs = patient_fstatfs;
	p->ops.mountinfo = patient_mountinfo;
	p->ops.mountstats = patient_mountstats;
	p->ops.notify_open = patient_notify_open;
	p->ops.now_ns = patient_now_ns;
	p->ops.wall_ns = patient_wall_ns;
	p->ops.wait = patient_wait;
	p->ops.alloc = patient_alloc;
	p->ops.resize = patient_resize;
	p->ops.release = patient_release;
	p->fs = (struct fsu){ .ops = &p->ops, .ctx = p };
	p->options = (struct doctor_options){
		.fs = &p->fs,
		.dir = x->path,
		.cluster_id = "default",
		.host = "node-a",
		.begin = patient_begins,
		.tell = patient_tells,
		.stopped = patient_stops,
		.ctx = p,
	};
}

static inline void patient_run(struct patient *p)
{
	p->count = p->seen = p->told = p->begun = 0;
	p->telling = false;
	p->error = (fsha_error)FSHA_ERROR_INIT;
	p->result = doctor_run(&p->options, &p->summary, &p->error);
}

/* NULL when the check told nothing. */
static inline const struct doctor_finding *patient_finding(const struct patient *p,
							   const char *check)
{
	for (unsigned i = 0; i < p->count; i++)
		if (strcmp(p->findings[i].check, check) == 0)
			return &p->findings[i];
	return NULL;
}

/* The finding must be of that grade, and say that. */
static inline void patient_expect(const struct patient *p, const char *check,
				  enum doctor_grade grade, const char *text)
{
	const struct doctor_finding *f = patient_finding(p, check);

	assert_int_equal(p->result, FSHA_OK);
	if (!f)
		fail_msg("%s told nothing", check);
	else if (f->grade != grade || !strstr(f->text, text))
		fail_msg("%s must be %s with '%s', not %s: %s", check, doctor_grade_name(grade),
			 text, doctor_grade_name(f->grade), f->text);
}

/* No doctor's directory is there, and nothing is open or allocated. */
static inline void patient_left_nothing(const struct patient *p)
{
	DIR *dir = opendir(p->x->path);
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, DOCTOR_PREFIX, strlen(DOCTOR_PREFIX)) == 0)
			fail_msg("%s is left", entry->d_name);
	(void)closedir(dir);
	assert_int_equal(p->open_fds, 0);
	assert_int_equal(p->allocations, 0);
}

#endif
