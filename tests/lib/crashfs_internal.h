/*
 * What the parts of the crash filesystem know of each other. Inodes are named by number everywhere,
 * so that a copy of the whole is a copy of arrays; numbers are never used twice. "The server" is
 * the one truth that all clients share; a client with caches believes what it remembers instead.
 *
 *   crashfs_inode.c    inodes, sets of entries, the server's changes of directories
 *   crashfs_crash.c    the journal of unsynced operations, fsync of directories, power cuts
 *   crashfs_cache.c    what a client remembers
 *   crashfs_path.c     from paths to inodes
 *   crashfs_names.c    the calls on names          crashfs_data.c   the calls on descriptors
 *   crashfs_host.c     clocks, memory, mounts      crashfs_fault.c  counting, faults, hooks, log
 *   crashfs_fork.c     create, destroy, copy       crashfs_look.c   what tests see and damage
 *   crashfs_states.c   each state that a power cut may leave
 *   crashfs_situation.c  all of it as one number, for searches
 *
 * Lock order: one mutex around every call of the table; it is not held while a hook runs.
 */
#ifndef TESTS_CRASHFS_INTERNAL_H
#define TESTS_CRASHFS_INTERNAL_H

#include <limits.h>
#include <pthread.h>

#include "tests/lib/crashfs.h"

#define CFS_ROOT 2u
#define CFS_NONE 0u
#define CFS_NAME_MAX 255
#define CFS_PATH_MAX 4096
/* What one counted call takes. */
#define CFS_CALL_NS 1000
#define CFS_START_NS (1000 * FSU_NS_PER_S)
#define CFS_START_WALL_NS (INT64_C(1700000000) * FSU_NS_PER_S)
#define CFS_FAULTS 2
/* Descriptors of client n are numbers from (n + 1) * CFS_FD_BASE on; none is given out twice. */
#define CFS_FD_BASE 1000000
#define CFS_TRACE_MAX (1u << 20)
#define CFS_LOG_TEXT 200

struct cfs_bytes {
	uint8_t *data;
	size_t len;
};

/* A set of names, sorted by hash: the order that getdents gives them in, as ext4's. */
struct cfs_entry {
	uint64_t hash;
	char *name;
	uint32_t ino;
};
struct cfs_entries {
	struct cfs_entry *at;
	size_t count, size;
};

struct cfs_inode {
	uint32_t ino;
	uint32_t parent; /* of a directory, as names are now */
	mode_t mode;
	unsigned links;  /* names of a file; of a directory its subdirectories */
	bool dead;       /* a directory that was removed */
	bool marked;     /* for sweeping */
	uint64_t change; /* counts changes, as the change attribute of NFSv4 */
	int64_t mtime_ns, ctime_ns;
	uint32_t silly_dir;    /* where NFS keeps it under a name of its own while it is open */
	char *target;          /* of a symbolic link */
	struct cfs_bytes data; /* as readers see it */
	struct cfs_bytes durable;
	bool synced;  /* durable is the same as data */
	bool dropped; /* a failed fsync gave its data up: see cfs_data_sync_failed */
	struct cfs_entries entries;
	struct cfs_entries base; /* what is durable, but for the journal */
};

/*
 * One change of names: a name goes away, or comes, or both (a rename). Half of one that is absent
 * has no name and counts as kept.
 */
struct cfs_op {
	uint32_t ino;
	uint32_t from_dir, to_dir;
	char *from, *to;
	bool from_kept, to_kept; /* durable */
	unsigned client;         /* who made it */
	uint32_t emptied;        /* a directory that it removes */
};

struct cfs_attr {
	mode_t mode;
	unsigned links;
	uint64_t size, change;
	int64_t mtime_ns, ctime_ns;
};

/* What a client remembers of one inode. */
struct cfs_node {
	bool known;
	struct cfs_attr attr;
	int64_t valid_until_ns;
	struct cfs_entries names;   /* looked up before; inode CFS_NONE: it was not there */
	struct cfs_entries listing; /* entries behind listed_from up to listed_to */
	bool listed;
	uint64_t listed_from, listed_to;
	bool data_known;
	struct cfs_bytes data;
};

