/*
 * What the tests of src/ begin with: a crash filesystem with a storage directory in it, a cluster
 * there, opened by two processes; and what they need then, a member, a term. Everything is made by
 * the code under test, with no fault armed.
 */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/cluster/cluster.h"
#include "src/election/term.h"
#include "src/member/member.h"
#include "tests/lib/crashfs.h"

#define FIXTURE_CLIENTS 2
#define FIXTURE_STORAGE "/storage"
#define FIXTURE_ID "test"
#define FIXTURE_CLUSTER FIXTURE_STORAGE "/" FIXTURE_ID
#define FIXTURE_LEASE_MS 10000u
#define FIXTURE_LEASE_NS ((int64_t)FIXTURE_LEASE_MS * FSU_NS_PER_MS)
/* How long a network filesystem of a test remembers what it has seen. */
#define FIXTURE_CACHE_NS (30 * FSU_NS_PER_S)

struct fixture_options {
	struct crashfs_options fs; /* cache_ns FIXTURE_CACHE_NS: a network filesystem */
	bool bare;                 /* the storage directory alone */
	const char *id;            /* of the cluster; NULL: FIXTURE_ID */
};

struct fixture {
	struct crashfs *fs;
	const struct fsu *client[FIXTURE_CLIENTS];
	struct cluster cluster[FIXTURE_CLIENTS];
	bool open[FIXTURE_CLIENTS];
	const char *id;
	char path[512];
};

/*
 * NULL: a local filesystem with a cluster that both clients have open. The storage directory is
 * durable.
 */
struct fixture *fixture_open(const struct fixture_options *options);
/*
 * Closes the clusters and asserts that no client has a descriptor left and that no memory is. NULL
 * is allowed.
 */
void fixture_close(struct fixture *f);

/*
 * Options of the fixture's cluster, and open it for a client; closed by fixture_close, or by
 * fixture_close_cluster.
 */
struct cluster_options fixture_cluster_options(bool create);
fsha_result fixture_open_cluster(struct fixture *f, unsigned client, bool create,
				 fsha_error *reterr);
void fixture_close_cluster(struct fixture *f, unsigned client);
/* All processes end, the power comes back: the clusters are closed as far as memory goes. */
void fixture_recover(struct fixture *f);

/*
 * A path below the directory of cluster FIXTURE_ID, for crashfs_cat and its kin; valid till the
 * next call.
 */
const char *fixture_path(struct fixture *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A member of that client's process; member_destroy it. */
struct member *fixture_member(struct fixture *f, unsigned client);
/*
 * A live term of a member, claimed as a leader claims it: whoever held the election is fenced. Its
 * number is one above the last one. term_unref it.
 */
struct term *fixture_term(struct fixture *f, struct member *member, const char *election);
/* The same by a leader who knows how the term before ended: a static text. */
struct term *fixture_term_after(struct fixture *f, struct member *member, const char *election,
				const char *former_end);

/* The last calls to stderr: cmocka cuts long messages off. */
void fixture_print_log(struct fixture *f);
/* Fails with the names of both results, the message of the error and the last calls. */
void fixture_assert_result(struct fixture *f, fsha_result result, fsha_result expected,
			   const fsha_error *error, const char *file, int line);
#define assert_result(f, result, expected, error) \
	fixture_assert_result(f, result, expected, error, __FILE__, __LINE__)

/*
 * Every single fault: for each call `at` of client 0, from 0 until none fires any more,
 * FIXTURE_SWEEPS ways to fail.
 */
#define FIXTURE_SWEEPS 33
#define FIXTURE_CALLS_MAX 1000 /* a sweep that gets here does not end */
struct crashfs_fault fixture_fault(uint64_t at, size_t way);
/*
 * The power fails, at a CRASHFS_CRASH before or now: 0 loses all that is not synced, 1 keeps it,
 * others draw by `way`.
 */
void fixture_lose(struct fixture *f, uint64_t way);

/* Time that passes inside one kind of call of one client: a filesystem that is slow. */
struct fixture_slow {
	struct fixture *f;
	unsigned client;
	enum crashfs_call call;
	unsigned skip; /* calls of that kind that are still fast */
	int64_t ns;    /* the next one takes this long; 0 afterwards */
};
void fixture_slow_set(struct fixture_slow *slow);

#endif
