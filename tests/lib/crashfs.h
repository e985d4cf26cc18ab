/*
 * The crash filesystem: a whole shared directory in memory behind the system-call table, with what
 * a power cut, a network filesystem and a broken disk do to it.
 *
 * Durable and volatile state: every inode has durable and volatile content, every directory a
 * durable and a volatile set of entries with a journal of unsynced operations (add, remove; a
 * rename is one operation on two directories). fsync of a file makes its content durable; fsync of
 * a directory makes its own pending operations durable. A crash keeps any subset of the unsynced
 * directory operations (the remove half and the add half of one rename may be split only when
 * `split_renames` is set) and, for each unsynced file content, none, all, half or zeros of it.
 * Without split_renames two things that no filesystem leaves are left out: a file that was renamed
 * twice never stands under two names, and a directory whose removal was kept was empty. An fsync of
 * a file that failed (not by EINTR) has lost the data: the next one succeeds and saves nothing.
 *
 * Is that what real filesystems leave? It is wider: ext4 (data=ordered), XFS and an NFS server that
 * exports either with "sync" keep what was done up to some moment and nothing later; btrfs may keep
 * what an fsync names before what came earlier, and so may the log of a file's fsync in XFS and
 * ext4 (fast commits), each change of a name whole; an "async" export loses the last seconds.
 * All of these are among the subsets. What is left out, and why:
 *
 *   - a rename of which one half is kept: no journal does that; split_renames is for it
 *   - a directory whose removal was kept and what emptied it was not. So the fsync of an election
 *     after fencing makes durable what the former leader had published from his tenure. Nothing
 *     that was acknowledged rests on it: only a write whose writer was never told, which the next
 *     leader has read, could vanish again
 *   - content that is kept in the middle and lost before and behind it, or that is another file's
 *     (ext4 data=writeback): every content that counts was synced before its name was made, and is
 *     checked by its checksum
 *   - an fsync that says that it worked and did not: a disk that lies, an "async" export whose
 *     server fails while its clients go on (crashfs_restart keeps what they have)
 *   - times and change counters that go back: they only grow here, also over a power cut
 *   - content that was synced and rots
 *
 * Clients: each has its own struct fsu, descriptors, and caches as NFS has them: attributes, data,
 * positive and negative lookups, listings. Caches live for `cache_ns` of the simulated time; statx
 * with AT_STATX_FORCE_SYNC of a directory drops what is cached below it when the directory has
 * changed (compare its change counter), open() of an existing file revalidates (close-to-open);
 * that of a directory does not. A file that is unlinked while the same client has it open stays as
 * ".nfs..." until the close. cache_ns 0: a local filesystem.
 *
 * Descriptors are numbers that are never used twice; one that is used after its close, or by
 * another client, ends the test, as does whatever would hang.
 */
#ifndef TESTS_CRASHFS_H
#define TESTS_CRASHFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fsutil/fsu_ops.h"

#define CRASHFS_CLIENTS 6
/* How many calls crashfs_log tells of. */
#define CRASHFS_LOG 64
/* What is kept of a path. */
#define CRASHFS_PATH_TEXT 200

struct crashfs;

struct crashfs_options {
	uint64_t seed;
	int64_t cache_ns;     /* 0: no caches, one kernel: "local" */
	int64_t time_step_ns; /* granularity of directory times; 0: exact */
	bool split_renames;
	bool clones; /* blocks can be shared; else clone is -EOPNOTSUPP */
	/*
	 * f_type that fstatfs reports; 0: EXT4_SUPER_MAGIC when cache_ns is 0, else
	 * NFS_SUPER_MAGIC.
	 */
	int statfs_type;
};

/* A filesystem with an empty root directory. Aborts the test on lack of real memory. */
struct crashfs *crashfs_create(const struct crashfs_options *options);
void crashfs_destroy(struct crashfs *c);

/*
 * The table of client 0 .. CRASHFS_CLIENTS-1. AT_FDCWD and "/" are the root: absolute paths start
 * there.
 */