struct cfs_desc {
	int fd;
	int flags;
	uint32_t ino;
	off_t pos;
	uint64_t cursor;
	char *path; /* as it was opened, for messages */
};

struct cfs_client {
	struct crashfs *c;
	struct fsu fs;
	unsigned index;
	int next_fd;
	int retired_fd; /* smaller numbers belonged to a process that is dead */
	struct cfs_desc *descs;
	size_t n_descs, descs_size;
	struct cfs_node **nodes; /* by inode number */
	size_t nodes_size;
	uint64_t counts[CRASHFS_CALLS];
	uint8_t *trace; /* kind of each call since the count was reset; bit 7: it may change
			   something */
	size_t trace_count, trace_size;
};

struct cfs_lock {
	uint32_t ino;
	int fd;
	short type;
	int64_t start, end; /* end is the last byte */
};

struct cfs_log_entry {
	unsigned client;
	enum crashfs_call kind;
	uint64_t number;
	long result;
	const char *fault; /* NULL: none */
	char text[CFS_LOG_TEXT];
};

struct cfs_armed {
	struct crashfs_fault fault;
	bool spent;
};

struct crashfs {
	struct crashfs_options options;
	pthread_mutex_t mutex;
	int64_t now_ns;
	uint64_t random;
	struct cfs_inode **inodes; /* by number; NULL: swept */
	size_t n_inodes, inodes_size, sweep_at;
	struct cfs_op *ops;
	size_t n_ops, ops_size;
	uint64_t changes; /* of what a power cut would leave */
	unsigned acting;  /* the client whose call is being made */
	bool crashed;     /* no call works */
	bool undecided;   /* the power was cut, what is left was not chosen yet */
	struct cfs_client clients[CRASHFS_CLIENTS];
	struct cfs_lock *locks;
	size_t n_locks, locks_size;
	size_t bytes_allocated;
	struct cfs_armed armed[CFS_FAULTS];
	unsigned n_armed, fired;
	crashfs_hook *hook;
	void *hook_ctx;
	bool in_hook;
	uint64_t calls_left; /* 0: no limit; a run that loops for ever is ended with its log */
	const char *note;    /* what is being done, for that message */
	struct cfs_log_entry log[CRASHFS_LOG];
	uint64_t log_count;
	char *log_text, *ls_text;
};

/* ---- crashfs_fork.c: memory of our own, which never fails. ---- */

__attribute__((noreturn, format(printf, 2, 3))) void cfs_die(struct crashfs *c, const char *format,
							     ...);
void *cfs_xalloc(size_t size);
/* Room for `need` elements of `width` bytes in *memory, which has room for *size. */
void cfs_reserve(void **memory, size_t *size, size_t need, size_t width);
char *cfs_xstrdup(const char *text);
void cfs_bytes_set(struct cfs_bytes *bytes, const void *data, size_t len);
/* The next number of the stream; splitmix64. */
uint64_t cfs_draw(uint64_t *state);

/* ---- crashfs_inode.c ---- */

uint64_t cfs_hash(const struct crashfs *c, const char *name);
/* NULL when there is none. */
struct cfs_entry *cfs_entries_find(const struct cfs_entries *entries, uint64_t hash);
/* Index of the first entry behind `hash`. */
size_t cfs_entries_after(const struct cfs_entries *entries, uint64_t hash);
void cfs_entries_set(struct cfs_entries *entries, uint64_t hash, const char *name, uint32_t ino);
void cfs_entries_remove(struct cfs_entries *entries, uint64_t hash);
void cfs_entries_clear(struct cfs_entries *entries);
void cfs_entries_copy(struct cfs_entries *to, const struct cfs_entries *from);

