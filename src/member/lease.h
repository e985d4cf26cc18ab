/*
 * The lease of a member: one deadline on CLOCK_BOOTTIME that everything this process does as a
 * leader depends on. Compared with the clock itself at every question, so it needs no thread to run
 * out.
 *
 * States: alive until the deadline passes or it is ended; then expired, for ever. A renewal counts
 * from the start of the heartbeat that earned it, and one that comes back after the old deadline
 * extends nothing.
 *
 * The page may be shared with other processes of this host (fsha/term.h), which only read it. Any
 * thread.
 */
#ifndef SRC_MEMBER_LEASE_H
#define SRC_MEMBER_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "fsutil/fsu_uuid.h"

#define LEASE_MAGIC UINT64_C(0x3153414548534646) /* tells a lease page from other memory */

struct lease_page {
	uint64_t magic;
	struct fsu_uuid member;
	_Atomic int64_t deadline_ns;
	_Atomic uint32_t expired;
	uint32_t reserved0;
};

struct lease {
	const struct fsu *fs;
	struct lease_page *page; /* own, or another process's (then never written) */
	int fd;                  /* of a shared page; -1 */
	bool writable;
	struct lease_page private_page; /* where `page` points when nothing is shared */
};

/* A lease that begins expired. -errno when no page could be had. */
int lease_init(struct lease *lease, const struct fsu *fs, const struct fsu_uuid *member,
	       bool shared);
/*
 * The lease of another process of this host, by the path that it gave. -ESTALE when it is no lease
 * page.
 */
int lease_attach(struct lease *lease, const struct fsu *fs, const char *path);
void lease_done(struct lease *lease);

/* Begin: alive until start_ns + length_ns. Only once, before anybody else sees the lease. */
void lease_begin(struct lease *lease, int64_t start_ns, int64_t length_ns);
/* A heartbeat begun at start_ns came back: true when it counts. */
bool lease_renew(struct lease *lease, int64_t start_ns, int64_t length_ns);
void lease_expire(struct lease *lease);

bool lease_is_alive(struct lease *lease);
/* When it runs out unless renewed; in the past when it did. */
int64_t lease_deadline_ns(const struct lease *lease);

#endif