const struct fsu *crashfs_client(struct crashfs *c, unsigned client);
/*
 * Put another table in the place of a client's: all who have it from crashfs_client call that one
 * from now on. Returns the one that was there, to make the calls through.
 */
struct fsu crashfs_table_swap(struct crashfs *c, unsigned client, const struct fsu *table);

/* ---- Faults: any one call, any way of failing. ---- */

enum crashfs_call {
	CRASHFS_OPENAT,
	CRASHFS_CLOSE,
	CRASHFS_PREAD,
	CRASHFS_WRITE,
	CRASHFS_FSYNC,
	CRASHFS_RENAMEAT,
	CRASHFS_UNLINKAT,
	CRASHFS_MKDIRAT,
	CRASHFS_STATX,
	CRASHFS_GETDENTS,
	CRASHFS_REWIND,
	CRASHFS_LOCK,
	CRASHFS_FSTATFS,
	CRASHFS_MOUNTINFO,
	CRASHFS_MOUNTSTATS,
	CRASHFS_NOTIFY,
	CRASHFS_RANDOM,
	CRASHFS_ALLOC,
	CRASHFS_CLONE, /* counted only with crashfs_options.clones */
	CRASHFS_CALLS
};
const char *crashfs_call_name(enum crashfs_call call);

enum crashfs_mode {
	/* The error is returned, nothing happened (but close always closes). */
	CRASHFS_NOT_DONE,
	/*
	 * It happened, and the error is returned all the same: a lost reply. For a call that only
	 * asks as CRASHFS_NOT_DONE.
	 */
	CRASHFS_DONE,
	/*
	 * Half of a read or write or listing, without an error; for other calls as
	 * CRASHFS_NOT_DONE.
	 */
	CRASHFS_SHORT,
	/*
	 * Power cut before the call: from now on every call of every client gives -EIO (an
	 * allocation NULL) until crashfs_recover.
	 */
	CRASHFS_CRASH
};

/*
 * What happens to call number `at` of `client` (counting from 0 since crashfs_count_reset; all
 * calls of the table count except clocks, wait, release). `calls_mask` (bits 1u << enum
 * crashfs_call; 0: all) restricts which calls are counted. `repeat`: also all later ones. At most
 * two faults are armed at a time (pairs of faults).
 */
struct crashfs_fault {
	unsigned client;
	uint64_t at;
	uint32_t calls_mask;
	int error; /* positive errno */
	enum crashfs_mode mode;
	bool repeat;
};
void crashfs_fault_arm(struct crashfs *c, const struct crashfs_fault *fault);
void crashfs_fault_clear(struct crashfs *c);
/* How many faults have fired since the last clear. */
unsigned crashfs_faults_fired(const struct crashfs *c);
void crashfs_count_reset(struct crashfs *c);
/* Calls of `client` counted since the reset. */
uint64_t crashfs_count(const struct crashfs *c, unsigned client);
/*
 * The kind of call number `at` of `client`, and whether it could change anything on disk. False: no
 * such call.
 */
bool crashfs_call_at(const struct crashfs *c, unsigned client, uint64_t at,
		     enum crashfs_call *ret_call, bool *ret_changes);
/* The last CRASHFS_LOG calls as text, one a line, for the message of a failed test. */
const char *crashfs_log(struct crashfs *c);

/* ---- Hooks: run something else between two calls (a rival, a stop of the process). ---- */
typedef void crashfs_hook(void *hook_ctx, enum crashfs_call call, const char *path,
			  unsigned client);
/*
 * Called before every counted call; calls made from inside the hook do not call it again. `path` is
 * the first one of the call, or what its descriptor was opened by. NULL: none.
 */
void crashfs_hook_set(struct crashfs *c, crashfs_hook *hook, void *hook_ctx);

/* ---- Crashes ---- */

/*
 * Which of the legal states the power cut left. Choices are read from a stream of 64-bit numbers
 * drawn from `seed`.
 */