struct cfs_inode *cfs_inode_create(struct crashfs *c, mode_t mode);
void cfs_inode_destroy(struct cfs_inode *inode);
/* NULL when it is gone for good. */
struct cfs_inode *cfs_inode_get(const struct crashfs *c, uint32_t ino);
/* The server has no name for it any more: a file handle of it is stale. */
bool cfs_inode_gone(const struct cfs_inode *inode);
struct cfs_attr cfs_inode_attr(const struct cfs_inode *inode);
int64_t cfs_wall_ns(const struct crashfs *c);
/* It changes now: counter and times. */
void cfs_touch(struct crashfs *c, struct cfs_inode *inode, bool content);
/* Free the inodes that nothing leads to. Inodes of open descriptors stay. */
void cfs_sweep(struct crashfs *c);

/* The server's view of names: CFS_NONE when there is none. */
uint32_t cfs_find(const struct crashfs *c, const struct cfs_inode *dir, const char *name);
/* Changes of names, written down in the journal. `dir` is alive, names are as they must be. */
void cfs_add(struct crashfs *c, struct cfs_inode *dir, const char *name, struct cfs_inode *inode);
void cfs_remove(struct crashfs *c, struct cfs_inode *dir, const char *name);
void cfs_move(struct crashfs *c, struct cfs_inode *from_dir, const char *from,
	      struct cfs_inode *to_dir, const char *to);

/* ---- crashfs_crash.c ---- */

void cfs_journal_add(struct crashfs *c, uint32_t ino, const struct cfs_inode *from_dir,
		     const char *from, const struct cfs_inode *to_dir, const char *to,
		     uint32_t emptied);
void cfs_journal_clear(struct crashfs *c);
/* fsync: of a file its content, of a directory its pending operations. */
void cfs_sync(struct crashfs *c, struct cfs_inode *inode);
/* The last operation becomes durable at once: what the server does itself. */
void cfs_journal_sync_last(struct crashfs *c);
/* What can become of content that is not synced: nothing of it, all, half, or its length alone. */
#define CFS_CONTENTS 4
/*
 * A power cut that leaves exactly this: of the operations those that are wanted and what they
 * imply, and of each file that is not synced, in the order of inodes, what its number says.
 */
void cfs_cut_as(struct crashfs *c, const bool *wanted, const uint8_t *contents);
/* Operation `i` cannot have been kept without operation `k`. */
bool cfs_op_needs(const struct crashfs *c, size_t i, size_t k);

/* ---- crashfs_cache.c ---- */

static inline bool cfs_caches(const struct cfs_client *cl)
{
	return cl->c->options.cache_ns > 0;
}
struct cfs_node *cfs_node(struct cfs_client *cl, uint32_t ino);
void cfs_node_drop_all(struct cfs_client *cl);
void cfs_nodes_copy(struct cfs_client *to, const struct cfs_client *from);
/* Ask the server for the attributes; what they prove wrong is forgotten. -ESTALE. */
int cfs_fetch(struct cfs_client *cl, uint32_t ino);
/* The same unless they are known and young enough. */
int cfs_revalidate(struct cfs_client *cl, uint32_t ino);
/*
 * Look `name` up in `dir`: by what is remembered, or with `reval` by the server. -ENOENT, -ESTALE;
 * without caches a removed directory has no names.
 */
int cfs_lookup(struct cfs_client *cl, uint32_t dir, const char *name, bool reval,
	       uint32_t *ret_ino);
/*
 * This client itself changed `name` in `dir` to mean `ino`; `before` is the directory's counter
 * before.
 */
void cfs_changed(struct cfs_client *cl, const struct cfs_inode *dir, const char *name, uint32_t ino,
		 uint64_t before);
/* The entries of a directory behind `cursor`, remembered or fetched; complete up to *ret_to. */
int cfs_listing(struct cfs_client *cl, uint32_t ino, uint64_t cursor,
		const struct cfs_entries **ret_entries, uint64_t *ret_to);
