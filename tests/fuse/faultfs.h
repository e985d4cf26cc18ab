/*
 * faultfs: the crash filesystem behind FUSE, for real processes. What is durable and what is not,
 * what a power cut leaves and how a call fails are crashfs's alone (tests/lib/crashfs.h); this adds
 * the kernel, and calls that do not come back.
 *
 * There is one crashfs, mounted as often as there are clients ("hosts"), each on a directory of its
 * own. Mounts have nothing in common in the kernel: a call that hangs in one may hold the lock of a
 * directory there, and whoever uses another mount does not notice. Nothing is cached between calls:
 * entries and attributes are asked for each time, files are read and written directly.
 *
 * Locks: fcntl locks (F_SETLK, F_OFD_SETLK and their GETLK) are served here, as locks of the open
 * file description: they go with its last close, and hold between mounts. Blocking ones (SETLKW)
 * and flock(2) are the kernel's own, in one mount.
 *
 * Commands come as lines on the standard input, each is answered by one line on the standard
 * output, "ok ..." or "error ...":
 *
 *   rule ACTION [NAME=VALUE]...
 *            hang   before it is done; it is done when the rule goes away
 *            late   it is done at once, the answer hangs
 *            delay  ms=N, before it is done
 *            fail   error=EIO (the default): nothing is done
 *            lose   it is done, and the answer is the error
 *            short  half of a read, a write or a listing
 *          which calls: client=N, pid=N (a process), kind=NAME,NAME... (as in crashfs, and lookup);
 *          which of these: every=N (each N-th), chance=PERMILLE, times=N (the first N). It answers
 *          with a number.
 *   heal [N]        one rule goes away, or all do, and what hangs goes on
 *   count [client=N] [kind=NAME,...]   how many calls there were
 *   held            how many calls hang now
 *   hits N          how many calls the rule was applied to
 *   cut none|all|SEED   power cut: of what was not synced nothing is kept, or all, or what the seed
 *                   chooses. No call works any more
 *   mount           after a power cut: the clients come back
 *   log             the last calls, to the standard error
 *
 * A process that is killed while its call hangs is let go (EINTR); the call itself is done when the
 * rule goes away, if it is one on names: a request that was on its way when its host died.
 *
 * It ends when its standard input does, when the process that started it dies, or after its time
 * limit; the mounts are then aborted, so that nothing hangs in them.
 *
 *   main.c      options, commands         mount.c   sessions, their threads, nodes
 *   rules.c     what becomes of a call    calls.c   FUSE's calls, in terms of crashfs's
 */
#ifndef TESTS_FUSE_FAULTFS_H
#define TESTS_FUSE_FAULTFS_H

#define FUSE_USE_VERSION 34

#include <fuse_lowlevel.h>
#include <pthread.h>

#include "tests/lib/crashfs.h"

/* Kinds of calls: those of crashfs, and this. */
#define KIND_LOOKUP ((unsigned)CRASHFS_CALLS)
#define KINDS (CRASHFS_CALLS + 1u)
#define RULES_MAX 32
#define THREADS 24 /* of a mount: as many calls can hang before the next one does not arrive */

/* An inode that the kernel knows; its descriptor keeps it while the kernel does. */
struct node {
	int fd;
	uint64_t lookups;
};

struct mount {
	struct faultfs *fs;
	unsigned client;
	char *path;
	struct fuse_session *session;
	pthread_t threads[THREADS];
	struct node **nodes; /* by inode number */
	size_t nodes_size;
};

enum action {
	ACTION_HANG,
	ACTION_LATE,
	ACTION_DELAY,
	ACTION_FAIL,
	ACTION_LOSE,
	ACTION_SHORT
};

struct rule {
	unsigned id; /* 0: this place is free */
	enum action action;
	int client; /* -1: any */
	pid_t pid;  /* 0: any */
	uint32_t kinds;
	int64_t delay_ms;
	int error;
	unsigned every, chance, times; /* 0: all */
	unsigned long seen, hits;
};

struct faultfs {
	struct crashfs *crashfs;
	struct mount mounts[CRASHFS_CLIENTS];
	unsigned n_mounts;
	pthread_mutex_t mutex; /* all below, and the crashfs */
	pthread_cond_t changed;
	struct rule rules[RULES_MAX];
	unsigned last_id;
	uint64_t random;
	unsigned long counts[CRASHFS_CLIENTS][KINDS];
	unsigned held;
	bool stopping; /* the mounts go away: nothing waits, nothing is done any more */
};

/* ---- rules.c ---- */

/* A call of the kernel's on its way. */
struct call {
	struct mount *mount;
	fuse_req_t req;
	unsigned kind;
	pid_t tid;
	bool replied;         /* the caller was killed and has been let go */
	uint64_t node, other; /* held until the end; 0: none */
	int fd, other_fd;     /* of these */
};

/*
 * The rules are applied: it may wait, and fail. Takes the mutex, and arms crashfs so that its next
 * call fails as a rule says. 0; or a negative errno, without the mutex: it is not to be done at
 * all. `node` and `other` are inodes as the kernel names them; 0: none.
 */
int call_begin(struct call *call, fuse_req_t req, unsigned kind, uint64_t node, uint64_t other);
/*
 * Gives the mutex back; waits when the answer is to be late. False: nobody waits for the answer any
 * more, and req is gone.
 */
bool call_end(struct call *call);
/* call_end, then an answer without content: 0 or a negative errno. */
void call_answer(struct call *call, int r);
/* The arguments of `rule`. NULL on success, else what is wrong; the id in *ret_id. */
const char *rule_add(struct faultfs *fs, char *text, unsigned *ret_id);
/* id 0: all. False: there is none. */
bool rule_remove(struct faultfs *fs, unsigned id);
/* "client=N kind=..." as in a rule. */
const char *count_calls(struct faultfs *fs, char *text, unsigned long *ret_count);

/* ---- mount.c ---- */

int mount_start(struct mount *m);
/* Abort, unmount, and end the threads; what hangs there ends with an error. */
void mount_stop(struct mount *m);
/* The inode of crashfs that the kernel's number means. */
uint64_t node_ino(uint64_t nodeid);
/* Under the mutex. One more reference to it; makes it if need be. A negative errno when gone. */
int node_take(struct mount *m, uint64_t ino, int *ret_fd);
void node_drop(struct mount *m, uint64_t ino, uint64_t lookups);

/* ---- calls.c ---- */

extern const struct fuse_lowlevel_ops faultfs_calls;

#endif
