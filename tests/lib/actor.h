/*
 * A process as the tests drive it: a client of the crash filesystem that opens the cluster, becomes
 * a member, contends and writes, each by a plain call in the test's own thread, with no thread of
 * the library.
 */
#ifndef TESTS_ACTOR_H
#define TESTS_ACTOR_H

#include "src/election/claim.h"
#include "src/member/member.h"
#include "src/member/watch.h"
#include "src/state/store.h"
#include "tests/lib/crashfs.h"

#define ACTOR_LEASE_MS 2000
#define ACTOR_ELECTION "dispatcher"

struct actor {
	struct crashfs *disk;
	unsigned client;
	const struct fsu *fs;
	struct cluster cluster;
	bool open;
	struct member *member;
	int election_fd;
	struct term *term;
	struct store *store;
	fsha_error error; /* of the last call that failed */
};

/*
 * Opens the cluster at "/", joins, opens the election and the store job_graphs/. Fails the test
 * when that fails.
 */
void actor_start(struct actor *a, struct crashfs *disk, unsigned client);
/*
 * As actor_start, but with the result: for faults. What was begun is ended by actor_stop in any
 * case.
 */
fsha_result actor_try_start(struct actor *a, struct crashfs *disk, unsigned client);
/* Everything closed, no descriptor and no memory left. Nothing is resigned. */
void actor_stop(struct actor *a);
/*
 * The process is gone at once (kill -9): descriptors and locks; then as actor_stop for our memory.
 */
void actor_kill(struct actor *a);

/*
 * Look at the epoch file and claim whatever it says: for when the former holder is known to be
 * dead.
 */
fsha_result actor_claim(struct actor *a);
/*
 * Wait out the lease of everybody else, as a standby would, then claim. Fails the test unless it is
 * granted in a few tries.
 */
void actor_take_over(struct actor *a);
fsha_result actor_resign(struct actor *a);

/* Writes and reads of the store, with text values. */
fsha_result actor_add(struct actor *a, const char *key, const char *value);
fsha_result actor_replace(struct actor *a, const char *key, const char *value);
fsha_result actor_remove(struct actor *a, const char *key);
/* The value into `text` (64 bytes); "" when there is none. */
fsha_result actor_get(struct actor *a, const char *key, char *text);
/* The same, seen by somebody else who takes no part: a fresh look through that client's table. */
void observe(struct crashfs *disk, unsigned client, const char *key, char *text);

#endif