/* The content of a file, remembered or fetched. */
int cfs_content(struct cfs_client *cl, uint32_t ino, const struct cfs_bytes **ret_bytes);

/* ---- crashfs_path.c ---- */

/* The place of the last component; `name` is "." when the path is the start itself. */
struct cfs_place {
	uint32_t dir;
	char name[CFS_NAME_MAX + 1];
	bool must_dir; /* the path ended in a slash */
};
int cfs_place(struct cfs_client *cl, int dirfd, const char *path, bool reval,
	      struct cfs_place *ret_place);
/* The inode at a place, through a link in the last component when `follow`; *place moves along. */
int cfs_resolve(struct cfs_client *cl, struct cfs_place *place, bool follow, bool reval,
		uint32_t *ret_ino);

/* ---- crashfs_data.c ---- */

struct cfs_desc *cfs_desc(struct cfs_client *cl, int fd);
/* -EBADF; ends the test when the descriptor was closed by this very process before. */
int cfs_desc_check(struct cfs_client *cl, int fd, struct cfs_desc **ret_desc);
int cfs_desc_open(struct cfs_client *cl, uint32_t ino, int flags, const char *path);
void cfs_desc_close(struct cfs_client *cl, int fd);
void cfs_desc_close_all(struct cfs_client *cl);
bool cfs_desc_any(const struct cfs_client *cl, uint32_t ino);

int cfs_close(void *ctx, int fd);
ssize_t cfs_pread(void *ctx, int fd, void *buf, size_t len, off_t offset);
ssize_t cfs_write(void *ctx, int fd, const void *buf, size_t len);
int cfs_clone(void *ctx, int fd, int src_fd, off_t src_offset, uint64_t len, off_t offset);
int cfs_fsync(void *ctx, int fd);
ssize_t cfs_getdents(void *ctx, int fd, void *buf, size_t len);
int cfs_rewind(void *ctx, int fd);
int cfs_lock(void *ctx, int fd, int command, struct flock *lock);

/* ---- crashfs_names.c ---- */

int cfs_openat(void *ctx, int dirfd, const char *path, int flags, mode_t mode);
int cfs_renameat(void *ctx, int from_dirfd, const char *from, int to_dirfd, const char *to);
int cfs_unlinkat(void *ctx, int dirfd, const char *path, int flags);
int cfs_mkdirat(void *ctx, int dirfd, const char *path, mode_t mode);
int cfs_statx(void *ctx, int dirfd, const char *path, int flags, unsigned mask,
	      struct statx *ret_stat);
/*
 * NFS keeps a file that its client unlinked while it was open there, under a name made of the
 * inode.
 */
void cfs_silly_name(const struct cfs_inode *inode, char name[CFS_NAME_MAX + 1]);

/* ---- crashfs_host.c ---- */

extern const struct fsu_ops cfs_ops;
unsigned cfs_dev_major(const struct crashfs *c);
unsigned cfs_dev_minor(const struct crashfs *c);

/* ---- crashfs_fault.c ---- */

enum cfs_verdict {
	CFS_RUN,
	CFS_FAIL,          /* -error, do nothing */
	CFS_RUN_THEN_FAIL, /* do it, then -error */
	CFS_RUN_HALF,
};
struct cfs_call {
	struct cfs_client *cl;
	enum crashfs_call kind;
	bool changes;
	uint64_t number;
	enum cfs_verdict verdict;
	int error;
	const char *fault;
	char text[CFS_LOG_TEXT];
};
/* Takes the mutex. `to` is NULL but for a rename; `changes`: it may change what is on disk. */
void cfs_begin(struct cfs_call *call, void *ctx, enum crashfs_call kind, const char *path,
	       const char *to, bool changes);
void cfs_begin_fd(struct cfs_call *call, void *ctx, enum crashfs_call kind, int fd, bool changes);
/* Gives the mutex back, writes the log. Returns `result`, or the error that the fault wants. */
long cfs_end(struct cfs_call *call, long result);

#endif
