/*
 * FUSE's calls. Each is: the rules, one call of crashfs's table that may fail at command, what else
 * the kernel wants to know, the answer.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuse/faultfs.h"
#include "tests/lib/crashfs_internal.h"
#include "tests/lib/crashfs_serve.h"

#define RENAME_FLAGS_NONE 0

static const struct fsu *table_of(const struct call *call)
{
	return crashfs_client(call->mount->fs->crashfs, call->mount->client);
}

static struct stat to_stat(const struct statx *st)
{
	return (struct stat){
		.st_ino = st->stx_ino,
		.st_mode = st->stx_mode,
		.st_nlink = st->stx_nlink,
		.st_uid = geteuid(),
		.st_gid = getegid(),
		.st_size = (off_t)st->stx_size,
		.st_blksize = st->stx_blksize,
		.st_blocks = (blkcnt_t)st->stx_blocks,
		.st_atim = { st->stx_atime.tv_sec, st->stx_atime.tv_nsec },
		.st_mtim = { st->stx_mtime.tv_sec, st->stx_mtime.tv_nsec },
		.st_ctim = { st->stx_ctime.tv_sec, st->stx_ctime.tv_nsec },
	};
}

/* ---- entries ---- */

/* What `name` leads to, for an answer with an entry; the kernel holds it from then on. */
static int find_entry(struct call *call, const char *name, struct fuse_entry_param *ret_entry)
{
	struct statx st;
	int fd, r;

	r = fsu_statx(table_of(call), call->fd, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &st);
	if (r == 0)
		r = node_take(call->mount, st.stx_ino, &fd);
	if (r < 0)
		return r;
	/* Times of 0: asked for anew whenever it is used. */
	*ret_entry = (struct fuse_entry_param){
		.ino = st.stx_ino == CFS_ROOT ? FUSE_ROOT_ID : st.stx_ino,
		.generation = 1,
		.attr = to_stat(&st),
	};
	return 0;
}

/* The kernel did not take it. */
static void forget_entry(struct call *call, uint64_t nodeid)
{
	struct faultfs *fs = call->mount->fs;

	(void)pthread_mutex_lock(&fs->mutex);
	if (!fs->stopping)
		node_drop(call->mount, node_ino(nodeid), 1);
	(void)pthread_mutex_unlock(&fs->mutex);
}

static void answer_entry(struct call *call, int r, const struct fuse_entry_param *entry)
{
	bool awaited = call_end(call);

	if (awaited && r < 0)
		(void)fuse_reply_err(call->req, -r);
	else if (r == 0 && (!awaited || fuse_reply_entry(call->req, entry) != 0))
		forget_entry(call, entry->ino);
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry;
	struct call call;

	if (call_begin(&call, req, KIND_LOOKUP, parent, 0) == 0)
		answer_entry(&call, find_entry(&call, name, &entry), &entry);
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	struct mount *m = fuse_req_userdata(req);

	(void)pthread_mutex_lock(&m->fs->mutex);
	if (!m->fs->stopping && ino != FUSE_ROOT_ID)
		node_drop(m, node_ino(ino), lookups);
	(void)pthread_mutex_unlock(&m->fs->mutex);
	fuse_reply_none(req);
}

/* ---- attributes ---- */

static int stat_node(struct call *call, struct stat *ret_stat)
{
	struct statx st;
	int r;

	r = fsu_statx(table_of(call), call->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st);
	if (r == 0)
		*ret_stat = to_stat(&st);
	return r;
}

static void answer_attr(struct call *call, int r, const struct stat *st)
{
	if (!call_end(call))
		return;
	if (r < 0)
		(void)fuse_reply_err(call->req, -r);
	else
		(void)fuse_reply_attr(call->req, st, 0);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = { .st_mode = 0 };
	struct call call;

	(void)fi;
	if (call_begin(&call, req, CRASHFS_STATX, ino, 0) == 0)
		answer_attr(&call, stat_node(&call, &st), &st);
}

/* Of the rest, nothing is kept: owner, mode and times are as they were made. */
static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	struct stat st = { .st_mode = 0 };
	struct call call;
	int r = 0;

	(void)fi;
	if (call_begin(&call, req, CRASHFS_WRITE, ino, 0) != 0)
		return;
	if (to_set & FUSE_SET_ATTR_SIZE)
		r = crashfs_truncate(call.mount->fs->crashfs, call.mount->client, node_ino(ino),
				     (uint64_t)attr->st_size);
	if (r == 0)
		r = stat_node(&call, &st);
	answer_attr(&call, r, &st);
}

/* ---- names ---- */