void crashfs_crash(struct crashfs *c, uint64_t seed);
/* All unsynced operations lost / all kept. */
void crashfs_crash_losing_all(struct crashfs *c);
void crashfs_crash_keeping_all(struct crashfs *c);
/*
 * After any crash: descriptors and locks of all clients are gone, calls work again. When a fault
 * cut the power and none of the above chose what is left, all is lost.
 */
void crashfs_recover(struct crashfs *c);
/*
 * One client dies: its descriptors and locks are gone, what it wrote stays volatile as it is (kill
 * -9).
 */
void crashfs_kill_client(struct crashfs *c, unsigned client);
/*
 * The server of a network filesystem restarts, and with it fail the hosts of the clients in `dead`
 * (bits 1u << client). What these had changed and not synced is left in part, as drawn from `seed`;
 * what the others had they send again, so nothing of theirs is lost, and they go on with their
 * descriptors and caches. `locks_lost`: the locks of the others are not reclaimed, and nobody tells
 * them.
 */
void crashfs_restart(struct crashfs *c, unsigned dead, uint64_t seed, bool locks_lost);
/* A deep copy in the present state, to explore several futures; faults and hooks are not copied. */
struct crashfs *crashfs_fork(const struct crashfs *c);

/*
 * Grows with each change of what a power cut would leave: while it stays the same there is nothing
 * new to look at.
 */
uint64_t crashfs_changes(const struct crashfs *c);
/* A number made of all names and contents, and of nothing else: equal trees have equal ones. */
uint64_t crashfs_digest(const struct crashfs *c);
/*
 * Call `visit` with each state that a power cut now could leave, recovered; it is destroyed after
 * that. When there are more than `whole` sets of operations that may be kept, up to `limit` of
 * them: those that lose or keep all, that keep what was done up to some moment (as filesystems do
 * that write one journal in order), that keep or lose one operation or two with what hangs on it,
 * then random ones, drawn from `seed`. Not with split_renames. Returns how many there were; two of
 * them may be equal, as digests tell. `*ret_complete` (NULL is allowed): they were all that there
 * are, each set of operations with each way in which the files that it shows can be torn; of more
 * than three such files at once the ways are not combined.
 */
uint64_t crashfs_each_state(const struct crashfs *c, uint64_t whole, uint64_t limit, uint64_t seed,
			    void (*visit)(void *ctx, struct crashfs *after), void *ctx,
			    bool *ret_complete);

/* ---- Time ---- */
void crashfs_advance(struct crashfs *c, int64_t ns);

/* ---- Looking, and damaging (as the server sees it: no client, no cache, not counted). ---- */
bool crashfs_exists(const struct crashfs *c, const char *path);
/*
 * Names of a directory, sorted, separated by '\n'; "" when empty; NULL when it is no directory.
 * Owned by `c`, valid till the next call.
 */
const char *crashfs_ls(struct crashfs *c, const char *path);
/* Content of a file; NULL when there is none. Owned by `c`. */
const uint8_t *crashfs_cat(struct crashfs *c, const char *path, size_t *ret_len);
void crashfs_put(struct crashfs *c, const char *path, const void *data, size_t len);
void crashfs_rm(struct crashfs *c, const char *path); /* recursive */
void crashfs_mkfifo(struct crashfs *c, const char *path);
void crashfs_symlink(struct crashfs *c, const char *path, const char *target);
/*
 * All that is there as one number: names, sizes, what is durable, locks and what clients remember,
 * but no content, and of time only what a listing tells of it. For states of one run of a test and
 * its repetitions with other orders of calls.
 */
uint64_t crashfs_situation(const struct crashfs *c);
/* What a descriptor of a client was opened by; "" when it is none. Valid until its close. */
const char *crashfs_fd_path(struct crashfs *c, unsigned client, int fd);
/* Open descriptors of a client: 0 at the end of every test. */
unsigned crashfs_open_fds(const struct crashfs *c, unsigned client);
/* Bytes allocated through alloc/resize and not released. */
size_t crashfs_bytes_allocated(const struct crashfs *c);

#endif
