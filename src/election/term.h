/*
 * A term of office: what a leader needs to write. The only way to change a store is term_commit
 * (publish a new version, which may be a tombstone) and term_discard (take an old name away); both
 * are renames through the tenure directory, and so fail for good once a successor has removed it.
 *
 * Any thread. Terms are counted: whoever writes holds a reference while it does.
 *
 * Several processes may share a term (fsha/term.h): each has a seat of its own, and what must
 * exclude each other among them (the check of the present version and the commit that depends on
 * it) holds the member's write lock.
 */
#ifndef SRC_ELECTION_TERM_H
#define SRC_ELECTION_TERM_H

#include <stdatomic.h>

#include "fsutil/fsu_file.h"
#include "fsutil/fsu_lock.h"
#include "src/election/epoch.h"
#include "src/election/tenure.h"
#include "src/member/lease.h"
#include "src/record/record.h"

enum term_end {
	TERM_LIVE,
	TERM_RESIGNED,
	TERM_EXPIRED, /* the lease ran out, or the member was expelled */
	TERM_FENCED,  /* the tenure directory is gone: a newer leader exists */
	TERM_BROKEN,  /* an invariant does not hold: this process must not go on */
};

#define TERM_DOUBTS 64
#define TERM_STAGED_SIZE (TENURE_NAME_SIZE + 24)

struct term {
	_Atomic unsigned refs;
	const struct cluster *cluster;
	int election_fd;    /* own copy */
	char *election;     /* its encoded name */
	struct epoch epoch; /* number, session, member */
	char tenure[TENURE_NAME_SIZE];
	uint16_t seat;
	bool shared;
	struct lease *lease;   /* of the member; outlives the term */
	struct lease attached; /* of another process: lease points here */
	struct fsu_lock seat_lock;
	_Atomic uint64_t sequence; /* the last one used */
	_Atomic int end;           /* enum term_end */
	/* See doubt.h. Sequences of writes whose outcome is not known; 0: free. */
	_Atomic uint64_t doubts[TERM_DOUBTS];
	_Atomic uint64_t doubts_lost;  /* how many found no room */
	_Atomic uint64_t doubts_ended; /* how often doubts ended that nobody had asked about */
	_Atomic uint64_t undone[TERM_DOUBTS]; /* writes that never will be done, the last ones */
	size_t undone_next;                   /* the janitor's */
	int64_t granted_wall_ns;
	/* Whom it followed (number 0: nobody), and how that term ended: a static text, "" not
	 * known. */
	struct epoch former;
	const char *former_end;
	/* Told once when a commit finds the term fenced. May be NULL; must not block. */
	void (*on_fenced)(void *ctx);
	void *on_fenced_ctx;
};

/*
 * Takes over a reference to nothing else; `election_fd` is copied by opening "." anew. NULL when
 * out of memory or descriptors.
 */
struct term *term_create(const struct cluster *c, int election_fd, const char *election,
			 const struct epoch *epoch, struct lease *lease);
struct term *term_ref(struct term *term);
void term_unref(struct term *term);

/* Leads now, by the clock itself. */
bool term_is_live(struct term *term);
/* The result of whoever finds that it is not: NOT_LEADER, or FENCED. */
fsha_result term_not_live(struct term *term, fsha_error *reterr);
/* The first reason wins. */
void term_over(struct term *term, enum term_end why);

/* Hold the write lock when the term is shared; a no-op otherwise. TIMEOUT after a lease. */
fsha_result term_enter(struct term *term, struct fsu_lock *ret_lock, fsha_error *reterr);
void term_exit(struct term *term, struct fsu_lock *lock);

/* Is the outcome of any write of this term not known? See doubt.h. */
bool term_in_doubt(const struct term *term);

/* Where a version is staged, below the election's directory. */
void term_staged_path(const struct term *term, const fsha_version *version, char *ret_path);

/* A number that no other write of this seat in this term has. */
uint64_t term_next_sequence(struct term *term);

/* A call in the tenure has failed before anything was published: FENCED if that is because it is
 * gone, else IO. */
fsha_result term_stage_failed(struct term *term, const char *what, int negative_errno,
			      const char *op, fsha_error *reterr);

struct term_write {
	int dir_fd;            /* the store's directory */
	const char *directory; /* its path below the cluster directory: part of the record's key */
	const char *key;       /* encoded */
	uint16_t kind;
	enum name_form form;
	const void *data;
	size_t size;
	/*
	 * Who writes the staged file, when it is not an envelope around data and size: makes `path`
	 * below `dirfd` and makes it durable. When that fails *ret_errno and *ret_op tell the call;
	 * any other result than FSHA_OK with *ret_errno 0 is the caller's answer as it is.
	 */
	fsha_result (*stage)(void *stage_ctx, const struct record_place *place,
			     const struct record_content *content, int dirfd, const char *path,
			     int *ret_errno, const char **ret_op, fsha_error *reterr);
	void *stage_ctx;
};
/*
 * Publish a new version. `*ret_version` is set as soon as a version was chosen, also with INDOUBT
 * and FENCED. `floor` (may be NULL): the version must be newer than this one.
 */
fsha_result term_commit(struct term *term, const struct term_write *write,
			const fsha_version *floor, fsha_version *ret_version, fsha_error *reterr);
/*
 * term_commit in two halves, for what takes long to stage: nothing need be locked during the first.
 * The second asks again whether the term lives, and takes the present version as `floor`; VERSION:
 * it has overtaken the one that was staged. What was staged is published or cleared away, unless
 * the result is INDOUBT.
 */
fsha_result term_stage(struct term *term, const struct term_write *write, const fsha_version *floor,
		       fsha_version *ret_version, fsha_error *reterr);
fsha_result term_publish(struct term *term, const struct term_write *write,
			 const fsha_version *version, const fsha_version *floor,
			 fsha_error *reterr);
/* Instead of term_publish. */
void term_unstage(struct term *term, const fsha_version *version);
/*
 * As term_commit, for a term that was just resigned: its last word, "no leader". FENCED: the
 * successor is at work already.
 */
fsha_result term_commit_last(struct term *term, const struct term_write *write,
			     fsha_version *ret_version, fsha_error *reterr);
/* After INDOUBT: what became of `version`. OK, NOT_FOUND, INDOUBT, as fsha_state_store_settle. */
fsha_result term_settle(struct term *term, const struct term_write *write,
			const fsha_version *version, fsha_error *reterr);
/*
 * Take an old name out of a store into the trash. 0 also when it is gone. May hang (delegations):
 * for the background.
 */
int term_discard(struct term *term, int dir_fd, const char *file_name);
/*
 * The same for a directory, whose name may come back. So after a failure its rename cannot come
 * later and take the next one, but in the moment in which the tenure itself is taken down. -ENOENT:
 * the directory is there, and the tenure gone.
 */
int term_discard_directory(struct term *term, int dir_fd, const char *path);

#endif