static void on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fuse_entry_param entry;
	struct call call;
	int r;

	if (call_begin(&call, req, CRASHFS_MKDIRAT, parent, 0) != 0)
		return;
	r = fsu_mkdirat(table_of(&call), call.fd, name, mode);
	answer_entry(&call, r == 0 ? find_entry(&call, name, &entry) : r, &entry);
}

static void remove_name(fuse_req_t req, fuse_ino_t parent, const char *name, int flags)
{
	struct call call;

	if (call_begin(&call, req, CRASHFS_UNLINKAT, parent, 0) == 0)
		call_answer(&call, fsu_unlinkat(table_of(&call), call.fd, name, flags));
}

static void on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, 0);
}

static void on_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, AT_REMOVEDIR);
}

static void on_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to_parent,
		      const char *to_name, unsigned flags)
{
	struct call call;

	if (flags != RENAME_FLAGS_NONE)
		(void)fuse_reply_err(req, EINVAL);
	else if (call_begin(&call, req, CRASHFS_RENAMEAT, parent, to_parent) == 0)
		call_answer(&call,
			    fsu_renameat(table_of(&call), call.fd, name, call.other_fd, to_name));
}

/* ---- files ---- */

static void close_fd(struct call *call, uint64_t fh)
{
	struct faultfs *fs = call->mount->fs;

	(void)pthread_mutex_lock(&fs->mutex);
	if (!fs->stopping)
		(void)fsu_close(table_of(call), (int)fh);
	(void)pthread_mutex_unlock(&fs->mutex);
}

static void answer_open(struct call *call, int fd, struct fuse_file_info *fi)
{
	bool awaited = call_end(call);

	if (fd < 0) {
		if (awaited)
			(void)fuse_reply_err(call->req, -fd);
		return;
	}
	fi->fh = (uint64_t)fd;
	fi->direct_io = 1;
	if (!awaited || fuse_reply_open(call->req, fi) != 0)
		close_fd(call, fi->fh);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct call call;

	if (call_begin(&call, req, CRASHFS_OPENAT, ino, 0) == 0)
		answer_open(&call,
			    crashfs_open_ino(call.mount->fs->crashfs, call.mount->client,
					     node_ino(ino), fi->flags & (O_ACCMODE | O_DIRECTORY)),
			    fi);
}

static void on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	struct fuse_entry_param entry;
	struct call call;
	bool awaited;
	int fd, r = 0;

	if (call_begin(&call, req, CRASHFS_OPENAT, parent, 0) != 0)
		return;
	fd = fsu_openat(table_of(&call), call.fd, name,
			O_CREAT | (fi->flags & (O_ACCMODE | O_EXCL)), mode);
	if (fd >= 0)
		r = find_entry(&call, name, &entry);
	if (r < 0)
		(void)fsu_close(table_of(&call), fd);
	if (fd < 0)
		r = fd;
	awaited = call_end(&call);
	if (r < 0) {
		if (awaited)
			(void)fuse_reply_err(req, -r);
		return;
	}
	fi->fh = (uint64_t)fd;
	fi->direct_io = 1;
	if (!awaited || fuse_reply_create(req, &entry, fi) != 0) {
		close_fd(&call, fi->fh);
		forget_entry(&call, entry.ino);
	}
}

static void answer_data(struct call *call, ssize_t n, char *data)
{
	if (call_end(call)) {
		if (n < 0)
			(void)fuse_reply_err(call->req, (int)-n);
		else
			(void)fuse_reply_buf(call->req, data, (size_t)n);
	}
	free(data);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	struct call call;
	char *data;

	(void)ino;
	if (call_begin(&call, req, CRASHFS_PREAD, 0, 0) != 0)
		return;
	data = cfs_xalloc(size);
	answer_data(&call, fsu_pread(table_of(&call), (int)fi->fh, data, size, offset), data);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	struct call call;
	ssize_t n;

	(void)ino;
	if (call_begin(&call, req, CRASHFS_WRITE, 0, 0) != 0)
		return;
	n = crashfs_pwrite(call.mount->fs->crashfs, call.mount->client, (int)fi->fh, data, size,
			   offset);
	if (!call_end(&call))
		return;
	if (n < 0)
		(void)fuse_reply_err(req, (int)-n);
	else
		(void)fuse_reply_write(req, (size_t)n);
}

static void on_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct call call;

	(void)ino;
	(void)datasync;
	if (call_begin(&call, req, CRASHFS_FSYNC, 0, 0) == 0)
		call_answer(&call, fsu_fsync(table_of(&call), (int)fi->fh));
}

