/*
 * Puppets: threads of simulated processes that run the real code on one crash filesystem, each on a
 * stack of its own, exactly one at a time. A puppet stops before each call on the shared directory;
 * the test says who does its call next. The same choices give the same run.
 *
 *   t = theatre_create(disk, seed);
 *   a = puppet_start(t, 0, body, arg);         runs up to its first call
 *   b = puppet_start(t, 1, body, other);
 *   while (theatre_can_step(t))
 *           puppet_step(... ? a : b);          does the call, and runs up to the next one
 *   theatre_destroy(t);
 *
 * A process is a client of the crash filesystem; it may have several puppets, as a process has
 * threads. They must not use what a mutex of the library protects (one store), for whoever waited
 * for the mutex would wait for ever: there is one real thread.
 *
 * Everything that goes through crashfs_client() of a client that has a theatre is stepped, when a
 * puppet makes the call; what the test itself calls is done at once, as ever. The calls before
 * which a puppet stops are those that other processes could notice, or that could notice them: not
 * memory, chance, the mount and the clock, though they are counted and can fail as ever.
 *
 * Time passes by a microsecond for each counted call, and else only when the test says so. A puppet
 * that waits is not stepped before the time that it waits for (PUPPET_WAITS).
 *
 * Chance is drawn from a stream for each process, so that what a process draws does not depend on
 * who else was stepped.
 *
 * When its process is killed, a puppet makes no call any more: its descriptors and locks are gone,
 * and what it still does to come to the end of its body, so that no memory is lost, is told -EIO
 * without a trace and in no time. So a body asks puppet_is_killed() before it tells the test about
 * an outcome, and gives back on its way out what it has.
 */
#ifndef TESTS_PUPPET_H
#define TESTS_PUPPET_H

#include "tests/lib/crashfs.h"

#define THEATRE_PUPPETS 16

struct theatre;
struct puppet;

enum puppet_state {
	PUPPET_READY,  /* stands before a call: puppet_next */
	PUPPET_WAITS,  /* for a time: puppet_wakes_ns */
	PUPPET_ENDED,  /* its body has returned */
	PUPPET_KILLED, /* so has that of a killed one */
};

struct puppet_call {
	enum crashfs_call kind;
	/* As the call gives it, or what the descriptor was opened by; a rename has a second one. */
	char path[CRASHFS_PATH_TEXT], to[CRASHFS_PATH_TEXT];
	bool changes; /* may change what is on disk */
};

/* All clients of `disk` are its processes from now on. `disk` outlives it. */
struct theatre *theatre_create(struct crashfs *disk, uint64_t seed);
/* Kills the processes of those that have not ended. The clients are as before. NULL is allowed. */
void theatre_destroy(struct theatre *theatre);
struct crashfs *theatre_disk(struct theatre *theatre);

/*
 * A new puppet of process `client`. `body` runs at once up to its first call. It lives as long as
 * the theatre; at most THEATRE_PUPPETS that have not ended at a time.
 */
struct puppet *puppet_start(struct theatre *theatre, unsigned client,
			    void (*body)(struct puppet *self, void *arg), void *arg);
enum puppet_state puppet_state(const struct puppet *puppet);
unsigned puppet_client(const struct puppet *puppet);
struct theatre *puppet_theatre(const struct puppet *puppet);
/* What it does when it is stepped; NULL unless it is PUPPET_READY. */
const struct puppet_call *puppet_next(const struct puppet *puppet);
/* When it goes on; FSU_FOREVER unless it is PUPPET_WAITS. */
int64_t puppet_wakes_ns(const struct puppet *puppet);
/* Ready, or its time has come. */
bool puppet_can_step(const struct puppet *puppet);
void puppet_step(struct puppet *puppet);
/* Step it until it has ended; time passes when it waits. */
void puppet_finish(struct puppet *puppet);
/*
 * What the puppet has been told so far, as one number: kinds and answers of all its calls, names
 * and contents, but no times and no inode numbers. Two runs of a body in which it is the same are
 * in the same place, except for what they know of the time.
 */
uint64_t puppet_seen(const struct puppet *puppet);

/* For bodies. */
bool puppet_is_killed(const struct puppet *puppet);

/* Can any be stepped now? */
bool theatre_can_step(const struct theatre *theatre);
/* The first time that any of them waits for; FSU_FOREVER. */
int64_t theatre_wakes_ns(const struct theatre *theatre);
/* Let time pass until then. False: nobody waits for any time. */
bool theatre_pass_time(struct theatre *theatre);
/* Take turns, a call each, in the order of their start, until all have ended. */
void theatre_finish(struct theatre *theatre);

/* kill -9 of a process: crashfs_kill_client, and none of its puppets is stepped again. */
void theatre_kill(struct theatre *theatre, unsigned client);
/* The hosts are gone: all puppets. What becomes of the disk is for crashfs_crash... to say. */
void theatre_kill_all(struct theatre *theatre);

#endif
