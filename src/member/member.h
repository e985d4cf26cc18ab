/*
 * A member: this process's presence in the cluster, one however many elections it takes part in.
 *
 * members/<uuid>/ holds the lock file (locked as long as the process lives), beat-<n> (renamed to
 * beat-<n+1> at every heartbeat: one synchronous operation on every filesystem), info~<v> (host,
 * pid, ...) and stands/ (an empty file
 * "<election>~<n>" for each election it contends for). The directory appears whole, with the lock
 * held and the first beat.
 *
 * A member whose lease ran out, or whose directory is gone, is expired for good; the process joins
 * again as a new one. One thread at a time, but for the lease.
 */
#ifndef SRC_MEMBER_MEMBER_H
#define SRC_MEMBER_MEMBER_H

#include "fsutil/fsu_lock.h"
#include "src/cluster/cluster.h"
#include "src/member/lease.h"

#define MEMBER_LOCK "lock"
#define MEMBER_BEAT "beat-"
#define MEMBER_EXPELLED "expelled-"
#define MEMBER_INFO "info"
#define MEMBER_STANDS "stands"
#define MEMBER_WRITE_LOCK \
	"write" /* excludes processes that share a term, see src/election/term.h */

struct member {
	const struct cluster *cluster;
	struct member *former; /* the one this process was before; for the owner of the list */
	struct fsu_uuid id;
	char name[FSU_UUID_HEX + 1];
	int fd; /* members/<name> */
	struct fsu_lock lock;
	struct lease lease;
	uint64_t beat;
	int64_t tried_ns; /* start of the first try of the next beat; 0: not tried yet */
	uint64_t stands;  /* elections it stood for so far */
};

fsha_result member_join(const struct cluster *cluster, bool shared, struct member **ret_member,
			fsha_error *reterr);
/*
 * Lets go of the lock, which tells the others at once; the directory is left to member_remove. The
 * lease stays, expired.
 */
void member_retire(struct member *member);
/* Retires and frees. NULL is allowed. */
void member_destroy(struct member *member);
/* Take the directory of a member that is gone apart. May hang; for the background. */
void member_remove(const struct cluster *cluster, const struct fsu_uuid *id);

enum member_beat_result {
	MEMBER_BEAT_OK,
	MEMBER_BEAT_FAILED,  /* try again soon, while the lease lasts */
	MEMBER_BEAT_EXPIRED, /* too late, or the directory was taken away */
};
/* One heartbeat: renews the lease when it counts. */
enum member_beat_result member_beat(struct member *member);

/*
 * Show that this member contends for an election, or no longer does. Best effort: it is for people.
 */
void member_stand(struct member *member, const char *component, uint64_t *ret_number);
void member_stand_down(struct member *member, const char *component, uint64_t number);

/* What info~<v> says. */
struct member_info {
	char host[256];
	char boot_id[40];
	char version[32];
	uint32_t pid;
	int64_t started_wall_ns;
	bool locks_cluster_wide; /* by the mount options of that host */
	bool local;              /* its filesystem is one kernel's */
};
fsha_result member_info_read(const struct cluster *cluster, const struct fsu_uuid *id,
			     struct member_info *ret_info, fsha_error *reterr);

#endif