/* close(2) waits for this one, and gives its error. */
static void on_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct statfs nothing;
	struct call call;

	(void)ino;
	/* A call of crashfs that does nothing takes the failure that is armed. */
	if (call_begin(&call, req, CRASHFS_CLOSE, 0, 0) == 0)
		call_answer(&call, table_of(&call)->ops->fstatfs(table_of(&call)->ctx, (int)fi->fh,
								 &nothing));
}

/* The last close of a description: its locks go. Nobody waits for it. */
static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct call call = { .mount = fuse_req_userdata(req), .req = req };

	(void)ino;
	close_fd(&call, fi->fh);
	(void)fuse_reply_err(req, 0);
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs vfs = { .f_bsize = 4096, .f_frsize = 4096 };
	struct statfs fs = { .f_type = 0 };
	struct call call;
	int r;

	if (call_begin(&call, req, CRASHFS_FSTATFS, ino, 0) != 0)
		return;
	r = fsu_fstatfs(table_of(&call), call.fd, &fs);
	if (!call_end(&call))
		return;
	vfs.f_blocks = fs.f_blocks;
	vfs.f_bfree = fs.f_bfree;
	vfs.f_bavail = fs.f_bavail;
	vfs.f_namemax = (unsigned long)fs.f_namelen;
	if (r < 0)
		(void)fuse_reply_err(req, -r);
	else
		(void)fuse_reply_statfs(req, &vfs);
}

/* ---- listings ---- */

/*
 * As many of the entries as there is room for; crashfs's take less room than FUSE's, so the next
 * call begins where this one ended.
 */
static ssize_t pack_entries(fuse_req_t req, const char *entries, size_t len, char *data,
			    size_t size)
{
	const struct dirent64 *entry;
	size_t used = 0;

	for (size_t at = 0; at < len; at += entry->d_reclen) {
		struct stat st = { .st_mode = 0 };
		size_t n;

		/* cppcheck-suppress invalidPointerCast ; crashfs aligns entries, as the kernel does
		 */
		entry = (const struct dirent64 *)(const void *)(entries + at);
		st.st_ino = entry->d_ino;
		st.st_mode = DTTOIF(entry->d_type);
		n = fuse_add_direntry(req, data + used, size - used, entry->d_name, &st,
				      entry->d_off);
		if (n > size - used)
			break;
		used += n;
	}
	return (ssize_t)used;
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	char *data, *entries;
	struct call call;
	ssize_t n;

	(void)ino;
	if (call_begin(&call, req, CRASHFS_GETDENTS, 0, 0) != 0)
		return;
	data = cfs_xalloc(size);
	entries = cfs_xalloc(size);
	n = crashfs_seekdir(call.mount->fs->crashfs, call.mount->client, (int)fi->fh,
			    (uint64_t)offset);
	if (n == 0)
		n = fsu_getdents(table_of(&call), (int)fi->fh, entries, size);
	if (n > 0)
		n = pack_entries(req, entries, (size_t)n, data, size);
	free(entries);
	answer_data(&call, n, data);
}

/* ---- locks ---- */

static void on_lock(fuse_req_t req, struct fuse_file_info *fi, int command, struct flock *lock)
{
	struct call call;
	int r;

	if (call_begin(&call, req, CRASHFS_LOCK, 0, 0) != 0)
		return;
	lock->l_pid = 0;
	r = fsu_lock(table_of(&call), (int)fi->fh, command, lock);
	if (!call_end(&call))
		return;
	/* Nobody's process, as a lock of another host. */
	lock->l_pid = 0;
	if (r < 0 || command == F_OFD_SETLK)
		(void)fuse_reply_err(req, -r);
	else
		(void)fuse_reply_lock(req, lock);
}

static void on_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
	(void)ino;
	on_lock(req, fi, F_OFD_GETLK, lock);
}

static void on_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
		     int wait)
{
	(void)ino;
	if (wait)
		(void)fuse_reply_err(req, ENOSYS);
	else
		on_lock(req, fi, F_OFD_SETLK, lock);
}

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->want |= FUSE_CAP_POSIX_LOCKS;
	conn->want &=
		~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
			    FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_READDIRPLUS |
			    FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_FLOCK_LOCKS);
}

const struct fuse_lowlevel_ops faultfs_calls = {
	.init = on_init,
	.lookup = on_lookup,
	.forget = on_forget,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.mkdir = on_mkdir,
	.unlink = on_unlink,
	.rmdir = on_rmdir,
	.rename = on_rename,
	.open = on_open,
	.create = on_create,
	.read = on_read,
	.write = on_write,
	.fsync = on_fsync,
	.flush = on_flush,
	.release = on_release,
	.statfs = on_statfs,
	.opendir = on_open,
	.readdir = on_readdir,
	.fsyncdir = on_fsync,
	.releasedir = on_release,
	.getlk = on_getlk,
	.setlk = on_setlk,
};
